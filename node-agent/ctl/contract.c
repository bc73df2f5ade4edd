/* SPDX-License-Identifier: Apache-2.0 */
/* deploy, update, get, changes and list. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/ctl/document.h"
#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/nodes.h"
#include "node-agent/ctl/show.h"
#include "schemas/canonical.h"
#include "schemas/name.h"

#define WAIT_MAX_S 3600

static enum ctl_exit visit_deploy(struct ctl_node *node, void *arg)
{
    enum ctl_exit code = ctl_ask(node, arg);

    return code == CTL_OK ? ctl_deployment_exit(node->data) : code;
}

/* deploy and update: the file goes as it is; the node is the judge of what it says. */
static enum ctl_exit run_deploy(struct ctl *ctl, const struct ctl_args *args)
{
    struct ctl_request request = {.command = "zos.deployment.deploy"};
    uint64_t wait_s = CTL_WAIT_S;
    enum ctl_exit code = ctl_arg_number(args, "wait", (struct ctl_range){0, WAIT_MAX_S}, &wait_s);
    char *text = NULL;
    size_t len;

    if (code == CTL_OK)
        code = ctl_read_json_text(&text, &len, ctl, args->operands[0]);
    if (code != CTL_OK)
        return code;
    if (strcmp(args->command->name, "update") == 0)
        request.command = "zos.deployment.update";
    request.arguments = text;
    request.wait_s = (uint32_t)wait_s;
    request.patient = ctl_arg(args, "wait") != NULL; /* who says how long means the bus too */
    code = ctl_each(ctl, visit_deploy, &request, ctl_show_deployment);
    free(text);
    return code;
}

/* {"twin_id","contract_id"} of --twin and --contract, those that are given. */
static enum ctl_exit which(char **out, const struct ctl_args *args)
{
    uint64_t twin = 0, contract = 0;
    enum ctl_exit code = ctl_arg_number(args, "twin", (struct ctl_range){1, SCH_TWIN_MAX}, &twin);
    int n;

    if (code == CTL_OK)
        code = ctl_arg_number(args, "contract", (struct ctl_range){1, SCH_INT_MAX}, &contract);
    if (code != CTL_OK)
        return code;
    if (contract != 0)
        n = asprintf(out, "{\"twin_id\":%" PRIu64 ",\"contract_id\":%" PRIu64 "}", twin, contract);
    else if (twin != 0)
        n = asprintf(out, "{\"twin_id\":%" PRIu64 "}", twin);
    else
        n = asprintf(out, "{}");
    return n >= 0 ? CTL_OK : CTL_FAILED;
}

static enum ctl_exit look(struct ctl *ctl, const struct ctl_args *args, const char *command,
                          void (*show)(const json_t *data))
{
    struct ctl_request request = {.command = command, .wait_s = CTL_WAIT_S};
    char *arguments = NULL;
    enum ctl_exit code = which(&arguments, args);

    if (code != CTL_OK)
        return code;
    request.arguments = arguments;
    /* all contracts of everybody are the operator's business */
    request.operator_list =
        strcmp(args->command->name, "list") == 0 && ctl_arg(args, "twin") == NULL;
    code = ctl_each(ctl, ctl_ask_visit, &request, show);
    free(arguments);
    return code;
}

static enum ctl_exit run_get(struct ctl *ctl, const struct ctl_args *args)
{
    return look(ctl, args, "zos.deployment.get", ctl_show_deployment);
}

static enum ctl_exit run_changes(struct ctl *ctl, const struct ctl_args *args)
{
    return look(ctl, args, "zos.deployment.changes", ctl_show_changes);
}

static enum ctl_exit run_list(struct ctl *ctl, const struct ctl_args *args)
{
    return look(ctl, args, "zos.deployment.list", ctl_show_deployments);
}

static const struct ctl_option deploy_options[] = {
    {"wait", "S", "seconds to wait for the bus and for final states; default 10, for the states",
     false, false},
    {0},
};

static const struct ctl_option get_options[] = {
    {"twin", "N", "whose contract", true, false},
    {"contract", "N", "which one", true, false},
    {0},
};

static const struct ctl_option list_options[] = {
    {"twin", "N", "only of this twin; all contracts are the operator's to see", false, false},
    {0},
};

const struct ctl_command ctl_contract_commands[] = {
    {"deploy", "FILE", 1, 1, "Deploy a signed contract and wait for the states of its workloads.",
     deploy_options, run_deploy},
    {"update", "FILE", 1, 1, "The same for a higher version of a contract.", deploy_options,
     run_deploy},
    {"get", "", 0, 0, "Show a contract and the state of its workloads.", get_options, run_get},
    {"changes", "", 0, 0, "Show every state the workloads of a contract had.", get_options,
     run_changes},
    {"list", "", 0, 0, "List the contracts on the node.", list_options, run_list},
    {0},
};
