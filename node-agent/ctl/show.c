/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments for people. */
#include "node-agent/ctl/show.h"

#include <stdio.h>
#include <string.h>

#include "node-agent/ctl/table.h"

#define WHERE_CAP 1024

/* The texts of LIST with a blank between. */
static void join(char out[WHERE_CAP], const json_t *list)
{
    size_t len = strlen(out);

    for (size_t i = 0; i < json_array_size(list) && len < WHERE_CAP; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        (void)snprintf(out + len, WHERE_CAP - len, "%s%s", len > 0 ? " " : "",
                       text != NULL ? text : "");
        len = strlen(out);
    }
}

/* Where visitors find it: its URLs, or its addresses. */
static void where_of(char out[WHERE_CAP], const json_t *result)
{
    const json_t *data = json_object_get(result, "data");

    out[0] = '\0';
    join(out, json_object_get(data, "urls"));
    join(out, json_object_get(data, "addresses"));
    if (out[0] == '\0')
        (void)snprintf(out, WHERE_CAP, "%s", ctl_text(data, "fqdn"));
}

static void put_line(const char *name, const char *what, const char *text)
{
    if (text[0] == '\0')
        return;
    ctl_put(name);
    printf(": %s", what);
    ctl_put(text);
    printf("\n");
}

/* DNS records the tenant still has to make, warnings, and why it is not ok. */
static void show_notes(const json_t *workload)
{
    const json_t *result = json_object_get(workload, "result");
    const json_t *data = json_object_get(result, "data");
    const json_t *warnings = json_object_get(data, "warnings"), *dns = json_object_get(data, "dns");
    const char *name = ctl_text(workload, "name");
    char record[WHERE_CAP];

    if (strcmp(ctl_text(result, "state"), "ok") != 0)
        put_line(name,
                 ctl_text(result, "error")[0] != '\0' ? "" : "note: ", ctl_text(result, "message"));
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));

        put_line(name, "warning: ", text != NULL ? text : "");
    }
    for (size_t i = 0; i < json_array_size(dns); i++) {
        const json_t *entry = json_array_get(dns, i);

        (void)snprintf(record, sizeof(record), "%s %s %s", ctl_text(entry, "name"),
                       ctl_text(entry, "type"), ctl_text(entry, "value"));
        put_line(name, "DNS: ", record);
    }
}

void ctl_show_deployment(const json_t *deployment)
{
    static const char *const titles[] = {"WORKLOAD", "TYPE", "STATE", "ERROR", "WHERE", NULL};
    const json_t *workloads = json_object_get(deployment, "workloads");
    struct ctl_table *table = ctl_table_new(titles);
    char where[WHERE_CAP];

    printf("contract %lld of twin %lld, version %lld\n",
           (long long)ctl_int(deployment, "contract_id"), (long long)ctl_int(deployment, "twin_id"),
           (long long)ctl_int(deployment, "version"));
    for (size_t i = 0; i < json_array_size(workloads); i++) {
        const json_t *workload = json_array_get(workloads, i);
        const json_t *result = json_object_get(workload, "result");

        where_of(where, result);
        ctl_table_add(table, ctl_text(workload, "name"));
        ctl_table_add(table, ctl_text(workload, "type"));
        ctl_table_add(table, ctl_text(result, "state"));
        ctl_table_add(table, ctl_text(result, "error"));
        ctl_table_add(table, where);
    }
    ctl_table_end(table, "no workloads");
    for (size_t i = 0; i < json_array_size(workloads); i++)
        show_notes(json_array_get(workloads, i));
}

/* "2 ok, 1 error" */
static void count_states(char out[WHERE_CAP], const json_t *workloads)
{
    static const char *const states[] = {"ok", "init", "error", "paused", "deleted"};
    size_t len = 0;

    out[0] = '\0';
    for (size_t s = 0; s < sizeof(states) / sizeof(states[0]); s++) {
        size_t n = 0;

        for (size_t i = 0; i < json_array_size(workloads); i++) {
            const json_t *result = json_object_get(json_array_get(workloads, i), "result");

            n += strcmp(ctl_text(result, "state"), states[s]) == 0;
        }
        if (n == 0)
            continue;
        (void)snprintf(out + len, WHERE_CAP - len, "%s%zu %s", len > 0 ? ", " : "", n, states[s]);
        len = strlen(out);
    }
}

void ctl_show_deployments(const json_t *list)
{
    static const char *const titles[] = {"TWIN", "CONTRACT", "VERSION", "WORKLOADS", NULL};
    struct ctl_table *table = ctl_table_new(titles);
    char states[WHERE_CAP];

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *deployment = json_array_get(list, i);

        count_states(states, json_object_get(deployment, "workloads"));
        ctl_table_number(table, ctl_int(deployment, "twin_id"));
        ctl_table_number(table, ctl_int(deployment, "contract_id"));
        ctl_table_number(table, ctl_int(deployment, "version"));
        ctl_table_add(table, states);
    }
    ctl_table_end(table, "no contracts");
}

void ctl_show_changes(const json_t *list)
{
    static const char *const titles[] = {"WHEN",  "WORKLOAD", "VERSION", "STATE",
                                         "ERROR", "MESSAGE",  NULL};
    struct ctl_table *table = ctl_table_new(titles);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *workload = json_array_get(list, i);
        const json_t *result = json_object_get(workload, "result");

        ctl_table_time(table, ctl_int(result, "created"));
        ctl_table_add(table, ctl_text(workload, "name"));
        ctl_table_number(table, ctl_int(workload, "version"));
        ctl_table_add(table, ctl_text(result, "state"));
        ctl_table_add(table, ctl_text(result, "error"));
        ctl_table_add(table, ctl_text(result, "message"));
    }
    ctl_table_end(table, "no changes");
}

enum ctl_exit ctl_deployment_exit(const json_t *deployment)
{
    const json_t *workloads = json_object_get(deployment, "workloads");

    for (size_t i = 0; i < json_array_size(workloads); i++) {
        const json_t *result = json_object_get(json_array_get(workloads, i), "result");
        const char *state = ctl_text(result, "state");

        if (strcmp(state, "ok") != 0 && strcmp(state, "deleted") != 0)
            return CTL_PENDING;
    }
    return CTL_OK;
}
