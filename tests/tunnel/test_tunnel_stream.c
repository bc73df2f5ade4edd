/* SPDX-License-Identifier: Apache-2.0 */
/* A stream from OPEN to its end: half-close, close, reset, refusal, and stragglers. */
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"
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

/* FIN and all before it arrived at the raw end. */
static void put_end(uint32_t id, uint64_t offset)
{
    tun_frame_put_window(&p.o, id, &(struct tun_window){offset, TUN_STREAM_WINDOW}, TUN_FLAG_END);
}

START_TEST(test_stream_open_carries_everything)
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

START_TEST(test_stream_open_err_ends_the_handle)
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

START_TEST(test_stream_open_waits_for_the_users_answer)
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

START_TEST(test_stream_refuse_tells_why)
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

START_TEST(test_stream_over_max_streams_is_refused_not_fatal)
{
    raw_peer_init_with(&p, TUN_CONNECTOR, (struct tun_session_config){.max_streams = 2});
    tun_frame_put_accept(&p.o,
                         &(struct tun_accept){.link = 1, .ping_ms = 15000, .session_window = 1000});
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
    ck_assert_int_eq(tun_link_accept(p.at->link, &(struct tun_accept){0}), ERR_OK);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_LIMIT);
    end_peer();
}
END_TEST

START_TEST(test_stream_half_close_keeps_the_other_direction)
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
    (void)raw_peer_expect(&p, TUN_FRAME_WINDOW); /* END */
    ck_assert_uint_eq(streams(), 1);             /* what was sent may have to be sent again */
    put_end(1, 4);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(streams(), 0);
    ck_assert_uint_eq(p.heard.idles, 0); /* the other side has it all, but not its user */
    raw_peer_put_window(&p, 0, 4, TUN_SESSION_WINDOW);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.idles, 1);
    end_peer();
}
END_TEST

/* The FIN shares the last bytes' record; a closed stream sends its rest before it goes. */
START_TEST(test_stream_closed_stream_sends_its_rest)
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
    (void)raw_peer_expect(&p, TUN_FRAME_WINDOW);
    ck_assert(raw_peer_next(&p, &frame, &payload));
    ck_assert_uint_eq(frame.type, TUN_FRAME_DATA);
    ck_assert_uint_eq(cur_left(&p.at->in), 16); /* the FIN, in the same record */
    ck_assert(raw_peer_next(&p, &frame, &payload));
    ck_assert_uint_eq(frame.type, TUN_FRAME_FIN);
    put_end(1, 4);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(streams(), 0);
    ck_assert_uint_eq(p.heard.resets, 0);
    end_peer();
}
END_TEST

START_TEST(test_stream_late_reset_comes_after_the_rest)
{
    struct tun_stream *stream;
    struct tun_rst rst;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    raw_peer_put_data(&p, 1, 100); /* nobody reads it */
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(tun_stream_write(stream, "rest", 4), 4);
    tun_stream_reset_late(stream, TUN_CODE_CANCELLED);
    ck_assert_uint_eq(streams(), 1);
    raw_peer_put_data(&p, 1, 100); /* thrown away, without a word to the user */
    tun_frame_put_fin(&p.o, 1, 200);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    ck_assert_int_eq(tun_frame_get_rst(raw_peer_expect(&p, TUN_FRAME_RST), &rst), ERR_OK);
    ck_assert_int_eq(rst.code, TUN_CODE_CANCELLED);
    ck_assert_uint_eq(rst.offset, 4);
    ck_assert_uint_eq(streams(), 0);
    ck_assert_uint_eq(p.heard.resets, 0);
    end_peer();
}
END_TEST

START_TEST(test_stream_late_reset_of_an_empty_queue_is_a_reset)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    tun_stream_reset_late(raw_peer_open(&p), TUN_CODE_CANCELLED);
    ck_assert_uint_eq(streams(), 0);
    (void)raw_peer_expect(&p, TUN_FRAME_RST);
    end_peer();
}
END_TEST

/* _i: 0 = the other side ends too, 1 = it goes on talking, 2 = it says nothing for long */
START_TEST(test_stream_that_is_left_ends_in_order_or_is_reset)
{
    struct tun_stream *stream;
    struct tun_rst rst;
    uint64_t offset;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    raw_peer_put_data(&p, 1, 100); /* nobody reads it */
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(tun_stream_write(stream, "rest", 4), 4);
    tun_stream_leave(stream);
    ck_assert_uint_eq(streams(), 1);
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    ck_assert_int_eq(tun_frame_get_fin(raw_peer_expect(&p, TUN_FRAME_FIN), &offset), ERR_OK);
    ck_assert_uint_eq(offset, 4);
    put_end(1, 4);
    if (_i == 0)
        tun_frame_put_fin(&p.o, 1, 100);
    else if (_i == 1)
        raw_peer_put_data(&p, 1, 100);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    for (uint64_t ms = 0; _i == 2 && ms < TUN_STALL_MS + TUN_CHECK_MS; ms += 1000) {
        ck_assert(streams() == 1 || ms >= TUN_STALL_MS);
        ck_assert_int_eq(raw_peer_pass(&p, 1000), ERR_OK);
        tun_frame_put_ping(&p.o, TUN_FRAME_PING, 1);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    }
    if (_i > 0) {
        ck_assert_int_eq(tun_frame_get_rst(raw_peer_expect(&p, TUN_FRAME_RST), &rst), ERR_OK);
        ck_assert_int_eq(rst.code, _i == 1 ? TUN_CODE_CANCELLED : TUN_CODE_TIMEOUT);
    } else {
        ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_RST), 0);
    }
    ck_assert_uint_eq(streams(), 0);
    ck_assert_uint_eq(p.heard.resets + p.heard.readables, 0);
    end_peer();
}
END_TEST

START_TEST(test_stream_that_is_left_before_the_answer_is_reset)
{
    static const struct tun_open open = {
        .workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_stream *stream;

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    tun_stream_leave(stream);
    ck_assert_uint_eq(streams(), 0);
    (void)raw_peer_expect(&p, TUN_FRAME_RST);
    end_peer();
}
END_TEST

START_TEST(test_stream_close_before_the_end_is_reset)
{
    struct tun_rst rst;

    raw_peer_init(&p, TUN_GATEWAY, true);
    tun_stream_close(raw_peer_open(&p));
    ck_assert_int_eq(tun_frame_get_rst(raw_peer_expect(&p, TUN_FRAME_RST), &rst), ERR_OK);
    ck_assert_int_eq(rst.code, TUN_CODE_CANCELLED);
    ck_assert_uint_eq(streams(), 0);
    /* stragglers of every type are ignored */
    raw_peer_put_data(&p, 1, 1000);
    raw_peer_put_window(&p, 1, 0, 1u << 30);
    tun_frame_put_fin(&p.o, 1, 1000);
    tun_frame_put_rst(&p.o, 1, &(struct tun_rst){TUN_CODE_NONE, 1000});
    tun_frame_put_empty(&p.o, TUN_FRAME_OPEN_OK, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.resets, 0);
    end_peer();
}
END_TEST

START_TEST(test_stream_peers_reset_reaches_the_user_once)
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

START_TEST(test_stream_data_after_fin_resets_only_that_stream)
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

int main(void)
{
    Suite *suite = suite_create("tunnel/stream");
    TCase *tc = tcase_create("stream");

    tcase_add_test(tc, test_stream_open_carries_everything);
    tcase_add_test(tc, test_stream_open_err_ends_the_handle);
    tcase_add_test(tc, test_stream_open_waits_for_the_users_answer);
    tcase_add_test(tc, test_stream_refuse_tells_why);
    tcase_add_test(tc, test_stream_over_max_streams_is_refused_not_fatal);
    tcase_add_test(tc, test_stream_half_close_keeps_the_other_direction);
    tcase_add_test(tc, test_stream_closed_stream_sends_its_rest);
    tcase_add_test(tc, test_stream_late_reset_comes_after_the_rest);
    tcase_add_test(tc, test_stream_late_reset_of_an_empty_queue_is_a_reset);
    tcase_add_loop_test(tc, test_stream_that_is_left_ends_in_order_or_is_reset, 0, 3);
    tcase_add_test(tc, test_stream_that_is_left_before_the_answer_is_reset);
    tcase_add_test(tc, test_stream_close_before_the_end_is_reset);
    tcase_add_test(tc, test_stream_peers_reset_reaches_the_user_once);
    tcase_add_test(tc, test_stream_data_after_fin_resets_only_that_stream);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
