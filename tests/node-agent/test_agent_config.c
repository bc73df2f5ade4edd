/* SPDX-License-Identifier: Apache-2.0 */
/* agent.conf: what is taken, and the line of what is not. */
#include "node-agent/config.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int parse(struct agent_config *out, const char *text, char why[INI_WHY_MAX])
{
    return agent_config_parse(out, "a.conf", text, strlen(text), why);
}

START_TEST(test_empty_file_gives_defaults)
{
    struct agent_config config;
    char why[INI_WHY_MAX];

    ck_assert_int_eq(parse(&config, "", why), ERR_OK);
    ck_assert_str_eq(config.state_dir, "/var/lib/netwall");
    ck_assert(config.embedded);
    ck_assert(!config.zos_signatures);
    ck_assert_uint_eq(config.name_quarantine_ms, 7ull * 24 * 3600 * 1000);
    ck_assert_uint_ne(strlen(config.name), 0);
}
END_TEST

START_TEST(test_full_file_is_read)
{
    static const char text[] =
        "[node]\nname = gw1\nstate-dir = /tmp/x\n"
        "[bus]\nurl = unix:///run/redis.sock\nprefix = {gw1}\n"
        "[trust]\nauthority = " KEY "\nauthority = " KEY "\nzos-signatures = yes\n"
        "name-quarantine = 1h\n[zbus]\nserve = no\n[rmb]\nserve = yes\n"
        "[module gateway]\nexec = netwall-gateway\nconfig = /etc/g.conf\n"
        "[module other]\nexec = /bin/true\n";
    struct agent_config config;
    char why[INI_WHY_MAX];

    ck_assert_msg(parse(&config, text, why) == ERR_OK, "%s", why);
    ck_assert_str_eq(config.name, "gw1");
    ck_assert(!config.embedded);
    ck_assert_str_eq(config.bus_prefix, "{gw1}");
    ck_assert_uint_eq(config.authority_count, 2);
    ck_assert(agent_config_is_authority(&config, KEY));
    ck_assert_uint_eq(config.name_quarantine_ms, 3600000);
    ck_assert_int_eq(config.zbus, AGENT_ZBUS_NO);
    ck_assert_uint_eq(config.module_count, 2);
    ck_assert_str_eq(config.modules[0].config, "/etc/g.conf");
    ck_assert_str_eq(config.modules[1].name, "other");
}
END_TEST

#define LONG_60 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567"

static const struct {
    const char *text;
    const char *where;
} wrong[] = {
    {"[node]\nnmae = x\n", "a.conf:2:"},
    {"[nodes]\n", "a.conf:1:"},
    {"[node]\nname = a b\n", "a.conf:2:"},
    {"[node]\nstate-dir = relative\n", "a.conf:2:"},
    {"[bus]\n\nurl = http://x\n", "a.conf:3:"},
    {"[bus]\nprefix = a b\n", "a.conf:2:"},
    {"[bus]\nsocket = /" LONG_60 LONG_60 "\n", "a.conf:2:"},
    {"[trust]\nauthority = abc\n", "a.conf:2:"},
    {"[trust]\nzos-signatures = maybe\n", "a.conf:2:"},
    {"[zbus]\nserve = perhaps\n", "a.conf:2:"},
    {"[module]\nexec = x\n", "a.conf:1:"},
    {"[module Gate]\nexec = x\n", "a.conf:1:"},
    {"[module a]\nexec = x\n[module a]\nexec = y\n", "a.conf:3:"},
    {"[module a]\n", "a.conf:1:"},
};

START_TEST(test_wrong_lines_are_named)
{
    struct agent_config config;
    char why[INI_WHY_MAX] = "";

    ck_assert_int_eq(parse(&config, wrong[_i].text, why), ERR_INVALID);
    ck_assert_msg(strncmp(why, wrong[_i].where, strlen(wrong[_i].where)) == 0, "%s", why);
}
END_TEST

START_TEST(test_missing_file_is_an_error)
{
    struct agent_config config;
    char why[INI_WHY_MAX] = "";

    ck_assert_int_ne(agent_config_load(&config, "/nonexistent/agent.conf", why), ERR_OK);
    ck_assert_ptr_nonnull(strstr(why, "/nonexistent/agent.conf"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/config");
    TCase *tc = tcase_create("config");

    tcase_add_test(tc, test_empty_file_gives_defaults);
    tcase_add_test(tc, test_full_file_is_read);
    tcase_add_loop_test(tc, test_wrong_lines_are_named, 0, COUNT(wrong));
    tcase_add_test(tc, test_missing_file_is_an_error);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
