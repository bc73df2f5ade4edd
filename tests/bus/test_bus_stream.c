/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to streams. Reading them is test_bus_reader.c. */
#include "bus/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;

static void set_up(void)
{
    world_open(&w, NULL);
    LOOP_UNTIL(w.loop, bus_link_is_up(w.link));
}

static void tear_down(void)
{
    world_close(&w);
}

static int added;
static char added_id[64];

static void on_added(void *arg, int rc, const struct bus_value *reply)
{
    (void)arg;
    ck_assert_int_eq(rc, ERR_OK);
    added++;
    snprintf(added_id, sizeof(added_id), "%s", reply->text);
}

START_TEST(test_stream_add_appends_and_trims)
{
    struct bus_stream_field fields[] = {{"op", "deploy", 6}, {"body", "a\0b", 3}};
    struct bus_stream_add add = {
        .key = "s", .maxlen = 10, .fields = fields, .count = 2, .on_reply = on_added};

    added = 0;
    ck_assert_int_eq(bus_stream_add(w.link, &add), ERR_OK);
    LOOP_UNTIL(w.loop, added == 1);
    ck_assert_ptr_nonnull(strchr(added_id, '-'));
    ck_assert_str_eq(world_do(&w, "XLEN", "s", NULL), "1");
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(bus_stream_add_body(w.link, "s", 10, "x", 1), ERR_OK);
    ck_assert_int_lt(atoi(world_do(&w, "XLEN", "s", NULL)), 250);
    add.count = 0;
    ck_assert_int_eq(bus_stream_add(w.link, &add), ERR_INVALID);
    add.count = BUS_STREAM_FIELDS_MAX + 1;
    ck_assert_int_eq(bus_stream_add(w.link, &add), ERR_INVALID);
}
END_TEST

START_TEST(test_stream_add_body_is_binary_and_never_trims_at_zero)
{
    static const char body[] = {'a', '\0', '\n', 'b'};

    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(bus_stream_add_body(w.link, "s", 0, body, sizeof(body)), ERR_OK);
    ck_assert_int_eq(bus_stream_add_body(w.link, "empty", 0, NULL, 0), ERR_OK);
    ck_assert_str_eq(world_do(&w, "XLEN", "s", NULL), "200");
    ck_assert_str_eq(world_do(&w, "EVAL",
                              "return #redis.call('XRANGE', KEYS[1], '-', '+')[1][2][2]", "1", "s",
                              NULL),
                     "4");
    ck_assert_str_eq(world_do(&w, "XLEN", "empty", NULL), "1");
}
END_TEST

START_TEST(test_stream_add_takes_as_many_fields_as_it_says)
{
    struct bus_stream_field fields[BUS_STREAM_FIELDS_MAX];
    struct bus_stream_add add = {.key = "s", .fields = fields, .count = BUS_STREAM_FIELDS_MAX};

    for (size_t i = 0; i < BUS_STREAM_FIELDS_MAX; i++)
        fields[i] = (struct bus_stream_field){"f", "v", 1};
    ck_assert_int_eq(bus_stream_add(w.link, &add), ERR_OK);
    ck_assert_str_eq(world_do(&w, "EVAL", "return #redis.call('XRANGE', KEYS[1], '-', '+')[1][2]",
                              "1", "s", NULL),
                     "32");
}
END_TEST

static int refused;

static void on_refused(void *arg, int rc, const struct bus_value *reply)
{
    (void)arg;
    ck_assert_int_eq(rc, ERR_REFUSED);
    ck_assert_int_eq(bus_error_class(reply), BUS_ERROR_STOP);
    refused++;
}

START_TEST(test_stream_add_tells_what_the_server_says)
{
    struct bus_stream_field field = {"body", "x", 1};
    struct bus_stream_add add = {.key = "s", .fields = &field, .count = 1, .on_reply = on_refused};

    refused = 0;
    world_do(&w, "SET", "s", "no stream", NULL);
    ck_assert_int_eq(bus_stream_add(w.link, &add), ERR_OK);
    LOOP_UNTIL(w.loop, refused == 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/stream");
    TCase *tc = tcase_create("stream");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_stream_add_appends_and_trims);
    tcase_add_test(tc, test_stream_add_body_is_binary_and_never_trims_at_zero);
    tcase_add_test(tc, test_stream_add_takes_as_many_fields_as_it_says);
    tcase_add_test(tc, test_stream_add_tells_what_the_server_says);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
