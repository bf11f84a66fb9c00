/* The rules of size-prefixed structs: old, new, uninitialised and hand-mirrored callers. */
#include <stdio.h>

#include "support.h"

/* A struct as its third release has it; the earlier ones ended at 24 and at 32 bytes. */
typedef struct toy_options {
    size_t struct_size;
    double eps;
    int32_t steps;
    int32_t reserved0;
    uint64_t seed;    /* second release */
    const char *name; /* third release from here on */
    int64_t offset;
    size_t size;
    int32_t norm;
    int32_t flag;
} toy_options;

static const char *const norm_names[] = {"linf", "l2"};
static const toy_options defaults = {.eps = 0.5, .steps = 10, .seed = 9, .norm = 1};
static const amun__field fields[] = {
    AMUN__FIELD(toy_options, eps, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(toy_options, steps, AMUN__FIELD_I32, 1, 10000),
    AMUN__FIELD(toy_options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
    AMUN__FIELD(toy_options, seed, AMUN__FIELD_U64, 0, INFINITY),
    AMUN__FIELD(toy_options, name, AMUN__FIELD_STRING, 0, 0),
    AMUN__FIELD(toy_options, offset, AMUN__FIELD_I64, -9007199254740992.0, 9007199254740992.0),
    AMUN__FIELD(toy_options, size, AMUN__FIELD_SIZE, 0, 100),
    AMUN__FIELD_ENUM(toy_options, norm, 1, 2, norm_names),
    AMUN__FIELD(toy_options, flag, AMUN__FIELD_I32, 0, 1),
};
static const size_t released[] = {24, 32};
static const amun__options_table table = {
    .name = "toy_options",
    .size = sizeof(toy_options),
    .defaults = &defaults,
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .released_sizes = released,
    .released_count = 2,
};

START_TEST(test_null_means_defaults)
{
    toy_options o;
    memset(&o, 0xee, sizeof o);
    ck_ok(amun__options_read(&table, &o, NULL));
    ck_assert_uint_eq(o.struct_size, sizeof o);
    ck_assert(o.eps == 0.5 && o.steps == 10 && o.seed == 9 && o.norm == 1 && o.name == NULL);
}
END_TEST

START_TEST(test_init_and_read)
{
    toy_options caller, o;
    memset(&caller, 0xee, sizeof caller);
    ck_ok(amun__options_init(&table, &caller, sizeof caller));
    ck_assert_uint_eq(caller.struct_size, sizeof caller);
    ck_assert(caller.eps == 0.5 && caller.steps == 10 && caller.flag == 0);
    caller.eps = 0.25;
    caller.name = "x";
    ck_ok(amun__options_read(&table, &o, &caller));
    ck_assert(o.eps == 0.25 && o.seed == 9);
    ck_assert_str_eq(o.name, "x");
    ck_fails(amun__options_init(&table, NULL, sizeof caller), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
}
END_TEST

START_TEST(test_old_callers)
{
    for (size_t i = 0; i < 2; i++) {
        unsigned char memory[sizeof(toy_options)];
        memset(memory, 0xee, sizeof memory); /* what follows an old struct is not ours */
        ck_ok(amun__options_init(&table, memory, released[i]));
        for (size_t b = released[i]; b < sizeof memory; b++) {
            ck_assert_uint_eq(memory[b], 0xee);
        }
        double eps = 0.125;
        memcpy(memory + offsetof(toy_options, eps), &eps, sizeof eps);
        toy_options o;
        ck_ok(amun__options_read(&table, &o, memory));
        ck_assert(o.eps == 0.125 && o.steps == 10 && o.seed == 9 && o.norm == 1 && o.name == NULL);
        ck_assert_uint_eq(o.struct_size, sizeof o);
    }
}
END_TEST

START_TEST(test_new_callers)
{
    struct {
        toy_options known;
        double newer[3];
    } caller;
    memset(&caller, 0xee, sizeof caller);
    ck_ok(amun__options_init(&table, &caller, sizeof caller));
    ck_assert(caller.newer[0] == 0.0 && caller.newer[2] == 0.0);
    ck_assert_uint_eq(caller.known.struct_size, sizeof caller);
    toy_options o;
    ck_ok(amun__options_read(&table, &o, &caller));
    ck_assert_uint_eq(o.struct_size, sizeof o);
    caller.newer[1] = 1.0; /* 0x3ff0000000000000: its last bytes are the non-zero ones */
    ck_fails(amun__options_read(&table, &o, &caller), AMUN_ERROR_UNSUPPORTED,
             "newer than this library");
    char offset[32];
    snprintf(offset, sizeof offset, "offset %zu", sizeof(toy_options) + 12);
    ck_fails(amun__options_read(&table, &o, &caller), AMUN_ERROR_UNSUPPORTED, offset);
}
END_TEST

START_TEST(test_wrong_sizes)
{
    static const size_t wrong[] = {0,
                                   1,
                                   8,
                                   16,
                                   23,
                                   25,
                                   40,
                                   sizeof(toy_options) - 8,
                                   sizeof(toy_options) + 4,
                                   4104,
                                   0xeeeeeeeeeeeeeeee,
                                   SIZE_MAX};
    union {
        toy_options o;
        unsigned char bytes[8192];
    } caller;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        memset(&caller, 0, sizeof caller);
        caller.o = defaults;
        caller.o.struct_size = wrong[i];
        toy_options o;
        char text[64];
        snprintf(text, sizeof text, "struct_size is %zu,", wrong[i]);
        ck_fails(amun__options_read(&table, &o, &caller), AMUN_ERROR_INVALID_ARGUMENT, text);
        ck_fails(amun__options_init(&table, &caller, wrong[i]), AMUN_ERROR_INVALID_ARGUMENT, text);
    }
    memset(&caller, 0, sizeof caller);
    ck_ok(amun__options_init(&table, &caller, 4096)); /* the largest that can be newer */
    toy_options o;
    ck_ok(amun__options_read(&table, &o, &caller));
}
END_TEST

START_TEST(test_ranges)
{
    toy_options caller, o;
#define BAD(member, value, text)                                                                   \
    do {                                                                                           \
        ck_ok(amun__options_init(&table, &caller, sizeof caller));                                 \
        caller.member = (value);                                                                   \
        ck_fails(amun__options_read(&table, &o, &caller), AMUN_ERROR_INVALID_ARGUMENT,             \
                 "toy_options." #member ": " text);                                                \
    } while (0)
#define GOOD(member, value)                                                                        \
    do {                                                                                           \
        ck_ok(amun__options_init(&table, &caller, sizeof caller));                                 \
        caller.member = (value);                                                                   \
        ck_ok(amun__options_read(&table, &o, &caller));                                            \
        ck_assert(o.member == (value));                                                            \
    } while (0)
    BAD(eps, -0.125, "-0.125");
    BAD(eps, 1.5, "1.5");
    BAD(eps, (double)NAN, "");
    BAD(eps, (double)INFINITY, "inf");
    GOOD(eps, 0.0);
    GOOD(eps, 1.0);
    BAD(steps, 0, "0 is outside [1, 10000]");
    BAD(steps, 10001, "10001");
    BAD(steps, INT32_MIN, "-2147483648");
    GOOD(steps, 10000);
    BAD(reserved0, 1, "1");
    GOOD(seed, UINT64_MAX);
    GOOD(offset, INT64_C(9007199254740992));
    BAD(offset, INT64_C(9007199254740993), "9007199254740993"); /* rounds onto the bound */
    BAD(offset, INT64_C(-9007199254740993), "-9007199254740993");
    BAD(size, (size_t)101, "101");
    BAD(size, SIZE_MAX, "18446744073709551615");
    BAD(norm, 0, "0");
    BAD(norm, 3, "3");
#undef BAD
#undef GOOD
}
END_TEST

/* A table that does not describe its struct is refused, whatever the caller passes. */
START_TEST(test_bad_tables)
{
    toy_options o;
    amun__options_table hole = table;
    hole.field_count--;
    ck_fails(amun__options_read(&hole, &o, NULL), AMUN_ERROR_INTERNAL, "fields end at");
    amun__field swapped[sizeof fields / sizeof fields[0]];
    memcpy(swapped, fields, sizeof fields);
    swapped[0] = fields[1];
    hole = table;
    hole.fields = swapped;
    ck_fails(amun__options_init(&hole, &o, sizeof o), AMUN_ERROR_INTERNAL, "toy_options.steps");
}
END_TEST

START_TEST(test_public_tables)
{
    amun_call_options call;
    ck_ok(amun_call_options_init(&call, sizeof call));
    ck_assert_int_eq(call.min_interval_ms, 100);
    ck_assert(call.progress == NULL && call.user_data == NULL);
    ck_fails(amun_call_options_init(&call, 12), AMUN_ERROR_INVALID_ARGUMENT, "12");
    ck_fails(amun_call_options_init(NULL, sizeof call), AMUN_ERROR_INVALID_ARGUMENT, "NULL");
    amun_context_options context;
    ck_ok(amun_context_options_init(&context, sizeof context));
    ck_assert(context.alloc == NULL && context.memory_limit == 0 && context.threads == 0);
}
END_TEST

typedef struct toy_result {
    size_t struct_size;
    double accuracy;
    int64_t count;
} toy_result;

START_TEST(test_results)
{
    const toy_result src = {sizeof src, 0.75, 12};
    toy_result dst = {.struct_size = sizeof dst};
    ck_ok(amun__result_write(&dst, &src, sizeof src, "result"));
    ck_assert(dst.accuracy == 0.75 && dst.count == 12 && dst.struct_size == sizeof dst);
    /* an older caller: what follows is not touched */
    dst = (toy_result){.struct_size = 16, .count = -5};
    ck_ok(amun__result_write(&dst, &src, sizeof src, "result"));
    ck_assert(dst.accuracy == 0.75 && dst.count == -5 && dst.struct_size == 16);
    /* a newer caller: unknown fields read as zero */
    struct {
        toy_result known;
        double newer;
    } larger = {.known = {.struct_size = sizeof larger}, .newer = 3.0};
    ck_ok(amun__result_write(&larger, &src, sizeof src, "result"));
    ck_assert(larger.newer == 0.0 && larger.known.count == 12);
    ck_assert_uint_eq(larger.known.struct_size, sizeof larger);
    static const size_t wrong[] = {0, 8, 12, 4104, SIZE_MAX};
    for (size_t i = 0; i < 5; i++) {
        dst.struct_size = wrong[i];
        ck_fails(amun__result_write(&dst, &src, sizeof src, "result"), AMUN_ERROR_INVALID_ARGUMENT,
                 "result: struct_size");
    }
    ck_fails(amun__result_write(NULL, &src, sizeof src, "result"), AMUN_ERROR_INVALID_ARGUMENT,
             "result is NULL");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("options");
    tcase_add_test(tc, test_null_means_defaults);
    tcase_add_test(tc, test_init_and_read);
    tcase_add_test(tc, test_old_callers);
    tcase_add_test(tc, test_new_callers);
    tcase_add_test(tc, test_wrong_sizes);
    tcase_add_test(tc, test_ranges);
    tcase_add_test(tc, test_bad_tables);
    tcase_add_test(tc, test_public_tables);
    tcase_add_test(tc, test_results);
    return amun_test_main("core_options", (TCase *[]){tc, NULL});
}
