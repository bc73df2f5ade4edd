/* SPDX-License-Identifier: Apache-2.0 */
/* Wires: connections that carry records in pieces from one session to the other. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/tunnel/storm.h"

struct side *storm_end_of(const struct wire *wire, int role)
{
    return &wire->storm->sides[role];
}

void storm_wires_init(struct storm *self)
{
    for (int i = 0; i < STORM_WIRES; i++) {
        struct wire *wire = &self->wires[i];

        wire->storm = self;
        wire->laid = false;
        for (int role = 0; role < 2; role++) {
            struct buf *way = &wire->plugs[role].way;

            if (way->cap == 0)
                REQUIRE(buf_init(way, STORM_WAY) == ERR_OK);
            buf_consume(way, way->len);
            wire->plugs[role].link = NULL;
        }
    }
}

/* ---- bytes ---- */

static void pull(struct wire *wire, struct side *side)
{
    struct plug *plug = &wire->plugs[side->role];
    size_t before = plug->way.len;

    if (plug->link == NULL || side->frozen_ms != 0 || !tun_link_pending(plug->link) ||
        (wire->storm->calm_ms == 0 && storm_chance(wire->storm, 3)))
        return;
    REQUIRE(tun_link_pull(plug->link, &plug->way, wire->storm->now_ms) == ERR_OK);
    REQUIRE(plug->way.len > before || buf_room(&plug->way) < (64u << 10) + 64);
    wire->storm->moved += plug->way.len - before;
    if (wire->cut)
        plug->way.len = before;
}

/* Why a link may end while its session lives. */
static void check_link_end(const struct wire *wire, const struct side *side, int rc)
{
    bool told = wire->plugs[!side->role].link == NULL; /* in RESUME */

    TRACE(wire->storm, "%c link %u: %s", storm_letter(side), wire->number, err_text(rc));
    if (rc == ERR_TIMEOUT)
        REQUIRE(wire->cut || wire->damaged);
    else if (rc == ERR_REFUSED)
        REQUIRE(wire->rejected);
    else if (rc == ERR_AUTH)
        REQUIRE(wire->damaged);
    else
        REQUIRE(told);
}

/* Whether the link lives on; RC came from feed or tick. */
static bool survives(struct wire *wire, struct side *side, int rc)
{
    if (storm_side_is_over(side, rc)) {
        storm_side_over(side);
        return false;
    }
    if (rc == ERR_OK)
        return true;
    check_link_end(wire, side, rc);
    storm_wire_lost(wire, side);
    return false;
}

/* LEN bytes that are on their way arrive, as a copy, so that a sanitizer sees what is read beyond.
 */
static void deliver(struct wire *wire, struct side *to, size_t len)
{
    struct buf *way = &wire->plugs[!to->role].way;
    uint8_t *copy = malloc(len);
    int rc;

    memcpy(copy, buf_peek(way), len);
    buf_consume(way, len);
    wire->storm->moved += len;
    rc = tun_link_feed(wire->plugs[to->role].link, copy, len, wire->storm->now_ms);
    free(copy);
    (void)survives(wire, to, rc);
}

static void carry(struct wire *wire, struct side *to)
{
    struct storm *storm = wire->storm;
    struct buf *way = &wire->plugs[!to->role].way;
    bool all = storm->calm_ms != 0 || to->thawed > 0 || storm_chance(storm, 4);
    size_t len = all ? way->len : (size_t)storm_size(storm, way->len);

    if (wire->plugs[to->role].link != NULL && to->frozen_ms == 0 && len > 0)
        deliver(wire, to, len);
}

/* This end hears that the wire was cut; perhaps it reads first what had arrived. */
static void notice(struct wire *wire, struct side *side)
{
    struct plug *plug = &wire->plugs[side->role];
    size_t len = wire->plugs[!side->role].way.len;

    if (plug->link == NULL || side->frozen_ms != 0 || wire->storm->now_ms < plug->notice_ms)
        return;
    if (len > 0 && (wire->rejected || storm_chance(wire->storm, 2)))
        deliver(wire, side, len);
    if (plug->link != NULL)
        storm_wire_lost(wire, side);
    wire->storm->moved++;
}

/* A tick at its deadline must move the deadline. */
static void tick(struct wire *wire, struct side *side)
{
    struct tun_link *link = wire->plugs[side->role].link;
    uint64_t now_ms = wire->storm->now_ms;

    if (link == NULL || side->frozen_ms != 0 || tun_link_deadline(link) > now_ms)
        return;
    if (survives(wire, side, tun_link_tick(link, now_ms)))
        REQUIRE(tun_link_deadline(link) > now_ms);
}

void storm_wires_step(struct storm *self)
{
    for (int i = 0; i < STORM_WIRES; i++) {
        struct wire *wire = &self->wires[i];

        if (!wire->laid)
            continue;
        storm_wire_answer(wire);
        for (int role = 0; role < 2; role++) {
            pull(wire, storm_end_of(wire, role));
            carry(wire, storm_end_of(wire, !role));
        }
        for (int role = 0; role < 2; role++) {
            notice(wire, storm_end_of(wire, role));
            tick(wire, storm_end_of(wire, role));
        }
    }
}

void storm_wires_flush(struct side *side)
{
    for (int i = 0; i < STORM_WIRES; i++) {
        struct wire *wire = &side->storm->wires[i];
        struct plug *plug = &wire->plugs[side->role];

        if (plug->link != NULL && !wire->cut && storm_chance(side->storm, 2))
            (void)tun_link_pull(plug->link, &plug->way, side->storm->now_ms);
    }
}

/* ---- what is left to do ---- */

static bool is_still(const struct wire *wire)
{
    for (int role = 0; role < 2; role++) {
        const struct plug *plug = &wire->plugs[role];

        if (plug->way.len > 0 || (plug->link != NULL && tun_link_pending(plug->link)))
            return false;
    }
    return true;
}

bool storm_wires_quiet(const struct storm *self)
{
    for (int i = 0; i < STORM_WIRES; i++)
        if (self->wires[i].laid &&
            (self->wires[i].cut || self->wires[i].damaged || !is_still(&self->wires[i])))
            return false;
    return true;
}

bool storm_wires_idle(const struct storm *self)
{
    for (int i = 0; i < STORM_WIRES; i++)
        if (self->wires[i].laid && !self->wires[i].cut && !is_still(&self->wires[i]))
            return false;
    return true;
}

static uint64_t plug_next(const struct wire *wire, int role)
{
    const struct plug *plug = &wire->plugs[role];
    uint64_t at;

    if (plug->link == NULL)
        return STORM_NEVER;
    at = tun_link_deadline(plug->link);
    if (role == TUN_GATEWAY && !plug->accepted && wire->answer_ms < at)
        at = wire->answer_ms;
    return plug->notice_ms < at ? plug->notice_ms : at;
}

uint64_t storm_wires_next(const struct storm *self)
{
    uint64_t next = storm_wires_wanted(self) ? self->dial_ms : STORM_NEVER;

    for (int i = 0; i < STORM_WIRES; i++) {
        if (!self->wires[i].laid)
            continue;
        for (int role = 0; role < 2; role++) {
            uint64_t at = plug_next(&self->wires[i], role);

            next = at < next ? at : next;
        }
    }
    return next;
}
