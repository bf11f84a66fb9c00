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

double bench_spectra_run(bench_spectra *s, bool fresh)
{
    double total = 0;
    for (size_t i = 0; i < s->count; i++) {
        const double began = amun__now();
        if (fresh) {
            amun__linop_source source;
            bench_must(amun__linop_source_open(&source, s->model, s->nodes[i], false), "weights");
            bench_must(amun__linop_set_source(s->ops[i], &source), "weights");
            amun__linop_source_close(&source);
        }
        bench_must(amun__powerqr_run(s->states[i], 1, NULL, NULL), "power iteration");
        s->seconds[i] = amun__now() - began;
        total += s->seconds[i];
    }
    return 1e3 * total;
}
