/* SPDX-License-Identifier: Apache-2.0 */
/* The bucket holds a second's worth and gives it out in hundredths; see pace.h. */
#include "modules/net/pace.h"

#include "bus/base/clock.h"

#define LEAST_MAX (64 << 10) /* no need to gather more than one read takes */
#define WAIT_MAX_MS 10000u

/* So few bytes are not worth a wakeup. */
static int64_t least(const struct net_pace *self)
{
    int64_t part = (int64_t)(self->rate / 100);

    return part < 1 ? 1 : part > LEAST_MAX ? LEAST_MAX : part;
}

static void refill(struct net_pace *self, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms - self->at_ms, more;

    if (self->at_ms == 0) {
        self->left = (int64_t)self->rate;
        self->at_ms = now_ms;
        return;
    }
    /* A second fills it, whatever was owed more than that stays owed. */
    more = (elapsed_ms < 1000 ? elapsed_ms : 1000) * self->rate / 1000;
    if (more == 0)
        return; /* slow rates: the time is not lost, it adds up */
    self->left += (int64_t)more;
    self->at_ms = now_ms;
    if (self->left > (int64_t)self->rate)
        self->left = (int64_t)self->rate;
}

size_t net_pace_room(struct net_pace *self, size_t want, uint64_t now_ms)
{
    if (self == NULL || self->rate == 0)
        return want;
    refill(self, now_ms);
    if (self->left < least(self))
        return 0;
    return want < (size_t)least(self) ? want : (size_t)least(self);
}

void net_pace_pay(struct net_pace *self, size_t n)
{
    if (self != NULL && self->rate != 0)
        self->left -= (int64_t)n;
}

uint32_t net_pace_wait_ms(struct net_pace *self, uint64_t now_ms)
{
    int64_t portion, missing;
    uint64_t at;

    if (self->rate == 0)
        return 1;
    portion = least(self);
    missing = portion > self->left ? portion - self->left : 0;
    at = now_ms + (uint64_t)missing * 1000 / self->rate + 1;
    if (self->turn_ms >= at)
        at = self->turn_ms + (uint64_t)portion * 1000 / self->rate;
    if (at > now_ms + WAIT_MAX_MS)
        return WAIT_MAX_MS;
    self->turn_ms = at;
    return (uint32_t)(at - now_ms);
}

size_t net_pace_draw(struct net_pace *self, size_t want, struct ev_loop *loop, ev_timer *wait)
{
    uint64_t now;
    size_t n;

    if (self == NULL || self->rate == 0)
        return want;
    now = clock_mono_ms();
    n = net_pace_room(self, want, now);
    if (n == 0 && !ev_is_active(wait)) {
        ev_now_update(loop); /* else the timer is early by as much as this turn took */
        ev_timer_set(wait, net_pace_wait_ms(self, now) / 1000.0, 0.0);
        ev_timer_start(loop, wait);
    }
    return n;
}
