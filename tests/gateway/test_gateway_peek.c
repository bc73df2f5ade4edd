/* SPDX-License-Identifier: Apache-2.0 */
/* First bytes off a socket: what is kept, when the host is known, and what ends the reading. */
#include "modules/gateway/peek.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "modules/tunnel/handshake.h"
#include "tests/support/suite.h"

#define HEAD "GET /a?b HTTP/1.1\r\nHost: Blog.example.\r\n\r\n"

struct visitor {
    struct gw_limits limits;
    struct gw_peek peek;
    int fds[2]; /* the visitor's, ours */
};

static void come(struct visitor *v, enum gw_port_kind port)
{
    struct gw_config config;

    gw_config_default(&config);
    v->limits = config.limits;
    gw_peek_init(&v->peek, port, &v->limits);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, v->fds), 0);
}

static void leave(struct visitor *v)
{
    gw_peek_deinit(&v->peek);
    gw_peek_deinit(&v->peek);
    close(v->fds[0]);
    close(v->fds[1]);
}

static enum gw_verdict say(struct visitor *v, const void *data, size_t len)
{
    ck_assert_int_eq(send(v->fds[0], data, len, MSG_NOSIGNAL), (ssize_t)len);
    return gw_peek_read(&v->peek, v->fds[1]);
}

START_TEST(test_peek_every_prefix_of_a_head_wants_more_and_all_bytes_are_kept)
{
    struct visitor v;

    come(&v, GW_PORT_HTTP);
    for (size_t i = 0; i + 1 < strlen(HEAD); i++)
        ck_assert_int_eq(say(&v, &HEAD[i], 1), GW_VERDICT_MORE);
    ck_assert_int_eq(say(&v, &HEAD[strlen(HEAD) - 1], 1), GW_VERDICT_HOST);
    ck_assert_str_eq(v.peek.host, "blog.example");
    ck_assert_uint_eq(v.peek.len, strlen(HEAD));
    ck_assert_mem_eq(v.peek.data, HEAD, strlen(HEAD));
    leave(&v);
}
END_TEST

START_TEST(test_peek_bytes_after_the_head_are_kept_too)
{
    struct visitor v;

    come(&v, GW_PORT_HTTP);
    ck_assert_int_eq(say(&v, HEAD "body", strlen(HEAD) + 4), GW_VERDICT_HOST);
    ck_assert_uint_eq(v.peek.len, strlen(HEAD) + 4);
    leave(&v);
}
END_TEST

START_TEST(test_peek_nothing_there_yet_wants_more)
{
    struct visitor v;

    come(&v, GW_PORT_HTTP);
    ck_assert_ptr_null(v.peek.data);
    ck_assert_int_eq(gw_peek_read(&v.peek, v.fds[1]), GW_VERDICT_MORE);
    ck_assert_uint_eq(v.peek.len, 0);
    leave(&v);
}
END_TEST

START_TEST(test_peek_an_end_before_the_answer_is_gone)
{
    struct visitor v;

    come(&v, _i == 0 ? GW_PORT_HTTP : GW_PORT_TLS);
    ck_assert_int_eq(say(&v, _i == 0 ? "GET" : "\x16\x03\x01", 3), GW_VERDICT_MORE);
    ck_assert_int_eq(shutdown(v.fds[0], SHUT_WR), 0);
    ck_assert_int_eq(gw_peek_read(&v.peek, v.fds[1]), GW_VERDICT_GONE);
    leave(&v);
}
END_TEST

/* A head of LEN bytes. */
static char *make_head(size_t len)
{
    static const char start[] = "GET / HTTP/1.1\r\nHost: a.example\r\nX: ";
    char *head = malloc(len);

    ck_assert_ptr_nonnull(head);
    memset(head, 'x', len);
    memcpy(head, start, sizeof(start) - 1);
    memcpy(head + len - 4, "\r\n\r\n", 4);
    return head;
}

/* Say LEN bytes of DATA in pieces that a socket takes; the first verdict that is not MORE. */
static enum gw_verdict say_all(struct visitor *v, const char *data, size_t len)
{
    enum gw_verdict verdict = GW_VERDICT_MORE;

    for (size_t at = 0; at < len && verdict == GW_VERDICT_MORE;) {
        size_t n = len - at < 1000 ? len - at : 1000;

        verdict = say(v, data + at, n);
        at += n;
    }
    while (verdict == GW_VERDICT_MORE && recv(v->fds[1], &(char){0}, 1, MSG_PEEK) == 1)
        verdict = gw_peek_read(&v->peek, v->fds[1]);
    return verdict;
}

START_TEST(test_peek_a_head_may_be_as_long_as_the_limit_and_not_longer)
{
    struct visitor v;
    size_t len;
    char *head;

    come(&v, GW_PORT_HTTP);
    len = v.limits.head_max_bytes - 1 + (size_t)_i;
    head = make_head(len);
    if (_i < 2) {
        ck_assert_int_eq(say_all(&v, head, len), GW_VERDICT_HOST);
        ck_assert_uint_eq(v.peek.len, len);
    } else {
        ck_assert_int_eq(say_all(&v, head, len), GW_VERDICT_REFUSE);
        ck_assert_int_eq(v.peek.reason, GW_REASON_MALFORMED);
        ck_assert_int_eq(v.peek.status, 431);
    }
    free(head);
    leave(&v);
}
END_TEST

START_TEST(test_peek_a_malformed_head_says_which_status)
{
    struct visitor v;

    come(&v, GW_PORT_HTTP);
    ck_assert_int_eq(say(&v, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 33), GW_VERDICT_REFUSE);
    ck_assert_int_eq(v.peek.reason, GW_REASON_MALFORMED);
    ck_assert_int_eq(v.peek.status, 405);
    ck_assert_ptr_nonnull(v.peek.why);
    leave(&v);
}
END_TEST

START_TEST(test_peek_an_ip_literal_is_no_name)
{
    struct visitor v;

    come(&v, GW_PORT_HTTP);
    ck_assert_int_eq(say(&v, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 35), GW_VERDICT_REFUSE);
    ck_assert_int_eq(v.peek.reason, GW_REASON_NO_NAME);
    leave(&v);
}
END_TEST

START_TEST(test_peek_what_is_not_tls_is_known_from_its_first_byte)
{
    struct visitor v;

    come(&v, GW_PORT_TLS);
    ck_assert_int_eq(say(&v, "G", 1), GW_VERDICT_REFUSE);
    ck_assert_int_eq(v.peek.reason, GW_REASON_NOT_TLS);
    ck_assert_uint_eq(v.peek.alert, 0);
    leave(&v);
}
END_TEST

START_TEST(test_peek_a_tunnel_is_known_from_its_first_byte_only_where_it_may_be)
{
    uint8_t first = TUN_MAGIC_FIRST;
    struct visitor v;

    come(&v, GW_PORT_TLS);
    v.peek.allow_tunnel = _i == 1;
    ck_assert_int_eq(say(&v, &first, 1), _i == 1 ? GW_VERDICT_TUNNEL : GW_VERDICT_REFUSE);
    if (_i == 1)
        ck_assert_uint_eq(v.peek.len, 1);
    leave(&v);
}
END_TEST

START_TEST(test_peek_head_method_and_path_prefix_are_told_apart)
{
    struct visitor v;

    come(&v, GW_PORT_HTTP);
    ck_assert(!gw_peek_is_head(&v.peek));
    ck_assert_int_eq(say(&v, "HEAD http://a.example/x/y HTTP/1.1\r\nHost: a.example\r\n\r\n", 55),
                     GW_VERDICT_HOST);
    ck_assert(gw_peek_is_head(&v.peek));
    ck_assert(gw_peek_path_starts(&v.peek, "/x/"));
    ck_assert(!gw_peek_path_starts(&v.peek, "/x/y/"));
    ck_assert(!gw_peek_path_starts(&v.peek, "http"));
    leave(&v);
    come(&v, GW_PORT_HTTP);
    ck_assert_int_eq(say(&v, HEAD, strlen(HEAD)), GW_VERDICT_HOST);
    ck_assert(!gw_peek_is_head(&v.peek));
    leave(&v);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_peek");
    TCase *tc = tcase_create("peek");

    tcase_add_test(tc, test_peek_every_prefix_of_a_head_wants_more_and_all_bytes_are_kept);
    tcase_add_test(tc, test_peek_bytes_after_the_head_are_kept_too);
    tcase_add_test(tc, test_peek_nothing_there_yet_wants_more);
    tcase_add_loop_test(tc, test_peek_an_end_before_the_answer_is_gone, 0, 2);
    tcase_add_loop_test(tc, test_peek_a_head_may_be_as_long_as_the_limit_and_not_longer, 0, 3);
    tcase_add_test(tc, test_peek_a_malformed_head_says_which_status);
    tcase_add_test(tc, test_peek_an_ip_literal_is_no_name);
    tcase_add_test(tc, test_peek_what_is_not_tls_is_known_from_its_first_byte);
    tcase_add_loop_test(tc, test_peek_a_tunnel_is_known_from_its_first_byte_only_where_it_may_be, 0,
                        2);
    tcase_add_test(tc, test_peek_head_method_and_path_prefix_are_told_apart);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
