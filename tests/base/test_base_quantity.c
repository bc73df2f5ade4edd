/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/quantity.h"

#include <stdint.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

enum kind { NUMBER, DURATION, SIZE };

static const struct {
    enum kind kind;
    const char *value;
    int want_rc;
    uint64_t want;
} values[] = {
    {NUMBER, "0", ERR_OK, 0},
    {NUMBER, "18446744073709551615", ERR_OK, UINT64_MAX},
    {NUMBER, "18446744073709551616", ERR_LIMIT, 0},
    {NUMBER, "007", ERR_OK, 7},
    {NUMBER, "", ERR_INVALID, 0},
    {NUMBER, "-1", ERR_INVALID, 0},
    {NUMBER, "+1", ERR_INVALID, 0},
    {NUMBER, "0x10", ERR_INVALID, 0},
    {NUMBER, "1 2", ERR_INVALID, 0},
    {NUMBER, "1.5", ERR_INVALID, 0},
    {DURATION, "250ms", ERR_OK, 250},
    {DURATION, "10s", ERR_OK, 10000},
    {DURATION, "5m", ERR_OK, 300000},
    {DURATION, "24h", ERR_OK, 86400000},
    {DURATION, "7d", ERR_OK, 604800000},
    {DURATION, "0", ERR_OK, 0},
    {DURATION, "0s", ERR_OK, 0},
    {DURATION, "3650d", ERR_OK, QUANTITY_MS_MAX},
    {DURATION, "3651d", ERR_LIMIT, 0},
    {DURATION, "10", ERR_INVALID, 0},
    {DURATION, "10 s", ERR_INVALID, 0},
    {DURATION, "10S", ERR_INVALID, 0},
    {DURATION, "s", ERR_INVALID, 0},
    {DURATION, "1m30s", ERR_INVALID, 0},
    {DURATION, "99999999999999999999s", ERR_LIMIT, 0},
    {DURATION, "18446744073709551615d", ERR_LIMIT, 0},
    {DURATION, "", ERR_INVALID, 0},
    {SIZE, "16KiB", ERR_OK, 16384},
    {SIZE, "4MiB", ERR_OK, 4194304},
    {SIZE, "1GiB", ERR_OK, 1073741824},
    {SIZE, "1024GiB", ERR_OK, QUANTITY_SIZE_MAX},
    {SIZE, "1025GiB", ERR_LIMIT, 0},
    {SIZE, "100", ERR_OK, 100},
    {SIZE, "0", ERR_OK, 0},
    {SIZE, "16KB", ERR_INVALID, 0},
    {SIZE, "16k", ERR_INVALID, 0},
    {SIZE, "KiB", ERR_INVALID, 0},
    {SIZE, "-1", ERR_INVALID, 0},
    {SIZE, "17179869184GiB", ERR_LIMIT, 0},
};

static int parse(enum kind kind, uint64_t *out, const char *text)
{
    if (kind == NUMBER)
        return quantity_parse_u64(out, text);
    return kind == DURATION ? quantity_parse_ms(out, text) : quantity_parse_size(out, text);
}

START_TEST(test_quantity_whole_text_or_nothing)
{
    uint64_t v = 4711;

    ck_assert_msg(parse(values[_i].kind, &v, values[_i].value) == values[_i].want_rc, "\"%s\"",
                  values[_i].value);
    ck_assert_uint_eq(v, values[_i].want_rc == ERR_OK ? values[_i].want : 4711);
}
END_TEST

START_TEST(test_quantity_letters_among_too_many_digits_are_the_fault)
{
    uint64_t v;

    ck_assert_int_eq(quantity_parse_u64(&v, "99999999999999999999999x"), ERR_INVALID);
    ck_assert_int_eq(quantity_parse_ms(&v, "99999999999999999999999x"), ERR_INVALID);
    ck_assert_int_eq(quantity_parse_ms(&v, "99999999999999999999999"), ERR_INVALID);
    ck_assert_int_eq(quantity_parse_size(&v, "99999999999999999999999"), ERR_LIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/quantity");
    TCase *tc = tcase_create("quantity");

    tcase_add_loop_test(tc, test_quantity_whole_text_or_nothing, 0, COUNT(values));
    tcase_add_test(tc, test_quantity_letters_among_too_many_digits_are_the_fault);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
