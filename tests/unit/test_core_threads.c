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

int main(void)
{
    TCase *tc = tcase_create("threads");
#ifdef _OPENMP
    tcase_add_test(tc, test_setting_is_restored);
#endif
    tcase_add_test(tc, test_forked_child);
    return amun_test_main("core_threads", (TCase *[]){tc, NULL});
}
