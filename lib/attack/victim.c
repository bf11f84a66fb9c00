/* victim.c - one model, or several as one: leased plans, the log of the mean of their softmax
 * outputs, and its gradient.
 *
 * With p_ik the softmax of member i and l_ik its log, the output is s_k = log((1/N) sum_i p_ik) =
 * logsumexp_i(l_ik) - log N. Probabilities below the smallest double stay finite this way, and what
 * two members agree on beyond 1 - 1e-16 keeps its digits. */
#include <float.h>
#include <inttypes.h>
#include <stdio.h>

#include "attack/attack.h"

/* ---- arithmetic ------------------------------------------------------------------------------ */

void amun__log_softmax(const float *logits, size_t classes, double *out)
{
    size_t top = 0;
    for (size_t k = 1; k < classes; k++) {
        top = logits[k] > logits[top] ? k : top;
    }
    double others = 0.0; /* beside the largest: log1p keeps a loss of 1e-20 */
    for (size_t k = 0; k < classes; k++) {
        others += k != top ? exp((double)logits[k] - (double)logits[top]) : 0.0;
    }
    double log_sum = log1p(others);
    for (size_t k = 0; k < classes; k++) {
        out[k] = (double)logits[k] - (double)logits[top] - log_sum;
    }
}

/* log of the mean over members of the probability of class k. */
static double column_mean(const double *log_probs, size_t count, size_t classes, size_t k)
{
    double top = log_probs[k], least = log_probs[k];
    for (size_t i = 1; i < count; i++) {
        double v = log_probs[i * classes + k];
        top = v > top ? v : top;
        least = v < least ? v : least;
    }
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        double v = log_probs[i * classes + k];
        sum += least > -0.5 ? expm1(v) : exp(v - top);
    }
    /* near certainty: log(1 - mean(1 - p)) keeps what log(mean(p)) would round away */
    return least > -0.5 ? log1p(sum / (double)count) : top + log(sum / (double)count);
}

/* Share of member i in the mean probability of class k. */
static double column_share(const double *log_probs, size_t count, size_t classes, size_t i,
                           size_t k)
{
    double mean = column_mean(log_probs, count, classes, k);
    return exp(log_probs[i * classes + k] - mean) / (double)count;
}

void amun__log_mean(const double *log_probs, size_t count, size_t classes, float *out)
{
    for (size_t k = 0; k < classes; k++) {
        double mean = column_mean(log_probs, count, classes, k);
        mean = mean > 0.0 ? 0.0 : mean;
        /* finite logits may lie 2^129 apart, twice what a float holds */
        out[k] = (float)(mean < -(double)FLT_MAX ? -(double)FLT_MAX : mean);
    }
}

void amun__log_mean_backward(const double *log_probs, size_t count, size_t classes, size_t i,
                             const double *seed, float *out)
{
    const double *own = log_probs + i * classes;
    double total = 0.0; /* sum_k w_ik seed_k */
    for (size_t k = 0; k < classes; k++) {
        if (seed[k] != 0.0) {
            total += column_share(log_probs, count, classes, i, k) * seed[k];
        }
    }
    for (size_t m = 0; m < classes; m++) {
        double share = 0.0;
        if (seed[m] != 0.0) {
            share = column_share(log_probs, count, classes, i, m) * seed[m];
        }
        /* share - p * total = share * (1 - p) - p * (total - share), with 1 - p from its log */
        out[m] = (float)(share * -expm1(own[m]) - exp(own[m]) * (total - share));
    }
}

/* ---- victims --------------------------------------------------------------------------------- */

static amun_status check_member(const amun__victim *victim, size_t i, const char *what)
{
    const amun_model *model = victim->models[i];
    char name[96];
    snprintf(name, sizeof name, "%s[%zu]", what, i);
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, name));
    int64_t first[4], own[4];
    AMUN__CHECK(amun__model_input(victim->models[0], &first[0], &first[1], &first[2], &first[3]));
    AMUN__CHECK(amun__model_input(model, &own[0], &own[1], &own[2], &own[3]));
    if (memcmp(first, own, sizeof own) != 0) {
        return amun__fail(
            AMUN_ERROR_SHAPE,
            "%s: model %zu takes %" PRId64 " x %" PRId64 " x %" PRId64 " and has %" PRId64
            " classes, model 0 takes %" PRId64 " x %" PRId64 " x %" PRId64 " and has %" PRId64,
            what, i, own[0], own[1], own[2], own[3], first[0], first[1], first[2], first[3]);
    }
    return AMUN_OK;
}

amun_status amun__victim_check(const amun__victim *victim, const char *what)
{
    if (victim->models == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    if (victim->count < 1 || victim->count > AMUN__VICTIM_MAX) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: %zu models, expected 1 to %d", what,
                          victim->count, (int)AMUN__VICTIM_MAX);
    }
    for (size_t i = 0; i < victim->count; i++) {
        AMUN__CHECK(check_member(victim, i, what));
    }
    return AMUN_OK;
}

amun_status amun__victim_begin_read(const amun__victim *victim)
{
    for (size_t i = 0; i < victim->count; i++) {
        amun_status status = amun__model_begin_read(victim->models[i]);
        if (status != AMUN_OK) {
            const amun__victim held = {victim->models, i};
            amun__victim_end_read(&held);
            return status;
        }
    }
    return AMUN_OK;
}

void amun__victim_end_read(const amun__victim *victim)
{
    for (size_t i = 0; i < victim->count; i++) {
        amun__model_end_read(victim->models[i]);
    }
}

/* ---- probe ------------------------------------------------------------------------------------
 */

static amun_status open_ensemble(amun__probe *probe)
{
    size_t values, pixels, table;
    if (!amun__mul_size(&values, probe->capacity, probe->classes) ||
        !amun__mul_size(&pixels, probe->capacity, probe->pixels) ||
        !amun__mul_size(&table, values, probe->victim->count)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY,
                          "a batch of %zu images of %zu values is too"
                          " large",
                          probe->capacity, probe->pixels);
    }
    AMUN__CHECK(amun__calloc(probe->ctx, &probe->logits, values, sizeof(float)));
    AMUN__CHECK(amun__calloc(probe->ctx, &probe->log_probs, table, sizeof(double)));
    if (probe->mode == AMUN__MODE_ATTACK) {
        AMUN__CHECK(amun__calloc(probe->ctx, &probe->diff, pixels, sizeof(float)));
    }
    return AMUN_OK;
}

amun_status amun__probe_open(amun__probe *probe, amun_context *ctx, const amun__victim *victim,
                             size_t capacity, amun__mode mode)
{
    int64_t c, h, w, classes;
    memset(probe, 0, sizeof *probe);
    probe->ctx = ctx;
    probe->victim = victim;
    probe->capacity = capacity;
    probe->mode = mode;
    AMUN__CHECK(amun__model_input(victim->models[0], &c, &h, &w, &classes));
    probe->pixels = (size_t)(c * h * w);
    probe->classes = (size_t)classes;
    AMUN__CHECK(amun__calloc(ctx, &probe->plans, victim->count, sizeof *probe->plans));
    AMUN__CHECK(amun__calloc(ctx, &probe->seed, capacity * probe->classes, sizeof *probe->seed));
    if (victim->count > 1) {
        AMUN__CHECK(open_ensemble(probe));
    }
    return amun__probe_resize(probe, capacity);
}

void amun__probe_drop(amun__probe *probe)
{
    for (size_t i = 0; i < probe->victim->count; i++) {
        amun__plan_destroy(probe->plans[i]);
        probe->plans[i] = NULL;
    }
    probe->batch = 0;
}

amun_status amun__probe_resize(amun__probe *probe, size_t batch)
{
    if (probe->batch == batch) {
        return AMUN_OK;
    }
    for (size_t i = 0; i < probe->victim->count; i++) {
        amun__model_release(probe->victim->models[i], probe->plans[i]);
        probe->plans[i] = NULL;
    }
    probe->batch = 0;
    for (size_t i = 0; i < probe->victim->count; i++) {
        AMUN__CHECK(amun__model_lease(probe->victim->models[i], (int64_t)batch, probe->mode,
                                      &probe->plans[i]));
    }
    probe->batch = batch;
    return AMUN_OK;
}

amun_status amun__probe_forward(amun__probe *probe, const float *images, float *out)
{
    size_t count = probe->victim->count, classes = probe->classes;
    if (count == 1) {
        return amun__plan_forward(probe->plans[0], images, out);
    }
    int64_t batch = (int64_t)probe->batch;
    for (size_t i = 0; i < count; i++) {
        AMUN__CHECK(amun__plan_forward(probe->plans[i], images, probe->logits));
#pragma omp parallel for schedule(static) if (batch > 1)
        for (int64_t b = 0; b < batch; b++) {
            amun__log_softmax(probe->logits + (size_t)b * classes, classes,
                              probe->log_probs + ((size_t)b * count + i) * classes);
        }
    }
#pragma omp parallel for schedule(static) if (batch > 1)
    for (int64_t b = 0; b < batch; b++) {
        amun__log_mean(probe->log_probs + (size_t)b * count * classes, count, classes,
                       out + (size_t)b * classes);
    }
    return AMUN_OK;
}

amun_status amun__probe_backward(amun__probe *probe, const double *seed, float *diff)
{
    size_t count = probe->victim->count, classes = probe->classes;
    int64_t batch = (int64_t)probe->batch;
    if (count == 1) {
        for (size_t k = 0; k < probe->batch * classes; k++) {
            probe->seed[k] = (float)seed[k];
        }
        return amun__plan_backward(probe->plans[0], probe->seed, diff, NULL);
    }
    for (size_t i = 0; i < count; i++) {
#pragma omp parallel for schedule(static) if (batch > 1)
        for (int64_t b = 0; b < batch; b++) {
            size_t row = (size_t)b;
            amun__log_mean_backward(probe->log_probs + row * count * classes, count, classes, i,
                                    seed + row * classes, probe->seed + row * classes);
        }
        float *part = i == 0 ? diff : probe->diff;
        AMUN__CHECK(amun__plan_backward(probe->plans[i], probe->seed, part, NULL));
        for (size_t k = 0; i > 0 && k < probe->batch * probe->pixels; k++) {
            diff[k] += part[k];
        }
    }
    return AMUN_OK;
}

void amun__probe_close(amun__probe *probe)
{
    if (probe->ctx == NULL) {
        return;
    }
    for (size_t i = 0; probe->plans != NULL && i < probe->victim->count; i++) {
        amun__model_release(probe->victim->models[i], probe->plans[i]);
    }
    amun__free(probe->ctx, probe->plans);
    amun__free(probe->ctx, probe->seed);
    amun__free(probe->ctx, probe->logits);
    amun__free(probe->ctx, probe->log_probs);
    amun__free(probe->ctx, probe->diff);
    memset(probe, 0, sizeof *probe);
}
