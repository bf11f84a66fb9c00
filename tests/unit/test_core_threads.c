/* Thread counts, the caller's OpenMP setting, and what a forked child may do. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "support.h"

#ifdef _OPENMP
START_TEST(test_setting_is_restored)
{
    amun_context *ctx;
    ck_ok(amun_context_create(&ctx, NULL));
    omp_set_num_threads(3);
    ck_assert_int_eq(amun_context_get_threads(ctx), 3); /* the runtime's choice */
    ck_ok(amun_context_set_threads(ctx, 2));
    ck_assert_int_eq(amun_context_get_threads(ctx), 2);
    amun__threads scope, inner;
    ck_ok(amun__threads_begin(ctx, &scope));
    ck_assert_int_eq(scope.count, 2);
    ck_assert_int_eq(omp_get_max_threads(), 2);
    ck_ok(amun_context_set_threads(ctx, 5));
    ck_ok(amun__threads_begin(ctx, &inner));
    ck_assert_int_eq(omp_get_max_threads(), 5);
    amun__threads_end(&inner);
    ck_assert_int_eq(omp_get_max_threads(), 2);
    amun__threads_end(&scope);
    ck_assert_int_eq(omp_get_max_threads(), 3);
    ck_ok(amun_context_set_threads(ctx, 0));
    ck_ok(amun__threads_begin(ctx, &scope));
    int32_t used = 0;
#pragma omp parallel reduction(+ : used)
    used += 1;
    ck_assert_int_eq(used, 3);
    amun__threads_end(&scope);
    ck_ok(amun_context_set_threads(ctx, 1024));
    ck_assert_int_eq(amun_context_get_threads(ctx), 1024);
    amun_context_unref(ctx);
}
END_TEST
#endif

/* 0 if the child behaves: several threads are refused with STATE, one thread works. */
static int32_t child_verdict(amun_context *ctx)
{
    amun__threads scope;
#ifdef _OPENMP
    if (amun_context_set_threads(ctx, 2) != AMUN_OK) {
        return 1;
    }
    if (amun__threads_begin(ctx, &scope) != AMUN_ERROR_STATE ||
        strstr(amun_last_error_message(), "2 threads") == NULL) {
        return 2;
    }
    amun__threads_end(&scope); /* after a failure: nothing */
#endif
    if (amun_context_set_threads(ctx, 1) != AMUN_OK) {
        return 3;
    }
    if (amun__threads_begin(ctx, &scope) != AMUN_OK || scope.count != 1) {
        return 4;
    }
    amun__threads_end(&scope);
    return 0;
}

START_TEST(test_forked_child)
{
    amun_context *ctx;
    ck_ok(amun_context_create(&ctx, NULL));
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        _exit(child_verdict(ctx));
    }
    int32_t status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    amun__threads scope; /* the parent is as before */
    ck_ok(amun_context_set_threads(ctx, 2));
    ck_ok(amun__threads_begin(ctx, &scope));
    amun__threads_end(&scope);
    amun_context_unref(ctx);
}
END_TEST

/* ---- side by side ---------------------------------------------------------------------------- */

typedef struct pieces {
    int32_t runs[16], threads[16];
    bool fails[16];
} pieces;

static amun_status run_piece(void *data, size_t i)
{
    pieces *p = data;
    int32_t threads = 0;
#pragma omp parallel reduction(+ : threads)
    threads += 1;
    p->runs[i]++;
    p->threads[i] = threads;
    return p->fails[i] ? amun__fail(AMUN_ERROR_NUMERIC, "piece %zu", i) : AMUN_OK;
}

START_TEST(test_side_by_side)
{
    amun_context *ctx;
    amun__threads scope;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_context_set_threads(ctx, 3));
    ck_ok(amun__threads_begin(ctx, &scope));
    for (size_t count = 0; count <= 16; count += count < 3 ? 1 : 13) {
        pieces p = {.runs = {0}};
        ck_ok(amun__side_by_side(count, run_piece, &p));
        for (size_t i = 0; i < 16; i++) {
            ck_assert_int_eq(p.runs[i], i < count);
            ck_assert_int_eq(p.threads[i], i >= count ? 0 : count == 1 ? scope.count : 1);
        }
        p.fails[2] = p.fails[3] = p.fails[15] = true; /* all are run, the first is told */
        if (count == 3 || count == 16) {
            ck_fails(amun__side_by_side(count, run_piece, &p), AMUN_ERROR_NUMERIC, "piece 2");
            ck_assert_int_eq(p.runs[count - 1], 2);
        }
    }
#ifdef _OPENMP
    ck_assert_int_eq(omp_get_max_threads(), 3); /* as before */
#endif
    amun__threads_end(&scope);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_deal)
{
    const double costs[7] = {1, 9, 2, 6, 0, 3, 3};
    int32_t hand[7];
    amun__deal(costs, 7, 1, hand);
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(hand[i], 0);
    }
    amun__deal(costs, 7, 2, hand);
    double sums[2] = {0.0, 0.0};
    for (int i = 0; i < 7; i++) {
        sums[hand[i]] += costs[i];
    }
    ck_assert_double_eq(sums[0], 12.0);
    ck_assert_double_eq(sums[1], 12.0);
    ck_assert_int_eq(hand[1], 0);
    ck_assert_int_eq(hand[3], 1);
    amun__deal(costs, 7, 9, hand); /* more hands than pieces */
    for (int i = 0; i < 7; i++) {
        ck_assert(hand[i] >= 0 && hand[i] < 9);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("threads");
#ifdef _OPENMP
    tcase_add_test(tc, test_setting_is_restored);
#endif
    tcase_add_test(tc, test_forked_child);
    tcase_add_test(tc, test_side_by_side);
    tcase_add_test(tc, test_deal);
    return amun_test_main("core_threads", (TCase *[]){tc, NULL});
}
