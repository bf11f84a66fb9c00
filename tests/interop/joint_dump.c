/* joint_dump.c - one step of joint training on one batch, with all that came out of it, for
 * comparison with another framework. Test only.
 *
 *   joint_dump KEY VALUE ...
 *     method gal | trs | dverge, arch NAME, members N, seed N (of the first member, then + 1)
 *     classes N, channels N, height N, width N
 *     initial PREFIX   write the members' weights, PREFIX<i>, and stop where there are no images
 *     weights PREFIX   read them
 *     images FILE.npy  float32 [n, C, H, W];  labels FILE.npy  int64 [n]
 *     lambda X, cosine X, smooth X, l2 0 | 1, eps X, step X, steps N, epochs N, epoch N
 *     out FILE         loss, diff.<i>.<parameter>; images.<i>: TRS's x~ (i 0), distilled images
 */
#include <stdio.h>
#include <stdlib.h>

#include "ensemble/distil.h"
#include "ensemble/trs.h"
#include "io/io.h"
#include "nn/graph.h"

enum { MOST = 4, RESULTS = 1024 };

typedef struct run {
    int argc;
    char **argv;
    amun_context *ctx;
    amun_model *models[MOST];
    amun__member members[MOST];
    size_t count, rows, pixels, classes;
    float *images, *targets;
    int32_t *labels;
    amun__batch batch;
    amun__spare spare;
    amun__joint joint;
    amun__step step;
    amun__st_tensor results[RESULTS];
    char names[RESULTS][128];
    size_t result_count;
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
        (void)fprintf(stderr, "joint_dump: out of memory\n");
        exit(2);
    }
    return memory;
}

static void keep(run *r, const char *prefix, size_t member, const char *name, const float *values,
                 int32_t ndim, const int64_t *shape)
{
    size_t at = r->result_count++;
    if (at >= RESULTS) {
        (void)fprintf(stderr, "joint_dump: too many tensors\n");
        exit(2);
    }
    (void)snprintf(r->names[at], sizeof r->names[at], "%s.%zu%s%s", prefix, member,
                   name[0] != '\0' ? "." : "", name);
    amun__st_tensor *t = &r->results[at];
    *t = (amun__st_tensor){.name = r->names[at], .dtype = AMUN_DTYPE_F32, .ndim = ndim};
    size_t count = 1;
    for (int32_t i = 0; i < ndim; i++) {
        t->shape[i] = shape[i];
        count *= (size_t)shape[i];
    }
    t->data = values;
    t->bytes = count * sizeof(float);
}

/* ---- what goes in --------------------------------------------------------------------------- */

static amun_status open_models(run *r)
{
    amun_model_options opts;
    char path[4096];
    AMUN__CHECK(amun_context_create(&r->ctx, NULL));
    AMUN__CHECK(amun_model_options_init(&opts, sizeof opts));
    opts.classes = (int64_t)number_of(r, "classes", 10);
    opts.channels = (int64_t)number_of(r, "channels", 3);
    opts.height = (int64_t)number_of(r, "height", 32);
    opts.width = (int64_t)number_of(r, "width", 32);
    r->classes = (size_t)opts.classes;
    r->pixels = (size_t)(opts.channels * opts.height * opts.width);
    r->count = (size_t)number_of(r, "members", 2);
    for (size_t i = 0; i < r->count && i < MOST; i++) {
        opts.seed = (uint64_t)number_of(r, "seed", 0) + i;
        AMUN__CHECK(amun_model_create(&r->models[i], r->ctx, text_of(r, "arch", "resnet8"), &opts));
        if (text_of(r, "weights", NULL) != NULL) {
            (void)snprintf(path, sizeof path, "%s%zu", text_of(r, "weights", NULL), i);
            AMUN__CHECK(amun_model_load_weights(r->models[i], path));
        }
        if (text_of(r, "initial", NULL) != NULL) {
            (void)snprintf(path, sizeof path, "%s%zu", text_of(r, "initial", NULL), i);
            AMUN__CHECK(amun_model_save(r->models[i], path));
        }
    }
    return AMUN_OK;
}

static amun_status read_batch(run *r)
{
    amun__mapping mapping;
    amun_tensor_view view;
    AMUN__CHECK(amun__file_map(&mapping, text_of(r, "images", "")));
    AMUN__CHECK(amun__npy_parse(&view, mapping.data, mapping.size, "images"));
    r->rows = (size_t)view.shape[0];
    r->images = must(malloc(r->rows * r->pixels * sizeof(float)));
    AMUN__CHECK(amun__view_read_f32(&view, 0, r->rows, 1.0, r->images));
    amun__file_unmap(&mapping);
    AMUN__CHECK(amun__file_map(&mapping, text_of(r, "labels", "")));
    AMUN__CHECK(amun__npy_parse(&view, mapping.data, mapping.size, "labels"));
    int64_t *labels = must(malloc(r->rows * sizeof *labels));
    AMUN__CHECK(amun__view_read_i64(&view, 0, r->rows, labels));
    amun__file_unmap(&mapping);
    r->labels = must(calloc(r->rows, sizeof *r->labels));
    r->targets = must(calloc(r->rows * r->classes, sizeof(float)));
    for (size_t i = 0; i < r->rows; i++) {
        r->labels[i] = (int32_t)labels[i];
        r->targets[i * r->classes + (size_t)labels[i]] = 1.0f;
    }
    free(labels);
    r->batch = (amun__batch){r->rows, r->images, r->targets, NULL, r->labels, 0};
    return AMUN_OK;
}

static amun_status prepare(run *r)
{
    r->joint = (amun__joint){.ctx = r->ctx,
                             .models = r->models,
                             .count = r->count,
                             .pixels = r->pixels,
                             .classes = r->classes,
                             .batch = r->rows};
    amun_ensemble_train_options *o = &r->joint.options;
    AMUN__CHECK(amun_ensemble_train_options_init(o, sizeof *o));
    AMUN__CHECK(amun_train_options_init(&r->joint.train, sizeof r->joint.train));
    r->joint.train.epochs = (int32_t)number_of(r, "epochs", 1);
    o->gal_lambda = number_of(r, "lambda", o->gal_lambda);
    o->trs_cosine = number_of(r, "cosine", o->trs_cosine);
    o->trs_smooth = number_of(r, "smooth", o->trs_smooth);
    o->trs_l2 = (int32_t)number_of(r, "l2", 0);
    o->attack_eps = number_of(r, "eps", 0.0);
    o->attack_step = number_of(r, "step", 0.0);
    o->attack_steps = (int32_t)number_of(r, "steps", 0);
    for (size_t i = 0; i < r->count; i++) {
        amun__member *m = &r->members[i];
        m->model = r->models[i];
        amun__model_values_get(m->model, &m->values);
        AMUN__CHECK(amun__model_lease(m->model, (int64_t)r->rows, AMUN__MODE_TRAIN, &m->plans[0]));
        m->diff = must(calloc(m->values.trainable, sizeof(float)));
        m->logits = must(calloc(r->rows * r->classes, sizeof(float)));
        m->seed = must(calloc(r->rows * r->classes, sizeof(float)));
    }
    r->step = (amun__step){.ctx = r->ctx,
                           .members = r->members,
                           .count = r->count,
                           .batch = &r->batch,
                           .classes = r->classes,
                           .spare = &r->spare,
                           .epoch = (int64_t)number_of(r, "epoch", 0)};
    return AMUN_OK;
}

/* ---- what comes out ------------------------------------------------------------------------- */

static amun_status run_method(run *r)
{
    const char *name = text_of(r, "method", "gal");
    const amun__joint_method *methods[] = {&amun__joint_gal, &amun__joint_trs, &amun__joint_dverge};
    const int64_t shape[2] = {(int64_t)r->rows, (int64_t)r->pixels};
    amun_status status = AMUN_ERROR_NOT_FOUND;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        r->joint.method = strcmp(name, methods[i]->name) == 0 ? methods[i] : r->joint.method;
    }
    const amun__joint_method *method = r->joint.method;
    float loss = 0.0f;
    AMUN__TRY(method->open(&r->joint));
    AMUN__TRY(method->gradients(&r->joint, &r->step));
    loss = (float)(r->step.loss / (double)r->rows);
    keep(r, "loss", 0, "", &loss, 0, NULL);
    if (method == &amun__joint_trs) {
        keep(r, "images", 0, "", amun__trs_images(&r->joint), 2, shape);
    }
    for (size_t i = 0; i < r->count; i++) {
        const amun_graph *graph = amun__model_graph(r->models[i]);
        for (int32_t k = 0; k < graph->param_count; k++) {
            const amun__param *p = &graph->params[k];
            if (p->trainable) {
                keep(r, "diff", i, p->name, r->members[i].diff + p->offset, p->ndim, p->shape);
            }
        }
        if (method == &amun__joint_dverge) { /* the scratch begins with them */
            keep(r, "images", i, "", amun__distil_images(r->joint.own, i), 2, shape);
        }
    }
    status = amun__safetensors_write(r->ctx, text_of(r, "out", "joint_dump.safetensors"),
                                     r->results, r->result_count, NULL);
fail:
    method->close(&r->joint);
    return status;
}

static void release(run *r)
{
    for (size_t i = 0; i < r->count && i < MOST; i++) {
        amun__member *m = &r->members[i];
        if (m->plans[0] != NULL) {
            amun__model_release(m->model, m->plans[0]);
        }
        free(m->diff);
        free(m->logits);
        free(m->seed);
        amun_model_unref(r->models[i]);
    }
    amun__free(r->ctx, r->spare.values);
    free(r->images);
    free(r->targets);
    free(r->labels);
    amun_context_unref(r->ctx);
    free(r);
}

static amun_status run_all(run *r)
{
    AMUN__CHECK(open_models(r));
    if (text_of(r, "images", NULL) == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(read_batch(r));
    AMUN__CHECK(prepare(r));
    return run_method(r);
}

int main(int argc, char **argv)
{
    run *r = must(calloc(1, sizeof *r));
    r->argc = argc;
    r->argv = argv;
    amun_status status = run_all(r);
    if (status != AMUN_OK) {
        (void)fprintf(stderr, "joint_dump: %s: %s\n", amun_status_string(status),
                      amun_last_error_message());
    }
    release(r);
    return status == AMUN_OK ? 0 : 2;
}
