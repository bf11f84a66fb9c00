/* compare_tables.c - the tables on forgotten classes, their JSON, and the picture of where the
 * forgotten images go. */
#include "compare_class.h"
#include "picture.h"

static const char *const figure_names[FIGURES] = {
    "acc_r", "acc_f",   "acc_df",    "mia_kodge",   "miann_gap",       "miann_top_gap", "c2st",
    "tv",    "probe_f", "probe_auc", "prototype_f", "prototype_acc_r", "loss_attack"};

static void write_row(ex_json *json, const table *t, const row *r)
{
    double mean, sd;
    ex_json_object_begin(json);
    ex_json_text(json, "name", r->name);
    printf("%-28.60s", r->name);
    for (int k = 0; k < FIGURES; k++) {
        compare_spread(r->figures[k], r->runs, &mean, &sd);
        if (k < INSIDE) {
            compare_print(mean, sd);
        }
        ex_json_reals(json, figure_names[k], r->figures[k], r->runs);
    }
    if (isnan(r->ulira)) {
        printf(" %8s", "-");
    } else {
        printf(" %8.2f", r->ulira);
    }
    compare_spread(r->seconds, r->runs, &mean, &sd);
    printf(" %9.2f\n", mean);
    ex_json_real(json, "ulira_auc", r->ulira);
    ex_json_reals(json, "routing", r->routing, t->classes);
    ex_json_reals(json, "seconds", r->seconds, r->runs);
    ex_json_object_end(json);
}

static void print_inside(const table *t)
{
    printf("\nwhat is left inside, percent; retrain is what to meet:\n%-28s %15s %15s %15s %15s "
           "%15s\n",
           "", "probe ACC_f", "probe AUC", "5 samples ACC_f", "ACC_r with it", "loss attack");
    for (size_t r = 0; r < t->count; r++) {
        printf("%-28.60s", t->rows[r].name);
        for (int k = INSIDE; k < FIGURES; k++) {
            double mean, sd;
            compare_spread(t->rows[r].figures[k], t->rows[r].runs, &mean, &sd);
            compare_print(mean, sd);
        }
        printf("\n");
    }
}

static void print_routing(const table *t)
{
    printf("\nwhere the test images of the forgotten classes go, percent:\n%-28s", "");
    for (size_t k = 0; k < t->classes; k++) {
        printf(" %6zu", k);
    }
    printf("\n");
    for (size_t r = 0; r < t->count; r++) {
        printf("%-28.60s", t->rows[r].name);
        for (size_t k = 0; k < t->classes; k++) {
            printf(" %6.1f", t->rows[r].routing[k]);
        }
        printf("\n");
    }
}

static void draw_routing(const table *t)
{
    double *cells = ex_alloc(t->count * t->classes, sizeof *cells);
    for (size_t r = 0; r < t->count; r++) {
        for (size_t k = 0; k < t->classes; k++) {
            cells[r * t->classes + k] = t->rows[r].routing[k] / 100.0;
        }
    }
    ex_png_cells(t->job->png, cells, t->count, t->classes);
    free(cells);
}

void compare_class_report(const table *t)
{
    ex_json json;
    printf("\n%-28s %15s %15s %15s %15s %15s %15s %15s %15s %8s %9s\n", "", "ACC_r", "ACC_f",
           "ACC_f train", "MIA (Kodge)", "MIA-NN gap", "top gap", "C2ST", "TV", "U-LiRA",
           "seconds");
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "schema", "amun.compare/1");
    ex_json_text(&json, "forget", "classes");
    ex_json_text(&json, "classes", t->job->classes);
    ex_json_text(&json, "made_from", t->job->base);
    ex_json_array_begin(&json, "rows");
    for (size_t r = 0; r < t->count; r++) {
        write_row(&json, t, &t->rows[r]);
    }
    ex_json_array_end(&json);
    ex_json_close(&json);
    print_inside(t);
    print_routing(t);
    if (t->job->png != NULL) {
        draw_routing(t);
    }
}
