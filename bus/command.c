/* SPDX-License-Identifier: Apache-2.0 */
/* The server side of commands; the client is in ask.c. */
#include "bus/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/link.h"
#include "bus/outbox.h"
#include "bus/pop.h"

/* One list that commands are taken from. */
struct source {
    struct bus_intake *intake;
    struct bus_pop *pop;
    char key[BUS_KEY_CAP];
    char taken[BUS_KEY_CAP]; /* what was taken and not answered */
};

#define ANSWERED_TIMES 4 /* as many answers as this times what is under way may be on their way */
#define UNDER_WAY_BYTES                                                                            \
    (64u << 20) /* of payloads; with it a list of taken ones can be read whole */

struct bus_command {
    LIST_ENTRY(bus_command) entry;
    struct bus_intake *intake; /* NULL = it was freed */
    const struct source *source;
    bool is_operator;
    bool is_again;
    bool is_answered; /* ours, until the answer arrived */
    bool is_there;    /* it was found in the list of taken ones */
    bool is_over;     /* its answer arrived; kept while a list on its way to us may still name it */
    bus_id_known_fn *on_known;
    void *arg;
    size_t len;
    char payload[]; /* len bytes and a NUL */
};

enum { OPERATOR, DEFAULT, SOURCES };

struct bus_intake {
    struct bus_intake_config cfg;
    char prefix[BUS_PREFIX_MAX + 1];
    struct source sources[SOURCES];
    struct bus_outbox *outbox;
    LIST_HEAD(, bus_command) commands; /* under way, and answered ones */
    unsigned under_way;
    unsigned answered; /* their answers wait in the outbox */
    size_t bytes;      /* of all in the list */
    unsigned busy;     /* on_command is on the stack: _free only marks */
    bool freed;
    bool draining;
    void (*on_idle)(void *arg);
};

static void on_outbox_idle(void *arg);

/* Draining ends when nothing is popped, worked on or on its way. */
static void check_idle(void *arg)
{
    struct bus_intake *self = arg;

    if (self->draining && self->on_idle != NULL && self->under_way == 0 &&
        bus_pop_is_idle(self->sources[OPERATOR].pop) && bus_pop_is_idle(self->sources[DEFAULT].pop))
        bus_outbox_on_idle(self->outbox, on_outbox_idle, self);
}

static void on_outbox_idle(void *arg)
{
    struct bus_intake *self = arg;
    void (*on_idle)(void *arg) = self->on_idle;

    if (on_idle == NULL || self->under_way > 0)
        return;
    self->on_idle = NULL;
    on_idle(self->cfg.arg);
}

static struct bus_command *command_new(struct source *source, const struct bus_value *payload)
{
    struct bus_intake *self = source->intake;
    struct bus_command *command = calloc(1, sizeof(*command) + payload->len + 1);

    if (command == NULL)
        return NULL;
    command->intake = self;
    command->source = source;
    command->is_operator = source == &self->sources[OPERATOR];
    command->len = payload->len;
    memcpy(command->payload, payload->text, payload->len);
    LIST_INSERT_HEAD(&self->commands, command, entry);
    self->under_way++;
    self->bytes += command->len;
    return command;
}

static void command_free(struct bus_command *command)
{
    if (command->intake != NULL) {
        LIST_REMOVE(command, entry);
        command->intake->bytes -= command->len;
    }
    free(command);
}

/* One more of each list when there is room for it. */
static void pump(struct bus_intake *self)
{
    if (self->under_way >= self->cfg.under_way || self->bytes > UNDER_WAY_BYTES ||
        self->answered >= ANSWERED_TIMES * self->cfg.under_way)
        return;
    for (size_t i = 0; i < SOURCES; i++)
        bus_pop_want(self->sources[i].pop);
}

/* Nobody will answer it: it leaves the list of taken ones. Lost, it comes again and leaves then. */
static void forget(const struct source *source, const void *data, size_t len)
{
    const struct bus_arg args[] = {bus_text("LREM"), bus_text(source->taken), bus_text("1"),
                                   BUS_BYTES(data, len)};

    (void)bus_link_send(bus_outbox_link(source->intake->outbox),
                        &(struct bus_query){.args = args, .count = 4});
}

/* Returns false when the intake is gone. */
static bool hand_over(struct source *source, const struct bus_value *payload, bool again)
{
    struct bus_intake *self = source->intake;
    struct bus_command *command = NULL;

    if (payload->len > BUS_COMMAND_MAX) {
        LOG_WARN("command dropped", KV_S("err", "payload too large"), KV_N("bytes", payload->len),
                 KV_S("list", source->key));
        forget(source, payload->text, payload->len);
    } else {
        command = command_new(source, payload);
    }
    pump(self);
    if (command == NULL)
        return true;
    command->is_again = again;
    command->is_there = again;
    self->busy++;
    self->cfg.on_command(self->cfg.arg, command);
    self->busy--;
    if (!self->freed)
        return true;
    if (self->busy == 0)
        free(self);
    return false;
}

static void on_item(void *arg, const char *key, const struct bus_value *payload)
{
    (void)key;
    (void)hand_over(arg, payload, false);
}

/* The command that ITEM is, if we have it. Equal ones count one by one. */
static bool is_known(struct source *source, const struct bus_value *item)
{
    struct bus_command *command;

    LIST_FOREACH(command, &source->intake->commands, entry)
    {
        if (command->source == source && !command->is_there && command->len == item->len &&
            memcmp(command->payload, item->text, item->len) == 0) {
            command->is_there = true;
            return true;
        }
    }
    return false;
}

static void free_over(struct source *source)
{
    struct bus_command *command = LIST_FIRST(&source->intake->commands);

    while (command != NULL) {
        struct bus_command *next = LIST_NEXT(command, entry);

        if (command->source == source && command->is_over)
            command_free(command);
        command = next;
    }
}

/* What is taken and not answered: of an earlier life, or moved when the link was lost. */
static void on_left(void *arg, const struct bus_value *items)
{
    struct source *source = arg;
    struct bus_command *command;

    LIST_FOREACH(command, &source->intake->commands, entry)
    command->is_there = false;
    for (size_t i = 0; i < items->count; i++) {
        if (items->items[i].type == BUS_TEXT && !is_known(source, &items->items[i]) &&
            !hand_over(source, &items->items[i], true))
            return;
    }
    free_over(source);
}

static void on_pop_idle(void *arg)
{
    struct source *source = arg;

    check_idle(source->intake);
}

static int open_source(struct bus_intake *self, struct source *source, const char *name)
{
    const char *const keys[] = {source->key};
    struct bus_pop_config cfg = {.loop = self->cfg.loop,
                                 .url = self->cfg.url,
                                 .name = "commands",
                                 .keys = keys,
                                 .key_count = 1,
                                 .taken = source->taken,
                                 .on_item = on_item,
                                 .on_left = on_left,
                                 .on_idle = on_pop_idle,
                                 .arg = source};

    source->intake = self;
    bus_key(source->key, self->prefix, name, NULL, NULL);
    bus_key(source->taken, self->prefix, name, BUS_KEY_TAKEN, NULL);
    return bus_pop_new(&source->pop, &cfg);
}

static int start_links(struct bus_intake *self)
{
    int rc = bus_outbox_new(&self->outbox, self->cfg.loop, self->cfg.url, "results");

    if (rc == ERR_OK)
        rc = open_source(self, &self->sources[OPERATOR], BUS_KEY_COMMANDS_OPERATOR);
    if (rc == ERR_OK)
        rc = open_source(self, &self->sources[DEFAULT], BUS_KEY_COMMANDS);
    if (rc == ERR_OK)
        pump(self);
    return rc;
}

int bus_intake_new(struct bus_intake **out, const struct bus_intake_config *cfg)
{
    struct bus_intake *self;
    int rc;

    if (cfg->on_command == NULL || cfg->prefix == NULL || !bus_prefix_check(cfg->prefix))
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    if (self->cfg.under_way == 0)
        self->cfg.under_way = BUS_COMMANDS_UNDER_WAY;
    snprintf(self->prefix, sizeof(self->prefix), "%s", cfg->prefix);
    LIST_INIT(&self->commands);
    rc = start_links(self);
    if (rc != ERR_OK) {
        bus_intake_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void bus_intake_drain(struct bus_intake *self, void (*on_idle)(void *arg))
{
    self->draining = true;
    self->on_idle = on_idle;
    for (size_t i = 0; i < SOURCES; i++)
        bus_pop_drain(self->sources[i].pop, bus_outbox_link(self->outbox));
    check_idle(self);
}

void bus_intake_free(struct bus_intake *self)
{
    struct bus_command *command;

    if (self == NULL || self->freed)
        return;
    self->freed = true;
    for (size_t i = 0; i < SOURCES; i++)
        bus_pop_free(self->sources[i].pop);
    bus_outbox_free(self->outbox); /* before its letters' commands */
    while ((command = LIST_FIRST(&self->commands)) != NULL) {
        LIST_REMOVE(command, entry);
        command->intake = NULL;
        if (command->is_answered)
            free(command);
    }
    if (self->busy == 0)
        free(self);
}

const char *bus_command_payload(const struct bus_command *self, size_t *len)
{
    *len = self->len;
    return self->payload;
}

bool bus_command_is_operator(const struct bus_command *self)
{
    return self->is_operator;
}

bool bus_command_is_again(const struct bus_command *self)
{
    return self->is_again;
}

int bus_command_take(struct bus_command *self, const char *id)
{
    char key[BUS_KEY_CAP];

    if (!bus_id_check(id, strlen(id)))
        return ERR_INVALID;
    if (self->intake == NULL)
        return ERR_CANCELLED;
    bus_key_result_flag(key, self->intake->prefix, id);
    return bus_outbox_push(self->intake->outbox, key, "", 0, NULL);
}

static void on_exists(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_command *self = arg;
    bool used = rc == ERR_OK && reply->type == BUS_INTEGER && reply->number > 0;

    self->on_known(self->arg, self, rc, used);
}

int bus_command_check_id(struct bus_command *self, const char *id, bus_id_known_fn *on_known,
                         void *arg)
{
    char key[BUS_KEY_CAP];

    if (!bus_id_check(id, strlen(id)))
        return ERR_INVALID;
    if (self->intake == NULL)
        return ERR_AGAIN;
    self->on_known = on_known;
    self->arg = arg;
    bus_key_result(key, self->intake->prefix, id);
    return bus_link_text(bus_outbox_link(self->intake->outbox), on_exists, self, "EXISTS", key,
                         NULL);
}

/* Its owner is done with it. */
static void end(struct bus_intake *intake, struct bus_command *command)
{
    bus_link_forget(bus_outbox_link(intake->outbox), command);
    intake->under_way--;
    pump(intake);
    check_idle(intake);
}

void bus_command_drop(struct bus_command *self)
{
    struct bus_intake *intake = self->intake;

    if (intake != NULL) {
        forget(self->source, self->payload, self->len);
        end(intake, self);
    }
    command_free(self);
}

static void on_over(void *arg, bool arrived)
{
    struct bus_command *self = arg;
    struct bus_intake *intake = self->intake;

    intake->answered--;
    if (arrived && bus_pop_is_restoring(self->source->pop))
        self->is_over = true; /* the list was perhaps read before: on_left frees it */
    else
        command_free(self);
    pump(intake); /* its bytes are free */
}

static int send_answer(struct bus_command *self, const char *id, const char *result, size_t len)
{
    char key[BUS_KEY_CAP], flag[BUS_KEY_CAP];
    struct bus_letter letter = {
        .key = bus_key_result(key, self->intake->prefix, id),
        .value = result,
        .len = len,
        .also = bus_key_result_flag(flag, self->intake->prefix, id),
        .taken = self->source->taken,
        .item = self->payload,
        .item_len = self->len,
        .on_over = on_over,
        .arg = self,
    };

    return bus_outbox_send(self->intake->outbox, &letter);
}

int bus_command_answer(struct bus_command *self, const char *id, const char *result, size_t len)
{
    struct bus_intake *intake = self->intake;
    int rc;

    if (intake == NULL) {
        free(self);
        return ERR_CANCELLED;
    }
    if (!bus_id_check(id, strlen(id))) {
        bus_command_drop(self);
        return ERR_INVALID;
    }
    rc = send_answer(self, id, result, len);
    self->is_answered = rc == ERR_OK;
    intake->answered += self->is_answered;
    end(intake, self);
    if (rc != ERR_OK)
        command_free(self); /* it comes again with the next connection */
    return rc;
}
