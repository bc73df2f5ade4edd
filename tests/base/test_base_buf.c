/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/buf.h"

#include <signal.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/alloc.h"
#include "tests/support/suite.h"

static struct buf buf;

static void setup(void)
{
    ck_assert_int_eq(buf_init(&buf, 8), ERR_OK);
}

static void teardown(void)
{
    buf_deinit(&buf);
}

static void expect(const char *text)
{
    ck_assert_uint_eq(buf.len, strlen(text));
    ck_assert_mem_eq(buf_peek(&buf), text, strlen(text));
}

START_TEST(test_buf_append_keeps_order)
{
    ck_assert_int_eq(buf_append(&buf, "abc", 3), ERR_OK);
    ck_assert_int_eq(buf_append(&buf, "de", 2), ERR_OK);
    expect("abcde");
    ck_assert_uint_eq(buf_room(&buf), 3);
}
END_TEST

START_TEST(test_buf_append_beyond_cap_adds_nothing)
{
    ck_assert_int_eq(buf_append(&buf, "abcdefgh", 8), ERR_OK);
    ck_assert_int_eq(buf_append(&buf, "i", 1), ERR_LIMIT);
    expect("abcdefgh");
    ck_assert_int_eq(buf_append(&buf, NULL, 0), ERR_OK);
    buf_consume(&buf, 2);
    ck_assert_int_eq(buf_append(&buf, "ijk", 3), ERR_LIMIT);
    expect("cdefgh");
}
END_TEST

START_TEST(test_buf_append_uses_the_consumed_place)
{
    ck_assert_int_eq(buf_append(&buf, "abcdefgh", 8), ERR_OK);
    buf_consume(&buf, 3);
    ck_assert_int_eq(buf_append(&buf, "ijk", 3), ERR_OK);
    expect("defghijk");
}
END_TEST

START_TEST(test_buf_reserve_gives_all_the_room)
{
    size_t room = 0;
    uint8_t *place;

    ck_assert_int_eq(buf_append(&buf, "abcdef", 6), ERR_OK);
    buf_consume(&buf, 4);
    place = buf_reserve(&buf, &room);
    ck_assert_uint_eq(room, 6);
    memcpy(place, "123456", 6);
    buf_commit(&buf, 6);
    expect("ef123456");
    buf_reserve(&buf, &room);
    ck_assert_uint_eq(room, 0);
}
END_TEST

START_TEST(test_buf_empty_starts_over_at_the_front)
{
    ck_assert_int_eq(buf_append(&buf, "abc", 3), ERR_OK);
    buf_consume(&buf, 3);
    ck_assert_uint_eq(buf.head, 0);
    ck_assert_uint_eq(buf_room(&buf), 8);
    buf_consume(&buf, 0);
    ck_assert_uint_eq(buf.len, 0);
}
END_TEST

START_TEST(test_buf_all_zero_is_a_valid_empty_one)
{
    struct buf none = {0};
    size_t room = 7;

    ck_assert_uint_eq(buf_room(&none), 0);
    ck_assert_ptr_null(buf_peek(&none));
    ck_assert_ptr_null(buf_reserve(&none, &room));
    ck_assert_uint_eq(room, 0);
    ck_assert_int_eq(buf_append(&none, "a", 1), ERR_LIMIT);
    buf_deinit(&none);
    buf_deinit(&none);
}
END_TEST

START_TEST(test_buf_init_without_memory_is_empty)
{
    struct buf none;

    alloc_fail_at(0);
    ck_assert_int_eq(buf_init(&none, 8), ERR_NOMEM);
    ck_assert(alloc_fail_off());
    ck_assert_uint_eq(none.cap, 0);
    ck_assert_int_eq(buf_append(&none, "a", 1), ERR_LIMIT);
    buf_deinit(&none);
}
END_TEST

START_TEST(test_buf_cap_zero_takes_nothing)
{
    struct buf none;

    ck_assert_int_eq(buf_init(&none, 0), ERR_OK);
    ck_assert_int_eq(buf_append(&none, "a", 1), ERR_LIMIT);
    buf_deinit(&none);
}
END_TEST

START_TEST(test_buf_consuming_too_much_is_a_bug)
{
    buf_consume(&buf, 1);
}
END_TEST

START_TEST(test_buf_commit_beyond_the_room_is_a_bug)
{
    buf_commit(&buf, 9);
}
END_TEST

/* Bytes pushed and pulled in odd steps come out as a queue would give them. */
START_TEST(test_buf_random_steps_match_a_queue)
{
    uint8_t in = 0, want = 0;

    for (unsigned step = 0; step < 10000; step++) {
        size_t add = (step * 7) % 6, take = (step * 5) % 4;

        for (size_t i = 0; i < add && buf_room(&buf) > 0; i++, in++)
            ck_assert_int_eq(buf_append(&buf, &in, 1), ERR_OK);
        for (; take > 0 && buf.len > 0; take--, want++) {
            ck_assert_uint_eq(*buf_peek(&buf), want);
            buf_consume(&buf, 1);
        }
        ck_assert_uint_eq(buf.len, (uint8_t)(in - want));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/buf");
    TCase *tc = tcase_create("buf");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_buf_append_keeps_order);
    tcase_add_test(tc, test_buf_append_beyond_cap_adds_nothing);
    tcase_add_test(tc, test_buf_append_uses_the_consumed_place);
    tcase_add_test(tc, test_buf_reserve_gives_all_the_room);
    tcase_add_test(tc, test_buf_empty_starts_over_at_the_front);
    tcase_add_test(tc, test_buf_all_zero_is_a_valid_empty_one);
    tcase_add_test(tc, test_buf_cap_zero_takes_nothing);
    tcase_add_test(tc, test_buf_random_steps_match_a_queue);
    tcase_add_test(tc, test_buf_init_without_memory_is_empty);
    if (can_fork()) { /* asserts end the process */
        tcase_add_test_raise_signal(tc, test_buf_consuming_too_much_is_a_bug, SIGABRT);
        tcase_add_test_raise_signal(tc, test_buf_commit_beyond_the_room_is_a_bug, SIGABRT);
    }
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
