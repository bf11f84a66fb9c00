/* params.c - initial values of a model's parameters. */
#include "nn/graph.h"

/* Length of a cosine filter. In front of a batch norm a filter's length means nothing to the
 * network, but a step turns a long one less: these are good as they are. */
static const double cosine_length = 4.0;

/* Vector `at` of `size` of the orthonormal cosine basis (DCT-II), at place x. */
static double cosine(int64_t at, int64_t x, int64_t size)
{
    static const double pi = 3.14159265358979323846;
    double scale = sqrt((at == 0 ? 1.0 : 2.0) / (double)size);
    return scale * cos(pi * (double)at * ((double)x + 0.5) / (double)size);
}

/* One filter [channels][h][w]: the pattern of frequency f = (channel, y, x). */
static void fill_pattern(float *filter, const int64_t *shape, const int64_t f[3], double length)
{
    for (int64_t c = 0; c < shape[1]; c++) {
        for (int64_t y = 0; y < shape[2]; y++) {
            for (int64_t x = 0; x < shape[3]; x++) {
                *filter++ = (float)(length * cosine(f[0], c, shape[1]) * cosine(f[1], y, shape[2]) *
                                    cosine(f[2], x, shape[3]));
            }
        }
    }
}

/* Pairs of a pattern and its negative, so that what follows behind a ReLU has both halves. The
 * principal components of patches of photographs are close to these patterns, and their variance
 * falls with the frequency, for differences of colour from a far lower level: hence the order, by
 * y^2 + x^2, plus 7 where the channels differ. It gives the first 16 components of 3x3 patches of
 * CIFAR-10. Filters beyond the patterns keep their values. */
static void fill_cosines(float *values, const int64_t *shape)
{
    const size_t count = (size_t)(shape[1] * shape[2] * shape[3]);
    const int64_t pairs = shape[0] / 2;
    const int64_t last = (shape[2] - 1) * (shape[2] - 1) + (shape[3] - 1) * (shape[3] - 1) + 7;
    int64_t done = 0;
    for (int64_t order = 0; order <= last; order++) {
        for (int64_t i = 0; i < (int64_t)count && done < pairs; i++) {
            int64_t f[3] = {i / (shape[2] * shape[3]), i / shape[3] % shape[2], i % shape[3]};
            if (f[1] * f[1] + f[2] * f[2] + (f[0] > 0 ? 7 : 0) == order) {
                fill_pattern(values + (size_t)done * count, shape, f, cosine_length);
                fill_pattern(values + (size_t)(pairs + done) * count, shape, f, -cosine_length);
                done++;
            }
        }
    }
}

/* Output channel i is input channel i where there is one; others keep their values. */
static void fill_identity(float *values, const int64_t *shape)
{
    const size_t count = (size_t)(shape[1] * shape[2] * shape[3]);
    const int64_t centre = shape[2] / 2 * shape[3] + shape[3] / 2;
    for (int64_t i = 0; i < shape[0] && i < shape[1]; i++) {
        float *filter = values + (size_t)i * count;
        memset(filter, 0, count * sizeof *filter);
        filter[i * shape[2] * shape[3] + centre] = 1.0f;
    }
}

/* PyTorch's defaults: conv and linear weights and biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)),
 * batch norm 1 / 0, running mean 0 and variance 1. Each parameter has a random stream of its own,
 * so that adding a layer leaves the others' values alone. Then what a node starts with instead. */
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
        if (i == node->weight && node->start == AMUN__START_COSINES) {
            fill_cosines(values, param->shape);
        } else if (i == node->weight && node->start == AMUN__START_IDENTITY) {
            fill_identity(values, param->shape);
        }
    }
    for (int32_t i = 0; i < graph->tracked_count; i++) {
        params->tracked[i] = 0;
    }
    params->version++;
}
