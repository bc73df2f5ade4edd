/* SPDX-License-Identifier: Apache-2.0 */
/* One tunnel session with a gateway; see session.h. */
#include "modules/connector/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/connector/exposures.h"
#include "modules/connector/forward.h"

struct con_session {
    struct con_context *context;
    const char *gateway;
    uint64_t id;
    uint8_t boot_id[16]; /* of the gateway */
    struct link_session *session;
    struct con_session_events events;
    bool accepted;
    bool draining;
    unsigned streams; /* forwards alive */
    uint64_t lost_ms; /* when the last link was */
    bool has_notice;
    struct tun_notice notice; /* of the gateway's last word: REJECT of a link, CLOSE */
    struct con_exposures exposures;
};

/*
 * The last visitor of a draining session is served: say goodbye, but not before the gateway passed
 * on what was sent to it, for CLOSE drops the rest. Without a link nobody tells us that it did.
 */
static void close_if_served(struct con_session *self)
{
    struct tun_session *tunnel = link_session_tunnel(self->session);
    struct tun_session_stats stats;

    if (!self->draining || self->streams > 0 || tunnel == NULL)
        return;
    tun_session_stats(tunnel, &stats);
    if (tun_session_is_idle(tunnel) || (stats.links == 0 && stats.streams == 0))
        con_session_close(self);
}

static void on_idle(void *arg)
{
    close_if_served(arg);
}

static void on_forward_end(void *arg)
{
    struct con_session *self = arg;

    self->streams--;
    close_if_served(self);
}

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct con_session *self = arg;
    struct con_forward_config cfg = {.context = self->context,
                                     .gateway = self->gateway,
                                     .session = self->session,
                                     .on_end = on_forward_end,
                                     .arg = self};

    if (con_forward_start(stream, open, &cfg) == ERR_OK)
        self->streams++;
}

static void on_accept(void *arg, struct tun_link *link, const struct tun_accept *accept)
{
    struct con_session *self = arg;

    self->accepted = true;
    self->events.on_accept(self->events.arg, self->id, link_session_number(link));
    if (accept->has_next_key)
        self->events.on_next_key(self->events.arg, &accept->next_key);
}

static void on_next_key(void *arg, const struct tun_public_key *key)
{
    struct con_session *self = arg;

    self->events.on_next_key(self->events.arg, key);
}

static void on_close(void *arg, const struct tun_notice *notice)
{
    struct con_session *self = arg;

    self->notice = *notice;
    self->has_notice = true;
}

/* The loss of the link follows at once, and takes the notice. */
static void on_reject(void *arg, struct tun_link *link, const struct tun_notice *notice)
{
    (void)link;
    on_close(arg, notice);
}

static void on_resumed(void *arg, uint32_t moved)
{
    const struct con_session *self = arg;

    LOG_INFO("resumed", KV_S("gateway", self->gateway), KV_N("visitors", moved),
             KV_N("links", link_session_live(self->session)),
             KV_N("took_ms", clock_mono_ms() - self->lost_ms));
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
    .on_reject = on_reject,
    .on_resumed = on_resumed,
    .on_close = on_close,
    .on_goaway = on_goaway,
    .on_exposure = on_exposure,
    .on_next_key = on_next_key,
    .on_open = on_open,
    .on_idle = on_idle,
    .on_data = con_forward_on_data,
    .on_readable = con_forward_on_readable,
    .on_writable = con_forward_on_writable,
    .on_reset = con_forward_on_reset,
};

static void on_lost(void *arg, const struct link_lost *link)
{
    struct con_session *self = arg;
    struct tun_notice notice = self->notice;
    struct con_session_lost lost = {.id = self->id,
                                    .number = link->number,
                                    .rc = link->rc,
                                    .accepted = link->accepted,
                                    .known = self->accepted,
                                    .live = link->live};

    self->lost_ms = clock_mono_ms();
    if (self->has_notice && link->rc == ERR_REFUSED) {
        lost.notice = &notice;
        self->has_notice = false;
    }
    self->events.on_lost(self->events.arg, &lost);
    close_if_served(self);
}

static void on_closed(void *arg, int rc)
{
    struct con_session *self = arg;
    struct con_session_events events = self->events;
    struct tun_notice notice = self->notice;
    struct con_session_end end = {.id = self->id,
                                  .rc = rc,
                                  .accepted = self->accepted,
                                  .notice = self->has_notice ? &notice : NULL};
    int error = errno;

    con_exposures_deinit(&self->exposures);
    free(self);
    errno = error;
    events.on_end(events.arg, &end);
}

int con_session_new(struct con_session **out, const struct con_session_config *cfg)
{
    struct con_session *self = calloc(1, sizeof(*self));
    struct tun_session_config tunnel = {.role = TUN_CONNECTOR,
                                        .ops = &ops,
                                        .arg = self,
                                        .resume_ms =
                                            (uint32_t)cfg->context->config->resume_window_ms};
    struct link_session_config session = {
        .tunnel = &tunnel, .on_closed = on_closed, .on_lost = on_lost, .arg = self};
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->context = cfg->context;
    self->gateway = cfg->gateway;
    self->id = cfg->id;
    self->events = cfg->events;
    memcpy(self->boot_id, cfg->offered->boot_id, sizeof(self->boot_id));
    rc = link_session_new(&self->session, cfg->context->hub, &session);
    if (rc != ERR_OK)
        goto free_self;
    *out = self;
    return ERR_OK;

free_self:
    free(self);
    return rc;
}

int con_session_join(struct con_session *self, const struct link_join *join)
{
    return link_session_join(self->session, join, NULL);
}

void con_session_drain(struct con_session *self)
{
    struct tun_session *tunnel = link_session_tunnel(self->session);

    if (self->draining || tunnel == NULL)
        return;
    self->draining = true;
    tun_session_goaway(tunnel, &(struct tun_notice){.code = TUN_CODE_SHUTDOWN});
    link_session_touch(self->session);
    close_if_served(self);
}

void con_session_close(struct con_session *self)
{
    link_session_close(self->session, TUN_CODE_SHUTDOWN, "");
}

bool con_session_accepted(const struct con_session *self)
{
    return self->accepted;
}

unsigned con_session_live(const struct con_session *self)
{
    return link_session_live(self->session);
}

unsigned con_session_streams(const struct con_session *self)
{
    return self->streams;
}

bool con_session_is_with(const struct con_session *self, const struct tun_gateway_info *offer)
{
    return memcmp(self->boot_id, offer->boot_id, sizeof(self->boot_id)) == 0;
}

void con_session_free(struct con_session *self)
{
    if (self == NULL)
        return;
    link_session_free(self->session); /* ends every forward */
    con_exposures_deinit(&self->exposures);
    free(self);
}
