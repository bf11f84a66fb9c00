/* test_json.c - limits of the JSON reader, the JSON form of options, provenance. */
#include "io/io.h"
#include "test_files.h"

static amun_status parse(const char *text)
{
    json_t *value = NULL;
    amun_status status = amun__json_parse(&value, text, strlen(text), "case");
    ck_assert((status == AMUN_OK) == (value != NULL));
    json_decref(value);
    return status;
}

START_TEST(test_accepts)
{
    ck_ok(parse("{}"));
    ck_ok(parse(" [1, 2.5, \"a\", null, true] \n"));
    ck_ok(parse("{\"a\": {\"b\": [{\"c\": 1}]}}"));
    ck_ok(parse("[[[[[[[[]]]]]]]]"));                         /* depth 8 */
    ck_ok(parse("[\"[[[[[[[[[[{{{{\", \"\\\"[[[[[[[[[[\"]")); /* brackets inside strings */
    ck_ok(parse("[[],[],[],[],[],[],[],[],[],[],[]]"));
}
END_TEST

START_TEST(test_refuses)
{
    static const char *const cases[] = {
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{'a':1}",
        "[NaN]",
        "[Infinity]",
        "[01]",
        "[1] x",
        "1",
        "\"text\"",
        "[\"\\u0000\"]",
        "[\"\xff\"]",
        "[\"\\ud800\"]",
        "[\"a\nb\"]",
        "{\"a\" 1}",
        "[1e999]",
        "nul",
        "[99999999999999999999]",
        "{\"a\":1,\"a\":2}",
        "{\"\":1,\"\\u0061\":1,\"a\":2}",
        "[\"open",
        "[\"a\\",
        "]",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *value = NULL;
        ck_fails(amun__json_parse(&value, cases[i], strlen(cases[i]), "case.json"),
                 AMUN_ERROR_FORMAT, "case.json: JSON");
        ck_assert_ptr_null(value);
    }
    ck_fails(parse("{\"a\":1,\"a\":2}"), AMUN_ERROR_FORMAT, "duplicate");
    ck_fails(parse("[[[[[[[[[]]]]]]]]]"), AMUN_ERROR_FORMAT, "deeper than 8");
    ck_fails(parse("{\"a\":[{\"a\":[{\"a\":[{\"a\":[{}]}]}]}]}"), AMUN_ERROR_FORMAT, "deeper");
}
END_TEST

START_TEST(test_limits)
{
    json_t *value = NULL;
    size_t size = (16u << 20) + 1;
    char *text = malloc(size);
    memset(text, ' ', size);
    text[0] = '[';
    text[size - 2] = ']';
    ck_ok(amun__json_parse(&value, text, size - 1, "large"));
    json_decref(value);
    ck_fails(amun__json_parse(&value, text, size, "large"), AMUN_ERROR_FORMAT, "16777217");
    ck_assert_ptr_null(value);
    /* a million brackets do not reach the recursive parser */
    memset(text, '[', size);
    ck_fails(amun__json_parse(&value, text, 1000000, "deep"), AMUN_ERROR_FORMAT, "deeper");
    free(text);
    ck_fails(amun__json_parse(&value, "[1]\0[2]", 7, "nul"), AMUN_ERROR_FORMAT, "nul");
}
END_TEST

typedef struct options {
    size_t struct_size;
    double eps;
    int32_t steps, mode;
    int64_t offset;
    uint64_t seed;
    size_t count;
    void *user;
    const char *name;
    double huge;
    int32_t reserved0;
} options;

static const char *const modes[] = {"first", "second", "third"};
static const amun__field fields[] = {
    AMUN__FIELD(options, eps, AMUN__FIELD_F64, 0, 1),
    AMUN__FIELD(options, steps, AMUN__FIELD_I32, 0, 100),
    AMUN__FIELD_ENUM(options, mode, 1, 3, modes),
    AMUN__FIELD(options, offset, AMUN__FIELD_I64, -1e30, 1e30),
    AMUN__FIELD(options, seed, AMUN__FIELD_U64, 0, 1e30),
    AMUN__FIELD(options, count, AMUN__FIELD_SIZE, 0, 1e30),
    AMUN__FIELD(options, user, AMUN__FIELD_POINTER, 0, 0),
    AMUN__FIELD(options, name, AMUN__FIELD_STRING, 0, 0),
    AMUN__FIELD(options, huge, AMUN__FIELD_F64, 0, INFINITY),
    AMUN__FIELD(options, reserved0, AMUN__FIELD_RESERVED, 0, 0),
};
static const options defaults = {0};
static const amun__options_table table = {.name = "test_options",
                                          .size = sizeof(options),
                                          .defaults = &defaults,
                                          .fields = fields,
                                          .field_count = sizeof fields / sizeof fields[0]};

static void check_options(const options *full, const char *expected)
{
    json_t *value = NULL;
    char *text = NULL;
    ck_ok(amun__json_options(&value, &table, full));
    ck_ok(amun__json_text(&text, value, 0));
    ck_assert_str_eq(text, expected);
    free(text);
    json_decref(value);
}

START_TEST(test_options)
{
    options full = {.eps = 0.25,
                    .steps = 7,
                    .mode = 2,
                    .offset = -5,
                    .seed = UINT64_C(1) << 53,
                    .count = 3,
                    .user = &full,
                    .name = "a\"b",
                    .huge = INFINITY};
    check_options(&full,
                  "{\"count\":3,\"eps\":0.25,\"huge\":\"Infinity\",\"mode\":\"second\","
                  "\"name\":\"a\\\"b\",\"offset\":-5,\"seed\":9007199254740992,\"steps\":7}");
    full.seed = (UINT64_C(1) << 53) + 1;
    full.offset = INT64_MIN;
    full.name = NULL;
    full.huge = 0x1p100;
    full.mode = 3;
    check_options(&full, "{\"count\":3,\"eps\":0.25,\"huge\":1.2676506002282294e30,"
                         "\"mode\":\"third\",\"name\":null,\"offset\":\"-9223372036854775808\","
                         "\"seed\":\"9007199254740993\",\"steps\":7}");
    full.seed = UINT64_MAX;
    full.name = "\xff";
    json_t *value = NULL;
    ck_fails(amun__json_options(&value, &table, &full), AMUN_ERROR_INVALID_ARGUMENT, "name");
    ck_assert_ptr_null(value);
}
END_TEST

START_TEST(test_text)
{
    json_t *value = json_pack("{s:i, s:[i, i]}", "b", 1, "a", 2, 3);
    char *text = NULL;
    ck_ok(amun__json_text(&text, value, 0));
    ck_assert_str_eq(text, "{\"a\":[2,3],\"b\":1}");
    free(text);
    ck_ok(amun__json_text(&text, value, JSON_INDENT(1)));
    ck_assert_str_eq(text, "{\n \"a\": [\n  2,\n  3\n ],\n \"b\": 1\n}");
    free(text);
    json_decref(value);
}
END_TEST

START_TEST(test_provenance)
{
    amun_context *ctx = NULL;
    ck_ok(amun_context_create(&ctx, NULL));
    ck_ok(amun_context_set_threads(ctx, 1));
    json_t *value = NULL;
    ck_ok(amun__json_provenance(&value, ctx));
    static const char *const texts[] = {"library", "version", "abi", "rng", "backend"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = json_string_value(json_object_get(value, texts[i]));
        ck_assert_msg(text != NULL && text[0] != '\0', "%s", texts[i]);
    }
    ck_assert_str_eq(json_string_value(json_object_get(value, "version")), amun_version_string());
    ck_assert_int_eq(json_integer_value(json_object_get(value, "threads")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(value, "convolutions")), "fixed");
    ck_assert_str_eq(json_string_value(json_object_get(value, "precision")), "f32");
    ck_assert(json_is_object(json_object_get(value, "build")));
    json_decref(value);
    amun_context_unref(ctx);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("json");
    tcase_add_test(tc, test_accepts);
    tcase_add_test(tc, test_refuses);
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_options);
    tcase_add_test(tc, test_text);
    tcase_add_test(tc, test_provenance);
    return amun_test_main("json", (TCase *[]){tc, NULL});
}
