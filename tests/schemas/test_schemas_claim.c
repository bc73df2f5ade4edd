/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/claim.h"

#include <string.h>

#include "tests/support/suite.h"

static const struct {
    const char *a;
    const char *b;
    bool same_twin;
    bool conflict;
} hosts[] = {
    {"a.example.org", "a.example.org", false, true},
    {"a.example.org", "a.example.org", true, true},
    {"a.example.org", "b.example.org", false, false},
    {"a.example.org", "*.example.org", false, true},
    {"a.example.org", "*.example.org", true, false},
    {"*.example.org", "*.example.org", true, true},
    {"b.a.example.org", "*.example.org", false, false},
    {"example.org", "*.example.org", false, false},
    {"*.a.example.org", "*.example.org", false, false},
    {"a.example.org", "*.evilexample.org", false, false},
};

START_TEST(test_claim_hosts)
{
    struct sch_claim a = sch_claim_host(hosts[_i].a), b = sch_claim_host(hosts[_i].b);

    ck_assert(sch_claim_conflict(&a, &b, hosts[_i].same_twin) == hosts[_i].conflict);
    ck_assert(sch_claim_conflict(&b, &a, hosts[_i].same_twin) == hosts[_i].conflict);
}
END_TEST

START_TEST(test_claim_kinds_do_not_meet)
{
    struct sch_claim name = {.kind = SCH_CLAIM_NAME, .key = "80"};
    struct sch_claim port = {.kind = SCH_CLAIM_TCP_PORT, .key = "80"};

    ck_assert(!sch_claim_conflict(&name, &port, false));
    ck_assert(sch_claim_conflict(&port, &port, true));
    ck_assert_int_eq(sch_claim_taken(SCH_CLAIM_NAME), SCH_NAME_CONFLICT);
    ck_assert_int_eq(sch_claim_taken(SCH_CLAIM_HOST), SCH_NAME_CONFLICT);
    ck_assert_int_eq(sch_claim_taken(SCH_CLAIM_TCP_PORT), SCH_PORT_UNAVAILABLE);
    ck_assert_str_eq(sch_claim_kind_text(SCH_CLAIM_TCP_PORT), "tcp_port");
}
END_TEST

START_TEST(test_claim_of_the_longest_host_fits)
{
    char host[HOST_CAP];
    struct sch_claim claim;

    memset(host, 'a', HOST_MAX);
    host[HOST_MAX] = '\0';
    host[1] = '.';
    claim = sch_claim_host(host);
    ck_assert_str_eq(claim.key, host);
    ck_assert_uint_eq(strlen(claim.group), HOST_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/claim");
    TCase *tc = tcase_create("claim");

    tcase_add_loop_test(tc, test_claim_hosts, 0, COUNT(hosts));
    tcase_add_test(tc, test_claim_kinds_do_not_meet);
    tcase_add_test(tc, test_claim_of_the_longest_host_fits);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
