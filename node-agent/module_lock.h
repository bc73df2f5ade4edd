/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock <state-dir>/module-<name>.lock: a module inherits it, so it is held as long as some
 * process of the module lives that has not passed it on, and its text is the pid of that process.
 */
#ifndef NODE_AGENT_MODULE_LOCK_H
#define NODE_AGENT_MODULE_LOCK_H

#include <sys/types.h>

/*
 * Take the lock of module NAME. Returns 0 with *FD, the lock, to hand to a new process; ERR_EXISTS
 * when a process holds it, with *PID its pid as it says (0 = it says none); ERR_SYS with errno. PID
 * is 0 otherwise.
 */
int agent_module_lock_take(int *fd, pid_t *pid, const char *state_dir, const char *name);
/* The pid of the process that holds it; 0 = nobody, or not known. */
pid_t agent_module_lock_holder(const char *state_dir, const char *name);

#endif
