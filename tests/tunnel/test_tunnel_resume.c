/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of lost links go on, end, or were never there: what RESUME and LOST do, frame by frame.
 */
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/tunnel/raw_resume.h"

static struct raw_peer p;
static struct raw_resume said;
static struct tun_stream *stream; /* number 1, on the first link */

static void end_peer(void)
{
    raw_peer_deinit(&p);
    memset(&p, 0, sizeof(p));
}

static struct tun_session_stats stats(void)
{
    struct tun_session_stats now;

    tun_session_stats(p.session, &now);
    return now;
}

/* The rest from 400 on, and FIN, over the link in use. */
static void expect_the_rest(void)
{
    struct cur data = raw_peer_expect(&p, TUN_FRAME_DATA);
    uint64_t offset;

    ck_assert_uint_eq(cur_left(&data), 600);
    ck_assert_uint_eq(data.p[0], 2);
    ck_assert_int_eq(tun_frame_get_fin(raw_peer_expect(&p, TUN_FRAME_FIN), &offset), ERR_OK);
    ck_assert_uint_eq(offset, 1000);
    ck_assert_uint_eq(stats().tx_bytes, 1000); /* what is sent again counts once */
    ck_assert_uint_eq(stats().waiting_streams, 0);
    ck_assert_uint_eq(stats().resumes, 1);
    ck_assert_uint_eq(p.heard.resumes, 1);
    ck_assert_uint_eq(p.heard.moved, 1);
    ck_assert_uint_eq(p.heard.resets, 0);
}

START_TEST(test_resume_gateway_sends_again_what_did_not_arrive)
{
    stream = raw_resume_gateway(&p);
    ck_assert_uint_eq(stats().waiting_streams, 1);
    ck_assert_uint_eq(stats().kept, 1000);
    raw_resume_put(&p, 400, 2);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_resume_read(&p, &said);
    ck_assert_uint_eq(said.lost, 1);
    ck_assert_uint_eq(said.links[0].serial, 1);
    ck_assert_uint_eq(said.links[0].last_open, 0);
    ck_assert_uint_eq(said.count, 1);
    ck_assert_uint_eq(said.streams[0].id, 1);
    ck_assert_uint_eq(said.streams[0].received, 0);
    expect_the_rest();
    end_peer();
}
END_TEST

START_TEST(test_resume_connector_asks_and_sends_again)
{
    stream = raw_resume_connector(&p, &said);
    ck_assert_uint_eq(said.lost, 1);
    ck_assert_uint_eq(said.links[0].serial, 1);
    ck_assert_uint_eq(said.links[0].received, 10);
    ck_assert_uint_eq(said.links[0].last_open, 1);
    ck_assert_uint_eq(said.count, 1);
    ck_assert_uint_eq(said.streams[0].received, 10);
    ck_assert(said.streams[0].open_ok && !said.streams[0].fin_received);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_DATA), 0); /* not before the answer */
    raw_resume_put(&p, 400, 0);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    expect_the_rest();
    end_peer();
}
END_TEST

/* Everything had arrived; only the word for it got lost. */
START_TEST(test_resume_nothing_to_send_again)
{
    stream = raw_resume_gateway(&p);
    raw_resume_put(&p, 1000, 3);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(stats().kept, 0);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_DATA), 0);
    tun_frame_put_fin(&p.o, 1, 0);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    tun_stream_close(stream);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_WINDOW), 1); /* END */
    ck_assert_uint_eq(stats().streams, 0);
    ck_assert_uint_eq(p.heard.resets, 0);
    end_peer();
}
END_TEST

/* The user wrote and read meanwhile. */
START_TEST(test_resume_what_was_written_while_waiting_follows)
{
    size_t len;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    raw_peer_put_data(&p, 1, 300);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_lose(&p);
    ck_assert_uint_eq(tun_stream_write(stream, "later", 5), 5);
    ck_assert_ptr_nonnull(tun_stream_peek(stream, &len));
    ck_assert_uint_eq(len, 300);
    tun_stream_consume(stream, 300);
    raw_resume_join(&p);
    raw_resume_put(&p, 0, 2);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_resume_read(&p, &said);
    ck_assert_uint_eq(said.streams[0].received, 300);
    ck_assert_mem_eq(raw_peer_expect(&p, TUN_FRAME_DATA).p, "later", 5);
    raw_peer_put_data(&p, 1, 7); /* its bytes go on at 300 */
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(tun_stream_received_bytes(stream), 307);
    end_peer();
}
END_TEST

/* The gateway had not noticed: its owner hears of it. */
START_TEST(test_resume_names_a_link_that_seemed_alive)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    raw_resume_join(&p);
    raw_resume_put(&p, 0, 2);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.link_cuts, 1);
    ck_assert_ptr_eq(p.heard.link, p.links[0].link);
    ck_assert_int_eq(tun_link_feed(p.links[0].link, NULL, 0, p.now_ms), ERR_EOF);
    ck_assert_int_eq(tun_link_tick(p.links[0].link, p.now_ms), ERR_EOF);
    ck_assert_uint_eq(p.heard.moved, 1);
    ck_assert_uint_eq(tun_link_streams(p.links[1].link), 1);
    raw_peer_use(&p, 0);
    raw_peer_lose(&p);
    ck_assert_uint_eq(stats().waiting_streams, 0);
    end_peer();
}
END_TEST

START_TEST(test_resume_stream_that_the_connector_never_saw)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    raw_peer_lose(&p);
    raw_resume_join(&p);
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 1, 0, 0);
    raw_resume_end(&p);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.open_errs, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_LOST);
    ck_assert_uint_eq(p.heard.resets, 0);
    ck_assert_uint_eq(stats().streams, 0);
    end_peer();
}
END_TEST

/* It saw the stream and does not have it any more: it was reset, and the RST got lost. */
START_TEST(test_resume_stream_that_the_connector_gave_up)
{
    stream = raw_resume_gateway(&p);
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 1, 1000, 1);
    raw_resume_end(&p);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.resets, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_LOST);
    ck_assert_uint_eq(stats().streams, 0);
    end_peer();
}
END_TEST

START_TEST(test_resume_stream_that_the_gateway_gave_up)
{
    stream = raw_resume_connector(&p, &said);
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 1, 1000, 0);
    raw_resume_end(&p);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.resets, 1);
    ck_assert_int_eq(p.heard.code, TUN_CODE_LOST);
    end_peer();
}
END_TEST

/* The user went between question and answer. */
START_TEST(test_resume_stream_given_up_while_asking_is_reset)
{
    struct tun_rst rst;

    stream = raw_resume_connector(&p, &said);
    tun_stream_reset(stream, TUN_CODE_CANCELLED);
    raw_resume_put(&p, 400, 0);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_int_eq(tun_frame_get_rst(raw_peer_expect(&p, TUN_FRAME_RST), &rst), ERR_OK);
    ck_assert_uint_eq(rst.offset, 400);
    ck_assert_uint_eq(stats().streams, 0);
    end_peer();
}
END_TEST

/* The visitor waits for its service while the link is lost: OPEN_OK comes once, on the new link. */
START_TEST(test_resume_accepted_while_waiting)
{
    raw_peer_init(&p, TUN_CONNECTOR, true);
    raw_peer_put_open(&p, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_lose(&p);
    raw_resume_join(&p);
    raw_resume_read(&p, &said);
    ck_assert(!said.streams[0].open_ok);
    tun_stream_accept(p.heard.stream);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_OPEN_OK), 0);
    raw_resume_put(&p, 0, 0);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_OPEN_OK), 1);
    end_peer();
}
END_TEST

START_TEST(test_resume_open_ok_that_got_lost)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_stream_open(&stream, p.session, &open, &p), ERR_OK);
    (void)raw_peer_expect(&p, TUN_FRAME_OPEN);
    raw_peer_lose(&p);
    raw_resume_join(&p);
    raw_resume_put(&p, 0, 2);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.open_oks, 1);
    raw_peer_put_data(&p, 1, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    end_peer();
}
END_TEST

START_TEST(test_resume_list_in_two_frames)
{
    raw_peer_init(&p, TUN_GATEWAY, true);
    for (int i = 0; i < 2; i++)
        (void)raw_peer_open(&p);
    raw_peer_lose(&p);
    raw_resume_join(&p);
    raw_resume_begin(&p, 1, TUN_FLAG_MORE);
    raw_resume_link(&p, 1, 0, 2);
    raw_resume_stream(&p, 1, 0, 2);
    raw_resume_end(&p);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.resumes, 0);
    raw_resume_begin(&p, 0, 0);
    raw_resume_stream(&p, 2, 0, 2);
    raw_resume_end(&p);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.moved, 2);
    end_peer();
}
END_TEST

/* So many that the session's own list takes frames. */
START_TEST(test_resume_long_lists_are_split)
{
    raw_peer_init(&p, TUN_CONNECTOR, true);
    for (uint32_t id = 1; id <= 100; id++)
        raw_peer_put_open(&p, id);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_lose(&p);
    raw_resume_join(&p);
    raw_resume_read(&p, &said);
    ck_assert_uint_eq(said.count, 100);
    end_peer();
}
END_TEST

/* The answer got lost with its link: asked again, with both links, it is the same. */
START_TEST(test_resume_asked_again_when_the_answer_got_lost)
{
    stream = raw_resume_gateway(&p);
    raw_resume_put(&p, 400, 2);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_lose(&p);
    raw_resume_join(&p);
    raw_resume_begin(&p, 2, 0);
    raw_resume_link(&p, 1, 400, 1);
    raw_resume_link(&p, 2, 0, 0);
    raw_resume_stream(&p, 1, 400, 2);
    raw_resume_end(&p);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_resume_read(&p, &said);
    ck_assert_uint_eq(said.lost, 2);
    ck_assert_uint_eq(said.count, 1);
    ck_assert_uint_eq(p.heard.resumes, 2);
    p.heard.resumes = 1;
    ck_assert_mem_eq(raw_peer_expect(&p, TUN_FRAME_DATA).p, "\2", 1);
    ck_assert_uint_eq(stats().tx_bytes, 1000);
    end_peer();
}
END_TEST

START_TEST(test_resume_connector_asks_anew_when_the_question_got_lost)
{
    stream = raw_resume_connector(&p, &said);
    raw_peer_lose(&p);
    raw_resume_join(&p);
    raw_resume_read(&p, &said);
    ck_assert_uint_eq(said.lost, 2);
    ck_assert_uint_eq(said.count, 1);
    end_peer();
}
END_TEST

START_TEST(test_resume_gateway_says_which_links_it_lost)
{
    uint32_t serial;

    raw_peer_init(&p, TUN_GATEWAY, true);
    raw_resume_join(&p);
    raw_peer_use(&p, 0);
    raw_peer_lose(&p);
    raw_peer_use(&p, 1);
    ck_assert_int_eq(tun_frame_get_lost(raw_peer_expect(&p, TUN_FRAME_LOST), &serial), ERR_OK);
    ck_assert_uint_eq(serial, 1);
    raw_peer_lose(&p);
    raw_resume_join(&p); /* and again */
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_LOST), 2);
    end_peer();
}
END_TEST

START_TEST(test_resume_connector_hears_that_its_link_is_lost)
{
    raw_peer_init(&p, TUN_CONNECTOR, true);
    raw_peer_put_open(&p, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_resume_join(&p);
    tun_frame_put_lost(&p.o, 1);
    tun_frame_put_lost(&p.o, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(p.heard.link_cuts, 1);
    ck_assert_ptr_eq(p.heard.link, p.links[0].link);
    raw_peer_use(&p, 0);
    raw_peer_lose(&p);
    raw_peer_use(&p, 1);
    raw_resume_read(&p, &said);
    ck_assert_uint_eq(said.count, 1);
    end_peer();
}
END_TEST

/* Its ACCEPT is still on its way: it is asked about, settled, and comes too late. */
START_TEST(test_resume_link_that_the_connector_never_heard_of)
{
    raw_peer_init(&p, TUN_CONNECTOR, true);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    raw_peer_use(&p, 0);
    for (int i = 0; i < 2; i++) { /* told twice, asked once */
        tun_frame_put_lost(&p.o, 2);
        ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    }
    raw_resume_read(&p, &said);
    ck_assert_uint_eq(said.lost, 1);
    ck_assert_uint_eq(said.links[0].serial, 2);
    ck_assert_uint_eq(said.links[0].received, 0);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_RESUME), 0);
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 2, 0, 0);
    raw_resume_end(&p);
    tun_frame_put_lost(&p.o, 2);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    ck_assert_uint_eq(raw_peer_count(&p, TUN_FRAME_RESUME), 0);
    raw_peer_use(&p, 1);
    tun_frame_put_accept(&p.o,
                         &(struct tun_accept){.session = {9}, .link = 2, .ping_ms = TUN_PING_MS});
    raw_peer_put_open(&p, 1);
    ck_assert_int_eq(raw_peer_send(&p), ERR_EOF);
    ck_assert_uint_eq(p.heard.accepts, 1);
    ck_assert_uint_eq(p.heard.opens, 0);
    ck_assert_int_eq(tun_session_ended(p.session), ERR_OK);
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/resume");
    TCase *tc = tcase_create("resume");

    tcase_add_test(tc, test_resume_gateway_sends_again_what_did_not_arrive);
    tcase_add_test(tc, test_resume_connector_asks_and_sends_again);
    tcase_add_test(tc, test_resume_nothing_to_send_again);
    tcase_add_test(tc, test_resume_what_was_written_while_waiting_follows);
    tcase_add_test(tc, test_resume_names_a_link_that_seemed_alive);
    tcase_add_test(tc, test_resume_stream_that_the_connector_never_saw);
    tcase_add_test(tc, test_resume_stream_that_the_connector_gave_up);
    tcase_add_test(tc, test_resume_stream_that_the_gateway_gave_up);
    tcase_add_test(tc, test_resume_stream_given_up_while_asking_is_reset);
    tcase_add_test(tc, test_resume_accepted_while_waiting);
    tcase_add_test(tc, test_resume_open_ok_that_got_lost);
    tcase_add_test(tc, test_resume_list_in_two_frames);
    tcase_add_test(tc, test_resume_long_lists_are_split);
    tcase_add_test(tc, test_resume_asked_again_when_the_answer_got_lost);
    tcase_add_test(tc, test_resume_connector_asks_anew_when_the_question_got_lost);
    tcase_add_test(tc, test_resume_gateway_says_which_links_it_lost);
    tcase_add_test(tc, test_resume_connector_hears_that_its_link_is_lost);
    tcase_add_test(tc, test_resume_link_that_the_connector_never_heard_of);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
