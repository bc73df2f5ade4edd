/* SPDX-License-Identifier: Apache-2.0 */
/* One visitor on the connector's side; see forward.h. */
#include "modules/connector/forward.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/connector/context.h"
#include "modules/connector/lookup.h"
#include "modules/link/pipe.h"
#include "modules/link/session.h"
#include "modules/net/dial.h"
#include "modules/net/proxy.h"
#include "modules/net/sock.h"

/* Exactly one of lookup, dial and pipe is set: that is the state, and each has its time limit (the
 * pipe's is the gateway's idle limit and the life of the session). */
struct con_forward {
    struct con_context *context;
    struct link_session *session;
    struct tun_stream *stream;
    struct con_lookup *lookup;
    struct net_dial *dial;
    struct link_pipe *pipe;
    void (*on_end)(void *arg);
    void *arg;
    uint8_t proxy[NET_PROXY_MAX]; /* header for the service */
    size_t proxy_len;
    char service[CON_SERVICE_CAP];
    char target[CON_TARGET_TEXT];
};

/* SELF is gone before the callback runs. */
static void finish(struct con_forward *self)
{
    void (*on_end)(void *arg) = self->on_end;
    void *arg = self->arg;

    con_lookup_cancel(self->lookup);
    net_dial_cancel(self->dial);
    free(self);
    on_end(arg);
}

/* A service that is down under a storm of visitors is one line a second, not one per visitor. */
static void log_failure(const struct con_forward *self, const char *why)
{
    uint32_t times = log_pace(&self->context->dial_failures, clock_mono_ms());

    if (times > 0)
        LOG_WARN("service cannot be reached", KV_S("service", self->service),
                 KV_S("target", self->target), KV_S("err", why), KV_N("times", times));
}

/* The service cannot be had: the gateway tries others, or tells the visitor. */
static void refuse(struct con_forward *self, enum tun_code code, const char *why)
{
    log_failure(self, why);
    tun_stream_refuse(self->stream, code, why);
    link_session_touch(self->session);
    finish(self);
}

static void on_pipe_end(void *arg, const struct link_pipe_end *end)
{
    struct con_forward *self = arg;

    self->pipe = NULL;
    LOG_DEBUG("stream ended", KV_S("service", self->service), KV_S("err", err_text(end->rc)),
              KV_N("to_visitor", end->bytes.to_stream), KV_N("to_service", end->bytes.to_fd));
    finish(self);
}

/* The service answered: from here on the pipe does it all. */
static void connect_stream(struct con_forward *self, int fd)
{
    struct link_pipe_config pipe = {.session = self->session,
                                    .stream = self->stream,
                                    .fd = fd,
                                    .is_fresh = true,
                                    .to_fd = self->proxy,
                                    .to_fd_len = self->proxy_len,
                                    .on_done = on_pipe_end,
                                    .arg = self};

    net_sock_set_abortive(fd, true);
    if (link_pipe_new(&self->pipe, self->context->loop, &pipe) != ERR_OK) {
        close(fd);
        refuse(self, TUN_CODE_INTERNAL, "out of memory");
        return;
    }
    tun_stream_accept(self->stream);
    link_session_touch(self->session);
}

/* What the gateway is told about a dial that failed with ERROR. */
static enum tun_code code_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT: /* no unix socket there */
        return TUN_CODE_REFUSED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN: /* backlog of a unix socket is full */
        return TUN_CODE_LIMIT;
    default:
        return TUN_CODE_UNREACHABLE;
    }
}

static void on_dialled(void *arg, int rc, int fd, const struct addr *addr)
{
    struct con_forward *self = arg;
    int error = errno;

    (void)addr;
    self->dial = NULL;
    if (rc == ERR_OK)
        connect_stream(self, fd);
    else if (rc == ERR_TIMEOUT)
        refuse(self, TUN_CODE_TIMEOUT, "no answer to the connect");
    else
        refuse(self, code_of(error), strerror(error));
}

static int start_dial(struct con_forward *self, const struct addr *addrs, size_t count)
{
    struct net_dial_config dial = {.addrs = addrs,
                                   .count = count,
                                   .timeout_ms = CON_DIAL_MS,
                                   .on_done = on_dialled,
                                   .arg = self};

    return net_dial_start(&self->dial, self->context->loop, &dial);
}

static void on_resolved(void *arg, int rc, const struct addr *addrs, size_t count)
{
    struct con_forward *self = arg;

    self->lookup = NULL;
    if (rc != ERR_OK)
        refuse(self, TUN_CODE_UNREACHABLE, rc == ERR_NOENT ? "no such host" : err_text(rc));
    else if (start_dial(self, addrs, count) != ERR_OK)
        refuse(self, TUN_CODE_INTERNAL, "out of memory");
}

static int start_target(struct con_forward *self, const struct con_target *target)
{
    struct con_lookup_config lookup = {.loop = self->context->loop,
                                       .target = target,
                                       .timeout_ms = CON_LOOKUP_MS,
                                       .on_done = on_resolved,
                                       .arg = self};

    if (target->host[0] == '\0')
        return start_dial(self, &target->addr, 1);
    return con_lookup_start(&self->lookup, &lookup);
}

bool con_forward_is_of_twin(const char *workload, uint64_t twin)
{
    char prefix[24];
    int len;

    if (twin == 0)
        return true;
    len = snprintf(prefix, sizeof(prefix), "%llu-", (unsigned long long)twin);
    return strncmp(workload, prefix, (size_t)len) == 0;
}

struct denial {
    enum tun_code code;
    const char *why;
    int rc; /* of con_forward_start */
};

static const struct denial other_twin = {TUN_CODE_NOT_ALLOWED, "this connector serves another twin",
                                         ERR_REFUSED};
static const struct denial no_service = {TUN_CODE_NO_SERVICE, "no service of this name here",
                                         ERR_NOENT};
static const struct denial other_gateway = {TUN_CODE_NOT_ALLOWED, "not through this gateway",
                                            ERR_REFUSED};
static const struct denial no_memory = {TUN_CODE_INTERNAL, "out of memory", ERR_NOMEM};

static int deny(struct con_context *context, struct tun_stream *stream, const struct tun_open *open,
                const struct denial *denial)
{
    uint32_t times = log_pace(&context->refusals, clock_mono_ms());

    if (times > 0)
        LOG_WARN("stream refused", KV_S("workload", open->workload), KV_S("service", open->service),
                 KV_S("why", denial->why), KV_N("times", times));
    tun_stream_refuse(stream, denial->code, denial->why);
    return denial->rc;
}

/* An all-zero endpoint is an unknown one. */
static struct addr addr_of(const struct tun_endpoint *end)
{
    static const uint8_t unknown[16];
    struct addr addr = {0};

    if (memcmp(end->ip, unknown, sizeof(unknown)) != 0)
        addr_from_ip16(&addr, end->ip, end->port);
    return addr;
}

/* The header the service asked for (through the contract), from what the gateway says. */
static void make_proxy(struct con_forward *self, const struct tun_open *open)
{
    struct addr visitor = addr_of(&open->visitor), local = addr_of(&open->local);

    self->proxy_len = net_proxy_write(self->proxy, (enum net_proxy)open->proxy, &visitor, &local);
}

int con_forward_start(struct tun_stream *stream, const struct tun_open *open,
                      const struct con_forward_config *cfg)
{
    const struct con_config *config = cfg->context->config;
    const struct con_service *service = con_config_service(config, open->service);
    const struct con_target *target;
    struct con_forward *self;

    if (!con_forward_is_of_twin(open->workload, config->twin))
        return deny(cfg->context, stream, open, &other_twin);
    if (service == NULL)
        return deny(cfg->context, stream, open, &no_service);
    if (!con_service_allows(service, cfg->gateway))
        return deny(cfg->context, stream, open, &other_gateway);
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return deny(cfg->context, stream, open, &no_memory);
    target = open->kind == TUN_KIND_TLS && con_target_given(&service->tls_target)
                 ? &service->tls_target
                 : &service->target;
    self->context = cfg->context;
    self->session = cfg->session;
    self->stream = stream;
    self->on_end = cfg->on_end;
    self->arg = cfg->arg;
    memcpy(self->service, service->name, sizeof(self->service));
    memcpy(self->target, target->text, sizeof(self->target));
    make_proxy(self, open);
    if (start_target(self, target) != ERR_OK)
        goto free_self;
    tun_stream_set_user(stream, self);
    return ERR_OK;

free_self:
    free(self);
    return deny(cfg->context, stream, open, &no_memory);
}

size_t con_forward_on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct con_forward *self = user;

    (void)stream;
    return self->pipe != NULL ? link_pipe_on_data(self->pipe, data, len) : 0;
}

void con_forward_on_readable(void *user, struct tun_stream *stream)
{
    struct con_forward *self = user;

    (void)stream;
    if (self->pipe != NULL)
        link_pipe_on_readable(self->pipe);
}

void con_forward_on_writable(void *user, struct tun_stream *stream)
{
    struct con_forward *self = user;

    (void)stream;
    if (self->pipe != NULL)
        link_pipe_on_writable(self->pipe);
}

void con_forward_on_reset(void *user, enum tun_code code)
{
    struct con_forward *self = user;

    if (self->pipe != NULL)
        link_pipe_on_reset(self->pipe, code); /* ends in on_pipe_end */
    else
        finish(self);
}
