/* SPDX-License-Identifier: Apache-2.0 */
/* State machine of a visitor; see conn.h. It is over 600 lines: what a state does is in peek, way
 * and answer already, what follows what should stand in one place. */
#include "modules/gateway/conn.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/answer.h"
#include "modules/gateway/way.h"
#include "modules/net/sock.h"

#define LINGER_MS 2000u
#define UNCOUNTED_MAX 256 /* visitors over their source's limit who are told so at once */
#define ACME_PREFIX "/.well-known/acme-challenge/"

struct gw_conn {
    struct gw_front *front;
    uint64_t id;
    enum gw_port_kind port;
    enum gw_conn_state state;
    int fd;            /* -1 once the carrying has it */
    bool counted;      /* in front->sources */
    uint64_t since_ms; /* clock_mono_ms() of the accept */
    struct addr peer, local;
    ev_io io;
    ev_timer deadline;
    struct gw_peek peek;
    struct gw_site *site; /* NULL until routed and once it ended */
    struct gw_tries tries;
    enum gw_reason failure; /* of the last try */
    uint64_t wait_until_ms; /* 0 = has not waited yet */
    struct gw_way *way;     /* OPEN and RELAY */
    char *out;              /* LINGER: owned; what is still to be sent */
    size_t out_at, out_len;
    LIST_ENTRY(gw_conn) of_front;
    LIST_ENTRY(gw_conn) of_site;
};

#define TO(s) (1u << (s))

/* Which states may follow which; anything else is a bug in this file. */
static const uint8_t next_ok[GW_CONN_STATES] = {
    [GW_CONN_PEEK] = TO(GW_CONN_PEEK) | TO(GW_CONN_WAIT) | TO(GW_CONN_OPEN) | TO(GW_CONN_LINGER) |
                     TO(GW_CONN_CLOSED),
    [GW_CONN_WAIT] = TO(GW_CONN_OPEN) | TO(GW_CONN_LINGER) | TO(GW_CONN_CLOSED),
    [GW_CONN_OPEN] = TO(GW_CONN_OPEN) | TO(GW_CONN_WAIT) | TO(GW_CONN_RELAY) | TO(GW_CONN_LINGER) |
                     TO(GW_CONN_CLOSED),
    [GW_CONN_RELAY] = TO(GW_CONN_CLOSED),
    [GW_CONN_LINGER] = TO(GW_CONN_CLOSED),
};

static const char *const state_names[GW_CONN_STATES] = {"peek",  "wait",   "open",
                                                        "relay", "linger", "closed"};

/* How long a visitor may stay in STATE, in ms; 0 = somebody else keeps the time (way, carrying). */
static uint64_t time_limit(const struct gw_conn *self, enum gw_conn_state state)
{
    uint64_t now = clock_mono_ms();

    switch (state) {
    case GW_CONN_PEEK:
        return self->front->limits->first_bytes_timeout_ms;
    case GW_CONN_WAIT:
        return self->wait_until_ms > now ? self->wait_until_ms - now : 1;
    case GW_CONN_LINGER:
        return LINGER_MS;
    default:
        return 0;
    }
}

/* The only place where `state` changes. */
static void enter(struct gw_conn *self, enum gw_conn_state to)
{
    uint64_t limit_ms = time_limit(self, to);

    assert(next_ok[self->state] & TO(to));
    LOG_DEBUG("visitor", KV_N("conn", self->id), KV_S("state", state_names[to]),
              KV_S("workload", self->site != NULL ? self->site->id : NULL));
    self->state = to;
    ev_timer_stop(self->front->loop, &self->deadline);
    if (limit_ms > 0) {
        ev_now_update(self->front->loop);
        ev_timer_set(&self->deadline, (double)limit_ms / 1000.0, 0.0);
        ev_timer_start(self->front->loop, &self->deadline);
    }
}

static void detach(struct gw_conn *self)
{
    if (self->site == NULL)
        return;
    LIST_REMOVE(self, of_site);
    self->site->conn_count--;
    self->site = NULL;
}

static void attach(struct gw_conn *self, struct gw_site *site)
{
    self->site = site;
    LIST_INSERT_HEAD(&site->conns, self, of_site);
    site->conn_count++;
}

/* Stop and free everything but the socket, which is closed by the caller or carried no more. */
static void release(struct gw_conn *self)
{
    struct gw_front *front = self->front;

    ev_io_stop(front->loop, &self->io);
    ev_timer_stop(front->loop, &self->deadline);
    gw_way_free(self->way);
    gw_peek_deinit(&self->peek);
    detach(self);
    free(self->out);
    if (self->counted)
        gw_sources_give(front->sources, &self->peer);
    else
        front->uncounted--;
    LIST_REMOVE(self, of_front);
    front->count--;
    free(self);
}

/* The one end of a visitor; SELF is gone. RESET: the visitor shall see a reset. */
static void conn_close(struct gw_conn *self, bool reset)
{
    struct gw_front *front = self->front;
    int fd = self->fd;

    enter(self, GW_CONN_CLOSED);
    release(self);
    if (fd >= 0 && reset)
        net_sock_reset(fd);
    else if (fd >= 0)
        close(fd);
    if (front->on_left != NULL)
        front->on_left(front->arg);
}

/* --- answers of our own --- */

static void watch(struct gw_conn *self, int events)
{
    ev_io_stop(self->front->loop, &self->io);
    ev_io_set(&self->io, self->fd, events);
    ev_io_start(self->front->loop, &self->io);
}

/* Send what is left of the answer; afterwards the end of our side. False when the socket failed. */
static bool flush(struct gw_conn *self)
{
    while (self->out_at < self->out_len) {
        ssize_t n =
            send(self->fd, self->out + self->out_at, self->out_len - self->out_at, MSG_NOSIGNAL);

        if (n < 0 && net_sock_again(errno))
            return true;
        if (n <= 0)
            return false;
        self->out_at += (size_t)n;
    }
    return shutdown(self->fd, SHUT_WR) == 0;
}

/* The answer (OUT, owned from here on) goes out; what still comes in is read and thrown away, or
 * the kernel would answer it with a reset that overtakes the answer. SELF may be gone. */
static void linger(struct gw_conn *self, char *out, size_t len)
{
    gw_way_free(self->way);
    self->way = NULL;
    detach(self);
    gw_peek_deinit(&self->peek);
    self->out = out;
    self->out_len = len;
    if (!flush(self)) {
        conn_close(self, true);
        return;
    }
    enter(self, GW_CONN_LINGER);
    watch(self, EV_READ | (self->out_at < self->out_len ? EV_WRITE : 0));
}

/* Turn the visitor away as INTERFACE section 8 says. SELF may be gone. */
static void refuse(struct gw_conn *self, enum gw_reason reason)
{
    char *out;
    size_t len;

    self->front->refused->count[reason]++;
    LOG_DEBUG("visitor refused", KV_N("conn", self->id), KV_S("reason", gw_reason_name(reason)),
              KV_S("why", self->peek.why),
              KV_S("workload", self->site != NULL ? self->site->id : NULL));
    out = gw_answer_refusal(self->port, &self->peek, reason, &len);
    if (out != NULL)
        linger(self, out, len);
    else
        conn_close(self, self->port == GW_PORT_TCP);
}

/* 308 to the same place under https. SELF may be gone. */
static void redirect(struct gw_conn *self)
{
    size_t len;
    char *out = gw_answer_redirect(&self->peek, self->front->https_port, &len);

    if (out != NULL)
        linger(self, out, len);
    else
        refuse(self, GW_REASON_NO_MEMORY);
}

static void on_linger(struct gw_conn *self, int revents)
{
    char trash[4096];
    ssize_t n = 1;

    if (revents & EV_READ)
        n = recv(self->fd, trash, sizeof(trash), 0);
    if (n == 0 || (n < 0 && !net_sock_again(errno))) {
        conn_close(self, n < 0);
        return;
    }
    if (self->out_at == self->out_len)
        return;
    if (!flush(self))
        conn_close(self, true);
    else if (self->out_at == self->out_len)
        watch(self, EV_READ);
}

/* --- from the route to the service --- */

static void open_next(struct gw_conn *self);

static void on_way_open(void *arg)
{
    struct gw_conn *self = arg;
    const struct gw_limits *limits = self->front->limits;
    uint64_t idle_ms = self->site->exposure->idle_ms;

    if (idle_ms == 0)
        idle_ms = self->port == GW_PORT_TCP ? limits->tcp_idle_timeout_ms : limits->idle_timeout_ms;
    if (gw_way_carry(self->way, self->fd, idle_ms) != ERR_OK) {
        refuse(self, GW_REASON_NO_MEMORY);
        return;
    }
    self->fd = -1;
    gw_peek_deinit(&self->peek);
    enter(self, GW_CONN_RELAY);
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
    open_next(self);
}

/* Nobody is sent to a session without a link, so it is another one, or we wait for this one. */
static bool has_other_way(void *arg)
{
    const struct gw_conn *self = arg;
    struct gw_pick pick;

    return gw_pick(&pick, self->front->registry, self->site, &self->tries);
}

static void on_way_done(void *arg)
{
    struct gw_conn *self = arg;

    self->way = NULL;
    conn_close(self, false);
}

static enum tun_kind kind_of(enum gw_port_kind port)
{
    return port == GW_PORT_HTTP ? TUN_KIND_HTTP : port == GW_PORT_TLS ? TUN_KIND_TLS : TUN_KIND_TCP;
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
        .name = self->peek.host != NULL ? self->peek.host : "",
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

    self->tries.at[self->tries.count++] = pick->target;
    return gw_way_start(&self->way, &cfg) == ERR_OK;
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

/* The next way that was not tried; or wait; or give up. SELF may be gone. */
static void open_next(struct gw_conn *self)
{
    struct gw_pick pick;

    while (gw_pick(&pick, self->front->registry, self->site, &self->tries)) {
        if (try_way(self, &pick)) {
            enter(self, GW_CONN_OPEN);
            return;
        }
        self->failure = GW_REASON_BACKEND_REFUSED; /* no room on that session */
    }
    if (!may_wait(self))
        refuse(self, self->failure != GW_REASON_NONE ? self->failure : GW_REASON_NO_CONNECTOR);
    else if (self->state != GW_CONN_WAIT)
        enter(self, GW_CONN_WAIT);
}

/* Why SITE does not take this visitor now; NONE when it does. */
static enum gw_reason judge(const struct gw_conn *self, struct gw_site *site)
{
    const struct gw_exposure *e = site->exposure;

    if (self->port == GW_PORT_TLS && !e->tls_passthrough)
        return GW_REASON_NOT_PASSTHROUGH;
    if (self->port == GW_PORT_HTTP && e->http == GW_HTTP_OFF)
        return GW_REASON_HTTP_OFF;
    if (e->paused)
        return GW_REASON_PAUSED;
    if (!gw_exposure_allows(e, &self->peer))
        return GW_REASON_NOT_ALLOWED;
    if (e->connections > 0 && site->conn_count >= e->connections)
        return GW_REASON_CONNECTION_LIMIT;
    if (!gw_site_admit_rate(site, clock_mono_ms()))
        return GW_REASON_RATE_LIMIT;
    return GW_REASON_NONE;
}

/* SITE is what the visitor wants (NULL = nothing is served there). SELF may be gone. */
static void route(struct gw_conn *self, struct gw_site *site)
{
    enum gw_reason reason = site != NULL ? judge(self, site) : GW_REASON_UNKNOWN_NAME;

    ev_io_stop(self->front->loop, &self->io);
    if (reason != GW_REASON_NONE) {
        refuse(self, reason);
        return;
    }
    if (self->port == GW_PORT_HTTP && site->exposure->http == GW_HTTP_REDIRECT &&
        !gw_peek_path_starts(&self->peek, ACME_PREFIX)) {
        redirect(self);
        return;
    }
    attach(self, site);
    open_next(self);
}

/* The socket changes hands: no visitor after all. SELF is gone. */
static void hand_over(struct gw_conn *self)
{
    struct gw_front *front = self->front;
    struct gw_arrival arrival = {.fd = self->fd,
                                 .remote = self->peer,
                                 .since_ms = self->since_ms,
                                 .first_len = self->peek.len};

    if (self->peek.len <= sizeof(arrival.first))
        memcpy(arrival.first, self->peek.data, self->peek.len);
    enter(self, GW_CONN_CLOSED);
    release(self);
    front->on_tunnel(front->arg, &arrival);
    if (front->on_left != NULL)
        front->on_left(front->arg);
}

static void on_peek(struct gw_conn *self)
{
    switch (gw_peek_read(&self->peek, self->fd)) {
    case GW_VERDICT_MORE:
        break;
    case GW_VERDICT_HOST:
        route(self, gw_routes_by_host(self->front->routes, self->peek.host));
        break;
    case GW_VERDICT_TUNNEL:
        hand_over(self);
        break;
    case GW_VERDICT_REFUSE:
        ev_io_stop(self->front->loop, &self->io);
        refuse(self, self->peek.reason);
        break;
    case GW_VERDICT_GONE:
        refuse(self, GW_REASON_EARLY_EOF);
        break;
    }
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
    struct gw_conn *self = w->data;

    (void)loop;
    if (self->state == GW_CONN_PEEK)
        on_peek(self);
    else
        on_linger(self, revents);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_conn *self = w->data;

    (void)loop;
    (void)revents;
    ev_io_stop(self->front->loop, &self->io);
    if (self->state == GW_CONN_PEEK && self->peek.len == 0)
        self->front->refused->count[GW_REASON_FIRST_BYTES_TIMEOUT]++;
    if (self->state == GW_CONN_LINGER || (self->state == GW_CONN_PEEK && self->peek.len == 0))
        conn_close(self, false); /* who never spoke is told nothing */
    else if (self->state == GW_CONN_PEEK)
        refuse(self, GW_REASON_FIRST_BYTES_TIMEOUT);
    else
        refuse(self, GW_REASON_NO_CONNECTOR);
}

static struct gw_conn *conn_new(struct gw_front *front, enum gw_port_kind port, int fd,
                                const struct addr *peer)
{
    struct gw_conn *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->front = front;
    self->id = ++front->next_id;
    self->port = port;
    self->fd = fd;
    self->since_ms = clock_mono_ms();
    self->peer = *peer;
    (void)net_sock_local(&self->local, fd);
    net_sock_nodelay(fd);
    ev_io_init(&self->io, on_io, fd, EV_READ);
    ev_init(&self->deadline, on_deadline);
    self->io.data = self;
    self->deadline.data = self;
    LIST_INSERT_HEAD(&front->conns, self, of_front);
    front->count++;
    return self;
}

/* No place for this visitor: told so where that is possible. FD is taken. */
static void turn_away(struct gw_front *front, enum gw_port_kind port, int fd,
                      const struct addr *peer)
{
    struct gw_conn *self = NULL;

    if (port == GW_PORT_HTTP && front->uncounted < UNCOUNTED_MAX)
        self = conn_new(front, port, fd, peer);
    if (self != NULL) {
        front->uncounted++;
        refuse(self, GW_REASON_SOURCE_LIMIT);
        return;
    }
    front->refused->count[GW_REASON_SOURCE_LIMIT]++;
    if (port == GW_PORT_TLS)
        close(fd);
    else
        net_sock_reset(fd);
}

void gw_conn_accept(struct gw_front *front, enum gw_port_kind port, int fd, const struct addr *peer)
{
    struct gw_conn *self;

    if (gw_sources_take(front->sources, peer, front->limits->visitors_per_source) != ERR_OK) {
        turn_away(front, port, fd, peer);
        return;
    }
    self = conn_new(front, port, fd, peer);
    if (self == NULL) {
        front->refused->count[GW_REASON_NO_MEMORY]++;
        gw_sources_give(front->sources, peer);
        net_sock_reset(fd);
        return;
    }
    self->counted = true;
    if (port == GW_PORT_TCP) { /* nobody peeks: the service may speak first */
        route(self, gw_routes_by_port(front->routes, addr_port(&self->local)));
        return;
    }
    gw_peek_init(&self->peek, port, front->limits);
    self->peek.allow_tunnel = port == GW_PORT_TLS && front->tunnel_on_https;
    enter(self, GW_CONN_PEEK);
    ev_io_start(front->loop, &self->io);
}

void gw_conn_wake(struct gw_site *site)
{
    struct gw_conn *self, *next;

    for (self = LIST_FIRST(&site->conns); self != NULL; self = next) {
        next = LIST_NEXT(self, of_site);
        if (self->state == GW_CONN_WAIT)
            open_next(self);
    }
}

/* End a visitor that is attached to a site. SELF is gone or lingers. */
static void conn_end(struct gw_conn *self, enum gw_reason reason)
{
    if (self->state == GW_CONN_RELAY)
        conn_close(self, true); /* the way resets both sides */
    else
        refuse(self, reason);
}

/* Its backend left before it was served. SELF may be gone. */
static void go_another_way(struct gw_conn *self)
{
    gw_way_free(self->way);
    self->way = NULL;
    self->tries.count = 0; /* backends have other places now */
    open_next(self);
}

void gw_conn_readmit(struct gw_site *site, bool served_too)
{
    struct gw_conn *self, *next;

    for (self = LIST_FIRST(&site->conns); self != NULL; self = next) {
        next = LIST_NEXT(self, of_site);
        if (self->way == NULL || gw_way_readmit(self->way))
            continue;
        if (self->state == GW_CONN_OPEN)
            go_another_way(self);
        else if (served_too)
            conn_end(self, GW_REASON_NO_CONNECTOR);
    }
}

void gw_conn_end_all(struct gw_site *site, enum gw_reason reason)
{
    struct gw_conn *self;

    while ((self = LIST_FIRST(&site->conns)) != NULL)
        conn_end(self, reason);
}

void gw_conn_free_all(struct gw_front *front)
{
    struct gw_conn *self;

    while ((self = LIST_FIRST(&front->conns)) != NULL) {
        int fd = self->fd;

        release(self);
        if (fd >= 0)
            net_sock_reset(fd);
    }
}

void gw_conn_pending_bytes(const struct gw_site *site, uint64_t *rx_bytes, uint64_t *tx_bytes)
{
    const struct gw_conn *self;

    *rx_bytes = *tx_bytes = 0;
    LIST_FOREACH(self, &site->conns, of_site)
    {
        uint64_t rx = 0, tx = 0;

        if (self->way != NULL)
            gw_way_bytes(self->way, &rx, &tx);
        *rx_bytes += rx;
        *tx_bytes += tx;
    }
}
