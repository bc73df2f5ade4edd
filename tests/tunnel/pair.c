/* SPDX-License-Identifier: Apache-2.0 */
/* A connector's and a gateway's handshake wired together. */
#include "tests/tunnel/pair.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

void pair_init(struct pair *self, enum tun_suite suite)
{
    memset(self, 0, sizeof(*self));
    memset(self->connector_secret.bytes, 0x11, TUN_KEY_LEN);
    memset(self->gateway_secret.bytes, 0x22, TUN_KEY_LEN);
    memset(self->next_secret.bytes, 0x55, TUN_KEY_LEN);
    tun_identity_init(&self->connector, &self->connector_secret);
    tun_identity_init(&self->gateway, &self->gateway_secret);
    tun_identity_init(&self->next, &self->next_secret);
    self->info = (struct tun_connector_info){.instance = {1, 2, 3},
                                             .epoch = 7,
                                             .capabilities = 5,
                                             .twin = 9,
                                             .max_record = 32768,
                                             .link = 1,
                                             .version = "0.1.0",
                                             .name = "web-1"};
    self->offer = (struct tun_gateway_info){
        .boot_id = {9, 8, 7}, .time_ms = 1234567, .max_record = 65535, .max_streams = 100};

    struct tun_handshake_config c = {.role = TUN_CONNECTOR,
                                     .own = &self->connector,
                                     .peer = &self->gateway.public_key,
                                     .suite = suite,
                                     .connector = &self->info};
    struct tun_handshake_config g = {
        .role = TUN_GATEWAY, .own = &self->gateway, .next = &self->next, .gateway = &self->offer};
    ck_assert_int_eq(tun_handshake_init(&self->c, &c), ERR_OK);
    ck_assert_int_eq(tun_handshake_init(&self->g, &g), ERR_OK);
}

int pair_move(struct tun_handshake *from, struct tun_handshake *to, size_t step)
{
    size_t len, used;
    int rc = ERR_OK;

    for (;;) {
        const uint8_t *data = tun_handshake_out(from, &len);

        if (len > step)
            len = step;
        if (len == 0)
            return ERR_OK;
        rc = tun_handshake_feed(to, data, len, &used);
        if (rc != ERR_OK)
            return rc;
        ck_assert_uint_eq(used, len);
        tun_handshake_sent(from, len);
        rc = tun_handshake_work(to);
        if (rc != ERR_OK)
            return rc;
    }
}

int pair_run(struct pair *self, size_t step)
{
    int rc = pair_move(&self->c, &self->g, step);

    if (rc == ERR_OK)
        rc = pair_move(&self->g, &self->c, step);
    if (rc == ERR_OK)
        rc = pair_move(&self->c, &self->g, step);
    return rc;
}

void pair_results(enum tun_suite suite, struct tun_handshake_result *connector,
                  struct tun_handshake_result *gateway)
{
    struct pair pair;

    pair_init(&pair, suite);
    ck_assert_int_eq(pair_run(&pair, SIZE_MAX), ERR_OK);
    tun_handshake_finish(&pair.c, connector);
    tun_handshake_finish(&pair.g, gateway);
}
