/* training.h - for the tests of the train and unlearn rooms: data sets, small models, and looking
 * at a model's values. */
#ifndef AMUN_TEST_TRAINING_H
#define AMUN_TEST_TRAINING_H

#include <stdio.h>
#include <stdlib.h>

#include "amun/dataset.h"
#include "amun/model.h"
#include "amun/train.h"
#include "nn/nn.h"
#include "support.h"

#define TRAINING_UNUSED __attribute__((unused))

/* Images F32 [count][c][h][w] in [0, 1] around one random prototype per class, `noise` of them
 * random; classes 0: no labels. */
typedef struct blobs {
    amun_dataset *data;
    float *images;
    int64_t *labels;
    size_t count, pixels;
} blobs;

/* The data set over b->images and b->labels. */
TRAINING_UNUSED static void blobs_open(blobs *b, amun_context *ctx, int64_t c, int64_t h, int64_t w,
                                       int64_t classes)
{
    int64_t count = (int64_t)b->count;
    amun_tensor_view images = {.data = b->images,
                               .dtype = AMUN_DTYPE_F32,
                               .ndim = 4,
                               .flags = AMUN_VIEW_READONLY,
                               .shape = {count, c, h, w},
                               .strides = {c * h * w * 4, h * w * 4, w * 4, 4}};
    amun_tensor_view labels = {.data = b->labels,
                               .dtype = AMUN_DTYPE_I64,
                               .ndim = 1,
                               .flags = AMUN_VIEW_READONLY,
                               .shape = {count},
                               .strides = {8}};
    ck_ok(amun_dataset_open_view(&b->data, ctx, &images, classes > 0 ? &labels : NULL, classes,
                                 NULL, NULL));
}

TRAINING_UNUSED static void blobs_make(blobs *b, amun_context *ctx, size_t count, int64_t c,
                                       int64_t h, int64_t w, int64_t classes, uint64_t seed)
{
    const double noise = 0.6;
    size_t pixels = (size_t)(c * h * w), kinds = classes > 0 ? (size_t)classes : 1;
    *b = (blobs){.count = count, .pixels = pixels};
    b->images = malloc(count * pixels * sizeof *b->images);
    b->labels = malloc(count * sizeof *b->labels);
    ck_assert(b->images != NULL && b->labels != NULL);
    for (size_t i = 0; i < count; i++) {
        amun__rng shape, own;
        b->labels[i] = (int64_t)((i * 7 + 3) % kinds);
        amun__rng_open(&shape, seed, AMUN__RNG_TEST, 0, (uint64_t)b->labels[i]);
        amun__rng_open(&own, seed, AMUN__RNG_TEST, 1, i);
        for (size_t k = 0; k < pixels; k++) {
            double base = amun__rng_uniform(&shape), extra = amun__rng_uniform(&own);
            b->images[i * pixels + k] = (float)((1.0 - noise) * base + noise * extra);
        }
    }
    blobs_open(b, ctx, c, h, w, classes);
}

TRAINING_UNUSED static void blobs_free(blobs *b)
{
    amun_dataset_unref(b->data);
    free(b->images);
    free(b->labels);
    *b = (blobs){0};
}

/* The 1797 digits of examples/data. */
TRAINING_UNUSED static amun_dataset *digits_open(amun_context *ctx)
{
    char images[4096];
    snprintf(images, sizeof images, "%s", test_source_path("examples/data/digits-images.idx"));
    amun_dataset *data = NULL;
    ck_ok(amun_dataset_open_idx(&data, ctx, images,
                                test_source_path("examples/data/digits-labels.idx")));
    return data;
}

/* softmax regression: flatten, then "fc". */
TRAINING_UNUSED static amun_model *linear_model(amun_context *ctx, int64_t c, int64_t h, int64_t w,
                                                int64_t classes, uint64_t seed)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    ck_ok(amun_graph_create(&graph, ctx, c, h, w));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", classes, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, seed));
    amun_graph_unref(graph);
    return model;
}

/* conv 3x3 of 4 channels, batch norm, ReLU, mean, "fc": all kinds of values. */
TRAINING_UNUSED static amun_model *conv_model(amun_context *ctx, int64_t c, int64_t h, int64_t w,
                                              int64_t classes, uint64_t seed)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    conv.channels = 4;
    ck_ok(amun_graph_create(&graph, ctx, c, h, w));
    ck_ok(amun_graph_conv2d(&node, graph, node, "conv", &conv));
    ck_ok(amun_graph_batchnorm(&node, graph, node, "bn", 0, 0));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", classes, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, seed));
    amun_graph_unref(graph);
    return model;
}

/* Everything that training changes, in one malloc-ed block. */
typedef struct model_bytes {
    unsigned char *bytes;
    size_t size;
} model_bytes;

TRAINING_UNUSED static model_bytes bytes_of(const amun_model *model)
{
    amun__model_values v;
    amun__model_values_get(model, &v);
    size_t floats = v.total * sizeof *v.values, counts = v.tracked_count * sizeof *v.tracked;
    model_bytes out = {malloc(floats + counts + 1), floats + counts};
    ck_assert(out.bytes != NULL);
    memcpy(out.bytes, v.values, floats);
    if (counts > 0) {
        memcpy(out.bytes + floats, v.tracked, counts);
    }
    return out;
}

/* Compares and frees both. */
TRAINING_UNUSED static bool same_bytes(model_bytes a, model_bytes b)
{
    bool same = a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0;
    free(a.bytes);
    free(b.bytes);
    return same;
}

TRAINING_UNUSED static amun_train_options train_options(int32_t epochs, int32_t batch, double lr)
{
    amun_train_options o;
    ck_ok(amun_train_options_init(&o, sizeof o));
    o.epochs = epochs;
    o.batch = batch;
    o.lr = lr;
    o.augment_pad = 0;
    o.augment_flip = 0;
    return o;
}

/* A progress callback that counts, and stops the call at `stop_at` (0: never). */
typedef struct watcher {
    uint64_t calls, last, total, stop_at;
    double loss, metric;
    const char *phase;
} watcher;

TRAINING_UNUSED static int32_t watch(const amun_progress *p, void *user_data)
{
    watcher *w = user_data;
    w->calls++;
    w->last = p->step;
    w->total = p->total;
    w->loss = p->loss;
    w->metric = p->metric;
    w->phase = p->phase;
    return w->stop_at != 0 && p->step >= w->stop_at;
}

TRAINING_UNUSED static amun_call_options watched(watcher *w)
{
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = watch;
    call.user_data = w;
    call.min_interval_ms = 0;
    return call;
}

#endif
