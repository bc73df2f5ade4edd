/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a host name when several want it: one total order, the entries' places in the line
 * (gw_entry.order), which outlives the process. So the winner is the same whatever order entries
 * are read in, for the agent's and for zbus callers. Who comes later waits, and hears at once when
 * what it waits for is given back. Shared by provision.c and task.c only.
 */
#ifndef MODULES_GATEWAY_TURN_H
#define MODULES_GATEWAY_TURN_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/task.h"

/*
 * Whether TASK may claim its host now: nobody has it, nor waits for it in front of TASK. Whoever
 * has it and is about to be applied with a spec that no longer wants it gives it back here.
 */
bool gw_turn_is_ours(struct gw_task *task);
/* Take exactly PORT, likewise. Returns what gw_ports_take does. */
int gw_turn_take_port(struct gw_task *task, uint16_t port);

/* TASK waits for what another one has. */
void gw_turn_wait(struct gw_task *task);
/* TASK no longer wants what it waited for, if it did; those behind it try again. */
void gw_turn_leave(struct gw_task *task);
/* Something was given back: whoever waits tries again, from the loop. */
void gw_turn_wake(struct gw_provisioner *provisioner);
/* The provisioner's wake timer. */
void gw_turn_on_wake(struct ev_loop *loop, ev_timer *w, int revents);

#endif
