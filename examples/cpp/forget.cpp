#include <amun/amun.h>
#include <cstdio>
#include <memory>
void ok(amun_status s) { s ? throw amun_last_error_message() : void(); }
template <class T, class F, class... A> auto made(void (*unref)(T *), F create, A... args)
{
    T *raw = nullptr;
    ok(create(&raw, args...));
    return std::shared_ptr<T>(raw, unref);
}
int main(int argc, char **argv) // IMAGES.idx LABELS.idx: learns 900 digits, forgets 90, is audited
try {
    auto ctx = made(amun_context_unref, amun_context_create, nullptr);
    auto all = made(amun_dataset_unref, amun_dataset_open_idx, &*ctx, argv[1], argv[argc - 1]);
    int64_t order[1797], forget[90];
    ok(amun_forget_indices(order, 1797, 1797, 0)), ok(amun_forget_indices(forget, 90, 900, 1));
    auto seen = made(amun_dataset_unref, amun_dataset_subset, &*all, order, 900);
    auto unseen = made(amun_dataset_unref, amun_dataset_subset, &*all, order + 900, 897);
    amun_model_options size = {sizeof size, 10, 1, 8, 8, 0, 0, 0};
    auto net = made(amun_model_unref, amun_model_create, &*ctx, "digits", &size);
    amun_train_options how;
    ok(amun_unlearn_train_options_init(&how, sizeof how, AMUN_UNLEARN_RETRAIN));
    how.epochs = 4, how.batch = 30, how.lr = 0.02, how.augment_pad = how.augment_flip = 0;
    ok(amun_train_run(nullptr, &*net, &*seen, nullptr, 0, &how, nullptr));
    amun_mia_options few = {sizeof few, 4, 3, 0, nullptr}; // 4 references; usually 16 or more
    auto mia = made(amun_mia_unref, amun_mia_create, &*ctx, &*seen, &*unseen, &few);
    ok(amun_mia_train_references(&*mia, &*net, &how, nullptr, nullptr));
    auto at = made(amun_attack_unref, amun_attack_create_search, &*ctx, nullptr);
    auto set = made(amun_advset_unref, amun_advset_build, &*at, &*net, &*seen, forget, 90, nullptr);
    ok(amun_unlearn_train_options_init(&how, sizeof how, AMUN_UNLEARN_AMUN));
    how.batch = 30, how.augment_pad = how.augment_flip = 0;
    amun_unlearn_options way = {sizeof way, AMUN_UNLEARN_AMUN, 1, &how, 0, 0, {}, {}};
    ok(amun_unlearn_run(nullptr, &*net, &*seen, forget, 90, &*set, &way, nullptr));
    amun_audit a = amun_audit();
    ok((a.struct_size = sizeof a, amun_mia_audit(&a, &*mia, &*net, forget, 90, nullptr)));
    std::printf("UA %.2f RA %.2f TA %.2f AUC %.2f MIS %.2f\n", a.ua, a.ra, a.ta, a.ft_auc, a.mis);
} catch (const char *error) {
    return std::fprintf(stderr, "%s\n", error), 2;
}
