/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way whose owner moves the bytes, over the stream or over a flow on the socket; see way.h. What
 * comes is handed on from where it lies (the record it came in), and copied only when it waits.
 */
#include "modules/gateway/way.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/warm.h"
#include "modules/gateway/spares.h"
#include "modules/gateway/way_impl.h"
#include "modules/link/session.h"
#include "modules/net/flow.h"
#include "modules/net/sock.h"

/* What becomes a relay in the next turn of the loop: until then the flow may be inside on_data, and
 * what is left of that is not known. */
struct gw_way_turn {
    ev_timer soon;
    int fd; /* the visitor's */
    uint64_t idle_ms;
    size_t first_len;
    uint8_t first[]; /* of the visitor */
};

static void touch(struct gw_way *self)
{
    link_session_touch(self->session->links);
}

/* ---- what is heard ------------------------------------------------------------------------- */

/* The service's end, once and after its last byte. The owner may free SELF. */
static void tell_eof(struct gw_way *self)
{
    if (self->eof_told)
        return;
    self->eof_told = true;
    self->ops->on_eof(self->ops_arg);
}

void gw_way_lent_readable(struct gw_way *self)
{
    if (tun_stream_eof(self->stream))
        tell_eof(self); /* self may be gone */
}

void gw_way_lent_cut(struct gw_way *self, enum gw_reason reason)
{
    const struct gw_way_ops *ops = self->ops;
    void *arg = self->ops_arg;

    gw_way_free(self);
    ops->on_cut(arg, reason);
}

/* The service is gone before the relay began. */
static void fail_turn(struct gw_way *self)
{
    void (*on_done)(void *, uint64_t, uint64_t) = self->cfg.on_done;
    void *arg = self->cfg.arg;

    gw_way_free(self);
    on_done(arg, 0, 0);
}

static size_t on_flow_data(void *arg, const uint8_t *data, size_t len)
{
    struct gw_way *self = arg;

    return self->ops != NULL ? self->ops->on_data(self->ops_arg, data, len) : 0;
}

static void on_flow_writable(void *arg)
{
    struct gw_way *self = arg;

    if (self->ops != NULL)
        self->ops->on_writable(self->ops_arg);
}

static void on_flow_eof(void *arg)
{
    struct gw_way *self = arg;

    if (self->ops != NULL)
        tell_eof(self); /* or the relay finds it again */
}

static void on_flow_cut(void *arg)
{
    struct gw_way *self = arg;

    self->flow = NULL;
    if (self->ops != NULL)
        gw_way_lent_cut(self, GW_REASON_BACKEND_REFUSED);
    else
        fail_turn(self);
}

static const struct net_flow_ops flow_ops = {
    .on_data = on_flow_data,
    .on_writable = on_flow_writable,
    .on_eof = on_flow_eof,
    .on_cut = on_flow_cut,
};

/* ---- lending ------------------------------------------------------------------------------- */

static int start_flow(struct gw_way *self)
{
    struct net_flow_config flow = {
        .fd = self->service_fd, .hangup = self->cfg.hangup, .ops = &flow_ops, .arg = self};
    uint8_t header[NET_PROXY_MAX];
    size_t len = gw_way_proxy(self, header);
    int rc = net_flow_new(&self->flow, self->cfg.loop, &flow);

    if (rc != ERR_OK)
        return rc;
    self->service_fd = -1;
    /* a socket that was just connected has room for it */
    return net_flow_write(self->flow, header, len) == len ? ERR_OK : ERR_LIMIT;
}

int gw_way_lend(struct gw_way *self, const struct gw_way_ops *ops, void *arg, size_t *sent)
{
    int rc = self->stream == NULL ? start_flow(self) : ERR_OK;

    if (rc != ERR_OK)
        return rc;
    *sent = self->first_sent;
    self->first_sent = 0; /* the owner counts it */
    self->ops = ops;
    self->ops_arg = arg;
    if (self->session != NULL) {
        LIST_INSERT_HEAD(&self->session->ways, self, of_session);
        self->listed = true;
    }
    gw_way_begin(self);
    return ERR_OK;
}

/* ---- moving bytes -------------------------------------------------------------------------- */

void gw_way_warm(const struct gw_way *self)
{
    warm(self, offsetof(struct gw_way, cfg.pick));
    if (self->stream != NULL)
        tun_stream_warm(self->stream);
}

size_t gw_way_write(struct gw_way *self, const void *data, size_t len)
{
    size_t n;

    if (self->flow != NULL)
        return net_flow_write(self->flow, data, len);
    n = tun_stream_write(self->stream, data, len);
    touch(self);
    return n;
}

uint8_t *gw_way_reserve(struct gw_way *self, size_t *room)
{
    if (self->flow == NULL)
        return tun_stream_reserve(self->stream, room);
    *room = 0;
    return NULL;
}

void gw_way_commit(struct gw_way *self, size_t n)
{
    tun_stream_commit(self->stream, n);
    touch(self);
}

void gw_way_finish(struct gw_way *self)
{
    if (self->flow != NULL) {
        net_flow_finish(self->flow);
        return;
    }
    tun_stream_finish(self->stream);
    touch(self);
}

/* Offer the stream's waiting bytes, piece by piece. Returns false when SELF is gone. The owner may
 * have handed the stream on to a pipe, which begins with what is left here. */
static bool offer_waiting(struct gw_way *self, const bool *gone)
{
    struct link_session *links = self->session->links;
    struct tun_stream *stream = self->stream;
    const uint8_t *data;
    size_t len, n = 0;

    while (self->ops != NULL && (data = tun_stream_peek(stream, &len)) != NULL) {
        self->offered = len;
        n = self->ops->on_data(self->ops_arg, data, len);
        if (*gone)
            return false;
        self->offered = 0;
        tun_stream_consume(stream, n);
        link_session_touch(links);
        if (n < len)
            return true;
    }
    if (self->ops != NULL && tun_stream_eof(stream))
        tell_eof(self);
    return !*gone;
}

bool gw_way_pull(struct gw_way *self)
{
    bool gone = false;

    if (self->ops == NULL || self->gone != NULL)
        return true;
    if (self->flow != NULL)
        return net_flow_pull(self->flow);
    self->gone = &gone;
    if (!offer_waiting(self, &gone))
        return false;
    self->gone = NULL;
    return true;
}

void gw_way_count(struct gw_way *self, uint64_t rx_bytes, uint64_t tx_bytes)
{
    self->cfg.site->rx_bytes += rx_bytes;
    self->cfg.site->tx_bytes += tx_bytes;
}

/* ---- questions ----------------------------------------------------------------------------- */

bool gw_way_is_idle(const struct gw_way *self)
{
    const struct gw_exposure *exposure = self->cfg.site->exposure;

    if (self->ops == NULL || self->left || self->eof_told || exposure == NULL)
        return false;
    if (self->flow != NULL)
        return net_flow_is_idle(self->flow);
    return gw_session_serves(self->session, exposure) && !tun_stream_finished(self->stream) &&
           !tun_stream_eof(self->stream) && tun_stream_waiting(self->stream) == self->offered &&
           tun_stream_queued(self->stream) == 0;
}

const struct gw_target *gw_way_target(const struct gw_way *self)
{
    return &self->cfg.pick.target;
}

const uint8_t *gw_way_connector(const struct gw_way *self)
{
    return self->backend.tunnel ? self->backend.key : NULL;
}

/* ---- handing on ---------------------------------------------------------------------------- */

/* The flow's turn is over: a relay takes socket and rest. May end SELF. */
static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_way *self = w->data;
    struct gw_way_turn *turn = self->turn;
    struct gw_way_load load = {.fd = turn->fd,
                               .idle_ms = turn->idle_ms,
                               .first = turn->first,
                               .first_len = turn->first_len};
    struct net_flow_rest rest;
    int rc;

    (void)loop;
    (void)revents;
    net_flow_release(self->flow, &rest);
    self->flow = NULL;
    self->service_fd = rest.fd;
    load.back = rest.at;
    load.back_len = rest.len;
    rc = gw_way_carry_direct(self, &load);
    free(rest.data);
    if (rc != ERR_OK) {
        fail_turn(self);
        return;
    }
    self->turn = NULL;
    free(turn);
}

static int turn_soon(struct gw_way *self, const struct gw_way_load *load)
{
    struct gw_way_turn *turn;

    if (load->first_len > NET_FLOW_READ_BYTES)
        return ERR_LIMIT;
    turn = malloc(sizeof(*turn) + load->first_len);
    if (turn == NULL)
        return ERR_NOMEM;
    *turn = (struct gw_way_turn){
        .fd = load->fd, .idle_ms = load->idle_ms, .first_len = load->first_len};
    if (load->first_len > 0)
        memcpy(turn->first, load->first, load->first_len);
    ev_timer_init(&turn->soon, on_turn, 0.0, 0.0);
    turn->soon.data = self;
    ev_timer_start(self->cfg.loop, &turn->soon);
    self->turn = turn;
    return ERR_OK;
}

int gw_way_switch(struct gw_way *self, int fd, uint64_t idle_ms, const void *first,
                  size_t first_len)
{
    struct gw_way_load load = {
        .fd = fd, .idle_ms = idle_ms, .first = first, .first_len = first_len};
    int rc = self->flow != NULL ? turn_soon(self, &load) : gw_way_carry_stream(self, &load);

    if (rc != ERR_OK)
        return rc;
    self->ops = NULL;
    gw_way_unlist(self);
    return ERR_OK;
}

/* ---- the end ------------------------------------------------------------------------------- */

void gw_way_close(struct gw_way *self)
{
    if (self->ops != NULL && self->stream != NULL) {
        tun_stream_leave(self->stream);
        touch(self);
        self->stream = NULL;
    } else if (self->ops != NULL && self->flow != NULL) {
        net_flow_close(self->flow);
        self->flow = NULL;
    }
    gw_way_free(self);
}

void gw_way_lent_deinit(struct gw_way *self)
{
    gw_spares_forget(self);
    net_flow_free(self->flow);
    if (self->turn == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->turn->soon);
    net_sock_reset(self->turn->fd);
    free(self->turn);
}
