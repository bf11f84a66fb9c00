/* spectrum.c - singular values of all layers of a model with certified bounds, and how far the
 * network can stretch its input. */
#include "common.h"

typedef struct settings {
    const char *weights, *arch, *method;
    int64_t k, max_iterations;
    double tol;
    bool fold;
} settings;

static amun_model *open_model(amun_context *ctx, const settings *s)
{
    amun_model *model = NULL;
    amun_model_options opts;
    if ((s->weights != NULL) == (s->arch != NULL)) {
        ex_usage("give either --model or --arch (--help lists the options)");
    }
    if (s->weights != NULL) {
        ex_check(amun_model_load(&model, ctx, s->weights));
        return model;
    }
    ex_check(amun_model_options_init(&opts, sizeof opts));
    if (strcmp(s->arch, "digits") == 0) {
        opts.channels = 1;
        opts.height = opts.width = 8;
    }
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_model_create(&model, ctx, s->arch, &opts));
    return model;
}

static amun_spectrum *open_spectrum(amun_model *model, const settings *s)
{
    amun_spectrum *spectrum = NULL;
    amun_spectrum_options opts;
    ex_check(amun_spectrum_options_init(&opts, sizeof opts));
    opts.method = strcmp(s->method, "legacy") == 0  ? AMUN_SPECTRUM_LEGACY
                  : strcmp(s->method, "exact") == 0 ? AMUN_SPECTRUM_EXACT
                                                    : AMUN_SPECTRUM_POWERQR;
    opts.k = (int32_t)s->k;
    opts.tol = s->tol;
    opts.max_iterations = (int32_t)s->max_iterations;
    opts.fold_batchnorm = s->fold;
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_spectrum_create(&spectrum, model, &opts));
    return spectrum;
}

/* ---- names ----------------------------------------------------------------------------------- */

static const char *kind_name(amun_layer_kind kind)
{
    static const char *const names[] = {"", "conv", "linear", "bn", "conv+bn", "linear+bn", "pool"};
    return kind >= 1 && kind <= AMUN_LAYER_AVG_POOL ? names[kind] : "?";
}

static const char *bound_name(amun_bound_kind kind)
{
    static const char *const names[] = {"none",        "exact",    "diagonal", "fft",    "grid",
                                        "gram kernel", "reshaped", "product",  "section"};
    return kind >= 0 && kind <= AMUN_BOUND_SECTION ? names[kind] : "?";
}

static char *shape_text(const int64_t shape[3])
{
    return shape[1] == 1 && shape[2] == 1 ? ex_format("%lld", (long long)shape[0])
                                          : ex_format("%lldx%lldx%lld", (long long)shape[0],
                                                      (long long)shape[1], (long long)shape[2]);
}

static amun_layer_spectrum layer_at(const amun_spectrum *spectrum, size_t i)
{
    amun_layer_spectrum layer = {.struct_size = sizeof layer};
    ex_check(amun_spectrum_layer(spectrum, i, &layer));
    return layer;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void print_number(double value)
{
    if (isnan(value)) {
        printf(" %11s", "-");
    } else {
        printf(" %11.6f", value);
    }
}

static void print_table(const amun_spectrum *spectrum)
{
    int width = 5;
    for (size_t i = 0; i < amun_spectrum_count(spectrum); i++) {
        int own = (int)strlen(layer_at(spectrum, i).name);
        width = own > width ? own : width;
    }
    printf("%-*s  %-9s %11s %11s %11s %11s %11s %5s  %s\n", width, "layer", "kind", "in", "out",
           "lower", "upper", "flat", "iter", "bound");
    for (size_t i = 0; i < amun_spectrum_count(spectrum); i++) {
        const amun_layer_spectrum layer = layer_at(spectrum, i);
        char *in = shape_text(layer.in_shape), *out = shape_text(layer.out_shape);
        printf("%-*s  %-9s %11s %11s", width, layer.name, kind_name(layer.kind), in, out);
        print_number(layer.sigma_lower);
        print_number(layer.sigma_upper);
        print_number(layer.sigma_flat);
        printf(" %5d  %s\n", layer.iterations, bound_name(layer.bound));
        free(in);
        free(out);
    }
}

static void write_layer(ex_json *json, const amun_spectrum *spectrum, size_t i)
{
    const amun_layer_spectrum layer = layer_at(spectrum, i);
    double *values = ex_alloc((size_t)layer.values, sizeof *values);
    char *in = shape_text(layer.in_shape), *out = shape_text(layer.out_shape);
    ex_check(amun_spectrum_values(spectrum, i, values, NULL, (size_t)layer.values));
    ex_json_object_begin(json);
    ex_json_text(json, "name", layer.name);
    ex_json_text(json, "kind", kind_name(layer.kind));
    ex_json_text(json, "batchnorm", layer.batchnorm != NULL ? layer.batchnorm : "");
    ex_json_text(json, "in", in);
    ex_json_text(json, "out", out);
    ex_json_real(json, "sigma_lower", layer.sigma_lower);
    ex_json_real(json, "sigma_upper", layer.sigma_upper);
    ex_json_real(json, "sigma_flat", layer.sigma_flat);
    ex_json_reals(json, "values", values, (size_t)layer.values);
    ex_json_real(json, "residual", layer.residual);
    ex_json_text(json, "bound", bound_name(layer.bound));
    ex_json_int(json, "iterations", layer.iterations);
    ex_json_bool(json, "converged", layer.converged != 0);
    ex_json_object_end(json);
    free(values);
    free(in);
    free(out);
}

static void write_json(const amun_model *model, const amun_spectrum *spectrum, const settings *s,
                       const amun_lipschitz *whole, double seconds)
{
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "spectrum");
    ex_json_text(&json, "arch", amun_model_arch(model));
    ex_json_text(&json, "method", s->method);
    ex_json_real(&json, "lipschitz_upper", whole->upper);
    ex_json_real(&json, "lipschitz_estimate", whole->estimate);
    ex_json_array_begin(&json, "layers");
    for (size_t i = 0; i < amun_spectrum_count(spectrum); i++) {
        write_layer(&json, spectrum, i);
    }
    ex_json_array_end(&json);
    ex_json_real(&json, "seconds", seconds);
    ex_json_close(&json);
}

/* ---- program --------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    settings s = {.method = "powerqr", .k = 1, .max_iterations = 1000, .tol = 1e-6};
    const ex_option options[] = {
        {"model", EX_FILE, &s.weights, 0, 0, NULL, "weights (.safetensors)", false},
        {"arch", EX_CHOICE, &s.arch, 0, 0, EX_ARCHS, "or: a fresh network from --seed", false},
        {"fold-batchnorm", EX_FLAG, &s.fold, 0, 0, NULL,
         "a convolution and its batch norm are one layer", false},
        {"k", EX_INT, &s.k, 1, 64, NULL, "singular values per layer (default 1)", false},
        {"tol", EX_REAL, &s.tol, 0, 1, NULL, "of the residual, by sigma^2 (default 1e-6)", false},
        {"method", EX_CHOICE, &s.method, 0, 0, "powerqr|legacy|exact",
         "how values are found (default powerqr)", false},
        {"max-iterations", EX_INT, &s.max_iterations, 1, 1000000, NULL,
         "per layer (default 1000); legacy: exactly", false},
        {0},
    };
    ex_parse(argc, argv, "Measures the layers of a network.", options);

    amun_context *ctx = ex_context();
    amun_model *model = open_model(ctx, &s);
    amun_spectrum *spectrum = open_spectrum(model, &s);
    amun_lipschitz whole = {.struct_size = sizeof whole};
    ex_progress progress;
    ex_progress_begin(&progress, "%zu layers", amun_spectrum_count(spectrum));
    amun_status status = amun_spectrum_run(spectrum, 0, &progress.call);
    char message[1024];
    snprintf(message, sizeof message, "%s", amun_last_error_message());
    amun_status bounded = amun_lipschitz_bound(&whole, NULL, 0, spectrum);
    if (status != AMUN_OK && (status != AMUN_ERROR_NUMERIC || bounded != AMUN_OK)) {
        ex_die("%s: %s", amun_status_string(status), message); /* there are no values */
    }
    ex_check(bounded);
    ex_progress_end(&progress, "measured");
    print_table(spectrum);
    printf("Lipschitz constant from pixels to logits: at most %g (with lower bounds: %g)\n",
           whole.upper, whole.estimate);
    write_json(model, spectrum, &s, &whole, progress.seconds);
    amun_spectrum_unref(spectrum);
    amun_model_unref(model);
    amun_context_unref(ctx);
    if (status != AMUN_OK) {
        ex_die("%s: %s", amun_status_string(status), message);
    }
    return 0;
}
