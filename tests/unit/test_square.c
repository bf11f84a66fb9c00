/* Square attack: its schedule by hand, the ball and the box, the optimum of a linear model, what it
 * keeps, and independence of the batch. */
#include "attack_setup.h"
#include "attack/attack_private.h"

static amun_square_options square_options(amun_norm norm, double eps, int32_t queries)
{
    amun_square_options o;
    ck_ok(amun_square_options_init(&o, sizeof o));
    o.norm = norm;
    o.eps = eps;
    o.queries = queries;
    return o;
}

static amun_attack *square_attack(const amun_square_options *o)
{
    amun_attack *attack = NULL;
    ck_ok(amun_attack_create_square(&attack, ctx, o));
    return attack;
}

/* 32 x 32 with p = 0.8: sqrt(0.8 * 1024) = 28.6,
 * then 20.2, 14.3, 10.1, 7.2, 5.1, 3.6, 2.5, 1.8, 1.3. */
START_TEST(test_schedule)
{
    const int32_t after[] = {0, 10, 11, 50, 51, 200, 201, 501, 1001, 2001, 4001, 6001, 8001, 9999};
    const int32_t side[] = {29, 29, 20, 20, 14, 14, 10, 7, 5, 4, 3, 2, 1, 1};
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        ck_assert_int_eq(amun__square_side(0.8, after[i], 10000, 32, 32), side[i]);
    }
    /* half the queries: the same moments in proportion */
    ck_assert_int_eq(amun__square_side(0.8, 5, 5000, 32, 32), 29);
    ck_assert_int_eq(amun__square_side(0.8, 6, 5000, 32, 32), 20);
    ck_assert_int_eq(amun__square_side(0.8, 4001, 5000, 32, 32), 1);
    ck_assert_int_eq(amun__square_side(1.0, 0, 100, 8, 8), 7); /* never the whole image */
    ck_assert_int_eq(amun__square_side(1.0, 0, 100, 3, 20), 2);
    ck_assert_int_eq(amun__square_side(1.0, 0, 100, 1, 20), 1);
    ck_assert_int_eq(amun__square_side(1e-9, 0, 100, 32, 32), 1);
}
END_TEST

static double margin_of(amun__plan *plan, const float *image, int32_t label)
{
    float z[DIGIT_CLASSES];
    double best = -INFINITY;
    ck_ok(amun__plan_forward(plan, image, z));
    for (int32_t k = 0; k < DIGIT_CLASSES; k++) {
        best = k != label ? fmax(best, (double)z[k]) : best;
    }
    return (double)z[label] - best;
}

/* In the ball and the box, whatever the batch, the order and the neighbours. */
START_TEST(test_bounds_and_batches)
{
    enum { COUNT = 40 };
    const int32_t batches[] = {1, 7, 128, 16};
    bool l2 = _i == 1;
    int64_t order[COUNT];
    samples runs[4];
    shuffled(order, COUNT);
    amun_square_options o = square_options(l2 ? AMUN_NORM_L2 : AMUN_NORM_LINF, l2 ? 1.2 : 0.12, 60);
    o.seed = 3;
    size_t flipped = 0;
    for (size_t b = 0; b < 4; b++) {
        samples_open_digits(&runs[b], data, b == 3 ? order : NULL, COUNT);
        o.batch = batches[b];
        amun_attack *attack = square_attack(&o);
        ck_ok(samples_run(&runs[b], attack, network));
        amun_attack_unref(attack);
        size_t parted = 0;
        for (size_t i = 0; i < COUNT; i++) {
            const amun_attack_record *r = &runs[b].records[i], *e = &runs[0].records[r->index];
            for (size_t k = 0; k < DIGIT_PIXELS; k++) {
                float a = runs[b].adversarial[i * DIGIT_PIXELS + k];
                ck_assert(a >= 0.0f && a <= 1.0f);
            }
            parted += memcmp(runs[b].adversarial + i * DIGIT_PIXELS,
                             runs[0].adversarial + (size_t)r->index * DIGIT_PIXELS,
                             DIGIT_PIXELS * sizeof(float)) != 0;
            ck_assert((l2 ? r->l2 : r->linf) <= o.eps * (1 + 1e-6));
            ck_assert_int_eq(r->outcome, e->outcome);
            ck_assert_int_eq(r->adversarial, e->adversarial);
            ck_assert_int_eq(r->updates, e->updates);
            ck_assert(r->outcome == AMUN_ATTACK_FLIPPED || r->updates == 60);
            flipped += r->outcome == AMUN_ATTACK_FLIPPED && r->updates > 0;
        }
        /* A query is kept if its margin is smaller. Plans of different sizes round logits
         * differently, so that of two nearly equal margins one or the other may win; with the L2
         * form, whose small moves change little, this happens. All else is as it was. */
        ck_assert_uint_le(parted, l2 ? COUNT / 8 : 0);
    }
    ck_assert(flipped > 0);
    for (size_t b = 0; b < 4; b++) {
        samples_close(&runs[b]);
    }
}
END_TEST

/* More queries never leave a larger margin, since the draws of the first ones are the same; and
 * they find more. p_init 1e-9: the schedule, which depends on the number of queries, is constant.
 */
START_TEST(test_more_queries)
{
    enum { COUNT = 30 };
    const int32_t queries[3] = {1, 30, 200};
    bool l2 = _i == 1;
    samples runs[3];
    size_t flipped[3] = {0};
    amun__plan *plan = NULL;
    ck_ok(amun__model_lease(network, 1, AMUN__MODE_INFER, &plan));
    for (size_t q = 0; q < 3; q++) {
        amun_square_options o =
            square_options(l2 ? AMUN_NORM_L2 : AMUN_NORM_LINF, l2 ? 1.0 : 0.1, queries[q]);
        o.p_init = 1e-9;
        amun_attack *attack = square_attack(&o);
        samples_open_digits(&runs[q], data, NULL, COUNT);
        ck_ok(samples_run(&runs[q], attack, network));
        amun_attack_unref(attack);
        for (size_t i = 0; i < COUNT; i++) {
            flipped[q] += runs[q].records[i].outcome == AMUN_ATTACK_FLIPPED;
            if (q == 0 || runs[q].records[i].outcome == AMUN_ATTACK_FLIPPED) {
                continue;
            }
            int32_t label = (int32_t)runs[q].labels[i];
            double now = margin_of(plan, runs[q].adversarial + i * DIGIT_PIXELS, label);
            double then = margin_of(plan, runs[q - 1].adversarial + i * DIGIT_PIXELS, label);
            ck_assert(now <= then + 1e-5);
        }
    }
    ck_assert(flipped[0] <= flipped[1] && flipped[1] <= flipped[2] && flipped[0] < flipped[2]);
    amun__model_release(network, plan);
    for (size_t q = 0; q < 3; q++) {
        samples_close(&runs[q]);
    }
}
END_TEST

/* On a linear margin the best image is known: x - eps sign(w), where random search in the Linf ball
 * arrives. In the L2 ball it moves whole windows and has no such end; but where the box is far away
 * every image uses the whole budget, and many queries beat the first image. */
START_TEST(test_linear_optimum)
{
    enum { EDGE = 3, PIXELS = EDGE * EDGE };
    float weight[2 * PIXELS] = {0};
    const float bias[2] = {50.0f, 0.0f};
    amun__rng rng;
    amun__rng_open(&rng, 3, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < PIXELS; i++) {
        weight[i] = (float)amun__rng_normal(&rng);
    }
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    ck_ok(amun_graph_create(&graph, ctx, 1, EDGE, EDGE));
    ck_ok(amun_graph_flatten(&node, graph, 0));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", 2, 1));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 0));
    amun_graph_unref(graph);
    ck_ok(amun_model_set_tensor(model, "fc.weight", weight, 2 * PIXELS));
    ck_ok(amun_model_set_tensor(model, "fc.bias", bias, 2));
    bool l2 = _i == 1;
    amun_square_options o =
        square_options(l2 ? AMUN_NORM_L2 : AMUN_NORM_LINF, l2 ? 0.3 : 0.1, 2000);
    amun_attack *attack = square_attack(&o);
    samples s;
    samples_open(&s, 2, 1, EDGE, EDGE);
    for (size_t i = 0; i < 2 * PIXELS; i++) {
        s.images[i] = 0.5f;
    }
    o.queries = 1;
    amun_attack *one = square_attack(&o);
    ck_ok(samples_run(&s, one, model));
    amun_attack_unref(one);
    amun_attack_record first[2];
    double start[2] = {0.0};
    memcpy(first, s.records, sizeof first);
    for (size_t k = 0; k < 2 * PIXELS; k++) {
        start[k / PIXELS] += (double)weight[k % PIXELS] * ((double)s.adversarial[k] - 0.5);
    }
    ck_ok(samples_run(&s, attack, model));
    for (size_t i = 0; i < 2; i++) {
        double reached = 0.0, sum = 0.0, length = amun__project_norm(weight, PIXELS);
        for (size_t k = 0; k < PIXELS; k++) {
            reached += (double)weight[k] * ((double)s.adversarial[i * PIXELS + k] - 0.5);
            sum += fabs((double)weight[k]);
        }
        if (l2) {
            ck_close(s.records[i].l2, 0.3, 1e-6);
            ck_assert(first[i].l2 > 0.3 - 1e-6 && reached < 0.0 && reached >= -0.3 * length - 1e-6);
            ck_assert_msg(reached < start[i], "%g, from %g", reached, start[i]);
        } else {
            ck_close(reached, -0.1 * sum, 1e-5);
        }
        ck_assert_int_eq(s.records[i].outcome, AMUN_ATTACK_NOT_FLIPPED);
        ck_assert_int_eq(s.records[i].updates, 2000);
    }
    amun_attack_unref(attack);
    amun_model_unref(model);
    samples_close(&s);
}
END_TEST

START_TEST(test_special_samples)
{
    samples s;
    samples_open_digits(&s, data, NULL, 5);
    s.labels[2] = (s.labels[2] + 1) % 10; /* wrong from the start */
    amun_square_options o = square_options(AMUN_NORM_LINF, 0.0, 7);
    amun_attack *attack = square_attack(&o); /* eps 0: nothing to search */
    ck_ok(samples_run(&s, attack, network));
    ck_assert_mem_eq(s.adversarial, s.images, 5 * DIGIT_PIXELS * sizeof(float));
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(s.records[i].updates, i == 2 ? 0 : 7);
        ck_assert_int_eq(s.records[i].outcome,
                         i == 2 ? AMUN_ATTACK_FLIPPED : AMUN_ATTACK_NOT_FLIPPED);
    }
    amun_model *model = NULL;
    ck_ok(amun_model_clone(&model, network));
    poison_model(model);
    ck_ok(samples_run(&s, attack, model));
    ck_assert_int_eq(s.records[0].outcome, AMUN_ATTACK_FAILED_NUMERIC);
    amun_model_unref(model);
    amun_attack_unref(attack);
    samples_close(&s);
}
END_TEST

START_TEST(test_bad_input)
{
    amun_attack *attack = NULL;
    amun_square_options o;
#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        ck_ok(amun_square_options_init(&o, sizeof o));                                             \
        o.member = (value);                                                                        \
        ck_fails(amun_attack_create_square(&attack, ctx, &o), AMUN_ERROR_INVALID_ARGUMENT,         \
                 #member);                                                                         \
        ck_assert_ptr_null(attack);                                                                \
    } while (0)
    REFUSED(norm, 0);
    REFUSED(queries, 0);
    REFUSED(queries, 1000001);
    REFUSED(eps, -0.1);
    REFUSED(p_init, 0.0);
    REFUSED(p_init, 1.1);
    REFUSED(batch, 4097);
    REFUSED(reserved0, 1);
#undef REFUSED
    ck_ok(amun_square_options_init(&o, sizeof o));
    ck_assert(o.norm == AMUN_NORM_LINF && o.queries == 5000 && o.eps == 8.0 / 255.0);
    ck_assert(o.p_init == 0.8 && o.seed == 0 && o.batch == 128);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("square");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_schedule);
    tcase_add_loop_test(tc, test_bounds_and_batches, 0, 2);
    tcase_add_loop_test(tc, test_more_queries, 0, 2);
    tcase_add_loop_test(tc, test_linear_optimum, 0, 2);
    tcase_add_test(tc, test_special_samples);
    tcase_add_test(tc, test_bad_input);
    return amun_test_main("square", (TCase *[]){tc, NULL});
}
