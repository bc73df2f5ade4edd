/* SPDX-License-Identifier: Apache-2.0 */
/* Values: fields of pairs, deep copies, what NULL means. */
#include "bus/value.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/link.h"
#include "bus/reply.h"
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

START_TEST(test_value_fields_of_pairs)
{
    static const char pairs[] = "*5\r\n+op\r\n$6\r\ndeploy\r\n+body\r\n$2\r\n{}\r\n+odd\r\n";
    struct bus_value *value = NULL;

    ck_assert_int_eq(parse(&value, pairs, sizeof(pairs) - 1), ERR_OK);
    ck_assert(bus_value_is(bus_value_field(value, "body"), "{}"));
    ck_assert_ptr_null(bus_value_field(value, "odd"));
    ck_assert_ptr_null(bus_value_field(value, "deploy"));
    ck_assert_ptr_null(bus_value_field(NULL, "op"));
    ck_assert(!bus_value_is(NULL, ""));
    ck_assert_int_eq(bus_error_class(NULL), BUS_ERROR_NONE);
    ck_assert_int_eq(bus_error_class(value), BUS_ERROR_NONE);
    ck_assert_str_eq(bus_error_class_name(BUS_ERROR_RETRY), "retry");
    bus_value_free(value);
}
END_TEST

START_TEST(test_value_copy_outlives_the_original)
{
    static const char nested[] = "*2\r\n$3\r\na\0b\r\n*2\r\n:-7\r\n$-1\r\n";
    struct bus_value *value = NULL, *copy;

    ck_assert_int_eq(parse(&value, nested, sizeof(nested) - 1), ERR_OK);
    copy = bus_value_copy(value);
    bus_value_free(value);
    ck_assert_ptr_nonnull(copy);
    ck_assert_uint_eq(copy->count, 2);
    ck_assert_uint_eq(copy->items[0].len, 3);
    ck_assert_mem_eq(copy->items[0].text, "a\0b", 4);
    ck_assert_int_eq(copy->items[1].items[0].number, -7);
    ck_assert_int_eq(copy->items[1].items[1].type, BUS_NIL);
    bus_value_free(copy);
    bus_value_free(NULL);
}
END_TEST

START_TEST(test_value_error_that_a_later_try_may_not_meet)
{
    struct bus_value error = {.type = BUS_ERROR};

    ck_assert(!bus_error_is_passing(ERR_OK, NULL));
    ck_assert(bus_error_is_passing(ERR_EOF, NULL));
    ck_assert(bus_error_is_passing(ERR_TIMEOUT, NULL));
    error.text = "LOADING Redis is loading the dataset in memory";
    ck_assert(bus_error_is_passing(ERR_REFUSED, &error));
    error.text = "READONLY You can't write against a read only replica.";
    ck_assert(bus_error_is_passing(ERR_REFUSED, &error));
    error.text = "NOGROUP No such consumer group";
    ck_assert(!bus_error_is_passing(ERR_REFUSED, &error));
    error.text = "NOPERM this user has no permissions";
    ck_assert(!bus_error_is_passing(ERR_REFUSED, &error));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/value");
    TCase *tc = tcase_create("value");

    tcase_add_test(tc, test_value_error_that_a_later_try_may_not_meet);
    tcase_add_test(tc, test_value_fields_of_pairs);
    tcase_add_test(tc, test_value_copy_outlives_the_original);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
