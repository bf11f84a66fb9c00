/* attack_fixture.h - models and images for the tests of the attack room: the two-input linear toy,
 * and a small convolutional network trained on the digits. */
#ifndef AMUN_ATTACK_FIXTURE_H
#define AMUN_ATTACK_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "attack/attack.h"
#include "support.h"

enum { DIGIT_PIXELS = 64, DIGIT_CLASSES = 10 };

#define FIXTURE __attribute__((unused)) static

/* z = weight * x + bias for x in [inputs, 1, 1]. */
FIXTURE amun_model *linear_model(amun_context *ctx, int64_t inputs, int64_t classes,
                                 const float *weight, const float *bias)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    ck_ok(amun_graph_create(&graph, ctx, inputs, 1, 1));
    ck_ok(amun_graph_flatten(&node, graph, 0));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", classes, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 0));
    amun_graph_unref(graph);
    ck_ok(amun_model_set_tensor(model, "fc.weight", weight, (size_t)(inputs * classes)));
    ck_ok(amun_model_set_tensor(model, "fc.bias", bias, (size_t)classes));
    return model;
}

/* z = (scale * (x1 - 0.45), 0). */
FIXTURE amun_model *toy_model(amun_context *ctx, float scale)
{
    const float weight[4] = {scale, 0.0f, 0.0f, 0.0f};
    const float bias[2] = {-0.45f * scale, 0.0f};
    return linear_model(ctx, 2, 2, weight, bias);
}

/* Does to any weights what no public call allows. */
FIXTURE void poison_model(amun_model *model)
{
    amun__model_values values;
    amun__model_values_get(model, &values);
    for (size_t i = 0; i < values.trainable; i++) {
        values.values[i] = NAN;
    }
    amun__model_touch(model);
}

FIXTURE amun_dataset *digits(amun_context *ctx)
{
    amun_dataset *data = NULL;
    char images[4096];
    snprintf(images, sizeof images, "%s", test_source_path("examples/data/digits-images.idx"));
    ck_ok(amun_dataset_open_idx(&data, ctx, images,
                                test_source_path("examples/data/digits-labels.idx")));
    return data;
}

FIXTURE amun_model *digits_network(amun_context *ctx)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    ck_ok(amun_graph_create(&graph, ctx, 1, 8, 8));
    conv.channels = 16;
    conv.stride_h = conv.stride_w = 2;
    ck_ok(amun_graph_conv2d(&node, graph, 0, "conv1", &conv));
    ck_ok(amun_graph_batchnorm(&node, graph, node, "bn1", 0, 0));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_conv2d(&node, graph, node, "conv2", &conv));
    ck_ok(amun_graph_batchnorm(&node, graph, node, "bn2", 0, 0));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", DIGIT_CLASSES, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 1));
    amun_graph_unref(graph);
    return model;
}

/* Plain SGD, straight on the engine, so that these tests do not lean on the training room. */
FIXTURE void train_digits(amun_context *ctx, amun_model *model, const amun_dataset *data,
                          int32_t steps)
{
    enum { BATCH = 64 };
    amun__model_values values;
    amun__plan *plan = NULL;
    amun__rng rng;
    static float images[BATCH * DIGIT_PIXELS], targets[BATCH * DIGIT_CLASSES];
    static float logits[BATCH * DIGIT_CLASSES], seed[BATCH * DIGIT_CLASSES];
    amun__rng_open(&rng, 1, AMUN__RNG_TEST, 0, 0);
    amun__model_values_get(model, &values);
    float *velocity = calloc(values.trainable, sizeof *velocity);
    float *diff = calloc(values.trainable, sizeof *diff);
    amun__sgd sgd = {.lr = 0.1, .momentum = 0.9, .first = 1};
    ck_ok(amun__model_begin_write(model));
    ck_ok(amun__model_lease(model, BATCH, AMUN__MODE_TRAIN, &plan));
    for (int32_t step = 0; step < steps; step++) {
        memset(targets, 0, sizeof targets);
        for (size_t i = 0; i < BATCH; i++) {
            size_t index = amun__rng_below(&rng, (uint32_t)amun_dataset_count(data));
            amun__dataset_fetch(data, index, images + i * DIGIT_PIXELS);
            targets[i * DIGIT_CLASSES + (size_t)amun__dataset_label(data, index)] = 1.0f;
        }
        ck_ok(amun__plan_forward(plan, images, logits));
        ck_ok(amun__model_update_statistics(model, plan));
        amun__loss_cross_entropy(logits, targets, NULL, BATCH, DIGIT_CLASSES, 1.0 / BATCH, seed);
        ck_ok(amun__plan_backward(plan, seed, NULL, diff));
        amun__sgd_step(&sgd, values.values, velocity, diff, values.trainable);
        amun__model_touch(model);
        sgd.first = 0;
    }
    amun__model_release(model, plan);
    amun__model_end_write(model);
    free(velocity);
    free(diff);
    (void)ctx;
}

FIXTURE amun_model *digits_model(amun_context *ctx, const amun_dataset *data)
{
    amun_model *model = digits_network(ctx);
    train_digits(ctx, model, data, 120);
    return model;
}

/* A batch of samples with its results. */
typedef struct samples {
    size_t count, pixels;
    float *images, *adversarial;
    int64_t *labels, *ids;
    amun_attack_record *records;
    amun_tensor_view image_view, label_view, adversarial_view;
} samples;

FIXTURE void samples_open(samples *s, size_t count, int64_t channels, int64_t height, int64_t width)
{
    const int64_t shape[4] = {(int64_t)count, channels, height, width};
    s->count = count;
    s->pixels = (size_t)(channels * height * width);
    s->images = calloc(count * s->pixels + 1, sizeof(float));
    s->adversarial = calloc(count * s->pixels + 1, sizeof(float));
    s->labels = calloc(count + 1, sizeof(int64_t));
    s->ids = calloc(count + 1, sizeof(int64_t));
    s->records = calloc(count + 1, sizeof(amun_attack_record));
    for (size_t i = 0; i < count; i++) {
        s->ids[i] = (int64_t)i;
    }
    ck_ok(amun_tensor_view_init(&s->image_view, s->images, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_tensor_view_init(&s->adversarial_view, s->adversarial, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_tensor_view_init(&s->label_view, s->labels, AMUN_DTYPE_I64, 1, shape));
}

/* Samples order[0], order[1], ... of the data set; NULL: the first `count`. */
FIXTURE void samples_open_digits(samples *s, const amun_dataset *data, const int64_t *order,
                                 size_t count)
{
    samples_open(s, count, 1, 8, 8);
    for (size_t i = 0; i < count; i++) {
        s->ids[i] = order != NULL ? order[i] : (int64_t)i;
        amun__dataset_fetch(data, (size_t)s->ids[i], s->images + i * s->pixels);
        s->labels[i] = amun__dataset_label(data, (size_t)s->ids[i]);
    }
}

FIXTURE void samples_close(samples *s)
{
    free(s->images);
    free(s->adversarial);
    free(s->labels);
    free(s->ids);
    free(s->records);
}

FIXTURE amun_status samples_run(samples *s, amun_attack *attack, const amun_model *model)
{
    return amun_attack_run(attack, model, &s->image_view, &s->label_view, s->ids,
                           &s->adversarial_view, s->records, NULL);
}

FIXTURE amun_attack *search_attack(amun_context *ctx, const amun_search_options *options)
{
    amun_attack *attack = NULL;
    ck_ok(amun_attack_create_search(&attack, ctx, options));
    return attack;
}

FIXTURE amun_search_options search_options(void)
{
    amun_search_options options;
    ck_ok(amun_search_options_init(&options, sizeof options));
    return options;
}

/* A fixed shuffle of 0..count-1. */
FIXTURE void shuffled(int64_t *order, size_t count)
{
    amun__rng rng;
    for (size_t i = 0; i < count; i++) {
        order[i] = (int64_t)i;
    }
    amun__rng_open(&rng, 7, AMUN__RNG_TEST, 1, 0);
    amun__rng_shuffle(&rng, order, count);
}

#endif
