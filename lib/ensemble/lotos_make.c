/* lotos_make.c - makes the LOTOS term for some models: a map per layer with its vectors, the
 * layers' partners, the factors of the terms, and which layers are worked on by which thread. */
#include <stdio.h>

#include "ensemble/lotos_private.h"
#include "nn/graph.h"

/* Vectors that iterate besides the k wanted ones: with them a cluster of singular values at the top
 * costs no more iterations. */
enum { GUARD = 3 };
/* Of the first, long run, which starts from nothing. */
#define FIRST_TOL 1e-3

static amun_status make_map(amun__lotos *lotos, const lotos_layer *l, lotos_map *m, bool folded,
                            bool vectors)
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

static amun_status make_layer(amun__lotos *lotos, lotos_layer *l)
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
        lotos_layer *l = &lotos->layers[i];
        l->at = &pairs->layers[i];
        l->model = models[l->at->member];
        AMUN__CHECK(amun__alloc(lotos->ctx, &l->partners, l->partner_count, sizeof *l->partners));
        AMUN__CHECK(make_layer(lotos, l));
        l->partner_count = 0;
    }
    for (size_t i = 0; i < 2 * pairs->pair_count; i++) {
        lotos_layer *l = &lotos->layers[pairs->pairs[i / 2][i % 2]];
        l->partners[l->partner_count++] = pairs->pairs[i / 2][1 - i % 2];
    }
    return AMUN_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* With the products of the partners' vectors, and twice over where there is a batch norm. */
static double cost_of(const amun__lotos *lotos, const lotos_layer *l)
{
    const int64_t vectors = lotos->options.k * (1 + (int64_t)l->partner_count);
    const double cost = amun__linop_cost(lotos->ctx, amun__linop_shape_of(l->plain.op), vectors);
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
    lotos_part *p = &lotos->parts[at];
    size_t in = 0, out = 0, weights = 0, channels = 0;
    for (size_t i = 0; i < lotos->count; i++) {
        const lotos_layer *l = &lotos->layers[i];
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
static lotos_term make_term(const amun_lotos_options *o, double lambda, double mal, size_t members,
                            size_t terms)
{
    double share = o->mean != 0 && terms > 0 ? (double)members / (double)terms : 1.0;
    return (lotos_term){.on = lambda > 0.0 && terms > 0, .coefficient = lambda * share, .mal = mal};
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

static void free_map(const amun__lotos *lotos, lotos_map *m)
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
        const lotos_part *p = &lotos->parts[i];
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
