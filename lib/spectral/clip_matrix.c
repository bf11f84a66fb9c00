/* clip_matrix.c - layers whose singular values are those of a small matrix: dense layers, 1x1
 * convolutions, windows that share no pixel. Clipped exactly. */
#include "core/linalg.h"
#include "spectral/clip.h"

static const double rounding_level = 1e-6;

typedef struct matrix_room {
    double *a, *s, *u, *vt;
} matrix_room;

/* W -= U (S - limit) V' over the values above the limit, `above` of them. */
static amun_status subtract(matrix_room *r, int64_t rows, int64_t columns, int64_t rank,
                            int64_t above, double limit, float *weights)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < above; j++) { /* U[rows][above], packed */
            r->u[i * above + j] = r->u[i * rank + j] * (r->s[j] - limit);
        }
    }
    AMUN__CHECK(amun__gemm_f64(false, false, rows, columns, above, 1.0, r->u, r->vt, 0.0, r->a));
    for (int64_t i = 0; i < rows * columns; i++) {
        weights[i] = (float)((double)weights[i] - r->a[i]);
    }
    return AMUN_OK;
}

static amun_status clip_group(amun_context *ctx, matrix_room *r, int64_t rows, int64_t columns,
                              float *weights, double limit, double *sigma)
{
    const int64_t rank = rows < columns ? rows : columns;
    for (int64_t i = 0; i < rows * columns; i++) {
        r->a[i] = (double)weights[i];
    }
    AMUN__CHECK(amun__svd_f64(ctx, rows, columns, r->a, r->s, r->u, r->vt));
    int64_t above = 0;
    /* what an earlier clip left has the rounding errors of its floats */
    const bool leave = r->s[0] <= limit * (1.0 + rounding_level);
    while (!leave && above < rank && r->s[above] > limit) {
        above++;
    }
    *sigma = leave ? r->s[0] : limit;
    return above == 0 ? AMUN_OK : subtract(r, rows, columns, rank, above, limit, weights);
}

amun_status amun__clip_matrix(amun_context *ctx, int64_t groups, int64_t rows, int64_t columns,
                              float *weights, double limit, double *sigma)
{
    matrix_room r = {0};
    const size_t m = (size_t)rows, n = (size_t)columns, rank = m < n ? m : n;
    const bool looks = isinf(limit) != 0;
    amun_status status;
    *sigma = 0.0;
    AMUN__TRY(amun__alloc(ctx, &r.a, m * n, sizeof *r.a)); /* there are as many weights */
    AMUN__TRY(amun__alloc(ctx, &r.s, rank, sizeof *r.s));
    if (!looks) {
        AMUN__TRY(amun__alloc(ctx, &r.u, m * rank, sizeof *r.u));
        AMUN__TRY(amun__alloc(ctx, &r.vt, rank * n, sizeof *r.vt));
    }
    for (int64_t group = 0; group < groups; group++) {
        double one = 0.0;
        AMUN__TRY(clip_group(ctx, &r, rows, columns, weights + (size_t)group * m * n, limit, &one));
        *sigma = fmax(*sigma, one);
    }
fail:
    amun__free(ctx, r.a);
    amun__free(ctx, r.s);
    amun__free(ctx, r.u);
    amun__free(ctx, r.vt);
    return status;
}
