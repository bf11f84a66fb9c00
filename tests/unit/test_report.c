/* The report: means, spread, JSON fields, table, and that only clocks differ between two runs. */
#include <stdio.h>
#include <stdlib.h>

#include "amun/mia.h"
#include "io/io.h"
#include "support.h"

static amun_audit audit(double base)
{
    return (amun_audit){.struct_size = sizeof(amun_audit),
                        .ua = base,
                        .ra = base + 1,
                        .ta = base + 2,
                        .ft_auc = base - 40,
                        .fr_auc = base - 30,
                        .rt_auc = base - 20,
                        .ft_auc_sd = 0.5,
                        .ft_tpr_1 = 3,
                        .ft_tpr_01 = 0.25,
                        .mis = base / 8,
                        .seconds = 1.5,
                        .nonpositive = 2,
                        .references = 16};
}

static amun_report *filled(amun_context *ctx, double clock)
{
    amun_report *report = NULL;
    ck_ok(amun_report_create(&report, ctx, "digits", "resnet8", 90, 16));
    for (int i = 0; i < 3; i++) {
        amun_audit a = audit(96.0 + i), b = audit(90.0 + 2 * i);
        a.seconds = b.seconds = clock;
        ck_ok(amun_report_add(report, "original", (uint64_t)i, &a, clock + i));
        ck_ok(amun_report_add(report, "retrain", (uint64_t)i, &b, clock));
    }
    amun_audit c = audit(95.0);
    c.mis = NAN;
    ck_ok(amun_report_add(report, "amun", UINT64_C(1) << 60, &c, clock));
    ck_ok(amun_report_add_provenance(report, "train_options", "{\"lr\": 0.1}"));
    ck_ok(amun_report_add_provenance(report, "timings", "{\"references\": 12.5}"));
    return report;
}

static json_t *written(const amun_report *report, const char *name)
{
    json_error_t error;
    ck_ok(amun_report_write(report, test_path(name)));
    json_t *root = json_load_file(test_path(name), JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    remove(test_path(name));
    return root;
}

START_TEST(test_means)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_report *report = filled(ctx, 2.0);
    amun_audit mean = {.struct_size = sizeof mean}, sd = {.struct_size = sizeof sd};
    double seconds = 0.0;
    ck_ok(amun_report_get(report, "original", &mean, &sd, &seconds));
    ck_close(mean.ua, 97.0, 1e-14);
    ck_close(mean.ft_auc, 57.0, 1e-14);
    ck_close(mean.mis, 97.0 / 8, 1e-14);
    ck_close(sd.ua, 1.0, 1e-14); /* sample deviation of 96, 97, 98 */
    ck_close(sd.mis, 0.125, 1e-14);
    ck_close(seconds, 3.0, 1e-14);
    ck_close(sd.seconds, 1.0, 1e-14);
    ck_assert_int_eq(mean.references, 16);
    ck_assert_int_eq(mean.nonpositive, 6);
    ck_ok(amun_report_get(report, "amun", &mean, &sd, NULL));
    ck_assert(isnan(mean.mis) && isnan(sd.ua));
    ck_ok(amun_report_get(report, "amun", NULL, NULL, NULL));
    ck_fails(amun_report_get(report, "none", &mean, NULL, NULL), AMUN_ERROR_NOT_FOUND, "none");
    amun_report_unref(report);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_json)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_report *report = filled(ctx, 2.0);
    json_t *root = written(report, "report_json.json");
    json_t *methods = json_object_get(root, "methods"), *first = json_array_get(methods, 0);
    json_t *provenance = json_object_get(root, "provenance");
    ck_assert_str_eq(json_string_value(json_object_get(root, "schema")), "amun.report/1");
    ck_assert_str_eq(json_string_value(json_object_get(root, "dataset")), "digits");
    ck_assert_str_eq(json_string_value(json_object_get(root, "arch")), "resnet8");
    ck_assert_int_eq(json_integer_value(json_object_get(root, "forget_count")), 90);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "references")), 16);
    ck_assert_uint_eq(json_array_size(methods), 3);
    ck_assert_str_eq(json_string_value(json_object_get(first, "name")), "original");
    static const struct {
        const char *name;
        double value;
    } fields[] = {{"ua", 97.0},      {"ra", 98.0},        {"ta", 99.0},    {"ft_auc", 57.0},
                  {"fr_auc", 67.0},  {"rt_auc", 77.0},    {"mis", 12.125}, {"seconds", 3.0},
                  {"ft_tpr_1", 3.0}, {"ft_tpr_01", 0.25}, {"runs", 3.0}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        ck_close(json_number_value(json_object_get(first, fields[i].name)), fields[i].value, 1e-13);
    }
    /* retrain: 92, 93, 94, 52 on average; per run |4|, |5|, |6| in each of the four */
    ck_close(json_number_value(json_object_get(first, "gap")), 5.0, 1e-13);
    ck_close(json_number_value(json_object_get(json_object_get(first, "spread"), "ua")), 1.0,
             1e-13);
    json_t *runs = json_object_get(first, "per_run");
    ck_assert_uint_eq(json_array_size(runs), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(runs, 2), "seed")), 2);
    ck_close(json_number_value(json_object_get(json_array_get(runs, 2), "ua")), 98.0, 1e-14);
    json_t *last = json_array_get(methods, 2);
    ck_assert(json_is_null(json_object_get(last, "mis"))); /* no libsvm: null, not NaN */
    ck_assert(json_is_null(json_object_get(json_object_get(last, "spread"), "ua")));
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_array_get(json_object_get(last, "per_run"), 0), "seed")),
                     "1152921504606846976");
    static const char *const facts[] = {"library", "version", "abi",         "rng",
                                        "threads", "backend", "forget_seeds"};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        ck_assert_msg(json_object_get(provenance, facts[i]) != NULL, "%s", facts[i]);
    }
    ck_assert_uint_eq(json_array_size(json_object_get(provenance, "forget_seeds")), 4);
    ck_close(json_number_value(json_object_get(json_object_get(provenance, "train_options"), "lr")),
             0.1, 1e-15);
    json_t *timings = json_object_get(provenance, "timings");
    ck_close(json_number_value(json_object_get(timings, "references")), 12.5, 1e-15);
    ck_close(json_number_value(json_object_get(timings, "methods")), 17.0, 1e-15);
    ck_close(json_number_value(json_object_get(timings, "audits")), 13.5, 1e-15);
    json_decref(root);
    amun_report_unref(report);
    amun_context_unref(ctx);
}
END_TEST

static void drop_clocks(json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    json_object_del(value, "seconds");
    json_object_del(value, "timings");
    json_object_foreach(value, key, item)
    {
        drop_clocks(item);
    }
    json_array_foreach(value, i, item)
    {
        drop_clocks(item);
    }
}

START_TEST(test_only_clocks_differ)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_report *a = filled(ctx, 2.0), *b = filled(ctx, 3.25);
    json_t *left = written(a, "report_a.json"), *right = written(b, "report_b.json");
    ck_assert(!json_equal(left, right));
    drop_clocks(left);
    drop_clocks(right);
    ck_assert(json_equal(left, right));
    json_decref(left);
    json_decref(right);
    amun_report_unref(a);
    amun_report_unref(b);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_table)
{
    static const char expected[] =
        "method               UA             RA             TA         FT-AUC            MIS       "
        "seconds\n"
        "original  97.00 +- 1.00  98.00 +- 1.00  99.00 +- 1.00  57.00 +- 1.00  12.13 +- 0.12  "
        "3.00 +- 1.00\n"
        "retrain   92.00 +- 2.00  93.00 +- 2.00  94.00 +- 2.00  52.00 +- 2.00  11.50 +- 0.25  "
        "2.00 +- 0.00\n"
        "amun              95.00          96.00          97.00          55.00              -       "
        "   2.00\n";
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    amun_report *report = filled(ctx, 2.0);
    char text[2048], part[16];
    size_t needed = 0;
    ck_ok(amun_report_table(report, NULL, 0, &needed));
    ck_ok(amun_report_table(report, text, sizeof text, NULL));
    ck_assert_uint_eq(strlen(text) + 1, needed);
    /* 12.125 rounds either way in decimal: compare the rest */
    char *rounded = strstr(text, "12.1");
    ck_assert(rounded != NULL);
    rounded[4] = '3';
    ck_assert_str_eq(text, expected);
    memset(part, 'x', sizeof part);
    ck_ok(amun_report_table(report, part, sizeof part - 1, &needed));
    ck_assert_uint_eq(strlen(part), sizeof part - 2);
    ck_assert_int_eq(part[15], 'x');
    ck_assert_uint_eq(needed, strlen(text) + 1);
    ck_fails(amun_report_table(report, NULL, 5, NULL), AMUN_ERROR_INVALID_ARGUMENT, "buf");
    amun_report_unref(report);
    ck_ok(amun_report_create(&report, ctx, "d", "a", 1, 0)); /* no runs: the head alone */
    ck_ok(amun_report_table(report, text, sizeof text, NULL));
    ck_assert_str_eq(text, "method  UA  RA  TA  FT-AUC  MIS  seconds\n");
    json_t *root = written(report, "report_empty.json");
    ck_assert_uint_eq(json_array_size(json_object_get(root, "methods")), 0);
    json_decref(root);
    amun_report_unref(report);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(test_refusals)
{
    amun_context *ctx = NULL;
    amun_report *report = (amun_report *)1, *none = NULL;
    amun_audit a = audit(95.0), wrong = audit(95.0);
    ck_ok(amun_context_create(&ctx, NULL));
    ck_fails(amun_report_create(&report, NULL, "d", "a", 1, 2), AMUN_ERROR_INVALID_ARGUMENT, "ctx");
    ck_assert(report == NULL);
    ck_fails(amun_report_create(NULL, ctx, "d", "a", 1, 2), AMUN_ERROR_INVALID_ARGUMENT, "report");
    ck_fails(amun_report_create(&report, ctx, "", "a", 1, 2), AMUN_ERROR_INVALID_ARGUMENT,
             "dataset");
    ck_fails(amun_report_create(&report, ctx, "d", "\xff", 1, 2), AMUN_ERROR_INVALID_ARGUMENT,
             "UTF-8");
    ck_fails(amun_report_create(&report, ctx, "d", "a", 1, -2), AMUN_ERROR_INVALID_ARGUMENT, "-2");
    ck_ok(amun_report_create(&report, ctx, "d", "a", 1, 2));
    ck_fails(amun_report_add(none, "m", 0, &a, 1.0), AMUN_ERROR_INVALID_ARGUMENT, "report");
    ck_fails(amun_report_add((amun_report *)(void *)ctx, "m", 0, &a, 1.0),
             AMUN_ERROR_INVALID_ARGUMENT, "report");
    ck_fails(amun_report_add(report, NULL, 0, &a, 1.0), AMUN_ERROR_INVALID_ARGUMENT, "method");
    ck_fails(amun_report_add(report, "m", 0, NULL, 1.0), AMUN_ERROR_INVALID_ARGUMENT, "audit");
    ck_fails(amun_report_add(report, "m", 0, &a, NAN), AMUN_ERROR_INVALID_ARGUMENT, "seconds");
    wrong.struct_size = 3;
    ck_fails(amun_report_add(report, "m", 0, &wrong, 1.0), AMUN_ERROR_INVALID_ARGUMENT,
             "struct_size is 3");
    ck_fails(amun_report_add_provenance(report, "k", "[1]"), AMUN_ERROR_INVALID_ARGUMENT, "k");
    ck_fails(amun_report_add_provenance(report, "k", "{\"a\":1,\"a\":2}"), AMUN_ERROR_FORMAT, "k");
    ck_fails(amun_report_add_provenance(report, "k", NULL), AMUN_ERROR_INVALID_ARGUMENT, "json");
    ck_fails(amun_report_add_provenance(report, "version", "{}"), AMUN_ERROR_INVALID_ARGUMENT,
             "version");
    ck_fails(amun_report_write(report, NULL), AMUN_ERROR_INVALID_ARGUMENT, "path");
    ck_assert_int_ne(amun_report_write(report, "/nowhere/at/all.json"), AMUN_OK);
    amun_report_unref(amun_report_ref(report));
    amun_report_unref(report);
    amun_report_unref(NULL);
    amun_context_unref(ctx);
}
END_TEST

/* Every failing allocation gives a status and leaks nothing. */
START_TEST(test_out_of_memory)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    int64_t blocks = allocator.live_blocks;
    bool done = false;
    for (int64_t n = 1; !done && n < 50; n++) {
        amun_report *report = NULL;
        amun_audit a = audit(95.0);
        allocator.fail_at = n;
        amun_status status = amun_report_create(&report, ctx, "d", "a", 1, 2);
        for (int i = 0; i < 20 && status == AMUN_OK; i++) {
            status = amun_report_add(report, "m", 0, &a, 1.0);
        }
        done = status == AMUN_OK;
        ck_assert(done || status == AMUN_ERROR_OUT_OF_MEMORY);
        allocator.fail_at = 0;
        amun_report_unref(report);
        ck_assert_int_eq(allocator.live_blocks, blocks);
    }
    ck_assert(done);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
    ck_assert_int_eq(allocator.wrong, 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("report");
    tcase_add_test(tc, test_means);
    tcase_add_test(tc, test_json);
    tcase_add_test(tc, test_only_clocks_differ);
    tcase_add_test(tc, test_table);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_out_of_memory);
    return amun_test_main("report", (TCase *[]){tc, NULL});
}
