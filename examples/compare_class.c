/* compare_class.c - comparison on forgotten classes: accuracies, MIA-NN, classifier two-sample
 * test, U-LiRA, which class the forgotten images go to, and what is left of them inside the model.
 */
#include <inttypes.h>

#include "compare.h"
#include "picture.h"

/* What a model says; then, from INSIDE on, what is left inside it. */
enum {
    ACC_R,
    ACC_F,
    ACC_DF,
    MIA,
    NN_GAP,
    TOP_GAP,
    C2ST,
    TV,
    INSIDE,
    PROBE = INSIDE,
    PROBE_AUC,
    PROTOTYPE,
    PROTOTYPE_R,
    LOSS,
    FIGURES
};
static const char *const figure_names[FIGURES] = {
    "acc_r", "acc_f",   "acc_df",    "mia_kodge",   "miann_gap",       "miann_top_gap", "c2st",
    "tv",    "probe_f", "probe_auc", "prototype_f", "prototype_acc_r", "loss_attack"};

/* Logits of several models on the same images, [models][rows][classes]. */
typedef struct outputs {
    float *test, *forget, *remain;
} outputs;

typedef struct row {
    const char *name;
    size_t runs;
    double *figures[FIGURES], *seconds; /* [runs] */
    double *routing;                    /* [classes], percent of T_F, mean over the runs */
    double ulira;                       /* AUC of all runs against the retrained models */
    outputs out;
} row;

typedef struct table {
    const compare_job *job;
    size_t classes, test, forget, remain; /* rows of logits */
    int64_t *labels;                      /* [test] */
    int64_t *forget_labels;
    int64_t *kept, *kept_labels; /* [remain]: D_R, or some of it */
    row *rows;                   /* original, retrain, then the methods */
    size_t count;
    compare_case base; /* the forget set */
    int64_t *indices;
} table;

/* ---- the forget set -------------------------------------------------------------------------- */

static bool is_forgotten(const compare_job *job, int64_t label)
{
    for (size_t i = 0; i < job->forget_class_count; i++) {
        if (job->forget_classes[i] == label) {
            return true;
        }
    }
    return false;
}

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
        if (is_forgotten(t->job, labels[i])) {
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
        if (is_forgotten(job, labels[i])) {
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

/* ---- figures --------------------------------------------------------------------------------- */

static int64_t argmax(const float *logits, size_t classes)
{
    size_t best = 0;
    for (size_t k = 1; k < classes; k++) {
        best = logits[k] > logits[best] ? k : best;
    }
    return (int64_t)best;
}

static void accuracies(const table *t, row *r, size_t run)
{
    size_t seen[2] = {0}, right[2] = {0}, right_df = 0;
    const float *test = r->out.test + run * t->test * t->classes;
    const float *forget = r->out.forget + run * t->forget * t->classes;
    for (size_t i = 0; i < t->test; i++) {
        int64_t said = argmax(test + i * t->classes, t->classes);
        int gone = is_forgotten(t->job, t->labels[i]);
        seen[gone]++;
        right[gone] += said == t->labels[i];
        if (gone) {
            r->routing[said] += 1.0;
        }
    }
    for (size_t i = 0; i < t->forget; i++) {
        right_df += argmax(forget + i * t->classes, t->classes) == t->forget_labels[i];
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
        if (is_forgotten(t->job, t->labels[i])) {
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

static void evaluate(table *t, row *r)
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

/* ---- output ---------------------------------------------------------------------------------- */

static void write_row(ex_json *json, const table *t, const row *r)
{
    double mean, sd;
    ex_json_object_begin(json);
    ex_json_text(json, "name", r->name);
    printf("%-28.60s", r->name);
    for (int k = 0; k < FIGURES; k++) {
        compare_spread(r->figures[k], r->runs, &mean, &sd);
        if (k < INSIDE) {
            compare_print(mean, sd);
        }
        ex_json_reals(json, figure_names[k], r->figures[k], r->runs);
    }
    if (isnan(r->ulira)) {
        printf(" %8s", "-");
    } else {
        printf(" %8.2f", r->ulira);
    }
    compare_spread(r->seconds, r->runs, &mean, &sd);
    printf(" %9.2f\n", mean);
    ex_json_real(json, "ulira_auc", r->ulira);
    ex_json_reals(json, "routing", r->routing, t->classes);
    ex_json_reals(json, "seconds", r->seconds, r->runs);
    ex_json_object_end(json);
}

static void print_inside(const table *t)
{
    printf("\nwhat is left inside, percent; retrain is what to meet:\n%-28s %15s %15s %15s %15s "
           "%15s\n",
           "", "probe ACC_f", "probe AUC", "5 samples ACC_f", "ACC_r with it", "loss attack");
    for (size_t r = 0; r < t->count; r++) {
        printf("%-28.60s", t->rows[r].name);
        for (int k = INSIDE; k < FIGURES; k++) {
            double mean, sd;
            compare_spread(t->rows[r].figures[k], t->rows[r].runs, &mean, &sd);
            compare_print(mean, sd);
        }
        printf("\n");
    }
}

static void print_routing(const table *t)
{
    printf("\nwhere the test images of the forgotten classes go, percent:\n%-28s", "");
    for (size_t k = 0; k < t->classes; k++) {
        printf(" %6zu", k);
    }
    printf("\n");
    for (size_t r = 0; r < t->count; r++) {
        printf("%-28.60s", t->rows[r].name);
        for (size_t k = 0; k < t->classes; k++) {
            printf(" %6.1f", t->rows[r].routing[k]);
        }
        printf("\n");
    }
}

static void draw_routing(const table *t)
{
    double *cells = ex_alloc(t->count * t->classes, sizeof *cells);
    for (size_t r = 0; r < t->count; r++) {
        for (size_t k = 0; k < t->classes; k++) {
            cells[r * t->classes + k] = t->rows[r].routing[k] / 100.0;
        }
    }
    ex_png_cells(t->job->png, cells, t->count, t->classes);
    free(cells);
}

static void report(const table *t)
{
    ex_json json;
    printf("\n%-28s %15s %15s %15s %15s %15s %15s %15s %15s %8s %9s\n", "", "ACC_r", "ACC_f",
           "ACC_f train", "MIA (Kodge)", "MIA-NN gap", "top gap", "C2ST", "TV", "U-LiRA",
           "seconds");
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "schema", "amun.compare/1");
    ex_json_text(&json, "forget", "classes");
    ex_json_text(&json, "classes", t->job->classes);
    ex_json_text(&json, "made_from", t->job->base);
    ex_json_array_begin(&json, "rows");
    for (size_t r = 0; r < t->count; r++) {
        write_row(&json, t, &t->rows[r]);
    }
    ex_json_array_end(&json);
    ex_json_close(&json);
    print_inside(t);
    print_routing(t);
    if (t->job->png != NULL) {
        draw_routing(t);
    }
}

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
        evaluate(&t, &t.rows[r]);
    }
    report(&t);
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
