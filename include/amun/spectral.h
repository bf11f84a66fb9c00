/* amun/spectral.h - singular values of a model's layers, with certified bounds; how much a network
 * can stretch its input. */
#ifndef AMUN_SPECTRAL_H
#define AMUN_SPECTRAL_H

#include "base.h"
#include "context.h"
#include "dataset.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- spectra of layers ----------------------------------------------------------------------- */

/** How singular values are found. */
typedef int32_t amun_spectrum_method;
enum {
    AMUN_SPECTRUM_POWERQR = 1, /**< block power iteration with QR (arXiv 2402.16017, algorithm 1),
                                    guard vectors, a stop test on the Ritz residual, and Ritz
                                    vectors from the Krylov space in runs of several iterations;
                                    SVD where the layer's windows share no pixel */
    AMUN_SPECTRUM_LEGACY = 2,  /**< the authors' form: k vectors, shift mu = 1, sqrt(|R_ii| - mu),
                                    a fixed number of iterations and no stop test */
    AMUN_SPECTRUM_EXACT = 3    /**< all singular values, by LAPACK from the explicit matrix in
                                    double: layers of at most 4096 inputs and outputs */
};

/** @since 0.1 */
typedef struct amun_spectrum_options {
    size_t struct_size; /**< set by amun_spectrum_options_init() */
    amun_spectrum_method method; /**< default AMUN_SPECTRUM_POWERQR */
    int32_t k;              /**< values per layer, default 1, range [1, 64]; a layer of lower rank
                                 has fewer, EXACT all */
    int32_t block;          /**< vectors that iterate, at least k; default 0: max(8, k + 4), LEGACY
                                 k; range [0, 128]; below 4: power iteration only */
    int32_t max_iterations; /**< per run, default 1000, range [1, 1000000]; LEGACY: exactly */
    double tol;             /**< a value converged when its residual is at most tol * sigma^2, or
                                 as small as rounding allows; default 1e-6, range [0, 1] */
    double mu;              /**< shift of M'M, default 0, range [0, 1e6]; LEGACY with 0: 1 */
    int32_t fold_batchnorm; /**< 1: a convolution or dense layer that only a batch norm reads is
                                 one layer with it (running statistics); default 0: two layers */
    int32_t certify;        /**< default 1; 0: no sigma_upper (infinity), and no time for it */
    uint64_t seed;          /**< of the starting vectors, default 0 */
    double certify_cost;    /**< 1e9 floating-point operations that a closer certificate of a
                                 layer may take where the others are more than 1 % above
                                 sigma_lower (AMUN_BOUND_SECTION); default 600, range [0, 1e9]; 0:
                                 none. It never takes more than 1 GB of memory */
} amun_spectrum_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_spectrum_options_init(amun_spectrum_options *opts, size_t size);

/** What kind of linear map a layer is. Biases, shifts and running means play no role. A batch norm
 *  by itself is diagonal: it shows its singular values, whatever the method. */
typedef int32_t amun_layer_kind;
enum {
    AMUN_LAYER_CONV2D = 1,
    AMUN_LAYER_LINEAR = 2,
    AMUN_LAYER_BATCHNORM = 3,        /**< diag(scale / sqrt(running_var + eps)) */
    AMUN_LAYER_CONV2D_BATCHNORM = 4, /**< both as one map (fold_batchnorm) */
    AMUN_LAYER_LINEAR_BATCHNORM = 5,
    AMUN_LAYER_AVG_POOL = 6 /**< only pools with overlapping windows are listed; others have at
                                 most 1 / sqrt(window) */
};

/** Where sigma_upper comes from. */
typedef int32_t amun_bound_kind;
enum {
    AMUN_BOUND_NONE = 0,  /**< not asked for */
    AMUN_BOUND_EXACT = 1, /**< singular value of a matrix (dense, 1x1, kernel <= stride) */
    AMUN_BOUND_DIAGONAL = 2,
    AMUN_BOUND_FFT = 3,         /**< frequencies of a circular embedding */
    AMUN_BOUND_GRID = 4,        /**< fewer frequencies, and what may lie between them */
    AMUN_BOUND_GRAM_KERNEL = 5, /**< Gram iteration on the kernel (arXiv 2402.00240) */
    AMUN_BOUND_RESHAPED = 6,    /**< flattened kernel times the root of the overlap */
    AMUN_BOUND_PRODUCT = 7,
    AMUN_BOUND_SECTION = 8 /**< Cholesky factorisation of the map with the image's edges as they
                                are: for small images */
};

/** A layer as a linear map, and what is known of its norm. @since 0.1 */
typedef struct amun_layer_spectrum {
    size_t struct_size;    /**< set by the caller */
    const char *name;      /**< module path, "" for a pool; lives as long as the spectrum */
    const char *batchnorm; /**< module path of the batch norm in it, or NULL; the same */
    amun_layer_kind kind;  /**< what it is */
    amun_node node;      /**< in the model's graph */
    int64_t in_shape[3]; /**< channels, height, width */
    int64_t out_shape[3]; /**< the same of the result */
    double sigma_lower;    /**< the norm is at least this (Ritz value), but for rounding in single
                                precision; never above sigma_upper; NaN before a run */
    double sigma_upper;    /**< the norm is at most this, rounding included; infinity without
                                certify; NaN before a run */
    double sigma_flat;     /**< norm of the weights (times the batch norm's factors, if it is in
                                the layer) as a matrix [out][rest], which
                                torch.nn.utils.spectral_norm divides by; NaN without weights */
    double residual;       /**< |M'M v - sigma^2 v| of the first value; NaN for LEGACY, EXACT */
    amun_bound_kind bound; /**< of sigma_upper */
    int32_t values;        /**< how many singular values there are */
    int32_t iterations;    /**< of the last run; 0: none were needed */
    int32_t converged;     /**< 1: the stop test was met for all values, or nothing had to be
                                iterated; 0 after LEGACY's iterations, which have no test */
} amun_layer_spectrum;

/** The layers of one model with their leading singular values and vectors. Keeps a reference to the
 *  model, and the vectors from run to run as the next start. One thread at a time. */
typedef struct amun_spectrum amun_spectrum;

/** Lists the layers in the order of the graph; computes nothing yet. [out] spectrum: one reference,
 *  NULL on failure. [in] opts nullable. Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_spectrum_create(amun_spectrum **spectrum, amun_model *model,
                                          const amun_spectrum_options *opts);
/** Adds a reference and returns `spectrum`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_spectrum *amun_spectrum_ref(amun_spectrum *spectrum);
/** Gives a reference back; the last one frees. NULL is fine. Any thread. @since 0.1 */
AMUN_API void amun_spectrum_unref(amun_spectrum *spectrum);
/** Measures all layers with the weights that the model has now. The second run starts from the
 *  vectors of the first: after small changes few iterations are enough.
 *  [in] max_iterations: 0: the options' number. [in] call nullable; phase "spectrum", one unit per
 *  layer, metric: its sigma_lower. Statuses: NUMERIC (a layer did not converge, naming the first;
 *  all values can be read and all bounds are valid nevertheless, and `converged` tells which; or
 *  weights that are not finite), UNSUPPORTED (EXACT on a larger layer), BUSY, CANCELLED,
 *  OUT_OF_MEMORY, BACKEND. LEGACY never fails for want of convergence. After any other failure
 *  there are no values until a run goes through; the vectors stay, as a start. @since 0.1 */
AMUN_API amun_status amun_spectrum_run(amun_spectrum *spectrum, int32_t max_iterations,
                                       const amun_call_options *call);
/** Number of layers; 0 for NULL. @since 0.1 */
AMUN_API size_t amun_spectrum_count(const amun_spectrum *spectrum);
/** [out] layer: struct_size set. [in] i below the count (INVALID_ARGUMENT). @since 0.1 */
AMUN_API amun_status amun_spectrum_layer(const amun_spectrum *spectrum, size_t i,
                                         amun_layer_spectrum *layer);
/** Singular values of layer i, descending. [out] sigma [count]; [out] residuals [count], nullable.
 *  [in] count: at most the layer's `values`. Statuses: INVALID_ARGUMENT, STATE (no values).
 *  @since 0.1 */
AMUN_API amun_status amun_spectrum_values(const amun_spectrum *spectrum, size_t i, double *sigma,
                                          double *residuals, size_t count);
/** Right singular vector j of layer i, of length 1, as an image of the layer's in_shape. Where
 *  singular values repeat, one of many. [out] vector [count], count = channels * height * width.
 *  Statuses: INVALID_ARGUMENT, SHAPE (count), STATE (no values), UNSUPPORTED (EXACT). @since 0.1 */
AMUN_API amun_status amun_spectrum_vector(const amun_spectrum *spectrum, size_t i, size_t j,
                                          float *vector, size_t count);

/* ---- Lipschitz constants --------------------------------------------------------------------- */

/** All in l2, from the model's input (pixels) to its logits in evaluation mode. @since 0.1 */
typedef struct amun_lipschitz {
    size_t struct_size; /**< set by the caller */
    double upper;       /**< no two inputs are stretched by more than this: products along chains,
                             sums where branches meet; infinity without certify */
    double estimate;    /**< the same with sigma_lower in place of sigma_upper: not a bound */
} amun_lipschitz;
/** From a spectrum that was run. [out] result: struct_size set. [out] per_node, nullable: `count`
 *  upper bounds, from the input to each node of the graph, count = number of nodes (SHAPE).
 *  Statuses: INVALID_ARGUMENT, SHAPE, STATE (no values). @since 0.1 */
AMUN_API amun_status amun_lipschitz_bound(amun_lipschitz *result, double *per_node, size_t count,
                                          const amun_spectrum *spectrum);
/** A lower bound: the largest singular value of the Jacobian (logits by pixels) at given images, by
 *  one backward pass per class. [out] largest: over all images; NaN on failure. [out] per_image
 *  [n], nullable. [in] indices: `n` positions in `data`; NULL (and n 0): all. [in] call nullable;
 *  phase "jacobian", one unit per image, metric: largest so far.
 *  Statuses: INVALID_ARGUMENT, SHAPE, BUSY, CANCELLED, NUMERIC, OUT_OF_MEMORY, BACKEND. @since 0.1
 */
AMUN_API amun_status amun_lipschitz_local(double *largest, double *per_image,
                                          const amun_model *model, const amun_dataset *data,
                                          const int64_t *indices, size_t n,
                                          const amun_call_options *call);

#ifdef __cplusplus
}
#endif
#endif
