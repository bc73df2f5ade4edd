/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of wires: cuts that each end notices at another time, damage, and what is lost. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/tunnel/storm.h"

/* Silence only where nothing hangs on the time that it takes to be noticed. */
static uint64_t when_noticed(struct storm *self)
{
    switch (storm_below(self, self->plan.patient ? 6 : 4)) {
    case 0:
        return self->now_ms;
    case 5:
        self->sums.silent++;
        return STORM_NEVER;
    case 4:
        return self->now_ms + storm_below(self, 3000);
    default:
        return self->now_ms + storm_below(self, 300);
    }
}

/* What is on its way is lost from a random byte on. */
static void lose(struct storm *self, struct buf *way)
{
    if (storm_chance(self, 3))
        return;
    way->len = storm_chance(self, 2) ? 0 : (size_t)storm_below(self, way->len);
}

static void cut(struct wire *wire)
{
    struct storm *storm = wire->storm;

    TRACE(storm, "cut %u", wire->number);
    wire->cut = true;
    for (int role = 0; role < 2; role++) {
        lose(storm, &wire->plugs[role].way);
        wire->plugs[role].notice_ms = when_noticed(storm);
    }
    storm->sums.cuts++;
}

void storm_wire_unplug(struct wire *wire, struct side *side)
{
    struct plug *plug = &wire->plugs[side->role], *other = &wire->plugs[!side->role];

    TRACE(wire->storm, "%c unplugs %u", storm_letter(side), wire->number);
    plug->link = NULL;
    if (plug->accepted)
        storm_side_count(side, -1);
    if (!wire->cut)
        other->notice_ms = when_noticed(wire->storm);
    wire->cut = true;
    wire->laid = other->link != NULL;
    buf_consume(&other->way, other->way.len);
}

void storm_wire_lost(struct wire *wire, struct side *side)
{
    struct tun_link *link = wire->plugs[side->role].link;

    storm_wire_unplug(wire, side);
    tun_link_lost(link, wire->storm->now_ms);
}

void storm_wires_cut_all(struct side *side)
{
    for (int i = 0; i < STORM_WIRES; i++)
        if (side->storm->wires[i].plugs[side->role].link != NULL)
            storm_wire_unplug(&side->storm->wires[i], side);
}

/* A bit turns over: only the link may suffer from it. */
static void damage(struct wire *wire)
{
    struct storm *storm = wire->storm;
    struct buf *way = &wire->plugs[storm_below(storm, 2)].way;

    if (way->len == 0)
        return;
    TRACE(storm, "damage %u", wire->number);
    buf_peek(way)[storm_below(storm, way->len)] ^= (uint8_t)(1u << storm_below(storm, 8));
    wire->damaged = true;
    storm->sums.cuts++;
}

/* A link without streams is not worth many cuts. */
static bool is_busy(const struct storm *self)
{
    struct tun_session_stats stats = {0};

    if (self->sides[TUN_GATEWAY].session != NULL)
        tun_session_stats(self->sides[TUN_GATEWAY].session, &stats);
    return stats.streams > 0;
}

/* While streams wait is the best moment. But a short window must not pass in a gentle seed. */
static bool wants_cut(struct storm *self)
{
    uint64_t trouble_ms = STORM_NEVER;

    if (self->calm_ms != 0 || self->cuts_left == 0 ||
        (self->plan.gentle && storm_check_crowded(self)))
        return false;
    for (int i = 0; i < 2; i++)
        if (self->sides[i].trouble_ms != 0 && self->sides[i].trouble_ms < trouble_ms)
            trouble_ms = self->sides[i].trouble_ms;
    if (trouble_ms == STORM_NEVER)
        return storm_chance(self, is_busy(self) ? 15 : 100);
    if (self->plan.gentle && !self->plan.patient && self->now_ms > trouble_ms + 2000)
        return false;
    return storm_chance(self, 10);
}

void storm_wires_cut_some(struct storm *self)
{
    bool all = storm_chance(self, 5);

    if (!wants_cut(self))
        return;
    self->cuts_left--;
    for (int i = 0; i < STORM_WIRES; i++) {
        struct wire *wire = &self->wires[((unsigned)i + self->now_ms) % STORM_WIRES];

        if (!wire->laid || wire->cut)
            continue;
        if (self->plan.patient && storm_chance(self, 6))
            damage(wire);
        else
            cut(wire);
        if (!all)
            return;
    }
}
