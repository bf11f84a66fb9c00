/* gap.c - a number beside the same number of retrained models. */
#include "amun/probe.h"
#include "mia/classes.h"

amun_status amun_gap_compute(amun_gap *result, double unlearned, const double *retrained,
                             size_t models)
{
    amun__enter();
    amun_gap told = {.models = (int64_t)models, .unlearned = unlearned};
    if (!isfinite(unlearned)) {
        return amun__fail(AMUN_ERROR_NUMERIC, "unlearned is %g", unlearned);
    }
    if (retrained == NULL || models == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "retrained: %s, %zu models",
                          retrained == NULL ? "NULL" : "values", models);
    }
    for (size_t r = 0; r < models; r++) {
        if (!isfinite(retrained[r])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "retrained: value %zu is %g", r, retrained[r]);
        }
    }
    amun__mean_sd(retrained, models, &told.retrained, NULL);
    told.gap = fabs(unlearned - told.retrained);
    amun__leave_one_out(retrained, models, &told.null_mean, &told.null_sd);
    return amun__result_write(result, &told, sizeof told, "amun_gap");
}
