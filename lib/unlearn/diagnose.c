/* diagnose.c - the terms of AMUN's bound (arXiv 2503.00917, Theorem 4.1) on real models. */
#include "unlearn/unlearn.h"

enum { ROLES = 3, ORIGINAL = 0, UNLEARNED = 1, RETRAINED = 2 };

typedef struct diagnosis {
    amun_context *ctx;
    const amun_model *models[ROLES]; /* RETRAINED may be NULL */
    const amun_dataset *train;
    const amun_advset *set;
    amun__plan *plans[ROLES];
    size_t pixels, classes;
    float *image, *logits, *target; /* one sample; target zeroed */
} diagnosis;

static amun_status open_plans(diagnosis *d)
{
    amun__dataset_info info;
    amun__dataset_info_get(d->train, &info);
    d->pixels = info.pixels;
    d->classes = (size_t)amun_model_classes(d->models[ORIGINAL]);
    AMUN__CHECK(amun__alloc(d->ctx, &d->image, d->pixels, sizeof *d->image));
    AMUN__CHECK(amun__alloc(d->ctx, &d->logits, d->classes, sizeof *d->logits));
    AMUN__CHECK(amun__calloc(d->ctx, &d->target, d->classes, sizeof *d->target));
    for (size_t i = 0; i < ROLES; i++) {
        if (d->models[i] != NULL) {
            AMUN__CHECK(amun__model_lease(d->models[i], 1, AMUN__MODE_INFER, &d->plans[i]));
        }
    }
    return AMUN_OK;
}

static void close_plans(diagnosis *d)
{
    for (size_t i = 0; i < ROLES; i++) {
        if (d->plans[i] != NULL) {
            amun__model_release(d->models[i], d->plans[i]);
        }
    }
    amun__free(d->ctx, d->image);
    amun__free(d->ctx, d->logits);
    amun__free(d->ctx, d->target);
}

/* Cross-entropy of d->image, added to *sum. */
static amun_status add_loss(diagnosis *d, size_t role, int64_t index, int32_t label, double *sum)
{
    if (d->models[role] == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__plan_forward(d->plans[role], d->image, d->logits));
    d->target[label] = 1.0f;
    double loss = amun__loss_cross_entropy(d->logits, d->target, NULL, 1, d->classes, 1.0, NULL);
    d->target[label] = 0.0f;
    if (!isfinite(loss)) {
        return amun__fail(AMUN_ERROR_NUMERIC, "the loss of image %lld is %g", (long long)index,
                          loss);
    }
    *sum += loss;
    return AMUN_OK;
}

static amun_status check_record(const diagnosis *d, const amun_attack_record *record)
{
    if (record->index < 0 || (uint64_t)record->index >= amun_dataset_count(d->train) ||
        record->input_hash != amun__dataset_hash(d->train, (size_t)record->index)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "adversarial set: image %lld was another one, or had another label, when "
                          "the set was built",
                          (long long)record->index);
    }
    return AMUN_OK;
}

static amun_status add_sample(diagnosis *d, size_t i, const amun_attack_record *record,
                              amun_unlearn_bound *b)
{
    AMUN__CHECK(check_record(d, record));
    amun__dataset_fetch(d->train, (size_t)record->index, d->image);
    AMUN__CHECK(add_loss(d, RETRAINED, record->index, record->label, &b->retrained_clean));
    AMUN__CHECK(amun_advset_image(d->set, i, d->image));
    AMUN__CHECK(add_loss(d, ORIGINAL, record->index, record->label, &b->original_adversarial));
    AMUN__CHECK(
        add_loss(d, UNLEARNED, record->index, record->adversarial, &b->unlearned_adversarial));
    AMUN__CHECK(
        add_loss(d, RETRAINED, record->index, record->adversarial, &b->retrained_adversarial));
    b->delta += record->l2;
    b->samples++;
    return AMUN_OK;
}

static double squared_distance(const amun_model *a, const amun_model *b)
{
    amun__model_values x, y;
    amun__model_values_get(a, &x);
    amun__model_values_get(b, &y);
    double sum = 0.0;
    for (size_t i = 0; i < x.trainable; i++) {
        double step = (double)x.values[i] - (double)y.values[i];
        sum += step * step;
    }
    return sum;
}

static void finish(const diagnosis *d, double lipschitz, double beta, amun_unlearn_bound *b)
{
    double n = (double)b->samples;
    bool known = d->models[RETRAINED] != NULL;
    b->delta /= n;
    b->l_delta = sqrt(2.0) * lipschitz * b->delta;
    b->original_adversarial /= n;
    b->unlearned_adversarial /= n;
    b->retrained_clean = known ? b->retrained_clean / n : NAN;
    b->retrained_adversarial = known ? b->retrained_adversarial / n : NAN;
    b->c = b->original_adversarial + b->unlearned_adversarial - b->retrained_clean -
           b->retrained_adversarial;
    b->before = known ? squared_distance(d->models[ORIGINAL], d->models[RETRAINED]) : NAN;
    b->after = known ? squared_distance(d->models[UNLEARNED], d->models[RETRAINED]) : NAN;
    b->bound = b->before + 2.0 / beta * (b->l_delta - b->c);
}

static amun_status run_all(diagnosis *d, amun_unlearn_bound *b, amun__progress_state *progress)
{
    const amun_attack_record *records = amun_advset_records(d->set);
    size_t count = amun_advset_count(d->set);
    for (size_t i = 0; i < count; i++) {
        if (records[i].outcome == AMUN_ATTACK_FLIPPED) {
            AMUN__CHECK(add_sample(d, i, &records[i], b));
        }
        AMUN__CHECK(amun__progress_tick(progress, "bound", i + 1, count, NAN, NAN));
    }
    return b->samples > 0
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_NUMERIC,
                            "adversarial set: none of its %zu samples has an example", count);
}

/* Images of the set and of the data fit the models, and these each other. */
static amun_status check_fit(const diagnosis *d)
{
    amun__model_values first, other;
    amun__model_values_get(d->models[ORIGINAL], &first);
    for (size_t i = 1; i < ROLES; i++) {
        if (d->models[i] == NULL) {
            continue;
        }
        amun__model_values_get(d->models[i], &other);
        if (other.trainable != first.trainable || other.total != first.total ||
            amun_model_classes(d->models[i]) != amun_model_classes(d->models[ORIGINAL])) {
            return amun__fail(AMUN_ERROR_SHAPE,
                              "%s has %zu trainable weights, original has %zu: not of one graph",
                              i == UNLEARNED ? "unlearned" : "retrained", other.trainable,
                              first.trainable);
        }
        AMUN__CHECK(amun__train_check_shape(d->models[i], d->train, "train"));
    }
    return amun__train_check_shape(d->models[ORIGINAL], d->train, "train");
}

static amun_status check_arguments(const diagnosis *d, double lipschitz, double beta)
{
    AMUN__CHECK(amun__object_check(d->models[ORIGINAL], AMUN__TAG_MODEL, "original"));
    AMUN__CHECK(amun__object_check(d->models[UNLEARNED], AMUN__TAG_MODEL, "unlearned"));
    if (d->models[RETRAINED] != NULL) {
        AMUN__CHECK(amun__object_check(d->models[RETRAINED], AMUN__TAG_MODEL, "retrained"));
    }
    AMUN__CHECK(amun__object_check(d->train, AMUN__TAG_DATASET, "train"));
    AMUN__CHECK(amun__object_check(d->set, AMUN__TAG_ADVSET, "set"));
    if (!(lipschitz > 0.0) || !(beta > 0.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "lipschitz is %g and beta is %g, must be above 0", lipschitz, beta);
    }
    return check_fit(d);
}

static amun_status run_held(diagnosis *d, amun_unlearn_bound *b, amun__progress_state *progress)
{
    size_t held = 0;
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(d->ctx, &threads));
    amun_status status = AMUN_OK;
    for (; held < ROLES; held++) {
        if (d->models[held] != NULL) {
            AMUN__TRY(amun__model_begin_read(d->models[held]));
        }
    }
    AMUN__TRY(open_plans(d));
    AMUN__TRY(run_all(d, b, progress));
fail:
    close_plans(d);
    while (held > 0) {
        held--;
        if (d->models[held] != NULL) {
            amun__model_end_read(d->models[held]);
        }
    }
    amun__threads_end(&threads);
    return status;
}

amun_status amun_unlearn_diagnose(amun_unlearn_bound *result, const amun_model *original,
                                  const amun_model *unlearned, const amun_model *retrained,
                                  const amun_dataset *train, const amun_advset *set,
                                  double lipschitz, double beta, const amun_call_options *call)
{
    amun__enter();
    amun_unlearn_bound b = {.struct_size = sizeof b};
    AMUN__CHECK(amun__result_write(result, &b, sizeof b, "result"));
    diagnosis d = {.models = {original, unlearned, retrained}, .train = train, .set = set};
    AMUN__CHECK(check_arguments(&d, lipschitz, beta));
    d.ctx = amun__model_context(original);
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    AMUN__CHECK(run_held(&d, &b, &progress));
    finish(&d, lipschitz, beta, &b);
    return amun__result_write(result, &b, sizeof b, "result");
}
