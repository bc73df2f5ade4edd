/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sessions and the links between them over TCP, for tests: handshakes are done in memory, ops
 * and callbacks go to the test. Either session may be gone (NULL) at any time.
 */
#ifndef TESTS_LINK_DUO_H
#define TESTS_LINK_DUO_H

#include <check.h>
#include <ev.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/link/session.h"
#include "modules/net/sock.h"
#include "tests/link/keys.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"

#define DUO_RESUME_MS 1000

struct duo_side {
    struct link_session *session;
    int fds[TUN_LINKS_MAX + 1]; /* by link number; the last one of that number */
    int closed;                 /* calls of on_closed */
    int rc;
    int losses; /* calls of on_lost */
    struct link_lost lost;
    struct tun_session_config tunnel;
};

struct duo {
    struct ev_loop *loop;
    struct link_hub *hub;
    struct test_keys keys;
    struct tun_handshake_result connector_result, gateway_result; /* of the latest link */
    struct duo_side connector, gateway;
};

/* Give what FROM says to TO; false when it said nothing. */
static inline bool duo_carry(struct tun_handshake *from, struct tun_handshake *to)
{
    size_t len, used;
    const uint8_t *data = tun_handshake_out(from, &len);

    if (len == 0)
        return false;
    ck_assert_int_eq(tun_handshake_feed(to, data, len, &used), ERR_OK);
    ck_assert_uint_eq(used, len);
    tun_handshake_sent(from, len);
    ck_assert_int_eq(tun_handshake_work(to), ERR_OK);
    return true;
}

static inline void duo_handshake(struct duo *d)
{
    struct tun_handshake_config c_cfg = test_connector_config(&d->keys);
    struct tun_handshake_config g_cfg = test_gateway_config(&d->keys);
    struct tun_handshake c, g;

    ck_assert_int_eq(tun_handshake_init(&c, &c_cfg), ERR_OK);
    ck_assert_int_eq(tun_handshake_init(&g, &g_cfg), ERR_OK);
    while (duo_carry(&c, &g) || duo_carry(&g, &c))
        ;
    tun_handshake_finish(&c, &d->connector_result);
    tun_handshake_finish(&g, &d->gateway_result);
}

static inline void duo_on_closed(void *arg, int rc)
{
    struct duo_side *side = arg;

    side->session = NULL;
    side->closed++;
    side->rc = rc;
}

static inline void duo_on_lost(void *arg, const struct link_lost *lost)
{
    struct duo_side *side = arg;

    side->losses++;
    side->lost = *lost;
}

static inline void duo_side_start(struct duo *d, struct duo_side *side)
{
    struct link_session_config cfg = {
        .tunnel = &side->tunnel, .on_closed = duo_on_closed, .on_lost = duo_on_lost, .arg = side};

    ck_assert_int_eq(link_session_new(&side->session, d->hub, &cfg), ERR_OK);
}

/* Both sessions exist, no link yet. ARG goes to the ops. */
static inline void duo_start(struct duo *d, const struct tun_session_ops *connector,
                             const struct tun_session_ops *gateway, void *arg)
{
    memset(d, 0, sizeof(*d));
    test_keys_init(&d->keys);
    d->loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(link_hub_new(&d->hub, d->loop), ERR_OK);
    d->connector.tunnel = (struct tun_session_config){
        .role = TUN_CONNECTOR, .ops = connector, .arg = arg, .resume_ms = DUO_RESUME_MS};
    d->gateway.tunnel = (struct tun_session_config){
        .role = TUN_GATEWAY, .ops = gateway, .arg = arg, .resume_ms = DUO_RESUME_MS};
    duo_side_start(d, &d->connector);
    duo_side_start(d, &d->gateway);
}

/* A handshake and two sockets for link NUMBER, nobody has them yet. */
static inline void duo_connect(struct duo *d, uint8_t number)
{
    int fds[2];

    tcp_pair(fds);
    ck_assert_int_eq(net_sock_nonblock(fds[0]), ERR_OK);
    ck_assert_int_eq(net_sock_nonblock(fds[1]), ERR_OK);
    d->connector.fds[number] = fds[0];
    d->gateway.fds[number] = fds[1];
    duo_handshake(d);
}

static inline struct link_join duo_join_of(struct duo *d, struct duo_side *side, uint8_t number)
{
    return (struct link_join){.fd = side->fds[number],
                              .number = number,
                              .result = side == &d->connector ? &d->connector_result
                                                              : &d->gateway_result};
}

/* SIDE's end of link NUMBER joins. */
static inline void duo_join(struct duo *d, struct duo_side *side, uint8_t number)
{
    static const struct tun_accept accept;
    struct link_join join = duo_join_of(d, side, number);

    ck_assert_int_eq(link_session_join(side->session, &join, side == &d->gateway ? &accept : NULL),
                     ERR_OK);
}

/* One more link, both ends joined, nothing is sent yet. */
static inline void duo_add(struct duo *d, uint8_t number)
{
    duo_connect(d, number);
    duo_join(d, &d->connector, number);
    duo_join(d, &d->gateway, number);
}

/* Wait until so many links are live on both sides. */
static inline void duo_wait_live(struct duo *d, unsigned n)
{
    LOOP_UNTIL(d->loop, link_session_live(d->connector.session) == n &&
                            link_session_live(d->gateway.session) == n);
}

/* A session with link 0. */
static inline void duo_accept(struct duo *d)
{
    duo_add(d, 0);
    duo_wait_live(d, 1);
}

/* The network takes link NUMBER away from both. */
static inline void duo_cut(struct duo *d, uint8_t number)
{
    ck_assert_int_eq(shutdown(d->connector.fds[number], SHUT_RDWR), 0);
}

static inline void duo_stop(struct duo *d)
{
    link_session_free(d->connector.session);
    link_session_free(d->gateway.session);
    link_hub_free(d->hub);
    ev_loop_destroy(d->loop);
}

/* A visitor for workload "7-1-x" and SERVICE. */
static inline struct tun_open duo_open(const char *service)
{
    struct tun_open open = {.kind = TUN_KIND_TCP,
                            .visitor = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 4000},
                            .local = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 2}, .port = 80}};

    strcpy(open.workload, "7-1-x");
    strcpy(open.service, service);
    return open;
}

#endif
