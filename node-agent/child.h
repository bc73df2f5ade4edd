/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process beside us: started with fork and exec, or adopted by its pid, and watched through a
 * pidfd. Says when it ends; whether to start it again is the owner's decision.
 */
#ifndef NODE_AGENT_CHILD_H
#define NODE_AGENT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ev_loop;
struct agent_child; /* opaque: child.c */

#define AGENT_CHILD_WHY_MAX 256
#define AGENT_CHILD_ENV_MAX 16

/* How a process ended. */
struct agent_exit {
    pid_t pid;
    bool known; /* false for an adopted process: nobody told us how it ended */
    int code;   /* exit status, or 0 */
    int signal; /* signal that ended it, or 0 */
};

struct agent_child_config {
    struct ev_loop *loop;
    const char *const *argv; /* argv[0] is the path to run; ends with NULL; borrowed for the call */
    const char *const *env; /* "NAME=value" on top of ours; ends with NULL; may be NULL; borrowed */
    int lock_fd;            /* -1, or a locked file that the child inherits and writes its pid to */
    int output_fd;          /* where it prints; 0 = on our stderr */
    int death_signal;       /* sent to the child when we die; 0 = it survives us */
    /* The process ended; the handle is gone already. Never runs inside the functions below. */
    void (*on_exit)(void *arg, const struct agent_exit *exit);
    void *arg;
};

/*
 * Start the process in a session of its own, so that a terminal's Ctrl-C reaches only us. Returns 0
 * once the program runs; ERR_NOENT or ERR_SYS (errno of exec), with WHY.
 */
int agent_child_start(struct agent_child **out, const struct agent_child_config *cfg,
                      char why[AGENT_CHILD_WHY_MAX]);
/* Watch a living process that somebody else started; argv, env and lock_fd of CFG are not looked
 * at. Returns 0, ERR_NOENT (no such process) or ERR_SYS. */
int agent_child_adopt(struct agent_child **out, const struct agent_child_config *cfg, pid_t pid);
/* Forget the process, which lives on. NULL is fine. */
void agent_child_free(struct agent_child *self);

pid_t agent_child_pid(const struct agent_child *self);
/* Whether it ended already, though on_exit was not called yet. */
bool agent_child_is_over(const struct agent_child *self);
void agent_child_signal(struct agent_child *self, int signal);

/*
 * Where the program NAME is: NAME itself when it holds a '/', else beside our own program, else in
 * PATH. Returns 0, ERR_NOENT or ERR_LIMIT.
 */
int agent_child_find(char *out, size_t cap, const char *name);

/* Become the one to whom orphaned grandchildren fall. */
void agent_child_become_reaper(void);
/* Collect the orphans that ended; IS_WATCHED tells which pids have a handle of their own. */
void agent_child_reap_orphans(bool (*is_watched)(void *arg, pid_t pid), void *arg);

#endif
