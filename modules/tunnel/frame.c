/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of every frame. What may stand in a header is the table at the top; payloads follow. */
#include "modules/tunnel/frame.h"

#include <string.h>

#include "bus/base/err.h"

#define RETRY_MAX_MS 600000u /* nobody may be told to stay away for longer */
#define PING_MIN_MS 1000u
#define PING_MAX_MS 600000u

enum scope { SCOPE_SESSION = 1, SCOPE_STREAM = 2, SCOPE_BOTH = 3 };

struct rule {
    uint8_t scope; /* 0 = no such type */
    uint8_t flags; /* bits that may be set */
    uint16_t min;  /* payload */
    uint16_t max;
};

/* clang-format off */
static const struct rule rules[TUN_FRAME_SKIPPABLE] = {
    [TUN_FRAME_ACCEPT]    = {SCOPE_SESSION, 0, 33, 65},
    [TUN_FRAME_REJECT]    = {SCOPE_SESSION, 0, 7, 7 + TUN_WHY_MAX},
    [TUN_FRAME_EXPOSURES] = {SCOPE_SESSION, TUN_FLAG_MORE, 0, TUN_FRAME_CONTROL_MAX},
    [TUN_FRAME_OPEN]      = {SCOPE_STREAM, 0, 47, TUN_FRAME_CONTROL_MAX},
    [TUN_FRAME_OPEN_OK]   = {SCOPE_STREAM, 0, 0, 0},
    [TUN_FRAME_OPEN_ERR]  = {SCOPE_STREAM, 0, 7, 7 + TUN_WHY_MAX},
    [TUN_FRAME_DATA]      = {SCOPE_STREAM, 0, 0, UINT16_MAX},
    [TUN_FRAME_FIN]       = {SCOPE_STREAM, 0, 8, 8},
    [TUN_FRAME_RST]       = {SCOPE_STREAM, 0, 10, 10},
    [TUN_FRAME_WINDOW]    = {SCOPE_BOTH, TUN_FLAG_END, 16, 16},
    [TUN_FRAME_PING]      = {SCOPE_SESSION, 0, 8, 8},
    [TUN_FRAME_PONG]      = {SCOPE_SESSION, 0, 8, 8},
    [TUN_FRAME_GOAWAY]    = {SCOPE_SESSION, 0, 7, 7 + TUN_WHY_MAX},
    [TUN_FRAME_CLOSE]     = {SCOPE_SESSION, 0, 7, 7 + TUN_WHY_MAX},
    [TUN_FRAME_RESUME]    = {SCOPE_SESSION, TUN_FLAG_MORE, 1, TUN_FRAME_CONTROL_MAX},
    [TUN_FRAME_LOST]      = {SCOPE_SESSION, 0, 4, 4},
};
/* clang-format on */

const char *tun_code_name(enum tun_code code)
{
    static const char *const names[] = {
        [TUN_CODE_NONE] = "none",
        [TUN_CODE_PROTOCOL] = "protocol",
        [TUN_CODE_FLOW_CONTROL] = "flow_control",
        [TUN_CODE_FLOOD] = "flood",
        [TUN_CODE_LIMIT] = "limit",
        [TUN_CODE_INTERNAL] = "internal",
        [TUN_CODE_SHUTDOWN] = "shutdown",
        [TUN_CODE_TIMEOUT] = "timeout",
        [TUN_CODE_REFUSED] = "refused",
        [TUN_CODE_UNREACHABLE] = "unreachable",
        [TUN_CODE_NO_SERVICE] = "no_service",
        [TUN_CODE_NOT_ALLOWED] = "not_allowed",
        [TUN_CODE_CANCELLED] = "cancelled",
        [TUN_CODE_PRESSURE] = "pressure",
        [TUN_CODE_STALE] = "stale",
        [TUN_CODE_REPLACED] = "replaced",
        [TUN_CODE_REVOKED] = "revoked",
        [TUN_CODE_UPGRADE] = "upgrade",
        [TUN_CODE_BUSY] = "busy",
        [TUN_CODE_LOST] = "lost",
    };

    if ((size_t)code >= sizeof(names) / sizeof(names[0]))
        return "unknown";
    return names[code];
}

void tun_frame_set_why(struct tun_notice *notice, const char *why)
{
    size_t len = 0;

    for (; why != NULL && why[len] != '\0' && len < TUN_WHY_MAX; len++)
        notice->why[len] = why[len] < 0x20 || why[len] > 0x7e ? '?' : why[len];
    notice->why[len] = '\0';
}

void tun_frame_put_header(struct out *o, const struct tun_frame *frame)
{
    out_u8(o, frame->type);
    out_u8(o, frame->flags);
    out_u16(o, frame->len);
    out_u32(o, frame->stream);
}

/* The header is written first and its length corrected by end(). */
static size_t begin(struct out *o, enum tun_frame_type type, uint32_t stream)
{
    size_t at = out_len(o);

    tun_frame_put_header(o, &(struct tun_frame){.type = (uint8_t)type, .stream = stream});
    return at;
}

static void end(struct out *o, size_t at)
{
    size_t len = out_len(o) - at;

    if (o->bad || len < TUN_FRAME_HEADER_LEN ||
        len > TUN_FRAME_HEADER_LEN + TUN_FRAME_CONTROL_MAX) {
        o->bad = true;
        return;
    }
    len -= TUN_FRAME_HEADER_LEN;
    o->start[at + 2] = (uint8_t)(len >> 8);
    o->start[at + 3] = (uint8_t)len;
}

static bool is_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

/* u8 length and the text; CAP is the array's size. */
static void put_text(struct out *o, const char *text, size_t cap)
{
    size_t len = strnlen(text, cap);

    if (len >= cap || len > UINT8_MAX || !is_printable(text, len)) {
        o->bad = true;
        return;
    }
    out_u8(o, (uint8_t)len);
    out_bytes(o, text, len);
}

static void get_text(struct cur *c, char *out, size_t cap)
{
    size_t len = cur_u8(c);
    const uint8_t *text = cur_bytes(c, len);

    out[0] = '\0';
    if (text == NULL || len >= cap || !is_printable((const char *)text, len)) {
        c->bad = true;
        return;
    }
    memcpy(out, text, len);
    out[len] = '\0';
}

static void put_endpoint(struct out *o, const struct tun_endpoint *endpoint)
{
    out_bytes(o, endpoint->ip, sizeof(endpoint->ip));
    out_u16(o, endpoint->port);
}

static void get_endpoint(struct cur *c, struct tun_endpoint *out)
{
    cur_copy(c, out->ip, sizeof(out->ip));
    out->port = cur_u16(c);
}

void tun_frame_put_accept(struct out *o, const struct tun_accept *accept)
{
    size_t at = begin(o, TUN_FRAME_ACCEPT, 0);

    out_bytes(o, accept->session, sizeof(accept->session));
    out_u32(o, accept->link);
    out_u32(o, accept->ping_ms);
    out_u32(o, accept->session_window);
    out_u32(o, accept->max_streams);
    out_u8(o, accept->has_next_key);
    if (accept->has_next_key)
        out_bytes(o, accept->next_key.bytes, sizeof(accept->next_key.bytes));
    end(o, at);
}

int tun_frame_get_accept(struct cur payload, struct tun_accept *out)
{
    uint8_t has_next_key;

    memset(out, 0, sizeof(*out));
    cur_copy(&payload, out->session, sizeof(out->session));
    out->link = cur_u32(&payload);
    out->ping_ms = cur_u32(&payload);
    out->session_window = cur_u32(&payload);
    out->max_streams = cur_u32(&payload);
    has_next_key = cur_u8(&payload);
    out->has_next_key = has_next_key == 1;
    if (out->has_next_key)
        cur_copy(&payload, out->next_key.bytes, sizeof(out->next_key.bytes));
    if (!cur_done(&payload) || out->link == 0 || has_next_key > 1 || out->ping_ms < PING_MIN_MS ||
        out->ping_ms > PING_MAX_MS)
        return ERR_PROTO;
    return ERR_OK;
}

static bool open_ok(const struct tun_open *open)
{
    return open->kind >= TUN_KIND_HTTP && open->kind <= TUN_KIND_TCP &&
           open->proxy <= TUN_PROXY_V2 && open->workload[0] != '\0' && open->service[0] != '\0';
}

void tun_frame_put_open(struct out *o, uint32_t stream, const struct tun_open *open)
{
    size_t at = begin(o, TUN_FRAME_OPEN, stream);

    if (!open_ok(open))
        o->bad = true;
    out_u8(o, (uint8_t)open->kind);
    out_u8(o, (uint8_t)open->proxy);
    out_u32(o, open->window);
    put_endpoint(o, &open->visitor);
    put_endpoint(o, &open->local);
    put_text(o, open->workload, sizeof(open->workload));
    put_text(o, open->service, sizeof(open->service));
    put_text(o, open->name, sizeof(open->name));
    end(o, at);
}

int tun_frame_get_open(struct cur payload, struct tun_open *out)
{
    out->kind = (enum tun_kind)cur_u8(&payload);
    out->proxy = (enum tun_proxy)cur_u8(&payload);
    out->window = cur_u32(&payload);
    get_endpoint(&payload, &out->visitor);
    get_endpoint(&payload, &out->local);
    get_text(&payload, out->workload, sizeof(out->workload));
    get_text(&payload, out->service, sizeof(out->service));
    get_text(&payload, out->name, sizeof(out->name));
    return cur_done(&payload) && open_ok(out) ? ERR_OK : ERR_PROTO;
}

void tun_frame_put_empty(struct out *o, enum tun_frame_type type, uint32_t stream)
{
    end(o, begin(o, type, stream));
}

void tun_frame_put_notice(struct out *o, enum tun_frame_type type, uint32_t stream,
                          const struct tun_notice *notice)
{
    size_t at = begin(o, type, stream);

    out_u16(o, (uint16_t)notice->code);
    out_u32(o, notice->retry_ms);
    put_text(o, notice->why, sizeof(notice->why));
    end(o, at);
}

int tun_frame_get_notice(struct cur payload, struct tun_notice *out)
{
    out->code = (enum tun_code)cur_u16(&payload);
    out->retry_ms = cur_u32(&payload);
    if (out->retry_ms > RETRY_MAX_MS)
        out->retry_ms = RETRY_MAX_MS;
    get_text(&payload, out->why, sizeof(out->why));
    return cur_done(&payload) ? ERR_OK : ERR_PROTO;
}

void tun_frame_put_fin(struct out *o, uint32_t stream, uint64_t offset)
{
    size_t at = begin(o, TUN_FRAME_FIN, stream);

    out_u64(o, offset);
    end(o, at);
}

int tun_frame_get_fin(struct cur payload, uint64_t *offset)
{
    *offset = cur_u64(&payload);
    return cur_done(&payload) ? ERR_OK : ERR_PROTO;
}

void tun_frame_put_rst(struct out *o, uint32_t stream, const struct tun_rst *rst)
{
    size_t at = begin(o, TUN_FRAME_RST, stream);

    out_u16(o, (uint16_t)rst->code);
    out_u64(o, rst->offset);
    end(o, at);
}

int tun_frame_get_rst(struct cur payload, struct tun_rst *out)
{
    out->code = (enum tun_code)cur_u16(&payload);
    out->offset = cur_u64(&payload);
    return cur_done(&payload) ? ERR_OK : ERR_PROTO;
}

void tun_frame_put_window(struct out *o, uint32_t stream, const struct tun_window *window,
                          uint8_t flags)
{
    size_t at = begin(o, TUN_FRAME_WINDOW, stream);

    out_u64(o, window->consumed);
    out_u64(o, window->limit);
    end(o, at);
    if (!o->bad)
        o->start[at + 1] = flags;
}

int tun_frame_get_window(struct cur payload, struct tun_window *out)
{
    out->consumed = cur_u64(&payload);
    out->limit = cur_u64(&payload);
    return cur_done(&payload) ? ERR_OK : ERR_PROTO;
}

void tun_frame_put_ping(struct out *o, enum tun_frame_type type, uint64_t opaque)
{
    size_t at = begin(o, type, 0);

    out_u64(o, opaque);
    end(o, at);
}

int tun_frame_get_ping(struct cur payload, uint64_t *opaque)
{
    *opaque = cur_u64(&payload);
    return cur_done(&payload) ? ERR_OK : ERR_PROTO;
}

void tun_frame_put_next_key(struct out *o, const struct tun_public_key *key)
{
    size_t at = begin(o, TUN_FRAME_NEXT_KEY, 0);

    out_bytes(o, key->bytes, sizeof(key->bytes));
    end(o, at);
}

int tun_frame_get_next_key(struct cur payload, struct tun_public_key *out)
{
    cur_copy(&payload, out->bytes, sizeof(out->bytes));
    return cur_done(&payload) ? ERR_OK : ERR_PROTO;
}

void tun_frame_put_exposure(struct out *o, const struct tun_exposure *exposure)
{
    size_t url_len = strnlen(exposure->url, sizeof(exposure->url));

    put_text(o, exposure->workload, sizeof(exposure->workload));
    put_text(o, exposure->service, sizeof(exposure->service));
    if (url_len >= sizeof(exposure->url) || !is_printable(exposure->url, url_len)) {
        o->bad = true;
        return;
    }
    out_u16(o, (uint16_t)url_len);
    out_bytes(o, exposure->url, url_len);
}

int tun_frame_get_exposure(struct cur *payload, struct tun_exposure *out)
{
    const uint8_t *url;
    size_t url_len;

    get_text(payload, out->workload, sizeof(out->workload));
    get_text(payload, out->service, sizeof(out->service));
    url_len = cur_u16(payload);
    url = cur_bytes(payload, url_len);
    if (payload->bad || url_len > TUN_URL_MAX || !is_printable((const char *)url, url_len))
        return ERR_PROTO;
    memcpy(out->url, url, url_len);
    out->url[url_len] = '\0';
    return ERR_OK;
}

void tun_frame_put_lost(struct out *o, uint32_t serial)
{
    size_t at = begin(o, TUN_FRAME_LOST, 0);

    out_u32(o, serial);
    end(o, at);
}

int tun_frame_get_lost(struct cur payload, uint32_t *serial)
{
    *serial = cur_u32(&payload);
    return cur_done(&payload) && *serial != 0 ? ERR_OK : ERR_PROTO;
}

#define RESUME_FIN_RECEIVED 0x01
#define RESUME_OPEN_OK 0x02

void tun_frame_put_resume_link(struct out *o, const struct tun_resume_link *link)
{
    out_u32(o, link->serial);
    out_u64(o, link->received);
    out_u32(o, link->last_open);
}

int tun_frame_get_resume_link(struct cur *payload, struct tun_resume_link *out)
{
    out->serial = cur_u32(payload);
    out->received = cur_u64(payload);
    out->last_open = cur_u32(payload);
    return payload->bad || out->serial == 0 ? ERR_PROTO : ERR_OK;
}

void tun_frame_put_resume_stream(struct out *o, const struct tun_resume_stream *stream)
{
    out_u32(o, stream->id);
    out_u64(o, stream->received);
    out_u8(o, (uint8_t)((stream->fin_received ? RESUME_FIN_RECEIVED : 0) |
                        (stream->open_ok ? RESUME_OPEN_OK : 0)));
}

int tun_frame_get_resume_stream(struct cur *payload, struct tun_resume_stream *out)
{
    uint8_t flags;

    out->id = cur_u32(payload);
    out->received = cur_u64(payload);
    flags = cur_u8(payload);
    out->fin_received = flags & RESUME_FIN_RECEIVED;
    out->open_ok = flags & RESUME_OPEN_OK;
    return payload->bad || out->id == 0 || flags > (RESUME_FIN_RECEIVED | RESUME_OPEN_OK)
               ? ERR_PROTO
               : ERR_OK;
}

int tun_frame_get_header(struct cur *c, struct tun_frame *out)
{
    const struct rule *rule;

    out->type = cur_u8(c);
    out->flags = cur_u8(c);
    out->len = cur_u16(c);
    out->stream = cur_u32(c);
    if (c->bad || cur_left(c) < out->len)
        return ERR_PROTO;
    if (out->type >= TUN_FRAME_SKIPPABLE)
        return ERR_OK;
    rule = &rules[out->type];
    if (rule->scope == 0 || (out->flags & ~rule->flags) != 0 || out->len < rule->min ||
        out->len > rule->max)
        return ERR_PROTO;
    return (rule->scope & (out->stream == 0 ? SCOPE_SESSION : SCOPE_STREAM)) != 0 ? ERR_OK
                                                                                  : ERR_PROTO;
}
