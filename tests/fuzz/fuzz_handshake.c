/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes in any segmentation to either side of the handshake, and any plaintext to
 * the decoder of message 3. Input: one byte of choices, one byte of step, then what is fed.
 */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/handshake_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tun_secret_key connector_key = {{0x11, 1}}, gateway_key = {{0x22, 1}};
static struct tun_identity connector, gateway;
static const struct tun_connector_info info = {.name = "fuzz"};
static const struct tun_gateway_info offer = {.max_streams = 1};

static void begin(struct tun_handshake *c, struct tun_handshake *g)
{
    struct tun_handshake_config cc = {.role = TUN_CONNECTOR,
                                      .own = &connector,
                                      .peer = &gateway.public_key,
                                      .suite = TUN_SUITE_CHACHA,
                                      .connector = &info,
                                      .test_ephemeral = &connector_key};
    struct tun_handshake_config gc = {.role = TUN_GATEWAY,
                                      .own = &gateway,
                                      .next = &connector,
                                      .gateway = &offer,
                                      .test_ephemeral = &gateway_key};

    if (tun_handshake_init(c, &cc) != ERR_OK || tun_handshake_init(g, &gc) != ERR_OK)
        abort();
}

/* The whole of FROM's message to TO. */
static void pass(struct tun_handshake *from, struct tun_handshake *to)
{
    size_t len, used;
    const uint8_t *out = tun_handshake_out(from, &len);

    if (tun_handshake_feed(to, out, len, &used) != ERR_OK || used != len ||
        tun_handshake_work(to) != ERR_OK)
        abort();
    tun_handshake_sent(from, len);
}

static void feed(struct tun_handshake *self, const uint8_t *data, size_t size, size_t step)
{
    while (size > 0 && tun_handshake_wants(self) > 0) {
        size_t n = size < step ? size : step, used;

        if (tun_handshake_feed(self, data, n, &used) == ERR_OK && used > n)
            abort();
        (void)tun_handshake_work(self);
        data += n;
        size -= n;
    }
    if (tun_handshake_state(self) == TUN_HANDSHAKE_DONE) {
        struct tun_handshake_result result;

        tun_handshake_finish(self, &result);
        tun_handshake_result_wipe(&result);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tun_handshake c, g;
    struct tun_connector_info said;

    if (size < 2)
        return 0;
    if (connector.secret == NULL) {
        tun_identity_init(&connector, &connector_key);
        tun_identity_init(&gateway, &gateway_key);
    }
    if (data[0] % 4 == 3) {
        if (tun_connector_info_decode(&said, data + 2, size - 2) == ERR_OK &&
            (!tun_connector_info_ok(&said) || strlen(said.name) > TUN_TEXT_MAX))
            abort();
        return 0;
    }
    begin(&c, &g);
    if (data[0] % 4 > 0)
        pass(&c, &g); /* the gateway waits for message 3, the connector for message 2 */
    feed(data[0] % 4 == 2 ? &c : &g, data + 2, size - 2, data[1] + 1u);
    tun_handshake_wipe(&c);
    tun_handshake_wipe(&g);
    return 0;
}
