/* transform.c - random crop, flip and cutout, keyed by (seed, epoch, sample). */
#include "data/storage.h"

/* The random choices of one sample. */
typedef struct choice {
    int32_t top, left; /* where the crop begins in the padded image, 0..2 * pad */
    bool flip;
    int64_t y, x; /* the middle pixel of what is wiped out */
} choice;

static void draw(const amun__augment *augment, uint64_t seed, uint32_t epoch, uint64_t id,
                 int64_t height, int64_t width, choice *out)
{
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_AUGMENT, epoch, id);
    uint32_t places = 2 * (uint32_t)augment->pad + 1;
    out->top = (int32_t)amun__rng_below(&rng, places);
    out->left = (int32_t)amun__rng_below(&rng, places);
    out->flip = augment->flip != 0 && (amun__rng_u32(&rng) & 1u) != 0;
    out->y = out->x = 0;
    if (augment->cutout > 0) { /* last, so that without it the others are as they were */
        out->y = amun__rng_below(&rng, (uint32_t)height);
        out->x = amun__rng_below(&rng, (uint32_t)width);
    }
}

/* DeVries and Taylor, arXiv 1708.04552: a square around a pixel, what of it lies inside. They fill
 * it with zeros where the mean of the data is zero; images here are not shifted, so it gets the
 * mean of the image's own channel. */
static void cut(int64_t side, const choice *at, int64_t channels, int64_t height, int64_t width,
                float *image)
{
    int64_t top = at->y - side / 2, left = at->x - side / 2;
    int64_t bottom = top + side < height ? top + side : height;
    int64_t right = left + side < width ? left + side : width;
    top = top > 0 ? top : 0;
    left = left > 0 ? left : 0;
    for (int64_t c = 0; c < channels; c++, image += height * width) {
        double sum = 0.0;
        for (int64_t i = 0; i < height * width; i++) {
            sum += (double)image[i];
        }
        float mean = (float)(sum / (double)(height * width));
        for (int64_t y = top; y < bottom; y++) {
            for (int64_t x = left; x < right; x++) {
                image[y * width + x] = mean;
            }
        }
    }
}

static void reverse(float *row, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        float kept = row[i];
        row[i] = row[n - 1 - i];
        row[n - 1 - i] = kept;
    }
}

/* The columns of the source that a crop keeps: out[place + k] = src[from + k], k < n; zero else. */
typedef struct span {
    int64_t from, place, n;
} span;

static span kept_columns(int64_t begin, int64_t width)
{
    int64_t from = begin > 0 ? begin : 0;
    int64_t end = begin + width < width ? begin + width : width;
    span kept = {from, from - begin, end > from ? end - from : 0};
    return kept;
}

void amun__augment_apply(const amun__augment *augment, uint64_t seed, uint32_t epoch, uint64_t id,
                         int64_t channels, int64_t height, int64_t width, const float *src,
                         float *dst)
{
    choice shift;
    float *image = dst;
    draw(augment, seed, epoch, id, height, width, &shift);
    span kept = kept_columns(shift.left - augment->pad, width);
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t y = 0; y < height; y++, dst += width) {
            int64_t from = y + shift.top - augment->pad;
            memset(dst, 0, (size_t)width * sizeof *dst);
            if (from >= 0 && from < height) {
                memcpy(dst + kept.place, src + (c * height + from) * width + kept.from,
                       (size_t)kept.n * sizeof *dst);
                if (shift.flip) {
                    reverse(dst, (size_t)width);
                }
            }
        }
    }
    if (augment->cutout > 0) {
        cut(augment->cutout, &shift, channels, height, width, image);
    }
}

void amun__augment_fetch(const amun__augment *augment, uint64_t seed, uint32_t epoch, uint64_t id,
                         const amun_dataset *ds, size_t index, float *dst)
{
    amun__image image;
    amun__dataset_locate(ds, index, &image);
    choice shift;
    float *begin = dst;
    int64_t height = ds->info.height;
    int64_t width = ds->info.width;
    draw(augment, seed, epoch, id, height, width, &shift);
    span kept = kept_columns(shift.left - augment->pad, width);
    for (int64_t c = 0; c < ds->info.channels; c++) {
        for (int64_t y = 0; y < height; y++, dst += width) {
            int64_t from = y + shift.top - augment->pad;
            if (from < 0 || from >= height || kept.n < width) {
                memset(dst, 0, (size_t)width * sizeof *dst);
            }
            if (from >= 0 && from < height && kept.n > 0) {
                amun__image_read(&image, (size_t)((c * height + from) * width + kept.from),
                                 (size_t)kept.n, dst + kept.place);
                if (shift.flip) {
                    reverse(dst, (size_t)width);
                }
            }
        }
    }
    if (augment->cutout > 0) {
        cut(augment->cutout, &shift, ds->info.channels, height, width, begin);
    }
}
