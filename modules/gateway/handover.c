/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the words; see handover.h. */
#include "modules/gateway/handover.h"

#include <string.h>

#include "bus/base/cur.h"
#include "bus/base/err.h"
#include "bus/base/out.h"

static void read_addr(struct gw_handover *out, struct cur *c)
{
    uint8_t ip[16];
    uint16_t port;

    cur_copy(c, ip, sizeof(ip));
    port = cur_u16(c);
    addr_from_ip16(&out->addr, ip, port);
}

static void read_rest(struct gw_handover *out, struct cur *c)
{
    out->len = c->bad ? 0 : cur_left(c);
    out->bytes = cur_bytes(c, out->len);
}

static void read_usage(struct gw_handover *out, struct cur *c)
{
    out->usage.rx_bytes = cur_u64(c);
    out->usage.tx_bytes = cur_u64(c);
    out->usage.connections = cur_u64(c);
    read_rest(out, c);
    if (c->bad || out->len == 0 || out->len >= sizeof(out->id))
        c->bad = true;
    else
        memcpy(out->id, out->bytes, out->len);
}

int gw_handover_read(struct gw_handover *out, const void *data, size_t len)
{
    struct cur c = cur_init(data, len);

    *out = (struct gw_handover){.word = cur_u8(&c)};
    switch (out->word) {
    case GW_WORD_LISTENER:
        out->kind = (enum gw_door_kind)cur_u8(&c);
        read_addr(out, &c);
        break;
    case GW_WORD_TUNNEL:
        read_addr(out, &c);
        out->since_ms = cur_u64(&c);
        read_rest(out, &c);
        break;
    case GW_WORD_ONLINE:
        read_rest(out, &c);
        c.bad = c.bad || out->len % GW_KEY_LEN != 0;
        break;
    case GW_WORD_BEGIN:
        out->version = cur_u16(&c);
        break;
    case GW_WORD_USAGE:
        read_usage(out, &c);
        break;
    case GW_WORD_FAILED:
        read_rest(out, &c);
        break;
    default: /* the others carry nothing, and of unknown ones nothing is asked */
        break;
    }
    return c.bad ? ERR_PROTO : ERR_OK;
}

static size_t finish(const struct out *o)
{
    return o->bad ? 0 : out_len(o);
}

static struct out begin(uint8_t out[GW_HANDOVER_MAX], enum gw_word word)
{
    struct out o = out_init(out, GW_HANDOVER_MAX);

    out_u8(&o, (uint8_t)word);
    return o;
}

static void put_addr(struct out *o, const struct addr *addr)
{
    uint8_t ip[16];

    addr_ip16(ip, addr);
    out_bytes(o, ip, sizeof(ip));
    out_u16(o, addr_port(addr));
}

size_t gw_handover_word(uint8_t out[GW_HANDOVER_MAX], enum gw_word word)
{
    struct out o = begin(out, word);

    return finish(&o);
}

size_t gw_handover_listener(uint8_t out[GW_HANDOVER_MAX], enum gw_door_kind kind,
                            const struct addr *asked)
{
    struct out o = begin(out, GW_WORD_LISTENER);

    out_u8(&o, (uint8_t)kind);
    put_addr(&o, asked);
    return finish(&o);
}

size_t gw_handover_tunnel(uint8_t out[GW_HANDOVER_MAX], const struct gw_arrival *arrival)
{
    struct out o = begin(out, GW_WORD_TUNNEL);

    if (arrival->first_len > sizeof(arrival->first))
        return 0;
    put_addr(&o, &arrival->remote);
    out_u64(&o, arrival->since_ms);
    out_bytes(&o, arrival->first, arrival->first_len);
    return finish(&o);
}

size_t gw_handover_begin(uint8_t out[GW_HANDOVER_MAX])
{
    struct out o = begin(out, GW_WORD_BEGIN);

    out_u16(&o, GW_HANDOVER_VERSION);
    return finish(&o);
}

size_t gw_handover_online(uint8_t out[GW_HANDOVER_MAX], const uint8_t (*keys)[GW_KEY_LEN],
                          size_t count)
{
    struct out o = begin(out, GW_WORD_ONLINE);

    out_bytes(&o, keys, count * GW_KEY_LEN);
    return finish(&o);
}

size_t gw_handover_usage(uint8_t out[GW_HANDOVER_MAX], const char *id, const struct gw_usage *more)
{
    struct out o = begin(out, GW_WORD_USAGE);

    out_u64(&o, more->rx_bytes);
    out_u64(&o, more->tx_bytes);
    out_u64(&o, more->connections);
    out_text(&o, id);
    return finish(&o);
}

size_t gw_handover_failed(uint8_t out[GW_HANDOVER_MAX], const char *why)
{
    struct out o = begin(out, GW_WORD_FAILED);
    size_t len = strnlen(why, GW_HANDOVER_MAX / 2);

    out_bytes(&o, why, len);
    return finish(&o);
}
