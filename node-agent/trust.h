/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements of authorities (INTERFACE section 4): who is admitted, revoked, locked. Checks trust
 * and serial, changes the twin, and settles what follows from it, all in one transaction.
 */
#ifndef NODE_AGENT_TRUST_H
#define NODE_AGENT_TRUST_H

#include <jansson.h>

#include "node-agent/core.h"
#include "node-agent/deploy.h"
#include "schemas/statement.h"

/*
 * Apply the statement JSON of KIND (not SCH_DELETE). Returns 0 and what it concerns in EFFECT; also
 * when it is the newest one of its kind once more, which changes nothing. Or ERR_INVALID,
 * ERR_NOMEM, ERR_SYS with REPORT; nothing has changed then.
 */
int agent_trust_apply(struct agent_core *core, enum sch_statement_kind kind, json_t *json,
                      struct agent_effect *effect, struct sch_report *report);

#endif
