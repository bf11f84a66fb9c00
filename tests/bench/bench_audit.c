/* bench_audit.c - what an audit costs at the published size: which models train on what, RMIA
 * scores from signals, and a whole audit of a model whose references are there. One JSON object.
 *
 *   bench_audit KEY VALUE ...
 *     train N, test N    images of the pool, default 50000 and 10000
 *     references N       default 128
 *     classes N          default 10
 *     repetitions N      of the scores, default 5
 *     audit 0 | 1        the audit too, default 1
 *     threads N          default 0: the runtime's
 *
 * Signals and logits are random; the audited model is one dense layer on 2x2 images, so that its
 * forward passes do not count. Memory is what goes through the context.
 */
#include "bench.h"

#include <stdlib.h>
#include <time.h>

#include "amun/dataset.h"
#include "amun/mia.h"
#include "amun/model.h"

enum { SIDE = 2, PIXELS = SIDE * SIDE };

static const char *const keys[] = {"train",       "test",  "references", "classes",
                                   "repetitions", "audit", "threads",    NULL};

typedef struct sizes {
    size_t train, test, pool, references, classes, repetitions;
} sizes;

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static uint64_t peak_of(const amun_context *ctx)
{
    amun_memory_stats stats = {.struct_size = sizeof stats};
    bench_must(amun_context_get_memory(ctx, &stats), "memory");
    return stats.peak;
}

static uint64_t current_of(const amun_context *ctx)
{
    amun_memory_stats stats = {.struct_size = sizeof stats};
    bench_must(amun_context_get_memory(ctx, &stats), "memory");
    return stats.current;
}

/* ---- scores from signals --------------------------------------------------------------------- */

static void print_scores(const char *name, const sizes *n, const double *target,
                         const double *references, const uint8_t *included, double *scores,
                         const amun_rmia_options *o)
{
    double *times = bench_memory(n->repetitions, sizeof *times);
    for (size_t i = 0; i < n->repetitions; i++) {
        const double began = amun__now();
        bench_must(
            amun_rmia_scores(scores, target, references, included, NULL, n->references, n->pool, o),
            "scores");
        times[i] = amun__now() - began;
    }
    const bench_spread s = bench_spread_of(times, n->repetitions);
    (void)printf("\"%s_s_min\": %.3f, \"%s_s_median\": %.3f, ", name, s.min, name, s.median);
    free(times);
}

static void scores(const sizes *n)
{
    const size_t cells = n->references * n->pool;
    double *references = bench_memory(cells, sizeof *references);
    double *target = bench_memory(n->pool, sizeof *target);
    double *out = bench_memory(n->pool, sizeof *out);
    uint8_t *included = bench_memory(cells, 1);
    amun__rng rng;
    amun__rng_open(&rng, 1, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < cells; i++) {
        references[i] = 0.05 + amun__rng_uniform(&rng);
    }
    for (size_t i = 0; i < n->pool; i++) {
        target[i] = amun__rng_uniform(&rng);
    }
    const double began = amun__now();
    bench_must(amun_rmia_inclusion(included, n->references, n->pool, 0), "inclusion");
    (void)printf("\"inclusion_s\": %.3f, ", amun__now() - began);
    amun_rmia_options o;
    bench_must(amun_rmia_options_init(&o, sizeof o), "options");
    print_scores("online", n, target, references, included, out, &o);
    o.mode = AMUN_RMIA_OFFLINE;
    o.trim = 0.2;
    print_scores("offline_trimmed", n, target, references, included, out, &o);
    free(references);
    free(target);
    free(out);
    free(included);
}

/* ---- a whole audit --------------------------------------------------------------------------- */

static amun_dataset *random_data(amun_context *ctx, size_t count, size_t classes, uint64_t seed)
{
    const int64_t shape[4] = {(int64_t)count, 1, SIDE, SIDE};
    float *images = bench_memory(count * PIXELS, sizeof *images);
    int64_t *labels = bench_memory(count, sizeof *labels);
    amun__rng rng;
    amun__rng_open(&rng, seed, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < count; i++) {
        labels[i] = (int64_t)(i % classes);
        for (size_t k = 0; k < PIXELS; k++) {
            images[i * PIXELS + k] = (float)amun__rng_uniform(&rng);
        }
    }
    amun_tensor_view image_view, label_view;
    amun_dataset *data = NULL;
    bench_must(amun_tensor_view_init(&image_view, images, AMUN_DTYPE_F32, 4, shape), "images");
    bench_must(amun_tensor_view_init(&label_view, labels, AMUN_DTYPE_I64, 1, shape), "labels");
    bench_must(
        amun_dataset_open_view(&data, ctx, &image_view, &label_view, (int64_t)classes, NULL, NULL),
        "data"); /* borrows: the arrays live as long as the process */
    return data;
}

static amun_model *dense_model(amun_context *ctx, size_t classes)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node = 0;
    bench_must(amun_graph_create(&graph, ctx, 1, SIDE, SIDE), "graph");
    bench_must(amun_graph_flatten(&node, graph, node), "graph");
    bench_must(amun_graph_linear(&node, graph, node, "fc", (int64_t)classes, 1), "graph");
    bench_must(amun_model_create_graph(&model, ctx, graph, 1), "model");
    amun_graph_unref(graph);
    return model;
}

static void fill_references(amun_mia *mia, const sizes *n)
{
    const int64_t shape[2] = {(int64_t)n->pool, (int64_t)n->classes};
    float *logits = bench_memory(n->pool * n->classes, sizeof *logits);
    amun_tensor_view view;
    bench_must(amun_tensor_view_init(&view, logits, AMUN_DTYPE_F32, 2, shape), "logits");
    for (size_t m = 0; m < n->references; m++) {
        amun__rng rng;
        amun__rng_open(&rng, 2, AMUN__RNG_TEST, 0, m);
        for (size_t i = 0; i < n->pool * n->classes; i++) {
            logits[i] = (float)(4.0 * amun__rng_uniform(&rng));
        }
        bench_must(amun_mia_set_reference(mia, (int32_t)m, &view), "reference");
    }
    free(logits);
}

static void audit(amun_context *ctx, const sizes *n)
{
    amun_dataset *train = random_data(ctx, n->train, n->classes, 3);
    amun_dataset *test = random_data(ctx, n->test, n->classes, 4);
    amun_model *model = dense_model(ctx, n->classes);
    amun_mia *mia = NULL;
    amun_mia_options o;
    amun_audit result = {.struct_size = sizeof result};
    const size_t forget = n->train / 10;
    int64_t *indices = bench_memory(forget, sizeof *indices);
    for (size_t i = 0; i < forget; i++) {
        indices[i] = (int64_t)i;
    }
    bench_must(amun_mia_options_init(&o, sizeof o), "options");
    o.references = (int32_t)n->references;
    const uint64_t before = current_of(ctx);
    bench_must(amun_mia_create(&mia, ctx, train, test, &o), "audit");
    const uint64_t held = current_of(ctx), created = peak_of(ctx);
    fill_references(mia, n);
    const double began = amun__now(), cpu = cpu_seconds();
    bench_must(amun_mia_audit(&result, mia, model, indices, forget, NULL), "audit");
    (void)printf("\"audit_s\": %.3f, \"audit_cpu_s\": %.3f, \"handle_mib\": %.1f, "
                 "\"peak_of_create_mib\": %.1f, \"peak_mib\": %.1f, ",
                 amun__now() - began, cpu_seconds() - cpu, (double)(held - before) / 0x1p20,
                 (double)(created - before) / 0x1p20, (double)(peak_of(ctx) - before) / 0x1p20);
    free(indices);
    amun_mia_unref(mia);
    amun_model_unref(model);
    amun_dataset_unref(train);
    amun_dataset_unref(test);
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    bench_args_check(&args, keys);
    sizes n = {.train = (size_t)bench_number(&args, "train", 50000, 10, 10000000),
               .test = (size_t)bench_number(&args, "test", 10000, 10, 10000000),
               .references = (size_t)bench_number(&args, "references", 128, 2, 4096),
               .classes = (size_t)bench_number(&args, "classes", 10, 2, 1000),
               .repetitions =
                   (size_t)bench_number(&args, "repetitions", 5, 1, BENCH_MAX_REPETITIONS)};
    n.pool = n.train + n.test;
    amun_context *ctx = NULL;
    bench_must(amun_context_create(&ctx, NULL), "context");
    bench_must(amun_context_set_threads(ctx, (int32_t)bench_number(&args, "threads", 0, 0, 1024)),
               "threads");
    const bench_probe probe = bench_probe_run(2);
    (void)printf("{\"bench\": \"audit\", \"pool\": %zu, \"references\": %zu, \"threads\": %d, ",
                 n.pool, n.references, (int)amun_context_get_threads(ctx));
    scores(&n);
    if (bench_number(&args, "audit", 1, 0, 1) != 0) {
        audit(ctx, &n);
    }
    bench_probe_print(stdout, "probe_before", probe);
    (void)printf("}\n");
    amun_context_unref(ctx);
    return 0;
}
