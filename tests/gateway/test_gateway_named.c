/* SPDX-License-Identifier: Apache-2.0 */
/* Named ids: each once, in order, never more than a look can ask for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/named.h"
#include "tests/support/suite.h"

static struct gw_named *named;

static void setup(void)
{
    ck_assert_int_eq(gw_named_new(&named), ERR_OK);
}

static void teardown(void)
{
    gw_named_free(named);
}

static bool add(const char *list)
{
    return gw_named_add(named, list, strlen(list));
}

START_TEST(test_named_keeps_each_once_until_taken)
{
    char(*ids)[GW_ID_MAX] = NULL;
    size_t count = 0;

    ck_assert(add("7-1-a"));
    ck_assert(add("7-1-b\n7-1-a\n7-1-c"));
    ck_assert(add("7-1-c\n"));
    ck_assert_uint_eq(gw_named_count(named), 3);
    ck_assert_int_eq(gw_named_take(named, &ids, &count), ERR_OK);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(ids[0], "7-1-a");
    ck_assert_str_eq(ids[1], "7-1-b");
    ck_assert_str_eq(ids[2], "7-1-c");
    free(ids);
    ck_assert_uint_eq(gw_named_count(named), 0);
    ck_assert(add("7-1-a")); /* and again */
    ck_assert_uint_eq(gw_named_count(named), 1);
    gw_named_clear(named);
    ck_assert_int_eq(gw_named_take(named, &ids, &count), ERR_OK);
    ck_assert_uint_eq(count, 0);
    free(ids);
}
END_TEST

START_TEST(test_named_refuses_what_is_no_id)
{
    char longest[GW_ID_MAX + 1] = {0};

    memset(longest, 'x', GW_ID_MAX);
    ck_assert(!add(""));
    ck_assert(!add("a\n\nb"));
    ck_assert(!gw_named_add(named, "a\0b", 3));
    ck_assert(!add(longest));
    longest[GW_ID_MAX - 1] = '\0';
    ck_assert(add(longest));
}
END_TEST

START_TEST(test_named_has_a_limit)
{
    char id[32];

    for (int i = 0; i < GW_NAMED_MAX; i++) {
        (void)snprintf(id, sizeof(id), "7-1-x%d", i);
        ck_assert(add(id));
    }
    ck_assert(add("7-1-x0"));
    ck_assert(!add("7-1-y"));
    ck_assert_uint_eq(gw_named_count(named), GW_NAMED_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/named");
    TCase *tc = tcase_create("named");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_named_keeps_each_once_until_taken);
    tcase_add_test(tc, test_named_refuses_what_is_no_id);
    tcase_add_test(tc, test_named_has_a_limit);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
