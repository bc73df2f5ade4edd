/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of dial targets. */
#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/connector/target.h"
#include "tests/support/suite.h"

static const struct {
    const char *text;
    const char *host; /* "" = a literal */
    uint16_t port;
} good[] = {
    {"127.0.0.1:8080", "", 8080},
    {"[2001:db8::1]:443", "", 443},
    {"unix:/run/app.sock", "", 0},
    {"db.internal:5432", "db.internal", 5432},
    {"DB.Internal.:5432", "db.internal", 5432},
    {"localhost:1", "localhost", 1},
};

START_TEST(test_target_reads)
{
    struct con_target target;

    ck_assert_int_eq(con_target_parse(&target, good[_i].text), ERR_OK);
    ck_assert(con_target_given(&target));
    ck_assert_str_eq(target.text, good[_i].text);
    ck_assert_str_eq(target.host, good[_i].host);
    if (good[_i].host[0] != '\0')
        ck_assert_uint_eq(target.port, good[_i].port);
    else
        ck_assert_uint_eq(addr_port(&target.addr), good[_i].port);
}
END_TEST

static const char *const bad[] = {
    "",
    "localhost",
    ":80",
    "localhost:",
    "localhost:0",
    "localhost:65536",
    "a b:80",
    "-x.test:80",
    "::1:80",
    "[::1]",
    "unix:",
    "unix:relative",

    "http://a:80",
};

START_TEST(test_target_refuses)
{
    struct con_target target;

    ck_assert_msg(con_target_parse(&target, bad[_i]) == ERR_INVALID, "took \"%s\"", bad[_i]);
    ck_assert(!con_target_given(&target));
}
END_TEST

START_TEST(test_target_refuses_the_longest_and_more)
{
    char text[600];
    struct con_target target;

    memset(text, 'a', sizeof(text));
    strcpy(text + sizeof(text) - 4, ":80");
    ck_assert_int_eq(con_target_parse(&target, text), ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/target");
    TCase *tc = tcase_create("parse");

    tcase_add_loop_test(tc, test_target_reads, 0, COUNT(good));
    tcase_add_loop_test(tc, test_target_refuses, 0, COUNT(bad));
    tcase_add_test(tc, test_target_refuses_the_longest_and_more);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
