/* band.c - Cholesky test of a block-banded matrix, front by front: what has been eliminated is not
 * kept, for only the answer matters. */
#include "spectral/band.h"

#include "core/linalg.h"

static const double unit_roundoff = 0x1p-53;

/* Rows of blocks in the front when the one `at` is eliminated. */
static int64_t front_rows(const amun__band *b, int64_t at)
{
    const int64_t most = b->half + 1, left = b->rows - at;
    return left < most ? left : most;
}

/* One factorisation as it runs. */
typedef struct run {
    const amun__band *band;
    amun__band_subtract subtract;
    void *user;
    double tau, *front;
    size_t length; /* doubles of a row of the front */
    int64_t ld;    /* the same in elements */
} run;

/* Puts tau * 1 - G[i][j] at its place in a front that begins with row `first`. */
static amun_status place(run *r, int64_t first, int64_t i, int64_t j)
{
    const size_t size = (size_t)r->band->size, parts = (size_t)r->band->parts;
    double *block =
        r->front + (size_t)(i - first) * size * r->length + (size_t)(j - first) * size * parts;
    for (size_t k = 0; k < size; k++) {
        memset(block + k * r->length, 0, size * parts * sizeof *block);
    }
    AMUN__CHECK(r->subtract(r->user, i, j, r->ld, block));
    for (size_t k = 0; k < size && i == j; k++) {
        block[k * r->length + k * parts] += r->tau;
    }
    return AMUN_OK;
}

/* The front's first row is done with: the others move up, and the next one joins. */
static amun_status advance(run *r, int64_t at)
{
    const amun__band *b = r->band;
    const size_t size = (size_t)b->size, skip = size * (size_t)b->parts;
    const size_t kept = (size_t)(front_rows(b, at) - 1) * size;
    for (size_t row = 0; row < kept; row++) {
        memmove(r->front + row * r->length, r->front + (row + size) * r->length + skip,
                (r->length - skip) * sizeof *r->front);
    }
    const int64_t next = at + b->half + 1;
    for (int64_t i = at + 1; i <= next && next < b->rows; i++) {
        AMUN__CHECK(place(r, at + 1, i, next));
    }
    return AMUN_OK;
}

static amun_status eliminate(run *r, bool *answer)
{
    const amun__band *b = r->band;
    int64_t at = 0;
    for (*answer = true; at < b->rows && *answer;) {
        const int64_t rows = front_rows(b, at);
        /* the last front in one go */
        const int64_t done = at + rows == b->rows ? rows : 1;
        AMUN__CHECK(
            b->parts == 1
                ? amun__cholesky_part_f64(rows * b->size, done * b->size, r->ld, r->front, answer)
                : amun__cholesky_part_c64(rows * b->size, done * b->size, r->ld, r->front, answer));
        if (*answer && done == 1) {
            AMUN__CHECK(advance(r, at));
        }
        at += done;
    }
    return AMUN_OK;
}

amun_status amun__band_below(const amun__band *band, amun_context *ctx, double tau,
                             amun__band_subtract subtract, void *user, bool *answer)
{
    amun_status status;
    run r = {.band = band, .subtract = subtract, .user = user, .tau = tau};
    const int64_t rows = front_rows(band, 0);
    size_t count;
    *answer = false;
    if (!amun__mul_size(&r.length, (size_t)rows * (size_t)band->parts, (size_t)band->size) ||
        !amun__mul_size(&count, r.length, (size_t)(rows * band->size))) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "a front of %lld blocks is too large",
                          (long long)rows);
    }
    r.ld = rows * band->size;
    AMUN__TRY(amun__alloc(ctx, &r.front, count, sizeof *r.front));
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = i; j < rows; j++) {
            AMUN__TRY(place(&r, 0, i, j));
        }
    }
    AMUN__TRY(eliminate(&r, answer));
fail:
    amun__free(ctx, r.front);
    return status;
}

/* A factorisation that goes through is one of tau * 1 - G + E with |E| <= gamma(n + 1) |L| |L'|,
 * whatever the order of the sums (Higham, Accuracy and Stability, theorem 10.3), of which the
 * Frobenius norm is at most gamma(n + 1) trace(L L') <= gamma(n + 1) n tau. 8 covers complex
 * arithmetic, reciprocal pivots and second-order terms; the last term is the subtraction on the
 * diagonal. */
double amun__band_value(const amun__band *band, double tau)
{
    const double n = (double)band->rows * (double)band->size;
    return tau * (1 + (8 * (n + 2) * n + 4) * unit_roundoff);
}

double amun__band_price(const amun__band *band)
{
    const double size = (double)band->size, cube = size * size * size;
    double price = 0;
    for (int64_t at = 0; at < band->rows; at++) {
        const double others = (double)front_rows(band, at) - 1;
        price += cube * (1.0 / 3.0 + others + others * others);
    }
    return band->parts == 1 ? price : 4 * price;
}

double amun__band_room(const amun__band *band)
{
    const double side = (double)front_rows(band, 0) * (double)band->size;
    return side * side * (double)band->parts;
}
