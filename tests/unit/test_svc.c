/* SVC-MIA against scikit-learn: values from
 *
 *     import numpy as np
 *     from sklearn.svm import SVC
 *     i, j = np.arange(200), np.arange(90)
 *     mem = 1 - ((i * 37) % 200) ** 2 / 100000
 *     non = 1 - ((i * 53 + 11) % 200) ** 2 / 50000
 *     f = 1 - ((j * 29 + 5) % 90) / 95
 *     y = np.r_[np.ones(200), np.zeros(200)]
 *     c = SVC(C=3, gamma='auto').fit(np.r_[mem, non][:, None], y)
 *     print((c.predict(f[:, None]) == 0).sum())                        # 56 of 90
 *     mem = 0.4 + ((i * 37) % 200) / 1000                              # members in the middle
 *     non = np.where(i % 2 == 0, ((i * 53) % 200) / 600, 0.66 + ((i * 53 + 11) % 200) / 600)
 *     f = ((j * 29 + 5) % 90) / 89
 *     c = SVC(C=3, gamma='auto').fit(np.r_[mem, non][:, None], y)
 *     print((c.predict(f[:, None]) == 0).sum())                        # 54 of 90
 *
 * No query is closer to a boundary than 0.01 in the decision value, ten times the tolerance. */
#include <stdio.h>
#include <unistd.h>

#include "amun/mia.h"
#include "mia/audit.h"
#include "support.h"

enum { N = 200, F = 90 };

static void first_case(double *members, double *nonmembers, double *forget)
{
    for (int i = 0; i < N; i++) {
        int a = (i * 37) % N, b = (i * 53 + 11) % N;
        members[i] = 1.0 - a * a / 100000.0;
        nonmembers[i] = 1.0 - b * b / 50000.0;
    }
    for (int j = 0; j < F; j++) {
        forget[j] = 1.0 - ((j * 29 + 5) % F) / 95.0;
    }
}

START_TEST(test_golden)
{
    double members[N], nonmembers[N], forget[F], mis = NAN;
    if (!amun__svc_available()) {
        return;
    }
    first_case(members, nonmembers, forget);
    ck_ok(amun_svc_mis(&mis, members, nonmembers, N, forget, F));
    ck_close(mis, 100.0 * 56.0 / 90.0, 1e-12);
    for (int i = 0; i < N; i++) { /* needs the curved boundary: members lie between */
        members[i] = 0.4 + ((i * 37) % N) / 1000.0;
        nonmembers[i] = i % 2 == 0 ? ((i * 53) % N) / 600.0 : 0.66 + ((i * 53 + 11) % N) / 600.0;
    }
    for (int j = 0; j < F; j++) {
        forget[j] = ((j * 29 + 5) % F) / 89.0;
    }
    ck_ok(amun_svc_mis(&mis, members, nonmembers, N, forget, F));
    ck_close(mis, 100.0 * 54.0 / 90.0, 1e-12);
}
END_TEST

/* libsvm prints by default; a library must not. */
START_TEST(test_silent)
{
    double members[N], nonmembers[N], forget[F], mis;
    if (!amun__svc_available()) {
        return;
    }
    first_case(members, nonmembers, forget);
    const char *path = test_path("svc_stdout.txt");
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    FILE *file = fopen(path, "w");
    ck_assert(saved >= 0 && file != NULL);
    ck_assert(dup2(fileno(file), STDOUT_FILENO) >= 0);
    amun_status status = amun_svc_mis(&mis, members, nonmembers, N, forget, F);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    fseek(file, 0, SEEK_END);
    long written = ftell(file);
    fclose(file);
    remove(path);
    ck_assert_int_eq(status, AMUN_OK);
    ck_assert_int_eq(written, 0);
}
END_TEST

START_TEST(test_degenerate)
{
    double same[4] = {1.0, 1.0, 1.0, 1.0}, mis = NAN, again = NAN;
    if (!amun__svc_available()) {
        return;
    }
    ck_ok(amun_svc_mis(&mis, same, same, 4, same, 4)); /* nothing to tell apart: one class wins */
    ck_assert(mis == 0.0 || mis == 100.0);
    ck_ok(amun_svc_mis(&again, same, same, 4, same, 4));
    ck_assert(mis == again);
    ck_ok(amun_svc_mis(&mis, same, same, 1, same, 1)); /* one of each */
}
END_TEST

START_TEST(test_refusals)
{
    double a[2] = {0.2, 0.9}, bad[2] = {0.2, NAN}, mis = 7.0;
    ck_fails(amun_svc_mis(NULL, a, a, 2, a, 2), AMUN_ERROR_INVALID_ARGUMENT, "mis");
    ck_fails(amun_svc_mis(&mis, NULL, a, 2, a, 2), AMUN_ERROR_INVALID_ARGUMENT, "members");
    ck_fails(amun_svc_mis(&mis, a, NULL, 2, a, 2), AMUN_ERROR_INVALID_ARGUMENT, "nonmembers");
    ck_fails(amun_svc_mis(&mis, a, a, 2, NULL, 2), AMUN_ERROR_INVALID_ARGUMENT, "forget");
    ck_fails(amun_svc_mis(&mis, a, a, 0, a, 2), AMUN_ERROR_INVALID_ARGUMENT, "members: empty");
    ck_fails(amun_svc_mis(&mis, a, a, 2, a, 0), AMUN_ERROR_INVALID_ARGUMENT, "forget: empty");
    ck_fails(amun_svc_mis(&mis, bad, a, 2, a, 2), AMUN_ERROR_NUMERIC, "members: value 1");
    ck_fails(amun_svc_mis(&mis, a, bad, 2, a, 2), AMUN_ERROR_NUMERIC, "nonmembers: value 1");
    ck_fails(amun_svc_mis(&mis, a, a, 2, bad, 2), AMUN_ERROR_NUMERIC, "forget: value 1");
    ck_assert(mis == 7.0);
    if (!amun__svc_available()) {
        ck_fails(amun_svc_mis(&mis, a, a, 2, a, 2), AMUN_ERROR_UNSUPPORTED, "libsvm");
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("svc");
    tcase_add_test(tc, test_golden);
    tcase_add_test(tc, test_silent);
    tcase_add_test(tc, test_degenerate);
    tcase_add_test(tc, test_refusals);
    return amun_test_main("svc", (TCase *[]){tc, NULL});
}
