/* fixed.c - attacks with a fixed radius and a fixed number of steps: FGSM, FFGSM, PGD in the Linf
 * and the L2 ball, MI-FGSM. One loop; the differences are in amun__fixed_plan.
 *
 * FGSM: Goodfellow et al., arXiv 1412.6572. FFGSM: Wong et al., arXiv 2001.03994.
 * PGD: Madry et al., arXiv 1706.06083; L2 form and constants as in torchattacks.
 * MI-FGSM: Dong et al., arXiv 1710.06081, Algorithm 1. */
#include "attack/attack_private.h"

/* One batch of consecutive rows. */
typedef struct chunk {
    amun__job *job;
    const amun__fixed_plan *what;
    amun__workspace space;
    amun_attack_record *results; /* [batch] */
    float *velocity;             /* [batch][pixels], MI-FGSM only */
    size_t first, count;
} chunk;

static void start_sample(chunk *c, size_t i)
{
    size_t n = c->job->pixels;
    const float *x = c->space.clean + i * n;
    float *a = c->space.current + i * n;
    int64_t id = amun__job_id(c->job, c->first + i);
    const amun__fixed_plan *what = c->what;
    if (!what->random_start) {
        memcpy(a, x, n * sizeof *a);
    } else if (what->box != NULL) {
        amun__project_start_legacy(a, x, what->eps, what->seed, id, what->box, n);
    } else {
        amun__project_start(what->norm, a, x, what->eps, what->seed, id, 0, n);
    }
    if (c->velocity != NULL) {
        memset(c->velocity + i * n, 0, n * sizeof *a);
    }
    c->results[i] =
        (amun_attack_record){.predicted = -1,
                             .adversarial = -1,
                             .outcome = AMUN_ATTACK_NOT_FLIPPED,
                             .eps = c->what->eps,
                             .flags = what->box != NULL ? AMUN_ATTACK_LEGACY_CLAMP : 0u};
}

/* Unused rows of the plan repeat the first sample; their results are ignored. */
static amun_status begin_chunk(chunk *c)
{
    size_t n = c->job->pixels;
    size_t batch = c->space.batch;
    for (size_t i = 0; i < c->count; i++) {
        AMUN__CHECK(c->job->fetch(c->job, c->first + i, c->space.clean + i * n));
    }
    for (size_t i = c->count; i < batch; i++) {
        memcpy(c->space.clean + i * n, c->space.clean, n * sizeof(float));
        memcpy(c->space.current + i * n, c->space.clean, n * sizeof(float));
    }
    int64_t count = (int64_t)c->count;
#pragma omp parallel for schedule(static) if (count > 1)
    for (int64_t i = 0; i < count; i++) {
        start_sample(c, (size_t)i);
    }
    return AMUN_OK;
}

/* Label of row i, or failure if the logits are not finite. */
static int32_t read_label(chunk *c, size_t i)
{
    int32_t label = amun__loss_argmax(c->space.logits + i * c->job->classes, c->job->classes);
    if (label < 0 && !amun__job_failed(&c->results[i])) {
        c->results[i].outcome = AMUN_ATTACK_FAILED_NUMERIC;
    }
    return label;
}

/* Logits from which labels are read, and not only gradients. */
static amun_status forward_for_labels(chunk *c, const float *images)
{
    for (size_t i = 0; i < c->count; i++) {
        c->space.labels[i] = c->job->labels[c->first + i];
    }
    amun_status status = amun__workspace_forward(&c->space, images);
    for (size_t i = 0; i < c->count; i++) {
        c->space.labels[i] = -1;
    }
    return status;
}

static amun_status predict_clean(chunk *c)
{
    AMUN__CHECK(forward_for_labels(c, c->space.clean));
    for (size_t i = 0; i < c->count; i++) {
        c->results[i].predicted = read_label(c, i);
    }
    return AMUN_OK;
}

static void seed_sample(chunk *c, size_t i, bool first)
{
    size_t classes = c->job->classes;
    double *seed = c->space.seed + i * classes;
    if (i < c->count) {
        int32_t label = read_label(c, i);
        if (first && !c->what->random_start) {
            c->results[i].predicted = label;
        }
    }
    if (i >= c->count || amun__job_failed(&c->results[i])) {
        memset(seed, 0, classes * sizeof *seed);
        return;
    }
    const amun__objective what = {.kind = AMUN__OBJECTIVE_CE, .log_probs = c->space.log_probs};
    amun__objective_value(&what, c->space.logits + i * classes, classes,
                          c->job->labels[c->first + i], seed);
}

/* velocity <- decay * velocity + g / |g|_1 (0 / 0 counts as 0). */
static void accumulate(float *velocity, const float *g, double decay, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += fabs((double)g[i]);
    }
    for (size_t i = 0; i < n; i++) {
        double own = sum > 0.0 ? (double)g[i] / sum : 0.0;
        velocity[i] = (float)(decay * (double)velocity[i] + own);
    }
}

static void move_sample(chunk *c, size_t i)
{
    size_t n = c->job->pixels;
    amun_attack_record *result = &c->results[i];
    const amun__fixed_plan *what = c->what;
    const float *x = c->space.clean + i * n;
    const float *g = c->space.diff + i * n;
    float *a = c->space.current + i * n;
    if (amun__job_failed(result)) {
        return;
    }
    double norm = amun__project_norm(g, n);
    if (!isfinite(norm)) {
        result->outcome = AMUN_ATTACK_FAILED_GRADIENT;
        return;
    }
    if (c->velocity != NULL) {
        accumulate(c->velocity + i * n, g, what->decay, n);
        g = c->velocity + i * n;
    }
    if (what->box != NULL) {
        amun__project_step_legacy(a, x, g, what->step, what->eps, what->box, n);
    } else if (what->norm == AMUN_NORM_L2) {
        amun__project_step_l2(a, x, g, norm, what->step, what->eps, n);
    } else {
        amun__project_step_linf(a, x, g, what->step, what->eps, n);
    }
    result->updates++;
}

static amun_status step_chunk(chunk *c, bool first)
{
    AMUN__CHECK(first ? forward_for_labels(c, c->space.current)
                      : amun__workspace_forward(&c->space, c->space.current));
    int64_t batch = (int64_t)c->space.batch;
#pragma omp parallel for schedule(static) if (batch > 1)
    for (int64_t i = 0; i < batch; i++) {
        seed_sample(c, (size_t)i, first);
    }
    AMUN__CHECK(amun__workspace_backward(&c->space));
    int64_t count = (int64_t)c->count;
#pragma omp parallel for schedule(static) if (count > 1)
    for (int64_t i = 0; i < count; i++) {
        move_sample(c, (size_t)i);
    }
    return AMUN_OK;
}

static amun_status finish_chunk(chunk *c)
{
    size_t n = c->job->pixels;
    if (c->job->table_wanted) {
        AMUN__CHECK(forward_for_labels(c, c->space.current));
    }
    for (size_t i = 0; i < c->count; i++) {
        amun_attack_record *result = &c->results[i];
        if (c->job->table_wanted) {
            result->adversarial = read_label(c, i);
            if (!amun__job_failed(result)) {
                result->outcome = result->adversarial != c->job->labels[c->first + i]
                                      ? AMUN_ATTACK_FLIPPED
                                      : AMUN_ATTACK_NOT_FLIPPED;
            }
        }
        AMUN__CHECK(amun__job_finish(c->job, c->first + i, result, c->space.clean + i * n,
                                     c->space.current + i * n));
    }
    return AMUN_OK;
}

static amun_status run_chunk(chunk *c)
{
    uint64_t steps = (uint64_t)c->what->steps;
    AMUN__CHECK(begin_chunk(c));
    if (c->what->random_start && c->job->table_wanted) {
        AMUN__CHECK(predict_clean(c));
    }
    for (int32_t t = 0; t < c->what->steps; t++) {
        AMUN__CHECK(step_chunk(c, t == 0));
        if (t + 1 < c->what->steps) {
            AMUN__CHECK(amun__job_tick(c->job, c->first * steps + c->count * ((uint64_t)t + 1),
                                       c->job->count * steps));
        }
    }
    AMUN__CHECK(finish_chunk(c));
    return amun__job_tick(c->job, (c->first + c->count) * steps, c->job->count * steps);
}

amun_status amun__fixed_run(amun__job *job, const amun__fixed_plan *what)
{
    amun_status status = AMUN_OK;
    chunk c = {.job = job, .what = what};
    size_t capacity = amun__workspace_plan_size(job->count, what->batch);
    AMUN__TRY(amun__workspace_open(&c.space, job, capacity, AMUN__MODE_ATTACK));
    AMUN__TRY(amun__alloc(job->ctx, &c.results, capacity, sizeof *c.results));
    if (what->decay >= 0.0) {
        AMUN__TRY(amun__calloc(job->ctx, &c.velocity, capacity * job->pixels, sizeof(float)));
    }
    while (c.first < job->count) {
        size_t left = job->count - c.first;
        c.count = left < capacity ? left : capacity;
        /* a short last batch gets a plan of its own size */
        AMUN__TRY(amun__workspace_resize(&c.space, amun__workspace_plan_size(c.count, capacity)));
        AMUN__TRY(run_chunk(&c));
        c.first += c.count;
    }
fail:
    amun__free(job->ctx, c.results);
    amun__free(job->ctx, c.velocity);
    amun__workspace_close(&c.space);
    return status;
}
