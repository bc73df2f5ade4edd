/* SPDX-License-Identifier: Apache-2.0 */
/* Credit, turns and record sizes: what is sent when, and what a slow reader costs others. */
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

START_TEST(test_session_window_gives_credit_back)
{
    struct tun_window window;
    struct tun_frame frame;
    struct cur payload;

    raw_peer_init(&p, TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    p.heard.take = SIZE_MAX;
    raw_peer_put_data(&p, 1, 60000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_put_data(&p, 1, 5535); /* one byte short of a quarter */
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert(!raw_peer_next(&p, &frame, &payload));
    raw_peer_put_data(&p, 1, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_int_eq(tun_frame_get_window(raw_peer_expect(&p, TUN_FRAME_WINDOW), &window), ERR_OK);
    ck_assert_uint_eq(window.consumed, 65536);
    ck_assert_uint_eq(window.limit, 65536 + TUN_STREAM_WINDOW); /* too early to tell how fast */
    p.now_ms += 20;
    raw_peer_put_data(&p, 1, 60000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_put_data(&p, 1, 5536);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_int_eq(tun_frame_get_window(raw_peer_expect(&p, TUN_FRAME_WINDOW), &window), ERR_OK);
    ck_assert_uint_eq(window.limit, 131072 + 2 * TUN_STREAM_WINDOW); /* it was fast: it grew */
    p.now_ms += 1000;
    raw_peer_put_data(&p, 1, 65000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_put_data(&p, 1, 65000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_put_data(&p, 1, 1072);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    (void)raw_peer_expect(&p, TUN_FRAME_WINDOW); /* the session's */
    ck_assert_int_eq(tun_frame_get_window(raw_peer_expect(&p, TUN_FRAME_WINDOW), &window), ERR_OK);
    ck_assert_uint_eq(window.limit, window.consumed + 2 * TUN_STREAM_WINDOW); /* it was slow */
    end_peer();
}
END_TEST

/* Who has little to say tells with it what it took; who has much is told of in records of their
 * own, which a WINDOW would cut. */
START_TEST(test_session_short_data_brings_its_window_along)
{
    static const uint8_t zeros[TUN_STREAM_PIECE];
    struct tun_stream *stream;
    struct tun_window window;
    struct tun_frame frame;
    struct cur payload;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    p.heard.take = SIZE_MAX;
    raw_peer_put_data(&p, 1, 1000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert(!raw_peer_next(&p, &frame, &payload));
    ck_assert_uint_eq(tun_stream_write(stream, zeros, 200), 200);
    ck_assert_int_eq(tun_frame_get_window(raw_peer_expect(&p, TUN_FRAME_WINDOW), &window), ERR_OK);
    ck_assert_uint_eq(window.consumed, 1000);
    ck_assert_uint_eq(window.limit, 1000 + TUN_STREAM_WINDOW);
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    ck_assert_uint_eq(tun_stream_write(stream, zeros, 200), 200); /* nothing new to tell */
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    raw_peer_put_data(&p, 1, 1000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(tun_stream_write(stream, zeros, sizeof(zeros)), sizeof(zeros));
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    end_peer();
}
END_TEST

/* Ten pieces per round trip and more; short answers between them tell its WINDOW before it is due.
 */
START_TEST(test_session_window_grows_though_short_data_tells_it)
{
    struct tun_window window = {0};
    struct tun_stream *stream;
    struct tun_frame frame;
    struct cur payload;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    p.heard.take = SIZE_MAX;
    for (int i = 0; i < 100; i++) {
        p.now_ms += i % 10 == 0 ? 10 : 0;
        raw_peer_put_data(&p, 1, TUN_STREAM_PIECE);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        ck_assert_uint_eq(tun_stream_write(stream, "more", 4), 4);
        while (raw_peer_next(&p, &frame, &payload)) {
            if (frame.type == TUN_FRAME_WINDOW && frame.stream == 1)
                ck_assert_int_eq(tun_frame_get_window(payload, &window), ERR_OK);
        }
    }
    ck_assert_uint_ge(window.limit - window.consumed, 2 * TUN_STREAM_WINDOW);
    end_peer();
}
END_TEST

/* One stopped reader: its own stream stops, others go on, and what waits is bounded. */
START_TEST(test_session_slow_reader_slows_only_its_own_stream)
{
    struct tun_stream *slow, *fast;
    struct tun_session_stats stats;
    struct tun_frame frame;
    struct cur payload;
    uint64_t got[3] = {0};

    raw_peer_init(&p, TUN_GATEWAY, true);
    slow = raw_peer_open(&p);
    fast = raw_peer_open(&p);
    for (int round = 0; round < 20; round++) {
        static const uint8_t zeros[65536];

        (void)tun_stream_write(slow, zeros, sizeof(zeros));
        ck_assert_uint_gt(tun_stream_write(fast, zeros, sizeof(zeros)), 0);
        while (raw_peer_next(&p, &frame, &payload))
            if (frame.type == TUN_FRAME_DATA)
                got[frame.stream] += frame.len;
        raw_peer_put_window(&p, 2, got[2], got[2] + TUN_STREAM_WINDOW);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    }
    ck_assert_uint_eq(got[1], TUN_STREAM_WINDOW);
    ck_assert_uint_ge(got[2], 20 * 65536);
    ck_assert_uint_eq(tun_stream_queued(slow), 0); /* nothing is taken that cannot be sent */
    tun_session_stats(p.session, &stats);
    ck_assert_uint_eq(stats.queued, 0);
    ck_assert_uint_eq(p.heard.writables, 0);
    raw_peer_put_window(&p, 1, got[1], got[1] + TUN_STREAM_WINDOW);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.writables, 1);
    end_peer();
}
END_TEST

/* Stopped readers hold more than half: a new one that keeps up starts small, but does not stay so,
 * though its round trips are long. */
START_TEST(test_session_reader_that_keeps_up_is_not_slowed_by_stopped_ones)
{
    struct tun_window window = {0};
    struct tun_frame frame;
    struct cur payload;
    uint32_t fast;

    raw_peer_init_with(&p, TUN_GATEWAY, (struct tun_session_config){.session_window = 400000});
    ck_assert_int_eq(tun_link_accept(p.at->link, &(struct tun_accept){0}), ERR_OK);
    for (int i = 0; i < 16; i++)
        (void)raw_peer_open_stopped(&p);
    fast = tun_stream_id(raw_peer_open(&p));
    ck_assert_uint_le(p.window, 16384);
    (void)raw_peer_count(&p, TUN_FRAME_WINDOW);
    p.heard.take = SIZE_MAX;
    for (int i = 0; i < 20; i++) {
        p.now_ms += 100;
        raw_peer_put_data(&p, fast, 4096);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        while (raw_peer_next(&p, &frame, &payload)) {
            if (frame.type == TUN_FRAME_WINDOW && frame.stream == fast)
                ck_assert_int_eq(tun_frame_get_window(payload, &window), ERR_OK);
        }
    }
    ck_assert_uint_ge(window.limit - window.consumed, 65536);
    end_peer();
}
END_TEST

START_TEST(test_session_credit_of_the_session_bounds_all_streams)
{
    struct tun_frame frame;
    struct cur payload;
    uint64_t got = 0;

    raw_peer_init(&p, TUN_CONNECTOR, false);
    tun_frame_put_accept(
        &p.o, &(struct tun_accept){.link = 1, .ping_ms = 15000, .session_window = 100000});
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    for (uint32_t id = 1; id <= 7; id++) {
        static const uint8_t zeros[60000];

        raw_peer_put_open(&p, id);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        tun_stream_accept(p.heard.stream);
        ck_assert_uint_eq(tun_stream_write(p.heard.stream, zeros, sizeof(zeros)), sizeof(zeros));
    }
    while (raw_peer_next(&p, &frame, &payload))
        got += frame.type == TUN_FRAME_DATA ? frame.len : 0;
    ck_assert_uint_eq(got, 100000);
    ck_assert(!tun_link_pending(p.at->link)); /* or the loop would spin */
    raw_peer_put_window(&p, 0, 100000, 500000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    while (raw_peer_next(&p, &frame, &payload))
        got += frame.type == TUN_FRAME_DATA ? frame.len : 0;
    ck_assert_uint_ge(got, 260000);
    end_peer();
}
END_TEST

/* Twenty readers take nothing at all: another visitor's bytes go out all the same. */
START_TEST(test_session_stopped_readers_leave_credit)
{
    static const uint8_t zeros[60000];
    struct tun_frame frame;
    struct cur payload;
    uint64_t got = 0;

    raw_peer_init(&p, TUN_CONNECTOR, false);
    tun_frame_put_accept(
        &p.o, &(struct tun_accept){.link = 1, .ping_ms = 15000, .session_window = 800000});
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    for (uint32_t id = 1; id <= 21; id++) {
        raw_peer_put_open(&p, id);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        tun_stream_accept(p.heard.stream);
        ck_assert_uint_gt(tun_stream_write(p.heard.stream, zeros, sizeof(zeros)), 0);
        while (raw_peer_next(&p, &frame, &payload))
            got += id == 21 && frame.type == TUN_FRAME_DATA && frame.stream == 21 ? frame.len : 0;
    }
    ck_assert_uint_ge(got, 16 << 10);
    end_peer();
}
END_TEST

/* Streams share a record in turns; control frames come first. */
START_TEST(test_session_round_robin_and_control_first)
{
    static const uint8_t zeros[100000];
    struct tun_stream *a, *b;
    struct tun_frame frame;
    struct cur payload;
    size_t got[3] = {0};

    raw_peer_init(&p, TUN_GATEWAY, true);
    a = raw_peer_open(&p);
    b = raw_peer_open(&p);
    (void)tun_stream_write(a, zeros, sizeof(zeros));
    (void)tun_stream_write(b, zeros, sizeof(zeros));
    tun_frame_put_ping(&p.o, TUN_FRAME_PING, 5);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert(raw_peer_next(&p, &frame, &payload));
    ck_assert_uint_eq(frame.type, TUN_FRAME_PONG);
    while (got[1] < sizeof(zeros) && got[2] < sizeof(zeros)) {
        ck_assert(raw_peer_next(&p, &frame, &payload));
        ck_assert_uint_ge(frame.len, 512); /* no turn ends with a scrap */
        got[frame.stream] += frame.len;
        ck_assert_uint_le(got[1] > got[2] ? got[1] - got[2] : got[2] - got[1], 65536);
    }
    end_peer();
}
END_TEST

/* Sends on SHORT streams after two long ones have begun; returns DATA frames of long ones before
 * the last short one is through. */
static unsigned long_before_short(unsigned shorts)
{
    static const uint8_t zeros[100000];
    struct tun_stream *streams[2 + 16] = {0};
    struct tun_frame frame;
    struct cur payload;
    unsigned before = 0;

    raw_peer_init(&p, TUN_GATEWAY, true);
    for (unsigned i = 0; i < 2 + shorts; i++)
        streams[i] = raw_peer_open(&p);
    for (unsigned i = 0; i < 2; i++)
        (void)tun_stream_write(streams[i], zeros, sizeof(zeros));
    for (unsigned i = 0; i < shorts; i++)
        (void)tun_stream_write(streams[2 + i], zeros, 1000);
    while (shorts > 0) {
        ck_assert(raw_peer_next(&p, &frame, &payload));
        before += frame.stream <= 2;
        shorts -= frame.stream > 2;
    }
    end_peer();
    return before;
}

START_TEST(test_session_short_ones_do_not_wait_for_long_ones)
{
    ck_assert_uint_eq(long_before_short(1), 0);
    ck_assert_uint_eq(long_before_short(4), 0);
}
END_TEST

START_TEST(test_session_many_short_ones_do_not_keep_long_ones_waiting)
{
    ck_assert_uint_ge(long_before_short(16), 2);
}
END_TEST

START_TEST(test_session_respects_the_peers_max_record)
{
    static const uint8_t zeros[30000];
    struct tun_stream *stream;
    struct tun_frame frame;
    struct cur payload;

    raw_peer_init(&p, TUN_GATEWAY, true); /* pair.c: the connector said 32768 */
    stream = raw_peer_open(&p);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(tun_stream_write(stream, zeros, sizeof(zeros)), sizeof(zeros));
    size_t biggest = 0;
    while (raw_peer_next(&p, &frame, &payload))
        biggest = p.at->record_len > biggest ? p.at->record_len : biggest;
    ck_assert_uint_eq(biggest, 32768);
    end_peer();
}
END_TEST

/* Bulk goes in whole pieces; a record of one and the piece itself are a segment each of 65464
 * bytes, the smallest where a packet has 64 KiB (IPv6, with timestamps). */
START_TEST(test_session_full_record_fits_a_segment_of_64_kib)
{
    static const uint8_t zeros[3 * TUN_STREAM_PIECE];
    struct tun_frame frame;
    struct cur payload;
    unsigned pieces = 0;

    raw_peer_init(&p, TUN_CONNECTOR, true);
    raw_peer_put_open(&p, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    tun_stream_accept(p.heard.stream);
    ck_assert_uint_eq(tun_stream_write(p.heard.stream, zeros, sizeof(zeros)), sizeof(zeros));
    (void)raw_peer_expect(&p, TUN_FRAME_OPEN_OK);
    while (raw_peer_next(&p, &frame, &payload)) {
        ck_assert_uint_le(TUN_RECORD_HEADER_LEN + p.at->record_len, 65464);
        if (frame.type == TUN_FRAME_DATA && frame.len == TUN_STREAM_PIECE)
            pieces++;
    }
    ck_assert_uint_ge(pieces, 2); /* the first record has OPEN_OK as well */
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/session_pull");
    TCase *tc = tcase_create("session_pull");

    tcase_add_test(tc, test_session_window_gives_credit_back);
    tcase_add_test(tc, test_session_short_data_brings_its_window_along);
    tcase_add_test(tc, test_session_window_grows_though_short_data_tells_it);
    tcase_add_test(tc, test_session_slow_reader_slows_only_its_own_stream);
    tcase_add_test(tc, test_session_reader_that_keeps_up_is_not_slowed_by_stopped_ones);
    tcase_add_test(tc, test_session_credit_of_the_session_bounds_all_streams);
    tcase_add_test(tc, test_session_stopped_readers_leave_credit);
    tcase_add_test(tc, test_session_round_robin_and_control_first);
    tcase_add_test(tc, test_session_short_ones_do_not_wait_for_long_ones);
    tcase_add_test(tc, test_session_many_short_ones_do_not_keep_long_ones_waiting);
    tcase_add_test(tc, test_session_respects_the_peers_max_record);
    tcase_add_test(tc, test_session_full_record_fits_a_segment_of_64_kib);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
