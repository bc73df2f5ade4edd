/* SPDX-License-Identifier: Apache-2.0 */
/* From a payload in a list to the answer in another; the verbs themselves are in verb.c. */
#include "node-agent/intake.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"
#include "bus/command.h"
#include "node-agent/answer.h"
#include "node-agent/errand.h"
#include "schemas/canonical.h"

#define UNDER_WAY_MAX 1024
#define WAIT_DEFAULT_S 10
#define WAIT_MAX_S 3600
#define COMMAND_NAME_MAX 64

/* One command between its arrival and its answer. */
struct job {
    struct agent_intake *owner;
    struct bus_command *bus;
    char id[BUS_ID_MAX + 1];
    char command[COMMAND_NAME_MAX + 1];
    bool operator;
    bool listed; /* in the map of jobs: its id is taken */
    const struct agent_verb *verb;
    json_t *arguments; /* owned */
    struct agent_errand *errand;
    uint64_t wait_ms;
    uint64_t start_ms; /* unix */
    uint64_t start_mono_ms;
};

struct agent_intake {
    struct agent_intake_config cfg;
    struct bus_intake *bus;
    struct map *jobs; /* id -> struct job */
    void (*on_idle)(void *arg);
    void *idle_arg;
};

/* --- the end of a job --- */

static void job_free(struct job *job)
{
    if (job->listed)
        (void)map_remove_text(job->owner->jobs, job->id);
    agent_errand_cancel(job->errand);
    json_decref(job->arguments);
    free(job);
}

/* TEXT is taken; NULL = no memory for an answer. JOB is gone. */
static void answer(struct job *job, char *text)
{
    if (text != NULL)
        (void)bus_command_answer(job->bus, job->id, text, strlen(text));
    else
        bus_command_drop(job->bus);
    free(text);
    job_free(job);
}

static struct agent_question question_of(const struct job *job)
{
    return (struct agent_question){
        .id = job->id,
        .command = job->command,
        .start_ms = job->start_ms,
        .took_ms = clock_mono_ms() - job->start_mono_ms,
    };
}

static void answer_error(struct job *job, const char *state, const struct sch_report *report)
{
    struct agent_question question = question_of(job);

    LOG_INFO("command refused", KV_S("id", job->id), KV_S("command", job->command),
             KV_S("code", sch_code_text(report->code)), KV_S("path", report->path),
             KV_S("why", report->why));
    answer(job, agent_answer_error(&question, state, report));
}

static void on_done(void *arg, json_t *data, const struct sch_report *report)
{
    struct job *job = arg;
    struct agent_question question = question_of(job);

    job->errand = NULL;
    if (data == NULL) {
        answer_error(job, AGENT_STATE_ERROR, report);
        return;
    }
    LOG_DEBUG("command done", KV_S("id", job->id), KV_S("command", job->command),
              KV_N("ms", question.took_ms));
    answer(job, agent_answer_success(&question, data));
}

/* --- running --- */

static void run(struct job *job)
{
    struct agent_errand_config cfg = {
        .desk = job->owner->cfg.desk,
        .waits = job->owner->cfg.waits,
        .verb = job->verb,
        .arguments = job->arguments,
        .id = job->id,
        .wait_ms = job->wait_ms,
        .on_done = on_done,
        .arg = job,
    };
    struct sch_report report = {0};

    if (agent_errand_start(&job->errand, &cfg) != ERR_OK) {
        (void)sch_fail_nomem(&report);
        answer_error(job, AGENT_STATE_ERROR, &report);
    }
}

static void check_and_run(struct job *job)
{
    struct sch_report report = {0};

    job->verb = agent_verb_find(job->command);
    if (job->verb == NULL) {
        (void)sch_fail(&report, SCH_UNKNOWN, "command", "there is no command \"%s\"", job->command);
        answer_error(job, AGENT_STATE_UNKNOWN, &report);
    } else if (job->verb->for_operator != NULL && !job->operator&&
                                                   job->verb->for_operator(job->arguments)) {
        (void)sch_fail(&report, SCH_NOT_ALLOWED, "command", "%s is for %s only", job->command,
                       BUS_KEY_COMMANDS_OPERATOR);
        answer_error(job, AGENT_STATE_ERROR, &report);
    } else {
        run(job);
    }
}

static void refuse_duplicate(struct job *job)
{
    struct sch_report report = {0};

    (void)sch_fail(&report, SCH_VERSION_CONFLICT, "id", "this id is used already");
    answer_error(job, AGENT_STATE_DUPLICATE, &report);
}

static void on_id_known(void *arg, struct bus_command *command, int rc, bool used)
{
    struct job *job = arg;

    (void)command;
    if (rc == ERR_OK && used) {
        refuse_duplicate(job);
        return;
    }
    (void)bus_command_take(job->bus, job->id);
    check_and_run(job);
}

/* --- the envelope --- */

/* Whether max_time is absent or a number of seconds. */
static bool check_wait(const json_t *envelope, struct sch_report *report)
{
    const json_t *value = json_object_get(envelope, "max_time");

    if (value == NULL || (json_is_integer(value) && json_integer_value(value) >= 0))
        return true;
    if (json_is_integer(value))
        (void)sch_fail(report, SCH_OUT_OF_RANGE, "max_time", "must not be negative");
    else
        (void)sch_fail(report, SCH_BAD_TYPE, "max_time", "must be an integer");
    return false;
}

static uint64_t wait_ms_of(const json_t *envelope)
{
    const json_t *value = json_object_get(envelope, "max_time");
    json_int_t seconds = json_is_integer(value) ? json_integer_value(value) : WAIT_DEFAULT_S;

    return (uint64_t)(seconds > WAIT_MAX_S ? WAIT_MAX_S : seconds) * 1000;
}

static bool take_text(char *out, size_t max, const json_t *value)
{
    size_t len = json_string_length(value);

    if (!json_is_string(value) || len == 0 || len > max)
        return false;
    memcpy(out, json_string_value(value), len + 1);
    return strlen(out) == len;
}

/* Without an id nobody can be answered. */
static bool take_id(struct job *job, const json_t *envelope)
{
    return take_text(job->id, BUS_ID_MAX, json_object_get(envelope, "id")) &&
           bus_id_check(job->id, strlen(job->id));
}

/* Path inside the arguments, as their author knows them. */
static void strip_arguments(struct sch_report *report)
{
    static const char prefix[] = "arguments";
    size_t n = sizeof(prefix) - 1;

    if (strncmp(report->path, prefix, n) != 0)
        return;
    if (report->path[n] == '.')
        n++;
    memmove(report->path, report->path + n, strlen(report->path + n) + 1);
}

/*
 * A strict reading decides; a lenient one finds out whom to tell when it fails, as a real number
 * or a duplicate key deep inside a contract makes the whole text unreadable.
 */
static json_t *read_envelope(const char *text, size_t len, struct sch_report *report)
{
    static const struct sch_json_limits limits = {.bytes = SCH_COMMAND_MAX,
                                                  .depth = SCH_COMMAND_DEPTH};
    json_t *envelope = NULL;

    if (sch_json_load(&envelope, text, len, &limits, report) == ERR_OK)
        return envelope;
    strip_arguments(report);
    if (report->code == SCH_OK)
        (void)sch_fail(report, SCH_MALFORMED, "", "is not readable");
    return json_loadb(text, len, JSON_DISABLE_EOF_CHECK, NULL);
}

static struct job *new_job(struct agent_intake *self, struct bus_command *command)
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return NULL;
    job->owner = self;
    job->bus = command;
    job->operator= bus_command_is_operator(command);
    job->start_ms = clock_unix_ms();
    job->start_mono_ms = clock_mono_ms();
    return job;
}

static void drop(struct job *job, const char *why)
{
    LOG_WARN("command dropped", KV_S("why", why));
    bus_command_drop(job->bus);
    job_free(job);
}

/* The id is free here; is it free on the bus? */
static void accept_job(struct job *job)
{
    if (map_put_text(job->owner->jobs, job->id, job, NULL) != ERR_OK) {
        drop(job, "out of memory");
        return;
    }
    job->listed = true;
    if (bus_command_is_again(job->bus)) /* result and removal are one step: there is no result */
        on_id_known(job, job->bus, ERR_OK, false);
    else if (bus_command_check_id(job->bus, job->id, on_id_known, job) != ERR_OK)
        on_id_known(job, job->bus, ERR_EOF, false);
}

static void fill_job(struct job *job, const json_t *envelope)
{
    json_t *arguments = json_object_get(envelope, "arguments");

    if (!take_text(job->command, COMMAND_NAME_MAX, json_object_get(envelope, "command")))
        job->command[0] = '\0';
    job->arguments = arguments != NULL ? json_incref(arguments) : json_object();
    job->wait_ms = wait_ms_of(envelope);
}

static void on_command(void *arg, struct bus_command *command)
{
    struct agent_intake *self = arg;
    struct sch_report report = {0};
    size_t len;
    const char *text = bus_command_payload(command, &len);
    json_t *envelope = read_envelope(text, len, &report);
    struct job *job = new_job(self, command);

    crash_at(CRASH_ENTRY_READ);
    if (job != NULL)
        fill_job(job, envelope);
    if (job == NULL)
        bus_command_drop(command);
    else if (!take_id(job, envelope))
        drop(job, report.code != SCH_OK ? report.why : "no id of 1-64 letters, digits, . _ -");
    else if (report.code != SCH_OK || !check_wait(envelope, &report))
        answer_error(job, AGENT_STATE_ERROR, &report);
    else if (map_get_text(self->jobs, job->id) != NULL)
        refuse_duplicate(job);
    else
        accept_job(job);
    json_decref(envelope);
}

/* --- life --- */

int agent_intake_new(struct agent_intake **out, const struct agent_intake_config *cfg)
{
    struct agent_intake *self = calloc(1, sizeof(*self));
    struct bus_intake_config bus = {
        .loop = cfg->loop,
        .url = cfg->url,
        .prefix = cfg->prefix,
        .under_way = UNDER_WAY_MAX,
        .on_command = on_command,
        .arg = self,
    };
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    rc = map_new(&self->jobs);
    if (rc == ERR_OK)
        rc = bus_intake_new(&self->bus, &bus);
    if (rc != ERR_OK) {
        agent_intake_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void agent_intake_free(struct agent_intake *self)
{
    struct job *job;
    size_t at = 0;

    if (self == NULL)
        return;
    bus_intake_free(self->bus); /* first: what is not answered comes again at the next start */
    while (self->jobs != NULL && (job = map_next(self->jobs, &at, NULL, NULL)) != NULL) {
        bus_command_drop(job->bus);
        job_free(job);
    }
    map_free(self->jobs);
    free(self);
}

static void on_idle(void *arg)
{
    struct agent_intake *self = arg;

    self->on_idle(self->idle_arg);
}

void agent_intake_drain(struct agent_intake *self, void (*idle)(void *arg), void *arg)
{
    self->on_idle = idle;
    self->idle_arg = arg;
    agent_waits_set_hope(self->cfg.waits, false);
    bus_intake_drain(self->bus, on_idle);
}
