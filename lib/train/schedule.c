/* schedule.c - the learning rate of each step. Formulas: train.h. */
#include "train/train.h"

#ifndef M_PI
#define M_PI 3.14159265358979323846
#endif

/* PyTorch's StepLR in closed form. */
static double step_lr(const amun_train_options *options, int64_t epoch)
{
    return options->lr * pow(options->gamma, (double)(epoch / options->step_epochs));
}

/* Progress after the warm-up, 0 at its end and 1 after the last step; -1 during the warm-up, whose
 * factor goes to *rise. At most 100000 epochs of at most 2^48 steps: exact in a double. */
static double decay_share(const amun_train_options *options, int64_t epoch, int64_t step,
                          int64_t steps, double *rise)
{
    double total = (double)options->epochs * (double)steps;
    double warm = floor(options->warmup * total + 0.5);
    double s = (double)epoch * (double)steps + (double)step;
    if (s < warm) {
        *rise = (s + 1.0) / (warm + 1.0);
        return -1.0;
    }
    return total > warm ? (s - warm) / (total - warm) : 1.0;
}

double amun__schedule_lr(const amun_train_options *options, int64_t epoch, int64_t step_in_epoch,
                         int64_t steps_per_epoch)
{
    if (options->schedule == AMUN_SCHEDULE_STEP) {
        return step_lr(options, epoch);
    }
    if (options->schedule == AMUN_SCHEDULE_CONSTANT) {
        return options->lr;
    }
    double rise = 1.0;
    double q = decay_share(options, epoch, step_in_epoch, steps_per_epoch, &rise);
    if (q < 0.0) {
        return options->lr * rise;
    }
    double f = options->final_factor;
    if (options->schedule == AMUN_SCHEDULE_COSINE) {
        return options->lr * (f + (1.0 - f) * 0.5 * (1.0 + cos(M_PI * q)));
    }
    return options->lr * (1.0 - (1.0 - f) * q);
}
