/* progress.c - the clock, and telling the caller how far a long call has come. */
#include <time.h>

#include "core/core.h"

static const amun_call_options default_options = {
    .struct_size = sizeof(amun_call_options),
    .progress = NULL,
    .user_data = NULL,
    .min_interval_ms = 100,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_call_options, progress, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_call_options, user_data, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_call_options, min_interval_ms, AMUN__FIELD_I32, 0, 3600000),
    AMUN__FIELD(amun_call_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const amun__options_table option_table = {
    .name = "amun_call_options",
    .size = sizeof(amun_call_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_call_options_init(amun_call_options *opts, size_t size)
{
    return amun__options_init(&option_table, opts, size);
}

double amun__now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

amun_status amun__progress_begin(amun__progress_state *state, const amun_call_options *call)
{
    memset(state, 0, sizeof *state);
    state->began = amun__now();
    state->last = -INFINITY;
    return amun__options_read(&option_table, &state->call, call);
}

amun_status amun__progress_tick(amun__progress_state *state, const char *phase, uint64_t step,
                                uint64_t total, double loss, double metric)
{
    if (state == NULL || state->call.progress == NULL) {
        return AMUN_OK;
    }
    double now = amun__now();
    bool edge = step <= 1 || step == total;
    if (!edge && (now - state->last) * 1000.0 < (double)state->call.min_interval_ms) {
        return AMUN_OK;
    }
    state->last = now;
    const amun_progress report = {
        .struct_size = sizeof report,
        .phase = phase,
        .step = step,
        .total = total,
        .loss = loss,
        .metric = metric,
        .seconds = now - state->began,
    };
    if (state->call.progress(&report, state->call.user_data) == 0) {
        amun__enter(); /* the callback may have called, and failed, on this thread */
        return AMUN_OK;
    }
    return amun__fail(AMUN_ERROR_CANCELLED, "%s: stopped by the progress callback at step %llu",
                      phase, (unsigned long long)step);
}
