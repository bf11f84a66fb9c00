/* Statuses: names; messages: clearing, prefixes, truncation, one line, one per thread; versions. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "support.h"

START_TEST(test_names)
{
    static const struct {
        amun_status status;
        const char *name;
    } all[] = {
        {0, "AMUN_OK"},
        {-1, "AMUN_ERROR_INVALID_ARGUMENT"},
        {-2, "AMUN_ERROR_OUT_OF_MEMORY"},
        {-3, "AMUN_ERROR_IO"},
        {-4, "AMUN_ERROR_FORMAT"},
        {-5, "AMUN_ERROR_UNSUPPORTED"},
        {-6, "AMUN_ERROR_SHAPE"},
        {-7, "AMUN_ERROR_STATE"},
        {-8, "AMUN_ERROR_BUSY"},
        {-9, "AMUN_ERROR_CANCELLED"},
        {-10, "AMUN_ERROR_NUMERIC"},
        {-11, "AMUN_ERROR_BACKEND"},
        {-12, "AMUN_ERROR_NOT_FOUND"},
        {-99, "AMUN_ERROR_INTERNAL"},
        {-13, "unknown status"},
        {1, "unknown status"},
        {INT32_MIN, "unknown status"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        ck_assert_str_eq(amun_status_string(all[i].status), all[i].name);
    }
}
END_TEST

START_TEST(test_message_and_clearing)
{
    amun__enter();
    ck_assert_str_eq(amun_last_error_message(), "");
    ck_assert_int_eq(amun__fail(AMUN_ERROR_SHAPE, "labels: expected %d, got %d", 3, 4),
                     AMUN_ERROR_SHAPE);
    ck_assert_str_eq(amun_last_error_message(), "labels: expected 3, got 4");
    ck_assert_int_eq(amun__fail_within(AMUN_ERROR_FORMAT, "file %s", "a.bin"), AMUN_ERROR_FORMAT);
    ck_assert_str_eq(amun_last_error_message(), "file a.bin: labels: expected 3, got 4");
    /* the message may be an argument of its successor */
    amun__fail(AMUN_ERROR_IO, "outer [%s]", amun_last_error_message());
    ck_assert_str_eq(amun_last_error_message(), "outer [file a.bin: labels: expected 3, got 4]");
    amun__enter();
    ck_assert_str_eq(amun_last_error_message(), "");
}
END_TEST

START_TEST(test_one_line)
{
    amun__fail(AMUN_ERROR_IO, "no file %s", "a\nb\tc\x7f\r");
    ck_assert_str_eq(amun_last_error_message(), "no file a b c  ");
}
END_TEST

/* A message that is too long is cut between characters, whatever their length. */
START_TEST(test_truncation_keeps_utf8)
{
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t lead = 0; lead < 4; lead++) {
            char text[3000] = "";
            memset(text, 'a', lead);
            size_t width = strlen(characters[kind]);
            size_t end = lead;
            while (end + width < 2500) {
                memcpy(text + end, characters[kind], width);
                end += width;
            }
            amun__fail(AMUN_ERROR_IO, "%s", text);
            size_t length = strlen(amun_last_error_message());
            ck_assert_uint_le(length, 1023);
            ck_assert_uint_ge(length, 1020);
            ck_assert_uint_eq((length - lead) % width, 0);
            ck_assert(memcmp(amun_last_error_message(), text, length) == 0);
            amun__fail_within(AMUN_ERROR_IO, "in %s", "here"); /* must stay inside, too */
            length = strlen(amun_last_error_message());
            ck_assert_uint_le(length, 1023);
            ck_assert_uint_eq((length - lead - strlen("in here: ")) % width, 0);
        }
    }
}
END_TEST

static void *other_thread(void *arg)
{
    (void)arg;
    char *seen = strdup(amun_last_error_message());
    amun__fail(AMUN_ERROR_IO, "from the other thread");
    return seen;
}

START_TEST(test_message_per_thread)
{
    amun__fail(AMUN_ERROR_IO, "from this thread");
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
    void *seen = NULL;
    ck_assert_int_eq(pthread_join(thread, &seen), 0);
    ck_assert_str_eq((char *)seen, "");
    free(seen);
    ck_assert_str_eq(amun_last_error_message(), "from this thread");
}
END_TEST

START_TEST(test_versions)
{
    ck_assert_uint_eq(amun_version() >> 16, AMUN_VERSION_MAJOR);
    ck_assert_uint_eq(amun_version() >> 8 & 0xff, AMUN_VERSION_MINOR);
    ck_assert_uint_eq(amun_version() & 0xff, AMUN_VERSION_PATCH);
    ck_assert_uint_eq(amun_abi_version() >> 16, AMUN_ABI_MAJOR);
    ck_assert_uint_eq(amun_abi_version() & 0xffff, AMUN_ABI_MINOR);
    ck_assert_str_eq(amun_version_string(), AMUN_VERSION_STRING);
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", AMUN_VERSION_MAJOR, AMUN_VERSION_MINOR,
             AMUN_VERSION_PATCH);
    ck_assert_str_eq(AMUN_VERSION_STRING, expected);
    ck_assert(AMUN_VERSION_AT_LEAST(0, 1, 0));
    ck_assert(!AMUN_VERSION_AT_LEAST(AMUN_VERSION_MAJOR, AMUN_VERSION_MINOR + 1, 0));
}
END_TEST

START_TEST(test_build_info_is_json)
{
    json_error_t error;
    json_t *root = json_loads(amun_build_info_json(), JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "%s: %s", error.text, amun_build_info_json());
    ck_assert_str_eq(json_string_value(json_object_get(root, "version")), AMUN_VERSION_STRING);
    const json_t *features = json_object_get(root, "features");
    const json_t *backends = json_object_get(root, "backends");
#ifdef AMUN_WITH_DNNL
    ck_assert(json_is_true(json_object_get(features, "onednn")));
    ck_assert_uint_gt(json_string_length(json_object_get(backends, "onednn")), 0);
#else
    ck_assert(json_is_false(json_object_get(features, "onednn")));
    ck_assert_uint_eq(json_string_length(json_object_get(backends, "onednn")), 0);
#endif
    ck_assert_str_ne(json_string_value(json_object_get(root, "compiler")), "");
    json_decref(root);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("status");
    tcase_add_test(tc, test_names);
    tcase_add_test(tc, test_message_and_clearing);
    tcase_add_test(tc, test_one_line);
    tcase_add_test(tc, test_truncation_keeps_utf8);
    tcase_add_test(tc, test_message_per_thread);
    tcase_add_test(tc, test_versions);
    tcase_add_test(tc, test_build_info_is_json);
    return amun_test_main("core_status", (TCase *[]){tc, NULL});
}
