/* linop_ref.c - the reference linear maps in float and double: plain loops over the definition,
 * what oneDNN is measured against and what certificates are computed with. */
#include "nn/linop_private.h"

/* Below this many products a parallel region costs more than it saves. */
#define PARALLEL_FROM (1 << 20)

#define real float
#define R(name) name##_f32
#include "nn/linop_ref.inc.h"
#undef real
#undef R

#define real double
#define R(name) name##_f64
#include "nn/linop_ref.inc.h"
#undef real
#undef R
