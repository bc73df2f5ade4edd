/* SPDX-License-Identifier: Apache-2.0 */
/* One look-up with a channel of its own. */
#include <check.h>
#include <ev.h>

#include "bus/base/err.h"
#include "modules/connector/lookup.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

static struct {
    int calls;
    int rc;
    size_t count;
    uint16_t port;
} got;

static void on_done(void *arg, int rc, const struct addr *addrs, size_t count)
{
    (void)arg;
    got.calls++;
    got.rc = rc;
    got.count = count;
    got.port = count > 0 ? addr_port(&addrs[0]) : 0;
}

static struct con_lookup *start(struct ev_loop *loop, const char *text)
{
    struct con_target target;
    struct con_lookup_config cfg = {
        .loop = loop, .target = &target, .timeout_ms = 3000, .on_done = on_done};
    struct con_lookup *lookup = NULL;

    got.calls = 0;
    ck_assert_int_eq(con_target_parse(&target, text), ERR_OK);
    ck_assert_int_eq(con_lookup_start(&lookup, &cfg), ERR_OK);
    ck_assert_int_eq(got.calls, 0);
    return lookup; /* the target is not needed any more */
}

START_TEST(test_lookup_finds_localhost)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    (void)start(loop, "localhost:8080");
    LOOP_UNTIL(loop, got.calls == 1);
    ck_assert_int_eq(got.rc, ERR_OK);
    ck_assert_uint_ge(got.count, 1);
    ck_assert_uint_eq(got.port, 8080);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_lookup_of_no_such_name_ends_with_an_error)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    (void)start(loop, "no-such-host.invalid:1");
    LOOP_UNTIL(loop, got.calls == 1);
    ck_assert_int_ne(got.rc, ERR_OK);
    ck_assert_uint_eq(got.count, 0);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_lookup_cancelled_is_silent)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

    con_lookup_cancel(start(loop, "localhost:1"));
    con_lookup_cancel(NULL);
    for (int i = 0; i < 5; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(got.calls, 0);
    ev_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/lookup");
    TCase *tc = tcase_create("lookup");

    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_lookup_finds_localhost);
    tcase_add_test(tc, test_lookup_of_no_such_name_ends_with_an_error);
    tcase_add_test(tc, test_lookup_cancelled_is_silent);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
