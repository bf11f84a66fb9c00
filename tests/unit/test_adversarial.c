/* Adversarial training: the divergence of TRADES against its definition and central differences,
 * the images of an attack inside a step, and whole steps against a naive composition of passes. */
#include "ensemble/adversarial.h"
#include "training.h"

enum { COUNT = 12, SIDE = 6, CLASSES = 3, MEMBERS = 2, PIXELS = SIDE * SIDE };

static test_allocator allocator;
static amun_context *ctx;

/* A step of two members by hand. */
static struct {
    blobs b;
    amun_model *models[MEMBERS];
    amun__member members[MEMBERS];
    amun__batch batch;
    amun__spare spare;
    amun__joint joint;
    amun__step step;
    float targets[COUNT * CLASSES];
    int32_t labels[COUNT];
} f;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    memset(&f, 0, sizeof f);
    blobs_make(&f.b, ctx, COUNT, 1, SIDE, SIDE, CLASSES, 3);
    for (size_t i = 0; i < COUNT; i++) {
        f.labels[i] = (int32_t)f.b.labels[i];
        f.targets[i * CLASSES + (size_t)f.labels[i]] = 1.0f;
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        amun__member *m = &f.members[i];
        m->model = f.models[i] = conv_model(ctx, 1, SIDE, SIDE, CLASSES, 4 + i);
        amun_train_options t = train_options(10, 4, 0.1);
        ck_ok(amun_train_run(NULL, m->model, f.b.data, NULL, 0, &t, NULL));
        amun__model_values_get(m->model, &m->values);
        ck_ok(amun__model_lease(m->model, COUNT, AMUN__MODE_TRAIN, &m->plans[0]));
        m->diff = calloc(m->values.trainable, sizeof(float));
        m->logits = calloc(COUNT * CLASSES, sizeof(float));
        m->seed = calloc(COUNT * CLASSES, sizeof(float));
    }
    f.batch = (amun__batch){COUNT, f.b.images, f.targets, NULL, f.labels, 0};
    f.joint = (amun__joint){.ctx = ctx,
                            .models = f.models,
                            .count = MEMBERS,
                            .pixels = PIXELS,
                            .classes = CLASSES,
                            .batch = COUNT + 3}; /* the batch of the step is a short one */
    ck_ok(amun_ensemble_train_options_init(&f.joint.options, sizeof f.joint.options));
    f.joint.options.attack_eps = 0.1;
    f.joint.options.attack_step = 0.03;
    f.joint.options.attack_steps = 5;
    f.step = (amun__step){.ctx = ctx,
                          .members = f.members,
                          .count = MEMBERS,
                          .batch = &f.batch,
                          .classes = CLASSES,
                          .spare = &f.spare,
                          .index = 7};
}

static void teardown(void)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        amun__model_release(f.models[i], f.members[i].plans[0]);
        free(f.members[i].diff);
        free(f.members[i].logits);
        free(f.members[i].seed);
        amun_model_unref(f.models[i]);
    }
    amun__free(ctx, f.spare.values);
    blobs_free(&f.b);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

/* ---- the divergence ---------------------------------------------------------------------------
 */

static double naive_kl(const double *z, const double *y)
{
    double p[CLASSES], q[CLASSES], sum[2] = {0.0, 0.0}, kl = 0.0;
    for (int k = 0; k < CLASSES; k++) {
        sum[0] += p[k] = exp(z[k]);
        sum[1] += q[k] = exp(y[k]);
    }
    for (int k = 0; k < CLASSES; k++) {
        kl += p[k] / sum[0] * log(p[k] / sum[0] * sum[1] / q[k]);
    }
    return kl;
}

START_TEST(test_divergence)
{
    const float weights[2] = {1.0f, 0.5f}, clean[2 * CLASSES] = {0.3f, -1.0f, 2.0f, 1.0f, 0.0f, -3};
    const float attacked[2 * CLASSES] = {1.0f, 0.5f, 0.25f, -1.0f, 2.0f, 0.125f};
    float seeds[2][2 * CLASSES] = {{0.0f}};
    double wide[2][2 * CLASSES], scratch[2 * CLASSES];
    seeds[0][1] = 1.0f; /* is added to */
    double value =
        amun__trades_kl(clean, attacked, weights, 2, CLASSES, 3.0, scratch, seeds[0], seeds[1]);
    for (int i = 0; i < 2 * CLASSES; i++) {
        wide[0][i] = (double)clean[i];
        wide[1][i] = (double)attacked[i];
    }
    ck_close(value, naive_kl(wide[0], wide[1]) + 0.5 * naive_kl(wide[0] + 3, wide[1] + 3), 1e-12);
    for (int i = 0; i < 4 * CLASSES; i++) {
        const double h = 1e-5, weight = i % (2 * CLASSES) < CLASSES ? 1.0 : 0.5;
        const int row = i % (2 * CLASSES) / CLASSES * CLASSES;
        double *x = &wide[i / (2 * CLASSES)][i % (2 * CLASSES)], here = *x;
        *x = here + h;
        double up = naive_kl(wide[0] + row, wide[1] + row);
        *x = here - h;
        double slope = 3.0 * weight * (up - naive_kl(wide[0] + row, wide[1] + row)) / (2.0 * h);
        *x = here;
        ck_close((double)seeds[i / (2 * CLASSES)][i % (2 * CLASSES)], slope + (i == 1 ? 1.0 : 0.0),
                 1e-6);
    }
}
END_TEST

/* ---- the attack -------------------------------------------------------------------------------
 */

/* Mean of what the attack increases, in evaluation mode. */
static double objective(size_t member, const float *images, bool kl)
{
    amun__plan *plan = NULL;
    float logits[2][COUNT * CLASSES], seeds[2][COUNT * CLASSES];
    double scratch[2 * CLASSES];
    ck_ok(amun__model_lease(f.models[member], COUNT, AMUN__MODE_INFER, &plan));
    ck_ok(amun__plan_forward(plan, f.b.images, logits[0]));
    ck_ok(amun__plan_forward(plan, images, logits[1]));
    amun__model_release(f.models[member], plan);
    memset(seeds, 0, sizeof seeds);
    return (kl ? amun__trades_kl(logits[0], logits[1], NULL, COUNT, CLASSES, 1.0, scratch, seeds[0],
                                 seeds[1])
               : amun__loss_cross_entropy(logits[1], f.targets, NULL, COUNT, CLASSES, 1.0, NULL)) /
           COUNT;
}

START_TEST(test_attack)
{
    const bool kl = _i != 0;
    amun__train_attack attack;
    float first[COUNT * PIXELS];
    ck_ok(amun__train_attack_open(&attack, &f.joint, kl));
    model_bytes before = bytes_of(f.models[1]);
    ck_ok(amun__train_attack_run(&attack, &f.step, 1));
    ck_assert(same_bytes(before, bytes_of(f.models[1])));
    memcpy(first, attack.images, sizeof first);
    double moved = 0.0;
    for (size_t i = 0; i < COUNT * PIXELS; i++) {
        ck_assert(fabs((double)first[i] - (double)f.b.images[i]) <= 0.1 + 1e-6);
        ck_assert(first[i] >= 0.0f && first[i] <= 1.0f);
        moved = fmax(moved, fabs((double)first[i] - (double)f.b.images[i]));
    }
    ck_assert_double_gt(moved, 0.05);
    ck_assert_double_gt(objective(1, first, kl), objective(1, f.b.images, kl) + 0.01);
    /* the same again; not in another step, or with another seed */
    ck_ok(amun__train_attack_run(&attack, &f.step, 1));
    ck_assert_mem_eq(first, attack.images, sizeof first);
    f.step.index++;
    ck_ok(amun__train_attack_run(&attack, &f.step, 1));
    ck_assert_mem_ne(first, attack.images, sizeof first);
    f.step.index--;
    amun__train_attack_close(&attack);
    f.joint.options.seed = 1;
    ck_ok(amun__train_attack_open(&attack, &f.joint, kl));
    ck_ok(amun__train_attack_run(&attack, &f.step, 1));
    ck_assert_mem_ne(first, attack.images, sizeof first);
    amun__train_attack_close(&attack);
}
END_TEST

/* ---- steps ------------------------------------------------------------------------------------
 */

/* The loss of one member in train mode, as a function of its weights; no statistics move. */
static double train_loss(size_t member, const float *images, double beta)
{
    amun__member *m = &f.members[member];
    float logits[2][COUNT * CLASSES], seeds[2][COUNT * CLASSES];
    double scratch[2 * CLASSES];
    amun__model_touch(m->model);
    ck_ok(amun__plan_forward(m->plans[0], images, logits[1]));
    ck_ok(amun__plan_forward(m->plans[0], f.b.images, logits[0]));
    memset(seeds, 0, sizeof seeds);
    double kl = amun__trades_kl(logits[0], logits[1], NULL, COUNT, CLASSES, 1.0, scratch, seeds[0],
                                seeds[1]);
    const float *judged = beta < 0.0 ? logits[1] : logits[0];
    double ce = amun__loss_cross_entropy(judged, f.targets, NULL, COUNT, CLASSES, 1.0, NULL);
    return (ce + fmax(beta, 0.0) * kl) / COUNT;
}

/* The step's loss and gradient are those of the images that the attack gives. */
static void check_step(const amun__joint_method *method, double beta)
{
    amun__joint *joint = &f.joint;
    amun__train_attack attack;
    float images[MEMBERS][COUNT * PIXELS];
    double expected = 0.0;
    ck_ok(amun__train_attack_open(&attack, joint, beta >= 0.0));
    for (size_t i = 0; i < MEMBERS; i++) {
        ck_ok(amun__train_attack_run(&attack, &f.step, i));
        memcpy(images[i], attack.images, sizeof images[i]);
        expected += train_loss(i, images[i], beta) * COUNT;
    }
    amun__train_attack_close(&attack);
    int64_t tracked = f.members[0].values.tracked[0];
    ck_ok(method->open(joint));
    ck_ok(method->gradients(joint, &f.step));
    method->close(joint);
    ck_close(f.step.loss, expected, 1e-6);
    ck_assert_int_eq(f.members[0].values.tracked[0], tracked + 1); /* once */
    for (size_t i = 0; i < MEMBERS; i++) {
        amun__model_values *v = &f.members[i].values;
        double wrong = 0.0, whole = 0.0;
        for (size_t k = 0; k < v->trainable; k += 5) {
            const float here = v->values[k], h = 2e-3f;
            v->values[k] = here + h;
            double up = train_loss(i, images[i], beta);
            v->values[k] = here - h;
            double slope = (up - train_loss(i, images[i], beta)) / (2.0 * (double)h);
            v->values[k] = here;
            wrong += pow((double)f.members[i].diff[k] - slope, 2.0);
            whole += slope * slope;
        }
        ck_assert_double_gt(whole, 0.0);
        ck_assert_double_lt(sqrt(wrong / whole), 2e-2); /* single precision, and kinks of ReLU */
    }
}

START_TEST(test_pgd_step)
{
    check_step(&amun__joint_pgd_at, -1.0);
}
END_TEST

START_TEST(test_trades_step)
{
    f.joint.options.trades_beta = 3.0;
    check_step(&amun__joint_trades, 3.0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("adversarial");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_divergence);
    tcase_add_loop_test(tc, test_attack, 0, 2);
    tcase_add_test(tc, test_pgd_step);
    tcase_add_test(tc, test_trades_step);
    return amun_test_main("adversarial", (TCase *[]){tc, NULL});
}
