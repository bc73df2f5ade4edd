/* SPDX-License-Identifier: Apache-2.0 */
/* The session's rules one by one, against a peer that sends whatever the test wants. */
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

START_TEST(test_session_accept_tells_limits_and_next_key)
{
    struct tun_accept accept = {.has_next_key = true, .next_key = {{5}}}, got;

    raw_peer_init(&p, TUN_GATEWAY, false);
    ck_assert(!tun_session_usable(p.session));
    ck_assert_int_eq(tun_link_accept(p.at->link, &accept), ERR_OK);
    ck_assert_int_eq(tun_link_accept(p.at->link, &accept), ERR_INVALID);
    ck_assert_int_eq(tun_frame_get_accept(raw_peer_expect(&p, TUN_FRAME_ACCEPT), &got), ERR_OK);
    ck_assert_uint_eq(got.ping_ms, TUN_PING_MS);
    ck_assert_uint_eq(got.session_window, TUN_SESSION_WINDOW);
    ck_assert_uint_eq(got.max_streams, TUN_STREAMS_MAX);
    ck_assert(got.has_next_key && got.next_key.bytes[0] == 5);
    ck_assert(tun_session_usable(p.session));
    end_peer();
}
END_TEST

START_TEST(test_session_reject_reaches_the_connector)
{
    struct tun_notice notice = {.code = TUN_CODE_STALE, .retry_ms = 3600000, .why = "newer epoch"};

    raw_peer_init(&p, TUN_CONNECTOR, false);
    tun_frame_put_notice(&p.o, TUN_FRAME_REJECT, 0, &notice);
    ck_assert_int_eq(raw_peer_send(&p), ERR_REFUSED);
    ck_assert_uint_eq(p.heard.rejects, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_STALE);
    ck_assert_uint_eq(p.heard.notice.retry_ms, 600000); /* at most 10 minutes */
    ck_assert_str_eq(p.heard.notice.why, "newer epoch");
    ck_assert_int_eq(tun_link_feed(p.at->link, NULL, 0, p.now_ms), ERR_REFUSED);
    end_peer();

    raw_peer_init(&p, TUN_GATEWAY, false);
    tun_link_reject(p.at->link, &notice);
    ck_assert_int_eq(tun_frame_get_notice(raw_peer_expect(&p, TUN_FRAME_REJECT), &notice), ERR_OK);
    ck_assert_int_eq(notice.code, TUN_CODE_STALE);
    end_peer();
}
END_TEST

START_TEST(test_session_exposures_span_frames)
{
    static struct tun_exposure list[30];
    struct tun_frame frame;
    struct cur payload;
    unsigned frames = 0, last = 0;

    raw_peer_init(&p, TUN_GATEWAY, true);
    for (int i = 0; i < COUNT(list); i++) {
        strcpy(list[i].workload, "7-1001-blog");
        strcpy(list[i].service, "web");
        memset(list[i].url, 'u', (size_t)(i * 13));
    }
    ck_assert_int_eq(tun_session_exposures(p.session, list, COUNT(list)), ERR_OK);
    while (raw_peer_next(&p, &frame, &payload)) {
        ck_assert_uint_eq(frame.type, TUN_FRAME_EXPOSURES);
        frames++;
        last += (frame.flags & TUN_FLAG_MORE) == 0;
    }
    ck_assert_uint_gt(frames, 1);
    ck_assert_uint_eq(last, 1);
    end_peer();

    raw_peer_init(&p, TUN_CONNECTOR, true);
    struct tun_frame header = {.type = TUN_FRAME_EXPOSURES};
    size_t at = out_len(&p.o);
    tun_frame_put_header(&p.o, &header);
    tun_frame_put_exposure(&p.o, &list[3]);
    tun_frame_put_exposure(&p.o, &list[4]);
    p.bytes[at + 3] = (uint8_t)(out_len(&p.o) - 8);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.exposures, 2);
    ck_assert_uint_eq(p.heard.lists, 1);
    ck_assert_str_eq(p.heard.exposure.url, list[4].url);
    end_peer();
}
END_TEST

START_TEST(test_session_nothing_before_accept)
{
    raw_peer_init(&p, TUN_CONNECTOR, false);
    tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_PROTO);
    end_peer();
    raw_peer_init(&p, TUN_GATEWAY, false);
    tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_PROTO);
    end_peer();
}
END_TEST

/* 0x90 is one of those that may be skipped: a gateway that gets one does. */
START_TEST(test_session_next_key_reaches_the_connector)
{
    const struct tun_public_key key = {{5}};

    raw_peer_init(&p, TUN_CONNECTOR, true);
    ck_assert_int_eq(tun_session_next_key(p.session, &key), ERR_INVALID);
    for (int i = 0; i < 2; i++)
        tun_frame_put_next_key(&p.o, &key);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.next_keys, 2);
    ck_assert_uint_eq(p.heard.next_key.bytes[0], 5);
    end_peer();
    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_session_next_key(p.session, &key), ERR_OK);
    (void)raw_peer_expect(&p, TUN_FRAME_NEXT_KEY);
    tun_frame_put_next_key(&p.o, &key);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    end_peer();
}
END_TEST

/* _i: 0 short, 1 on a stream */
START_TEST(test_session_next_key_that_is_damaged_is_fatal)
{
    raw_peer_init(&p, TUN_CONNECTOR, true);
    tun_frame_put_header(
        &p.o,
        &(struct tun_frame){.type = 0x90, .len = _i == 0 ? 31 : 32, .stream = _i == 0 ? 0 : 1});
    out_zero(&p.o, _i == 0 ? 31 : 32);
    ck_assert_int_eq(raw_peer_send(&p), ERR_PROTO);
    end_peer();
}
END_TEST

START_TEST(test_session_skips_unknown_types_from_0x80)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    tun_frame_put_header(&p.o,
                         &(struct tun_frame){.type = 0x80, .flags = 9, .len = 3, .stream = 9});
    out_zero(&p.o, 3);
    tun_frame_put_ping(&p.o, TUN_FRAME_PING, 77);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    struct cur pong = raw_peer_expect(&p, TUN_FRAME_PONG);
    ck_assert_uint_eq(cur_u64(&pong), 77);
    end_peer();
}
END_TEST

START_TEST(test_session_goaway_stops_new_streams_only)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_notice notice = {.code = TUN_CODE_SHUTDOWN, .retry_ms = 500};
    struct tun_stream *stream, *none;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    tun_frame_put_notice(&p.o, TUN_FRAME_GOAWAY, 0, &notice);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.goaways, 1);
    ck_assert_uint_eq(p.heard.notice.retry_ms, 500);
    ck_assert_int_eq(tun_stream_open(&none, p.session, &open, &p), ERR_REFUSED);
    ck_assert_uint_eq(tun_stream_write(stream, "go on", 5), 5);
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    end_peer();

    raw_peer_init(&p, TUN_CONNECTOR, true);
    tun_session_goaway(p.session, &notice);
    (void)raw_peer_expect(&p, TUN_FRAME_GOAWAY);
    raw_peer_put_open(&p, 1); /* was on its way */
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.opens, 0);
    (void)raw_peer_expect(&p, TUN_FRAME_OPEN_ERR);
    end_peer();
}
END_TEST

/* UPGRADE asks for another session; this one goes on until another GOAWAY. */
START_TEST(test_session_goaway_for_an_upgrade_stops_nothing)
{
    struct tun_notice upgrade = {.code = TUN_CODE_UPGRADE}, end = {.code = TUN_CODE_SHUTDOWN};

    raw_peer_init(&p, TUN_GATEWAY, true);
    for (int i = 0; i < 2; i++) { /* the first successor may have failed */
        tun_session_goaway(p.session, &upgrade);
        (void)raw_peer_expect(&p, TUN_FRAME_GOAWAY);
        ck_assert(tun_session_usable(p.session));
    }
    (void)raw_peer_open(&p);
    tun_session_goaway(p.session, &end);
    (void)raw_peer_expect(&p, TUN_FRAME_GOAWAY);
    ck_assert(!tun_session_usable(p.session));
    end_peer();

    raw_peer_init(&p, TUN_CONNECTOR, true);
    for (unsigned i = 1; i <= 2; i++) {
        tun_frame_put_notice(&p.o, TUN_FRAME_GOAWAY, 0, &upgrade);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        ck_assert_uint_eq(p.heard.goaways, i);
    }
    raw_peer_put_open(&p, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.opens, 1);
    tun_frame_put_notice(&p.o, TUN_FRAME_GOAWAY, 0, &end);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.goaways, 3);
    ck_assert(!tun_session_usable(p.session));
    end_peer();
}
END_TEST

START_TEST(test_session_close_is_an_orderly_end)
{
    struct tun_notice notice = {.code = TUN_CODE_REVOKED, .why = "bye"};

    raw_peer_init(&p, TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    tun_frame_put_notice(&p.o, TUN_FRAME_CLOSE, 0, &notice);
    ck_assert_int_eq(raw_peer_send(&p), ERR_EOF);
    ck_assert_uint_eq(p.heard.closes, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_REVOKED);
    ck_assert_uint_eq(p.heard.resets, 0);
    tun_session_free(p.session); /* now the stream hears of it */
    p.session = NULL;
    ck_assert_uint_eq(p.heard.resets, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_LOST);
    end_peer();

    raw_peer_init(&p, TUN_GATEWAY, true);
    tun_session_close(p.session, TUN_CODE_REPLACED, "newer session");
    ck_assert_int_eq(tun_frame_get_notice(raw_peer_expect(&p, TUN_FRAME_CLOSE), &notice), ERR_OK);
    ck_assert_str_eq(notice.why, "newer session");
    ck_assert(!tun_link_pending(p.at->link));
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/session");
    TCase *tc = tcase_create("session");

    tcase_add_test(tc, test_session_accept_tells_limits_and_next_key);
    tcase_add_test(tc, test_session_reject_reaches_the_connector);
    tcase_add_test(tc, test_session_exposures_span_frames);
    tcase_add_test(tc, test_session_nothing_before_accept);
    tcase_add_test(tc, test_session_skips_unknown_types_from_0x80);
    tcase_add_test(tc, test_session_next_key_reaches_the_connector);
    tcase_add_loop_test(tc, test_session_next_key_that_is_damaged_is_fatal, 0, 2);
    tcase_add_test(tc, test_session_goaway_stops_new_streams_only);
    tcase_add_test(tc, test_session_goaway_for_an_upgrade_stops_nothing);
    tcase_add_test(tc, test_session_close_is_an_orderly_end);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
