/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions over TCP links: bytes, losses, resumes, replacements, ends of every kind. */
#include "modules/link/session.h"

#include <check.h>
#include <ev.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/link/watch.h"
#include "tests/support/suite.h"

/* Send on until stream S has arrived up to AT, with TOTAL in all. */
static void send_until(struct watch_stream *s, size_t at, size_t total)
{
    while (s->received < at) {
        watch_send(s, total);
        ev_run(w.duo.loop, EVRUN_ONCE);
    }
}

static void finish(struct watch_stream *s, size_t total)
{
    send_until(s, total, total);
    tun_stream_finish(s->near);
    link_session_touch(w.duo.gateway.session);
    LOOP_UNTIL(w.duo.loop, s->eof);
    ck_assert_uint_eq(s->received, total);
    ck_assert_uint_eq(s->wrong, 0);
    ck_assert_int_eq(s->resets, 0);
}

/* _i links */
START_TEST(test_session_carries_a_stream_to_its_end)
{
    watch_start_live((unsigned)_i);
    ck_assert_uint_eq(w.accepted, (unsigned)_i);
    finish(watch_open(0), 20u << 20);
    watch_stop();
}
END_TEST

START_TEST(test_session_links_share_the_streams)
{
    struct link_info links[TUN_LINKS_MAX];
    uint32_t streams = 0;

    watch_start_live(2);
    for (unsigned i = 0; i < 10; i++)
        watch_send(watch_open(i), 100);
    LOOP_UNTIL(w.duo.loop, w.opened == 10);
    ck_assert_uint_eq(link_session_look(w.duo.gateway.session, links, TUN_LINKS_MAX), 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(links[i].number, (unsigned)i);
        ck_assert(links[i].live);
        ck_assert_uint_gt(links[i].streams, 0);
        ck_assert_uint_gt(links[i].rtt_us, 0);
        ck_assert_uint_gt(links[i].since_ms, 0);
        streams += links[i].streams;
    }
    ck_assert_uint_eq(streams, 10);
    ck_assert_uint_eq(link_session_look(w.duo.gateway.session, links, 1), 1);
    watch_stop();
}
END_TEST

/* Whichever link carries the stream, both are cut, one after the other came back. */
START_TEST(test_session_streams_of_a_dead_link_go_on_another)
{
    size_t total = 16u << 20;
    struct watch_stream *s;

    watch_start_live(2);
    s = watch_open(0);
    for (uint8_t i = 0; i < 2; i++) {
        send_until(s, total / 4 * (i + 1), total);
        duo_cut(&w.duo, i);
        LOOP_UNTIL(w.duo.loop, w.duo.gateway.losses == i + 1 && w.duo.connector.losses == i + 1);
        ck_assert_uint_eq(w.duo.gateway.lost.number, i);
        ck_assert(w.duo.gateway.lost.accepted);
        ck_assert_uint_eq(w.duo.gateway.lost.live, 1);
        duo_add(&w.duo, i);
        duo_wait_live(&w.duo, 2);
    }
    finish(s, total);
    ck_assert_uint_ge(w.moved, 1);
    ck_assert_int_eq(w.duo.gateway.closed + w.duo.connector.closed, 0);
    watch_stop();
}
END_TEST

/* _i: links that die, all of them */
START_TEST(test_session_without_links_waits_for_a_new_one)
{
    size_t total = 4u << 20;
    struct watch_stream *s;

    watch_start_live((unsigned)_i);
    s = watch_open(0);
    send_until(s, total / 2, total);
    for (int i = 0; i < _i; i++)
        duo_cut(&w.duo, (uint8_t)i);
    LOOP_UNTIL(w.duo.loop, w.duo.gateway.losses == _i && w.duo.connector.losses == _i);
    ck_assert_uint_eq(link_session_live(w.duo.gateway.session), 0);
    ck_assert(!tun_session_usable(link_session_tunnel(w.duo.gateway.session)));
    duo_add(&w.duo, 7);
    finish(s, total);
    ck_assert_uint_eq(w.moved, 1);
    ck_assert(!link_session_has(w.duo.gateway.session, 0));
    ck_assert(link_session_has(w.duo.gateway.session, 7));
    watch_stop();
}
END_TEST

START_TEST(test_session_ends_when_the_window_passes)
{
    watch_start_live(2);
    (void)watch_open(0);
    LOOP_UNTIL(w.duo.loop, w.opened == 1);
    duo_cut(&w.duo, 0);
    duo_cut(&w.duo, 1);
    LOOP_UNTIL(w.duo.loop, w.duo.gateway.closed == 1 && w.duo.connector.closed == 1);
    ck_assert_int_eq(w.duo.gateway.rc, ERR_TIMEOUT);
    ck_assert_int_eq(w.duo.connector.rc, ERR_TIMEOUT);
    ck_assert_int_eq(w.duo.gateway.losses, 2);
    ck_assert_int_eq(w.streams[0].resets, 2); /* one per side */
    ck_assert_int_eq(w.streams[0].code, TUN_CODE_LOST);
    watch_stop();
}
END_TEST

START_TEST(test_session_that_no_link_joins_ends)
{
    watch_start();
    LOOP_UNTIL(w.duo.loop, w.duo.gateway.closed == 1 && w.duo.connector.closed == 1);
    ck_assert_int_eq(w.duo.gateway.rc, ERR_TIMEOUT);
    ck_assert_int_eq(w.duo.gateway.losses, 0);
    watch_stop();
}
END_TEST

START_TEST(test_session_a_link_of_the_same_number_replaces)
{
    size_t total = 4u << 20;
    struct watch_stream *s;

    watch_start_live(1);
    s = watch_open(0);
    send_until(s, total / 2, total);
    duo_add(&w.duo, 0);
    ck_assert_int_eq(w.duo.gateway.losses, 0); /* never inside */
    LOOP_UNTIL(w.duo.loop, w.duo.gateway.losses == 1 && w.duo.connector.losses == 1);
    ck_assert_int_eq(w.duo.gateway.lost.rc, ERR_CANCELLED);
    finish(s, total);
    ck_assert_uint_eq(link_session_live(w.duo.gateway.session), 1);
    watch_stop();
}
END_TEST

START_TEST(test_session_close_tells_the_other_side_why_on_every_link)
{
    watch_start_live(2);
    (void)watch_open(0);
    LOOP_UNTIL(w.duo.loop, w.opened == 1);
    link_session_close(w.duo.gateway.session, TUN_CODE_REVOKED, "contract cancelled");
    link_session_close(w.duo.gateway.session, TUN_CODE_REVOKED, "twice is fine");
    ck_assert_ptr_null(link_session_tunnel(w.duo.gateway.session));
    ck_assert_int_eq(w.duo.gateway.closed, 0); /* never inside */
    LOOP_UNTIL(w.duo.loop, w.duo.gateway.closed == 1 && w.duo.connector.closed == 1);
    ck_assert_int_eq(w.duo.gateway.rc, ERR_CANCELLED);
    ck_assert_int_eq(w.duo.connector.rc, ERR_EOF);
    ck_assert_uint_eq(w.closed, 1);
    ck_assert_int_eq(w.code, TUN_CODE_REVOKED);
    ck_assert_int_eq(w.streams[0].resets, 2);
    LOOP_UNTIL(w.duo.loop, link_hub_is_idle(w.duo.hub));
    watch_stop();
}
END_TEST

START_TEST(test_session_close_inside_an_op)
{
    watch_start_live(2);
    w.close_on_data = true;
    watch_send(watch_open(0), 1);
    LOOP_UNTIL(w.duo.loop, w.duo.gateway.closed == 1 && w.duo.connector.closed == 1);
    ck_assert_int_eq(w.duo.connector.rc, ERR_CANCELLED);
    ck_assert_int_eq(w.code, TUN_CODE_SHUTDOWN);
    watch_stop();
}
END_TEST

START_TEST(test_session_refuse_tells_the_connector_why)
{
    const struct tun_notice notice = {.code = TUN_CODE_BUSY, .retry_ms = 1000};
    struct link_join join;

    watch_start_live(1);
    duo_connect(&w.duo, 1);
    duo_join(&w.duo, &w.duo.connector, 1);
    join = duo_join_of(&w.duo, &w.duo.gateway, 1);
    ck_assert_int_eq(link_session_refuse(w.duo.hub, &join, &notice), ERR_OK);
    LOOP_UNTIL(w.duo.loop, w.duo.connector.losses == 1);
    ck_assert_uint_eq(w.rejected, 1);
    ck_assert_int_eq(w.code, TUN_CODE_BUSY);
    ck_assert_int_eq(w.duo.connector.lost.rc, ERR_REFUSED);
    ck_assert(!w.duo.connector.lost.accepted);
    ck_assert_uint_eq(link_session_live(w.duo.connector.session), 1); /* the other one stays */
    LOOP_UNTIL(w.duo.loop, link_hub_is_idle(w.duo.hub));
    watch_stop();
}
END_TEST

/* Nothing that is wrong on one connection harms the session. */
START_TEST(test_session_garbage_ends_only_its_link)
{
    uint8_t junk[200];

    watch_start_live(2);
    (void)watch_open(0);
    LOOP_UNTIL(w.duo.loop, w.opened == 1);
    memset(junk, 0x41, sizeof(junk));
    junk[0] = 0;
    junk[1] = 100;
    ck_assert_int_eq(send(w.duo.gateway.fds[1], junk, sizeof(junk), 0), (ssize_t)sizeof(junk));
    LOOP_UNTIL(w.duo.loop, w.duo.connector.losses == 1 && w.duo.gateway.losses == 1);
    ck_assert_int_eq(w.duo.connector.lost.rc, ERR_AUTH);
    finish(&w.streams[0], 1000);
    watch_stop();
}
END_TEST

START_TEST(test_session_end_without_close_is_a_loss)
{
    watch_start_live(1);
    shutdown(w.duo.gateway.fds[0], SHUT_WR); /* FIN, but no CLOSE inside */
    LOOP_UNTIL(w.duo.loop, w.duo.connector.losses == 1);
    ck_assert_int_eq(w.duo.connector.lost.rc, ERR_EOF);
    ck_assert_uint_eq(w.closed, 0);
    ck_assert_int_eq(w.duo.connector.closed, 0);
    watch_stop();
}
END_TEST

START_TEST(test_session_join_refuses_what_it_cannot_take_and_leaves_the_fd)
{
    static const struct tun_accept accept;
    struct link_join join;

    watch_start_live(TUN_LINKS_MAX);
    duo_connect(&w.duo, TUN_LINKS_MAX);
    join = duo_join_of(&w.duo, &w.duo.gateway, TUN_LINKS_MAX);
    ck_assert_int_eq(link_session_join(w.duo.gateway.session, &join, &accept), ERR_LIMIT);
    join.fd = -1;
    ck_assert_int_eq(link_session_join(w.duo.gateway.session, &join, &accept), ERR_INVALID);
    join = duo_join_of(&w.duo, &w.duo.gateway, TUN_LINKS_MAX);
    join.result = &w.duo.connector_result; /* of the other role */
    join.number = 200;
    ck_assert_int_ne(link_session_join(w.duo.gateway.session, &join, &accept), ERR_OK);
    ck_assert(!link_session_has(w.duo.gateway.session, 200));
    link_session_close(w.duo.gateway.session, TUN_CODE_SHUTDOWN, "");
    join = duo_join_of(&w.duo, &w.duo.gateway, TUN_LINKS_MAX);
    ck_assert_int_eq(link_session_join(w.duo.gateway.session, &join, &accept), ERR_EOF);
    ck_assert_int_eq(close(join.fd), 0);
    close(w.duo.connector.fds[TUN_LINKS_MAX]);
    watch_stop();
}
END_TEST

START_TEST(test_session_new_refuses_a_config_without_an_end)
{
    const struct link_session_config cfg = {.tunnel = &w.duo.gateway.tunnel};
    struct link_session *session = NULL;

    watch_start();
    ck_assert_int_eq(link_session_new(&session, w.duo.hub, &cfg), ERR_INVALID);
    ck_assert_ptr_null(session);
    link_session_free(NULL);
    watch_stop();
}
END_TEST

static void close_on_lost(void *arg, const struct link_lost *lost)
{
    struct duo_side *side = arg;

    duo_on_lost(arg, lost);
    link_session_close(side->session, TUN_CODE_SHUTDOWN, "enough");
}

START_TEST(test_session_may_be_closed_when_a_link_is_lost)
{
    struct link_session_config cfg;

    watch_start();
    cfg = (struct link_session_config){.tunnel = &w.duo.gateway.tunnel,
                                       .on_closed = duo_on_closed,
                                       .on_lost = close_on_lost,
                                       .arg = &w.duo.gateway};
    link_session_free(w.duo.gateway.session);
    ck_assert_int_eq(link_session_new(&w.duo.gateway.session, w.duo.hub, &cfg), ERR_OK);
    duo_add(&w.duo, 0);
    duo_add(&w.duo, 1);
    duo_wait_live(&w.duo, 2);
    duo_cut(&w.duo, 0);
    LOOP_UNTIL(w.duo.loop, w.duo.gateway.closed == 1 && w.duo.connector.closed == 1);
    ck_assert_int_eq(w.duo.gateway.rc, ERR_CANCELLED);
    ck_assert_int_eq(w.duo.connector.rc, ERR_EOF);
    watch_stop();
}
END_TEST

/*
 * The ways of a session: 0 no link, 1 joined and not accepted, 2 live, 3 two links, 4 a stream with
 * bytes under way, 5 one of two links lost, 6 all lost, 7 a link replaced and not yet told, 8 the
 * farewell queued, 9 resuming.
 */
#define STATES 10

static void reach(int state)
{
    watch_start();
    if (state == 1)
        duo_connect(&w.duo, 0);
    if (state == 1)
        duo_join(&w.duo, &w.duo.connector, 0);
    if (state >= 2)
        duo_accept(&w.duo);
    if (state == 3 || state == 5)
        duo_add(&w.duo, 1);
    if (state == 3 || state == 5)
        duo_wait_live(&w.duo, 2);
    if (state >= 4) {
        (void)watch_open(0);
        LOOP_UNTIL(w.duo.loop, w.opened == 1);
        watch_send(&w.streams[0], 1u << 20);
    }
    if (state == 5 || state == 6 || state == 9) {
        duo_cut(&w.duo, 0);
        LOOP_UNTIL(w.duo.loop, w.duo.gateway.losses == 1 && w.duo.connector.losses == 1);
    }
    if (state == 7 || state == 9)
        duo_add(&w.duo, 0);
    if (state == 8)
        link_session_close(w.duo.gateway.session, TUN_CODE_SHUTDOWN, "");
}

START_TEST(test_session_can_be_freed_in_every_state)
{
    reach(_i);
    if (_i == 4) /* the other one first */
        link_session_free(w.duo.connector.session);
    if (_i == 4)
        w.duo.connector.session = NULL;
    watch_stop();
    if (_i == 1)
        close(w.duo.gateway.fds[0]);
}
END_TEST

/* _i / 2: the state; _i % 2: the gateway or the connector vanishes without a word. */
START_TEST(test_session_ends_when_the_other_side_vanishes_in_any_state)
{
    struct duo_side *gone, *left;

    reach(_i / 2);
    gone = _i % 2 == 0 ? &w.duo.gateway : &w.duo.connector;
    left = _i % 2 == 0 ? &w.duo.connector : &w.duo.gateway;
    link_session_free(gone->session);
    gone->session = NULL;
    if (_i / 2 == 1)
        close(w.duo.gateway.fds[0]);
    LOOP_UNTIL(w.duo.loop, left->closed == 1);
    for (unsigned i = 0; i < w.opened; i++)
        ck_assert_int_eq(w.streams[i].resets, 2);
    watch_stop();
}
END_TEST

static void add_life(TCase *tc)
{
    tcase_add_test(tc, test_session_close_tells_the_other_side_why_on_every_link);
    tcase_add_test(tc, test_session_close_inside_an_op);
    tcase_add_test(tc, test_session_refuse_tells_the_connector_why);
    tcase_add_test(tc, test_session_garbage_ends_only_its_link);
    tcase_add_test(tc, test_session_end_without_close_is_a_loss);
    tcase_add_test(tc, test_session_join_refuses_what_it_cannot_take_and_leaves_the_fd);
    tcase_add_test(tc, test_session_new_refuses_a_config_without_an_end);
    tcase_add_test(tc, test_session_may_be_closed_when_a_link_is_lost);
    tcase_add_loop_test(tc, test_session_can_be_freed_in_every_state, 0, STATES);
    tcase_add_loop_test(tc, test_session_ends_when_the_other_side_vanishes_in_any_state, 0,
                        2 * STATES);
}

int main(void)
{
    Suite *suite = suite_create("link/session");
    TCase *tc = tcase_create("session");

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_session_carries_a_stream_to_its_end, 1, 3);
    tcase_add_test(tc, test_session_links_share_the_streams);
    tcase_add_test(tc, test_session_streams_of_a_dead_link_go_on_another);
    tcase_add_loop_test(tc, test_session_without_links_waits_for_a_new_one, 1, 4);
    tcase_add_test(tc, test_session_ends_when_the_window_passes);
    tcase_add_test(tc, test_session_that_no_link_joins_ends);
    tcase_add_test(tc, test_session_a_link_of_the_same_number_replaces);
    add_life(tc);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
