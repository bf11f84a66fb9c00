/* exact.c - the whole spectrum of a small linear map, from its explicit matrix. */
#include "spectral/powerqr.h"

#include "core/linalg.h"

#define MAX_EXACT 4096

/* Rows [first, first + k) of the transposed matrix: the images of unit vectors. `unit`: zeros
 * [block][in], and zeros again afterwards. */
static amun_status unit_images(amun__linop *op, size_t first, int64_t k, void *unit, void *image,
                               double *rows)
{
    const size_t in = amun__linop_in(op), out = amun__linop_out(op);
    const bool wide = amun__linop_is_f64(op);
    amun_status status;
    for (size_t i = 0; i < (size_t)k; i++) {
        if (wide) {
            ((double *)unit)[i * in + first + i] = 1.0;
        } else {
            ((float *)unit)[i * in + first + i] = 1.0F;
        }
    }
    status =
        wide ? amun__linop_apply_f64(op, k, unit, rows) : amun__linop_apply(op, k, unit, image);
    memset(unit, 0, (size_t)k * in * (wide ? sizeof(double) : sizeof(float)));
    for (size_t i = 0; i < (size_t)k * out && !wide && status == AMUN_OK; i++) {
        rows[i] = (double)((const float *)image)[i];
    }
    return status;
}

amun_status amun__spectrum_exact(amun_context *ctx, amun__linop *op, double *values)
{
    const size_t in = amun__linop_in(op), out = amun__linop_out(op);
    const size_t size = amun__linop_is_f64(op) ? sizeof(double) : sizeof(float);
    const size_t most = (size_t)amun__linop_max_block(op), block = most < in ? most : in;
    double *matrix = NULL;
    void *unit = NULL, *image = NULL;
    amun_status status;
    if (in > MAX_EXACT || out > MAX_EXACT) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "a matrix of %zu by %zu is too large for its whole spectrum, at most %d",
                          out, in, MAX_EXACT);
    }
    AMUN__TRY(amun__alloc(ctx, &matrix, in * out, sizeof *matrix));
    AMUN__TRY(amun__calloc(ctx, &unit, block * in, size));
    AMUN__TRY(amun__alloc(ctx, &image, block * out, size));
    for (size_t first = 0; first < in; first += block) {
        size_t k = in - first < block ? in - first : block;
        AMUN__TRY(unit_images(op, first, (int64_t)k, unit, image, matrix + first * out));
    }
    AMUN__TRY(amun__svd_f64(ctx, (int64_t)in, (int64_t)out, matrix, values, NULL, NULL));
fail:
    amun__free(ctx, matrix);
    amun__free(ctx, unit);
    amun__free(ctx, image);
    return status;
}
