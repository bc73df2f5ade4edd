/* SPDX-License-Identifier: Apache-2.0 */
/* The session's rules one by one, against a peer that sends whatever the test wants. */
#include <stdlib.h>
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

static uint32_t streams(void)
{
    struct tun_session_stats stats;

    tun_session_stats(p.session, &stats);
    return stats.streams;
}

START_TEST(test_session_accept_tells_limits_and_next_key)
{
    struct tun_accept accept = {.has_next_key = true, .next_key = {{5}}}, got;

    raw_peer_init(&p, TUN_GATEWAY, false);
    ck_assert(!tun_session_usable(p.session));
    ck_assert_int_eq(tun_session_accept(p.session, &accept), ERR_OK);
    ck_assert_int_eq(tun_session_accept(p.session, &accept), ERR_INVALID);
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
    ck_assert_int_eq(tun_session_feed(p.session, NULL, 0, p.now_ms), ERR_REFUSED);
    end_peer();

    raw_peer_init(&p, TUN_GATEWAY, false);
    tun_session_reject(p.session, &notice);
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

START_TEST(test_session_open_carries_everything)
{
    struct tun_open open = {.workload = "7-1001-blog",
                            .service = "web",
                            .name = "blog.gw.example",
                            .kind = TUN_KIND_TLS,
                            .proxy = TUN_PROXY_V2,
                            .visitor = {{1, 2, 3}, 40000},
                            .local = {{4, 5, 6}, 443}},
                    got;
    struct tun_stream *stream;

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    ck_assert_uint_eq(tun_stream_write(stream, "early", 5), 5); /* before OPEN_OK */
    ck_assert_int_eq(tun_frame_get_open(raw_peer_expect(&p, TUN_FRAME_OPEN), &got), ERR_OK);
    ck_assert_str_eq(got.workload, open.workload);
    ck_assert_str_eq(got.service, open.service);
    ck_assert_str_eq(got.name, open.name);
    ck_assert_int_eq(got.kind, open.kind);
    ck_assert_int_eq(got.proxy, open.proxy);
    ck_assert_mem_eq(&got.visitor, &open.visitor, sizeof(open.visitor));
    ck_assert_uint_eq(got.local.port, 443);
    ck_assert_uint_eq(got.window, TUN_STREAM_WINDOW);
    struct cur data = raw_peer_expect(&p, TUN_FRAME_DATA);
    ck_assert_mem_eq(data.p, "early", 5);
    end_peer();
}
END_TEST

START_TEST(test_session_open_err_ends_the_handle)
{
    struct tun_notice notice = {.code = TUN_CODE_NO_SERVICE, .why = "no service web"};
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_stream *stream;

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    tun_frame_put_notice(&p.o, TUN_FRAME_OPEN_ERR, 1, &notice);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.open_errs, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_NO_SERVICE);
    ck_assert_uint_eq(streams(), 0);
    ck_assert_uint_eq(p.heard.resets, 0);
    end_peer();
}
END_TEST

START_TEST(test_session_open_waits_for_the_users_answer)
{
    size_t len;

    raw_peer_init(&p, TUN_CONNECTOR, true);
    raw_peer_put_open(&p, 1);
    raw_peer_put_data(&p, 1, 100);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.opens, 1);
    ck_assert_str_eq(p.heard.open.name, "a.example");
    ck_assert_ptr_null(tun_stream_peek(p.heard.stream, &len));
    ck_assert_uint_eq(tun_stream_write(p.heard.stream, "x", 1), 0);
    tun_stream_accept(p.heard.stream);
    ck_assert_ptr_nonnull(tun_stream_peek(p.heard.stream, &len));
    ck_assert_uint_eq(len, 100);
    ck_assert_uint_eq(tun_stream_write(p.heard.stream, "x", 1), 1);
    (void)raw_peer_expect(&p, TUN_FRAME_OPEN_OK);
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    end_peer();
}
END_TEST

START_TEST(test_session_refuse_tells_why)
{
    struct tun_notice notice;

    raw_peer_init(&p, TUN_CONNECTOR, true);
    raw_peer_put_open(&p, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    tun_stream_refuse(p.heard.stream, TUN_CODE_UNREACHABLE, "no\nroute");
    ck_assert_int_eq(tun_frame_get_notice(raw_peer_expect(&p, TUN_FRAME_OPEN_ERR), &notice),
                     ERR_OK);
    ck_assert_int_eq(notice.code, TUN_CODE_UNREACHABLE);
    ck_assert_str_eq(notice.why, "no?route");
    raw_peer_put_data(&p, 1, 5); /* was on its way */
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    end_peer();
}
END_TEST

START_TEST(test_session_over_max_streams_is_refused_not_fatal)
{
    raw_peer_init_with(&p, TUN_CONNECTOR, (struct tun_session_config){.max_streams = 2});
    tun_frame_put_accept(&p.o, &(struct tun_accept){.ping_ms = 15000, .session_window = 1000});
    for (uint32_t id = 1; id <= 3; id++)
        raw_peer_put_open(&p, id);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.opens, 2);
    (void)raw_peer_expect(&p, TUN_FRAME_OPEN_ERR);
    end_peer();

    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_stream *stream;
    raw_peer_init_with(&p, TUN_GATEWAY, (struct tun_session_config){.max_streams = 1});
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_REFUSED);
    ck_assert_int_eq(tun_session_accept(p.session, &(struct tun_accept){0}), ERR_OK);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_LIMIT);
    end_peer();
}
END_TEST

START_TEST(test_session_half_close_keeps_the_other_direction)
{
    struct tun_stream *stream;
    uint64_t offset;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    p.heard.take = SIZE_MAX;
    ck_assert_uint_eq(tun_stream_write(stream, "ping", 4), 4);
    tun_stream_finish(stream);
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    ck_assert_int_eq(tun_frame_get_fin(raw_peer_expect(&p, TUN_FRAME_FIN), &offset), ERR_OK);
    ck_assert_uint_eq(offset, 4);
    ck_assert_uint_eq(tun_stream_write(stream, "x", 1), 0);
    raw_peer_put_data(&p, 1, 5);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.data, 5);
    ck_assert(!tun_stream_eof(stream));
    tun_frame_put_fin(&p.o, 1, 5);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert(tun_stream_eof(stream));
    ck_assert_uint_eq(p.heard.readables, 1);
    tun_stream_close(stream);
    ck_assert_uint_eq(streams(), 0);
    end_peer();
}
END_TEST

/* The FIN shares the last bytes' record; a closed stream sends its rest before it goes. */
START_TEST(test_session_closed_stream_sends_its_rest)
{
    struct tun_stream *stream;
    struct tun_frame frame;
    struct cur payload;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    ck_assert_uint_eq(tun_stream_write(stream, "rest", 4), 4);
    tun_stream_finish(stream);
    tun_frame_put_fin(&p.o, 1, 0);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    tun_stream_close(stream);
    ck_assert_uint_eq(streams(), 1);
    ck_assert(raw_peer_next(&p, &frame, &payload));
    ck_assert_uint_eq(frame.type, TUN_FRAME_DATA);
    ck_assert_uint_eq(cur_left(&p.in), 16); /* the FIN, in the same record */
    ck_assert(raw_peer_next(&p, &frame, &payload));
    ck_assert_uint_eq(frame.type, TUN_FRAME_FIN);
    ck_assert_uint_eq(streams(), 0);
    ck_assert_uint_eq(p.heard.resets, 0);
    end_peer();
}
END_TEST

START_TEST(test_session_close_before_the_end_is_reset)
{
    struct tun_rst rst;

    raw_peer_init(&p, TUN_GATEWAY, true);
    tun_stream_close(raw_peer_open(&p));
    ck_assert_int_eq(tun_frame_get_rst(raw_peer_expect(&p, TUN_FRAME_RST), &rst), ERR_OK);
    ck_assert_int_eq(rst.code, TUN_CODE_CANCELLED);
    ck_assert_uint_eq(streams(), 0);
    /* stragglers of every type are ignored */
    raw_peer_put_data(&p, 1, 1000);
    tun_frame_put_window(&p.o, 1, &(struct tun_window){0, 1u << 30});
    tun_frame_put_fin(&p.o, 1, 1000);
    tun_frame_put_rst(&p.o, 1, &(struct tun_rst){TUN_CODE_NONE, 1000});
    tun_frame_put_empty(&p.o, TUN_FRAME_OPEN_OK, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.resets, 0);
    end_peer();
}
END_TEST

START_TEST(test_session_peers_reset_reaches_the_user_once)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    raw_peer_put_data(&p, 1, 10);
    tun_frame_put_rst(&p.o, 1, &(struct tun_rst){TUN_CODE_INTERNAL, 10});
    tun_frame_put_rst(&p.o, 1, &(struct tun_rst){TUN_CODE_INTERNAL, 10});
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.resets, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_INTERNAL);
    ck_assert_uint_eq(streams(), 0);
    end_peer();
}
END_TEST

START_TEST(test_session_data_after_fin_resets_only_that_stream)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    (void)raw_peer_open(&p);
    tun_frame_put_fin(&p.o, 1, 0);
    raw_peer_put_data(&p, 1, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.resets, 1);
    ck_assert_uint_eq(streams(), 1);
    (void)raw_peer_expect(&p, TUN_FRAME_RST);
    end_peer();
}
END_TEST

/* Fatal frames: what they are, who receives them, and which code the farewell carries. */
static void put_open_1(void)
{
    raw_peer_put_open(&p, 1);
}

static void put_data_never_opened(void)
{
    raw_peer_put_data(&p, 7, 1);
}

static void put_window_never_opened(void)
{
    tun_frame_put_window(&p.o, 7, &(struct tun_window){0, 1});
}

static void put_fin_wrong_offset(void)
{
    (void)raw_peer_open(&p);
    tun_frame_put_fin(&p.o, 1, 3);
}

static void put_rst_wrong_offset(void)
{
    (void)raw_peer_open(&p);
    raw_peer_put_data(&p, 1, 10);
    tun_frame_put_rst(&p.o, 1, &(struct tun_rst){TUN_CODE_NONE, 9});
}

static void put_window_back(void)
{
    (void)raw_peer_open(&p);
    tun_frame_put_window(&p.o, 1, &(struct tun_window){0, 1});
}

static void put_window_overflow(void)
{
    (void)raw_peer_open(&p);
    tun_frame_put_window(&p.o, 1, &(struct tun_window){0, UINT64_MAX});
}

static void put_window_acks_too_much(void)
{
    tun_frame_put_window(&p.o, 0, &(struct tun_window){1, 1u << 30});
}

static void put_data_before_open_ok(void)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_stream *stream;

    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    raw_peer_put_data(&p, 1, 1);
}

static void put_open_ok_twice(void)
{
    (void)raw_peer_open(&p);
    tun_frame_put_empty(&p.o, TUN_FRAME_OPEN_OK, 1);
}

static void put_accept(void)
{
    tun_frame_put_accept(&p.o, &(struct tun_accept){.ping_ms = 15000, .session_window = 1});
}

static void put_unknown_fatal(void)
{
    tun_frame_put_header(&p.o, &(struct tun_frame){.type = 0x7f});
}

static void put_resume(void)
{
    tun_frame_put_header(&p.o, &(struct tun_frame){.type = TUN_FRAME_RESUME});
}

static void put_flags(void)
{
    tun_frame_put_header(&p.o,
                         &(struct tun_frame){.type = TUN_FRAME_DATA, .flags = 1, .stream = 1});
}

static void put_cut_header(void)
{
    out_zero(&p.o, 7);
}

static void put_cut_payload(void)
{
    tun_frame_put_header(&p.o, &(struct tun_frame){.type = TUN_FRAME_PING, .len = 8});
    out_zero(&p.o, 7);
}

static void put_ids_falling(void)
{
    raw_peer_put_open(&p, 5);
    raw_peer_put_open(&p, 4);
}

static void put_past_stream_window(void)
{
    (void)raw_peer_open(&p);
    for (int i = 0; i < 4; i++) {
        raw_peer_put_data(&p, 1, 65000);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    }
    raw_peer_put_data(&p, 1, TUN_STREAM_WINDOW - 4 * 65000 + 1);
}

static void put_rst_past_window(void)
{
    (void)raw_peer_open(&p);
    tun_frame_put_rst(&p.o, 1, &(struct tun_rst){TUN_CODE_NONE, TUN_STREAM_WINDOW + 1});
}

static void put_empty_data_flood(void)
{
    (void)raw_peer_open(&p);
    for (int i = 0; i < 2001; i++)
        raw_peer_put_data(&p, 1, 0);
}

static void put_useless_window_flood(void)
{
    for (int i = 0; i < 2001; i++)
        tun_frame_put_window(&p.o, 0, &(struct tun_window){0, TUN_SESSION_WINDOW});
}

static void put_ping_flood(void)
{
    for (int i = 0; i < 2001; i++)
        tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
}

static const struct {
    const char *name;
    enum tun_role role; /* of the session that receives it */
    void (*put)(void);
    int want;
    enum tun_code code;
} fatal[] = {
    {"OPEN from a connector", TUN_GATEWAY, put_open_1, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"DATA never opened", TUN_GATEWAY, put_data_never_opened, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"DATA never opened", TUN_CONNECTOR, put_data_never_opened, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"WINDOW never opened", TUN_GATEWAY, put_window_never_opened, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"FIN offset", TUN_GATEWAY, put_fin_wrong_offset, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"RST offset", TUN_GATEWAY, put_rst_wrong_offset, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"WINDOW shrinks", TUN_GATEWAY, put_window_back, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"WINDOW overflow", TUN_GATEWAY, put_window_overflow, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"WINDOW acks unsent", TUN_GATEWAY, put_window_acks_too_much, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"DATA before OPEN_OK", TUN_GATEWAY, put_data_before_open_ok, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"OPEN_OK twice", TUN_GATEWAY, put_open_ok_twice, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"ACCEPT to a gateway", TUN_GATEWAY, put_accept, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"ACCEPT twice", TUN_CONNECTOR, put_accept, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"unknown type", TUN_GATEWAY, put_unknown_fatal, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"RESUME", TUN_GATEWAY, put_resume, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"flags", TUN_GATEWAY, put_flags, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"header cut", TUN_GATEWAY, put_cut_header, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"payload cut", TUN_GATEWAY, put_cut_payload, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"falling ids", TUN_CONNECTOR, put_ids_falling, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"past the window", TUN_GATEWAY, put_past_stream_window, ERR_LIMIT, TUN_CODE_FLOW_CONTROL},
    {"RST past the window", TUN_GATEWAY, put_rst_past_window, ERR_LIMIT, TUN_CODE_FLOW_CONTROL},
    {"empty DATA flood", TUN_GATEWAY, put_empty_data_flood, ERR_LIMIT, TUN_CODE_FLOOD},
    {"WINDOW flood", TUN_GATEWAY, put_useless_window_flood, ERR_LIMIT, TUN_CODE_FLOOD},
    {"PING flood", TUN_GATEWAY, put_ping_flood, ERR_LIMIT, TUN_CODE_FLOOD},
};

START_TEST(test_session_fatal_frames)
{
    struct tun_notice notice;
    int rc;

    raw_peer_init(&p, fatal[_i].role, true);
    fatal[_i].put();
    rc = raw_peer_send(&p);
    ck_assert_msg(rc == fatal[_i].want, "%s: %d", fatal[_i].name, rc);
    ck_assert_int_eq(tun_frame_get_notice(raw_peer_expect(&p, TUN_FRAME_CLOSE), &notice), ERR_OK);
    ck_assert_msg(notice.code == fatal[_i].code, "%s: %d", fatal[_i].name, notice.code);
    ck_assert(!tun_session_usable(p.session));
    ck_assert_int_eq(tun_session_feed(p.session, NULL, 0, p.now_ms), fatal[_i].want);
    ck_assert_uint_eq(tun_session_deadline(p.session), UINT64_MAX);
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

/* What is legal in a second must stay legal for ever. */
START_TEST(test_session_budget_comes_back)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    for (int i = 0; i < 20000; i++) {
        tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        (void)raw_peer_expect(&p, TUN_FRAME_PONG);
        p.now_ms += 2;
    }
    end_peer();
}
END_TEST

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
    ck_assert_uint_eq(window.limit, 65536 + 2 * TUN_STREAM_WINDOW); /* it was fast: it grew */
    p.now_ms += 1000;
    raw_peer_put_data(&p, 1, 65000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_put_data(&p, 1, 65000);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_put_data(&p, 1, 1072);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_int_eq(tun_frame_get_window(raw_peer_expect(&p, TUN_FRAME_WINDOW), &window), ERR_OK);
    ck_assert_uint_eq(window.limit, window.consumed + 2 * TUN_STREAM_WINDOW); /* it was slow */
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
        tun_frame_put_window(&p.o, 2, &(struct tun_window){got[2], got[2] + TUN_STREAM_WINDOW});
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    }
    ck_assert_uint_eq(got[1], TUN_STREAM_WINDOW);
    ck_assert_uint_ge(got[2], 20 * 65536);
    ck_assert_uint_eq(tun_stream_queued(slow), 0); /* nothing is taken that cannot be sent */
    tun_session_stats(p.session, &stats);
    ck_assert_uint_eq(stats.queued, 0);
    ck_assert_uint_eq(p.heard.writables, 0);
    tun_frame_put_window(&p.o, 1, &(struct tun_window){got[1], got[1] + TUN_STREAM_WINDOW});
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.writables, 1);
    end_peer();
}
END_TEST

START_TEST(test_session_credit_of_the_session_bounds_all_streams)
{
    struct tun_frame frame;
    struct cur payload;
    uint64_t got = 0;

    raw_peer_init(&p, TUN_CONNECTOR, false);
    tun_frame_put_accept(&p.o, &(struct tun_accept){.ping_ms = 15000, .session_window = 100000});
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    for (uint32_t id = 1; id <= 3; id++) {
        static const uint8_t zeros[60000];

        raw_peer_put_open(&p, id);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
        tun_stream_accept(p.heard.stream);
        ck_assert_uint_eq(tun_stream_write(p.heard.stream, zeros, sizeof(zeros)), sizeof(zeros));
    }
    while (raw_peer_next(&p, &frame, &payload))
        got += frame.type == TUN_FRAME_DATA ? frame.len : 0;
    ck_assert_uint_eq(got, 100000);
    ck_assert(!tun_session_pending(p.session)); /* or the loop would spin */
    tun_frame_put_window(&p.o, 0, &(struct tun_window){100000, 500000});
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    while (raw_peer_next(&p, &frame, &payload))
        got += frame.type == TUN_FRAME_DATA ? frame.len : 0;
    ck_assert_uint_eq(got, 180000);
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
    while (cur_left(&p.in) > 0 && raw_peer_next(&p, &frame, &payload))
        got[frame.stream] += frame.len;
    ck_assert_uint_ge(got[1], 16000);
    ck_assert_uint_ge(got[2], 16000);
    ck_assert_uint_le(got[1] > got[2] ? got[1] - got[2] : got[2] - got[1], 16384);
    end_peer();
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
        biggest = p.record_len > biggest ? p.record_len : biggest;
    ck_assert_uint_eq(biggest, 32768);
    end_peer();
}
END_TEST

static void seal_ping(uint8_t record[34])
{
    struct tun_piece piece = {p.bytes, 16};

    tun_frame_put_ping(&p.o, TUN_FRAME_PING, 5);
    ck_assert_int_eq(tun_record_seal(&p.seal, &piece, 1, 16, record), ERR_OK);
}

/* Every bit of the first record counts. */
START_TEST(test_session_first_record_damaged)
{
    for (size_t bit = 0; bit < 8 * 34; bit++) {
        uint8_t record[34];
        int rc;

        raw_peer_init(&p, TUN_GATEWAY, true);
        seal_ping(record);
        record[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rc = tun_session_feed(p.session, record, sizeof(record), p.now_ms);
        /* a greater length waits for more */
        ck_assert(rc == ERR_AUTH || rc == ERR_PROTO || (rc == ERR_OK && bit < 16));
        ck_assert(!tun_session_pending(p.session) || rc == ERR_PROTO);
        end_peer();
    }
}
END_TEST

START_TEST(test_session_record_byte_by_byte)
{
    uint8_t record[34];

    raw_peer_init(&p, TUN_GATEWAY, true);
    seal_ping(record);
    for (size_t i = 0; i < sizeof(record); i++) {
        ck_assert(!tun_session_pending(p.session));
        ck_assert_int_eq(tun_session_feed(p.session, record + i, 1, p.now_ms), ERR_OK);
    }
    (void)raw_peer_expect(&p, TUN_FRAME_PONG);
    end_peer();
}
END_TEST

START_TEST(test_session_record_lengths_16_and_over_max_are_fatal)
{
    uint8_t short_one[18] = {0, 16}, long_one[2] = {0x80, 0x01};

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_session_feed(p.session, short_one, 1, p.now_ms), ERR_OK);
    ck_assert_int_eq(tun_session_feed(p.session, short_one + 1, 1, p.now_ms), ERR_PROTO);
    end_peer();
    raw_peer_init_with(&p, TUN_GATEWAY, (struct tun_session_config){.max_record = 32768});
    ck_assert_int_eq(tun_session_accept(p.session, &(struct tun_accept){0}), ERR_OK);
    ck_assert_int_eq(tun_session_feed(p.session, long_one, 2, p.now_ms), ERR_PROTO);
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
    ck_assert(!tun_session_pending(p.session));
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/session");
    TCase *tc = tcase_create("session");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_session_accept_tells_limits_and_next_key);
    tcase_add_test(tc, test_session_reject_reaches_the_connector);
    tcase_add_test(tc, test_session_exposures_span_frames);
    tcase_add_test(tc, test_session_open_carries_everything);
    tcase_add_test(tc, test_session_open_err_ends_the_handle);
    tcase_add_test(tc, test_session_open_waits_for_the_users_answer);
    tcase_add_test(tc, test_session_refuse_tells_why);
    tcase_add_test(tc, test_session_over_max_streams_is_refused_not_fatal);
    tcase_add_test(tc, test_session_half_close_keeps_the_other_direction);
    tcase_add_test(tc, test_session_closed_stream_sends_its_rest);
    tcase_add_test(tc, test_session_close_before_the_end_is_reset);
    tcase_add_test(tc, test_session_peers_reset_reaches_the_user_once);
    tcase_add_test(tc, test_session_data_after_fin_resets_only_that_stream);
    tcase_add_loop_test(tc, test_session_fatal_frames, 0, COUNT(fatal));
    tcase_add_test(tc, test_session_nothing_before_accept);
    tcase_add_test(tc, test_session_skips_unknown_types_from_0x80);
    tcase_add_test(tc, test_session_budget_comes_back);
    tcase_add_test(tc, test_session_window_gives_credit_back);
    tcase_add_test(tc, test_session_slow_reader_slows_only_its_own_stream);
    tcase_add_test(tc, test_session_credit_of_the_session_bounds_all_streams);
    tcase_add_test(tc, test_session_round_robin_and_control_first);
    tcase_add_test(tc, test_session_respects_the_peers_max_record);
    tcase_add_test(tc, test_session_first_record_damaged);
    tcase_add_test(tc, test_session_record_byte_by_byte);
    tcase_add_test(tc, test_session_record_lengths_16_and_over_max_are_fatal);
    tcase_add_test(tc, test_session_goaway_stops_new_streams_only);
    tcase_add_test(tc, test_session_close_is_an_orderly_end);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
