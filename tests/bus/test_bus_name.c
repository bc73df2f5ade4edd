/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, ids and URLs as text. */
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

static const struct {
    const char *text;
    struct bus_url want;
    const char *printed;
} urls[] = {
    {"unix:///run/redis.sock",
     {.is_unix = true, .path = "/run/redis.sock"},
     "unix:///run/redis.sock"},
    {"unix://agent:pw@/run/s",
     {.is_unix = true, .path = "/run/s", .user = "agent", .password = "pw"},
     "unix:///run/s"},
    {"tcp://10.0.0.1:6380", {.host = "10.0.0.1", .port = 6380}, "tcp://10.0.0.1:6380"},
    {"tcp://secret@h:1", {.host = "h", .port = 1, .password = "secret"}, "tcp://h:1"},
    {"redis://u:p%40%2f@h/3",
     {.host = "h", .port = 6379, .user = "u", .password = "p@/", .db = 3},
     "tcp://h:6379/3"},
    {"redis://:p@h:7/", {.host = "h", .port = 7, .password = "p"}, "tcp://h:7"},
    {"tcp://u:a@b@h:7", {.host = "h", .port = 7, .user = "u", .password = "a@b"}, "tcp://h:7"},
    {"tcp://[2001:db8::1]:5/2",
     {.host = "2001:db8::1", .port = 5, .db = 2},
     "tcp://[2001:db8::1]:5/2"},
    {"tcp://[::1]", {.host = "::1", .port = 6379}, "tcp://[::1]:6379"},
    {"tcp://localhost", {.host = "localhost", .port = 6379}, "tcp://localhost:6379"},
};

START_TEST(test_url_forms)
{
    struct bus_url url;
    char why[BUS_WHY_MAX];

    ck_assert_msg(bus_url_parse(&url, urls[_i].text, why) == ERR_OK, "%s: %s", urls[_i].text, why);
    ck_assert(url.is_unix == urls[_i].want.is_unix);
    ck_assert_str_eq(url.path, urls[_i].want.path);
    ck_assert_str_eq(url.host, urls[_i].want.host);
    ck_assert_uint_eq(url.port, urls[_i].want.port);
    ck_assert_str_eq(url.user, urls[_i].want.user);
    ck_assert_str_eq(url.password, urls[_i].want.password);
    ck_assert_uint_eq(url.db, urls[_i].want.db);
    bus_url_print(why, &url);
    ck_assert_str_eq(why, urls[_i].printed);
}
END_TEST

static const char *const bad_urls[] = {
    "",
    "redis",
    "http://h:1",
    "unix://",
    "unix://relative",
    "unix:///",
    ("unix:///0123456789012345678901234567890123456789/123456789012345678901234567890123456789/1234"
     "5678901234567890123456789"),
    "tcp://",
    "tcp://:6379",
    "tcp://h:0",
    "tcp://h:65536",
    "tcp://h:01",
    "tcp://h:1x",
    "tcp://h:",
    "tcp://h/x",
    "tcp://h/-1",
    "tcp://h/1/2",
    "tcp://h/99999999999",
    "tcp://[::1",
    "tcp://[name]:1",
    "tcp://::1:6379",
    "tcp://a b:1",
    "tcp://u:%zz@h",
    "tcp://u:%4",
    "tcp://u:%00@h",
    "tcp://h?x=1",
};

START_TEST(test_url_bad_ones_say_why)
{
    struct bus_url url = {.port = 7};
    char why[BUS_WHY_MAX] = "";

    ck_assert_msg(bus_url_parse(&url, bad_urls[_i], why) == ERR_INVALID, "%s", bad_urls[_i]);
    ck_assert(strncmp(why, "bus URL: ", 9) == 0);
    ck_assert_uint_eq(url.port, 7); /* untouched */
}
END_TEST

/* Every prefix and every changed byte: never a crash, never an over-read (the copy ends the block).
 */
START_TEST(test_url_damage)
{
    static const char good[] = "redis://user:pa%40ss@[2001:db8::1]:6379/12";
    struct bus_url url;
    char why[BUS_WHY_MAX], copy[sizeof(good)];

    for (size_t n = 0; n < sizeof(good); n++) {
        memcpy(copy, good, sizeof(good));
        copy[n] = '\0';
        (void)bus_url_parse(&url, copy, why);
        for (int value = 1; value < 256; value++) {
            memcpy(copy, good, sizeof(good));
            if (n + 1 < sizeof(good))
                copy[n] = (char)value;
            (void)bus_url_parse(&url, copy, why);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/name");
    TCase *tc = tcase_create("keys"), *url = tcase_create("url");

    tcase_add_test(tc, test_name_keys_carry_the_prefix);
    tcase_add_test(tc, test_name_zbus_queues_have_none);
    tcase_add_loop_test(tc, test_name_command_ids, 0, COUNT(ids));
    tcase_add_test(tc, test_name_module_and_prefix);
    tcase_add_loop_test(tc, test_name_knows_its_own_keys, 0, COUNT(owns));
    tcase_add_test(tc, test_name_random_ids_are_fresh_and_well_formed);
    suite_add_tcase(suite, tc);
    tcase_add_loop_test(url, test_url_forms, 0, COUNT(urls));
    tcase_add_loop_test(url, test_url_bad_ones_say_why, 0, COUNT(bad_urls));
    tcase_add_test(url, test_url_damage);
    suite_add_tcase(suite, url);
    return run_suite(suite);
}
