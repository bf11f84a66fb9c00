/* model_values.c - a model's values: access by name, running statistics, files. */
#include "io/io.h"
#include "nn/model_private.h"
#include "nn/weights.h"

/* ---- values --------------------------------------------------------------------------------- */

void amun__model_values_get(const amun_model *model, amun__model_values *out)
{
    out->values = model->params.values;
    out->tracked = model->params.tracked;
    out->trainable = model->graph->trainable;
    out->total = model->graph->total;
    out->tracked_count = (size_t)model->graph->tracked_count;
}

void amun__model_touch(amun_model *model)
{
    model->params.version++;
}

enum { NARROW = 1024 }; /* channels of most batch norms at most */

/* Room for the statistics of the widest batch norm, kept: training allocates nothing per step. */
static amun_status open_wide(amun_model *model)
{
    const amun_graph *graph = model->graph;
    size_t most = 0;
    for (int32_t i = 0; i < graph->node_count && model->wide == NULL; i++) {
        const amun__node *node = &graph->nodes[i];
        if (node->kind == AMUN__NODE_BATCHNORM && (size_t)node->channels > most) {
            most = (size_t)node->channels;
        }
    }
    return most > NARROW ? amun__alloc(model->object.ctx, &model->wide, 2 * most, sizeof(float))
                         : AMUN_OK;
}

/* running = (1 - momentum) * running + momentum * batch, with the unbiased variance, as PyTorch. */
amun_status amun__model_update_statistics(amun_model *model, amun__plan *plan)
{
    const amun_graph *graph = model->graph;
    AMUN__CHECK(open_wide(model));
    for (int32_t i = 0; i < graph->node_count; i++) {
        const amun__node *node = &graph->nodes[i];
        if (node->kind != AMUN__NODE_BATCHNORM) {
            continue;
        }
        float mean[NARROW], variance[NARROW];
        size_t channels = (size_t)node->channels;
        float *m = channels > NARROW ? model->wide : mean;
        float *v = channels > NARROW ? model->wide + channels : variance;
        AMUN__CHECK(plan->backend->statistics(plan, i, m, v));
        double count = (double)(plan->batch * node->height * node->width);
        double unbias = count > 1 ? count / (count - 1) : 1;
        float *running_mean = model->params.values + graph->params[node->running_mean].offset;
        float *running_var = model->params.values + graph->params[node->running_var].offset;
        for (size_t c = 0; c < channels; c++) {
            running_mean[c] =
                (float)((1 - node->momentum) * running_mean[c] + node->momentum * m[c]);
            running_var[c] =
                (float)((1 - node->momentum) * running_var[c] + node->momentum * v[c] * unbias);
        }
        model->params.tracked[node->tracked]++;
    }
    amun__model_touch(model);
    return AMUN_OK;
}

amun_context *amun__model_context(const amun_model *model)
{
    return model->object.ctx;
}

const amun_graph *amun__model_graph(const amun_model *model)
{
    return model->graph;
}

amun_status amun__model_input(const amun_model *model, int64_t *channels, int64_t *height,
                              int64_t *width, int64_t *classes)
{
    *channels = model->shape.channels;
    *height = model->shape.height;
    *width = model->shape.width;
    *classes = model->shape.classes;
    return AMUN_OK;
}

bool amun__model_normalise(const amun_model *model, const double **mean, const double **std)
{
    const amun_graph *graph = model->graph;
    const amun__node *first = NULL;
    for (int32_t i = 1; i < graph->node_count; i++) {
        const amun__node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->input_count; k++) {
            if (node->inputs[k] == 0 && first != NULL) {
                return false; /* somebody else sees the raw pixels */
            }
            first = node->inputs[k] == 0 ? node : first;
        }
    }
    if (first == NULL || first->kind != AMUN__NODE_NORMALISE) {
        return false;
    }
    *mean = first->mean;
    *std = first->std;
    return true;
}

amun_status amun_model_reset(amun_model *model, uint64_t seed)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__model_begin_write(model));
    amun__params_init(&model->params, seed);
    amun__model_end_write(model);
    return AMUN_OK;
}

const char *amun_model_arch(const amun_model *model)
{
    return model != NULL ? model->arch : "";
}

int64_t amun_model_classes(const amun_model *model)
{
    return model != NULL ? model->shape.classes : 0;
}

amun_status amun_model_shape(const amun_model *model, int64_t shape[3])
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    if (shape == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "shape is NULL");
    }
    shape[0] = model->shape.channels;
    shape[1] = model->shape.height;
    shape[2] = model->shape.width;
    return AMUN_OK;
}

size_t amun_model_parameters(const amun_model *model)
{
    return model != NULL ? model->graph->trainable : 0;
}

static amun_status find_tensor(const amun_model *model, const char *name, const void *values,
                               size_t count, const amun__param **out)
{
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    if (name == NULL || values == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s is NULL",
                          name == NULL ? "name" : "values");
    }
    for (int32_t i = 0; i < model->graph->param_count; i++) {
        const amun__param *param = &model->graph->params[i];
        if (strcmp(param->name, name) != 0) {
            continue;
        }
        if (param->count != count) {
            return amun__fail(AMUN_ERROR_SHAPE, "%s has %zu values, %zu were given", name,
                              param->count, count);
        }
        *out = param;
        return AMUN_OK;
    }
    return amun__fail(AMUN_ERROR_NOT_FOUND, "the model has no tensor '%s'", name);
}

amun_status amun_model_get_tensor(const amun_model *model, const char *name, float *values,
                                  size_t count)
{
    const amun__param *param = NULL;
    amun__enter();
    AMUN__CHECK(find_tensor(model, name, values, count, &param));
    AMUN__CHECK(amun__model_begin_read(model));
    memcpy(values, model->params.values + param->offset, count * sizeof(float));
    amun__model_end_read(model);
    return AMUN_OK;
}

amun_status amun_model_set_tensor(amun_model *model, const char *name, const float *values,
                                  size_t count)
{
    const amun__param *param = NULL;
    amun__enter();
    AMUN__CHECK(find_tensor(model, name, values, count, &param));
    bool variance =
        model->graph->nodes[param->node].running_var == (int32_t)(param - model->graph->params);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]) || (variance && values[i] < 0.0f)) {
            return amun__fail(AMUN_ERROR_NUMERIC, "%s: value %zu is %g", name, i,
                              (double)values[i]);
        }
    }
    AMUN__CHECK(amun__model_begin_write(model));
    memcpy(model->params.values + param->offset, values, count * sizeof(float));
    amun__model_touch(model);
    amun__model_end_write(model);
    return AMUN_OK;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* What the reader of weights says, it says of tensors: which file they are in comes in front. */
static amun_status name_file(amun_status status, const char *path)
{
    return status == AMUN_OK ? AMUN_OK : amun__fail_within(status, "%s", path);
}

amun_status amun_model_load(amun_model **model, amun_context *ctx, const char *path)
{
    amun__enter();
    AMUN__CHECK(amun__model_check_out(model, ctx));
    amun__safetensors *file = NULL;
    const char *arch = NULL;
    amun_model_options shape, full;
    amun_model *made = NULL;
    amun_status status;
    AMUN__TRY(amun__safetensors_open(&file, ctx, path));
    AMUN__TRY(name_file(amun__weights_describe(file, &arch, &shape), path));
    if (strcmp(arch, AMUN__MODEL_CUSTOM) == 0) {
        AMUN__FAIL(AMUN_ERROR_UNSUPPORTED,
                   "%s: holds the weights of a graph of your own: build the graph, then read them "
                   "with amun_model_load_weights",
                   path);
    }
    AMUN__TRY(name_file(amun__options_read(&amun__model_options_table, &full, &shape), path));
    AMUN__TRY(name_file(amun__model_create_named(&made, ctx, arch, &full), path));
    AMUN__TRY(name_file(amun__weights_read(&made->params, file, true), path));
    *model = made;
    made = NULL;
fail:
    amun__object_unref(made);
    amun__safetensors_close(file);
    return status;
}

/* A file that names its architecture also says how that saw its images: weights of scaled images
 * would fit a model without the node, and predict nonsense. Graphs of the user's own have nodes
 * that no file describes. */
static amun_status check_normalisation(const amun_model *model, const amun__safetensors *file)
{
    const char *arch = amun__safetensors_meta(file, "amun.arch");
    if (arch == NULL || strcmp(arch, AMUN__MODEL_CUSTOM) == 0 ||
        strcmp(model->arch, AMUN__MODEL_CUSTOM) == 0 ||
        amun__safetensors_meta(file, "amun.model") == NULL ||
        amun__safetensors_meta(file, "amun.format") == NULL) {
        return AMUN_OK;
    }
    amun_model_options theirs;
    const amun_model_options *ours = &model->shape;
    AMUN__CHECK(amun__weights_describe(file, &arch, &theirs));
    if (theirs.mean != ours->mean || theirs.std != ours->std) {
        return amun__fail(
            AMUN_ERROR_FORMAT,
            "these are weights for images with mean %g and std %g, the model has mean "
            "%g and std %g (std 0: images as they are)",
            theirs.mean, theirs.std, ours->mean, ours->std);
    }
    return AMUN_OK;
}

amun_status amun_model_load_weights(amun_model *model, const char *path)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    amun__safetensors *file = NULL;
    AMUN__CHECK(amun__safetensors_open(&file, model->object.ctx, path));
    amun_status status = amun__model_begin_write(model);
    if (status == AMUN_OK) {
        status = check_normalisation(model, file);
        if (status == AMUN_OK) {
            status = amun__weights_read(&model->params, file, true);
        }
        status = name_file(status, path);
        amun__model_end_write(model);
    }
    amun__safetensors_close(file);
    return status;
}

amun_status amun_model_save(const amun_model *model, const char *path)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    if (path == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "path is NULL");
    }
    AMUN__CHECK(amun__model_begin_read(model));
    amun_status status = amun__weights_save(model->object.ctx, &model->params, model->arch,
                                            &model->shape, path, NULL, 0, NULL);
    amun__model_end_read(model);
    return status;
}
