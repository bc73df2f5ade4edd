/* SPDX-License-Identifier: Apache-2.0 */
/* One tunnel session with a gateway; see session.h. */
#include "modules/connector/session.h"

#include <stdlib.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/connector/exposures.h"
#include "modules/connector/forward.h"
#include "modules/link/link.h"

struct con_session {
    struct con_context *context;
    const char *gateway;
    uint64_t id;
    struct link *link;
    struct con_session_events events;
    bool accepted;
    bool draining;
    unsigned streams; /* forwards alive */
    bool has_notice;
    struct tun_notice notice; /* of the gateway's last word */
    struct con_exposures exposures;
};

/* The last visitor of a draining session is gone: say goodbye. */
static void close_if_empty(struct con_session *self)
{
    if (self->draining && self->streams == 0)
        link_close(self->link, TUN_CODE_SHUTDOWN, "");
}

static void on_forward_end(void *arg)
{
    struct con_session *self = arg;

    self->streams--;
    close_if_empty(self);
}

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct con_session *self = arg;
    struct con_forward_config cfg = {.context = self->context,
                                     .gateway = self->gateway,
                                     .link = self->link,
                                     .on_end = on_forward_end,
                                     .arg = self};

    if (con_forward_start(stream, open, &cfg) == ERR_OK)
        self->streams++;
}

static void on_accept(void *arg, const struct tun_accept *accept)
{
    struct con_session *self = arg;

    self->accepted = true;
    self->events.on_accept(self->events.arg);
    if (accept->has_next_key)
        self->events.on_next_key(self->events.arg, &accept->next_key);
}

static void on_next_key(void *arg, const struct tun_public_key *key)
{
    struct con_session *self = arg;

    self->events.on_next_key(self->events.arg, key);
}

static void keep_notice(void *arg, const struct tun_notice *notice)
{
    struct con_session *self = arg;

    self->notice = *notice;
    self->has_notice = true;
}

static void on_goaway(void *arg, const struct tun_notice *notice)
{
    struct con_session *self = arg;

    self->events.on_goaway(self->events.arg, self->id, notice);
}

static void on_exposure(void *arg, const struct tun_exposure *exposure)
{
    struct con_session *self = arg;

    con_exposures_take(&self->exposures, exposure, self->gateway, self->context->config);
}

static const struct tun_session_ops ops = {
    .on_accept = on_accept,
    .on_reject = keep_notice,
    .on_close = keep_notice,
    .on_goaway = on_goaway,
    .on_exposure = on_exposure,
    .on_next_key = on_next_key,
    .on_open = on_open,
    .on_data = con_forward_on_data,
    .on_readable = con_forward_on_readable,
    .on_writable = con_forward_on_writable,
    .on_reset = con_forward_on_reset,
};

static void on_link_closed(void *arg, int rc)
{
    struct con_session *self = arg;
    struct con_session_events events = self->events;
    struct tun_notice notice = self->notice;
    struct con_session_end end = {.id = self->id,
                                  .rc = rc,
                                  .accepted = self->accepted,
                                  .notice = self->has_notice ? &notice : NULL};

    con_exposures_deinit(&self->exposures);
    free(self);
    events.on_end(events.arg, &end);
}

int con_session_new(struct con_session **out, const struct con_session_config *cfg)
{
    struct con_session *self = calloc(1, sizeof(*self));
    struct tun_session_config session = {.link = cfg->result, .ops = &ops, .arg = self};
    struct link_config link = {
        .fd = cfg->fd, .session = &session, .on_closed = on_link_closed, .arg = self};
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->context = cfg->context;
    self->gateway = cfg->gateway;
    self->id = cfg->id;
    self->events = cfg->events;
    rc = link_new(&self->link, cfg->context->hub, &link);
    if (rc != ERR_OK)
        goto free_self;
    *out = self;
    return ERR_OK;

free_self:
    free(self);
    return rc;
}

void con_session_drain(struct con_session *self)
{
    struct tun_session *session = link_session(self->link);

    if (self->draining || session == NULL)
        return;
    self->draining = true;
    tun_session_goaway(session, &(struct tun_notice){.code = TUN_CODE_SHUTDOWN});
    link_touch(self->link);
    close_if_empty(self);
}

unsigned con_session_streams(const struct con_session *self)
{
    return self->streams;
}

void con_session_free(struct con_session *self)
{
    if (self == NULL)
        return;
    link_free(self->link); /* ends every forward */
    con_exposures_deinit(&self->exposures);
    free(self);
}
