/* spectrum_fixture.h - for the tests of singular values: a convolution with the LAPACK spectrum of
 * the explicit matrix that the test builds. */
#ifndef AMUN_TEST_SPECTRUM_FIXTURE_H
#define AMUN_TEST_SPECTRUM_FIXTURE_H

#include "core/linalg.h"
#include "linop_fixture.h"

/* One thread while it lives: the maps are too small for more, on a busy machine by far. */
typedef struct spectrum_case {
    amun_context *ctx;
    amun__threads scope;
    amun__linop_shape shape;
    pair weights;
    size_t rows, columns, rank;
    double *exact;  /* descending, from the test's own matrix */
    double *matrix; /* [rows][columns] */
} spectrum_case;

FIXTURE_UNUSED static double *exact_spectrum(amun_context *ctx, const double *matrix, size_t rows,
                                             size_t columns)
{
    double *copy = malloc(rows * columns * sizeof *copy);
    double *values = calloc(rows < columns ? rows : columns, sizeof *values);
    ck_assert(copy != NULL && values != NULL);
    memcpy(copy, matrix, rows * columns * sizeof *copy);
    ck_ok(amun__svd_f64(ctx, (int64_t)rows, (int64_t)columns, copy, values, NULL, NULL));
    free(copy);
    return values;
}

FIXTURE_UNUSED static spectrum_case case_new(const amun__linop_shape *shape, uint64_t seed)
{
    spectrum_case c = {.shape = *shape};
    ck_ok(amun_context_create(&c.ctx, NULL));
    ck_ok(amun_context_set_threads(c.ctx, 1));
    ck_ok(amun__threads_begin(c.ctx, &c.scope));
    c.weights = pair_random(fixture_weights(shape), seed);
    c.matrix = fixture_matrix(shape, c.weights.wide, &c.rows, &c.columns);
    c.rank = c.rows < c.columns ? c.rows : c.columns;
    c.exact = exact_spectrum(c.ctx, c.matrix, c.rows, c.columns);
    return c;
}

FIXTURE_UNUSED static void case_free(spectrum_case *c)
{
    amun__threads_end(&c->scope);
    pair_free(&c->weights);
    free(c->matrix);
    free(c->exact);
    amun_context_unref(c->ctx);
}

FIXTURE_UNUSED static amun__linop *case_linop(const spectrum_case *c, amun__linop_backend backend,
                                              int64_t max_block)
{
    amun__linop *op = NULL;
    ck_ok(amun__linop_create_conv2d(&op, c->ctx, &c->shape, c->weights.narrow, NULL, max_block,
                                    backend));
    return op;
}

#endif
