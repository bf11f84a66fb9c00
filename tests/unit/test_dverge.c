/* DVERGE: features of a model's first layers against the reference in double, distilled images
 * (ball, pairs, layers), and whole steps against a naive composition of passes. */
#include "ensemble/adversarial.h"
#include "ensemble/distil.h"
#include "joint_fixture.h"
#include "nn/model_private.h"
#include "nn/prefix.h"

enum { ROWS = 7, MEMBERS = 3 };

static test_allocator allocator;
static amun_context *ctx;
static joint_fixture f;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    joint_digits(&f, ctx, MEMBERS, ROWS);
    f.joint.options.attack_eps = 0.07;
    f.joint.options.attack_step = 0.007;
    f.joint.options.attack_steps = 10;
}

static void teardown(void)
{
    joint_close(&f);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* ---- prefixes ---------------------------------------------------------------------------------
 */

/* Output of a node of the whole model in evaluation mode, by the reference in double. */
static double *naive_features(const amun_model *model, int32_t node, const float *images,
                              size_t rows, size_t *count)
{
    const amun__node *n = &model->graph->nodes[node];
    amun__plan *plan = NULL;
    float *logits = calloc(rows * (size_t)amun_model_classes(model), sizeof(float));
    *count = (size_t)(n->channels * n->height * n->width);
    double *out = calloc(rows * *count, sizeof(double));
    ck_ok(amun__plan_create(&plan, ctx, &model->params, (int64_t)rows, AMUN__MODE_INFER,
                            &amun__backend_ref_f64));
    ck_ok(amun__plan_forward(plan, images, logits));
    memcpy(out, amun__ref_f64_output(plan, node), rows * *count * sizeof(double));
    amun__plan_destroy(plan);
    free(logits);
    return out;
}

static void check_prefix(const amun_model *model, amun_model *prefix, int32_t node,
                         const float *images, size_t rows)
{
    size_t count = 0;
    double *want = naive_features(model, node, images, rows, &count), wrong = 0.0, whole = 0.0;
    float *got = calloc(rows * count, sizeof(float));
    amun__plan *plan = NULL;
    ck_assert_int_eq(amun_model_classes(prefix), (int64_t)count);
    ck_ok(amun__model_lease(prefix, (int64_t)rows, AMUN__MODE_ATTACK, &plan));
    ck_ok(amun__plan_forward(plan, images, got));
    amun__model_release(prefix, plan);
    for (size_t i = 0; i < rows * count; i++) {
        wrong += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        whole += want[i] * want[i];
    }
    ck_assert_double_gt(whole, 0.0);
    ck_assert_double_le(sqrt(wrong / whole), 1e-5);
    free(got);
    free(want);
}

static void change_values(amun_model *model)
{
    amun__model_values v;
    amun__model_values_get(model, &v);
    for (size_t i = 0; i < v.total; i++) { /* variances stay positive */
        v.values[i] *= 1.0f + 0.5f * joint_fraction(i);
    }
    amun__model_touch(model);
}

/* All features that DVERGE may ask for, of networks with and without batch norm, pools in between,
 * sums and concatenations; before and after the model's values change. */
START_TEST(test_features)
{
    const char *const archs[] = {"digits", "resnet8", "simple_conv", "convnet", "resnet8-nobn"};
    const size_t wanted[] = {3, 4, 2, 7, 4};
    float *images = calloc(2 * 3 * 17 * 17, sizeof(float));
    for (size_t i = 0; i < 2 * 3 * 17 * 17; i++) {
        images[i] = joint_fraction(i);
    }
    for (size_t a = 0; a < sizeof archs / sizeof archs[0]; a++) {
        amun_model_options shape;
        amun_model *model = NULL, *prefix = NULL;
        int32_t nodes[16];
        ck_ok(amun_model_options_init(&shape, sizeof shape));
        shape.height = shape.width = 17;
        ck_ok(amun_model_create(&model, ctx, archs[a], &shape));
        joint_stir(model);
        size_t count = amun__prefix_candidates(model, nodes, 16);
        ck_assert_msg(count == wanted[a], "%s: %zu layers", archs[a], count);
        for (size_t i = 0; i < count; i++) {
            ck_assert(i == 0 || nodes[i] > nodes[i - 1]);
            ck_ok(amun__prefix_create(&prefix, model, nodes[i]));
            check_prefix(model, prefix, nodes[i], images, 2);
            if (i == count - 1) {
                change_values(model);
                amun__prefix_update(prefix, model);
                check_prefix(model, prefix, nodes[i], images, 2);
            }
            amun_model_unref(prefix);
        }
        amun_model_unref(model);
    }
    free(images);
}
END_TEST

/* ---- distilled images --------------------------------------------------------------------------
 */

static double feature_distance(const double *a, const double *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sum;
}

/* In the ball and the box, and features that went towards the partner's. */
static void check_images(const amun__distil *d, size_t member)
{
    const float *z = amun__distil_images(d, member);
    const int32_t node = d->nodes[member * d->layers + d->layer];
    size_t count = 0;
    double *source = naive_features(f.models[member], node, f.images, ROWS, &count);
    double *found = naive_features(f.models[member], node, z, ROWS, &count);
    for (size_t i = 0; i < ROWS * f.pixels; i++) {
        ck_assert(z[i] >= 0.0f && z[i] <= 1.0f);
        ck_assert_double_le(fabs((double)z[i] - (double)f.images[i]), 0.07 + 1e-6);
    }
    for (size_t row = 0; row < ROWS; row++) {
        const double *target = source + (size_t)d->partners[row] * count;
        const double before = feature_distance(source + row * count, target, count);
        const double after = feature_distance(found + row * count, target, count);
        ck_assert_msg(after < 0.9 * before, "member %zu, row %zu: %g, was %g", member, row, after,
                      before);
    }
    free(source);
    free(found);
}

START_TEST(test_distil)
{
    amun__distil d;
    ck_ok(amun__distil_open(&d, &f.joint));
    ck_assert_uint_eq(d.layers, 3);
    for (f.step.epoch = 0; f.step.epoch < 4; f.step.epoch++) {
        ck_ok(amun__distil_run(&d, &f.step));
        bool seen[ROWS] = {false};
        for (size_t row = 0; row < ROWS; row++) {
            size_t partner = (size_t)d.partners[row];
            ck_assert(partner < ROWS && partner != row && !seen[partner]);
            seen[partner] = true;
        }
        for (size_t i = 0; i < MEMBERS; i++) {
            check_images(&d, i);
        }
    }
    amun__distil_close(&d);
}
END_TEST

/* One member's descent, written out: features and their gradient by the whole network's reference
 * are not at hand, so a prefix is the map, and the rest is plain arithmetic. */
START_TEST(test_descent)
{
    amun__distil d;
    amun_model *prefix = NULL;
    amun__plan *plan = NULL;
    const size_t pixels = f.pixels;
    ck_ok(amun__distil_open(&d, &f.joint));
    ck_ok(amun__distil_run(&d, &f.step));
    ck_ok(amun__prefix_create(&prefix, f.models[1], d.nodes[d.layers + d.layer]));
    const size_t count = (size_t)amun_model_classes(prefix);
    float *x = calloc(ROWS * pixels, sizeof(float)), *diff = calloc(ROWS * pixels, sizeof(float));
    float *h = calloc(ROWS * count, sizeof(float)), *t = calloc(ROWS * count, sizeof(float));
    double *momentum = calloc(ROWS * pixels, sizeof(double));
    for (size_t row = 0; row < ROWS; row++) {
        memcpy(x + row * pixels, f.images + (size_t)d.partners[row] * pixels,
               pixels * sizeof(float));
    }
    ck_ok(amun__model_lease(prefix, ROWS, AMUN__MODE_ATTACK, &plan));
    ck_ok(amun__plan_forward(plan, x, t));
    memcpy(x, f.images, ROWS * pixels * sizeof(float));
    for (int step = 0; step < 10; step++) {
        ck_ok(amun__plan_forward(plan, x, h));
        for (size_t i = 0; i < ROWS * count; i++) {
            h[i] = 2.0f * (h[i] - t[i]);
        }
        ck_ok(amun__plan_backward(plan, h, diff, NULL));
        for (size_t row = 0; row < ROWS; row++) {
            double mean = 0.0;
            for (size_t k = 0; k < pixels; k++) {
                mean += fabs((double)diff[row * pixels + k]) / (double)pixels;
            }
            for (size_t k = row * pixels; k < (row + 1) * pixels; k++) {
                momentum[k] += (double)diff[k] / mean;
                double z = (double)x[k] - 0.007 * ((momentum[k] > 0.0) - (momentum[k] < 0.0));
                z = fmin(fmax(z, (double)f.images[k] - 0.07), (double)f.images[k] + 0.07);
                x[k] = (float)fmin(fmax(z, 0.0), 1.0);
            }
        }
    }
    size_t others = 0;
    for (size_t i = 0; i < ROWS * pixels; i++) {
        others += fabsf(x[i] - amun__distil_images(&d, 1)[i]) > 1e-5f;
    }
    ck_assert_uint_le(others, ROWS * pixels / 100); /* signs of what is nearly 0 */
    amun__model_release(prefix, plan);
    amun_model_unref(prefix);
    amun__distil_close(&d);
    free(x);
    free(diff);
    free(h);
    free(t);
    free(momentum);
}
END_TEST

/* Draws depend on (seed, epoch, step) alone: a run that goes on elsewhere sees the same. */
START_TEST(test_draws)
{
    amun__distil d, other;
    bool drawn[3] = {false};
    const size_t bytes = MEMBERS * (ROWS + JOINT_SPARE_ROWS) * f.pixels * sizeof(float);
    f.joint.options.attack_steps = 1;
    ck_ok(amun__distil_open(&d, &f.joint));
    for (f.step.epoch = 0; f.step.epoch < 12; f.step.epoch++) {
        ck_ok(amun__distil_run(&d, &f.step));
        drawn[d.layer] = true;
    }
    ck_assert(drawn[0] && drawn[1] && drawn[2]);
    f.step.epoch = 5;
    f.step.index = 77;
    ck_ok(amun__distil_run(&d, &f.step));
    ck_ok(amun__distil_open(&other, &f.joint));
    ck_ok(amun__distil_run(&other, &f.step));
    ck_assert_mem_eq(d.images, other.images, bytes);
    f.step.index = 78; /* another pairing */
    ck_ok(amun__distil_run(&other, &f.step));
    ck_assert(memcmp(d.partners, other.partners, ROWS * sizeof *d.partners) != 0);
    amun__distil_close(&other);
    amun__distil_close(&d);
}
END_TEST

/* Members of other kinds: the depth is one that all have. */
START_TEST(test_kinds)
{
    amun__distil d;
    joint_fixture g;
    amun_model_options shape;
    amun_model *models[3] = {NULL};
    ck_ok(amun_model_options_init(&shape, sizeof shape));
    shape.channels = 1;
    shape.height = shape.width = 8;
    ck_ok(amun_model_create(&models[0], ctx, "digits", &shape));
    ck_ok(amun_model_create(&models[1], ctx, "simple_conv", &shape));
    joint_open(&g, ctx, models, 2, ROWS);
    g.joint.options = f.joint.options;
    ck_ok(amun__distil_open(&d, &g.joint));
    ck_assert_uint_eq(d.layers, 2);
    for (g.step.epoch = 0; g.step.epoch < 3; g.step.epoch++) {
        ck_ok(amun__distil_run(&d, &g.step));
    }
    amun__distil_close(&d);
    joint_close(&g);
}
END_TEST

START_TEST(test_no_layer)
{
    amun__distil d;
    joint_fixture g;
    amun_model *models[2] = {conv_model(ctx, 1, 8, 8, 10, 1), linear_model(ctx, 1, 8, 8, 10, 1)};
    joint_open(&g, ctx, models, 2, ROWS);
    ck_fails(amun__distil_open(&d, &g.joint), AMUN_ERROR_UNSUPPORTED, "member 1");
    amun__distil_close(&d);
    joint_close(&g);
}
END_TEST

/* ---- steps
 * --------------------------------------------------------------------------------------- */

/* Gradient and loss are sums over the others' images; statistics are of the clean batch, once. */
START_TEST(test_step)
{
    amun__distil d;
    double loss = 0.0;
    float *want[MEMBERS], *one = calloc(f.members[0].values.trainable, sizeof(float));
    model_bytes after[MEMBERS];
    ck_ok(amun__distil_open(&d, &f.joint));
    ck_ok(amun__distil_run(&d, &f.step));
    for (size_t i = 0; i < MEMBERS; i++) {
        const size_t trainable = f.members[i].values.trainable;
        amun_model *twin = NULL;
        want[i] = calloc(trainable, sizeof(float));
        for (size_t j = 0; j < MEMBERS; j++) {
            if (j != i) {
                loss += joint_entropy(&f, i, amun__distil_images(&d, j), 1.0 / ROWS, NULL, one);
                for (size_t k = 0; k < trainable; k++) {
                    want[i][k] += one[k];
                }
            }
        }
        ck_ok(amun_model_clone(&twin, f.models[i]));
        amun__member *m = &f.members[i];
        amun__plan *plan = NULL;
        ck_ok(amun__model_lease(twin, ROWS, AMUN__MODE_TRAIN, &plan));
        ck_ok(amun__plan_forward(plan, f.images, m->logits));
        ck_ok(amun__model_update_statistics(twin, plan));
        amun__model_release(twin, plan);
        after[i] = bytes_of(twin);
        amun_model_unref(twin);
    }
    amun__distil_close(&d);
    joint_step(&f, &amun__joint_dverge);
    ck_assert_double_le(fabs(f.step.loss - loss), 1e-12 * loss);
    for (size_t i = 0; i < MEMBERS; i++) {
        ck_assert_mem_eq(f.members[i].diff, want[i], f.members[i].values.trainable * sizeof(float));
        ck_assert(same_bytes(after[i], bytes_of(f.models[i])));
        free(want[i]);
    }
    free(one);
}
END_TEST

/* dverge_own adds the cross-entropy at PGD examples of the member, as of the moved statistics. */
START_TEST(test_own)
{
    amun__snapshot before[MEMBERS] = {{0}};
    amun__train_attack pgd;
    amun__joint options = f.joint;
    const size_t trainable = f.members[0].values.trainable;
    float *want = calloc(trainable, sizeof(float)), *one = calloc(trainable, sizeof(float));
    double own = 0.0;
    for (size_t i = 0; i < MEMBERS; i++) {
        ck_ok(amun__snapshot_take(&before[i], f.models[i]));
    }
    joint_step(&f, &amun__joint_dverge);
    const double without = f.step.loss;
    options.options.attack_eps = 8.0 / 255.0;
    options.options.attack_step = 2.0 / 255.0;
    options.options.attack_steps = 10;
    ck_ok(amun__train_attack_open(&pgd, &options, false));
    for (size_t i = 0; i < MEMBERS; i++) {
        ck_ok(amun__train_attack_run(&pgd, &f.step, i));
        own += joint_entropy(&f, i, pgd.images, 1.0 / ROWS, NULL, one);
        for (size_t k = 0; k < trainable && i == 0; k++) {
            want[k] = f.members[0].diff[k] + one[k];
        }
    }
    amun__train_attack_close(&pgd);
    model_bytes after = bytes_of(f.models[0]);
    for (size_t i = 0; i < MEMBERS; i++) {
        amun__snapshot_restore(&before[i], f.models[i]);
        amun__snapshot_drop(&before[i]);
    }
    f.joint.options.dverge_own = 1;
    joint_step(&f, &amun__joint_dverge);
    ck_assert_double_gt(own, 1.0);
    ck_assert_double_le(fabs(f.step.loss - without - own), 1e-10 * f.step.loss);
    ck_assert_mem_eq(f.members[0].diff, want, trainable * sizeof(float));
    ck_assert(same_bytes(after, bytes_of(f.models[0])));
    free(want);
    free(one);
}
END_TEST

START_TEST(test_memory)
{
    amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
    int64_t fail_at = 1;
    f.joint.options.dverge_own = 1;
    f.joint.options.attack_steps = 1;
    for (; status == AMUN_ERROR_OUT_OF_MEMORY; fail_at++) {
        for (size_t i = 0; i < MEMBERS; i++) {
            amun__model_trim(f.models[i]);
        }
        atomic_store(&allocator.fail_at, fail_at);
        status = amun__joint_dverge.open(&f.joint);
        status = status == AMUN_OK ? amun__joint_dverge.gradients(&f.joint, &f.step) : status;
        atomic_store(&allocator.fail_at, 0);
        amun__joint_dverge.close(&f.joint);
        f.joint.own = NULL;
    }
    ck_ok(status);
    ck_assert_int_gt(fail_at, 30);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("dverge");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_features);
    tcase_add_test(tc, test_distil);
    tcase_add_test(tc, test_descent);
    tcase_add_test(tc, test_draws);
    tcase_add_test(tc, test_kinds);
    tcase_add_test(tc, test_no_layer);
    tcase_add_test(tc, test_step);
    tcase_add_test(tc, test_own);
    tcase_add_test(tc, test_memory);
    return amun_test_main("dverge", (TCase *[]){tc, NULL});
}
