/* The standard set against its three attacks run one after the other by hand, and independence of
 * the batch. */
#include "attack_setup.h"

enum { COUNT = 48, STEPS = 8, TARGETS = 3, QUERIES = 40 };

static amun_standard_options standard_options(bool l2)
{
    amun_standard_options o;
    ck_ok(amun_standard_options_init(&o, sizeof o));
    o.norm = l2 ? AMUN_NORM_L2 : AMUN_NORM_LINF;
    o.eps = l2 ? 0.45 : 0.06;
    o.steps = STEPS;
    o.targets = TARGETS;
    o.queries = QUERIES;
    o.seed = 5;
    return o;
}

static amun_attack *create_stage(int32_t stage, const amun_standard_options *o)
{
    amun_attack *attack = NULL;
    if (stage < 2) {
        amun_apgd_options a;
        ck_ok(amun_apgd_options_init(&a, sizeof a));
        a.norm = o->norm;
        a.loss = stage == 0 ? AMUN_ATTACK_LOSS_CE : AMUN_ATTACK_LOSS_DLR_TARGETED;
        a.eps = o->eps;
        a.steps = STEPS;
        a.targets = TARGETS;
        a.seed = 5;
        a.stop_at_flip = 1;
        a.batch = o->batch;
        ck_ok(amun_attack_create_apgd(&attack, ctx, &a));
    } else {
        amun_square_options s;
        ck_ok(amun_square_options_init(&s, sizeof s));
        s.norm = o->norm;
        s.eps = o->eps;
        s.queries = QUERIES;
        s.seed = 5;
        s.batch = o->batch;
        ck_ok(amun_attack_create_square(&attack, ctx, &s));
    }
    return attack;
}

/* Robust is who survives each attack on its own; the others carry the flag of the first that
 * flipped them. One sample per batch, so that all runs see the same rounding. */
START_TEST(test_worst_case)
{
    const uint32_t flags[3] = {AMUN_ATTACK_BY_APGD_CE, AMUN_ATTACK_BY_APGD_T,
                               AMUN_ATTACK_BY_SQUARE};
    amun_standard_options o = standard_options(_i == 1);
    o.batch = 1;
    samples whole, stage[3];
    amun_attack *attack = NULL;
    ck_ok(amun_attack_create_standard(&attack, ctx, &o));
    samples_open_digits(&whole, data, NULL, COUNT);
    whole.labels[3] = (whole.labels[3] + 1) % 10; /* wrong from the start */
    ck_ok(samples_run(&whole, attack, network));
    amun_attack_unref(attack);
    for (int32_t k = 0; k < 3; k++) {
        attack = create_stage(k, &o);
        samples_open_digits(&stage[k], data, NULL, COUNT);
        stage[k].labels[3] = whole.labels[3];
        ck_ok(samples_run(&stage[k], attack, network));
        amun_attack_unref(attack);
    }
    ck_assert(whole.records[3].predicted != whole.records[3].label);
    size_t by[4] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        const amun_attack_record *r = &whole.records[i];
        int32_t first = 0, updates = 0;
        while (first < 3 && stage[first].records[i].outcome != AMUN_ATTACK_FLIPPED) {
            updates += stage[first++].records[i].updates;
        }
        by[first]++;
        const samples *source = &stage[first < 3 ? first : 2];
        updates += first < 3 ? source->records[i].updates : 0;
        ck_assert_int_eq(r->outcome, first < 3 ? AMUN_ATTACK_FLIPPED : AMUN_ATTACK_NOT_FLIPPED);
        ck_assert_uint_eq(r->flags, first < 3 && r->predicted == r->label ? flags[first] : 0u);
        ck_assert_int_eq(r->updates, updates);
        ck_assert(r->predicted == r->label || r->updates == 0);
        ck_assert_int_eq(r->index, (int64_t)i);
        ck_assert_int_eq(r->label, (int32_t)whole.labels[i]);
        ck_assert_int_eq(r->predicted, stage[0].records[i].predicted);
        ck_assert_int_eq(r->adversarial, source->records[i].adversarial);
        ck_assert(r->l2 == source->records[i].l2 && r->linf == source->records[i].linf);
        ck_assert_mem_eq(whole.adversarial + i * DIGIT_PIXELS,
                         source->adversarial + i * DIGIT_PIXELS, DIGIT_PIXELS * sizeof(float));
    }
    ck_assert(by[0] > 1 && by[3] > 0);
    samples_close(&whole);
    for (size_t k = 0; k < 3; k++) {
        samples_close(&stage[k]);
    }
}
END_TEST

START_TEST(test_batches)
{
    const int32_t batches[] = {1, 7, 128, 16};
    int64_t order[COUNT];
    samples runs[4];
    shuffled(order, COUNT);
    for (size_t b = 0; b < 4; b++) {
        amun_standard_options o = standard_options(_i == 1);
        amun_attack *attack = NULL;
        o.batch = batches[b];
        ck_ok(amun_attack_create_standard(&attack, ctx, &o));
        samples_open_digits(&runs[b], data, b == 3 ? order : NULL, COUNT);
        ck_ok(samples_run(&runs[b], attack, network));
        amun_attack_unref(attack);
        for (size_t i = 0; i < COUNT; i++) {
            const amun_attack_record *r = &runs[b].records[i], *e = &runs[0].records[r->index];
            ck_assert_int_eq(r->outcome, e->outcome);
            ck_assert_int_eq(r->adversarial, e->adversarial);
            ck_assert_int_eq(r->updates, e->updates);
            ck_assert_uint_eq(r->flags, e->flags);
            ck_close(r->l2, e->l2, 1e-4);
        }
    }
    for (size_t b = 0; b < 4; b++) {
        samples_close(&runs[b]);
    }
}
END_TEST

START_TEST(test_failures)
{
    amun_standard_options o = standard_options(false);
    amun_attack *attack = NULL;
    amun_model *model = NULL;
    samples s;
    ck_ok(amun_attack_create_standard(&attack, ctx, &o));
    ck_ok(amun_model_clone(&model, network));
    poison_model(model);
    samples_open_digits(&s, data, NULL, 4);
    ck_ok(samples_run(&s, attack, model));
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(s.records[i].outcome, AMUN_ATTACK_FAILED_NUMERIC);
        ck_assert(s.records[i].l2 == 0.0);
    }
    ck_assert_mem_eq(s.adversarial, s.images, 4 * DIGIT_PIXELS * sizeof(float));
    ck_fails(amun_attack_run(attack, model, &s.image_view, &s.label_view, NULL, &s.adversarial_view,
                             NULL, NULL),
             AMUN_ERROR_NUMERIC, "sample 0");
    amun_model_unref(model);
    amun_attack_unref(attack);
    samples_close(&s);
    o.queries = 0;
    ck_fails(amun_attack_create_standard(&attack, ctx, &o), AMUN_ERROR_INVALID_ARGUMENT, "queries");
    ck_ok(amun_standard_options_init(&o, sizeof o));
    ck_assert(o.eps == 8.0 / 255.0 && o.steps == 100 && o.targets == 9 && o.queries == 5000);
    ck_assert(o.norm == AMUN_NORM_LINF && o.batch == 128);
}
END_TEST

/* An adversarial set of it, through a file. */
START_TEST(test_set)
{
    amun_standard_options o = standard_options(false);
    amun_attack *attack = NULL;
    amun_advset *set = NULL, *read = NULL;
    const int64_t indices[4] = {5, 9, 2, 40};
    char path[4096];
    snprintf(path, sizeof path, "%s", test_path("standard.safetensors"));
    o.eps = 0.3;
    ck_ok(amun_attack_create_standard(&attack, ctx, &o));
    ck_ok(amun_advset_build(&set, attack, network, data, indices, 4, NULL));
    ck_assert_uint_eq(amun_advset_found(set), 4);
    ck_ok(amun_advset_save(set, path));
    ck_ok(amun_advset_load(&read, data, path, ctx));
    ck_assert_mem_eq(amun_advset_records(set), amun_advset_records(read),
                     4 * sizeof(amun_attack_record));
    amun_advset_unref(read);
    amun_advset_unref(set);
    amun_attack_unref(attack);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("standard");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_worst_case, 0, 2);
    tcase_add_loop_test(tc, test_batches, 0, 2);
    tcase_add_test(tc, test_failures);
    tcase_add_test(tc, test_set);
    return amun_test_main("standard", (TCase *[]){tc, NULL});
}
