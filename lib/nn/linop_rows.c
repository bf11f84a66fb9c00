/* linop_rows.c - convolutions by rows of the weights: panels of output pixels, memory, threads.
 *
 * Power iteration wants z = M' M x for one or a few vectors. Row o of the weights gives channel o
 * of y = M x, and nothing else of y is needed to add the row's part of z = sum_o w_o y_o. So a
 * dozen rows at a time go forward and back while they are near the core, and the weights, which
 * outweigh everything else where images are small, are read from memory once instead of twice, in
 * the layout that they have. */
#include "nn/linop_rows.h"
#include "nn/winograd.h"

#define PANEL AMUN__ROWS_PANEL

/* Reading four of every second number takes eight. */
#define OVERHANG 16

typedef struct amun__linop_rows {
    int32_t *shift; /* [taps]: from an output pixel's place in a padded plane */
    amun__linop_buffer scratch;
} rows_state;

/* One call. */
typedef struct job {
    const amun__linop *op;
    amun__frame frame;
    int64_t k, columns, depth, taps, pixels;
    int64_t plane, image; /* floats of a padded plane, of a padded vector */
    float *framed;        /* x with its padding */
    float *y;
    bool forward, adjoint;
    int64_t threads, share; /* rows of the weights for each thread */
    float *work;
    int64_t work_floats, z_at; /* of each thread; where in it the padded z lies */
} job;

bool amun__linop_rows_can(const amun__linop_shape *s)
{
    const int64_t image =
        s->in_channels * (s->in_height + 2 * s->pad[0]) * (s->in_width + 2 * s->pad[1]);
    return amun__winograd_available() && s->groups == 1 && image <= INT32_MAX / (PANEL + 1);
}

static amun_status make_shifts(amun__linop *op, int64_t width)
{
    const amun__linop_shape *s = &op->shape;
    const int64_t taps = s->kernel[0] * s->kernel[1];
    AMUN__CHECK(amun__alloc(op->ctx, &op->rows->shift, (size_t)taps, sizeof(int32_t)));
    for (int64_t t = 0; t < taps; t++) {
        op->rows->shift[t] = (int32_t)(t / s->kernel[1] * s->dilation[0] * width +
                                       t % s->kernel[1] * s->dilation[1]);
    }
    return AMUN_OK;
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* The 16 columns from `first` on, counted from the vector that `first` is of. */
static amun__rows_panel panel_at(const job *j, int64_t first)
{
    const amun__linop_shape *s = &j->op->shape;
    const int64_t width = j->frame.width + 2 * j->frame.pad[1], left = j->columns - first;
    amun__rows_panel p = {.channels = s->in_channels,
                          .taps = j->taps,
                          .plane = j->plane,
                          .shift = j->op->rows->shift,
                          .count = left < PANEL ? left : PANEL};
    for (int64_t i = 0; i < PANEL; i++) {
        const int64_t column = i < p.count ? first + i : first;
        const int64_t vector = column / j->pixels - first / j->pixels, pixel = column % j->pixels;
        p.base[i] = (int32_t)(vector * j->image + pixel / s->out_width * s->stride[0] * width +
                              pixel % s->out_width * s->stride[1]);
    }
    const int32_t step = p.base[1] - p.base[0];
    p.step = p.count == PANEL && (step == 1 || step == 2) ? step : 0;
    for (int64_t i = 0; i < PANEL; i++) {
        p.step = i % 4 != 0 && p.base[i] - p.base[i - 1] != step ? 0 : p.step;
    }
    return p;
}

/* Between y[k][channel][pixel] and rows [row][16]: channels from `row` on. */
static float *y_at(const job *j, int64_t row, int64_t column)
{
    return j->y + (column / j->pixels * j->op->shape.out_channels + row) * j->pixels +
           column % j->pixels;
}

static void read_y(float *to, const job *j, int64_t row, int64_t rows, int64_t first)
{
    for (int64_t c = 0; c < PANEL; c++) {
        const bool exists = first + c < j->columns;
        for (int64_t r = 0; r < rows; r++) {
            to[r * PANEL + c] = exists ? *y_at(j, row + r, first + c) : 0.0f;
        }
    }
}

static void write_y(const float *from, const job *j, int64_t row, int64_t rows, int64_t first)
{
    for (int64_t c = 0; c < PANEL && first + c < j->columns; c++) {
        for (int64_t r = 0; r < rows; r++) {
            *y_at(j, row + r, first + c) = from[r * PANEL + c];
        }
    }
}

/* ---- one thread ------------------------------------------------------------------------------ */

/* Rows [begin, end) of the weights, 16 columns. */
static void run_panel(const job *j, int64_t begin, int64_t end, int64_t first, float *work)
{
    float *panel = work, *back = panel + j->depth * PANEL, *y = back + j->depth * PANEL;
    const amun__rows_panel p = panel_at(j, first);
    const int64_t vector = first / j->pixels * j->image;
    if (j->forward) {
        amun__rows_gather_avx2(panel, j->framed + vector, &p);
    }
    for (int64_t row = begin; row < end; row += AMUN__ROWS_BLOCK) {
        const int64_t rows = end - row < AMUN__ROWS_BLOCK ? end - row : AMUN__ROWS_BLOCK;
        const float *weights = (const float *)j->op->weights + row * j->depth;
        if (j->forward) {
            amun__rows_forward_avx2(y, weights, panel, rows, j->depth);
        } else {
            read_y(y, j, row, rows, first);
        }
        if (j->forward && j->y != NULL) {
            write_y(y, j, row, rows, first);
        }
        if (j->adjoint) {
            amun__rows_adjoint_avx2(back, weights, y, rows, j->depth, row > begin);
        }
    }
    if (j->adjoint) {
        amun__rows_scatter_avx2(work + j->z_at + vector, back, &p);
    }
}

static void run_thread(const job *j, int64_t thread)
{
    const int64_t rows = j->op->shape.out_channels, begin = thread * j->share;
    const int64_t end = begin + j->share < rows ? begin + j->share : rows;
    float *work = j->work + thread * j->work_floats;
    if (j->adjoint) {
        memset(work + j->z_at, 0, (size_t)(j->k * j->image) * sizeof *work);
    }
    for (int64_t first = 0; first < j->columns && begin < end; first += PANEL) {
        run_panel(j, begin, end, first, work);
    }
}

/* ---- all ------------------------------------------------------------------------------------- */

static job describe(amun__linop *op, int64_t k)
{
    const amun__linop_shape *s = &op->shape;
    job j = {
        .op = op, .frame = amun__linop_frame(s, k), .k = k, .taps = s->kernel[0] * s->kernel[1]};
    j.pixels = s->out_height * s->out_width;
    j.columns = k * j.pixels;
    j.depth = s->in_channels * j.taps;
    j.plane = (s->in_height + 2 * s->pad[0]) * (s->in_width + 2 * s->pad[1]);
    j.image = s->in_channels * j.plane;
    return j;
}

static void deal_rows(job *j)
{
    const int64_t blocks = (j->op->shape.out_channels + AMUN__ROWS_BLOCK - 1) / AMUN__ROWS_BLOCK;
    j->threads = amun__threads_here();
    j->threads = j->threads < blocks ? j->threads : blocks;
    j->share = (blocks + j->threads - 1) / j->threads * AMUN__ROWS_BLOCK;
}

/* Memory: x with its padding, then for each thread two panels, rows of y, z with its padding. */
static amun_status prepare(amun__linop *op, job *j)
{
    const int64_t images = j->k * j->image + OVERHANG;
    if (op->rows == NULL) {
        AMUN__CHECK(amun__calloc(op->ctx, &op->rows, 1, sizeof *op->rows));
    }
    if (op->rows->shift == NULL) {
        AMUN__CHECK(make_shifts(op, j->frame.width + 2 * j->frame.pad[1]));
    }
    j->z_at = (AMUN__ROWS_BLOCK + 2 * j->depth) * PANEL;
    j->work_floats = (j->z_at + images + 15) / 16 * 16;
    const size_t floats = (size_t)images + (size_t)(j->threads * j->work_floats);
    AMUN__CHECK(amun__linop_reserve(op->ctx, &op->rows->scratch, floats * sizeof(float)));
    j->work = op->rows->scratch.data;
    j->framed = j->work + j->threads * j->work_floats;
    return AMUN_OK;
}

/* z of all threads, without the padding. */
static void collect(const job *j, float *z)
{
    float *sum = j->work + j->z_at;
    for (int64_t thread = 1; thread < j->threads; thread++) {
        const float *part = sum + thread * j->work_floats;
        for (int64_t i = 0; i < j->k * j->image; i++) {
            sum[i] += part[i];
        }
    }
    amun__kernel_unpad(z, sum, &j->frame);
}

amun_status amun__linop_rows_run(amun__linop *op, int64_t k, const float *x, float *y, float *z)
{
    job j = describe(op, k);
    deal_rows(&j);
    AMUN__CHECK(prepare(op, &j));
    j.y = y;
    j.forward = x != NULL;
    j.adjoint = z != NULL;
    if (x != NULL) {
        amun__kernel_pad(j.framed, x, &j.frame);
    }
#pragma omp parallel for schedule(static, 1) num_threads((int)j.threads) if (j.threads > 1)
    for (int64_t thread = 0; thread < j.threads; thread++) {
        run_thread(&j, thread);
    }
    if (z != NULL) {
        collect(&j, z);
    }
    return AMUN_OK;
}

void amun__linop_rows_destroy(amun__linop *op)
{
    if (op->rows != NULL) {
        amun__free(op->ctx, op->rows->shift);
        amun__free(op->ctx, op->rows->scratch.data);
        amun__free(op->ctx, op->rows);
    }
}
