/* SPDX-License-Identifier: Apache-2.0 */
/* What modules say about themselves: kept over restarts, compared, judged. */
#include "node-agent/modules.h"

#include "bus/base/err.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_close(&f);
}

static struct agent_modules_change take(const char *name, json_t *info, int want)
{
    struct agent_modules_change change = {0};

    agent_core_begin(&f.core);
    ck_assert_int_eq(agent_modules_take(f.core.modules, name, info, &change), want);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
    json_decref(info);
    return change;
}

static json_t *info(const char *instance, const char *domain, const char *type)
{
    return json_pack("{s:s, s:s, s:[s], s:{s:s, s:s}}", "instance", instance, "domain", domain,
                     "workload_types", type, "tunnel", "public_key", "k1", "next_public_key", "k2");
}

START_TEST(test_registration_survives_a_restart)
{
    struct agent_modules_change change = take("m", info("a", "Gw.Example.", "t1"), ERR_OK);

    ck_assert(change.types && change.identity && change.instance);
    fixture_reopen(&f);
    ck_assert_str_eq(agent_modules_of_type(f.core.modules, "t1"), "m");
    ck_assert_ptr_null(agent_modules_of_type(f.core.modules, "t2"));
    ck_assert(agent_modules_own_host(f.core.modules, "gw.example"));
    ck_assert(agent_modules_own_host(f.core.modules, "a.b.gw.example"));
    ck_assert(!agent_modules_own_host(f.core.modules, "evilgw.example"));
}
END_TEST

START_TEST(test_only_what_differs_counts_as_a_change)
{
    struct agent_modules_change change;

    (void)take("m", info("a", "gw.example", "t1"), ERR_OK);
    change = take("m", info("a", "gw.example", "t1"), ERR_OK);
    ck_assert(!change.types && !change.identity && !change.instance);
    change = take("m", info("b", "gw.example", "t1"), ERR_OK);
    ck_assert(!change.types && !change.identity && change.instance);
    change = take("m", info("b", "gw.example", "t2"), ERR_OK);
    ck_assert(change.types && change.identity && !change.instance);
}
END_TEST

START_TEST(test_current_and_next_keys_name_the_node)
{
    (void)take("m", info("a", "gw.example", "t1"), ERR_OK);
    ck_assert_str_eq(agent_modules_key(f.core.modules, 0), "k1");
    ck_assert_str_eq(agent_modules_key(f.core.modules, 1), "k2");
    ck_assert_ptr_null(agent_modules_key(f.core.modules, 2));
}
END_TEST

static void rekey(const char *own, const char *next)
{
    json_t *json = info("a", "gw.example", "t1"), *tunnel = json_object_get(json, "tunnel");

    ck_assert_int_eq(json_object_set_new(tunnel, "public_key", json_string(own)), 0);
    ck_assert_int_eq(json_object_set_new(tunnel, "next_public_key", json_string(next)), 0);
    (void)take("m", json, ERR_OK);
}

/* A tenant that still names the old key must not lose its exposure with its next update. */
START_TEST(test_keys_of_before_name_the_node_too)
{
    rekey("k1", "k2");
    rekey("k2", "k1");
    rekey("k2", "");
    rekey("k2", "");
    for (int i = 0; i < 2; i++) {
        ck_assert_str_eq(agent_modules_key(f.core.modules, 0), "k2");
        ck_assert_str_eq(agent_modules_key(f.core.modules, 1), "k1");
        ck_assert_ptr_null(agent_modules_key(f.core.modules, 2));
        fixture_reopen(&f);
    }
    for (int i = 0; i < 40; i++) {
        char key[8];

        (void)snprintf(key, sizeof(key), "n%d", i);
        rekey(key, "");
    }
    ck_assert_str_eq(agent_modules_key(f.core.modules, 0), "n39");
    ck_assert_str_eq(agent_modules_key(f.core.modules, 16), "n38");
    ck_assert_ptr_null(agent_modules_key(f.core.modules, 17));
}
END_TEST

START_TEST(test_malformed_info_changes_nothing)
{
    (void)take("m", json_pack("{s:s}", "workload_types", "x"), ERR_INVALID);
    (void)take("m", json_pack("{s:[i]}", "workload_types", 1), ERR_INVALID);
    (void)take("m", json_array(), ERR_INVALID);
    ck_assert_uint_eq(agent_modules_count(f.core.modules), 0);
    ck_assert_ptr_null(agent_modules_info(f.core.modules, "m"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/modules");
    TCase *tc = tcase_create("modules");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_registration_survives_a_restart);
    tcase_add_test(tc, test_only_what_differs_counts_as_a_change);
    tcase_add_test(tc, test_keys_of_before_name_the_node_too);
    tcase_add_test(tc, test_current_and_next_keys_name_the_node);
    tcase_add_test(tc, test_malformed_info_changes_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
