/* bench_spectral.c - one power iteration (arXiv 2402.16017, algorithm 1) over all convolutions and
 * dense layers of a network. One JSON object per line: with the weights at hand, and with weights
 * that have just changed.
 *
 *   bench_spectral KEY VALUE ...
 *     arch NAME          default resnet18
 *     k N, blocks N,...  values that are wanted (1), and vectors that iterate (1,8)
 *     repetitions N      default 20
 *     layers 0 | 1       also one line per layer, default 0
 *     threads N, seed N, weights FILE, batch N: see work.h
 */
#include "spectra.h"
#include "work.h"

#include <stdlib.h>

static const char *const keys[] = {"arch",    "k",    "blocks",  "repetitions", "layers",
                                   "threads", "seed", "weights", "batch",       NULL};

static void print_layers(const bench_spectra *s, bool fresh)
{
    const amun_graph *graph = amun__model_graph(s->model);
    for (size_t i = 0; i < s->count; i++) {
        const amun__linop_shape *shape = amun__linop_shape_of(s->ops[i]);
        (void)printf("{\"bench\": \"spectral_layer\", \"layer\": \"%s\", \"fresh\": %d, "
                     "\"in\": [%lld, %lld], \"out\": [%lld, %lld], \"kernel\": %lld, "
                     "\"ms\": %.3f}\n",
                     graph->nodes[s->nodes[i]].name, fresh, (long long)shape->in_channels,
                     (long long)shape->in_height, (long long)shape->out_channels,
                     (long long)shape->out_height, (long long)shape->kernel[0],
                     1e3 * s->seconds[i]);
    }
}

static void measure(bench_work *work, const bench_args *args, const char *arch, long block,
                    bool fresh)
{
    double times[BENCH_MAX_REPETITIONS];
    static bench_spectra spectra;
    const long k = bench_number(args, "k", 1, 1, 64);
    const size_t n = (size_t)bench_number(args, "repetitions", 20, 1, BENCH_MAX_REPETITIONS);
    bench_spectra_open(&spectra, work->model, (int32_t)(k < block ? k : block), (int32_t)block);
    const bench_probe before = bench_probe_run(work->threads.count);
    (void)bench_spectra_run(&spectra, fresh);
    for (size_t i = 0; i < n; i++) {
        times[i] = bench_spectra_run(&spectra, fresh);
    }
    const bench_probe after = bench_probe_run(work->threads.count);
    const bench_spread ms = bench_spread_of(times, n);
    (void)printf("{\"bench\": \"spectral\", \"arch\": \"%s\", \"layers\": %zu, \"k\": %ld, "
                 "\"block\": %ld, \"fresh\": %d, \"threads\": %d, \"repetitions\": %zu, "
                 "\"ms_min\": %.3f, \"ms_median\": %.3f, \"ms_max\": %.3f, ",
                 arch, spectra.count, k, block, fresh, (int)work->threads.count, n, ms.min,
                 ms.median, ms.max);
    bench_probe_print(stdout, "probe_before", before);
    (void)printf(", ");
    bench_probe_print(stdout, "probe_after", after);
    (void)printf("}\n");
    if (bench_number(args, "layers", 0, 0, 1) != 0) {
        print_layers(&spectra, fresh);
    }
    bench_spectra_close(&spectra);
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    bench_work work;
    bench_args_check(&args, keys);
    const char *arch = bench_text(&args, "arch", "resnet18");
    bench_work_open(&work, &args, arch);
    for (const char *at = bench_text(&args, "blocks", "1,8"); at != NULL;) {
        char *end;
        const long block = strtol(at, &end, 10);
        if (end == at || block < 1 || block > 128) {
            (void)fprintf(stderr, "bench_spectral: blocks: '%s' is not in [1, 128]\n", at);
            return 2;
        }
        measure(&work, &args, arch, block, false);
        measure(&work, &args, arch, block, true);
        at = *end == ',' ? end + 1 : NULL;
    }
    bench_work_close(&work);
    return 0;
}
