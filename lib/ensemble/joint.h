/* joint.h - training several models together: what the driver, the objectives and the LOTOS term
 * share. Private. */
#ifndef AMUN__JOINT_H
#define AMUN__JOINT_H

#include "ensemble/ensemble.h"
#include "train/train.h"

/* One training of an ensemble. */
typedef struct amun__joint {
    amun_context *ctx;
    amun_model *const *models;
    size_t count, pixels, classes, batch; /* batch: the largest that a step has */
    amun_ensemble_train_options options;  /* complete; zeros are what was published */
    amun_train_options train;             /* complete */
    const struct amun__joint_method *method;
    void *own; /* the method's scratch: allocated by open, freed by close */
} amun__joint;

/* An objective. A step's gradients are filled in for all members: diff is overwritten, loss and
 * right are added to, running statistics move once per member, by the clean batch (PGD_AT: by the
 * attacked one). */
typedef struct amun__joint_method {
    const char *name;
    size_t least; /* members that it takes */
    amun_status (*open)(amun__joint *joint);
    amun_status (*gradients)(amun__joint *joint, amun__step *step);
    void (*close)(amun__joint *joint); /* also after a failed open */
} amun__joint_method;

extern const amun__joint_method amun__joint_plain, amun__joint_pgd_at, amun__joint_trades,
    amun__joint_adp, amun__joint_gal, amun__joint_trs, amun__joint_dverge;

#endif
