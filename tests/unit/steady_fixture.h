/* steady_fixture.h - for the tests of steady states: a small problem, and a meter of the
 * allocations between the steps of a loop. */
#ifndef AMUN_TEST_STEADY_FIXTURE_H
#define AMUN_TEST_STEADY_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "training.h"

#define STEADY __attribute__((unused))

enum { COUNT = 64, SIDE = 6, CLASSES = 3, BATCH = 8, EPOCHS = 4, STEPS = COUNT / BATCH };

static test_allocator allocator;
static amun_context *ctx;
static blobs b;
static amun_model *model;
STEADY static amun_tensor_view images, labels;

STEADY static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    blobs_make(&b, ctx, COUNT, 1, SIDE, SIDE, CLASSES, 23);
    model = conv_model(ctx, 1, SIDE, SIDE, CLASSES, 6);
    const int64_t shape[4] = {COUNT, 1, SIDE, SIDE};
    ck_ok(amun_tensor_view_init(&images, b.images, AMUN_DTYPE_F32, 4, shape));
    ck_ok(amun_tensor_view_init(&labels, b.labels, AMUN_DTYPE_I64, 1, shape));
}

STEADY static void teardown(void)
{
    amun_model_unref(model);
    blobs_free(&b);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

STEADY static int64_t allocations(void)
{
    return atomic_load(&allocator.calls);
}

/* Allocations between two calls of the progress callback, after the first `skip` of each
 * phase. Not those
 * before each step that is `first` steps into an epoch (0: none is left out), nor in the last
 * `tail` units of a call. */
typedef struct meter {
    uint64_t skip, first, tail, seen, since, grew_at; /* since: samples of this phase */
    int64_t last, grown;
    const char *now, *phase;
} meter;

STEADY static int32_t sample(const amun_progress *p, void *user_data)
{
    meter *m = user_data;
    int64_t now = allocations();
    if (m->now == NULL || strcmp(m->now, p->phase) != 0) {
        m->now = p->phase; /* a literal of the library's */
        m->since = 0;
    }
    bool renewed = m->first != 0 && p->step % STEPS == m->first;
    if (m->since > m->skip && p->step + m->tail <= p->total && !renewed && now != m->last) {
        m->grown += now - m->last;
        m->grew_at = m->seen;
        m->phase = p->phase;
    }
    m->last = now;
    m->seen++;
    m->since++;
    return 0;
}

STEADY static amun_call_options metered(meter *m, uint64_t skip)
{
    *m = (meter){.skip = skip, .phase = ""};
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = sample;
    call.user_data = m;
    call.min_interval_ms = 0;
    return call;
}

STEADY static void check_meter(const meter *m, uint64_t least, const char *what)
{
    ck_assert_msg(m->seen >= m->skip + least, "%s: only %llu samples", what,
                  (unsigned long long)m->seen);
    ck_assert_msg(m->grown == 0, "%s: %lld allocations, the last before sample %llu (\"%s\")", what,
                  (long long)m->grown, (unsigned long long)m->grew_at, m->phase);
}

#endif
