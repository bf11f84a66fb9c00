/* spectra.h - power iterations on all convolutions and dense layers of a model. */
#ifndef AMUN_BENCH_SPECTRA_H
#define AMUN_BENCH_SPECTRA_H

#include "bench.h"
#include "spectral/powerqr.h"

enum { BENCH_MAX_LAYERS = 512 };

typedef struct bench_spectra {
    amun_model *model;
    amun__linop *ops[BENCH_MAX_LAYERS];
    amun__powerqr *states[BENCH_MAX_LAYERS];
    int32_t nodes[BENCH_MAX_LAYERS];
    double seconds[BENCH_MAX_LAYERS]; /* of the last iteration, on one thread */
    size_t count;
    int32_t part[BENCH_MAX_LAYERS]; /* side by side, as clips and LOTOS run in a training */
    size_t parts;
    bool fresh;
} bench_spectra;

/* `block` vectors each, of which k are wanted; one iteration to make all primitives. */
void bench_spectra_open(bench_spectra *s, amun_model *model, int32_t k, int32_t block);
void bench_spectra_close(bench_spectra *s);
/* One iteration of each; `fresh`: with weights that have just been read from the model, as in every
 * step of a training. Milliseconds. */
double bench_spectra_run(bench_spectra *s, bool fresh);

#endif
