/* linop_ref.inc.h - the reference linear maps, in one precision. Included by linop_ref.c with
 * `real` and `R(name)`. One direction is the transposed loop of the other; threads share whole
 * planes of the result, so that no sum depends on their number. */

/* ---- convolution and average pooling --------------------------------------------------------- */

/* One pair of planes: y += w * x, or the adjoint onto x. */
static void R(planes)(const amun__linop *op, bool adjoint, const real *w, real *x, real *y)
{
    const amun__linop_shape *s = &op->shape;
    for (int64_t tap = 0; tap < s->kernel[0] * s->kernel[1]; tap++) {
        int64_t th = tap / s->kernel[1], tw = tap % s->kernel[1];
        for (int64_t oh = 0; oh < s->out_height; oh++) {
            int64_t ih = op->taps[0][oh * s->kernel[0] + th];
            real *row = x + (ih < 0 ? 0 : ih) * s->in_width, *out = y + oh * s->out_width;
            for (int64_t ow = 0; ow < s->out_width && ih >= 0; ow++) {
                int64_t iw = op->taps[1][ow * s->kernel[1] + tw];
                if (iw >= 0 && adjoint) {
                    row[iw] += w[tap] * out[ow];
                } else if (iw >= 0) {
                    out[ow] += w[tap] * row[iw];
                }
            }
        }
    }
}

/* One pair of planes: dw += d <w x, r> / dw. */
static void R(planes_grad)(const amun__linop *op, double *dw, const real *x, const real *r)
{
    const amun__linop_shape *s = &op->shape;
    for (int64_t tap = 0; tap < s->kernel[0] * s->kernel[1]; tap++) {
        int64_t th = tap / s->kernel[1], tw = tap % s->kernel[1];
        for (int64_t oh = 0; oh < s->out_height; oh++) {
            int64_t ih = op->taps[0][oh * s->kernel[0] + th];
            for (int64_t ow = 0; ow < s->out_width && ih >= 0; ow++) {
                int64_t iw = op->taps[1][ow * s->kernel[1] + tw];
                if (iw >= 0) {
                    dw[tap] += (double)x[ih * s->in_width + iw] * (double)r[oh * s->out_width + ow];
                }
            }
        }
    }
}

/* All planes of `to`, from all planes of `from` in the same group; pooling is one window per
 * channel. */
static void R(windows)(const amun__linop *op, bool adjoint, int64_t k, const real *from, real *to)
{
    const amun__linop_shape *s = &op->shape;
    const int64_t in_area = s->in_height * s->in_width, out_area = s->out_height * s->out_width;
    const int64_t gi = s->in_channels / s->groups, go = s->out_channels / s->groups;
    const int64_t mine = adjoint ? s->in_channels : s->out_channels;
    const bool pool = op->kind == AMUN__LINOP_AVG_POOL;
    real *x = adjoint ? to : (real *)(uintptr_t)from, *y = adjoint ? (real *)(uintptr_t)from : to;
    const int64_t work = k * out_area * s->out_channels * gi * s->kernel[0] * s->kernel[1];
    (void)work; /* without OpenMP nobody reads it */
    memset(to, 0, (size_t)k * (adjoint ? op->in : op->out) * sizeof(real));
#pragma omp parallel for schedule(static) if (work >= PARALLEL_FROM)
    for (int64_t at = 0; at < k * mine; at++) {
        int64_t v = at / mine, c = at % mine, group = c / (adjoint ? gi : go);
        for (int64_t j = 0; j < (adjoint ? go : gi); j++) {
            int64_t i = adjoint ? c : group * gi + j, o = adjoint ? group * go + j : c;
            int64_t w = pool ? 0 : (o * gi + i % gi) * s->kernel[0] * s->kernel[1];
            R(planes)
            (op, adjoint, (const real *)op->weights + w, x + (v * s->in_channels + i) * in_area,
             y + (v * s->out_channels + o) * out_area);
        }
    }
}

static void R(windows_grad)(const amun__linop *op, int64_t k, const real *x, const real *r,
                            real *diff_weights)
{
    const amun__linop_shape *s = &op->shape;
    const int64_t in_area = s->in_height * s->in_width, out_area = s->out_height * s->out_width;
    const int64_t gi = s->in_channels / s->groups, go = s->out_channels / s->groups;
    const int64_t taps = s->kernel[0] * s->kernel[1];
    const int64_t work = k * out_area * s->out_channels * gi * taps;
    (void)work; /* without OpenMP nobody reads it */
#pragma omp parallel for schedule(static) if (work >= PARALLEL_FROM)
    for (int64_t pair = 0; pair < s->out_channels * gi; pair++) {
        int64_t o = pair / gi, i = o / go * gi + pair % gi;
        double sum[AMUN__LINOP_MAX_KERNEL * AMUN__LINOP_MAX_KERNEL];
        memset(sum, 0, (size_t)taps * sizeof *sum);
        for (int64_t v = 0; v < k; v++) {
            R(planes_grad)
            (op, sum, x + (v * s->in_channels + i) * in_area,
             r + (v * s->out_channels + o) * out_area);
        }
        for (int64_t t = 0; t < taps; t++) {
            diff_weights[pair * taps + t] = (real)sum[t];
        }
    }
}

/* ---- matrices and factors -------------------------------------------------------------------- */

static void R(matrix)(const amun__linop *op, bool adjoint, int64_t k, const real *from, real *to)
{
    const int64_t in = (int64_t)op->in, out = (int64_t)op->out;
    const int64_t n = adjoint ? in : out, sum_over = adjoint ? out : in;
    const real *w = op->weights;
#pragma omp parallel for schedule(static) if (k * in * out >= PARALLEL_FROM)
    for (int64_t at = 0; at < k * n; at++) {
        const real *vector = from + at / n * sum_over;
        double sum = 0.0;
        for (int64_t j = 0; j < sum_over; j++) {
            sum += (double)(adjoint ? w[j * in + at % n] : w[at % n * in + j]) * (double)vector[j];
        }
        to[at] = (real)sum;
    }
}

static void R(matrix_grad)(const amun__linop *op, int64_t k, const real *x, const real *r,
                           real *diff_weights)
{
    const int64_t in = (int64_t)op->in, out = (int64_t)op->out;
    for (int64_t at = 0; at < out * in; at++) {
        double sum = 0.0;
        for (int64_t v = 0; v < k; v++) {
            sum += (double)r[v * out + at / in] * (double)x[v * in + at % in];
        }
        diff_weights[at] = (real)sum;
    }
}

static void R(diagonal)(const amun__linop *op, int64_t k, const real *from, real *to)
{
    const int64_t area = op->shape.in_height * op->shape.in_width;
    const real *factors = op->weights;
    for (int64_t plane = 0; plane < k * op->shape.in_channels; plane++) {
        real factor = factors[plane % op->shape.in_channels];
        for (int64_t i = plane * area; i < (plane + 1) * area; i++) {
            to[i] = factor * from[i];
        }
    }
}

/* ---- doors ----------------------------------------------------------------------------------- */

void R(amun__linop_ref)(const amun__linop *op, bool adjoint, int64_t k, const real *from, real *to)
{
    switch (op->kind) {
    case AMUN__LINOP_CONV2D:
    case AMUN__LINOP_AVG_POOL:
        R(windows)(op, adjoint, k, from, to);
        break;
    case AMUN__LINOP_LINEAR:
        R(matrix)(op, adjoint, k, from, to);
        break;
    case AMUN__LINOP_DIAGONAL:
        R(diagonal)(op, k, from, to);
        break;
    case AMUN__LINOP_CHAIN: /* its parts are run one by one */
        break;
    }
}

void R(amun__linop_ref_grad)(const amun__linop *op, int64_t k, const real *x, const real *r,
                             real *diff_weights)
{
    (op->kind == AMUN__LINOP_LINEAR ? R(matrix_grad) : R(windows_grad))(op, k, x, r, diff_weights);
}
