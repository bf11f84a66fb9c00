/* ensemble.c - trains several models together, and measures how attacks transfer between them and
 * what the ensemble stands. */
#include <math.h>

#include "common.h"
#include "picture.h"

enum { MOST = 16, DRAWN = 6 };

typedef struct arguments {
    const char *arch, *method, *out, *surrogates, *png, *checkpoint;
    ex_training training;
    int64_t members, k, steps, limit;
    double lambda, mal, eps;
    bool lotos_bn;
} arguments;

/* What was measured; NaN where nothing was. */
typedef struct figures {
    amun_train_result trained;
    double members[MOST], ensemble; /* accuracies in percent */
    double rates[MOST * MOST];
    int64_t eligible[MOST * MOST];
    amun_transfer_result transfer, white, black;
} figures;

/* ---- training ---------------------------------------------------------------------------------
 */

static amun_ensemble_method method_of(const char *name)
{
    static const char *const names[] = {"plain", "pgd-at", "trades", "adp", "gal", "trs", "dverge"};
    int32_t at = 0;
    while (strcmp(names[at], name) != 0) { /* the command line knows no others */
        at++;
    }
    return at + 1;
}

static amun_ensemble *create_ensemble(amun_context *ctx, const arguments *a, const ex_data *data)
{
    amun_model *models[MOST];
    amun_ensemble *ensemble = NULL;
    const char *arch = a->arch != NULL ? a->arch : data->arch;
    for (int64_t i = 0; i < a->members; i++) {
        models[i] = ex_model_create(ctx, data, arch, (uint64_t)(ex_args.seed + i));
    }
    ex_check(amun_ensemble_create(&ensemble, ctx, models, (size_t)a->members));
    for (int64_t i = 0; i < a->members; i++) {
        amun_model_unref(models[i]);
    }
    return ensemble;
}

static void train(const arguments *a, amun_ensemble *ensemble, const ex_data *data, figures *f)
{
    amun_train_options train;
    amun_lotos_options lotos;
    amun_ensemble_train_options opts;
    ex_progress progress;
    ex_recipe(&train, amun_model_arch(amun_ensemble_model(ensemble, 0)));
    ex_training_apply(&train, &a->training, data);
    train.checkpoint = a->checkpoint;
    ex_check(amun_lotos_options_init(&lotos, sizeof lotos));
    lotos.lambda = lotos.batchnorm_lambda = a->lambda;
    lotos.mal = lotos.batchnorm_mal = a->mal;
    lotos.batchnorm = a->lotos_bn;
    lotos.k = (int32_t)a->k;
    ex_check(amun_ensemble_train_options_init(&opts, sizeof opts));
    opts.method = method_of(a->method);
    opts.train = &train;
    opts.lotos = a->lambda > 0.0 ? &lotos : NULL;
    opts.seed = (uint64_t)ex_args.seed;
    f->trained = (amun_train_result){.struct_size = sizeof f->trained};
    ex_progress_begin(&progress, "%zu %s, %s%s: %d epochs", amun_ensemble_count(ensemble),
                      amun_model_arch(amun_ensemble_model(ensemble, 0)), a->method,
                      opts.lotos != NULL ? " and LOTOS" : "", (int)train.epochs);
    ex_check(
        amun_ensemble_train(&f->trained, ensemble, data->train, NULL, 0, &opts, &progress.call));
    ex_progress_trained(&progress, f->trained.loss, f->trained.accuracy);
    ex_check(amun_ensemble_save(ensemble, a->out));
    printf("weights in %s\n", a->out);
}

/* ---- measuring --------------------------------------------------------------------------------
 */

static amun_attack *create_attack(amun_context *ctx, const arguments *a)
{
    amun_attack *attack = NULL;
    amun_pgd_options opts;
    ex_check(amun_pgd_linf_options_init(&opts, sizeof opts));
    opts.eps = a->eps;
    opts.step = a->eps / 10.0;
    opts.steps = (int32_t)a->steps;
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_attack_create_pgd_linf(&attack, ctx, &opts));
    return attack;
}

static void measure(const arguments *a, amun_context *ctx, amun_ensemble *ensemble,
                    const ex_data *data, amun_attack *attack, figures *f)
{
    const size_t count = amun_ensemble_count(ensemble), all = amun_dataset_count(data->test);
    const size_t n = a->limit > 0 && (size_t)a->limit < all ? (size_t)a->limit : all;
    amun_model *models[MOST];
    int64_t *indices = ex_alloc(n, sizeof *indices);
    ex_progress progress;
    for (size_t i = 0; i < n; i++) {
        indices[i] = (int64_t)i;
    }
    for (size_t i = 0; i < count; i++) {
        models[i] = amun_ensemble_model(ensemble, i);
        ex_check(amun_model_evaluate(&f->members[i], NULL, models[i], data->test, NULL, 0, NULL));
    }
    ex_check(amun_ensemble_evaluate(&f->ensemble, NULL, ensemble, data->test, NULL, 0, NULL));
    ex_progress_begin(&progress, "attacks on %zu members, %zu images", count, n);
    ex_check(amun_transfer_run(&f->transfer, f->rates, f->eligible, models, count, attack,
                               data->test, indices, n, &progress.call));
    ex_progress_end(&progress, "T_rate %.4f", f->transfer.transfer);
    ex_progress_begin(&progress, "attack on the ensemble");
    ex_check(amun_transfer_white_box(&f->white, attack, ensemble, data->test, indices, n,
                                     &progress.call));
    ex_progress_end(&progress, "%.2f %% withstand", 100.0 * f->white.robust);
    if (a->surrogates != NULL) {
        amun_ensemble *surrogates = NULL;
        ex_check(amun_ensemble_load(&surrogates, ctx, a->surrogates));
        const size_t other = amun_ensemble_count(surrogates);
        if (other > MOST) {
            ex_usage("--surrogates: %s has %zu members, this program takes %d", a->surrogates,
                     other, (int)MOST);
        }
        for (size_t i = 0; i < other; i++) {
            models[i] = amun_ensemble_model(surrogates, i);
        }
        ex_progress_begin(&progress, "attacks on %zu surrogates", other);
        ex_check(amun_transfer_black_box(&f->black, NULL, NULL, NULL, models, other, attack,
                                         ensemble, data->test, indices, n, &progress.call));
        ex_progress_end(&progress, "%.2f %% withstand", 100.0 * f->black.robust);
        amun_ensemble_unref(surrogates);
    }
    free(indices);
}

static void draw(const arguments *a, const amun_ensemble *ensemble, const ex_data *data,
                 amun_attack *attack)
{
    const size_t all = amun_dataset_count(data->test), n = all < DRAWN ? all : DRAWN;
    const size_t pixels = (size_t)(data->shape[0] * data->shape[1] * data->shape[2]);
    const int64_t shape[4] = {(int64_t)n, data->shape[0], data->shape[1], data->shape[2]};
    float *clean = ex_alloc(n * pixels, sizeof *clean);
    float *attacked = ex_alloc(n * pixels, sizeof *attacked);
    int64_t *labels = ex_alloc(n, sizeof *labels);
    amun_tensor_view images, targets, results;
    ex_check(amun_tensor_view_init(&images, clean, AMUN_DTYPE_F32, 4, shape));
    ex_check(amun_tensor_view_init(&targets, labels, AMUN_DTYPE_I64, 1, shape));
    ex_check(amun_tensor_view_init(&results, attacked, AMUN_DTYPE_F32, 4, shape));
    ex_check(amun_dataset_read(data->test, 0, n, clean));
    ex_check(amun_dataset_labels(data->test, 0, n, labels));
    ex_check(amun_ensemble_attack(attack, ensemble, &images, &targets, NULL, &results, NULL, NULL));
    ex_png_grid(a->png, clean, attacked, n, data->shape);
    printf("clean, attacked and amplified differences of %zu images in %s\n", n, a->png);
    free(clean);
    free(attacked);
    free(labels);
}

/* ---- telling ----------------------------------------------------------------------------------
 */

static const char *clamp_name(amun_clamp clamp)
{
    return clamp == AMUN_CLAMP_PIXELS ? "pixels" : "normalised coordinates";
}

static void print_rate(double rate, int64_t eligible)
{
    if (eligible > 0) {
        printf("  %.3f (%lld)", rate, (long long)eligible);
    } else {
        printf("  - (0)");
    }
}

static void print_figures(const arguments *a, const figures *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("member %zu: %.2f %% right on the test set\n", i, f->members[i]);
    }
    printf("ensemble: %.2f %% right on the test set\n", f->ensemble);
    printf("PGD in Linf, eps %g, %lld steps, clamped to [0, 1] in %s, %lld images\n", a->eps,
           (long long)a->steps, clamp_name(f->transfer.clamp), (long long)f->transfer.samples);
    printf("T_rate (eligible): row attacked, column judges; diagonal: success of the attack\n");
    for (size_t i = 0; i < count; i++) {
        printf("  %zu:", i);
        for (size_t j = 0; j < count; j++) {
            print_rate(f->rates[i * count + j], f->eligible[i * count + j]);
        }
        printf("\n");
    }
    printf("mean T_rate %.4f, mean success %.4f\n", f->transfer.transfer, f->transfer.success);
    printf("white-box: %.2f %% of %lld withstand\n", 100.0 * f->white.robust,
           (long long)f->white.target_right);
    if (a->surrogates != NULL) {
        printf("black-box from %s: %.2f %% of %lld withstand, T_rate %.4f\n", a->surrogates,
               100.0 * f->black.robust, (long long)f->black.target_right, f->black.transfer);
    }
}

static void write_json(const arguments *a, const figures *f, const amun_ensemble *ensemble)
{
    const size_t count = amun_ensemble_count(ensemble);
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "ensemble");
    ex_json_text(&json, "arch", amun_model_arch(amun_ensemble_model(ensemble, 0)));
    ex_json_text(&json, "method", a->method);
    ex_json_text(&json, "ensemble", a->out);
    ex_json_int(&json, "members", (int64_t)count);
    ex_json_real(&json, "lotos", a->lambda);
    ex_json_real(&json, "mal", a->mal);
    ex_json_int(&json, "k", a->k);
    ex_json_int(&json, "epochs", f->trained.epochs);
    ex_json_real(&json, "train_loss", f->trained.loss);
    ex_json_real(&json, "train_accuracy", f->trained.accuracy);
    ex_json_real(&json, "seconds", f->trained.seconds);
    ex_json_real(&json, "test_accuracy", f->ensemble);
    ex_json_text(&json, "clamp", clamp_name(f->transfer.clamp));
    ex_json_real(&json, "eps", a->eps);
    ex_json_int(&json, "attacked", f->transfer.samples);
    ex_json_real(&json, "transfer", f->transfer.transfer);
    ex_json_real(&json, "success", f->transfer.success);
    ex_json_real(&json, "white_box_robust", f->white.robust);
    if (a->surrogates != NULL) {
        ex_json_real(&json, "black_box_robust", f->black.robust);
        ex_json_real(&json, "black_box_transfer", f->black.transfer);
    }
    for (size_t i = 0; i < count * count; i++) {
        char *rate = ex_format("rate_%zu_%zu", i / count, i % count);
        char *eligible = ex_format("eligible_%zu_%zu", i / count, i % count);
        ex_json_real(&json, rate, f->rates[i]);
        ex_json_int(&json, eligible, f->eligible[i]);
        free(rate);
        free(eligible);
    }
    for (size_t i = 0; i < count; i++) {
        char *key = ex_format("test_accuracy_%zu", i);
        ex_json_real(&json, key, f->members[i]);
        free(key);
    }
    ex_json_close(&json);
}

static void run(const arguments *a)
{
    ex_data data;
    figures f = {.transfer = {.struct_size = sizeof f.transfer},
                 .white = {.struct_size = sizeof f.white},
                 .black = {.struct_size = sizeof f.black}};
    amun_context *ctx = ex_context();
    ex_data_open(&data, ctx);
    amun_ensemble *ensemble = create_ensemble(ctx, a, &data);
    amun_attack *attack = create_attack(ctx, a);
    train(a, ensemble, &data, &f);
    measure(a, ctx, ensemble, &data, attack, &f);
    print_figures(a, &f, amun_ensemble_count(ensemble));
    if (a->png != NULL) {
        draw(a, ensemble, &data, attack);
    }
    write_json(a, &f, ensemble);
    amun_attack_unref(attack);
    amun_ensemble_unref(ensemble);
    ex_data_close(&data);
    amun_context_unref(ctx);
}

int main(int argc, char **argv)
{
    arguments a = {.method = "plain",
                   .out = "ensemble",
                   .training = EX_TRAINING_DEFAULTS,
                   .members = 3,
                   .k = 1,
                   .steps = 50,
                   .mal = 0.8,
                   .eps = 0.04};
    const ex_option options[] = {
        {"members", EX_INT, &a.members, 1, MOST, NULL, "models in the ensemble (default 3)", false},
        {"arch", EX_CHOICE, &a.arch, 0, 0, EX_ARCHS,
         "network (default: digits; for CIFAR-10 convnet)", false},
        {"method", EX_CHOICE, &a.method, 0, 0, "plain|pgd-at|trades|adp|gal|trs|dverge",
         "what they minimise (default plain)", false},
        {"lotos", EX_REAL, &a.lambda, 0, 1e6, NULL, "weight of LOTOS (default 0: without)", false},
        {"mal", EX_REAL, &a.mal, 0, 1e6, NULL, "length that costs nothing (default 0.8)", false},
        {"k", EX_INT, &a.k, 1, 64, NULL, "vectors per layer (default 1)", false},
        {"lotos-bn", EX_FLAG, &a.lotos_bn, 0, 0, NULL, "LOTOS on convolution and batch norm too",
         false},
        EX_TRAINING_OPTIONS(a.training),
        {"eps", EX_REAL, &a.eps, 0, 1, NULL, "radius of the attack in Linf (default 0.04)", false},
        {"attack-steps", EX_INT, &a.steps, 1, 10000, NULL, "of the attack (default 50)", false},
        {"limit", EX_INT, &a.limit, 1, 1e9, NULL, "attack so many test images (default: all)",
         false},
        {"surrogates", EX_TEXT, &a.surrogates, 0, 0, NULL,
         "folder of another ensemble: black-box attacks start from it", false},
        {"png", EX_OUT, &a.png, 0, 0, NULL, "draws a few attacked images", false},
        {"checkpoint", EX_OUT, &a.checkpoint, 0, 0, NULL,
         "written after each epoch; a killed run goes on from it", false},
        {"out", EX_TEXT, &a.out, 0, 0, NULL, "folder for the weights (default ensemble)", false},
        {0},
    };
    ex_parse(argc, argv, "Trains models together on the digits or CIFAR-10, and attacks them.",
             options);
    if (a.png != NULL) {
        ex_png_check("png");
    }
    run(&a);
    return 0;
}
