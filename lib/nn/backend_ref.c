/* backend_ref.c - the reference backend: each node straight from the graph, nothing folded or
 * fused. What other backends are measured against, and what runs where oneDNN is missing. */
#include "nn/graph.h"

static int64_t node_size(const amun__node *node)
{
    return node->channels * node->height * node->width;
}

static amun_status plan_elements(const amun__plan *plan, const amun__node *node, size_t *count)
{
    bool fits = amun__mul_size(count, (size_t)plan->batch, (size_t)node->channels) &&
                amun__mul_size(count, *count, (size_t)node->height) &&
                amun__mul_size(count, *count, (size_t)node->width) && *count < PTRDIFF_MAX / 8;
    if (!fits) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%lld x %lld x %lld x %lld values are too many",
                          (long long)plan->batch, (long long)node->channels,
                          (long long)node->height, (long long)node->width);
    }
    return AMUN_OK;
}

static amun_status ref_calloc(amun__plan *plan, void *out, size_t count, size_t size)
{
    AMUN__CHECK(amun__calloc(plan->ctx, out, count, size));
    void *block;
    memcpy(&block, out, sizeof block);
    plan->bytes += amun__block_bytes(block);
    return AMUN_OK;
}

static amun_status backward_allowed(const amun__plan *plan, const float *diff_params)
{
    if (plan->mode == AMUN__MODE_INFER) {
        return amun__fail(AMUN_ERROR_STATE, "a plan for inference has no backward pass");
    }
    if (diff_params != NULL && !amun__mode_trains(plan->mode)) {
        return amun__fail(AMUN_ERROR_STATE, "a plan for attacks has no weight gradients");
    }
    return AMUN_OK;
}

/* One tap of a filter: output o reads input o * stride + shift. Where padding is zero, only for
 * lo <= o < hi, which is inside the image. */
typedef struct ref_tap {
    int64_t shift[2], lo[2], hi[2];
} ref_tap;

static ref_tap tap_at(const amun__node *n, const amun__node *src, int64_t k)
{
    int64_t at[2] = {k / n->kernel[1], k % n->kernel[1]};
    int64_t in[2] = {src->height, src->width}, out[2] = {n->height, n->width};
    ref_tap t;
    for (int i = 0; i < 2; i++) {
        t.shift[i] = at[i] * n->dilation[i] - n->pad[i];
        if (n->padding != AMUN__PADDING_ZERO) {
            t.lo[i] = 0;
            t.hi[i] = out[i];
            continue;
        }
        t.lo[i] = t.shift[i] >= 0 ? 0 : (-t.shift[i] + n->stride[i] - 1) / n->stride[i];
        int64_t room = in[i] - 1 - t.shift[i];
        t.hi[i] = room < 0 ? 0 : room / n->stride[i] + 1;
        t.hi[i] = t.hi[i] < out[i] ? t.hi[i] : out[i];
    }
    return t;
}

static int64_t tap_row(const amun__node *n, const amun__node *src, const ref_tap *t, int64_t oh)
{
    return amun__padding_index(n->padding, oh * n->stride[0] + t->shift[0], src->height);
}

static int64_t tap_column(const amun__node *n, const amun__node *src, const ref_tap *t, int64_t ow)
{
    return amun__padding_index(n->padding, ow * n->stride[1] + t->shift[1], src->width);
}

/* The part of a pool's window that lies inside the image. */
typedef struct ref_window {
    int64_t h0, h1, w0, w1;
} ref_window;

static ref_window window_at(const amun__node *n, const amun__node *src, int64_t oh, int64_t ow)
{
    int64_t h = oh * n->stride[0] - n->pad[0], w = ow * n->stride[1] - n->pad[1];
    ref_window window = {
        .h0 = h > 0 ? h : 0,
        .h1 = h + n->kernel[0] < src->height ? h + n->kernel[0] : src->height,
        .w0 = w > 0 ? w : 0,
        .w1 = w + n->kernel[1] < src->width ? w + n->kernel[1] : src->width,
    };
    return window;
}

#define real float
#define ref_step ref_step_f32
#define ref_impl ref_impl_f32
#define R(name) name##_f32
#include "nn/ref_kernels.inc.h"
#include "nn/ref_plan.inc.h"
#undef real
#undef ref_step
#undef ref_impl
#undef R

#define real double
#define ref_step ref_step_f64
#define ref_impl ref_impl_f64
#define R(name) name##_f64
#include "nn/ref_kernels.inc.h"
#include "nn/ref_plan.inc.h"
#undef real
#undef ref_step
#undef ref_impl
#undef R

const amun__backend amun__backend_ref = {
    .name = "reference",
    .create = create_f32,
    .forward = forward_f32,
    .backward = backward_f32,
    .statistics = statistics_f32,
    .destroy = destroy_f32,
};

const amun__backend amun__backend_ref_f64 = {
    .name = "reference-f64",
    .create = create_f64,
    .forward = forward_f64,
    .backward = backward_f64,
    .statistics = statistics_f64,
    .destroy = destroy_f64,
};

const double *amun__ref_f64_output(const amun__plan *plan, int32_t node)
{
    if (plan->backend != &amun__backend_ref_f64 || plan->impl == NULL || node < 0 ||
        node >= plan->graph->node_count) {
        return NULL;
    }
    const ref_impl_f64 *impl = plan->impl;
    return impl->out[node];
}
