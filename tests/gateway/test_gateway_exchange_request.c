/* SPDX-License-Identifier: Apache-2.0 */
/* What a visitor says, and what of it the service gets. */
#include <arpa/inet.h>
#include <check.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/conn_impl.h"
#include "modules/gateway/exchange_impl.h"
#include "modules/net/sock.h"
#include "tests/gateway/hall.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

#define HOST "Host: " HALL_HOST "\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct hall hall;

static void setup(void)
{
    hall_setup(&hall);
    hall_join(&hall);
}

static void teardown(void)
{
    hall_teardown(&hall);
}

START_TEST(test_request_reaches_the_service_in_our_words)
{
    int fd = hall_come(&hall, GW_PORT_HTTP,
                       "GET http://BLOG.example/a?b HTTP/1.1\r\nHost: Blog.Example.\r\n"
                       "X-Forwarded-For: 6.6.6.6\r\nConnection: x-evil\r\nX-Evil: 1\r\n\r\n");
    const char *heard;

    hall_accept(&hall, 0);
    heard = hall_heard(&hall, 0, "\r\n\r\n");
    ck_assert_int_eq(strncmp(heard, "GET /a?b HTTP/1.1\r\n", 19), 0);
    ck_assert_ptr_nonnull(strstr(heard, "\r\nHost: blog.example\r\n"));
    ck_assert_ptr_nonnull(strstr(heard, "\r\nX-Forwarded-For: 192.0.2.7\r\n"));
    ck_assert_ptr_nonnull(strstr(heard, "\r\nX-Request-Id: "));
    ck_assert_ptr_nonnull(strstr(heard, "\r\nVia: 1.1 netwall\r\n"));
    ck_assert_ptr_null(strstr(heard, "6.6.6.6"));
    ck_assert_ptr_null(strcasestr(heard, "evil"));
    close(fd);
}
END_TEST

static const struct {
    const char *text;
    bool closes; /* the service */
} visits[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", false},
    {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false}, /* others may */
    {"GET / HTTP/1.0\r\n" HOST "\r\n", false},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", false},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nConnection: close\r\n\r\n", true},
    {"GET / HTTP/1.1\r\n" HOST "Authorization: x\r\nConnection: close\r\n\r\n", true},
    {"HEAD / HTTP/1.0\r\n" HOST "\r\n", true},
    {"HEAD / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n", false},
};

START_TEST(test_service_hears_that_no_request_follows)
{
    const char *heard;

    (void)hall_come(&hall, GW_PORT_HTTP, visits[_i].text);
    hall_accept(&hall, 0);
    heard = hall_heard(&hall, 0, "\r\n\r\n");
    ck_assert_int_eq(strstr(heard, "\r\nConnection: close\r\n") != NULL, visits[_i].closes);
    ck_assert_ptr_null(strstr(heard, "keep-alive"));
}
END_TEST

/* Whether there is an answer at FD, with *STATUS. */
static bool has_status(int fd, int *status)
{
    char text[13] = {0};

    if (recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) < 12)
        return false;
    *status = atoi(text + 9);
    return true;
}

/* The service is a gateway too, whose service is this one again. */
START_TEST(test_request_that_goes_in_a_circle_does_so_only_so_often)
{
    char via[1024] = "", text[2048];
    unsigned turns = 0;
    const char *heard;
    int fd, status = 0;

    hall.seat.limits.idle_timeout_ms = 20000;
    while (status == 0 && turns < 20) {
        (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "%s\r\n", via);
        fd = hall_come(&hall, GW_PORT_HTTP, text);
        LOOP_UNTIL(hall.seat.loop, hall.connector.opens > 0 || has_status(fd, &status));
        if (status == 0) {
            hall_accept(&hall, 0);
            heard = strstr(hall_heard(&hall, 0, "\r\n\r\n"), "\r\nVia: ");
            (void)snprintf(via + strlen(via), sizeof(via) - strlen(via), "Via: 1.1 netwall\r\n");
            ck_assert_ptr_nonnull(heard);
            turns++;
            hall.connector.opens = 0;
            hall_forget(&hall, 0);
        }
        net_sock_reset(fd);
        LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
    }
    ck_assert_int_eq(status, 502);
    ck_assert_uint_eq(turns, HTTP_PASSES_MAX + 1);
    ck_assert_uint_eq(hall.seat.refused.count[GW_REASON_LOOP], 1);
}
END_TEST

START_TEST(test_request_byte_by_byte_is_the_same)
{
    static const char text[] = "POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
    int fd = hall_come(&hall, GW_PORT_HTTP, "");
    const char *heard;
    bool accepted = false;

    for (const char *at = text; *at != '\0'; at++) {
        char one[2] = {*at, '\0'};

        hall_say(fd, one);
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
        if (!accepted && hall.connector.opens == 1) {
            hall_accept(&hall, 0);
            accepted = true;
        }
    }
    if (!accepted)
        hall_accept(&hall, 0);
    heard = hall_heard(&hall, 0, "0\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(heard, "\r\nTransfer-Encoding: chunked\r\n"));
    ck_assert_ptr_null(strstr(heard, "ext"));
    ck_assert_ptr_null(strstr(heard, "railer"));
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    close(fd);
}
END_TEST

static const struct {
    const char *text;
    int status;
} refused[] = {
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", 400},
    {"GET / HTTP/1.1\n" HOST "\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501},
    {"CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 405},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", 404},
    {"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n", 404},
};

START_TEST(test_request_that_is_none_is_refused_and_the_service_hears_nothing)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, refused[_i].text);

    ck_assert_int_eq(hall_status(&hall, fd), refused[_i].status);
    ck_assert_uint_eq(hall.connector.opens, 0);
    close(fd);
}
END_TEST

START_TEST(test_request_that_is_a_bad_head_gets_no_page)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, "HEAD / HTTP/1.1\r\n" HOST "Content-Length: x\r\n\r\n");
    const char *answer = hall_get(&hall, fd, "\r\n\r\n");

    ck_assert_int_eq(strncmp(answer, "HTTP/1.1 400 ", 13), 0);
    ck_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    close(fd);
}
END_TEST

START_TEST(test_request_with_a_bad_chunk_later_ends_both_sides)
{
    int fd = hall_come(&hall, GW_PORT_HTTP,
                       "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n");

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "1\r\na\r\n");
    hall_say(fd, "zz\r\n");
    ck_assert_int_eq(hall_status(&hall, fd), 400);
    LOOP_UNTIL(hall.seat.loop, hall.connector.reset);
    close(fd);
}
END_TEST

START_TEST(test_requests_in_one_piece_are_answered_in_order)
{
    int fd = hall_come(&hall, GW_PORT_HTTP,
                       "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST
                       "\r\nPOST /3 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");

    hall_accept(&hall, 0);
    ck_assert_ptr_null(strstr(hall_heard(&hall, 0, "GET /1 "), "/2"));
    hall_answer(&hall, 0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    ck_assert_ptr_null(strstr(hall_heard(&hall, 0, "GET /2 "), "/3"));
    hall_answer(&hall, 0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    hall_heard(&hall, 0, "\r\n\r\nabc");
    hall_answer(&hall, 0, "HTTP/1.1 204 No Content\r\n\r\n");
    hall_get(&hall, fd, "HTTP/1.1 204 ");
    ck_assert_uint_eq(hall.connector.opens, 1); /* all of them on one stream */
    close(fd);
}
END_TEST

START_TEST(test_request_body_comes_with_its_head)
{
    int fd =
        hall_come(&hall, GW_PORT_HTTP, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    size_t early;

    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 1);
    for (int i = 0; i < 10; i++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    early = tun_stream_waiting(hall.connector.streams[0]); /* it was not accepted yet */
    hall_accept(&hall, 0);
    ck_assert_uint_eq(strlen(hall_heard(&hall, 0, "\r\n\r\nhello")), early);
    close(fd);
}
END_TEST

/* The site has a backend that the gateway dials itself. Returns the listener. */
static int be_direct(void)
{
    struct gw_backend *backend = &hall.site->exposure->backends[0];
    struct sockaddr_in sin;
    int listener = tcp_listen(&sin);

    gw_registry_unbind(hall.seat.registry, hall.site, hall.site->exposure);
    memset(backend, 0, sizeof(*backend));
    ck_assert_int_eq(addr_from_ip(&backend->addr, "127.0.0.1", ntohs(sin.sin_port)), ERR_OK);
    return listener;
}

/* What came to the service at FD; whether that ends with WANT now. */
static bool has_heard(int fd, char heard[65536], const char *want)
{
    size_t len = strlen(heard);
    ssize_t n = recv(fd, heard + len, 65535 - len, MSG_DONTWAIT);

    len += n > 0 ? (size_t)n : 0;
    heard[len] = '\0';
    return len >= strlen(want) && strcmp(heard + len - strlen(want), want) == 0;
}

static unsigned segments(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_data_segs_in;
}

#define CHUNKS 1000

START_TEST(test_request_in_small_chunks_is_written_by_the_turn_not_by_the_chunk)
{
    static char heard[65536], chunks[CHUNKS * 6 + 6];
    int listener = be_direct(), service, fd;
    unsigned before;

    fd = hall_come(&hall, GW_PORT_HTTP,
                   _i == 0 ? "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                           : "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    LOOP_UNTIL(hall.seat.loop, hall.site->active == 1);
    service = accept(listener, NULL, NULL);
    heard[0] = '\0';
    LOOP_UNTIL(hall.seat.loop, has_heard(service, heard, "\r\n\r\n"));
    before = segments(service);
    heard[0] = '\0';
    for (unsigned i = 0; i < CHUNKS; i++)
        memcpy(chunks + (size_t)6 * i, "1\r\nx\r\n", 6);
    memcpy(chunks + sizeof(chunks) - 6, "0\r\n\r\n", 6);
    hall_say(fd, chunks);
    LOOP_UNTIL(hall.seat.loop, has_heard(service, heard, "\r\n0\r\n\r\n"));
    ck_assert_str_eq(heard, chunks);
    ck_assert_uint_le(segments(service) - before, 8);
    close(fd);
    close(service);
    close(listener);
}
END_TEST

START_TEST(test_request_whose_visitor_ends_its_side_is_answered_and_the_service_hears_of_it)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, "GET / HTTP/1.1\r\n" HOST "\r\n");

    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    LOOP_UNTIL(hall.seat.loop, tun_stream_eof(hall.connector.streams[0]));
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    close(fd);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
}
END_TEST

START_TEST(test_request_that_stops_in_the_middle_is_gone_with_its_visitor)
{
    int fd =
        hall_come(&hall, GW_PORT_HTTP,
                  _i == 0 ? "GET / HTT" : "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab");

    if (_i == 1)
        hall_accept(&hall, 0);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
    if (_i == 1)
        LOOP_UNTIL(hall.seat.loop, hall.connector.reset);
    close(fd);
}
END_TEST

START_TEST(test_request_early_bytes_of_an_upgrade_wait_for_the_101)
{
    int fd =
        hall_come(&hall, GW_PORT_HTTP,
                  "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: chat\r\n\r\nearly");

    hall_accept(&hall, 0);
    ck_assert_ptr_nonnull(strcasestr(hall_heard(&hall, 0, "\r\n\r\n"), "\r\nUpgrade: chat\r\n"));
    for (int i = 0; i < 20; i++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    ck_assert_ptr_null(strstr(hall_heard(&hall, 0, ""), "early"));
    hall_answer(&hall, 0,
                "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n\x01 first");
    hall_get(&hall, fd, "\r\n\r\n\x01 first");
    hall_heard(&hall, 0, "\r\n\r\nearly");
    hall_say(fd, "GET \x02");
    hall_heard(&hall, 0, "earlyGET \x02");
    close(fd);
}
END_TEST

START_TEST(test_request_upgrade_of_a_visitor_that_ended_its_side_ends_with_the_service)
{
    int fd = hall_come(&hall, GW_PORT_HTTP,
                       "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: chat\r\n\r\n");

    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nfirst");
    hall_get(&hall, fd, "\r\n\r\nfirst");
    LOOP_UNTIL(hall.seat.loop, tun_stream_eof(hall.connector.streams[0]));
    hall_finish(&hall, 0);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
    close(fd);
}
END_TEST

START_TEST(test_request_long_body_is_held_back_by_the_service)
{
    static char body[65536];
    size_t sent = 0, before;
    int fd = hall_come(&hall, GW_PORT_HTTP,
                       "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000000000\r\n\r\n");
    ssize_t n;

    hall_accept(&hall, 0);
    do { /* until nothing more is taken, though nobody reads the stream */
        before = sent;
        for (int i = 0; i < 50; i++) {
            n = send(fd, body, sizeof(body), MSG_NOSIGNAL | MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
            ev_run(hall.seat.loop, EVRUN_NOWAIT);
        }
    } while (sent > before);
    ck_assert_uint_lt(sent, 64u << 20);
    close(fd);
}
END_TEST

START_TEST(test_request_body_that_waits_survives_the_end_behind_it)
{
    static char text[30000];
    int n = snprintf(text, sizeof(text), "PUT / HTTP/1.1\r\n" HOST "Content-Length: 25000\r\n\r\n"),
        fd;

    memset(text + n, 'x', 24996);
    strcpy(text + n + 24996, _i == 0 ? "last" : "las");
    fd = hall_come(&hall, GW_PORT_HTTP, text);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 1);
    for (int i = 0; i < 20; i++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    ck_assert(!hall.connector.reset);
    tun_stream_accept(hall.connector.streams[0]); /* only now is there place for all of it */
    link_session_touch(hall.connector.session);
    if (_i == 1) {
        LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
    } else {
        hall_heard(&hall, 0, "last");
        hall_answer(&hall, 0, OK);
        hall_get(&hall, fd, "\r\n\r\nok");
    }
    close(fd);
}
END_TEST

START_TEST(test_request_whose_answer_overtook_its_end_leaves_no_half_of_it_to_the_next_one)
{
    int fd =
        hall_come(&hall, GW_PORT_HTTP, "PUT /1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "hello");
    /* as if the service had read only so far */
    LIST_FIRST(&hall.front.conns)->exchange->up.at -= 3;
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    hall_say(fd, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
    hall_accept(&hall, 1);
    ck_assert_ptr_null(strstr(hall_heard(&hall, 1, "\r\n\r\n"), "PUT"));
    hall_answer(&hall, 1, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_exchange_request");
    TCase *tc = tcase_create("request");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_request_reaches_the_service_in_our_words);
    tcase_add_loop_test(tc, test_service_hears_that_no_request_follows, 0,
                        sizeof(visits) / sizeof(visits[0]));
    tcase_add_test(tc, test_request_that_goes_in_a_circle_does_so_only_so_often);
    tcase_add_test(tc, test_request_byte_by_byte_is_the_same);
    tcase_add_loop_test(tc, test_request_that_is_none_is_refused_and_the_service_hears_nothing, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tc, test_request_that_is_a_bad_head_gets_no_page);
    tcase_add_test(tc, test_request_with_a_bad_chunk_later_ends_both_sides);
    tcase_add_test(tc, test_requests_in_one_piece_are_answered_in_order);
    tcase_add_test(tc, test_request_body_comes_with_its_head);
    tcase_add_loop_test(tc, test_request_in_small_chunks_is_written_by_the_turn_not_by_the_chunk, 0,
                        2);
    tcase_add_test(
        tc, test_request_whose_visitor_ends_its_side_is_answered_and_the_service_hears_of_it);
    tcase_add_loop_test(tc, test_request_that_stops_in_the_middle_is_gone_with_its_visitor, 0, 2);
    tcase_add_test(tc, test_request_early_bytes_of_an_upgrade_wait_for_the_101);
    tcase_add_test(tc, test_request_upgrade_of_a_visitor_that_ended_its_side_ends_with_the_service);
    tcase_add_test(tc, test_request_long_body_is_held_back_by_the_service);
    tcase_add_loop_test(tc, test_request_body_that_waits_survives_the_end_behind_it, 0, 2);
    tcase_add_test(tc,
                   test_request_whose_answer_overtook_its_end_leaves_no_half_of_it_to_the_next_one);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
