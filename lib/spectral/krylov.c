/* krylov.c - block Lanczos with full orthogonalisation and thick restarts: the projection, its Ritz
 * pairs, the loop. */
#include "spectral/krylov.h"

#include <float.h>

#include "core/linalg.h"

enum {
    LEAST_WIDTH = 4, /* of a block, for its Krylov space to be worth its while */
    GUARDS = 3,
    STEPS = 12, /* vectors in the basis, by the width of a step */
    KEPT = 4    /* of them after a restart */
};
/* The estimate has to be a little better than what is asked for: it knows nothing of rounding. */
static const double margin = 0.5;

struct amun__krylov {
    amun_context *ctx;
    amun_context *scratch; /* pooled: of the eigenvalue problems, which grow */
    amun__linop *op;
    size_t n;
    int64_t width, size; /* size: most vectors whose image is known */
    int64_t count;       /* of them now; `width` more wait behind them: the front */
    bool wide;           /* vectors are double */
    uint64_t seed;
    uint32_t draws;
    double scale;         /* largest Ritz value so far */
    void *basis, *spare;  /* [size + width][n], [KEPT * width][n] */
    void *matrix;         /* [size + width][size] in the precision of the vectors; scratch */
    double *t;            /* [size + width][size + width]: basis A basis', where known */
    double *copy, *pairs; /* [size][size]: scratch; rows: Ritz vectors, ascending */
    double *theta;        /* [size]: Ritz values, ascending */
    double *first, *second, *triangle[2];
};

static double *entry(amun__krylov *s, int64_t i, int64_t j)
{
    return s->t + i * (s->size + s->width) + j;
}

static void set_entry(amun__krylov *s, int64_t i, int64_t j, double value)
{
    *entry(s, i, j) = *entry(s, j, i) = value;
}

/* ---- the projection -------------------------------------------------------------------------- */

static amun_status ritz(amun__krylov *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        for (int64_t j = 0; j < s->count; j++) {
            const double value = *entry(s, i, j);
            if (!isfinite(value)) {
                return amun__fail(AMUN_ERROR_NUMERIC,
                                  "power iteration: the linear map of %zu to %zu values gives some "
                                  "that are not finite",
                                  s->n, amun__linop_out(s->op));
            }
            s->copy[i * s->count + j] = value;
        }
    }
    AMUN__CHECK(amun__eigh_f64(s->scratch, s->count, s->copy, s->theta, s->pairs));
    s->scale = s->theta[s->count - 1];
    return AMUN_OK;
}

/* Component `front` of A y - theta y for the Ritz vector y in row `row` of the pairs. */
static double coupling(amun__krylov *s, int64_t row, int64_t front)
{
    double sum = 0.0;
    for (int64_t a = 0; a < s->count; a++) {
        sum += s->pairs[row * s->count + a] * *entry(s, a, s->count + front);
    }
    return sum;
}

static bool is_enough(amun__krylov *s, const amun__krylov_task *task)
{
    const double rounding = task->rounding * s->theta[s->count - 1];
    for (int32_t i = 0; i < task->wanted; i++) {
        const int64_t row = s->count - 1 - i;
        double sum = 0.0;
        for (int64_t f = 0; f < s->width; f++) {
            const double c = coupling(s, row, f);
            sum += c * c;
        }
        if (sqrt(sum) > margin * fmax(task->tol * s->theta[row], rounding)) {
            return false;
        }
    }
    return true;
}

/* The projection of the first `kept` Ritz vectors, which become the basis, and the front. */
static void restart_projection(amun__krylov *s, int64_t kept)
{
    const int64_t all = s->size + s->width;
    for (int64_t i = 0; i < kept; i++) {
        for (int64_t f = 0; f < s->width; f++) {
            s->second[i * s->width + f] = coupling(s, s->count - 1 - i, f);
        }
    }
    memset(s->t, 0, (size_t)(all * all) * sizeof *s->t);
    for (int64_t i = 0; i < kept; i++) {
        set_entry(s, i, i, s->theta[s->count - 1 - i]);
        for (int64_t f = 0; f < s->width; f++) {
            set_entry(s, i, kept + f, s->second[i * s->width + f]);
        }
    }
}

/* A front = (first + triangle0 second) basis + triangle0 triangle1 next front. */
static void extend_projection(amun__krylov *s)
{
    const int64_t w = s->width, total = s->count + w;
    const double *c = s->triangle[0], *d = s->triangle[1];
    for (int64_t i = 0; i < w; i++) {
        for (int64_t j = 0; j < total; j++) {
            double value = s->first[i * total + j];
            for (int64_t l = 0; l <= i; l++) {
                value += c[i * w + l] * s->second[l * total + j];
            }
            const bool own = j >= s->count && j < s->count + i; /* symmetric but for rounding */
            set_entry(s, s->count + i, j, own ? 0.5 * (value + *entry(s, j, s->count + i)) : value);
        }
    }
    for (int64_t i = 0; i < w; i++) {
        for (int64_t j = 0; j < w; j++) {
            double value = 0.0;
            for (int64_t l = j; l <= i; l++) {
                value += c[i * w + l] * d[l * w + j];
            }
            set_entry(s, s->count + i, total + j, value);
        }
    }
}

#define real float
#define R(name) name##_f32
#define amun__linop_gram_f32 amun__linop_gram
#define REAL_EPSILON ((double)FLT_EPSILON)
#include "spectral/krylov.inc.h"
#undef real
#undef R
#undef REAL_EPSILON

#define real double
#define R(name) name##_f64
#define REAL_EPSILON DBL_EPSILON
#include "spectral/krylov.inc.h"
#undef real
#undef R
#undef REAL_EPSILON

/* ---- life ------------------------------------------------------------------------------------ */

int32_t amun__krylov_width(const amun__linop *op, int32_t wanted, int32_t block)
{
    const size_t in = amun__linop_in(op);
    const int32_t width = wanted + GUARDS < block ? wanted + GUARDS : block;
    return width < LEAST_WIDTH || (size_t)width * (STEPS + 2) > in ? 0 : width;
}

static amun_status allocate(amun__krylov *s)
{
    const size_t value = s->wide ? sizeof(double) : sizeof(float);
    const size_t w = (size_t)s->width, size = (size_t)s->size, all = size + w;
    size_t count;
    if (!amun__mul_size(&count, all, s->n)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu vectors of %zu values", all, s->n);
    }
    AMUN__CHECK(amun__alloc(s->ctx, &s->basis, count, value));
    AMUN__CHECK(amun__alloc(s->ctx, &s->spare, KEPT * w * s->n, value));
    AMUN__CHECK(amun__alloc(s->ctx, &s->matrix, all * size, value));
    AMUN__CHECK(amun__alloc(s->ctx, &s->t, all * all, sizeof(double)));
    AMUN__CHECK(amun__alloc(s->ctx, &s->copy, size * size, sizeof(double)));
    AMUN__CHECK(amun__alloc(s->ctx, &s->pairs, size * size, sizeof(double)));
    AMUN__CHECK(amun__alloc(s->ctx, &s->theta, size, sizeof(double)));
    AMUN__CHECK(amun__alloc(s->ctx, &s->first, all * w, sizeof(double)));
    AMUN__CHECK(amun__alloc(s->ctx, &s->second, all * w, sizeof(double)));
    AMUN__CHECK(amun__alloc(s->ctx, &s->triangle[0], w * w, sizeof(double)));
    return amun__alloc(s->ctx, &s->triangle[1], w * w, sizeof(double));
}

amun_status amun__krylov_create(amun__krylov **out, amun_context *ctx, amun__linop *op,
                                int32_t width, uint64_t seed)
{
    amun__krylov *s = NULL;
    amun_status status;
    *out = NULL;
    AMUN__CHECK(amun__calloc(ctx, &s, 1, sizeof *s));
    s->ctx = ctx;
    s->op = op;
    s->n = amun__linop_in(op);
    s->width = width;
    s->size = (int64_t)width * STEPS;
    s->wide = amun__linop_is_f64(op);
    s->seed = seed;
    AMUN__TRY(amun__context_pooled(&s->scratch, ctx));
    AMUN__TRY(allocate(s));
    *out = s;
    return AMUN_OK;
fail:
    amun__krylov_destroy(s);
    return status;
}

void amun__krylov_destroy(amun__krylov *space)
{
    if (space == NULL) {
        return;
    }
    void *const owned[] = {space->basis,  space->spare,       space->matrix,     space->t,
                           space->copy,   space->pairs,       space->theta,      space->first,
                           space->second, space->triangle[0], space->triangle[1]};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        amun__free(space->ctx, owned[i]);
    }
    amun_context_unref(space->scratch);
    amun__free(space->ctx, space);
}

/* ---- running --------------------------------------------------------------------------------- */

amun_status amun__krylov_improve(amun__krylov *space, const amun__krylov_task *task, void *v,
                                 const void *z, int32_t *iterations)
{
    *iterations = 0;
    const int64_t all = space->size + space->width;
    memset(space->t, 0, (size_t)(all * all) * sizeof *space->t);
    space->scale = task->theta[0];
    AMUN__CHECK(space->wide ? begin_f64(space, v, z) : begin_f32(space, v, z));
    for (bool enough = false; !enough && *iterations < task->max_iterations;) {
        if (space->count == space->size) {
            AMUN__CHECK(space->wide ? restart_f64(space) : restart_f32(space));
        }
        AMUN__CHECK(space->wide ? extend_f64(space) : extend_f32(space));
        AMUN__CHECK(ritz(space));
        *iterations += 1;
        enough = is_enough(space, task);
    }
    const int64_t rows = task->rows < space->count ? task->rows : space->count;
    return space->wide ? rotate_f64(space, rows, v) : rotate_f32(space, rows, v);
}
