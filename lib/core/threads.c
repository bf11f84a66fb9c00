/* threads.c - how many threads a call uses, the refusal to use them in a forked child, and pieces
 * of work side by side. */
#include <pthread.h>
#include <stdio.h>
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

#ifdef _OPENMP
static int32_t in_range(int32_t count)
{
    return count < 1 ? 1 : count > AMUN__MAX_THREADS ? AMUN__MAX_THREADS : count;
}
#endif

int32_t amun__threads_count(const amun_context *ctx)
{
#ifdef _OPENMP
    int32_t count = atomic_load_explicit(&amun__context_root(ctx)->threads, memory_order_relaxed);
    return in_range(count == 0 ? omp_get_max_threads() : count);
#else
    (void)ctx;
    return 1;
#endif
}

int32_t amun__threads_here(void)
{
#ifdef _OPENMP
    return omp_in_parallel() ? 1 : in_range(omp_get_max_threads());
#else
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

/* ---- side by side ---------------------------------------------------------------------------- */

typedef struct first_failure {
    size_t index;
    amun_status status;
    char message[1024];
} first_failure;

static void note_failure(first_failure *first, size_t index, amun_status status)
{
    if (first->status == AMUN_OK || index < first->index) {
        first->index = index;
        first->status = status;
        (void)snprintf(first->message, sizeof first->message, "%s", amun_last_error_message());
    }
}

amun_status amun__side_by_side(size_t count, amun_status (*run)(void *data, size_t index),
                               void *data)
{
    first_failure first = {.status = AMUN_OK};
    if (count <= 1) {
        return count == 0 ? AMUN_OK : run(data, 0);
    }
#pragma omp parallel for schedule(static, 1) num_threads((int)count)
    for (size_t i = 0; i < count; i++) {
#ifdef _OPENMP
        omp_set_num_threads(1); /* of this thread's own regions, should nesting be on */
#endif
        const amun_status status = run(data, i);
        if (status != AMUN_OK) {
#pragma omp critical(amun__side_by_side)
            note_failure(&first, i, status);
        }
    }
    return first.status == AMUN_OK ? AMUN_OK : amun__fail(first.status, "%s", first.message);
}

void amun__deal(const double *costs, size_t count, size_t hands, int32_t *hand)
{
    for (size_t i = 0; i < count; i++) {
        hand[i] = -1;
    }
    for (size_t dealt = 0; dealt < count; dealt++) {
        size_t piece = count;
        int32_t least = 0;
        double smallest = (double)INFINITY;
        for (size_t i = 0; i < count; i++) {
            if (hand[i] < 0 && (piece == count || costs[i] > costs[piece])) {
                piece = i;
            }
        }
        for (size_t h = 0; h < hands; h++) {
            double sum = 0.0;
            for (size_t i = 0; i < count; i++) {
                sum += hand[i] == (int32_t)h ? costs[i] : 0.0;
            }
            least = sum < smallest ? (int32_t)h : least;
            smallest = fmin(sum, smallest);
        }
        hand[piece] = least;
    }
}
