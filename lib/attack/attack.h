/* attack.h - what later rooms use of the attack room. Private. */
#ifndef AMUN__ATTACK_H
#define AMUN__ATTACK_H

#include "amun/attack.h"
#include "core/core.h"
#include "data/data.h"
#include "nn/nn.h"

/* Borrowed data set of the found examples, labelled with their adversarial labels, in record
 * order; NULL if nothing was found. */
const amun_dataset *amun__advset_dataset(const amun_advset *set);
/* Failure policy that the set was built with. */
amun_failure_policy amun__advset_policy(const amun_advset *set);

#endif
