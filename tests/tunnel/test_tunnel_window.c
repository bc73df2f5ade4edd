/* SPDX-License-Identifier: Apache-2.0 */
/* Credit arithmetic: what a WINDOW may say, when one is due, and when a window grows. */
#include "bus/base/err.h"
#include "modules/tunnel/window.h"
#include "tests/support/suite.h"

static const struct {
    const char *name;
    struct tun_window said;
    int want;
} updates[] = {
    {"more credit", {100, 1200}, ERR_OK},
    {"only an acknowledgement", {150, 1000}, ERR_OK},
    {"nothing new", {100, 1000}, ERR_AGAIN},
    {"credit taken back", {100, 999}, ERR_PROTO},
    {"acknowledgement taken back", {99, 1200}, ERR_PROTO},
    {"acknowledges what was not sent", {201, 1200}, ERR_PROTO},
    {"largest offset", {100, TUN_OFFSET_MAX}, ERR_OK},
    {"overflow", {100, TUN_OFFSET_MAX + 1}, ERR_PROTO},
};

START_TEST(test_window_update)
{
    struct tun_send_window window = {.sent = 200, .acked = 100, .limit = 1000};

    ck_assert_msg(tun_send_window_update(&window, &updates[_i].said) == updates[_i].want, "%s",
                  updates[_i].name);
    if (updates[_i].want != ERR_OK)
        ck_assert_uint_eq(window.limit, 1000);
}
END_TEST

START_TEST(test_window_takes_up_to_the_limit_only)
{
    struct tun_recv_window window;

    tun_recv_window_init(&window, 1000, 1000, 0);
    ck_assert_int_eq(tun_recv_window_take(&window, 999), ERR_OK);
    ck_assert_int_eq(tun_recv_window_take(&window, 2), ERR_LIMIT);
    ck_assert_int_eq(tun_recv_window_take(&window, 1), ERR_OK);
    ck_assert_int_eq(tun_recv_window_take(&window, UINT64_MAX), ERR_LIMIT);
    tun_recv_window_consume(&window, 249);
    ck_assert(!tun_recv_window_due(&window));
    tun_recv_window_consume(&window, 1);
    ck_assert(tun_recv_window_due(&window));
    struct tun_window said = tun_recv_window_tell(&window, 5);
    ck_assert_uint_eq(said.consumed, 250);
    ck_assert_uint_eq(said.limit, 1250);
    ck_assert(!tun_recv_window_due(&window));
}
END_TEST

START_TEST(test_window_grows_for_a_fast_reader_only)
{
    struct tun_recv_window window;

    tun_recv_window_init(&window, 1000, 1000, 0);
    ck_assert_int_eq(tun_recv_window_take(&window, 500), ERR_OK);
    tun_recv_window_consume(&window, 499);
    tun_recv_window_grow(&window, 1000, 3000, 10, 5); /* a byte waits */
    ck_assert_uint_eq(window.size, 1000);
    tun_recv_window_consume(&window, 1);
    tun_recv_window_grow(&window, 1000, 3000, 10, 11); /* it took too long */
    ck_assert_uint_eq(window.size, 1000);
    tun_recv_window_grow(&window, 1000, 3000, 10, 10);
    ck_assert_uint_eq(window.size, 2000);
    tun_recv_window_grow(&window, 1000, 3000, 10, 10);
    ck_assert_uint_eq(window.size, 3000);
    tun_recv_window_init(&window, 1000, 1000, 0);
    tun_recv_window_grow(&window, 1500, 3000, 10, 99999); /* below the usual size */
    ck_assert_uint_eq(window.size, 2000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/window");
    TCase *tc = tcase_create("window");

    tcase_add_loop_test(tc, test_window_update, 0, COUNT(updates));
    tcase_add_test(tc, test_window_takes_up_to_the_limit_only);
    tcase_add_test(tc, test_window_grows_for_a_fast_reader_only);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
