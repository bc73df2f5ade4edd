/* SPDX-License-Identifier: Apache-2.0 */
/* What a visitor takes along, and how it begins where it arrives; see passage.h. */
#include "modules/gateway/passage.h"

#include <stdlib.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/gateway/bytes.h"
#include "modules/gateway/conn_impl.h"
#include "modules/gateway/gateway_impl.h"
#include "modules/net/mail.h"
#include "modules/net/sock.h"

struct passage {
    struct net_letter letter;
    atomic_size_t *crowd; /* which it is part of meanwhile */
    int fd;
    enum gw_port_kind port;
    bool counted, nameless;
    uint64_t since_ms;
    uint64_t looked_at; /* by who sends it */
    struct addr peer, local;
    struct gw_peek peek;  /* TLS port: the hello */
    struct gw_bytes read; /* HTTP port: the request's head, and what came after it */
};

/* Everything but the socket. */
static void passage_free(struct passage *self)
{
    if (self->crowd != NULL)
        atomic_fetch_sub(self->crowd, 1);
    gw_peek_deinit(&self->peek);
    gw_bytes_clear(&self->read);
    free(self);
}

static void drop(struct net_letter *letter)
{
    struct passage *self = (struct passage *)letter;

    net_sock_reset(self->fd);
    passage_free(self);
}

/* There is no place for it. SELF is gone. */
static void turn_away(struct passage *self, struct gw_front *front)
{
    front->refused->count[GW_REASON_NO_MEMORY]++;
    if (self->counted)
        gw_sources_give(front->sources, &self->peer);
    drop(&self->letter);
}

/* --- arrival --- */

/* Where it wanted to go is looked up once more: that may have changed meanwhile. */
static void go_on(struct gw_conn *conn, struct passage *self, uint16_t tcp_port)
{
    struct gw_routes *routes = conn->front->routes;

    if (self->port == GW_PORT_HTTP) {
        gw_conn_start_exchange(conn, self->read.data, self->read.len);
    } else if (self->port == GW_PORT_TLS) {
        conn->peek = self->peek;
        conn->peek.host = conn->peek.sni.host;
        self->peek.data = NULL;
        gw_conn_route(conn, gw_routes_by_host(routes, conn->peek.host));
    } else {
        gw_conn_route(conn, gw_routes_by_port(routes, tcp_port));
    }
}

static void arrive(struct net_letter *letter, void *reader)
{
    struct passage *self = (struct passage *)letter;
    struct gw_worker *worker = reader;
    struct gw_front *front = &worker->front;
    struct gw_conn *conn = gw_conn_new(front, self->port, self->fd, &self->peer);
    uint16_t tcp_port;

    if (conn == NULL) {
        turn_away(self, front);
        return;
    }
    tcp_port = addr_port(&conn->local); /* where it really came to, whatever a balancer says */
    conn->local = self->local;
    conn->counted = self->counted;
    conn->nameless = self->nameless;
    conn->since_ms = self->since_ms;
    conn->looked_at = self->looked_at;
    conn->sent = front->index != 0; /* the first one looks for itself */
    go_on(conn, self, tcp_port);
    passage_free(self);
}

/* --- departure --- */

static int pack(struct passage *self, struct gw_conn *conn)
{
    size_t len;
    const void *read;

    self->letter = (struct net_letter){.open = arrive, .drop = drop};
    self->fd = conn->fd;
    self->port = conn->port;
    self->nameless = conn->nameless;
    self->looked_at = conn->looked_at;
    self->since_ms = conn->exchange != NULL ? clock_mono_ms() : conn->since_ms;
    self->peer = conn->peer;
    self->local = conn->local;
    if (conn->exchange == NULL)
        return ERR_OK;
    read = gw_exchange_unread(conn->exchange, &len);
    return gw_bytes_add(&self->read, read, len);
}

void gw_passage_depart(struct gw_conn *conn, unsigned to)
{
    struct passage *self = calloc(1, sizeof(*self));
    struct gw_front *front = conn->front;

    if (self == NULL || front->is_full(front->arg, to) || pack(self, conn) != ERR_OK) {
        free(self);
        gw_conn_refuse(conn, GW_REASON_NO_MEMORY);
        return;
    }
    self->crowd = front->crowd;
    atomic_fetch_add(self->crowd, 1);
    self->peek = conn->peek;
    conn->peek.data = NULL;
    self->counted = conn->counted; /* it takes its place along */
    conn->counted = false;
    conn->unlogged = false; /* who serves the request writes the line */
    gw_conn_vacate(conn);
    net_unwatch(&front->unwatch, self->fd);
    front->send(front->arg, to, &self->letter);
    if (front->on_left != NULL)
        front->on_left(front->arg);
}
