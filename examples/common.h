/* common.h - what the example programs share: the command line, messages and progress, the data
 * sets they use, and a few small files. No part of the library, and not needed to use it:
 * minimal.c does without. The programs end at the first error, so most calls here do not return
 * a status. Exit status: 0 done; 2 the command line or a file is at fault; 1 anything else. */
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

typedef enum ex_kind { EX_INT, EX_REAL, EX_TEXT, EX_FILE, EX_CHOICE, EX_FLAG } ex_kind;

/* One option, "--name VALUE" or "--name=VALUE". The variable keeps its value if it is not given. */
typedef struct ex_option {
    const char *name; /* without dashes */
    ex_kind kind;
    void *value;         /* int64_t, double, const char * (TEXT, FILE, CHOICE), bool */
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

/* Fills the variables of `options` (ended by a NULL name) and `ex_args`. FILE: must be readable.
 * --help prints `about` and the options, and ends the program. */
void ex_parse(int argc, char **argv, const char *about, const ex_option *options);
/* Context with the number of threads asked for. */
amun_context *ex_context(void);

/* ---- progress -------------------------------------------------------------------------------- */

/* A bar on a terminal; otherwise one line at the start and one at the end. */
typedef struct ex_progress {
    amun_call_options call; /* pass &progress.call to the library */
    const char *title;
    double began, seconds; /* by ex_progress_end() */
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
double ex_now(void);

/* ---- data ------------------------------------------------------------------------------------ */

typedef struct ex_data {
    amun_dataset *train, *test;
    const char *name; /* "digits" or "cifar10" */
    int64_t shape[3], classes;
    int32_t augment; /* 1 where crops and flips make sense */
} ex_data;
/* The digits (a fixed shuffle: 900 to train on, 897 to test with), or CIFAR-10 from --data. */
void ex_data_open(ex_data *data, amun_context *ctx);
void ex_data_close(ex_data *data);
/* New model of a named architecture (NULL: "digits", "convnet" for CIFAR-10) for this data. */
amun_model *ex_model_create(amun_context *ctx, const ex_data *data, const char *arch,
                            uint64_t seed);

/* Indices of samples to forget: those in `file` (one per line), or the published `count` of
 * `seed`; count 0: a tenth. */
int64_t *ex_forget(size_t *count, const ex_data *data, const char *file, int64_t wanted,
                   int64_t seed);

/* ---- training options ------------------------------------------------------------------------ */

/* The recipe that suits an architecture: epochs, batch, learning rate and so on. */
void ex_recipe(amun_train_options *train, const char *arch, int32_t augment);
amun_schedule ex_schedule(const char *name);
#define EX_SCHEDULES "constant|step|cosine|onecycle"

/* ---- files ----------------------------------------------------------------------------------- */

/* Creates a folder and those above it. */
void ex_make_folder(const char *path);
/* A flat JSON object, written when it is closed, whole or not at all. `path` NULL: nothing. */
typedef struct ex_json {
    const char *path;
    char *part;
    FILE *file;
    bool more;
} ex_json;
void ex_json_open(ex_json *json, const char *path);
void ex_json_text(ex_json *json, const char *key, const char *value);
void ex_json_int(ex_json *json, const char *key, int64_t value);
void ex_json_real(ex_json *json, const char *key, double value);
/* `value` is JSON already. */
void ex_json_raw(ex_json *json, const char *key, const char *value);
void ex_json_close(ex_json *json);

#endif
