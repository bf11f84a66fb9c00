/* ensemble.h - the ensemble handle, and what the files of the room share. Private. */
#ifndef AMUN__ENSEMBLE_H
#define AMUN__ENSEMBLE_H

#include "amun/ensemble.h"
#include "attack/attack.h"

struct amun_ensemble {
    amun__object object;
    amun_model **models; /* [count], one reference each */
    size_t count;
};

/* The members as one victim; borrowed. */
amun__victim amun__ensemble_victim(const amun_ensemble *ensemble);

/* Some samples of a labelled data set. */
typedef struct amun__selection {
    const amun_dataset *data;
    const int64_t *indices; /* NULL: all */
    size_t count;
} amun__selection;
/* Fills in the count; checks indices, shape and labels against the models. */
amun_status amun__selection_check(amun__selection *selection, const amun__victim *victim,
                                  amun_context *ctx);
size_t amun__selection_index(const amun__selection *selection, size_t i);

#endif
