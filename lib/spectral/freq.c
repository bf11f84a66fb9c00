/* freq.c - frequency matrices by a direct transform: kernels have few taps, so that a table of
 * sines beats a fast transform of a padded kernel. */
#include "spectral/freq.h"

#include "core/linalg.h"

/* ---- geometry ------------------------------------------------------------------------------- */

static amun_status check_axis(const amun__linop_shape *s, int axis)
{
    const int64_t size = axis == 0 ? s->in_height : s->in_width;
    const int64_t fields[] = {size, s->kernel[axis], s->stride[axis], s->dilation[axis]};
    static const char *const names[] = {"image", "kernel", "stride", "dilation"};
    for (size_t i = 0; i < 4; i++) {
        if (fields[i] < 1 || fields[i] > INT32_MAX) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s extent %lld is outside [1, %d]",
                              names[i], (long long)fields[i], INT32_MAX);
        }
    }
    const int64_t most = s->padding == AMUN__PADDING_REFLECT    ? size - 1
                         : s->padding == AMUN__PADDING_CIRCULAR ? size
                                                                : INT32_MAX;
    if (s->pad[axis] < 0 || s->pad[axis] > most) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "pad %lld is outside [0, %lld]",
                          (long long)s->pad[axis], (long long)most);
    }
    return AMUN_OK;
}

amun_status amun__geometry_of(amun__geometry *g, const amun__linop_shape *s)
{
    if (s->groups < 1 || s->in_channels < 1 || s->out_channels < 1 || s->in_channels > INT32_MAX ||
        s->out_channels > INT32_MAX || s->in_channels % s->groups != 0 ||
        s->out_channels % s->groups != 0) {
        return amun__fail(
            AMUN_ERROR_INVALID_ARGUMENT, "%lld -> %lld channels in %lld groups are impossible",
            (long long)s->in_channels, (long long)s->out_channels, (long long)s->groups);
    }
    for (int axis = 0; axis < 2; axis++) {
        AMUN__CHECK(check_axis(s, axis));
        g->size[axis] = axis == 0 ? s->in_height : s->in_width;
        g->reach[axis] = s->dilation[axis] * (s->kernel[axis] - 1) + 1;
        g->dense[axis] = g->size[axis] + 2 * s->pad[axis] - g->reach[axis] + 1;
        if (g->dense[axis] < 1) {
            return amun__fail(AMUN_ERROR_SHAPE,
                              "a kernel that reaches over %lld does not fit %lld values padded by "
                              "%lld",
                              (long long)g->reach[axis], (long long)g->size[axis],
                              (long long)s->pad[axis]);
        }
        g->outputs[axis] = (g->dense[axis] - 1) / s->stride[axis] + 1;
    }
    return AMUN_OK;
}

/* ---- the taps ------------------------------------------------------------------------------- */

/* Numbers the phases that occur; returns how many there are. */
static int64_t number_phases(amun__tap *tap, int64_t taps)
{
    int64_t count = 0;
    for (int64_t i = 0; i < taps; i++) {
        const int64_t raw = -1 - tap[i].phase; /* raw phases are stored below zero */
        if (raw < 0) {
            continue;
        }
        for (int64_t j = i; j < taps; j++) {
            if (tap[j].phase == -1 - raw) {
                tap[j].phase = count;
            }
        }
        count++;
    }
    return count;
}

static void place_taps(amun__freq *f, const amun__linop_shape *s, const int64_t stride[2],
                       const uint8_t *used)
{
    for (int64_t at = 0; at < s->kernel[0] * s->kernel[1]; at++) {
        if (used != NULL && used[at] == 0) {
            continue;
        }
        const int64_t y = at / s->kernel[1] * s->dilation[0];
        const int64_t x = at % s->kernel[1] * s->dilation[1];
        f->tap[f->taps++] = (amun__tap){
            .source = at,
            .phase = -1 - (y % stride[0] * stride[1] + x % stride[1]),
            .index = {y / stride[0], x / stride[1]},
        };
        f->span[0] = y / stride[0] + 1 > f->span[0] ? y / stride[0] + 1 : f->span[0];
        f->span[1] = x / stride[1] + 1 > f->span[1] ? x / stride[1] + 1 : f->span[1];
    }
}

static amun_status make_wave(amun__freq *f, int axis)
{
    const size_t n = (size_t)f->grid[axis];
    const double step = 2 * acos(-1.0) / (double)n;
    AMUN__CHECK(amun__alloc(f->ctx, &f->wave[axis], n, 2 * sizeof(double)));
    for (size_t i = 0; i < n; i++) {
        f->wave[axis][2 * i] = cos(step * (double)i);
        f->wave[axis][2 * i + 1] = sin(step * (double)i);
    }
    return AMUN_OK;
}

amun_status amun__freq_open(amun__freq *f, amun_context *ctx, const amun__linop_shape *shape,
                            const int64_t stride[2], const int64_t grid[2], const uint8_t *used)
{
    amun_status status;
    size_t positions, count;
    *f = (amun__freq){.ctx = ctx,
                      .out = shape->out_channels / shape->groups,
                      .in = shape->in_channels / shape->groups,
                      .grid = {grid[0], grid[1]}};
    if (!amun__mul_size(&positions, (size_t)shape->kernel[0], (size_t)shape->kernel[1]) ||
        !amun__mul_size(&count, (size_t)f->out, (size_t)f->in) ||
        !amun__mul_size(&count, count, positions)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "the kernel is too large");
    }
    AMUN__TRY(amun__alloc(ctx, &f->tap, positions, sizeof *f->tap));
    place_taps(f, shape, stride, used);
    f->phases = number_phases(f->tap, f->taps);
    f->columns = f->phases * f->in;
    AMUN__TRY(amun__alloc(ctx, &f->kernel, count, sizeof *f->kernel));
    AMUN__TRY(make_wave(f, 0));
    AMUN__TRY(make_wave(f, 1));
    return AMUN_OK;
fail:
    amun__freq_close(f);
    return status;
}

void amun__freq_close(amun__freq *f)
{
    if (f->ctx != NULL) {
        amun__free(f->ctx, f->tap);
        amun__free(f->ctx, f->wave[0]);
        amun__free(f->ctx, f->wave[1]);
        amun__free(f->ctx, f->kernel);
    }
    *f = (amun__freq){0};
}

void amun__freq_load(amun__freq *f, const amun__linop_shape *shape, const double *weights,
                     int64_t group)
{
    const int64_t positions = shape->kernel[0] * shape->kernel[1], area = f->out * f->in;
    const double *from = weights + group * area * positions;
    for (int64_t t = 0; t < f->taps; t++) {
        for (int64_t i = 0; i < area; i++) {
            f->kernel[t * area + i] = from[i * positions + f->tap[t].source];
        }
    }
}

/* ---- frequencies ---------------------------------------------------------------------------- */

/* Columns 0 and grid / 2 are their own conjugates: half of their rows will do. */
static bool column_is_own(const amun__freq *f, int64_t x)
{
    return x == 0 || 2 * x == f->grid[1];
}

int64_t amun__freq_count(const amun__freq *f)
{
    const int64_t half = f->grid[0] / 2 + 1, own = f->grid[1] % 2 == 0 ? 2 : 1;
    return own * half + (f->grid[1] / 2 + 1 - own) * f->grid[0];
}

void amun__freq_at(const amun__freq *f, int64_t i, int64_t w[2], int *multiplicity)
{
    const int64_t half = f->grid[0] / 2 + 1;
    if (i < half) {
        w[1] = 0;
        w[0] = i;
    } else {
        w[1] = 1 + (i - half) / f->grid[0];
        w[0] = (i - half) % f->grid[0];
    }
    const bool own = column_is_own(f, w[1]) && (w[0] == 0 || 2 * w[0] == f->grid[0]);
    *multiplicity = own ? 1 : 2;
}

/* exp(2 pi i (w . index) / grid) of a tap. */
static void wave_of(const amun__freq *f, const amun__tap *tap, const int64_t w[2], double out[2])
{
    const double *y = f->wave[0] + 2 * (tap->index[0] % f->grid[0] * w[0] % f->grid[0]);
    const double *x = f->wave[1] + 2 * (tap->index[1] % f->grid[1] * w[1] % f->grid[1]);
    out[0] = y[0] * x[0] - y[1] * x[1];
    out[1] = y[0] * x[1] + y[1] * x[0];
}

void amun__freq_matrix(const amun__freq *f, const int64_t w[2], double *re, double *im)
{
    memset(re, 0, (size_t)(f->out * f->columns) * sizeof *re);
    memset(im, 0, (size_t)(f->out * f->columns) * sizeof *im);
    for (int64_t t = 0; t < f->taps; t++) {
        double wave[2];
        wave_of(f, &f->tap[t], w, wave);
        const double *from = f->kernel + t * f->out * f->in;
        for (int64_t o = 0; o < f->out; o++) {
            double *a = re + o * f->columns + f->tap[t].phase * f->in;
            double *b = im + o * f->columns + f->tap[t].phase * f->in;
            for (int64_t c = 0; c < f->in; c++) {
                a[c] += wave[0] * from[o * f->in + c];
                b[c] += wave[1] * from[o * f->in + c];
            }
        }
    }
}

void amun__freq_adjoint(const amun__freq *f, const int64_t w[2], double factor, const double *re,
                        const double *im, double *sums)
{
    for (int64_t t = 0; t < f->taps; t++) {
        double wave[2];
        wave_of(f, &f->tap[t], w, wave);
        double *to = sums + t * f->out * f->in;
        for (int64_t o = 0; o < f->out; o++) {
            const double *a = re + o * f->columns + f->tap[t].phase * f->in;
            const double *b = im + o * f->columns + f->tap[t].phase * f->in;
            for (int64_t c = 0; c < f->in; c++) {
                to[o * f->in + c] += factor * (wave[0] * a[c] + wave[1] * b[c]);
            }
        }
    }
}

/* ---- Gram matrices -------------------------------------------------------------------------- */

int64_t amun__freq_gram_size(const amun__freq *f)
{
    return f->out <= f->columns ? f->out : f->columns;
}

amun_status amun__freq_gram(const amun__freq *f, const double *re, const double *im,
                            double *scratch, double *gram)
{
    const bool rows = f->out <= f->columns;
    const int64_t n = rows ? f->out : f->columns, p = rows ? f->columns : f->out;
    double *real = scratch, *imaginary = scratch + n * n;
    AMUN__CHECK(amun__gram_c64(!rows, n, p, re, im, real, imaginary));
    for (int64_t i = 0; i < n * n; i++) {
        gram[2 * i] = real[i];
        gram[2 * i + 1] = imaginary[i];
    }
    return AMUN_OK;
}
