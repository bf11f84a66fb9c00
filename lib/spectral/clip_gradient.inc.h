/* clip_gradient.inc.h - the clip gradient in one precision. Included by clip_gradient.c with `real`
 * and `R(name)`. */

amun_status R(amun__clip_gradient)(amun__linop *op, int64_t k, const real *v, const real *r,
                                   const real *weights, const real *gamma, const double *factor,
                                   real *diff_weights, real *diff_gamma)
{
    AMUN__CHECK(R(amun__linop_weight_grad)(op, k, v, r, diff_weights));
    if (gamma == NULL) {
        return AMUN_OK;
    }
    const int64_t channels = amun__linop_shape_of(op)->out_channels;
    const size_t row = amun__linop_weight_count(op) / (size_t)channels;
    for (int64_t c = 0; c < channels; c++) {
        real *diff = diff_weights + (size_t)c * row;
        diff_gamma[c] = (real)(factor[c] * R(amun__dot)(weights + (size_t)c * row, diff, row));
        const double scale = (double)gamma[c] * factor[c];
        for (size_t i = 0; i < row; i++) {
            diff[i] = (real)((double)diff[i] * scale);
        }
    }
    return AMUN_OK;
}
