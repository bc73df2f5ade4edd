/* SPDX-License-Identifier: Apache-2.0 */
/* The connector as a whole; see connector.h. */
#include "modules/connector/connector.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/connector/config_item.h"
#include "modules/connector/context.h"
#include "modules/connector/uplink.h"
#include "modules/link/hub.h"

#define DRAINED_LOOK_S 0.01

/* One gateway: of the config, or leaving. */
struct leg {
    TAILQ_ENTRY(leg) entry;
    struct con_connector *connector;
    struct con_uplink *uplink;
    bool leaving;
};

struct con_connector {
    struct con_context context;
    struct con_config *config; /* owned; what context.config points to */
    TAILQ_HEAD(, leg) legs;
    void (*on_status)(void *arg, size_t up, size_t count);
    void *status_arg;
    ev_timer drained; /* looks whether the last words are out, then tells on_done */
    void (*on_done)(void *arg);
    void *done_arg;
};

static void leg_free(struct leg *leg)
{
    TAILQ_REMOVE(&leg->connector->legs, leg, entry);
    con_uplink_free(leg->uplink);
    free(leg);
}

size_t con_connector_up(const struct con_connector *self)
{
    const struct leg *leg;
    size_t up = 0;

    TAILQ_FOREACH(leg, &self->legs, entry)
    {
        up += con_uplink_is_up(leg->uplink);
    }
    return up;
}

unsigned con_connector_streams(const struct con_connector *self)
{
    const struct leg *leg;
    unsigned streams = 0;

    TAILQ_FOREACH(leg, &self->legs, entry)
    {
        streams += con_uplink_streams(leg->uplink);
    }
    return streams;
}

static void on_change(void *arg)
{
    struct con_connector *self = ((struct leg *)arg)->connector;

    if (self->on_status != NULL)
        self->on_status(self->status_arg, con_connector_up(self), self->config->gateway_count);
}

static void report_if_drained(struct con_connector *self)
{
    if (self->on_done != NULL && TAILQ_EMPTY(&self->legs))
        ev_timer_start(self->context.loop, &self->drained);
}

static void on_left(void *arg)
{
    struct leg *leg = arg;
    struct con_connector *self = leg->connector;

    LOG_INFO("gateway left", KV_S("gateway", con_uplink_name(leg->uplink)));
    leg_free(leg);
    report_if_drained(self);
}

static int add_leg(struct con_connector *self, const struct con_gateway *gateway)
{
    struct leg *leg = calloc(1, sizeof(*leg));
    struct con_uplink_config cfg = {.context = &self->context,
                                    .gateway = gateway,
                                    .on_change = on_change,
                                    .on_left = on_left,
                                    .arg = leg};

    if (leg == NULL)
        return ERR_NOMEM;
    leg->connector = self;
    TAILQ_INSERT_TAIL(&self->legs, leg, entry);
    if (con_uplink_new(&leg->uplink, &cfg) == ERR_OK)
        return ERR_OK;
    leg_free(leg);
    return ERR_NOMEM;
}

static void on_drained(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct con_connector *self = w->data;

    (void)revents;
    if (!link_hub_is_idle(self->context.hub))
        return; /* it gives up by itself */
    ev_timer_stop(loop, w);
    self->on_done(self->done_arg); /* self may be gone */
}

int con_connector_new(struct con_connector **out, const struct con_connector_config *cfg)
{
    struct con_connector *self = calloc(1, sizeof(*self));
    int rc = ERR_NOMEM;

    if (self == NULL)
        return ERR_NOMEM;
    TAILQ_INIT(&self->legs);
    self->context =
        (struct con_context){.loop = cfg->loop, .config = cfg->config, .identity = cfg->identity};
    clock_random(self->context.instance, sizeof(self->context.instance));
    if (link_hub_new(&self->context.hub, cfg->loop) != ERR_OK)
        goto free_self;
    ev_timer_init(&self->drained, on_drained, 0.0, DRAINED_LOOK_S);
    self->drained.data = self;
    self->config = cfg->config;
    for (size_t i = 0; i < cfg->config->gateway_count; i++)
        if (add_leg(self, &cfg->config->gateways[i]) != ERR_OK)
            goto free_legs;
    self->on_status = cfg->on_status;
    self->status_arg = cfg->arg;
    *out = self;
    return ERR_OK;

free_legs:
    while (!TAILQ_EMPTY(&self->legs))
        leg_free(TAILQ_FIRST(&self->legs));
    link_hub_free(self->context.hub);
free_self:
    free(self);
    return rc;
}

void con_connector_free(struct con_connector *self)
{
    if (self == NULL)
        return;
    while (!TAILQ_EMPTY(&self->legs))
        leg_free(TAILQ_FIRST(&self->legs));
    ev_timer_stop(self->context.loop, &self->drained);
    link_hub_free(self->context.hub);
    free(self->config);
    free(self);
}

/* ---- reload -------------------------------------------------------------------------------- */

static struct leg *find_leg(struct con_connector *self, const char *name)
{
    struct leg *leg;

    TAILQ_FOREACH(leg, &self->legs, entry)
    {
        if (!leg->leaving && strcmp(con_uplink_name(leg->uplink), name) == 0)
            return leg;
    }
    return NULL;
}

static void leave_leg(struct leg *leg)
{
    if (leg->leaving)
        return;
    leg->leaving = true;
    con_uplink_leave(leg->uplink);
}

/* Addresses and keys as they count; texts are padded with zeros by the parser. */
static bool same_gateway(const struct con_gateway *a, const struct con_gateway *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void warn_fixed(const struct con_config *old, const struct con_config *new)
{
    if (strcmp(old->key_path, new->key_path) != 0)
        LOG_WARN("a change of this needs a restart", KV_S("key", "key"));
    if (strcmp(old->name, new->name) != 0)
        LOG_WARN("a change of this needs a restart", KV_S("key", "name"));
    if (old->twin != new->twin)
        LOG_WARN("a change of this needs a restart", KV_S("key", "twin"));
    if (old->links != new->links)
        LOG_WARN("a change of this needs a restart", KV_S("key", "links"));
}

/* A gateway of the new config: new, changed, or as it was. */
static void apply_gateway(struct con_connector *self, const struct con_config *old,
                          const struct con_gateway *gateway)
{
    const struct con_gateway *before = con_config_gateway(old, gateway->name);
    struct leg *leg = find_leg(self, gateway->name);

    if (leg == NULL) {
        LOG_INFO("gateway added", KV_S("gateway", gateway->name));
        if (add_leg(self, gateway) != ERR_OK)
            LOG_ERROR("out of memory", KV_S("gateway", gateway->name));
    } else if (before == NULL || !same_gateway(before, gateway)) {
        LOG_INFO("gateway changed", KV_S("gateway", gateway->name));
        con_uplink_update(leg->uplink, gateway);
    }
}

void con_connector_reload(struct con_connector *self, struct con_config *config)
{
    struct con_config *old = self->config;
    struct leg *leg, *next;

    if (self->on_done != NULL) { /* draining: nothing new */
        free(config);
        return;
    }
    warn_fixed(old, config);
    memcpy(config->key_path, old->key_path, sizeof(config->key_path));
    memcpy(config->name, old->name, sizeof(config->name));
    config->twin = old->twin;
    config->links = old->links;
    self->config = config;
    self->context.config = config;
    for (size_t i = 0; i < config->gateway_count; i++)
        apply_gateway(self, old, &config->gateways[i]);
    for (leg = TAILQ_FIRST(&self->legs); leg != NULL; leg = next) {
        next = TAILQ_NEXT(leg, entry);
        if (con_config_gateway(config, con_uplink_name(leg->uplink)) == NULL)
            leave_leg(leg);
    }
    free(old);
    LOG_INFO("config read again", KV_N("gateways", config->gateway_count),
             KV_N("services", config->service_count));
}

void con_connector_drain(struct con_connector *self, void (*on_done)(void *arg), void *arg)
{
    struct leg *leg;

    if (self->on_done != NULL)
        return;
    self->on_done = on_done;
    self->done_arg = arg;
    TAILQ_FOREACH(leg, &self->legs, entry)
    {
        leave_leg(leg);
    }
    report_if_drained(self);
}

void con_connector_hurry(struct con_connector *self)
{
    struct leg *leg;

    TAILQ_FOREACH(leg, &self->legs, entry)
    {
        leg->leaving = true;
        con_uplink_hurry(leg->uplink);
    }
}

uint64_t con_connector_drain_timeout_ms(const struct con_connector *self)
{
    return self->config->drain_timeout_ms;
}
