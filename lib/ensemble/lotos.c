/* lotos.c - the LOTOS term (arXiv 2410.05136, equations 3.3 and 3.4): for each ordered pair of
 * corresponding layers f and g, with v'_i the leading right singular vectors of g,
 *     coefficient * sum_i w_i relu(|f v'_i| - mal),
 * its gradient in f's weights, and the vectors. The vectors are constants of the gradient, so that
 * all of them are brought up to date first and all terms come after. */
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
} layer;

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
    float *stack, *image, *pull; /* vectors of all partners, what becomes of them, the seed */
    float *gradient;             /* of one layer's weights */
    double *q;                   /* sqrt(var + eps) per channel */
    float *scale;                /* gamma / q */
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

static amun_status make_scratch(amun__lotos *lotos)
{
    size_t in = 0, out = 0, weights = 0, channels = 0;
    for (size_t i = 0; i < lotos->count; i++) {
        const layer *l = &lotos->layers[i];
        size_t rows = l->partner_count * (size_t)lotos->options.k;
        in = larger(in, rows * amun__linop_in(l->plain.op)); /* the map's own products fit */
        out = larger(out, rows * amun__linop_out(l->plain.op));
        weights = larger(weights, amun__linop_weight_count(l->plain.op));
        channels = larger(channels, l->channels);
    }
    AMUN__CHECK(amun__alloc(lotos->ctx, &lotos->stack, in, sizeof *lotos->stack));
    AMUN__CHECK(amun__alloc(lotos->ctx, &lotos->image, out, sizeof *lotos->image));
    AMUN__CHECK(amun__alloc(lotos->ctx, &lotos->pull, out, sizeof *lotos->pull));
    AMUN__CHECK(amun__alloc(lotos->ctx, &lotos->gradient, weights, sizeof *lotos->gradient));
    AMUN__CHECK(amun__alloc(lotos->ctx, &lotos->q, channels, sizeof *lotos->q));
    return amun__alloc(lotos->ctx, &lotos->scale, channels, sizeof *lotos->scale);
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
    AMUN__TRY(make_scratch(lotos));
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
    void *const owned[] = {lotos->layers, lotos->extras,   lotos->decay, lotos->stack, lotos->image,
                           lotos->pull,   lotos->gradient, lotos->q,     lotos->scale};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        amun__free(lotos->ctx, owned[i]);
    }
    amun__free(lotos->ctx, lotos);
}

/* ---- vectors ----------------------------------------------------------------------------------
 */

/* q and scale of the layer's batch norm in evaluation mode: read, never changed. */
static void read_batchnorm(amun__lotos *lotos, const layer *l)
{
    for (size_t c = 0; c < l->channels; c++) {
        lotos->q[c] = sqrt((double)l->var[c] + l->eps);
        lotos->scale[c] = (float)((double)l->gamma[c] / lotos->q[c]);
    }
}

static amun_status refresh_map(const layer *l, map *m, const float *scale, int32_t iterations)
{
    AMUN__CHECK(amun__linop_set_weights(m->op, l->weight, scale));
    if (m->power == NULL) {
        return AMUN_OK;
    }
    amun_status status = amun__powerqr_run(m->power, iterations, NULL, NULL);
    return status == AMUN_OK
               ? status
               : amun__fail_within(status, "layer %s of member %zu", l->at->name, l->at->member);
}

amun_status amun__lotos_refresh(amun__lotos *lotos, int32_t iterations,
                                amun__progress_state *progress)
{
    for (size_t i = 0; i < lotos->count; i++) {
        layer *l = &lotos->layers[i];
        AMUN__CHECK(refresh_map(l, &l->plain, NULL, iterations));
        if (l->folded.power != NULL) {
            read_batchnorm(lotos, l);
            AMUN__CHECK(refresh_map(l, &l->folded, lotos->scale, iterations));
        }
        if (progress != NULL) {
            AMUN__CHECK(amun__progress_tick(progress, "lotos", i + 1, lotos->count, (double)NAN,
                                            (double)NAN));
        }
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
static amun_status apply(amun__lotos *lotos, layer *l, bool folded)
{
    const size_t in = amun__linop_in(l->plain.op), k = (size_t)lotos->options.k;
    for (size_t i = 0; i < l->partner_count; i++) {
        memcpy(lotos->stack + i * k * in, amun__lotos_vectors(lotos, l->partners[i], folded),
               k * in * sizeof *lotos->stack);
    }
    return amun__linop_apply(l->plain.op, (int64_t)(l->partner_count * k), lotos->stack,
                             lotos->image);
}

/* |D u| of one row of `image`; D is 1 without batch norm. */
static double length(const amun__lotos *lotos, const layer *l, bool folded, const float *row)
{
    double sum = 0.0;
    for (size_t c = 0; c < l->channels; c++) {
        const float *u = row + c * l->plane;
        double part = 0.0, d = folded ? (double)lotos->scale[c] : 1.0;
        for (size_t i = 0; i < l->plane; i++) {
            part += (double)u[i] * (double)u[i];
        }
        sum += d * d * part;
    }
    return sqrt(sum);
}

/* The seed of one row for the gradient of the weights, factor D^2 u; that of gamma is
 * factor / q_c * sum over the places of (D u)_c u_c. */
static void pull_back(const amun__lotos *lotos, const layer *l, bool folded, double factor,
                      const float *row, float *seed, float *gamma_diff)
{
    for (size_t c = 0; c < l->channels; c++) {
        const float *u = row + c * l->plane;
        double sum = 0.0, d = folded ? (double)lotos->scale[c] : 1.0;
        const float by = (float)(factor * d * d);
        for (size_t i = 0; i < l->plane; i++) {
            seed[c * l->plane + i] = by * u[i];
            sum += (double)u[i] * (double)u[i];
        }
        if (folded && gamma_diff != NULL) {
            gamma_diff[c] += (float)(factor / lotos->q[c] * d * sum);
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
static amun_status add_layer(amun__lotos *lotos, layer *l, bool folded, float *diff, double *value)
{
    const term *t = folded ? &lotos->folded : &lotos->plain;
    const size_t k = (size_t)lotos->options.k, rows = l->partner_count * k;
    const size_t out = amun__linop_out(l->plain.op);
    size_t active = 0;
    AMUN__CHECK(apply(lotos, l, folded));
    for (size_t row = 0; row < rows; row++) {
        const float *u = lotos->image + row * out;
        const double norm = length(lotos, l, folded, u);
        const double weight = t->coefficient * lotos->decay[row % k];
        if (!isfinite(norm)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "LOTOS: layer %s of member %zu gives %g",
                              l->at->name, l->at->member, norm);
        }
        bool costs = norm > t->mal;
        *value += costs ? weight * (norm - t->mal) : 0.0;
        active += costs && weight > 0.0;
        pull_back(lotos, l, folded, costs ? weight / norm : 0.0, u, lotos->pull + row * out,
                  diff != NULL && costs ? diff + l->gamma_offset : NULL);
    }
    if (active == 0 || diff == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__linop_weight_grad(l->plain.op, (int64_t)rows, lotos->stack, lotos->pull,
                                        lotos->gradient));
    add(diff + l->offset, lotos->gradient, amun__linop_weight_count(l->plain.op));
    return AMUN_OK;
}

amun_status amun__lotos_add(amun__lotos *lotos, float *const *diffs, double *value)
{
    for (size_t i = 0; i < lotos->count; i++) {
        layer *l = &lotos->layers[i];
        float *diff = diffs != NULL ? diffs[l->at->member] : NULL;
        if (lotos->plain.on) {
            AMUN__CHECK(add_layer(lotos, l, false, diff, value));
        }
        if (l->folded.power != NULL) {
            read_batchnorm(lotos, l);
            AMUN__CHECK(add_layer(lotos, l, true, diff, value));
        }
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
