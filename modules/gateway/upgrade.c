/* SPDX-License-Identifier: Apache-2.0 */
/* The old process: one state per step, one way back from each but the last; see upgrade.h. */
#include "modules/gateway/upgrade.h"

#include <assert.h>
#include <ev.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/ancestors.h"
#include "modules/gateway/control.h"
#include "modules/gateway/doors.h"
#include "modules/gateway/elder.h"
#include "modules/gateway/ending.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/handover.h"
#include "modules/gateway/spawn.h"
#include "modules/net/channel.h"

#define SPREAD_MAX_MS 1000 /* all connectors move within this time; fewer move faster */
#define HUSH_MS 1000       /* for the last words on the bus */
#define HUSH_LOOK_S 0.01
#define TAKE_MS 10000 /* for the successor to take the rest */
#define GONE_MS 1000u /* a closed channel: the exit status says more */
#define WHY_MAX (GW_SPAWN_WHY_MAX + 64)

struct gw_upgrade {
    struct gw_upgrade_config cfg;
    enum gw_upgrade_state state;
    ev_timer limit; /* of the state */
    ev_timer look;  /* HUSH: whether everything is said */
    struct net_channel *channel;
    struct gw_spawn *spawn;
    struct gw_elder *elder; /* from HUSH on */
    pid_t pid;
};

#define TO(s) (1u << (s))

/* Which states may follow which; anything else is a bug in this file. */
static const uint8_t next_ok[] = {
    [GW_UPGRADE_IDLE] = TO(GW_UPGRADE_START),
    [GW_UPGRADE_START] = TO(GW_UPGRADE_MOVE) | TO(GW_UPGRADE_IDLE),
    [GW_UPGRADE_MOVE] = TO(GW_UPGRADE_HUSH) | TO(GW_UPGRADE_IDLE),
    [GW_UPGRADE_HUSH] = TO(GW_UPGRADE_TAKE) | TO(GW_UPGRADE_IDLE),
    [GW_UPGRADE_TAKE] = TO(GW_UPGRADE_DONE) | TO(GW_UPGRADE_IDLE),
    [GW_UPGRADE_DONE] = 0,
};

static void aim(struct gw_upgrade *self, uint64_t limit_ms)
{
    ev_timer_stop(self->cfg.loop, &self->limit);
    if (limit_ms == 0)
        return;
    ev_now_update(self->cfg.loop);
    ev_timer_set(&self->limit, (double)limit_ms / 1000.0, 0.0);
    ev_timer_start(self->cfg.loop, &self->limit);
}

/* The only place where `state` changes. LIMIT_MS 0: the limit of the state before goes on, or there
 * is none. */
static void enter(struct gw_upgrade *self, enum gw_upgrade_state to, uint64_t limit_ms)
{
    assert(next_ok[self->state] & TO(to));
    self->state = to;
    ev_timer_stop(self->cfg.loop, &self->look);
    if (limit_ms > 0 || to == GW_UPGRADE_IDLE || to == GW_UPGRADE_DONE)
        aim(self, limit_ms);
}

/* ---- the way back ---- */

/* Undo what STATE and those before it did. */
static void undo(struct gw_upgrade *self, enum gw_upgrade_state state)
{
    if (state == GW_UPGRADE_TAKE)
        self->cfg.on_kept(self->cfg.arg);
    if (state >= GW_UPGRADE_HUSH && gw_control_speak(self->cfg.control) != ERR_OK)
        LOG_ERROR("out of memory: served without the bus from now on");
    if (state >= GW_UPGRADE_MOVE)
        gw_worker_stay(gw_control_worker(self->cfg.control));
}

static void fail(struct gw_upgrade *self, const char *why)
{
    enum gw_upgrade_state state = self->state;
    char text[WHY_MAX];

    (void)snprintf(text, sizeof(text), "%s", why);
    gw_spawn_kill(self->spawn);
    self->spawn = NULL;
    net_channel_free(self->channel);
    self->channel = NULL;
    gw_elder_free(self->elder); /* has not begun: says nothing */
    self->elder = NULL;
    enter(self, GW_UPGRADE_IDLE, 0);
    undo(self, state);
    LOG_ERROR("no new process; this one serves on", KV_S("program", self->cfg.path),
              KV_S("why", text));
    gw_control_replace_failed(self->cfg.control, text);
}

/* ---- what the new process gets ---- */

/* A word that is lost ends the upgrade by its time limit: the channel is closed by then. */
static void send_fd(struct gw_upgrade *self, const uint8_t *data, size_t len, int fd)
{
    int rc = net_channel_send(self->channel, data, len, fd);

    if (rc != ERR_OK)
        LOG_WARN("cannot tell the new process", KV_N("word", data[0]), KV_S("err", err_text(rc)));
}

static void send_word(struct gw_upgrade *self, enum gw_word word, int fd)
{
    uint8_t data[GW_HANDOVER_MAX];

    send_fd(self, data, gw_handover_word(data, word), fd);
}

static void send_listener(void *arg, enum gw_door_kind kind, const struct addr *asked, int fd)
{
    uint8_t data[GW_HANDOVER_MAX];

    send_fd(arg, data, gw_handover_listener(data, kind, asked), fd);
}

static void send_ancestor(void *arg, int fd)
{
    send_word(arg, GW_WORD_ELDER, fd);
}

/* Keys of live sessions, gathered into words. */
struct online {
    struct gw_upgrade *upgrade;
    uint8_t keys[GW_HANDOVER_KEYS][GW_KEY_LEN];
    size_t count;
};

static void send_online(struct online *online)
{
    uint8_t data[GW_HANDOVER_MAX];

    if (online->count > 0)
        send_fd(online->upgrade, data,
                gw_handover_online(data, (const uint8_t(*)[GW_KEY_LEN])online->keys, online->count),
                -1);
    online->count = 0;
}

static void add_online(void *arg, const struct gw_session_info *info)
{
    struct online *online = arg;

    memcpy(online->keys[online->count++], info->key, GW_KEY_LEN);
    if (online->count == GW_HANDOVER_KEYS)
        send_online(online);
}

static void send_first(struct gw_upgrade *self)
{
    struct gw_worker *worker = gw_control_worker(self->cfg.control);
    struct online online = {.upgrade = self};
    uint8_t data[GW_HANDOVER_MAX];

    send_word(self, GW_WORD_LOCK, *self->cfg.lock_fd);
    gw_doors_show(gw_worker_doors(worker), true, send_listener, self);
    gw_worker_each_session(worker, add_online, &online);
    send_online(&online);
    send_fd(self, data, gw_handover_begin(data), -1);
}

/* ---- MOVE, HUSH, TAKE ---- */

/* A connector on the TLS port, which is still ours: it belongs to the new process all the same. */
static void on_tunnel(void *arg, const struct gw_arrival *arrival)
{
    struct gw_upgrade *self = arg;
    uint8_t data[GW_HANDOVER_MAX];
    size_t n = gw_handover_tunnel(data, arrival);

    if (n > 0)
        send_fd(self, data, n, arrival->fd);
    close(arrival->fd);
}

static void move(struct gw_upgrade *self)
{
    struct gw_worker *worker = gw_control_worker(self->cfg.control);
    size_t sessions = gw_worker_count_sessions(worker);
    struct gw_move how = {
        .spread_ms = sessions < SPREAD_MAX_MS ? (uint32_t)sessions : SPREAD_MAX_MS,
        .on_tunnel = on_tunnel,
        .arg = self,
    };

    enter(self, GW_UPGRADE_MOVE, 0);
    LOG_INFO("the new process runs; connectors move", KV_N("pid", self->pid),
             KV_N("sessions", sessions));
    gw_worker_move(worker, &how);
}

static void take(struct gw_upgrade *self)
{
    enter(self, GW_UPGRADE_TAKE, TAKE_MS);
    if (gw_control_mute(self->cfg.control) != ERR_OK) {
        fail(self, "the state file cannot be written");
        return;
    }
    gw_doors_show(gw_worker_doors(gw_control_worker(self->cfg.control)), false, send_listener,
                  self);
    gw_ancestors_show(self->cfg.ancestors, send_ancestor, self);
    send_word(self, GW_WORD_TAKE, -1);
}

static void hush(struct gw_upgrade *self)
{
    struct gw_elder_config elder = {
        .loop = self->cfg.loop,
        .control = self->cfg.control,
        .counted = self->cfg.has_agent,
        .on_stop = self->cfg.on_stop,
        .arg = self->cfg.arg,
    };

    enter(self, GW_UPGRADE_HUSH, HUSH_MS);
    gw_control_hush(self->cfg.control);
    if (gw_elder_new(&self->elder, &elder) != ERR_OK) {
        fail(self, "out of memory");
        return;
    }
    ev_timer_again(self->cfg.loop, &self->look);
}

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_upgrade *self = w->data;

    (void)loop;
    (void)revents;
    if (gw_control_is_silent(self->cfg.control))
        take(self);
}

static void done(struct gw_upgrade *self)
{
    enter(self, GW_UPGRADE_DONE, 0);
    LOG_INFO("the new process serves; visitors who are here finish", KV_N("pid", self->pid),
             KV_N("limit_ms", self->cfg.limits->upgrade_drain_timeout_ms));
    gw_elder_begin(self->elder, self->channel);
    self->cfg.on_replaced(self->cfg.arg, self->pid);
}

/* ---- what the new process says ---- */

static void hear_failed(struct gw_upgrade *self, const struct gw_handover *word)
{
    char why[WHY_MAX];
    int len = word->len < GW_SPAWN_WHY_MAX ? (int)word->len : GW_SPAWN_WHY_MAX;

    (void)snprintf(why, sizeof(why), "the new process: %.*s", len, (const char *)word->bytes);
    fail(self, why);
}

/* A word out of its time says nothing. */
static void hear(struct gw_upgrade *self, const struct gw_handover *word)
{
    if (self->state == GW_UPGRADE_DONE)
        gw_elder_hear(self->elder, word);
    else if (word->word == GW_WORD_FAILED)
        hear_failed(self, word);
    else if (word->word == GW_WORD_LISTENS && self->state == GW_UPGRADE_START)
        move(self);
    else if (word->word == GW_WORD_READY && self->state == GW_UPGRADE_MOVE)
        hush(self);
    else if (word->word == GW_WORD_TAKEN && self->state == GW_UPGRADE_TAKE)
        done(self);
}

static void on_message(void *arg, const uint8_t *data, size_t len, int fd)
{
    struct gw_handover word;

    if (fd >= 0)
        close(fd);
    if (gw_handover_read(&word, data, len) == ERR_OK)
        hear(arg, &word);
}

static void on_closed(void *arg)
{
    struct gw_upgrade *self = arg;

    if (self->state == GW_UPGRADE_DONE) { /* it ended, or is being replaced in its turn */
        gw_elder_begin(self->elder, NULL);
        net_channel_free(self->channel);
        self->channel = NULL;
        return;
    }
    ev_timer_stop(self->cfg.loop, &self->look);
    aim(self, GONE_MS);
}

static void on_exit_child(void *arg, const char *why)
{
    struct gw_upgrade *self = arg;
    char text[WHY_MAX];

    self->spawn = NULL;
    if (self->state == GW_UPGRADE_DONE)
        return;
    (void)snprintf(text, sizeof(text), "the new process is gone: %s", why);
    fail(self, text);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_upgrade *self = w->data;
    char text[WHY_MAX];

    (void)loop;
    (void)revents;
    if (self->state == GW_UPGRADE_HUSH) { /* the bus does not answer: it will hear the new one */
        take(self);
        return;
    }
    (void)snprintf(text, sizeof(text), "the new process %s in time",
                   self->state == GW_UPGRADE_START  ? "did not begin"
                   : self->state == GW_UPGRADE_MOVE ? "was not ready"
                                                    : "did not take over");
    fail(self, text);
}

/* ---- life ---- */

static int start_child(struct gw_upgrade *self, int fds[2], char why[GW_SPAWN_WHY_MAX])
{
    struct net_channel_config channel = {
        .fd = fds[0], .on_message = on_message, .on_closed = on_closed, .arg = self};
    struct gw_spawn_config spawn = {
        .loop = self->cfg.loop,
        .path = self->cfg.path,
        .argv = self->cfg.argv,
        .fd = fds[1],
        .env = GW_HANDOVER_ENV,
        .on_exit = on_exit_child,
        .arg = self,
    };
    int rc = net_channel_new(&self->channel, self->cfg.loop, &channel);

    if (rc != ERR_OK) {
        close(fds[0]);
        (void)snprintf(why, GW_SPAWN_WHY_MAX, "channel: %s", err_text(rc));
        return rc;
    }
    rc = gw_spawn_start(&self->spawn, &spawn, why);
    if (rc == ERR_OK)
        self->pid = gw_spawn_pid(self->spawn);
    return rc;
}

void gw_upgrade_start(struct gw_upgrade *self)
{
    char why[GW_SPAWN_WHY_MAX] = "";
    int fds[2], rc;

    if (self->state != GW_UPGRADE_IDLE) {
        LOG_WARN("a new process is on its way already", KV_N("pid", self->pid));
        return;
    }
    enter(self, GW_UPGRADE_START, self->cfg.limits->upgrade_ready_timeout_ms);
    LOG_INFO("starting a new process", KV_S("program", self->cfg.path));
    if (gw_control_save(self->cfg.control) != ERR_OK) {
        fail(self, "the state file cannot be written");
        return;
    }
    if (net_channel_pair(fds) != ERR_OK) {
        fail(self, "no descriptors for a channel");
        return;
    }
    rc = start_child(self, fds, why);
    close(fds[1]);
    if (rc == ERR_OK)
        send_first(self);
    else
        fail(self, why);
}

void gw_upgrade_cancel(struct gw_upgrade *self, const char *why)
{
    if (self->state != GW_UPGRADE_IDLE && self->state != GW_UPGRADE_DONE)
        fail(self, why);
}

enum gw_upgrade_state gw_upgrade_state(const struct gw_upgrade *self)
{
    return self->state;
}

int gw_upgrade_new(struct gw_upgrade **out, const struct gw_upgrade_config *cfg)
{
    struct gw_upgrade *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    ev_init(&self->limit, on_limit);
    ev_init(&self->look, on_look);
    self->look.repeat = HUSH_LOOK_S;
    self->limit.data = self->look.data = self;
    *out = self;
    return ERR_OK;
}

void gw_upgrade_free(struct gw_upgrade *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->limit);
    ev_timer_stop(self->cfg.loop, &self->look);
    gw_elder_free(self->elder);
    net_channel_free(self->channel);
    if (self->state == GW_UPGRADE_DONE)
        gw_spawn_free(self->spawn);
    else
        gw_spawn_kill(self->spawn);
    free(self);
}
