/* optim.c - stochastic gradient descent and Adam with PyTorch's arithmetic, in float. */
#include "nn/nn.h"

/* Scalars per unit of work of a thread. Each scalar stands alone: no result depends on it. */
enum { OPTIM_BLOCK = 16384 };

typedef struct sgd_terms {
    float lr, momentum, weight_decay, l1;
} sgd_terms;

static inline float sign_of(float w)
{
    return (float)((w > 0.0f) - (w < 0.0f));
}

/* Inlined below with constant flags, so that each loop is free of branches. `v` may be NULL where
 * there is no momentum to keep. */
static inline __attribute__((always_inline)) void
step_block(const sgd_terms *t, bool first, bool nesterov, bool l1, const uint8_t *mask,
           float *restrict w, float *restrict v, const float *restrict d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = d[i] + t->weight_decay * w[i];
        if (l1) {
            g += t->l1 * sign_of(w[i]);
        }
        float velocity = first ? g : t->momentum * v[i] + g;
        float step = nesterov ? g + t->momentum * velocity : velocity;
        float moved = w[i] - t->lr * step;
        if (mask != NULL) {
            bool moves = mask[i] != 0;
            moved = moves ? moved : w[i];
            /* before the first step a velocity has no value yet: frozen means 0 */
            velocity = moves ? velocity : (first ? 0.0f : v[i]);
        }
        v[i] = velocity;
        w[i] = moved;
    }
}

/* Plain gradient descent: no velocity to read or write. */
static inline __attribute__((always_inline)) void
step_block_plain(const sgd_terms *t, bool l1, const uint8_t *mask, float *restrict w,
                 const float *restrict d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = d[i] + t->weight_decay * w[i];
        if (l1) {
            g += t->l1 * sign_of(w[i]);
        }
        float moved = w[i] - t->lr * g;
        w[i] = mask != NULL && mask[i] == 0 ? w[i] : moved;
    }
}

static void step_any(const amun__sgd *sgd, const sgd_terms *t, const uint8_t *mask, float *w,
                     float *v, const float *d, size_t n)
{
    bool first = sgd->first != 0, nesterov = sgd->nesterov != 0, l1 = sgd->l1 != 0.0;
    if (v == NULL) {
        step_block_plain(t, l1, mask, w, d, n);
    } else if (l1 || mask != NULL) {
        step_block(t, first, nesterov, l1, mask, w, v, d, n);
    } else if (first) {
        step_block(t, true, nesterov, false, NULL, w, v, d, n);
    } else if (nesterov) {
        step_block(t, false, true, false, NULL, w, v, d, n);
    } else {
        step_block(t, false, false, false, NULL, w, v, d, n);
    }
}

/* `velocity` may be NULL if momentum is 0. */
void amun__sgd_step(const amun__sgd *sgd, float *values, float *velocity, const float *diff,
                    size_t count)
{
    sgd_terms t = {(float)sgd->lr, (float)sgd->momentum, (float)sgd->weight_decay, (float)sgd->l1};
    size_t blocks = (count + OPTIM_BLOCK - 1) / OPTIM_BLOCK;
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < blocks; b++) {
        size_t at = b * OPTIM_BLOCK;
        size_t n = count - at < OPTIM_BLOCK ? count - at : OPTIM_BLOCK;
        step_any(sgd, &t, sgd->mask != NULL ? sgd->mask + at : NULL, values + at,
                 velocity != NULL ? velocity + at : NULL, diff + at, n);
    }
}

/* ---- Adam ---------------------------------------------------------------------------------- */

static const double adam_beta2 = 0.999, adam_eps = 1e-8;

typedef struct adam_terms {
    float weight_decay, l1;
    float keep1, take1, keep2, take2; /* beta and 1 - beta */
    float step, root, eps;            /* lr / (1 - beta1^t), sqrt(1 - beta2^t) */
} adam_terms;

static inline __attribute__((always_inline)) void adam_block(const adam_terms *t,
                                                             const uint8_t *mask, float *restrict w,
                                                             float *restrict m, float *restrict v,
                                                             const float *restrict d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = d[i] + t->weight_decay * w[i] + t->l1 * sign_of(w[i]);
        float first = t->keep1 * m[i] + t->take1 * g;
        float second = t->keep2 * v[i] + t->take2 * g * g;
        float moved = w[i] - t->step * (first / (sqrtf(second) / t->root + t->eps));
        bool moves = mask == NULL || mask[i] != 0;
        m[i] = moves ? first : m[i];
        v[i] = moves ? second : v[i];
        w[i] = moves ? moved : w[i];
    }
}

void amun__adam_step(const amun__adam *adam, float *values, float *first, float *second,
                     const float *diff, size_t count)
{
    const double t = (double)adam->step;
    const adam_terms terms = {
        .weight_decay = (float)adam->weight_decay,
        .l1 = (float)adam->l1,
        .keep1 = (float)adam->beta1,
        .take1 = (float)(1.0 - adam->beta1),
        .keep2 = (float)adam_beta2,
        .take2 = (float)(1.0 - adam_beta2),
        .step = (float)(adam->lr / (1.0 - pow(adam->beta1, t))),
        .root = (float)sqrt(1.0 - pow(adam_beta2, t)),
        .eps = (float)adam_eps,
    };
    size_t blocks = (count + OPTIM_BLOCK - 1) / OPTIM_BLOCK;
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < blocks; b++) {
        size_t at = b * OPTIM_BLOCK;
        size_t n = count - at < OPTIM_BLOCK ? count - at : OPTIM_BLOCK;
        if (adam->mask != NULL) {
            adam_block(&terms, adam->mask + at, values + at, first + at, second + at, diff + at, n);
        } else {
            adam_block(&terms, NULL, values + at, first + at, second + at, diff + at, n);
        }
    }
}
