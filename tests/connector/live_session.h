/* SPDX-License-Identifier: Apache-2.0 */
/* A connector's session with the test gateway, up and running; for tests of what happens on it. */
#ifndef TESTS_CONNECTOR_LIVE_SESSION_H
#define TESTS_CONNECTOR_LIVE_SESSION_H

#include "modules/connector/session.h"
#include "tests/connector/bench.h"

struct live_session {
    struct bench b;
    struct peer_gateway gw;
    struct tun_connector_info info;
    struct link_handshake handshakes[2];
    struct con_session *session; /* NULL before and after */
    unsigned accepts;
    int goaways, losses, ended, next_keys;
    struct tun_public_key next_key;
    struct con_session_lost lost; /* its notice points to `notice` */
    struct con_session_end end;   /* likewise */
    struct tun_notice notice;
};

static inline void live_on_accept(void *arg, uint64_t id, uint8_t number)
{
    struct live_session *f = arg;

    ck_assert_uint_eq(id, 42);
    ck_assert_uint_lt(number, 2);
    f->accepts++;
}

static inline void live_on_next_key(void *arg, const struct tun_public_key *key)
{
    struct live_session *f = arg;

    f->next_keys++;
    f->next_key = *key;
}

static inline void live_on_lost(void *arg, const struct con_session_lost *lost)
{
    struct live_session *f = arg;

    f->losses++;
    f->lost = *lost;
    if (lost->notice != NULL)
        f->notice = *lost->notice;
}

static inline void live_on_goaway(void *arg, uint64_t id, const struct tun_notice *notice)
{
    struct live_session *f = arg;

    ck_assert_uint_eq(id, 42);
    f->goaways++;
    f->notice = *notice;
}

static inline void live_on_end(void *arg, const struct con_session_end *end)
{
    struct live_session *f = arg;

    f->session = NULL;
    f->ended++;
    f->end = *end;
    if (end->notice != NULL)
        f->notice = *end->notice;
}

static inline void live_on_handshake(void *arg, const struct link_handshake_end *end)
{
    struct live_session *f = arg;
    struct con_session_config cfg = {.context = &f->b.context,
                                     .gateway = "gw1",
                                     .id = 42,
                                     .events = {.on_accept = live_on_accept,
                                                .on_lost = live_on_lost,
                                                .on_next_key = live_on_next_key,
                                                .on_goaway = live_on_goaway,
                                                .on_end = live_on_end,
                                                .arg = f}};
    struct link_join join = {.fd = end->fd, .number = f->info.link, .result = end->result};

    ck_assert_int_eq(end->rc, ERR_OK);
    cfg.offered = &end->result->gateway;
    if (f->session == NULL)
        ck_assert_int_eq(con_session_new(&f->session, &cfg), ERR_OK);
    ck_assert(con_session_is_with(f->session, cfg.offered));
    ck_assert_int_eq(con_session_join(f->session, &join), ERR_OK);
}

/* One more link; it is the session's when this returns. */
static inline void live_session_dial(struct live_session *f, uint8_t number)
{
    struct tun_handshake_config tunnel = {.role = TUN_CONNECTOR,
                                          .own = &f->b.identity,
                                          .peer = &f->gw.identity.public_key,
                                          .connector = &f->info};
    struct link_handshake_config cfg = {.tunnel = &tunnel, .on_done = live_on_handshake, .arg = f};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    unsigned handshakes = f->gw.handshakes;

    f->info.link = number;
    in.sin_port = htons(peer_gateway_port(&f->gw));
    cfg.fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(cfg.fd, (struct sockaddr *)&in, sizeof(in)), 0);
    ck_assert_int_eq(net_sock_nonblock(cfg.fd), ERR_OK);
    ck_assert_int_eq(link_handshake_start(&f->handshakes[number], f->b.loop, &cfg), ERR_OK);
    LOOP_UNTIL(f->b.loop, f->gw.handshakes > handshakes);
}

/* The handshake is done and the session begins; what the gateway does is its manner. */
static inline void live_session_begin(struct live_session *f, enum peer_manner manner)
{
    memset(f, 0, sizeof(*f));
    bench_start(&f->b);
    peer_gateway_start(&f->gw, f->b.loop, 0x21, 0);
    f->gw.manner = manner;
    f->gw.notice = (struct tun_notice){.code = TUN_CODE_BUSY, .retry_ms = 77};
    f->info = (struct tun_connector_info){.instance = {1}, .epoch = 1};
    live_session_dial(f, 0);
}

static inline void live_session_start(struct live_session *f)
{
    live_session_begin(f, PEER_ACCEPTS);
    LOOP_UNTIL(f->b.loop, f->accepts == 1);
}

static inline void live_session_stop(struct live_session *f)
{
    con_session_free(f->session);
    peer_gateway_stop(&f->gw);
    bench_stop(&f->b);
}

#endif
