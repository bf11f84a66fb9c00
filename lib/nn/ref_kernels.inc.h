/* ref_kernels.inc.h - every node, forward and backward, as plain loops over
 * [batch][channel][row][column]. Included twice by backend_ref.c: `real` is float or double,
 * R(name) adds the suffix (ref_step and ref_impl have theirs by #define). Sums run in a fixed
 * order whatever the number of threads: the same bits every time. */

/* All that one plan holds. `values` is a copy, so that backward sees what forward saw. */
typedef struct ref_impl {
    real *values, *diff_values;
    real **out, **diff;   /* per node; diff only where there is a backward pass */
    double **mean, **var; /* per batch-norm node: what it normalised with */
} ref_impl;

/* One node at work. Backward adds to dx and to the parameters' diffs. */
typedef struct ref_step {
    const amun__node *node, *src;
    int64_t batch;
    bool train;            /* gradients of the parameters are wanted */
    bool batch_statistics; /* batch norm: of the batch, not the running ones */
    const real *x;
    real *y;
    const real *dy;
    real *dx;
    const real *values;
    real *diff_values;
    double *mean, *var;
    const amun__param *params;
} ref_step;

static const real *R(param)(const ref_step *s, int32_t index)
{
    return index < 0 ? NULL : s->values + s->params[index].offset;
}

static real *R(diff_param)(const ref_step *s, int32_t index)
{
    return index < 0 ? NULL : s->diff_values + s->params[index].offset;
}

/* ---- convolution: a sum of shifted planes --------------------------------------------------- */

/* y[oh][ow] += w * x[row of oh][column of ow] for one filter tap. */
static void R(tap_forward)(const amun__node *n, const amun__node *src, const ref_tap *t, real w,
                           const real *x, real *y)
{
    for (int64_t oh = t->lo[0]; oh < t->hi[0]; oh++) {
        const real *row = x + tap_row(n, src, t, oh) * src->width;
        real *out = y + oh * n->width;
        for (int64_t ow = t->lo[1]; ow < t->hi[1]; ow++) {
            out[ow] += w * row[tap_column(n, src, t, ow)];
        }
    }
}

static void R(tap_backward_data)(const amun__node *n, const amun__node *src, const ref_tap *t,
                                 real w, const real *dy, real *dx)
{
    for (int64_t oh = t->lo[0]; oh < t->hi[0]; oh++) {
        real *row = dx + tap_row(n, src, t, oh) * src->width;
        const real *out = dy + oh * n->width;
        for (int64_t ow = t->lo[1]; ow < t->hi[1]; ow++) {
            row[tap_column(n, src, t, ow)] += w * out[ow];
        }
    }
}

static double R(tap_backward_weight)(const amun__node *n, const amun__node *src, const ref_tap *t,
                                     const real *x, const real *dy)
{
    double sum = 0.0;
    for (int64_t oh = t->lo[0]; oh < t->hi[0]; oh++) {
        const real *row = x + tap_row(n, src, t, oh) * src->width;
        const real *out = dy + oh * n->width;
        for (int64_t ow = t->lo[1]; ow < t->hi[1]; ow++) {
            sum += (double)out[ow] * (double)row[tap_column(n, src, t, ow)];
        }
    }
    return sum;
}

static void R(conv_forward)(const ref_step *s)
{
    const amun__node *n = s->node, *src = s->src;
    int64_t out = n->height * n->width, in = src->height * src->width;
    int64_t ics = src->channels / n->groups, ocs = n->channels / n->groups;
    int64_t taps = n->kernel[0] * n->kernel[1];
    const real *weight = R(param)(s, n->weight), *bias = R(param)(s, n->bias);
#pragma omp parallel for schedule(static)
    for (int64_t job = 0; job < s->batch * n->channels; job++) {
        int64_t b = job / n->channels, oc = job % n->channels;
        real *y = s->y + job * out;
        for (int64_t i = 0; i < out; i++) {
            y[i] = bias != NULL ? bias[oc] : (real)0;
        }
        for (int64_t ic = 0; ic < ics; ic++) {
            const real *x = s->x + (b * src->channels + oc / ocs * ics + ic) * in;
            for (int64_t k = 0; k < taps; k++) {
                ref_tap t = tap_at(n, src, k);
                R(tap_forward)(n, src, &t, weight[(oc * ics + ic) * taps + k], x, y);
            }
        }
    }
}

static void R(conv_backward_data)(const ref_step *s)
{
    const amun__node *n = s->node, *src = s->src;
    int64_t out = n->height * n->width, in = src->height * src->width;
    int64_t ics = src->channels / n->groups, ocs = n->channels / n->groups;
    int64_t taps = n->kernel[0] * n->kernel[1];
    const real *weight = R(param)(s, n->weight);
#pragma omp parallel for schedule(static)
    for (int64_t job = 0; job < s->batch * src->channels; job++) {
        int64_t b = job / src->channels, group = job % src->channels / ics;
        int64_t ic = job % src->channels % ics;
        for (int64_t oc = group * ocs; oc < (group + 1) * ocs; oc++) {
            const real *dy = s->dy + (b * n->channels + oc) * out;
            for (int64_t k = 0; k < taps; k++) {
                ref_tap t = tap_at(n, src, k);
                R(tap_backward_data)
                (n, src, &t, weight[(oc * ics + ic) * taps + k], dy, s->dx + job * in);
            }
        }
    }
}

static void R(conv_backward_weights)(const ref_step *s)
{
    const amun__node *n = s->node, *src = s->src;
    int64_t out = n->height * n->width, in = src->height * src->width;
    int64_t ics = src->channels / n->groups, ocs = n->channels / n->groups;
    int64_t taps = n->kernel[0] * n->kernel[1];
    real *dw = R(diff_param)(s, n->weight), *db = R(diff_param)(s, n->bias);
#pragma omp parallel for schedule(static)
    for (int64_t oc = 0; oc < n->channels; oc++) {
        for (int64_t ic = 0; ic < ics; ic++) {
            for (int64_t k = 0; k < taps; k++) {
                ref_tap t = tap_at(n, src, k);
                double sum = 0.0;
                for (int64_t b = 0; b < s->batch; b++) {
                    sum += R(tap_backward_weight)(
                        n, src, &t, s->x + (b * src->channels + oc / ocs * ics + ic) * in,
                        s->dy + (b * n->channels + oc) * out);
                }
                dw[(oc * ics + ic) * taps + k] += (real)sum;
            }
        }
        double sum = 0.0;
        for (int64_t b = 0; b < s->batch && db != NULL; b++) {
            for (int64_t i = 0; i < out; i++) {
                sum += (double)s->dy[(b * n->channels + oc) * out + i];
            }
        }
        if (db != NULL) {
            db[oc] += (real)sum;
        }
    }
}

/* ---- linear --------------------------------------------------------------------------------- */

static void R(linear_forward)(const ref_step *s)
{
    int64_t in = s->src->channels, out = s->node->channels;
    const real *weight = R(param)(s, s->node->weight), *bias = R(param)(s, s->node->bias);
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t o = 0; o < out; o++) {
            double sum = bias != NULL ? (double)bias[o] : 0.0;
            for (int64_t i = 0; i < in; i++) {
                sum += (double)weight[o * in + i] * (double)s->x[b * in + i];
            }
            s->y[b * out + o] = (real)sum;
        }
    }
}

static void R(linear_backward)(const ref_step *s)
{
    int64_t in = s->src->channels, out = s->node->channels;
    const real *weight = R(param)(s, s->node->weight);
    real *dw = s->train ? R(diff_param)(s, s->node->weight) : NULL;
    real *db = s->train ? R(diff_param)(s, s->node->bias) : NULL;
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t o = 0; o < out; o++) {
            real d = s->dy[b * out + o];
            for (int64_t i = 0; i < in; i++) {
                s->dx[b * in + i] += d * weight[o * in + i];
            }
            for (int64_t i = 0; i < in && dw != NULL; i++) {
                dw[o * in + i] += d * s->x[b * in + i];
            }
            if (db != NULL) {
                db[o] += d;
            }
        }
    }
}

/* ---- batch norm (Ioffe and Szegedy 2015, algorithm 1) --------------------------------------- */

/* mean and var: of the batch (biased), or the running ones. */
static void R(batchnorm_statistics)(const ref_step *s, int64_t c)
{
    const amun__node *n = s->node;
    int64_t area = n->height * n->width;
    if (!s->batch_statistics) {
        s->mean[c] = (double)R(param)(s, n->running_mean)[c];
        s->var[c] = (double)R(param)(s, n->running_var)[c];
        return;
    }
    double sum = 0.0, squares = 0.0, count = (double)(s->batch * area);
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t i = 0; i < area; i++) {
            sum += (double)s->x[(b * n->channels + c) * area + i];
        }
    }
    double mean = sum / count;
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t i = 0; i < area; i++) {
            double d = (double)s->x[(b * n->channels + c) * area + i] - mean;
            squares += d * d;
        }
    }
    s->mean[c] = mean;
    s->var[c] = squares / count;
}

static void R(batchnorm_forward)(const ref_step *s)
{
    const amun__node *n = s->node;
    int64_t area = n->height * n->width;
    const real *scale = R(param)(s, n->weight), *shift = R(param)(s, n->bias);
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < n->channels; c++) {
        R(batchnorm_statistics)(s, c);
        double factor = (double)scale[c] / sqrt(s->var[c] + n->eps);
        for (int64_t b = 0; b < s->batch; b++) {
            const real *x = s->x + (b * n->channels + c) * area;
            real *y = s->y + (b * n->channels + c) * area;
            for (int64_t i = 0; i < area; i++) {
                y[i] = (real)(((double)x[i] - s->mean[c]) * factor + (double)shift[c]);
            }
        }
    }
}

static void R(batchnorm_backward)(const ref_step *s)
{
    const amun__node *n = s->node;
    int64_t area = n->height * n->width;
    double count = (double)(s->batch * area);
    const real *scale = R(param)(s, n->weight);
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < n->channels; c++) {
        double inverse = 1.0 / sqrt(s->var[c] + n->eps);
        double sum = 0.0, dot = 0.0; /* of dy, and of dy with the normalised x */
        for (int64_t b = 0; b < s->batch && s->train; b++) {
            for (int64_t i = 0; i < area; i++) {
                int64_t at = (b * n->channels + c) * area + i;
                sum += (double)s->dy[at];
                dot += (double)s->dy[at] * ((double)s->x[at] - s->mean[c]) * inverse;
            }
        }
        if (s->train) {
            R(diff_param)(s, n->weight)[c] += (real)dot;
            R(diff_param)(s, n->bias)[c] += (real)sum;
        }
        if (!s->batch_statistics) { /* constants: the last terms vanish */
            sum = dot = 0.0;
        }
        for (int64_t b = 0; b < s->batch; b++) {
            for (int64_t i = 0; i < area; i++) {
                int64_t at = (b * n->channels + c) * area + i;
                double normal = ((double)s->x[at] - s->mean[c]) * inverse;
                s->dx[at] += (real)((double)scale[c] * inverse *
                                    ((double)s->dy[at] - sum / count - normal * dot / count));
            }
        }
    }
}

/* ---- pools ---------------------------------------------------------------------------------- */

/* Row-major index in the plane of a window's maximum: the first one of equals, and NaN wins, as in
 * PyTorch. Padding is outside the range, so it never wins. */
static int64_t R(pool_winner)(const real *x, const ref_window *w, int64_t width)
{
    int64_t best = w->h0 * width + w->w0;
    for (int64_t h = w->h0; h < w->h1; h++) {
        for (int64_t i = w->w0; i < w->w1; i++) {
            int64_t at = h * width + i;
            if (x[at] > x[best] || isnan(x[at])) {
                best = at;
            }
        }
    }
    return best;
}

static void R(max_pool)(const ref_step *s, bool backward)
{
    const amun__node *n = s->node, *src = s->src;
    int64_t out = n->height * n->width, in = src->height * src->width;
    for (int64_t plane = 0; plane < s->batch * n->channels; plane++) {
        for (int64_t o = 0; o < out; o++) {
            ref_window w = window_at(n, src, o / n->width, o % n->width);
            int64_t winner = plane * in + R(pool_winner)(s->x + plane * in, &w, src->width);
            if (backward) {
                s->dx[winner] += s->dy[plane * out + o];
            } else {
                s->y[plane * out + o] = s->x[winner];
            }
        }
    }
}

static void R(avg_pool)(const ref_step *s, bool backward)
{
    const amun__node *n = s->node, *src = s->src;
    int64_t out = n->height * n->width, in = src->height * src->width;
    double area = (double)(n->kernel[0] * n->kernel[1]); /* padding counts as zeros */
    for (int64_t plane = 0; plane < s->batch * n->channels; plane++) {
        for (int64_t o = 0; o < out; o++) {
            ref_window w = window_at(n, src, o / n->width, o % n->width);
            double sum = 0.0;
            for (int64_t h = w.h0; h < w.h1; h++) {
                for (int64_t i = w.w0; i < w.w1; i++) {
                    int64_t at = plane * in + h * src->width + i;
                    if (backward) {
                        s->dx[at] += (real)((double)s->dy[plane * out + o] / area);
                    } else {
                        sum += (double)s->x[at];
                    }
                }
            }
            if (!backward) {
                s->y[plane * out + o] = (real)(sum / area);
            }
        }
    }
}

/* ---- elementwise ---------------------------------------------------------------------------- */

static void R(relu)(const ref_step *s, int64_t count, bool backward)
{
    for (int64_t i = 0; i < count; i++) {
        if (backward) {
            s->dx[i] += s->x[i] > (real)0 ? s->dy[i] : (real)0;
        } else { /* written so that NaN passes */
            s->y[i] = s->x[i] <= (real)0 ? (real)0 : s->x[i];
        }
    }
}

static void R(multiply)(const ref_step *s, int64_t count, bool backward)
{
    for (int64_t i = 0; i < count; i++) {
        if (backward) {
            s->dx[i] += (real)((double)s->dy[i] * s->node->factor);
        } else {
            s->y[i] = (real)((double)s->x[i] * s->node->factor);
        }
    }
}

static void R(normalise)(const ref_step *s, bool backward)
{
    const amun__node *n = s->node;
    int64_t area = n->height * n->width;
    for (int64_t plane = 0; plane < s->batch * n->channels; plane++) {
        double mean = n->mean[plane % n->channels], std = n->std[plane % n->channels];
        for (int64_t i = plane * area; i < (plane + 1) * area; i++) {
            if (backward) {
                s->dx[i] += (real)((double)s->dy[i] / std);
            } else {
                s->y[i] = (real)(((double)s->x[i] - mean) / std);
            }
        }
    }
}

/* This input's channels start at `first` of the output's. Also copies (first 0, all channels) and
 * adds (`accumulate`) one input of a sum. */
static void R(place)(const ref_step *s, int64_t first, bool accumulate, bool backward)
{
    int64_t size = node_size(s->src), stride = node_size(s->node);
    int64_t offset = first * s->src->height * s->src->width;
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t i = 0; i < size; i++) {
            int64_t at = b * stride + offset + i;
            if (backward) {
                s->dx[b * size + i] += s->dy[at];
            } else {
                s->y[at] = (accumulate ? s->y[at] : (real)0) + s->x[b * size + i];
            }
        }
    }
}

/* ---- a node --------------------------------------------------------------------------------- */

static ref_step R(step_for)(const amun__plan *plan, int32_t index, int32_t input)
{
    const ref_impl *impl = plan->impl;
    const amun__node *node = &plan->graph->nodes[index];
    int32_t from = node->inputs[input];
    ref_step step = {
        .node = node,
        .src = &plan->graph->nodes[from],
        .batch = plan->batch,
        .train = amun__mode_trains(plan->mode),
        .batch_statistics = plan->mode == AMUN__MODE_TRAIN,
        .x = impl->out[from],
        .y = impl->out[index],
        .dy = impl->diff[index],
        .dx = impl->diff[from],
        .values = impl->values,
        .diff_values = impl->diff_values,
        .mean = impl->mean[index],
        .var = impl->var[index],
        .params = plan->graph->params,
    };
    return step;
}

static void R(run_unary)(const ref_step *s, bool backward)
{
    switch (s->node->kind) {
    case AMUN__NODE_CONV2D:
        if (!backward) {
            R(conv_forward)(s);
        } else {
            R(conv_backward_data)(s);
            if (s->train) {
                R(conv_backward_weights)(s);
            }
        }
        break;
    case AMUN__NODE_LINEAR:
        (backward ? R(linear_backward) : R(linear_forward))(s);
        break;
    case AMUN__NODE_BATCHNORM:
        (backward ? R(batchnorm_backward) : R(batchnorm_forward))(s);
        break;
    case AMUN__NODE_RELU:
        R(relu)(s, s->batch * node_size(s->node), backward);
        break;
    case AMUN__NODE_SCALE:
        R(multiply)(s, s->batch * node_size(s->node), backward);
        break;
    case AMUN__NODE_MAX_POOL:
        R(max_pool)(s, backward);
        break;
    case AMUN__NODE_AVG_POOL:
        R(avg_pool)(s, backward);
        break;
    case AMUN__NODE_NORMALISE:
        R(normalise)(s, backward);
        break;
    case AMUN__NODE_FLATTEN:
    case AMUN__NODE_INPUT:
    case AMUN__NODE_ADD:
    case AMUN__NODE_CONCAT:
        R(place)(s, 0, false, backward);
        break;
    }
}

static void R(run_node)(const amun__plan *plan, int32_t index, bool backward)
{
    const amun__node *node = &plan->graph->nodes[index];
    if (node->kind != AMUN__NODE_ADD && node->kind != AMUN__NODE_CONCAT) {
        ref_step step = R(step_for)(plan, index, 0);
        R(run_unary)(&step, backward);
        return;
    }
    int64_t first = 0;
    for (int32_t i = 0; i < node->input_count; i++) {
        ref_step step = R(step_for)(plan, index, i);
        R(place)(&step, first, node->kind == AMUN__NODE_ADD && i > 0, backward);
        first += node->kind == AMUN__NODE_CONCAT ? step.src->channels : 0;
    }
}
