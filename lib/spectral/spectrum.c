/* spectrum.c - the spectrum handle: the list of a model's layers, runs, and what came of them. */
#include "spectral/spectrum.h"

#include "spectral/bounds.h"
#include "spectral/lipschitz.h"

#define MAX_SEED 18446744073709551615.0

/* ---- options --------------------------------------------------------------------------------- */

static const char *const method_names[] = {"powerqr", "legacy", "exact"};
static const amun_spectrum_options defaults = {.struct_size = sizeof(amun_spectrum_options),
                                               .method = AMUN_SPECTRUM_POWERQR,
                                               .k = 1,
                                               .max_iterations = 1000,
                                               .tol = 1e-6,
                                               .certify = 1,
                                               .certify_cost = AMUN__BOUND_COST};
static const amun__field fields[] = {
    AMUN__FIELD_ENUM(amun_spectrum_options, method, AMUN_SPECTRUM_POWERQR, AMUN_SPECTRUM_EXACT,
                     method_names),
    AMUN__FIELD(amun_spectrum_options, k, AMUN__FIELD_I32, 1, 64),
    AMUN__FIELD(amun_spectrum_options, block, AMUN__FIELD_I32, 0, 128),
    AMUN__FIELD(amun_spectrum_options, max_iterations, AMUN__FIELD_I32, 1, 1000000),
    AMUN__FIELD(amun_spectrum_options, tol, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_spectrum_options, mu, AMUN__FIELD_F64, 0, 1e6),
    AMUN__FIELD(amun_spectrum_options, fold_batchnorm, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_spectrum_options, certify, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_spectrum_options, seed, AMUN__FIELD_U64, 0, MAX_SEED),
    AMUN__FIELD(amun_spectrum_options, certify_cost, AMUN__FIELD_F64, 0, 1e9),
};
/* Before there was `certify_cost`. */
static const size_t released_sizes[] = {56};
static const amun__options_table table = {.name = "amun_spectrum_options",
                                          .size = sizeof(amun_spectrum_options),
                                          .defaults = &defaults,
                                          .fields = fields,
                                          .field_count = sizeof fields / sizeof fields[0],
                                          .released_sizes = released_sizes,
                                          .released_count =
                                              sizeof released_sizes / sizeof released_sizes[0]};

amun_status amun_spectrum_options_init(amun_spectrum_options *opts, size_t size)
{
    amun__enter();
    return amun__options_init(&table, opts, size);
}

static amun_status read_options(amun_spectrum_options *full, const amun_spectrum_options *opts)
{
    AMUN__CHECK(amun__options_read(&table, full, opts));
    if (full->block != 0 && full->block < full->k) {
        return amun__fail(
            AMUN_ERROR_INVALID_ARGUMENT,
            "amun_spectrum_options.block: %d is neither 0 nor at least k, which is %d", full->block,
            full->k);
    }
    return AMUN_OK;
}

/* ---- layers ---------------------------------------------------------------------------------- */

static amun_layer_kind kind_of(const amun__node *node, int32_t batchnorm)
{
    switch (node->kind) {
    case AMUN__NODE_CONV2D:
        return batchnorm >= 0 ? AMUN_LAYER_CONV2D_BATCHNORM : AMUN_LAYER_CONV2D;
    case AMUN__NODE_LINEAR:
        return batchnorm >= 0 ? AMUN_LAYER_LINEAR_BATCHNORM : AMUN_LAYER_LINEAR;
    case AMUN__NODE_BATCHNORM:
        return AMUN_LAYER_BATCHNORM;
    default:
        return AMUN_LAYER_AVG_POOL;
    }
}

static void get_shape(int64_t shape[3], const amun__node *node)
{
    shape[0] = node->channels;
    shape[1] = node->height;
    shape[2] = node->width;
}

static amun__layer describe(const amun_spectrum *s, const amun_graph *graph, int32_t index)
{
    const amun__node *node = &graph->nodes[index];
    const bool weighted = node->kind == AMUN__NODE_CONV2D || node->kind == AMUN__NODE_LINEAR;
    amun__layer layer = {.node = index, .batchnorm = -1, .upper = NAN, .flat = NAN};
    if (weighted && s->options.fold_batchnorm != 0) {
        layer.batchnorm = amun__linop_batchnorm_of(graph, index);
    }
    layer.kind = kind_of(node, layer.batchnorm);
    get_shape(layer.in_shape, &graph->nodes[node->inputs[0]]);
    get_shape(layer.out_shape, node);
    const size_t in = (size_t)(layer.in_shape[0] * layer.in_shape[1] * layer.in_shape[2]);
    const size_t out = (size_t)(layer.out_shape[0] * layer.out_shape[1] * layer.out_shape[2]);
    const size_t k = (size_t)s->options.k;
    layer.rank = in < out ? in : out;
    layer.count =
        (int32_t)(s->options.method == AMUN_SPECTRUM_EXACT || layer.rank < k ? layer.rank : k);
    return layer;
}

/* Whether another layer has this batch norm in it. */
static bool is_folded(const amun_spectrum *s, int32_t node)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->layers[i].batchnorm == node) {
            return true;
        }
    }
    return false;
}

static amun_status list_layers(amun_spectrum *s)
{
    const amun_graph *graph = amun__model_graph(s->model);
    AMUN__CHECK(
        amun__calloc(s->object.ctx, &s->layers, (size_t)graph->node_count, sizeof *s->layers));
    for (int32_t i = 0; i < graph->node_count; i++) {
        if (amun__lipschitz_needs_norm(graph, i) && !is_folded(s, i)) {
            s->layers[s->count++] = describe(s, graph, i);
        }
    }
    return AMUN_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void destroy_spectrum(void *self)
{
    amun_spectrum *s = self;
    for (size_t i = 0; i < s->count; i++) {
        amun__layer_free(s->object.ctx, &s->layers[i]);
    }
    amun__free(s->object.ctx, s->layers);
    amun_model_unref(s->model);
}

amun_status amun_spectrum_create(amun_spectrum **spectrum, amun_model *model,
                                 const amun_spectrum_options *opts)
{
    amun__enter();
    if (spectrum == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "spectrum is NULL");
    }
    *spectrum = NULL;
    amun_spectrum_options full;
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(read_options(&full, opts));
    amun_spectrum *made = NULL;
    AMUN__CHECK(amun__object_create(&made, amun__model_context(model), AMUN__TAG_SPECTRUM,
                                    sizeof *made, destroy_spectrum));
    made->model = amun_model_ref(model);
    made->options = full;
    made->backend = AMUN__LINOP_BEST;
    amun_status status = list_layers(made);
    if (status != AMUN_OK) {
        amun__object_unref(made);
        return status;
    }
    *spectrum = made;
    return AMUN_OK;
}

amun_spectrum *amun_spectrum_ref(amun_spectrum *spectrum)
{
    return amun__object_ref(spectrum);
}

void amun_spectrum_unref(amun_spectrum *spectrum)
{
    amun__object_unref(spectrum);
}

/* ---- running --------------------------------------------------------------------------------- */

static amun_status measure_all(amun_spectrum *s, int32_t max_iterations,
                               amun__progress_state *progress)
{
    for (size_t i = 0; i < s->count; i++) {
        AMUN__CHECK(amun__layer_measure(s, &s->layers[i], max_iterations));
        AMUN__CHECK(amun__progress_tick(progress, "spectrum", i + 1, s->count, (double)NAN,
                                        amun__layer_sigma(&s->layers[i], 0)));
    }
    return AMUN_OK;
}

static amun_status check_convergence(const amun_spectrum *s)
{
    const amun__layer *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < s->count && s->options.method == AMUN_SPECTRUM_POWERQR; i++) {
        if (!s->layers[i].converged) {
            first = first == NULL ? &s->layers[i] : first;
            count++;
        }
    }
    if (first == NULL) {
        return AMUN_OK;
    }
    int32_t worst = 0; /* the value furthest from what was asked for */
    double ratio = -1;
    for (int32_t i = 0; i < first->count; i++) {
        const double sigma = amun__layer_sigma(first, (size_t)i);
        const double own = amun__layer_residual(first, (size_t)i) / (sigma * sigma);
        if (own > ratio) {
            ratio = own;
            worst = i;
        }
    }
    const char *name = amun__model_graph(s->model)->nodes[first->node].name;
    return amun__fail(AMUN_ERROR_NUMERIC,
                      "%zu of %zu layers did not converge; the first is %s (node %d): after %d "
                      "iterations, value %d has a residual of %g, which is %g of its square",
                      count, s->count, name != NULL ? name : "an avg pool", first->node,
                      first->iterations, worst, amun__layer_residual(first, (size_t)worst), ratio);
}

amun_status amun_spectrum_run(amun_spectrum *spectrum, int32_t max_iterations,
                              const amun_call_options *call)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(spectrum, AMUN__TAG_SPECTRUM, "spectrum"));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    if (max_iterations < 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "max_iterations is %d, must be at least 0",
                          max_iterations);
    }
    AMUN__CHECK(amun__model_begin_read(spectrum->model));
    amun__threads threads;
    amun_status status = amun__threads_begin(spectrum->object.ctx, &threads);
    if (status == AMUN_OK) {
        spectrum->ran = false;
        status = measure_all(spectrum, max_iterations, &progress);
        spectrum->ran = status == AMUN_OK;
        amun__threads_end(&threads);
    }
    amun__model_end_read(spectrum->model);
    return status == AMUN_OK ? check_convergence(spectrum) : status;
}

/* ---- results --------------------------------------------------------------------------------- */

size_t amun_spectrum_count(const amun_spectrum *spectrum)
{
    return spectrum != NULL ? spectrum->count : 0;
}

static amun_status find_layer(const amun_spectrum *s, size_t i, const amun__layer **layer)
{
    AMUN__CHECK(amun__object_check(s, AMUN__TAG_SPECTRUM, "spectrum"));
    if (i >= s->count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "layer %zu does not exist, there are %zu", i,
                          s->count);
    }
    *layer = &s->layers[i];
    return AMUN_OK;
}

static amun_status check_ran(const amun_spectrum *s)
{
    return s->ran ? AMUN_OK
                  : amun__fail(AMUN_ERROR_STATE, "the spectrum has no values: no run went through");
}

amun_status amun_spectrum_layer(const amun_spectrum *spectrum, size_t i, amun_layer_spectrum *layer)
{
    amun__enter();
    const amun__layer *l = NULL;
    AMUN__CHECK(find_layer(spectrum, i, &l));
    const amun_graph *graph = amun__model_graph(spectrum->model);
    const char *name = graph->nodes[l->node].name;
    const bool ran = spectrum->ran;
    amun_layer_spectrum full = {
        .struct_size = sizeof full,
        .name = name != NULL ? name : "",
        .batchnorm = l->batchnorm >= 0 ? graph->nodes[l->batchnorm].name : NULL,
        .kind = l->kind,
        .node = l->node,
        .sigma_lower = ran ? amun__layer_sigma(l, 0) : (double)NAN,
        .sigma_upper = ran ? l->upper : (double)NAN,
        .sigma_flat = ran ? l->flat : (double)NAN,
        .residual = ran ? amun__layer_residual(l, 0) : (double)NAN,
        .bound = ran ? l->bound : AMUN_BOUND_NONE,
        .values = l->count,
        .iterations = ran ? l->iterations : 0,
        .converged = ran && l->converged,
    };
    memcpy(full.in_shape, l->in_shape, sizeof full.in_shape);
    memcpy(full.out_shape, l->out_shape, sizeof full.out_shape);
    return amun__result_write(layer, &full, sizeof full, "layer");
}

amun_status amun_spectrum_values(const amun_spectrum *spectrum, size_t i, double *sigma,
                                 double *residuals, size_t count)
{
    amun__enter();
    const amun__layer *layer = NULL;
    AMUN__CHECK(find_layer(spectrum, i, &layer));
    if (sigma == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "sigma is NULL");
    }
    if (count > (size_t)layer->count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "layer %zu has %d values, not %zu", i,
                          layer->count, count);
    }
    AMUN__CHECK(check_ran(spectrum));
    for (size_t j = 0; j < count; j++) {
        sigma[j] = amun__layer_sigma(layer, j);
        if (residuals != NULL) {
            residuals[j] = amun__layer_residual(layer, j);
        }
    }
    return AMUN_OK;
}

amun_status amun_spectrum_vector(const amun_spectrum *spectrum, size_t i, size_t j, float *vector,
                                 size_t count)
{
    amun__enter();
    const amun__layer *layer = NULL;
    AMUN__CHECK(find_layer(spectrum, i, &layer));
    const size_t plane = (size_t)(layer->in_shape[1] * layer->in_shape[2]);
    const size_t size = (size_t)layer->in_shape[0] * plane;
    if (vector == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "vector is NULL");
    }
    if (j >= (size_t)layer->count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "layer %zu has %d vectors, no number %zu", i,
                          layer->count, j);
    }
    if (count != size) {
        return amun__fail(AMUN_ERROR_SHAPE, "vector: %zu values, layer %zu takes %zu", count, i,
                          size);
    }
    if (spectrum->options.method == AMUN_SPECTRUM_EXACT) {
        return amun__fail(AMUN_ERROR_UNSUPPORTED, "the exact method gives no vectors");
    }
    AMUN__CHECK(check_ran(spectrum));
    if (layer->iteration != NULL) {
        memcpy(vector, amun__powerqr_vectors(layer->iteration) + j * size, size * sizeof *vector);
    } else if (layer->matrix.pairs > 0) {
        amun__matrix_vector(&layer->matrix, j, vector);
    } else { /* one pixel of one channel */
        memset(vector, 0, size * sizeof *vector);
        vector[(size_t)layer->order[j / plane] * plane + j % plane] = 1;
    }
    return AMUN_OK;
}
