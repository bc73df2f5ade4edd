/* SPDX-License-Identifier: Apache-2.0 */
/* tunnels, workloads and usage: the state keys as they stand on the bus; no agent is asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/nodes.h"
#include "node-agent/ctl/say.h"
#include "node-agent/ctl/table.h"

/* The reply of HGETALL as one object; values are JSON, and what is none is shown as text. */
static json_t *object_of(const struct bus_value *pairs)
{
    json_t *object = json_object();

    for (size_t i = 0; i + 1 < pairs->count; i += 2) {
        const struct bus_value *field = &pairs->items[i], *value = &pairs->items[i + 1];
        json_t *json;

        if (field->type != BUS_TEXT || value->type != BUS_TEXT)
            continue;
        json = json_loadb(value->text, value->len, JSON_DECODE_ANY, NULL);
        if (json == NULL)
            json = json_stringn(value->text, value->len);
        if (json != NULL)
            (void)json_object_set_new(object, field->text, json);
    }
    return object;
}

/* Read the hash named ARG. */
static enum ctl_exit visit_hash(struct ctl_node *node, void *arg)
{
    const struct bus_value *reply;
    char key[BUS_KEY_CAP];
    struct bus_sync *bus;
    enum ctl_exit code = ctl_connect(&bus, node);
    int rc;

    if (code != CTL_OK)
        return code;
    bus_key(key, node->ctl->prefix, arg, NULL, NULL);
    rc = bus_sync_text(bus, &reply, "HGETALL", key, NULL);
    if (rc == ERR_OK)
        node->data = object_of(reply);
    else
        code = ctl_bus_failed(node, rc, bus_sync_why(bus));
    bus_sync_close(bus);
    return code;
}

static void show_workloads(const json_t *data)
{
    static const char *const titles[] = {"WORKLOAD", "TYPE",    "VERSION", "STATE",
                                         "ONLINE",   "UPDATED", "MESSAGE", NULL};
    struct ctl_table *table = ctl_table_new(titles);
    const char *id;
    json_t *workload;

    json_object_foreach((json_t *)(uintptr_t)data, id, workload)
    {
        ctl_table_add(table, id);
        ctl_table_add(table, ctl_text(workload, "type"));
        ctl_table_number(table, ctl_int(workload, "version"));
        ctl_table_add(table, ctl_text(workload, "state"));
        ctl_table_number(table, ctl_int(workload, "online"));
        ctl_table_time(table, ctl_int(workload, "updated"));
        ctl_table_add(table, ctl_text(workload, "message"));
    }
    ctl_table_end(table, "no workloads");
}

/* Keys are long; their head is enough to tell them apart by eye. */
static void add_key(struct ctl_table *table, const char *key)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%.12s", key);
    ctl_table_add(table, text);
}

/* When and why the last link or session of the connector was lost. */
static void add_loss(struct ctl_table *table, const json_t *lost)
{
    if (lost == NULL) {
        ctl_table_add(table, "");
        ctl_table_add(table, "");
        return;
    }
    ctl_table_time(table, ctl_int(lost, "at"));
    ctl_table_add(table, ctl_text(lost, "why"));
}

static void show_tunnels(const json_t *data)
{
    static const char *const titles[] = {"CONNECTOR", "NAME",    "REMOTE",  "SINCE",    "LINKS",
                                         "RTT us",    "STREAMS", "RESUMES", "RECEIVED", "SENT",
                                         "STATE",     "LOST",    "WHY",     NULL};
    struct ctl_table *table = ctl_table_new(titles);
    const char *key;
    json_t *sessions;

    json_object_foreach((json_t *)(uintptr_t)data, key, sessions)
    {
        for (size_t i = 0; i < json_array_size(sessions); i++) {
            const json_t *session = json_array_get(sessions, i);

            add_key(table, key);
            ctl_table_add(table, ctl_text(session, "name"));
            ctl_table_add(table, ctl_text(session, "remote"));
            ctl_table_time(table, ctl_int(session, "since"));
            ctl_table_number(table, ctl_int(session, "links"));
            ctl_table_number(table, ctl_int(session, "rtt_us"));
            ctl_table_number(table, ctl_int(session, "streams"));
            ctl_table_number(table, ctl_int(session, "resumes"));
            ctl_table_bytes(table, ctl_int(session, "rx_bytes"));
            ctl_table_bytes(table, ctl_int(session, "tx_bytes"));
            ctl_table_add(table, ctl_text(session, "state"));
            add_loss(table, json_object_get(session, "lost"));
        }
    }
    ctl_table_end(table, "no connector is online");
}

static void show_usage(const json_t *data)
{
    static const char *const titles[] = {"WORKLOAD",    "RECEIVED", "SENT",
                                         "CONNECTIONS", "ACTIVE",   NULL};
    struct ctl_table *table = ctl_table_new(titles);
    const char *id;
    json_t *usage;

    json_object_foreach((json_t *)(uintptr_t)data, id, usage)
    {
        ctl_table_add(table, id);
        ctl_table_bytes(table, ctl_int(usage, "rx_bytes"));
        ctl_table_bytes(table, ctl_int(usage, "tx_bytes"));
        ctl_table_number(table, ctl_int(usage, "connections"));
        ctl_table_number(table, ctl_int(usage, "active"));
    }
    ctl_table_end(table, "nothing was used yet");
}

static enum ctl_exit run_tunnels(struct ctl *ctl, const struct ctl_args *args)
{
    static char key[] = BUS_KEY_TUNNELS;

    (void)args;
    return ctl_each(ctl, visit_hash, key, show_tunnels);
}

static enum ctl_exit run_workloads(struct ctl *ctl, const struct ctl_args *args)
{
    static char key[] = BUS_KEY_WORKLOADS;

    (void)args;
    return ctl_each(ctl, visit_hash, key, show_workloads);
}

static enum ctl_exit run_usage(struct ctl *ctl, const struct ctl_args *args)
{
    static char key[] = BUS_KEY_USAGE;

    (void)args;
    return ctl_each(ctl, visit_hash, key, show_usage);
}

const struct ctl_command ctl_state_commands[] = {
    {"tunnels", "", 0, 0, "List the connectors that are online.", NULL, run_tunnels},
    {"workloads", "", 0, 0, "List all workloads and their states.", NULL, run_workloads},
    {"usage", "", 0, 0, "List the traffic of each workload.", NULL, run_usage},
    {0},
};
