/* ulira.h - what the class-level and the sample-level U-LiRA share. Private. */
#ifndef AMUN__MIA_ULIRA_H
#define AMUN__MIA_ULIRA_H

#include "mia/classes.h"

/* Copies opts (NULL: defaults) and checks what a table cannot say. */
amun_status amun__ulira_options_read(amun_ulira_options *full, const amun_ulira_options *opts);

/* n finite values. */
amun_status amun__ulira_check(const double *values, size_t n, const char *what);

/* Centre of the scores of one sample on one side: mean, or median (sorts `values`), as the options
 * say. count >= 1. */
double amun__ulira_centre(double *values, size_t count, const amun_ulira_options *opts);
/* Sum of squares about the mean. */
double amun__ulira_squares(const double *values, size_t count);
/* log N(v; centre, sd), without the constant. */
static inline double amun__ulira_density(double v, double centre, double sd)
{
    const double z = (v - centre) / sd;
    return -log(sd) - 0.5 * z * z;
}

/* ---- class level: two sides of shadow models (ulira_fit.c) --------------------------------------
 */

/* Models of one side that take part, as places in scores[model][n][dims]. */
typedef struct amun__side {
    const double *scores;
    size_t *models;
    size_t count;
} amun__side;

typedef struct amun__ulira_fit {
    size_t n, dims;    /* dims 1, or 2: one covariance for both sides */
    double *centre[2]; /* [n][dims], of the retrained and the unlearned side */
    double *sd[2];     /* [n], dims 1 */
    double inverse[3]; /* xx, xy, yy of the inverse covariance, dims 2 */
    double *column;    /* room for one score of each model */
} amun__ulira_fit;

/* Freed by the caller, on failure too; start from zeroes. */
amun_status amun__ulira_fit_room(amun_context *ctx, amun__ulira_fit *fit, size_t n, size_t dims,
                                 size_t most_models);
void amun__ulira_fit_free(amun_context *ctx, amun__ulira_fit *fit);
/* Fits sides[0] (retrained) and sides[1] (unlearned) without their models number held[0], held[1].
 */
amun_status amun__ulira_fit_run(amun__ulira_fit *fit, const amun__side sides[2],
                                const size_t held[2], const amun_ulira_options *opts);
/* log N(scores; unlearned) - log N(scores; retrained) of n samples, scores [n][dims]. */
void amun__ulira_ratios(const amun__ulira_fit *fit, const double *scores, double *ratio);

#endif
