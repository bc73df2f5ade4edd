/* SPDX-License-Identifier: Apache-2.0 */
/* Port range: out of range, busy, round and round. */
#include "bus/base/err.h"
#include "modules/gateway/ports.h"
#include "tests/support/suite.h"

static struct gw_ports *ports;

static void setup(void)
{
    ck_assert_int_eq(gw_ports_new(&ports, 65533, 65535), ERR_OK);
}

static void teardown(void)
{
    gw_ports_free(ports);
}

START_TEST(test_ports_edges_of_the_range)
{
    ck_assert_int_eq(gw_ports_take(ports, 65532), ERR_INVALID);
    ck_assert_int_eq(gw_ports_take(ports, 0), ERR_INVALID);
    ck_assert_int_eq(gw_ports_take(ports, 65533), ERR_OK);
    ck_assert_int_eq(gw_ports_take(ports, 65535), ERR_OK);
    ck_assert_int_eq(gw_ports_take(ports, 65535), ERR_EXISTS);
    ck_assert_uint_eq(gw_ports_free_count(ports), 1);
}
END_TEST

START_TEST(test_ports_any_takes_each_once)
{
    uint16_t port = 0;

    ck_assert_int_eq(gw_ports_take(ports, 65534), ERR_OK);
    ck_assert_int_eq(gw_ports_take_any(ports, &port), ERR_OK);
    ck_assert_uint_eq(port, 65533);
    ck_assert_int_eq(gw_ports_take_any(ports, &port), ERR_OK);
    ck_assert_uint_eq(port, 65535);
    ck_assert_int_eq(gw_ports_take_any(ports, &port), ERR_LIMIT);
}
END_TEST

START_TEST(test_ports_given_back_is_used_last)
{
    uint16_t port = 0;

    ck_assert_int_eq(gw_ports_take_any(ports, &port), ERR_OK);
    gw_ports_give(ports, port);
    gw_ports_give(ports, port); /* twice changes nothing */
    gw_ports_give(ports, 1);
    ck_assert_uint_eq(gw_ports_free_count(ports), 3);
    ck_assert_int_eq(gw_ports_take_any(ports, &port), ERR_OK);
    ck_assert_uint_eq(port, 65534);
}
END_TEST

START_TEST(test_ports_empty_range_has_none)
{
    struct gw_ports *none = NULL;
    uint16_t port = 7;

    ck_assert_int_eq(gw_ports_new(&none, 0, 0), ERR_OK);
    ck_assert_int_eq(gw_ports_take_any(none, &port), ERR_LIMIT);
    ck_assert_int_eq(gw_ports_take(none, 0), ERR_INVALID);
    ck_assert_uint_eq(port, 7);
    gw_ports_free(none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/ports");
    TCase *tc = tcase_create("range");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_ports_edges_of_the_range);
    tcase_add_test(tc, test_ports_any_takes_each_once);
    tcase_add_test(tc, test_ports_given_back_is_used_last);
    tcase_add_test(tc, test_ports_empty_range_has_none);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
