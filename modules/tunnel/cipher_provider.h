/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cipher.c asks of a provider. Private to modules/tunnel: everybody else uses cipher.h.
 */
#ifndef MODULES_TUNNEL_CIPHER_PROVIDER_H
#define MODULES_TUNNEL_CIPHER_PROVIDER_H

#include "modules/tunnel/cipher.h"

#define TUN_CIPHER_NONCE_LEN 12

/*
 * One library's way to run the suites; a cipher's memory is the library's own. SEAL and OPEN use
 * NONCE as given. AD is only used by the handshake; its len is 0 for records.
 */
struct tun_cipher_ops {
    bool (*works)(enum tun_suite suite);
    /* NULL = out of memory */
    void *(*create)(enum tun_suite suite, bool seal);
    void (*destroy)(void *impl);
    int (*set_key)(void *impl, const uint8_t key[TUN_CIPHER_KEY_LEN]);
    int (*seal)(void *impl, const uint8_t nonce[TUN_CIPHER_NONCE_LEN], struct tun_piece ad,
                const struct tun_piece *pieces, size_t count, uint8_t *out);
    int (*open)(void *impl, const uint8_t nonce[TUN_CIPHER_NONCE_LEN], struct tun_piece ad,
                struct tun_piece in, uint8_t *out);
};

extern const struct tun_cipher_ops tun_cipher_crypto_ops;
extern const struct tun_cipher_ops tun_cipher_sodium_ops;
extern const struct tun_cipher_ops tun_cipher_ipsec_ops; /* works nowhere when built without it */

#endif
