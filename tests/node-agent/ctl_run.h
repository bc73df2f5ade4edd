/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the built `netwall` in a folder of the test, and plays the node it talks to: a redis-server
 * with a responder that gives the answers the test laid down and keeps what it was asked.
 */
#ifndef TESTS_NODE_AGENT_CTL_RUN_H
#define TESTS_NODE_AGENT_CTL_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* --- the command --- */

/* What a run gave; release with ctl_out_free. */
struct ctl_out {
    int code;  /* exit code; -1 = ended by a signal */
    char *out; /* stdout */
    char *err; /* stderr */
};

/* Run netwall in folder DIR with these arguments (ended by NULL) and wait for its end. */
struct ctl_out ctl_run(const char *dir, ...) __attribute__((sentinel));
/* The same, fails the test unless the exit code is CODE. */
struct ctl_out ctl_run_code(int code, const char *dir, ...) __attribute__((sentinel));
/* Start it without waiting; ctl_wait waits. Only one at a time. */
pid_t ctl_start(const char *dir, ...) __attribute__((sentinel));
struct ctl_out ctl_wait(const char *dir, pid_t pid);
void ctl_out_free(struct ctl_out *self);
/* stdout as JSON, one document; fails the test otherwise. */
json_t *ctl_out_json(const struct ctl_out *self);

/* Write TEXT (every ' becomes ") to DIR/NAME. */
void ctl_file(const char *dir, const char *name, const char *text);
/* A key file DIR/NAME of TYPE; PUBLIC gets the public key. */
void ctl_key(const char *dir, const char *name, const char *type, char public_key[65]);

/* --- the node --- */

struct ctl_node_fake; /* opaque: ctl_run.c */

struct ctl_node_fake *ctl_fake_new(void);
void ctl_fake_free(struct ctl_node_fake *self);
const char *ctl_fake_url(const struct ctl_node_fake *self);
const char *ctl_fake_dir(const struct ctl_node_fake *self);
struct redis_server *ctl_fake_server(const struct ctl_node_fake *self);

/* From now on COMMAND is answered with STATE and DATA (JSON text, ' for "). Without this it is
 * taken but never answered. */
void ctl_fake_answer(struct ctl_node_fake *self, const char *command, const char *state,
                     const char *data);
/* The same with the whole result as text, whatever it is. */
void ctl_fake_answer_raw(struct ctl_node_fake *self, const char *command, const char *result);
/* The oldest command asked and not yet looked at: {"list","payload"}; fails the test when none. */
json_t *ctl_fake_asked(struct ctl_node_fake *self);
/* One redis command of texts, ended by NULL; fails the test on an error reply. */
void ctl_fake_redis(struct ctl_node_fake *self, ...) __attribute__((sentinel));

#endif
