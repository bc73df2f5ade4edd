/* SPDX-License-Identifier: Apache-2.0 */
/* Nonces, the choice of provider and suite, and Noise's REKEY; the work is done by a provider. */
#include "modules/tunnel/cipher.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/cipher_provider.h"

#ifdef NW_TUNNEL_PROVIDER_SODIUM
#define DEFAULT_PROVIDER TUN_PROVIDER_SODIUM
#else
#define DEFAULT_PROVIDER TUN_PROVIDER_CRYPTO
#endif

struct tun_cipher {
    const struct tun_cipher_ops *ops;
    void *impl; /* owned */
    enum tun_suite suite;
};

static const struct tun_cipher_ops *provider_ops(enum tun_provider provider)
{
    switch (provider) {
    case TUN_PROVIDER_SODIUM:
        return &tun_cipher_sodium_ops;
    case TUN_PROVIDER_IPSEC:
        return &tun_cipher_ipsec_ops;
    case TUN_PROVIDER_CRYPTO:
        break;
    }
    return &tun_cipher_crypto_ops;
}

enum tun_provider tun_cipher_provider(enum tun_suite suite)
{
    bool faster = DEFAULT_PROVIDER == TUN_PROVIDER_CRYPTO && tun_cipher_ipsec_ops.works(suite);

    return faster ? TUN_PROVIDER_IPSEC : DEFAULT_PROVIDER;
}

bool tun_cipher_works(enum tun_provider provider, enum tun_suite suite)
{
    return provider_ops(provider)->works(suite);
}

enum tun_suite tun_cipher_best_suite(void)
{
    if (sodium_init() >= 0 && sodium_runtime_has_aesni() && sodium_runtime_has_pclmul() &&
        tun_cipher_works(DEFAULT_PROVIDER, TUN_SUITE_AES))
        return TUN_SUITE_AES;
#if defined(__aarch64__) && defined(__ARM_FEATURE_AES)
    if (tun_cipher_works(DEFAULT_PROVIDER, TUN_SUITE_AES))
        return TUN_SUITE_AES;
#endif
    return TUN_SUITE_CHACHA;
}

const char *tun_cipher_suite_name(enum tun_suite suite)
{
    switch (suite) {
    case TUN_SUITE_CHACHA:
        return "chacha20-poly1305";
    case TUN_SUITE_AES:
        return "aes-256-gcm";
    }
    return "unknown";
}

/* Noise section 12: 32 zero bits, then n, little-endian for ChaChaPoly, big-endian for AESGCM. */
static void make_nonce(uint8_t out[TUN_CIPHER_NONCE_LEN], enum tun_suite suite, uint64_t n)
{
    memset(out, 0, 4);
    for (unsigned i = 0; i < 8; i++) {
        unsigned shift = suite == TUN_SUITE_CHACHA ? 8 * i : 56 - 8 * i;

        out[4 + i] = (uint8_t)(n >> shift);
    }
}

int tun_cipher_new(struct tun_cipher **out, enum tun_provider provider, enum tun_suite suite,
                   bool seal, const uint8_t key[TUN_CIPHER_KEY_LEN])
{
    const struct tun_cipher_ops *ops = provider_ops(provider);
    struct tun_cipher *self;
    int rc = ERR_NOMEM;

    if (!ops->works(suite))
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->ops = ops;
    self->suite = suite;
    self->impl = ops->create(suite, seal);
    if (self->impl == NULL)
        goto free_self;
    rc = ops->set_key(self->impl, key);
    if (rc != ERR_OK)
        goto free_self;
    *out = self;
    return ERR_OK;

free_self:
    tun_cipher_free(self);
    return rc;
}

void tun_cipher_free(struct tun_cipher *self)
{
    if (self == NULL)
        return;
    self->ops->destroy(self->impl);
    free(self);
}

int tun_cipher_set_key(struct tun_cipher *self, const uint8_t key[TUN_CIPHER_KEY_LEN])
{
    return self->ops->set_key(self->impl, key);
}

int tun_cipher_seal(struct tun_cipher *self, uint64_t n, const struct tun_piece *pieces,
                    size_t count, uint8_t *out)
{
    uint8_t nonce[TUN_CIPHER_NONCE_LEN];

    make_nonce(nonce, self->suite, n);
    return self->ops->seal(self->impl, nonce, (struct tun_piece){0}, pieces, count, out);
}

int tun_cipher_open(struct tun_cipher *self, uint64_t n, uint8_t *data, size_t len)
{
    uint8_t nonce[TUN_CIPHER_NONCE_LEN];

    if (len < TUN_CIPHER_TAG_LEN)
        return ERR_AUTH;
    make_nonce(nonce, self->suite, n);
    return self->ops->open(self->impl, nonce, (struct tun_piece){0}, (struct tun_piece){data, len},
                           data);
}

/* libsodium first: its set-up costs less than an EVP context, which pays off only in bulk. */
static enum tun_provider once_provider(enum tun_suite suite)
{
    return tun_cipher_sodium_ops.works(suite) ? TUN_PROVIDER_SODIUM : TUN_PROVIDER_CRYPTO;
}

int tun_cipher_seal_once(enum tun_suite suite, const uint8_t key[TUN_CIPHER_KEY_LEN], uint64_t n,
                         struct tun_piece ad, struct tun_piece in, uint8_t *out)
{
    uint8_t nonce[TUN_CIPHER_NONCE_LEN];
    struct tun_cipher *cipher;
    int rc = tun_cipher_new(&cipher, once_provider(suite), suite, true, key);

    if (rc != ERR_OK)
        return rc;
    make_nonce(nonce, suite, n);
    rc = cipher->ops->seal(cipher->impl, nonce, ad, &in, 1, out);
    tun_cipher_free(cipher);
    return rc;
}

int tun_cipher_open_once(enum tun_suite suite, const uint8_t key[TUN_CIPHER_KEY_LEN], uint64_t n,
                         struct tun_piece ad, struct tun_piece in, uint8_t *out)
{
    uint8_t nonce[TUN_CIPHER_NONCE_LEN];
    struct tun_cipher *cipher;
    int rc;

    if (in.len < TUN_CIPHER_TAG_LEN)
        return ERR_AUTH;
    rc = tun_cipher_new(&cipher, once_provider(suite), suite, false, key);
    if (rc != ERR_OK)
        return rc;
    make_nonce(nonce, suite, n);
    rc = cipher->ops->open(cipher->impl, nonce, ad, in, out);
    tun_cipher_free(cipher);
    return rc;
}

int tun_cipher_rekey(enum tun_suite suite, uint8_t key[TUN_CIPHER_KEY_LEN])
{
    static const uint8_t zeros[TUN_CIPHER_KEY_LEN];
    uint8_t sealed[sizeof(zeros) + TUN_CIPHER_TAG_LEN];
    int rc = tun_cipher_seal_once(suite, key, UINT64_MAX, (struct tun_piece){0},
                                  (struct tun_piece){zeros, sizeof(zeros)}, sealed);

    if (rc == ERR_OK)
        memcpy(key, sealed, TUN_CIPHER_KEY_LEN);
    sodium_memzero(sealed, sizeof(sealed));
    return rc;
}
