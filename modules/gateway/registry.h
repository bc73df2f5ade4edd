/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connectors that are here: sessions by public key, which exposures name a key, and so which
 * sessions can serve which exposure. A connection enters only after its handshake proved the key:
 * it joins the session of its instance and epoch; a newer epoch takes over, an older one never
 * does. It carries no visitor.
 */
#ifndef MODULES_GATEWAY_REGISTRY_H
#define MODULES_GATEWAY_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/gateway/config.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/keyring.h"
#include "modules/gateway/refuse.h"
#include "modules/gateway/session.h"
#include "modules/gateway/site.h"

struct gw_registry; /* opaque: registry.c */

struct gw_registry_config {
    struct link_hub *hub;           /* borrowed */
    const struct gw_limits *limits; /* borrowed */
    struct gw_keyring *keys; /* ours, for what ACCEPT announces; a reference is taken; or NULL */
    /* The ops of streams; copied. On_goaway gets the session (struct gw_session): it takes no new
     * streams, those that wait for nothing shall end. */
    const struct tun_session_ops *stream_ops;
    struct gw_refused *refused; /* counters; borrowed */
    /* A session came (UP) or ended. */
    void (*on_session)(void *arg, const struct gw_session *session, bool up);
    /* A link of a session that goes on came or was lost, or streams resumed. */
    void (*on_link)(void *arg, const struct gw_session *session, const struct gw_link_news *news);
    /* The sessions that can serve SITE changed; site->online is new. */
    void (*on_site)(void *arg, struct gw_site *site);
    void *arg;
};

int gw_registry_new(struct gw_registry **out, struct ev_loop *loop,
                    const struct gw_registry_config *cfg); /* 0 or ERR_NOMEM */
/* Cuts every session; no callback but the streams' on_reset runs. NULL is fine. */
void gw_registry_free(struct gw_registry *self);

/* SITE's exposure (new) names these keys; its sessions count from the next gw_registry_refresh on.
 * Returns 0 or ERR_NOMEM; then nothing changed. */
int gw_registry_bind(struct gw_registry *self, struct gw_site *site,
                     const struct gw_exposure *exposure);
/* Undo bind for EXPOSURE; sessions whose key nobody names any more end. */
void gw_registry_unbind(struct gw_registry *self, struct gw_site *site,
                        const struct gw_exposure *exposure);
/* Count site->online anew from its present exposure and tell on_site when it changed. */
void gw_registry_refresh(struct gw_registry *self, struct gw_site *site);
/* Whether a live exposure names KEY. */
bool gw_registry_is_named(const struct gw_registry *self, const uint8_t key[GW_KEY_LEN]);

/*
 * A connector proved its key: take it, tell it why not, or close without a word when no exposure
 * names the key (ERR_NOENT). FD is the registry's in any case. Returns 0, ERR_NOENT, ERR_REFUSED
 * (told) or ERR_NOMEM.
 */
int gw_registry_offer(struct gw_registry *self, const struct tun_handshake_result *result, int fd,
                      const struct addr *remote);

/* Our keys are others now (a reference is taken). */
void gw_registry_set_keys(struct gw_registry *self, struct gw_keyring *keys);

/* First session of KEY, oldest first; then the next one with TAILQ_NEXT(s, of_key). */
struct gw_session *gw_registry_first(const struct gw_registry *self, const uint8_t key[GW_KEY_LEN]);
size_t gw_registry_count(const struct gw_registry *self);
void gw_registry_each(const struct gw_registry *self,
                      void (*fn)(void *arg, const struct gw_session_info *info), void *arg);
/* Tell every connector that this process ends (GOAWAY). */
void gw_registry_goaway(struct gw_registry *self, enum tun_code code, const char *why);
/*
 * Another process takes over at our address: ask every connector, and whoever comes from now on, to
 * begin a session there within SPREAD_MS (GOAWAY with code upgrade). Visitors go on being served on
 * the sessions that are here.
 */
void gw_registry_move(struct gw_registry *self, uint32_t spread_ms);
/* Another worker has KEY now: ask its connectors here to begin a session anew, which comes there.
 */
void gw_registry_leave_key(struct gw_registry *self, const uint8_t key[GW_KEY_LEN]);
/* SITE's EXPOSURE, bound here, is served by another worker from now on: sessions that no other site
 * needs end in order, as those of a process that stops. Before it is unbound. */
void gw_registry_part(struct gw_registry *self, const struct gw_site *site,
                      const struct gw_exposure *exposure);
/* Nobody takes over after all: who comes now may stay. */
void gw_registry_stay(struct gw_registry *self);
/* End every session in order (CLOSE with CODE and WHY, a fixed text); what is open on them is cut.
 */
void gw_registry_close(struct gw_registry *self, enum tun_code code, const char *why);

#endif
