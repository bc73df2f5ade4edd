/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry on a loop of its own, and connectors whose handshake is taken as done: real links over
 * socketpairs, without worker, listeners and routes. For tests of the files around the registry.
 */
#ifndef TESTS_GATEWAY_SEAT_H
#define TESTS_GATEWAY_SEAT_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/config.h"
#include "modules/gateway/registry.h"
#include "modules/link/pipe.h"
#include "modules/link/session.h"

#define SEAT_RESUME_MS 300

struct seat {
    struct ev_loop *loop;
    struct link_hub *hub;
    struct gw_registry *registry;
    struct gw_limits limits;
    struct gw_refused refused;
    unsigned ups, downs;
    const char *why;    /* of the last one that ended */
    unsigned site_told; /* how often on_site ran */
    unsigned link_ups, link_losses, resumes;
    const char *link_why; /* of the last one that was lost */
};

/* A connector. */
struct seat_connector {
    struct link_session *session;
    int fds[TUN_LINKS_MAX + 1]; /* by link number */
    unsigned losses;            /* of its links */
    int rc;                     /* what gw_registry_offer said */
    bool accepted, rejected, goaway, closed, vanished;
    enum tun_code code; /* of the reject, close or last goaway */
    unsigned lists;     /* EXPOSURES so far */
    unsigned lines;     /* in the last one */
    char last[TUN_URL_MAX + 1];
    unsigned growing;              /* lines of the one under way */
    struct tun_stream *streams[8]; /* opened by the gateway and not answered by us */
    unsigned opens;
    struct link_pipe *pipe; /* when it is set: carries the last stream */
    bool reset;             /* a stream was */
    unsigned next_keys;
    struct tun_public_key next_key; /* the last one */
};

void seat_init(struct seat *self);
/* Connectors must be gone (seat_leave). */
void seat_deinit(struct seat *self);

/* A site named ID with an exposure of one tunnel backend with key N; not bound. */
struct gw_site *seat_site(const char *id, uint8_t n);
/* Bind and count. */
void seat_bind(struct seat *self, struct gw_site *site);
/* Undo seat_bind and free SITE. */
void seat_unbind(struct seat *self, struct gw_site *site);

/* A connector with key N (32 times that byte) and INFO is offered to the registry. */
void seat_offer(struct seat *self, struct seat_connector *connector, uint8_t n,
                const struct tun_connector_info *info);
/* One link more for its session. */
void seat_link(struct seat *self, struct seat_connector *connector, uint8_t n,
               const struct tun_connector_info *info);
/* The network takes link NUMBER away. */
void seat_cut(struct seat_connector *connector, uint8_t number);
/* The same as seat_offer, with an instance id of its own and nothing else; it must be taken. */
void seat_join(struct seat *self, struct seat_connector *connector, uint8_t n, uint8_t instance);
/* The last stream is accepted and carried to the socket FD, which is the connector's. */
void seat_carry(struct seat *self, struct seat_connector *connector, int fd);
/* The connector's side is cut; fine when it is gone. */
void seat_leave(struct seat_connector *connector);

#endif
