/* SPDX-License-Identifier: Apache-2.0 */
/* Counter, length prefix and key change of one direction. */
#include "modules/tunnel/record.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "bus/base/err.h"

int tun_record_init(struct tun_record *self, enum tun_suite suite, bool seal,
                    const uint8_t key[TUN_CIPHER_KEY_LEN])
{
    memset(self, 0, sizeof(*self));
    self->suite = suite;
    memcpy(self->key, key, sizeof(self->key));
    return tun_cipher_new(&self->cipher, tun_cipher_provider(suite), suite, seal, key);
}

void tun_record_deinit(struct tun_record *self)
{
    tun_cipher_free(self->cipher);
    sodium_memzero(self, sizeof(*self));
}

/* Noise REKEY before records 4096, 8192, ...; the nonce keeps counting. */
static int change_key_if_due(struct tun_record *self)
{
    int rc;

    if (self->n == 0 || self->n % TUN_RECORD_REKEY != 0)
        return ERR_OK;
    rc = tun_cipher_rekey(self->suite, self->key);
    return rc == ERR_OK ? tun_cipher_set_key(self->cipher, self->key) : rc;
}

int tun_record_seal(struct tun_record *self, const struct tun_piece *pieces, size_t count,
                    size_t len, uint8_t *out)
{
    size_t sealed = len + TUN_CIPHER_TAG_LEN;
    int rc = change_key_if_due(self);

    assert(len > 0 && sealed <= UINT16_MAX);
    out[0] = (uint8_t)(sealed >> 8);
    out[1] = (uint8_t)sealed;
    if (rc == ERR_OK)
        rc = tun_cipher_seal(self->cipher, self->n, pieces, count, out + TUN_RECORD_HEADER_LEN);
    if (rc == ERR_OK)
        self->n++;
    return rc;
}

int tun_record_open(struct tun_record *self, uint8_t *ciphertext, size_t len)
{
    int rc = change_key_if_due(self);

    if (rc == ERR_OK)
        rc = tun_cipher_open(self->cipher, self->n, ciphertext, len);
    if (rc == ERR_OK)
        self->n++;
    return rc == ERR_OK ? ERR_OK : ERR_AUTH;
}
