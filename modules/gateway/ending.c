/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors first, then sessions; see ending.h. */
#include "modules/gateway/ending.h"

#include "bus/base/clock.h"
#include "modules/gateway/conn.h"
#include "modules/gateway/doors.h"
#include "modules/gateway/pick.h"
#include "modules/gateway/registry.h"
#include "modules/link/hub.h"

#define CLOSE_LIMIT_MS 1000u /* for the connectors to take the CLOSE */
#define CLOSE_LOOK_S 0.01    /* whether they have */
#define NOBODY_S 0.05        /* nobody is here: the GOAWAY leaves before the CLOSE */
#define CROWD_LOOK_S 0.05    /* whether the visitors of all workers are gone */
#define STOP_WHY "the gateway stops"

static void start_timer(struct gw_ending *self, ev_timer *timer, double seconds)
{
    ev_timer_stop(self->loop, timer);
    ev_timer_set(timer, seconds, 0.0);
    ev_timer_start(self->loop, timer);
}

static void done(struct gw_ending *self)
{
    void (*on_done)(void *arg) = self->on_done;
    void *arg = self->arg;

    ev_timer_stop(self->loop, &self->limit);
    self->on_done = NULL;
    if (on_done != NULL)
        on_done(arg);
}

/* The sessions end in order; whoever still is on one is cut. */
static void close_sessions(struct gw_ending *self)
{
    self->close_until_ms = clock_mono_ms() + CLOSE_LIMIT_MS;
    gw_registry_close(self->registry, TUN_CODE_SHUTDOWN, STOP_WHY);
}

/* Whoever is with another worker may yet ask for something that this one serves. */
static bool is_alone(const struct gw_ending *self)
{
    const struct gw_front *front = self->front;

    return front->crowd != NULL ? atomic_load(front->crowd) == 0 : front->count == 0;
}

/* Until the limit, or until it is worth to look again. */
static void aim_limit(struct gw_ending *self)
{
    uint64_t now = clock_mono_ms();
    double left_s = self->until_ms > now ? (double)(self->until_ms - now) / 1000.0 : 0.0;

    if (self->front->crowd != NULL && left_s > CROWD_LOOK_S)
        left_s = CROWD_LOOK_S;
    start_timer(self, &self->limit, left_s);
}

static bool must_wait(const struct gw_ending *self)
{
    return self->front->crowd != NULL && !is_alone(self) && clock_mono_ms() < self->until_ms;
}

/* From the loop, never from a visitor's end: the callee may free everything. */
static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_ending *self = w->data;

    (void)loop;
    (void)revents;
    if (self->close_until_ms == 0 && must_wait(self)) {
        aim_limit(self);
        return;
    }
    if (self->close_until_ms == 0)
        close_sessions(self);
    if (link_hub_is_idle(self->hub) || clock_mono_ms() >= self->close_until_ms)
        done(self); /* self may be gone */
    else
        start_timer(self, w, CLOSE_LOOK_S);
}

static void on_last_words(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_ending *self = w->data;

    (void)loop;
    (void)revents;
    gw_registry_goaway(self->registry, TUN_CODE_SHUTDOWN, STOP_WHY);
}

void gw_ending_init(struct gw_ending *self)
{
    ev_init(&self->limit, on_limit);
    ev_init(&self->last_words, on_last_words);
    self->limit.data = self->last_words.data = self;
}

void gw_ending_deinit(struct gw_ending *self)
{
    ev_timer_stop(self->loop, &self->limit);
    ev_timer_stop(self->loop, &self->last_words);
    self->on_done = NULL;
}

/* Begin, or change the limit of what has begun. The connectors are told to leave after GOAWAY_MS:
 * until then those who are here can still get streams. */
static void begin(struct gw_ending *self, uint64_t limit_ms, uint64_t goaway_ms)
{
    self->begun = true;
    gw_doors_close(self->doors);
    gw_conn_drain(self->front, !self->retired || goaway_ms == 0);
    if (self->close_until_ms != 0)
        return; /* the visitors are gone already */
    ev_now_update(self->loop);
    if (goaway_ms == 0)
        gw_registry_goaway(self->registry, TUN_CODE_SHUTDOWN, STOP_WHY);
    else
        start_timer(self, &self->last_words, (double)goaway_ms / 1000.0);
    self->until_ms = clock_mono_ms() + limit_ms;
    if (is_alone(self))
        start_timer(self, &self->limit, NOBODY_S);
    else
        aim_limit(self);
}

void gw_ending_drain(struct gw_ending *self, void (*on_done)(void *arg), void *arg)
{
    self->on_done = on_done;
    self->arg = arg;
    begin(self, self->limits->drain_timeout_ms, 0);
}

void gw_ending_left(struct gw_ending *self)
{
    if (self->begun && self->close_until_ms == 0 && self->on_done != NULL && is_alone(self))
        start_timer(self, &self->limit, 0.0);
}

void gw_ending_move(struct gw_ending *self, const struct gw_move *move)
{
    self->move = *move;
    gw_doors_leave_tunnel(self->doors, true);
    gw_registry_move(self->registry, move->spread_ms);
}

void gw_ending_stay(struct gw_ending *self)
{
    self->move = (struct gw_move){0};
    gw_registry_stay(self->registry);
    gw_doors_leave_tunnel(self->doors, false);
}

void gw_ending_retire(struct gw_ending *self, void (*on_done)(void *arg), void *arg)
{
    const struct gw_limits *l = self->limits;
    /* by then whoever is here has its stream: sessions that carry none may end */
    uint64_t patience_ms =
        l->first_bytes_timeout_ms + l->tunnel_wait_ms + GW_TRIES_MAX * l->open_timeout_ms;

    self->on_done = on_done;
    self->arg = arg;
    self->retired = true;
    begin(self, l->upgrade_drain_timeout_ms, patience_ms);
}
