/* engine_dump.c - runs the engine on one batch and writes all that came out of it, for comparison
 * with another framework: logits and gradients in the three modes, then SGD steps. Test only.
 *
 *   engine_dump KEY VALUE ...
 *     arch NAME, classes N, channels N, height N, width N, seed N
 *     weights FILE     read these (else fresh ones from the seed)
 *     initial FILE     write the weights before the steps (amun_model_save)
 *     images FILE.npy  float32 [n, C, H, W];  labels FILE.npy  int64 [n]
 *     backend default | reference
 *     steps N, lr X, momentum X, weight_decay X, nesterov 0 | 1
 *     out FILE         logits.*, diff_src.*, diff.<parameter>, loss
 *     after FILE       write the weights after the steps (amun_model_save)
 *     miyato TARGET    instead: weights that are normalised to the target by MIYATO's clip, with
 *                      power iterations N per step and the vectors u of clip_seed N. To `out`:
 *                      u.<layer> before the first step, diff.<parameter> in the first step; the
 *                      steps are those of amun_train_run()
 */
#include <stdio.h>
#include <stdlib.h>

#include "amun/clip.h"
#include "amun/train.h"
#include "io/io.h"
#include "nn/graph.h"
#include "spectral/clipper.h"

typedef struct run {
    int argc;
    char **argv;
    amun_context *ctx;
    amun_model *model;
    const amun__backend *backend; /* NULL: the model's own plans */
    int64_t batch, classes;
    size_t pixels; /* per image */
    float *images, *targets, *logits, *seed;
    amun__st_tensor results[1024];
    char names[1024][128];
    size_t count;
} run;

static const char *text_of(const run *r, const char *key, const char *otherwise)
{
    for (int i = 1; i + 1 < r->argc; i += 2) {
        if (strcmp(r->argv[i], key) == 0) {
            return r->argv[i + 1];
        }
    }
    return otherwise;
}

static double number_of(const run *r, const char *key, double otherwise)
{
    const char *text = text_of(r, key, NULL);
    return text != NULL ? strtod(text, NULL) : otherwise;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "engine_dump: out of memory\n");
        exit(2);
    }
    return memory;
}

/* A copy of `count` floats under "prefix.name". */
static void keep(run *r, const char *prefix, const char *name, const float *values, int32_t ndim,
                 const int64_t *shape)
{
    size_t at = r->count++, count = 1;
    if (at >= sizeof r->results / sizeof r->results[0]) {
        (void)fprintf(stderr, "engine_dump: too many tensors\n");
        exit(2);
    }
    (void)snprintf(r->names[at], sizeof r->names[at], "%s.%s", prefix, name);
    amun__st_tensor *t = &r->results[at];
    *t = (amun__st_tensor){.name = r->names[at], .dtype = AMUN_DTYPE_F32, .ndim = ndim};
    for (int32_t i = 0; i < ndim; i++) {
        t->shape[i] = shape[i];
        count *= (size_t)shape[i];
    }
    float *copy = must(malloc(count * sizeof(float) + 1));
    memcpy(copy, values, count * sizeof(float));
    t->data = copy;
    t->bytes = count * sizeof(float);
}

static amun_status read_npy(const char *path, amun__mapping *mapping, amun_tensor_view *view)
{
    AMUN__CHECK(amun__file_map(mapping, path));
    amun_status status = amun__npy_parse(view, mapping->data, mapping->size, path);
    if (status != AMUN_OK) {
        amun__file_unmap(mapping);
    }
    return status;
}

static amun_status read_batch(run *r)
{
    amun__mapping mapping;
    amun_tensor_view view;
    AMUN__CHECK(read_npy(text_of(r, "images", ""), &mapping, &view));
    r->batch = view.shape[0];
    r->images = must(malloc((size_t)r->batch * r->pixels * sizeof(float)));
    amun_status status = amun__view_read_f32(&view, 0, (size_t)r->batch, 1.0, r->images);
    amun__file_unmap(&mapping);
    AMUN__CHECK(status);
    AMUN__CHECK(read_npy(text_of(r, "labels", ""), &mapping, &view));
    int64_t *labels = must(malloc((size_t)r->batch * sizeof(int64_t)));
    status = amun__view_read_i64(&view, 0, (size_t)r->batch, labels);
    r->targets = must(calloc((size_t)(r->batch * r->classes), sizeof(float)));
    for (int64_t i = 0; i < r->batch && status == AMUN_OK; i++) {
        r->targets[i * r->classes + labels[i]] = 1.0f;
    }
    free(labels);
    amun__file_unmap(&mapping);
    return status;
}

static amun_status open_model(run *r)
{
    amun_model_options opts;
    AMUN__CHECK(amun_context_create(&r->ctx, NULL));
    AMUN__CHECK(amun_model_options_init(&opts, sizeof opts));
    opts.classes = r->classes = (int64_t)number_of(r, "classes", 10);
    opts.channels = (int64_t)number_of(r, "channels", 3);
    opts.height = (int64_t)number_of(r, "height", 32);
    opts.width = (int64_t)number_of(r, "width", 32);
    opts.seed = (uint64_t)number_of(r, "seed", 0);
    r->pixels = (size_t)(opts.channels * opts.height * opts.width);
    AMUN__CHECK(amun_model_create(&r->model, r->ctx, text_of(r, "arch", "resnet8"), &opts));
    if (text_of(r, "weights", NULL) != NULL) {
        AMUN__CHECK(amun_model_load_weights(r->model, text_of(r, "weights", NULL)));
    }
    if (strcmp(text_of(r, "backend", "default"), "reference") == 0) {
        r->backend = &amun__backend_ref;
    }
    if (text_of(r, "initial", NULL) != NULL) {
        AMUN__CHECK(amun_model_save(r->model, text_of(r, "initial", NULL)));
    }
    return AMUN_OK;
}

static amun_status open_plan(run *r, amun__mode mode, amun__plan **plan)
{
    AMUN__CHECK(amun__model_lease(r->model, r->batch, mode, plan));
    if (r->backend == NULL) {
        return AMUN_OK;
    }
    const amun__params *params = (*plan)->params;
    amun__model_release(r->model, *plan);
    return amun__plan_create(plan, r->ctx, params, r->batch, mode, r->backend);
}

static void close_plan(run *r, amun__plan *plan)
{
    if (r->backend == NULL) {
        amun__model_release(r->model, plan);
    } else {
        amun__plan_destroy(plan);
    }
}

/* Mean cross-entropy of the batch; the seed of its gradient goes to r->seed. */
static double loss_of(run *r)
{
    return amun__loss_cross_entropy(r->logits, r->targets, NULL, (size_t)r->batch,
                                    (size_t)r->classes, 1.0 / (double)r->batch, r->seed) /
           (double)r->batch;
}

static void keep_gradients(run *r, const amun_graph *graph, const float *diff)
{
    for (int32_t i = 0; i < graph->param_count; i++) {
        const amun__param *p = &graph->params[i];
        if (p->trainable) {
            keep(r, "diff", p->name, diff + p->offset, p->ndim, p->shape);
        }
    }
}

static amun_status run_mode(run *r, amun__mode mode, const char *name)
{
    amun__plan *plan = NULL;
    amun__model_values values;
    amun__model_values_get(r->model, &values);
    AMUN__CHECK(open_plan(r, mode, &plan));
    float *diff_src = must(malloc((size_t)r->batch * r->pixels * sizeof(float)));
    float *diff = mode == AMUN__MODE_TRAIN ? must(malloc(values.trainable * sizeof(float))) : NULL;
    amun_status status;
    AMUN__TRY(amun__plan_forward(plan, r->images, r->logits));
    keep(r, "logits", name, r->logits, 2, (int64_t[]){r->batch, r->classes});
    float loss = (float)loss_of(r);
    keep(r, "loss", name, &loss, 0, NULL);
    if (mode != AMUN__MODE_INFER) {
        AMUN__TRY(amun__plan_backward(plan, r->seed, diff_src, diff));
        keep(r, "diff_src", name, diff_src, 2, (int64_t[]){r->batch, (int64_t)r->pixels});
    }
    if (diff != NULL) {
        keep_gradients(r, plan->graph, diff);
    }
fail:
    close_plan(r, plan);
    free(diff_src);
    free(diff);
    return status;
}

static amun_status train(run *r)
{
    amun__plan *plan = NULL;
    amun__model_values values;
    amun__model_values_get(r->model, &values);
    AMUN__CHECK(open_plan(r, AMUN__MODE_TRAIN, &plan));
    float *diff = must(malloc(values.trainable * sizeof(float)));
    float *velocity = must(malloc(values.trainable * sizeof(float)));
    amun__sgd sgd = {.lr = number_of(r, "lr", 0.01),
                     .momentum = number_of(r, "momentum", 0.9),
                     .weight_decay = number_of(r, "weight_decay", 5e-4),
                     .nesterov = (int32_t)number_of(r, "nesterov", 0)};
    amun_status status = AMUN_OK;
    int steps = (int)number_of(r, "steps", 0);
    for (int step = 0; step < steps; step++) {
        AMUN__TRY(amun__plan_forward(plan, r->images, r->logits));
        (void)loss_of(r);
        AMUN__TRY(amun__model_update_statistics(r->model, plan));
        AMUN__TRY(amun__plan_backward(plan, r->seed, NULL, diff));
        sgd.first = step == 0;
        amun__sgd_step(&sgd, values.values, velocity, diff, values.trainable);
        amun__model_touch(r->model);
    }
    if (text_of(r, "after", NULL) != NULL) {
        AMUN__TRY(amun_model_save(r->model, text_of(r, "after", NULL)));
    }
fail:
    close_plan(r, plan);
    free(diff);
    free(velocity);
    return status;
}

/* ---- normalised weights ---------------------------------------------------------------------- */

/* One forward and backward pass as in a training; the model is as before. */
static amun_status miyato_gradient(run *r, const amun_clip_options *clip)
{
    amun__clipper *clipper = NULL;
    amun__plan *plan = NULL;
    amun__model_values values;
    amun__model_values_get(r->model, &values);
    float *diff = must(malloc(values.trainable * sizeof(float))), *u = NULL;
    size_t count = 0;
    double sigma;
    amun_status status;
    AMUN__TRY(amun__clipper_create(&clipper, r->ctx, r->model, clip, AMUN__CLIPPER_TRAIN,
                                   AMUN__LINOP_BEST));
    for (int32_t i = 0; amun__clipper_state(clipper, i, &u, &count); i++) {
        keep(r, "u", amun__clipper_layer(clipper, i, &sigma), u, 1, (int64_t[]){(int64_t)count});
    }
    AMUN__TRY(open_plan(r, AMUN__MODE_TRAIN, &plan));
    AMUN__TRY(amun__clipper_before_forward(clipper, 0, NULL));
    AMUN__TRY(amun__plan_forward(plan, r->images, r->logits));
    (void)loss_of(r);
    AMUN__TRY(amun__plan_backward(plan, r->seed, NULL, diff));
    AMUN__TRY(amun__clipper_after_backward(clipper, diff));
    amun__model_touch(r->model);
    keep_gradients(r, plan->graph, diff);
fail:
    if (plan != NULL) {
        close_plan(r, plan);
    }
    amun__clipper_destroy(clipper);
    free(diff);
    return status;
}

static amun_status miyato_train(run *r, const amun_clip_options *clip)
{
    amun_dataset *data = NULL;
    amun_train_options o;
    AMUN__CHECK(amun_train_options_init(&o, sizeof o));
    o.epochs = (int32_t)number_of(r, "steps", 0); /* of one batch each */
    o.batch = (int32_t)r->batch;
    o.lr = number_of(r, "lr", 0.01);
    o.momentum = number_of(r, "momentum", 0.9);
    o.weight_decay = number_of(r, "weight_decay", 5e-4);
    o.schedule = AMUN_SCHEDULE_CONSTANT;
    o.augment_pad = o.augment_flip = 0;
    o.clip = clip;
    AMUN__CHECK(
        amun_dataset_open_npy(&data, r->ctx, text_of(r, "images", ""), text_of(r, "labels", "")));
    amun_status status = amun_train_run(NULL, r->model, data, NULL, 0, &o, NULL);
    amun_dataset_unref(data);
    return status != AMUN_OK ? status : amun_model_save(r->model, text_of(r, "after", "after"));
}

static amun_status run_miyato(run *r)
{
    amun_clip_options clip;
    AMUN__CHECK(amun_clip_options_init(&clip, sizeof clip));
    clip.method = AMUN_CLIP_MIYATO;
    clip.target = number_of(r, "miyato", 1.0);
    clip.iterations = (int32_t)number_of(r, "iterations", 1);
    clip.seed = (uint64_t)number_of(r, "clip_seed", 0);
    AMUN__CHECK(miyato_gradient(r, &clip));
    return miyato_train(r, &clip);
}

static amun_status run_modes(run *r)
{
    AMUN__CHECK(run_mode(r, AMUN__MODE_INFER, "infer"));
    AMUN__CHECK(run_mode(r, AMUN__MODE_ATTACK, "attack"));
    AMUN__CHECK(run_mode(r, AMUN__MODE_TRAIN, "train"));
    AMUN__CHECK(train(r));
    return run_mode(r, AMUN__MODE_INFER, "after");
}

static amun_status run_all(run *r)
{
    AMUN__CHECK(open_model(r));
    if (text_of(r, "images", NULL) == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(read_batch(r));
    r->logits = must(malloc((size_t)(r->batch * r->classes) * sizeof(float)));
    r->seed = must(malloc((size_t)(r->batch * r->classes) * sizeof(float)));
    AMUN__CHECK(text_of(r, "miyato", NULL) != NULL ? run_miyato(r) : run_modes(r));
    return amun__safetensors_write(r->ctx, text_of(r, "out", "engine_dump.safetensors"), r->results,
                                   r->count, NULL);
}

int main(int argc, char **argv)
{
    run *r = must(calloc(1, sizeof *r));
    r->argc = argc;
    r->argv = argv;
    amun_status status = run_all(r);
    if (status != AMUN_OK) {
        (void)fprintf(stderr, "engine_dump: %s: %s\n", amun_status_string(status),
                      amun_last_error_message());
    }
    for (size_t i = 0; i < r->count; i++) {
        free((void *)(uintptr_t)r->results[i].data);
    }
    free(r->images);
    free(r->targets);
    free(r->logits);
    free(r->seed);
    amun_model_unref(r->model);
    amun_context_unref(r->ctx);
    free(r);
    return status == AMUN_OK ? 0 : 2;
}
