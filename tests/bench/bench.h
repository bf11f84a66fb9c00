/* bench.h - what the benchmarks share: arguments, figures, memory, and the probe that tells whether
 * the machine was itself while a figure was taken. */
#ifndef AMUN_BENCH_H
#define AMUN_BENCH_H

#include <stdio.h>

#include "core/core.h"

enum { BENCH_MAX_REPETITIONS = 1000 };

/* ---- arguments: KEY VALUE pairs ------------------------------------------------------------- */

typedef struct bench_args {
    int argc;
    char **argv;
} bench_args;

/* Ends the program with status 2 unless the arguments are pairs whose keys stand in `keys`
 * (NULL-terminated). */
void bench_args_check(const bench_args *args, const char *const *keys);
const char *bench_text(const bench_args *args, const char *key, const char *otherwise);
/* Ends the program unless the value is a whole number in [low, high]. */
long bench_number(const bench_args *args, const char *key, long otherwise, long low, long high);

/* Prints the library's message and ends the program with status 1 unless status is AMUN_OK. */
void bench_must(amun_status status, const char *what);
/* malloc that ends the program. */
void *bench_memory(size_t count, size_t size);

/* ---- figures -------------------------------------------------------------------------------- */

typedef struct bench_spread {
    double min, median, max;
} bench_spread;
/* Sorts `values`; count > 0. */
bench_spread bench_spread_of(double *values, size_t count);

/* ---- memory --------------------------------------------------------------------------------- */

/* Forgets the peak so far, where the system can (Linux). */
void bench_peak_reset(void);
/* Bytes; 0 where unknown. */
uint64_t bench_peak(void);
uint64_t bench_resident(void);

/* ---- probe ---------------------------------------------------------------------------------- */

typedef struct bench_probe {
    double gflops; /* multiply-adds in registers, all threads */
    double gbytes; /* copy of memory larger than caches, bytes read plus bytes written, 1e9/s */
} bench_probe;
/* About 40 ms. Its memory is given back. */
bench_probe bench_probe_run(int threads);
/* {"gflops": ..., "gbytes": ...} */
void bench_probe_print(FILE *file, const char *name, bench_probe probe);

#endif
