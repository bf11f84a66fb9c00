/* fuzz_idx.c - the IDX reader, and data sets over what it accepts. */
#include "data/storage.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    amun_context *ctx = fuzz_context(data, size);
    if (ctx == NULL) {
        return 0;
    }
    amun_tensor_view view;
    amun__enter();
    amun_status status = amun__idx_parse(&view, data, size, "input");
    fuzz_check(status);
    if (status == AMUN_OK) {
        size_t count = 0;
        fuzz_check(amun__view_check(&view, "view", &count));
        const uint8_t *elements = view.data;
        if (count > 0 && (elements < data || elements + count != data + size)) {
            abort();
        }
        fuzz_dataset(ctx, &view);
    }
    amun_context_unref(ctx);
    return 0;
}
