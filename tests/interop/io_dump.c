/* io_dump.c - reads and writes files for check_io.py, which knows the formats by other means.
 *
 *   io_dump st FILE     one line per tensor: name, dtype number, shape, bytes in hex; then metadata
 *   io_dump npy FILE    dtype number, shape, bytes in hex
 *   io_dump copy-st FROM TO     reads a safetensors file and writes it again
 *   io_dump copy-npy FROM TO    the same for NPY
 * Names are printed as JSON strings. A failure prints the status and the message, exit status 1. */
#include <stdio.h>
#include <stdlib.h>

#include "io/io.h"

static void print_array(int32_t dtype, int32_t ndim, const int64_t *shape, const void *data,
                        size_t bytes)
{
    printf("%d [", (int)dtype);
    for (int32_t i = 0; i < ndim; i++) {
        printf("%s%lld", i > 0 ? "," : "", (long long)shape[i]);
    }
    printf("] ");
    for (size_t i = 0; i < bytes; i++) {
        printf("%02x", ((const uint8_t *)data)[i]);
    }
    printf("\n");
}

static void print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    printf("%s", text);
    free(text);
}

static amun_status dump_st(amun_context *ctx, const char *path, const char *copy)
{
    amun__safetensors *file = NULL;
    AMUN__CHECK(amun__safetensors_open(&file, ctx, path));
    amun_status status = AMUN_OK;
    if (copy != NULL) {
        status = amun__safetensors_write(ctx, copy, file->tensors, file->count, file->metadata);
    } else {
        for (size_t i = 0; i < file->count; i++) {
            const amun__st_tensor *tensor = &file->tensors[i];
            json_t *name = json_string(tensor->name);
            print_json(name);
            json_decref(name);
            printf(" ");
            print_array(tensor->dtype, tensor->ndim, tensor->shape, tensor->data, tensor->bytes);
        }
        json_t *none = json_null();
        print_json(file->metadata != NULL ? file->metadata : none);
        printf("\n");
    }
    amun__safetensors_close(file);
    return status;
}

static amun_status dump_npy(amun_context *ctx, const char *path, const char *copy)
{
    amun__mapping mapping;
    amun_tensor_view view;
    AMUN__CHECK(amun__file_map(&mapping, path));
    amun_status status = amun__npy_parse(&view, mapping.data, mapping.size, path);
    if (status == AMUN_OK && copy != NULL) {
        status = amun__npy_write(ctx, copy, &view);
    } else if (status == AMUN_OK) {
        size_t count = 0;
        status = amun__view_check(&view, "view", &count);
        print_array(view.dtype, view.ndim, view.shape, view.data,
                    count * amun_dtype_size(view.dtype));
    }
    amun__file_unmap(&mapping);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: io_dump st|npy|copy-st|copy-npy FILE [TO]\n");
        return 2;
    }
    amun_context *ctx = NULL;
    amun_status status = amun_context_create(&ctx, NULL);
    const char *copy = argc > 3 ? argv[3] : NULL;
    if (status == AMUN_OK) {
        status = strstr(argv[1], "npy") != NULL ? dump_npy(ctx, argv[2], copy)
                                                : dump_st(ctx, argv[2], copy);
    }
    if (status != AMUN_OK) {
        printf("%s: %s\n", amun_status_string(status), amun_last_error_message());
    }
    amun_context_unref(ctx);
    return status == AMUN_OK ? 0 : 1;
}
