/* mia.c - the audit's handle: pool, inclusion matrix, signals of the reference models. */
#include "data/data.h"
#include "mia/audit.h"
#include "train/train.h"

/* ---- options ------------------------------------------------------------------------------------
 */

static const amun_mia_options default_options = {
    .struct_size = sizeof(amun_mia_options),
    .references = 16,
    .subsamples = 3,
    .seed = 0,
    .rmia = NULL,
};
static const amun__field option_fields[] = {
    AMUN__FIELD(amun_mia_options, references, AMUN__FIELD_I32, 2, 4096),
    AMUN__FIELD(amun_mia_options, subsamples, AMUN__FIELD_I32, 1, 1000),
    AMUN__FIELD(amun_mia_options, seed, AMUN__FIELD_U64, 0, INFINITY),
    AMUN__FIELD(amun_mia_options, rmia, AMUN__FIELD_POINTER, 0, 0),
};
static const amun__options_table options_table = {
    .name = "amun_mia_options",
    .size = sizeof(amun_mia_options),
    .defaults = &default_options,
    .fields = option_fields,
    .field_count = sizeof option_fields / sizeof option_fields[0],
};

amun_status amun_mia_options_init(amun_mia_options *opts, size_t size)
{
    return amun__options_init(&options_table, opts, size);
}

static amun_status read_options(amun_mia_options *full, amun_rmia_options *rmia,
                                const amun_mia_options *opts)
{
    AMUN__CHECK(amun__options_read(&options_table, full, opts));
    AMUN__CHECK(amun__rmia_options_read(rmia, full->rmia));
    if (full->references % 2 != 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                          "amun_mia_options.references: %d, must be even", (int)full->references);
    }
    if (rmia->signal == AMUN_SIGNAL_LOG_LOGIT) {
        return amun__fail(
            AMUN_ERROR_INVALID_ARGUMENT,
            "amun_rmia_options.signal: log_logit is a logarithm, RMIA needs ratios of "
            "probabilities");
    }
    return AMUN_OK;
}

/* ---- creation -----------------------------------------------------------------------------------
 */

static void destroy_mia(void *self)
{
    amun_mia *mia = self;
    amun_context *ctx = mia->object.ctx;
    amun__free(ctx, mia->included);
    amun__free(ctx, mia->signals);
    amun__free(ctx, mia->ready);
    amun__free(ctx, mia->nonpositive);
    amun__free(ctx, mia->labels);
    amun_dataset_unref(mia->train);
    amun_dataset_unref(mia->test);
}

static amun_status check_pool(const amun_dataset *train, const amun_dataset *test)
{
    amun__dataset_info a, b;
    amun__dataset_info_get(train, &a);
    amun__dataset_info_get(test, &b);
    if (a.count == 0 || b.count == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: no images",
                          a.count == 0 ? "train" : "test");
    }
    if (a.classes == 0 || b.classes == 0) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: no labels",
                          a.classes == 0 ? "train" : "test");
    }
    if (a.channels != b.channels || a.height != b.height || a.width != b.width) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "train has images of %lldx%lldx%lld, test of %lldx%lldx%lld",
                          (long long)a.channels, (long long)a.height, (long long)a.width,
                          (long long)b.channels, (long long)b.height, (long long)b.width);
    }
    return AMUN_OK;
}

static amun_status fill_labels(amun_mia *mia)
{
    for (size_t i = 0; i < mia->n_pool; i++) {
        bool in_train = i < mia->n_train;
        size_t index = in_train ? i : i - mia->n_train;
        int64_t label = amun__dataset_label(in_train ? mia->train : mia->test, index);
        if (label < 0) {
            return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "%s: image %zu has label %lld",
                              in_train ? "train" : "test", index, (long long)label);
        }
        mia->labels[i] = label;
        mia->classes = label + 1 > mia->classes ? label + 1 : mia->classes;
    }
    return AMUN_OK;
}

static amun_status fill_mia(amun_mia *mia)
{
    amun_context *ctx = mia->object.ctx;
    size_t models = (size_t)mia->options.references, cells;
    if (!amun__add_size(&mia->n_pool, mia->n_train, mia->n_test) ||
        !amun__mul_size(&cells, models, mia->n_pool)) {
        return amun__fail(AMUN_ERROR_OUT_OF_MEMORY, "a pool of %zu and %zu images is too large",
                          mia->n_train, mia->n_test);
    }
    AMUN__CHECK(amun__alloc(ctx, &mia->labels, mia->n_pool, sizeof *mia->labels));
    AMUN__CHECK(fill_labels(mia));
    AMUN__CHECK(amun__calloc(ctx, &mia->ready, models, sizeof *mia->ready));
    AMUN__CHECK(amun__calloc(ctx, &mia->nonpositive, models, sizeof *mia->nonpositive));
    AMUN__CHECK(amun__alloc(ctx, &mia->included, cells, sizeof *mia->included));
    /* before the signals: it draws as many doubles, and gives them back */
    AMUN__CHECK(
        amun__rmia_inclusion(ctx, mia->included, models, mia->n_pool, (uint32_t)mia->options.seed));
    return amun__alloc(ctx, &mia->signals, cells, sizeof *mia->signals);
}

amun_status amun_mia_create(amun_mia **mia, amun_context *ctx, amun_dataset *train,
                            amun_dataset *test, const amun_mia_options *opts)
{
    amun__enter();
    if (mia == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "mia is NULL");
    }
    *mia = NULL;
    amun_status status = AMUN_OK;
    amun_mia *made = NULL;
    amun_mia_options o;
    amun_rmia_options rmia;
    AMUN__TRY(amun__object_check(ctx, AMUN__TAG_CONTEXT, "ctx"));
    AMUN__TRY(amun__object_check(train, AMUN__TAG_DATASET, "train"));
    AMUN__TRY(amun__object_check(test, AMUN__TAG_DATASET, "test"));
    AMUN__TRY(read_options(&o, &rmia, opts));
    AMUN__TRY(check_pool(train, test));
    AMUN__TRY(amun__object_create(&made, ctx, AMUN__TAG_MIA, sizeof *made, destroy_mia));
    made->train = amun_dataset_ref(train);
    made->test = amun_dataset_ref(test);
    made->n_train = amun_dataset_count(train);
    made->n_test = amun_dataset_count(test);
    made->options = o;
    made->rmia = rmia;
    made->options.rmia = &made->rmia;
    AMUN__TRY(fill_mia(made));
    *mia = made;
    return AMUN_OK;

fail:
    amun__object_unref(made);
    return status;
}

amun_mia *amun_mia_ref(amun_mia *mia)
{
    return amun__object_ref(mia);
}

void amun_mia_unref(amun_mia *mia)
{
    amun__object_unref(mia);
}

const uint8_t *amun_mia_inclusion(const amun_mia *mia)
{
    if (amun__object_check(mia, AMUN__TAG_MIA, "mia") != AMUN_OK) {
        return NULL;
    }
    return mia->included;
}

/* ---- signals of the references --------------------------------------------------------------- */

amun_status amun__mia_store(amun_mia *mia, int32_t number, const amun_tensor_view *logits,
                            amun__ready ready)
{
    amun_context *ctx = mia->object.ctx;
    amun_status status = AMUN_OK;
    double *scratch = NULL;
    double *signals = mia->signals + (size_t)number * mia->n_pool;
    size_t nonpositive = 0, n, classes;
    amun_tensor_view labels;
    mia->ready[number] = AMUN__REFERENCE_ABSENT; /* until the row is whole */
    AMUN__TRY(amun_tensor_view_init(&labels, mia->labels, AMUN_DTYPE_I64, 1,
                                    (int64_t[]){(int64_t)mia->n_pool}));
    AMUN__TRY(amun__score_views_check(logits, &labels, &n, &classes));
    AMUN__TRY(amun__alloc(ctx, &scratch, classes, sizeof *scratch));
    AMUN__TRY(amun__signal_rows(signals, &nonpositive, logits, &labels, &mia->rmia, scratch));
    mia->nonpositive[number] = (int64_t)nonpositive;
    mia->ready[number] = (uint8_t)ready;
fail:
    amun__free(ctx, scratch);
    return status == AMUN_OK ? status : amun__fail_within(status, "reference %d", (int)number);
}

amun_status amun_mia_set_reference(amun_mia *mia, int32_t number, const amun_tensor_view *logits)
{
    amun__enter();
    AMUN__CHECK(amun__object_check(mia, AMUN__TAG_MIA, "mia"));
    if (number < 0 || number >= mia->options.references) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "number: %d is outside 0..%d", (int)number,
                          (int)mia->options.references - 1);
    }
    AMUN__CHECK(amun__view_check(logits, "logits", NULL));
    return amun__mia_store(mia, number, logits, AMUN__REFERENCE_GIVEN);
}

/* ---- logits of a model on the pool ----------------------------------------------------------- */

amun_status amun__mia_check_model(const amun_mia *mia, const amun_model *model)
{
    amun__dataset_info data;
    int64_t channels, height, width, classes;
    amun__dataset_info_get(mia->train, &data);
    AMUN__CHECK(amun__model_input(model, &channels, &height, &width, &classes));
    if (channels != data.channels || height != data.height || width != data.width) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "the model takes images of %lldx%lldx%lld, the pool has %lldx%lldx%lld",
                          (long long)channels, (long long)height, (long long)width,
                          (long long)data.channels, (long long)data.height, (long long)data.width);
    }
    if (classes < mia->classes) {
        return amun__fail(AMUN_ERROR_SHAPE,
                          "the model has %lld classes, the pool labels up to %lld",
                          (long long)classes, (long long)mia->classes - 1);
    }
    return AMUN_OK;
}

amun_status amun__mia_pool_logits(amun_mia *mia, const amun_model *model, float **out,
                                  amun_tensor_view *view, amun__progress_state *progress,
                                  const char *phase)
{
    amun_context *ctx = mia->object.ctx;
    amun_status status = AMUN_OK;
    float *logits = NULL;
    size_t classes = (size_t)amun_model_classes(model);
    const int64_t shape[2] = {(int64_t)mia->n_pool, (int64_t)classes};
    size_t total;
    *out = NULL;
    if (!amun__mul_size(&total, mia->n_pool, classes)) {
        AMUN__FAIL(AMUN_ERROR_OUT_OF_MEMORY, "logits of %zu images are too large", mia->n_pool);
    }
    AMUN__TRY(amun__alloc(ctx, &logits, total, sizeof *logits));
    AMUN__TRY(amun__eval_logits(model, mia->train, NULL, mia->n_train, logits, progress, phase));
    AMUN__TRY(amun__eval_logits(model, mia->test, NULL, mia->n_test,
                                logits + mia->n_train * classes, progress, phase));
    AMUN__TRY(amun_tensor_view_init(view, logits, AMUN_DTYPE_F32, 2, shape));
    *out = logits;
    return AMUN_OK;

fail:
    amun__free(ctx, logits);
    return status;
}
