/* amun/dataset.h - immutable images with labels. */
#ifndef AMUN_DATASET_H
#define AMUN_DATASET_H

#include "base.h"
#include "context.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Images with labels, immutable and reference-counted; may be used by several threads at once.
 *  Images are U8 (read as value / 255) or F32 in [0, 1], shape [count, channels, height, width];
 *  labels are 0..classes-1. Images stay where they are, in the caller's memory or in the mapped
 *  file; labels are copied. A mapped file must not be changed or shortened while the data set
 *  lives: the system ends a process that reads behind the new end. */
typedef struct amun_dataset amun_dataset;

/** Called exactly once when the borrowed memory is no longer needed, also if the call that
 *  received it fails; on the thread that dropped the last reference. It must not call back into
 *  the data set. */
typedef void (*amun_release_fn)(void *user_data);

/** Data set over caller memory, without copying the images. Dense images are the fastest; any
 *  strides work (channels last, mirrored, every other image).
 *  [out] ds: one reference, NULL on failure.
 *  [in] images [N, C, H, W] or [N, H, W] (one channel), U8 or F32, no extent 0. Every F32 pixel is
 *  checked to be in [0, 1]. The memory must stay valid until `release` is called, or, if that is
 *  NULL, until the last reference (also those of subsets) is given back.
 *  [in] labels [N], I64, I32 or U8, copied; nullable for unlabelled images.
 *  [in] classes: 0 = largest label + 1; must be 0 without labels. [in] release nullable.
 *  Statuses: INVALID_ARGUMENT (NULL, dtype, a label or pixel out of range), SHAPE, OUT_OF_MEMORY.
 *  @since 0.1 */
AMUN_API amun_status amun_dataset_open_view(amun_dataset **ds, amun_context *ctx,
                                            const amun_tensor_view *images,
                                            const amun_tensor_view *labels, int64_t classes,
                                            amun_release_fn release, void *user_data);
/** CIFAR-10 in its binary format: records of a label byte and 3072 bytes R, G, B; any number of
 *  records. [C, H, W] is [3, 32, 32], classes 10.
 *  [out] ds: one reference, NULL on failure. [in] path: one .bin file, or a folder: then `split`
 *  "train" reads data_batch_1.bin .. data_batch_5.bin and "test" reads test_batch.bin; `split` is
 *  ignored for a file. Statuses: INVALID_ARGUMENT, NOT_FOUND, IO, FORMAT (size, a label above 9),
 *  OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_dataset_open_cifar10(amun_dataset **ds, amun_context *ctx,
                                               const char *path, const char *split);
/** CIFAR-100 in its binary format: records of a coarse and a fine label byte and 3072 bytes. The
 *  fine labels are used, classes 100. Folder: train.bin / test.bin; else as
 *  amun_dataset_open_cifar10(). @since 0.1 */
AMUN_API amun_status amun_dataset_open_cifar100(amun_dataset **ds, amun_context *ctx,
                                                const char *path, const char *split);
/** IDX files (MNIST layout), unpacked. [out] ds: one reference, NULL on failure. [in] images: path
 *  of unsigned bytes [N, H, W] (one channel) or [N, C, H, W]; [in] labels: path of unsigned bytes
 *  [N], nullable; classes = largest label + 1. Statuses: INVALID_ARGUMENT, NOT_FOUND, IO, FORMAT,
 *  UNSUPPORTED (other element types, gzip), SHAPE (images and labels do not fit), OUT_OF_MEMORY.
 *  @since 0.1 */
AMUN_API amun_status amun_dataset_open_idx(amun_dataset **ds, amun_context *ctx,
                                           const char *images, const char *labels);
/** NumPy files, versions 1.0 to 3.0, C order, little endian. [out] ds: one reference, NULL on
 *  failure. [in] images: path of u1, or f4 in [0, 1], [N, C, H, W] or [N, H, W]; [in] labels: path
 *  of i8, i4 or u1 [N], nullable; classes = largest label + 1. Statuses: as
 *  amun_dataset_open_idx(). @since 0.1 */
AMUN_API amun_status amun_dataset_open_npy(amun_dataset **ds, amun_context *ctx,
                                           const char *images, const char *labels);
/** A part of `parent`, in the order of `indices` (no copy of the images; keeps `parent` alive).
 *  It has the classes of `parent`, also those that no image of the part has.
 *  [out] ds: one reference, NULL on failure. [in] indices: `count` >= 1 positions in `parent`, none
 *  twice, copied. Statuses: INVALID_ARGUMENT (names the first bad index), OUT_OF_MEMORY.
 *  @since 0.1 */
AMUN_API amun_status amun_dataset_subset(amun_dataset **ds, amun_dataset *parent,
                                         const int64_t *indices, size_t count);

/** Adds a reference and returns `ds`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_dataset *amun_dataset_ref(amun_dataset *ds);
/** Gives a reference back; the last one frees and calls `release`. NULL is fine. Any thread.
 *  @since 0.1 */
AMUN_API void amun_dataset_unref(amun_dataset *ds);

/** Number of images, at least 1; 0 for NULL. @since 0.1 */
AMUN_API size_t amun_dataset_count(const amun_dataset *ds);
/** Number of classes; 0 if unlabelled, or for NULL. @since 0.1 */
AMUN_API int64_t amun_dataset_classes(const amun_dataset *ds);
/** [out] shape: channels, height and width into shape[0..2]. Status: INVALID_ARGUMENT.
 *  @since 0.1 */
AMUN_API amun_status amun_dataset_shape(const amun_dataset *ds, int64_t shape[3]);
/** [out] labels: those of `count` images from `first` on. Statuses: INVALID_ARGUMENT (NULL, beyond
 *  the end), STATE (unlabelled). @since 0.1 */
AMUN_API amun_status amun_dataset_labels(const amun_dataset *ds, size_t first, size_t count,
                                         int64_t *labels);
/** [out] images: pixels in [0, 1] of `count` images from `first` on, dense [count, C, H, W].
 *  Status: INVALID_ARGUMENT (NULL, beyond the end). @since 0.1 */
AMUN_API amun_status amun_dataset_read(const amun_dataset *ds, size_t first, size_t count,
                                       float *images);

/** The published forget sets: the first `count` entries of a legacy-NumPy permutation (MT19937,
 *  `seed`) of 0..population-1, as used by AMUN (arXiv 2503.00917; seeds 1, 10 and 100 of CIFAR-10
 *  with count 5000 and population 50000). A smaller count is a prefix of a larger one.
 *  [out] indices: `count` entries, 1 <= count <= population. Needs 8 bytes per entry of the
 *  population for the time of the call. Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_forget_indices(int64_t *indices, size_t count, size_t population,
                                         uint32_t seed);

/** Writes an .npy file (version 1.0, C order, little endian) that NumPy reads. The file is replaced
 *  atomically: it is the old one or the whole new one, whatever happens.
 *  [in] view: any strides; BOOL, U8, I32, I64, F16, F32 or F64. Statuses: INVALID_ARGUMENT, SHAPE,
 *  UNSUPPORTED (BF16), NOT_FOUND (no such folder), IO, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_npy_write(amun_context *ctx, const char *path,
                                    const amun_tensor_view *view);

#ifdef __cplusplus
}
#endif
#endif
