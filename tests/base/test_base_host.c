/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/host.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define N253 L63 "." L63 "." L63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct row {
    const char *text;
    int want;
    const char *canonical;
};

static const struct row names[] = {
    {"blog.example.org", ERR_OK, "blog.example.org"},
    {"BLOG.Example.ORG", ERR_OK, "blog.example.org"},
    {"blog.example.org.", ERR_OK, "blog.example.org"},
    {"localhost", ERR_OK, "localhost"},
    {"a", ERR_OK, "a"},
    {"_acme.a_b.x--y.example", ERR_OK, "_acme.a_b.x--y.example"},
    {"xn--bcher-kva.example", ERR_OK, "xn--bcher-kva.example"},
    {"1.2.3.4.5", ERR_OK, "1.2.3.4.5"},
    {"4.blog", ERR_OK, "4.blog"},
    {"127.0.0.1.example", ERR_OK, "127.0.0.1.example"},
    {L63 ".org", ERR_OK, L63 ".org"},
    {N253, ERR_OK, N253},
    {N253 ".", ERR_OK, N253},
    {N253 "a", ERR_INVALID, ""},
    {N253 "a.", ERR_INVALID, ""},
    {L63 "a.org", ERR_INVALID, ""},
    {"", ERR_INVALID, ""},
    {".", ERR_INVALID, ""},
    {"..", ERR_INVALID, ""},
    {"a..", ERR_INVALID, ""},
    {".a", ERR_INVALID, ""},
    {"a..b", ERR_INVALID, ""},
    {"-a.b", ERR_INVALID, ""},
    {"a-.b", ERR_INVALID, ""},
    {"a.-", ERR_INVALID, ""},
    {"*.example.org", ERR_INVALID, ""},
    {"a b", ERR_INVALID, ""},
    {" a", ERR_INVALID, ""},
    {"a:80", ERR_INVALID, ""},
    {"user@a", ERR_INVALID, ""},
    {"a/b", ERR_INVALID, ""},
    {"b\xc3\xbc"
     "cher.example",
     ERR_INVALID, ""},
    {"192.0.2.1", ERR_REFUSED, ""},
    {"192.0.2.1.", ERR_REFUSED, ""},
    {"127.1", ERR_REFUSED, ""},
    {"2130706433", ERR_REFUSED, ""},
    {"0x7f000001", ERR_REFUSED, ""},
    {"0X7F.1", ERR_REFUSED, ""},
    {"0177.0.0.01", ERR_REFUSED, ""},
    {"0", ERR_REFUSED, ""},
    {"::1", ERR_REFUSED, ""},
    {"[::1]", ERR_REFUSED, ""},
    {"[2001:DB8::1]", ERR_REFUSED, ""},
    {"::ffff:192.0.2.1", ERR_REFUSED, ""},
    {"[::1", ERR_INVALID, ""},
    {"::1]", ERR_INVALID, ""},
    {"[]", ERR_INVALID, ""},
    {"[example.org]", ERR_INVALID, ""},
    {"[192.0.2.1]", ERR_INVALID, ""},
    {"[fe80::1%eth0]", ERR_INVALID, ""},
};

START_TEST(test_host_canonical_form)
{
    const struct row *row = &names[_i];
    char out[HOST_CAP] = "before";

    ck_assert_msg(host_canon(out, row->text, strlen(row->text)) == row->want, "%s", row->text);
    ck_assert_str_eq(out, row->canonical);
}
END_TEST

/* _i is the byte: anywhere in a label only letters, digits, '-' and '_' pass. */
START_TEST(test_host_takes_no_other_byte)
{
    char text[] = "ab.cd", out[HOST_CAP];
    int c = _i, good;

    good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    text[1] = (char)c;
    if (c != '.' && c != '-')
        ck_assert_int_eq(host_canon(out, text, 5), good ? ERR_OK : ERR_INVALID);
    else
        ck_assert_int_eq(host_canon(out, text, 5), ERR_INVALID); /* empty label, edge */
}
END_TEST

START_TEST(test_host_needs_no_nul_and_reads_no_further)
{
    char *text = exact_copy("example", 7), out[HOST_CAP];

    ck_assert_int_eq(host_canon(out, text, 7), ERR_OK);
    ck_assert_str_eq(out, "example");
    ck_assert_int_eq(host_canon_wild(out, text, 1), ERR_OK);
    ck_assert_int_eq(host_canon(out, text, 0), ERR_INVALID);
    free(text);
}
END_TEST

START_TEST(test_host_embedded_nul_is_refused)
{
    char out[HOST_CAP];

    ck_assert_int_eq(host_canon(out, "a\0b", 3), ERR_INVALID);
    ck_assert_int_eq(host_canon(out, "::1\0", 4), ERR_INVALID);
    ck_assert_int_eq(host_canon(out, "a\0", 2), ERR_INVALID);
}
END_TEST

static const struct row wild[] = {
    {"*.Example.org.", ERR_OK, "*.example.org"},
    {"*.org", ERR_OK, "*.org"},
    {"plain.example", ERR_OK, "plain.example"},
    {"*", ERR_INVALID, ""},
    {"*.", ERR_INVALID, ""},
    {"*.*.org", ERR_INVALID, ""},
    {"a.*.org", ERR_INVALID, ""},
    {"*a.org", ERR_INVALID, ""},
    {"a*.org", ERR_INVALID, ""},
    {"**.org", ERR_INVALID, ""},
    {"*..org", ERR_INVALID, ""},
    {"*.192.0.2.1", ERR_REFUSED, ""},
    {"*.1", ERR_REFUSED, ""},
    {"*." N253, ERR_INVALID, ""},
};

START_TEST(test_host_wildcard_is_a_whole_first_label)
{
    const struct row *row = &wild[_i];
    char out[HOST_CAP] = "before";

    ck_assert_msg(host_canon_wild(out, row->text, strlen(row->text)) == row->want, "%s", row->text);
    ck_assert_str_eq(out, row->canonical);
}
END_TEST

START_TEST(test_host_wildcard_counts_in_the_length)
{
    char text[HOST_CAP + 2] = "*.", out[HOST_CAP];

    memcpy(text + 2, N253, 253);
    ck_assert_int_eq(host_canon_wild(out, text, 253), ERR_OK);
    ck_assert_uint_eq(strlen(out), 253);
    ck_assert_int_eq(host_canon_wild(out, text, 254), ERR_INVALID);
}
END_TEST

START_TEST(test_host_label_alone)
{
    char out[HOST_LABEL_MAX + 1];

    ck_assert_int_eq(host_label(out, "Blog-1_x", 8), ERR_OK);
    ck_assert_str_eq(out, "blog-1_x");
    ck_assert_int_eq(host_label(out, "123", 3), ERR_OK);
    ck_assert_int_eq(host_label(out, L63, 63), ERR_OK);
    ck_assert_int_eq(host_label(out, L63 "a", 64), ERR_INVALID);
    ck_assert_int_eq(host_label(out, "", 0), ERR_INVALID);
    ck_assert_int_eq(host_label(out, "a.b", 3), ERR_INVALID);
    ck_assert_int_eq(host_label(out, "*", 1), ERR_INVALID);
    ck_assert_int_eq(host_label(out, "-", 1), ERR_INVALID);
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(test_host_under_looks_at_whole_labels)
{
    ck_assert(host_under("gw.tld", "gw.tld"));
    ck_assert(host_under("a.b.gw.tld", "gw.tld"));
    ck_assert(!host_under("evilgw.tld", "gw.tld"));
    ck_assert(!host_under("tld", "gw.tld"));
    ck_assert(!host_under("gw.tld.evil", "gw.tld"));
    ck_assert(!host_under("a.b", ""));
    ck_assert(!host_under("", "a"));
}
END_TEST

START_TEST(test_host_parent_drops_one_label)
{
    ck_assert_str_eq(host_parent("a.b.c"), "b.c");
    ck_assert_str_eq(host_parent("*.b.c"), "b.c");
    ck_assert_str_eq(host_parent("c"), "");
    ck_assert_str_eq(host_parent(""), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/host");
    TCase *tc = tcase_create("host");

    tcase_add_loop_test(tc, test_host_canonical_form, 0, COUNT(names));
    tcase_add_loop_test(tc, test_host_takes_no_other_byte, 0, 256);
    tcase_add_test(tc, test_host_needs_no_nul_and_reads_no_further);
    tcase_add_test(tc, test_host_embedded_nul_is_refused);
    tcase_add_loop_test(tc, test_host_wildcard_is_a_whole_first_label, 0, COUNT(wild));
    tcase_add_test(tc, test_host_wildcard_counts_in_the_length);
    tcase_add_test(tc, test_host_label_alone);
    tcase_add_test(tc, test_host_under_looks_at_whole_labels);
    tcase_add_test(tc, test_host_parent_drops_one_label);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
