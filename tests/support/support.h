/* support.h - what every unit test uses: a main around Check, and assertions on statuses. */
#ifndef AMUN_TEST_SUPPORT_H
#define AMUN_TEST_SUPPORT_H

#include <check.h>

#include "core/core.h"

/* Runs one suite without forking, prints TAP; the value is main()'s. The pattern:
 *     int main(void) { TCase *tc = tcase_create("x"); tcase_add_test(tc, t);
 *                      return amun_test_main("suite", (TCase *[]){tc, NULL}); } */
int amun_test_main(const char *name, TCase *const *cases);

/* A status that must be OK; prints the message if it is not. */
#define ck_ok(expr)                                                                                \
    do {                                                                                           \
        amun_status ck_status = (expr);                                                            \
        ck_assert_msg(ck_status == AMUN_OK, "%s: %s: %s", #expr, amun_status_string(ck_status),    \
                      amun_last_error_message());                                                  \
    } while (0)

/* A status that must be `expected`, with a one-line message that contains `part`. */
#define ck_fails(expr, expected, part)                                                             \
    do {                                                                                           \
        amun_status ck_status = (expr);                                                            \
        ck_assert_msg(ck_status == (expected), "%s: expected %s, got %s: %s", #expr,               \
                      amun_status_string(expected), amun_status_string(ck_status),                 \
                      amun_last_error_message());                                                  \
        const char *ck_message = amun_last_error_message();                                        \
        ck_assert_msg(ck_message[0] != '\0', "%s: empty message", #expr);                          \
        ck_assert_msg(strstr(ck_message, (part)) != NULL, "%s: message \"%s\" without \"%s\"",     \
                      #expr, ck_message, (part));                                                  \
        ck_assert_msg(strchr(ck_message, '\n') == NULL, "%s: newline in the message", #expr);      \
    } while (0)

/* |a - b| <= tolerance * max(1, |b|), and neither is NaN. */
#define ck_close(a, b, tolerance)                                                                  \
    do {                                                                                           \
        double ck_a = (a), ck_b = (b), ck_tolerance = (tolerance);                                 \
        ck_assert_msg(fabs(ck_a - ck_b) <= ck_tolerance * fmax(1.0, fabs(ck_b)),                   \
                      "%s = %.17g, expected %.17g within %g", #a, ck_a, ck_b, ck_tolerance);       \
    } while (0)

/* An allocator that counts, checks the size it gets back, and fails the n-th call on request. */
typedef struct test_allocator {
    _Atomic int64_t live_blocks, live_bytes, calls;
    _Atomic int64_t fail_at; /* 1: the next call fails; 0: never */
    _Atomic int64_t wrong;   /* frees whose size or alignment differ from the allocation's */
} test_allocator;

void *test_alloc(void *user_data, size_t size, size_t align);
void test_free(void *user_data, void *ptr, size_t size, size_t align);
/* A context over the test allocator; aborts the test if it fails. */
amun_context *test_context(test_allocator *allocator);

/* "<build>/tests/<name>": a place for files that a test writes. Static storage per thread. */
const char *test_path(const char *name);
/* "<source>/<name>". */
const char *test_source_path(const char *name);

#endif
