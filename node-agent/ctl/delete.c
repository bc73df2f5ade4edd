/* SPDX-License-Identifier: Apache-2.0 */
/* delete: looks the contract up, signs its cancellation and sends it. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "node-agent/ctl/document.h"
#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/nodes.h"
#include "node-agent/ctl/say.h"
#include "schemas/statement.h"

/* What is the same on every node. */
struct deletion {
    uint64_t twin;
    uint64_t contract;
    uint8_t seed[SCH_SEED_LEN];
    const char *command; /* for messages */
};

/* The stored contract into NODE->data. */
static enum ctl_exit look_up(struct ctl_node *node, const struct deletion *deletion)
{
    struct ctl_request request = {.command = "zos.deployment.get", .wait_s = CTL_WAIT_S};
    char arguments[96];

    (void)snprintf(arguments, sizeof(arguments),
                   "{\"twin_id\":%" PRIu64 ",\"contract_id\":%" PRIu64 "}", deletion->twin,
                   deletion->contract);
    request.arguments = arguments;
    return ctl_ask(node, &request);
}

/* A contract of Zero-OS style names no node, so the node is asked for its name. */
static enum ctl_exit node_itself(struct ctl_node *node, json_t **nodes)
{
    static const struct ctl_request request = {.command = "netwall.node.info",
                                               .wait_s = CTL_WAIT_S};
    enum ctl_exit code = ctl_ask(node, &request);
    json_t *name = json_object_get(node->data, "name");

    if (code == CTL_OK)
        *nodes = json_pack("[O]", name);
    return code;
}

/* The signed statement as text; NULL when it cannot be made, which is said. */
static char *make_statement(struct ctl_node *node, const struct deletion *deletion,
                            json_int_t version, json_t *nodes)
{
    json_t *json =
        json_pack("{s:I, s:I, s:I, s:O}", "twin_id", (json_int_t)deletion->twin, "contract_id",
                  (json_int_t)deletion->contract, "version", version, "nodes", nodes);
    struct sch_report report = {0};
    char *text = NULL;

    if (json == NULL)
        (void)sch_fail_nomem(&report);
    else if (sch_statement_sign(json, SCH_DELETE, deletion->seed, &report) == ERR_OK)
        text = sch_canonical(json, NULL);
    json_decref(json);
    if (text == NULL) {
        json_decref(node->data);
        node->data = sch_report_json(&report);
        ctl_say_error(deletion->command, node->data);
    }
    return text;
}

static enum ctl_exit visit_delete(struct ctl_node *node, void *arg)
{
    const struct deletion *deletion = arg;
    struct ctl_request request = {.command = "zos.deployment.delete", .wait_s = CTL_WAIT_S};
    enum ctl_exit code = look_up(node, deletion);
    json_int_t version = json_integer_value(json_object_get(node->data, "version"));
    json_t *nodes = json_incref(json_object_get(node->data, "nodes"));
    char *text;

    if (code == CTL_OK && nodes == NULL)
        code = node_itself(node, &nodes);
    if (code != CTL_OK)
        goto drop_nodes;
    text = make_statement(node, deletion, version, nodes);
    request.arguments = text;
    code = text != NULL ? ctl_ask(node, &request) : CTL_REFUSED;
    free(text);

drop_nodes:
    json_decref(nodes);
    return code;
}

static void show_deleted(const json_t *data)
{
    (void)data;
    printf("deleted\n");
}

static enum ctl_exit run_delete(struct ctl *ctl, const struct ctl_args *args)
{
    struct deletion deletion = {.command = args->command->name};
    enum ctl_exit code =
        ctl_arg_number(args, "twin", (struct ctl_range){1, SCH_TWIN_MAX}, &deletion.twin);

    if (code == CTL_OK)
        code = ctl_arg_number(args, "contract", (struct ctl_range){1, SCH_INT_MAX},
                              &deletion.contract);
    if (code == CTL_OK)
        code = ctl_read_seed(deletion.seed, ctl, ctl_arg(args, "key"));
    if (code != CTL_OK)
        return code;
    code = ctl_each(ctl, visit_delete, &deletion, show_deleted);
    sodium_memzero(deletion.seed, sizeof(deletion.seed));
    return code;
}

static const struct ctl_option delete_options[] = {
    {"key", "FILE", "Ed25519 key file of the twin", true, false},
    {"twin", "N", "whose contract", true, false},
    {"contract", "N", "which one", true, false},
    {0},
};

const struct ctl_command ctl_delete_commands[] = {
    {"delete", "", 0, 0, "Cancel a contract: its exposures end, and its id never comes back.",
     delete_options, run_delete},
    {0},
};
