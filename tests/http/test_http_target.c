/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of the request target; what an authority is. */
#include "modules/http/target.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static const struct {
    const char *target;
    bool is_options, sound;
    const char *path, *host; /* when sound; host NULL = none in the target */
} targets[] = {
    {"/", false, true, "/", NULL},
    {"/a?b", true, true, "/a?b", NULL},
    {"//b.example/", false, true, "//b.example/", NULL},
    {"*", true, true, "", NULL},
    {"http://A.example/x", false, true, "/x", "a.example"},
    {"HTTP://a.example:81?q", false, true, "?q", "a.example"},
    {"http://a.example", true, true, "", "a.example"},
    {"http://a.example/b@c", false, true, "/b@c", "a.example"},
    {"http://[::1]/", false, true, "/", ""},
    {"*", false, false, NULL, NULL},
    {"**", true, false, NULL, NULL},
    {"http://", false, false, NULL, NULL},
    {"http:/", false, false, NULL, NULL},
    {"http:///x", false, false, NULL, NULL},
    {"http://u@a.example/", false, false, NULL, NULL},
    {"http://u:p@a.example/", false, false, NULL, NULL},
    {"http://a.example:x/", false, false, NULL, NULL},
    {"http://a.example\\b/", false, false, NULL, NULL},
    {"https://a.example/", false, false, NULL, NULL},
    {"a.example:80", false, false, NULL, NULL},
    {"?q", false, false, NULL, NULL},
};

START_TEST(test_target_forms)
{
    struct http_target target;
    struct http_span whole = {2, strlen(targets[_i].target)};
    char data[64] = "x ";
    const char *why;

    strcat(data, targets[_i].target);
    why = http_target_parse(&target, data, whole, targets[_i].is_options);
    ck_assert((why == NULL) == targets[_i].sound);
    if (!targets[_i].sound)
        return;
    ck_assert(http_span_is(target.path, data, targets[_i].path));
    ck_assert(target.has_authority == (targets[_i].host != NULL));
    if (targets[_i].host != NULL)
        ck_assert_str_eq(target.authority.host, targets[_i].host);
}
END_TEST

static const struct {
    const char *text;
    const char *host; /* NULL = refused */
    uint16_t port;
} authorities[] = {
    {"A.Example.", "a.example", 0},
    {"a.example:", "a.example", 0},
    {"a.example:1", "a.example", 1},
    {"a.example:65535", "a.example", 65535},
    {"a_b.example", "a_b.example", 0},
    {"192.0.2.1:80", "", 80},
    {"[2001:db8::1]:80", "", 80},
    {"a%20b", "", 0},
    {"*.example", "", 0},
    {"a..example", "", 0},
    {"", NULL, 0},
    {":80", NULL, 0},
    {"a.example:0", NULL, 0},
    {"a.example:65536", NULL, 0},
    {"a.example:000080", NULL, 0},
    {"a.example:8 0", NULL, 0},
    {"a.example:+80", NULL, 0},
    {"a.example:80:80", NULL, 0},
    {"u@a.example", NULL, 0},
    {"a.example/", NULL, 0},
    {"a b", NULL, 0},
    {"a%2", NULL, 0},
    {"a%zz", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]x", NULL, 0},
    {"[zz]", NULL, 0},
    {"::1", NULL, 0},
    {"\xc3\xa9.example", NULL, 0},
    {"a.example,b.example", "", 0}, /* a comma may stand in a reg-name: it names nothing here */
};

START_TEST(test_authorities)
{
    struct http_authority got;
    int rc = http_authority_parse(&got, authorities[_i].text, strlen(authorities[_i].text));

    if (authorities[_i].host == NULL) {
        ck_assert_int_eq(rc, ERR_INVALID);
        return;
    }
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_str_eq(got.host, authorities[_i].host);
    ck_assert_uint_eq(got.port, authorities[_i].port);
}
END_TEST

START_TEST(test_no_port_is_port_80)
{
    struct http_authority a = {"a.example", 0}, b = {"a.example", 80}, c = {"a.example", 81};

    ck_assert(http_authority_same(&a, &b));
    ck_assert(!http_authority_same(&a, &c));
    ck_assert(!http_authority_same(&a, &(struct http_authority){"b.example", 0}));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_target");
    TCase *tc = tcase_create("target");

    tcase_add_loop_test(tc, test_target_forms, 0, (int)COUNT(targets));
    tcase_add_loop_test(tc, test_authorities, 0, (int)COUNT(authorities));
    tcase_add_test(tc, test_no_port_is_port_80);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
