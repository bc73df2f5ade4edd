/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes a subcommand runs on, one bus each: visiting them one after the other, asking them
 * commands, reading their state, and printing what each said.
 */
#ifndef NODE_AGENT_CTL_NODES_H
#define NODE_AGENT_CTL_NODES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus/sync.h"
#include "node-agent/ctl/ctl.h"

#define CTL_WAIT_S 10 /* default time for final states */

/* One node being visited. */
struct ctl_node {
    const struct ctl *ctl;
    const char *text; /* its bus for messages, without a password */
    struct bus_url url;
    json_t *data; /* owned; what it said: data, or an error object; NULL = nothing */
};

/* One command. */
struct ctl_request {
    const char *command;   /* "zos.deployment.get" */
    const char *arguments; /* JSON text, borrowed; NULL = {} */
    bool operator_list;    /* only taken from core:operator */
    uint32_t wait_s;       /* max_time: how long the node waits for final states */
    bool patient;          /* a bus that is away is waited for as well, up to wait_s */
};

/* What to do on one node; fills node->data. */
typedef enum ctl_exit ctl_visit_fn(struct ctl_node *node, void *arg);

/*
 * Run VISIT on every bus and print each result: with --json the data (an array when there are
 * several buses), else with SHOW (may be NULL: nothing is printed). Errors were said by VISIT.
 * Returns the worst exit code.
 */
enum ctl_exit ctl_each(struct ctl *ctl, ctl_visit_fn *visit, void *arg,
                       void (*show)(const json_t *data));

/* Send REQUEST, wait for the result, put its data (or error) into NODE; errors are said. */
enum ctl_exit ctl_ask(struct ctl_node *node, const struct ctl_request *request);
/* ctl_each with the one request in ARG, for subcommands that need no more. */
enum ctl_exit ctl_ask_visit(struct ctl_node *node, void *arg);

/* Connect to the bus of NODE; errors are said. */
enum ctl_exit ctl_connect(struct bus_sync **out, struct ctl_node *node);
/* The same state as an error in NODE: RC of bus_sync_query, WHY. Returns the exit code. */
enum ctl_exit ctl_bus_failed(struct ctl_node *node, int rc, const char *why);

/* {"id","command","max_time","arguments"} as text to push: malloc'd, NULL without memory. ID gets
 * the fresh id. */
char *ctl_payload(char id[33], const struct ctl_request *request);

#endif
