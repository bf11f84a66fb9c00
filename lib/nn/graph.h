/* graph.h - inside the nn room: nodes, parameters, and the contract between plan and backends. */
#ifndef AMUN__GRAPH_H
#define AMUN__GRAPH_H

#include "nn/nn.h"
#include "nn/padding.h"

typedef enum amun__node_kind {
    AMUN__NODE_INPUT = 0,
    AMUN__NODE_CONV2D,
    AMUN__NODE_LINEAR,
    AMUN__NODE_BATCHNORM,
    AMUN__NODE_RELU,
    AMUN__NODE_ADD,
    AMUN__NODE_SCALE,
    AMUN__NODE_MAX_POOL,
    AMUN__NODE_AVG_POOL, /* global pool: kernel = input size */
    AMUN__NODE_FLATTEN,
    AMUN__NODE_CONCAT,
    AMUN__NODE_NORMALISE
} amun__node_kind;

#define AMUN__NODE_MAX_INPUTS 16

typedef struct amun__node {
    amun__node_kind kind;
    int32_t inputs[AMUN__NODE_MAX_INPUTS];
    int32_t input_count;
    char *name;                                        /* NULL for nodes without parameters */
    int64_t channels, height, width;                   /* of the output; flat: height = width = 1 */
    int64_t kernel[2], stride[2], pad[2], dilation[2]; /* h, w; dilation 1 = dense */
    int64_t groups;
    amun__padding padding; /* CONV2D: what `pad` is filled with */
    double factor;         /* SCALE */
    double eps, momentum;  /* BATCHNORM */
    double *mean, *std;    /* NORMALISE: one per channel */
    /* Indices into graph->params, -1 where absent. Conv/linear: weight, bias. Batch norm: weight =
     * scale, bias = shift, running_mean, running_var. */
    int32_t weight, bias, running_mean, running_var;
    int32_t tracked; /* batch norm: its place in model->tracked */
} amun__node;

typedef struct amun__param {
    char *name; /* "layer1.0.conv1.weight" */
    int32_t ndim;
    int64_t shape[4]; /* conv weight [out][in / groups][kh][kw], linear [out][in] */
    size_t count;
    size_t offset; /* floats into the values; final once the graph is frozen */
    int32_t trainable;
    int32_t node;
} amun__param;

struct amun_graph {
    amun__object object;
    amun__node *nodes;
    int32_t node_count, node_capacity;
    amun__param *params;
    int32_t param_count, param_capacity;
    int32_t tracked_count; /* batch norms */
    int32_t frozen;
    int32_t bare;            /* may do without trainable parameters */
    size_t trainable, total; /* floats; valid once frozen */
};

/* Assigns offsets (trainable first, both in order of creation) and forbids further nodes. */
amun_status amun__graph_freeze(amun_graph *graph);
/* The named architecture on an empty graph, or NOT_FOUND listing the names (arch.c). */
amun_status amun__arch_build(amun_graph **out, amun_context *ctx, const char *arch,
                             const amun_model_options *opts);

/* Borrowed; frozen. */
const amun_graph *amun__model_graph(const amun_model *model);

/* Values of one model, as plans see them. */
typedef struct amun__params {
    const amun_graph *graph;
    float *values;
    int64_t *tracked;
    uint64_t version; /* grows with each change */
} amun__params;
/* Fresh initial values: conv and linear U(-1/sqrt(fan_in), +), scale 1, shift 0, mean 0, var 1
 * (params.c). */
void amun__params_init(amun__params *params, uint64_t seed);

/* ---- plan and backend ----------------------------------------------------------------------- */

typedef struct amun__backend {
    const char *name;
    /* Fills plan->impl. */
    amun_status (*create)(amun__plan *plan);
    amun_status (*forward)(amun__plan *plan, const float *src, float *dst);
    amun_status (*backward)(amun__plan *plan, const float *diff_dst, float *diff_src,
                            float *diff_params);
    /* Train mode, after forward: batch mean and biased variance of a batch-norm node, `channels`
     * floats each. */
    amun_status (*statistics)(amun__plan *plan, int32_t node, float *mean, float *variance);
    void (*destroy)(amun__plan *plan); /* also on a half-made impl */
} amun__backend;

extern const amun__backend amun__backend_ref; /* float, plain C, node by node, no fusion */
extern const amun__backend
    amun__backend_ref_f64;                     /* the same in double inside: the oracle's oracle */
extern const amun__backend amun__backend_dnnl; /* only in builds with oneDNN */

struct amun__plan {
    amun_context *ctx;
    const amun__backend *backend;
    const amun_graph *graph;
    const amun__params *params;
    int64_t batch;
    amun__mode mode;
    int32_t threads;
    int32_t precision; /* AMUN_PRECISION_F32 or _BF16 */
    uint64_t version;  /* of the params that were packed last; 0 = never */
    uint64_t bytes;    /* all that the plan holds after its first run, for estimates */
    int32_t has_forward;
    void *impl;
    struct amun__plan *next; /* free list */
};

/* backend NULL: the best one of this build. In the context's precision; the plain C backends have
 * f32 or f64 only. */
amun_status amun__plan_create(amun__plan **out, amun_context *ctx, const amun__params *params,
                              int64_t batch, amun__mode mode, const amun__backend *backend);

/* ref_f64 only: output of a node [batch][channels][height][width] after forward, in double. */
const double *amun__ref_f64_output(const amun__plan *plan, int32_t node);

#endif
