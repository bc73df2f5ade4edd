/* SPDX-License-Identifier: Apache-2.0 */
/* The table of bytes against the words of the RFCs; long runs against short steps. */
#include "modules/http/chars.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static bool is_one_of(int c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

START_TEST(test_every_byte_is_in_the_classes_that_the_rfcs_name)
{
    bool digit = _i >= '0' && _i <= '9';
    bool alnum = digit || (_i >= 'a' && _i <= 'z') || (_i >= 'A' && _i <= 'Z');
    char c = (char)_i;

    ck_assert(http_char_is(c, HTTP_CHARS_DIGIT) == digit);
    ck_assert(http_char_is(c, HTTP_CHARS_HEX) == (digit || is_one_of(_i, "abcdefABCDEF")));
    ck_assert(http_char_is(c, HTTP_CHARS_TOKEN) == (alnum || is_one_of(_i, "!#$%&'*+-.^_`|~")));
    ck_assert(http_char_is(c, HTTP_CHARS_REG_NAME) == (alnum || is_one_of(_i, "-._~!$&'()*+,;=%")));
    ck_assert(http_char_is(c, HTTP_CHARS_TARGET) == (_i > 0x20 && _i < 0x7f && _i != '#'));
    ck_assert(http_char_is(c, HTTP_CHARS_TEXT) == ((_i >= 0x20 && _i != 0x7f) || _i == '\t'));
}
END_TEST

/* Each byte at each place of a word, in a block that ends where the run ends. */
START_TEST(test_long_runs_stop_where_single_steps_do)
{
    for (size_t len = 0; len < 20; len++) {
        for (size_t at = 0; at < len; at++) {
            char *block = malloc(len);

            ck_assert_ptr_nonnull(block);
            memset(block, len % 2 == 0 ? 'a' : '\xff', len);
            block[at] = (char)_i;
            ck_assert_uint_eq(http_chars_text_run(block, 0, len),
                              http_chars_run(block, 0, len, HTTP_CHARS_TEXT));
            block[len - 1] = '\r';
            ck_assert_uint_eq(http_chars_text_run(block, at, len),
                              http_chars_run(block, at, len, HTTP_CHARS_TEXT));
            free(block);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_chars");
    TCase *tc = tcase_create("chars");

    tcase_add_loop_test(tc, test_every_byte_is_in_the_classes_that_the_rfcs_name, 0, 256);
    tcase_add_loop_test(tc, test_long_runs_stop_where_single_steps_do, 0, 256);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
