/* options.c - training options: defaults, ranges, and the first look at what a caller gives. */
#include <float.h>

#include "train/train.h"

static const char *const optimiser_names[] = {"sgd", "adam"};
static const char *const schedule_names[] = {"constant", "step", "cosine", "onecycle"};

/* The largest double below 1: the end of a half-open range. */
#define BELOW_ONE (1.0 - DBL_EPSILON / 2.0)

/* The recipe of the base models in arXiv 2503.00917, appendix C. */
static const amun_train_options default_options = {
    .struct_size = sizeof(amun_train_options),
    .epochs = 200,
    .batch = 128,
    .lr = 0.1,
    .momentum = 0.9,
    .weight_decay = 5e-4,
    .nesterov = 0,
    .schedule = AMUN_SCHEDULE_STEP,
    .step_epochs = 40,
    .augment_pad = 4,
    .gamma = 0.1,
    .warmup = 0.25,
    .final_factor = 0.0,
    .label_smoothing = 0.0,
    .augment_flip = 1,
    .checkpoint_every = 1,
    .seed = 0,
    .checkpoint = NULL,
    .clip = NULL,
    .optimiser = AMUN_OPTIMISER_SGD,
    .augment_cutout = 0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_train_options, epochs, AMUN__FIELD_I32, 0, 100000),
    AMUN__FIELD(amun_train_options, batch, AMUN__FIELD_I32, 1, 65536),
    AMUN__FIELD(amun_train_options, lr, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_train_options, momentum, AMUN__FIELD_F64, 0, BELOW_ONE),
    AMUN__FIELD(amun_train_options, weight_decay, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_train_options, nesterov, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD_ENUM(amun_train_options, schedule, AMUN_SCHEDULE_CONSTANT, AMUN_SCHEDULE_ONECYCLE,
                     schedule_names),
    AMUN__FIELD(amun_train_options, step_epochs, AMUN__FIELD_I32, 1, 100000),
    AMUN__FIELD(amun_train_options, augment_pad, AMUN__FIELD_I32, 0, 64),
    AMUN__FIELD(amun_train_options, gamma, AMUN__FIELD_F64, DBL_MIN, 1),
    AMUN__FIELD(amun_train_options, warmup, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_train_options, final_factor, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_train_options, label_smoothing, AMUN__FIELD_F64, 0, BELOW_ONE),
    AMUN__FIELD(amun_train_options, augment_flip, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_train_options, checkpoint_every, AMUN__FIELD_I32, 1, 100000),
    AMUN__FIELD(amun_train_options, seed, AMUN__FIELD_U64, 0, INFINITY),
    AMUN__FIELD(amun_train_options, checkpoint, AMUN__FIELD_STRING, 0, 0),
    AMUN__FIELD(amun_train_options, clip, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD_ENUM(amun_train_options, optimiser, AMUN_OPTIMISER_SGD, AMUN_OPTIMISER_ADAM,
                     optimiser_names),
    AMUN__FIELD(amun_train_options, augment_cutout, AMUN__FIELD_I32, 0, 1024),
};
/* Before there was `clip`, and `optimiser`. */
static const size_t released_sizes[] = {112, 120};
const amun__options_table amun__train_options_table = {
    .name = "amun_train_options",
    .size = sizeof(amun_train_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
    .released_sizes = released_sizes,
    .released_count = sizeof released_sizes / sizeof released_sizes[0],
};

amun_status amun_train_options_init(amun_train_options *opts, size_t size)
{
    return amun__options_init(&amun__train_options_table, opts, size);
}

amun_status amun__train_check_shape(const amun_model *model, const amun_dataset *data,
                                    const char *what)
{
    int64_t c, h, w, classes;
    AMUN__CHECK(amun__model_input(model, &c, &h, &w, &classes));
    amun__dataset_info info;
    amun__dataset_info_get(data, &info);
    if (info.channels != c || info.height != h || info.width != w) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "%s: images are %lldx%lldx%lld, the model expects %lldx%lldx%lld", what,
                          (long long)info.channels, (long long)info.height, (long long)info.width,
                          (long long)c, (long long)h, (long long)w);
    }
    return AMUN_OK;
}
