/* threads.c - how many threads a call uses, and the refusal to use them in a forked child. */
#include <pthread.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "core/context_private.h"

/* libgomp's pool does not survive fork(): the child would wait for threads that it does not have.
 * So the child is marked and calls with more than one thread are refused there. */
static _Atomic int32_t forked_child;
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static void on_fork_child(void)
{
    atomic_store_explicit(&forked_child, 1, memory_order_relaxed);
}

static void watch(void)
{
    /* Fails only for want of memory; then forks go unnoticed, which is no worse than OpenMP. */
    (void)pthread_atfork(NULL, NULL, on_fork_child);
}

void amun__threads_watch_forks(void)
{
    (void)pthread_once(&watch_once, watch);
}

int32_t amun__threads_count(const amun_context *ctx)
{
#ifdef _OPENMP
    int32_t count = atomic_load_explicit(&amun__context_root(ctx)->threads, memory_order_relaxed);
    if (count == 0) {
        count = omp_get_max_threads();
    }
    return count < 1 ? 1 : count > AMUN__MAX_THREADS ? AMUN__MAX_THREADS : count;
#else
    (void)ctx;
    return 1;
#endif
}

amun_status amun__threads_begin(const amun_context *ctx, amun__threads *scope)
{
    scope->saved = 0;
    scope->count = amun__threads_count(ctx);
    if (scope->count > 1 && atomic_load_explicit(&forked_child, memory_order_relaxed) != 0) {
        return amun__fail(AMUN_ERROR_STATE,
                          "%d threads cannot run in a process forked while the library was in use: "
                          "set threads to 1, or start the process without fork",
                          (int)scope->count);
    }
#ifdef _OPENMP
    scope->saved = omp_get_max_threads();
    omp_set_num_threads(scope->count);
#endif
    return AMUN_OK;
}

void amun__threads_end(const amun__threads *scope)
{
#ifdef _OPENMP
    if (scope->saved > 0) {
        omp_set_num_threads(scope->saved);
    }
#else
    (void)scope;
#endif
}
