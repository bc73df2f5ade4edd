/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `data` of the three gateway workloads (gateway-name-proxy, gateway-fqdn-proxy,
 * gateway-tcp-proxy): parsed, checked, with defaults filled in.
 */
#ifndef SCHEMAS_GATEWAY_H
#define SCHEMAS_GATEWAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "bus/base/host.h"
#include "schemas/backend.h"
#include "schemas/report.h"

#define SCH_BACKENDS_MAX 16
#define SCH_RANGES_MAX 256 /* entries of allow, of deny */

#define SCH_CONNECTIONS_MAX 1000000          /* limits.connections */
#define SCH_NEW_PER_SECOND_MAX 1000000       /* limits.new_per_second */
#define SCH_BYTES_PER_SECOND_MAX (1ll << 40) /* limits.bytes_per_second */
#define SCH_IDLE_SECONDS_MAX 2678400         /* limits.idle_seconds: 31 days */

enum sch_gateway_kind { SCH_GATEWAY_NAME, SCH_GATEWAY_FQDN, SCH_GATEWAY_TCP };
enum sch_http { SCH_HTTP_FORWARD, SCH_HTTP_REDIRECT, SCH_HTTP_OFF };
enum sch_proxy { SCH_PROXY_NONE, SCH_PROXY_V1, SCH_PROXY_V2 };
enum sch_instances { SCH_INSTANCES_SHARED, SCH_INSTANCES_NEWEST };
enum sch_balance { SCH_BALANCE_LEAST, SCH_BALANCE_RANDOM };

struct sch_ranges {
    struct cidr at[SCH_RANGES_MAX];
    size_t count;
};

/* About 12 KB; a plain value that owns nothing. */
struct sch_gateway {
    enum sch_gateway_kind kind;
    char host[HOST_CAP]; /* NAME: the label; FQDN: the host name or "*.x"; canonical. TCP: "" */
    uint16_t port;       /* TCP: 0 = any free one of the node's range */
    bool tls_passthrough;
    enum sch_http http;
    enum sch_proxy proxy_protocol;
    enum sch_instances instances;
    enum sch_balance balance;
    struct sch_backend backends[SCH_BACKENDS_MAX];
    size_t backend_count;    /* 1..SCH_BACKENDS_MAX */
    struct sch_ranges allow; /* empty = all */
    struct sch_ranges deny;  /* empty = none */
    /* limits; 0 = the gateway's default */
    uint32_t connections;
    uint32_t new_per_second;
    uint64_t bytes_per_second;
    uint32_t idle_seconds;
};

/* Parse DATA of a workload of KIND. Returns 0 or ERR_INVALID with a path inside DATA. */
int sch_gateway_parse(struct sch_gateway *out, enum sch_gateway_kind kind, const json_t *data,
                      struct sch_report *report);
/* The kind by its workload type text. Returns 0 or ERR_INVALID. */
int sch_gateway_kind_parse(enum sch_gateway_kind *out, const char *type);

#endif
