/* linop_winograd.c - linear maps around winograd.c: plain vectors to blocks of channels and back,
 * padding, transformed filters of both directions, which stay until the weights change. */
#include "nn/linop_code.h"

#include "nn/winograd.h"

#define BLOCK 8 /* channels */

enum { FORWARD, ADJOINT, DIRECTIONS };

typedef struct amun__linop_winograd {
    float *filters[DIRECTIONS];
    uint64_t version[DIRECTIONS]; /* of the weights that they are made from; 0: of none */
    amun__linop_buffer scratch;
} winograd_state;

/* One call. */
typedef struct job {
    amun__winograd form[DIRECTIONS];
    amun__frame frame;
    bool framed;
    int32_t threads;
    float *x, *y, *plain, *work; /* x, later z, and y in blocks; x or z with padding */
} job;

bool amun__linop_winograd_can(const amun__linop_shape *s)
{
    return amun__winograd_available() && s->kernel[0] == 3 && s->kernel[1] == 3 &&
           s->stride[0] == 1 && s->stride[1] == 1 && s->dilation[0] == 1 && s->dilation[1] == 1 &&
           s->groups == 1 && s->pad[0] <= 2 && s->pad[1] <= 2;
}

/* ---- layouts --------------------------------------------------------------------------------- */

static size_t blocked_floats(int64_t k, int64_t channels, int64_t pixels)
{
    return (size_t)(k * ((channels + BLOCK - 1) / BLOCK * BLOCK) * pixels);
}

/* ---- one call -------------------------------------------------------------------------------- */

static job describe(const amun__linop *op, int64_t k)
{
    const amun__linop_shape *s = &op->shape;
    job j = {.frame = amun__linop_frame(s, k),
             .framed = amun__linop_framed(s),
             .threads = amun__threads_here()};
    const amun__winograd f = {.batch = k,
                              .src_channels = s->in_channels,
                              .src_height = s->in_height + (j.framed ? 2 * s->pad[0] : 0),
                              .src_width = s->in_width + (j.framed ? 2 * s->pad[1] : 0),
                              .src_block = BLOCK,
                              .dst_channels = s->out_channels,
                              .dst_height = s->out_height,
                              .dst_width = s->out_width,
                              .dst_block = BLOCK,
                              .pad = {j.framed ? 0 : s->pad[0], j.framed ? 0 : s->pad[1]}};
    j.form[FORWARD] = f;
    j.form[ADJOINT] = amun__winograd_turned(&f);
    return j;
}

static amun_status prepare(amun__linop *op, job *j)
{
    const amun__winograd *f = &j->form[FORWARD];
    const int64_t pixels = f->src_height * f->src_width;
    size_t work = 0;
    if (op->winograd == NULL) {
        AMUN__CHECK(amun__calloc(op->ctx, &op->winograd, 1, sizeof *op->winograd));
    }
    winograd_state *s = op->winograd;
    for (int i = 0; i < DIRECTIONS; i++) {
        const size_t floats = amun__winograd_scratch_floats(&j->form[i], j->threads);
        work = floats > work ? floats : work;
    }
    work = (work + 15) / 16 * 16;
    const size_t x = blocked_floats(f->batch, f->src_channels, pixels);
    const size_t y = blocked_floats(f->batch, f->dst_channels, f->dst_height * f->dst_width);
    const size_t plain = j->framed ? (size_t)(f->batch * f->src_channels * pixels) : 0;
    const size_t floats = work + x + y + plain;
    AMUN__CHECK(amun__linop_reserve(op->ctx, &s->scratch, floats * sizeof(float)));
    j->work = s->scratch.data;
    j->x = j->work + work;
    j->y = j->x + x;
    j->plain = j->y + y;
    return AMUN_OK;
}

static amun_status bring_filters(amun__linop *op, const job *j, int direction)
{
    winograd_state *s = op->winograd;
    const amun__winograd *form = &j->form[direction];
    if (s->filters[direction] == NULL) {
        AMUN__CHECK(amun__alloc(op->ctx, &s->filters[direction], amun__winograd_filter_floats(form),
                                sizeof(float)));
    }
    if (s->version[direction] != op->version) {
        amun__winograd_filters(form, s->filters[direction], op->weights, direction == ADJOINT,
                               j->threads);
        s->version[direction] = op->version;
    }
    return AMUN_OK;
}

static const amun__winograd_tail none = {0};

static amun_status forward(amun__linop *op, const job *j, const float *x, float *y)
{
    const amun__winograd *f = &j->form[FORWARD];
    AMUN__CHECK(bring_filters(op, j, FORWARD));
    if (j->framed) {
        amun__kernel_pad(j->plain, x, &j->frame);
        x = j->plain;
    }
    amun__winograd_to_blocks(j->x, x, f->batch, f->src_channels, f->src_height * f->src_width);
    amun__winograd_run(f, j->y, j->x, op->winograd->filters[FORWARD], &none, j->work, j->threads);
    if (y != NULL) {
        amun__winograd_to_planes(y, j->y, f->batch, f->dst_channels, f->dst_height * f->dst_width);
    }
    return AMUN_OK;
}

static amun_status adjoint(amun__linop *op, const job *j, float *z)
{
    const amun__winograd *f = &j->form[FORWARD];
    AMUN__CHECK(bring_filters(op, j, ADJOINT));
    amun__winograd_run(&j->form[ADJOINT], j->x, j->y, op->winograd->filters[ADJOINT], &none,
                       j->work, j->threads);
    amun__winograd_to_planes(j->framed ? j->plain : z, j->x, f->batch, f->src_channels,
                             f->src_height * f->src_width);
    if (j->framed) {
        amun__kernel_unpad(z, j->plain, &j->frame);
    }
    return AMUN_OK;
}

amun_status amun__linop_winograd_run(amun__linop *op, int64_t k, const float *x, float *y, float *z)
{
    job j = describe(op, k);
    AMUN__CHECK(prepare(op, &j));
    if (x != NULL) {
        AMUN__CHECK(forward(op, &j, x, y));
    } else {
        const amun__winograd *f = &j.form[FORWARD];
        amun__winograd_to_blocks(j.y, y, k, f->dst_channels, f->dst_height * f->dst_width);
    }
    return z != NULL ? adjoint(op, &j, z) : AMUN_OK;
}

void amun__linop_winograd_destroy(amun__linop *op)
{
    if (op->winograd != NULL) {
        amun__free(op->ctx, op->winograd->filters[FORWARD]);
        amun__free(op->ctx, op->winograd->filters[ADJOINT]);
        amun__free(op->ctx, op->winograd->scratch.data);
        amun__free(op->ctx, op->winograd);
    }
}
