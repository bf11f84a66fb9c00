/* noise_study.c - does it matter that TRW knows which classes are alike? Its scores with noise, and
 * what may stand in their place, on one class of the digits (or CIFAR-10), beside retrained models.
 */
#include "common.h"

enum { MOST_DRAWS = 20, FIGURES = 4 };
enum { GAP, TV, ACC_R, ACC_F };
static const char *const figure_names[FIGURES] = {"miann_gap", "tv", "acc_r", "acc_f"};

typedef struct arguments {
    const char *arch;
    ex_training training;
    int64_t forget, retrained, draws, epochs, batch, neighbours, stage;
    double beta, lr, kappa, temperature;
} arguments;

typedef struct setting {
    const char *name;
    double noise;
    amun_trw_control control;
    bool random; /* several draws */
    size_t runs;
    double figures[FIGURES][MOST_DRAWS];
} setting;

typedef struct study {
    const arguments *args;
    amun_context *ctx;
    ex_data data;
    const char *arch;
    amun_train_options train;
    int64_t *forget, *remain, *labels; /* labels: of the test set */
    size_t n_forget, n_remain, n_test;
    amun_model *original;
    float *retrained; /* logits [models][n_test][classes] */
} study;

/* ---- models ---------------------------------------------------------------------------------- */

static void split(study *s)
{
    const size_t count = amun_dataset_count(s->data.train);
    int64_t *labels = ex_alloc(count, sizeof *labels);
    s->forget = ex_alloc(count, sizeof *s->forget);
    s->remain = ex_alloc(count, sizeof *s->remain);
    ex_check(amun_dataset_labels(s->data.train, 0, count, labels));
    for (size_t i = 0; i < count; i++) {
        if (labels[i] == s->args->forget) {
            s->forget[s->n_forget++] = (int64_t)i;
        } else {
            s->remain[s->n_remain++] = (int64_t)i;
        }
    }
    free(labels);
    if (s->n_forget == 0) {
        ex_usage("--class: no training sample of class %lld", (long long)s->args->forget);
    }
    s->n_test = amun_dataset_count(s->data.test);
    s->labels = ex_alloc(s->n_test, sizeof *s->labels);
    ex_check(amun_dataset_labels(s->data.test, 0, s->n_test, s->labels));
}

static amun_model *trained(const study *s, const char *title, uint64_t seed, bool all)
{
    amun_train_options opts = s->train;
    amun_train_result result = {.struct_size = sizeof result};
    ex_progress progress;
    amun_model *model = ex_model_create(s->ctx, &s->data, s->arch, seed);
    opts.seed = seed;
    ex_progress_begin(&progress, "%s %llu", title, (unsigned long long)seed);
    ex_check(amun_train_run(&result, model, s->data.train, all ? NULL : s->remain,
                            all ? 0 : s->n_remain, &opts, &progress.call));
    ex_progress_trained(&progress, result.loss, result.accuracy);
    return model;
}

/* Of the test set, [n_test][classes]. */
static void logits_of(const study *s, const amun_model *model, float *to)
{
    enum { AT_ONCE = 512 };
    const int64_t *shape = s->data.shape;
    float *images = ex_alloc(AT_ONCE * (size_t)(shape[0] * shape[1] * shape[2]), sizeof *images);
    for (size_t first = 0; first < s->n_test; first += AT_ONCE) {
        const size_t left = s->n_test - first, n = left < AT_ONCE ? left : AT_ONCE;
        const int64_t in[4] = {(int64_t)n, shape[0], shape[1], shape[2]};
        const int64_t out[2] = {(int64_t)n, s->data.classes};
        amun_tensor_view image_view, logit_view;
        ex_check(amun_dataset_read(s->data.test, first, n, images));
        ex_check(amun_tensor_view_init(&image_view, images, AMUN_DTYPE_F32, 4, in));
        ex_check(amun_tensor_view_init(&logit_view, to + first * (size_t)s->data.classes,
                                       AMUN_DTYPE_F32, 2, out));
        ex_check(amun_model_predict(model, &image_view, &logit_view, NULL));
    }
    free(images);
}

static void train_all(study *s)
{
    const size_t size = s->n_test * (size_t)s->data.classes;
    s->original = trained(s, "original", (uint64_t)ex_args.seed, true);
    s->retrained = ex_alloc((size_t)s->args->retrained * size, sizeof *s->retrained);
    for (size_t r = 0; r < (size_t)s->args->retrained; r++) {
        amun_model *model = trained(s, "retrained", (uint64_t)ex_args.seed + 1000 + r, false);
        logits_of(s, model, s->retrained + r * size);
        amun_model_unref(model);
    }
}

/* ---- one run --------------------------------------------------------------------------------- */

static amun_model *tilted(const study *s, const setting *how, uint64_t draw)
{
    const arguments *a = s->args;
    amun_unlearn_options opts;
    amun_train_options train;
    amun_trw_options trw;
    amun_model *model = NULL;
    ex_check(amun_unlearn_options_init(&opts, sizeof opts));
    ex_check(amun_unlearn_train_options_init(&train, sizeof train, AMUN_UNLEARN_TRW));
    ex_check(amun_trw_options_init(&trw, sizeof trw));
    train.epochs = (int32_t)a->epochs;
    train.step_epochs = train.epochs > 1 ? train.epochs / 2 : 1;
    train.batch = (int32_t)a->batch;
    train.lr = a->lr;
    train.augment_pad = s->train.augment_pad;
    train.augment_flip = s->train.augment_flip;
    train.seed = (uint64_t)ex_args.seed;
    trw.beta = a->beta;
    trw.temperature = a->temperature;
    trw.kappa = a->kappa;
    trw.neighbours = (int32_t)a->neighbours;
    trw.stage = (int32_t)a->stage;
    trw.noise = how->noise;
    trw.control = how->control;
    trw.noise_seed = draw;
    opts.method = AMUN_UNLEARN_TRW;
    opts.train = &train;
    opts.trw = &trw;
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_model_clone(&model, s->original));
    ex_check(
        amun_unlearn_run(NULL, model, s->data.train, s->forget, s->n_forget, NULL, &opts, NULL));
    return model;
}

static void accuracies(const study *s, const float *logits, double *remain, double *forget)
{
    size_t right[2] = {0}, seen[2] = {0};
    const size_t classes = (size_t)s->data.classes;
    for (size_t i = 0; i < s->n_test; i++) {
        const float *row = logits + i * classes;
        const int side = s->labels[i] == s->args->forget;
        size_t top = 0;
        for (size_t j = 1; j < classes; j++) {
            top = row[j] > row[top] ? j : top;
        }
        seen[side]++;
        right[side] += (int64_t)top == s->labels[i];
    }
    *remain = 100.0 * (double)right[0] / (double)seen[0];
    *forget = 100.0 * (double)right[1] / (double)seen[1];
}

/* The figures of one model; with `null` those of the retrained ones among themselves. */
static void judge(const study *s, float *logits, double figures[FIGURES], amun_miann *nn,
                  amun_distance *far)
{
    const int64_t shape[3] = {s->args->retrained, (int64_t)s->n_test, s->data.classes};
    amun_tensor_view retrained, own, labels;
    *nn = (amun_miann){.struct_size = sizeof *nn};
    *far = (amun_distance){.struct_size = sizeof *far};
    ex_check(amun_tensor_view_init(&retrained, s->retrained, AMUN_DTYPE_F32, 3, shape));
    ex_check(amun_tensor_view_init(&own, logits, AMUN_DTYPE_F32, 2, shape + 1));
    ex_check(amun_tensor_view_init(&labels, s->labels, AMUN_DTYPE_I64, 1, shape + 1));
    ex_check(
        amun_miann_compute(nn, NULL, NULL, &retrained, &own, &labels, &s->args->forget, 1, NULL));
    ex_check(amun_distance_compute(far, NULL, &retrained, &own, &labels, &s->args->forget, 1));
    figures[GAP] = nn->gap;
    figures[TV] = far->tv;
    accuracies(s, logits, &figures[ACC_R], &figures[ACC_F]);
}

static void run_setting(const study *s, setting *how, float *logits)
{
    ex_progress progress;
    how->runs = how->random ? (size_t)s->args->draws : 1;
    ex_progress_begin(&progress, "%s, %zu runs", how->name, how->runs);
    for (size_t draw = 0; draw < how->runs; draw++) {
        amun_miann nn;
        amun_distance far;
        double figures[FIGURES];
        amun_model *model = tilted(s, how, (uint64_t)draw);
        logits_of(s, model, logits);
        judge(s, logits, figures, &nn, &far);
        for (int k = 0; k < FIGURES; k++) {
            how->figures[k][draw] = figures[k];
        }
        amun_model_unref(model);
    }
    ex_progress_end(&progress, "TV %.4f", how->figures[TV][0]);
}

/* ---- what is said ---------------------------------------------------------------------------- */

static double mean_of(const setting *how, int figure)
{
    double sum = 0.0;
    for (size_t i = 0; i < how->runs; i++) {
        sum += how->figures[figure][i] / (double)how->runs;
    }
    return sum;
}

static double deviation_of(const setting *how, int figure)
{
    const double mean = mean_of(how, figure);
    double sum = 0.0;
    for (size_t i = 0; i < how->runs; i++) {
        sum += (how->figures[figure][i] - mean) * (how->figures[figure][i] - mean);
    }
    return how->runs > 1 ? sqrt(sum / (double)(how->runs - 1)) : (double)NAN;
}

static void print_figure(double mean, double sd)
{
    char text[40];
    if (isnan(sd)) {
        snprintf(text, sizeof text, "%.3f", mean);
    } else {
        snprintf(text, sizeof text, "%.3f +- %.3f", mean, sd);
    }
    printf(" %18s", text);
}

static void report(const study *s, const setting *settings, size_t count, const amun_miann *nn,
                   const amun_distance *far)
{
    /* passed if half a deviation of noise costs at most half as much again */
    const double clean = mean_of(&settings[0], GAP), noisy = mean_of(&settings[2], GAP);
    const bool passed = noisy <= 1.5 * clean;
    ex_json json;
    printf("\n%-14s %18s %18s %18s %18s\n", "scores", "MIA-NN gap, points", "TV", "ACC_r, %",
           "ACC_f, %");
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "noise_study");
    ex_json_int(&json, "forget", s->args->forget);
    ex_json_int(&json, "retrained_models", s->args->retrained);
    ex_json_real(&json, "beta", s->args->beta);
    ex_json_real(&json, "miann_gap_null", nn->null_mean);
    ex_json_real(&json, "tv_null", far->tv_null);
    ex_json_bool(&json, "passed", passed);
    ex_json_array_begin(&json, "rows");
    for (size_t i = 0; i < count; i++) {
        ex_json_object_begin(&json);
        ex_json_text(&json, "scores", settings[i].name);
        printf("%-14s", settings[i].name);
        for (int k = 0; k < FIGURES; k++) {
            print_figure(mean_of(&settings[i], k), deviation_of(&settings[i], k));
            ex_json_reals(&json, figure_names[k], settings[i].figures[k], settings[i].runs);
        }
        printf("\n");
        ex_json_object_end(&json);
    }
    ex_json_array_end(&json);
    ex_json_close(&json);
    printf("%-14s", "null");
    print_figure(nn->null_mean, nn->null_sd);
    print_figure(far->tv_null, far->tv_null_sd);
    printf("\nnoise 0.5: gap %.3f, %s 1.5 times the %.3f without noise: %s\n", noisy,
           passed ? "within" : "above", clean, passed ? "passed" : "not passed");
}

static void run(const arguments *a)
{
    setting settings[] = {
        {"as they are", 0.0, AMUN_TRW_CONTROL_NONE, false, 0, {{0}}},
        {"noise 0.25", 0.25, AMUN_TRW_CONTROL_NONE, true, 0, {{0}}},
        {"noise 0.5", 0.5, AMUN_TRW_CONTROL_NONE, true, 0, {{0}}},
        {"noise 1", 1.0, AMUN_TRW_CONTROL_NONE, true, 0, {{0}}},
        {"noise 2", 2.0, AMUN_TRW_CONTROL_NONE, true, 0, {{0}}},
        {"permuted", 0.0, AMUN_TRW_CONTROL_PERMUTED, true, 0, {{0}}},
        {"reversed", 0.0, AMUN_TRW_CONTROL_REVERSED, false, 0, {{0}}},
        {"uniform", 0.0, AMUN_TRW_CONTROL_UNIFORM, false, 0, {{0}}},
        {"ranks", 0.0, AMUN_TRW_CONTROL_RANKS, false, 0, {{0}}},
    };
    const size_t count = sizeof settings / sizeof settings[0];
    study s = {.args = a, .ctx = ex_context()};
    amun_miann nn;
    amun_distance far;
    double figures[FIGURES];
    ex_data_open(&s.data, s.ctx);
    s.arch = a->arch != NULL ? a->arch : s.data.arch;
    ex_recipe(&s.train, s.arch);
    ex_training_apply(&s.train, &a->training, &s.data);
    split(&s);
    train_all(&s);
    float *logits = ex_alloc(s.n_test * (size_t)s.data.classes, sizeof *logits);
    for (size_t i = 0; i < count; i++) {
        run_setting(&s, &settings[i], logits);
    }
    judge(&s, logits, figures, &nn, &far); /* the null is the same for all */
    report(&s, settings, count, &nn, &far);
    free(logits);
    free(s.retrained);
    free(s.labels);
    free(s.remain);
    free(s.forget);
    amun_model_unref(s.original);
    ex_data_close(&s.data);
    amun_context_unref(s.ctx);
}

int main(int argc, char **argv)
{
    arguments a = {.training = EX_TRAINING_DEFAULTS,
                   .forget = 9,
                   .retrained = 3,
                   .draws = 5,
                   .epochs = 10,
                   .batch = 30,
                   .beta = 10.0,
                   .lr = 0.003,
                   .temperature = 0.1};
    const ex_option options[] = {
        {"arch", EX_CHOICE, &a.arch, 0, 0, EX_ARCHS,
         "network (default: digits; for CIFAR-10 convnet)", false},
        {"class", EX_INT, &a.forget, 0, 65535, NULL, "the class to forget (default 9)", false},
        {"retrained", EX_INT, &a.retrained, 2, 99, NULL, "retrained models (default 3)", false},
        {"draws", EX_INT, &a.draws, 1, MOST_DRAWS, NULL,
         "of each noise and of the permutation (default 5)", false},
        EX_TRAINING_OPTIONS(a.training),
        {"trw-beta", EX_REAL, &a.beta, 0, 1000, NULL, "tilt (default 10)", false},
        {"trw-temperature", EX_REAL, &a.temperature, 1e-3, 1000, NULL, "default 0.1", false},
        {"trw-kappa", EX_REAL, &a.kappa, 0, 1, NULL,
         "share of each sample's own scores (default 0)", false},
        {"trw-neighbours", EX_INT, &a.neighbours, 0, 100000, NULL,
         "these by so many neighbours (default 0: by class means)", false},
        {"trw-stage", EX_INT, &a.stage, 0, 64, NULL, "on features so many stages earlier", false},
        {"trw-epochs", EX_INT, &a.epochs, 1, 100000, NULL, "of unlearning (default 10)", false},
        {"trw-batch", EX_INT, &a.batch, 1, 65536, NULL, "of unlearning (default 30)", false},
        {"trw-lr", EX_REAL, &a.lr, 0, 1000, NULL, "of unlearning (default 0.003)", false},
        {0},
    };
    ex_parse(
        argc, argv,
        "Forgets a class by TRW with scores as they are, with noise on them, and with what may\n"
        "stand in their place, and compares each with retrained models.",
        options);
    run(&a);
    return 0;
}
