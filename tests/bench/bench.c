/* bench.c - arguments, figures, memory and probe of the benchmarks. */
#include "bench.h"

#include <stdlib.h>

/* ---- arguments ------------------------------------------------------------------------------ */

void bench_args_check(const bench_args *args, const char *const *keys)
{
    for (int i = 1; i < args->argc; i += 2) {
        size_t k = 0;
        while (keys[k] != NULL && strcmp(keys[k], args->argv[i]) != 0) {
            k++;
        }
        if (keys[k] == NULL || i + 1 == args->argc) {
            (void)fprintf(stderr, "%s: %s %s; keys:", args->argv[0],
                          keys[k] == NULL ? "unknown key" : "no value for", args->argv[i]);
            for (k = 0; keys[k] != NULL; k++) {
                (void)fprintf(stderr, " %s", keys[k]);
            }
            (void)fprintf(stderr, "\n");
            exit(2);
        }
    }
}

const char *bench_text(const bench_args *args, const char *key, const char *otherwise)
{
    for (int i = 1; i + 1 < args->argc; i += 2) {
        if (strcmp(args->argv[i], key) == 0) {
            return args->argv[i + 1];
        }
    }
    return otherwise;
}

long bench_number(const bench_args *args, const char *key, long otherwise, long low, long high)
{
    const char *text = bench_text(args, key, NULL);
    if (text == NULL) {
        return otherwise;
    }
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < low || value > high) {
        (void)fprintf(stderr, "%s: %s is '%s', not in [%ld, %ld]\n", args->argv[0], key, text, low,
                      high);
        exit(2);
    }
    return value;
}

void bench_must(amun_status status, const char *what)
{
    if (status != AMUN_OK) {
        (void)fprintf(stderr, "%s: %s: %s\n", what, amun_status_string(status),
                      amun_last_error_message());
        exit(1);
    }
}

void *bench_memory(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) {
        (void)fprintf(stderr, "no memory for %zu times %zu bytes\n", count, size);
        exit(1);
    }
    return memory;
}

/* ---- figures -------------------------------------------------------------------------------- */

static int smaller_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bench_spread bench_spread_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, smaller_first);
    double median =
        count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    return (bench_spread){values[0], median, values[count - 1]};
}

/* ---- memory --------------------------------------------------------------------------------- */

void bench_peak_reset(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file != NULL) {
        (void)fputs("5", file);
        (void)fclose(file);
    }
}

static uint64_t status_kib(const char *key)
{
    char line[256];
    unsigned long long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        size_t length = strlen(key);
        if (strncmp(line, key, length) == 0 && line[length] == ':') {
            value = strtoull(line + length + 1, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return value * 1024;
}

uint64_t bench_peak(void)
{
    return status_kib("VmHWM");
}

uint64_t bench_resident(void)
{
    return status_kib("VmRSS");
}

/* ---- probe ---------------------------------------------------------------------------------- */

enum { PROBE_ROUNDS = 3, PROBE_STEPS = 1 << 20 };
#define PROBE_BYTES ((size_t)96 << 20)

/* Independent chains of multiply-adds; contracted to FMA by the flags of this folder. Vectors as
 * wide as a register and COUNT as many as there are registers beside factor and term: of wider or
 * more ones the compiler keeps some in memory, and then it is memory that the probe measures. */
#define DEFINE_CHAINS(NAME, ATTRIBUTES, LANES, COUNT)                                              \
    typedef float NAME##_lanes __attribute__((vector_size((LANES) * sizeof(float))));              \
    ATTRIBUTES static float NAME(int steps, float start)                                           \
    {                                                                                              \
        const NAME##_lanes factor = (NAME##_lanes){0} + 0.999f, term = (NAME##_lanes){0} + start;  \
        NAME##_lanes c[COUNT];                                                                     \
        for (int i = 0; i < (COUNT); i++) {                                                        \
            c[i] = term + (float)i;                                                                \
        }                                                                                          \
        for (int step = 0; step < steps; step++) {                                                 \
            _Pragma("GCC unroll 16") for (int i = 0; i < (COUNT); i++)                             \
            {                                                                                      \
                c[i] = c[i] * factor + term;                                                       \
            }                                                                                      \
        }                                                                                          \
        float sum = 0;                                                                             \
        for (int i = 0; i < (COUNT); i++) {                                                        \
            sum += c[i][0];                                                                        \
        }                                                                                          \
        return sum;                                                                                \
    }

enum { PLAIN_LANES = 4, AVX2_LANES = 8, AVX512_LANES = 16, FEW_CHAINS = 10, CHAINS = 12 };

DEFINE_CHAINS(chains_plain, , PLAIN_LANES, FEW_CHAINS)
#if defined(__x86_64__)
DEFINE_CHAINS(chains_avx2, __attribute__((target("avx2,fma"))), AVX2_LANES, CHAINS)
DEFINE_CHAINS(chains_avx512, __attribute__((target("avx512f"))), AVX512_LANES, CHAINS)
#endif

typedef float (*chains_fn)(int steps, float start);

/* *flops: of one step. */
static chains_fn best_chains(int *flops)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        *flops = 2 * AVX512_LANES * CHAINS;
        return chains_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *flops = 2 * AVX2_LANES * CHAINS;
        return chains_avx2;
    }
#endif
    *flops = 2 * PLAIN_LANES * FEW_CHAINS;
    return chains_plain;
}

static double probe_flops(int threads)
{
    int flops = 0;
    const chains_fn run = best_chains(&flops);
    float sink = 0;
    double began = amun__now();
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : sink)
    for (int t = 0; t < threads; t++) {
        sink += run(PROBE_STEPS, 0.001f + (float)t);
    }
    double seconds = amun__now() - began;
    volatile float keep = sink;
    (void)keep;
    return (double)flops * threads * PROBE_STEPS / seconds * 1e-9;
}

static double probe_copy(int threads, char *dst, const char *src)
{
    size_t part = PROBE_BYTES / (size_t)threads;
    double began = amun__now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int t = 0; t < threads; t++) {
        memcpy(dst + (size_t)t * part, src + (size_t)t * part, part);
    }
    double seconds = amun__now() - began;
    return 2.0 * (double)(part * (size_t)threads) / seconds * 1e-9;
}

/* The median of three, so that a hiccup shorter than the probe does not count. */
bench_probe bench_probe_run(int threads)
{
    double flops[PROBE_ROUNDS], bytes[PROBE_ROUNDS];
    char *memory = bench_memory(2, PROBE_BYTES);
    memset(memory, 1, 2 * PROBE_BYTES);
    for (int i = 0; i < PROBE_ROUNDS; i++) {
        flops[i] = probe_flops(threads);
        bytes[i] = probe_copy(threads, memory + PROBE_BYTES, memory);
    }
    free(memory);
    return (bench_probe){bench_spread_of(flops, PROBE_ROUNDS).median,
                         bench_spread_of(bytes, PROBE_ROUNDS).median};
}

void bench_probe_print(FILE *file, const char *name, bench_probe probe)
{
    (void)fprintf(file, "\"%s\": {\"gflops\": %.1f, \"gbytes\": %.1f}", name, probe.gflops,
                  probe.gbytes);
}
