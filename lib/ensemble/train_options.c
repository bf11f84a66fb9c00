/* train_options.c - options of joint training and of LOTOS: defaults, ranges, what was published.
 */
#include "ensemble/train.h"

static const char *const method_names[] = {"plain", "pgd_at", "trades", "adp",
                                           "gal",   "trs",    "dverge"};
static const char *const match_names[] = {"by_index", "first_only", "by_input_shape", "pairs"};

enum { MOST_BLOCK = 1024 };
#define LARGEST 1e6

/* ---- LOTOS ------------------------------------------------------------------------------------
 */

static const amun_lotos_options lotos_defaults = {
    .struct_size = sizeof(amun_lotos_options),
    .k = 1,
    .match = AMUN_LOTOS_MATCH_BY_INDEX,
    .mean = 0,
    .batchnorm = 0,
    .lambda = 0.05,
    .mal = 0.8,
    .batchnorm_lambda = 0.05,
    .batchnorm_mal = 0.8,
    .decay = 0.01,
    .block = 0,
    .power_iterations = 1,
    .initial_iterations = 100,
    .every = 1,
    .pairs = NULL,
    .pair_count = 0,
    .seed = 0,
};
static const amun__field lotos_fields[] = {
    AMUN__FIELD(amun_lotos_options, k, AMUN__FIELD_I32, 1, 64),
    AMUN__FIELD_ENUM(amun_lotos_options, match, AMUN_LOTOS_MATCH_BY_INDEX, AMUN_LOTOS_MATCH_PAIRS,
                     match_names),
    AMUN__FIELD(amun_lotos_options, mean, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_lotos_options, batchnorm, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_lotos_options, lambda, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_lotos_options, mal, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_lotos_options, batchnorm_lambda, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_lotos_options, batchnorm_mal, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_lotos_options, decay, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_lotos_options, block, AMUN__FIELD_I32, 0, MOST_BLOCK),
    AMUN__FIELD(amun_lotos_options, power_iterations, AMUN__FIELD_I32, 1, 1000),
    AMUN__FIELD(amun_lotos_options, initial_iterations, AMUN__FIELD_I32, 1, 100000),
    AMUN__FIELD(amun_lotos_options, every, AMUN__FIELD_I32, 1, 1000000),
    AMUN__FIELD(amun_lotos_options, pairs, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_lotos_options, pair_count, AMUN__FIELD_SIZE, 0, 1e6),
    AMUN__FIELD(amun_lotos_options, seed, AMUN__FIELD_U64, 0, INFINITY),
};
const amun__options_table amun__lotos_options_table = {
    .name = "amun_lotos_options",
    .size = sizeof(amun_lotos_options),
    .defaults = &lotos_defaults,
    .fields = lotos_fields,
    .field_count = sizeof lotos_fields / sizeof lotos_fields[0],
};

amun_status amun_lotos_options_init(amun_lotos_options *opts, size_t size)
{
    return amun__options_init(&amun__lotos_options_table, opts, size);
}

amun_status amun__lotos_options_read(amun_lotos_options *full, const amun_lotos_options *opts)
{
    AMUN__CHECK(amun__options_read(&amun__lotos_options_table, full, opts));
    if (full->block != 0 && full->block < full->k) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_lotos_options.block: %d vectors cannot hold k, which is %d",
                          full->block, full->k);
    }
    return AMUN_OK;
}

/* ---- methods ----------------------------------------------------------------------------------
 */

static const amun_ensemble_train_options train_defaults = {
    .struct_size = sizeof(amun_ensemble_train_options),
    .method = AMUN_ENSEMBLE_PLAIN,
    .attack_steps = 0,
    .train = NULL,
    .lotos = NULL,
    .attack_eps = 0.0,
    .attack_step = 0.0,
    .trades_beta = 6.0,
    .adp_alpha = 2.0,
    .adp_beta = 0.5,
    .gal_lambda = 0.5,
    .trs_cosine = 40.0,
    .trs_smooth = 2.5 / (128.0 * 128.0),
    .trs_l2 = 0,
    .dverge_own = 0,
    .seed = 0,
};
static const amun__field train_fields[] = {
    AMUN__FIELD_ENUM(amun_ensemble_train_options, method, AMUN_ENSEMBLE_PLAIN, AMUN_ENSEMBLE_DVERGE,
                     method_names),
    AMUN__FIELD(amun_ensemble_train_options, attack_steps, AMUN__FIELD_I32, 0, 10000),
    AMUN__FIELD(amun_ensemble_train_options, train, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_ensemble_train_options, lotos, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_ensemble_train_options, attack_eps, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_ensemble_train_options, attack_step, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_ensemble_train_options, trades_beta, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_ensemble_train_options, adp_alpha, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_ensemble_train_options, adp_beta, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_ensemble_train_options, gal_lambda, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_ensemble_train_options, trs_cosine, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_ensemble_train_options, trs_smooth, AMUN__FIELD_F64, 0, LARGEST),
    AMUN__FIELD(amun_ensemble_train_options, trs_l2, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_ensemble_train_options, dverge_own, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_ensemble_train_options, seed, AMUN__FIELD_U64, 0, INFINITY),
};
const amun__options_table amun__ensemble_train_options_table = {
    .name = "amun_ensemble_train_options",
    .size = sizeof(amun_ensemble_train_options),
    .defaults = &train_defaults,
    .fields = train_fields,
    .field_count = sizeof train_fields / sizeof train_fields[0],
};

amun_status amun_ensemble_train_options_init(amun_ensemble_train_options *opts, size_t size)
{
    return amun__options_init(&amun__ensemble_train_options_table, opts, size);
}

/* What a zero stands for. A step size of 0 is eps / 3 for TRS. */
static const struct published {
    double eps, step;
    int32_t steps;
} published[] = {
    [AMUN_ENSEMBLE_PGD_AT] = {8.0 / 255.0, 2.0 / 255.0, 10},
    [AMUN_ENSEMBLE_TRADES] = {0.031, 0.007, 10},
    [AMUN_ENSEMBLE_TRS] = {8.0 / 255.0, 0.0, 6},
    [AMUN_ENSEMBLE_DVERGE] = {0.07, 0.007, 10},
};

amun_status amun__ensemble_train_options_read(amun_ensemble_train_options *full,
                                              const amun_ensemble_train_options *opts)
{
    AMUN__CHECK(amun__options_read(&amun__ensemble_train_options_table, full, opts));
    const struct published *p = &published[full->method];
    full->attack_eps = full->attack_eps > 0.0 ? full->attack_eps : p->eps;
    full->attack_steps = full->attack_steps > 0 ? full->attack_steps : p->steps;
    full->attack_step = full->attack_step > 0.0             ? full->attack_step
                        : full->method == AMUN_ENSEMBLE_TRS ? full->attack_eps / 3.0
                                                            : p->step;
    return AMUN_OK;
}
