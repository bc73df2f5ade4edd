/* SPDX-License-Identifier: Apache-2.0 */
/* What a field is, by its name. */
#include "modules/http/role.h"

#include <check.h>
#include <string.h>

#include "tests/support/suite.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
    const char *name;
    enum http_role role;
} names[] = {
    {"TE", HTTP_ROLE_HOP},
    {"Host", HTTP_ROLE_HOST},
    {"PROXY", HTTP_ROLE_HOP},
    {"Trailer", HTTP_ROLE_HOP},
    {"Upgrade", HTTP_ROLE_UPGRADE},
    {"Connection", HTTP_ROLE_CONNECTION},
    {"Keep-Alive", HTTP_ROLE_HOP},
    {"keep_alive", HTTP_ROLE_HOP},
    {"Content-Length", HTTP_ROLE_CONTENT_LENGTH},
    {"Content_Length", HTTP_ROLE_HOP},
    {"HTTP2-Settings", HTTP_ROLE_HOP},
    {"Proxy-Connection", HTTP_ROLE_HOP},
    {"Transfer-Encoding", HTTP_ROLE_TRANSFER_ENCODING},
    {"transfer_encoding", HTTP_ROLE_HOP},
    {"Expect", HTTP_ROLE_EXPECT},
    {"Max-Forwards", HTTP_ROLE_MAX_FORWARDS},
    {"max_forwards", HTTP_ROLE_MAX_FORWARDS},
    {"Forwarded", HTTP_ROLE_FORWARDED},
    {"X-Forwarded-For", HTTP_ROLE_FORWARDED_FOR},
    {"x_forwarded_for", HTTP_ROLE_FORWARDED_FOR},
    {"X_Forwarded-FOR", HTTP_ROLE_FORWARDED_FOR},
    {"X-Forwarded-Proto", HTTP_ROLE_FORWARDED_PROTO},
    {"X-Forwarded-Host", HTTP_ROLE_FORWARDED_HOST},
    {"X-Forwarded-Port", HTTP_ROLE_FORWARDED_PORT},
    {"X-Real-IP", HTTP_ROLE_REAL_IP},
    {"x_real_ip", HTTP_ROLE_REAL_IP},
    {"X-Request-ID", HTTP_ROLE_REQUEST_ID},
    {"X-Request_Id", HTTP_ROLE_REQUEST_ID},
    {"X-Forwarded", HTTP_ROLE_X_FORWARDED},
    {"X-Forwarded-Ssl", HTTP_ROLE_X_FORWARDED},
    {"X_FORWARDED_PREFIX", HTTP_ROLE_X_FORWARDED},
    {"X-Forwarded-For-Original-And-More", HTTP_ROLE_X_FORWARDED},
    {"date", HTTP_ROLE_DATE},
    {"A", HTTP_ROLE_PLAIN},
    {"T-", HTTP_ROLE_PLAIN},
    {"Hosts", HTTP_ROLE_PLAIN},
    {"Hos^", HTTP_ROLE_PLAIN},
    {"Via", HTTP_ROLE_VIA},
    {"Vie", HTTP_ROLE_PLAIN},
    {"Cookie", HTTP_ROLE_PLAIN},
    {"Upgrade-Insecure-Requests", HTTP_ROLE_PLAIN},
    {"Proxy-Authorization", HTTP_ROLE_CREDENTIALS},
    {"authorization", HTTP_ROLE_CREDENTIALS},
    {"Authorisation", HTTP_ROLE_PLAIN},
    {"Proxy-Authenticate", HTTP_ROLE_PLAIN},
    {"Transfer~Encoding", HTTP_ROLE_PLAIN},
    {"Content.Length", HTTP_ROLE_PLAIN},
    {"X-Forward", HTTP_ROLE_PLAIN},
    {"X-Forwarder", HTTP_ROLE_PLAIN},
    {"X-Requests-Id", HTTP_ROLE_PLAIN},
};

START_TEST(test_a_name_has_its_role)
{
    const char *name = names[_i].name;

    ck_assert_msg(http_role_of(name, strlen(name)) == names[_i].role, "%s", name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_role");
    TCase *tc = tcase_create("role");

    tcase_add_loop_test(tc, test_a_name_has_its_role, 0, COUNT(names));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
