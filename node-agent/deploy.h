/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contracts coming in: deploy and update (one verb underneath) and delete. The order of checks is:
 * form, node, twin, signature, time, version, names and limits; then one transaction takes it whole
 * or not at all.
 */
#ifndef NODE_AGENT_DEPLOY_H
#define NODE_AGENT_DEPLOY_H

#include <jansson.h>
#include <stdint.h>

#include "node-agent/core.h"

/* What an operation concerned, for whoever waits for its effect. */
struct agent_effect {
    uint32_t twin;
    uint64_t contract;           /* 0 = the whole twin */
    char module[AGENT_NAME_MAX]; /* "" = it concerned no module */
    unsigned count;              /* of what was let go (netwall.module.forget) */
};

/*
 * Take the signed contract JSON. Returns 0: it is stored, or was already (same version, same
 * bytes), or it was removed because its newer version no longer names this node. Otherwise
 * ERR_INVALID, ERR_NOMEM or ERR_SYS with REPORT, and nothing has changed.
 */
int agent_deploy_take(struct agent_core *core, json_t *json, struct agent_effect *effect,
                      struct sch_report *report);
/* Take the signed delete statement JSON; deleting twice is fine. Returns as above. */
int agent_deploy_delete(struct agent_core *core, json_t *json, struct agent_effect *effect,
                        struct sch_report *report);

#endif
