/* Weights in files: round trips, foreign names and types, and everything that must be refused
 * without a trace in the parameters. */
#include <unistd.h>

#include "nets.h"
#include "nn/weights.h"

static void small_net(net *n, uint64_t seed)
{
    net_begin(n, 1, 4, 4);
    amun_node at = net_conv(n, 0, "conv1", (conv_form){.channels = 2, .kernel = 3});
    at = net_bn(n, at, "bn1");
    amun_node skip =
        net_bn(n, net_conv(n, at, "layer1.0.downsample.0", (conv_form){.channels = 2, .kernel = 1}),
               "layer1.0.downsample.1");
    at = net_flatten(n, net_add(n, at, skip));
    net_linear(n, at, "fc", 3, 1);
    net_finish(n, seed);
    n->params.tracked[0] = 7;
    n->params.tracked[1] = 1234567890123;
}

/* ---- a list of tensors that a test can bend before it is written ---------------------------- */

enum { MAX_TENSORS = 32 };

typedef struct tensor_list {
    amun__st_tensor items[MAX_TENSORS];
    char names[MAX_TENSORS][128];
    int64_t counters[2];
    size_t count;
} tensor_list;

static void list_add(tensor_list *list, const char *name, int32_t dtype, int32_t ndim,
                     const int64_t *shape, const void *data, size_t bytes)
{
    size_t at = list->count++;
    ck_assert_uint_lt(at, MAX_TENSORS);
    (void)snprintf(list->names[at], sizeof list->names[at], "%s", name);
    list->items[at] = (amun__st_tensor){
        .name = list->names[at], .dtype = dtype, .ndim = ndim, .data = data, .bytes = bytes};
    for (int32_t i = 0; i < ndim; i++) {
        list->items[at].shape[i] = shape[i];
    }
}

static void list_fill(tensor_list *list, const net *n)
{
    list->count = 0;
    for (int32_t i = 0; i < n->graph->param_count; i++) {
        const amun__param *p = &n->graph->params[i];
        list_add(list, p->name, AMUN_DTYPE_F32, p->ndim, p->shape, n->params.values + p->offset,
                 p->count * sizeof(float));
    }
}

static amun__st_tensor *list_get(tensor_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], name) == 0) {
            return &list->items[i];
        }
    }
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

static void list_rename(tensor_list *list, const char *name, const char *to)
{
    char *text = list->names[list_get(list, name) - list->items];
    (void)snprintf(text, sizeof list->names[0], "%s", to);
}

static void list_write(const tensor_list *list, const net *n, const char *path)
{
    ck_ok(amun__safetensors_write(n->ctx, path, list->items, list->count, NULL));
}

static amun_status read_path(net *n, const char *path, bool allow_extra)
{
    amun__safetensors *file = NULL;
    ck_ok(amun__safetensors_open(&file, n->ctx, path));
    amun_status status = amun__weights_read(&n->params, file, allow_extra);
    amun__safetensors_close(file);
    return status;
}

static bool same_values(const net *a, const net *b)
{
    return memcmp(a->params.values, b->params.values, a->graph->total * sizeof(float)) == 0;
}

static amun_model_options sizes(void)
{
    return (amun_model_options){.struct_size = sizeof(amun_model_options),
                                .classes = 3,
                                .channels = 1,
                                .height = 4,
                                .width = 4,
                                .seed = 99};
}

/* ---- good files --------------------------------------------------------------------------- */

START_TEST(test_round_trip)
{
    net a, b;
    small_net(&a, 1);
    small_net(&b, 2);
    memset(b.params.tracked, 0, 2 * sizeof(int64_t));
    const char *path = test_path("weights_round_trip.safetensors");
    amun_model_options shape = sizes();
    json_t *meta = json_pack("{s:s, s:s}", "amun.epoch", "12", "amun.arch", "not this one");
    const float velocity[2] = {1.5f, -2};
    const amun__st_tensor extra = {.name = "amun.velocity",
                                   .dtype = AMUN_DTYPE_F32,
                                   .ndim = 1,
                                   .shape = {2},
                                   .data = velocity,
                                   .bytes = sizeof velocity};
    ck_ok(amun__weights_save(a.ctx, &a.params, "digits", &shape, path, &extra, 1, meta));
    json_decref(meta);
    uint64_t version = b.params.version;
    ck_fails(read_path(&b, path, false), AMUN_ERROR_FORMAT,
             "1 unknown tensors (\"amun.velocity\")");
    ck_assert(!same_values(&a, &b) && b.params.version == version);
    ck_ok(read_path(&b, path, true));
    ck_assert(same_values(&a, &b));
    ck_assert_int_eq(b.params.tracked[0], 7);
    ck_assert_int_eq(b.params.tracked[1], 1234567890123);
    ck_assert_uint_gt(b.params.version, version);

    amun__safetensors *file = NULL;
    ck_ok(amun__safetensors_open(&file, a.ctx, path));
    const char *arch = NULL;
    amun_model_options opts;
    ck_ok(amun__weights_describe(file, &arch, &opts));
    ck_assert_str_eq(arch, "digits"); /* extra metadata replaces nothing of ours */
    ck_assert_int_eq(opts.classes, 3);
    ck_assert_int_eq(opts.channels, 1);
    ck_assert_int_eq(opts.height, 4);
    ck_assert_int_eq(opts.width, 4);
    ck_assert_uint_eq(opts.seed, 0);
    ck_assert(opts.mean == 0 && opts.std == 0);
    ck_assert_uint_eq(opts.struct_size, sizeof opts);
    ck_assert_str_eq(amun__safetensors_meta(file, "amun.format"), "1");
    ck_assert_str_eq(amun__safetensors_meta(file, "amun.epoch"), "12");
    ck_assert_str_eq(amun__safetensors_meta(file, "amun.rng"), "philox4x32-10");
    ck_assert_str_eq(amun__safetensors_meta(file, "amun.created_by"),
                     "libamun " AMUN_VERSION_STRING);
    /* as PyTorch writes it: a scalar */
    const amun__st_tensor *counter = amun__safetensors_find(file, "bn1.num_batches_tracked");
    ck_assert_ptr_nonnull(counter);
    ck_assert(counter->dtype == AMUN_DTYPE_I64 && counter->ndim == 0);
    ck_assert_uint_eq(file->count, (size_t)a.graph->param_count + 3);
    amun__safetensors_close(file);
    (void)unlink(path);
    net_end(&a);
    net_end(&b);
}
END_TEST

/* DataParallel, the wrapper of the spectral code, and pytorch-cifar. */
START_TEST(test_foreign_names)
{
    net a, b;
    small_net(&a, 1);
    small_net(&b, 2);
    tensor_list list;
    list_fill(&list, &a);
    list_rename(&list, "conv1.weight", "module.conv1.weight");
    list_rename(&list, "bn1.weight", "module.bn1.module.weight");
    list_rename(&list, "bn1.running_var", "bn1.module.running_var");
    list_rename(&list, "layer1.0.downsample.0.weight", "module.layer1.0.shortcut.0.weight");
    list_rename(&list, "layer1.0.downsample.1.running_mean", "layer1.0.shortcut.1.running_mean");
    list_rename(&list, "fc.weight", "module.linear.weight");
    list_rename(&list, "fc.bias", "linear.bias");
    list.counters[0] = 55;
    list_add(&list, "module.bn1.module.num_batches_tracked", AMUN_DTYPE_I64, 1, (int64_t[]){1},
             &list.counters[0], 8);
    const char *path = test_path("weights_foreign.safetensors");
    list_write(&list, &a, path);
    ck_ok(read_path(&b, path, false));
    ck_assert(same_values(&a, &b));
    ck_assert_int_eq(b.params.tracked[0], 55);
    ck_assert_int_eq(b.params.tracked[1], 0); /* not in the file */
    (void)unlink(path);
    net_end(&a);
    net_end(&b);
}
END_TEST

/* A graph's own names win over aliases. */
START_TEST(test_own_names_first)
{
    net n;
    net_begin(&n, 1, 2, 2);
    amun_node at = net_linear(&n, net_flatten(&n, 0), "linear", 4, 0);
    net_linear(&n, net_linear(&n, at, "fc", 4, 0), "module.shortcut", 4, 0);
    net_finish(&n, 3);
    float *before = malloc(n.graph->total * sizeof(float));
    memcpy(before, n.params.values, n.graph->total * sizeof(float));
    const char *path = test_path("weights_own.safetensors");
    amun_model_options shape = sizes();
    ck_ok(amun__weights_save(n.ctx, &n.params, "custom", &shape, path, NULL, 0, NULL));
    memset(n.params.values, 0, n.graph->total * sizeof(float));
    ck_ok(read_path(&n, path, false));
    ck_assert(memcmp(before, n.params.values, n.graph->total * sizeof(float)) == 0);
    free(before);
    (void)unlink(path);
    net_end(&n);
}
END_TEST

START_TEST(test_types)
{
    net n;
    small_net(&n, 1);
    tensor_list list;
    list_fill(&list, &n);
    /* halves: 1, -2, the largest, the smallest normal, the smallest, -0; bfloat16: 1, -3.140625 */
    const uint16_t half[6] = {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000};
    const float half_values[6] = {1, -2, 65504, 0x1p-14f, 0x1p-24f, -0.0f};
    const uint16_t brain[2] = {0x3f80, 0xc049};
    const double wide[3] = {0.1, -1e30, 1e-50};
    uint16_t many[48];
    for (int i = 0; i < 48; i++) {
        many[i] = half[i % 6];
    }
    const amun__node *fc = &n.graph->nodes[n.graph->node_count - 1];
    const amun__param *weight = &n.graph->params[fc->weight];
    ck_assert_uint_eq(weight->count, 3 * 8);
    amun__st_tensor *t = list_get(&list, "fc.weight");
    t->dtype = AMUN_DTYPE_F16;
    t->data = many;
    t->bytes = weight->count * 2;
    t = list_get(&list, "fc.bias");
    t->dtype = AMUN_DTYPE_F64;
    t->data = wide;
    t->bytes = sizeof wide;
    t = list_get(&list, "bn1.bias");
    t->dtype = AMUN_DTYPE_BF16;
    t->data = brain;
    t->bytes = sizeof brain;
    const char *path = test_path("weights_types.safetensors");
    list_write(&list, &n, path);
    ck_ok(read_path(&n, path, false));
    for (int i = 0; i < 24; i++) {
        ck_assert(n.params.values[weight->offset + (size_t)i] == half_values[i % 6]);
    }
    const float *bias = n.params.values + n.graph->params[fc->bias].offset;
    ck_assert(bias[0] == 0.1f && bias[1] == -1e30f && bias[2] == 0.0f);
    const float *shift = n.params.values + n.graph->params[n.graph->nodes[2].bias].offset;
    ck_assert(shift[0] == 1.0f && shift[1] == -3.140625f);
    (void)unlink(path);
    net_end(&n);
}
END_TEST

/* ---- bad files ------------------------------------------------------------------------------ */

/* Writes the list, expects a refusal, and that nothing changed. */
static void refuse(const tensor_list *list, net *n, amun_status expected, const char *part)
{
    const char *path = test_path("weights_bad.safetensors");
    float *before = malloc(n->graph->total * sizeof(float));
    memcpy(before, n->params.values, n->graph->total * sizeof(float));
    int64_t tracked = n->params.tracked[0];
    uint64_t version = n->params.version;
    list_write(list, n, path);
    ck_fails(read_path(n, path, true), expected, part);
    ck_assert(memcmp(before, n->params.values, n->graph->total * sizeof(float)) == 0);
    ck_assert(n->params.tracked[0] == tracked && n->params.version == version);
    free(before);
    (void)unlink(path);
}

START_TEST(test_wrong_names)
{
    net a, n;
    small_net(&a, 1);
    small_net(&n, 2);
    tensor_list list;
    list_fill(&list, &a);
    list_rename(&list, "fc.bias", "classifier.bias");
    refuse(&list, &n, AMUN_ERROR_FORMAT,
           "1 unknown tensors (\"classifier.bias\"), 1 missing (\"fc.bias\")");
    list_fill(&list, &a);
    list.count--;
    refuse(&list, &n, AMUN_ERROR_FORMAT, "1 missing tensors (\"fc.bias\")");
    list.count = 1;
    refuse(&list, &n, AMUN_ERROR_FORMAT,
           "missing tensors (\"bn1.bias\", \"bn1.running_mean\", "
           "\"bn1.running_var\", ...)");
    list_fill(&list, &a);
    for (int i = 0; i < 5; i++) {
        list_add(&list, (const char *[]){"a", "b", "c", "d", "e"}[i], AMUN_DTYPE_F32, 0, NULL,
                 a.params.values, 4);
    }
    refuse(&list, &n, AMUN_ERROR_FORMAT, "5 unknown tensors (\"a\", \"b\", \"c\", ...)");
    list_fill(&list, &a);
    const amun__st_tensor *bias = list_get(&list, "fc.bias");
    list_add(&list, "module.fc.bias", AMUN_DTYPE_F32, 1, bias->shape, bias->data, bias->bytes);
    refuse(&list, &n, AMUN_ERROR_FORMAT, "are both \"fc.bias\"");
    net_end(&a);
    net_end(&n);
}
END_TEST

START_TEST(test_wrong_content)
{
    net a, n;
    small_net(&a, 1);
    small_net(&n, 2);
    tensor_list list;
    list_fill(&list, &a);
    list_get(&list, "conv1.weight")->shape[0] = 1;
    list_get(&list, "conv1.weight")->shape[1] = 2;
    refuse(&list, &n, AMUN_ERROR_SHAPE,
           "\"conv1.weight\" is [1, 2, 3, 3] in the file and [2, 1, 3, 3] in the model");
    list_fill(&list, &a);
    list_get(&list, "fc.weight")->ndim = 1;
    list_get(&list, "fc.weight")->shape[0] = 24;
    refuse(&list, &n, AMUN_ERROR_SHAPE, "\"fc.weight\" is [24] in the file and [3, 8]");
    list_fill(&list, &a);
    list_get(&list, "fc.bias")->dtype = AMUN_DTYPE_I32;
    refuse(&list, &n, AMUN_ERROR_FORMAT, "\"fc.bias\" has data type 6");

    const float nan_bias[3] = {0, 0, NAN}, inf_bias[3] = {0, INFINITY, 0};
    const double wide[3] = {0, 1e39, 0};
    const float variance[2] = {1, -1e-3f};
    list_fill(&list, &a);
    list_get(&list, "fc.bias")->data = nan_bias;
    refuse(&list, &n, AMUN_ERROR_NUMERIC, "\"fc.bias\" has a value that is not finite at 2");
    list_get(&list, "fc.bias")->data = inf_bias;
    refuse(&list, &n, AMUN_ERROR_NUMERIC, "\"fc.bias\" has a value that is not finite at 1");
    list_get(&list, "fc.bias")->data = wide;
    list_get(&list, "fc.bias")->bytes = sizeof wide;
    list_get(&list, "fc.bias")->dtype = AMUN_DTYPE_F64;
    refuse(&list, &n, AMUN_ERROR_NUMERIC, "not finite at 1");
    list_fill(&list, &a);
    list_get(&list, "bn1.running_var")->data = variance;
    refuse(&list, &n, AMUN_ERROR_NUMERIC, "\"bn1.running_var\" has the variance -0.001 at 1");

    list_fill(&list, &a);
    list.counters[0] = -1;
    list_add(&list, "bn1.num_batches_tracked", AMUN_DTYPE_I64, 0, NULL, list.counters, 8);
    refuse(&list, &n, AMUN_ERROR_FORMAT, "\"bn1.num_batches_tracked\" is not one I64");
    list.items[list.count - 1].dtype = AMUN_DTYPE_F64;
    list.counters[0] = 0;
    refuse(&list, &n, AMUN_ERROR_FORMAT, "\"bn1.num_batches_tracked\" is not one I64");
    net_end(&a);
    net_end(&n);
}
END_TEST

START_TEST(test_save_refuses_nan)
{
    net n;
    small_net(&n, 1);
    n.params.values[3] = NAN;
    const char *path = test_path("weights_nan.safetensors");
    (void)unlink(path);
    amun_model_options shape = sizes();
    ck_fails(amun__weights_save(n.ctx, &n.params, "custom", &shape, path, NULL, 0, NULL),
             AMUN_ERROR_NUMERIC, "\"conv1.weight\" has a value that is not finite at 3");
    ck_assert(!amun__file_exists(path));
    net_end(&n);
}
END_TEST

/* ---- description ---------------------------------------------------------------------------- */

static amun_status describe(net *n, json_t *meta)
{
    const char *path = test_path("weights_describe.safetensors");
    ck_ok(amun__safetensors_write(n->ctx, path, NULL, 0, meta));
    json_decref(meta);
    amun__safetensors *file = NULL;
    ck_ok(amun__safetensors_open(&file, n->ctx, path));
    const char *arch = NULL;
    amun_model_options opts;
    amun_status status = amun__weights_describe(file, &arch, &opts);
    ck_assert((arch != NULL) == (status == AMUN_OK));
    amun__safetensors_close(file);
    (void)unlink(path);
    return status;
}

static json_t *meta_of(const char *format, const char *model)
{
    return json_pack("{s:s, s:s, s:s}", "amun.format", format, "amun.arch", "digits", "amun.model",
                     model);
}

START_TEST(test_describe)
{
    const char *good = "{\"classes\":10,\"channels\":3,\"height\":32,\"width\":32}";
    net n;
    small_net(&n, 1);
    ck_ok(describe(&n, meta_of("1", good)));
    ck_fails(describe(&n, meta_of("2", good)), AMUN_ERROR_UNSUPPORTED, "format 2");
    ck_fails(describe(&n, meta_of("99999999999999999999", good)), AMUN_ERROR_UNSUPPORTED, "99999");
    ck_fails(describe(&n, meta_of("", good)), AMUN_ERROR_FORMAT, "amun.format");
    ck_fails(describe(&n, meta_of("1x", good)), AMUN_ERROR_FORMAT, "\"1x\"");
    ck_fails(describe(&n, meta_of("-1", good)), AMUN_ERROR_FORMAT, "\"-1\"");
    ck_fails(describe(&n, meta_of("1", "[]")), AMUN_ERROR_FORMAT, "not a JSON object");
    ck_fails(describe(&n, meta_of("1", "{")), AMUN_ERROR_FORMAT, "amun.model");
    ck_fails(describe(&n, meta_of("1", "{\"classes\":10}")), AMUN_ERROR_FORMAT, "\"channels\"");
    ck_fails(describe(&n, meta_of("1", "{\"classes\":0}")), AMUN_ERROR_FORMAT, "\"classes\"");
    ck_fails(describe(&n, meta_of("1", "{\"classes\":\"10\"}")), AMUN_ERROR_FORMAT, "\"classes\"");
    char text[128];
    snprintf(text, sizeof text, "%.*s,\"mean\":\"half\"}", (int)strlen(good) - 1, good);
    ck_fails(describe(&n, meta_of("1", text)), AMUN_ERROR_FORMAT, "\"mean\"");
    ck_fails(describe(&n, json_pack("{s:s}", "format", "pt")), AMUN_ERROR_FORMAT, "amun.arch");
    ck_fails(describe(&n, NULL), AMUN_ERROR_FORMAT, "amun.arch");
    net_end(&n);
}
END_TEST

START_TEST(test_out_of_memory)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    net n;
    small_net(&n, 1);
    int64_t before = atomic_load(&allocator.live_blocks);
    amun_model_options shape = sizes();
    const char *path = test_path("weights_memory.safetensors");
    amun_status status = AMUN_ERROR_OUT_OF_MEMORY;
    int64_t failures = 0;
    for (int64_t at = 1; status != AMUN_OK; at++) {
        atomic_store(&allocator.fail_at, at);
        status = amun__weights_save(ctx, &n.params, "custom", &shape, path, NULL, 0, NULL);
        amun__safetensors *file = NULL;
        if (status == AMUN_OK) {
            status = amun__safetensors_open(&file, ctx, path);
        }
        if (status == AMUN_OK) {
            status = amun__weights_read(&n.params, file, false);
        }
        amun__safetensors_close(file);
        ck_assert(status == AMUN_OK || status == AMUN_ERROR_OUT_OF_MEMORY);
        failures += status != AMUN_OK;
        ck_assert_int_eq(atomic_load(&allocator.live_blocks), before);
    }
    ck_assert_int_gt(failures, 4);
    atomic_store(&allocator.fail_at, 0);
    amun_context_unref(ctx);
    (void)unlink(path);
    net_end(&n);
}
END_TEST

int main(void)
{
    TCase *good = tcase_create("good");
    tcase_add_test(good, test_round_trip);
    tcase_add_test(good, test_foreign_names);
    tcase_add_test(good, test_own_names_first);
    tcase_add_test(good, test_types);
    TCase *bad = tcase_create("bad");
    tcase_add_test(bad, test_wrong_names);
    tcase_add_test(bad, test_wrong_content);
    tcase_add_test(bad, test_save_refuses_nan);
    tcase_add_test(bad, test_describe);
    tcase_add_test(bad, test_out_of_memory);
    return amun_test_main("weights", (TCase *[]){good, bad, NULL});
}
