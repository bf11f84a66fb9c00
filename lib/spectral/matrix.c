/* matrix.c - singular values and vectors of layers whose windows share no pixel. */
#include "spectral/matrix.h"

#include "core/linalg.h"

/* Smaller extent up to which an SVD takes seconds at most. */
#define SVD_MOST 1024

/* What a group's decomposition needs. */
typedef struct room {
    double *weights, *copy; /* [rows][columns] */
    double *sigma, *u, *vt; /* [rank], [rows][rank], [rank][columns] */
    double *image;          /* [rows] */
} room;

bool amun__matrix_windows_apart(const amun__linop_shape *s)
{
    bool apart = true;
    for (int axis = 0; axis < 2; axis++) {
        const int64_t reach = s->dilation[axis] * (s->kernel[axis] - 1) + 1;
        apart = apart && s->pad[axis] == 0 && reach <= s->stride[axis];
    }
    return apart;
}

/* A dense layer is a 1x1 convolution of one pixel. */
static amun__linop_shape as_convolution(const amun__linop_source *source)
{
    const amun__linop_shape *s = &source->shape;
    if (source->kind == AMUN__LINOP_CONV2D) {
        return *s;
    }
    return amun__linop_dense_shape(s->in_channels, s->out_channels);
}

bool amun__matrix_applies(const amun__linop_source *source, size_t values)
{
    if (source->kind != AMUN__LINOP_CONV2D && source->kind != AMUN__LINOP_LINEAR) {
        return false;
    }
    const amun__linop_shape s = as_convolution(source);
    const int64_t rows = s.out_channels / s.groups;
    const int64_t columns = (int64_t)source->weight_count / s.out_channels;
    const int64_t rank = rows < columns ? rows : columns;
    return amun__matrix_windows_apart(&s) && rank <= SVD_MOST &&
           (size_t)(s.groups * rank * s.out_height * s.out_width) >= values;
}

/* ---- decomposing ----------------------------------------------------------------------------- */

static void close_room(amun_context *ctx, room *r)
{
    amun__free(ctx, r->weights);
    amun__free(ctx, r->copy);
    amun__free(ctx, r->sigma);
    amun__free(ctx, r->u);
    amun__free(ctx, r->vt);
    amun__free(ctx, r->image);
}

/* To be closed also when it fails. */
static amun_status open_room(room *r, amun_context *ctx, size_t rows, size_t columns, size_t rank)
{
    AMUN__CHECK(amun__alloc(ctx, &r->weights, rows * columns, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->copy, rows * columns, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->sigma, rank, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->u, rows * rank, sizeof(double)));
    AMUN__CHECK(amun__alloc(ctx, &r->vt, rank * columns, sizeof(double)));
    return amun__alloc(ctx, &r->image, rows, sizeof(double));
}

/* || W' W v - sigma^2 v || for row i of vt: what M'M does to the image of v. `copy` is scratch. */
static amun_status residual_of(const amun__matrix *m, room *r, int64_t i, double *residual)
{
    const double *v = r->vt + i * m->columns, square = r->sigma[i] * r->sigma[i];
    AMUN__CHECK(
        amun__gemm_f64(false, false, m->rows, 1, m->columns, 1, r->weights, v, 0, r->image));
    memcpy(r->copy, v, (size_t)m->columns * sizeof *v);
    AMUN__CHECK(amun__gemm_f64(true, false, m->columns, 1, m->rows, 1, r->weights, r->image,
                               -square, r->copy));
    *residual = sqrt(amun__dot_f64(r->copy, r->copy, (size_t)m->columns));
    return AMUN_OK;
}

/* Keeps the pair if it is among the largest so far; of equal ones the first group's stays first. */
static amun_status insert(amun__matrix *m, room *r, int64_t i, int32_t group, bool *inserted)
{
    size_t place = m->pairs, columns = (size_t)m->columns;
    while (place > 0 && m->sigma[place - 1] < r->sigma[i]) {
        place--;
    }
    *inserted = place < m->capacity;
    if (!*inserted) {
        return AMUN_OK;
    }
    m->pairs += m->pairs < m->capacity;
    for (size_t at = m->pairs - 1; at > place; at--) {
        m->sigma[at] = m->sigma[at - 1];
        m->residuals[at] = m->residuals[at - 1];
        m->groups[at] = m->groups[at - 1];
        memcpy(m->vectors + at * columns, m->vectors + (at - 1) * columns,
               columns * sizeof *m->vectors);
    }
    m->sigma[place] = r->sigma[i];
    m->groups[place] = group;
    memcpy(m->vectors + place * columns, r->vt + i * m->columns, columns * sizeof *m->vectors);
    return residual_of(m, r, i, &m->residuals[place]);
}

static amun_status add_group(amun__matrix *m, const amun__linop_source *source, room *r,
                             int32_t group)
{
    const int64_t rank = m->rows < m->columns ? m->rows : m->columns, size = m->rows * m->columns;
    for (int64_t i = 0; i < size; i++) {
        const int64_t row = group * m->rows + i / m->columns;
        r->weights[i] = (double)source->weights[group * size + i] *
                        (source->factors != NULL ? source->factors[row] : 1.0);
    }
    memcpy(r->copy, r->weights, (size_t)size * sizeof *r->copy);
    AMUN__CHECK(amun__svd_f64(m->ctx, m->rows, m->columns, r->copy, r->sigma, r->u, r->vt));
    bool inserted = true;
    for (int64_t i = 0; i < rank && inserted; i++) {
        AMUN__CHECK(insert(m, r, i, group, &inserted));
    }
    return AMUN_OK;
}

static amun_status open_matrix(amun__matrix *m, const amun__linop_source *source, size_t values)
{
    m->ctx = source->ctx;
    m->shape = as_convolution(source);
    m->rows = m->shape.out_channels / m->shape.groups;
    m->columns = (int64_t)source->weight_count / m->shape.out_channels;
    m->repeats = m->shape.out_height * m->shape.out_width;
    m->capacity = (values + (size_t)m->repeats - 1) / (size_t)m->repeats;
    AMUN__CHECK(amun__alloc(m->ctx, &m->sigma, m->capacity, sizeof *m->sigma));
    AMUN__CHECK(amun__alloc(m->ctx, &m->residuals, m->capacity, sizeof *m->residuals));
    AMUN__CHECK(amun__alloc(m->ctx, &m->groups, m->capacity, sizeof *m->groups));
    return amun__alloc(m->ctx, &m->vectors, m->capacity * (size_t)m->columns, sizeof *m->vectors);
}

amun_status amun__matrix_decompose(amun__matrix *matrix, const amun__linop_source *source,
                                   size_t values)
{
    room r = {0};
    amun_status status;
    amun__matrix_close(matrix);
    AMUN__TRY(open_matrix(matrix, source, values));
    const int64_t rank = matrix->rows < matrix->columns ? matrix->rows : matrix->columns;
    AMUN__TRY(
        open_room(&r, matrix->ctx, (size_t)matrix->rows, (size_t)matrix->columns, (size_t)rank));
    for (int32_t group = 0; group < (int32_t)matrix->shape.groups; group++) {
        AMUN__TRY(add_group(matrix, source, &r, group));
    }
fail:
    close_room(source->ctx, &r);
    if (status != AMUN_OK) {
        amun__matrix_close(matrix);
    }
    return status;
}

void amun__matrix_close(amun__matrix *matrix)
{
    amun__free(matrix->ctx, matrix->sigma);
    amun__free(matrix->ctx, matrix->residuals);
    amun__free(matrix->ctx, matrix->groups);
    amun__free(matrix->ctx, matrix->vectors);
    *matrix = (amun__matrix){0};
}

/* ---- questions ------------------------------------------------------------------------------- */

double amun__matrix_sigma(const amun__matrix *matrix, size_t i)
{
    return matrix->sigma[i / (size_t)matrix->repeats];
}

double amun__matrix_residual(const amun__matrix *matrix, size_t i)
{
    return matrix->residuals[i / (size_t)matrix->repeats];
}

void amun__matrix_vector(const amun__matrix *matrix, size_t i, float *image)
{
    const amun__linop_shape *s = &matrix->shape;
    const size_t pair = i / (size_t)matrix->repeats;
    const int64_t pixel = (int64_t)(i % (size_t)matrix->repeats),
                  area = s->kernel[0] * s->kernel[1];
    const int64_t top = pixel / s->out_width * s->stride[0];
    const int64_t left = pixel % s->out_width * s->stride[1];
    const int64_t first = matrix->groups[pair] * (s->in_channels / s->groups);
    const double *v = matrix->vectors + pair * (size_t)matrix->columns;
    memset(image, 0, (size_t)(s->in_channels * s->in_height * s->in_width) * sizeof *image);
    for (int64_t at = 0; at < matrix->columns; at++) {
        const int64_t y = top + at % area / s->kernel[1] * s->dilation[0];
        const int64_t x = left + at % s->kernel[1] * s->dilation[1];
        image[((first + at / area) * s->in_height + y) * s->in_width + x] = (float)v[at];
    }
}
