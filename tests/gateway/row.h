/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway without a bus in a folder of its own, for tests of processes that replace each other:
 * a control with one exposure, its ports, and a connector's handshake left out.
 */
#ifndef TESTS_GATEWAY_ROW_H
#define TESTS_GATEWAY_ROW_H

#include <ev.h>

#include "modules/gateway/config.h"
#include "modules/gateway/control.h"
#include "modules/gateway/identity.h"

#define ROW_ID "7-1-a" /* the exposure, blog.gw1.localhost */

struct row {
    struct ev_loop *loop;
    char *dir;
    uint16_t http, tunnel; /* ports on loopback */
    struct gw_config config;
    struct gw_identity identity;
    struct gw_control *control;
    struct gw_control_config cfg; /* as row_start uses it */
};

void row_open(struct row *self);
/* Make the control; FIRST: with the exposure in its state file. */
void row_start(struct row *self);
void row_close(struct row *self);
/* Whether somebody answers on PORT of loopback: a connection is taken and reset or answered. */
bool row_listens(uint16_t port);
/* RX bytes of the exposure. */
uint64_t row_bytes(struct row *self);
/* Count N more bytes for it. */
void row_count(struct row *self, uint64_t n);

#endif
