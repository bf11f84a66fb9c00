/* dnnl_tune.c - which code computes each convolution of a plan: forced by the context, as measured,
 * or neither (the fixed rule in dnnl_conv.c and dnnl_winograd.c). Measuring compiles a plan of the
 * convolution alone for each kind of code and runs it, layouts, packing and all. */
#include "nn/dnnl_impl.h"

#include <stdio.h>
#include <time.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "core/sort.h"
#include "nn/tune.h"

enum {
    ROUNDS = 2, /* of all kinds, one after the other: what disturbs one disturbs the others */
    LEAST = 2,  /* timed runs per round, after one that is not */
    MOST = 5,   /* per round */
    TEXT = 384  /* names of hosts and shapes */
};
/* Seconds of a round, once LEAST is reached: bounds the time of a shape. */
static const double round_seconds = 0.3;
/* A kind replaces the fixed choice only if it takes this share of its time or less: what the next
 * measurement could turn round is not worth other bytes. */
static const double clear_gain = 0.96;

/* ---- what there is -------------------------------------------------------------------------- */

/* Whether this oneDNN has Winograd on this CPU: asks for the case it was made for. */
static amun_status has_winograd(const amun__dnnl_plan *m, bool *has)
{
    const int64_t src[4] = {16, 64, 16, 16}, weights[4] = {64, 64, 3, 3};
    shim_pool pool = {0};
    dnnl_primitive_desc_t pd = NULL;
    int32_t src_md = -1, weights_md = -1;
    amun_status status = shim_pool_tag(&pool, m->plan->ctx, &src_md, 4, src, dnnl_format_tag_any);
    if (status == AMUN_OK) {
        status = shim_pool_tag(&pool, m->plan->ctx, &weights_md, 4, weights, dnnl_format_tag_any);
    }
    *has = false;
    if (status == AMUN_OK) {
        shim_op op = {.engine = m->engine,
                      .attr = m->attr,
                      .prop = dnnl_forward_training,
                      .alg = dnnl_convolution_winograd,
                      .src = shim_md(&pool, src_md),
                      .weights = shim_md(&pool, weights_md),
                      .dst = shim_md(&pool, src_md),
                      .strides = {1, 1},
                      .pad_l = {1, 1},
                      .pad_r = {1, 1}};
        *has = shim_conv_forward(&pd, &op) == dnnl_success;
    }
    if (pd != NULL) {
        dnnl_primitive_desc_destroy(pd);
    }
    shim_pool_free(&pool, m->plan->ctx);
    return status;
}

static amun_status has_kind(const amun__dnnl_plan *m, amun_conv_choice kind, bool *has)
{
    *has = kind != AMUN_CONV_OWN || amun__winograd_available();
    return kind == AMUN_CONV_WINOGRAD ? has_winograd(m, has) : AMUN_OK;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* The processor's own words, or "?". */
static void cpu_name(char brand[49], unsigned *signature)
{
    *signature = 0;
    memcpy(brand, "?", 2);
#if defined(__x86_64__) || defined(__i386__)
    unsigned words[12], ignored[3];
    if (__get_cpuid(1, signature, &ignored[0], &ignored[1], &ignored[2]) == 0) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        unsigned *w = words + 4 * i;
        if (__get_cpuid(0x80000002u + i, w, w + 1, w + 2, w + 3) == 0) {
            return;
        }
    }
    memcpy(brand, words, 48);
    brand[48] = '\0';
    for (size_t end = strlen(brand); end > 0 && brand[end - 1] == ' '; end--) {
        brand[end - 1] = '\0';
    }
    for (char *c = brand; *c != '\0'; c++) { /* it becomes a key of a JSON text */
        *c = *c >= ' ' && *c <= '~' ? *c : '?';
    }
#endif
}

static void host_name(char text[TEXT], const amun__plan *plan)
{
    char brand[49];
    unsigned signature;
    const dnnl_version_t *onednn = dnnl_version();
    cpu_name(brand, &signature);
    (void)snprintf(text, TEXT, "%s, cpuid %x, isa %x; onednn %d.%d.%d; libamun %s; threads %d",
                   brand, signature, (unsigned)dnnl_get_effective_cpu_isa(), onednn->major,
                   onednn->minor, onednn->patch, amun_version_string(), (int)plan->threads);
}

static const char *const direction_names[AMUN__DNNL_DIRECTIONS] = {"forward", "by_data",
                                                                   "by_weights"};

/* Whether weights stay as they are over many runs counts as part of the shape: then neither packing
 * nor transforming them costs anything. */
static void shape_name(char text[TEXT], const amun__plan *plan, const amun__node *node, int d)
{
    const amun__node *src = &plan->graph->nodes[node->inputs[0]];
    (void)snprintf(
        text, TEXT,
        "%s %s n%lld ic%lld ih%lld iw%lld oc%lld oh%lld ow%lld kh%lld kw%lld sh%lld "
        "sw%lld ph%lld pw%lld dh%lld dw%lld g%lld pad%d bias%d",
        direction_names[d], amun__mode_trains(plan->mode) ? "weights_change" : "weights_stay",
        (long long)plan->batch, (long long)src->channels, (long long)src->height,
        (long long)src->width, (long long)node->channels, (long long)node->height,
        (long long)node->width, (long long)node->kernel[0], (long long)node->kernel[1],
        (long long)node->stride[0], (long long)node->stride[1], (long long)node->pad[0],
        (long long)node->pad[1], (long long)node->dilation[0], (long long)node->dilation[1],
        (long long)node->groups, (int)node->padding, node->bias >= 0);
}

/* ---- one convolution alone ------------------------------------------------------------------- */

typedef struct lone {
    amun__node nodes[2];
    amun__param params[2];
    amun_graph graph;
    amun__params values;
    amun__plan plan;
} lone;

/* `node` of `of`'s graph with its source as the input. Not frozen: it has no logits. */
static amun_status lone_make(lone *l, const amun__plan *of, const amun__node *node)
{
    const amun_graph *graph = of->graph;
    memset(l, 0, sizeof *l);
    l->nodes[0] = graph->nodes[node->inputs[0]];
    l->nodes[0].kind = AMUN__NODE_INPUT;
    l->nodes[0].weight = l->nodes[0].bias = -1;
    l->nodes[0].input_count = 0;
    l->nodes[1] = *node;
    l->nodes[1].inputs[0] = 0;
    l->nodes[1].weight = 0;
    l->params[0] = graph->params[node->weight];
    l->params[0].offset = 0;
    l->params[0].node = 1;
    size_t count = l->params[0].count;
    if (node->bias >= 0) {
        l->nodes[1].bias = 1;
        l->params[1] = graph->params[node->bias];
        l->params[1].offset = count;
        l->params[1].node = 1;
        count += l->params[1].count;
    }
    l->graph.nodes = l->nodes;
    l->graph.node_count = 2;
    l->graph.params = l->params;
    l->graph.param_count = node->bias >= 0 ? 2 : 1;
    l->graph.trainable = l->graph.total = count;
    l->values.graph = &l->graph;
    AMUN__CHECK(amun__alloc(of->ctx, &l->values.values, count, sizeof(float)));
    amun__params_init(&l->values, 0);
    l->plan = (amun__plan){.ctx = of->ctx,
                           .backend = of->backend,
                           .graph = &l->graph,
                           .params = &l->values,
                           .batch = of->batch,
                           .mode = of->mode,
                           .threads = of->threads};
    return AMUN_OK;
}

static amun__dnnl_choice *lone_choice(const lone *l)
{
    amun__dnnl_plan *m = l->plan.impl;
    return &m->choices[1];
}

static amun_status lone_compile(lone *l, amun_conv_choice kind)
{
    AMUN__CHECK(amun__dnnl_open(&l->plan));
    for (int d = 0; d < AMUN__DNNL_DIRECTIONS; d++) {
        lone_choice(l)->kind[d] = (uint8_t)kind;
    }
    return amun__dnnl_compile(l->plan.impl);
}

static void lone_close(lone *l)
{
    amun__dnnl_close(&l->plan);
    l->plan.version = l->plan.bytes = 0;
}

/* ---- measuring ------------------------------------------------------------------------------ */

/* Times of one convolution, in ms, of all kinds and directions. */
typedef struct sample {
    double ms[AMUN__CONV_KINDS][AMUN__DNNL_DIRECTIONS][ROUNDS * MOST];
    int32_t count[AMUN__CONV_KINDS][AMUN__DNNL_DIRECTIONS];
} sample;

/* A single thread's own time is steadier than the clock where others work beside it. */
double amun__dnnl_seconds(const amun__dnnl_plan *m)
{
    struct timespec t;
    if (m->plan->threads == 1 && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0) {
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }
    return amun__now();
}

/* One round of one kind. Directions in which the plan took other code after all do not count. */
static amun_status measure_kind(lone *l, amun_conv_choice kind, sample *s)
{
    double seconds[AMUN__DNNL_DIRECTIONS], began;
    amun_status status;
    AMUN__TRY(lone_compile(l, kind));
    AMUN__TRY(amun__dnnl_time(l->plan.impl, seconds)); /* memory, pages, generated code */
    began = amun__now();
    for (int i = 0; i < MOST && (i < LEAST || amun__now() - began < round_seconds); i++) {
        AMUN__TRY(amun__dnnl_time(l->plan.impl, seconds));
        for (int d = 0; d < AMUN__DNNL_DIRECTIONS; d++) {
            if (lone_choice(l)->used[d] == kind) {
                s->ms[kind][d][s->count[kind][d]++] = 1e3 * seconds[d];
            }
        }
    }
fail:
    lone_close(l);
    return status;
}

static double median(double *values, int32_t count)
{
    if (count == 0) {
        return 0;
    }
    amun__sort_f64(values, (size_t)count);
    return amun__median_f64(values, (size_t)count);
}

/* The fastest kind, or the fixed one unless that is clearly slower. */
static amun__tune_entry decide(sample *s, int d, amun_conv_choice fixed)
{
    amun__tune_entry entry = {.kind = fixed};
    for (amun_conv_choice kind = AMUN_CONV_DIRECT; kind < AMUN__CONV_KINDS; kind++) {
        entry.ms[kind] = median(s->ms[kind][d], s->count[kind][d]);
    }
    double bar = clear_gain * entry.ms[fixed];
    for (amun_conv_choice kind = AMUN_CONV_DIRECT; kind < AMUN__CONV_KINDS; kind++) {
        if (kind != fixed && s->count[kind][d] > 0 && entry.ms[kind] <= bar) {
            entry.kind = kind;
            bar = entry.ms[kind];
        }
    }
    return entry;
}

typedef struct tuner {
    amun__dnnl_plan *m;
    amun__tuning *tuning;
    json_t *fresh; /* {shape: entry} that the file does not have */
    char host[TEXT];
    bool has[AMUN__CONV_KINDS];
    int directions; /* that plans of this mode have */
    int64_t strangers;
} tuner;

static amun_status measure_node(const tuner *t, const amun__node *node)
{
    const amun__plan *plan = t->m->plan;
    char shape[TEXT];
    lone l;
    sample *s = NULL;
    amun__dnnl_choice fixed;
    amun_status status;
    AMUN__TRY(lone_make(&l, plan, node));
    AMUN__TRY(amun__calloc(plan->ctx, &s, 1, sizeof *s));
    status = lone_compile(&l, AMUN_CONV_AUTO);
    fixed = status == AMUN_OK ? *lone_choice(&l) : (amun__dnnl_choice){0};
    lone_close(&l);
    for (int round = 0; round < ROUNDS; round++) {
        for (amun_conv_choice kind = AMUN_CONV_DIRECT; kind < AMUN__CONV_KINDS; kind++) {
            if (t->has[kind] && status == AMUN_OK) {
                status = measure_kind(&l, kind, s);
            }
        }
    }
    for (int d = 0; d < t->directions && status == AMUN_OK; d++) {
        amun__tune_entry entry = decide(s, d, fixed.used[d]);
        shape_name(shape, plan, node, d);
        status = amun__tune_add(t->fresh, shape, &entry);
    }
fail:
    amun__free(plan->ctx, s);
    amun__free(plan->ctx, l.values.values);
    return status;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static bool known(const tuner *t, const amun__node *node)
{
    char shape[TEXT];
    amun__tune_entry entry;
    for (int d = 0; d < t->directions; d++) {
        shape_name(shape, t->m->plan, node, d);
        if (!amun__tune_find(t->tuning, t->host, shape, &entry) &&
            json_object_get(t->fresh, shape) == NULL) {
            return false;
        }
    }
    return true;
}

static void apply(const tuner *t, int32_t index)
{
    const amun__node *node = &t->m->plan->graph->nodes[index];
    amun__dnnl_choice *choice = &t->m->choices[index];
    char shape[TEXT];
    amun__tune_entry entry;
    for (int d = 0; d < t->directions; d++) {
        shape_name(shape, t->m->plan, node, d);
        if (amun__tune_find(t->tuning, t->host, shape, &entry)) {
            choice->kind[d] = (uint8_t)entry.kind;
            for (int kind = 0; kind < AMUN__CONV_KINDS; kind++) {
                choice->ms[d][kind] = (float)entry.ms[kind];
            }
        }
    }
}

/* Under the lock of the context's choices. */
static amun_status tune(tuner *t)
{
    const amun__plan *plan = t->m->plan;
    amun__threads threads;
    AMUN__CHECK(amun__tune_open(t->tuning, t->host, &t->strangers));
    AMUN__CHECK(amun__threads_begin(plan->ctx, &threads));
    amun_status status = AMUN_OK;
    for (int32_t i = 0; i < plan->graph->node_count && status == AMUN_OK; i++) {
        const amun__node *node = &plan->graph->nodes[i];
        if (amun__dnnl_has_choice(node) && !known(t, node)) {
            status = measure_node(t, node);
        }
    }
    amun__threads_end(&threads);
    AMUN__CHECK(status);
    if (json_object_size(t->fresh) > 0) {
        AMUN__CHECK(amun__tune_store(plan->ctx, t->tuning, t->host, t->fresh));
    }
    for (int32_t i = 0; i < plan->graph->node_count; i++) {
        if (amun__dnnl_has_choice(&plan->graph->nodes[i])) {
            apply(t, i);
        }
    }
    return AMUN_OK;
}

/* *any: there is more than the direct one. */
static amun_status list_kinds(tuner *t, bool *any)
{
    for (amun_conv_choice kind = AMUN_CONV_DIRECT; kind < AMUN__CONV_KINDS; kind++) {
        AMUN__CHECK(has_kind(t->m, kind, &t->has[kind]));
        *any = *any || (t->has[kind] && kind != AMUN_CONV_DIRECT);
    }
    return AMUN_OK;
}

static amun_status choose_tuned(amun__dnnl_plan *m)
{
    amun__plan *plan = m->plan;
    tuner t = {.m = m, .tuning = amun__tuning_begin(plan->ctx), .strangers = -1};
    if (t.tuning == NULL) {
        return AMUN_OK;
    }
    bool any = false; /* something to choose between */
    amun_status status = list_kinds(&t, &any);
    if (status != AMUN_OK || !any) {
        amun__tuning_end(plan->ctx);
        return status;
    }
    t.directions = plan->mode == AMUN__MODE_INFER    ? 1
                   : plan->mode == AMUN__MODE_ATTACK ? 2
                                                     : AMUN__DNNL_DIRECTIONS;
    host_name(t.host, plan);
    t.fresh = json_object();
    status =
        t.fresh != NULL ? tune(&t) : amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for choices");
    json_decref(t.fresh);
    const char *path = t.tuning->path; /* as long as the context */
    amun__tuning_end(plan->ctx);
    if (t.strangers > 0) { /* not under the lock: a listener may call the library */
        amun__log(
            plan->ctx, AMUN_LOG_INFO,
            "%s: %lld choices measured on another host, with other versions or another number "
            "of threads do not count here",
            path, (long long)t.strangers);
    }
    return status;
}

amun_status amun__dnnl_choose(amun__dnnl_plan *m)
{
    const amun_conv_choice forced = amun__context_conv(m->plan->ctx);
    if (forced == AMUN_CONV_AUTO) {
        return choose_tuned(m);
    }
    bool has;
    AMUN__CHECK(has_kind(m, forced, &has));
    if (!has) {
        const dnnl_version_t *v = dnnl_version();
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "convolutions '%s' are asked for: %s does not have them on this CPU "
                          "(oneDNN %d.%d.%d, isa %x)",
                          amun__conv_name(forced),
                          forced == AMUN_CONV_OWN ? "the library" : "oneDNN", v->major, v->minor,
                          v->patch, (unsigned)dnnl_get_effective_cpu_isa());
    }
    for (int32_t i = 0; i < m->plan->graph->node_count; i++) {
        memset(m->choices[i].kind, forced, sizeof m->choices[i].kind);
    }
    return AMUN_OK;
}
