/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two links over one TCP connection, for tests: the handshake is done in memory, ops and callbacks
 * go to the test. Either link may be gone (NULL) at any time.
 */
#ifndef TESTS_LINK_DUO_H
#define TESTS_LINK_DUO_H

#include <check.h>
#include <ev.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/link/link.h"
#include "modules/net/sock.h"
#include "tests/link/keys.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"

struct duo_side {
    struct link *link;
    int fd;
    int closed; /* calls of on_closed */
    int rc;
    struct tun_session_config session;
};

struct duo {
    struct ev_loop *loop;
    struct link_hub *hub;
    struct test_keys keys;
    struct tun_handshake_result connector_result, gateway_result;
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

    side->link = NULL;
    side->closed++;
    side->rc = rc;
}

static inline void duo_side_start(struct duo *d, struct duo_side *side)
{
    struct link_config cfg = {
        .fd = side->fd, .session = &side->session, .on_closed = duo_on_closed, .arg = side};

    ck_assert_int_eq(net_sock_nonblock(side->fd), ERR_OK);
    ck_assert_int_eq(link_new(&side->link, d->hub, &cfg), ERR_OK);
}

/* Both links run, nothing is accepted yet. ARG goes to the ops. */
static inline void duo_start(struct duo *d, const struct tun_session_ops *connector,
                             const struct tun_session_ops *gateway, void *arg)
{
    int fds[2];

    memset(d, 0, sizeof(*d));
    test_keys_init(&d->keys);
    d->loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(link_hub_new(&d->hub, d->loop), ERR_OK);
    duo_handshake(d);
    tcp_pair(fds);
    d->connector.fd = fds[0];
    d->gateway.fd = fds[1];
    d->connector.session =
        (struct tun_session_config){.link = &d->connector_result, .ops = connector, .arg = arg};
    d->gateway.session =
        (struct tun_session_config){.link = &d->gateway_result, .ops = gateway, .arg = arg};
    duo_side_start(d, &d->connector);
    duo_side_start(d, &d->gateway);
}

/* The gateway takes the connector. */
static inline void duo_accept(struct duo *d)
{
    ck_assert_int_eq(
        tun_session_accept(link_session(d->gateway.link), &(struct tun_accept){.ping_ms = 0}),
        ERR_OK);
    link_touch(d->gateway.link);
    LOOP_UNTIL(d->loop, tun_session_usable(link_session(d->connector.link)));
}

static inline void duo_stop(struct duo *d)
{
    link_free(d->connector.link);
    link_free(d->gateway.link);
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
