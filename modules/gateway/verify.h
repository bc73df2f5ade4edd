/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this host name the tenant's? Looks it up in the DNS, in one of two ways, a few questions at a
 * time. What the answer means for an exposure is decided by the caller.
 */
#ifndef MODULES_GATEWAY_VERIFY_H
#define MODULES_GATEWAY_VERIFY_H

#include <stddef.h>

#include "modules/gateway/config.h"

#define GW_VERIFY_AT_ONCE 32 /* questions under way; more wait in line */
#define GW_VERIFY_WHY_MAX 512

struct ev_loop;
struct gw_verifier; /* opaque: verify.c */
struct gw_verify;   /* one question */

/* RC 0: proven. ERR_REFUSED: the DNS answered and it is not so. ERR_AGAIN: the DNS could not say.
 * WHY tells a person what is missing; borrowed. */
typedef void gw_verify_fn(void *arg, int rc, const char *why);

struct gw_verify_question {
    const char *host; /* canonical, perhaps "*.x", which is asked of x; copied */
    /* NULL: any A or AAAA must equal one of our public addresses. Else the twin's public key as
     * hex, which a TXT record at _netwall.<host> must hold as key=<hex>; copied */
    const char *twin_key;
    gw_verify_fn *on_done;
    void *arg;
};

/* CONFIG is borrowed; its resolvers and public addresses are used. Returns 0, ERR_NOMEM or
 * ERR_INVALID. */
int gw_verifier_new(struct gw_verifier **out, struct ev_loop *loop, const struct gw_config *config);
/* All questions must be cancelled or answered. NULL is fine. */
void gw_verifier_free(struct gw_verifier *self);

/*
 * Returns 0 and a handle that is valid until ON_DONE starts, or an error, then ON_DONE never runs.
 * It never runs inside.
 */
int gw_verify_start(struct gw_verify **out, struct gw_verifier *verifier,
                    const struct gw_verify_question *question);
void gw_verify_cancel(struct gw_verify *self); /* ON_DONE will not run; NULL is fine */

/* Whether one of the COUNT domains covers HOST: equal to it or above it; for "*.x" it counts what
 * covers x. */
bool gw_verify_covered(const char *host, const char *const *domains, size_t count);

#endif
