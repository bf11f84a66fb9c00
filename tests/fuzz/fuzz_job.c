/* fuzz_job.c - a tiny model, its data, and a folder for the targets that read whole files. */
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz.h"

float fuzz_images[FUZZ_COUNT * FUZZ_PIXELS];
int64_t fuzz_labels[FUZZ_COUNT];

amun_context *fuzz_steady(void)
{
    static amun_context *ctx;
    amun_context_options options;
    if (ctx == NULL) {
        fuzz_check(amun_context_options_init(&options, sizeof options));
        options.threads = 1;
        options.memory_limit = 16 << 20;
        if (amun_context_create(&ctx, &options) != AMUN_OK) {
            abort();
        }
    }
    return ctx;
}

amun_status fuzz_data(amun_dataset **data, amun_context *ctx)
{
    const int64_t shape[4] = {FUZZ_COUNT, 1, FUZZ_EDGE, FUZZ_EDGE};
    amun_tensor_view images, labels;
    for (int i = 0; i < FUZZ_COUNT; i++) {
        fuzz_labels[i] = i % FUZZ_CLASSES;
        for (int k = 0; k < FUZZ_PIXELS; k++) {
            double wave = sin(0.9 * k * (double)(fuzz_labels[i] + 1)) + sin(1.7 * i + 0.6 * k);
            fuzz_images[i * FUZZ_PIXELS + k] = (float)(0.5 + 0.24 * wave);
        }
    }
    fuzz_check(amun_tensor_view_init(&images, fuzz_images, AMUN_DTYPE_F32, 4, shape));
    fuzz_check(amun_tensor_view_init(&labels, fuzz_labels, AMUN_DTYPE_I64, 1, shape));
    return amun_dataset_open_view(data, ctx, &images, &labels, FUZZ_CLASSES, NULL, NULL);
}

static amun_status build(amun_graph *graph)
{
    amun_conv2d_options conv;
    amun_node node = 0;
    AMUN__CHECK(amun_conv2d_options_init(&conv, sizeof conv));
    conv.channels = 2;
    AMUN__CHECK(amun_graph_conv2d(&node, graph, 0, "conv", &conv));
    AMUN__CHECK(amun_graph_batchnorm(&node, graph, node, "bn", 0, 0));
    AMUN__CHECK(amun_graph_relu(&node, graph, node));
    AMUN__CHECK(amun_graph_flatten(&node, graph, node));
    return amun_graph_linear(&node, graph, node, "fc", FUZZ_CLASSES, 1);
}

amun_status fuzz_model(amun_model **model, amun_context *ctx)
{
    amun_graph *graph = NULL;
    *model = NULL;
    amun_status status = amun_graph_create(&graph, ctx, 1, FUZZ_EDGE, FUZZ_EDGE);
    status = status == AMUN_OK ? build(graph) : status;
    status = status == AMUN_OK ? amun_model_create_graph(model, ctx, graph, 1) : status;
    amun_graph_unref(graph);
    return status;
}

const char *fuzz_path(const char *name)
{
    static char slots[8][4096];
    static unsigned next;
    const char *root = getenv("AMUN_TEST_TMP");
    char *slot = slots[next++ % 8];
    snprintf(slot, sizeof slots[0], "%s/%s", root != NULL ? root : ".", FUZZ_NAME);
    mkdir(slot, 0777);
    snprintf(slot, sizeof slots[0], "%s/%s/%s", root != NULL ? root : ".", FUZZ_NAME, name);
    return slot;
}

void fuzz_put(const char *name, const void *data, size_t size)
{
    const char *path = fuzz_path(name);
    remove(path);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        abort();
    }
}

uint8_t *fuzz_get(const char *name, size_t *size)
{
    FILE *file = fopen(fuzz_path(name), "rb");
    uint8_t *data = malloc(1 << 20);
    *size = 0;
    if (file == NULL || data == NULL) {
        free(data);
        return NULL;
    }
    *size = fread(data, 1, 1 << 20, file);
    fclose(file);
    return data;
}

static int32_t stop(const amun_progress *progress, void *user_data)
{
    (void)progress;
    (void)user_data;
    return 1;
}

const amun_call_options *fuzz_stop(void)
{
    static amun_call_options call;
    fuzz_check(amun_call_options_init(&call, sizeof call));
    call.progress = stop;
    call.min_interval_ms = 0;
    return &call;
}
