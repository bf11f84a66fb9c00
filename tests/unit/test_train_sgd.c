/* test_train_sgd.c - the arithmetic of the training loop against a plain oracle in double. */
#include "train/train.h"
#include "training.h"

/* ---- an oracle: softmax regression by SGD or Adam, in double, as PyTorch would
 * -------------------------
 */

enum { N = 10, PIXELS = 6, CLASSES = 3, WEIGHTS = CLASSES * PIXELS + CLASSES };

typedef struct oracle {
    double w[WEIGHTS], v[WEIGHTS]; /* rows of weights, then biases */
    double squares[WEIGHTS];       /* Adam's second moment */
    int steps;
    double loss; /* sum over the epoch */
    int right;
} oracle;

static void oracle_logits(const oracle *o, const float *x, double z[CLASSES])
{
    for (int k = 0; k < CLASSES; k++) {
        z[k] = o->w[CLASSES * PIXELS + k];
        for (int i = 0; i < PIXELS; i++) {
            z[k] += o->w[k * PIXELS + i] * (double)x[i];
        }
    }
}

static void oracle_gradient(oracle *o, const float *x, int64_t label, double smoothing, double n,
                            double g[WEIGHTS])
{
    double z[CLASSES], sum = 0.0;
    int best = 0;
    oracle_logits(o, x, z);
    for (int k = 0; k < CLASSES; k++) {
        sum += exp(z[k]);
        best = z[k] > z[best] ? k : best;
    }
    o->right += best == label;
    for (int k = 0; k < CLASSES; k++) {
        double p = exp(z[k]) / sum;
        double target = (k == label ? 1.0 - smoothing : 0.0) + smoothing / CLASSES;
        o->loss -= target * log(p);
        for (int i = 0; i < PIXELS; i++) {
            g[k * PIXELS + i] += (p - target) * (double)x[i] / n;
        }
        g[CLASSES * PIXELS + k] += (p - target) / n;
    }
}

static void oracle_update(oracle *o, const double g[WEIGHTS], const amun_train_options *t,
                          double lr)
{
    o->steps++;
    for (int i = 0; i < WEIGHTS; i++) {
        double d = g[i] + t->weight_decay * o->w[i];
        if (t->optimiser == AMUN_OPTIMISER_ADAM) {
            o->v[i] = t->momentum * o->v[i] + (1.0 - t->momentum) * d;
            o->squares[i] = 0.999 * o->squares[i] + 0.001 * d * d;
            double m = o->v[i] / (1.0 - pow(t->momentum, o->steps));
            o->w[i] -= lr * m / (sqrt(o->squares[i] / (1.0 - pow(0.999, o->steps))) + 1e-8);
            continue;
        }
        o->v[i] = o->steps > 1 ? t->momentum * o->v[i] + d : d;
        o->w[i] -= lr * (t->nesterov ? d + t->momentum * o->v[i] : o->v[i]);
    }
}

/* `lr` of each epoch. The order of the samples is the documented one: a shuffle per epoch. */
static void oracle_train(oracle *o, const blobs *b, const amun_train_options *t, const double *lr)
{
    for (int32_t e = 0; e < t->epochs; e++) {
        int64_t order[N];
        for (int i = 0; i < N; i++) {
            order[i] = i;
        }
        amun__rng rng;
        amun__rng_open(&rng, t->seed, AMUN__RNG_SHUFFLE, (uint32_t)e, 0);
        amun__rng_shuffle(&rng, order, N);
        o->loss = 0.0;
        o->right = 0;
        for (int first = 0; first < N; first += t->batch) {
            int n = N - first < t->batch ? N - first : t->batch;
            double g[WEIGHTS] = {0};
            for (int i = first; i < first + n; i++) {
                oracle_gradient(o, b->images + order[i] * PIXELS, b->labels[order[i]],
                                t->label_smoothing, n, g);
            }
            oracle_update(o, g, t, lr[e]);
        }
    }
}

static void against_oracle(amun_train_options t, const double *lr)
{
    test_allocator allocator = {0};
    amun_context *ctx = test_context(&allocator);
    blobs b;
    blobs_make(&b, ctx, N, 1, 2, 3, CLASSES, 5);
    amun_model *model = linear_model(ctx, 1, 2, 3, CLASSES, 3);
    float weight[CLASSES * PIXELS], bias[CLASSES];
    ck_ok(amun_model_get_tensor(model, "fc.weight", weight, CLASSES * PIXELS));
    ck_ok(amun_model_get_tensor(model, "fc.bias", bias, CLASSES));
    oracle o = {.steps = 0};
    for (int i = 0; i < WEIGHTS; i++) {
        o.w[i] = (double)(i < CLASSES * PIXELS ? weight[i] : bias[i - CLASSES * PIXELS]);
    }
    oracle_train(&o, &b, &t, lr);
    amun_train_result result = {.struct_size = sizeof result};
    ck_ok(amun_train_run(&result, model, b.data, NULL, 0, &t, NULL));
    ck_ok(amun_model_get_tensor(model, "fc.weight", weight, CLASSES * PIXELS));
    ck_ok(amun_model_get_tensor(model, "fc.bias", bias, CLASSES));
    for (int i = 0; i < WEIGHTS; i++) {
        double here = (double)(i < CLASSES * PIXELS ? weight[i] : bias[i - CLASSES * PIXELS]);
        ck_close(here, o.w[i], 2e-5);
    }
    ck_close(result.loss, o.loss / N, 1e-5);
    ck_close(result.accuracy, 100.0 * o.right / N, 1e-12);
    ck_assert_int_eq(result.epochs, t.epochs);
    ck_assert_int_eq(result.samples, (int64_t)t.epochs * N);
    ck_assert(result.seconds >= 0.0);
    amun_model_unref(model);
    blobs_free(&b);
    amun_context_unref(ctx);
    ck_assert_int_eq(allocator.live_blocks, 0);
    ck_assert_int_eq(allocator.wrong, 0);
}

/* Batches of 4, 4 and 2: momentum, weight decay, a rate that falls. */
START_TEST(momentum)
{
    amun_train_options t = train_options(4, 4, 0.5);
    t.weight_decay = 0.01;
    t.step_epochs = 2;
    t.seed = 9;
    against_oracle(t, (const double[]){0.5, 0.5, 0.05, 0.05});
}
END_TEST

START_TEST(nesterov)
{
    amun_train_options t = train_options(3, 4, 0.3);
    t.nesterov = 1;
    t.weight_decay = 0.05;
    t.label_smoothing = 0.2;
    t.seed = 1;
    against_oracle(t, (const double[]){0.3, 0.3, 0.3});
}
END_TEST

/* Batches of 4, 4 and 2, two rates; and without a first moment. */
START_TEST(adam)
{
    amun_train_options t = train_options(4, 4, 0.02);
    t.optimiser = AMUN_OPTIMISER_ADAM;
    t.weight_decay = 0.01;
    t.step_epochs = 2;
    t.seed = 9;
    against_oracle(t, (const double[]){0.02, 0.02, 0.002, 0.002});
    t.momentum = 0.0;
    against_oracle(t, (const double[]){0.02, 0.02, 0.002, 0.002});
}
END_TEST

START_TEST(adam_without_nesterov)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    blobs b;
    blobs_make(&b, ctx, N, 1, 2, 3, CLASSES, 5);
    amun_model *model = linear_model(ctx, 1, 2, 3, CLASSES, 3);
    amun_train_options t = train_options(1, 4, 0.02);
    t.optimiser = AMUN_OPTIMISER_ADAM;
    t.nesterov = 1;
    ck_fails(amun_train_run(NULL, model, b.data, NULL, 0, &t, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "nesterov is 1");
    t.optimiser = 3;
    ck_fails(amun_train_run(NULL, model, b.data, NULL, 0, &t, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "optimiser");
    amun_model_unref(model);
    blobs_free(&b);
    amun_context_unref(ctx);
}
END_TEST

START_TEST(no_momentum)
{
    amun_train_options t = train_options(3, 3, 0.3);
    t.momentum = 0.0;
    t.schedule = AMUN_SCHEDULE_CONSTANT;
    against_oracle(t, (const double[]){0.3, 0.3, 0.3});
}
END_TEST

START_TEST(batch_of_one)
{
    amun_train_options t = train_options(2, 1, 0.1);
    against_oracle(t, (const double[]){0.1, 0.1});
}
END_TEST

START_TEST(batch_beyond_the_data)
{
    amun_train_options t = train_options(5, 60000, 0.4);
    against_oracle(t, (const double[]){0.4, 0.4, 0.4, 0.4, 0.4});
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("train_sgd");
    tcase_add_test(tc, momentum);
    tcase_add_test(tc, nesterov);
    tcase_add_test(tc, adam);
    tcase_add_test(tc, adam_without_nesterov);
    tcase_add_test(tc, no_momentum);
    tcase_add_test(tc, batch_of_one);
    tcase_add_test(tc, batch_beyond_the_data);
    return amun_test_main("train_sgd", (TCase *[]){tc, NULL});
}
