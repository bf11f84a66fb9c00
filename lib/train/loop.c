/* loop.c - the one training loop. Every method that updates weights by gradients is a recipe that
 * runs here, on one model or on several at once: batches of a mix, forward, seed gradient of the
 * cross-entropy (or an objective of the recipe's own), backward, SGD or Adam. */
#include "train/checkpoint.h"
#include "train/clip.h"

typedef struct run {
    amun_context *ctx;
    amun__member *members;
    size_t count;
    const amun__recipe *recipe;
    const amun_train_options *options;
    amun__progress_state *progress;
    amun__mix mix; /* the recipe's, with the options' augmentation and smoothing */
    amun__loader *loader;
    amun__checkpoint checkpoint;
    amun__spare spare;
    amun__train_clip clip;
    size_t batch, classes;
    size_t steps;          /* of this epoch */
    int64_t steps_before;  /* of all epochs before this one */
    uint64_t steps_in_all; /* of the run */
    amun__run_state state; /* between epochs */
    double loss_sum;       /* of this epoch so far */
    int64_t right, seen;   /* the same; samples once per member */
    int64_t samples;       /* of this call */
    bool stop;             /* the objective has had enough */
} run;

/* ---- before the first step ------------------------------------------------------------------ */

static amun_status check_recipe(run *r)
{
    AMUN__CHECK(amun__mix_check(r->ctx, &r->mix));
    /* all parts have one shape: the check above saw to that */
    for (size_t i = 0; i < r->count; i++) {
        AMUN__CHECK(amun__train_check_shape(r->members[i].model, r->mix.parts[0].dataset, "data"));
    }
    if (r->options->checkpoint != NULL && r->options->checkpoint[0] == '\0') {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_train_options.checkpoint is an empty path");
    }
    if (r->options->optimiser == AMUN_OPTIMISER_ADAM && r->options->nesterov != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_train_options.nesterov is 1: Adam has no such momentum");
    }
    return AMUN_OK;
}

/* Unless there is one of this size, or no batch of it. */
static amun_status lease_plan(const run *r, amun__member *m, size_t batch)
{
    if (batch == 0 || amun__member_plan(m, batch) != NULL) {
        return AMUN_OK;
    }
    int at = 0;
    while (m->plans[at] != NULL) { /* one for each size: there is room */
        at++;
    }
    amun__mode mode = r->recipe->frozen_statistics != 0 ? AMUN__MODE_TUNE : AMUN__MODE_TRAIN;
    return amun__model_lease(m->model, (int64_t)batch, mode, &m->plans[at]);
}

static amun_status prepare_member(const run *r, amun__member *m, size_t rows)
{
    AMUN__CHECK(amun__alloc(r->ctx, &m->logits, rows, sizeof *m->logits));
    AMUN__CHECK(amun__alloc(r->ctx, &m->seed, rows, sizeof *m->seed));
    AMUN__CHECK(amun__alloc(r->ctx, &m->diff, m->values.trainable, sizeof *m->diff));
    bool adam = r->options->optimiser == AMUN_OPTIMISER_ADAM;
    if (adam || r->options->momentum > 0.0) {
        AMUN__CHECK(amun__calloc(r->ctx, &m->velocity, m->values.trainable, sizeof *m->velocity));
    }
    if (adam) {
        AMUN__CHECK(amun__calloc(r->ctx, &m->second, m->values.trainable, sizeof *m->second));
    }
    AMUN__CHECK(lease_plan(r, m, r->batch));
    for (int32_t phase = 0; phase < AMUN__MIX_MAX_PARTS; phase++) {
        size_t count = amun__mix_phase_count(&r->mix, phase, 0);
        AMUN__CHECK(lease_plan(r, m, count % r->batch));
    }
    return AMUN_OK;
}

/* Steps of the whole run. Epochs beyond the last change of the mix are all alike. */
static uint64_t count_steps(const run *r)
{
    int64_t epochs = r->options->epochs, varied = 0;
    for (size_t p = 0; p < r->mix.part_count; p++) {
        varied = r->mix.parts[p].epochs > varied ? r->mix.parts[p].epochs : varied;
    }
    varied = varied < epochs ? varied : epochs;
    uint64_t steps = 0;
    for (int64_t epoch = 0; epoch < varied; epoch++) {
        steps += amun__mix_batches(&r->mix, r->batch, epoch);
    }
    return steps + (uint64_t)(epochs - varied) * amun__mix_batches(&r->mix, r->batch, varied);
}

/* All memory and plans that the steps need: the steady state allocates nothing. */
static amun_status prepare(run *r)
{
    size_t largest = 0; /* no part enters after epoch 0 */
    for (int32_t phase = 0; phase < AMUN__MIX_MAX_PARTS; phase++) {
        size_t count = amun__mix_phase_count(&r->mix, phase, 0);
        largest = count > largest ? count : largest;
    }
    r->batch = (size_t)r->options->batch < largest ? (size_t)r->options->batch : largest;
    r->classes = (size_t)r->mix.classes;
    r->steps_in_all = count_steps(r);
    size_t rows = 0;
    if (!amun__mul_size(&rows, r->batch, r->classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "a batch of %zu with %zu classes is too large",
                          r->batch, r->classes);
    }
    for (size_t i = 0; i < r->count; i++) {
        AMUN__CHECK(prepare_member(r, &r->members[i], rows));
    }
    AMUN__CHECK(amun__train_clip_open(&r->clip, r->members, r->count, r->recipe));
    return amun__loader_open(&r->loader, r->ctx, &r->mix, r->batch, r->options->seed);
}

static void release(run *r)
{
    amun__loader_close(r->loader);
    amun__free(r->ctx, r->spare.values);
    for (size_t i = 0; i < r->count; i++) {
        amun__member *m = &r->members[i];
        for (int p = 0; p < AMUN__STEP_SIZES && m->plans[p] != NULL; p++) {
            amun__model_release(m->model, m->plans[p]);
        }
        amun__free(r->ctx, m->velocity);
        amun__free(r->ctx, m->second);
        amun__free(r->ctx, m->diff);
        amun__free(r->ctx, m->logits);
        amun__free(r->ctx, m->seed);
    }
    amun__checkpoint_close(&r->checkpoint);
    amun__train_clip_close(&r->clip);
}

static amun_status save(run *r)
{
    amun__train_clip_keep(&r->clip);
    return amun__checkpoint_save(&r->checkpoint, &r->state);
}

/* Goes on from the checkpoint; if there is none, writes the first, so that a path which cannot be
 * written is found before any work is done. */
static amun_status resume(run *r)
{
    if (r->options->checkpoint == NULL) {
        return AMUN_OK;
    }
    amun__recipe recipe = *r->recipe;
    if (r->clip.extras != NULL) { /* the recipe's and the clippers' */
        recipe.extras = r->clip.extras;
        recipe.extra_count = r->clip.extra_count;
    }
    AMUN__CHECK(amun__checkpoint_open(&r->checkpoint, r->members, r->count, &recipe, &r->mix));
    bool found = false;
    AMUN__CHECK(amun__checkpoint_load(&r->checkpoint, &r->state, &found));
    if (!found) {
        return save(r);
    }
    amun__train_clip_recall(&r->clip);
    return AMUN_OK;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static amun_status fill_gradients(run *r, amun__step *step)
{
    if (r->recipe->objective != NULL && r->recipe->objective->gradients != NULL) {
        return r->recipe->objective->gradients(r->recipe->objective->self, step);
    }
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        AMUN__CHECK(amun__step_cross_entropy(step, i));
    }
    return AMUN_OK;
}

/* As PyTorch's clip_grad_norm_. */
static void limit_norm(amun__member *m, double limit)
{
    double squares = 0.0; /* one thread: the sum must not depend on how many there are */
    for (size_t i = 0; i < m->values.trainable; i++) {
        squares += (double)m->diff[i] * (double)m->diff[i];
    }
    double norm = sqrt(squares);
    if (norm > limit) {
        const float factor = (float)(limit / norm);
        for (size_t i = 0; i < m->values.trainable; i++) {
            m->diff[i] *= factor;
        }
    }
}

static void update(const run *r, size_t at)
{
    const amun_train_options *o = r->options;
    const double done = (double)r->state.epoch / (double)o->epochs;
    const int64_t before = r->steps_before + (int64_t)at;
    const amun__sgd sgd = {
        .lr = amun__schedule_lr(o, r->state.epoch, (int64_t)at, (int64_t)r->steps),
        .momentum = o->momentum,
        .weight_decay = o->weight_decay,
        .l1 = r->recipe->l1_falls != 0 ? r->recipe->l1 * (1.0 - done) : r->recipe->l1,
        .nesterov = o->nesterov,
        .first = before == 0,
        .mask = r->recipe->mask,
    };
    const amun__adam adam = {.lr = sgd.lr,
                             .beta1 = sgd.momentum,
                             .weight_decay = sgd.weight_decay,
                             .l1 = sgd.l1,
                             .step = before + 1,
                             .mask = sgd.mask};
    for (size_t i = 0; i < r->count; i++) {
        amun__member *m = &r->members[i];
        float *values = m->values.values;
        if (o->optimiser == AMUN_OPTIMISER_ADAM) {
            amun__adam_step(&adam, values, m->velocity, m->second, m->diff, m->values.trainable);
        } else {
            amun__sgd_step(&sgd, values, m->velocity, m->diff, m->values.trainable);
        }
        amun__model_touch(m->model);
    }
}

static amun_status take_step(run *r, const amun__batch *batch, size_t at)
{
    amun__step step = {
        .ctx = r->ctx,
        .members = r->members,
        .count = r->count,
        .batch = batch,
        .classes = r->classes,
        .spare = &r->spare,
        .index = r->steps_before + (int64_t)at,
        .epoch = r->state.epoch,
    };
    AMUN__CHECK(amun__train_clip_before(&r->clip, step.index));
    AMUN__CHECK(fill_gradients(r, &step));
    if (!isfinite(step.loss)) {
        return amun__fail(AMUN_ERROR_NUMERIC, "%s: loss is %g in epoch %lld of %d, step %zu of %zu",
                          r->recipe->name, step.loss, (long long)r->state.epoch + 1,
                          (int)r->options->epochs, at + 1, r->steps);
    }
    for (size_t i = 0; i < r->count && r->recipe->max_norm > 0.0; i++) {
        limit_norm(&r->members[i], r->recipe->max_norm);
    }
    AMUN__CHECK(amun__train_clip_after(&r->clip, r->members));
    update(r, at);
    AMUN__CHECK(amun__train_clip_updated(&r->clip));
    r->loss_sum += step.loss;
    r->right += step.right;
    r->seen += (int64_t)(batch->count * r->count);
    r->samples += (int64_t)batch->count;
    return AMUN_OK;
}

/* The last update of an epoch is seen by no forward of that epoch, and a checkpoint must be sound.
 */
static amun_status check_values(const run *r)
{
    for (size_t m = 0; m < r->count; m++) {
        const amun__model_values *v = &r->members[m].values;
        for (size_t i = 0; i < v->total; i++) {
            if (!isfinite(v->values[i])) {
                return amun__fail(AMUN_ERROR_NUMERIC, "%s: a weight is %g after epoch %lld of %d",
                                  r->recipe->name, (double)v->values[i],
                                  (long long)r->state.epoch + 1, (int)r->options->epochs);
            }
        }
    }
    return AMUN_OK;
}

/* Asks the objective whether it has had enough. */
static amun_status end_epoch(run *r)
{
    const amun__objective *objective = r->recipe->objective;
    return objective != NULL && objective->epoch_end != NULL
               ? objective->epoch_end(objective->self, r->state.epoch, &r->stop)
               : AMUN_OK;
}

/* How many steps lie behind a run that goes on, and whether it is over. */
static amun_status catch_up(run *r)
{
    for (int64_t epoch = 0; epoch < r->state.epoch; epoch++) {
        r->steps_before += (int64_t)amun__mix_batches(&r->mix, r->batch, epoch);
    }
    return r->state.epoch > 0 ? end_epoch(r) : AMUN_OK;
}

static amun_status run_epoch(run *r)
{
    r->loss_sum = 0.0;
    r->right = 0;
    r->seen = 0;
    r->steps = amun__mix_batches(&r->mix, r->batch, r->state.epoch);
    AMUN__CHECK(amun__loader_begin(r->loader, (uint32_t)r->state.epoch));
    for (size_t step = 0; step < r->steps; step++) {
        const amun__batch *batch = NULL;
        AMUN__CHECK(amun__loader_next(r->loader, &batch));
        if (batch == NULL || amun__member_plan(&r->members[0], batch->count) == NULL) {
            return amun__fail(AMUN_ERROR_INTERNAL, "batch %zu of %zu is missing or short", step + 1,
                              r->steps);
        }
        AMUN__CHECK(take_step(r, batch, step));
        AMUN__CHECK(amun__progress_tick(
            r->progress, r->recipe->name, (uint64_t)r->steps_before + step + 1, r->steps_in_all,
            r->loss_sum / (double)r->seen, 100.0 * (double)r->right / (double)r->seen));
    }
    AMUN__CHECK(check_values(r));
    r->state.epoch++;
    r->steps_before += (int64_t)r->steps;
    r->state.loss = r->loss_sum / (double)r->seen;
    r->state.accuracy = 100.0 * (double)r->right / (double)r->seen;
    AMUN__CHECK(end_epoch(r));
    bool due = r->state.epoch % r->options->checkpoint_every == 0 ||
               r->state.epoch == r->options->epochs || r->stop;
    return r->options->checkpoint != NULL && due ? save(r) : AMUN_OK;
}

/* ---- recipes -------------------------------------------------------------------------------- */

static amun_status run_all(run *r)
{
    AMUN__CHECK(check_recipe(r));
    AMUN__CHECK(prepare(r));
    AMUN__CHECK(resume(r));
    AMUN__CHECK(catch_up(r));
    while (r->state.epoch < r->options->epochs && !r->stop) {
        AMUN__CHECK(run_epoch(r));
    }
    return AMUN_OK;
}

/* Runs, and puts all models back if that failed. */
static amun_status run_guarded(run *r, amun__snapshot *before)
{
    amun_status status = AMUN_OK;
    for (size_t i = 0; i < r->count; i++) {
        AMUN__TRY(amun__snapshot_take(&before[i], r->members[i].model));
    }
    status = run_all(r);
    if (status == AMUN_OK || status == AMUN_ERROR_CANCELLED) {
        amun_status finished = amun__train_clip_finish(&r->clip);
        status = finished == AMUN_OK ? status : finished;
    }
    release(r);
    if (status != AMUN_OK && status != AMUN_ERROR_CANCELLED) {
        for (size_t i = 0; i < r->count; i++) {
            amun__snapshot_restore(&before[i], r->members[i].model);
        }
    }
fail:
    for (size_t i = 0; i < r->count; i++) {
        amun__snapshot_drop(&before[i]);
    }
    return status;
}

static amun_status write_result(const run *r, double began, amun_train_result *result)
{
    if (result == NULL) {
        return AMUN_OK;
    }
    const amun_train_result done = {
        .struct_size = sizeof done,
        .loss = r->state.loss,
        .accuracy = r->state.accuracy,
        .seconds = amun__now() - began,
        .epochs = r->state.epoch,
        .samples = r->samples,
    };
    return amun__result_write(result, &done, sizeof done, "result");
}

amun_status amun__recipe_run_joint(amun_model *const *models, size_t count,
                                   const amun__recipe *recipe, amun__progress_state *progress,
                                   amun_train_result *result)
{
    double began = amun__now();
    run r = {
        .ctx = amun__model_context(models[0]),
        .count = count,
        .recipe = recipe,
        .options = &recipe->options,
        .progress = progress,
        .mix = recipe->mix,
        .state = {0, NAN, NAN},
    };
    r.mix.augment = (amun__augment){.pad = r.options->augment_pad,
                                    .flip = r.options->augment_flip,
                                    .cutout = r.options->augment_cutout};
    r.mix.label_smoothing = r.options->label_smoothing;
    amun__snapshot *before = NULL;
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(r.ctx, &threads));
    amun_status status;
    AMUN__TRY(amun__calloc(r.ctx, &r.members, count, sizeof *r.members));
    AMUN__TRY(amun__calloc(r.ctx, &before, count, sizeof *before));
    for (size_t i = 0; i < count; i++) {
        r.members[i].model = models[i];
        amun__model_values_get(models[i], &r.members[i].values);
    }
    AMUN__TRY(run_guarded(&r, before));
    AMUN__TRY(write_result(&r, began, result));
fail:
    amun__free(r.ctx, before);
    amun__free(r.ctx, r.members);
    amun__threads_end(&threads);
    return status;
}

amun_status amun__recipe_run(amun_model *model, const amun__recipe *recipe,
                             amun__progress_state *progress, amun_train_result *result)
{
    return amun__recipe_run_joint(&model, 1, recipe, progress, result);
}

/* ---- plain training ------------------------------------------------------------------------- */

amun_status amun__recipe_fill(amun__recipe *recipe, const amun_model *model,
                              const amun_dataset *data, const int64_t *indices, size_t count)
{
    amun__dataset_info info;
    amun__dataset_info_get(data, &info);
    if (info.classes == 0) {
        return amun__fail(AMUN_ERROR_STATE, "data: the data set has no labels to train with");
    }
    if (indices == NULL && count != 0 && count != info.count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "indices is NULL, but count is %zu and data has %zu images", count,
                          info.count);
    }
    if (indices != NULL) {
        AMUN__CHECK(amun__indices_check(amun__model_context(model), indices, count, info.count,
                                        false, "training set"));
    }
    recipe->mix = (amun__mix){
        .parts[0] = {.dataset = data,
                     .indices = indices,
                     .count = indices != NULL ? count : info.count,
                     .target = AMUN__TARGET_LABEL,
                     .augment = 1,
                     .weight = 1.0},
        .part_count = 1,
        .classes = amun_model_classes(model),
        .shuffle = 1,
    };
    return AMUN_OK;
}

amun_status amun_train_run(amun_train_result *result, amun_model *model, const amun_dataset *data,
                           const int64_t *indices, size_t count, const amun_train_options *opts,
                           const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__object_check(data, AMUN__TAG_DATASET, "data"));
    if (result != NULL) { /* a wrong size is found now, not after hours */
        const amun_train_result none = {.struct_size = sizeof none, .loss = NAN, .accuracy = NAN};
        AMUN__CHECK(amun__result_write(result, &none, sizeof none, "result"));
    }
    amun__recipe recipe = {0};
    amun__progress_state progress;
    AMUN__CHECK(amun__options_read(&amun__train_options_table, &recipe.options, opts));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    recipe.name = "train";
    AMUN__CHECK(amun__recipe_fill(&recipe, model, data, indices, count));
    AMUN__CHECK(amun__model_begin_write(model));
    amun_status status = amun__recipe_run(model, &recipe, &progress, result);
    amun__model_end_write(model);
    return status;
}
