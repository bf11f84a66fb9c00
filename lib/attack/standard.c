/* standard.c - several attacks as one, in the manner of AutoAttack (Croce and Hein, arXiv
 * 2003.01690): APGD on the cross-entropy, APGD on the targeted DLR loss, Square. Each works on the
 * samples that all before it left standing: robust is who survives all of them. */
#include "attack/attack_private.h"

enum { STAGES = 3 };
static const uint32_t stage_flags[STAGES] = {AMUN_ATTACK_BY_APGD_CE, AMUN_ATTACK_BY_APGD_T,
                                             AMUN_ATTACK_BY_SQUARE};

/* The survivors as a job of their own. */
typedef struct stage {
    amun__job *whole;
    size_t *rows; /* [count]: rows of the whole job */
    float *clean; /* one image */
    int32_t index;
} stage;

static amun_status fetch_survivor(const amun__job *job, size_t row, float *image)
{
    const stage *s = job->user;
    return s->whole->fetch(s->whole, s->rows[row], image);
}

/* Who was flipped, or has nothing to come, is done; the others wait in their records. A failure is
 * remembered: a sample that some attack could not work on was not shown to be robust. */
static amun_status deliver_survivor(const amun__job *job, size_t row, const float *image)
{
    const stage *s = job->user;
    amun__job *whole = s->whole;
    size_t at = s->rows[row];
    amun_attack_record *kept = &whole->records[at];
    uint64_t hash = kept->input_hash;
    int32_t updates = kept->updates;
    amun_attack_outcome before = kept->outcome;
    *kept = job->records[row];
    kept->input_hash = hash;
    kept->updates += updates;
    if (kept->outcome == AMUN_ATTACK_FLIPPED) {
        kept->flags |= updates == 0 && kept->updates == 0 ? 0u : stage_flags[s->index];
        whole->flipped++;
    } else if (before >= AMUN_ATTACK_FAILED_CAP) {
        kept->outcome = before;
    }
    if (kept->outcome != AMUN_ATTACK_FLIPPED && s->index < STAGES - 1) {
        return AMUN_OK;
    }
    if (amun__job_failed(kept)) {
        AMUN__CHECK(whole->fetch(whole, at, s->clean));
        kept->adversarial = kept->predicted;
        kept->l2 = kept->linf = 0.0;
        image = s->clean;
    }
    return whole->deliver(whole, at, image);
}

static amun_status run_attack(amun__job *job, int32_t index, const amun_standard_options *o)
{
    amun_apgd_options apgd = {.struct_size = sizeof apgd,
                              .norm = o->norm,
                              .loss =
                                  index == 0 ? AMUN_ATTACK_LOSS_CE : AMUN_ATTACK_LOSS_DLR_TARGETED,
                              .eps = o->eps,
                              .rho = 0.75,
                              .momentum = 0.75,
                              .steps = o->steps,
                              .restarts = 1,
                              .targets = o->targets,
                              .random_start = 1,
                              .seed = o->seed,
                              .stop_at_flip = 1,
                              .batch = o->batch};
    const amun_square_options square = {.struct_size = sizeof square,
                                        .norm = o->norm,
                                        .queries = o->queries,
                                        .eps = o->eps,
                                        .p_init = 0.8,
                                        .seed = o->seed,
                                        .batch = o->batch};
    return index < 2 ? amun__apgd_run(job, &apgd) : amun__square_run(job, &square);
}

static amun_status run_stage(amun__job *whole, stage *s, size_t count, int32_t *labels,
                             int64_t *ids, amun_attack_record *records,
                             const amun_standard_options *o)
{
    amun__job job = *whole;
    job.count = count;
    job.labels = labels;
    job.ids = ids;
    job.records = records;
    job.fetch = fetch_survivor;
    job.deliver = deliver_survivor;
    job.user = s;
    job.flipped = 0;
    memset(records, 0, count * sizeof *records);
    for (size_t i = 0; i < count; i++) {
        labels[i] = whole->labels[s->rows[i]];
        ids[i] = amun__job_id(whole, s->rows[i]);
    }
    return run_attack(&job, s->index, o);
}

amun_status amun__standard_run(amun__job *job, const amun_standard_options *options)
{
    amun_status status = AMUN_OK;
    stage s = {.whole = job};
    int32_t *labels = NULL;
    int64_t *ids = NULL;
    amun_attack_record *records = NULL;
    size_t left = job->count;
    AMUN__TRY(amun__alloc(job->ctx, &s.rows, left, sizeof *s.rows));
    AMUN__TRY(amun__alloc(job->ctx, &s.clean, job->pixels, sizeof *s.clean));
    AMUN__TRY(amun__alloc(job->ctx, &labels, left, sizeof *labels));
    AMUN__TRY(amun__alloc(job->ctx, &ids, left, sizeof *ids));
    AMUN__TRY(amun__alloc(job->ctx, &records, left, sizeof *records));
    for (size_t i = 0; i < left; i++) {
        s.rows[i] = i;
    }
    for (s.index = 0; s.index < STAGES && left > 0; s.index++) {
        AMUN__TRY(run_stage(job, &s, left, labels, ids, records, options));
        size_t kept = 0;
        for (size_t i = 0; i < left; i++) {
            if (job->records[s.rows[i]].outcome != AMUN_ATTACK_FLIPPED) {
                s.rows[kept++] = s.rows[i];
            }
        }
        left = kept;
    }
fail:
    amun__free(job->ctx, s.rows);
    amun__free(job->ctx, s.clean);
    amun__free(job->ctx, labels);
    amun__free(job->ctx, ids);
    amun__free(job->ctx, records);
    return status;
}
