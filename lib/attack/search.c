/* search.c - the nearest adversarial example by growing the radius (AMUN, arXiv 2503.00917,
 * Algorithm 1), one search per sample in a fixed number of slots.
 *
 * Each slot has its own sample, radius and step counter, and one forward serves them all: the label
 * is tested before each step, so the result is the first wrong iterate. A slot that is done takes
 * the next waiting sample at once; when none is left, the slots are packed into ever smaller plans.
 */
#include "attack/attack_private.h"
#include "core/sort.h"

/* Of a gradient; see amun__search_saturated(). */
static const double saturated_norm = 1e-8;

typedef struct slot {
    size_t row;
    int32_t active, label;
    int32_t seen;              /* the clean image went through the network */
    int32_t wants_gradient;    /* in this iteration */
    int32_t margin;            /* the next gradient is the margin's */
    int32_t step;              /* within this radius */
    int32_t done;              /* result.outcome is final */
    amun_attack_record result; /* predicted, adversarial, outcome, eps, updates, flags */
} slot;

typedef struct search {
    amun__job *job;
    const amun_search_options *options;
    double eps0; /* the options', or what the pilot says */
    amun__workspace space;
    slot *slots; /* [space.batch] */
    double cap;
    size_t next;     /* row that waits longest */
    size_t limit;    /* rows from here on are not started */
    size_t active;   /* slots in use */
    size_t finished; /* samples */
} search;

/* ---- slots ----------------------------------------------------------------------------------- */

static void begin_radius(const search *s, slot *t)
{
    t->result.eps = s->eps0;
    t->step = 0;
    t->margin = 0;
    t->done = 0;
    t->result.outcome = 0;
}

/* The next waiting sample into slot i, or nothing if none waits. */
static amun_status admit(search *s, size_t i)
{
    slot *t = &s->slots[i];
    size_t n = s->job->pixels;
    memset(t, 0, sizeof *t);
    if (s->next >= s->limit) {
        return AMUN_OK;
    }
    t->row = s->next++;
    AMUN__CHECK(s->job->fetch(s->job, t->row, s->space.clean + i * n));
    memcpy(s->space.current + i * n, s->space.clean + i * n, n * sizeof(float));
    t->active = 1;
    t->label = s->job->labels[t->row];
    t->result.predicted = t->result.adversarial = -1;
    begin_radius(s, t);
    s->active++;
    return AMUN_OK;
}

/* One more search, from a random start. */
static void retry(search *s, size_t i)
{
    slot *t = &s->slots[i];
    size_t n = s->job->pixels;
    const amun_search_options *o = s->options;
    float *a = s->space.current + i * n;
    const float *x = s->space.clean + i * n;
    int64_t id = amun__job_id(s->job, t->row);
    amun__project_start(o->norm, a, x, s->eps0, o->seed, id, 0, n);
    t->result.flags |= AMUN_ATTACK_RETRIED;
    begin_radius(s, t);
}

/* With AMUN_FAILURE_ERROR only the lowest failing row matters: later ones are dropped, earlier ones
 * go on, so that the message does not depend on the batch. */
static void drop_later(search *s, size_t row)
{
    s->limit = row < s->limit ? row : s->limit;
    for (size_t i = 0; i < s->space.batch; i++) {
        if (s->slots[i].active && s->slots[i].row > row) {
            s->slots[i].active = 0;
            s->active--;
        }
    }
}

static amun_status retire(search *s, size_t i)
{
    slot *t = &s->slots[i];
    size_t n = s->job->pixels;
    bool failed = amun__job_failed(&t->result);
    if (failed && s->options->on_failure == AMUN_FAILURE_RETRY &&
        (t->result.flags & AMUN_ATTACK_RETRIED) == 0) {
        retry(s, i);
        return AMUN_OK;
    }
    AMUN__CHECK(amun__job_finish(s->job, t->row, &t->result, s->space.clean + i * n,
                                 s->space.current + i * n));
    s->finished++;
    t->active = 0;
    s->active--;
    if (failed && s->options->on_failure == AMUN_FAILURE_ERROR) {
        drop_later(s, t->row);
    }
    return admit(s, i);
}

/* With nobody waiting, the active slots move to the front and a smaller plan serves them. */
static amun_status shrink(search *s)
{
    size_t batch = amun__workspace_plan_size(s->active, s->space.batch);
    if (s->next < s->limit || s->active == 0 || batch == s->space.batch) {
        return AMUN_OK;
    }
    size_t n = s->job->pixels;
    size_t to = 0;
    for (size_t from = 0; from < s->space.batch; from++) {
        if (!s->slots[from].active) {
            continue;
        }
        if (from != to) {
            memcpy(s->space.clean + to * n, s->space.clean + from * n, n * sizeof(float));
            memcpy(s->space.current + to * n, s->space.current + from * n, n * sizeof(float));
            s->slots[to] = s->slots[from];
            s->slots[from].active = 0;
        }
        to++;
    }
    return amun__workspace_shrink(&s->space, batch);
}

/* ---- one iteration --------------------------------------------------------------------------- */

static void conclude(slot *t, amun_attack_outcome outcome)
{
    t->result.outcome = outcome;
    t->done = 1;
}

/* A radius is used up: the next one, or the cap. The walk goes on from where it is unless
 * `restart`. */
static void grow(search *s, size_t i)
{
    slot *t = &s->slots[i];
    size_t n = s->job->pixels;
    double eps = t->result.eps * s->options->growth;
    if (eps > s->cap) {
        conclude(t, AMUN_ATTACK_FAILED_CAP);
        return;
    }
    t->result.eps = eps;
    t->step = 0;
    if (s->options->restart) {
        /* these logits belong to the point that we leave: step after the next forward */
        memcpy(s->space.current + i * n, s->space.clean + i * n, n * sizeof(float));
        t->wants_gradient = 0;
    }
}

/* Looks at the logits of slot i; says whether it wants a gradient, and of what. */
static void judge(search *s, size_t i)
{
    slot *t = &s->slots[i];
    size_t classes = s->job->classes;
    const float *logits = s->space.logits + i * classes;
    double *seed = s->space.seed + i * classes;
    t->wants_gradient = 0;
    if (t->active) {
        int32_t label = amun__loss_argmax(logits, classes);
        if (!t->seen) {
            t->seen = 1;
            t->result.predicted = label;
        }
        t->result.adversarial = label;
        if (label < 0) {
            conclude(t, AMUN_ATTACK_FAILED_NUMERIC);
        } else if (label != t->label) {
            conclude(t, AMUN_ATTACK_FLIPPED);
        } else {
            t->wants_gradient = 1;
            if (t->step == s->options->steps) {
                grow(s, i);
            }
        }
    }
    if (t->done || !t->wants_gradient) {
        t->wants_gradient = 0;
        memset(seed, 0, classes * sizeof *seed);
    } else {
        const amun__objective what = {.kind =
                                          t->margin ? AMUN__OBJECTIVE_MARGIN : AMUN__OBJECTIVE_CE,
                                      .log_probs = s->space.log_probs};
        amun__objective_value(&what, logits, classes, t->label, seed);
    }
}

static void move(search *s, size_t i)
{
    slot *t = &s->slots[i];
    const amun_search_options *o = s->options;
    size_t n = s->job->pixels;
    const float *x = s->space.clean + i * n;
    const float *g = s->space.diff + i * n;
    float *a = s->space.current + i * n;
    if (!t->wants_gradient) {
        return;
    }
    double norm = amun__project_norm(g, n);
    if (o->margin_fallback && !t->margin && amun__search_saturated(norm)) {
        /* one backward per forward: the margin's turn is in the next iteration, at the same point
         */
        t->margin = 1;
        return;
    }
    if (!(norm > 0.0) || !isfinite(norm)) {
        conclude(t, AMUN_ATTACK_FAILED_GRADIENT);
        return;
    }
    t->result.flags |= t->margin ? AMUN_ATTACK_MARGIN_FALLBACK : 0u;
    t->margin = 0;
    double eps = t->result.eps;
    if (o->norm == AMUN_NORM_L2) {
        amun__project_step_l2(a, x, g, norm, eps / o->step_divisor, eps, n);
    } else {
        amun__project_step_linf(a, x, g, eps / o->step_divisor, eps, n);
    }
    t->step++;
    t->result.updates++;
}

static amun_status iterate(search *s)
{
    for (size_t i = 0; i < s->space.batch; i++) {
        s->space.labels[i] = s->slots[i].active ? s->slots[i].label : -1;
    }
    AMUN__CHECK(amun__workspace_forward(&s->space, s->space.current));
    int64_t batch = (int64_t)s->space.batch;
    int64_t wanted = 0;
#pragma omp parallel for schedule(static) reduction(+ : wanted) if (batch > 1)
    for (int64_t i = 0; i < batch; i++) {
        judge(s, (size_t)i);
        wanted += s->slots[i].wants_gradient;
    }
    if (wanted > 0) {
        AMUN__CHECK(amun__workspace_backward(&s->space));
#pragma omp parallel for schedule(static) if (batch > 1)
        for (int64_t i = 0; i < batch; i++) {
            move(s, (size_t)i);
        }
    }
    for (size_t i = 0; i < s->space.batch; i++) {
        if (s->slots[i].active && s->slots[i].done) {
            AMUN__CHECK(retire(s, i));
        }
    }
    return AMUN_OK;
}

static amun_status begin(search *s)
{
    size_t n = s->job->pixels;
    for (size_t i = 0; i < s->space.batch; i++) {
        AMUN__CHECK(admit(s, i));
        if (!s->slots[i].active) { /* any valid image; nobody reads its results */
            memcpy(s->space.current + i * n, s->space.current, n * sizeof(float));
        }
    }
    return AMUN_OK;
}

/* ---- runs ------------------------------------------------------------------------------------ */

bool amun__search_saturated(double gradient_norm)
{
    return gradient_norm < saturated_norm;
}

double amun__search_cap(const amun__job *job, const amun_search_options *options)
{
    /* a ball of this radius holds the whole box: growing further cannot help */
    double whole = options->norm == AMUN_NORM_L2 ? sqrt((double)job->pixels) : 1.0;
    return options->eps_max > 0.0 ? options->eps_max : whole;
}

/* Rows first .. end - 1, from radius eps0. */
static amun_status run_rows(amun__job *job, const amun_search_options *options, size_t first,
                            size_t end, double eps0)
{
    amun_status status = AMUN_OK;
    search s = {.job = job,
                .options = options,
                .eps0 = eps0,
                .cap = amun__search_cap(job, options),
                .next = first,
                .limit = end,
                .finished = first};
    size_t batch = amun__workspace_plan_size(end - first, (size_t)options->batch);
    AMUN__TRY(amun__workspace_open(&s.space, job, batch, AMUN__MODE_ATTACK));
    AMUN__TRY(amun__calloc(job->ctx, &s.slots, batch, sizeof *s.slots));
    AMUN__TRY(begin(&s));
    while (s.active > 0) {
        AMUN__TRY(iterate(&s));
        AMUN__TRY(amun__job_tick(job, s.finished, job->count));
        AMUN__TRY(shrink(&s));
    }
fail:
    amun__free(job->ctx, s.slots);
    amun__workspace_close(&s.space);
    return status;
}

/* The percentile (nearest rank) of the radii at which the first `count` rows flipped; rows that
 * were wrong already say nothing about radii. */
static amun_status read_pilot(const amun__job *job, const amun_search_options *options,
                              size_t count, double *eps0)
{
    double *radii = NULL;
    size_t flipped = 0;
    AMUN__CHECK(amun__alloc(job->ctx, &radii, count, sizeof *radii));
    for (size_t row = 0; row < count; row++) {
        const amun_attack_record *r = &job->records[row];
        if (r->outcome == AMUN_ATTACK_FLIPPED && r->updates > 0) {
            radii[flipped++] = r->eps;
        }
    }
    if (flipped > 0) {
        amun__sort_f64(radii, flipped);
        double rank = ceil(options->pilot_percentile / 100.0 * (double)flipped);
        *eps0 = radii[rank < 1.0 ? 0 : (size_t)rank - 1];
    }
    amun__free(job->ctx, radii);
    return AMUN_OK;
}

static bool pilot_failed(const amun__job *job, size_t count)
{
    for (size_t row = 0; row < count; row++) {
        if (amun__job_failed(&job->records[row])) {
            return true;
        }
    }
    return false;
}

amun_status amun__search_run(amun__job *job, const amun_search_options *options)
{
    size_t pilot = (size_t)options->pilot < job->count ? (size_t)options->pilot : job->count;
    double eps0 = options->eps0;
    if (pilot > 0) {
        AMUN__CHECK(run_rows(job, options, 0, pilot, options->pilot_eps));
        AMUN__CHECK(read_pilot(job, options, pilot, &eps0));
        if (options->on_failure == AMUN_FAILURE_ERROR && pilot_failed(job, pilot)) {
            return AMUN_OK; /* the caller turns the lowest failing row into an error */
        }
    }
    return pilot < job->count ? run_rows(job, options, pilot, job->count, eps0) : AMUN_OK;
}
