/* fuzz_json.c - the strict JSON reader; what it accepts survives writing and reading again. */
#include "fuzz.h"
#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value = NULL;
    amun__enter();
    amun_status status = amun__json_parse(&value, (const char *)data, size, "input");
    fuzz_check(status);
    if ((status == AMUN_OK) != (value != NULL)) {
        abort();
    }
    char *text = NULL;
    if (value != NULL && amun__json_text(&text, value, 0) == AMUN_OK) {
        json_t *again = NULL;
        if (amun__json_parse(&again, text, strlen(text), "again") != AMUN_OK) {
            abort();
        }
        if (!json_equal(value, again)) {
            abort();
        }
        json_decref(again);
    }
    free(text);
    json_decref(value);
    return 0;
}
