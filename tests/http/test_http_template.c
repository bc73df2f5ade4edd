/* SPDX-License-Identifier: Apache-2.0 */
/* Error page templates: holes, braces, what is refused with its line, what is printed. */
#include "modules/http/template.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static struct http_template *template;
static char why[HTTP_TEMPLATE_WHY_MAX];
static size_t line;
static const struct http_template_values usual = {
    .status = 404, .reason = "Not Found", .message = "Nothing is here.", .request_id = "01ab-7"};

static int parse(const char *text, size_t len)
{
    char *copy = exact_copy(text, len);
    int rc;

    why[0] = '\0';
    rc = http_template_parse(&template, copy, len, &line, why);
    free(copy);
    return rc;
}

/* The page for free(); the template is gone then. */
static char *page(const char *text, const struct http_template_values *values)
{
    size_t len;
    char *out;

    ck_assert_msg(parse(text, strlen(text)) == ERR_OK, "%s", why);
    len = http_template_len(template, values);
    out = malloc(len + 1);
    ck_assert_uint_eq(http_template_print(out, template, values), len);
    out[len] = '\0';
    http_template_free(template);
    return out;
}

static const struct {
    const char *text;
    const char *want;
} pages[] = {
    {"plain\n", "plain\n"},
    {"{{status}} {{reason}}: {{message}} ({{request_id}})",
     "404 Not Found: Nothing is here. (01ab-7)"},
    {"{{  status }}{{status}}", "404404"},
    {"a{{{{b}}c}", "a{{b}}c}"},
    {"{{{{status}}", "{{status}}"},
    {"{{{{{{status}}", "{{404"},
    {"{ {status}", "{ {status}"},
    {"{{status}}\n}}\n", "404\n}}\n"},
    {"\xc3\xa4{{status}}", "\xc3\xa4"
                           "404"},
};

START_TEST(test_template_holes_are_filled_and_the_rest_stays)
{
    char *out = page(pages[_i].text, &usual);

    ck_assert_str_eq(out, pages[_i].want);
    free(out);
}
END_TEST

static const struct {
    const char *text;
    size_t line;
    const char *want; /* part of the reason */
} wrong[] = {
    {"", 1, "is empty"},
    {"\n\n{{host}}\n", 3, "\"{{host}}\" is not {{status}}"},
    {"a\n{{status}}\nb {{ Status }}", 3, "{{Status}}"},
    {"{{}}", 1, "{{}}"},
    {"{{status reason}}", 1, "\"{{status\" is not"},
    {"a\n{{status\n}}\n", 2, "not closed"},
    {"x{{", 1, "not closed"},
    {"{{{", 1, "not closed"},
    {"\n{{status}", 2, "not closed"},
    {"{{a\x1b[31m}}", 1, "\"{{a\" is not"},
};

START_TEST(test_template_faults_name_their_line)
{
    ck_assert_int_eq(parse(wrong[_i].text, strlen(wrong[_i].text)), ERR_INVALID);
    ck_assert_uint_eq(line, wrong[_i].line);
    ck_assert_msg(strstr(why, wrong[_i].want) != NULL, "%s", why);
}
END_TEST

START_TEST(test_template_nul_bytes_are_refused)
{
    ck_assert_int_eq(parse("a\nb\0c", 5), ERR_INVALID);
    ck_assert_uint_eq(line, 2);
    ck_assert_str_eq(why, "holds a NUL byte");
}
END_TEST

START_TEST(test_template_has_a_longest_text_and_most_holes)
{
    char *text = malloc(HTTP_TEMPLATE_MAX + 1);

    memset(text, 'x', HTTP_TEMPLATE_MAX + 1);
    ck_assert_int_eq(parse(text, HTTP_TEMPLATE_MAX), ERR_OK);
    http_template_free(template);
    ck_assert_int_eq(parse(text, HTTP_TEMPLATE_MAX + 1), ERR_INVALID);
    for (size_t i = 0; i <= HTTP_TEMPLATE_HOLES_MAX; i++)
        memcpy(text + 10 * i, "{{status}}", 10);
    ck_assert_int_eq(parse(text, (size_t)10 * HTTP_TEMPLATE_HOLES_MAX), ERR_OK);
    http_template_free(template);
    ck_assert_int_eq(parse(text, (size_t)10 * (HTTP_TEMPLATE_HOLES_MAX + 1)), ERR_INVALID);
    ck_assert_msg(strstr(why, "too many") != NULL, "%s", why);
    free(text);
}
END_TEST

static const char *const strange_ids[] = {"<script>", "a b",        "a\"",      "a'b",
                                          "a&b",      "{{status}}", "\xc3\xa4", "a\nb"};

START_TEST(test_template_takes_no_id_but_a_plain_one)
{
    struct http_template_values values = usual;
    char *out;

    values.request_id = strange_ids[_i];
    out = page("[{{request_id}}]", &values);
    ck_assert_str_eq(out, "[]");
    free(out);
    values.request_id = NULL;
    out = page("[{{request_id}}]", &values);
    ck_assert_str_eq(out, "[]");
    free(out);
}
END_TEST

/* Every prefix of a page is taken or refused; nothing else happens. */
START_TEST(test_template_cut_anywhere_is_safe)
{
    static const char text[] = "<p>{{{{ {{status}}\n{{ message }}</p>{{request_id}} }} {{reason}}";

    for (size_t n = 0; n < sizeof(text); n++) {
        if (parse(text, n) == ERR_OK)
            http_template_free(template);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/template");
    TCase *tc = tcase_create("template");

    tcase_add_loop_test(tc, test_template_holes_are_filled_and_the_rest_stays, 0, COUNT(pages));
    tcase_add_loop_test(tc, test_template_faults_name_their_line, 0, COUNT(wrong));
    tcase_add_test(tc, test_template_nul_bytes_are_refused);
    tcase_add_test(tc, test_template_has_a_longest_text_and_most_holes);
    tcase_add_loop_test(tc, test_template_takes_no_id_but_a_plain_one, 0, COUNT(strange_ids));
    tcase_add_test(tc, test_template_cut_anywhere_is_safe);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
