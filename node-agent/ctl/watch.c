/* SPDX-License-Identifier: Apache-2.0 */
/* watch: events as they come, from every bus; survives the loss of a bus. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "node-agent/ctl/document.h"
#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/nodes.h"
#include "node-agent/ctl/say.h"
#include "node-agent/ctl/table.h"

#define ID_CAP 48          /* "<ms>-<sequence>" with its NUL */
#define BLOCK_MS 2000u     /* one XREAD when there is one bus */
#define BLOCK_MANY_MS 200u /* and when several take turns */
#define BATCH "100"
#define RETRY_S 1

/* One bus being watched. */
struct source {
    struct ctl_node node;
    char text[BUS_WHY_MAX];
    struct bus_sync *bus;
    char last[ID_CAP]; /* last event seen */
    bool lost;         /* said that it cannot be reached */
};

struct watch {
    const struct ctl *ctl;
    const char *once; /* end after this event; NULL = go on */
    struct source *sources;
    size_t count;
    uint64_t ends_ms; /* monotonic; 0 = never */
    bool done;
};

/* --- one event --- */

/* Values other than the event's name, as key=value. */
static void put_details(const json_t *event)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)event, key, value)
    {
        char *text;

        if (strcmp(key, "event") == 0)
            continue;
        text = json_is_string(value) ? strdup(json_string_value(value))
                                     : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        printf(" ");
        ctl_put(key);
        printf("=");
        ctl_put(text != NULL ? text : "");
        free(text);
    }
}

static void put_event(const struct watch *self, const struct source *source, const char *id,
                      const json_t *event)
{
    time_t t = (time_t)(strtoull(id, NULL, 10) / 1000);
    struct tm tm;
    char when[16] = "";

    if (self->ctl->json) {
        (void)ctl_print(event);
        return;
    }
    if (localtime_r(&t, &tm) != NULL)
        (void)strftime(when, sizeof(when), "%H:%M:%S", &tm);
    printf("%s ", when);
    if (self->count > 1)
        printf("%s ", source->text);
    ctl_put(ctl_text(event, "event"));
    put_details(event);
    printf("\n");
    (void)fflush(stdout);
}

/* ENTRY is [id, [field, value, ...]]. */
static void take_entry(struct watch *self, struct source *source, const struct bus_value *entry)
{
    const struct bus_value *body;
    json_t *event;

    if (entry->count != 2 || entry->items[0].type != BUS_TEXT)
        return;
    (void)snprintf(source->last, sizeof(source->last), "%s", entry->items[0].text);
    body = bus_value_field(&entry->items[1], "body");
    if (body == NULL)
        return;
    event = json_loadb(body->text, body->len, 0, NULL);
    if (event == NULL)
        return;
    if (self->once == NULL || strcmp(ctl_text(event, "event"), self->once) == 0) {
        put_event(self, source, source->last, event);
        self->done = self->once != NULL;
    }
    json_decref(event);
}

/* --- one bus --- */

/* Start behind the newest event that is there now. */
static int find_end(struct source *source)
{
    const struct bus_value *reply;
    char key[BUS_KEY_CAP];
    int rc = bus_sync_text(source->bus, &reply, "XREVRANGE",
                           bus_key(key, source->node.ctl->prefix, BUS_KEY_EVENTS, NULL, NULL), "+",
                           "-", "COUNT", "1", NULL);

    if (rc != ERR_OK)
        return rc;
    (void)snprintf(source->last, sizeof(source->last), "0-0");
    if (reply->count == 1 && reply->items[0].count == 2 &&
        reply->items[0].items[0].type == BUS_TEXT)
        (void)snprintf(source->last, sizeof(source->last), "%s", reply->items[0].items[0].text);
    return ERR_OK;
}

/* Wait at most BLOCK for events and take them. */
static int read_events(struct watch *self, struct source *source, uint32_t block_ms)
{
    const struct bus_value *reply;
    char key[BUS_KEY_CAP], block[16];
    int rc;

    bus_key(key, source->node.ctl->prefix, BUS_KEY_EVENTS, NULL, NULL);
    (void)snprintf(block, sizeof(block), "%u", block_ms);
    rc = bus_sync_text(source->bus, &reply, "XREAD", "COUNT", BATCH, "BLOCK", block, "STREAMS", key,
                       source->last, NULL);
    if (rc != ERR_OK || reply->count != 1 || reply->items[0].count != 2)
        return rc; /* nothing came */
    const struct bus_value *entries = &reply->items[0].items[1];
    for (size_t i = 0; i < entries->count && !self->done; i++)
        take_entry(self, source, &entries->items[i]);
    return ERR_OK;
}

static enum ctl_exit open_source(struct source *source, const struct ctl *ctl,
                                 const struct bus_url *url)
{
    enum ctl_exit code;
    int rc;

    source->node.ctl = ctl;
    source->node.url = *url;
    bus_url_print(source->text, &source->node.url);
    source->node.text = source->text;
    code = ctl_connect(&source->bus, &source->node);
    if (code != CTL_OK)
        return code;
    rc = find_end(source);
    return rc == ERR_OK ? CTL_OK : ctl_bus_failed(&source->node, rc, bus_sync_why(source->bus));
}

static void close_source(struct source *source)
{
    bus_sync_close(source->bus);
    json_decref(source->node.data);
}

/* --- all of them --- */

/* A bus that went away comes back by itself: say so once and go on. */
static void note_health(struct source *source, int rc)
{
    if (rc == ERR_OK && source->lost)
        ctl_say("%s: is back", source->text);
    if (rc != ERR_OK && !source->lost)
        ctl_say("%s: %s; waiting for it", source->text, bus_sync_why(source->bus));
    source->lost = rc != ERR_OK;
    if (rc != ERR_OK)
        (void)nanosleep(&(struct timespec){.tv_sec = RETRY_S},
                        NULL); /* a signal may end it early */
}

static enum ctl_exit loop(struct watch *self)
{
    uint32_t block_ms = self->count == 1 ? BLOCK_MS : BLOCK_MANY_MS;

    while (!self->done) {
        for (size_t i = 0; i < self->count && !self->done; i++) {
            int rc = read_events(self, &self->sources[i], block_ms);

            if (rc == ERR_REFUSED)
                return ctl_bus_failed(&self->sources[i].node, rc,
                                      bus_sync_why(self->sources[i].bus));
            note_health(&self->sources[i], rc);
        }
        if (!self->done && self->ends_ms != 0 && clock_mono_ms() >= self->ends_ms) {
            ctl_say("no such event came in time");
            return CTL_TIMEOUT;
        }
    }
    return CTL_OK;
}

static enum ctl_exit run_watch(struct ctl *ctl, const struct ctl_args *args)
{
    struct watch self = {.ctl = ctl, .once = ctl_arg(args, "once"), .count = ctl->bus_count};
    uint64_t wait_s = 0;
    enum ctl_exit code = ctl_arg_number(args, "wait", (struct ctl_range){0, 86400}, &wait_s);

    if (code != CTL_OK)
        return code;
    self.ends_ms = wait_s > 0 ? clock_mono_ms() + wait_s * 1000 : 0;
    self.sources = calloc(self.count, sizeof(*self.sources));
    if (self.sources == NULL)
        return CTL_FAILED;
    for (size_t i = 0; i < self.count && code == CTL_OK; i++)
        code = open_source(&self.sources[i], ctl, &ctl->urls[i]);
    if (code == CTL_OK)
        code = loop(&self);
    for (size_t i = 0; i < self.count; i++)
        close_source(&self.sources[i]);
    free(self.sources);
    return code;
}

static const struct ctl_option watch_options[] = {
    {"once", "EVENT", "end after the first event of this name (tunnel.up, workload.state, ...)",
     false, false},
    {"wait", "S", "give up after so many seconds (exit 4); default 0 = never", false, false},
    {0},
};

const struct ctl_command ctl_watch_commands[] = {
    {"watch", "", 0, 0, "Print events as they happen; with --json one object a line.",
     watch_options, run_watch},
    {0},
};
