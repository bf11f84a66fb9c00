/* test_oom_library.c - the n-th allocation fails in the calls without a context, whose memory comes
 * from the C library: scores, audits of a class, tilts. The status is OUT_OF_MEMORY, with a
 * message, nothing is left over (the sanitizer looks), and the next call works. */
#include "oom.h"

/* Stands in for the C library's, for the calls that have no context. Only while `failing` is set
 * does it fail, and only on the thread that set it: others belong to OpenMP. */
static _Thread_local int64_t library_calls, library_fail_at, library_fail_count;

void *aligned_alloc(size_t align, size_t size)
{
    void *block = NULL;
    int64_t call = ++library_calls;
    bool fails = library_fail_at > 0 && call >= library_fail_at &&
                 call - library_fail_at < library_fail_count;
    return fails || posix_memalign(&block, align, size) != 0 ? NULL : block;
}

static void ck_library(const scenario *s)
{
    int64_t failures = 0;
    bool more = true;
    ck_ok(s->run(s->which)); /* OpenMP has its threads from here on */
    for (int64_t n = 1; more; n = oom_next(n)) {
        library_fail_count = oom_count(n);
        library_fail_at = library_calls + n;
        amun_status status = s->run(s->which);
        more = library_calls >= library_fail_at;
        library_fail_at = 0;
        ck_oom(s, n, status, more);
        failures += status != AMUN_OK;
    }
    ck_oom_enough(s, failures);
    ck_ok(s->run(s->which));
}

/* ---- without a context -------------------------------------------------------------------------
 */

enum { ROWS = 15, SHADOWS = 3 };
static double outputs[SHADOWS][ROWS][TINY_CLASSES], scores[SHADOWS][ROWS];
static int64_t classes[ROWS];
static uint8_t state[SHADOWS][ROWS], truth[ROWS];
static amun_tensor_view models, one, labels;
static const int64_t forgotten[1] = {1};

static void fill_outputs(void)
{
    const int64_t shape[3] = {SHADOWS, ROWS, TINY_CLASSES};
    for (int i = 0; i < ROWS; i++) {
        classes[i] = i % TINY_CLASSES;
        truth[i] = i % 2 == 0;
        for (int m = 0; m < SHADOWS; m++) {
            scores[m][i] = 0.5 + 0.4 * sin(3.0 * i + m);
            state[m][i] = (uint8_t)((i + m) % 2);
            for (int j = 0; j < TINY_CLASSES; j++) {
                outputs[m][i][j] = (j == classes[i] ? 3.0 : 0.0) + sin(5.0 * i + 3.0 * j + 2.0 * m);
            }
        }
    }
    ck_ok(amun_tensor_view_init(&models, outputs, AMUN_DTYPE_F64, 3, shape));
    ck_ok(amun_tensor_view_init(&one, outputs, AMUN_DTYPE_F64, 2, shape + 1));
    ck_ok(amun_tensor_view_init(&labels, classes, AMUN_DTYPE_I64, 1, shape + 1));
}

enum { MIANN, C2ST, ULIRA, ULIRA_SAMPLES, DISTANCE, ROUTING, ZRF, KLOM, LAST_AUDIT = KLOM };

static amun_status audit(int32_t which)
{
    amun_miann miann = {.struct_size = sizeof miann};
    amun_c2st c2st = {.struct_size = sizeof c2st};
    amun_ulira ulira = {.struct_size = sizeof ulira};
    amun_ulira_samples samples = {.struct_size = sizeof samples};
    amun_distance distance = {.struct_size = sizeof distance};
    double shares[(SHADOWS + 1) * TINY_CLASSES], zrf, mean, p95;
    switch (which) {
    case MIANN:
        return amun_miann_compute(&miann, NULL, NULL, &models, &one, &labels, forgotten, 1, NULL);
    case C2ST:
        return amun_c2st_compute(&c2st, &models, &one, &labels, forgotten, 1, NULL);
    case ULIRA:
        return amun_ulira_class(&ulira, &models, &models, &one, &labels, forgotten, 1, NULL);
    case ULIRA_SAMPLES:
        return amun_ulira_sample_scores(&samples, NULL, scores[0], state[0], SHADOWS, scores[0],
                                        truth, ROWS, NULL);
    case DISTANCE:
        return amun_distance_compute(&distance, NULL, &models, &one, &labels, forgotten, 1);
    case ROUTING:
        return amun_distance_routing(shares, &models, &one, &labels, forgotten, 1);
    case ZRF:
        return amun_distance_zrf(&zrf, &one, &one);
    default:
        return amun_distance_klom(&mean, &p95, NULL, scores[0], SHADOWS, scores[0], SHADOWS, ROWS);
    }
}

enum { PROBE, PROTOTYPE, LOSSMIA, QUALITY };

static amun_status probe(int32_t which)
{
    amun_probe probed = {.struct_size = sizeof probed};
    amun_prototype prototype = {.struct_size = sizeof prototype};
    amun_lossmia losses = {.struct_size = sizeof losses};
    amun_quality quality = {.struct_size = sizeof quality};
    amun_tensor_view rows = one;
    rows.shape[0] = TINY_CLASSES;
    switch (which) {
    case PROBE:
        return amun_probe_compute(&probed, NULL, &one, &labels, &one, &labels, TINY_CLASSES,
                                  forgotten, 1, NULL);
    case PROTOTYPE:
        return amun_prototype_compute(&prototype, &rows, NULL, &one, &labels, &one, &labels,
                                      forgotten, 1, NULL);
    case LOSSMIA:
        return amun_lossmia_compute(&losses, scores[0], ROWS, scores[1], ROWS, NULL);
    default:
        return amun_quality_compute(&quality, NULL, scores[0], 2, scores[1], 2, ROWS, NULL);
    }
}

enum { SIGNAL, RMIA, INCLUSION, AUC, TPR, FEATURES, FORGET_INDICES, CHECK_SCORES };

static amun_status score(int32_t which)
{
    amun_forget_check check = {.struct_size = sizeof check};
    uint8_t included[4 * ROWS];
    double out[ROWS], value;
    int64_t indices[ROWS];
    switch (which) {
    case SIGNAL:
        return amun_signal_compute(out, NULL, &one, &labels, NULL);
    case RMIA:
        return amun_rmia_scores(out, scores[0], scores[0], NULL, NULL, SHADOWS, ROWS, NULL);
    case INCLUSION:
        return amun_rmia_inclusion(included, 4, ROWS, 7);
    case AUC:
        return amun_auc_compute(&value, scores[0], ROWS, scores[1], ROWS);
    case TPR:
        return amun_tpr_at_fpr(&value, scores[0], ROWS, scores[1], ROWS, 0.1);
    case FEATURES:
        return amun_svc_features(out, NULL, NULL, &one, &labels);
    case FORGET_INDICES:
        return amun_forget_indices(indices, ROWS, ROWS, 3);
    default:
        return amun_forget_check_scores(&check, scores[0], ROWS, scores[1], ROWS, 0.95);
    }
}

enum { TRW_SCORES, TRW_SAMPLES, TRW_TARGETS, TRW_SOLVE };

/* Rows of the forgotten class: 1, 4, 7, ... */
static amun_status tilt(int32_t which)
{
    double table[5 * TINY_CLASSES] = {0}, value;
    int64_t own[5] = {1, 1, 1, 1, 1}, rest[10];
    amun_tensor_view mine = one, own_labels = view1(own, AMUN_DTYPE_I64, 5), others = one;
    mine.data = outputs[0][1];
    mine.shape[0] = 5;
    mine.strides[0] *= 3;
    others.shape[0] = 10;
    for (int i = 0; i < 10; i++) {
        rest[i] = i % 2 * 2;
    }
    amun_tensor_view rest_labels = view1(rest, AMUN_DTYPE_I64, 10), rows = one;
    rows.shape[0] = TINY_CLASSES;
    for (int i = 0; i < 5; i++) {
        table[i * TINY_CLASSES] = 0.25;
        table[i * TINY_CLASSES + 2] = 0.75;
    }
    switch (which) {
    case TRW_SCORES:
        return amun_trw_scores(table, &rows, NULL, forgotten, 1, NULL);
    case TRW_SAMPLES:
        return amun_trw_sample_scores(table, &mine, &others, &rest_labels, forgotten, 1,
                                      TINY_CLASSES, NULL);
    case TRW_TARGETS:
        return amun_trw_targets(table, &mine, &own_labels, forgotten, 1, table, NULL);
    default:
        return amun_trw_solve_beta(&value, &mine, &own_labels, forgotten, 1, table, 0.7);
    }
}

static const scenario without_context[] = {
    {"miann", audit, MIANN, 3},
    {"c2st", audit, C2ST, 3},
    {"ulira", audit, ULIRA, 3},
    {"ulira samples", audit, ULIRA_SAMPLES, 1},
    {"distance", audit, DISTANCE, 3},
    {"routing", audit, ROUTING, 3},
    {"zrf", audit, ZRF, 1},
    {"klom", audit, KLOM, 1},
    {"probe", probe, PROBE, 3},
    {"prototype", probe, PROTOTYPE, 3},
    {"lossmia", probe, LOSSMIA, 1},
    {"quality", probe, QUALITY, 1},
    {"signal", score, SIGNAL, 1},
    {"rmia", score, RMIA, 1},
    {"inclusion", score, INCLUSION, 1},
    {"auc", score, AUC, 1},
    {"tpr", score, TPR, 1},
    {"features", score, FEATURES, 1},
    {"forget_indices", score, FORGET_INDICES, 1},
    {"check scores", score, CHECK_SCORES, 1},
    {"trw scores", tilt, TRW_SCORES, 3},
    {"trw sample scores", tilt, TRW_SAMPLES, 3},
    {"trw targets", tilt, TRW_TARGETS, 1},
    {"trw solve_beta", tilt, TRW_SOLVE, 1},
};

START_TEST(nth_library_allocation_fails)
{
    ck_library(&without_context[_i]);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("oom_library");
    tcase_add_unchecked_fixture(tc, fill_outputs, NULL);
    tcase_add_loop_test(tc, nth_library_allocation_fails, 0,
                        sizeof without_context / sizeof without_context[0]);
    return api_main("oom_library", (TCase *[]){tc, NULL});
}
