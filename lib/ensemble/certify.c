/* certify.c - what Lipschitz constants promise: radii within which no class turns, and how far
 * apart the risks of two models can be on attacked images. */
#include <inttypes.h>

#include "core/sort.h"
#include "ensemble/ensemble.h"

enum { CERTIFY_BATCH = 128 };

/* ---- samples --------------------------------------------------------------------------------- */

/* Some samples on their way through one or two victims. */
typedef struct walk {
    amun_context *ctx;
    const amun__selection *selection;
    amun__probe probes[2];
    size_t count, batch, pixels, classes;
    float *images, *logits; /* [batch][pixels], [batch][classes] */
    float *target;          /* [classes], zeroed */
} walk;

static amun_status walk_open(walk *w, const amun__victim *victims, size_t count)
{
    w->batch = w->selection->count < CERTIFY_BATCH ? w->selection->count : CERTIFY_BATCH;
    for (; w->count < count; w->count++) {
        AMUN__CHECK(amun__probe_open(&w->probes[w->count], w->ctx, &victims[w->count], w->batch,
                                     AMUN__MODE_INFER));
    }
    w->pixels = w->probes[0].pixels;
    w->classes = w->probes[0].classes;
    AMUN__CHECK(amun__calloc(w->ctx, &w->images, w->batch * w->pixels, sizeof *w->images));
    AMUN__CHECK(amun__calloc(w->ctx, &w->target, w->classes, sizeof *w->target));
    return amun__calloc(w->ctx, &w->logits, w->batch * w->classes, sizeof *w->logits);
}

static void walk_close(walk *w)
{
    for (size_t i = 0; i < 2; i++) {
        amun__probe_close(&w->probes[i]); /* a zeroed one is fine */
    }
    amun__free(w->ctx, w->images);
    amun__free(w->ctx, w->target);
    amun__free(w->ctx, w->logits);
}

static void fetch(const walk *w, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        amun__dataset_fetch(w->selection->data, amun__selection_index(w->selection, first + i),
                            w->images + i * w->pixels);
    }
}

static int32_t label_of(const walk *w, size_t row)
{
    return amun__dataset_label(w->selection->data, amun__selection_index(w->selection, row));
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* By how much the label leads; below or at 0 where it does not. Of logits, or of the probabilities
 * whose logs are given. NaN: not finite. */
static double margin_of(const float *row, size_t classes, int32_t label, bool probabilities)
{
    double rival = -INFINITY, own = 0.0;
    for (size_t k = 0; k < classes; k++) {
        double value = probabilities ? exp((double)row[k]) : (double)row[k];
        if (!isfinite(value)) {
            return (double)NAN;
        }
        if ((int32_t)k == label) {
            own = value;
        } else {
            rival = value > rival ? value : rival;
        }
    }
    return own - rival;
}

/* `constant`: how fast a margin can fall. Radii of the right samples go to `own`. */
static amun_status certify_all(walk *w, double constant, double eps, double *radii, double *own,
                               amun_certificate *c, amun__progress_state *progress)
{
    const bool mean = w->probes[0].victim->count > 1;
    for (size_t first = 0; first < w->selection->count; first += w->batch) {
        size_t left = w->selection->count - first, n = left < w->batch ? left : w->batch;
        fetch(w, first, n);
        AMUN__CHECK(amun__probe_forward(&w->probes[0], w->images, w->logits));
        for (size_t i = 0; i < n; i++) {
            double m =
                margin_of(w->logits + i * w->classes, w->classes, label_of(w, first + i), mean);
            if (isnan(m)) {
                return amun__fail(AMUN_ERROR_NUMERIC, "the output for image %zu is not finite",
                                  amun__selection_index(w->selection, first + i));
            }
            double radius = m > 0.0 ? m / constant : 0.0;
            if (radii != NULL) {
                radii[first + i] = radius;
            }
            if (m > 0.0) {
                own[c->right++] = radius;
                c->certified += radius > eps;
            }
        }
        AMUN__CHECK(amun__progress_tick(progress, "certify", first + n, w->selection->count,
                                        (double)NAN, (double)NAN));
    }
    return AMUN_OK;
}

static amun_status check_constant(double value, size_t i, double eps)
{
    if (!(value > 0.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "lipschitz[%zu] is %g, must be above 0", i,
                          value);
    }
    if (!(eps >= 0.0) || !isfinite(eps)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "eps is %g, must be finite and at least 0",
                          eps);
    }
    return AMUN_OK;
}

static amun_status certify_held(const amun__victim *victim, walk *w, double constant, double eps,
                                double *radii, amun_certificate *c, amun__progress_state *progress)
{
    double *own = NULL;
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(w->ctx, &threads));
    amun_status status;
    AMUN__TRY(amun__alloc(w->ctx, &own, w->selection->count, sizeof *own));
    AMUN__TRY(walk_open(w, victim, 1));
    AMUN__TRY(certify_all(w, constant, eps, radii, own, c, progress));
    if (c->right > 0) {
        size_t right = (size_t)c->right;
        amun__sort_f64(own, right);
        c->radius = 0.5 * (own[(right - 1) / 2] + own[right / 2]);
    }
    c->samples = (int64_t)w->selection->count;
    c->accuracy = 100.0 * (double)c->certified / (double)c->samples;
fail:
    walk_close(w);
    amun__free(w->ctx, own);
    amun__threads_end(&threads);
    return status;
}

amun_status amun_transfer_certify(amun_certificate *result, double *radii,
                                  const amun_ensemble *target, const double *lipschitz, double eps,
                                  const amun_dataset *data, const int64_t *indices, size_t n,
                                  const amun_call_options *call)
{
    amun__enter();
    amun_certificate c = {.struct_size = sizeof c, .accuracy = NAN, .radius = NAN};
    if (result != NULL) {
        AMUN__CHECK(amun__result_write(result, &c, sizeof c, "amun_certificate"));
    }
    AMUN__CHECK(amun__object_check(target, AMUN__TAG_ENSEMBLE, "target"));
    if (lipschitz == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "lipschitz is NULL");
    }
    double sum = 0.0;
    for (size_t i = 0; i < target->count; i++) {
        AMUN__CHECK(check_constant(lipschitz[i], i, eps));
        sum += lipschitz[i];
    }
    /* softmax is 1/2-Lipschitz, and so half the mean is the constant of the mean probabilities */
    double l = target->count == 1 ? sum : 0.5 * sum / (double)target->count;
    const amun__victim victim = amun__ensemble_victim(target);
    amun__selection selection = {data, indices, n};
    AMUN__CHECK(amun__selection_check(&selection, &victim, target->object.ctx));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    walk w = {.ctx = target->object.ctx, .selection = &selection};
    AMUN__CHECK(amun__victim_begin_read(&victim));
    amun_status status = certify_held(&victim, &w, sqrt(2.0) * l, eps, radii, &c, &progress);
    amun__victim_end_read(&victim);
    return status == AMUN_OK && result != NULL
               ? amun__result_write(result, &c, sizeof c, "amun_certificate")
               : status;
}

/* ---- the transfer proposition ---------------------------------------------------------------- */

/* Adds the cross-entropies of n images in `images`, which start at sample `first`. */
static amun_status add_risks(walk *w, const float *images, size_t first, size_t n, double risks[2])
{
    for (size_t v = 0; v < 2; v++) {
        AMUN__CHECK(amun__probe_forward(&w->probes[v], images, w->logits));
        for (size_t i = 0; i < n; i++) {
            int32_t label = label_of(w, first + i);
            w->target[label] = 1.0f;
            double loss = amun__loss_cross_entropy(w->logits + i * w->classes, w->target, NULL, 1,
                                                   w->classes, 1.0, NULL);
            w->target[label] = 0.0f;
            if (!isfinite(loss)) {
                return amun__fail(AMUN_ERROR_NUMERIC, "the loss of image %zu is %g",
                                  amun__selection_index(w->selection, first + i), loss);
            }
            risks[v] += loss;
        }
    }
    return AMUN_OK;
}

/* What an attack does to one batch. */
typedef struct attacked {
    amun_attack *attack;
    float *images; /* [batch][pixels] */
    int64_t ids[CERTIFY_BATCH], labels[CERTIFY_BATCH];
    amun_attack_record records[CERTIFY_BATCH];
    double eps;
} attacked;

static amun_status attack_batch(walk *w, attacked *a, size_t first, size_t n,
                                amun_transfer_gap *gap, const amun_call_options *call)
{
    int64_t shape[4] = {(int64_t)n};
    amun__dataset_info info;
    amun_tensor_view clean, labels, moved;
    amun__dataset_info_get(w->selection->data, &info);
    shape[1] = info.channels;
    shape[2] = info.height;
    shape[3] = info.width;
    for (size_t i = 0; i < n; i++) {
        a->ids[i] = (int64_t)amun__selection_index(w->selection, first + i);
        a->labels[i] = label_of(w, first + i);
    }
    AMUN__CHECK(amun_tensor_view_init(&clean, w->images, AMUN_DTYPE_F32, 4, shape));
    AMUN__CHECK(amun_tensor_view_init(&moved, a->images, AMUN_DTYPE_F32, 4, shape));
    AMUN__CHECK(amun_tensor_view_init(&labels, a->labels, AMUN_DTYPE_I64, 1, shape));
    AMUN__CHECK(amun__attack_run(a->attack, w->probes[0].victim, &clean, &labels, a->ids, &moved,
                                 a->records, call));
    for (size_t i = 0; i < n; i++) {
        gap->moved = fmax(gap->moved, a->records[i].l2);
        if (a->records[i].l2 > a->eps * (1.0 + 1e-5)) { /* distances are sums of floats */
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "the attack moves image %" PRId64 " by %g, eps is %g", a->ids[i],
                              a->records[i].l2, a->eps);
        }
    }
    return add_risks(w, a->images, first, n, gap->attacked);
}

static amun_status measure_gap(walk *w, attacked *a, amun_transfer_gap *gap,
                               amun__progress_state *progress, const amun_call_options *call)
{
    size_t count = w->selection->count;
    for (size_t first = 0; first < count; first += w->batch) {
        size_t n = count - first < w->batch ? count - first : w->batch;
        fetch(w, first, n);
        AMUN__CHECK(add_risks(w, w->images, first, n, gap->clean));
        if (a->attack != NULL) {
            AMUN__CHECK(attack_batch(w, a, first, n, gap, call));
        }
        AMUN__CHECK(
            amun__progress_tick(progress, "risk", first + n, count, (double)NAN, (double)NAN));
    }
    for (size_t v = 0; v < 2; v++) {
        gap->clean[v] /= (double)count;
        gap->attacked[v] = a->attack != NULL ? gap->attacked[v] / (double)count : (double)NAN;
    }
    gap->moved = a->attack != NULL ? gap->moved : (double)NAN;
    gap->samples = (int64_t)count;
    return AMUN_OK;
}

static amun_status run_gap(walk *w, attacked *a, const amun__victim victims[2],
                           amun_transfer_gap *gap, amun__progress_state *progress,
                           const amun_call_options *call)
{
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(w->ctx, &threads));
    amun_status status;
    AMUN__TRY(walk_open(w, victims, 2));
    AMUN__TRY(amun__alloc(w->ctx, &a->images, w->batch * w->pixels, sizeof *a->images));
    AMUN__TRY(measure_gap(w, a, gap, progress, call));
fail:
    walk_close(w);
    amun__free(w->ctx, a->images);
    amun__threads_end(&threads);
    return status;
}

static amun_status check_gap(const amun_transfer_gap *result, const double *lipschitz, double eps,
                             amun_attack *attack)
{
    if (result == NULL || lipschitz == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL",
                          result == NULL ? "result" : "lipschitz");
    }
    AMUN__CHECK(check_constant(lipschitz[0], 0, eps));
    AMUN__CHECK(check_constant(lipschitz[1], 1, eps));
    return attack != NULL ? amun__object_check(attack, AMUN__TAG_ATTACK, "attack") : AMUN_OK;
}

amun_status amun_transfer_bound(amun_transfer_gap *result, const amun_model *attacked_model,
                                const amun_model *judge, const double lipschitz[2], double eps,
                                amun_attack *attack, const amun_dataset *data,
                                const int64_t *indices, size_t n, const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(check_gap(result, lipschitz, eps, attack));
    amun_transfer_gap gap = {.struct_size = sizeof gap};
    AMUN__CHECK(amun__result_write(result, &gap, sizeof gap, "amun_transfer_gap"));
    const amun_model *models[2] = {attacked_model, judge};
    const amun__victim both = {models, 2};
    const amun__victim victims[2] = {{&models[0], 1}, {&models[1], 1}};
    AMUN__CHECK(amun__victim_check(&both, "attacked and judge"));
    amun_context *ctx = amun__model_context(attacked_model);
    amun__selection selection = {data, indices, n};
    AMUN__CHECK(amun__selection_check(&selection, &both, ctx));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    walk w = {.ctx = ctx, .selection = &selection};
    attacked *a = NULL;
    AMUN__CHECK(amun__calloc(ctx, &a, 1, sizeof *a));
    a->attack = attack;
    a->eps = eps;
    amun_status status;
    AMUN__TRY(amun__victim_begin_read(&both));
    status = run_gap(&w, a, victims, &gap, &progress, call);
    amun__victim_end_read(&both);
    if (status == AMUN_OK) {
        double l = fmax(lipschitz[0], lipschitz[1]);
        gap.bound = fabs(gap.clean[0] - gap.clean[1]);
        gap.bound += eps > 0.0 ? 2.0 * sqrt(2.0) * l * eps : 0.0; /* not infinity times 0 */
        status = amun__result_write(result, &gap, sizeof gap, "amun_transfer_gap");
    }
fail:
    amun__free(ctx, a);
    return status;
}
