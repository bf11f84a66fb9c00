/* job.c - an attack on many samples, whatever its kind: checking them, holding the model and the
 * threads, choosing the method, and what becomes of samples that it failed on. */
#include <inttypes.h>

#include "attack/attack_private.h"

static amun_status check_labels(const amun__job *job)
{
    for (size_t row = 0; row < job->count; row++) {
        if (job->labels[row] < 0 || (size_t)job->labels[row] >= job->classes) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "sample %" PRId64 ": label %" PRId32 " is outside [0, %zu]",
                              amun__job_id(job, row), job->labels[row], job->classes - 1);
        }
    }
    return AMUN_OK;
}

/* All of them before the first step: better now than after an hour. */
static amun_status check_pixels(const amun__job *job)
{
    amun_status status = AMUN_OK;
    float *image = NULL;
    AMUN__TRY(amun__alloc(job->ctx, &image, job->pixels, sizeof *image));
    for (size_t row = 0; row < job->count; row++) {
        AMUN__TRY(job->fetch(job, row, image));
        for (size_t i = 0; i < job->pixels; i++) {
            if (!(image[i] >= 0.0f && image[i] <= 1.0f)) {
                AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT,
                           "sample %" PRId64 ": pixel %zu is %g, outside [0, 1]",
                           amun__job_id(job, row), i, (double)image[i]);
            }
        }
    }
fail:
    amun__free(job->ctx, image);
    return status;
}

/* The first layer of all models, for PGD with legacy_normalised_clamp: it must be a normalisation,
 * the same for all, whose unit box lies inside the pixels'. */
static amun_status find_box(const amun__job *job, amun__box *box)
{
    int64_t channels, height, width, classes;
    AMUN__CHECK(amun__model_input(job->victim.models[0], &channels, &height, &width, &classes));
    box->plane = (size_t)(height * width);
    for (size_t i = 0; i < job->victim.count; i++) {
        const double *mean, *std;
        if (!amun__model_normalise(job->victim.models[i], &mean, &std)) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "model %zu does not begin with a normalise node, which"
                              " legacy_normalised_clamp works behind",
                              i);
        }
        box->mean = i == 0 ? mean : box->mean;
        box->std = i == 0 ? std : box->std;
        for (size_t c = 0; c < (size_t)channels; c++) {
            if (mean[c] != box->mean[c] || std[c] != box->std[c]) {
                return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                                  "model %zu normalises channel %zu by %g and %g, model 0 by %g"
                                  " and %g: legacy_normalised_clamp needs one for all",
                                  i, c, mean[c], std[c], box->mean[c], box->std[c]);
            }
            if (mean[c] < 0.0 || mean[c] + std[c] > 1.0) {
                return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                                  "channel %zu has mean %g and std %g: images normalised to"
                                  " [0, 1] would leave the pixels [0, 1]",
                                  c, mean[c], std[c]);
            }
        }
    }
    return AMUN_OK;
}

static amun_status run_pgd(amun__job *job, const amun_attack *attack)
{
    const amun_pgd_options *o = &attack->options.pgd;
    amun__box box;
    amun__fixed_plan what = {.norm = attack->kind == AMUN__ATTACK_PGD_L2 ? AMUN_NORM_L2
                                                                         : AMUN_NORM_LINF,
                             .eps = o->eps,
                             .step = o->step,
                             .decay = -1.0,
                             .steps = o->steps,
                             .random_start = o->random_start,
                             .seed = o->seed,
                             .batch = (size_t)o->batch};
    if (o->legacy_normalised_clamp) {
        AMUN__CHECK(find_box(job, &box));
        what.box = &box;
    }
    return amun__fixed_run(job, &what);
}

static amun_status run_mim(amun__job *job, const amun_mim_options *o)
{
    const amun__fixed_plan what = {.norm = AMUN_NORM_LINF,
                                   .eps = o->eps,
                                   .step = o->step,
                                   .decay = o->decay,
                                   .steps = o->steps,
                                   .batch = (size_t)o->batch};
    return amun__fixed_run(job, &what);
}

static amun_status dispatch(amun__job *job, const amun_attack *attack)
{
    amun__fixed_plan what = {.norm = AMUN_NORM_LINF, .decay = -1.0, .steps = 1};
    switch (attack->kind) {
    case AMUN__ATTACK_SEARCH:
        return attack->options.search.method == AMUN_SEARCH_EPSILON
                   ? amun__search_run(job, &attack->options.search)
                   : amun__minnorm_run(job, &attack->options.search);
    case AMUN__ATTACK_APGD:
        return amun__apgd_run(job, &attack->options.apgd);
    case AMUN__ATTACK_SQUARE:
        return amun__square_run(job, &attack->options.square);
    case AMUN__ATTACK_STANDARD:
        return amun__standard_run(job, &attack->options.standard);
    case AMUN__ATTACK_MIM:
        return run_mim(job, &attack->options.mim);
    case AMUN__ATTACK_PGD_L2:
    case AMUN__ATTACK_PGD_LINF:
        return run_pgd(job, attack);
    case AMUN__ATTACK_FGSM:
        what.eps = what.step = attack->options.fgsm.eps;
        what.batch = (size_t)attack->options.fgsm.batch;
        break;
    case AMUN__ATTACK_FFGSM:
        what.eps = attack->options.ffgsm.eps;
        what.step = attack->options.ffgsm.step;
        what.seed = attack->options.ffgsm.seed;
        what.random_start = 1;
        what.batch = (size_t)attack->options.ffgsm.batch;
        break;
    }
    return amun__fixed_run(job, &what);
}

/* Failures that the caller asked to hear of as errors, or could not see otherwise. */
static amun_status report_failures(const amun__job *job, const amun_attack *attack)
{
    if (job->table_wanted && amun__attack_policy(attack) != AMUN_FAILURE_ERROR) {
        return AMUN_OK;
    }
    static const char *const reasons[] = {"no flip up to the largest radius",
                                          "zero or non-finite gradient", "non-finite logits",
                                          "no flip within the steps"};
    for (size_t row = 0; row < job->count; row++) {
        const amun_attack_record *record = &job->records[row];
        if (amun__job_failed(record)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "sample %" PRId64 ": %s, at radius %g",
                              record->index, reasons[record->outcome - AMUN_ATTACK_FAILED_CAP],
                              record->eps);
        }
    }
    return AMUN_OK;
}

amun_status amun__job_run(amun__job *job, const amun_attack *attack)
{
    AMUN__CHECK(check_labels(job));
    AMUN__CHECK(check_pixels(job));
    AMUN__CHECK(amun__victim_begin_read(&job->victim));
    amun__threads threads;
    amun_status status = amun__threads_begin(amun__model_context(job->victim.models[0]), &threads);
    if (status == AMUN_OK) {
        status = dispatch(job, attack);
        amun__threads_end(&threads);
    }
    amun__victim_end_read(&job->victim);
    return status == AMUN_OK ? report_failures(job, attack) : status;
}
