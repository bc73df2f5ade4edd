/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connector as a whole: one uplink per gateway, all on one loop. It reads no file, takes no
 * signal and opens no listening socket; main does the first two, nobody the third.
 */
#ifndef MODULES_CONNECTOR_CONNECTOR_H
#define MODULES_CONNECTOR_CONNECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "modules/connector/config.h"

struct ev_loop;
struct con_connector; /* opaque: connector.c */
struct tun_identity;

struct con_connector_config {
    struct ev_loop *loop;
    struct con_config *config;           /* owned by the connector once _new returned 0 */
    const struct tun_identity *identity; /* borrowed */
    /* UP of COUNT gateways have a tunnel now; may be NULL. */
    void (*on_status)(void *arg, size_t up, size_t count);
    void *arg;
};

/* Returns 0 or ERR_NOMEM; dialling begins from the loop. */
int con_connector_new(struct con_connector **out, const struct con_connector_config *cfg);
/* Cut everything at once. NULL is fine. */
void con_connector_free(struct con_connector *self);
/*
 * Use CONFIG (owned from now on) instead: services at once for new visitors, gateways that came or
 * went or changed. Key, name, twin and links stay; a change of them is logged as needing a restart.
 */
void con_connector_reload(struct con_connector *self, struct con_config *config);
/* No new visitors; present ones finish, every tunnel says goodbye, then ON_DONE from the loop,
 * which may free SELF. */
void con_connector_drain(struct con_connector *self, void (*on_done)(void *arg), void *arg);
/* That takes too long: visitors are cut, every tunnel says goodbye, ON_DONE follows. */
void con_connector_hurry(struct con_connector *self);
/* How long the present visitors may finish, by the config of now. */
uint64_t con_connector_drain_timeout_ms(const struct con_connector *self);
/* Gateways with a tunnel, and visitors being served. */
size_t con_connector_up(const struct con_connector *self);
unsigned con_connector_streams(const struct con_connector *self);

#endif
