/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ClientHello as a chain of fields, each with a length known before its first byte; see sni.h.
 * Records are taken off first, so a field may be cut anywhere. RFC 8446 section 4.1.2, RFC 6066
 * section 3, RFC 7301.
 */
#include "modules/gateway/sni.h"

#include <string.h>

#include "bus/base/err.h"

#define RECORD_HEADER_LEN 5
#define RECORD_MAX 16384
#define TYPE_HANDSHAKE 22
#define TYPE_CLIENT_HELLO 1
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN 16
#define SESSION_ID_MAX 32

enum field {
    F_TYPE,
    F_LENGTH,
    F_VERSION,
    F_RANDOM,
    F_SESSION_LEN,
    F_SESSION,
    F_SUITES_LEN,
    F_SUITES,
    F_COMPRESSION_LEN,
    F_COMPRESSION,
    F_EXTENSIONS_LEN,
    F_EXTENSION,
    F_EXTENSION_LEN,
    F_EXTENSION_BODY,
    F_NAMES_LEN,
    F_NAME_TYPE,
    F_NAME_LEN,
    F_NAME,
    F_PROTOCOLS_LEN,
    F_PROTOCOL_LEN,
    F_PROTOCOL,
};

static void refuse(struct gw_sni *self, enum gw_alert alert, const char *why)
{
    self->status = GW_SNI_BAD;
    self->alert = alert;
    self->why = why;
}

/* Bytes left in the innermost length that encloses us. */
static uint32_t room(const struct gw_sni *self)
{
    return self->depth > 0 ? self->scope[self->depth - 1] : UINT32_MAX;
}

/* The next LEN bytes are FIELD; they must fit in what encloses them. */
static void begin(struct gw_sni *self, enum field field, uint32_t len)
{
    self->field = field;
    self->left = len;
    self->value = 0;
    if (len > room(self))
        refuse(self, GW_ALERT_DECODE_ERROR, "lengths disagree");
}

/* The next LEN bytes belong together. */
static void enter_scope(struct gw_sni *self, uint32_t len)
{
    if (len > room(self)) {
        refuse(self, GW_ALERT_DECODE_ERROR, "lengths disagree");
        return;
    }
    self->scope[self->depth++] = len;
}

/* A length of what is left of the scope, all of it and not nothing. */
static bool fills_scope(struct gw_sni *self)
{
    if (self->value != 0 && self->value == room(self))
        return true;
    refuse(self, GW_ALERT_DECODE_ERROR, "lengths disagree");
    return false;
}

static void next_extension(struct gw_sni *self)
{
    if (room(self) > 0)
        begin(self, F_EXTENSION, 2);
    else
        self->status = self->has_name ? GW_SNI_HOST : GW_SNI_NO_HOST;
}

static void end_extension(struct gw_sni *self)
{
    self->depth--;
    next_extension(self);
}

static void on_type(struct gw_sni *self)
{
    if (self->value == TYPE_CLIENT_HELLO)
        begin(self, F_LENGTH, 3);
    else
        refuse(self, GW_ALERT_UNEXPECTED_MESSAGE, "not a ClientHello");
}

static void on_length(struct gw_sni *self)
{
    if (self->value > self->hello_max) {
        refuse(self, GW_ALERT_DECODE_ERROR, "ClientHello too long");
        return;
    }
    enter_scope(self, self->value);
    begin(self, F_VERSION, 2);
}

static void on_version(struct gw_sni *self)
{
    if (self->value >> 8 == 3)
        begin(self, F_RANDOM, 32);
    else
        refuse(self, GW_ALERT_PROTOCOL_VERSION, "not TLS 1");
}

static void on_random(struct gw_sni *self)
{
    begin(self, F_SESSION_LEN, 1);
}

static void on_session_len(struct gw_sni *self)
{
    if (self->value <= SESSION_ID_MAX)
        begin(self, F_SESSION, self->value);
    else
        refuse(self, GW_ALERT_DECODE_ERROR, "session id too long");
}

static void on_session(struct gw_sni *self)
{
    begin(self, F_SUITES_LEN, 2);
}

static void on_suites_len(struct gw_sni *self)
{
    if (self->value > 0 && self->value % 2 == 0)
        begin(self, F_SUITES, self->value);
    else
        refuse(self, GW_ALERT_DECODE_ERROR, "cipher suites empty or odd");
}

static void on_suites(struct gw_sni *self)
{
    begin(self, F_COMPRESSION_LEN, 1);
}

static void on_compression_len(struct gw_sni *self)
{
    if (self->value > 0)
        begin(self, F_COMPRESSION, self->value);
    else
        refuse(self, GW_ALERT_DECODE_ERROR, "no compression method");
}

static void on_compression(struct gw_sni *self)
{
    if (room(self) > 0)
        begin(self, F_EXTENSIONS_LEN, 2);
    else
        self->status = GW_SNI_NO_HOST; /* TLS 1.2 without extensions */
}

static void on_extensions_len(struct gw_sni *self)
{
    if (self->value == room(self))
        next_extension(self);
    else
        refuse(self, GW_ALERT_DECODE_ERROR, "lengths disagree");
}

static void on_extension(struct gw_sni *self)
{
    self->extension = (uint16_t)self->value;
    begin(self, F_EXTENSION_LEN, 2);
}

static void on_extension_len(struct gw_sni *self)
{
    bool is_name = self->extension == EXTENSION_SERVER_NAME;
    bool is_alpn = self->extension == EXTENSION_ALPN;
    uint32_t len = self->value;

    if ((is_name && self->has_name) || (is_alpn && self->has_alpn)) {
        refuse(self, GW_ALERT_ILLEGAL_PARAMETER, "extension given twice");
        return;
    }
    self->has_name |= is_name;
    self->has_alpn |= is_alpn;
    enter_scope(self, len);
    if (self->status == GW_SNI_BAD)
        return;
    if (is_name)
        begin(self, F_NAMES_LEN, 2);
    else if (is_alpn)
        begin(self, F_PROTOCOLS_LEN, 2);
    else
        begin(self, F_EXTENSION_BODY, len);
}

static void on_names_len(struct gw_sni *self)
{
    if (fills_scope(self))
        begin(self, F_NAME_TYPE, 1);
}

static void on_name_type(struct gw_sni *self)
{
    if (self->value == 0)
        begin(self, F_NAME_LEN, 2);
    else
        refuse(self, GW_ALERT_ILLEGAL_PARAMETER, "server name is not a host name");
}

static void on_name_len(struct gw_sni *self)
{
    if (self->value == 0 || self->value > room(self))
        refuse(self, GW_ALERT_DECODE_ERROR, "lengths disagree");
    else if (self->value < room(self))
        refuse(self, GW_ALERT_ILLEGAL_PARAMETER, "more than one server name");
    else if (self->value >= sizeof(self->name))
        refuse(self, GW_ALERT_ILLEGAL_PARAMETER, "server name too long");
    else
        begin(self, F_NAME, self->value);
}

static void on_name(struct gw_sni *self)
{
    if (host_canon(self->host, self->name, self->name_len) == ERR_OK)
        end_extension(self);
    else
        refuse(self, GW_ALERT_ILLEGAL_PARAMETER, "server name is not a host name");
}

static void on_protocols_len(struct gw_sni *self)
{
    if (fills_scope(self))
        begin(self, F_PROTOCOL_LEN, 1);
}

static void on_protocol_len(struct gw_sni *self)
{
    if (self->value > 0)
        begin(self, F_PROTOCOL, self->value);
    else
        refuse(self, GW_ALERT_DECODE_ERROR, "empty protocol name");
}

static void on_protocol(struct gw_sni *self)
{
    if (room(self) > 0)
        begin(self, F_PROTOCOL_LEN, 1);
    else
        end_extension(self);
}

/* What follows when all bytes of a field were read. */
static void (*const on_field[])(struct gw_sni *) = {
    [F_TYPE] = on_type,
    [F_LENGTH] = on_length,
    [F_VERSION] = on_version,
    [F_RANDOM] = on_random,
    [F_SESSION_LEN] = on_session_len,
    [F_SESSION] = on_session,
    [F_SUITES_LEN] = on_suites_len,
    [F_SUITES] = on_suites,
    [F_COMPRESSION_LEN] = on_compression_len,
    [F_COMPRESSION] = on_compression,
    [F_EXTENSIONS_LEN] = on_extensions_len,
    [F_EXTENSION] = on_extension,
    [F_EXTENSION_LEN] = on_extension_len,
    [F_EXTENSION_BODY] = end_extension,
    [F_NAMES_LEN] = on_names_len,
    [F_NAME_TYPE] = on_name_type,
    [F_NAME_LEN] = on_name_len,
    [F_NAME] = on_name,
    [F_PROTOCOLS_LEN] = on_protocols_len,
    [F_PROTOCOL_LEN] = on_protocol_len,
    [F_PROTOCOL] = on_protocol,
};

/* Take N bytes (1..left) of the current field. Integers are short, so nothing overflows. */
static void take(struct gw_sni *self, const uint8_t *data, uint32_t n)
{
    bool is_name = self->field == F_NAME;

    for (unsigned i = 0; i < self->depth; i++)
        self->scope[i] -= n;
    self->left -= n;
    if (is_name) {
        memcpy(self->name + self->name_len, data, n);
        self->name_len = (uint8_t)(self->name_len + n);
    } else if (self->left + n <= 3) {
        for (uint32_t i = 0; i < n; i++)
            self->value = self->value << 8 | data[i];
    }
}

/* N bytes of a record's content. Returns when they are used up or the verdict is there. */
static void feed_hello(struct gw_sni *self, const uint8_t *data, uint32_t n)
{
    while (self->status == GW_SNI_MORE) {
        uint32_t some = n < self->left ? n : self->left;

        if (self->left == 0) {
            on_field[self->field](self);
            continue;
        }
        if (n == 0)
            return;
        take(self, data, some);
        data += some;
        n -= some;
    }
}

/* One byte of a record header: type, version, length. */
static void feed_header(struct gw_sni *self, uint8_t c)
{
    switch (self->record_at++) {
    case 0:
        if (c != TYPE_HANDSHAKE && !self->past_first)
            self->status = GW_SNI_NOT_TLS;
        else if (c != TYPE_HANDSHAKE)
            refuse(self, GW_ALERT_UNEXPECTED_MESSAGE, "another record inside the ClientHello");
        break;
    case 1:
        if (c != 3 && !self->past_first)
            self->status = GW_SNI_NOT_TLS;
        else if (c != 3)
            refuse(self, GW_ALERT_PROTOCOL_VERSION, "not TLS 1");
        break;
    case 2:
        break;
    case 3:
        self->record_len = (uint16_t)(c << 8);
        break;
    default:
        self->record_len |= c;
        self->past_first = true;
        if (self->record_len == 0)
            refuse(self, GW_ALERT_DECODE_ERROR, "empty record");
        else if (self->record_len > RECORD_MAX)
            refuse(self, GW_ALERT_RECORD_OVERFLOW, "record too long");
        break;
    }
}

void gw_sni_init(struct gw_sni *self, size_t hello_max)
{
    *self = (struct gw_sni){.hello_max = (uint32_t)hello_max};
    begin(self, F_TYPE, 1);
}

enum gw_sni_status gw_sni_feed(struct gw_sni *self, const uint8_t *data, size_t len)
{
    while (self->status == GW_SNI_MORE && self->at < len) {
        size_t n = len - self->at;

        if (self->record_at < RECORD_HEADER_LEN) {
            feed_header(self, data[self->at++]);
            continue;
        }
        if (n > self->record_len)
            n = self->record_len;
        feed_hello(self, data + self->at, (uint32_t)n);
        self->at += n;
        self->record_len = (uint16_t)(self->record_len - n);
        if (self->record_len == 0)
            self->record_at = 0;
    }
    return self->status;
}
