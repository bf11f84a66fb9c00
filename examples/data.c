/* data.c - the data sets, forget sets and training recipes of the example programs. */
#include <ctype.h>
#include <errno.h>
#include <unistd.h>

#include "common.h"

enum { DIGITS = 1797, DIGITS_TRAIN = 900 };

/* ---- data sets ------------------------------------------------------------------------------- */

static void open_digits(ex_data *data, amun_context *ctx, const char *folder)
{
    amun_dataset *all = NULL;
    int64_t order[DIGITS];
    char *images = ex_format("%s/digits-images.idx", folder);
    char *labels = ex_format("%s/digits-labels.idx", folder);
    ex_check(amun_dataset_open_idx(&all, ctx, images, labels));
    if (amun_dataset_count(all) != DIGITS) {
        ex_usage("%s: %zu images instead of %d", images, amun_dataset_count(all), (int)DIGITS);
    }
    /* The same split whatever --seed says: results of different seeds stay comparable. */
    ex_check(amun_forget_indices(order, DIGITS, DIGITS, 0));
    ex_check(amun_dataset_subset(&data->train, all, order, DIGITS_TRAIN));
    ex_check(amun_dataset_subset(&data->test, all, order + DIGITS_TRAIN, DIGITS - DIGITS_TRAIN));
    data->name = data->arch = "digits";
    /* So small a network gains little from a second thread, and two that must meet at each layer
     * lose much on a machine with other work. Also the same numbers whatever the machine has. */
    if (ex_args.threads == 0) {
        ex_check(amun_context_set_threads(ctx, 1));
    }
    data->augment = 0; /* a mirrored digit is no digit, and of 8x8 pixels none is spare */
    amun_dataset_unref(all);
    free(images);
    free(labels);
}

static void open_cifar10(ex_data *data, amun_context *ctx, const char *folder)
{
    char *inner = ex_format("%s/cifar-10-batches-bin", folder); /* as the archive unpacks */
    const char *path = access(inner, R_OK) == 0 ? inner : folder;
    ex_check(amun_dataset_open_cifar10(&data->train, ctx, path, "train"));
    ex_check(amun_dataset_open_cifar10(&data->test, ctx, path, "test"));
    data->name = "cifar10";
    data->arch = "convnet";
    data->augment = 1;
    free(inner);
}

/* Where the digits are: beside an installed program, wherever that was moved to; else where the
 * build says. */
static char *digits_folder(void)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash != NULL) {
        *slash = '\0';
        char *beside = ex_format("%s/" AMUN_EXAMPLES_BESIDE, program);
        if (access(beside, R_OK) == 0) {
            return beside;
        }
        free(beside);
    }
    return ex_format("%s", AMUN_EXAMPLES_DATA);
}

void ex_data_open(ex_data *data, amun_context *ctx)
{
    *data = (ex_data){0};
    char *folder = ex_args.data != NULL ? ex_format("%s", ex_args.data) : digits_folder();
    char *digits = ex_format("%s/digits-images.idx", folder);
    if (ex_args.data != NULL && access(folder, R_OK) != 0) {
        ex_usage("--data: cannot read %s: %s", folder, strerror(errno));
    }
    if (ex_args.data == NULL || access(digits, F_OK) == 0) {
        open_digits(data, ctx, folder);
    } else {
        open_cifar10(data, ctx, folder);
    }
    free(digits);
    free(folder);
    ex_check(amun_dataset_shape(data->train, data->shape));
    data->classes = amun_dataset_classes(data->train);
}

void ex_data_close(ex_data *data)
{
    amun_dataset_unref(data->train);
    amun_dataset_unref(data->test);
    *data = (ex_data){0};
}

amun_model *ex_model_create(amun_context *ctx, const ex_data *data, const char *arch, uint64_t seed)
{
    amun_model *model = NULL;
    amun_model_options opts;
    ex_check(amun_model_options_init(&opts, sizeof opts));
    opts.classes = data->classes;
    opts.channels = data->shape[0];
    opts.height = data->shape[1];
    opts.width = data->shape[2];
    opts.seed = seed;
    if (data->shape[0] == 3 && strstr(arch, "-nobn") != NULL) {
        /* Of CIFAR-10's pixels. No batch norm centres them, and then resnet8-nobn learns in two
         * epochs less than a third of the images, instead of 42 % in one. */
        opts.mean = 0.473;
        opts.std = 0.251;
    }
    ex_check(amun_model_create(&model, ctx, arch, &opts));
    return model;
}

void ex_images_open(ex_images *images, amun_context *ctx, const char *path, const char *labels_path)
{
    amun_dataset *ds = NULL;
    int64_t shape[4];
    *images = (ex_images){0};
    ex_check(amun_dataset_open_npy(&ds, ctx, path, labels_path));
    ex_check(amun_dataset_shape(ds, shape + 1));
    images->count = amun_dataset_count(ds);
    images->pixels = (size_t)(shape[1] * shape[2] * shape[3]);
    shape[0] = (int64_t)images->count;
    images->values = ex_alloc(images->count * images->pixels, sizeof *images->values);
    ex_check(amun_dataset_read(ds, 0, images->count, images->values));
    ex_check(amun_tensor_view_init(&images->view, images->values, AMUN_DTYPE_F32, 4, shape));
    if (labels_path != NULL) {
        images->labels = ex_alloc(images->count, sizeof *images->labels);
        ex_check(amun_dataset_labels(ds, 0, images->count, images->labels));
        ex_check(
            amun_tensor_view_init(&images->label_view, images->labels, AMUN_DTYPE_I64, 1, shape));
    }
    amun_dataset_unref(ds);
}

void ex_images_close(ex_images *images)
{
    free(images->values);
    free(images->labels);
    *images = (ex_images){0};
}

int64_t ex_argmax(const float *logits, size_t classes)
{
    size_t best = 0;
    for (size_t k = 1; k < classes; k++) {
        best = logits[k] > logits[best] ? k : best;
    }
    return (int64_t)best;
}

/* ---- forget sets ----------------------------------------------------------------------------- */

static int64_t read_index(const char *path, const char *text, char **end)
{
    errno = 0;
    long long value = strtoll(text, end, 10);
    if (*end == text || errno != 0 || (**end != '\0' && !isspace((unsigned char)**end))) {
        ex_usage("%s: \"%.*s\" is not an index", path, (int)strcspn(text, " \t\r\n"), text);
    }
    return value;
}

/* Whole numbers apart by blanks or newlines; '#' starts a comment. */
static int64_t *read_indices(size_t *count, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        ex_usage("cannot read %s: %s", path, strerror(errno));
    }
    size_t room = 0, used = 0, line_room = 0;
    int64_t *indices = NULL;
    char *line = NULL;
    while (getline(&line, &line_room, file) > 0) {
        line[strcspn(line, "#")] = '\0';
        char *at = line + strspn(line, " \t\r\n");
        while (*at != '\0') {
            if (used == room) {
                room = room == 0 ? 1024 : 2 * room;
                indices = realloc(indices, room * sizeof *indices);
                if (indices == NULL) {
                    ex_die("no memory for %zu indices", room);
                }
            }
            indices[used++] = read_index(path, at, &at);
            at += strspn(at, " \t\r\n");
        }
    }
    if (ferror(file) != 0 || used == 0) {
        ex_usage("%s: %s", path, ferror(file) != 0 ? "cannot be read" : "no index in it");
    }
    fclose(file);
    free(line);
    *count = used;
    return indices;
}

uint8_t *ex_forget_classes(const ex_data *data, const ex_forget *forget)
{
    const char *at = forget->classes;
    if (at == NULL) {
        return NULL;
    }
    uint8_t *chosen = ex_alloc((size_t)data->classes, sizeof *chosen);
    memset(chosen, 0, (size_t)data->classes);
    for (;;) {
        char *end = NULL;
        errno = 0;
        long long number = strtoll(at, &end, 10);
        if (end == at || errno != 0 || (*end != '\0' && *end != ',') || number < 0 ||
            number >= data->classes) {
            ex_usage("--class: \"%s\" is not a list of numbers in 0..%lld", forget->classes,
                     (long long)data->classes - 1);
        }
        chosen[number] = 1;
        if (*end == '\0') {
            return chosen;
        }
        at = end + 1;
    }
}

/* All training samples of the chosen classes. */
static int64_t *class_indices(size_t *count, const ex_data *data, const ex_forget *forget)
{
    size_t population = amun_dataset_count(data->train);
    uint8_t *chosen = ex_forget_classes(data, forget);
    int64_t *indices = ex_alloc(population, sizeof *indices);
    int64_t *labels = ex_alloc(population, sizeof *labels);
    if (forget->file != NULL || forget->count != 0) {
        ex_usage("--class and --%s at once", forget->file != NULL ? "forget" : "forget-count");
    }
    ex_check(amun_dataset_labels(data->train, 0, population, labels));
    *count = 0;
    for (size_t i = 0; i < population; i++) {
        if (chosen[labels[i]] != 0) {
            indices[(*count)++] = (int64_t)i;
        }
    }
    free(chosen);
    free(labels);
    if (*count == 0) {
        ex_usage("--class: no training sample is of class %s", forget->classes);
    }
    return indices;
}

int64_t *ex_forget_indices(size_t *count, const ex_data *data, const ex_forget *forget)
{
    size_t population = amun_dataset_count(data->train);
    if (forget->classes != NULL) {
        return class_indices(count, data, forget);
    }
    if (forget->file != NULL) {
        return read_indices(count, forget->file);
    }
    if ((size_t)forget->count >= population) {
        ex_usage("--forget-count: %lld of %zu training samples", (long long)forget->count,
                 population);
    }
    *count = forget->count > 0 ? (size_t)forget->count : population / 10;
    int64_t *indices = ex_alloc(*count, sizeof *indices);
    ex_check(amun_forget_indices(indices, *count, population, (uint32_t)forget->seed));
    return indices;
}

/* ---- recipes --------------------------------------------------------------------------------- */

void ex_recipe(amun_train_options *train, const char *arch)
{
    static const struct recipe {
        const char *arch;
        int32_t epochs, batch, nesterov;
        double lr, weight_decay, label_smoothing;
        amun_schedule schedule;
        int32_t pad, cutout;
    } recipes[] = {
        /* No weight decay: this small net is to remember its samples. A batch of 30 goes into 900,
         * 810 (retraining), 990 and 180 (AMUN), so that no batch is too small for its statistics.
         */
        {"digits", 20, 30, 0, 0.02, 0.0, 0.0, AMUN_SCHEDULE_COSINE, 0, 0},
        {"convnet", 24, 128, 1, 0.2, 8e-4, 0.2, AMUN_SCHEDULE_ONECYCLE, 4, 8},
        {"resnet8", 30, 128, 1, 0.2, 5e-4, 0.0, AMUN_SCHEDULE_ONECYCLE, 4, 0},
        {"resnet20", 40, 128, 1, 0.2, 5e-4, 0.0, AMUN_SCHEDULE_ONECYCLE, 4, 0},
        /* At 0.1 a member of an ensemble with LOTOS stayed at 10 %. */
        {"resnet8-nobn", 30, 128, 1, 0.05, 5e-4, 0.0, AMUN_SCHEDULE_ONECYCLE, 4, 0},
        {"resnet20-nobn", 40, 128, 1, 0.05, 5e-4, 0.0, AMUN_SCHEDULE_ONECYCLE, 4, 0},
    };
    ex_check(amun_train_options_init(train, sizeof *train)); /* that of the paper for resnet18 */
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        if (strcmp(recipes[i].arch, arch) == 0) {
            train->epochs = recipes[i].epochs;
            train->batch = recipes[i].batch;
            train->nesterov = recipes[i].nesterov;
            train->lr = recipes[i].lr;
            train->weight_decay = recipes[i].weight_decay;
            train->label_smoothing = recipes[i].label_smoothing;
            train->schedule = recipes[i].schedule;
            train->augment_pad = recipes[i].pad;
            train->augment_cutout = recipes[i].cutout;
        }
    }
}

static amun_schedule schedule_of(const char *name)
{
    return strcmp(name, "constant") == 0 ? AMUN_SCHEDULE_CONSTANT
           : strcmp(name, "step") == 0   ? AMUN_SCHEDULE_STEP
           : strcmp(name, "cosine") == 0 ? AMUN_SCHEDULE_COSINE
                                         : AMUN_SCHEDULE_ONECYCLE;
}

/* NULL without --clip. */
static const amun_clip_options *clip_of(double target, int64_t steps)
{
    static amun_clip_options opts;
    if (target == 0.0) {
        return NULL;
    }
    ex_check(amun_clip_options_init(&opts, sizeof opts));
    opts.target = target;
    opts.every = steps < opts.every ? (int32_t)steps : opts.every;
    opts.seed = (uint64_t)ex_args.seed;
    return &opts;
}

bool ex_training_augments(const ex_training *training, const ex_data *data)
{
    return training->augment > 0 || (training->augment < 0 && data->augment != 0);
}

void ex_train_plain(amun_train_options *train)
{
    train->augment_pad = 0;
    train->augment_flip = 0;
    train->augment_cutout = 0;
}

void ex_training_apply(amun_train_options *train, const ex_training *training, const ex_data *data)
{
    train->epochs = training->epochs >= 0 ? (int32_t)training->epochs : train->epochs;
    train->batch = training->batch > 0 ? (int32_t)training->batch : train->batch;
    train->lr = training->lr >= 0.0 ? training->lr : train->lr;
    train->weight_decay =
        training->weight_decay >= 0.0 ? training->weight_decay : train->weight_decay;
    if (training->schedule != NULL) {
        train->schedule = schedule_of(training->schedule);
    }
    if (!ex_training_augments(training, data)) {
        ex_train_plain(train);
    }
    /* A checkpoint waits for the disk: not after epochs that take a moment. */
    train->checkpoint_every = 1 + (int32_t)(20000 / (amun_dataset_count(data->train) + 1));
    train->seed = (uint64_t)ex_args.seed;
    train->clip =
        clip_of(training->clip, (int64_t)amun_dataset_count(data->train) / train->batch + 1);
}
