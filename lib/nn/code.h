/* code.h - a plan as flat lists of instructions over memory with known lifetimes. A backend emits
 * them once; running them is a loop. Knows no library: primitives are numbers of the backend. */
#ifndef AMUN__CODE_H
#define AMUN__CODE_H

#include "nn/lower.h"
#include "nn/norm.h"
#include "nn/winograd.h"

typedef enum amun__space {
    AMUN__SPACE_NONE = 0,
    AMUN__SPACE_ARENA, /* shared memory; lifetime = first to last instruction that names the slot */
    AMUN__SPACE_FIXED, /* lives as long as the plan: packed weights, statistics */
    AMUN__SPACE_PARAMS, /* the model's values, read only */
    AMUN__SPACE_GRADS   /* the caller's gradient array of this call */
} amun__space;

typedef struct amun__ref {
    amun__space space;
    int32_t slot;  /* ARENA */
    size_t offset; /* bytes, into the slot or the space */
} amun__ref;

typedef enum amun__instr_kind {
    AMUN__INSTR_PRIMITIVE = 1,
    AMUN__INSTR_RELU,        /* dst = relu(dst) */
    AMUN__INSTR_RELU_TO,     /* dst = relu(a) */
    AMUN__INSTR_MASK,        /* dst *= a > 0 */
    AMUN__INSTR_ADD,         /* dst += a */
    AMUN__INSTR_ADD_TO,      /* dst = [relu] factor * (a + b) */
    AMUN__INSTR_SCALE,       /* dst = factor * a */
    AMUN__INSTR_COPY,        /* dst = a */
    AMUN__INSTR_STRIDED,     /* rows of `n` floats from a to dst, each with its own row stride */
    AMUN__INSTR_NORMALISE,   /* dst = (a - mean) / std, plain layout */
    AMUN__INSTR_UNNORMALISE, /* dst = a / std: its gradient */
    AMUN__INSTR_PAD,         /* dst = a with the padding of a convolution node around it */
    AMUN__INSTR_UNPAD,       /* its adjoint */
    AMUN__INSTR_FOLD, /* weights (dst) and bias (b) of a convolution with batch norm and factor */
    AMUN__INSTR_WINOGRAD_FILTERS, /* dst = transformed filters a */
    AMUN__INSTR_WINOGRAD,         /* dst = [relu] (a * filters b + bias [+ dst]) */
    AMUN__INSTR_WINOGRAD_GRAD,    /* dst, bias = gradients of the weights; a: src, b: diff_dst */
    AMUN__INSTR_NORM,             /* dst = [relu] batch norm of a */
    AMUN__INSTR_NORM_DIFF,        /* dst = gradient of a; b: gradient of the result */
    AMUN__INSTR_WIDEN,            /* dst = a, from bf16 */
    AMUN__INSTR_NARROW            /* dst = a, to bf16 */
} amun__instr_kind;

typedef struct amun__instr {
    amun__instr_kind kind;
    int32_t primitive;
    amun__ref dst, a, b;
    size_t n; /* floats */
    double factor;
    int32_t relu;
    size_t rows, dst_stride, a_stride; /* STRIDED */
    size_t planes, inner;              /* PAD, UNPAD: see amun__frame */
    int32_t node, bn;                  /* NORMALISE, PAD, UNPAD; FOLD */
    amun__ref bias, scratch;           /* WINOGRAD... */
    amun__winograd winograd;
    amun__norm norm;                  /* NORM... of node `node` */
    int32_t of_batch;                 /* NORM writes mean and variance, NORM_DIFF follows them */
    amun__ref mean, variance;         /* NORM... */
    amun__ref diff_scale, diff_shift; /* NORM_DIFF; none: not wanted */
    int32_t threads, by_data;
    int32_t sum;         /* WINOGRAD, convolutions among the primitives: dst is added to */
    uint8_t only_input;  /* backward: skipped unless diff_src is wanted */
    uint8_t only_params; /* backward: skipped unless diff_params is wanted */
    uint8_t bf16;        /* elementwise, STRIDED: all operands are bf16 */
    uint8_t pass;        /* 1 + direction of the convolution that it belongs to; 0: of none */
    int32_t moment;      /* of emission */
    char label[96];
} amun__instr;

typedef struct amun__list {
    amun__instr *items;
    int32_t count, capacity;
} amun__list;

typedef struct amun__code {
    amun_context *ctx;
    amun__arena arena;
    size_t fixed_bytes;
    amun__list pack; /* when the weights changed */
    amun__list forward;
    amun__list backward;
    amun__list *target;            /* where emit() appends */
    int32_t clock;                 /* moment of the instruction being emitted */
    unsigned char *memory, *fixed; /* allocated at the first run */
    float *grads;
    const float *params;
} amun__code;

void amun__code_init(amun__code *code, amun_context *ctx);
void amun__code_free(amun__code *code);
amun_status amun__code_slot(amun__code *code, amun__ref *out, size_t bytes);  /* ARENA */
amun_status amun__code_fixed(amun__code *code, amun__ref *out, size_t bytes); /* FIXED */
amun__ref amun__code_param(const amun_graph *graph, int32_t param, amun__space space);
/* Says that the instruction now being emitted uses `ref`. */
void amun__code_touch(amun__code *code, amun__ref ref);
/* Appends a copy of `instr`, touches what it names and moves the clock on. */
amun_status amun__code_emit(amun__code *code, const amun__instr *instr);
/* Offsets are final after this. */
amun_status amun__code_plan(amun__code *code);
amun_status amun__code_allocate(amun__code *code); /* memory, once */
void *amun__code_pointer(const amun__code *code, amun__ref ref);
/* Any instruction but a primitive. */
void amun__code_run(const amun__code *code, const amun_graph *graph, int64_t batch,
                    const amun__instr *instr);
const char *amun__instr_name(amun__instr_kind kind);

#endif
