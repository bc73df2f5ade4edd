/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGHUP and the gateway's own keys: reads them again, gives them to the data plane when they are
 * others, and says in the log whom that may leave behind. Which file holds which key is config.
 */
#ifndef MODULES_GATEWAY_REKEY_H
#define MODULES_GATEWAY_REKEY_H

#include <stdbool.h>

#include "modules/gateway/identity.h"

struct gw_worker;

/* The public halves of what is in use, as everybody else shows them. */
struct gw_key_texts {
    char own[TUN_KEY_TEXT_LEN + 1];
    char next[TUN_KEY_TEXT_LEN + 1]; /* "" = no rotation */
};

void gw_rekey_texts(struct gw_key_texts *out, const struct gw_identity *identity);

/*
 * Read the key files of CONFIG. Other keys than TEXTS says: WORKER takes them and TEXTS follows.
 * Returns whether that happened. What cannot be read is logged, and everything stays as it was.
 */
bool gw_rekey(struct gw_worker *worker, struct gw_key_texts *texts, const struct gw_config *config);

#endif
