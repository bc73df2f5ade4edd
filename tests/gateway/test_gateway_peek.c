/* SPDX-License-Identifier: Apache-2.0 */
/* First bytes off a socket: what is kept, when the host is known, and what ends the reading. */
#include "modules/gateway/peek.h"

#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "modules/tunnel/handshake.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

struct visitor {
    struct gw_limits limits;
    struct gw_peek peek;
    int fds[2]; /* the visitor's, ours */
};

static void come(struct visitor *v)
{
    struct gw_config config;

    gw_config_default(&config);
    v->limits = config.limits;
    gw_peek_init(&v->peek, &v->limits);
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

START_TEST(test_peek_every_prefix_of_a_hello_wants_more_and_all_bytes_are_kept)
{
    uint8_t hello[2048];
    size_t len = rig_hello(hello, sizeof(hello));
    struct visitor v;

    come(&v);
    for (size_t i = 0; i + 1 < len; i++)
        ck_assert_int_eq(say(&v, &hello[i], 1), GW_VERDICT_MORE);
    ck_assert_int_eq(say(&v, &hello[len - 1], 1), GW_VERDICT_HOST);
    ck_assert_str_eq(v.peek.host, "blog.gw.example");
    ck_assert_uint_eq(v.peek.len, len);
    ck_assert_mem_eq(v.peek.data, hello, len);
    leave(&v);
}
END_TEST

START_TEST(test_peek_bytes_after_the_hello_are_kept_too)
{
    uint8_t hello[2048];
    size_t len = rig_hello(hello, sizeof(hello) - 4);
    struct visitor v;

    come(&v);
    memcpy(hello + len, "more", 4);
    ck_assert_int_eq(say(&v, hello, len + 4), GW_VERDICT_HOST);
    ck_assert_uint_eq(v.peek.len, len + 4);
    leave(&v);
}
END_TEST

START_TEST(test_peek_nothing_there_yet_wants_more)
{
    struct visitor v;

    come(&v);
    ck_assert_ptr_null(v.peek.data);
    ck_assert_int_eq(gw_peek_read(&v.peek, v.fds[1]), GW_VERDICT_MORE);
    ck_assert_uint_eq(v.peek.len, 0);
    leave(&v);
}
END_TEST

START_TEST(test_peek_an_end_before_the_answer_is_gone)
{
    struct visitor v;

    come(&v);
    ck_assert_int_eq(say(&v, "\x16\x03\x01", 3), GW_VERDICT_MORE);
    ck_assert_int_eq(shutdown(v.fds[0], SHUT_WR), 0);
    ck_assert_int_eq(gw_peek_read(&v.peek, v.fds[1]), GW_VERDICT_GONE);
    leave(&v);
}
END_TEST

START_TEST(test_peek_what_is_not_tls_is_known_from_its_first_byte)
{
    struct visitor v;

    come(&v);
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

    come(&v);
    v.peek.allow_tunnel = _i == 1;
    ck_assert_int_eq(say(&v, &first, 1), _i == 1 ? GW_VERDICT_TUNNEL : GW_VERDICT_REFUSE);
    if (_i == 1)
        ck_assert_uint_eq(v.peek.len, 1);
    leave(&v);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_peek");
    TCase *tc = tcase_create("peek");

    tcase_add_test(tc, test_peek_every_prefix_of_a_hello_wants_more_and_all_bytes_are_kept);
    tcase_add_test(tc, test_peek_bytes_after_the_hello_are_kept_too);
    tcase_add_test(tc, test_peek_nothing_there_yet_wants_more);
    tcase_add_test(tc, test_peek_an_end_before_the_answer_is_gone);
    tcase_add_test(tc, test_peek_what_is_not_tls_is_known_from_its_first_byte);
    tcase_add_loop_test(tc, test_peek_a_tunnel_is_known_from_its_first_byte_only_where_it_may_be, 0,
                        2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
