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

int32_t amun__unlearn_repeats(const amun__unlearn_request *request)
{
    size_t times = (request->remain_count + request->forget_count / 2) / request->forget_count;
    times = times < 1 ? 1 : times;
    return times > AMUN__PART_MAX_REPEAT ? AMUN__PART_MAX_REPEAT : (int32_t)times;
}
