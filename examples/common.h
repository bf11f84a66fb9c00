/* common.h - what the example programs share: the command line, messages and progress, the data
 * sets they use, and a few small files. No part of the library, and not needed to use it:
 * minimal.c does without. The programs end at the first error, so most calls here do not return
 * a status. Exit status: 0 done; 2 the command line is wrong, or a file is missing, damaged or
 * cannot be written; 1 anything else. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <amun/amun.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- failing --------------------------------------------------------------------------------- */

/* One line on stderr, exit status 2. */
_Noreturn void ex_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with exit status 1. */
_Noreturn void ex_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program with the library's status and message unless `status` is AMUN_OK. */
void ex_check(amun_status status);
void *ex_alloc(size_t count, size_t size);
/* printf into fresh memory. */
char *ex_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- command line ---------------------------------------------------------------------------- */

typedef enum ex_kind {
    EX_INT,
    EX_REAL,
    EX_TEXT,   /* a folder */
    EX_LIST,   /* words with commas between them, for the program to read */
    EX_FILE,   /* must be readable */
    EX_FILES,  /* the same, any number of times */
    EX_OUT,    /* will be written: its folder must allow that */
    EX_CHOICE, /* one of a few words */
    EX_FLAG    /* no value */
} ex_kind;

/* What an option that may be given several times collects. */
enum { EX_LIST_MAX = 16 };
typedef struct ex_list {
    const char *items[EX_LIST_MAX];
    size_t count;
} ex_list;

/* One option, "--name VALUE" or "--name=VALUE". The variable keeps its value if it is not given. */
typedef struct ex_option {
    const char *name; /* without dashes */
    ex_kind kind;
    void *value;         /* int64_t, double, const char * (TEXT, FILE, OUT,
                            CHOICE), ex_list, bool */
    double low, high;    /* INT and REAL: range, both ends included */
    const char *choices; /* CHOICE: "a|b|c" */
    const char *help;
    bool required;
} ex_option;

/* What every program takes. */
typedef struct ex_common {
    const char *json; /* NULL: none */
    const char *data; /* NULL: the digits */
    int64_t seed, threads;
} ex_common;
extern ex_common ex_args;

/* Fills the variables of `options` (ended by a NULL name) and `ex_args`. At most 60 rows.
 * --help prints `about` and the options, and ends the program. */
void ex_parse(int argc, char **argv, const char *about, const ex_option *options);
/* Which of "a|b|c" a word is, from 1; 0: none of them. */
int32_t ex_choice(const char *word, const char *words);
/* The unlearning methods, in the order of the library's numbers. */
#define EX_METHODS                                                                                 \
    "retrain|amun|amun-advonly|finetune|random-label|gradient-ascent|neggrad-plus|"                \
    "boundary-shrink|boundary-expand|l1-sparse|salun|scrub|ssd|svd|bad-teacher|unsir|euk|cfk|"     \
    "delete|trw"
/* Context with the number of threads asked for. */
amun_context *ex_context(void);

/* ---- progress -------------------------------------------------------------------------------- */

/* A bar on a terminal; otherwise one line at the start and one at the end. */
typedef struct ex_progress {
    amun_call_options call; /* pass &progress.call to the library */
    const char *title;
    double began, seconds;       /* by ex_progress_end() */
    uint64_t outer, outer_total; /* phases "references": which model */
    bool terminal;
    void (*tick)(void *data, const amun_progress *progress); /* nullable; at most every second */
    void *tick_data;
    double last_tick;
} ex_progress;
void ex_progress_begin(ex_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `format`: the outcome, for the line's end. */
void ex_progress_end(ex_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* After a training; loss NaN: after a method that trained nothing. */
void ex_progress_trained(ex_progress *progress, double loss, double accuracy);
double ex_now(void);

/* ---- data ------------------------------------------------------------------------------------ */

typedef struct ex_data {
    amun_dataset *train, *test;
    const char *name; /* "digits" or "cifar10" */
    const char *arch; /* the network that suits it */
    int64_t shape[3], classes;
    int32_t augment; /* 1 where crops and flips make sense */
} ex_data;
/* The digits (a fixed shuffle: 900 to train on, 897 to test with), or CIFAR-10 from --data. */
void ex_data_open(ex_data *data, amun_context *ctx);
void ex_data_close(ex_data *data);
/* New model of a named architecture for this data. */
amun_model *ex_model_create(amun_context *ctx, const ex_data *data, const char *arch,
                            uint64_t seed);
#define EX_ARCHS                                                                                   \
    "digits|convnet|resnet8|resnet8-nobn|resnet20|resnet20-nobn|resnet18|resnet18-standard|"       \
    "resnet18-lotos|resnet18-nobn|vgg11|vgg13|vgg16|vgg19|densenet121|dla|dla-nobn|simple_conv|"   \
    "simple_conv_reflect"

/* Images from .npy files, in memory; labels only if there is such a file. */
typedef struct ex_images {
    size_t count, pixels; /* per image */
    float *values;
    int64_t *labels; /* nullable */
    amun_tensor_view view, label_view;
} ex_images;
void ex_images_open(ex_images *images, amun_context *ctx, const char *path,
                    const char *labels_path);
void ex_images_close(ex_images *images);
/* The class that a row of logits says; of equals the first. */
int64_t ex_argmax(const float *logits, size_t classes);

/* ---- forget sets ----------------------------------------------------------------------------- */

typedef struct ex_forget {
    const char *file; /* NULL: the published `count` (0: a tenth) of `seed` */
    int64_t count, seed;
    const char *classes; /* "3" or "3,5": all training samples of these; NULL: as above */
} ex_forget;
#define EX_FORGET_DEFAULTS                                                                         \
    {                                                                                              \
        NULL, 0, 1, NULL                                                                           \
    }
#define EX_FORGET_OPTIONS(f)                                                                       \
    {                                                                                              \
        "forget", EX_FILE, &(f).file, 0, 0, NULL, "indices of training samples, one per line",     \
        false},                                                                                    \
        {"forget-count",                                                                           \
         EX_INT,                                                                                   \
         &(f).count,                                                                               \
         1,                                                                                        \
         1e9,                                                                                      \
         NULL,                                                                                     \
         "or: so many random ones (default: a tenth)",                                             \
         false},                                                                                   \
        {"class", EX_LIST, &(f).classes, 0, 0, NULL, "or: all samples of these classes, N[,M...]", \
         false},                                                                                   \
    {                                                                                              \
        "forget-seed", EX_INT, &(f).seed, 0, 4294967295.0, NULL,                                   \
            "drawn with this seed (default 1)", false                                              \
    }
/* 1 for each class that `forget` names, 0 for the others; NULL if it names none. The caller frees.
 */
uint8_t *ex_forget_classes(const ex_data *data, const ex_forget *forget);
/* The indices; the caller frees them. */
int64_t *ex_forget_indices(size_t *count, const ex_data *data, const ex_forget *forget);

/* ---- training options ------------------------------------------------------------------------ */

/* What the command line says about a training; negative or NULL: as the recipe has it. */
typedef struct ex_training {
    int64_t epochs, batch, augment;
    double lr, weight_decay;
    const char *schedule;
    double clip; /* 0: none */
} ex_training;
#define EX_TRAINING_DEFAULTS                                                                       \
    {                                                                                              \
        -1, -1, -1, -1.0, -1.0, NULL, 0.0                                                          \
    }
#define EX_TRAINING_OPTIONS(t)                                                                     \
    {"epochs", EX_INT, &(t).epochs, 1, 100000, NULL, "passes over the data", false},               \
        {"batch", EX_INT, &(t).batch, 1, 65536, NULL, "samples per step", false},                  \
        {"lr", EX_REAL, &(t).lr, 0, 1000, NULL, "learning rate", false},                           \
        {"weight-decay", EX_REAL, &(t).weight_decay, 0, 1, NULL, "of every parameter", false},     \
        {"schedule",                                                                               \
         EX_CHOICE,                                                                                \
         &(t).schedule,                                                                            \
         0,                                                                                        \
         0,                                                                                        \
         "constant|step|cosine|onecycle",                                                          \
         "how the learning rate moves",                                                            \
         false},                                                                                   \
        {"clip",                                                                                   \
         EX_REAL,                                                                                  \
         &(t).clip,                                                                                \
         0,                                                                                        \
         1e6,                                                                                      \
         NULL,                                                                                     \
         "hold the layers to this spectral norm (default 0: do not)",                              \
         false},                                                                                   \
    {                                                                                              \
        "augment", EX_INT, &(t).augment, 0, 1, NULL,                                               \
            "1: random crops and flips (default: not for digits)", false                           \
    }
/* The recipe that suits an architecture (epochs, batch, learning rate and so on). */
void ex_recipe(amun_train_options *train, const char *arch);
/* Are training images to be cropped and mirrored? As --augment says, else as suits the data. */
bool ex_training_augments(const ex_training *training, const ex_data *data);
/* Images as they are: neither cropped nor mirrored, nothing wiped out. */
void ex_train_plain(amun_train_options *train);
/* Lays the command line, --seed, and whether `data` may be augmented over `train`. --clip: at least
 * once in an epoch; the options for it are static, of the last call. */
void ex_training_apply(amun_train_options *train, const ex_training *training, const ex_data *data);

/* ---- files ----------------------------------------------------------------------------------- */

/* An option that names one of the searches for the nearest adversarial example. */
#define EX_SEARCH_CHOICES "epsilon|ddn|fmn"
amun_search_method ex_search_method(const char *name);
/* Creates a folder and those above it. */
void ex_make_folder(const char *path);
/* A text file that appears whole, when it is closed. */
typedef struct ex_out {
    const char *path;
    char *part;
    FILE *file;
} ex_out;
void ex_out_open(ex_out *out, const char *path);
void ex_out_close(ex_out *out);
/* A JSON object in such a file. `path` NULL: nothing is written. */
typedef struct ex_json {
    ex_out out;
    int depth; /* objects and arrays that are open */
    bool more; /* the innermost has a member */
} ex_json;
void ex_json_open(ex_json *json, const char *path);
void ex_json_text(ex_json *json, const char *key, const char *value);
void ex_json_int(ex_json *json, const char *key, int64_t value);
void ex_json_real(ex_json *json, const char *key, double value);
void ex_json_bool(ex_json *json, const char *key, bool value);
/* An array of objects: begin the array, begin and end each object, end the array. */
void ex_json_array_begin(ex_json *json, const char *key);
void ex_json_object_begin(ex_json *json);
void ex_json_object_end(ex_json *json);
void ex_json_array_end(ex_json *json);
void ex_json_reals(ex_json *json, const char *key, const double *values, size_t count);
void ex_json_close(ex_json *json);

#endif
