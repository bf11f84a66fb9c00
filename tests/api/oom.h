/* oom.h - the walk over allocations that fail, for the tests of running out of memory. */
#ifndef AMUN_TEST_OOM_H
#define AMUN_TEST_OOM_H

#include "api.h"

typedef struct scenario {
    const char *name;
    amun_status (*run)(int32_t which);
    int32_t which;
    int64_t least; /* so many allocations at least */
} scenario;

/* The first ones all, then growing strides. */
static inline int64_t oom_next(int64_t n)
{
    return n < 30 ? n + 1 : n + n / 4;
}

/* By turns one allocation fails, and all from there on. */
static inline int64_t oom_count(int64_t n)
{
    return n % 2 ? 1 : INT64_MAX / 2;
}

/* After an allocation failed, or (the last time) none. */
static inline void ck_oom(const scenario *s, int64_t n, amun_status status, bool failed)
{
    const char *message = amun_last_error_message();
    ck_assert_msg(n < 100000, "%s: no end of allocations", s->name);
    if (status == AMUN_OK) { /* a helper that could not be made is made again, or done without */
        return;
    }
    ck_assert_msg(failed && status == AMUN_ERROR_OUT_OF_MEMORY, "%s, allocation %lld: %s: %s",
                  s->name, (long long)n, amun_status_string(status), message);
    ck_assert_msg(message[0] != '\0' && strpbrk(message, "\r\n") == NULL,
                  "%s, allocation %lld: message \"%s\"", s->name, (long long)n, message);
}

static inline void ck_oom_enough(const scenario *s, int64_t failures)
{
    ck_assert_msg(failures >= s->least, "%s: only %lld allocations failed", s->name,
                  (long long)failures);
}

#endif
