/* amun/amun.h - everything. A complete program:
 *
 * #include <amun/amun.h>
 * #include <stdio.h>
 * #define TRY(call) ok = ok && (call) == AMUN_OK
 *
 * int main(int argc, char **argv) // IMAGES.idx LABELS.idx: learns 900 digits, then forgets 90
 * {
 *     amun_context *ctx = NULL;
 *     amun_dataset *all = NULL, *train = NULL;
 *     amun_model *model = NULL;
 *     amun_attack *search = NULL;
 *     amun_advset *nearest = NULL;
 *     amun_model_options net = {sizeof net, .classes = 10, .channels = 1, .height = 8, .width = 8};
 *     amun_train_options how;
 *     amun_unlearn_options request = {sizeof request, AMUN_UNLEARN_AMUN, .remain = 1, .train = &how};
 *     int64_t order[1797], forget[90];
 *     double before, after, unseen;
 *     int ok = argc == 3;
 *     TRY(amun_context_create(&ctx, NULL));
 *     TRY(amun_dataset_open_idx(&all, ctx, argv[1], argv[2]));
 *     TRY(amun_forget_indices(order, 1797, 1797, 0)); // a random order, to part the data
 *     TRY(amun_dataset_subset(&train, all, order, 900));
 *     TRY(amun_model_create(&model, ctx, "digits", &net));
 *     TRY(amun_unlearn_train_options_init(&how, sizeof how, AMUN_UNLEARN_RETRAIN));
 *     how.epochs = 20, how.batch = 45, how.augment_pad = how.augment_flip = 0;
 *     TRY(amun_train_run(NULL, model, train, NULL, 0, &how, NULL));
 *     TRY(amun_forget_indices(forget, 90, 900, 1)); // which ones of the 900
 *     TRY(amun_model_evaluate(NULL, &before, model, train, forget, 90, NULL));
 *     TRY(amun_attack_create_search(&search, ctx, NULL));
 *     TRY(amun_advset_build(&nearest, search, model, train, forget, 90, NULL));
 *     TRY(amun_unlearn_train_options_init(&how, sizeof how, AMUN_UNLEARN_AMUN));
 *     how.batch = 15, how.augment_pad = how.augment_flip = 0;
 *     TRY(amun_unlearn_run(NULL, model, train, forget, 90, nearest, &request, NULL));
 *     TRY(amun_model_evaluate(NULL, &after, model, train, forget, 90, NULL));
 *     TRY(amun_model_evaluate(NULL, &unseen, model, all, order + 900, 897, NULL));
 *     ok ? printf("loss: forgotten %.4f (was %.4f), never seen %.4f\n", after, before, unseen)
 *        : fprintf(stderr, "%s\n", argc == 3 ? amun_last_error_message() : "two files, please");
 *     amun_advset_unref(nearest), amun_attack_unref(search), amun_model_unref(model);
 *     amun_dataset_unref(train), amun_dataset_unref(all), amun_context_unref(ctx);
 *     return ok ? 0 : 2;
 * }
 *
 * (examples/minimal.c.) How it works: every call that can fail returns amun_status, and
 * amun_last_error_message() says what was wrong. Handles are reference-counted; the unref functions
 * take NULL. Options are structs: an init function fills in the defaults, the caller changes what
 * matters. Docs: docs/ in the source tree. */
#ifndef AMUN_AMUN_H
#define AMUN_AMUN_H

#include "attack.h"
#include "audit.h"
#include "base.h"
#include "clip.h"
#include "context.h"
#include "dataset.h"
#include "ensemble.h"
#include "mia.h"
#include "model.h"
#include "probe.h"
#include "rivals.h"
#include "search.h"
#include "select.h"
#include "spectral.h"
#include "tensor.h"
#include "train.h"
#include "trw.h"
#include "unlearn.h"
#include "version.h"

#endif
