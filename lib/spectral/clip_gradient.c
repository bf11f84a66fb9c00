/* clip_gradient.c - the gradient of the clip's objective by weights and batch-norm scales. */
#include "core/linalg.h"
#include "spectral/clip.h"

#define real float
#define R(name) name##_f32
#define amun__linop_weight_grad_f32 amun__linop_weight_grad
#include "spectral/clip_gradient.inc.h"
#undef real
#undef R

#define real double
#define R(name) name##_f64
#include "spectral/clip_gradient.inc.h"
#undef real
#undef R
