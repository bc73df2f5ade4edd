/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A visitor on its way from one worker to another, with every byte that was read of it: to the one
 * that serves the exposure it wants. For the visitor nothing happens; the time limit of a request
 * begins anew.
 */
#ifndef MODULES_GATEWAY_PASSAGE_H
#define MODULES_GATEWAY_PASSAGE_H

struct gw_conn;

/* CONN, whose host or port is known just now, goes to worker TO. CONN is gone. */
void gw_passage_depart(struct gw_conn *conn, unsigned to);

#endif
