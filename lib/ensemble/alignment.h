/* alignment.h - how the members' input gradients lie to each other: what GAL and TRS share.
 * Private.
 */
#ifndef AMUN__ALIGNMENT_H
#define AMUN__ALIGNMENT_H

#include "ensemble/joint.h"
#include "nn/curvature.h"

/* g_i: gradient of the summed cross-entropy of the batch in train mode with respect to its images,
 * member i. A term F of all g_i has v_i = dF / dg_i, and its gradient in the parameters of member i
 * is a second derivative along v_i (nn/curvature.h). */
typedef struct amun__alignment {
    amun_context *ctx;
    size_t count, batch, pixels;
    amun__curvature **curvatures; /* [count] */
    void *space;                  /* of the largest of them */
    float *g, *v;                 /* [count][batch][pixels] */
    double *cosines, *slopes;     /* [batch][pairs] */
    double *norms, *values;       /* [batch][count], [batch] */
} amun__alignment;

amun_status amun__alignment_open(amun__alignment *alignment, const amun__joint *joint);
void amun__alignment_close(amun__alignment *alignment); /* also after a failed open */

float *amun__alignment_g(const amun__alignment *alignment, size_t member);
float *amun__alignment_v(const amun__alignment *alignment, size_t member);

/* All members' cross-entropies with everything that belongs to them (loss, right, diff, running
 * statistics), and g at the batch. */
amun_status amun__alignment_begin(amun__alignment *alignment, amun__step *step);
/* g of one member at other images; nothing else changes. */
amun_status amun__alignment_gradient(amun__alignment *alignment, amun__step *step, size_t member,
                                     const float *images);
/* Of one sample: from the cosines of its pairs (i < j, row by row) their value, and its slopes. */
typedef double (*amun__cosine_term)(const double *cosines, size_t pairs, double *slopes);
/* Sum of the term over the samples; v <- its gradient in g. A gradient shorter than 1e-12 has
 * cosines 0, whose slopes are 0. */
double amun__alignment_cosines(amun__alignment *alignment, size_t samples, amun__cosine_term term);
/* d/dr of the gradients at images + r v: in the parameters of the member, times `scale`, added to
 * its diff; in the images into diff_src. One of them: diff_src NULL asks for the parameters. */
amun_status amun__alignment_curve(amun__alignment *alignment, amun__step *step, size_t member,
                                  const float *images, const float *direction, double scale,
                                  float *diff_src);

#endif
