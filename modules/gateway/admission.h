/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may try to become a connector, before it has proven anything (TUNNEL section 5): the rules of
 * the pool of handshakes, of the yard where others wait for it, and of the sources' penalties. It
 * accepts no socket and keeps no session. A stranger costs a place and nothing else; all memory is
 * taken at the start.
 *
 * The kernel's backlog is first in, first out, so that one source that is over its share would hold
 * up everybody behind it. So everything is accepted at once and waits here, in a second backlog
 * (yard.h) where order can be chosen: by source, and complete Hellos only. Under pressure, a
 * handshake that has left our message 2 unanswered for a while gives its place away, sooner the
 * more others wait; without pressure it has its full time.
 */
#ifndef MODULES_GATEWAY_ADMISSION_H
#define MODULES_GATEWAY_ADMISSION_H

#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/arrival.h"
#include "modules/gateway/config.h"
#include "modules/gateway/keyring.h"
#include "modules/gateway/refuse.h"
#include "modules/tunnel/handshake.h"

#define GW_ADMISSION_PATIENCE_MS 1000u    /* for message 3, as soon as others want the place */
#define GW_ADMISSION_PATIENCE_MIN_MS 250u /* when many want it */
#define GW_ADMISSION_CROWD 64             /* so many of one source are many */

struct ev_loop;
struct gw_admission; /* opaque: admission.c */

struct gw_admission_config {
    struct ev_loop *loop;
    const struct gw_limits *limits; /* borrowed */
    struct gw_keyring *keys;        /* ours; a reference is taken */
    struct tun_gateway_info info;   /* copied; time_ms is filled in for each handshake */
    struct gw_refused *refused;     /* counters; borrowed */
    /* A connector proved its key: FD is the callee's. Returns 0, or ERR_NOENT when no live contract
     * names the key (and the fd was closed), or another error. May not free the admission. */
    int (*on_proven)(void *arg, const struct tun_handshake_result *result, int fd,
                     const struct addr *remote);
    void *arg;
};

/* Returns 0 or ERR_NOMEM. Pool and yard hold at most a quarter each of the descriptors that this
 * process may have, so that visitors find some. */
int gw_admission_new(struct gw_admission **out, const struct gw_admission_config *cfg);
/* Closes everything that is pending. NULL is fine. */
void gw_admission_free(struct gw_admission *self);

/* Answer to KEYS (a reference is taken) from now on; handshakes under way end as they began. */
void gw_admission_set_keys(struct gw_admission *self, struct gw_keyring *keys);
/* Someone came to a tunnel listener. ARRIVAL's fd is taken. */
void gw_admission_accept(struct gw_admission *self, const struct gw_arrival *arrival);
/* A session of REMOTE's source began or ended: its source is trusted more than strangers. */
void gw_admission_session(struct gw_admission *self, const struct addr *remote, bool up);
/* A live contract names KEY now: whoever tried with it before may come back at once. */
void gw_admission_key_named(struct gw_admission *self, const uint8_t key[TUN_KEY_LEN]);
/* Handshakes under way, and connections that wait to begin one. */
size_t gw_admission_pending(const struct gw_admission *self);
size_t gw_admission_waiting(const struct gw_admission *self);

#endif
