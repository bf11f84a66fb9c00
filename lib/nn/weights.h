/* weights.h - weights as safetensors with PyTorch's names. Private to the nn room. */
#ifndef AMUN__WEIGHTS_H
#define AMUN__WEIGHTS_H

#include "io/io.h"
#include "nn/graph.h"

/* "1" in the metadata of every file; files of a larger number are refused. */
#define AMUN__WEIGHTS_FORMAT 1

/* Writes all parameters as F32 and the batch norms' num_batches_tracked as I64 scalars, atomically.
 * `extra` tensors (names starting with "amun.") and `extra_meta` (object of strings; nullable) go
 * into the same file; they cannot replace ours. NUMERIC if a parameter is not finite: no file is
 * written that could not be read back. */
amun_status amun__weights_save(amun_context *ctx, const amun__params *params, const char *arch,
                               const amun_model_options *shape, const char *path,
                               const amun__st_tensor *extra, size_t extra_count,
                               const json_t *extra_meta);

/* Fills the values and counters from a file whose names match the graph's, directly or as in
 * DataParallel ("module."), wrapped layers ("bn1.module.weight") and pytorch-cifar ("shortcut",
 * "linear"). F32, F64, F16, BF16. All or nothing; grows params->version.
 * FORMAT: unknown or missing names. SHAPE: extents. NUMERIC: NaN, infinity, negative variance. */
amun_status amun__weights_read(amun__params *params, const amun__safetensors *file,
                               bool allow_extra /* ignore names that start with "amun." */);

/* Architecture (borrowed from the file) and sizes (opts: seed 0) that amun__weights_save() noted.
 * FORMAT where they are absent or malformed, UNSUPPORTED for newer files. */
amun_status amun__weights_describe(const amun__safetensors *file, const char **arch,
                                   amun_model_options *opts);

#endif
