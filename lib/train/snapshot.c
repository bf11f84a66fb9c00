/* snapshot.c - a copy of a model's values, so that a call that fails can leave no trace. */
#include "train/train.h"

amun_status amun__snapshot_take(amun__snapshot *snapshot, const amun_model *model)
{
    amun__model_values now;
    amun__model_values_get(model, &now);
    *snapshot = (amun__snapshot){.ctx = amun__model_context(model)};
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__alloc(snapshot->ctx, &snapshot->values, now.total, sizeof *now.values));
    AMUN__TRY(
        amun__alloc(snapshot->ctx, &snapshot->tracked, now.tracked_count, sizeof *now.tracked));
    memcpy(snapshot->values, now.values, now.total * sizeof *now.values);
    if (now.tracked_count > 0) {
        memcpy(snapshot->tracked, now.tracked, now.tracked_count * sizeof *now.tracked);
    }
    return AMUN_OK;

fail:
    amun__snapshot_drop(snapshot);
    return status;
}

void amun__snapshot_restore(const amun__snapshot *snapshot, amun_model *model)
{
    amun__model_values now;
    amun__model_values_get(model, &now);
    memcpy(now.values, snapshot->values, now.total * sizeof *now.values);
    if (now.tracked_count > 0) {
        memcpy(now.tracked, snapshot->tracked, now.tracked_count * sizeof *now.tracked);
    }
    amun__model_touch(model);
}

void amun__snapshot_drop(amun__snapshot *snapshot)
{
    if (snapshot->ctx != NULL) {
        amun__free(snapshot->ctx, snapshot->values);
        amun__free(snapshot->ctx, snapshot->tracked);
    }
    *snapshot = (amun__snapshot){0};
}
