/* adp.c - adaptive diversity promoting (arXiv 1901.08846): the members' cross-entropies, minus
 *     alpha H(mean_i p_i) + beta log det(Q Q' + 1e-6 I),
 * where row i of Q is p_i without the true class, of length 1. The gradient in the logits is in
 * closed form and in double. */
#include "core/linalg.h"
#include "ensemble/adp.h"
#include "ensemble/joint.h"

#define ADP_RIDGE 1e-6

typedef struct adp {
    amun__adp work;
    double *seeds; /* [members][classes], of one sample */
} adp;

/* ---- one sample -------------------------------------------------------------------------------
 */

amun_status amun__adp_open(amun__adp *a, amun_context *ctx, size_t count, size_t classes)
{
    const size_t cells = count * classes; /* at most 64 times the classes of a model */
    *a = (amun__adp){.ctx = ctx, .count = count, .classes = classes};
    AMUN__CHECK(amun__alloc(ctx, &a->p, cells, sizeof *a->p));
    AMUN__CHECK(amun__alloc(ctx, &a->q, cells, sizeof *a->q));
    AMUN__CHECK(amun__alloc(ctx, &a->solved, cells, sizeof *a->solved));
    AMUN__CHECK(amun__alloc(ctx, &a->mean, classes, sizeof *a->mean));
    AMUN__CHECK(amun__alloc(ctx, &a->norms, count, sizeof *a->norms));
    return amun__alloc(ctx, &a->gram, count * count, sizeof *a->gram);
}

void amun__adp_close(amun__adp *a)
{
    if (a->ctx != NULL) {
        double *const owned[] = {a->p, a->q, a->solved, a->mean, a->norms, a->gram};
        for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
            amun__free(a->ctx, owned[i]);
        }
    }
    *a = (amun__adp){0};
}

/* Rows of q: p without the label, of length 1; 0 where all of p is on the label. */
static void normalise(amun__adp *a, size_t label)
{
    for (size_t i = 0; i < a->count; i++) {
        const double *p = a->p + i * a->classes;
        double *q = a->q + i * a->classes, sum = 0.0;
        for (size_t k = 0; k < a->classes; k++) {
            q[k] = k == label ? 0.0 : p[k];
            sum += q[k] * q[k];
        }
        a->norms[i] = sqrt(sum);
        for (size_t k = 0; k < a->classes && sum > 0.0; k++) {
            q[k] /= a->norms[i];
        }
    }
}

/* gram <- the Cholesky factor L of Q Q' + ridge, lower triangle; returns its log determinant. The
 * ridge keeps every pivot above 0. */
static double factorise(amun__adp *a)
{
    const size_t n = a->count;
    double *g = a->gram, log_det = 0.0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            const double *x = a->q + i * a->classes, *y = a->q + j * a->classes;
            double sum = amun__dot_f64(x, y, a->classes) + (i == j ? ADP_RIDGE : 0.0);
            for (size_t m = 0; m < j; m++) {
                sum -= g[i * n + m] * g[j * n + m];
            }
            g[i * n + j] = i == j ? sqrt(fmax(sum, ADP_RIDGE * 1e-3)) : sum / g[j * n + j];
        }
        log_det += 2.0 * log(g[i * n + i]);
    }
    return log_det;
}

/* solved <- (Q Q' + ridge)^-1 Q, half the gradient of the log determinant in Q. */
static void solve(amun__adp *a)
{
    const size_t n = a->count, classes = a->classes;
    memcpy(a->solved, a->q, n * classes * sizeof *a->solved);
    for (size_t pass = 0; pass < 2; pass++) { /* L, then L' */
        for (size_t step = 0; step < n; step++) {
            size_t i = pass == 0 ? step : n - 1 - step;
            double *row = a->solved + i * classes;
            for (size_t j = pass == 0 ? 0 : i + 1; j < (pass == 0 ? i : n); j++) {
                double by = pass == 0 ? a->gram[i * n + j] : a->gram[j * n + i];
                for (size_t k = 0; k < classes; k++) {
                    row[k] -= by * a->solved[j * classes + k];
                }
            }
            for (size_t k = 0; k < classes; k++) {
                row[k] /= a->gram[i * n + i];
            }
        }
    }
}

/* H(mean p) from a->mean. */
static double entropy(amun__adp *a)
{
    double sum = 0.0;
    for (size_t k = 0; k < a->classes; k++) {
        a->mean[k] = 0.0;
        for (size_t i = 0; i < a->count; i++) {
            a->mean[k] += a->p[i * a->classes + k] / (double)a->count;
        }
        sum -= a->mean[k] > 0.0 ? a->mean[k] * log(a->mean[k]) : 0.0;
    }
    return sum;
}

/* seed <- gradient in the logits of member i, from that in its probabilities. */
static void pull_back(const amun__adp *a, size_t i, size_t label, double alpha, double beta,
                      double *seed)
{
    const double *p = a->p + i * a->classes, *q = a->q + i * a->classes;
    const double *s = a->solved + i * a->classes;
    const double along = amun__dot_f64(s, q, a->classes), norm = a->norms[i];
    double mean = 0.0;
    for (size_t k = 0; k < a->classes; k++) {
        double h = a->mean[k] > 0.0 ? (log(a->mean[k]) + 1.0) / (double)a->count : 0.0;
        double d = k != label && norm > 0.0 ? 2.0 * (s[k] - along * q[k]) / norm : 0.0;
        seed[k] = alpha * h - beta * d;
        mean += p[k] * seed[k];
    }
    for (size_t k = 0; k < a->classes; k++) {
        seed[k] = p[k] * (seed[k] - mean);
    }
}

double amun__adp_sample(amun__adp *a, const float *const *logits, size_t label, double alpha,
                        double beta, double *seeds)
{
    for (size_t i = 0; i < a->count; i++) {
        amun__loss_softmax(logits[i], a->classes, a->p + i * a->classes);
    }
    normalise(a, label);
    double value = -alpha * entropy(a) - beta * factorise(a);
    solve(a);
    for (size_t i = 0; i < a->count; i++) {
        pull_back(a, i, label, alpha, beta, seeds + i * a->classes);
    }
    return value;
}

/* ---- the method -------------------------------------------------------------------------------
 */

static amun_status open_adp(amun__joint *joint)
{
    adp *own = NULL;
    AMUN__CHECK(amun__calloc(joint->ctx, &own, 1, sizeof *own));
    joint->own = own;
    AMUN__CHECK(
        amun__alloc(joint->ctx, &own->seeds, joint->count * joint->classes, sizeof *own->seeds));
    return amun__adp_open(&own->work, joint->ctx, joint->count, joint->classes);
}

static void close_adp(amun__joint *joint)
{
    adp *own = joint->own;
    if (own != NULL) {
        amun__adp_close(&own->work);
        amun__free(joint->ctx, own->seeds);
        amun__free(joint->ctx, own);
    }
}

/* Adds the seeds of the diversity to those of the cross-entropies, and its sum to the loss. */
static void add_diversity(const amun__joint *joint, amun__step *step)
{
    adp *own = joint->own;
    const double scale = 1.0 / (double)step->batch->count;
    const float *logits[AMUN__VICTIM_MAX];
    for (size_t row = 0; row < step->batch->count; row++) {
        for (size_t i = 0; i < step->count; i++) {
            logits[i] = step->members[i].logits + row * step->classes;
        }
        step->loss +=
            amun__adp_sample(&own->work, logits, (size_t)step->batch->labels[row],
                             joint->options.adp_alpha, joint->options.adp_beta, own->seeds);
        for (size_t i = 0; i < step->count; i++) {
            float *seed = step->members[i].seed + row * step->classes;
            for (size_t k = 0; k < step->classes; k++) {
                seed[k] += (float)(scale * own->seeds[i * step->classes + k]);
            }
        }
    }
}

static amun_status gradients(amun__joint *joint, amun__step *step)
{
    const amun__batch *batch = step->batch;
    for (size_t i = 0; i < step->count; i++) {
        AMUN__CHECK(amun__step_forward(step, i, batch->images));
        step->loss += amun__loss_cross_entropy(step->members[i].logits, batch->targets,
                                               batch->weights, batch->count, step->classes,
                                               1.0 / (double)batch->count, step->members[i].seed);
    }
    if (!isfinite(step->loss)) {
        return AMUN_OK; /* the run says where */
    }
    add_diversity(joint, step);
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        amun__step_count_right(step, step->members[i].logits);
        AMUN__CHECK(
            amun__step_backward(step, i, step->members[i].seed, AMUN__PASS_STATISTICS, NULL));
    }
    return AMUN_OK;
}

const amun__joint_method amun__joint_adp = {
    .name = "adp",
    .least = 2,
    .open = open_adp,
    .gradients = gradients,
    .close = close_adp,
};
