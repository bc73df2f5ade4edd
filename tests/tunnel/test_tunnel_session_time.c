/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines: PINGs, dead links, stalled readers, streams that linger. Time is a number here. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/tunnel/raw_peer.h"

static struct raw_peer p;
static uint64_t start;

static void begin(enum tun_role role, bool ready)
{
    raw_peer_init(&p, role, ready);
    start = p.now_ms;
}

static void end_peer(void)
{
    raw_peer_deinit(&p);
    memset(&p, 0, sizeof(p));
}

/* Let MS pass as a loop would: tick at every deadline. Returns the first error. */
static int pass(uint64_t ms)
{
    uint64_t until = p.now_ms + ms, at;

    while ((at = tun_session_deadline(p.session)) <= until) {
        p.now_ms = at > p.now_ms ? at : p.now_ms + 1;
        int rc = tun_session_tick(p.session, p.now_ms);
        if (rc != ERR_OK)
            return rc;
    }
    p.now_ms = until;
    return ERR_OK;
}

/* Frames of TYPE among all that the session has to send now. */
static unsigned sent(enum tun_frame_type type)
{
    struct tun_frame frame;
    struct cur payload;
    unsigned count = 0;

    while (raw_peer_next(&p, &frame, &payload))
        count += frame.type == type;
    return count;
}

static void answer_ping(void)
{
    struct cur ping = raw_peer_expect(&p, TUN_FRAME_PING);

    tun_frame_put_ping(&p.o, TUN_FRAME_PONG, cur_u64(&ping));
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
}

START_TEST(test_time_connector_waits_for_accept_ten_seconds)
{
    begin(TUN_CONNECTOR, false);
    ck_assert_int_eq(pass(9999), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();
}
END_TEST

START_TEST(test_time_connector_pings_an_idle_link)
{
    begin(TUN_CONNECTOR, true);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(pass(14999), ERR_OK);
        ck_assert_uint_eq(sent(TUN_FRAME_PING), 0);
        ck_assert_int_eq(pass(1), ERR_OK);
        p.now_ms += 30;
        answer_ping();
        ck_assert(!tun_session_pending(p.session));
    }
    struct tun_session_stats stats;
    tun_session_stats(p.session, &stats);
    ck_assert_uint_eq(stats.rtt_ms, 30);
    end_peer();
}
END_TEST

START_TEST(test_time_dead_idle_link_is_known_in_twenty_seconds)
{
    begin(TUN_CONNECTOR, true);
    ck_assert_int_eq(pass(15000), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 1);
    ck_assert_int_eq(pass(4999), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();

    begin(TUN_CONNECTOR, true); /* also when the socket takes nothing at all */
    ck_assert_int_eq(pass(19999), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();
}
END_TEST

/* The gateway does not ping an idle link (beyond the answer to its ACCEPT), yet knows when it died.
 */
START_TEST(test_time_gateway_expects_the_connectors_pings)
{
    begin(TUN_GATEWAY, true);
    ck_assert_int_eq(pass(2000), ERR_OK);
    answer_ping();
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pass(15000), ERR_OK);
        ck_assert_uint_eq(sent(TUN_FRAME_PING), 0);
        tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        ck_assert_uint_eq(sent(TUN_FRAME_PONG), 1);
    }
    ck_assert_int_eq(pass(19999), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();
}
END_TEST

START_TEST(test_time_open_streams_are_watched_closely)
{
    begin(TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    ck_assert_int_eq(pass(1999), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 0);
    ck_assert_int_eq(pass(1), ERR_OK);
    answer_ping();
    ck_assert_int_eq(pass(2000), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 1);
    ck_assert_int_eq(pass(4999), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();
}
END_TEST

/* Five seconds from the first frame that nobody answered, PING or not. */
START_TEST(test_time_unanswered_frame_is_dead_in_five_seconds)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_stream *stream;

    begin(TUN_GATEWAY, true);
    ck_assert_int_eq(pass(2000), ERR_OK);
    answer_ping();
    ck_assert_int_eq(pass(10000), ERR_OK); /* idle for a while */
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_OPEN), 1);
    ck_assert_int_eq(pass(4999), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();
}
END_TEST

/* A busy link never pings. */
START_TEST(test_time_traffic_is_life)
{
    begin(TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    p.heard.take = SIZE_MAX;
    for (int i = 0; i < 100; i++) {
        raw_peer_put_data(&p, 1, 100);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        ck_assert_int_eq(pass(1500), ERR_OK);
    }
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 0);
    end_peer();
}
END_TEST

/* After a long stall the owner feeds first: the answer was there all the time. */
START_TEST(test_time_stall_of_the_process_is_not_death)
{
    begin(TUN_CONNECTOR, true);
    ck_assert_int_eq(pass(15000), ERR_OK);
    p.now_ms += 60000;
    answer_ping();
    ck_assert_int_eq(tun_session_tick(p.session, p.now_ms), ERR_OK);
    end_peer();
}
END_TEST

/* Stopped readers that fill the session's window are cut, so that the others go on. */
START_TEST(test_time_pressure_cuts_stalled_streams)
{
    begin(TUN_GATEWAY, false);
    end_peer();
    raw_peer_init_with(&p, TUN_GATEWAY, (struct tun_session_config){.session_window = 400000});
    ck_assert_int_eq(tun_session_accept(p.session, &(struct tun_accept){0}), ERR_OK);
    for (uint32_t id = 1; id <= 4; id++)
        (void)raw_peer_open(&p);
    for (uint32_t id = 1; id <= 3; id++) {
        for (int i = 0; i < 2; i++) {
            raw_peer_put_data(&p, id, 60000);
            ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        }
    }
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pass(1500), ERR_OK);
        tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        ck_assert_uint_le(p.heard.resets, i < 3 ? 0 : 3);
    }
    ck_assert_uint_eq(p.heard.resets, 2); /* below half of the window again */
    ck_assert_int_eq(p.heard.code, TUN_CODE_PRESSURE);
    ck_assert_uint_eq(sent(TUN_FRAME_RST), 2);
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
    tun_frame_put_window(&p.o, 0, &(struct tun_window){0, TUN_SESSION_WINDOW + 1});
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

int main(void)
{
    Suite *suite = suite_create("tunnel/session_time");
    TCase *tc = tcase_create("time");

    tcase_add_test(tc, test_time_connector_waits_for_accept_ten_seconds);
    tcase_add_test(tc, test_time_connector_pings_an_idle_link);
    tcase_add_test(tc, test_time_dead_idle_link_is_known_in_twenty_seconds);
    tcase_add_test(tc, test_time_gateway_expects_the_connectors_pings);
    tcase_add_test(tc, test_time_open_streams_are_watched_closely);
    tcase_add_test(tc, test_time_unanswered_frame_is_dead_in_five_seconds);
    tcase_add_test(tc, test_time_traffic_is_life);
    tcase_add_test(tc, test_time_stall_of_the_process_is_not_death);
    tcase_add_test(tc, test_time_pressure_cuts_stalled_streams);
    tcase_add_test(tc, test_time_lingering_stream_goes_after_a_minute);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
