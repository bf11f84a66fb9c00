/* bench_search.c - time of an adversarial set: the per-sample search for the nearest adversarial
 * example on given weights and images, by the growing radius (AMUN, arXiv 2503.00917, Algorithm 1)
 * or in a fixed number of steps (DDN, FMN). One JSON object per way.
 *
 *   bench_search KEY VALUE ...
 *     weights FILE     safetensors written by amun_model_save (names its architecture)
 *     arch NAME fit N  instead: fresh weights, trained for N epochs on the images
 *     images FILE      u1 or f4 [n, C, H, W] in .npy, or IDX
 *     labels FILE      [n], the same
 *     limit N          first N images only
 *     method NAME      epsilon (default), ddn, fmn; or compare: epsilon with 50 steps, with 20,
 * with a pilot, and ddn and fmn with 10 to 100 steps, one object each steps N          per radius,
 * or in all (ddn, fmn); default 50 pilot N          epsilon: samples that choose the first radius,
 * default 0 percentile N     of the pilot, default 50 threads N, repetitions N (default 1), probe 0
 * | 1 (default 1) table FILE.npy   per sample: eps, l2, updates, outcome (f8 [n, 4])
 */
#include "bench.h"

#include <stdlib.h>

#include "amun/attack.h"
#include "amun/train.h"
#include "io/io.h"

static const char *const keys[] = {"weights", "images",      "labels", "limit",      "steps",
                                   "threads", "repetitions", "probe",  "table",      "arch",
                                   "fit",     "method",      "pilot",  "percentile", NULL};

typedef struct figures {
    size_t count, found, wrong_already;
    int64_t updates;
    uint64_t peak;
    bench_spread seconds, l2, eps; /* distances of samples that had to move */
    double l2_95; /* 95th percentile (nearest rank) */
    bench_probe before, after;
} figures;

static void write_table(amun_context *ctx, const char *path, const amun_attack_record *rows,
                        size_t n)
{
    double *values = bench_memory(n * 4, sizeof *values);
    for (size_t i = 0; i < n; i++) {
        const double row[4] = {rows[i].eps, rows[i].l2, rows[i].updates, rows[i].outcome};
        memcpy(values + i * 4, row, sizeof row);
    }
    amun_tensor_view view;
    const int64_t shape[2] = {(int64_t)n, 4};
    bench_must(amun_tensor_view_init(&view, values, AMUN_DTYPE_F64, 2, shape), path);
    bench_must(amun_npy_write(ctx, path, &view), path);
    free(values);
}

static void summarise(figures *f, const amun_advset *set)
{
    const amun_attack_record *rows = amun_advset_records(set);
    double *l2 = bench_memory(amun_advset_count(set), sizeof *l2);
    double *eps = bench_memory(amun_advset_count(set), sizeof *eps);
    f->count = amun_advset_count(set);
    size_t moved = 0;
    f->found = 0;
    for (size_t i = 0; i < f->count; i++) {
        f->updates += rows[i].updates;
        f->wrong_already += rows[i].predicted != rows[i].label;
        f->found += rows[i].outcome == AMUN_ATTACK_FLIPPED;
        if (rows[i].outcome == AMUN_ATTACK_FLIPPED && rows[i].updates > 0) {
            l2[moved] = rows[i].l2;
            eps[moved++] = rows[i].eps;
        }
    }
    if (moved > 0) {
        f->l2 = bench_spread_of(l2, moved); /* sorted now */
        f->l2_95 = l2[(moved * 95 + 99) / 100 - 1];
        f->eps = bench_spread_of(eps, moved);
    }
    free(l2);
    free(eps);
}

static void print_figures(const figures *f, const amun_model *model,
                          const amun_search_options *options, int threads, size_t repetitions)
{
    static const char *const methods[] = {"epsilon", "ddn", "fmn"};
    (void)printf("{\"bench\": \"search\", \"arch\": \"%s\", \"method\": \"%s\", \"steps\": %d, "
                 "\"pilot\": %d, \"percentile\": %g, \"threads\": %d, \"samples\": %zu, "
                 "\"found\": %zu, \"wrong_already\": %zu, \"updates\": %lld, "
                 "\"updates_per_sample\": %.1f, ",
                 amun_model_arch(model), methods[options->method - AMUN_SEARCH_EPSILON],
                 (int)options->steps, (int)options->pilot, options->pilot_percentile, threads,
                 f->count, f->found, f->wrong_already, (long long)f->updates,
                 (double)f->updates / (double)f->count);
    (void)printf("\"repetitions\": %zu, \"seconds_min\": %.3f, \"seconds_median\": %.3f, "
                 "\"seconds_max\": %.3f, \"ms_per_update\": %.3f, \"l2_median\": %.4f, "
                 "\"l2_95\": %.4f, \"eps_median\": %.4f, \"peak_resident_bytes\": %llu, ",
                 repetitions, f->seconds.min, f->seconds.median, f->seconds.max,
                 f->updates > 0 ? 1e3 * f->seconds.median / (double)f->updates : 0.0, f->l2.median,
                 f->l2_95, f->eps.median, (unsigned long long)f->peak);
    bench_probe_print(stdout, "probe_before", f->before);
    (void)printf(", ");
    bench_probe_print(stdout, "probe_after", f->after);
    (void)printf("}\n");
    (void)fflush(stdout);
}

static void measure(const bench_args *args, amun_context *ctx, const amun_model *model,
                    const amun_dataset *data, const amun_search_options *options)
{
    amun_attack *attack = NULL;
    figures f = {0};
    double times[BENCH_MAX_REPETITIONS];
    int threads = amun_context_get_threads(ctx);
    bool probed = bench_number(args, "probe", 1, 0, 1) != 0;
    size_t repetitions = (size_t)bench_number(args, "repetitions", 1, 1, BENCH_MAX_REPETITIONS);
    size_t n = amun_dataset_count(data);
    n = (size_t)bench_number(args, "limit", (long)n, 1, (long)n);
    int64_t *indices = bench_memory(n, sizeof *indices);
    for (size_t i = 0; i < n; i++) {
        indices[i] = (int64_t)i;
    }
    bench_must(amun_attack_create_search(&attack, ctx, options), "search");
    f.before = probed ? bench_probe_run(threads) : f.before;
    bench_peak_reset();
    for (size_t i = 0; i < repetitions; i++) {
        amun_advset *set = NULL;
        double began = amun__now();
        bench_must(amun_advset_build(&set, attack, model, data, indices, n, NULL), "search");
        times[i] = amun__now() - began;
        if (i + 1 == repetitions) {
            const char *table = bench_text(args, "table", NULL);
            summarise(&f, set);
            if (table != NULL) {
                write_table(ctx, table, amun_advset_records(set), f.count);
            }
        }
        amun_advset_unref(set);
    }
    f.seconds = bench_spread_of(times, repetitions);
    f.peak = bench_peak();
    f.after = probed ? bench_probe_run(threads) : f.after;
    print_figures(&f, model, options, threads, repetitions);
    free(indices);
    amun_attack_unref(attack);
}

/* ---- ways ------------------------------------------------------------------------------------ */

typedef struct way {
    amun_search_method method;
    int32_t steps, pilot;
    double percentile;
} way;

static void measure_way(const bench_args *args, amun_context *ctx, const amun_model *model,
                        const amun_dataset *data, way w)
{
    amun_search_options options;
    bench_must(amun_search_options_init(&options, sizeof options), "search");
    options.method = w.method;
    options.steps = w.steps;
    options.pilot = w.pilot;
    options.pilot_percentile = w.percentile;
    measure(args, ctx, model, data, &options);
}

static void measure_all(const bench_args *args, amun_context *ctx, const amun_model *model,
                        const amun_dataset *data)
{
    const way ways[] = {
        {AMUN_SEARCH_EPSILON, 50, 0, 50},   {AMUN_SEARCH_EPSILON, 20, 0, 50},
        {AMUN_SEARCH_EPSILON, 50, 100, 50}, {AMUN_SEARCH_EPSILON, 20, 100, 50},
        {AMUN_SEARCH_EPSILON, 50, 100, 95}, {AMUN_SEARCH_DDN, 20, 0, 50},
        {AMUN_SEARCH_DDN, 50, 0, 50},       {AMUN_SEARCH_DDN, 100, 0, 50},
        {AMUN_SEARCH_FMN, 10, 0, 50},       {AMUN_SEARCH_FMN, 20, 0, 50},
        {AMUN_SEARCH_FMN, 50, 0, 50},       {AMUN_SEARCH_FMN, 100, 0, 50},
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        measure_way(args, ctx, model, data, ways[i]);
    }
}

static void measure_given(const bench_args *args, amun_context *ctx, const amun_model *model,
                          const amun_dataset *data)
{
    const char *name = bench_text(args, "method", "epsilon");
    way w = {.method = strcmp(name, "ddn") == 0   ? AMUN_SEARCH_DDN
                       : strcmp(name, "fmn") == 0 ? AMUN_SEARCH_FMN
                                                  : AMUN_SEARCH_EPSILON,
             .steps = (int32_t)bench_number(args, "steps", 50, 1, 10000),
             .pilot = (int32_t)bench_number(args, "pilot", 0, 0, 1000000),
             .percentile = (double)bench_number(args, "percentile", 50, 0, 100)};
    if (strcmp(name, "compare") == 0) {
        measure_all(args, ctx, model, data);
    } else if (w.method == AMUN_SEARCH_EPSILON && strcmp(name, "epsilon") != 0) {
        (void)fprintf(stderr, "method: '%s' is none of epsilon, ddn, fmn, compare\n", name);
        exit(2);
    } else {
        measure_way(args, ctx, model, data, w);
    }
}

static amun_dataset *open_data(const bench_args *args, amun_context *ctx)
{
    amun_dataset *data = NULL;
    const char *images = bench_text(args, "images", ""), *labels = bench_text(args, "labels", "");
    size_t length = strlen(images);
    bool npy = length > 4 && strcmp(images + length - 4, ".npy") == 0;
    bench_must(npy ? amun_dataset_open_npy(&data, ctx, images, labels)
                   : amun_dataset_open_idx(&data, ctx, images, labels),
               "images");
    return data;
}

/* A fresh network, trained just enough for a search to have something to do. */
static amun_model *fit(const bench_args *args, amun_context *ctx, const amun_dataset *data)
{
    amun_model *model = NULL;
    amun_model_options shape;
    amun_train_options options;
    int64_t extents[3];
    bench_must(amun_dataset_shape(data, extents), "images");
    bench_must(amun_model_options_init(&shape, sizeof shape), "fit");
    shape.channels = extents[0];
    shape.height = extents[1];
    shape.width = extents[2];
    shape.classes = amun_dataset_classes(data);
    bench_must(amun_model_create(&model, ctx, bench_text(args, "arch", "digits"), &shape), "arch");
    bench_must(amun_train_options_init(&options, sizeof options), "fit");
    options.epochs = (int32_t)bench_number(args, "fit", 1, 1, 1000);
    options.schedule = AMUN_SCHEDULE_ONECYCLE;
    options.augment_flip = options.augment_pad = 0;
    bench_must(amun_train_run(NULL, model, data, NULL, 0, &options, NULL), "fit");
    return model;
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    amun_context *ctx = NULL;
    amun_model *model = NULL;
    bench_args_check(&args, keys);
    bench_must(amun_context_create(&ctx, NULL), "context");
    bench_must(amun_context_set_threads(ctx, (int32_t)bench_number(&args, "threads", 0, 0, 1024)),
               "threads");
    amun_dataset *data = open_data(&args, ctx);
    if (bench_text(&args, "fit", NULL) != NULL) {
        model = fit(&args, ctx, data);
    } else {
        bench_must(amun_model_load(&model, ctx, bench_text(&args, "weights", "")), "weights");
    }
    measure_given(&args, ctx, model, data);
    amun_dataset_unref(data);
    amun_model_unref(model);
    amun_context_unref(ctx);
    return 0;
}
