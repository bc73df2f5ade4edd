/* SPDX-License-Identifier: Apache-2.0 */
/* One link of a session, from the connector's side; see slot.h. */
#include "modules/connector/slot.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/clock.h"

#define TO(s) (1u << (s))

/* Which states may follow which; anything else is a bug in this file or in uplink. */
static const uint8_t next_ok[CON_SLOT_STATES] = {
    [CON_SLOT_IDLE] = TO(CON_SLOT_IDLE) | TO(CON_SLOT_WAIT) | TO(CON_SLOT_TRY),
    [CON_SLOT_WAIT] = TO(CON_SLOT_IDLE) | TO(CON_SLOT_WAIT) | TO(CON_SLOT_TRY),
    [CON_SLOT_TRY] = TO(CON_SLOT_IDLE) | TO(CON_SLOT_WAIT) | TO(CON_SLOT_JOINED),
    [CON_SLOT_JOINED] = TO(CON_SLOT_IDLE),
};

/* The only place where `state` changes. Lookup, dial and handshake bring their own limits, and a
 * joined link has the session's. */
static void enter(struct con_slot *self, enum con_slot_state to)
{
    assert(next_ok[self->state] & TO(to));
    ev_timer_stop(self->context->loop, &self->timer);
    if (to == CON_SLOT_IDLE)
        self->round.quick = false;
    self->state = to;
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct con_slot *self = w->data;

    (void)loop;
    (void)revents;
    enter(self, CON_SLOT_TRY);
    con_round_begin(&self->round);
}

static void on_offer(void *arg, const struct tun_gateway_info *offer)
{
    struct con_slot *self = arg;

    self->events.on_offer(self->events.arg, self, offer);
}

static void on_connected(void *arg, const struct link_handshake_end *end)
{
    struct con_slot *self = arg;

    self->events.on_connected(self->events.arg, self, end);
}

static void on_exhausted(void *arg)
{
    struct con_slot *self = arg;

    self->events.on_exhausted(self->events.arg, self);
}

static void init_info(struct con_slot *self)
{
    const struct con_context *context = self->context;

    memcpy(self->info.instance, context->instance, sizeof(self->info.instance));
    self->info.link = self->number;
    self->info.twin = context->config->twin;
    (void)snprintf(self->info.version, sizeof(self->info.version), "netwall %s", NW_VERSION);
    (void)snprintf(self->info.name, sizeof(self->info.name), "%s", context->config->name);
}

void con_slot_init(struct con_slot *self, const struct con_slot_config *cfg)
{
    memset(self, 0, sizeof(*self));
    self->context = cfg->context;
    self->number = cfg->number;
    self->events = cfg->events;
    init_info(self);
    self->round = (struct con_round){.context = cfg->context,
                                     .gateway = cfg->gateway,
                                     .info = &self->info,
                                     .on_offer = on_offer,
                                     .on_connected = on_connected,
                                     .on_exhausted = on_exhausted,
                                     .arg = self};
    ev_init(&self->timer, on_timer);
    self->timer.data = self;
}

static void wait_ms(struct con_slot *self, uint32_t ms)
{
    ev_now_update(self->context->loop);
    ev_timer_stop(self->context->loop, &self->timer);
    ev_timer_set(&self->timer, ms / 1000.0, 0.0);
    ev_timer_start(self->context->loop, &self->timer);
}

void con_slot_dial(struct con_slot *self, uint32_t ms)
{
    con_round_cancel(&self->round);
    enter(self, CON_SLOT_WAIT);
    self->told = false;
    wait_ms(self, ms);
}

uint32_t con_slot_retry(struct con_slot *self, const struct con_retry_cause *cause)
{
    uint32_t ms = con_retry_next_ms(&self->retry, cause, clock_random_u32());

    self->round.quick = cause->urgent;
    con_slot_dial(self, ms);
    self->told = cause->told_ms > 0;
    return ms;
}

void con_slot_hurry(struct con_slot *self)
{
    if (self->state != CON_SLOT_WAIT || self->told)
        return;
    self->round.quick = true;
    if (ev_timer_remaining(self->context->loop, &self->timer) * 1000.0 > CON_RETRY_URGENT_MS)
        wait_ms(self, clock_random_u32() % CON_RETRY_URGENT_MS);
}

void con_slot_next(struct con_slot *self)
{
    if (self->state != CON_SLOT_TRY)
        enter(self, CON_SLOT_TRY);
    con_round_next(&self->round);
}

void con_slot_joined(struct con_slot *self)
{
    enter(self, CON_SLOT_JOINED);
    self->joined_ms = clock_mono_ms();
}

void con_slot_left(struct con_slot *self, bool accepted)
{
    enter(self, CON_SLOT_IDLE);
    if (accepted && clock_mono_ms() - self->joined_ms >= CON_STEADY_MS)
        con_retry_reset(&self->retry);
}

void con_slot_stop(struct con_slot *self)
{
    con_round_cancel(&self->round);
    if (self->state != CON_SLOT_IDLE)
        enter(self, CON_SLOT_IDLE);
}
