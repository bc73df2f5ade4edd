/* SPDX-License-Identifier: Apache-2.0 */
/* Looking names up beside the loop: found, not found, cancelled. */
#include "bus/resolve.h"

#include <check.h>

#include "bus/base/err.h"
#include "tests/bus/loop.h"
#include "tests/support/suite.h"

static struct ev_loop *loop;
static int done, last_rc;
static size_t last_count;

static void on_resolved(void *arg, int rc, const struct addr *addrs, size_t count)
{
    (void)arg;
    done++;
    last_rc = rc;
    last_count = count;
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(addr_port(&addrs[i]), 7);
}

static void set_up(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    done = 0;
    last_count = 0;
}

static void tear_down(void)
{
    ev_loop_destroy(loop);
}

START_TEST(test_resolve_finds_and_misses)
{
    struct bus_resolve *resolve = NULL;

    ck_assert_int_eq(bus_resolve_start(&resolve, loop, _i == 0 ? "localhost" : "name.invalid", 7,
                                       on_resolved, NULL),
                     ERR_OK);
    ck_assert_int_eq(done, 0);
    LOOP_UNTIL(loop, done == 1);
    ck_assert_int_eq(last_rc, _i == 0 ? ERR_OK : ERR_NOENT);
    ck_assert((last_count > 0) == (_i == 0));
}
END_TEST

/* The thread outlives the handle and cleans up by itself. */
START_TEST(test_resolve_cancel)
{
    for (int i = 0; i < 20; i++) {
        struct bus_resolve *resolve = NULL;

        ck_assert_int_eq(bus_resolve_start(&resolve, loop, "localhost", 7, on_resolved, NULL),
                         ERR_OK);
        bus_resolve_cancel(resolve);
    }
    bus_resolve_cancel(NULL);
    loop_run_ms(loop, 50);
    ck_assert_int_eq(done, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/resolve");
    TCase *tc = tcase_create("resolve");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, test_resolve_finds_and_misses, 0, 2);
    tcase_add_test(tc, test_resolve_cancel);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
