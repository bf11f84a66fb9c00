/* amun/context.h - the context: allocator, threads, log, memory accounting. */
#ifndef AMUN_CONTEXT_H
#define AMUN_CONTEXT_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Reference-counted; may be used by several threads at once. */
typedef struct amun_context amun_context;

/** Returns `align`-aligned memory or NULL. This and amun_free_fn may be called from any thread. */
typedef void *(*amun_alloc_fn)(void *user_data, size_t size, size_t align);
/** Takes back what amun_alloc_fn returned, with the same size and alignment. */
typedef void (*amun_free_fn)(void *user_data, void *ptr, size_t size, size_t align);

/** Which code computes 3x3 convolutions with stride 1, or 2 and one row and column of zeros around; of all
 *  others there is but one, except that AUTO
 *  may compute linear maps of layers, as spectra, clipping and LOTOS need them, by rows of their weights
 *  (docs/performance.md). @since 0.1 */
typedef int32_t amun_conv_choice;
enum {
    AMUN_CONV_AUTO = 0,     /**< by a fixed rule on the shape (docs/performance.md), or as tuned */
    AMUN_CONV_DIRECT = 1,   /**< oneDNN's direct kernels everywhere */
    AMUN_CONV_WINOGRAD = 2, /**< oneDNN's Winograd F(4x4, 3x3) where it takes the shape (stride 1), else direct */
    AMUN_CONV_OWN = 3       /**< the library's own Winograd where it can run, else direct */
};

/** How numbers between two layers, and their gradients, lie in memory while a network is trained or
 *  attacked. BF16 halves that memory, and rounds there (8 bits, to nearest, ties to even). Weights, their
 *  gradients, statistics of batch norm, losses, logits, vectors per image and images themselves are float
 *  in any case, and so is all arithmetic. Predictions, and with them accuracies, audits and certificates,
 *  are float throughout; a flip found by an attack is looked at once more that way. Power iterations and
 *  clipping know float alone. docs/performance.md says what BF16 costs and gains. @since 0.1 */
typedef int32_t amun_precision;
enum {
    AMUN_PRECISION_AUTO = 0, /**< AMUN_PRECISION in the environment ("f32", "bf16"), else F32 */
    AMUN_PRECISION_F32 = 1,
    AMUN_PRECISION_BF16 = 2
};

/** tune_cache: when a plan is compiled, each convolution whose shape is not in the file yet is timed
 *  once with every kind of code that can do it (some seconds for a large network), and the fastest is
 *  written there, for each direction; from then on the file decides, so the same file gives the same
 *  bytes. Entries count only for the CPU, the versions of oneDNN and of the library, and the number
 *  of threads that they were measured with; others stay in the file untouched. A missing file is
 *  made. Calls that compile plans (train, predict, attack, ...) fail with FORMAT if the file is
 *  damaged or of a later schema, with IO or NOT_FOUND if it cannot be read or written. A `conv` other
 *  than AUTO leaves nothing to choose, and the file alone; so does a build without oneDNN.
 *  @since 0.1 */
typedef struct amun_context_options {
    size_t struct_size;      /**< set by amun_context_options_init() */
    amun_alloc_fn alloc;     /**< default NULL: the C library's aligned allocator; set both or none */
    amun_free_fn free;       /**< default NULL */
    void *allocator_data;    /**< passed to both */
    uint64_t memory_limit;   /**< bytes through this context, default 0 = no limit */
    int32_t threads;         /**< default 0 = the runtime's choice, range [0, 1024] */
    int32_t reserved0;       /**< must be 0 */
    const char *tune_cache;  /**< file of measured choices, copied. Default NULL: AMUN_TUNE_CACHE in the
                                  environment, else nothing is ever timed */
    amun_conv_choice conv;   /**< default AUTO: AMUN_CONV in the environment ("auto", "direct",
                                  "winograd", "own"), else the file or the fixed rule. Where CPU or oneDNN
                                  lack what is asked for, compiling a plan gives UNSUPPORTED */
    amun_precision precision; /**< default AUTO. BF16 without oneDNN: training and attacks give UNSUPPORTED */
} amun_context_options;

/** @since 0.1 */
typedef struct amun_memory_stats {
    size_t struct_size; /**< set by the caller to sizeof(amun_memory_stats) */
    uint64_t current;   /**< bytes allocated through the context now */
    uint64_t peak;      /**< the largest `current` so far */
    uint64_t blocks;    /**< live allocations */
} amun_memory_stats;

/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_context_options_init(amun_context_options *opts, size_t size);

/** Creates a context. [out] ctx: one reference, NULL on failure. [in] opts: nullable.
 *  Statuses: INVALID_ARGUMENT (a word in AMUN_CONV or AMUN_PRECISION that is none of theirs, too), OUT_OF_MEMORY.
 *  @since 0.1 */
AMUN_API amun_status amun_context_create(amun_context **ctx, const amun_context_options *opts);
/** Adds a reference and returns `ctx`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_context *amun_context_ref(amun_context *ctx);
/** Gives a reference back; the last one frees. NULL is fine. Handles keep their context alive. @since 0.1 */
AMUN_API void amun_context_unref(amun_context *ctx);

/** Threads used by later calls: 0 = the runtime's choice, at most 1024. The caller's own OpenMP
 *  setting is saved and restored around each call. @since 0.1 */
AMUN_API amun_status amun_context_set_threads(amun_context *ctx, int32_t threads);
/** Threads that a call would use now (never 0). @since 0.1 */
AMUN_API int32_t amun_context_get_threads(const amun_context *ctx);

/** Log levels, most severe first. */
typedef int32_t amun_log_level;
enum { AMUN_LOG_SILENT = 0, AMUN_LOG_WARNING = 1, AMUN_LOG_INFO = 2, AMUN_LOG_DEBUG = 3 };
/** `message` is finished UTF-8 text without newline. Called on the thread that made the API call. */
typedef void (*amun_log_fn)(amun_log_level level, const char *message, void *user_data);
/** Sends messages up to `level` to `fn`; NULL means silence (the default). The library never
 *  writes to stdout or stderr. AMUN_LOG=plan in the environment adds each compiled plan's own
 *  listing, at level INFO, whatever `level` says: the code of each convolution, with times if it is
 *  tuned, and the instructions with implementation, layouts and bytes. @since 0.1 */
AMUN_API amun_status amun_context_set_log(amun_context *ctx, amun_log_fn fn, void *user_data,
                                          amun_log_level level);

/** Upper bound in bytes for what goes through the context; 0 removes it. Excess is OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_context_set_memory_limit(amun_context *ctx, uint64_t bytes);
/** Current and peak bytes. oneDNN's generated code, libsvm and JSON text are outside this figure. @since 0.1 */
AMUN_API amun_status amun_context_get_memory(const amun_context *ctx, amun_memory_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
