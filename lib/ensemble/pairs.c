/* pairs.c - which layers of an ensemble correspond. A pair needs inputs of one shape; what does not
 * fit is an error, never left out. */
#include <inttypes.h>

#include "ensemble/lotos.h"
#include "nn/graph.h"
#include "nn/linop.h"

/* ---- the list -------------------------------------------------------------------------------- */

/* The place of a layer in the list, where it is put if it is not there. */
static amun_status add_layer(amun__lotos_pairs *p, const amun_graph *graph, size_t member,
                             int32_t node, size_t *place)
{
    for (*place = 0; *place < p->layer_count; (*place)++) {
        if (p->layers[*place].member == member && p->layers[*place].node == node) {
            return AMUN_OK;
        }
    }
    AMUN__CHECK(amun__realloc(p->ctx, &p->layers, p->layer_count + 1, sizeof *p->layers));
    p->layers[p->layer_count++] = (amun__lotos_layer){
        .member = member,
        .node = node,
        .bn = amun__linop_batchnorm_of(graph, node),
        .name = graph->nodes[node].name,
    };
    return AMUN_OK;
}

static const amun__node *source_of(const amun_graph *graph, int32_t node)
{
    return &graph->nodes[graph->nodes[node].inputs[0]];
}

static bool same_input(const amun_graph *a, int32_t layer_a, const amun_graph *b, int32_t layer_b)
{
    const amun__node *x = source_of(a, layer_a), *y = source_of(b, layer_b);
    return x->channels == y->channels && x->height == y->height && x->width == y->width;
}

/* One end of a pair. */
typedef struct end {
    const amun_graph *graph;
    size_t member;
    int32_t node;
} end;

static amun_status add_pair(amun__lotos_pairs *p, const end *a, const end *b)
{
    const amun__node *x = source_of(a->graph, a->node), *y = source_of(b->graph, b->node);
    if (!same_input(a->graph, a->node, b->graph, b->node)) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "layer %s of member %zu takes %" PRId64 "x%" PRId64 "x%" PRId64
                          ", layer %s of member %zu %" PRId64 "x%" PRId64 "x%" PRId64,
                          a->graph->nodes[a->node].name, a->member, x->channels, x->height,
                          x->width, b->graph->nodes[b->node].name, b->member, y->channels,
                          y->height, y->width);
    }
    size_t places[2];
    AMUN__CHECK(add_layer(p, a->graph, a->member, a->node, &places[0]));
    AMUN__CHECK(add_layer(p, b->graph, b->member, b->node, &places[1]));
    AMUN__CHECK(amun__realloc(p->ctx, &p->pairs, p->pair_count + 1, sizeof *p->pairs));
    p->pairs[p->pair_count][0] = places[0];
    p->pairs[p->pair_count++][1] = places[1];
    return AMUN_OK;
}

/* ---- convolutions in the order of the graph -------------------------------------------------- */

static int32_t next_convolution(const amun_graph *graph, int32_t from)
{
    while (from < graph->node_count && graph->nodes[from].kind != AMUN__NODE_CONV2D) {
        from++;
    }
    return from < graph->node_count ? from : -1;
}

static size_t count_convolutions(const amun_graph *graph)
{
    size_t count = 0;
    for (int32_t at = next_convolution(graph, 0); at >= 0; at = next_convolution(graph, at + 1)) {
        count++;
    }
    return count;
}

/* The first `most` of them, one with one. */
static amun_status match_by_index(amun__lotos_pairs *p, end a, end b, size_t most)
{
    a.node = next_convolution(a.graph, 0);
    b.node = next_convolution(b.graph, 0);
    for (size_t i = 0; i < most; i++) {
        AMUN__CHECK(add_pair(p, &a, &b));
        a.node = next_convolution(a.graph, a.node + 1);
        b.node = next_convolution(b.graph, b.node + 1);
    }
    return AMUN_OK;
}

static amun_status match_all(amun__lotos_pairs *p, const end *a, const end *b)
{
    size_t here = count_convolutions(a->graph), there = count_convolutions(b->graph);
    if (here != there) {
        return amun__fail(
            AMUN_ERROR_SHAPE,
            "member %zu has %zu convolutions, member %zu has %zu: match them by input "
            "shape, the first only, or by pairs",
            a->member, here, b->member, there);
    }
    return match_by_index(p, *a, *b, here);
}

/* How many convolutions before `layer` take an input like its own. */
static size_t rank_of(const amun_graph *graph, int32_t layer)
{
    size_t rank = 0;
    for (int32_t at = next_convolution(graph, 0); at < layer;
         at = next_convolution(graph, at + 1)) {
        rank += same_input(graph, at, graph, layer);
    }
    return rank;
}

/* Each convolution of the member that has fewer (then: of the first) with the one of the other that
 * is as far down among those with this input. */
static amun_status match_by_shape(amun__lotos_pairs *p, end a, end b)
{
    if (count_convolutions(b.graph) < count_convolutions(a.graph)) {
        end swap = a;
        a = b;
        b = swap;
    }
    for (a.node = next_convolution(a.graph, 0); a.node >= 0;
         a.node = next_convolution(a.graph, a.node + 1)) {
        b.node = next_convolution(b.graph, 0);
        while (b.node >= 0 && (!same_input(a.graph, a.node, b.graph, b.node) ||
                               rank_of(b.graph, b.node) != rank_of(a.graph, a.node))) {
            b.node = next_convolution(b.graph, b.node + 1);
        }
        const amun__node *x = source_of(a.graph, a.node);
        if (b.node < 0) {
            return amun__fail(AMUN_ERROR_SHAPE,
                              "layer %s of member %zu takes %" PRId64 "x%" PRId64 "x%" PRId64
                              ": member %zu has only %zu convolutions with this input",
                              a.graph->nodes[a.node].name, a.member, x->channels, x->height,
                              x->width, b.member, rank_of(a.graph, a.node));
        }
        AMUN__CHECK(add_pair(p, &a, &b));
    }
    return AMUN_OK;
}

/* ---- pairs of the caller ----------------------------------------------------------------------
 */

/* The last pair, whichever way round, must be a new one. */
static amun_status check_new(const amun__lotos_pairs *p)
{
    const size_t *last = p->pairs[p->pair_count - 1];
    for (size_t i = 0; i + 1 < p->pair_count; i++) {
        const size_t *old = p->pairs[i];
        if ((old[0] == last[0] && old[1] == last[1]) || (old[0] == last[1] && old[1] == last[0])) {
            const amun__lotos_layer *a = &p->layers[last[0]], *b = &p->layers[last[1]];
            return amun__fail(
                AMUN_ERROR_INVALID_ARGUMENT,
                "pairs: layer %s of member %zu and %s of member %zu stand there twice", a->name,
                a->member, b->name, b->member);
        }
    }
    return AMUN_OK;
}

static amun_status find_end(end *out, amun_model *const *models, size_t count, int32_t member,
                            const char *path, size_t index)
{
    if (member < 0 || (size_t)member >= count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "pairs[%zu]: member %" PRId32 ", must be in [0, %zu]", index, member,
                          count - 1);
    }
    if (path == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "pairs[%zu]: the path of a layer is NULL",
                          index);
    }
    *out = (end){.graph = amun__model_graph(models[member]), .member = (size_t)member};
    for (int32_t i = 0; i < out->graph->node_count; i++) {
        const amun__node *node = &out->graph->nodes[i];
        bool linear = node->kind == AMUN__NODE_CONV2D || node->kind == AMUN__NODE_LINEAR;
        if (linear && strcmp(node->name, path) == 0) {
            out->node = i;
            return AMUN_OK;
        }
    }
    return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                      "pairs[%zu]: member %" PRId32 " has no convolution or dense layer \"%s\"",
                      index, member, path);
}

static amun_status match_named(amun__lotos_pairs *p, amun_model *const *models, size_t count,
                               const amun_lotos_options *options)
{
    if (options->pairs == NULL || options->pair_count == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_lotos_options.pairs is %s and pair_count is %zu",
                          options->pairs == NULL ? "NULL" : "given", options->pair_count);
    }
    for (size_t i = 0; i < options->pair_count; i++) {
        const amun_layer_pair *pair = &options->pairs[i];
        end a, b;
        AMUN__CHECK(find_end(&a, models, count, pair->model_a, pair->layer_a, i));
        AMUN__CHECK(find_end(&b, models, count, pair->model_b, pair->layer_b, i));
        if (a.member == b.member) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "pairs[%zu]: both layers are of member %zu", i, a.member);
        }
        AMUN__CHECK(add_pair(p, &a, &b));
        AMUN__CHECK(check_new(p));
    }
    return AMUN_OK;
}

/* ---- making -----------------------------------------------------------------------------------
 */

static amun_status match_members(amun__lotos_pairs *p, const end *a, const end *b,
                                 amun_lotos_match match)
{
    if (next_convolution(a->graph, 0) < 0 || next_convolution(b->graph, 0) < 0) {
        return amun__fail(AMUN_ERROR_SHAPE, "member %zu has no convolution",
                          next_convolution(a->graph, 0) < 0 ? a->member : b->member);
    }
    switch (match) {
    case AMUN_LOTOS_MATCH_FIRST_ONLY:
        return match_by_index(p, *a, *b, 1);
    case AMUN_LOTOS_MATCH_BY_INPUT_SHAPE:
        return match_by_shape(p, *a, *b);
    default:
        return match_all(p, a, b);
    }
}

/* A term of convolution and batch norm needs both in both layers of a pair, and one pair at all. */
static amun_status check_batchnorm(const amun__lotos_pairs *p)
{
    size_t found = 0;
    for (size_t i = 0; i < p->pair_count; i++) {
        const amun__lotos_layer *a = &p->layers[p->pairs[i][0]], *b = &p->layers[p->pairs[i][1]];
        found += a->bn >= 0 && b->bn >= 0;
        if ((a->bn >= 0) != (b->bn >= 0)) {
            const amun__lotos_layer *with = a->bn >= 0 ? a : b, *without = a->bn >= 0 ? b : a;
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "batchnorm: layer %s of member %zu has a batch norm behind it, %s of "
                              "member %zu has none",
                              with->name, with->member, without->name, without->member);
        }
    }
    return found > 0
               ? AMUN_OK
               : amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                            "batchnorm is 1, but none of %zu layers has a batch norm behind it",
                            p->layer_count);
}

amun_status amun__lotos_pairs_make(amun__lotos_pairs *out, amun_context *ctx,
                                   amun_model *const *models, size_t count,
                                   const amun_lotos_options *options)
{
    amun_status status = AMUN_OK;
    *out = (amun__lotos_pairs){.ctx = ctx};
    if (options->match == AMUN_LOTOS_MATCH_PAIRS) {
        AMUN__TRY(match_named(out, models, count, options));
    } else if (options->pairs != NULL || options->pair_count != 0) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT,
                   "amun_lotos_options.pairs are given, but match is %" PRId32, options->match);
    } else {
        for (size_t i = 0; i < count; i++) {
            for (size_t j = i + 1; j < count; j++) {
                const end a = {.graph = amun__model_graph(models[i]), .member = i};
                const end b = {.graph = amun__model_graph(models[j]), .member = j};
                AMUN__TRY(match_members(out, &a, &b, options->match));
            }
        }
    }
    if (options->batchnorm != 0) {
        AMUN__TRY(check_batchnorm(out));
    }
    return AMUN_OK;
fail:
    amun__lotos_pairs_free(out);
    return status;
}

void amun__lotos_pairs_free(amun__lotos_pairs *pairs)
{
    if (pairs->ctx != NULL) {
        amun__free(pairs->ctx, pairs->layers);
        amun__free(pairs->ctx, pairs->pairs);
    }
    *pairs = (amun__lotos_pairs){0};
}
