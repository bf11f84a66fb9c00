/* object.c - reference-counted handles: tag, count, and the context that they keep alive. */
#include <assert.h>

#include "core/core.h"

amun_status amun__object_create(void *out, amun_context *ctx, amun__tag tag, size_t size,
                                void (*destroy)(void *self))
{
    assert(size >= sizeof(amun__object));
    amun__object *object = NULL;
    amun_status status = amun__calloc(ctx, &object, 1, size);
    if (status == AMUN_OK) {
        object->tag = (uint32_t)tag;
        atomic_init(&object->refs, 1);
        object->ctx = amun__object_ref(ctx);
        object->destroy = destroy;
    }
    memcpy(out, &object, sizeof object);
    return status;
}

void *amun__object_ref(void *handle)
{
    if (handle != NULL) {
        amun__object *object = handle;
        /* relaxed: whoever adds a reference already has one */
        atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
    }
    return handle;
}

void amun__object_unref(void *handle)
{
    if (handle == NULL) {
        return;
    }
    amun__object *object = handle;
    /* release our writes; the last one acquires everybody's before it destroys */
    int32_t before = atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before != 1) {
        return;
    }
    amun_context *ctx = object->ctx;
    object->tag = 0; /* a stale handle is recognised as long as its memory is not reused */
    if (object->destroy != NULL) {
        object->destroy(object);
    }
    if (ctx != NULL) { /* the context itself has none: its destroy gives its memory back */
        amun__free(ctx, object);
        amun__object_unref(ctx);
    }
}

static const char *tag_name(amun__tag tag)
{
    switch (tag) {
    case AMUN__TAG_CONTEXT:
        return "context";
    case AMUN__TAG_GRAPH:
        return "graph";
    case AMUN__TAG_MODEL:
        return "model";
    case AMUN__TAG_DATASET:
        return "dataset";
    case AMUN__TAG_ATTACK:
        return "attack";
    case AMUN__TAG_ADVSET:
        return "adversarial set";
    case AMUN__TAG_UNLEARNER:
        return "unlearner";
    case AMUN__TAG_MIA:
        return "membership audit";
    case AMUN__TAG_REPORT:
        return "report";
    case AMUN__TAG_ENSEMBLE:
        return "ensemble";
    case AMUN__TAG_CLIPPER:
        return "clipper";
    case AMUN__TAG_SPECTRUM:
        return "spectrum";
    }
    return "libamun";
}

amun_status amun__object_check(const void *handle, amun__tag tag, const char *what)
{
    if (handle == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    const amun__object *object = handle;
    if ((uintptr_t)handle % _Alignof(amun__object) != 0 || object->tag != (uint32_t)tag ||
        atomic_load_explicit(&object->refs, memory_order_relaxed) <= 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is not a live %s handle", what,
                          tag_name(tag));
    }
    return AMUN_OK;
}
