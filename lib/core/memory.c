/* memory.c - checked sizes; aligned, counted and limited blocks from the context's allocator. */
#include <assert.h>

#include "core/context_private.h"

/* In front of each block, in a full alignment unit so that the block itself stays aligned. */
typedef struct block_header {
    uint64_t magic;
    size_t total; /* bytes asked from the allocator, this header included */
} block_header;

static const uint64_t BLOCK_MAGIC = 0x616d756e626c6f63u; /* "amunbloc" */

_Static_assert(sizeof(block_header) <= AMUN__ALIGN, "the header must fit in front of a block");

bool amun__mul_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool amun__add_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Books `total` bytes, unless that would pass the limit. */
static amun_status reserve(amun_context *ctx, size_t total)
{
    uint64_t limit = atomic_load_explicit(&ctx->limit, memory_order_relaxed);
    uint64_t current = atomic_load_explicit(&ctx->current, memory_order_relaxed);
    uint64_t next;
    do {
        if (__builtin_add_overflow(current, (uint64_t)total, &next) ||
            (limit != 0 && next > limit)) {
            return amun__fail(AMUN_ERROR_OUT_OF_MEMORY,
                              "memory limit of %llu bytes: %llu in use, %zu more asked for",
                              (unsigned long long)limit, (unsigned long long)current, total);
        }
    } while (!atomic_compare_exchange_weak_explicit(&ctx->current, &current, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    uint64_t peak = atomic_load_explicit(&ctx->peak, memory_order_relaxed);
    while (peak < next &&
           !atomic_compare_exchange_weak_explicit(&ctx->peak, &peak, next, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
    return AMUN_OK;
}

static void unreserve(amun_context *ctx, size_t total)
{
    atomic_fetch_sub_explicit(&ctx->current, (uint64_t)total, memory_order_relaxed);
}

static block_header *header_of(void *ptr)
{
    return (block_header *)(void *)((char *)ptr - AMUN__ALIGN);
}

static amun_status alloc_bytes(amun_context *ctx, void **out, size_t bytes)
{
    *out = NULL;
    size_t total;
    if (!amun__add_size(&total, bytes, AMUN__ALIGN) || total > (size_t)PTRDIFF_MAX) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "%zu bytes are more than can be addressed",
                          bytes);
    }
    AMUN__CHECK(reserve(ctx, total));
    char *base = ctx->alloc(ctx->allocator_data, total, AMUN__ALIGN);
    if (base == NULL) {
        unreserve(ctx, total);
        if (ctx->object.ctx != NULL) {
            return AMUN_ERROR_OUT_OF_MEMORY; /* the message is there */
        }
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "the allocator refused %zu bytes", total);
    }
    if ((uintptr_t)base % AMUN__ALIGN != 0) {
        ctx->free(ctx->allocator_data, base, total, AMUN__ALIGN);
        unreserve(ctx, total);
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "the allocator returned memory that is not aligned to %d bytes",
                          (int)AMUN__ALIGN);
    }
    atomic_fetch_add_explicit(&ctx->blocks, 1, memory_order_relaxed);
    *(block_header *)(void *)base = (block_header){.magic = BLOCK_MAGIC, .total = total};
    *out = base + AMUN__ALIGN;
    return AMUN_OK;
}

static amun_status count_bytes(size_t *bytes, size_t count, size_t size)
{
    if (!amun__mul_size(bytes, count, size)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY,
                          "%zu elements of %zu bytes are more than can be addressed", count, size);
    }
    return AMUN_OK;
}

/* `out` is the address of a pointer of any object type; all have one representation here. */
static void store_pointer(void *out, void *ptr)
{
    memcpy(out, &ptr, sizeof ptr);
}

amun_status amun__alloc(amun_context *ctx, void *out, size_t count, size_t size)
{
    void *ptr = NULL;
    size_t bytes = 0;
    amun_status status = count_bytes(&bytes, count, size);
    if (status == AMUN_OK) {
        status = alloc_bytes(ctx, &ptr, bytes);
    }
    store_pointer(out, ptr);
    return status;
}

amun_status amun__calloc(amun_context *ctx, void *out, size_t count, size_t size)
{
    AMUN__CHECK(amun__alloc(ctx, out, count, size));
    void *ptr;
    memcpy(&ptr, out, sizeof ptr);
    memset(ptr, 0, count * size);
    return AMUN_OK;
}

amun_status amun__realloc(amun_context *ctx, void *inout, size_t count, size_t size)
{
    void *old;
    memcpy(&old, inout, sizeof old);
    if (old == NULL) {
        return amun__alloc(ctx, inout, count, size);
    }
    size_t bytes;
    AMUN__CHECK(count_bytes(&bytes, count, size));
    size_t room = header_of(old)->total - AMUN__ALIGN;
    if (bytes <= room && bytes >= room / 2) {
        return AMUN_OK; /* a small shrink is not worth a copy; the header knows the real size */
    }
    void *grown;
    AMUN__CHECK(alloc_bytes(ctx, &grown, bytes)); /* on failure the old block stays as it is */
    memcpy(grown, old, bytes < room ? bytes : room);
    amun__free(ctx, old);
    store_pointer(inout, grown);
    return AMUN_OK;
}

void amun__free(amun_context *ctx, void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    block_header *header = header_of(ptr);
    if (header->magic != BLOCK_MAGIC) {
        assert(header->magic == BLOCK_MAGIC);
        return; /* losing the block is better than damaging the allocator */
    }
    size_t total = header->total;
    header->magic = 0;
    ctx->free(ctx->allocator_data, header, total, AMUN__ALIGN);
    unreserve(ctx, total);
    atomic_fetch_sub_explicit(&ctx->blocks, 1, memory_order_relaxed);
}

size_t amun__block_bytes(const void *ptr)
{
    return ptr != NULL ? header_of((void *)(uintptr_t)ptr)->total : 0;
}

size_t amun__block_bytes_of(size_t bytes)
{
    return bytes + AMUN__ALIGN;
}

amun_status amun__strdup(amun_context *ctx, char **out, const char *text)
{
    size_t length = strlen(text);
    AMUN__CHECK(amun__alloc(ctx, out, length + 1, 1));
    memcpy(*out, text, length + 1);
    return AMUN_OK;
}
