/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/backend.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

#define A32 "abcdefghijklmnopqrstuvwxyz-01234"

/* What a direct backend comes out as; NULL = refused. */
static const struct {
    const char *text;
    bool raw;
    const char *addr;
} direct[] = {
    {"10.1.2.3:80", true, "10.1.2.3:80"},
    {"[2001:db8::1]:443", true, "[2001:db8::1]:443"},
    {"127.0.0.1:1", true, "127.0.0.1:1"},
    {"10.1.2.3", true, NULL},
    {"10.1.2.3:0", true, NULL},
    {"10.1.2.3:65536", true, NULL},
    {"2001:db8::1:443", true, NULL},
    {"localhost:80", true, NULL},
    {"unix:/run/x", true, NULL},
    {"http://10.1.2.3:80", true, NULL},
    {"", true, NULL},
    {"http://10.1.2.3", false, "10.1.2.3:80"},
    {"http://10.1.2.3:8080", false, "10.1.2.3:8080"},
    {"http://10.1.2.3:8080/", false, "10.1.2.3:8080"},
    {"http://[2001:db8::1]", false, "[2001:db8::1]:80"},
    {"http://[2001:db8::1]:8080", false, "[2001:db8::1]:8080"},
    {"http://[10.1.2.3]", false, NULL},
    {"http://2001:db8::1", false, NULL},
    {"http://10.1.2.3/path", false, NULL},
    {"http://10.1.2.3//", false, NULL},
    {"http://user@10.1.2.3", false, NULL},
    {"http://example.org", false, NULL},
    {"http://", false, NULL},
    {"http:///", false, NULL},
    {"http://[", false, NULL},
    {"http://[]", false, NULL},
    {"http://unix:/x", false, NULL},
    {"https://10.1.2.3", false, NULL},
    {"10.1.2.3:80", false, NULL},
};

START_TEST(test_backend_direct)
{
    struct sch_report report;
    struct sch_backend got;
    char text[ADDR_TEXT_MAX];
    int rc = sch_backend_parse(&got, direct[_i].text, direct[_i].raw, &report);

    if (direct[_i].addr == NULL) {
        ck_assert_msg(rc == ERR_INVALID, "%s", direct[_i].text);
        ck_assert_int_eq(report.code, SCH_BAD_BACKEND);
        return;
    }
    ck_assert_msg(rc == ERR_OK, "%s", direct[_i].text);
    ck_assert(!got.tunnel);
    addr_print(text, &got.addr);
    ck_assert_str_eq(text, direct[_i].addr);
}
END_TEST

/* The service; NULL = refused. */
static const struct {
    const char *text;
    const char *service;
} tunnels[] = {
    {"tunnel:" CONNECTOR_KEY, "default"},
    {"tunnel:" CONNECTOR_KEY "/web", "web"},
    {"tunnel:" CONNECTOR_KEY "/" A32, A32},
    {"tunnel:" CONNECTOR_KEY "/" A32 "5", NULL},
    {"tunnel:" CONNECTOR_KEY "/", NULL},
    {"tunnel:" CONNECTOR_KEY "/Web", NULL},
    {"tunnel:" CONNECTOR_KEY "/a/b", NULL},
    {"tunnel:" CONNECTOR_KEY "1", NULL},
    {"tunnel:short", NULL},
    {"tunnel:", NULL},
    {"Tunnel:" CONNECTOR_KEY, NULL},
    {"tunnel:AAAA111111111111111111111111111111111111111111111111111111111111", NULL},
    {"tunnel:0000000000000000000000000000000000000000000000000000000000000000", NULL},
};

START_TEST(test_backend_tunnel)
{
    struct sch_report report;
    struct sch_backend got;

    for (int raw = 0; raw < 2; raw++) {
        int rc = sch_backend_parse(&got, tunnels[_i].text, raw == 1, &report);

        ck_assert_msg((rc == ERR_OK) == (tunnels[_i].service != NULL), "%s", tunnels[_i].text);
        if (rc != ERR_OK)
            continue;
        ck_assert(got.tunnel);
        ck_assert_uint_eq(got.key[31], 0x11);
        ck_assert_str_eq(got.service, tunnels[_i].service);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/backend");
    TCase *tc = tcase_create("backend");

    tcase_add_loop_test(tc, test_backend_direct, 0, COUNT(direct));
    tcase_add_loop_test(tc, test_backend_tunnel, 0, COUNT(tunnels));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
