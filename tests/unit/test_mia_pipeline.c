/* The published self-test of the whole audit, on the digits: each reference model as the target of
 * the others, and a model that was trained on nothing. */
#include "amun/mia.h"
#include "mia/audit.h"
#include "training.h"

/* 300 digits as train and 300 as test, and a network with one hidden layer, small enough to train
 * nine times in a test and large enough to know its images by heart. */
typedef struct digits {
    amun_context *ctx;
    amun_dataset *all, *train, *test;
    amun_model *model;
} digits;

static void digits_begin(digits *d)
{
    enum { ALL = 1797, PART = 300 };
    static int64_t indices[ALL];
    amun_graph *graph = NULL;
    amun_node node = 0;
    *d = (digits){0};
    ck_ok(amun_context_create(&d->ctx, NULL));
    ck_ok(amun_context_set_threads(d->ctx, 1)); /* layers this small only wait for each other */
    d->all = digits_open(d->ctx);
    ck_ok(amun_forget_indices(indices, ALL, ALL, 5)); /* a permutation */
    ck_ok(amun_dataset_subset(&d->train, d->all, indices, PART));
    ck_ok(amun_dataset_subset(&d->test, d->all, indices + PART, PART));
    ck_ok(amun_graph_create(&graph, d->ctx, 1, 8, 8));
    ck_ok(amun_graph_flatten(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "hidden", 128, 1));
    ck_ok(amun_graph_relu(&node, graph, node));
    ck_ok(amun_graph_linear(&node, graph, node, "fc", 10, 1));
    ck_ok(amun_model_create_graph(&d->model, d->ctx, graph, 0));
    amun_graph_unref(graph);
}

static void digits_end(digits *d)
{
    amun_model_unref(d->model);
    amun_dataset_unref(d->train);
    amun_dataset_unref(d->test);
    amun_dataset_unref(d->all);
    amun_context_unref(d->ctx);
}

/* AUC in percent of included against not included among samples first..n-1, for `target` judged by
 * `models` rows. */
static double inclusion_auc(const double *target, const double *rows, const uint8_t *row_included,
                            const uint8_t *truth, size_t models, size_t n, size_t first,
                            amun_rmia_mode mode)
{
    double *score = malloc(n * sizeof *score), *in = malloc(n * sizeof *in),
           *out = malloc(n * sizeof *out), auc;
    size_t n_in = 0, n_out = 0;
    ck_assert(score != NULL && in != NULL && out != NULL);
    amun_rmia_options o;
    ck_ok(amun_rmia_options_init(&o, sizeof o));
    o.mode = mode;
    ck_ok(amun_rmia_scores(score, target, rows, row_included, NULL, models, n, &o));
    for (size_t i = first; i < n; i++) {
        if (truth[i]) {
            in[n_in++] = score[i];
        } else {
            out[n_out++] = score[i];
        }
    }
    ck_ok(amun_auc_compute(&auc, in, n_in, out, n_out));
    free(score);
    free(in);
    free(out);
    return 100.0 * auc;
}

/* Signals of a model on the pool, by the public way. */
static double *signals_of(const digits *d, const amun_model *model)
{
    size_t counts[2] = {amun_dataset_count(d->train), amun_dataset_count(d->test)};
    size_t n = counts[0] + counts[1];
    float *images = malloc(n * 64 * sizeof *images), *logits = malloc(n * 10 * sizeof *logits);
    int64_t *labels = malloc(n * sizeof *labels);
    double *signals = malloc(n * sizeof *signals);
    amun_tensor_view pixels, outputs, truth;
    ck_assert(images != NULL && logits != NULL && labels != NULL && signals != NULL);
    ck_ok(amun_dataset_read(d->train, 0, counts[0], images));
    ck_ok(amun_dataset_read(d->test, 0, counts[1], images + counts[0] * 64));
    ck_ok(amun_dataset_labels(d->train, 0, counts[0], labels));
    ck_ok(amun_dataset_labels(d->test, 0, counts[1], labels + counts[0]));
    ck_ok(amun_tensor_view_init(&pixels, images, AMUN_DTYPE_F32, 4,
                                (int64_t[]){(int64_t)n, 1, 8, 8}));
    ck_ok(amun_tensor_view_init(&outputs, logits, AMUN_DTYPE_F32, 2, (int64_t[]){(int64_t)n, 10}));
    ck_ok(amun_tensor_view_init(&truth, labels, AMUN_DTYPE_I64, 1, (int64_t[]){(int64_t)n}));
    ck_ok(amun_model_predict(model, &pixels, &outputs, NULL));
    ck_ok(amun_signal_compute(signals, NULL, &outputs, &truth, NULL));
    free(images);
    free(logits);
    free(labels);
    return signals;
}

typedef struct self_test {
    double online, offline, least, fresh, test_half;
} self_test;

/* Each reference as the target, its row deleted: the attack must know its members. Online, the
 * deleted row leaves a trace in the balance of the others (of a member's models, one fewer is IN),
 * so the offline score, which has no such trace, must know them too. A fresh model has no members:
 * scored against all rows, it has nothing in common with any of the eight splits. */
static void run_self_test(const amun_mia *mia, const double *fresh, self_test *out)
{
    size_t n = mia->n_pool, models = (size_t)mia->options.references;
    double *rows = malloc((models - 1) * n * sizeof *rows);
    uint8_t *included = malloc((models - 1) * n);
    ck_assert(rows != NULL && included != NULL);
    *out = (self_test){.least = 100.0};
    for (size_t m = 0; m < models; m++) {
        for (size_t k = 0, to = 0; k < models; k++) {
            if (k != m) {
                memcpy(rows + to * n, mia->signals + k * n, n * sizeof *rows);
                memcpy(included + to++ * n, mia->included + k * n, n);
            }
        }
        const uint8_t *truth = mia->included + m * n;
        const double *target = mia->signals + m * n;
        double auc =
            inclusion_auc(target, rows, included, truth, models - 1, n, 0, AMUN_RMIA_ONLINE);
        out->least = auc < out->least ? auc : out->least;
        out->online += auc / (double)models;
        out->offline +=
            inclusion_auc(target, rows, included, truth, models - 1, n, 0, AMUN_RMIA_OFFLINE) /
            (double)models;
        out->test_half += inclusion_auc(target, rows, included, truth, models - 1, n, mia->n_train,
                                        AMUN_RMIA_OFFLINE) /
                          (double)models;
        out->fresh += inclusion_auc(fresh, mia->signals, mia->included, truth, models, n, 0,
                                    AMUN_RMIA_ONLINE) /
                      (double)models;
    }
    free(rows);
    free(included);
}

START_TEST(test_pipeline)
{
    digits d;
    amun_mia *mia = NULL;
    amun_mia_options o;
    amun_train_options train = train_options(60, 32, 0.1);
    train.weight_decay = 0.0;
    train.schedule = AMUN_SCHEDULE_COSINE;
    digits_begin(&d);
    ck_ok(amun_mia_options_init(&o, sizeof o));
    o.references = 8;
    ck_ok(amun_mia_create(&mia, d.ctx, d.train, d.test, &o));
    double began = amun__now();
    ck_ok(amun_mia_train_references(mia, d.model, &train, NULL, NULL));
    double trained = amun__now();
    self_test t;
    double *fresh = signals_of(&d, d.model);
    run_self_test(mia, fresh, &t);
    free(fresh);
    fprintf(stderr,
            "# 8 references in %.1f s; AUC online %.2f (least %.2f), offline %.2f, its test half "
            "%.2f, fresh %.2f\n",
            trained - began, t.online, t.least, t.offline, t.test_half, t.fresh);
    ck_assert(t.online > 56.0 && t.least > 52.0 && t.offline > 55.0);
    ck_assert(t.test_half > 55.0);
    ck_assert(fabs(t.fresh - 50.0) < 2.5); /* three deviations of eight splits of 600 */

    int64_t forget[150];
    for (int64_t i = 0; i < 150; i++) {
        forget[i] = 2 * i;
    }
    amun_audit a = {.struct_size = sizeof a};
    ck_ok(amun_train_run(NULL, d.model, d.train, NULL, 0, &train, NULL));
    ck_ok(amun_mia_audit(&a, mia, d.model, forget, 150, NULL));
    fprintf(stderr,
            "# audit in %.3f s: UA %.1f RA %.1f TA %.1f FT %.2f +- %.2f FR %.2f RT %.2f MIS %.1f\n",
            a.seconds, a.ua, a.ra, a.ta, a.ft_auc, a.ft_auc_sd, a.fr_auc, a.rt_auc, a.mis);
    ck_assert(a.ua > 99.0 && a.ra > 99.0 && a.ta > 85.0 && a.ta < 99.0);
    /* trained on both alike: told from the test images, not from each other (sd 3.3 points) */
    ck_assert(a.rt_auc > 55.0 && a.ft_auc > 55.0);
    ck_assert(fabs(a.fr_auc - 50.0) < 10.0);
    amun_mia_unref(mia);
    digits_end(&d);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("pipeline");
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, test_pipeline);
    return amun_test_main("mia_pipeline", (TCase *[]){tc, NULL});
}
