#include <amun/amun.h>
#include <stdio.h>
#define TRY(call) ok = ok && (call) == AMUN_OK
int main(int argc, char **argv) // IMAGES.idx LABELS.idx: learns 900 digits, forgets 90, is audited
{
    amun_context *ctx = NULL;
    amun_dataset *all = NULL, *train = NULL, *test = NULL;
    amun_model *model = NULL;
    amun_attack *find = NULL;
    amun_advset *nearest = NULL;
    amun_mia *mia = NULL;
    amun_model_options net = {sizeof net, .classes = 10, .channels = 1, .height = 8, .width = 8};
    amun_train_options how;
    amun_unlearn_options request = {sizeof request, AMUN_UNLEARN_AMUN, .remain = 1, .train = &how};
    amun_mia_options few = {sizeof few, .references = 4, .subsamples = 3};
    amun_audit a = {.struct_size = sizeof a};
    int64_t order[1797], forget[90], ok = argc == 3;
    TRY(amun_context_create(&ctx, NULL) || amun_dataset_open_idx(&all, ctx, argv[1], argv[2]));
    TRY(amun_forget_indices(order, 1797, 1797, 0) || amun_forget_indices(forget, 90, 900, 1));
    TRY(amun_dataset_subset(&train, all, order, 900));
    TRY(amun_dataset_subset(&test, all, order + 900, 897));
    TRY(amun_model_create(&model, ctx, "digits", &net));
    TRY(amun_unlearn_train_options_init(&how, sizeof how, AMUN_UNLEARN_RETRAIN));
    how.epochs = 4, how.batch = 30, how.lr = 0.02, how.augment_pad = how.augment_flip = 0;
    TRY(amun_train_run(NULL, model, train, NULL, 0, &how, NULL));
    TRY(amun_mia_create(&mia, ctx, train, test, &few));
    TRY(amun_mia_train_references(mia, model, &how, NULL, NULL)); // usually 16 or more
    TRY(amun_attack_create_search(&find, ctx, NULL));
    TRY(amun_advset_build(&nearest, find, model, train, forget, 90, NULL));
    TRY(amun_unlearn_train_options_init(&how, sizeof how, AMUN_UNLEARN_AMUN));
    how.batch = 30, how.augment_pad = how.augment_flip = 0;
    TRY(amun_unlearn_run(NULL, model, train, forget, 90, nearest, &request, NULL));
    TRY(amun_mia_audit(&a, mia, model, forget, 90, NULL));
    ok ? printf("UA %.2f RA %.2f TA %.2f AUC %.2f MIS %.2f\n", a.ua, a.ra, a.ta, a.ft_auc, a.mis)
       : fprintf(stderr, "%s\n", argc == 3 ? amun_last_error_message() : "two files, please");
    amun_advset_unref(nearest), amun_attack_unref(find), amun_mia_unref(mia);
    amun_dataset_unref(test), amun_dataset_unref(train), amun_dataset_unref(all);
    return amun_model_unref(model), amun_context_unref(ctx), ok ? 0 : 2;
}
