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
    ex_check(
        amun_dataset_subset(&data->test, all, order + DIGITS_TRAIN, DIGITS - DIGITS_TRAIN));
    data->name = "digits";
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
    data->augment = 1;
    free(inner);
}

void ex_data_open(ex_data *data, amun_context *ctx)
{
    *data = (ex_data){0};
    const char *folder = ex_args.data != NULL ? ex_args.data : AMUN_EXAMPLES_DATA;
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
    ex_check(amun_model_create(&model, ctx, arch, &opts));
    return model;
}

/* ---- forget sets ----------------------------------------------------------------------------- */

/* Whole numbers apart by blanks or newlines; '#' starts a comment. */
static int64_t *read_indices(size_t *count, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        ex_usage("cannot read %s: %s", path, strerror(errno));
    }
    size_t room = 1024, used = 0;
    int64_t *indices = ex_alloc(room, sizeof *indices);
    char word[32];
    int c = getc(file);
    while (c != EOF) {
        size_t length = 0;
        while (c == '#' ? true : isspace(c)) {
            for (; c == '#' && c != EOF;) {
                while (c != '\n' && c != EOF) {
                    c = getc(file);
                }
            }
            c = c == EOF ? EOF : getc(file);
        }
        while (c != EOF && !isspace(c) && c != '#' && length + 1 < sizeof word) {
            word[length++] = (char)c;
            c = getc(file);
        }
        word[length] = '\0';
        if (length == 0) {
            continue;
        }
        char *end = NULL;
        errno = 0;
        long long value = strtoll(word, &end, 10);
        if (*end != '\0' || errno != 0) {
            ex_usage("%s: \"%s\" is not an index", path, word);
        }
        if (used == room) {
            room *= 2;
            indices = realloc(indices, room * sizeof *indices);
            if (indices == NULL) {
                ex_die("no memory for %zu indices", room);
            }
        }
        indices[used++] = value;
    }
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) {
        ex_usage("cannot read %s", path);
    }
    if (used == 0) {
        ex_usage("%s: no index in it", path);
    }
    *count = used;
    return indices;
}

int64_t *ex_forget(size_t *count, const ex_data *data, const char *file, int64_t wanted,
                   int64_t seed)
{
    size_t population = amun_dataset_count(data->train);
    if (file != NULL) {
        return read_indices(count, file);
    }
    if (wanted < 0 || (size_t)wanted >= population) {
        ex_usage("--forget-count: %lld of %zu training samples", (long long)wanted, population);
    }
    *count = wanted > 0 ? (size_t)wanted : population / 10;
    int64_t *indices = ex_alloc(*count, sizeof *indices);
    ex_check(amun_forget_indices(indices, *count, population, (uint32_t)seed));
    return indices;
}

/* ---- recipes --------------------------------------------------------------------------------- */

amun_schedule ex_schedule(const char *name)
{
    return strcmp(name, "constant") == 0 ? AMUN_SCHEDULE_CONSTANT
           : strcmp(name, "step") == 0   ? AMUN_SCHEDULE_STEP
           : strcmp(name, "cosine") == 0 ? AMUN_SCHEDULE_COSINE
                                         : AMUN_SCHEDULE_ONECYCLE;
}

void ex_recipe(amun_train_options *train, const char *arch, int32_t augment)
{
    static const struct recipe {
        const char *arch;
        int32_t epochs, batch, nesterov;
        double lr, weight_decay, label_smoothing;
        amun_schedule schedule;
    } recipes[] = {
        {"digits", 40, 64, 0, 0.1, 5e-4, 0.0, AMUN_SCHEDULE_COSINE},
        {"convnet", 12, 128, 1, 0.2, 5e-4, 0.0, AMUN_SCHEDULE_ONECYCLE},
        {"resnet8", 30, 128, 1, 0.2, 5e-4, 0.0, AMUN_SCHEDULE_ONECYCLE},
        {"resnet20", 40, 128, 1, 0.2, 5e-4, 0.0, AMUN_SCHEDULE_ONECYCLE},
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
        }
    }
    if (augment == 0) {
        train->augment_pad = 0;
        train->augment_flip = 0;
    }
}
