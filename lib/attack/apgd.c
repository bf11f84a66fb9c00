/* apgd.c - Auto-PGD (Croce and Hein, arXiv 2003.01690, Algorithm 1): projected gradient steps with
 * momentum whose size is halved at checkpoints where the objective has stopped rising, going on
 * from the best point so far. On the cross-entropy, the DLR loss, or the targeted DLR loss against
 * one rival class after the other.
 *
 * A checkpoint is judged on arriving at x_k with k = w_j; the best point and its gradient are kept,
 * so that going back costs no pass. */
#include "attack/attack_private.h"

/* Extra images of a slot. */
enum { BEFORE, BEST, BEST_GRADIENT, ANSWER, IMAGES };

int32_t amun__apgd_checkpoint(int32_t j, int32_t steps)
{
    int64_t p = 0, gap = 22; /* in hundredths: no rounding */
    for (int32_t i = 0; i < j && p < 100; i++) {
        p += gap;
        gap = gap - 3 > 6 ? gap - 3 : 6;
    }
    p = p < 100 ? p : 100;
    return (int32_t)((p * steps + 99) / 100);
}

static int32_t run_count(const amun__walk *walk)
{
    const amun_apgd_options *o = walk->options;
    int32_t rivals = (int32_t)walk->job->classes - 1;
    if (o->loss != AMUN_ATTACK_LOSS_DLR_TARGETED) {
        return o->restarts;
    }
    return o->restarts * (o->targets < rivals ? o->targets : rivals);
}

static amun__objective objective_of(const amun__walk *walk, const amun__slot *slot)
{
    const amun_apgd_options *o = walk->options;
    amun__objective what = {.log_probs = walk->log_probs};
    switch (o->loss) {
    case AMUN_ATTACK_LOSS_DLR:
        what.kind = AMUN__OBJECTIVE_DLR;
        break;
    case AMUN_ATTACK_LOSS_DLR_TARGETED:
        what.kind = AMUN__OBJECTIVE_DLR_TARGETED;
        /* all rivals once, then all of them again */
        what.target =
            slot->state.apgd.targets[slot->state.apgd.run % (run_count(walk) / o->restarts)];
        break;
    default:
        what.kind = AMUN__OBJECTIVE_CE;
    }
    return what;
}

static void begin_run(const amun__walk *walk, amun__slot *slot)
{
    const amun_apgd_options *o = walk->options;
    amun__apgd_state *s = &slot->state.apgd;
    size_t n = walk->job->pixels;
    if (o->random_start) {
        amun__project_start(o->norm, slot->current, slot->clean, o->eps, o->seed,
                            amun__job_id(walk->job, slot->row), (uint32_t)s->run, n);
    } else {
        memcpy(slot->current, slot->clean, n * sizeof(float));
    }
    s->step = s->checkpoint = s->rises = 0;
    s->eta = s->eta_before = 2.0 * o->eps;
}

/* The clean image. False: the sample is done. */
static bool begin_sample(const amun__walk *walk, amun__slot *slot)
{
    const amun_apgd_options *o = walk->options;
    amun__apgd_state *s = &slot->state.apgd;
    if (o->stop_at_flip && slot->result.predicted != slot->label) {
        amun__slot_finish(slot, AMUN_ATTACK_FLIPPED);
        return false;
    }
    if (o->loss == AMUN_ATTACK_LOSS_DLR_TARGETED) {
        amun__objective_rivals(slot->logits, walk->job->classes, slot->label, s->targets,
                               (size_t)o->targets);
    }
    begin_run(walk, slot);
    return true;
}

/* The iterate with the highest objective, a flipped one before all others. */
static void keep_answer(const amun__walk *walk, amun__slot *slot, double value)
{
    amun__apgd_state *s = &slot->state.apgd;
    int32_t flipped = slot->result.adversarial != slot->label;
    bool better = !s->answered || flipped > s->answer_flipped ||
                  (flipped == s->answer_flipped && value > s->answer);
    if (better) {
        memcpy(slot->extra[ANSWER], slot->current, walk->job->pixels * sizeof(float));
        s->answered = 1;
        s->answer_flipped = flipped;
        s->answer_label = slot->result.adversarial;
        s->answer = value;
    }
}

static void finish_sample(const amun__walk *walk, amun__slot *slot)
{
    amun__apgd_state *s = &slot->state.apgd;
    memcpy(slot->current, slot->extra[ANSWER], walk->job->pixels * sizeof(float));
    slot->result.adversarial = s->answer_label;
    amun__slot_finish(slot, s->answer_flipped ? AMUN_ATTACK_FLIPPED : AMUN_ATTACK_NOT_FLIPPED);
}

static void record_value(amun__slot *slot, double value)
{
    amun__apgd_state *s = &slot->state.apgd;
    s->is_best = s->step == 0 || value > s->best;
    if (s->step == 0) {
        s->best_before = value;
    } else {
        s->rises += value > s->last;
    }
    s->best = s->is_best ? value : s->best;
    s->last = value;
}

static void judge(const amun__walk *walk, amun__slot *slot)
{
    const amun_apgd_options *o = walk->options;
    amun__apgd_state *s = &slot->state.apgd;
    if (!slot->seen) {
        if (!begin_sample(walk, slot) || o->random_start) {
            return; /* these logits are not those of the start */
        }
    }
    amun__objective what = objective_of(walk, slot);
    double value =
        amun__objective_value(&what, slot->logits, walk->job->classes, slot->label, slot->seed);
    record_value(slot, value);
    keep_answer(walk, slot, value);
    bool flipped = slot->result.adversarial != slot->label;
    if (s->step < o->steps && !(flipped && o->stop_at_flip)) {
        slot->wants_gradient = 1;
        return;
    }
    s->run++;
    if (s->answer_flipped || s->run >= run_count(walk)) {
        finish_sample(walk, slot);
    } else {
        begin_run(walk, slot);
    }
}

/* Conditions 1 and 2 at checkpoint j: too few rises, or neither step size nor best value moved. */
static bool must_halve(const amun_apgd_options *o, const amun__apgd_state *s, int32_t length)
{
    return (double)s->rises < o->rho * (double)length ||
           (s->eta == s->eta_before && !(s->best > s->best_before));
}

/* True: go on from the best point, with half the step. */
static bool pass_checkpoint(const amun_apgd_options *o, amun__apgd_state *s)
{
    int32_t from = amun__apgd_checkpoint(s->checkpoint, o->steps);
    int32_t to = amun__apgd_checkpoint(s->checkpoint + 1, o->steps);
    while (to == from && to < o->steps) { /* few steps: several fall together */
        s->checkpoint++;
        to = amun__apgd_checkpoint(s->checkpoint + 1, o->steps);
    }
    if (s->step != to) {
        return false;
    }
    bool halve = must_halve(o, s, to - from);
    s->eta_before = s->eta;
    s->best_before = s->best;
    s->checkpoint++;
    s->rises = 0;
    if (halve) {
        s->eta /= 2.0;
        s->last = s->best;
    }
    return halve;
}

static void move(const amun__walk *walk, amun__slot *slot)
{
    const amun_apgd_options *o = walk->options;
    amun__apgd_state *s = &slot->state.apgd;
    size_t n = walk->job->pixels;
    const float *g = slot->diff;
    if (!isfinite(amun__project_norm(g, n))) {
        amun__slot_finish(slot, AMUN_ATTACK_FAILED_GRADIENT);
        return;
    }
    if (s->is_best) {
        memcpy(slot->extra[BEST], slot->current, n * sizeof(float));
        memcpy(slot->extra[BEST_GRADIENT], g, n * sizeof(float));
    }
    if (pass_checkpoint(o, s)) {
        memcpy(slot->current, slot->extra[BEST], n * sizeof(float));
        g = slot->extra[BEST_GRADIENT];
    }
    double alpha = o->momentum;
    if (s->step == 0) { /* x_1 = P(x_0 + eta g): nothing to go on with */
        memcpy(slot->extra[BEFORE], slot->current, n * sizeof(float));
        alpha = 1.0;
    }
    if (o->norm == AMUN_NORM_L2) {
        amun__project_momentum_l2(slot->current, slot->extra[BEFORE], slot->clean, g,
                                  amun__project_norm(g, n), s->eta, alpha, o->eps, n);
    } else {
        amun__project_momentum_linf(slot->current, slot->extra[BEFORE], slot->clean, g, s->eta,
                                    alpha, o->eps, n);
    }
    s->step++;
    slot->result.updates++;
}

amun_status amun__apgd_run(amun__job *job, const amun_apgd_options *options)
{
    amun__walk walk = {.options = options,
                       .mode = AMUN__MODE_ATTACK,
                       .batch = (size_t)options->batch,
                       .images = IMAGES,
                       .judge = judge,
                       .move = move,
                       .eps = options->eps,
                       .job = job};
    return amun__walk_run(&walk);
}
