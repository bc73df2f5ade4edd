/* SPDX-License-Identifier: Apache-2.0 */
/* One visitor, state by state: what wakes it, what ends it, and what is given back then. */
#include "modules/gateway/conn.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/tunnel/handshake.h"
#include "tests/gateway/seat.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

#define HEAD "GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n"

static struct seat seat;
static struct gw_routes *routes;
static struct gw_sources *sources;
static struct gw_front front;
static struct gw_site *site;
static struct seat_connector connector;
static struct addr peer;
static unsigned left, errors, tunnels;
static uint64_t arrival_since_ms; /* of the last tunnel */

static void on_tunnel(void *arg, const struct gw_arrival *arrival)
{
    (void)arg;
    ck_assert_mem_eq(&arrival->remote, &peer, sizeof(peer));
    ck_assert_uint_eq(arrival->first_len, 1);
    ck_assert_uint_eq(arrival->first[0], TUN_MAGIC_FIRST);
    arrival_since_ms = arrival->since_ms;
    tunnels++;
    close(arrival->fd);
}

static void on_backend_error(void *arg, struct gw_site *at, const uint8_t *key, const char *what)
{
    (void)arg;
    ck_assert(at == site && key != NULL && what[0] != '\0');
    errors++;
}

static void on_left(void *arg)
{
    (void)arg;
    left++;
}

static void setup(void)
{
    struct gw_site *made;
    struct gw_exposure *old;

    left = errors = tunnels = 0;
    seat_init(&seat);
    seat.limits.tunnel_wait_ms = 60000;
    ck_assert_int_eq(gw_routes_new(&routes), ERR_OK);
    ck_assert_int_eq(gw_sources_new(&sources), ERR_OK);
    ck_assert_int_eq(addr_parse(&peer, "192.0.2.7:1234"), ERR_OK);
    made = seat_site("7-1-blog", 1);
    made->exposure->kind = GW_KIND_FQDN;
    strcpy(made->exposure->host, "blog.example");
    ck_assert_int_eq(gw_routes_put(routes, made->exposure, &site, &old), ERR_OK);
    gw_site_free(made);
    seat_bind(&seat, site);
    front = (struct gw_front){.loop = seat.loop,
                              .limits = &seat.limits,
                              .routes = routes,
                              .registry = seat.registry,
                              .sources = sources,
                              .refused = &seat.refused,
                              .tunnel_on_https = true,
                              .on_tunnel = on_tunnel,
                              .on_backend_error = on_backend_error,
                              .on_left = on_left};
    LIST_INIT(&front.conns);
    memset(&connector, 0, sizeof(connector));
}

static void teardown(void)
{
    gw_conn_free_all(&front);
    ck_assert_uint_eq(front.count, 0);
    ck_assert_uint_eq(front.uncounted, 0);
    ck_assert_uint_eq(site->conn_count, 0);
    seat_leave(&connector);
    gw_registry_unbind(seat.registry, site, site->exposure);
    gw_routes_free(routes);
    gw_sources_free(sources);
    seat_deinit(&seat);
}

/* A visitor comes to a port of KIND and says TEXT; its end. */
static int come(enum gw_port_kind kind, const char *text)
{
    int fds[2];

    tcp_pair(fds);
    ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(send(fds[0], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    gw_conn_accept(&front, kind, fds[1], &peer);
    return fds[0];
}

/* The status of the answer at FD. */
static int status(int fd)
{
    char answer[4096] = {0};

    LOOP_UNTIL(seat.loop, recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT) > 0);
    ck_assert_int_eq(strncmp(answer, "HTTP/1.1 ", 9), 0);
    return (answer[9] - '0') * 100 + (answer[10] - '0') * 10 + answer[11] - '0';
}

static bool is_reset(int fd)
{
    return recv(fd, &(char){0}, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET;
}

/* A visitor in the state; a connector is here from OPEN on. */
static int in_state(enum gw_conn_state state)
{
    int fd;

    if (state == GW_CONN_OPEN || state == GW_CONN_RELAY)
        seat_join(&seat, &connector, 1, 1);
    fd = come(GW_PORT_HTTP, state == GW_CONN_PEEK     ? "GET "
                            : state == GW_CONN_LINGER ? "GET / HTTP/1.1\r\nHost: no.example\r\n\r\n"
                                                      : HEAD);
    if (state == GW_CONN_WAIT)
        LOOP_UNTIL(seat.loop, site->conn_count == 1);
    if (state == GW_CONN_OPEN || state == GW_CONN_RELAY)
        LOOP_UNTIL(seat.loop, connector.opens == 1);
    if (state == GW_CONN_RELAY) {
        tun_stream_accept(connector.streams[0]);
        link_session_touch(connector.session);
        LOOP_UNTIL(seat.loop, site->active == 1);
    }
    if (state == GW_CONN_LINGER)
        ck_assert_int_eq(status(fd), 404);
    ck_assert_uint_eq(front.count, 1);
    return fd;
}

START_TEST(test_conn_can_be_freed_in_every_state)
{
    int fd = in_state((enum gw_conn_state)_i);

    gw_conn_free_all(&front);
    ck_assert_uint_eq(front.count, 0);
    ck_assert_uint_eq(site->active, 0);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(gw_sources_take(sources, &peer, 1), ERR_OK); /* its place is free */
    close(fd);
}
END_TEST

/* Who waits for a connector is not read from, and ends by the clock; the others are noticed. */
START_TEST(test_conn_whose_visitor_vanishes_is_gone)
{
    struct linger hard = {1, 0};
    int fd = in_state((enum gw_conn_state)_i);

    if (_i == GW_CONN_RELAY || _i == GW_CONN_PEEK || _i == GW_CONN_LINGER)
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
    if (_i == GW_CONN_WAIT)
        gw_conn_end_all(site, GW_REASON_NO_CONNECTOR);
    if (_i == GW_CONN_OPEN) {
        tun_stream_refuse(connector.streams[0], TUN_CODE_REFUSED, "no");
        link_session_touch(connector.session);
    }
    LOOP_UNTIL(seat.loop, front.count == 0);
    ck_assert_uint_eq(left, 1);
    ck_assert_uint_eq(site->active, 0);
}
END_TEST

START_TEST(test_conn_that_waits_goes_on_when_a_connector_comes)
{
    int fd = in_state(GW_CONN_WAIT);

    gw_conn_wake(site); /* nobody came: it waits on */
    ck_assert_uint_eq(front.count, 1);
    seat_join(&seat, &connector, 1, 1);
    gw_conn_wake(site);
    LOOP_UNTIL(seat.loop, connector.opens == 1);
    close(fd);
}
END_TEST

START_TEST(test_conn_ended_before_it_is_served_is_told_and_after_it_is_reset)
{
    int fd = in_state((enum gw_conn_state)_i);

    gw_conn_end_all(site, GW_REASON_PAUSED);
    ck_assert_uint_eq(site->conn_count, 0);
    if (_i == GW_CONN_RELAY)
        LOOP_UNTIL(seat.loop, is_reset(fd));
    else
        ck_assert_int_eq(status(fd), 503);
    close(fd);
}
END_TEST

START_TEST(test_conn_readmit_ends_only_who_lost_the_backend)
{
    int fd = in_state(GW_CONN_RELAY);

    gw_conn_readmit(site, true);
    ck_assert_uint_eq(front.count, 1);
    site->exposure->backends[0].service[0] = 'x';
    gw_conn_readmit(site, false);
    ck_assert_uint_eq(front.count, 1);
    gw_conn_readmit(site, true);
    ck_assert_uint_eq(front.count, 0);
    LOOP_UNTIL(seat.loop, is_reset(fd));
    site->exposure->backends[0].service[0] = 'w';
    close(fd);
}
END_TEST

START_TEST(test_conn_bytes_under_way_are_told_until_they_are_in_the_totals)
{
    uint64_t rx, tx;
    int fd = in_state(GW_CONN_RELAY);

    gw_conn_pending_bytes(site, &rx, &tx);
    ck_assert_uint_eq(rx, strlen(HEAD));
    ck_assert_uint_eq(site->rx_bytes, 0);
    gw_conn_end_all(site, GW_REASON_PAUSED);
    gw_conn_pending_bytes(site, &rx, &tx);
    ck_assert_uint_eq(rx, 0);
    ck_assert_uint_eq(site->rx_bytes, strlen(HEAD));
    close(fd);
}
END_TEST

START_TEST(test_conn_limit_of_an_exposure_counts_the_waiting_too)
{
    int fds[3];

    site->exposure->connections = 2;
    for (int i = 0; i < 2; i++) {
        fds[i] = come(GW_PORT_HTTP, HEAD);
        LOOP_UNTIL(seat.loop, site->conn_count == (size_t)i + 1);
    }
    fds[2] = come(GW_PORT_HTTP, HEAD);
    ck_assert_int_eq(status(fds[2]), 429);
    ck_assert_uint_eq(site->conn_count, 2);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}
END_TEST

START_TEST(test_conn_over_the_share_of_its_source_is_told_on_http_only)
{
    int fds[4];

    seat.limits.visitors_per_source = 1;
    fds[0] = come(GW_PORT_HTTP, "");
    fds[1] = come(GW_PORT_HTTP, "");
    ck_assert_int_eq(status(fds[1]), 429);
    fds[2] = come(GW_PORT_TLS, "");
    LOOP_UNTIL(seat.loop, recv(fds[2], &(char){0}, 1, MSG_DONTWAIT) == 0);
    fds[3] = come(GW_PORT_TCP, "");
    LOOP_UNTIL(seat.loop, is_reset(fds[3]));
    ck_assert_uint_eq(seat.refused.count[GW_REASON_SOURCE_LIMIT], 3);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}
END_TEST

START_TEST(test_conn_that_is_a_tunnel_is_no_visitor)
{
    const char hello[] = {(char)TUN_MAGIC_FIRST, 0};
    uint64_t before = clock_mono_ms(), after;
    int fd = come(GW_PORT_TLS, hello);

    after = clock_mono_ms();
    LOOP_UNTIL(seat.loop, tunnels == 1);
    ck_assert_uint_ge(arrival_since_ms, before); /* its handshake's time runs from the accept */
    ck_assert_uint_le(arrival_since_ms, after);
    ck_assert_uint_eq(front.count, 0);
    ck_assert_uint_eq(left, 1); /* a drain waits for it */
    ck_assert_int_eq(gw_sources_take(sources, &peer, 1), ERR_OK);
    close(fd);
}
END_TEST

START_TEST(test_conn_after_a_no_of_the_service_does_not_wait)
{
    int fd = in_state(GW_CONN_OPEN);

    tun_stream_refuse(connector.streams[0], TUN_CODE_REFUSED, "no");
    link_session_touch(connector.session);
    ck_assert_int_eq(status(fd), 502);
    ck_assert_uint_eq(errors, 1);
    close(fd);
}
END_TEST

START_TEST(test_conn_whose_session_ends_before_the_answer_waits_for_another)
{
    int fd = in_state(GW_CONN_OPEN);

    seat_leave(&connector);
    LOOP_UNTIL(seat.loop, errors == 1);
    ck_assert_uint_eq(site->conn_count, 1);
    seat_join(&seat, &connector, 1, 2);
    gw_conn_wake(site);
    LOOP_UNTIL(seat.loop, connector.opens == 1);
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
