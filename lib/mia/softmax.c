/* softmax.c - multinomial logistic regression: Newton's method, whose steps conjugate gradients
 * find, so that no Hessian of features times classes is ever formed. */
#include "core/linalg.h"
#include "mia/classes.h"

/* Weights [classes][width], behind them the offsets [classes]: `total` values in one vector. */
typedef struct problem {
    const double *x;
    const int64_t *y;
    size_t n, width, classes, total;
    double ridge;
    double *z, *p,
        *change; /* [n][classes]: logits, probabilities, change of the logits along a step */
} problem;

amun_status amun__softmax_logits(double *out, const double *x, const double *w,
                                 const double *offsets, size_t n, size_t width, size_t classes)
{
    AMUN__CHECK(amun__gemm_f64(false, true, (int64_t)n, (int64_t)classes, (int64_t)width, 1.0, x, w,
                               0.0, out));
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < classes; j++) {
            out[i * classes + j] += offsets[j];
        }
    }
    return AMUN_OK;
}

size_t amun__softmax_top(const double *logits, size_t classes)
{
    size_t top = 0;
    for (size_t j = 1; j < classes; j++) {
        top = logits[j] > logits[top] ? j : top;
    }
    return top;
}

static amun_status logits_of(const problem *q, const double *w, double *out)
{
    return amun__softmax_logits(out, q->x, w, w + q->classes * q->width, q->n, q->width,
                                q->classes);
}

/* g = rows^T x with column sums behind it, rows [n][classes]; then the penalty's share of w. */
static amun_status pull_back(const problem *q, const double *rows, const double *w, double *g)
{
    const size_t weights = q->classes * q->width;
    double *offset = g + weights;
    AMUN__CHECK(amun__gemm_f64(true, false, (int64_t)q->classes, (int64_t)q->width, (int64_t)q->n,
                               1.0, rows, q->x, 0.0, g));
    memset(offset, 0, q->classes * sizeof *offset);
    for (size_t i = 0; i < q->n; i++) {
        for (size_t j = 0; j < q->classes; j++) {
            offset[j] += rows[i * q->classes + j];
        }
    }
    for (size_t k = 0; k < weights; k++) {
        g[k] += q->ridge * w[k];
    }
    return AMUN_OK;
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;
    for (size_t k = 0; k < n; k++) {
        sum += a[k] * b[k];
    }
    return sum;
}

/* Loss of the rows at logits z + t change. */
static double loss_at(const problem *q, double t)
{
    double sum = 0.0;
    for (size_t i = 0; i < q->n; i++) {
        const double *z = q->z + i * q->classes, *d = q->change + i * q->classes;
        double top = -INFINITY, others = 0.0;
        for (size_t j = 0; j < q->classes; j++) {
            top = fmax(top, z[j] + t * d[j]);
        }
        for (size_t j = 0; j < q->classes; j++) {
            others += exp(z[j] + t * d[j] - top);
        }
        sum += top + log(others) - z[q->y[i]] - t * d[q->y[i]];
    }
    return sum;
}

/* p, and the gradient at w, whose logits are in z. Uses `change`. */
static amun_status gradient(const problem *q, const double *w, double *g)
{
    for (size_t i = 0; i < q->n; i++) {
        const double *z = q->z + i * q->classes;
        double *p = q->p + i * q->classes, *d = q->change + i * q->classes;
        double top = -INFINITY, sum = 0.0;
        for (size_t j = 0; j < q->classes; j++) {
            top = fmax(top, z[j]);
        }
        for (size_t j = 0; j < q->classes; j++) {
            p[j] = exp(z[j] - top);
            sum += p[j];
        }
        for (size_t j = 0; j < q->classes; j++) {
            p[j] /= sum;
            d[j] = p[j] - ((size_t)q->y[i] == j ? 1.0 : 0.0);
        }
    }
    return pull_back(q, q->change, w, g);
}

/* out = H v, H the Hessian where p was taken: rows p (a - sum p a) with a the change of the logits.
 */
static amun_status curve(const problem *q, const double *v, double *out)
{
    AMUN__CHECK(logits_of(q, v, q->change));
    for (size_t i = 0; i < q->n; i++) {
        const double *p = q->p + i * q->classes;
        double *d = q->change + i * q->classes;
        const double mean = dot(p, d, q->classes);
        for (size_t j = 0; j < q->classes; j++) {
            d[j] = p[j] * (d[j] - mean);
        }
    }
    return pull_back(q, q->change, v, out);
}

/* H step = -g by conjugate gradients, as exactly as the distance to the minimum deserves. Room:
 * three vectors. A common shift of all offsets has no curvature, and no gradient either. */
static amun_status find_step(const problem *q, const double *g, double forcing, double *step,
                             double *room)
{
    enum { MOST = 500 };
    double *r = room, *d = room + q->total, *hd = d + q->total;
    double square = dot(g, g, q->total), began = square;
    for (size_t k = 0; k < q->total; k++) {
        r[k] = d[k] = -g[k];
        step[k] = 0.0;
    }
    for (int round = 0; round < MOST && square > forcing * forcing * began; round++) {
        AMUN__CHECK(curve(q, d, hd));
        const double curvature = dot(d, hd, q->total);
        if (!(curvature > 0.0)) {
            break;
        }
        const double a = square / curvature, before = square;
        for (size_t k = 0; k < q->total; k++) {
            step[k] += a * d[k];
            r[k] -= a * hd[k];
        }
        square = dot(r, r, q->total);
        for (size_t k = 0; k < q->total; k++) {
            d[k] = r[k] + square / before * d[k];
        }
    }
    return AMUN_OK;
}

/* Halves the step until the objective falls enough; *moved false: it cannot fall any more. */
static amun_status take_step(const problem *q, double *w, const double *step, const double *g,
                             double *value, bool *moved)
{
    const size_t weights = q->classes * q->width;
    const double slope = dot(g, step, q->total);
    const double straight = q->ridge * dot(w, step, weights),
                 bent = q->ridge * dot(step, step, weights);
    const double penalty = 0.5 * q->ridge * dot(w, w, weights);
    *moved = false;
    AMUN__CHECK(logits_of(q, step, q->change));
    for (double t = 1.0; t > 1e-12 && !*moved; t *= 0.5) {
        const double now = loss_at(q, t) + penalty + t * straight + 0.5 * t * t * bent;
        if (now < *value && now <= *value + 1e-4 * t * slope) {
            for (size_t k = 0; k < q->total; k++) {
                w[k] += t * step[k];
            }
            *value = now;
            *moved = true;
        }
    }
    return AMUN_OK;
}

enum { MOST_STEPS = 200 };

/* Room: gradient, step and three vectors more, of `total` values each. */
static amun_status newton(const problem *q, double *w, double *room, amun__progress_state *progress)
{
    double *g = room, *step = room + q->total, *rest = room + 2 * q->total, began = 0.0;
    for (int32_t round = 0; round < MOST_STEPS; round++) {
        bool moved = false;
        AMUN__CHECK(logits_of(q, w, q->z));
        memset(q->change, 0, q->n * q->classes * sizeof *q->change);
        const size_t weights = q->classes * q->width;
        double value = loss_at(q, 0.0) + 0.5 * q->ridge * dot(w, w, weights);
        AMUN__CHECK(gradient(q, w, g));
        const double size = sqrt(dot(g, g, q->total));
        if (!isfinite(value) || !isfinite(size)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "probe: the loss is %g, the gradient %g", value,
                              size);
        }
        began = round == 0 ? size : began;
        if (size > 1e-9 * began) {
            AMUN__CHECK(find_step(q, g, fmin(0.1, sqrt(size / began)), step, rest));
            AMUN__CHECK(take_step(q, w, step, g, &value, &moved));
        }
        const uint64_t done = moved ? (uint64_t)round : MOST_STEPS;
        AMUN__CHECK(
            amun__progress_tick(progress, "probe", done, MOST_STEPS, value / (double)q->n, NAN));
        if (!moved) {
            return AMUN_OK; /* at the minimum, or down to the rounding of the objective */
        }
    }
    return amun__fail(AMUN_ERROR_NUMERIC, "probe: no convergence in %d steps", (int)MOST_STEPS);
}

amun_status amun__softmax_fit(amun_context *ctx, double *w, const double *x, const int64_t *y,
                              size_t n, size_t width, size_t classes, double ridge,
                              amun__progress_state *progress)
{
    problem q = {.x = x, .y = y, .n = n, .width = width, .classes = classes, .ridge = ridge};
    amun_status status = AMUN_OK;
    double *room = NULL, *rows = NULL;
    size_t cells, vectors;
    if (!amun__mul_size(&q.total, classes, width + 1) || !amun__mul_size(&vectors, q.total, 5) ||
        !amun__mul_size(&cells, n, classes) || !amun__mul_size(&cells, cells, 3)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu rows of %zu features are too many", n,
                          width);
    }
    AMUN__TRY(amun__alloc(ctx, &room, vectors, sizeof *room));
    AMUN__TRY(amun__alloc(ctx, &rows, cells, sizeof *rows));
    q.z = rows;
    q.p = rows + n * classes;
    q.change = rows + 2 * n * classes;
    memset(w, 0, q.total * sizeof *w);
    AMUN__TRY(newton(&q, w, room, progress));
fail:
    amun__free(ctx, rows);
    amun__free(ctx, room);
    return status;
}
