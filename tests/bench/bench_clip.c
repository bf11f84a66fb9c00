/* bench_clip.c - what holding all layers to a norm costs: the power iterations of each training
 * step, a clip of the schedule, both as a share of a step, and one clip of the whole model at once.
 * One JSON object per line.
 *
 *   bench_clip KEY VALUE ...
 *     arch NAME          default resnet18
 *     method block | legacy | scale     default block
 *     block N            vectors, default 0: the library's choice for training
 *     target_percent N   of the norms, default 100
 *     gain_percent N     the weights are multiplied by that first, default 200
 *     every N            the schedule that the share is of, default 100
 *     repetitions N      default 5
 *     once 0 | 1         the clip of the whole model too, default 1
 *     final 0 | 1        with bounds that hold for certain, default 1
 *     batch N, threads N, seed N, weights FILE, images FILE, labels FILE: see work.h
 */
#include "spectral/clipper.h"
#include "work.h"

#include <stdlib.h>

static const char *const keys[] = {
    "arch",  "method", "block",   "target_percent", "gain_percent", "every",  "repetitions", "once",
    "final", "batch",  "threads", "weights",        "images",       "labels", "seed",        NULL};

static amun_clip_method method_of(const char *name)
{
    static const char *const names[] = {"block", "legacy", "scale"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i + 1;
        }
    }
    (void)fprintf(stderr, "method is '%s'; there are block, legacy, scale\n", name);
    exit(2);
}

static amun_clip_options options_of(const bench_args *args)
{
    amun_clip_options o;
    bench_must(amun_clip_options_init(&o, sizeof o), "options");
    o.method = method_of(bench_text(args, "method", "block"));
    o.block = (int32_t)bench_number(args, "block", 0, 0, 128);
    o.target = (double)bench_number(args, "target_percent", 100, 1, 1000000) / 100.0;
    o.every = (int32_t)bench_number(args, "every", 100, 2, 1000000);
    o.final_scale = (int32_t)bench_number(args, "final", 1, 0, 1);
    return o;
}

/* Median milliseconds of a step of the schedule, due or not. */
static double step_time(amun__clipper *clipper, int64_t step, size_t repetitions)
{
    double times[BENCH_MAX_REPETITIONS];
    for (size_t i = 0; i < repetitions; i++) {
        const double began = amun__now();
        bench_must(amun__clipper_before_forward(clipper, step, NULL), "step");
        times[i] = 1e3 * (amun__now() - began);
    }
    return bench_spread_of(times, repetitions).median;
}

static double train_time(bench_work *work, size_t repetitions)
{
    amun__plan *plan = NULL;
    double times[BENCH_MAX_REPETITIONS];
    bench_must(amun__model_lease(work->model, (int64_t)work->batch, AMUN__MODE_TRAIN, &plan),
               "plan");
    bench_must(bench_work_run(work, plan, AMUN__MODE_TRAIN), "train");
    for (size_t i = 0; i < repetitions; i++) {
        const double began = amun__now();
        bench_must(bench_work_run(work, plan, AMUN__MODE_TRAIN), "train");
        times[i] = 1e3 * (amun__now() - began);
    }
    amun__model_release(work->model, plan);
    return bench_spread_of(times, repetitions).median;
}

static void print_training(bench_work *work, const amun_clip_options *o, size_t repetitions)
{
    amun__clipper *clipper = NULL;
    const double train = train_time(work, repetitions);
    bench_must(amun__clipper_create(&clipper, work->ctx, work->model, o, AMUN__CLIPPER_TRAIN,
                                    AMUN__LINOP_BEST),
               "clipper");
    bench_must(amun__clipper_before_forward(clipper, 1, NULL), "step");
    const double follow = step_time(clipper, 1, repetitions);
    const double clip = step_time(clipper, o->every, repetitions);
    const double share = (follow * (o->every - 1) + clip) / o->every / train;
    (void)printf("{\"bench\": \"clip\", \"work\": \"training\", \"batch\": %zu, \"threads\": %d, "
                 "\"block\": %d, \"every\": %d, \"train_ms\": %.2f, \"follow_ms\": %.2f, "
                 "\"clip_ms\": %.2f, \"share_percent\": %.2f}\n",
                 work->batch, (int)work->threads.count, (int)o->block, (int)o->every, train, follow,
                 clip, 100.0 * share);
    (void)fflush(stdout);
    amun__clipper_destroy(clipper);
}

static void print_once(bench_work *work, const amun_clip_options *o)
{
    amun__clipper *clipper = NULL;
    amun_clip_result r;
    bench_must(amun__clipper_create(&clipper, work->ctx, work->model, o, AMUN__CLIPPER_ONCE,
                                    AMUN__LINOP_BEST),
               "clipper");
    bench_must(amun__clipper_run(clipper, NULL, &r), "run");
    (void)printf("{\"bench\": \"clip\", \"work\": \"once\", \"layers\": %lld, \"rounds\": %lld, "
                 "\"largest\": %.6f, \"upper\": %.6f, \"moved\": %.4f, \"seconds\": %.2f}\n",
                 (long long)r.layers, (long long)r.rounds, r.largest, r.upper, r.moved, r.seconds);
    amun__clipper_destroy(clipper);
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    bench_args_check(&args, keys);
    bench_work work;
    const amun_clip_options o = options_of(&args);
    const size_t repetitions =
        (size_t)bench_number(&args, "repetitions", 5, 1, BENCH_MAX_REPETITIONS);
    const double gain = (double)bench_number(&args, "gain_percent", 200, 1, 1000000) / 100.0;
    bench_work_open(&work, &args, bench_text(&args, "arch", "resnet18"));
    print_training(&work, &o, repetitions);
    if (bench_number(&args, "once", 1, 0, 1) != 0) {
        for (size_t i = 0; i < work.values.trainable; i++) {
            work.values.values[i] *= (float)gain;
        }
        amun__model_touch(work.model);
        print_once(&work, &o);
    }
    bench_work_close(&work);
    return 0;
}
