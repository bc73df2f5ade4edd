/* SPDX-License-Identifier: Apache-2.0 */
/* The network wall on the connector's side; see wall.h. */
#include "modules/connector/wall.h"

#include <dirent.h>
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus/base/err.h"

/* bind as well: a bound UDP socket is a way in, and nothing here needs it to dial out. */
static const int forbidden[] = {
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
};

#define FORBIDDEN_COUNT (sizeof(forbidden) / sizeof(forbidden[0]))

int con_wall_raise(char why[CON_WALL_WHY_CAP])
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter != NULL ? 0 : -ENOMEM;

    for (size_t i = 0; i < FORBIDDEN_COUNT && rc == 0; i++)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0, NULL);
    if (rc == 0)
        rc = seccomp_load(filter);
    if (filter != NULL)
        seccomp_release(filter);
    if (rc == 0)
        return ERR_OK;
    errno = -rc;
    (void)snprintf(why, CON_WALL_WHY_CAP, "seccomp: %s", strerror(-rc));
    return ERR_SYS;
}

static int is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on != 0;
}

int con_wall_no_listener(char why[CON_WALL_WHY_CAP])
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    int found = -1;

    if (dir == NULL) {
        (void)snprintf(why, CON_WALL_WHY_CAP, "/proc/self/fd: %s", strerror(errno));
        return ERR_REFUSED;
    }
    while (found < 0 && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && is_listening(atoi(entry->d_name)))
            found = atoi(entry->d_name);
    closedir(dir);
    if (found < 0)
        return ERR_OK;
    (void)snprintf(why, CON_WALL_WHY_CAP, "descriptor %d is a listening socket", found);
    return ERR_REFUSED;
}

/* WHAT must have failed with EPERM: the kernel itself would say something else here. */
static int expect_eperm(long result, const char *what, char why[CON_WALL_WHY_CAP])
{
    if (result < 0 && errno == EPERM)
        return ERR_OK;
    (void)snprintf(why, CON_WALL_WHY_CAP, "%s is not forbidden (%s)", what,
                   result < 0 ? strerror(errno) : "it worked");
    return ERR_REFUSED;
}

/* Every call on a fresh socket of FAMILY. */
static int try_family(int family, const char *name, char why[CON_WALL_WHY_CAP])
{
    struct sockaddr addr = {.sa_family = (sa_family_t)family};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;
    char what[64];

    if (fd < 0)
        return ERR_OK; /* no such family here, so no listener of it either */
    (void)snprintf(what, sizeof(what), "bind (%s)", name);
    rc = expect_eperm(bind(fd, &addr, sizeof(addr.sa_family)), what, why);
    (void)snprintf(what, sizeof(what), "listen (%s)", name);
    if (rc == ERR_OK)
        rc = expect_eperm(listen(fd, 1), what, why);
    (void)snprintf(what, sizeof(what), "accept (%s)", name);
    if (rc == ERR_OK)
        rc = expect_eperm(syscall(SYS_accept, fd, NULL, NULL), what, why);
    (void)snprintf(what, sizeof(what), "accept4 (%s)", name);
    if (rc == ERR_OK)
        rc = expect_eperm(accept4(fd, NULL, NULL, 0), what, why);
    close(fd);
    return rc;
}

int con_wall_check(char why[CON_WALL_WHY_CAP])
{
    int rc = con_wall_no_listener(why);

    if (rc == ERR_OK)
        rc = try_family(AF_INET, "inet", why);
    if (rc == ERR_OK)
        rc = try_family(AF_INET6, "inet6", why);
    if (rc == ERR_OK)
        rc = try_family(AF_UNIX, "unix", why);
    if (rc == ERR_OK) /* a NULL argument: without the filter the answer is EFAULT or ENOSYS */
        rc = expect_eperm(syscall(SYS_io_uring_setup, 1, NULL), "io_uring_setup", why);
    return rc;
}
