/* Ensembles: the output against a naive mean, tiny probabilities, the input gradient against finite
 * differences, attacks on the whole, files, and every argument that is refused. */
#include <stdio.h>

#include "attack_fixture.h"
#include "amun/train.h"
#include "ensemble/ensemble.h"

static test_allocator allocator;
static amun_context *ctx;
static amun_dataset *data;
static amun_model *models[3];

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    data = digits(ctx);
    for (size_t i = 0; i < 3; i++) { /* three networks of different strength and weights */
        models[i] = digits_network(ctx);
        ck_ok(amun_model_reset(models[i], 10 + i));
        train_digits(ctx, models[i], data, 30 + 30 * (int32_t)i);
    }
}

static void teardown(void)
{
    for (size_t i = 0; i < 3; i++) {
        amun_model_unref(models[i]);
    }
    amun_dataset_unref(data);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

static amun_ensemble *ensemble_of(amun_model *const *members, size_t count)
{
    amun_ensemble *ensemble = NULL;
    ck_ok(amun_ensemble_create(&ensemble, ctx, members, count));
    return ensemble;
}

/* ---- handle -----------------------------------------------------------------------------------
 */

START_TEST(test_handle)
{
    amun_model *twice[2] = {models[1], models[1]};
    amun_ensemble *ensemble = ensemble_of(twice, 2);
    ck_assert_uint_eq(amun_ensemble_count(ensemble), 2);
    ck_assert_uint_eq(amun_ensemble_count(NULL), 0);
    ck_assert_ptr_eq(amun_ensemble_model(ensemble, 1), models[1]);
    ck_assert_ptr_null(amun_ensemble_model(ensemble, 2));
    ck_assert_ptr_null(amun_ensemble_model(NULL, 0));
    ck_assert_ptr_eq(amun_ensemble_ref(ensemble), ensemble);
    amun_ensemble_unref(ensemble);
    amun_ensemble_unref(ensemble);
    amun_ensemble_unref(NULL);
    /* members live as long as the ensemble */
    amun_model *own = digits_network(ctx);
    ensemble = ensemble_of(&own, 1);
    amun_model_unref(own);
    ck_assert_int_eq(amun_model_classes(amun_ensemble_model(ensemble, 0)), DIGIT_CLASSES);
    amun_ensemble_unref(ensemble);
}
END_TEST

START_TEST(test_bad_members)
{
    const float weight[4] = {1, 0, 0, 1}, bias[2] = {0, 0};
    amun_model *other = linear_model(ctx, 2, 2, weight, bias);
    amun_ensemble *ensemble = (amun_ensemble *)(void *)ctx;
    amun_model *mixed[2] = {models[0], other}, *hole[2] = {models[0], NULL};
    amun_model *many[65];
    for (size_t i = 0; i < 65; i++) {
        many[i] = models[0];
    }
    ck_fails(amun_ensemble_create(&ensemble, ctx, mixed, 2), AMUN_ERROR_SHAPE, "model 1");
    ck_assert_ptr_null(ensemble);
    ck_fails(amun_ensemble_create(&ensemble, ctx, hole, 2), AMUN_ERROR_INVALID_ARGUMENT,
             "models[1]");
    ck_fails(amun_ensemble_create(&ensemble, ctx, models, 0), AMUN_ERROR_INVALID_ARGUMENT, "0");
    ck_fails(amun_ensemble_create(&ensemble, ctx, many, 65), AMUN_ERROR_INVALID_ARGUMENT, "65");
    ck_fails(amun_ensemble_create(&ensemble, ctx, NULL, 1), AMUN_ERROR_INVALID_ARGUMENT, "models");
    ck_fails(amun_ensemble_create(&ensemble, NULL, models, 1), AMUN_ERROR_INVALID_ARGUMENT, "ctx");
    ck_fails(amun_ensemble_create(NULL, ctx, models, 1), AMUN_ERROR_INVALID_ARGUMENT, "ensemble");
    amun_model_unref(other);
}
END_TEST

/* ---- output -----------------------------------------------------------------------------------
 */

static void predict(const amun_ensemble *ensemble, samples *s, float *logits)
{
    amun_tensor_view out;
    const int64_t shape[2] = {(int64_t)s->count, amun_model_classes(ensemble->models[0])};
    ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, shape));
    ck_ok(amun_ensemble_predict(ensemble, &s->image_view, &out, NULL));
}

START_TEST(test_output)
{
    enum { COUNT = 130 }; /* more than a batch */
    static float whole[COUNT * DIGIT_CLASSES], own[3][COUNT * DIGIT_CLASSES];
    samples s;
    samples_open_digits(&s, data, NULL, COUNT);
    amun_ensemble *ensemble = ensemble_of(models, 3);
    predict(ensemble, &s, whole);
    const int64_t shape[2] = {COUNT, DIGIT_CLASSES};
    for (size_t i = 0; i < 3; i++) {
        amun_tensor_view out;
        ck_ok(amun_tensor_view_init(&out, own[i], AMUN_DTYPE_F32, 2, shape));
        ck_ok(amun_model_predict(models[i], &s.image_view, &out, NULL));
    }
    size_t right = 0;
    double loss = 0.0;
    for (size_t n = 0; n < COUNT; n++) {
        double p[DIGIT_CLASSES] = {0}, sum = 0.0;
        size_t best = 0;
        for (size_t i = 0; i < 3; i++) {
            double total = 0.0;
            for (size_t k = 0; k < DIGIT_CLASSES; k++) {
                total += exp((double)own[i][n * DIGIT_CLASSES + k]);
            }
            for (size_t k = 0; k < DIGIT_CLASSES; k++) {
                p[k] += exp((double)own[i][n * DIGIT_CLASSES + k]) / total / 3.0;
            }
        }
        for (size_t k = 0; k < DIGIT_CLASSES; k++) {
            ck_close(whole[n * DIGIT_CLASSES + k], log(p[k]), 1e-5);
            sum += exp((double)whole[n * DIGIT_CLASSES + k]);
            best = p[k] > p[best] ? k : best;
        }
        ck_close(sum, 1.0, 1e-5);
        right += best == (size_t)s.labels[n];
        loss -= log(p[s.labels[n]]);
    }
    double accuracy, mean;
    ck_ok(amun_ensemble_evaluate(&accuracy, &mean, ensemble, data, s.ids, COUNT, NULL));
    ck_close(accuracy, 100.0 * (double)right / COUNT, 1e-12);
    ck_close(mean, loss / COUNT, 1e-5);
    amun_ensemble_unref(ensemble);
    /* one member: its raw logits */
    ensemble = ensemble_of(&models[1], 1);
    predict(ensemble, &s, whole);
    for (size_t k = 0; k < COUNT * DIGIT_CLASSES; k++) {
        ck_close(whole[k], own[1][k], 1e-5);
    }
    double all, alone, unused;
    ck_ok(amun_ensemble_evaluate(&all, NULL, ensemble, data, NULL, 0, NULL));
    ck_ok(amun_model_evaluate(&alone, &unused, models[1], data, NULL, 0, NULL));
    ck_close(all, alone, 1e-12);
    amun_ensemble_unref(ensemble);
    samples_close(&s);
}
END_TEST

/* log of means of probabilities far below 1e-40: by hand, log((e^a + e^b) / 2). */
START_TEST(test_tiny_probabilities)
{
    const float first[3] = {500.0f, 0.0f, -300.0f}, second[3] = {400.0f, 0.0f, -300.0f};
    double log_probs[6];
    float out[3];
    amun__log_softmax(first, 3, log_probs);
    amun__log_softmax(second, 3, log_probs + 3);
    amun__log_mean(log_probs, 2, 3, out);
    ck_assert(out[0] <= 0.0f && out[0] > -1e-30f);
    ck_close(out[1], -400.0 - log(2.0), 1e-6);
    ck_close(out[2], -700.0 - log(2.0), 1e-6);
    const float far[2] = {-3e38f, 3e38f};
    amun__log_softmax(far, 2, log_probs);
    amun__log_softmax(far, 2, log_probs + 2);
    amun__log_mean(log_probs, 2, 2, out);
    ck_assert(isfinite(out[0]) && out[0] < -1e38f && out[1] == 0.0f);
    /* both nearly sure: 1 - p survives, though p is 1 in double */
    const float sure[2] = {50.0f, 0.0f};
    amun__log_softmax(sure, 2, log_probs);
    amun__log_softmax(sure, 2, log_probs + 2);
    amun__log_mean(log_probs, 2, 2, out);
    ck_close((double)out[0] / -exp(-50.0), 1.0, 1e-6);
    const double seed[2] = {-1.0, 0.0};
    float diff[2];
    amun__log_mean_backward(log_probs, 2, 2, 0, seed, diff);
    ck_close((double)diff[0] / (-0.5 * exp(-50.0)), 1.0, 1e-6);
    ck_close((double)diff[1] / (0.5 * exp(-50.0)), 1.0, 1e-6);
    const float broken[2] = {NAN, 0.0f};
    amun__log_softmax(broken, 2, log_probs);
    amun__log_mean(log_probs, 2, 2, out);
    ck_assert_int_eq(amun__loss_argmax(out, 2), -1);
}
END_TEST

/* ---- gradient ---------------------------------------------------------------------------------
 */

/* d (seed . log mean) / d logits of each member, against differences in double. */
START_TEST(test_logit_gradient)
{
    enum { N = 3, K = 5 };
    amun__rng rng;
    amun__rng_open(&rng, 6, AMUN__RNG_TEST, 0, 0);
    for (int32_t round = 0; round < 20; round++) {
        double z[N][K], seed[K], lp[N * K];
        for (size_t k = 0; k < K; k++) {
            seed[k] = amun__rng_normal(&rng);
            for (size_t i = 0; i < N; i++) {
                z[i][k] = 4.0 * amun__rng_normal(&rng);
            }
        }
        double value[2];
        for (size_t i = 0; i < N; i++) {
            for (size_t m = 0; m < K; m++) {
                const double h = 1e-5, kept = z[i][m];
                for (int32_t side = 0; side < 2; side++) {
                    z[i][m] = kept + (side == 0 ? -h : h);
                    value[side] = 0.0;
                    for (size_t k = 0; k < K; k++) {
                        double mean = 0.0;
                        for (size_t j = 0; j < N; j++) {
                            double sum = 0.0;
                            for (size_t l = 0; l < K; l++) {
                                sum += exp(z[j][l]);
                            }
                            mean += exp(z[j][k]) / sum / N;
                        }
                        value[side] += seed[k] * log(mean);
                    }
                }
                z[i][m] = kept;
                for (size_t j = 0; j < N; j++) {
                    double sum = 0.0;
                    for (size_t l = 0; l < K; l++) {
                        sum += exp(z[j][l]);
                    }
                    for (size_t k = 0; k < K; k++) {
                        lp[j * K + k] = z[j][k] - log(sum);
                    }
                }
                float diff[K];
                amun__log_mean_backward(lp, N, K, i, seed, diff);
                ck_close(diff[m], (value[1] - value[0]) / (2.0 * h), 1e-6);
            }
        }
    }
}
END_TEST

/* On linear members, which have no kinks, against central differences of the output. Those err by
 * h^2 |w|^3 / 6 and by the rounding of the output, 2^-24 * 4 / h: both below 1e-4 here. */
START_TEST(test_input_gradient)
{
    enum { PIXELS = 6, CLASSES = 4 };
    amun_model *members[3];
    float weight[PIXELS * CLASSES], bias[CLASSES], image[PIXELS], out[CLASSES], diff[PIXELS];
    amun__rng rng;
    amun__rng_open(&rng, 8, AMUN__RNG_TEST, 0, 0);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < PIXELS * CLASSES; k++) {
            weight[k] = (float)amun__rng_normal(&rng);
        }
        for (size_t k = 0; k < CLASSES; k++) {
            bias[k] = (float)amun__rng_normal(&rng);
        }
        members[i] = linear_model(ctx, PIXELS, CLASSES, weight, bias);
    }
    amun__victim victim = {(const amun_model *const *)members, 3};
    amun__probe probe;
    ck_ok(amun__probe_open(&probe, ctx, &victim, 1, AMUN__MODE_ATTACK));
    for (int32_t label = 0; label < CLASSES; label++) {
        double seed[CLASSES] = {0};
        seed[label] = 1.0;
        for (size_t k = 0; k < PIXELS; k++) {
            image[k] = (float)amun__rng_uniform(&rng);
        }
        ck_ok(amun__probe_forward(&probe, image, out));
        ck_ok(amun__probe_backward(&probe, seed, diff));
        for (size_t k = 0; k < PIXELS; k++) {
            const float kept = image[k], h = 0x1p-7f;
            image[k] = kept + h;
            ck_ok(amun__probe_forward(&probe, image, out));
            double up = (double)out[label];
            image[k] = kept - h;
            ck_ok(amun__probe_forward(&probe, image, out));
            double slope = (up - (double)out[label]) / (2.0 * (double)h);
            image[k] = kept;
            ck_close(diff[k], slope, 1e-4);
        }
    }
    amun__probe_close(&probe);
    for (size_t i = 0; i < 3; i++) {
        amun_model_unref(members[i]);
    }
}
END_TEST

/* On the networks: for one class y the sum over members of w_i times the gradient of the log of
 * their own p_iy, w_i = p_iy / sum_j p_jy, each through a plan of its own. */
START_TEST(test_network_gradient)
{
    amun__victim victim = {(const amun_model *const *)models, 3};
    amun__probe probe;
    float image[DIGIT_PIXELS], logits[DIGIT_CLASSES], diff[DIGIT_PIXELS], part[DIGIT_PIXELS];
    ck_ok(amun__probe_open(&probe, ctx, &victim, 1, AMUN__MODE_ATTACK));
    for (size_t n = 0; n < 6; n++) {
        double seed[DIGIT_CLASSES] = {0}, expected[DIGIT_PIXELS] = {0}, own[3], total = 0.0;
        int32_t label = (amun__dataset_label(data, n) + (int32_t)n % 2) % DIGIT_CLASSES;
        amun__dataset_fetch(data, n, image);
        seed[label] = 1.0;
        ck_ok(amun__probe_forward(&probe, image, logits));
        ck_ok(amun__probe_backward(&probe, seed, diff));
        for (int32_t pass = 0; pass < 2; pass++) {
            for (size_t i = 0; i < 3; i++) {
                amun__plan *plan = NULL;
                double p[DIGIT_CLASSES];
                float g[DIGIT_CLASSES];
                ck_ok(amun__model_lease(models[i], 1, AMUN__MODE_ATTACK, &plan));
                ck_ok(amun__plan_forward(plan, image, logits));
                amun__loss_softmax(logits, DIGIT_CLASSES, p);
                for (int32_t m = 0; m < DIGIT_CLASSES; m++) {
                    g[m] = (float)((m == label) - p[m]);
                }
                ck_ok(amun__plan_backward(plan, g, part, NULL));
                amun__model_release(models[i], plan);
                own[i] = p[label];
                total += pass == 0 ? p[label] : 0.0;
                for (size_t k = 0; pass == 1 && k < DIGIT_PIXELS; k++) {
                    expected[k] += own[i] / total * (double)part[k];
                }
            }
        }
        for (size_t k = 0; k < DIGIT_PIXELS; k++) {
            ck_close(diff[k], expected[k], 1e-5);
        }
    }
    amun__probe_close(&probe);
}
END_TEST

/* ---- attacks ----------------------------------------------------------------------------------
 */

static amun_attack *pgd_attack(int32_t batch)
{
    amun_attack *attack = NULL;
    amun_pgd_options o;
    ck_ok(amun_pgd_linf_options_init(&o, sizeof o));
    o.eps = 0.12;
    o.step = 0.03;
    o.batch = batch;
    ck_ok(amun_attack_create_pgd_linf(&attack, ctx, &o));
    return attack;
}

static amun_status attack_ensemble(samples *s, amun_attack *attack, const amun_ensemble *ensemble)
{
    return amun_ensemble_attack(attack, ensemble, &s->image_view, &s->label_view, s->ids,
                                &s->adversarial_view, s->records, NULL);
}

/* One member, or one model twice: what the model alone gives. Three: whatever the batch. */
START_TEST(test_attack)
{
    enum { COUNT = 40 };
    amun_model *twice[2] = {models[2], models[2]};
    samples alone, pair, three[3];
    amun_attack *attack = pgd_attack(16);
    samples_open_digits(&alone, data, NULL, COUNT);
    samples_open_digits(&pair, data, NULL, COUNT);
    ck_ok(samples_run(&alone, attack, models[2]));
    amun_ensemble *ensemble = ensemble_of(&models[2], 1);
    ck_ok(attack_ensemble(&pair, attack, ensemble));
    ck_assert_mem_eq(alone.adversarial, pair.adversarial, COUNT * DIGIT_PIXELS * sizeof(float));
    amun_ensemble_unref(ensemble);
    ensemble = ensemble_of(twice, 2);
    ck_ok(attack_ensemble(&pair, attack, ensemble));
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(alone.records[i].outcome, pair.records[i].outcome);
        ck_close(pair.records[i].l2, alone.records[i].l2, 0.05);
    }
    amun_ensemble_unref(ensemble);
    amun_attack_unref(attack);
    ensemble = ensemble_of(models, 3);
    const int32_t batches[3] = {1, 7, 128};
    static float logits[COUNT * DIGIT_CLASSES];
    size_t flipped = 0;
    for (size_t b = 0; b < 3; b++) {
        attack = pgd_attack(batches[b]);
        samples_open_digits(&three[b], data, NULL, COUNT);
        ck_ok(attack_ensemble(&three[b], attack, ensemble));
        amun_attack_unref(attack);
        for (size_t i = 0; i < COUNT; i++) {
            ck_assert_int_eq(three[b].records[i].adversarial, three[0].records[i].adversarial);
            ck_close(three[b].records[i].l2, three[0].records[i].l2, 1e-3);
            ck_assert(three[b].records[i].linf <= 0.12 * (1 + 1e-6));
        }
    }
    memcpy(alone.images, three[2].adversarial, COUNT * DIGIT_PIXELS * sizeof(float));
    predict(ensemble, &alone, logits); /* the labels in the table are the ensemble's */
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(amun__loss_argmax(logits + i * DIGIT_CLASSES, DIGIT_CLASSES),
                         three[2].records[i].adversarial);
        flipped += three[2].records[i].outcome == AMUN_ATTACK_FLIPPED;
    }
    ck_assert(flipped > 0);
    amun_ensemble_unref(ensemble);
    samples_close(&alone);
    samples_close(&pair);
    for (size_t b = 0; b < 3; b++) {
        samples_close(&three[b]);
    }
}
END_TEST

/* A gradient attack and a search without gradients on the whole, and who may not be busy. */
START_TEST(test_other_attacks)
{
    enum { COUNT = 10 };
    amun_ensemble *ensemble = ensemble_of(models, 3);
    amun_apgd_options a;
    amun_square_options q;
    amun_attack *attacks[3] = {NULL};
    ck_ok(amun_apgd_options_init(&a, sizeof a));
    a.norm = AMUN_NORM_L2;
    a.eps = 1.5;
    a.steps = 10;
    ck_ok(amun_attack_create_apgd(&attacks[0], ctx, &a));
    ck_ok(amun_square_options_init(&q, sizeof q));
    q.eps = 0.3;
    q.queries = 100;
    ck_ok(amun_attack_create_square(&attacks[1], ctx, &q));
    attacks[2] = search_attack(ctx, NULL);
    samples s;
    samples_open_digits(&s, data, NULL, COUNT);
    for (size_t k = 0; k < 3; k++) {
        size_t flipped = 0;
        ck_ok(attack_ensemble(&s, attacks[k], ensemble));
        for (size_t i = 0; i < COUNT; i++) {
            flipped += s.records[i].outcome == AMUN_ATTACK_FLIPPED;
        }
        ck_assert(flipped > COUNT / 2);
    }
    ck_ok(amun__model_begin_write(models[2]));
    ck_fails(attack_ensemble(&s, attacks[0], ensemble), AMUN_ERROR_BUSY, "model");
    amun__model_end_write(models[2]);
    ck_ok(amun__model_begin_write(models[0])); /* nobody holds the others */
    amun__model_end_write(models[0]);
    for (size_t k = 0; k < 3; k++) {
        amun_attack_unref(attacks[k]);
    }
    amun_ensemble_unref(ensemble);
    samples_close(&s);
}
END_TEST

/* ---- files ------------------------------------------------------------------------------------
 */

static void named_members(amun_model *members[2])
{
    amun_model_options o;
    ck_ok(amun_model_options_init(&o, sizeof o));
    o.channels = 1;
    o.height = o.width = 8;
    for (size_t i = 0; i < 2; i++) {
        o.seed = 3 + i;
        ck_ok(amun_model_create(&members[i], ctx, "digits", &o));
    }
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(test_files)
{
    amun_model *members[2];
    char folder[4096], index[4200];
    float before[20 * DIGIT_CLASSES], after[20 * DIGIT_CLASSES];
    snprintf(folder, sizeof folder, "%s", test_path("ensemble"));
    snprintf(index, sizeof index, "%s/ensemble.json", folder);
    named_members(members);
    amun_ensemble *ensemble = ensemble_of(members, 2), *read = NULL;
    ck_ok(amun_ensemble_save(ensemble, folder));
    ck_ok(amun_ensemble_load(&read, ctx, folder));
    ck_assert_uint_eq(amun_ensemble_count(read), 2);
    samples s;
    samples_open_digits(&s, data, NULL, 20);
    predict(ensemble, &s, before);
    predict(read, &s, after);
    ck_assert_mem_eq(before, after, sizeof before);
    amun_ensemble_unref(read);
    /* a member of another ensemble */
    char member[4200];
    snprintf(member, sizeof member, "%s/member-001.safetensors", folder);
    ck_ok(amun_model_save(members[0], member));
    ck_fails(amun_ensemble_load(&read, ctx, folder), AMUN_ERROR_FORMAT, "weights");
    ck_assert_ptr_null(read);
    ck_assert_int_eq(remove(member), 0);
    ck_fails(amun_ensemble_load(&read, ctx, folder), AMUN_ERROR_NOT_FOUND, "member-001");
    const struct {
        const char *text, *part;
        amun_status status;
    } bad[] = {
        {"{", "ensemble.json", AMUN_ERROR_FORMAT},
        {"{\"kind\": \"x\"}", "'x'", AMUN_ERROR_FORMAT},
        {"{\"kind\": \"ensemble\", \"format\": \"9\"}", "'9'", AMUN_ERROR_UNSUPPORTED},
        {"{\"kind\": \"ensemble\", \"format\": \"1\"}", "0 members", AMUN_ERROR_FORMAT},
        {"{\"kind\": \"ensemble\", \"format\": \"1\", \"members\": [{\"file\": \"a\"}]}",
         "member 0", AMUN_ERROR_FORMAT},
        {"{\"kind\": \"ensemble\", \"format\": \"1\", \"members\": [{\"file\": \"../a\", "
         "\"weights\": \"0\"}]}",
         "../a", AMUN_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_text(index, bad[i].text);
        ck_fails(amun_ensemble_load(&read, ctx, folder), bad[i].status, bad[i].part);
    }
    ck_fails(amun_ensemble_load(&read, ctx, test_path("nowhere")), AMUN_ERROR_NOT_FOUND, "nowhere");
    ck_fails(amun_ensemble_load(&read, ctx, NULL), AMUN_ERROR_INVALID_ARGUMENT, "folder");
    ck_fails(amun_ensemble_save(ensemble, ""), AMUN_ERROR_INVALID_ARGUMENT, "folder");
    ck_fails(amun_ensemble_save(NULL, folder), AMUN_ERROR_INVALID_ARGUMENT, "ensemble");
    amun_ensemble_unref(ensemble);
    amun_model_unref(members[0]);
    amun_model_unref(members[1]);
    samples_close(&s);
}
END_TEST

START_TEST(test_bad_calls)
{
    amun_ensemble *ensemble = ensemble_of(models, 2);
    samples s;
    float logits[3 * DIGIT_CLASSES];
    const int64_t shape[2] = {3, DIGIT_CLASSES}, bad_index[1] = {5000};
    amun_tensor_view out, image;
    samples_open_digits(&s, data, NULL, 3);
    ck_ok(amun_tensor_view_init(&out, logits, AMUN_DTYPE_F32, 2, shape));
    image = s.image_view;
    image.shape[3] = 7;
    ck_fails(amun_ensemble_predict(ensemble, &image, &out, NULL), AMUN_ERROR_SHAPE, "7");
    image = s.image_view;
    image.dtype = AMUN_DTYPE_F64;
    ck_fails(amun_ensemble_predict(ensemble, &image, &out, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "images");
    out.shape[0] = 2;
    ck_fails(amun_ensemble_predict(ensemble, &s.image_view, &out, NULL), AMUN_ERROR_SHAPE,
             "logits");
    out.shape[0] = 3;
    s.images[70] = NAN;
    ck_fails(amun_ensemble_predict(ensemble, &s.image_view, &out, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "image 1");
    ck_fails(amun_ensemble_predict(NULL, &s.image_view, &out, NULL), AMUN_ERROR_INVALID_ARGUMENT,
             "ensemble");
    double accuracy = 1.0;
    ck_fails(amun_ensemble_evaluate(&accuracy, NULL, ensemble, data, bad_index, 1, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "5000");
    ck_assert(isnan(accuracy));
    ck_fails(amun_ensemble_evaluate(NULL, NULL, ensemble, NULL, NULL, 0, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "data");
    ck_fails(amun_ensemble_evaluate(NULL, NULL, ensemble, data, NULL, 7, NULL),
             AMUN_ERROR_INVALID_ARGUMENT, "7");
    amun_ensemble_unref(ensemble);
    samples_close(&s);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ensemble");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_handle);
    tcase_add_test(tc, test_bad_members);
    tcase_add_test(tc, test_output);
    tcase_add_test(tc, test_tiny_probabilities);
    tcase_add_test(tc, test_logit_gradient);
    tcase_add_test(tc, test_input_gradient);
    tcase_add_test(tc, test_network_gradient);
    tcase_add_test(tc, test_attack);
    tcase_add_test(tc, test_other_attacks);
    tcase_add_test(tc, test_files);
    tcase_add_test(tc, test_bad_calls);
    return amun_test_main("ensemble", (TCase *[]){tc, NULL});
}
