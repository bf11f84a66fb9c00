/* test_schedule.c - learning rates against formulas that are not the library's own. */
#include "support.h"
#include "train/train.h"

static amun_train_options options(amun_schedule schedule, int32_t epochs, double lr)
{
    amun_train_options o;
    ck_ok(amun_train_options_init(&o, sizeof o));
    o.schedule = schedule;
    o.epochs = epochs;
    o.lr = lr;
    return o;
}

/* The defaults are those of the public header. */
START_TEST(defaults)
{
    amun_train_options o;
    ck_ok(amun_train_options_init(&o, sizeof o));
    ck_assert_int_eq(o.epochs, 200);
    ck_assert_int_eq(o.batch, 128);
    ck_assert_int_eq(o.schedule, AMUN_SCHEDULE_STEP);
    ck_assert_int_eq(o.step_epochs, 40);
    ck_assert_int_eq(o.augment_pad, 4);
    ck_assert_int_eq(o.augment_flip, 1);
    ck_assert_int_eq(o.nesterov, 0);
    ck_assert_int_eq(o.checkpoint_every, 1);
    ck_assert(o.lr == 0.1 && o.momentum == 0.9 && o.weight_decay == 5e-4 && o.gamma == 0.1);
    ck_assert(o.warmup == 0.25 && o.final_factor == 0.0 && o.label_smoothing == 0.0);
    ck_assert(o.seed == 0 && o.checkpoint == NULL);
}
END_TEST

START_TEST(constant)
{
    amun_train_options o = options(AMUN_SCHEDULE_CONSTANT, 7, 0.03);
    for (int64_t e = 0; e < 7; e++) {
        for (int64_t s = 0; s < 5; s++) {
            ck_assert(amun__schedule_lr(&o, e, s, 5) == 0.03);
        }
    }
}
END_TEST

/* PyTorch's StepLR as it is written there: a running rate, multiplied at each multiple. */
START_TEST(step)
{
    for (int32_t every = 1; every <= 4; every++) {
        amun_train_options o = options(AMUN_SCHEDULE_STEP, 12, 0.1);
        o.step_epochs = every;
        o.gamma = 0.3;
        double lr = 0.1;
        for (int64_t e = 0; e < 12; e++) {
            if (e > 0 && e % every == 0) {
                lr *= 0.3;
            }
            for (int64_t s = 0; s < 3; s++) {
                ck_assert(fabs(amun__schedule_lr(&o, e, s, 3) / lr - 1.0) < 1e-12);
            }
        }
    }
    /* 201 epochs of the paper's base models end at 1e-6 */
    amun_train_options o = options(AMUN_SCHEDULE_STEP, 201, 0.1);
    ck_close(amun__schedule_lr(&o, 200, 0, 391) * 1e6, 1.0, 1e-9);
    ck_close(amun__schedule_lr(&o, 39, 390, 391), 0.1, 1e-15);
    ck_close(amun__schedule_lr(&o, 40, 0, 391), 0.01, 1e-15);
}
END_TEST

/* PyTorch's CosineAnnealingLR in its recursive form. */
START_TEST(cosine)
{
    const int64_t steps = 7, epochs = 9, total = 63;
    amun_train_options o = options(AMUN_SCHEDULE_COSINE, epochs, 0.2);
    o.warmup = 0.0;
    o.final_factor = 0.05;
    double pi = acos(-1.0), low = 0.2 * 0.05, lr = 0.2;
    for (int64_t s = 0; s < total; s++) {
        ck_close(amun__schedule_lr(&o, s / steps, s % steps, steps) * 100, lr * 100, 1e-10);
        double t = (double)s, T = (double)total;
        lr = low + (lr - low) * (1.0 + cos(pi * (t + 1.0) / T)) / (1.0 + cos(pi * t / T));
    }
}
END_TEST

/* Straight line through the points (x, y), as numpy.interp does it. */
static double interp(double at, const double x[3], const double y[3])
{
    int i = at < x[1] ? 0 : 1;
    return y[i] + (y[i + 1] - y[i]) * (at - x[i]) / (x[i + 1] - x[i]);
}

/* Zero one step before the first, the peak after the warm-up, the final rate after the last. */
START_TEST(one_cycle)
{
    const double warmups[] = {0.0, 0.1, 0.25, 0.5, 0.9};
    const int64_t steps = 11, epochs = 4, total = 44;
    for (size_t i = 0; i < sizeof warmups / sizeof warmups[0]; i++) {
        amun_train_options o = options(AMUN_SCHEDULE_ONECYCLE, epochs, 0.4);
        o.warmup = warmups[i];
        o.final_factor = 0.1;
        double peak = (double)lround(warmups[i] * (double)total);
        const double x[] = {-1.0, peak, (double)total}, y[] = {0.0, 0.4, 0.04};
        double largest = 0.0;
        for (int64_t s = 0; s < total; s++) {
            double lr = amun__schedule_lr(&o, s / steps, s % steps, steps);
            ck_close(lr * 100, interp((double)s, x, y) * 100, 1e-12);
            largest = fmax(largest, lr);
        }
        ck_close(largest, 0.4, 1e-15);
    }
}
END_TEST

/* The warm-up is the same line for both; afterwards the cosine starts anew. */
START_TEST(warm_cosine)
{
    amun_train_options o = options(AMUN_SCHEDULE_COSINE, 10, 1.0);
    o.warmup = 0.2; /* 10 of 50 steps */
    for (int64_t s = 0; s < 50; s++) {
        double lr = amun__schedule_lr(&o, s / 5, s % 5, 5);
        double expected =
            s < 10 ? (double)(s + 1) / 11.0 : pow(cos(acos(-1.0) * (double)(s - 10) / 80.0), 2.0);
        ck_close(lr, expected, 1e-12);
    }
}
END_TEST

/* One step in all, and nothing but warm-up. */
START_TEST(edges)
{
    amun_train_options o = options(AMUN_SCHEDULE_ONECYCLE, 1, 0.5);
    o.warmup = 0.25;
    ck_assert(amun__schedule_lr(&o, 0, 0, 1) == 0.5);
    o.warmup = 1.0;
    ck_close(amun__schedule_lr(&o, 0, 0, 1), 0.25, 1e-15);
    ck_close(amun__schedule_lr(&o, 0, 3, 4), 0.4, 1e-15);
    o.schedule = AMUN_SCHEDULE_COSINE;
    ck_close(amun__schedule_lr(&o, 0, 3, 4), 0.4, 1e-15);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("schedule");
    tcase_add_test(tc, defaults);
    tcase_add_test(tc, constant);
    tcase_add_test(tc, step);
    tcase_add_test(tc, cosine);
    tcase_add_test(tc, one_cycle);
    tcase_add_test(tc, warm_cosine);
    tcase_add_test(tc, edges);
    return amun_test_main("schedule", (TCase *[]){tc, NULL});
}
