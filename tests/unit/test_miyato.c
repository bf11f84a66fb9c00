/* Training under MIYATO's clip against PyTorch's spectral normalisation in double precision (golden
 * values of tests/interop/torch_miyato.py): gradients by the raw weights, and some SGD steps. */
#include "amun/clip.h"
#include "golden.h"
#include "joint_fixture.h"
#include "spectral/clipper.h"

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "no number \"%s\"", key);
    return json_number_value(value);
}

static amun_model *model_of(amun_context *ctx, const json_t *row)
{
    amun_model *model = NULL;
    amun_model_options o;
    ck_ok(amun_model_options_init(&o, sizeof o));
    o.channels = (int64_t)number(row, "channels");
    o.classes = (int64_t)number(row, "classes");
    o.height = (int64_t)number(row, "height");
    o.width = (int64_t)number(row, "width");
    o.seed = (uint64_t)number(row, "seed");
    ck_ok(amun_model_create(&model, ctx, json_string_value(json_object_get(row, "arch")), &o));
    joint_stir(model);
    return model;
}

static amun_clip_options clip_of(const json_t *row)
{
    amun_clip_options clip;
    ck_ok(amun_clip_options_init(&clip, sizeof clip));
    clip.method = AMUN_CLIP_MIYATO;
    clip.target = number(row, "miyato");
    clip.iterations = (int32_t)number(row, "iterations");
    clip.seed = (uint64_t)number(row, "clip_seed");
    return clip;
}

/* "<prefix><parameter>" of everything that is trained; how many. */
static size_t expect_all(const amun_model *model, const json_t *values, const char *prefix,
                         const float *found, const char *name)
{
    char key[200];
    size_t seen = 0;
    const amun_graph *graph = amun__model_graph(model);
    for (int32_t k = 0; k < graph->param_count; k++) {
        const amun__param *p = &graph->params[k];
        if (p->trainable) {
            (void)snprintf(key, sizeof key, "%s%s", prefix, p->name);
            golden_expect(values, key, found + p->offset, p->count, 1e-4, 5e-2, name);
            seen++;
        }
    }
    return seen;
}

/* One pass of the loop's hooks. */
static size_t check_gradient(joint_fixture *f, const json_t *row, const char *name)
{
    amun__member *m = &f->members[0];
    amun__clipper *clipper = NULL;
    const amun_clip_options clip = clip_of(row);
    ck_ok(amun__clipper_create(&clipper, f->ctx, m->model, &clip, AMUN__CLIPPER_TRAIN,
                               AMUN__LINOP_BEST));
    model_bytes before = bytes_of(m->model);
    ck_ok(amun__clipper_before_forward(clipper, 0, NULL));
    ck_ok(amun__plan_forward(m->plans[0], f->images, m->logits));
    (void)amun__loss_cross_entropy(m->logits, f->targets, NULL, f->rows, f->classes,
                                   1.0 / (double)f->rows, m->seed);
    ck_ok(amun__plan_backward(m->plans[0], m->seed, NULL, m->diff));
    ck_ok(amun__clipper_after_backward(clipper, m->diff));
    amun__model_touch(m->model);
    ck_assert(same_bytes(before, bytes_of(m->model))); /* the raw weights are back */
    amun__clipper_destroy(clipper);
    return expect_all(m->model, json_object_get(row, "values"), "diff.", m->diff, name);
}

/* Epochs of one batch each, in the fixture's own data. */
static size_t check_training(joint_fixture *f, const json_t *row, const char *name)
{
    const int64_t channels = (int64_t)number(row, "channels");
    const int64_t height = (int64_t)number(row, "height"), width = (int64_t)number(row, "width");
    int64_t labels[64];
    blobs b = {.images = f->images, .labels = labels, .count = f->rows, .pixels = f->pixels};
    ck_assert_uint_le(f->rows, 64);
    for (size_t i = 0; i < f->rows; i++) {
        labels[i] = f->labels[i];
    }
    blobs_open(&b, f->ctx, channels, height, width, (int64_t)f->classes);
    const amun_clip_options clip = clip_of(row);
    amun_train_options t =
        train_options((int32_t)number(row, "steps"), (int32_t)f->rows, number(row, "lr"));
    t.schedule = AMUN_SCHEDULE_CONSTANT;
    t.momentum = number(row, "momentum");
    t.weight_decay = number(row, "weight_decay");
    t.clip = &clip;
    ck_ok(amun_train_run(NULL, f->models[0], b.data, NULL, 0, &t, NULL));
    amun_dataset_unref(b.data);
    return expect_all(f->models[0], json_object_get(row, "values"), "after.",
                      f->members[0].values.values, name);
}

START_TEST(test_torch)
{
    json_t *root = golden_open("tests/data/golden_miyato.json");
    const json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_eq(json_array_size(cases), 2);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *row = json_array_get(cases, i);
        const char *name = json_string_value(json_object_get(row, "arch"));
        test_allocator allocator;
        memset(&allocator, 0, sizeof allocator);
        amun_context *ctx = test_context(&allocator);
        amun_model *model = model_of(ctx, row);
        joint_fixture f;
        joint_open(&f, ctx, &model, 1, (size_t)number(row, "batch"));
        size_t seen = check_gradient(&f, row, name);
        seen += check_training(&f, row, name);
        ck_assert_uint_eq(seen, json_object_size(json_object_get(row, "values")));
        joint_close(&f);
        amun_context_unref(ctx);
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
        ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
    }
    json_decref(root);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("miyato");
    tcase_add_test(tc, test_torch);
    return amun_test_main("miyato", (TCase *[]){tc, NULL});
}
