/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps one gateway connected; see uplink.h. */
#include "modules/connector/uplink.h"

#include <assert.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/connector/left.h"
#include "modules/connector/rotation.h"
#include "modules/connector/session.h"
#include "modules/connector/slot.h"

#define LEAVE_LIMIT_S 3600.0 /* the gateway ends its side long before */

struct con_uplink {
    struct con_context *context;
    struct con_gateway gateway;
    void (*on_change)(void *arg);
    void (*on_left)(void *arg);
    void *arg;
    enum con_uplink_state state;
    ev_timer timer; /* UP: coming anew for another key of the gateway; LEAVING: the limit, or the
                       report */
    struct con_rotation rotation;
    struct con_slot slots[CON_LINKS_MAX];
    size_t slot_count;
    struct con_session *session; /* NULL = none */
    uint64_t session_id;         /* of `session`; every one has its own */
    uint64_t epoch;              /* of `session`, or of the next one */
    struct con_left left;
    char told[320]; /* the last reason in the log */
};

#define TO(s) (1u << (s))

/* Which states may follow which; anything else is a bug in this file. */
static const uint8_t next_ok[CON_UPLINK_STATES] = {
    [CON_UPLINK_DOWN] = TO(CON_UPLINK_UP) | TO(CON_UPLINK_LEAVING),
    [CON_UPLINK_UP] = TO(CON_UPLINK_RESUMING) | TO(CON_UPLINK_DOWN) | TO(CON_UPLINK_LEAVING),
    [CON_UPLINK_RESUMING] = TO(CON_UPLINK_UP) | TO(CON_UPLINK_DOWN) | TO(CON_UPLINK_LEAVING),
    [CON_UPLINK_LEAVING] = 0,
};

/* The only place where `state` changes. The slots and the session bring their own limits. */
static void enter(struct con_uplink *self, enum con_uplink_state to)
{
    bool was_up = self->state == CON_UPLINK_UP;

    assert(next_ok[self->state] & TO(to));
    ev_timer_stop(self->context->loop, &self->timer);
    self->state = to;
    if (was_up != (to == CON_UPLINK_UP) && self->on_change != NULL)
        self->on_change(self->arg);
}

/* ---- slots --------------------------------------------------------------------------------- */

static void stop_slots(struct con_uplink *self)
{
    for (size_t i = 0; i < self->slot_count; i++)
        con_slot_stop(&self->slots[i]);
}

/* The session has room for every link that is configured. */
static void dial_idle_slots(struct con_uplink *self)
{
    for (size_t i = 0; i < self->slot_count; i++)
        if (self->slots[i].state == CON_SLOT_IDLE)
            con_slot_dial(&self->slots[i], 0);
}

/* Visitors wait for a link, and not for long. */
static bool is_urgent(const struct con_uplink *self)
{
    return self->session != NULL && con_session_live(self->session) == 0 &&
           con_session_streams(self->session) > 0;
}

/* The round of SLOT failed: say why once, and when it goes on. */
static void retry(struct con_uplink *self, struct con_slot *slot)
{
    const struct con_failure *f = &slot->round.failure;
    struct con_retry_cause cause = {
        .told_ms = f->told_ms, .unknown_key = f->unknown_key, .urgent = is_urgent(self)};
    uint32_t ms = con_slot_retry(slot, &cause);
    enum log_level level = strcmp(self->told, f->why) != 0 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;

    LOG_AT(level, self->session == NULL ? "no tunnel" : "no link",
           KV_S("gateway", self->gateway.name), KV_S("address", f->address),
           KV_N("link", slot->number), KV_S("why", f->why), KV_N("retry_ms", ms));
    memcpy(self->told, f->why, sizeof(self->told));
}

/* ---- sessions ------------------------------------------------------------------------------ */

/* `session` is over or is being left: the next one is a newer one. */
static void part(struct con_uplink *self, bool accepted)
{
    self->session = NULL;
    self->epoch++;
    for (size_t i = 0; i < self->slot_count; i++)
        if (self->slots[i].state == CON_SLOT_JOINED)
            con_slot_left(&self->slots[i], accepted);
    if (self->state == CON_UPLINK_UP || self->state == CON_UPLINK_RESUMING)
        enter(self, CON_UPLINK_DOWN);
}

/* The present visitors of the session finish, as long as a link of it lives. DRAIN: no new ones
 * come. */
static void leave_session(struct con_uplink *self, bool drain)
{
    struct con_session *session = self->session;
    bool accepted = con_session_accepted(session);

    if (!accepted || con_session_live(session) == 0 || !con_left_has_room(&self->left))
        con_left_close(&self->left, self->session_id, session);
    else if (drain)
        con_left_drain(&self->left, self->session_id, session);
    else
        con_left_keep(&self->left, self->session_id, session);
    part(self, accepted);
}

static void report_left(struct con_uplink *self);
static void follow_rotation(struct con_uplink *self);

static void on_session_accept(void *arg, uint64_t id, uint8_t number)
{
    struct con_uplink *self = arg;
    const char *event = "link up";

    if (self->session == NULL || id != self->session_id)
        return;
    if (self->state == CON_UPLINK_DOWN)
        event = "tunnel up";
    else if (self->state == CON_UPLINK_RESUMING)
        event = "tunnel up again";
    LOG_INFO(event, KV_S("gateway", self->gateway.name),
             KV_S("address", con_round_address(&self->slots[number].round)), KV_N("link", number),
             KV_N("links", con_session_live(self->session)));
    self->told[0] = '\0';
    if (self->state == CON_UPLINK_LEAVING)
        return;
    dial_idle_slots(self);
    if (self->state != CON_UPLINK_UP)
        enter(self, CON_UPLINK_UP);
    follow_rotation(self);
}

/* A link that had been taken is gone: what it was, and what happens next. */
static void redial(struct con_uplink *self, struct con_slot *slot,
                   const struct con_session_lost *lost)
{
    const struct con_failure *f = &slot->round.failure;
    struct con_retry_cause cause = {.urgent = is_urgent(self)};
    uint32_t ms = con_slot_retry(slot, &cause);

    LOG_WARN(lost->live > 0 ? "link lost" : "link lost, the last one: visitors wait",
             KV_S("gateway", self->gateway.name), KV_S("address", f->address),
             KV_N("link", slot->number), KV_S("why", f->why), KV_N("links", lost->live),
             KV_N("visitors", con_session_streams(self->session)), KV_N("retry_ms", ms));
}

/* The gateway did not take the first link of a session. Only when it did not even say why, other
 * addresses are asked. */
static void begin_anew(struct con_uplink *self, struct con_slot *slot, bool explained)
{
    stop_slots(self);
    if (self->state == CON_UPLINK_LEAVING)
        report_left(self);
    else if (explained)
        retry(self, slot);
    else
        con_slot_next(slot);
}

/* The others wait already, and not as if there was nobody else. */
static void lose_last(struct con_uplink *self)
{
    if (self->state == CON_UPLINK_UP)
        enter(self, CON_UPLINK_RESUMING);
    if (!is_urgent(self))
        return;
    for (size_t i = 0; i < self->slot_count; i++)
        con_slot_hurry(&self->slots[i]);
}

static void on_session_lost(void *arg, const struct con_session_lost *lost)
{
    struct con_uplink *self = arg;
    struct con_slot *slot = &self->slots[lost->number];

    if (self->session == NULL || lost->id != self->session_id)
        return; /* one that is being left: its other links carry on */
    con_failure_link(&slot->round.failure, con_round_address(&slot->round), lost,
                     &self->context->identity->public_key);
    if (!lost->known || (lost->notice != NULL && lost->notice->code == TUN_CODE_STALE)) {
        leave_session(self, true);
        begin_anew(self, slot, lost->notice != NULL);
        return;
    }
    con_slot_left(slot, lost->accepted);
    if (lost->live == 0)
        lose_last(self);
    if (lost->accepted)
        redial(self, slot, lost);
    else
        retry(self, slot);
}

/* The session is over: only slot 0 goes on, for the next one. */
static void on_current_end(struct con_uplink *self, const struct con_session_end *end)
{
    struct con_slot *first = &self->slots[0];

    con_failure_session(&first->round.failure, con_round_address(&first->round), end);
    part(self, end->accepted);
    begin_anew(self, first, end->accepted || end->notice != NULL);
}

static void on_session_end(void *arg, const struct con_session_end *end)
{
    struct con_uplink *self = arg;

    if (!con_left_forget(&self->left, end, self->gateway.name))
        on_current_end(self, end);
    else if (self->state == CON_UPLINK_LEAVING)
        report_left(self);
}

/*
 * Connect anew first. UPGRADE: the gateway's successor waits at the same address, and the old
 * process still serves: both sessions take visitors until the old process says that it is done.
 */
static void on_session_goaway(void *arg, uint64_t id, const struct tun_notice *notice)
{
    struct con_uplink *self = arg;
    struct con_session *left = con_left_find(&self->left, id);
    struct con_retry_cause cause = {.told_ms = notice->retry_ms,
                                    .upgrade = notice->code == TUN_CODE_UPGRADE};
    uint32_t ms;

    if (left != NULL && !cause.upgrade)
        con_session_drain(left);
    if (left != NULL || self->state != CON_UPLINK_UP || !con_left_has_room(&self->left))
        return; /* without room: it cuts the session when it likes; then we come back */
    leave_session(self, !cause.upgrade);
    stop_slots(self);
    ms = con_slot_retry(&self->slots[0], &cause);
    LOG_INFO("the gateway wants us to connect anew", KV_S("gateway", self->gateway.name),
             KV_S("why", tun_code_name(notice->code)), KV_N("retry_ms", ms));
}

/* ---- the gateway's next key ---------------------------------------------------------------- */

/* The key to come anew with, or NULL. */
static const struct tun_public_key *better_key(const struct con_uplink *self)
{
    size_t at = 0;

    while (at + 1 < self->slot_count && self->slots[at].state != CON_SLOT_JOINED)
        at++;
    return con_rotation_wants(&self->rotation, &self->gateway,
                              con_round_key(&self->slots[at].round));
}

/* The gateway has a better key, and our config has it, too: come anew with that one, soon. */
static void follow_rotation(struct con_uplink *self)
{
    double after_s = con_rotation_delay_ms() / 1000.0;

    if (self->state != CON_UPLINK_UP || ev_is_active(&self->timer) || better_key(self) == NULL)
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
    const struct tun_public_key *key = better_key(self);

    if (key == NULL || !con_left_has_room(&self->left))
        return;
    LOG_INFO("connecting anew with the gateway's other key", KV_S("gateway", self->gateway.name));
    self->rotation.followed = true;
    leave_session(self, true);
    stop_slots(self);
    for (size_t i = 0; i < self->slot_count; i++)
        con_round_prefer(&self->slots[i].round, key);
    con_slot_dial(&self->slots[0], 0);
}

/* ---- connections --------------------------------------------------------------------------- */

static const struct con_session_events session_events = {.on_accept = on_session_accept,
                                                         .on_lost = on_session_lost,
                                                         .on_next_key = on_session_next_key,
                                                         .on_goaway = on_session_goaway,
                                                         .on_end = on_session_end};

static int begin_session(struct con_uplink *self, const struct tun_gateway_info *offer)
{
    struct con_session_config cfg = {.context = self->context,
                                     .gateway = self->gateway.name,
                                     .id = ++self->session_id,
                                     .offered = offer,
                                     .events = session_events};

    cfg.events.arg = self;
    return con_session_new(&self->session, &cfg);
}

/* A session belongs to one boot of the gateway: another one needs a newer epoch. */
static uint64_t epoch_for(const struct con_uplink *self, const struct tun_gateway_info *offer)
{
    bool other = self->session != NULL && !con_session_is_with(self->session, offer);

    return self->epoch + (other ? 1 : 0);
}

static void on_slot_offer(void *arg, struct con_slot *slot, const struct tun_gateway_info *offer)
{
    slot->info.epoch = epoch_for(arg, offer);
}

/* Where the connection belongs: the session as it is, or a new one. Returns 0 or ERR_*. */
static int join(struct con_uplink *self, const struct con_slot *slot,
                const struct link_handshake_end *end)
{
    struct link_join link = {.fd = end->fd, .number = slot->number, .result = end->result};
    int rc = ERR_OK;

    if (self->session == NULL)
        rc = begin_session(self, &end->result->gateway);
    return rc == ERR_OK ? con_session_join(self->session, &link) : rc;
}

/* Nobody waits for this connection any more. */
static void drop(struct con_uplink *self, struct con_slot *slot, int fd)
{
    close(fd);
    if (self->state == CON_UPLINK_LEAVING)
        con_slot_stop(slot);
    else
        con_slot_dial(slot, 0);
}

static void on_slot_connected(void *arg, struct con_slot *slot,
                              const struct link_handshake_end *end)
{
    struct con_uplink *self = arg;
    const struct tun_gateway_info *offer = &end->result->gateway;
    bool fits = slot->info.epoch == epoch_for(self, offer); /* not overtaken since message 2 */
    bool newer = slot->info.epoch != self->epoch;
    int rc;

    if (!fits || (self->state == CON_UPLINK_LEAVING && (self->session == NULL || newer))) {
        drop(self, slot, end->fd);
        return;
    }
    if (newer) {
        LOG_WARN("another process answers for the gateway: the old session is given up",
                 KV_S("gateway", self->gateway.name),
                 KV_N("visitors", con_session_streams(self->session)));
        leave_session(self, true);
    }
    rc = join(self, slot, end);
    if (rc == ERR_OK) {
        con_slot_joined(slot);
        return;
    }
    close(end->fd);
    con_failure_dial(&slot->round.failure, con_round_address(&slot->round), rc);
    retry(self, slot);
}

static void on_slot_exhausted(void *arg, struct con_slot *slot)
{
    retry(arg, slot);
}

/* ---- leaving ------------------------------------------------------------------------------- */

/* Nothing is left to wait for? Say so from the loop, as the last thing. */
static void report_left(struct con_uplink *self)
{
    if (self->session != NULL || self->left.count > 0)
        return;
    ev_timer_stop(self->context->loop, &self->timer);
    ev_timer_set(&self->timer, 0.0, 0.0);
    ev_timer_start(self->context->loop, &self->timer);
}

static void cut_sessions(struct con_uplink *self)
{
    con_session_free(self->session);
    self->session = NULL;
    con_left_deinit(&self->left);
}

void con_uplink_leave(struct con_uplink *self)
{
    if (self->state == CON_UPLINK_LEAVING)
        return;
    enter(self, CON_UPLINK_LEAVING);
    ev_timer_set(&self->timer, LEAVE_LIMIT_S, 0.0);
    ev_timer_start(self->context->loop, &self->timer);
    if (self->session != NULL && !con_session_accepted(self->session)) {
        con_session_free(self->session); /* there is nobody to wait for */
        part(self, false);
    }
    if (self->session != NULL)
        con_session_drain(self->session); /* lost links of it are still dialled */
    else
        stop_slots(self);
    con_left_drain_all(&self->left);
    report_left(self);
}

void con_uplink_hurry(struct con_uplink *self)
{
    con_uplink_leave(self);
    if (self->session != NULL)
        con_session_close(self->session);
    con_left_hurry(&self->left);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct con_uplink *self = w->data;

    (void)loop;
    (void)revents;
    if (self->state == CON_UPLINK_UP) {
        come_anew(self);
        return;
    }
    stop_slots(self);
    cut_sessions(self); /* LEAVING: its limit, or there are none any more */
    self->on_left(self->arg);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void init_slots(struct con_uplink *self)
{
    struct con_slot_config cfg = {.context = self->context,
                                  .gateway = &self->gateway,
                                  .events = {.on_offer = on_slot_offer,
                                             .on_connected = on_slot_connected,
                                             .on_exhausted = on_slot_exhausted,
                                             .arg = self}};

    self->slot_count = self->context->config->links;
    for (size_t i = 0; i < self->slot_count; i++) {
        cfg.number = (uint8_t)i;
        con_slot_init(&self->slots[i], &cfg);
    }
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
    self->epoch = 1;
    ev_init(&self->timer, on_timer);
    self->timer.data = self;
    init_slots(self);
    con_slot_dial(&self->slots[0], 0);
    *out = self;
    return ERR_OK;
}

void con_uplink_free(struct con_uplink *self)
{
    if (self == NULL)
        return;
    stop_slots(self);
    cut_sessions(self);
    ev_timer_stop(self->context->loop, &self->timer);
    free(self);
}

/* Every link of the session proved a key that GATEWAY still has. */
static bool keeps_session(const struct con_uplink *self, const struct con_gateway *gateway)
{
    if (self->session == NULL || !con_session_accepted(self->session))
        return false;
    for (size_t i = 0; i < self->slot_count; i++)
        if (self->slots[i].state == CON_SLOT_JOINED &&
            !con_gateway_has_key(gateway, con_round_key(&self->slots[i].round)))
            return false;
    return true;
}

/* Each slot goes on with the key that answered it last, if that is still there. */
static void take_gateway(struct con_uplink *self, const struct con_gateway *gateway)
{
    struct tun_public_key keys[CON_LINKS_MAX];

    for (size_t i = 0; i < self->slot_count; i++) {
        if (self->slots[i].state != CON_SLOT_JOINED)
            con_slot_stop(&self->slots[i]);
        con_retry_reset(&self->slots[i].retry);
        keys[i] = *con_round_key(&self->slots[i].round);
    }
    self->gateway = *gateway;
    for (size_t i = 0; i < self->slot_count; i++)
        con_round_prefer(&self->slots[i].round, &keys[i]);
}

void con_uplink_update(struct con_uplink *self, const struct con_gateway *gateway)
{
    bool keeps = keeps_session(self, gateway);

    if (self->state == CON_UPLINK_LEAVING)
        return;
    if (self->session != NULL && !keeps)
        leave_session(self, true);
    take_gateway(self, gateway);
    self->rotation.followed = false;
    if (keeps) {
        dial_idle_slots(self);
        follow_rotation(self);
    } else {
        con_slot_dial(&self->slots[0], 0);
    }
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
    return con_left_streams(&self->left) +
           (self->session != NULL ? con_session_streams(self->session) : 0);
}
