/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's own answers: complete, closing, and without anything of the visitor's in them. */
#include "modules/http/page.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/http/template.h"
#include "tests/support/suite.h"

static const int statuses[] = {400, 403, 404, 405, 408, 414, 429, 431, 501, 502, 503, 504, 505};

static const char *print(char *out, const struct http_page *page)
{
    size_t n = http_page_print(out, HTTP_PAGE_MAX - 1, page);

    ck_assert_uint_gt(n, 0);
    out[n] = '\0';
    return out;
}

START_TEST(test_every_page_closes_and_carries_proxy_status)
{
    struct http_page page = {.status = statuses[_i], .proxy_error = "http_request_error"};
    char mem[HTTP_PAGE_MAX];
    const char *text = print(mem, &page);
    const char *length = strstr(text, "Content-Length: ");
    const char *body = strstr(text, "\r\n\r\n") + 4;

    ck_assert_int_eq(atoi(text + strlen("HTTP/1.1 ")), statuses[_i]);
    ck_assert_ptr_nonnull(strstr(text, "\r\nConnection: close\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "\r\nProxy-Status: netwall; error=http_request_error\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
    ck_assert_uint_eq(strtoul(length + 16, NULL, 10), strlen(body));
}
END_TEST

START_TEST(test_answer_to_head_has_no_body)
{
    struct http_page page = {.status = 404, .head_only = true};
    char mem[HTTP_PAGE_MAX];
    const char *text = print(mem, &page);

    ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(text, "\r\nProxy-Status: netwall\r\n"));
}
END_TEST

START_TEST(test_retry_after_is_written_when_asked_for)
{
    struct http_page page = {.status = 503, .retry_after_s = 7};
    char mem[HTTP_PAGE_MAX];

    ck_assert_ptr_nonnull(strstr(print(mem, &page), "\r\nRetry-After: 7\r\n"));
    page.retry_after_s = 0;
    ck_assert_ptr_null(strstr(print(mem, &page), "Retry-After"));
}
END_TEST

START_TEST(test_answer_for_the_gateway_itself_says_what_is_allowed)
{
    struct http_page page = {.status = 200};
    char mem[HTTP_PAGE_MAX];
    const char *text = print(mem, &page);

    ck_assert_int_eq(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
    ck_assert_ptr_nonnull(strstr(text, "\r\nAllow: GET, HEAD, "));
}
END_TEST

static const struct {
    uint16_t port;
    const char *path;
    const char *want;
} redirects[] = {
    {0, "/a?b", "\r\nLocation: https://a.example/a?b\r\n"},
    {443, "/", "\r\nLocation: https://a.example/\r\n"},
    {8443, "", "\r\nLocation: https://a.example:8443/\r\n"},
    {0, "?q", "\r\nLocation: https://a.example/?q\r\n"},
    {0, "//b.example/", "\r\nLocation: https://a.example//b.example/\r\n"},
};

START_TEST(test_redirect_keeps_host_and_target)
{
    struct http_page page = {.status = 308,
                             .host = "a.example",
                             .port = redirects[_i].port,
                             .path = redirects[_i].path,
                             .path_len = strlen(redirects[_i].path)};
    char mem[HTTP_PAGE_MAX];

    ck_assert_ptr_nonnull(strstr(print(mem, &page), redirects[_i].want));
}
END_TEST

static struct http_template *template_of(const char *text)
{
    struct http_template *template = NULL;
    char why[HTTP_TEMPLATE_WHY_MAX];
    size_t line;

    ck_assert_int_eq(http_template_parse(&template, text, strlen(text), &line, why), ERR_OK);
    return template;
}

START_TEST(test_a_template_replaces_the_page_of_every_error)
{
    struct http_template *template = template_of("<h1>{{status}}</h1>{{message}}{{request_id}}");
    struct http_page page = {
        .status = statuses[_i], .template = template, .request_id = "ab12", .words = "Sorry."};
    char mem[HTTP_PAGE_MAX], want[64];
    const char *text = print(mem, &page), *body = strstr(text, "\r\n\r\n") + 4;

    (void)snprintf(want, sizeof(want), "<h1>%d</h1>Sorry.ab12", statuses[_i]);
    ck_assert_str_eq(body, want);
    ck_assert_uint_eq(strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10), strlen(want));
    ck_assert_ptr_nonnull(strstr(text, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    http_template_free(template);
}
END_TEST

START_TEST(test_a_template_is_not_for_redirects)
{
    struct http_template *template = template_of("error!");
    struct http_page page = {.status = 308, .host = "a", .path = "/", .path_len = 1};
    char mem[HTTP_PAGE_MAX];

    page.template = template;
    ck_assert_ptr_null(strstr(print(mem, &page), "error!"));
    http_template_free(template);
}
END_TEST

START_TEST(test_answer_to_head_has_the_length_of_the_template)
{
    struct http_template *template = template_of("12345");
    struct http_page page = {.status = 502, .template = template, .head_only = true};
    char mem[HTTP_PAGE_MAX];
    const char *text = print(mem, &page);

    ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(text, "\r\nContent-Length: 5\r\n"));
    http_template_free(template);
}
END_TEST

START_TEST(test_a_large_template_fits_where_it_was_told)
{
    char *text = malloc(HTTP_TEMPLATE_MAX + 1), *out;
    struct http_page page = {.status = 429, .retry_after_s = 5, .proxy_error = "x"};
    struct http_template *template;
    size_t max, len;

    memset(text, 'a', HTTP_TEMPLATE_MAX);
    text[HTTP_TEMPLATE_MAX] = '\0';
    page.template = template = template_of(text);
    max = http_page_max(&page);
    out = malloc(max);
    len = http_page_print(out, max, &page);
    ck_assert_uint_gt(len, HTTP_TEMPLATE_MAX);
    ck_assert_uint_eq(http_page_print(out, len - 1, &page), 0);
    http_template_free(template);
    free(text);
    free(out);
}
END_TEST

START_TEST(test_what_does_not_fit_is_not_cut)
{
    struct http_page page = {.status = 404};
    char mem[HTTP_PAGE_MAX];
    size_t full = http_page_print(mem, sizeof(mem), &page);

    for (size_t cap = 0; cap < full; cap++)
        ck_assert_uint_eq(http_page_print(mem, cap, &page), 0);
    page.status = 299;
    ck_assert_uint_eq(http_page_print(mem, sizeof(mem), &page), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_page");
    TCase *tc = tcase_create("page");

    tcase_add_loop_test(tc, test_every_page_closes_and_carries_proxy_status, 0,
                        (int)COUNT(statuses));
    tcase_add_test(tc, test_answer_to_head_has_no_body);
    tcase_add_test(tc, test_answer_for_the_gateway_itself_says_what_is_allowed);
    tcase_add_test(tc, test_retry_after_is_written_when_asked_for);
    tcase_add_loop_test(tc, test_redirect_keeps_host_and_target, 0, (int)COUNT(redirects));
    tcase_add_test(tc, test_what_does_not_fit_is_not_cut);
    tcase_add_loop_test(tc, test_a_template_replaces_the_page_of_every_error, 0, COUNT(statuses));
    tcase_add_test(tc, test_a_template_is_not_for_redirects);
    tcase_add_test(tc, test_answer_to_head_has_the_length_of_the_template);
    tcase_add_test(tc, test_a_large_template_fits_where_it_was_told);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
