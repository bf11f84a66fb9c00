/* GAL and TRS, one step by hand: their values against naive sums over pairs, their gradients
 * against PyTorch's double backward (golden values of tests/interop/torch_ensemble.py), TRS's
 * images. */
#include "ensemble/trs.h"
#include "golden.h"
#include "joint_fixture.h"

enum { ROWS = 9 };

static test_allocator allocator;
static amun_context *ctx;
static joint_fixture f;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    joint_digits(&f, ctx, 3, ROWS);
}

static void teardown(void)
{
    joint_close(&f);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* ---- values -------------------------------------------------------------------------------------
 */

/* All members' image gradients at `images`, [count][rows][pixels]; the entropies' sum into *loss.
 */
static float *image_gradients(const float *images, double *loss)
{
    const size_t values = f.rows * f.pixels;
    float *g = calloc(f.count * values, sizeof(float));
    for (size_t i = 0; i < f.count; i++) {
        double own = joint_entropy(&f, i, images, 1.0, g + i * values, NULL);
        *loss += own;
    }
    return g;
}

static double product(const float *a, const float *b)
{
    double sum = 0.0;
    for (size_t k = 0; k < f.pixels; k++) {
        sum += (double)a[k] * (double)b[k];
    }
    return sum;
}

/* Sum over samples of log sum exp cos (`gal`), or of the mean |cos|. */
static double naive_cosines(const float *g, bool gal)
{
    double total = 0.0;
    for (size_t b = 0; b < f.rows; b++) {
        double sum = 0.0;
        int pairs = 0;
        for (size_t i = 0; i < f.count; i++) {
            for (size_t j = i + 1; j < f.count; j++, pairs++) {
                const float *x = g + (i * f.rows + b) * f.pixels;
                const float *y = g + (j * f.rows + b) * f.pixels;
                double cosine = product(x, y) / sqrt(product(x, x) * product(y, y));
                sum += gal ? exp(cosine) : fabs(cosine);
            }
        }
        total += gal ? log(sum) : sum / pairs;
    }
    return total;
}

/* Sum over the samples of 2 |g|^2, mean over the members. */
static double naive_squares(const float *g)
{
    double sum = 0.0;
    for (size_t row = 0; row < f.count * f.rows; row++) {
        sum += 2.0 * product(g + row * f.pixels, g + row * f.pixels);
    }
    return sum / (double)f.count;
}

START_TEST(test_gal_value)
{
    double want = 0.0;
    float *g = image_gradients(f.images, &want);
    want += 0.7 * naive_cosines(g, true);
    f.joint.options.gal_lambda = 0.7;
    joint_step(&f, &amun__joint_gal);
    ck_assert_double_le(fabs(f.step.loss - want), 1e-5 * want);
    free(g);
}
END_TEST

START_TEST(test_trs_value)
{
    double want = 0.0;
    float *g = image_gradients(f.images, &want), *near = NULL;
    f.joint.options.trs_cosine = 3.0;
    f.joint.options.trs_smooth = 2.0;
    f.joint.options.attack_eps = 0.03;
    f.joint.options.attack_steps = 2;
    f.joint.method = &amun__joint_trs;
    ck_ok(amun__joint_trs.open(&f.joint));
    ck_ok(amun__joint_trs.gradients(&f.joint, &f.step));
    near = image_gradients(amun__trs_images(&f.joint), &(double){0.0});
    amun__joint_trs.close(&f.joint);
    const double both = want + 3.0 * naive_cosines(g, false) + 2.0 * naive_squares(near);
    ck_assert_double_le(fabs(f.step.loss - both), 1e-5 * both);
    f.joint.options.trs_l2 = 1;
    joint_step(&f, &amun__joint_trs);
    const double clean = want + 3.0 * naive_cosines(g, false) + 2.0 * naive_squares(g);
    ck_assert_double_le(fabs(f.step.loss - clean), 1e-5 * clean);
    ck_assert_double_gt(fabs(both - clean), 1e-3 * clean);
    free(g);
    free(near);
}
END_TEST

/* ---- gradients
 * ------------------------------------------------------------------------------------ */

/* Without their terms both are plain training, bit for bit, statistics and all. */
START_TEST(test_no_terms)
{
    const amun__joint_method *const methods[] = {&amun__joint_gal, &amun__joint_trs};
    float *plain[JOINT_MEMBERS];
    model_bytes after[JOINT_MEMBERS];
    amun__snapshot before[JOINT_MEMBERS] = {{0}};
    f.joint.options.gal_lambda = f.joint.options.trs_cosine = f.joint.options.trs_smooth = 0.0;
    for (size_t i = 0; i < f.count; i++) {
        size_t bytes = f.members[i].values.trainable * sizeof(float);
        ck_ok(amun__snapshot_take(&before[i], f.models[i]));
        ck_ok(amun__step_cross_entropy(&f.step, i));
        plain[i] = malloc(bytes);
        memcpy(plain[i], f.members[i].diff, bytes);
        after[i] = bytes_of(f.models[i]);
    }
    const double loss = f.step.loss;
    const int64_t right = f.step.right;
    for (size_t m = 0; m < 2; m++) {
        for (size_t i = 0; i < f.count; i++) {
            amun__snapshot_restore(&before[i], f.models[i]);
        }
        joint_step(&f, methods[m]);
        ck_assert_double_eq(f.step.loss, loss);
        ck_assert_int_eq(f.step.right, right);
        for (size_t i = 0; i < f.count; i++) {
            ck_assert_mem_eq(plain[i], f.members[i].diff,
                             f.members[i].values.trainable * sizeof(float));
            model_bytes now = bytes_of(f.models[i]);
            ck_assert_mem_eq(now.bytes, after[i].bytes, now.size);
            free(now.bytes);
        }
    }
    for (size_t i = 0; i < f.count; i++) {
        amun__snapshot_drop(&before[i]);
        free(after[i].bytes);
        free(plain[i]);
    }
}
END_TEST

/* With their terms, running statistics move once all the same: by the clean batch. */
START_TEST(test_statistics)
{
    const amun__joint_method *const methods[] = {&amun__joint_gal, &amun__joint_trs};
    f.joint.options.attack_eps = 0.03;
    f.joint.options.attack_steps = 2;
    for (size_t m = 0; m < 2; m++) {
        amun_model *twin = NULL;
        amun__plan *plan = NULL;
        float *logits = calloc(f.rows * f.classes, sizeof(float));
        ck_ok(amun_model_clone(&twin, f.models[1]));
        ck_ok(amun__model_lease(twin, ROWS, AMUN__MODE_TRAIN, &plan));
        ck_ok(amun__plan_forward(plan, f.images, logits));
        ck_ok(amun__model_update_statistics(twin, plan));
        amun__model_release(twin, plan);
        joint_step(&f, methods[m]);
        ck_assert(same_bytes(bytes_of(twin), bytes_of(f.models[1])));
        amun_model_unref(twin);
        free(logits);
    }
}
END_TEST

/* The smoothness at images next to the clean ones is that at the clean ones: two ways through the
 * code. */
START_TEST(test_two_ways)
{
    float *first[JOINT_MEMBERS];
    f.joint.options.trs_cosine = 3.0;
    f.joint.options.trs_smooth = 0.5;
    f.joint.options.attack_eps = 1e-9;
    f.joint.options.attack_steps = 1;
    joint_step(&f, &amun__joint_trs);
    for (size_t i = 0; i < f.count; i++) {
        size_t bytes = f.members[i].values.trainable * sizeof(float);
        first[i] = malloc(bytes);
        memcpy(first[i], f.members[i].diff, bytes);
    }
    f.joint.options.trs_l2 = 1;
    joint_step(&f, &amun__joint_trs);
    for (size_t i = 0; i < f.count; i++) {
        ck_assert_double_le(joint_error(first[i], f.members[i].diff, f.members[i].values.trainable),
                            1e-5);
        free(first[i]);
    }
}
END_TEST

/* Gradients descend: from members that are much alike, some steps of TRS leave cosines and squares
 * lower than plain steps do. */
START_TEST(test_descends)
{
    amun__snapshot before[JOINT_MEMBERS] = {{0}};
    double cosines[2], squares[2];
    for (size_t i = 0; i < f.count; i++) {
        for (size_t k = 0; k < f.members[i].values.trainable; k++) {
            f.members[i].values.values[k] =
                f.members[0].values.values[k] * (1.0f + 0.2f * (float)i * joint_fraction(k + i));
        }
        amun__model_touch(f.models[i]);
        ck_ok(amun__snapshot_take(&before[i], f.models[i]));
    }
    for (int round = 0; round < 2; round++) {
        f.joint.options.trs_l2 = 1;
        f.joint.options.trs_cosine = round == 0 ? 0.0 : 5.0;
        f.joint.options.trs_smooth = round == 0 ? 0.0 : 0.5;
        for (int step = 0; step < 15; step++) {
            joint_step(&f, &amun__joint_trs);
            for (size_t i = 0; i < f.count; i++) {
                for (size_t k = 0; k < f.members[i].values.trainable; k++) {
                    f.members[i].values.values[k] -= 0.01f * f.members[i].diff[k];
                }
                amun__model_touch(f.models[i]);
            }
        }
        float *g = image_gradients(f.images, &(double){0.0});
        cosines[round] = naive_cosines(g, false);
        squares[round] = naive_squares(g);
        free(g);
        for (size_t i = 0; i < f.count; i++) {
            amun__snapshot_restore(&before[i], f.models[i]);
        }
    }
    ck_assert_double_lt(cosines[1], 0.7 * cosines[0]);
    ck_assert_double_lt(squares[1], 0.7 * squares[0]);
    for (size_t i = 0; i < f.count; i++) {
        amun__snapshot_drop(&before[i]);
    }
}
END_TEST

/* ---- TRS's images
 * ----------------------------------------------------------------------------------- */

static void trs_images(float *out)
{
    f.joint.method = &amun__joint_trs;
    ck_ok(amun__joint_trs.open(&f.joint));
    ck_ok(amun__joint_trs.gradients(&f.joint, &f.step));
    memcpy(out, amun__trs_images(&f.joint), f.rows * f.pixels * sizeof *out);
    amun__joint_trs.close(&f.joint);
    f.joint.own = NULL;
}

static double farthest(const float *images)
{
    double most = 0.0;
    for (size_t k = 0; k < f.rows * f.pixels; k++) {
        most = fmax(most, fabs((double)images[k] - (double)f.images[k]));
        ck_assert(images[k] >= 0.0f && images[k] <= 1.0f);
    }
    return most;
}

/* The first half stays, the other stays near and goes up hill. */
START_TEST(test_trs_images)
{
    const size_t values = f.rows * f.pixels, half = ROWS / 2 * f.pixels;
    float *start = calloc(values, sizeof(float)), *found = calloc(values, sizeof(float));
    float *again = calloc(values, sizeof(float));
    f.joint.options.trs_cosine = 0.0;
    f.joint.options.attack_eps = 0.03;
    f.joint.train.epochs = 1;
    trs_images(start);
    f.joint.options.attack_steps = 6;
    trs_images(found);
    trs_images(again);
    ck_assert_mem_eq(found, again, values * sizeof(float));
    ck_assert_mem_eq(start, f.images, half * sizeof(float));
    ck_assert_mem_eq(found, f.images, half * sizeof(float));
    ck_assert_double_le(farthest(start), 0.03 + 1e-6);
    ck_assert_double_le(farthest(found), 0.03 + 1e-6);
    ck_assert_double_gt(farthest(start), 0.025);
    float *g = image_gradients(start, &(double){0.0}), *h = image_gradients(found, &(double){0.0});
    ck_assert_double_gt(naive_squares(h), 1.05 * naive_squares(g));
    f.joint.options.seed = 1;
    trs_images(again);
    ck_assert(memcmp(found, again, values * sizeof(float)) != 0);
    free(start);
    free(found);
    free(again);
    free(g);
    free(h);
}
END_TEST

/* Radii from 0.005 to attack_eps over the epochs. */
START_TEST(test_trs_radius)
{
    float *found = calloc(f.rows * f.pixels, sizeof(float));
    f.joint.options.attack_eps = 0.025;
    for (int64_t epoch = 0; epoch < 5; epoch++) {
        const double want = 0.005 + 0.005 * (double)epoch;
        f.step.epoch = epoch;
        trs_images(found); /* no steps: the uniform start */
        ck_assert_double_le(farthest(found), want + 1e-6);
        ck_assert_double_gt(farthest(found), 0.9 * want);
    }
    free(found);
}
END_TEST

/* ---- golden values
 * ------------------------------------------------------------------------------------ */

static double number(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static void check_members(const joint_fixture *g, const json_t *values, const char *name)
{
    char key[200];
    size_t seen = 1;
    const float loss = (float)(g->step.loss / (double)g->rows);
    golden_expect(values, "loss.0", &loss, 1, 1e-3, 1e-3, name);
    for (size_t i = 0; i < g->count; i++) {
        const amun_graph *graph = amun__model_graph(g->models[i]);
        for (int32_t k = 0; k < graph->param_count; k++) {
            const amun__param *p = &graph->params[k];
            if (p->trainable) {
                (void)snprintf(key, sizeof key, "diff.%zu.%s", i, p->name);
                golden_expect(values, key, g->members[i].diff + p->offset, p->count, 1e-3, 1e-3,
                              name);
                seen++;
            }
        }
    }
    ck_assert_uint_eq(seen, json_object_size(values));
}

static void check_golden(const json_t *row)
{
    joint_fixture g;
    amun_model *models[JOINT_MEMBERS] = {NULL};
    amun_model_options shape;
    const size_t count = (size_t)number(row, "members", 0);
    const char *method = json_string_value(json_object_get(row, "method"));
    ck_ok(amun_model_options_init(&shape, sizeof shape));
    shape.channels = (int64_t)number(row, "channels", 0);
    shape.classes = (int64_t)number(row, "classes", 0);
    shape.height = shape.width = (int64_t)number(row, "height", 0);
    ck_assert(count >= 2 && count <= JOINT_MEMBERS);
    for (size_t i = 0; i < count; i++) {
        shape.seed = (uint64_t)number(row, "seed", 0) + i;
        ck_ok(amun_model_create(&models[i], ctx, json_string_value(json_object_get(row, "arch")),
                                &shape));
        joint_stir(models[i]);
    }
    joint_open(&g, ctx, models, count, (size_t)number(row, "batch", 0));
    amun_ensemble_train_options *o = &g.joint.options;
    o->gal_lambda = number(row, "lambda", 0.0);
    o->trs_cosine = number(row, "cosine", 0.0);
    o->trs_smooth = number(row, "smooth", 0.0);
    o->trs_l2 = (int32_t)number(row, "l2", 0.0);
    joint_step(&g, strcmp(method, "gal") == 0 ? &amun__joint_gal : &amun__joint_trs);
    check_members(&g, json_object_get(row, "values"),
                  json_string_value(json_object_get(row, "name")));
    joint_close(&g);
}

START_TEST(test_torch)
{
    json_t *root = golden_open("tests/data/golden_ensemble.json");
    const json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_eq(json_array_size(cases), 4);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        check_golden(json_array_get(cases, i));
    }
    json_decref(root);
}
END_TEST

/* ---- failures
 * -------------------------------------------------------------------------------------------- */

START_TEST(test_memory)
{
    const amun__joint_method *const methods[] = {&amun__joint_gal, &amun__joint_trs};
    for (size_t m = 0; m < 2; m++) {
        amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
        int64_t fail_at = 1;
        for (; status == AMUN_ERROR_OUT_OF_MEMORY; fail_at++) {
            atomic_store(&allocator.fail_at, fail_at);
            status = methods[m]->open(&f.joint);
            atomic_store(&allocator.fail_at, 0);
            methods[m]->close(&f.joint);
            f.joint.own = NULL;
        }
        ck_ok(status);
        ck_assert_int_gt(fail_at, 10);
    }
}
END_TEST

/* Gradients of length 0 have no direction: nothing is divided by them. */
START_TEST(test_no_direction)
{
    for (size_t k = 0; k < f.members[0].values.trainable; k++) {
        f.members[0].values.values[k] = 0.0f;
    }
    amun__model_touch(f.models[0]);
    joint_step(&f, &amun__joint_gal);
    ck_assert(isfinite(f.step.loss));
    for (size_t i = 0; i < f.count; i++) {
        for (size_t k = 0; k < f.members[i].values.trainable; k++) {
            ck_assert(isfinite(f.members[i].diff[k]));
        }
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("rivals"), *golden = tcase_create("golden");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_gal_value);
    tcase_add_test(tc, test_trs_value);
    tcase_add_test(tc, test_no_terms);
    tcase_add_test(tc, test_statistics);
    tcase_add_test(tc, test_two_ways);
    tcase_add_test(tc, test_descends);
    tcase_add_test(tc, test_trs_images);
    tcase_add_test(tc, test_trs_radius);
    tcase_add_test(tc, test_memory);
    tcase_add_test(tc, test_no_direction);
    tcase_add_checked_fixture(golden, setup, teardown);
    tcase_add_test(golden, test_torch);
    return amun_test_main("rivals_joint", (TCase *[]){tc, golden, NULL});
}
