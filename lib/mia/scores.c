/* scores.c - membership signals and simple features of rows of logits, all in double. */
#include "mia/audit.h"

/* ---- options ------------------------------------------------------------------------------------
 */

static const char *const signal_names[] = {"softmax", "taylor", "soft_margin", "taylor_soft_margin",
                                           "log_logit"};
static const char *const mode_names[] = {"online", "offline"};
static const char *const population_names[] = {"pool", "test_only"};

static const amun_rmia_options default_options = {
    .struct_size = sizeof(amun_rmia_options),
    .signal = AMUN_SIGNAL_TAYLOR_SOFT_MARGIN,
    .taylor_degree = 3,
    .temperature = 2.0,
    .margin = 0.6,
    .gamma = 2.0,
    .mode = AMUN_RMIA_ONLINE,
    .population = AMUN_RMIA_POOL,
    .offline_a = 0.33,
    .trim = 0.0,
};
static const amun__field option_fields[] = {
    AMUN__FIELD_ENUM(amun_rmia_options, signal, 1, 5, signal_names),
    AMUN__FIELD(amun_rmia_options, taylor_degree, AMUN__FIELD_I32, 1, 8),
    AMUN__FIELD(amun_rmia_options, temperature, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_rmia_options, margin, AMUN__FIELD_F64, 0, 1000),
    AMUN__FIELD(amun_rmia_options, gamma, AMUN__FIELD_F64, 1, 1000),
    AMUN__FIELD_ENUM(amun_rmia_options, mode, 1, 2, mode_names),
    AMUN__FIELD_ENUM(amun_rmia_options, population, 1, 2, population_names),
    AMUN__FIELD(amun_rmia_options, offline_a, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_rmia_options, trim, AMUN__FIELD_F64, 0, 0.49),
};
const amun__options_table amun__rmia_options_table = {
    .name = "amun_rmia_options",
    .size = sizeof(amun_rmia_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_rmia_options_init(amun_rmia_options *opts, size_t size)
{
    return amun__options_init(&amun__rmia_options_table, opts, size);
}

amun_status amun__rmia_options_read(amun_rmia_options *full, const amun_rmia_options *opts)
{
    AMUN__CHECK(amun__options_read(&amun__rmia_options_table, full, opts));
    if (!(full->temperature > 0.0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_rmia_options.temperature: %g, must be positive", full->temperature);
    }
    return AMUN_OK;
}

/* ---- reading rows -------------------------------------------------------------------------------
 */

amun_status amun__score_views_check(const amun_tensor_view *logits, const amun_tensor_view *labels,
                                    size_t *n, size_t *classes)
{
    AMUN__CHECK(amun__view_check(logits, "logits", NULL));
    AMUN__CHECK(amun__view_check(labels, "labels", NULL));
    if (logits->dtype != AMUN_DTYPE_F32 && logits->dtype != AMUN_DTYPE_F64) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "logits: dtype %d, expected F32 or F64",
                          (int)logits->dtype);
    }
    if (logits->ndim != 2 || logits->shape[0] < 1 || logits->shape[1] < 2) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "logits: %d axes, first extents %lld and %lld; expected [n, classes] "
                          "with at least 1 row and 2 classes",
                          (int)logits->ndim, (long long)(logits->ndim > 0 ? logits->shape[0] : 0),
                          (long long)(logits->ndim > 1 ? logits->shape[1] : 0));
    }
    if (labels->ndim != 1 || labels->shape[0] != logits->shape[0]) {
        return amun__fail(AMUN_ERROR_SHAPE, "labels: %d axes of extent %lld, expected [%lld]",
                          (int)labels->ndim, (long long)(labels->ndim > 0 ? labels->shape[0] : 0),
                          (long long)logits->shape[0]);
    }
    *n = (size_t)logits->shape[0];
    *classes = (size_t)logits->shape[1];
    return AMUN_OK;
}

/* One row as double, which F64 logits keep exactly, and its label; refuses what is not finite. */
static amun_status read_row(const amun_tensor_view *logits, const amun_tensor_view *labels,
                            size_t row, size_t classes, double *z, size_t *label)
{
    const char *at = (const char *)logits->data + (int64_t)row * logits->strides[0];
    for (size_t j = 0; j < classes; j++, at += logits->strides[1]) {
        if (logits->dtype == AMUN_DTYPE_F64) {
            memcpy(&z[j], at, sizeof z[j]);
        } else {
            float value;
            memcpy(&value, at, sizeof value);
            z[j] = (double)value;
        }
        if (!isfinite(z[j])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "logits: row %zu, class %zu is %g", row, j, z[j]);
        }
    }
    int64_t y;
    AMUN__CHECK(amun__view_read_i64(labels, row, 1, &y));
    if (y < 0 || (uint64_t)y >= classes) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "labels: row %zu is %lld, outside 0..%zu",
                          row, (long long)y, classes - 1);
    }
    *label = (size_t)y;
    return AMUN_OK;
}

/* ---- signals (AMUN, arXiv 2503.00917, appendix C; RMIA, arXiv 2312.03262, appendix B) -------- */

static double max_of(const double *z, size_t classes)
{
    double top = z[0];
    for (size_t j = 1; j < classes; j++) {
        top = z[j] > top ? z[j] : top;
    }
    return top;
}

/* t(v) = sum of v^i / i! for i = 0..degree, by Horner's rule. */
static double taylor(double v, int32_t degree)
{
    double sum = 1.0;
    for (int32_t i = degree; i >= 1; i--) {
        sum = 1.0 + v / i * sum;
    }
    return sum;
}

/* e^(u_y - m) / (e^(u_y - m) + sum over j != y of e^(u_j)) with u = z / T; m = 0 is the softmax.
 * Logits are shifted by the largest before the division, which keeps their differences exact, and
 * the exponents by the largest that is left, so that nothing overflows and the sum is at least 1.
 */
static double soft_margin(const double *z, size_t classes, size_t y, double temperature,
                          double margin)
{
    double top = max_of(z, classes), rest = -INFINITY, sum = 0.0;
    double own = (z[y] - top) / temperature - margin;
    for (size_t j = 0; j < classes; j++) {
        rest = j != y && z[j] > rest ? z[j] : rest;
    }
    double shift = fmax(own, (rest - top) / temperature);
    for (size_t j = 0; j < classes; j++) {
        sum += j == y ? 0.0 : exp((z[j] - top) / temperature - shift);
    }
    own = exp(own - shift);
    return own / (own + sum);
}

/* The same with the truncated series in place of the exponential. Odd degrees are negative for very
 * negative arguments (degree 3: below -1.596), so that the "probability" may leave (0, 1): counted.
 */
static double taylor_margin(const double *z, size_t classes, size_t y, double temperature,
                            double margin, int32_t degree, bool *nonpositive)
{
    double own = taylor(z[y] / temperature - margin, degree);
    double sum = own;
    for (size_t j = 0; j < classes; j++) {
        if (j != y) {
            sum += taylor(z[j] / temperature, degree);
        }
    }
    *nonpositive = !(own > 0.0) || !(sum > 0.0);
    return own / sum;
}

/* log p_y - log(1 - p_y) with both probabilities floored at 1e-45 (LiRA, arXiv 2112.03570). Taken
 * from log-sum-exp values, because 1 - p_y is 0 in floating point long before it is 1e-45. */
static double log_logit(const double *z, size_t classes, size_t y)
{
    const double floor_log = log(1e-45);
    double top = max_of(z, classes);
    double rest_top = -INFINITY;
    double all = 0.0, rest = 0.0;
    for (size_t j = 0; j < classes; j++) {
        all += exp(z[j] - top);
        rest_top = j != y && z[j] > rest_top ? z[j] : rest_top;
    }
    for (size_t j = 0; j < classes; j++) {
        rest += j == y ? 0.0 : exp(z[j] - rest_top);
    }
    double log_all = top + log(all);
    return fmax(z[y] - log_all, floor_log) - fmax(rest_top + log(rest) - log_all, floor_log);
}

static double signal_of(const double *z, size_t classes, size_t y, const amun_rmia_options *opts,
                        bool *nonpositive)
{
    *nonpositive = false;
    switch (opts->signal) {
    case AMUN_SIGNAL_SOFTMAX:
        return soft_margin(z, classes, y, opts->temperature, 0.0);
    case AMUN_SIGNAL_TAYLOR: /* neither published code applies the temperature here */
        return taylor_margin(z, classes, y, 1.0, 0.0, opts->taylor_degree, nonpositive);
    case AMUN_SIGNAL_SOFT_MARGIN:
        return soft_margin(z, classes, y, opts->temperature, opts->margin);
    case AMUN_SIGNAL_LOG_LOGIT:
        return log_logit(z, classes, y);
    default:
        return taylor_margin(z, classes, y, opts->temperature, opts->margin, opts->taylor_degree,
                             nonpositive);
    }
}

amun_status amun__signal_rows(double *signal, size_t *nonpositive, const amun_tensor_view *logits,
                              const amun_tensor_view *labels, const amun_rmia_options *opts,
                              double *scratch)
{
    size_t n = 0, classes = 0, count = 0;
    AMUN__CHECK(amun__score_views_check(logits, labels, &n, &classes));
    for (size_t i = 0; i < n; i++) {
        size_t y = 0;
        bool below = false;
        AMUN__CHECK(read_row(logits, labels, i, classes, scratch, &y));
        signal[i] = signal_of(scratch, classes, y, opts, &below);
        if (!isfinite(signal[i])) { /* a Taylor sum of exactly 0, or beyond the range of a double */
            return amun__fail(AMUN_ERROR_NUMERIC, "logits: the signal of row %zu is %g", i,
                              signal[i]);
        }
        count += below;
    }
    if (nonpositive != NULL) {
        *nonpositive = count;
    }
    return AMUN_OK;
}

amun_status amun_signal_compute(double *signal, size_t *nonpositive, const amun_tensor_view *logits,
                                const amun_tensor_view *labels, const amun_rmia_options *opts)
{
    amun__enter();
    if (signal == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "signal is NULL");
    }
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    double *scratch = NULL;
    size_t n, classes;
    amun_rmia_options o;
    AMUN__TRY(amun__rmia_options_read(&o, opts));
    AMUN__TRY(amun__score_views_check(logits, labels, &n, &classes));
    AMUN__TRY(amun_context_create(&ctx, NULL)); /* saved outputs come without a context */
    AMUN__TRY(amun__alloc(ctx, &scratch, classes, sizeof *scratch));
    AMUN__TRY(amun__signal_rows(signal, nonpositive, logits, labels, &o, scratch));
fail:
    amun__free(ctx, scratch);
    amun_context_unref(ctx);
    return status;
}

/* ---- features of the simple attack --------------------------------------------------------------
 */

static double floored_log(double p)
{
    return log(p > 1e-30 ? p : 1e-30);
}

/* Overwrites the logits with softmax probabilities. H = -sum p log p with 0 log 0 = 0;
 * ME = -(1 - p_y) log p_y - sum over j != y of p_j log(1 - p_j) (Song and Mittal,
 * arXiv 2003.10595, equation 8; the widely copied code takes log p_j in the second term). */
static void features_of(double *z, size_t classes, size_t y, double *confidence, double *entropy,
                        double *modified)
{
    double top = max_of(z, classes), sum = 0.0;
    for (size_t j = 0; j < classes; j++) {
        z[j] = exp(z[j] - top);
        sum += z[j];
    }
    double h = 0.0, me = 0.0;
    for (size_t j = 0; j < classes; j++) {
        double p = z[j] / sum;
        h -= p > 0.0 ? p * log(p) : 0.0;
        me -= j == y ? (1.0 - p) * floored_log(p) : p * floored_log(1.0 - p);
    }
    *confidence = z[y] / sum;
    *entropy = h;
    *modified = me;
}

amun_status amun_svc_features(double *confidence, double *entropy, double *modified_entropy,
                              const amun_tensor_view *logits, const amun_tensor_view *labels)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_context *ctx = NULL;
    double *scratch = NULL;
    size_t n, classes;
    AMUN__TRY(amun__score_views_check(logits, labels, &n, &classes));
    AMUN__TRY(amun_context_create(&ctx, NULL));
    AMUN__TRY(amun__alloc(ctx, &scratch, classes, sizeof *scratch));
    for (size_t i = 0; i < n; i++) {
        size_t y = 0;
        double c, h, me;
        AMUN__TRY(read_row(logits, labels, i, classes, scratch, &y));
        features_of(scratch, classes, y, &c, &h, &me);
        if (confidence != NULL) {
            confidence[i] = c;
        }
        if (entropy != NULL) {
            entropy[i] = h;
        }
        if (modified_entropy != NULL) {
            modified_entropy[i] = me;
        }
    }
fail:
    amun__free(ctx, scratch);
    amun_context_unref(ctx);
    return status;
}
