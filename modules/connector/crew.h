/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connectors of one process, as many as its config has threads: each has a thread, a loop, a
 * copy of the config and tunnels of its own, and to a gateway each is an instance of the key, as if
 * they were processes. They share nothing but that key. The first one is on the caller's loop, so
 * that with one thread there is no other; everything here is called from that loop's thread.
 */
#ifndef MODULES_CONNECTOR_CREW_H
#define MODULES_CONNECTOR_CREW_H

#include "modules/connector/connector.h"

struct con_crew; /* opaque: crew.c */

/*
 * As many connectors as CFG->config->threads says. CFG is as for con_connector_new, but the config
 * is copied and stays the caller's, and on_status, which comes from CFG->loop, tells the tunnels of
 * all. Returns 0, ERR_NOMEM, or ERR_SYS with errno when no more threads are to be had.
 */
int con_crew_new(struct con_crew **out, const struct con_connector_config *cfg);
/* Cut everything at once, end the threads. NULL is fine. */
void con_crew_free(struct con_crew *self);
/* con_connector_reload for each, with copies; the number of threads stays. Returns 0, or ERR_NOMEM:
 * nothing has changed. */
int con_crew_reload(struct con_crew *self, const struct con_config *config);
/* con_connector_drain for each: ON_DONE when all are. It may free SELF. */
void con_crew_drain(struct con_crew *self, void (*on_done)(void *arg), void *arg);
/* con_connector_hurry for each. */
void con_crew_hurry(struct con_crew *self);
uint64_t con_crew_drain_timeout_ms(const struct con_crew *self); /* by the config of now */
/* Visitors being served. It asks each thread, and waits for those that are at work. */
unsigned con_crew_streams(struct con_crew *self);

#endif
