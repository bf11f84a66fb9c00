/* lotos.h - LOTOS (arXiv 2410.05136): which layers correspond (pairs.c), and the term that keeps
 * them orthogonal (lotos.c). Private. */
#ifndef AMUN__LOTOS_H
#define AMUN__LOTOS_H

#include "ensemble/ensemble.h"
#include "train/train.h"

/* ---- pairs (pairs.c) ------------------------------------------------------------------------- */

/* A layer that stands in some pair. */
typedef struct amun__lotos_layer {
    size_t member;
    int32_t node, bn; /* bn: the batch norm behind it; -1: none */
    const char *name; /* module path; borrowed from the graph */
} amun__lotos_layer;

typedef struct amun__lotos_pairs {
    amun_context *ctx;
    amun__lotos_layer *layers;
    size_t layer_count;
    size_t (*pairs)[2]; /* places in `layers`; each pair counts in both directions */
    size_t pair_count;
} amun__lotos_pairs;

/* SHAPE (names layers, members and shapes) where layers do not fit, INVALID_ARGUMENT for paths that
 * do not exist; never a layer less than asked for. */
amun_status amun__lotos_pairs_make(amun__lotos_pairs *out, amun_context *ctx,
                                   amun_model *const *models, size_t count,
                                   const amun_lotos_options *options);
void amun__lotos_pairs_free(amun__lotos_pairs *pairs); /* a zeroed one is fine */

/* ---- the term (lotos.c) ---------------------------------------------------------------------- */

typedef struct amun__lotos amun__lotos;

/* Caller holds begin_write on the models for as long as it lives. */
amun_status amun__lotos_create(amun__lotos **out, amun_context *ctx, amun_model *const *models,
                               size_t members, const amun__lotos_pairs *pairs,
                               const amun_lotos_options *options);
void amun__lotos_destroy(amun__lotos *lotos); /* NULL is fine */
/* `iterations` of PowerQR on every layer's present weights. progress: nullable. */
amun_status amun__lotos_refresh(amun__lotos *lotos, int32_t iterations,
                                amun__progress_state *progress);
/* Adds the gradient at the weights of the last refresh to diffs[member] (nullable) and the term to
 * *value. The vectors are constants of it. */
amun_status amun__lotos_add(amun__lotos *lotos, float *const *diffs, double *value);

/* The vectors of all layers as arrays for checkpoints, and the ways there and back. */
const amun__run_extra *amun__lotos_extras(const amun__lotos *lotos, size_t *count);
amun_status amun__lotos_save(amun__lotos *lotos);
amun_status amun__lotos_restore(amun__lotos *lotos);

/* For tests: right singular vectors [k][in] of a layer of the pairs, `folded` with its batch norm;
 * NULL where they are not kept. */
const float *amun__lotos_vectors(const amun__lotos *lotos, size_t layer, bool folded);
const double *amun__lotos_weights(const amun__lotos *lotos); /* w_i, k of them */

#endif
