/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker counts, and how long it remembers. */
#include "modules/gateway/gateway.h"

#include <check.h>

#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"

static int serve(struct rig *rig, const char *id, const char *host)
{
    return rig_serve(rig, rig_exposure(id, host, 0));
}

START_TEST(test_worker_numbers_stay_after_removal_until_they_are_forgotten)
{
    struct rig *rig = rig_new();
    struct gw_usage usage;

    ck_assert(!gw_worker_usage(rig->worker, "7-1-a", &usage));
    ck_assert_int_eq(serve(rig, "7-1-a", HOST), ERR_OK);
    gw_worker_forget_usage(rig->worker, "7-1-a"); /* served: stays */
    ck_assert(gw_worker_usage(rig->worker, "7-1-a", &usage));
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-a"), ERR_OK);
    ck_assert(gw_worker_usage(rig->worker, "7-1-a", &usage));
    gw_worker_forget_usage(rig->worker, "7-1-a");
    ck_assert(!gw_worker_usage(rig->worker, "7-1-a", &usage));
    gw_worker_forget_usage(rig->worker, "7-1-a");
    rig_free(rig);
}
END_TEST

START_TEST(test_worker_what_it_does_not_know_is_zero_or_not_there)
{
    struct rig *rig = rig_new();
    struct addr addr;

    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-x"), 0);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-x"), ERR_NOENT);
    ck_assert_int_eq(gw_worker_bound(rig->worker, "http", 1, &addr), ERR_NOENT);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 0);
    ck_assert_uint_eq(gw_worker_count_visitors(rig->worker), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_worker_online_follows_the_exposure)
{
    struct rig *rig = rig_new();

    ck_assert_int_eq(serve(rig, "7-1-a", HOST), ERR_OK);
    (void)rig_connect(rig, 0);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-a"), 1);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-a", HOST, 1)), ERR_OK);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-a"), 0);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/numbers");
    TCase *tc = tcase_create("numbers");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_worker_numbers_stay_after_removal_until_they_are_forgotten);
    tcase_add_test(tc, test_worker_what_it_does_not_know_is_zero_or_not_there);
    tcase_add_test(tc, test_worker_online_follows_the_exposure);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
