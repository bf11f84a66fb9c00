/* arena.c - one block of memory for all activations of a plan: values that are never alive at the
 * same moment share it. */
#include "nn/lower.h"

#include <stdlib.h>

#define ALIGNMENT 64

amun_status amun__arena_add(amun__arena *arena, amun_context *ctx, int32_t *index, size_t bytes,
                            int32_t first, int32_t last)
{
    if (arena->count == arena->capacity) {
        int32_t capacity = arena->capacity == 0 ? 64 : arena->capacity * 2;
        AMUN__CHECK(amun__realloc(ctx, &arena->slots, (size_t)capacity, sizeof(amun__slot)));
        arena->capacity = capacity;
    }
    if (!amun__add_size(&bytes, bytes, ALIGNMENT - 1)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "a buffer of %zu bytes is too large", bytes);
    }
    amun__slot *slot = &arena->slots[arena->count];
    slot->bytes = bytes / ALIGNMENT * ALIGNMENT;
    slot->offset = 0;
    slot->first = first;
    slot->last = last;
    slot->bf16 = 0;
    *index = arena->count++;
    return AMUN_OK;
}

void amun__arena_extend(amun__arena *arena, int32_t index, int32_t first, int32_t last)
{
    amun__slot *slot = &arena->slots[index];
    slot->first = first < slot->first ? first : slot->first;
    slot->last = last > slot->last ? last : slot->last;
}

static int larger_first(const void *a, const void *b)
{
    const amun__slot *x = *(amun__slot *const *)a, *y = *(amun__slot *const *)b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? 1 : -1;
    }
    return x < y ? -1 : x > y;
}

static int lower_first(const void *a, const void *b)
{
    const amun__slot *x = *(amun__slot *const *)a, *y = *(amun__slot *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The lowest gap among the placed slots (sorted by offset) that are alive together with `slot`. */
static bool place(amun__slot *slot, amun__slot **placed, int32_t count)
{
    size_t end = 0;
    for (int32_t i = 0; i < count; i++) {
        const amun__slot *other = placed[i];
        if (other->first > slot->last || other->last < slot->first) {
            continue;
        }
        if (other->offset >= end && other->offset - end >= slot->bytes) {
            break;
        }
        size_t other_end = other->offset + other->bytes;
        end = other_end > end ? other_end : end;
    }
    slot->offset = end;
    size_t top;
    return amun__add_size(&top, end, slot->bytes);
}

amun_status amun__arena_plan(amun__arena *arena, amun_context *ctx)
{
    amun_status status;
    amun__slot **order = NULL, **placed = NULL;
    size_t count = (size_t)arena->count;
    AMUN__TRY(amun__alloc(ctx, &order, count, sizeof *order));
    AMUN__TRY(amun__alloc(ctx, &placed, count, sizeof *placed));
    for (size_t i = 0; i < count; i++) {
        order[i] = &arena->slots[i];
    }
    qsort(order, count, sizeof *order, larger_first);
    arena->bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!place(order[i], placed, (int32_t)i)) {
            AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "the plan's buffers exceed the address space");
        }
        placed[i] = order[i];
        qsort(placed, i + 1, sizeof *placed, lower_first);
        size_t top = order[i]->offset + order[i]->bytes;
        arena->bytes = top > arena->bytes ? top : arena->bytes;
    }
fail:
    amun__free(ctx, order);
    amun__free(ctx, placed);
    return status;
}

void amun__arena_free(amun__arena *arena, amun_context *ctx)
{
    amun__free(ctx, arena->slots);
    memset(arena, 0, sizeof *arena);
}
