/* Statuses: names, messages, truncation. */
#include "support.h"

START_TEST(test_names)
{
    ck_assert_str_eq(amun_status_string(AMUN_OK), "AMUN_OK");
    ck_assert_str_eq(amun_status_string(AMUN_ERROR_SHAPE), "AMUN_ERROR_SHAPE");
    ck_assert_str_eq(amun_status_string(AMUN_ERROR_INTERNAL), "AMUN_ERROR_INTERNAL");
    ck_assert_str_eq(amun_status_string(-13), "unknown status");
    ck_assert_str_eq(amun_status_string(1), "unknown status");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("status");
    tcase_add_test(tc, test_names);
    return amun_test_main("core_status", (TCase *[]){tc, NULL});
}
