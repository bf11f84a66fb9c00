/* adversarial.c - adversarial training: PGD-AT (arXiv 1706.06083) and TRADES (arXiv 1901.08573),
 * each member against an attack on itself alone, in evaluation mode. */
#include "ensemble/adversarial.h"

#define TRADES_START 0.001 /* standard deviation of the noise that the attack starts from */

/* ---- the attack -------------------------------------------------------------------------------
 */

amun_status amun__train_attack_open(amun__train_attack *attack, const amun__joint *joint, bool kl)
{
    *attack = (amun__train_attack){
        .ctx = joint->ctx,
        .models = joint->models,
        .count = joint->count,
        .batch = joint->batch,
        .pixels = joint->pixels,
        .classes = joint->classes,
        .eps = joint->options.attack_eps,
        .step = joint->options.attack_step,
        .steps = joint->options.attack_steps,
        .seed_number = joint->options.seed,
        .kl = kl,
    };
    size_t values, rows;
    if (!amun__mul_size(&values, attack->batch, attack->pixels) ||
        !amun__mul_size(&rows, attack->batch, attack->classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY,
                          "a batch of %zu images of %zu values is too "
                          "large",
                          attack->batch, attack->pixels);
    }
    AMUN__CHECK(amun__alloc(attack->ctx, &attack->images, values, sizeof *attack->images));
    AMUN__CHECK(amun__alloc(attack->ctx, &attack->diff, values, sizeof *attack->diff));
    AMUN__CHECK(amun__alloc(attack->ctx, &attack->logits, rows, sizeof *attack->logits));
    AMUN__CHECK(amun__alloc(attack->ctx, &attack->seed, rows, sizeof *attack->seed));
    AMUN__CHECK(amun__alloc(attack->ctx, &attack->clean, rows, sizeof *attack->clean));
    AMUN__CHECK(amun__alloc(attack->ctx, &attack->rows, 2 * attack->classes, sizeof(double)));
    AMUN__CHECK(amun__calloc(attack->ctx, &attack->plans, attack->count, sizeof(amun__plan *)));
    for (size_t i = 0; i < attack->count; i++) {
        AMUN__CHECK(amun__model_lease(attack->models[i], (int64_t)attack->batch, AMUN__MODE_ATTACK,
                                      &attack->plans[i]));
    }
    return AMUN_OK;
}

void amun__train_attack_close(amun__train_attack *attack)
{
    if (attack->ctx == NULL) {
        return;
    }
    for (size_t i = 0; i < attack->count && attack->plans != NULL; i++) {
        amun__model_release(attack->models[i], attack->plans[i]);
    }
    amun__free(attack->ctx, attack->plans);
    amun__free(attack->ctx, attack->images);
    amun__free(attack->ctx, attack->diff);
    amun__free(attack->ctx, attack->logits);
    amun__free(attack->ctx, attack->seed);
    amun__free(attack->ctx, attack->clean);
    amun__free(attack->ctx, attack->rows);
    *attack = (amun__train_attack){0};
}

static void start_row(amun__train_attack *a, const amun__step *step, size_t member, size_t row)
{
    const float *x = step->batch->images + row * a->pixels;
    float *at = a->images + row * a->pixels;
    const uint64_t id = (uint64_t)member << 32 | row;
    if (!a->kl) {
        amun__project_start_linf(at, x, a->eps, a->seed_number, (int64_t)id, (uint32_t)step->index,
                                 a->pixels);
        return;
    }
    amun__rng rng;
    amun__rng_open(&rng, a->seed_number, AMUN__RNG_ATTACK, (uint32_t)step->index, id);
    for (size_t i = 0; i < a->pixels; i++) {
        at[i] = (float)((double)x[i] + TRADES_START * amun__rng_normal(&rng));
    }
}

/* The plan takes a whole batch: rows that a short one lacks are zeros and have no gradient. */
static void clear_rest(amun__train_attack *a, size_t n)
{
    memset(a->images + n * a->pixels, 0, (a->batch - n) * a->pixels * sizeof *a->images);
    memset(a->seed + n * a->classes, 0, (a->batch - n) * a->classes * sizeof *a->seed);
}

static amun_status read_clean(amun__train_attack *a, const amun__step *step, size_t member)
{
    const size_t n = step->batch->count;
    memcpy(a->images, step->batch->images, n * a->pixels * sizeof *a->images);
    AMUN__CHECK(amun__plan_forward(a->plans[member], a->images, a->logits));
    for (size_t row = 0; row < n; row++) {
        amun__log_softmax(a->logits + row * a->classes, a->classes, a->clean + row * a->classes);
    }
    return AMUN_OK;
}

/* Seeds of what the attack increases. For the divergence: d KL(p || q) / d logits of q = q - p. */
static void fill_seeds(amun__train_attack *a, const amun__step *step)
{
    const size_t n = step->batch->count;
    if (!a->kl) {
        amun__loss_cross_entropy(a->logits, step->batch->targets, NULL, n, a->classes, 1.0,
                                 a->seed);
        return;
    }
    for (size_t row = 0; row < n; row++) {
        const double *p = a->clean + row * a->classes;
        const float *z = a->logits + row * a->classes;
        float *seed = a->seed + row * a->classes;
        amun__loss_softmax(z, a->classes, a->rows);
        for (size_t k = 0; k < a->classes; k++) {
            seed[k] = (float)(a->rows[k] - exp(p[k]));
        }
    }
}

amun_status amun__train_attack_run(amun__train_attack *a, const amun__step *step, size_t member)
{
    const size_t n = step->batch->count;
    clear_rest(a, n);
    if (a->kl) {
        AMUN__CHECK(read_clean(a, step, member));
    }
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < n; row++) {
        start_row(a, step, member, row);
    }
    for (int32_t i = 0; i < a->steps; i++) {
        AMUN__CHECK(amun__plan_forward(a->plans[member], a->images, a->logits));
        fill_seeds(a, step);
        AMUN__CHECK(amun__plan_backward(a->plans[member], a->seed, a->diff, NULL));
#pragma omp parallel for schedule(static)
        for (size_t row = 0; row < n; row++) {
            size_t at = row * a->pixels;
            amun__project_step_linf(a->images + at, step->batch->images + at, a->diff + at, a->step,
                                    a->eps, a->pixels);
        }
    }
    return AMUN_OK;
}

/* ---- PGD-AT -----------------------------------------------------------------------------------
 */

static amun_status open_with(amun__joint *joint, bool kl)
{
    amun__train_attack *own = NULL;
    AMUN__CHECK(amun__calloc(joint->ctx, &own, 1, sizeof *own));
    joint->own = own;
    return amun__train_attack_open(own, joint, kl);
}

static void close_attack(amun__joint *joint)
{
    if (joint->own != NULL) {
        amun__train_attack_close(joint->own);
        amun__free(joint->ctx, joint->own);
    }
}

static amun_status open_pgd(amun__joint *joint)
{
    return open_with(joint, false);
}

static amun_status pgd_gradients(amun__joint *joint, amun__step *step)
{
    amun__train_attack *own = joint->own;
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        AMUN__CHECK(amun__train_attack_run(own, step, i));
        AMUN__CHECK(amun__step_cross_entropy_at(step, i, own->images, 1.0, AMUN__PASS_STATISTICS));
        amun__step_count_right(step, step->members[i].logits);
    }
    return AMUN_OK;
}

const amun__joint_method amun__joint_pgd_at = {
    .name = "pgd_at",
    .least = 1,
    .open = open_pgd,
    .gradients = pgd_gradients,
    .close = close_attack,
};

/* ---- TRADES -----------------------------------------------------------------------------------
 */

double amun__trades_kl(const float *clean, const float *attacked, const float *weights, size_t rows,
                       size_t classes, double scale, double *scratch, float *clean_seed,
                       float *attacked_seed)
{
    double total = 0.0, *log_p = scratch, *log_q = scratch + classes;
    for (size_t row = 0; row < rows; row++) {
        const double weight = weights != NULL ? (double)weights[row] : 1.0, by = scale * weight;
        double kl = 0.0;
        amun__log_softmax(clean + row * classes, classes, log_p);
        amun__log_softmax(attacked + row * classes, classes, log_q);
        for (size_t k = 0; k < classes; k++) {
            kl += exp(log_p[k]) * (log_p[k] - log_q[k]);
        }
        for (size_t k = 0; k < classes; k++) {
            double p = exp(log_p[k]), ratio = log_p[k] - log_q[k];
            clean_seed[row * classes + k] += (float)(by * p * (ratio - kl));
            attacked_seed[row * classes + k] = (float)(by * (exp(log_q[k]) - p));
        }
        total += weight * kl;
    }
    return total;
}

static amun_status open_trades(amun__joint *joint)
{
    return open_with(joint, true);
}

/* Two passes of one plan: the attacked images go through it before the clean ones, for the logits
 * that both seeds need, and after them, for the gradient. */
static amun_status trades_member(amun__joint *joint, amun__step *step, size_t i)
{
    amun__train_attack *own = joint->own;
    amun__member *m = &step->members[i];
    const amun__batch *batch = step->batch;
    const size_t rows = batch->count;
    const double mean = 1.0 / (double)rows;
    AMUN__CHECK(amun__train_attack_run(own, step, i));
    AMUN__CHECK(amun__step_forward(step, i, own->images));
    memcpy(own->logits, m->logits, rows * step->classes * sizeof *own->logits);
    AMUN__CHECK(amun__step_forward(step, i, batch->images));
    step->loss += amun__loss_cross_entropy(m->logits, batch->targets, batch->weights, rows,
                                           step->classes, mean, m->seed);
    const double beta = joint->options.trades_beta;
    step->loss += beta * amun__trades_kl(m->logits, own->logits, batch->weights, rows,
                                         step->classes, beta * mean, own->rows, m->seed, own->seed);
    if (!isfinite(step->loss)) {
        return AMUN_OK; /* the run says where */
    }
    amun__step_count_right(step, m->logits);
    AMUN__CHECK(amun__step_backward(step, i, m->seed, AMUN__PASS_STATISTICS, NULL));
    AMUN__CHECK(amun__step_forward(step, i, own->images));
    return amun__step_backward(step, i, own->seed, AMUN__PASS_ADD, NULL);
}

static amun_status trades_gradients(amun__joint *joint, amun__step *step)
{
    for (size_t i = 0; i < step->count && isfinite(step->loss); i++) {
        AMUN__CHECK(trades_member(joint, step, i));
    }
    return AMUN_OK;
}

const amun__joint_method amun__joint_trades = {
    .name = "trades",
    .least = 1,
    .open = open_trades,
    .gradients = trades_gradients,
    .close = close_attack,
};
