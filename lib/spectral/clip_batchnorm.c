/* clip_batchnorm.c - batch norms in evaluation mode are diagonal, so that their norm is the largest
 * factor; these are the three published ways to bound it. */
#include "spectral/clip.h"

/* `value` in float, never larger in size than in double. */
static float round_inwards(double value)
{
    float rounded = (float)value;
    return fabs((double)rounded) > fabs(value) ? nextafterf(rounded, 0.0F) : rounded;
}

/* |gamma| / sqrt(variance + eps). */
static double factor_of(float gamma, float variance, double eps)
{
    return fabs((double)gamma) / sqrt((double)variance + eps);
}

static double largest_factor(int64_t channels, const float *gamma, const float *variance,
                             double eps)
{
    double largest = 0.0;
    for (int64_t c = 0; c < channels; c++) {
        const double factor = factor_of(gamma[c], variance[c], eps);
        largest = isnan(factor) || factor > largest ? factor : largest;
    }
    return largest;
}

/* gamma clamped to [-limit q, limit q]. */
static double clamped(float gamma, float variance, double eps, double limit)
{
    const double most = limit * sqrt((double)variance + eps);
    return fmin(fmax((double)gamma, -most), most);
}

amun_status amun__clip_norm(int64_t channels, float *gamma, const float *variance, double eps,
                            amun_clip_batchnorm how, double limit, double *sigma)
{
    const double before = largest_factor(channels, gamma, variance, eps);
    *sigma = before;
    if (!isfinite(before)) {
        return amun__fail(AMUN_ERROR_NUMERIC, "a factor of the batch norm is %g", before);
    }
    if (before <= limit) {
        return AMUN_OK;
    }
    for (int64_t c = 0; c < channels; c++) {
        const double inside = clamped(gamma[c], variance[c], eps, limit);
        if (how == AMUN_CLIP_BATCHNORM_GOUK) {
            gamma[c] = (float)((double)gamma[c] * (limit / before));
        } else if (how == AMUN_CLIP_BATCHNORM_SOFT) {
            gamma[c] = (float)(0.9 * (double)gamma[c] + 0.1 * inside);
        } else if (inside != (double)gamma[c]) {
            gamma[c] = round_inwards(inside);
        }
    }
    *sigma = largest_factor(channels, gamma, variance, eps);
    return AMUN_OK;
}
