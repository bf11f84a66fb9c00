/* network.c - how far a whole network can stretch its input: the product bound from a spectrum, and
 * the Jacobian at given images from below. */
#include <inttypes.h>

#include "core/linalg.h"
#include "data/data.h"
#include "spectral/lipschitz.h"
#include "spectral/spectrum.h"

/* ---- from above ------------------------------------------------------------------------------ */

/* norms[node]: of each layer; 1 for a batch norm that is in another one. */
static void fill_norms(double *norms, const amun_spectrum *s, int32_t nodes, bool upper)
{
    for (int32_t i = 0; i < nodes; i++) {
        norms[i] = 1;
    }
    for (size_t i = 0; i < s->count; i++) {
        const amun__layer *layer = &s->layers[i];
        norms[layer->node] = upper ? layer->upper : amun__layer_sigma(layer, 0);
    }
}

static amun_status bound_network(amun_lipschitz *full, double *per_node, const amun_spectrum *s,
                                 double *norms)
{
    const amun_graph *graph = amun__model_graph(s->model);
    fill_norms(norms, s, graph->node_count, false);
    AMUN__CHECK(amun__lipschitz_bound(&full->estimate, NULL, graph, norms));
    if (s->options.certify != 0) {
        fill_norms(norms, s, graph->node_count, true);
        return amun__lipschitz_bound(&full->upper, per_node, graph, norms);
    }
    full->upper = INFINITY;
    for (int32_t i = 0; per_node != NULL && i < graph->node_count; i++) {
        per_node[i] = i == 0 ? 1 : (double)INFINITY;
    }
    return AMUN_OK;
}

amun_status amun_lipschitz_bound(amun_lipschitz *result, double *per_node, size_t count,
                                 const amun_spectrum *spectrum)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(spectrum, AMUN__TAG_SPECTRUM, "spectrum"));
    amun_lipschitz full = {.struct_size = sizeof full};
    const size_t nodes = (size_t)amun__model_graph(spectrum->model)->node_count;
    double *norms = NULL;
    if (per_node != NULL && count != nodes) {
        return amun__fail(AMUN_ERROR_SHAPE, "per_node: %zu values, the graph has %zu nodes", count,
                          nodes);
    }
    if (!spectrum->ran) {
        return amun__fail(AMUN_ERROR_STATE, "the spectrum has no values: no run went through");
    }
    AMUN__CHECK(amun__alloc(spectrum->object.ctx, &norms, nodes, sizeof *norms));
    amun_status status = bound_network(&full, per_node, spectrum, norms);
    amun__free(spectrum->object.ctx, norms);
    return status == AMUN_OK ? amun__result_write(result, &full, sizeof full, "result") : status;
}

/* ---- from below ------------------------------------------------------------------------------ */

/* Floats that the Jacobians of a batch may take. */
#define JACOBIAN_VALUES ((size_t)1 << 24)
enum { JACOBIAN_BATCH = 64 };

typedef struct jacobian {
    amun_context *ctx;
    const amun_dataset *data;
    const int64_t *indices; /* NULL: all */
    size_t batch, pixels, classes;
    amun__plan *plan;
    float *images, *logits, *seed, *diff; /* diff [batch][pixels] */
    float *rows;                          /* [batch][classes][pixels] */
    double *grams;                        /* [batch][classes][classes] */
    double *values;                       /* [classes] */
} jacobian;

static size_t image_at(const jacobian *j, size_t i)
{
    return j->indices != NULL ? (size_t)j->indices[i] : i;
}

static void free_jacobian(jacobian *j)
{
    void *const owned[] = {j->images, j->logits, j->seed, j->diff, j->rows, j->grams, j->values};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        amun__free(j->ctx, owned[i]);
    }
}

static amun_status allocate(jacobian *j, size_t count)
{
    size_t one, gram;
    if (!amun__mul_size(&one, j->classes, j->pixels) ||
        !amun__mul_size(&gram, j->classes, j->classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "a Jacobian of %zu by %zu is too large",
                          j->classes, j->pixels);
    }
    j->batch = 1;
    while (j->batch < count && j->batch < JACOBIAN_BATCH &&
           2 * j->batch * (one + 2 * gram) <= JACOBIAN_VALUES) {
        j->batch *= 2;
    }
    AMUN__CHECK(amun__calloc(j->ctx, &j->images, j->batch * j->pixels, sizeof *j->images));
    AMUN__CHECK(amun__alloc(j->ctx, &j->logits, j->batch * j->classes, sizeof *j->logits));
    AMUN__CHECK(amun__alloc(j->ctx, &j->seed, j->batch * j->classes, sizeof *j->seed));
    AMUN__CHECK(amun__alloc(j->ctx, &j->diff, j->batch * j->pixels, sizeof *j->diff));
    AMUN__CHECK(amun__alloc(j->ctx, &j->rows, j->batch * one, sizeof *j->rows));
    AMUN__CHECK(amun__alloc(j->ctx, &j->grams, j->batch * gram, sizeof *j->grams));
    return amun__alloc(j->ctx, &j->values, j->classes, sizeof *j->values);
}

/* The gradients of all logits at the images of the batch, class by class. */
static amun_status fill_rows(jacobian *j)
{
    for (size_t c = 0; c < j->classes; c++) {
        memset(j->seed, 0, j->batch * j->classes * sizeof *j->seed);
        for (size_t b = 0; b < j->batch; b++) {
            j->seed[b * j->classes + c] = 1;
        }
        /* a plan goes backward once per forward */
        AMUN__CHECK(amun__plan_forward(j->plan, j->images, j->logits));
        AMUN__CHECK(amun__plan_backward(j->plan, j->seed, j->diff, NULL));
        for (size_t b = 0; b < j->batch; b++) {
            memcpy(j->rows + (b * j->classes + c) * j->pixels, j->diff + b * j->pixels,
                   j->pixels * sizeof *j->rows);
        }
    }
    return AMUN_OK;
}

/* J J' of each image; each entry belongs to one thread. */
static void fill_grams(jacobian *j)
{
    const int64_t k = (int64_t)j->classes, count = (int64_t)j->batch * k * k;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < count; at++) {
        const int64_t b = at / (k * k), row = at / k % k, column = at % k;
        const float *rows = j->rows + (size_t)(b * k) * j->pixels;
        if (column >= row) {
            j->grams[at] = amun__dot_f32(rows + (size_t)row * j->pixels,
                                         rows + (size_t)column * j->pixels, j->pixels);
        }
    }
}

static amun_status top_value(jacobian *j, size_t b, size_t image, double *out)
{
    const size_t k = j->classes;
    double *gram = j->grams + b * k * k;
    for (size_t row = 0; row < k; row++) {
        for (size_t column = row; column < k; column++) {
            if (!isfinite(gram[row * k + column])) {
                return amun__fail(AMUN_ERROR_NUMERIC, "the Jacobian at image %zu is not finite",
                                  image);
            }
        }
    }
    AMUN__CHECK(amun__eigh_f64(j->ctx, (int64_t)k, gram, j->values, NULL));
    *out = sqrt(fmax(j->values[k - 1], 0));
    return AMUN_OK;
}

static amun_status run_batches(jacobian *j, size_t count, double *largest, double *per_image,
                               amun__progress_state *progress)
{
    for (size_t first = 0; first < count; first += j->batch) {
        const size_t n = count - first < j->batch ? count - first : j->batch;
        for (size_t i = 0; i < n; i++) {
            amun__dataset_fetch(j->data, image_at(j, first + i), j->images + i * j->pixels);
        }
        AMUN__CHECK(fill_rows(j));
        fill_grams(j);
        for (size_t i = 0; i < n; i++) {
            double value = NAN;
            AMUN__CHECK(top_value(j, i, image_at(j, first + i), &value));
            *largest = fmax(*largest, value);
            if (per_image != NULL) {
                per_image[first + i] = value;
            }
        }
        AMUN__CHECK(
            amun__progress_tick(progress, "jacobian", first + n, count, (double)NAN, *largest));
    }
    return AMUN_OK;
}

static amun_status run_local(const amun_model *model, jacobian *j, size_t count, double *largest,
                             double *per_image, amun__progress_state *progress)
{
    amun_status status;
    AMUN__TRY(allocate(j, count));
    AMUN__TRY(amun__model_lease(model, (int64_t)j->batch, AMUN__MODE_ATTACK, &j->plan));
    AMUN__TRY(run_batches(j, count, largest, per_image, progress));
fail:
    if (j->plan != NULL) {
        amun__model_release(model, j->plan);
    }
    free_jacobian(j);
    return status;
}

/* Fills in the shapes, and the count where it is 0. */
static amun_status check_images(jacobian *j, const amun_model *model, size_t *count)
{
    int64_t shape[4];
    amun__dataset_info info;
    AMUN__CHECK(amun__object_check(j->data, AMUN__TAG_DATASET, "data"));
    amun__dataset_info_get(j->data, &info);
    AMUN__CHECK(amun__model_input(model, &shape[0], &shape[1], &shape[2], &shape[3]));
    if (info.channels != shape[0] || info.height != shape[1] || info.width != shape[2]) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "data: images of %" PRId64 " x %" PRId64 " x %" PRId64
                          ", the model takes %" PRId64 " x %" PRId64 " x %" PRId64,
                          info.channels, info.height, info.width, shape[0], shape[1], shape[2]);
    }
    j->pixels = info.pixels;
    j->classes = (size_t)shape[3];
    if (j->indices != NULL) {
        return amun__indices_check(j->ctx, j->indices, *count, info.count, false, "indices");
    }
    if (*count != 0 && *count != info.count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "indices is NULL, but n is %zu and data has %zu images", *count,
                          info.count);
    }
    *count = info.count;
    return AMUN_OK;
}

amun_status amun_lipschitz_local(double *largest, double *per_image, const amun_model *model,
                                 const amun_dataset *data, const int64_t *indices, size_t n,
                                 const amun_call_options *call)
{
    amun__enter();
    if (largest == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "largest is NULL");
    }
    *largest = NAN;
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    amun__progress_state progress;
    AMUN__CHECK(amun__progress_begin(&progress, call));
    jacobian j = {.ctx = amun__model_context(model), .data = data, .indices = indices};
    AMUN__CHECK(check_images(&j, model, &n));
    AMUN__CHECK(amun__model_begin_read(model));
    amun__threads threads;
    double found = 0;
    amun_status status = amun__threads_begin(j.ctx, &threads);
    if (status == AMUN_OK) {
        status = run_local(model, &j, n, &found, per_image, &progress);
        amun__threads_end(&threads);
    }
    amun__model_end_read(model);
    *largest = status == AMUN_OK ? found : (double)NAN;
    return status;
}
