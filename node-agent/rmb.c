/* SPDX-License-Identifier: Apache-2.0 */
/* From a message of rmb-peer to the reply; the verbs themselves are in verb.c. */
#include "node-agent/rmb.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/rmb.h"
#include "node-agent/errand.h"
#include "node-agent/rmb_message.h"

#define WAIT_MS 10000     /* for final states, as commands do by default */
#define UNDER_WAY_MAX 256 /* those that wait must not keep out those that only ask */

/* What is served: every verb of the list is known, and a twin may ask it for itself. */
static const char *const commands[] = {
    "zos.deployment.deploy", "zos.deployment.update", "zos.deployment.delete",
    "zos.deployment.get",    "zos.deployment.list",   "zos.deployment.changes",
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* One request between its arrival and its reply. */
struct call {
    LIST_ENTRY(call) entry;
    struct agent_rmb *owner;
    struct agent_rmb_message message;
    const struct agent_verb *verb;
    struct agent_errand *errand;
};

struct agent_rmb {
    struct agent_rmb_config cfg;
    struct bus_rmb *bus;
    LIST_HEAD(, call) calls;
};

/* --- the end of a call --- */

static void call_free(struct call *call)
{
    LIST_REMOVE(call, entry);
    agent_errand_cancel(call->errand);
    agent_rmb_message_deinit(&call->message);
    free(call);
}

/* CALL is gone. */
static void done(struct call *call)
{
    struct bus_rmb *bus = call->owner->bus;

    call_free(call);
    bus_rmb_done(bus);
}

static void drop(struct call *call, const char *field, const char *why)
{
    LOG_WARN("rmb request dropped", KV_S("ref", call->message.ref),
             KV_S("src", call->message.source), KV_S("reply_to", call->message.reply_to),
             KV_S("field", field), KV_S("why", why));
    done(call);
}

/* TEXT is taken; NULL = no memory for it. */
static void reply(struct call *call, char *text)
{
    int rc = ERR_NOMEM;

    if (text != NULL)
        rc = bus_rmb_reply(call->owner->bus, call->message.reply_to, text, strlen(text));
    free(text);
    if (rc != ERR_OK)
        LOG_WARN("rmb reply lost", KV_S("ref", call->message.ref), KV_S("err", err_text(rc)));
    done(call);
}

static void reply_error(struct call *call, const struct sch_report *report)
{
    LOG_INFO("rmb request refused", KV_S("ref", call->message.ref),
             KV_S("src", call->message.source), KV_S("command", call->message.command),
             KV_S("code", sch_code_text(report->code)), KV_S("path", report->path),
             KV_S("why", report->why));
    reply(call, agent_rmb_reply_error(&call->message, report, clock_unix_ms() / 1000));
}

static void on_done(void *arg, json_t *data, const struct sch_report *report)
{
    struct call *call = arg;
    char *text;

    call->errand = NULL;
    if (data == NULL) {
        reply_error(call, report);
        return;
    }
    text = agent_rmb_reply(&call->message, data, clock_unix_ms() / 1000);
    json_decref(data);
    reply(call, text);
}

/* --- running --- */

/* How long to wait for the effect: the sender must hear of it before it gives up. */
static uint64_t wait_ms_of(const struct agent_rmb_message *message)
{
    uint64_t now = clock_unix_ms(), deadline = message->deadline_s * 1000;
    uint64_t left = deadline > now ? deadline - now : 0;

    if (message->deadline_s == 0)
        return WAIT_MS;
    return left / 2 < WAIT_MS ? left / 2 : WAIT_MS;
}

static void run(struct call *call)
{
    struct agent_errand_config cfg = {
        .desk = call->owner->cfg.desk,
        .waits = call->owner->cfg.waits,
        .verb = call->verb,
        .arguments = call->message.data,
        .id = call->message.ref,
        .wait_ms = wait_ms_of(&call->message),
        .on_done = on_done,
        .arg = call,
    };
    struct sch_report report = {0};

    if (agent_errand_start(&call->errand, &cfg) != ERR_OK) {
        (void)sch_fail_nomem(&report);
        reply_error(call, &report);
    }
}

/* A question is about the sender's own twin, said or not; a document must be the sender's. */
static int check_twin(struct call *call, struct sch_report *report)
{
    json_t *data = call->message.data;
    const json_t *twin = json_object_get(data, "twin_id");

    if (twin == NULL && call->verb->change == NULL &&
        json_object_set_new(data, "twin_id", json_integer(call->message.twin)) != 0)
        return sch_fail_nomem(report);
    twin = json_object_get(data, "twin_id");
    if (json_is_integer(twin) && json_integer_value(twin) != call->message.twin)
        return sch_fail(report, SCH_NOT_ALLOWED, "twin_id",
                        "twin %u sent this and may speak for itself only",
                        (unsigned)call->message.twin);
    return ERR_OK; /* what is no twin at all is refused by the verb */
}

static bool is_late(const struct agent_rmb_message *message)
{
    return message->deadline_s != 0 && message->deadline_s <= clock_unix_ms() / 1000;
}

/* RC is what reading the message said, with REPORT. */
static void judge(struct call *call, const char *command, int rc, struct sch_report *report)
{
    const struct agent_rmb_message *message = &call->message;

    if (message->reply_to[0] == '\0') {
        drop(call, report->path, report->why);
        return;
    }
    if (!bus_rmb_may_reply(call->owner->bus, message->reply_to)) {
        drop(call, "ret", "it wants its reply on a list it may not");
        return;
    }
    if (rc == ERR_OK && is_late(message)) {
        drop(call, "exp", "it has expired");
        return;
    }
    if (rc == ERR_OK && strcmp(message->command, command) != 0)
        rc = sch_fail(report, SCH_MALFORMED, "cmd", "is not that of the list");
    if (rc == ERR_OK)
        rc = check_twin(call, report);
    if (rc == ERR_OK)
        run(call);
    else
        reply_error(call, report);
}

static void on_request(void *arg, const char *command, const char *text, size_t len)
{
    struct agent_rmb *self = arg;
    struct call *call = calloc(1, sizeof(*call));
    struct sch_report report = {0};
    int rc;

    if (call == NULL) {
        LOG_WARN("rmb request dropped", KV_S("command", command), KV_S("why", "out of memory"));
        bus_rmb_done(self->bus);
        return;
    }
    call->owner = self;
    call->verb = agent_verb_find(command);
    LIST_INSERT_HEAD(&self->calls, call, entry);
    rc = agent_rmb_message_read(&call->message, text, len, &report);
    judge(call, command, rc, &report);
}

/* --- life --- */

int agent_rmb_new(struct agent_rmb **out, const struct agent_rmb_config *cfg)
{
    struct agent_rmb *self = calloc(1, sizeof(*self));
    struct bus_rmb_config bus = {
        .loop = cfg->loop,
        .url = cfg->url,
        .prefix = cfg->prefix,
        .commands = commands,
        .count = COMMANDS,
        .under_way = UNDER_WAY_MAX,
        .on_request = on_request,
        .arg = self,
    };
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    LIST_INIT(&self->calls);
    rc = bus_rmb_new(&self->bus, &bus);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void agent_rmb_free(struct agent_rmb *self)
{
    struct call *call;

    if (self == NULL)
        return;
    while ((call = LIST_FIRST(&self->calls)) != NULL)
        call_free(call);
    bus_rmb_free(self->bus);
    free(self);
}

void agent_rmb_drain(struct agent_rmb *self, void (*on_idle)(void *arg), void *arg)
{
    bus_rmb_drain(self->bus, on_idle, arg);
}
