/* api.h - what the tests of the public interface share. They see <amun/amun.h> and link the shared
 * library, nothing private, so that what they test is what an application gets. */
#ifndef AMUN_TEST_API_H
#define AMUN_TEST_API_H

#include <check.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amun/amun.h>

/* Runs one suite without forking and prints TAP; the value is main()'s. */
int api_main(const char *name, TCase *const *cases);

/* A success, which leaves no message behind. */
#define ck_ok(expr)                                                                                \
    do {                                                                                           \
        amun_status ck_status = (expr);                                                            \
        ck_assert_msg(ck_status == AMUN_OK, "%s: %s: %s", #expr, amun_status_string(ck_status),    \
                      amun_last_error_message());                                                  \
        ck_assert_msg(amun_last_error_message()[0] == '\0', "%s: succeeded, but says \"%s\"",      \
                      #expr, amun_last_error_message());                                           \
    } while (0)

/* A failure with this status and one line of message that contains `part`. */
#define ck_fails(expr, expected, part)                                                             \
    do {                                                                                           \
        amun_status ck_status = (expr);                                                            \
        const char *ck_message = amun_last_error_message();                                        \
        ck_assert_msg(ck_status == (expected), "%s: expected %s, got %s: %s", #expr,               \
                      amun_status_string(expected), amun_status_string(ck_status), ck_message);    \
        ck_assert_msg(ck_message[0] != '\0', "%s: empty message", #expr);                          \
        ck_assert_msg(strpbrk(ck_message, "\n\r") == NULL, "%s: more than a line", #expr);         \
        ck_assert_msg(strstr(ck_message, (part)) != NULL, "%s: \"%s\" lacks \"%s\"", #expr,        \
                      ck_message, (part));                                                         \
    } while (0)

#define ck_invalid(expr, part) ck_fails(expr, AMUN_ERROR_INVALID_ARGUMENT, part)

/* ---- memory ---------------------------------------------------------------------------------- */

/* Counts, checks what is given back, and fails from the n-th call on: only that one, or all. */
typedef struct heap {
    _Atomic int64_t live, calls, wrong;
    _Atomic int64_t fail_at; /* 0: never */
    _Atomic int64_t fail_count;
} heap;

/* A context of one thread over `h`, which must outlive it. */
amun_status heap_context(amun_context **ctx, heap *h);
/* Drops the context and asserts that nothing of it is left. */
void heap_end(amun_context *ctx, const heap *h);

/* ---- values ---------------------------------------------------------------------------------- */

/* SplitMix64: the tests' own random numbers. */
uint64_t api_random(uint64_t *state);
double api_uniform(uint64_t *state);

amun_tensor_view view1(const void *data, amun_dtype dtype, int64_t a);
amun_tensor_view view2(const void *data, amun_dtype dtype, int64_t a, int64_t b);
amun_tensor_view view4(const void *data, amun_dtype dtype, int64_t a, int64_t b, int64_t c,
                       int64_t d);

enum { TINY_EDGE = 5, TINY_PIXELS = 25, TINY_CLASSES = 3, TINY_COUNT = 12 };

/* TINY_COUNT images of one channel around one pattern per class. Images and labels stay in static
 * memory. */
extern float tiny_images[TINY_COUNT * TINY_PIXELS];
extern int64_t tiny_labels[TINY_COUNT];
amun_status tiny_data(amun_dataset **data, amun_context *ctx);
/* Conv of 4 channels "conv", batch norm "bn", ReLU, flatten, "fc". The graph, if wanted, is the
 * caller's. */
amun_status tiny_graph(amun_graph **graph, amun_context *ctx);
amun_status tiny_model(amun_model **model, amun_context *ctx, uint64_t seed);
enum { TINY_CONV = 4 * 9, TINY_BN = 4, TINY_FC = 3 * 4 * TINY_PIXELS };
/* All values of a tiny model; equal iff nothing has changed. */
typedef struct tiny_values {
    float conv[TINY_CONV], bn[4][TINY_BN], fc[TINY_FC], bias[TINY_CLASSES];
} tiny_values;
void tiny_read(tiny_values *values, const amun_model *model);
#define ck_unchanged(model, before)                                                                \
    do {                                                                                           \
        tiny_values ck_now;                                                                        \
        tiny_read(&ck_now, model);                                                                 \
        ck_assert_msg(memcmp(&ck_now, before, sizeof ck_now) == 0, "the model has changed");       \
    } while (0)
/* Few epochs, no augmentation, batches of 4. */
amun_train_options tiny_train(int32_t epochs);

/* The digits first .. first + count - 1 of examples/data, in a fixed random order: the file has
 * them by writer, so that its beginning and its end differ. */
amun_dataset *digits(amun_context *ctx, size_t first, size_t count);

/* ---- files ----------------------------------------------------------------------------------- */

/* "<build>/tests/api-<program>-<name>". One static buffer per call site's slot: 8 live at once. */
const char *api_path(const char *name);
void api_path_prefix(const char *program);
/* malloc-ed contents. */
unsigned char *file_read(const char *path, size_t *size);
void file_write(const char *path, const void *bytes, size_t size);
bool file_same(const char *a, const char *b);

/* For functions with a `status` to return and a label `done` that gives everything back. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != AMUN_OK) {                                                                   \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

#endif
