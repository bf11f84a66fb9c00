/* class_audit.c - has a class been forgotten as retraining would have it? From saved logits. */
#include "common.h"

/* ---- .npy files
 * ---------------------------------------------------------------------------------- */

/* An array of doubles or of whole numbers. */
typedef struct array {
    int64_t shape[3];
    int axes;
    size_t count;
    double *values; /* of "<f4" and "<f8" */
    int64_t *whole; /* of "<i8", "<i4" and "|u1" */
} array;

static const char *after(const char *path, const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (at == NULL) {
        ex_usage("%s: no %s in its header", path, key);
    }
    at += strlen(key);
    return at + strspn(at, " :'(");
}

/* "(2, 3)" after the key; at most three axes, at most 2^40 elements. */
static void read_shape(array *a, const char *path, const char *header)
{
    const char *at = after(path, header, "'shape'");
    a->count = 1;
    while (*at >= '0' && *at <= '9') {
        char *end = NULL;
        const long long extent = strtoll(at, &end, 10);
        if (a->axes == 3 || extent < 1 || extent > (1LL << 40) / (long long)a->count) {
            ex_usage("%s: more than 3 axes, or an extent of %lld", path, extent);
        }
        a->shape[a->axes++] = extent;
        a->count *= (size_t)extent;
        at = end + strspn(end, ", ");
    }
}

static void convert(array *a, const char *kind, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < a->count; i++, bytes += size) {
        float f4 = 0;
        int32_t i4 = 0;
        if (a->values != NULL && size == 4) {
            memcpy(&f4, bytes, sizeof f4);
            a->values[i] = (double)f4;
        } else if (a->values != NULL) {
            memcpy(&a->values[i], bytes, sizeof a->values[i]);
        } else if (kind[1] == 'u') {
            a->whole[i] = bytes[0];
        } else if (size == 4) {
            memcpy(&i4, bytes, sizeof i4);
            a->whole[i] = i4;
        } else {
            memcpy(&a->whole[i], bytes, sizeof a->whole[i]);
        }
    }
}

/* The elements after the header; `kind` as in "<f4". */
static void read_elements(array *a, const char *path, const char *kind, FILE *file)
{
    const size_t size = (size_t)(kind[2] - '0');
    unsigned char *bytes = ex_alloc(a->count, size);
    if (fread(bytes, size, a->count, file) != a->count || fgetc(file) != EOF) {
        ex_usage("%s: not as long as its header says", path);
    }
    if (kind[1] == 'f') {
        a->values = ex_alloc(a->count, sizeof *a->values);
    } else {
        a->whole = ex_alloc(a->count, sizeof *a->whole);
    }
    convert(a, kind, bytes, size);
    free(bytes);
}

static array read_npy(const char *path, bool whole)
{
    static const char *const kinds[] = {"<f4", "<f8", "<i8", "<i4", "|u1"};
    array a = {.axes = 0};
    unsigned char start[10];
    char header[4096] = "";
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(start, 1, 10, file) != 10 || memcmp(start, "\x93NUMPY\x01", 7) != 0) {
        ex_usage("%s: not an .npy file of version 1", path);
    }
    const size_t length = start[8] + 256u * start[9];
    if (length >= sizeof header || fread(header, 1, length, file) != length) {
        ex_usage("%s: its header is damaged", path);
    }
    const char *kind = after(path, header, "'descr'");
    size_t k = whole ? 2 : 0;
    while (k < (whole ? 5u : 2u) && strncmp(kind, kinds[k], 3) != 0) {
        k++;
    }
    if (k == (whole ? 5u : 2u) ||
        strncmp(after(path, header, "'fortran_order'"), "False", 5) != 0) {
        ex_usage("%s: expected %s in C order", path, whole ? "i8, i4 or u1" : "f4 or f8");
    }
    read_shape(&a, path, header);
    read_elements(&a, path, kinds[k], file);
    fclose(file);
    return a;
}

/* ---- models
 * -------------------------------------------------------------------------------------- */

/* Logits [models, n, classes] from files of [n, classes] or [models, n, classes]. */
typedef struct outputs {
    double *values;
    int64_t shape[3];
    amun_tensor_view view;
} outputs;

static outputs read_outputs(const ex_list *files)
{
    outputs o = {.values = NULL};
    for (size_t i = 0; i < files->count; i++) {
        array a = read_npy(files->items[i], false);
        const int64_t *tail = a.shape + a.axes - 2;
        if (a.axes < 2 || (i > 0 && (tail[0] != o.shape[1] || tail[1] != o.shape[2]))) {
            ex_usage(
                "%s: expected logits [n, classes] or [models, n, classes], the same in all files",
                files->items[i]);
        }
        const size_t one = (size_t)(tail[0] * tail[1]), there = (size_t)o.shape[0] * one;
        double *values = ex_alloc(there + a.count, sizeof *values);
        if (there > 0) {
            memcpy(values, o.values, there * sizeof *values);
        }
        memcpy(values + there, a.values, a.count * sizeof *values);
        free(o.values);
        free(a.values);
        o.values = values;
        o.shape[0] += (int64_t)(a.count / one);
        o.shape[1] = tail[0];
        o.shape[2] = tail[1];
    }
    if (files->count > 0) {
        ex_check(amun_tensor_view_init(&o.view, o.values, AMUN_DTYPE_F64, 3, o.shape));
    }
    return o;
}

/* ---- the audit
 * ------------------------------------------------------------------------------------ */

typedef struct arguments {
    ex_list retrained, unlearned, shadows;
    const char *labels, *features, *kernel;
    int64_t forget, top_m;
} arguments;

typedef struct told {
    amun_miann nearest;
    amun_c2st test;
    amun_distance distance;
    amun_ulira ratio;
    amun_quality quality;
    double *shares; /* [models + 1][classes] */
    bool has_ratio;
} told;

#define FEATURES "logits|logprobs|probs|scalar"
#define KERNELS "linear|rbf|hinge"

/* phi = log p_y - log(1 - p_y) of the rows of the class, [models][*rows]. */
static double *scores_of(const outputs *o, const amun_tensor_view *labels, int64_t forget,
                         size_t *rows)
{
    const size_t models = (size_t)o->shape[0], n = (size_t)o->shape[1];
    const size_t size = n * (size_t)o->shape[2];
    const int64_t *label = labels->data;
    double *phi = ex_alloc(n, sizeof *phi), *kept = ex_alloc(models * n, sizeof *kept);
    size_t count = 0;
    for (size_t m = 0; m < models; m++) {
        amun_tensor_view one;
        ex_check(
            amun_tensor_view_init(&one, o->values + m * size, AMUN_DTYPE_F64, 2, o->shape + 1));
        ex_check(amun_ulira_phi(phi, &one, labels));
        for (size_t i = 0; i < n; i++) {
            if (label[i] == forget) {
                kept[count++] = phi[i];
            }
        }
    }
    *rows = count / models;
    free(phi);
    return kept;
}

static void find_quality(told *t, const arguments *a, const outputs *retrained,
                         const outputs *shadows, const amun_tensor_view *labels)
{
    size_t rows = 0;
    double *first = scores_of(shadows, labels, a->forget, &rows);
    double *second = scores_of(retrained, labels, a->forget, &rows);
    ex_check(amun_quality_compute(&t->quality, NULL, first, (size_t)shadows->shape[0], second,
                                  (size_t)retrained->shape[0], rows, NULL));
    free(first);
    free(second);
}

static told audit(const arguments *a, const outputs *retrained, const amun_tensor_view *unlearned,
                  const outputs *shadows, const amun_tensor_view *labels)
{
    told t = {.nearest = {.struct_size = sizeof t.nearest},
              .test = {.struct_size = sizeof t.test},
              .distance = {.struct_size = sizeof t.distance},
              .ratio = {.struct_size = sizeof t.ratio},
              .quality = {.struct_size = sizeof t.quality}};
    amun_miann_options nearest;
    amun_c2st_options test;
    const amun_tensor_view *r = &retrained->view;
    ex_check(amun_miann_options_init(&nearest, sizeof nearest));
    ex_check(amun_c2st_options_init(&test, sizeof test));
    nearest.features = ex_choice(a->features, FEATURES);
    nearest.kernel = ex_choice(a->kernel, KERNELS);
    nearest.top_m = (int32_t)a->top_m;
    nearest.seed = test.seed = (uint64_t)ex_args.seed;
    ex_check(
        amun_miann_compute(&t.nearest, NULL, NULL, r, unlearned, labels, &a->forget, 1, &nearest));
    ex_check(amun_c2st_compute(&t.test, r, unlearned, labels, &a->forget, 1, &test));
    ex_check(amun_distance_compute(&t.distance, NULL, r, unlearned, labels, &a->forget, 1));
    t.shares =
        ex_alloc((size_t)((retrained->shape[0] + 1) * retrained->shape[2]), sizeof *t.shares);
    ex_check(amun_distance_routing(t.shares, r, unlearned, labels, &a->forget, 1));
    if (shadows->values != NULL) {
        ex_check(
            amun_ulira_class(&t.ratio, &shadows->view, r, unlearned, labels, &a->forget, 1, NULL));
        find_quality(&t, a, retrained, shadows, labels);
        t.has_ratio = true;
    }
    return t;
}

/* ---- what is said
 * ---------------------------------------------------------------------------------- */

typedef struct row {
    const char *name, *key;
    double value, null, sd; /* what retrained models have among themselves */
} row;

static size_t list_rows(row *rows, const told *t)
{
    const amun_miann *n = &t->nearest;
    const amun_c2st *c = &t->test;
    const amun_distance *d = &t->distance;
    const amun_ulira *u = &t->ratio;
    const row all[] = {
        {"MIA-NN gap, points", "miann_gap", n->gap, n->null_mean, n->null_sd},
        {"MIA-NN top gap, points", "miann_top_gap", n->top_gap, n->top_null_mean, n->top_null_sd},
        {"C2ST AUC, all classes, %", "c2st_all", c->all, c->all_null_mean, c->all_null_sd},
        {"C2ST AUC, retained, %", "c2st_retained", c->retained, c->retained_null_mean,
         c->retained_null_sd},
        {"TV", "tv", d->tv, d->tv_null, d->tv_null_sd},
        {"JS", "js", d->js, d->js_null, d->js_null_sd},
        {"KL", "kl", d->kl, d->kl_null, d->kl_null_sd},
        {"TV of mean predictions", "routing_tv", d->routing_tv, d->routing_tv_null,
         d->routing_tv_null_sd},
        {"activation distance", "activation", d->activation, d->activation_null,
         d->activation_null_sd},
        {"U-LiRA gap, points", "ulira_gap", u->gap, u->null_mean, u->null_sd},
    };
    const size_t count = sizeof all / sizeof all[0] - (t->has_ratio ? 0 : 1);
    memcpy(rows, all, count * sizeof *rows);
    return count;
}

static void print_table(const told *t, const row *rows, size_t count, size_t models, size_t classes)
{
    const amun_miann *n = &t->nearest;
    printf("nearest class %lld (votes %.0f %%): accepted by it %.2f %%, retrained %.2f %%; the\n"
           "discriminators are right on %.1f %% and %.1f %% of held-out rows\n",
           (long long)n->neighbour, n->vote_share, n->score, n->retrained, n->sanity,
           n->sanity_retrained);
    if (t->has_ratio) {
        printf(
            "U-LiRA: AUC %.2f %%, balanced accuracy %.2f %%, flagged %.2f %%, retrained %.2f %%\n",
            t->ratio.auc, t->ratio.balanced_accuracy, t->ratio.flagged, t->ratio.flagged_retrained);
        printf("forgetting quality: %.4f, median epsilon %.3f (means something with hundreds of "
               "models on each side)\n",
               t->quality.score, t->quality.epsilon_median);
    }
    printf("\n%-26s %10s %12s %8s\n", "", "unlearned", "null, mean", "sd");
    for (size_t i = 0; i < count; i++) {
        printf("%-26s %10.4f %12.4f %8.4f\n", rows[i].name, rows[i].value, rows[i].null,
               rows[i].sd);
    }
    printf("\n%-10s %12s %12s\n", "goes to", "unlearned, %", "retrained, %");
    for (size_t j = 0; j < classes; j++) {
        double mean = 0.0;
        for (size_t m = 0; m < models; m++) {
            mean += t->shares[m * classes + j] / (double)models;
        }
        printf("class %-4zu %12.2f %12.2f\n", j, t->shares[models * classes + j], mean);
    }
}

static void write_json(const arguments *a, const told *t, const row *rows, size_t count,
                       size_t models, size_t classes)
{
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "class_audit");
    ex_json_int(&json, "forget", a->forget);
    ex_json_int(&json, "retrained_models", (int64_t)models);
    ex_json_int(&json, "rows", t->test.rows);
    ex_json_text(&json, "features", a->features);
    ex_json_text(&json, "kernel", a->kernel);
    ex_json_int(&json, "neighbour", t->nearest.neighbour);
    ex_json_real(&json, "vote_share", t->nearest.vote_share);
    ex_json_real(&json, "score", t->nearest.score);
    ex_json_real(&json, "score_retrained", t->nearest.retrained);
    ex_json_real(&json, "sanity", t->nearest.sanity);
    if (t->has_ratio) {
        ex_json_real(&json, "ulira_auc", t->ratio.auc);
        ex_json_real(&json, "ulira_balanced_accuracy", t->ratio.balanced_accuracy);
        ex_json_real(&json, "ulira_flagged", t->ratio.flagged);
        ex_json_real(&json, "ulira_flagged_retrained", t->ratio.flagged_retrained);
        ex_json_real(&json, "forget_quality", t->quality.score);
        ex_json_real(&json, "epsilon_median", t->quality.epsilon_median);
    }
    ex_json_array_begin(&json, "figures");
    for (size_t i = 0; i < count; i++) {
        ex_json_object_begin(&json);
        ex_json_text(&json, "name", rows[i].key);
        ex_json_real(&json, "unlearned", rows[i].value);
        ex_json_real(&json, "null_mean", rows[i].null);
        ex_json_real(&json, "null_sd", rows[i].sd);
        ex_json_object_end(&json);
    }
    ex_json_array_end(&json);
    ex_json_reals(&json, "routing", t->shares + models * classes, classes);
    ex_json_close(&json);
}

static void run(const arguments *a)
{
    outputs retrained = read_outputs(&a->retrained), unlearned = read_outputs(&a->unlearned);
    outputs shadows = read_outputs(&a->shadows);
    array labels = read_npy(a->labels, true);
    amun_tensor_view one, label_view;
    row rows[16];
    if (unlearned.shape[0] != 1) {
        ex_usage("--unlearned: %lld models, expected one", (long long)unlearned.shape[0]);
    }
    ex_check(amun_tensor_view_init(&one, unlearned.values, AMUN_DTYPE_F64, 2, unlearned.shape + 1));
    ex_check(amun_tensor_view_init(&label_view, labels.whole, AMUN_DTYPE_I64, labels.axes,
                                   labels.shape));
    told t = audit(a, &retrained, &one, &shadows, &label_view);
    const size_t count = list_rows(rows, &t), models = (size_t)retrained.shape[0];
    const size_t classes = (size_t)retrained.shape[2];
    print_table(&t, rows, count, models, classes);
    write_json(a, &t, rows, count, models, classes);
    free(t.shares);
    free(labels.whole);
    free(shadows.values);
    free(unlearned.values);
    free(retrained.values);
}

int main(int argc, char **argv)
{
    arguments a = {.features = "logits", .kernel = "linear", .top_m = 3};
    const ex_option options[] = {
        {"retrained", EX_FILES, &a.retrained, 0, 0, NULL,
         "logits of retrained models on test images, [n, classes] each, or [models, n, classes] "
         "(.npy)",
         true},
        {"unlearned", EX_FILES, &a.unlearned, 0, 0, NULL, "of the model to be audited", true},
        {"labels", EX_FILE, &a.labels, 0, 0, NULL, "[n], the true classes (.npy)", true},
        {"forget", EX_INT, &a.forget, 0, 65535, NULL, "the class to be forgotten (default 0)",
         false},
        {"shadows", EX_FILES, &a.shadows, 0, 0, NULL,
         "three or more other models, trained and unlearned alike: U-LiRA, forgetting quality",
         false},
        {"features", EX_CHOICE, &a.features, 0, 0, FEATURES, "of MIA-NN (default logits)", false},
        {"kernel", EX_CHOICE, &a.kernel, 0, 0, KERNELS, "of MIA-NN (default linear)", false},
        {"top-m", EX_INT, &a.top_m, 1, 65536, NULL, "classes in the top gap (default 3)", false},
        {0},
    };
    ex_parse(
        argc, argv,
        "Audits a model that should have forgotten a class against models retrained without it,\n"
        "from saved logits (program predict): where the class's images go (MIA-NN, routing), what\n"
        "tells the models apart (C2ST), how far they are (TV, JS, KL). A figure near the null, "
        "which\n"
        "retrained models have among themselves, is good.",
        options);
    run(&a);
    return 0;
}
