/* SPDX-License-Identifier: Apache-2.0 */
/* One small function per command, and the table of them. */
#include "node-agent/verb.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "node-agent/contract.h"
#include "node-agent/orphan.h"
#include "node-agent/trust.h"
#include "node-agent/twin.h"
#include "node-agent/workload.h"
#include "schemas/name.h"
#include "schemas/reader.h"

#define ORPHANS_MAX 5000        /* of one answer */
#define ANSWER_BYTES_MAX 600000 /* of a list: the bus takes values up to 1 MB */

/* --- changes --- */

static int change_deploy(const struct agent_desk *desk, json_t *arguments,
                         struct agent_effect *effect, struct sch_report *report)
{
    return agent_deploy_take(desk->core, arguments, effect, report);
}

static int change_delete(const struct agent_desk *desk, json_t *arguments,
                         struct agent_effect *effect, struct sch_report *report)
{
    return agent_deploy_delete(desk->core, arguments, effect, report);
}

static int change_admit(const struct agent_desk *desk, json_t *arguments,
                        struct agent_effect *effect, struct sch_report *report)
{
    return agent_trust_apply(desk->core, SCH_GRANT, arguments, effect, report);
}

static int change_revoke(const struct agent_desk *desk, json_t *arguments,
                         struct agent_effect *effect, struct sch_report *report)
{
    return agent_trust_apply(desk->core, SCH_REVOKE, arguments, effect, report);
}

static int change_lock(const struct agent_desk *desk, json_t *arguments,
                       struct agent_effect *effect, struct sch_report *report)
{
    return agent_trust_apply(desk->core, SCH_LOCK, arguments, effect, report);
}

static int change_restart(const struct agent_desk *desk, json_t *arguments,
                          struct agent_effect *effect, struct sch_report *report)
{
    struct sch_reader reader = sch_reader_open(arguments, report);
    const char *name = sch_read_text(&reader, "name", true, AGENT_NAME_MAX - 1);

    *effect = (struct agent_effect){0};
    if (sch_reader_close(&reader) != ERR_OK)
        return ERR_INVALID;
    if (agent_supervise_restart(desk->supervise, name) != ERR_OK)
        return sch_fail(report, SCH_UNKNOWN, "name", "there is no module %s", name);
    (void)snprintf(effect->module, sizeof(effect->module), "%s", name);
    return ERR_OK;
}

/* {"name","id"?}: let go what the module serves and nobody knows. */
static int change_forget(const struct agent_desk *desk, json_t *arguments,
                         struct agent_effect *effect, struct sch_report *report)
{
    struct sch_reader reader = sch_reader_open(arguments, report);
    const char *name = sch_read_text(&reader, "name", true, AGENT_NAME_MAX - 1);
    const char *id = sch_read_text(&reader, "id", false, SCH_ID_CAP - 1);
    struct agent_module_status status;

    *effect = (struct agent_effect){0};
    if (sch_reader_close(&reader) != ERR_OK)
        return ERR_INVALID;
    if (!agent_supervise_find(desk->supervise, name, &status))
        return sch_fail(report, SCH_UNKNOWN, "name", "there is no module %s", name);
    return agent_orphan_forget(desk->core, name, id != NULL ? id : "", &effect->count, report);
}

/* --- answers --- */

static json_t *answer_deployment(const struct agent_desk *desk, const json_t *arguments,
                                 const struct agent_effect *effect, struct sch_report *report)
{
    json_t *json = agent_contract_json(desk->core->db, effect->twin, effect->contract);

    (void)arguments;
    if (json == NULL)
        (void)sch_fail_nomem(report);
    return json;
}

static json_t *answer_nothing(const struct agent_desk *desk, const json_t *arguments,
                              const struct agent_effect *effect, struct sch_report *report)
{
    (void)desk;
    (void)arguments;
    (void)effect;
    (void)report;
    return json_object();
}

/* How the module stands after its restart: running anew, or still on the way. */
static json_t *answer_restart(const struct agent_desk *desk, const json_t *arguments,
                              const struct agent_effect *effect, struct sch_report *report)
{
    struct agent_module_status status = {0};

    (void)arguments;
    if (!agent_supervise_find(desk->supervise, effect->module, &status))
        return json_object();
    if (status.replace_why[0] != '\0') {
        (void)sch_fail(report, SCH_MODULE_UNAVAILABLE, "name",
                       "%s was not replaced, the old process serves on: %s", effect->module,
                       status.replace_why);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:i}", "name", effect->module, "state",
                     agent_module_state_name(status.state), "pid", (int)status.pid);
}

static json_t *answer_twin(const struct agent_desk *desk, const json_t *arguments,
                           const struct agent_effect *effect, struct sch_report *report)
{
    json_t *json = agent_twin_json(desk->core->db, effect->twin);

    (void)report;
    if (json_object_size(json) == 0) { /* not known yet: the statement waits for its admission */
        (void)json_object_set(json, "twin_id", json_object_get(arguments, "twin_id"));
        (void)json_object_set_new(json, "state", json_string("kept"));
    }
    return json;
}

static json_t *answer_forget(const struct agent_desk *desk, const json_t *arguments,
                             const struct agent_effect *effect, struct sch_report *report)
{
    (void)desk;
    (void)arguments;
    (void)report;
    return json_pack("{s:I}", "forgotten", (json_int_t)effect->count);
}

/* {"name"?} */
static json_t *answer_orphans(const struct agent_desk *desk, const json_t *arguments,
                              const struct agent_effect *effect, struct sch_report *report)
{
    struct sch_reader reader = sch_reader_open(arguments, report);
    const char *name = sch_read_text(&reader, "name", false, AGENT_NAME_MAX - 1);

    (void)effect;
    if (sch_reader_close(&reader) != ERR_OK)
        return NULL;
    return agent_orphan_list(desk->core->db, name != NULL ? name : "", ORPHANS_MAX);
}

static json_t *answer_ping(const struct agent_desk *desk, const json_t *arguments,
                           const struct agent_effect *effect, struct sch_report *report)
{
    (void)desk;
    (void)arguments;
    (void)effect;
    (void)report;
    return json_string("PONG netwall " NW_VERSION);
}

/* {"twin_id","contract_id"} */
static int read_which(const json_t *arguments, struct agent_effect *which,
                      struct sch_report *report)
{
    static const struct sch_int twin = {
        .key = "twin_id", .min = 1, .max = SCH_TWIN_MAX, .required = true};
    static const struct sch_int contract = {
        .key = "contract_id", .min = 1, .max = SCH_INT_MAX, .required = true};
    struct sch_reader reader = sch_reader_open(arguments, report);

    which->twin = (uint32_t)sch_read_int(&reader, &twin);
    which->contract = (uint64_t)sch_read_int(&reader, &contract);
    return sch_reader_close(&reader);
}

static json_t *not_here(const struct agent_effect *which, struct sch_report *report)
{
    (void)sch_fail(report, SCH_UNKNOWN, "contract_id", "%llu is no contract of twin %u here",
                   (unsigned long long)which->contract, (unsigned)which->twin);
    return NULL;
}

static json_t *answer_get(const struct agent_desk *desk, const json_t *arguments,
                          const struct agent_effect *effect, struct sch_report *report)
{
    struct agent_effect which;
    json_t *json;

    (void)effect;
    if (read_which(arguments, &which, report) != ERR_OK)
        return NULL;
    json = agent_contract_json(desk->core->db, which.twin, which.contract);
    return json != NULL ? json : not_here(&which, report);
}

static json_t *answer_changes(const struct agent_desk *desk, const json_t *arguments,
                              const struct agent_effect *effect, struct sch_report *report)
{
    struct agent_effect which;
    json_t *json;

    (void)effect;
    if (read_which(arguments, &which, report) != ERR_OK)
        return NULL;
    json = agent_workload_changes(desk->core->db, which.twin, which.contract, ANSWER_BYTES_MAX);
    if (json_array_size(json) > 0)
        return json;
    json_decref(json);
    return not_here(&which, report);
}

static json_t *answer_list(const struct agent_desk *desk, const json_t *arguments,
                           const struct agent_effect *effect, struct sch_report *report)
{
    static const struct sch_int twin = {.key = "twin_id", .min = 1, .max = SCH_TWIN_MAX};
    struct sch_reader reader = sch_reader_open(arguments, report);
    uint32_t id = (uint32_t)sch_read_int(&reader, &twin);

    (void)effect;
    if (sch_reader_close(&reader) != ERR_OK)
        return NULL;
    return agent_contract_list(desk->core->db, id, ANSWER_BYTES_MAX);
}

static json_t *answer_twins(const struct agent_desk *desk, const json_t *arguments,
                            const struct agent_effect *effect, struct sch_report *report)
{
    (void)arguments;
    (void)effect;
    (void)report;
    return agent_twin_list(desk->core->db);
}

static json_t *answer_modules(const struct agent_desk *desk, const json_t *arguments,
                              const struct agent_effect *effect, struct sch_report *report)
{
    (void)arguments;
    (void)effect;
    (void)report;
    return agent_state_modules(desk->state);
}

static json_t *answer_node(const struct agent_desk *desk, const json_t *arguments,
                           const struct agent_effect *effect, struct sch_report *report)
{
    (void)arguments;
    (void)effect;
    (void)report;
    return agent_state_node(desk->state);
}

/* --- who may ask --- */

static bool always(const json_t *arguments)
{
    (void)arguments;
    return true;
}

static bool without_twin(const json_t *arguments)
{
    return json_object_get(arguments, "twin_id") == NULL;
}

/* clang-format off */
static const struct agent_verb verbs[] = {
    {"core.ping",               NULL,     NULL,           answer_ping,       NULL},
    {"zos.deployment.deploy",   "deploy", change_deploy,  answer_deployment, NULL},
    {"zos.deployment.update",   "update", change_deploy,  answer_deployment, NULL},
    {"zos.deployment.delete",   "delete", change_delete,  answer_nothing,    NULL},
    {"zos.deployment.get",      NULL,     NULL,           answer_get,        NULL},
    {"zos.deployment.changes",  NULL,     NULL,           answer_changes,    NULL},
    {"zos.deployment.list",     NULL,     NULL,           answer_list,       without_twin},
    {"netwall.twin.admit",      "admit",  change_admit,   answer_twin,       NULL},
    {"netwall.twin.revoke",     "revoke", change_revoke,  answer_twin,       NULL},
    {"netwall.twin.lock",       "lock",   change_lock,    answer_twin,       NULL},
    {"netwall.twin.list",       NULL,     NULL,           answer_twins,      always},
    {"netwall.module.list",     NULL,     NULL,           answer_modules,    always},
    {"netwall.module.restart",  NULL,     change_restart, answer_restart,    always},
    {"netwall.module.orphans",  NULL,     NULL,           answer_orphans,    always},
    {"netwall.module.forget",   NULL,     change_forget,  answer_forget,     always},
    {"netwall.node.info",       NULL,     NULL,           answer_node,       NULL},
};
/* clang-format on */

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

const struct agent_verb *agent_verb_find(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

const struct agent_verb *agent_verb_find_op(const char *op)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (verbs[i].op != NULL && strcmp(verbs[i].op, op) == 0)
            return &verbs[i];
    }
    return NULL;
}
