/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two sides say about themselves inside messages 2 and 3, as bytes. Private to
 * modules/tunnel; the structs are in handshake.h.
 */
#ifndef MODULES_TUNNEL_HANDSHAKE_INFO_H
#define MODULES_TUNNEL_HANDSHAKE_INFO_H

#include "modules/tunnel/handshake.h"

#define TUN_OFFER_LEN 32 /* payload of message 2 */
#define TUN_INFO_PAD 64  /* message 3's payload is a multiple of this */
#define TUN_INFO_MAX 1024

void tun_gateway_info_encode(uint8_t out[TUN_OFFER_LEN], const struct tun_gateway_info *info);
/* Returns 0, or ERR_PROTO when max_record is below TUN_RECORD_MIN. */
int tun_gateway_info_decode(struct tun_gateway_info *out, const uint8_t in[TUN_OFFER_LEN]);

/* Whether INFO can be said: texts end within their arrays, max_record is in range. */
bool tun_connector_info_ok(const struct tun_connector_info *info);
/* Write the TLVs and the padding; returns the length, a multiple of TUN_INFO_PAD. */
size_t tun_connector_info_encode(uint8_t out[TUN_INFO_MAX], const struct tun_connector_info *info);
/*
 * Returns 0 or ERR_PROTO: a TLV cut short, of the wrong length or twice, bytes after the padding
 * began, NUL in a text, max_record below TUN_RECORD_MIN. Types not known here are skipped.
 */
int tun_connector_info_decode(struct tun_connector_info *out, const uint8_t *in, size_t len);

#endif
