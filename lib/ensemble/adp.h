/* adp.h - the diversity of ADP on one sample (arXiv 1901.08846). Private. */
#ifndef AMUN__ADP_H
#define AMUN__ADP_H

#include "core/core.h"

typedef struct amun__adp {
    amun_context *ctx;
    size_t count, classes;
    double *p, *q, *solved;      /* [count][classes] */
    double *mean, *norms, *gram; /* [classes], [count], [count][count] */
} amun__adp;

amun_status amun__adp_open(amun__adp *a, amun_context *ctx, size_t count, size_t classes);
void amun__adp_close(amun__adp *a); /* also after a failed open */
/* -alpha H(mean p) - beta log det(Q Q' + 1e-6 I) for one row of finite logits per member, and its
 * gradient in them: seeds [count][classes]. */
double amun__adp_sample(amun__adp *a, const float *const *logits, size_t label, double alpha,
                        double beta, double *seeds);

#endif
