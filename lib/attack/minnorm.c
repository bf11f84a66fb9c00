/* minnorm.c - the nearest adversarial example in a fixed number of steps: DDN (Rony et al., arXiv
 * 1811.09600, Algorithm 1) and FMN in L2 (Pintor et al., arXiv 2102.12827, Algorithm 1). Both walk
 * to and fro over the decision boundary on a ball whose radius shrinks on the wrong side and grows
 * on the right one; the nearest wrong iterate is kept. */
#include "attack/attack_private.h"

/* Extra images of a slot. */
enum { ANSWER, IMAGES };

static const double pi = 3.14159265358979323846;

/* Half a cosine from `first` to `last` over the steps (both papers). */
static double anneal(double first, double last, int32_t step, int32_t steps)
{
    return last + (first - last) * 0.5 * (1.0 + cos(pi * (double)step / (double)steps));
}

/* At a start: the image, or a random one within `eps` of it. The record tells that radius until the
 * first step has made one. */
static void begin(const amun__walk *walk, amun__slot *slot, double eps)
{
    const amun_search_options *o = walk->options;
    slot->state.minnorm = (amun__minnorm_state){.eps = eps};
    if (o->method == AMUN_SEARCH_DDN) {
        slot->state.minnorm.eps = fmin(o->init_norm, amun__search_cap(walk->job, o));
    }
    slot->result.eps = eps;
}

static bool revive(const amun__walk *walk, amun__slot *slot)
{
    const amun_search_options *o = walk->options;
    if (o->on_failure != AMUN_FAILURE_RETRY || (slot->result.flags & AMUN_ATTACK_RETRIED) != 0) {
        return false;
    }
    amun__project_start(o->norm, slot->current, slot->clean, o->eps0, o->seed,
                        amun__job_id(walk->job, slot->row), 0, walk->job->pixels);
    slot->result.flags |= AMUN_ATTACK_RETRIED;
    begin(walk, slot, o->eps0);
    return true;
}

/* The nearest wrong iterate, if there was one; else `failure`. */
static void finish(const amun__walk *walk, amun__slot *slot, amun_attack_outcome failure)
{
    const amun__minnorm_state *s = &slot->state.minnorm;
    if (s->found) {
        memcpy(slot->current, slot->extra[ANSWER], walk->job->pixels * sizeof(float));
        slot->result.adversarial = s->label;
        slot->result.eps = s->best_eps;
    }
    amun__slot_finish(slot, s->found ? AMUN_ATTACK_FLIPPED : failure);
}

/* A wrong iterate; it is kept if none was nearer. */
static void keep(const amun__walk *walk, amun__slot *slot)
{
    amun__minnorm_state *s = &slot->state.minnorm;
    size_t n = walk->job->pixels;
    double distance = amun__project_distance(slot->current, slot->clean, n);
    if (s->found && distance >= s->best) {
        return;
    }
    memcpy(slot->extra[ANSWER], slot->current, n * sizeof(float));
    s->found = 1;
    s->label = slot->result.adversarial;
    s->best = distance;
    s->best_eps = slot->result.eps;
}

static void judge(const amun__walk *walk, amun__slot *slot)
{
    const amun_search_options *o = walk->options;
    if (!slot->seen) {
        begin(walk, slot, 0.0);
    }
    amun__minnorm_state *s = &slot->state.minnorm;
    bool wrong = slot->result.adversarial != slot->label;
    if (wrong) {
        keep(walk, slot);
    }
    if (s->step == o->steps || (wrong && !slot->seen)) {
        finish(walk, slot, AMUN_ATTACK_FAILED_BUDGET);
        return;
    }
    bool margin = o->method == AMUN_SEARCH_FMN || s->margin;
    const amun__objective what = {.kind = margin ? AMUN__OBJECTIVE_MARGIN : AMUN__OBJECTIVE_CE,
                                  .log_probs = walk->log_probs};
    s->gap =
        -amun__objective_value(&what, slot->logits, walk->job->classes, slot->label, slot->seed);
    slot->wants_gradient = 1;
}

/* The radius of the next iterate, from what the current one is. */
static double next_radius(const amun__walk *walk, const amun__slot *slot, double gradient_norm)
{
    const amun_search_options *o = walk->options;
    const amun__minnorm_state *s = &slot->state.minnorm;
    bool wrong = slot->result.adversarial != slot->label;
    if (o->method == AMUN_SEARCH_DDN) {
        return s->eps * (wrong ? 1.0 - o->gamma : 1.0 + o->gamma);
    }
    double gamma = anneal(o->gamma, o->gamma_final, s->step, o->steps);
    if (wrong) {
        return fmin(s->eps * (1.0 - gamma), s->best);
    }
    double larger = s->eps * (1.0 + gamma);
    if (s->found) {
        return larger;
    }
    double distance = amun__project_distance(slot->current, slot->clean, walk->job->pixels);
    return fmax(distance + s->gap / gradient_norm, larger);
}

static void move(const amun__walk *walk, amun__slot *slot)
{
    const amun_search_options *o = walk->options;
    amun__minnorm_state *s = &slot->state.minnorm;
    size_t n = walk->job->pixels;
    double norm = amun__project_norm(slot->diff, n);
    if (o->method == AMUN_SEARCH_DDN && o->margin_fallback && !s->margin &&
        amun__search_saturated(norm)) {
        s->margin = 1; /* one backward per forward: its turn is in the next iteration */
        return;
    }
    if (!(norm > 0.0) || !isfinite(norm)) {
        finish(walk, slot, AMUN_ATTACK_FAILED_GRADIENT);
        return;
    }
    slot->result.flags |= s->margin ? AMUN_ATTACK_MARGIN_FALLBACK : 0u;
    s->margin = 0;
    double alpha = anneal(o->alpha, o->alpha_final, s->step, o->steps);
    s->eps = fmin(next_radius(walk, slot, norm), amun__search_cap(walk->job, o));
    if (o->method == AMUN_SEARCH_DDN) {
        amun__project_step_sphere(slot->current, slot->clean, slot->diff, norm, alpha, s->eps, n);
    } else {
        amun__project_step_l2(slot->current, slot->clean, slot->diff, norm, alpha, s->eps, n);
    }
    s->step++;
    slot->result.eps = s->eps;
    slot->result.updates++;
}

amun_status amun__minnorm_run(amun__job *job, const amun_search_options *options)
{
    amun__walk walk = {.options = options,
                       .mode = AMUN__MODE_ATTACK,
                       .batch = (size_t)options->batch,
                       .images = IMAGES,
                       .judge = judge,
                       .move = move,
                       .revive = revive,
                       .job = job};
    return amun__walk_run(&walk);
}
