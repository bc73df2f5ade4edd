/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider libIPSec_MB, where CMake found it: AES-256-GCM with the 512 bit wide AES and carry-less
 * multiplication of newer CPUs, which the libcrypto of Debian 12 does not use for GCM. Works only
 * on a CPU that has them.
 */
#include "modules/tunnel/cipher_provider.h"

#ifdef NW_WITH_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bus/base/err.h"

#define NEEDED IMB_CPUFLAGS_AVX512_T2
#define KEY_ALIGN 64u

struct ipsec_cipher {
    _Alignas(KEY_ALIGN) struct gcm_key_data key;
    struct gcm_context_data message; /* of the one that is sealed or opened */
    IMB_MGR *library;
    bool seal;
};

/* The library's functions for this CPU, or NULL. The manager has no state that GCM uses. */
static IMB_MGR *load(void)
{
    IMB_MGR *library = alloc_mb_mgr(0);

    if (library == NULL)
        return NULL;
    if ((library->features & NEEDED) == NEEDED) {
        init_mb_mgr_avx512(library);
        if (imb_get_errno(library) == 0)
            return library;
    }
    free_mb_mgr(library);
    return NULL;
}

/* Looked for once in the process; threads that do so at the same time find the same. */
static IMB_MGR *library_of_cpu(void)
{
    static _Atomic(IMB_MGR *) found;
    static atomic_bool looked;
    IMB_MGR *library, *none = NULL;

    if (atomic_load_explicit(&looked, memory_order_acquire))
        return atomic_load_explicit(&found, memory_order_acquire);
    library = load();
    if (library != NULL && !atomic_compare_exchange_strong(&found, &none, library)) {
        free_mb_mgr(library);
        library = none;
    }
    atomic_store_explicit(&looked, true, memory_order_release);
    return library;
}

static bool ipsec_works(enum tun_suite suite)
{
    return suite == TUN_SUITE_AES && library_of_cpu() != NULL;
}

static void ipsec_destroy(void *impl)
{
    struct ipsec_cipher *self = impl;

    if (self == NULL)
        return;
    sodium_memzero(self, sizeof(*self));
    free(self);
}

static void *ipsec_create(enum tun_suite suite, bool seal)
{
    struct ipsec_cipher *self = aligned_alloc(KEY_ALIGN, sizeof(*self));

    (void)suite;
    if (self == NULL)
        return NULL;
    sodium_memzero(self, sizeof(*self));
    self->library = library_of_cpu();
    self->seal = seal;
    return self;
}

static int ipsec_set_key(void *impl, const uint8_t key[TUN_CIPHER_KEY_LEN])
{
    struct ipsec_cipher *self = impl;

    IMB_AES256_GCM_PRE(self->library, key, &self->key);
    return ERR_OK;
}

static int ipsec_seal(void *impl, const uint8_t nonce[TUN_CIPHER_NONCE_LEN], struct tun_piece ad,
                      const struct tun_piece *pieces, size_t count, uint8_t *out)
{
    struct ipsec_cipher *self = impl;

    IMB_AES256_GCM_INIT(self->library, &self->key, &self->message, nonce, ad.data, ad.len);
    for (size_t i = 0; i < count; i++) {
        IMB_AES256_GCM_ENC_UPDATE(self->library, &self->key, &self->message, out, pieces[i].data,
                                  pieces[i].len);
        out += pieces[i].len;
    }
    IMB_AES256_GCM_ENC_FINALIZE(self->library, &self->key, &self->message, out, TUN_CIPHER_TAG_LEN);
    return ERR_OK;
}

static int ipsec_open(void *impl, const uint8_t nonce[TUN_CIPHER_NONCE_LEN], struct tun_piece ad,
                      struct tun_piece in, uint8_t *out)
{
    struct ipsec_cipher *self = impl;
    size_t body = in.len - TUN_CIPHER_TAG_LEN;
    uint8_t tag[TUN_CIPHER_TAG_LEN];

    IMB_AES256_GCM_INIT(self->library, &self->key, &self->message, nonce, ad.data, ad.len);
    IMB_AES256_GCM_DEC_UPDATE(self->library, &self->key, &self->message, out, in.data, body);
    IMB_AES256_GCM_DEC_FINALIZE(self->library, &self->key, &self->message, tag, sizeof(tag));
    return sodium_memcmp(tag, in.data + body, sizeof(tag)) == 0 ? ERR_OK : ERR_AUTH;
}

const struct tun_cipher_ops tun_cipher_ipsec_ops = {
    .works = ipsec_works,
    .create = ipsec_create,
    .destroy = ipsec_destroy,
    .set_key = ipsec_set_key,
    .seal = ipsec_seal,
    .open = ipsec_open,
};

#else

static bool ipsec_works(enum tun_suite suite)
{
    (void)suite;
    return false;
}

const struct tun_cipher_ops tun_cipher_ipsec_ops = {.works = ipsec_works};

#endif
