/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions by key, which exposures they serve, and how each one begins and ends; see registry.h. */
#include "modules/gateway/registry.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/map.h"
#include "modules/gateway/key.h"
#include "modules/gateway/tell.h"

#define BUSY_RETRY_MS 30000u /* a connector over sessions-per-key, a session over its links */
#define LEFT_SPARE 8u        /* of a key, being left: as many as may serve, and these */
#define TELL_DELAY_S 0.05    /* changes of exposures are told together */

struct gw_registry {
    struct ev_loop *loop;
    struct gw_registry_config cfg;
    struct tun_session_ops ops;
    void (*on_goaway)(void *arg, const struct tun_notice *notice); /* the streams'; may be NULL */
    struct map *keys;
    struct gw_session_list sessions;
    size_t count;
    uint64_t next_serial;
    TAILQ_HEAD(, gw_key) untold;
    ev_timer tell;
    bool moving; /* to a successor: who comes is told to go there */
    uint32_t move_spread_ms;
};

static struct gw_key *key_get(const struct gw_registry *self, const uint8_t key[GW_KEY_LEN])
{
    return gw_key_get(self->keys, key);
}

/* A key that nobody names and nobody uses is forgotten. */
static void key_release(struct gw_registry *self, struct gw_key *key)
{
    if (key->site_count > 0 || key->session_count > 0)
        return;
    if (!key->told)
        TAILQ_REMOVE(&self->untold, key, of_untold);
    (void)map_remove(self->keys, key->bytes, GW_KEY_LEN);
    gw_key_free(key);
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
    session->key->lost = (struct gw_loss){clock_unix_ms(), why};
    TAILQ_REMOVE(&session->key->sessions, session, of_key);
    self->count--;
    refresh_sites(self, session->key);
    self->cfg.on_session(self->cfg.arg, session, false);
}

/* Every stream has had its on_reset, the links are gone. Who had no link for too long is gone for
 * the reason that took the last one. */
static void on_closed(void *arg, int rc)
{
    struct gw_session *session = arg;
    struct gw_registry *self = session->registry;

    session->links = NULL;
    session->failed = session->listed;
    unlist(session, rc == ERR_TIMEOUT && session->lost_why != NULL ? session->lost_why
                                                                   : gw_session_end_text(rc));
    TAILQ_REMOVE(&self->sessions, session, of_all);
    discard(session);
}

static void end_session(struct gw_session *session, enum tun_code code, const char *why)
{
    unlist(session, why);
    link_session_close(session->links, code, why);
}

/* Its streams wait for another link; who has none left serves no new visitors. */
static void on_lost(void *arg, const struct link_lost *lost)
{
    struct gw_session *session = arg;
    struct gw_registry *self = session->registry;
    struct gw_link_news news = {.what = GW_LINK_LOST,
                                .number = lost->number,
                                .remote = &lost->remote,
                                .why = gw_session_lost_text(lost->rc, errno)};

    if (!session->listed)
        return;
    session->lost_why = news.why;
    session->key->lost = (struct gw_loss){clock_unix_ms(), news.why};
    self->cfg.on_link(self->cfg.arg, session, &news);
    refresh_sites(self, session->key);
}

static void on_resumed(void *arg, uint32_t moved)
{
    struct gw_session *session = arg;
    struct gw_link_news news = {.what = GW_LINK_RESUMED, .streams = moved};

    if (session->listed)
        session->registry->cfg.on_link(session->registry->cfg.arg, session, &news);
}

/* No new visitors for SESSION; streams that wait for nothing end. */
static void begin_draining(struct gw_session *session, const struct tun_notice *notice)
{
    struct gw_registry *self = session->registry;

    session->draining = true;
    refresh_sites(self, session->key);
    if (self->on_goaway != NULL)
        self->on_goaway(session, notice);
}

static void on_goaway(void *arg, const struct tun_notice *notice)
{
    begin_draining(arg, notice);
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
        key = gw_key_obtain(self->keys, exposure->backends[i].key);
        if (key == NULL || gw_key_name(key, site) != ERR_OK) {
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
        gw_key_unname(key, site);
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
        gw_key_unname(key, site);
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

/* Tell the connector why not. */
static int refuse(struct gw_registry *self, const struct link_join *join, enum tun_code code,
                  const char *why)
{
    struct tun_notice notice = {.code = code};

    if (code == TUN_CODE_BUSY)
        notice.retry_ms = BUSY_RETRY_MS;
    self->cfg.refused
        ->count[code == TUN_CODE_STALE ? GW_REASON_TUNNEL_STALE : GW_REASON_TUNNEL_TOO_MANY]++;
    tun_frame_set_why(&notice, why);
    if (link_session_refuse(self->cfg.hub, join, &notice) != ERR_OK)
        close(join->fd);
    return ERR_REFUSED;
}

static int join(struct gw_registry *self, struct gw_session *session, const struct link_join *link)
{
    const struct gw_keyring *keys = self->cfg.keys;
    const struct tun_public_key *next =
        keys != NULL ? gw_keyring_announce(keys, &link->result->own) : NULL;
    struct tun_accept accept = {.has_next_key = next != NULL};

    if (next != NULL)
        accept.next_key = *next;
    return link_session_join(session->links, link, &accept);
}

static int start_links(struct gw_registry *self, struct gw_session *session)
{
    const struct gw_limits *limits = self->cfg.limits;
    struct tun_session_config tunnel = {
        .role = TUN_GATEWAY,
        .ops = &self->ops,
        .arg = session,
        .stream_window = (uint32_t)limits->stream_window_bytes,
        .stream_window_max = (uint32_t)limits->stream_window_max_bytes,
        .session_window = (uint32_t)limits->session_window_bytes,
        .max_streams = (uint32_t)limits->streams_per_session,
        .resume_ms = (uint32_t)limits->resume_window_ms,
    };
    struct link_session_config cfg = {
        .tunnel = &tunnel, .on_closed = on_closed, .on_lost = on_lost, .arg = session};

    return link_session_new(&session->links, self->cfg.hub, &cfg);
}

static void enlist(struct gw_registry *self, struct gw_session *session, struct gw_key *key)
{
    session->registry = self;
    session->key = key;
    session->serial = ++self->next_serial;
    key->session_count++;
    TAILQ_INSERT_TAIL(&self->sessions, session, of_all);
    session->listed = true;
    TAILQ_INSERT_TAIL(&key->sessions, session, of_key);
    self->count++;
    mark_untold(self, key);
    self->cfg.on_session(self->cfg.arg, session, true);
    refresh_sites(self, key);
}

/*
 * A newer session of the same connector is here. One that came because we asked it to, or that said
 * goodbye to the old one first, keeps its streams there; else it has given them up.
 */
static void replace(struct gw_session *old)
{
    static const struct tun_notice newer = {.code = TUN_CODE_REPLACED,
                                            .why = "a newer one is here"};

    if (!old->leaving && !old->draining) {
        end_session(old, TUN_CODE_REPLACED, "replaced by a newer session");
        return;
    }
    gw_session_goaway(old, &newer);
    begin_draining(old, &newer);
}

/* A connector leaves one session at a time; one that hoards them loses the oldest. */
static void end_left_over(struct gw_registry *self, const struct gw_key *key)
{
    unsigned max = (unsigned)self->cfg.limits->sessions_per_key + LEFT_SPARE;
    struct gw_session *oldest;

    while ((oldest = gw_key_left_over(key, max)) != NULL)
        end_session(oldest, TUN_CODE_LIMIT, "too many sessions are being left");
}

/* The first link of a session, which replaces OLD. */
static int add_session(struct gw_registry *self, struct gw_key *key, struct gw_session *old,
                       const struct link_join *link)
{
    struct gw_session *session = gw_session_new(link->result, link->remote);
    int rc = session != NULL ? start_links(self, session) : ERR_NOMEM;

    if (rc == ERR_OK)
        rc = join(self, session, link);
    if (rc != ERR_OK) {
        gw_session_free(session);
        close(link->fd);
        return rc;
    }
    enlist(self, session, key);
    if (old != NULL) /* after the new one is in: its visitors find somewhere to go */
        replace(old);
    end_left_over(self, key);
    if (self->moving)
        gw_session_move(session, self->move_spread_ms);
    return ERR_OK;
}

/* Another link of a session that is here. */
static int add_link(struct gw_registry *self, struct gw_session *session,
                    const struct link_join *link)
{
    struct gw_link_news news = {.what = GW_LINK_UP, .number = link->number, .remote = link->remote};
    int rc = join(self, session, link);

    if (rc == ERR_LIMIT)
        return refuse(self, link, TUN_CODE_BUSY, "too many links of this session");
    if (rc != ERR_OK) {
        close(link->fd);
        return rc;
    }
    session->remote = *link->remote;
    session->gateway_key = link->result->own;
    if (link_session_live(session->links) == 1) /* nothing was told while it had none */
        mark_untold(self, session->key);
    self->cfg.on_link(self->cfg.arg, session, &news);
    refresh_sites(self, session->key);
    return ERR_OK;
}

int gw_registry_offer(struct gw_registry *self, const struct tun_handshake_result *result, int fd,
                      const struct addr *remote)
{
    const struct tun_connector_info *info = &result->connector;
    struct link_join link = {.fd = fd, .number = info->link, .result = result, .remote = remote};
    struct gw_key *key = key_get(self, result->peer.bytes);
    struct gw_session *same;

    if (key == NULL || key->site_count == 0) {
        self->cfg.refused->count[GW_REASON_TUNNEL_UNKNOWN_KEY]++;
        close(fd);
        return ERR_NOENT;
    }
    same = gw_key_instance(key, info);
    if (same != NULL && info->epoch == same->epoch)
        return add_link(self, same, &link);
    if (same != NULL && info->epoch < same->epoch)
        return refuse(self, &link, TUN_CODE_STALE, "a newer session of this connector is here");
    if (same == NULL && gw_key_count(key) >= self->cfg.limits->sessions_per_key)
        return refuse(self, &link, TUN_CODE_BUSY, "too many sessions with this key");
    return add_session(self, key, same, &link);
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

void gw_registry_leave_key(struct gw_registry *self, const uint8_t bytes[GW_KEY_LEN])
{
    const struct gw_key *key = key_get(self, bytes);
    struct gw_session *session;

    if (key == NULL)
        return;
    TAILQ_FOREACH(session, &key->sessions, of_key)
    {
        if (!session->leaving)
            gw_session_move(session, 0);
    }
}

void gw_registry_part(struct gw_registry *self, const struct gw_site *site,
                      const struct gw_exposure *exposure)
{
    struct gw_session *session;

    for (size_t i = 0; i < exposure->backend_count; i++) {
        struct gw_key *key = key_get(self, exposure->backends[i].key);

        while (key != NULL && gw_key_is_only_for(key, site) &&
               (session = TAILQ_FIRST(&key->sessions)) != NULL)
            end_session(session, TUN_CODE_SHUTDOWN, "another thread has its key");
    }
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
    self->on_goaway = self->ops.on_goaway;
    self->ops.on_goaway = on_goaway;
    self->ops.on_close = on_close;
    self->ops.on_resumed = on_resumed;
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
        gw_session_free(session);
    }
    while ((key = map_next(self->keys, &at, NULL, NULL)) != NULL)
        gw_key_free(key);
    map_free(self->keys);
    gw_keyring_unref(self->cfg.keys);
    free(self);
}
