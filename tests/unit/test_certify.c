/* Certificates: radii against the distance to the boundary of linear models, where both are known;
 * no attack within a radius turns a class; the transfer proposition against real attacks. */
#include "attack_fixture.h"
#include "ensemble/ensemble.h"

static test_allocator allocator;
static amun_context *ctx;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
}

static void teardown(void)
{
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* ---- by hand ---------------------------------------------------------------------------------
 */

/* z = a (x1 - 0.45), -a (x1 - 0.45): norm sqrt(2) a, the boundary is x1 = 0.45. */
static amun_model *wall(float a)
{
    const float weight[4] = {a, 0.0f, -a, 0.0f};
    const float bias[2] = {-0.45f * a, 0.45f * a};
    return linear_model(ctx, 2, 2, weight, bias);
}

enum { POINTS = 4 };
static float points[2 * POINTS] = {0.5f, 0.1f, 0.75f, 0.9f, 0.3f, 0.5f, 0.45f, 0.2f};
static int64_t point_labels[POINTS] = {0, 0, 0, 1}; /* the third is wrong, the fourth on the wall */

static amun_dataset *point_data(void)
{
    const int64_t shape[4] = {POINTS, 2, 1, 1};
    amun_dataset *data = NULL;
    amun_tensor_view images, labels;
    ck_ok(amun_tensor_view_init(&images, points, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_tensor_view_init(&labels, point_labels, AMUN_DTYPE_I64, 1, shape));
    ck_ok(amun_dataset_open_view(&data, ctx, &images, &labels, 2, NULL, NULL));
    return data;
}

/* Two opposite rows: sqrt(2) L = 2 a is exactly how fast the margin falls, so that the radius is
 * the distance to the wall. */
START_TEST(test_tight)
{
    amun_model *model = wall(3.0f);
    amun_dataset *data = point_data();
    amun_ensemble *alone = NULL;
    const double lipschitz = sqrt(2.0) * 3.0;
    double radii[POINTS];
    amun_certificate c = {.struct_size = sizeof c};
    ck_ok(amun_ensemble_create(&alone, ctx, &model, 1));
    ck_ok(amun_transfer_certify(&c, radii, alone, &lipschitz, 0.1, data, NULL, 0, NULL));
    ck_close(radii[0], 0.05, 1e-6);
    ck_close(radii[1], 0.3, 1e-6);
    ck_assert(radii[2] == 0.0);
    ck_assert(fabs(radii[3]) < 1e-6);
    ck_assert_int_eq(c.samples, POINTS);
    ck_assert(c.right == 2 || c.right == 3); /* on the wall rounding decides */
    ck_assert_int_eq(c.certified, 1);
    ck_close(c.accuracy, 25.0, 1e-12);
    const int64_t two[2] = {1, 0};
    ck_ok(amun_transfer_certify(&c, radii, alone, &lipschitz, 0.0, data, two, 2, NULL));
    ck_close(radii[0], 0.3, 1e-6);
    ck_close(c.radius, 0.175, 1e-6);
    ck_assert(c.right == 2 && c.certified == 2);
    /* nothing is known of a map without a bound */
    const double unbounded = INFINITY;
    ck_ok(amun_transfer_certify(&c, radii, alone, &unbounded, 0.0, data, two, 2, NULL));
    ck_assert(c.right == 2 && c.certified == 0 && radii[0] == 0.0);
    const int64_t wrong[1] = {2};
    ck_ok(amun_transfer_certify(&c, NULL, alone, &lipschitz, 0.0, data, wrong, 1, NULL));
    ck_assert(c.right == 0 && isnan(c.radius) && c.accuracy == 0.0);
    amun_ensemble_unref(alone);
    amun_dataset_unref(data);
    amun_model_unref(model);
}
END_TEST

/* Two members: margin of mean probabilities over sqrt(2) * (L_1 + L_2) / 4, by hand. */
START_TEST(test_members)
{
    amun_model *models[2] = {wall(3.0f), wall(1.0f)};
    amun_dataset *data = point_data();
    amun_ensemble *both = NULL;
    const double lipschitz[2] = {sqrt(2.0) * 3.0, sqrt(2.0)};
    double radii[POINTS], truth[3] = {0.05, 0.3, 0.0};
    ck_ok(amun_ensemble_create(&both, ctx, models, 2));
    ck_ok(amun_transfer_certify(NULL, radii, both, lipschitz, 0.1, data, NULL, 0, NULL));
    for (size_t i = 0; i < 2; i++) {
        double x = (double)points[2 * i] - 0.45;
        double margin = 0.5 * (tanh(3.0 * x) + tanh(x)); /* p - (1 - p), p = sigmoid(2 a x) */
        ck_close(radii[i], margin / (sqrt(2.0) * 0.25 * (lipschitz[0] + lipschitz[1])), 1e-6);
        ck_assert(radii[i] <= truth[i]);
    }
    ck_assert(radii[2] == 0.0);
    amun_ensemble_unref(both);
    amun_dataset_unref(data);
    amun_model_unref(models[0]);
    amun_model_unref(models[1]);
}
END_TEST

/* ---- attacks ---------------------------------------------------------------------------------
 */

enum { COUNT = 150, ROWS = DIGIT_CLASSES, COLUMNS = DIGIT_PIXELS };

/* Random linear classifiers; the Frobenius norm is a bound for each. */
static amun_model *random_linear(uint64_t seed, double *norm)
{
    float weight[ROWS * COLUMNS], bias[ROWS] = {0};
    amun__rng rng;
    double sum = 0.0;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        weight[i] = (float)(0.3 * amun__rng_normal(&rng));
        sum += (double)weight[i] * (double)weight[i];
    }
    *norm = sqrt(sum);
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    ck_ok(amun_graph_create(&graph, ctx, 1, 8, 8));
    ck_ok(amun_graph_flatten(&node, graph, 0));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", ROWS, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 0));
    amun_graph_unref(graph);
    ck_ok(amun_model_set_tensor(model, "fc.weight", weight, ROWS * COLUMNS));
    ck_ok(amun_model_set_tensor(model, "fc.bias", bias, ROWS));
    return model;
}

static amun_attack *pgd(double eps)
{
    amun_attack *attack = NULL;
    amun_pgd_options o;
    ck_ok(amun_pgd_l2_options_init(&o, sizeof o));
    o.eps = eps;
    o.step = eps / 4;
    o.steps = 20;
    ck_ok(amun_attack_create_pgd_l2(&attack, ctx, &o));
    return attack;
}

/* No nearest adversarial example lies within its certified radius, and most radii are not 0. */
START_TEST(test_no_attack_within)
{
    amun_dataset *data = digits(ctx);
    double norms[2], radii[COUNT];
    int64_t order[COUNT];
    amun_model *models[2] = {random_linear(1, &norms[0]), random_linear(2, &norms[1])};
    amun_search_options so = search_options();
    amun_attack *search = search_attack(ctx, &so);
    shuffled(order, COUNT);
    for (size_t members = 1; members <= 2; members++) {
        amun_ensemble *target = NULL;
        samples s;
        int64_t positive = 0;
        amun_certificate c = {.struct_size = sizeof c};
        samples_open_digits(&s, data, order, COUNT);
        ck_ok(amun_ensemble_create(&target, ctx, models, members));
        ck_ok(amun_transfer_certify(&c, radii, target, norms, 0.01, data, order, COUNT, NULL));
        ck_ok(amun_ensemble_attack(search, target, &s.image_view, &s.label_view, s.ids,
                                   &s.adversarial_view, s.records, NULL));
        for (size_t i = 0; i < COUNT; i++) {
            bool right = s.records[i].predicted == s.records[i].label;
            ck_assert(right == (radii[i] > 0.0));
            ck_assert(!right || s.records[i].outcome != AMUN_ATTACK_FLIPPED ||
                      s.records[i].l2 >= radii[i]);
            positive += right;
        }
        ck_assert_int_eq(c.right, positive);
        ck_assert_int_ge(c.certified, 1);
        samples_close(&s);
        amun_ensemble_unref(target);
    }
    amun_attack_unref(search);
    amun_model_unref(models[0]);
    amun_model_unref(models[1]);
    amun_dataset_unref(data);
}
END_TEST

static double risk(const amun_model *model, const amun_dataset *data, const int64_t *order)
{
    double accuracy, loss;
    ck_ok(amun_model_evaluate(&accuracy, &loss, model, data, order, COUNT, NULL));
    return loss;
}

START_TEST(test_proposition)
{
    amun_dataset *data = digits(ctx);
    double norms[2];
    int64_t order[COUNT];
    amun_model *models[2] = {random_linear(3, &norms[0]), random_linear(4, &norms[1])};
    amun_attack *attack = pgd(0.5);
    amun_transfer_gap gap = {.struct_size = sizeof gap};
    shuffled(order, COUNT);
    ck_ok(amun_transfer_bound(&gap, models[0], models[1], norms, 0.5, attack, data, order, COUNT,
                              NULL));
    double first = risk(models[0], data, order), second = risk(models[1], data, order);
    ck_close(gap.clean[0], first, 1e-9);
    ck_close(gap.clean[1], second, 1e-9);
    ck_close(gap.bound, fabs(first - second) + sqrt(2.0) * fmax(norms[0], norms[1]), 1e-9);
    ck_assert(gap.attacked[0] > gap.clean[0] + 0.1); /* the attack does something */
    ck_assert(fabs(gap.attacked[0] - gap.attacked[1]) <= gap.bound);
    ck_assert(gap.moved > 0.3 && gap.moved <= 0.5 * (1 + 1e-5));
    ck_assert_int_eq(gap.samples, COUNT);
    double before = gap.bound;
    ck_ok(amun_transfer_bound(&gap, models[0], models[1], norms, 0.5, NULL, data, order, COUNT,
                              NULL));
    ck_assert(gap.bound == before && isnan(gap.attacked[0]) && isnan(gap.moved));
    ck_fails(amun_transfer_bound(&gap, models[0], models[1], norms, 0.1, attack, data, order, COUNT,
                                 NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "eps is 0.1");
    const double unbounded[2] = {INFINITY, 1.0};
    ck_ok(amun_transfer_bound(&gap, models[0], models[1], unbounded, 0.0, NULL, data, order, COUNT,
                              NULL));
    ck_close(gap.bound, fabs(first - second), 1e-9);
    amun_attack_unref(attack);
    amun_model_unref(models[0]);
    amun_model_unref(models[1]);
    amun_dataset_unref(data);
}
END_TEST

/* ---- refusals --------------------------------------------------------------------------------
 */

static int32_t stop(const amun_progress *progress, void *user_data)
{
    (void)progress;
    (void)user_data;
    return 1;
}

START_TEST(test_bad_input)
{
    amun_model *models[2] = {wall(1.0f), wall(2.0f)};
    amun_dataset *data = point_data();
    amun_ensemble *both = NULL;
    const double good[2] = {1.0, 2.0}, zero[2] = {1.0, 0.0}, nan[2] = {NAN, 1.0};
    amun_certificate c = {.struct_size = sizeof c}, small = {.struct_size = 3};
    amun_transfer_gap gap = {.struct_size = sizeof gap};
    ck_ok(amun_ensemble_create(&both, ctx, models, 2));
#define CERTIFY(result, target, l, eps)                                                            \
    amun_transfer_certify(result, NULL, target, l, eps, data, NULL, 0, NULL)
    ck_fails(CERTIFY(&c, NULL, good, 0.1), AMUN_ERROR_INVALID_ARGUMENT, "target");
    ck_fails(CERTIFY(&c, both, NULL, 0.1), AMUN_ERROR_INVALID_ARGUMENT, "lipschitz");
    ck_fails(CERTIFY(&c, both, zero, 0.1), AMUN_ERROR_INVALID_ARGUMENT, "lipschitz[1] is 0");
    ck_fails(CERTIFY(&c, both, nan, 0.1), AMUN_ERROR_INVALID_ARGUMENT, "lipschitz[0] is nan");
    ck_fails(CERTIFY(&c, both, good, -0.1), AMUN_ERROR_INVALID_ARGUMENT, "eps is -0.1");
    ck_fails(CERTIFY(&c, both, good, (double)INFINITY), AMUN_ERROR_INVALID_ARGUMENT, "eps is inf");
    ck_fails(CERTIFY(&small, both, good, 0.1), AMUN_ERROR_INVALID_ARGUMENT, "struct_size");
#undef CERTIFY
#define BOUND(result, f, g, l, attack)                                                             \
    amun_transfer_bound(result, f, g, l, 0.1, attack, data, NULL, 0, NULL)
    ck_fails(BOUND(NULL, models[0], models[1], good, NULL), AMUN_ERROR_INVALID_ARGUMENT, "result");
    ck_fails(BOUND(&gap, models[0], models[1], NULL, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "lipschitz");
    ck_fails(BOUND(&gap, NULL, models[1], good, NULL), AMUN_ERROR_INVALID_ARGUMENT, "attacked");
    ck_fails(BOUND(&gap, models[0], models[1], zero, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "lipschitz[1]");
#undef BOUND
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = stop;
    ck_fails(amun_transfer_certify(&c, NULL, both, good, 0.1, data, NULL, 0, &call),
             AMUN_ERROR_CANCELLED, "certify");
    ck_fails(amun_transfer_bound(&gap, models[0], models[1], good, 0.1, NULL, data, NULL, 0, &call),
             AMUN_ERROR_CANCELLED, "risk");
    ck_ok(amun__model_begin_write(models[1]));
    ck_fails(amun_transfer_certify(&c, NULL, both, good, 0.1, data, NULL, 0, NULL), AMUN_ERROR_BUSY,
             "model");
    ck_fails(amun_transfer_bound(&gap, models[0], models[1], good, 0.1, NULL, data, NULL, 0, NULL),
             AMUN_ERROR_BUSY, "model");
    amun__model_end_write(models[1]);
    poison_model(models[0]);
    ck_fails(amun_transfer_certify(&c, NULL, both, good, 0.1, data, NULL, 0, NULL),
             AMUN_ERROR_NUMERIC, "image 0");
    amun_ensemble_unref(both);
    amun_dataset_unref(data);
    amun_model_unref(models[0]);
    amun_model_unref(models[1]);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("certify");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_tight);
    tcase_add_test(tc, test_members);
    tcase_add_test(tc, test_no_attack_within);
    tcase_add_test(tc, test_proposition);
    tcase_add_test(tc, test_bad_input);
    return amun_test_main("certify", (TCase *[]){tc, NULL});
}
