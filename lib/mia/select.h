/* select.h - the check, for the choice of a rate. Private. */
#ifndef AMUN__MIA_SELECT_H
#define AMUN__MIA_SELECT_H

#include "amun/select.h"
#include "core/core.h"

/* amun_forget_check_scores() with the allocator of a context. */
amun_status amun__forget_check(amun_context *ctx, amun_forget_check *check, const double *forget,
                               size_t n_forget, const double *unseen, size_t n_unseen,
                               double confidence);
/* phi of the named images (indices NULL: the first `count`); `right` (nullable) grows by those that
 * the model has right. Caller holds begin_read, the data are checked. */
amun_status amun__model_phi(const amun_model *model, const amun_dataset *data,
                            const int64_t *indices, size_t count, amun__progress_state *progress,
                            double *phi, int64_t *right);
/* amun_forget_check_model() after the same. */
amun_status amun__forget_check_on(amun_forget_check *check, const amun_model *model,
                                  const amun_dataset *train, const int64_t *forget, size_t count,
                                  const amun_dataset *unseen, const int64_t *indices,
                                  size_t unseen_count, double confidence,
                                  amun__progress_state *progress);

#endif
