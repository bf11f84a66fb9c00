/* code.c - instruction lists: emission with automatic lifetimes, memory, elementwise execution. */
#include "nn/code.h"

#include "nn/bf16.h"

#include <stdio.h>

void amun__code_init(amun__code *code, amun_context *ctx)
{
    memset(code, 0, sizeof *code);
    code->ctx = ctx;
    code->target = &code->forward;
}

void amun__code_free(amun__code *code)
{
    amun__free(code->ctx, code->pack.items);
    amun__free(code->ctx, code->forward.items);
    amun__free(code->ctx, code->backward.items);
    amun__free(code->ctx, code->memory);
    amun__free(code->ctx, code->fixed);
    amun__arena_free(&code->arena, code->ctx);
}

amun_status amun__code_slot(amun__code *code, amun__ref *out, size_t bytes)
{
    *out = (amun__ref){.space = AMUN__SPACE_ARENA};
    return amun__arena_add(&code->arena, code->ctx, &out->slot, bytes, code->clock, code->clock);
}

amun_status amun__code_fixed(amun__code *code, amun__ref *out, size_t bytes)
{
    *out = (amun__ref){.space = AMUN__SPACE_FIXED, .offset = code->fixed_bytes};
    size_t end;
    if (!amun__add_size(&end, code->fixed_bytes, bytes) || !amun__add_size(&end, end, 63)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "packed weights of %zu bytes are too large",
                          bytes);
    }
    code->fixed_bytes = end / 64 * 64;
    return AMUN_OK;
}

amun__ref amun__code_param(const amun_graph *graph, int32_t param, amun__space space)
{
    return (amun__ref){.space = space, .offset = graph->params[param].offset * sizeof(float)};
}

void amun__code_touch(amun__code *code, amun__ref ref)
{
    if (ref.space == AMUN__SPACE_ARENA) {
        amun__arena_extend(&code->arena, ref.slot, code->clock, code->clock);
    }
}

amun_status amun__code_emit(amun__code *code, const amun__instr *instr)
{
    amun__list *list = code->target;
    if (list->count == list->capacity) {
        int32_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        AMUN__CHECK(amun__realloc(code->ctx, &list->items, (size_t)capacity, sizeof *list->items));
        list->capacity = capacity;
    }
    list->items[list->count] = *instr;
    list->items[list->count++].moment = code->clock;
    amun__code_touch(code, instr->dst);
    amun__code_touch(code, instr->a);
    amun__code_touch(code, instr->b);
    amun__code_touch(code, instr->bias);
    amun__code_touch(code, instr->scratch);
    code->clock++;
    return AMUN_OK;
}

amun_status amun__code_plan(amun__code *code)
{
    return amun__arena_plan(&code->arena, code->ctx);
}

amun_status amun__code_allocate(amun__code *code)
{
    if (code->memory == NULL) {
        AMUN__CHECK(amun__calloc(code->ctx, &code->memory, code->arena.bytes, 1));
    }
    if (code->fixed == NULL) {
        AMUN__CHECK(amun__calloc(code->ctx, &code->fixed, code->fixed_bytes, 1));
    }
    return AMUN_OK;
}

void *amun__code_pointer(const amun__code *code, amun__ref ref)
{
    switch (ref.space) {
    case AMUN__SPACE_ARENA:
        return code->memory + code->arena.slots[ref.slot].offset + ref.offset;
    case AMUN__SPACE_FIXED:
        return code->fixed + ref.offset;
    case AMUN__SPACE_PARAMS: /* read only by construction: no instruction has it as its dst */
        return (void *)((uintptr_t)code->params + ref.offset);
    case AMUN__SPACE_GRADS:
        return (unsigned char *)code->grads + ref.offset;
    default:
        return NULL;
    }
}

const char *amun__instr_name(amun__instr_kind kind)
{
    static const char *const names[] = {
        "?",         "primitive",      "relu",   "relu",         "mask",      "add",
        "add",       "scale",          "copy",   "strided",      "normalise", "normalise",
        "pad",       "unpad",          "fold",   "conv filters", "conv",      "conv diff_weights",
        "batchnorm", "batchnorm diff", "to f32", "to bf16"};
    return names[kind];
}

/* ---- execution ------------------------------------------------------------------------------ */

static void run_strided(const amun__instr *instr, unsigned char *dst, const unsigned char *a)
{
    const size_t size = instr->bf16 ? sizeof(amun__bf16) : sizeof(float);
    for (size_t r = 0; r < instr->rows; r++) {
        memcpy(dst + r * instr->dst_stride * size, a + r * instr->a_stride * size, instr->n * size);
    }
}

static void run_normalise(const amun__instr *instr, const amun__node *node, int64_t batch,
                          float *dst, const float *a)
{
    size_t pixels = (size_t)(node->height * node->width), channels = (size_t)node->channels;
    for (size_t i = 0; i < (size_t)batch; i++) {
        for (size_t c = 0; c < channels; c++) {
            float mean = instr->kind == AMUN__INSTR_NORMALISE ? (float)node->mean[c] : 0.0f;
            float inverse = (float)(1.0 / node->std[c]);
            size_t first = (i * channels + c) * pixels;
            for (size_t p = first; p < first + pixels; p++) {
                dst[p] = (a[p] - mean) * inverse;
            }
        }
    }
}

/* W' = W * factor * scale / sqrt(var + eps), b' = factor * (shift + (b - mean) * scale / sqrt(var +
 * eps)). */
static void run_fold(const amun__code *code, const amun_graph *graph, const amun__instr *instr)
{
    const amun__node *node = &graph->nodes[instr->node];
    const amun__param *weight = &graph->params[node->weight];
    const float *params = code->params;
    const float *src = params + weight->offset;
    const float *bias = node->bias >= 0 ? params + graph->params[node->bias].offset : NULL;
    const amun__node *bn = instr->bn >= 0 ? &graph->nodes[instr->bn] : NULL;
    float *dst = amun__code_pointer(code, instr->dst);
    float *dst_bias = amun__code_pointer(code, instr->b);
    size_t rows = (size_t)weight->shape[0], length = weight->count / rows;
    for (size_t r = 0; r < rows; r++) {
        double gain = 1, shift = 0, mean = 0;
        if (bn != NULL) {
            double variance = params[graph->params[bn->running_var].offset + r];
            gain = params[graph->params[bn->weight].offset + r] / sqrt(variance + bn->eps);
            shift = params[graph->params[bn->bias].offset + r];
            mean = params[graph->params[bn->running_mean].offset + r];
        }
        double b = bias != NULL ? bias[r] : 0;
        dst_bias[r] = (float)(instr->factor * (shift + (b - mean) * gain));
        gain *= instr->factor;
        for (size_t i = r * length; i < (r + 1) * length; i++) {
            dst[i] = (float)(src[i] * gain);
        }
    }
}

static void run_padding(const amun_graph *graph, const amun__instr *instr, float *dst,
                        const float *a)
{
    const amun__node *node = &graph->nodes[instr->node];
    const amun__node *src = &graph->nodes[node->inputs[0]];
    const amun__frame frame = {.planes = instr->planes,
                               .inner = instr->inner,
                               .height = src->height,
                               .width = src->width,
                               .pad = {node->pad[0], node->pad[1]},
                               .padding = node->padding};
    (instr->kind == AMUN__INSTR_PAD ? amun__kernel_pad : amun__kernel_unpad)(dst, a, &frame);
}

static void run_winograd(const amun__code *code, const amun__instr *instr, float *dst,
                         const float *a, const float *b)
{
    float *bias = amun__code_pointer(code, instr->bias);
    float *scratch = amun__code_pointer(code, instr->scratch);
    const amun__winograd_tail tail = {bias, instr->sum != 0, instr->relu != 0};
    if (instr->kind == AMUN__INSTR_WINOGRAD_FILTERS) {
        amun__winograd_filters(&instr->winograd, dst, a, instr->by_data != 0, instr->threads);
    } else if (instr->kind == AMUN__INSTR_WINOGRAD) {
        amun__winograd_run(&instr->winograd, dst, a, b, &tail, scratch, instr->threads);
    } else {
        amun__winograd_grad(&instr->winograd, dst, bias, a, b, scratch, instr->threads);
    }
}

static void run_norm(const amun__code *code, const amun_graph *graph, const amun__instr *instr,
                     void *dst, const void *a, const void *b)
{
    const amun__node *node = &graph->nodes[instr->node];
    float *mean = amun__code_pointer(code, instr->mean);
    float *variance = amun__code_pointer(code, instr->variance);
    double *scratch = amun__code_pointer(code, instr->scratch);
    const amun__norm_values values = {mean, variance,
                                      code->params + graph->params[node->weight].offset,
                                      code->params + graph->params[node->bias].offset};
    if (instr->kind == AMUN__INSTR_NORM_DIFF) {
        const amun__norm_diff diff = {dst, b, amun__code_pointer(code, instr->diff_scale),
                                      amun__code_pointer(code, instr->diff_shift)};
        amun__norm_backward(&instr->norm, &diff, a, &values, instr->of_batch != 0, scratch,
                            instr->threads);
        return;
    }
    if (instr->of_batch) {
        amun__norm_statistics(&instr->norm, mean, variance, a, scratch, instr->threads);
    }
    amun__norm_forward(&instr->norm, dst, a, &values, instr->threads);
}

/* Elementwise passes over bf16. */
static void run_bf16(const amun__instr *instr, amun__bf16 *dst, const amun__bf16 *a,
                     const amun__bf16 *b)
{
    switch (instr->kind) {
    case AMUN__INSTR_RELU:
        amun__bf16_relu_to(dst, dst, instr->n);
        break;
    case AMUN__INSTR_RELU_TO:
        amun__bf16_relu_to(dst, a, instr->n);
        break;
    case AMUN__INSTR_MASK:
        amun__bf16_mask(dst, a, instr->n);
        break;
    case AMUN__INSTR_ADD:
        amun__bf16_add_to(dst, dst, a, 1, 0, instr->n);
        break;
    case AMUN__INSTR_ADD_TO:
        amun__bf16_add_to(dst, a, b, instr->factor, instr->relu, instr->n);
        break;
    case AMUN__INSTR_SCALE:
        amun__bf16_scale(dst, a, instr->factor, instr->n);
        break;
    case AMUN__INSTR_COPY:
        memcpy(dst, a, instr->n * sizeof *dst);
        break;
    default: /* the pass that sets `bf16` knows no others (dnnl_bf16.c) */
        break;
    }
}

void amun__code_run(const amun__code *code, const amun_graph *graph, int64_t batch,
                    const amun__instr *instr)
{
    if (instr->bf16 && instr->kind != AMUN__INSTR_STRIDED) {
        run_bf16(instr, amun__code_pointer(code, instr->dst), amun__code_pointer(code, instr->a),
                 amun__code_pointer(code, instr->b));
        return;
    }
    float *dst = amun__code_pointer(code, instr->dst);
    const float *a = amun__code_pointer(code, instr->a);
    const float *b = amun__code_pointer(code, instr->b);
    switch (instr->kind) {
    case AMUN__INSTR_RELU:
        amun__kernel_relu(dst, instr->n);
        break;
    case AMUN__INSTR_RELU_TO:
        amun__kernel_relu_to(dst, a, instr->n);
        break;
    case AMUN__INSTR_MASK:
        amun__kernel_mask(dst, a, instr->n);
        break;
    case AMUN__INSTR_ADD:
        amun__kernel_add(dst, a, instr->n);
        break;
    case AMUN__INSTR_ADD_TO:
        amun__kernel_add_to(dst, a, b, instr->factor, instr->relu, instr->n);
        break;
    case AMUN__INSTR_SCALE:
        amun__kernel_scale(dst, a, instr->factor, instr->n);
        break;
    case AMUN__INSTR_COPY:
        amun__kernel_copy(dst, a, instr->n);
        break;
    case AMUN__INSTR_STRIDED:
        run_strided(instr, (unsigned char *)dst, (const unsigned char *)a);
        break;
    case AMUN__INSTR_NORMALISE:
    case AMUN__INSTR_UNNORMALISE:
        run_normalise(instr, &graph->nodes[instr->node], batch, dst, a);
        break;
    case AMUN__INSTR_PAD:
    case AMUN__INSTR_UNPAD:
        run_padding(graph, instr, dst, a);
        break;
    case AMUN__INSTR_FOLD:
        run_fold(code, graph, instr);
        break;
    case AMUN__INSTR_WINOGRAD_FILTERS:
    case AMUN__INSTR_WINOGRAD:
    case AMUN__INSTR_WINOGRAD_GRAD:
        run_winograd(code, instr, dst, a, b);
        break;
    case AMUN__INSTR_NORM:
    case AMUN__INSTR_NORM_DIFF:
        run_norm(code, graph, instr, dst, a, b);
        break;
    case AMUN__INSTR_WIDEN:
        amun__bf16_widen(dst, (const amun__bf16 *)a, instr->n);
        break;
    case AMUN__INSTR_NARROW:
        amun__bf16_narrow((amun__bf16 *)dst, a, instr->n);
        break;
    case AMUN__INSTR_PRIMITIVE:
        break;
    }
}
