/* test_unlearn_methods.c - labels, masks, stop rules of the methods that are parts of a mix, and
 * that whatever ends a call early leaves no trace. */
#include "nn/graph.h"
#include "rivals_fixture.h"

typedef struct built {
    amun__unlearn_request request;
    amun__recipe recipe;
    amun__unlearn_counts counts;
} built;

static void open_request(built *b, const fixture *f, amun_unlearn_method method,
                         const amun_rival_options *rival, double mask_ratio)
{
    amun_unlearn_options o;
    ck_ok(amun_unlearn_options_init(&o, sizeof o));
    o.method = method;
    o.rival = rival;
    o.mask_ratio = mask_ratio;
    o.seed = 17;
    ck_ok(amun__unlearn_request_open(&b->request, f->model, f->b.data, f->forget, f->forget_count,
                                     NULL, &o));
}

static void build(built *b, const fixture *f, amun_unlearn_method method,
                  const amun_rival_options *rival)
{
    open_request(b, f, method, rival, 0.0);
    ck_ok(amun__model_begin_write(f->model));
    ck_ok(amun__unlearn_recipe(amun__unlearn_method_find(method), &b->request, NULL, &b->recipe,
                               &b->counts));
    amun__model_end_write(f->model);
    ck_ok(amun__mix_check(f->ctx, &b->recipe.mix));
}

/* ---- labels --------------------------------------------------------------------------------- */

START_TEST(random_labels)
{
    fixture f;
    built b;
    setup(&f);
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    for (int any = 0; any < 2; any++) {
        r.any_label = r.forget_first = any;
        build(&b, &f, AMUN_UNLEARN_RANDOM_LABEL, &r);
        const amun__part *p = b.recipe.mix.parts;
        ck_assert_uint_eq(b.recipe.mix.part_count, 2);
        ck_assert_uint_eq(p[0].count, COUNT - f.forget_count);
        ck_assert_uint_eq(p[1].count, f.forget_count);
        ck_assert_int_eq(p[0].target, AMUN__TARGET_LABEL);
        ck_assert_int_eq(p[1].target, any ? AMUN__TARGET_RANDOM_ANY : AMUN__TARGET_RANDOM_OTHER);
        ck_assert_int_eq(p[0].phase, any);
        ck_assert_int_eq(p[1].phase, 0);
        amun__unlearn_request_close(&b.request);
    }
    teardown(&f);
}
END_TEST

/* The class at x + step * sign(gradient), worked out in double for softmax regression; samples that
 * stay in their class are left out and counted. */
START_TEST(boundary_labels)
{
    fixture f;
    built b;
    setup(&f);
    double w[WEIGHTS];
    weights_of(f.model, w);
    build(&b, &f, AMUN_UNLEARN_BOUNDARY_SHRINK, NULL);
    ck_assert_uint_eq(b.recipe.mix.part_count, 2);
    const amun__part *part = &b.recipe.mix.parts[1];
    size_t used = 0;
    for (size_t i = 0; i < f.forget_count; i++) {
        const float *x = f.b.images + f.forget[i] * PIXELS;
        double z[CLASSES] = {0}, p[CLASSES], sum = 0.0;
        for (int k = 0; k < CLASSES; k++) {
            z[k] = w[CLASSES * PIXELS + k];
            for (int j = 0; j < PIXELS; j++) {
                z[k] += w[k * PIXELS + j] * (double)x[j];
            }
            sum += p[k] = exp(z[k]);
        }
        double moved[CLASSES];
        for (int k = 0; k < CLASSES; k++) {
            moved[k] = w[CLASSES * PIXELS + k];
        }
        for (int j = 0; j < PIXELS; j++) {
            double g = 0.0;
            for (int k = 0; k < CLASSES; k++) {
                g += (p[k] / sum - (k == GONE)) * w[k * PIXELS + j];
            }
            double v = fmin(1.0, fmax(0.0, (double)x[j] + 0.1 * ((g > 0) - (g < 0))));
            v = floor(v * 255.0 + 0.5) / 255.0;
            for (int k = 0; k < CLASSES; k++) {
                moved[k] += w[k * PIXELS + j] * v;
            }
        }
        int best = 0;
        for (int k = 1; k < CLASSES; k++) {
            best = moved[k] > moved[best] ? k : best;
        }
        if (best != GONE) {
            ck_assert_uint_lt(used, part->count);
            ck_assert_int_eq(part->indices[used], f.forget[i]);
            ck_assert_int_eq(part->labels[used++], best);
        }
    }
    ck_assert_uint_eq(used, part->count);
    ck_assert_uint_eq(b.counts.failed, f.forget_count - used);
    ck_assert(used > 0);
    amun__unlearn_request_close(&b.request);
    teardown(&f);
}
END_TEST

/* ---- masks ---------------------------------------------------------------------------------- */

/* The floor(ratio * P) largest |gradient sums|; pixel 0 twice over, so that its weights are equal
 * to those of pixel 1: the lower index wins. */
START_TEST(salun_mask)
{
    fixture f;
    built b;
    setup(&f);
    for (size_t i = 0; i < COUNT; i++) {
        f.b.images[i * PIXELS + 1] = f.b.images[i * PIXELS];
    }
    double w[WEIGHTS], g[WEIGHTS] = {0};
    weights_of(f.model, w);
    for (size_t first = 0; first < f.forget_count; first += 128) {
        size_t n = f.forget_count - first < 128 ? f.forget_count - first : 128;
        for (size_t i = first; i < first + n; i++) {
            const float *x = f.b.images + f.forget[i] * PIXELS;
            double p[CLASSES], sum = 0.0;
            for (int k = 0; k < CLASSES; k++) {
                p[k] = w[CLASSES * PIXELS + k];
                for (int j = 0; j < PIXELS; j++) {
                    p[k] += w[k * PIXELS + j] * (double)x[j];
                }
                sum += p[k] = exp(p[k]);
            }
            for (int k = 0; k < CLASSES; k++) {
                double d = (p[k] / sum - (k == GONE)) / (double)n;
                for (int j = 0; j < PIXELS; j++) {
                    g[k * PIXELS + j] += d * (double)x[j];
                }
                g[CLASSES * PIXELS + k] += d;
            }
        }
    }
    for (int kept = 1; kept < WEIGHTS; kept++) {
        const uint8_t *mask = NULL;
        open_request(&b, &f, AMUN_UNLEARN_SALUN, NULL, (kept + 0.5) / WEIGHTS);
        ck_ok(amun__model_begin_write(f.model));
        ck_ok(amun__unlearn_mask(&b.request, NULL, &mask));
        amun__model_end_write(f.model);
        for (int i = 0; i < WEIGHTS; i++) {
            int before = 0;
            for (int j = 0; j < WEIGHTS; j++) {
                bool same = i / PIXELS == j / PIXELS && i < CLASSES * PIXELS && i % PIXELS < 2 &&
                            j % PIXELS < 2 && j < CLASSES * PIXELS;
                before += same ? j < i : fabs(g[j]) > fabs(g[i]);
            }
            ck_assert_int_eq(mask[i], before < kept);
        }
        amun__unlearn_request_close(&b.request);
    }
    teardown(&f);
}
END_TEST

static void use_conv_model(fixture *f)
{
    amun_model_unref(f->model);
    f->model = conv_model(f->ctx, 1, 2, 3, CLASSES, 6);
    amun_train_options t = train_options(2, 32, 0.1);
    ck_ok(amun_train_run(NULL, f->model, f->b.data, NULL, 0, &t, NULL));
}

/* Which trainable values moved, and whether those that did not are of the layers before `first`. */
static void check_last(const fixture *f, amun_unlearn_method method, int32_t blocks,
                       const char *first)
{
    amun_model *model = NULL;
    ck_ok(amun_model_clone(&model, f->model));
    fixture g = *f;
    g.model = model;
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    r.last_blocks = blocks;
    amun_train_options t = train_options(1, 32, 0.05);
    ck_ok(forget_with(&g, method, &t, &r, NULL, NULL));
    const amun_graph *graph = amun__model_graph(model);
    amun__model_values now, old;
    amun__model_values_get(model, &now);
    amun__model_values_get(f->model, &old);
    bool trained = false;
    for (int32_t p = 0; p < graph->param_count; p++) {
        const amun__param *param = &graph->params[p];
        size_t same = 0;
        trained = trained || strcmp(param->name, first) == 0;
        for (size_t i = param->offset; i < param->offset + param->count; i++) {
            same += now.values[i] == old.values[i];
        }
        if (param->trainable != 0) {
            ck_assert_msg(trained ? same < param->count : same == param->count,
                          "%s: %zu of %zu values stand still", param->name, same, param->count);
        }
    }
    amun_model_unref(model);
}

START_TEST(last_layers)
{
    fixture f;
    setup(&f);
    use_conv_model(&f);
    check_last(&f, AMUN_UNLEARN_CFK, 0, "fc.weight");
    check_last(&f, AMUN_UNLEARN_CFK, 1, "conv.weight");
    check_last(&f, AMUN_UNLEARN_CFK, 9, "conv.weight");
    check_last(&f, AMUN_UNLEARN_EUK, 0, "fc.weight");
    teardown(&f);
}
END_TEST

/* Without a step, EU-k is the old layers and new ones of the seed. */
START_TEST(euk_renews)
{
    fixture f;
    setup(&f);
    use_conv_model(&f);
    amun_model *fresh = conv_model(f.ctx, 1, 2, 3, CLASSES, 17), *old = NULL;
    ck_ok(amun_model_clone(&old, f.model));
    amun__model_values now, before, made;
    amun__model_values_get(f.model, &now);
    amun__model_values_get(old, &before);
    amun__model_values_get(fresh, &made);
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    r.last_blocks = 0;
    amun_train_options t = train_options(0, 32, 0.05);
    ck_ok(forget_with(&f, AMUN_UNLEARN_EUK, &t, &r, NULL, NULL));
    const size_t fc = 4 * 9 + 4 + 4;
    for (size_t i = 0; i < now.total; i++) {
        bool renewed = i >= fc && i < now.trainable;
        ck_assert(now.values[i] == (renewed ? made.values[i] : before.values[i]));
    }
    r.last_blocks = 1; /* all of it */
    ck_ok(forget_with(&f, AMUN_UNLEARN_EUK, &t, &r, NULL, NULL));
    ck_assert(memcmp(now.values, made.values, now.total * sizeof(float)) == 0);
    amun_model_unref(old);
    amun_model_unref(fresh);
    teardown(&f);
}
END_TEST

/* ---- gradient ascent ------------------------------------------------------------------------ */

static double accuracy_of(const fixture *f, const amun_model *model)
{
    double accuracy = 0.0;
    ck_ok(amun_model_evaluate(&accuracy, NULL, model, f->b.data, f->forget, f->forget_count, NULL));
    return accuracy;
}

/* It ends after the first epoch at or below the floor, not before and not later. */
START_TEST(ascent_floor)
{
    enum { EPOCHS = 12 };
    fixture f;
    setup(&f);
    amun_model *original = f.model;
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    double after[EPOCHS + 1] = {accuracy_of(&f, original)};
    double least = INFINITY;
    int32_t first = 0;
    for (int32_t epochs = 1; epochs <= EPOCHS; epochs++) {
        amun_train_options t = train_options(epochs, 64, 0.005);
        t.schedule = AMUN_SCHEDULE_CONSTANT;
        ck_ok(amun_model_clone(&f.model, original));
        ck_ok(forget_with(&f, AMUN_UNLEARN_GRADIENT_ASCENT, &t, &r, NULL, NULL));
        after[epochs] = accuracy_of(&f, f.model);
        amun_model_unref(f.model);
        least = fmin(least, after[epochs - 1]);
        first = first == 0 && epochs > 1 && after[epochs] < least ? epochs : first;
    }
    ck_assert_msg(first > 1, "%g to %g", after[0], after[EPOCHS]); /* or there is nothing to see */
    r.ascent_floor = after[first];
    amun_train_options t = train_options(EPOCHS, 64, 0.005);
    t.schedule = AMUN_SCHEDULE_CONSTANT;
    ck_ok(amun_model_clone(&f.model, original));
    watcher w = {.calls = 0};
    ck_ok(forget_with(&f, AMUN_UNLEARN_GRADIENT_ASCENT, &t, &r, NULL, &w));
    size_t steps = (COUNT - f.forget_count + 63) / 64 + (f.forget_count + 63) / 64;
    ck_assert_uint_eq(w.last, (size_t)first * steps);
    ck_assert(accuracy_of(&f, f.model) == after[first]);
    amun_model_unref(f.model);
    f.model = original;
    teardown(&f);
}
END_TEST

/* ---- no trace ------------------------------------------------------------------------------- */

/* All methods that need no adversarial set, each stopped at several of its reports. */
START_TEST(cancelled)
{
    fixture f;
    setup(&f);
    use_conv_model(&f);
    model_bytes before = bytes_of(f.model);
    for (amun_unlearn_method m = AMUN_UNLEARN_RETRAIN; m <= AMUN_UNLEARN_TRW; m++) {
        const amun__unlearn_method *method = amun__unlearn_method_find(m);
        if (method == NULL || method->takes_set != 0) {
            continue;
        }
        amun_train_options t;
        ck_ok(amun_unlearn_train_options_init(&t, sizeof t, m));
        t.augment_pad = t.augment_flip = 0;
        t.epochs = 2;
        t.batch = 32;
        int stopped = 0;
        for (uint64_t stop = 1; stop < 40; stop += 12) {
            watcher w = {.stop_at = stop};
            amun_model *model = f.model;
            ck_ok(amun_model_clone(&f.model, model));
            amun_status status = forget_with(&f, m, &t, NULL, NULL, &w);
            ck_assert(status == AMUN_ERROR_CANCELLED || status == AMUN_OK);
            stopped += status == AMUN_ERROR_CANCELLED;
            model_bytes now = bytes_of(f.model);
            ck_assert_msg(status == AMUN_OK || memcmp(now.bytes, before.bytes, now.size) == 0,
                          "%s left a trace", method->name);
            free(now.bytes);
            amun_model_unref(f.model);
            f.model = model;
        }
        ck_assert_msg(stopped > 0, "%s", method->name);
    }
    free(before.bytes);
    teardown(&f);
}
END_TEST

/* Memory that gives out at any moment. */
START_TEST(out_of_memory)
{
    const amun_unlearn_method methods[] = {
        AMUN_UNLEARN_BOUNDARY_EXPAND, AMUN_UNLEARN_SCRUB, AMUN_UNLEARN_SSD, AMUN_UNLEARN_SVD,
        AMUN_UNLEARN_BAD_TEACHER,     AMUN_UNLEARN_UNSIR};
    fixture f;
    setup(&f);
    use_conv_model(&f);
    amun_rival_options r;
    ck_ok(amun_rival_options_init(&r, sizeof r));
    r.scrub_rewind = 1;
    r.unsir_noise = 8;
    r.unsir_noise_steps = 1;
    amun_train_options t = train_options(1, 400, 0.001);
    amun__model_trim(f.model);
    for (size_t m = 0; m < sizeof methods / sizeof methods[0]; m++) {
        int64_t live = f.allocator.live_blocks, failures = 0;
        model_bytes before = bytes_of(f.model);
        for (int64_t at = 1; at < 2000; at += at < 20 ? 3 : 11) {
            atomic_store(&f.allocator.fail_at, at);
            amun_status status = forget_with(&f, methods[m], &t, &r, NULL, NULL);
            atomic_store(&f.allocator.fail_at, 0);
            amun__model_trim(f.model);
            ck_assert_int_eq(f.allocator.live_blocks, live);
            if (status == AMUN_OK) {
                break;
            }
            ck_assert_int_eq(status, AMUN_ERROR_OUT_OF_MEMORY);
            model_bytes now = bytes_of(f.model);
            ck_assert(memcmp(now.bytes, before.bytes, now.size) == 0);
            free(now.bytes);
            failures++;
        }
        ck_assert_int_gt(failures, 5);
        free(before.bytes);
    }
    teardown(&f);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("unlearn_methods");
    tcase_add_test(tc, random_labels);
    tcase_add_test(tc, boundary_labels);
    tcase_add_test(tc, salun_mask);
    tcase_add_test(tc, last_layers);
    tcase_add_test(tc, euk_renews);
    tcase_add_test(tc, ascent_floor);
    tcase_add_test(tc, cancelled);
    tcase_add_test(tc, out_of_memory);
    return amun_test_main("unlearn_methods", (TCase *[]){tc, NULL});
}
