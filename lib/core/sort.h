/* sort.h - ascending order of plain numbers. Private. */
#ifndef AMUN__SORT_H
#define AMUN__SORT_H

#include <stddef.h>

/* In place; no NaN among them. */
void amun__sort_f64(double *values, size_t count);
/* Of `count` >= 1 sorted ones: the one in the middle, or the mean of the two. */
double amun__median_f64(const double *sorted, size_t count);

#endif
