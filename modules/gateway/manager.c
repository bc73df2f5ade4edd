/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call becomes a struct call, which ends in exactly one answer: when what it set is in place and
 * durable, or with what failed, after the earlier setting is back.
 */
#include "modules/gateway/manager.h"

#include <ev.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/serve.h"
#include "modules/gateway/zos_proxy.h"
#include "schemas/workload.h"

#define OBJECT "manager"
#define OBJECT_VERSION "0.0.1"
#define METHODS 4

enum call_state {
    CALL_TRYING,  /* not yet in place, not yet refused */
    CALL_SAVING,  /* in place; answered when durable */
    CALL_REFUSED, /* to be undone and answered from the loop */
};

/* A call whose answer is still due. */
struct call {
    TAILQ_ENTRY(call) entry;
    struct bus_job *job;
    enum call_state state;
    uint64_t save; /* CALL_SAVING: answered when this number is on the disk */
    bool named;    /* SetNamedProxy: the answer holds the host name */
    bool joined;   /* the same call came before and does the work */
    char id[GW_ID_MAX];
    char host[HOST_CAP];
    char *old_spec; /* owned; what the id stood for before, NULL = nothing */
    uint8_t old_hash[GW_HASH_LEN];
    char why[SCH_MESSAGE_CAP];
};

TAILQ_HEAD(calls, call);

struct gw_manager {
    struct gw_manager_config cfg; /* url, prefix, module are not used */
    struct bus_server *server;
    struct bus_method methods[METHODS];
    struct bus_object object;
    struct calls calls;
    ev_timer undo; /* refused calls are undone from the loop */
};

/* ---- answers ---- */

/* A text beside ERROR (NULL for none). */
static void answer_text(struct bus_job *job, const char *text, const char *error)
{
    struct bus_pack *pack = NULL;

    if (bus_pack_new(&pack) != ERR_OK) {
        bus_job_answer(job, NULL, "out of memory");
        return;
    }
    bus_pack_text(pack, text);
    bus_job_answer(job, pack, error);
    bus_pack_free(pack);
}

/* Answer by kind: SetNamedProxy gives a text ("" beside errors), the others nothing. */
static void answer(struct bus_job *job, bool named, const char *host, const char *error)
{
    if (named)
        answer_text(job, error == NULL ? host : "", error);
    else
        bus_job_answer(job, NULL, error);
}

/* The one way a call ends. CALL is gone before the answer leaves. */
static void finish(struct gw_manager *self, struct call *call, const char *error)
{
    struct call done = *call;

    TAILQ_REMOVE(&self->calls, call, entry);
    free(call->old_spec);
    free(call);
    LOG_AT(error != NULL ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "zbus call", KV_S("id", done.id),
           KV_S("call", bus_job_id(done.job)), KV_S("err", error != NULL ? error : "none"));
    answer(done.job, done.named, done.host, error);
}

/* ---- undoing ---- */

static int put_spec(struct gw_entry *entry, const char *spec, size_t len)
{
    int rc = gw_entry_set_spec(entry, spec, len);

    if (rc == ERR_OK)
        (void)crypto_generichash(entry->hash, sizeof(entry->hash), (const uint8_t *)spec, len, NULL,
                                 0);
    return rc;
}

static void remove_entry(struct gw_manager *self, struct gw_entry *entry)
{
    gw_provision_drop(self->cfg.provisioner, entry);
    gw_store_remove(self->cfg.store, entry);
    (void)self->cfg.ask_save(self->cfg.arg);
}

static void undo(struct gw_manager *self, struct call *call)
{
    struct gw_entry *entry = gw_store_find(self->cfg.store, GW_OWNER_ZBUS, call->id);
    char *old = call->old_spec;
    bool joined = call->joined;
    char why[SCH_MESSAGE_CAP];

    call->old_spec = NULL;
    (void)snprintf(why, sizeof(why), "%s", call->why);
    finish(self, call, why);
    if (joined)
        return;
    if (entry != NULL && (old == NULL || put_spec(entry, old, strlen(old)) != ERR_OK))
        remove_entry(self, entry);
    else if (entry != NULL)
        gw_provision_apply(self->cfg.provisioner, entry);
    free(old);
}

static void on_undo(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_manager *self = w->data;
    struct call *call, *next;

    (void)loop;
    (void)revents;
    for (call = TAILQ_FIRST(&self->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, entry);
        if (call->state == CALL_REFUSED)
            undo(self, call);
    }
}

static void refuse(struct gw_manager *self, struct call *call, const char *why)
{
    call->state = CALL_REFUSED;
    (void)snprintf(call->why, sizeof(call->why), "%s", why[0] != '\0' ? why : "not possible");
    if (!ev_is_active(&self->undo)) {
        ev_timer_set(&self->undo, 0.0, 0.0);
        ev_timer_start(self->cfg.loop, &self->undo);
    }
}

/* ---- what comes back from provisioning ---- */

static struct call *find_call(const struct gw_manager *self, const char *id)
{
    struct call *call;

    TAILQ_FOREACH(call, &self->calls, entry)
    {
        if (strcmp(call->id, id) == 0)
            return call;
    }
    return NULL;
}

static void note(struct gw_manager *self, struct call *call, const struct sch_result *result,
                 uint64_t save)
{
    const char *fqdn = json_string_value(json_object_get(result->data, "fqdn"));

    if (result->error != SCH_OK) {
        refuse(self, call, result->message);
        return;
    }
    if (result->state != SCH_STATE_OK)
        return; /* the DNS is being asked */
    (void)snprintf(call->host, sizeof(call->host), "%s", fqdn != NULL ? fqdn : "");
    call->state = CALL_SAVING;
    call->save = save;
}

void gw_manager_note(struct gw_manager *self, const struct gw_entry *entry,
                     const struct sch_result *result, uint64_t save)
{
    struct call *call;

    TAILQ_FOREACH(call, &self->calls, entry)
    {
        if (call->state == CALL_TRYING && strcmp(call->id, entry->id) == 0)
            note(self, call, result, save);
    }
}

void gw_manager_saved(struct gw_manager *self, uint64_t done)
{
    struct call *call, *next;

    for (call = TAILQ_FIRST(&self->calls); call != NULL; call = next) {
        next = TAILQ_NEXT(call, entry);
        if (call->state == CALL_SAVING && call->save <= done)
            finish(self, call, NULL);
    }
}

/* ---- methods ---- */

static struct call *call_new(struct gw_manager *self, struct bus_job *job, const char *id,
                             bool named)
{
    struct call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->job = job;
    call->named = named;
    (void)snprintf(call->id, sizeof(call->id), "%s", id);
    TAILQ_INSERT_TAIL(&self->calls, call, entry);
    return call;
}

/* The same call again, and what it asks for is in place: nothing to do. */
static bool is_replay(const struct gw_entry *entry, const char *spec)
{
    const struct sch_result *result = entry != NULL ? gw_provision_result(entry) : NULL;

    return result != NULL && result->state == SCH_STATE_OK && strcmp(entry->spec, spec) == 0;
}

static void set(struct gw_manager *self, struct call *call, const char *spec)
{
    struct gw_entry *entry = gw_store_find(self->cfg.store, GW_OWNER_ZBUS, call->id);
    int rc = ERR_OK;

    if (!is_replay(entry, spec)) {
        call->old_spec = entry != NULL ? strdup(entry->spec) : NULL;
        rc = gw_store_obtain(self->cfg.store, &entry, GW_OWNER_ZBUS, call->id);
        if (rc == ERR_OK)
            rc = put_spec(entry, spec, strlen(spec));
    }
    if (rc != ERR_OK)
        refuse(self, call, err_text(rc));
    else
        gw_provision_apply(self->cfg.provisioner, entry); /* comes back through gw_manager_note */
}

/*
 * The same call again while the first is under way, as callers do that lost patience: it shares the
 * outcome. Returns false when the id is busy with something else.
 */
static bool join(struct gw_manager *self, const struct call *first, struct bus_job *job,
                 const char *spec)
{
    const struct gw_entry *entry = gw_store_find(self->cfg.store, GW_OWNER_ZBUS, first->id);
    struct call *call;

    if (first->state == CALL_REFUSED || entry == NULL || strcmp(entry->spec, spec) != 0)
        return false;
    call = call_new(self, job, first->id, first->named);
    if (call == NULL)
        return false;
    call->joined = true;
    call->state = first->state;
    call->save = first->save;
    memcpy(call->host, first->host, sizeof(call->host));
    return true;
}

/* A call whose arguments are fine. */
static void begin_set(struct gw_manager *self, struct bus_job *job, const struct call *what,
                      const char *spec)
{
    const struct call *first = find_call(self, what->id);
    struct call *call;

    if (first != NULL && join(self, first, job, spec))
        return;
    call = first == NULL ? call_new(self, job, what->id, what->named) : NULL;
    if (call != NULL)
        set(self, call, spec);
    else
        answer(job, what->named, "",
               first != NULL ? "another call about this workload is under way" : "out of memory");
}

/* The id of a call; false after the job was answered. */
static bool read_id(struct bus_job *job, char id[GW_ID_MAX])
{
    const struct bus_node *node = bus_job_input(job, 0);
    const char *text;
    size_t len;

    if (node == NULL || !bus_node_text(node, &text, &len)) {
        bus_job_bad_input(job, 0, "string");
        return false;
    }
    if (!bus_node_copy(node, id, GW_ID_MAX))
        id[0] = '\0'; /* too long to be one */
    return true;
}

static void set_proxy(struct gw_manager *self, struct bus_job *job, enum gw_zos_kind kind)
{
    struct call what = {.named = kind == GW_ZOS_NAME};
    char why[GW_ZOS_WHY_MAX] = "out of memory";
    char *spec = NULL;
    int rc;

    if (!read_id(job, what.id))
        return;
    rc = gw_zos_proxy_read(&spec, kind, bus_job_input(job, 1), why);
    if (rc == ERR_PROTO) {
        bus_job_bad_input(job, 1, what.named ? "zos.GatewayNameProxy" : "zos.GatewayFQDNProxy");
        return;
    }
    if (rc == ERR_OK)
        rc = gw_zos_id_check(kind, what.id, why);
    if (rc == ERR_OK)
        begin_set(self, job, &what, spec);
    else
        answer(job, what.named, "", why);
    free(spec);
}

static void set_named_proxy(void *arg, struct bus_job *job)
{
    set_proxy(arg, job, GW_ZOS_NAME);
}

static void set_fqdn_proxy(void *arg, struct bus_job *job)
{
    set_proxy(arg, job, GW_ZOS_FQDN);
}

/* Out of service and out of the store; calls that were still setting it end. Returns the save. */
static uint64_t remove_now(struct gw_manager *self, struct gw_entry *entry)
{
    struct call *call;

    while ((call = find_call(self, entry->id)) != NULL)
        finish(self, call, "deleted meanwhile");
    gw_provision_drop(self->cfg.provisioner, entry);
    gw_store_remove(self->cfg.store, entry);
    return self->cfg.ask_save(self->cfg.arg);
}

/* For both kinds; an unknown id is fine, as deletes are repeated. */
static void delete_named_proxy(void *arg, struct bus_job *job)
{
    struct gw_manager *self = arg;
    const struct call *first;
    struct gw_entry *entry;
    struct call *call;
    char id[GW_ID_MAX];
    uint64_t save;

    if (!read_id(job, id))
        return;
    entry = gw_store_find(self->cfg.store, GW_OWNER_ZBUS, id);
    first = find_call(self, id);
    if (entry == NULL && first == NULL) {
        bus_job_answer(job, NULL, NULL);
        return;
    }
    save = entry != NULL ? remove_now(self, entry) : first->save; /* another delete's */
    call = call_new(self, job, id, false);
    if (call == NULL) {
        bus_job_answer(job, NULL, "out of memory");
        return;
    }
    call->state = CALL_SAVING;
    call->save = save;
}

/* Two passes over the same numbers: one map for requests, one for responses. */
struct metrics {
    struct bus_pack *pack;
    size_t count;
    bool counting;
    bool response;
};

static void add_metric(void *arg, const char *id, const struct gw_usage *usage)
{
    struct metrics *m = arg;

    if (m->counting) {
        m->count++;
        return;
    }
    bus_pack_text(m->pack, id);
    bus_pack_real(m->pack, (double)(m->response ? usage->tx_bytes : usage->rx_bytes));
}

static void metrics(void *arg, struct bus_job *job)
{
    struct gw_manager *self = arg;
    struct metrics m = {.counting = true};

    if (bus_pack_new(&m.pack) != ERR_OK) {
        bus_job_answer(job, NULL, "out of memory");
        return;
    }
    self->cfg.each_usage(self->cfg.arg, add_metric, &m);
    m.counting = false;
    bus_pack_map(m.pack, 2);
    for (int i = 0; i < 2; i++) {
        m.response = i == 1;
        bus_pack_text(m.pack, m.response ? "Response" : "Request");
        bus_pack_map(m.pack, m.count);
        self->cfg.each_usage(self->cfg.arg, add_metric, &m);
    }
    bus_job_answer(job, m.pack, bus_pack_rc(m.pack) == ERR_OK ? NULL : "too many workloads");
    bus_pack_free(m.pack);
}

/* ---- life ---- */

int gw_manager_new(struct gw_manager **out, const struct gw_manager_config *cfg)
{
    struct gw_manager *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    TAILQ_INIT(&self->calls);
    ev_timer_init(&self->undo, on_undo, 0.0, 0.0);
    self->undo.data = self;
    self->methods[0] =
        (struct bus_method){.name = "SetNamedProxy", .inputs = 2, .run = set_named_proxy};
    self->methods[1] =
        (struct bus_method){.name = "SetFQDNProxy", .inputs = 2, .run = set_fqdn_proxy};
    self->methods[2] =
        (struct bus_method){.name = "DeleteNamedProxy", .inputs = 1, .run = delete_named_proxy};
    self->methods[3] = (struct bus_method){.name = "Metrics", .inputs = 0, .run = metrics};
    self->object = (struct bus_object){OBJECT, OBJECT_VERSION, self->methods, METHODS, self};
    struct bus_server_config server = {
        .loop = cfg->loop,
        .url = cfg->url,
        .prefix = cfg->prefix,
        .module = cfg->module,
        .objects = &self->object,
        .object_count = 1,
        .workers = cfg->workers,
    };
    rc = bus_server_new(&self->server, &server);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void gw_manager_drain(struct gw_manager *self)
{
    bus_server_drain(self->server);
}

bool gw_manager_is_idle(const struct gw_manager *self)
{
    return bus_server_busy(self->server) == 0;
}

void gw_manager_free(struct gw_manager *self)
{
    struct call *call;

    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->undo);
    while ((call = TAILQ_FIRST(&self->calls)) != NULL) {
        if (call->why[0] == '\0')
            (void)snprintf(call->why, sizeof(call->why), "the gateway is stopping");
        if (call->state == CALL_SAVING)
            finish(self, call, "the gateway is stopping");
        else
            undo(self, call); /* nobody will hear that it worked */
    }
    bus_server_free(self->server);
    free(self);
}
