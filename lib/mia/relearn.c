/* relearn.c - how many steps bring the forget samples back. */
#include <float.h>

#include "amun/select.h"
#include "data/data.h"
#include "train/train.h"

static const amun_relearn_options default_options = {
    .struct_size = sizeof(amun_relearn_options),
    .lr = 1e-3,
    .batch = 128,
    .every = 1,
    .most_epochs = 100,
    .reserved = 0,
    .seed = 0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_relearn_options, lr, AMUN__FIELD_F64, DBL_MIN, 1000),
    AMUN__FIELD(amun_relearn_options, batch, AMUN__FIELD_I32, 1, 65536),
    AMUN__FIELD(amun_relearn_options, every, AMUN__FIELD_I32, 1, 1e6),
    AMUN__FIELD(amun_relearn_options, most_epochs, AMUN__FIELD_I32, 1, 100000),
    AMUN__FIELD(amun_relearn_options, reserved, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_relearn_options, seed, AMUN__FIELD_U64, 0, INFINITY),
};
static const amun__options_table option_table = {
    .name = "amun_relearn_options",
    .size = sizeof(amun_relearn_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_relearn_options_init(amun_relearn_options *opts, size_t size)
{
    return amun__options_init(&option_table, opts, size);
}

typedef struct relearning {
    amun_context *ctx;
    amun_model *model; /* the copy */
    const amun_dataset *train;
    const int64_t *forget;
    size_t count;
    double target;
    amun_relearn_options options;
    int64_t *others; /* as many remaining samples, or all of them */
    size_t other_count;
    amun_relearn found;
} relearning;

static amun_status draw_others(relearning *r)
{
    size_t all = amun_dataset_count(r->train), remaining = all - r->count;
    amun__rng rng;
    if (remaining == 0) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__indices_complement(r->ctx, &r->others, r->forget, r->count, all));
    amun__rng_open(&rng, r->options.seed, AMUN__RNG_SUBSAMPLE, 0, 0);
    amun__rng_shuffle(&rng, r->others, remaining);
    r->other_count = remaining < r->count ? remaining : r->count;
    return AMUN_OK;
}

static amun_status look(relearning *r)
{
    return amun__eval_accuracy(r->model, r->train, r->forget, r->count, &r->found.after);
}

/* The look before a step sees all the steps before it. */
static amun_status step_and_look(void *self, amun__step *step)
{
    relearning *r = self;
    if (r->found.steps < 0 && step->index % r->options.every == 0) {
        AMUN__CHECK(look(r));
        r->found.before = step->index == 0 ? r->found.after : r->found.before;
        r->found.steps = r->found.after >= r->target ? step->index : -1;
    }
    return amun__step_cross_entropy(step, 0);
}

static amun_status stop_when_found(void *self, int64_t done, bool *stop)
{
    const relearning *r = self;
    (void)done;
    *stop = r->found.steps >= 0;
    return AMUN_OK;
}

static amun_status run(relearning *r, amun__progress_state *progress)
{
    const amun__objective objective = {
        .self = r, .gradients = step_and_look, .epoch_end = stop_when_found};
    amun__recipe recipe = {.name = "relearn", .objective = &objective};
    AMUN__CHECK(draw_others(r));
    AMUN__CHECK(amun__recipe_fill(&recipe, r->model, r->train, r->forget, r->count));
    recipe.mix.parts[0].augment = 0;
    recipe.mix.parts[1] = recipe.mix.parts[0];
    recipe.mix.parts[1].indices = r->others;
    recipe.mix.parts[1].count = r->other_count;
    recipe.mix.part_count = r->other_count > 0 ? 2 : 1;
    AMUN__CHECK(amun_train_options_init(&recipe.options, sizeof recipe.options));
    recipe.options.epochs = r->options.most_epochs;
    recipe.options.batch = r->options.batch;
    recipe.options.lr = r->options.lr;
    recipe.options.weight_decay = 0.0;
    recipe.options.schedule = AMUN_SCHEDULE_CONSTANT;
    recipe.options.seed = r->options.seed;
    AMUN__CHECK(amun__model_begin_write(r->model));
    amun_status status = amun__recipe_run(r->model, &recipe, progress, NULL);
    if (status == AMUN_OK && r->found.steps < 0) { /* what the last steps did */
        status = look(r);
    }
    amun__model_end_write(r->model);
    return status;
}

amun_status amun_relearn_time(amun_relearn *result, const amun_model *model,
                              const amun_dataset *train, const int64_t *forget, size_t count,
                              double target, const amun_relearn_options *opts,
                              const amun_call_options *call)
{
    amun__enter();
    amun__progress_state progress;
    relearning r = {.train = train, .forget = forget, .count = count, .target = target};
    r.found = (amun_relearn){.struct_size = sizeof r.found, .steps = -1, .before = NAN};
    double began = amun__now();
    AMUN__CHECK(amun__result_write(result, &r.found, sizeof r.found, "result"));
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__object_check(train, AMUN__TAG_DATASET, "train"));
    AMUN__CHECK(amun__options_read(&option_table, &r.options, opts));
    AMUN__CHECK(amun__progress_begin(&progress, call));
    if (!(target > 0.0 && target <= 100.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "target: %g is outside (0, 100]", target);
    }
    r.ctx = amun__model_context(model);
    AMUN__CHECK(amun__train_check_shape(model, train, "train"));
    AMUN__CHECK(
        amun__indices_check(r.ctx, forget, count, amun_dataset_count(train), false, "forget set"));
    AMUN__CHECK(amun_model_clone(&r.model, model));
    amun_status status = run(&r, &progress);
    amun_model_unref(r.model);
    amun__free(r.ctx, r.others);
    AMUN__CHECK(status);
    r.found.seconds = amun__now() - began;
    return amun__result_write(result, &r.found, sizeof r.found, "result");
}
