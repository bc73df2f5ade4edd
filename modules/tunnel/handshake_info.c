/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of messages 2 and 3: fixed fields one way, TLVs with zero padding the other. */
#include "modules/tunnel/handshake_info.h"

#include <string.h>

#include "bus/base/cur.h"
#include "bus/base/err.h"
#include "bus/base/out.h"

enum tlv {
    TLV_PADDING = 0,
    TLV_INSTANCE = 1,
    TLV_EPOCH = 2,
    TLV_LINK = 3,
    TLV_VERSION = 4,
    TLV_CAPABILITIES = 5,
    TLV_NAME = 6,
    TLV_MAX_RECORD = 7,
    TLV_TWIN = 8,
    TLV_KNOWN
};

/* Length of each type's value; 0 = text of any length. */
static const uint8_t tlv_len[TLV_KNOWN] = {
    [TLV_INSTANCE] = TUN_INSTANCE_LEN,
    [TLV_EPOCH] = 8,
    [TLV_LINK] = 1,
    [TLV_CAPABILITIES] = 8,
    [TLV_MAX_RECORD] = 4,
    [TLV_TWIN] = 8,
};

/* A side may say more than a record's length field can hold; it then means the most it can. */
static int bound_record(uint32_t *max_record)
{
    if (*max_record < TUN_RECORD_MIN)
        return ERR_PROTO;
    if (*max_record > TUN_RECORD_MAX)
        *max_record = TUN_RECORD_MAX;
    return ERR_OK;
}

void tun_gateway_info_encode(uint8_t out[TUN_OFFER_LEN], const struct tun_gateway_info *info)
{
    struct out o = out_init(out, TUN_OFFER_LEN);

    out_bytes(&o, info->boot_id, sizeof(info->boot_id));
    out_u64(&o, info->time_ms);
    out_u32(&o, info->max_record == 0 ? TUN_RECORD_MAX : info->max_record);
    out_u32(&o, info->max_streams);
}

int tun_gateway_info_decode(struct tun_gateway_info *out, const uint8_t in[TUN_OFFER_LEN])
{
    struct cur c = cur_init(in, TUN_OFFER_LEN);

    cur_copy(&c, out->boot_id, sizeof(out->boot_id));
    out->time_ms = cur_u64(&c);
    out->max_record = cur_u32(&c);
    out->max_streams = cur_u32(&c);
    return bound_record(&out->max_record);
}

bool tun_connector_info_ok(const struct tun_connector_info *info)
{
    return memchr(info->name, '\0', sizeof(info->name)) != NULL &&
           memchr(info->version, '\0', sizeof(info->version)) != NULL &&
           (info->max_record == 0 ||
            (info->max_record >= TUN_RECORD_MIN && info->max_record <= TUN_RECORD_MAX));
}

static void put_head(struct out *o, enum tlv type)
{
    out_u8(o, (uint8_t)type);
    out_u8(o, tlv_len[type]);
}

static void put_text(struct out *o, enum tlv type, const char *text)
{
    if (text[0] == '\0')
        return;
    out_u8(o, (uint8_t)type);
    out_u8(o, (uint8_t)strlen(text));
    out_text(o, text);
}

size_t tun_connector_info_encode(uint8_t out[TUN_INFO_MAX], const struct tun_connector_info *info)
{
    struct out o = out_init(out, TUN_INFO_MAX);

    put_head(&o, TLV_INSTANCE);
    out_bytes(&o, info->instance, sizeof(info->instance));
    put_head(&o, TLV_EPOCH);
    out_u64(&o, info->epoch);
    put_head(&o, TLV_LINK);
    out_u8(&o, info->link);
    put_text(&o, TLV_VERSION, info->version);
    put_head(&o, TLV_CAPABILITIES);
    out_u64(&o, info->capabilities);
    put_text(&o, TLV_NAME, info->name);
    put_head(&o, TLV_MAX_RECORD);
    out_u32(&o, info->max_record == 0 ? TUN_RECORD_MAX : info->max_record);
    put_head(&o, TLV_TWIN);
    out_u64(&o, info->twin);
    out_zero(&o, (TUN_INFO_PAD - out_len(&o) % TUN_INFO_PAD) % TUN_INFO_PAD);
    return out_len(&o);
}

static bool all_zero(const struct cur *c)
{
    for (const uint8_t *p = c->p; p < c->end; p++)
        if (*p != 0)
            return false;
    return true;
}

static int take_text(char *out, struct cur value)
{
    size_t len = cur_left(&value);

    if (len > 0 && memchr(value.p, '\0', len) != NULL)
        return ERR_PROTO;
    cur_copy(&value, out, len);
    out[len] = '\0';
    return ERR_OK;
}

static int take_tlv(struct tun_connector_info *out, uint8_t type, struct cur value)
{
    switch (type) {
    case TLV_INSTANCE:
        cur_copy(&value, out->instance, sizeof(out->instance));
        break;
    case TLV_EPOCH:
        out->epoch = cur_u64(&value);
        break;
    case TLV_LINK:
        out->link = cur_u8(&value);
        break;
    case TLV_CAPABILITIES:
        out->capabilities = cur_u64(&value);
        break;
    case TLV_TWIN:
        out->twin = cur_u64(&value);
        break;
    case TLV_MAX_RECORD:
        out->max_record = cur_u32(&value);
        return bound_record(&out->max_record);
    case TLV_VERSION:
        return take_text(out->version, value);
    case TLV_NAME:
        return take_text(out->name, value);
    }
    return ERR_OK;
}

int tun_connector_info_decode(struct tun_connector_info *out, const uint8_t *in, size_t len)
{
    struct cur c = cur_init(in, len);
    unsigned seen = 0;

    memset(out, 0, sizeof(*out));
    out->max_record = TUN_RECORD_MAX;
    while (cur_left(&c) > 0) {
        if (*c.p == TLV_PADDING)
            return all_zero(&c) ? ERR_OK : ERR_PROTO;

        uint8_t type = cur_u8(&c);
        uint8_t value_len = cur_u8(&c);
        struct cur value = cur_sub(&c, value_len);

        if (c.bad)
            return ERR_PROTO;
        if (type >= TLV_KNOWN)
            continue;
        if ((seen & 1u << type) != 0 || (tlv_len[type] != 0 && tlv_len[type] != value_len) ||
            take_tlv(out, type, value) != ERR_OK)
            return ERR_PROTO;
        seen |= 1u << type;
    }
    return ERR_OK;
}
