/* SPDX-License-Identifier: Apache-2.0 */
/* node, modules, module restart|orphans|forget and twins. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/ctl/groups.h"
#include "node-agent/ctl/nodes.h"
#include "node-agent/ctl/say.h"
#include "node-agent/ctl/table.h"

#define RESTART_WAIT_S                                                                             \
    90 /* a module replaces itself in little more than a minute, or says why not */

/* --- node --- */

static void put_pair(const char *name, const char *value)
{
    printf("%-16s  ", name);
    ctl_put(value[0] != '\0' ? value : "-");
    printf("\n");
}

static void put_counts(const char *name, const json_t *counts)
{
    const char *key, *between = "";
    json_t *value;

    printf("%-16s  ", name);
    json_object_foreach((json_t *)(uintptr_t)counts, key, value)
    {
        printf("%s%lld ", between, (long long)json_integer_value(value));
        ctl_put(key);
        between = ", ";
    }
    printf("%s\n", between[0] == '\0' ? "-" : "");
}

static void show_node(const json_t *data)
{
    const json_t *tunnel = json_object_get(data, "tunnel");
    const json_t *ports = json_object_get(data, "tcp_ports");
    const json_t *addresses = json_object_get(data, "public_addresses");

    put_pair("name", ctl_text(data, "name"));
    put_pair("version", ctl_text(data, "version"));
    printf("%-16s  %lld s\n", "uptime", (long long)ctl_int(data, "uptime"));
    put_pair("domain", ctl_text(data, "domain"));
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        const char *address = json_string_value(json_array_get(addresses, i));

        put_pair("public address", address != NULL ? address : "");
    }
    put_pair("tunnel endpoint", ctl_text(tunnel, "endpoint"));
    put_pair("public key", ctl_text(tunnel, "public_key"));
    if (ctl_text(tunnel, "next_public_key")[0] != '\0')
        put_pair("next public key", ctl_text(tunnel, "next_public_key"));
    put_counts("tunnels by key", json_object_get(data, "gateway_keys"));
    printf("%-16s  %lld-%lld, %lld free\n", "TCP ports", (long long)ctl_int(ports, "from"),
           (long long)ctl_int(ports, "to"), (long long)ctl_int(ports, "free"));
    put_counts("counts", json_object_get(data, "counts"));
    put_counts("refused", json_object_get(data, "refused"));
}

static enum ctl_exit run_node(struct ctl *ctl, const struct ctl_args *args)
{
    struct ctl_request request = {.command = "netwall.node.info", .wait_s = CTL_WAIT_S};

    (void)args;
    return ctl_each(ctl, ctl_ask_visit, &request, show_node);
}

/* --- modules --- */

static void add_types(struct ctl_table *table, const json_t *types)
{
    char text[512] = "";
    size_t len = 0;

    for (size_t i = 0; i < json_array_size(types) && len < sizeof(text); i++) {
        const char *type = json_string_value(json_array_get(types, i));

        (void)snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? " " : "",
                       type != NULL ? type : "");
        len = strlen(text);
    }
    ctl_table_add(table, text);
}

static void show_modules(const json_t *data)
{
    static const char *const titles[] = {"MODULE", "PID",     "STATE",          "RESTARTS",
                                         "SINCE",  "VERSION", "WORKLOAD TYPES", NULL};
    struct ctl_table *table = ctl_table_new(titles);

    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *module = json_array_get(data, i);

        ctl_table_add(table, ctl_text(module, "name"));
        ctl_table_number(table, ctl_int(module, "pid"));
        ctl_table_add(table, ctl_text(module, "state"));
        ctl_table_number(table, ctl_int(module, "restarts"));
        ctl_table_time(table, ctl_int(module, "since"));
        ctl_table_add(table, ctl_text(module, "version"));
        add_types(table, json_object_get(module, "workload_types"));
    }
    ctl_table_end(table, "no modules");
}

static enum ctl_exit run_modules(struct ctl *ctl, const struct ctl_args *args)
{
    struct ctl_request request = {
        .command = "netwall.module.list", .operator_list = true, .wait_s = CTL_WAIT_S};

    (void)args;
    return ctl_each(ctl, ctl_ask_visit, &request, show_modules);
}

static void show_restarting(const json_t *data)
{
    if (strcmp(ctl_text(data, "state"), "running") == 0)
        printf("%s runs anew, pid %lld\n", ctl_text(data, "name"), (long long)ctl_int(data, "pid"));
    else
        printf("restarting\n");
}

static void show_orphans(const json_t *data)
{
    static const char *const titles[] = {"WORKLOAD", "MODULE", "SINCE", NULL};
    struct ctl_table *table = ctl_table_new(titles);

    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *orphan = json_array_get(data, i);

        ctl_table_add(table, ctl_text(orphan, "id"));
        ctl_table_add(table, ctl_text(orphan, "module"));
        ctl_table_time(table, ctl_int(orphan, "since"));
    }
    ctl_table_end(table, "it serves nothing that the node does not know");
}

static void show_forgotten(const json_t *data)
{
    printf("%lld told to go\n", (long long)ctl_int(data, "forgotten"));
}

static const struct verb {
    const char *name;
    const char *command;
    unsigned wait_s;
    void (*show)(const json_t *data);
    bool takes_id;
} verbs[] = {
    {"restart", "netwall.module.restart", RESTART_WAIT_S, show_restarting, false},
    {"orphans", "netwall.module.orphans", CTL_WAIT_S, show_orphans, false},
    {"forget", "netwall.module.forget", CTL_WAIT_S, show_forgotten, true},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static enum ctl_exit run_module(struct ctl *ctl, const struct ctl_args *args)
{
    const struct verb *verb = find_verb(args->operands[0]);
    const char *id = args->operand_count > 2 ? args->operands[2] : NULL;
    struct ctl_request request = {.operator_list = true};
    char *arguments;
    json_t *json;
    enum ctl_exit code;

    if (verb == NULL || (id != NULL && !verb->takes_id))
        return ctl_usage(args->command, "say restart NAME, orphans NAME or forget NAME [ID]");
    request.command = verb->command;
    request.wait_s = verb->wait_s;
    json = json_pack("{s:s, s:s*}", "name", args->operands[1], "id", id);
    arguments = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (arguments == NULL)
        return ctl_usage(args->command, "the name is not UTF-8");
    request.arguments = arguments;
    code = ctl_each(ctl, ctl_ask_visit, &request, verb->show);
    free(arguments);
    return code;
}

/* --- twins --- */

static void show_twins(const json_t *data)
{
    static const char *const titles[] = {"TWIN",      "STATE",      "EXPOSURES", "TCP PORTS",
                                         "NOT AFTER", "PUBLIC KEY", NULL};
    struct ctl_table *table = ctl_table_new(titles);

    for (size_t i = 0; i < json_array_size(data); i++) {
        const json_t *twin = json_array_get(data, i);
        const json_t *limits = json_object_get(twin, "limits");

        ctl_table_number(table, ctl_int(twin, "twin_id"));
        ctl_table_add(table, ctl_text(twin, "state"));
        ctl_table_number(table, ctl_int(limits, "exposures"));
        ctl_table_number(table, ctl_int(limits, "tcp_ports"));
        ctl_table_time(table, ctl_int(twin, "not_after"));
        ctl_table_add(table, ctl_text(twin, "public_key"));
    }
    ctl_table_end(table, "no twins");
}

static enum ctl_exit run_twins(struct ctl *ctl, const struct ctl_args *args)
{
    struct ctl_request request = {
        .command = "netwall.twin.list", .operator_list = true, .wait_s = CTL_WAIT_S};

    (void)args;
    return ctl_each(ctl, ctl_ask_visit, &request, show_twins);
}

const struct ctl_command ctl_node_commands[] = {
    {"node", "", 0, 0, "Show the node: its domain, tunnel endpoint and public key.", NULL,
     run_node},
    {"modules", "", 0, 0, "List the node's modules.", NULL, run_modules},
    {"module", "restart|orphans|forget NAME [ID]", 2, 3,
     "Restart a module; list what it serves and the node does not know; let that go.", NULL,
     run_module},
    {"twins", "", 0, 0, "List the twins that were admitted.", NULL, run_twins},
    {0},
};
