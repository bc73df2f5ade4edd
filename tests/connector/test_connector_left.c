/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that are being left: they wait for their visitors, or end now, and are forgotten. */
#include <check.h>

#include "modules/connector/left.h"
#include "tests/connector/live_session.h"
#include "tests/connector/log_capture.h"
#include "tests/support/suite.h"

static struct live_session f;
static struct con_left left;

static void setup(void)
{
    memset(&left, 0, sizeof(left));
    live_session_start(&f);
    bench_service(&f.b, "web=%s");
}

static void teardown(void)
{
    con_left_deinit(&left);
    live_session_stop(&f);
}

/* A visitor is served; returns the service's end. */
static int serve(struct peer_visitor *visitor)
{
    struct tun_open open = bench_open("7-1-x", "web");
    int fd;

    peer_visit(&f.gw, visitor, &open);
    fd = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor->ok);
    return fd;
}

/* The session is no longer the fixture's. */
static struct con_session *give(void)
{
    struct con_session *session = f.session;

    f.session = NULL;
    return session;
}

START_TEST(test_left_session_waits_for_its_visitors)
{
    struct peer_visitor visitor;
    int fd;

    setup();
    fd = serve(&visitor);
    con_left_drain(&left, 42, give());
    ck_assert_uint_eq(con_left_streams(&left), 1);
    bench_say(fd, "still here");
    LOOP_UNTIL(f.b.loop, visitor.got_len == 10);
    ck_assert_int_eq(f.ended, 0);
    peer_say(&visitor, NULL, true);
    close(fd);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert(con_left_forget(&left, &f.end, "gw1"));
    ck_assert(!con_left_forget(&left, &f.end, "gw1"));
    ck_assert_uint_eq(con_left_streams(&left), 0);
    teardown();
}
END_TEST

/* _i: 0 closed at once, 1 waiting and then hurried */
START_TEST(test_left_session_may_end_now)
{
    struct peer_visitor visitor;
    int fd;

    setup();
    fd = serve(&visitor);
    if (_i == 0) {
        con_left_close(&left, 42, give());
    } else {
        con_left_drain(&left, 42, give());
        con_left_hurry(&left);
    }
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert(con_left_forget(&left, &f.end, "gw1"));
    LOOP_UNTIL(f.b.loop, visitor.reset != TUN_CODE_NONE);
    close(fd);
    teardown();
}
END_TEST

/* What the gateway did is told; what we did ourselves is not. */
START_TEST(test_left_session_that_is_lost_is_told)
{
    struct con_session_end end = {.id = 42, .rc = ERR_CANCELLED};
    struct log_capture log;

    setup();
    con_left_drain(&left, 42, give());
    log_capture_start(&log);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert(con_left_forget(&left, &end, "gw1"));
    ck_assert_str_eq(log_capture_stop(&log), "");

    left.items[left.count++].id = 43;
    end = (struct con_session_end){.id = 43, .rc = ERR_TIMEOUT};
    log_capture_start(&log);
    ck_assert(con_left_forget(&left, &end, "gw1"));
    ck_assert_ptr_nonnull(strstr(log_capture_stop(&log), "a tunnel that was being left is lost"));
    teardown();
}
END_TEST

/* The gateway is being upgraded: its old process takes visitors until it says that it is done. */
START_TEST(test_left_session_may_serve_on)
{
    struct peer_visitor visitor;
    int fd;

    setup();
    con_left_keep(&left, 42, give());
    ck_assert_ptr_null(con_left_find(&left, 41));
    fd = serve(&visitor);
    ck_assert(!f.gw.sessions[0].goaway);
    con_left_drain_all(&left);
    LOOP_UNTIL(f.b.loop, f.gw.sessions[0].goaway);
    ck_assert_ptr_nonnull(con_left_find(&left, 42));
    close(fd);
    teardown();
}
END_TEST

START_TEST(test_left_has_room_for_some)
{
    struct con_left full = {.count = CON_LEFT_MAX};

    ck_assert(con_left_has_room(&(struct con_left){0}));
    ck_assert(!con_left_has_room(&full));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/left");
    TCase *tc = tcase_create("left");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_left_session_waits_for_its_visitors);
    tcase_add_loop_test(tc, test_left_session_may_end_now, 0, 2);
    tcase_add_test(tc, test_left_session_that_is_lost_is_told);
    tcase_add_test(tc, test_left_session_may_serve_on);
    tcase_add_test(tc, test_left_has_room_for_some);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
