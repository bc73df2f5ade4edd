/* SPDX-License-Identifier: Apache-2.0 */
/* A data plane, connectors and visitors in one process; see rig.h. */
#include "tests/gateway/rig.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/net/sock.h"
#include "tests/net/tcp_pair.h"

#define TICK_MS 5u
#define TICK_S (TICK_MS / 1000.0)
#define PATIENCE_TICKS 2000 /* 10 s of turns: while this process does not run, nothing is late */

/* --- time --- */

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents; /* wakes ev_run, so that conditions are looked at */
    ++*(unsigned *)w->data;
}

bool rig_until_true(struct rig *self, bool (*claim)(void *arg), void *arg)
{
    unsigned end = self->ticks + PATIENCE_TICKS;

    while (!claim(arg) && self->ticks < end)
        ev_run(self->loop, EVRUN_ONCE);
    return claim(arg);
}

static bool flag_is_set(void *arg)
{
    return *(const bool *)arg;
}

bool rig_until(struct rig *self, const bool *flag)
{
    return rig_until_true(self, flag_is_set, (void *)(uintptr_t)flag);
}

uint64_t rig_ran_ms(const struct rig *self)
{
    return (uint64_t)self->ticks * TICK_MS;
}

void rig_run(struct rig *self, unsigned ms)
{
    uint64_t end = clock_mono_ms() + ms;

    while (clock_mono_ms() < end)
        ev_run(self->loop, EVRUN_ONCE);
}

/* --- the worker --- */

static void on_session(void *arg, const struct gw_session_info *info, bool up, const char *why)
{
    struct rig *self = arg;

    (void)info;
    ck_assert(up || why != NULL);
    if (up)
        self->ups++;
    else
        self->downs++;
}

static void on_link(void *arg, const struct gw_session_info *info, const struct gw_link_news *news)
{
    struct rig *self = arg;

    (void)info;
    self->link_ups += news->what == GW_LINK_UP;
    self->link_losses += news->what == GW_LINK_LOST;
    self->resumes += news->what == GW_LINK_RESUMED;
}

static void on_online(void *arg, const char *id, unsigned online)
{
    struct rig *self = arg;

    (void)id;
    self->online = online;
}

static void on_last_error(void *arg, const char *id, const struct gw_last_error *error)
{
    struct rig *self = arg;

    (void)id;
    (void)snprintf(self->last_error, sizeof(self->last_error), "%s", error->what);
}

static void add_addr(struct gw_addrs *list, const char *text)
{
    list->count = 1;
    ck_assert_int_eq(addr_from_ip(&list->at[0], text, 0), ERR_OK);
}

static void make_secret(struct tun_secret_key *out, unsigned n)
{
    memset(out->bytes, (int)(0x40 + n), sizeof(out->bytes));
}

void rig_key(uint8_t out[GW_KEY_LEN], unsigned n)
{
    struct tun_secret_key secret;
    struct tun_public_key key;

    make_secret(&secret, n);
    tun_key_public(&key, &secret);
    memcpy(out, key.bytes, GW_KEY_LEN);
}

struct rig *rig_new_with(void (*change)(struct gw_config *config))
{
    struct rig *self = calloc(1, sizeof(*self));
    struct gw_worker_config cfg = {0};

    ck_assert_ptr_nonnull(self);
    if (getenv("RIG_VERBOSE") == NULL)
        log_setup(LOG_LEVEL_ERROR, false);
    else
        log_setup(LOG_LEVEL_DEBUG, false);
    self->loop = ev_loop_new(EVFLAG_AUTO);
    ev_timer_init(&self->tick, on_tick, TICK_S, TICK_S);
    self->tick.data = &self->ticks;
    ev_timer_start(self->loop, &self->tick);
    gw_config_default(&self->config);
    add_addr(&self->config.http, "127.0.0.1");
    add_addr(&self->config.https, "127.0.0.1");
    add_addr(&self->config.tunnel, "127.0.0.1");
    add_addr(&self->config.tcp_addresses, "127.0.0.1");
    self->config.tunnel_on_https = true;
    self->config.limits.tunnel_wait_ms = 150;
    self->config.limits.open_timeout_ms = 300;
    self->config.limits.resume_window_ms = 200;
    self->config.threads = 1;
    if (getenv("RIG_THREADS") != NULL) /* by hand: everything with several workers */
        self->config.threads = (unsigned)atoi(getenv("RIG_THREADS"));
    if (change != NULL)
        change(&self->config);
    make_secret(&self->secret, 60);
    tun_key_public(&self->public_key, &self->secret);
    cfg.config = &self->config;
    cfg.keys.key = &self->secret;
    cfg.events = (struct gw_events){.on_session = on_session,
                                    .on_link = on_link,
                                    .on_online = on_online,
                                    .on_last_error = on_last_error,
                                    .arg = self};
    ck_assert_int_eq(gw_worker_new(&self->worker, self->loop, &cfg), ERR_OK);
    ck_assert_int_eq(link_hub_new(&self->hub, self->loop), ERR_OK);
    return self;
}

struct rig *rig_new(void)
{
    return rig_new_with(NULL);
}

static void two_threads(struct gw_config *config)
{
    config->threads = 2;
}

static void serve_tls(struct rig *self, const char *id, const char *host, unsigned n)
{
    struct gw_exposure *e = rig_exposure(id, host, n);

    e->tls_passthrough = true;
    ck_assert_int_eq(rig_serve(self, e), ERR_OK);
}

struct rig *rig_new_pair(void)
{
    struct rig *self = rig_new_with(two_threads);

    serve_tls(self, "7-1-first", "first.gw.example", 0);
    serve_tls(self, "7-1-blog", "blog.gw.example", 1);
    return self;
}

void rig_free(struct rig *self)
{
    gw_worker_free(self->worker);
    for (unsigned i = 0; i < RIG_CONNECTORS; i++)
        rig_hang_up(&self->connectors[i]);
    link_hub_free(self->hub);
    ev_timer_stop(self->loop, &self->tick);
    ev_loop_destroy(self->loop);
    free(self);
}

struct gw_exposure *rig_exposure(const char *id, const char *host, unsigned n)
{
    struct gw_exposure *e = gw_exposure_new();

    ck_assert_ptr_nonnull(e);
    (void)snprintf(e->id, sizeof(e->id), "%s", id);
    e->twin = 7;
    e->kind = host != NULL ? GW_KIND_FQDN : GW_KIND_TCP;
    if (host != NULL)
        (void)snprintf(e->host, sizeof(e->host), "%s", host);
    else
        e->port = tcp_free_port();
    e->backend_count = 1;
    e->backends[0].tunnel = true;
    rig_key(e->backends[0].key, n);
    strcpy(e->backends[0].service, "web");
    return e;
}

int rig_serve(struct rig *self, struct gw_exposure *exposure)
{
    int rc = gw_worker_set_exposure(self->worker, exposure);

    gw_exposure_unref(exposure);
    return rc;
}

struct count {
    const char *reason;
    uint64_t n;
};

static void on_refused(void *arg, const char *reason, uint64_t count)
{
    struct count *c = arg;

    if (strcmp(reason, c->reason) == 0)
        c->n = count;
}

uint64_t rig_refused(struct rig *self, const char *reason)
{
    struct count c = {.reason = reason};

    gw_worker_each_refused(self->worker, on_refused, &c);
    return c.n;
}

/* --- connectors --- */

static void on_accept(void *arg, struct tun_link *link, const struct tun_accept *accept)
{
    struct rig_connector *c = arg;

    (void)link;
    (void)accept;
    c->accepted = true;
    c->accepts++;
}

static void on_resumed(void *arg, uint32_t moved)
{
    struct rig_connector *c = arg;

    (void)moved;
    c->resumes++;
}

static void on_reject(void *arg, struct tun_link *link, const struct tun_notice *notice)
{
    struct rig_connector *c = arg;

    (void)link;
    c->rejected = true;
    c->reject_code = notice->code;
}

static void on_exposure(void *arg, const struct tun_exposure *e)
{
    struct rig_connector *c = arg;
    size_t len = strlen(c->listing);

    if (e != NULL) {
        (void)snprintf(c->listing + len, sizeof(c->listing) - len, "%s %s %s;", e->workload,
                       e->service, e->url);
        return;
    }
    memcpy(c->exposures, c->listing, sizeof(c->exposures));
    c->listing[0] = '\0';
}

static void on_goaway(void *arg, const struct tun_notice *notice)
{
    struct rig_connector *c = arg;

    (void)notice;
    c->goaway = true;
}

static void on_close(void *arg, const struct tun_notice *notice)
{
    struct rig_connector *c = arg;

    c->close_code = notice->code;
}

#define SWITCHED "HTTP/1.1 101 Echo\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct rig_connector *c = arg;

    c->opens++;
    c->last_open = *open;
    tun_stream_set_user(stream, c);
    if (c->service == RIG_REFUSE) {
        tun_stream_refuse(stream, TUN_CODE_REFUSED, "service is down");
        return;
    }
    if (c->service == RIG_IGNORE)
        return;
    tun_stream_accept(stream);
    if (open->kind == TUN_KIND_HTTP && c->service != RIG_ANSWER)
        (void)tun_stream_write(stream, SWITCHED, strlen(SWITCHED));
    if (c->service == RIG_GREET)
        (void)tun_stream_write(stream, "hello\n", 6);
}

/* What came is a request, of which LEN bytes are one piece. */
static size_t answer(const struct rig_connector *c, struct tun_stream *stream, size_t len)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nby %u.",
                     (unsigned)(c - c->rig->connectors));

    (void)tun_stream_write(stream, text, (size_t)n);
    return len;
}

/* Send everything that waits back; FIN for FIN. */
static void on_readable(void *user, struct tun_stream *stream)
{
    const struct rig_connector *c = user;
    const uint8_t *data;
    size_t len;

    while ((data = tun_stream_peek(stream, &len)) != NULL && len > 0) {
        size_t n =
            c->service == RIG_ANSWER ? answer(c, stream, len) : tun_stream_write(stream, data, len);

        tun_stream_consume(stream, n);
        if (n < len)
            return;
    }
    if (tun_stream_eof(stream)) {
        tun_stream_finish(stream);
        tun_stream_close(stream);
    }
}

static const struct tun_session_ops connector_ops = {
    .on_accept = on_accept,
    .on_resumed = on_resumed,
    .on_reject = on_reject,
    .on_exposure = on_exposure,
    .on_goaway = on_goaway,
    .on_close = on_close,
    .on_open = on_open,
    .on_readable = on_readable,
    .on_writable = on_readable,
};

static void on_link_closed(void *arg, int rc)
{
    struct rig_connector *c = arg;

    (void)rc;
    c->session = NULL;
    c->closed = true;
}

static void on_link_lost(void *arg, const struct link_lost *lost)
{
    struct rig_connector *c = arg;

    c->losses++;
    c->closed = lost->live == 0;
}

static void start_session(struct rig_connector *c)
{
    struct tun_session_config tunnel = {.role = TUN_CONNECTOR, .ops = &connector_ops, .arg = c};
    struct link_session_config cfg = {
        .tunnel = &tunnel, .on_closed = on_link_closed, .on_lost = on_link_lost, .arg = c};

    ck_assert_int_eq(link_session_new(&c->session, c->rig->hub, &cfg), ERR_OK);
}

static void on_handshake_done(void *arg, const struct link_handshake_end *end)
{
    struct rig_connector *c = arg;
    struct link_join join = {.fd = end->fd, .number = c->info.link, .result = end->result};

    if (end->rc != ERR_OK) {
        c->failed = true;
        c->closed = true;
        return;
    }
    if (c->session == NULL)
        start_session(c);
    c->fds[join.number] = join.fd;
    ck_assert_int_eq(link_session_join(c->session, &join, NULL), ERR_OK);
}

void rig_dial_as(struct rig_connector *c, unsigned n)
{
    struct tun_handshake_config tunnel = {.role = TUN_CONNECTOR,
                                          .own = &c->identity,
                                          .peer = &c->rig->public_key,
                                          .connector = &c->info};
    struct link_handshake_config cfg = {.tunnel = &tunnel, .on_done = on_handshake_done, .arg = c};

    make_secret(&c->secret, n);
    tun_identity_init(&c->identity, &c->secret);
    cfg.fd = c->port != 0 ? rig_visit_port(c->rig, c->port) : rig_visit(c->rig, "tunnel");
    ck_assert_int_eq(net_sock_nonblock(cfg.fd), ERR_OK);
    ck_assert_int_eq(link_handshake_start(&c->handshake, c->rig->loop, &cfg), ERR_OK);
}

struct rig_connector *rig_dial(struct rig *self, unsigned place, unsigned n)
{
    struct rig_connector *c = &self->connectors[place];

    rig_hang_up(c); /* whoever was there before */
    memset(c, 0, sizeof(*c));
    c->rig = self;
    memset(c->info.instance, (int)(place + 1), sizeof(c->info.instance));
    c->info.epoch = 1;
    strcpy(c->info.name, "test");
    strcpy(c->info.version, "netwall-test");
    rig_dial_as(c, n);
    return c;
}

static bool has_verdict(void *arg)
{
    const struct rig_connector *c = arg;

    return c->accepted || c->rejected || c->closed;
}

struct rig_connector *rig_connect(struct rig *self, unsigned n)
{
    struct rig_connector *c = rig_dial(self, n, n);

    ck_assert(rig_until_true(self, has_verdict, c));
    return c;
}

/* The link that was dialled last is live. */
static bool is_taken(void *arg)
{
    const struct rig_connector *c = arg;
    struct link_info links[TUN_LINKS_MAX];
    size_t n = c->session != NULL ? link_session_look(c->session, links, TUN_LINKS_MAX) : 0;

    while (n-- > 0) {
        if (links[n].number == c->info.link && links[n].live)
            return true;
    }
    return false;
}

void rig_add_link(struct rig_connector *c, unsigned n, uint8_t number)
{
    bool taken;

    c->info.link = number;
    rig_dial_as(c, n);
    taken = rig_until_true(c->rig, is_taken, c);
    ck_assert(taken);
}

void rig_cut(struct rig_connector *c, uint8_t number)
{
    ck_assert_int_eq(shutdown(c->fds[number], SHUT_RDWR), 0);
}

void rig_hang_up(struct rig_connector *c)
{
    link_handshake_cancel(&c->handshake);
    link_session_free(c->session);
    c->session = NULL;
}

/* --- visitors --- */

int rig_visit_port(struct rig *self, uint16_t port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)self;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, 1, &(int){1}, sizeof(int)), 0);
    return fd;
}

int rig_visit(struct rig *self, const char *what)
{
    struct addr addr;

    ck_assert_int_eq(gw_worker_bound(self->worker, what, 0, &addr), ERR_OK);
    return rig_visit_port(self, addr_port(&addr));
}

void rig_send(int fd, const void *data, size_t len)
{
    ck_assert_int_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

void rig_send_text(int fd, const char *text)
{
    rig_send(fd, text, strlen(text));
}

bool rig_expect(struct rig *self, int fd, const char *want)
{
    unsigned end = self->ticks + PATIENCE_TICKS;
    char got[65536];
    size_t len = 0;

    while (self->ticks < end && len < sizeof(got) - 1) {
        ssize_t n = recv(fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT);

        if (n == 0 || (n < 0 && errno != EAGAIN))
            return false;
        if (n > 0)
            len += (size_t)n;
        got[len] = '\0';
        if (strstr(got, want) != NULL)
            return true;
        ev_run(self->loop, EVRUN_ONCE);
    }
    return false;
}

enum rig_end rig_read_all(struct rig *self, int fd, char *out, size_t cap)
{
    unsigned end = self->ticks + PATIENCE_TICKS;
    size_t len = 0;

    out[0] = '\0';
    while (self->ticks < end && len < cap - 1) {
        ssize_t n = recv(fd, out + len, cap - 1 - len, MSG_DONTWAIT);

        if (n == 0)
            return RIG_FIN;
        if (n < 0 && errno != EAGAIN)
            return RIG_RST;
        if (n > 0)
            len += (size_t)n;
        out[len] = '\0';
        ev_run(self->loop, EVRUN_ONCE);
    }
    return RIG_OPEN;
}

size_t rig_hello(uint8_t *out, size_t cap)
{
    char path[1024];
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/fuzz_hello/openssl_tls13",
                   getenv("NW_SOURCE_DIR") != NULL ? getenv("NW_SOURCE_DIR") : ".");
    f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    n = fread(out, 1, cap, f);
    fclose(f);
    return n;
}
