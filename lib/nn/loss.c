/* loss.c - softmax, cross-entropy against target rows, argmax. Double inside, nothing allocated. */
#include "nn/nn.h"

/* max(z) and log(sum(exp(z - max))). NaN anywhere gives a NaN sum. */
static void log_partition(const float *logits, size_t classes, double *top, double *log_sum)
{
    double max = -INFINITY;
    double sum = 0.0;
    for (size_t k = 0; k < classes; k++) {
        max = (double)logits[k] > max ? (double)logits[k] : max;
    }
    for (size_t k = 0; k < classes; k++) {
        sum += exp((double)logits[k] - max);
    }
    *top = max;
    *log_sum = log(sum);
}

void amun__loss_softmax(const float *logits, size_t classes, double *p)
{
    double top, log_sum;
    log_partition(logits, classes, &top, &log_sum);
    for (size_t k = 0; k < classes; k++) {
        p[k] = exp((double)logits[k] - top - log_sum);
    }
}

double amun__loss_cross_entropy(const float *logits, const float *targets, const float *weights,
                                size_t n, size_t classes, double scale, float *seed)
{
    double total = 0.0;
    for (size_t i = 0; i < n; i++) {
        const float *z = logits + i * classes;
        const float *t = targets + i * classes;
        double weight = weights != NULL ? (double)weights[i] : 1.0;
        double top, log_sum;
        log_partition(z, classes, &top, &log_sum);
        double mass = 0.0; /* rows may sum to something else than 1; the gradient must know */
        double loss = 0.0;
        for (size_t k = 0; k < classes; k++) {
            double log_p = (double)z[k] - top - log_sum;
            mass += (double)t[k];
            /* 0 * -inf: a class of no target mass costs nothing, however impossible it is */
            loss -= t[k] != 0.0f || isnan(log_p) ? (double)t[k] * log_p : 0.0;
        }
        /* weight 0 switches a sample off even if its loss is infinite, but never hides a NaN */
        total += weight != 0.0 || isnan(loss) ? weight * loss : 0.0;
        if (seed == NULL) {
            continue;
        }
        for (size_t k = 0; k < classes; k++) {
            double p = exp((double)z[k] - top - log_sum);
            seed[i * classes + k] = (float)(scale * weight * (mass * p - (double)t[k]));
        }
    }
    return total;
}

int32_t amun__loss_argmax(const float *logits, size_t classes)
{
    size_t best = 0;
    for (size_t k = 0; k < classes; k++) {
        if (!isfinite(logits[k])) {
            return -1;
        }
        best = logits[k] > logits[best] ? k : best;
    }
    return classes > 0 ? (int32_t)best : -1;
}
