/* dnnl_linop.c - convolutions as linear maps on oneDNN. Vectors are plain outside; inside, each
 * primitive gets the layouts that it likes best. Primitives are made for each block size when it is
 * first asked for; packed weights are shared by all that want the same layout. The adjoint is
 * backward-by-data with the exact extent of the padded source, so rows that no window reaches get
 * zeros; padding other than zeros is done around the primitives by its map and adjoint. */
#include "nn/dnnl_impl.h"
#include "nn/linop_code.h"

enum { BUFFER_SRC, BUFFER_DST, BUFFER_WEIGHTS, BUFFER_FRAME, BUFFER_SCRATCH, BUFFERS };
enum {
    PASS_FORWARD = AMUN__DNNL_FORWARD,
    PASS_DATA = AMUN__DNNL_BY_DATA,
    PASS_WEIGHTS = AMUN__DNNL_BY_WEIGHTS,
    PASSES
};

/* One primitive and its arguments; handle NULL: nothing to do. */
typedef struct step {
    dnnl_primitive_t handle;
    dnnl_exec_arg_t args[4];
    int32_t count;
    size_t scratch;
} step;

/* One array of a pass: plain outside, `md` inside. */
typedef struct operand {
    int id;    /* of the argument */
    int place; /* the buffer of the inner layout */
    int32_t plain, md;
    step reorder;
} operand;

typedef struct pass {
    operand in[2], out; /* in[1] of the first two passes: packed weights */
    int32_t pack;
    step main;
    bool ready;
} pass;

typedef struct block {
    int64_t k;
    dnnl_primitive_desc_t hint;
    pass passes[PASSES];
} block;

typedef struct pack {
    int32_t md;
    amun__linop_buffer memory;
    uint64_t version; /* of the weights that lie there */
    step reorder;
} pack;

typedef struct amun__dnnl_linop {
    amun_context *ctx;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* user scratchpad */
    shim_pool pool;
    amun__linop_buffer buffers[BUFFERS];
    pack *packs;
    int32_t pack_count;
    block *blocks;
    int32_t block_count;
    bool framed;
    int64_t in[3]; /* channels, height, width that the primitives see */
} linop_impl;

static amun_status fail_dnnl(const amun__linop *op, dnnl_status_t status, int64_t k,
                             const char *what)
{
    const amun__linop_shape *s = &op->shape;
    return amun__fail(AMUN_ERROR_BACKEND,
                      "oneDNN: %s, [%lld, %lld, %lld, %lld] to [%lld, %lld, %lld], f32: status %d",
                      what, (long long)k, (long long)s->in_channels, (long long)s->in_height,
                      (long long)s->in_width, (long long)s->out_channels, (long long)s->out_height,
                      (long long)s->out_width, (int)status);
}

/* ---- memory descriptors ---------------------------------------------------------------------- */

static amun_status add_md(linop_impl *m, int32_t *out, int ndims, const int64_t *dims,
                          dnnl_format_tag_t tag)
{
    return shim_pool_tag(&m->pool, m->ctx, out, ndims, dims, tag);
}

static amun_status query_md(linop_impl *m, int32_t *out, const_dnnl_primitive_desc_t pd,
                            dnnl_query_t what)
{
    return shim_pool_query(&m->pool, m->ctx, out, pd, what);
}

static amun_status add_src(linop_impl *m, int32_t *out, int64_t k, dnnl_format_tag_t tag)
{
    const int64_t dims[4] = {k, m->in[0], m->in[1], m->in[2]};
    return add_md(m, out, 4, dims, tag);
}

static amun_status add_dst(const amun__linop *op, int32_t *out, int64_t k, dnnl_format_tag_t tag)
{
    const amun__linop_shape *s = &op->shape;
    const int64_t dims[4] = {k, s->out_channels, s->out_height, s->out_width};
    return add_md(op->dnnl, out, 4, dims, tag);
}

static amun_status add_weights(const amun__linop *op, int32_t *out, bool plain)
{
    const amun__linop_shape *s = &op->shape;
    const int64_t g = s->groups;
    const int64_t dims[5] = {g, s->out_channels / g, s->in_channels / g, s->kernel[0],
                             s->kernel[1]};
    return g > 1 ? add_md(op->dnnl, out, 5, dims, plain ? dnnl_goihw : dnnl_format_tag_any)
                 : add_md(op->dnnl, out, 4, dims + 1, plain ? dnnl_oihw : dnnl_format_tag_any);
}

static bool md_equal(const linop_impl *m, int32_t a, int32_t b)
{
    return a == b || dnnl_memory_desc_equal(shim_md(&m->pool, a), shim_md(&m->pool, b));
}

static size_t md_bytes(const linop_impl *m, int32_t md)
{
    return dnnl_memory_desc_get_size(shim_md(&m->pool, md));
}

/* ---- primitives ------------------------------------------------------------------------------ */

static dnnl_status_t add_argument(const linop_impl *m, step *s, int id, shim_cmd md)
{
    s->args[s->count].arg = id;
    dnnl_status_t status =
        dnnl_memory_create(&s->args[s->count].memory, md, m->engine, DNNL_MEMORY_NONE);
    s->count += status == dnnl_success;
    return status;
}

/* `ids` and `mds`: its arguments besides the scratchpad, in the order of run_step()'s pointers. */
static dnnl_status_t make_step(linop_impl *m, step *s, const_dnnl_primitive_desc_t pd,
                               int32_t count, const int *ids, const int32_t *mds)
{
    dnnl_status_t status = dnnl_primitive_create(&s->handle, pd);
    for (int32_t i = 0; i < count && status == dnnl_success; i++) {
        status = add_argument(m, s, ids[i], shim_md(&m->pool, mds[i]));
    }
    shim_cmd scratch = shim_query_md(pd, dnnl_query_scratchpad_md);
    s->scratch = scratch != NULL ? dnnl_memory_desc_get_size(scratch) : 0;
    if (s->scratch > 0 && status == dnnl_success) {
        status = add_argument(m, s, DNNL_ARG_SCRATCHPAD, scratch);
    }
    return status;
}

static void free_step(step *s)
{
    for (int32_t i = 0; i < s->count; i++) {
        dnnl_memory_destroy(s->args[i].memory);
    }
    if (s->handle != NULL) {
        dnnl_primitive_destroy(s->handle);
    }
}

static amun_status make_reorder(const amun__linop *op, step *s, int32_t from, int32_t to)
{
    linop_impl *m = op->dnnl;
    dnnl_primitive_desc_t pd = NULL;
    if (md_equal(m, from, to)) {
        return AMUN_OK;
    }
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(
        &pd, shim_md(&m->pool, from), m->engine, shim_md(&m->pool, to), m->engine, m->attr);
    if (status == dnnl_success) {
        const int ids[2] = {DNNL_ARG_FROM, DNNL_ARG_TO};
        const int32_t mds[2] = {from, to};
        status = make_step(m, s, pd, 2, ids, mds);
        dnnl_primitive_desc_destroy(pd);
    }
    return status == dnnl_success ? AMUN_OK : fail_dnnl(op, status, 0, "reorder");
}

static amun_status run_step(const amun__linop *op, step *s, const void *a, const void *b,
                            const void *c)
{
    linop_impl *m = op->dnnl;
    /* inputs are plain arrays without padding, which oneDNN only reads */
    void *data[4] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, (void *)(uintptr_t)c, NULL};
    AMUN__CHECK(amun__linop_reserve(m->ctx, &m->buffers[BUFFER_SCRATCH], s->scratch));
    dnnl_status_t status = dnnl_success;
    for (int32_t i = 0; i < s->count && status == dnnl_success; i++) {
        bool scratch = s->args[i].arg == DNNL_ARG_SCRATCHPAD;
        status = dnnl_memory_set_data_handle(s->args[i].memory,
                                             scratch ? m->buffers[BUFFER_SCRATCH].data : data[i]);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_execute(s->handle, m->stream, s->count, s->args);
    }
    if (status == dnnl_success) {
        status = dnnl_stream_wait(m->stream);
    }
    return status == dnnl_success ? AMUN_OK : fail_dnnl(op, status, 0, "execution");
}

/* ---- packed weights -------------------------------------------------------------------------- */

/* The packed weights of this layout, which need not be up to date; -1: the plain ones do. */
static amun_status find_pack(const amun__linop *op, int32_t *out, int32_t plain, int32_t md)
{
    linop_impl *m = op->dnnl;
    *out = -1;
    if (md_equal(m, plain, md)) {
        return AMUN_OK;
    }
    for (int32_t i = 0; i < m->pack_count; i++) {
        if (md_equal(m, m->packs[i].md, md)) {
            *out = i;
            return AMUN_OK;
        }
    }
    AMUN__CHECK(amun__realloc(m->ctx, &m->packs, (size_t)m->pack_count + 1, sizeof *m->packs));
    *out = m->pack_count;
    m->packs[m->pack_count++] = (pack){.md = md};
    return make_reorder(op, &m->packs[*out].reorder, plain, md);
}

static amun_status packed_weights(const amun__linop *op, int32_t index, const void **out)
{
    linop_impl *m = op->dnnl;
    *out = op->weights;
    if (index < 0) {
        return AMUN_OK;
    }
    pack *p = &m->packs[index];
    AMUN__CHECK(amun__linop_reserve(m->ctx, &p->memory, md_bytes(m, p->md)));
    *out = p->memory.data;
    if (p->version != op->version) {
        AMUN__CHECK(run_step(op, &p->reorder, op->weights, p->memory.data, NULL));
        p->version = op->version;
    }
    return AMUN_OK;
}

/* ---- passes ---------------------------------------------------------------------------------- */

static shim_op geometry(const amun__linop *op)
{
    const linop_impl *m = op->dnnl;
    shim_op out = {.engine = m->engine, .attr = m->attr, .prop = dnnl_forward_training};
    for (int i = 0; i < 2; i++) {
        out.strides[i] = op->shape.stride[i];
        out.dilates[i] = op->shape.dilation[i] - 1;
        out.pad_l[i] = out.pad_r[i] = m->framed ? 0 : op->shape.pad[i];
    }
    return out;
}

/* Descriptors of the three arrays of a pass, as the primitive should see them: forward chooses the
 * layouts, the other two take over what they read. */
static amun_status wanted_mds(const amun__linop *op, const block *b, int which, int32_t mds[3])
{
    linop_impl *m = op->dnnl;
    const pass *forward = &b->passes[PASS_FORWARD];
    bool few = m->in[0] < AMUN__DNNL_FEW_CHANNELS;
    AMUN__CHECK(add_weights(op, &mds[1], false));
    switch (which) {
    case PASS_FORWARD:
        AMUN__CHECK(add_src(m, &mds[0], b->k, few ? dnnl_nchw : dnnl_format_tag_any));
        return add_dst(op, &mds[2], b->k, dnnl_format_tag_any);
    case PASS_DATA:
        mds[2] = forward->out.md;
        return add_src(m, &mds[0], b->k, dnnl_format_tag_any);
    default:
        mds[0] = forward->in[0].md;
        mds[2] = forward->out.md;
        return AMUN_OK;
    }
}

/* The layouts that the primitive chose, and where its arrays lie outside. */
static amun_status set_operands(const amun__linop *op, const block *b, int which,
                                const_dnnl_primitive_desc_t pd)
{
    linop_impl *m = op->dnnl;
    pass *p = &m->blocks[b - m->blocks].passes[which];
    operand src = {.place = BUFFER_SRC, .id = DNNL_ARG_SRC};
    operand dst = {.place = BUFFER_DST, .id = DNNL_ARG_DST};
    operand weights = {.place = BUFFER_WEIGHTS, .id = DNNL_ARG_WEIGHTS};
    bool data = which == PASS_DATA, grad = which == PASS_WEIGHTS;
    src.id = data ? DNNL_ARG_DIFF_SRC : src.id;
    dst.id = which == PASS_FORWARD ? dst.id : DNNL_ARG_DIFF_DST;
    weights.id = grad ? DNNL_ARG_DIFF_WEIGHTS : weights.id;
    AMUN__CHECK(add_src(m, &src.plain, b->k, dnnl_nchw));
    AMUN__CHECK(add_dst(op, &dst.plain, b->k, dnnl_nchw));
    AMUN__CHECK(add_weights(op, &weights.plain, true));
    AMUN__CHECK(query_md(m, &src.md, pd, data ? dnnl_query_diff_src_md : dnnl_query_src_md));
    AMUN__CHECK(query_md(m, &dst.md, pd,
                         which == PASS_FORWARD ? dnnl_query_dst_md : dnnl_query_diff_dst_md));
    AMUN__CHECK(
        query_md(m, &weights.md, pd, grad ? dnnl_query_diff_weights_md : dnnl_query_weights_md));
    p->in[0] = data ? dst : src;
    p->in[1] = grad ? dst : weights;
    p->out = data ? src : grad ? weights : dst;
    return AMUN_OK;
}

static amun_status make_pass(const amun__linop *op, block *b, int which)
{
    static const char *const names[PASSES] = {"convolution forward", "convolution backward by data",
                                              "convolution backward by weights"};
    linop_impl *m = op->dnnl;
    pass *p = &b->passes[which];
    dnnl_primitive_desc_t pd = NULL;
    int32_t mds[3];
    amun_status status;
    shim_op shim = geometry(op);
    AMUN__TRY(wanted_mds(op, b, which, mds));
    shim.src = shim_md(&m->pool, mds[0]);
    shim.weights = shim_md(&m->pool, mds[1]);
    shim.dst = shim_md(&m->pool, mds[2]);
    shim.hint = b->hint;
    dnnl_status_t made = amun__dnnl_conv_create(&pd, &shim, m->in[0], (amun__dnnl_direction)which,
                                                amun__context_conv(op->ctx));
    if (made != dnnl_success) {
        status = fail_dnnl(op, made, b->k, names[which]);
        goto fail;
    }
    AMUN__TRY(set_operands(op, b, which, pd));
    const int ids[3] = {p->in[0].id, p->in[1].id, p->out.id};
    const int32_t inner[3] = {p->in[0].md, p->in[1].md, p->out.md};
    made = make_step(m, &p->main, pd, 3, ids, inner);
    if (made != dnnl_success) {
        status = fail_dnnl(op, made, b->k, names[which]);
        goto fail;
    }
    AMUN__TRY(make_reorder(op, &p->in[0].reorder, p->in[0].plain, p->in[0].md));
    if (which == PASS_WEIGHTS) {
        AMUN__TRY(make_reorder(op, &p->in[1].reorder, p->in[1].plain, p->in[1].md));
    } else {
        AMUN__TRY(find_pack(op, &p->pack, p->in[1].plain, p->in[1].md));
    }
    AMUN__TRY(make_reorder(op, &p->out.reorder, p->out.md, p->out.plain));
    p->ready = true;
    if (which == PASS_FORWARD) {
        b->hint = pd;
        pd = NULL;
    }
fail:
    if (pd != NULL) {
        dnnl_primitive_desc_destroy(pd);
    }
    return status;
}

static void free_block(block *b)
{
    for (int i = 0; i < PASSES; i++) {
        free_step(&b->passes[i].in[0].reorder);
        free_step(&b->passes[i].in[1].reorder);
        free_step(&b->passes[i].out.reorder);
        free_step(&b->passes[i].main);
    }
    if (b->hint != NULL) {
        dnnl_primitive_desc_destroy(b->hint);
    }
}

/* The pass for blocks of k vectors. A pass that could not be made leaves no block behind. */
static amun_status find_pass(const amun__linop *op, int64_t k, int which, pass **out)
{
    linop_impl *m = op->dnnl;
    int32_t at = 0;
    while (at < m->block_count && m->blocks[at].k != k) {
        at++;
    }
    if (at == m->block_count) {
        AMUN__CHECK(amun__realloc(m->ctx, &m->blocks, (size_t)at + 1, sizeof *m->blocks));
        m->blocks[at] = (block){.k = k};
        m->block_count++;
    }
    block *b = &m->blocks[at];
    amun_status status = AMUN_OK;
    if (!b->passes[PASS_FORWARD].ready) {
        status = make_pass(op, b, PASS_FORWARD);
    }
    if (status == AMUN_OK && !b->passes[which].ready) {
        status = make_pass(op, b, which);
    }
    if (status != AMUN_OK) {
        free_block(b);
        *b = m->blocks[--m->block_count];
        return status;
    }
    *out = &b->passes[which];
    return AMUN_OK;
}

/* ---- running --------------------------------------------------------------------------------- */

/* An input in its inner layout: the caller's array itself if that is plain. */
static amun_status bring_in(const amun__linop *op, operand *o, const void **data)
{
    linop_impl *m = op->dnnl;
    if (o->reorder.handle == NULL) {
        return AMUN_OK;
    }
    amun__linop_buffer *b = &m->buffers[o->place];
    AMUN__CHECK(amun__linop_reserve(m->ctx, b, md_bytes(m, o->md)));
    AMUN__CHECK(run_step(op, &o->reorder, *data, b->data, NULL));
    *data = b->data;
    return AMUN_OK;
}

/* Where the primitive writes: the caller's array, or a buffer (always, if there is no array). */
static amun_status out_place(const amun__linop *op, const operand *o, void *plain, void **out)
{
    linop_impl *m = op->dnnl;
    *out = plain;
    if (o->reorder.handle == NULL && plain != NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__linop_reserve(m->ctx, &m->buffers[o->place], md_bytes(m, o->md)));
    *out = m->buffers[o->place].data;
    return AMUN_OK;
}

static amun_status bring_out(const amun__linop *op, operand *o, const void *from, void *plain)
{
    return o->reorder.handle == NULL || plain == NULL
               ? AMUN_OK
               : run_step(op, &o->reorder, from, plain, NULL);
}

/* The source with its frame, if the primitives see one. */
static amun_status frame_in(const amun__linop *op, int64_t k, const void **x)
{
    linop_impl *m = op->dnnl;
    if (!m->framed) {
        return AMUN_OK;
    }
    amun__linop_buffer *b = &m->buffers[BUFFER_FRAME];
    size_t plane = (size_t)(m->in[1] * m->in[2]) * sizeof(float);
    const amun__frame frame = amun__linop_frame(&op->shape, k);
    AMUN__CHECK(amun__linop_reserve(m->ctx, b, frame.planes * plane));
    amun__kernel_pad(b->data, *x, &frame);
    *x = b->data;
    return AMUN_OK;
}

/* y, or (y NULL) a buffer with M x in the inner layout: *inner. */
static amun_status forward(const amun__linop *op, int64_t k, const void *x, void *y,
                           const void **inner)
{
    pass *p = NULL;
    const void *weights;
    void *place;
    AMUN__CHECK(find_pass(op, k, PASS_FORWARD, &p));
    AMUN__CHECK(packed_weights(op, p->pack, &weights));
    AMUN__CHECK(frame_in(op, k, &x));
    AMUN__CHECK(bring_in(op, &p->in[0], &x));
    AMUN__CHECK(out_place(op, &p->out, y, &place));
    AMUN__CHECK(run_step(op, &p->main, x, weights, place));
    *inner = place;
    return bring_out(op, &p->out, place, y);
}

/* `y` in the inner layout. */
static amun_status backward(const amun__linop *op, int64_t k, pass *p, const void *y, void *x)
{
    linop_impl *m = op->dnnl;
    const void *weights;
    void *place, *plain = x;
    AMUN__CHECK(packed_weights(op, p->pack, &weights));
    if (m->framed) {
        amun__linop_buffer *b = &m->buffers[BUFFER_FRAME];
        AMUN__CHECK(amun__linop_reserve(m->ctx, b, md_bytes(m, p->out.plain)));
        plain = b->data;
    }
    AMUN__CHECK(out_place(op, &p->out, plain, &place));
    AMUN__CHECK(run_step(op, &p->main, y, weights, place));
    AMUN__CHECK(bring_out(op, &p->out, place, plain));
    if (m->framed) {
        const amun__frame frame = amun__linop_frame(&op->shape, k);
        amun__kernel_unpad(x, plain, &frame);
    }
    return AMUN_OK;
}

amun_status amun__dnnl_linop_apply(amun__linop *op, int64_t k, const float *x, float *y)
{
    const void *inner;
    return forward(op, k, x, y, &inner);
}

amun_status amun__dnnl_linop_adjoint(amun__linop *op, int64_t k, const float *y, float *x)
{
    pass *p = NULL;
    const void *inner = y;
    AMUN__CHECK(find_pass(op, k, PASS_DATA, &p));
    AMUN__CHECK(bring_in(op, &p->in[0], &inner));
    return backward(op, k, p, inner, x);
}

amun_status amun__dnnl_linop_gram(amun__linop *op, int64_t k, const float *x, float *y, float *z)
{
    pass *p = NULL;
    const void *inner;
    AMUN__CHECK(find_pass(op, k, PASS_DATA, &p));
    AMUN__CHECK(forward(op, k, x, y, &inner));
    return backward(op, k, p, inner, z);
}

amun_status amun__dnnl_linop_weight_grad(amun__linop *op, int64_t k, const float *x, const float *r,
                                         float *diff_weights)
{
    pass *p = NULL;
    const void *source = x, *diff = r;
    void *place;
    AMUN__CHECK(find_pass(op, k, PASS_WEIGHTS, &p));
    AMUN__CHECK(frame_in(op, k, &source));
    AMUN__CHECK(bring_in(op, &p->in[0], &source));
    AMUN__CHECK(bring_in(op, &p->in[1], &diff));
    AMUN__CHECK(out_place(op, &p->out, diff_weights, &place));
    AMUN__CHECK(run_step(op, &p->main, source, diff, place));
    return bring_out(op, &p->out, place, diff_weights);
}

/* ---- life ------------------------------------------------------------------------------------ */

amun_status amun__dnnl_linop_create(amun__linop *op)
{
    const amun__linop_shape *s = &op->shape;
    linop_impl *m = NULL;
    AMUN__CHECK(amun__calloc(op->ctx, &m, 1, sizeof *m));
    op->dnnl = m;
    m->ctx = op->ctx;
    m->framed = amun__linop_framed(s);
    m->in[0] = s->in_channels;
    m->in[1] = s->in_height + (m->framed ? 2 * s->pad[0] : 0);
    m->in[2] = s->in_width + (m->framed ? 2 * s->pad[1] : 0);
    return shim_open(&m->engine, &m->stream, &m->attr);
}

void amun__dnnl_linop_destroy(amun__linop *op)
{
    linop_impl *m = op->dnnl;
    if (m == NULL) {
        return;
    }
    for (int32_t i = 0; i < m->block_count; i++) {
        free_block(&m->blocks[i]);
    }
    for (int32_t i = 0; i < m->pack_count; i++) {
        free_step(&m->packs[i].reorder);
        amun__free(m->ctx, m->packs[i].memory.data);
    }
    for (int i = 0; i < BUFFERS; i++) {
        amun__free(m->ctx, m->buffers[i].data);
    }
    shim_pool_free(&m->pool, m->ctx);
    if (m->attr != NULL) {
        dnnl_primitive_attr_destroy(m->attr);
    }
    if (m->stream != NULL) {
        dnnl_stream_destroy(m->stream);
    }
    if (m->engine != NULL) {
        dnnl_engine_destroy(m->engine);
    }
    amun__free(m->ctx, m->blocks);
    amun__free(m->ctx, m->packs);
    amun__free(m->ctx, m);
    op->dnnl = NULL;
}
