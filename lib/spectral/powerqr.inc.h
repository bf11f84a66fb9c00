/* powerqr.inc.h - block power iteration in one precision. Included by powerqr.c with `real`,
 * `R(name)` and `REAL_EPSILON`. Blocks are rows; all sums over their length are in double. */

/* g[k][k] = rows rows'. Each sum belongs to one thread. */
static void R(gram)(const real *rows, int64_t k, size_t n, double *g)
{
#pragma omp parallel for schedule(static, 1) if ((size_t)(k * k) * n >= PARALLEL_FROM)
    for (int64_t at = 0; at < k * k; at++) {
        int64_t i = at / k, j = at % k;
        if (j >= i) {
            double sum = R(amun__dot)(rows + (size_t)i * n, rows + (size_t)j * n, n);
            g[i * k + j] = g[j * k + i] = sum;
        }
    }
}

/* rows = matrix[k][k] * rows, through the spare block; *rows and the spare change places. */
static amun_status R(combine)(amun__powerqr *s, const double *matrix, void **rows)
{
    real *narrow = s->matrix;
    if (s->block == 1) { /* nothing but a factor, for a Ritz rotation even that is +-1 */
        real *row = *rows;
        const real factor = (real)matrix[0];
        for (size_t i = 0; i < s->n && factor != (real)1; i++) {
            row[i] *= factor;
        }
        return AMUN_OK;
    }
    for (int64_t i = 0; i < s->block * s->block; i++) {
        narrow[i] = (real)matrix[i];
    }
    AMUN__CHECK(R(amun__gemm)(false, false, s->block, (int64_t)s->n, s->block, 1.0, narrow, *rows,
                              0.0, s->spare));
    void *old = *rows;
    *rows = s->spare;
    s->spare = old;
    return AMUN_OK;
}

static void R(draw_row)(amun__powerqr *s, int64_t row)
{
    real *values = (real *)s->v + (size_t)row * s->n;
    double scale = 1.0 / sqrt((double)s->n);
    amun__rng rng;
    amun__rng_open(&rng, s->options.seed, AMUN__RNG_SPECTRAL, s->draws, (uint64_t)row);
    for (size_t i = 0; i < s->n; i++) {
        values[i] = (real)(scale * amun__rng_normal(&rng));
    }
}

/* Householder; rows that have nothing of their own become random ones. s->diagonal: R_ii. */
static amun_status R(householder)(amun__powerqr *s)
{
    double *again = s->t, largest = 0.0;
    bool drawn = false;
    AMUN__CHECK(R(amun__orthonormalise)(s->scratch, s->block, (int64_t)s->n, s->v, s->diagonal));
    for (int64_t i = 0; i < s->block; i++) {
        largest = fmax(largest, fabs(s->diagonal[i]));
    }
    s->draws++;
    for (int64_t i = 0; i < s->block; i++) {
        if (fabs(s->diagonal[i]) <= REAL_EPSILON * largest) {
            R(draw_row)(s, i);
            drawn = true;
        }
    }
    return drawn ? R(amun__orthonormalise)(s->scratch, s->block, (int64_t)s->n, s->v, again)
                 : AMUN_OK;
}

/* Makes the rows of s->v orthonormal. Ritz-rotated blocks are nearly orthogonal: there the factor
 * of their scaled Gram matrix is well-conditioned and does it in one product. */
static amun_status R(orthonormalise)(amun__powerqr *s)
{
    R(gram)(s->v, s->block, s->n, s->t);
    if (cholesky_inverse(s->t, s->diagonal, s->vectors, s->block, REAL_EPSILON)) {
        return R(combine)(s, s->vectors, &s->v);
    }
    return R(householder)(s);
}

static amun_status R(draw_block)(amun__powerqr *s)
{
    for (int64_t row = 0; row < s->block; row++) {
        R(draw_row)(s, row);
    }
    return R(householder)(s);
}

/* v = mu v + z; z is not needed any more. */
static void R(shift)(amun__powerqr *s)
{
    real *v = s->v, *z = s->z;
    const real mu = (real)s->options.mu;
    if (s->options.mu == 0.0) {
        s->v = z;
        s->z = v;
        return;
    }
    for (size_t i = 0; i < (size_t)s->block * s->n; i++) {
        v[i] = mu * v[i] + z[i];
    }
}

/* residual_i = || z_i - theta_i v_i ||. */
static void R(residuals)(amun__powerqr *s)
{
    const real *v = s->v, *z = s->z;
#pragma omp parallel for schedule(static) if ((size_t)s->block * s->n >= PARALLEL_FROM)
    for (int64_t row = 0; row < s->block; row++) {
        const real *a = z + (size_t)row * s->n, *b = v + (size_t)row * s->n;
        const double theta = s->theta[row];
        double chains[RESIDUAL_CHAINS] = {0}, sum = 0.0; /* none waits for another */
        size_t i = 0;
        for (; i + RESIDUAL_CHAINS <= s->n; i += RESIDUAL_CHAINS) {
            for (size_t c = 0; c < RESIDUAL_CHAINS; c++) {
                const double d = (double)a[i + c] - theta * (double)b[i + c];
                chains[c] += d * d;
            }
        }
        for (; i < s->n; i++) {
            const double d = (double)a[i] - theta * (double)b[i];
            sum += d * d;
        }
        for (size_t c = 0; c < RESIDUAL_CHAINS; c++) {
            sum += chains[c];
        }
        s->residuals[row] = sqrt(sum);
    }
}

/* One apply and adjoint, and the Ritz values and vectors in the span of the block. T = V A V' is
 * taken as (M V)(M V)': symmetric by construction, and never above sigma^2. */
static amun_status R(iterate)(amun__powerqr *s)
{
    if (s->pending) {
        R(shift)(s);
        s->pending = false;
        AMUN__CHECK(R(orthonormalise)(s));
    }
    AMUN__CHECK(R(amun__linop_gram)(s->op, s->block, s->v, s->y, s->z));
    R(gram)(s->y, s->block, s->m, s->t);
    AMUN__CHECK(ritz(s));
    AMUN__CHECK(R(combine)(s, s->vectors, &s->v));
    AMUN__CHECK(R(combine)(s, s->vectors, &s->z));
    R(residuals)(s);
    for (int64_t i = 0; i < s->block; i++) {
        if (!isfinite(s->residuals[i])) {
            return not_finite(s);
        }
    }
    s->pending = true;
    return AMUN_OK;
}

/* One iteration as published: QR of mu V + M'M V, values from the diagonal of R. */
static amun_status R(iterate_legacy)(amun__powerqr *s)
{
    AMUN__CHECK(R(amun__linop_gram)(s->op, s->block, s->v, s->y, s->z));
    for (size_t i = 0; i < (size_t)s->block * s->n; i++) {
        if (!isfinite(((const real *)s->z)[i])) {
            return not_finite(s);
        }
    }
    R(shift)(s);
    return R(householder)(s);
}

/* Descending values, vectors with them: s->theta and s->v from s->diagonal. */
static amun_status R(sort_legacy)(amun__powerqr *s)
{
    memset(s->vectors, 0, (size_t)(s->block * s->block) * sizeof *s->vectors);
    for (int64_t i = 0; i < s->block; i++) {
        int64_t place = 0;
        double value = fabs(s->diagonal[i]);
        for (int64_t j = 0; j < s->block; j++) {
            double other = fabs(s->diagonal[j]);
            place += other > value || (other == value && j < i);
        }
        s->theta[place] = fmax(value - s->options.mu, 0.0);
        s->residuals[place] = NAN;
        s->vectors[place * s->block + i] = 1.0;
    }
    return R(combine)(s, s->vectors, &s->v);
}
