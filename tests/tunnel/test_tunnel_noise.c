/* SPDX-License-Identifier: Apache-2.0 */
/* The public Noise vectors for XK and XKpsk3 (vectors/noise_xk.json), both ciphers, both sides. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "modules/tunnel/noise.h"
#include "tests/support/suite.h"

#define MESSAGE_MAX 256

struct party {
    struct tun_secret_key secret, ephemeral;
    struct tun_public_key public_key;
    uint8_t prologue[MESSAGE_MAX], psk[TUN_NOISE_PSK_LEN];
    struct tun_noise_config cfg;
    struct tun_noise noise;
};

static size_t unhex(uint8_t *out, const char *text)
{
    size_t len = strlen(text) / 2;

    ck_assert(len <= MESSAGE_MAX);
    ck_assert_int_eq(hex_decode(out, len, text, strlen(text)), ERR_OK);
    return len;
}

static const char *field(const json_t *vector, const char *side, const char *name)
{
    char key[64];

    snprintf(key, sizeof(key), "%s_%s", side, name);
    return json_string_value(json_object_get(vector, key));
}

static void party_init(struct party *self, const json_t *vector, enum tun_role role)
{
    static struct tun_public_key remote;
    const char *side = role == TUN_CONNECTOR ? "init" : "resp";
    const char *name = json_string_value(json_object_get(vector, "protocol_name"));

    memset(self, 0, sizeof(*self));
    unhex(self->secret.bytes, field(vector, side, "static"));
    unhex(self->ephemeral.bytes, field(vector, side, "ephemeral"));
    tun_key_public(&self->public_key, &self->secret);
    self->cfg = (struct tun_noise_config){
        .role = role,
        .suite = strstr(name, "AESGCM") != NULL ? TUN_SUITE_AES : TUN_SUITE_CHACHA,
        .static_key = &self->secret,
        .static_public = &self->public_key,
        .prologue = {self->prologue, unhex(self->prologue, field(vector, side, "prologue"))},
        .test_ephemeral = &self->ephemeral,
    };
    if (role == TUN_CONNECTOR) {
        unhex(remote.bytes, field(vector, side, "remote_static"));
        self->cfg.remote = &remote;
    }
    if (strstr(name, "psk3") != NULL) {
        char key[16];

        snprintf(key, sizeof(key), "%s_psks", side);
        unhex(self->psk, json_string_value(json_array_get(json_object_get(vector, key), 0)));
        self->cfg.psk = self->psk;
    }
    tun_noise_init(&self->noise, &self->cfg);
}

static void check_handshake(struct party *from, struct party *to, const json_t *message)
{
    uint8_t payload[MESSAGE_MAX], want[MESSAGE_MAX], got[MESSAGE_MAX], back[MESSAGE_MAX];
    size_t len = unhex(payload, json_string_value(json_object_get(message, "payload")));
    size_t want_len = unhex(want, json_string_value(json_object_get(message, "ciphertext")));

    ck_assert_uint_eq(want_len, len + tun_noise_overhead(from->noise.message));
    ck_assert_int_eq(tun_noise_write(&from->noise, payload, len, got), ERR_OK);
    ck_assert_mem_eq(got, want, want_len);
    ck_assert_int_eq(tun_noise_read(&to->noise, got, want_len, back), ERR_OK);
    ck_assert_mem_eq(back, payload, len);
}

/* Transport messages go on in turns, the responder's first. */
static void check_transport(enum tun_suite suite, const uint8_t key[32], uint64_t n,
                            const json_t *message)
{
    uint8_t payload[MESSAGE_MAX], want[MESSAGE_MAX], got[MESSAGE_MAX];
    size_t len = unhex(payload, json_string_value(json_object_get(message, "payload")));
    size_t want_len = unhex(want, json_string_value(json_object_get(message, "ciphertext")));

    ck_assert_uint_eq(want_len, len + TUN_CIPHER_TAG_LEN);
    ck_assert_int_eq(tun_cipher_seal_once(suite, key, n, (struct tun_piece){0},
                                          (struct tun_piece){payload, len}, got),
                     ERR_OK);
    ck_assert_mem_eq(got, want, want_len);
}

static void check_vector(const json_t *vector)
{
    const json_t *messages = json_object_get(vector, "messages");
    const json_t *hash = json_object_get(vector, "handshake_hash");
    struct party init, resp;
    uint8_t keys[2][32], again[2][32], want[MESSAGE_MAX];

    party_init(&init, vector, TUN_CONNECTOR);
    party_init(&resp, vector, TUN_GATEWAY);
    check_handshake(&init, &resp, json_array_get(messages, 0));
    check_handshake(&resp, &init, json_array_get(messages, 1));
    check_handshake(&init, &resp, json_array_get(messages, 2));
    ck_assert(tun_key_equal(&resp.noise.rs, &init.public_key));
    if (hash != NULL) {
        unhex(want, json_string_value(hash));
        ck_assert_mem_eq(init.noise.h, want, TUN_NOISE_HASH_LEN);
    }
    tun_noise_split(&init.noise, keys[0], keys[1]);
    tun_noise_split(&resp.noise, again[0], again[1]);
    ck_assert_mem_eq(keys, again, sizeof(keys));
    for (size_t i = 3; i < json_array_size(messages); i++)
        check_transport(init.cfg.suite, keys[i % 2 == 1], (i - 3) / 2, json_array_get(messages, i));
}

START_TEST(test_noise_public_vectors)
{
    const char *root = getenv("NW_SOURCE_DIR");
    char path[4096];
    json_t *file;

    snprintf(path, sizeof(path), "%s/tests/tunnel/vectors/noise_xk.json", root ? root : ".");
    file = json_load_file(path, 0, NULL);
    ck_assert_msg(file != NULL, "cannot read %s", path);

    const json_t *vectors = json_object_get(file, "vectors");
    ck_assert_uint_eq(json_array_size(vectors), 6);
    for (size_t i = 0; i < json_array_size(vectors); i++)
        check_vector(json_array_get(vectors, i));
    json_decref(file);
}
END_TEST

/* A small-order ephemeral would give a key that anybody knows. */
START_TEST(test_noise_refuses_small_order_ephemeral)
{
    struct tun_secret_key secret = {{0x22}};
    struct tun_public_key public_key;
    uint8_t message[48] = {0}, payload[1];
    struct tun_noise noise;

    tun_key_public(&public_key, &secret);
    struct tun_noise_config cfg = {.role = TUN_GATEWAY,
                                   .suite = TUN_SUITE_CHACHA,
                                   .static_key = &secret,
                                   .static_public = &public_key};
    tun_noise_init(&noise, &cfg);
    ck_assert_int_eq(tun_noise_read(&noise, message, sizeof(message), payload), ERR_AUTH);
    tun_noise_wipe(&noise);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/noise");
    TCase *tc = tcase_create("vectors");

    tcase_add_test(tc, test_noise_public_vectors);
    tcase_add_test(tc, test_noise_refuses_small_order_ephemeral);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
