/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: accepted or not, visitors, drain, and every way it ends. */
#include <check.h>

#include "tests/connector/live_session.h"
#include "tests/support/suite.h"

static struct live_session f;

START_TEST(test_session_unknown_key_ends_without_accept)
{
    live_session_begin(&f, PEER_KNOWS_NOT);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert_uint_eq(f.end.id, 42);
    ck_assert(!f.end.accepted);
    ck_assert_ptr_null(f.end.notice);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_reject_brings_its_notice)
{
    live_session_begin(&f, PEER_REJECTS);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert(!f.end.accepted);
    ck_assert_int_eq(f.end.rc, ERR_REFUSED);
    ck_assert_int_eq(f.notice.code, TUN_CODE_BUSY);
    ck_assert_uint_eq(f.notice.retry_ms, 77);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_close_brings_its_notice)
{
    live_session_start(&f);
    link_close(peer_gateway_session(&f.gw)->link, TUN_CODE_REVOKED, "gone");
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    ck_assert(f.end.accepted);
    ck_assert_int_eq(f.notice.code, TUN_CODE_REVOKED);
    ck_assert_str_eq(f.notice.why, "gone");
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
    peer_say(&f.gw, &visitor, NULL, true);
    close(fd);
    LOOP_UNTIL(f.b.loop, f.ended == 1);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_goaway_is_passed_on)
{
    live_session_start(&f);
    tun_session_goaway(link_session(peer_gateway_session(&f.gw)->link),
                       &(struct tun_notice){.code = TUN_CODE_UPGRADE, .retry_ms = 5});
    link_touch(peer_gateway_session(&f.gw)->link);
    LOOP_UNTIL(f.b.loop, f.goaways == 1);
    ck_assert_int_eq(f.notice.code, TUN_CODE_UPGRADE);
    live_session_stop(&f);
}
END_TEST

START_TEST(test_session_passes_on_the_next_key_of_the_gateway)
{
    const struct tun_public_key key = {{9}};
    struct link *link;

    live_session_start(&f);
    ck_assert_int_eq(f.next_keys, 0);
    link = peer_gateway_session(&f.gw)->link;
    ck_assert_int_eq(tun_session_next_key(link_session(link), &key), ERR_OK);
    link_touch(link);
    LOOP_UNTIL(f.b.loop, f.next_keys == 1);
    ck_assert(tun_key_equal(&f.next_key, &key));
    live_session_stop(&f);
}
END_TEST

/* _i: 0 idle, 1 a visitor while its service is dialled, 2 a visitor being served, 3 draining */
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
    con_session_free(f.session);
    f.session = NULL;
    if (_i >= 1)
        LOOP_UNTIL(f.b.loop, visitor.reset != TUN_CODE_NONE);
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
    tcase_add_test(tc, test_session_unknown_key_ends_without_accept);
    tcase_add_test(tc, test_session_reject_brings_its_notice);
    tcase_add_test(tc, test_session_close_brings_its_notice);
    tcase_add_test(tc, test_session_drain_without_visitors_ends_at_once);
    tcase_add_test(tc, test_session_drain_waits_for_its_visitors);
    tcase_add_test(tc, test_session_goaway_is_passed_on);
    tcase_add_test(tc, test_session_passes_on_the_next_key_of_the_gateway);
    tcase_add_loop_test(tc, test_session_free_in_each_state, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
