/* trs.h - the images of TRS's smoothness. Private. */
#ifndef AMUN__TRS_H
#define AMUN__TRS_H

#include "ensemble/joint.h"

/* x~ of the last step of amun__joint_trs, [batch][pixels]; borrowed. Not made with trs_l2. */
const float *amun__trs_images(const amun__joint *joint);

#endif
