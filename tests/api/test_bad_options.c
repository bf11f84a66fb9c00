/* test_bad_options.c - every options struct: never initialised, of a wrong size, from a newer
 * release, with each field outside its documented range. The ranges stand here a second time, from
 * the headers, so that a table in the library which says otherwise is found. */
#include <stddef.h>

#include "api.h"

static struct {
    heap memory;
    amun_context *ctx;
    amun_graph *graph;
    amun_model *model;
    amun_dataset *data;
    amun_advset *set;
    amun_tensor_view images, logits;
    float room[TINY_COUNT * TINY_CLASSES];
    tiny_values before;
} f;
static const int64_t forget[2] = {3, 7};

static void set_up(void)
{
    amun_attack *attack = NULL;
    memset(&f, 0, sizeof f);
    ck_ok(heap_context(&f.ctx, &f.memory));
    ck_ok(tiny_model(&f.model, f.ctx, 1));
    ck_ok(tiny_data(&f.data, f.ctx));
    ck_ok(amun_attack_create_search(&attack, f.ctx, NULL));
    ck_ok(amun_advset_build(&f.set, attack, f.model, f.data, forget, 2, NULL));
    amun_attack_unref(attack);
    ck_ok(amun_graph_create(&f.graph, f.ctx, 2, 8, 8));
    f.images = view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    f.logits = view2(f.room, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    tiny_read(&f.before, f.model);
}

static void tear_down(void)
{
    amun_graph_unref(f.graph);
    amun_advset_unref(f.set);
    amun_dataset_unref(f.data);
    amun_model_unref(f.model);
    heap_end(f.ctx, &f.memory);
}

/* ---- where each struct goes ------------------------------------------------------------------ */

static amun_status init_call(void *o, size_t n)
{
    return amun_call_options_init(o, n);
}
static amun_status use_call(const void *o)
{
    return amun_model_predict(f.model, &f.images, &f.logits, o);
}

static amun_status init_context(void *o, size_t n)
{
    return amun_context_options_init(o, n);
}
static amun_status use_context(const void *o)
{
    amun_context *ctx = NULL;
    amun_status status = amun_context_create(&ctx, o);
    ck_assert((status == AMUN_OK) == (ctx != NULL));
    amun_context_unref(ctx);
    return status;
}

static amun_status init_conv(void *o, size_t n)
{
    amun_status status = amun_conv2d_options_init(o, n);
    if (status == AMUN_OK) {
        ((amun_conv2d_options *)o)->channels = 2; /* has no default */
    }
    return status;
}
static amun_status use_conv(const void *o)
{
    static int number;
    char name[32];
    amun_node node = 5;
    snprintf(name, sizeof name, "conv%d", number++);
    amun_status status = amun_graph_conv2d(&node, f.graph, 0, name, o);
    ck_assert((status == AMUN_OK) == (node >= 0));
    return status;
}

static amun_status init_pool(void *o, size_t n)
{
    return amun_pool_options_init(o, n);
}
static amun_status use_max_pool(const void *o)
{
    amun_node node = 5;
    amun_status status = amun_graph_max_pool(&node, f.graph, 0, o);
    ck_assert((status == AMUN_OK) == (node >= 0));
    return status;
}
static amun_status use_avg_pool(const void *o)
{
    amun_node node = 5;
    return amun_graph_avg_pool(&node, f.graph, 0, o);
}

static amun_status init_model(void *o, size_t n)
{
    amun_status status = amun_model_options_init(o, n);
    if (status == AMUN_OK) {
        ((amun_model_options *)o)->channels = 1;
        ((amun_model_options *)o)->height = ((amun_model_options *)o)->width = 8;
        ((amun_model_options *)o)->std = n >= sizeof(amun_model_options); /* as any mean wants it */
    }
    return status;
}
static amun_status use_model(const void *o)
{
    amun_model *model = (void *)&f;
    amun_status status = amun_model_create(&model, f.ctx, "digits", o);
    ck_assert((status == AMUN_OK) == (model != NULL));
    amun_model_unref(model);
    return status;
}

static amun_status init_train(void *o, size_t n)
{
    amun_status status = amun_train_options_init(o, n);
    if (status == AMUN_OK) {
        ((amun_train_options *)o)->epochs = 0;
    }
    return status;
}
static amun_status use_train(const void *o)
{
    return amun_train_run(NULL, f.model, f.data, NULL, 0, o, NULL);
}
static amun_status use_train_in_unlearn(const void *o)
{
    amun_unlearn_options options;
    ck_ok(amun_unlearn_options_init(&options, sizeof options));
    options.train = o;
    return amun_unlearn_run(NULL, f.model, f.data, forget, 2, f.set, &options, NULL);
}
static amun_status use_train_in_references(const void *o)
{
    amun_mia *mia = NULL;
    amun_mia_options options;
    ck_ok(amun_mia_options_init(&options, sizeof options));
    options.references = 2;
    ck_ok(amun_mia_create(&mia, f.ctx, f.data, f.data, &options));
    amun_status status = amun_mia_train_references(mia, f.model, o, NULL, NULL);
    char kept[1024];
    snprintf(kept, sizeof kept, "%s", amun_last_error_message());
    amun_mia_unref(mia);
    ck_assert_str_eq(kept, amun_last_error_message());
    return status;
}

#define ATTACK_USE(kind)                                                                           \
    static amun_status init_##kind(void *o, size_t n)                                              \
    {                                                                                              \
        return amun_##kind##_options_init(o, n);                                                   \
    }                                                                                              \
    static amun_status use_##kind(const void *o)                                                   \
    {                                                                                              \
        amun_attack *attack = (void *)&f;                                                          \
        amun_status status = amun_attack_create_##kind(&attack, f.ctx, o);                         \
        ck_assert((status == AMUN_OK) == (attack != NULL));                                        \
        amun_attack_unref(attack);                                                                 \
        return status;                                                                             \
    }
ATTACK_USE(fgsm)
ATTACK_USE(ffgsm)
ATTACK_USE(pgd_linf)
ATTACK_USE(pgd_l2)
ATTACK_USE(mim)
ATTACK_USE(apgd)
ATTACK_USE(square)
ATTACK_USE(standard)
ATTACK_USE(search)

static amun_status init_unlearn(void *o, size_t n)
{
    amun_status status = amun_unlearn_options_init(o, n);
    if (status == AMUN_OK) {
        static amun_train_options none;
        ck_ok(amun_unlearn_train_options_init(&none, sizeof none, AMUN_UNLEARN_AMUN));
        none.epochs = 0;
        ((amun_unlearn_options *)o)->train = &none;
    }
    return status;
}
static amun_status use_in_unlearn(const amun_rival_options *rival, const amun_trw_options *trw)
{
    amun_unlearn_options options;
    ck_ok(init_unlearn(&options, sizeof options));
    options.rival = rival;
    options.trw = trw;
    return amun_unlearn_run(NULL, f.model, f.data, forget, 2, f.set, &options, NULL);
}
static amun_status init_rival(void *o, size_t n)
{
    return amun_rival_options_init(o, n);
}
static amun_status use_rival(const void *o)
{
    return use_in_unlearn(o, NULL);
}
static amun_status init_trw(void *o, size_t n)
{
    return amun_trw_options_init(o, n);
}
static amun_status use_trw(const void *o)
{
    return use_in_unlearn(NULL, o);
}
static amun_status init_trw_select(void *o, size_t n)
{
    amun_status status = amun_trw_select_options_init(o, n);
    if (status == AMUN_OK) { /* a tenth of 8 samples is none */
        ((amun_trw_select_options *)o)->share = 0.5;
    }
    return status;
}
/* On a data set where the forget class is whole, and the network may be trained for no epoch. */
static amun_status use_trw_select(const void *o)
{
    amun_unlearn_options options;
    amun_train_options none;
    const double betas[] = {1};
    double beta;
    int64_t labels[TINY_COUNT], first[TINY_COUNT];
    size_t count = 0;
    ck_ok(amun_unlearn_options_init(&options, sizeof options));
    ck_ok(amun_unlearn_train_options_init(&none, sizeof none, AMUN_UNLEARN_TRW));
    none.epochs = 0;
    options.method = AMUN_UNLEARN_TRW;
    options.train = &none;
    ck_ok(amun_dataset_labels(f.data, 0, TINY_COUNT, labels));
    for (size_t i = 0; i < TINY_COUNT; i++) {
        if (labels[i] == labels[0]) {
            first[count++] = (int64_t)i;
        }
    }
    return amun_trw_select_beta(&beta, NULL, NULL, f.model, f.data, first, count, betas, 1, o,
                                &options, NULL);
}
static amun_status use_unlearn(const void *o)
{
    return amun_unlearn_run(NULL, f.model, f.data, forget, 2, f.set, o, NULL);
}

static amun_status init_rmia(void *o, size_t n)
{
    return amun_rmia_options_init(o, n);
}
static amun_status use_rmia(const void *o)
{
    static const double target[3] = {0.5, 0.25, 0.75}, references[6] = {0.5, 0.5, 0.5, 1, 1, 1};
    double scores[3];
    return amun_rmia_scores(scores, target, references, NULL, NULL, 2, 3, o);
}
static amun_status use_rmia_in_signal(const void *o)
{
    double signal[TINY_COUNT];
    amun_tensor_view labels = view1(tiny_labels, AMUN_DTYPE_I64, TINY_COUNT);
    memset(f.room, 0, sizeof f.room);
    return amun_signal_compute(signal, NULL, &f.logits, &labels, o);
}
static amun_status use_rmia_in_mia(const void *o)
{
    amun_mia *mia = (void *)&f;
    amun_mia_options options;
    ck_ok(amun_mia_options_init(&options, sizeof options));
    options.rmia = o;
    amun_status status = amun_mia_create(&mia, f.ctx, f.data, f.data, &options);
    ck_assert((status == AMUN_OK) == (mia != NULL));
    amun_mia_unref(mia);
    return status;
}

static amun_status init_mia(void *o, size_t n)
{
    return amun_mia_options_init(o, n);
}
static amun_status use_mia(const void *o)
{
    amun_mia *mia = (void *)&f;
    amun_status status = amun_mia_create(&mia, f.ctx, f.data, f.data, o);
    ck_assert((status == AMUN_OK) == (mia != NULL));
    amun_mia_unref(mia);
    return status;
}

/* Outputs of three models on fifteen rows of three classes, for the audits of a forgotten class. */
static struct {
    double values[3][15][3];
    int64_t labels[15];
    amun_tensor_view models, one, label_view;
} saved;
static const int64_t forgotten[1] = {1};

static void save_outputs(void)
{
    for (int i = 0; i < 15; i++) {
        saved.labels[i] = i % 3;
        for (int m = 0; m < 3; m++) {
            for (int j = 0; j < 3; j++) {
                saved.values[m][i][j] = (j == i % 3 ? 3.0 : 0.0) + sin(5.0 * i + 3.0 * j + 2.0 * m);
            }
        }
    }
    const int64_t shape[3] = {3, 15, 3};
    ck_ok(amun_tensor_view_init(&saved.models, saved.values, AMUN_DTYPE_F64, 3, shape));
    ck_ok(amun_tensor_view_init(&saved.one, saved.values, AMUN_DTYPE_F64, 2, shape + 1));
    ck_ok(amun_tensor_view_init(&saved.label_view, saved.labels, AMUN_DTYPE_I64, 1, shape + 1));
}

#define AUDIT_INIT(kind)                                                                           \
    static amun_status init_##kind(void *o, size_t n)                                              \
    {                                                                                              \
        save_outputs();                                                                            \
        return amun_##kind##_options_init(o, n);                                                   \
    }
AUDIT_INIT(miann)
AUDIT_INIT(c2st)
AUDIT_INIT(svcmia)
AUDIT_INIT(ulira)
AUDIT_INIT(probe)
AUDIT_INIT(prototype)
AUDIT_INIT(lossmia)
AUDIT_INIT(quality)

static amun_status use_miann(const void *o)
{
    amun_miann told = {.struct_size = sizeof told};
    return amun_miann_compute(&told, NULL, NULL, &saved.models, &saved.one, &saved.label_view,
                              forgotten, 1, o);
}
static amun_status use_c2st(const void *o)
{
    amun_c2st told = {.struct_size = sizeof told};
    return amun_c2st_compute(&told, &saved.models, &saved.one, &saved.label_view, forgotten, 1, o);
}
static amun_status use_ulira(const void *o)
{
    amun_ulira told = {.struct_size = sizeof told};
    return amun_ulira_class(&told, &saved.models, &saved.models, &saved.one, &saved.label_view,
                            forgotten, 1, o);
}
static amun_status use_ulira_in_samples(const void *o)
{
    static const double scores[8] = {0, 1, 2, 3, 4, 5, 6, 8};
    static const uint8_t state[8] = {0, 0, 0, 0, 1, 1, 1, 1}, truth[2] = {0, 1};
    amun_ulira_samples told = {.struct_size = sizeof told};
    return amun_ulira_sample_scores(&told, NULL, scores, state, 4, scores, truth, 2, o);
}
static amun_status use_svcmia(const void *o)
{
    amun_svcmia told = {.struct_size = sizeof told};
    amun_tensor_view *z = &saved.one, *y = &saved.label_view;
    amun_status status = amun_svcmia_kodge(&told, z, y, z, y, z, y, o);
    /* a build without libsvm has read the options all the same */
    return strstr(amun_last_error_message(), "libsvm") != NULL ? AMUN_OK : status;
}

/* The three outputs serve as features, too. */
static amun_status use_probe(const void *o)
{
    amun_probe told = {.struct_size = sizeof told};
    amun_tensor_view *z = &saved.one, *y = &saved.label_view;
    return amun_probe_compute(&told, NULL, z, y, z, y, 3, forgotten, 1, o);
}
static amun_status use_prototype(const void *o)
{
    static double rows[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    amun_prototype told = {.struct_size = sizeof told};
    amun_tensor_view *z = &saved.one, *y = &saved.label_view, head;
    ck_ok(amun_tensor_view_init(&head, rows, AMUN_DTYPE_F64, 2, (int64_t[]){3, 3}));
    return amun_prototype_compute(&told, &head, NULL, z, y, z, y, forgotten, 1, o);
}
static amun_status use_lossmia(const void *o)
{
    amun_lossmia told = {.struct_size = sizeof told};
    amun_tensor_view *z = &saved.one, *y = &saved.label_view;
    return amun_lossmia_logits(&told, z, y, z, y, o);
}
static amun_status use_quality(const void *o)
{
    static const double scores[6] = {0, 1, 2, 3, 4, 5};
    amun_quality told = {.struct_size = sizeof told};
    return amun_quality_compute(&told, NULL, scores, 3, scores, 3, 2, o);
}

/* ---- the documented ranges ------------------------------------------------------------------- */

enum { F64 = 1, I32, I64, RESERVED };

typedef struct range {
    const char *name;
    size_t offset;
    int kind;
    double low, high;
    bool open_low, open_high; /* the bound itself is outside */
    bool edges;               /* the bounds are cheap to try */
} range;

#define R(type, member, kind, low, high)                                                           \
    {                                                                                              \
#member, offsetof(amun_##type##_options, member), kind, low, high, false, false, true      \
    }
#define R_SLOW(type, member, kind, low, high)                                                      \
    {                                                                                              \
#member, offsetof(amun_##type##_options, member), kind, low, high, false, false, false     \
    }
#define R_OPEN(type, member, low, high, open_low, open_high)                                       \
    {                                                                                              \
#member, offsetof(amun_##type##_options, member), F64, low, high, open_low, open_high,     \
            true                                                                                   \
    }
#define R_ZERO(type, member)                                                                       \
    {                                                                                              \
#member, offsetof(amun_##type##_options, member), RESERVED, 0, 0, false, false, false      \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, 0, 0, 0, false, false, false                                                      \
    }

static const range call_ranges[] = {R(call, min_interval_ms, I32, 0, 3600000),
                                    R_ZERO(call, reserved0), END};
static const range context_ranges[] = {R(context, threads, I32, 0, 1024),
                                       R_ZERO(context, reserved0), R(context, conv, I32, 0, 3),
                                       R(context, precision, I32, 0, 2), END};
static const range conv_ranges[] = {R(conv2d, channels, I64, 1, 65536),
                                    R_SLOW(conv2d, kernel_h, I64, 1, 64),
                                    R_SLOW(conv2d, kernel_w, I64, 1, 64),
                                    R(conv2d, stride_h, I64, 1, 64),
                                    R(conv2d, stride_w, I64, 1, 64),
                                    R(conv2d, pad_h, I64, 0, 64),
                                    R(conv2d, pad_w, I64, 0, 64),
                                    R_SLOW(conv2d, dilation_h, I64, 1, 64),
                                    R_SLOW(conv2d, dilation_w, I64, 1, 64),
                                    R_SLOW(conv2d, groups, I64, 1, 65536),
                                    R(conv2d, bias, I32, 0, 1),
                                    R(conv2d, padding, I32, 0, 4),
                                    END};
static const range pool_ranges[] = {R_SLOW(pool, kernel_h, I64, 1, 1024),
                                    R_SLOW(pool, kernel_w, I64, 1, 1024),
                                    R(pool, stride_h, I64, 1, 1024),
                                    R(pool, stride_w, I64, 1, 1024),
                                    R_SLOW(pool, pad_h, I64, 0, 512),
                                    R_SLOW(pool, pad_w, I64, 0, 512),
                                    END};
static const range model_ranges[] = {
    R_SLOW(model, classes, I64, 2, 65536), R_SLOW(model, channels, I64, 1, 1024),
    R_SLOW(model, height, I64, 1, 4096), R_SLOW(model, width, I64, 1, 4096),
    R(model, mean, F64, -1e12, 1e12),    R(model, std, F64, 0, 1e12),
    END};
static const range train_ranges[] = {R_SLOW(train, epochs, I32, 0, 100000),
                                     R(train, batch, I32, 1, 65536),
                                     R(train, lr, F64, 0, 1000),
                                     R_OPEN(train, momentum, 0, 1, false, true),
                                     R(train, weight_decay, F64, 0, 1),
                                     R(train, nesterov, I32, 0, 1),
                                     R(train, schedule, I32, 1, 4),
                                     R(train, optimiser, I32, 1, 2),
                                     R(train, augment_cutout, I32, 0, 1024),
                                     R(train, step_epochs, I32, 1, 100000),
                                     R_SLOW(train, augment_pad, I32, 0, 64),
                                     R_OPEN(train, gamma, 0, 1, true, false),
                                     R(train, warmup, F64, 0, 1),
                                     R(train, final_factor, F64, 0, 1),
                                     R_OPEN(train, label_smoothing, 0, 1, false, true),
                                     R(train, augment_flip, I32, 0, 1),
                                     R(train, checkpoint_every, I32, 1, 100000),
                                     END};
static const range fgsm_ranges[] = {R(fgsm, eps, F64, 0, 1), R(fgsm, batch, I32, 1, 4096),
                                    R_ZERO(fgsm, reserved0), END};
static const range ffgsm_ranges[] = {R(ffgsm, eps, F64, 0, 1), R(ffgsm, step, F64, 0, 1),
                                     R(ffgsm, batch, I32, 1, 4096), R_ZERO(ffgsm, reserved0), END};
#define PGD_RANGES                                                                                 \
    R(pgd, eps, F64, 0, 1000), R(pgd, step, F64, 0, 1000), R(pgd, steps, I32, 1, 10000),           \
        R(pgd, random_start, I32, 0, 1), R(pgd, batch, I32, 1, 4096)
static const range pgd_linf_ranges[] = {PGD_RANGES, R(pgd, legacy_normalised_clamp, I32, 0, 1),
                                        END};
static const range pgd_l2_ranges[] = {PGD_RANGES, R(pgd, legacy_normalised_clamp, I32, 0, 0), END};
static const range mim_ranges[] = {R(mim, eps, F64, 0, 1000),   R(mim, step, F64, 0, 1000),
                                   R(mim, decay, F64, 0, 10),   R(mim, steps, I32, 1, 10000),
                                   R(mim, batch, I32, 1, 4096), END};
static const range apgd_ranges[] = {
    R(apgd, norm, I32, 1, 2),         R(apgd, loss, I32, 1, 3),
    R(apgd, eps, F64, 0, 1000),       R(apgd, rho, F64, 0, 1),
    R(apgd, momentum, F64, 0, 1),     R(apgd, steps, I32, 1, 10000),
    R(apgd, restarts, I32, 1, 100),   R(apgd, targets, I32, 1, 100),
    R(apgd, random_start, I32, 0, 1), R(apgd, stop_at_flip, I32, 0, 1),
    R(apgd, batch, I32, 1, 4096),     END};
static const range square_ranges[] = {R(square, norm, I32, 1, 2),
                                      R(square, queries, I32, 1, 1000000),
                                      R(square, eps, F64, 0, 1000),
                                      R_OPEN(square, p_init, 0, 1, true, false),
                                      R(square, batch, I32, 1, 4096),
                                      R_ZERO(square, reserved0),
                                      END};
static const range standard_ranges[] = {
    R(standard, norm, I32, 1, 2),          R(standard, steps, I32, 1, 10000),
    R(standard, eps, F64, 0, 1000),        R(standard, targets, I32, 1, 100),
    R(standard, queries, I32, 1, 1000000), R(standard, batch, I32, 1, 4096),
    R_ZERO(standard, reserved0),           END};
static const range search_ranges[] = {R(search, norm, I32, 1, 2),
                                      R(search, steps, I32, 1, 10000),
                                      R_OPEN(search, eps0, 0, 1000, true, false),
                                      R_OPEN(search, growth, 1, 100, true, false),
                                      R(search, step_divisor, F64, 1, 10000),
                                      R(search, eps_max, F64, 0, 100000),
                                      R(search, restart, I32, 0, 1),
                                      R(search, margin_fallback, I32, 0, 1),
                                      R(search, on_failure, I32, 1, 4),
                                      R(search, batch, I32, 1, 4096),
                                      R(search, method, I32, 1, 3),
                                      R(search, pilot, I32, 0, 1000000),
                                      R_OPEN(search, pilot_eps, 0, 1000, true, false),
                                      R(search, pilot_percentile, F64, 0, 100),
                                      R_OPEN(search, init_norm, 0, 1000, true, false),
                                      R(search, gamma, F64, 0, 0.9),
                                      R(search, gamma_final, F64, 0, 0.9),
                                      R_OPEN(search, alpha, 0, 1000, true, false),
                                      R(search, alpha_final, F64, 0, 1000),
                                      END};
static const range unlearn_ranges[] = {R_SLOW(unlearn, method, I32, 1, 20),
                                       R(unlearn, remain, I32, 0, 1),
                                       R(unlearn, mask_ratio, F64, 0, 1), END};
static const range rival_ranges[] = {R(rival, any_label, I32, 0, 1),
                                     R(rival, forget_first, I32, 0, 1),
                                     R(rival, ascent_norm, F64, 0, 1e6),
                                     R(rival, ascent_floor, F64, 0, 100),
                                     R(rival, retain_weight, F64, 0, 1),
                                     R_OPEN(rival, boundary_step, 0, 1, true, false),
                                     R(rival, l1, F64, 0, 10),
                                     R(rival, scrub_temperature, F64, 0.01, 1000),
                                     R(rival, scrub_gamma, F64, 0, 1000),
                                     R(rival, scrub_alpha, F64, 0, 1000),
                                     R(rival, scrub_ascent_epochs, I32, 0, 100000),
                                     R(rival, scrub_rewind, I32, 0, 1),
                                     R(rival, ssd_alpha, F64, 0, 1e9),
                                     R(rival, ssd_lambda, F64, 0, 1e9),
                                     R(rival, svd_retain_alpha, F64, 0, 1e9),
                                     R(rival, svd_forget_alpha, F64, 0, 1e9),
                                     R(rival, svd_samples, I32, 1, 1e6),
                                     R(rival, svd_patches, I32, 1, 1e7),
                                     R_OPEN(rival, teacher_share, 0, 1, true, false),
                                     R(rival, teacher_temperature, F64, 0.01, 1000),
                                     R(rival, unsir_noise, I32, 1, 65536),
                                     R(rival, unsir_noise_steps, I32, 0, 100000),
                                     R_OPEN(rival, unsir_noise_lr, 0, 1000, true, false),
                                     R(rival, unsir_noise_penalty, F64, 0, 1000),
                                     R(rival, unsir_copies, I32, 1, 4095),
                                     R(rival, unsir_per_class, I32, 1, 1e6),
                                     R_OPEN(rival, unsir_repair_lr, 0, 1000, true, false),
                                     R(rival, last_blocks, I32, 0, 100000),
                                     R_ZERO(rival, reserved),
                                     END};
static const range trw_select_ranges[] = {
    {"share", offsetof(amun_trw_select_options, share), F64, 0, 0.9, true, false, false},
    R(trw_select, tolerance, F64, 0, 100),
    END};
static const range trw_ranges[] = {R(trw, beta, F64, 0, 1000),
                                   R(trw, temperature, F64, 1e-3, 1000),
                                   R_OPEN(trw, energy, 0, 1, true, false),
                                   R(trw, components, I32, 0, 65536),
                                   R(trw, score, I32, 1, 2),
                                   R(trw, bias, I32, 0, 1),
                                   R(trw, balanced, I32, 0, 1),
                                   R(trw, frozen_statistics, I32, 0, 1),
                                   R(trw, neighbours, I32, 0, 100000),
                                   R(trw, kappa, F64, 0, 1),
                                   R(trw, forget_floor, F64, 0, 0.1),
                                   R(trw, forget_weight, F64, 0, 1000),
                                   R(trw, noise, F64, 0, 100),
                                   R(trw, control, I32, 1, 5),
                                   R_SLOW(trw, stage, I32, 0, 64),
                                   END};
static const range rmia_ranges[] = {R_SLOW(rmia, signal, I32, 1, 5),
                                    R(rmia, taylor_degree, I32, 1, 8),
                                    R_OPEN(rmia, temperature, 0, 1000, true, false),
                                    R(rmia, margin, F64, 0, 1000),
                                    R(rmia, gamma, F64, 1, 1000),
                                    R_SLOW(rmia, mode, I32, 1, 2),
                                    R(rmia, population, I32, 1, 2),
                                    R(rmia, offline_a, F64, 0, 1),
                                    R(rmia, trim, F64, 0, 0.49),
                                    END};
static const range mia_ranges[] = {R_SLOW(mia, references, I32, 2, 4096),
                                   R(mia, subsamples, I32, 1, 1000), END};
static const range miann_ranges[] = {R(miann, features, I32, 1, 4),
                                     R_SLOW(miann, kernel, I32, 1, 3),
                                     R_SLOW(miann, c, F64, 0, 1e6),
                                     R(miann, fit_share, F64, 0.1, 0.9),
                                     R(miann, top_m, I32, 1, 65536),
                                     R_ZERO(miann, reserved0),
                                     END};
static const range c2st_ranges[] = {R_SLOW(c2st, folds, I32, 2, 100), R_ZERO(c2st, reserved0),
                                    R(c2st, ridge, F64, 1e-9, 1e9), END};
static const range ulira_ranges[] = {R(ulira, variance, I32, 1, 3),
                                     R(ulira, centre, I32, 1, 3),
                                     R(ulira, holdout, I32, 1, 2),
                                     R_SLOW(ulira, score, I32, 1, 3),
                                     R(ulira, floor, F64, 1e-12, 1e3),
                                     R_SLOW(ulira, neighbour, I64, -1, 1e9),
                                     END};
static const range probe_ranges[] = {R(probe, ridge, F64, 1e-9, 1e9),
                                     R_SLOW(probe, limit, I64, 0, 1e9), R(probe, stage, I32, 0, 64),
                                     R_ZERO(probe, reserved), END};
static const range prototype_ranges[] = {
    R_SLOW(prototype, samples, I32, 1, 1e6), R(prototype, draws, I32, 1, 10000),
    R(prototype, scale, I32, 1, 2), R_ZERO(prototype, reserved), END};
static const range lossmia_ranges[] = {
    R_SLOW(lossmia, splits, I32, 1, 10000), R_ZERO(lossmia, reserved),
    R(lossmia, test_share, F64, 0.01, 0.9), R(lossmia, ridge, F64, 1e-9, 1e9), END};
static const range quality_ranges[] = {
    R(quality, delta, F64, 0, 0.5),  R(quality, cap, F64, 1e-6, 1e6),
    R(quality, bin, F64, 1e-6, 1e6), R(quality, intervals, I32, 0, 1),
    R_ZERO(quality, reserved),       END};
static const range svcmia_ranges[] = {R(svcmia, limit, I64, 0, 1e8), END};

static const struct {
    const char *name;
    size_t size;
    amun_status (*init)(void *, size_t);
    amun_status (*use)(const void *);
    const range *ranges;
} structs[] = {
    {"amun_call_options", sizeof(amun_call_options), init_call, use_call, call_ranges},
    {"amun_context_options", sizeof(amun_context_options), init_context, use_context,
     context_ranges},
    {"amun_conv2d_options", sizeof(amun_conv2d_options), init_conv, use_conv, conv_ranges},
    {"amun_pool_options", sizeof(amun_pool_options), init_pool, use_max_pool, pool_ranges},
    {"amun_pool_options", sizeof(amun_pool_options), init_pool, use_avg_pool, pool_ranges},
    {"amun_model_options", sizeof(amun_model_options), init_model, use_model, model_ranges},
    {"amun_train_options", sizeof(amun_train_options), init_train, use_train, train_ranges},
    {"amun_train_options", sizeof(amun_train_options), init_train, use_train_in_unlearn,
     train_ranges},
    {"amun_train_options", sizeof(amun_train_options), init_train, use_train_in_references,
     train_ranges},
    {"amun_fgsm_options", sizeof(amun_fgsm_options), init_fgsm, use_fgsm, fgsm_ranges},
    {"amun_ffgsm_options", sizeof(amun_ffgsm_options), init_ffgsm, use_ffgsm, ffgsm_ranges},
    {"amun_pgd_options", sizeof(amun_pgd_options), init_pgd_linf, use_pgd_linf, pgd_linf_ranges},
    {"amun_pgd_options", sizeof(amun_pgd_options), init_pgd_l2, use_pgd_l2, pgd_l2_ranges},
    {"amun_mim_options", sizeof(amun_mim_options), init_mim, use_mim, mim_ranges},
    {"amun_apgd_options", sizeof(amun_apgd_options), init_apgd, use_apgd, apgd_ranges},
    {"amun_square_options", sizeof(amun_square_options), init_square, use_square, square_ranges},
    {"amun_standard_options", sizeof(amun_standard_options), init_standard, use_standard,
     standard_ranges},
    {"amun_search_options", sizeof(amun_search_options), init_search, use_search, search_ranges},
    {"amun_unlearn_options", sizeof(amun_unlearn_options), init_unlearn, use_unlearn,
     unlearn_ranges},
    {"amun_rival_options", sizeof(amun_rival_options), init_rival, use_rival, rival_ranges},
    {"amun_trw_options", sizeof(amun_trw_options), init_trw, use_trw, trw_ranges},
    {"amun_trw_select_options", sizeof(amun_trw_select_options), init_trw_select, use_trw_select,
     trw_select_ranges},
    {"amun_rmia_options", sizeof(amun_rmia_options), init_rmia, use_rmia, rmia_ranges},
    {"amun_rmia_options", sizeof(amun_rmia_options), init_rmia, use_rmia_in_signal, rmia_ranges},
    {"amun_rmia_options", sizeof(amun_rmia_options), init_rmia, use_rmia_in_mia, rmia_ranges},
    {"amun_mia_options", sizeof(amun_mia_options), init_mia, use_mia, mia_ranges},
    {"amun_miann_options", sizeof(amun_miann_options), init_miann, use_miann, miann_ranges},
    {"amun_c2st_options", sizeof(amun_c2st_options), init_c2st, use_c2st, c2st_ranges},
    {"amun_ulira_options", sizeof(amun_ulira_options), init_ulira, use_ulira, ulira_ranges},
    {"amun_ulira_options", sizeof(amun_ulira_options), init_ulira, use_ulira_in_samples,
     ulira_ranges},
    {"amun_svcmia_options", sizeof(amun_svcmia_options), init_svcmia, use_svcmia, svcmia_ranges},
    {"amun_probe_options", sizeof(amun_probe_options), init_probe, use_probe, probe_ranges},
    {"amun_prototype_options", sizeof(amun_prototype_options), init_prototype, use_prototype,
     prototype_ranges},
    {"amun_lossmia_options", sizeof(amun_lossmia_options), init_lossmia, use_lossmia,
     lossmia_ranges},
    {"amun_quality_options", sizeof(amun_quality_options), init_quality, use_quality,
     quality_ranges},
};
enum { STRUCTS = sizeof structs / sizeof structs[0], ROOM = 8192 };

/* Statuses and messages are compared by hand here, so that a failure names the struct. */
#define ck_refused(s, part, ...)                                                                   \
    do {                                                                                           \
        char ck_case[256];                                                                         \
        amun_status ck_status = structs[s].use(room);                                              \
        const char *ck_message = amun_last_error_message();                                        \
        snprintf(ck_case, sizeof ck_case, __VA_ARGS__);                                            \
        ck_assert_msg(ck_status == AMUN_ERROR_INVALID_ARGUMENT, "%s, %s: got %s \"%s\"",           \
                      structs[s].name, ck_case, amun_status_string(ck_status), ck_message);        \
        /* channels that were not set are no range error: 0 stands for "not set" */                \
        ck_assert_msg(strstr(ck_message, structs[s].name) != NULL ||                               \
                          strstr(ck_message, "channels is 0") != NULL,                             \
                      "%s, %s: \"%s\"", structs[s].name, ck_case, ck_message);                     \
        ck_assert_msg(strstr(ck_message, part) != NULL && strpbrk(ck_message, "\r\n") == NULL,     \
                      "%s, %s: \"%s\"", structs[s].name, ck_case, ck_message);                     \
    } while (0)

static _Alignas(8) unsigned char room[ROOM];

static void fresh(int s)
{
    memset(room, 0, sizeof room);
    ck_ok(structs[s].init(room, structs[s].size));
}

static void set_size(size_t size)
{
    memcpy(room, &size, sizeof size);
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(sizes)
{
    int s = _i;
    size_t size = structs[s].size;
    char text[64];
    fresh(s);
    ck_ok(structs[s].use(room));
    if (structs[s].use != use_conv) { /* the one with a field that has no default */
        ck_ok(structs[s].use == use_train || structs[s].use == use_train_in_references ||
                      structs[s].use == use_train_in_unlearn || structs[s].use == use_model ||
                      structs[s].use == use_unlearn || structs[s].use == use_trw_select
                  ? AMUN_OK /* long with all defaults, or of another shape */
                  : structs[s].use(NULL));
    }
    ck_invalid(structs[s].init(NULL, size), "NULL");
    memset(room, 0xa5, sizeof room);
    ck_refused(s, "11936128518282651045", "never initialised");
    memset(room, 0, sizeof room);
    ck_refused(s, "struct_size is 0", "all zero");
    static const int wrong[] = {-8, -1, 1, 4, 7};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fresh(s);
        size_t other = (size_t)((int64_t)size + wrong[i]);
        if ((other == 112 || other == 120) && structs[s].init == init_train) {
            continue; /* before there was a clip, or an optimiser: good for ever */
        }
        set_size(other);
        snprintf(text, sizeof text, "struct_size is %zu", other);
        ck_refused(s, text, "size %zu", other);
        ck_invalid(structs[s].init(room, other), structs[s].name);
    }
    fresh(s);
    set_size(4104);
    ck_refused(s, "4104", "more than 4 KiB");
}
END_TEST

START_TEST(newer_callers)
{
    int s = _i;
    size_t size = structs[s].size;
    for (size_t extra = 8; size + extra <= 4096; extra *= 5) {
        memset(room, 0xff, sizeof room);
        ck_ok(structs[s].init(room, size + extra));
        for (size_t i = 0; i < extra; i++) {
            ck_assert_uint_eq(room[size + i], 0);
        }
        ck_ok(structs[s].use(room)); /* new fields that nobody has set */
        room[size + extra - 1] = 1;  /* and one that somebody has */
        char text[32];
        snprintf(text, sizeof text, "%zu", size + extra - 4);
        amun_status status = structs[s].use(room);
        ck_assert_msg(status == AMUN_ERROR_UNSUPPORTED, "%s: %s", structs[s].name,
                      amun_status_string(status));
        ck_assert_msg(strstr(amun_last_error_message(), text) != NULL &&
                          strstr(amun_last_error_message(), "newer") != NULL,
                      "%s", amun_last_error_message());
    }
}
END_TEST

static void store(const range *r, double value)
{
    double f64 = value;
    int32_t i32 = (int32_t)value;
    int64_t i64 = (int64_t)value;
    if (r->kind == F64) {
        memcpy(room + r->offset, &f64, sizeof f64);
    } else if (r->kind == I64) {
        memcpy(room + r->offset, &i64, sizeof i64);
    } else {
        memcpy(room + r->offset, &i32, sizeof i32);
    }
}

static void refuse_value(int s, const range *r, double value)
{
    char text[64];
    fresh(s);
    store(r, value);
    ck_refused(s, r->name, "%s = %g", r->name, value);
    if (isnan(value)) {
        ck_refused(s, "nan", "%s = %g", r->name, value);
        return;
    }
    snprintf(text, sizeof text, r->kind == F64 ? "%g" : "%.0f", value);
    ck_refused(s, text, "%s = %g", r->name, value);
}

START_TEST(ranges)
{
    int s = _i;
    for (const range *r = structs[s].ranges; r->name != NULL; r++) {
        if (r->kind == RESERVED) {
            refuse_value(s, r, 1);
            refuse_value(s, r, -1);
        } else if (r->kind == F64) {
            refuse_value(s, r, r->open_low ? r->low : nextafter(r->low, -INFINITY));
            refuse_value(s, r, r->open_high ? r->high : nextafter(r->high, INFINITY));
            refuse_value(s, r, (double)NAN);
            refuse_value(s, r, INFINITY);
            refuse_value(s, r, -INFINITY);
        } else {
            refuse_value(s, r, r->low - 1);
            refuse_value(s, r, r->high + 1);
            refuse_value(s, r, (double)INT32_MIN);
            refuse_value(s, r, (double)INT32_MAX);
        }
        if (r->kind == I64) {
            refuse_value(s, r, -9223372036854775808.0);
        }
    }
    ck_unchanged(f.model, &f.before);
}
END_TEST

START_TEST(edges)
{
    int s = _i;
    for (const range *r = structs[s].ranges; r->name != NULL; r++) {
        for (int high = 0; r->edges && high < 2; high++) {
            bool open = high ? r->open_high : r->open_low;
            double bound = high ? r->high : r->low;
            fresh(s);
            store(r, open ? nextafter(bound, high ? -INFINITY : INFINITY) : bound);
            if (open && bound == 0.0) {
                store(r, 1e-300);
            }
            amun_status status = structs[s].use(room);
            ck_assert_msg(status == AMUN_OK, "%s.%s at its %s bound: %s", structs[s].name, r->name,
                          high ? "upper" : "lower", amun_last_error_message());
        }
    }
}
END_TEST

/* Bounds that depend on another field. */
START_TEST(related_fields)
{
    amun_pool_options pool;
    amun_node node;
    ck_ok(amun_pool_options_init(&pool, sizeof pool));
    pool.pad_h = 2;
    ck_invalid(amun_graph_max_pool(&node, f.graph, 0, &pool), "2");
    pool.pad_h = 1;
    ck_ok(amun_graph_max_pool(&node, f.graph, 0, &pool));
    pool.kernel_h = 99;
    ck_fails(amun_graph_avg_pool(&node, f.graph, 0, &pool), AMUN_ERROR_SHAPE, "99");

    amun_conv2d_options conv;
    ck_ok(amun_conv2d_options_init(&conv, sizeof conv));
    ck_invalid(amun_graph_conv2d(&node, f.graph, 0, "c", &conv), "channels is 0");
    ck_invalid(amun_graph_conv2d(&node, f.graph, 0, "c", NULL), "channels is 0");
    conv.channels = 4;
    conv.groups = 3;
    ck_fails(amun_graph_conv2d(&node, f.graph, 0, "c", &conv), AMUN_ERROR_SHAPE, "groups 3");
    conv.groups = 1;
    conv.kernel_h = 11;
    ck_fails(amun_graph_conv2d(&node, f.graph, 0, "c", &conv), AMUN_ERROR_SHAPE, "11");

    amun_search_options search;
    amun_attack *attack;
    ck_ok(amun_search_options_init(&search, sizeof search));
    search.eps_max = 0.03;
    ck_invalid(amun_attack_create_search(&attack, f.ctx, &search), "0.03");
    ck_assert_ptr_null(attack);

    amun_mia_options options;
    amun_rmia_options rmia;
    amun_mia *mia;
    ck_ok(amun_mia_options_init(&options, sizeof options));
    options.references = 5;
    ck_invalid(amun_mia_create(&mia, f.ctx, f.data, f.data, &options), "5, must be even");
    ck_assert_ptr_null(mia);
    ck_ok(amun_rmia_options_init(&rmia, sizeof rmia));
    rmia.signal = AMUN_SIGNAL_LOG_LOGIT;
    ck_invalid(use_rmia(&rmia), "log_logit");
    ck_invalid(use_rmia_in_mia(&rmia), "log_logit");
    ck_ok(use_rmia_in_signal(&rmia));
    rmia.signal = AMUN_SIGNAL_SOFTMAX;
    rmia.mode = AMUN_RMIA_OFFLINE;
    ck_invalid(use_rmia(&rmia), "included is NULL");

    amun_context_options half;
    amun_context *ctx;
    ck_ok(amun_context_options_init(&half, sizeof half));
    half.alloc = (amun_alloc_fn)(uintptr_t)&f; /* never called */
    ck_invalid(amun_context_create(&ctx, &half), "alloc and free");
    ck_assert_ptr_null(ctx);
    ck_invalid(amun_context_set_threads(f.ctx, -1), "-1");
    ck_invalid(amun_context_set_threads(f.ctx, 1025), "1025");
    ck_invalid(amun_context_set_log(f.ctx, NULL, NULL, 4), "4");

    amun_train_options train;
    ck_invalid(amun_unlearn_train_options_init(&train, sizeof train, 0), "0");
    ck_invalid(amun_unlearn_train_options_init(&train, sizeof train, 21), "21");
    amun_unlearn_options unlearn;
    ck_ok(amun_unlearn_options_init(&unlearn, sizeof unlearn));
    unlearn.method = AMUN_UNLEARN_RETRAIN;
    ck_invalid(amun_unlearn_run(NULL, f.model, f.data, forget, 2, f.set, &unlearn, NULL),
               "set must be NULL");
    unlearn.remain = 0;
    ck_invalid(amun_unlearn_run(NULL, f.model, f.data, forget, 2, NULL, &unlearn, NULL),
               "remain is 0");
    ck_ok(amun_train_options_init(&train, sizeof train));
    train.checkpoint = "";
    ck_invalid(use_train(&train), "checkpoint");
    train.checkpoint = "/no such folder/checkpoint";
    ck_fails(use_train(&train), AMUN_ERROR_NOT_FOUND, "/no such folder/checkpoint");
    ck_invalid(use_train_in_references(&train), "/no such folder/checkpoint");
    ck_unchanged(f.model, &f.before);
}
END_TEST

/* Plain arguments of the builder and of models that come in no struct. */
START_TEST(plain_arguments)
{
    amun_node node;
    amun_graph *graph;
    amun_model *model;
    uint64_t bytes;
    double mean[2] = {0, 0}, std[2] = {1, 0};
    const amun_node far[2] = {0, 12};
    ck_invalid(amun_graph_create(&graph, f.ctx, 0, 5, 5), "channels is 0");
    ck_invalid(amun_graph_create(&graph, f.ctx, 1, -3, 5), "height is -3");
    ck_invalid(amun_graph_create(&graph, f.ctx, 1, 5, INT64_MAX), "9223372036854775807");
    ck_assert_ptr_null(graph);
    ck_invalid(amun_graph_relu(&node, f.graph, 77), "77");
    ck_invalid(amun_graph_relu(&node, f.graph, -1), "-1");
    ck_invalid(amun_graph_concat(&node, f.graph, far, 1), "1");
    ck_invalid(amun_graph_concat(&node, f.graph, far, 2), "12");
    ck_invalid(amun_graph_scale(&node, f.graph, 0, (double)NAN), "nan");
    ck_invalid(amun_graph_batchnorm(&node, f.graph, 0, "b", -1e-5, 0), "-1e-05");
    ck_invalid(amun_graph_batchnorm(&node, f.graph, 0, "b", 0, 1.5), "1.5");
    ck_invalid(amun_graph_normalise(&node, f.graph, 0, mean, std), "0");
    mean[1] = (double)NAN;
    std[1] = 1;
    ck_invalid(amun_graph_normalise(&node, f.graph, 0, mean, std), "nan");
    ck_fails(amun_graph_linear(&node, f.graph, 0, "l", 3, 1), AMUN_ERROR_SHAPE, "[2, 8, 8]");
    ck_ok(amun_graph_flatten(&node, f.graph, 0));
    amun_node flat = node;
    ck_invalid(amun_graph_linear(&node, f.graph, flat, "l", 0, 1), "features is 0");
    ck_invalid(amun_graph_linear(&node, f.graph, flat, "l", 3, 2), "bias is 2");
    ck_invalid(amun_graph_linear(&node, f.graph, flat, NULL, 3, 1), "name");
    ck_invalid(amun_graph_linear(&node, f.graph, flat, "", 3, 1), "name");
    ck_ok(amun_graph_linear(&node, f.graph, flat, "l", 3, 1));
    ck_invalid(amun_graph_linear(&node, f.graph, flat, "l", 3, 1), "'l'");
    ck_fails(amun_graph_add(&node, f.graph, 0, flat), AMUN_ERROR_SHAPE, "128");

    ck_fails(amun_model_create(&model, f.ctx, "resnet19", NULL), AMUN_ERROR_NOT_FOUND, "resnet19");
    ck_ok(amun_graph_create(&graph, f.ctx, 1, 5, 5));
    ck_fails(amun_model_create_graph(&model, f.ctx, graph, 0), AMUN_ERROR_SHAPE, "[1, 5, 5]");
    ck_assert_ptr_null(model);
    amun_graph_unref(graph);
    ck_invalid(amun_model_estimate_memory(f.model, 0, 1, &bytes), "batch is 0");
    ck_invalid(amun_model_estimate_memory(f.model, 70000, 1, &bytes), "70000");
    ck_invalid(amun_model_estimate_memory(f.model, 1, 5, &bytes), "mode is 5");
}
END_TEST

/* ---- result structs
 * ------------------------------------------------------------------------------ */

static void make_mia(amun_mia **mia)
{
    amun_mia_options options;
    ck_ok(amun_mia_options_init(&options, sizeof options));
    options.references = 2;
    ck_ok(amun_mia_create(mia, f.ctx, f.data, f.data, &options));
    amun_tensor_view logits = view2(calloc(2 * TINY_COUNT * TINY_CLASSES, sizeof(float)),
                                    AMUN_DTYPE_F32, 2 * TINY_COUNT, TINY_CLASSES);
    for (int32_t k = 0; k < 2; k++) {
        ck_ok(amun_mia_set_reference(*mia, k, &logits));
    }
    free(logits.data);
}

START_TEST(results)
{
    static const size_t wrong[] = {0, 4, 8, 12, 4104, (size_t)-1};
    amun_mia *mia = NULL;
    make_mia(&mia);
    amun_unlearn_options none;
    ck_ok(init_unlearn(&none, sizeof none));
    amun_train_options train;
    ck_ok(init_train(&train, sizeof train));
    amun_report *report = NULL;
    ck_ok(amun_report_create(&report, f.ctx, "d", "a", 1, 2));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "struct_size is %zu", wrong[i]);
        amun_train_result trained = {.struct_size = wrong[i]};
        amun_unlearn_result unlearned = {.struct_size = wrong[i]};
        amun_audit audit = {.struct_size = wrong[i]};
        amun_memory_stats stats = {.struct_size = wrong[i]};
        ck_invalid(amun_train_run(&trained, f.model, f.data, NULL, 0, &train, NULL), text);
        ck_invalid(amun_unlearn_run(&unlearned, f.model, f.data, forget, 2, f.set, &none, NULL),
                   text);
        ck_invalid(amun_mia_audit(&audit, mia, f.model, forget, 2, NULL), text);
        ck_invalid(amun_context_get_memory(f.ctx, &stats), text);
        ck_invalid(amun_report_add(report, "m", 0, &audit, 1.0), text);
    }
    /* an older caller's struct gets what fits, a newer caller's has zeros behind */
    struct {
        amun_audit audit;
        uint64_t more[2];
    } newer;
    memset(&newer, 0xff, sizeof newer);
    newer.audit.struct_size = sizeof newer;
    ck_ok(amun_mia_audit(&newer.audit, mia, f.model, forget, 2, NULL));
    ck_assert_uint_eq(newer.audit.struct_size, sizeof newer);
    ck_assert_uint_eq(newer.more[0] | newer.more[1], 0);
    ck_assert_int_eq(newer.audit.references, 2);
    amun_audit older;
    memset(&older, 0xff, sizeof older);
    older.struct_size = offsetof(amun_audit, ft_auc);
    ck_ok(amun_mia_audit(&older, mia, f.model, forget, 2, NULL));
    ck_assert(older.ua == newer.audit.ua && older.ta == newer.audit.ta);
    uint64_t bits;
    memcpy(&bits, &older.ft_auc, sizeof bits);
    ck_assert_uint_eq(bits, UINT64_MAX);

    amun_audit good = {.struct_size = sizeof good};
    ck_invalid(amun_report_add(report, "", 0, &good, 1.0), "method");
    ck_invalid(amun_report_add(report, "\xff", 0, &good, 1.0), "method");
    ck_invalid(amun_report_add(report, "m", 0, &good, -1.0), "-1");
    ck_invalid(amun_report_add(report, "m", 0, &good, (double)NAN), "nan");
    ck_fails(amun_report_get(report, "m", NULL, NULL, NULL), AMUN_ERROR_NOT_FOUND, "\"m\"");
    ck_fails(amun_report_add_provenance(report, "k", "{\"a\": }"), AMUN_ERROR_FORMAT, "k");
    ck_invalid(amun_report_add_provenance(report, "k", "[1]"), "k");
    ck_invalid(amun_report_add_provenance(report, "version", "{}"), "version");
    amun_report_unref(report);
    ck_invalid(amun_report_create(&report, f.ctx, "d", "a", 1, -2), "-2");
    ck_invalid(amun_report_create(&report, f.ctx, "", "a", 1, 2), "dataset");
    ck_assert_ptr_null(report);
    amun_mia_unref(mia);
    ck_unchanged(f.model, &f.before);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("options");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, sizes, 0, STRUCTS);
    tcase_add_loop_test(tc, newer_callers, 0, STRUCTS);
    tcase_add_loop_test(tc, ranges, 0, STRUCTS);
    tcase_add_loop_test(tc, edges, 0, STRUCTS);
    tcase_add_test(tc, related_fields);
    tcase_add_test(tc, plain_arguments);
    tcase_add_test(tc, results);
    return api_main("bad_options", (TCase *[]){tc, NULL});
}
