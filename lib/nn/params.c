/* params.c - initial values of a model's parameters. */
#include "nn/graph.h"

/* PyTorch's defaults: conv and linear weights and biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)),
 * batch norm 1 / 0, running mean 0 and variance 1. Each parameter has a random stream of its own,
 * so that adding a layer leaves the others' values alone. */
void amun__params_init(amun__params *params, uint64_t seed)
{
    const amun_graph *graph = params->graph;
    for (int32_t i = 0; i < graph->param_count; i++) {
        const amun__param *param = &graph->params[i];
        const amun__node *node = &graph->nodes[param->node];
        float *values = params->values + param->offset;
        if (node->kind == AMUN__NODE_BATCHNORM) {
            float value = (i == node->weight || i == node->running_var) ? 1.0f : 0.0f;
            for (size_t j = 0; j < param->count; j++) {
                values[j] = value;
            }
            continue;
        }
        const amun__param *weight = &graph->params[node->weight];
        double bound = 1.0 / sqrt((double)(weight->count / (size_t)weight->shape[0]));
        amun__rng rng;
        amun__rng_open(&rng, seed, AMUN__RNG_INIT, 0, (uint64_t)i);
        for (size_t j = 0; j < param->count; j++) {
            values[j] = (float)((2 * amun__rng_uniform(&rng) - 1) * bound);
        }
    }
    for (int32_t i = 0; i < graph->tracked_count; i++) {
        params->tracked[i] = 0;
    }
    params->version++;
}
