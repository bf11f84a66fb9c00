/* test_oom_methods.c - the n-th allocation fails, for what test_oom.c leaves out: every attack,
 * every unlearning method, joint training, transfer, certificates, choosing and relearning, and the
 * calls without a context, whose memory comes from the C library. The status is OUT_OF_MEMORY, the
 * model is as before, nothing is left over, and the next call works. By turns one allocation fails,
 * and all from there on. */
#include "oom.h"

enum { MEMBERS = 2, CLASS_COUNT = 4 };

static struct {
    heap memory;
    amun_context *ctx;
    amun_model *original, *model, *other; /* model: a copy for each call */
    amun_dataset *data;
    amun_advset *set;
    tiny_values before;
    int64_t forget[CLASS_COUNT]; /* the first class, whole */
} f;

/* ---- the loop -------------------------------------------------------------------------------- */

static void ck_scenario(const scenario *s)
{
    int64_t failures = 0;
    bool more = true;
    for (int64_t n = 1; more; n = oom_next(n)) {
        ck_ok(amun_model_clone(&f.model, f.original));
        f.memory.fail_count = oom_count(n);
        f.memory.fail_at = f.memory.calls + n;
        amun_status status = s->run(s->which);
        more = f.memory.calls >= f.memory.fail_at;
        f.memory.fail_at = 0;
        ck_oom(s, n, status, more);
        if (status != AMUN_OK) {
            failures++;
            ck_unchanged(f.model, &f.before);
        }
        amun_model_unref(f.model);
    }
    ck_oom_enough(s, failures);
}

/* ---- attacks --------------------------------------------------------------------------------- */

enum { FGSM, FFGSM, PGD, MIM, APGD, APGD_T, SQUARE, STANDARD, DDN, FMN };

static amun_status create_apgd(amun_attack **attack, amun_attack_loss loss)
{
    amun_apgd_options o;
    ck_ok(amun_apgd_options_init(&o, sizeof o));
    o.steps = 4;
    o.restarts = 2;
    o.loss = loss;
    return amun_attack_create_apgd(attack, f.ctx, &o);
}

static amun_status create_search(amun_attack **attack, amun_search_method method)
{
    amun_search_options o;
    ck_ok(amun_search_options_init(&o, sizeof o));
    o.method = method;
    o.steps = 4;
    return amun_attack_create_search(attack, f.ctx, &o);
}

static amun_status create_queries(amun_attack **attack, bool standard)
{
    amun_square_options square;
    amun_standard_options all;
    ck_ok(amun_square_options_init(&square, sizeof square));
    ck_ok(amun_standard_options_init(&all, sizeof all));
    square.queries = all.queries = 6;
    all.steps = 2;
    return standard ? amun_attack_create_standard(attack, f.ctx, &all)
                    : amun_attack_create_square(attack, f.ctx, &square);
}

static amun_status create_attack(amun_attack **attack, int32_t which)
{
    switch (which) {
    case FGSM:
        return amun_attack_create_fgsm(attack, f.ctx, NULL);
    case FFGSM:
        return amun_attack_create_ffgsm(attack, f.ctx, NULL);
    case PGD:
        return amun_attack_create_pgd_linf(attack, f.ctx, NULL);
    case MIM:
        return amun_attack_create_mim(attack, f.ctx, NULL);
    case APGD:
        return create_apgd(attack, AMUN_ATTACK_LOSS_CE);
    case APGD_T:
        return create_apgd(attack, AMUN_ATTACK_LOSS_DLR_TARGETED);
    case SQUARE:
    case STANDARD:
        return create_queries(attack, which == STANDARD);
    default:
        return create_search(attack, which == DDN ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN);
    }
}

static amun_status attack(int32_t which)
{
    amun_status status;
    amun_attack *made = NULL;
    amun_advset *found = NULL;
    TRY(create_attack(&made, which));
    TRY(amun_advset_build(&found, made, f.model, f.data, f.forget, 2, NULL));
done:
    amun_advset_unref(found);
    amun_attack_unref(made);
    return status;
}

/* ---- unlearning ------------------------------------------------------------------------------ */

static amun_status unlearn(int32_t method)
{
    amun_unlearn_options options;
    amun_rival_options rival;
    amun_trw_options trw;
    amun_train_options train = tiny_train(1);
    ck_ok(amun_unlearn_options_init(&options, sizeof options));
    ck_ok(amun_rival_options_init(&rival, sizeof rival));
    ck_ok(amun_trw_options_init(&trw, sizeof trw));
    rival.svd_samples = 4;
    rival.scrub_rewind = 1;
    rival.unsir_noise = 2;
    rival.unsir_noise_steps = 2;
    rival.unsir_copies = 1;
    trw.neighbours = 3;
    trw.kappa = 0.5;
    train.optimiser = method == AMUN_UNLEARN_FINETUNE ? AMUN_OPTIMISER_ADAM : train.optimiser;
    train.weight_decay = 0;
    options.method = method;
    options.train = &train;
    options.rival = &rival;
    options.trw = &trw;
    return amun_unlearn_run(NULL, f.model, f.data, f.forget, CLASS_COUNT,
                            method == AMUN_UNLEARN_AMUN_ADVONLY ? f.set : NULL, &options, NULL);
}

static amun_status train_clipped(int32_t method)
{
    amun_train_options train = tiny_train(1);
    amun_clip_options clip;
    ck_ok(amun_clip_options_init(&clip, sizeof clip));
    clip.method = method;
    clip.every = 1;
    clip.delay = 0;
    train.clip = &clip;
    return amun_train_run(NULL, f.model, f.data, NULL, 0, &train, NULL);
}

static amun_status diagnose(int32_t which)
{
    amun_unlearn_bound bound = {.struct_size = sizeof bound};
    (void)which;
    return amun_unlearn_diagnose(&bound, f.model, f.model, f.model, f.data, f.set, 2.0, 3.0, NULL);
}

/* ---- choosing, relearning ----------------------------------------------------------------------
 */

static amun_status choose(int32_t which)
{
    static const double rates[2] = {0.01, 0.1}, betas[2] = {0, 1};
    amun_unlearn_options options;
    amun_train_options train = tiny_train(1);
    amun_select_trial trials[2] = {{.struct_size = sizeof trials[0]},
                                   {.struct_size = sizeof trials[1]}};
    amun_model *chosen = NULL;
    size_t best;
    double beta;
    ck_ok(amun_unlearn_options_init(&options, sizeof options));
    options.train = &train;
    options.method = which == 0 ? AMUN_UNLEARN_RANDOM_LABEL : AMUN_UNLEARN_TRW;
    amun_trw_select_options held;
    ck_ok(amun_trw_select_options_init(&held, sizeof held));
    held.share = 0.5;
    held.tolerance = 100;
    if (which != 0) {
        return amun_trw_select_beta(&beta, NULL, NULL, f.model, f.data, f.forget, CLASS_COUNT,
                                    betas, 2, &held, &options, NULL);
    }
    amun_status status =
        amun_select_rate(trials, &best, &chosen, f.model, f.data, f.forget, CLASS_COUNT, NULL,
                         f.data, rates, 2, &options, NULL, NULL);
    ck_assert((status == AMUN_OK) == (chosen != NULL));
    amun_model_unref(chosen);
    return status;
}

static amun_status relearn(int32_t which)
{
    amun_relearn_options options;
    amun_relearn told = {.struct_size = sizeof told};
    (void)which;
    ck_ok(amun_relearn_options_init(&options, sizeof options));
    options.most_epochs = 2;
    return amun_relearn_time(&told, f.model, f.data, f.forget, CLASS_COUNT, 100, &options, NULL);
}

static amun_status check_model(int32_t which)
{
    amun_forget_check told = {.struct_size = sizeof told};
    double largest;
    if (which != 0) {
        return amun_lipschitz_local(&largest, NULL, f.model, f.data, NULL, 0, NULL);
    }
    return amun_forget_check_model(&told, f.model, f.data, f.forget, CLASS_COUNT, f.data, NULL, 0,
                                   0.95, NULL);
}

enum { PROBE, PROTOTYPE };

static amun_status look_inside(int32_t which)
{
    amun_probe probe = {.struct_size = sizeof probe};
    amun_prototype prototype = {.struct_size = sizeof prototype};
    const int64_t first[1] = {tiny_labels[0]};
    if (which == PROBE) {
        return amun_probe_model(&probe, f.model, f.data, f.data, first, 1, NULL, NULL);
    }
    amun_prototype_options options;
    ck_ok(amun_prototype_options_init(&options, sizeof options));
    options.samples = 2;
    return amun_prototype_model(&prototype, f.model, f.data, f.data, first, 1, &options, NULL);
}

/* ---- ensembles ---------------------------------------------------------------------------------
 */

static amun_status train_together(int32_t method)
{
    amun_status status;
    amun_ensemble *ensemble = NULL;
    amun_ensemble_train_options options;
    amun_train_options train = tiny_train(1);
    amun_model *members[MEMBERS] = {f.model, f.other};
    ck_ok(amun_ensemble_train_options_init(&options, sizeof options));
    options.method = method;
    options.train = &train;
    options.attack_steps = 1;
    options.dverge_own = 1;
    TRY(amun_ensemble_create(&ensemble, f.ctx, members, MEMBERS));
    TRY(amun_ensemble_train(NULL, ensemble, f.data, NULL, 0, &options, NULL));
done:
    amun_ensemble_unref(ensemble);
    return status;
}

enum { TRANSFER, BLACK_BOX, WHITE_BOX, CERTIFY, BOUND, FILES };

static amun_status files(amun_ensemble *ensemble)
{
    amun_status status;
    amun_ensemble *loaded = NULL, *named = NULL;
    amun_model *digits_model = NULL;
    amun_model_options shape;
    double accuracy;
    float room[TINY_COUNT * TINY_CLASSES];
    amun_tensor_view images =
        view4(tiny_images, AMUN_DTYPE_F32, TINY_COUNT, 1, TINY_EDGE, TINY_EDGE);
    amun_tensor_view logits = view2(room, AMUN_DTYPE_F32, TINY_COUNT, TINY_CLASSES);
    ck_ok(amun_model_options_init(&shape, sizeof shape));
    shape.channels = 1;
    shape.height = shape.width = 8;
    TRY(amun_ensemble_predict(ensemble, &images, &logits, NULL));
    TRY(amun_ensemble_evaluate(&accuracy, NULL, ensemble, f.data, NULL, 0, NULL));
    TRY(amun_model_create(&digits_model, f.ctx, "digits", &shape));
    TRY(amun_ensemble_create(&named, f.ctx, &digits_model, 1));
    TRY(amun_ensemble_save(named, api_path("oom-ensemble")));
    TRY(amun_ensemble_load(&loaded, f.ctx, api_path("oom-ensemble")));
done:
    amun_ensemble_unref(loaded);
    amun_ensemble_unref(named);
    amun_model_unref(digits_model);
    return status;
}

static amun_status transfer(int32_t which)
{
    static const double lipschitz[2] = {3, 4};
    amun_status status;
    amun_ensemble *ensemble = NULL;
    amun_attack *fgsm = NULL;
    amun_transfer_result told = {.struct_size = sizeof told};
    amun_certificate certificate = {.struct_size = sizeof certificate};
    amun_transfer_gap gap = {.struct_size = sizeof gap};
    amun_model *members[MEMBERS] = {f.model, f.other};
    TRY(amun_ensemble_create(&ensemble, f.ctx, members, MEMBERS));
    TRY(amun_attack_create_fgsm(&fgsm, f.ctx, NULL));
    status =
        which == TRANSFER
            ? amun_transfer_run(&told, NULL, NULL, members, MEMBERS, fgsm, f.data, NULL, 0, NULL)
        : which == BLACK_BOX ? amun_transfer_black_box(&told, NULL, NULL, NULL, members, MEMBERS,
                                                       fgsm, ensemble, f.data, NULL, 0, NULL)
        : which == WHITE_BOX ? amun_transfer_white_box(&told, fgsm, ensemble, f.data, NULL, 0, NULL)
        : which == CERTIFY   ? amun_transfer_certify(&certificate, NULL, ensemble, lipschitz, 0.1,
                                                     f.data, NULL, 0, NULL)
        : which == BOUND
            ? amun_transfer_bound(&gap, f.model, f.other, lipschitz, 1, fgsm, f.data, NULL, 0, NULL)
            : files(ensemble);
done:
    amun_attack_unref(fgsm);
    amun_ensemble_unref(ensemble);
    return status;
}

#define METHOD(name)                                                                               \
    {                                                                                              \
        "unlearn " #name, unlearn, AMUN_UNLEARN_##name, 15                                         \
    }
static const scenario scenarios[] = {
    {"fgsm", attack, FGSM, 5},
    {"ffgsm", attack, FFGSM, 5},
    {"pgd_linf", attack, PGD, 5},
    {"mim", attack, MIM, 5},
    {"apgd", attack, APGD, 5},
    {"apgd targeted", attack, APGD_T, 5},
    {"square", attack, SQUARE, 5},
    {"standard", attack, STANDARD, 10},
    {"ddn", attack, DDN, 5},
    {"fmn", attack, FMN, 5},
    METHOD(AMUN_ADVONLY),
    METHOD(FINETUNE),
    METHOD(RANDOM_LABEL),
    METHOD(GRADIENT_ASCENT),
    METHOD(NEGGRAD_PLUS),
    METHOD(BOUNDARY_SHRINK),
    METHOD(BOUNDARY_EXPAND),
    METHOD(L1_SPARSE),
    METHOD(SALUN),
    METHOD(SCRUB),
    METHOD(SSD),
    METHOD(SVD),
    METHOD(BAD_TEACHER),
    METHOD(UNSIR),
    METHOD(EUK),
    METHOD(CFK),
    METHOD(DELETE),
    METHOD(TRW),
    {"clip block", train_clipped, AMUN_CLIP_BLOCK, 20},
    {"clip miyato", train_clipped, AMUN_CLIP_MIYATO, 20},
    {"clip delattre_2023", train_clipped, AMUN_CLIP_DELATTRE_2023, 20},
    {"diagnose", diagnose, 0, 3},
    {"select_rate", choose, 0, 25},
    {"trw_select_beta", choose, 1, 25},
    {"relearn", relearn, 0, 15},
    {"check", check_model, 0, 3},
    {"lipschitz_local", check_model, 1, 3},
    {"probe", look_inside, PROBE, 10},
    {"prototype", look_inside, PROTOTYPE, 5},
    {"gal", train_together, AMUN_ENSEMBLE_GAL, 20},
    {"trs", train_together, AMUN_ENSEMBLE_TRS, 20},
    {"dverge", train_together, AMUN_ENSEMBLE_DVERGE, 20},
    {"transfer", transfer, TRANSFER, 5},
    {"black box", transfer, BLACK_BOX, 5},
    {"white box", transfer, WHITE_BOX, 5},
    {"certify", transfer, CERTIFY, 3},
    {"transfer bound", transfer, BOUND, 5},
    {"ensemble files", transfer, FILES, 10},
};

START_TEST(nth_allocation_fails)
{
    ck_scenario(&scenarios[_i]);
}
END_TEST

/* ---- set-up
 * -------------------------------------------------------------------------------------- */

static void set_up(void)
{
    amun_attack *search = NULL;
    amun_train_options train = tiny_train(3);
    size_t count = 0;
    memset(&f, 0, sizeof f);
    ck_ok(heap_context(&f.ctx, &f.memory));
    ck_ok(tiny_data(&f.data, f.ctx));
    ck_ok(tiny_model(&f.original, f.ctx, 1));
    ck_ok(tiny_model(&f.other, f.ctx, 2));
    ck_ok(amun_train_run(NULL, f.original, f.data, NULL, 0, &train, NULL));
    for (size_t i = 0; i < TINY_COUNT && count < CLASS_COUNT; i++) {
        if (tiny_labels[i] == tiny_labels[0]) {
            f.forget[count++] = (int64_t)i;
        }
    }
    ck_assert_uint_eq(count, CLASS_COUNT);
    ck_ok(amun_attack_create_search(&search, f.ctx, NULL));
    ck_ok(amun_advset_build(&f.set, search, f.original, f.data, f.forget, CLASS_COUNT, NULL));
    amun_attack_unref(search);
    tiny_read(&f.before, f.original);
}

static void tear_down(void)
{
    amun_advset_unref(f.set);
    amun_dataset_unref(f.data);
    amun_model_unref(f.other);
    amun_model_unref(f.original);
    heap_end(f.ctx, &f.memory);
}

int main(void)
{
    TCase *tc = tcase_create("oom_methods");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, nth_allocation_fails, 0, sizeof scenarios / sizeof scenarios[0]);
    return api_main("oom_methods", (TCase *[]){tc, NULL});
}
