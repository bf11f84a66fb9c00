/* transfer.c - what an attack on one model does to others: T_rate between models (arXiv 2410.05136,
 * Definition 3.1.2), black-box through surrogates, white-box on an ensemble.
 *
 * Every adversarial image is shown to the judges as soon as it is delivered, a batch at a time, so
 * that nothing but counts is kept. F(x) and F(A_F(x)) of the attacked model are those that the
 * attack saw itself: an example on the decision boundary must not be undone by the rounding of
 * another plan. */
#include <inttypes.h>

#include "ensemble/ensemble.h"

enum { JUDGE_BATCH = 128 };

/* ---- judges ---------------------------------------------------------------------------------- */

/* Labels that `count` victims give to images. */
typedef struct panel {
    const amun__victim *victims;
    amun__probe *probes;
    size_t count, pixels;
    float *logits;
} panel;

static amun_status panel_open(panel *p, amun_context *ctx, const amun__victim *victims,
                              size_t count)
{
    *p = (panel){.victims = victims, .count = count};
    AMUN__CHECK(amun__calloc(ctx, &p->probes, count, sizeof *p->probes));
    for (size_t i = 0; i < count; i++) {
        AMUN__CHECK(
            amun__probe_open(&p->probes[i], ctx, &victims[i], JUDGE_BATCH, AMUN__MODE_INFER));
    }
    p->pixels = p->probes[0].pixels;
    return amun__alloc(ctx, &p->logits, JUDGE_BATCH * p->probes[0].classes, sizeof *p->logits);
}

static void panel_close(panel *p, amun_context *ctx)
{
    for (size_t i = 0; p->probes != NULL && i < p->count; i++) {
        amun__probe_close(&p->probes[i]);
    }
    amun__free(ctx, p->probes);
    amun__free(ctx, p->logits);
}

/* Label of each of the first n images of a batch by judge i, -1 where it is not finite. */
static amun_status panel_judge(panel *p, size_t i, const float *images, size_t n, int32_t *labels)
{
    size_t classes = p->probes[i].classes;
    AMUN__CHECK(amun__probe_forward(&p->probes[i], images, p->logits));
    for (size_t k = 0; k < n; k++) {
        labels[k] = amun__loss_argmax(p->logits + k * classes, classes);
    }
    return AMUN_OK;
}

/* ---- one run --------------------------------------------------------------------------------- */

/* Counts of one attacked model against one judge. */
typedef struct tally {
    int64_t eligible, fooled;   /* T_rate */
    int64_t right, right_after; /* judge right on x; and on A(x) */
} tally;

typedef struct run {
    amun_context *ctx;
    amun_attack *attack;
    const amun__selection *selection;
    amun__progress_state *progress;
    panel judges;
    int32_t *labels; /* [selection count] */
    int64_t *ids;    /* [selection count] */
    uint8_t *right;  /* [judges][selection count]: judge right on the clean image */
    amun_attack_record *records;
    float *images;            /* images that wait to be judged */
    size_t rows[JUDGE_BATCH]; /* their rows */
    size_t waiting;
    tally *tallies; /* [judges], of the model that is being attacked */
    int64_t attacked_right, flipped, failed;
} run;

static amun_status judge_clean(run *r)
{
    size_t count = r->selection->count, pixels = r->judges.pixels;
    int32_t labels[JUDGE_BATCH];
    for (size_t first = 0; first < count; first += JUDGE_BATCH) {
        size_t n = count - first < JUDGE_BATCH ? count - first : JUDGE_BATCH;
        for (size_t i = 0; i < n; i++) {
            amun__dataset_fetch(r->selection->data, amun__selection_index(r->selection, first + i),
                                r->images + i * pixels);
        }
        for (size_t j = 0; j < r->judges.count; j++) {
            AMUN__CHECK(panel_judge(&r->judges, j, r->images, n, labels));
            for (size_t i = 0; i < n; i++) {
                r->right[j * count + first + i] = labels[i] == r->labels[first + i];
            }
        }
    }
    return AMUN_OK;
}

static amun_status flush(run *r)
{
    size_t count = r->selection->count;
    int32_t labels[JUDGE_BATCH];
    for (size_t j = 0; j < r->judges.count && r->waiting > 0; j++) {
        tally *t = &r->tallies[j];
        AMUN__CHECK(panel_judge(&r->judges, j, r->images, r->waiting, labels));
        for (size_t i = 0; i < r->waiting; i++) {
            size_t row = r->rows[i];
            const amun_attack_record *record = &r->records[row];
            bool right = r->right[j * count + row] != 0;
            bool after = labels[i] == r->labels[row];
            bool flipped =
                record->predicted == record->label && record->outcome == AMUN_ATTACK_FLIPPED;
            t->right += right;
            t->right_after += right && after;
            t->eligible += right && flipped;
            t->fooled += right && flipped && !after;
        }
    }
    r->waiting = 0;
    return AMUN_OK;
}

static amun_status fetch_sample(const amun__job *job, size_t row, float *image)
{
    const run *r = job->user;
    amun__dataset_fetch(r->selection->data, amun__selection_index(r->selection, row), image);
    return AMUN_OK;
}

static amun_status deliver_sample(const amun__job *job, size_t row, const float *image)
{
    run *r = job->user;
    const amun_attack_record *record = &job->records[row];
    bool right = record->predicted == record->label;
    r->attacked_right += right;
    r->flipped += right && record->outcome == AMUN_ATTACK_FLIPPED;
    r->failed += record->outcome >= AMUN_ATTACK_FAILED_CAP;
    memcpy(r->images + r->waiting * job->pixels, image, job->pixels * sizeof *image);
    r->rows[r->waiting++] = row;
    return r->waiting == JUDGE_BATCH ? flush(r) : AMUN_OK;
}

/* Attacks one victim; its counts against all judges are in r->tallies. */
static amun_status attack_victim(run *r, const amun__victim *victim)
{
    size_t count = r->selection->count;
    amun__job job = {.ctx = r->ctx,
                     .victim = *victim,
                     .count = count,
                     .pixels = r->judges.pixels,
                     .classes = (size_t)amun_model_classes(victim->models[0]),
                     .labels = r->labels,
                     .ids = r->ids,
                     .records = r->records,
                     .table_wanted = 1,
                     .progress = r->progress,
                     .fetch = fetch_sample,
                     .deliver = deliver_sample,
                     .user = r};
    memset(r->records, 0, count * sizeof *r->records);
    memset(r->tallies, 0, r->judges.count * sizeof *r->tallies);
    r->attacked_right = r->flipped = 0;
    r->waiting = 0;
    AMUN__CHECK(amun__job_run(&job, r->attack));
    return flush(r);
}

static amun_status run_open(run *r, const amun__victim *judges, size_t count)
{
    size_t n = r->selection->count, flags;
    AMUN__CHECK(panel_open(&r->judges, r->ctx, judges, count));
    if (!amun__mul_size(&flags, count, n)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu samples are too many", n);
    }
    AMUN__CHECK(amun__alloc(r->ctx, &r->labels, n, sizeof *r->labels));
    AMUN__CHECK(amun__alloc(r->ctx, &r->ids, n, sizeof *r->ids));
    AMUN__CHECK(amun__alloc(r->ctx, &r->records, n, sizeof *r->records));
    AMUN__CHECK(amun__calloc(r->ctx, &r->right, flags, sizeof *r->right));
    AMUN__CHECK(amun__calloc(r->ctx, &r->tallies, count, sizeof *r->tallies));
    AMUN__CHECK(
        amun__calloc(r->ctx, &r->images, JUDGE_BATCH * r->judges.pixels, sizeof *r->images));
    for (size_t i = 0; i < n; i++) {
        size_t index = amun__selection_index(r->selection, i);
        r->labels[i] = amun__dataset_label(r->selection->data, index);
        r->ids[i] = (int64_t)index;
    }
    return judge_clean(r);
}

static void run_close(run *r)
{
    panel_close(&r->judges, r->ctx);
    amun__free(r->ctx, r->labels);
    amun__free(r->ctx, r->ids);
    amun__free(r->ctx, r->records);
    amun__free(r->ctx, r->right);
    amun__free(r->ctx, r->tallies);
    amun__free(r->ctx, r->images);
}

/* ---- results --------------------------------------------------------------------------------- */

/* Mean of what is there. */
typedef struct mean {
    double sum;
    int64_t terms;
} mean;

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : (double)NAN;
}

static void mean_add(mean *m, double value)
{
    if (!isnan(value)) {
        m->sum += value;
        m->terms++;
    }
}

static double mean_of(const mean *m)
{
    return m->terms > 0 ? m->sum / (double)m->terms : (double)NAN;
}

static const amun_transfer_result no_result = {.struct_size = sizeof no_result,
                                               .transfer = (double)NAN,
                                               .success = (double)NAN,
                                               .robust = (double)NAN};

/* Before hours of work: is there room for a result? */
static amun_status check_result(amun_transfer_result *result)
{
    return result != NULL
               ? amun__result_write(result, &no_result, sizeof no_result, "amun_transfer_result")
               : AMUN_OK;
}

static amun_status write_result(amun_transfer_result *result, const run *r,
                                amun_transfer_result *own)
{
    own->samples = (int64_t)r->selection->count;
    own->failed = r->failed;
    own->clamp = amun_attack_clamp(r->attack);
    return result != NULL ? amun__result_write(result, own, sizeof *own, "amun_transfer_result")
                          : AMUN_OK;
}

/* ---- between models -------------------------------------------------------------------------- */

static amun_status run_pairs(amun_transfer_result *result, double *rates, int64_t *eligible,
                             const amun__victim *models, size_t count, run *r)
{
    amun_transfer_result own = no_result;
    mean transfer = {0}, success = {0};
    for (size_t f = 0; f < count; f++) {
        AMUN__CHECK(attack_victim(r, &models[f]));
        for (size_t g = 0; g < count; g++) {
            bool self = f == g;
            int64_t whole = self ? r->attacked_right : r->tallies[g].eligible;
            double rate = share(self ? r->flipped : r->tallies[g].fooled, whole);
            mean_add(self ? &success : &transfer, rate);
            if (rates != NULL) {
                rates[f * count + g] = rate;
            }
            if (eligible != NULL) {
                eligible[f * count + g] = whole;
            }
        }
    }
    own.transfer = mean_of(&transfer);
    own.success = mean_of(&success);
    own.terms = transfer.terms;
    return write_result(result, r, &own);
}

/* Everybody is held for reading throughout: the numbers of a table belong to the same weights. */
static amun_status hold(const amun__victim *victims, size_t count, amun__threads *threads)
{
    size_t held = 0;
    amun_status status = AMUN_OK;
    for (; held < count; held++) {
        AMUN__TRY(amun__victim_begin_read(&victims[held]));
    }
    AMUN__TRY(amun__threads_begin(amun__model_context(victims[0].models[0]), threads));
    return AMUN_OK;
fail:
    while (held > 0) {
        amun__victim_end_read(&victims[--held]);
    }
    return status;
}

static void release(const amun__victim *victims, size_t count, const amun__threads *threads)
{
    amun__threads_end(threads);
    for (size_t i = 0; i < count; i++) {
        amun__victim_end_read(&victims[i]);
    }
}

amun_status amun_transfer_run(amun_transfer_result *result, double *rates, int64_t *eligible,
                              amun_model *const *models, size_t count, amun_attack *attack,
                              const amun_dataset *data, const int64_t *indices, size_t n,
                              const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(check_result(result));
    AMUN__CHECK(amun__object_check(attack, AMUN__TAG_ATTACK, "attack"));
    const amun__victim all = {(const amun_model *const *)models, count};
    AMUN__CHECK(amun__victim_check(&all, "models"));
    amun_context *ctx = ((const amun__object *)attack)->ctx;
    amun__selection selection = {data, indices, n};
    AMUN__CHECK(amun__selection_check(&selection, &all, ctx));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    amun__victim each[AMUN__VICTIM_MAX];
    for (size_t i = 0; i < count; i++) {
        each[i] = (amun__victim){all.models + i, 1};
    }
    run r = {.ctx = ctx, .attack = attack, .selection = &selection, .progress = &progress};
    amun__threads threads;
    AMUN__CHECK(hold(each, count, &threads));
    amun_status status = run_open(&r, each, count);
    if (status == AMUN_OK) {
        status = run_pairs(result, rates, eligible, each, count, &r);
    }
    run_close(&r);
    release(each, count, &threads);
    return status;
}

/* ---- against an ensemble --------------------------------------------------------------------- */

static amun_status run_black_box(amun_transfer_result *result, double *rates, int64_t *eligible,
                                 double *robust, const amun__victim *surrogates, size_t count,
                                 run *r)
{
    amun_transfer_result own = no_result;
    mean transfer = {0}, success = {0}, standing = {0};
    for (size_t s = 0; s < count; s++) {
        AMUN__CHECK(attack_victim(r, &surrogates[s]));
        const tally *t = &r->tallies[0];
        double rate = share(t->fooled, t->eligible), kept = share(t->right_after, t->right);
        mean_add(&transfer, rate);
        mean_add(&success, share(r->flipped, r->attacked_right));
        mean_add(&standing, kept);
        own.target_right = t->right;
        if (rates != NULL) {
            rates[s] = rate;
        }
        if (eligible != NULL) {
            eligible[s] = t->eligible;
        }
        if (robust != NULL) {
            robust[s] = kept;
        }
    }
    own.transfer = mean_of(&transfer);
    own.success = mean_of(&success);
    own.robust = mean_of(&standing);
    own.terms = transfer.terms;
    return write_result(result, r, &own);
}

static amun_status check_target(const amun__victim *surrogates, const amun__victim *target)
{
    const amun_model *both[2] = {surrogates->models[0], target->models[0]};
    const amun__victim pair = {both, 2};
    return amun__victim_check(&pair, "surrogate and target");
}

amun_status amun_transfer_black_box(amun_transfer_result *result, double *rates, int64_t *eligible,
                                    double *robust, amun_model *const *surrogates, size_t count,
                                    amun_attack *attack, const amun_ensemble *target,
                                    const amun_dataset *data, const int64_t *indices, size_t n,
                                    const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(check_result(result));
    AMUN__CHECK(amun__object_check(attack, AMUN__TAG_ATTACK, "attack"));
    AMUN__CHECK(amun__object_check(target, AMUN__TAG_ENSEMBLE, "target"));
    const amun__victim all = {(const amun_model *const *)surrogates, count};
    AMUN__CHECK(amun__victim_check(&all, "surrogates"));
    amun__victim held[AMUN__VICTIM_MAX + 1];
    held[0] = amun__ensemble_victim(target);
    AMUN__CHECK(check_target(&all, &held[0]));
    for (size_t i = 0; i < count; i++) {
        held[i + 1] = (amun__victim){all.models + i, 1};
    }
    amun__selection selection = {data, indices, n};
    AMUN__CHECK(amun__selection_check(&selection, &all, target->object.ctx));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    run r = {.ctx = target->object.ctx,
             .attack = attack,
             .selection = &selection,
             .progress = &progress};
    amun__threads threads;
    AMUN__CHECK(hold(held, count + 1, &threads));
    amun_status status = run_open(&r, held, 1);
    if (status == AMUN_OK) {
        status = run_black_box(result, rates, eligible, robust, held + 1, count, &r);
    }
    run_close(&r);
    release(held, count + 1, &threads);
    return status;
}

amun_status amun_transfer_white_box(amun_transfer_result *result, amun_attack *attack,
                                    const amun_ensemble *target, const amun_dataset *data,
                                    const int64_t *indices, size_t n, const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(check_result(result));
    AMUN__CHECK(amun__object_check(attack, AMUN__TAG_ATTACK, "attack"));
    AMUN__CHECK(amun__object_check(target, AMUN__TAG_ENSEMBLE, "target"));
    const amun__victim victim = amun__ensemble_victim(target);
    amun__selection selection = {data, indices, n};
    AMUN__CHECK(amun__selection_check(&selection, &victim, target->object.ctx));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    run r = {.ctx = target->object.ctx,
             .attack = attack,
             .selection = &selection,
             .progress = &progress};
    amun__threads threads;
    AMUN__CHECK(hold(&victim, 1, &threads));
    amun_transfer_result own = no_result;
    amun_status status = run_open(&r, &victim, 1);
    if (status == AMUN_OK) {
        status = attack_victim(&r, &victim);
    }
    if (status == AMUN_OK) {
        own.success = share(r.flipped, r.attacked_right);
        own.robust = 1.0 - own.success;
        own.target_right = r.attacked_right;
        status = write_result(result, &r, &own);
    }
    run_close(&r);
    release(&victim, 1, &threads);
    return status;
}
