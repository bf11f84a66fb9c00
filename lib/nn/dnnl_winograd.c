/* dnnl_winograd.c - where our own Winograd convolutions take the place of oneDNN's direct ones. */
#include "nn/dnnl_impl.h"

#include <stdio.h>

bool amun__dnnl_stops_at_avx2(void)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    const unsigned avx2 = dnnl_cpu_isa_avx2, avx512 = dnnl_cpu_isa_avx512_core;
    return amun__winograd_available() && (isa & avx2) == avx2 && (isa & avx512) != avx512;
}

enum { LEAST_TILES = 4, LEAST_TILES_STRIDED = 16, LEAST_TILES_TRAINING = 32 };

/* The fixed rule, by the pass's shape and the plan's mode alone, so that every run chooses the
 * same. Where it says yes in training, forward and by weights measured faster than oneDNN's,
 * filters transformed anew each time: 1.04 times with 16 channels by weights, 2 to 8 times from 64
 * on, with stride 2 1.2 to 2.5 times (docs/performance.md). By data is the work of forward. Fewer
 * tiles do not pay for filters that change; where they stay, one block of tiles does, or three with
 * stride 2, where filters grow 9 times. Tiles that hang over the edge and channels that fill a
 * block of 16 up are computed for nothing, and with few channels the transforms outweigh the
 * products. */
static bool right_shape(const amun__winograd *w, bool trains)
{
    const bool up = w->step == AMUN__WINOGRAD_UP, same = w->step == AMUN__WINOGRAD_SAME;
    const int64_t least = trains ? LEAST_TILES_TRAINING
                          : same ? LEAST_TILES
                                 : LEAST_TILES_STRIDED;
    const int64_t height = up ? w->src_height : w->dst_height;
    const int64_t width = up ? w->src_width : w->dst_width;
    int64_t tiles = (height + 3) / 4 * ((width + 3) / 4);
    int64_t few = w->src_channels < w->dst_channels ? w->src_channels : w->dst_channels;
    int64_t filled = (w->dst_channels + 15) / 16 * 16;
    int64_t pixels = height * width; /* of 16 that a tile could have: */
    return few >= 16 && w->batch * tiles >= least && 5 * w->dst_channels >= 4 * filled &&
           pixels >= (few < 64 ? 12 : 9) * tiles;
}

/* Stride 2 with one row and column of zeros around. */
static bool halves(const amun__node *node)
{
    return node->stride[0] == 2 && node->stride[1] == 2 && node->pad[0] == 1 && node->pad[1] == 1 &&
           node->padding == AMUN__PADDING_ZERO;
}

bool amun__dnnl_has_choice(const amun__node *node)
{
    const bool same =
        node->stride[0] == 1 && node->stride[1] == 1 && node->pad[0] <= 2 && node->pad[1] <= 2;
    return node->kind == AMUN__NODE_CONV2D && node->kernel[0] == 3 && node->kernel[1] == 3 &&
           node->dilation[0] == 1 && node->dilation[1] == 1 && node->groups == 1 &&
           (same || halves(node));
}

amun_status amun__dnnl_block_of(amun__dnnl_plan *m, int64_t *block, int32_t md,
                                const int64_t dims[4])
{
    const dnnl_format_tag_t tags[] = {dnnl_nChw8c, dnnl_nChw16c};
    *block = 0;
    for (int64_t i = 0; i < 2 && *block == 0; i++) {
        int32_t candidate;
        AMUN__CHECK(amun__dnnl_md_add(m, &candidate, 4, dims, tags[i]));
        *block = amun__dnnl_md_equal(m, md, candidate) ? 8 * (i + 1) : 0;
    }
    return AMUN_OK;
}

amun_status amun__dnnl_winograd_wins(amun__dnnl_plan *m, bool *out, amun__winograd *w,
                                     int32_t index, int32_t src_md, int32_t dst_md,
                                     amun__dnnl_direction direction)
{
    const amun__node *node = &m->plan->graph->nodes[index];
    const amun_conv_choice kind = m->choices[index].kind[direction];
    const amun__node *src = &m->plan->graph->nodes[node->inputs[0]];
    bool padded = amun__dnnl_pads(node); /* already */
    *out = false;
    if (!amun__dnnl_has_choice(node) ||
        (kind == AMUN_CONV_OWN ? !amun__winograd_available()
                               : kind != AMUN_CONV_AUTO || !amun__dnnl_stops_at_avx2())) {
        return AMUN_OK;
    }
    *w = (amun__winograd){.batch = m->plan->batch,
                          .src_channels = src->channels,
                          .src_height = src->height + (padded ? 2 * node->pad[0] : 0),
                          .src_width = src->width + (padded ? 2 * node->pad[1] : 0),
                          .dst_channels = node->channels,
                          .dst_height = node->height,
                          .dst_width = node->width,
                          .pad = {padded ? 0 : node->pad[0], padded ? 0 : node->pad[1]},
                          .step = halves(node) ? AMUN__WINOGRAD_DOWN : AMUN__WINOGRAD_SAME};
    const int64_t src_dims[4] = {w->batch, w->src_channels, w->src_height, w->src_width};
    const int64_t dst_dims[4] = {w->batch, w->dst_channels, w->dst_height, w->dst_width};
    AMUN__CHECK(amun__dnnl_block_of(m, &w->src_block, src_md, src_dims));
    AMUN__CHECK(amun__dnnl_block_of(m, &w->dst_block, dst_md, dst_dims));
    if (direction == AMUN__DNNL_BY_DATA) {
        *w = amun__winograd_turned(w);
    }
    *out = w->src_block > 0 && w->dst_block > 0 &&
           (kind == AMUN_CONV_OWN || right_shape(w, amun__mode_trains(m->plan->mode)));
    return AMUN_OK;
}

/* Filters that stay the same over many runs are transformed when they change; in training they
 * change at each run, so that they only take memory while they are needed. */
static amun_status emit_filters(amun__dnnl_plan *m, amun__ref *out, amun__instr instr,
                                amun__ref weights)
{
    size_t bytes = amun__winograd_filter_floats(&instr.winograd) * sizeof(float);
    amun__list *target = m->code.target;
    uint8_t only_input = m->only_input, only_params = m->only_params;
    if (amun__mode_trains(m->plan->mode)) {
        AMUN__CHECK(amun__code_slot(&m->code, out, bytes));
    } else {
        AMUN__CHECK(amun__code_fixed(&m->code, out, bytes));
        m->code.target = &m->code.pack;
        m->only_input = m->only_params = 0;
    }
    instr.kind = AMUN__INSTR_WINOGRAD_FILTERS;
    instr.dst = *out;
    instr.a = weights;
    amun_status status = amun__dnnl_emit(m, instr);
    m->code.target = target;
    m->only_input = only_input;
    m->only_params = only_params;
    return status;
}

static void name(amun__instr *instr, const char *what, const amun__node *node)
{
    (void)snprintf(instr->label, sizeof instr->label, "%s %s [amun_wino_%s:avx2]", what,
                   node->name != NULL ? node->name : "", halves(node) ? "4x2s2" : "4x3");
}

amun_status amun__dnnl_emit_winograd(amun__dnnl_plan *m, const amun__dnnl_winograd *o)
{
    static const char *const what[] = {"conv", "conv diff_src", "conv diff_weights"};
    const amun__node *node = &m->plan->graph->nodes[o->node];
    bool by_weights = o->direction == AMUN__DNNL_BY_WEIGHTS;
    amun__instr instr = {.winograd = o->form,
                         .threads = m->plan->threads,
                         .by_data = o->direction == AMUN__DNNL_BY_DATA,
                         .sum = o->sum,
                         .relu = o->relu};
    amun__ref b = o->diff, scratch;
    size_t floats = by_weights ? amun__winograd_grad_scratch_floats(&o->form, m->plan->threads)
                               : amun__winograd_scratch_floats(&o->form, m->plan->threads);
    if (!by_weights) {
        name(&instr, "conv filters", node);
        AMUN__CHECK(emit_filters(m, &b, instr, o->weights));
    }
    AMUN__CHECK(amun__code_slot(&m->code, &scratch, floats * sizeof(float)));
    m->choices[o->node].used[o->direction] = AMUN_CONV_OWN;
    instr.kind = by_weights ? AMUN__INSTR_WINOGRAD_GRAD : AMUN__INSTR_WINOGRAD;
    instr.dst = o->dst;
    instr.a = o->src;
    instr.b = b;
    instr.bias = o->bias;
    instr.scratch = scratch;
    name(&instr, what[o->direction], node);
    return amun__dnnl_emit(m, instr);
}
