/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming reader of a TLS ClientHello: which host does the visitor want. It follows the hello
 * through any number of records and segments, keeps none of the bytes but the name, and changes
 * nothing; the caller keeps the bytes and forwards them as they came. With ECH it sees the outer
 * name, as everybody on the path.
 */
#ifndef MODULES_GATEWAY_SNI_H
#define MODULES_GATEWAY_SNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/host.h"

enum gw_sni_status {
    GW_SNI_MORE,    /* the hello is not complete yet */
    GW_SNI_HOST,    /* complete and sound; host is set */
    GW_SNI_NO_HOST, /* complete and sound, but names no host */
    GW_SNI_NOT_TLS, /* the first bytes are not those of a TLS handshake: close without a word */
    GW_SNI_BAD,     /* malformed: send `alert` and close */
};

/* AlertDescription of RFC 8446 section 6. */
enum gw_alert {
    GW_ALERT_UNEXPECTED_MESSAGE = 10,
    GW_ALERT_RECORD_OVERFLOW = 22,
    GW_ALERT_ILLEGAL_PARAMETER = 47,
    GW_ALERT_DECODE_ERROR = 50,
    GW_ALERT_PROTOCOL_VERSION = 70,
    GW_ALERT_INTERNAL_ERROR = 80,
    GW_ALERT_UNRECOGNIZED_NAME = 112,
};

#define GW_SNI_DEPTH 2 /* nested lengths: the hello, an extension */

struct gw_sni {
    enum gw_sni_status status;
    char host[HOST_CAP]; /* canonical; GW_SNI_HOST only */
    /* set when BAD */
    enum gw_alert alert;
    const char *why; /* fixed text for the log; never input */
    /* the reader's own */
    uint32_t hello_max;
    size_t at;                    /* next byte to look at */
    uint8_t record_at;            /* bytes of the record header that were read */
    uint16_t record_len;          /* the length it says, then what is left of the record */
    bool past_first;              /* the first record header is over */
    unsigned field;               /* what the next hello bytes are */
    uint32_t left;                /* bytes of it still to come */
    uint32_t value;               /* of an integer field so far */
    uint32_t scope[GW_SNI_DEPTH]; /* bytes left in the hello, in the extension */
    unsigned depth;
    uint16_t extension;
    bool has_name, has_alpn;
    uint8_t name_len;
    char name[HOST_CAP + 1]; /* as sent; one more for a trailing dot */
};

/* HELLO_MAX: bytes of the hello without record headers. */
void gw_sni_init(struct gw_sni *self, size_t hello_max);

/*
 * Look again now that LEN bytes from the start of the connection are there; DATA may have moved,
 * its first bytes are the same as before. Only new bytes are looked at. Returns self->status; once
 * it is not MORE, it stays.
 */
enum gw_sni_status gw_sni_feed(struct gw_sni *self, const uint8_t *data, size_t len);

#endif
