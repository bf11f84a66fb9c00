/* rival_options.c - defaults and ranges of the rivals' constants. */
#include <float.h>

#include "unlearn/unlearn.h"

static const amun_rival_options default_options = {
    .struct_size = sizeof(amun_rival_options),
    .any_label = 0,
    .forget_first = 0,
    .ascent_norm = 0.0,
    .ascent_floor = 0.0,
    .retain_weight = 0.95,
    .boundary_step = 0.1,
    .l1 = 1e-3,
    .scrub_temperature = 4.0,
    .scrub_gamma = 0.99,
    .scrub_alpha = 0.001,
    .scrub_ascent_epochs = 2,
    .scrub_rewind = 0,
    .ssd_alpha = 10.0,
    .ssd_lambda = 1.0,
    .svd_retain_alpha = 100.0,
    .svd_forget_alpha = 3.0,
    .svd_samples = 900,
    .svd_patches = 10000,
    .teacher_share = 0.3,
    .teacher_temperature = 1.0,
    .unsir_noise = 256,
    .unsir_noise_steps = 40,
    .unsir_noise_lr = 0.1,
    .unsir_noise_penalty = 0.1,
    .unsir_copies = 20,
    .unsir_per_class = 1000,
    .unsir_repair_lr = 0.01,
    .last_blocks = 1,
    .reserved = 0,
};

#define I32(field, low, high) AMUN__FIELD(amun_rival_options, field, AMUN__FIELD_I32, low, high)
#define F64(field, low, high) AMUN__FIELD(amun_rival_options, field, AMUN__FIELD_F64, low, high)
static const amun__field option_fields[] = {
    I32(any_label, 0, 1),
    I32(forget_first, 0, 1),
    F64(ascent_norm, 0, 1e6),
    F64(ascent_floor, 0, 100),
    F64(retain_weight, 0, 1),
    F64(boundary_step, DBL_MIN, 1),
    F64(l1, 0, 10),
    F64(scrub_temperature, 0.01, 1000),
    F64(scrub_gamma, 0, 1000),
    F64(scrub_alpha, 0, 1000),
    I32(scrub_ascent_epochs, 0, 100000),
    I32(scrub_rewind, 0, 1),
    F64(ssd_alpha, 0, 1e9),
    F64(ssd_lambda, 0, 1e9),
    F64(svd_retain_alpha, 0, 1e9),
    F64(svd_forget_alpha, 0, 1e9),
    I32(svd_samples, 1, 1e6),
    I32(svd_patches, 1, 1e7),
    F64(teacher_share, DBL_MIN, 1),
    F64(teacher_temperature, 0.01, 1000),
    I32(unsir_noise, 1, 65536),
    I32(unsir_noise_steps, 0, 100000),
    F64(unsir_noise_lr, DBL_MIN, 1000),
    F64(unsir_noise_penalty, 0, 1000),
    I32(unsir_copies, 1, AMUN__PART_MAX_REPEAT),
    I32(unsir_per_class, 1, 1e6),
    F64(unsir_repair_lr, DBL_MIN, 1000),
    I32(last_blocks, 0, 100000),
    AMUN__FIELD(amun_rival_options, reserved, AMUN__FIELD_RESERVED, 0, 0),
};
const amun__options_table amun__rival_options_table = {
    .name = "amun_rival_options",
    .size = sizeof(amun_rival_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_rival_options_init(amun_rival_options *opts, size_t size)
{
    return amun__options_init(&amun__rival_options_table, opts, size);
}
