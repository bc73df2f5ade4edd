/* SPDX-License-Identifier: Apache-2.0 */
/* Proof of a host name by the DNS, against a real server on loopback. */
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/verify.h"
#include "tests/gateway/made.h"
#include "tests/net/dns_server.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

static struct ev_loop *loop;
static struct dns_server dns;
static struct gw_config config;
static struct gw_verifier *verifier;
static int answers, last_rc;
static char last_why[GW_VERIFY_WHY_MAX];

static void on_done(void *arg, int rc, const char *why)
{
    (void)arg;
    answers++;
    last_rc = rc;
    (void)snprintf(last_why, sizeof(last_why), "%s", why);
}

static void setup(void)
{
    char conf[256];

    loop = ev_loop_new(EVFLAG_AUTO);
    dns_server_start(&dns, loop);
    (void)snprintf(conf, sizeof(conf), "[gateway]\npublic-address = 192.0.2.2\nresolver = %s\n",
                   dns.servers);
    made_config(&config, conf);
    ck_assert_int_eq(gw_verifier_new(&verifier, loop, &config), ERR_OK);
    answers = 0;
    last_rc = 1;
}

static void teardown(void)
{
    gw_verifier_free(verifier);
    dns_server_stop(&dns);
    ev_loop_destroy(loop);
}

static struct gw_verify *ask(const char *host, const char *twin_key)
{
    struct gw_verify_question question = {host, twin_key, on_done, NULL};
    struct gw_verify *handle = NULL;

    ck_assert_int_eq(gw_verify_start(&handle, verifier, &question), ERR_OK);
    return handle;
}

static const struct {
    const char *host;
    int want;
} by_address[] = {
    {"two.test", ERR_OK},
    {"*.two.test", ERR_OK}, /* asked of two.test */
    {"nobody.test", ERR_REFUSED},
    {"broken.test", ERR_AGAIN},
};

START_TEST(test_verify_by_address)
{
    ask(by_address[_i].host, NULL);
    LOOP_UNTIL(loop, answers == 1);
    ck_assert_int_eq(last_rc, by_address[_i].want);
    ck_assert_int_eq(last_why[0] == '\0', by_address[_i].want == ERR_OK);
}
END_TEST

START_TEST(test_verify_other_address_is_refused)
{
    made_config(&config, "[gateway]\npublic-address = 198.51.100.1\n");
    ask("two.test", NULL);
    LOOP_UNTIL(loop, answers == 1);
    ck_assert_int_eq(last_rc, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(last_why, "does not point to"));
}
END_TEST

START_TEST(test_verify_by_txt_record)
{
    dns.own_name = "_netwall.two.test";
    dns.own_text = "v=1 key=" MADE_TWIN_KEY;
    ask("*.two.test", MADE_TWIN_KEY);
    LOOP_UNTIL(loop, answers == 1);
    ck_assert_int_eq(last_rc, ERR_OK);
}
END_TEST

START_TEST(test_verify_key_of_another_twin_is_refused)
{
    dns.own_name = "_netwall.two.test";
    dns.own_text = "key=" MADE_KEY;
    ask("two.test", MADE_TWIN_KEY);
    LOOP_UNTIL(loop, answers == 1);
    ck_assert_int_eq(last_rc, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(last_why, "_netwall.two.test"));
    ck_assert_ptr_nonnull(strstr(last_why, "key=" MADE_TWIN_KEY));
}
END_TEST

START_TEST(test_verify_many_wait_in_line)
{
    for (int i = 0; i < 3 * GW_VERIFY_AT_ONCE; i++)
        ask(i % 2 == 0 ? "two.test" : "nobody.test", NULL);
    LOOP_UNTIL(loop, answers == 3 * GW_VERIFY_AT_ONCE);
}
END_TEST

/* In line, asked, and half way: cancelled questions never answer. */
START_TEST(test_verify_cancel_at_each_state)
{
    struct gw_verify *in_line = ask("two.test", NULL), *asked;

    gw_verify_cancel(in_line);
    asked = ask("silent.test", NULL);
    LOOP_UNTIL(loop, dns.questions > 0);
    gw_verify_cancel(asked);
    gw_verify_cancel(NULL);
    ask("two.test", NULL);
    LOOP_UNTIL(loop, answers == 1);
    ck_assert_int_eq(last_rc, ERR_OK);
}
END_TEST

START_TEST(test_verify_covered_means_on_label_boundaries)
{
    static const char *const domains[] = {"example.org", "b.net"};

    ck_assert(gw_verify_covered("example.org", domains, 2));
    ck_assert(gw_verify_covered("a.b.net", domains, 2));
    ck_assert(gw_verify_covered("*.example.org", domains, 2));
    ck_assert(!gw_verify_covered("evilexample.org", domains, 2));
    ck_assert(!gw_verify_covered("*.org", domains, 2));
    ck_assert(!gw_verify_covered("example.org", domains, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/verify");
    TCase *tc = tcase_create("dns");

    tcase_set_timeout(tc, 20);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_verify_by_address, 0, COUNT(by_address));
    tcase_add_test(tc, test_verify_other_address_is_refused);
    tcase_add_test(tc, test_verify_by_txt_record);
    tcase_add_test(tc, test_verify_key_of_another_twin_is_refused);
    tcase_add_test(tc, test_verify_many_wait_in_line);
    tcase_add_test(tc, test_verify_cancel_at_each_state);
    tcase_add_test(tc, test_verify_covered_means_on_label_boundaries);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
