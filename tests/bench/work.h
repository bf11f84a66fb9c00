/* work.h - one network with a batch of images, and the units of work that are timed. */
#ifndef AMUN_BENCH_WORK_H
#define AMUN_BENCH_WORK_H

#include "bench.h"
#include "nn/graph.h"

typedef struct bench_work {
    amun_context *ctx;
    amun_model *model;
    amun__threads threads;
    size_t batch, classes, pixels; /* pixels per image */
    float *images, *targets;       /* [batch][pixels], one-hot [batch][classes] */
    int64_t *labels;
    float *logits, *seed, *diff_images;
    float *diff, *velocity; /* trainable parameters */
    amun__model_values values;
    int64_t steps; /* SGD steps so far */
    double loss;   /* of the last training step */
} bench_work;

/* Keys: arch, weights (safetensors; else fresh ones from seed), seed, batch, threads, tune_cache (else
 * nothing is tuned), images and labels (npy; else random ones). */
void bench_work_open(bench_work *work, const bench_args *args, const char *arch);
void bench_work_close(bench_work *work);

/* "infer", "attack", "train": 1..3, the engine's modes; 0 for other names. */
int bench_work_mode(const char *name);
/* Logits; attack: also the gradient at the images; train: loss, gradients, statistics, SGD. */
amun_status bench_work_run(bench_work *work, amun__plan *plan, amun__mode mode);

/* The whole npy file as floats, or as integers; `shape0` gets its rows. Ends the program on
 * failure. */
float *bench_read_images(const char *path, size_t pixels, size_t *rows);
int64_t *bench_read_labels(const char *path, size_t rows);

#endif
