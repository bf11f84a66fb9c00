/* project.c - one sample at a time: norms, steps, projections, random starts, seeds.
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

static float clamp01(double v)
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
        a[i] = clamp01((double)x[i] + shrink * d);
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
        a[i] = clamp01((double)x[i] + d);
    }
}

void amun__project_start_l2(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                            size_t n)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_ATTACK, 0, (uint64_t)id);
    for (size_t i = 0; i < n; i++) {
        a[i] = (float)amun__rng_normal(&rng);
    }
    double norm = amun__project_norm(a, n);
    double scale = norm > 0.0 ? amun__rng_uniform(&rng) * eps / norm : 0.0;
    for (size_t i = 0; i < n; i++) {
        a[i] = clamp01((double)x[i] + scale * (double)a[i]);
    }
}

void amun__project_start_linf(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                              size_t n)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_ATTACK, 0, (uint64_t)id);
    for (size_t i = 0; i < n; i++) {
        a[i] = clamp01((double)x[i] + (2.0 * amun__rng_uniform(&rng) - 1.0) * eps);
    }
}

void amun__project_seed_entropy(const float *logits, size_t classes, int32_t label, float *seed)
{
    double top = (double)logits[0];
    for (size_t k = 1; k < classes; k++) {
        top = (double)logits[k] > top ? (double)logits[k] : top;
    }
    double others = 0.0; /* mass of the wrong classes, summed on its own: 1 - p would cancel */
    for (size_t k = 0; k < classes; k++) {
        others += k != (size_t)label ? exp((double)logits[k] - top) : 0.0;
    }
    double sum = others + exp((double)logits[label] - top);
    for (size_t k = 0; k < classes; k++) {
        seed[k] = (float)(exp((double)logits[k] - top) / sum);
    }
    seed[label] = (float)(-others / sum);
}

void amun__project_seed_margin(const float *logits, size_t classes, int32_t label, float *seed)
{
    size_t rival = label == 0 ? 1 : 0;
    for (size_t k = 0; k < classes; k++) {
        seed[k] = 0.0f;
        rival = k != (size_t)label && logits[k] > logits[rival] ? k : rival;
    }
    seed[rival] = 1.0f;
    seed[label] = -1.0f;
}
