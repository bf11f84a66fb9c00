/* trw_dump.c - one unlearning run by TRW or DELETE on saved arrays, for comparison with another
 * framework; public calls only. Test only.
 *
 *   trw_dump KEY VALUE ...
 *     arch NAME, classes N, channels N, height N, width N, seed N
 *     initial FILE   write fresh weights, and stop where there are no images
 *     weights FILE   read them
 *     images FILE.npy  float32 [n, C, H, W];  labels FILE.npy  int64 [n]
 *     class N        to be forgotten;  method trw | delete
 *     beta X, temperature X, energy X, floor X, lambda X, kappa X, neighbours N, frozen 0 | 1
 *     lr X, momentum X, decay X, epochs N   in batches of everything, nothing augmented
 *     out FILE       weights afterwards
 */
#include <amun/amun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int words;
static char **word;

static const char *text_of(const char *key, const char *otherwise)
{
    for (int i = 1; i + 1 < words; i += 2) {
        if (strcmp(word[i], key) == 0) {
            return word[i + 1];
        }
    }
    return otherwise;
}

static double number_of(const char *key, double otherwise)
{
    const char *text = text_of(key, NULL);
    return text != NULL ? strtod(text, NULL) : otherwise;
}

static void check(amun_status status)
{
    if (status != AMUN_OK) {
        (void)fprintf(stderr, "trw_dump: %s: %s\n", amun_status_string(status),
                      amun_last_error_message());
        exit(2);
    }
}

static amun_model *open_model(amun_context *ctx)
{
    amun_model *model = NULL;
    amun_model_options opts;
    check(amun_model_options_init(&opts, sizeof opts));
    opts.classes = (int64_t)number_of("classes", 10);
    opts.channels = (int64_t)number_of("channels", 3);
    opts.height = (int64_t)number_of("height", 32);
    opts.width = (int64_t)number_of("width", 32);
    opts.seed = (uint64_t)number_of("seed", 0);
    check(amun_model_create(&model, ctx, text_of("arch", "resnet8"), &opts));
    if (text_of("weights", NULL) != NULL) {
        check(amun_model_load_weights(model, text_of("weights", NULL)));
    }
    if (text_of("initial", NULL) != NULL) {
        check(amun_model_save(model, text_of("initial", NULL)));
    }
    return model;
}

static void fill_options(amun_unlearn_options *o, amun_train_options *t, amun_trw_options *trw)
{
    check(amun_unlearn_options_init(o, sizeof *o));
    o->method =
        strcmp(text_of("method", "trw"), "trw") == 0 ? AMUN_UNLEARN_TRW : AMUN_UNLEARN_DELETE;
    check(amun_unlearn_train_options_init(t, sizeof *t, o->method));
    check(amun_trw_options_init(trw, sizeof *trw));
    t->batch = 65536;
    t->epochs = (int32_t)number_of("epochs", 1);
    t->lr = number_of("lr", t->lr);
    t->momentum = number_of("momentum", t->momentum);
    t->weight_decay = number_of("decay", t->weight_decay);
    t->augment_pad = t->augment_flip = 0;
    trw->beta = number_of("beta", trw->beta);
    trw->temperature = number_of("temperature", trw->temperature);
    trw->energy = number_of("energy", trw->energy);
    trw->forget_floor = number_of("floor", trw->forget_floor);
    trw->forget_weight = number_of("lambda", trw->forget_weight);
    trw->kappa = number_of("kappa", trw->kappa);
    trw->neighbours = (int32_t)number_of("neighbours", trw->neighbours);
    trw->frozen_statistics = (int32_t)number_of("frozen", trw->frozen_statistics);
    o->train = t;
    o->trw = trw;
}

static void forget(amun_context *ctx, amun_model *model)
{
    amun_dataset *data = NULL;
    amun_unlearn_options o;
    amun_train_options t;
    amun_trw_options trw;
    size_t gone = 0;
    check(amun_dataset_open_npy(&data, ctx, text_of("images", ""), text_of("labels", "")));
    size_t count = amun_dataset_count(data);
    int64_t *labels = calloc(2 * count, sizeof *labels);
    if (labels == NULL) {
        exit(2);
    }
    int64_t *indices = labels + count;
    check(amun_dataset_labels(data, 0, count, labels));
    for (size_t i = 0; i < count; i++) {
        if (labels[i] == (int64_t)number_of("class", 0)) {
            indices[gone++] = (int64_t)i;
        }
    }
    fill_options(&o, &t, &trw);
    check(amun_unlearn_run(NULL, model, data, indices, gone, NULL, &o, NULL));
    check(amun_model_save(model, text_of("out", "trw_dump.safetensors")));
    free(labels);
    amun_dataset_unref(data);
}

int main(int argc, char **argv)
{
    words = argc;
    word = argv;
    amun_context *ctx = NULL;
    check(amun_context_create(&ctx, NULL));
    amun_model *model = open_model(ctx);
    if (text_of("images", NULL) != NULL) {
        forget(ctx, model);
    }
    amun_model_unref(model);
    amun_context_unref(ctx);
    return 0;
}
