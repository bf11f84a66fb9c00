/* dnnl_dump.c - AMUN_LOG=plan: what a plan is made of, one line per choice and per instruction. */
#include "nn/dnnl_impl.h"

#include <stdio.h>

#include "nn/tune.h"

enum { LINE = 400 };

/* ---- layouts -------------------------------------------------------------------------------- */

typedef struct layout {
    dnnl_format_tag_t tag;
    int ndims;
    const char *name;
} layout;

static const layout image_layouts[] = {{dnnl_nchw, 4, "nchw"},     {dnnl_nhwc, 4, "nhwc"},
                                       {dnnl_nChw8c, 4, "nChw8c"}, {dnnl_nChw16c, 4, "nChw16c"},
                                       {dnnl_nc, 2, "nc"},         {dnnl_x, 1, "x"}};
static const layout weight_layouts[] = {{dnnl_oihw, 4, "oihw"},
                                        {dnnl_hwio, 4, "hwio"},
                                        {dnnl_OIhw8i8o, 4, "OIhw8i8o"},
                                        {dnnl_OIhw8o8i, 4, "OIhw8o8i"},
                                        {dnnl_OIhw16i16o, 4, "OIhw16i16o"},
                                        {dnnl_OIhw16o16i, 4, "OIhw16o16i"},
                                        {dnnl_Ohwi8o, 4, "Ohwi8o"},
                                        {dnnl_Ohwi16o, 4, "Ohwi16o"},
                                        {dnnl_oi, 2, "oi"},
                                        {dnnl_io, 2, "io"}};

/* The layout's name, or "blocked" for those that have none here. */
static const char *layout_name(shim_cmd md, const layout *layouts, size_t count)
{
    const dnnl_dim_t *dims = NULL;
    int ndims = shim_md_dims(md, &dims);
    const char *name = "blocked";
    for (size_t i = 0; i < count; i++) {
        dnnl_memory_desc_t candidate;
        if (layouts[i].ndims != ndims ||
            shim_md_tag(&candidate, ndims, dims, layouts[i].tag) != dnnl_success) {
            continue;
        }
#if DNNL_VERSION_MAJOR >= 3
        bool same = dnnl_memory_desc_equal(md, candidate);
        dnnl_memory_desc_destroy(candidate);
#else
        bool same = dnnl_memory_desc_equal(md, &candidate);
#endif
        if (same) {
            return layouts[i].name;
        }
    }
    return name;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void append(char line[LINE], const char *what, const char *name, size_t bytes)
{
    size_t used = strlen(line);
    (void)snprintf(line + used, LINE - used, ", %s %s %zu bytes", what, name, bytes);
}

/* The big operands; the others' layouts say nothing. */
static void describe_primitive(char line[LINE], const amun__dnnl_primitive *p)
{
    static const struct {
        int id;
        const char *what;
        bool weights;
    } operands[] = {{DNNL_ARG_SRC, "src", false},
                    {DNNL_ARG_WEIGHTS, "weights", true},
                    {DNNL_ARG_DST, "dst", false},
                    {DNNL_ARG_DIFF_DST, "diff_dst", false},
                    {DNNL_ARG_DIFF_SRC, "diff_src", false},
                    {DNNL_ARG_DIFF_WEIGHTS, "diff_weights", true},
                    {DNNL_ARG_SCRATCHPAD, "scratchpad", false}};
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++) {
        for (int32_t j = 0; j < p->count; j++) {
            shim_cmd md = NULL;
            if (p->args[j].arg != operands[i].id ||
                dnnl_memory_get_memory_desc(p->args[j].memory, &md) != dnnl_success) {
                continue;
            }
            append(line, operands[i].what,
                   operands[i].weights
                       ? layout_name(md, weight_layouts,
                                     sizeof weight_layouts / sizeof weight_layouts[0])
                       : layout_name(md, image_layouts,
                                     sizeof image_layouts / sizeof image_layouts[0]),
                   dnnl_memory_desc_get_size(md));
        }
    }
}

static size_t image_bytes(const amun__winograd *w, bool dst)
{
    int64_t block = dst ? w->dst_block : w->src_block;
    int64_t channels = ((dst ? w->dst_channels : w->src_channels) + block - 1) / block * block;
    int64_t pixels = dst ? w->dst_height * w->dst_width : w->src_height * w->src_width;
    const bool half = dst ? w->dst_bf16 : w->src_bf16;
    return (size_t)(w->batch * channels * pixels) * (half ? 2 : sizeof(float));
}

static const char *block_name(int64_t block)
{
    return block == 8 ? "nChw8c" : "nChw16c";
}

static void describe_norm(char line[LINE], const amun__norm *n)
{
    const int64_t channels = (n->channels + n->block - 1) / n->block * n->block;
    append(line, n->bf16 ? "dst bf16" : "dst", block_name(n->block),
           (size_t)(n->batch * channels * n->pixels) * (n->bf16 ? 2 : sizeof(float)));
}

static void describe_winograd(char line[LINE], const amun__instr *instr)
{
    const amun__winograd *w = &instr->winograd;
    if (instr->kind == AMUN__INSTR_WINOGRAD_FILTERS) {
        append(line, "dst", "transformed", amun__winograd_filter_floats(w) * sizeof(float));
        return;
    }
    bool grad = instr->kind == AMUN__INSTR_WINOGRAD_GRAD;
    append(line, w->src_bf16 ? "src bf16" : "src", block_name(w->src_block), image_bytes(w, false));
    append(line, grad ? "diff_dst" : "dst", block_name(w->dst_block), image_bytes(w, true));
}

static void dump_list(const amun__dnnl_plan *m, const amun__list *list, const char *title)
{
    for (int32_t i = 0; i < list->count; i++) {
        const amun__instr *instr = &list->items[i];
        char line[LINE];
        (void)snprintf(line, sizeof line, "%s",
                       instr->label[0] != '\0' ? instr->label : amun__instr_name(instr->kind));
        if (instr->kind == AMUN__INSTR_PRIMITIVE) {
            describe_primitive(line, &m->primitives[instr->primitive]);
        } else if (instr->kind == AMUN__INSTR_NORM || instr->kind == AMUN__INSTR_NORM_DIFF) {
            describe_norm(line, &instr->norm);
        } else if (instr->label[0] != '\0') {
            describe_winograd(line, instr);
        } else {
            const bool half = instr->bf16 || instr->kind == AMUN__INSTR_NARROW;
            append(line, "dst", "in place", instr->n * (half ? 2 : sizeof(float)));
        }
        amun__log(m->plan->ctx, AMUN__LOG_PLAN, "plan %s %d: %s", title, i, line);
    }
}

/* Which code each convolution got, and what was measured if it was. */
static void dump_choices(const amun__dnnl_plan *m)
{
    static const char *const directions[] = {"forward", "by data", "by weights"};
    for (int32_t i = 0; i < m->plan->graph->node_count; i++) {
        const amun__dnnl_choice *c = &m->choices[i];
        const amun__node *node = &m->plan->graph->nodes[i];
        for (int d = 0; d < AMUN__DNNL_DIRECTIONS; d++) {
            char line[LINE] = "";
            size_t used = 0;
            for (int kind = 0; kind < AMUN__CONV_KINDS; kind++) {
                if (c->ms[d][kind] > 0) {
                    used += (size_t)snprintf(line + used, sizeof line - used, ", %s %.3f ms",
                                             amun__conv_name(kind), (double)c->ms[d][kind]);
                }
            }
            if (c->used[d] != AMUN_CONV_AUTO) {
                amun__log(m->plan->ctx, AMUN__LOG_PLAN, "plan choice %s %s: %s%s%s",
                          node->name != NULL ? node->name : "", directions[d],
                          amun__conv_name(c->used[d]), used > 0 ? "; measured" : "", line);
            }
        }
    }
}

void amun__dnnl_dump(const amun__dnnl_plan *m)
{
    static const char *const modes[] = {"?", "infer", "attack", "train", "tune"};
    const amun__plan *plan = m->plan;
    amun__log(plan->ctx, AMUN__LOG_PLAN,
              "plan: mode %s, batch %lld, arena %zu bytes, packed %zu bytes, scratch %zu bytes",
              modes[plan->mode], (long long)plan->batch, m->code.arena.bytes, m->code.fixed_bytes,
              m->scratch_bytes);
    dump_choices(m);
    dump_list(m, &m->code.pack, "pack");
    dump_list(m, &m->code.forward, "forward");
    dump_list(m, &m->code.backward, "backward");
}
