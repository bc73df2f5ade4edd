/* SPDX-License-Identifier: Apache-2.0 */
/* sign, verify and wrap: everything that needs no bus. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "node-agent/ctl/document.h"
#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/nodes.h"
#include "node-agent/ctl/say.h"
#include "schemas/statement.h"

/* --- sign --- */

/* Bare names say which node only as long as no other farmer uses the same. */
static void warn_about_nodes(const json_t *contract)
{
    const json_t *nodes = json_object_get(contract, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const char *node = json_string_value(json_array_get(nodes, i));

        if (node != NULL && !sch_node_is_key(node))
            ctl_say("warning: nodes[%zu] \"%s\" is a bare name, which another farmer may use too; "
                    "key:<gateway public key> names one gateway",
                    i, node);
    }
}

/* Say what every node will refuse; which node takes it otherwise is not ours to judge. */
static void warn_about_contract(json_t *contract)
{
    struct sch_deployment *deployment = NULL;
    struct sch_report report = {0};

    if (sch_deployment_from_json(&deployment, contract, &report) != ERR_OK)
        ctl_say("warning: nodes will refuse this: %s: %s %s", sch_code_text(report.code),
                report.path, report.why);
    sch_deployment_free(deployment);
    warn_about_nodes(contract);
}

static enum ctl_exit sign(const struct ctl *ctl, const struct ctl_args *args, json_t *contract)
{
    const char *style = ctl_arg(args, "style");
    struct sch_report report = {0};
    uint8_t seed[SCH_SEED_LEN];
    struct sch_signer signer = {.seed = seed, .style = SCH_STYLE_NETWALL1};
    uint64_t twin = 0;
    enum ctl_exit code;
    int rc;

    if (style != NULL && strcmp(style, "zos") == 0)
        signer.style = SCH_STYLE_ZOS;
    else if (style != NULL && strcmp(style, "netwall-1") != 0)
        return ctl_usage(args->command, "--style must be netwall-1 or zos, not \"%s\"", style);
    code = ctl_arg_number(args, "twin", (struct ctl_range){1, SCH_TWIN_MAX}, &twin);
    if (code == CTL_OK)
        code = ctl_read_seed(seed, ctl, ctl_arg(args, "key"));
    if (code != CTL_OK)
        return code;
    signer.twin_id = (uint32_t)twin;
    rc = sch_deployment_sign(contract, &signer, &report);
    sodium_memzero(seed, sizeof(seed));
    if (rc != ERR_OK)
        return ctl_refuse(ctl, args->operands[0], &report);
    warn_about_contract(contract);
    return ctl->json ? ctl_print(contract) : ctl_print_pretty(contract);
}

static enum ctl_exit run_sign(struct ctl *ctl, const struct ctl_args *args)
{
    json_t *contract = NULL;
    enum ctl_exit code = ctl_load(&contract, ctl, args->operands[0]);

    if (code == CTL_OK)
        code = sign(ctl, args, contract);
    json_decref(contract);
    return code;
}

/* --- verify --- */

/* What was verified, for people and machines. */
struct verdict {
    const char *kind; /* "contract", "grant", ... */
    uint32_t twin_id; /* who signed a contract, whom a statement is about */
};

static int verify_contract(struct verdict *out, json_t *json, const uint8_t key[SCH_PUBLIC_LEN],
                           struct sch_report *report)
{
    struct sch_deployment *deployment;
    char hex[2 * SCH_PUBLIC_LEN + 1];
    int rc = sch_deployment_from_json(&deployment, json, report);

    if (rc != ERR_OK)
        return rc;
    out->kind = "contract";
    out->twin_id = sch_deployment_signed_by(deployment, key);
    sch_deployment_free(deployment);
    if (out->twin_id != 0)
        return ERR_OK;
    hex_encode(hex, key, SCH_PUBLIC_LEN);
    return sch_fail(report, SCH_BAD_SIGNATURE, "signature_requirement.signatures",
                    "hold none by the public key %s: signed by another key, or changed after "
                    "signing",
                    hex);
}

static int verify_statement(struct verdict *out, json_t *json, const uint8_t key[SCH_PUBLIC_LEN],
                            struct sch_report *report)
{
    enum sch_statement_kind kind;
    struct sch_statement *statement;
    int rc;

    if (sch_statement_guess(&kind, json) != ERR_OK)
        return sch_fail(report, SCH_MALFORMED, "",
                        "is no contract, grant, revocation, lock or delete");
    rc = sch_statement_from_json(&statement, kind, json, report);
    if (rc != ERR_OK)
        return rc;
    out->kind = sch_statement_text(kind);
    out->twin_id = statement->twin_id;
    rc = sch_statement_verify(statement, key, report);
    sch_statement_free(statement);
    return rc;
}

static enum ctl_exit print_verdict(const struct ctl *ctl, const struct verdict *verdict)
{
    enum ctl_exit code;
    json_t *json;

    if (!ctl->json) {
        printf("valid: %s of twin %" PRIu32 "\n", verdict->kind, verdict->twin_id);
        return CTL_OK;
    }
    json = json_pack("{s:b, s:s, s:I}", "valid", 1, "kind", verdict->kind, "twin_id",
                     (json_int_t)verdict->twin_id);
    code = ctl_print(json);
    json_decref(json);
    return code;
}

static enum ctl_exit run_verify(struct ctl *ctl, const struct ctl_args *args)
{
    struct sch_report report = {0};
    struct verdict verdict = {0};
    uint8_t key[SCH_PUBLIC_LEN];
    json_t *json = NULL;
    enum ctl_exit code = ctl_parse_key(key, "public-key", ctl_arg(args, "public-key"));
    int rc;

    if (code == CTL_OK)
        code = ctl_load(&json, ctl, args->operands[0]);
    if (code != CTL_OK)
        return code;
    rc = json_object_get(json, "workloads") != NULL
             ? verify_contract(&verdict, json, key, &report)
             : verify_statement(&verdict, json, key, &report);
    json_decref(json);
    return rc == ERR_OK ? print_verdict(ctl, &verdict)
                        : ctl_refuse(ctl, args->operands[0], &report);
}

/* --- wrap --- */

/* Short names of commands; whatever has a dot in it is taken as it is. */
static const struct {
    const char *name;
    const char *command;
} short_names[] = {
    {"ping", "core.ping"},
    {"deploy", "zos.deployment.deploy"},
    {"update", "zos.deployment.update"},
    {"delete", "zos.deployment.delete"},
    {"get", "zos.deployment.get"},
    {"changes", "zos.deployment.changes"},
    {"list", "zos.deployment.list"},
    {"admit", "netwall.twin.admit"},
    {"grant", "netwall.twin.admit"},
    {"revoke", "netwall.twin.revoke"},
    {"lock", "netwall.twin.lock"},
    {"unlock", "netwall.twin.lock"},
    {"twins", "netwall.twin.list"},
    {"modules", "netwall.module.list"},
    {"restart", "netwall.module.restart"},
    {"node", "netwall.node.info"},
};

static const char *command_of(const char *name)
{
    for (size_t i = 0; i < sizeof(short_names) / sizeof(short_names[0]); i++) {
        if (strcmp(short_names[i].name, name) == 0)
            return short_names[i].command;
    }
    return strchr(name, '.') != NULL && strpbrk(name, "\"\\") == NULL ? name : NULL;
}

static enum ctl_exit wrap(const char *command, const char *arguments)
{
    struct ctl_request request = {.command = command, .arguments = arguments, .wait_s = CTL_WAIT_S};
    char id[33], *payload = ctl_payload(id, &request);

    if (payload == NULL) {
        ctl_say("out of memory");
        return CTL_FAILED;
    }
    printf("%s\n", payload);
    free(payload);
    return CTL_OK;
}

static enum ctl_exit run_wrap(struct ctl *ctl, const struct ctl_args *args)
{
    const char *command = command_of(args->operands[0]);
    char *text = NULL;
    enum ctl_exit code;
    size_t len;

    if (command == NULL)
        return ctl_usage(args->command, "there is no command \"%s\"", args->operands[0]);
    if (args->operand_count == 1)
        return wrap(command, NULL);
    code = ctl_read_json_text(&text, &len, ctl, args->operands[1]);
    if (code == CTL_OK)
        code = wrap(command, text);
    free(text);
    return code;
}

static const struct ctl_option sign_options[] = {
    {"key", "FILE", "Ed25519 key file of the twin", true, false},
    {"style", "netwall-1|zos", "default netwall-1", false, false},
    {"twin", "N", "who signs; default the contract's twin_id", false, false},
    {0},
};

static const struct ctl_option verify_options[] = {
    {"public-key", "HEX", "Ed25519 public key that shall have signed", true, false},
    {0},
};

const struct ctl_command ctl_sign_commands[] = {
    {"sign", "CONTRACT", 1, 1, "Add or replace the twin's signature; prints the signed contract.",
     sign_options, run_sign},
    {"verify", "FILE", 1, 1, "Check a contract, grant or statement, and that the key signed it.",
     verify_options, run_verify},
    {"wrap", "COMMAND [FILE]", 1, 2,
     "Print the JSON to RPUSH on core:default, with FILE as the arguments.", NULL, run_wrap},
    {0},
};
