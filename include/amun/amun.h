/* placeholder */
#ifndef AMUN_AMUN_H
#define AMUN_AMUN_H

#include "attack.h"
#include "base.h"
#include "context.h"
#include "dataset.h"
#include "mia.h"
#include "model.h"
#include "tensor.h"
#include "train.h"
#include "unlearn.h"
#include "version.h"

#endif
