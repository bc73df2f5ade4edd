/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that break a rule end the session, with the right word in the farewell; floods too. */
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
    raw_peer_put_window(&p, 7, 0, 1);
}

static void put_fin_wrong_offset(void)
{
    (void)raw_peer_open(&p);
    tun_frame_put_fin(&p.o, 1, 3);
}

static void put_rst_offset_below(void)
{
    (void)raw_peer_open(&p);
    raw_peer_put_data(&p, 1, 10);
    tun_frame_put_rst(&p.o, 1, &(struct tun_rst){TUN_CODE_NONE, 9});
}

static void put_rst_offset_above(void)
{
    (void)raw_peer_open(&p);
    raw_peer_put_data(&p, 1, 10);
    tun_frame_put_rst(&p.o, 1, &(struct tun_rst){TUN_CODE_NONE, 11});
}

static void put_end_before_fin(void)
{
    (void)raw_peer_open(&p);
    tun_frame_put_window(&p.o, 1, &(struct tun_window){0, TUN_STREAM_WINDOW}, TUN_FLAG_END);
}

static void put_end_of_the_session(void)
{
    tun_frame_put_window(&p.o, 0, &(struct tun_window){0, TUN_SESSION_WINDOW + 1}, TUN_FLAG_END);
}

static void put_lost(void)
{
    tun_frame_put_lost(&p.o, 1);
}

static void put_window_back(void)
{
    (void)raw_peer_open(&p);
    raw_peer_put_window(&p, 1, 0, 1);
}

static void put_window_overflow(void)
{
    (void)raw_peer_open(&p);
    raw_peer_put_window(&p, 1, 0, UINT64_MAX);
}

static void put_window_acks_too_much(void)
{
    raw_peer_put_window(&p, 0, 1, 1u << 30);
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
    tun_frame_put_accept(&p.o,
                         &(struct tun_accept){.link = 1, .ping_ms = 15000, .session_window = 1});
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

static void put_empty_data_flood(void)
{
    (void)raw_peer_open(&p);
    for (int i = 0; i < 2001; i++)
        raw_peer_put_data(&p, 1, 0);
}

static void put_useless_window_flood(void)
{
    for (int i = 0; i < 2001; i++)
        raw_peer_put_window(&p, 0, 0, TUN_SESSION_WINDOW);
}

/* Two busy links overtake each other all the time. */
START_TEST(test_session_window_that_was_overtaken_is_no_flood)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    raw_peer_put_window(&p, 0, 0, TUN_SESSION_WINDOW + 2);
    for (int i = 0; i < 2001; i++)
        raw_peer_put_window(&p, 0, 0, TUN_SESSION_WINDOW + 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_deinit(&p);
}
END_TEST

/* A million small frames a second are paid for; four million at once are too many. */
START_TEST(test_session_dribble_ends_when_the_budget_is_spent)
{
    unsigned records = 0;
    int rc = ERR_OK;

    raw_peer_init(&p, TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    p.heard.take = SIZE_MAX;
    for (; rc == ERR_OK && records < 1000; records++) {
        for (int i = 0; i < 5000; i++)
            raw_peer_put_data(&p, 1, 1);
        rc = raw_peer_send(&p);
        (void)raw_peer_count(&p, TUN_FRAME_WINDOW); /* taken off, or they pile up */
    }
    ck_assert_int_eq(rc, ERR_LIMIT);
    ck_assert_uint_ge(records, 800);
    ck_assert_uint_le(records, 801);
    raw_peer_deinit(&p);
}
END_TEST

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
    {"RST offset below", TUN_GATEWAY, put_rst_offset_below, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"RST offset above", TUN_GATEWAY, put_rst_offset_above, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"END before FIN", TUN_GATEWAY, put_end_before_fin, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"END of the session", TUN_GATEWAY, put_end_of_the_session, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"LOST to a gateway", TUN_GATEWAY, put_lost, ERR_PROTO, TUN_CODE_PROTOCOL},
    {"LOST of its own link", TUN_CONNECTOR, put_lost, ERR_PROTO, TUN_CODE_PROTOCOL},
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
    ck_assert_int_eq(tun_link_feed(p.at->link, NULL, 0, p.now_ms), fatal[_i].want);
    ck_assert_uint_eq(tun_session_deadline(p.session), UINT64_MAX);
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

int main(void)
{
    Suite *suite = suite_create("tunnel/session_feed");
    TCase *tc = tcase_create("session_feed");

    tcase_add_loop_test(tc, test_session_fatal_frames, 0, COUNT(fatal));
    tcase_add_test(tc, test_session_budget_comes_back);
    tcase_add_test(tc, test_session_window_that_was_overtaken_is_no_flood);
    tcase_add_test(tc, test_session_dribble_ends_when_the_budget_is_spent);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
