/* pool.c - contexts that keep what was freed for the next allocation: for loops that need the same
 * blocks again in every step. */
#include "core/context_private.h"

/* At the start of a block that waits. */
typedef struct cached {
    struct cached *next;
    size_t bytes; /* of the block */
} cached;

typedef struct pool {
    amun_context ctx; /* object.ctx: where its memory comes from */
    pthread_mutex_t lock;
    cached *waiting;
} pool;

/* A block serves requests down to this part of it. */
enum { MOST_WASTE = 4 };
/* Headers, one per pool in between. */
enum { HEADERS = 8 * AMUN__ALIGN };

_Static_assert(sizeof(cached) <= AMUN__ALIGN, "a block has at least a header's size");

/* The smallest waiting block that fits, or NULL. Otherwise *surplus is the largest of the smaller
 * ones, which the new block replaces: so there are never more than were in use at once. */
static cached *take(pool *p, size_t bytes, cached **surplus)
{
    cached **best = NULL, **below = NULL;
    *surplus = NULL;
    for (cached **link = &p->waiting; *link != NULL; link = &(*link)->next) {
        const size_t has = (*link)->bytes;
        if (has >= bytes && has / MOST_WASTE <= bytes) {
            best = best == NULL || has < (*best)->bytes ? link : best;
        } else if (has < bytes) {
            below = below == NULL || has > (*below)->bytes ? link : below;
        }
    }
    cached **chosen = best != NULL ? best : below;
    if (chosen == NULL) {
        return NULL;
    }
    cached *block = *chosen;
    *chosen = block->next;
    *surplus = best != NULL ? NULL : block;
    return best != NULL ? block : NULL;
}

/* What is only kept must not stand in the way of what is needed: back with it, through all pools,
 * if the user's limit would not allow both. */
static void make_room(pool *p, size_t bytes)
{
    const amun_context *root = amun__context_root(&p->ctx);
    const uint64_t limit = atomic_load_explicit(&root->limit, memory_order_relaxed);
    const uint64_t used = atomic_load_explicit(&root->current, memory_order_relaxed);
    if (limit == 0 || (used < limit && limit - used > bytes + HEADERS)) {
        return;
    }
    for (amun_context *ctx = &p->ctx; ctx->object.ctx != NULL; ctx = ctx->object.ctx) {
        amun__context_trim(ctx);
    }
}

static void *pool_alloc(void *user_data, size_t size, size_t align)
{
    (void)align; /* AMUN__ALIGN, as all blocks have */
    pool *p = user_data;
    cached *surplus = NULL;
    pthread_mutex_lock(&p->lock);
    void *block = take(p, size, &surplus);
    pthread_mutex_unlock(&p->lock);
    amun__free(p->ctx.object.ctx, surplus);
    if (block == NULL) {
        make_room(p, size);
        (void)amun__alloc(p->ctx.object.ctx, &block, size,
                          1); /* NULL, with a message, if it fails */
    }
    return block;
}

static void pool_free(void *user_data, void *ptr, size_t size, size_t align)
{
    (void)size;
    (void)align;
    pool *p = user_data;
    cached *block = ptr;
    block->bytes = amun__block_bytes(ptr) - AMUN__ALIGN;
    pthread_mutex_lock(&p->lock);
    block->next = p->waiting;
    p->waiting = block;
    pthread_mutex_unlock(&p->lock);
}

void amun__context_trim(amun_context *ctx)
{
    pool *p = (pool *)(void *)ctx;
    pthread_mutex_lock(&p->lock);
    cached *block = p->waiting;
    p->waiting = NULL;
    pthread_mutex_unlock(&p->lock);
    while (block != NULL) {
        cached *next = block->next;
        amun__free(p->ctx.object.ctx, block);
        block = next;
    }
}

static void destroy_pool(void *self)
{
    pool *p = self;
    if (p->ctx.alloc != NULL) {
        amun__context_trim(&p->ctx);
        pthread_mutex_destroy(&p->lock);
    }
}

amun_status amun__context_pooled(amun_context **out, amun_context *from)
{
    pool *p = NULL;
    *out = NULL;
    AMUN__CHECK(amun__object_create(&p, from, AMUN__TAG_CONTEXT, sizeof *p, destroy_pool));
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        amun__object_unref(p);
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no resources for a lock");
    }
    p->ctx.alloc = pool_alloc;
    p->ctx.free = pool_free;
    p->ctx.allocator_data = p;
    *out = &p->ctx;
    return AMUN_OK;
}
