/* SPDX-License-Identifier: Apache-2.0 */
/* Where the lock lies; see module_lock.h. */
#include "node-agent/module_lock.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "bus/base/daemon.h"
#include "bus/base/err.h"

int agent_module_lock_take(int *fd, pid_t *pid, const char *state_dir, const char *name)
{
    char path[PATH_MAX];

    *pid = 0;
    (void)snprintf(path, sizeof(path), "%s/module-%s.lock", state_dir, name);
    return daemon_lock_file(fd, path, pid);
}

pid_t agent_module_lock_holder(const char *state_dir, const char *name)
{
    pid_t pid;
    int fd;

    if (agent_module_lock_take(&fd, &pid, state_dir, name) == ERR_OK)
        close(fd); /* nobody did; nor do we */
    return pid;
}
