/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane as control sees it: one worker owns the listeners, the connectors' sessions, the
 * routes and every visitor, alone or with others behind it, each in a thread of its own (crew.h,
 * sharing.h). It reads no bus, no disk and no contract; control tells it what to serve and asks
 * what happens. Everything that control hears comes from the loop given at creation; what is asked
 * of the other threads is waited for, a turn of theirs long.
 */
#ifndef MODULES_GATEWAY_GATEWAY_H
#define MODULES_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/gateway/arrival.h"
#include "modules/gateway/config.h"
#include "modules/gateway/exposure.h"
#include "modules/gateway/heritage.h"
#include "modules/gateway/keyring.h"
#include "modules/link/session.h"

struct ev_loop;
struct gw_doors;
struct gw_move;
struct gw_worker; /* opaque: gateway.c */

/* How a tunnel was lost. */
struct gw_loss {
    uint64_t at_ms;  /* unix time; 0 = never */
    const char *why; /* fixed text */
};

/* A connector session, as `netwall tunnels` shows it. Borrowed for the length of the call. */
struct gw_session_info {
    uint8_t key[GW_KEY_LEN];
    uint8_t gateway_key[GW_KEY_LEN]; /* which of the gateway's keys it was made with */
    uint8_t instance[16];
    uint64_t epoch;
    uint32_t twin;    /* 0 = the connector names none */
    const char *name; /* as the connector calls itself; from outside: escape it */
    const char *software;
    struct addr home;                            /* where its first link came from */
    struct addr remote;                          /* the latest one */
    uint64_t since_ms;                           /* unix time */
    unsigned links;                              /* live */
    struct link_info connections[TUN_LINKS_MAX]; /* these */
    uint32_t rtt_us;                             /* of the best one; 0 = unknown */
    uint32_t streams;
    uint32_t streams_waiting; /* of them, for a link */
    uint32_t resumes;         /* times that streams went on after a loss */
    uint64_t rx_bytes;        /* payload from the connector */
    uint64_t tx_bytes;
    struct gw_loss lost; /* the last link or session of its key */
    const char *state;   /* "up", "waiting" (no live link) or "draining" */
};

/* What happened to a link of a session that goes on. Borrowed for the length of the call. */
enum gw_link_what {
    GW_LINK_UP,      /* one more */
    GW_LINK_LOST,    /* one less; its streams wait for another */
    GW_LINK_RESUMED, /* streams of lost links go on */
};

struct gw_link_news {
    enum gw_link_what what;
    uint8_t number;            /* not for RESUMED */
    const struct addr *remote; /* likewise */
    const char *why;           /* LOST: fixed text */
    uint32_t streams;          /* RESUMED: that moved */
};

/* Visitor payload of one workload since this process started. */
struct gw_usage {
    uint64_t rx_bytes;    /* from visitors */
    uint64_t tx_bytes;    /* to visitors */
    uint64_t connections; /* that reached a backend */
    uint32_t active;      /* visitors connected to it now */
};

/* The latest failure between the gateway and a service, for the workload's state. */
struct gw_last_error {
    uint64_t at_ms; /* unix time */
    bool is_tunnel; /* whether `connector` is set */
    uint8_t connector[GW_KEY_LEN];
    const char *what; /* from us or from the connector: escape it */
};

/*
 * What control wants to hear. Each may be NULL. They run from the loop or from inside
 * gw_worker_set_exposure/_remove_exposure; they must not call the worker back, except for the
 * gw_worker_each_* and _count functions.
 */
struct gw_events {
    /* A session was proven and registered (UP), or ended; WHY is a short text, NULL when UP. */
    void (*on_session)(void *arg, const struct gw_session_info *info, bool up, const char *why);
    /* The same for one link; INFO is how the session is now. */
    void (*on_link)(void *arg, const struct gw_session_info *info, const struct gw_link_news *news);
    /* The number of sessions that can serve workload ID changed. */
    void (*on_online)(void *arg, const char *id, unsigned online);
    void (*on_last_error)(void *arg, const char *id, const struct gw_last_error *error);
    void *arg;
};

struct gw_worker_config {
    const struct gw_config *config; /* borrowed; must outlive the worker */
    struct gw_keyring_config keys;  /* the gateway's static keys; copied */
    struct gw_events events;        /* copied */
    struct gw_heritage *heritage;   /* see gw_doors_config */
    bool held;                      /* likewise; until gw_doors_open */
};

/*
 * Bind all listeners of the config (an address family the host lacks is a warning) and start
 * serving; without exposures everything is refused. Returns 0, ERR_NOMEM, or ERR_SYS with errno
 * when an address cannot be bound (logged with the address).
 */
int gw_worker_new(struct gw_worker **out, struct ev_loop *loop, const struct gw_worker_config *cfg);
/* End everything at once; visitors are reset. NULL is fine. No event runs. */
void gw_worker_free(struct gw_worker *self);
/*
 * Answer to other keys (copied) from now on. Sessions and handshakes under way go on with the key
 * they were made with; connectors hear which key to add. Returns 0, or ERR_NOMEM: nothing changed.
 */
int gw_worker_set_keys(struct gw_worker *self, const struct gw_keyring_config *keys);

/* The section [http] of the config, which the worker borrows, may have changed. */
void gw_worker_reload(struct gw_worker *self);
/* The file of the access log was renamed: go on in a new one. */
void gw_worker_reopen_log(struct gw_worker *self);

/*
 * Serve EXPOSURE (a reference is taken): new, or in place of the one with the same id. Visitors who
 * are connected stay, unless the new one is paused, on another port, or lacks the backend they use
 * (that ends GW_RETIRE_MS later, so that short requests finish); connectors that no exposure names
 * any longer are closed, with the same delay. A TCP port is bound here. Returns 0;
 * ERR_SYS with errno (EADDRINUSE, ...) when the port cannot be bound; ERR_EXISTS when the host or
 * port belongs to another id; ERR_LIMIT at [limits] exposures; ERR_INVALID; ERR_NOMEM. On error
 * nothing changed.
 */
int gw_worker_set_exposure(struct gw_worker *self, struct gw_exposure *exposure);
/* New visitors no longer find ID by its host; who is in stays. Until it is set anew, under another
 * host, or removed. */
void gw_worker_unlist_exposure(struct gw_worker *self, const char *id);
/* Stop serving ID, end its visitors, unbind its port. Returns 0 or ERR_NOENT. Its usage stays
 * readable until gw_worker_forget_usage. */
int gw_worker_remove_exposure(struct gw_worker *self, const char *id);

/* Sessions that can serve ID now; 0 for an unknown one. */
unsigned gw_worker_online(const struct gw_worker *self, const char *id);
/* Usage of every id seen since the start, removed ones too. */
void gw_worker_each_usage(const struct gw_worker *self,
                          void (*fn)(void *arg, const char *id, const struct gw_usage *usage),
                          void *arg);
/* Usage of ID; false when nothing is known of it. */
bool gw_worker_usage(const struct gw_worker *self, const char *id, struct gw_usage *out);
/* Drop the numbers of an id that is no longer served; a served one stays. */
void gw_worker_forget_usage(struct gw_worker *self, const char *id);
void gw_worker_each_session(const struct gw_worker *self,
                            void (*fn)(void *arg, const struct gw_session_info *info), void *arg);
/* The same for the sessions of one connector key. */
void gw_worker_sessions_of(const struct gw_worker *self, const uint8_t key[GW_KEY_LEN],
                           void (*fn)(void *arg, const struct gw_session_info *info), void *arg);
/* How often each reason refused a visitor or a connector; only reasons that happened. */
void gw_worker_each_refused(const struct gw_worker *self,
                            void (*fn)(void *arg, const char *reason, uint64_t count), void *arg);
size_t gw_worker_count_exposures(const struct gw_worker *self);
size_t gw_worker_count_sessions(const struct gw_worker *self);
size_t gw_worker_count_visitors(const struct gw_worker *self);

/*
 * Graceful end: close the public listeners, tell the connectors (GOAWAY), let visitors finish up to
 * drain-timeout. When the last visitor is gone or the time is up the sessions end in order (CLOSE).
 * ON_DONE runs once from the loop after that; it may free the worker.
 */
void gw_worker_drain(struct gw_worker *self, void (*on_done)(void *arg), void *arg);

/* ---- a successor; see upgrade.h ---- */

/* See ending.h. */
void gw_worker_move(struct gw_worker *self, const struct gw_move *move);
void gw_worker_stay(struct gw_worker *self);
void gw_worker_retire(struct gw_worker *self, void (*on_done)(void *arg), void *arg);
/* Its listeners, which stay the worker's. */
struct gw_doors *gw_worker_doors(struct gw_worker *self);
/* A connector that came to the predecessor's TLS port. */
void gw_worker_take_tunnel(struct gw_worker *self, const struct gw_arrival *arrival);
/* Count MORE for ID: a predecessor's visitors. `active` of MORE is not looked at. */
void gw_worker_add_usage(struct gw_worker *self, const char *id, const struct gw_usage *more);

/* The n-th bound address of the HTTP, HTTPS or tunnel listeners ("http", "https", "tunnel"), for
 * tests and for port 0. Returns 0 or ERR_NOENT. */
int gw_worker_bound(const struct gw_worker *self, const char *what, size_t n, struct addr *out);

#endif
