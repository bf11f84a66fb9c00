/* clip_options.c - options of the clipper: defaults and ranges. */
#include <float.h>

#include "spectral/clipper.h"

static const char *const method_names[] = {"block",       "legacy",        "scale",
                                           "miyato",      "gouk",          "sedghi",
                                           "senderovich", "delattre_2023", "delattre_2024"};
static const char *const batchnorm_names[] = {"leave", "hard", "soft", "gouk", "composite"};

static const amun_clip_options default_options = {
    .struct_size = sizeof(amun_clip_options),
    .method = AMUN_CLIP_BLOCK,
    .batchnorm = AMUN_CLIP_BATCHNORM_LEAVE,
    .target = 1.0,
    .batchnorm_target = 1.0,
    .tol = 1e-3,
    .linear = 1,
    .exact = 0,
    .final_scale = 1,
    .max_rounds = 400,
    .block = 0,
    .every = 100,
    .delay = 0,
    .power_iterations = 1,
    .rounds = 1,
    .inner_steps = 5,
    .iterations = 0,
    .eta = 0.0,
    .penalty = 0.1,
    .seed = 0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD_ENUM(amun_clip_options, method, AMUN_CLIP_BLOCK, AMUN_CLIP_DELATTRE_2024,
                     method_names),
    AMUN__FIELD_ENUM(amun_clip_options, batchnorm, AMUN_CLIP_BATCHNORM_LEAVE,
                     AMUN_CLIP_BATCHNORM_COMPOSITE, batchnorm_names),
    AMUN__FIELD(amun_clip_options, target, AMUN__FIELD_F64, DBL_MIN, 1e6),
    AMUN__FIELD(amun_clip_options, batchnorm_target, AMUN__FIELD_F64, DBL_MIN, 1e6),
    AMUN__FIELD(amun_clip_options, tol, AMUN__FIELD_F64, DBL_MIN, 1),
    AMUN__FIELD(amun_clip_options, linear, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_clip_options, exact, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_clip_options, final_scale, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_clip_options, max_rounds, AMUN__FIELD_I32, 1, 100000),
    AMUN__FIELD(amun_clip_options, block, AMUN__FIELD_I32, 0, 128),
    AMUN__FIELD(amun_clip_options, every, AMUN__FIELD_I32, 1, 1000000),
    AMUN__FIELD(amun_clip_options, delay, AMUN__FIELD_I32, 0, 1000000000),
    AMUN__FIELD(amun_clip_options, power_iterations, AMUN__FIELD_I32, 0, 1000),
    AMUN__FIELD(amun_clip_options, rounds, AMUN__FIELD_I32, 1, 1000),
    AMUN__FIELD(amun_clip_options, inner_steps, AMUN__FIELD_I32, 1, 1000),
    AMUN__FIELD(amun_clip_options, iterations, AMUN__FIELD_I32, 0, 1000),
    AMUN__FIELD(amun_clip_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_clip_options, eta, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_clip_options, penalty, AMUN__FIELD_F64, 0, 1e6),
    AMUN__FIELD(amun_clip_options, seed, AMUN__FIELD_U64, 0, INFINITY),
};
const amun__options_table amun__clip_options_table = {
    .name = "amun_clip_options",
    .size = sizeof(amun_clip_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_clip_options_init(amun_clip_options *opts, size_t size)
{
    return amun__options_init(&amun__clip_options_table, opts, size);
}

amun_status amun__clip_options_read(amun_clip_options *full, const amun_clip_options *opts)
{
    AMUN__CHECK(amun__options_read(&amun__clip_options_table, full, opts));
    if (full->batchnorm == AMUN_CLIP_BATCHNORM_COMPOSITE && full->method > AMUN_CLIP_SCALE) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "amun_clip_options.batchnorm: composite goes with the methods block, "
                          "legacy and scale, not with %s",
                          method_names[full->method - 1]);
    }
    if (full->exact != 0 && full->method > AMUN_CLIP_SCALE) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "amun_clip_options.exact goes with the methods block, legacy and scale, "
                          "not with %s",
                          method_names[full->method - 1]);
    }
    return AMUN_OK;
}
