/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets of a worker; see doors.h. */
#include "modules/gateway/doors.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"
#include "modules/net/listener.h"

#define TUNNEL_DEFER_S 1 /* connectors speak first */
#define TUNNEL_BATCH 16  /* a flood of strangers must not hold visitors up for long */

/* The listeners for one purpose. */
struct door {
    struct gw_doors *doors;
    enum gw_door_kind kind;
    struct net_listener *at[GW_LISTEN_MAX];
    struct addr asked[GW_LISTEN_MAX]; /* what each was made for */
    size_t count;
    bool shown; /* to a successor */
};

struct gw_doors {
    struct gw_doors_config cfg;
    struct door http, https, tunnel;
    struct map *tcp; /* port -> struct door */
    bool held;
};

static void on_http(void *arg, int fd, const struct addr *peer)
{
    struct gw_doors *self = arg;

    self->cfg.on_visitor(self->cfg.arg, GW_PORT_HTTP, fd, peer);
}

static void on_https(void *arg, int fd, const struct addr *peer)
{
    struct gw_doors *self = arg;

    self->cfg.on_visitor(self->cfg.arg, GW_PORT_TLS, fd, peer);
}

static void on_tcp(void *arg, int fd, const struct addr *peer)
{
    struct gw_doors *self = arg;

    self->cfg.on_visitor(self->cfg.arg, GW_PORT_TCP, fd, peer);
}

static void on_tunnel(void *arg, int fd, const struct addr *peer)
{
    struct gw_doors *self = arg;
    struct gw_arrival arrival = {.fd = fd, .remote = *peer, .since_ms = clock_mono_ms()};

    self->cfg.on_tunnel(self->cfg.arg, &arrival);
}

static void on_exhausted(void *arg, bool exhausted)
{
    (void)arg;
    if (exhausted)
        LOG_WARN("out of file descriptors or memory, accepting pauses");
    else
        LOG_INFO("accepting again");
}

static void door_close(struct door *door)
{
    for (size_t i = 0; i < door->count; i++)
        net_listener_free(door->at[i]);
    door->count = 0;
}

static net_listener_accept_fn *accept_fn(enum gw_door_kind kind)
{
    switch (kind) {
    case GW_DOOR_HTTP:
        return on_http;
    case GW_DOOR_HTTPS:
        return on_https;
    case GW_DOOR_TUNNEL:
        return on_tunnel;
    default:
        return on_tcp;
    }
}

/* A listener for ADDR: the predecessor's, or a new one. */
static int obtain(struct door *door, const struct addr *addr)
{
    struct gw_doors *self = door->doors;
    int fd = gw_heritage_take(self->cfg.heritage, door->kind, addr);
    struct net_listener_config cfg = {
        .addr = *addr,
        .fd = fd,
        .defer_s = door->kind == GW_DOOR_TUNNEL ? TUNNEL_DEFER_S : 0,
        .carries = door->kind != GW_DOOR_TUNNEL,
        .batch = door->kind == GW_DOOR_TUNNEL ? TUNNEL_BATCH : 0,
        .on_accept = accept_fn(door->kind),
        .on_exhausted = on_exhausted,
        .arg = self,
    };
    int rc = net_listener_new(&door->at[door->count], self->cfg.loop, &cfg);

    if (rc != ERR_OK && fd >= 0) {
        int saved = errno;

        close(fd);
        errno = saved;
    }
    return rc;
}

/* One more address. A family that the host lacks is only a warning: others may be there. */
static int door_open(struct door *door, const struct addr *addr)
{
    int rc = obtain(door, addr);
    char text[ADDR_TEXT_MAX];

    if (rc == ERR_OK) {
        if (door->doors->held && door->kind != GW_DOOR_TUNNEL)
            net_listener_pause(door->at[door->count]);
        door->asked[door->count++] = *addr;
        return ERR_OK;
    }
    addr_print(text, addr);
    if (rc == ERR_NOENT || (rc == ERR_SYS && errno == EAFNOSUPPORT)) {
        LOG_WARN("this host has no such address family, not listening there", KV_S("addr", text));
        return ERR_OK;
    }
    if (rc == ERR_SYS && errno == EADDRNOTAVAIL && addr->ss.ss_family == AF_INET6) {
        LOG_WARN("IPv6 is off on this host, not listening there", KV_S("addr", text));
        return ERR_OK;
    }
    return rc;
}

static int door_open_all(struct door *door, const struct gw_addrs *addrs)
{
    for (size_t i = 0; i < addrs->count; i++) {
        int rc = door_open(door, &addrs->at[i]);

        if (rc != ERR_OK) {
            char text[ADDR_TEXT_MAX];
            int saved = errno;

            addr_print(text, &addrs->at[i]);
            LOG_ERROR("cannot listen", KV_S("addr", text), KV_S("err", err_text(rc)));
            errno = saved;
            return rc;
        }
    }
    return ERR_OK;
}

int gw_doors_new(struct gw_doors **out, const struct gw_doors_config *cfg)
{
    struct gw_doors *self = calloc(1, sizeof(*self));
    int rc, saved;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->held = cfg->held;
    self->http = (struct door){.doors = self, .kind = GW_DOOR_HTTP};
    self->https = (struct door){.doors = self, .kind = GW_DOOR_HTTPS};
    self->tunnel = (struct door){.doors = self, .kind = GW_DOOR_TUNNEL};
    rc = map_new(&self->tcp);
    if (rc == ERR_OK)
        rc = door_open_all(&self->http, &cfg->config->http);
    if (rc == ERR_OK)
        rc = door_open_all(&self->https, &cfg->config->https);
    if (rc == ERR_OK)
        rc = door_open_all(&self->tunnel, &cfg->config->tunnel);
    if (rc != ERR_OK) {
        saved = errno;
        gw_doors_free(self);
        errno = saved;
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void gw_doors_free(struct gw_doors *self)
{
    if (self == NULL)
        return;
    gw_doors_close(self);
    map_free(self->tcp);
    free(self);
}

void gw_doors_close(struct gw_doors *self)
{
    struct door *door;
    size_t at = 0;

    if (self == NULL)
        return;
    door_close(&self->http);
    door_close(&self->https);
    door_close(&self->tunnel);
    while (self->tcp != NULL && (door = map_next(self->tcp, &at, NULL, NULL)) != NULL)
        door_close(door);
    for (at = 0; self->tcp != NULL && (door = map_next(self->tcp, &at, NULL, NULL)) != NULL;)
        free(door);
    map_free(self->tcp);
    self->tcp = NULL;
}

/* ADDR with PORT in place of its own. */
static struct addr with_port(const struct addr *addr, uint16_t port)
{
    struct addr out = *addr;
    char text[ADDR_IP_MAX];

    addr_print_ip(text, addr);
    (void)addr_from_ip(&out, text, port); /* a literal it printed itself */
    return out;
}

int gw_doors_bind(struct gw_doors *self, uint16_t port)
{
    const struct gw_addrs *addrs = &self->cfg.config->tcp_addresses;
    struct door *door;
    int rc = ERR_OK, saved;

    if (self->tcp == NULL) /* closed: a draining worker takes nothing new */
        return ERR_CANCELLED;
    if (map_get(self->tcp, &port, sizeof(port)) != NULL)
        return ERR_EXISTS;
    door = calloc(1, sizeof(*door));
    if (door == NULL)
        return ERR_NOMEM;
    door->doors = self;
    door->kind = GW_DOOR_TCP;
    for (size_t i = 0; rc == ERR_OK && i < addrs->count; i++) {
        struct addr addr = with_port(&addrs->at[i], port);

        rc = door_open(door, &addr);
    }
    if (rc == ERR_OK && door->count == 0)
        rc = ERR_NOENT;
    if (rc == ERR_OK)
        rc = map_put(self->tcp, &port, sizeof(port), door, NULL);
    if (rc == ERR_OK)
        return ERR_OK;
    saved = errno;
    door_close(door);
    free(door);
    errno = saved;
    return rc;
}

void gw_doors_unbind(struct gw_doors *self, uint16_t port)
{
    struct door *door = self->tcp != NULL ? map_remove(self->tcp, &port, sizeof(port)) : NULL;

    if (door == NULL)
        return;
    door_close(door);
    free(door);
}

static void door_pause(struct door *door, bool pause)
{
    for (size_t i = 0; i < door->count; i++) {
        if (pause)
            net_listener_pause(door->at[i]);
        else
            net_listener_resume(door->at[i]);
    }
}

void gw_doors_leave_tunnel(struct gw_doors *self, bool absent)
{
    if (self != NULL)
        door_pause(&self->tunnel, absent);
}

void gw_doors_open(struct gw_doors *self)
{
    struct door *door;
    size_t at = 0;

    self->held = false;
    door_pause(&self->http, false);
    door_pause(&self->https, false);
    while (self->tcp != NULL && (door = map_next(self->tcp, &at, NULL, NULL)) != NULL)
        door_pause(door, false);
}

static void door_show(struct door *door, bool all, gw_doors_show_fn *fn, void *arg)
{
    if (door->shown && !all)
        return;
    door->shown = true;
    for (size_t i = 0; i < door->count; i++)
        fn(arg, door->kind, &door->asked[i], net_listener_fd(door->at[i]));
}

void gw_doors_show(struct gw_doors *self, bool all, gw_doors_show_fn *fn, void *arg)
{
    struct door *door;
    size_t at = 0;

    door_show(&self->http, all, fn, arg);
    door_show(&self->https, all, fn, arg);
    door_show(&self->tunnel, all, fn, arg);
    while (self->tcp != NULL && (door = map_next(self->tcp, &at, NULL, NULL)) != NULL)
        door_show(door, all, fn, arg);
}

int gw_doors_bound(const struct gw_doors *self, const char *what, size_t n, struct addr *out)
{
    const struct door *door = strcmp(what, "http") == 0    ? &self->http
                              : strcmp(what, "https") == 0 ? &self->https
                                                           : &self->tunnel;

    if (n >= door->count)
        return ERR_NOENT;
    *out = *net_listener_addr(door->at[n]);
    return ERR_OK;
}
