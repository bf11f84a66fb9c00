/* api.c - see api.h. */
#include <unistd.h>

#include "api.h"

/* Stands in for the C library's, also where libamun calls it: the tests write thousands of small
 * files, none of which has to survive a power failure. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

static const char *prefix = "api";

int api_main(const char *name, TCase *const *cases)
{
    Suite *suite = suite_create(name);
    for (; *cases != NULL; cases++) {
        tcase_set_timeout(*cases, 0);
        suite_add_tcase(suite, *cases);
    }
    api_path_prefix(name);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- memory ---------------------------------------------------------------------------------- */

typedef struct block {
    size_t size, align;
} block;

static size_t lead_of(size_t align)
{
    return align > sizeof(block) ? align : sizeof(block);
}

static void *heap_alloc(void *user_data, size_t size, size_t align)
{
    heap *h = user_data;
    int64_t call = atomic_fetch_add(&h->calls, 1) + 1, at = atomic_load(&h->fail_at);
    if (at > 0 && call >= at && call - at < atomic_load(&h->fail_count)) {
        return NULL;
    }
    size_t lead = lead_of(align);
    char *base = aligned_alloc(align, (lead + size + align - 1) / align * align);
    if (base == NULL) {
        return NULL;
    }
    block header = {size, align};
    memcpy(base, &header, sizeof header);
    memset(base + lead, 0xa5, size); /* nobody may rely on zeroed memory */
    atomic_fetch_add(&h->live, 1);
    return base + lead;
}

static void heap_free(void *user_data, void *ptr, size_t size, size_t align)
{
    heap *h = user_data;
    block header;
    char *base = (char *)ptr - lead_of(align);
    memcpy(&header, base, sizeof header);
    if (header.size != size || header.align != align) {
        atomic_fetch_add(&h->wrong, 1);
    }
    atomic_fetch_sub(&h->live, 1);
    free(base);
}

amun_status heap_context(amun_context **ctx, heap *h)
{
    amun_context_options options;
    amun_status status = amun_context_options_init(&options, sizeof options);
    options.alloc = heap_alloc;
    options.free = heap_free;
    options.allocator_data = h;
    options.threads = 1;
    return status == AMUN_OK ? amun_context_create(ctx, &options) : status;
}

void heap_end(amun_context *ctx, const heap *h)
{
    if (ctx != NULL) {
        amun_memory_stats stats = {.struct_size = sizeof stats};
        ck_ok(amun_context_get_memory(ctx, &stats));
        ck_assert_msg(stats.current == 0 && stats.blocks == 0, "%llu bytes in %llu blocks are left",
                      (unsigned long long)stats.current, (unsigned long long)stats.blocks);
        amun_context_unref(ctx);
    }
    ck_assert_msg(h->live == 0, "%lld blocks are left", (long long)h->live);
    ck_assert_msg(h->wrong == 0, "%lld blocks came back with another size", (long long)h->wrong);
}

/* ---- values ---------------------------------------------------------------------------------- */

uint64_t api_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double api_uniform(uint64_t *state)
{
    return (double)(api_random(state) >> 11) * 0x1p-53;
}

static amun_tensor_view view(const void *data, amun_dtype dtype, int32_t ndim, const int64_t *shape)
{
    amun_tensor_view made;
    ck_ok(amun_tensor_view_init(&made, (void *)(uintptr_t)data, dtype, ndim, shape));
    return made;
}

amun_tensor_view view1(const void *data, amun_dtype dtype, int64_t a)
{
    return view(data, dtype, 1, (int64_t[]){a});
}

amun_tensor_view view2(const void *data, amun_dtype dtype, int64_t a, int64_t b)
{
    return view(data, dtype, 2, (int64_t[]){a, b});
}

amun_tensor_view view4(const void *data, amun_dtype dtype, int64_t a, int64_t b, int64_t c,
                       int64_t d)
{
    return view(data, dtype, 4, (int64_t[]){a, b, c, d});
}

/* ---- a tiny problem -------------------------------------------------------------------------- */

float tiny_images[TINY_COUNT * TINY_PIXELS];
int64_t tiny_labels[TINY_COUNT];

amun_status tiny_data(amun_dataset **data, amun_context *ctx)
{
    for (size_t i = 0; i < TINY_COUNT; i++) {
        size_t kind = i % TINY_CLASSES;
        uint64_t pattern = 77 + kind, noise = 1000 + i;
        tiny_labels[i] = (int64_t)kind;
        for (size_t k = 0; k < TINY_PIXELS; k++) {
            double base = api_uniform(&pattern), own = api_uniform(&noise);
            tiny_images[i * TINY_PIXELS + k] = (float)(0.7 * base + 0.3 * own);
        }
    }
    amun_tensor_view images, labels;
    const int64_t shape[4] = {TINY_COUNT, 1, TINY_EDGE, TINY_EDGE};
    amun_status status = amun_tensor_view_init(&images, tiny_images, AMUN_DTYPE_F32, 4, shape);
    if (status == AMUN_OK) {
        status = amun_tensor_view_init(&labels, tiny_labels, AMUN_DTYPE_I64, 1, shape);
    }
    images.flags = labels.flags = AMUN_VIEW_READONLY;
    return status == AMUN_OK
               ? amun_dataset_open_view(data, ctx, &images, &labels, TINY_CLASSES, NULL, NULL)
               : status;
}

amun_status tiny_graph(amun_graph **out, amun_context *ctx)
{
    amun_graph *graph = NULL;
    amun_node node = 0;
    amun_conv2d_options conv;
    amun_status status = amun_conv2d_options_init(&conv, sizeof conv);
    conv.channels = 4;
    status = status != AMUN_OK ? status : amun_graph_create(&graph, ctx, 1, TINY_EDGE, TINY_EDGE);
    status = status != AMUN_OK ? status : amun_graph_conv2d(&node, graph, 0, "conv", &conv);
    status = status != AMUN_OK ? status : amun_graph_batchnorm(&node, graph, node, "bn", 0, 0);
    status = status != AMUN_OK ? status : amun_graph_relu(&node, graph, node);
    status = status != AMUN_OK ? status : amun_graph_flatten(&node, graph, node);
    status =
        status != AMUN_OK ? status : amun_graph_linear(&node, graph, node, "fc", TINY_CLASSES, 1);
    if (status != AMUN_OK) {
        amun_graph_unref(graph);
        graph = NULL;
    }
    *out = graph;
    return status;
}

amun_status tiny_model(amun_model **model, amun_context *ctx, uint64_t seed)
{
    amun_graph *graph = NULL;
    *model = NULL;
    amun_status status = tiny_graph(&graph, ctx);
    if (status == AMUN_OK) {
        status = amun_model_create_graph(model, ctx, graph, seed);
    }
    amun_graph_unref(graph);
    return status;
}

void tiny_read(tiny_values *v, const amun_model *model)
{
    ck_ok(amun_model_get_tensor(model, "conv.weight", v->conv, TINY_CONV));
    ck_ok(amun_model_get_tensor(model, "bn.weight", v->bn[0], TINY_BN));
    ck_ok(amun_model_get_tensor(model, "bn.bias", v->bn[1], TINY_BN));
    ck_ok(amun_model_get_tensor(model, "bn.running_mean", v->bn[2], TINY_BN));
    ck_ok(amun_model_get_tensor(model, "bn.running_var", v->bn[3], TINY_BN));
    ck_ok(amun_model_get_tensor(model, "fc.weight", v->fc, TINY_FC));
    ck_ok(amun_model_get_tensor(model, "fc.bias", v->bias, TINY_CLASSES));
}

amun_train_options tiny_train(int32_t epochs)
{
    amun_train_options options;
    ck_ok(amun_train_options_init(&options, sizeof options));
    options.epochs = epochs;
    options.batch = 4;
    options.lr = 0.05;
    options.augment_pad = 0;
    options.augment_flip = 0;
    return options;
}

static const char *source_path(char *out, size_t size, const char *name)
{
    const char *folder = getenv("AMUN_TEST_SOURCE_ROOT");
    snprintf(out, size, "%s/%s", folder != NULL ? folder : ".", name);
    return out;
}

amun_dataset *digits(amun_context *ctx, size_t first, size_t count)
{
    char images[4096], labels[4096];
    amun_dataset *all = NULL, *part = NULL;
    source_path(images, sizeof images, "examples/data/digits-images.idx");
    source_path(labels, sizeof labels, "examples/data/digits-labels.idx");
    ck_ok(amun_dataset_open_idx(&all, ctx, images, labels));
    size_t total = amun_dataset_count(all);
    int64_t *order = malloc(total * sizeof *order);
    ck_assert(order != NULL && first + count <= total);
    ck_ok(amun_forget_indices(order, total, total, 2024));
    ck_ok(amun_dataset_subset(&part, all, order + first, count));
    free(order);
    amun_dataset_unref(all);
    return part;
}

/* ---- files ----------------------------------------------------------------------------------- */

void api_path_prefix(const char *program)
{
    prefix = program;
}

const char *api_path(const char *name)
{
    static _Thread_local char slots[8][4096];
    static _Thread_local unsigned next;
    char *slot = slots[next++ % 8];
    const char *folder = getenv("AMUN_TEST_TMP");
    snprintf(slot, sizeof slots[0], "%s/api-%s-%s", folder != NULL ? folder : ".", prefix, name);
    return slot;
}

unsigned char *file_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    ck_assert(fseek(file, 0, SEEK_END) == 0);
    long end = ftell(file);
    ck_assert(end >= 0 && fseek(file, 0, SEEK_SET) == 0);
    unsigned char *bytes = malloc((size_t)end + 1);
    ck_assert(bytes != NULL);
    ck_assert(fread(bytes, 1, (size_t)end, file) == (size_t)end);
    fclose(file);
    *size = (size_t)end;
    return bytes;
}

void file_write(const char *path, const void *bytes, size_t size)
{
    remove(path); /* some file systems flush a file that was cut to nothing and written anew */
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert(size == 0 || fwrite(bytes, 1, size, file) == size);
    ck_assert(fclose(file) == 0);
}

bool file_same(const char *a, const char *b)
{
    size_t a_size, b_size;
    unsigned char *a_bytes = file_read(a, &a_size), *b_bytes = file_read(b, &b_size);
    bool same = a_size == b_size && memcmp(a_bytes, b_bytes, a_size) == 0;
    free(a_bytes);
    free(b_bytes);
    return same;
}
