/* lotos.c - the LOTOS term (arXiv 2410.05136, equations 3.3 and 3.4): for each ordered pair of
 * corresponding layers f and g, with v'_i the leading right singular vectors of g,
 *     coefficient * sum_i w_i relu(|f v'_i| - mal),
 * its gradient in f's weights, and the vectors. The vectors are constants of the gradient, so that
 * all of them are brought up to date first and all terms come after. Within either, layers do not
 * depend on each other and are worked on side by side. */
#include "ensemble/lotos_private.h"

/* ---- vectors ----------------------------------------------------------------------------------
 */

/* q and scale of the layer's batch norm in evaluation mode: read, never changed. */
static void read_batchnorm(const lotos_part *p, const lotos_layer *l)
{
    for (size_t c = 0; c < l->channels; c++) {
        p->q[c] = sqrt((double)l->var[c] + l->eps);
        p->scale[c] = (float)((double)l->gamma[c] / p->q[c]);
    }
}

static amun_status refresh_map(const lotos_layer *l, lotos_map *m, const float *scale,
                               int32_t iterations)
{
    AMUN__CHECK(amun__linop_lend_weights(m->op, l->weight, scale));
    if (m->power == NULL) {
        return AMUN_OK;
    }
    amun_status status = amun__powerqr_run(m->power, iterations, NULL, NULL);
    return status == AMUN_OK
               ? status
               : amun__fail_within(status, "layer %s of member %zu", l->at->name, l->at->member);
}

typedef struct refresh {
    amun__lotos *lotos;
    int32_t iterations;
    size_t begin, end; /* of each part's layers, by their number in it */
} refresh;

static amun_status refresh_part(void *data, size_t at)
{
    const refresh *r = data;
    const lotos_part *p = &r->lotos->parts[at];
    size_t number = 0;
    for (size_t i = 0; i < r->lotos->count && number < r->end; i++) {
        lotos_layer *l = &r->lotos->layers[i];
        if (l->part != (int32_t)at || number++ < r->begin) {
            continue;
        }
        AMUN__CHECK(refresh_map(l, &l->plain, NULL, r->iterations));
        if (l->folded.power != NULL) {
            read_batchnorm(p, l);
            AMUN__CHECK(refresh_map(l, &l->folded, p->scale, r->iterations));
        }
    }
    return AMUN_OK;
}

/* Layers that a part has at most. */
static size_t longest_part(const amun__lotos *lotos)
{
    size_t longest = 0;
    for (size_t p = 0; p < lotos->part_count; p++) {
        size_t own = 0;
        for (size_t i = 0; i < lotos->count; i++) {
            own += lotos->layers[i].part == (int32_t)p;
        }
        longest = own > longest ? own : longest;
    }
    return longest;
}

amun_status amun__lotos_refresh(amun__lotos *lotos, int32_t iterations,
                                amun__progress_state *progress)
{
    refresh r = {.lotos = lotos, .iterations = iterations, .end = lotos->count};
    if (progress == NULL) {
        return amun__side_by_side(lotos->part_count, refresh_part, &r);
    }
    const size_t rounds = longest_part(lotos);
    for (size_t i = 0; i < rounds; i++) { /* a layer of each part at a time */
        r.begin = i;
        r.end = i + 1;
        AMUN__CHECK(amun__side_by_side(lotos->part_count, refresh_part, &r));
        AMUN__CHECK(
            amun__progress_tick(progress, "lotos", i + 1, rounds, (double)NAN, (double)NAN));
    }
    return AMUN_OK;
}

const float *amun__lotos_vectors(const amun__lotos *lotos, size_t at, bool folded)
{
    const lotos_layer *l = &lotos->layers[at];
    const amun__powerqr *power = folded ? l->folded.power : l->plain.power;
    return power != NULL ? amun__powerqr_vectors(power) : NULL;
}

const double *amun__lotos_weights(const amun__lotos *lotos)
{
    return lotos->decay;
}

/* ---- the term ---------------------------------------------------------------------------------
 */

/* What the layer makes of the partners' vectors, all in one block: into `image`. */
static amun_status apply(const amun__lotos *lotos, const lotos_part *p, const lotos_layer *l,
                         bool folded)
{
    const size_t in = amun__linop_in(l->plain.op), k = (size_t)lotos->options.k;
    for (size_t i = 0; i < l->partner_count; i++) {
        memcpy(p->stack + i * k * in, amun__lotos_vectors(lotos, l->partners[i], folded),
               k * in * sizeof *p->stack);
    }
    return amun__linop_apply(l->plain.op, (int64_t)(l->partner_count * k), p->stack, p->image);
}

/* |D u| of one row of `image`; D is 1 without batch norm. */
static double length(const lotos_part *p, const lotos_layer *l, bool folded, const float *row)
{
    double sum = 0.0;
    for (size_t c = 0; c < l->channels; c++) {
        const float *u = row + c * l->plane;
        double squares = 0.0, d = folded ? (double)p->scale[c] : 1.0;
        for (size_t i = 0; i < l->plane; i++) {
            squares += (double)u[i] * (double)u[i];
        }
        sum += d * d * squares;
    }
    return sqrt(sum);
}

/* The seed of one row for the gradient of the weights, factor D^2 u; that of gamma is
 * factor / q_c * sum over the places of (D u)_c u_c. */
static void pull_back(const lotos_part *p, const lotos_layer *l, bool folded, double factor,
                      const float *row, float *seed, float *gamma_diff)
{
    for (size_t c = 0; c < l->channels; c++) {
        const float *u = row + c * l->plane;
        double sum = 0.0, d = folded ? (double)p->scale[c] : 1.0;
        const float by = (float)(factor * d * d);
        for (size_t i = 0; i < l->plane; i++) {
            seed[c * l->plane + i] = by * u[i];
            sum += (double)u[i] * (double)u[i];
        }
        if (folded && gamma_diff != NULL) {
            gamma_diff[c] += (float)(factor / p->q[c] * d * sum);
        }
    }
}

static void add(float *restrict to, const float *restrict from, size_t count)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

/* All directions into one layer. The vectors have length 1; at |f v| = 0 there is no gradient, and
 * nothing is divided by it. */
static amun_status add_term(amun__lotos *lotos, lotos_layer *l, bool folded, float *diff)
{
    const lotos_term *t = folded ? &lotos->folded : &lotos->plain;
    const lotos_part *p = &lotos->parts[l->part];
    const size_t k = (size_t)lotos->options.k, rows = l->partner_count * k;
    const size_t out = amun__linop_out(l->plain.op);
    size_t active = 0;
    AMUN__CHECK(apply(lotos, p, l, folded));
    for (size_t row = 0; row < rows; row++) {
        const float *u = p->image + row * out;
        const double norm = length(p, l, folded, u);
        const double weight = t->coefficient * lotos->decay[row % k];
        if (!isfinite(norm)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "LOTOS: layer %s of member %zu gives %g",
                              l->at->name, l->at->member, norm);
        }
        bool costs = norm > t->mal;
        l->value += costs ? weight * (norm - t->mal) : 0.0;
        active += costs && weight > 0.0;
        pull_back(p, l, folded, costs ? weight / norm : 0.0, u, p->pull + row * out,
                  diff != NULL && costs ? diff + l->gamma_offset : NULL);
    }
    if (active == 0 || diff == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(
        amun__linop_weight_grad(l->plain.op, (int64_t)rows, p->stack, p->pull, p->gradient));
    add(diff + l->offset, p->gradient, amun__linop_weight_count(l->plain.op));
    return AMUN_OK;
}

typedef struct addition {
    amun__lotos *lotos;
    float *const *diffs;
} addition;

static amun_status add_part(void *data, size_t at)
{
    const addition *a = data;
    amun__lotos *lotos = a->lotos;
    for (size_t i = 0; i < lotos->count; i++) {
        lotos_layer *l = &lotos->layers[i];
        float *diff = a->diffs != NULL ? a->diffs[l->at->member] : NULL;
        if (l->part != (int32_t)at) {
            continue;
        }
        l->value = 0.0;
        if (lotos->plain.on) {
            AMUN__CHECK(add_term(lotos, l, false, diff));
        }
        if (l->folded.power != NULL) {
            read_batchnorm(&lotos->parts[at], l);
            AMUN__CHECK(add_term(lotos, l, true, diff));
        }
    }
    return AMUN_OK;
}

amun_status amun__lotos_add(amun__lotos *lotos, float *const *diffs, double *value)
{
    addition a = {lotos, diffs};
    AMUN__CHECK(amun__side_by_side(lotos->part_count, add_part, &a));
    for (size_t i = 0; i < lotos->count; i++) {
        *value += lotos->layers[i].value;
    }
    return AMUN_OK;
}

/* ---- checkpoints ------------------------------------------------------------------------------
 */

const amun__run_extra *amun__lotos_extras(const amun__lotos *lotos, size_t *count)
{
    *count = lotos->extra_count;
    return lotos->extras;
}

static void each_saved(amun__lotos *lotos, bool restore)
{
    for (size_t i = 0; i < 2 * lotos->count; i++) {
        lotos_map *m = i % 2 == 0 ? &lotos->layers[i / 2].plain : &lotos->layers[i / 2].folded;
        size_t count = 0;
        float *block = m->power != NULL ? amun__powerqr_state(m->power, &count) : NULL;
        if (block != NULL) {
            memcpy(restore ? block : m->saved, restore ? m->saved : block, count * sizeof *block);
        }
    }
}

amun_status amun__lotos_save(amun__lotos *lotos)
{
    each_saved(lotos, false);
    return AMUN_OK;
}

amun_status amun__lotos_restore(amun__lotos *lotos)
{
    each_saved(lotos, true);
    return AMUN_OK;
}
