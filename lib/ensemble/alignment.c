/* alignment.c - input gradients of all members on one batch, the cosines between them, and the way
 * back from those to the parameters. */
#include "core/linalg.h"
#include "ensemble/alignment.h"

/* Below this a gradient has no direction worth the name. */
#define LEAST_NORM 1e-12

amun_status amun__alignment_open(amun__alignment *a, const amun__joint *joint)
{
    const size_t count = joint->count, pairs = count * (count - 1) / 2; /* count is at most 64 */
    size_t values, bytes = 0;
    *a = (amun__alignment){
        .ctx = joint->ctx, .count = count, .batch = joint->batch, .pixels = joint->pixels};
    if (!amun__mul_size(&values, count * joint->batch, joint->pixels)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY,
                          "a batch of %zu images of %zu values is too large for %zu members",
                          joint->batch, joint->pixels, count);
    }
    AMUN__CHECK(amun__alloc(a->ctx, &a->g, values, sizeof *a->g));
    AMUN__CHECK(amun__alloc(a->ctx, &a->v, values, sizeof *a->v));
    AMUN__CHECK(amun__alloc(a->ctx, &a->cosines, a->batch * pairs, sizeof *a->cosines));
    AMUN__CHECK(amun__alloc(a->ctx, &a->slopes, a->batch * pairs, sizeof *a->slopes));
    AMUN__CHECK(amun__alloc(a->ctx, &a->norms, a->batch * count, sizeof *a->norms));
    AMUN__CHECK(amun__alloc(a->ctx, &a->values, a->batch, sizeof *a->values));
    AMUN__CHECK(amun__calloc(a->ctx, &a->curvatures, count, sizeof(amun__curvature *)));
    for (size_t i = 0; i < count; i++) {
        AMUN__CHECK(amun__curvature_open(&a->curvatures[i], joint->models[i], a->batch));
        const size_t wanted = amun__curvature_bytes(a->curvatures[i]);
        bytes = wanted > bytes ? wanted : bytes;
    }
    return amun__alloc(a->ctx, &a->space, bytes, 1);
}

void amun__alignment_close(amun__alignment *a)
{
    if (a->ctx == NULL) {
        return;
    }
    for (size_t i = 0; i < a->count && a->curvatures != NULL; i++) {
        amun__curvature_close(a->curvatures[i]);
    }
    void *const owned[] = {a->curvatures, a->space,  a->g,     a->v,
                           a->cosines,    a->slopes, a->norms, a->values};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        amun__free(a->ctx, owned[i]);
    }
    *a = (amun__alignment){0};
}

float *amun__alignment_g(const amun__alignment *a, size_t member)
{
    return a->g + member * a->batch * a->pixels;
}

float *amun__alignment_v(const amun__alignment *a, size_t member)
{
    return a->v + member * a->batch * a->pixels;
}

/* ---- gradients of the images ------------------------------------------------------------------
 */

amun_status amun__alignment_begin(amun__alignment *a, amun__step *step)
{
    const amun__batch *batch = step->batch;
    const float whole = (float)batch->count; /* the seed is that of the mean */
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        amun__member *m = &step->members[i];
        float *g = amun__alignment_g(a, i);
        AMUN__CHECK(amun__step_forward(step, i, batch->images));
        step->loss +=
            amun__loss_cross_entropy(m->logits, batch->targets, batch->weights, batch->count,
                                     step->classes, 1.0 / (double)batch->count, m->seed);
        if (!isfinite(step->loss)) {
            return AMUN_OK; /* the run says where */
        }
        amun__step_count_right(step, m->logits);
        AMUN__CHECK(amun__step_backward(step, i, m->seed, AMUN__PASS_STATISTICS, g));
#pragma omp parallel for simd schedule(static)
        for (size_t k = 0; k < batch->count * a->pixels; k++) {
            g[k] *= whole;
        }
    }
    return AMUN_OK;
}

amun_status amun__alignment_gradient(amun__alignment *a, amun__step *step, size_t member,
                                     const float *images)
{
    const amun__batch *batch = step->batch;
    amun__member *m = &step->members[member];
    AMUN__CHECK(amun__step_forward(step, member, images));
    (void)amun__loss_cross_entropy(m->logits, batch->targets, batch->weights, batch->count,
                                   step->classes, 1.0, m->seed);
    return amun__plan_backward(amun__step_plan(step, member), m->seed, amun__alignment_g(a, member),
                               NULL);
}

/* ---- cosines ----------------------------------------------------------------------------------
 */

static const float *row_of(const amun__alignment *a, size_t member, size_t sample)
{
    return a->g + (member * a->batch + sample) * a->pixels;
}

/* Norms and cosines of one sample. */
static void measure(const amun__alignment *a, size_t sample)
{
    double *norms = a->norms + sample * a->count;
    double *cosine = a->cosines + sample * (a->count * (a->count - 1) / 2);
    for (size_t i = 0; i < a->count; i++) {
        const float *g = row_of(a, i, sample);
        const double norm = sqrt(amun__dot_f32(g, g, a->pixels));
        norms[i] = norm < LEAST_NORM ? 0.0 : norm;
    }
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = i + 1; j < a->count; j++) {
            const bool both = norms[i] > 0.0 && norms[j] > 0.0;
            *cosine++ = both
                            ? amun__dot_f32(row_of(a, i, sample), row_of(a, j, sample), a->pixels) /
                                  (norms[i] * norms[j])
                            : 0.0;
        }
    }
}

/* v_i += slope * d cos(g_i, g_j) / d g_i = slope * (g_j / |g_j| - cos g_i / |g_i|) / |g_i|. */
static void pull(const amun__alignment *a, size_t sample, size_t i, size_t j, double cosine,
                 double slope)
{
    const double *norms = a->norms + sample * a->count;
    if (!(norms[i] > 0.0 && norms[j] > 0.0)) {
        return;
    }
    const double other = slope / (norms[i] * norms[j]);
    const double own = -slope * cosine / (norms[i] * norms[i]);
    const float *gi = row_of(a, i, sample), *gj = row_of(a, j, sample);
    float *v = a->v + (i * a->batch + sample) * a->pixels;
#pragma omp simd
    for (size_t k = 0; k < a->pixels; k++) {
        v[k] = (float)((double)v[k] + other * (double)gj[k] + own * (double)gi[k]);
    }
}

double amun__alignment_cosines(amun__alignment *a, size_t samples, amun__cosine_term term)
{
    const size_t pairs = a->count * (a->count - 1) / 2;
    double total = 0.0;
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < samples; b++) {
        const double *cosine = a->cosines + b * pairs, *slope = a->slopes + b * pairs;
        measure(a, b);
        a->values[b] = term(cosine, pairs, a->slopes + b * pairs);
        for (size_t i = 0; i < a->count; i++) {
            memset(a->v + (i * a->batch + b) * a->pixels, 0, a->pixels * sizeof *a->v);
        }
        for (size_t i = 0, at = 0; i < a->count; i++) {
            for (size_t j = i + 1; j < a->count; j++, at++) {
                pull(a, b, i, j, cosine[at], slope[at]);
                pull(a, b, j, i, cosine[at], slope[at]);
            }
        }
    }
    for (size_t b = 0; b < samples; b++) {
        total += a->values[b];
    }
    return total;
}

/* ---- the way back -----------------------------------------------------------------------------
 */

amun_status amun__alignment_curve(amun__alignment *a, amun__step *step, size_t member,
                                  const float *images, const float *direction, double scale,
                                  float *diff_src)
{
    const amun__batch *batch = step->batch;
    const amun__curvature_pass pass = {
        .count = batch->count,
        .images = images,
        .direction = direction,
        .targets = batch->targets,
        .weights = batch->weights,
        .space = a->space,
        .scale = scale,
        .diff = diff_src == NULL ? step->members[member].diff : NULL,
        .diff_src = diff_src,
    };
    return amun__curvature_run(a->curvatures[member], &pass);
}
