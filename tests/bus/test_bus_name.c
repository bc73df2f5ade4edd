/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and ids as text. URLs: test_bus_url.c. */
#include "bus/name.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

START_TEST(test_name_keys_carry_the_prefix)
{
    char key[BUS_KEY_CAP];

    ck_assert_str_eq(bus_key(key, "{gw1}", BUS_KEY_COMMANDS, NULL, NULL), "{gw1}core:default");
    ck_assert_str_eq(bus_key_result(key, "p:", "d1"), "p:result:d1");
    ck_assert_str_eq(bus_key_result_flag(key, "", "d1"), "result:d1:flag");
    ck_assert_str_eq(bus_key_assign(key, "p:", "gateway"), "p:netwall:assign:gateway");
    ck_assert_str_eq(bus_key_assign_head(key, "", "gateway"), "netwall:assign:gateway:head");
    ck_assert_str_eq(bus_key_report(key, "", "gateway"), "netwall:report:gateway");
}
END_TEST

START_TEST(test_name_zbus_queues_have_none)
{
    char key[BUS_KEY_CAP];

    ck_assert_str_eq(bus_key_zbus(key, "gateway", "manager", "0.0.1"), "gateway.manager@0.0.1");
    ck_assert_str_eq(bus_key_zbus(key, "gateway", "manager", ""), "gateway.manager");
    ck_assert_str_eq(bus_key_zbus(key, "gateway", "zbus", "1.0"), "gateway.zbus@1.0");
}
END_TEST

static const struct {
    const char *id;
    bool ok;
} ids[] = {
    {"a", true},
    {"A-b_c.9", true},
    {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true},
    {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", false},
    {"", false},
    {"a b", false},
    {"a:b", false},
    {"a\n", false},
    {"\xc3\xa4", false},
};

START_TEST(test_name_command_ids)
{
    ck_assert(bus_id_check(ids[_i].id, strlen(ids[_i].id)) == ids[_i].ok);
}
END_TEST

START_TEST(test_name_module_and_prefix)
{
    ck_assert(bus_module_check("gateway"));
    ck_assert(!bus_module_check("Gateway"));
    ck_assert(!bus_module_check(""));
    ck_assert(!bus_module_check("a:b"));
    ck_assert(bus_prefix_check(""));
    ck_assert(bus_prefix_check("{gw1}"));
    ck_assert(!bus_prefix_check("a b"));
    ck_assert(!bus_prefix_check("a\x7f"));
    ck_assert(bus_prefix_check("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
    ck_assert(
        !bus_prefix_check("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"));
}
END_TEST

static const struct {
    const char *prefix, *key;
    bool own;
} owns[] = {
    {"", "core:default", true},
    {"", "result:x", true},
    {"", "stream:deployments", true},
    {"", "netwall:workloads", true},
    {"", "msgbus.system.local", true},
    {"p:", "p:core:default", true},
    {"p:", "core:default", false},
    {"p:", "msgbus.x", true},
    {"", "7c9e6679-7425-40de-944b-e07fc1f90ae7", false},
    {"", "core", false},
    {"", "", false},
};

START_TEST(test_name_knows_its_own_keys)
{
    ck_assert(bus_key_is_own(owns[_i].prefix, owns[_i].key, strlen(owns[_i].key)) == owns[_i].own);
}
END_TEST

START_TEST(test_name_random_ids_are_fresh_and_well_formed)
{
    char a[37], b[37], id[33];

    bus_uuid_random(a);
    bus_uuid_random(b);
    ck_assert_str_ne(a, b);
    ck_assert_uint_eq(strlen(a), 36);
    ck_assert(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-' && a[14] == '4');
    ck_assert_ptr_nonnull(strchr("89ab", a[19]));
    bus_id_random(id);
    ck_assert_uint_eq(strlen(id), 32);
    ck_assert(bus_id_check(id, 32));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/name");
    TCase *tc = tcase_create("keys");

    tcase_add_test(tc, test_name_keys_carry_the_prefix);
    tcase_add_test(tc, test_name_zbus_queues_have_none);
    tcase_add_loop_test(tc, test_name_command_ids, 0, COUNT(ids));
    tcase_add_test(tc, test_name_module_and_prefix);
    tcase_add_loop_test(tc, test_name_knows_its_own_keys, 0, COUNT(owns));
    tcase_add_test(tc, test_name_random_ids_are_fresh_and_well_formed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
