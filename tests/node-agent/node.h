/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole node for tests: the built netwall-agent with the fake module, on an embedded bus or on a
 * redis-server of the test; commands as redis-cli would give them.
 */
#ifndef TESTS_NODE_AGENT_NODE_H
#define TESTS_NODE_AGENT_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct node; /* opaque: node.c */

/* Make the files of a node in a folder of its own; nothing runs. URL NULL = embedded bus. */
struct node *node_new(const char *url);
/* End everything that runs, remove the folder. */
void node_free(struct node *self);
const char *node_dir(const struct node *self);
const char *node_url(const struct node *self); /* of its bus */
const char *node_config(const struct node *self);

/* Start the agent; wait until it answers. _begin does not wait. */
void node_start(struct node *self);
void node_begin(struct node *self);
pid_t node_pid(const struct node *self);
void node_kill(struct node *self); /* SIGKILL to the agent, and wait */
/* SIGTERM to the agent; its exit status. */
int node_stop(struct node *self);
/* Wait for the agent to end by itself; its exit status. */
int node_wait(struct node *self);
/* What the fake module does from now on (its modes stand in fake_module.c). */
void node_mode(struct node *self, const char *mode);

/* Run a command; the result object. ARGUMENTS is taken. */
json_t *node_ask(struct node *self, const char *command, json_t *arguments);
json_t *node_ask_operator(struct node *self, const char *command, json_t *arguments);
/* Data of a command that must succeed; a new value. */
json_t *node_data(struct node *self, const char *command, json_t *arguments);
/* "code" of a command that must be refused; "" when it succeeds. Valid until the next call. */
const char *node_refusal(struct node *self, const char *command, json_t *arguments);
/* The operator's view of module gateway: its state, "" = not listed; its pid and restarts. */
const char *node_module_state(struct node *self);
pid_t node_module_pid(struct node *self);
int node_module_restarts(struct node *self);

/* One redis command of texts, ended by NULL: its reply as text ("" for nil), valid until the next
 * call. */
const char *node_redis(struct node *self, ...) __attribute__((sentinel));
/* State of a workload as netwall:workloads has it; "" = not there. */
const char *node_published(struct node *self, const char *id);
/* Wait at most 25 s for a workload to be published in STATE; fails the test otherwise. */
void node_await(struct node *self, const char *id, const char *state);
/* Look again every 20 ms, at most 25 s, until CONDITION; fails the test otherwise. */
void node_until(bool (*condition)(struct node *self), struct node *self, const char *what);

#endif
