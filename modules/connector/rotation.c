/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's next key; see rotation.h. */
#include "modules/connector/rotation.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/log.h"

#define LINE_CAP (CON_TARGET_TEXT + TUN_KEY_TEXT_LEN + 32)

/* What to add where: a gateway of flags or the environment is named after its address. */
static void tell(const struct con_gateway *gateway, const struct tun_public_key *key)
{
    const char *address = gateway->addresses[0].text;
    char hex[TUN_KEY_TEXT_LEN + 1], line[LINE_CAP], where[CON_NAME_CAP + 16];
    bool of_file = strcmp(gateway->name, address) != 0;

    tun_key_print(hex, key);
    if (of_file) {
        (void)snprintf(line, sizeof(line), "public-key = %s", hex);
        (void)snprintf(where, sizeof(where), "[gateway %s]", gateway->name);
    } else {
        (void)snprintf(line, sizeof(line), "%s#%s", address, hex);
        (void)snprintf(where, sizeof(where), "--gateway");
    }
    LOG_WARN("the gateway changes its key: add the new one beside the present one, then SIGHUP or "
             "restart",
             KV_S("gateway", gateway->name), KV_S("where", where), KV_S("add", line));
}

void con_rotation_learn(struct con_rotation *self, const struct con_gateway *gateway,
                        const struct tun_public_key *key)
{
    if (self->known && tun_key_equal(&self->key, key))
        return;
    *self = (struct con_rotation){.key = *key, .known = true};
    if (!con_gateway_has_key(gateway, key))
        tell(gateway, key);
}

const struct tun_public_key *con_rotation_wants(const struct con_rotation *self,
                                                const struct con_gateway *gateway,
                                                const struct tun_public_key *used)
{
    if (!self->known || self->followed || tun_key_equal(&self->key, used) ||
        !con_gateway_has_key(gateway, &self->key))
        return NULL;
    return &self->key;
}

uint32_t con_rotation_delay_ms(void)
{
    return clock_random_u32() % CON_ROTATION_SPREAD_MS;
}
