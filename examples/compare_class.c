/* compare_class.c - comparison on forgotten classes: the forget set, the models, and what they say.
 */
#include "compare_class.h"

/* ---- the forget set -------------------------------------------------------------------------- */

static int64_t *labels_of(const amun_dataset *ds)
{
    size_t count = amun_dataset_count(ds);
    int64_t *labels = ex_alloc(count, sizeof *labels);
    ex_check(amun_dataset_labels(ds, 0, count, labels));
    return labels;
}

/* D_R, evenly thinned out to what the membership attack needs. */
static void find_kept(table *t, const int64_t *labels, size_t count)
{
    enum { MOST = 5000 };
    size_t all = count - t->forget, seen = 0;
    size_t used = all < MOST ? all : MOST;
    t->kept = ex_alloc(used + 1, sizeof *t->kept);
    t->kept_labels = ex_alloc(used + 1, sizeof *t->kept_labels);
    for (size_t i = 0; i < count; i++) {
        if (compare_class_gone(t->job, labels[i])) {
            continue;
        }
        if (seen * used / all == t->remain && t->remain < used) {
            t->kept_labels[t->remain] = labels[i];
            t->kept[t->remain++] = (int64_t)i;
        }
        seen++;
    }
}

static void find_forget_set(table *t)
{
    const compare_job *job = t->job;
    size_t count = amun_dataset_count(job->data.train);
    int64_t *labels = labels_of(job->data.train);
    t->indices = ex_alloc(count, sizeof *t->indices);
    t->forget_labels = ex_alloc(count, sizeof *t->forget_labels);
    for (size_t i = 0; i < count; i++) {
        if (compare_class_gone(job, labels[i])) {
            t->forget_labels[t->forget] = labels[i];
            t->indices[t->forget++] = (int64_t)i;
        }
    }
    find_kept(t, labels, count);
    free(labels);
    if (t->forget == 0) {
        ex_usage("--class: no training sample of class %lld", (long long)job->forget_classes[0]);
    }
    t->labels = labels_of(job->data.test);
    t->test = amun_dataset_count(job->data.test);
    t->base.forget = t->indices;
    t->base.count = t->forget;
    t->base.key = ex_format("classes %s", job->classes);
}

/* ---- outputs --------------------------------------------------------------------------------- */

static void logits_of(const table *t, const amun_model *model, const amun_dataset *ds,
                      const int64_t *indices, size_t count, float *to)
{
    enum { AT_ONCE = 512 };
    const int64_t *s = t->job->data.shape;
    size_t pixels = (size_t)(s[0] * s[1] * s[2]);
    float *images = ex_alloc(AT_ONCE * pixels, sizeof *images);
    for (size_t first = 0; first < count; first += AT_ONCE) {
        size_t n = count - first < AT_ONCE ? count - first : AT_ONCE;
        const int64_t in[4] = {(int64_t)n, s[0], s[1], s[2]};
        const int64_t out[2] = {(int64_t)n, (int64_t)t->classes};
        amun_tensor_view image_view, logit_view;
        for (size_t i = 0; i < n && indices != NULL; i++) {
            ex_check(amun_dataset_read(ds, (size_t)indices[first + i], 1, images + i * pixels));
        }
        if (indices == NULL) {
            ex_check(amun_dataset_read(ds, first, n, images));
        }
        ex_check(amun_tensor_view_init(&image_view, images, AMUN_DTYPE_F32, 4, in));
        ex_check(
            amun_tensor_view_init(&logit_view, to + first * t->classes, AMUN_DTYPE_F32, 2, out));
        ex_check(amun_model_predict(model, &image_view, &logit_view, NULL));
    }
    free(images);
}

static void row_open(row *r, const table *t, const char *name, size_t runs)
{
    *r = (row){.name = name, .runs = runs, .ulira = (double)NAN};
    for (int k = 0; k < FIGURES; k++) {
        r->figures[k] = ex_alloc(runs, sizeof(double));
    }
    r->seconds = ex_alloc(runs, sizeof(double));
    r->routing = ex_alloc(t->classes, sizeof(double));
    r->out.test = ex_alloc(runs * t->test * t->classes, sizeof(float));
    r->out.forget = ex_alloc(runs * t->forget * t->classes, sizeof(float));
    r->out.remain = ex_alloc(runs * t->remain * t->classes, sizeof(float));
}

static void row_close(row *r)
{
    for (int k = 0; k < FIGURES; k++) {
        free(r->figures[k]);
    }
    free(r->seconds);
    free(r->routing);
    free(r->out.test);
    free(r->out.forget);
    free(r->out.remain);
}

/* Keeps what a model says; the model is given back. */
static void take(const table *t, row *r, size_t run, amun_model *model, double seconds)
{
    logits_of(t, model, t->job->data.test, NULL, t->test, r->out.test + run * t->test * t->classes);
    logits_of(t, model, t->job->data.train, t->indices, t->forget,
              r->out.forget + run * t->forget * t->classes);
    logits_of(t, model, t->job->data.train, t->kept, t->remain,
              r->out.remain + run * t->remain * t->classes);
    double inside[COMPARE_INSIDE];
    compare_inside(t->job, model, inside);
    for (int k = 0; k < COMPARE_INSIDE; k++) {
        r->figures[INSIDE + k][run] = inside[k];
    }
    r->seconds[run] = seconds;
    amun_model_unref(model);
}

static void run_models(table *t)
{
    const compare_job *job = t->job;
    double seconds = 0.0;
    for (size_t i = 0; i < (size_t)job->retrained; i++) {
        amun_model *model =
            compare_train(job, "retrain", &t->base, (uint64_t)ex_args.seed + 1000 + i, &seconds);
        take(t, &t->rows[1], i, model, seconds);
    }
    for (size_t s = 0; s < (size_t)job->seeds; s++) {
        compare_case c = t->base;
        c.seed = (uint64_t)ex_args.seed + s;
        c.original = compare_train(job, "original", NULL, c.seed, &c.original_seconds);
        for (size_t r = 0; r < job->row_count; r++) {
            amun_model *model = compare_unlearn(job, &job->rows[r], &c, &seconds);
            take(t, &t->rows[2 + r], s, model, seconds);
        }
        amun_advset_unref(c.set);
        take(t, &t->rows[0], s, c.original, c.original_seconds);
    }
}

/* ---- all of it ---------------------------------------------------------------------------------
 */

void compare_class(const compare_job *job)
{
    table t = {.job = job, .classes = (size_t)job->data.classes, .count = 2 + job->row_count};
    find_forget_set(&t);
    t.rows = ex_alloc(t.count, sizeof *t.rows);
    for (size_t r = 0; r < t.count; r++) {
        row_open(&t.rows[r], &t,
                 r == 0   ? "original"
                 : r == 1 ? "retrain"
                          : job->rows[r - 2].text,
                 (size_t)(r == 1 ? job->retrained : job->seeds));
    }
    run_models(&t);
    for (size_t r = 0; r < t.count; r++) {
        compare_class_evaluate(&t, &t.rows[r]);
    }
    compare_class_report(&t);
    for (size_t r = 0; r < t.count; r++) {
        row_close(&t.rows[r]);
    }
    free(t.rows);
    free(t.indices);
    free(t.labels);
    free(t.forget_labels);
    free(t.kept);
    free(t.kept_labels);
    free(t.base.key);
}
