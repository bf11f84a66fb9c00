/* dverge.c - diversifying vulnerabilities (arXiv 2009.14720): each member learns to see what the
 * distilled images of the others show, not what the others take them for:
 *     sum_{j != i} CE(F_i(z_j), y_s), and with dverge_own CE on PGD examples of its own. */
#include "ensemble/adversarial.h"
#include "ensemble/distil.h"

/* Of its own PGD, as published. */
#define OWN_EPS (8.0 / 255.0)
#define OWN_STEP (2.0 / 255.0)
#define OWN_STEPS 10

typedef struct dverge {
    amun__distil distil;
    amun__train_attack attack; /* with dverge_own */
} dverge;

static amun_status open_dverge(amun__joint *joint)
{
    dverge *own = NULL;
    AMUN__CHECK(amun__calloc(joint->ctx, &own, 1, sizeof *own));
    joint->own = own;
    AMUN__CHECK(amun__distil_open(&own->distil, joint));
    if (joint->options.dverge_own == 0) {
        return AMUN_OK;
    }
    amun__joint pgd = *joint;
    pgd.options.attack_eps = OWN_EPS;
    pgd.options.attack_step = OWN_STEP;
    pgd.options.attack_steps = OWN_STEPS;
    return amun__train_attack_open(&own->attack, &pgd, false);
}

static void close_dverge(amun__joint *joint)
{
    dverge *own = joint->own;
    if (own != NULL) {
        amun__distil_close(&own->distil);
        amun__train_attack_close(&own->attack);
        amun__free(joint->ctx, own);
    }
}

/* What the member makes of the batch itself: its running statistics are of clean images, as
 * evaluation needs them, and so is the accuracy of the step. */
static amun_status look(amun__step *step, size_t member)
{
    amun__member *m = &step->members[member];
    AMUN__CHECK(amun__step_forward(step, member, step->batch->images));
    amun__step_count_right(step, m->logits);
    return amun__model_update_statistics(m->model, amun__step_plan(step, member));
}

static amun_status train_member(amun__joint *joint, amun__step *step, size_t member)
{
    dverge *own = joint->own;
    int32_t flags = 0;
    AMUN__CHECK(look(step, member));
    for (size_t j = 0; j < step->count && isfinite(step->loss); j++) {
        if (j != member) {
            const float *z = amun__distil_images(&own->distil, j);
            AMUN__CHECK(amun__step_cross_entropy_at(step, member, z, 1.0, flags));
            flags = AMUN__PASS_ADD;
        }
    }
    if (joint->options.dverge_own == 0 || !isfinite(step->loss)) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__train_attack_run(&own->attack, step, member));
    return amun__step_cross_entropy_at(step, member, own->attack.images, 1.0, AMUN__PASS_ADD);
}

/* All members on the images that all of them had before the step; the authors' program updates the
 * members in turn. */
static amun_status gradients(amun__joint *joint, amun__step *step)
{
    dverge *own = joint->own;
    AMUN__CHECK(amun__distil_run(&own->distil, step));
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        AMUN__CHECK(train_member(joint, step, i));
    }
    return AMUN_OK;
}

const amun__joint_method amun__joint_dverge = {
    .name = "dverge",
    .least = 2,
    .open = open_dverge,
    .gradients = gradients,
    .close = close_dverge,
};
