/* edit_svd.c - class forgetting by singular values (Kodge, Saha, Roy, arXiv 2312.00761): what the
 * inputs of a layer have in D_F and not in D_R is projected out of its weights.
 *
 * Per convolution and linear layer, with the input patches of seeded, balanced samples of D_R and
 * of D_F as columns of A: A A^T = U diag(sigma^2) U^T, rho_i = sigma_i^2 / sum sigma^2,
 *     lambda_i = alpha rho_i / ((alpha - 1) rho_i + 1),  P = U diag(lambda) U^T,
 *     W <- W (I - P_f (I - P_r))^T.
 * All layers see the inputs that the old weights make. Biases and batch norm stay. */
#include "core/linalg.h"
#include "nn/graph.h"
#include "nn/prefix.h"
#include "unlearn/unlearn.h"

enum { SVD_BATCH = 64 };

typedef struct side {
    int64_t *samples;
    size_t count;
} side;

/* One layer, and one pass over its inputs. */
typedef struct layer {
    const amun__node *node, *input;
    size_t groups, rows, d; /* weights: [groups][rows][d] */
    size_t per_image;       /* patches */
    size_t taken;           /* of them, at most */
    amun_model *prefix;
    amun__plan *plan;
    size_t batch, values;        /* of the input, per image */
    float *images, *inputs;      /* [batch][...] */
    double *patches;             /* [taken * batch][d], one group */
    int64_t *positions;          /* [per_image] */
    double *gram[2], *vectors;   /* [groups][d][d] of D_R and of D_F; [d][d] */
    double *lambdas, *old, *cut; /* [d]; [rows][d] each */
} layer;

double amun__svd_lambda(double rho, double alpha)
{
    return alpha > 0.0 ? alpha * rho / ((alpha - 1.0) * rho + 1.0) : 0.0;
}

/* ---- patches -------------------------------------------------------------------------------- */

static void fill_patch(const layer *l, const float *image, size_t group, int64_t position,
                       double *patch)
{
    const amun__node *n = l->node, *in = l->input;
    if (n->kind == AMUN__NODE_LINEAR) {
        for (size_t i = 0; i < l->d; i++) {
            patch[i] = (double)image[i];
        }
        return;
    }
    int64_t top = position / n->width * n->stride[0] - n->pad[0];
    int64_t left = position % n->width * n->stride[1] - n->pad[1];
    int64_t channels = in->channels / n->groups;
    for (int64_t c = (int64_t)group * channels; c < ((int64_t)group + 1) * channels; c++) {
        const float *plane = image + c * in->height * in->width;
        for (int64_t i = 0; i < n->kernel[0]; i++) {
            int64_t y = amun__padding_index(n->padding, top + i * n->dilation[0], in->height);
            for (int64_t j = 0; j < n->kernel[1]; j++) {
                int64_t x = amun__padding_index(n->padding, left + j * n->dilation[1], in->width);
                *patch++ = y < 0 || x < 0 ? 0.0 : (double)plane[y * in->width + x];
            }
        }
    }
}

/* Positions of one image: all, or a choice that the seed, the layer and the sample make. */
static void choose_positions(const layer *l, const amun__unlearn_request *q, int64_t sample)
{
    for (size_t i = 0; i < l->per_image; i++) {
        l->positions[i] = (int64_t)i;
    }
    if (l->taken < l->per_image) {
        amun__rng rng;
        amun__rng_open(&rng, q->options.seed, AMUN__RNG_UNLEARN, (uint32_t)l->node->weight,
                       (uint64_t)sample + 1);
        amun__rng_shuffle(&rng, l->positions, l->per_image);
    }
}

/* Adds the patches of `n` images, whose inputs are there, to the Gram matrices of one side. */
static amun_status add_patches(layer *l, const amun__unlearn_request *q, const int64_t *samples,
                               size_t n, double *gram)
{
    const int64_t d = (int64_t)l->d, count = (int64_t)(n * l->taken);
    for (size_t g = 0; g < l->groups; g++) {
        double *patch = l->patches;
        for (size_t i = 0; i < n; i++) {
            choose_positions(l, q, samples[i]);
            for (size_t k = 0; k < l->taken; k++, patch += l->d) {
                fill_patch(l, l->inputs + i * l->values, g, l->positions[k], patch);
            }
        }
        AMUN__CHECK(amun__gemm_f64(true, false, d, d, count, 1.0, l->patches, l->patches, 1.0,
                                   gram + g * l->d * l->d));
    }
    return AMUN_OK;
}

static amun_status add_side(layer *l, const amun__unlearn_request *q, const side *from,
                            double *gram)
{
    amun__dataset_info info;
    amun__dataset_info_get(q->train, &info);
    for (size_t first = 0; first < from->count; first += l->batch) {
        size_t left = from->count - first, n = left < l->batch ? left : l->batch;
        for (size_t i = 0; i < n; i++) {
            amun__dataset_fetch(q->train, (size_t)from->samples[first + i],
                                l->images + i * info.pixels);
        }
        AMUN__CHECK(amun__plan_forward(l->plan, l->images, l->inputs));
        AMUN__CHECK(add_patches(l, q, from->samples + first, n, gram));
    }
    return AMUN_OK;
}

/* ---- one layer ------------------------------------------------------------------------------ */

/* The Gram matrix becomes the projection. */
static amun_status project(layer *l, amun_context *ctx, double *gram, double alpha)
{
    const int64_t d = (int64_t)l->d;
    double sum = 0.0;
    AMUN__CHECK(amun__eigh_f64(ctx, d, gram, l->lambdas, l->vectors));
    for (size_t i = 0; i < l->d; i++) {
        l->lambdas[i] = fmax(l->lambdas[i], 0.0); /* rounding */
        sum += l->lambdas[i];
    }
    for (size_t i = 0; i < l->d; i++) {
        double rho = sum > 0.0 ? l->lambdas[i] / sum : 0.0;
        double factor = sqrt(amun__svd_lambda(rho, alpha));
        for (size_t k = 0; k < l->d; k++) {
            l->vectors[i * l->d + k] *= factor;
        }
    }
    return amun__gemm_f64(true, false, d, d, d, 1.0, l->vectors, l->vectors, 0.0, gram);
}

/* One group: W - W (I - P_r) P_f, the same as above, for both projections are symmetric. */
static amun_status update_group(layer *l, const amun__unlearn_request *q, size_t group,
                                float *weights)
{
    const int64_t d = (int64_t)l->d, rows = (int64_t)l->rows;
    double *retain = l->gram[0] + group * l->d * l->d, *forget = l->gram[1] + group * l->d * l->d;
    AMUN__CHECK(project(l, q->ctx, retain, q->rival.svd_retain_alpha));
    AMUN__CHECK(project(l, q->ctx, forget, q->rival.svd_forget_alpha));
    for (size_t i = 0; i < l->rows * l->d; i++) {
        l->old[i] = l->cut[i] = (double)weights[i];
    }
    AMUN__CHECK(amun__gemm_f64(false, false, rows, d, d, -1.0, l->old, retain, 1.0, l->cut));
    AMUN__CHECK(amun__gemm_f64(false, false, rows, d, d, -1.0, l->cut, forget, 1.0, l->old));
    for (size_t i = 0; i < l->rows * l->d; i++) {
        weights[i] = (float)l->old[i];
    }
    return AMUN_OK;
}

static void close_layer(layer *l, amun_context *ctx)
{
    if (l->plan != NULL) {
        amun__model_release(l->prefix, l->plan);
    }
    amun_model_unref(l->prefix);
    void *const memory[] = {l->images,  l->inputs,  l->patches, l->positions, l->gram[0],
                            l->gram[1], l->vectors, l->lambdas, l->old,       l->cut};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) {
        amun__free(ctx, memory[i]);
    }
}

static amun_status measure_layer(layer *l, const amun__unlearn_request *q, const side *largest)
{
    const amun__param *weight = &amun__model_graph(q->model)->params[l->node->weight];
    l->groups = l->node->kind == AMUN__NODE_CONV2D ? (size_t)l->node->groups : 1;
    l->rows = (size_t)weight->shape[0] / l->groups;
    l->d = weight->count / (size_t)weight->shape[0];
    l->values = (size_t)(l->input->channels * l->input->height * l->input->width);
    l->per_image = (size_t)(l->node->height * l->node->width);
    size_t taken = (size_t)q->rival.svd_patches / largest->count;
    l->taken = taken < 1 ? 1 : taken < l->per_image ? taken : l->per_image;
    l->batch = largest->count < SVD_BATCH ? largest->count : SVD_BATCH;
    size_t square = 0;
    if (!amun__mul_size(&square, l->d, l->d) || !amun__mul_size(&square, square, l->groups)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "svd: %zu inputs of a layer are too many",
                          l->d);
    }
    return AMUN_OK;
}

static amun_status open_layer(layer *l, const amun__unlearn_request *q, const side *largest)
{
    amun__dataset_info info;
    amun__dataset_info_get(q->train, &info);
    AMUN__CHECK(measure_layer(l, q, largest));
    size_t square = l->d * l->d;
    AMUN__CHECK(amun__prefix_create(&l->prefix, q->model, l->node->inputs[0]));
    AMUN__CHECK(amun__model_lease(l->prefix, (int64_t)l->batch, AMUN__MODE_INFER, &l->plan));
    AMUN__CHECK(amun__calloc(q->ctx, &l->images, l->batch * info.pixels, sizeof *l->images));
    AMUN__CHECK(amun__alloc(q->ctx, &l->inputs, l->batch * l->values, sizeof *l->inputs));
    AMUN__CHECK(amun__alloc(q->ctx, &l->patches, l->batch * l->taken * l->d, sizeof *l->patches));
    AMUN__CHECK(amun__alloc(q->ctx, &l->positions, l->per_image, sizeof *l->positions));
    AMUN__CHECK(amun__calloc(q->ctx, &l->gram[0], l->groups * square, sizeof *l->gram[0]));
    AMUN__CHECK(amun__calloc(q->ctx, &l->gram[1], l->groups * square, sizeof *l->gram[1]));
    AMUN__CHECK(amun__alloc(q->ctx, &l->vectors, square, sizeof *l->vectors));
    AMUN__CHECK(amun__alloc(q->ctx, &l->lambdas, l->d, sizeof *l->lambdas));
    AMUN__CHECK(amun__alloc(q->ctx, &l->old, l->rows * l->d, sizeof *l->old));
    return amun__alloc(q->ctx, &l->cut, l->rows * l->d, sizeof *l->cut);
}

static amun_status edit_layer(const amun__unlearn_request *q, const side sides[2],
                              const amun__node *node, float *weights)
{
    const amun_graph *graph = amun__model_graph(q->model);
    layer l = {.node = node, .input = &graph->nodes[node->inputs[0]]};
    amun_status status = open_layer(&l, q, sides[0].count > sides[1].count ? &sides[0] : &sides[1]);
    for (int s = 0; s < 2 && status == AMUN_OK; s++) {
        status = add_side(&l, q, &sides[s], l.gram[s]);
    }
    for (size_t g = 0; g < l.groups && status == AMUN_OK; g++) {
        status = update_group(&l, q, g, weights + g * l.rows * l.d);
    }
    close_layer(&l, q->ctx);
    return status;
}

/* ---- all layers ----------------------------------------------------------------------------- */

static bool has_weights(const amun__node *node)
{
    return node->kind == AMUN__NODE_CONV2D || node->kind == AMUN__NODE_LINEAR;
}

/* New weights of all layers into `updated`; the model keeps the old ones. */
static amun_status edit_all(const amun__unlearn_request *q, const side sides[2],
                            amun__progress_state *progress, float *updated)
{
    const amun_graph *graph = amun__model_graph(q->model);
    uint64_t layers = 0, done = 0;
    for (int32_t i = 0; i < graph->node_count; i++) {
        layers += has_weights(&graph->nodes[i]);
    }
    for (int32_t i = 0; i < graph->node_count; i++) {
        const amun__node *node = &graph->nodes[i];
        if (has_weights(node)) {
            AMUN__CHECK(edit_layer(q, sides, node, updated + graph->params[node->weight].offset));
            AMUN__CHECK(amun__progress_tick(progress, "layers", ++done, layers, NAN, NAN));
        }
    }
    return AMUN_OK;
}

static amun_status run(amun__unlearn_request *request, amun__progress_state *progress,
                       amun__unlearn_counts *counts, amun_train_result *trained)
{
    (void)trained;
    const size_t most = (size_t)request->rival.svd_samples;
    side sides[2] = {{0}};
    amun__model_values v;
    float *updated = NULL;
    amun__model_values_get(request->model, &v);
    AMUN__CHECK(amun__unlearn_balanced(request, request->remain, request->remain_count, 0, most,
                                       most, &sides[0].samples, &sides[0].count));
    AMUN__CHECK(amun__unlearn_balanced(request, request->forget, request->forget_count, 0, most,
                                       most, &sides[1].samples, &sides[1].count));
    AMUN__CHECK(amun__unlearn_alloc(request, &updated, v.trainable, sizeof *updated));
    memcpy(updated, v.values, v.trainable * sizeof *updated);
    amun__threads threads;
    AMUN__CHECK(amun__threads_begin(request->ctx, &threads));
    amun_status status = edit_all(request, sides, progress, updated);
    amun__threads_end(&threads);
    AMUN__CHECK(status);
    memcpy(v.values, updated, v.trainable * sizeof *updated);
    amun__model_touch(request->model);
    counts->remain = sides[0].count;
    counts->forget = sides[1].count;
    return AMUN_OK;
}

const amun__unlearn_method amun__method_svd = {
    .name = "svd",
    .needs_remain = 1,
    .run = run,
};
