/* attack.c - adversarial examples of images in a .npy file, and what it took per sample. */
#include "common.h"

typedef struct arguments {
    const char *model, *images, *labels, *method, *search, *out, *table, *norm, *on_failure;
    double eps, step, eps0, growth; /* negative: the library's default */
    int64_t steps, batch, pilot;
    bool no_random_start, restart;
} arguments;

static double real_or(double given, double otherwise)
{
    return given >= 0.0 ? given : otherwise;
}

static int32_t int_or(int64_t given, int32_t otherwise)
{
    return given > 0 ? (int32_t)given : otherwise;
}

static amun_attack *create_fgsm(amun_context *ctx, const arguments *a)
{
    amun_attack *attack = NULL;
    amun_fgsm_options opts;
    ex_check(amun_fgsm_options_init(&opts, sizeof opts));
    opts.eps = real_or(a->eps, opts.eps);
    opts.batch = int_or(a->batch, opts.batch);
    ex_check(amun_attack_create_fgsm(&attack, ctx, &opts));
    return attack;
}

static amun_attack *create_ffgsm(amun_context *ctx, const arguments *a)
{
    amun_attack *attack = NULL;
    amun_ffgsm_options opts;
    ex_check(amun_ffgsm_options_init(&opts, sizeof opts));
    opts.eps = real_or(a->eps, opts.eps);
    opts.step = real_or(a->step, opts.step);
    opts.batch = int_or(a->batch, opts.batch);
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_attack_create_ffgsm(&attack, ctx, &opts));
    return attack;
}

static amun_attack *create_pgd(amun_context *ctx, const arguments *a, bool linf)
{
    amun_attack *attack = NULL;
    amun_pgd_options opts;
    ex_check((linf ? amun_pgd_linf_options_init : amun_pgd_l2_options_init)(&opts, sizeof opts));
    opts.eps = real_or(a->eps, opts.eps);
    opts.step = real_or(a->step, opts.step);
    opts.steps = int_or(a->steps, opts.steps);
    opts.batch = int_or(a->batch, opts.batch);
    opts.random_start = a->no_random_start ? 0 : 1;
    opts.seed = (uint64_t)ex_args.seed;
    ex_check((linf ? amun_attack_create_pgd_linf : amun_attack_create_pgd_l2)(&attack, ctx, &opts));
    return attack;
}

static amun_attack *create_search(amun_context *ctx, const arguments *a)
{
    amun_attack *attack = NULL;
    amun_search_options opts;
    ex_check(amun_search_options_init(&opts, sizeof opts));
    opts.method = ex_search_method(a->search);
    opts.pilot = (int32_t)a->pilot;
    opts.norm = strcmp(a->norm, "linf") == 0 ? AMUN_NORM_LINF : AMUN_NORM_L2;
    opts.eps0 = real_or(a->eps0, opts.eps0);
    opts.eps_max = real_or(a->eps, opts.eps_max);
    opts.growth = real_or(a->growth, opts.growth);
    opts.steps = int_or(a->steps, opts.steps);
    opts.batch = int_or(a->batch, opts.batch);
    opts.restart = a->restart;
    opts.on_failure =
        strcmp(a->on_failure, "retry") == 0 ? AMUN_FAILURE_RETRY : AMUN_FAILURE_LEAVE_OUT;
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_attack_create_search(&attack, ctx, &opts));
    return attack;
}

static amun_attack *create_attack(amun_context *ctx, const arguments *a)
{
    return strcmp(a->method, "fgsm") == 0       ? create_fgsm(ctx, a)
           : strcmp(a->method, "ffgsm") == 0    ? create_ffgsm(ctx, a)
           : strcmp(a->method, "pgd-linf") == 0 ? create_pgd(ctx, a, true)
           : strcmp(a->method, "pgd-l2") == 0   ? create_pgd(ctx, a, false)
                                                : create_search(ctx, a);
}

/* ---- results --------------------------------------------------------------------------------- */

static const char *outcome_name(amun_attack_outcome outcome)
{
    static const char *const names[] = {
        [AMUN_ATTACK_FLIPPED] = "flipped",
        [AMUN_ATTACK_NOT_FLIPPED] = "not_flipped",
        [AMUN_ATTACK_FAILED_CAP] = "failed_cap",
        [AMUN_ATTACK_FAILED_GRADIENT] = "failed_gradient",
        [AMUN_ATTACK_FAILED_NUMERIC] = "failed_numeric",
        [AMUN_ATTACK_FAILED_BUDGET] = "failed_budget",
    };
    size_t at = outcome > 0 ? (size_t)outcome : 0;
    return at > 0 && at < sizeof names / sizeof names[0] ? names[at] : "unknown";
}

static bool ends_with(const char *text, const char *tail)
{
    size_t n = strlen(text), m = strlen(tail);
    return n >= m && strcmp(text + n - m, tail) == 0;
}

/* One row per sample: comma-separated, or a JSON array of objects if the name ends in .json. */
static void write_table(const char *path, const amun_attack_record *records, size_t count)
{
    static const char csv_row[] = "%lld,%d,%d,%d,%s,%.17g,%.17g,%.17g,%d,%u";
    static const char json_row[] =
        "{\"index\": %lld, \"label\": %d, \"predicted\": %d, \"adversarial\": %d, "
        "\"outcome\": \"%s\", \"eps\": %.17g, \"l2\": %.17g, \"linf\": %.17g, \"updates\": %d, "
        "\"flags\": %u}";
    ex_out out;
    bool json = ends_with(path, ".json");
    ex_out_open(&out, path);
    fputs(json ? "[\n" : "index,label,predicted,adversarial,outcome,eps,l2,linf,updates,flags\n",
          out.file);
    for (size_t i = 0; i < count; i++) {
        const amun_attack_record *r = &records[i];
#define EX_ROW(format)                                                                             \
    fprintf(out.file, format, (long long)r->index, (int)r->label, (int)r->predicted,               \
            (int)r->adversarial, outcome_name(r->outcome), r->eps, r->l2, r->linf,                 \
            (int)r->updates, (unsigned)r->flags)
        json ? EX_ROW(json_row) : EX_ROW(csv_row);
        fputs(json && i + 1 < count ? ",\n" : "\n", out.file);
    }
    fputs(json ? "]\n" : "", out.file);
    ex_out_close(&out);
}

typedef struct totals {
    int64_t flipped, failed, right;
    double l2, linf, updates; /* means over all samples */
} totals;

static totals sum_up(const amun_attack_record *records, size_t count)
{
    totals t = {0};
    for (size_t i = 0; i < count; i++) {
        t.flipped += records[i].outcome == AMUN_ATTACK_FLIPPED;
        t.failed += records[i].outcome >= AMUN_ATTACK_FAILED_CAP;
        t.right += records[i].predicted == records[i].label;
        t.l2 += records[i].l2 / (double)count;
        t.linf += records[i].linf / (double)count;
        t.updates += (double)records[i].updates / (double)count;
    }
    return t;
}

static void report(const arguments *a, const totals *t, size_t count, double seconds)
{
    double percent = 100.0 / (double)count;
    printf("accuracy %.2f %%, wrong after the attack %.2f %%; mean distance %.4f (L2), %.4f "
           "(Linf)\n",
           percent * (double)t->right, percent * (double)t->flipped, t->l2, t->linf);
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "attack");
    ex_json_text(&json, "method", a->method);
    if (strcmp(a->method, "search") == 0) {
        ex_json_text(&json, "search", a->search);
    }
    ex_json_text(&json, "adversarial", a->out);
    ex_json_int(&json, "count", (int64_t)count);
    ex_json_int(&json, "flipped", t->flipped);
    ex_json_int(&json, "failed", t->failed);
    ex_json_real(&json, "accuracy", percent * (double)t->right);
    ex_json_real(&json, "mean_l2", t->l2);
    ex_json_real(&json, "mean_linf", t->linf);
    ex_json_real(&json, "mean_updates", t->updates);
    ex_json_real(&json, "seconds", seconds);
    ex_json_close(&json);
}

/* ---- main ------------------------------------------------------------------------------------ */

static void run(const arguments *a)
{
    amun_model *model = NULL;
    ex_images images;
    amun_context *ctx = ex_context();
    ex_check(amun_model_load(&model, ctx, a->model));
    ex_images_open(&images, ctx, a->images, a->labels);
    amun_attack *attack = create_attack(ctx, a);

    float *result = ex_alloc(images.count * images.pixels, sizeof *result);
    amun_attack_record *records = ex_alloc(images.count, sizeof *records);
    amun_tensor_view view;
    ex_progress progress;
    ex_check(amun_tensor_view_init(&view, result, AMUN_DTYPE_F32, 4, images.view.shape));
    ex_progress_begin(&progress, "%s on %zu images", a->method, images.count);
    ex_check(amun_attack_run(attack, model, &images.view, &images.label_view, NULL, &view, records,
                             &progress.call));
    ex_progress_end(&progress, "done");
    ex_check(amun_npy_write(ctx, a->out, &view));
    if (a->table != NULL) {
        write_table(a->table, records, images.count);
    }
    totals t = sum_up(records, images.count);
    report(a, &t, images.count, progress.seconds);

    free(result);
    free(records);
    amun_attack_unref(attack);
    ex_images_close(&images);
    amun_model_unref(model);
    amun_context_unref(ctx);
}

int main(int argc, char **argv)
{
    arguments a = {.method = "search",
                   .search = "epsilon",
                   .out = "adversarial.npy",
                   .norm = "l2",
                   .on_failure = "leave-out",
                   .eps = -1.0,
                   .step = -1.0,
                   .eps0 = -1.0,
                   .growth = -1.0};
    const ex_option options[] = {
        {"model", EX_FILE, &a.model, 0, 0, NULL, "weights (.safetensors)", true},
        {"images", EX_FILE, &a.images, 0, 0, NULL, "[n, C, H, W], u1 or f4 in [0, 1] (.npy)", true},
        {"labels", EX_FILE, &a.labels, 0, 0, NULL, "[n], the true classes (.npy)", true},
        {"method", EX_CHOICE, &a.method, 0, 0, "fgsm|ffgsm|pgd-linf|pgd-l2|search",
         "search: the nearest example (default)", false},
        {"search", EX_CHOICE, &a.search, 0, 0, EX_SEARCH_CHOICES,
         "search: by a growing radius (default), or in a fixed number of steps", false},
        {"pilot", EX_INT, &a.pilot, 0, 1000000, NULL,
         "search epsilon: samples that choose the first radius", false},
        {"eps", EX_REAL, &a.eps, 0, 1000, NULL, "radius; search: the largest one", false},
        {"step", EX_REAL, &a.step, 0, 1000, NULL, "ffgsm, pgd: length of a step", false},
        {"steps", EX_INT, &a.steps, 1, 10000, NULL, "pgd, ddn, fmn: in all; epsilon: per radius",
         false},
        {"no-random-start", EX_FLAG, &a.no_random_start, 0, 0, NULL, "pgd: start from the image",
         false},
        {"norm", EX_CHOICE, &a.norm, 0, 0, "l2|linf", "search: which ball (default l2)", false},
        {"eps0", EX_REAL, &a.eps0, 1e-9, 1000, NULL, "search epsilon: first radius", false},
        {"growth", EX_REAL, &a.growth, 1.000001, 100, NULL, "search epsilon: factor between radii",
         false},
        {"restart", EX_FLAG, &a.restart, 0, 0, NULL, "search epsilon: each radius from the image",
         false},
        {"on-failure", EX_CHOICE, &a.on_failure, 0, 0, "leave-out|retry",
         "search: what if no radius helps", false},
        {"batch", EX_INT, &a.batch, 1, 4096, NULL, "images at once (default 128)", false},
        {"out", EX_OUT, &a.out, 0, 0, NULL, "images (default adversarial.npy)", false},
        {"table", EX_OUT, &a.table, 0, 0, NULL, "one row per image (.csv or .json)", false},
        {0},
    };
    ex_parse(argc, argv, "Makes adversarial examples: images that the model gets wrong.", options);
    run(&a);
    return 0;
}
