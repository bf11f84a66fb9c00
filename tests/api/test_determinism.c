/* test_determinism.c - the same job twice gives the same bytes; another number of threads takes the
 * same random choices and gives the same values within rounding. */
#include <jansson.h>

#include "job.h"

static const char *const files[] = {"original.safetensors",
                                    "retrain.safetensors",
                                    "amun.safetensors",
                                    "amun_df.safetensors",
                                    "set.safetensors",
                                    "references/reference_000.safetensors",
                                    "references/reference_000.logits.safetensors",
                                    "references/reference_003.safetensors",
                                    "references/reference_003.logits.safetensors"};
enum { FILES = sizeof files / sizeof files[0] };

static job_form form_of(char folder[4096], const char *name, int32_t threads)
{
    snprintf(folder, 4096, "%s", api_path(name));
    return (job_form){.folder = folder,
                      .threads = threads,
                      .epochs = 2,
                      .unlearn_epochs = 1,
                      .references = 4,
                      .batch = 32,
                      .augment = 1,
                      .train = 120,
                      .test = 80,
                      .forget = 12,
                      .seed = 9,
                      .unlearn_lr = 0.01};
}

/* Clock readings stand under "seconds", and in provenance.timings, and nowhere else. */
static void drop_seconds(json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;
    json_object_del(value, "seconds");
    json_object_foreach(value, key, member)
    {
        drop_seconds(member);
    }
    json_array_foreach(value, i, member)
    {
        drop_seconds(member);
    }
}

static char *report_text(const char *folder)
{
    char path[4096 + 32];
    snprintf(path, sizeof path, "%s/report.json", folder);
    json_error_t error;
    json_t *report = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(report != NULL, "%s: %s", path, error.text);
    ck_assert_str_eq(json_string_value(json_object_get(report, "schema")), "amun.report/1");
    ck_assert_uint_eq(json_array_size(json_object_get(report, "methods")), 4);
    drop_seconds(report);
    ck_assert(json_object_del(json_object_get(report, "provenance"), "timings") == 0);
    char *text = json_dumps(report, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    ck_assert(text != NULL);
    json_decref(report);
    return text;
}

static void same_files(const char *a, const char *b)
{
    for (size_t i = 0; i < FILES; i++) {
        char one[4096 + 64], other[4096 + 64];
        snprintf(one, sizeof one, "%s/%s", a, files[i]);
        snprintf(other, sizeof other, "%s/%s", b, files[i]);
        ck_assert_msg(file_same(one, other), "%s differs", files[i]);
    }
    char *one = report_text(a), *other = report_text(b);
    ck_assert_str_eq(one, other);
    free(one);
    free(other);
}

static char first[4096], second[4096], threaded[4096], again[4096];
static job_result one_thread, two_threads;

START_TEST(same_bytes)
{
    job_form form = form_of(first, "first", 1);
    job_result repeated;
    job_run(&form, &one_thread);
    form = form_of(second, "second", 1);
    job_run(&form, &repeated);
    same_files(first, second);
    /* a third time, in a process where memory lies elsewhere and plans are not new */
    form = form_of(threaded, "threaded", 2);
    job_run(&form, &two_threads);
    form = form_of(again, "again", 2);
    job_run(&form, &repeated);
    same_files(threaded, again);
}
END_TEST

/* Another seed gives another result: the test above does not compare constants. */
START_TEST(seed_matters)
{
    char folder[4096], one[4096 + 64], other[4096 + 64];
    job_form form = form_of(folder, "other-seed", 1);
    job_result result;
    form.seed = 10;
    job_run(&form, &result);
    for (size_t i = 0; i < FILES; i++) {
        snprintf(one, sizeof one, "%s/%s", first, files[i]);
        snprintf(other, sizeof other, "%s/%s", folder, files[i]);
        ck_assert_msg(!file_same(one, other), "%s does not depend on the seed", files[i]);
    }
}
END_TEST

/* ---- other numbers of threads ------------------------------------------------------------------
 */

static void near(const char *what, double a, double b, double tolerance)
{
    ck_assert_msg(fabs(a - b) <= tolerance, "%s: %g with one thread, %g with two", what, a, b);
}

static double weight_distance(amun_context *ctx, const char *name)
{
    static const struct {
        const char *name;
        size_t count;
    } tensors[] = {{"conv1.weight", 288}, {"bn1.running_var", 32}, {"conv2.weight", 18432}};
    char path[4096 + 64];
    double largest = 0;
    for (size_t t = 0; t < 3; t++) {
        float *values[2];
        double square = 0, norm = 0;
        for (int k = 0; k < 2; k++) {
            amun_model *model = NULL;
            snprintf(path, sizeof path, "%s/%s", k ? threaded : first, name);
            ck_ok(amun_model_load(&model, ctx, path));
            values[k] = malloc(tensors[t].count * sizeof(float));
            ck_assert(values[k] != NULL);
            ck_ok(amun_model_get_tensor(model, tensors[t].name, values[k], tensors[t].count));
            amun_model_unref(model);
        }
        for (size_t i = 0; i < tensors[t].count; i++) {
            double d = (double)values[0][i] - (double)values[1][i];
            square += d * d;
            norm += (double)values[0][i] * (double)values[0][i];
        }
        largest = fmax(largest, sqrt(square / norm));
        free(values[0]);
        free(values[1]);
    }
    return largest;
}

START_TEST(threads_within_rounding)
{
    amun_context *ctx = NULL;
    amun_dataset *data = NULL;
    amun_advset *a = NULL, *b = NULL;
    char path[4096 + 64];
    ck_ok(amun_context_create(&ctx, NULL));
    /* a few steps of SGD amplify the last bit of a sum, not more */
    ck_assert_msg(weight_distance(ctx, "original.safetensors") < 1e-3, "%g",
                  weight_distance(ctx, "original.safetensors"));
    ck_assert_msg(weight_distance(ctx, "amun.safetensors") < 1e-3, "%g",
                  weight_distance(ctx, "amun.safetensors"));
    near("original TA", one_thread.original.ta, two_threads.original.ta, 2.6);
    near("amun TA", one_thread.amun.ta, two_threads.amun.ta, 2.6);
    near("amun FT AUC", one_thread.amun.ft_auc, two_threads.amun.ft_auc, 3.0);
    ck_assert_uint_eq(one_thread.found, two_threads.found);
    /* the same samples in the same order, distances alike */
    data = digits(ctx, 0, 120);
    snprintf(path, sizeof path, "%s/set.safetensors", first);
    ck_ok(amun_advset_load(&a, data, path, ctx));
    snprintf(path, sizeof path, "%s/set.safetensors", threaded);
    ck_ok(amun_advset_load(&b, data, path, ctx));
    for (size_t i = 0; i < amun_advset_count(a); i++) {
        const amun_attack_record *x = &amun_advset_records(a)[i], *y = &amun_advset_records(b)[i];
        ck_assert_int_eq(x->index, y->index);
        ck_assert_int_eq(x->label, y->label);
        ck_assert_uint_eq(x->input_hash, y->input_hash);
        near("distance", x->l2, y->l2, 0.1 * x->l2 + 1e-3);
    }
    amun_advset_unref(a);
    amun_advset_unref(b);
    amun_dataset_unref(data);
    amun_context_unref(ctx);
}
END_TEST

/* Random starts, crops, flips, shuffles and initial weights, by whatever number of threads: exact
 * where no sum is involved. */
START_TEST(choices_do_not_depend_on_threads)
{
    static float out[2][40 * 64];
    float weights[2][288];
    for (int k = 0; k < 2; k++) {
        amun_context *ctx = NULL;
        amun_model *model = NULL;
        amun_attack *attack = NULL;
        amun_model_options shape;
        amun_pgd_options pgd;
        static float pixels[40 * 64];
        int64_t labels[40];
        ck_ok(amun_context_create(&ctx, NULL));
        ck_ok(amun_context_set_threads(ctx, k + 1));
        ck_assert_int_eq(amun_context_get_threads(ctx), k + 1);
        amun_dataset *data = digits(ctx, 0, 40);
        ck_ok(amun_model_options_init(&shape, sizeof shape));
        shape.channels = 1;
        shape.height = shape.width = 8;
        shape.seed = 4;
        ck_ok(amun_model_create(&model, ctx, "digits", &shape));
        ck_ok(amun_model_get_tensor(model, "conv1.weight", weights[k], 288));
        ck_ok(amun_pgd_linf_options_init(&pgd, sizeof pgd));
        pgd.steps = 1;
        pgd.step = 0; /* the start itself */
        pgd.seed = 21;
        pgd.batch = k ? 16 : 7;
        ck_ok(amun_attack_create_pgd_linf(&attack, ctx, &pgd));
        ck_ok(amun_dataset_read(data, 0, 40, pixels));
        ck_ok(amun_dataset_labels(data, 0, 40, labels));
        amun_tensor_view images = view4(pixels, AMUN_DTYPE_F32, 40, 1, 8, 8);
        amun_tensor_view numbers = view1(labels, AMUN_DTYPE_I64, 40);
        amun_tensor_view result = view4(out[k], AMUN_DTYPE_F32, 40, 1, 8, 8);
        ck_ok(amun_attack_run(attack, model, &images, &numbers, NULL, &result, NULL, NULL));
        ck_assert(memcmp(out[k], pixels, sizeof pixels) != 0);
        amun_attack_unref(attack);
        amun_model_unref(model);
        amun_dataset_unref(data);
        amun_context_unref(ctx);
    }
    ck_assert(memcmp(out[0], out[1], sizeof out[0]) == 0);
    ck_assert(memcmp(weights[0], weights[1], sizeof weights[0]) == 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("determinism");
    tcase_add_test(tc, same_bytes);
    tcase_add_test(tc, seed_matters);
    tcase_add_test(tc, threads_within_rounding);
    tcase_add_test(tc, choices_do_not_depend_on_threads);
    return api_main("determinism", (TCase *[]){tc, NULL});
}
