/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and the vault. The slab is one page-aligned block, so that locking it costs few pages. */
#include "modules/tunnel/key.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"

struct tun_vault {
    struct tun_secret_key *slab; /* page-aligned, slab_len bytes */
    size_t slab_len;
    bool *taken; /* per slot */
    size_t slots;
    int lock_errno; /* 0 = locked */
};

void tun_key_public(struct tun_public_key *out, const struct tun_secret_key *secret)
{
    (void)crypto_scalarmult_base(out->bytes, secret->bytes); /* cannot fail for the base point */
}

void tun_key_random(struct tun_secret_key *out)
{
    randombytes_buf(out->bytes, sizeof(out->bytes));
}

void tun_key_wipe(struct tun_secret_key *secret)
{
    sodium_memzero(secret, sizeof(*secret));
}

/* A point of small order gives the all-zero product with every clamped scalar. */
static bool is_small_order(const struct tun_public_key *key)
{
    static const uint8_t any_scalar[TUN_KEY_LEN] = {8, [TUN_KEY_LEN - 1] = 64};
    uint8_t product[TUN_KEY_LEN];

    return crypto_scalarmult(product, any_scalar, key->bytes) != 0;
}

int tun_key_parse(struct tun_public_key *out, const char *text, size_t len)
{
    if (hex_decode(out->bytes, sizeof(out->bytes), text, len) == ERR_OK && !is_small_order(out))
        return ERR_OK;
    memset(out, 0, sizeof(*out));
    return ERR_INVALID;
}

void tun_key_print(char out[TUN_KEY_TEXT_LEN + 1], const struct tun_public_key *key)
{
    hex_encode(out, key->bytes, sizeof(key->bytes));
}

bool tun_key_equal(const struct tun_public_key *a, const struct tun_public_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int tun_vault_new(struct tun_vault **out, size_t slots)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct tun_vault *self;

    if (sodium_init() < 0 || slots == 0 || slots > SIZE_MAX / 2 / sizeof(*self->slab))
        return ERR_NOMEM;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->slots = slots;
    self->slab_len = (slots * sizeof(*self->slab) + page - 1) / page * page;
    self->taken = calloc(slots, sizeof(*self->taken));
    if (self->taken == NULL)
        goto free_self;
    self->slab = aligned_alloc(page, self->slab_len);
    if (self->slab == NULL)
        goto free_taken;
    memset(self->slab, 0, self->slab_len);
    if (sodium_mlock(self->slab, self->slab_len) != 0)
        self->lock_errno = errno != 0 ? errno : ENOMEM;
    *out = self;
    return ERR_OK;

free_taken:
    free(self->taken);
free_self:
    free(self);
    return ERR_NOMEM;
}

void tun_vault_free(struct tun_vault *self)
{
    if (self == NULL)
        return;
    if (self->lock_errno == 0)
        (void)sodium_munlock(self->slab, self->slab_len); /* wipes; freed all the same */
    sodium_memzero(self->slab, self->slab_len);
    free(self->slab);
    free(self->taken);
    free(self);
}

int tun_vault_lock_error(const struct tun_vault *self)
{
    if (self->lock_errno == 0)
        return ERR_OK;
    errno = self->lock_errno;
    return ERR_SYS;
}

int tun_vault_add(struct tun_vault *self, const struct tun_secret_key **out,
                  struct tun_secret_key *secret)
{
    size_t i = 0;

    while (i < self->slots && self->taken[i])
        i++;
    if (i < self->slots) {
        self->taken[i] = true;
        self->slab[i] = *secret;
        *out = &self->slab[i];
    }
    tun_key_wipe(secret);
    return i < self->slots ? ERR_OK : ERR_LIMIT;
}

void tun_vault_remove(struct tun_vault *self, const struct tun_secret_key *key)
{
    if (key == NULL)
        return;
    size_t i = (size_t)(key - self->slab);

    tun_key_wipe(&self->slab[i]);
    self->taken[i] = false;
}
