/* core.h - what every room may use: failing, memory, handles, options, random numbers, threads,
 * progress. Private. */
#ifndef AMUN__CORE_H
#define AMUN__CORE_H

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "amun/base.h"
#include "amun/context.h"
#include "amun/tensor.h"

/* ---- failing (status.c) ------------------------------------------------------------------- */

/* Records the message for this thread and returns `status`. Only on the calling thread. */
amun_status amun__fail(amun_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* First statement of every public status-returning function: forgets the old message. */
void amun__enter(void);
/* Puts "prefix: " before the message that is there (a caller that knows more). Returns status. */
amun_status amun__fail_within(amun_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Goes to `fail` with `status` set, for functions that clean up. */
#define AMUN__TRY(expr)                                                                            \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != AMUN_OK) {                                                                   \
            goto fail;                                                                             \
        }                                                                                          \
    } while (0)
/* The same with an error raised here: AMUN__FAIL(AMUN_ERROR_SHAPE, "...", ...). */
#define AMUN__FAIL(...)                                                                            \
    do {                                                                                           \
        status = amun__fail(__VA_ARGS__);                                                          \
        goto fail;                                                                                 \
    } while (0)
/* For functions with nothing to clean up. */
#define AMUN__CHECK(expr)                                                                          \
    do {                                                                                           \
        amun_status amun__check_status = (expr);                                                   \
        if (amun__check_status != AMUN_OK) {                                                       \
            return amun__check_status;                                                             \
        }                                                                                          \
    } while (0)

/* ---- checked sizes (memory.c) -------------------------------------------------------------- */

bool amun__mul_size(size_t *out, size_t a, size_t b); /* false on overflow */
bool amun__add_size(size_t *out, size_t a, size_t b);

/* ---- memory (memory.c): 64-byte aligned, counted, limited ----------------------------------- */

/* `count * size` bytes into *out (a pointer to a pointer). Fails with OUT_OF_MEMORY. Zero bytes
 * give a valid pointer. Thread-safe, but the message goes to the calling thread. */
amun_status amun__alloc(amun_context *ctx, void *out, size_t count, size_t size);
amun_status amun__calloc(amun_context *ctx, void *out, size_t count, size_t size);
/* Grows or shrinks *inout (NULL: allocates), keeping min(old, new) bytes. */
amun_status amun__realloc(amun_context *ctx, void *inout, size_t count, size_t size);
void amun__free(amun_context *ctx, void *ptr); /* NULL is fine */
/* What a block takes of the context, this allocator's own header included; NULL takes nothing. */
size_t amun__block_bytes(const void *ptr);
/* The same for a block of `bytes` that is not there yet. */
size_t amun__block_bytes_of(size_t bytes);
amun_status amun__strdup(amun_context *ctx, char **out, const char *text);

/* A context (pool.c) whose memory comes from `from`, threads and log too, and which keeps what is
 * freed for its next allocations: a loop that works with it takes nothing from `from` any more once
 * it has seen its largest steps. One reference; amun_context_unref() gives everything back. */
amun_status amun__context_pooled(amun_context **out, amun_context *from);
/* Gives back what such a context only keeps. */
void amun__context_trim(amun_context *pooled);

/* ---- choices for plans (context.c) ----------------------------------------------------------- */

int32_t amun__context_precision(const amun_context *ctx); /* AMUN_PRECISION_F32 or _BF16 */
const char *amun__context_precision_name(const amun_context *ctx); /* "f32", "bf16" */

int32_t amun__context_conv(const amun_context *ctx); /* AMUN_CONV_*; AUTO: nothing is forced */
/* "auto", "direct", "winograd", "own"; "?" for what is none of them. */
const char *amun__conv_name(amun_conv_choice choice);
/* For provenance: "fixed", "tuned", or what is forced. */
const char *amun__context_conv_name(const amun_context *ctx);

/* What a context knows of measured choices; the nn room fills and frees `table`. */
typedef struct amun__tuning {
    char *path;
    void *table;
    void (*release)(void *table);
} amun__tuning;
/* Locked until amun__tuning_end(); NULL (nothing to end): the context does not tune. */
amun__tuning *amun__tuning_begin(amun_context *ctx);
void amun__tuning_end(amun_context *ctx);

/* ---- handles (object.c) --------------------------------------------------------------------- */

typedef enum amun__tag {
    AMUN__TAG_CONTEXT = 0x414d5501,
    AMUN__TAG_GRAPH,
    AMUN__TAG_MODEL,
    AMUN__TAG_DATASET,
    AMUN__TAG_ATTACK,
    AMUN__TAG_ADVSET,
    AMUN__TAG_UNLEARNER,
    AMUN__TAG_MIA,
    AMUN__TAG_REPORT,
    AMUN__TAG_ENSEMBLE,
    AMUN__TAG_SPECTRUM,
    AMUN__TAG_CLIPPER
} amun__tag;

/* First member of every handle. */
typedef struct amun__object {
    uint32_t tag;
    _Atomic int32_t refs;
    amun_context *ctx; /* kept alive by this handle; NULL in a context, unless it is pooled */
    void (*destroy)(void *self); /* frees everything the handle owns except its own memory */
} amun__object;

/* Zeroed memory of `size` bytes with one reference; takes a reference on ctx. */
amun_status amun__object_create(void *out, amun_context *ctx, amun__tag tag, size_t size,
                                void (*destroy)(void *self));
void *amun__object_ref(void *handle);  /* NULL is fine */
void amun__object_unref(void *handle); /* NULL is fine */
/* INVALID_ARGUMENT with "`what` is NULL" or "`what` is not a live ... handle". */
amun_status amun__object_check(const void *handle, amun__tag tag, const char *what);

/* ---- options (options.c) ---------------------------------------------------------------------- */

typedef enum amun__field_kind {
    AMUN__FIELD_F64 = 1,
    AMUN__FIELD_I32,
    AMUN__FIELD_I64,
    AMUN__FIELD_U64,
    AMUN__FIELD_SIZE,
    AMUN__FIELD_POINTER, /* any value; not written into provenance */
    AMUN__FIELD_STRING,  /* const char *, nullable */
    AMUN__FIELD_RESERVED /* int32 that must be 0 */
} amun__field_kind;

typedef struct amun__field {
    const char *name;
    int32_t kind;
    uint32_t offset;
    double min, max;            /* inclusive; NaN values are always refused */
    const char *const *symbols; /* enumeration: names of min..max for provenance; or NULL */
} amun__field;

/* One per public option struct: defaults, fields and released sizes in one place. */
typedef struct amun__options_table {
    const char *name; /* "amun_pgd_options" */
    size_t size;
    const void *defaults; /* struct_size field ignored */
    const amun__field *fields;
    size_t field_count;
    const size_t *released_sizes; /* sizes of earlier releases, smaller than `size`; may be NULL */
    size_t released_count;
} amun__options_table;

#define AMUN__FIELD(type, member, kind, lo, hi)                                                     \
    {                                                                                              \
        #member, (kind), (uint32_t)offsetof(type, member), (lo), (hi), NULL                        \
    }
#define AMUN__FIELD_ENUM(type, member, lo, hi, names)                                              \
    {                                                                                              \
        #member, AMUN__FIELD_I32, (uint32_t)offsetof(type, member), (lo), (hi), (names)            \
    }

/* Body of every public amun_*_options_init(). */
amun_status amun__options_init(const amun__options_table *table, void *opts, size_t size);
/* Copies opts (NULL: defaults) into `full` (table->size bytes), checks size, tail and ranges. */
amun_status amun__options_read(const amun__options_table *table, void *full, const void *opts);
/* Copies at most dst->struct_size bytes of a result struct (first member size_t struct_size). */
amun_status amun__result_write(void *dst, const void *src, size_t size, const char *what);

/* ---- random numbers (rng.c) ------------------------------------------------------------------- */

/* Philox4x32-10. A stream is keyed by (seed, purpose) and counted by (epoch, sample, draw). */
typedef enum amun__purpose {
    AMUN__RNG_INIT = 1,    /* initial weights: sample = parameter index */
    AMUN__RNG_SHUFFLE,     /* order of a mix in an epoch */
    AMUN__RNG_AUGMENT,     /* crop and flip */
    AMUN__RNG_LABEL,       /* redrawn labels */
    AMUN__RNG_ATTACK,      /* attack starts */
    AMUN__RNG_SUBSAMPLE,   /* audits: equal-sized draws */
    AMUN__RNG_TEST,
    AMUN__RNG_SPECTRAL, /* starting blocks of power iterations */
    AMUN__RNG_DISTIL,   /* layers and pairs of distilled images */
    AMUN__RNG_UNLEARN,  /* samples, patches and noise of unlearning methods */
    AMUN__RNG_TILT      /* noise on similarity scores, and their permutation */
} amun__purpose;

typedef struct amun__rng {
    uint32_t key[2];
    uint32_t counter[4]; /* draw block, epoch, sample low, sample high */
    uint32_t block[4];
    int32_t used;
    int32_t has_normal;
    double normal;
} amun__rng;

void amun__philox4x32_10(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);
void amun__rng_open(amun__rng *rng, uint64_t seed, amun__purpose purpose, uint32_t epoch,
                    uint64_t sample);
uint32_t amun__rng_u32(amun__rng *rng);
double amun__rng_uniform(amun__rng *rng); /* [0, 1), 53 bits */
uint32_t amun__rng_below(amun__rng *rng, uint32_t n); /* uniform in 0..n-1 without bias; n > 0 */
double amun__rng_normal(amun__rng *rng);
/* Fisher-Yates with a stream of its own. */
void amun__rng_shuffle(amun__rng *rng, int64_t *values, size_t count);

/* MT19937 with init_genrand seeding: the published forget sets and inclusion matrices use it. */
typedef struct amun__mt19937 {
    uint32_t state[624];
    int32_t index;
} amun__mt19937;
void amun__mt19937_seed(amun__mt19937 *mt, uint32_t seed);
uint32_t amun__mt19937_u32(amun__mt19937 *mt);
double amun__mt19937_uniform(amun__mt19937 *mt); /* 53 bits from two draws */
/* Legacy NumPy permutation of 0..n-1 (masked rejection). */
void amun__mt19937_permutation(amun__mt19937 *mt, int64_t *out, size_t n);

/* 64-bit FNV-1a style hash of bytes (input hashes in files). */
uint64_t amun__hash64(const void *data, size_t size, uint64_t seed);

/* ---- threads (threads.c) ---------------------------------------------------------------------- */

/* Sets OpenMP to the context's thread count for this call and restores the caller's setting.
 * begin fails with STATE in a forked child when more than one thread would be used. */
typedef struct amun__threads {
    int32_t saved;
    int32_t count;
} amun__threads;
amun_status amun__threads_begin(const amun_context *ctx, amun__threads *scope);
void amun__threads_end(const amun__threads *scope);
int32_t amun__threads_count(const amun_context *ctx); /* never 0 */
/* Threads that a parallel region opened here would have: within amun__threads_begin() its count, 1
 * inside another region. */
int32_t amun__threads_here(void);

/* run(data, 0) to run(data, count - 1), each on one thread with everything below it serial, several
 * side by side, 0 on the calling thread. They must not depend on each other. Fails as the first in
 * number of those that failed, with its message; all are run. One is a plain call, with all
 * threads. Within amun__threads_begin(). */
amun_status amun__side_by_side(size_t count, amun_status (*run)(void *data, size_t index),
                               void *data);
/* Deals `count` pieces out to `hands` so that costs come out even: always the largest piece left to
 * the hand with the least. hand[count] is filled. */
void amun__deal(const double *costs, size_t count, size_t hands, int32_t *hand);

/* ---- log (context.c) ---------------------------------------------------------------------------- */

/* A plan's own listing, one line per call: delivered at level INFO whatever the context's level,
 * but only if AMUN_LOG=plan was set when the context was created. */
enum { AMUN__LOG_PLAN = 100 };
bool amun__log_wants(const amun_context *ctx, amun_log_level level);
void amun__log(const amun_context *ctx, amun_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- time and progress (progress.c) --------------------------------------------------------------- */

double amun__now(void); /* seconds, monotonic */

typedef struct amun__progress_state {
    amun_call_options call;
    double began, last;
    int32_t nested; /* > 0: inner phases of a larger call keep the outer clock */
} amun__progress_state;
/* call may be NULL. Validates the options. */
amun_status amun__progress_begin(amun__progress_state *state, const amun_call_options *call);
/* CANCELLED with a message if the callback says so. The first and last step (step == total)
 * are always reported, others at most once per min_interval_ms. NULL state is fine. */
amun_status amun__progress_tick(amun__progress_state *state, const char *phase, uint64_t step,
                                uint64_t total, double loss, double metric);

/* ---- tensor views (tensor.c) --------------------------------------------------------------------- */

/* Checks data, dtype, ndim, extents and overflow; `what` names the view in messages.
 * Stores the number of elements in *count (nullable). */
amun_status amun__view_check(const amun_tensor_view *view, const char *what, size_t *count);
bool amun__view_is_dense(const amun_tensor_view *view); /* row-major without gaps */
/* Copies elements [first, first+n) along axis 0 as float32 (dtype F32, F64 or U8; U8 is scaled by
 * `u8_scale`) or as int64 (I32, I64, U8), densely. */
amun_status amun__view_read_f32(const amun_tensor_view *view, size_t first, size_t n, double u8_scale,
                                float *dst);
amun_status amun__view_read_i64(const amun_tensor_view *view, size_t first, size_t n, int64_t *dst);
/* The same as double, which keeps F64 exactly (F32 or F64). */
amun_status amun__view_read_f64(const amun_tensor_view *view, size_t first, size_t n, double *dst);
/* Writes n rows along axis 0 from a dense float array into a writable F32 or F64 view. */
amun_status amun__view_write_f32(const amun_tensor_view *view, size_t first, size_t n,
                                 const float *src);
bool amun__view_overlap(const amun_tensor_view *a, const amun_tensor_view *b);

#endif
