/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider libcrypto: one EVP context per cipher, made once. Setting only the nonce keeps the key
 * schedule and allocates nothing, and updates take the pieces where they lie.
 */
#include <openssl/evp.h>
#include <stdlib.h>

#include "bus/base/err.h"
#include "modules/tunnel/cipher_provider.h"

struct crypto_cipher {
    EVP_CIPHER_CTX *ctx;
    bool seal;
};

static bool crypto_works(enum tun_suite suite)
{
    return suite == TUN_SUITE_AES || suite == TUN_SUITE_CHACHA;
}

static void crypto_destroy(void *impl)
{
    struct crypto_cipher *self = impl;

    if (self == NULL)
        return;
    EVP_CIPHER_CTX_free(self->ctx); /* wipes */
    free(self);
}

static void *crypto_create(enum tun_suite suite, bool seal)
{
    const EVP_CIPHER *type = suite == TUN_SUITE_AES ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
    struct crypto_cipher *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->seal = seal;
    self->ctx = EVP_CIPHER_CTX_new();
    if (self->ctx == NULL || EVP_CipherInit_ex(self->ctx, type, NULL, NULL, NULL, seal) != 1) {
        crypto_destroy(self);
        return NULL;
    }
    return self;
}

static int crypto_set_key(void *impl, const uint8_t key[TUN_CIPHER_KEY_LEN])
{
    struct crypto_cipher *self = impl;

    return EVP_CipherInit_ex(self->ctx, NULL, NULL, key, NULL, -1) == 1 ? ERR_OK : ERR_NOMEM;
}

static bool crypto_begin(EVP_CIPHER_CTX *ctx, const uint8_t *nonce, struct tun_piece ad)
{
    int n = 0;

    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
           (ad.len == 0 || EVP_CipherUpdate(ctx, NULL, &n, ad.data, (int)ad.len) == 1);
}

static int crypto_seal(void *impl, const uint8_t nonce[TUN_CIPHER_NONCE_LEN], struct tun_piece ad,
                       const struct tun_piece *pieces, size_t count, uint8_t *out)
{
    struct crypto_cipher *self = impl;
    int n = 0;

    if (!crypto_begin(self->ctx, nonce, ad))
        return ERR_INVALID;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len == 0)
            continue;
        if (EVP_CipherUpdate(self->ctx, out, &n, pieces[i].data, (int)pieces[i].len) != 1)
            return ERR_INVALID;
        out += n;
    }
    if (EVP_CipherFinal_ex(self->ctx, out, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(self->ctx, EVP_CTRL_AEAD_GET_TAG, TUN_CIPHER_TAG_LEN, out) != 1)
        return ERR_INVALID;
    return ERR_OK;
}

static int crypto_open(void *impl, const uint8_t nonce[TUN_CIPHER_NONCE_LEN], struct tun_piece ad,
                       struct tun_piece in, uint8_t *out)
{
    struct crypto_cipher *self = impl;
    size_t body = in.len - TUN_CIPHER_TAG_LEN;
    uint8_t tag[TUN_CIPHER_TAG_LEN];
    int n = 0;

    for (size_t i = 0; i < sizeof(tag); i++) /* OpenSSL takes it through a non-const pointer */
        tag[i] = in.data[body + i];
    if (!crypto_begin(self->ctx, nonce, ad) ||
        EVP_CIPHER_CTX_ctrl(self->ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1)
        return ERR_AUTH;
    if (body > 0 && EVP_CipherUpdate(self->ctx, out, &n, in.data, (int)body) != 1)
        return ERR_AUTH;
    return EVP_CipherFinal_ex(self->ctx, out + n, &n) == 1 ? ERR_OK : ERR_AUTH;
}

const struct tun_cipher_ops tun_cipher_crypto_ops = {
    .works = crypto_works,
    .create = crypto_create,
    .destroy = crypto_destroy,
    .set_key = crypto_set_key,
    .seal = crypto_seal,
    .open = crypto_open,
};
