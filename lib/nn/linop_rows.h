/* linop_rows.h - between linop_rows.c (panels, memory, threads) and the AVX2 kernels. */
#ifndef AMUN__LINOP_ROWS_H
#define AMUN__LINOP_ROWS_H

#include "nn/linop_code.h"

enum {
    AMUN__ROWS_PANEL = 16, /* output pixels worked on together: two AVX registers */
    AMUN__ROWS_BLOCK = 12  /* rows of the weights that should stay near the core */
};

/* 16 columns, output pixels of one or more vectors, as [channels * taps][16]. Column i has tap t of
 * channel c at x[c * plane + shift[t] + base[i]]. */
typedef struct amun__rows_panel {
    int64_t channels, taps, plane;
    const int32_t *shift;
    int32_t base[AMUN__ROWS_PANEL]; /* past the end: of a column that exists */
    int64_t count;                  /* columns that exist */
    int step; /* 1, 2: all exist and lie so far apart in each four of them; 0: anything else */
} amun__rows_panel;

void amun__rows_gather_avx2(float *panel, const float *x, const amun__rows_panel *p);
/* z += panel */
void amun__rows_scatter_avx2(float *z, const float *panel, const amun__rows_panel *p);
/* y[rows][16] = w[rows][depth] panel. */
void amun__rows_forward_avx2(float *y, const float *w, const float *panel, int64_t rows,
                             int64_t depth);
/* panel = w' y, or panel += w' y; at most AMUN__ROWS_BLOCK rows. */
void amun__rows_adjoint_avx2(float *panel, const float *w, const float *y, int64_t rows,
                             int64_t depth, bool add);

#endif
