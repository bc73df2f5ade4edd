/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody who comes to a tunnel port, for tests: a connection, and the right Hello to say on it.
 */
#ifndef TESTS_GATEWAY_STRANGER_H
#define TESTS_GATEWAY_STRANGER_H

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/gateway/arrival.h"
#include "modules/gateway/keyring.h"
#include "tests/link/keys.h"

/* From IP; OUT is the gateway's side. Returns the stranger's end of the connection. */
static inline int stranger_come(struct gw_arrival *out, const char *ip)
{
    int fds[2];

    memset(out, 0, sizeof(*out));
    ck_assert_int_eq(addr_from_ip(&out->remote, ip, 4711), ERR_OK);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    out->fd = fds[1];
    out->since_ms = clock_mono_ms();
    return fds[0];
}

/* The gateway's keys; the caller has a reference. */
static inline struct gw_keyring *stranger_keyring(const struct test_keys *keys, bool with_next)
{
    struct gw_keyring_config cfg = {.key = keys->gateway.secret,
                                    .next = with_next ? keys->next.secret : NULL};
    struct gw_keyring *ring;

    ck_assert_int_eq(gw_keyring_new(&ring, &cfg), ERR_OK);
    return ring;
}

/* A complete, correct Hello, a new one each time. */
static inline void stranger_hello(uint8_t out[TUN_HELLO_LEN], const struct test_keys *keys)
{
    struct tun_handshake_config cfg = test_connector_config(keys);
    struct tun_handshake handshake;
    size_t len;

    ck_assert_int_eq(tun_handshake_init(&handshake, &cfg), ERR_OK);
    memcpy(out, tun_handshake_out(&handshake, &len), TUN_HELLO_LEN);
    ck_assert_uint_eq(len, TUN_HELLO_LEN);
    tun_handshake_wipe(&handshake);
}

/* Whether the gateway closed the connection. */
static inline bool stranger_is_out(int fd)
{
    uint8_t byte;
    ssize_t n = recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_PEEK);

    return n == 0 || (n < 0 && errno == ECONNRESET); /* the latter when it was not even read */
}

/* Whether the gateway said something. */
static inline bool stranger_is_answered(int fd)
{
    uint8_t byte;

    return recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_PEEK) > 0;
}

#endif
