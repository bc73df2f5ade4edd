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

struct bus_command {
    LIST_ENTRY(bus_command) entry;
    struct bus_intake *intake; /* NULL = it was freed */
    bool is_operator;
    bus_id_known_fn *on_known;
    void *arg;
    size_t len;
    char payload[]; /* len bytes and a NUL */
};

struct bus_intake {
    struct bus_intake_config cfg;
    char prefix[BUS_PREFIX_MAX + 1];
    char operator_key[BUS_KEY_CAP];
    char default_key[BUS_KEY_CAP];
    struct bus_pop *pop;
    struct bus_outbox *outbox;
    LIST_HEAD(, bus_command) commands; /* under way */
    unsigned under_way;
    bool draining;
    void (*on_idle)(void *arg);
};

static void on_outbox_idle(void *arg);

/* Draining ends when nothing is popped, worked on or on its way. */
static void check_idle(void *arg)
{
    struct bus_intake *self = arg;

    if (self->draining && self->on_idle != NULL && self->under_way == 0 &&
        bus_pop_is_idle(self->pop))
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

static struct bus_command *command_new(struct bus_intake *self, const char *key,
                                       const struct bus_value *payload)
{
    struct bus_command *command = calloc(1, sizeof(*command) + payload->len + 1);

    if (command == NULL)
        return NULL;
    command->intake = self;
    command->is_operator = strcmp(key, self->operator_key) == 0;
    command->len = payload->len;
    memcpy(command->payload, payload->text, payload->len);
    LIST_INSERT_HEAD(&self->commands, command, entry);
    self->under_way++;
    return command;
}

/* One more when there is room for it. */
static void pump(struct bus_intake *self)
{
    if (self->under_way < self->cfg.under_way)
        bus_pop_want(self->pop);
}

static void on_item(void *arg, const char *key, const struct bus_value *payload)
{
    struct bus_intake *self = arg;
    struct bus_command *command = NULL;

    if (payload->len > BUS_COMMAND_MAX)
        LOG_WARN("command dropped", KV_S("err", "payload too large"), KV_N("bytes", payload->len),
                 KV_S("list", key));
    else
        command = command_new(self, key, payload);
    pump(self);
    if (command != NULL)
        self->cfg.on_command(self->cfg.arg, command);
}

static int start_links(struct bus_intake *self)
{
    const char *const keys[] = {self->operator_key, self->default_key};
    struct bus_pop_config cfg = {.loop = self->cfg.loop,
                                 .url = self->cfg.url,
                                 .name = "commands",
                                 .keys = keys,
                                 .key_count = 2,
                                 .on_item = on_item,
                                 .on_idle = check_idle,
                                 .arg = self};
    int rc = bus_outbox_new(&self->outbox, cfg.loop, cfg.url, "results");

    if (rc == ERR_OK)
        rc = bus_pop_new(&self->pop, &cfg);
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
    bus_key(self->operator_key, self->prefix, BUS_KEY_COMMANDS_OPERATOR, NULL, NULL);
    bus_key(self->default_key, self->prefix, BUS_KEY_COMMANDS, NULL, NULL);
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
    bus_pop_drain(self->pop, bus_outbox_link(self->outbox));
    check_idle(self);
}

void bus_intake_free(struct bus_intake *self)
{
    struct bus_command *command;

    if (self == NULL)
        return;
    LIST_FOREACH(command, &self->commands, entry)
    command->intake = NULL;
    bus_pop_free(self->pop);
    bus_outbox_free(self->outbox);
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

void bus_command_drop(struct bus_command *self)
{
    struct bus_intake *intake = self->intake;

    if (intake != NULL) {
        bus_link_forget(bus_outbox_link(intake->outbox), self);
        LIST_REMOVE(self, entry);
        intake->under_way--;
        pump(intake);
        check_idle(intake);
    }
    free(self);
}

int bus_command_answer(struct bus_command *self, const char *id, const char *result, size_t len)
{
    char key[BUS_KEY_CAP], flag[BUS_KEY_CAP];
    int rc = ERR_INVALID;

    if (self->intake == NULL) {
        rc = ERR_CANCELLED;
    } else if (bus_id_check(id, strlen(id))) {
        bus_key_result(key, self->intake->prefix, id);
        bus_key_result_flag(flag, self->intake->prefix, id);
        rc = bus_outbox_push(self->intake->outbox, key, result, len, flag);
    }
    bus_command_drop(self);
    return rc;
}
