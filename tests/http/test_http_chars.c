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

static void check_classes(int c)
{
    bool digit = c >= '0' && c <= '9';
    bool alnum = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

    ck_assert(http_char_is((char)c, HTTP_CHARS_DIGIT) == digit);
    ck_assert(http_char_is((char)c, HTTP_CHARS_HEX) == (digit || is_one_of(c, "abcdefABCDEF")));
    ck_assert(http_char_is((char)c, HTTP_CHARS_TOKEN) ==
              (alnum || is_one_of(c, "!#$%&'*+-.^_`|~")));
    ck_assert(http_char_is((char)c, HTTP_CHARS_REG_NAME) ==
              (alnum || is_one_of(c, "-._~!$&'()*+,;=%")));
    ck_assert(http_char_is((char)c, HTTP_CHARS_TARGET) == (c > 0x20 && c < 0x7f && c != '#'));
    ck_assert(http_char_is((char)c, HTTP_CHARS_TEXT) == ((c >= 0x20 && c != 0x7f) || c == '\t'));
}

START_TEST(test_every_byte_is_in_the_classes_that_the_rfcs_name)
{
    for (int c = 0; c < 256; c++)
        check_classes(c);
}
END_TEST

/* C at AT of a run of LEN others, in a block that ends where the run ends. */
static void check_run(int c, size_t at, size_t len)
{
    char *block = malloc(len);

    ck_assert_ptr_nonnull(block);
    memset(block, len % 2 == 0 ? 'a' : '\xff', len);
    block[at] = (char)c;
    ck_assert_uint_eq(http_chars_text_run(block, 0, len),
                      http_chars_run(block, 0, len, HTTP_CHARS_TEXT));
    block[len - 1] = '\r';
    ck_assert_uint_eq(http_chars_text_run(block, at, len),
                      http_chars_run(block, at, len, HTTP_CHARS_TEXT));
    free(block);
}

START_TEST(test_long_runs_stop_where_single_steps_do)
{
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < (size_t)_i; at++)
            check_run(c, at, (size_t)_i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_chars");
    TCase *tc = tcase_create("chars");

    tcase_add_test(tc, test_every_byte_is_in_the_classes_that_the_rfcs_name);
    tcase_add_loop_test(tc, test_long_runs_stop_where_single_steps_do, 1, 20);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
