/* bench_lotos.c - what the LOTOS term costs: one run of joint training in which every other step
 * has the term (A B A B ...), the time of a step of each kind, and the ratio of the medians. One
 * JSON object.
 *
 *   bench_lotos KEY VALUE ...
 *     arch NAME          default resnet18
 *     members N          default 3
 *     batch N            default 128
 *     repetitions N      timed pairs of steps, after one that is not, default 5
 *     k N, block N       of the term, default 1 and 0
 *     batchnorm 0 | 1    the term on convolution and batch norm too, default 0
 *     threads N          default 0: the runtime's
 *
 * Beside the time on the clock stands that of the processors: what a machine with other work on it
 * still tells. The vectors' first, long search is not in it: it happens once per run. */
#include "bench.h"

#include <stdlib.h>
#include <time.h>

#include "amun/ensemble.h"

enum { MOST_MEMBERS = 16, SKIPPED = 2, SIDE = 32, CLASSES = 10 };

static const char *const keys[] = {"arch", "members", "batch",     "steps",   "repetitions",
                                   "k",    "block",   "batchnorm", "threads", NULL};

/* Of both kinds of steps: 0 without the term, 1 with it. */
typedef struct stopwatch {
    double last, last_cpu, *times[2], *cpu[2];
    size_t used[2];
} stopwatch;

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static int32_t on_step(const amun_progress *p, void *user)
{
    stopwatch *w = user;
    double now = amun__now(), cpu = cpu_seconds();
    if (p->step > SKIPPED && strcmp(p->phase, "ensemble") == 0) {
        size_t kind = p->step % 2; /* steps are counted from 1, and the first one has the term */
        w->cpu[kind][w->used[kind]] = 1e3 * (cpu - w->last_cpu);
        w->times[kind][w->used[kind]++] = 1e3 * (now - w->last);
    }
    w->last = now;
    w->last_cpu = cpu;
    return 0;
}

static amun_dataset *random_data(amun_context *ctx, size_t count)
{
    const int64_t shape[4] = {(int64_t)count, 3, SIDE, SIDE};
    const size_t values = count * 3 * SIDE * SIDE;
    float *images = bench_memory(values, sizeof *images);
    int64_t *labels = bench_memory(count, sizeof *labels);
    amun__rng rng;
    amun__rng_open(&rng, 1, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < values; i++) {
        images[i] = (float)amun__rng_uniform(&rng);
    }
    for (size_t i = 0; i < count; i++) {
        labels[i] = (int64_t)(i % CLASSES);
    }
    amun_tensor_view image_view, label_view;
    amun_dataset *data = NULL;
    bench_must(amun_tensor_view_init(&image_view, images, AMUN_DTYPE_F32, 4, shape), "images");
    bench_must(amun_tensor_view_init(&label_view, labels, AMUN_DTYPE_I64, 1, shape), "labels");
    bench_must(amun_dataset_open_view(&data, ctx, &image_view, &label_view, CLASSES, NULL, NULL),
               "data"); /* borrows: the arrays live as long as the process */
    return data;
}

static amun_ensemble *make_ensemble(amun_context *ctx, const bench_args *args)
{
    amun_model *models[MOST_MEMBERS];
    amun_ensemble *ensemble = NULL;
    size_t count = (size_t)bench_number(args, "members", 3, 2, MOST_MEMBERS);
    for (size_t i = 0; i < count; i++) {
        amun_model_options o;
        bench_must(amun_model_options_init(&o, sizeof o), "options");
        o.seed = i;
        bench_must(amun_model_create(&models[i], ctx, bench_text(args, "arch", "resnet18"), &o),
                   "model");
    }
    bench_must(amun_ensemble_create(&ensemble, ctx, models, count), "ensemble");
    for (size_t i = 0; i < count; i++) {
        amun_model_unref(models[i]);
    }
    return ensemble;
}

static void run(amun_ensemble *ensemble, const amun_dataset *data, const bench_args *args,
                stopwatch *watch)
{
    amun_train_options train;
    amun_lotos_options term;
    amun_ensemble_train_options o;
    amun_call_options call;
    bench_must(amun_train_options_init(&train, sizeof train), "options");
    bench_must(amun_lotos_options_init(&term, sizeof term), "options");
    bench_must(amun_ensemble_train_options_init(&o, sizeof o), "options");
    bench_must(amun_call_options_init(&call, sizeof call), "options");
    train.epochs = 1;
    train.batch = (int32_t)bench_number(args, "batch", 128, 1, 65536);
    train.lr = 0.01;
    term.k = (int32_t)bench_number(args, "k", 1, 1, 64);
    term.block = (int32_t)bench_number(args, "block", 0, 0, 1024);
    term.batchnorm = (int32_t)bench_number(args, "batchnorm", 0, 0, 1);
    term.mal = 0.0; /* every layer has a gradient: the dearest case */
    term.initial_iterations = 1;
    term.every = 2;
    o.train = &train;
    o.lotos = &term;
    call.progress = on_step;
    call.user_data = watch;
    call.min_interval_ms = 0;
    bench_must(amun_ensemble_train(NULL, ensemble, data, NULL, 0, &o, &call), "train");
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    bench_args_check(&args, keys);
    const size_t pairs = (size_t)bench_number(&args, "repetitions", 5, 1, 100);
    const size_t batch = (size_t)bench_number(&args, "batch", 128, 1, 65536);
    amun_context *ctx = NULL;
    bench_must(amun_context_create(&ctx, NULL), "context");
    bench_must(amun_context_set_threads(ctx, (int32_t)bench_number(&args, "threads", 0, 0, 1024)),
               "threads");
    amun_dataset *data = random_data(ctx, batch * (2 * pairs + SKIPPED));
    amun_ensemble *ensemble = make_ensemble(ctx, &args);
    stopwatch watch = {.last = 0.0};
    for (size_t kind = 0; kind < 2; kind++) {
        watch.times[kind] = bench_memory(pairs, sizeof(double));
        watch.cpu[kind] = bench_memory(pairs, sizeof(double));
    }
    bench_probe before = bench_probe_run(2);
    run(ensemble, data, &args, &watch);
    bench_spread times[2], cpu[2];
    for (size_t kind = 0; kind < 2; kind++) {
        times[kind] = bench_spread_of(watch.times[kind], pairs);
        cpu[kind] = bench_spread_of(watch.cpu[kind], pairs);
    }
    (void)printf("{\"bench\": \"lotos\", \"arch\": \"%s\", \"members\": %zu, \"batch\": %zu, "
                 "\"pairs\": %zu, \"plain_ms_min\": %.1f, \"plain_ms_median\": %.1f, "
                 "\"lotos_ms_min\": %.1f, \"lotos_ms_median\": %.1f, \"ratio\": %.4f, "
                 "\"plain_cpu_ms_min\": %.1f, \"plain_cpu_ms_median\": %.1f, "
                 "\"lotos_cpu_ms_min\": %.1f, \"lotos_cpu_ms_median\": %.1f, "
                 "\"cpu_ratio\": %.4f, ",
                 bench_text(&args, "arch", "resnet18"), amun_ensemble_count(ensemble), batch, pairs,
                 times[0].min, times[0].median, times[1].min, times[1].median,
                 times[1].median / times[0].median, cpu[0].min, cpu[0].median, cpu[1].min,
                 cpu[1].median, cpu[1].median / cpu[0].median);
    bench_probe_print(stdout, "probe_before", before);
    (void)printf("}\n");
    for (size_t kind = 0; kind < 2; kind++) {
        free(watch.times[kind]);
        free(watch.cpu[kind]);
    }
    amun_ensemble_unref(ensemble);
    amun_dataset_unref(data);
    amun_context_unref(ctx);
    return 0;
}
