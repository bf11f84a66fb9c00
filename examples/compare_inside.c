/* compare_inside.c - what is left of a class inside a model: a new head on its features, and its
 * own head with rows made from a few samples. */
#include "compare.h"

void compare_inside(const compare_job *job, const amun_model *model, double figures[COMPARE_INSIDE])
{
    amun_probe_options opts;
    amun_probe probe = {.struct_size = sizeof probe};
    amun_prototype few = {.struct_size = sizeof few};
    ex_check(amun_probe_options_init(&opts, sizeof opts));
    opts.limit = 5000; /* enough for a linear head, and soon done */
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_probe_model(&probe, model, job->data.train, job->data.test, job->forget_classes,
                              job->forget_class_count, &opts, NULL));
    ex_check(amun_prototype_model(&few, model, job->data.train, job->data.test, job->forget_classes,
                                  job->forget_class_count, NULL, NULL));
    figures[0] = probe.forget_accuracy;
    figures[1] = probe.auc;
    figures[2] = few.forget_accuracy;
    figures[3] = few.remain_accuracy;
}
