/* plain.c - each member minimises its own cross-entropy on the clean batch. */
#include "ensemble/joint.h"

static amun_status gradients(amun__joint *joint, amun__step *step)
{
    (void)joint;
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        AMUN__CHECK(amun__step_cross_entropy(step, i));
    }
    return AMUN_OK;
}

const amun__joint_method amun__joint_plain = {
    .name = "plain",
    .least = 1,
    .gradients = gradients,
};
