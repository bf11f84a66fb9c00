/* recipe_ascent.c - methods that climb the loss of the forget samples: GA and NegGrad+
 * (Kurmanji et al., arXiv 2302.09880). */
#include <stdio.h>

#include "unlearn/unlearn.h"

static void set_ascent_defaults(amun_train_options *options)
{
    options->epochs = 5;
    options->lr = 1e-4;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
}

static void set_neggrad_defaults(amun_train_options *options)
{
    options->epochs = 10;
    options->lr = 0.01;
    options->schedule = AMUN_SCHEDULE_CONSTANT;
}

static amun__part part_of(const amun__unlearn_request *q, bool forget)
{
    return (amun__part){.dataset = q->train,
                        .indices = forget ? q->forget : q->remain,
                        .count = forget ? q->forget_count : q->remain_count,
                        .target = AMUN__TARGET_LABEL,
                        .augment = 1,
                        .weight = 1.0};
}

/* ---- gradient ascent ------------------------------------------------------------------------ */

/* Ascent has no end of its own: the loss has no upper bound. */
static amun_status stop_when_forgotten(void *self, int64_t done, bool *stop)
{
    const amun__unlearn_request *q = self;
    (void)done;
    double accuracy = 0.0;
    AMUN__CHECK(amun__eval_accuracy(q->model, q->train, q->forget, q->forget_count, &accuracy));
    *stop = accuracy <= q->rival.ascent_floor;
    return AMUN_OK;
}

/* Every epoch first a pass over D_R, if there is one, then one up the loss of D_F. */
static amun_status build_ascent(amun__unlearn_request *request, amun__progress_state *progress,
                                amun__recipe *recipe, amun__unlearn_counts *counts)
{
    (void)progress;
    amun__part remain = part_of(request, false), forget = part_of(request, true);
    amun__objective *objective = NULL;
    char *identity = NULL;
    AMUN__CHECK(amun__unlearn_alloc(request, &objective, 1, sizeof *objective));
    AMUN__CHECK(amun__unlearn_alloc(request, &identity, 64, 1));
    snprintf(identity, 64, "{\"ascent_floor\": %.17g}", request->rival.ascent_floor);
    objective->identity = identity;
    objective->self = request;
    objective->epoch_end = stop_when_forgotten;
    recipe->objective = objective;
    recipe->max_norm = request->rival.ascent_norm;
    forget.weight = -1.0;
    forget.phase = 1;
    counts->remain = amun__unlearn_add(recipe, &remain);
    counts->forget = amun__unlearn_add(recipe, &forget);
    return AMUN_OK;
}

/* ---- NegGrad+ ------------------------------------------------------------------------------- */

/* One shuffled list in which D_F is repeated until it is about as long as D_R; the weights make the
 * expected loss of a batch alpha CE(D_R) - (1 - alpha) CE(D_F). */
static amun_status build_neggrad(amun__unlearn_request *request, amun__progress_state *progress,
                                 amun__recipe *recipe, amun__unlearn_counts *counts)
{
    (void)progress;
    const double alpha = request->rival.retain_weight;
    amun__part remain = part_of(request, false), forget = part_of(request, true);
    forget.repeat = amun__unlearn_repeats(request);
    double all = (double)remain.count + (double)forget.count * forget.repeat;
    remain.weight = alpha * all / (double)remain.count;
    forget.weight = -(1.0 - alpha) * all / ((double)forget.count * forget.repeat);
    counts->remain = amun__unlearn_add(recipe, &remain);
    counts->forget = amun__unlearn_add(recipe, &forget);
    return AMUN_OK;
}

const amun__unlearn_method amun__method_gradient_ascent = {
    .name = "gradient_ascent",
    .set_defaults = set_ascent_defaults,
    .build = build_ascent,
};

const amun__unlearn_method amun__method_neggrad_plus = {
    .name = "neggrad_plus",
    .set_defaults = set_neggrad_defaults,
    .needs_remain = 1,
    .build = build_neggrad,
};
