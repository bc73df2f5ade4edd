/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of our own answers: a page on the HTTP port, an alert on the TLS port, else nothing. */
#include "modules/gateway/answer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

/* The answer as text, for free(). */
static char *text_of(char *answer, size_t len)
{
    char *text = realloc(answer, len + 1);

    ck_assert_ptr_nonnull(text);
    text[len] = '\0';
    return text;
}

static char *page(struct gw_refusal refusal)
{
    size_t len;
    char *answer = gw_answer_page(&refusal, &len);

    ck_assert_ptr_nonnull(answer);
    return text_of(answer, len);
}

START_TEST(test_answer_each_reason_gets_its_page_and_its_alert_or_nothing)
{
    enum gw_reason reason = (enum gw_reason)_i;
    size_t len = 1;
    char *answer = gw_answer_page(&(struct gw_refusal){.reason = reason}, &len);

    if (gw_reason_status(reason) != 0)
        ck_assert_int_eq(atoi(answer + 9), gw_reason_status(reason));
    else
        ck_assert(answer == NULL && len == 0);
    free(answer);
    answer = gw_answer_alert(reason, 0, &len);
    if (gw_reason_alert(reason) != 0) {
        ck_assert_uint_eq(len, GW_ALERT_RECORD_LEN);
        ck_assert_mem_eq(answer, "\x15\x03\x03\x00\x02\x02", 6);
        ck_assert_uint_eq((uint8_t)answer[6], gw_reason_alert(reason));
    } else {
        ck_assert(answer == NULL && len == 0);
    }
    free(answer);
}
END_TEST

START_TEST(test_answer_the_readers_own_status_and_alert_count)
{
    size_t len;
    char *text = page((struct gw_refusal){.reason = GW_REASON_MALFORMED, .status = 405});
    char *alert = gw_answer_alert(GW_REASON_MALFORMED, 47, &len);

    ck_assert_int_eq(atoi(text + 9), 405);
    ck_assert_uint_eq((uint8_t)alert[6], 47);
    free(text);
    free(alert);
}
END_TEST

START_TEST(test_answer_to_head_has_the_fields_without_the_page)
{
    char *text = page((struct gw_refusal){.reason = GW_REASON_UNKNOWN_NAME, .head_only = true});

    ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
}
END_TEST

static const struct {
    const char *path;
    uint16_t port;
    const char *location;
} redirects[] = {
    {"/x?y=1", 0, "https://a.example/x?y=1"},
    {"/x", 443, "https://a.example/x"},
    {"/x", 8443, "https://a.example:8443/x"},
    {"?q", 0, "https://a.example/?q"},
    {"", 0, "https://a.example/"},
};

START_TEST(test_answer_redirects_to_the_same_host_and_target)
{
    struct http_page target = {.status = 308,
                               .host = "a.example",
                               .port = redirects[_i].port,
                               .path = redirects[_i].path,
                               .path_len = strlen(redirects[_i].path)};
    char want[256], *text;
    size_t len;

    (void)snprintf(want, sizeof(want), "\r\nLocation: %s\r\n", redirects[_i].location);
    text = gw_answer_notice(&target, &len);
    text = text_of(text, len);
    ck_assert_int_eq(atoi(text + 9), 308);
    ck_assert_ptr_nonnull(strstr(text, want));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_answer");
    TCase *tc = tcase_create("answer");

    tcase_add_loop_test(tc, test_answer_each_reason_gets_its_page_and_its_alert_or_nothing, 0,
                        GW_REASONS);
    tcase_add_test(tc, test_answer_the_readers_own_status_and_alert_count);
    tcase_add_test(tc, test_answer_to_head_has_the_fields_without_the_page);
    tcase_add_loop_test(tc, test_answer_redirects_to_the_same_host_and_target, 0,
                        sizeof(redirects) / sizeof(redirects[0]));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
