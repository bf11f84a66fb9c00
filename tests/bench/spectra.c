/* spectra.c - power iterations on all convolutions and dense layers of a model. */
#include "spectra.h"

#include "nn/graph.h"

static void add_layer(bench_spectra *s, int32_t node, int32_t k, int32_t block)
{
    const char *name = amun__model_graph(s->model)->nodes[node].name;
    amun__linop *op = NULL;
    bench_must(amun__linop_create_node(&op, s->model, node, false, block, AMUN__LINOP_BEST), name);
    const size_t in = amun__linop_in(op), out = amun__linop_out(op);
    const int64_t rank = (int64_t)(in < out ? in : out);
    amun__powerqr_options options = {.k = (int32_t)(k < rank ? k : rank),
                                     .block = (int32_t)(block < rank ? block : rank),
                                     .max_iterations = 1,
                                     .seed = (uint64_t)node};
    s->ops[s->count] = op;
    s->nodes[s->count] = node;
    bench_must(
        amun__powerqr_create(&s->states[s->count], amun__model_context(s->model), op, &options),
        name);
    s->count++;
}

static void deal(bench_spectra *s, int32_t block)
{
    double costs[BENCH_MAX_LAYERS];
    const size_t threads = (size_t)amun__threads_count(amun__model_context(s->model));
    for (size_t i = 0; i < s->count; i++) {
        const amun__linop_shape *shape = amun__linop_shape_of(s->ops[i]);
        costs[i] = amun__linop_cost(amun__model_context(s->model), shape, block);
    }
    s->parts = threads < s->count ? threads : s->count;
    amun__deal(costs, s->count, s->parts, s->part);
}

void bench_spectra_open(bench_spectra *s, amun_model *model, int32_t k, int32_t block)
{
    const amun_graph *graph = amun__model_graph(model);
    *s = (bench_spectra){.model = model};
    for (int32_t i = 0; i < graph->node_count && s->count < BENCH_MAX_LAYERS; i++) {
        const amun__node_kind kind = graph->nodes[i].kind;
        if (kind == AMUN__NODE_CONV2D || kind == AMUN__NODE_LINEAR) {
            add_layer(s, i, k, block);
        }
    }
    deal(s, block);
    (void)bench_spectra_run(s, true);
}

void bench_spectra_close(bench_spectra *s)
{
    for (size_t i = 0; i < s->count; i++) {
        amun__powerqr_destroy(s->states[i]);
        amun__linop_destroy(s->ops[i]);
    }
    s->count = 0;
}

static amun_status run_layer(bench_spectra *s, size_t i)
{
    const double began = amun__now();
    if (s->fresh) {
        amun__linop_source source;
        AMUN__CHECK(amun__linop_source_open(&source, s->model, s->nodes[i], false));
        AMUN__CHECK(amun__linop_lend_weights(s->ops[i], source.weights, NULL));
        amun__linop_source_close(&source); /* the weights are the model's */
    }
    AMUN__CHECK(amun__powerqr_run(s->states[i], 1, NULL, NULL));
    s->seconds[i] = amun__now() - began;
    return AMUN_OK;
}

static amun_status run_part(void *data, size_t part)
{
    bench_spectra *s = data;
    for (size_t i = 0; i < s->count; i++) {
        if (s->part[i] == (int32_t)part) {
            AMUN__CHECK(run_layer(s, i));
        }
    }
    return AMUN_OK;
}

double bench_spectra_run(bench_spectra *s, bool fresh)
{
    const double began = amun__now();
    s->fresh = fresh;
    bench_must(amun__side_by_side(s->parts, run_part, s), "power iteration");
    return 1e3 * (amun__now() - began);
}
