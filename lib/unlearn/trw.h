/* trw.h - tilted reweighting inside the library: forget classes, scores and targets in double.
 * Private. */
#ifndef AMUN__TRW_H
#define AMUN__TRW_H

#include "amun/trw.h"
#include "core/core.h"

/* Which classes are to be forgotten, and scratch for one thread. */
typedef struct amun__trw_classes {
    amun_context *ctx;
    size_t classes, gone;
    int32_t *row;    /* [classes]: place in the list of forget classes, -1: retained */
    int64_t *order;  /* scratch [classes] */
    double *scratch; /* scratch [classes] */
} amun__trw_classes;
/* INVALID_ARGUMENT unless the list is as amun/trw.h wants it. Close it in any case. */
amun_status amun__trw_open(amun__trw_classes *c, amun_context *ctx, const int64_t *forget,
                           size_t count, size_t classes);
void amun__trw_close(amun__trw_classes *c);

/* ---- scores (trw.c) ------------------------------------------------------------------------- */

/* From rows[classes][d], destroyed, to scores[gone][classes]; neither control nor noise. */
amun_status amun__trw_row_scores(const amun__trw_classes *c, double *rows, size_t d,
                                 const amun_trw_options *o, double *scores);
/* Cosines of the retained classes to what `score` says; forget classes become 0. */
void amun__trw_finish_row(const amun__trw_classes *c, const amun_trw_options *o, double *row);
/* Control, then noise, on a row of scores of forget class `label`. */
amun_status amun__trw_disturb(const amun__trw_classes *c, size_t label, const amun_trw_options *o,
                              double *row);
/* row = kappa row + (1 - kappa) class_row, disturbed. */
amun_status amun__trw_mix_row(const amun__trw_classes *c, size_t label, const double *class_row,
                              const amun_trw_options *o, double *row);

/* ---- targets (trw_target.c) ----------------------------------------------------------------- */

/* q of one sample; s NULL: all alike. */
void amun__trw_target(const amun__trw_classes *c, const double *z, const double *s, double beta,
                      double forget_floor, double *q);

/* ---- scores of samples (trw_samples.c) ------------------------------------------------------ */

/* Takes the retained samples in pieces, so that they need not be in memory at once. */
typedef struct amun__trw_samples {
    const amun__trw_classes *classes;
    const amun_trw_options *options;
    size_t n, d, seen;   /* forget samples, features, retained samples so far */
    const float *forget; /* [n][d], borrowed */
    double *sums;        /* [classes][d]; with neighbours: NULL */
    size_t *counts;      /* [classes] */
    float *unit;         /* [n][d] of length 1; this and the rest only with neighbours */
    float *piece, *products;
    float *nearest;         /* [n][neighbours], largest cosine first */
    int32_t *nearest_label; /* -1: none yet */
} amun__trw_samples;
/* Close it in any case. */
amun_status amun__trw_samples_open(amun__trw_samples *s, const amun__trw_classes *classes,
                                   const amun_trw_options *options, const float *forget, size_t n,
                                   size_t d);
/* labels: retained classes, unchecked. `count` is at most AMUN__TRW_PIECE. */
enum { AMUN__TRW_PIECE = 256 };
amun_status amun__trw_samples_add(amun__trw_samples *s, const float *features,
                                  const int64_t *labels, size_t count);
/* scores [n][classes]. */
amun_status amun__trw_samples_finish(amun__trw_samples *s, double *scores);
void amun__trw_samples_close(amun__trw_samples *s);

#endif
