/* fuzz_options.c - every public options struct: filled by its init function, then with some values
 * overwritten, of the right or of another size, or made of the input's bytes alone. Whatever comes
 * is a status: a range error, a refusal, or a call that works (and is stopped at its first report).
 *
 * The input is a list of cases: which struct, how, two bytes of size, and edits of ten bytes: what
 * kind of value, where, and eight bytes. Pointers are left alone: a wrong one is the caller's bug.
 */
#include "fuzz.h"

enum { CASES = 64, ROOM = 8192, POINTERS = 4 };

static amun_model *model;
static amun_dataset *data;
static amun_advset *set;
static amun_ensemble *ensemble;
static const int64_t forget[2] = {3, 7};

/* ---- what each struct is given to -------------------------------------------------------------
 */

#define INIT(name, type)                                                                           \
    static amun_status init_##name(void *o, size_t n)                                              \
    {                                                                                              \
        return amun_##name##_options_init((type *)o, n);                                           \
    }

INIT(call, amun_call_options)
static amun_status use_call(const void *o)
{
    return amun_model_evaluate(NULL, NULL, model, data, NULL, 0, o);
}

INIT(context, amun_context_options)
static amun_status use_context(const void *o)
{
    amun_context *ctx = NULL;
    amun_status status = amun_context_create(&ctx, o);
    amun_context_unref(ctx);
    return status;
}

INIT(conv2d, amun_conv2d_options)
INIT(pool, amun_pool_options)
static amun_status on_graph(const amun_conv2d_options *conv, const amun_pool_options *pool)
{
    amun_graph *graph = NULL;
    amun_node node = 0;
    AMUN__CHECK(amun_graph_create(&graph, fuzz_steady(), 2, 8, 8));
    amun_status status = AMUN_OK;
    if (conv != NULL) {
        AMUN__TRY(amun_graph_conv2d(&node, graph, 0, "conv", conv));
    } else {
        AMUN__TRY(amun_graph_max_pool(&node, graph, 0, pool));
        AMUN__TRY(amun_graph_avg_pool(&node, graph, 0, pool));
    }
fail:
    amun_graph_unref(graph);
    return status;
}
static amun_status use_conv2d(const void *o)
{
    return on_graph(o, NULL);
}
static amun_status use_pool(const void *o)
{
    return on_graph(NULL, o);
}

INIT(model, amun_model_options)
static amun_status use_model(const void *o)
{
    amun_model *made = NULL;
    amun_status status = amun_model_create(&made, fuzz_steady(), "digits", o);
    amun_model_unref(made);
    return status;
}

INIT(train, amun_train_options)
static amun_status use_train(const void *o)
{
    return amun_train_run(NULL, model, data, NULL, 0, o, fuzz_stop());
}

INIT(clip, amun_clip_options)
static amun_status use_clip(const void *o)
{
    amun_clipper *clipper = NULL;
    amun_status status = amun_clipper_create(&clipper, model, o);
    amun_clipper_unref(clipper);
    if (status == AMUN_OK) {
        amun_train_options train;
        AMUN__CHECK(amun_train_options_init(&train, sizeof train));
        train.clip = o;
        status = use_train(&train);
    }
    return status;
}

INIT(spectrum, amun_spectrum_options)
static amun_status use_spectrum(const void *o)
{
    amun_spectrum *spectrum = NULL;
    amun_status status = amun_spectrum_create(&spectrum, model, o);
    if (status == AMUN_OK) {
        status = amun_spectrum_run(spectrum, 3, fuzz_stop());
    }
    amun_spectrum_unref(spectrum);
    return status;
}

#define ATTACK(name, type)                                                                         \
    INIT(name, type)                                                                               \
    static amun_status use_##name(const void *o)                                                   \
    {                                                                                              \
        amun_attack *attack = NULL;                                                                \
        amun_advset *found = NULL;                                                                 \
        amun_status status = amun_attack_create_##name(&attack, fuzz_steady(), o);                 \
        if (status == AMUN_OK) {                                                                   \
            status = amun_advset_build(&found, attack, model, data, forget, 2, fuzz_stop());       \
        }                                                                                          \
        amun_advset_unref(found);                                                                  \
        amun_attack_unref(attack);                                                                 \
        return status;                                                                             \
    }
ATTACK(fgsm, amun_fgsm_options)
ATTACK(ffgsm, amun_ffgsm_options)
ATTACK(pgd_linf, amun_pgd_options)
ATTACK(pgd_l2, amun_pgd_options)
ATTACK(mim, amun_mim_options)
ATTACK(apgd, amun_apgd_options)
ATTACK(square, amun_square_options)
ATTACK(standard, amun_standard_options)
ATTACK(search, amun_search_options)

static amun_status train_ensemble(const amun_ensemble_train_options *o)
{
    return amun_ensemble_train(NULL, ensemble, data, NULL, 0, o, fuzz_stop());
}
INIT(lotos, amun_lotos_options)
static amun_status use_lotos(const void *o)
{
    amun_ensemble_train_options options;
    AMUN__CHECK(amun_ensemble_train_options_init(&options, sizeof options));
    options.lotos = o;
    return train_ensemble(&options);
}
INIT(ensemble_train, amun_ensemble_train_options)
static amun_status use_ensemble_train(const void *o)
{
    return train_ensemble(o);
}

static amun_status run_unlearn(const amun_unlearn_options *o)
{
    amun_unlearn_method method = o->struct_size == sizeof *o ? o->method : 0;
    bool with_set = method == AMUN_UNLEARN_AMUN || method == AMUN_UNLEARN_AMUN_ADVONLY;
    return amun_unlearn_run(NULL, model, data, forget, 2, with_set ? set : NULL, o, fuzz_stop());
}
INIT(unlearn, amun_unlearn_options)
static amun_status use_unlearn(const void *o)
{
    return run_unlearn(o);
}
/* All methods that read them. */
static amun_status use_methods(const amun_rival_options *rival, const amun_trw_options *trw)
{
    amun_unlearn_options options;
    amun_status status = AMUN_OK;
    AMUN__CHECK(amun_unlearn_options_init(&options, sizeof options));
    options.rival = rival;
    options.trw = trw;
    for (int32_t method = AMUN_UNLEARN_AMUN; method <= AMUN_UNLEARN_TRW; method++) {
        options.method = method;
        status = run_unlearn(&options);
        fuzz_check(status);
    }
    return status;
}
INIT(rival, amun_rival_options)
static amun_status use_rival(const void *o)
{
    return use_methods(o, NULL);
}
INIT(trw, amun_trw_options)
static amun_status use_trw(const void *o)
{
    return use_methods(NULL, o);
}
INIT(trw_select, amun_trw_select_options)
static amun_status use_trw_select(const void *o)
{
    double beta;
    return amun_trw_select_beta(&beta, NULL, NULL, model, data, forget, 2, NULL, 0, o, NULL,
                                fuzz_stop());
}
INIT(select, amun_select_options)
static amun_status use_select(const void *o)
{
    static const double rates[2] = {0.01, 0.1};
    amun_select_trial trials[2] = {{.struct_size = sizeof trials[0]},
                                   {.struct_size = sizeof trials[1]}};
    size_t best;
    return amun_select_rate(trials, &best, NULL, model, data, forget, 2, set, data, rates, 2, NULL,
                            o, fuzz_stop());
}
INIT(relearn, amun_relearn_options)
static amun_status use_relearn(const void *o)
{
    amun_relearn told = {.struct_size = sizeof told};
    return amun_relearn_time(&told, model, data, forget, 2, 100, o, fuzz_stop());
}

INIT(rmia, amun_rmia_options)
static amun_status use_rmia(const void *o)
{
    static const double target[3] = {0.5, 0.25, 0.75}, references[6] = {0.5, 0.5, 0.5, 1, 1, 1};
    static const uint8_t included[6] = {0, 1, 0, 1, 0, 1};
    double scores[3];
    return amun_rmia_scores(scores, target, references, included, NULL, 2, 3, o);
}
INIT(mia, amun_mia_options)
static amun_status use_mia(const void *o)
{
    amun_mia *mia = NULL;
    amun_status status = amun_mia_create(&mia, fuzz_steady(), data, data, o);
    amun_mia_unref(mia);
    return status;
}

/* Outputs of three models, for the audits of a forgotten class. */
enum { ROWS = 15 };
static double outputs[3][ROWS][3];
static int64_t classes[ROWS];
static amun_tensor_view models, one, labels, rows; /* rows: of a dense layer */
static const int64_t forgotten[1] = {1};

#define AUDIT(name, call)                                                                          \
    INIT(name, amun_##name##_options)                                                              \
    static amun_status use_##name(const void *o)                                                   \
    {                                                                                              \
        amun_##name told = {.struct_size = sizeof told};                                           \
        return call;                                                                               \
    }
AUDIT(miann, amun_miann_compute(&told, NULL, NULL, &models, &one, &labels, forgotten, 1, o))
AUDIT(c2st, amun_c2st_compute(&told, &models, &one, &labels, forgotten, 1, o))
AUDIT(ulira, amun_ulira_class(&told, &models, &models, &one, &labels, forgotten, 1, o))
AUDIT(svcmia, amun_svcmia_kodge(&told, &one, &labels, &one, &labels, &one, &labels, o))

AUDIT(probe, amun_probe_compute(&told, NULL, &one, &labels, &one, &labels, 3, forgotten, 1, o))
AUDIT(lossmia, amun_lossmia_compute(&told, outputs[0][0], ROWS, outputs[1][0], ROWS, o))
INIT(prototype, amun_prototype_options)
static amun_status use_prototype(const void *o)
{
    amun_prototype told = {.struct_size = sizeof told};
    return amun_prototype_compute(&told, &rows, NULL, &one, &labels, &one, &labels, forgotten, 1,
                                  o);
}
INIT(quality, amun_quality_options)
static amun_status use_quality(const void *o)
{
    amun_quality told = {.struct_size = sizeof told};
    return amun_quality_compute(&told, NULL, outputs[0][0], 2, outputs[1][0], 2, ROWS, o);
}

/* ---- the table --------------------------------------------------------------------------------
 */

typedef struct subject {
    amun_status (*init)(void *, size_t);
    amun_status (*use)(const void *);
    size_t size;
    size_t pointers[POINTERS]; /* offsets; 0: none */
} subject;

#define ROW(name, type, ...)                                                                       \
    {                                                                                              \
        init_##name, use_##name, sizeof(type),                                                     \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define AT(type, member) offsetof(type, member)
static const subject subjects[] = {
    ROW(call, amun_call_options, AT(amun_call_options, progress), AT(amun_call_options, user_data)),
    ROW(context, amun_context_options, AT(amun_context_options, alloc),
        AT(amun_context_options, free), AT(amun_context_options, allocator_data),
        AT(amun_context_options, tune_cache)),
    ROW(conv2d, amun_conv2d_options, 0),
    ROW(pool, amun_pool_options, 0),
    ROW(model, amun_model_options, 0),
    ROW(train, amun_train_options, AT(amun_train_options, checkpoint),
        AT(amun_train_options, clip)),
    ROW(clip, amun_clip_options, 0),
    ROW(spectrum, amun_spectrum_options, 0),
    ROW(fgsm, amun_fgsm_options, 0),
    ROW(ffgsm, amun_ffgsm_options, 0),
    ROW(pgd_linf, amun_pgd_options, 0),
    ROW(pgd_l2, amun_pgd_options, 0),
    ROW(mim, amun_mim_options, 0),
    ROW(apgd, amun_apgd_options, 0),
    ROW(square, amun_square_options, 0),
    ROW(standard, amun_standard_options, 0),
    ROW(search, amun_search_options, 0),
    ROW(lotos, amun_lotos_options, AT(amun_lotos_options, pairs),
        AT(amun_lotos_options, pair_count)),
    ROW(ensemble_train, amun_ensemble_train_options, AT(amun_ensemble_train_options, train),
        AT(amun_ensemble_train_options, lotos)),
    ROW(unlearn, amun_unlearn_options, AT(amun_unlearn_options, train),
        AT(amun_unlearn_options, rival), AT(amun_unlearn_options, trw)),
    ROW(rival, amun_rival_options, 0),
    ROW(trw, amun_trw_options, 0),
    ROW(trw_select, amun_trw_select_options, 0),
    ROW(select, amun_select_options, 0),
    ROW(relearn, amun_relearn_options, 0),
    ROW(rmia, amun_rmia_options, 0),
    ROW(mia, amun_mia_options, AT(amun_mia_options, rmia)),
    ROW(miann, amun_miann_options, 0),
    ROW(c2st, amun_c2st_options, 0),
    ROW(ulira, amun_ulira_options, 0),
    ROW(svcmia, amun_svcmia_options, 0),
    ROW(probe, amun_probe_options, 0),
    ROW(prototype, amun_prototype_options, 0),
    ROW(lossmia, amun_lossmia_options, 0),
    ROW(quality, amun_quality_options, 0),
};
enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

static void set_up(void)
{
    amun_context *ctx = fuzz_steady();
    amun_attack *attack = NULL;
    amun_model *members[2];
    const int64_t shape[3] = {3, ROWS, 3};
    fuzz_check(fuzz_data(&data, ctx));
    fuzz_check(fuzz_model(&model, ctx));
    fuzz_check(amun_model_clone(&members[0], model));
    fuzz_check(amun_model_clone(&members[1], model));
    fuzz_check(amun_ensemble_create(&ensemble, ctx, members, 2));
    amun_model_unref(members[0]);
    amun_model_unref(members[1]);
    fuzz_check(amun_attack_create_search(&attack, ctx, NULL));
    fuzz_check(amun_advset_build(&set, attack, model, data, forget, 2, NULL));
    amun_attack_unref(attack);
    for (int i = 0; i < ROWS; i++) {
        classes[i] = i % 3;
        for (int m = 0; m < 3; m++) {
            for (int j = 0; j < 3; j++) {
                outputs[m][i][j] = (j == i % 3 ? 3.0 : 0.0) + sin(5.0 * i + 3.0 * j + 2.0 * m);
            }
        }
    }
    fuzz_check(amun_tensor_view_init(&models, outputs, AMUN_DTYPE_F64, 3, shape));
    fuzz_check(amun_tensor_view_init(&one, outputs, AMUN_DTYPE_F64, 2, shape + 1));
    fuzz_check(amun_tensor_view_init(&labels, classes, AMUN_DTYPE_I64, 1, shape + 1));
    rows = one;
    rows.shape[0] = FUZZ_CLASSES;
    if (set == NULL) {
        abort();
    }
}

/* ---- cases ------------------------------------------------------------------------------------
 */

/* Values that ranges are made of. Kinds 0 and above the list: the bytes of the input. */
static bool special(uint8_t kind, void *value, size_t *width)
{
    static const double reals[] = {0,   -0.0, 1,     -1,       0.5,       1e-300, 5e-324,
                                   1e9, 1e6,  1e300, INFINITY, -INFINITY, NAN};
    static const int32_t words[] = {0,  1,    2,     3,       -1,        7,
                                    64, 4096, 65536, 1000000, INT32_MAX, INT32_MIN};
    enum { REALS = sizeof reals / sizeof reals[0], WORDS = sizeof words / sizeof words[0] };
    if (kind >= 1 && kind <= REALS) {
        memcpy(value, &reals[kind - 1], *width = 8);
        return true;
    }
    if (kind > REALS && kind <= REALS + WORDS) {
        memcpy(value, &words[kind - REALS - 1], *width = 4);
        return true;
    }
    return false;
}

/* Whether no release can have, or will have, a struct of this size. */
static bool impossible(size_t size, size_t now)
{
    return size < 16 || size > 4096 || size % 8 != 0 || (size > now && size % 8 != 0);
}

static void try_case(const subject *s, uint8_t how, size_t size, const uint8_t *edits, size_t count)
{
    /* as large as the caller says, so that whoever reads on is found */
    unsigned char kept[ROOM], *o = calloc(1, ROOM);
    if (o == NULL) {
        return;
    }
    fuzz_check(s->init(o, s->size));
    memcpy(kept, o, s->size);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *edit = edits + i * 10;
        uint64_t value;
        size_t width = how & 2 ? 4 : 8, at = (size_t)edit[1] * 4 % s->size;
        memcpy(&value, edit + 2, sizeof value);
        (void)special(edit[0], &value, &width);
        memcpy(o + at, &value, at + width <= s->size ? width : s->size - at);
    }
    for (int i = 0; i < POINTERS; i++) {
        memcpy(o + s->pointers[i], kept + s->pointers[i], 8);
    }
    size_t told = how & 1 ? size % ROOM : s->size;
    memcpy(o, &told, sizeof told);
    unsigned char *exact = malloc(told < 8 ? 8 : told);
    if (exact != NULL) {
        memcpy(exact, o, told < 8 ? 8 : told);
        amun_status status = s->use(exact);
        fuzz_check(status);
        if (impossible(told, s->size) && status != AMUN_ERROR_INVALID_ARGUMENT) {
            abort();
        }
    }
    free(exact);
    free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (model == NULL) {
        set_up();
    }
    for (int n = 0; n < CASES && size >= 4; n++) {
        size_t count = bytes[1] >> 4, told = (size_t)bytes[2] | (size_t)bytes[3] << 8;
        count = count * 10 + 4 <= size ? count : (size - 4) / 10;
        try_case(&subjects[bytes[0] % SUBJECTS], bytes[1], told, bytes + 4, count);
        bytes += 4 + count * 10;
        size -= 4 + count * 10;
    }
    return 0;
}
