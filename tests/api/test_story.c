/* test_story.c - the main job on the digits at a size that a test can afford, three times with
 * other seeds and forget sets, and its means against a table of figures. What has to hold on every
 * machine is asserted without the table; the table finds a drift that the story survives. */
#include "job.h"

enum { RUNS = 3, FORGET = 60 };
static const uint64_t seeds[RUNS] = {1, 10, 100};

typedef struct figures {
    double ua, ra, ta, ft_auc;
} figures;
enum { ORIGINAL, RETRAIN, AMUN, AMUN_DF, METHODS };
static const char *const names[METHODS] = {"original", "retrain", "amun", "amun_df"};

/* Means of the three runs in percent, in the middle of what oneDNN 2.6.3 gave with one thread, with
 * two, and with two and no AVX-512. They differ, since SGD amplifies rounding: by up to 1.7 in UA,
 * 1.7 in TA and 2.7 in FT AUC. One sample is 0.6 of UA, 0.1 of RA and TA. */
static const figures table[METHODS] = {
    [ORIGINAL] = {100.0, 100.0, 97.6, 78.0},
    [RETRAIN] = {98.6, 100.0, 97.3, 53.4},
    [AMUN] = {99.4, 99.9, 95.6, 56.7},
    [AMUN_DF] = {98.0, 99.4, 92.2, 54.5},
};
static const figures tolerance[METHODS] = {
    [ORIGINAL] = {0.6, 0.5, 1.5, 5.0},
    [RETRAIN] = {2.0, 0.5, 1.5, 5.0},
    [AMUN] = {2.0, 1.0, 2.0, 5.0},
    [AMUN_DF] = {5.0, 4.0, 5.0, 6.0},
};

static figures mean[METHODS];
static double loss[METHODS]; /* of the forget samples */
static size_t found;
static int64_t failed;

static void add(figures *sum, const amun_audit *audit)
{
    sum->ua += audit->ua / RUNS;
    sum->ra += audit->ra / RUNS;
    sum->ta += audit->ta / RUNS;
    sum->ft_auc += audit->ft_auc / RUNS;
}

static void print_means(void)
{
    for (int m = 0; m < METHODS; m++) {
        printf("# %-8s UA %.2f RA %.2f TA %.2f FT AUC %.2f, forget loss %.4f\n", names[m],
               mean[m].ua, mean[m].ra, mean[m].ta, mean[m].ft_auc, loss[m]);
    }
}

/* First, and a test of its own: the others look at what it left. */
START_TEST(jobs_run)
{
    for (int k = 0; k < RUNS; k++) {
        char folder[4096];
        job_result got;
        snprintf(folder, sizeof folder, "%s", api_path("job"));
        const job_form form = {.folder = folder,
                               .threads = 1,
                               .epochs = 12,
                               .unlearn_epochs = 6,
                               .references = 8,
                               .batch = 16,
                               .train = 300,
                               .test = 300,
                               .forget = FORGET,
                               .seed = seeds[k],
                               .unlearn_lr = 0.05};
        job_run(&form, &got);
        const amun_audit *all[METHODS] = {&got.original, &got.retrain, &got.amun, &got.amun_df};
        for (int m = 0; m < METHODS; m++) {
            add(&mean[m], all[m]);
            loss[m] += got.forget_loss[m] / RUNS;
        }
        found += got.found;
        failed += got.unlearned.failed;
        ck_assert_int_eq(got.unlearned.forget, FORGET);
        ck_assert_int_eq(got.unlearned.adversarial, FORGET);
        ck_assert_int_eq(got.unlearned.remain, 300 - FORGET);
    }
    print_means();
}
END_TEST

/* The search finds a wrong label near every forget sample. */
START_TEST(attacks_succeed)
{
    ck_assert_uint_eq(found, RUNS * FORGET);
    ck_assert_int_eq(failed, 0);
}
END_TEST

/* The original knows its training samples, the retrained model does not know the forgotten ones,
 * and AMUN comes closer to the latter than to the former. */
START_TEST(forgetting_shows)
{
    /* Digits are so easy that a retrained model is right about 99 of 100 samples that it never saw,
     * and AMUN with D_R may be right about all: accuracy cannot rise, it need not fall. What does
     * move is how sure the models are. */
    ck_assert(mean[ORIGINAL].ua >= mean[AMUN].ua && mean[ORIGINAL].ua >= mean[AMUN_DF].ua);
    ck_assert(2 * mean[ORIGINAL].ua > mean[AMUN].ua + mean[AMUN_DF].ua);
    ck_assert(mean[ORIGINAL].ua > mean[RETRAIN].ua);
    for (int m = RETRAIN; m < METHODS; m++) {
        ck_assert_msg(loss[m] > 4 * loss[ORIGINAL], "%s: loss %g", names[m], loss[m]);
    }
    ck_assert(mean[ORIGINAL].ft_auc > mean[RETRAIN].ft_auc + 10);
    for (int m = AMUN; m <= AMUN_DF; m++) {
        double gone = mean[ORIGINAL].ft_auc - mean[m].ft_auc;
        double left = fabs(mean[m].ft_auc - mean[RETRAIN].ft_auc);
        ck_assert_msg(gone > 10 && gone > 2 * left, "%s: FT AUC %g", names[m], mean[m].ft_auc);
    }
    ck_assert(mean[AMUN].ta > mean[ORIGINAL].ta - 3);
    ck_assert(mean[AMUN].ra > 98);
}
END_TEST

static void compare(const char *method, const char *what, double got, double expected,
                    double within)
{
    ck_assert_msg(fabs(got - expected) <= within, "%s: %s is %.2f, was %.2f (within %.2f)", method,
                  what, got, expected, within);
}

START_TEST(golden_table)
{
    for (int m = 0; m < METHODS; m++) {
        compare(names[m], "UA", mean[m].ua, table[m].ua, tolerance[m].ua);
        compare(names[m], "RA", mean[m].ra, table[m].ra, tolerance[m].ra);
        compare(names[m], "TA", mean[m].ta, table[m].ta, tolerance[m].ta);
        compare(names[m], "FT AUC", mean[m].ft_auc, table[m].ft_auc, tolerance[m].ft_auc);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("story");
    tcase_add_test(tc, jobs_run);
    tcase_add_test(tc, attacks_succeed);
    tcase_add_test(tc, forgetting_shows);
    tcase_add_test(tc, golden_table);
    return api_main("story", (TCase *[]){tc, NULL});
}
