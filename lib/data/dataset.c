/* dataset.c - the data set handle: storage, labels, subsets, and lists of indices. */
#include "data/storage.h"

/* Pixels are compared and hashed in portions of this many. */
enum { PORTION = 1024 };

/* ---- pixels
 * -------------------------------------------------------------------------------------- */

static void read_u8(const uint8_t *src, size_t n, float *dst)
{
    for (size_t i = 0; i < n; i++) {
        dst[i] = (float)src[i] / 255.0f;
    }
}

/* Caller memory with gaps or reversed axes: one element at a time. */
static void read_strided(const amun__image *image, size_t first, size_t n, float *dst)
{
    const amun_dataset *root = image->root;
    size_t height = (size_t)root->info.height;
    size_t width = (size_t)root->info.width;
    for (size_t i = 0; i < n; i++) {
        size_t at = first + i;
        int64_t x = (int64_t)(at % width);
        int64_t y = (int64_t)(at / width % height);
        int64_t c = (int64_t)(at / width / height);
        const uint8_t *src =
            image->data + c * root->strides[0] + y * root->strides[1] + x * root->strides[2];
        if (root->dtype == AMUN_DTYPE_U8) {
            dst[i] = (float)*src / 255.0f;
        } else {
            memcpy(&dst[i], src, sizeof dst[i]);
        }
    }
}

void amun__image_read(const amun__image *image, size_t first, size_t n, float *dst)
{
    if (!image->root->dense) {
        read_strided(image, first, n, dst);
    } else if (image->root->dtype == AMUN_DTYPE_U8) {
        read_u8(image->data + first, n, dst);
    } else {
        memcpy(dst, image->data + first * sizeof *dst, n * sizeof *dst);
    }
}

void amun__dataset_locate(const amun_dataset *ds, size_t index, amun__image *out)
{
    const amun_dataset *root = ds;
    if (ds->root != NULL) {
        root = ds->root;
        index = (size_t)ds->indices[index];
    }
    const amun__piece *piece = root->pieces;
    while (index >= piece->count) {
        index -= piece->count;
        piece++;
    }
    out->root = root;
    out->data = piece->images + (int64_t)index * piece->stride;
}

void amun__dataset_fetch(const amun_dataset *ds, size_t index, float *dst)
{
    amun__image image;
    amun__dataset_locate(ds, index, &image);
    amun__image_read(&image, 0, ds->info.pixels, dst);
}

int32_t amun__dataset_label(const amun_dataset *ds, size_t index)
{
    if (ds->root != NULL) {
        index = (size_t)ds->indices[index];
        ds = ds->root;
    }
    return ds->labels == NULL ? -1 : ds->labels[index];
}

void amun__dataset_info_get(const amun_dataset *ds, amun__dataset_info *info)
{
    *info = ds->info;
}

uint64_t amun__dataset_hash(const amun_dataset *ds, size_t index)
{
    float portion[PORTION];
    amun__image image;
    amun__dataset_locate(ds, index, &image);
    uint64_t hash = 0;
    for (size_t first = 0; first < ds->info.pixels; first += PORTION) {
        size_t n = ds->info.pixels - first < PORTION ? ds->info.pixels - first : PORTION;
        amun__image_read(&image, first, n, portion);
        hash = amun__hash64(portion, n * sizeof *portion, hash);
    }
    int32_t label = amun__dataset_label(ds, index);
    return amun__hash64(&label, sizeof label, hash);
}

/* ---- building
 * ------------------------------------------------------------------------------------ */

static void dataset_destroy(void *self)
{
    amun_dataset *ds = self;
    amun_context *ctx = ds->object.ctx;
    for (size_t i = 0; i < ds->piece_count; i++) {
        amun__file_unmap(&ds->pieces[i].mapping);
    }
    amun__free(ctx, ds->labels);
    amun__free(ctx, ds->indices);
    amun__object_unref(ds->root);
    if (ds->release != NULL) {
        ds->release(ds->user_data);
    }
}

amun_status amun__dataset_create(amun_dataset **out, amun_context *ctx)
{
    return amun__object_create(out, ctx, AMUN__TAG_DATASET, sizeof(amun_dataset), dataset_destroy);
}

/* Every float is a pixel: finite and in [0, 1]. */
static amun_status check_range(const amun_dataset *ds, const char *what, amun_status status)
{
    float portion[PORTION];
    for (size_t i = 0; i < ds->info.count; i++) {
        amun__image image;
        amun__dataset_locate(ds, i, &image);
        for (size_t first = 0; first < ds->info.pixels; first += PORTION) {
            size_t n = ds->info.pixels - first < PORTION ? ds->info.pixels - first : PORTION;
            amun__image_read(&image, first, n, portion);
            for (size_t k = 0; k < n; k++) {
                if (!(portion[k] >= 0.0f && portion[k] <= 1.0f)) {
                    return amun__fail(status, "%s: image %zu: pixel %zu is %g, outside [0, 1]",
                                      what, i, first + k, (double)portion[k]);
                }
            }
        }
    }
    return AMUN_OK;
}

/* Extents and strides of `images` as count, C, H, W. */
static amun_status take_layout(amun_dataset *ds, const amun_tensor_view *images, const char *what,
                               amun_status status)
{
    if (images->dtype != AMUN_DTYPE_U8 && images->dtype != AMUN_DTYPE_F32) {
        return amun__fail(status, "%s: dtype %d, expected U8 (%d) or F32 (%d)", what,
                          (int)images->dtype, (int)AMUN_DTYPE_U8, (int)AMUN_DTYPE_F32);
    }
    if (images->ndim != 3 && images->ndim != 4) {
        return amun__fail(AMUN_ERROR_SHAPE, "%s: %d dimensions, expected [N, C, H, W] or [N, H, W]",
                          what, (int)images->ndim);
    }
    for (int32_t axis = 0; axis < images->ndim; axis++) {
        if (images->shape[axis] < 1) {
            return amun__fail(AMUN_ERROR_SHAPE, "%s: extent %lld at axis %d, expected at least 1",
                              what, (long long)images->shape[axis], (int)axis);
        }
    }
    int32_t spatial = images->ndim - 2;
    bool channels = images->ndim == 4;
    ds->dtype = images->dtype;
    ds->info.count = (size_t)images->shape[0];
    ds->info.channels = channels ? images->shape[1] : 1;
    ds->info.height = images->shape[spatial];
    ds->info.width = images->shape[spatial + 1];
    ds->strides[0] = channels ? images->strides[1] : 0;
    ds->strides[1] = images->strides[spatial];
    ds->strides[2] = images->strides[spatial + 1];
    return AMUN_OK;
}

amun_status amun__dataset_take_images(amun_dataset *ds, const amun_tensor_view *images,
                                      const char *what, amun_status status)
{
    size_t count = 0;
    AMUN__CHECK(amun__view_check(images, what, &count));
    AMUN__CHECK(take_layout(ds, images, what, status));
    ds->info.pixels = count / ds->info.count;

    amun_tensor_view one = *images;
    one.shape[0] = 1;
    ds->dense = amun__view_is_dense(&one);
    ds->pieces[0].images = images->data;
    ds->pieces[0].count = ds->info.count;
    ds->pieces[0].stride = images->strides[0];
    ds->piece_count = 1;
    bool checked = ds->dtype == AMUN_DTYPE_F32 && !ds->any_value;
    return checked ? check_range(ds, what, status) : AMUN_OK;
}

static amun_status check_labels_view(const amun_dataset *ds, const amun_tensor_view *labels,
                                     const char *what, amun_status status)
{
    AMUN__CHECK(amun__view_check(labels, what, NULL));
    if (labels->dtype != AMUN_DTYPE_I64 && labels->dtype != AMUN_DTYPE_I32 &&
        labels->dtype != AMUN_DTYPE_U8) {
        return amun__fail(status, "%s: dtype %d, expected I64, I32 or U8", what,
                          (int)labels->dtype);
    }
    if (labels->ndim != 1 || (size_t)labels->shape[0] != ds->info.count) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "%s: %lld labels in %d dimensions for %zu images, expected one each",
                          what, (long long)(labels->ndim > 0 ? labels->shape[0] : 1),
                          (int)labels->ndim, ds->info.count);
    }
    return AMUN_OK;
}

amun_status amun__dataset_take_labels(amun_dataset *ds, const amun_tensor_view *labels,
                                      int64_t classes, const char *what, amun_status status)
{
    AMUN__CHECK(check_labels_view(ds, labels, what, status));
    if (classes < 0 || classes > INT32_MAX) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "classes is %lld, expected 0 to %d",
                          (long long)classes, INT32_MAX);
    }
    int64_t limit = classes == 0 ? INT32_MAX : classes;
    int64_t largest = 0;
    AMUN__CHECK(amun__alloc(ds->object.ctx, &ds->labels, ds->info.count, sizeof *ds->labels));
    int64_t portion[PORTION];
    for (size_t first = 0; first < ds->info.count; first += PORTION) {
        size_t n = ds->info.count - first < PORTION ? ds->info.count - first : PORTION;
        AMUN__CHECK(amun__view_read_i64(labels, first, n, portion));
        for (size_t k = 0; k < n; k++) {
            if (portion[k] < 0 || portion[k] >= limit) {
                return amun__fail(status, "%s: label %lld of image %zu is outside 0..%lld", what,
                                  (long long)portion[k], first + k, (long long)limit - 1);
            }
            largest = portion[k] > largest ? portion[k] : largest;
            ds->labels[first + k] = (int32_t)portion[k];
        }
    }
    ds->info.classes = classes == 0 ? largest + 1 : classes;
    return AMUN_OK;
}

/* ---- opening caller memory and subsets
 * --------------------------------------------------------------- */

static amun_status fill_from_views(amun_dataset *ds, const amun_tensor_view *images,
                                   const amun_tensor_view *labels, int64_t classes)
{
    if (images == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "images is NULL");
    }
    AMUN__CHECK(amun__dataset_take_images(ds, images, "images", AMUN_ERROR_INVALID_ARGUMENT));
    if (labels != NULL) {
        return amun__dataset_take_labels(ds, labels, classes, "labels",
                                         AMUN_ERROR_INVALID_ARGUMENT);
    }
    if (classes != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "classes is %lld for images without labels, expected 0",
                          (long long)classes);
    }
    return AMUN_OK;
}

amun_status amun_dataset_open_view(amun_dataset **ds, amun_context *ctx,
                                   const amun_tensor_view *images, const amun_tensor_view *labels,
                                   int64_t classes, amun_release_fn release, void *user_data)
{
    amun__enter();
    amun_status status = AMUN_OK;
    amun_dataset *made = NULL;
    if (ds == NULL) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "ds is NULL");
    }
    *ds = NULL;
    AMUN__TRY(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    AMUN__TRY(amun__dataset_create(&made, ctx));
    AMUN__TRY(fill_from_views(made, images, labels, classes));
    made->release = release;
    made->user_data = user_data;
    *ds = made;
    return AMUN_OK;

fail:
    amun__object_unref(made);
    if (release != NULL) {
        release(user_data);
    }
    return status;
}

amun_status amun__dataset_open_noise(amun_dataset **ds, amun_context *ctx, const float *images,
                                     const amun__dataset_info *info, const int32_t *labels)
{
    const int64_t count = (int64_t)info->count, pixels = (int64_t)info->pixels;
    const int64_t row = info->width * 4, plane = info->height * row;
    /* read only, whatever the type of a view's pointer */
    const amun_tensor_view view = {.data = (void *)(uintptr_t)images,
                                   .dtype = AMUN_DTYPE_F32,
                                   .ndim = 4,
                                   .flags = AMUN_VIEW_READONLY,
                                   .shape = {count, info->channels, info->height, info->width},
                                   .strides = {pixels * 4, plane, row, 4}};
    const amun_tensor_view names = {.data = (void *)(uintptr_t)labels,
                                    .dtype = AMUN_DTYPE_I32,
                                    .ndim = 1,
                                    .flags = AMUN_VIEW_READONLY,
                                    .shape = {count},
                                    .strides = {4}};
    amun_dataset *made = NULL;
    AMUN__CHECK(amun__dataset_create(&made, ctx));
    made->any_value = true;
    amun_status status = fill_from_views(made, &view, &names, info->classes);
    if (status != AMUN_OK) {
        amun__object_unref(made);
        return status;
    }
    *ds = made;
    return AMUN_OK;
}

amun_status amun_dataset_subset(amun_dataset **ds, amun_dataset *parent, const int64_t *indices,
                                size_t count)
{
    amun__enter();
    if (ds == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "ds is NULL");
    }
    *ds = NULL;
    AMUN__CHECK(amun__object_check(parent, AMUN__TAG_DATASET, "parent"));
    amun_context *ctx = parent->object.ctx;
    AMUN__CHECK(amun__indices_check(ctx, indices, count, parent->info.count, false, "subset"));

    amun_dataset *made = NULL;
    amun_status status = AMUN_OK;
    AMUN__TRY(amun__dataset_create(&made, ctx));
    made->info = parent->info;
    made->info.count = count;
    made->root = amun__object_ref(parent->root != NULL ? parent->root : parent);
    AMUN__TRY(amun__alloc(ctx, &made->indices, count, sizeof *made->indices));
    for (size_t i = 0; i < count; i++) {
        made->indices[i] = parent->root != NULL ? parent->indices[indices[i]] : indices[i];
    }
    *ds = made;
    return AMUN_OK;

fail:
    amun__object_unref(made);
    return status;
}

/* ---- looking at a data set
 * ------------------------------------------------------------------------- */

amun_dataset *amun_dataset_ref(amun_dataset *ds)
{
    return amun__object_ref(ds);
}

void amun_dataset_unref(amun_dataset *ds)
{
    amun__object_unref(ds);
}

static bool is_live(const amun_dataset *ds)
{
    return ds != NULL && ds->object.tag == AMUN__TAG_DATASET;
}

size_t amun_dataset_count(const amun_dataset *ds)
{
    return is_live(ds) ? ds->info.count : 0;
}

int64_t amun_dataset_classes(const amun_dataset *ds)
{
    return is_live(ds) ? ds->info.classes : 0;
}

amun_status amun_dataset_shape(const amun_dataset *ds, int64_t shape[3])
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ds, AMUN__TAG_DATASET, "ds"));
    if (shape == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "shape is NULL");
    }
    shape[0] = ds->info.channels;
    shape[1] = ds->info.height;
    shape[2] = ds->info.width;
    return AMUN_OK;
}

static amun_status check_window(const amun_dataset *ds, size_t first, size_t count, const void *dst,
                                const char *what)
{
    AMUN__CHECK(amun__object_check(ds, AMUN__TAG_DATASET, "ds"));
    if (dst == NULL && count > 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    if (first > ds->info.count || count > ds->info.count - first) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%zu images from %zu are outside the %zu of the data set", count, first,
                          ds->info.count);
    }
    return AMUN_OK;
}

amun_status amun_dataset_labels(const amun_dataset *ds, size_t first, size_t count, int64_t *labels)
{
    amun__enter();
    AMUN__CHECK(check_window(ds, first, count, labels, "labels"));
    if (ds->info.classes == 0) {
        return amun__fail(AMUN_ERROR_STATE, "the data set of %zu images has no labels",
                          ds->info.count);
    }
    for (size_t i = 0; i < count; i++) {
        labels[i] = amun__dataset_label(ds, first + i);
    }
    return AMUN_OK;
}

amun_status amun_dataset_read(const amun_dataset *ds, size_t first, size_t count, float *images)
{
    amun__enter();
    AMUN__CHECK(check_window(ds, first, count, images, "images"));
    for (size_t i = 0; i < count; i++) {
        amun__dataset_fetch(ds, first + i, images + i * ds->info.pixels);
    }
    return AMUN_OK;
}

/* ---- lists of indices
 * -------------------------------------------------------------------------------- */

/* Marks each index in a map of `count` bits. */
static amun_status mark_indices(uint64_t *map, const int64_t *indices, size_t n, size_t count,
                                const char *what)
{
    for (size_t i = 0; i < n; i++) {
        int64_t index = indices[i];
        if (index < 0 || (uint64_t)index >= count) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "%s: index %lld at position %zu is outside the %zu images", what,
                              (long long)index, i, count);
        }
        uint64_t bit = UINT64_C(1) << (index % 64);
        if ((map[index / 64] & bit) != 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "%s: index %lld at position %zu is repeated", what, (long long)index,
                              i);
        }
        map[index / 64] |= bit;
    }
    return AMUN_OK;
}

amun_status amun__indices_check(amun_context *ctx, const int64_t *indices, size_t n, size_t count,
                                bool allow_empty, const char *what)
{
    if (n == 0) {
        return allow_empty ? AMUN_OK
                           : amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: no index", what);
    }
    if (indices == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: indices is NULL", what);
    }
    uint64_t *map = NULL;
    AMUN__CHECK(amun__calloc(ctx, &map, count / 64 + 1, sizeof *map));
    amun_status status = mark_indices(map, indices, n, count, what);
    amun__free(ctx, map);
    return status;
}

amun_status amun__indices_complement(amun_context *ctx, int64_t **out, const int64_t *indices,
                                     size_t n, size_t count)
{
    *out = NULL;
    amun_status status = AMUN_OK;
    uint64_t *map = NULL;
    int64_t *rest = NULL;
    AMUN__TRY(amun__calloc(ctx, &map, count / 64 + 1, sizeof *map));
    AMUN__TRY(mark_indices(map, indices, n, count, "indices"));
    AMUN__TRY(amun__alloc(ctx, &rest, count - n, sizeof *rest));
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if ((map[i / 64] & UINT64_C(1) << (i % 64)) == 0) {
            rest[used++] = (int64_t)i;
        }
    }
    *out = rest;
fail:
    amun__free(ctx, map);
    return status;
}

amun_status amun_forget_indices(int64_t *indices, size_t count, size_t population, uint32_t seed)
{
    amun__enter();
    if (indices == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "indices is NULL");
    }
    if (count == 0 || count > population) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "count is %zu of a population of %zu, expected 1 to the population",
                          count, population);
    }
    /* There is no context here to allocate from, so this call brings its own. */
    amun_context *ctx = NULL;
    AMUN__CHECK(amun_context_create(&ctx, NULL));
    int64_t *permutation = NULL;
    amun_status status = amun__alloc(ctx, &permutation, population, sizeof *permutation);
    if (status == AMUN_OK) {
        amun__mt19937 mt;
        amun__mt19937_seed(&mt, seed);
        amun__mt19937_permutation(&mt, permutation, population);
        memcpy(indices, permutation, count * sizeof *indices);
    }
    amun__free(ctx, permutation);
    amun_context_unref(ctx);
    return status;
}
