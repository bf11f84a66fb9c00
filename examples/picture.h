/* picture.h - a grid of images in a PNG file, for the examples that draw one. */
#ifndef EXAMPLES_PICTURE_H
#define EXAMPLES_PICTURE_H

#include <stdint.h>
#include <stddef.h>

/* Ends the program with status 2 unless this build can write PNG files; `option` is who asks. */
void ex_png_check(const char *option);
/* One row per sample: the clean image, the attacked one, and their difference, amplified so that
 * the largest of all becomes white or black on grey. Dense [count][shape], values in [0, 1]; 1 or 3
 * channels. */
void ex_png_grid(const char *path, const float *clean, const float *attacked, size_t count,
                 const int64_t shape[3]);
/* A table of shares in [0, 1] as squares, black for 1. */
void ex_png_cells(const char *path, const double *values, size_t rows, size_t columns);

#endif
