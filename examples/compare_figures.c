/* compare_figures.c - figures of models that should have forgotten classes, from their logits:
 * accuracies, where the forgotten images go, attacks, distances to retrained models. */
#include "compare_class.h"

bool compare_class_gone(const compare_job *job, int64_t label)
{
    for (size_t i = 0; i < job->forget_class_count; i++) {
        if (job->forget_classes[i] == label) {
            return true;
        }
    }
    return false;
}

static void accuracies(const table *t, row *r, size_t run)
{
    size_t seen[2] = {0}, right[2] = {0}, right_df = 0;
    const float *test = r->out.test + run * t->test * t->classes;
    const float *forget = r->out.forget + run * t->forget * t->classes;
    for (size_t i = 0; i < t->test; i++) {
        int64_t said = ex_argmax(test + i * t->classes, t->classes);
        int gone = compare_class_gone(t->job, t->labels[i]);
        seen[gone]++;
        right[gone] += said == t->labels[i];
        if (gone) {
            r->routing[said] += 1.0;
        }
    }
    for (size_t i = 0; i < t->forget; i++) {
        right_df += ex_argmax(forget + i * t->classes, t->classes) == t->forget_labels[i];
    }
    r->figures[ACC_R][run] = 100.0 * (double)right[0] / (double)seen[0];
    r->figures[ACC_F][run] = 100.0 * (double)right[1] / (double)seen[1];
    r->figures[ACC_DF][run] = 100.0 * (double)right_df / (double)t->forget;
}

static void view3(amun_tensor_view *view, float *logits, size_t models, size_t rows, size_t classes)
{
    const int64_t shape[3] = {(int64_t)models, (int64_t)rows, (int64_t)classes};
    ex_check(amun_tensor_view_init(view, logits, AMUN_DTYPE_F32, 3, shape));
}

static void view2(amun_tensor_view *view, float *logits, size_t rows, size_t classes)
{
    const int64_t shape[2] = {(int64_t)rows, (int64_t)classes};
    ex_check(amun_tensor_view_init(view, logits, AMUN_DTYPE_F32, 2, shape));
}

static void view1(amun_tensor_view *view, int64_t *labels, size_t rows)
{
    ex_check(amun_tensor_view_init(view, labels, AMUN_DTYPE_I64, 1, &(int64_t){(int64_t)rows}));
}

/* Fitted on D_R against D_F, asked about the test images of the forgotten classes; and losses of
 * D_F against those of these test images. */
static void membership(const table *t, row *r, size_t run)
{
    const float *test = r->out.test + run * t->test * t->classes;
    float *queries = ex_alloc(t->test * t->classes, sizeof *queries);
    int64_t *labels = ex_alloc(t->test, sizeof *labels);
    size_t count = 0;
    amun_tensor_view views[3], label_views[3];
    amun_svcmia result = {.struct_size = sizeof result};
    amun_lossmia loss = {.struct_size = sizeof loss};
    for (size_t i = 0; i < t->test; i++) {
        if (compare_class_gone(t->job, t->labels[i])) {
            memcpy(queries + count * t->classes, test + i * t->classes,
                   t->classes * sizeof *queries);
            labels[count++] = t->labels[i];
        }
    }
    view2(&views[0], r->out.remain + run * t->remain * t->classes, t->remain, t->classes);
    view2(&views[1], r->out.forget + run * t->forget * t->classes, t->forget, t->classes);
    view2(&views[2], queries, count, t->classes);
    view1(&label_views[0], t->kept_labels, t->remain);
    view1(&label_views[1], t->forget_labels, t->forget);
    view1(&label_views[2], labels, count);
    amun_status status = amun_svcmia_kodge(&result, &views[0], &label_views[0], &views[1],
                                           &label_views[1], &views[2], &label_views[2], NULL);
    if (status != AMUN_ERROR_UNSUPPORTED) { /* without libsvm: no figure */
        ex_check(status);
    }
    r->figures[MIA][run] = status == AMUN_OK ? result.confidence : (double)NAN;
    ex_check(
        amun_lossmia_logits(&loss, &views[1], &label_views[1], &views[2], &label_views[2], NULL));
    r->figures[LOSS][run] = loss.accuracy;
    free(queries);
    free(labels);
}

/* One model against retrained ones. A retrained model stands against the others. */
static void distances(const table *t, row *r, size_t run)
{
    const row *gold = &t->rows[1];
    size_t size = t->test * t->classes, models = gold->runs;
    float *own = r->out.test + run * size, *others = gold->out.test, *rest = NULL;
    if (r == gold) {
        models--;
        rest = ex_alloc(gold->runs * size, sizeof *rest);
        memcpy(rest, others, run * size * sizeof *rest);
        memcpy(rest + run * size, others + (run + 1) * size, (models - run) * size * sizeof *rest);
        others = rest;
    }
    r->figures[NN_GAP][run] = r->figures[TOP_GAP][run] = r->figures[C2ST][run] =
        r->figures[TV][run] = (double)NAN;
    if (models > 0) {
        amun_tensor_view retrained, unlearned, labels;
        amun_miann nn = {.struct_size = sizeof nn};
        amun_c2st c2st = {.struct_size = sizeof c2st};
        amun_distance far = {.struct_size = sizeof far};
        view3(&retrained, others, models, t->test, t->classes);
        view2(&unlearned, own, t->test, t->classes);
        view1(&labels, t->labels, t->test);
        ex_check(amun_miann_compute(&nn, NULL, NULL, &retrained, &unlearned, &labels,
                                    t->job->forget_classes, t->job->forget_class_count, NULL));
        ex_check(amun_c2st_compute(&c2st, &retrained, &unlearned, &labels, t->job->forget_classes,
                                   t->job->forget_class_count, NULL));
        ex_check(amun_distance_compute(&far, NULL, &retrained, &unlearned, &labels,
                                       t->job->forget_classes, t->job->forget_class_count));
        r->figures[TV][run] = 100.0 * far.tv;
        r->figures[NN_GAP][run] = nn.gap;
        r->figures[TOP_GAP][run] = nn.top_gap;
        r->figures[C2ST][run] = c2st.retained;
    }
    free(rest);
}

/* All runs of a method against all retrained models, on D_F. */
static void likelihoods(const table *t, row *r)
{
    const row *gold = &t->rows[1];
    if (r == gold || r->runs < 3 || gold->runs < 3) {
        return;
    }
    amun_tensor_view unlearned, retrained, labels;
    amun_ulira result = {.struct_size = sizeof result};
    view3(&unlearned, r->out.forget, r->runs, t->forget, t->classes);
    view3(&retrained, gold->out.forget, gold->runs, t->forget, t->classes);
    view1(&labels, t->forget_labels, t->forget);
    ex_check(amun_ulira_class(&result, &unlearned, &retrained, NULL, &labels,
                              t->job->forget_classes, t->job->forget_class_count, NULL));
    r->ulira = result.auc;
}

void compare_class_evaluate(table *t, row *r)
{
    double sum = 0.0;
    memset(r->routing, 0, t->classes * sizeof *r->routing);
    for (size_t run = 0; run < r->runs; run++) {
        accuracies(t, r, run);
        membership(t, r, run);
        distances(t, r, run);
    }
    for (size_t k = 0; k < t->classes; k++) {
        sum += r->routing[k];
    }
    for (size_t k = 0; k < t->classes; k++) {
        r->routing[k] *= 100.0 / sum;
    }
    likelihoods(t, r);
}
