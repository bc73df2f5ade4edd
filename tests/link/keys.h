/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed keys of a connector and a gateway, and both handshake configs, for tests. */
#ifndef TESTS_LINK_KEYS_H
#define TESTS_LINK_KEYS_H

#include <string.h>

#include "modules/tunnel/handshake.h"

struct test_keys {
    struct tun_secret_key connector_secret, gateway_secret, next_secret;
    struct tun_identity connector, gateway, next;
    struct tun_connector_info connector_info;
    struct tun_gateway_info gateway_info;
};

static inline void test_keys_init(struct test_keys *k)
{
    memset(k, 0, sizeof(*k));
    memset(k->connector_secret.bytes, 0x11, TUN_KEY_LEN);
    memset(k->gateway_secret.bytes, 0x22, TUN_KEY_LEN);
    memset(k->next_secret.bytes, 0x33, TUN_KEY_LEN);
    tun_identity_init(&k->connector, &k->connector_secret);
    tun_identity_init(&k->gateway, &k->gateway_secret);
    tun_identity_init(&k->next, &k->next_secret);
    memset(k->connector_info.instance, 0x77, TUN_INSTANCE_LEN);
    k->connector_info.epoch = 1;
    k->connector_info.twin = 7;
    strcpy(k->connector_info.version, "test");
    strcpy(k->connector_info.name, "web-1");
    memset(k->gateway_info.boot_id, 0x55, sizeof(k->gateway_info.boot_id));
    k->gateway_info.max_record = TUN_RECORD_MAX;
    k->gateway_info.max_streams = 100;
}

static inline struct tun_handshake_config test_connector_config(const struct test_keys *k)
{
    return (struct tun_handshake_config){.role = TUN_CONNECTOR,
                                         .own = &k->connector,
                                         .peer = &k->gateway.public_key,
                                         .connector = &k->connector_info};
}

static inline struct tun_handshake_config test_gateway_config(const struct test_keys *k)
{
    return (struct tun_handshake_config){
        .role = TUN_GATEWAY, .own = &k->gateway, .gateway = &k->gateway_info};
}

#endif
