/* fuzz_report.c - names and JSON texts of callers in a report: what is taken comes out as a file of
 * valid JSON that has the names, and as a table. The input is a list of texts that end in 0. */
#include "fuzz.h"
#include "io/io.h"

enum { TEXTS = 8 };

static void read_back(const amun_report *report)
{
    size_t size = 0, needed = 0;
    json_t *root = NULL;
    fuzz_check(amun_report_table(report, NULL, 0, &needed));
    char *table = malloc(needed + 1);
    if (table == NULL || amun_report_table(report, table, needed, &needed) != AMUN_OK ||
        strlen(table) + 1 > needed) {
        abort();
    }
    free(table);
    uint8_t *text = fuzz_get("report.json", &size);
    amun__enter();
    if (text == NULL || amun__json_parse(&root, (char *)text, size, "report") != AMUN_OK) {
        abort();
    }
    json_decref(root);
    free(text);
}

static void tell(amun_context *ctx, char *const texts[TEXTS])
{
    amun_report *report = NULL;
    amun_audit audit = {.struct_size = sizeof audit, .ua = 50, .ta = NAN, .mis = -INFINITY};
    amun_status status = amun_report_create(&report, ctx, texts[0], texts[1], 3, 2);
    fuzz_check(status);
    for (int i = 2; i < 5 && status == AMUN_OK; i++) {
        amun_audit mean = {.struct_size = sizeof mean};
        amun_status added = amun_report_add(report, texts[i], (uint64_t)i, &audit, 1.5);
        fuzz_check(added);
        amun_status got = amun_report_get(report, texts[i], &mean, NULL, NULL);
        fuzz_check(got);
        if (added == AMUN_OK && got != AMUN_OK && got != AMUN_ERROR_OUT_OF_MEMORY) {
            abort();
        }
    }
    if (status == AMUN_OK) {
        fuzz_check(amun_report_add_provenance(report, texts[5], texts[6]));
        fuzz_check(amun_report_add_provenance(report, "options", texts[7]));
        status = amun_report_write(report, fuzz_path("report.json"));
        fuzz_check(status);
    }
    if (status == AMUN_OK) {
        read_back(report);
    }
    amun_report_unref(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = calloc(size + TEXTS + 1, 1), *texts[TEXTS];
    amun_context *ctx = fuzz_context(data, size);
    if (copy != NULL && ctx != NULL) {
        memcpy(copy, data, size);
        char *at = copy;
        for (int i = 0; i < TEXTS; i++) { /* behind the end there are empty ones */
            texts[i] = at;
            at += strlen(at) + 1;
        }
        tell(ctx, texts);
    }
    amun_context_unref(ctx);
    free(copy);
    return 0;
}
