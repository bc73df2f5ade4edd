/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's keys in use; see keyring.h. */
#include "modules/gateway/keyring.h"

#include <assert.h>
#include <stdlib.h>

#include "bus/base/err.h"

#define SLOTS 2

static int put(struct gw_keyring *self, struct tun_identity *out,
               const struct tun_secret_key *secret)
{
    struct tun_secret_key copy = *secret; /* the vault wipes it */
    const struct tun_secret_key *kept;
    int rc = tun_vault_add(self->vault, &kept, &copy);

    if (rc == ERR_OK)
        tun_identity_init(out, kept);
    return rc;
}

int gw_keyring_new(struct gw_keyring **out, const struct gw_keyring_config *cfg)
{
    struct gw_keyring *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->refs = 1;
    self->has_next = cfg->next != NULL;
    self->next_is_past = self->has_next && cfg->next_is_past;
    if (tun_vault_new(&self->vault, SLOTS) != ERR_OK || put(self, &self->own, cfg->key) != ERR_OK ||
        (self->has_next && put(self, &self->next, cfg->next) != ERR_OK)) {
        gw_keyring_unref(self);
        return ERR_NOMEM;
    }
    *out = self;
    return ERR_OK;
}

struct gw_keyring *gw_keyring_ref(struct gw_keyring *self)
{
    self->refs++;
    return self;
}

void gw_keyring_unref(struct gw_keyring *self)
{
    if (self == NULL)
        return;
    assert(self->refs > 0);
    if (--self->refs > 0)
        return;
    tun_vault_free(self->vault);
    free(self);
}

bool gw_keyring_has(const struct gw_keyring *self, const struct tun_public_key *key)
{
    return tun_key_equal(&self->own.public_key, key) ||
           (self->has_next && tun_key_equal(&self->next.public_key, key));
}

const struct tun_public_key *gw_keyring_announce(const struct gw_keyring *self,
                                                 const struct tun_public_key *used)
{
    const struct tun_public_key *wanted =
        self->has_next && !self->next_is_past ? &self->next.public_key : &self->own.public_key;

    return tun_key_equal(wanted, used) ? NULL : wanted;
}
