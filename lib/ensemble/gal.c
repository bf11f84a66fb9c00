/* gal.c - gradient alignment loss (arXiv 1901.09981): the members' cross-entropies, plus
 *     lambda * mean_b log sum_{i<j} exp(cos(g_i, g_j)),
 * which keeps the input gradients of the members from pointing the same way. */
#include "ensemble/alignment.h"

static amun_status open_gal(amun__joint *joint)
{
    amun__alignment *own = NULL;
    AMUN__CHECK(amun__calloc(joint->ctx, &own, 1, sizeof *own));
    joint->own = own;
    return amun__alignment_open(own, joint);
}

static void close_gal(amun__joint *joint)
{
    if (joint->own != NULL) {
        amun__alignment_close(joint->own);
        amun__free(joint->ctx, joint->own);
    }
}

/* log sum exp; its slopes are the softmax. Cosines need no shift. */
static double coherence(const double *cosines, size_t pairs, double *slopes)
{
    double sum = 0.0;
    for (size_t k = 0; k < pairs; k++) {
        slopes[k] = exp(cosines[k]);
        sum += slopes[k];
    }
    for (size_t k = 0; k < pairs; k++) {
        slopes[k] /= sum;
    }
    return log(sum);
}

static amun_status gradients(amun__joint *joint, amun__step *step)
{
    amun__alignment *own = joint->own;
    const double lambda = joint->options.gal_lambda;
    const amun__batch *batch = step->batch;
    AMUN__CHECK(amun__alignment_begin(own, step));
    if (lambda == 0.0 || !isfinite(step->loss)) {
        return AMUN_OK;
    }
    step->loss += lambda * amun__alignment_cosines(own, batch->count, coherence);
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        AMUN__CHECK(amun__alignment_curve(own, step, i, batch->images, amun__alignment_v(own, i),
                                          lambda / (double)batch->count, NULL));
    }
    return AMUN_OK;
}

const amun__joint_method amun__joint_gal = {
    .name = "gal",
    .least = 2,
    .open = open_gal,
    .gradients = gradients,
    .close = close_gal,
};
