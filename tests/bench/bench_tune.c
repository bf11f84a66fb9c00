/* bench_tune.c - what measured choices of convolutions gain over the fixed ones: the same unit of
 * work by two contexts in turns, one of them with a cache of choices. One JSON object per network.
 *
 *   bench_tune KEY VALUE ...
 *     arch NAME,...      default resnet8,convnet,resnet18
 *     work NAME          infer, attack, train (default)
 *     tune_cache FILE    default: a new one in the working folder, removed afterwards
 *     rounds N           one repetition of each side after one that is not timed, default 5
 *     batch N, threads N, seed N, weights FILE, images FILE, labels FILE: see work.h
 *
 * Ratios are fixed / tuned, of processor time; `tuned_compile_seconds` has the measurements in it
 * that the file did not know. */
#include "work.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef AMUN_WITH_DNNL
#include "nn/dnnl_impl.h"
#endif

static const char *const keys[] = {"arch",    "work",   "tune_cache", "rounds", "batch", "threads",
                                   "weights", "images", "labels",     "seed",   NULL};

/* One side of the comparison. */
typedef struct side {
    bench_work work;
    amun__plan *plan;
    double processor[BENCH_MAX_REPETITIONS], clock[BENCH_MAX_REPETITIONS];
    double compile_seconds;
} side;

static void open_side(side *s, const bench_args *args, const char *arch, int mode, char *cache)
{
    static char key[] = "tune_cache";
    char **argv = bench_memory((size_t)args->argc + 2, sizeof *argv);
    int argc = 0;
    for (int i = 0; i < args->argc; i++) { /* the program's name, then pairs */
        if (i > 0 && i % 2 == 1 && strcmp(args->argv[i], key) == 0) {
            i++;
            continue;
        }
        argv[argc++] = args->argv[i];
    }
    if (cache != NULL) {
        argv[argc++] = key;
        argv[argc++] = cache;
    }
    const bench_args with = {argc, argv};
    bench_work_open(&s->work, &with, arch);
    free(argv);
    double began = amun__now();
    bench_must(amun__model_lease(s->work.model, (int64_t)s->work.batch, (amun__mode)mode, &s->plan),
               arch);
    s->compile_seconds = amun__now() - began;
    bench_must(bench_work_run(&s->work, s->plan, (amun__mode)mode), arch);
}

static void close_side(side *s)
{
    amun__model_release(s->work.model, s->plan);
    bench_work_close(&s->work);
}

static void run_side(side *s, int mode, size_t round)
{
    double began = amun__now();
    clock_t used = clock();
    bench_must(bench_work_run(&s->work, s->plan, (amun__mode)mode), "work");
    s->processor[round] = 1e3 * (double)(clock() - used) / CLOCKS_PER_SEC;
    s->clock[round] = 1e3 * (amun__now() - began);
}

/* Passes of convolutions that got other code: with 0 of them both plans are the same, and the ratio
 * is the machine's noise. */
static int differing(const amun__plan *a, const amun__plan *b)
{
    int count = 0;
#ifdef AMUN_WITH_DNNL
    const amun__dnnl_plan *x = a->impl, *y = b->impl;
    for (int32_t i = 0; i < a->graph->node_count; i++) {
        for (int d = 0; d < AMUN__DNNL_DIRECTIONS; d++) {
            count += x->choices[i].used[d] != y->choices[i].used[d];
        }
    }
#else
    (void)a;
    (void)b;
#endif
    return count;
}

static void compare(const bench_args *args, const char *arch, int mode, char *cache)
{
    size_t rounds = (size_t)bench_number(args, "rounds", 5, 1, BENCH_MAX_REPETITIONS);
    static side fixed, tuned;
    double ratios[BENCH_MAX_REPETITIONS];
    open_side(&fixed, args, arch, mode, NULL);
    open_side(&tuned, args, arch, mode, cache);
    for (size_t i = 0; i < rounds; i++) { /* whoever begins has no advantage in the long run */
        run_side(i % 2 == 0 ? &fixed : &tuned, mode, i);
        run_side(i % 2 == 0 ? &tuned : &fixed, mode, i);
        ratios[i] = fixed.processor[i] / tuned.processor[i];
    }
    const bench_spread ratio = bench_spread_of(ratios, rounds);
    (void)printf(
        "{\"bench\": \"tune\", \"arch\": \"%s\", \"batch\": %zu, \"threads\": %d, \"rounds\": "
        "%zu, \"differing_choices\": %d, \"fixed_processor_ms_median\": %.3f, "
        "\"tuned_processor_ms_median\": %.3f, "
        "\"ratio_min\": %.4f, \"ratio_median\": %.4f, \"ratio_max\": %.4f, "
        "\"fixed_ms_median\": %.3f, \"tuned_ms_median\": %.3f, \"fixed_compile_seconds\": "
        "%.3f, \"tuned_compile_seconds\": %.3f, \"fixed_plan_bytes\": %llu, "
        "\"tuned_plan_bytes\": %llu}\n",
        arch, fixed.work.batch, (int)fixed.work.threads.count, rounds,
        differing(fixed.plan, tuned.plan), bench_spread_of(fixed.processor, rounds).median,
        bench_spread_of(tuned.processor, rounds).median, ratio.min, ratio.median, ratio.max,
        bench_spread_of(fixed.clock, rounds).median, bench_spread_of(tuned.clock, rounds).median,
        fixed.compile_seconds, tuned.compile_seconds, (unsigned long long)fixed.plan->bytes,
        (unsigned long long)tuned.plan->bytes);
    (void)fflush(stdout);
    close_side(&tuned);
    close_side(&fixed);
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    bench_args_check(&args, keys);
    char arch[64], own[64], given[4096];
    const char *cache = bench_text(&args, "tune_cache", NULL);
    int mode = bench_work_mode(bench_text(&args, "work", "train"));
    if (mode == 0) {
        (void)fprintf(stderr, "%s: work: there are infer, attack, train\n", argv[0]);
        return 2;
    }
    (void)snprintf(own, sizeof own, "bench_tune.%ld.json", (long)getpid());
    (void)snprintf(given, sizeof given, "%s", cache != NULL ? cache : own);
    const char *list = bench_text(&args, "arch", "resnet8,convnet,resnet18");
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        (void)snprintf(arch, sizeof arch, "%.*s", (int)length, list);
        compare(&args, arch, mode, given);
        list += length + (list[length] == ',');
    }
    if (cache == NULL) {
        (void)unlink(own);
    }
    return 0;
}
