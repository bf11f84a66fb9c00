/* dnnl_impl.h - inside the oneDNN backend: what its files share. The only one to include oneDNN's
 * header. */
#ifndef AMUN__DNNL_IMPL_H
#define AMUN__DNNL_IMPL_H

#include <oneapi/dnnl/dnnl.h>

#include "nn/code.h"
#include "nn/dnnl_shim.h"

#define AMUN__DNNL_MAX_ARGS 12
/* Below this many input channels a source stays plain, and Winograd would mostly transform padding.
 */
#define AMUN__DNNL_FEW_CHANNELS 8

typedef struct amun__dnnl_primitive {
    dnnl_primitive_t handle;
    dnnl_exec_arg_t args[AMUN__DNNL_MAX_ARGS];
    amun__ref refs[AMUN__DNNL_MAX_ARGS];
    int32_t count;
} amun__dnnl_primitive;

/* The output of one node: where it lies, in which layout; the same layout serves its gradient. */
typedef struct amun__dnnl_value {
    amun__ref ref, diff;
    int32_t md;
    int32_t has_diff;  /* some consumer has written `diff` already */
    int32_t trainable; /* parameters lie at or before it: its gradient is needed for theirs */
    size_t floats;     /* with the layout's padding */
} amun__dnnl_value;

/* What the backward half of a step needs from its forward half. */
typedef struct amun__dnnl_saved {
    dnnl_primitive_desc_t forward; /* hint */
    amun__ref src, weights, workspace, mean, variance;
    int32_t src_md, weights_md; /* as the primitive reads them; weights: plain */
    int32_t workspace_md;
    /* convolutions that pad by themselves: layout of the padded source, and of the source */
    dnnl_format_tag_t pad_tag;
    int32_t pad_md, pad_src_md;
    size_t pad_inner;
} amun__dnnl_saved;

typedef enum amun__dnnl_direction {
    AMUN__DNNL_FORWARD = 0,
    AMUN__DNNL_BY_DATA,
    AMUN__DNNL_BY_WEIGHTS
} amun__dnnl_direction;
enum { AMUN__DNNL_DIRECTIONS = AMUN__DNNL_BY_WEIGHTS + 1 };

/* Which code computes the convolution of a node, by direction: AMUN_CONV_*. */
typedef struct amun__dnnl_choice {
    uint8_t kind[AMUN__DNNL_DIRECTIONS];                /* asked for; AUTO: by the fixed rule */
    uint8_t used[AMUN__DNNL_DIRECTIONS];                /* that the plan has; AUTO: not emitted */
    float ms[AMUN__DNNL_DIRECTIONS][AMUN_CONV_OWN + 1]; /* if tuned: medians; 0: not measured */
} amun__dnnl_choice;

typedef struct amun__dnnl_plan {
    amun__plan *plan;
    amun__program program;
    amun__code code;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* user scratchpad */
    shim_pool pool;
    amun__dnnl_primitive *primitives;
    int32_t primitive_count, primitive_capacity;
    amun__dnnl_value *values;   /* per node */
    amun__dnnl_saved *saved;    /* per step */
    amun__dnnl_choice *choices; /* per node */
    size_t scratch_bytes;
    amun__ref scratch, logits, input, diff_logits, diff_input;
    uint8_t only_input, only_params, pass; /* for the instructions being emitted */
    int32_t bound;
    float *own_grads; /* for callers that want no parameter gradients of a train plan */
    float *bound_grads;
} amun__dnnl_plan;

typedef struct amun__dnnl_argument {
    int id;
    int32_t md;
    amun__ref ref;
} amun__dnnl_argument;

/* ---- layouts, instructions, gradients of values (dnnl_emit.c) */

amun_status amun__dnnl_fail(const amun__dnnl_plan *m, dnnl_status_t status, int32_t node,
                            const char *what);

amun_status amun__dnnl_md_add(amun__dnnl_plan *m, int32_t *out, int ndims, const int64_t *dims,
                              dnnl_format_tag_t tag);

amun_status amun__dnnl_md_query(amun__dnnl_plan *m, int32_t *out, const_dnnl_primitive_desc_t pd,
                                dnnl_query_t what);

shim_cmd amun__dnnl_md(const amun__dnnl_plan *m, int32_t index);

bool amun__dnnl_md_equal(const amun__dnnl_plan *m, int32_t a, int32_t b);

size_t amun__dnnl_md_bytes(const amun__dnnl_plan *m, int32_t index);

amun_status amun__dnnl_md_node(amun__dnnl_plan *m, int32_t *out, int32_t node,
                               dnnl_format_tag_t tag);

/* Whether bytes in this layout lie as in NCHW. */
amun_status amun__dnnl_is_plain(amun__dnnl_plan *m, bool *out, int32_t node, int32_t index);

/* 8 for nChw8c, 16 for nChw16c, else 0. */
amun_status amun__dnnl_block_of(amun__dnnl_plan *m, int64_t *block, int32_t md,
                                const int64_t dims[4]);

amun_status amun__dnnl_set_value(amun__dnnl_plan *m, int32_t node, int32_t index, amun__ref ref);

amun_status amun__dnnl_new_slot(amun__dnnl_plan *m, amun__ref *out, int32_t index);

amun_status amun__dnnl_emit(amun__dnnl_plan *m, amun__instr instr);

/* Makes the primitive of `pd` with its arguments and appends its instruction. */
amun_status amun__dnnl_emit_primitive(amun__dnnl_plan *m, const_dnnl_primitive_desc_t pd,
                                      int32_t node, const char *what,
                                      const amun__dnnl_argument *args, size_t count);

amun_status amun__dnnl_emit_reorder(amun__dnnl_plan *m, amun__ref dst, int32_t dst_md,
                                    amun__ref src, int32_t src_md, int32_t node);

/* `ref` in layout `from` as layout `to`: itself, or a reordered copy in a new slot. */
amun_status amun__dnnl_as_layout(amun__dnnl_plan *m, amun__ref *out, amun__ref ref, int32_t from,
                                 int32_t to, int32_t node);

/* A node's value in plain NCHW order; `index` gets that descriptor. */
amun_status amun__dnnl_as_plain(amun__dnnl_plan *m, amun__ref *out, int32_t *index, int32_t node);

/* Weights `plain` packed as `want`, refreshed whenever the model's values change. */
amun_status amun__dnnl_pack(amun__dnnl_plan *m, amun__ref *out, amun__ref plain, int32_t plain_md,
                            int32_t want, int32_t node);

/* Adds `diff` (in layout `index`) to the gradient of `node`. may_alias: nobody else will change or
 * read that memory, so it can become the gradient itself. */
amun_status amun__dnnl_contribute(amun__dnnl_plan *m, int32_t node, amun__ref diff, int32_t index,
                                  bool may_alias);

/* Whether the gradient of `node` is of no use but for the caller's diff_src. */
uint8_t amun__dnnl_only_for_input(const amun__dnnl_plan *m, int32_t node);

void amun__dnnl_set_geometry(shim_op *op, const amun__node *node);

/* ---- what convolution and linear share (dnnl_weighted.c) */

/* Weights and bias as plain arrays: the model's own, or folded copies. */
amun_status amun__dnnl_plain_weights(amun__dnnl_plan *m, const amun__step *step, amun__ref *weights,
                                     amun__ref *bias);

amun_status amun__dnnl_emit_fold(amun__dnnl_plan *m, const amun__step *step, amun__ref weights,
                                 amun__ref bias);

/* What follows a convolution that its post-ops did not do. */
amun_status amun__dnnl_emit_tail(amun__dnnl_plan *m, const amun__step *step, bool fused);

/* Writes diff_weights where the caller wants it, through a reorder unless the layout is plain. */
amun_status amun__dnnl_grad_target(amun__dnnl_plan *m, amun__ref *out, int32_t param,
                                   int32_t plain_md, int32_t index);

amun_status amun__dnnl_finish_grad(amun__dnnl_plan *m, amun__ref from, int32_t param,
                                   int32_t plain_md, int32_t index, int32_t node);

/* ReLU mask on the way back, and the residual branch's share. */
amun_status amun__dnnl_weighted_backward_head(amun__dnnl_plan *m, const amun__step *step);

/* ---- padding other than zeros (dnnl_pad.c) */

bool amun__dnnl_pads(const amun__node *node);

amun_status amun__dnnl_md_padded(amun__dnnl_plan *m, int32_t *out, const amun__node *node,
                                 dnnl_format_tag_t tag);

/* The padded source of convolution step `s`, in the layout that m->saved[s] then names. */
amun_status amun__dnnl_pad_forward(amun__dnnl_plan *m, int32_t s, amun__ref *out);

/* Adds the gradient of the padded source (in layout `index`) to that of the source. */
amun_status amun__dnnl_pad_backward(amun__dnnl_plan *m, int32_t s, amun__ref diff, int32_t index);

/* ---- choice of algorithms (dnnl_conv.c) */

/* The first algorithm that exists for these layouts; op->alg gets it. `channels`: of the source. */
dnnl_status_t amun__dnnl_conv_create(dnnl_primitive_desc_t *pd, shim_op *op, int64_t channels,
                                     amun__dnnl_direction direction, amun_conv_choice kind);

/* ---- forced and measured choices (dnnl_tune.c) */

/* Fills m->choices[].kind before anything is emitted: by the context's own choice, or as measured
 * by its cache, which measures what it does not know. */
amun_status amun__dnnl_choose(amun__dnnl_plan *m);

/* The clock of measurements. */
double amun__dnnl_seconds(const amun__dnnl_plan *m);

/* ---- the life of a plan (backend_dnnl.c): plan->impl, without and with its instructions */

amun_status amun__dnnl_open(amun__plan *plan);
amun_status amun__dnnl_compile(amun__dnnl_plan *m);
void amun__dnnl_close(amun__plan *plan); /* also a half-made one */

/* Runs all of it once on made-up values, packing of weights included if they change at each run,
 * and adds up the seconds of each direction's convolutions. */
amun_status amun__dnnl_time(amun__dnnl_plan *m, double seconds[AMUN__DNNL_DIRECTIONS]);

/* ---- bf16 plans (dnnl_bf16.c) */

/* Rewrites the finished instructions, before memory is planned, so that activations and their
 * gradients lie in memory as bf16. */
amun_status amun__dnnl_store_bf16(amun__dnnl_plan *m);

/* ---- AMUN_LOG=plan (dnnl_dump.c) */

void amun__dnnl_dump(const amun__dnnl_plan *m);

/* ---- our own Winograd convolutions (dnnl_winograd.c) */

/* Whether there can be more than direct convolutions for this node. */
bool amun__dnnl_has_choice(const amun__node *node);

/* Whether this pass of a convolution goes to our kernels instead of oneDNN's primitive for the same
 * layouts; `w` gets its form. src_md, dst_md: of the convolution, whatever the direction. */
amun_status amun__dnnl_winograd_wins(amun__dnnl_plan *m, bool *out, amun__winograd *w, int32_t node,
                                     int32_t src_md, int32_t dst_md,
                                     amun__dnnl_direction direction);

typedef struct amun__dnnl_winograd {
    int32_t node;
    amun__dnnl_direction direction;
    amun__winograd form;
    /* forward: dst, src; by data: diff_src, diff_dst; by weights: diff_weights (plain), src */
    amun__ref dst, src;
    amun__ref weights, bias; /* plain; bias may be none */
    amun__ref diff;          /* by weights: diff_dst; `bias` is its gradient */
    bool sum, relu;          /* forward */
} amun__dnnl_winograd;
amun_status amun__dnnl_emit_winograd(amun__dnnl_plan *m, const amun__dnnl_winograd *o);

/* ---- steps */

amun_status amun__dnnl_conv_forward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_conv_backward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_linear_forward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_linear_backward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_batchnorm_forward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_batchnorm_backward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_pool_forward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_pool_backward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_step_forward(amun__dnnl_plan *m, int32_t s);
amun_status amun__dnnl_step_backward(amun__dnnl_plan *m, int32_t s);

#endif
