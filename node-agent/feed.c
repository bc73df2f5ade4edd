/* SPDX-License-Identifier: Apache-2.0 */
/* stream:deployments in, stream:results out; the verbs themselves are in verb.c. */
#include "node-agent/feed.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/backoff.h"
#include "bus/base/clock.h"
#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/stream.h"
#include "node-agent/answer.h"
#include "schemas/canonical.h"

#define RESULTS_MAX 10000
#define OP_MAX 16
#define STORE_MIN_MS 500 /* an entry that the store did not take comes again after 0.5-30 s */
#define STORE_MAX_MS 30000

struct agent_feed {
    struct agent_feed_config cfg;
    struct bus_reader *reader;
    struct backoff store; /* between attempts while the store fails */
};

/* Disk or memory do not take the entry now: it stays pending, and what is behind it waits. */
static void put_off(struct agent_feed *self, const char *id, const char *why)
{
    uint32_t delay_ms = backoff_next_ms(&self->store);

    LOG_WARN("stream entry put off", KV_S("entry", id), KV_S("why", why), KV_N("ms", delay_ms));
    bus_reader_put_off(self->reader, id, delay_ms);
}

/* TEXT is taken. */
static void conclude(struct agent_feed *self, const char *id, char *text)
{
    if (text == NULL || bus_reader_answer(self->reader, id, text, strlen(text)) != ERR_OK)
        put_off(self, id, err_text(ERR_NOMEM));
    else
        backoff_reset(&self->store);
    free(text);
}

/* --- entries --- */

static const struct agent_verb *verb_of(const struct bus_entry *entry)
{
    const struct bus_value *op = entry->pairs != NULL ? bus_value_field(entry->pairs, "op") : NULL;

    if (op == NULL || op->text == NULL || op->len > OP_MAX)
        return NULL;
    return agent_verb_find_op(op->text);
}

static json_t *body_of(const struct bus_entry *entry, struct sch_report *report)
{
    const struct bus_value *body = bus_value_field(entry->pairs, "body");
    json_t *json = NULL;

    if (body == NULL || body->text == NULL)
        (void)sch_fail(report, SCH_MALFORMED, "body", "is missing");
    else
        (void)sch_json_load(&json, body->text, body->len, NULL, report);
    return json;
}

static int apply(struct agent_feed *self, const struct agent_verb *verb,
                 const struct bus_entry *entry, struct agent_effect *effect,
                 struct sch_report *report)
{
    json_t *body;
    int rc;

    if (entry->too_large)
        return sch_fail(report, SCH_TOO_LARGE, "", "the entry is too large to be read");
    if (verb == NULL)
        return sch_fail(report, SCH_MALFORMED, "op",
                        "must be deploy, update, delete, admit, revoke or lock");
    body = body_of(entry, report);
    if (body == NULL)
        return ERR_INVALID;
    rc = verb->change(self->cfg.desk, body, effect, report);
    json_decref(body);
    return rc;
}

static void on_entry(void *arg, const struct bus_entry *entry)
{
    struct agent_feed *self = arg;
    const struct agent_verb *verb = verb_of(entry);
    struct agent_question question = {
        .id = entry->id, .command = verb != NULL ? verb->name : "", .start_ms = clock_unix_ms()};
    uint64_t start = clock_mono_ms();
    struct agent_effect effect = {0};
    struct sch_report report = {0};
    json_t *data = NULL;
    int rc;

    crash_at(CRASH_ENTRY_READ);
    rc = apply(self, verb, entry, &effect, &report);
    if (rc == ERR_SYS || rc == ERR_NOMEM) {
        put_off(self, entry->id, report.why);
        return;
    }
    if (rc == ERR_OK)
        data = verb->answer(self->cfg.desk, NULL, &effect, &report);
    question.took_ms = clock_mono_ms() - start;
    LOG_INFO("stream entry", KV_S("entry", entry->id), KV_S("command", question.command),
             KV_S("code", sch_code_text(report.code)), KV_S("why", report.why));
    conclude(self, entry->id,
             data != NULL ? agent_answer_success(&question, data)
                          : agent_answer_error(&question, AGENT_STATE_ERROR, &report));
}

/* --- life --- */

int agent_feed_new(struct agent_feed **out, const struct agent_feed_config *cfg)
{
    struct agent_feed *self = calloc(1, sizeof(*self));
    char key[BUS_KEY_CAP], answers[BUS_KEY_CAP];
    struct bus_reader_config reader = {
        .loop = cfg->loop,
        .url = cfg->url,
        .key = bus_key(key, cfg->prefix, BUS_KEY_DEPLOYMENTS, NULL, NULL),
        .group = BUS_GROUP_AGENT,
        .consumer = "agent",
        .delete_acked = true,
        .answers = bus_key(answers, cfg->prefix, BUS_KEY_RESULTS, NULL, NULL),
        .answers_max = RESULTS_MAX,
        .on_entry = on_entry,
        .arg = self,
    };
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->store = backoff_init(STORE_MIN_MS, STORE_MAX_MS);
    rc = bus_reader_new(&self->reader, &reader);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void agent_feed_free(struct agent_feed *self)
{
    if (self == NULL)
        return;
    bus_reader_free(self->reader);
    free(self);
}
