/* krylov.inc.h - the vectors of a Krylov space in one precision. Included by krylov.c with `real`,
 * `R(name)` and `REAL_EPSILON`. Vectors are rows. */

static real *R(row)(amun__krylov *s, int64_t at)
{
    return (real *)s->basis + (size_t)at * s->n;
}

static void R(draw)(amun__krylov *s, real *row)
{
    const double scale = 1.0 / sqrt((double)s->n);
    amun__rng rng;
    amun__rng_open(&rng, s->seed, AMUN__RNG_SPECTRAL, UINT32_MAX, s->draws++);
    for (size_t i = 0; i < s->n; i++) {
        row[i] = (real)(scale * amun__rng_normal(&rng));
    }
}

/* row -= factor * other. */
static void R(subtract)(real *row, const real *other, double factor, size_t n)
{
    const real f = (real)factor;
    for (size_t i = 0; i < n; i++) {
        row[i] -= f * other[i];
    }
}

/* Front rows at `first` to orthonormal ones: old = c * new, c[width][width] lower triangular. A row
 * of which no more than `floor` remains is rounding errors: it had no part in the others, and a
 * random direction takes its place. */
static void R(triangulate)(amun__krylov *s, int64_t first, double floor, double *c)
{
    memset(c, 0, (size_t)(s->width * s->width) * sizeof *c);
    for (int64_t i = 0; i < s->width; i++) {
        real *own = R(row)(s, first + i);
        for (int64_t j = 0; j < i; j++) {
            const real *other = R(row)(s, first + j);
            c[i * s->width + j] = R(amun__dot)(own, other, s->n);
            R(subtract)(own, other, c[i * s->width + j], s->n);
        }
        double norm = sqrt(R(amun__dot)(own, own, s->n));
        c[i * s->width + i] = norm;
        if (norm <= floor) {
            c[i * s->width + i] = 0.0;
            R(draw)(s, own);
            norm = sqrt(R(amun__dot)(own, own, s->n));
        }
        const real scale = (real)(1.0 / norm);
        for (size_t p = 0; p < s->n; p++) {
            own[p] *= scale;
        }
    }
}

/* Takes the part within the first `total` vectors out of the `width` ones behind them: h. */
static amun_status R(project)(amun__krylov *s, int64_t total, double *h)
{
    real *rows = R(row)(s, total), *narrow = s->matrix;
    const int64_t n = (int64_t)s->n;
    AMUN__CHECK(R(amun__gemm)(false, true, s->width, total, n, 1.0, rows, s->basis, 0.0, narrow));
    AMUN__CHECK(R(amun__gemm)(false, false, s->width, n, total, -1.0, narrow, s->basis, 1.0, rows));
    for (int64_t i = 0; i < s->width * total; i++) {
        h[i] = (double)narrow[i];
    }
    return AMUN_OK;
}

/* rows[k][n] = the first k Ritz vectors. */
static amun_status R(rotate)(amun__krylov *s, int64_t k, void *rows)
{
    real *narrow = s->matrix;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < s->count; j++) {
            narrow[i * s->count + j] = (real)s->pairs[(s->count - 1 - i) * s->count + j];
        }
    }
    return R(amun__gemm)(false, false, k, (int64_t)s->n, s->count, 1.0, narrow, s->basis, 0.0,
                         rows);
}

/* The images of the front lie behind it: orthogonalised twice against all there is, they are the
 * next front. */
static amun_status R(absorb)(amun__krylov *s)
{
    const int64_t total = s->count + s->width;
    AMUN__CHECK(R(project)(s, total, s->first));
    R(triangulate)(s, total, REAL_EPSILON * s->scale, s->triangle[0]);
    AMUN__CHECK(R(project)(s, total, s->second));
    R(triangulate)(s, total, 0.0, s->triangle[1]);
    extend_projection(s);
    s->count = total;
    return AMUN_OK;
}

static amun_status R(begin)(amun__krylov *s, const void *v, const void *z)
{
    const size_t count = (size_t)s->width * s->n;
    s->count = 0;
    memcpy(s->basis, v, count * sizeof(real));
    memcpy(R(row)(s, s->width), z, count * sizeof(real));
    return R(absorb)(s);
}

static amun_status R(extend)(amun__krylov *s)
{
    AMUN__CHECK(R(amun__linop_gram)(s->op, s->width, R(row)(s, s->count), NULL,
                                    R(row)(s, s->count + s->width)));
    return R(absorb)(s);
}

/* Back to the leading Ritz vectors. */
static amun_status R(restart)(amun__krylov *s)
{
    const int64_t kept = KEPT * s->width;
    AMUN__CHECK(R(rotate)(s, kept, s->spare));
    restart_projection(s, kept);
    memcpy(s->basis, s->spare, (size_t)kept * s->n * sizeof(real));
    memmove(R(row)(s, kept), R(row)(s, s->count), (size_t)s->width * s->n * sizeof(real));
    s->count = kept;
    return AMUN_OK;
}
