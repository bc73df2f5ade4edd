/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: puts listeners, routes, sessions, admission and visitors together, and answers what
 * control asks. Each of these decides for itself; here they only meet. What it serves is
 * exposing.c, what it counts numbers.c.
 */
#include "modules/gateway/gateway.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/base/log.h"
#include "modules/gateway/access.h"
#include "modules/gateway/admission.h"
#include "modules/gateway/conn.h"
#include "modules/gateway/crew.h"
#include "modules/gateway/doors.h"
#include "modules/gateway/ending.h"
#include "modules/gateway/gateway_impl.h"
#include "modules/gateway/key.h"
#include "modules/gateway/owner.h"
#include "modules/gateway/registry.h"
#include "modules/gateway/retire.h"
#include "modules/gateway/share.h"
#include "modules/gateway/sharing.h"
#include "modules/gateway/template.h"
#include "modules/gateway/tidings.h"
#include "modules/gateway/way.h"
#include "modules/http/template.h"
#include "modules/net/hangup.h"
#include "modules/net/mail.h"

/* --- what the parts tell --- */

static void on_visitor(void *arg, enum gw_port_kind port, int fd, const struct addr *peer)
{
    struct gw_worker *self = arg;

    gw_conn_accept(&self->front, port, fd, peer);
}

static void on_tunnel(void *arg, const struct gw_arrival *arrival)
{
    struct gw_worker *self = arg;

    if (self->ending.move.on_tunnel != NULL)
        self->ending.move.on_tunnel(self->ending.move.arg, arrival);
    else
        gw_admission_accept(self->admission, arrival);
}

int gw_worker_offer(struct gw_worker *self, const struct tun_handshake_result *result, int fd,
                    const struct addr *remote)
{
    int rc = gw_registry_offer(self->registry, result, fd, remote);
    uint32_t times = rc == ERR_NOENT ? log_pace(&self->strangers, clock_mono_ms()) : 0;

    if (times > 0) {
        char key[2 * GW_KEY_LEN + 1], from[ADDR_TEXT_MAX];

        hex_encode(key, result->peer.bytes, GW_KEY_LEN);
        addr_print(from, remote);
        LOG_INFO("connector refused: no live contract names its key", KV_S("key", key),
                 KV_S("remote", from), KV_S("name", result->connector.name), KV_N("times", times));
    }
    return rc;
}

static int on_proven(void *arg, const struct tun_handshake_result *result, int fd,
                     const struct addr *remote)
{
    struct gw_worker *self = arg;
    unsigned to = self->crew != NULL ? gw_shares_of(self->shares, result->peer.bytes) : 0;

    if (to != 0)
        return gw_tidings_offer(self, to, result, fd, remote);
    return gw_worker_offer(self, result, fd, remote);
}

/* Its workloads show why they have one session less. */
static void tell_failed(struct gw_worker *self, const struct gw_session *session)
{
    struct gw_last_error error = {.at_ms = clock_unix_ms(), .is_tunnel = true};
    char what[64];

    (void)snprintf(what, sizeof(what), "tunnel lost: %s", session->end_reason);
    error.what = what;
    memcpy(error.connector, gw_session_key(session), GW_KEY_LEN);
    for (size_t i = 0; i < session->key->site_count; i++)
        self->events.on_last_error(self->events.arg, session->key->sites[i]->id, &error);
}

/* WHY it ended, or NULL: it is up. TIMES: events that this line stands for; 0 = write none. */
static void log_session(const struct gw_session_info *info, const char *why, uint32_t times)
{
    char key[2 * GW_KEY_LEN + 1], from[ADDR_TEXT_MAX];

    if (times == 0)
        return;
    hex_encode(key, info->key, GW_KEY_LEN);
    addr_print(from, &info->remote);
    LOG_INFO(why == NULL ? "tunnel up" : "tunnel down", KV_S("key", key), KV_S("name", info->name),
             KV_S("remote", from), KV_N("epoch", info->epoch),
             KV_S("why", why == NULL ? "proven" : why), KV_N("times", times));
}

static void on_session(void *arg, const struct gw_session *session, bool up)
{
    struct gw_worker *self = arg;
    uint32_t times = log_pace(&session->key->pace, clock_mono_ms());
    struct gw_session_info info;

    gw_session_info(session, &info);
    log_session(&info, up ? NULL : session->end_reason, times);
    if (self->admission != NULL) /* else the first worker hears of it as control does */
        gw_admission_session(self->admission, &session->home, up);
    if (self->events.on_session != NULL)
        self->events.on_session(self->events.arg, &info, up, up ? NULL : session->end_reason);
    if (session->failed && self->events.on_last_error != NULL)
        tell_failed(self, session);
}

static void log_link(const struct gw_session_info *info, const struct gw_link_news *news,
                     uint32_t times)
{
    char key[2 * GW_KEY_LEN + 1], from[ADDR_TEXT_MAX] = "";

    if (times == 0)
        return;
    hex_encode(key, info->key, GW_KEY_LEN);
    if (news->remote != NULL)
        addr_print(from, news->remote);
    if (news->what == GW_LINK_RESUMED)
        LOG_INFO("streams resumed", KV_S("key", key), KV_S("name", info->name),
                 KV_N("streams", news->streams), KV_N("links", info->links), KV_N("times", times));
    else
        LOG_INFO(news->what == GW_LINK_UP ? "link up" : "link lost", KV_S("key", key),
                 KV_S("name", info->name), KV_N("link", news->number), KV_S("remote", from),
                 KV_N("links", info->links), KV_S("why", news->why), KV_N("times", times));
}

static void on_link(void *arg, const struct gw_session *session, const struct gw_link_news *news)
{
    struct gw_worker *self = arg;
    struct gw_session_info info;

    gw_session_info(session, &info);
    log_link(&info, news, log_pace(&session->key->pace, clock_mono_ms()));
    if (self->events.on_link != NULL)
        self->events.on_link(self->events.arg, &info, news);
}

static void on_site(void *arg, struct gw_site *site)
{
    struct gw_worker *self = arg;

    if (self->events.on_online != NULL && site->home == self->front.index)
        self->events.on_online(self->events.arg, site->id, site->online);
    if (site->online > 0)
        gw_conn_wake(site);
}

void gw_worker_tell_fault(void *arg, struct gw_site *site, const uint8_t *connector,
                          const char *what)
{
    struct gw_worker *self = arg;
    struct gw_last_error error = {
        .at_ms = clock_unix_ms(), .is_tunnel = connector != NULL, .what = what};

    if (connector != NULL)
        memcpy(error.connector, connector, GW_KEY_LEN);
    if (self->events.on_last_error != NULL)
        self->events.on_last_error(self->events.arg, site->id, &error);
}

static void on_left(void *arg)
{
    struct gw_worker *self = arg;

    gw_ending_left(&self->ending);
}

/* --- life --- */

static uint16_t redirect_port(const struct gw_config *config)
{
    for (size_t i = 0; i < config->https.count; i++) {
        if (addr_port(&config->https.at[i]) != 0)
            return addr_port(&config->https.at[i]);
    }
    return 0;
}

static bool is_full(void *arg, unsigned to)
{
    const struct gw_worker *self = arg;

    return net_mail_is_full(self->post->to[to]);
}

/* Visitors, who were asked for is_full before. */
static void on_send(void *arg, unsigned to, struct net_letter *letter)
{
    const struct gw_worker *self = arg;

    net_mail_push(self->post->to[to], letter);
}

static int fill_front(struct gw_worker *self)
{
    self->front = (struct gw_front){
        .index = self->front.index,
        .names = self->front.names != NULL ? self->front.names : self->routes,
        .is_full = is_full,
        .send = on_send,
        .crowd = self->post != NULL ? &self->post->crowd : NULL,
        .loop = self->loop,
        .limits = &self->config->limits,
        .routes = self->routes,
        .registry = self->registry,
        .sources = self->sources,
        .hangup = self->hangup,
        .refused = &self->refused,
        .proxy_from = {[GW_PORT_HTTP] = &self->config->http_proxy_from,
                       [GW_PORT_TLS] = &self->config->https_proxy_from,
                       [GW_PORT_TCP] = &self->config->tcp_proxy_from},
        .tunnel_on_https = self->config->tunnel_on_https,
        .https_port = redirect_port(self->config),
        .on_tunnel = on_tunnel,
        .on_backend_error = gw_worker_tell_fault,
        .on_left = on_left,
        .http = {.loop = self->loop,
                 .limits = &self->config->limits,
                 .trusted = &self->config->edge.trusted_proxies,
                 .hangup = self->hangup},
        .arg = self,
    };
    LIST_INIT(&self->front.conns);
    gw_worker_reload(self);
    return gw_exchange_common_init(&self->front.http);
}

static int make_registry(struct gw_worker *self)
{
    struct gw_registry_config cfg = {
        .hub = self->hub,
        .limits = &self->config->limits,
        .keys = self->keys,
        .stream_ops = &gw_way_stream_ops,
        .refused = &self->refused,
        .on_session = on_session,
        .on_link = on_link,
        .on_site = on_site,
        .arg = self,
    };

    return gw_registry_new(&self->registry, self->loop, &cfg);
}

static int make_admission(struct gw_worker *self)
{
    struct gw_admission_config cfg = {
        .loop = self->loop,
        .limits = &self->config->limits,
        .keys = self->keys,
        .info = {.max_record = TUN_RECORD_MAX,
                 .max_streams = (uint32_t)self->config->limits.streams_per_session},
        .refused = &self->refused,
        .on_proven = on_proven,
        .arg = self,
    };

    clock_random(cfg.info.boot_id, sizeof(cfg.info.boot_id));
    return gw_admission_new(&self->admission, &cfg);
}

static int make_doors(struct gw_worker *self, const struct gw_worker_config *worker)
{
    struct gw_doors_config cfg = {
        .loop = self->loop,
        .config = self->config,
        .heritage = worker->heritage,
        .held = worker->held,
        .on_visitor = on_visitor,
        .on_tunnel = on_tunnel,
        .arg = self,
    };

    return gw_doors_new(&self->doors, &cfg);
}

/* What only the first worker has. */
static int make_first(struct gw_worker *self, const struct gw_worker_config *cfg)
{
    int rc = gw_owners_new(&self->owners);

    if (rc == ERR_OK)
        rc = make_admission(self);
    if (rc == ERR_OK)
        rc = make_doors(self, cfg);
    self->ending.doors = self->doors;
    if (rc != ERR_OK || self->config->threads <= 1)
        return rc;
    rc = gw_sharing_new(self);
    return rc == ERR_OK ? gw_crew_new(&self->crew, self, &cfg->keys) : rc;
}

/* What every worker has. */
static int make_parts(struct gw_worker *self)
{
    int rc = gw_routes_new(&self->routes);

    if (rc == ERR_OK && self->sources == NULL)
        rc = gw_sources_new(&self->sources);
    if (rc == ERR_OK)
        rc = net_hangup_new(&self->hangup, self->loop);
    if (rc == ERR_OK)
        rc = link_hub_new(&self->hub, self->loop);
    if (rc == ERR_OK)
        rc = gw_retire_new(&self->retire, self->loop, gw_worker_retired, self);
    if (rc == ERR_OK)
        rc = make_registry(self);
    if (rc == ERR_OK)
        rc = fill_front(self);
    self->ending.registry = self->registry;
    self->ending.hub = self->hub;
    return rc;
}

int gw_worker_new_at(struct gw_worker **out, struct ev_loop *loop,
                     const struct gw_worker_config *cfg, const struct gw_place *place)
{
    struct gw_worker *self = calloc(1, sizeof(*self));
    int rc, saved;

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->config = cfg->config;
    self->events = cfg->events;
    if (place != NULL) {
        self->post = place->post;
        self->front.index = place->index;
        self->front.names = place->names;
        self->sources = place->sources;
    }
    LIST_INIT(&self->front.conns);
    self->ending =
        (struct gw_ending){.loop = loop, .limits = &cfg->config->limits, .front = &self->front};
    gw_ending_init(&self->ending);
    rc = gw_keyring_new(&self->keys, &cfg->keys);
    if (rc == ERR_OK)
        rc = make_parts(self);
    if (rc == ERR_OK && place == NULL)
        rc = make_first(self, cfg);
    if (rc != ERR_OK) {
        saved = errno;
        gw_worker_free(self);
        errno = saved;
        return rc;
    }
    *out = self;
    return ERR_OK;
}

int gw_worker_new(struct gw_worker **out, struct ev_loop *loop, const struct gw_worker_config *cfg)
{
    return gw_worker_new_at(out, loop, cfg, NULL);
}

void gw_worker_free(struct gw_worker *self)
{
    if (self == NULL)
        return;
    gw_ending_deinit(&self->ending);
    self->events = (struct gw_events){0};
    gw_crew_free(self->crew);
    if (self->front.index == 0)
        self->front.crowd = NULL; /* the others counted, too */
    gw_sharing_free(self);
    ev_timer_stop(self->loop, &self->retell);
    free(self->farewell);
    gw_doors_free(self->doors);
    self->front.on_left = NULL;
    gw_conn_free_all(&self->front);
    gw_access_free(self->front.access);
    http_template_free(self->template);
    gw_exchange_common_deinit(&self->front.http);
    gw_retire_free(self->retire);
    gw_admission_free(self->admission);
    gw_registry_free(self->registry);
    link_hub_free(self->hub);
    net_hangup_free(self->hangup);
    if (self->front.index == 0)
        gw_sources_free(self->sources);
    gw_routes_free(self->routes);
    gw_owners_free(self->owners);
    gw_keyring_unref(self->keys);
    free(self);
}

/* The same for the others; one that has no memory for it keeps the old ones. */
static void set_keys_there(void *arg, struct gw_worker *worker)
{
    if (gw_worker_set_keys(worker, arg) != ERR_OK)
        LOG_ERROR("no memory for other keys: some connectors hear of them later");
}

int gw_worker_set_keys(struct gw_worker *self, const struct gw_keyring_config *keys)
{
    struct gw_keyring *fresh;
    int rc = gw_keyring_new(&fresh, keys);

    if (rc != ERR_OK)
        return rc;
    gw_keyring_unref(self->keys);
    self->keys = fresh;
    if (self->admission != NULL)
        gw_admission_set_keys(self->admission, fresh);
    gw_registry_set_keys(self->registry, fresh);
    gw_crew_each(self->crew, set_keys_there, (struct gw_keyring_config *)(uintptr_t)keys);
    return ERR_OK;
}

/* The check of the config read the file already, so this fails only when it changed since. */
static void reload_template(struct gw_worker *self)
{
    char why[GW_TEMPLATE_WHY_MAX] = "";
    struct http_template *fresh;

    if (gw_template_load(&fresh, self->config->edge.error_template, why) != ERR_OK) {
        LOG_WARN("error page stays as it was", KV_S("why", why));
        return;
    }
    http_template_free(self->template);
    self->template = fresh;
    self->front.template = fresh;
}

void gw_worker_reload(struct gw_worker *self)
{
    reload_template(self);
    if (gw_access_apply(&self->front.access, self->loop, &self->config->edge) != ERR_OK)
        LOG_WARN("no memory for the access log: requests are not logged");
    self->front.http.is_timed = self->front.access != NULL;
    self->front.http.reuse = self->config->edge.reuse;
    if (self->crew != NULL)
        gw_crew_reload(self->crew);
}

static void reopen_there(void *arg, struct gw_worker *worker)
{
    (void)arg;
    gw_worker_reopen_log(worker);
}

void gw_worker_reopen_log(struct gw_worker *self)
{
    gw_access_reopen(self->front.access);
    gw_crew_each(self->crew, reopen_there, NULL);
}

/* --- the end, and a successor --- */

void gw_worker_ended(struct gw_worker *self, unsigned index)
{
    self->ending_on &= ~((uint32_t)1 << index);
    if (self->ending_on == 0 && self->on_done != NULL)
        self->on_done(self->on_done_arg); /* self may be gone */
}

static void on_ended(void *arg)
{
    gw_worker_ended(arg, 0);
}

/* Whoever has ended already does not end again: a drain may follow upon a retirement. */
static void begin_end(struct gw_worker *self, void (*on_done)(void *arg), void *arg)
{
    if (self->on_done == NULL)
        self->ending_on = ((uint32_t)1 << self->config->threads) - 1;
    self->on_done = on_done;
    self->on_done_arg = arg;
}

static void drain_there(void *arg, struct gw_worker *worker)
{
    (void)arg;
    gw_ending_drain(&worker->ending, gw_tidings_ended, worker);
}

void gw_worker_drain(struct gw_worker *self, void (*on_done)(void *arg), void *arg)
{
    begin_end(self, on_done, arg);
    gw_crew_each(self->crew, drain_there, NULL);
    gw_ending_drain(&self->ending, on_ended, self);
}

static void retire_there(void *arg, struct gw_worker *worker)
{
    (void)arg;
    gw_ending_retire(&worker->ending, gw_tidings_ended, worker);
}

void gw_worker_retire(struct gw_worker *self, void (*on_done)(void *arg), void *arg)
{
    begin_end(self, on_done, arg);
    gw_crew_each(self->crew, retire_there, NULL);
    gw_ending_retire(&self->ending, on_ended, self);
}

static void move_there(void *arg, struct gw_worker *worker)
{
    gw_ending_move(&worker->ending, arg);
}

void gw_worker_move(struct gw_worker *self, const struct gw_move *move)
{
    gw_crew_each(self->crew, move_there, (struct gw_move *)(uintptr_t)move);
    gw_ending_move(&self->ending, move);
}

static void stay_there(void *arg, struct gw_worker *worker)
{
    (void)arg;
    gw_ending_stay(&worker->ending);
}

void gw_worker_stay(struct gw_worker *self)
{
    gw_crew_each(self->crew, stay_there, NULL);
    gw_ending_stay(&self->ending);
}

struct gw_doors *gw_worker_doors(struct gw_worker *self)
{
    return self->doors;
}

void gw_worker_take_tunnel(struct gw_worker *self, const struct gw_arrival *arrival)
{
    gw_admission_accept(self->admission, arrival);
}
