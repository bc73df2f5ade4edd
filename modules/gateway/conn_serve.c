/* SPDX-License-Identifier: Apache-2.0 */
/* From the route of a visitor, or of each of its requests, to the service; see conn.h. */
#include <stddef.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/host.h"
#include "bus/base/log.h"
#include "bus/base/warm.h"
#include "modules/gateway/answer.h"
#include "modules/gateway/conn_impl.h"
#include "modules/gateway/passage.h"
#include "modules/gateway/way.h"

#define ACME_PREFIX "/.well-known/acme-challenge/"

/* Proofs for certificates (RFC 8555 section 8.3) are for the service even where everything else is
 * under https; a path that leads out of their folder again is not one. */
static bool is_acme(const struct gw_conn *self)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/";
    struct gw_request_line line = gw_exchange_line(self->exchange);

    if (line.path_len < strlen(ACME_PREFIX) ||
        memcmp(line.path, ACME_PREFIX, strlen(ACME_PREFIX)) != 0)
        return false;
    for (size_t i = strlen(ACME_PREFIX); i < line.path_len && line.path[i] != '?'; i++) {
        if (memchr(ok, line.path[i], sizeof(ok) - 1) == NULL)
            return false;
        if (line.path[i] == '.' && line.path[i - 1] == '.')
            return false;
    }
    return true;
}

static uint64_t idle_limit_ms(const struct gw_conn *self)
{
    const struct gw_limits *limits = self->front->limits;

    if (self->site->exposure->idle_ms != 0)
        return self->site->exposure->idle_ms;
    return self->port == GW_PORT_TCP ? limits->tcp_idle_timeout_ms : limits->idle_timeout_ms;
}

static void on_way_open(void *arg)
{
    struct gw_conn *self = arg;
    struct gw_way *way = self->way;

    if (self->exchange != NULL) {
        self->way = NULL;
        gw_conn_log_way(self, way);
        gw_conn_enter(self, GW_CONN_EXCHANGE);
        gw_exchange_lend(self->exchange, way); /* self may be gone */
        return;
    }
    if (gw_way_carry(way, self->fd, idle_limit_ms(self)) != ERR_OK) {
        gw_conn_refuse(self, GW_REASON_NO_MEMORY);
        return;
    }
    self->fd = -1;
    gw_peek_deinit(&self->peek);
    gw_conn_enter(self, GW_CONN_RELAY);
}

bool gw_conn_may_repeat(const struct gw_conn *self)
{
    return self->exchange == NULL || gw_exchange_head(self->exchange)->is_idempotent;
}

static void on_way_failed(void *arg, const struct gw_way_failure *failure)
{
    struct gw_conn *self = arg;
    struct gw_front *front = self->front;

    self->way = NULL;
    self->failure = failure->reason;
    LOG_DEBUG("backend failed", KV_N("conn", self->id), KV_S("workload", self->site->id),
              KV_S("reason", gw_reason_name(failure->reason)), KV_S("what", failure->what));
    front->on_backend_error(front->arg, self->site, failure->connector, failure->what);
    if (!failure->maybe_served || gw_conn_may_repeat(self))
        gw_conn_open_next(self);
    else
        gw_conn_refuse(self, failure->reason == GW_REASON_OPEN_TIMEOUT ? GW_REASON_OPEN_TIMEOUT
                                                                       : GW_REASON_ANSWER_CUT);
}

/* Nobody is sent to a session without a link, so it is another one, or we wait for this one. */
static bool has_other_way(void *arg)
{
    const struct gw_conn *self = arg;
    struct gw_pick pick;

    return gw_conn_may_repeat(self) &&
           gw_pick(&pick, self->front->registry, self->site, &self->tries);
}

static void on_way_done(void *arg, uint64_t rx_bytes, uint64_t tx_bytes)
{
    struct gw_conn *self = arg;

    self->way = NULL;
    gw_conn_log_bytes(self, rx_bytes, tx_bytes);
    gw_conn_close(self, false);
}

static enum tun_kind kind_of(enum gw_port_kind port)
{
    return port == GW_PORT_HTTP ? TUN_KIND_HTTP : port == GW_PORT_TLS ? TUN_KIND_TLS : TUN_KIND_TCP;
}

/* The host it wants; "" on a TCP port. */
static const char *host_of(const struct gw_conn *self)
{
    if (self->exchange != NULL)
        return http_head_host(gw_exchange_head(self->exchange));
    return self->peek.host != NULL ? self->peek.host : "";
}

/* Try one way; false when it can't even be started. */
static bool try_way(struct gw_conn *self, const struct gw_pick *pick)
{
    struct gw_way_config cfg = {
        .loop = self->front->loop,
        .hangup = self->front->hangup,
        .site = self->site,
        .pick = *pick,
        .kind = kind_of(self->port),
        .name = host_of(self),
        .peer = &self->peer,
        .local = &self->local,
        .first = self->peek.data,
        .first_len = self->peek.len,
        .open_timeout_ms = self->front->limits->open_timeout_ms,
        .on_open = on_way_open,
        .has_other = has_other_way,
        .on_failed = on_way_failed,
        .on_done = on_way_done,
        .arg = self,
    };
    int rc;

    if (self->exchange != NULL)
        cfg.first = gw_exchange_first(self->exchange, &cfg.first_len);
    self->tries.at[self->tries.count++] = pick->target;
    rc = gw_way_start(&self->way, &cfg);
    if (rc == ERR_LIMIT && gw_spares_reset(&self->front->http.spares))
        rc = gw_way_start(&self->way, &cfg);
    return rc == ERR_OK;
}

/* A connector may still come: wait for it, but once, and never after a service said no. A session
 * that ended under us may still be counted as online: its streams hear of the end before it is
 * taken from the registry. */
static bool may_wait(struct gw_conn *self)
{
    bool lost = self->failure == GW_REASON_NO_CONNECTOR && self->tries.count < GW_TRIES_MAX;

    if ((self->site->online > 0 && !lost) || self->failure == GW_REASON_BACKEND_REFUSED ||
        self->failure == GW_REASON_OPEN_TIMEOUT)
        return false;
    if (self->wait_until_ms == 0)
        self->wait_until_ms = clock_mono_ms() + self->front->limits->tunnel_wait_ms;
    return self->wait_until_ms > clock_mono_ms();
}

/* Whether the site has the name that the visitor asked for: it may have got another one while the
 * visitor waited for a way to it. */
static bool is_meant(const struct gw_conn *self)
{
    const char *has = self->site->exposure->host, *asked = host_of(self);

    if (self->port == GW_PORT_TCP) /* a port that changes ends its visitors */
        return true;
    return strcmp(has, asked) == 0 ||
           (has[0] == '*' && strcmp(host_parent(has), host_parent(asked)) == 0);
}

/* Go on with a way that another visitor left. False: there is none for this request; else SELF may
 * be gone. Who may not have one gets its place: a service may have few. */
static bool take_spare(struct gw_conn *self, const struct gw_target *target)
{
    struct gw_way *way = self->exchange != NULL ? gw_spares_take(self->site, target) : NULL;

    if (way != NULL && !gw_exchange_may_share(self->exchange)) {
        gw_way_close(way);
        way = NULL;
    }
    if (way == NULL)
        return false;
    gw_conn_log_way(self, way);
    gw_conn_enter(self, GW_CONN_EXCHANGE);
    gw_exchange_adopt(self->exchange, way, self);
    return true;
}

/* The next way that was not tried; or wait; or give up. SELF may be gone. */
static void open_next(struct gw_conn *self)
{
    struct gw_pick pick;

    while (gw_pick(&pick, self->front->registry, self->site, &self->tries)) {
        if (take_spare(self, &pick.target))
            return;
        if (try_way(self, &pick)) {
            gw_conn_enter(self, GW_CONN_OPEN);
            return;
        }
        self->failure = GW_REASON_BACKEND_REFUSED; /* no room on that session */
    }
    if (!may_wait(self))
        gw_conn_refuse(self,
                       self->failure != GW_REASON_NONE ? self->failure : GW_REASON_NO_CONNECTOR);
    else if (self->state != GW_CONN_WAIT)
        gw_conn_enter(self, GW_CONN_WAIT);
}

void gw_conn_open_next(struct gw_conn *self)
{
    if (is_meant(self))
        open_next(self);
    else
        gw_conn_refuse(self, GW_REASON_NO_CONNECTOR);
}

void gw_conn_wake(struct gw_site *site)
{
    struct gw_conn *self, *next;

    for (self = LIST_FIRST(&site->conns); self != NULL; self = next) {
        next = LIST_NEXT(self, of_site);
        if (self->state == GW_CONN_WAIT)
            gw_conn_open_next(self);
    }
}

/* The gateway's own answer, without a service. SELF may be gone. */
static void notify(struct gw_conn *self, const struct http_page *page)
{
    struct gw_conn_outcome outcome = {.status = page->status};
    char *answer = gw_answer_notice(page, &outcome.len);

    if (answer == NULL) {
        gw_conn_refuse(self, GW_REASON_NO_MEMORY);
        return;
    }
    gw_conn_log(self, &outcome);
    gw_conn_linger(self, answer, outcome.len);
}

/* OPTIONS that asks this hop (RFC 9110 section 7.6.2). */
static bool ends_here(const struct gw_conn *self)
{
    const struct http_head *head = self->exchange != NULL ? gw_exchange_head(self->exchange) : NULL;

    return head != NULL && head->has_max_forwards && head->max_forwards == 0;
}

/* 308 to the same place under https. SELF may be gone. */
static void redirect(struct gw_conn *self)
{
    const struct http_head *head = gw_exchange_head(self->exchange);
    struct gw_request_line line = gw_exchange_line(self->exchange);
    struct http_page target = {.status = 308,
                               .head_only = head->is_head,
                               .host = head->authority.host,
                               .port = self->front->https_port,
                               .path = line.path,
                               .path_len = head->path.len == 0 ? 0 : line.path_len};

    notify(self, &target);
}

/* Whether the way that is kept is the one to take: with instances "newest" another one may be. */
static bool is_best_way(const struct gw_conn *self)
{
    const struct gw_way *way = gw_exchange_way(self->exchange);
    struct gw_tries none = {0};
    struct gw_pick pick;

    if (!self->site->exposure->newest_only)
        return true;
    return gw_pick(&pick, self->front->registry, self->site, &none) &&
           pick.target.session == gw_way_target(way)->session;
}

/* The present request goes to the site. SELF may be gone. */
static void send_request(struct gw_conn *self)
{
    const struct gw_request_terms terms = {
        .pace = &self->site->pace,
        .idle_ms = idle_limit_ms(self),
        .shares = self->site->exposure->proxy_protocol == GW_PROXY_NONE,
    };
    int rc;

    if (gw_exchange_way(self->exchange) == NULL)
        gw_spares_warm_stream(self->site);
    rc = gw_exchange_prepare(self->exchange, &terms);
    if (rc != ERR_OK) {
        gw_conn_reject(self, &(struct gw_rejection){.reason = rc == ERR_PROTO ? GW_REASON_MALFORMED
                                                                              : GW_REASON_NO_MEMORY,
                                                    .status = rc == ERR_PROTO ? 400 : 0});
        return;
    }
    if (gw_exchange_keeps_way(self->exchange) && is_best_way(self)) {
        gw_conn_enter(self, GW_CONN_EXCHANGE);
        gw_exchange_send(self->exchange);
        return;
    }
    gw_exchange_drop_way(self->exchange);
    open_next(self);
}

/* It is this worker's to serve. SELF may be gone. */
static void serve(struct gw_conn *self, struct gw_site *site)
{
    struct gw_caller caller = {
        .port = self->port, .peer = &self->peer, .is_in = self->site == site};
    uint64_t now_ms = caller.is_in ? 0 : clock_mono_ms(); /* only who is new takes a token */
    enum gw_reason reason = GW_REASON_UNKNOWN_NAME;

    if (site != NULL && !caller.is_in)
        warm(site, offsetof(struct gw_site, direct_active));
    if (site != NULL)
        reason = gw_site_judge(site, &caller, now_ms);
    if (self->exchange == NULL)
        ev_io_stop(self->front->loop, &self->io);
    self->named = site;
    if (self->exchange != NULL && site != NULL && !caller.is_in)
        gw_spares_warm(site);
    if (reason != GW_REASON_NONE) {
        gw_conn_refuse(self, reason);
        return;
    }
    if (ends_here(self)) {
        notify(self, &(struct http_page){.status = 200});
        return;
    }
    if (self->port == GW_PORT_HTTP && site->exposure->http == GW_HTTP_REDIRECT && !is_acme(self)) {
        redirect(self);
        return;
    }
    if (self->site != site) {
        if (self->exchange != NULL)
            gw_exchange_drop_way(self->exchange);
        gw_conn_detach(self);
        gw_conn_attach(self, site);
        self->named = site;
    }
    self->routed_at = self->looked_at;
    if (self->exchange != NULL)
        send_request(self);
    else
        open_next(self);
}

/* The worker that serves SITE's new visitors. The others ask the first one, which knows everything,
 * about what is not theirs; what it sends them is theirs. */
static unsigned home_of(const struct gw_conn *self, const struct gw_site *site)
{
    unsigned index = self->front->index;

    if (index == 0)
        return site != NULL ? site->home : 0;
    return self->sent || (site != NULL && site->home == index) ? index : 0;
}

/* SITE is what the visitor wants (NULL = nothing is served there). SELF may be gone. */
void gw_conn_route(struct gw_conn *self, struct gw_site *site)
{
    unsigned home = home_of(self, site);

    if (home == self->front->index)
        serve(self, site);
    else
        gw_passage_depart(self, home);
}

/* --- requests --- */

/*
 * Where the present request goes; NULL = nowhere, or the first worker knows. Names are one worker's
 * only, but another one may have the name that a wildcard here stands for as well: a visitor that
 * this worker was not sent, or sent before the names changed, is its own by name alone. A change is
 * counted before the worker that it concerns hears of it, so its own count says more than that one.
 */
static struct gw_site *find_site(struct gw_conn *self)
{
    const struct gw_front *front = self->front;
    uint64_t changes = gw_routes_changes(front->names);

    self->sent = self->sent && self->looked_at == changes;
    self->looked_at = changes;
    if (front->index != 0)
        self->looked_at += gw_routes_changes(front->routes); /* neither ever falls */
    if (self->site != NULL && gw_exchange_head(self->exchange)->is_host_again &&
        self->routed_at == self->looked_at)
        return self->site;
    if (front->index != 0 && !self->sent)
        return gw_routes_by_name(front->routes, host_of(self));
    return gw_routes_by_host(front->routes, host_of(self));
}

static void on_request(void *arg)
{
    struct gw_conn *self = arg;
    struct gw_site *site;

    self->unlogged = true;
    self->tries.count = 0;
    self->failure = GW_REASON_NONE;
    self->wait_until_ms = 0;
    site = find_site(self);
    self->routed_at = 0; /* no count of a table with sites, until it is attached to this one */
    gw_conn_route(self, site);
}

static void on_reject(void *arg, const struct gw_rejection *rejection)
{
    struct gw_conn *self = arg;

    if (rejection->reason != GW_REASON_FIRST_BYTES_TIMEOUT ||
        !gw_exchange_is_idle(self->exchange)) {
        gw_conn_reject(self, rejection);
        return;
    }
    self->front->refused->count[rejection->reason]++;
    gw_conn_close(self, false); /* who never spoke is told nothing */
}

static void on_retry(void *arg, enum gw_reason reason, bool reused)
{
    struct gw_conn *self = arg;

    self->failure = reason;
    if (reused) { /* perhaps its service closes idle connections: that tells nothing */
        self->tries.count = 0;
        self->failure = reason == GW_REASON_NO_CONNECTOR ? reason : GW_REASON_NONE;
    }
    gw_conn_open_next(self);
}

static void on_answered(void *arg)
{
    struct gw_conn *self = arg;

    gw_conn_log(self, &(struct gw_conn_outcome){0});
    self->named = NULL;
    self->sent = false;
    gw_conn_enter(self, GW_CONN_PEEK);
}

static void on_switch(void *arg, const void *first, size_t first_len)
{
    struct gw_conn *self = arg;

    gw_conn_log_later(self);
    self->way = gw_exchange_take_way(self->exchange);
    if (gw_way_switch(self->way, self->fd, idle_limit_ms(self), first, first_len) != ERR_OK) {
        gw_conn_close(self, true);
        return;
    }
    self->fd = -1;
    gw_exchange_free(self->exchange);
    self->exchange = NULL;
    gw_conn_enter(self, GW_CONN_RELAY);
}

static void on_sent(void *arg, size_t n)
{
    struct gw_conn *self = arg;

    if (self->site != NULL)
        self->site->tx_bytes += n;
}

static void on_end(void *arg, bool reset)
{
    struct gw_conn *self = arg;

    if (reset)
        gw_conn_close(self, true);
    else
        gw_conn_linger(self, NULL, 0);
}

const struct gw_exchange_ops gw_conn_exchange_ops = {.on_request = on_request,
                                                     .on_reject = on_reject,
                                                     .on_retry = on_retry,
                                                     .on_answered = on_answered,
                                                     .on_switch = on_switch,
                                                     .on_sent = on_sent,
                                                     .on_end = on_end,
                                                     .hot = offsetof(struct gw_conn, id)};
