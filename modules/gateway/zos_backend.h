/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends as Zero-OS's own gateway takes and refuses them, with its texts, byte for byte. Pure
 * text; whether this gateway dials the address is decided later (wanted.h).
 */
#ifndef MODULES_GATEWAY_ZOS_BACKEND_H
#define MODULES_GATEWAY_ZOS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

#define GW_ZOS_WHY_MAX 512
#define GW_ZOS_BACKEND_MAX 256 /* bytes of one that is taken, with its NUL */

/*
 * PASSTHROUGH: "ip:port"; else a URL with scheme http, an IP that is no loopback address, and a
 * port or none; what follows is not looked at. Our own "tunnel:..." goes through as it is. Returns
 * 0 and the form that contracts have in OUT; or ERR_INVALID with Zero-OS's text in WHY.
 */
int gw_zos_backend_read(char out[GW_ZOS_BACKEND_MAX], const char *text, bool passthrough,
                        char why[GW_ZOS_WHY_MAX]);
/* Writes WHY, cut when it is too long. Returns ERR_INVALID. */
int gw_zos_fail(char why[GW_ZOS_WHY_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
