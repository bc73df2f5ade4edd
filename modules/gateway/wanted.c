/* SPDX-License-Identifier: Apache-2.0 */
/* Spec -> exposure. The agent's specs are whole assignments, those of zbus callers {type, data}. */
#include "modules/gateway/wanted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/verify.h"
#include "schemas/assignment.h"
#include "schemas/gateway.h"

uint32_t gw_wanted_twin_of(const char *id)
{
    char *end;
    unsigned long long twin;

    if (id[0] < '1' || id[0] > '9')
        return 0;
    twin = strtoull(id, &end, 10);
    return *end == '-' && twin <= UINT32_MAX ? (uint32_t)twin : 0;
}

static int copy_ranges(struct cidr **out, size_t *count, const struct sch_ranges *from)
{
    if (from->count == 0)
        return ERR_OK;
    *out = malloc(from->count * sizeof(**out));
    if (*out == NULL)
        return ERR_NOMEM;
    memcpy(*out, from->at, from->count * sizeof(**out));
    *count = from->count;
    return ERR_OK;
}

static void copy_backends(struct gw_exposure *x, const struct sch_gateway *from)
{
    for (size_t i = 0; i < from->backend_count; i++) {
        const struct sch_backend *b = &from->backends[i];
        struct gw_backend *to = &x->backends[i];

        to->tunnel = b->tunnel;
        memcpy(to->key, b->key, sizeof(to->key));
        memcpy(to->service, b->service, sizeof(to->service));
        to->addr = b->addr;
    }
    x->backend_count = from->backend_count;
}

static void copy_modes(struct gw_exposure *x, const struct sch_gateway *from)
{
    static const enum gw_kind kinds[] = {
        [SCH_GATEWAY_NAME] = GW_KIND_NAME,
        [SCH_GATEWAY_FQDN] = GW_KIND_FQDN,
        [SCH_GATEWAY_TCP] = GW_KIND_TCP,
    };
    static const enum gw_http_mode https[] = {
        [SCH_HTTP_FORWARD] = GW_HTTP_FORWARD,
        [SCH_HTTP_REDIRECT] = GW_HTTP_REDIRECT,
        [SCH_HTTP_OFF] = GW_HTTP_OFF,
    };
    static const enum gw_proxy_protocol proxies[] = {
        [SCH_PROXY_NONE] = GW_PROXY_NONE,
        [SCH_PROXY_V1] = GW_PROXY_V1,
        [SCH_PROXY_V2] = GW_PROXY_V2,
    };

    x->kind = kinds[from->kind];
    x->http = https[from->http];
    x->proxy_protocol = proxies[from->proxy_protocol];
    x->tls_passthrough = from->tls_passthrough;
    x->newest_only = from->instances == SCH_INSTANCES_NEWEST;
    x->balance_random = from->balance == SCH_BALANCE_RANDOM;
    x->connections = from->connections;
    x->new_per_second = from->new_per_second;
    x->bytes_per_second = from->bytes_per_second;
    x->idle_ms = (uint64_t)from->idle_seconds * 1000;
}

/* Name and label rules of this gateway; FROM holds a canonical label or host name. */
static int set_host(struct gw_exposure *x, const struct sch_gateway *from,
                    const struct gw_config *config, struct sch_report *report)
{
    const char *host = from->host;

    if (x->kind == GW_KIND_TCP)
        return ERR_OK;
    if (x->kind == GW_KIND_NAME) {
        int len;

        if (config->domain[0] == '\0')
            return sch_fail(report, SCH_DOMAIN_NOT_HERE, "data.name",
                            "node doesn't support name proxy (doesn't have a domain)");
        len = snprintf(x->host, sizeof(x->host), "%s.%s", host, config->domain);
        if (len < 0 || (size_t)len >= sizeof(x->host))
            return sch_fail(report, SCH_BAD_NAME, "data.name", "is too long under %s",
                            config->domain);
        return ERR_OK;
    }
    if (strncmp(host, "*.", 2) == 0)
        host += 2;
    if (host_under(host, config->domain))
        return sch_fail(report, SCH_RESERVED_NAME, "data.fqdn",
                        "can't create a fqdn workload with a subdomain of the gateway's managed "
                        "domain");
    (void)snprintf(x->host, sizeof(x->host), "%s", from->host);
    return ERR_OK;
}

static int check_direct(const struct gw_exposure *x, const struct gw_config *config,
                        struct sch_report *report)
{
    char path[32], text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < x->backend_count; i++) {
        const struct gw_backend *b = &x->backends[i];

        if (b->tunnel || gw_config_direct_ok(config, &b->addr))
            continue;
        addr_print(text, &b->addr);
        (void)snprintf(path, sizeof(path), "data.backends[%zu]", i);
        if (gw_config_is_public(config, &b->addr))
            return sch_fail(report, SCH_BAD_BACKEND, path,
                            "%s points to the node's own public IP address", text);
        return sch_fail(report, SCH_BAD_BACKEND, path,
                        "%s: this gateway does not dial such addresses (direct-backends)", text);
    }
    return ERR_OK;
}

/* The exposure of a workload of TYPE with DATA. */
static int make_exposure(struct gw_wanted *out, const char *type, const json_t *data,
                         const struct gw_config *config, struct sch_report *report)
{
    struct sch_gateway *parsed = malloc(sizeof(*parsed)); /* too large for the stack */
    enum sch_gateway_kind kind;
    struct gw_exposure *x = out->exposure;
    int rc = ERR_OK;

    if (parsed == NULL)
        return sch_fail_nomem(report);
    if (sch_gateway_kind_parse(&kind, type) != ERR_OK)
        rc = sch_fail(report, SCH_UNSUPPORTED_TYPE, "type", "\"%s\" is not served by a gateway",
                      type);
    else if ((rc = sch_gateway_parse(parsed, kind, data, report)) != ERR_OK)
        (void)sch_report_under(report, "data");
    if (rc == ERR_OK) {
        copy_modes(x, parsed);
        copy_backends(x, parsed);
        out->port = parsed->port;
        rc = set_host(x, parsed, config, report);
    }
    if (rc == ERR_OK)
        rc = check_direct(x, config, report);
    if (rc == ERR_OK && (copy_ranges(&x->allow, &x->allow_count, &parsed->allow) != ERR_OK ||
                         copy_ranges(&x->deny, &x->deny_count, &parsed->deny) != ERR_OK))
        rc = sch_fail_nomem(report);
    free(parsed);
    return rc;
}

static int parse_agent(struct gw_wanted *out, const json_t *json, const struct gw_config *config,
                       struct sch_report *report)
{
    struct sch_spec spec;
    int rc = sch_spec_parse(&spec, json, report);

    if (rc != ERR_OK)
        return rc;
    out->exposure->twin = spec.twin;
    out->exposure->paused = spec.paused;
    (void)snprintf(out->twin_key, sizeof(out->twin_key), "%s", spec.twin_key);
    (void)snprintf(out->reason, sizeof(out->reason), "%s", spec.reason);
    out->domains = json_incref(spec.domains);
    if (strcmp(spec.id, out->exposure->id) != 0)
        rc = sch_fail(report, SCH_MALFORMED, "id", "is not the id it is stored under");
    else
        rc = make_exposure(out, spec.type, spec.data, config, report);
    sch_spec_deinit(&spec);
    return rc;
}

static int parse_zbus(struct gw_wanted *out, const json_t *json, const struct gw_config *config,
                      struct sch_report *report)
{
    const char *type = json_string_value(json_object_get(json, "type"));

    if (type == NULL)
        return sch_fail(report, SCH_MALFORMED, "type", "is missing");
    out->exposure->twin = gw_wanted_twin_of(out->exposure->id);
    return make_exposure(out, type, json_object_get(json, "data"), config, report);
}

int gw_wanted_parse(struct gw_wanted *out, const struct gw_entry *entry,
                    const struct gw_config *config, struct sch_report *report)
{
    const struct sch_json_limits limits = {.bytes = GW_SPEC_MAX, .depth = SCH_DEPTH_MAX + 4};
    json_t *json = NULL;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = sch_json_load(&json, entry->spec, entry->spec_len, &limits, report);
    if (rc != ERR_OK)
        return rc;
    out->exposure = gw_exposure_new();
    if (out->exposure == NULL) {
        json_decref(json);
        return sch_fail_nomem(report);
    }
    (void)snprintf(out->exposure->id, sizeof(out->exposure->id), "%s", entry->id);
    if (entry->owner == GW_OWNER_AGENT)
        rc = parse_agent(out, json, config, report);
    else
        rc = parse_zbus(out, json, config, report);
    json_decref(json);
    if (rc != ERR_OK)
        gw_wanted_deinit(out);
    return rc;
}

void gw_wanted_deinit(struct gw_wanted *self)
{
    gw_exposure_unref(self->exposure);
    json_decref(self->domains);
    memset(self, 0, sizeof(*self));
}

bool gw_wanted_covered(const struct gw_wanted *self)
{
    char domain[HOST_CAP];
    const char *one = domain;
    const json_t *item;
    size_t i;

    json_array_foreach(self->domains, i, item)
    {
        const char *text = json_string_value(item);

        if (text != NULL && host_canon(domain, text, strlen(text)) == ERR_OK &&
            gw_verify_covered(self->exposure->host, &one, 1))
            return true;
    }
    return false;
}
