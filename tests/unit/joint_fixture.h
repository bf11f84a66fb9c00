/* joint_fixture.h - a step of joint training by hand: members, a batch, and what a naive program
 * makes of them. */
#ifndef AMUN_JOINT_FIXTURE_H
#define AMUN_JOINT_FIXTURE_H

#include "ensemble/joint.h"
#include "nn/graph.h"
#include "training.h"

enum { JOINT_MEMBERS = 3, JOINT_SPARE_ROWS = 3 };

#define JOINT __attribute__((unused)) static

typedef struct joint_fixture {
    amun_context *ctx;
    size_t count, rows, pixels, classes;
    amun_model *models[JOINT_MEMBERS];
    amun__member members[JOINT_MEMBERS];
    float *images, *targets;
    int32_t *labels;
    amun__batch batch;
    amun__spare spare;
    amun__joint joint;
    amun__step step;
} joint_fixture;

/* frac((i + 1) * golden ratio) */
JOINT float joint_fraction(size_t i)
{
    double x = (double)(i + 1) * 0.6180339887498949;
    return (float)(x - floor(x));
}

/* Batch norms that do something: golden_state() of tests/interop/torch_ensemble.py. */
JOINT void joint_stir(amun_model *model)
{
    const amun_graph *graph = amun__model_graph(model);
    amun__model_values v;
    amun__model_values_get(model, &v);
    for (int32_t i = 0; i < graph->node_count; i++) {
        const amun__node *node = &graph->nodes[i];
        for (size_t c = 0; c < (size_t)node->channels && node->kind == AMUN__NODE_BATCHNORM; c++) {
            v.values[graph->params[node->weight].offset + c] = 0.5f + joint_fraction(c);
            v.values[graph->params[node->bias].offset + c] = -0.3f + 0.6f * joint_fraction(c);
        }
    }
    amun__model_touch(model);
}

/* Takes over the models. The batch of the step is shorter than the largest one. */
JOINT void joint_open(joint_fixture *f, amun_context *ctx, amun_model *const *models, size_t count,
                      size_t rows)
{
    int64_t shape[3];
    ck_ok(amun_model_shape(models[0], shape));
    *f = (joint_fixture){.ctx = ctx, .count = count, .rows = rows};
    f->pixels = (size_t)(shape[0] * shape[1] * shape[2]);
    f->classes = (size_t)amun_model_classes(models[0]);
    f->images = calloc(rows * f->pixels, sizeof(float));
    f->targets = calloc(rows * f->classes, sizeof(float));
    f->labels = calloc(rows, sizeof(int32_t));
    for (size_t i = 0; i < rows * f->pixels; i++) {
        f->images[i] = joint_fraction(i);
    }
    for (size_t i = 0; i < rows; i++) {
        f->labels[i] = (int32_t)(i % f->classes);
        f->targets[i * f->classes + i % f->classes] = 1.0f;
    }
    for (size_t i = 0; i < count; i++) {
        amun__member *m = &f->members[i];
        f->models[i] = m->model = models[i];
        amun__model_values_get(m->model, &m->values);
        ck_ok(amun__model_lease(m->model, (int64_t)rows, AMUN__MODE_TRAIN, &m->plans[0]));
        m->diff = calloc(m->values.trainable, sizeof(float));
        m->logits = calloc(rows * f->classes, sizeof(float));
        m->seed = calloc(rows * f->classes, sizeof(float));
    }
    f->batch = (amun__batch){rows, f->images, f->targets, NULL, f->labels, 0};
    f->joint = (amun__joint){.ctx = ctx,
                             .models = f->models,
                             .count = count,
                             .pixels = f->pixels,
                             .classes = f->classes,
                             .batch = rows + JOINT_SPARE_ROWS};
    ck_ok(amun_ensemble_train_options_init(&f->joint.options, sizeof f->joint.options));
    f->joint.train = train_options(5, (int32_t)rows, 0.1);
    f->step = (amun__step){.ctx = ctx,
                           .members = f->members,
                           .count = count,
                           .batch = &f->batch,
                           .classes = f->classes,
                           .spare = &f->spare};
}

/* `count` digits networks with batch norms that do something. */
JOINT void joint_digits(joint_fixture *f, amun_context *ctx, size_t count, size_t rows)
{
    amun_model *models[JOINT_MEMBERS] = {NULL};
    amun_model_options shape;
    ck_ok(amun_model_options_init(&shape, sizeof shape));
    shape.channels = 1;
    shape.height = shape.width = 8;
    for (size_t i = 0; i < count; i++) {
        shape.seed = 11 + i;
        ck_ok(amun_model_create(&models[i], ctx, "digits", &shape));
        joint_stir(models[i]);
    }
    joint_open(f, ctx, models, count, rows);
}

JOINT void joint_close(joint_fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        amun__model_release(f->models[i], f->members[i].plans[0]);
        free(f->members[i].diff);
        free(f->members[i].logits);
        free(f->members[i].seed);
        amun_model_unref(f->models[i]);
    }
    amun__free(f->ctx, f->spare.values);
    free(f->images);
    free(f->targets);
    free(f->labels);
}

/* A step of the method from open to close; loss and right begin at 0. */
JOINT void joint_step(joint_fixture *f, const amun__joint_method *method)
{
    f->joint.method = method;
    f->step.loss = 0.0;
    f->step.right = 0;
    ck_ok(method->open(&f->joint));
    ck_ok(method->gradients(&f->joint, &f->step));
    method->close(&f->joint);
    f->joint.own = NULL;
}

/* Summed cross-entropy of a member at some images in train mode, by a plan of its own; `scale`
 * times its gradients (nullable) in the images and in the parameters. */
JOINT double joint_entropy(const joint_fixture *f, size_t member, const float *images, double scale,
                           float *diff_src, float *diff)
{
    amun__plan *plan = NULL;
    float *logits = calloc(f->rows * f->classes, sizeof(float));
    float *seed = calloc(f->rows * f->classes, sizeof(float));
    ck_ok(amun__model_lease(f->models[member], (int64_t)f->rows, AMUN__MODE_TRAIN, &plan));
    ck_ok(amun__plan_forward(plan, images, logits));
    double loss =
        amun__loss_cross_entropy(logits, f->targets, NULL, f->rows, f->classes, scale, seed);
    ck_ok(amun__plan_backward(plan, seed, diff_src, diff));
    amun__model_release(f->models[member], plan);
    free(logits);
    free(seed);
    return loss;
}

/* Euclidean norm of a - b over that of b. */
JOINT double joint_error(const float *a, const float *b, size_t count)
{
    double wrong = 0.0, whole = 0.0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)a[i] - (double)b[i];
        wrong += d * d;
        whole += (double)b[i] * (double)b[i];
    }
    ck_assert(whole > 0.0);
    return sqrt(wrong / whole);
}

#endif
