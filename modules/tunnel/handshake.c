/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of messages, their framing and the one way to fail. What messages 2 and 3 say about
 * their sender is handshake_info.c; the mathematics is noise.c.
 */
#include "modules/tunnel/handshake.h"

#include <sodium.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/handshake_info.h"

#define PREAMBLE_LEN 8
#define MSG1_LEN 48
#define MAC1_LEN 16
#define MSG2_HEADER_LEN 4
#define MSG3_HEADER_LEN 2
#define MSG3_FIXED 64 /* of msg3 beside its payload: sealed key 48, tag 16 */

enum { AWAIT_HELLO, AWAIT_MSG2, AWAIT_MSG3 };

static const uint8_t magic[5] = {TUN_MAGIC_FIRST, 0x5a, 0x57, 0x47, 0x01};
static const uint8_t msg2_header[MSG2_HEADER_LEN] = {0x02, 0x01, 0x00, 0x00};
static const char prologue_text[] = "ZWG-tunnel-v1"; /* its NUL counts */
static const char mac1_text[] = "ZWG-mac1";          /* its NUL counts */

static void make_mac1_key(uint8_t out[32], const struct tun_public_key *gateway)
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, 32);
    (void)crypto_generichash_update(&state, (const uint8_t *)mac1_text, sizeof(mac1_text));
    (void)crypto_generichash_update(&state, gateway->bytes, TUN_KEY_LEN);
    (void)crypto_generichash_final(&state, out, 32);
}

void tun_identity_init(struct tun_identity *out, const struct tun_secret_key *secret)
{
    out->secret = secret;
    tun_key_public(&out->public_key, secret);
    make_mac1_key(out->mac1_key, &out->public_key);
}

static void make_mac1(uint8_t out[MAC1_LEN], const uint8_t key[32], const uint8_t *hello)
{
    (void)crypto_generichash(out, MAC1_LEN, hello, PREAMBLE_LEN + MSG1_LEN, key, 32);
}

static bool suite_works(unsigned suite)
{
    return (suite == TUN_SUITE_CHACHA || suite == TUN_SUITE_AES) &&
           tun_cipher_works(tun_cipher_provider((enum tun_suite)suite), (enum tun_suite)suite);
}

/* The one failure path: nothing is left, and every reason looks the same from outside. */
static int fail(struct tun_handshake *self, int rc)
{
    tun_handshake_wipe(self);
    self->state = TUN_HANDSHAKE_FAILED;
    return rc;
}

static void start_noise(struct tun_handshake *self, const struct tun_identity *own,
                        const uint8_t preamble[PREAMBLE_LEN])
{
    uint8_t prologue[sizeof(prologue_text) + PREAMBLE_LEN];
    struct tun_noise_config cfg = {
        .role = self->cfg.role,
        .suite = (enum tun_suite)preamble[5],
        .static_key = own->secret,
        .static_public = &own->public_key,
        .remote = &self->peer,
        .prologue = {prologue, sizeof(prologue)},
        .test_ephemeral = self->cfg.test_ephemeral,
    };

    memcpy(prologue, prologue_text, sizeof(prologue_text));
    memcpy(prologue + sizeof(prologue_text), preamble, PREAMBLE_LEN);
    tun_noise_init(&self->noise, &cfg);
}

static int make_hello(struct tun_handshake *self)
{
    uint8_t *hello = self->small, mac1_key[32];

    memcpy(hello, magic, sizeof(magic));
    hello[5] = (uint8_t)self->cfg.suite;
    hello[6] = hello[7] = 0;
    start_noise(self, self->cfg.own, hello);
    if (tun_noise_write(&self->noise, NULL, 0, hello + PREAMBLE_LEN) != ERR_OK)
        return ERR_AUTH;
    make_mac1_key(mac1_key, &self->peer);
    make_mac1(hello + PREAMBLE_LEN + MSG1_LEN, mac1_key, hello);
    self->out_len = TUN_HELLO_LEN;
    return ERR_OK;
}

static bool config_ok(const struct tun_handshake_config *cfg)
{
    if (cfg->own == NULL || cfg->own->secret == NULL)
        return false;
    if (cfg->role == TUN_GATEWAY)
        return cfg->gateway != NULL;
    return cfg->peer != NULL && cfg->connector != NULL && suite_works(cfg->suite) &&
           tun_connector_info_ok(cfg->connector);
}

int tun_handshake_init(struct tun_handshake *self, const struct tun_handshake_config *cfg)
{
    memset(self, 0, sizeof(*self));
    self->cfg = *cfg;
    if (cfg->role == TUN_CONNECTOR && cfg->suite == 0)
        self->cfg.suite = tun_cipher_best_suite();
    if (sodium_init() < 0 || !config_ok(&self->cfg))
        return fail(self, ERR_INVALID);
    self->state = TUN_HANDSHAKE_READ;
    if (cfg->role == TUN_GATEWAY)
        return ERR_OK;
    self->step = AWAIT_MSG2;
    self->peer = *cfg->peer;
    return make_hello(self) == ERR_OK ? ERR_OK : fail(self, ERR_AUTH);
}

void tun_handshake_wipe(struct tun_handshake *self)
{
    sodium_memzero(self, sizeof(*self));
}

enum tun_handshake_state tun_handshake_state(const struct tun_handshake *self)
{
    return self->state;
}

/* Length of message 3 with its header, as its first two bytes say; 0 when they are not valid. */
static size_t msg3_len(const uint8_t *header)
{
    size_t len = (size_t)header[0] << 8 | header[1];

    if (len < TUN_MSG3_MIN - MSG3_HEADER_LEN || len > TUN_MSG3_MAX - MSG3_HEADER_LEN ||
        len % TUN_INFO_PAD != 0)
        return 0;
    return MSG3_HEADER_LEN + len;
}

size_t tun_handshake_wants(const struct tun_handshake *self)
{
    if (self->state != TUN_HANDSHAKE_READ)
        return 0;
    if (self->step == AWAIT_HELLO)
        return TUN_HELLO_LEN - self->in_len;
    if (self->step == AWAIT_MSG2)
        return TUN_MSG2_LEN - self->in_len;
    if (self->in_len < MSG3_HEADER_LEN)
        return MSG3_HEADER_LEN - self->in_len;
    return msg3_len(self->big) - self->in_len;
}

/* The Hello goes to `small`; everything else that is read goes to `big`. */
static uint8_t *in_buffer(struct tun_handshake *self)
{
    return self->step == AWAIT_HELLO ? self->small : self->big;
}

/* Wrong bytes are known as early as possible: a stranger on the port is told by his first byte. */
static bool preamble_fits(const uint8_t *hello, size_t len)
{
    if (len > PREAMBLE_LEN)
        len = PREAMBLE_LEN;
    for (size_t i = 0; i < len; i++) {
        if (i < sizeof(magic) && hello[i] != magic[i])
            return false;
        if (i == 5 && !suite_works(hello[i]))
            return false;
        if (i > 5 && hello[i] != 0)
            return false;
    }
    return true;
}

static bool mac1_fits(const struct tun_identity *identity, const uint8_t *hello)
{
    uint8_t want[MAC1_LEN];

    make_mac1(want, identity->mac1_key, hello);
    return sodium_memcmp(want, hello + PREAMBLE_LEN + MSG1_LEN, MAC1_LEN) == 0;
}

int tun_hello_check(const struct tun_identity *own, const struct tun_identity *next,
                    const uint8_t *data, size_t len)
{
    if (len > TUN_HELLO_LEN || !preamble_fits(data, len))
        return ERR_PROTO;
    if (len < TUN_HELLO_LEN)
        return ERR_AGAIN;
    if (mac1_fits(own, data) || (next != NULL && mac1_fits(next, data)))
        return ERR_OK;
    return ERR_AUTH;
}

/* A part of the awaited message is there: is it still plausible, and is it whole? */
static int judge_hello(struct tun_handshake *self)
{
    int rc = tun_hello_check(self->cfg.own, self->cfg.next, self->small, self->in_len);

    if (rc != ERR_OK)
        return rc == ERR_AGAIN ? ERR_OK : rc;
    self->used = mac1_fits(self->cfg.own, self->small) ? self->cfg.own : self->cfg.next;
    self->state = TUN_HANDSHAKE_WORK;
    return ERR_OK;
}

static int judge_msg2(struct tun_handshake *self)
{
    size_t len = self->in_len < MSG2_HEADER_LEN ? self->in_len : MSG2_HEADER_LEN;

    if (memcmp(self->big, msg2_header, len) != 0)
        return ERR_PROTO;
    if (self->in_len == TUN_MSG2_LEN)
        self->state = TUN_HANDSHAKE_WORK;
    return ERR_OK;
}

static int judge_msg3(struct tun_handshake *self)
{
    if (self->in_len < MSG3_HEADER_LEN)
        return ERR_OK;
    if (msg3_len(self->big) == 0)
        return ERR_PROTO;
    if (self->in_len == msg3_len(self->big))
        self->state = TUN_HANDSHAKE_WORK;
    return ERR_OK;
}

int tun_handshake_feed(struct tun_handshake *self, const uint8_t *data, size_t len, size_t *used)
{
    size_t want, n;
    int rc = ERR_OK;

    *used = 0;
    while (rc == ERR_OK && *used < len && (want = tun_handshake_wants(self)) > 0) {
        n = len - *used < want ? len - *used : want;
        memcpy(in_buffer(self) + self->in_len, data + *used, n);
        self->in_len += n;
        *used += n;
        if (self->step == AWAIT_HELLO)
            rc = judge_hello(self);
        else
            rc = self->step == AWAIT_MSG2 ? judge_msg2(self) : judge_msg3(self);
    }
    return rc == ERR_OK ? ERR_OK : fail(self, rc);
}

unsigned tun_handshake_cost(const struct tun_handshake *self)
{
    if (self->state != TUN_HANDSHAKE_WORK)
        return 0;
    return self->step == AWAIT_HELLO ? 3 : self->step == AWAIT_MSG2 ? 2 : 1;
}

static void set_out(struct tun_handshake *self, size_t len)
{
    self->out_len = len;
    self->out_sent = 0;
}

/* Gateway: Hello -> message 2. */
static int work_hello(struct tun_handshake *self)
{
    uint8_t offer[TUN_OFFER_LEN];

    start_noise(self, self->used, self->small);
    if (tun_noise_read(&self->noise, self->small + PREAMBLE_LEN, MSG1_LEN, self->big) != ERR_OK)
        return ERR_AUTH;
    tun_gateway_info_encode(offer, self->cfg.gateway);
    memcpy(self->small, msg2_header, MSG2_HEADER_LEN);
    if (tun_noise_write(&self->noise, offer, sizeof(offer), self->small + MSG2_HEADER_LEN) !=
        ERR_OK)
        return ERR_AUTH;
    set_out(self, TUN_MSG2_LEN);
    self->in_len = 0;
    self->step = AWAIT_MSG3;
    self->state = TUN_HANDSHAKE_READ;
    return ERR_OK;
}

/* Connector: message 2 -> message 3. */
static int work_msg2(struct tun_handshake *self)
{
    uint8_t payload[TUN_INFO_MAX], offer[TUN_OFFER_LEN];
    size_t len, total;
    int rc = tun_noise_read(&self->noise, self->big + MSG2_HEADER_LEN,
                            TUN_MSG2_LEN - MSG2_HEADER_LEN, offer);

    if (rc != ERR_OK)
        return rc;
    rc = tun_gateway_info_decode(&self->offer, offer);
    if (rc != ERR_OK)
        return rc;
    if (self->cfg.on_offer != NULL)
        self->cfg.on_offer(self->cfg.arg, &self->offer);
    if (self->cfg.test_payload != NULL) {
        len = TUN_INFO_PAD;
        memcpy(payload, self->cfg.test_payload, len);
    } else {
        len = tun_connector_info_encode(payload, self->cfg.connector);
    }
    total = len + MSG3_FIXED;
    self->big[0] = (uint8_t)(total >> 8);
    self->big[1] = (uint8_t)total;
    if (tun_noise_write(&self->noise, payload, len, self->big + MSG3_HEADER_LEN) != ERR_OK)
        return ERR_AUTH;
    set_out(self, MSG3_HEADER_LEN + total);
    self->state = TUN_HANDSHAKE_DONE;
    return ERR_OK;
}

/* Gateway: message 3. Only now is the connector's key proven. */
static int work_msg3(struct tun_handshake *self)
{
    struct tun_connector_info info;
    size_t len = self->in_len - MSG3_HEADER_LEN;
    int rc =
        tun_noise_read(&self->noise, self->big + MSG3_HEADER_LEN, len, self->big + MSG3_HEADER_LEN);

    if (rc != ERR_OK)
        return rc;
    self->payload_len = len - MSG3_FIXED;
    rc = tun_connector_info_decode(&info, self->big + MSG3_HEADER_LEN, self->payload_len);
    if (rc != ERR_OK)
        return rc;
    self->state = TUN_HANDSHAKE_DONE;
    return ERR_OK;
}

int tun_handshake_work(struct tun_handshake *self)
{
    int rc;

    if (self->state != TUN_HANDSHAKE_WORK)
        return ERR_OK;
    if (self->step == AWAIT_HELLO)
        rc = work_hello(self);
    else
        rc = self->step == AWAIT_MSG2 ? work_msg2(self) : work_msg3(self);
    return rc == ERR_OK ? ERR_OK : fail(self, rc);
}

const uint8_t *tun_handshake_out(const struct tun_handshake *self, size_t *len)
{
    bool is_msg3 = self->cfg.role == TUN_CONNECTOR && self->state == TUN_HANDSHAKE_DONE;

    *len = self->out_len - self->out_sent;
    return (is_msg3 ? self->big : self->small) + self->out_sent;
}

void tun_handshake_sent(struct tun_handshake *self, size_t n)
{
    self->out_sent += n;
}

void tun_handshake_finish(struct tun_handshake *self, struct tun_handshake_result *out)
{
    bool gateway = self->cfg.role == TUN_GATEWAY;

    memset(out, 0, sizeof(*out));
    out->role = self->cfg.role;
    out->suite = self->noise.suite;
    out->peer = self->noise.rs;
    out->own = self->noise.s_public;
    if (gateway) {
        (void)tun_connector_info_decode(&out->connector, self->big + MSG3_HEADER_LEN,
                                        self->payload_len); /* decoded before, in work_msg3 */
        out->peer_max_record = out->connector.max_record;
        tun_noise_split(&self->noise, out->recv_key, out->send_key);
        sodium_memzero(self->big, sizeof(self->big));
    } else {
        out->gateway = self->offer;
        out->peer_max_record = self->offer.max_record;
        tun_noise_split(&self->noise, out->send_key, out->recv_key);
    }
    tun_noise_wipe(&self->noise);
}

void tun_handshake_result_wipe(struct tun_handshake_result *result)
{
    sodium_memzero(result, sizeof(*result));
}
