/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of links: PINGs, and when a link is dead. Time is a number here. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/tunnel/raw_peer.h"

static struct raw_peer p;

static void end_peer(void)
{
    raw_peer_deinit(&p);
    memset(&p, 0, sizeof(p));
}

static void begin(enum tun_role role, bool ready)
{
    raw_peer_init(&p, role, ready);
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
        ck_assert(!tun_link_pending(p.at->link));
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
    ck_assert_int_eq(pass(TUN_DEAD_MS - 1), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();

    begin(TUN_CONNECTOR, true); /* also when the socket takes nothing at all */
    ck_assert_int_eq(pass(15000 + TUN_DEAD_MS - 1), ERR_OK);
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
    ck_assert_int_eq(pass(15000 + TUN_DEAD_MS - 1), ERR_OK);
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
    ck_assert_int_eq(pass(TUN_DEAD_MS - 2000 - 1), ERR_OK); /* the silence before counts */
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
    ck_assert_int_eq(pass(TUN_DEAD_MS - 1), ERR_OK);
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
    ck_assert_int_eq(pass(0), ERR_OK);
    end_peer();
}
END_TEST

/* What was sent wanted no word, and nobody could ask while this process stood still. */
START_TEST(test_time_stall_before_the_ping_is_not_death)
{
    begin(TUN_GATEWAY, true);
    ck_assert_int_eq(pass(0), ERR_OK); /* ACCEPT is out */
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 0);
    p.now_ms += 15000;
    ck_assert_int_eq(pass(1), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 1);
    ck_assert_int_eq(pass(TUN_DEAD_MS - TUN_PING_BUSY_MS - 2), ERR_OK);
    ck_assert_int_eq(pass(2), ERR_TIMEOUT);
    end_peer();
}
END_TEST

/* It hears only what the connector says; its own word must not put the PING off. */
START_TEST(test_time_gateways_own_records_do_not_put_off_the_ping)
{
    begin(TUN_CONNECTOR, true);
    ck_assert_int_eq(pass(14000), ERR_OK);
    raw_peer_put_window(&p, 0, 0, TUN_SESSION_WINDOW + 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_int_eq(pass(999), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 0);
    ck_assert_int_eq(pass(1), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 1);
    end_peer();
}
END_TEST

/* The other kernel takes bytes: the path is slow, not dead. */
START_TEST(test_time_moved_bytes_postpone_the_judgement)
{
    begin(TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    ck_assert_int_eq(pass(2000), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 1);
    ck_assert_int_eq(pass(2400), ERR_OK);
    tun_link_moved(p.at->link, p.now_ms);
    ck_assert_int_eq(pass(TUN_DEAD_MS - 2000 - 1), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();
}
END_TEST

/* Each link is judged by itself, and its end is not the session's. */
/* A record of 64 KiB at 8 KB/s: what was asked is answered behind it, after more than 5 s. */
START_TEST(test_time_a_record_that_comes_slowly_is_life)
{
    uint8_t head[] = {0xff, 0xff};

    begin(TUN_CONNECTOR, true);
    ck_assert_int_eq(pass(15000), ERR_OK);
    ck_assert_uint_eq(sent(TUN_FRAME_PING), 1);
    ck_assert_int_eq(tun_link_feed(p.at->link, head, sizeof(head), p.now_ms), ERR_OK);
    for (int i = 0; i < 8; i++) {
        uint8_t piece[8000] = {0};

        ck_assert_int_eq(pass(1000), ERR_OK);
        ck_assert_int_eq(tun_link_feed(p.at->link, piece, sizeof(piece), p.now_ms), ERR_OK);
    }
    ck_assert_int_eq(pass(TUN_DEAD_MS - 1), ERR_OK);
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    end_peer();
}
END_TEST

START_TEST(test_time_one_dead_link_of_two)
{
    begin(TUN_GATEWAY, true);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    raw_peer_accept(&p);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pass(2000), ERR_OK);
        raw_peer_use(&p, 0);
        tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        (void)sent(TUN_FRAME_PONG);
    }
    raw_peer_use(&p, 1);
    (void)sent(TUN_FRAME_PING);
    ck_assert_int_eq(pass(TUN_DEAD_MS - 4001), ERR_OK);
    ck_assert(tun_link_is_live(p.links[1].link));
    ck_assert_int_eq(pass(1), ERR_TIMEOUT);
    ck_assert(!tun_link_is_live(p.links[1].link));
    ck_assert(tun_link_is_live(p.links[0].link));
    ck_assert(tun_session_usable(p.session));
    end_peer();
}
END_TEST

START_TEST(test_time_round_trip_is_per_link_and_the_best_for_the_session)
{
    struct tun_session_stats stats;

    begin(TUN_CONNECTOR, true);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    raw_peer_accept(&p);
    ck_assert_int_eq(pass(15000), ERR_OK);
    p.now_ms += 30;
    answer_ping();
    raw_peer_use(&p, 0);
    p.now_ms += 10;
    answer_ping();
    ck_assert_uint_eq(tun_link_rtt_ms(p.links[0].link), 40);
    ck_assert_uint_eq(tun_link_rtt_ms(p.links[1].link), 30);
    tun_session_stats(p.session, &stats);
    ck_assert_uint_eq(stats.rtt_ms, 30);
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/link_time");
    TCase *tc = tcase_create("link_time");

    tcase_add_test(tc, test_time_connector_waits_for_accept_ten_seconds);
    tcase_add_test(tc, test_time_connector_pings_an_idle_link);
    tcase_add_test(tc, test_time_dead_idle_link_is_known_in_twenty_seconds);
    tcase_add_test(tc, test_time_gateway_expects_the_connectors_pings);
    tcase_add_test(tc, test_time_open_streams_are_watched_closely);
    tcase_add_test(tc, test_time_unanswered_frame_is_dead_in_five_seconds);
    tcase_add_test(tc, test_time_traffic_is_life);
    tcase_add_test(tc, test_time_stall_of_the_process_is_not_death);
    tcase_add_test(tc, test_time_stall_before_the_ping_is_not_death);
    tcase_add_test(tc, test_time_gateways_own_records_do_not_put_off_the_ping);
    tcase_add_test(tc, test_time_moved_bytes_postpone_the_judgement);
    tcase_add_test(tc, test_time_a_record_that_comes_slowly_is_life);
    tcase_add_test(tc, test_time_one_dead_link_of_two);
    tcase_add_test(tc, test_time_round_trip_is_per_link_and_the_best_for_the_session);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
