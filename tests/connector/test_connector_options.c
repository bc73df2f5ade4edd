/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, and which of file, flags and environment counts. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "modules/connector/options.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define KEY "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"
#define GATEWAY "gw.test:7443#" KEY

static struct con_options options;

/* Parse the words of ARGV (NULL ends them) after the program's name. */
static int parse(const char *const *words)
{
    char *argv[16] = {(char *)"netwall-connector"};
    int argc = 1;

    while (words[argc - 1] != NULL) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    return con_options_parse(&options, argc, argv);
}

START_TEST(test_options_alone_make_a_config)
{
    static const char *const words[] = {
        "--key", "k", "--gateway=" GATEWAY, "--service", "web=h.test:80", "--twin", "7", "--name",
        "w",     NULL};
    char why[CON_WHY_CAP] = "";
    struct con_config *config;

    ck_assert_int_eq(parse(words), -1);
    config = con_options_config(&options, why);
    ck_assert_msg(config != NULL, "%s", why);
    ck_assert_str_eq(config->key_path, "k");
    ck_assert_str_eq(config->name, "w");
    ck_assert_uint_eq(config->twin, 7);
    ck_assert_uint_eq(config->gateway_count, 1);
    ck_assert_uint_eq(config->service_count, 1);
    free(config);
}
END_TEST

START_TEST(test_options_count_over_the_file)
{
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "c.conf");
    const char *words[] = {"--config", path, "--key", "/other", "--service", "ssh=h.test:22", NULL};
    char why[CON_WHY_CAP] = "";
    struct con_config *config;
    FILE *file = fopen(path, "w");

    fputs("[connector]\nkey = k\n[gateway a]\naddress = h.test:1\npublic-key = " KEY
          "\n[service web]\ntarget = h.test:80\n",
          file);
    fclose(file);
    ck_assert_int_eq(parse(words), -1);
    config = con_options_config(&options, why);
    ck_assert_msg(config != NULL, "%s", why);
    ck_assert_str_eq(config->key_path, "/other");
    ck_assert_uint_eq(config->service_count, 2);
    free(config);
    free(path);
    temp_dir_free(dir);
}
END_TEST

static const struct {
    const char *words[6];
    const char *why;
} bad[] = {
    {{"--key", "k", NULL}, "no gateway"},
    {{"--gateway", GATEWAY, NULL}, "no service"},
    {{"--gateway", "gw.test:7443", NULL}, "gateway \""},
    {{"--service", "web", NULL}, "service \""},
    {{"--twin", "x", NULL}, "twin \""},
    {{"--config", "/nonexistent/c.conf", NULL}, "/nonexistent/c.conf"},
};

START_TEST(test_options_incomplete_or_wrong_say_why)
{
    char why[CON_WHY_CAP] = "";

    ck_assert_int_eq(parse(bad[_i].words), -1);
    ck_assert_ptr_null(con_options_config(&options, why));
    ck_assert_msg(strstr(why, bad[_i].why) != NULL, "\"%s\" lacks \"%s\"", why, bad[_i].why);
}
END_TEST

START_TEST(test_options_flags_without_a_value)
{
    static const char *const words[] = {"--check-wall", "--allow-group-key", "--check-config",
                                        NULL};

    ck_assert_int_eq(parse(words), -1);
    ck_assert(options.check_wall && options.allow_group && options.args.check_config);
}
END_TEST

START_TEST(test_options_unknown_one_is_usage)
{
    static const char *const words[] = {"--listen", "80", NULL};

    ck_assert_int_eq(parse(words), DAEMON_EXIT_USAGE);
}
END_TEST

START_TEST(test_options_too_many_items_are_refused)
{
    static char *argv[2 * CON_OPTIONS_ITEMS_MAX + 4] = {(char *)"netwall-connector"};
    int argc = 1;

    for (int i = 0; i <= CON_OPTIONS_ITEMS_MAX; i++) {
        argv[argc++] = (char *)"--service";
        argv[argc++] = (char *)"web=h.test:80";
    }
    ck_assert_int_eq(con_options_parse(&options, argc, argv), DAEMON_EXIT_USAGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/options");
    TCase *tc = tcase_create("options");

    tcase_add_test(tc, test_options_alone_make_a_config);
    tcase_add_test(tc, test_options_count_over_the_file);
    tcase_add_loop_test(tc, test_options_incomplete_or_wrong_say_why, 0, COUNT(bad));
    tcase_add_test(tc, test_options_flags_without_a_value);
    tcase_add_test(tc, test_options_unknown_one_is_usage);
    tcase_add_test(tc, test_options_too_many_items_are_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
