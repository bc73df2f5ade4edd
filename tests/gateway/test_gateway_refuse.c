/* SPDX-License-Identifier: Apache-2.0 */
/* The table of refusals (INTERFACE section 8), and the answers made from it. */
#include "modules/gateway/refuse.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "modules/gateway/answer.h"
#include "modules/gateway/sni.h"
#include "modules/http/page.h"
#include "tests/support/suite.h"

static const struct {
    enum gw_reason reason;
    int status; /* 0 = close */
    int alert;  /* 0 = close */
} rows[] = {
    {GW_REASON_UNKNOWN_NAME, 404, 112},
    {GW_REASON_NO_NAME, 404, 112},
    {GW_REASON_NOT_PASSTHROUGH, 404, 112},
    {GW_REASON_HTTP_OFF, 404, 112},
    {GW_REASON_PAUSED, 503, 112},
    {GW_REASON_NO_CONNECTOR, 503, 80},
    {GW_REASON_BACKEND_REFUSED, 502, 80},
    {GW_REASON_OPEN_TIMEOUT, 504, 80},
    {GW_REASON_BAD_ANSWER, 502, 0},
    {GW_REASON_ANSWER_TIMEOUT, 504, 0},
    {GW_REASON_ANSWER_CUT, 502, 0},
    {GW_REASON_NOT_TLS, 0, 0},
    {GW_REASON_EARLY_EOF, 0, 0},
    {GW_REASON_MALFORMED, 400, 50},
    {GW_REASON_FIRST_BYTES_TIMEOUT, 408, 0},
    {GW_REASON_NOT_ALLOWED, 403, 0},
    {GW_REASON_CONNECTION_LIMIT, 429, 0},
    {GW_REASON_RATE_LIMIT, 429, 0},
    {GW_REASON_SOURCE_LIMIT, 429, 0},
    {GW_REASON_TUNNEL_UNKNOWN_KEY, 0, 0},
    {GW_REASON_TUNNEL_HANDSHAKE, 0, 0},
};

START_TEST(test_each_reason_has_its_status_and_alert)
{
    ck_assert_int_eq(gw_reason_status(rows[_i].reason), rows[_i].status);
    ck_assert_int_eq(gw_reason_alert(rows[_i].reason), rows[_i].alert);
}
END_TEST

START_TEST(test_every_reason_has_a_name_of_its_own)
{
    for (enum gw_reason a = GW_REASON_NONE; a < GW_REASONS; a++) {
        ck_assert_ptr_nonnull(gw_reason_name(a));
        for (enum gw_reason b = GW_REASON_NONE; b < a; b++)
            ck_assert_str_ne(gw_reason_name(a), gw_reason_name(b));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_refuse");
    TCase *tc = tcase_create("refuse");

    tcase_add_loop_test(tc, test_each_reason_has_its_status_and_alert, 0, COUNT(rows));
    tcase_add_test(tc, test_every_reason_has_a_name_of_its_own);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
