/* SPDX-License-Identifier: Apache-2.0 */
/* A private redis-server for one test: in a temporary folder, on a unix socket, no TCP port. */
#ifndef TESTS_SUPPORT_REDIS_SERVER_H
#define TESTS_SUPPORT_REDIS_SERVER_H

struct redis_server; /* opaque: redis_server.c */

/*
 * Start one and wait until it answers. EXTRA are more arguments ("--appendonly", "yes"), ended by
 * NULL, or NULL for none. Fails the running test when it does not come up in 10 s.
 */
struct redis_server *redis_server_start(const char *const *extra);
/* "unix:///tmp/…/s"; as long as the handle. */
const char *redis_server_url(const struct redis_server *self);
/* The folder, for other files of the test; removed by _stop with everything in it. */
const char *redis_server_dir(const struct redis_server *self);
void redis_server_kill(struct redis_server *self);    /* SIGKILL, and wait */
void redis_server_restart(struct redis_server *self); /* kill if alive, start again, same folder */
void redis_server_pause(struct redis_server *self);   /* SIGSTOP: accepts, answers nothing */
void redis_server_resume(struct redis_server *self);
void redis_server_stop(struct redis_server *self); /* kill, remove the folder, free; NULL is fine */

#endif
