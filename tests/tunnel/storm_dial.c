/* SPDX-License-Identifier: Apache-2.0 */
/* New wires: the connector dials, the gateway takes them or does not. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/tunnel/storm.h"

static void random_key(struct storm *self, uint8_t key[TUN_CIPHER_KEY_LEN])
{
    for (int i = 0; i < TUN_CIPHER_KEY_LEN; i++)
        key[i] = (uint8_t)storm_draw(self);
}

/* As a handshake would give them. */
static void make_results(struct storm *self, unsigned number, struct tun_handshake_result result[2])
{
    struct tun_handshake_result *c = &result[TUN_CONNECTOR], *g = &result[TUN_GATEWAY];

    memset(result, 0, 2 * sizeof(*result));
    for (int role = 0; role < 2; role++) {
        result[role].role = (enum tun_role)role;
        result[role].suite = self->plan.aes != 0 ? TUN_SUITE_AES : TUN_SUITE_CHACHA;
        result[role].peer_max_record =
            TUN_RECORD_MIN + (uint32_t)storm_size(self, TUN_RECORD_MAX - TUN_RECORD_MIN);
    }
    g->connector.link = (uint8_t)number;
    random_key(self, c->send_key);
    random_key(self, c->recv_key);
    memcpy(g->recv_key, c->send_key, sizeof(g->recv_key));
    memcpy(g->send_key, c->recv_key, sizeof(g->send_key));
}

static unsigned count_plugged(const struct storm *self, int role)
{
    unsigned count = 0;

    for (int i = 0; i < STORM_WIRES; i++)
        count += self->wires[i].plugs[role].link != NULL;
    return count;
}

static struct wire *wire_with(struct storm *self, unsigned number, int role)
{
    for (int i = 0; i < STORM_WIRES; i++)
        if (self->wires[i].plugs[role].link != NULL && self->wires[i].number == number)
            return &self->wires[i];
    return NULL;
}

static struct wire *free_wire(struct storm *self)
{
    for (int i = 0; i < STORM_WIRES; i++)
        if (!self->wires[i].laid)
            return &self->wires[i];
    return NULL;
}

static int plug_in(struct wire *wire, int role, const struct tun_handshake_result *result)
{
    struct side *side = storm_end_of(wire, role);
    struct plug *plug = &wire->plugs[role];
    int rc = tun_link_new(&plug->link, side->session, result, wire, wire->storm->now_ms);

    plug->accepted = false;
    plug->notice_ms = STORM_NEVER;
    buf_consume(&plug->way, plug->way.len);
    if (rc != ERR_OK)
        TRACE(wire->storm, "%c takes no wire: %s", storm_letter(side), err_text(rc));
    REQUIRE(rc == ERR_OK || rc == ERR_LIMIT);
    return rc;
}

/* A link with the number of an older one takes its place at the gateway. */
static void lay(struct storm *self, struct wire *wire)
{
    struct tun_handshake_result result[2];
    struct wire *old;

    wire->number = 0;
    while (wire_with(self, wire->number, TUN_CONNECTOR) != NULL)
        wire->number++;
    TRACE(self, "lay %u", wire->number);
    wire->laid = true;
    wire->cut = wire->damaged = wire->rejected = false;
    wire->answer_ms = self->now_ms + (storm_chance(self, 2) ? 0 : storm_below(self, 500));
    make_results(self, wire->number, result);
    old = wire_with(self, wire->number, TUN_GATEWAY);
    if (old != NULL)
        storm_wire_lost(old, storm_end_of(old, TUN_GATEWAY));
    if (plug_in(wire, TUN_CONNECTOR, &result[TUN_CONNECTOR]) != ERR_OK) {
        wire->laid = false;
        return;
    }
    if (plug_in(wire, TUN_GATEWAY, &result[TUN_GATEWAY]) != ERR_OK) {
        wire->cut = true;
        wire->plugs[TUN_CONNECTOR].notice_ms = self->now_ms;
    }
    self->moved++;
}

static uint64_t next_dial(struct storm *self)
{
    if (self->calm_ms != 0)
        return self->now_ms + 50;
    if (!self->plan.gentle && storm_chance(self, 10))
        return self->now_ms + storm_below(self, 15000);
    return self->now_ms + storm_below(self, 300);
}

bool storm_wires_wanted(const struct storm *self)
{
    for (int i = 0; i < 2; i++)
        if (self->sides[i].session == NULL || self->sides[i].frozen_ms != 0)
            return false;
    return count_plugged(self, TUN_CONNECTOR) < self->plan.links;
}

void storm_wires_dial(struct storm *self)
{
    struct wire *wire = free_wire(self);

    if (wire == NULL || !storm_wires_wanted(self) || self->now_ms < self->dial_ms)
        return;
    lay(self, wire);
    self->dial_ms = next_dial(self);
}

void storm_wire_answer(struct wire *wire)
{
    struct storm *storm = wire->storm;
    struct side *gateway = storm_end_of(wire, TUN_GATEWAY);
    struct plug *plug = &wire->plugs[TUN_GATEWAY];

    if (plug->link == NULL || plug->accepted || storm->now_ms < wire->answer_ms ||
        gateway->frozen_ms != 0)
        return;
    storm->moved++;
    if (storm_chance(storm, 16)) {
        wire->rejected = true;
        tun_link_reject(plug->link, &(struct tun_notice){.code = TUN_CODE_BUSY});
        REQUIRE(tun_link_pull(plug->link, &plug->way, storm->now_ms) == ERR_OK);
        storm_wire_lost(wire, gateway);
        return;
    }
    REQUIRE(tun_link_accept(plug->link, &(struct tun_accept){.session = {7}}) == ERR_OK);
    plug->accepted = true;
    storm_side_count(gateway, 1);
}
