/* options.c - the option structs of the attacks: defaults, ranges, names. */
#include <inttypes.h>

#include "attack/attack_private.h"

enum { MAX_BATCH = 4096 };
#define MAX_SEED 18446744073709551615.0

/* ---- options --------------------------------------------------------------------------------- */

static const char *const norm_names[] = {"l2", "linf"};
static const char *const method_names[] = {"epsilon", "ddn", "fmn"};
static const char *const loss_names[] = {"ce", "dlr", "dlr_targeted"};
const char *const amun__attack_policy_names[4] = {"leave_out", "keep_in_df", "error", "retry"};

#define TABLE(type, default_options, table_fields)                                                 \
    {                                                                                              \
        .name = #type, .size = sizeof(type), .defaults = &(default_options),                       \
        .fields = (table_fields), .field_count = sizeof(table_fields) / sizeof(table_fields)[0],   \
    }

static const amun_fgsm_options fgsm_defaults = {
    .struct_size = sizeof(amun_fgsm_options), .eps = 8.0 / 255.0, .batch = 128};
static const amun__field fgsm_fields[] = {
    AMUN__FIELD(amun_fgsm_options, eps, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_fgsm_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_fgsm_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table fgsm_table = TABLE(amun_fgsm_options, fgsm_defaults, fgsm_fields);

static const amun_ffgsm_options ffgsm_defaults = {.struct_size = sizeof(amun_ffgsm_options),
                                                  .eps = 8.0 / 255.0,
                                                  .step = 10.0 / 255.0,
                                                  .batch = 128};
static const amun__field ffgsm_fields[] = {
    AMUN__FIELD(amun_ffgsm_options, eps, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_ffgsm_options, step, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_ffgsm_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
    AMUN__FIELD(amun_ffgsm_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_ffgsm_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table ffgsm_table =
    TABLE(amun_ffgsm_options, ffgsm_defaults, ffgsm_fields);

static const amun_pgd_options pgd_linf_defaults = {.struct_size = sizeof(amun_pgd_options),
                                                   .eps = 8.0 / 255.0,
                                                   .step = 2.0 / 255.0,
                                                   .steps = 10,
                                                   .random_start = 1,
                                                   .batch = 128};
static const amun_pgd_options pgd_l2_defaults = {.struct_size = sizeof(amun_pgd_options),
                                                 .eps = 1.0,
                                                 .step = 0.2,
                                                 .steps = 10,
                                                 .random_start = 1,
                                                 .batch = 128};
/* The L2 attack knows no legacy_normalised_clamp. */
#define PGD_FIELDS(most_legacy)                                                                    \
    {                                                                                              \
        AMUN__FIELD(amun_pgd_options, eps, AMUN__FIELD_F64, 0, 1000),                              \
            AMUN__FIELD(amun_pgd_options, step, AMUN__FIELD_F64, 0, 1000),                         \
            AMUN__FIELD(amun_pgd_options, steps, AMUN__FIELD_I32, 1, 10000),                       \
            AMUN__FIELD(amun_pgd_options, random_start, AMUN__FIELD_I32, 0, 1),                    \
            AMUN__FIELD(amun_pgd_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),                     \
            AMUN__FIELD(amun_pgd_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),                   \
            AMUN__FIELD(amun_pgd_options, legacy_normalised_clamp, AMUN__FIELD_I32, 0,             \
                        most_legacy),                                                              \
    }
static const amun__field pgd_linf_fields[] = PGD_FIELDS(1);
static const amun__field pgd_l2_fields[] = PGD_FIELDS(0);
static const amun__options_table pgd_linf_table =
    TABLE(amun_pgd_options, pgd_linf_defaults, pgd_linf_fields);
static const amun__options_table pgd_l2_table =
    TABLE(amun_pgd_options, pgd_l2_defaults, pgd_l2_fields);

static const amun_search_options search_defaults = {.struct_size = sizeof(amun_search_options),
                                                    .norm = AMUN_NORM_L2,
                                                    .steps = 50,
                                                    .eps0 = 0.04,
                                                    .growth = 2.0,
                                                    .step_divisor = 10.0,
                                                    .margin_fallback = 1,
                                                    .on_failure = AMUN_FAILURE_LEAVE_OUT,
                                                    .batch = 128,
                                                    .method = AMUN_SEARCH_EPSILON,
                                                    .pilot_eps = 0.01,
                                                    .pilot_percentile = 50.0,
                                                    .init_norm = 1.0,
                                                    .gamma = 0.05,
                                                    .gamma_final = 0.001,
                                                    .alpha = 1.0,
                                                    .alpha_final = 0.01};
static const amun__field search_fields[] = {
    AMUN__FIELD_ENUM(amun_search_options, norm, AMUN_NORM_L2, AMUN_NORM_LINF, norm_names),
    AMUN__FIELD(amun_search_options, steps, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD(amun_search_options, eps0, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_search_options, growth, AMUN__FIELD_F64, 1, 100),
    AMUN__FIELD(amun_search_options, step_divisor, AMUN__FIELD_F64, 1, 10000),
    AMUN__FIELD(amun_search_options, eps_max, AMUN__FIELD_F64, 0, 100000),
    AMUN__FIELD(amun_search_options, restart, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_search_options, margin_fallback, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD_ENUM(amun_search_options, on_failure, AMUN_FAILURE_LEAVE_OUT, AMUN_FAILURE_RETRY,
                     amun__attack_policy_names),
    AMUN__FIELD(amun_search_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_search_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
    AMUN__FIELD_ENUM(amun_search_options, method, AMUN_SEARCH_EPSILON, AMUN_SEARCH_FMN,
                     method_names),
    AMUN__FIELD(amun_search_options, pilot, AMUN__FIELD_I32, 0, 1000000),
    AMUN__FIELD(amun_search_options, pilot_eps, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_search_options, pilot_percentile, AMUN__FIELD_F64, 0, 100),
    AMUN__FIELD(amun_search_options, init_norm, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_search_options, gamma, AMUN__FIELD_F64, 0, 0.9),
    AMUN__FIELD(amun_search_options, gamma_final, AMUN__FIELD_F64, 0, 0.9),
    AMUN__FIELD(amun_search_options, alpha, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_search_options, alpha_final, AMUN__FIELD_F64, 0, 1000),
};
/* Before `method`. */
static const size_t search_released[] = {72};
static const amun__options_table search_table = {
    .name = "amun_search_options",
    .size = sizeof(amun_search_options),
    .defaults = &search_defaults,
    .fields = search_fields,
    .field_count = sizeof search_fields / sizeof search_fields[0],
    .released_sizes = search_released,
    .released_count = sizeof search_released / sizeof search_released[0],
};

static const amun_mim_options mim_defaults = {.struct_size = sizeof(amun_mim_options),
                                              .eps = 8.0 / 255.0,
                                              .step = 2.0 / 255.0,
                                              .decay = 1.0,
                                              .steps = 10,
                                              .batch = 128};
static const amun__field mim_fields[] = {
    AMUN__FIELD(amun_mim_options, eps, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_mim_options, step, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_mim_options, decay, AMUN__FIELD_F64, 0, 10),
    AMUN__FIELD(amun_mim_options, steps, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD(amun_mim_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
};
static const amun__options_table mim_table = TABLE(amun_mim_options, mim_defaults, mim_fields);

static const amun_apgd_options apgd_defaults = {.struct_size = sizeof(amun_apgd_options),
                                                .norm = AMUN_NORM_LINF,
                                                .loss = AMUN_ATTACK_LOSS_CE,
                                                .eps = 8.0 / 255.0,
                                                .rho = 0.75,
                                                .momentum = 0.75,
                                                .steps = 100,
                                                .restarts = 1,
                                                .targets = 9,
                                                .random_start = 1,
                                                .batch = 128};
static const amun__field apgd_fields[] = {
    AMUN__FIELD_ENUM(amun_apgd_options, norm, AMUN_NORM_L2, AMUN_NORM_LINF, norm_names),
    AMUN__FIELD_ENUM(amun_apgd_options, loss, AMUN_ATTACK_LOSS_CE, AMUN_ATTACK_LOSS_DLR_TARGETED,
                     loss_names),
    AMUN__FIELD(amun_apgd_options, eps, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_apgd_options, rho, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_apgd_options, momentum, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_apgd_options, steps, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD(amun_apgd_options, restarts, AMUN__FIELD_I32, 1, 100),
    AMUN__FIELD(amun_apgd_options, targets, AMUN__FIELD_I32, 1, AMUN__APGD_TARGETS_MAX),
    AMUN__FIELD(amun_apgd_options, random_start, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_apgd_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
    AMUN__FIELD(amun_apgd_options, stop_at_flip, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_apgd_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
};
static const amun__options_table apgd_table = TABLE(amun_apgd_options, apgd_defaults, apgd_fields);

static const amun_square_options square_defaults = {.struct_size = sizeof(amun_square_options),
                                                    .norm = AMUN_NORM_LINF,
                                                    .queries = 5000,
                                                    .eps = 8.0 / 255.0,
                                                    .p_init = 0.8,
                                                    .batch = 128};
static const amun__field square_fields[] = {
    AMUN__FIELD_ENUM(amun_square_options, norm, AMUN_NORM_L2, AMUN_NORM_LINF, norm_names),
    AMUN__FIELD(amun_square_options, queries, AMUN__FIELD_I32, 1, 1000000),
    AMUN__FIELD(amun_square_options, eps, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_square_options, p_init, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_square_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
    AMUN__FIELD(amun_square_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_square_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table square_table =
    TABLE(amun_square_options, square_defaults, square_fields);

static const amun_standard_options standard_defaults = {.struct_size =
                                                            sizeof(amun_standard_options),
                                                        .norm = AMUN_NORM_LINF,
                                                        .steps = 100,
                                                        .eps = 8.0 / 255.0,
                                                        .targets = 9,
                                                        .queries = 5000,
                                                        .batch = 128};
static const amun__field standard_fields[] = {
    AMUN__FIELD_ENUM(amun_standard_options, norm, AMUN_NORM_L2, AMUN_NORM_LINF, norm_names),
    AMUN__FIELD(amun_standard_options, steps, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD(amun_standard_options, eps, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_standard_options, targets, AMUN__FIELD_I32, 1, AMUN__APGD_TARGETS_MAX),
    AMUN__FIELD(amun_standard_options, queries, AMUN__FIELD_I32, 1, 1000000),
    AMUN__FIELD(amun_standard_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
    AMUN__FIELD(amun_standard_options, batch, AMUN__FIELD_I32, 1, MAX_BATCH),
    AMUN__FIELD(amun_standard_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table standard_table =
    TABLE(amun_standard_options, standard_defaults, standard_fields);

amun_status amun_fgsm_options_init(amun_fgsm_options *opts, size_t size)
{
    return amun__options_init(&fgsm_table, opts, size);
}

amun_status amun_ffgsm_options_init(amun_ffgsm_options *opts, size_t size)
{
    return amun__options_init(&ffgsm_table, opts, size);
}

amun_status amun_pgd_linf_options_init(amun_pgd_options *opts, size_t size)
{
    return amun__options_init(&pgd_linf_table, opts, size);
}

amun_status amun_pgd_l2_options_init(amun_pgd_options *opts, size_t size)
{
    return amun__options_init(&pgd_l2_table, opts, size);
}

amun_status amun_search_options_init(amun_search_options *opts, size_t size)
{
    return amun__options_init(&search_table, opts, size);
}

amun_status amun_mim_options_init(amun_mim_options *opts, size_t size)
{
    return amun__options_init(&mim_table, opts, size);
}

amun_status amun_apgd_options_init(amun_apgd_options *opts, size_t size)
{
    return amun__options_init(&apgd_table, opts, size);
}

amun_status amun_square_options_init(amun_square_options *opts, size_t size)
{
    return amun__options_init(&square_table, opts, size);
}

amun_status amun_standard_options_init(amun_standard_options *opts, size_t size)
{
    return amun__options_init(&standard_table, opts, size);
}

static const struct {
    const char *name;
    const amun__options_table *table;
} kinds[] = {
    [AMUN__ATTACK_FGSM] = {"fgsm", &fgsm_table},
    [AMUN__ATTACK_FFGSM] = {"ffgsm", &ffgsm_table},
    [AMUN__ATTACK_PGD_LINF] = {"pgd_linf", &pgd_linf_table},
    [AMUN__ATTACK_PGD_L2] = {"pgd_l2", &pgd_l2_table},
    [AMUN__ATTACK_SEARCH] = {"search", &search_table},
    [AMUN__ATTACK_MIM] = {"mim", &mim_table},
    [AMUN__ATTACK_APGD] = {"apgd", &apgd_table},
    [AMUN__ATTACK_SQUARE] = {"square", &square_table},
    [AMUN__ATTACK_STANDARD] = {"standard", &standard_table},
};

const char *amun__attack_name(amun__attack_kind kind)
{
    return kinds[kind].name;
}

const amun__options_table *amun__attack_table(amun__attack_kind kind)
{
    return kinds[kind].table;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static amun_status check_positive(const char *name, double value)
{
    return value > 0.0
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                            "amun_search_options.%s: %g is not greater than 0", name, value);
}

static amun_status check_below_cap(const amun_search_options *o, const char *name, double value)
{
    return o->eps_max == 0.0 || value <= o->eps_max
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                            "amun_search_options.eps_max: %g is below %s = %g", o->eps_max, name,
                            value);
}

static amun_status check_method(const amun_search_options *o)
{
    const char *name = method_names[o->method - AMUN_SEARCH_EPSILON];
    if (o->method == AMUN_SEARCH_EPSILON) {
        return AMUN_OK;
    }
    if (o->norm != AMUN_NORM_L2) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_search_options.norm: linf, but method %s knows l2 only", name);
    }
    if (o->pilot != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_search_options.pilot: %" PRId32
                          ", but method %s has no first radius to choose",
                          o->pilot, name);
    }
    return AMUN_OK;
}

static amun_status check_search(const amun_search_options *o)
{
    AMUN__CHECK(check_positive("eps0", o->eps0));
    AMUN__CHECK(check_positive("pilot_eps", o->pilot_eps));
    AMUN__CHECK(check_positive("init_norm", o->init_norm));
    AMUN__CHECK(check_positive("alpha", o->alpha));
    if (o->growth <= 1.0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_search_options.growth: %g is not greater than 1", o->growth);
    }
    AMUN__CHECK(check_below_cap(o, "eps0", o->eps0));
    if (o->pilot > 0) {
        AMUN__CHECK(check_below_cap(o, "pilot_eps", o->pilot_eps));
    }
    return check_method(o);
}

amun_status amun__attack_check(const amun_attack *attack)
{
    if (attack->kind == AMUN__ATTACK_SEARCH) {
        return check_search(&attack->options.search);
    }
    if (attack->kind == AMUN__ATTACK_SQUARE && !(attack->options.square.p_init > 0.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_square_options.p_init: %g is not greater than 0",
                          attack->options.square.p_init);
    }
    return AMUN_OK;
}
