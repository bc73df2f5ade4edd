/* SPDX-License-Identifier: Apache-2.0 */
/* What only one workload can have on a node. */
#include "schemas/claim.h"

#include <stdio.h>
#include <string.h>

const char *sch_claim_kind_text(enum sch_claim_kind kind)
{
    static const char *const texts[SCH_CLAIM_KINDS] = {
        [SCH_CLAIM_NAME] = "name",
        [SCH_CLAIM_HOST] = "host",
        [SCH_CLAIM_TCP_PORT] = "tcp_port",
    };

    return texts[kind];
}

enum sch_code sch_claim_taken(enum sch_claim_kind kind)
{
    return kind == SCH_CLAIM_TCP_PORT ? SCH_PORT_UNAVAILABLE : SCH_NAME_CONFLICT;
}

bool sch_claim_conflict(const struct sch_claim *a, const struct sch_claim *b, bool same_twin)
{
    if (a->kind != b->kind)
        return false;
    if (strcmp(a->key, b->key) == 0)
        return true;
    return !same_twin && (a->wild || b->wild) && a->group[0] != '\0' &&
           strcmp(a->group, b->group) == 0;
}

struct sch_claim sch_claim_host(const char *host)
{
    struct sch_claim out = {.kind = SCH_CLAIM_HOST, .wild = host[0] == '*'};

    (void)snprintf(out.key, sizeof(out.key), "%s", host);
    (void)snprintf(out.group, sizeof(out.group), "*.%s", host_parent(host));
    return out;
}
