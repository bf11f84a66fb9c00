/* trw.c - which classes are to be forgotten, and how similar the others are to them: rows of the
 * last layer, principal components, cosines; controls and noise to see whether that matters. */
#include "unlearn/trw.h"

#include <stdlib.h>

#include "core/linalg.h"

/* ---- forget classes ------------------------------------------------------------------------- */

static amun_status mark_forget(amun__trw_classes *c, const int64_t *forget, size_t count)
{
    for (size_t j = 0; j < c->classes; j++) {
        c->row[j] = -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (forget[i] < 0 || (uint64_t)forget[i] >= c->classes) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "forget: class %lld at position %zu is outside 0..%zu",
                              (long long)forget[i], i, c->classes - 1);
        }
        if (c->row[forget[i]] >= 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "forget: class %lld is there twice",
                              (long long)forget[i]);
        }
        c->row[forget[i]] = (int32_t)i;
    }
    return AMUN_OK;
}

amun_status amun__trw_open(amun__trw_classes *c, amun_context *ctx, const int64_t *forget,
                           size_t count, size_t classes)
{
    *c = (amun__trw_classes){.ctx = ctx, .classes = classes, .gone = count};
    if (forget == NULL || count == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "forget: no class");
    }
    if (count >= classes) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "forget: %zu of %zu classes, so that none is retained", count, classes);
    }
    AMUN__CHECK(amun__alloc(ctx, &c->row, classes, sizeof *c->row));
    AMUN__CHECK(amun__alloc(ctx, &c->order, classes, sizeof *c->order));
    AMUN__CHECK(amun__alloc(ctx, &c->scratch, classes, sizeof *c->scratch));
    return mark_forget(c, forget, count);
}

void amun__trw_close(amun__trw_classes *c)
{
    if (c->ctx != NULL) {
        amun__free(c->ctx, c->row);
        amun__free(c->ctx, c->order);
        amun__free(c->ctx, c->scratch);
    }
    *c = (amun__trw_classes){0};
}

/* ---- principal components ------------------------------------------------------------------- */

static void centre(double *rows, size_t classes, size_t d)
{
    for (size_t k = 0; k < d; k++) {
        double mean = 0.0;
        for (size_t j = 0; j < classes; j++) {
            mean += rows[j * d + k] / (double)classes;
        }
        for (size_t j = 0; j < classes; j++) {
            rows[j * d + k] -= mean;
        }
    }
}

/* Centred rows have no more than classes - 1 directions, and singular values are descending. */
static size_t kept_components(const double *s, size_t rank, const amun_trw_options *o)
{
    double total = 0.0, sum = 0.0;
    size_t kept = 0;
    if (o->components > 0) {
        return (size_t)o->components < rank ? (size_t)o->components : rank;
    }
    for (size_t i = 0; i < rank; i++) {
        total += s[i] * s[i];
    }
    /* rounding must not let energy 1 miss its mark */
    while (kept < rank && (kept == 0 || sum < o->energy * total * (1.0 - 1e-12))) {
        sum += s[kept] * s[kept];
        kept++;
    }
    return kept;
}

/* Coordinates u[j][i] * s[i] of each class, in place; their lengths go into c->scratch. */
static amun_status project(const amun__trw_classes *c, double *u, const double *s, size_t width,
                           size_t kept)
{
    double longest = 0.0;
    for (size_t j = 0; j < c->classes; j++) {
        double sum = 0.0;
        for (size_t i = 0; i < kept; i++) {
            u[j * width + i] *= s[i];
            sum += u[j * width + i] * u[j * width + i];
        }
        c->scratch[j] = sqrt(sum);
        longest = fmax(longest, c->scratch[j]);
    }
    for (size_t j = 0; j < c->classes; j++) {
        if (!(c->scratch[j] > 1e-12 * longest)) {
            return amun__fail(AMUN_ERROR_NUMERIC,
                              "rows: that of class %zu is 0 in the %zu principal components kept, "
                              "so that it has no direction",
                              j, kept);
        }
    }
    return AMUN_OK;
}

static double cosine(const amun__trw_classes *c, const double *u, size_t width, size_t kept,
                     size_t a, size_t b)
{
    double dot = 0.0;
    for (size_t i = 0; i < kept; i++) {
        dot += u[a * width + i] * u[b * width + i];
    }
    return dot / (c->scratch[a] * c->scratch[b]);
}

void amun__trw_finish_row(const amun__trw_classes *c, const amun_trw_options *o, double *row)
{
    double top = -INFINITY, sum = 0.0;
    for (size_t j = 0; j < c->classes; j++) {
        top = c->row[j] < 0 && row[j] > top ? row[j] : top;
    }
    for (size_t j = 0; j < c->classes; j++) {
        if (c->row[j] >= 0) {
            row[j] = 0.0;
        } else if (o->score == AMUN_TRW_SCORE_SOFTMAX) {
            row[j] = exp((row[j] - top) / o->temperature);
            sum += row[j];
        }
    }
    for (size_t j = 0; j < c->classes && o->score == AMUN_TRW_SCORE_SOFTMAX; j++) {
        row[j] /= sum;
    }
}

amun_status amun__trw_row_scores(const amun__trw_classes *c, double *rows, size_t d,
                                 const amun_trw_options *o, double *scores)
{
    amun_status status = AMUN_OK;
    double *s = NULL, *u = NULL, *vt = NULL;
    size_t width = c->classes < d ? c->classes : d;
    size_t rank = c->classes - 1 < d ? c->classes - 1 : d;
    if (o->components > 0 && (size_t)o->components >= c->classes) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_trw_options.components: %d, at most %zu with %zu classes",
                          (int)o->components, c->classes - 1, c->classes);
    }
    AMUN__TRY(amun__alloc(c->ctx, &s, width, sizeof *s));
    AMUN__TRY(amun__alloc(c->ctx, &u, c->classes * width, sizeof *u));
    AMUN__TRY(amun__alloc(c->ctx, &vt, width * d, sizeof *vt));
    centre(rows, c->classes, d);
    AMUN__TRY(amun__svd_f64(c->ctx, (int64_t)c->classes, (int64_t)d, rows, s, u, vt));
    size_t kept = kept_components(s, rank, o);
    AMUN__TRY(project(c, u, s, width, kept));
    for (size_t f = 0; f < c->classes; f++) {
        if (c->row[f] < 0) {
            continue;
        }
        double *row = scores + (size_t)c->row[f] * c->classes;
        for (size_t j = 0; j < c->classes; j++) {
            row[j] = cosine(c, u, width, kept, f, j);
        }
        amun__trw_finish_row(c, o, row);
    }
fail:
    amun__free(c->ctx, s);
    amun__free(c->ctx, u);
    amun__free(c->ctx, vt);
    return status;
}

/* ---- controls and noise --------------------------------------------------------------------- */

/* The retained classes by falling score, of equals the lower number, into c->order. */
typedef struct placed {
    double score;
    int64_t at;
} placed;

static int by_score(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return x->at < y->at ? -1 : x->at > y->at;
}

static amun_status sort_retained(const amun__trw_classes *c, const double *row, size_t *count)
{
    placed *list = NULL;
    *count = 0;
    AMUN__CHECK(amun__alloc(c->ctx, &list, c->classes, sizeof *list));
    for (size_t j = 0; j < c->classes; j++) {
        if (c->row[j] < 0) {
            list[(*count)++] = (placed){row[j], (int64_t)j};
        }
    }
    qsort(list, *count, sizeof *list, by_score);
    for (size_t i = 0; i < *count; i++) {
        c->order[i] = list[i].at;
        c->scratch[i] = list[i].score;
    }
    amun__free(c->ctx, list);
    return AMUN_OK;
}

static double rank_score(size_t place, size_t n, const amun_trw_options *o)
{
    double score = n > 1 ? (double)(n - 1 - place) / (double)(n - 1) : 1.0;
    /* the ranks of n > 1 classes add up to n / 2 */
    return o->score == AMUN_TRW_SCORE_SOFTMAX && n > 1 ? score / (0.5 * (double)n) : score;
}

/* c->order has the classes, c->scratch their scores, nearest first. */
static void replace_scores(const amun__trw_classes *c, size_t label, const amun_trw_options *o,
                           size_t n, double *row)
{
    double mean = 0.0;
    for (size_t i = 0; i < n; i++) {
        mean += c->scratch[i] / (double)n;
    }
    if (o->control == AMUN_TRW_CONTROL_PERMUTED) {
        amun__rng rng;
        amun__rng_open(&rng, o->noise_seed, AMUN__RNG_TILT, 0, label);
        amun__rng_shuffle(&rng, c->order, n);
    }
    for (size_t i = 0; i < n; i++) {
        row[c->order[i]] = o->control == AMUN_TRW_CONTROL_UNIFORM    ? mean
                           : o->control == AMUN_TRW_CONTROL_REVERSED ? c->scratch[n - 1 - i]
                           : o->control == AMUN_TRW_CONTROL_RANKS    ? rank_score(i, n, o)
                                                                     : c->scratch[i];
    }
}

static double spread(const amun__trw_classes *c, const double *row)
{
    double n = (double)(c->classes - c->gone), mean = 0.0, sum = 0.0;
    for (size_t j = 0; j < c->classes; j++) {
        mean += c->row[j] < 0 ? row[j] / n : 0.0;
    }
    for (size_t j = 0; j < c->classes; j++) {
        sum += c->row[j] < 0 ? (row[j] - mean) * (row[j] - mean) / n : 0.0;
    }
    return sqrt(sum);
}

/* One draw into c->scratch; false if nothing of a softmax score is left of it. */
static bool draw_noise(const amun__trw_classes *c, size_t label, const amun_trw_options *o,
                       uint32_t attempt, double sigma, const double *row)
{
    amun__rng rng;
    double sum = 0.0;
    amun__rng_open(&rng, o->noise_seed, AMUN__RNG_TILT, 1 + attempt, label);
    for (size_t j = 0; j < c->classes; j++) {
        double noisy = row[j] + sigma * amun__rng_normal(&rng);
        c->scratch[j] = c->row[j] >= 0                       ? 0.0
                        : o->score == AMUN_TRW_SCORE_SOFTMAX ? fmax(noisy, 0.0)
                                                             : noisy;
        sum += c->scratch[j];
    }
    if (o->score != AMUN_TRW_SCORE_SOFTMAX) {
        return true;
    }
    for (size_t j = 0; j < c->classes && sum > 0.0; j++) {
        c->scratch[j] /= sum;
    }
    return sum > 0.0;
}

static amun_status add_noise(const amun__trw_classes *c, size_t label, const amun_trw_options *o,
                             double *row)
{
    double sigma = o->noise * spread(c, row);
    uint32_t attempt = 0;
    while (!draw_noise(c, label, o, attempt, sigma, row)) {
        if (++attempt == 1000) {
            return amun__fail(AMUN_ERROR_NUMERIC,
                              "amun_trw_options.noise: %g leaves no positive score in 1000 draws",
                              o->noise);
        }
    }
    memcpy(row, c->scratch, c->classes * sizeof *row);
    return AMUN_OK;
}

amun_status amun__trw_disturb(const amun__trw_classes *c, size_t label, const amun_trw_options *o,
                              double *row)
{
    size_t n = 0;
    if (o->control != AMUN_TRW_CONTROL_NONE) {
        AMUN__CHECK(sort_retained(c, row, &n));
        replace_scores(c, label, o, n, row);
    }
    return o->noise > 0.0 ? add_noise(c, label, o, row) : AMUN_OK;
}

amun_status amun__trw_mix_row(const amun__trw_classes *c, size_t label, const double *class_row,
                              const amun_trw_options *o, double *row)
{
    for (size_t j = 0; j < c->classes; j++) {
        row[j] = c->row[j] >= 0 ? 0.0 : o->kappa * row[j] + (1.0 - o->kappa) * class_row[j];
    }
    return amun__trw_disturb(c, label, o, row);
}
