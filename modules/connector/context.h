/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of one connector process shares. Owned by connector.c; all of it is borrowed. */
#ifndef MODULES_CONNECTOR_CONTEXT_H
#define MODULES_CONNECTOR_CONTEXT_H

#include <stdint.h>

#include "bus/base/log.h"
#include "modules/connector/config.h"
#include "modules/tunnel/handshake.h"

struct ev_loop;
struct link_hub;

struct con_context {
    struct ev_loop *loop;
    struct link_hub *hub;
    const struct con_config *config;     /* the current one: another after a reload */
    const struct tun_identity *identity; /* our static key */
    uint8_t instance[TUN_INSTANCE_LEN];  /* random per process */
    struct log_pace dial_failures;       /* lines about services that cannot be reached */
    struct log_pace refusals;            /* and about streams that are not taken */
};

#endif
