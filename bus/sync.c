/* SPDX-License-Identifier: Apache-2.0 */
/* Runs its own loop until the answer is there; never to be used inside another loop. */
#include "bus/sync.h"

#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/reply.h"

#define TEXT_ARGS_MAX 64

struct bus_sync {
    struct ev_loop *loop;
    struct bus_link *link;
    ev_timer limit;
    bool late;     /* the time of this call is over */
    bool answered; /* rc and reply are those of this call */
    bool failed;   /* an attempt to connect failed during this call; rc says how */
    int rc;
    struct bus_value *reply; /* copy of the last one */
    char why[BUS_WHY_MAX];
};

static void on_down(void *arg, int rc, const char *why)
{
    struct bus_sync *self = arg;

    snprintf(self->why, sizeof(self->why), "%s", why);
    if (strncmp(why, "LOADING", 7) == 0)
        return; /* it comes soon: worth the rest of our time */
    self->failed = true;
    self->rc = rc;
}

static void on_late(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct bus_sync *self = w->data;

    (void)loop;
    (void)revents;
    self->late = true;
}

static void on_reply(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_sync *self = arg;

    self->answered = true;
    self->rc = rc;
    if (reply == NULL)
        return;
    self->reply = bus_value_copy(reply);
    if (self->reply == NULL)
        self->rc = ERR_NOMEM;
    else if (rc == ERR_REFUSED)
        snprintf(self->why, sizeof(self->why), "%s", reply->text);
}

/* A new call: nothing of the last one counts. */
static void begin(struct bus_sync *self, uint32_t timeout_ms)
{
    bus_value_free(self->reply);
    self->reply = NULL;
    self->late = self->answered = self->failed = false;
    self->rc = ERR_OK;
    ev_now_update(self->loop);
    ev_timer_stop(self->loop, &self->limit);
    ev_timer_set(&self->limit, timeout_ms / 1000.0, 0.0);
    ev_timer_start(self->loop, &self->limit);
}

static int timed_out(struct bus_sync *self, const char *why)
{
    if (self->why[0] == '\0')
        snprintf(self->why, sizeof(self->why), "%s", why);
    return ERR_TIMEOUT;
}

static int wait_up(struct bus_sync *self)
{
    while (!bus_link_is_up(self->link) && !self->late && !self->failed)
        ev_run(self->loop, EVRUN_ONCE);
    if (bus_link_is_up(self->link))
        return ERR_OK;
    return self->failed ? self->rc : timed_out(self, "no connection in time");
}

int bus_sync_open(struct bus_sync **out, const struct bus_url *url, uint32_t timeout_ms,
                  char why[BUS_WHY_MAX])
{
    struct bus_sync *self = calloc(1, sizeof(*self));
    struct bus_link_config cfg = {.url = url, .on_down = on_down, .arg = self};
    uint32_t wait_ms = timeout_ms > 0 ? timeout_ms : BUS_DEADLINE_MS;
    int rc = ERR_NOMEM;

    if (self == NULL)
        return ERR_NOMEM;
    snprintf(why, BUS_WHY_MAX, "out of memory");
    cfg.loop = self->loop = ev_loop_new(EVFLAG_AUTO);
    if (self->loop == NULL)
        goto close_self;
    ev_init(&self->limit, on_late);
    self->limit.data = self;
    rc = bus_link_new(&self->link, &cfg);
    if (rc != ERR_OK)
        goto close_self;
    begin(self, wait_ms);
    rc = wait_up(self);
    if (rc == ERR_OK) {
        *out = self;
        return ERR_OK;
    }
    snprintf(why, BUS_WHY_MAX, "%s", self->why);

close_self:
    bus_sync_close(self);
    return rc;
}

void bus_sync_close(struct bus_sync *self)
{
    if (self == NULL)
        return;
    bus_link_free(self->link);
    bus_value_free(self->reply);
    if (self->loop != NULL) {
        ev_timer_stop(self->loop, &self->limit);
        ev_loop_destroy(self->loop);
    }
    free(self);
}

int bus_sync_query(struct bus_sync *self, const struct bus_arg *args, size_t count,
                   uint32_t timeout_ms, const struct bus_value **reply)
{
    uint32_t wait_ms = timeout_ms > 0 ? timeout_ms : BUS_DEADLINE_MS;
    struct bus_query query = {
        .args = args, .count = count, .deadline_ms = wait_ms, .on_reply = on_reply, .arg = self};
    int rc;

    begin(self, wait_ms);
    self->why[0] = '\0';
    rc = wait_up(self);
    if (rc == ERR_OK)
        rc = bus_link_send(self->link, &query);
    if (rc != ERR_OK) {
        if (self->why[0] == '\0')
            snprintf(self->why, sizeof(self->why), "%s", err_text(rc));
        return rc;
    }
    /* The link's own deadline, or the loss of the link, ends this at the latest. */
    while (!self->answered)
        ev_run(self->loop, EVRUN_ONCE);
    if (self->rc != ERR_OK && self->why[0] == '\0')
        snprintf(self->why, sizeof(self->why), "%s", err_text(self->rc));
    if (reply != NULL)
        *reply = self->reply;
    return self->rc;
}

int bus_sync_text(struct bus_sync *self, const struct bus_value **reply, ...)
{
    struct bus_arg args[TEXT_ARGS_MAX];
    const char *text;
    size_t n = 0;
    va_list ap;

    va_start(ap, reply);
    while ((text = va_arg(ap, const char *)) != NULL && n < TEXT_ARGS_MAX)
        args[n++] = bus_text(text);
    va_end(ap);
    return text == NULL ? bus_sync_query(self, args, n, 0, reply) : ERR_LIMIT;
}

const char *bus_sync_why(const struct bus_sync *self)
{
    return self->why;
}
