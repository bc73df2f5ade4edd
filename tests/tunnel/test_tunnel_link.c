/* SPDX-License-Identifier: Apache-2.0 */
/* The life of links in a session: they join, are taken or not, carry streams, and go. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/tunnel/raw_peer.h"

static struct raw_peer p;

static const struct tun_open visitor = {
    .workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};

static void end_peer(void)
{
    raw_peer_deinit(&p);
    memset(&p, 0, sizeof(p));
}

/* A session of ROLE with COUNT accepted links, the last one in use. */
static void begin(enum tun_role role, unsigned count)
{
    raw_peer_init(&p, role, true);
    while (p.count < count) {
        ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
        raw_peer_accept(&p);
    }
}

START_TEST(test_link_needs_a_result_of_the_sessions_role)
{
    struct tun_handshake_result result = {
        .role = TUN_CONNECTOR, .suite = TUN_SUITE_CHACHA, .peer_max_record = TUN_RECORD_MAX};
    struct tun_link *link;

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_link_new(&link, p.session, &result, NULL, p.now_ms), ERR_INVALID);
    result.role = TUN_GATEWAY;
    result.peer_max_record = TUN_RECORD_MIN - 1;
    ck_assert_int_eq(tun_link_new(&link, p.session, &result, NULL, p.now_ms), ERR_INVALID);
    end_peer();
}
END_TEST

START_TEST(test_link_knows_its_user_and_session)
{
    begin(TUN_GATEWAY, 1);
    ck_assert_ptr_eq(tun_link_user(p.at->link), p.at);
    ck_assert_ptr_eq(tun_link_session(p.at->link), p.session);
    ck_assert_uint_eq(tun_link_streams(p.at->link), 0);
    (void)raw_peer_open(&p);
    ck_assert_uint_eq(tun_link_streams(p.at->link), 1);
    end_peer();
}
END_TEST

START_TEST(test_link_accepts_repeat_the_first_but_for_serial_and_key)
{
    struct tun_accept first, second, said = {.ping_ms = 5000, .max_streams = 7};

    raw_peer_init(&p, TUN_GATEWAY, false);
    ck_assert_int_eq(tun_link_accept(p.at->link, &said), ERR_OK);
    ck_assert_int_eq(tun_frame_get_accept(raw_peer_expect(&p, TUN_FRAME_ACCEPT), &first), ERR_OK);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    said = (struct tun_accept){.ping_ms = 9000, .has_next_key = true, .next_key = {{5}}};
    ck_assert_int_eq(tun_link_accept(p.at->link, &said), ERR_OK);
    ck_assert_int_eq(tun_frame_get_accept(raw_peer_expect(&p, TUN_FRAME_ACCEPT), &second), ERR_OK);
    ck_assert_mem_eq(first.session, second.session, TUN_SESSION_ID_LEN);
    ck_assert_uint_eq(first.link, 1);
    ck_assert_uint_eq(second.link, 2);
    ck_assert_uint_eq(second.ping_ms, 5000);
    ck_assert_uint_eq(second.max_streams, 7);
    ck_assert(!first.has_next_key && second.has_next_key);
    end_peer();
}
END_TEST

START_TEST(test_link_of_another_session_ends_the_connectors)
{
    struct tun_accept other = {.session = {8}, .link = 1, .ping_ms = TUN_PING_MS};

    begin(TUN_CONNECTOR, 1);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    tun_frame_put_accept(&p.o, &other);
    ck_assert_int_eq(raw_peer_send(&p), ERR_NOENT);
    ck_assert_int_eq(tun_session_ended(p.session), ERR_NOENT);
    end_peer();
}
END_TEST

START_TEST(test_link_serial_of_a_live_one_is_fatal)
{
    struct tun_accept same = {.session = {9}, .link = 1, .ping_ms = TUN_PING_MS};

    begin(TUN_CONNECTOR, 1);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    tun_frame_put_accept(&p.o, &same);
    ck_assert_int_eq(raw_peer_send(&p), ERR_PROTO);
    end_peer();
}
END_TEST

START_TEST(test_link_reject_ends_only_that_link)
{
    struct tun_notice notice = {.code = TUN_CODE_BUSY};

    begin(TUN_CONNECTOR, 1);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    tun_frame_put_notice(&p.o, TUN_FRAME_REJECT, 0, &notice);
    ck_assert_int_eq(raw_peer_send(&p), ERR_REFUSED);
    ck_assert_uint_eq(p.heard.rejects, 1);
    ck_assert_ptr_eq(p.heard.link, p.at->link);
    raw_peer_lose(&p);
    ck_assert(tun_session_usable(p.session));
    end_peer();

    begin(TUN_GATEWAY, 1);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    tun_link_reject(p.at->link, &notice);
    (void)raw_peer_expect(&p, TUN_FRAME_REJECT);
    ck_assert_int_eq(tun_link_accept(p.at->link, &(struct tun_accept){0}), ERR_INVALID);
    raw_peer_lose(&p);
    ck_assert(tun_session_usable(p.session));
    end_peer();
}
END_TEST

START_TEST(test_link_live_ones_are_limited)
{
    begin(TUN_GATEWAY, TUN_LINKS_MAX);
    ck_assert_int_eq(raw_peer_join(&p), ERR_LIMIT);
    raw_peer_lose(&p);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    end_peer();
}
END_TEST

/* A RESUME must be able to name them all. */
START_TEST(test_link_lost_ones_are_limited)
{
    unsigned lost = 0;

    raw_peer_init(&p, TUN_CONNECTOR, true);
    for (raw_peer_lose(&p); raw_peer_join(&p) == ERR_OK; raw_peer_lose(&p)) {
        raw_peer_accept(&p);
        lost++;
    }
    ck_assert_uint_eq(lost + 1, TUN_RESUME_LINKS_MAX);
    end_peer();
}
END_TEST

/* Answered ones are remembered, but leave room. */
START_TEST(test_link_answered_ones_leave_room)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    for (unsigned i = 1; i < RAW_LINKS; i++) {
        uint32_t serial = p.at->serial;

        raw_peer_lose(&p);
        ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
        raw_peer_accept(&p);
        tun_frame_put_header(&p.o, &(struct tun_frame){.type = TUN_FRAME_RESUME, .len = 17});
        out_u8(&p.o, 1);
        tun_frame_put_resume_link(&p.o, &(struct tun_resume_link){.serial = serial});
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    }
    end_peer();
}
END_TEST

START_TEST(test_link_with_the_least_to_send_gets_the_stream)
{
    static const uint8_t zeros[60000];
    struct tun_stream *first, *second, *third;

    begin(TUN_GATEWAY, 2);
    ck_assert_int_eq(tun_stream_open(&first, p.session, &visitor, &p), ERR_OK);
    ck_assert_uint_eq(tun_stream_write(first, zeros, sizeof(zeros)), sizeof(zeros));
    ck_assert_int_eq(tun_stream_open(&second, p.session, &visitor, &p), ERR_OK);
    ck_assert_uint_eq(tun_link_streams(p.links[0].link), 1);
    ck_assert_uint_eq(tun_link_streams(p.links[1].link), 1);
    ck_assert_int_eq(tun_stream_open(&third, p.session, &visitor, &p), ERR_OK);
    ck_assert_uint_eq(tun_link_streams(p.links[0].link), 1);
    ck_assert_uint_eq(tun_link_streams(p.links[1].link), 2);
    raw_peer_use(&p, 0);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_OPEN), 1);
    raw_peer_use(&p, 1);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_OPEN), 2);
    end_peer();
}
END_TEST

START_TEST(test_link_frame_of_a_stream_on_another_link_is_fatal)
{
    begin(TUN_GATEWAY, 2);
    raw_peer_use(&p, 0);
    (void)raw_peer_open(&p);
    raw_peer_use(&p, 1);
    raw_peer_put_data(&p, 1, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_PROTO);
    end_peer();
}
END_TEST

START_TEST(test_link_lost_before_accept_leaves_nothing)
{
    for (int role = 0; role < 2; role++) {
        raw_peer_init(&p, (enum tun_role)role, false);
        raw_peer_lose(&p);
        ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
        raw_peer_accept(&p);
        ck_assert_uint_eq(p.at->serial, role == TUN_GATEWAY ? 1 : 2);
        ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_RESUME), 0);
        ck_assert(tun_session_usable(p.session));
        end_peer();
    }
}
END_TEST

/* Without one nothing is opened; old streams take what fits. */
START_TEST(test_link_no_live_one)
{
    struct tun_stream *stream, *none;

    begin(TUN_GATEWAY, 1);
    stream = raw_peer_open(&p);
    raw_peer_lose(&p);
    ck_assert(!tun_session_usable(p.session));
    ck_assert_int_eq(tun_stream_open(&none, p.session, &visitor, &p), ERR_REFUSED);
    ck_assert_uint_eq(tun_stream_write(stream, "wait", 4), 4);
    tun_stream_finish(stream);
    ck_assert_uint_eq(tun_stream_queued(stream), 4);
    ck_assert_int_eq(tun_session_exposures(p.session, NULL, 0), ERR_AGAIN);
    end_peer();
}
END_TEST

START_TEST(test_link_newcomer_hears_goaway_again)
{
    struct tun_notice notice = {.code = TUN_CODE_SHUTDOWN, .why = "bye"};

    for (int role = 0; role < 2; role++) {
        begin((enum tun_role)role, 1);
        tun_session_goaway(p.session, &notice);
        raw_peer_lose(&p); /* and the GOAWAY with it */
        ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
        raw_peer_accept(&p);
        (void)raw_peer_expect(&p, TUN_FRAME_GOAWAY);
        end_peer();
    }
}
END_TEST

/* Before ACCEPT a connector says nothing; a gateway may say CLOSE. */
START_TEST(test_link_close_is_told_on_every_link)
{
    for (int role = 0; role < 2; role++) {
        begin((enum tun_role)role, 2);
        ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
        tun_session_close(p.session, TUN_CODE_SHUTDOWN, "bye");
        for (unsigned i = 0; i < 3; i++) {
            raw_peer_use(&p, i);
            ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_CLOSE),
                              i < 2 || role == TUN_GATEWAY ? 1 : 0);
        }
        ck_assert_int_eq(raw_peer_join(&p), ERR_EOF);
        end_peer();
    }
}
END_TEST

/* Free at each state: waiting, live with streams, lost with streams, rejected. */
START_TEST(test_link_free_at_each_state)
{
    struct tun_stream *stream;

    begin(TUN_GATEWAY, 2);
    for (int i = 0; i < 2; i++) /* one on each */
        ck_assert_int_eq(tun_stream_open(&stream, p.session, &visitor, &p), ERR_OK);
    raw_peer_lose(&p);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    tun_link_reject(p.at->link, &(struct tun_notice){.code = TUN_CODE_BUSY});
    tun_session_free(p.session);
    p.session = NULL;
    ck_assert_uint_eq(p.heard.resets, 2);
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/link");
    TCase *tc = tcase_create("link");

    tcase_add_test(tc, test_link_needs_a_result_of_the_sessions_role);
    tcase_add_test(tc, test_link_knows_its_user_and_session);
    tcase_add_test(tc, test_link_accepts_repeat_the_first_but_for_serial_and_key);
    tcase_add_test(tc, test_link_of_another_session_ends_the_connectors);
    tcase_add_test(tc, test_link_serial_of_a_live_one_is_fatal);
    tcase_add_test(tc, test_link_reject_ends_only_that_link);
    tcase_add_test(tc, test_link_live_ones_are_limited);
    tcase_add_test(tc, test_link_lost_ones_are_limited);
    tcase_add_test(tc, test_link_answered_ones_leave_room);
    tcase_add_test(tc, test_link_with_the_least_to_send_gets_the_stream);
    tcase_add_test(tc, test_link_frame_of_a_stream_on_another_link_is_fatal);
    tcase_add_test(tc, test_link_lost_before_accept_leaves_nothing);
    tcase_add_test(tc, test_link_no_live_one);
    tcase_add_test(tc, test_link_newcomer_hears_goaway_again);
    tcase_add_test(tc, test_link_close_is_told_on_every_link);
    tcase_add_test(tc, test_link_free_at_each_state);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
