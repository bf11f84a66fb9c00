/* samples.c - seeded choices among the samples of a request. */
#include "unlearn/unlearn.h"

amun_status amun__unlearn_shuffled(amun__unlearn_request *request, const int64_t *indices,
                                   size_t count, uint32_t stream, int64_t **out)
{
    AMUN__CHECK(amun__unlearn_alloc(request, out, count, sizeof **out));
    memcpy(*out, indices, count * sizeof **out);
    amun__rng rng;
    amun__rng_open(&rng, request->options.seed, AMUN__RNG_UNLEARN, stream, 0);
    amun__rng_shuffle(&rng, *out, count);
    return AMUN_OK;
}

/* rank[i]: how many before i have the class of i; below[r]: how many samples have the rank r. */
static void rank_samples(const amun__unlearn_request *q, const int64_t *order, size_t count,
                         size_t *rank, size_t *of_class, size_t *below)
{
    for (size_t i = 0; i < count; i++) {
        int32_t label = amun__dataset_label(q->train, (size_t)order[i]);
        rank[i] = of_class[label]++;
        below[rank[i]]++;
    }
}

amun_status amun__unlearn_balanced(amun__unlearn_request *request, const int64_t *indices,
                                   size_t count, uint32_t stream, size_t per_class, size_t most,
                                   int64_t **out, size_t *picked)
{
    amun__dataset_info info;
    amun__dataset_info_get(request->train, &info);
    int64_t *order = NULL;
    size_t *rank = NULL, *of_class = NULL, *with_rank = NULL, full = 0, used = 0;
    AMUN__CHECK(amun__unlearn_shuffled(request, indices, count, stream, &order));
    AMUN__CHECK(amun__unlearn_alloc(request, &rank, count, sizeof *rank));
    AMUN__CHECK(amun__unlearn_alloc(request, &of_class, (size_t)info.classes, sizeof *of_class));
    AMUN__CHECK(amun__unlearn_alloc(request, &with_rank, count, sizeof *with_rank));
    rank_samples(request, order, count, rank, of_class, with_rank);
    size_t left = most; /* ranks below `full` are taken whole, of that rank the first `left` */
    while (full < count && full < per_class && with_rank[full] <= left) {
        left -= with_rank[full++];
    }
    left = full < per_class ? left : 0;
    for (size_t i = 0; i < count; i++) { /* in place: used <= i */
        bool last = rank[i] == full && left > 0;
        left -= last;
        if (last || rank[i] < full) {
            order[used++] = order[i];
        }
    }
    *out = order;
    *picked = used;
    return AMUN_OK;
}
