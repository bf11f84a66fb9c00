/* unlearn_dump.c - one unlearning call on a small data set, for comparison with another framework.
 * Test only.
 *
 *   unlearn_dump KEY VALUE ...
 *     arch NAME, classes N, channels N, height N, width N, seed N
 *     initial FILE     write new weights of the seed, and stop where there are no images
 *     weights FILE     read them
 *     images FILE.npy  float32 [n, C, H, W];  labels FILE.npy  int64 [n]
 *     method N         of amun_unlearn_method;  forget CLASS: all of its samples
 *     epochs N, lr X, decay X  of training, all samples of a phase in one batch, none augmented
 *     any field of amun_rival_options that is listed below
 *     drawn FILE       text: the labels of D_F that the method would train on, one line per epoch
 *     out FILE         the weights afterwards
 */
#include <stdio.h>
#include <stdlib.h>

#include "unlearn/unlearn.h"

typedef struct run {
    int argc;
    char **argv;
    amun_context *ctx;
    amun_model *model;
    amun_dataset *data;
    int64_t *forget;
    size_t forget_count;
    amun_train_options train;
    amun_rival_options rival;
    amun_unlearn_options options;
} run;

static const char *text_of(const run *r, const char *key, const char *otherwise)
{
    for (int i = 1; i + 1 < r->argc; i += 2) {
        if (strcmp(r->argv[i], key) == 0) {
            return r->argv[i + 1];
        }
    }
    return otherwise;
}

static double number_of(const run *r, const char *key, double otherwise)
{
    const char *text = text_of(r, key, NULL);
    return text != NULL ? strtod(text, NULL) : otherwise;
}

static amun_status open_model(run *r)
{
    amun_model_options opts;
    AMUN__CHECK(amun_context_create(&r->ctx, NULL));
    AMUN__CHECK(amun_model_options_init(&opts, sizeof opts));
    opts.classes = (int64_t)number_of(r, "classes", 10);
    opts.channels = (int64_t)number_of(r, "channels", 3);
    opts.height = (int64_t)number_of(r, "height", 32);
    opts.width = (int64_t)number_of(r, "width", 32);
    opts.seed = (uint64_t)number_of(r, "seed", 0);
    AMUN__CHECK(amun_model_create(&r->model, r->ctx, text_of(r, "arch", "resnet8"), &opts));
    if (text_of(r, "initial", NULL) != NULL) {
        AMUN__CHECK(amun_model_save(r->model, text_of(r, "initial", NULL)));
    }
    const char *weights = text_of(r, "weights", NULL);
    return weights != NULL ? amun_model_load_weights(r->model, weights) : AMUN_OK;
}

static amun_status open_data(run *r)
{
    AMUN__CHECK(amun_dataset_open_npy(&r->data, r->ctx, text_of(r, "images", ""),
                                      text_of(r, "labels", "")));
    size_t count = amun_dataset_count(r->data);
    AMUN__CHECK(amun__calloc(r->ctx, &r->forget, count, sizeof *r->forget));
    int32_t gone = (int32_t)number_of(r, "forget", 0);
    for (size_t i = 0; i < count; i++) {
        if (amun__dataset_label(r->data, i) == gone) {
            r->forget[r->forget_count++] = (int64_t)i;
        }
    }
    return AMUN_OK;
}

static amun_status read_options(run *r)
{
    AMUN__CHECK(amun_unlearn_options_init(&r->options, sizeof r->options));
    AMUN__CHECK(amun_rival_options_init(&r->rival, sizeof r->rival));
    r->options.method = (amun_unlearn_method)number_of(r, "method", 4);
    AMUN__CHECK(amun_unlearn_train_options_init(&r->train, sizeof r->train, r->options.method));
    r->train.epochs = (int32_t)number_of(r, "epochs", 2);
    r->train.lr = number_of(r, "lr", 0.01);
    r->train.weight_decay = number_of(r, "decay", r->train.weight_decay);
    r->train.batch = 4096;
    r->train.augment_pad = r->train.augment_flip = 0;
    r->options.seed = (uint64_t)number_of(r, "seed", 0);
    amun_rival_options *o = &r->rival;
    o->retain_weight = number_of(r, "retain_weight", o->retain_weight);
    o->l1 = number_of(r, "l1", o->l1);
    o->ascent_norm = number_of(r, "ascent_norm", o->ascent_norm);
    o->scrub_temperature = number_of(r, "scrub_temperature", o->scrub_temperature);
    o->scrub_gamma = number_of(r, "scrub_gamma", o->scrub_gamma);
    o->scrub_alpha = number_of(r, "scrub_alpha", o->scrub_alpha);
    o->scrub_ascent_epochs = (int32_t)number_of(r, "scrub_ascent_epochs", 1);
    o->ssd_alpha = number_of(r, "ssd_alpha", o->ssd_alpha);
    o->ssd_lambda = number_of(r, "ssd_lambda", o->ssd_lambda);
    o->svd_patches = (int32_t)number_of(r, "svd_patches", o->svd_patches);
    o->teacher_share = number_of(r, "teacher_share", o->teacher_share);
    o->teacher_temperature = number_of(r, "teacher_temperature", o->teacher_temperature);
    o->last_blocks = (int32_t)number_of(r, "last_blocks", o->last_blocks);
    r->options.train = &r->train;
    r->options.rival = &r->rival;
    return AMUN_OK;
}

/* Labels of negative weight or not: those of the samples of D_F, in the order of the parts. */
static amun_status write_epoch(amun__loader *loader, uint32_t epoch, const amun__recipe *recipe,
                               FILE *file)
{
    const amun__batch *batch = NULL;
    const amun__mix *mix = &recipe->mix;
    size_t first = 0, of_forget = mix->parts[mix->part_count - 1].count;
    size_t total = amun__mix_count(mix);
    AMUN__CHECK(amun__loader_begin(loader, epoch));
    AMUN__CHECK(amun__loader_next(loader, &batch));
    while (batch != NULL) {
        for (size_t i = 0; i < batch->count; i++, first++) {
            if (first >= total - of_forget) { /* the last part */
                (void)fprintf(file, "%d ", (int)batch->labels[i]);
            }
        }
        AMUN__CHECK(amun__loader_next(loader, &batch));
    }
    (void)fprintf(file, "\n");
    return AMUN_OK;
}

static amun_status write_drawn(run *r)
{
    amun__unlearn_request request;
    amun__recipe recipe;
    amun__unlearn_counts counts;
    amun__loader *loader = NULL;
    FILE *file = fopen(text_of(r, "drawn", ""), "w");
    const amun__unlearn_method *method = amun__unlearn_method_find(r->options.method);
    amun_status status = amun__unlearn_request_open(&request, r->model, r->data, r->forget,
                                                    r->forget_count, NULL, &r->options);
    AMUN__TRY(status);
    AMUN__TRY(file == NULL ? AMUN_ERROR_IO : AMUN_OK);
    AMUN__TRY(amun__unlearn_recipe(method, &request, NULL, &recipe, &counts));
    recipe.mix.shuffle = 0;
    AMUN__TRY(amun__loader_open(&loader, r->ctx, &recipe.mix, 4096, r->train.seed));
    for (int32_t epoch = 0; epoch < r->train.epochs; epoch++) {
        AMUN__TRY(write_epoch(loader, (uint32_t)epoch, &recipe, file));
    }
fail:
    amun__loader_close(loader);
    amun__unlearn_request_close(&request);
    if (file != NULL && fclose(file) != 0) {
        status = AMUN_ERROR_IO;
    }
    return status;
}

static amun_status run_all(run *r)
{
    AMUN__CHECK(open_model(r));
    if (text_of(r, "images", NULL) == NULL) {
        return AMUN_OK;
    }
    AMUN__CHECK(open_data(r));
    AMUN__CHECK(read_options(r));
    if (text_of(r, "drawn", NULL) != NULL) {
        AMUN__CHECK(write_drawn(r));
    }
    AMUN__CHECK(amun_unlearn_run(NULL, r->model, r->data, r->forget, r->forget_count, NULL,
                                 &r->options, NULL));
    return amun_model_save(r->model, text_of(r, "out", "unlearn_dump.safetensors"));
}

int main(int argc, char **argv)
{
    run r = {.argc = argc, .argv = argv};
    amun_status status = run_all(&r);
    if (status != AMUN_OK) {
        (void)fprintf(stderr, "unlearn_dump: %s: %s\n", amun_status_string(status),
                      amun_last_error_message());
    }
    if (r.ctx != NULL) {
        amun__free(r.ctx, r.forget);
    }
    amun_dataset_unref(r.data);
    amun_model_unref(r.model);
    amun_context_unref(r.ctx);
    return status == AMUN_OK ? 0 : 2;
}
