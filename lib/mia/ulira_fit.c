/* ulira_fit.c - Gaussians of shadow models' scores, per sample, and their log-likelihood ratios. */
#include "core/sort.h"
#include "mia/ulira.h"

/* ---- options ------------------------------------------------------------------------------------
 */

static const char *const variance_names[] = {"per_sample", "pooled", "global_ref"};
static const char *const centre_names[] = {"auto", "mean", "median"};
static const char *const holdout_names[] = {"each", "last"};
static const char *const score_names[] = {"own", "neighbour", "joint"};

static const amun_ulira_options default_options = {
    .struct_size = sizeof(amun_ulira_options),
    .variance = AMUN_ULIRA_POOLED,
    .centre = AMUN_ULIRA_CENTRE_AUTO,
    .holdout = AMUN_ULIRA_EACH,
    .score = AMUN_ULIRA_OWN,
    .floor = 1e-3,
    .neighbour = -1,
};
static const amun__field option_fields[] = {
    AMUN__FIELD_ENUM(amun_ulira_options, variance, 1, 3, variance_names),
    AMUN__FIELD_ENUM(amun_ulira_options, centre, 1, 3, centre_names),
    AMUN__FIELD_ENUM(amun_ulira_options, holdout, 1, 2, holdout_names),
    AMUN__FIELD_ENUM(amun_ulira_options, score, 1, 3, score_names),
    AMUN__FIELD(amun_ulira_options, floor, AMUN__FIELD_F64, 1e-12, 1e3),
    AMUN__FIELD(amun_ulira_options, neighbour, AMUN__FIELD_I64, -1, 1e9),
};
static const amun__options_table options_table = {
    .name = "amun_ulira_options",
    .size = sizeof(amun_ulira_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_ulira_options_init(amun_ulira_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

amun_status amun__ulira_options_read(amun_ulira_options *full, const amun_ulira_options *opts)
{
    AMUN__CHECK(amun__options_read(&options_table, full, opts));
    if (full->score == AMUN_ULIRA_JOINT && full->variance != AMUN_ULIRA_POOLED) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_ulira_options.variance: %s, the joint score has a pooled one only",
                          variance_names[full->variance - 1]);
    }
    return AMUN_OK;
}

amun_status amun__ulira_check(const double *values, size_t n, const char *what)
{
    if (values == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: value %zu is %g", what, i, values[i]);
        }
    }
    return AMUN_OK;
}

/* ---- one sample ---------------------------------------------------------------------------------
 */

double amun__ulira_centre(double *values, size_t count, const amun_ulira_options *opts)
{
    const bool median = opts->centre == AMUN_ULIRA_CENTRE_MEDIAN ||
                        (opts->centre == AMUN_ULIRA_CENTRE_AUTO && count >= 8);
    if (!median) {
        double mean;
        amun__mean_sd(values, count, &mean, NULL);
        return mean;
    }
    amun__sort_f64(values, count);
    return amun__median_f64(values, count);
}

double amun__ulira_squares(const double *values, size_t count)
{
    double mean, squares = 0.0;
    amun__mean_sd(values, count, &mean, NULL);
    for (size_t t = 0; t < count; t++) {
        squares += (values[t] - mean) * (values[t] - mean);
    }
    return squares;
}

/* ---- two sides ----------------------------------------------------------------------------------
 */

amun_status amun__ulira_fit_room(amun_context *ctx, amun__ulira_fit *fit, size_t n, size_t dims,
                                 size_t most_models)
{
    *fit = (amun__ulira_fit){.n = n, .dims = dims};
    for (int side = 0; side < 2; side++) {
        AMUN__CHECK(amun__alloc(ctx, &fit->centre[side], n, dims * sizeof(double)));
        AMUN__CHECK(amun__alloc(ctx, &fit->sd[side], n, sizeof(double)));
    }
    return amun__alloc(ctx, &fit->column, most_models, 2 * sizeof *fit->column);
}

void amun__ulira_fit_free(amun_context *ctx, amun__ulira_fit *fit)
{
    for (int side = 0; side < 2; side++) {
        amun__free(ctx, fit->centre[side]);
        amun__free(ctx, fit->sd[side]);
    }
    amun__free(ctx, fit->column);
}

/* Scores of sample i in dimension d of all models but the one held out. */
static size_t gather(const amun__ulira_fit *fit, const amun__side *side, size_t held, size_t i,
                     size_t d, double *column)
{
    size_t count = 0;
    for (size_t t = 0; t < side->count; t++) {
        if (t != held) {
            column[count++] = side->scores[(side->models[t] * fit->n + i) * fit->dims + d];
        }
    }
    return count;
}

/* Deviation of all scores of the side about their one mean, between-sample spread included
 * (divided by their number, as LiRA's program does). */
static double global_deviation(const amun__ulira_fit *fit, const amun__side *side, size_t held)
{
    double sum = 0.0, squares = 0.0, mean = 0.0;
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        count = 0;
        for (size_t t = 0; t < side->count; t++) {
            for (size_t i = 0; i < fit->n && t != held; i++, count++) {
                const double v = side->scores[side->models[t] * fit->n + i];
                sum += v;
                squares += (v - mean) * (v - mean);
            }
        }
        if (pass == 0) {
            mean = sum / (double)count;
            squares = 0.0;
        }
    }
    return sqrt(squares / (double)count);
}

static void fit_side(amun__ulira_fit *fit, int which, const amun__side *side, size_t held,
                     const amun_ulira_options *opts)
{
    double *centre = fit->centre[which], *sd = fit->sd[which], pooled = 0.0;
    const double freedom = (double)(side->count - 2); /* one held out, one for the mean */
    for (size_t i = 0; i < fit->n; i++) {
        const size_t count = gather(fit, side, held, i, 0, fit->column);
        const double squares = amun__ulira_squares(fit->column, count);
        centre[i] = amun__ulira_centre(fit->column, count, opts);
        sd[i] = fmax(sqrt(squares / freedom), opts->floor);
        pooled += squares;
    }
    pooled = fmax(sqrt(pooled / ((double)fit->n * freedom)), opts->floor);
    for (size_t i = 0; i < fit->n && opts->variance == AMUN_ULIRA_POOLED; i++) {
        sd[i] = pooled;
    }
}

/* Adds a side's sums of squares and products to c; its centres. */
static void add_products(amun__ulira_fit *fit, int which, const amun__side *side, size_t held,
                         const amun_ulira_options *opts, double c[3])
{
    double *x = fit->column;
    for (size_t i = 0; i < fit->n; i++) {
        const size_t count = gather(fit, side, held, i, 0, x);
        double *y = x + count, mean_x, mean_y;
        (void)gather(fit, side, held, i, 1, y);
        amun__mean_sd(x, count, &mean_x, NULL);
        amun__mean_sd(y, count, &mean_y, NULL);
        for (size_t t = 0; t < count; t++) {
            c[0] += (x[t] - mean_x) * (x[t] - mean_x);
            c[1] += (x[t] - mean_x) * (y[t] - mean_y);
            c[2] += (y[t] - mean_y) * (y[t] - mean_y);
        }
        fit->centre[which][2 * i] = amun__ulira_centre(x, count, opts);
        fit->centre[which][2 * i + 1] = amun__ulira_centre(y, count, opts);
    }
}

static amun_status fit_joint(amun__ulira_fit *fit, const amun__side sides[2], const size_t held[2],
                             const amun_ulira_options *opts)
{
    double c[3] = {0.0, 0.0, 0.0}, freedom = 0.0;
    for (int side = 0; side < 2; side++) {
        add_products(fit, side, &sides[side], held[side], opts, c);
        freedom += (double)fit->n * (double)(sides[side].count - 2);
    }
    for (int k = 0; k < 3; k++) {
        c[k] = c[k] / freedom + (k != 1 ? opts->floor * opts->floor : 0.0);
    }
    const double det = c[0] * c[2] - c[1] * c[1];
    if (!(det > 1e-12 * c[0] * c[2])) {
        return amun__fail(AMUN_ERROR_NUMERIC, "joint score: covariance (%g, %g, %g) is singular",
                          c[0], c[1], c[2]);
    }
    fit->inverse[0] = c[2] / det;
    fit->inverse[1] = -c[1] / det;
    fit->inverse[2] = c[0] / det;
    return AMUN_OK;
}

amun_status amun__ulira_fit_run(amun__ulira_fit *fit, const amun__side sides[2],
                                const size_t held[2], const amun_ulira_options *opts)
{
    if (fit->dims == 2) {
        return fit_joint(fit, sides, held, opts);
    }
    for (int side = 0; side < 2; side++) {
        fit_side(fit, side, &sides[side], held[side], opts);
    }
    if (opts->variance == AMUN_ULIRA_GLOBAL_REF) {
        const double sd = fmax(global_deviation(fit, &sides[1], held[1]), opts->floor);
        for (size_t i = 0; i < fit->n; i++) {
            fit->sd[0][i] = fit->sd[1][i] = sd;
        }
    }
    return AMUN_OK;
}

static double distance(const double inverse[3], const double *v, const double *centre)
{
    const double x = v[0] - centre[0], y = v[1] - centre[1];
    return x * x * inverse[0] + 2.0 * x * y * inverse[1] + y * y * inverse[2];
}

void amun__ulira_ratios(const amun__ulira_fit *fit, const double *scores, double *ratio)
{
    for (size_t i = 0; i < fit->n; i++) {
        if (fit->dims == 2) {
            ratio[i] = 0.5 * (distance(fit->inverse, scores + 2 * i, fit->centre[0] + 2 * i) -
                              distance(fit->inverse, scores + 2 * i, fit->centre[1] + 2 * i));
        } else {
            ratio[i] = amun__ulira_density(scores[i], fit->centre[1][i], fit->sd[1][i]) -
                       amun__ulira_density(scores[i], fit->centre[0][i], fit->sd[0][i]);
        }
    }
}
