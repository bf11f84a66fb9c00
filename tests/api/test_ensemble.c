/* test_ensemble.c - training an ensemble through the public interface: options that are refused,
 * what was never initialised, dead handles, and the n-th allocation that fails. */
#include <stddef.h>

#include "api.h"

enum { MEMBERS = 2 };

static struct {
    heap memory;
    amun_context *ctx;
    amun_dataset *data;
    amun_model *models[MEMBERS];
    amun_ensemble *ensemble;
    tiny_values before[MEMBERS];
    amun_train_options train;
    amun_lotos_options lotos;
    amun_ensemble_train_options opts;
} f;

static void set_up(void)
{
    memset(&f, 0, sizeof f);
    ck_ok(heap_context(&f.ctx, &f.memory));
    ck_ok(tiny_data(&f.data, f.ctx));
    for (size_t i = 0; i < MEMBERS; i++) {
        ck_ok(tiny_model(&f.models[i], f.ctx, i));
        tiny_read(&f.before[i], f.models[i]);
    }
    ck_ok(amun_ensemble_create(&f.ensemble, f.ctx, f.models, MEMBERS));
    f.train = tiny_train(1);
    ck_ok(amun_lotos_options_init(&f.lotos, sizeof f.lotos));
    ck_ok(amun_ensemble_train_options_init(&f.opts, sizeof f.opts));
    f.lotos.batchnorm = 1;
    f.opts.train = &f.train;
    f.opts.lotos = &f.lotos;
    f.opts.attack_steps = 1;
}

static void tear_down(void)
{
    amun_ensemble_unref(f.ensemble);
    for (size_t i = 0; i < MEMBERS; i++) {
        amun_model_unref(f.models[i]);
    }
    amun_dataset_unref(f.data);
    heap_end(f.ctx, &f.memory);
}

static amun_status run(void)
{
    return amun_ensemble_train(NULL, f.ensemble, f.data, NULL, 0, &f.opts, NULL);
}

static void check_unchanged(void)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        ck_unchanged(f.models[i], &f.before[i]);
    }
}

/* ---- options ----------------------------------------------------------------------------------
 */

typedef struct field {
    const char *name;
    void *place;
    bool real;
    double bad[3];
} field;

#define LOTOS_INT(name, low, high)                                                                 \
    {                                                                                              \
#name, &f.lotos.name, false,                                                               \
        {                                                                                          \
            (low) - 1, (high) + 1, (low)-1                                                         \
        }                                                                                          \
    }
#define REAL(struct, name, high)                                                                   \
    {                                                                                              \
#name, &f.struct.name, true,                                                               \
        {                                                                                          \
            -1e-9, (high)*1.0000001, NAN                                                           \
        }                                                                                          \
    }

START_TEST(test_ranges)
{
    const field fields[] = {
        LOTOS_INT(k, 1, 64),
        LOTOS_INT(match, 1, 4),
        LOTOS_INT(mean, 0, 1),
        LOTOS_INT(batchnorm, 0, 1),
        LOTOS_INT(block, 0, 1024),
        LOTOS_INT(power_iterations, 1, 1000),
        LOTOS_INT(initial_iterations, 1, 100000),
        LOTOS_INT(every, 1, 1000000),
        REAL(lotos, lambda, 1e6),
        REAL(lotos, mal, 1e6),
        REAL(lotos, batchnorm_lambda, 1e6),
        REAL(lotos, batchnorm_mal, 1e6),
        REAL(lotos, decay, 1.0),
        {"method", &f.opts.method, false, {0, 8, -1}},
        {"attack_steps", &f.opts.attack_steps, false, {-1, 10001, -1}},
        REAL(opts, attack_eps, 1.0),
        REAL(opts, attack_step, 1.0),
        REAL(opts, trades_beta, 1e6),
        REAL(opts, adp_alpha, 1e6),
        REAL(opts, adp_beta, 1e6),
        REAL(opts, gal_lambda, 1e6),
        REAL(opts, trs_cosine, 1e6),
        REAL(opts, trs_smooth, 1e6),
        {"trs_l2", &f.opts.trs_l2, false, {-1, 2, -1}},
        {"dverge_own", &f.opts.dverge_own, false, {-1, 2, -1}},
        {"lr", &f.train.lr, true, {-1.0, 1001.0, NAN}},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            const field *at = &fields[i];
            unsigned char kept[8];
            size_t size = at->real ? 8 : 4;
            int32_t whole = isnan(at->bad[k]) ? 0 : (int32_t)at->bad[k];
            memcpy(kept, at->place, size);
            memcpy(at->place, at->real ? (const void *)&at->bad[k] : &whole, size);
            ck_invalid(run(), at->name);
            memcpy(at->place, kept, size);
        }
    }
    check_unchanged();
    ck_ok(run());
}
END_TEST

START_TEST(test_layouts)
{
    unsigned char room[512];
    size_t *size = (size_t *)(void *)&f.opts.struct_size;
    *size = 0;
    ck_invalid(run(), "struct_size is 0");
    *size = sizeof f.opts;
    f.lotos.struct_size = sizeof f.lotos - 8;
    ck_invalid(run(), "amun_lotos_options: struct_size");
    f.lotos.struct_size = sizeof f.lotos;
    ck_invalid(amun_lotos_options_init(NULL, sizeof f.lotos), "NULL");
    ck_invalid(amun_ensemble_train_options_init(NULL, sizeof f.opts), "NULL");
    ck_invalid(amun_lotos_options_init(&f.lotos, 7), "7");
    ck_invalid(amun_ensemble_train_options_init(&f.opts, 7), "7");
    ck_ok(amun_lotos_options_init((amun_lotos_options *)(void *)room, sizeof f.lotos + 16));
    f.opts.lotos = (const amun_lotos_options *)(const void *)room;
    f.train.epochs = 0;
    ck_ok(run());
    room[sizeof f.lotos] = 1;
    ck_fails(run(), AMUN_ERROR_UNSUPPORTED, "newer");
    check_unchanged();
}
END_TEST

START_TEST(test_handles)
{
    ck_invalid(amun_ensemble_train(NULL, NULL, f.data, NULL, 0, &f.opts, NULL), "ensemble");
    ck_invalid(amun_ensemble_train(NULL, f.ensemble, NULL, NULL, 0, &f.opts, NULL), "data");
    ck_invalid(amun_ensemble_train(NULL, (amun_ensemble *)(void *)f.models[0], f.data, NULL, 0,
                                   &f.opts, NULL),
               "ensemble");
    check_unchanged();
}
END_TEST

/* ---- memory -----------------------------------------------------------------------------------
 */

static const amun_ensemble_method methods[] = {AMUN_ENSEMBLE_PLAIN, AMUN_ENSEMBLE_PGD_AT,
                                               AMUN_ENSEMBLE_TRADES, AMUN_ENSEMBLE_ADP};

START_TEST(test_out_of_memory)
{
    bool more = true;
    int64_t failures = 0;
    f.opts.method = methods[_i];
    f.lotos.initial_iterations = 2;
    for (int64_t n = 1; more; n = n < 100 ? n + 1 : n + n / 6) {
        f.memory.fail_count = n % 3 == 0 ? INT64_MAX / 2 : 1; /* one, or all from there on */
        f.memory.fail_at = f.memory.calls + n;
        amun_status status = run();
        more = f.memory.calls >= f.memory.fail_at;
        f.memory.fail_at = 0;
        if (status != AMUN_OK) {
            failures++;
            ck_assert_msg(status == AMUN_ERROR_OUT_OF_MEMORY, "allocation %lld: %s: %s",
                          (long long)n, amun_status_string(status), amun_last_error_message());
            check_unchanged();
        } else {
            for (size_t i = 0; i < MEMBERS; i++) {
                tiny_read(&f.before[i], f.models[i]);
            }
        }
    }
    ck_assert_int_gt(failures, 40);
    ck_ok(run());
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ensemble");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 250);
    tcase_add_test(tc, test_ranges);
    tcase_add_test(tc, test_layouts);
    tcase_add_test(tc, test_handles);
    tcase_add_loop_test(tc, test_out_of_memory, 0, sizeof methods / sizeof methods[0]);
    return api_main("ensemble", (TCase *[]){tc, NULL});
}
