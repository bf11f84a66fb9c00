/* test_objects.c - what all handles have in common: references in any order, life beyond the
 * context's last user, NULL and foreign handles everywhere. */
#include "api.h"

enum { CONTEXT, GRAPH, MODEL, DATASET, ATTACK, ADVSET, MIA, REPORT, KINDS };

typedef void *(*ref_fn)(void *);
typedef void (*unref_fn)(void *);

#define KIND(noun)                                                                                 \
    static void *ref_##noun(void *handle)                                                          \
    {                                                                                              \
        return amun_##noun##_ref(handle);                                                          \
    }                                                                                              \
    static void unref_##noun(void *handle)                                                         \
    {                                                                                              \
        amun_##noun##_unref(handle);                                                               \
    }
KIND(context)
KIND(graph)
KIND(model)
KIND(dataset)
KIND(attack)
KIND(advset)
KIND(mia)
KIND(report)

static const struct {
    const char *name;
    ref_fn ref;
    unref_fn unref;
} kinds[KINDS] = {
    [CONTEXT] = {"context", ref_context, unref_context},
    [GRAPH] = {"graph", ref_graph, unref_graph},
    [MODEL] = {"model", ref_model, unref_model},
    [DATASET] = {"dataset", ref_dataset, unref_dataset},
    [ATTACK] = {"attack", ref_attack, unref_attack},
    [ADVSET] = {"advset", ref_advset, unref_advset},
    [MIA] = {"mia", ref_mia, unref_mia},
    [REPORT] = {"report", ref_report, unref_report},
};

/* ---- one of each ----------------------------------------------------------------------------- */

static const int64_t forget[3] = {1, 5, 9};

static void make_all(void *made[KINDS], heap *h)
{
    amun_context *ctx = NULL;
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_attack *attack = NULL;
    amun_advset *set = NULL;
    amun_mia *mia = NULL;
    amun_report *report = NULL;
    amun_mia_options options;
    ck_ok(heap_context(&ctx, h));
    ck_ok(tiny_graph(&graph, ctx));
    ck_ok(amun_model_create_graph(&model, ctx, graph, 3));
    ck_ok(tiny_data(&data, ctx));
    ck_ok(amun_attack_create_search(&attack, ctx, NULL));
    ck_ok(amun_advset_load(&set, data, api_path("set"), ctx));
    ck_ok(amun_mia_options_init(&options, sizeof options));
    options.references = 2;
    ck_ok(amun_mia_create(&mia, ctx, data, data, &options));
    ck_ok(amun_report_create(&report, ctx, "tiny", "custom", 3, 2));
    void *all[KINDS] = {ctx, graph, model, data, attack, set, mia, report};
    memcpy(made, all, sizeof all);
}

/* The file that make_all() loads. */
static void save_set(void)
{
    heap h = {0};
    amun_context *ctx = NULL;
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_attack *attack = NULL;
    amun_advset *set = NULL;
    ck_ok(heap_context(&ctx, &h));
    ck_ok(tiny_model(&model, ctx, 3));
    ck_ok(tiny_data(&data, ctx));
    ck_ok(amun_attack_create_search(&attack, ctx, NULL));
    ck_ok(amun_advset_build(&set, attack, model, data, forget, 3, NULL));
    ck_ok(amun_advset_save(set, api_path("set")));
    amun_advset_unref(set);
    amun_attack_unref(attack);
    amun_dataset_unref(data);
    amun_model_unref(model);
    heap_end(ctx, &h);
}

/* ---- references ------------------------------------------------------------------------------ */

START_TEST(references_count)
{
    heap h = {0};
    void *made[KINDS];
    make_all(made, &h);
    for (int k = 0; k < KINDS; k++) {
        int64_t live = h.live;
        ck_assert_ptr_eq(kinds[k].ref(made[k]), made[k]);
        ck_assert_ptr_eq(kinds[k].ref(made[k]), made[k]);
        kinds[k].unref(made[k]);
        kinds[k].unref(made[k]);
        ck_assert_msg(h.live == live, "%s: a reference costs or frees memory", kinds[k].name);
        ck_assert_ptr_null(kinds[k].ref(NULL));
        kinds[k].unref(NULL);
    }
    for (int k = 0; k < KINDS; k++) {
        kinds[k].unref(made[k]);
    }
    heap_end(NULL, &h);
}
END_TEST

/* Context first, last, and all else shuffled. */
START_TEST(any_release_order)
{
    uint64_t state = 11;
    for (int trial = 0; trial < 150; trial++) {
        heap h = {0};
        void *made[KINDS];
        int order[KINDS];
        make_all(made, &h);
        for (int k = 0; k < KINDS; k++) {
            order[k] = trial == 1 ? KINDS - 1 - k : k;
        }
        for (int k = KINDS - 1; trial > 1 && k > 0; k--) {
            int other = (int)(api_random(&state) % (uint64_t)(k + 1)), kept = order[k];
            order[k] = order[other];
            order[other] = kept;
        }
        for (int k = 0; k < KINDS; k++) {
            kinds[order[k]].unref(made[order[k]]);
        }
        heap_end(NULL, &h);
    }
}
END_TEST

static void use(int kind, void *handle)
{
    float image[TINY_PIXELS], logits[2 * TINY_COUNT * TINY_CLASSES];
    int64_t shape[3];
    amun_node node;
    char text[256];
    amun_memory_stats stats = {.struct_size = sizeof stats};
    amun_tensor_view in = view4(tiny_images, AMUN_DTYPE_F32, 2, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view out = view2(logits, AMUN_DTYPE_F32, 2, TINY_CLASSES);
    switch (kind) {
    case CONTEXT:
        ck_ok(amun_context_get_memory(handle, &stats));
        ck_assert_uint_eq(stats.blocks, 0);
        break;
    case GRAPH: /* frozen, since a model was made from it */
        ck_fails(amun_graph_relu(&node, handle, 0), AMUN_ERROR_STATE, "model");
        break;
    case MODEL:
        ck_ok(amun_model_predict(handle, &in, &out, NULL));
        ck_ok(amun_model_shape(handle, shape));
        ck_assert_int_eq(shape[2], TINY_EDGE);
        break;
    case DATASET:
        ck_ok(amun_dataset_read(handle, TINY_COUNT - 1, 1, image));
        ck_assert_mem_eq(image, tiny_images + (TINY_COUNT - 1) * TINY_PIXELS, sizeof image);
        break;
    case ADVSET:
        ck_assert_uint_eq(amun_advset_count(handle), 3);
        ck_assert_int_eq(amun_advset_records(handle)[1].index, 5);
        ck_ok(amun_advset_image(handle, 0, image));
        break;
    case MIA:
        memset(logits, 0, sizeof logits);
        out = view2(logits, AMUN_DTYPE_F32, 2 * TINY_COUNT, TINY_CLASSES);
        ck_ok(amun_mia_set_reference(handle, 1, &out));
        ck_assert_ptr_nonnull(amun_mia_inclusion(handle));
        break;
    case REPORT:
        ck_ok(amun_report_table(handle, text, sizeof text, NULL));
        break;
    default: /* an attack alone can do nothing but exist */
        break;
    }
}

START_TEST(a_handle_lives_alone)
{
    for (int kept = 0; kept < KINDS; kept++) {
        heap h = {0};
        void *made[KINDS];
        make_all(made, &h);
        for (int k = 0; k < KINDS; k++) {
            if (k != kept) {
                kinds[k].unref(made[k]);
            }
        }
        use(kept, made[kept]);
        kinds[kept].unref(made[kept]);
        heap_end(NULL, &h);
    }
}
END_TEST

/* ---- the release callback of borrowed memory ---------------------------------------------------
 */

static void count_release(void *user_data)
{
    ++*(int *)user_data;
}

START_TEST(release_runs_once)
{
    heap h = {0};
    amun_context *ctx = NULL;
    amun_dataset *data = NULL, *part = NULL;
    int released = 0;
    ck_ok(heap_context(&ctx, &h));
    ck_ok(tiny_data(&data, ctx)); /* fills the static arrays */
    amun_dataset_unref(data);
    amun_tensor_view images = view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, 5, 5);
    amun_tensor_view labels = view1(tiny_labels, AMUN_DTYPE_I64, TINY_COUNT);
    ck_ok(amun_dataset_open_view(&data, ctx, &images, &labels, 0, count_release, &released));
    ck_ok(amun_dataset_subset(&part, data, forget, 3));
    amun_dataset_unref(data);
    ck_assert_int_eq(released, 0);
    amun_dataset_unref(part);
    ck_assert_int_eq(released, 1);

    /* also where nothing was opened */
    ck_invalid(amun_dataset_open_view(&data, ctx, NULL, &labels, 0, count_release, &released),
               "images");
    ck_assert_int_eq(released, 2);
    ck_invalid(amun_dataset_open_view(NULL, ctx, &images, &labels, 0, count_release, &released),
               "ds");
    ck_assert_int_eq(released, 3);
    ck_invalid(amun_dataset_open_view(&data, NULL, &images, &labels, 0, count_release, &released),
               "ctx");
    ck_assert_int_eq(released, 4);
    labels.shape[0] = 2;
    ck_fails(amun_dataset_open_view(&data, ctx, &images, &labels, 0, count_release, &released),
             AMUN_ERROR_SHAPE, "2");
    ck_assert_int_eq(released, 5);
    heap_end(ctx, &h);
}
END_TEST

/* ---- NULL and foreign handles ------------------------------------------------------------------
 */

/* What every call below may use. */
static struct {
    amun_context *ctx;
    amun_graph *graph;
    amun_model *model;
    amun_dataset *data;
    amun_attack *attack;
    amun_advset *set;
    amun_mia *mia;
    amun_report *report;
    amun_tensor_view images, labels, logits, adversarial;
} all;
static float logits_room[TINY_COUNT * TINY_CLASSES], adversarial_room[TINY_COUNT * TINY_PIXELS];

/* The output pointer is NULL after a failure, whatever it held. */
#define ck_no_handle(out, expr, part)                                                              \
    do {                                                                                           \
        out = (void *)&all;                                                                        \
        ck_invalid(expr, part);                                                                    \
        ck_assert_msg(out == NULL, "%s: output not NULL", #expr);                                  \
    } while (0)

static void foreign_constructors(void *bad)
{
    const char *path = api_path("set");
    amun_graph *graph;
    amun_model *model;
    amun_dataset *data;
    amun_attack *attack;
    amun_advset *set;
    amun_mia *mia;
    amun_report *report;
    ck_no_handle(graph, amun_graph_create(&graph, bad, 1, 5, 5), "ctx");
    ck_no_handle(model, amun_model_create(&model, bad, "digits", NULL), "ctx");
    ck_no_handle(model, amun_model_create_graph(&model, bad, all.graph, 0), "ctx");
    ck_no_handle(model, amun_model_create_graph(&model, all.ctx, bad, 0), "graph");
    ck_no_handle(model, amun_model_clone(&model, bad), "source");
    ck_no_handle(model, amun_model_load(&model, bad, path), "ctx");
    ck_no_handle(data, amun_dataset_open_view(&data, bad, &all.images, NULL, 0, NULL, NULL), "ctx");
    ck_no_handle(data, amun_dataset_open_cifar10(&data, bad, path, NULL), "ctx");
    ck_no_handle(data, amun_dataset_open_cifar100(&data, bad, path, NULL), "ctx");
    ck_no_handle(data, amun_dataset_open_idx(&data, bad, path, NULL), "ctx");
    ck_no_handle(data, amun_dataset_open_npy(&data, bad, path, NULL), "ctx");
    ck_no_handle(data, amun_dataset_subset(&data, bad, forget, 3), "parent");
    ck_no_handle(attack, amun_attack_create_fgsm(&attack, bad, NULL), "ctx");
    ck_no_handle(attack, amun_attack_create_ffgsm(&attack, bad, NULL), "ctx");
    ck_no_handle(attack, amun_attack_create_pgd_linf(&attack, bad, NULL), "ctx");
    ck_no_handle(attack, amun_attack_create_pgd_l2(&attack, bad, NULL), "ctx");
    ck_no_handle(attack, amun_attack_create_search(&attack, bad, NULL), "ctx");
    ck_no_handle(set, amun_advset_build(&set, bad, all.model, all.data, forget, 3, NULL), "attack");
    ck_no_handle(set, amun_advset_build(&set, all.attack, bad, all.data, forget, 3, NULL), "model");
    ck_no_handle(set, amun_advset_build(&set, all.attack, all.model, bad, forget, 3, NULL), "data");
    ck_no_handle(set, amun_advset_load(&set, bad, path, all.ctx), "data");
    ck_no_handle(set, amun_advset_load(&set, all.data, path, bad), "ctx");
    ck_no_handle(mia, amun_mia_create(&mia, bad, all.data, all.data, NULL), "ctx");
    ck_no_handle(mia, amun_mia_create(&mia, all.ctx, bad, all.data, NULL), "train");
    ck_no_handle(mia, amun_mia_create(&mia, all.ctx, all.data, bad, NULL), "test");
    ck_no_handle(report, amun_report_create(&report, bad, "d", "a", 1, 2), "ctx");
}

static void foreign_builders(void *bad)
{
    amun_node node;
    const amun_node both[2] = {0, 0};
    double one = 1.0;
#define ck_no_node(expr)                                                                           \
    do {                                                                                           \
        node = 7;                                                                                  \
        ck_invalid(expr, "graph");                                                                 \
        ck_assert_int_eq(node, -1);                                                                \
    } while (0)
    ck_no_node(amun_graph_conv2d(&node, bad, 0, "c", NULL));
    ck_no_node(amun_graph_linear(&node, bad, 0, "l", 2, 1));
    ck_no_node(amun_graph_batchnorm(&node, bad, 0, "b", 0, 0));
    ck_no_node(amun_graph_relu(&node, bad, 0));
    ck_no_node(amun_graph_add(&node, bad, 0, 0));
    ck_no_node(amun_graph_scale(&node, bad, 0, 1));
    ck_no_node(amun_graph_max_pool(&node, bad, 0, NULL));
    ck_no_node(amun_graph_avg_pool(&node, bad, 0, NULL));
    ck_no_node(amun_graph_global_pool(&node, bad, 0));
    ck_no_node(amun_graph_flatten(&node, bad, 0));
    ck_no_node(amun_graph_concat(&node, bad, both, 2));
    ck_no_node(amun_graph_normalise(&node, bad, 0, &one, &one));
}

static void foreign_methods(void *bad)
{
    const char *path = api_path("never-written");
    double number;
    uint64_t bytes;
    int64_t shape[3], labels[3];
    float values[TINY_PIXELS] = {0};
    amun_audit audit = {.struct_size = sizeof audit};
    amun_memory_stats stats = {.struct_size = sizeof stats};
    ck_invalid(amun_context_set_threads(bad, 1), "ctx");
    ck_invalid(amun_context_set_log(bad, NULL, NULL, 0), "ctx");
    ck_invalid(amun_context_set_memory_limit(bad, 0), "ctx");
    ck_invalid(amun_context_get_memory(bad, &stats), "ctx");
    ck_invalid(amun_model_reset(bad, 1), "model");
    ck_invalid(amun_model_load_weights(bad, path), "model");
    ck_invalid(amun_model_save(bad, path), "model");
    ck_invalid(amun_model_shape(bad, shape), "model");
    ck_invalid(amun_model_get_tensor(bad, "fc.bias", values, 3), "model");
    ck_invalid(amun_model_set_tensor(bad, "fc.bias", values, 3), "model");
    ck_invalid(amun_model_predict(bad, &all.images, &all.logits, NULL), "model");
    ck_invalid(amun_model_estimate_memory(bad, 1, 1, &bytes), "model");
    ck_invalid(amun_dataset_shape(bad, shape), "ds");
    ck_invalid(amun_dataset_labels(bad, 0, 1, labels), "ds");
    ck_invalid(amun_dataset_read(bad, 0, 1, values), "ds");
    ck_invalid(amun_npy_write(bad, path, &all.images), "ctx");
    ck_invalid(amun_train_run(NULL, bad, all.data, NULL, 0, NULL, NULL), "model");
    ck_invalid(amun_train_run(NULL, all.model, bad, NULL, 0, NULL, NULL), "data");
    ck_invalid(amun_model_evaluate(&number, NULL, bad, all.data, NULL, 0, NULL), "model");
    ck_invalid(amun_model_evaluate(&number, NULL, all.model, bad, NULL, 0, NULL), "data");
    ck_assert(isnan(number));
    ck_invalid(amun_attack_run(bad, all.model, &all.images, &all.labels, NULL, &all.adversarial,
                               NULL, NULL),
               "attack");
    ck_invalid(amun_attack_run(all.attack, bad, &all.images, &all.labels, NULL, &all.adversarial,
                               NULL, NULL),
               "model");
    ck_invalid(amun_advset_save(bad, path), "set");
    ck_invalid(amun_advset_image(bad, 0, values), "set");
    ck_invalid(amun_unlearn_run(NULL, bad, all.data, forget, 3, all.set, NULL, NULL), "model");
    ck_invalid(amun_unlearn_run(NULL, all.model, bad, forget, 3, all.set, NULL, NULL), "train");
    ck_invalid(amun_unlearn_run(NULL, all.model, all.data, forget, 3, bad, NULL, NULL), "set");
    ck_invalid(amun_mia_train_references(bad, all.model, NULL, NULL, NULL), "mia");
    ck_invalid(amun_mia_train_references(all.mia, bad, NULL, NULL, NULL), "like");
    ck_invalid(amun_mia_set_reference(bad, 0, &all.logits), "mia");
    ck_assert_ptr_null(amun_mia_inclusion(bad));
    ck_invalid(amun_mia_audit(&audit, bad, all.model, forget, 3, NULL), "mia");
    ck_invalid(amun_mia_audit(&audit, all.mia, bad, forget, 3, NULL), "model");
    ck_invalid(amun_report_add(bad, "m", 0, &audit, 1), "report");
    ck_invalid(amun_report_add_provenance(bad, "k", "{}"), "report");
    ck_invalid(amun_report_get(bad, "m", &audit, NULL, NULL), "report");
    ck_invalid(amun_report_table(bad, NULL, 0, NULL), "report");
    ck_invalid(amun_report_write(bad, path), "report");
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file == NULL, "a refused call wrote a file");
}

static void null_arguments(void)
{
    int64_t shape[3], index;
    uint8_t byte;
    float value;
    double number;
    amun_model *model;
    amun_dataset *data;
    amun_advset *set;
    amun_report *report;
    amun_audit audit = {.struct_size = sizeof audit};
    const amun_tensor_view *images = &all.images, *logits = &all.logits;
    ck_no_handle(model, amun_model_create(&model, all.ctx, NULL, NULL), "arch is NULL");
    ck_no_handle(model, amun_model_load(&model, all.ctx, NULL), "path is NULL");
    ck_invalid(amun_model_load_weights(all.model, NULL), "path is NULL");
    ck_invalid(amun_model_save(all.model, NULL), "path is NULL");
    ck_invalid(amun_model_shape(all.model, NULL), "shape is NULL");
    ck_invalid(amun_model_get_tensor(all.model, NULL, &value, 1), "name is NULL");
    ck_invalid(amun_model_get_tensor(all.model, "fc.bias", NULL, 3), "values is NULL");
    ck_invalid(amun_model_set_tensor(all.model, NULL, &value, 1), "name is NULL");
    ck_invalid(amun_model_set_tensor(all.model, "fc.bias", NULL, 3), "values is NULL");
    ck_invalid(amun_model_predict(all.model, NULL, logits, NULL), "images is NULL");
    ck_invalid(amun_model_predict(all.model, images, NULL, NULL), "logits is NULL");
    ck_invalid(amun_model_estimate_memory(all.model, 1, 1, NULL), "bytes is NULL");
    ck_no_handle(data, amun_dataset_open_cifar10(&data, all.ctx, NULL, NULL), "path is NULL");
    ck_no_handle(data, amun_dataset_open_cifar100(&data, all.ctx, NULL, NULL), "path is NULL");
    ck_no_handle(data, amun_dataset_open_idx(&data, all.ctx, NULL, NULL), "images is NULL");
    ck_no_handle(data, amun_dataset_open_npy(&data, all.ctx, NULL, NULL), "images is NULL");
    ck_no_handle(data, amun_dataset_subset(&data, all.data, NULL, 3), "indices is NULL");
    ck_invalid(amun_dataset_shape(all.data, NULL), "shape is NULL");
    ck_invalid(amun_dataset_labels(all.data, 0, 1, NULL), "labels is NULL");
    ck_invalid(amun_dataset_read(all.data, 0, 1, NULL), "images is NULL");
    ck_invalid(amun_forget_indices(NULL, 1, 2, 0), "indices is NULL");
    ck_invalid(amun_npy_write(all.ctx, NULL, images), "path is NULL");
    ck_invalid(amun_npy_write(all.ctx, api_path("never-written"), NULL), "view is NULL");
    ck_invalid(amun_attack_run(all.attack, all.model, NULL, &all.labels, NULL, &all.adversarial,
                               NULL, NULL),
               "images is NULL");
    ck_invalid(
        amun_attack_run(all.attack, all.model, images, NULL, NULL, &all.adversarial, NULL, NULL),
        "labels is NULL");
    ck_invalid(amun_attack_run(all.attack, all.model, images, &all.labels, NULL, NULL, NULL, NULL),
               "adversarial is NULL");
    ck_no_handle(set, amun_advset_build(&set, all.attack, all.model, all.data, NULL, 3, NULL),
                 "indices is NULL");
    ck_no_handle(set, amun_advset_load(&set, all.data, NULL, all.ctx), "path is NULL");
    ck_invalid(amun_advset_save(all.set, NULL), "path is NULL");
    ck_invalid(amun_advset_image(all.set, 0, NULL), "image is NULL");
    ck_invalid(amun_unlearn_run(NULL, all.model, all.data, NULL, 3, all.set, NULL, NULL),
               "indices is NULL");
    ck_invalid(amun_unlearn_run(NULL, all.model, all.data, forget, 3, NULL, NULL, NULL),
               "set is NULL");
    ck_invalid(amun_mia_set_reference(all.mia, 0, NULL), "logits is NULL");
    ck_invalid(amun_mia_audit(NULL, all.mia, all.model, forget, 3, NULL), "audit is NULL");
    ck_no_handle(report, amun_report_create(&report, all.ctx, NULL, "a", 1, 2), "dataset is NULL");
    ck_no_handle(report, amun_report_create(&report, all.ctx, "d", NULL, 1, 2), "arch is NULL");
    ck_invalid(amun_report_add(all.report, NULL, 0, &audit, 1), "method is NULL");
    ck_invalid(amun_report_add(all.report, "m", 0, NULL, 1), "audit is NULL");
    ck_invalid(amun_report_add_provenance(all.report, NULL, "{}"), "key is NULL");
    ck_invalid(amun_report_add_provenance(all.report, "k", NULL), "json is NULL");
    ck_invalid(amun_report_get(all.report, NULL, NULL, NULL, NULL), "method is NULL");
    ck_invalid(amun_report_table(all.report, NULL, 10, NULL), "buf is NULL");
    ck_invalid(amun_report_write(all.report, NULL), "path is NULL");
    ck_invalid(amun_context_get_memory(all.ctx, NULL), "stats is NULL");
    ck_invalid(amun_signal_compute(NULL, NULL, logits, &all.labels, NULL), "signal is NULL");
    ck_invalid(amun_signal_compute(&number, NULL, NULL, &all.labels, NULL), "logits is NULL");
    ck_invalid(amun_signal_compute(&number, NULL, logits, NULL, NULL), "labels is NULL");
    ck_invalid(amun_svc_features(&number, NULL, NULL, NULL, &all.labels), "logits is NULL");
    ck_invalid(amun_rmia_scores(NULL, &number, &number, &byte, NULL, 1, 1, NULL), "scores is NULL");
    ck_invalid(amun_rmia_scores(&number, NULL, &number, &byte, NULL, 1, 1, NULL), "target is NULL");
    ck_invalid(amun_rmia_scores(&number, &number, NULL, &byte, NULL, 1, 1, NULL),
               "references is NULL");
    ck_invalid(amun_auc_compute(NULL, &number, 1, &number, 1), "auc is NULL");
    ck_invalid(amun_auc_compute(&number, NULL, 1, &number, 1), "positives is NULL");
    ck_invalid(amun_auc_compute(&number, &number, 1, NULL, 1), "negatives is NULL");
    ck_invalid(amun_tpr_at_fpr(NULL, &number, 1, &number, 1, 0.5), "tpr is NULL");
    ck_invalid(amun_rmia_inclusion(NULL, 2, 1, 0), "included is NULL");
    ck_invalid(amun_svc_mis(NULL, &number, &number, 1, &number, 1), "mis is NULL");
    ck_invalid(amun_tensor_view_init(NULL, &index, AMUN_DTYPE_I64, 1, shape), "view is NULL");
}

static void null_outputs(void)
{
    const char *path = api_path("set");
    ck_invalid(amun_context_create(NULL, NULL), "ctx is NULL");
    ck_invalid(amun_graph_create(NULL, all.ctx, 1, 5, 5), "graph is NULL");
    ck_invalid(amun_graph_relu(NULL, all.graph, 0), "node is NULL");
    ck_invalid(amun_model_create(NULL, all.ctx, "digits", NULL), "model is NULL");
    ck_invalid(amun_model_create_graph(NULL, all.ctx, all.graph, 0), "model is NULL");
    ck_invalid(amun_model_clone(NULL, all.model), "model is NULL");
    ck_invalid(amun_model_load(NULL, all.ctx, path), "model is NULL");
    ck_invalid(amun_dataset_open_cifar10(NULL, all.ctx, path, NULL), "ds is NULL");
    ck_invalid(amun_dataset_open_cifar100(NULL, all.ctx, path, NULL), "ds is NULL");
    ck_invalid(amun_dataset_open_idx(NULL, all.ctx, path, NULL), "ds is NULL");
    ck_invalid(amun_dataset_open_npy(NULL, all.ctx, path, NULL), "ds is NULL");
    ck_invalid(amun_dataset_subset(NULL, all.data, forget, 3), "ds is NULL");
    ck_invalid(amun_attack_create_fgsm(NULL, all.ctx, NULL), "attack is NULL");
    ck_invalid(amun_attack_create_ffgsm(NULL, all.ctx, NULL), "attack is NULL");
    ck_invalid(amun_attack_create_pgd_linf(NULL, all.ctx, NULL), "attack is NULL");
    ck_invalid(amun_attack_create_pgd_l2(NULL, all.ctx, NULL), "attack is NULL");
    ck_invalid(amun_attack_create_search(NULL, all.ctx, NULL), "attack is NULL");
    ck_invalid(amun_advset_build(NULL, all.attack, all.model, all.data, forget, 3, NULL),
               "set is NULL");
    ck_invalid(amun_advset_load(NULL, all.data, path, all.ctx), "set is NULL");
    ck_invalid(amun_mia_create(NULL, all.ctx, all.data, all.data, NULL), "mia is NULL");
    ck_invalid(amun_report_create(NULL, all.ctx, "d", "a", 1, 2), "report is NULL");
}

START_TEST(null_and_foreign_handles)
{
    heap h = {0};
    void *made[KINDS];
    make_all(made, &h);
    all.ctx = made[CONTEXT];
    all.graph = made[GRAPH];
    all.model = made[MODEL];
    all.data = made[DATASET];
    all.attack = made[ATTACK];
    all.set = made[ADVSET];
    all.mia = made[MIA];
    all.report = made[REPORT];
    all.images = view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    all.labels = view1(tiny_labels, AMUN_DTYPE_I64, TINY_COUNT);
    all.logits = view2(logits_room, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    all.adversarial = view4(adversarial_room, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    tiny_values before;
    tiny_read(&before, all.model);

    foreign_constructors(NULL);
    foreign_builders(NULL);
    foreign_methods(NULL);
    null_outputs();
    null_arguments();
    /* live handles of a kind that none of these calls takes */
    foreign_constructors(all.report);
    foreign_builders(all.report);
    foreign_methods(all.graph);
    _Alignas(64) unsigned char junk[512];
    memset(junk, 0x5a, sizeof junk);
    foreign_constructors(junk);
    foreign_builders(junk);
    foreign_methods(junk);
    ck_unchanged(all.model, &before);
    for (int k = 0; k < KINDS; k++) {
        kinds[k].unref(made[k]);
    }
    heap_end(NULL, &h);
}
END_TEST

START_TEST(getters_take_null)
{
    ck_assert_int_eq(amun_context_get_threads(NULL), 1);
    ck_assert_ptr_nonnull(amun_model_arch(NULL));
    ck_assert_int_eq(amun_model_classes(NULL), 0);
    ck_assert_uint_eq(amun_model_parameters(NULL), 0);
    ck_assert_uint_eq(amun_dataset_count(NULL), 0);
    ck_assert_int_eq(amun_dataset_classes(NULL), 0);
    ck_assert_uint_eq(amun_advset_count(NULL), 0);
    ck_assert_uint_eq(amun_advset_found(NULL), 0);
    ck_assert_ptr_null(amun_advset_records(NULL));
    ck_assert_ptr_null(amun_mia_inclusion(NULL));
}
END_TEST

/* ---- messages ----------------------------------------------------------------------------------
 */

START_TEST(messages)
{
    amun_context *ctx = NULL;
    ck_invalid(amun_context_create(NULL, NULL), "ctx");
    ck_ok(amun_context_create(&ctx, NULL)); /* which forgets the message: ck_ok() looks */
    /* a path cannot bring a second line or a broken sequence into the message */
    amun_model *model = NULL;
    ck_fails(amun_model_load(&model, ctx, "/no\nsuch\rfolder/x"), AMUN_ERROR_NOT_FOUND, "folder/x");
    char path[3000] = "/nowhere/";
    for (size_t i = strlen(path); i + 3 < sizeof path; i += 2) {
        memcpy(path + i, "\xc3\xa4", 3);
    }
    amun_status status = amun_model_load(&model, ctx, path);
    ck_assert(status == AMUN_ERROR_NOT_FOUND || status == AMUN_ERROR_IO);
    size_t length = strlen(amun_last_error_message());
    ck_assert(length > 100 && length < 1024);
    const char *tail = amun_last_error_message() + length;
    ck_assert_msg((unsigned char)tail[-1] < 0x80 || (unsigned char)tail[-2] >= 0xc0,
                  "cut in the middle of a character");
    ck_assert_ptr_null(model);
    amun_context_unref(ctx);
    for (amun_status s = -12; s <= 0; s++) {
        ck_assert_str_ne(amun_status_string(s), "unknown status");
    }
    ck_assert_str_eq(amun_status_string(AMUN_ERROR_INTERNAL), "AMUN_ERROR_INTERNAL");
    ck_assert_str_eq(amun_status_string(1), "unknown status");
}
END_TEST

START_TEST(versions)
{
    uint32_t packed = AMUN_VERSION_MAJOR << 16 | AMUN_VERSION_MINOR << 8 | AMUN_VERSION_PATCH;
    ck_assert_uint_eq(amun_version(), packed);
    ck_assert_str_eq(amun_version_string(), AMUN_VERSION_STRING);
    ck_assert_uint_eq(amun_abi_version(), AMUN_ABI_MAJOR * 65536 + AMUN_ABI_MINOR);
    ck_assert_ptr_nonnull(strstr(amun_build_info_json(), AMUN_VERSION_STRING));
    ck_assert(AMUN_VERSION_AT_LEAST(0, 1, 0) && !AMUN_VERSION_AT_LEAST(99, 0, 0));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("objects");
    tcase_add_unchecked_fixture(tc, save_set, NULL);
    tcase_add_test(tc, references_count);
    tcase_add_test(tc, any_release_order);
    tcase_add_test(tc, a_handle_lives_alone);
    tcase_add_test(tc, release_runs_once);
    tcase_add_test(tc, null_and_foreign_handles);
    tcase_add_test(tc, getters_take_null);
    tcase_add_test(tc, messages);
    tcase_add_test(tc, versions);
    return api_main("objects", (TCase *[]){tc, NULL});
}
