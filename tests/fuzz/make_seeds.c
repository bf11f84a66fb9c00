/* make_seeds.c - writes good files of the formats that only the library writes, for the corpus:
 * make_seeds FOLDER. make_corpus.py does the others, and damages these. */
#include "fuzz.h"

static const char *root;

static void keep(const char *target, const char *name, int first, const char *from)
{
    char path[4096];
    size_t size = 0;
    uint8_t *data = fuzz_get(from, &size);
    snprintf(path, sizeof path, "%s/%s/%s", root, target, name);
    FILE *out = fopen(path, "wb");
    if (data == NULL || out == NULL || (first >= 0 && fputc(first, out) == EOF) ||
        fwrite(data, 1, size, out) != size || fclose(out) != 0) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(1);
    }
    free(data);
}

static int32_t second_epoch(const amun_progress *progress, void *user_data)
{
    (void)user_data;
    return progress->step > 2;
}

static void checkpoint(amun_model *model, amun_dataset *data)
{
    amun_train_options options;
    amun_clip_options clip;
    amun_call_options call;
    fuzz_check(amun_clip_options_init(&clip, sizeof clip));
    fuzz_check(amun_train_options_init(&options, sizeof options));
    fuzz_check(amun_call_options_init(&call, sizeof call));
    options.epochs = 2; /* as fuzz_checkpoint.c */
    options.batch = 6;
    options.augment_pad = options.augment_flip = 0;
    options.clip = &clip;
    options.checkpoint = fuzz_path("checkpoint");
    call.progress = second_epoch;
    call.min_interval_ms = 0;
    remove(options.checkpoint);
    (void)amun_train_run(NULL, model, data, NULL, 0, &options, &call);
    keep("checkpoint", "started", -1, "checkpoint");
    fuzz_check(amun_train_run(NULL, model, data, NULL, 0, &options, NULL));
    keep("checkpoint", "finished", -1, "checkpoint");
}

static void references(amun_model *model, amun_dataset *data)
{
    amun_mia *mia = NULL;
    amun_mia_options options;
    amun_train_options train;
    fuzz_check(amun_mia_options_init(&options, sizeof options));
    fuzz_check(amun_train_options_init(&train, sizeof train));
    options.references = 2; /* as fuzz_references.c */
    train.epochs = 1;
    train.augment_pad = train.augment_flip = 0;
    fuzz_check(amun_mia_create(&mia, fuzz_steady(), data, data, &options));
    fuzz_check(amun_mia_train_references(mia, model, &train, fuzz_path("."), NULL));
    keep("references", "weights", 0, "reference_000.safetensors");
    keep("references", "cache", 1, "reference_000.logits.safetensors");
    amun_mia_unref(mia);
}

static void named_models(void)
{
    amun_model_options shape;
    amun_model *models[2];
    amun_ensemble *ensemble = NULL;
    fuzz_check(amun_model_options_init(&shape, sizeof shape));
    shape.channels = 1; /* as fuzz_ensemble.c */
    shape.height = shape.width = 8;
    shape.classes = 2;
    for (uint64_t i = 0; i < 2; i++) {
        shape.seed = i;
        fuzz_check(amun_model_create(&models[i], fuzz_steady(), "digits", &shape));
    }
    fuzz_check(amun_ensemble_create(&ensemble, fuzz_steady(), models, 2));
    fuzz_check(amun_ensemble_save(ensemble, fuzz_path(".")));
    keep("ensemble", "index", -1, "ensemble.json");
    amun_ensemble_unref(ensemble);
    amun_model_unref(models[0]);
    amun_model_unref(models[1]);
}

int main(int argc, char **argv)
{
    amun_model *model = NULL;
    amun_dataset *data = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: make_seeds FOLDER\n");
        return 2;
    }
    root = argv[1];
    fuzz_check(fuzz_model(&model, fuzz_steady()));
    fuzz_check(fuzz_data(&data, fuzz_steady()));
    fuzz_check(amun_model_save(model, fuzz_path("weights")));
    keep("weights", "own", -1, "weights");
    named_models();
    references(model, data);
    checkpoint(model, data);
    amun_dataset_unref(data);
    amun_model_unref(model);
    amun_context_unref(fuzz_steady());
    return 0;
}
