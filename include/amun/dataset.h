/* amun/dataset.h - immutable images with labels. */
#ifndef AMUN_DATASET_H
#define AMUN_DATASET_H

#include "base.h"
#include "context.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Immutable, reference-counted, usable by several threads at once. Images are U8 (read as
 *  value / 255) or F32 in [0, 1], shape [count, channels, height, width]; labels are 0..classes-1. */
typedef struct amun_dataset amun_dataset;

/** Called exactly once when the borrowed memory is no longer needed, also if the call that
 *  received it fails; on the thread that dropped the last reference. */
typedef void (*amun_release_fn)(void *user_data);

/** Data set over caller memory, without copying dense arrays.
 *  [in] images [N, C, H, W], U8 or F32; [in] labels [N], I64, I32 or U8, nullable for unlabelled images;
 *  [in] classes: 0 = largest label + 1; [in] release nullable. @since 0.1 */
AMUN_API amun_status amun_dataset_open_view(amun_dataset **ds, amun_context *ctx,
                                            const amun_tensor_view *images,
                                            const amun_tensor_view *labels, int64_t classes,
                                            amun_release_fn release, void *user_data);
/** CIFAR-10 in its binary format. [in] path: one .bin file, or a folder: then `split` "train" reads
 *  data_batch_1.bin .. data_batch_5.bin and "test" reads test_batch.bin; `split` is ignored for a file. @since 0.1 */
AMUN_API amun_status amun_dataset_open_cifar10(amun_dataset **ds, amun_context *ctx,
                                               const char *path, const char *split);
/** CIFAR-100 in its binary format (fine labels). Folder: train.bin / test.bin. @since 0.1 */
AMUN_API amun_status amun_dataset_open_cifar100(amun_dataset **ds, amun_context *ctx,
                                                const char *path, const char *split);
/** IDX files (MNIST layout): images U8 [N, H, W] or [N, C, H, W], labels U8 [N] (nullable). @since 0.1 */
AMUN_API amun_status amun_dataset_open_idx(amun_dataset **ds, amun_context *ctx,
                                           const char *images, const char *labels);
/** NumPy files: images u1 or f4 [N, C, H, W], labels i8, i4 or u1 [N] (nullable). @since 0.1 */
AMUN_API amun_status amun_dataset_open_npy(amun_dataset **ds, amun_context *ctx,
                                           const char *images, const char *labels);
/** A part of `parent`, in the order of `indices` (no copy of the images; keeps `parent` alive).
 *  Indices may not repeat. @since 0.1 */
AMUN_API amun_status amun_dataset_subset(amun_dataset **ds, amun_dataset *parent,
                                         const int64_t *indices, size_t count);

/** Adds a reference. NULL is fine. @since 0.1 */
AMUN_API amun_dataset *amun_dataset_ref(amun_dataset *ds);
/** Gives a reference back. NULL is fine. @since 0.1 */
AMUN_API void amun_dataset_unref(amun_dataset *ds);

/** Number of images. @since 0.1 */
AMUN_API size_t amun_dataset_count(const amun_dataset *ds);
/** Number of classes; 0 if unlabelled. @since 0.1 */
AMUN_API int64_t amun_dataset_classes(const amun_dataset *ds);
/** Channels, height and width into shape[0..2]. @since 0.1 */
AMUN_API amun_status amun_dataset_shape(const amun_dataset *ds, int64_t shape[3]);
/** Labels of `count` images from `first` into `labels`. @since 0.1 */
AMUN_API amun_status amun_dataset_labels(const amun_dataset *ds, size_t first, size_t count,
                                         int64_t *labels);
/** Pixels in [0, 1] of `count` images from `first`, dense [count, C, H, W]. @since 0.1 */
AMUN_API amun_status amun_dataset_read(const amun_dataset *ds, size_t first, size_t count,
                                       float *images);

/** The published forget sets: the first `count` entries of a legacy-NumPy permutation (MT19937,
 *  `seed`) of 0..population-1, as used by AMUN (arXiv 2503.00917). [out] indices: `count`. @since 0.1 */
AMUN_API amun_status amun_forget_indices(int64_t *indices, size_t count, size_t population,
                                         uint32_t seed);

/** Writes a dense C-order .npy file, atomically. @since 0.1 */
AMUN_API amun_status amun_npy_write(amun_context *ctx, const char *path,
                                    const amun_tensor_view *view);

#ifdef __cplusplus
}
#endif
#endif
