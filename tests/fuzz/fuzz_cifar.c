/* fuzz_cifar.c - both CIFAR layouts; what is accepted has the announced size and labels. */
#include "data/storage.h"
#include "fuzz.h"

static void check(const amun__cifar *layout, const uint8_t *data, size_t size)
{
    size_t count = 0;
    amun__enter();
    amun_status status = amun__cifar_parse(&count, layout, data, size, "input");
    fuzz_check(status);
    size_t record = layout->label_bytes + 3072;
    if ((status == AMUN_OK) != (count > 0) || (count > 0 && count * record != size)) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (data[i * record + layout->label_bytes - 1] >= layout->classes) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(&amun__cifar10, data, size);
    check(&amun__cifar100, data, size);
    return 0;
}
