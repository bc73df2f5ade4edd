/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker takes and refuses to serve, and that a failed change changes nothing. */
#include "modules/gateway/gateway.h"

#include <check.h>
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

int main(void)
{
    Suite *suite = suite_create("gateway/exposing");
    TCase *tc = tcase_create("exposures");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_worker_takes_exposures_up_to_the_limit_and_not_one_more);
    tcase_add_test(tc, test_worker_a_host_belongs_to_one_id_until_that_is_gone);
    tcase_add_test(tc, test_worker_a_host_that_is_not_canonical_is_invalid);
    tcase_add_test(tc, test_worker_a_failed_change_keeps_the_port_that_was_served);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
