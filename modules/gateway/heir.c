/* SPDX-License-Identifier: Apache-2.0 */
/* The new process; see heir.h. */
#include "modules/gateway/heir.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/daemon.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"
#include "modules/gateway/ancestors.h"
#include "modules/gateway/control.h"
#include "modules/gateway/doors.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/handover.h"
#include "modules/gateway/heritage.h"
#include "modules/net/channel.h"

#define FIRST_MS 10000 /* for everything up to BEGIN */
#define ONLINE_S 10.0  /* for connectors that were online to come back */

struct gw_heir {
    struct gw_heir_config cfg;
    int fd; /* of the channel, until there is one */
    struct net_channel *channel;
    struct gw_heritage *heritage;
    struct map *missing; /* keys that were online and are not here yet -> self */
    int lock_fd;
    bool began, ready, done;
    ev_timer patience;
};

/* ---- the first part, without a loop ---- */

int gw_heir_channel(void)
{
    int fd = daemon_env_fd(GW_HANDOVER_ENV);

    (void)unsetenv(GW_HANDOVER_ENV);
    return fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

static void take_online(struct gw_heir *self, const struct gw_handover *word)
{
    for (size_t i = 0; i + GW_KEY_LEN <= word->len; i += GW_KEY_LEN)
        (void)map_put(self->missing, word->bytes + i, GW_KEY_LEN, self,
                      NULL); /* else not waited for */
}

/* A word that needs FD; false when it is none of ours and FD is still the caller's. */
static bool take_fd(struct gw_heir *self, const struct gw_handover *word, int fd)
{
    if (word->word == GW_WORD_LISTENER)
        (void)gw_heritage_add(self->heritage, word->kind, &word->addr, fd);
    else if (word->word == GW_WORD_LOCK && self->lock_fd < 0)
        self->lock_fd = fd;
    else
        return false;
    return true;
}

static void take_first(struct gw_heir *self, const struct gw_handover *word, int fd)
{
    if (fd >= 0 && !take_fd(self, word, fd))
        close(fd);
    if (word->word == GW_WORD_ONLINE)
        take_online(self, word);
    else if (word->word == GW_WORD_BEGIN)
        self->began = true;
}

static int receive(struct gw_heir *self)
{
    uint8_t data[NET_CHANNEL_MESSAGE_MAX];
    uint64_t end = clock_mono_ms() + FIRST_MS;
    struct gw_handover word;
    int rc = ERR_OK, fd;
    size_t len;

    while (rc == ERR_OK && !self->began) {
        uint64_t now = clock_mono_ms();

        fd = -1;
        rc = net_channel_await(self->fd, data, &len, &fd, now < end ? (int)(end - now) : 0);
        if (rc == ERR_OK && gw_handover_read(&word, data, len) == ERR_OK)
            take_first(self, &word, fd);
        else if (rc == ERR_OK && fd >= 0)
            close(fd);
    }
    return rc;
}

int gw_heir_receive(struct gw_heir **out, int fd, char why[GW_HEIR_WHY_MAX])
{
    struct gw_heir *self = calloc(1, sizeof(*self));
    int rc = ERR_NOMEM;

    if (self == NULL) {
        close(fd);
        (void)snprintf(why, GW_HEIR_WHY_MAX, "out of memory");
        return rc;
    }
    self->fd = fd;
    self->lock_fd = -1;
    if (gw_heritage_new(&self->heritage) == ERR_OK && map_new(&self->missing) == ERR_OK)
        rc = receive(self);
    if (rc != ERR_OK) {
        (void)snprintf(why, GW_HEIR_WHY_MAX, "what the old process gives: %s", err_text(rc));
        gw_heir_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

struct gw_heritage *gw_heir_heritage(struct gw_heir *self)
{
    return self->heritage;
}

int gw_heir_lock(struct gw_heir *self)
{
    int fd = self->lock_fd;

    self->lock_fd = -1;
    return fd;
}

void gw_heir_fail(struct gw_heir *self, const char *why)
{
    uint8_t data[GW_HANDOVER_MAX];
    size_t len = gw_handover_failed(data, why);

    if (self->channel != NULL)
        (void)net_channel_send(self->channel, data, len, -1);
    else
        (void)send(self->fd, data, len, MSG_NOSIGNAL); /* if it cannot hear us it sees us end */
}

/* ---- connectors ---- */

static void say(struct gw_heir *self, enum gw_word word)
{
    uint8_t data[GW_HANDOVER_MAX];

    (void)net_channel_send(self->channel, data, gw_handover_word(data, word), -1);
}

static void say_ready(struct gw_heir *self)
{
    if (self->ready)
        return;
    self->ready = true;
    ev_timer_stop(self->cfg.loop, &self->patience);
    LOG_INFO("ready to take over", KV_N("missing", map_count(self->missing)));
    say(self, GW_WORD_READY);
}

static void on_patience(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    say_ready(w->data);
}

void gw_heir_session_up(struct gw_heir *self, const uint8_t key[GW_KEY_LEN])
{
    if (self->done || self->channel == NULL)
        return;
    (void)map_remove(self->missing, key, GW_KEY_LEN);
    if (map_count(self->missing) == 0)
        say_ready(self);
}

/* ---- taking over ---- */

/* The channel stays, as one to an ancestor. */
static int keep_channel(struct gw_heir *self)
{
    int fd = fcntl(net_channel_fd(self->channel), F_DUPFD_CLOEXEC, 0);

    net_channel_free(self->channel); /* what was said leaves */
    self->channel = NULL;
    return fd < 0 ? ERR_SYS : gw_ancestors_add(self->cfg.ancestors, fd);
}

static void close_rest(struct gw_heir *self)
{
    size_t left = gw_heritage_count(self->heritage);

    if (left > 0)
        LOG_INFO("listeners that are not wanted any more are closed", KV_N("count", left));
    gw_heritage_clear(self->heritage);
}

static void take_over(struct gw_heir *self)
{
    if (gw_control_follow(self->cfg.control) != ERR_OK) {
        gw_heir_fail(self, "cannot read the state file");
        self->cfg.on_lost(self->cfg.arg);
        return;
    }
    gw_doors_open(gw_worker_doors(gw_control_worker(self->cfg.control)));
    close_rest(self);
    self->done = true;
    self->cfg.on_taken(self->cfg.arg);
    say(self, GW_WORD_TAKEN);
    if (keep_channel(self) != ERR_OK)
        LOG_WARN("the old process drains without us");
    if (gw_control_speak(self->cfg.control) != ERR_OK)
        LOG_ERROR("out of memory: served without the bus");
}

/* A connector that came to the old process. */
static void take_tunnel(struct gw_heir *self, const struct gw_handover *word, int fd)
{
    struct gw_arrival arrival = {
        .fd = fd, .remote = word->addr, .since_ms = word->since_ms, .first_len = word->len};

    if (word->len > sizeof(arrival.first)) {
        close(fd);
        return;
    }
    memcpy(arrival.first, word->bytes, word->len);
    gw_worker_take_tunnel(gw_control_worker(self->cfg.control), &arrival);
}

static void on_message(void *arg, const uint8_t *data, size_t len, int fd)
{
    struct gw_heir *self = arg;
    struct gw_handover word;

    if (gw_handover_read(&word, data, len) != ERR_OK)
        word.word = 0;
    if (fd >= 0 && word.word == GW_WORD_TUNNEL)
        take_tunnel(self, &word, fd);
    else if (fd >= 0 && word.word == GW_WORD_ELDER)
        (void)gw_ancestors_add(self->cfg.ancestors, fd);
    else if (fd >= 0 && !take_fd(self, &word, fd))
        close(fd);
    else if (word.word == GW_WORD_TAKE && !self->done)
        take_over(self);
}

static void on_closed(void *arg)
{
    struct gw_heir *self = arg;

    self->cfg.on_lost(self->cfg.arg);
}

int gw_heir_begin(struct gw_heir *self, const struct gw_heir_config *cfg)
{
    struct net_channel_config channel = {
        .fd = self->fd, .on_message = on_message, .on_closed = on_closed, .arg = self};
    int rc = net_channel_new(&self->channel, cfg->loop, &channel);

    if (rc != ERR_OK)
        return rc;
    self->fd = -1;
    self->cfg = *cfg;
    ev_timer_init(&self->patience, on_patience, ONLINE_S, 0.0);
    self->patience.data = self;
    ev_now_update(cfg->loop);
    ev_timer_start(cfg->loop, &self->patience);
    say(self, GW_WORD_LISTENS);
    if (map_count(self->missing) == 0)
        say_ready(self);
    return ERR_OK;
}

bool gw_heir_is_done(const struct gw_heir *self)
{
    return self->done;
}

void gw_heir_free(struct gw_heir *self)
{
    if (self == NULL)
        return;
    if (self->cfg.loop != NULL)
        ev_timer_stop(self->cfg.loop, &self->patience);
    net_channel_free(self->channel);
    if (self->fd >= 0)
        close(self->fd);
    if (self->lock_fd >= 0)
        close(self->lock_fd);
    gw_heritage_free(self->heritage);
    map_free(self->missing);
    free(self);
}
