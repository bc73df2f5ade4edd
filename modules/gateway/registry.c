/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions by key, and the exposures that name a key; see registry.h. */
#include "modules/gateway/registry.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/map.h"
#include "modules/gateway/tell.h"

#define BUSY_RETRY_MS 30000u /* a connector over sessions-per-key */
#define SECOND_LINK_RETRY_MS 600000u
#define TELL_DELAY_S 0.05 /* changes of exposures are told together */

TAILQ_HEAD(session_list, gw_session);

struct gw_key {
    uint8_t bytes[GW_KEY_LEN];
    struct gw_site **sites; /* owned array of borrowed sites, one entry per naming backend */
    size_t site_count, site_cap;
    struct session_list sessions;
    unsigned session_count;
    bool told; /* the list of exposures is current at its connectors, or on `untold` */
    TAILQ_ENTRY(gw_key) of_untold;
};

struct gw_registry {
    struct ev_loop *loop;
    struct gw_registry_config cfg;
    struct tun_session_ops ops;
    struct map *keys;
    struct session_list sessions;
    size_t count;
    uint64_t next_serial;
    TAILQ_HEAD(, gw_key) untold;
    ev_timer tell;
    bool moving; /* to a successor: who comes is told to go there */
    uint32_t move_spread_ms;
};

static struct gw_key *key_get(const struct gw_registry *self, const uint8_t key[GW_KEY_LEN])
{
    return map_get(self->keys, key, GW_KEY_LEN);
}

static struct gw_key *key_obtain(struct gw_registry *self, const uint8_t bytes[GW_KEY_LEN])
{
    struct gw_key *key = key_get(self, bytes);

    if (key != NULL)
        return key;
    key = calloc(1, sizeof(*key));
    if (key == NULL)
        return NULL;
    memcpy(key->bytes, bytes, GW_KEY_LEN);
    key->told = true;
    TAILQ_INIT(&key->sessions);
    if (map_put(self->keys, key->bytes, GW_KEY_LEN, key, NULL) != ERR_OK) {
        free(key);
        return NULL;
    }
    return key;
}

static void key_free(struct gw_registry *self, struct gw_key *key)
{
    if (!key->told)
        TAILQ_REMOVE(&self->untold, key, of_untold);
    free(key->sites);
    free(key);
}

/* A key that nobody names and nobody uses is forgotten. */
static void key_release(struct gw_registry *self, struct gw_key *key)
{
    if (key->site_count > 0 || key->session_count > 0)
        return;
    (void)map_remove(self->keys, key->bytes, GW_KEY_LEN);
    key_free(self, key);
}

static int key_name(struct gw_key *key, struct gw_site *site)
{
    if (key->site_count == key->site_cap) {
        size_t cap = key->site_cap > 0 ? key->site_cap * 2 : 4;
        struct gw_site **sites = reallocarray(key->sites, cap, sizeof(struct gw_site *));

        if (sites == NULL)
            return ERR_NOMEM;
        key->sites = sites;
        key->site_cap = cap;
    }
    key->sites[key->site_count++] = site;
    return ERR_OK;
}

static void key_unname(struct gw_key *key, const struct gw_site *site)
{
    for (size_t i = 0; i < key->site_count; i++) {
        if (key->sites[i] == site) {
            key->sites[i] = key->sites[--key->site_count];
            return;
        }
    }
}

/* The connectors of KEY shall hear soon what it serves. */
static void mark_untold(struct gw_registry *self, struct gw_key *key)
{
    if (!key->told || key->session_count == 0)
        return;
    key->told = false;
    TAILQ_INSERT_TAIL(&self->untold, key, of_untold);
    if (!ev_is_active(&self->tell)) {
        ev_timer_set(&self->tell, TELL_DELAY_S, 0.0);
        ev_timer_start(self->loop, &self->tell);
    }
}

/* Whether backend I is the first one with its key: several may go through one connector. */
static bool is_first_of_key(const struct gw_exposure *e, size_t i)
{
    if (!e->backends[i].tunnel)
        return false;
    for (size_t j = 0; j < i; j++) {
        if (e->backends[j].tunnel &&
            memcmp(e->backends[j].key, e->backends[i].key, GW_KEY_LEN) == 0)
            return false;
    }
    return true;
}

static unsigned count_online(const struct gw_registry *self, const struct gw_exposure *e)
{
    unsigned online = 0;

    for (size_t i = 0; e != NULL && i < e->backend_count; i++) {
        const struct gw_session *s;

        if (!is_first_of_key(e, i))
            continue;
        for (s = gw_registry_first(self, e->backends[i].key); s != NULL; s = TAILQ_NEXT(s, of_key))
            online += gw_session_serves(s, e);
    }
    return online;
}

void gw_registry_refresh(struct gw_registry *self, struct gw_site *site)
{
    unsigned online = count_online(self, site->exposure);

    if (online == site->online)
        return;
    site->online = online;
    self->cfg.on_site(self->cfg.arg, site);
}

/* The sessions of KEY changed. */
static void refresh_sites(struct gw_registry *self, const struct gw_key *key)
{
    for (size_t i = 0; i < key->site_count; i++)
        gw_registry_refresh(self, key->sites[i]);
}

static void discard(struct gw_session *session)
{
    struct gw_registry *self = session->registry;
    struct gw_key *key = session->key;

    gw_session_free(session);
    key->session_count--;
    key_release(self, key);
}

/* Out of the registry: no visitor is given to it any more. WHY is a fixed text. */
static void unlist(struct gw_session *session, const char *why)
{
    struct gw_registry *self = session->registry;

    if (!session->listed)
        return;
    session->listed = false;
    session->end_reason = why;
    TAILQ_REMOVE(&session->key->sessions, session, of_key);
    self->count--;
    refresh_sites(self, session->key);
    self->cfg.on_session(self->cfg.arg, session, false);
}

/* link.h: every stream has had its on_reset, the link is gone. */
static void on_closed(void *arg, int rc)
{
    struct gw_session *session = arg;
    struct gw_registry *self = session->registry;

    unlist(session, gw_session_end_text(rc));
    TAILQ_REMOVE(&self->sessions, session, of_all);
    discard(session);
}

static void end_session(struct gw_session *session, enum tun_code code, const char *why)
{
    unlist(session, why);
    link_close(session->link, code, why);
}

static void on_goaway(void *arg, const struct tun_notice *notice)
{
    struct gw_session *session = arg;

    (void)notice;
    session->draining = true;
    refresh_sites(session->registry, session->key);
}

/* In order; the connector closed it before the socket did. */
static void on_close(void *arg, const struct tun_notice *notice)
{
    struct gw_session *session = arg;

    (void)notice;
    unlist(session, "connector closed");
}

int gw_registry_bind(struct gw_registry *self, struct gw_site *site,
                     const struct gw_exposure *exposure)
{
    size_t i;

    for (i = 0; i < exposure->backend_count; i++) {
        struct gw_key *key;

        if (!exposure->backends[i].tunnel)
            continue;
        key = key_obtain(self, exposure->backends[i].key);
        if (key == NULL || key_name(key, site) != ERR_OK) {
            if (key != NULL)
                key_release(self, key);
            goto unname;
        }
        mark_untold(self, key);
    }
    return ERR_OK;

unname:
    while (i-- > 0) {
        struct gw_key *key;

        if (!exposure->backends[i].tunnel)
            continue;
        key = key_get(self, exposure->backends[i].key);
        key_unname(key, site);
        key_release(self, key);
    }
    return ERR_NOMEM;
}

/* Sessions of KEY whose twin names it no longer end; all of them when nobody does. */
static void end_unwanted(struct gw_key *key)
{
    struct gw_session *session, *next;

    for (session = TAILQ_FIRST(&key->sessions); session != NULL; session = next) {
        next = TAILQ_NEXT(session, of_key);
        if (!gw_session_is_wanted(session, key->sites, key->site_count))
            end_session(session, TUN_CODE_REVOKED, "no live contract names this key");
    }
}

void gw_registry_unbind(struct gw_registry *self, struct gw_site *site,
                        const struct gw_exposure *exposure)
{
    for (size_t i = 0; i < exposure->backend_count; i++) {
        struct gw_key *key;

        if (!exposure->backends[i].tunnel)
            continue;
        key = key_get(self, exposure->backends[i].key);
        key_unname(key, site);
        mark_untold(self, key);
        end_unwanted(key);
        key_release(self, key);
    }
}

bool gw_registry_is_named(const struct gw_registry *self, const uint8_t key[GW_KEY_LEN])
{
    const struct gw_key *found = key_get(self, key);

    return found != NULL && found->site_count > 0;
}

static bool is_zero(const uint8_t *data, size_t len)
{
    while (len > 0 && data[len - 1] == 0)
        len--;
    return len == 0;
}

/* The newest session of the same connector process; NULL when there is none (or it names no
 * instance). */
static struct gw_session *same_instance(struct gw_key *key, const struct tun_connector_info *info)
{
    struct gw_session *s, *newest = NULL;

    if (is_zero(info->instance, sizeof(info->instance)))
        return NULL;
    TAILQ_FOREACH(s, &key->sessions, of_key)
    {
        if (memcmp(s->instance, info->instance, sizeof(s->instance)) == 0 &&
            (newest == NULL || s->epoch >= newest->epoch))
            newest = s;
    }
    return newest;
}

static unsigned count_listed(const struct gw_key *key)
{
    const struct gw_session *s;
    unsigned n = 0;

    TAILQ_FOREACH(s, &key->sessions, of_key)
    n++;
    return n;
}

/* Whether a connector may come in; otherwise NOTICE says why not. *OLD is whom it replaces. */
static bool judge(struct gw_registry *self, struct gw_key *key,
                  const struct tun_connector_info *info, struct gw_session **old,
                  struct tun_notice *notice)
{
    struct gw_session *same = same_instance(key, info);

    *old = NULL;
    *notice = (struct tun_notice){0};
    if (same == NULL && count_listed(key) >= self->cfg.limits->sessions_per_key) {
        self->cfg.refused->count[GW_REASON_TUNNEL_TOO_MANY]++;
        notice->code = TUN_CODE_BUSY;
        notice->retry_ms = BUSY_RETRY_MS;
        strcpy(notice->why, "too many sessions with this key");
        return false;
    }
    if (same != NULL && info->epoch < same->epoch) {
        self->cfg.refused->count[GW_REASON_TUNNEL_STALE]++;
        notice->code = TUN_CODE_STALE;
        strcpy(notice->why, "a newer session of this connector is here");
        return false;
    }
    if (same != NULL && info->epoch == same->epoch && info->link != same->link_number) {
        self->cfg.refused->count[GW_REASON_TUNNEL_TOO_MANY]++;
        notice->code = TUN_CODE_BUSY;
        notice->retry_ms = SECOND_LINK_RETRY_MS;
        strcpy(notice->why, "one link per session here");
        return false;
    }
    *old = same;
    return true;
}

static int start_link(struct gw_registry *self, struct gw_session *session,
                      const struct tun_handshake_result *result, int fd)
{
    const struct gw_limits *limits = self->cfg.limits;
    struct tun_session_config tunnel = {
        .link = result,
        .ops = &self->ops,
        .arg = session,
        .stream_window = (uint32_t)limits->stream_window_bytes,
        .stream_window_max = (uint32_t)limits->stream_window_max_bytes,
        .session_window = (uint32_t)limits->session_window_bytes,
        .max_streams = (uint32_t)limits->streams_per_session,
    };
    struct link_config cfg = {.fd = fd, .session = &tunnel, .on_closed = on_closed, .arg = session};

    return link_new(&session->link, self->cfg.hub, &cfg);
}

static int say_accept(struct gw_registry *self, struct gw_session *session)
{
    const struct gw_keyring *keys = self->cfg.keys;
    const struct tun_public_key *next =
        keys != NULL ? gw_keyring_announce(keys, &session->gateway_key) : NULL;
    struct tun_accept accept = {.has_next_key = next != NULL};

    clock_random(accept.session, sizeof(accept.session));
    if (next != NULL)
        accept.next_key = *next;
    return tun_session_accept(link_session(session->link), &accept);
}

static void enlist(struct gw_registry *self, struct gw_session *session)
{
    session->listed = true;
    TAILQ_INSERT_TAIL(&session->key->sessions, session, of_key);
    self->count++;
    link_touch(session->link);
    mark_untold(self, session->key);
    self->cfg.on_session(self->cfg.arg, session, true);
    refresh_sites(self, session->key);
}

/*
 * A newer session of the same connector is here. One that came because we asked it to, or that said
 * goodbye to the old one first, keeps its streams there; else it has given them up.
 */
static void replace(struct gw_session *old)
{
    if (!old->leaving && !old->draining) {
        end_session(old, TUN_CODE_REPLACED, "replaced by a newer session");
        return;
    }
    old->draining = true;
    gw_session_goaway(
        old, &(struct tun_notice){.code = TUN_CODE_REPLACED, .why = "a newer one is here"});
    refresh_sites(old->registry, old->key);
}

int gw_registry_offer(struct gw_registry *self, const struct tun_handshake_result *result, int fd,
                      const struct addr *remote)
{
    struct gw_key *key = key_get(self, result->peer.bytes);
    struct gw_session *session, *old;
    struct tun_notice notice;
    bool welcome;

    if (key == NULL || key->site_count == 0) {
        self->cfg.refused->count[GW_REASON_TUNNEL_UNKNOWN_KEY]++;
        close(fd);
        return ERR_NOENT;
    }
    welcome = judge(self, key, &result->connector, &old, &notice);
    session = gw_session_new(result);
    if (session == NULL || start_link(self, session, result, fd) != ERR_OK) {
        close(fd);
        gw_session_free(session);
        return ERR_NOMEM;
    }
    session->registry = self;
    session->key = key;
    session->serial = ++self->next_serial;
    session->remote = *remote;
    key->session_count++;
    TAILQ_INSERT_TAIL(&self->sessions, session, of_all);
    if (!welcome) {
        link_reject(session->link, &notice);
        return ERR_REFUSED;
    }
    if (say_accept(self, session) != ERR_OK) {
        link_close(session->link, TUN_CODE_INTERNAL, "out of memory");
        return ERR_NOMEM;
    }
    enlist(self, session);
    if (old != NULL) /* after the new one is in: its visitors find somewhere to go */
        replace(old);
    if (self->moving)
        gw_session_move(session, self->move_spread_ms);
    return ERR_OK;
}

struct gw_session *gw_registry_first(const struct gw_registry *self, const uint8_t key[GW_KEY_LEN])
{
    const struct gw_key *found = key_get(self, key);

    return found != NULL ? TAILQ_FIRST(&found->sessions) : NULL;
}

size_t gw_registry_count(const struct gw_registry *self)
{
    return self->count;
}

void gw_registry_each(const struct gw_registry *self,
                      void (*fn)(void *arg, const struct gw_session_info *info), void *arg)
{
    const struct gw_session *session;
    struct gw_session_info info;

    TAILQ_FOREACH(session, &self->sessions, of_all)
    {
        if (!session->listed)
            continue;
        gw_session_info(session, &info);
        fn(arg, &info);
    }
}

void gw_registry_set_keys(struct gw_registry *self, struct gw_keyring *keys)
{
    struct gw_session *session;

    gw_keyring_unref(self->cfg.keys);
    self->cfg.keys = gw_keyring_ref(keys);
    TAILQ_FOREACH(session, &self->sessions, of_all)
    gw_session_announce(session, keys);
}

void gw_registry_goaway(struct gw_registry *self, enum tun_code code, const char *why)
{
    struct tun_notice notice = {.code = code};
    struct gw_session *session;

    (void)strncpy(notice.why, why, sizeof(notice.why) - 1);
    TAILQ_FOREACH(session, &self->sessions, of_all)
    gw_session_goaway(session, &notice);
}

void gw_registry_move(struct gw_registry *self, uint32_t spread_ms)
{
    struct gw_session *session;

    self->moving = true;
    self->move_spread_ms = spread_ms;
    TAILQ_FOREACH(session, &self->sessions, of_all)
    gw_session_move(session, self->move_spread_ms);
}

void gw_registry_stay(struct gw_registry *self)
{
    self->moving = false;
}

void gw_registry_close(struct gw_registry *self, enum tun_code code, const char *why)
{
    struct gw_session *session;

    TAILQ_FOREACH(session, &self->sessions, of_all) /* they leave the list from the loop */
    end_session(session, code, why);
}

static void on_tell(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_registry *self = w->data;
    struct gw_key *key;

    (void)loop;
    (void)revents;
    while ((key = TAILQ_FIRST(&self->untold)) != NULL) {
        struct gw_session *session;

        TAILQ_REMOVE(&self->untold, key, of_untold);
        key->told = true;
        TAILQ_FOREACH(session, &key->sessions, of_key)
        gw_tell(session, key->sites, key->site_count);
    }
}

int gw_registry_new(struct gw_registry **out, struct ev_loop *loop,
                    const struct gw_registry_config *cfg)
{
    struct gw_registry *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->keys) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    self->loop = loop;
    self->cfg = *cfg;
    if (self->cfg.keys != NULL)
        gw_keyring_ref(self->cfg.keys);
    self->ops = *cfg->stream_ops;
    self->ops.on_goaway = on_goaway;
    self->ops.on_close = on_close;
    TAILQ_INIT(&self->sessions);
    TAILQ_INIT(&self->untold);
    ev_init(&self->tell, on_tell);
    self->tell.data = self;
    *out = self;
    return ERR_OK;
}

void gw_registry_free(struct gw_registry *self)
{
    struct gw_session *session;
    struct gw_key *key;
    size_t at = 0;

    if (self == NULL)
        return;
    ev_timer_stop(self->loop, &self->tell);
    while ((session = TAILQ_FIRST(&self->sessions)) != NULL) {
        TAILQ_REMOVE(&self->sessions, session, of_all);
        if (session->listed)
            TAILQ_REMOVE(&session->key->sessions, session, of_key);
        session->listed = false;
        link_free(session->link);
        gw_session_free(session);
    }
    while ((key = map_next(self->keys, &at, NULL, NULL)) != NULL)
        key_free(self, key);
    map_free(self->keys);
    gw_keyring_unref(self->cfg.keys);
    free(self);
}
