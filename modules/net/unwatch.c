/* SPDX-License-Identifier: Apache-2.0 */
/* libev does not say which epoll is its own: it is the one that has the descriptor; see unwatch.h.
 */
#include "modules/net/unwatch.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bus/base/clock.h"

#define FOLDER "/proc/self/fd"
#define LOOK_MS 1000u /* a look costs as much as there are descriptors */

/* Only the owner of FD may, and an epoll that does not have it does not mind. */
static bool take_out(int epoll, int fd)
{
    struct epoll_event unused = {0};

    return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &unused) == 0;
}

static bool is_epoll(const char *name)
{
    char path[sizeof(FOLDER) + 32], is[64] = "";

    (void)snprintf(path, sizeof(path), FOLDER "/%.16s", name);
    return readlink(path, is, sizeof(is) - 1) > 0 && strcmp(is, "anon_inode:[eventpoll]") == 0;
}

/* The epoll that had FD, which is taken out; 0 when there is none, or more than one. */
static int find(int fd)
{
    DIR *folder = opendir(FOLDER);
    const struct dirent *entry;
    int found = 0, count = 0;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        int epoll = atoi(entry->d_name);

        if (epoll <= 0 || !is_epoll(entry->d_name) || !take_out(epoll, fd))
            continue;
        found = epoll;
        count++;
    }
    if (folder != NULL)
        (void)closedir(folder);
    return count == 1 ? found : 0;
}

void net_unwatch(struct net_unwatch *self, int fd)
{
    uint64_t now = clock_mono_ms();

    if (self->epoll > 0 && (take_out(self->epoll, fd) || errno == ENOENT))
        return; /* it is not in there before the loop has turned */
    if (now < self->next_ms)
        return;
    self->next_ms = now + LOOK_MS;
    self->epoll = find(fd);
}
