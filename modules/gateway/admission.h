/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may try to become a connector, before it has proven anything: a fixed pool of pending
 * handshakes, shares and penalties per source, a budget of public-key operations per loop turn. A
 * stranger costs a slot of the pool and nothing else. It accepts no socket and keeps no session.
 */
#ifndef MODULES_GATEWAY_ADMISSION_H
#define MODULES_GATEWAY_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/gateway/config.h"
#include "modules/gateway/keyring.h"
#include "modules/gateway/refuse.h"
#include "modules/tunnel/handshake.h"

#define GW_ADMISSION_OPS_PER_TURN 8   /* public-key operations */
#define GW_ADMISSION_WAITING_MAX 1024 /* accepted, but no slot yet; then accepting pauses */

struct ev_loop;
struct gw_admission; /* opaque: admission.c */

struct gw_admission_config {
    struct ev_loop *loop;
    const struct gw_limits *limits; /* borrowed */
    struct gw_keyring *keys;        /* ours; a reference is taken */
    struct tun_gateway_info info;   /* copied; time_ms is filled in for each handshake */
    struct gw_refused *refused;     /* counters; borrowed */
    /* A connector proved its key: FD is the callee's. Returns 0, or ERR_NOENT when no live contract
     * names the key (and the fd was closed), or another error. */
    int (*on_proven)(void *arg, const struct tun_handshake_result *result, int fd,
                     const struct addr *remote);
    /* More connections than can wait: stop accepting tunnels (true), go on (false). */
    void (*on_pause)(void *arg, bool pause);
    void *arg;
};

int gw_admission_new(struct gw_admission **out, const struct gw_admission_config *cfg);
/* Closes everything that is pending. NULL is fine. */
void gw_admission_free(struct gw_admission *self);

/* Answer to KEYS (a reference is taken) from now on; handshakes under way end as they began. */
void gw_admission_set_keys(struct gw_admission *self, struct gw_keyring *keys);
/* Someone came to a tunnel listener. FIRST: bytes already read (at most a Hello). FD is taken. */
void gw_admission_accept(struct gw_admission *self, int fd, const struct addr *remote,
                         const void *first, size_t first_len);
/* A session of REMOTE's source began or ended: its source is trusted more than strangers. */
void gw_admission_session(struct gw_admission *self, const struct addr *remote, bool up);
/* A live contract names KEY now: whoever tried with it before may come back at once. */
void gw_admission_key_named(struct gw_admission *self, const uint8_t key[TUN_KEY_LEN]);
/* Handshakes under way. */
size_t gw_admission_pending(const struct gw_admission *self);

#endif
