/* test_bad_sets.c - forget sets, training sets and samples: empty, repeated, outside, all of them;
 * batches and sets of one; losses that run away. What is refused leaves no trace. */
#include <float.h>

#include "api.h"

static struct {
    heap memory;
    amun_context *ctx;
    amun_model *model;
    amun_dataset *data;
    amun_attack *attack;
    amun_advset *set;
    amun_mia *mia;
    amun_train_options train;
    amun_unlearn_options unlearn;
    tiny_values before;
} f;
static const int64_t forget[3] = {4, 1, 8};

static void set_up(void)
{
    amun_mia_options options;
    static float zeros[2 * TINY_COUNT * TINY_CLASSES];
    memset(&f, 0, sizeof f);
    ck_ok(heap_context(&f.ctx, &f.memory));
    ck_ok(tiny_model(&f.model, f.ctx, 1));
    ck_ok(tiny_data(&f.data, f.ctx));
    ck_ok(amun_attack_create_search(&f.attack, f.ctx, NULL));
    ck_ok(amun_advset_build(&f.set, f.attack, f.model, f.data, forget, 3, NULL));
    ck_ok(amun_mia_options_init(&options, sizeof options));
    options.references = 2;
    ck_ok(amun_mia_create(&f.mia, f.ctx, f.data, f.data, &options));
    amun_tensor_view logits = view2(zeros, AMUN_DTYPE_F32, 2 * TINY_COUNT, TINY_CLASSES);
    ck_ok(amun_mia_set_reference(f.mia, 0, &logits));
    ck_ok(amun_mia_set_reference(f.mia, 1, &logits));
    f.train = tiny_train(1);
    ck_ok(amun_unlearn_options_init(&f.unlearn, sizeof f.unlearn));
    f.unlearn.train = &f.train;
    tiny_read(&f.before, f.model);
}

static void tear_down(void)
{
    amun_mia_unref(f.mia);
    amun_advset_unref(f.set);
    amun_attack_unref(f.attack);
    amun_dataset_unref(f.data);
    amun_model_unref(f.model);
    heap_end(f.ctx, &f.memory);
}

/* ---- lists of indices
 * ---------------------------------------------------------------------------- */

typedef amun_status (*list_fn)(const int64_t *indices, size_t count);

static amun_status list_subset(const int64_t *indices, size_t count)
{
    amun_dataset *part = (void *)&f;
    amun_status status = amun_dataset_subset(&part, f.data, indices, count);
    ck_assert((status == AMUN_OK) == (part != NULL));
    amun_dataset_unref(part);
    return status;
}
static amun_status list_train(const int64_t *indices, size_t count)
{
    return amun_train_run(NULL, f.model, f.data, indices, count, &f.train, NULL);
}
static amun_status list_evaluate(const int64_t *indices, size_t count)
{
    double accuracy = 1, loss = 1;
    amun_status status =
        amun_model_evaluate(&accuracy, &loss, f.model, f.data, indices, count, NULL);
    ck_assert((status == AMUN_OK) == !isnan(accuracy) && isnan(accuracy) == isnan(loss));
    return status;
}
static amun_status list_advset(const int64_t *indices, size_t count)
{
    amun_advset *set = (void *)&f;
    amun_status status = amun_advset_build(&set, f.attack, f.model, f.data, indices, count, NULL);
    ck_assert((status == AMUN_OK) == (set != NULL));
    amun_advset_unref(set);
    return status;
}
static amun_status list_unlearn(const int64_t *indices, size_t count)
{
    amun_unlearn_result result = {.struct_size = sizeof result};
    return amun_unlearn_run(&result, f.model, f.data, indices, count, f.set, &f.unlearn, NULL);
}
static amun_status list_retrain(const int64_t *indices, size_t count)
{
    amun_unlearn_options options = f.unlearn;
    options.method = AMUN_UNLEARN_RETRAIN;
    return amun_unlearn_run(NULL, f.model, f.data, indices, count, NULL, &options, NULL);
}
static amun_status list_audit(const int64_t *indices, size_t count)
{
    amun_audit audit = {.struct_size = sizeof audit};
    return amun_mia_audit(&audit, f.mia, f.model, indices, count, NULL);
}

static const list_fn lists[] = {list_subset,  list_train,   list_evaluate, list_advset,
                                list_unlearn, list_retrain, list_audit};
enum { LISTS = sizeof lists / sizeof lists[0] };

START_TEST(indices)
{
    list_fn use = lists[_i];
    int64_t bad[3] = {0, 12, 5};
    ck_invalid(use(bad, 3), "index 12 at position 1");
    bad[1] = -1;
    ck_invalid(use(bad, 3), "index -1 at position 1");
    bad[1] = INT64_MAX;
    ck_invalid(use(bad, 3), "9223372036854775807");
    bad[1] = INT64_MIN;
    ck_invalid(use(bad, 3), "-9223372036854775808");
    bad[1] = 3;
    bad[2] = 0;
    ck_invalid(use(bad, 3), "index 0 at position 2 is repeated");
    ck_invalid(use(bad, 0), "no index");
    if (use != list_train && use != list_evaluate) { /* where NULL and 0 mean all */
        ck_invalid(use(NULL, 0), "no index");
        ck_invalid(use(NULL, 3), "NULL");
    } else {
        ck_invalid(use(NULL, 3), "3");
    }
    ck_unchanged(f.model, &f.before);
}
END_TEST

START_TEST(all_to_forget)
{
    int64_t everything[TINY_COUNT];
    for (int64_t i = 0; i < TINY_COUNT; i++) {
        everything[i] = i;
    }
    ck_invalid(list_unlearn(everything, TINY_COUNT), "12");
    ck_invalid(list_retrain(everything, TINY_COUNT), "12");
    ck_invalid(list_audit(everything, TINY_COUNT), "12");
    ck_unchanged(f.model, &f.before);
    int64_t seeds[4];
    ck_invalid(amun_forget_indices(seeds, 0, 10, 1), "0");
    ck_invalid(amun_forget_indices(seeds, 4, 3, 1), "4");
}
END_TEST

/* ---- adversarial sets that do not fit
 * ---------------------------------------------------------------- */

START_TEST(foreign_sets)
{
    static const int64_t others[3] = {4, 1, 9}, fewer[2] = {4, 1}, more[4] = {4, 1, 8, 2};
    ck_invalid(list_unlearn(others, 3), "8"); /* has a record, is not to be forgotten */
    ck_invalid(list_unlearn(fewer, 2), "8");
    ck_invalid(list_unlearn(more, 4), "2"); /* is to be forgotten, has no record */
    /* the same indices of other images */
    amun_dataset *mirrored = NULL;
    amun_tensor_view images =
        view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view labels = view1(tiny_labels, AMUN_DTYPE_I64, TINY_COUNT);
    images.data = tiny_images + TINY_EDGE - 1;
    images.strides[3] = -4;
    ck_ok(amun_dataset_open_view(&mirrored, f.ctx, &images, &labels, 0, NULL, NULL));
    ck_invalid(amun_unlearn_run(NULL, f.model, mirrored, forget, 3, f.set, &f.unlearn, NULL),
               "image 4");
    amun_dataset_unref(mirrored);
    ck_unchanged(f.model, &f.before);
    float image[TINY_PIXELS];
    ck_invalid(amun_advset_image(f.set, 3, image), "3");

    /* a search that finds nothing gives a set without examples, and nothing to unlearn with */
    amun_search_options options;
    amun_attack *weak = NULL;
    amun_advset *empty = NULL;
    ck_ok(amun_search_options_init(&options, sizeof options));
    options.steps = 1;
    options.eps0 = options.eps_max = 1e-9;
    ck_ok(amun_attack_create_search(&weak, f.ctx, &options));
    amun_model *sure = NULL; /* right about all samples, so that none is flipped already */
    amun_train_options train = tiny_train(40);
    ck_ok(tiny_model(&sure, f.ctx, 1));
    ck_ok(amun_train_run(NULL, sure, f.data, NULL, 0, &train, NULL));
    ck_ok(amun_advset_build(&empty, weak, sure, f.data, forget, 3, NULL));
    ck_assert_uint_eq(amun_advset_count(empty), 3);
    ck_assert_uint_eq(amun_advset_found(empty), 0);
    ck_fails(amun_advset_image(empty, 0, image), AMUN_ERROR_NOT_FOUND, "0");
    ck_fails(amun_unlearn_run(NULL, f.model, f.data, forget, 3, empty, &f.unlearn, NULL),
             AMUN_ERROR_NUMERIC, "3");
    ck_unchanged(f.model, &f.before);
    amun_advset_unref(empty);
    amun_attack_unref(weak);
    options.on_failure = AMUN_FAILURE_ERROR;
    ck_ok(amun_attack_create_search(&weak, f.ctx, &options));
    empty = (void *)&f;
    ck_fails(amun_advset_build(&empty, weak, sure, f.data, forget, 3, NULL), AMUN_ERROR_NUMERIC,
             "sample 4");
    ck_assert_ptr_null(empty);
    amun_attack_unref(weak);
    amun_model_unref(sure);
}
END_TEST

/* ---- data that does not fit the model
 * ------------------------------------------------------------------ */

START_TEST(foreign_data)
{
    static float room[TINY_COUNT * 36];
    int64_t labels[TINY_COUNT] = {0, 1, 2, 0, 1, 7};
    amun_tensor_view large = view4(room, AMUN_DTYPE_F32, TINY_COUNT, 1, 6, 6);
    amun_tensor_view images =
        view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view numbers = view1(labels, AMUN_DTYPE_I64, TINY_COUNT);
    amun_tensor_view right = view1(tiny_labels, AMUN_DTYPE_I64, TINY_COUNT);
    amun_dataset *wide = NULL, *many = NULL, *bare = NULL;
    amun_advset *set = NULL;
    amun_mia *mia = NULL;
    double accuracy;
    ck_ok(amun_dataset_open_view(&wide, f.ctx, &large, &right, 0, NULL, NULL));
    ck_ok(amun_dataset_open_view(&many, f.ctx, &images, &numbers, 0, NULL, NULL));
    ck_ok(amun_dataset_open_view(&bare, f.ctx, &images, NULL, 0, NULL, NULL));
    ck_assert_int_eq(amun_dataset_classes(many), 8);

    ck_fails(amun_train_run(NULL, f.model, wide, NULL, 0, &f.train, NULL), AMUN_ERROR_SHAPE,
             "1x6x6");
    ck_fails(amun_model_evaluate(&accuracy, NULL, f.model, wide, NULL, 0, NULL), AMUN_ERROR_SHAPE,
             "1x6x6");
    ck_fails(amun_advset_build(&set, f.attack, f.model, wide, forget, 3, NULL), AMUN_ERROR_SHAPE,
             "6 x 6");
    ck_fails(amun_unlearn_run(NULL, f.model, wide, forget, 3, f.set, &f.unlearn, NULL),
             AMUN_ERROR_SHAPE, "1x6x6");
    ck_fails(amun_mia_create(&mia, f.ctx, f.data, wide, NULL), AMUN_ERROR_SHAPE, "1x6x6");

    ck_invalid(amun_train_run(NULL, f.model, many, NULL, 0, &f.train, NULL), "7");
    ck_invalid(amun_model_evaluate(&accuracy, NULL, f.model, many, NULL, 0, NULL),
               "label 7 of image 5");
    static const int64_t seventh[1] = {5};
    ck_invalid(amun_advset_build(&set, f.attack, f.model, many, seventh, 1, NULL),
               "sample 5: label 7");
    ck_assert_ptr_null(set);
    ck_ok(amun_mia_create(&mia, f.ctx, f.data, many, NULL));
    ck_fails(amun_mia_train_references(mia, f.model, &f.train, NULL, NULL), AMUN_ERROR_SHAPE, "7");
    amun_audit audit = {.struct_size = sizeof audit};
    ck_fails(amun_mia_audit(&audit, mia, f.model, forget, 3, NULL), AMUN_ERROR_SHAPE, "7");
    amun_mia_unref(mia);

    ck_fails(amun_train_run(NULL, f.model, bare, NULL, 0, &f.train, NULL), AMUN_ERROR_STATE,
             "labels");
    ck_fails(amun_model_evaluate(&accuracy, NULL, f.model, bare, NULL, 0, NULL), AMUN_ERROR_STATE,
             "labels");
    ck_invalid(amun_advset_build(&set, f.attack, f.model, bare, forget, 3, NULL), "labels");
    ck_fails(amun_unlearn_run(NULL, f.model, bare, forget, 3, f.set, &f.unlearn, NULL),
             AMUN_ERROR_STATE, "labels");
    ck_invalid(amun_mia_create(&mia, f.ctx, f.data, bare, NULL), "labels");
    ck_assert_ptr_null(mia);
    ck_unchanged(f.model, &f.before);
    amun_dataset_unref(wide);
    amun_dataset_unref(many);
    amun_dataset_unref(bare);
}
END_TEST

START_TEST(references)
{
    static float zeros[3 * TINY_COUNT * TINY_CLASSES];
    amun_mia *mia = NULL;
    amun_audit audit = {.struct_size = sizeof audit};
    ck_ok(amun_mia_create(&mia, f.ctx, f.data, f.data, NULL));
    ck_fails(amun_mia_audit(&audit, mia, f.model, forget, 3, NULL), AMUN_ERROR_STATE,
             "reference 0 of 16");
    amun_tensor_view logits = view2(zeros, AMUN_DTYPE_F32, 2 * TINY_COUNT, TINY_CLASSES);
    ck_invalid(amun_mia_set_reference(mia, 16, &logits), "16");
    ck_invalid(amun_mia_set_reference(mia, -1, &logits), "-1");
    ck_ok(amun_mia_set_reference(mia, 0, &logits));
    ck_fails(amun_mia_audit(&audit, mia, f.model, forget, 3, NULL), AMUN_ERROR_STATE,
             "reference 1 of 16");
    logits.shape[0] = TINY_COUNT;
    ck_fails(amun_mia_set_reference(mia, 0, &logits), AMUN_ERROR_SHAPE, "12");
    logits = view2(zeros, AMUN_DTYPE_F32, 2 * TINY_COUNT, 2);
    ck_invalid(amun_mia_set_reference(mia, 0, &logits), "2");
    logits = view2(zeros, AMUN_DTYPE_F32, 2 * TINY_COUNT, TINY_CLASSES);
    zeros[4] = NAN;
    ck_fails(amun_mia_set_reference(mia, 0, &logits), AMUN_ERROR_NUMERIC, "nan");
    zeros[4] = 0;
    amun_mia_unref(mia);

    double score[2] = {0.5, NAN}, out = 1;
    uint8_t bits[4];
    ck_invalid(amun_auc_compute(&out, score, 0, score, 1), "positives");
    ck_invalid(amun_auc_compute(&out, score, 1, score, 0), "negatives");
    ck_fails(amun_auc_compute(&out, score, 1, score, 2), AMUN_ERROR_NUMERIC, "1");
    ck_invalid(amun_tpr_at_fpr(&out, score, 1, score, 1, 1.5), "1.5");
    ck_invalid(amun_tpr_at_fpr(&out, score, 1, score, 1, (double)NAN), "nan");
    ck_invalid(amun_rmia_inclusion(bits, 3, 1, 0), "3");
    ck_invalid(amun_rmia_inclusion(bits, 0, 1, 0), "0");
    ck_fails(amun_rmia_scores(&out, score + 1, score, NULL, NULL, 1, 1, NULL), AMUN_ERROR_NUMERIC,
             "nan");
    ck_fails(amun_rmia_scores(&out, score, score + 1, NULL, NULL, 1, 1, NULL), AMUN_ERROR_NUMERIC,
             "nan");
    ck_invalid(amun_rmia_scores(&out, score, score, NULL, NULL, 0, 1, NULL), "0 models");
    amun_status status = amun_svc_mis(&out, score, score, 0, score, 1);
    if (status != AMUN_ERROR_UNSUPPORTED) {
        ck_invalid(amun_svc_mis(&out, score, score, 0, score, 1), "members");
        ck_fails(amun_svc_mis(&out, score, score + 1, 1, score, 1), AMUN_ERROR_NUMERIC, "nan");
    }
}
END_TEST

/* ---- runs that go wrong
 * --------------------------------------------------------------------------------- */

START_TEST(runaway_loss)
{
    amun_train_options options = tiny_train(30);
    amun_train_result result = {.struct_size = sizeof result};
    options.lr = 1000;
    options.weight_decay = 1;
    ck_fails(amun_train_run(&result, f.model, f.data, NULL, 0, &options, NULL), AMUN_ERROR_NUMERIC,
             "epoch");
    ck_assert(isnan(result.loss));
    ck_unchanged(f.model, &f.before);
    f.unlearn.train = &options;
    ck_fails(list_unlearn(forget, 3), AMUN_ERROR_NUMERIC, "epoch");
    ck_unchanged(f.model, &f.before);
    /* weights that are finite, with logits that are not */
    float huge[TINY_FC];
    for (size_t i = 0; i < TINY_FC; i++) {
        huge[i] = FLT_MAX;
    }
    amun_model *wild = NULL;
    double accuracy;
    ck_ok(amun_model_clone(&wild, f.model));
    ck_ok(amun_model_set_tensor(wild, "fc.weight", huge, TINY_FC));
    ck_fails(amun_model_evaluate(&accuracy, NULL, wild, f.data, NULL, 0, NULL), AMUN_ERROR_NUMERIC,
             "image 0");
    ck_assert(isnan(accuracy));
    amun_audit audit = {.struct_size = sizeof audit};
    ck_fails(amun_mia_audit(&audit, f.mia, wild, forget, 3, NULL), AMUN_ERROR_NUMERIC, "image 0");
    amun_advset *set = NULL;
    ck_ok(amun_advset_build(&set, f.attack, wild, f.data, forget, 3, NULL));
    ck_assert_uint_eq(amun_advset_found(set), 0);
    ck_assert_int_eq(amun_advset_records(set)[0].outcome, AMUN_ATTACK_FAILED_NUMERIC);
    amun_advset_unref(set);
    amun_model_unref(wild);
}
END_TEST

static int32_t stop(const amun_progress *progress, void *user_data)
{
    int *left = user_data;
    ck_assert_uint_ge(progress->struct_size, sizeof *progress);
    return (*left)-- == 0;
}

START_TEST(cancelled)
{
    amun_call_options call;
    amun_train_options options = tiny_train(3);
    ck_ok(amun_call_options_init(&call, sizeof call));
    call.progress = stop;
    call.min_interval_ms = 0;
    for (int steps = 0; steps < 8; steps += 3) {
        int left = steps;
        call.user_data = &left;
        f.unlearn.train = &options;
        ck_fails(amun_unlearn_run(NULL, f.model, f.data, forget, 3, f.set, &f.unlearn, &call),
                 AMUN_ERROR_CANCELLED, "step");
        ck_unchanged(f.model, &f.before);
    }
    int left = 0;
    amun_advset *set = (void *)&f;
    double accuracy;
    call.user_data = &left;
    ck_fails(amun_advset_build(&set, f.attack, f.model, f.data, forget, 3, &call),
             AMUN_ERROR_CANCELLED, "attack");
    ck_assert_ptr_null(set);
    left = 0;
    ck_fails(amun_model_evaluate(&accuracy, NULL, f.model, f.data, NULL, 0, &call),
             AMUN_ERROR_CANCELLED, "evaluate");
    left = 0;
    amun_audit audit = {.struct_size = sizeof audit};
    ck_fails(amun_mia_audit(&audit, f.mia, f.model, forget, 3, &call), AMUN_ERROR_CANCELLED,
             "audit");
    left = 2;
    ck_fails(amun_mia_train_references(f.mia, f.model, &options, NULL, &call), AMUN_ERROR_CANCELLED,
             "reference");
    left = 0;
    ck_fails(amun_train_run(NULL, f.model, f.data, NULL, 0, &options, &call), AMUN_ERROR_CANCELLED,
             "train");
}
END_TEST

/* ---- one of everything
 * ------------------------------------------------------------------------------------ */

START_TEST(batches_of_one)
{
    /* row i alone is row i of the batch, beyond rounding */
    float whole[TINY_COUNT * TINY_CLASSES], alone[TINY_CLASSES];
    amun_tensor_view images =
        view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view logits = view2(whole, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    ck_ok(amun_model_predict(f.model, &images, &logits, NULL));
    for (size_t i = 0; i < TINY_COUNT; i++) {
        amun_tensor_view one =
            view4(tiny_images + i * TINY_PIXELS, AMUN_DTYPE_F32, 1, 1, TINY_EDGE, TINY_EDGE);
        amun_tensor_view out = view2(alone, AMUN_DTYPE_F32, 1, TINY_CLASSES);
        ck_ok(amun_model_predict(f.model, &one, &out, NULL));
        for (size_t c = 0; c < TINY_CLASSES; c++) {
            ck_assert(fabsf(alone[c] - whole[i * TINY_CLASSES + c]) < 1e-5f);
        }
    }
    /* sets of one, and a last batch of one (9 = 2 * 4 + 1) */
    static const int64_t nine[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const int64_t one[1] = {4};
    amun_advset *set = NULL;
    amun_train_result result = {.struct_size = sizeof result};
    ck_ok(list_evaluate(one, 1));
    ck_ok(list_audit(one, 1));
    ck_ok(list_subset(one, 1));
    ck_ok(amun_advset_build(&set, f.attack, f.model, f.data, one, 1, NULL));
    ck_assert_uint_eq(amun_advset_count(set), 1);
    ck_ok(amun_unlearn_run(NULL, f.model, f.data, one, 1, set, &f.unlearn, NULL));
    f.unlearn.remain = 0;
    ck_ok(amun_unlearn_run(NULL, f.model, f.data, one, 1, set, &f.unlearn, NULL));
    amun_advset_unref(set);
    ck_ok(list_train(nine, 9));
    ck_ok(list_train(one, 1));
    f.train.batch = 1;
    ck_ok(amun_train_run(&result, f.model, f.data, NULL, 0, &f.train, NULL));
    ck_assert_int_eq(result.samples, TINY_COUNT);
    ck_assert(isfinite(result.loss));
    tiny_values now;
    tiny_read(&now, f.model);
    for (size_t i = 0; i < sizeof now / sizeof(float); i++) {
        ck_assert(isfinite(((const float *)&now)[i]));
    }
}
END_TEST

/* Batch norm after which one value per channel is left has no variance in a batch of one. */
START_TEST(one_value_per_channel)
{
    amun_graph *graph = NULL;
    amun_model *model = NULL;
    amun_node node;
    ck_ok(amun_graph_create(&graph, f.ctx, 1, TINY_EDGE, TINY_EDGE));
    ck_ok(amun_graph_flatten(&node, graph, 0));
    ck_ok(amun_graph_linear(&node, graph, node, "a", 4, 1));
    ck_ok(amun_graph_batchnorm(&node, graph, node, "bn", 0, 0));
    ck_ok(amun_graph_linear(&node, graph, node, "b", TINY_CLASSES, 1));
    ck_ok(amun_model_create_graph(&model, f.ctx, graph, 1));
    f.train.batch = 1;
    amun_status status = amun_train_run(NULL, model, f.data, NULL, 0, &f.train, NULL);
    /* whatever it is, no NaN comes out of it unnoticed */
    float values[4];
    static const char *const names[] = {"bn.running_mean", "bn.running_var", "bn.weight"};
    for (size_t i = 0; i < 3; i++) {
        amun_status got = amun_model_get_tensor(model, names[i], values, 4);
        ck_assert(got == AMUN_OK);
        for (size_t k = 0; k < 4; k++) {
            ck_assert_msg(isfinite(values[k]), "%s is %g after %s", names[i], (double)values[k],
                          amun_status_string(status));
        }
    }
    amun_model_unref(model);
    amun_graph_unref(graph);
}
END_TEST

START_TEST(too_little_memory)
{
    amun_memory_stats stats = {.struct_size = sizeof stats};
    amun_model *model = NULL;
    ck_ok(amun_context_get_memory(f.ctx, &stats));
    ck_ok(amun_context_set_memory_limit(f.ctx, stats.current + 100));
    char limit[32];
    snprintf(limit, sizeof limit, "%llu", (unsigned long long)stats.current + 100);
    ck_fails(list_train(NULL, 0), AMUN_ERROR_OUT_OF_MEMORY, limit);
    ck_fails(list_unlearn(forget, 3), AMUN_ERROR_OUT_OF_MEMORY, limit);
    ck_fails(list_advset(forget, 3), AMUN_ERROR_OUT_OF_MEMORY, limit);
    ck_fails(amun_model_create(&model, f.ctx, "resnet18", NULL), AMUN_ERROR_OUT_OF_MEMORY, limit);
    ck_assert_ptr_null(model);
    ck_unchanged(f.model, &f.before);
    ck_ok(amun_context_set_memory_limit(f.ctx, 0));
    ck_ok(list_train(NULL, 0));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("sets");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, indices, 0, LISTS);
    tcase_add_test(tc, all_to_forget);
    tcase_add_test(tc, foreign_sets);
    tcase_add_test(tc, foreign_data);
    tcase_add_test(tc, references);
    tcase_add_test(tc, runaway_loss);
    tcase_add_test(tc, cancelled);
    tcase_add_test(tc, batches_of_one);
    tcase_add_test(tc, one_value_per_channel);
    tcase_add_test(tc, too_little_memory);
    return api_main("bad_sets", (TCase *[]){tc, NULL});
}
