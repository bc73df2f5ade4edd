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
    struct tun_window said = tun_recv_window_tell(&window);
    ck_assert_uint_eq(said.consumed, 250);
    ck_assert_uint_eq(said.limit, 1250);
    ck_assert(!tun_recv_window_due(&window));
}
END_TEST

/* N bytes come and are taken until NOW_MS; the window may grow. */
static void pass(struct tun_recv_window *window, uint64_t n, uint32_t trip_us, uint64_t now_ms)
{
    ck_assert_int_eq(tun_recv_window_take(window, n), ERR_OK);
    tun_recv_window_consume(window, n);
    tun_recv_window_grow(window, 1000, 3000, trip_us, now_ms);
    (void)tun_recv_window_tell(window);
}

START_TEST(test_window_grows_when_it_holds_the_stream_back)
{
    struct tun_recv_window window;

    tun_recv_window_init(&window, 1000, 1000, 0);
    pass(&window, 500, 99500, 99);
    ck_assert_uint_eq(window.size, 1000); /* less than a round trip is no measurement */
    pass(&window, 500, 99500, 100);
    ck_assert_uint_eq(window.size, 2000); /* 1000 bytes in a trip need 2000 */
    pass(&window, 999, 99500, 200);
    ck_assert_uint_eq(window.size, 2000);
    pass(&window, 2000, 99500, 300);
    ck_assert_uint_eq(window.size, 3000); /* and no more */
    pass(&window, 3000, 99500, 400);
    ck_assert_uint_eq(window.size, 3000);
}
END_TEST

START_TEST(test_window_stays_when_a_short_path_holds_enough)
{
    struct tun_recv_window window;

    tun_recv_window_init(&window, 1000, 1000, 0);
    for (uint64_t now = 1; now < 100; now++)
        pass(&window, 400, 600, now); /* in 1.1 ms with the loops' turns: 2 * 440 bytes */
    ck_assert_uint_eq(window.size, 1000);
    for (uint64_t now = 100; now < 200; now++)
        pass(&window, 400, 0, now); /* nobody knows the path: 20 ms are a guess */
    ck_assert_uint_eq(window.size, 3000);
}
END_TEST

START_TEST(test_window_waits_for_the_reader)
{
    struct tun_recv_window window;

    tun_recv_window_init(&window, 1000, 1000, 0);
    ck_assert_int_eq(tun_recv_window_take(&window, 1000), ERR_OK);
    tun_recv_window_consume(&window, 999);
    tun_recv_window_grow(&window, 1500, 3000, 0, 100); /* a byte waits */
    ck_assert_uint_eq(window.size, 1000);
    tun_recv_window_consume(&window, 1);
    tun_recv_window_grow(&window, 1500, 3000, 0,
                         99999); /* below the usual size time is no matter */
    ck_assert_uint_eq(window.size, 2000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/window");
    TCase *tc = tcase_create("window");

    tcase_add_loop_test(tc, test_window_update, 0, COUNT(updates));
    tcase_add_test(tc, test_window_takes_up_to_the_limit_only);
    tcase_add_test(tc, test_window_grows_when_it_holds_the_stream_back);
    tcase_add_test(tc, test_window_stays_when_a_short_path_holds_enough);
    tcase_add_test(tc, test_window_waits_for_the_reader);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
