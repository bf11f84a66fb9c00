/* trs.c - transferability reduced smooth ensembles (arXiv 2104.00671): the members'
 * cross-entropies, plus
 *     a * mean_{i<j} mean_b |cos(g_i, g_j)| + b * mean_i mean_b 2 |g_i(x~)|^2,
 * where half of x~ is clean and half goes where sum_i |g_i|^2 is largest nearby. */
#include "core/linalg.h"
#include "ensemble/alignment.h"
#include "ensemble/trs.h"

#define FIRST_EPS 0.005 /* radius in the first epoch */

typedef struct trs {
    amun__alignment alignment;
    float *images;     /* x~, [batch][pixels] */
    float *rise, *sum; /* of the attack: slope of one member, of all; [batch][pixels] */
} trs;

static amun_status open_trs(amun__joint *joint)
{
    trs *own = NULL;
    AMUN__CHECK(amun__calloc(joint->ctx, &own, 1, sizeof *own));
    joint->own = own;
    AMUN__CHECK(amun__alignment_open(&own->alignment, joint));
    const size_t values = joint->batch * joint->pixels; /* the alignment holds more */
    AMUN__CHECK(amun__alloc(joint->ctx, &own->images, values, sizeof *own->images));
    AMUN__CHECK(amun__alloc(joint->ctx, &own->rise, values, sizeof *own->rise));
    return amun__alloc(joint->ctx, &own->sum, values, sizeof *own->sum);
}

static void close_trs(amun__joint *joint)
{
    trs *own = joint->own;
    if (own != NULL) {
        amun__alignment_close(&own->alignment);
        amun__free(joint->ctx, own->images);
        amun__free(joint->ctx, own->rise);
        amun__free(joint->ctx, own->sum);
        amun__free(joint->ctx, own);
    }
}

static double similarity(const double *cosines, size_t pairs, double *slopes)
{
    const double mean = 1.0 / (double)pairs;
    double sum = 0.0;
    for (size_t k = 0; k < pairs; k++) {
        slopes[k] = cosines[k] > 0.0 ? mean : cosines[k] < 0.0 ? -mean : 0.0;
        sum += fabs(cosines[k]);
    }
    return sum * mean;
}

/* ---- x~ ---------------------------------------------------------------------------------------
 */

/* Linear in the epochs, from FIRST_EPS to attack_eps in the last one. */
static double radius(const amun__joint *joint, int64_t epoch)
{
    const double most = joint->options.attack_eps, first = most < FIRST_EPS ? most : FIRST_EPS;
    const int32_t epochs = joint->train.epochs;
    return epochs > 1 ? first + (most - first) * (double)epoch / (double)(epochs - 1) : most;
}

/* One step uphill on sum_i |g_i(x~)|^2, whose slope is 2 sum_i H_i g_i: a second derivative along
 * the gradient itself. Train mode, as in the term, and rows of the clean half are in the batch. */
static amun_status climb(const amun__joint *joint, amun__step *step, double eps, double size)
{
    trs *own = joint->own;
    amun__alignment *a = &own->alignment;
    const size_t rows = step->batch->count, values = rows * joint->pixels;
    memset(own->sum, 0, values * sizeof *own->sum);
    for (size_t i = 0; i < step->count; i++) {
        AMUN__CHECK(amun__alignment_gradient(a, step, i, own->images));
        AMUN__CHECK(amun__alignment_curve(a, step, i, own->images, amun__alignment_g(a, i), 1.0,
                                          own->rise));
        for (size_t k = 0; k < values; k++) {
            own->sum[k] += own->rise[k];
        }
    }
#pragma omp parallel for schedule(static)
    for (size_t row = rows / 2; row < rows; row++) {
        const size_t at = row * joint->pixels;
        amun__project_step_linf(own->images + at, step->batch->images + at, own->sum + at, size,
                                eps, joint->pixels);
    }
    return AMUN_OK;
}

/* Starts are keyed by (seed, step, place in the batch). */
static amun_status make_images(const amun__joint *joint, amun__step *step)
{
    trs *own = joint->own;
    const size_t rows = step->batch->count, pixels = joint->pixels;
    const double eps = radius(joint, step->epoch);
    const double size = joint->options.attack_step > 0.0 ? joint->options.attack_step : eps / 3.0;
    memcpy(own->images, step->batch->images, rows * pixels * sizeof *own->images);
    for (size_t row = rows / 2; row < rows; row++) {
        const size_t at = row * pixels;
        amun__project_start_linf(own->images + at, step->batch->images + at, eps,
                                 joint->options.seed, (int64_t)row, (uint32_t)step->index, pixels);
    }
    for (int32_t i = 0; i < joint->options.attack_steps; i++) {
        AMUN__CHECK(climb(joint, step, eps, size));
    }
    return AMUN_OK;
}

const float *amun__trs_images(const amun__joint *joint)
{
    return ((const trs *)joint->own)->images;
}

/* ---- the step -------------------------------------------------------------------------------- */

static double squares(const amun__alignment *a, size_t member, size_t rows)
{
    const float *g = amun__alignment_g(a, member);
    return amun__dot_f32(g, g, rows * a->pixels);
}

/* At the clean images, g is there already, and one pass carries both terms. */
static void add_clean_smoothness(const amun__joint *joint, amun__step *step)
{
    trs *own = joint->own;
    const double by = joint->options.trs_smooth / (double)step->count;
    for (size_t i = 0; i < step->count; i++) {
        const float *g = amun__alignment_g(&own->alignment, i);
        float *v = amun__alignment_v(&own->alignment, i);
        step->loss += 2.0 * by * squares(&own->alignment, i, step->batch->count);
        for (size_t k = 0; k < step->batch->count * joint->pixels; k++) {
            v[k] = (float)((double)v[k] + 4.0 * by * (double)g[k]);
        }
    }
}

static amun_status add_smoothness(const amun__joint *joint, amun__step *step)
{
    trs *own = joint->own;
    amun__alignment *a = &own->alignment;
    const double by = joint->options.trs_smooth / (double)step->count;
    AMUN__CHECK(make_images(joint, step));
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        AMUN__CHECK(amun__alignment_gradient(a, step, i, own->images));
        step->loss += 2.0 * by * squares(a, i, step->batch->count);
        AMUN__CHECK(amun__alignment_curve(a, step, i, own->images, amun__alignment_g(a, i),
                                          4.0 * by / (double)step->batch->count, NULL));
    }
    return AMUN_OK;
}

/* The gradients of the cosines into v, times their weight. */
static void add_cosines(const amun__joint *joint, amun__step *step)
{
    trs *own = joint->own;
    const double weight = joint->options.trs_cosine;
    const size_t rows = step->batch->count;
    const double sum = amun__alignment_cosines(&own->alignment, rows, similarity);
    step->loss += weight * sum;
    for (size_t i = 0; i < step->count; i++) {
        float *v = amun__alignment_v(&own->alignment, i);
        for (size_t k = 0; k < rows * joint->pixels; k++) {
            v[k] = (float)(weight * (double)v[k]);
        }
    }
}

static amun_status gradients(amun__joint *joint, amun__step *step)
{
    trs *own = joint->own;
    const amun__batch *batch = step->batch;
    const bool smooth = joint->options.trs_smooth > 0.0, clean = joint->options.trs_l2 != 0;
    AMUN__CHECK(amun__alignment_begin(&own->alignment, step));
    if (isfinite(step->loss) && (joint->options.trs_cosine > 0.0 || (smooth && clean))) {
        add_cosines(joint, step);
        if (smooth && clean) {
            add_clean_smoothness(joint, step);
        }
        for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
            AMUN__CHECK(amun__alignment_curve(&own->alignment, step, i, batch->images,
                                              amun__alignment_v(&own->alignment, i),
                                              1.0 / (double)batch->count, NULL));
        }
    }
    return smooth && !clean && isfinite(step->loss) ? add_smoothness(joint, step) : AMUN_OK;
}

const amun__joint_method amun__joint_trs = {
    .name = "trs",
    .least = 2,
    .open = open_trs,
    .gradients = gradients,
    .close = close_trs,
};
