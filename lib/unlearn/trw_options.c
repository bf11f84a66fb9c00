/* trw_options.c - defaults and ranges of tilted reweighting. */
#include <float.h>

#include "unlearn/unlearn.h"

static const char *const score_names[] = {"softmax", "cosine"};
static const char *const control_names[] = {"none", "permuted", "reversed", "uniform", "ranks"};

static const amun_trw_options default_options = {
    .struct_size = sizeof(amun_trw_options),
    .beta = 10.0,
    .temperature = 0.1,
    .energy = 0.95,
    .components = 0,
    .score = AMUN_TRW_SCORE_SOFTMAX,
    .bias = 0,
    .balanced = 0,
    .frozen_statistics = 0,
    .neighbours = 0,
    .kappa = 0.0,
    .forget_floor = 0.0,
    .forget_weight = 1.0,
    .noise = 0.0,
    .control = AMUN_TRW_CONTROL_NONE,
    .stage = 0,
    .noise_seed = 0,
};

#define I32(field, low, high) AMUN__FIELD(amun_trw_options, field, AMUN__FIELD_I32, low, high)
#define F64(field, low, high) AMUN__FIELD(amun_trw_options, field, AMUN__FIELD_F64, low, high)
static const amun__field option_fields[] = {
    F64(beta, 0, 1000),
    F64(temperature, 1e-3, 1000),
    F64(energy, DBL_MIN, 1),
    I32(components, 0, 65536),
    AMUN__FIELD_ENUM(amun_trw_options, score, AMUN_TRW_SCORE_SOFTMAX, AMUN_TRW_SCORE_COSINE,
                     score_names),
    I32(bias, 0, 1),
    I32(balanced, 0, 1),
    I32(frozen_statistics, 0, 1),
    I32(neighbours, 0, 100000),
    F64(kappa, 0, 1),
    F64(forget_floor, 0, 0.1),
    F64(forget_weight, 0, 1000),
    F64(noise, 0, 100),
    AMUN__FIELD_ENUM(amun_trw_options, control, AMUN_TRW_CONTROL_NONE, AMUN_TRW_CONTROL_RANKS,
                     control_names),
    I32(stage, 0, 64),
    AMUN__FIELD(amun_trw_options, noise_seed, AMUN__FIELD_U64, 0, INFINITY),
};
const amun__options_table amun__trw_options_table = {
    .name = "amun_trw_options",
    .size = sizeof(amun_trw_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_trw_options_init(amun_trw_options *opts, size_t size)
{
    return amun__options_init(&amun__trw_options_table, opts, size);
}
