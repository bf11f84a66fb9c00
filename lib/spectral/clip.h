/* clip.h - making the norm of one layer small: what a layer is to the clipping methods, and the
 * methods. Private. */
#ifndef AMUN__CLIP_H
#define AMUN__CLIP_H

#include "amun/clip.h"
#include "spectral/powerqr.h"

typedef enum amun__clip_kind {
    AMUN__CLIP_MAP = 1,   /* a convolution, or a dense layer where the method has a rule for it */
    AMUN__CLIP_MATRIX,    /* whose singular values are those of its reshaped weights: exactly */
    AMUN__CLIP_COMPOSITE, /* a convolution with the batch norm behind it */
    AMUN__CLIP_NORM       /* a batch norm alone */
} amun__clip_kind;

/* One layer that is held to a target. Arrays of the model are borrowed, the rest is the layer's.
 * Running statistics are constants here (arXiv 2402.16017 freezes them in its text; its code does
 * not). */
typedef struct amun__clip_layer {
    amun_context *ctx;
    int32_t part; /* of the clipper */
    amun__clip_kind kind;
    bool dense; /* the weights are of a dense layer */
    const char *name, *norm_name;
    double target;
    amun__linop_shape shape; /* MAP, MATRIX, COMPOSITE; complete once there is an op */
    float *weights;          /* [out][in / groups][kh][kw]; NULL for a batch norm alone */
    size_t count;
    float *gamma; /* COMPOSITE, NORM */
    const float *variance;
    double eps;
    int64_t channels;            /* of the output */
    double *factor;              /* 1 / sqrt(variance + eps); with gamma */
    float *scale;                /* COMPOSITE: gamma * factor */
    double *wide;                /* the same, not rounded */
    amun__linop_backend backend; /* of the operator; 0: the best one */
    amun__linop *op;             /* MAP, COMPOSITE, where the method needs it */
    amun__powerqr *power;        /* the same */
    float *u;                    /* MIYATO: the left vector, [channels] */
    float *raw;                  /* MIYATO in training: weights before the normalisation */
    double *right;               /* MIYATO in training: the right vector of the last step */
    double sigma;                /* the last estimate, or exact value; NaN: none yet */
} amun__clip_layer;

/* Opens the operator for blocks of `block` vectors, with a power iteration over it if asked for;
 * the fields of the model are set already. Closing a zeroed layer is fine. */
amun_status amun__clip_layer_open(amun__clip_layer *layer, int64_t block, bool power,
                                  uint64_t seed);
void amun__clip_layer_close(amun__clip_layer *layer);
/* The operator again as the model's values have it. NUMERIC: a variance that has no root. */
amun_status amun__clip_layer_refresh(amun__clip_layer *layer);

/* What a call has done so far, and where it reports to. */
typedef struct amun__clip_run {
    const amun_clip_options *options;
    amun__progress_state *progress; /* nullable */
    uint64_t done, total;           /* layers */
    int64_t rounds;                 /* extractions, all layers together */
    int32_t most;                   /* extractions per layer */
    bool training;                  /* stops after `most` whatever came of it */
    uint64_t seed;                  /* of what starts anew each time */
} amun__clip_run;

/* Holds one layer to its target by options->method (batch norms alone: options->batchnorm).
 * layer->sigma is the norm afterwards; in training the one that the last extraction saw. */
amun_status amun__clip_layer_run(amun__clip_layer *layer, amun__clip_run *run);
/* `iterations` further power iterations at most, until the largest value is within options->tol. */
amun_status amun__clip_extract(amun__clip_layer *layer, amun__clip_run *run, int32_t iterations,
                               bool *converged);
/* layer->sigma by power iteration until it stands; exact for matrices and batch norms. */
amun_status amun__clip_measure(amun__clip_layer *layer, amun__clip_run *run);
/* Scales the weights (COMPOSITE, NORM: the scales of the batch norm) until a bound that holds for
 * certain is at most the target; *upper: that bound. */
amun_status amun__clip_final(amun__clip_layer *layer, double *upper);

/* ---- the gradient (clip_gradient.c) ---------------------------------------------------------- */

/* d/dW and d/dgamma of sum_i || diag(scale) W v_i - t_i ||^2, without the factor 2, from the
 * residuals r[k][out] and the vectors v[k][in]: with H = d/dW sum_i <W v_i, r_i>, dW = scale_c H_c
 * and dgamma_c = factor_c <W_c, H_c> (that is sum r_c (W v)_c, without W v). gamma NULL: scale 1
 * and no diff_gamma. op: of these weights; it is only asked for H. */
amun_status amun__clip_gradient_f32(amun__linop *op, int64_t k, const float *v, const float *r,
                                    const float *weights, const float *gamma, const double *factor,
                                    float *diff_weights, float *diff_gamma);
amun_status amun__clip_gradient_f64(amun__linop *op, int64_t k, const double *v, const double *r,
                                    const double *weights, const double *gamma,
                                    const double *factor, double *diff_weights, double *diff_gamma);

/* ---- steps (clip_step.c) --------------------------------------------------------------------- */

/* With the first k vectors of the power iteration: the fall of sum_i || M_W v_i - (target /
 * sigma_i) M_W0 v_i ||^2 along its gradient at W0, as far as it goes (exact line search). */
amun_status amun__clip_step_block(amun__clip_layer *layer, int64_t k);
/* The authors': inner_steps steps of eta / (k * output width). */
amun_status amun__clip_step_legacy(amun__clip_layer *layer, int64_t k,
                                   const amun_clip_options *options);
/* Weights, or scales of the batch norm, times `factor`. */
void amun__clip_scale(amun__clip_layer *layer, double factor);
/* The smallest t > 0 at which the derivative of || r - t d + t^2 e ||^2 is zero; 0 if it does not
 * fall. */
double amun__clip_line(double rd, double re, double dd, double de, double ee);

/* ---- matrices (clip_matrix.c) ---------------------------------------------------------------- */

/* W <- U min(S, limit) V' for each of the groups' [rows][columns], those that have a value above.
 * *sigma: the largest afterwards. Infinite limit: only looks. */
amun_status amun__clip_matrix(amun_context *ctx, int64_t groups, int64_t rows, int64_t columns,
                              float *weights, double limit, double *sigma);

/* ---- batch norms (clip_batchnorm.c) ---------------------------------------------------------- */

/* Of gamma[channels] with running variances, one application; *sigma: largest |gamma| / sqrt(var +
 * eps) afterwards. HARD never leaves a factor above the limit, rounding included. */
amun_status amun__clip_norm(int64_t channels, float *gamma, const float *variance, double eps,
                            amun_clip_batchnorm how, double limit, double *sigma);

/* ---- other methods (clip_rivals.c) ----------------------------------------------------------- */

/* MIYATO to DELATTRE_2024 as published, once, on the weights. */
amun_status amun__clip_rival(amun__clip_layer *layer, const amun__clip_run *run);
/* UNSUPPORTED, with the layer's name, if the method of `options` cannot take it. */
amun_status amun__clip_rival_check(const amun__clip_layer *layer, const amun_clip_options *options);
/* options->iterations, or what was published. */
int32_t amun__clip_rival_iterations(const amun_clip_options *options);
/* rows and columns of the kernel as a matrix. */
void amun__clip_matrix_extents(const amun__clip_layer *layer, int64_t *rows, int64_t *columns);
/* MIYATO: `steps` power steps on layer->u; sigma and v (nullable, columns values) of `weights`. */
amun_status amun__clip_miyato_sigma(amun__clip_layer *layer, const float *weights, int32_t steps,
                                    double *v, double *sigma);

#endif
