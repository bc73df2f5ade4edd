/* SPDX-License-Identifier: Apache-2.0 */
/* A registry and connectors over socketpairs; see seat.h. */
#include "tests/gateway/seat.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/way.h"

static void on_session(void *arg, const struct gw_session *session, bool up)
{
    struct seat *self = arg;

    if (up)
        self->ups++;
    else
        self->downs++;
    if (!up)
        self->why = session->end_reason;
}

static void on_link(void *arg, const struct gw_session *session, const struct gw_link_news *news)
{
    struct seat *self = arg;

    (void)session;
    self->link_ups += news->what == GW_LINK_UP;
    self->link_losses += news->what == GW_LINK_LOST;
    self->resumes += news->what == GW_LINK_RESUMED;
    if (news->what == GW_LINK_LOST)
        self->link_why = news->why;
}

static void on_site(void *arg, struct gw_site *site)
{
    struct seat *self = arg;

    (void)site;
    self->site_told++;
}

void seat_init(struct seat *self)
{
    struct gw_registry_config cfg = {.limits = &self->limits,
                                     .stream_ops = &gw_way_stream_ops,
                                     .refused = &self->refused,
                                     .on_session = on_session,
                                     .on_link = on_link,
                                     .on_site = on_site,
                                     .arg = self};
    struct gw_config config;

    memset(self, 0, sizeof(*self));
    gw_config_default(&config);
    self->limits = config.limits;
    self->limits.resume_window_ms = SEAT_RESUME_MS;
    self->loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(link_hub_new(&self->hub, self->loop), ERR_OK);
    cfg.hub = self->hub;
    ck_assert_int_eq(gw_registry_new(&self->registry, self->loop, &cfg), ERR_OK);
}

void seat_deinit(struct seat *self)
{
    gw_registry_free(self->registry);
    link_hub_free(self->hub);
    ev_loop_destroy(self->loop);
}

struct gw_site *seat_site(const char *id, uint8_t n)
{
    struct gw_site *site = gw_site_new(id);
    struct gw_exposure *e = gw_exposure_new();

    ck_assert(site != NULL && e != NULL);
    site->exposure = e;
    strcpy(e->id, id);
    e->twin = 7;
    e->backend_count = 1;
    e->backends[0].tunnel = true;
    memset(e->backends[0].key, n, GW_KEY_LEN);
    strcpy(e->backends[0].service, "web");
    return site;
}

void seat_bind(struct seat *self, struct gw_site *site)
{
    ck_assert_int_eq(gw_registry_bind(self->registry, site, site->exposure), ERR_OK);
    gw_registry_refresh(self->registry, site);
}

void seat_unbind(struct seat *self, struct gw_site *site)
{
    gw_registry_unbind(self->registry, site, site->exposure);
    gw_site_free(site);
}

/* --- the connector's side --- */

static void on_accept(void *arg, struct tun_link *link, const struct tun_accept *accept)
{
    struct seat_connector *c = arg;

    (void)link;
    (void)accept;
    c->accepted = true;
}

static void on_reject(void *arg, struct tun_link *link, const struct tun_notice *notice)
{
    struct seat_connector *c = arg;

    (void)link;
    c->rejected = true;
    c->code = notice->code;
}

static void on_exposure(void *arg, const struct tun_exposure *e)
{
    struct seat_connector *c = arg;

    if (e != NULL) {
        c->growing++;
        strcpy(c->last, e->url);
        return;
    }
    c->lines = c->growing;
    c->growing = 0;
    c->lists++;
}

static void on_goaway(void *arg, const struct tun_notice *notice)
{
    struct seat_connector *c = arg;

    c->code = notice->code;
    c->goaway = true;
}

static void on_close(void *arg, const struct tun_notice *notice)
{
    struct seat_connector *c = arg;

    c->closed = true;
    c->code = notice->code;
}

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct seat_connector *c = arg;

    (void)open;
    ck_assert_uint_lt(c->opens, 8);
    c->streams[c->opens++] = stream;
    tun_stream_set_user(stream, c);
}

static void on_reset(void *user, enum tun_code code)
{
    struct seat_connector *c = user;

    c->reset = true;
    if (c->pipe != NULL)
        link_pipe_on_reset(c->pipe, code);
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct seat_connector *c = user;

    (void)stream;
    return c->pipe != NULL ? link_pipe_on_data(c->pipe, data, len) : 0;
}

static void on_readable(void *user, struct tun_stream *stream)
{
    struct seat_connector *c = user;

    (void)stream;
    if (c->pipe != NULL)
        link_pipe_on_readable(c->pipe);
}

static void on_writable(void *user, struct tun_stream *stream)
{
    struct seat_connector *c = user;

    (void)stream;
    if (c->pipe != NULL)
        link_pipe_on_writable(c->pipe);
}

static void on_carried(void *arg, const struct link_pipe_end *end)
{
    struct seat_connector *c = arg;

    (void)end;
    c->pipe = NULL;
}

static void on_next_key(void *arg, const struct tun_public_key *key)
{
    struct seat_connector *c = arg;

    c->next_keys++;
    c->next_key = *key;
}

static const struct tun_session_ops ops = {
    .on_next_key = on_next_key,
    .on_accept = on_accept,
    .on_reject = on_reject,
    .on_exposure = on_exposure,
    .on_goaway = on_goaway,
    .on_close = on_close,
    .on_open = on_open,
    .on_reset = on_reset,
    .on_data = on_data,
    .on_readable = on_readable,
    .on_writable = on_writable,
};

static void on_vanished(void *arg, int rc)
{
    struct seat_connector *c = arg;

    (void)rc;
    c->session = NULL;
    c->vanished = true;
}

static void on_lost(void *arg, const struct link_lost *lost)
{
    struct seat_connector *c = arg;

    c->losses++;
    c->vanished = lost->live == 0;
}

/* What a handshake would have given one side; the keys are as good as any others. */
static struct tun_handshake_result result_of(enum tun_role role, uint8_t n)
{
    struct tun_handshake_result result = {
        .role = role, .suite = TUN_SUITE_CHACHA, .peer_max_record = 16384};

    memset(result.peer.bytes, n, sizeof(result.peer.bytes));
    memset(result.send_key, role == TUN_GATEWAY ? 1 : 2, sizeof(result.send_key));
    memset(result.recv_key, role == TUN_GATEWAY ? 2 : 1, sizeof(result.recv_key));
    return result;
}

void seat_link(struct seat *self, struct seat_connector *c, uint8_t n,
               const struct tun_connector_info *info)
{
    struct tun_handshake_result near = result_of(TUN_CONNECTOR, 0xee),
                                far = result_of(TUN_GATEWAY, n);
    struct link_join join = {.number = info->link, .result = &near};
    struct addr remote;
    int fds[2];

    far.connector = *info;
    ck_assert_int_eq(addr_parse(&remote, "192.0.2.1:4711"), ERR_OK);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    join.fd = c->fds[info->link] = fds[0];
    ck_assert_int_eq(link_session_join(c->session, &join, NULL), ERR_OK);
    c->rc = gw_registry_offer(self->registry, &far, fds[1], &remote);
}

void seat_offer(struct seat *self, struct seat_connector *c, uint8_t n,
                const struct tun_connector_info *info)
{
    struct tun_session_config tunnel = {.role = TUN_CONNECTOR, .ops = &ops, .arg = c};
    struct link_session_config cfg = {
        .tunnel = &tunnel, .on_closed = on_vanished, .on_lost = on_lost, .arg = c};

    memset(c, 0, sizeof(*c));
    ck_assert_int_eq(link_session_new(&c->session, self->hub, &cfg), ERR_OK);
    seat_link(self, c, n, info);
}

void seat_cut(struct seat_connector *c, uint8_t number)
{
    ck_assert_int_eq(shutdown(c->fds[number], SHUT_RDWR), 0);
}

void seat_join(struct seat *self, struct seat_connector *c, uint8_t n, uint8_t instance)
{
    struct tun_connector_info info = {.epoch = 1, .name = "web-1", .version = "test"};

    memset(info.instance, instance, sizeof(info.instance));
    seat_offer(self, c, n, &info);
    ck_assert_int_eq(c->rc, ERR_OK);
}

void seat_carry(struct seat *self, struct seat_connector *c, int fd)
{
    struct link_pipe_config cfg = {.session = c->session,
                                   .stream = c->streams[c->opens - 1],
                                   .fd = fd,
                                   .on_done = on_carried,
                                   .arg = c};

    ck_assert_int_eq(link_pipe_new(&c->pipe, self->loop, &cfg), ERR_OK);
    tun_stream_accept(cfg.stream);
    link_session_touch(c->session);
}

void seat_leave(struct seat_connector *c)
{
    link_session_free(c->session);
    c->session = NULL;
}
