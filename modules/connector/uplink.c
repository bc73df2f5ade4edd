/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps one gateway connected; see uplink.h. The attempts of one round are round.c. */
#include "modules/connector/uplink.h"

#include <assert.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/backoff.h"
#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/connector/rotation.h"
#include "modules/connector/round.h"
#include "modules/connector/session.h"

#define STEADY_MS 10000u    /* a session that lived so long was a good one: backoff starts anew */
#define LEFT_MAX 8          /* sessions that are being left; more are cut */
#define LEFT_LIMIT_S 3600.0 /* the gateway ends its side long before */

/* A session that takes no new visitors and lives until its last one is gone. */
struct left {
    uint64_t id;
    struct con_session *session;
};

struct con_uplink {
    struct con_context *context;
    struct con_gateway gateway;
    void (*on_change)(void *arg);
    void (*on_left)(void *arg);
    void *arg;
    enum con_uplink_state state;
    ev_timer timer; /* WAIT: the next attempt; UP: coming anew for another key of the gateway;
                       LEAVING: the limit, or the report */
    struct con_rotation rotation;
    struct con_round round;
    struct con_session *session;
    struct tun_connector_info info;
    uint64_t session_id; /* of `session`; every one has its own */
    uint64_t up_ms;      /* when it was accepted */
    struct left left[LEFT_MAX];
    size_t left_count;
    struct backoff backoff;
    unsigned unknown_rounds;
    char told[320]; /* the last reason in the log */
};

#define TO(s) (1u << (s))

/* Which states may follow which; anything else is a bug in this file. */
static const uint8_t next_ok[CON_UPLINK_STATES] = {
    [CON_UPLINK_WAIT] = TO(CON_UPLINK_WAIT) | TO(CON_UPLINK_TRY) | TO(CON_UPLINK_LEAVING),
    [CON_UPLINK_TRY] = TO(CON_UPLINK_ACCEPT) | TO(CON_UPLINK_WAIT) | TO(CON_UPLINK_LEAVING),
    [CON_UPLINK_ACCEPT] =
        TO(CON_UPLINK_TRY) | TO(CON_UPLINK_UP) | TO(CON_UPLINK_WAIT) | TO(CON_UPLINK_LEAVING),
    [CON_UPLINK_UP] = TO(CON_UPLINK_WAIT) | TO(CON_UPLINK_LEAVING),
    [CON_UPLINK_LEAVING] = 0,
};

/* The only place where `state` changes. Lookup, dial, handshake and accept bring their own limits.
 */
static void enter(struct con_uplink *self, enum con_uplink_state to)
{
    bool was_up = self->state == CON_UPLINK_UP;

    assert(next_ok[self->state] & TO(to));
    ev_timer_stop(self->context->loop, &self->timer);
    self->state = to;
    if (was_up != (to == CON_UPLINK_UP) && self->on_change != NULL)
        self->on_change(self->arg);
}

/* ---- waiting ------------------------------------------------------------------------------- */

/*
 * A gateway that does not know our key costs it a handshake each time: every 5 s in the first
 * minute, so that a contract deployed now works soon, then more seldom.
 */
uint32_t con_uplink_wait_ms(const struct con_retry *retry, uint32_t backoff_ms)
{
    uint32_t base = retry->rounds <= 12 ? 5000 : CON_RETRY_MAX_MS;

    if (retry->told_ms > 0)
        return retry->told_ms < CON_RETRY_TOLD_MAX_MS ? retry->told_ms : CON_RETRY_TOLD_MAX_MS;
    return retry->unknown_key ? base + backoff_ms % 500 : backoff_ms;
}

static void wait_ms(struct con_uplink *self, uint32_t ms)
{
    enter(self, CON_UPLINK_WAIT);
    ev_now_update(self->context->loop);
    ev_timer_set(&self->timer, ms / 1000.0, 0.0);
    ev_timer_start(self->context->loop, &self->timer);
}

/* The round failed, or the tunnel ended: say why once, and when it goes on. */
static void give_up_round(struct con_uplink *self)
{
    const struct con_failure *f = &self->round.failure;
    struct con_retry retry = {.told_ms = f->told_ms, .unknown_key = f->unknown_key};
    uint32_t ms;

    self->unknown_rounds = f->unknown_key ? self->unknown_rounds + 1 : 0;
    retry.rounds = self->unknown_rounds;
    ms = con_uplink_wait_ms(&retry, backoff_next_ms(&self->backoff));
    if (strcmp(self->told, f->why) != 0)
        LOG_WARN("no tunnel", KV_S("gateway", self->gateway.name), KV_S("address", f->address),
                 KV_S("why", f->why), KV_N("retry_ms", ms));
    else
        LOG_DEBUG("no tunnel", KV_S("gateway", self->gateway.name), KV_S("address", f->address),
                  KV_S("why", f->why), KV_N("retry_ms", ms));
    memcpy(self->told, f->why, sizeof(self->told));
    wait_ms(self, ms);
}

/* ---- sessions ------------------------------------------------------------------------------ */

static void on_session_accept(void *arg)
{
    struct con_uplink *self = arg;

    self->up_ms = clock_mono_ms();
    self->told[0] = '\0';
    self->unknown_rounds = 0;
    LOG_INFO("tunnel up", KV_S("gateway", self->gateway.name),
             KV_S("address", con_round_address(&self->round)));
    enter(self, CON_UPLINK_UP);
}

static void report_left(struct ev_loop *loop, struct con_uplink *self);

/* The session with this ID is gone; true when it was one that is being left. */
static bool forget_left(struct con_uplink *self, uint64_t id)
{
    for (size_t i = 0; i < self->left_count; i++)
        if (self->left[i].id == id) {
            self->left[i] = self->left[--self->left_count];
            return true;
        }
    return false;
}

/* One that was being left ended before its visitors did, unless it was our own doing. */
static void tell_left_end(const struct con_uplink *self, const struct con_session_end *end)
{
    if (end->notice != NULL)
        LOG_INFO("the gateway ended the tunnel", KV_S("gateway", self->gateway.name),
                 KV_S("code", tun_code_name(end->notice->code)), KV_S("why", end->notice->why));
    else if (end->rc != ERR_CANCELLED)
        LOG_WARN("a tunnel that was being left is lost", KV_S("gateway", self->gateway.name),
                 KV_S("why", err_text(end->rc)));
}

static void on_session_end(void *arg, const struct con_session_end *end)
{
    struct con_uplink *self = arg;
    bool was_left = forget_left(self, end->id);

    if (was_left)
        tell_left_end(self, end);
    else
        self->session = NULL;
    if (self->state == CON_UPLINK_LEAVING) {
        report_left(self->context->loop, self);
        return;
    }
    if (was_left)
        return;
    self->info.epoch++; /* that session is given up: the next one is a newer one */
    if (end->accepted && clock_mono_ms() - self->up_ms >= STEADY_MS)
        backoff_reset(&self->backoff);
    con_failure_session(&self->round.failure, con_round_address(&self->round), end,
                        &self->context->identity->public_key);
    if (end->accepted || end->notice != NULL) {
        give_up_round(self); /* this is the gateway; the other addresses are not asked */
        return;
    }
    enter(self, CON_UPLINK_TRY);
    con_round_next(&self->round);
}

/* Let the present visitors of the session finish, while we connect anew. DRAIN: no new ones come.
 */
static void leave_session(struct con_uplink *self, bool drain)
{
    struct con_session *session = self->session;

    self->session = NULL;
    self->info.epoch++;
    if (self->left_count == LEFT_MAX) {
        con_session_free(session); /* the gateway says goodbye more often than visitors leave */
        return;
    }
    self->left[self->left_count++] = (struct left){.id = self->session_id, .session = session};
    if (drain)
        con_session_drain(session);
}

static struct con_session *find_left(const struct con_uplink *self, uint64_t id)
{
    for (size_t i = 0; i < self->left_count; i++)
        if (self->left[i].id == id)
            return self->left[i].session;
    return NULL;
}

/*
 * UPGRADE: the gateway's successor waits at the same address, and the old process still serves:
 * both sessions take visitors until the old process says that it is done.
 */
static void on_session_goaway(void *arg, uint64_t id, const struct tun_notice *notice)
{
    struct con_uplink *self = arg;
    struct con_retry retry = {.told_ms = notice->retry_ms};
    struct con_session *left = find_left(self, id);
    bool upgrade = notice->code == TUN_CODE_UPGRADE;
    uint32_t ms;

    if (left != NULL && !upgrade)
        con_session_drain(left);
    if (left != NULL || self->state != CON_UPLINK_UP)
        return;
    ms = con_uplink_wait_ms(&retry, backoff_next_ms(&self->backoff));
    LOG_INFO("the gateway wants us to connect anew", KV_S("gateway", self->gateway.name),
             KV_S("why", tun_code_name(notice->code)), KV_N("retry_ms", ms));
    if (self->left_count == LEFT_MAX)
        return; /* it will cut the session when it likes; then we come back */
    leave_session(self, !upgrade);
    wait_ms(self, ms);
}

/* The gateway has a better key, and our config has it, too: come anew with that one, soon. */
static void follow_rotation(struct con_uplink *self)
{
    double after_s = con_rotation_delay_ms() / 1000.0;

    if (self->state != CON_UPLINK_UP || ev_is_active(&self->timer) ||
        con_rotation_wants(&self->rotation, &self->gateway, con_round_key(&self->round)) == NULL)
        return;
    ev_now_update(self->context->loop);
    ev_timer_set(&self->timer, after_s, 0.0);
    ev_timer_start(self->context->loop, &self->timer);
}

static void on_session_next_key(void *arg, const struct tun_public_key *key)
{
    struct con_uplink *self = arg;

    con_rotation_learn(&self->rotation, &self->gateway, key);
    follow_rotation(self);
}

/* The streams of the present session finish there. */
static void come_anew(struct con_uplink *self)
{
    const struct tun_public_key *key =
        con_rotation_wants(&self->rotation, &self->gateway, con_round_key(&self->round));

    if (key == NULL || self->left_count == LEFT_MAX)
        return;
    LOG_INFO("connecting anew with the gateway's other key", KV_S("gateway", self->gateway.name));
    self->rotation.followed = true;
    con_round_prefer(&self->round, key);
    leave_session(self, true);
    wait_ms(self, 0);
}

/* ---- attempts ------------------------------------------------------------------------------ */

static void on_connected(void *arg, const struct link_handshake_end *end)
{
    struct con_uplink *self = arg;
    struct con_session_config cfg = {.context = self->context,
                                     .gateway = self->gateway.name,
                                     .id = ++self->session_id,
                                     .fd = end->fd,
                                     .result = end->result,
                                     .events = {.on_accept = on_session_accept,
                                                .on_next_key = on_session_next_key,
                                                .on_goaway = on_session_goaway,
                                                .on_end = on_session_end,
                                                .arg = self}};

    if (con_session_new(&self->session, &cfg) == ERR_OK) {
        enter(self, CON_UPLINK_ACCEPT);
        return;
    }
    close(end->fd);
    con_failure_dial(&self->round.failure, con_round_address(&self->round), ERR_NOMEM);
    give_up_round(self);
}

static void on_exhausted(void *arg)
{
    give_up_round(arg);
}

/* ---- leaving ------------------------------------------------------------------------------- */

/* Nothing is left to wait for? Say so from the loop, as the last thing. */
static void report_left(struct ev_loop *loop, struct con_uplink *self)
{
    if (self->session != NULL || self->left_count > 0)
        return;
    ev_timer_stop(loop, &self->timer);
    ev_timer_set(&self->timer, 0.0, 0.0);
    ev_timer_start(loop, &self->timer);
}

static void cut_sessions(struct con_uplink *self)
{
    con_session_free(self->session);
    self->session = NULL;
    while (self->left_count > 0)
        con_session_free(self->left[--self->left_count].session);
}

void con_uplink_leave(struct con_uplink *self)
{
    if (self->state == CON_UPLINK_LEAVING)
        return;
    con_round_cancel(&self->round);
    if (self->session != NULL && self->state != CON_UPLINK_UP) {
        con_session_free(self->session); /* not accepted yet: there is nobody to wait for */
        self->session = NULL;
    }
    enter(self, CON_UPLINK_LEAVING);
    ev_timer_set(&self->timer, LEFT_LIMIT_S, 0.0);
    ev_timer_start(self->context->loop, &self->timer);
    if (self->session != NULL)
        con_session_drain(self->session);
    for (size_t i = 0; i < self->left_count; i++)
        con_session_drain(self->left[i].session);
    report_left(self->context->loop, self);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct con_uplink *self = w->data;

    (void)loop;
    (void)revents;
    if (self->state == CON_UPLINK_WAIT) {
        enter(self, CON_UPLINK_TRY);
        con_round_begin(&self->round);
        return;
    }
    if (self->state == CON_UPLINK_UP) {
        come_anew(self);
        return;
    }
    cut_sessions(self); /* LEAVING: its limit, or there are none any more */
    self->on_left(self->arg);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void init_info(struct con_uplink *self)
{
    const struct con_context *context = self->context;

    memcpy(self->info.instance, context->instance, sizeof(self->info.instance));
    self->info.epoch = 1;
    self->info.twin = context->config->twin;
    (void)snprintf(self->info.version, sizeof(self->info.version), "netwall %s", NW_VERSION);
    (void)snprintf(self->info.name, sizeof(self->info.name), "%s", context->config->name);
}

int con_uplink_new(struct con_uplink **out, const struct con_uplink_config *cfg)
{
    struct con_uplink *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->context = cfg->context;
    self->gateway = *cfg->gateway;
    self->on_change = cfg->on_change;
    self->on_left = cfg->on_left;
    self->arg = cfg->arg;
    self->state = CON_UPLINK_WAIT;
    self->backoff = backoff_init(CON_RETRY_MIN_MS, CON_RETRY_MAX_MS);
    init_info(self);
    self->round = (struct con_round){.context = cfg->context,
                                     .gateway = &self->gateway,
                                     .info = &self->info,
                                     .on_connected = on_connected,
                                     .on_exhausted = on_exhausted,
                                     .arg = self};
    ev_init(&self->timer, on_timer);
    self->timer.data = self;
    wait_ms(self, 0);
    *out = self;
    return ERR_OK;
}

void con_uplink_free(struct con_uplink *self)
{
    if (self == NULL)
        return;
    con_round_cancel(&self->round);
    cut_sessions(self);
    ev_timer_stop(self->context->loop, &self->timer);
    free(self);
}

static bool has_key(const struct con_gateway *gateway, const struct tun_public_key *key)
{
    for (size_t i = 0; i < gateway->key_count; i++)
        if (tun_key_equal(&gateway->keys[i], key))
            return true;
    return false;
}

void con_uplink_update(struct con_uplink *self, const struct con_gateway *gateway)
{
    struct tun_public_key key = *con_round_key(&self->round);
    bool keeps = self->state == CON_UPLINK_UP && has_key(gateway, &key);

    if (self->state == CON_UPLINK_LEAVING)
        return;
    con_round_cancel(&self->round);
    self->gateway = *gateway;
    con_round_prefer(&self->round, &key);
    self->rotation.followed = false;
    if (keeps) {
        follow_rotation(self);
        return;
    }
    if (self->state == CON_UPLINK_UP)
        leave_session(self, true);
    con_session_free(self->session); /* one that is not accepted yet */
    self->session = NULL;
    backoff_reset(&self->backoff);
    wait_ms(self, 0);
}

bool con_uplink_is_up(const struct con_uplink *self)
{
    return self->state == CON_UPLINK_UP;
}

const char *con_uplink_name(const struct con_uplink *self)
{
    return self->gateway.name;
}

unsigned con_uplink_streams(const struct con_uplink *self)
{
    unsigned streams = self->session != NULL ? con_session_streams(self->session) : 0;

    for (size_t i = 0; i < self->left_count; i++)
        streams += con_session_streams(self->left[i].session);
    return streams;
}
