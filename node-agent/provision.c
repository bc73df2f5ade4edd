/* SPDX-License-Identifier: Apache-2.0 */
/* One function per method. What a call does is asked of the verbs; here are its types and texts. */
#include "node-agent/provision.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/serve.h"
#include "node-agent/decommission.h"
#include "node-agent/gridtype.h"
#include "node-agent/workload.h"
#include "schemas/canonical.h"

#define MODULE "provision"
#define OBJECT "provision"
#define OBJECT_VERSION "0.0.1"
#define ERROR_MAX 1024
#define DRAIN_LOOK_S 0.01
#define DRAIN_LOOKS 100

struct agent_provision {
    struct agent_provision_config cfg; /* url and prefix are not used */
    struct bus_object object;
    struct bus_server *server;
    ev_timer look; /* while draining */
    unsigned looks;
    void (*on_idle)(void *arg);
    void *idle_arg;
};

/* ---- answers ---- */

/* Writes a result; JSON NULL = its zero value, which stands beside errors. */
typedef void pack_fn(struct bus_pack *pack, const json_t *json);

static void answer(struct bus_job *job, pack_fn *fn, const json_t *json, const char *error)
{
    struct bus_pack *pack = NULL;

    if (bus_pack_new(&pack) != ERR_OK) {
        bus_job_answer(job, NULL, "out of memory");
        return;
    }
    fn(pack, json);
    bus_job_answer(job, pack, error);
    bus_pack_free(pack);
}

/* "bad_name: workloads[0].data.name: must be one label" */
static const char *error_text(char out[ERROR_MAX], const struct sch_report *report)
{
    (void)snprintf(out, ERROR_MAX, "%s: %s%s%s", sch_code_text(report->code), report->path,
                   report->path[0] != '\0' ? ": " : "", report->why);
    return out;
}

static void pack_deployments(struct bus_pack *pack, const json_t *json)
{
    const json_t *item;
    size_t i;

    bus_pack_array(pack, json_array_size(json));
    json_array_foreach(json, i, item) agent_gridtype_pack_deployment(pack, item);
}

static void pack_workloads(struct bus_pack *pack, const json_t *json)
{
    const json_t *item;
    size_t i;

    bus_pack_array(pack, json_array_size(json));
    json_array_foreach(json, i, item) agent_gridtype_pack_workload(pack, item);
}

/* ---- arguments: false after the job was answered ---- */

static bool read_number(struct bus_job *job, size_t i, uint64_t max, uint64_t *out)
{
    if (bus_node_uint(bus_job_input(job, i), out) && *out <= max)
        return true;
    bus_job_bad_input(job, i, max == UINT32_MAX ? "uint32" : "uint64");
    return false;
}

static bool read_text(struct bus_job *job, size_t i, char *out, size_t cap)
{
    const char *text;
    size_t len;

    if (!bus_node_text(bus_job_input(job, i), &text, &len)) {
        bus_job_bad_input(job, i, "string");
        return false;
    }
    (void)snprintf(out, cap, "%.*s", (int)(len < cap ? len : cap - 1), text);
    return true;
}

/* ---- contracts in ---- */

/* The way of every contract. Answers the job. */
static void deploy(struct agent_provision *self, struct bus_job *job, json_t *document)
{
    const struct agent_verb *verb = agent_verb_find("zos.deployment.deploy");
    struct agent_effect effect = {0};
    struct sch_report report = {0};
    char text[ERROR_MAX];

    if (verb->change(self->cfg.desk, document, &effect, &report) == ERR_OK) {
        LOG_INFO("contract taken over zbus", KV_S("call", bus_job_id(job)),
                 KV_N("twin", effect.twin), KV_N("contract", effect.contract));
        bus_job_answer(job, NULL, NULL);
        return;
    }
    LOG_INFO("contract refused over zbus", KV_S("call", bus_job_id(job)),
             KV_S("code", sch_code_text(report.code)), KV_S("path", report.path),
             KV_S("why", report.why));
    bus_job_answer(job, NULL, error_text(text, &report));
}

/* CreateOrUpdate(twin, deployment, update): whether it is new is seen from what is stored here. */
static void create_or_update(void *arg, struct bus_job *job)
{
    struct sch_report report = {0};
    json_t *document = NULL;
    char text[ERROR_MAX];
    uint64_t twin, owner;
    bool update;
    int rc;

    if (!read_number(job, 0, UINT32_MAX, &twin))
        return;
    if (!bus_node_bool(bus_job_input(job, 2), &update)) {
        bus_job_bad_input(job, 2, "bool");
        return;
    }
    rc = agent_gridtype_read(&document, bus_job_input(job, 1), &report);
    if (rc == ERR_PROTO) {
        bus_job_bad_input(job, 1, "gridtypes.Deployment");
        return;
    }
    owner = (uint64_t)json_integer_value(json_object_get(document, "twin_id"));
    (void)snprintf(text, sizeof(text), "twin id mismatch (deployment: %llu, message: %llu)",
                   (unsigned long long)owner, (unsigned long long)twin);
    if (rc != ERR_OK)
        bus_job_answer(job, NULL, rc == ERR_NOMEM ? "out of memory" : error_text(text, &report));
    else if (owner != twin)
        bus_job_answer(job, NULL, text);
    else
        deploy(arg, job, document);
    json_decref(document);
}

/* ---- questions ---- */

/* What the verb NAME answers about a contract (0 = all of the twin's): a new reference or NULL. */
static json_t *ask(const struct agent_provision *self, const char *name, uint64_t twin,
                   uint64_t contract, struct sch_report *report)
{
    const struct agent_effect nothing = {0};
    json_t *arguments = json_pack("{s:I}", "twin_id", (json_int_t)twin);
    json_t *json = NULL;

    if (arguments != NULL && contract != 0)
        (void)json_object_set_new(arguments, "contract_id", json_integer((json_int_t)contract));
    if (arguments != NULL)
        json = agent_verb_find(name)->answer(self->cfg.desk, arguments, &nothing, report);
    json_decref(arguments);
    return json;
}

static void ask_contract(const struct agent_provision *self, struct bus_job *job, const char *name,
                         pack_fn *fn)
{
    struct sch_report report = {.code = SCH_STORAGE_ERROR};
    uint64_t twin, contract;
    char text[ERROR_MAX];
    json_t *json = NULL;

    if (!read_number(job, 0, UINT32_MAX, &twin) || !read_number(job, 1, UINT64_MAX, &contract))
        return;
    report.code = SCH_UNKNOWN; /* ids that no contract here can have */
    if (twin != 0 && contract != 0 && contract <= (uint64_t)SCH_INT_MAX)
        json = ask(self, name, twin, contract, &report);
    answer(job, fn, json,
           json != NULL                 ? NULL
           : report.code == SCH_UNKNOWN ? "deployment not found"
                                        : error_text(text, &report));
    json_decref(json);
}

static void get(void *arg, struct bus_job *job)
{
    ask_contract(arg, job, "zos.deployment.get", agent_gridtype_pack_deployment);
}

static void changes(void *arg, struct bus_job *job)
{
    ask_contract(arg, job, "zos.deployment.changes", pack_workloads);
}

/* As in Zero-OS: some workload of it is not deleted. */
static bool is_active(const json_t *document)
{
    const json_t *workload;
    size_t i;

    json_array_foreach(json_object_get(document, "workloads"), i, workload)
    {
        const char *state =
            json_string_value(json_object_get(json_object_get(workload, "result"), "state"));

        if (state == NULL || strcmp(state, sch_state_text(SCH_STATE_DELETED)) != 0)
            return true;
    }
    return false;
}

static void list(void *arg, struct bus_job *job)
{
    struct sch_report report = {.code = SCH_STORAGE_ERROR};
    char text[ERROR_MAX];
    json_t *all = NULL;
    uint64_t twin;

    if (!read_number(job, 0, UINT32_MAX, &twin))
        return;
    if (twin != 0) /* nobody's */
        all = ask(arg, "zos.deployment.list", twin, 0, &report);
    for (size_t i = json_array_size(all); i > 0; i--) {
        if (!is_active(json_array_get(all, i - 1)))
            (void)json_array_remove(all, i - 1);
    }
    answer(job, pack_deployments, all, all != NULL || twin == 0 ? NULL : error_text(text, &report));
    json_decref(all);
}

/* (state, exists): two results are one list. JSON is the state. */
static void pack_status(struct bus_pack *pack, const json_t *json)
{
    bus_pack_array(pack, 2);
    bus_pack_text(pack, json != NULL ? json_string_value(json) : "");
    bus_pack_bool(pack, json != NULL);
}

static void get_workload_status(void *arg, struct bus_job *job)
{
    const struct agent_provision *self = arg;
    struct agent_workload w;
    char id[SCH_ID_CAP];
    json_t *state = NULL;
    const char *name;
    uint64_t contract;
    uint32_t twin;
    bool is_id;

    if (!read_text(job, 0, id, sizeof(id)))
        return;
    is_id = sch_workload_id_split(id, &twin, &contract, &name) == ERR_OK;
    if (is_id && agent_workload_get(self->cfg.desk->core->db, id, &w)) {
        state = json_string(sch_state_text(w.result.state));
        agent_workload_deinit(&w);
    }
    answer(job, pack_status, state, is_id ? NULL : "invalid workload id");
    json_decref(state);
}

/* ---- taking out of service ---- */

static void decommission_cached(void *arg, struct bus_job *job)
{
    const struct agent_provision *self = arg;
    char id[SCH_ID_CAP], reason[SCH_MESSAGE_CAP];
    struct sch_report report = {0};

    if (!read_text(job, 0, id, sizeof(id)) || !read_text(job, 1, reason, sizeof(reason)))
        return;
    if (agent_decommission(self->cfg.desk->core, id, reason, &report) != ERR_OK) {
        bus_job_answer(job, NULL, report.why);
        return;
    }
    LOG_WARN("workload decommissioned over zbus", KV_S("id", id), KV_S("reason", reason),
             KV_S("call", bus_job_id(job)));
    bus_job_answer(job, NULL, NULL);
}

/* ---- life ---- */

static const struct bus_method methods[] = {
    {.name = "CreateOrUpdate", .inputs = 3, .run = create_or_update},
    {.name = "Get", .inputs = 2, .run = get},
    {.name = "List", .inputs = 1, .run = list},
    {.name = "Changes", .inputs = 2, .run = changes},
    {.name = "GetWorkloadStatus", .inputs = 1, .run = get_workload_status},
    {.name = "DecommissionCached", .inputs = 2, .run = decommission_cached},
};

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct agent_provision *self = w->data;

    (void)revents;
    if (bus_server_busy(self->server) > 0 && ++self->looks < DRAIN_LOOKS)
        return;
    ev_timer_stop(loop, w);
    self->on_idle(self->idle_arg);
}

int agent_provision_new(struct agent_provision **out, const struct agent_provision_config *cfg)
{
    struct agent_provision *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    ev_timer_init(&self->look, on_look, DRAIN_LOOK_S, DRAIN_LOOK_S);
    self->look.data = self;
    self->object = (struct bus_object){OBJECT, OBJECT_VERSION, methods,
                                       sizeof(methods) / sizeof(methods[0]), self};
    struct bus_server_config server = {.loop = cfg->loop,
                                       .url = cfg->url,
                                       .prefix = cfg->prefix,
                                       .module = MODULE,
                                       .objects = &self->object,
                                       .object_count = 1,
                                       .workers = cfg->workers};
    rc = bus_server_new(&self->server, &server);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void agent_provision_free(struct agent_provision *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->look);
    bus_server_free(self->server);
    free(self);
}

void agent_provision_drain(struct agent_provision *self, void (*on_idle)(void *arg), void *arg)
{
    self->on_idle = on_idle;
    self->idle_arg = arg;
    bus_server_drain(self->server);
    ev_timer_start(self->cfg.loop, &self->look);
}
