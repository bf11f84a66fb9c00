/* sort.c - ascending order of plain numbers. */
#include "core/sort.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void amun__sort_f64(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
}

double amun__median_f64(const double *sorted, size_t count)
{
    return 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
}
