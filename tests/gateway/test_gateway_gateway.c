/* SPDX-License-Identifier: Apache-2.0 */
/* The worker as control uses it: what it takes, what it counts, what stays, and how it ends. */
#include "modules/gateway/gateway.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"

static void three_exposures(struct gw_config *config)
{
    config->limits.exposures = 3;
}

static int serve(struct rig *rig, const char *id, const char *host)
{
    return rig_serve(rig, rig_exposure(id, host, 0));
}

START_TEST(test_worker_takes_exposures_up_to_the_limit_and_not_one_more)
{
    struct rig *rig = rig_new_with(three_exposures);

    ck_assert_int_eq(serve(rig, "7-1-a", "a.example"), ERR_OK);
    ck_assert_int_eq(serve(rig, "7-1-b", "b.example"), ERR_OK);
    ck_assert_int_eq(serve(rig, "7-1-c", "c.example"), ERR_OK);
    ck_assert_int_eq(serve(rig, "7-1-d", "d.example"), ERR_LIMIT);
    ck_assert_int_eq(serve(rig, "7-1-c", "other.example"), ERR_OK); /* a change is not one more */
    ck_assert_uint_eq(gw_worker_count_exposures(rig->worker), 3);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-a"), ERR_OK);
    ck_assert_int_eq(serve(rig, "7-1-d", "d.example"), ERR_OK);
    rig_free(rig);
}
END_TEST

START_TEST(test_worker_a_host_belongs_to_one_id_until_that_is_gone)
{
    struct rig *rig = rig_new();

    ck_assert_int_eq(serve(rig, "7-1-a", HOST), ERR_OK);
    ck_assert_int_eq(serve(rig, "7-1-b", HOST), ERR_EXISTS);
    ck_assert_uint_eq(gw_worker_count_exposures(rig->worker), 1);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-a"), ERR_OK);
    ck_assert_int_eq(serve(rig, "7-1-b", HOST), ERR_OK);
    rig_free(rig);
}
END_TEST

START_TEST(test_worker_a_host_that_is_not_canonical_is_invalid)
{
    struct rig *rig = rig_new();

    ck_assert_int_eq(serve(rig, "7-1-a", "Blog.Example"), ERR_INVALID);
    ck_assert_uint_eq(gw_worker_count_exposures(rig->worker), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_worker_a_failed_change_keeps_the_port_that_was_served)
{
    struct rig *rig = rig_new();
    struct gw_exposure *tcp = rig_exposure("7-1-tcp", NULL, 0);
    uint16_t port = tcp->port;
    struct addr http;

    ck_assert_int_eq(rig_serve(rig, tcp), ERR_OK);
    ck_assert_int_eq(gw_worker_bound(rig->worker, "http", 0, &http), ERR_OK);
    tcp = rig_exposure("7-1-tcp", NULL, 0);
    tcp->port = addr_port(&http); /* taken */
    ck_assert_int_eq(rig_serve(rig, tcp), ERR_SYS);
    close(rig_visit_port(rig, port)); /* still listening */
    rig_free(rig);
}
END_TEST

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

static void count_up(void *arg)
{
    (*(unsigned *)arg)++;
}

static bool is_drained(void *arg)
{
    return *(unsigned *)arg > 0;
}

START_TEST(test_worker_drain_without_visitors_ends_once_and_takes_no_port)
{
    struct rig *rig = rig_new();
    unsigned drained = 0;

    gw_worker_drain(rig->worker, count_up, &drained);
    ck_assert_uint_eq(drained, 0); /* never inside */
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-tcp", NULL, 0)), ERR_CANCELLED);
    ck_assert(rig_until_true(rig, is_drained, &drained));
    rig_run(rig, 100);
    ck_assert_uint_eq(drained, 1);
    rig_free(rig);
}
END_TEST

static void free_worker(void *arg)
{
    struct rig *rig = arg;

    gw_worker_free(rig->worker);
    rig->worker = NULL;
    rig->drained = true;
}

START_TEST(test_worker_may_be_freed_when_it_is_drained)
{
    struct rig *rig = rig_new();

    ck_assert_int_eq(serve(rig, "7-1-a", HOST), ERR_OK);
    (void)rig_connect(rig, 0);
    gw_worker_drain(rig->worker, free_worker, rig);
    ck_assert(rig_until(rig, &rig->drained));
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_gateway");
    TCase *tc = tcase_create("worker");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_worker_takes_exposures_up_to_the_limit_and_not_one_more);
    tcase_add_test(tc, test_worker_a_host_belongs_to_one_id_until_that_is_gone);
    tcase_add_test(tc, test_worker_a_host_that_is_not_canonical_is_invalid);
    tcase_add_test(tc, test_worker_a_failed_change_keeps_the_port_that_was_served);
    tcase_add_test(tc, test_worker_numbers_stay_after_removal_until_they_are_forgotten);
    tcase_add_test(tc, test_worker_what_it_does_not_know_is_zero_or_not_there);
    tcase_add_test(tc, test_worker_online_follows_the_exposure);
    tcase_add_test(tc, test_worker_drain_without_visitors_ends_once_and_takes_no_port);
    tcase_add_test(tc, test_worker_may_be_freed_when_it_is_drained);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
