/* SPDX-License-Identifier: Apache-2.0 */
/* One row changes; settle does the rest. */
#include "node-agent/decommission.h"

#include <stdio.h>

#include "bus/base/err.h"
#include "node-agent/claim.h"
#include "node-agent/settle.h"
#include "node-agent/workload.h"

static void end(struct agent_core *core, struct agent_workload *w, const char *reason)
{
    struct sch_result result = {.state = SCH_STATE_DELETED};

    (void)snprintf(result.message, sizeof(result.message),
                   "workload decommissioned by system, reason: %.400s", reason);
    w->present = false;
    w->online = 0;
    agent_workload_move(core, w, &result);
    agent_claim_release_workload(core, w->id);
    agent_settle_contract(core, w->twin, w->contract);
}

static int decommission(struct agent_core *core, const char *id, const char *reason,
                        struct sch_report *report)
{
    struct agent_workload w;

    if (!agent_workload_get(core->db, id, &w))
        return sch_fail(report, SCH_UNKNOWN, "", "workload does not exist");
    if (w.result.state != SCH_STATE_DELETED)
        end(core, &w, reason);
    agent_workload_deinit(&w);
    return ERR_OK;
}

int agent_decommission(struct agent_core *core, const char *id, const char *reason,
                       struct sch_report *report)
{
    agent_core_begin(core);
    return agent_core_end(core, decommission(core, id, reason, report), report);
}
