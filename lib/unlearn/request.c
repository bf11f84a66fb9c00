/* request.c - checks what a caller wants forgotten, and sorts the samples. */
#include "unlearn/unlearn.h"

/* ---- options ------------------------------------------------------------------------------- */

static const char *const method_names[] = {"retrain",
                                           "amun",
                                           "amun_advonly",
                                           "finetune",
                                           "random_label",
                                           "gradient_ascent",
                                           "neggrad_plus",
                                           "boundary_shrink",
                                           "boundary_expand",
                                           "l1_sparse",
                                           "salun",
                                           "scrub",
                                           "ssd",
                                           "svd",
                                           "bad_teacher",
                                           "unsir",
                                           "euk",
                                           "cfk",
                                           "delete",
                                           "trw"};

static const amun_unlearn_options default_options = {
    .struct_size = sizeof(amun_unlearn_options),
    .method = AMUN_UNLEARN_AMUN,
    .remain = 1,
    .train = NULL,
    .seed = 0,
    .mask_ratio = 0.0,
    .rival = NULL,
    .trw = NULL,
};
static const amun__field option_fields[] = {
    AMUN__FIELD_ENUM(amun_unlearn_options, method, AMUN_UNLEARN_RETRAIN, AMUN_UNLEARN_TRW,
                     method_names),
    AMUN__FIELD(amun_unlearn_options, remain, AMUN__FIELD_I32, 0, 1),
    AMUN__FIELD(amun_unlearn_options, train, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_unlearn_options, seed, AMUN__FIELD_U64, 0, INFINITY),
    AMUN__FIELD(amun_unlearn_options, mask_ratio, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(amun_unlearn_options, rival, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(amun_unlearn_options, trw, AMUN__FIELD_POINTER, 0, 0),
};
/* Before there was `mask_ratio`. */
static const size_t released_sizes[] = {32};
static const amun__options_table option_table = {
    .name = "amun_unlearn_options",
    .size = sizeof(amun_unlearn_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
    .released_sizes = released_sizes,
    .released_count = sizeof released_sizes / sizeof released_sizes[0],
};

amun_status amun_unlearn_options_init(amun_unlearn_options *opts, size_t size)
{
    return amun__options_init(&option_table, opts, size);
}

amun_status amun__unlearn_options_read(amun_unlearn_options *full, const amun_unlearn_options *opts)
{
    return amun__options_read(&option_table, full, opts);
}

/* The training options' table with the defaults of one method, which live in *defaults. */
static amun__options_table train_table(const amun__unlearn_method *method,
                                       amun_train_options *defaults)
{
    amun__options_table table = amun__train_options_table;
    memcpy(defaults, table.defaults, sizeof *defaults);
    if (method->set_defaults != NULL) {
        method->set_defaults(defaults);
    }
    table.defaults = defaults;
    return table;
}

amun_status amun_unlearn_train_options_init(amun_train_options *opts, size_t size,
                                            amun_unlearn_method method)
{
    amun__enter();
    const amun__unlearn_method *found = amun__unlearn_method_find(method);
    if (found == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "method: %d is outside [%d, %d]",
                          (int)method, (int)AMUN_UNLEARN_RETRAIN, (int)AMUN_UNLEARN_TRW);
    }
    amun_train_options defaults;
    amun__options_table table = train_table(found, &defaults);
    return amun__options_init(&table, opts, size);
}

amun_status amun__unlearn_train_options_read(amun_train_options *full, amun_unlearn_method method,
                                             const amun_train_options *opts)
{
    amun_train_options defaults;
    amun__options_table table = train_table(amun__unlearn_method_find(method), &defaults);
    return amun__options_read(&table, full, opts);
}

/* ---- samples ------------------------------------------------------------------------------- */

static amun_status check_train(const amun__unlearn_request *q)
{
    amun__dataset_info info;
    amun__dataset_info_get(q->train, &info);
    if (info.classes == 0) {
        return amun__fail(AMUN_ERROR_STATE, "train: the data set has no labels");
    }
    AMUN__CHECK(amun__train_check_shape(q->model, q->train, "train"));
    return amun__indices_check(q->ctx, q->forget, q->forget_count, info.count, false, "forget set");
}

static amun_status find_remain(amun__unlearn_request *q, const amun__unlearn_method *method)
{
    size_t count = amun_dataset_count(q->train);
    if (method->ignores_remain != 0) {
        q->options.remain = 0;
    }
    if (q->options.remain == 0) {
        if (method->needs_remain != 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "%s works on the remaining samples: remain is 0", method->name);
        }
        return AMUN_OK;
    }
    if (q->forget_count == count) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "forget set: all %zu samples, so that none remains%s", count,
                          method->needs_remain != 0 ? "" : " (set remain to 0)");
    }
    q->remain_count = count - q->forget_count;
    return amun__indices_complement(q->ctx, &q->remain, q->forget, q->forget_count, count);
}

/* One record: of a forget sample (`wanted`), and made from the very image and label in `train`. */
static amun_status check_record(const amun__unlearn_request *q, const amun_attack_record *record,
                                const uint8_t *wanted)
{
    int64_t index = record->index;
    if (index < 0 || (uint64_t)index >= amun_dataset_count(q->train) || wanted[index] == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "adversarial set: index %lld is not in the forget set", (long long)index);
    }
    if (wanted[index] > 1) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "adversarial set: index %lld has two records", (long long)index);
    }
    if (record->input_hash != amun__dataset_hash(q->train, (size_t)index)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "adversarial set: image %lld was another one, or had another label, when "
                          "the set was built",
                          (long long)index);
    }
    return AMUN_OK;
}

/* `state`, one byte per training sample: 1 wanted, 2 has a record, 3 has an example too. */
static amun_status match_records(amun__unlearn_request *q, uint8_t *state)
{
    const amun_attack_record *records = amun_advset_records(q->set);
    for (size_t i = 0; i < q->forget_count; i++) {
        state[q->forget[i]] = 1;
    }
    for (size_t i = 0; i < amun_advset_count(q->set); i++) {
        AMUN__CHECK(check_record(q, &records[i], state));
        state[records[i].index] = records[i].outcome == AMUN_ATTACK_FLIPPED ? 3 : 2;
    }
    for (size_t i = 0; i < q->forget_count; i++) {
        if (state[q->forget[i]] == 1) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                              "adversarial set: no record of forget index %lld",
                              (long long)q->forget[i]);
        }
        if (state[q->forget[i]] == 3) {
            q->partnered[q->partnered_count++] = q->forget[i];
        }
    }
    if (q->partnered_count == 0) {
        return amun__fail(AMUN_ERROR_NUMERIC,
                          "adversarial set: no example was found for any of the %zu forget samples",
                          q->forget_count);
    }
    return AMUN_OK;
}

static amun_status check_set(amun__unlearn_request *q, const amun__unlearn_method *method)
{
    if (method->takes_set == 0) {
        return q->set == NULL
                   ? AMUN_OK
                   : amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                                "%s takes no adversarial set: set must be NULL", method->name);
    }
    if (q->set == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s needs the adversarial set of the forget samples: set is NULL",
                          method->name);
    }
    AMUN__CHECK(amun__object_check(q->set, AMUN__TAG_ADVSET, "set"));
    uint8_t *state = NULL;
    AMUN__CHECK(amun__alloc(q->ctx, &q->partnered, q->forget_count, sizeof *q->partnered));
    AMUN__CHECK(amun__calloc(q->ctx, &state, amun_dataset_count(q->train), sizeof *state));
    amun_status status = match_records(q, state);
    amun__free(q->ctx, state);
    return status;
}

/* ---- the request --------------------------------------------------------------------------- */

struct amun__unlearn_block {
    amun__unlearn_block *next;
    void *memory;
};

amun_status amun__unlearn_alloc(amun__unlearn_request *request, void *out, size_t count,
                                size_t size)
{
    amun__unlearn_block *block = NULL;
    AMUN__CHECK(amun__calloc(request->ctx, &block, 1, sizeof *block));
    amun_status status = amun__calloc(request->ctx, &block->memory, count, size);
    if (status != AMUN_OK) {
        amun__free(request->ctx, block);
        return status;
    }
    block->next = request->blocks;
    request->blocks = block;
    memcpy(out, &block->memory, sizeof block->memory);
    return AMUN_OK;
}

static amun_status choose_mask(amun__unlearn_request *q, const amun__unlearn_method *method)
{
    q->mask_ratio = q->options.mask_ratio > 0.0 ? q->options.mask_ratio
                    : method->mask_ratio > 0.0  ? method->mask_ratio
                                                : 1.0;
    if (q->mask_ratio < 1.0 && (method->run != NULL || method->fresh != 0)) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "%s takes no mask: mask_ratio is %g, expected 0 or 1", method->name,
                          q->options.mask_ratio);
    }
    return AMUN_OK;
}

amun_status amun__unlearn_request_open(amun__unlearn_request *request, amun_model *model,
                                       const amun_dataset *train, const int64_t *forget,
                                       size_t count, const amun_advset *set,
                                       const amun_unlearn_options *opts)
{
    amun__unlearn_request *q = request;
    *q = (amun__unlearn_request){
        .model = model,
        .train = train,
        .forget = forget,
        .forget_count = count,
        .set = set,
    };
    AMUN__CHECK(amun__object_check(model, AMUN__TAG_MODEL, "model"));
    AMUN__CHECK(amun__object_check(train, AMUN__TAG_DATASET, "train"));
    q->ctx = amun__model_context(model);
    AMUN__CHECK(amun__unlearn_options_read(&q->options, opts));
    const amun__unlearn_method *method = amun__unlearn_method_find(q->options.method);
    AMUN__CHECK(
        amun__unlearn_train_options_read(&q->train_options, q->options.method, q->options.train));
    AMUN__CHECK(amun__options_read(&amun__rival_options_table, &q->rival, q->options.rival));
    AMUN__CHECK(amun__options_read(&amun__trw_options_table, &q->trw, q->options.trw));
    AMUN__CHECK(choose_mask(q, method));
    AMUN__CHECK(check_train(q));
    AMUN__CHECK(find_remain(q, method));
    return check_set(q, method);
}

void amun__unlearn_request_close(amun__unlearn_request *request)
{
    if (request->ctx != NULL) {
        amun__free(request->ctx, request->remain);
        amun__free(request->ctx, request->partnered);
        while (request->blocks != NULL) {
            amun__unlearn_block *block = request->blocks;
            request->blocks = block->next;
            amun__free(request->ctx, block->memory);
            amun__free(request->ctx, block);
        }
    }
    *request = (amun__unlearn_request){0};
}
