/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a handshake in memory, for the tunnel's tests: fixed keys, no sockets. */
#ifndef TESTS_TUNNEL_PAIR_H
#define TESTS_TUNNEL_PAIR_H

#include "modules/tunnel/handshake.h"

struct pair {
    struct tun_secret_key connector_secret, gateway_secret, next_secret;
    struct tun_identity connector, gateway, next;
    struct tun_connector_info info;
    struct tun_gateway_info offer;
    struct tun_handshake c, g; /* connector, gateway */
};

/* Keys 0x11.., 0x22.. and 0x55.., info with every field set, both handshakes started. */
void pair_init(struct pair *self, enum tun_suite suite);
/* Move bytes both ways until nothing moves; STEP bytes at a time. Returns the first error or 0. */
int pair_run(struct pair *self, size_t step);
/* Move what FROM has to send to TO, and let TO work. Returns TO's first error or 0. */
int pair_move(struct tun_handshake *from, struct tun_handshake *to, size_t step);
/* Both results of a whole handshake. */
void pair_results(enum tun_suite suite, struct tun_handshake_result *connector,
                  struct tun_handshake_result *gateway);

#endif
