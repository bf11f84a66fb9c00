/* lower.c - from a graph to fused steps. Backends that fuse share this; it knows no library. */
#include "nn/lower.h"

typedef struct lowering {
    const amun_graph *graph;
    amun__program *program;
    amun__mode mode;
    int32_t *edges;    /* per node: how many node inputs refer to it */
    int32_t *consumer; /* per node: the last node that refers to it */
    uint8_t *claimed;  /* per node: already part of a step */
} lowering;

/* The node that alone reads `value`, or -1. */
static int32_t sole_consumer(const lowering *low, int32_t value)
{
    return low->edges[value] == 1 ? low->consumer[value] : -1;
}

static bool consumer_is(const lowering *low, int32_t value, amun__node_kind kind, int32_t *node)
{
    *node = sole_consumer(low, value);
    return *node >= 0 && low->graph->nodes[*node].kind == kind;
}

static void claim(lowering *low, amun__step *step, int32_t node)
{
    low->claimed[node] = 1;
    step->value = node;
}

/* Whether (conv + other) * f may become conv * f + other * f by scaling the weights of `other`. */
static amun__step *scalable_producer(const lowering *low, int32_t value)
{
    int32_t index = low->program->producer[value];
    if (index < 0 || low->edges[value] != 1) {
        return NULL;
    }
    amun__step *step = &low->program->steps[index];
    bool weighted = step->kind == AMUN__NODE_CONV2D || step->kind == AMUN__NODE_LINEAR;
    return weighted && !step->relu && step->sum < 0 ? step : NULL;
}

/* infer, attack: a convolution takes in what follows it. */
static void fuse_weighted(lowering *low, amun__step *step)
{
    int32_t next;
    if (consumer_is(low, step->value, AMUN__NODE_BATCHNORM, &next)) {
        step->bn = next;
        claim(low, step, next);
    }
    if (consumer_is(low, step->value, AMUN__NODE_SCALE, &next)) {
        step->factor *= low->graph->nodes[next].factor;
        claim(low, step, next);
    }
    if (consumer_is(low, step->value, AMUN__NODE_ADD, &next)) {
        const int32_t *in = low->graph->nodes[next].inputs;
        int32_t other = in[0] == step->value ? in[1] : in[0];
        if (low->program->producer[other] >= 0) { /* made by an earlier step */
            step->sum = other;
            claim(low, step, next);
            amun__step *twin = scalable_producer(low, other);
            if (twin != NULL && consumer_is(low, step->value, AMUN__NODE_SCALE, &next)) {
                step->factor *= low->graph->nodes[next].factor;
                twin->factor *= low->graph->nodes[next].factor;
                claim(low, step, next);
            }
        }
    }
    if (consumer_is(low, step->value, AMUN__NODE_RELU, &next)) {
        step->relu = 1;
        claim(low, step, next);
    }
}

static void fuse(lowering *low, amun__step *step)
{
    int32_t next;
    bool weighted = step->kind == AMUN__NODE_CONV2D || step->kind == AMUN__NODE_LINEAR;
    if (weighted && !amun__mode_trains(low->mode)) {
        fuse_weighted(low, step);
        return;
    }
    if (step->kind == AMUN__NODE_ADD && consumer_is(low, step->value, AMUN__NODE_SCALE, &next)) {
        step->factor = low->graph->nodes[next].factor;
        claim(low, step, next);
    }
    bool takes_relu =
        weighted || step->kind == AMUN__NODE_ADD || step->kind == AMUN__NODE_BATCHNORM;
    if (takes_relu && consumer_is(low, step->value, AMUN__NODE_RELU, &next)) {
        step->relu = 1;
        claim(low, step, next);
    }
}

static void count_uses(amun__program *program, int32_t nodes)
{
    for (int32_t i = 0; i < nodes; i++) {
        program->last_use[i] = -1;
    }
    for (int32_t s = 0; s < program->count; s++) {
        const amun__step *step = &program->steps[s];
        for (int32_t i = 0; i < step->input_count; i++) {
            program->last_use[step->inputs[i]] = s;
            program->uses[step->inputs[i]]++;
        }
        if (step->sum >= 0) {
            program->last_use[step->sum] = s;
            program->uses[step->sum]++;
        }
    }
}

/* Whether a batch norm reads the value: its ReLU's mask is computed from it again on the way back.
 */
static bool normalised(const amun__program *program, int32_t value)
{
    for (int32_t s = 0; s < program->count; s++) {
        const amun__step *step = &program->steps[s];
        if (step->kind == AMUN__NODE_BATCHNORM && step->inputs[0] == value) {
            return true;
        }
    }
    return false;
}

/* A sum may be overwritten when this is its last reader and, in attack mode, nobody needs it for a
 * ReLU mask on the way back. */
static void decide_in_place(lowering *low)
{
    amun__program *program = low->program;
    for (int32_t s = 0; s < program->count; s++) {
        amun__step *step = &program->steps[s];
        if (step->sum < 0 || program->last_use[step->sum] != s || step->inputs[0] == step->sum) {
            continue;
        }
        const amun__step *maker = &program->steps[program->producer[step->sum]];
        bool weighted = maker->kind == AMUN__NODE_CONV2D || maker->kind == AMUN__NODE_LINEAR;
        bool masks = maker->relu || normalised(program, step->sum);
        step->sum_in_place = weighted && (low->mode == AMUN__MODE_INFER || !masks);
    }
}

static void build_steps(lowering *low)
{
    const amun_graph *graph = low->graph;
    for (int32_t i = 1; i < graph->node_count; i++) {
        if (low->claimed[i]) {
            continue;
        }
        const amun__node *node = &graph->nodes[i];
        amun__step *step = &low->program->steps[low->program->count];
        step->kind = node->kind;
        step->node = i;
        step->input_count = node->input_count;
        memcpy(step->inputs, node->inputs, sizeof step->inputs);
        step->bn = step->sum = -1;
        step->factor = node->kind == AMUN__NODE_SCALE ? node->factor : 1;
        claim(low, step, i);
        fuse(low, step);
        low->program->producer[step->value] = low->program->count++;
    }
}

amun_status amun__lower(amun__program *out, amun_context *ctx, const amun_graph *graph,
                        amun__mode mode)
{
    amun_status status;
    size_t nodes = (size_t)graph->node_count;
    lowering low = {.graph = graph, .program = out, .mode = mode};
    memset(out, 0, sizeof *out);
    AMUN__TRY(amun__calloc(ctx, &out->steps, nodes, sizeof(amun__step)));
    AMUN__TRY(amun__calloc(ctx, &out->producer, nodes, sizeof(int32_t)));
    AMUN__TRY(amun__calloc(ctx, &out->last_use, nodes, sizeof(int32_t)));
    AMUN__TRY(amun__calloc(ctx, &out->uses, nodes, sizeof(int32_t)));
    AMUN__TRY(amun__calloc(ctx, &low.edges, nodes, sizeof(int32_t)));
    AMUN__TRY(amun__calloc(ctx, &low.consumer, nodes, sizeof(int32_t)));
    AMUN__TRY(amun__calloc(ctx, &low.claimed, nodes, 1));
    for (int32_t i = 0; i < graph->node_count; i++) {
        out->producer[i] = -1;
        for (int32_t j = 0; j < graph->nodes[i].input_count; j++) {
            low.edges[graph->nodes[i].inputs[j]]++;
            low.consumer[graph->nodes[i].inputs[j]] = i;
        }
    }
    build_steps(&low);
    count_uses(out, graph->node_count);
    decide_in_place(&low);
fail:
    amun__free(ctx, low.edges);
    amun__free(ctx, low.consumer);
    amun__free(ctx, low.claimed);
    if (status != AMUN_OK) {
        amun__lower_free(out, ctx);
    }
    return status;
}

void amun__lower_free(amun__program *program, amun_context *ctx)
{
    amun__free(ctx, program->steps);
    amun__free(ctx, program->producer);
    amun__free(ctx, program->last_use);
    amun__free(ctx, program->uses);
    memset(program, 0, sizeof *program);
}
