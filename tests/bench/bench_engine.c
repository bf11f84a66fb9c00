/* bench_engine.c - time and memory of the engine's units of work: prediction ("infer"), forward
 * and gradient at the images ("attack"), a training step ("train"). One JSON object per line.
 *
 *   bench_engine KEY VALUE ...
 *     arch NAME,...      default resnet8,convnet,resnet18
 *     work NAME,...      default infer,attack,train
 *     batches N,...      default 128
 *     repetitions N      timed ones after one that is not, default 5
 *     probe 0 | 1        the machine's own speed before and after each figure, default 1
 *     threads N, tune_cache FILE, seed N, weights FILE, images FILE, labels FILE: see work.h
 *
 * It never fails because something is slow: compare figures with their probes. */
#include "work.h"

#include <stdlib.h>
#include <time.h>

static const char *const keys[] = {"arch",   "work",    "batches",    "repetitions",
                                   "probe",  "threads", "weights",    "images",
                                   "labels", "seed",    "tune_cache", NULL};

typedef struct figure {
    const char *arch, *name;
    amun__mode mode;
    bench_spread ms, processor; /* of the clock; of all threads together */
    size_t repetitions;
    uint64_t plan_bytes, resident_before, peak;
    bench_probe before, after;
} figure;

static void print_figure(const figure *f, const bench_work *w, bool probed)
{
    (void)printf("{\"bench\": \"engine\", \"arch\": \"%s\", \"work\": \"%s\", \"batch\": %zu, "
                 "\"threads\": %d, \"repetitions\": %zu, \"ms_min\": %.3f, \"ms_median\": %.3f, "
                 "\"ms_max\": %.3f, \"processor_ms_median\": %.3f, \"images_per_second\": %.1f, "
                 "\"plan_bytes\": %llu, "
                 "\"resident_bytes_before\": %llu, \"peak_resident_bytes\": %llu",
                 f->arch, f->name, w->batch, (int)w->threads.count, f->repetitions, f->ms.min,
                 f->ms.median, f->ms.max, f->processor.median,
                 1000.0 * (double)w->batch / f->ms.median, (unsigned long long)f->plan_bytes,
                 (unsigned long long)f->resident_before, (unsigned long long)f->peak);
    if (probed) {
        (void)printf(", ");
        bench_probe_print(stdout, "probe_before", f->before);
        (void)printf(", ");
        bench_probe_print(stdout, "probe_after", f->after);
    }
    (void)printf("}\n");
    (void)fflush(stdout);
}

/* Plan included, so that `peak` is what a fresh process needs. */
static void measure(figure *f, const bench_args *args)
{
    bench_work work;
    amun__plan *plan = NULL;
    double times[BENCH_MAX_REPETITIONS], processor[BENCH_MAX_REPETITIONS];
    bool probed = bench_number(args, "probe", 1, 0, 1) != 0;
    f->repetitions = (size_t)bench_number(args, "repetitions", 5, 1, BENCH_MAX_REPETITIONS);
    f->resident_before = bench_resident();
    bench_work_open(&work, args, f->arch);
    if (probed) {
        f->before = bench_probe_run(work.threads.count);
        bench_peak_reset();
    }
    bench_must(amun__model_lease(work.model, (int64_t)work.batch, f->mode, &plan), f->arch);
    bench_must(bench_work_run(&work, plan, f->mode), f->name);
    for (size_t i = 0; i < f->repetitions; i++) {
        double began = amun__now();
        clock_t used = clock();
        bench_must(bench_work_run(&work, plan, f->mode), f->name);
        processor[i] = 1e3 * (double)(clock() - used) / CLOCKS_PER_SEC;
        times[i] = 1e3 * (amun__now() - began);
    }
    f->ms = bench_spread_of(times, f->repetitions);
    f->processor = bench_spread_of(processor, f->repetitions);
    f->plan_bytes = plan->bytes;
    f->peak = bench_peak();
    amun__model_release(work.model, plan);
    amun__model_trim(work.model);
    if (probed) {
        f->after = bench_probe_run(work.threads.count);
    }
    print_figure(f, &work, probed);
    bench_work_close(&work);
}

/* The next word of a list with commas, in `word`; NULL at its end. */
static const char *next_word(const char *list, char *word, size_t size)
{
    if (*list == '\0') {
        return NULL;
    }
    size_t length = strcspn(list, ",");
    (void)snprintf(word, size, "%.*s", (int)length, list);
    return list + length + (list[length] == ',');
}

static void measure_works(const bench_args *args, const char *arch)
{
    char name[16];
    const char *list = bench_text(args, "work", "infer,attack,train");
    while ((list = next_word(list, name, sizeof name)) != NULL) {
        int mode = bench_work_mode(name);
        if (mode == 0) {
            (void)fprintf(stderr, "work is '%s'; there are infer, attack, train\n", name);
            exit(2);
        }
        figure f = {.arch = arch, .name = name, .mode = (amun__mode)mode};
        measure(&f, args);
    }
}

/* The same arguments with one batch. */
static void measure_batches(const bench_args *args, const char *arch)
{
    char batch[16];
    static char key[] = "batch";
    const char *list = bench_text(args, "batches", "128");
    char **argv = bench_memory((size_t)args->argc + 2, sizeof *argv);
    memcpy(argv, args->argv, (size_t)args->argc * sizeof *argv);
    while ((list = next_word(list, batch, sizeof batch)) != NULL) {
        argv[args->argc] = key;
        argv[args->argc + 1] = batch;
        const bench_args with = {args->argc + 2, argv};
        measure_works(&with, arch);
    }
    free(argv);
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    char arch[64];
    bench_args_check(&args, keys);
    const char *list = bench_text(&args, "arch", "resnet8,convnet,resnet18");
    while ((list = next_word(list, arch, sizeof arch)) != NULL) {
        measure_batches(&args, arch);
    }
    return 0;
}
