/* SPDX-License-Identifier: Apache-2.0 */
/* The server side of commands; the client is in ask.c. */
#include "bus/command.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/link.h"
#include "bus/outbox.h"

#define BLOCK_S "5"
#define BLOCK_MS 5000u
#define RETRY_S 1.0 /* after the server refused to pop */

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
    struct bus_link *pop; /* only blocking pops */
    struct bus_outbox *outbox;
    ev_timer retry;
    LIST_HEAD(, bus_command) commands; /* under way */
    unsigned under_way;
    bool popping; /* a BLPOP is in flight */
    bool draining;
    int64_t client_id; /* of the pop link, to end a pop without losing a command; 0 = unknown */
    void (*on_idle)(void *arg);
};

static void pump(struct bus_intake *self);

static void on_outbox_idle(void *arg);

/* Draining ends when nothing is popped, worked on or on its way. */
static void check_idle(struct bus_intake *self)
{
    bool busy = bus_link_is_up(self->pop) && bus_link_in_flight(self->pop) > 0;

    if (self->draining && self->on_idle != NULL && !busy && self->under_way == 0)
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

static void on_put_back(void *arg, int rc, const struct bus_value *reply)
{
    (void)reply;
    if (rc != ERR_OK)
        LOG_WARN("a command taken during shutdown is lost", KV_S("err", err_text(rc)));
    check_idle(arg);
}

/* A command popped while draining: back to the head of its list, for the next life. */
static void put_back(struct bus_intake *self, const struct bus_value *key,
                     const struct bus_value *payload)
{
    const struct bus_arg args[] = {bus_text("LPUSH"), BUS_BYTES(key->text, key->len),
                                   BUS_BYTES(payload->text, payload->len)};
    const struct bus_query query = {.args = args, .count = 3, .on_reply = on_put_back, .arg = self};
    int rc = bus_link_send(self->pop, &query);

    if (rc != ERR_OK)
        on_put_back(self, rc, NULL);
}

static struct bus_command *command_new(struct bus_intake *self, const struct bus_value *key,
                                       const struct bus_value *payload)
{
    struct bus_command *command = calloc(1, sizeof(*command) + payload->len + 1);

    if (command == NULL)
        return NULL;
    command->intake = self;
    command->is_operator = bus_value_is(key, self->operator_key);
    command->len = payload->len;
    memcpy(command->payload, payload->text, payload->len);
    LIST_INSERT_HEAD(&self->commands, command, entry);
    self->under_way++;
    return command;
}

/* One pair of list and payload. Last statement of its caller: on_command may free SELF. */
static void take(struct bus_intake *self, const struct bus_value *key,
                 const struct bus_value *payload)
{
    struct bus_command *command = NULL;

    if (self->draining) {
        put_back(self, key, payload);
        return;
    }
    if (payload->len > BUS_COMMAND_MAX)
        LOG_WARN("command dropped", KV_S("err", "payload too large"), KV_N("bytes", payload->len),
                 KV_S("list", key->text));
    else
        command = command_new(self, key, payload);
    pump(self);
    if (command != NULL)
        self->cfg.on_command(self->cfg.arg, command);
}

static void on_popped(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_intake *self = arg;

    self->popping = false;
    if (rc == ERR_OK && reply->type == BUS_ARRAY && reply->count == 2 &&
        reply->items[0].type == BUS_TEXT && reply->items[1].type == BUS_TEXT) {
        take(self, &reply->items[0], &reply->items[1]);
        return;
    }
    if (rc == ERR_REFUSED) {
        LOG_WARN("commands cannot be taken", KV_S("err", reply->text));
        ev_timer_start(self->cfg.loop, &self->retry);
    } else if (rc == ERR_OK) {
        pump(self); /* nothing came in time */
    }
    check_idle(self);
}

/* Pop when there is room for one more. */
static void pump(struct bus_intake *self)
{
    const struct bus_arg args[] = {bus_text("BLPOP"), bus_text(self->operator_key),
                                   bus_text(self->default_key), bus_text(BLOCK_S)};
    const struct bus_query query = {.args = args,
                                    .count = 4,
                                    .deadline_ms = BLOCK_MS + BUS_DEADLINE_MS,
                                    .on_reply = on_popped,
                                    .arg = self};

    if (self->popping || self->draining || ev_is_active(&self->retry) ||
        self->under_way >= self->cfg.under_way)
        return;
    if (bus_link_send(self->pop, &query) == ERR_OK)
        self->popping = true;
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    pump(w->data);
}

static void on_client_id(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_intake *self = arg;

    self->client_id = rc == ERR_OK && reply->type == BUS_INTEGER ? reply->number : 0;
    check_idle(self);
}

static void on_pop_up(void *arg)
{
    struct bus_intake *self = arg;

    self->client_id = 0;
    (void)bus_link_text(self->pop, on_client_id, self, "CLIENT", "ID", NULL);
    pump(self);
}

static void on_pop_down(void *arg, int rc, const char *why)
{
    (void)rc;
    (void)why;
    check_idle(arg);
}

static int start_links(struct bus_intake *self)
{
    struct bus_link_config cfg = {.loop = self->cfg.loop,
                                  .url = self->cfg.url,
                                  .name = "commands",
                                  .on_up = on_pop_up,
                                  .on_down = on_pop_down,
                                  .arg = self};
    int rc = bus_outbox_new(&self->outbox, cfg.loop, cfg.url, "results");

    return rc == ERR_OK ? bus_link_new(&self->pop, &cfg) : rc;
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
    ev_timer_init(&self->retry, on_retry, RETRY_S, 0.0);
    self->retry.data = self;
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
    char id[24];

    self->draining = true;
    self->on_idle = on_idle;
    ev_timer_stop(self->cfg.loop, &self->retry);
    /* Without this right the pop ends by itself within its block time. */
    snprintf(id, sizeof(id), "%lld", (long long)self->client_id);
    if (self->popping && self->client_id != 0)
        (void)bus_link_text(bus_outbox_link(self->outbox), NULL, NULL, "CLIENT", "UNBLOCK", id,
                            NULL);
    check_idle(self);
}

void bus_intake_free(struct bus_intake *self)
{
    struct bus_command *command;

    if (self == NULL)
        return;
    LIST_FOREACH(command, &self->commands, entry)
    command->intake = NULL;
    ev_timer_stop(self->cfg.loop, &self->retry);
    bus_link_free(self->pop);
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
