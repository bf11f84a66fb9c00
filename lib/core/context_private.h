/* context_private.h - what a context holds. Only lib/core sees this. */
#ifndef AMUN__CONTEXT_PRIVATE_H
#define AMUN__CONTEXT_PRIVATE_H

#include <pthread.h>

#include "core/core.h"

enum { AMUN__ALIGN = 64, AMUN__MAX_THREADS = 1024 };

struct amun_context {
    amun__object object;
    amun_alloc_fn alloc; /* never NULL */
    amun_free_fn free;
    void *allocator_data;
    _Atomic uint64_t limit; /* 0: none */
    _Atomic uint64_t current, peak, blocks;
    _Atomic int32_t threads;  /* 0: the runtime's choice */
    int32_t plan_log;         /* AMUN_LOG=plan was set when the context was created */
    int32_t conv;             /* AMUN_CONV_*: forced by option or environment */
    int32_t precision;        /* AMUN_PRECISION_F32 or _BF16 */
    amun__tuning *tuning;     /* NULL: off */
    pthread_mutex_t tuning_lock;
    pthread_mutex_t log_lock; /* guards the three below; never held while log_fn runs */
    amun_log_fn log_fn;
    void *log_data;
    amun_log_level log_level;
};

/* Makes one line of formatted text; `cut` tells that it did not fit, so that its last UTF-8
 * character may be incomplete. */
void amun__status_tidy_line(char *text, bool cut);
/* Registers the fork handler, once per process. */
void amun__threads_watch_forks(void);
/* The user's own: a pooled context has no settings. */
static inline const amun_context *amun__context_root(const amun_context *ctx)
{
    while (ctx->object.ctx != NULL) {
        ctx = ctx->object.ctx;
    }
    return ctx;
}

#endif
