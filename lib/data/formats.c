/* formats.c - CIFAR, IDX and NPY files as data sets. Images stay in the mapped file. */
#include <stdio.h>
#include <limits.h>
#include <sys/stat.h>

#include "data/storage.h"

enum { CIFAR_CHANNELS = 3, CIFAR_EDGE = 32 };
enum { CIFAR_PIXELS = CIFAR_CHANNELS * CIFAR_EDGE * CIFAR_EDGE };

/* ---- CIFAR (https://www.cs.toronto.edu/~kriz/cifar.html, "binary version")
 * ---------------------------- */

const amun__cifar amun__cifar10 = {1, 10};
const amun__cifar amun__cifar100 = {2, 100};

amun_status amun__cifar_parse(size_t *count, const amun__cifar *layout, const void *data,
                              size_t size, const char *what)
{
    *count = 0;
    const uint8_t *bytes = data;
    size_t record = layout->label_bytes + CIFAR_PIXELS;
    if (size == 0 || size % record != 0) {
        return amun__fail(AMUN_ERROR_FORMAT,
                          "%s: %zu bytes are not a whole number of records of %zu bytes", what,
                          size, record);
    }
    for (size_t i = 0; i < size / record; i++) {
        uint8_t label = bytes[i * record + layout->label_bytes - 1];
        if (label >= layout->classes) {
            return amun__fail(AMUN_ERROR_FORMAT, "%s: label %d of record %zu is outside 0..%lld",
                              what, label, i, (long long)layout->classes - 1);
        }
    }
    *count = size / record;
    return AMUN_OK;
}

/* Maps one more file into `ds`, as its next piece. */
static amun_status cifar_add(amun_dataset *ds, const amun__cifar *layout, const char *path)
{
    amun__piece *piece = &ds->pieces[ds->piece_count];
    AMUN__CHECK(amun__file_map(&piece->mapping, path));
    ds->piece_count++; /* from here on the data set unmaps it */
    AMUN__CHECK(
        amun__cifar_parse(&piece->count, layout, piece->mapping.data, piece->mapping.size, path));
    piece->images = piece->mapping.data + layout->label_bytes;
    piece->stride = (int64_t)(layout->label_bytes + CIFAR_PIXELS);
    ds->info.count += piece->count;
    return AMUN_OK;
}

static amun_status cifar_finish(amun_dataset *ds, const amun__cifar *layout)
{
    ds->dtype = AMUN_DTYPE_U8;
    ds->dense = true;
    ds->info.channels = CIFAR_CHANNELS;
    ds->info.height = CIFAR_EDGE;
    ds->info.width = CIFAR_EDGE;
    ds->info.pixels = CIFAR_PIXELS;
    ds->info.classes = layout->classes;
    AMUN__CHECK(amun__alloc(ds->object.ctx, &ds->labels, ds->info.count, sizeof *ds->labels));
    size_t used = 0;
    for (size_t i = 0; i < ds->piece_count; i++) {
        const amun__piece *piece = &ds->pieces[i];
        for (size_t k = 0; k < piece->count; k++) {
            ds->labels[used++] = piece->images[(int64_t)k * piece->stride - 1];
        }
    }
    return AMUN_OK;
}

/* Files of a folder by split; lists end with NULL. */
typedef struct cifar_files {
    const char *const *train, *const *test;
} cifar_files;

static const char *const train10[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                      "data_batch_4.bin", "data_batch_5.bin", NULL};
static const char *const test10[] = {"test_batch.bin", NULL};
static const char *const train100[] = {"train.bin", NULL};
static const char *const test100[] = {"test.bin", NULL};

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static amun_status cifar_fill(amun_dataset *ds, const amun__cifar *layout, const cifar_files *files,
                              const char *path, const char *split)
{
    if (!is_folder(path)) {
        AMUN__CHECK(cifar_add(ds, layout, path));
        return cifar_finish(ds, layout);
    }
    bool train = split != NULL && strcmp(split, "train") == 0;
    if (!train && (split == NULL || strcmp(split, "test") != 0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "split is '%s', expected train or test",
                          split == NULL ? "NULL" : split);
    }
    for (const char *const *name = train ? files->train : files->test; *name != NULL; name++) {
        char full[PATH_MAX];
        int length = snprintf(full, sizeof full, "%s/%s", path, *name);
        if (length < 0 || (size_t)length >= sizeof full) {
            return amun__fail(AMUN_ERROR_IO, "%s: path of more than %d bytes", path, PATH_MAX - 1);
        }
        AMUN__CHECK(cifar_add(ds, layout, full));
    }
    return cifar_finish(ds, layout);
}

/* ---- IDX (http://yann.lecun.com/exdb/mnist)
 * ---------------------------------------------------------- */

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static amun_status idx_parse(amun_tensor_view *view, const uint8_t *bytes, size_t size,
                             const char *what)
{
    if (size < 4) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: %zu bytes are too few for an IDX file", what,
                          size);
    }
    if (bytes[0] == 0x1f && bytes[1] == 0x8b) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "%s: compressed with gzip, expected the unpacked IDX file", what);
    }
    if (bytes[0] != 0 || bytes[1] != 0) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: not an IDX file (magic number 0x%08x)", what,
                          big_endian(bytes));
    }
    if (bytes[2] != 0x08) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED,
                          "%s: IDX element type 0x%02x, expected 0x08 (bytes)", what, bytes[2]);
    }
    int32_t ndim = bytes[3];
    if (ndim < 1 || ndim > 4) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "%s: IDX array of %d dimensions, expected 1 to 4",
                          what, (int)ndim);
    }
    size_t header = 4 + 4 * (size_t)ndim;
    if (size < header) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: truncated: %zu bytes, the IDX header has %zu",
                          what, size, header);
    }
    int64_t shape[AMUN_MAX_NDIM] = {0};
    size_t count = 1;
    for (int32_t i = 0; i < ndim; i++) {
        uint32_t extent = big_endian(bytes + 4 + 4 * (size_t)i);
        shape[i] = extent;
        if (!amun__mul_size(&count, count, extent)) {
            return amun__fail(AMUN_ERROR_FORMAT, "%s: IDX extents overflow at axis %d (%u)", what,
                              (int)i, extent);
        }
    }
    if (count != size - header) {
        return amun__fail(AMUN_ERROR_FORMAT, "%s: IDX extents need %zu bytes, the file has %zu",
                          what, count, size - header);
    }
    void *data = (void *)(uintptr_t)(bytes + header);
    if (amun_tensor_view_init(view, data, AMUN_DTYPE_U8, ndim, shape) != AMUN_OK) {
        return amun__fail_within(AMUN_ERROR_FORMAT, "%s", what);
    }
    view->flags = AMUN_VIEW_READONLY;
    return AMUN_OK;
}

amun_status amun__idx_parse(amun_tensor_view *view, const void *data, size_t size, const char *what)
{
    memset(view, 0, sizeof *view);
    amun_status status = idx_parse(view, data, size, what);
    if (status != AMUN_OK) {
        memset(view, 0, sizeof *view);
    }
    return status;
}

/* ---- data sets of one images file and one labels file
 * ---------------------------------------------------- */

typedef amun_status (*parse_fn)(amun_tensor_view *view, const void *data, size_t size,
                                const char *what);

static amun_status pair_images(amun_dataset *ds, parse_fn parse, const char *path)
{
    amun__mapping mapping;
    amun_tensor_view view;
    AMUN__CHECK(amun__file_map(&mapping, path));
    amun_status status = parse(&view, mapping.data, mapping.size, path);
    if (status == AMUN_OK) {
        status = amun__dataset_take_images(ds, &view, path, AMUN_ERROR_FORMAT);
    }
    ds->pieces[0].mapping = mapping;
    ds->piece_count = 1; /* the data set unmaps it, also after a failure */
    return status;
}

/* Labels are copied, so their file is closed again. */
static amun_status pair_labels(amun_dataset *ds, parse_fn parse, const char *path)
{
    amun__mapping mapping;
    amun_tensor_view view;
    AMUN__CHECK(amun__file_map(&mapping, path));
    amun_status status = parse(&view, mapping.data, mapping.size, path);
    if (status == AMUN_OK) {
        status = amun__dataset_take_labels(ds, &view, 0, path, AMUN_ERROR_FORMAT);
    }
    amun__file_unmap(&mapping);
    return status;
}

static amun_status pair_fill(amun_dataset *ds, parse_fn parse, const char *images,
                             const char *labels)
{
    AMUN__CHECK(pair_images(ds, parse, images));
    return labels == NULL ? AMUN_OK : pair_labels(ds, parse, labels);
}

/* ---- public
 * ------------------------------------------------------------------------------------------ */

static amun_status open_begin(amun_dataset **ds, amun_dataset **made, amun_context *ctx,
                              const char *path, const char *what)
{
    amun__enter();
    if (ds == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "ds is NULL");
    }
    *ds = NULL;
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    if (path == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    return amun__dataset_create(made, ctx);
}

static amun_status open_end(amun_dataset **ds, amun_dataset *made, amun_status status)
{
    if (status == AMUN_OK) {
        *ds = made;
    } else {
        amun__object_unref(made);
    }
    return status;
}

amun_status amun_dataset_open_cifar10(amun_dataset **ds, amun_context *ctx, const char *path,
                                      const char *split)
{
    static const cifar_files files = {train10, test10};
    amun_dataset *made = NULL;
    AMUN__CHECK(open_begin(ds, &made, ctx, path, "path"));
    return open_end(ds, made, cifar_fill(made, &amun__cifar10, &files, path, split));
}

amun_status amun_dataset_open_cifar100(amun_dataset **ds, amun_context *ctx, const char *path,
                                       const char *split)
{
    static const cifar_files files = {train100, test100};
    amun_dataset *made = NULL;
    AMUN__CHECK(open_begin(ds, &made, ctx, path, "path"));
    return open_end(ds, made, cifar_fill(made, &amun__cifar100, &files, path, split));
}

amun_status amun_dataset_open_idx(amun_dataset **ds, amun_context *ctx, const char *images,
                                  const char *labels)
{
    amun_dataset *made = NULL;
    AMUN__CHECK(open_begin(ds, &made, ctx, images, "images"));
    return open_end(ds, made, pair_fill(made, amun__idx_parse, images, labels));
}

amun_status amun_dataset_open_npy(amun_dataset **ds, amun_context *ctx, const char *images,
                                  const char *labels)
{
    amun_dataset *made = NULL;
    AMUN__CHECK(open_begin(ds, &made, ctx, images, "images"));
    return open_end(ds, made, pair_fill(made, amun__npy_parse, images, labels));
}

amun_status amun_npy_write(amun_context *ctx, const char *path, const amun_tensor_view *view)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    if (path == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "path is NULL");
    }
    if (view == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "view is NULL");
    }
    return amun__npy_write(ctx, path, view);
}
