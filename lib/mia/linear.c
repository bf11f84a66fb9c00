/* linear.c - linear classifiers by Newton's method: few features, many samples, one answer. */
#include "core/linalg.h"
#include "mia/classes.h"

typedef struct problem {
    amun__loss_kind loss;
    const double *x;
    const uint8_t *y;
    size_t n, width;
    double ridge;
    const double *cost;
} problem;

double amun__linear_value(const double *w, const double *x, size_t width)
{
    double sum = w[width];
    for (size_t k = 0; k < width; k++) {
        sum += w[k] * x[k];
    }
    return sum;
}

/* Loss at margin m, and its first two derivatives (nullable together). */
static double loss_at(amun__loss_kind kind, double m, double *first, double *second)
{
    if (kind == AMUN__SQUARED_HINGE) {
        const double short_of = fmax(0.0, 1.0 - m);
        if (first != NULL) {
            *first = -2.0 * short_of;
            *second = m < 1.0 ? 2.0 : 0.0;
        }
        return short_of * short_of;
    }
    const double e = exp(-fabs(m)); /* never overflows */
    if (first != NULL) {
        *first = -(m > 0.0 ? e : 1.0) / (1.0 + e);
        *second = e / ((1.0 + e) * (1.0 + e));
    }
    return log1p(e) + fmax(0.0, -m);
}

static double penalty_of(const problem *p, size_t k)
{
    return k < p->width || p->loss == AMUN__SQUARED_HINGE ? p->ridge : 0.0;
}

static double objective(const problem *p, const double *w)
{
    double sum = 0.0;
    for (size_t k = 0; k <= p->width; k++) {
        sum += 0.5 * penalty_of(p, k) * w[k] * w[k];
    }
    for (size_t i = 0; i < p->n; i++) {
        const double f = amun__linear_value(w, p->x + i * p->width, p->width);
        sum += p->cost[p->y[i]] * loss_at(p->loss, p->y[i] ? f : -f, NULL, NULL);
    }
    return sum;
}

enum { BLOCK = 256 }; /* rows that enter the Hessian in one product */

/* Gradient g[width + 1] and Hessian, with room for a block of rows. The offset's own entry is
 * raised a little, so that a Hessian of separated samples can still be factored; the minimum stays.
 */
static amun_status derivatives(const problem *p, const double *w, double *g, double *hessian,
                               double *block)
{
    const size_t d = p->width + 1;
    const int64_t extent = (int64_t)d;
    int64_t rows = 0;
    memset(hessian, 0, d * d * sizeof *hessian);
    for (size_t k = 0; k < d; k++) {
        g[k] = penalty_of(p, k) * w[k];
        hessian[k * d + k] = penalty_of(p, k);
    }
    hessian[d * d - 1] += 1e-10 * (double)p->n;
    for (size_t i = 0; i < p->n; i++) {
        const double *x = p->x + i * p->width;
        const double f = amun__linear_value(w, x, p->width), sign = p->y[i] ? 1.0 : -1.0;
        double first, second;
        (void)loss_at(p->loss, sign * f, &first, &second);
        first *= sign * p->cost[p->y[i]];
        if (second > 0.0) {
            const double root = sqrt(second * p->cost[p->y[i]]);
            double *row = block + (size_t)rows++ * d;
            for (size_t k = 0; k < d; k++) {
                row[k] = root * (k < p->width ? x[k] : 1.0);
            }
        }
        for (size_t k = 0; k < d; k++) {
            g[k] += first * (k < p->width ? x[k] : 1.0);
        }
        if (rows == BLOCK || (i + 1 == p->n && rows > 0)) {
            AMUN__CHECK(
                amun__gemm_f64(true, false, extent, extent, rows, 1.0, block, block, 1.0, hessian));
            rows = 0;
        }
    }
    return AMUN_OK;
}

static double largest(const double *g, size_t n)
{
    double top = 0.0;
    for (size_t k = 0; k < n; k++) {
        top = fmax(top, fabs(g[k]));
    }
    return top;
}

/* Halves the step until the objective falls enough; false: it cannot fall any more. */
static bool take_step(const problem *p, double *w, double *trial, const double *step,
                      const double *g, double *value)
{
    const size_t d = p->width + 1;
    double slope = 0.0;
    for (size_t k = 0; k < d; k++) {
        slope -= g[k] * step[k];
    }
    for (double t = 1.0; t > 1e-12; t *= 0.5) {
        for (size_t k = 0; k < d; k++) {
            trial[k] = w[k] - t * step[k];
        }
        const double now = objective(p, trial);
        if (now < *value && now <= *value + 1e-4 * t * slope) {
            memcpy(w, trial, d * sizeof *w);
            *value = now;
            return true;
        }
    }
    return false;
}

enum { MOST_STEPS = 200 };

/* Room: gradient, trial point and step of d values each, Hessian d * d, a block of rows. */
static amun_status newton(const problem *p, double *w, double *room)
{
    const size_t d = p->width + 1;
    double *g = room, *trial = room + d, *step = room + 2 * d, *hessian = room + 3 * d;
    double value = objective(p, w), began = 0.0;
    if (!isfinite(value)) {
        return amun__fail(AMUN_ERROR_NUMERIC, "linear classifier: a feature is not finite");
    }
    for (int32_t round = 0; round < MOST_STEPS; round++) {
        bool positive = false;
        AMUN__CHECK(derivatives(p, w, g, hessian, hessian + d * d));
        const double size = largest(g, d);
        began = round == 0 ? size : began;
        if (size <= 1e-10 * fmax(1.0, began)) {
            return AMUN_OK;
        }
        memcpy(step, g, d * sizeof *step);
        AMUN__CHECK(amun__cholesky_solve_f64((int64_t)d, hessian, step, &positive));
        if (!positive) {
            return amun__fail(AMUN_ERROR_NUMERIC, "linear classifier: singular with ridge %g",
                              p->ridge);
        }
        if (!take_step(p, w, trial, step, g, &value)) {
            return AMUN_OK; /* down to the rounding of the objective */
        }
    }
    return amun__fail(AMUN_ERROR_NUMERIC, "linear classifier: no convergence in %d steps",
                      (int)MOST_STEPS);
}

amun_status amun__linear_fit(amun_context *ctx, amun__loss_kind loss, double *w, const double *x,
                             const uint8_t *y, size_t n, size_t width, double ridge,
                             const double cost[2])
{
    const problem p = {loss, x, y, n, width, ridge, cost};
    const size_t d = width + 1;
    double *room = NULL;
    size_t count;
    if (!amun__mul_size(&count, d, d + 3 + BLOCK)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu features are too many", width);
    }
    AMUN__CHECK(amun__alloc(ctx, &room, count, sizeof *room));
    memset(w, 0, d * sizeof *w);
    amun_status status = newton(&p, w, room);
    amun__free(ctx, room);
    return status;
}
