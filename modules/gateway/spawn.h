/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One new process of our own program: started, watched through a pidfd, killed when it must be.
 * What the two say to each other is not known here.
 */
#ifndef MODULES_GATEWAY_SPAWN_H
#define MODULES_GATEWAY_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

struct ev_loop;
struct gw_spawn; /* opaque: spawn.c */

#define GW_SPAWN_WHY_MAX 256

struct gw_spawn_config {
    struct ev_loop *loop;
    const char *path;
    char *const *argv; /* ends with NULL; borrowed for the call */
    int fd;            /* one descriptor it inherits under its number; stays ours too */
    const char *env;   /* the environment variable that tells it the number */
    /* It ended; WHY in words. The handle is gone already. Never runs inside the functions below,
     * and in its turn of the loop after what it wrote before. */
    void (*on_exit)(void *arg, const char *why);
    void *arg;
};

/* Where the running program is: ARGV0 made absolute (links are kept: they may point to a newer
 * version later), or what the kernel says. Returns malloc'd text, or NULL. */
char *gw_spawn_path(const char *argv0);
/* Returns 0 once the program runs; else ERR_SYS, ERR_NOENT or ERR_NOMEM, with WHY. */
int gw_spawn_start(struct gw_spawn **out, const struct gw_spawn_config *cfg,
                   char why[GW_SPAWN_WHY_MAX]);
pid_t gw_spawn_pid(const struct gw_spawn *self);
/* SIGKILL, wait for its end (it comes at once), free. No callback. NULL is fine. */
void gw_spawn_kill(struct gw_spawn *self);
/* Watch no longer; it lives on. NULL is fine. */
void gw_spawn_free(struct gw_spawn *self);

#endif
