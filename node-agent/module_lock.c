/* SPDX-License-Identifier: Apache-2.0 */
/* flock and a pid as text; see module_lock.h. */
#include "node-agent/module_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "bus/base/err.h"

static pid_t read_pid(int fd)
{
    char text[32] = {0};
    long pid;

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    pid = strtol(text, NULL, 10);
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

int agent_module_lock_take(int *fd, pid_t *pid, const char *state_dir, const char *name)
{
    char path[PATH_MAX];
    int lock, saved;

    *pid = 0;
    (void)snprintf(path, sizeof(path), "%s/module-%s.lock", state_dir, name);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return ERR_SYS;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        *fd = lock;
        return ERR_OK;
    }
    saved = errno;
    if (saved == EWOULDBLOCK)
        *pid = read_pid(lock);
    close(lock);
    errno = saved;
    return saved == EWOULDBLOCK ? ERR_EXISTS : ERR_SYS;
}

pid_t agent_module_lock_holder(const char *state_dir, const char *name)
{
    pid_t pid;
    int fd;

    if (agent_module_lock_take(&fd, &pid, state_dir, name) == ERR_OK)
        close(fd); /* nobody did; nor do we */
    return pid;
}
