/* SPDX-License-Identifier: Apache-2.0 */
/* One visitor, state by state: what wakes it, what ends it, and what is given back then. */
#include "modules/gateway/conn.h"

#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/tunnel/handshake.h"
#include "tests/gateway/hall.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define HEAD "GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n"
#define UPGRADE                                                                                    \
    "GET / HTTP/1.1\r\nHost: blog.example\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"
#define SWITCHED "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"

static struct hall hall;

static void setup(void)
{
    hall_setup(&hall);
}

static void teardown(void)
{
    hall_teardown(&hall);
}

static const char *says(enum gw_conn_state state)
{
    switch (state) {
    case GW_CONN_PEEK:
        return "GET ";
    case GW_CONN_LINGER:
        return "GET / HTTP/1.1\r\nHost: no.example\r\n\r\n";
    case GW_CONN_RELAY:
        return UPGRADE;
    default:
        return HEAD;
    }
}

/* A visitor in the state; a connector is here from OPEN on. */
static int in_state(enum gw_conn_state state)
{
    bool is_served = state == GW_CONN_EXCHANGE || state == GW_CONN_RELAY;
    int fd;

    if (state == GW_CONN_OPEN || is_served)
        hall_join(&hall);
    fd = hall_come(&hall, GW_PORT_HTTP, says(state));
    if (state == GW_CONN_WAIT)
        LOOP_UNTIL(hall.seat.loop, hall.site->conn_count == 1);
    if (state == GW_CONN_OPEN || is_served)
        LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 1);
    if (is_served) {
        hall_accept(&hall, 0);
    }
    if (state == GW_CONN_RELAY) {
        hall_answer(&hall, 0, SWITCHED);
        ck_assert_int_eq(hall_status(&hall, fd), 101);
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    }
    if (state == GW_CONN_LINGER)
        ck_assert_int_eq(hall_status(&hall, fd), 404);
    ck_assert_uint_eq(hall.front.count, 1);
    return fd;
}

START_TEST(test_conn_can_be_freed_in_every_state)
{
    int fd = in_state((enum gw_conn_state)_i);

    gw_conn_free_all(&hall.front);
    ck_assert_uint_eq(hall.front.count, 0);
    ck_assert_uint_eq(hall.site->active, 0);
    ck_assert_uint_eq(hall.left, 0);
    ck_assert_int_eq(gw_sources_take(hall.sources, &hall.peer, 1), ERR_OK); /* its place is free */
    close(fd);
}
END_TEST

START_TEST(test_conn_whose_visitor_vanishes_is_gone)
{
    struct linger hard = {1, 0};
    int fd = in_state((enum gw_conn_state)_i);

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
    ck_assert_uint_eq(hall.left, 1);
    ck_assert_uint_eq(hall.site->active, 0);
}
END_TEST

START_TEST(test_conn_that_waits_goes_on_when_a_connector_comes)
{
    int fd = in_state(GW_CONN_WAIT);

    gw_conn_wake(hall.site); /* nobody came: it waits on */
    ck_assert_uint_eq(hall.front.count, 1);
    hall_join(&hall);
    gw_conn_wake(hall.site);
    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 1);
    close(fd);
}
END_TEST

START_TEST(test_conn_ended_before_it_is_served_is_told_and_after_it_is_reset)
{
    int fd = in_state((enum gw_conn_state)_i);

    gw_conn_end_all(hall.site, GW_REASON_PAUSED);
    ck_assert_uint_eq(hall.site->conn_count, 0);
    if (_i == GW_CONN_RELAY)
        LOOP_UNTIL(hall.seat.loop, hall_is_reset(fd));
    else
        ck_assert_int_eq(hall_status(&hall, fd), 503);
    close(fd);
}
END_TEST

START_TEST(test_conn_readmit_ends_only_who_lost_the_backend)
{
    int fd = in_state(GW_CONN_RELAY);

    gw_conn_readmit(hall.site, true);
    ck_assert_uint_eq(hall.front.count, 1);
    hall.site->exposure->backends[0].service[0] = 'x';
    gw_conn_readmit(hall.site, false);
    ck_assert_uint_eq(hall.front.count, 1);
    gw_conn_readmit(hall.site, true);
    ck_assert_uint_eq(hall.front.count, 0);
    LOOP_UNTIL(hall.seat.loop, hall_is_reset(fd));
    hall.site->exposure->backends[0].service[0] = 'w';
    close(fd);
}
END_TEST

START_TEST(test_conn_bytes_under_way_are_told_until_they_are_in_the_totals)
{
    uint64_t rx, tx, head;
    int fd = in_state(GW_CONN_RELAY);

    head = hall.site->rx_bytes; /* of the request that switched: counted by then */
    ck_assert_uint_eq(head, strlen(UPGRADE));
    ck_assert_int_eq(send(fd, "abc", 3, 0), 3);
    LOOP_UNTIL(hall.seat.loop, (gw_conn_pending_bytes(hall.site, &rx, &tx), rx == 3));
    ck_assert_uint_eq(hall.site->rx_bytes, head);
    gw_conn_end_all(hall.site, GW_REASON_PAUSED);
    gw_conn_pending_bytes(hall.site, &rx, &tx);
    ck_assert_uint_eq(rx, 0);
    ck_assert_uint_eq(hall.site->rx_bytes, head + 3);
    close(fd);
}
END_TEST

START_TEST(test_conn_between_two_requests_ends_with_nothing_but_its_way)
{
    int fd = in_state(GW_CONN_EXCHANGE);

    hall_answer(&hall, 0, "HTTP/1.1 204 No Content\r\n\r\n");
    ck_assert_int_eq(hall_status(&hall, fd), 204);
    ck_assert_uint_eq(hall.site->active, 1); /* kept for the next request */
    gw_conn_end_all(hall.site, GW_REASON_PAUSED);
    ck_assert_uint_eq(hall.site->active, 0);
    ck_assert_uint_eq(hall.site->conn_count, 0);
    ck_assert_uint_eq(hall.front.count, 1);
    hall.site->exposure->paused = true;
    ck_assert_int_eq(send(fd, HEAD, strlen(HEAD), 0), (ssize_t)strlen(HEAD));
    ck_assert_int_eq(hall_status(&hall, fd), 503);
    hall.site->exposure->paused = false;
    close(fd);
}
END_TEST

START_TEST(test_conn_of_a_draining_worker_ends_between_two_requests)
{
    int fd = in_state(GW_CONN_EXCHANGE);

    hall_answer(&hall, 0, "HTTP/1.1 204 No Content\r\n\r\n");
    ck_assert_int_eq(hall_status(&hall, fd), 204);
    gw_conn_drain(&hall.front, false);
    ck_assert_uint_eq(hall.site->active, 1);
    gw_conn_drain(&hall.front, true);
    LOOP_UNTIL(hall.seat.loop, recv(fd, &(char){0}, 1, MSG_DONTWAIT) == 0);
    close(fd);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
}
END_TEST

START_TEST(test_conn_limit_of_an_exposure_counts_the_waiting_too)
{
    int fds[3];

    hall.site->exposure->connections = 2;
    for (int i = 0; i < 2; i++) {
        fds[i] = hall_come(&hall, GW_PORT_HTTP, HEAD);
        LOOP_UNTIL(hall.seat.loop, hall.site->conn_count == (size_t)i + 1);
    }
    fds[2] = hall_come(&hall, GW_PORT_HTTP, HEAD);
    ck_assert_int_eq(hall_status(&hall, fds[2]), 429);
    ck_assert_uint_eq(hall.site->conn_count, 2);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}
END_TEST

START_TEST(test_conn_over_the_share_of_its_source_is_told_on_http_only)
{
    int fds[4];

    hall.seat.limits.visitors_per_source = 1;
    fds[0] = hall_come(&hall, GW_PORT_HTTP, "");
    fds[1] = hall_come(&hall, GW_PORT_HTTP, "");
    ck_assert_int_eq(hall_status(&hall, fds[1]), 429);
    fds[2] = hall_come(&hall, GW_PORT_TLS, "");
    LOOP_UNTIL(hall.seat.loop, recv(fds[2], &(char){0}, 1, MSG_DONTWAIT) == 0);
    fds[3] = hall_come(&hall, GW_PORT_TCP, "");
    LOOP_UNTIL(hall.seat.loop, hall_is_reset(fds[3]));
    ck_assert_uint_eq(hall.seat.refused.count[GW_REASON_SOURCE_LIMIT], 3);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}
END_TEST

START_TEST(test_conn_that_is_a_tunnel_is_no_visitor)
{
    const char hello[] = {(char)TUN_MAGIC_FIRST, 0};
    uint64_t before = clock_mono_ms(), after;
    int fd = hall_come(&hall, GW_PORT_TLS, hello);

    after = clock_mono_ms();
    LOOP_UNTIL(hall.seat.loop, hall.tunnels == 1);
    ck_assert_uint_ge(hall.arrival_since_ms,
                      before); /* its handshake's time runs from the accept */
    ck_assert_uint_le(hall.arrival_since_ms, after);
    ck_assert_uint_eq(hall.front.count, 0);
    ck_assert_uint_eq(hall.left, 1); /* a drain waits for it */
    ck_assert_int_eq(gw_sources_take(hall.sources, &hall.peer, 1), ERR_OK);
    close(fd);
}
END_TEST

START_TEST(test_conn_after_a_no_of_the_service_does_not_wait)
{
    int fd = in_state(GW_CONN_OPEN);

    tun_stream_refuse(hall.connector.streams[0], TUN_CODE_REFUSED, "no");
    link_session_touch(hall.connector.session);
    ck_assert_int_eq(hall_status(&hall, fd), 502);
    ck_assert_uint_eq(hall.errors, 1);
    close(fd);
}
END_TEST

START_TEST(test_conn_whose_session_ends_before_the_answer_waits_for_another)
{
    int fd = in_state(GW_CONN_OPEN);

    seat_leave(&hall.connector);
    LOOP_UNTIL(hall.seat.loop, hall.errors == 1);
    ck_assert_uint_eq(hall.site->conn_count, 1);
    seat_join(&hall.seat, &hall.connector, 1, 2);
    gw_conn_wake(hall.site);
    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 1);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_conn");
    TCase *tc = tcase_create("conn");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_conn_can_be_freed_in_every_state, GW_CONN_PEEK, GW_CONN_CLOSED);
    tcase_add_loop_test(tc, test_conn_whose_visitor_vanishes_is_gone, GW_CONN_PEEK, GW_CONN_CLOSED);
    tcase_add_test(tc, test_conn_that_waits_goes_on_when_a_connector_comes);
    tcase_add_loop_test(tc, test_conn_ended_before_it_is_served_is_told_and_after_it_is_reset,
                        GW_CONN_WAIT, GW_CONN_LINGER);
    tcase_add_test(tc, test_conn_between_two_requests_ends_with_nothing_but_its_way);
    tcase_add_test(tc, test_conn_of_a_draining_worker_ends_between_two_requests);
    tcase_add_test(tc, test_conn_readmit_ends_only_who_lost_the_backend);
    tcase_add_test(tc, test_conn_bytes_under_way_are_told_until_they_are_in_the_totals);
    tcase_add_test(tc, test_conn_limit_of_an_exposure_counts_the_waiting_too);
    tcase_add_test(tc, test_conn_over_the_share_of_its_source_is_told_on_http_only);
    tcase_add_test(tc, test_conn_that_is_a_tunnel_is_no_visitor);
    tcase_add_test(tc, test_conn_after_a_no_of_the_service_does_not_wait);
    tcase_add_test(tc, test_conn_whose_session_ends_before_the_answer_waits_for_another);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
