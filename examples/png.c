/* png.c - grids of images as PNG files, with libpng where the build has it. */
#include "picture.h"

#include "common.h"

#ifdef AMUN_EXAMPLES_PNG

#include <png.h>

enum { CELL = 64, GAP = 4, COLUMNS = 3, BACKGROUND = 255 };

/* What is drawn: pixels are repeated `zoom` times, so that small images can be seen. */
typedef struct canvas {
    unsigned char *bytes; /* RGB */
    size_t width, height, zoom;
    int64_t channels, rows, columns; /* of one image */
} canvas;

static unsigned char byte_of(double value)
{
    double bounded = value < 0.0 ? 0.0 : value > 1.0 ? 1.0 : value;
    return (unsigned char)(255.0 * bounded + 0.5);
}

/* factor * (image - base) + offset; base NULL: 0. */
static void draw(const canvas *c, size_t row, size_t column, const float *image, const float *base,
                 double factor, double offset)
{
    const size_t plane = (size_t)(c->rows * c->columns), columns = (size_t)c->columns;
    const size_t top = GAP + row * ((size_t)c->rows * c->zoom + GAP);
    const size_t left = GAP + column * (columns * c->zoom + GAP);
    for (size_t y = 0; y < (size_t)c->rows * c->zoom; y++) {
        for (size_t x = 0; x < columns * c->zoom; x++) {
            unsigned char *to = c->bytes + 3 * ((top + y) * c->width + left + x);
            for (size_t k = 0; k < 3; k++) {
                size_t at =
                    (c->channels == 1 ? 0 : k * plane) + y / c->zoom * columns + x / c->zoom;
                double value = (double)image[at] - (base != NULL ? (double)base[at] : 0.0);
                to[k] = byte_of(factor * value + offset);
            }
        }
    }
}

static void write_file(const char *path, const canvas *c)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)c->width,
                       .height = (png_uint_32)c->height,
                       .format = PNG_FORMAT_RGB};
    ex_out out;
    ex_out_open(&out, path);
    if (png_image_write_to_stdio(&image, out.file, 0, c->bytes, 0, NULL) == 0) {
        ex_die("%s: %s", path, image.message);
    }
    ex_out_close(&out);
}

void ex_png_check(const char *option)
{
    (void)option;
}

void ex_png_grid(const char *path, const float *clean, const float *attacked, size_t count,
                 const int64_t shape[3])
{
    const size_t pixels = (size_t)(shape[0] * shape[1] * shape[2]);
    double largest = 0.0;
    canvas c = {.channels = shape[0], .rows = shape[1], .columns = shape[2]};
    if (c.channels != 1 && c.channels != 3) {
        ex_usage("%s: images of %lld channels cannot be drawn", path, (long long)c.channels);
    }
    c.zoom = c.rows < CELL ? (size_t)(CELL / c.rows) : 1;
    c.width = GAP + COLUMNS * ((size_t)c.columns * c.zoom + GAP);
    c.height = GAP + count * ((size_t)c.rows * c.zoom + GAP);
    c.bytes = ex_alloc(c.width * c.height, 3);
    memset(c.bytes, BACKGROUND, 3 * c.width * c.height);
    for (size_t i = 0; i < count * pixels; i++) {
        largest = fmax(largest, fabs((double)attacked[i] - (double)clean[i]));
    }
    for (size_t i = 0; i < count; i++) {
        const float *x = clean + i * pixels, *a = attacked + i * pixels;
        draw(&c, i, 0, x, NULL, 1.0, 0.0);
        draw(&c, i, 1, a, NULL, 1.0, 0.0);
        draw(&c, i, 2, a, x, largest > 0.0 ? 0.5 / largest : 0.0, 0.5);
    }
    write_file(path, &c);
    free(c.bytes);
}

void ex_png_cells(const char *path, const double *values, size_t rows, size_t columns)
{
    enum { EDGE = 24 };
    canvas c = {.width = GAP + columns * (EDGE + GAP), .height = GAP + rows * (EDGE + GAP)};
    c.bytes = ex_alloc(c.width * c.height, 3);
    memset(c.bytes, BACKGROUND, 3 * c.width * c.height);
    for (size_t i = 0; i < rows * columns; i++) {
        const size_t top = GAP + i / columns * (EDGE + GAP),
                     left = GAP + i % columns * (EDGE + GAP);
        /* white for nothing would hide the cell */
        const unsigned char shade = byte_of(0.9 - 0.9 * values[i]);
        for (size_t y = 0; y < EDGE; y++) {
            memset(c.bytes + 3 * ((top + y) * c.width + left), shade, 3 * EDGE);
        }
    }
    write_file(path, &c);
    free(c.bytes);
}

#else

void ex_png_cells(const char *path, const double *values, size_t rows, size_t columns)
{
    (void)values;
    (void)rows;
    (void)columns;
    ex_usage("%s: this build has no libpng", path);
}

void ex_png_check(const char *option)
{
    ex_usage("--%s: this build has no libpng", option);
}

void ex_png_grid(const char *path, const float *clean, const float *attacked, size_t count,
                 const int64_t shape[3])
{
    (void)clean;
    (void)attacked;
    (void)count;
    (void)shape;
    ex_usage("%s: this build has no libpng", path);
}

#endif
