/* objective.c - what attacks increase: cross-entropy, margin, and the difference-of-logits ratio of
 * APGD (Croce and Hein, arXiv 2003.01690, section 4), on one row of logits, with gradients. */
#include "attack/attack_private.h"

/* Keeps a ratio of equal logits harmless (0 / 0). */
static const double tiny_difference = 1e-12;

/* max_k z_k and the sum of exp(z_k - max) over k != label: 1 - p_label would cancel. */
static double others_sum(const float *logits, size_t classes, int32_t label, double *top)
{
    double sum = 0.0;
    *top = (double)logits[0];
    for (size_t k = 1; k < classes; k++) {
        *top = (double)logits[k] > *top ? (double)logits[k] : *top;
    }
    for (size_t k = 0; k < classes; k++) {
        sum += k != (size_t)label ? exp((double)logits[k] - *top) : 0.0;
    }
    return sum;
}

static double entropy(const float *logits, size_t classes, int32_t label, bool log_probs,
                      double *seed)
{
    double top;
    double others = others_sum(logits, classes, label, &top);
    double own = exp((double)logits[label] - top);
    double sum = others + own;
    for (size_t k = 0; seed != NULL && k < classes; k++) {
        seed[k] = log_probs ? 0.0 : exp((double)logits[k] - top) / sum;
    }
    if (seed != NULL) {
        seed[label] = log_probs ? -1.0 : -others / sum;
    }
    if (log_probs) {
        return -(double)logits[label];
    }
    /* own is 1 where the label leads; elsewhere it may underflow */
    return own == 1.0 ? log1p(others) : top - (double)logits[label] + log(sum);
}

void amun__objective_rivals(const float *logits, size_t classes, int32_t label, int32_t *order,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t best = -1;
        for (size_t k = 0; k < classes; k++) {
            bool taken = k == (size_t)label;
            for (size_t j = 0; j < i && !taken; j++) {
                taken = order[j] == (int32_t)k;
            }
            if (!taken && (best < 0 || logits[k] > logits[best])) {
                best = (int32_t)k;
            }
        }
        order[i] = best;
    }
}

/* What a ratio divides by, and its gradient: weights[] of the classes top[]. */
typedef struct divisor {
    double value;
    int32_t top[4];
    double weights[4];
    size_t count;
} divisor;

static void make_divisor(divisor *d, const float *logits, size_t classes, bool targeted)
{
    *d = (divisor){.value = 1.0};
    if (classes < 3) {
        return;
    }
    amun__objective_rivals(logits, classes, -1, d->top, classes < 4 ? classes : 4);
    bool four = targeted && classes >= 4;
    d->count = four ? 4 : 3;
    d->weights[0] = 1.0;
    d->weights[2] = four ? -0.5 : -1.0;
    d->weights[3] = four ? -0.5 : 0.0;
    d->value = tiny_difference;
    for (size_t i = 0; i < d->count; i++) {
        d->value += d->weights[i] * (double)logits[d->top[i]];
    }
}

static double ratio(const float *logits, size_t classes, int32_t label, int32_t rival,
                    const divisor *d, double *seed)
{
    double value = ((double)logits[rival] - (double)logits[label]) / d->value;
    if (seed == NULL) {
        return value;
    }
    memset(seed, 0, classes * sizeof *seed);
    seed[rival] += 1.0 / d->value;
    seed[label] -= 1.0 / d->value;
    for (size_t i = 0; i < d->count; i++) {
        seed[d->top[i]] -= d->weights[i] * value / d->value;
    }
    return value;
}

double amun__objective_value(const amun__objective *what, const float *logits, size_t classes,
                             int32_t label, double *seed)
{
    if (what->kind == AMUN__OBJECTIVE_CE) {
        return entropy(logits, classes, label, what->log_probs != 0, seed);
    }
    int32_t rival = what->target;
    divisor d = {.value = 1.0};
    if (what->kind != AMUN__OBJECTIVE_DLR_TARGETED) {
        amun__objective_rivals(logits, classes, label, &rival, 1);
    }
    if (what->kind != AMUN__OBJECTIVE_MARGIN) {
        make_divisor(&d, logits, classes, what->kind == AMUN__OBJECTIVE_DLR_TARGETED);
    }
    return ratio(logits, classes, label, rival, &d, seed);
}
