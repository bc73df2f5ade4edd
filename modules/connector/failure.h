/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a gateway is not reached, in words for the person who runs the connector. Of all attempts of
 * one round the one that came furthest is told, once, and again only when it changes.
 */
#ifndef MODULES_CONNECTOR_FAILURE_H
#define MODULES_CONNECTOR_FAILURE_H

#include <stdint.h>

#include "modules/connector/session.h"
#include "modules/tunnel/key.h"

/* How far an attempt came; later ones tell more. */
enum con_failure_stage {
    CON_FAILURE_NONE,
    CON_FAILURE_LOOKUP,
    CON_FAILURE_DIAL,
    CON_FAILURE_HELLO,  /* connected; no answer to our first message */
    CON_FAILURE_ACCEPT, /* the gateway is genuine; it did not take us */
    CON_FAILURE_LOST,   /* it had taken us, or this link */
};

struct con_failure {
    enum con_failure_stage stage;
    char why[320];
    uint32_t told_ms;  /* wait that the gateway asked for; 0 = none */
    bool unknown_key;  /* it did not take our key */
    char address[160]; /* that was tried */
};

/* Errors as the parts give them. Each keeps SELF unless the new failure came as far or further. */
void con_failure_lookup(struct con_failure *self, const char *address, int rc);
void con_failure_dial(struct con_failure *self, const char *address,
                      int rc); /* errno for ERR_SYS */
void con_failure_hello(struct con_failure *self, const char *address, int rc);
/* A link that was joined ended; OWN is our key, for the text. errno for ERR_SYS. */
void con_failure_link(struct con_failure *self, const char *address,
                      const struct con_session_lost *lost, const struct tun_public_key *own);
/* The session ended, and with it all its links. errno for ERR_SYS. */
void con_failure_session(struct con_failure *self, const char *address,
                         const struct con_session_end *end);

#endif
