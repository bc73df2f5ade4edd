/* SPDX-License-Identifier: Apache-2.0 */
/* A PROXY header off a socket: no byte of the visitor is taken with it, however it is cut. */
#include "modules/gateway/preface.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/suite.h"

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n"
#define REQUEST "GET / HTTP/1.1\r\n"

struct balancer {
    struct gw_preface preface;
    int fds[2]; /* the balancer's, ours */
};

static void come(struct balancer *b)
{
    b->preface = (struct gw_preface){0};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b->fds), 0);
}

static void leave(struct balancer *b)
{
    close(b->fds[0]);
    close(b->fds[1]);
}

static enum gw_preface_verdict say(struct balancer *b, const void *data, size_t len)
{
    ck_assert_int_eq(send(b->fds[0], data, len, MSG_NOSIGNAL), (ssize_t)len);
    return gw_preface_read(&b->preface, b->fds[1]);
}

/* WANT is what is left on the socket. */
static void check_rest(struct balancer *b, const char *want)
{
    char got[256];
    ssize_t n = recv(b->fds[1], got, sizeof(got), 0);

    if (want[0] == '\0') {
        ck_assert(n < 0 && errno == EAGAIN);
        return;
    }
    ck_assert_int_eq(n, (ssize_t)strlen(want));
    ck_assert_mem_eq(got, want, strlen(want));
}

/* _i bytes come first; whoever waits for more must not be told that there is something to read. */
START_TEST(test_preface_beginning_is_taken_and_waited_for)
{
    const size_t cut = (size_t)_i;
    struct balancer b;

    come(&b);
    ck_assert_int_eq(say(&b, LINE, cut), GW_PREFACE_MORE);
    check_rest(&b, "");
    ck_assert_int_eq(gw_preface_read(&b.preface, b.fds[1]), GW_PREFACE_MORE);
    ck_assert_int_eq(say(&b, &(LINE REQUEST)[cut], strlen(LINE REQUEST) - cut), GW_PREFACE_DONE);
    ck_assert_uint_eq(b.preface.len, strlen(LINE));
    check_rest(&b, REQUEST);
    leave(&b);
}
END_TEST

START_TEST(test_preface_says_who_came)
{
    char visitor[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX];
    struct balancer b;

    come(&b);
    ck_assert_int_eq(say(&b, LINE, strlen(LINE)), GW_PREFACE_DONE);
    ck_assert(b.preface.head.has_addresses);
    addr_print(visitor, &b.preface.head.visitor);
    addr_print(local, &b.preface.head.local);
    ck_assert_str_eq(visitor, "192.0.2.1:4000");
    ck_assert_str_eq(local, "198.51.100.2:443");
    check_rest(&b, "");
    leave(&b);
}
END_TEST

START_TEST(test_preface_longest_header_comes_in_pieces)
{
    static uint8_t bytes[NET_PROXY_READ_MAX + 1] =
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xf0"
        "\xc0\x00\x02\x01\xc6\x33\x64\x02\x0f\xa0\x01\xbb\x04\x0f\xe1";
    struct balancer b;

    come(&b);
    for (size_t at = 0; at + 512 < NET_PROXY_READ_MAX; at += 512)
        ck_assert_int_eq(say(&b, bytes + at, 512), GW_PREFACE_MORE);
    ck_assert_int_eq(say(&b, bytes + NET_PROXY_READ_MAX - 512, 512), GW_PREFACE_DONE);
    check_rest(&b, "");
    leave(&b);
}
END_TEST

static const char *const wrong[] = {REQUEST, "\x16\x03\x01", "PROXY TCP4 \r\n", "\xc5",
                                    "PROXY UNKNOWN\n"};

START_TEST(test_preface_refuses_what_is_no_header)
{
    struct balancer b;

    come(&b);
    ck_assert_int_eq(say(&b, wrong[_i], strlen(wrong[_i])), GW_PREFACE_BAD);
    ck_assert_ptr_nonnull(b.preface.head.why);
    leave(&b);
}
END_TEST

/* _i bytes of the header, then the end. */
START_TEST(test_preface_end_in_the_header_is_seen)
{
    struct balancer b;

    come(&b);
    if (_i > 0)
        ck_assert_int_eq(say(&b, LINE, (size_t)_i), GW_PREFACE_MORE);
    shutdown(b.fds[0], SHUT_WR);
    ck_assert_int_eq(gw_preface_read(&b.preface, b.fds[1]), GW_PREFACE_GONE);
    leave(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/preface");
    TCase *tc = tcase_create("read");
    const int line_len = (int)strlen(LINE);

    tcase_add_loop_test(tc, test_preface_beginning_is_taken_and_waited_for, 1, line_len);
    tcase_add_test(tc, test_preface_says_who_came);
    tcase_add_test(tc, test_preface_longest_header_comes_in_pieces);
    tcase_add_loop_test(tc, test_preface_refuses_what_is_no_header, 0, COUNT(wrong));
    tcase_add_loop_test(tc, test_preface_end_in_the_header_is_seen, 0, line_len);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
