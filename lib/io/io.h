/* io.h - files, safetensors, npy, and the glue to Jansson. Private. */
#ifndef AMUN__IO_H
#define AMUN__IO_H

#include <jansson.h>

#include "core/core.h"

/* ---- files (file.c) --------------------------------------------------------------------------- */

/* Whole file, read-only. Memory-mapped, so large data sets cost no copy. NOT_FOUND or IO. */
typedef struct amun__mapping {
    const uint8_t *data;
    size_t size;
} amun__mapping;
amun_status amun__file_map(amun__mapping *out, const char *path);
void amun__file_unmap(amun__mapping *mapping);

typedef struct amun__chunk {
    const void *data;
    size_t size;
} amun__chunk;
/* Temporary file in the same folder, fsync, rename, fsync of the folder: the old file stays whole
 * if anything fails. */
amun_status amun__file_write(amun_context *ctx, const char *path, const amun__chunk *chunks,
                             size_t count);
bool amun__file_exists(const char *path);
/* mkdir -p. */
amun_status amun__file_make_dir(const char *path);

/* ---- JSON (json.c) ------------------------------------------------------------------------------ */

/* Strict: no duplicate keys, depth limit 8 checked before parsing, at most 16 MiB. */
amun_status amun__json_parse(json_t **out, const char *text, size_t size, const char *what);
/* {"eps": ..., "seed": ...} from an option struct that amun__options_read() filled. Reserved and
 * pointer fields are left out; enumerations by name; seeds above 2^53 as strings. */
amun_status amun__json_options(json_t **out, const amun__options_table *table, const void *full);
/* Malloc-ed compact text (sorted keys), to be freed with free(). */
amun_status amun__json_text(char **out, const json_t *value, size_t flags);
/* What goes into each file and result: library, version, ABI, rng, threads, backend. New reference. */
amun_status amun__json_provenance(json_t **out, const amun_context *ctx);

/* ---- safetensors (safetensors.c) --------------------------------------------------------------- */

typedef struct amun__st_tensor {
    const char *name;
    int32_t dtype; /* AMUN_DTYPE_* */
    int32_t ndim;
    int64_t shape[AMUN_MAX_NDIM];
    const void *data; /* reader: inside the file, maybe unaligned */
    size_t bytes;
} amun__st_tensor;

typedef struct amun__safetensors {
    amun_context *ctx;
    amun__st_tensor *tensors; /* in file order */
    size_t count;
    json_t *root;     /* whole header; owns names */
    json_t *metadata; /* borrowed from root; NULL if absent */
    amun__mapping mapping;
} amun__safetensors;

/* Core on memory (which must outlive the result) and the path form. Limits: header at most 16 MiB, at least
 * 2 bytes, no duplicate names, no holes or overlaps, offsets inside the file, extents times element size = length. */
amun_status amun__safetensors_parse(amun__safetensors **out, amun_context *ctx, const void *data,
                                    size_t size, const char *what);
amun_status amun__safetensors_open(amun__safetensors **out, amun_context *ctx, const char *path);
void amun__safetensors_close(amun__safetensors *file); /* NULL is fine */
const amun__st_tensor *amun__safetensors_find(const amun__safetensors *file, const char *name);
/* NULL if absent; metadata values are strings by the format. */
const char *amun__safetensors_meta(const amun__safetensors *file, const char *key);
/* Tensors by descending dtype size then name, header space-padded to 8 bytes, atomic write.
 * `metadata` (object of strings) nullable, borrowed; written with sorted keys. */
amun_status amun__safetensors_write(amun_context *ctx, const char *path,
                                    const amun__st_tensor *tensors, size_t count,
                                    const json_t *metadata);

/* ---- npy (npy.c) ---------------------------------------------------------------------------------- */

/* Format 1.0-3.0, C order, little endian, dtypes of amun_dtype (bool, u1, i4, i8, f2, f4, f8). The view borrows `data`. */
amun_status amun__npy_parse(amun_tensor_view *view, const void *data, size_t size,
                            const char *what);
amun_status amun__npy_write(amun_context *ctx, const char *path, const amun_tensor_view *view);

#endif
