/* SPDX-License-Identifier: Apache-2.0 */
/* The table of workload types. */
#include "schemas/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/gateway.h"

#define EXPOSURE (1u << SCH_QUOTA_EXPOSURES)
#define TCP_PORT (1u << SCH_QUOTA_TCP_PORTS)

static void add_key(struct sch_facts *out, const uint8_t key[SCH_KEY_LEN])
{
    char hex[2 * SCH_KEY_LEN + 1];

    hex_encode(hex, key, SCH_KEY_LEN);
    for (size_t i = 0; i < out->key_count; i++) {
        if (strcmp(out->keys[i], hex) == 0)
            return;
    }
    memcpy(out->keys[out->key_count++], hex, sizeof(hex));
}

static struct sch_claim claim_of(const struct sch_gateway *gateway)
{
    struct sch_claim claim = {.kind = SCH_CLAIM_NAME};

    if (gateway->kind == SCH_GATEWAY_FQDN)
        return sch_claim_host(gateway->host);
    if (gateway->kind == SCH_GATEWAY_TCP) {
        claim.kind = SCH_CLAIM_TCP_PORT;
        (void)snprintf(claim.key, sizeof(claim.key), "%u", gateway->port);
        return claim;
    }
    (void)snprintf(claim.key, sizeof(claim.key), "%s", gateway->host);
    return claim;
}

static void collect(struct sch_facts *out, const struct sch_gateway *gateway)
{
    memset(out, 0, sizeof(*out));
    if (gateway->kind != SCH_GATEWAY_TCP || gateway->port != 0)
        out->claims[out->claim_count++] = claim_of(gateway);
    for (size_t i = 0; i < gateway->backend_count; i++) {
        if (gateway->backends[i].tunnel)
            add_key(out, gateway->backends[i].key);
    }
    out->has_tunnel = out->key_count > 0;
}

static int check_gateway(struct sch_facts *out, enum sch_gateway_kind kind, const json_t *data,
                         struct sch_report *report)
{
    struct sch_gateway *gateway = malloc(sizeof(*gateway));
    int rc;

    if (gateway == NULL)
        return sch_fail_nomem(report);
    rc = sch_gateway_parse(gateway, kind, data, report);
    if (rc == ERR_OK)
        collect(out, gateway);
    free(gateway);
    return rc;
}

static int check_name(struct sch_facts *out, const json_t *data, struct sch_report *report)
{
    return check_gateway(out, SCH_GATEWAY_NAME, data, report);
}

static int check_fqdn(struct sch_facts *out, const json_t *data, struct sch_report *report)
{
    return check_gateway(out, SCH_GATEWAY_FQDN, data, report);
}

static int check_tcp(struct sch_facts *out, const json_t *data, struct sch_report *report)
{
    return check_gateway(out, SCH_GATEWAY_TCP, data, report);
}

static const char *const zos_name[] = {"name", "tls_passthrough", "backends", "network", NULL};
static const char *const zos_fqdn[] = {"fqdn", "tls_passthrough", "backends", "network", NULL};

static const struct sch_workload_type types[] = {
    {SCH_TYPE_NAME_PROXY, EXPOSURE, true, zos_name, check_name},
    {SCH_TYPE_FQDN_PROXY, EXPOSURE, true, zos_fqdn, check_fqdn},
    {SCH_TYPE_TCP_PROXY, EXPOSURE | TCP_PORT, false, NULL, check_tcp},
};

const struct sch_workload_type *sch_workload_type_at(size_t i)
{
    return i < sizeof(types) / sizeof(types[0]) ? &types[i] : NULL;
}

const struct sch_workload_type *sch_workload_type(const char *name)
{
    const struct sch_workload_type *type;

    for (size_t i = 0; (type = sch_workload_type_at(i)) != NULL; i++) {
        if (strcmp(type->name, name) == 0)
            return type;
    }
    return NULL;
}

static const struct {
    const char *text;
    unsigned fallback;
} quotas[SCH_QUOTAS] = {
    [SCH_QUOTA_EXPOSURES] = {"exposures", 10},
    [SCH_QUOTA_TCP_PORTS] = {"tcp_ports", 2},
};

const char *sch_quota_text(enum sch_quota quota)
{
    return quotas[quota].text;
}

unsigned sch_quota_default(enum sch_quota quota)
{
    return quotas[quota].fallback;
}
