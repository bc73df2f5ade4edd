/* SPDX-License-Identifier: Apache-2.0 */
/* Dialling: literals, localhost, names, failures, cancelling at each stage. */
#include "bus/dial.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/bus/loop.h"
#include "tests/support/suite.h"

static struct ev_loop *loop;
static int done, last_rc, last_fd;

static void on_dialled(void *arg, int rc, int fd)
{
    (void)arg;
    done++;
    last_rc = rc;
    last_fd = fd;
}

static void set_up(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    done = 0;
    last_fd = -1;
}

static void tear_down(void)
{
    if (last_fd >= 0)
        close(last_fd);
    ev_loop_destroy(loop);
}

/* A listener on 127.0.0.1; returns its fd and PORT. */
static int listen_v4(uint16_t *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *port = ntohs(in.sin_port);
    return fd;
}

static int option(int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    ck_assert_int_eq(getsockopt(last_fd, level, name, &value, &len), 0);
    return value;
}

static const char *const hosts[] = {"127.0.0.1", "localhost"};

START_TEST(test_dial_reaches_a_listener)
{
    struct bus_dial *dial = NULL;
    struct bus_url url = {0};
    int fd = listen_v4(&url.port);

    strcpy(url.host, hosts[_i]);
    ck_assert_int_eq(bus_dial_start(&dial, loop, &url, on_dialled, NULL), ERR_OK);
    ck_assert_int_eq(done, 0);
    LOOP_UNTIL(loop, done == 1);
    ck_assert_int_eq(last_rc, ERR_OK);
    ck_assert_int_ge(last_fd, 0);
    ck_assert_int_eq(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(option(IPPROTO_TCP, TCP_KEEPIDLE), 1); /* a replaced host is noticed at once */
    ck_assert_int_eq(option(IPPROTO_TCP, TCP_KEEPINTVL), 1);
    close(fd);
}
END_TEST

START_TEST(test_dial_says_why_it_failed)
{
    static const struct bus_url urls[] = {
        {.host = "127.0.0.1", .port = 1},
        {.host = "localhost", .port = 1},
        {.is_unix = true, .path = "/nonexistent/socket"},
        {.host = "name.invalid", .port = 1},
    };
    struct bus_dial *dial = NULL;

    ck_assert_int_eq(bus_dial_start(&dial, loop, &urls[_i], on_dialled, NULL), ERR_OK);
    ck_assert_int_eq(done, 0);
    LOOP_UNTIL(loop, done == 1);
    ck_assert_int_eq(last_rc, _i == 3 ? ERR_NOENT : ERR_SYS);
    ck_assert_int_eq(last_fd, -1);
}
END_TEST

START_TEST(test_dial_cancel_at_each_stage)
{
    struct bus_url url = {0};
    struct bus_dial *dial = NULL;
    int fd = listen_v4(&url.port);

    strcpy(url.host, _i < 2 ? "127.0.0.1" : "name.invalid");
    ck_assert_int_eq(bus_dial_start(&dial, loop, &url, on_dialled, NULL), ERR_OK);
    if (_i == 1)
        ev_run(loop, EVRUN_NOWAIT);
    if (done == 0)
        bus_dial_cancel(dial);
    loop_run_ms(loop, 20);
    ck_assert_int_le(done, 1);
    bus_dial_cancel(NULL);
    close(fd);
}
END_TEST

START_TEST(test_dial_knows_what_needs_no_look_up)
{
    struct bus_url url = {.is_unix = true};

    ck_assert(bus_dial_is_literal(&url));
    url.is_unix = false;
    strcpy(url.host, "::1");
    ck_assert(bus_dial_is_literal(&url));
    strcpy(url.host, "localhost"); /* two addresses */
    ck_assert(!bus_dial_is_literal(&url));
    strcpy(url.host, "bus.example.com");
    ck_assert(!bus_dial_is_literal(&url));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/dial");
    TCase *tc = tcase_create("dial");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, test_dial_reaches_a_listener, 0, COUNT(hosts));
    tcase_add_loop_test(tc, test_dial_says_why_it_failed, 0, 4);
    tcase_add_loop_test(tc, test_dial_cancel_at_each_stage, 0, 3);
    tcase_add_test(tc, test_dial_knows_what_needs_no_look_up);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
