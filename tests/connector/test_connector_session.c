/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: its links, accepted or not, visitors, drain, and every way it ends. */
#include <check.h>

#include "tests/connector/live_session.h"
#include "tests/connector/log_capture.h"
#include "tests/support/suite.h"

static struct live_session f;

START_TEST(test_session_unknown_key_loses_its_link_untaken)
{
    live_session_begin(&f, PEER_KNOWS_NOT);
    LOOP_UNTIL(f.b.loop, f.losses == 1);
    ck_assert_uint_eq(f.lost.id, 42);
    ck_assert(!f.lost.accepted);
    ck_assert(!f.lost.known);
    ck_assert_ptr_null(f.lost.notice);
    ck_assert(!con_session_accepted(f.session));
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_reject_brings_its_notice)
{
    live_session_begin(&f, PEER_REJECTS);
    LOOP_UNTIL(f.b.loop, f.losses == 1);
    ck_assert(!f.lost.accepted);
    ck_assert_int_eq(f.lost.rc, ERR_REFUSED);
    ck_assert_int_eq(f.notice.code, TUN_CODE_BUSY);
    ck_assert_uint_eq(f.notice.retry_ms, 77);
    live_session_stop(&f);
}
END_TEST

/* The second link is refused, and then lost for another reason: the old notice is not told again.
 */
START_TEST(test_session_reject_of_a_second_link_leaves_the_first)
{
    live_session_start(&f);
    f.gw.manner = PEER_REJECTS_MORE;
    live_session_dial(&f, 1);
    LOOP_UNTIL(f.b.loop, f.losses == 1);
    ck_assert_uint_eq(f.lost.number, 1);
    ck_assert(!f.lost.accepted);
    ck_assert(f.lost.known);
    ck_assert_uint_eq(f.lost.live, 1);
    ck_assert_int_eq(f.notice.code, TUN_CODE_BUSY);
    peer_cut(&f.gw.sessions[0], 0);
    LOOP_UNTIL(f.b.loop, f.losses == 2);
    ck_assert(f.lost.accepted);
    ck_assert_ptr_null(f.lost.notice);
    ck_assert_uint_eq(con_session_live(f.session), 0);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_takes_a_second_link)
{
    live_session_start(&f);
    live_session_dial(&f, 1);
    LOOP_UNTIL(f.b.loop, f.accepts == 2);
    ck_assert_uint_eq(con_session_live(f.session), 2);
    ck_assert_uint_eq(peer_gateway_links(&f.gw), 2);
    live_session_stop(&f);
}
END_TEST

/* The only link is lost, a new one comes: the visitor's bytes go on, and the log says so once. */
START_TEST(test_session_resumes_on_a_new_link)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct log_capture log;
    struct peer_visitor visitor;
    const char *text;
    int fd;

    live_session_start(&f);
    bench_service(&f.b, "web=%s");
    peer_visit(&f.gw, &visitor, &open);
    fd = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor.ok);
    log_capture_start(&log);
    peer_cut(&f.gw.sessions[0], 0);
    LOOP_UNTIL(f.b.loop, f.losses == 1);
    peer_say(&visitor, "while nobody listens", false);
    bench_say(fd, "answer");
    live_session_dial(&f, 0);
    bench_expect(&f.b, fd, "while nobody listens");
    LOOP_UNTIL(f.b.loop, visitor.got_len == 6);
    text = log_capture_stop(&log);
    ck_assert_ptr_nonnull(strstr(text, "resumed"));
    ck_assert_ptr_nonnull(strstr(text, "visitors=1"));
    ck_assert_int_eq(visitor.reset, TUN_CODE_NONE);
    close(fd);
    live_session_stop(&f);
}
END_TEST

/* No new link comes: the window passes, and only then the visitor is cut. */
START_TEST(test_session_without_links_ends_after_the_window)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;
    char byte;
    int fd;

    live_session_begin(&f, PEER_ACCEPTS);
    con_session_free(f.session); /* again, with a short window */
    f.session = NULL;
    f.b.config->resume_window_ms = 1000;
    f.info.epoch = 2;
    live_session_dial(&f, 0);
    LOOP_UNTIL(f.b.loop, f.accepts > 0);
    bench_service(&f.b, "web=%s");
    peer_visit(&f.gw, &visitor, &open);
    fd = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor.ok);
    peer_cut(peer_gateway_session(&f.gw), 0);
    LOOP_UNTIL(f.b.loop, f.losses == 1);
    ck_assert_uint_eq(con_session_streams(f.session), 1);
    ck_assert_int_eq(f.ended, 0);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert_int_eq(f.end.rc, ERR_TIMEOUT);
    ck_assert(f.end.accepted);
    ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(fd);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_close_brings_its_notice)
{
    live_session_start(&f);
    link_session_close(peer_gateway_session(&f.gw)->link, TUN_CODE_REVOKED, "gone");
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert(f.end.accepted);
    ck_assert_int_eq(f.notice.code, TUN_CODE_REVOKED);
    ck_assert_str_eq(f.notice.why, "gone");
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_close_cuts_its_visitors_in_order)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;

    live_session_start(&f);
    bench_service(&f.b, "web=%s");
    peer_visit(&f.gw, &visitor, &open);
    close(bench_serve(&f.b));
    con_session_close(f.session);
    con_session_close(f.session);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert_int_eq(f.end.rc, ERR_CANCELLED);
    LOOP_UNTIL(f.b.loop, f.gw.sessions[0].closed_in_order);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_drain_without_visitors_ends_at_once)
{
    live_session_start(&f);
    con_session_drain(f.session);
    con_session_drain(f.session);
    ck_assert_int_eq(f.ended, 0);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert_int_eq(f.end.rc, ERR_CANCELLED);
    LOOP_UNTIL(f.b.loop, f.gw.sessions[0].closed_in_order);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_drain_waits_for_its_visitors)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;
    int fd;

    live_session_start(&f);
    bench_service(&f.b, "web=%s");
    peer_visit(&f.gw, &visitor, &open);
    fd = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor.ok);
    con_session_drain(f.session);
    LOOP_UNTIL(f.b.loop, f.gw.sessions[0].goaway);
    ck_assert_uint_eq(con_session_streams(f.session), 1);
    peer_say(&visitor, NULL, true);
    close(fd);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_goaway_is_passed_on)
{
    live_session_start(&f);
    peer_goaway(peer_gateway_session(&f.gw), TUN_CODE_UPGRADE, 5);
    LOOP_UNTIL(f.b.loop, f.goaways == 1);
    ck_assert_int_eq(f.notice.code, TUN_CODE_UPGRADE);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_passes_on_the_next_key_of_the_gateway)
{
    const struct tun_public_key key = {{9}};

    live_session_start(&f);
    ck_assert_int_eq(f.next_keys, 0);
    peer_next_key(peer_gateway_session(&f.gw), &key);
    LOOP_UNTIL(f.b.loop, f.next_keys == 1);
    ck_assert(tun_key_equal(&f.next_key, &key));
    live_session_stop(&f);
}
END_TEST

/* _i: 0 idle, 1 a visitor while its service is dialled, 2 a visitor being served, 3 draining, 4
 * the link is lost and the visitor waits */
START_TEST(test_session_free_in_each_state)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor = {0};
    int fd = -1;

    live_session_start(&f);
    bench_service(&f.b, "web=%s");
    if (_i >= 1) {
        peer_visit(&f.gw, &visitor, &open);
        LOOP_UNTIL(f.b.loop, con_session_streams(f.session) == 1);
    }
    if (_i >= 2) {
        fd = bench_serve(&f.b);
        LOOP_UNTIL(f.b.loop, visitor.ok);
    }
    if (_i == 3)
        con_session_drain(f.session);
    if (_i == 4) {
        peer_cut(&f.gw.sessions[0], 0);
        LOOP_UNTIL(f.b.loop, f.losses == 1);
    }
    con_session_free(f.session);
    f.session = NULL;
    ck_assert_int_eq(f.ended, 0);
    if (fd >= 0)
        close(fd);
    live_session_stop(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/session");
    TCase *tc = tcase_create("session");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_session_unknown_key_loses_its_link_untaken);
    tcase_add_test(tc, test_session_reject_brings_its_notice);
    tcase_add_test(tc, test_session_reject_of_a_second_link_leaves_the_first);
    tcase_add_test(tc, test_session_takes_a_second_link);
    tcase_add_test(tc, test_session_resumes_on_a_new_link);
    tcase_add_test(tc, test_session_without_links_ends_after_the_window);
    tcase_add_test(tc, test_session_close_brings_its_notice);
    tcase_add_test(tc, test_session_close_cuts_its_visitors_in_order);
    tcase_add_test(tc, test_session_drain_without_visitors_ends_at_once);
    tcase_add_test(tc, test_session_drain_waits_for_its_visitors);
    tcase_add_test(tc, test_session_goaway_is_passed_on);
    tcase_add_test(tc, test_session_passes_on_the_next_key_of_the_gateway);
    tcase_add_loop_test(tc, test_session_free_in_each_state, 0, 5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
