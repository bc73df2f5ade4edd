/* SPDX-License-Identifier: Apache-2.0 */
/* Only what changed is reported, in pieces. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/meter.h"
#include "tests/support/suite.h"

static struct gw_meter *meter;
static unsigned reports;
static size_t ids;
static char last[4096];

static void on_report(void *arg, char *body)
{
    json_t *json = json_loads(body, 0, NULL);

    (void)arg;
    reports++;
    ids += json_object_size(json_object_get(json, "totals"));
    (void)snprintf(last, sizeof(last), "%.4095s", body);
    json_decref(json);
    free(body);
}

static void setup(void)
{
    struct gw_meter_config cfg = {"cafe", on_report, NULL};

    reports = 0;
    ids = 0;
    ck_assert_int_eq(gw_meter_new(&meter, &cfg), ERR_OK);
}

static void teardown(void)
{
    gw_meter_free(meter);
}

START_TEST(test_meter_says_each_number_once)
{
    struct gw_usage usage = {1, 2, 3, 0};

    gw_meter_add(meter, "7-1-a", &usage);
    ck_assert_uint_eq(reports, 0);
    gw_meter_flush(meter);
    ck_assert_str_eq(last, "{\"kind\":\"usage\",\"instance\":\"cafe\",\"totals\":{\"7-1-a\":{"
                           "\"rx_bytes\":1,\"tx_bytes\":2,\"connections\":3,\"active\":0}}}");
    ck_assert(gw_meter_is_told(meter, "7-1-a", &usage));
    gw_meter_add(meter, "7-1-a", &usage);
    gw_meter_flush(meter);
    ck_assert_uint_eq(reports, 1);
    usage.active = 1;
    ck_assert(!gw_meter_is_told(meter, "7-1-a", &usage));
    gw_meter_add(meter, "7-1-a", &usage);
    gw_meter_flush(meter);
    ck_assert_uint_eq(reports, 2);
}
END_TEST

START_TEST(test_meter_many_go_in_pieces)
{
    struct gw_usage usage = {1, 1, 1, 1};
    char id[32];

    for (int i = 0; i < 2500; i++) {
        (void)snprintf(id, sizeof(id), "7-%d-a", i);
        gw_meter_add(meter, id, &usage);
    }
    gw_meter_flush(meter);
    ck_assert_uint_eq(reports, 3);
    ck_assert_uint_eq(ids, 2500);
}
END_TEST

START_TEST(test_meter_forget_and_reset_say_it_again)
{
    struct gw_usage usage = {1, 1, 1, 0};

    gw_meter_add(meter, "a", &usage);
    gw_meter_add(meter, "b", &usage);
    gw_meter_flush(meter);
    gw_meter_forget(meter, "a");
    gw_meter_forget(meter, "unknown");
    ck_assert(!gw_meter_is_told(meter, "a", &usage) && gw_meter_is_told(meter, "b", &usage));
    gw_meter_reset(meter);
    ck_assert(!gw_meter_is_told(meter, "b", &usage));
    gw_meter_add(meter, "b", &usage); /* freed with a piece begun */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/meter");
    TCase *tc = tcase_create("meter");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_meter_says_each_number_once);
    tcase_add_test(tc, test_meter_many_go_in_pieces);
    tcase_add_test(tc, test_meter_forget_and_reset_say_it_again);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
