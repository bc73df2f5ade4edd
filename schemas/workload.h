/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workload types as data: the table that keeps knowledge of types out of the agent. A new type is
 * one more line in workload.c and a file that checks its data.
 */
#ifndef SCHEMAS_WORKLOAD_H
#define SCHEMAS_WORKLOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "schemas/claim.h"
#include "schemas/report.h"

#define SCH_TYPE_NAME_PROXY "gateway-name-proxy"
#define SCH_TYPE_FQDN_PROXY "gateway-fqdn-proxy"
#define SCH_TYPE_TCP_PROXY "gateway-tcp-proxy"

/* What a grant limits the number of. */
enum sch_quota {
    SCH_QUOTA_EXPOSURES, /* "exposures": every gateway workload */
    SCH_QUOTA_TCP_PORTS, /* "tcp_ports": TCP workloads, which count as exposures as well */
    SCH_QUOTAS
};

/* What the check of a workload's data found out about it. */
struct sch_facts {
    struct sch_claim claims[SCH_CLAIMS_MAX];
    size_t claim_count;
    bool has_tunnel;   /* some backend is a tunnel */
    char keys[16][65]; /* connector keys it names, hex, each once */
    size_t key_count;
};

struct sch_workload_type {
    const char *name;              /* "gateway-name-proxy" */
    unsigned quotas;               /* bits 1 << enum sch_quota: what one such workload counts for */
    bool zos;                      /* Zero-OS knows the type: allowed under style "" */
    const char *const *zos_fields; /* fields of data that Zero-OS knows, in challenge order */
    int (*check)(struct sch_facts *out, const json_t *data, struct sch_report *report);
};

/* By its name; NULL = unsupported. */
const struct sch_workload_type *sch_workload_type(const char *name);
/* All types; NULL ends the table when I is too large. */
const struct sch_workload_type *sch_workload_type_at(size_t i);
/* "exposures", "tcp_ports"; default limits of a grant. */
const char *sch_quota_text(enum sch_quota quota);
unsigned sch_quota_default(enum sch_quota quota);

#endif
