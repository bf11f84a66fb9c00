/* curvature_nodes.c - every node that is not a map of weights, forward and backward on values
 * together with their derivatives along a direction. Sums are in double and in a fixed order. */
#include "nn/curvature_private.h"

static int64_t area_of(const amun__node *node)
{
    return node->height * node->width;
}

static int64_t size_of(const amun__node *node)
{
    return node->channels * area_of(node);
}

/* ---- elementwise ---------------------------------------------------------------------------- */

void amun__pair_place(const amun__pair_step *s, bool add)
{
    const int64_t size = size_of(s->src), stride = size_of(s->node);
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < 2 * s->count; b++) {
        const float *x = s->x + b * size;
        float *y = s->y + b * stride + s->offset;
        for (int64_t i = 0; i < size; i++) {
            y[i] = add ? y[i] + x[i] : x[i];
        }
    }
}

void amun__pair_place_backward(const amun__pair_step *s)
{
    const int64_t size = size_of(s->src), stride = size_of(s->node);
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < 2 * s->count; b++) {
        const float *dy = s->dy + b * stride + s->offset;
        float *dx = s->dx + b * size;
        for (int64_t i = 0; i < size; i++) {
            dx[i] += dy[i];
        }
    }
}

void amun__pair_relu(const amun__pair_step *s)
{
    const int64_t values = s->count * size_of(s->node);
    const float *x = s->x + values;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < values; i++) {
        s->y[i] = x[i] > 0.0f ? s->x[i] : 0.0f;
        s->y[values + i] = x[i] <= 0.0f ? 0.0f : x[i]; /* NaN passes */
    }
}

void amun__pair_relu_backward(const amun__pair_step *s)
{
    const int64_t values = s->count * size_of(s->node);
    const float *x = s->x + values;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < values; i++) {
        s->dx[i] += x[i] > 0.0f ? s->dy[i] : 0.0f;
        s->dx[values + i] += x[i] > 0.0f ? s->dy[values + i] : 0.0f;
    }
}

static double mean_of(const amun__node *node, int64_t channel)
{
    return node->kind == AMUN__NODE_NORMALISE ? node->mean[channel] : 0.0;
}

static double factor_of(const amun__node *node, int64_t channel)
{
    return node->kind == AMUN__NODE_NORMALISE ? 1.0 / node->std[channel] : node->factor;
}

void amun__pair_affine(const amun__pair_step *s)
{
    const int64_t area = area_of(s->node), channels = s->node->channels;
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < 2 * s->count * channels; plane++) {
        const double factor = factor_of(s->node, plane % channels);
        const double mean = plane < s->count * channels ? 0.0 : mean_of(s->node, plane % channels);
        for (int64_t i = plane * area; i < (plane + 1) * area; i++) {
            s->y[i] = (float)(((double)s->x[i] - mean) * factor);
        }
    }
}

void amun__pair_affine_backward(const amun__pair_step *s)
{
    const int64_t area = area_of(s->node), channels = s->node->channels;
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < 2 * s->count * channels; plane++) {
        const double factor = factor_of(s->node, plane % channels);
        for (int64_t i = plane * area; i < (plane + 1) * area; i++) {
            s->dx[i] += (float)((double)s->dy[i] * factor);
        }
    }
}

/* ---- max pool ------------------------------------------------------------------------------- */

/* Place in the plane of the window's maximum: the first of equals, padding never. NaN wins, as in
 * the backends. */
static int64_t winner_of(const amun__node *n, const amun__node *src, const float *x, int64_t o)
{
    const int64_t h = o / n->width * n->stride[0] - n->pad[0];
    const int64_t w = o % n->width * n->stride[1] - n->pad[1];
    const int64_t h0 = h > 0 ? h : 0, w0 = w > 0 ? w : 0;
    const int64_t h1 = h + n->kernel[0] < src->height ? h + n->kernel[0] : src->height;
    const int64_t w1 = w + n->kernel[1] < src->width ? w + n->kernel[1] : src->width;
    int64_t best = h0 * src->width + w0;
    for (int64_t i = h0; i < h1; i++) {
        for (int64_t j = w0; j < w1; j++) {
            int64_t at = i * src->width + j;
            best = x[at] > x[best] || isnan(x[at]) ? at : best;
        }
    }
    return best;
}

static void max_pool(const amun__pair_step *s, bool backward)
{
    const int64_t in = area_of(s->src), out = area_of(s->node);
    const int64_t planes = s->count * s->node->channels;
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < planes; plane++) {
        const float *values = s->x + (planes + plane) * in;
        for (int64_t o = 0; o < out; o++) {
            const int64_t from = plane * in + winner_of(s->node, s->src, values, o);
            const int64_t to = plane * out + o;
            if (backward) {
                s->dx[from] += s->dy[to];
                s->dx[planes * in + from] += s->dy[planes * out + to];
            } else {
                s->y[to] = s->x[from];
                s->y[planes * out + to] = s->x[planes * in + from];
            }
        }
    }
}

void amun__pair_max_pool(const amun__pair_step *s)
{
    max_pool(s, false);
}

void amun__pair_max_pool_backward(const amun__pair_step *s)
{
    max_pool(s, true);
}

/* ---- batch norm -----------------------------------------------------------------------------
 *
 * n = (x - mu) s, s = (var + eps)^-1/2, y = scale n + shift. Along a direction, with E the mean
 * over the batch and the plane: mu' = E[x'], s' = -s^2 m with m = E[n x'], n' = s (x' - mu' - n m).
 */

enum { MEAN = 0, INVERSE, SHIFT, MIXED, STATES }; /* mu, s, mu', m */

/* Offsets of a channel's plane of sample b among the first and the second half of the rows. */
typedef struct planes {
    int64_t first, second;
} planes;

static planes planes_at(const amun__pair_step *s, int64_t b, int64_t c)
{
    const int64_t channels = s->node->channels, area = area_of(s->node);
    return (planes){(b * channels + c) * area, ((s->count + b) * channels + c) * area};
}

static void channel_state(const amun__pair_step *s, int64_t c, double *state)
{
    const int64_t area = area_of(s->node);
    const double n = (double)(s->count * area);
    double sum = 0.0, slope = 0.0, squares = 0.0, mixed = 0.0;
    for (int64_t b = 0; b < s->count; b++) {
        const planes p = planes_at(s, b, c);
#pragma omp simd reduction(+ : sum, slope)
        for (int64_t i = 0; i < area; i++) {
            slope += (double)s->x[p.first + i];
            sum += (double)s->x[p.second + i];
        }
    }
    const double mean = sum / n, shift = slope / n;
    for (int64_t b = 0; b < s->count; b++) {
        const planes p = planes_at(s, b, c);
#pragma omp simd reduction(+ : squares, mixed)
        for (int64_t i = 0; i < area; i++) {
            const double d = (double)s->x[p.second + i] - mean;
            squares += d * d;
            mixed += d * ((double)s->x[p.first + i] - shift); /* E[n mu'] is 0 */
        }
    }
    state[MEAN] = mean;
    state[INVERSE] = 1.0 / sqrt(squares / n + s->node->eps);
    state[SHIFT] = shift;
    state[MIXED] = state[INVERSE] * mixed / n;
}

void amun__pair_batchnorm(const amun__pair_step *s, const float *scale, const float *shift)
{
    const int64_t area = area_of(s->node);
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < s->node->channels; c++) {
        double *state = s->state + c * STATES;
        channel_state(s, c, state);
        const double mean = state[MEAN], inverse = state[INVERSE], mixed = state[MIXED];
        const double slope = state[SHIFT], by = (double)scale[c], add = (double)shift[c];
        for (int64_t b = 0; b < s->count; b++) {
            const planes p = planes_at(s, b, c);
#pragma omp simd
            for (int64_t i = 0; i < area; i++) {
                const double normal = ((double)s->x[p.second + i] - mean) * inverse;
                const double along = inverse * ((double)s->x[p.first + i] - slope - normal * mixed);
                s->y[p.first + i] = (float)(by * along);
                s->y[p.second + i] = (float)(by * normal + add);
            }
        }
    }
}

/* Sums over a channel that backward needs: of dy and dy', of dy n, and of its derivative. */
typedef struct sums {
    double dy, dy_along, dot, dot_along;
} sums;

static sums channel_sums(const amun__pair_step *s, int64_t c, const double *state)
{
    const int64_t area = area_of(s->node);
    const double mean = state[MEAN], inverse = state[INVERSE], mixed = state[MIXED];
    const double slope = state[SHIFT];
    double dy_sum = 0.0, along_sum = 0.0, dot = 0.0, dot_along = 0.0;
    for (int64_t b = 0; b < s->count; b++) {
        const planes p = planes_at(s, b, c);
#pragma omp simd reduction(+ : dy_sum, along_sum, dot, dot_along)
        for (int64_t i = 0; i < area; i++) {
            const double normal = ((double)s->x[p.second + i] - mean) * inverse;
            const double along = inverse * ((double)s->x[p.first + i] - slope - normal * mixed);
            const double dy = (double)s->dy[p.first + i], dy_along = (double)s->dy[p.second + i];
            dy_sum += dy;
            along_sum += dy_along;
            dot += dy * normal;
            dot_along += dy_along * normal + dy * along;
        }
    }
    return (sums){dy_sum, along_sum, dot, dot_along};
}

/* dx = scale s (dy - E[dy] - n E[dy n]), and its derivative by the product rule. */
static void channel_backward(const amun__pair_step *s, int64_t c, double scale, const double *state,
                             const sums *t)
{
    const int64_t area = area_of(s->node);
    const double n = (double)(s->count * area);
    const double mean = state[MEAN], inverse = state[INVERSE], mixed = state[MIXED];
    const double slope = state[SHIFT], by = scale * inverse, turn = -inverse * mixed;
    const double e_dy = t->dy / n, e_along = t->dy_along / n;
    const double e_dot = t->dot / n, e_dot_along = t->dot_along / n;
    for (int64_t b = 0; b < s->count; b++) {
        const planes p = planes_at(s, b, c);
#pragma omp simd
        for (int64_t i = 0; i < area; i++) {
            const double normal = ((double)s->x[p.second + i] - mean) * inverse;
            const double along = inverse * ((double)s->x[p.first + i] - slope - normal * mixed);
            const double plain = (double)s->dy[p.first + i] - e_dy - normal * e_dot;
            const double beside =
                (double)s->dy[p.second + i] - e_along - along * e_dot - normal * e_dot_along;
            s->dx[p.first + i] += (float)(by * plain);
            s->dx[p.second + i] += (float)(by * (beside + turn * plain));
        }
    }
}

void amun__pair_batchnorm_backward(const amun__pair_step *s, const float *scale, double by,
                                   float *diff_scale, float *diff_shift)
{
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < s->node->channels; c++) {
        const double *state = s->state + c * STATES;
        const sums t = channel_sums(s, c, state);
        if (diff_scale != NULL && diff_shift != NULL) {
            diff_scale[c] += (float)(by * t.dot_along);
            diff_shift[c] += (float)(by * t.dy_along);
        }
        if (s->dx != NULL) {
            channel_backward(s, c, (double)scale[c], state, &t);
        }
    }
}

/* ---- bias and loss -------------------------------------------------------------------------- */

void amun__pair_bias(const amun__pair_step *s, const float *bias)
{
    const int64_t area = area_of(s->node), channels = s->node->channels;
#pragma omp parallel for schedule(static)
    for (int64_t plane = s->count * channels; plane < 2 * s->count * channels; plane++) {
        for (int64_t i = plane * area; i < (plane + 1) * area; i++) {
            s->y[i] += bias[plane % channels];
        }
    }
}

void amun__pair_bias_backward(const amun__pair_step *s, double by, float *diff_bias)
{
    const int64_t area = area_of(s->node);
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < s->node->channels; c++) {
        double sum = 0.0;
        for (int64_t b = 0; b < s->count; b++) {
            const planes p = planes_at(s, b, c);
            for (int64_t i = 0; i < area; i++) {
                sum += (double)s->dy[p.second + i];
            }
        }
        diff_bias[c] += (float)(by * sum);
    }
}

void amun__pair_loss(const float *logits, const float *targets, const float *weights, size_t count,
                     size_t classes, float *dy)
{
    const size_t values = count * classes;
    (void)amun__loss_cross_entropy(logits + values, targets, weights, count, classes, 1.0, dy);
    for (size_t b = 0; b < count; b++) {
        const float *z = logits + values + b * classes, *along = logits + b * classes;
        const double weight = weights != NULL ? (double)weights[b] : 1.0;
        double top = (double)z[0], sum = 0.0, mean = 0.0;
        for (size_t k = 1; k < classes; k++) {
            top = (double)z[k] > top ? (double)z[k] : top;
        }
        for (size_t k = 0; k < classes; k++) {
            const double e = exp((double)z[k] - top);
            sum += e;
            mean += e * (double)along[k];
        }
        mean /= sum;
        for (size_t k = 0; k < classes; k++) {
            const double p = exp((double)z[k] - top) / sum;
            dy[values + b * classes + k] = (float)(weight * p * ((double)along[k] - mean));
        }
    }
}
