/* clip.c - holds the layers of a trained model to a spectral norm, and shows what that changed. */
#include "common.h"

typedef struct settings {
    const char *weights, *method, *batchnorm, *out;
    double target, batchnorm_target;
    bool no_final, compare;
} settings;

/* delattre_2023 is a penalty for training and no clip. */
static const struct method {
    const char *name;
    amun_clip_method value;
} methods[] = {{"block", AMUN_CLIP_BLOCK},
               {"legacy", AMUN_CLIP_LEGACY},
               {"scale", AMUN_CLIP_SCALE},
               {"miyato", AMUN_CLIP_MIYATO},
               {"gouk", AMUN_CLIP_GOUK},
               {"sedghi", AMUN_CLIP_SEDGHI},
               {"senderovich", AMUN_CLIP_SENDEROVICH},
               {"delattre-2024", AMUN_CLIP_DELATTRE_2024}};
enum { METHODS = sizeof methods / sizeof methods[0] };
static const char *const batchnorms[] = {"leave", "hard", "soft", "gouk", "composite"};

static amun_clip_options clip_options(const settings *s)
{
    amun_clip_options opts;
    ex_check(amun_clip_options_init(&opts, sizeof opts));
    opts.target = s->target;
    opts.batchnorm_target = s->batchnorm_target > 0.0 ? s->batchnorm_target : s->target;
    opts.final_scale = s->no_final ? 0 : 1;
    opts.seed = (uint64_t)ex_args.seed;
    for (int i = 0; i < METHODS; i++) {
        opts.method = strcmp(methods[i].name, s->method) == 0 ? methods[i].value : opts.method;
    }
    for (int32_t i = 0; i < 5; i++) {
        opts.batchnorm = strcmp(batchnorms[i], s->batchnorm) == 0 ? i + 1 : opts.batchnorm;
    }
    return opts;
}

/* ---- norms ----------------------------------------------------------------------------------- */

/* Of all layers; with the composite a convolution and its batch norm count as one. A clip leaves
 * many singular values at the target, where iterations end slowly: what they have found by then is
 * a lower bound too. */
static amun_spectrum *measure(amun_model *model, bool fold, bool certify)
{
    amun_spectrum *spectrum = NULL;
    amun_spectrum_options opts;
    ex_progress progress;
    ex_check(amun_spectrum_options_init(&opts, sizeof opts));
    opts.tol = 1e-3;
    opts.block = 16;
    opts.max_iterations = 300;
    opts.fold_batchnorm = fold ? 1 : 0;
    opts.certify = certify ? 1 : 0;
    opts.seed = (uint64_t)ex_args.seed;
    ex_check(amun_spectrum_create(&spectrum, model, &opts));
    ex_progress_begin(&progress, "norms of %zu layers", amun_spectrum_count(spectrum));
    amun_status status = amun_spectrum_run(spectrum, 0, &progress.call);
    ex_check(status == AMUN_ERROR_NUMERIC ? AMUN_OK : status);
    ex_progress_end(&progress, "measured");
    return spectrum;
}

static amun_layer_spectrum layer_at(const amun_spectrum *spectrum, size_t i)
{
    amun_layer_spectrum layer = {.struct_size = sizeof layer};
    ex_check(amun_spectrum_layer(spectrum, i, &layer));
    return layer;
}

/* What a method left of a layer: the norm is certainly between the two. NaN: not applicable. */
typedef struct left {
    double lower, upper;
} left;

/* Of each of the methods by itself, [METHODS][layers]. */
static left *compare(amun_model *model, const settings *s, size_t layers)
{
    left *norms = ex_alloc(METHODS * layers, sizeof *norms);
    for (size_t m = 0; m < METHODS; m++) {
        amun_clipper *clipper = NULL;
        amun_model *copy = NULL;
        amun_clip_options opts = clip_options(s);
        opts.method = methods[m].value;
        opts.batchnorm = AMUN_CLIP_BATCHNORM_LEAVE;
        opts.final_scale = 0;
        ex_check(amun_model_clone(&copy, model));
        const amun_status status = amun_clipper_create(&clipper, copy, &opts);
        if (status != AMUN_ERROR_UNSUPPORTED) { /* a layer with a stride, for one */
            ex_check(status);
            ex_check(amun_clipper_run(NULL, clipper, NULL));
        }
        amun_spectrum *after = status == AMUN_OK ? measure(copy, false, true) : NULL;
        for (size_t i = 0; i < layers; i++) {
            left *one = &norms[m * layers + i];
            *one = (left){(double)NAN, (double)NAN};
            if (after != NULL) {
                const amun_layer_spectrum layer = layer_at(after, i);
                *one = (left){layer.sigma_lower, layer.sigma_upper};
            }
        }
        amun_spectrum_unref(after);
        amun_clipper_unref(clipper);
        amun_model_unref(copy);
    }
    return norms;
}

/* Over the layers that are clipped: the largest norms, and how far apart the two of a layer are at
 * most. */
typedef struct summary {
    left largest;
    double gap;
} summary;

static bool is_clipped(const amun_layer_spectrum *layer)
{
    return layer->kind == AMUN_LAYER_CONV2D || layer->kind == AMUN_LAYER_LINEAR;
}

static summary summarise(const amun_spectrum *before, const left *norms)
{
    summary sum = {{(double)NAN, (double)NAN}, (double)NAN};
    for (size_t i = 0; i < amun_spectrum_count(before); i++) {
        const amun_layer_spectrum layer = layer_at(before, i);
        if (is_clipped(&layer)) { /* fmax() passes over NaN */
            sum.largest.lower = fmax(sum.largest.lower, norms[i].lower);
            sum.largest.upper = fmax(sum.largest.upper, norms[i].upper);
            sum.gap = fmax(sum.gap, norms[i].upper / norms[i].lower - 1.0);
        }
    }
    return sum;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void print_number(double value)
{
    if (isnan(value)) {
        printf(" %13s", "-");
    } else {
        printf(" %13.6f", value);
    }
}

static int name_width(const amun_spectrum *spectrum)
{
    int width = 7;
    for (size_t i = 0; i < amun_spectrum_count(spectrum); i++) {
        const int own = (int)strlen(layer_at(spectrum, i).name);
        width = own > width ? own : width;
    }
    return width;
}

static void print_table(const amun_spectrum *before, const amun_spectrum *after)
{
    const int width = name_width(before);
    printf("%-*s %13s %13s %13s\n", width, "layer", "before", "after", "at most");
    for (size_t i = 0; i < amun_spectrum_count(before); i++) {
        printf("%-*s", width, layer_at(before, i).name);
        print_number(layer_at(before, i).sigma_lower);
        print_number(layer_at(after, i).sigma_lower);
        print_number(layer_at(after, i).sigma_upper);
        putchar('\n');
    }
}

static void print_pair(left one)
{
    if (isnan(one.lower)) {
        printf(" %19s", "-");
    } else {
        printf(" %9.6f %9.6f", one.lower, one.upper);
    }
}

static void print_rivals(const amun_spectrum *before, const left *rivals)
{
    const size_t layers = amun_spectrum_count(before);
    const int width = name_width(before);
    printf("\nwhat each method leaves by itself, at least and at most:\n%-*s", width, "layer");
    for (size_t m = 0; m < METHODS; m++) {
        printf(" %19s", methods[m].name);
    }
    putchar('\n');
    for (size_t i = 0; i < layers; i++) {
        const amun_layer_spectrum layer = layer_at(before, i);
        if (!is_clipped(&layer)) {
            continue;
        }
        printf("%-*s", width, layer.name);
        for (size_t m = 0; m < METHODS; m++) {
            print_pair(rivals[m * layers + i]);
        }
        putchar('\n');
    }
    printf("%-*s", width, "largest");
    for (size_t m = 0; m < METHODS; m++) {
        print_pair(summarise(before, rivals + m * layers).largest);
    }
    printf("\n%-*s", width, "gap");
    for (size_t m = 0; m < METHODS; m++) {
        const double gap = summarise(before, rivals + m * layers).gap;
        if (isnan(gap)) {
            printf(" %19s", "-");
        } else {
            printf(" %17.3f %%", 100.0 * gap);
        }
    }
    printf("\n(gap: the largest of at most / at least - 1 over the layers)\n\n");
}

static void write_left(ex_json *json, const char *prefix, left one, double gap)
{
    char *lower = ex_format("%s", prefix), *upper = ex_format("%s_at_most", prefix);
    ex_json_real(json, lower, one.lower);
    ex_json_real(json, upper, one.upper);
    if (gap >= 0.0) {
        char *name = ex_format("%s_gap", prefix);
        ex_json_real(json, name, gap);
        free(name);
    }
    free(lower);
    free(upper);
}

static void write_layers(ex_json *json, const amun_spectrum *before, const amun_spectrum *after,
                         const left *rivals)
{
    const size_t layers = amun_spectrum_count(before);
    ex_json_array_begin(json, "layers");
    for (size_t i = 0; i < layers; i++) {
        ex_json_object_begin(json);
        ex_json_text(json, "name", layer_at(before, i).name);
        ex_json_real(json, "before", layer_at(before, i).sigma_lower);
        ex_json_real(json, "after", layer_at(after, i).sigma_lower);
        ex_json_real(json, "at_most", layer_at(after, i).sigma_upper);
        for (size_t m = 0; m < METHODS && rivals != NULL; m++) {
            write_left(json, methods[m].name, rivals[m * layers + i], -1.0);
        }
        ex_json_object_end(json);
    }
    ex_json_array_end(json);
}

static void write_json(const settings *s, const amun_spectrum *before, const amun_spectrum *after,
                       const amun_clip_result *result, const left *rivals)
{
    ex_json json;
    ex_json_open(&json, ex_args.json);
    ex_json_text(&json, "program", "clip");
    ex_json_text(&json, "method", s->method);
    ex_json_text(&json, "batchnorm", s->batchnorm);
    ex_json_text(&json, "model", s->out);
    ex_json_real(&json, "target", s->target);
    ex_json_int(&json, "held", result->layers);
    ex_json_int(&json, "changed", result->changed);
    ex_json_int(&json, "rounds", result->rounds);
    ex_json_real(&json, "largest", result->largest);
    ex_json_real(&json, "upper", result->upper);
    ex_json_real(&json, "moved", result->moved);
    for (size_t m = 0; m < METHODS && rivals != NULL; m++) {
        const summary sum = summarise(before, rivals + m * amun_spectrum_count(before));
        write_left(&json, methods[m].name, sum.largest, isnan(sum.gap) ? -1.0 : sum.gap);
    }
    write_layers(&json, before, after, rivals);
    ex_json_real(&json, "seconds", result->seconds);
    ex_json_close(&json);
}

/* ---- program --------------------------------------------------------------------------------- */

static void run(const settings *s)
{
    amun_context *ctx = ex_context();
    amun_model *model = NULL;
    amun_clipper *clipper = NULL;
    amun_clip_result result = {.struct_size = sizeof result};
    const amun_clip_options opts = clip_options(s);
    const bool fold = opts.batchnorm == AMUN_CLIP_BATCHNORM_COMPOSITE;
    ex_progress progress;
    ex_check(amun_model_load(&model, ctx, s->weights));
    ex_check(amun_clipper_create(&clipper, model, &opts));
    amun_spectrum *before = measure(model, fold, false);
    left *rivals = s->compare ? compare(model, s, amun_spectrum_count(before)) : NULL;
    ex_progress_begin(&progress, "%s: layers to %g", s->method, s->target);
    ex_check(amun_clipper_run(&result, clipper, &progress.call));
    ex_progress_end(&progress, "%lld of %lld changed", (long long)result.changed,
                    (long long)result.layers);
    amun_spectrum *after = measure(model, fold, true);
    print_table(before, after);
    if (rivals != NULL) {
        print_rivals(before, rivals);
    }
    ex_check(amun_model_save(model, s->out));
    printf("weights in %s\n", s->out);
    write_json(s, before, after, &result, rivals);
    free(rivals);
    amun_spectrum_unref(before);
    amun_spectrum_unref(after);
    amun_clipper_unref(clipper);
    amun_model_unref(model);
    amun_context_unref(ctx);
}

int main(int argc, char **argv)
{
    settings s = {.method = "block",
                  .batchnorm = "leave",
                  .out = "clipped.safetensors",
                  .target = 1.0,
                  .batchnorm_target = 0.0};
    const ex_option options[] = {
        {"model", EX_FILE, &s.weights, 0, 0, NULL, "weights of the model (.safetensors)", true},
        {"target", EX_REAL, &s.target, 1e-6, 1e6, NULL,
         "norm of convolutions and dense layers (default 1)", false},
        {"method", EX_CHOICE, &s.method, 0, 0,
         "block|legacy|scale|miyato|gouk|sedghi|senderovich|delattre-2024", "how (default block)",
         false},
        {"batchnorm", EX_CHOICE, &s.batchnorm, 0, 0, "leave|hard|soft|gouk|composite",
         "what happens to batch norms (default leave)", false},
        {"batchnorm-target", EX_REAL, &s.batchnorm_target, 1e-6, 1e6, NULL,
         "their norm (default: --target)", false},
        {"no-final", EX_FLAG, &s.no_final, 0, 0, NULL,
         "without the last scaling that makes the norms certain", false},
        {"compare", EX_FLAG, &s.compare, 0, 0, NULL,
         "also show between which norms each method leaves the layers by itself", false},
        {"out", EX_OUT, &s.out, 0, 0, NULL, "weights (default clipped.safetensors)", false},
        {0},
    };
    ex_parse(argc, argv, "Holds the layers of a model to a spectral norm.", options);
    run(&s);
    return 0;
}
