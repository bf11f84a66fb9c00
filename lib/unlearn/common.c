/* common.c - what several methods need of a model or of the sizes of D_F and D_R. */
#include "nn/graph.h"
#include "unlearn/unlearn.h"

amun_status amun__unlearn_draw_fresh(amun__snapshot *fresh, const amun_model *model, uint64_t seed)
{
    AMUN__CHECK(amun__snapshot_take(fresh, model)); /* of the right size */
    amun__params params = {
        .graph = amun__model_graph(model), .values = fresh->values, .tracked = fresh->tracked};
    amun__params_init(&params, seed);
    return AMUN_OK;
}

amun_status amun__unlearn_accuracy(const amun__unlearn_request *request, const int64_t *indices,
                                   size_t count, double *accuracy)
{
    size_t classes = (size_t)amun_model_classes(request->model), rows = 0, right = 0;
    float *logits = NULL;
    if (!amun__mul_size(&rows, count, classes)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "logits of %zu samples are too many", count);
    }
    AMUN__CHECK(amun__alloc(request->ctx, &logits, rows, sizeof *logits));
    amun_status status =
        amun__eval_logits(request->model, request->train, indices, count, logits, NULL, "evaluate");
    for (size_t i = 0; status == AMUN_OK && i < count; i++) {
        right += amun__loss_argmax(logits + i * classes, classes) ==
                 amun__dataset_label(request->train, (size_t)indices[i]);
    }
    *accuracy = 100.0 * (double)right / (double)count;
    amun__free(request->ctx, logits);
    return status;
}

int32_t amun__unlearn_repeats(const amun__unlearn_request *request)
{
    size_t times = (request->remain_count + request->forget_count / 2) / request->forget_count;
    times = times < 1 ? 1 : times;
    return times > AMUN__PART_MAX_REPEAT ? AMUN__PART_MAX_REPEAT : (int32_t)times;
}
