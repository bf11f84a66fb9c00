/* powerqr.c - leading singular values of a linear map: state, the small dense steps, the loop and
 * its stop test. */
#include "spectral/powerqr.h"

#include <float.h>

#include "core/linalg.h"
#include "spectral/krylov.h"

#define PARALLEL_FROM 65536
/* A residual below this many rounding errors of sigma_1^2 has nothing more to say. */
#define ROUNDING_LEVEL 16.0
/* Smallest pivot of a scaled Gram matrix for which its Cholesky factor is as good as Householder:
 * the loss of orthogonality is a few rounding errors divided by it. */
#define SAFE_PIVOT 0.1
/* A larger space that leaves more than this part of the residual has met rounding: power iteration
 * is what cleans the block then. */
#define NO_PROGRESS 0.5
#define RESIDUAL_CHAINS 8

struct amun__powerqr {
    amun_context *ctx;
    amun_context *scratch; /* pooled: of the small dense steps */
    amun__linop *op;
    amun__powerqr_options options;
    size_t n, m;   /* length of a right and of a left vector */
    int64_t block; /* vectors */
    bool wide;     /* the blocks are double */
    bool pending;  /* z is A v: the next iteration starts from it */
    uint32_t draws;
    void *v, *z, *spare, *y;     /* [block][n], [block][n], [block][n], [block][m] */
    void *matrix;                /* [block][block] in the precision of the blocks */
    double *t, *vectors;         /* [block][block] */
    double *theta, *residuals;   /* of the last iteration, descending */
    double *diagonal;            /* R_ii; scratch */
    amun__powerqr_value *values; /* k of them */
};

static amun_status not_finite(const amun__powerqr *s)
{
    return amun__fail(
        AMUN_ERROR_NUMERIC,
        "power iteration: the linear map of %zu to %zu values gives some that are not "
        "finite",
        s->n, s->m);
}

/* ---- small dense steps ----------------------------------------------------------------------- */

/* g[k][k], a Gram matrix of rows, to a lower triangular `inverse` such that inverse * rows is
 * orthonormal. False if the rows are too far from orthogonal for that, or some are nothing but the
 * rounding errors (`epsilon`) of others. `g` and `scale` are scratch then. */
static bool cholesky_inverse(double *g, double *scale, double *inverse, int64_t k, double epsilon)
{
    double largest = 0.0;
    for (int64_t i = 0; i < k; i++) {
        scale[i] = sqrt(g[i * k + i]);
        largest = fmax(largest, scale[i]);
    }
    for (int64_t i = 0; i < k; i++) {
        if (!(scale[i] > epsilon * largest) || !isfinite(scale[i]) || scale[i] < DBL_MIN) {
            return false;
        }
    }
    for (int64_t i = 0; i < k; i++) { /* L, in place */
        for (int64_t j = 0; j <= i; j++) {
            double sum = g[i * k + j] / scale[i] / scale[j];
            for (int64_t p = 0; p < j; p++) {
                sum -= g[i * k + p] * g[j * k + p];
            }
            if (i == j && !(sum >= SAFE_PIVOT)) {
                return false;
            }
            g[i * k + j] = i == j ? sqrt(sum) : sum / g[j * k + j];
        }
    }
    memset(inverse, 0, (size_t)(k * k) * sizeof *inverse);
    for (int64_t j = 0; j < k; j++) {
        for (int64_t i = j; i < k; i++) {
            double sum = i == j ? 1.0 : 0.0;
            for (int64_t p = j; p < i; p++) {
                sum -= g[i * k + p] * inverse[p * k + j];
            }
            inverse[i * k + j] = sum / g[i * k + i];
        }
    }
    for (int64_t i = 0; i < k * k; i++) {
        inverse[i] /= scale[i % k];
    }
    return true;
}

/* Eigenvalues of s->t to s->theta and vectors to the rows of s->vectors, descending. */
static amun_status ritz(amun__powerqr *s)
{
    const int64_t k = s->block;
    for (int64_t i = 0; i < k * k; i++) {
        if (!isfinite(s->t[i])) {
            return not_finite(s);
        }
    }
    AMUN__CHECK(amun__eigh_f64(s->scratch, k, s->t, s->theta, s->vectors));
    for (int64_t i = 0, j = k - 1; i < j; i++, j--) {
        double value = s->theta[i];
        s->theta[i] = s->theta[j];
        s->theta[j] = value;
        for (int64_t c = 0; c < k; c++) {
            value = s->vectors[i * k + c];
            s->vectors[i * k + c] = s->vectors[j * k + c];
            s->vectors[j * k + c] = value;
        }
    }
    for (int64_t i = 0; i < k; i++) { /* squares, but for rounding */
        s->theta[i] = fmax(s->theta[i], 0.0);
    }
    return AMUN_OK;
}

#define real float
#define R(name) name##_f32
#define amun__linop_gram_f32 amun__linop_gram
#define REAL_EPSILON ((double)FLT_EPSILON)
#include "spectral/powerqr.inc.h"
#undef real
#undef R
#undef REAL_EPSILON

#define real double
#define R(name) name##_f64
#define REAL_EPSILON DBL_EPSILON
#include "spectral/powerqr.inc.h"
#undef real
#undef R
#undef REAL_EPSILON

/* ---- life ------------------------------------------------------------------------------------ */

static amun_status check_options(amun__powerqr_options *o, const amun__linop *op)
{
    const size_t in = amun__linop_in(op), out = amun__linop_out(op), rank = in < out ? in : out;
    const int64_t most = amun__linop_max_block(op);
    const int64_t limit = rank < (size_t)most ? (int64_t)rank : most;
    if (o->k < 1 || o->k > limit) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "k is %d, must be in [1, %lld] for a map of %zu to %zu values", o->k,
                          (long long)limit, in, out);
    }
    if (o->block != 0 && (o->block < o->k || o->block > most)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "block is %d, must be 0 or in [%d, %lld]",
                          o->block, o->k, (long long)most);
    }
    if (o->max_iterations < 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "max_iterations is %d, must be at least 0",
                          o->max_iterations);
    }
    if (!(o->tol >= 0.0) || !isfinite(o->tol) || !(o->mu >= 0.0) || !isfinite(o->mu)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "tol is %g and mu is %g, must be finite and at least 0", o->tol, o->mu);
    }
    if (o->block == 0) {
        int64_t guarded = (int64_t)o->k + 4 > 8 ? (int64_t)o->k + 4 : 8;
        o->block = (int32_t)(guarded < limit ? guarded : limit);
    } else if (o->block > limit) {
        o->block = (int32_t)limit;
    }
    o->max_iterations = o->max_iterations == 0 ? 100 : o->max_iterations;
    return AMUN_OK;
}

static void forget_values(amun__powerqr *s)
{
    for (int32_t i = 0; i < s->options.k; i++) {
        s->values[i] = (amun__powerqr_value){.sigma = NAN, .residual = NAN};
    }
}

static amun_status allocate(amun__powerqr *s)
{
    const size_t size = s->wide ? sizeof(double) : sizeof(float), k = (size_t)s->block;
    AMUN__CHECK(amun__alloc(s->ctx, &s->v, k * s->n, size)); /* the operator's own products fit */
    AMUN__CHECK(amun__alloc(s->ctx, &s->z, k * s->n, size));
    AMUN__CHECK(amun__alloc(s->ctx, &s->spare, k * s->n, size));
    AMUN__CHECK(amun__alloc(s->ctx, &s->y, k * s->m, size));
    AMUN__CHECK(amun__alloc(s->ctx, &s->matrix, k * k, size));
    AMUN__CHECK(amun__alloc(s->ctx, &s->t, k * k, sizeof *s->t));
    AMUN__CHECK(amun__alloc(s->ctx, &s->vectors, k * k, sizeof *s->vectors));
    AMUN__CHECK(amun__alloc(s->ctx, &s->theta, k, sizeof *s->theta));
    AMUN__CHECK(amun__alloc(s->ctx, &s->residuals, k, sizeof *s->residuals));
    AMUN__CHECK(amun__alloc(s->ctx, &s->diagonal, k, sizeof *s->diagonal));
    return amun__alloc(s->ctx, &s->values, (size_t)s->options.k, sizeof *s->values);
}

amun_status amun__powerqr_create(amun__powerqr **out, amun_context *ctx, amun__linop *op,
                                 const amun__powerqr_options *options)
{
    *out = NULL;
    amun__powerqr_options full = *options;
    AMUN__CHECK(check_options(&full, op));
    amun__powerqr *s = NULL;
    amun_status status;
    AMUN__TRY(amun__calloc(ctx, &s, 1, sizeof *s));
    s->ctx = ctx;
    s->op = op;
    s->options = full;
    s->n = amun__linop_in(op);
    s->m = amun__linop_out(op);
    s->block = full.block;
    s->wide = amun__linop_is_f64(op);
    AMUN__TRY(amun__context_pooled(&s->scratch, ctx));
    AMUN__TRY(allocate(s));
    AMUN__TRY(amun__powerqr_restart(s, full.seed));
    *out = s;
    return AMUN_OK;
fail:
    amun__powerqr_destroy(s);
    return status;
}

void amun__powerqr_destroy(amun__powerqr *state)
{
    if (state == NULL) {
        return;
    }
    void *const owned[] = {state->v,         state->z,        state->spare,   state->y,
                           state->matrix,    state->t,        state->vectors, state->theta,
                           state->residuals, state->diagonal, state->values};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        amun__free(state->ctx, owned[i]);
    }
    amun_context_unref(state->scratch);
    amun__free(state->ctx, state);
}

float *amun__powerqr_state(amun__powerqr *state, size_t *count)
{
    *count = (size_t)state->block * state->n;
    if (state->wide || state->options.legacy || state->options.mu > 0.0) {
        return NULL;
    }
    if (!state->pending) {
        memcpy(state->z, state->v, *count * sizeof(float));
        state->pending = true;
    }
    return state->z;
}

amun_status amun__powerqr_restart(amun__powerqr *state, uint64_t seed)
{
    state->options.seed = seed;
    state->draws = 0;
    state->pending = false;
    forget_values(state);
    return state->wide ? draw_block_f64(state) : draw_block_f32(state);
}

/* ---- running --------------------------------------------------------------------------------- */

static double rounding_level(const amun__powerqr *s)
{
    return ROUNDING_LEVEL * (s->wide ? DBL_EPSILON : (double)FLT_EPSILON);
}

/* The largest residual by what is allowed for it; at most 1: converged. */
static double excess(const amun__powerqr *s)
{
    double most = 0.0;
    for (int32_t i = 0; i < s->options.k; i++) {
        const double allowed = fmax(s->options.tol * s->theta[i], rounding_level(s) * s->theta[0]);
        most = fmax(most, s->residuals[i] > allowed ? s->residuals[i] / allowed : 1.0);
    }
    return most;
}

static amun_status step(amun__powerqr *s)
{
    if (s->options.legacy) {
        return s->wide ? iterate_legacy_f64(s) : iterate_legacy_f32(s);
    }
    return s->wide ? iterate_f64(s) : iterate_f32(s);
}

/* The block becomes the Ritz vectors of its Krylov space; the next step measures them. */
static amun_status improve(amun__powerqr *s, amun__krylov **space, int32_t max_iterations,
                           int32_t *done)
{
    int32_t iterations;
    const amun__krylov_task task = {.rows = s->block,
                                    .wanted = s->options.k,
                                    .theta = s->theta,
                                    .tol = s->options.tol,
                                    .rounding = rounding_level(s),
                                    .max_iterations = max_iterations};
    if (*space == NULL) {
        const int32_t width = amun__krylov_width(s->op, s->options.k, s->options.block);
        AMUN__CHECK(amun__krylov_create(space, s->ctx, s->op, width, s->options.seed));
    }
    AMUN__CHECK(amun__krylov_improve(*space, &task, s->v, s->z, &iterations));
    *done += iterations;
    s->pending = false;
    return s->wide ? orthonormalise_f64(s) : orthonormalise_f32(s);
}

static amun_status run(amun__powerqr *s, amun__krylov **space, int32_t most, int32_t *done,
                       bool *enough)
{
    const amun__powerqr_options *o = &s->options;
    const bool can_improve = o->plain == 0 && o->legacy == 0 && o->mu == 0.0 &&
                             amun__krylov_width(s->op, o->k, o->block) > 0;
    double before = INFINITY; /* as good as it was when the space was last made larger */
    while (*done < most && !*enough) {
        AMUN__CHECK(step(s));
        *done += 1;
        const double now = o->legacy != 0 ? (double)INFINITY : excess(s);
        *enough = now <= 1.0;
        if (*enough || !can_improve || most - *done < 2) {
            continue;
        }
        const bool better = now <= NO_PROGRESS * before;
        before = better ? now : INFINITY;
        if (better) {
            AMUN__CHECK(improve(s, space, most - *done - 1, done));
        }
    }
    return AMUN_OK;
}

amun_status amun__powerqr_run(amun__powerqr *state, int32_t max_iterations, int32_t *iterations,
                              bool *converged)
{
    int32_t most = max_iterations == 0 ? state->options.max_iterations : max_iterations, done = 0;
    bool enough = false;
    forget_values(state);
    state->draws = 0; /* a run depends on nothing but the block and the weights */
    if (most < 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "max_iterations is %d, must be at least 0",
                          max_iterations);
    }
    amun__krylov *space = NULL; /* only while it runs: it is several times the block */
    amun_status status = run(state, &space, most, &done, &enough);
    amun__krylov_destroy(space);
    AMUN__CHECK(status);
    if (state->options.legacy) {
        AMUN__CHECK(state->wide ? sort_legacy_f64(state) : sort_legacy_f32(state));
    }
    for (int32_t i = 0; i < state->options.k; i++) {
        state->values[i] =
            (amun__powerqr_value){.sigma = sqrt(state->theta[i]), .residual = state->residuals[i]};
    }
    if (iterations != NULL) {
        *iterations = done;
    }
    if (converged != NULL) {
        *converged = enough;
    }
    return AMUN_OK;
}

/* ---- questions ------------------------------------------------------------------------------- */

const amun__powerqr_value *amun__powerqr_values(const amun__powerqr *state)
{
    return state->values;
}

int32_t amun__powerqr_count(const amun__powerqr *state)
{
    return state->options.k;
}

int32_t amun__powerqr_block(const amun__powerqr *state)
{
    return state->options.block;
}

const float *amun__powerqr_vectors(const amun__powerqr *state)
{
    return state->wide ? NULL : state->v;
}

const double *amun__powerqr_vectors_f64(const amun__powerqr *state)
{
    return state->wide ? state->v : NULL;
}
