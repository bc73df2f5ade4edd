/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines of sessions: no link, stalled readers, streams that linger or wait. Time is a number
 * here.
 */
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/tunnel/raw_peer.h"

static struct raw_peer p;

static void begin(enum tun_role role, bool ready)
{
    raw_peer_init(&p, role, ready);
}

static void end_peer(void)
{
    raw_peer_deinit(&p);
    memset(&p, 0, sizeof(p));
}

static int pass(uint64_t ms)
{
    return raw_peer_pass(&p, ms);
}

/* Frames of TYPE among all that the session has to send now. */
static unsigned sent(enum tun_frame_type type)
{
    return raw_peer_count(&p, type);
}

/* Stopped readers that fill the session's window are cut, so that the others go on. */
START_TEST(test_time_pressure_cuts_stalled_streams)
{
    struct tun_session_stats stats;

    raw_peer_init_with(&p, TUN_GATEWAY, (struct tun_session_config){.session_window = 400000});
    ck_assert_int_eq(tun_link_accept(p.at->link, &(struct tun_accept){0}), ERR_OK);
    do {
        (void)raw_peer_open_stopped(&p);
        tun_session_stats(p.session, &stats);
    } while (stats.waiting < 300000);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pass(1500), ERR_OK);
        tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        ck_assert(i == 3 || p.heard.resets == 0);
    }
    tun_session_stats(p.session, &stats);
    ck_assert_uint_lt(stats.waiting, 200000); /* below half of the window again, but not far */
    ck_assert_uint_gt(stats.waiting, 200000 - 25000);
    ck_assert_int_eq(p.heard.code, TUN_CODE_PRESSURE);
    ck_assert_uint_gt(p.heard.resets, 0);
    ck_assert_uint_eq(sent(TUN_FRAME_RST), p.heard.resets);
    end_peer();
}
END_TEST

START_TEST(test_time_lingering_stream_goes_after_a_minute)
{
    static const uint8_t zeros[65536];
    struct tun_session_stats stats;
    struct tun_stream *stream;

    begin(TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(tun_stream_write(stream, zeros, sizeof(zeros)), sizeof(zeros));
    tun_stream_finish(stream);
    tun_frame_put_fin(&p.o, 1, 0);
    raw_peer_put_window(&p, 0, 0, TUN_SESSION_WINDOW + 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    tun_stream_close(stream); /* nothing is pulled: the link takes nothing */
    for (int i = 0; i < 65; i++) {
        tun_session_stats(p.session, &stats);
        ck_assert_uint_eq(stats.streams, i < 60 ? 1 : stats.streams);
        p.now_ms += 1000;
        tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        ck_assert_int_eq(tun_session_tick(p.session, p.now_ms), ERR_OK);
    }
    tun_session_stats(p.session, &stats);
    ck_assert_uint_eq(stats.streams, 0);
    ck_assert_uint_eq(p.heard.resets, 0);
    end_peer();
}
END_TEST

static uint32_t waiting_streams(void)
{
    struct tun_session_stats stats;

    tun_session_stats(p.session, &stats);
    return stats.waiting_streams;
}

START_TEST(test_time_session_without_any_accepted_link_is_over)
{
    begin(TUN_GATEWAY, false);
    ck_assert_int_eq(pass(TUN_RESUME_MS - 1), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    ck_assert_int_eq(tun_session_ended(p.session), ERR_TIMEOUT);
    ck_assert_uint_eq(tun_session_deadline(p.session), UINT64_MAX);
    ck_assert_int_eq(raw_peer_join(&p), ERR_EOF);
    end_peer();
}
END_TEST

START_TEST(test_time_session_is_over_when_its_links_are_gone_too_long)
{
    begin(TUN_GATEWAY, true);
    ck_assert_int_eq(pass(1000), ERR_OK);
    (void)raw_peer_open(&p);
    raw_peer_lose(&p);
    ck_assert(!tun_session_usable(p.session));
    ck_assert_uint_eq(waiting_streams(), 1);
    ck_assert_int_eq(pass(TUN_RESUME_MS - 1), ERR_OK);
    ck_assert_uint_eq(p.heard.resets, 0);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    tun_session_free(p.session);
    p.session = NULL;
    ck_assert_uint_eq(p.heard.resets, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_LOST);
    end_peer();
}
END_TEST

/* The other link lives, but nobody asks for the streams. */
START_TEST(test_time_streams_wait_for_resume_ms_only)
{
    raw_peer_init_with(&p, TUN_GATEWAY, (struct tun_session_config){.resume_ms = 3000});
    raw_peer_accept(&p);
    (void)raw_peer_open(&p);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    raw_peer_accept(&p);
    raw_peer_use(&p, 0);
    raw_peer_lose(&p);
    raw_peer_use(&p, 1);
    ck_assert_int_eq(pass(2999), ERR_OK);
    ck_assert_uint_eq(waiting_streams(), 1);
    ck_assert_int_eq(pass(1), ERR_OK);
    ck_assert_uint_eq(waiting_streams(), 0);
    ck_assert_uint_eq(p.heard.resets, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_LOST);
    ck_assert(tun_session_usable(p.session));
    end_peer();
}
END_TEST

/* Too little for a WINDOW at once, yet the other side must not keep it for ever. */
START_TEST(test_time_little_that_was_consumed_is_told_soon)
{
    begin(TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    p.heard.take = SIZE_MAX;
    raw_peer_put_data(&p, 1, 100);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_int_eq(pass(499), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_WINDOW), 0);
    ck_assert_int_eq(pass(1), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_WINDOW), 2); /* of the stream, and of the session */
    end_peer();
}
END_TEST

/* Who leaves waits for it: the last bytes of an answer may be taken long after its FIN. */
START_TEST(test_time_what_is_consumed_after_fin_is_told_too)
{
    struct tun_stream *stream;

    begin(TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    raw_peer_put_data(&p, 1, 100);
    tun_frame_put_fin(&p.o, 1, 100);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_WINDOW), 1); /* END */
    tun_stream_consume(stream, 100);
    ck_assert_int_eq(pass(500), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_WINDOW), 1); /* of the session */
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/session_time");
    TCase *tc = tcase_create("time");

    tcase_add_test(tc, test_time_pressure_cuts_stalled_streams);
    tcase_add_test(tc, test_time_lingering_stream_goes_after_a_minute);
    tcase_add_test(tc, test_time_session_without_any_accepted_link_is_over);
    tcase_add_test(tc, test_time_session_is_over_when_its_links_are_gone_too_long);
    tcase_add_test(tc, test_time_streams_wait_for_resume_ms_only);
    tcase_add_test(tc, test_time_little_that_was_consumed_is_told_soon);
    tcase_add_test(tc, test_time_what_is_consumed_after_fin_is_told_too);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
