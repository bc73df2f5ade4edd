/* SPDX-License-Identifier: Apache-2.0 */
/* `data` of the gateway workloads. */
#include "schemas/gateway.h"

#include <string.h>

#include "bus/base/err.h"
#include "schemas/reader.h"
#include "schemas/workload.h"

static const char *const http_names[] = {"forward", "redirect", "off", NULL};
static const char *const proxy_names[] = {"none", "v1", "v2", NULL};
static const char *const instances_names[] = {"shared", "newest", NULL};
static const char *const balance_names[] = {"least", "random", NULL};

int sch_gateway_kind_parse(enum sch_gateway_kind *out, const char *type)
{
    if (strcmp(type, SCH_TYPE_NAME_PROXY) == 0)
        *out = SCH_GATEWAY_NAME;
    else if (strcmp(type, SCH_TYPE_FQDN_PROXY) == 0)
        *out = SCH_GATEWAY_FQDN;
    else if (strcmp(type, SCH_TYPE_TCP_PROXY) == 0)
        *out = SCH_GATEWAY_TCP;
    else
        return ERR_INVALID;
    return ERR_OK;
}

static void read_name(struct sch_gateway *out, struct sch_reader *r)
{
    const char *name = sch_read_text(r, "name", true, 0);

    if (r->rc == ERR_OK && host_label(out->host, name, strlen(name)) != ERR_OK)
        sch_reader_fail(r, SCH_BAD_NAME, "name",
                        "must be one label: 1-63 letters, digits, - or _, no hyphen at an edge");
}

static void read_fqdn(struct sch_gateway *out, struct sch_reader *r)
{
    const char *fqdn = sch_read_text(r, "fqdn", true, 0);
    int rc;

    if (r->rc != ERR_OK)
        return;
    rc = host_canon_wild(out->host, fqdn, strlen(fqdn));
    if (rc == ERR_REFUSED)
        sch_reader_fail(r, SCH_BAD_NAME, "fqdn", "is an IP address, not a host name");
    else if (rc != ERR_OK)
        sch_reader_fail(r, SCH_BAD_NAME, "fqdn", "is not a host name");
    else if (strchr(out->host[0] == '*' ? host_parent(out->host) : out->host, '.') == NULL)
        sch_reader_fail(r, SCH_BAD_NAME, "fqdn",
                        "must have at least two labels (behind *. as well)");
}

static void read_what(struct sch_gateway *out, struct sch_reader *r)
{
    if (out->kind == SCH_GATEWAY_NAME)
        read_name(out, r);
    else if (out->kind == SCH_GATEWAY_FQDN)
        read_fqdn(out, r);
    else
        out->port = (uint16_t)sch_read_int(
            r, &(struct sch_int){.key = "port", .max = UINT16_MAX, .required = true});
}

static void read_options(struct sch_gateway *out, struct sch_reader *r)
{
    out->tls_passthrough = sch_read_bool(r, "tls_passthrough", false, false);
    out->http = (enum sch_http)sch_read_enum(
        r, "http", http_names, out->tls_passthrough ? SCH_HTTP_REDIRECT : SCH_HTTP_FORWARD);
    out->proxy_protocol =
        (enum sch_proxy)sch_read_enum(r, "proxy_protocol", proxy_names, SCH_PROXY_NONE);
    out->instances =
        (enum sch_instances)sch_read_enum(r, "instances", instances_names, SCH_INSTANCES_SHARED);
    out->balance = (enum sch_balance)sch_read_enum(r, "balance", balance_names, SCH_BALANCE_LEAST);
}

/* Read after tls_passthrough, which decides what a direct backend looks like. */
static void read_backends(struct sch_gateway *out, struct sch_reader *r)
{
    const json_t *list = sch_read_array(r, "backends", true, SCH_BACKENDS_MAX);
    bool raw = out->tls_passthrough || out->kind == SCH_GATEWAY_TCP;

    if (r->rc != ERR_OK)
        return;
    if (json_array_size(list) == 0)
        sch_reader_fail(r, SCH_BAD_BACKEND, "backends", "must not be empty");
    for (size_t i = 0; i < json_array_size(list) && r->rc == ERR_OK; i++) {
        const json_t *text = json_array_get(list, i);

        r->rc = json_is_string(text)
                    ? sch_backend_parse(&out->backends[i], json_string_value(text), raw, r->report)
                    : sch_fail(r->report, SCH_BAD_TYPE, "", "must be a string");
        if (r->rc != ERR_OK)
            (void)sch_report_under(r->report, "backends[%zu]", i);
        out->backend_count = i + 1;
    }
}

static void read_network(struct sch_reader *r)
{
    const char *network = sch_read_text(r, "network", false, 0);

    if (network[0] != '\0')
        sch_reader_fail(r, SCH_BAD_BACKEND, "network",
                        "must be empty: this node has no networks; use a tunnel: backend");
}

static void read_ranges(struct sch_ranges *out, struct sch_reader *r, const char *key)
{
    const json_t *list = sch_read_array(r, key, false, SCH_RANGES_MAX);

    for (size_t i = 0; i < json_array_size(list) && r->rc == ERR_OK; i++) {
        const json_t *text = json_array_get(list, i);

        if (!json_is_string(text))
            r->rc = sch_fail(r->report, SCH_BAD_TYPE, "", "must be a string");
        else if (cidr_parse(&out->at[i], json_string_value(text)) != ERR_OK)
            r->rc = sch_fail(r->report, SCH_OUT_OF_RANGE, "",
                             "must be an address or a range such as 192.0.2.0/24, with zeros "
                             "behind the prefix");
        if (r->rc != ERR_OK)
            (void)sch_report_under(r->report, "%s[%zu]", key, i);
        out->count = i + 1;
    }
}

static void read_limits(struct sch_gateway *out, struct sch_reader *r)
{
    const json_t *object = sch_read_object(r, "limits", false);
    struct sch_reader in;

    if (object == NULL || r->rc != ERR_OK)
        return;
    in = sch_reader_open(object, r->report);
    out->connections = (uint32_t)sch_read_int(
        &in, &(struct sch_int){.key = "connections", .max = SCH_CONNECTIONS_MAX});
    out->new_per_second = (uint32_t)sch_read_int(
        &in, &(struct sch_int){.key = "new_per_second", .max = SCH_NEW_PER_SECOND_MAX});
    out->bytes_per_second = (uint64_t)sch_read_int(
        &in, &(struct sch_int){.key = "bytes_per_second", .max = SCH_BYTES_PER_SECOND_MAX});
    out->idle_seconds = (uint32_t)sch_read_int(
        &in, &(struct sch_int){.key = "idle_seconds", .max = SCH_IDLE_SECONDS_MAX});
    r->rc = sch_reader_close(&in);
    if (r->rc != ERR_OK)
        (void)sch_report_under(r->report, "limits");
}

int sch_gateway_parse(struct sch_gateway *out, enum sch_gateway_kind kind, const json_t *data,
                      struct sch_report *report)
{
    struct sch_reader r = sch_reader_open(data, report);

    memset(out, 0, sizeof(*out));
    out->kind = kind;
    read_what(out, &r);
    read_options(out, &r);
    read_backends(out, &r);
    read_network(&r);
    read_ranges(&out->allow, &r, "allow");
    read_ranges(&out->deny, &r, "deny");
    read_limits(out, &r);
    return sch_reader_close(&r);
}
