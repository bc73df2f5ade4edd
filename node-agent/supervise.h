/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the module processes alive: start or adopt, restart with backoff, give up where that is
 * useless, drain. One table says what happens in which state. Knows nothing of what modules do.
 *
 * A module outlives its agent. It inherits a lock on <state-dir>/module-<name>.lock that holds its
 * pid: a starting agent that finds the lock taken adopts that process. A module that says it can is
 * restarted by SIGUSR2: it starts its successor itself and signs the lock over to it, and we follow
 * the lock. What still drains behind the new process is not ours to watch.
 */
#ifndef NODE_AGENT_SUPERVISE_H
#define NODE_AGENT_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "node-agent/config.h"

struct ev_loop;
struct agent_supervise; /* opaque: supervise.c */

enum agent_module_state {
    AGENT_MODULE_STOPPED,   /* not started, or ended on purpose */
    AGENT_MODULE_STARTING,  /* the process lives and has not reported yet */
    AGENT_MODULE_RUNNING,   /* it has reported */
    AGENT_MODULE_BACKOFF,   /* it died; started again in a moment */
    AGENT_MODULE_FAILED,    /* it died too often, or said that its config is wrong: given up, tried
                               again every few minutes and on demand */
    AGENT_MODULE_REPLACING, /* asked to hand over to a new process of its own (SIGUSR2); it serves
                             */
    AGENT_MODULE_DRAINING,  /* SIGTERM sent, ends soon; then it is stopped or started again */
    AGENT_MODULE_STATES
};

/* What is known about one module's process. */
struct agent_module_status {
    const char *name; /* borrowed */
    enum agent_module_state state;
    pid_t pid;               /* 0 = no process */
    uint32_t restarts;       /* since the agent started */
    uint64_t since_ms;       /* unix time of the last change of state */
    const char *why;         /* why it last ended or did not start; "" = it never did; borrowed */
    const char *replace_why; /* why the last replacement failed; "" = it did not; borrowed */
};

struct agent_supervise_config {
    struct ev_loop *loop;
    const struct agent_config *config; /* modules, state_dir; outlives the supervisor or is replaced
                                          by _reconfigure */
    const char *bus_url;               /* NETWALL_BUS; copied */
    uint32_t backoff_min_ms;           /* 0 = 100 */
    uint32_t backoff_max_ms;           /* 0 = 30 s */
    uint32_t give_up_after;            /* quick deaths in a row; 0 = 10 */
    uint32_t retry_failed_ms;          /* 0 = 5 min */
    uint32_t replace_limit_ms; /* SIGUSR2 -> its answer; 0 = an hour: it has its own limit */
    uint32_t drain_limit_ms;   /* SIGTERM -> second one -> (5 s) SIGKILL; 0 = 35 s */
    /* A module changed its state; STATUS is borrowed. Must not free the supervisor. */
    void (*on_change)(void *arg, const struct agent_module_status *status);
    void *arg;
};

/* Nothing is started yet. Returns 0 or ERR_NOMEM. */
int agent_supervise_new(struct agent_supervise **out, const struct agent_supervise_config *cfg);
/* Processes live on. NULL is fine. */
void agent_supervise_free(struct agent_supervise *self);

/* Adopt or start every module that is stopped. */
void agent_supervise_start(struct agent_supervise *self);
/* The module NAME reported over the bus as PID: it works. One that is not ours, but holds our lock
 * on the module, took over from ours. */
void agent_supervise_reported(struct agent_supervise *self, const char *name, pid_t pid);
/* NAME can be replaced by SIGUSR2 (what it said last counts), or cannot. */
void agent_supervise_can_replace(struct agent_supervise *self, const char *name, bool can);
/* NAME, process PID, could not replace itself because WHY: it serves on. */
void agent_supervise_replace_failed(struct agent_supervise *self, const char *name, pid_t pid,
                                    const char *why);
/* Replace NAME by a new process, without a gap when it can, else drain it and start it again (at
 * once when it does not run). Returns 0 or ERR_NOENT. */
int agent_supervise_restart(struct agent_supervise *self, const char *name);
/* Send SIGNAL to every module that runs. */
void agent_supervise_signal(struct agent_supervise *self, int signal);
/* SIGTERM to all; ON_STOPPED runs once when none lives any more, never inside. */
void agent_supervise_stop(struct agent_supervise *self, void (*on_stopped)(void *arg), void *arg);

size_t agent_supervise_count(const struct agent_supervise *self);
struct agent_module_status agent_supervise_at(const struct agent_supervise *self, size_t i);
/* Status of NAME into OUT; false when there is no such module. */
bool agent_supervise_find(const struct agent_supervise *self, const char *name,
                          struct agent_module_status *out);
bool agent_supervise_is_watched(const struct agent_supervise *self, pid_t pid);
const char *agent_module_state_name(enum agent_module_state state);

#endif
