/* test_oom.c - the n-th allocation fails, for n = 1, 2, 3 and so on until a scenario passes: the
 * status is OUT_OF_MEMORY, with a message, nothing is leaked, nothing crashes, and no file is left
 * half written. Each scenario runs twice per n: with one failure, and with all later ones failing
 * too, as when memory is really out. */
#include <dirent.h>
#include <unistd.h>

#include "api.h"

/* All n up to here, then growing strides. */
enum { EVERY = 200 };

/* What the scenarios read, made once without failures. */
static char folder[4096], weights_path[4096], set_path[4096], npy_path[4096], labels_path[4096];
static const int64_t forget[2] = {3, 7};

/* ---- scenarios ------------------------------------------------------------------------------- */

/* Values before the call that failed, to see that they are the same after it. */
static tiny_values before;

static amun_status predict_scenario(amun_context *ctx)
{
    amun_status status;
    amun_model *model = NULL, *twin = NULL, *named = NULL;
    amun_model_options options;
    amun_dataset *data = NULL, *files = NULL;
    double accuracy;
    float room[TINY_COUNT * TINY_CLASSES] = {0};
    amun_tensor_view images =
        view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view logits = view2(room, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    amun_tensor_view mirrored = images;
    mirrored.data = tiny_images + TINY_EDGE - 1;
    mirrored.strides[3] = -4;
    ck_ok(amun_model_options_init(&options, sizeof options));
    options.channels = 1;
    options.height = options.width = 8;
    TRY(amun_model_create(&named, ctx, "simple_conv", &options));
    TRY(tiny_model(&model, ctx, 1));
    TRY(amun_model_load_weights(model, weights_path));
    TRY(amun_model_predict(model, &images, &logits, NULL));
    TRY(amun_model_clone(&twin, model));
    TRY(tiny_data(&data, ctx));
    TRY(amun_model_evaluate(&accuracy, NULL, twin, data, forget, 2, NULL));
    TRY(amun_model_save(twin, api_path("oom-saved")));
    TRY(amun_dataset_open_npy(&files, ctx, npy_path, labels_path));
    TRY(amun_npy_write(ctx, api_path("oom-written"), &mirrored));
done:
    amun_dataset_unref(files);
    amun_dataset_unref(data);
    amun_model_unref(named);
    amun_model_unref(twin);
    amun_model_unref(model);
    return status;
}

static amun_status train_scenario(amun_context *ctx)
{
    amun_status status;
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_train_options options = tiny_train(1);
    char checkpoint[4096];
    snprintf(checkpoint, sizeof checkpoint, "%s", api_path("oom-checkpoint"));
    options.checkpoint = checkpoint;
    options.batch = 5; /* and a short last one */
    options.augment_pad = 1;
    remove(checkpoint);
    TRY(tiny_model(&model, ctx, 1));
    TRY(tiny_data(&data, ctx));
    TRY(amun_train_run(NULL, model, data, NULL, 0, &options, NULL));
    TRY(amun_train_run(NULL, model, data, NULL, 0, &options, NULL)); /* reads the checkpoint */
done:
    amun_dataset_unref(data);
    amun_model_unref(model);
    return status;
}

static amun_status attack_scenario(amun_context *ctx)
{
    amun_status status;
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_attack *search = NULL, *pgd = NULL;
    amun_advset *set = NULL, *loaded = NULL;
    amun_search_options options;
    amun_pgd_options fixed;
    static float room[TINY_COUNT * TINY_PIXELS];
    amun_tensor_view images =
        view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view labels = view1(tiny_labels, AMUN_DTYPE_I64, TINY_COUNT);
    amun_tensor_view out = view4(room, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    ck_ok(amun_search_options_init(&options, sizeof options));
    ck_ok(amun_pgd_l2_options_init(&fixed, sizeof fixed));
    options.steps = 5;
    options.batch = 1;
    fixed.steps = 2;
    fixed.batch = 8;
    TRY(tiny_model(&model, ctx, 1));
    TRY(tiny_data(&data, ctx));
    TRY(amun_attack_create_pgd_l2(&pgd, ctx, &fixed));
    TRY(amun_attack_run(pgd, model, &images, &labels, NULL, &out, NULL, NULL));
    TRY(amun_attack_create_search(&search, ctx, &options));
    TRY(amun_advset_build(&set, search, model, data, forget, 2, NULL));
    TRY(amun_advset_save(set, api_path("oom-saved")));
    TRY(amun_advset_load(&loaded, data, set_path, ctx));
done:
    amun_advset_unref(loaded);
    amun_advset_unref(set);
    amun_attack_unref(search);
    amun_attack_unref(pgd);
    amun_dataset_unref(data);
    amun_model_unref(model);
    return status;
}

static amun_status unlearn_scenario(amun_context *ctx)
{
    amun_status status;
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_advset *set = NULL;
    amun_unlearn_options options;
    amun_train_options train = tiny_train(1);
    ck_ok(amun_unlearn_options_init(&options, sizeof options));
    options.train = &train;
    TRY(tiny_model(&model, ctx, 1));
    TRY(tiny_data(&data, ctx));
    TRY(amun_advset_load(&set, data, set_path, ctx));
    TRY(amun_unlearn_run(NULL, model, data, forget, 2, set, &options, NULL));
    options.method = AMUN_UNLEARN_RETRAIN;
    TRY(amun_unlearn_run(NULL, model, data, forget, 2, NULL, &options, NULL));
done:
    amun_advset_unref(set);
    amun_dataset_unref(data);
    amun_model_unref(model);
    return status;
}

static void empty_folder(void)
{
    DIR *open = opendir(folder);
    if (open == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open)) {
        char path[4096 + 260];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') {
            remove(path);
        }
    }
    closedir(open);
}

static amun_status mia_scenario(amun_context *ctx)
{
    amun_status status;
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_mia *mia = NULL;
    amun_report *report = NULL;
    amun_mia_options options;
    amun_train_options train = tiny_train(1);
    amun_audit audit = {.struct_size = sizeof audit};
    ck_ok(amun_mia_options_init(&options, sizeof options));
    options.references = 2;
    empty_folder();
    TRY(tiny_model(&model, ctx, 1));
    TRY(tiny_data(&data, ctx));
    TRY(amun_mia_create(&mia, ctx, data, data, &options));
    TRY(amun_mia_train_references(mia, model, &train, folder, NULL));
    amun_mia_unref(mia);
    mia = NULL;
    TRY(amun_mia_create(&mia, ctx, data, data, &options));
    TRY(amun_mia_train_references(mia, model, &train, folder, NULL)); /* reads the files */
    TRY(amun_mia_audit(&audit, mia, model, forget, 2, NULL));
    TRY(amun_report_create(&report, ctx, "tiny", "custom", 2, 2));
    for (int i = 0; i < 20; i++) { /* the table of runs grows */
        TRY(amun_report_add(report, i % 2 ? "odd" : "even", (uint64_t)i, &audit, 1.0));
    }
    TRY(amun_report_add_provenance(report, "options", "{\"a\": 1}"));
    TRY(amun_report_table(report, NULL, 0, NULL));
    TRY(amun_report_write(report, api_path("oom-report.json")));
done:
    amun_report_unref(report);
    amun_mia_unref(mia);
    amun_dataset_unref(data);
    amun_model_unref(model);
    return status;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int64_t next(int64_t n)
{
    return n < EVERY ? n + 1 : n + 1 + (n - EVERY) / 8;
}

/* True once `n` is beyond the last allocation. */
static bool run_once(amun_status (*scenario)(amun_context *), int64_t n, int64_t count)
{
    heap h = {0};
    amun_context *ctx = NULL;
    h.fail_at = n;
    h.fail_count = count;
    amun_status status = heap_context(&ctx, &h);
    ck_assert((status == AMUN_OK) == (ctx != NULL));
    char message[1024] = "";
    if (status == AMUN_OK) {
        status = scenario(ctx);
    }
    snprintf(message, sizeof message, "%s", amun_last_error_message());
    bool failed = h.calls >= n;
    if (!failed) {
        ck_assert_msg(status == AMUN_OK, "%s: %s", amun_status_string(status), message);
    } else if (status == AMUN_OK) {
        /* a cache or a helper that could not be made is made again: fine, if it is rare */
        ck_assert_msg(count == 1, "allocation %lld fails and all later ones: passed", (long long)n);
    } else {
        ck_assert_msg(status == AMUN_ERROR_OUT_OF_MEMORY, "allocation %lld: %s: %s", (long long)n,
                      amun_status_string(status), message);
        ck_assert_msg(message[0] != '\0' && strpbrk(message, "\r\n") == NULL,
                      "allocation %lld: message \"%s\"", (long long)n, message);
    }
    h.fail_at = 0;
    heap_end(ctx, &h);
    return !failed;
}

static void run_all(amun_status (*scenario)(amun_context *))
{
    int64_t n = 1, tried = 0;
    for (; !run_once(scenario, n, 1); n = next(n)) {
        run_once(scenario, n, INT64_MAX / 2);
        tried++;
        ck_assert_msg(n < 100000, "no end of allocations");
    }
    ck_assert_msg(tried > 20, "only %lld allocations: does the library use the allocator?",
                  (long long)tried);
}

static amun_status (*const scenarios[])(amun_context *) = {
    predict_scenario, train_scenario, attack_scenario, unlearn_scenario, mia_scenario};

START_TEST(nth_allocation_fails)
{
    run_all(scenarios[_i]);
}
END_TEST

/* A call that fails for memory leaves the model and the file as they were; the next one works. */
START_TEST(nothing_changes)
{
    for (int64_t n = 1; n < 400; n = n < 60 ? n + 1 : n + 7) {
        heap h = {0};
        amun_context *ctx = NULL;
        amun_model *model = NULL;
        amun_dataset *data = NULL;
        amun_train_options options = tiny_train(1);
        ck_ok(heap_context(&ctx, &h));
        ck_ok(tiny_model(&model, ctx, 1));
        ck_ok(tiny_data(&data, ctx));
        tiny_read(&before, model);
        h.fail_count = 1;
        h.fail_at = h.calls + n;
        amun_status status = amun_train_run(NULL, model, data, NULL, 0, &options, NULL);
        bool failed = h.calls >= h.fail_at;
        h.fail_at = 0;
        if (status != AMUN_OK) {
            ck_unchanged(model, &before);
            ck_assert_msg(status == AMUN_ERROR_OUT_OF_MEMORY, "%s", amun_status_string(status));
            ck_ok(amun_train_run(NULL, model, data, NULL, 0, &options, NULL));
        }
        tiny_read(&before, model);
        h.fail_at = h.calls + n;
        status = amun_model_load_weights(model, weights_path);
        h.fail_at = 0;
        if (status != AMUN_OK) {
            ck_unchanged(model, &before);
        }
        h.fail_at = h.calls + n;
        status = amun_model_save(model, api_path("oom-kept"));
        h.fail_at = 0;
        if (status != AMUN_OK) {
            ck_assert_msg(file_same(api_path("oom-kept"), weights_path), "the old file is gone");
        } else {
            ck_ok(amun_model_load_weights(model, weights_path));
            ck_ok(amun_model_save(model, api_path("oom-kept")));
        }
        amun_dataset_unref(data);
        amun_model_unref(model);
        heap_end(ctx, &h);
        if (!failed) {
            break;
        }
    }
}
END_TEST

static void set_up(void)
{
    heap h = {0};
    amun_context *ctx = NULL;
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    amun_attack *attack = NULL;
    amun_advset *set = NULL;
    snprintf(folder, sizeof folder, "%s", api_path("oom-references"));
    snprintf(weights_path, sizeof weights_path, "%s", api_path("oom-weights"));
    snprintf(set_path, sizeof set_path, "%s", api_path("oom-set"));
    snprintf(npy_path, sizeof npy_path, "%s", api_path("oom-images.npy"));
    snprintf(labels_path, sizeof labels_path, "%s", api_path("oom-labels.npy"));
    ck_ok(heap_context(&ctx, &h));
    ck_ok(tiny_model(&model, ctx, 1));
    ck_ok(tiny_data(&data, ctx));
    ck_ok(amun_model_save(model, weights_path));
    ck_ok(amun_model_save(model, api_path("oom-kept")));
    ck_ok(amun_attack_create_search(&attack, ctx, NULL));
    ck_ok(amun_advset_build(&set, attack, model, data, forget, 2, NULL));
    ck_ok(amun_advset_save(set, set_path));
    amun_tensor_view images =
        view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view labels = view1(tiny_labels, AMUN_DTYPE_I64, TINY_COUNT);
    ck_ok(amun_npy_write(ctx, npy_path, &images));
    ck_ok(amun_npy_write(ctx, labels_path, &labels));
    amun_advset_unref(set);
    amun_attack_unref(attack);
    amun_dataset_unref(data);
    amun_model_unref(model);
    heap_end(ctx, &h);
}

int main(void)
{
    TCase *tc = tcase_create("oom");
    tcase_add_unchecked_fixture(tc, set_up, empty_folder);
    tcase_add_loop_test(tc, nth_allocation_fails, 0, sizeof scenarios / sizeof scenarios[0]);
    tcase_add_test(tc, nothing_changes);
    return api_main("oom", (TCase *[]){tc, NULL});
}
