/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes under way; see pool.h. A slot is in exactly one list, that of its phase. */
#include "modules/gateway/pool.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"

#define HELLO_COST 3u
#define MSG3_COST 1u

enum phase {
    PHASE_FREE,
    PHASE_HELLO,    /* its Hello waits for public-key work */
    PHASE_ANSWERED, /* message 2 is made: the connector's turn */
    PHASE_MSG3,     /* message 3 waits for public-key work */
    PHASES
};

/* What is large and seldom looked at; slots stay small, as they are searched. */
struct body {
    struct link_handshake handshake;
    struct addr remote;
};

struct slot {
    struct gw_pool *pool;
    struct body *body;
    struct gw_source *source;
    struct gw_keyring *keys; /* that it began with */
    uint64_t answered_ms;
    enum phase phase;
    TAILQ_ENTRY(slot) of_phase;
};
TAILQ_HEAD(slot_list, slot);

struct gw_pool {
    struct gw_pool_config cfg;
    struct slot *slots;
    struct body *bodies;
    struct slot_list phase[PHASES]; /* longest in it first */
    size_t used;
    unsigned budget; /* operations left in this turn */
    bool in_turn;
    ev_prepare turn; /* after everything else of the turn, before the loop sleeps */
    ev_timer rest;   /* runs after work was done: until it fires there is no more */
};

static void enter(struct slot *slot, enum phase to)
{
    struct gw_pool *pool = slot->pool;

    TAILQ_REMOVE(&pool->phase[slot->phase], slot, of_phase);
    slot->phase = to;
    TAILQ_INSERT_TAIL(&pool->phase[to], slot, of_phase);
}

static void vacate(struct slot *slot)
{
    gw_keyring_unref(slot->keys);
    slot->source->pending--;
    slot->pool->used--;
    enter(slot, PHASE_FREE);
}

/* One ended. Its slot is free before the callback, its source is held until after it. */
static void tell(struct slot *slot, const struct link_handshake_end *handshake)
{
    struct gw_pool *self = slot->pool;
    struct gw_source *source = slot->source;
    struct addr remote = slot->body->remote;
    struct gw_pool_end end = {.source = source,
                              .remote = &remote,
                              .handshake = handshake,
                              .answered = slot->answered_ms != 0};

    vacate(slot);
    self->cfg.on_end(self->cfg.arg, &end);
    gw_penalties_release(self->cfg.penalties, source);
}

static void on_done(void *arg, const struct link_handshake_end *end)
{
    tell(arg, end);
}

/* The data plane goes first: work is done at the end of the turn only, in order of arrival. */
static bool may_work(void *arg, unsigned operations)
{
    struct slot *slot = arg;
    struct gw_pool *self = slot->pool;

    if (self->in_turn && self->budget >= operations) {
        self->budget -= operations;
        if (slot->phase == PHASE_HELLO) {
            slot->answered_ms = clock_mono_ms();
            enter(slot, PHASE_ANSWERED);
        }
        return true;
    }
    if (slot->phase == PHASE_ANSWERED)
        enter(slot, PHASE_MSG3);
    return false;
}

/* Let those in PHASE go on, as long as each finds COST in the budget. */
static void work_off(struct gw_pool *self, enum phase phase, unsigned cost)
{
    struct slot *slot;
    unsigned before;

    while (self->budget >= cost && (slot = TAILQ_FIRST(&self->phase[phase])) != NULL) {
        before = self->budget;
        link_handshake_go(&slot->body->handshake); /* slot may be free, or used anew */
        if (self->budget == before && TAILQ_FIRST(&self->phase[phase]) == slot) {
            enter(slot, phase); /* it did not want to work after all: not to be met again here */
            break;
        }
    }
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct gw_pool *self = w->data;

    (void)revents;
    if (ev_is_active(&self->rest))
        return;
    self->budget = GW_POOL_OPS_PER_TURN;
    self->in_turn = true;
    work_off(self, PHASE_MSG3, MSG3_COST); /* who is nearly in goes first and makes room */
    work_off(self, PHASE_HELLO, HELLO_COST);
    self->in_turn = false;
    if (self->budget < GW_POOL_OPS_PER_TURN || !TAILQ_EMPTY(&self->phase[PHASE_HELLO]) ||
        !TAILQ_EMPTY(&self->phase[PHASE_MSG3])) {
        ev_timer_set(&self->rest, GW_POOL_REST_MS / 1000.0, 0.0);
        ev_timer_start(loop, &self->rest);
    }
}

/* The turn that this is part of ends with on_turn. */
static void on_rested(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

/* What is left of the absolute limit; 1 when it has passed. */
static uint64_t left_ms(const struct gw_pool *self, const struct gw_arrival *arrival)
{
    uint64_t spent = clock_mono_ms() - arrival->since_ms;

    return spent < self->cfg.timeout_ms ? self->cfg.timeout_ms - spent : 1;
}

void gw_pool_start(struct gw_pool *self, struct gw_source *source, const struct gw_arrival *arrival)
{
    struct slot *slot = TAILQ_FIRST(&self->phase[PHASE_FREE]);
    struct gw_keyring *keys = self->cfg.keys;
    struct tun_handshake_config tunnel = {.role = TUN_GATEWAY,
                                          .own = &keys->own,
                                          .next = keys->has_next ? &keys->next : NULL,
                                          .gateway = &self->cfg.info};
    struct link_handshake_config cfg = {
        .fd = arrival->fd,
        .tunnel = &tunnel,
        .first = arrival->first,
        .first_len = arrival->first_len,
        .timeout_ms = left_ms(self, arrival),
        .may_work = may_work,
        .on_done = on_done,
        .arg = slot,
    };

    self->cfg.info.time_ms = clock_unix_ms(); /* for all that wait: near enough for a clock hint */
    if (slot == NULL ||
        link_handshake_start(&slot->body->handshake, self->cfg.loop, &cfg) != ERR_OK) {
        close(arrival->fd);
        return;
    }
    slot->source = source;
    slot->keys = gw_keyring_ref(keys);
    slot->body->remote = arrival->remote;
    slot->answered_ms = 0;
    enter(slot, PHASE_HELLO);
    self->used++;
    source->pending++;
    gw_penalties_hold(self->cfg.penalties, source);
}

size_t gw_pool_used(const struct gw_pool *self)
{
    return self->used;
}

size_t gw_pool_places(const struct gw_pool *self)
{
    return self->cfg.places;
}

/* End SLOT from our side, for RC. A connector that hears an end after its message 3 takes it for
 * "no contract names your key" and stays away for seconds; a reset says nothing of the kind. */
static void cancel(struct slot *slot, int rc)
{
    struct link_handshake_end end = {.rc = rc, .fd = -1, .heard = true};

    link_handshake_reset(&slot->body->handshake);
    tell(slot, &end);
}

/* SLOT waited too long for its message 3, as things are. */
static void displace(struct slot *slot)
{
    uint64_t waited_ms = clock_mono_ms() - slot->answered_ms;

    cancel(slot, waited_ms >= GW_POOL_STALL_MS ? ERR_TIMEOUT : ERR_CANCELLED);
}

bool gw_pool_displace_own(struct gw_pool *self, const struct gw_source *source,
                          uint64_t patience_ms)
{
    uint64_t now = clock_mono_ms();
    struct slot *slot;

    TAILQ_FOREACH(slot, &self->phase[PHASE_ANSWERED], of_phase)
    {
        if (now - slot->answered_ms < patience_ms)
            return false; /* and so are all after it */
        if (slot->source == source) {
            displace(slot);
            return true;
        }
    }
    return false;
}

/* The first stranger in PHASE that has been there for PATIENCE_MS; NULL = none. */
static struct slot *find_stranger(struct gw_pool *self, enum phase phase, uint64_t patience_ms)
{
    uint64_t now = clock_mono_ms();
    struct slot *slot;

    TAILQ_FOREACH(slot, &self->phase[phase], of_phase)
    {
        if (patience_ms > 0 && now - slot->answered_ms < patience_ms)
            return NULL;
        if (!gw_source_trusted(slot->source, now))
            return slot;
    }
    return NULL;
}

bool gw_pool_displace_stranger(struct gw_pool *self, uint64_t patience_ms)
{
    struct slot *slot = find_stranger(self, PHASE_ANSWERED, patience_ms);

    if (slot != NULL)
        displace(slot);
    return slot != NULL;
}

bool gw_pool_evict_stranger(struct gw_pool *self)
{
    static const enum phase order[] = {PHASE_ANSWERED, PHASE_HELLO, PHASE_MSG3};
    struct slot *slot = NULL;

    for (size_t i = 0; slot == NULL && i < sizeof(order) / sizeof(order[0]); i++)
        slot = find_stranger(self, order[i], 0);
    if (slot != NULL)
        cancel(slot, ERR_CANCELLED);
    return slot != NULL;
}

int gw_pool_new(struct gw_pool **out, const struct gw_pool_config *cfg)
{
    struct gw_pool *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    gw_keyring_ref(self->cfg.keys);
    self->slots = calloc(cfg->places, sizeof(self->slots[0]));
    self->bodies = calloc(cfg->places, sizeof(self->bodies[0]));
    for (size_t i = 0; i < PHASES; i++)
        TAILQ_INIT(&self->phase[i]);
    ev_prepare_init(&self->turn, on_turn);
    ev_set_priority(&self->turn, EV_MINPRI); /* links seal and send first */
    ev_init(&self->rest, on_rested);
    self->turn.data = self;
    if (self->slots == NULL || self->bodies == NULL) {
        gw_pool_free(self);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < cfg->places; i++) {
        self->slots[i].pool = self;
        self->slots[i].body = &self->bodies[i];
        TAILQ_INSERT_TAIL(&self->phase[PHASE_FREE], &self->slots[i], of_phase);
    }
    ev_prepare_start(cfg->loop, &self->turn);
    *out = self;
    return ERR_OK;
}

void gw_pool_set_keys(struct gw_pool *self, struct gw_keyring *keys)
{
    gw_keyring_unref(self->cfg.keys);
    self->cfg.keys = gw_keyring_ref(keys);
}

static void release_all(struct gw_pool *self, enum phase phase)
{
    struct slot *slot;

    while ((slot = TAILQ_FIRST(&self->phase[phase])) != NULL) {
        link_handshake_cancel(&slot->body->handshake);
        gw_penalties_release(self->cfg.penalties, slot->source);
        vacate(slot);
    }
}

void gw_pool_free(struct gw_pool *self)
{
    if (self == NULL)
        return;
    ev_prepare_stop(self->cfg.loop, &self->turn);
    ev_timer_stop(self->cfg.loop, &self->rest);
    release_all(self, PHASE_HELLO);
    release_all(self, PHASE_ANSWERED);
    release_all(self, PHASE_MSG3);
    gw_keyring_unref(self->cfg.keys);
    free(self->bodies);
    free(self->slots);
    free(self);
}
