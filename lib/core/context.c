/* context.c - the context: allocator, threads, log, memory accounting. */
#include <sys/mman.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/context_private.h"
#include "core/linalg.h"

enum { LOG_LINE_SIZE = 2048, HUGE_PAGE = 2 * 1024 * 1024, HUGE_FROM = 2 * HUGE_PAGE };

static const amun_context_options default_options = {
    .struct_size = sizeof(amun_context_options),
    .alloc = NULL,
    .free = NULL,
    .allocator_data = NULL,
    .memory_limit = 0,
    .threads = 0,
    .tune_cache = NULL,
    .conv = AMUN_CONV_AUTO,
    .precision = AMUN_PRECISION_AUTO,
};
static const char *const conv_names[] = {"auto", "direct", "winograd", "own"};
static const char *const precision_names[] = {"auto", "f32", "bf16"};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_context_options, alloc, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_context_options, free, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_context_options, allocator_data, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_context_options, memory_limit, AMUN__FIELD_U64, 0, INFINITY),
    AMUN__FIELD(amun_context_options, threads, AMUN__FIELD_I32, 0, AMUN__MAX_THREADS),
    AMUN__FIELD(amun_context_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(amun_context_options, tune_cache, AMUN__FIELD_STRING, 0, 0),
    AMUN__FIELD_ENUM(amun_context_options, conv, AMUN_CONV_AUTO, AMUN_CONV_OWN, conv_names),
    AMUN__FIELD_ENUM(amun_context_options, precision, AMUN_PRECISION_AUTO, AMUN_PRECISION_BF16,
                     precision_names),
};
/* Before there was `tune_cache`. */
static const size_t released_sizes[] = {48};
static const amun__options_table option_table = {
    .name = "amun_context_options",
    .size = sizeof(amun_context_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
    .released_sizes = released_sizes,
    .released_count = sizeof released_sizes / sizeof released_sizes[0],
};

amun_status amun_context_options_init(amun_context_options *opts, size_t size)
{
    return amun__options_init(&option_table, opts, size);
}

/* Large blocks lie on huge pages where the system lends them on request: fewer faults when they are
 * first touched, fewer misses when many places of them are in use. The rest of the last page stays
 * with small ones, so that no more memory is taken than asked for. */
static void *alloc_huge(size_t size)
{
    void *block = NULL;
    if (posix_memalign(&block, HUGE_PAGE, size) != 0) {
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    (void)madvise(block, size - size % HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return block;
}

static void *default_alloc(void *user_data, size_t size, size_t align)
{
    (void)user_data;
    size_t rounded;
    if (!amun__add_size(&rounded, size, align - 1)) {
        return NULL;
    }
    if (size < HUGE_FROM || align > HUGE_PAGE) {
        return aligned_alloc(align, rounded - rounded % align); /* C11 wants a multiple */
    }
    return alloc_huge(size);
}

static void default_free(void *user_data, void *ptr, size_t size, size_t align)
{
    (void)user_data;
    (void)size;
    (void)align;
    free(ptr);
}

static void destroy_context(void *self)
{
    amun_context *ctx = self;
    if (ctx->tuning != NULL) {
        if (ctx->tuning->release != NULL) {
            ctx->tuning->release(ctx->tuning->table);
        }
        amun__free(ctx, ctx->tuning->path);
        amun__free(ctx, ctx->tuning);
    }
    pthread_mutex_destroy(&ctx->tuning_lock);
    pthread_mutex_destroy(&ctx->log_lock);
    ctx->free(ctx->allocator_data, ctx, sizeof *ctx, AMUN__ALIGN);
}

/* AMUN_LOG=plan, looked at once: the environment may change under a running process. */
static bool environment_wants_plans(void)
{
    const char *value = getenv("AMUN_LOG");
    return value != NULL && strcmp(value, "plan") == 0;
}

/* The environment's word for a choice that the options leave open (0). */
static amun_status read_choice(int32_t *choice, const char *variable, const char *const *names,
                               int32_t count, const char *allowed)
{
    const char *value = getenv(variable);
    if (*choice != 0 || value == NULL || value[0] == '\0') {
        return AMUN_OK;
    }
    for (int32_t i = 0; i < count; i++) {
        if (strcmp(value, names[i]) == 0) {
            *choice = i;
            return AMUN_OK;
        }
    }
    return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s in the environment is '%.40s', must be %s",
                      variable, value, allowed);
}

static amun_status read_choices(amun_context_options *o)
{
    AMUN__CHECK(read_choice(&o->conv, "AMUN_CONV", conv_names, AMUN_CONV_OWN + 1,
                            "auto, direct, winograd or own"));
    return read_choice(&o->precision, "AMUN_PRECISION", precision_names, AMUN_PRECISION_BF16 + 1,
                       "auto, f32 or bf16");
}

/* tune_cache, else AMUN_TUNE_CACHE; *path is NULL if neither is set. */
static amun_status read_tune_cache(const char **path)
{
    if (*path != NULL) {
        return (*path)[0] != '\0' ? AMUN_OK
                                  : amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                                               "amun_context_options.tune_cache is empty");
    }
    const char *value = getenv("AMUN_TUNE_CACHE");
    *path = value != NULL && value[0] != '\0' ? value : NULL;
    return AMUN_OK;
}

static amun_status open_tuning(amun_context *ctx, const char *path)
{
    if (path == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(amun__calloc(ctx, &ctx->tuning, 1, sizeof *ctx->tuning));
    return amun__strdup(ctx, &ctx->tuning->path, path);
}

static bool open_locks(amun_context *ctx)
{
    if (pthread_mutex_init(&ctx->log_lock, NULL) != 0) {
        return false;
    }
    if (pthread_mutex_init(&ctx->tuning_lock, NULL) != 0) {
        pthread_mutex_destroy(&ctx->log_lock);
        return false;
    }
    return true;
}

/* The block of a context with these options, zeroed but for its locks. */
static amun_status allocate_context(amun_context **out, const amun_context_options *o)
{
    amun_alloc_fn alloc = o->alloc != NULL ? o->alloc : default_alloc;
    amun_free_fn give_back = o->free != NULL ? o->free : default_free;
    amun_context *made = alloc(o->allocator_data, sizeof *made, AMUN__ALIGN);
    amun_status status = AMUN_OK;
    if (made == NULL) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "the allocator refused %zu bytes",
                          sizeof *made);
    }
    if ((uintptr_t)made % _Alignof(amun_context) != 0) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT,
                   "the allocator returned memory that is not aligned to %d bytes",
                   (int)AMUN__ALIGN);
    }
    memset(made, 0, sizeof *made);
    if (!open_locks(made)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no resources for a lock");
    }
    made->alloc = alloc;
    made->free = give_back;
    *out = made;
    return AMUN_OK;
fail:
    give_back(o->allocator_data, made, sizeof *made, AMUN__ALIGN);
    return status;
}

amun_status amun_context_create(amun_context **ctx, const amun_context_options *opts)
{
    amun__enter();
    if (ctx == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "ctx is NULL");
    }
    *ctx = NULL;
    amun_context_options o;
    AMUN__CHECK(amun__options_read(&option_table, &o, opts));
    if ((o.alloc == NULL) != (o.free == NULL)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_context_options: alloc and free must both be set, or neither");
    }
    AMUN__CHECK(read_choices(&o));
    AMUN__CHECK(read_tune_cache(&o.tune_cache));
    amun_context *made = NULL;
    AMUN__CHECK(allocate_context(&made, &o));
    made->object.tag = AMUN__TAG_CONTEXT;
    atomic_init(&made->object.refs, 1);
    made->object.destroy = destroy_context;
    made->allocator_data = o.allocator_data;
    atomic_init(&made->limit, o.memory_limit);
    atomic_init(&made->threads, o.threads);
    made->plan_log = environment_wants_plans();
    made->conv = o.conv;
    made->precision = o.precision == AMUN_PRECISION_BF16 ? AMUN_PRECISION_BF16 : AMUN_PRECISION_F32;
    amun_status status = open_tuning(made, o.tune_cache);
    if (status != AMUN_OK) {
        amun__object_unref(made);
        return status;
    }
    amun__threads_watch_forks();
    *ctx = made;
    return AMUN_OK;
}

amun_context *amun_context_ref(amun_context *ctx)
{
    return amun__object_ref(ctx);
}

void amun_context_unref(amun_context *ctx)
{
    amun__object_unref(ctx);
}

amun_status amun_context_set_threads(amun_context *ctx, int32_t threads)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    if (threads < 0 || threads > AMUN__MAX_THREADS) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "threads: %d is outside [0, %d]",
                          (int)threads, (int)AMUN__MAX_THREADS);
    }
    atomic_store_explicit(&ctx->threads, threads, memory_order_relaxed);
    return AMUN_OK;
}

int32_t amun_context_get_threads(const amun_context *ctx)
{
    if (ctx == NULL || ctx->object.tag != AMUN__TAG_CONTEXT) {
        return 1;
    }
    return amun__threads_count(ctx);
}

amun_status amun_context_set_memory_limit(amun_context *ctx, uint64_t bytes)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    atomic_store_explicit(&ctx->limit, bytes, memory_order_relaxed);
    return AMUN_OK;
}

amun_status amun_context_get_memory(const amun_context *ctx, amun_memory_stats *stats)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    const amun_memory_stats now = {
        .struct_size = sizeof now,
        .current = atomic_load_explicit(&ctx->current, memory_order_relaxed),
        .peak = atomic_load_explicit(&ctx->peak, memory_order_relaxed),
        .blocks = atomic_load_explicit(&ctx->blocks, memory_order_relaxed),
    };
    return amun__result_write(stats, &now, sizeof now, "stats");
}

/* ---- choices for plans ----------------------------------------------------------------------- */

int32_t amun__context_precision(const amun_context *ctx)
{
    return amun__context_root(ctx)->precision;
}

const char *amun__context_precision_name(const amun_context *ctx)
{
    return precision_names[amun__context_precision(ctx)];
}

const char *amun__conv_name(amun_conv_choice choice)
{
    return choice >= AMUN_CONV_AUTO && choice <= AMUN_CONV_OWN ? conv_names[choice] : "?";
}

int32_t amun__context_conv(const amun_context *ctx)
{
    return amun__context_root(ctx)->conv;
}

const char *amun__context_conv_name(const amun_context *ctx)
{
    ctx = amun__context_root(ctx);
    return ctx->conv != AMUN_CONV_AUTO ? amun__conv_name(ctx->conv)
                                       : (ctx->tuning != NULL ? "tuned" : "fixed");
}

amun__tuning *amun__tuning_begin(amun_context *ctx)
{
    amun_context *root = (amun_context *)(uintptr_t)amun__context_root(ctx);
    if (root->tuning != NULL) {
        pthread_mutex_lock(&root->tuning_lock);
    }
    return root->tuning;
}

void amun__tuning_end(amun_context *ctx)
{
    amun_context *root = (amun_context *)(uintptr_t)amun__context_root(ctx);
    pthread_mutex_unlock(&root->tuning_lock);
}

/* ---- log --------------------------------------------------------------------------------- */

amun_status amun_context_set_log(amun_context *ctx, amun_log_fn fn, void *user_data,
                                 amun_log_level level)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    if (level < AMUN_LOG_SILENT || level > AMUN_LOG_DEBUG) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "level: %d is outside [%d, %d]", (int)level,
                          (int)AMUN_LOG_SILENT, (int)AMUN_LOG_DEBUG);
    }
    pthread_mutex_lock(&ctx->log_lock);
    ctx->log_fn = fn;
    ctx->log_data = user_data;
    ctx->log_level = level;
    pthread_mutex_unlock(&ctx->log_lock);
    /* not in create: nobody listens yet */
    const char *advice = amun__linalg_advice();
    if (advice != NULL) {
        amun__log(ctx, AMUN_LOG_WARNING, "%s", advice);
    }
    return AMUN_OK;
}

typedef struct log_target {
    amun_log_fn fn;
    void *data;
} log_target;

/* Where a message of this level goes; fn is NULL if nowhere. */
static log_target find_target(const amun_context *ctx, amun_log_level level)
{
    ctx = amun__context_root(ctx);
    pthread_mutex_t *lock =
        (pthread_mutex_t *)&ctx->log_lock; /* logging leaves a context as it is */
    pthread_mutex_lock(lock);
    log_target target = {ctx->log_fn, ctx->log_data};
    bool wanted = level == AMUN__LOG_PLAN ? ctx->plan_log != 0 : level <= ctx->log_level;
    pthread_mutex_unlock(lock);
    if (!wanted) {
        target.fn = NULL;
    }
    return target;
}

bool amun__log_wants(const amun_context *ctx, amun_log_level level)
{
    return find_target(ctx, level).fn != NULL;
}

void amun__log(const amun_context *ctx, amun_log_level level, const char *format, ...)
{
    log_target target = find_target(ctx, level);
    if (target.fn == NULL) {
        return;
    }
    char line[LOG_LINE_SIZE];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0) {
        return;
    }
    amun__status_tidy_line(line, length >= (int)sizeof line);
    target.fn(level == AMUN__LOG_PLAN ? AMUN_LOG_INFO : level, line, target.data);
}
