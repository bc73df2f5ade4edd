/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names to addresses, and TXT records, without blocking (c-ares on libev). It keeps no
 * cache: every question goes out again, so a moved name is followed.
 */
#ifndef MODULES_NET_RESOLVE_H
#define MODULES_NET_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"

#define NET_RESOLVE_ADDRS_MAX 16 /* addresses given for one name */
#define NET_RESOLVE_TEXTS_MAX 32 /* TXT records given for one name */

struct ev_loop;
struct net_resolver; /* opaque: resolve.c; the channel, one per loop */
struct net_resolve;  /* opaque: one question */

struct net_resolver_config {
    /* "ip[:port],…"; NULL or "" = the system's: /etc/resolv.conf, followed as it changes (a node
     * may start before its network is there); questions under way then end with ERR_CANCELLED */
    const char *servers;
    const char *resolv_conf; /* instead of /etc/resolv.conf; borrowed; NULL = that */
    bool absolute;           /* names are whole: the system's search list is not tried */
    uint32_t timeout_ms;     /* a whole question, all servers and tries; 0 = 5000 */
};

/*
 * RC 0: ADDRS holds 1..NET_RESOLVE_ADDRS_MAX addresses with the asked port, in the order to try
 * them. ERR_NOENT: no such name, or it has no address. ERR_TIMEOUT, ERR_REFUSED (the servers
 * failed), ERR_INVALID (not a name), ERR_NOMEM. ADDRS lives for the call.
 */
typedef void net_resolve_addrs_fn(void *arg, int rc, const struct addr *addrs, size_t count);
/* TEXTS: one NUL-terminated string per TXT record (its parts joined); RC as above. */
typedef void net_resolve_texts_fn(void *arg, int rc, const char *const *texts, size_t count);

/* Returns 0, ERR_NOMEM, or ERR_INVALID (servers). */
int net_resolver_new(struct net_resolver **out, struct ev_loop *loop,
                     const struct net_resolver_config *cfg);
/* Every open question is dropped, its callback never runs. NULL is fine. */
void net_resolver_free(struct net_resolver *self);

/* One question. Exactly one of the two callbacks is set and decides what is asked for. */
struct net_resolve_question {
    const char *name;               /* copied; a literal IP is answered as itself */
    uint16_t port;                  /* put into every address */
    net_resolve_addrs_fn *on_addrs; /* A and AAAA; /etc/hosts counts */
    net_resolve_texts_fn *on_texts; /* TXT */
    void *arg;
};

/*
 * Returns 0 and a handle valid until the callback starts, or ERR_INVALID or ERR_NOMEM; then no
 * callback runs. It never runs inside this function.
 */
int net_resolve_start(struct net_resolve **out, struct net_resolver *resolver,
                      const struct net_resolve_question *question);
/* No callback will run. Frees the handle; NULL is fine. */
void net_resolve_cancel(struct net_resolve *self);

#endif
