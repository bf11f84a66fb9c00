/* recipe_amun.c - AMUN (arXiv 2503.00917, section 4): fine-tuning on the remaining samples, the
 * forget samples with their true labels, and their adversarial examples with the wrong labels.
 *
 * The adversarial examples lie so close to the forget samples that the wrong labels lower the
 * confidence just there. Only the clean parts are augmented: a D_A image is adversarial as it is,
 * not cropped or mirrored. All parts count alike, in one shuffled list. */
#include "unlearn/unlearn.h"

/* Where AMUN departs from plain training. Appendix C of the paper leaves the rate open; these are
 * the values of its released code. */
static void set_defaults(amun_train_options *options)
{
    options->epochs = 10;
    options->lr = 0.01;
    options->schedule = AMUN_SCHEDULE_STEP;
    options->step_epochs = 1;
    options->gamma = 0.1;
}

/* A forget sample without adversarial example would only be learnt better: nothing opposes it. So
 * it stays out unless the set was built with KEEP_IN_DF. */
static size_t add_forget(const amun__unlearn_request *request, amun__recipe *recipe)
{
    if (amun__advset_policy(request->set) == AMUN_FAILURE_KEEP_IN_DF) {
        return amun__unlearn_add_clean(recipe, request->train, request->forget,
                                       request->forget_count);
    }
    return amun__unlearn_add_clean(recipe, request->train, request->partnered,
                                   request->partnered_count);
}

static size_t add_remain(const amun__unlearn_request *request, amun__recipe *recipe)
{
    return amun__unlearn_add_clean(recipe, request->train, request->remain, request->remain_count);
}

/* D_R + D_F + D_A, or D_F + D_A. */
static amun_status build_amun(amun__unlearn_request *request, amun__progress_state *progress,
                              amun__recipe *recipe, amun__unlearn_counts *counts)
{
    (void)progress;
    counts->remain = add_remain(request, recipe);
    counts->forget = add_forget(request, recipe);
    counts->adversarial = amun__unlearn_add_adversarial(recipe, request->set);
    return AMUN_OK;
}

/* D_R + D_A, or D_A alone: for forget sets of about half of the data. */
static amun_status build_advonly(amun__unlearn_request *request, amun__progress_state *progress,
                                 amun__recipe *recipe, amun__unlearn_counts *counts)
{
    (void)progress;
    counts->remain = add_remain(request, recipe);
    counts->adversarial = amun__unlearn_add_adversarial(recipe, request->set);
    return AMUN_OK;
}

const amun__unlearn_method amun__method_amun = {
    .name = "amun",
    .set_defaults = set_defaults,
    .takes_set = 1,
    .build = build_amun,
};

const amun__unlearn_method amun__method_amun_advonly = {
    .name = "amun_advonly",
    .set_defaults = set_defaults,
    .takes_set = 1,
    .build = build_advonly,
};
