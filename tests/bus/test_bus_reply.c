/* SPDX-License-Identifier: Apache-2.0 */
/* Reply bytes to values: forms, caps, every prefix and every changed byte; copies; error classes.
 */
#include "bus/reply.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/link.h"
#include "tests/support/suite.h"

static int parse(struct bus_value **out, const void *data, size_t len)
{
    struct bus_parser *parser = NULL;
    int rc;

    ck_assert_int_eq(bus_parser_new(&parser), ERR_OK);
    rc = bus_parser_feed(parser, data, len);
    if (rc == ERR_OK)
        rc = bus_parser_next(parser, out);
    bus_parser_free(parser);
    return rc;
}

static const char sample[] = "*5\r\n$3\r\na\0b\r\n:-7\r\n*2\r\n$-1\r\n-NOGROUP x\r\n+OK\r\n*0\r\n";

static void check_sample(const struct bus_value *value)
{
    ck_assert_int_eq(value->type, BUS_ARRAY);
    ck_assert_uint_eq(value->count, 5);
    ck_assert_uint_eq(value->items[0].len, 3);
    ck_assert_mem_eq(value->items[0].text, "a\0b", 4);
    ck_assert_int_eq(value->items[1].number, -7);
    ck_assert_int_eq(value->items[2].items[0].type, BUS_NIL);
    ck_assert_int_eq(bus_error_class(&value->items[2].items[1]), BUS_ERROR_RECREATE);
    ck_assert(bus_value_is(&value->items[3], "OK"));
    ck_assert_int_eq(value->items[4].type, BUS_ARRAY);
    ck_assert_uint_eq(value->items[4].count, 0);
}

START_TEST(test_reply_forms_and_copies)
{
    struct bus_value *value = NULL, *copy;

    ck_assert_int_eq(parse(&value, sample, sizeof(sample) - 1), ERR_OK);
    check_sample(value);
    copy = bus_value_copy(value);
    bus_value_free(value);
    check_sample(copy);
    bus_value_free(copy);
}
END_TEST

START_TEST(test_reply_every_prefix_wants_more)
{
    struct bus_value *value = NULL;

    for (size_t n = 0; n + 1 < sizeof(sample); n++)
        ck_assert_int_eq(parse(&value, sample, n), ERR_AGAIN);
}
END_TEST

START_TEST(test_reply_damage_is_survived)
{
    char copy[sizeof(sample)];

    for (size_t at = 0; at + 1 < sizeof(sample); at++) {
        for (int v = 0; v < 256; v++) {
            struct bus_value *value = NULL;

            memcpy(copy, sample, sizeof(sample));
            copy[at] = (char)v;
            if (parse(&value, copy, sizeof(sample) - 1) == ERR_OK)
                bus_value_free(value);
        }
    }
}
END_TEST

static const struct {
    size_t count;
    int rc;
} arrays[] = {
    {BUS_REPLY_ITEMS_MAX, ERR_AGAIN},
    {BUS_REPLY_ITEMS_MAX + 1, ERR_LIMIT},
    {2147483647, ERR_LIMIT},
};

START_TEST(test_reply_items_at_the_cap)
{
    struct bus_value *value = NULL;
    char head[32];
    int n = snprintf(head, sizeof(head), "*%zu\r\n", arrays[_i].count);

    ck_assert_int_eq(parse(&value, head, (size_t)n), arrays[_i].rc);
}
END_TEST

/* Feed a string of LEN bytes piece by piece; the code of the first thing that is not "more". */
static int feed_string(size_t len)
{
    struct bus_parser *parser = NULL;
    struct bus_value *value = NULL;
    char head[32], *chunk = calloc(1, 65536);
    int n = snprintf(head, sizeof(head), "$%zu\r\n", len);
    int rc;

    ck_assert_int_eq(bus_parser_new(&parser), ERR_OK);
    rc = bus_parser_feed(parser, head, (size_t)n);
    while (rc == ERR_OK && len > 0) {
        size_t piece = len < 65536 ? len : 65536;

        rc = bus_parser_feed(parser, chunk, piece);
        len -= piece;
    }
    if (rc == ERR_OK)
        rc = bus_parser_feed(parser, "\r\n", 2);
    if (rc == ERR_OK)
        rc = bus_parser_next(parser, &value);
    bus_value_free(value);
    bus_parser_free(parser);
    free(chunk);
    return rc;
}

START_TEST(test_reply_string_at_the_cap)
{
    ck_assert_int_eq(feed_string(BUS_REPLY_MAX), ERR_OK);
    ck_assert_int_eq(feed_string(BUS_REPLY_MAX + 1), ERR_LIMIT);
    ck_assert_int_eq(feed_string(2 * BUS_REPLY_MAX), ERR_LIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/reply");
    TCase *tc = tcase_create("reply");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_reply_forms_and_copies);
    tcase_add_test(tc, test_reply_every_prefix_wants_more);
    tcase_add_test(tc, test_reply_damage_is_survived);
    tcase_add_loop_test(tc, test_reply_items_at_the_cap, 0, COUNT(arrays));
    tcase_add_test(tc, test_reply_string_at_the_cap);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
