/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider libsodium. Its calls take one piece only, so pieces are gathered in the output and
 * sealed there in place. AES exists only where the CPU has instructions for it.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/cipher_provider.h"

struct sodium_cipher {
    crypto_aead_aes256gcm_state aes; /* key schedule; first, it needs alignment */
    uint8_t key[TUN_CIPHER_KEY_LEN];
    enum tun_suite suite;
};

static bool sodium_works(enum tun_suite suite)
{
    if (sodium_init() < 0)
        return false;
    return suite == TUN_SUITE_CHACHA ||
           (suite == TUN_SUITE_AES && crypto_aead_aes256gcm_is_available() != 0);
}

static void *sodium_create(enum tun_suite suite, bool seal)
{
    struct sodium_cipher *self = calloc(1, sizeof(*self));

    (void)seal; /* both directions use the same state */
    if (self != NULL)
        self->suite = suite;
    return self;
}

static void sodium_destroy(void *impl)
{
    if (impl == NULL)
        return;
    sodium_memzero(impl, sizeof(struct sodium_cipher));
    free(impl);
}

static int sodium_set_key(void *impl, const uint8_t key[TUN_CIPHER_KEY_LEN])
{
    struct sodium_cipher *self = impl;

    memcpy(self->key, key, sizeof(self->key));
    if (self->suite == TUN_SUITE_AES)
        (void)crypto_aead_aes256gcm_beforenm(&self->aes, key);
    return ERR_OK;
}

static int sodium_seal(void *impl, const uint8_t nonce[TUN_CIPHER_NONCE_LEN], struct tun_piece ad,
                       const struct tun_piece *pieces, size_t count, uint8_t *out)
{
    struct sodium_cipher *self = impl;
    size_t len = 0;
    int rc;

    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0)
            memmove(out + len, pieces[i].data, pieces[i].len);
        len += pieces[i].len;
    }
    if (self->suite == TUN_SUITE_AES)
        rc = crypto_aead_aes256gcm_encrypt_detached_afternm(out, out + len, NULL, out, len, ad.data,
                                                            ad.len, NULL, nonce, &self->aes);
    else
        rc = crypto_aead_chacha20poly1305_ietf_encrypt_detached(
            out, out + len, NULL, out, len, ad.data, ad.len, NULL, nonce, self->key);
    return rc == 0 ? ERR_OK : ERR_INVALID;
}

static int sodium_open(void *impl, const uint8_t nonce[TUN_CIPHER_NONCE_LEN], struct tun_piece ad,
                       struct tun_piece in, uint8_t *out)
{
    struct sodium_cipher *self = impl;
    size_t body = in.len - TUN_CIPHER_TAG_LEN;
    const uint8_t *tag = in.data + body;
    int rc;

    if (self->suite == TUN_SUITE_AES)
        rc = crypto_aead_aes256gcm_decrypt_detached_afternm(out, NULL, in.data, body, tag, ad.data,
                                                            ad.len, nonce, &self->aes);
    else
        rc = crypto_aead_chacha20poly1305_ietf_decrypt_detached(out, NULL, in.data, body, tag,
                                                                ad.data, ad.len, nonce, self->key);
    return rc == 0 ? ERR_OK : ERR_AUTH;
}

const struct tun_cipher_ops tun_cipher_sodium_ops = {
    .works = sodium_works,
    .create = sodium_create,
    .destroy = sodium_destroy,
    .set_key = sodium_set_key,
    .seal = sodium_seal,
    .open = sodium_open,
};
