/* recipe_scrub.c - SCRUB (Kurmanji et al., arXiv 2302.09880): away from the original model, the
 * teacher, on D_F, and towards it and the labels on D_R; with rewinding.
 *
 * Every epoch begins, the first few times, with a pass over D_F that minimises -KL_T, followed by
 * one over D_R that minimises gamma CE + alpha KL_T, where
 *     KL_T = T^2 / n sum KL(softmax(teacher / T) || softmax(student / T)). */
#include <stdio.h>

#include "unlearn/unlearn.h"

enum { AWAY, TOWARDS }; /* phases */

typedef struct scrub {
    amun__unlearn_request *request;
    amun_model *teacher;
    float *logits; /* of the teacher, [count][classes] as far as needed */
    size_t count;
    double *scratch; /* [2][classes] */
    /* rewinding: held-out samples of D_R, and the best epoch so far with its values, the counters
     * of batch norm in two halves, the distance of its errors, and whether there is one */
    int64_t *held;
    size_t held_count;
    float *best;
    size_t best_count;
} scrub;

static void set_defaults(amun_train_options *options)
{
    options->epochs = 3;
    options->batch = 64;
    options->lr = 5e-4;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* What the teacher makes of the very images that the student sees. */
static amun_status ask_teacher(scrub *s, const amun__step *step)
{
    const amun__batch *batch = step->batch;
    amun__plan *plan = NULL;
    if (s->count < batch->count) { /* once, or for each size of batch: they do not grow later */
        AMUN__CHECK(amun__unlearn_alloc(s->request, &s->logits, batch->count * step->classes,
                                        sizeof *s->logits));
        s->count = batch->count;
    }
    AMUN__CHECK(amun__model_lease(s->teacher, (int64_t)batch->count, AMUN__MODE_INFER, &plan));
    amun_status status = amun__plan_forward(plan, batch->images, s->logits);
    amun__model_release(s->teacher, plan);
    return status;
}

/* log softmax(z / T) */
static void log_rows(const float *z, size_t classes, double temperature, double *out)
{
    double top = -INFINITY, sum = 0.0;
    for (size_t k = 0; k < classes; k++) {
        out[k] = (double)z[k] / temperature;
        top = fmax(top, out[k]);
    }
    for (size_t k = 0; k < classes; k++) {
        sum += exp(out[k] - top);
    }
    for (size_t k = 0; k < classes; k++) {
        out[k] -= top + log(sum);
    }
}

double amun__unlearn_kl(const float *teacher, const float *student, size_t n, size_t classes,
                        double temperature, double scale, float *seed, double *scratch)
{
    double *t = scratch, *s = scratch + classes, total = 0.0;
    for (size_t i = 0; i < n; i++) {
        log_rows(teacher + i * classes, classes, temperature, t);
        log_rows(student + i * classes, classes, temperature, s);
        for (size_t k = 0; k < classes; k++) {
            double p = exp(t[k]);
            total += p > 0.0 ? p * (t[k] - s[k]) : 0.0;
            seed[i * classes + k] += (float)(scale * temperature * (exp(s[k]) - p));
        }
    }
    return temperature * temperature * total;
}

static amun_status gradients(void *self, amun__step *step)
{
    scrub *s = self;
    const amun_rival_options *o = &s->request->rival;
    const amun__batch *batch = step->batch;
    amun__member *m = &step->members[0];
    const bool away = batch->phase == AWAY;
    const double n = (double)batch->count, gamma = away ? 0.0 : o->scrub_gamma;
    const double alpha = away ? -1.0 : o->scrub_alpha;
    AMUN__CHECK(ask_teacher(s, step));
    AMUN__CHECK(amun__step_forward(step, 0, batch->images));
    double loss = amun__loss_cross_entropy(m->logits, batch->targets, batch->weights, batch->count,
                                           step->classes, gamma / n, m->seed);
    step->loss += gamma * loss;
    step->loss += alpha * amun__unlearn_kl(s->logits, m->logits, batch->count, step->classes,
                                           o->scrub_temperature, alpha / n, m->seed, s->scratch);
    if (!isfinite(step->loss)) {
        return AMUN_OK;
    }
    amun__step_count_right(step, m->logits);
    return amun__step_backward(step, 0, m->seed, AMUN__PASS_STATISTICS, NULL);
}

/* ---- rewinding ------------------------------------------------------------------------------ */

/* A float holds 24 bits exactly. */
enum { HALF = 1 << 20 };

static void keep_best(scrub *s, float distance)
{
    amun__model_values v;
    amun__model_values_get(s->request->model, &v);
    memcpy(s->best, v.values, v.total * sizeof *s->best);
    float *more = s->best + v.total;
    for (size_t i = 0; i < v.tracked_count; i++) {
        *more++ = (float)(v.tracked[i] / HALF);
        *more++ = (float)(v.tracked[i] % HALF);
    }
    *more++ = distance;
    *more++ = 1.0f;
}

static void rewind_model(const scrub *s)
{
    amun__model_values v;
    amun__model_values_get(s->request->model, &v);
    const float *more = s->best + v.total;
    if (s->best[s->best_count - 1] == 0.0f) { /* not one epoch */
        return;
    }
    memcpy(v.values, s->best, v.total * sizeof *s->best);
    for (size_t i = 0; i < v.tracked_count; i++, more += 2) {
        v.tracked[i] = (int64_t)more[0] * HALF + (int64_t)more[1];
    }
    amun__model_touch(s->request->model);
}

/* Keeps the epoch if its errors on D_F and on the held-out samples are as near as those of any
 * before. */
static amun_status judge_epoch(void *self, int64_t done, bool *stop)
{
    scrub *s = self;
    const amun__unlearn_request *q = s->request;
    double forget = 0.0, held = 0.0;
    (void)done;
    (void)stop;
    AMUN__CHECK(amun__eval_accuracy(q->model, q->train, q->forget, q->forget_count, &forget));
    AMUN__CHECK(amun__eval_accuracy(q->model, q->train, s->held, s->held_count, &held));
    const float distance = (float)fabs(forget - held);
    if (s->best[s->best_count - 1] == 0.0f || distance <= s->best[s->best_count - 2]) {
        keep_best(s, distance);
    }
    return AMUN_OK;
}

/* As many as D_F has, but at most a tenth of D_R. */
static size_t count_held(const amun__unlearn_request *q)
{
    size_t most = q->remain_count / 10;
    size_t count = q->forget_count < most ? q->forget_count : most;
    return count > 0 ? count : 1;
}

/* ---- recipe --------------------------------------------------------------------------------- */

static amun_status open_rewind(scrub *s, amun__recipe *recipe, amun__run_extra *extra,
                               amun__objective *objective, int64_t **trained_on, size_t *count)
{
    amun__unlearn_request *q = s->request;
    amun__model_values v;
    amun__model_values_get(q->model, &v);
    if (q->remain_count < 2) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "scrub: scrub_rewind holds samples of D_R out, and there is only one");
    }
    AMUN__CHECK(amun__unlearn_shuffled(q, q->remain, q->remain_count, 0, trained_on));
    s->held_count = count_held(q);
    *count = q->remain_count - s->held_count;
    s->held = *trained_on + *count;
    s->best_count = v.total + 2 * v.tracked_count + 2;
    AMUN__CHECK(amun__unlearn_alloc(q, &s->best, s->best_count, sizeof *s->best));
    *extra = (amun__run_extra){"scrub.best", s->best, s->best_count};
    recipe->extras = extra;
    recipe->extra_count = 1;
    objective->epoch_end = judge_epoch;
    return AMUN_OK;
}

static void add_parts(const amun__unlearn_request *q, amun__recipe *recipe, const int64_t *remain,
                      size_t remain_count, amun__unlearn_counts *counts)
{
    amun__part away = {.dataset = q->train,
                       .indices = q->forget,
                       .count = q->rival.scrub_ascent_epochs > 0 ? q->forget_count : 0,
                       .target = AMUN__TARGET_LABEL,
                       .augment = 1,
                       .weight = 1.0,
                       .phase = AWAY,
                       .epochs = q->rival.scrub_ascent_epochs};
    amun__part towards = away;
    towards.indices = remain;
    towards.count = remain_count;
    towards.phase = TOWARDS;
    towards.epochs = 0;
    counts->forget = amun__unlearn_add(recipe, &away);
    counts->remain = amun__unlearn_add(recipe, &towards);
}

static amun_status run_scrub(scrub *s, amun__progress_state *progress, amun__unlearn_counts *counts,
                             amun_train_result *trained)
{
    amun__unlearn_request *q = s->request;
    const amun_rival_options *o = &q->rival;
    int64_t *remain = q->remain;
    size_t remain_count = q->remain_count;
    char identity[256];
    amun__run_extra extra;
    amun__objective objective = {.identity = identity, .self = s, .gradients = gradients};
    amun__recipe recipe = {.name = "scrub",
                           .mix = {.classes = amun_model_classes(q->model), .shuffle = 1},
                           .options = q->train_options,
                           .objective = &objective};
    snprintf(identity, sizeof identity,
             "{\"temperature\": %.17g, \"gamma\": %.17g, \"alpha\": %.17g, \"ascent_epochs\": %d, "
             "\"rewind\": %d}",
             o->scrub_temperature, o->scrub_gamma, o->scrub_alpha, (int)o->scrub_ascent_epochs,
             (int)o->scrub_rewind);
    if (o->scrub_rewind != 0) {
        AMUN__CHECK(open_rewind(s, &recipe, &extra, &objective, &remain, &remain_count));
    }
    add_parts(q, &recipe, remain, remain_count, counts);
    AMUN__CHECK(amun__recipe_run(q->model, &recipe, progress, trained));
    if (o->scrub_rewind != 0) {
        rewind_model(s);
    }
    return AMUN_OK;
}

static amun_status run(amun__unlearn_request *request, amun__progress_state *progress,
                       amun__unlearn_counts *counts, amun_train_result *trained)
{
    scrub s = {.request = request};
    size_t classes = (size_t)amun_model_classes(request->model);
    AMUN__CHECK(amun__unlearn_alloc(request, &s.scratch, 2 * classes, sizeof *s.scratch));
    AMUN__CHECK(amun__model_copy(&s.teacher, request->model));
    amun_status status = run_scrub(&s, progress, counts, trained);
    amun_model_unref(s.teacher);
    return status;
}

const amun__unlearn_method amun__method_scrub = {
    .name = "scrub",
    .set_defaults = set_defaults,
    .needs_remain = 1,
    .run = run,
};
