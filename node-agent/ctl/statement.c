/* SPDX-License-Identifier: Apache-2.0 */
/* grant, admit, revoke, lock and unlock: what a farmer says about twins. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "node-agent/ctl/document.h"
#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/nodes.h"
#include "node-agent/ctl/say.h"
#include "node-agent/ctl/table.h"
#include "schemas/statement.h"

static const char *statement_command(enum sch_statement_kind kind)
{
    static const char *const commands[SCH_STATEMENT_KINDS] = {
        [SCH_GRANT] = "netwall.twin.admit",
        [SCH_REVOKE] = "netwall.twin.revoke",
        [SCH_LOCK] = "netwall.twin.lock",
        [SCH_DELETE] = "zos.deployment.delete",
    };

    return commands[kind];
}

/* --- making and signing --- */

/* Options that become members of the same meaning; numbers. */
struct member {
    const char *option;
    const char *key;
    struct ctl_range range;
};

static enum ctl_exit set_number(json_t *json, const struct ctl_args *args,
                                const struct member *member)
{
    uint64_t v = 0;
    enum ctl_exit code = ctl_arg_number(args, member->option, member->range, &v);

    if (code == CTL_OK && ctl_arg(args, member->option) != NULL &&
        json_object_set_new(json, member->key, json_integer((json_int_t)v)) != 0)
        return CTL_FAILED;
    return code;
}

/* All values of OPTION as the array KEY; nothing when there are none. */
static void set_list(json_t *json, const struct ctl_args *args, const char *option, const char *key)
{
    size_t count;
    const char *const *values = ctl_arg_all(args, option, &count);
    json_t *list = count > 0 ? json_array() : NULL;

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_string(values[i]));
    if (list != NULL)
        (void)json_object_set_new(json, key, list);
}

/* twin_id, serial (unix ms by default) and what else all statements have. */
static enum ctl_exit set_common(json_t *json, const struct ctl_args *args)
{
    static const struct member twin = {"twin", "twin_id", {1, SCH_TWIN_MAX}};
    static const struct member contract = {"contract", "contract_id", {1, SCH_INT_MAX}};
    static const struct member serial = {"serial", "serial", {0, SCH_INT_MAX}};
    const char *reason = ctl_arg(args, "reason");
    enum ctl_exit code;

    (void)json_object_set_new(json, "serial", json_integer((json_int_t)clock_unix_ms()));
    code = set_number(json, args, &twin);
    if (code == CTL_OK)
        code = set_number(json, args, &contract);
    if (code == CTL_OK)
        code = set_number(json, args, &serial);
    if (code == CTL_OK && reason != NULL)
        (void)json_object_set_new(json, "reason", json_string(reason));
    return code;
}

/* Sign JSON as KIND with the key file of --authority, and check the outcome as a node will. */
static enum ctl_exit sign(const struct ctl *ctl, const struct ctl_args *args, json_t *json,
                          enum sch_statement_kind kind)
{
    struct sch_statement *statement = NULL;
    struct sch_report report = {0};
    uint8_t seed[SCH_SEED_LEN];
    enum ctl_exit code = ctl_read_seed(seed, ctl, ctl_arg(args, "authority"));
    int rc;

    if (code != CTL_OK)
        return code;
    rc = sch_statement_sign(json, kind, seed, &report);
    sodium_memzero(seed, sizeof(seed));
    if (rc == ERR_OK)
        rc = sch_statement_from_json(&statement, kind, json, &report);
    sch_statement_free(statement);
    return rc == ERR_OK ? CTL_OK : ctl_refuse(ctl, args->command->name, &report);
}

static enum ctl_exit print_statement(const struct ctl *ctl, const json_t *json)
{
    return ctl->json ? ctl_print(json) : ctl_print_pretty(json);
}

/* --- grant --- */

static enum ctl_exit fill_grant(json_t *json, const struct ctl_args *args)
{
    static const struct member exposures = {"exposures", "exposures", {0, SCH_QUOTA_MAX}};
    static const struct member tcp_ports = {"tcp-ports", "tcp_ports", {0, SCH_QUOTA_MAX}};
    static const struct member not_after = {"not-after", "not_after", {0, SCH_INT_MAX}};
    json_t *limits =
        json_pack("{s:i, s:i}", "exposures", (int)sch_quota_default(SCH_QUOTA_EXPOSURES),
                  "tcp_ports", (int)sch_quota_default(SCH_QUOTA_TCP_PORTS));
    uint8_t key[SCH_PUBLIC_LEN];
    enum ctl_exit code = ctl_parse_key(key, "public-key", ctl_arg(args, "public-key"));

    if (code == CTL_OK)
        code = set_common(json, args);
    if (code == CTL_OK)
        code = set_number(limits, args, &exposures);
    if (code == CTL_OK)
        code = set_number(limits, args, &tcp_ports);
    (void)json_object_set_new(json, "public_key", json_string(ctl_arg(args, "public-key")));
    (void)json_object_set_new(json, "not_after", json_integer(0));
    (void)json_object_set_new(json, "limits", limits);
    if (code == CTL_OK)
        code = set_number(json, args, &not_after);
    set_list(json, args, "domain", "domains");
    set_list(json, args, "name", "names");
    return code;
}

static enum ctl_exit run_grant(struct ctl *ctl, const struct ctl_args *args)
{
    json_t *json = json_object();
    enum ctl_exit code = fill_grant(json, args);

    if (code == CTL_OK)
        code = sign(ctl, args, json, SCH_GRANT);
    if (code == CTL_OK)
        code = print_statement(ctl, json);
    json_decref(json);
    return code;
}

/* --- putting statements on the bus --- */

static void show_twin(const json_t *data)
{
    const char *state = ctl_text(data, "state");

    printf("twin %lld: ", (long long)ctl_int(data, "twin_id"));
    ctl_put(state[0] != '\0' ? state : "done");
    printf("\n");
}

static enum ctl_exit apply(struct ctl *ctl, enum sch_statement_kind kind, const char *text)
{
    struct ctl_request request = {
        .command = statement_command(kind), .arguments = text, .wait_s = CTL_WAIT_S};

    return ctl_each(ctl, ctl_ask_visit, &request, show_twin);
}

static enum ctl_exit run_admit(struct ctl *ctl, const struct ctl_args *args)
{
    struct sch_report report = {0};
    enum sch_statement_kind kind;
    char *text = NULL;
    size_t len;
    enum ctl_exit code = ctl_read_json_text(&text, &len, ctl, args->operands[0]);
    json_t *json;
    int rc;

    if (code != CTL_OK)
        return code;
    json = json_loadb(text, len, 0, NULL);
    rc = sch_statement_guess(&kind, json);
    json_decref(json);
    if (rc == ERR_OK) {
        code = apply(ctl, kind, text);
    } else {
        (void)sch_fail(&report, SCH_MALFORMED, "", "is no grant, revocation or lock");
        code = ctl_refuse(ctl, args->operands[0], &report);
    }
    free(text);
    return code;
}

/* --- revoke, lock, unlock --- */

static enum ctl_exit sign_and_apply(struct ctl *ctl, const struct ctl_args *args, json_t *json,
                                    enum sch_statement_kind kind)
{
    enum ctl_exit code = set_common(json, args);
    char *text;

    if (code == CTL_OK)
        code = sign(ctl, args, json, kind);
    if (code != CTL_OK)
        return code;
    if (ctl_arg(args, "print") != NULL)
        return print_statement(ctl, json);
    text = sch_canonical(json, NULL);
    code = text != NULL ? apply(ctl, kind, text) : CTL_FAILED;
    free(text);
    return code;
}

static enum ctl_exit run_revoke(struct ctl *ctl, const struct ctl_args *args)
{
    json_t *json;
    enum ctl_exit code;

    if (ctl_arg(args, "contract") != NULL)
        return ctl_usage(
            args->command,
            "a revocation is about the whole twin; to stop one contract: netwall lock");
    json = json_object();
    code = sign_and_apply(ctl, args, json, SCH_REVOKE);
    json_decref(json);
    return code;
}

static enum ctl_exit run_lock(struct ctl *ctl, const struct ctl_args *args)
{
    bool lock = strcmp(args->command->name, "lock") == 0;
    json_t *json = json_pack("{s:b}", "lock", lock);
    enum ctl_exit code = sign_and_apply(ctl, args, json, SCH_LOCK);

    json_decref(json);
    return code;
}

#define AUTHORITY                                                                                  \
    {                                                                                              \
        "authority", "FILE", "Ed25519 key file of the authority", true, false                      \
    }
#define TWIN                                                                                       \
    {                                                                                              \
        "twin", "N", "whom it is about", true, false                                               \
    }
#define SERIAL                                                                                     \
    {                                                                                              \
        "serial", "N", "higher replaces lower; default now, in unix milliseconds", false, false    \
    }

static const struct ctl_option grant_options[] = {
    AUTHORITY,
    TWIN,
    {"public-key", "HEX", "the twin's Ed25519 public key", true, false},
    SERIAL,
    {"exposures", "N", "how many workloads it may have; default 10", false, false},
    {"tcp-ports", "N", "how many of them may be TCP ports; default 2", false, false},
    {"not-after", "UNIX", "when the grant ends, in unix seconds; default 0 = never", false, false},
    {"domain", "D", "reserve a domain and all below it", false, true},
    {"name", "N", "reserve a name under the node's domain", false, true},
    {0},
};

static const struct ctl_option apply_options[] = {
    AUTHORITY,
    TWIN,
    {"contract", "N", "only this contract (lock, unlock)", false, false},
    SERIAL,
    {"reason", "T", "what people read", false, false},
    {"print", NULL, "print the signed statement instead of applying it", false, false},
    {0},
};

const struct ctl_command ctl_statement_commands[] = {
    {"grant", "", 0, 0, "Sign the admission of a twin; prints the grant.", grant_options,
     run_grant},
    {"admit", "FILE", 1, 1, "Put a signed grant, revocation or lock on the bus.", NULL, run_admit},
    {"revoke", "", 0, 0, "End all exposures of a twin.", apply_options, run_revoke},
    {"lock", "", 0, 0, "Pause a twin, or one of its contracts.", apply_options, run_lock},
    {"unlock", "", 0, 0, "End a lock.", apply_options, run_lock},
    {0},
};
