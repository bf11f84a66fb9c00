/* curvature.c - a forward and a backward pass of pairs: each value beside its derivative along a
 * direction of the images. Convolutions and dense layers are linear maps on twice the rows
 * (linop.h); all other nodes are in curvature_nodes.c. */
#include "nn/curvature_private.h"
#include "nn/linop.h"
#include "nn/lower.h"

/* What a pass needs of a node. */
typedef struct place {
    amun__linop *op;   /* CONV2D, LINEAR, AVG_POOL */
    int32_t value, dy; /* slots of the arena: outputs, and their gradients */
    int32_t spare;     /* slot for a gradient that is added to another; -1: none */
    int32_t last;      /* the last node that reads the output */
    bool trained;      /* parameters here or before */
    bool touched;      /* the gradient has a value (during backward) */
    double *state;     /* BATCHNORM */
} place;

struct amun__curvature {
    amun_context *ctx;
    const amun_model *model;
    const amun_graph *graph;
    size_t batch;
    place *places; /* [nodes] */
    amun__arena arena;
    float *grad; /* of the largest weight */
};

static size_t size_of(const amun__node *node)
{
    return (size_t)(node->channels * node->height * node->width);
}

static bool has_map(const amun__node *node)
{
    return node->kind == AMUN__NODE_CONV2D || node->kind == AMUN__NODE_LINEAR ||
           node->kind == AMUN__NODE_AVG_POOL;
}

/* ---- preparation ---------------------------------------------------------------------------- */

/* Whether backward looks at the input's values. */
static bool needs_source(const amun__node *node)
{
    return node->weight >= 0 || node->kind == AMUN__NODE_RELU || node->kind == AMUN__NODE_MAX_POOL;
}

/* Moments: node i works at i forward and at 2 n - i backward, the loss in between at n. */
static amun_status plan_node(amun__curvature *c, int32_t i)
{
    const amun_graph *graph = c->graph;
    const int32_t n = graph->node_count;
    place *p = &c->places[i];
    int32_t read = i == n - 1 ? n : i;
    size_t bytes;
    for (int32_t j = i + 1; j < n; j++) {
        const amun__node *reader = &graph->nodes[j];
        for (int32_t k = 0; k < reader->input_count; k++) {
            if (reader->inputs[k] == i) {
                int32_t moment = needs_source(reader) ? 2 * n - j : j;
                read = moment > read ? moment : read;
                p->last = j;
            }
        }
    }
    if (!amun__mul_size(&bytes, size_of(&graph->nodes[i]), 2 * sizeof(float)) ||
        !amun__mul_size(&bytes, bytes, c->batch)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "a batch of %zu is too large for node %d",
                          c->batch, (int)i);
    }
    AMUN__CHECK(amun__arena_add(&c->arena, c->ctx, &p->value, bytes, i, read));
    return amun__arena_add(&c->arena, c->ctx, &p->dy, bytes, i == n - 1 ? n : 2 * n - p->last,
                           2 * n - i);
}

/* Maps write their results; where another node was first, they are added from a spare slot. */
static amun_status plan_spare(amun__curvature *c, int32_t i)
{
    const amun__node *node = &c->graph->nodes[i];
    place *p = &c->places[i];
    p->spare = -1;
    if (!has_map(node) || c->places[node->inputs[0]].last == i) {
        return AMUN_OK;
    }
    const int32_t moment = 2 * c->graph->node_count - i;
    const size_t bytes = size_of(&c->graph->nodes[node->inputs[0]]) * 2 * sizeof(float) * c->batch;
    return amun__arena_add(&c->arena, c->ctx, &p->spare, bytes, moment, moment);
}

static amun_status make_node(amun__curvature *c, int32_t i, size_t *most)
{
    const amun__node *node = &c->graph->nodes[i];
    place *p = &c->places[i];
    p->trained = node->weight >= 0;
    for (int32_t k = 0; k < node->input_count; k++) {
        p->trained = p->trained || c->places[node->inputs[k]].trained;
    }
    if (node->kind == AMUN__NODE_BATCHNORM) {
        AMUN__CHECK(amun__alloc(c->ctx, &p->state, (size_t)node->channels, 4 * sizeof(double)));
    }
    if (has_map(node)) {
        AMUN__CHECK(amun__linop_create_node(&p->op, c->model, i, false, 2 * (int64_t)c->batch,
                                            AMUN__LINOP_BEST));
        const size_t count = amun__linop_weight_count(p->op);
        *most = count > *most ? count : *most;
    }
    return AMUN_OK;
}

static amun_status prepare(amun__curvature *c)
{
    size_t most = 1;
    for (int32_t i = 0; i < c->graph->node_count; i++) {
        AMUN__CHECK(plan_node(c, i));
        AMUN__CHECK(make_node(c, i, &most));
    }
    for (int32_t i = 0; i < c->graph->node_count; i++) {
        AMUN__CHECK(plan_spare(c, i));
    }
    AMUN__CHECK(amun__alloc(c->ctx, &c->grad, most, sizeof *c->grad));
    return amun__arena_plan(&c->arena, c->ctx);
}

amun_status amun__curvature_open(amun__curvature **out, const amun_model *model, size_t batch)
{
    amun_context *ctx = amun__model_context(model);
    const amun_graph *graph = amun__model_graph(model);
    amun__curvature *c = NULL;
    *out = NULL;
    AMUN__CHECK(amun__calloc(ctx, &c, 1, sizeof *c));
    *c = (amun__curvature){.ctx = ctx, .model = model, .graph = graph, .batch = batch};
    amun_status status;
    AMUN__TRY(amun__calloc(ctx, &c->places, (size_t)graph->node_count, sizeof *c->places));
    AMUN__TRY(prepare(c));
    *out = c;
    c = NULL;
fail:
    amun__curvature_close(c);
    return status;
}

void amun__curvature_close(amun__curvature *c)
{
    if (c == NULL) {
        return;
    }
    for (int32_t i = 0; i < c->graph->node_count && c->places != NULL; i++) {
        amun__linop_destroy(c->places[i].op);
        amun__free(c->ctx, c->places[i].state);
    }
    amun__arena_free(&c->arena, c->ctx);
    amun__free(c->ctx, c->places);
    amun__free(c->ctx, c->grad);
    amun__free(c->ctx, c);
}

size_t amun__curvature_bytes(const amun__curvature *c)
{
    return c->arena.bytes;
}

/* ---- a pass --------------------------------------------------------------------------------- */

/* One pass at work. */
typedef struct work {
    amun__curvature *c;
    const amun__curvature_pass *pass;
    const float *values; /* of the model */
} work;

static float *slot(const work *w, int32_t index)
{
    return (float *)(void *)((char *)w->pass->space + w->c->arena.slots[index].offset);
}

static const float *param(const work *w, int32_t index)
{
    return index < 0 ? NULL : w->values + w->c->graph->params[index].offset;
}

static float *diff_param(const work *w, int32_t index)
{
    return index < 0 || w->pass->diff == NULL ? NULL
                                              : w->pass->diff + w->c->graph->params[index].offset;
}

static amun__pair_step step_for(const work *w, int32_t i, int32_t input)
{
    const amun__node *node = &w->c->graph->nodes[i];
    const int32_t from = node->inputs[input];
    return (amun__pair_step){
        .node = node,
        .src = &w->c->graph->nodes[from],
        .count = (int64_t)w->pass->count,
        .x = slot(w, w->c->places[from].value),
        .y = slot(w, w->c->places[i].value),
        .dy = slot(w, w->c->places[i].dy),
        .state = w->c->places[i].state,
    };
}

static amun_status forward_map(const work *w, int32_t i, const amun__pair_step *s)
{
    amun__linop *op = w->c->places[i].op;
    if (s->node->weight >= 0) {
        AMUN__CHECK(amun__linop_set_weights(op, param(w, s->node->weight), NULL));
    }
    AMUN__CHECK(amun__linop_apply(op, 2 * s->count, s->x, s->y));
    if (s->node->bias >= 0) {
        amun__pair_bias(s, param(w, s->node->bias));
    }
    return AMUN_OK;
}

static amun_status forward(const work *w, int32_t i)
{
    const amun__node *node = &w->c->graph->nodes[i];
    amun__pair_step s = step_for(w, i, 0);
    switch (node->kind) {
    case AMUN__NODE_CONV2D:
    case AMUN__NODE_LINEAR:
    case AMUN__NODE_AVG_POOL:
        return forward_map(w, i, &s);
    case AMUN__NODE_BATCHNORM:
        amun__pair_batchnorm(&s, param(w, node->weight), param(w, node->bias));
        break;
    case AMUN__NODE_RELU:
        amun__pair_relu(&s);
        break;
    case AMUN__NODE_MAX_POOL:
        amun__pair_max_pool(&s);
        break;
    case AMUN__NODE_SCALE:
    case AMUN__NODE_NORMALISE:
        amun__pair_affine(&s);
        break;
    case AMUN__NODE_ADD:
    case AMUN__NODE_CONCAT:
    case AMUN__NODE_FLATTEN:
    case AMUN__NODE_INPUT:
        for (int32_t k = 0, offset = 0; k < node->input_count; k++) {
            s = step_for(w, i, k);
            s.offset = offset;
            amun__pair_place(&s, node->kind == AMUN__NODE_ADD && k > 0);
            offset += node->kind == AMUN__NODE_CONCAT ? (int32_t)size_of(s.src) : 0;
        }
        break;
    }
    return AMUN_OK;
}

/* Where the gradient of an input goes: zeros that are added to, unless `overwritten`. NULL: nobody
 * wants it. */
static float *gradient_of(const work *w, int32_t from, bool overwritten)
{
    place *p = &w->c->places[from];
    if (!p->trained && w->pass->diff_src == NULL) {
        return NULL;
    }
    float *dx = slot(w, p->dy);
    if (!p->touched && !overwritten) {
        memset(dx, 0, 2 * w->pass->count * size_of(&w->c->graph->nodes[from]) * sizeof *dx);
    }
    p->touched = true;
    return dx;
}

static void add(float *to, const float *from, double by, size_t count)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++) {
        to[i] += (float)(by * (double)from[i]);
    }
}

static amun_status backward_map(const work *w, int32_t i, amun__pair_step *s)
{
    place *p = &w->c->places[i];
    const int32_t from = s->node->inputs[0];
    const size_t values = 2 * w->pass->count * size_of(s->src);
    float *diff = diff_param(w, s->node->weight), *diff_bias = diff_param(w, s->node->bias);
    if (diff != NULL) {
        AMUN__CHECK(amun__linop_weight_grad(p->op, 2 * s->count, s->x, s->dy, w->c->grad));
        add(diff, w->c->grad, w->pass->scale, amun__linop_weight_count(p->op));
    }
    if (diff_bias != NULL) {
        amun__pair_bias_backward(s, w->pass->scale, diff_bias);
    }
    float *dx = gradient_of(w, from, true);
    if (dx == NULL) {
        return AMUN_OK;
    }
    float *to = p->spare >= 0 ? slot(w, p->spare) : dx;
    AMUN__CHECK(amun__linop_adjoint(p->op, 2 * s->count, s->dy, to));
    if (to != dx) {
        add(dx, to, 1.0, values);
    }
    return AMUN_OK;
}

static void backward_places(const work *w, int32_t i)
{
    const amun__node *node = &w->c->graph->nodes[i];
    for (int32_t k = 0, offset = 0; k < node->input_count; k++) {
        amun__pair_step s = step_for(w, i, k);
        s.offset = offset;
        s.dx = gradient_of(w, node->inputs[k], false);
        if (s.dx != NULL) {
            amun__pair_place_backward(&s);
        }
        offset += node->kind == AMUN__NODE_CONCAT ? (int32_t)size_of(s.src) : 0;
    }
}

static void backward_unary(const work *w, int32_t i)
{
    const amun__node *node = &w->c->graph->nodes[i];
    amun__pair_step s = step_for(w, i, 0);
    s.dx = gradient_of(w, node->inputs[0], false);
    if (node->kind == AMUN__NODE_BATCHNORM) {
        amun__pair_batchnorm_backward(&s, param(w, node->weight), w->pass->scale,
                                      diff_param(w, node->weight), diff_param(w, node->bias));
    } else if (s.dx == NULL) {
        return;
    } else if (node->kind == AMUN__NODE_RELU) {
        amun__pair_relu_backward(&s);
    } else if (node->kind == AMUN__NODE_MAX_POOL) {
        amun__pair_max_pool_backward(&s);
    } else {
        amun__pair_affine_backward(&s);
    }
}

static amun_status backward(const work *w, int32_t i)
{
    switch (w->c->graph->nodes[i].kind) {
    case AMUN__NODE_CONV2D:
    case AMUN__NODE_LINEAR:
    case AMUN__NODE_AVG_POOL: {
        amun__pair_step s = step_for(w, i, 0);
        return backward_map(w, i, &s);
    }
    case AMUN__NODE_ADD:
    case AMUN__NODE_CONCAT:
    case AMUN__NODE_FLATTEN:
        backward_places(w, i);
        break;
    case AMUN__NODE_BATCHNORM:
    case AMUN__NODE_RELU:
    case AMUN__NODE_MAX_POOL:
    case AMUN__NODE_SCALE:
    case AMUN__NODE_NORMALISE:
        backward_unary(w, i);
        break;
    case AMUN__NODE_INPUT:
        break;
    }
    return AMUN_OK;
}

amun_status amun__curvature_run(amun__curvature *c, const amun__curvature_pass *pass)
{
    const amun_graph *graph = c->graph;
    const int32_t last = graph->node_count - 1;
    const size_t pixels = pass->count * size_of(&graph->nodes[0]);
    amun__model_values values;
    amun__model_values_get(c->model, &values);
    const work w = {c, pass, values.values};
    for (int32_t i = 0; i <= last; i++) {
        c->places[i].touched = false;
    }
    memcpy(slot(&w, c->places[0].value), pass->direction, pixels * sizeof(float));
    memcpy(slot(&w, c->places[0].value) + pixels, pass->images, pixels * sizeof(float));
    for (int32_t i = 1; i <= last; i++) {
        AMUN__CHECK(forward(&w, i));
    }
    amun__pair_loss(slot(&w, c->places[last].value), pass->targets, pass->weights, pass->count,
                    size_of(&graph->nodes[last]), slot(&w, c->places[last].dy));
    for (int32_t i = last; i > 0; i--) {
        AMUN__CHECK(backward(&w, i));
    }
    if (pass->diff_src != NULL) {
        const float *along = slot(&w, c->places[0].dy) + pixels;
        for (size_t i = 0; i < pixels; i++) {
            pass->diff_src[i] = (float)(pass->scale * (double)along[i]);
        }
    }
    return AMUN_OK;
}
