/* dnnl_bf16.c - bf16 plans: which memory of a finished f32 program holds bf16 instead, and what its
 * instructions become. All that lies between two layers does; inputs, logits, vectors per image,
 * weights, statistics and parameter gradients stay float, and so does all arithmetic.
 *
 * An instruction that knows bf16 reads and writes it itself; around any other one its operands are
 * widened to float and narrowed again, in memory that lives no longer. */
#include "nn/bf16.h"
#include "nn/dnnl_impl.h"

enum {
    MAX_OPERANDS = AMUN__DNNL_MAX_ARGS,
    RECENT = 4, /* widened copies that the next instructions may use again */
    RECENT_INSTRUCTIONS = 4
};

typedef struct operand {
    amun__ref *ref;
    bool read, written;
} operand;

typedef struct copy {
    int32_t slot, wide, moment, item; /* item: in the list, the instruction that widened it */
} copy;

typedef struct rewriting {
    amun__dnnl_plan *m;
    amun__slot *before; /* the slots as they were */
    int32_t before_count;
    int32_t *first, *last; /* per old moment: the new moments that it has become */
    operand operands[MAX_OPERANDS];
    int32_t operand_count;
    copy recent[RECENT];
    int32_t recent_count;
} rewriting;

/* ---- which slots ---------------------------------------------------------------------------- */

/* Images with more than one pixel, as batch norms and convolutions hand them on. */
static bool eligible(const amun_graph *graph, int32_t node)
{
    while (graph->nodes[node].kind == AMUN__NODE_FLATTEN) {
        node = graph->nodes[node].inputs[0];
    }
    const amun__node *n = &graph->nodes[node];
    return n->kind != AMUN__NODE_INPUT && n->kind != AMUN__NODE_NORMALISE &&
           n->kind != AMUN__NODE_LINEAR && n->height * n->width > 1 &&
           node != graph->node_count - 1;
}

enum { UNDECIDED = 0, BF16 = 1, FLOAT = 2 };

/* Values that share memory agree: one that must stay float decides. */
static void mark(amun__dnnl_plan *m, amun__ref ref, bool bf16)
{
    if (ref.space == AMUN__SPACE_ARENA) {
        amun__slot *slot = &m->code.arena.slots[ref.slot];
        slot->bf16 = bf16 && slot->bf16 != FLOAT ? BF16 : FLOAT;
    }
}

static bool in_bf16(const amun__dnnl_plan *m, amun__ref ref)
{
    return ref.space == AMUN__SPACE_ARENA && m->code.arena.slots[ref.slot].bf16 == BF16;
}

/* What is only added or copied to a bf16 gradient has no other use. */
static void mark_contributions(amun__dnnl_plan *m, const amun__list *list)
{
    for (int32_t i = 0; i < list->count; i++) {
        const amun__instr *instr = &list->items[i];
        bool adds = instr->kind == AMUN__INSTR_ADD || instr->kind == AMUN__INSTR_COPY ||
                    instr->kind == AMUN__INSTR_STRIDED;
        if (adds && in_bf16(m, instr->dst) && instr->a.space == AMUN__SPACE_ARENA &&
            m->code.arena.slots[instr->a.slot].bf16 == UNDECIDED) {
            mark(m, instr->a, true);
        }
    }
}

static void choose_slots(amun__dnnl_plan *m)
{
    const amun_graph *graph = m->plan->graph;
    for (int32_t i = 0; i < graph->node_count; i++) {
        mark(m, m->values[i].ref, eligible(graph, i));
        mark(m, m->values[i].diff, eligible(graph, i));
    }
    mark(m, m->logits, false);
    mark(m, m->input, false);
    mark(m, m->diff_logits, false);
    mark(m, m->diff_input, false);
    for (int32_t s = 0; s < m->program.count; s++) {
        const amun__step *step = &m->program.steps[s];
        if (step->kind == AMUN__NODE_CONV2D) { /* reordered or padded, and kept for the way back */
            mark(m, m->saved[s].src, eligible(graph, step->inputs[0]));
        }
    }
    mark_contributions(m, &m->code.forward);
    mark_contributions(m, &m->code.backward);
}

/* ---- operands ------------------------------------------------------------------------------- */

static void add_operand(rewriting *r, amun__ref *ref, bool read, bool written)
{
    if (ref->space == AMUN__SPACE_ARENA && r->operand_count < MAX_OPERANDS) {
        r->operands[r->operand_count++] = (operand){ref, read, written};
    }
}

static void primitive_operands(rewriting *r, const amun__instr *instr)
{
    amun__dnnl_primitive *p = &r->m->primitives[instr->primitive];
    for (int32_t j = 0; j < p->count; j++) {
        const int id = p->args[j].arg;
        bool written = id == DNNL_ARG_DST || id == DNNL_ARG_DIFF_SRC || id == DNNL_ARG_WORKSPACE ||
                       id == DNNL_ARG_DIFF_WEIGHTS || id == DNNL_ARG_DIFF_BIAS ||
                       id == DNNL_ARG_DIFF_SCALE || id == DNNL_ARG_DIFF_SHIFT;
        add_operand(r, &p->refs[j], !written || (id == DNNL_ARG_DST && instr->sum), written);
    }
}

static void find_operands(rewriting *r, amun__instr *instr)
{
    r->operand_count = 0;
    if (instr->kind == AMUN__INSTR_PRIMITIVE) {
        primitive_operands(r, instr);
        return;
    }
    /* STRIDED writes a part of its dst */
    bool updates = instr->kind == AMUN__INSTR_RELU || instr->kind == AMUN__INSTR_MASK ||
                   instr->kind == AMUN__INSTR_ADD || instr->kind == AMUN__INSTR_STRIDED ||
                   (instr->kind == AMUN__INSTR_WINOGRAD && instr->sum);
    add_operand(r, &instr->dst, updates, true);
    add_operand(r, &instr->a, true, false);
    add_operand(r, &instr->b, true, false);
}

/* ---- instructions --------------------------------------------------------------------------- */

/* Whether the instruction can take its operands as they are; it is told so. */
static bool knows_bf16(const amun__dnnl_plan *m, amun__instr *instr)
{
    bool dst = in_bf16(m, instr->dst), a = in_bf16(m, instr->a), b = in_bf16(m, instr->b);
    switch (instr->kind) {
    case AMUN__INSTR_WINOGRAD:
        instr->winograd.src_bf16 = a;
        instr->winograd.dst_bf16 = dst;
        return true;
    case AMUN__INSTR_WINOGRAD_GRAD:
        instr->winograd.src_bf16 = a;
        instr->winograd.dst_bf16 = b;
        return true;
    case AMUN__INSTR_NORM:
        instr->norm.bf16 = dst;
        return dst == a;
    case AMUN__INSTR_NORM_DIFF:
        instr->norm.bf16 = dst;
        return dst == a && a == b;
    case AMUN__INSTR_RELU:
        instr->bf16 = dst;
        return true;
    case AMUN__INSTR_RELU_TO:
    case AMUN__INSTR_MASK:
    case AMUN__INSTR_ADD:
    case AMUN__INSTR_SCALE:
    case AMUN__INSTR_COPY:
        instr->bf16 = dst && a;
        return dst == a;
    case AMUN__INSTR_ADD_TO:
        instr->bf16 = dst && a && b;
        return dst == a && a == b;
    case AMUN__INSTR_STRIDED:
        if (dst && a) {
            instr->bf16 = 1;
            instr->dst.offset /= 2;
            instr->a.offset /= 2;
        }
        return dst == a;
    default:
        return false;
    }
}

static amun_status emit_conversion(rewriting *r, const amun__instr *around, amun__instr_kind kind,
                                   int32_t dst, int32_t a, size_t bytes)
{
    const amun__instr instr = {.kind = kind,
                               .dst = {.space = AMUN__SPACE_ARENA, .slot = dst},
                               .a = {.space = AMUN__SPACE_ARENA, .slot = a},
                               .n = bytes / sizeof(float),
                               .only_input = around->only_input,
                               .only_params = around->only_params,
                               .pass = around->pass};
    return amun__code_emit(&r->m->code, &instr);
}

static void drop_copies(rewriting *r, int32_t slot)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < r->recent_count; i++) {
        if (r->recent[i].slot != slot &&
            r->m->code.clock - r->recent[i].moment <= RECENT_INSTRUCTIONS) {
            r->recent[kept++] = r->recent[i];
        }
    }
    r->recent_count = kept;
}

/* A widened copy that was made for reading a moment ago, or -1. It must then exist whenever one of
 * its two readers runs. */
static int32_t recall(rewriting *r, int32_t slot, const amun__instr *reader)
{
    drop_copies(r, -1);
    for (int32_t i = 0; i < r->recent_count; i++) {
        if (r->recent[i].slot == slot) {
            amun__instr *widen = &r->m->code.target->items[r->recent[i].item];
            widen->only_input &= reader->only_input;
            widen->only_params &= reader->only_params;
            return r->recent[i].wide;
        }
    }
    return -1;
}

static void remember(rewriting *r, int32_t slot, int32_t wide)
{
    if (r->recent_count < RECENT) {
        r->recent[r->recent_count++] =
            (copy){slot, wide, r->m->code.clock, r->m->code.target->count - 1};
    }
}

/* A float copy of `slot` for one instruction: the old contents in it, if they are read. */
static amun_status widened(rewriting *r, const amun__instr *instr, int32_t slot, bool read,
                           bool written, int32_t *wide)
{
    *wide = read && !written ? recall(r, slot, instr) : -1;
    if (*wide >= 0) {
        return AMUN_OK;
    }
    amun__ref temporary;
    AMUN__CHECK(amun__code_slot(&r->m->code, &temporary, r->before[slot].bytes));
    *wide = temporary.slot;
    if (read) {
        AMUN__CHECK(
            emit_conversion(r, instr, AMUN__INSTR_WIDEN, *wide, slot, r->before[slot].bytes));
    }
    if (read && !written) {
        remember(r, slot, *wide);
    }
    return AMUN_OK;
}

/* Puts float copies in the place of the instruction's bf16 operands; written[] gets those that have
 * to go back, as pairs of slots. */
static amun_status widen_operands(rewriting *r, const amun__instr *instr,
                                  int32_t written[MAX_OPERANDS][2], int32_t *count)
{
    *count = 0;
    for (int32_t i = 0; i < r->operand_count; i++) {
        const int32_t slot = r->operands[i].ref->slot;
        if (!in_bf16(r->m, *r->operands[i].ref)) {
            continue;
        }
        bool reads = false, writes = false;
        for (int32_t j = i; j < r->operand_count; j++) {
            if (r->operands[j].ref->slot == slot) {
                reads |= r->operands[j].read;
                writes |= r->operands[j].written;
            }
        }
        int32_t wide;
        AMUN__CHECK(widened(r, instr, slot, reads, writes, &wide));
        for (int32_t j = i; j < r->operand_count; j++) {
            if (r->operands[j].ref->slot == slot) {
                r->operands[j].ref->slot = wide;
            }
        }
        if (writes) {
            written[*count][0] = slot;
            written[(*count)++][1] = wide;
        }
    }
    return AMUN_OK;
}

static void touch_primitive(const rewriting *r, const amun__instr *instr)
{
    if (instr->kind == AMUN__INSTR_PRIMITIVE) {
        const amun__dnnl_primitive *p = &r->m->primitives[instr->primitive];
        for (int32_t j = 0; j < p->count; j++) {
            amun__code_touch(&r->m->code, p->refs[j]);
        }
    }
}

static amun_status rewrite(rewriting *r, amun__instr instr)
{
    amun__code *code = &r->m->code;
    int32_t written[MAX_OPERANDS][2], count = 0;
    find_operands(r, &instr);
    for (int32_t i = 0; i < r->operand_count; i++) {
        if (r->operands[i].written) {
            drop_copies(r, r->operands[i].ref->slot);
        }
    }
    if (!knows_bf16(r->m, &instr)) {
        AMUN__CHECK(widen_operands(r, &instr, written, &count));
    }
    touch_primitive(r, &instr);
    AMUN__CHECK(amun__code_emit(code, &instr));
    for (int32_t i = 0; i < count; i++) {
        AMUN__CHECK(emit_conversion(r, &instr, AMUN__INSTR_NARROW, written[i][0], written[i][1],
                                    r->before[written[i][0]].bytes));
    }
    return AMUN_OK;
}

/* ---- the whole program ---------------------------------------------------------------------- */

/* Moments go on: those of forward and backward become several, all others one. */
static amun_status rewrite_lists(rewriting *r, int32_t moments)
{
    amun__code *code = &r->m->code;
    amun__list old[2] = {code->forward, code->backward};
    amun__list *new[2] = {&code->forward, &code->backward};
    amun_status status = AMUN_OK;
    int32_t at[2] = {0, 0}, before = 0;
    code->forward = code->backward = (amun__list){0};
    for (int32_t t = 0; t < moments; t++) {
        r->first[t] = code->clock;
        bool found = false;
        for (int32_t l = 0; l < 2 && !found; l++) {
            found = at[l] < old[l].count && old[l].items[at[l]].moment == t;
            if (found) {
                r->recent_count = l == before ? r->recent_count : 0;
                before = l;
                code->target = new[l];
                AMUN__TRY(rewrite(r, old[l].items[at[l]++]));
            }
        }
        code->clock += found ? 0 : 1;
        r->last[t] = code->clock - 1;
    }
fail:
    amun__free(code->ctx, old[0].items);
    amun__free(code->ctx, old[1].items);
    return status;
}

static void shrink_slots(rewriting *r)
{
    for (int32_t i = 0; i < r->before_count; i++) {
        amun__slot *slot = &r->m->code.arena.slots[i];
        const amun__slot *before = &r->before[i];
        slot->first = r->first[before->first];
        slot->last = r->last[before->last];
        if (slot->bf16 == BF16) {
            slot->bytes = (before->bytes / 2 + 63) / 64 * 64;
        }
    }
}

amun_status amun__dnnl_store_bf16(amun__dnnl_plan *m)
{
    amun__code *code = &m->code;
    amun_context *ctx = m->plan->ctx;
    rewriting r = {.m = m, .before_count = code->arena.count};
    const int32_t moments = code->clock + 1;
    amun_status status;
    choose_slots(m);
    AMUN__TRY(amun__alloc(ctx, &r.before, (size_t)r.before_count, sizeof *r.before));
    AMUN__TRY(amun__calloc(ctx, &r.first, (size_t)moments, sizeof *r.first));
    AMUN__TRY(amun__calloc(ctx, &r.last, (size_t)moments, sizeof *r.last));
    memcpy(r.before, code->arena.slots, (size_t)r.before_count * sizeof *r.before);
    code->clock = 0;
    AMUN__TRY(rewrite_lists(&r, moments));
    shrink_slots(&r);
fail:
    amun__free(ctx, r.before);
    amun__free(ctx, r.first);
    amun__free(ctx, r.last);
    return status;
}
