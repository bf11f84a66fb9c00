/* fuzz_tune.c - the reader of measured choices: what it accepts for a host has a kind of code for
 * each shape, and can be written and read again. */
#include "fuzz.h"
#include "nn/tune.h"

static const char host[] = "h";

static void look_up(json_t *root)
{
    json_t *table = json_deep_copy(json_object_get(root, "hosts"));
    amun__tuning tuning = {.table = table};
    const char *shape;
    json_t *value;
    json_t *fresh = json_object();
    if (table == NULL || fresh == NULL) {
        abort();
    }
    json_object_foreach(json_object_get(table, host), shape, value)
    {
        amun__tune_entry entry;
        if (!amun__tune_find(&tuning, host, shape, &entry) || entry.kind <= AMUN_CONV_AUTO ||
            entry.kind > AMUN_CONV_OWN || amun__tune_add(fresh, shape, &entry) != AMUN_OK) {
            abort();
        }
    }
    tuning.table = json_pack("{s:o}", host, fresh);
    json_object_foreach(json_object_get(table, host), shape, value)
    {
        amun__tune_entry entry, again;
        if (!amun__tune_find(&tuning, host, shape, &again)) {
            abort();
        }
        amun__tuning read = {.table = table};
        if (!amun__tune_find(&read, host, shape, &entry) || entry.kind != again.kind) {
            abort();
        }
    }
    json_decref(tuning.table);
    json_decref(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root = NULL;
    amun_context *ctx = fuzz_context(data, size);
    amun__enter();
    amun_status status = amun__tune_parse(&root, (const char *)data, size, "input", host);
    fuzz_check(status);
    if ((status == AMUN_OK) != (root != NULL)) {
        abort();
    }
    if (root != NULL) {
        look_up(root);
    }
    json_decref(root);
    amun_context_unref(ctx);
    return 0;
}
