/* report.c - the report "amun.report/1": runs of methods, their means and spread, as JSON and as a
 * text table. Clock readings stand only under keys named "seconds" and in provenance.timings, so
 * that everything else is the same bytes from run to run. */
#include <stdio.h>
#include <stdlib.h>

#include "io/io.h"
#include "mia/audit.h"

typedef struct run {
    char *method;
    uint64_t seed;
    double seconds;
    amun_audit audit;
} run;

struct amun_report {
    amun__object object;
    char *dataset, *arch;
    size_t forget_count;
    int32_t references;
    run *runs;
    size_t count, room;
    json_t *provenance; /* what callers added */
};

/* ---- the figures of a run -------------------------------------------------------------------- */

/* Everything that is averaged. `seconds` is the method's own and stands in for the audit's. */
typedef struct figure {
    const char *name;
    size_t offset;
} figure;
static const figure figures[] = {
    {"ua", offsetof(amun_audit, ua)},
    {"ra", offsetof(amun_audit, ra)},
    {"ta", offsetof(amun_audit, ta)},
    {"ft_auc", offsetof(amun_audit, ft_auc)},
    {"fr_auc", offsetof(amun_audit, fr_auc)},
    {"rt_auc", offsetof(amun_audit, rt_auc)},
    {"ft_auc_sd", offsetof(amun_audit, ft_auc_sd)},
    {"ft_tpr_1", offsetof(amun_audit, ft_tpr_1)},
    {"ft_tpr_01", offsetof(amun_audit, ft_tpr_01)},
    {"mis", offsetof(amun_audit, mis)},
};
enum { FIGURES = sizeof figures / sizeof figures[0], SECONDS = FIGURES, VALUES = FIGURES + 1 };

static double value_of(const run *r, int k)
{
    double value = r->seconds;
    if (k < FIGURES) {
        memcpy(&value, (const char *)&r->audit + figures[k].offset, sizeof value);
    }
    return value;
}

static void store_value(amun_audit *audit, double *seconds, int k, double value)
{
    if (k < FIGURES) {
        memcpy((char *)audit + figures[k].offset, &value, sizeof value);
    } else if (seconds != NULL) {
        *seconds = value;
    }
}

static const char *name_of(int k)
{
    return k < FIGURES ? figures[k].name : "seconds";
}

/* Mean and sample standard deviation (NaN for a single run) over the runs of one method. */
typedef struct summary {
    size_t runs;
    double mean[VALUES], sd[VALUES];
    int64_t nonpositive, references;
} summary;

static void summarise(const amun_report *report, const char *method, summary *s)
{
    *s = (summary){0};
    for (size_t i = 0; i < report->count; i++) {
        const run *r = &report->runs[i];
        if (strcmp(r->method, method) == 0) {
            s->runs++;
            s->nonpositive += r->audit.nonpositive;
            s->references = r->audit.references;
            for (int k = 0; k < VALUES; k++) {
                s->mean[k] += value_of(r, k);
            }
        }
    }
    for (int k = 0; k < VALUES && s->runs > 0; k++) {
        double squares = 0.0;
        s->mean[k] /= (double)s->runs;
        for (size_t i = 0; i < report->count; i++) {
            const run *r = &report->runs[i];
            if (strcmp(r->method, method) == 0) {
                double d = value_of(r, k) - s->mean[k];
                squares += d * d;
            }
        }
        s->sd[k] = s->runs < 2 ? NAN : sqrt(squares / (double)(s->runs - 1));
    }
}

/* The first run of each method starts its row: rows come in the order of first appearance. */
static bool starts_method(const amun_report *report, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(report->runs[k].method, report->runs[i].method) == 0) {
            return false;
        }
    }
    return true;
}

/* ---- creation and filling -------------------------------------------------------------------- */

static void destroy_report(void *self)
{
    amun_report *report = self;
    amun_context *ctx = report->object.ctx;
    for (size_t i = 0; i < report->count; i++) {
        amun__free(ctx, report->runs[i].method);
    }
    amun__free(ctx, report->runs);
    amun__free(ctx, report->dataset);
    amun__free(ctx, report->arch);
    json_decref(report->provenance);
}

/* Names end up in JSON: present, not empty, UTF-8. */
static amun_status check_name(const char *name, const char *what)
{
    if (name == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
    }
    json_t *text = json_string(name);
    bool good = text != NULL && name[0] != '\0';
    json_decref(text);
    if (!good) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: %s", what,
                          name[0] == '\0' ? "empty" : "not UTF-8 text");
    }
    return AMUN_OK;
}

amun_status amun_report_create(amun_report **report, amun_context *ctx, const char *dataset,
                               const char *arch, size_t forget_count, int32_t references)
{
    amun__enter();
    if (report == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "report is NULL");
    }
    *report = NULL;
    amun_status status = AMUN_OK;
    amun_report *made = NULL;
    AMUN__TRY(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    AMUN__TRY(check_name(dataset, "dataset"));
    AMUN__TRY(check_name(arch, "arch"));
    if (references < 0 || forget_count > INT64_MAX) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "references: %d, forget_count: %zu",
                   (int)references, forget_count);
    }
    AMUN__TRY(amun__object_create(&made, ctx, AMUN__TAG_REPORT, sizeof *made, destroy_report));
    made->forget_count = forget_count;
    made->references = references;
    AMUN__TRY(amun__strdup(ctx, &made->dataset, dataset));
    AMUN__TRY(amun__strdup(ctx, &made->arch, arch));
    made->provenance = json_object();
    if (made->provenance == NULL) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    *report = made;
    return AMUN_OK;

fail:
    amun__object_unref(made);
    return status;
}

amun_report *amun_report_ref(amun_report *report)
{
    return amun__object_ref(report);
}

void amun_report_unref(amun_report *report)
{
    amun__object_unref(report);
}

/* Reads as much of the caller's struct as both sides know. */
static amun_status read_audit(amun_audit *full, const amun_audit *audit)
{
    if (audit == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "audit is NULL");
    }
    size_t size = audit->struct_size;
    if (size <= sizeof size || size % 8 != 0 || size > 4096) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "audit: struct_size is %zu, expected %zu",
                          size, sizeof *full);
    }
    *full = (amun_audit){0};
    memcpy(full, audit, size < sizeof *full ? size : sizeof *full);
    full->struct_size = sizeof *full;
    return AMUN_OK;
}

amun_status amun_report_add(amun_report *report, const char *method, uint64_t seed,
                            const amun_audit *audit, double seconds)
{
    amun__enter();
    amun_audit full;
    AMUN__CHECK(amun__object_check(report, AMUN__TAG_REPORT, "report"));
    AMUN__CHECK(check_name(method, "method"));
    AMUN__CHECK(read_audit(&full, audit));
    if (!(seconds >= 0.0) || isinf(seconds)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "seconds: %g", seconds);
    }
    amun_context *ctx = report->object.ctx;
    if (report->count == report->room) {
        size_t room = report->room == 0 ? 16 : 2 * report->room;
        AMUN__CHECK(amun__realloc(ctx, &report->runs, room, sizeof *report->runs));
        report->room = room;
    }
    run *r = &report->runs[report->count];
    *r = (run){.seed = seed, .seconds = seconds, .audit = full};
    AMUN__CHECK(amun__strdup(ctx, &r->method, method));
    report->count++;
    return AMUN_OK;
}

amun_status amun_report_add_provenance(amun_report *report, const char *key, const char *json)
{
    amun__enter();
    static const char *const reserved[] = {"library", "version", "abi",   "rng",
                                           "threads", "backend", "build", "forget_seeds"};
    json_t *value = NULL;
    AMUN__CHECK(amun__object_check(report, AMUN__TAG_REPORT, "report"));
    AMUN__CHECK(check_name(key, "key"));
    if (json == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "json is NULL");
    }
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strcmp(key, reserved[i]) == 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "key: \"%s\" is the report's own", key);
        }
    }
    AMUN__CHECK(amun__json_parse(&value, json, strlen(json), key));
    if (!json_is_object(value)) {
        json_decref(value);
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: not a JSON object", key);
    }
    if (json_object_set_new(report->provenance, key, value) != 0) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    return AMUN_OK;
}

amun_status amun_report_get(const amun_report *report, const char *method, amun_audit *mean,
                            amun_audit *sd, double *seconds)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(report, AMUN__TAG_REPORT, "report"));
    AMUN__CHECK(check_name(method, "method"));
    summary s;
    summarise(report, method, &s);
    if (s.runs == 0) {
        return amun__fail(AMUN_ERROR_NOT_FOUND, "method: no run of \"%s\"", method);
    }
    amun_audit m = {.struct_size = sizeof m}, d = {.struct_size = sizeof d};
    double method_seconds = 0.0;
    for (int k = 0; k < VALUES; k++) {
        store_value(&m, &method_seconds, k, s.mean[k]);
        store_value(&d, NULL, k, s.sd[k]);
    }
    m.seconds = method_seconds;
    d.seconds = s.sd[SECONDS];
    m.nonpositive = s.nonpositive;
    m.references = s.references;
    if (mean != NULL) {
        AMUN__CHECK(amun__result_write(mean, &m, sizeof m, "mean"));
    }
    if (sd != NULL) {
        AMUN__CHECK(amun__result_write(sd, &d, sizeof d, "sd"));
    }
    if (seconds != NULL) {
        *seconds = method_seconds;
    }
    return AMUN_OK;
}

/* ---- table ----------------------------------------------------------------------------------- */

enum { COLUMNS = 7, CELL = 96 };

static void format_number(char *cell, double mean, double sd, int digits)
{
    if (isnan(mean)) {
        snprintf(cell, CELL, "-");
    } else if (isnan(sd)) {
        snprintf(cell, CELL, "%.*f", digits, mean);
    } else {
        snprintf(cell, CELL, "%.*f +- %.*f", digits, mean, digits, sd);
    }
}

static void format_row(const amun_report *report, const char *method, char cells[COLUMNS][CELL])
{
    static const char *const shown[COLUMNS] = {NULL, "ua", "ra", "ta", "ft_auc", "mis", "seconds"};
    summary s;
    summarise(report, method, &s);
    snprintf(cells[0], CELL, "%s", method);
    for (int c = 1; c < COLUMNS; c++) {
        for (int k = 0; k < VALUES; k++) {
            if (strcmp(name_of(k), shown[c]) == 0) {
                format_number(cells[c], s.mean[k], s.sd[k], 2);
            }
        }
    }
}

/* snprintf at a position that may lie beyond the end; counts what would have been written. */
static void append(char *buf, size_t cap, size_t *used, const char *text, size_t width, bool left)
{
    size_t length = strlen(text);
    size_t padding = width > length ? width - length : 0;
    for (size_t i = 0; i < length + padding; i++, (*used)++) {
        bool blank = left ? i >= length : i < padding;
        char c = blank ? ' ' : text[left ? i : i - padding];
        if (*used + 1 < cap) {
            buf[*used] = c;
        }
    }
}

static void append_row(char *buf, size_t cap, size_t *used, char cells[COLUMNS][CELL],
                       const size_t *widths)
{
    for (int c = 0; c < COLUMNS; c++) {
        if (c > 0) {
            append(buf, cap, used, "  ", 0, true);
        }
        append(buf, cap, used, cells[c], widths[c], c == 0);
    }
    append(buf, cap, used, "\n", 0, true);
}

amun_status amun_report_table(const amun_report *report, char *buf, size_t cap, size_t *needed)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(report, AMUN__TAG_REPORT, "report"));
    if (buf == NULL && cap > 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "buf is NULL, cap is %zu", cap);
    }
    char head[COLUMNS][CELL] = {"method", "UA", "RA", "TA", "FT-AUC", "MIS", "seconds"};
    char cells[COLUMNS][CELL];
    size_t widths[COLUMNS], used = 0;
    for (int c = 0; c < COLUMNS; c++) {
        widths[c] = strlen(head[c]);
    }
    for (size_t i = 0; i < report->count; i++) {
        format_row(report, report->runs[i].method, cells);
        for (int c = 0; c < COLUMNS; c++) {
            widths[c] = strlen(cells[c]) > widths[c] ? strlen(cells[c]) : widths[c];
        }
    }
    append_row(buf, cap, &used, head, widths);
    for (size_t i = 0; i < report->count; i++) {
        if (starts_method(report, i)) {
            format_row(report, report->runs[i].method, cells);
            append_row(buf, cap, &used, cells, widths);
        }
    }
    if (cap > 0) {
        buf[used < cap ? used : cap - 1] = '\0';
    }
    if (needed != NULL) {
        *needed = used + 1;
    }
    return AMUN_OK;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* JSON has no NaN: what could not be measured is null. */
static int set_number(json_t *object, const char *name, double value)
{
    return json_object_set_new(object, name, isfinite(value) ? json_real(value) : json_null());
}

static json_t *seed_value(uint64_t seed)
{
    if (seed <= UINT64_C(1) << 53) { /* larger ones lose digits in readers that use doubles */
        return json_integer((json_int_t)seed);
    }
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    return json_string(text);
}

static json_t *run_json(const run *r)
{
    json_t *object = json_object();
    int failed = json_object_set_new(object, "seed", seed_value(r->seed));
    for (int k = 0; k < VALUES; k++) {
        failed |= set_number(object, name_of(k), value_of(r, k));
    }
    failed |= json_object_set_new(object, "nonpositive", json_integer(r->audit.nonpositive));
    failed |= json_object_set_new(object, "references", json_integer(r->audit.references));
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* Average gap to retraining in percent points: mean over the runs of
 * (|UA - UA*| + |RA - RA*| + |TA - TA*| + |FT AUC - FT AUC*|) / 4, starred: means of "retrain". */
static double average_gap(const amun_report *report, const char *method)
{
    summary star;
    double sum = 0.0;
    size_t runs = 0;
    summarise(report, "retrain", &star);
    if (star.runs == 0) {
        return NAN;
    }
    for (size_t i = 0; i < report->count; i++) {
        if (strcmp(report->runs[i].method, method) == 0) {
            for (int k = 0; k < 4; k++) { /* the first four figures are these */
                sum += 0.25 * fabs(value_of(&report->runs[i], k) - star.mean[k]);
            }
            runs++;
        }
    }
    return sum / (double)runs;
}

static json_t *method_json(const amun_report *report, const char *method)
{
    summary s;
    summarise(report, method, &s);
    json_t *object = json_object(), *spread = json_object(), *per_run = json_array();
    int failed = json_object_set_new(object, "name", json_string(method));
    for (int k = 0; k < VALUES; k++) {
        failed |= set_number(object, name_of(k), s.mean[k]);
        failed |= set_number(spread, name_of(k), s.sd[k]);
    }
    for (size_t i = 0; i < report->count; i++) {
        if (strcmp(report->runs[i].method, method) == 0) {
            failed |= json_array_append_new(per_run, run_json(&report->runs[i]));
        }
    }
    failed |= set_number(object, "gap", average_gap(report, method));
    failed |= json_object_set_new(object, "runs", json_integer((json_int_t)s.runs));
    failed |= json_object_set_new(object, "nonpositive", json_integer(s.nonpositive));
    failed |= json_object_set(object, "spread", spread);
    failed |= json_object_set(object, "per_run", per_run);
    json_decref(spread);
    json_decref(per_run);
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* Sums over all runs, next to whatever the caller added under the key "timings". */
static int add_timings(const amun_report *report, json_t *provenance)
{
    double methods = 0.0, audits = 0.0;
    for (size_t i = 0; i < report->count; i++) {
        methods += report->runs[i].seconds;
        audits += report->runs[i].audit.seconds;
    }
    json_t *timings = json_deep_copy(json_object_get(provenance, "timings"));
    timings = timings != NULL ? timings : json_object();
    int failed = set_number(timings, "methods", methods);
    failed |= set_number(timings, "audits", audits);
    return json_object_set_new(provenance, "timings", timings) | failed;
}

static amun_status provenance_json(json_t **out, const amun_report *report)
{
    AMUN__CHECK(amun__json_provenance(out, report->object.ctx));
    json_t *seeds = json_array();
    int failed = json_object_update(*out, report->provenance);
    for (size_t i = 0; i < report->count; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++) {
            seen = report->runs[k].seed == report->runs[i].seed;
        }
        if (!seen) {
            failed |= json_array_append_new(seeds, seed_value(report->runs[i].seed));
        }
    }
    failed |= json_object_set_new(*out, "forget_seeds", seeds);
    failed |= add_timings(report, *out);
    if (failed) {
        json_decref(*out);
        *out = NULL;
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    return AMUN_OK;
}

static amun_status report_json(json_t **out, const amun_report *report)
{
    json_t *provenance = NULL;
    *out = NULL;
    AMUN__CHECK(provenance_json(&provenance, report));
    json_t *methods = json_array();
    int failed = 0;
    for (size_t i = 0; i < report->count; i++) {
        if (starts_method(report, i)) {
            failed |= json_array_append_new(methods, method_json(report, report->runs[i].method));
        }
    }
    *out = json_pack("{s:s, s:s, s:s, s:I, s:i, s:o, s:o}", "schema", "amun.report/1", "dataset",
                     report->dataset, "arch", report->arch, "forget_count",
                     (json_int_t)report->forget_count, "references", (int)report->references,
                     "methods", methods, "provenance", provenance);
    if (*out == NULL || failed) {
        json_decref(*out);
        *out = NULL;
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "no memory for JSON");
    }
    return AMUN_OK;
}

amun_status amun_report_write(const amun_report *report, const char *path)
{
    amun__enter();
    amun_status status = AMUN_OK;
    json_t *root = NULL;
    char *text = NULL;
    AMUN__TRY(amun__object_check(report, AMUN__TAG_REPORT, "report"));
    if (path == NULL) {
        AMUN__FAIL(AMUN_ERROR_INVALID_ARGUMENT, "path is NULL");
    }
    AMUN__TRY(report_json(&root, report));
    AMUN__TRY(amun__json_text(&text, root, JSON_INDENT(2)));
    const amun__chunk chunks[2] = {{text, strlen(text)}, {"\n", 1}};
    AMUN__TRY(amun__file_write(report->object.ctx, path, chunks, 2));
fail:
    free(text);
    json_decref(root);
    return status;
}
