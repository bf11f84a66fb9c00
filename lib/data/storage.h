/* storage.h - what is inside a data set; shared by the files of this room only. Private. */
#ifndef AMUN__DATA_STORAGE_H
#define AMUN__DATA_STORAGE_H

#include "data/data.h"
#include "io/io.h"

/* CIFAR-10 comes in five files; everything else is one piece. */
#define AMUN__DATASET_MAX_PIECES 5

/* Images one after the other at a fixed distance, in one file or one array. */
typedef struct amun__piece {
    const uint8_t *images; /* first byte of the first image */
    size_t count;
    int64_t stride;        /* bytes from one image to the next; any sign */
    amun__mapping mapping; /* the file that holds it; empty for caller memory */
} amun__piece;

struct amun_dataset {
    amun__object object;
    amun__dataset_info info;
    int32_t dtype; /* AMUN_DTYPE_U8 or AMUN_DTYPE_F32 */
    /* Pixels of an image follow each other in C, H, W order; else these strides in bytes hold. */
    bool dense;
    int64_t strides[3];
    amun__piece pieces[AMUN__DATASET_MAX_PIECES];
    size_t piece_count;
    bool any_value;  /* floats outside [0, 1] are fine */
    int32_t *labels; /* own copy; NULL if unlabelled */
    amun_release_fn release;
    void *user_data;
    /* A subset has no pieces: `root` is never a subset itself. */
    amun_dataset *root;
    int64_t *indices;
};

/* Where the pixels of one image are. */
typedef struct amun__image {
    const uint8_t *data;
    const amun_dataset *root; /* dtype, dense, strides */
} amun__image;
void amun__dataset_locate(const amun_dataset *ds, size_t index, amun__image *out);
/* Elements [first, first + n) of the image in C, H, W order, as float32. */
void amun__image_read(const amun__image *image, size_t first, size_t n, float *dst);

/* An empty data set that `format` functions fill; unref on failure. */
amun_status amun__dataset_create(amun_dataset **out, amun_context *ctx);
/* Images of shape [N, C, H, W] (or [N, H, W]: one channel) become the only piece. `status` is what
 * bad content is reported as: INVALID_ARGUMENT for arguments, FORMAT for files. */
amun_status amun__dataset_take_images(amun_dataset *ds, const amun_tensor_view *images,
                                      const char *what, amun_status status);
/* Copies and checks labels [N]; classes 0: largest + 1. After the images. */
amun_status amun__dataset_take_labels(amun_dataset *ds, const amun_tensor_view *labels,
                                      int64_t classes, const char *what, amun_status status);

/* ---- formats (formats.c): cores on memory -------------------------------------------------------
 */

/* View of an IDX file of bytes; 1 to 4 dimensions. The view borrows `data`. */
amun_status amun__idx_parse(amun_tensor_view *view, const void *data, size_t size,
                            const char *what);
/* The two CIFAR layouts: `label_bytes` label bytes, the last of them ours, then 3 x 32 x 32 pixels.
 */
typedef struct amun__cifar {
    size_t label_bytes;
    int64_t classes;
} amun__cifar;
extern const amun__cifar amun__cifar10, amun__cifar100;
/* Number of records, after a check of the size and of every label. */
amun_status amun__cifar_parse(size_t *count, const amun__cifar *layout, const void *data,
                              size_t size, const char *what);

/* ---- fused reading (transform.c)
 * ------------------------------------------------------------------ */

/* amun__dataset_fetch and amun__augment_apply in one pass over the pixels. */
void amun__augment_fetch(const amun__augment *augment, uint64_t seed, uint32_t epoch, uint64_t id,
                         const amun_dataset *ds, size_t index, float *dst);

#endif
