/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise XK: -> e, es   <- e, ee   -> s, se (psk). Function names follow the Noise specification
 * (section 5), so the two can be read side by side.
 */
#include "modules/tunnel/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "bus/base/err.h"

#define HASH_BLOCK 128 /* of BLAKE2b, for HMAC */
#define TAG TUN_CIPHER_TAG_LEN

static void hash2(uint8_t out[TUN_NOISE_HASH_LEN], struct tun_piece a, struct tun_piece b)
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, TUN_NOISE_HASH_LEN);
    (void)crypto_generichash_update(&state, a.data, a.len);
    (void)crypto_generichash_update(&state, b.data, b.len);
    (void)crypto_generichash_final(&state, out, TUN_NOISE_HASH_LEN);
    sodium_memzero(&state, sizeof(state));
}

/* RFC 2104 over unkeyed BLAKE2b-512; KEY is always one hash long. DATA is A followed by B. */
static void hmac(uint8_t out[TUN_NOISE_HASH_LEN], const uint8_t key[TUN_NOISE_HASH_LEN],
                 struct tun_piece a, struct tun_piece b)
{
    uint8_t pad[HASH_BLOCK], inner[TUN_NOISE_HASH_LEN];
    crypto_generichash_state state;

    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] = (uint8_t)((i < TUN_NOISE_HASH_LEN ? key[i] : 0) ^ 0x36);
    (void)crypto_generichash_init(&state, NULL, 0, sizeof(inner));
    (void)crypto_generichash_update(&state, pad, sizeof(pad));
    (void)crypto_generichash_update(&state, a.data, a.len);
    (void)crypto_generichash_update(&state, b.data, b.len);
    (void)crypto_generichash_final(&state, inner, sizeof(inner));
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36 ^ 0x5c;
    hash2(out, (struct tun_piece){pad, sizeof(pad)}, (struct tun_piece){inner, sizeof(inner)});
    sodium_memzero(pad, sizeof(pad));
    sodium_memzero(inner, sizeof(inner));
    sodium_memzero(&state, sizeof(state));
}

/* HKDF of the Noise specification, section 4.3: COUNT (2 or 3) outputs of 64 bytes. */
static void hkdf(uint8_t (*out)[TUN_NOISE_HASH_LEN], size_t count,
                 const uint8_t ck[TUN_NOISE_HASH_LEN], struct tun_piece input)
{
    uint8_t temp[TUN_NOISE_HASH_LEN], copy[TUN_NOISE_HASH_LEN];
    struct tun_piece previous = {NULL, 0};

    hmac(temp, ck, input, (struct tun_piece){NULL, 0});
    for (size_t i = 0; i < count; i++) {
        uint8_t counter = (uint8_t)(i + 1);

        hmac(copy, temp, previous, (struct tun_piece){&counter, 1});
        memcpy(out[i], copy, sizeof(copy));
        previous = (struct tun_piece){out[i], TUN_NOISE_HASH_LEN};
    }
    sodium_memzero(temp, sizeof(temp));
    sodium_memzero(copy, sizeof(copy));
}

static void mix_hash(struct tun_noise *self, const uint8_t *data, size_t len)
{
    hash2(self->h, (struct tun_piece){self->h, sizeof(self->h)}, (struct tun_piece){data, len});
}

static void mix_key(struct tun_noise *self, const uint8_t *input, size_t len)
{
    uint8_t out[2][TUN_NOISE_HASH_LEN];

    hkdf(out, 2, self->ck, (struct tun_piece){input, len});
    memcpy(self->ck, out[0], sizeof(self->ck));
    memcpy(self->k, out[1], sizeof(self->k));
    self->n = 0;
    sodium_memzero(out, sizeof(out));
}

static void mix_key_and_hash(struct tun_noise *self, const uint8_t *input, size_t len)
{
    uint8_t out[3][TUN_NOISE_HASH_LEN];

    hkdf(out, 3, self->ck, (struct tun_piece){input, len});
    memcpy(self->ck, out[0], sizeof(self->ck));
    mix_hash(self, out[1], sizeof(out[1]));
    memcpy(self->k, out[2], sizeof(self->k));
    self->n = 0;
    sodium_memzero(out, sizeof(out));
}

/* False when the product is all zeros, i.e. PUBLIC is of small order; the key is mixed all the
 * same, so that both cases take the same time. */
static bool mix_dh(struct tun_noise *self, const struct tun_secret_key *secret,
                   const struct tun_public_key *public_key)
{
    uint8_t product[TUN_KEY_LEN] = {0};
    bool ok = crypto_scalarmult(product, secret->bytes, public_key->bytes) == 0;

    mix_key(self, product, sizeof(product));
    sodium_memzero(product, sizeof(product));
    return ok;
}

/* A psk pattern mixes every ephemeral into the key as well (Noise section 9.2). */
static void mix_ephemeral(struct tun_noise *self, const struct tun_public_key *e)
{
    mix_hash(self, e->bytes, sizeof(e->bytes));
    if (self->has_psk)
        mix_key(self, e->bytes, sizeof(e->bytes));
}

static int encrypt_and_hash(struct tun_noise *self, struct tun_piece in, uint8_t *out)
{
    struct tun_piece ad = {self->h, sizeof(self->h)};
    int rc = tun_cipher_seal_once(self->suite, self->k, self->n++, ad, in, out);

    mix_hash(self, out, in.len + TAG);
    return rc;
}

/* OUT may be where the ciphertext lies, so it is hashed first. */
static int decrypt_and_hash(struct tun_noise *self, struct tun_piece in, uint8_t *out)
{
    uint8_t before[TUN_NOISE_HASH_LEN];

    memcpy(before, self->h, sizeof(before));
    mix_hash(self, in.data, in.len);
    return tun_cipher_open_once(self->suite, self->k, self->n++,
                                (struct tun_piece){before, sizeof(before)}, in, out);
}

void tun_noise_init(struct tun_noise *self, const struct tun_noise_config *cfg)
{
    static const char *const names[2][2] = {
        {"Noise_XK_25519_ChaChaPoly_BLAKE2b", "Noise_XK_25519_AESGCM_BLAKE2b"},
        {"Noise_XKpsk3_25519_ChaChaPoly_BLAKE2b", "Noise_XKpsk3_25519_AESGCM_BLAKE2b"},
    };
    const char *name = names[cfg->psk != NULL][cfg->suite == TUN_SUITE_AES];

    memset(self, 0, sizeof(*self));
    self->role = cfg->role;
    self->suite = cfg->suite;
    self->s = cfg->static_key;
    self->s_public = *cfg->static_public;
    if (cfg->role == TUN_CONNECTOR)
        self->rs = *cfg->remote;
    if (cfg->psk != NULL) {
        self->has_psk = true;
        memcpy(self->psk, cfg->psk, sizeof(self->psk));
    }
    memcpy(self->h, name, strlen(name)); /* not longer than a hash: padded with zeros */
    memcpy(self->ck, self->h, sizeof(self->ck));
    mix_hash(self, cfg->prologue.data, cfg->prologue.len);
    mix_hash(self, cfg->role == TUN_CONNECTOR ? self->rs.bytes : self->s_public.bytes, TUN_KEY_LEN);
    if (cfg->test_ephemeral != NULL)
        self->e = *cfg->test_ephemeral;
    else
        tun_key_random(&self->e);
    tun_key_public(&self->e_public, &self->e);
}

size_t tun_noise_overhead(unsigned number)
{
    return number < 2 ? TUN_KEY_LEN + TAG : TUN_KEY_LEN + TAG + TAG;
}

static int write_static(struct tun_noise *self, uint8_t *out)
{
    struct tun_piece s = {self->s_public.bytes, TUN_KEY_LEN};

    if (encrypt_and_hash(self, s, out) != ERR_OK || !mix_dh(self, self->s, &self->re))
        return ERR_AUTH;
    if (self->has_psk)
        mix_key_and_hash(self, self->psk, sizeof(self->psk));
    return ERR_OK;
}

static int write_ephemeral(struct tun_noise *self, uint8_t *out)
{
    memcpy(out, self->e_public.bytes, TUN_KEY_LEN);
    mix_ephemeral(self, &self->e_public);
    return mix_dh(self, &self->e, self->message == 0 ? &self->rs : &self->re) ? ERR_OK : ERR_AUTH;
}

int tun_noise_write(struct tun_noise *self, const uint8_t *payload, size_t len, uint8_t *out)
{
    size_t key_len = tun_noise_overhead(self->message) - TAG;
    int rc;

    assert(self->message < 3 && (self->message % 2 == 0) == (self->role == TUN_CONNECTOR));
    rc = self->message < 2 ? write_ephemeral(self, out) : write_static(self, out);
    if (rc == ERR_OK)
        rc = encrypt_and_hash(self, (struct tun_piece){payload, len}, out + key_len);
    self->message++;
    return rc;
}

/* `se` and the psk are mixed whatever became of `s`: its failure shows in no timing. */
static bool read_static(struct tun_noise *self, const uint8_t *message)
{
    struct tun_piece s = {message, TUN_KEY_LEN + TAG};
    bool ok = decrypt_and_hash(self, s, self->rs.bytes) == ERR_OK;

    ok = mix_dh(self, &self->e, &self->rs) && ok;
    if (self->has_psk)
        mix_key_and_hash(self, self->psk, sizeof(self->psk));
    return ok;
}

static bool read_ephemeral(struct tun_noise *self, const uint8_t *message)
{
    memcpy(self->re.bytes, message, TUN_KEY_LEN);
    mix_ephemeral(self, &self->re);
    return mix_dh(self, self->message == 0 ? self->s : &self->e, &self->re);
}

int tun_noise_read(struct tun_noise *self, const uint8_t *message, size_t len, uint8_t *payload)
{
    size_t key_len = tun_noise_overhead(self->message) - TAG;
    struct tun_piece rest = {message + key_len, len - key_len};
    bool ok;

    assert(self->message < 3 && (self->message % 2 == 0) == (self->role == TUN_GATEWAY));
    assert(len >= key_len + TAG);
    ok = self->message < 2 ? read_ephemeral(self, message) : read_static(self, message);
    ok = decrypt_and_hash(self, rest, payload) == ERR_OK && ok;
    self->message++;
    return ok ? ERR_OK : ERR_AUTH;
}

void tun_noise_split(const struct tun_noise *self, uint8_t initiator_to_responder[32],
                     uint8_t responder_to_initiator[32])
{
    uint8_t out[2][TUN_NOISE_HASH_LEN];

    assert(self->message == 3);
    hkdf(out, 2, self->ck, (struct tun_piece){NULL, 0});
    memcpy(initiator_to_responder, out[0], TUN_CIPHER_KEY_LEN);
    memcpy(responder_to_initiator, out[1], TUN_CIPHER_KEY_LEN);
    sodium_memzero(out, sizeof(out));
}

void tun_noise_wipe(struct tun_noise *self)
{
    sodium_memzero(self, sizeof(*self));
}
