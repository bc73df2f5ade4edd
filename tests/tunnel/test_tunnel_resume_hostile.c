/* SPDX-License-Identifier: Apache-2.0 */
/* RESUMEs that no honest end sends end the session, whoever gets them. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/tunnel/raw_resume.h"

static struct raw_peer p;
static struct raw_resume said;

static void end_peer(void)
{
    raw_peer_deinit(&p);
    memset(&p, 0, sizeof(p));
}

static void put_beyond_what_was_sent(void)
{
    raw_resume_put(&p, 1001, 2);
}

static void put_stream_beyond_what_was_sent(void)
{
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 1, 1000, 1);
    raw_resume_stream(&p, 1, 1001, 2);
    raw_resume_end(&p);
}

static void put_fin_before_its_bytes(void)
{
    raw_resume_put(&p, 999, 3);
}

static void put_own_link(void)
{
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 2, 0, 0);
    raw_resume_end(&p);
}

static void put_link_never_accepted(void)
{
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 3, 0, 0);
    raw_resume_end(&p);
}

static void put_link_0(void)
{
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 0, 0, 0);
    raw_resume_end(&p);
}

static void put_stream_of_a_link_not_named(void)
{
    raw_resume_begin(&p, 0, 0);
    raw_resume_stream(&p, 1, 0, 2);
    raw_resume_end(&p);
}

static void put_stream_twice(void)
{
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 1, 400, 1);
    raw_resume_stream(&p, 1, 400, 2);
    raw_resume_stream(&p, 1, 400, 2);
    raw_resume_end(&p);
}

static void put_stream_never_opened(void)
{
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 1, 400, 1);
    raw_resume_stream(&p, 2, 0, 2);
    raw_resume_end(&p);
}

static void put_too_many_links(void)
{
    raw_resume_begin(&p, 17, 0);
    for (uint32_t i = 0; i < 17; i++)
        raw_resume_link(&p, 1, 0, 0);
    raw_resume_end(&p);
}

static void put_links_that_continue(void)
{
    raw_resume_begin(&p, 0, TUN_FLAG_MORE);
    raw_resume_end(&p);
    raw_resume_put(&p, 400, 2);
}

static void put_cut_link(void)
{
    raw_resume_begin(&p, 1, 0);
    out_zero(&p.o, 15);
    raw_resume_end(&p);
}

static void put_cut_stream(void)
{
    raw_resume_begin(&p, 1, 0);
    raw_resume_link(&p, 1, 400, 1);
    out_zero(&p.o, 12);
    raw_resume_end(&p);
}

static void put_stream_before_resume(void)
{
    raw_peer_put_data(&p, 1, 1);
}

static void put_flood(void)
{
    for (int i = 0; i < 2500; i++) {
        raw_resume_begin(&p, 0, 0);
        raw_resume_end(&p);
    }
}

static const struct {
    const char *name;
    void (*put)(void);
    int want;
} hostile[] = {
    {"more received than sent on the link", put_beyond_what_was_sent, ERR_PROTO},
    {"more received than sent on the stream", put_stream_beyond_what_was_sent, ERR_PROTO},
    {"FIN before its bytes", put_fin_before_its_bytes, ERR_PROTO},
    {"the link it is said on", put_own_link, ERR_PROTO},
    {"a link never accepted", put_link_never_accepted, ERR_PROTO},
    {"link 0", put_link_0, ERR_PROTO},
    {"a stream of a link not named", put_stream_of_a_link_not_named, ERR_PROTO},
    {"a stream twice", put_stream_twice, ERR_PROTO},
    {"a stream never opened", put_stream_never_opened, ERR_PROTO},
    {"too many links", put_too_many_links, ERR_PROTO},
    {"links that continue", put_links_that_continue, ERR_PROTO},
    {"a link cut short", put_cut_link, ERR_PROTO},
    {"a stream cut short", put_cut_stream, ERR_PROTO},
    {"a stream's frame before RESUME", put_stream_before_resume, ERR_PROTO},
    {"RESUME flood", put_flood, ERR_LIMIT},
};

START_TEST(test_resume_hostile_to_a_gateway)
{
    int rc;

    (void)raw_resume_gateway(&p);
    hostile[_i].put();
    rc = raw_peer_send(&p);
    ck_assert_msg(rc == hostile[_i].want, "%s: %d", hostile[_i].name, rc);
    (void)raw_peer_expect(&p, TUN_FRAME_CLOSE);
    end_peer();
}
END_TEST

/* An offset that was acknowledged before is gone for good. */
START_TEST(test_resume_offset_below_what_was_acknowledged_is_fatal)
{
    struct tun_stream *stream;

    raw_peer_init(&p, TUN_GATEWAY, true);
    stream = raw_peer_open(&p);
    ck_assert_uint_eq(tun_stream_write(stream, "hello", 5), 5);
    (void)raw_peer_expect(&p, TUN_FRAME_DATA);
    raw_peer_put_window(&p, 1, 5, TUN_STREAM_WINDOW + 5);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    raw_peer_lose(&p);
    raw_resume_join(&p);
    raw_resume_put(&p, 4, 2);
    ck_assert_int_eq(raw_peer_send(&p), ERR_PROTO);
    end_peer();
}
END_TEST

static void put_empty(void)
{
    raw_resume_begin(&p, 0, 0);
    raw_resume_end(&p);
}

static void put_answer_twice(void)
{
    raw_resume_put(&p, 400, 0);
    raw_resume_put(&p, 400, 0);
}

static const struct {
    const char *name;
    void (*put)(void);
} answers[] = {
    {"without the link that was asked about", put_empty},
    {"a second time", put_answer_twice},
    {"more received than sent", put_beyond_what_was_sent},
    {"a stream never opened", put_stream_never_opened},
    {"the link it is said on", put_own_link},
    {"a stream's frame before it", put_stream_before_resume},
    {"cut short", put_cut_stream},
};

START_TEST(test_resume_hostile_answers_to_a_connector)
{
    int rc;

    (void)raw_resume_connector(&p, &said);
    answers[_i].put();
    rc = raw_peer_send(&p);
    ck_assert_msg(rc == ERR_PROTO, "%s: %d", answers[_i].name, rc);
    end_peer();
}
END_TEST

START_TEST(test_resume_answer_that_nobody_asked_for_is_fatal)
{
    raw_peer_init(&p, TUN_CONNECTOR, true);
    put_empty();
    ck_assert_int_eq(raw_peer_send(&p), ERR_PROTO);
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/resume_hostile");
    TCase *tc = tcase_create("resume_hostile");

    tcase_add_loop_test(tc, test_resume_hostile_to_a_gateway, 0, COUNT(hostile));
    tcase_add_test(tc, test_resume_offset_below_what_was_acknowledged_is_fatal);
    tcase_add_loop_test(tc, test_resume_hostile_answers_to_a_connector, 0, COUNT(answers));
    tcase_add_test(tc, test_resume_answer_that_nobody_asked_for_is_fatal);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
