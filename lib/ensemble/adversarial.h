/* adversarial.h - Linf attacks on the members inside a step of training. Private. */
#ifndef AMUN__ADVERSARIAL_H
#define AMUN__ADVERSARIAL_H

#include "ensemble/joint.h"

/* Leased plans in attack mode, one per member, and the arrays of one batch. */
typedef struct amun__train_attack {
    amun_context *ctx;
    amun_model *const *models; /* borrowed */
    size_t count, batch, pixels, classes;
    amun__plan **plans;
    float *images, *diff; /* [batch][pixels] */
    float *logits, *seed; /* [batch][classes] */
    double *clean;        /* TRADES: log-probabilities of the clean images, [batch][classes] */
    double *rows;         /* [2][classes] */
    double eps, step;
    int32_t steps;
    uint64_t seed_number;
    bool kl; /* TRADES: increases KL(clean || attacked) from x + 0.001 N(0, 1); else the cross-
                entropy from a uniform start */
} amun__train_attack;

/* Constants from the options of `joint`. */
amun_status amun__train_attack_open(amun__train_attack *attack, const amun__joint *joint, bool kl);
/* attack->images: the step's images, attacked on one member in evaluation mode. Starts are keyed by
 * (seed, step, member, place in the batch). */
amun_status amun__train_attack_run(amun__train_attack *attack, const amun__step *step,
                                   size_t member);
void amun__train_attack_close(amun__train_attack *attack); /* also after a failed open */

/* KL(softmax(clean) || softmax(attacked)), summed over rows; adds `scale` times its gradients to
 * clean_seed and puts them into attacked_seed. weights nullable, one per row; scratch
 * [2][classes]. */
double amun__trades_kl(const float *clean, const float *attacked, const float *weights, size_t rows,
                       size_t classes, double scale, double *scratch, float *clean_seed,
                       float *attacked_seed);

#endif
