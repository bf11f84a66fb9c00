/* linop.c - linear maps of layers: making them, their weights, and the way from a call to the loops
 * or primitives that compute it. */
#include "nn/linop_private.h"

#include "core/linalg.h"
#include "nn/linop_code.h"

#define MAX_VALUES ((size_t)1 << 31) /* of one vector, or of the weights */
#define PARALLEL_FROM 65536

size_t amun__linop_value_size(const amun__linop *op)
{
    return amun__linop_is_f64(op) ? sizeof(double) : sizeof(float);
}

static amun__linop_backend best_backend(void)
{
#ifdef AMUN_WITH_DNNL
    return AMUN__LINOP_DNNL;
#else
    return AMUN__LINOP_REF_F32;
#endif
}

/* ---- geometry -------------------------------------------------------------------------------- */

static amun_status check_extent(int64_t value, int64_t low, int64_t high, const char *what)
{
    if (value < low || value > high) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is %lld, must be in [%lld, %lld]", what,
                          (long long)value, (long long)low, (long long)high);
    }
    return AMUN_OK;
}

static amun_status image_size(size_t *out, int64_t channels, int64_t height, int64_t width)
{
    bool fits = amun__mul_size(out, (size_t)channels, (size_t)height) &&
                amun__mul_size(out, *out, (size_t)width) && *out < MAX_VALUES;
    return fits ? AMUN_OK
                : amun__fail(AMUN_ERROR_SHAPE, "[%lld, %lld, %lld] are too many values",
                             (long long)channels, (long long)height, (long long)width);
}

/* What the padding mode allows around `size` values. */
static amun_status check_padding(amun__padding mode, int64_t pad, int64_t size)
{
    static const char *const names[] = {"zero", "circular", "reflect", "replicate"};
    if ((int)mode < AMUN__PADDING_ZERO || (int)mode > AMUN__PADDING_REPLICATE) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "padding mode %d does not exist", (int)mode);
    }
    int64_t most = mode == AMUN__PADDING_REFLECT    ? size - 1
                   : mode == AMUN__PADDING_CIRCULAR ? size
                                                    : INT32_MAX;
    if (pad > most) {
        return amun__fail(AMUN_ERROR_SHAPE, "%s padding of %lld does not fit an extent of %lld",
                          names[mode], (long long)pad, (long long)size);
    }
    return AMUN_OK;
}

/* One axis: checks it and computes the output's extent. */
static amun_status window_axis(const amun__linop_shape *s, int axis, int64_t in, int64_t *out)
{
    AMUN__CHECK(check_extent(in, 1, INT32_MAX, axis == 0 ? "height" : "width"));
    AMUN__CHECK(check_extent(s->kernel[axis], 1, INT32_MAX, "kernel"));
    AMUN__CHECK(check_extent(s->stride[axis], 1, INT32_MAX, "stride"));
    AMUN__CHECK(check_extent(s->pad[axis], 0, INT32_MAX, "pad"));
    AMUN__CHECK(check_extent(s->dilation[axis], 1, INT32_MAX, "dilation"));
    AMUN__CHECK(check_padding(s->padding, s->pad[axis], in));
    int64_t reach = s->dilation[axis] * (s->kernel[axis] - 1) + 1;
    int64_t room = in + 2 * s->pad[axis] - reach;
    if (room < 0) {
        return amun__fail(AMUN_ERROR_SHAPE, "a window of %lld does not fit %lld with padding %lld",
                          (long long)reach, (long long)in, (long long)s->pad[axis]);
    }
    *out = room / s->stride[axis] + 1;
    return AMUN_OK;
}

static amun_status window_shape(amun__linop_shape *s)
{
    AMUN__CHECK(check_extent(s->in_channels, 1, INT32_MAX, "input channels"));
    AMUN__CHECK(check_extent(s->out_channels, 1, INT32_MAX, "output channels"));
    AMUN__CHECK(check_extent(s->groups, 1, INT32_MAX, "groups"));
    if (s->in_channels % s->groups != 0 || s->out_channels % s->groups != 0) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "groups %lld must divide input channels %lld and output channels %lld",
                          (long long)s->groups, (long long)s->in_channels,
                          (long long)s->out_channels);
    }
    AMUN__CHECK(window_axis(s, 0, s->in_height, &s->out_height));
    return window_axis(s, 1, s->in_width, &s->out_width);
}

static amun_status make_taps(amun__linop *op)
{
    const amun__linop_shape *s = &op->shape;
    const int64_t in[2] = {s->in_height, s->in_width}, out[2] = {s->out_height, s->out_width};
    for (int axis = 0; axis < 2; axis++) {
        const int64_t kernel = s->kernel[axis];
        AMUN__CHECK(amun__alloc(op->ctx, &op->taps[axis], (size_t)out[axis],
                                (size_t)kernel * sizeof(int64_t)));
        for (int64_t i = 0; i < out[axis] * kernel; i++) {
            int64_t at = i / kernel * s->stride[axis] + i % kernel * s->dilation[axis];
            op->taps[axis][i] = amun__padding_index(s->padding, at - s->pad[axis], in[axis]);
        }
    }
    return AMUN_OK;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* `shape` is complete. Allocates the weights, which the caller fills. */
static amun_status new_linop(amun__linop **out, amun_context *ctx, amun__linop_kind kind,
                             const amun__linop_shape *shape, size_t weights, size_t scale_stride,
                             int64_t max_block, amun__linop_backend backend)
{
    *out = NULL;
    amun__linop *op = NULL;
    amun_status status;
    AMUN__CHECK(check_extent(max_block, 1, INT32_MAX, "max_block"));
    AMUN__CHECK(check_extent(backend, AMUN__LINOP_BEST, AMUN__LINOP_REF_F64, "backend"));
    backend = backend == AMUN__LINOP_BEST ? best_backend() : backend;
    if (backend == AMUN__LINOP_DNNL && best_backend() != AMUN__LINOP_DNNL) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "this build has no oneDNN");
    }
    AMUN__CHECK(amun__calloc(ctx, &op, 1, sizeof *op));
    op->ctx = ctx;
    op->kind = kind;
    op->backend = backend;
    op->shape = *shape;
    op->weight_count = weights;
    op->scale_stride = scale_stride;
    op->max_block = max_block;
    AMUN__TRY(image_size(&op->in, shape->in_channels, shape->in_height, shape->in_width));
    AMUN__TRY(image_size(&op->out, shape->out_channels, shape->out_height, shape->out_width));
    size_t larger = op->in > op->out ? op->in : op->out;
    if (larger > (size_t)PTRDIFF_MAX / sizeof(double) / (size_t)max_block) {
        AMUN__FAIL(AMUN_ERROR_SHAPE, "%lld vectors of %zu values are too many",
                   (long long)max_block, larger);
    }
    AMUN__TRY(amun__alloc(ctx, &op->own, weights, amun__linop_value_size(op)));
    op->weights = op->own;
    *out = op;
    return AMUN_OK;
fail:
    amun__linop_destroy(op);
    return status;
}

/* Copies the weights, multiplied by their entries of the scale. Either pointer to the weights is
 * NULL. */
static void store_narrow(const amun__linop *op, float *restrict to, const float *restrict from,
                         const float *scale)
{
    const size_t stride = op->scale_stride, rows = op->weight_count / stride;
#pragma omp parallel for schedule(static) if (op->weight_count >= PARALLEL_FROM)
    for (size_t row = 0; row < rows; row++) {
        const float factor = scale != NULL ? scale[row] : 1.0f;
        for (size_t i = row * stride; i < (row + 1) * stride; i++) {
            to[i] = factor * from[i];
        }
    }
}

static void store_weights(amun__linop *op, const float *narrow, const double *wide,
                          const float *narrow_scale, const double *wide_scale)
{
    const bool to_wide = amun__linop_is_f64(op);
    op->version++;
    op->weights = op->own;
    if (!to_wide && narrow != NULL && wide_scale == NULL) { /* every step of a training */
        store_narrow(op, op->own, narrow, narrow_scale);
        return;
    }
    for (size_t at = 0; at * op->scale_stride < op->weight_count; at++) {
        const double scale = wide_scale != NULL     ? wide_scale[at]
                             : narrow_scale != NULL ? (double)narrow_scale[at]
                                                    : 1.0;
        for (size_t i = at * op->scale_stride; i < (at + 1) * op->scale_stride; i++) {
            const double value = (wide != NULL ? wide[i] : (double)narrow[i]) * scale;
            if (to_wide) {
                ((double *)op->own)[i] = value;
            } else {
                ((float *)op->own)[i] = (float)value;
            }
        }
    }
}

static amun_status finish(amun__linop **out, amun__linop *op, amun_status status)
{
    if (status != AMUN_OK) {
        amun__linop_destroy(op);
        op = NULL;
    }
    *out = op;
    return status;
}

amun_status amun__linop_create_conv2d(amun__linop **out, amun_context *ctx,
                                      const amun__linop_shape *shape, const float *weights,
                                      const float *scale, int64_t max_block,
                                      amun__linop_backend backend)
{
    *out = NULL;
    amun__linop_shape s = *shape;
    AMUN__CHECK(window_shape(&s));
    AMUN__CHECK(check_extent(s.kernel[0], 1, AMUN__LINOP_MAX_KERNEL, "kernel height"));
    AMUN__CHECK(check_extent(s.kernel[1], 1, AMUN__LINOP_MAX_KERNEL, "kernel width"));
    size_t filter, count;
    AMUN__CHECK(image_size(&filter, s.in_channels / s.groups, s.kernel[0], s.kernel[1]));
    AMUN__CHECK(image_size(&count, s.out_channels, (int64_t)filter, 1));
    amun__linop *op = NULL;
    AMUN__CHECK(new_linop(&op, ctx, AMUN__LINOP_CONV2D, &s, count, filter, max_block, backend));
    amun_status status = make_taps(op);
    store_weights(op, weights, NULL, scale, NULL);
#ifdef AMUN_WITH_DNNL
    if (status == AMUN_OK && op->backend == AMUN__LINOP_DNNL) {
        status = amun__dnnl_linop_create(op);
    }
#endif
    return finish(out, op, status);
}

/* A shape without windows. */
static amun__linop_shape plain_shape(int64_t in_channels, int64_t out_channels, int64_t height,
                                     int64_t width)
{
    return (amun__linop_shape){.in_channels = in_channels,
                               .in_height = height,
                               .in_width = width,
                               .out_channels = out_channels,
                               .out_height = height,
                               .out_width = width,
                               .kernel = {1, 1},
                               .stride = {1, 1},
                               .dilation = {1, 1},
                               .groups = 1};
}

amun_status amun__linop_create_linear(amun__linop **out, amun_context *ctx, int64_t in_features,
                                      int64_t out_features, const float *weights,
                                      const float *scale, int64_t max_block,
                                      amun__linop_backend backend)
{
    *out = NULL;
    AMUN__CHECK(check_extent(in_features, 1, INT32_MAX, "input features"));
    AMUN__CHECK(check_extent(out_features, 1, INT32_MAX, "output features"));
    size_t count;
    AMUN__CHECK(image_size(&count, out_features, in_features, 1));
    amun__linop_shape s = plain_shape(in_features, out_features, 1, 1);
    AMUN__CHECK(new_linop(out, ctx, AMUN__LINOP_LINEAR, &s, count, (size_t)in_features, max_block,
                          backend));
    store_weights(*out, weights, NULL, scale, NULL);
    return AMUN_OK;
}

amun_status amun__linop_create_diagonal(amun__linop **out, amun_context *ctx, int64_t channels,
                                        int64_t height, int64_t width, const float *factors,
                                        int64_t max_block, amun__linop_backend backend)
{
    *out = NULL;
    AMUN__CHECK(check_extent(channels, 1, INT32_MAX, "channels"));
    AMUN__CHECK(check_extent(height, 1, INT32_MAX, "height"));
    AMUN__CHECK(check_extent(width, 1, INT32_MAX, "width"));
    amun__linop_shape s = plain_shape(channels, channels, height, width);
    AMUN__CHECK(
        new_linop(out, ctx, AMUN__LINOP_DIAGONAL, &s, (size_t)channels, 1, max_block, backend));
    store_weights(*out, factors, NULL, NULL, NULL);
    return AMUN_OK;
}

amun_status amun__linop_create_avg_pool(amun__linop **out, amun_context *ctx,
                                        const amun__linop_shape *shape, int64_t max_block,
                                        amun__linop_backend backend)
{
    *out = NULL;
    amun__linop_shape s = *shape;
    s.out_channels = s.groups = s.in_channels;
    s.dilation[0] = s.dilation[1] = 1;
    s.padding = AMUN__PADDING_ZERO;
    AMUN__CHECK(window_shape(&s));
    size_t area;
    AMUN__CHECK(image_size(&area, 1, s.kernel[0], s.kernel[1]));
    amun__linop *op = NULL;
    AMUN__CHECK(new_linop(&op, ctx, AMUN__LINOP_AVG_POOL, &s, area, 1, max_block, backend));
    for (size_t i = 0; i < area; i++) {
        if (amun__linop_is_f64(op)) {
            ((double *)op->own)[i] = 1.0 / (double)area;
        } else {
            ((float *)op->own)[i] = (float)(1.0 / (double)area);
        }
    }
    return finish(out, op, make_taps(op));
}

static amun_status check_parts(amun__linop **parts, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (parts[i]->kind == AMUN__LINOP_CHAIN) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "part %d of a chain is a chain", i);
        }
        if (parts[i]->backend != parts[0]->backend) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "part %d of a chain has another backend than part 0", i);
        }
        if (i > 0 && parts[i]->in != parts[i - 1]->out) {
            return amun__fail(AMUN_ERROR_SHAPE,
                              "part %d of a chain reads %zu values, part %d gives %zu", i,
                              parts[i]->in, i - 1, parts[i - 1]->out);
        }
    }
    return AMUN_OK;
}

static amun_status make_chain(amun__linop **out, amun_context *ctx, amun__linop **parts,
                              int32_t count)
{
    AMUN__CHECK(check_extent(count, 1, INT32_MAX, "number of parts"));
    AMUN__CHECK(check_parts(parts, count));
    const amun__linop *last = parts[count - 1];
    amun__linop_shape s = parts[0]->shape;
    s.out_channels = last->shape.out_channels;
    s.out_height = last->shape.out_height;
    s.out_width = last->shape.out_width;
    int64_t block = INT32_MAX;
    size_t widest = 1;
    for (int32_t i = 0; i < count; i++) {
        block = parts[i]->max_block < block ? parts[i]->max_block : block;
        widest = i < count - 1 && parts[i]->out > widest ? parts[i]->out : widest;
    }
    AMUN__CHECK(new_linop(out, ctx, AMUN__LINOP_CHAIN, &s, 0, 1, block, parts[0]->backend));
    size_t bytes = (size_t)block * amun__linop_value_size(*out);
    AMUN__CHECK(amun__alloc(ctx, &(*out)->between[0], widest, bytes));
    AMUN__CHECK(amun__alloc(ctx, &(*out)->between[1], widest, bytes));
    return amun__alloc(ctx, &(*out)->parts, (size_t)count, sizeof(amun__linop *));
}

amun_status amun__linop_create_chain(amun__linop **out, amun_context *ctx, amun__linop **parts,
                                     int32_t count)
{
    amun__linop *op = NULL;
    amun_status status = make_chain(&op, ctx, parts, count);
    for (int32_t i = 0; i < count; i++) {
        if (status == AMUN_OK) {
            op->parts[op->part_count++] = parts[i];
        } else {
            amun__linop_destroy(parts[i]);
        }
    }
    return finish(out, op, status);
}

void amun__linop_destroy(amun__linop *op)
{
    if (op == NULL) {
        return;
    }
#ifdef AMUN_WITH_DNNL
    amun__dnnl_linop_destroy(op);
    amun__linop_rows_destroy(op);
    amun__linop_winograd_destroy(op);
#endif
    for (int32_t i = 0; i < op->part_count; i++) { /* parts have no parts */
        amun__linop_destroy(op->parts[i]);
    }
    for (int i = 0; i < 2; i++) {
        amun__free(op->ctx, op->taps[i]);
        amun__free(op->ctx, op->between[i]);
    }
    amun__free(op->ctx, op->parts);
    amun__free(op->ctx, op->own);
    amun__free(op->ctx, op);
}

/* ---- weights --------------------------------------------------------------------------------- */

static amun_status check_settable(const amun__linop *op)
{
    if (amun__linop_weight_count(op) == 0) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "a linear map of kind %d has no weights",
                          (int)op->kind);
    }
    return AMUN_OK;
}

amun_status amun__linop_set_weights(amun__linop *op, const float *weights, const float *scale)
{
    AMUN__CHECK(check_settable(op));
    store_weights(op, weights, NULL, scale, NULL);
    return AMUN_OK;
}

amun_status amun__linop_lend_weights(amun__linop *op, const float *weights, const float *scale)
{
    AMUN__CHECK(check_settable(op));
    if (scale != NULL || amun__linop_is_f64(op)) {
        store_weights(op, weights, NULL, scale, NULL);
        return AMUN_OK;
    }
    op->version++;
    op->weights = weights;
    return AMUN_OK;
}

amun_status amun__linop_set_weights_f64(amun__linop *op, const double *weights, const double *scale)
{
    AMUN__CHECK(check_settable(op));
    if (!amun__linop_is_f64(op)) {
        return amun__fail(AMUN_ERROR_STATE, "the linear map holds floats, not doubles");
    }
    store_weights(op, NULL, weights, NULL, scale);
    return AMUN_OK;
}

/* ---- questions ------------------------------------------------------------------------------- */

amun__linop_kind amun__linop_kind_of(const amun__linop *op)
{
    return op->kind;
}

const amun__linop_shape *amun__linop_shape_of(const amun__linop *op)
{
    return &op->shape;
}

size_t amun__linop_in(const amun__linop *op)
{
    return op->in;
}

size_t amun__linop_out(const amun__linop *op)
{
    return op->out;
}

size_t amun__linop_weight_count(const amun__linop *op)
{
    bool settable = op->kind != AMUN__LINOP_AVG_POOL && op->kind != AMUN__LINOP_CHAIN;
    return settable ? op->weight_count : 0;
}

int64_t amun__linop_max_block(const amun__linop *op)
{
    return op->max_block;
}

bool amun__linop_is_f64(const amun__linop *op)
{
    return op->backend == AMUN__LINOP_REF_F64;
}
