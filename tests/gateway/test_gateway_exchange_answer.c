/* SPDX-License-Identifier: Apache-2.0 */
/* What a service says, and what of it the visitor gets. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "modules/gateway/conn_impl.h"
#include "modules/gateway/exchange_impl.h"
#include "tests/gateway/hall.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define GET "GET / HTTP/1.1\r\nHost: " HALL_HOST "\r\n\r\n"
#define GET_1_0 "GET / HTTP/1.0\r\nHost: " HALL_HOST "\r\n\r\n"
#define LONG (8u << 20)

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

/* A visitor whose request is with the service. */
static int ask(const char *request)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request);

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    return fd;
}

static const struct {
    const char *request, *answer, *want, *never;
    bool hangs_up; /* the service, after it */
    bool ends;     /* the visitor's connection, after it */
} answers[] = {
    {GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "Content-Length: 2\r\n", "chunked", 0,
     0},
    {GET, "HTTP/1.0 200\r\nKeep-Alive: 5\r\n\r\nuntil the end",
     "\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n", "Keep-Alive", true, false},
    {"GET / HTTP/1.1\r\nHost: " HALL_HOST "\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n\r\nuntil the end", "\r\n\r\nuntil the end", "chunked", true, true},
    {"GET / HTTP/1.0\r\nHost: " HALL_HOST "\r\nConnection: keep-alive\r\n\r\n",
     "HTTP/1.1 200 OK\r\n\r\nuntil the end", "\r\n\r\nuntil the end", "chunked", true, true},
    {GET_1_0,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nA: "
     "b\r\n\r\n",
     "\r\n\r\nabc", "chunked", false, true},
    {GET,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nA: "
     "b\r\n\r\n",
     "\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "A: b", false, false},
    {"HEAD / HTTP/1.1\r\nHost: " HALL_HOST "\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "Content-Length: 9\r\n", "chunked", false,
     false},
    {GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 304 ", "chunked",
     false, false},
    {GET, "HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "Link: a\r\n",
     "502", 0, 0},
    {GET_1_0, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
     "\r\n\r\nx", "Continue", false, true},
    {"GET / HTTP/1.1\r\nHost: " HALL_HOST "\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "Connection: close\r\n", "Upgrade", false,
     true},
    {GET, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", "\r\n\r\nx",
     "Connection: close", false, false},
};

START_TEST(test_answer_goes_on_as_its_framing_says)
{
    int fd = ask(answers[_i].request);
    const char *got;

    hall_answer(&hall, 0, answers[_i].answer);
    if (answers[_i].hangs_up)
        hall_finish(&hall, 0);
    got = hall_get(&hall, fd, answers[_i].want);
    ck_assert_ptr_null(strstr(got, answers[_i].never));
    if (answers[_i].ends)
        LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    else
        ck_assert(!hall_is_ended(fd));
    close(fd);
}
END_TEST

START_TEST(test_answer_without_a_date_gets_one)
{
    int fd = ask(GET);
    const char *heard, *date;

    hall_answer(&hall, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    heard = hall_get(&hall, fd, "\r\n\r\nok");
    date = strstr(heard, "\r\nDate: ");
    ck_assert_ptr_nonnull(date);
    ck_assert_int_eq(strncmp(date + 8 + HTTP_DATE_LEN - 4, " GMT\r\n", 6), 0);
    close(fd);
}
END_TEST

START_TEST(test_answer_byte_by_byte_is_the_same)
{
    int fd = ask(answers[_i].request);
    const char *got;

    for (const char *at = answers[_i].answer; *at != '\0'; at++) {
        char one[2] = {*at, '\0'};

        hall_answer(&hall, 0, one);
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    }
    if (answers[_i].hangs_up)
        hall_finish(&hall, 0);
    /* chunks may be cut otherwise */
    got = hall_get(&hall, fd,
                   strstr(answers[_i].want, "\r\n0\r\n") != NULL ? "\r\n0\r\n\r\n"
                                                                 : answers[_i].want);
    ck_assert_ptr_null(strstr(got, answers[_i].never));
    close(fd);
}
END_TEST

static const char *const bad[] = {
    "HTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
};

START_TEST(test_answer_that_is_none_is_a_502_and_nothing_of_it_goes_on)
{
    int fd = ask(GET);
    const char *got;

    hall_answer(&hall, 0, bad[_i]);
    got = hall_get(&hall, fd, "</html>");
    ck_assert_int_eq(strncmp(got, "HTTP/1.1 502 ", 13), 0);
    ck_assert_ptr_nonnull(strstr(got, "Proxy-Status: netwall; error=http_protocol_error\r\n"));
    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    ck_assert_uint_eq(hall.site->active, 0);
    close(fd);
}
END_TEST

static const char *const cut[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n!\r\n",
};

START_TEST(test_answer_cut_in_the_middle_resets_the_visitor)
{
    int fd = ask(GET);

    hall_answer(&hall, 0, cut[_i]);
    hall_get(&hall, fd, "abc");
    if (_i < 2)
        hall_finish(&hall, 0);
    LOOP_UNTIL(hall.seat.loop, hall_is_reset(fd));
    close(fd);
}
END_TEST

START_TEST(test_answer_says_more_than_its_length_and_the_next_one_is_not_touched)
{
    int fd = ask(GET);
    const char *got;

    hall_answer(&hall, 0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 Evil\r\n\r\n");
    got = hall_get(&hall, fd, "\r\n\r\nx");
    ck_assert_ptr_null(strstr(got, "Evil"));
    hall_say(fd, GET);
    hall_accept(&hall, 1); /* another stream */
    hall_answer(&hall, 1, "HTTP/1.1 204 No Content\r\n\r\n");
    ck_assert_int_eq(hall_status(&hall, fd), 204);
    close(fd);
}
END_TEST

START_TEST(test_answer_before_the_request_is_complete_is_the_last_one)
{
    int fd = ask("POST / HTTP/1.1\r\nHost: " HALL_HOST "\r\nContent-Length: 10\r\n\r\nab");

    hall_answer(&hall, 0, "HTTP/1.1 413 No\r\nContent-Length: 1\r\n\r\nx");
    ck_assert_ptr_nonnull(strstr(hall_get(&hall, fd, "\r\n\r\nx"), "Connection: close\r\n"));
    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    close(fd);
}
END_TEST

static const char *const halves[] = {
    "H",
    "HTTP/1.1 10",
    "HTTP/1.1 103 Early Hints\r\nLink: <",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n",
};

START_TEST(test_answer_that_dies_within_an_interim_one_is_a_502_and_the_half_does_not_go_on)
{
    int fd = ask(GET);
    const char *got;

    hall_answer(&hall, 0, halves[_i]);
    for (int i = 0; i < 20; i++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    hall_finish(&hall, 0);
    got = hall_get(&hall, fd, "</html>");
    if (_i == 3) {
        ck_assert_int_eq(strncmp(got, "HTTP/1.1 103 ", 13), 0);
        got = strstr(got, "\r\n\r\n") + 4;
    }
    ck_assert_int_eq(strncmp(got, "HTTP/1.1 502 ", 13), 0);
    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    close(fd);
}
END_TEST

/* The heads that came to FD until it ended: all whole, the last one with CODE. */
static void check_heads(int fd, const char *code)
{
    static char got[4u << 20];
    size_t len = 0;
    char *at = got, *end;
    ssize_t n = -1;

    while (n != 0) {
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
        n = recv(fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT);
        len += n > 0 ? (size_t)n : 0;
        ck_assert(n >= 0 || errno == EAGAIN);
    }
    got[len] = '\0';
    while (strncmp(at, "HTTP/1.1 103 ", 13) == 0 && (end = strstr(at, "\r\n\r\n")) != NULL) {
        ck_assert(memmem(at + 1, (size_t)(end - at), "HTTP/1.1 ", 9) == NULL);
        at = end + 4;
    }
    ck_assert_int_eq(strncmp(at + 9, code, 3), 0);
}

START_TEST(test_answer_of_our_own_stands_behind_the_whole_of_an_interim_one)
{
    static char early[30001];
    struct gw_conn *conn;
    int fd = ask(GET), small = 1;

    conn = LIST_FIRST(&hall.front.conns);
    ck_assert_int_eq(setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    (void)snprintf(early, sizeof(early), "HTTP/1.1 103 Early\r\nLink: %029950d\r\n\r\n", 0);
    for (int i = 0; i < 15 && gw_bytes_left(&conn->exchange->down) == 0; i++) {
        hall_answer(&hall, 0, early);
        for (int turn = 0; turn < 30; turn++)
            ev_run(hall.seat.loop, EVRUN_NOWAIT);
    }
    ck_assert_uint_gt(gw_bytes_left(&conn->exchange->down), 0);
    hall_finish(&hall, 0);
    for (int turn = 0; turn < 30; turn++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    check_heads(fd, "502");
    close(fd);
}
END_TEST

static const struct {
    const char *asked, *answered;
    int status;
} switches[] = {
    {"chat", "chat", 101},        {"websocket", "WebSocket", 101},
    {"a, chat/2", "chat/2", 101}, {"chat", "tea", 502},
    {"chat", "chat, tea", 502},   {"chat/2", "chat", 502},
    {"h2c, chat", "h2c", 502},    {"chat", "", 502},
    {"chat", "HTTP/2.0", 502},    {"h2c", "h2c", 502}, /* it was not asked: nothing of this is */
};

START_TEST(test_answer_that_switches_to_what_nobody_asked_for_is_a_502)
{
    char text[256];
    int fd;

    (void)snprintf(text, sizeof(text),
                   "GET / HTTP/1.1\r\nHost: " HALL_HOST "\r\nX: \tUpgrade: tea\r\n"
                   "Connection: upgrade\r\nUpgrade: %s\r\n\r\n",
                   switches[_i].asked);
    fd = ask(text);
    (void)snprintf(text, sizeof(text),
                   "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n",
                   switches[_i].answered);
    hall_answer(&hall, 0, text);
    ck_assert_int_eq(hall_status(&hall, fd), switches[_i].status);
    close(fd);
}
END_TEST

START_TEST(test_answer_426_says_what_to_upgrade_to)
{
    int fd = ask(GET);

    hall_answer(&hall, 0,
                "HTTP/1.1 426 Upgrade Required\r\nUpgrade: chat\r\nConnection: Upgrade\r\n"
                "Content-Length: 2\r\n\r\nno");
    ck_assert_ptr_nonnull(
        strstr(hall_get(&hall, fd, "\r\n\r\nno"), "\r\nConnection: upgrade\r\nUpgrade: chat\r\n"));
    ck_assert(!hall_is_ended(fd));
    close(fd);
}
END_TEST

/* What came to the visitor since; whether that is LEN bytes. */
static bool has_read(int fd, size_t *len, size_t want)
{
    char piece[65536];
    ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);

    *len += n > 0 ? (size_t)n : 0;
    return *len >= want;
}

/* Write what the stream takes of LONG bytes. */
static void pour(size_t *at)
{
    static char body[65536];
    size_t n = LONG - *at < sizeof(body) ? LONG - *at : sizeof(body);

    *at += tun_stream_write(hall.connector.streams[0], body, n);
    link_session_touch(hall.connector.session);
}

START_TEST(test_answer_to_a_slow_reader_waits_with_the_service)
{
    bool chunked = _i == 1;
    size_t at = 0, before, len = 0;
    int fd = ask(GET);

    hall_answer(&hall, 0,
                chunked ? "HTTP/1.0 200 OK\r\n\r\n"
                        : "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    do { /* the visitor reads nothing */
        before = at;
        for (int i = 0; i < 100; i++) {
            pour(&at);
            ev_run(hall.seat.loop, EVRUN_NOWAIT);
        }
    } while (at > before);
    ck_assert_uint_lt(at, LONG);
    while (at < LONG) { /* now it does */
        pour(&at);
        (void)has_read(fd, &len, LONG);
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    }
    LOOP_UNTIL(hall.seat.loop, has_read(fd, &len, LONG));
    close(fd);
}
END_TEST

/* The service says PIECE until some of it waits for the visitor, who reads nothing. */
static void fill(const char *piece)
{
    uint64_t before;

    do {
        before = hall.site->tx_bytes;
        hall_answer(&hall, 0, piece);
        for (int i = 0; i < 30; i++)
            ev_run(hall.seat.loop, EVRUN_NOWAIT);
    } while (hall.site->tx_bytes >= before + strlen(piece));
}

START_TEST(test_answer_its_last_chunk_comes_last)
{
    static char got[4096 + 1], piece[8000 + 1]; /* one frame */
    char last[8] = {0};
    size_t ends = 0, len = 0;
    ev_io *wr;
    ssize_t n;
    int fd = ask(GET);

    hall_answer(&hall, 0, "HTTP/1.0 200 OK\r\n\r\n");
    memset(piece, 'x', sizeof(piece) - 1);
    fill(piece);
    wr = &LIST_FIRST(&hall.front.conns)->exchange->wr;
    ck_assert(ev_is_active(wr));
    ev_io_stop(hall.seat.loop, wr); /* there is place again, but it hears of the end first */
    while (recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT) > 0)
        continue;
    hall_finish(&hall, 0);
    for (int i = 0; i < 30; i++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    ev_io_start(hall.seat.loop, wr);
    while (ends == 0 || len > 0) {
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
        n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
        len = n > 0 ? (size_t)n : 0;
        got[len] = '\0';
        if (len > 0) {
            ck_assert_uint_eq(ends, 0);
            ends += strstr(got, "0\r\n\r\n") != NULL;
            memcpy(last, got + (len > 5 ? len - 5 : 0), len > 5 ? 5 : len);
        }
    }
    ck_assert_str_eq(last, "0\r\n\r\n");
    close(fd);
}
END_TEST

START_TEST(test_answer_whose_end_nobody_reads_has_its_time_though_the_service_left)
{
    static char answer[60000];
    uint64_t before = 0;
    int fd, n;

    n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ");
    memset(answer + n, 'x', sizeof(answer) - 5 - (size_t)n);
    strcpy(answer + sizeof(answer) - 5, "\r\n\r\n");
    hall.seat.limits.idle_timeout_ms = 500;
    fd = ask(GET);
    hall_answer(&hall, 0, answer);
    LOOP_UNTIL(hall.seat.loop, hall.site->tx_bytes > 0);
    while (hall.site->tx_bytes > before + sizeof(answer) - 1000) {
        before = hall.site->tx_bytes; /* the visitor asks on and on, and reads nothing */
        hall_forget(&hall, 0);
        hall_say(fd, GET);
        hall_heard(&hall, 0, "\r\n\r\n");
        hall_answer(&hall, 0, answer);
        for (int i = 0; i < 30; i++)
            ev_run(hall.seat.loop, EVRUN_NOWAIT);
    }
    hall_cut(&hall, 0);
    LOOP_UNTIL(hall.seat.loop, hall.site->active == 0);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_exchange_answer");
    TCase *tc = tcase_create("answer");
    int count = (int)(sizeof(answers) / sizeof(answers[0]));

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_loop_test(tc, test_answer_goes_on_as_its_framing_says, 0, count);
    tcase_add_test(tc, test_answer_without_a_date_gets_one);
    tcase_add_loop_test(tc, test_answer_byte_by_byte_is_the_same, 0, count);
    tcase_add_loop_test(tc, test_answer_that_is_none_is_a_502_and_nothing_of_it_goes_on, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_loop_test(
        tc, test_answer_that_dies_within_an_interim_one_is_a_502_and_the_half_does_not_go_on, 0,
        sizeof(halves) / sizeof(halves[0]));
    tcase_add_test(tc, test_answer_of_our_own_stands_behind_the_whole_of_an_interim_one);
    tcase_add_loop_test(tc, test_answer_that_switches_to_what_nobody_asked_for_is_a_502, 0,
                        sizeof(switches) / sizeof(switches[0]));
    tcase_add_test(tc, test_answer_426_says_what_to_upgrade_to);
    tcase_add_loop_test(tc, test_answer_cut_in_the_middle_resets_the_visitor, 0,
                        sizeof(cut) / sizeof(cut[0]));
    tcase_add_test(tc, test_answer_says_more_than_its_length_and_the_next_one_is_not_touched);
    tcase_add_test(tc, test_answer_before_the_request_is_complete_is_the_last_one);
    tcase_add_loop_test(tc, test_answer_to_a_slow_reader_waits_with_the_service, 0, 2);
    tcase_add_test(tc, test_answer_its_last_chunk_comes_last);
    tcase_add_test(tc, test_answer_whose_end_nobody_reads_has_its_time_though_the_service_left);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
