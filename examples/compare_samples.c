/* compare_samples.c - comparison on random forget sets, through RMIA (arXiv 2312.03262): the table
 * of the AMUN paper. */
#include <inttypes.h>

#include "compare.h"

/* What the average gap is made of (arXiv 2503.00917, section 6). */
enum { UA, RA, TA, AUC, TERMS };

typedef struct row {
    const char *name;
    double *figures[TERMS], *mis, *seconds; /* [seeds] */
} row;

typedef struct table {
    row *rows; /* original, retrain, then the methods */
    size_t count, seeds;
    amun_mia *mia;
} table;

static double *new_column(size_t count)
{
    double *values = ex_alloc(count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i] = (double)NAN;
    }
    return values;
}

static void table_open(table *t, const compare_job *job)
{
    t->count = 2 + job->row_count;
    t->seeds = (size_t)job->seeds;
    t->rows = ex_alloc(t->count, sizeof *t->rows);
    for (size_t r = 0; r < t->count; r++) {
        t->rows[r].name = r == 0 ? "original" : r == 1 ? "retrain" : job->rows[r - 2].text;
        for (int k = 0; k < TERMS; k++) {
            t->rows[r].figures[k] = new_column(t->seeds);
        }
        t->rows[r].mis = new_column(t->seeds);
        t->rows[r].seconds = new_column(t->seeds);
    }
}

static void table_close(table *t)
{
    for (size_t r = 0; r < t->count; r++) {
        for (int k = 0; k < TERMS; k++) {
            free(t->rows[r].figures[k]);
        }
        free(t->rows[r].mis);
        free(t->rows[r].seconds);
    }
    free(t->rows);
    amun_mia_unref(t->mia);
}

static void audit(table *t, size_t r, size_t seed, const compare_case *c, const amun_model *model,
                  double seconds)
{
    amun_audit figures = {.struct_size = sizeof figures};
    ex_check(amun_mia_audit(&figures, t->mia, model, c->forget, c->count, NULL));
    row *to = &t->rows[r];
    to->figures[UA][seed] = figures.ua;
    to->figures[RA][seed] = figures.ra;
    to->figures[TA][seed] = figures.ta;
    to->figures[AUC][seed] = figures.ft_auc;
    to->mis[seed] = figures.mis;
    to->seconds[seed] = seconds;
}

static void run_seed(table *t, const compare_job *job, size_t number)
{
    static const int64_t forget_seeds[] = {1, 10, 100}; /* of the published forget sets */
    int64_t forget_seed = number < 3 ? forget_seeds[number] : 1000 + (int64_t)number;
    compare_case c = {.seed = (uint64_t)ex_args.seed + number};
    int64_t *forget = ex_forget_indices(
        &c.count, &job->data, &(ex_forget){.count = job->forget_count, .seed = forget_seed});
    double seconds = 0.0;
    c.forget = forget;
    c.key = ex_format("forget %zu of seed %" PRId64, c.count, forget_seed);
    c.original = compare_train(job, "original", NULL, c.seed, &c.original_seconds);
    if (t->mia == NULL) {
        t->mia = ex_work_references(job->ctx, &job->data, job->work, job->base, c.original,
                                    &job->train, job->references, &seconds);
    }
    audit(t, 0, number, &c, c.original, c.original_seconds);
    amun_model *retrained = compare_train(job, "retrain", &c, c.seed + 100, &seconds);
    audit(t, 1, number, &c, retrained, seconds);
    amun_model_unref(retrained);
    for (size_t r = 0; r < job->row_count; r++) {
        amun_model *model = compare_unlearn(job, &job->rows[r], &c, &seconds);
        audit(t, 2 + r, number, &c, model, seconds);
        amun_model_unref(model);
    }
    amun_advset_unref(c.set);
    amun_model_unref(c.original);
    free(c.key);
    free(forget);
}

/* Of each run against the means over the retrained models. */
static void gaps(const table *t, size_t r, double *gap)
{
    for (size_t s = 0; s < t->seeds; s++) {
        gap[s] = 0.0;
        for (int k = 0; k < TERMS; k++) {
            double mean, sd;
            compare_spread(t->rows[1].figures[k], t->seeds, &mean, &sd);
            gap[s] += fabs(t->rows[r].figures[k][s] - mean) / TERMS;
        }
    }
}

static void write_row(ex_json *json, const table *t, size_t r)
{
    static const char *const names[TERMS] = {"ua", "ra", "ta", "ft_auc"};
    double *gap = new_column(t->seeds), mean, sd;
    const row *from = &t->rows[r];
    gaps(t, r, gap);
    ex_json_object_begin(json);
    ex_json_text(json, "name", from->name);
    printf("%-28.60s", from->name);
    for (int k = 0; k < TERMS; k++) {
        compare_spread(from->figures[k], t->seeds, &mean, &sd);
        compare_print(mean, sd);
        ex_json_reals(json, names[k], from->figures[k], t->seeds);
    }
    compare_spread(gap, t->seeds, &mean, &sd);
    compare_print(mean, sd);
    compare_spread(from->mis, t->seeds, &mean, &sd);
    compare_print(mean, sd);
    compare_spread(from->seconds, t->seeds, &mean, &sd);
    printf(" %9.2f\n", mean);
    ex_json_reals(json, "gap", gap, t->seeds);
    ex_json_reals(json, "mis", from->mis, t->seeds);
    ex_json_reals(json, "seconds", from->seconds, t->seeds);
    ex_json_object_end(json);
    free(gap);
}

void compare_samples(const compare_job *job)
{
    table t = {0};
    ex_json json;
    table_open(&t, job);
    for (size_t s = 0; s < t.seeds; s++) {
        run_seed(&t, job, s);
    }
    printf("\n%-28s %15s %15s %15s %15s %15s %15s %9s\n", "", "UA", "RA", "TA", "FT-AUC", "gap",
           "MIS", "seconds");
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "schema", "amun.compare/1");
    ex_json_text(&json, "forget", "samples");
    ex_json_text(&json, "made_from", job->base);
    ex_json_int(&json, "references", job->references);
    ex_json_array_begin(&json, "rows");
    for (size_t r = 0; r < t.count; r++) {
        write_row(&json, &t, r);
    }
    ex_json_array_end(&json);
    ex_json_close(&json);
    table_close(&t);
}
