/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/ini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/quantity.h"
#include "tests/support/alloc.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct ini *ini;
static char why[INI_WHY_MAX];

static void setup(void)
{
    ini = NULL;
}

static void teardown(void)
{
    ini_free(ini);
}

static void parse(const char *text)
{
    ini_free(ini);
    ini = NULL;
    ck_assert_msg(ini_parse(&ini, "x.conf", text, strlen(text), why) == ERR_OK, "%s", why);
}

static void finish(const char *want)
{
    ck_assert_int_eq(ini_finish(ini, why), want[0] == '\0' ? ERR_OK : ERR_INVALID);
    ck_assert_str_eq(why, want);
}

START_TEST(test_ini_sections_keep_kind_name_and_line)
{
    parse("# head\n[node]\n\n[gateway gw1]\n  [ service   web ]  \n");
    ck_assert_uint_eq(ini_section_count(ini), 3);
    ck_assert_str_eq(ini_section_at(ini, 0)->kind, "node");
    ck_assert_str_eq(ini_section_at(ini, 0)->name, "");
    ck_assert_int_eq(ini_section_at(ini, 0)->line, 2);
    ck_assert_str_eq(ini_section_at(ini, 1)->name, "gw1");
    ck_assert_str_eq(ini_section_at(ini, 2)->kind, "service");
    ck_assert_str_eq(ini_section_at(ini, 2)->name, "web");
    ck_assert_int_eq(ini_find(ini, "node"), 0);
    ck_assert_int_eq(ini_find(ini, "gateway"), -1);
    ck_assert_int_eq(ini_find(ini, "other"), -1);
}
END_TEST

START_TEST(test_ini_text_is_trimmed_and_nothing_else)
{
    const char *text = "before";

    parse("[a]\n\tname =  two words ; no comment = here # either \t\r\nempty=\n");
    ini_get_text(ini, 0, "name", &text);
    ck_assert_str_eq(text, "two words ; no comment = here # either");
    ini_get_text(ini, 0, "empty", &text);
    ck_assert_str_eq(text, "");
    text = "before";
    ini_get_text(ini, 0, "absent", &text);
    ini_get_text(ini, -1, "name", &text);
    ck_assert_str_eq(text, "before");
    finish("");
}
END_TEST

START_TEST(test_ini_last_of_several_counts)
{
    const char *text = NULL;
    uint64_t n = 0;

    parse("[a]\nx = 1\n[b]\nx = 9\n[a]\nx = 2\n");
    ini_get_text(ini, ini_find(ini, "a"), "x", &text);
    ck_assert_str_eq(text, "2");
    ini_get_u64(ini, ini_find(ini, "a"), "x", 0, 10, &n);
    ck_assert_uint_eq(n, 2);
    ini_get_text(ini, 1, "x", &text);
    finish("");
}
END_TEST

START_TEST(test_ini_named_sections_are_separate)
{
    const char *text = NULL;

    parse("[s a]\nx = 1\n[s b]\nx = 2\n[s a]\nx = 3\n");
    ini_get_text(ini, 0, "x", &text);
    ck_assert_str_eq(text, "1");
    ini_get_text(ini, 1, "x", &text);
    ck_assert_str_eq(text, "2");
    ini_get_text(ini, 2, "x", &text);
    ck_assert_str_eq(text, "3");
}
END_TEST

START_TEST(test_ini_without_a_last_newline)
{
    const char *text = NULL;

    parse("[a]\nx = 1");
    ini_get_text(ini, 0, "x", &text);
    ck_assert_str_eq(text, "1");
    parse("");
    finish("");
}
END_TEST

/* Texts that are refused, with the whole message. */
static const struct {
    const char *text;
    const char *message;
} refused[] = {
    {"x = 1\n", "x.conf:1: x: stands before the first section"},
    {"[a]\nhello\n", "x.conf:2: is neither '[section]', 'key = value' nor a comment (# or ;)"},
    {"\n[a\n", "x.conf:2: a section must end with ']'"},
    {"[a] # note\n", "x.conf:1: a section must end with ']'"},
    {"[]\n", "x.conf:1: the kind of a section is made of a-z, 0-9 and '-'"},
    {"[ ]\n", "x.conf:1: the kind of a section is made of a-z, 0-9 and '-'"},
    {"[Node]\n", "x.conf:1: the kind of a section is made of a-z, 0-9 and '-'"},
    {"[a b c]\n", "x.conf:1: the name of a section has no blanks or brackets"},
    {"[a b]c]\n", "x.conf:1: the name of a section has no blanks or brackets"},
    {"[a]\n= 1\n", "x.conf:2: a key is made of a-z, 0-9 and '-'"},
    {"[a]\nX = 1\n", "x.conf:2: a key is made of a-z, 0-9 and '-'"},
    {"[a]\nx y = 1\n", "x.conf:2: a key is made of a-z, 0-9 and '-'"},
    {"[a]\nx = \x01\n", "x.conf:2: holds a control character (byte 0x01)"},
    {"[a]\n# \x1b\n", "x.conf:2: holds a control character (byte 0x1b)"},
    {"[a]\nx = \x7f\n", "x.conf:2: holds a control character (byte 0x7f)"},
    {"\xef\xbb\xbf[a]\n", "x.conf:1: is neither '[section]', 'key = value' nor a comment (# or ;)"},
};

START_TEST(test_ini_bad_line_is_refused_with_its_number)
{
    const char *text = refused[_i].text;

    ck_assert_int_eq(ini_parse(&ini, "x.conf", text, strlen(text), why), ERR_INVALID);
    ck_assert_ptr_null(ini);
    ck_assert_str_eq(why, refused[_i].message);
}
END_TEST

START_TEST(test_ini_nul_is_refused_not_the_end)
{
    ck_assert_int_eq(ini_parse(&ini, "x.conf", "[a]\nx = 1\0y\n", 12, why), ERR_INVALID);
    ck_assert_str_eq(why, "x.conf:2: holds a control character (byte 0x00)");
}
END_TEST

/* _i = 0: the longest line; 1: one byte more. inih would cut both without a word. */
START_TEST(test_ini_line_limit)
{
    size_t value = INI_LINE_MAX - 4 + (size_t)_i, len = 4 + 4 + value + 1;
    char *text = malloc(len);
    const char *got = NULL;

    memcpy(text, "[a]\nx = ", 8);
    memset(text + 8, 'v', value);
    text[len - 1] = '\n';
    if (_i == 0) {
        ck_assert_int_eq(ini_parse(&ini, "x.conf", text, len, why), ERR_OK);
        ini_get_text(ini, 0, "x", &got);
        ck_assert_uint_eq(strlen(got), value);
    } else {
        ck_assert_int_eq(ini_parse(&ini, "x.conf", text, len, why), ERR_INVALID);
        ck_assert_str_eq(why, "x.conf:2: is longer than 4096 bytes");
    }
    free(text);
}
END_TEST

START_TEST(test_ini_long_section_names_stay_apart)
{
    char text[400], a[101];

    memset(a, 'n', 100);
    a[100] = '\0';
    snprintf(text, sizeof(text), "[s %sa]\nx = 1\n[s %sb]\nx = 2\n", a, a);
    parse(text);
    ck_assert_uint_eq(strlen(ini_section_at(ini, 0)->name), 101);
    ck_assert_str_ne(ini_section_at(ini, 0)->name, ini_section_at(ini, 1)->name);
}
END_TEST

/* Every prefix, ending where the heap block ends, is taken or refused with a line. */
START_TEST(test_ini_every_prefix_is_safe)
{
    static const char whole[] = "; c\n[node]\nname = gw1\nurl=a,b\n[gateway gw1]\n k = 300s\r\n";

    for (size_t len = 0; len < sizeof(whole); len++) {
        char *copy = exact_copy(whole, len);

        ini_free(ini);
        ini = NULL;
        if (ini_parse(&ini, "x.conf", copy, len, why) != ERR_OK)
            ck_assert_mem_eq(why, "x.conf:", 7);
        free(copy);
    }
}
END_TEST

/* Any single byte may be damaged: no crash, and getters stay within their ranges. */
START_TEST(test_ini_single_byte_damage_is_safe)
{
    char text[] = "[limits]\nidle = 300s\nsize = 16KiB\nlist = a, b\nn = 5\n";
    size_t at = (size_t)_i;
    char good = text[at];

    for (int byte = 0; byte < 256; byte++) {
        uint64_t v = 1;
        const char *const *items;
        size_t count;

        text[at] = (char)byte;
        ini_free(ini);
        ini = NULL;
        if (ini_parse(&ini, "x.conf", text, sizeof(text) - 1, why) != ERR_OK)
            continue;
        ini_get_ms(ini, 0, "idle", &v);
        ck_assert_uint_le(v, QUANTITY_MS_MAX);
        ini_get_size(ini, 0, "size", &v);
        ck_assert_uint_le(v, QUANTITY_SIZE_MAX);
        ini_get_u64(ini, 0, "n", 1, 9, &v);
        ini_get_list(ini, 0, "list", &items, &count);
        ck_assert_uint_le(count, 3);
        (void)ini_finish(ini, why);
    }
    text[at] = good;
}
END_TEST

START_TEST(test_ini_bool)
{
    bool on = false, off = true, bad = true;

    parse("[a]\non = yes\noff = no\nbad = true\n");
    ini_get_bool(ini, 0, "on", &on);
    ini_get_bool(ini, 0, "off", &off);
    ini_get_bool(ini, 0, "bad", &bad);
    ck_assert(on && !off && bad);
    finish("x.conf:4: bad: \"true\" is neither yes nor no");
}
END_TEST

START_TEST(test_ini_numbers_with_units)
{
    uint64_t ms = 1, size = 2, absent = 3;

    parse("[a]\nidle = 5m\nhead = 16KiB\nbad = 5 m\nworse = 16k\nhuge = 9999d\n");
    ini_get_ms(ini, 0, "idle", &ms);
    ck_assert_uint_eq(ms, 300000);
    ini_get_size(ini, 0, "head", &size);
    ck_assert_uint_eq(size, 16384);
    ini_get_ms(ini, 0, "absent", &absent);
    ini_get_size(ini, 0, "absent", &absent);
    ini_get_ms(ini, 0, "bad", &absent);
    ini_get_size(ini, 0, "worse", &absent);
    ini_get_ms(ini, 0, "huge", &absent);
    ck_assert_uint_eq(absent, 3);
    finish("x.conf:4: bad: \"5 m\" is not a duration (250ms 10s 5m 24h 7d)");
}
END_TEST

/* What each getter says about a bad value. */
START_TEST(test_ini_bad_numbers_are_named)
{
    uint64_t v = 0;

    parse("[a]\nx = 16k\n");
    ini_get_size(ini, 0, "x", &v);
    finish("x.conf:2: x: \"16k\" is not a size (bytes, 16KiB, 4MiB or 1GiB)");
    parse("[a]\nx = 2000GiB\n");
    ini_get_size(ini, 0, "x", &v);
    finish("x.conf:2: x: \"2000GiB\" is more than 1024GiB");
    parse("[a]\nx = 9999d\n");
    ini_get_ms(ini, 0, "x", &v);
    finish("x.conf:2: x: \"9999d\" is longer than ten years");
    parse("[a]\nx =\n");
    ini_get_u64(ini, 0, "x", 0, 9, &v);
    finish("x.conf:2: x: \"\" is not a whole number");
}
END_TEST

/* Ranges hold at limit-1, limit, limit+1. */
START_TEST(test_ini_number_range)
{
    uint64_t v = 0;

    parse("[a]\nlow = 9\nmin = 10\nmax = 20\nhigh = 21\n");
    ini_get_u64(ini, 0, "min", 10, 20, &v);
    ck_assert_uint_eq(v, 10);
    ini_get_u64(ini, 0, "max", 10, 20, &v);
    ck_assert_uint_eq(v, 20);
    ini_get_u64(ini, 0, "low", 10, 20, &v);
    ini_get_u64(ini, 0, "high", 10, 20, &v);
    ck_assert_uint_eq(v, 20);
    finish("x.conf:2: low: \"9\" is not between 10 and 20");
}
END_TEST

START_TEST(test_ini_list_joins_repeated_keys)
{
    const char *const *items = NULL;
    size_t count = 0;

    parse("[a]\nx = one, two ,,three\nother = 1\nx =\nx = four\nempty = , ,\n");
    ck_assert(ini_get_list(ini, 0, "x", &items, &count));
    ck_assert_uint_eq(count, 4);
    ck_assert_str_eq(items[0], "one");
    ck_assert_str_eq(items[1], "two");
    ck_assert_str_eq(items[2], "three");
    ck_assert_str_eq(items[3], "four");
    ck_assert(ini_get_list(ini, 0, "empty", &items, &count));
    ck_assert_uint_eq(count, 0);
    ck_assert(!ini_get_list(ini, 0, "absent", &items, &count));
    ck_assert_uint_eq(count, 0);
    ck_assert(!ini_get_list(ini, -1, "x", &items, &count));
}
END_TEST

START_TEST(test_ini_unknown_key_is_refused)
{
    const char *text;

    parse("[a]\nx = 1\nidle-timout = 3s\n");
    ini_get_text(ini, 0, "x", &text);
    finish("x.conf:3: unknown key \"idle-timout\" in [a]");
}
END_TEST

START_TEST(test_ini_unknown_section_is_refused)
{
    const char *text;

    parse("[a]\nx = 1\n[limit]\ny = 1\n[c d]\n");
    ini_get_text(ini, 0, "x", &text);
    finish("x.conf:3: unknown section [limit]");
    ini_known_section(ini, 1);
    finish("x.conf:4: unknown key \"y\" in [limit]");
    ini_get_text(ini, 1, "y", &text);
    finish("x.conf:5: unknown section [c d]");
    ini_known_section(ini, 2);
    ini_known_section(ini, -1);
    finish("");
}
END_TEST

START_TEST(test_ini_asking_for_an_absent_key_knows_the_section)
{
    const char *text = NULL;
    const char *const *items;
    size_t count;

    parse("[a]\n[b]\n");
    ini_get_text(ini, 0, "x", &text);
    ini_get_list(ini, 1, "x", &items, &count);
    finish("");
}
END_TEST

START_TEST(test_ini_callers_error_comes_with_file_and_line)
{
    parse("[a]\nx = 1\n[b]\n");
    ini_fail(ini, 0, "x", "must be %s", "two");
    ini_fail(ini, 0, "x", "later errors do not count");
    ini_known_section(ini, 1);
    finish("x.conf:2: x: must be two");
    parse("[a]\n[b]\n");
    ini_fail(ini, 1, NULL, "comes twice");
    finish("x.conf:2: comes twice");
    parse("[a]\n");
    ini_fail(ini, 0, "x", "is missing");
    finish("x.conf:1: x: is missing");
    parse("");
    ini_fail(ini, -1, NULL, "has no [a]");
    finish("x.conf:0: has no [a]");
}
END_TEST

START_TEST(test_ini_long_values_do_not_break_messages)
{
    char text[5000] = "[a]\nx = ";
    bool flag;

    memset(text + 8, 'v', 4000);
    text[4008] = '\0';
    parse(text);
    ini_get_bool(ini, 0, "x", &flag);
    ck_assert_int_eq(ini_finish(ini, why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "is neither yes nor no"));
}
END_TEST

START_TEST(test_ini_out_of_memory_is_an_error_and_no_leak)
{
    static const char text[] = "[a]\nx = 1,2\n[b]\ny = 1\n";

    EACH_FAILED_ALLOCATION(n)
    {
        const char *const *items;
        size_t count = 9;
        bool there = false;
        int rc;

        ini_free(ini);
        ini = NULL;
        rc = ini_parse(&ini, "x.conf", text, sizeof(text) - 1, why);
        if (rc == ERR_OK) {
            ini_known_section(ini, 1);
            there = ini_get_list(ini, 0, "x", &items, &count);
        }
        (void)alloc_fail_off();
        if (rc == ERR_OK) {
            ck_assert(there);
            ck_assert(count == 2 || (count == 0 && ini_finish(ini, why) == ERR_INVALID));
        } else {
            ck_assert_int_eq(rc, ERR_NOMEM);
            ck_assert_str_eq(why, "x.conf: out of memory");
            ck_assert_ptr_null(ini);
        }
    }
}
END_TEST

START_TEST(test_ini_load_reads_a_file)
{
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "a.conf"), *fifo;
    const char *text = NULL;

    ck_assert_int_eq(ini_load(&ini, path, why), ERR_SYS);
    ck_assert_ptr_nonnull(strstr(why, "No such file"));
    ck_assert_int_eq(file_write(path, "[a]\nx = 1\n", 10), ERR_OK);
    ck_assert_int_eq(ini_load(&ini, path, why), ERR_OK);
    ini_get_text(ini, 0, "x", &text);
    ck_assert_str_eq(text, "1");
    fifo = temp_dir_path(dir, "fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ini_free(ini);
    ini = NULL;
    ck_assert_int_eq(ini_load(&ini, fifo, why), ERR_SYS);
    free(fifo);
    free(path);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_ini_load_refuses_a_huge_file)
{
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "a.conf");
    char *text = malloc(INI_FILE_MAX + 1);

    memset(text, '\n', INI_FILE_MAX + 1);
    ck_assert_int_eq(file_write(path, text, INI_FILE_MAX), ERR_OK);
    ck_assert_int_eq(ini_load(&ini, path, why), ERR_OK);
    ck_assert_int_eq(file_write(path, text, INI_FILE_MAX + 1), ERR_OK);
    ini_free(ini);
    ini = NULL;
    ck_assert_int_eq(ini_load(&ini, path, why), ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(why, "is longer than 4194304 bytes"));
    free(text);
    free(path);
    temp_dir_free(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/ini");
    TCase *tc = tcase_create("ini");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_ini_sections_keep_kind_name_and_line);
    tcase_add_test(tc, test_ini_text_is_trimmed_and_nothing_else);
    tcase_add_test(tc, test_ini_last_of_several_counts);
    tcase_add_test(tc, test_ini_named_sections_are_separate);
    tcase_add_test(tc, test_ini_without_a_last_newline);
    tcase_add_loop_test(tc, test_ini_bad_line_is_refused_with_its_number, 0, COUNT(refused));
    tcase_add_test(tc, test_ini_nul_is_refused_not_the_end);
    tcase_add_loop_test(tc, test_ini_line_limit, 0, 2);
    tcase_add_test(tc, test_ini_long_section_names_stay_apart);
    tcase_add_test(tc, test_ini_every_prefix_is_safe);
    tcase_add_loop_test(tc, test_ini_single_byte_damage_is_safe, 0, 52);
    tcase_add_test(tc, test_ini_bool);
    tcase_add_test(tc, test_ini_numbers_with_units);
    tcase_add_test(tc, test_ini_bad_numbers_are_named);
    tcase_add_test(tc, test_ini_number_range);
    tcase_add_test(tc, test_ini_list_joins_repeated_keys);
    tcase_add_test(tc, test_ini_unknown_key_is_refused);
    tcase_add_test(tc, test_ini_unknown_section_is_refused);
    tcase_add_test(tc, test_ini_asking_for_an_absent_key_knows_the_section);
    tcase_add_test(tc, test_ini_callers_error_comes_with_file_and_line);
    tcase_add_test(tc, test_ini_long_values_do_not_break_messages);
    tcase_add_test(tc, test_ini_out_of_memory_is_an_error_and_no_leak);
    tcase_add_test(tc, test_ini_load_reads_a_file);
    tcase_add_test(tc, test_ini_load_refuses_a_huge_file);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
