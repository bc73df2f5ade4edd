/* SPDX-License-Identifier: Apache-2.0 */
/* Exposures that an update replaced: a moment for what is under way, then the end, within 1 s. */
#include "modules/gateway/retire.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"
#define GET RIG_REQUEST("/", HOST)

static struct gw_retire *retire;
static struct ev_loop *loop;
static unsigned over;
static const struct gw_site *last;

static void on_over(void *arg, struct gw_site *site, struct gw_exposure *old)
{
    (void)arg;
    over++;
    last = site;
    gw_exposure_unref(old);
}

static void setup(void)
{
    over = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(gw_retire_new(&retire, loop, on_over, NULL), ERR_OK);
}

static void teardown(void)
{
    gw_retire_free(retire);
    ev_loop_destroy(loop);
}

START_TEST(test_retire_keeps_an_exposure_for_its_moment)
{
    struct gw_site *a = gw_site_new("a"), *b = gw_site_new("b");
    uint64_t start = clock_mono_ms();

    gw_retire_put(retire, a, gw_exposure_new());
    gw_retire_put(retire, b, gw_exposure_new());
    ck_assert_uint_eq(over, 0);
    while (over < 2)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_ge(clock_mono_ms() - start, GW_RETIRE_MS);
    ck_assert_ptr_eq(last, b);
    gw_site_free(a);
    gw_site_free(b);
}
END_TEST

START_TEST(test_retire_flush_ends_all_of_one_site_and_free_the_rest)
{
    struct gw_site *a = gw_site_new("a"), *b = gw_site_new("b");

    gw_retire_put(retire, a, gw_exposure_new());
    gw_retire_put(retire, b, gw_exposure_new());
    gw_retire_put(retire, a, gw_exposure_new());
    gw_retire_flush(retire, a);
    ck_assert_uint_eq(over, 2);
    ck_assert_ptr_eq(last, a);
    gw_retire_flush(retire, a);
    ck_assert_uint_eq(over, 2);
    gw_site_free(a);
    gw_site_free(b); /* only compared with from here on */
}
END_TEST

START_TEST(test_retire_lacks_is_about_key_and_service)
{
    struct gw_exposure *one = rig_exposure("7-1-a", HOST, 1), *two = rig_exposure("7-1-a", HOST, 1);

    ck_assert(!gw_retire_lacks(two, one));
    two->backends[1] = two->backends[0];
    rig_key(two->backends[0].key, 2);
    two->backend_count = 2;
    ck_assert(!gw_retire_lacks(two, one));
    ck_assert(gw_retire_lacks(one, two));
    one->backends[0].service[0] = 'x';
    ck_assert(gw_retire_lacks(two, one));
    gw_exposure_unref(one);
    gw_exposure_unref(two);
}
END_TEST

/* --- in the worker --- */

/* An exposure of connectors 0 and 1, both here; a visitor on 0. */
static struct rig *two_keys(int *visitor)
{
    struct gw_exposure *e = rig_exposure("7-1-blog", HOST, 0);
    struct rig *rig = rig_new();

    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert(rig_connect(rig, 0)->accepted);
    *visitor = rig_visit(rig, "http");
    rig_send_text(*visitor, GET);
    ck_assert(rig_expect(rig, *visitor, "GET / "));
    e = rig_exposure("7-1-blog", HOST, 0);
    e->backends[1] = e->backends[0];
    rig_key(e->backends[1].key, 1);
    e->backend_count = 2;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert(rig_connect(rig, 1)->accepted);
    return rig;
}

START_TEST(test_a_key_taken_out_by_an_update_ends_after_a_moment_within_a_second)
{
    int visitor, fd;
    struct rig *rig = two_keys(&visitor);
    unsigned opens = rig->connectors[0].opens;
    uint64_t start = rig_ran_ms(rig);
    char rest[512];

    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 1)), ERR_OK);
    for (int i = 0; i < 5; i++) { /* new ones come to the new key only, at once */
        fd = rig_visit(rig, "http");
        rig_send_text(fd, GET);
        ck_assert(rig_expect(rig, fd, "GET / "));
        close(fd);
    }
    ck_assert_uint_eq(rig->connectors[0].opens, opens);
    rig_send_text(visitor, "more");
    ck_assert(rig_expect(rig, visitor, "more")); /* who was there finishes, if that is soon */
    ck_assert(!rig->connectors[0].closed);
    ck_assert_int_eq(rig_read_all(rig, visitor, rest, sizeof(rest)), RIG_RST);
    ck_assert(rig_until(rig, &rig->connectors[0].closed));
    ck_assert_int_eq(rig->connectors[0].close_code, TUN_CODE_REVOKED);
    ck_assert_uint_lt(rig_ran_ms(rig) - start, 1000);
    ck_assert(!rig->connectors[1].closed);
    close(visitor);
    rig_free(rig);
}
END_TEST

/* Cancelled or locked is at once, also in the moment after an update. _i: 0 cancelled, 1 locked */
START_TEST(test_an_end_does_not_wait_for_the_moment)
{
    int visitor;
    struct rig *rig = two_keys(&visitor);
    struct gw_exposure *locked = rig_exposure("7-1-blog", HOST, 1);
    uint64_t start = rig_ran_ms(rig);
    char rest[512];

    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 1)), ERR_OK);
    locked->paused = true;
    if (_i == 0)
        ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    else
        ck_assert_int_eq(gw_worker_set_exposure(rig->worker, locked), ERR_OK);
    ck_assert_int_eq(rig_read_all(rig, visitor, rest, sizeof(rest)), RIG_RST);
    ck_assert(rig_until(rig, &rig->connectors[0].closed));
    ck_assert_uint_lt(rig_ran_ms(rig) - start, GW_RETIRE_MS);
    gw_exposure_unref(locked);
    close(visitor);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_key_that_comes_back_in_time_loses_nobody)
{
    int visitor;
    struct rig *rig = two_keys(&visitor);

    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 1)), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 0)), ERR_OK);
    rig_run(rig, GW_RETIRE_MS + 100);
    rig_send_text(visitor, "more");
    ck_assert(rig_expect(rig, visitor, "more"));
    ck_assert(!rig->connectors[0].closed && rig->connectors[1].closed);
    close(visitor);
    rig_free(rig);
}
END_TEST

/* The service has not answered yet: the visitor goes another way and is not refused. */
START_TEST(test_a_visitor_on_the_way_to_a_key_that_leaves_goes_another_way)
{
    struct rig *rig = rig_new();
    struct gw_exposure *e = rig_exposure("7-1-blog", HOST, 0);
    int fd;

    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert(rig_connect(rig, 0)->accepted);
    rig->connectors[0].service = RIG_IGNORE;
    fd = rig_visit(rig, "http");
    rig_send_text(fd, GET);
    while (rig->connectors[0].opens == 0)
        rig_run(rig, 5);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 1)), ERR_OK);
    (void)rig_dial(rig, 1, 1);
    ck_assert(rig_expect(rig, fd, "GET / "));
    close(fd);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/retire");
    TCase *list = tcase_create("list"), *worker = tcase_create("worker");

    tcase_add_checked_fixture(list, setup, teardown);
    tcase_add_test(list, test_retire_keeps_an_exposure_for_its_moment);
    tcase_add_test(list, test_retire_flush_ends_all_of_one_site_and_free_the_rest);
    tcase_add_test(list, test_retire_lacks_is_about_key_and_service);
    suite_add_tcase(suite, list);
    tcase_set_timeout(worker, 20);
    tcase_add_test(worker, test_a_key_taken_out_by_an_update_ends_after_a_moment_within_a_second);
    tcase_add_loop_test(worker, test_an_end_does_not_wait_for_the_moment, 0, 2);
    tcase_add_test(worker, test_a_key_that_comes_back_in_time_loses_nobody);
    tcase_add_test(worker, test_a_visitor_on_the_way_to_a_key_that_leaves_goes_another_way);
    suite_add_tcase(suite, worker);
    return run_suite(suite);
}
