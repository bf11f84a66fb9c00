/* lotos.c - the LOTOS term (arXiv 2410.05136, equations 3.3 and 3.4): for each ordered pair of
 * corresponding layers f and g, with v'_i the leading right singular vectors of g,
 *     coefficient * sum_i w_i relu(|f v'_i| - mal),
 * its gradient in f's weights, and the vectors. The vectors are constants of the gradient, so that
 * all of them are brought up to date first and all terms come after. Within either, layers do not
 * depend on each other and are worked on side by side. */
#include <stdio.h>

#include "ensemble/lotos.h"
#include "nn/graph.h"
#include "nn/linop.h"
#include "spectral/powerqr.h"

/* Vectors that iterate besides the k wanted ones: with them a cluster of singular values at the top
 * costs no more iterations. */
enum { GUARD = 3 };
/* Of the first, long run, which starts from nothing. */
#define FIRST_TOL 1e-3

/* A linear map whose vectors are kept: a layer, or a layer and its batch norm. */
typedef struct map {
    amun__linop *op;
    amun__powerqr *power;
    float *saved;
    char name[48];
} map;

typedef struct layer {
    const amun__lotos_layer *at;
    amun_model *model;
    const float *weight, *gamma, *var; /* in the model's values; the last two of a batch norm */
    size_t offset, gamma_offset;       /* the same in its gradient */
    size_t channels, plane;            /* of the output */
    double eps;                        /* of the batch norm */
    size_t *partners, partner_count;
    map plain, folded; /* plain.op is always there */
    int32_t part;
    double value; /* of the terms into it, at the last amun__lotos_add() */
} layer;

/* What one thread needs: largest of its layers. */
typedef struct part {
    float *stack, *image, *pull; /* vectors of all partners, what becomes of them, the seed */
    float *gradient;             /* of one layer's weights */
    double *q;                   /* sqrt(var + eps) per channel */
    float *scale;                /* gamma / q */
} part;

/* One of the two terms. */
typedef struct term {
    bool on;
    double coefficient, mal;
} term;

struct amun__lotos {
    amun_context *ctx;
    amun_lotos_options options;
    layer *layers;
    size_t count;
    double *decay; /* w_i, k of them, sum 1 */
    term plain, folded;
    part *parts;
    size_t part_count;
    amun__run_extra *extras;
    size_t extra_count;
};

/* ---- making -----------------------------------------------------------------------------------
 */

static amun_status make_map(amun__lotos *lotos, const layer *l, map *m, bool folded, bool vectors)
{
    const amun_lotos_options *o = &lotos->options;
    const int64_t stacked = (int64_t)l->partner_count * o->k;
    const amun__powerqr_options power = {
        .k = o->k,
        .block = o->block != 0 ? o->block : o->k + GUARD,
        .tol = FIRST_TOL,
        .seed = o->seed + (uint64_t)(l - lotos->layers),
    };
    const int64_t most = stacked > power.block ? stacked : power.block;
    AMUN__CHECK(
        amun__linop_create_node(&m->op, l->model, l->at->node, folded, most, AMUN__LINOP_BEST));
    if (!vectors) {
        return AMUN_OK;
    }
    amun_status status = amun__powerqr_create(&m->power, lotos->ctx, m->op, &power);
    if (status != AMUN_OK) {
        return amun__fail_within(status, "layer %s of member %zu", l->at->name, l->at->member);
    }
    /* from here on a run is the same whether its state is kept in between or not */
    size_t saved = 0;
    if (amun__powerqr_state(m->power, &saved) == NULL) {
        return amun__fail(AMUN_ERROR_INTERNAL, "a power iteration that cannot be kept");
    }
    AMUN__CHECK(amun__calloc(lotos->ctx, &m->saved, saved, sizeof *m->saved));
    snprintf(m->name, sizeof m->name, "lotos.%zu.%d%s", l->at->member, (int)l->at->node,
             folded ? ".bn" : "");
    lotos->extras[lotos->extra_count++] = (amun__run_extra){m->name, m->saved, saved};
    return AMUN_OK;
}

static amun_status make_layer(amun__lotos *lotos, layer *l)
{
    const amun_graph *graph = amun__model_graph(l->model);
    const amun__node *node = &graph->nodes[l->at->node];
    amun__model_values values;
    amun__model_values_get(l->model, &values);
    l->offset = graph->params[node->weight].offset;
    l->weight = values.values + l->offset;
    l->channels = (size_t)node->channels;
    l->plane = (size_t)(node->height * node->width);
    AMUN__CHECK(make_map(lotos, l, &l->plain, false, lotos->plain.on));
    if (!lotos->folded.on || l->at->bn < 0) {
        return AMUN_OK;
    }
    const amun__node *bn = &graph->nodes[l->at->bn];
    l->gamma_offset = graph->params[bn->weight].offset;
    l->gamma = values.values + l->gamma_offset;
    l->var = values.values + graph->params[bn->running_var].offset;
    l->eps = bn->eps;
    return make_map(lotos, l, &l->folded, true, true);
}

/* Partners of each layer, from the pairs. */
static amun_status make_layers(amun__lotos *lotos, amun_model *const *models,
                               const amun__lotos_pairs *pairs)
{
    lotos->count = pairs->layer_count;
    AMUN__CHECK(amun__calloc(lotos->ctx, &lotos->layers, lotos->count, sizeof *lotos->layers));
    AMUN__CHECK(amun__calloc(lotos->ctx, &lotos->extras, 2 * lotos->count, sizeof *lotos->extras));
    for (size_t i = 0; i < 2 * pairs->pair_count; i++) {
        lotos->layers[pairs->pairs[i / 2][i % 2]].partner_count++;
    }
    for (size_t i = 0; i < lotos->count; i++) {
        layer *l = &lotos->layers[i];
        l->at = &pairs->layers[i];
        l->model = models[l->at->member];
        AMUN__CHECK(amun__alloc(lotos->ctx, &l->partners, l->partner_count, sizeof *l->partners));
        AMUN__CHECK(make_layer(lotos, l));
        l->partner_count = 0;
    }
    for (size_t i = 0; i < 2 * pairs->pair_count; i++) {
        layer *l = &lotos->layers[pairs->pairs[i / 2][i % 2]];
        l->partners[l->partner_count++] = pairs->pairs[i / 2][1 - i % 2];
    }
    return AMUN_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Products of the vectors that iterate and of those of the partners, and the weights' way into the
 * map. */
static double cost_of(const amun__lotos *lotos, const layer *l)
{
    enum { PER_WEIGHT = 128 };
    const double vectors = (double)lotos->options.k * (double)(1 + l->partner_count);
    const double weights = (double)amun__linop_weight_count(l->plain.op);
    const double cost = weights * (4.0 * vectors * (double)l->plane + PER_WEIGHT);
    return l->folded.op != NULL ? 2.0 * cost : cost;
}

static amun_status deal(amun__lotos *lotos)
{
    double *costs = NULL;
    int32_t *hand = NULL;
    amun_status status;
    const size_t threads = (size_t)amun__threads_count(lotos->ctx);
    lotos->part_count = threads < lotos->count ? threads : lotos->count;
    AMUN__TRY(amun__alloc(lotos->ctx, &costs, lotos->count, sizeof *costs));
    AMUN__TRY(amun__alloc(lotos->ctx, &hand, lotos->count, sizeof *hand));
    AMUN__TRY(amun__calloc(lotos->ctx, &lotos->parts, lotos->part_count, sizeof *lotos->parts));
    for (size_t i = 0; i < lotos->count; i++) {
        costs[i] = cost_of(lotos, &lotos->layers[i]);
    }
    amun__deal(costs, lotos->count, lotos->part_count, hand);
    for (size_t i = 0; i < lotos->count; i++) {
        lotos->layers[i].part = hand[i];
    }
fail:
    amun__free(lotos->ctx, costs);
    amun__free(lotos->ctx, hand);
    return status;
}

static amun_status make_scratch(amun__lotos *lotos, size_t at)
{
    part *p = &lotos->parts[at];
    size_t in = 0, out = 0, weights = 0, channels = 0;
    for (size_t i = 0; i < lotos->count; i++) {
        const layer *l = &lotos->layers[i];
        size_t rows = l->partner_count * (size_t)lotos->options.k;
        if (l->part != (int32_t)at) {
            continue;
        }
        in = larger(in, rows * amun__linop_in(l->plain.op)); /* the map's own products fit */
        out = larger(out, rows * amun__linop_out(l->plain.op));
        weights = larger(weights, amun__linop_weight_count(l->plain.op));
        channels = larger(channels, l->channels);
    }
    AMUN__CHECK(amun__alloc(lotos->ctx, &p->stack, in, sizeof *p->stack));
    AMUN__CHECK(amun__alloc(lotos->ctx, &p->image, out, sizeof *p->image));
    AMUN__CHECK(amun__alloc(lotos->ctx, &p->pull, out, sizeof *p->pull));
    AMUN__CHECK(amun__alloc(lotos->ctx, &p->gradient, weights, sizeof *p->gradient));
    AMUN__CHECK(amun__alloc(lotos->ctx, &p->q, channels, sizeof *p->q));
    return amun__alloc(lotos->ctx, &p->scale, channels, sizeof *p->scale);
}

/* w_i = (1 - decay (i - 1)) over their sum, as the authors' program, and never below 0. */
static amun_status make_decay(amun__lotos *lotos)
{
    const int32_t k = lotos->options.k;
    double sum = 0.0;
    AMUN__CHECK(amun__alloc(lotos->ctx, &lotos->decay, (size_t)k, sizeof *lotos->decay));
    for (int32_t i = 0; i < k; i++) {
        lotos->decay[i] = fmax(1.0 - lotos->options.decay * i, 0.0);
        sum += lotos->decay[i];
    }
    for (int32_t i = 0; i < k; i++) {
        lotos->decay[i] /= sum;
    }
    return AMUN_OK;
}

/* The factor of one ordered pair: with `mean`, a member's share of `terms` weighs lambda. */
static term make_term(const amun_lotos_options *o, double lambda, double mal, size_t members,
                      size_t terms)
{
    double share = o->mean != 0 && terms > 0 ? (double)members / (double)terms : 1.0;
    return (term){.on = lambda > 0.0 && terms > 0, .coefficient = lambda * share, .mal = mal};
}

amun_status amun__lotos_create(amun__lotos **out, amun_context *ctx, amun_model *const *models,
                               size_t members, const amun__lotos_pairs *pairs,
                               const amun_lotos_options *options)
{
    *out = NULL;
    amun__lotos *lotos = NULL;
    amun_status status;
    AMUN__CHECK(amun__calloc(ctx, &lotos, 1, sizeof *lotos));
    lotos->ctx = ctx;
    lotos->options = *options;
    size_t folded = 0;
    for (size_t i = 0; i < pairs->pair_count && options->batchnorm != 0; i++) {
        folded += pairs->layers[pairs->pairs[i][0]].bn >= 0;
    }
    lotos->plain =
        make_term(options, options->lambda, options->mal, members, 2 * pairs->pair_count);
    lotos->folded =
        make_term(options, options->batchnorm_lambda, options->batchnorm_mal, members, 2 * folded);
    AMUN__TRY(make_decay(lotos));
    AMUN__TRY(make_layers(lotos, models, pairs));
    AMUN__TRY(deal(lotos));
    for (size_t i = 0; i < lotos->part_count; i++) {
        AMUN__TRY(make_scratch(lotos, i));
    }
    *out = lotos;
    return AMUN_OK;
fail:
    amun__lotos_destroy(lotos);
    return status;
}

static void free_map(const amun__lotos *lotos, map *m)
{
    amun__powerqr_destroy(m->power);
    amun__linop_destroy(m->op);
    amun__free(lotos->ctx, m->saved);
}

void amun__lotos_destroy(amun__lotos *lotos)
{
    if (lotos == NULL) {
        return;
    }
    for (size_t i = 0; i < lotos->count && lotos->layers != NULL; i++) {
        free_map(lotos, &lotos->layers[i].plain);
        free_map(lotos, &lotos->layers[i].folded);
        amun__free(lotos->ctx, lotos->layers[i].partners);
    }
    for (size_t i = 0; i < lotos->part_count && lotos->parts != NULL; i++) {
        const part *p = &lotos->parts[i];
        void *const scratch[] = {p->stack, p->image, p->pull, p->gradient, p->q, p->scale};
        for (size_t j = 0; j < sizeof scratch / sizeof scratch[0]; j++) {
            amun__free(lotos->ctx, scratch[j]);
        }
    }
    amun__free(lotos->ctx, lotos->layers);
    amun__free(lotos->ctx, lotos->parts);
    amun__free(lotos->ctx, lotos->extras);
    amun__free(lotos->ctx, lotos->decay);
    amun__free(lotos->ctx, lotos);
}

/* ---- vectors ----------------------------------------------------------------------------------
 */

/* q and scale of the layer's batch norm in evaluation mode: read, never changed. */
static void read_batchnorm(const part *p, const layer *l)
{
    for (size_t c = 0; c < l->channels; c++) {
        p->q[c] = sqrt((double)l->var[c] + l->eps);
        p->scale[c] = (float)((double)l->gamma[c] / p->q[c]);
    }
}

static amun_status refresh_map(const layer *l, map *m, const float *scale, int32_t iterations)
{
    AMUN__CHECK(scale != NULL ? amun__linop_set_weights(m->op, l->weight, scale)
                              : amun__linop_lend_weights(m->op, l->weight));
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
    const part *p = &r->lotos->parts[at];
    size_t number = 0;
    for (size_t i = 0; i < r->lotos->count && number < r->end; i++) {
        layer *l = &r->lotos->layers[i];
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
        longest = larger(longest, own);
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
    const layer *l = &lotos->layers[at];
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
static amun_status apply(const amun__lotos *lotos, const part *p, const layer *l, bool folded)
{
    const size_t in = amun__linop_in(l->plain.op), k = (size_t)lotos->options.k;
    for (size_t i = 0; i < l->partner_count; i++) {
        memcpy(p->stack + i * k * in, amun__lotos_vectors(lotos, l->partners[i], folded),
               k * in * sizeof *p->stack);
    }
    return amun__linop_apply(l->plain.op, (int64_t)(l->partner_count * k), p->stack, p->image);
}

/* |D u| of one row of `image`; D is 1 without batch norm. */
static double length(const part *p, const layer *l, bool folded, const float *row)
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
static void pull_back(const part *p, const layer *l, bool folded, double factor, const float *row,
                      float *seed, float *gamma_diff)
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
static amun_status add_term(amun__lotos *lotos, layer *l, bool folded, float *diff)
{
    const term *t = folded ? &lotos->folded : &lotos->plain;
    const part *p = &lotos->parts[l->part];
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
        layer *l = &lotos->layers[i];
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
        map *m = i % 2 == 0 ? &lotos->layers[i / 2].plain : &lotos->layers[i / 2].folded;
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
