/* SPDX-License-Identifier: Apache-2.0 */
/* Stream or direct dial, then pipe or relay, unless it is lent (way_lent.c); see way.h. */
#include "modules/gateway/way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/gateway/way_impl.h"
#include "modules/link/pipe.h"
#include "modules/net/dial.h"
#include "modules/net/proxy.h"
#include "modules/net/relay.h"
#include "modules/net/sock.h"

static void count_in(struct gw_way *self)
{
    if (self->session != NULL)
        self->session->active++;
    else
        self->cfg.site->direct_active[self->cfg.pick.target.backend]++;
}

void gw_way_unlist(struct gw_way *self)
{
    if (self->listed)
        LIST_REMOVE(self, of_session);
    self->listed = false;
}

static void count_out(struct gw_way *self)
{
    unsigned *direct = &self->cfg.site->direct_active[self->cfg.pick.target.backend];

    if (self->session != NULL)
        self->session->active--;
    else if (self->cfg.pick.session == NULL && !self->left && *direct > 0)
        (*direct)--;
}

/* The session of the stream is ending, or the way is: no pointer to it may stay. */
static void settle(struct gw_way *self, uint64_t rx_bytes, uint64_t tx_bytes)
{
    struct gw_site *site = self->cfg.site;

    gw_way_unlist(self);
    if (!self->resting)
        count_out(self);
    self->session = NULL;
    if (self->counted) {
        site->active--;
        site->rx_bytes += rx_bytes;
        site->tx_bytes += tx_bytes;
    }
    self->counted = false;
}

void gw_way_bytes(const struct gw_way *self, uint64_t *rx_bytes, uint64_t *tx_bytes)
{
    *rx_bytes = *tx_bytes = 0;
    if (self->pipe != NULL) {
        struct link_pipe_bytes bytes = link_pipe_total(self->pipe);

        *rx_bytes = bytes.to_stream + self->first_sent;
        *tx_bytes = bytes.to_fd;
    } else if (self->relay != NULL) {
        struct net_relay_bytes bytes = net_relay_total(self->relay);

        *rx_bytes = bytes.moved[0] > self->extra ? bytes.moved[0] - self->extra : 0;
        *tx_bytes = bytes.moved[1];
    }
}

void gw_way_free(struct gw_way *self)
{
    uint64_t rx_bytes, tx_bytes;

    if (self == NULL)
        return;
    gw_way_bytes(self, &rx_bytes, &tx_bytes);
    if (self->gone != NULL)
        *self->gone = true;
    ev_timer_stop(self->cfg.loop, &self->limit);
    if (self->stream != NULL) {
        tun_stream_close(self->stream);
        link_session_touch(self->session->links);
    }
    gw_way_lent_deinit(self);
    net_dial_cancel(self->dial);
    if (self->service_fd >= 0)
        net_sock_reset(self->service_fd);
    link_pipe_free(self->pipe);
    net_relay_free(self->relay);
    settle(self, rx_bytes, tx_bytes);
    free(self);
}

/* Ends an attempt: SELF is gone before the callback. WHAT is copied first, it may die with it. */
static void fail(struct gw_way *self, enum gw_reason reason, const char *what)
{
    struct gw_way_config cfg = self->cfg;
    uint8_t key[GW_KEY_LEN];
    char text[TUN_WHY_MAX + 1];
    struct gw_way_failure failure = {.reason = reason,
                                     .connector = self->backend.tunnel ? key : NULL,
                                     .what = text,
                                     .maybe_served = self->maybe_served && self->first_sent > 0};

    memcpy(key, self->backend.key, sizeof(key));
    (void)snprintf(text, sizeof(text), "%s", what);
    if (reason != GW_REASON_NO_CONNECTOR) /* a session that ended is gone anyway */
        gw_site_fault(cfg.site, &cfg.pick.target, clock_mono_ms());
    gw_way_free(self);
    cfg.on_failed(cfg.arg, &failure);
}

static void opened(struct gw_way *self)
{
    ev_timer_stop(self->cfg.loop, &self->limit);
    gw_site_cure(self->cfg.site, &self->cfg.pick.target);
    self->cfg.on_open(self->cfg.arg);
}

static void aim(struct gw_way *self, uint64_t now_ms)
{
    uint64_t left_ms = self->limit_ms - now_ms;

    if (left_ms > GW_WAY_LOOK_MS)
        left_ms = GW_WAY_LOOK_MS;
    ev_timer_stop(self->cfg.loop, &self->limit);
    ev_timer_set(&self->limit, (double)left_ms / 1000.0, 0.0);
    ev_timer_start(self->cfg.loop, &self->limit);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_way *self = w->data;
    uint64_t now_ms = clock_mono_ms();
    bool was_linkless = self->linkless;

    (void)loop;
    (void)revents;
    self->maybe_served = true;
    if (now_ms >= self->limit_ms) {
        fail(self, GW_REASON_OPEN_TIMEOUT, "no answer in time");
        return;
    }
    self->linkless = link_session_live(self->session->links) == 0;
    aim(self, now_ms);
    if (was_linkless && self->linkless && self->cfg.has_other(self->cfg.arg))
        fail(self, GW_REASON_NO_CONNECTOR, "the connector's links were lost");
}

static struct tun_endpoint endpoint(const struct addr *a)
{
    struct tun_endpoint e = {.port = addr_port(a)};

    addr_ip16(e.ip, a);
    return e;
}

static enum tun_proxy tunnel_proxy(enum gw_proxy_protocol proxy)
{
    return proxy == GW_PROXY_V1   ? TUN_PROXY_V1
           : proxy == GW_PROXY_V2 ? TUN_PROXY_V2
                                  : TUN_PROXY_NONE;
}

static int start_stream(struct gw_way *self)
{
    const struct gw_way_config *cfg = &self->cfg;
    struct tun_open open = {
        .kind = cfg->kind,
        .proxy = tunnel_proxy(cfg->site->exposure->proxy_protocol),
        .visitor = endpoint(cfg->peer),
        .local = endpoint(cfg->local),
    };
    int rc;

    (void)snprintf(open.workload, sizeof(open.workload), "%s", cfg->site->id);
    (void)snprintf(open.service, sizeof(open.service), "%s", self->backend.service);
    (void)snprintf(open.name, sizeof(open.name), "%s", cfg->name);
    rc = tun_stream_open(&self->stream, link_session_tunnel(self->session->links), &open, self);
    if (rc != ERR_OK)
        return rc;
    /* The service gets the first bytes with the OPEN, not a round trip later. */
    self->first_sent = tun_stream_write(self->stream, cfg->first, cfg->first_len);
    link_session_touch(self->session->links);
    return ERR_OK;
}

/* Ops of the stream; USER is the way. */

static void on_open_ok(void *user, struct tun_stream *stream)
{
    (void)stream;
    opened(user);
}

/* The link was lost before the connector heard of the stream: it asks again. */
static void open_again(struct gw_way *self)
{
    if (start_stream(self) != ERR_OK)
        fail(self, GW_REASON_NO_CONNECTOR, "the connector's link was lost");
}

static void on_open_err(void *user, const struct tun_notice *notice)
{
    struct gw_way *self = user;
    char what[TUN_WHY_MAX + 40];

    self->stream = NULL;
    self->maybe_served = false;
    if (notice->code == TUN_CODE_LOST) {
        open_again(self);
        return;
    }
    (void)snprintf(what, sizeof(what), "%s%s%s", tun_code_name(notice->code),
                   notice->why[0] != '\0' ? ": " : "", notice->why);
    /* SHUTDOWN: it said goodbye while the OPEN was on its way; the service was not even asked. */
    fail(self,
         notice->code == TUN_CODE_SHUTDOWN ? GW_REASON_NO_CONNECTOR : GW_REASON_BACKEND_REFUSED,
         what);
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct gw_way *self = user;

    (void)stream;
    if (self->ops != NULL)
        return self->ops->on_data(self->ops_arg, data, len);
    return self->pipe != NULL ? link_pipe_on_data(self->pipe, data, len) : 0;
}

static void on_readable(void *user, struct tun_stream *stream)
{
    struct gw_way *self = user;

    (void)stream;
    if (self->ops != NULL)
        gw_way_lent_readable(self);
    else if (self->pipe != NULL)
        link_pipe_on_readable(self->pipe);
}

static void on_writable(void *user, struct tun_stream *stream)
{
    struct gw_way *self = user;

    (void)stream;
    if (self->ops != NULL)
        self->ops->on_writable(self->ops_arg);
    else if (self->pipe != NULL)
        link_pipe_on_writable(self->pipe);
}

static void on_reset(void *user, enum tun_code code)
{
    struct gw_way *self = user;
    enum gw_reason reason =
        code == TUN_CODE_LOST ? GW_REASON_NO_CONNECTOR : GW_REASON_BACKEND_REFUSED;

    if (self->pipe != NULL) {
        link_pipe_on_reset(self->pipe, code);
        return;
    }
    self->stream = NULL;
    self->maybe_served = true;
    if (self->ops != NULL)
        gw_way_lent_cut(self, reason);
    else
        fail(self, reason,
             code == TUN_CODE_LOST ? "the connector's session ended" : tun_code_name(code));
}

/* Of the session, from the registry: ways that serve may go on, those that wait for nothing shall
 * end. One at a time: each may free any other. */
static void on_goaway(void *arg, const struct tun_notice *notice)
{
    struct gw_session *session = arg;
    struct gw_way *self;

    (void)notice;
    while ((self = LIST_FIRST(&session->ways)) != NULL) {
        gw_way_unlist(self);
        if (self->ops->on_goaway != NULL)
            self->ops->on_goaway(self->ops_arg);
    }
}

const struct tun_session_ops gw_way_stream_ops = {
    .on_open_ok = on_open_ok,
    .on_open_err = on_open_err,
    .on_data = on_data,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_reset = on_reset,
    .on_goaway = on_goaway,
};

static void on_dialled(void *arg, int rc, int fd, const struct addr *addr)
{
    struct gw_way *self = arg;

    (void)addr;
    self->dial = NULL;
    self->service_fd = fd;
    if (rc == ERR_OK) {
        net_sock_nodelay(fd);
        opened(self);
    } else if (rc == ERR_TIMEOUT)
        fail(self, GW_REASON_OPEN_TIMEOUT, "no answer in time");
    else
        fail(self, GW_REASON_BACKEND_REFUSED, err_text(rc));
}

static int start_dial(struct gw_way *self)
{
    struct net_dial_config dial = {
        .addrs = &self->backend.addr,
        .count = 1,
        .timeout_ms = (uint32_t)self->cfg.open_timeout_ms,
        .on_done = on_dialled,
        .arg = self,
    };

    return net_dial_start(&self->dial, self->cfg.loop, &dial);
}

int gw_way_start(struct gw_way **out, const struct gw_way_config *cfg)
{
    struct gw_way *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->backend = cfg->site->exposure->backends[cfg->pick.target.backend];
    self->session = cfg->pick.session;
    self->service_fd = -1;
    ev_init(&self->limit, on_limit);
    self->limit.data = self;
    self->limit_ms = clock_mono_ms() + cfg->open_timeout_ms;
    rc = self->backend.tunnel ? start_stream(self) : start_dial(self);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    count_in(self);
    if (self->backend.tunnel) { /* a dial has its own limit */
        ev_now_update(cfg->loop);
        aim(self, clock_mono_ms());
    }
    *out = self;
    return ERR_OK;
}

static void finish(struct gw_way *self, uint64_t rx_bytes, uint64_t tx_bytes)
{
    void (*on_done)(void *, uint64_t, uint64_t) = self->cfg.on_done;
    void *arg = self->cfg.arg;

    settle(self, rx_bytes, tx_bytes);
    free(self);
    on_done(arg, rx_bytes, tx_bytes);
}

static void on_pipe_done(void *arg, const struct link_pipe_end *end)
{
    struct gw_way *self = arg;

    finish(self, end->bytes.to_stream + self->first_sent, end->bytes.to_fd);
}

static void on_relay_done(void *arg, int reason, const struct net_relay_bytes *bytes)
{
    struct gw_way *self = arg;
    uint64_t rx = bytes->moved[0];

    (void)reason;
    finish(self, rx > self->extra ? rx - self->extra : 0, bytes->moved[1]);
}

int gw_way_carry_stream(struct gw_way *self, const struct gw_way_load *load)
{
    struct link_pipe_config pipe = {
        .session = self->session->links,
        .stream = self->stream,
        .fd = load->fd,
        .to_stream = load->first,
        .to_stream_len = load->first_len,
        .idle_ms = load->idle_ms,
        .pace = &self->cfg.site->pace,
        .on_done = on_pipe_done,
        .arg = self,
    };
    int rc = link_pipe_new(&self->pipe, self->cfg.loop, &pipe);

    if (rc == ERR_OK)
        self->stream = NULL;
    return rc;
}

int gw_way_carry_direct(struct gw_way *self, const struct gw_way_load *load)
{
    struct net_relay_config relay = {
        .fds = {load->fd, self->service_fd},
        .first = {load->first, load->back},
        .first_len = {load->first_len, load->back_len},
        .idle_ms = load->idle_ms,
        .pace = &self->cfg.site->pace,
        .hangup = self->cfg.hangup,
        .on_done = on_relay_done,
        .arg = self,
    };
    int rc = net_relay_new(&self->relay, self->cfg.loop, &relay);

    if (rc == ERR_OK)
        self->service_fd = -1;
    return rc;
}

size_t gw_way_proxy(const struct gw_way *self, uint8_t out[NET_PROXY_MAX])
{
    enum gw_proxy_protocol proxy = self->cfg.site->exposure->proxy_protocol;
    enum net_proxy version = proxy == GW_PROXY_V1   ? NET_PROXY_V1
                             : proxy == GW_PROXY_V2 ? NET_PROXY_V2
                                                    : NET_PROXY_NONE;

    return net_proxy_write(out, version, self->cfg.peer, self->cfg.local);
}

/* The PROXY header and the first bytes, in one piece. */
static int carry_anew(struct gw_way *self, int fd, uint64_t idle_ms)
{
    const struct gw_way_config *cfg = &self->cfg;
    uint8_t *first = malloc(NET_PROXY_MAX + cfg->first_len);
    struct gw_way_load load = {.fd = fd, .idle_ms = idle_ms, .first = first};
    int rc;

    if (first == NULL)
        return ERR_NOMEM;
    self->extra = gw_way_proxy(self, first);
    if (cfg->first_len > 0)
        memcpy(first + self->extra, cfg->first, cfg->first_len);
    load.first_len = self->extra + cfg->first_len;
    rc = gw_way_carry_direct(self, &load);
    free(first);
    return rc;
}

static int carry_on(struct gw_way *self, int fd, uint64_t idle_ms)
{
    const struct gw_way_config *cfg = &self->cfg;
    struct gw_way_load load = {.fd = fd, .idle_ms = idle_ms};

    if (cfg->first_len > 0) {
        load.first = cfg->first + self->first_sent;
        load.first_len = cfg->first_len - self->first_sent;
    }
    return gw_way_carry_stream(self, &load);
}

void gw_way_begin(struct gw_way *self)
{
    self->counted = true;
    self->cfg.site->active++;
    self->cfg.site->connections++;
    self->cfg.first = NULL; /* only borrowed until now */
    self->cfg.peer = self->cfg.local = NULL;
}

void gw_way_rest(struct gw_way *self, const struct gw_way_ops *ops, void *arg)
{
    self->ops = ops;
    self->ops_arg = arg;
    self->resting = true;
    count_out(self);
    self->counted = false;
    self->cfg.site->active--;
}

void gw_way_lend_again(struct gw_way *self, const struct gw_way_ops *ops, void *arg, void *owner)
{
    self->ops = ops;
    self->ops_arg = arg;
    self->cfg.arg = owner;
    self->resting = false;
    count_in(self);
    gw_way_begin(self);
}

int gw_way_carry(struct gw_way *self, int fd, uint64_t idle_ms)
{
    int rc = self->stream != NULL ? carry_on(self, fd, idle_ms) : carry_anew(self, fd, idle_ms);

    if (rc == ERR_OK)
        gw_way_begin(self);
    return rc;
}

bool gw_way_readmit(struct gw_way *self)
{
    const struct gw_exposure *e = self->cfg.site->exposure;

    self->left = true;
    if (self->session != NULL && self->session->twin != 0 && self->session->twin != e->twin)
        return false;
    for (unsigned i = 0; i < e->backend_count; i++) {
        if (!gw_backend_equal(&e->backends[i], &self->backend))
            continue;
        self->left = false;
        self->cfg.pick.target.backend = i;
        if (!self->backend.tunnel) /* the worker starts the counts of a new exposure at zero */
            self->cfg.site->direct_active[i]++;
        return true;
    }
    return false;
}
