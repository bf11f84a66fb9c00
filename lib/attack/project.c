/* project.c - one sample at a time: norms, steps, projections, random starts.
 *
 * Everything is computed in double and rounded once to float. Sums run over eight fixed lanes that
 * are combined in one order, so a result depends on the sample alone: not on its batch, not on the
 * number of threads, not on the width of the machine's vectors. */
#include "attack/attack_private.h"

enum { LANES = 8 };
/* Keeps a division by the gradient's norm harmless (torchattacks uses the same value). */
static const double tiny_norm = 1e-10;

static double combine(const double lanes[LANES])
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

float amun__project_clamp01(double v)
{
    v = v < 0.0 ? 0.0 : v;
    v = v > 1.0 ? 1.0 : v;
    return (float)v;
}

double amun__project_norm(const float *v, size_t n)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            lanes[k] += (double)v[i + k] * (double)v[i + k];
        }
    }
    for (size_t k = 0; i < n; i++, k++) {
        lanes[k] += (double)v[i] * (double)v[i];
    }
    return sqrt(combine(lanes));
}

double amun__project_distance(const float *a, const float *b, size_t n)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            double d = (double)a[i + k] - (double)b[i + k];
            lanes[k] += d * d;
        }
    }
    for (size_t k = 0; i < n; i++, k++) {
        double d = (double)a[i] - (double)b[i];
        lanes[k] += d * d;
    }
    return sqrt(combine(lanes));
}

double amun__project_distance_linf(const float *a, const float *b, size_t n)
{
    double most = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        most = d > most ? d : most;
    }
    return most;
}

/* Norm of (a + rate * g) - x. */
static double moved_distance(const float *a, const float *x, const float *g, double rate, size_t n)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            double d = ((double)a[i + k] + rate * (double)g[i + k]) - (double)x[i + k];
            lanes[k] += d * d;
        }
    }
    for (size_t k = 0; i < n; i++, k++) {
        double d = ((double)a[i] + rate * (double)g[i]) - (double)x[i];
        lanes[k] += d * d;
    }
    return sqrt(combine(lanes));
}

void amun__project_step_l2(float *a, const float *x, const float *g, double g_norm, double alpha,
                           double eps, size_t n)
{
    double rate = alpha / (g_norm + tiny_norm);
    double distance = moved_distance(a, x, g, rate, n);
    /* guarded: distance 0 must not become eps / 0 */
    double shrink = distance > eps ? eps / distance : 1.0;
    for (size_t i = 0; i < n; i++) {
        double d = ((double)a[i] + rate * (double)g[i]) - (double)x[i];
        /* x is inside the box, so clamping never takes a farther from x */
        a[i] = amun__project_clamp01((double)x[i] + shrink * d);
    }
}

void amun__project_step_sphere(float *a, const float *x, const float *g, double g_norm,
                               double alpha, double eps, size_t n)
{
    double rate = alpha / (g_norm + tiny_norm);
    double distance = moved_distance(a, x, g, rate, n);
    double scale = distance > 0.0 ? eps / distance : 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = ((double)a[i] + rate * (double)g[i]) - (double)x[i];
        a[i] = amun__project_clamp01((double)x[i] + scale * d);
    }
}

void amun__project_step_linf(float *a, const float *x, const float *g, double alpha, double eps,
                             size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double sign = (double)((g[i] > 0.0f) - (g[i] < 0.0f));
        double d = ((double)a[i] + alpha * sign) - (double)x[i];
        d = d < -eps ? -eps : d; /* two plain choices: compilers make minima and maxima of them */
        d = d > eps ? eps : d;
        a[i] = amun__project_clamp01((double)x[i] + d);
    }
}

void amun__project_start_l2(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                            uint32_t draw, size_t n)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_ATTACK, draw, (uint64_t)id);
    for (size_t i = 0; i < n; i++) {
        a[i] = (float)amun__rng_normal(&rng);
    }
    double norm = amun__project_norm(a, n);
    double scale = norm > 0.0 ? amun__rng_uniform(&rng) * eps / norm : 0.0;
    for (size_t i = 0; i < n; i++) {
        a[i] = amun__project_clamp01((double)x[i] + scale * (double)a[i]);
    }
}

void amun__project_start_linf(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                              uint32_t draw, size_t n)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_ATTACK, draw, (uint64_t)id);
    for (size_t i = 0; i < n; i++) {
        a[i] = amun__project_clamp01((double)x[i] + (2.0 * amun__rng_uniform(&rng) - 1.0) * eps);
    }
}

void amun__project_start(amun_norm norm, float *a, const float *x, double eps, uint64_t seed,
                         int64_t id, uint32_t draw, size_t n)
{
    if (norm == AMUN_NORM_L2) {
        amun__project_start_l2(a, x, eps, seed, id, draw, n);
    } else {
        amun__project_start_linf(a, x, eps, seed, id, draw, n);
    }
}

/* ---- APGD -------------------------------------------------------------------------------------
 */

static double clamp_to(double v, double most)
{
    v = v < -most ? -most : v;
    return v > most ? most : v;
}

void amun__project_momentum_linf(float *a, float *before, const float *x, const float *g,
                                 double step, double alpha, double eps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double centre = (double)x[i], at = (double)a[i];
        double sign = (double)((g[i] > 0.0f) - (g[i] < 0.0f));
        double z = (double)amun__project_clamp01(centre + clamp_to(at + step * sign - centre, eps));
        double y = at + alpha * (z - at) + (1.0 - alpha) * (at - (double)before[i]);
        before[i] = a[i];
        a[i] = amun__project_clamp01(centre + clamp_to(y - centre, eps));
    }
}

void amun__project_momentum_l2(float *a, float *before, const float *x, const float *g,
                               double g_norm, double step, double alpha, double eps, size_t n)
{
    double rate = g_norm > 0.0 ? step / g_norm : 0.0;
    double distance = moved_distance(a, x, g, rate, n);
    double shrink = distance > eps ? eps / distance : 1.0;
    for (size_t i = 0; i < n; i++) {
        double centre = (double)x[i], at = (double)a[i];
        double d = (at + rate * (double)g[i]) - centre;
        double z = (double)amun__project_clamp01(centre + shrink * d);
        /* the place of the point before the last one holds the unprojected sum for a moment */
        before[i] = (float)(at + alpha * (z - at) + (1.0 - alpha) * (at - (double)before[i]));
    }
    distance = amun__project_distance(before, x, n);
    shrink = distance > eps ? eps / distance : 1.0;
    for (size_t i = 0; i < n; i++) {
        double y = (double)before[i];
        before[i] = a[i];
        a[i] = amun__project_clamp01((double)x[i] + shrink * (y - (double)x[i]));
    }
}

/* ---- normalised coordinates -------------------------------------------------------------------
 */

/* z = (v - mean) / std. */
static double pull(const amun__box *box, size_t channel, double v)
{
    return (v - box->mean[channel]) / box->std[channel];
}

static float push(const amun__box *box, size_t channel, double z)
{
    z = z < 0.0 ? 0.0 : z;
    z = z > 1.0 ? 1.0 : z;
    return amun__project_clamp01(box->mean[channel] + box->std[channel] * z);
}

void amun__project_step_legacy(float *a, const float *x, const float *g, double alpha, double eps,
                               const amun__box *box, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t c = i / box->plane;
        double z = pull(box, c, (double)x[i]);
        double sign = (double)((g[i] > 0.0f) - (g[i] < 0.0f));
        double d = pull(box, c, (double)a[i]) + alpha * sign - z;
        a[i] = push(box, c, z + clamp_to(d, eps));
    }
}

void amun__project_start_legacy(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                                const amun__box *box, size_t n)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_ATTACK, 0, (uint64_t)id);
    for (size_t i = 0; i < n; i++) {
        size_t c = i / box->plane;
        double d = (2.0 * amun__rng_uniform(&rng) - 1.0) * eps;
        a[i] = push(box, c, pull(box, c, (double)x[i]) + d);
    }
}
