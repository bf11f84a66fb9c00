/* Progress: which steps are told, what the callback sees, and cancelling. */
#include "support.h"

typedef struct seen {
    int32_t count;
    uint64_t steps[64];
    amun_progress last;
    int32_t stop_at; /* the call that returns non-zero; 0: none */
    int32_t fails;   /* calls the library wrongly, as a callback may */
} seen;

static int32_t on_progress(const amun_progress *progress, void *user_data)
{
    seen *s = user_data;
    s->steps[s->count++ % 64] = progress->step;
    s->last = *progress;
    if (s->fails) {
        amun_memory_stats stats = {.struct_size = 0};
        amun_context_get_memory(NULL, &stats);
    }
    return s->count == s->stop_at;
}

static amun_call_options options_for(seen *s, int32_t interval)
{
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = on_progress;
    call.user_data = s;
    call.min_interval_ms = interval;
    return call;
}

START_TEST(test_without_callback)
{
    amun__progress_state state;
    ck_ok(amun__progress_begin(&state, NULL));
    ck_ok(amun__progress_tick(&state, "train", 1, 2, 0.0, 0.0));
    ck_ok(amun__progress_tick(NULL, "train", 1, 2, 0.0, 0.0));
}
END_TEST

START_TEST(test_options_are_checked)
{
    seen s = {0};
    amun__progress_state state;
    amun_call_options call = options_for(&s, -1);
    ck_fails(amun__progress_begin(&state, &call), AMUN_ERROR_INVALID_ARGUMENT,
             "amun_call_options.min_interval_ms: -1");
    call = options_for(&s, 3600001);
    ck_fails(amun__progress_begin(&state, &call), AMUN_ERROR_INVALID_ARGUMENT, "3600001");
    call = options_for(&s, 0);
    call.reserved0 = 1;
    ck_fails(amun__progress_begin(&state, &call), AMUN_ERROR_INVALID_ARGUMENT, "reserved0");
    call.struct_size = 3;
    ck_fails(amun__progress_begin(&state, &call), AMUN_ERROR_INVALID_ARGUMENT, "struct_size is 3");
}
END_TEST

START_TEST(test_first_and_last_are_told)
{
    seen s = {0};
    amun_call_options call = options_for(&s, 3600000);
    amun__progress_state state;
    ck_ok(amun__progress_begin(&state, &call));
    for (uint64_t step = 1; step <= 1000; step++) {
        ck_ok(amun__progress_tick(&state, "train", step, 1000, 0.5, (double)NAN));
    }
    ck_assert_int_eq(s.count, 2);
    ck_assert_uint_eq(s.steps[0], 1);
    ck_assert_uint_eq(s.steps[1], 1000);
    ck_assert_str_eq(s.last.phase, "train");
    ck_assert_uint_eq(s.last.struct_size, sizeof(amun_progress));
    ck_assert_uint_eq(s.last.total, 1000);
    ck_assert(s.last.loss == 0.5 && isnan(s.last.metric));
    ck_assert(s.last.seconds >= 0.0 && s.last.seconds < 60.0);
}
END_TEST

START_TEST(test_interval)
{
    seen s = {0};
    amun_call_options call = options_for(&s, 0);
    amun__progress_state state;
    ck_ok(amun__progress_begin(&state, &call));
    for (uint64_t step = 1; step <= 20; step++) {
        ck_ok(amun__progress_tick(&state, "attack", step, 0, 0.0, 0.0));
    }
    ck_assert_int_eq(s.count, 20); /* 0 ms: every step, the total being unknown or not */
    s = (seen){0};
    call.min_interval_ms = 50;
    ck_ok(amun__progress_begin(&state, &call));
    ck_ok(amun__progress_tick(&state, "attack", 1, 0, 0.0, 0.0));
    double began = amun__now();
    uint64_t step = 2;
    while (amun__now() - began < 0.12) {
        ck_ok(amun__progress_tick(&state, "attack", step++, 0, 0.0, 0.0));
    }
    ck_assert_int_ge(s.count, 2);
    ck_assert_int_le(s.count, 4);
}
END_TEST

START_TEST(test_cancel)
{
    seen s = {.stop_at = 3, .fails = 1};
    amun_call_options call = options_for(&s, 0);
    amun__progress_state state;
    ck_ok(amun__progress_begin(&state, &call));
    ck_ok(amun__progress_tick(&state, "references", 1, 9, 0.0, 0.0));
    ck_assert_str_eq(amun_last_error_message(), ""); /* the callback's own failure is forgotten */
    ck_ok(amun__progress_tick(&state, "references", 2, 9, 0.0, 0.0));
    ck_fails(amun__progress_tick(&state, "references", 3, 9, 0.0, 0.0), AMUN_ERROR_CANCELLED,
             "references");
    ck_assert(strstr(amun_last_error_message(), "step 3") != NULL);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("progress");
    tcase_add_test(tc, test_without_callback);
    tcase_add_test(tc, test_options_are_checked);
    tcase_add_test(tc, test_first_and_last_are_told);
    tcase_add_test(tc, test_interval);
    tcase_add_test(tc, test_cancel);
    return amun_test_main("core_progress", (TCase *[]){tc, NULL});
}
