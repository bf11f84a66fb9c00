/* trw_target.c - tilted targets, the moment that a tilt fixes, and the tilt that gives a moment.
 *
 * q minimises KL(q || r) over the retained classes, r_j = p_j / (1 - p_f), under E_q[s] = c. The
 * minimum is q_j ~ p_j exp(beta s_j), with beta the multiplier of c; since 1 - p_f cancels, it is a
 * softmax of z_j + beta s_j, and p_f = 1 does no harm. */
#include "unlearn/trw_views.h"

void amun__trw_target(const amun__trw_classes *c, const double *z, const double *s, double beta,
                      double forget_floor, double *q)
{
    double top = -INFINITY, sum = 0.0;
    for (size_t j = 0; j < c->classes; j++) {
        if (c->row[j] < 0) {
            q[j] = z[j] + (s != NULL ? beta * s[j] : 0.0);
            top = q[j] > top ? q[j] : top;
        }
    }
    for (size_t j = 0; j < c->classes; j++) {
        if (c->row[j] < 0) {
            q[j] = exp(q[j] - top);
            sum += q[j];
        }
    }
    for (size_t j = 0; j < c->classes; j++) {
        q[j] = c->row[j] < 0 ? (1.0 - forget_floor) * q[j] / sum : forget_floor / (double)c->gone;
    }
}

/* ---- a group of samples --------------------------------------------------------------------- */

typedef struct group {
    amun_context *ctx;
    amun__trw_classes classes;
    const amun_tensor_view *labels;
    const double *scores;
    size_t n;
    double *logits; /* [n][classes] */
    double *target; /* one row */
    size_t *rows;   /* [n]: of the scores */
} group;

/* Which row of the scores each sample has. */
static amun_status find_rows(group *g)
{
    AMUN__CHECK(amun__alloc(g->ctx, &g->rows, g->n, sizeof *g->rows));
    for (size_t i = 0; i < g->n; i++) {
        g->rows[i] = i;
        if (g->labels != NULL) {
            size_t label = 0;
            AMUN__CHECK(amun__trw_label(&g->classes, g->labels, i, true, "labels", &label));
            g->rows[i] = (size_t)g->classes.row[label];
        }
    }
    return AMUN_OK;
}

static amun_status check_scores(const group *g)
{
    const amun__trw_classes *c = &g->classes;
    if (g->scores == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "scores is NULL");
    }
    for (size_t i = 0; i < g->n; i++) {
        const double *row = g->scores + g->rows[i] * c->classes;
        for (size_t j = 0; j < c->classes; j++) {
            if (c->row[j] < 0 && !isfinite(row[j])) {
                return amun__fail(AMUN_ERROR_NUMERIC, "scores: row %zu, class %zu is %g",
                                  g->rows[i], j, row[j]);
            }
        }
    }
    return AMUN_OK;
}

/* Close it in any case. */
static amun_status group_open(group *g, const amun_tensor_view *logits,
                              const amun_tensor_view *labels, const int64_t *forget, size_t count,
                              const double *scores)
{
    size_t classes = 0;
    g->labels = labels;
    g->scores = scores;
    AMUN__CHECK(amun__trw_matrix_check(logits, "logits", 2, &g->n, &classes));
    if (labels != NULL) {
        AMUN__CHECK(amun__trw_labels_check(labels, "labels", g->n));
    }
    AMUN__CHECK(amun_context_create(&g->ctx, NULL)); /* saved outputs come without a context */
    AMUN__CHECK(amun__trw_open(&g->classes, g->ctx, forget, count, classes));
    AMUN__CHECK(amun__trw_matrix_read(g->ctx, logits, "logits", &g->logits));
    AMUN__CHECK(amun__alloc(g->ctx, &g->target, classes, sizeof *g->target));
    AMUN__CHECK(find_rows(g));
    return check_scores(g);
}

static void group_close(group *g)
{
    amun__trw_close(&g->classes);
    if (g->ctx != NULL) {
        amun__free(g->ctx, g->logits);
        amun__free(g->ctx, g->target);
        amun__free(g->ctx, g->rows);
    }
    amun_context_unref(g->ctx);
}

/* Mean over the samples of E_q[s] and of Var_q(s). */
static double moment_of(const group *g, const double *logits, double beta, double *slope)
{
    const amun__trw_classes *c = &g->classes;
    double mean = 0.0;
    *slope = 0.0;
    for (size_t i = 0; i < g->n; i++) {
        const double *s = g->scores + g->rows[i] * c->classes;
        double first = 0.0, second = 0.0;
        amun__trw_target(c, logits + i * c->classes, s, beta, 0.0, g->target);
        for (size_t j = 0; j < c->classes; j++) {
            first += c->row[j] < 0 ? g->target[j] * s[j] : 0.0;
        }
        for (size_t j = 0; j < c->classes; j++) {
            second += c->row[j] < 0 ? g->target[j] * (s[j] - first) * (s[j] - first) : 0.0;
        }
        mean += first / (double)g->n;
        *slope += second / (double)g->n;
    }
    return mean;
}

/* ---- the tilt of a moment ------------------------------------------------------------------- */

static const double beta_most = 1000.0;

static amun_status solve(const group *g, double wanted, double *beta)
{
    double low = 0.0, high = beta_most, slope;
    const double at_low = moment_of(g, g->logits, low, &slope);
    const double at_high = moment_of(g, g->logits, high, &slope);
    const double close = 1e-13 * fmax(1.0, fabs(wanted));
    if (!(wanted >= at_low - close) || !(wanted <= at_high + close)) {
        return amun__fail(AMUN_ERROR_NUMERIC,
                          "moment: %g, but it is %g at beta 0 and %g at beta %g", wanted, at_low,
                          at_high, beta_most);
    }
    double at = 0.0;
    for (int i = 0; i < 200; i++) {
        double error = moment_of(g, g->logits, at, &slope) - wanted;
        if (fabs(error) <= close || high - low <= 1e-12 * high) {
            break;
        }
        *(error < 0.0 ? &low : &high) = at;
        double next = at - error / slope; /* infinite where the moment is flat */
        at = next > low && next < high ? next : 0.5 * (low + high);
    }
    *beta = at;
    return AMUN_OK;
}

/* ---- public --------------------------------------------------------------------------------- */

amun_status amun_trw_targets(double *targets, const amun_tensor_view *logits,
                             const amun_tensor_view *labels, const int64_t *forget, size_t count,
                             const double *scores, const amun_trw_options *opts)
{
    amun__enter();
    group g = {0};
    amun_trw_options o;
    amun_status status = AMUN_OK;
    if (targets == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "targets is NULL");
    }
    AMUN__TRY(amun__options_read(&amun__trw_options_table, &o, opts));
    AMUN__TRY(group_open(&g, logits, labels, forget, count, scores));
    for (size_t i = 0; i < g.n; i++) {
        size_t classes = g.classes.classes;
        amun__trw_target(&g.classes, g.logits + i * classes, scores + g.rows[i] * classes, o.beta,
                         o.forget_floor, targets + i * classes);
    }
fail:
    group_close(&g);
    return status;
}

amun_status amun_trw_moment(double *moment, double *slope, const amun_tensor_view *logits,
                            const amun_tensor_view *labels, const int64_t *forget, size_t count,
                            const double *scores, double beta)
{
    amun__enter();
    group g = {0};
    amun_status status = AMUN_OK;
    double nowhere;
    if (moment == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "moment is NULL");
    }
    slope = slope != NULL ? slope : &nowhere;
    *moment = *slope = NAN;
    if (!(fabs(beta) <= beta_most)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "beta: %g is outside [-%g, %g]", beta,
                          beta_most, beta_most);
    }
    AMUN__TRY(group_open(&g, logits, labels, forget, count, scores));
    *moment = moment_of(&g, g.logits, beta, slope);
fail:
    group_close(&g);
    return status;
}

amun_status amun_trw_solve_beta(double *beta, const amun_tensor_view *logits,
                                const amun_tensor_view *labels, const int64_t *forget, size_t count,
                                const double *scores, double moment)
{
    amun__enter();
    group g = {0};
    amun_status status = AMUN_OK;
    if (beta == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "beta is NULL");
    }
    *beta = NAN;
    if (!isfinite(moment)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "moment: %g is not finite", moment);
    }
    AMUN__TRY(group_open(&g, logits, labels, forget, count, scores));
    AMUN__TRY(solve(&g, moment, beta));
fail:
    group_close(&g);
    return status;
}

amun_status amun_trw_beta_from_reference(double *beta, double *moment,
                                         const amun_tensor_view *logits,
                                         const amun_tensor_view *reference,
                                         const amun_tensor_view *labels, const int64_t *forget,
                                         size_t count, const double *scores)
{
    amun__enter();
    group g = {0};
    amun_status status = AMUN_OK;
    size_t n = 0, classes = 0;
    double *retrained = NULL, nowhere, slope;
    if (beta == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "beta is NULL");
    }
    moment = moment != NULL ? moment : &nowhere;
    *beta = *moment = NAN;
    AMUN__TRY(group_open(&g, logits, labels, forget, count, scores));
    AMUN__TRY(amun__trw_matrix_check(reference, "reference", 2, &n, &classes));
    if (n != g.n || classes != g.classes.classes) {
        AMUN__FAIL(AMUN_ERROR_SHAPE, "reference: [%zu, %zu], but logits is [%zu, %zu]", n, classes,
                   g.n, g.classes.classes);
    }
    AMUN__TRY(amun__trw_matrix_read(g.ctx, reference, "reference", &retrained));
    double wanted = moment_of(&g, retrained, 0.0, &slope);
    AMUN__TRY(solve(&g, wanted, beta));
    *moment = wanted;
fail:
    if (g.ctx != NULL) {
        amun__free(g.ctx, retrained);
    }
    group_close(&g);
    return status;
}
