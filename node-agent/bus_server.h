/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded bus: a private redis-server as our child. It listens on a unix socket only, keeps an
 * append-only file under the state folder, dies with us, and is started again when it ends. Not
 * used with an external bus.
 */
#ifndef NODE_AGENT_BUS_SERVER_H
#define NODE_AGENT_BUS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ev_loop;
struct agent_bus_server; /* opaque: bus_server.c */

#define AGENT_BUS_SOCKET_DEFAULT "/run/netwall/bus.sock"
#define AGENT_BUS_SOCKET_MAX 107 /* bytes of a unix socket path */
#define AGENT_BUS_WHY_MAX 512

struct agent_bus_server_config {
    struct ev_loop *loop;
    const char *state_dir; /* exists; absolute */
    const char *socket;    /* "" = AGENT_BUS_SOCKET_DEFAULT, or <state-dir>/bus.sock when the folder
                              of the former cannot be made */
    const char *program;   /* "redis-server": found like a module; for tests */
    uint32_t lock_wait_ms; /* how long a dying predecessor may hold the folder; 0 = 10 s */
};

/*
 * Where the socket goes, by the rule above; makes its folder. Returns 0, ERR_LIMIT (path longer
 * than AGENT_BUS_SOCKET_MAX) or ERR_SYS, with WHY.
 */
int agent_bus_server_place(char out[AGENT_BUS_SOCKET_MAX + 1],
                           const struct agent_bus_server_config *cfg, char why[AGENT_BUS_WHY_MAX]);
/*
 * Lock the folder (waits, blocking), write the server's configuration, start it and wait until it
 * listens, at most 1 s. One that does not start, or is not installed, is tried again within 1 s
 * each time: the node serves without it. Returns 0, ERR_EXISTS (folder or socket in use), ERR_LIMIT
 * or ERR_SYS, with WHY.
 */
int agent_bus_server_new(struct agent_bus_server **out, const struct agent_bus_server_config *cfg,
                         char why[AGENT_BUS_WHY_MAX]);
/* Ends the server at once when it still runs. NULL is fine. */
void agent_bus_server_free(struct agent_bus_server *self);

const char *agent_bus_server_socket(const struct agent_bus_server *self);
pid_t agent_bus_server_pid(const struct agent_bus_server *self); /* 0 = not running now */
/* End it in order; ON_STOPPED runs once, when it is gone (SIGKILL after 5 s). Never inside. */
void agent_bus_server_stop(struct agent_bus_server *self, void (*on_stopped)(void *arg), void *arg);

#endif
