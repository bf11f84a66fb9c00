/* work.c - one network with a batch of images, and the units of work that are timed. */
#include "work.h"

#include <limits.h>
#include <stdlib.h>

#include "io/io.h"

/* ---- files ---------------------------------------------------------------------------------- */

static amun_tensor_view open_npy(amun__mapping *mapping, const char *path)
{
    amun_tensor_view view;
    bench_must(amun__file_map(mapping, path), path);
    bench_must(amun__npy_parse(&view, mapping->data, mapping->size, path), path);
    return view;
}

float *bench_read_images(const char *path, size_t pixels, size_t *rows)
{
    amun__mapping mapping;
    size_t count = 0;
    amun_tensor_view view = open_npy(&mapping, path);
    bench_must(amun__view_check(&view, path, &count), path);
    if (view.ndim != 4 || count == 0 || count / (size_t)view.shape[0] != pixels) {
        bench_must(amun__fail(AMUN_ERROR_SHAPE, "images of %zu values are wanted", pixels), path);
    }
    *rows = (size_t)view.shape[0];
    float *images = bench_memory(count, sizeof *images);
    bench_must(amun__view_read_f32(&view, 0, *rows, 1.0 / 255, images), path);
    amun__file_unmap(&mapping);
    return images;
}

int64_t *bench_read_labels(const char *path, size_t rows)
{
    amun__mapping mapping;
    amun_tensor_view view = open_npy(&mapping, path);
    if (view.ndim != 1 || (size_t)view.shape[0] < rows) {
        bench_must(amun__fail(AMUN_ERROR_SHAPE, "%zu labels are wanted", rows), path);
    }
    int64_t *labels = bench_memory(rows, sizeof *labels);
    bench_must(amun__view_read_i64(&view, 0, rows, labels), path);
    amun__file_unmap(&mapping);
    return labels;
}

/* ---- setting up ----------------------------------------------------------------------------- */

static void open_model(bench_work *w, const bench_args *args, const char *arch)
{
    amun_context_options context;
    amun_model_options shape;
    int64_t extents[3];
    const char *weights = bench_text(args, "weights", NULL);
    bench_must(amun_context_options_init(&context, sizeof context), "context");
    context.threads = (int32_t)bench_number(args, "threads", 0, 0, 1024);
    context.tune_cache = bench_text(args, "tune_cache", NULL);
    bench_must(amun_context_create(&w->ctx, &context), "context");
    bench_must(amun__threads_begin(w->ctx, &w->threads), "threads");
    bench_must(amun_model_options_init(&shape, sizeof shape), arch);
    shape.seed = (uint64_t)bench_number(args, "seed", 0, 0, LONG_MAX);
    bench_must(amun_model_create(&w->model, w->ctx, arch, &shape), arch);
    if (weights != NULL) {
        bench_must(amun_model_load_weights(w->model, weights), weights);
    }
    bench_must(amun_model_shape(w->model, extents), arch);
    w->pixels = (size_t)(extents[0] * extents[1] * extents[2]);
    w->classes = (size_t)amun_model_classes(w->model);
    amun__model_values_get(w->model, &w->values);
}

static void random_batch(bench_work *w)
{
    amun__rng rng;
    amun__rng_open(&rng, 1, AMUN__RNG_TEST, 0, 0);
    w->images = bench_memory(w->batch * w->pixels, sizeof *w->images);
    w->labels = bench_memory(w->batch, sizeof *w->labels);
    for (size_t i = 0; i < w->batch * w->pixels; i++) {
        w->images[i] = (float)amun__rng_uniform(&rng);
    }
    for (size_t i = 0; i < w->batch; i++) {
        w->labels[i] = amun__rng_below(&rng, (uint32_t)w->classes);
    }
}

static void read_batch(bench_work *w, const char *images, const char *labels)
{
    size_t rows = 0;
    w->images = bench_read_images(images, w->pixels, &rows);
    if (rows < w->batch) {
        bench_must(amun__fail(AMUN_ERROR_SHAPE, "%zu images are wanted", w->batch), images);
    }
    w->labels = bench_read_labels(labels, w->batch);
}

void bench_work_open(bench_work *w, const bench_args *args, const char *arch)
{
    const char *images = bench_text(args, "images", NULL), *labels = bench_text(args, "labels", "");
    memset(w, 0, sizeof *w);
    open_model(w, args, arch);
    w->batch = (size_t)bench_number(args, "batch", 128, 1, 4096);
    if (images != NULL) {
        read_batch(w, images, labels);
    } else {
        random_batch(w);
    }
    w->targets = bench_memory(w->batch * w->classes, sizeof(float));
    for (size_t i = 0; i < w->batch; i++) {
        if (w->labels[i] < 0 || (size_t)w->labels[i] >= w->classes) {
            bench_must(amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "label %zu is %lld", i,
                                  (long long)w->labels[i]),
                       labels);
        }
        w->targets[i * w->classes + (size_t)w->labels[i]] = 1.0f;
    }
    w->logits = bench_memory(w->batch * w->classes, sizeof(float));
    w->seed = bench_memory(w->batch * w->classes, sizeof(float));
    w->diff_images = bench_memory(w->batch * w->pixels, sizeof(float));
    w->diff = bench_memory(w->values.trainable, sizeof(float));
    w->velocity = bench_memory(w->values.trainable, sizeof(float));
}

void bench_work_close(bench_work *w)
{
    free(w->images);
    free(w->labels);
    free(w->targets);
    free(w->logits);
    free(w->seed);
    free(w->diff_images);
    free(w->diff);
    free(w->velocity);
    amun_model_unref(w->model);
    amun__threads_end(&w->threads);
    amun_context_unref(w->ctx);
}

/* ---- work ----------------------------------------------------------------------------------- */

int bench_work_mode(const char *name)
{
    static const char *const names[] = {"", "infer", "attack", "train"};
    for (int mode = 1; mode <= 3; mode++) {
        if (strcmp(names[mode], name) == 0) {
            return mode;
        }
    }
    return 0;
}

/* What amun_train_run() does between two batches, at a fixed learning rate. */
static amun_status train_step(bench_work *w, amun__plan *plan)
{
    AMUN__CHECK(amun__plan_backward(plan, w->seed, NULL, w->diff));
    AMUN__CHECK(amun__model_update_statistics(w->model, plan));
    const amun__sgd sgd = {
        .lr = 0.01, .momentum = 0.9, .weight_decay = 5e-4, .first = w->steps == 0};
    amun__sgd_step(&sgd, w->values.values, w->velocity, w->diff, w->values.trainable);
    amun__model_touch(w->model);
    w->steps++;
    return AMUN_OK;
}

amun_status bench_work_run(bench_work *w, amun__plan *plan, amun__mode mode)
{
    AMUN__CHECK(amun__plan_forward(plan, w->images, w->logits));
    if (mode == AMUN__MODE_INFER) {
        return AMUN_OK;
    }
    double scale = mode == AMUN__MODE_TRAIN ? 1.0 / (double)w->batch : 1.0;
    double sum =
        amun__loss_cross_entropy(w->logits, w->targets, NULL, w->batch, w->classes, scale, w->seed);
    if (mode == AMUN__MODE_ATTACK) {
        return amun__plan_backward(plan, w->seed, w->diff_images, NULL);
    }
    w->loss = sum / (double)w->batch;
    return train_step(w, plan);
}
