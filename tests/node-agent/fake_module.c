/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module for the agent's tests: reads its desired state from the bus, answers to each entry, and
 * behaves as the first word of its --config file says at each look: ok, silent (alive, no reports),
 * slow (no answers), busy (port_unavailable), crash (exit 1), wrong (exit 2), count (reports
 * usage). It serves nothing. The test that runs it keeps that file locked: when the lock is gone,
 * so is the test, and the module ends, whatever became of its agent.
 */
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/map.h"
#include "bus/name.h"
#include "bus/sync.h"
#include "schemas/assignment.h"

#define LOOK_MS 20
#define INFO_LOOKS 25

struct fake {
    struct bus_sync *bus;
    const char *prefix;
    const char *module;
    const char *path; /* of the file that says how to behave */
    char instance[33];
    char mode[16];
    struct map *done; /* id -> rev answered to, as a malloc'd uint64_t */
    uint64_t epoch;
    unsigned looks;
    long long bytes;
};

static volatile sig_atomic_t asked_to_stop;

static void on_term(int signal_number)
{
    (void)signal_number;
    asked_to_stop = 1;
}

static void read_mode(struct fake *self)
{
    FILE *file = fopen(self->path, "r");

    if (file == NULL || flock(fileno(file), LOCK_SH | LOCK_NB) == 0)
        exit(0); /* the test is over */
    if (fscanf(file, "%15s", self->mode) != 1)
        snprintf(self->mode, sizeof(self->mode), "ok");
    fclose(file);
}

static bool is(const struct fake *self, const char *mode)
{
    return strcmp(self->mode, mode) == 0;
}

static int report(struct fake *self, json_t *body)
{
    char key[BUS_KEY_CAP];
    char *text = json_dumps(body, JSON_COMPACT);
    int rc = bus_sync_text(self->bus, NULL, "XADD", bus_key_report(key, self->prefix, self->module),
                           "*", "body", text, NULL);

    free(text);
    json_decref(body);
    return rc;
}

static int report_info(struct fake *self)
{
    return report(
        self,
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:[s, s, s], s:s, s:[s], s:{s:s, s:s}, s:{s:i, s:i, "
                  "s:i}, s:{s:i, s:i}, s:{}}",
                  "kind", "info", "module", self->module, "pid", (int)getpid(), "instance",
                  self->instance, "version", "9.9", "workload_types", "gateway-name-proxy",
                  "gateway-fqdn-proxy", "gateway-tcp-proxy", "domain", "gw1.example",
                  "public_addresses", "192.0.2.1", "tunnel", "endpoint", "gw1.example:7443",
                  "public_key", "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100",
                  "tcp_ports", "from", 20000, "to", 20999, "free", 1000, "counts", "exposures", 0,
                  "sessions", 1, "refused"));
}

static int report_state(struct fake *self, const char *id, const struct sch_assign *entry)
{
    const json_t *paused = json_object_get(entry->spec, "paused");
    const char *state = entry->gone ? "deleted" : json_is_true(paused) ? "paused" : "ok";
    json_t *body = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:{s:s}}", "kind", "state", "id", id,
                             "epoch", (json_int_t)self->epoch, "rev", (json_int_t)entry->rev,
                             "state", state, "message", "", "data", "served_by", self->instance);

    if (is(self, "busy") && strcmp(state, "ok") == 0) {
        json_object_set_new(body, "state", json_string("error"));
        json_object_set_new(body, "error", json_string("port_unavailable"));
        json_object_set_new(body, "message", json_string("the port is taken"));
        json_object_set_new(body, "retry_at", json_integer(2000000000));
    }
    return report(self, body);
}

static int report_usage(struct fake *self, const char *id)
{
    self->bytes += 10;
    return report(self, json_pack("{s:s, s:s, s:{s:{s:I, s:I, s:i, s:i}}}", "kind", "usage",
                                  "instance", self->instance, "totals", id, "rx_bytes",
                                  (json_int_t)self->bytes, "tx_bytes", (json_int_t)self->bytes * 2,
                                  "connections", 1, "active", 1));
}

static int take_entry(struct fake *self, const char *id, const struct bus_value *text)
{
    uint64_t *known = map_get_text(self->done, id);
    struct sch_assign entry = {0};
    int rc = sch_assign_parse(&entry, text->text, text->len, NULL);

    if (rc != ERR_OK)
        return report(self, json_pack("{s:s}", "kind", "resync"));
    if (known == NULL) {
        known = calloc(1, sizeof(*known));
        (void)map_put_text(self->done, id, known, NULL);
    }
    if (*known != entry.rev && !is(self, "slow")) {
        rc = report_state(self, id, &entry);
        if (rc == ERR_OK)
            *known = entry.rev;
    }
    if (rc == ERR_OK && is(self, "count") && !entry.gone && self->looks % 5 == 0)
        rc = report_usage(self, id);
    sch_assign_deinit(&entry);
    return rc;
}

static int read_head(struct fake *self)
{
    const struct bus_value *reply;
    struct sch_assign_head head;
    char key[BUS_KEY_CAP];
    int rc = bus_sync_text(self->bus, &reply, "GET",
                           bus_key_assign_head(key, self->prefix, self->module), NULL);

    if (rc == ERR_OK && reply->type == BUS_TEXT &&
        sch_assign_head_parse(&head, reply->text, reply->len, NULL) == ERR_OK)
        self->epoch = head.epoch;
    return rc;
}

/* The reply is borrowed until the next call, so it is copied first. */
static int look(struct fake *self)
{
    const struct bus_value *reply;
    char key[BUS_KEY_CAP];
    json_t *entries = json_object(), *text;
    const char *id;
    int rc = bus_sync_text(self->bus, &reply, "HGETALL",
                           bus_key_assign(key, self->prefix, self->module), NULL);

    for (size_t i = 0; rc == ERR_OK && i + 1 < reply->count; i += 2)
        json_object_set_new(entries, reply->items[i].text,
                            json_stringn(reply->items[i + 1].text, reply->items[i + 1].len));
    json_object_foreach(entries, id, text)
    {
        struct bus_value value = {.text = json_string_value(text), .len = json_string_length(text)};

        if (rc == ERR_OK)
            rc = take_entry(self, id, &value);
    }
    json_decref(entries);
    return rc;
}

static void turn(struct fake *self)
{
    int rc = ERR_OK;

    read_mode(self);
    if (is(self, "crash"))
        exit(1);
    if (is(self, "wrong"))
        exit(2);
    if (is(self, "silent"))
        return;
    if (self->looks++ % INFO_LOOKS == 0)
        rc = report_info(self);
    if (rc == ERR_OK)
        rc = read_head(self);
    if (rc == ERR_OK)
        rc = look(self);
    if (rc != ERR_OK)
        self->looks = 0; /* the bus was away: say who we are again */
}

int main(int argc, char **argv)
{
    struct fake self = {.prefix = getenv("NETWALL_BUS_PREFIX"),
                        .module = getenv("NETWALL_MODULE"),
                        .path = argc > 2 ? argv[2] : "",
                        .mode = "ok"};
    struct bus_url url;
    char why[BUS_WHY_MAX];

    if (self.prefix == NULL || self.module == NULL || getenv("NETWALL_BUS") == NULL ||
        getenv("NETWALL_ZBUS") == NULL || map_new(&self.done) != ERR_OK)
        return 2;
    signal(SIGTERM, on_term);
    bus_id_random(self.instance);
    if (bus_url_parse(&url, getenv("NETWALL_BUS"), why) != ERR_OK)
        return 2;
    read_mode(&self);
    while (!asked_to_stop && bus_sync_open(&self.bus, &url, 1000, why) != ERR_OK) {
        (void)poll(NULL, 0, LOOK_MS);
        read_mode(&self);
    }
    while (!asked_to_stop) {
        turn(&self);
        (void)poll(NULL, 0, LOOK_MS);
    }
    bus_sync_close(self.bus);
    return 0;
}
