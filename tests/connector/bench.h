/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of the connector stand on: a loop, an identity, a config that grows by flags, and a
 * real TCP service that hands its connections to the test.
 */
#ifndef TESTS_CONNECTOR_BENCH_H
#define TESTS_CONNECTOR_BENCH_H

#include <check.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/connector/context.h"
#include "modules/link/hub.h"
#include "modules/net/sock.h"
#include "tests/connector/peer_gateway.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"

struct bench {
    struct ev_loop *loop;
    struct tun_secret_key secret;
    struct tun_identity identity;
    struct con_config *config; /* owned by the bench unless the test gives it away */
    struct con_context context;
    int service; /* listens on loopback */
    char service_text[32];
};

static inline void bench_gateway(struct bench *b, const struct peer_gateway *gateway)
{
    char flag[160], why[CON_WHY_CAP] = "";

    peer_gateway_flag(gateway, flag);
    ck_assert_msg(con_config_add_gateway(b->config, flag, why) == ERR_OK, "%s", why);
}

/* FMT has one %s for the service's address, or none. */
static inline void bench_service(struct bench *b, const char *fmt)
{
    char item[400], why[CON_WHY_CAP] = "";
    const char *hole = strstr(fmt, "%s");

    if (hole != NULL)
        snprintf(item, sizeof(item), "%.*s%s%s", (int)(hole - fmt), fmt, b->service_text, hole + 2);
    else
        snprintf(item, sizeof(item), "%s", fmt);
    ck_assert_msg(con_config_add_service(b->config, item, why) == ERR_OK, "%s", why);
}

static inline void bench_start(struct bench *b)
{
    struct sockaddr_in in;

    memset(b, 0, sizeof(*b));
    b->loop = ev_loop_new(EVFLAG_AUTO);
    memset(b->secret.bytes, 0x11, TUN_KEY_LEN);
    tun_identity_init(&b->identity, &b->secret);
    b->config = con_config_new();
    b->service = tcp_listen(&in);
    ck_assert_int_eq(net_sock_nonblock(b->service), ERR_OK);
    snprintf(b->service_text, sizeof(b->service_text), "127.0.0.1:%u", ntohs(in.sin_port));
    b->context = (struct con_context){
        .loop = b->loop, .config = b->config, .identity = &b->identity, .instance = {1}};
    ck_assert_int_eq(link_hub_new(&b->context.hub, b->loop), ERR_OK);
}

static inline void bench_stop(struct bench *b)
{
    link_hub_free(b->context.hub);
    free(b->config);
    close(b->service);
    ev_loop_destroy(b->loop);
}

/* The service's next connection, non-blocking. */
static inline int bench_serve(struct bench *b)
{
    int fd = -1;

    LOOP_UNTIL(b->loop, (fd = accept4(b->service, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    return fd;
}

static inline void bench_say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* Read from FD until WANT is there; "" for an end. */
static inline void bench_expect(struct bench *b, int fd, const char *want)
{
    char got[512] = {0};
    size_t at = 0;
    ssize_t n = -1;

    do {
        LOOP_UNTIL(b->loop,
                   (n = recv(fd, got + at, sizeof(got) - 1 - at, 0)) >= 0 || errno != EAGAIN);
        ck_assert_msg(n >= 0, "recv: %s", strerror(errno));
        at += (size_t)n;
    } while (n > 0 && at < strlen(want));
    ck_assert_str_eq(got, want);
}

/* OPEN for WORKLOAD and SERVICE, from 192.0.2.1:4000 to 192.0.2.2:80. */
static inline struct tun_open bench_open(const char *workload, const char *service)
{
    struct tun_open open = {.kind = TUN_KIND_HTTP,
                            .visitor = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 4000},
                            .local = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 2}, .port = 80}};

    snprintf(open.workload, sizeof(open.workload), "%s", workload);
    snprintf(open.service, sizeof(open.service), "%s", service);
    return open;
}

#endif
