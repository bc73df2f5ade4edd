/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: each port hands on under its own name, and a port that fails leaves nothing.
 */
#include "modules/gateway/doors.h"

#include <check.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

struct fixture {
    struct ev_loop *loop;
    struct gw_config config;
    struct gw_doors *doors;
    unsigned visitors[3], tunnels; /* visitors by port kind */
};

static void on_visitor(void *arg, enum gw_port_kind port, int fd, const struct addr *peer)
{
    struct fixture *f = arg;

    ck_assert(addr_is_ip(peer));
    f->visitors[port]++;
    close(fd);
}

static void on_tunnel(void *arg, const struct gw_arrival *arrival)
{
    struct fixture *f = arg;

    ck_assert(addr_is_ip(&arrival->remote) && arrival->first_len == 0);
    ck_assert_uint_le(clock_mono_ms() - arrival->since_ms, 1000);
    f->tunnels++;
    close(arrival->fd);
}

static void add(struct gw_addrs *list, const char *ip)
{
    ck_assert_int_eq(addr_from_ip(&list->at[list->count++], ip, 0), ERR_OK);
}

static int open_doors(struct fixture *f)
{
    const struct gw_doors_config cfg = {.loop = f->loop,
                                        .config = &f->config,
                                        .on_visitor = on_visitor,
                                        .on_tunnel = on_tunnel,
                                        .arg = f};

    return gw_doors_new(&f->doors, &cfg);
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){.loop = ev_loop_new(EVFLAG_AUTO)};
    gw_config_default(&f->config);
    f->config.http.count = f->config.https.count = f->config.tunnel.count = 0;
    f->config.tcp_addresses.count = 0;
    add(&f->config.http, "127.0.0.1");
    add(&f->config.https, "127.0.0.1");
    add(&f->config.tunnel, "127.0.0.1");
    add(&f->config.tcp_addresses, "127.0.0.1");
    ck_assert_int_eq(open_doors(f), ERR_OK);
}

static void teardown(struct fixture *f)
{
    gw_doors_free(f->doors);
    ev_loop_destroy(f->loop);
}

/* Connect to PORT; the socket, or -1 when nobody listens there. */
static int knock(uint16_t port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
        return fd;
    close(fd);
    return -1;
}

static uint16_t bound(const struct fixture *f, const char *what)
{
    struct addr addr;

    ck_assert_int_eq(gw_doors_bound(f->doors, what, 0, &addr), ERR_OK);
    ck_assert_uint_ne(addr_port(&addr), 0);
    return addr_port(&addr);
}

/* A port that is nobody else's while *KEEP is open: bound there, and not listening. */
static uint16_t spare_port(int *keep)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);

    *keep = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(setsockopt(*keep, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    ck_assert_int_eq(bind(*keep, (struct sockaddr *)&sin, sizeof(sin)), 0);
    ck_assert_int_eq(getsockname(*keep, (struct sockaddr *)&sin, &len), 0);
    return ntohs(sin.sin_port);
}

START_TEST(test_doors_hand_each_visitor_on_with_its_port)
{
    struct fixture f;
    int keep, fds[4];
    uint16_t port = spare_port(&keep);

    setup(&f);
    ck_assert_int_eq(gw_doors_bind(f.doors, port), ERR_OK);
    fds[0] = knock(bound(&f, "http"));
    fds[1] = knock(bound(&f, "https"));
    fds[2] = knock(bound(&f, "tunnel"));
    ck_assert_int_eq(write(fds[2], "x", 1), 1); /* or the kernel keeps it for a while */
    fds[3] = knock(port);
    LOOP_UNTIL(f.loop, f.visitors[GW_PORT_HTTP] == 1 && f.visitors[GW_PORT_TLS] == 1 &&
                           f.visitors[GW_PORT_TCP] == 1 && f.tunnels == 1);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(keep);
    teardown(&f);
}
END_TEST

START_TEST(test_doors_a_port_is_bound_once_and_free_again_after_unbind)
{
    struct fixture f;
    int keep;
    uint16_t port = spare_port(&keep);

    setup(&f);
    gw_doors_unbind(f.doors, port); /* not bound yet: nothing to do */
    ck_assert_int_eq(gw_doors_bind(f.doors, port), ERR_OK);
    ck_assert_int_eq(gw_doors_bind(f.doors, port), ERR_EXISTS);
    gw_doors_unbind(f.doors, port);
    ck_assert_int_eq(knock(port), -1);
    ck_assert_int_eq(gw_doors_bind(f.doors, port), ERR_OK);
    close(keep);
    teardown(&f);
}
END_TEST

START_TEST(test_doors_a_port_taken_on_one_address_is_bound_on_none)
{
    struct fixture f;
    struct sockaddr_in taken;
    int keep = tcp_listen(&taken);
    uint16_t port = ntohs(taken.sin_port);

    setup(&f);
    f.config.tcp_addresses.count = 0;
    add(&f.config.tcp_addresses, "127.0.0.2"); /* free there */
    add(&f.config.tcp_addresses, "127.0.0.1");
    errno = 0;
    ck_assert_int_eq(gw_doors_bind(f.doors, port), ERR_SYS);
    ck_assert_int_eq(errno, EADDRINUSE);
    close(keep);
    ck_assert_int_eq(gw_doors_bind(f.doors, port), ERR_OK);
    teardown(&f);
}
END_TEST

START_TEST(test_doors_without_a_tcp_address_bind_no_port)
{
    struct fixture f;

    setup(&f);
    f.config.tcp_addresses.count = 0;
    ck_assert_int_eq(gw_doors_bind(f.doors, 20000), ERR_NOENT);
    teardown(&f);
}
END_TEST

START_TEST(test_doors_an_address_that_is_taken_fails_the_start)
{
    struct fixture f;
    struct gw_doors *first;

    setup(&f);
    first = f.doors;
    ck_assert_int_eq(addr_from_ip(&f.config.tunnel.at[0], "127.0.0.1", bound(&f, "http")), ERR_OK);
    f.doors = NULL;
    errno = 0;
    ck_assert_int_eq(open_doors(&f), ERR_SYS);
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_ptr_null(f.doors);
    gw_doors_free(first);
    teardown(&f);
}
END_TEST

START_TEST(test_doors_once_closed_stay_closed)
{
    struct fixture f;
    struct addr addr;
    int keep;
    uint16_t tcp = spare_port(&keep), http;

    setup(&f);
    http = bound(&f, "http");
    ck_assert_int_eq(gw_doors_bind(f.doors, tcp), ERR_OK);
    gw_doors_close(f.doors);
    gw_doors_close(f.doors);
    ck_assert_int_eq(knock(http), -1);
    ck_assert_int_eq(knock(tcp), -1);
    ck_assert_int_eq(gw_doors_bind(f.doors, tcp), ERR_CANCELLED);
    gw_doors_unbind(f.doors, tcp);
    ck_assert_int_eq(gw_doors_bound(f.doors, "http", 0, &addr), ERR_NOENT);
    close(keep);
    teardown(&f);
}
END_TEST

/* A successor on the same sockets: visitors wait for it, tunnels do not. */
static void bequeath(void *arg, enum gw_door_kind kind, const struct addr *asked, int fd)
{
    ck_assert_int_eq(gw_heritage_add(arg, kind, asked, fcntl(fd, F_DUPFD_CLOEXEC, 0)), ERR_OK);
}

START_TEST(test_doors_successor_takes_over_the_same_sockets)
{
    struct fixture old, new;
    struct gw_heritage *heritage;
    int keep, fds[3];
    uint16_t port = spare_port(&keep), http, tunnel;

    setup(&old);
    ck_assert_int_eq(gw_doors_bind(old.doors, port), ERR_OK);
    http = bound(&old, "http");
    tunnel = bound(&old, "tunnel");
    ck_assert_int_eq(gw_heritage_new(&heritage), ERR_OK);
    gw_doors_show(old.doors, true, bequeath, heritage);
    gw_doors_show(old.doors, false, bequeath, heritage); /* nothing is new */
    ck_assert_uint_eq(gw_heritage_count(heritage), 4);
    gw_doors_leave_tunnel(old.doors, true);

    new = (struct fixture){.loop = old.loop, .config = old.config};
    const struct gw_doors_config cfg = {.loop = new.loop,
                                        .config = &new.config,
                                        .heritage = heritage,
                                        .held = true,
                                        .on_visitor = on_visitor,
                                        .on_tunnel = on_tunnel,
                                        .arg = &new};
    ck_assert_int_eq(gw_doors_new(&new.doors, &cfg), ERR_OK);
    ck_assert_int_eq(gw_doors_bind(new.doors, port), ERR_OK);
    ck_assert_uint_eq(bound(&new, "http"), http);
    ck_assert_uint_eq(gw_heritage_count(heritage), 0);

    fds[0] = knock(tunnel);
    LOOP_UNTIL(new.loop, new.tunnels == 1);
    gw_doors_close(old.doors); /* and no connection is reset by it */
    fds[1] = knock(http);
    fds[2] = knock(port);
    for (int i = 0; i < 5; i++)
        ev_run(new.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(new.visitors[GW_PORT_HTTP] + new.visitors[GW_PORT_TCP], 0);
    gw_doors_open(new.doors);
    LOOP_UNTIL(new.loop, new.visitors[GW_PORT_HTTP] == 1 && new.visitors[GW_PORT_TCP] == 1);
    ck_assert_uint_eq(old.tunnels, 0);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(keep);
    gw_doors_free(new.doors);
    gw_heritage_free(heritage);
    teardown(&old);
}
END_TEST

/* The successor failed: what waited in the backlog is ours. */
START_TEST(test_doors_tunnels_wait_while_nobody_takes_them)
{
    struct fixture f;
    int fd;

    setup(&f);
    gw_doors_leave_tunnel(f.doors, true);
    fd = knock(bound(&f, "tunnel"));
    for (int i = 0; i < 5; i++)
        ev_run(f.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(f.tunnels, 0);
    gw_doors_leave_tunnel(f.doors, false);
    LOOP_UNTIL(f.loop, f.tunnels == 1);
    close(fd);
    teardown(&f);
}
END_TEST

START_TEST(test_doors_tell_where_they_are_and_no_further)
{
    struct fixture f;
    struct addr addr;

    setup(&f);
    ck_assert_int_eq(gw_doors_bound(f.doors, "http", 1, &addr), ERR_NOENT);
    ck_assert_uint_ne(bound(&f, "http"), bound(&f, "https"));
    ck_assert_uint_ne(bound(&f, "https"), bound(&f, "tunnel"));
    teardown(&f);
    gw_doors_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_doors");
    TCase *tc = tcase_create("doors");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_doors_hand_each_visitor_on_with_its_port);
    tcase_add_test(tc, test_doors_a_port_is_bound_once_and_free_again_after_unbind);
    tcase_add_test(tc, test_doors_a_port_taken_on_one_address_is_bound_on_none);
    tcase_add_test(tc, test_doors_without_a_tcp_address_bind_no_port);
    tcase_add_test(tc, test_doors_an_address_that_is_taken_fails_the_start);
    tcase_add_test(tc, test_doors_once_closed_stay_closed);
    tcase_add_test(tc, test_doors_successor_takes_over_the_same_sockets);
    tcase_add_test(tc, test_doors_tunnels_wait_while_nobody_takes_them);
    tcase_add_test(tc, test_doors_tell_where_they_are_and_no_further);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
