/* SPDX-License-Identifier: Apache-2.0 */
/* State machine of a visitor; see conn.h. */
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
#include "modules/gateway/conn_impl.h"
#include "modules/gateway/linger.h"
#include "modules/gateway/preface.h"
#include "modules/gateway/way.h"
#include "modules/net/sock.h"

#define UNCOUNTED_MAX 256 /* visitors over their source's limit who are told so at once */

#define TO(s) (1u << (s))

/* Which states may follow which; anything else is a bug in this file. */
static const uint8_t next_ok[GW_CONN_STATES] = {
    [GW_CONN_PREFACE] = TO(GW_CONN_PREFACE) | TO(GW_CONN_PEEK) | TO(GW_CONN_WAIT) |
                        TO(GW_CONN_OPEN) | TO(GW_CONN_LINGER) | TO(GW_CONN_CLOSED),
    [GW_CONN_PEEK] = TO(GW_CONN_PEEK) | TO(GW_CONN_WAIT) | TO(GW_CONN_OPEN) | TO(GW_CONN_EXCHANGE) |
                     TO(GW_CONN_LINGER) | TO(GW_CONN_CLOSED),
    [GW_CONN_WAIT] =
        TO(GW_CONN_OPEN) | TO(GW_CONN_EXCHANGE) | TO(GW_CONN_LINGER) | TO(GW_CONN_CLOSED),
    [GW_CONN_OPEN] = TO(GW_CONN_OPEN) | TO(GW_CONN_WAIT) | TO(GW_CONN_EXCHANGE) |
                     TO(GW_CONN_RELAY) | TO(GW_CONN_LINGER) | TO(GW_CONN_CLOSED),
    [GW_CONN_EXCHANGE] = TO(GW_CONN_PEEK) | TO(GW_CONN_OPEN) | TO(GW_CONN_WAIT) |
                         TO(GW_CONN_RELAY) | TO(GW_CONN_LINGER) | TO(GW_CONN_CLOSED),
    [GW_CONN_RELAY] = TO(GW_CONN_CLOSED),
    [GW_CONN_LINGER] = TO(GW_CONN_CLOSED),
};

static const char *const state_names[GW_CONN_STATES] = {"preface",  "peek",  "wait",   "open",
                                                        "exchange", "relay", "linger", "closed"};

/* From now to UNTIL_MS; 1 when that is over. */
static uint64_t left_ms(uint64_t until_ms)
{
    uint64_t now = clock_mono_ms();

    return until_ms > now ? until_ms - now : 1;
}

/* How long a visitor may stay in STATE, in ms; 0 = somebody else keeps the time (way, carrying,
 * exchange, linger). */
static uint64_t time_limit(const struct gw_conn *self, enum gw_conn_state state)
{
    if (state == GW_CONN_PREFACE || (state == GW_CONN_PEEK && self->port == GW_PORT_TLS))
        return left_ms(self->since_ms + self->front->limits->first_bytes_timeout_ms);
    if (state != GW_CONN_WAIT)
        return 0;
    return left_ms(self->wait_until_ms);
}

void gw_conn_enter(struct gw_conn *self, enum gw_conn_state to)
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

void gw_conn_detach(struct gw_conn *self)
{
    if (self->site == NULL)
        return;
    LIST_REMOVE(self, of_site);
    self->site->conn_count--;
    self->site = NULL;
    self->named = NULL;
}

void gw_conn_attach(struct gw_conn *self, struct gw_site *site)
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
    gw_conn_log_cut(self);
    gw_exchange_free(self->exchange);
    gw_way_free(self->way);
    gw_linger_free(self->linger);
    gw_peek_deinit(&self->peek);
    free(self->preface);
    gw_conn_detach(self);
    if (self->counted)
        gw_sources_give(front->sources, &self->peer);
    if (self->over)
        front->uncounted--;
    LIST_REMOVE(self, of_front);
    front->count--;
    if (front->crowd != NULL)
        atomic_fetch_sub(front->crowd, 1);
    free(self);
}

void gw_conn_vacate(struct gw_conn *self)
{
    gw_conn_enter(self, GW_CONN_CLOSED);
    release(self);
}

/* The one end of a visitor; SELF is gone. RESET: the visitor shall see a reset. */
void gw_conn_close(struct gw_conn *self, bool reset)
{
    struct gw_front *front = self->front;
    int fd = self->fd;

    gw_conn_vacate(self);
    if (fd >= 0 && reset) {
        net_sock_reset(fd);
    } else if (fd >= 0) {
        net_sock_set_abortive(fd, false);
        close(fd);
    }
    if (front->on_left != NULL)
        front->on_left(front->arg);
}

/* --- answers of our own --- */

static void on_lingered(void *arg)
{
    struct gw_conn *self = arg;

    self->linger = NULL;
    gw_conn_close(self, false);
}

void gw_conn_linger(struct gw_conn *self, char *last, size_t len)
{
    struct gw_linger_config cfg = {.fd = self->fd,
                                   .last = last,
                                   .len = len,
                                   .is_watched = self->exchange != NULL,
                                   .on_done = on_lingered,
                                   .arg = self};

    gw_conn_log_cut(self);
    gw_exchange_free(self->exchange);
    self->exchange = NULL;
    gw_way_free(self->way);
    self->way = NULL;
    gw_conn_detach(self);
    gw_peek_deinit(&self->peek);
    if (gw_linger_start(&self->linger, self->front->loop, &cfg) != ERR_OK) {
        free(last);
        gw_conn_close(self, true);
        return;
    }
    self->fd = -1;
    gw_conn_enter(self, GW_CONN_LINGER);
}

/* The bytes of our answer to REJECTION; NULL: there is none. */
static char *make_answer(const struct gw_conn *self, const struct gw_rejection *rejection,
                         size_t *len)
{
    struct gw_refusal refusal = {.reason = rejection->reason,
                                 .status = rejection->status,
                                 .template = self->front->template};

    *len = 0;
    if (self->preface != NULL) /* a balancer would take it for the service's */
        return NULL;
    if (self->port == GW_PORT_TLS)
        return gw_answer_alert(rejection->reason,
                               rejection->reason == self->peek.reason ? self->peek.alert : 0, len);
    if (self->port != GW_PORT_HTTP)
        return NULL;
    if (self->exchange != NULL) {
        refusal.head_only = gw_exchange_is_head(self->exchange);
        refusal.request_id = gw_exchange_id(self->exchange);
        refusal.rest = gw_exchange_unsent(self->exchange, &refusal.rest_len);
    }
    return gw_answer_page(&refusal, len);
}

void gw_conn_reject(struct gw_conn *self, const struct gw_rejection *rejection)
{
    struct gw_conn_outcome outcome = {
        .reason = rejection->reason,
        .status = rejection->status != 0 ? rejection->status : gw_reason_status(rejection->reason)};
    char *answer;

    if (self->nameless && rejection->reason == GW_REASON_EARLY_EOF) {
        gw_conn_close(self, false); /* all is well: it only had a look */
        return;
    }
    self->front->refused->count[rejection->reason]++;
    LOG_DEBUG("visitor refused", KV_N("conn", self->id),
              KV_S("reason", gw_reason_name(rejection->reason)), KV_S("why", rejection->why),
              KV_S("workload", self->site != NULL ? self->site->id : NULL));
    answer = make_answer(self, rejection, &outcome.len);
    gw_conn_log(self, &outcome);
    if (answer != NULL)
        gw_conn_linger(self, answer, outcome.len);
    else
        gw_conn_close(self, self->port == GW_PORT_TCP);
}

void gw_conn_refuse(struct gw_conn *self, enum gw_reason reason)
{
    gw_conn_reject(self, &(struct gw_rejection){.reason = reason});
}

/* --- the first bytes of a visitor of the TLS port --- */

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
    gw_conn_vacate(self);
    net_sock_set_abortive(arrival.fd, false);
    front->on_tunnel(front->arg, &arrival);
    if (front->on_left != NULL)
        front->on_left(front->arg);
}

static void on_peek(struct ev_loop *loop, ev_io *w, int revents)
{
    struct gw_conn *self = w->data;

    (void)loop;
    (void)revents;
    switch (gw_peek_read(&self->peek, self->fd)) {
    case GW_VERDICT_MORE:
        break;
    case GW_VERDICT_HOST:
        gw_conn_route(self, gw_routes_by_host(self->front->routes, self->peek.host));
        break;
    case GW_VERDICT_TUNNEL:
        hand_over(self);
        break;
    case GW_VERDICT_REFUSE:
        ev_io_stop(self->front->loop, &self->io);
        gw_conn_reject(self,
                       &(struct gw_rejection){.reason = self->peek.reason, .why = self->peek.why});
        break;
    case GW_VERDICT_GONE:
        gw_conn_refuse(self, GW_REASON_EARLY_EOF);
        break;
    }
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_conn *self = w->data;

    (void)loop;
    (void)revents;
    ev_io_stop(self->front->loop, &self->io);
    gw_conn_refuse(self, self->state == GW_CONN_PEEK || self->state == GW_CONN_PREFACE
                             ? GW_REASON_FIRST_BYTES_TIMEOUT
                             : GW_REASON_NO_CONNECTOR);
}

struct gw_conn *gw_conn_new(struct gw_front *front, enum gw_port_kind port, int fd,
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
    ev_io_init(&self->io, on_peek, fd, EV_READ);
    ev_init(&self->deadline, on_deadline);
    self->io.data = self;
    self->deadline.data = self;
    LIST_INSERT_HEAD(&front->conns, self, of_front);
    front->count++;
    if (front->crowd != NULL)
        atomic_fetch_add(front->crowd, 1);
    return self;
}

/* Whether a visitor whose source holds too much is told so. */
static bool may_be_told(const struct gw_front *front, enum gw_port_kind port)
{
    return port == GW_PORT_HTTP && front->uncounted < UNCOUNTED_MAX;
}

/* SELF may be gone. */
static void tell_over(struct gw_conn *self)
{
    self->over = true;
    self->front->uncounted++;
    gw_conn_refuse(self, GW_REASON_SOURCE_LIMIT);
}

/* No place for this visitor: told so where that is possible. FD is taken. */
static void turn_away(struct gw_front *front, enum gw_port_kind port, int fd,
                      const struct addr *peer)
{
    struct gw_conn *self = may_be_told(front, port) ? gw_conn_new(front, port, fd, peer) : NULL;

    if (self != NULL) {
        tell_over(self);
        return;
    }
    front->refused->count[GW_REASON_SOURCE_LIMIT]++;
    net_sock_set_abortive(fd, port != GW_PORT_TLS);
    close(fd);
}

static void start_peek(struct gw_conn *self)
{
    gw_peek_init(&self->peek, self->front->limits);
    self->peek.allow_tunnel = self->front->tunnel_on_https;
    gw_conn_enter(self, GW_CONN_PEEK);
    ev_io_start(self->front->loop, &self->io);
}

void gw_conn_start_exchange(struct gw_conn *self, const void *first, size_t first_len)
{
    struct gw_exchange_config cfg = {.common = &self->front->http,
                                     .fd = self->fd,
                                     .peer = &self->peer,
                                     .local = &self->local,
                                     .since_ms = self->since_ms,
                                     .ops = &gw_conn_exchange_ops,
                                     .arg = self,
                                     .first = first,
                                     .first_len = first_len};

    gw_conn_enter(self, GW_CONN_PEEK);
    if (gw_exchange_new(&self->exchange, &cfg) != ERR_OK)
        gw_conn_refuse(self, GW_REASON_NO_MEMORY);
}

/* Its first bytes are its own now. TCP_PORT: where it really came to. SELF may be gone. */
static void begin(struct gw_conn *self, uint16_t tcp_port)
{
    if (self->port == GW_PORT_TCP) /* nobody peeks: the service may speak first */
        gw_conn_route(self, gw_routes_by_port(self->front->routes, tcp_port));
    else if (self->port == GW_PORT_TLS)
        start_peek(self);
    else
        gw_conn_start_exchange(self, NULL, 0);
}

/* --- the header of a balancer --- */

/* Its source holds too much already. SELF may be gone. */
static void refuse_over(struct gw_conn *self)
{
    if (may_be_told(self->front, self->port)) {
        tell_over(self);
        return;
    }
    self->front->refused->count[GW_REASON_SOURCE_LIMIT]++;
    gw_conn_close(self, self->port != GW_PORT_TLS);
}

/* The header is read: from here on the visitor is whom it names. SELF may be gone. */
static void on_header(struct gw_conn *self)
{
    const struct net_proxy_head *head = &self->preface->head;
    uint16_t tcp_port = addr_port(&self->local);

    self->nameless = !head->has_addresses;
    if (head->has_addresses) {
        self->peer = head->visitor;
        self->local = head->local;
    }
    free(self->preface);
    self->preface = NULL;
    ev_io_stop(self->front->loop, &self->io);
    ev_set_cb(&self->io, on_peek);
    if (gw_sources_take(self->front->sources, &self->peer,
                        self->front->limits->visitors_per_source) != ERR_OK) {
        refuse_over(self);
        return;
    }
    self->counted = true;
    begin(self, tcp_port);
}

/* Somebody set up a balancer, or an address range, that does not fit. SELF is gone. */
static void refuse_header(struct gw_conn *self)
{
    uint32_t times = log_pace(&self->front->no_header, clock_mono_ms());
    char from[ADDR_TEXT_MAX];

    addr_print(from, &self->peer);
    if (times > 0)
        LOG_WARN("a balancer sent no PROXY header that is right", KV_S("remote", from),
                 KV_S("why", self->preface->head.why), KV_N("times", times));
    gw_conn_refuse(self, GW_REASON_BAD_PROXY_HEADER);
}

static void on_preface(struct ev_loop *loop, ev_io *w, int revents)
{
    struct gw_conn *self = w->data;

    (void)loop;
    (void)revents;
    switch (gw_preface_read(self->preface, self->fd)) {
    case GW_PREFACE_MORE:
        break;
    case GW_PREFACE_DONE:
        on_header(self);
        break;
    case GW_PREFACE_BAD:
        refuse_header(self);
        break;
    case GW_PREFACE_GONE:
        gw_conn_refuse(self, GW_REASON_EARLY_EOF);
        break;
    }
}

/* A balancer has come for somebody; it is counted by whom it brings. SELF may be gone. */
static void start_preface(struct gw_conn *self)
{
    self->preface = calloc(1, sizeof(*self->preface));
    if (self->preface == NULL) {
        gw_conn_refuse(self, GW_REASON_NO_MEMORY);
        return;
    }
    gw_conn_enter(self, GW_CONN_PREFACE);
    ev_set_cb(&self->io, on_preface);
    ev_io_start(self->front->loop, &self->io);
}

static bool is_balancer(const struct gw_front *front, enum gw_port_kind port,
                        const struct addr *peer)
{
    return front->proxy_from[port] != NULL && gw_ranges_contain(front->proxy_from[port], peer);
}

void gw_conn_accept(struct gw_front *front, enum gw_port_kind port, int fd, const struct addr *peer)
{
    bool counts = !is_balancer(front, port, peer);
    struct gw_conn *self;

    if (counts &&
        gw_sources_take(front->sources, peer, front->limits->visitors_per_source) != ERR_OK) {
        turn_away(front, port, fd, peer);
        return;
    }
    self = gw_conn_new(front, port, fd, peer);
    if (self == NULL) {
        front->refused->count[GW_REASON_NO_MEMORY]++;
        if (counts)
            gw_sources_give(front->sources, peer);
        net_sock_reset(fd);
        return;
    }
    self->counted = counts;
    if (counts)
        begin(self, addr_port(&self->local));
    else
        start_preface(self);
}

/* End a visitor that is attached to a site. SELF is gone, lingers, or is between two requests. */
static void conn_end(struct gw_conn *self, enum gw_reason reason)
{
    bool is_answered = self->exchange != NULL && gw_exchange_has_answer(self->exchange);

    if (self->state == GW_CONN_PEEK) {
        gw_exchange_drop_way(self->exchange);
        gw_conn_detach(self);
    } else if (self->state == GW_CONN_RELAY || is_answered) {
        gw_conn_close(self, true); /* the way resets both sides */
    } else {
        gw_conn_refuse(self, reason);
    }
}

/* Its backend left before it was served. SELF may be gone. */
static void go_another_way(struct gw_conn *self)
{
    gw_way_free(self->way);
    self->way = NULL;
    self->tries.count = 0; /* backends have other places now */
    if (gw_conn_may_repeat(self))
        gw_conn_open_next(self);
    else
        gw_conn_refuse(self, GW_REASON_ANSWER_CUT);
}

void gw_conn_readmit(struct gw_site *site, bool served_too)
{
    struct gw_conn *self, *next;
    struct gw_way *way;

    for (self = LIST_FIRST(&site->conns); self != NULL; self = next) {
        next = LIST_NEXT(self, of_site);
        way = self->exchange != NULL && self->way == NULL ? gw_exchange_way(self->exchange)
                                                          : self->way;
        if (way == NULL || gw_way_readmit(way))
            continue;
        if (self->state == GW_CONN_OPEN)
            go_another_way(self);
        else if (self->state == GW_CONN_PEEK)
            gw_exchange_drop_way(self->exchange);
        else if (served_too)
            conn_end(self, GW_REASON_NO_CONNECTOR);
    }
}

void gw_conn_end_all(struct gw_site *site, enum gw_reason reason)
{
    struct gw_conn *self;

    while ((self = LIST_FIRST(&site->conns)) != NULL)
        conn_end(self, reason);
    gw_spares_drop(site);
}

void gw_conn_drain(struct gw_front *front, bool idle_too)
{
    struct gw_conn *self, *next;

    front->http.last_answers = true;
    gw_spares_drop_all(&front->http.spares);
    for (self = LIST_FIRST(&front->conns); self != NULL && idle_too; self = next) {
        next = LIST_NEXT(self, of_front);
        if (self->exchange == NULL)
            continue;
        if (gw_exchange_has_answer(self->exchange))
            gw_exchange_leave(self->exchange);
        else if (self->state == GW_CONN_PEEK && gw_exchange_is_between(self->exchange))
            gw_conn_linger(self, NULL, 0);
    }
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
