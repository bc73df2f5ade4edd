/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues, workers and the status object of a zbus server. What happens to one request is in
 * bus/job.
 */
#include "bus/serve.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/job.h"
#include "bus/outbox.h"
#include "bus/pop.h"
#include "bus/wire.h"

#define STATUS_OBJECT "zbus"
#define STATUS_VERSION "1.0"

struct worker {
    struct bus_job *job; /* NULL = free */
    uint64_t since_ms;   /* unix time of the last change */
};

struct bus_server {
    struct bus_server_config cfg;
    char prefix[BUS_PREFIX_MAX + 1];
    char module[BUS_MODULE_MAX + 1];
    struct bus_pop *pop;    /* the queues of the objects */
    struct bus_pop *status; /* its own, so that it answers while all workers are busy */
    struct bus_outbox *outbox;
    size_t busy;
    bool draining;
    struct worker workers[]; /* cfg.workers */
};

static const struct bus_object *find_object(const struct bus_server *self,
                                            const struct bus_wire_request *request)
{
    for (size_t i = 0; i < self->cfg.object_count; i++) {
        const struct bus_object *object = &self->cfg.objects[i];

        if (strcmp(object->name, request->object) == 0 &&
            strcmp(object->version, request->version) == 0)
            return object;
    }
    return NULL;
}

static const struct bus_method *find_method(const struct bus_object *object, const char *name)
{
    for (size_t i = 0; i < object->method_count; i++) {
        if (strcmp(object->methods[i].name, name) == 0)
            return &object->methods[i];
    }
    return NULL;
}

static bool takes(const struct bus_method *method, size_t inputs)
{
    return inputs == method->inputs || (method->variadic && inputs > method->inputs);
}

/* "module.object@version", of whatever module. */
static bool is_queue(const char *list)
{
    const char *dot = strchr(list, '.');

    return dot != NULL && strchr(dot, '@') != NULL;
}

/* A list a stranger may have an answer on: none of our keys, nobody's queue. */
static bool may_answer_on(const struct bus_server *self, const char *list)
{
    size_t module = strlen(self->module);

    if (list[0] == '\0' || is_queue(list) || bus_key_is_own(self->prefix, list, strlen(list)))
        return false;
    return strncmp(list, self->module, module) != 0 || list[module] != '.';
}

static void send_response(struct bus_server *self, const char *list,
                          const struct bus_wire_response *response)
{
    struct bus_pack *pack = NULL;
    const uint8_t *data;
    size_t len;
    int rc = bus_pack_new(&pack);

    if (rc == ERR_OK) {
        bus_wire_response_encode(pack, response);
        rc = bus_pack_rc(pack);
    }
    if (rc == ERR_OK) {
        data = bus_pack_data(pack, &len);
        rc = bus_outbox_push(self->outbox, list, data, len, NULL);
    }
    if (rc != ERR_OK)
        LOG_WARN("zbus answer lost", KV_S("id", response->id), KV_S("err", err_text(rc)));
    bus_pack_free(pack);
}

static void protocol_error(struct bus_server *self, const struct bus_wire_request *request,
                           const char *text)
{
    struct bus_wire_response response = {.protocol = text, .protocol_len = strlen(text)};

    memcpy(response.id, request->id, sizeof(response.id));
    send_response(self, request->reply_to, &response);
}

/* Decode and judge what was popped; false (and a line in the log) when it gets no answer. */
static bool read_request(const struct bus_server *self, struct bus_wire_request *request,
                         const struct bus_value *item)
{
    int rc = bus_wire_request_decode(request, item->text, item->len);

    if (rc != ERR_OK) {
        LOG_WARN("zbus request dropped", KV_S("err", err_text(rc)), KV_N("bytes", item->len));
        return false;
    }
    if (request->reply_to[0] == '\0')
        memcpy(request->reply_to, request->id, sizeof(request->reply_to));
    if (!may_answer_on(self, request->reply_to)) {
        LOG_WARN("zbus request dropped", KV_S("err", "it wants its answer on a list it may not"),
                 KV_S("reply_to", request->reply_to), KV_S("id", request->id));
        return false;
    }
    if (request->deadline_ms != 0 && request->deadline_ms < clock_unix_ms()) {
        LOG_WARN("zbus request dropped", KV_S("err", "its deadline passed"),
                 KV_S("id", request->id));
        return false;
    }
    return true;
}

static struct worker *free_worker(struct bus_server *self)
{
    for (unsigned i = 0; i < self->cfg.workers; i++) {
        if (self->workers[i].job == NULL)
            return &self->workers[i];
    }
    return NULL;
}

/* Pop one more only while somebody can work on it: several processes may share a queue. */
static void pump(struct bus_server *self)
{
    if (self->busy < self->cfg.workers)
        bus_pop_want(self->pop);
}

/* Also called for a job that ended or ran out of time: its worker is free. */
static void on_job_over(void *arg, struct bus_job *job, const struct bus_wire_response *response,
                        const char *list)
{
    struct bus_server *self = arg;

    for (unsigned i = 0; i < self->cfg.workers; i++) {
        if (self->workers[i].job == job)
            self->workers[i] = (struct worker){.since_ms = clock_unix_ms()};
    }
    self->busy--;
    send_response(self, list, response);
    pump(self);
}

/* Last statement of its caller: the method may do anything. */
static void run(struct bus_server *self, const struct bus_object *object,
                const struct bus_method *method, const struct bus_wire_request *request)
{
    struct worker *worker = free_worker(self);
    struct bus_job *job = NULL;
    struct bus_job_config cfg = {.loop = self->cfg.loop,
                                 .limit_ms = self->cfg.job_limit_ms,
                                 .request = request,
                                 .on_over = on_job_over,
                                 .arg = self};

    if (worker == NULL || bus_job_new(&job, &cfg) != ERR_OK) {
        LOG_WARN("zbus request dropped", KV_S("id", request->id), KV_S("err", "out of memory"));
        pump(self);
        return;
    }
    worker->job = job;
    worker->since_ms = clock_unix_ms();
    self->busy++;
    pump(self);
    method->run(object->arg, job);
}

static void on_item(void *arg, const char *key, const struct bus_value *item)
{
    struct bus_server *self = arg;
    struct bus_wire_request request;
    const struct bus_object *object = NULL;
    const struct bus_method *method = NULL;
    char text[96] = "";

    (void)key;
    if (read_request(self, &request, item)) {
        object = find_object(self, &request);
        method = object != NULL ? find_method(object, request.method) : NULL;
        if (object == NULL)
            snprintf(text, sizeof(text), "unknown object");
        else if (method == NULL)
            snprintf(text, sizeof(text), "not a function");
        else if (!takes(method, request.input_count))
            snprintf(text, sizeof(text), "invalid number of arguments expecting %zu got %zu",
                     method->inputs, request.input_count);
        if (text[0] == '\0') {
            run(self, object, method, &request);
            return;
        }
        protocol_error(self, &request, text);
    }
    pump(self);
}

/* --- the status object --- */

static void pack_worker(struct bus_pack *pack, const struct worker *worker)
{
    char action[3 * BUS_WIRE_NAME_MAX + 16] = "";

    if (worker->job != NULL)
        bus_job_action(worker->job, action, sizeof(action));
    bus_pack_map(pack, 3);
    bus_pack_text(pack, "State");
    bus_pack_text(pack, worker->job != NULL ? "busy" : "free");
    bus_pack_text(pack, "StartTime");
    bus_pack_time(pack, (int64_t)(worker->since_ms / 1000),
                  (uint32_t)(worker->since_ms % 1000) * 1000000u);
    bus_pack_text(pack, "Action");
    bus_pack_text(pack, action);
}

static void pack_status(struct bus_pack *pack, const struct bus_server *self)
{
    bus_pack_map(pack, 2);
    bus_pack_text(pack, "Objects");
    bus_pack_array(pack, self->cfg.object_count);
    for (size_t i = 0; i < self->cfg.object_count; i++) {
        bus_pack_map(pack, 2);
        bus_pack_text(pack, "Name");
        bus_pack_text(pack, self->cfg.objects[i].name);
        bus_pack_text(pack, "Version");
        bus_pack_text(pack, self->cfg.objects[i].version);
    }
    bus_pack_text(pack, "Workers");
    bus_pack_array(pack, self->cfg.workers);
    for (unsigned i = 0; i < self->cfg.workers; i++)
        pack_worker(pack, &self->workers[i]);
}

static void on_status(void *arg, const char *key, const struct bus_value *item)
{
    struct bus_server *self = arg;
    struct bus_wire_request request;
    struct bus_wire_response response = {0};
    struct bus_pack *pack = NULL;

    (void)key;
    if (read_request(self, &request, item) && bus_pack_new(&pack) == ERR_OK) {
        pack_status(pack, self);
        memcpy(response.id, request.id, sizeof(response.id));
        response.data = bus_pack_data(pack, &response.data_len);
        if (bus_pack_rc(pack) == ERR_OK)
            send_response(self, request.reply_to, &response);
    }
    bus_pack_free(pack);
    bus_pop_want(self->status);
}

/* --- life --- */

static int check(const struct bus_server_config *cfg)
{
    if (cfg->workers == 0 || cfg->workers > BUS_WORKERS_MAX || cfg->object_count == 0 ||
        cfg->object_count > BUS_POP_KEYS_MAX || !bus_module_check(cfg->module) ||
        !bus_prefix_check(cfg->prefix))
        return ERR_INVALID;
    for (size_t i = 0; i < cfg->object_count; i++) {
        if (strcmp(cfg->objects[i].name, STATUS_OBJECT) == 0)
            return ERR_INVALID; /* object id is reserved */
        for (size_t j = 0; j < i; j++) {
            if (strcmp(cfg->objects[i].name, cfg->objects[j].name) == 0 &&
                strcmp(cfg->objects[i].version, cfg->objects[j].version) == 0)
                return ERR_EXISTS;
        }
    }
    return ERR_OK;
}

static void on_idle(void *arg)
{
    (void)arg; /* whoever drains asks bus_server_busy */
}

static int start_links(struct bus_server *self)
{
    char names[BUS_POP_KEYS_MAX][BUS_KEY_CAP];
    const char *keys[BUS_POP_KEYS_MAX];
    struct bus_pop_config cfg = {.loop = self->cfg.loop,
                                 .url = self->cfg.url,
                                 .name = "zbus",
                                 .keys = keys,
                                 .key_count = self->cfg.object_count,
                                 .on_item = on_item,
                                 .on_idle = on_idle,
                                 .arg = self};
    int rc = bus_outbox_new(&self->outbox, cfg.loop, cfg.url, "zbus answers");

    for (size_t i = 0; i < cfg.key_count; i++)
        keys[i] = bus_key_zbus(names[i], self->module, self->cfg.objects[i].name,
                               self->cfg.objects[i].version);
    if (rc == ERR_OK)
        rc = bus_pop_new(&self->pop, &cfg);
    keys[0] = bus_key_zbus(names[0], self->module, STATUS_OBJECT, STATUS_VERSION);
    cfg.name = "zbus status";
    cfg.key_count = 1;
    cfg.on_item = on_status;
    return rc == ERR_OK ? bus_pop_new(&self->status, &cfg) : rc;
}

int bus_server_new(struct bus_server **out, const struct bus_server_config *cfg)
{
    struct bus_server *self;
    int rc = check(cfg);

    if (rc != ERR_OK)
        return rc;
    self = calloc(1, sizeof(*self) + cfg->workers * sizeof(self->workers[0]));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    if (self->cfg.job_limit_ms == 0)
        self->cfg.job_limit_ms = BUS_JOB_LIMIT_MS;
    snprintf(self->prefix, sizeof(self->prefix), "%s", cfg->prefix);
    snprintf(self->module, sizeof(self->module), "%s", cfg->module);
    for (unsigned i = 0; i < cfg->workers; i++)
        self->workers[i].since_ms = clock_unix_ms();
    rc = start_links(self);
    if (rc != ERR_OK) {
        bus_server_free(self);
        return rc;
    }
    bus_pop_want(self->pop);
    bus_pop_want(self->status);
    *out = self;
    return ERR_OK;
}

void bus_server_drain(struct bus_server *self)
{
    self->draining = true;
    bus_pop_drain(self->pop, bus_outbox_link(self->outbox));
}

size_t bus_server_busy(const struct bus_server *self)
{
    size_t leaving = bus_outbox_is_idle(self->outbox) ? 0 : 1;
    size_t popping = self->draining && !bus_pop_is_idle(self->pop) ? 1 : 0;

    return self->busy + leaving + popping;
}

void bus_server_free(struct bus_server *self)
{
    if (self == NULL)
        return;
    for (unsigned i = 0; i < self->cfg.workers; i++) {
        if (self->workers[i].job != NULL)
            bus_job_detach(self->workers[i].job);
    }
    bus_pop_free(self->pop);
    bus_pop_free(self->status);
    bus_outbox_free(self->outbox);
    free(self);
}
