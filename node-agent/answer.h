/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a command as text (INTERFACE section 5). */
#ifndef NODE_AGENT_ANSWER_H
#define NODE_AGENT_ANSWER_H

#include <jansson.h>
#include <stdint.h>

#include "schemas/report.h"

#define AGENT_STATE_SUCCESS "SUCCESS"
#define AGENT_STATE_ERROR "ERROR"
#define AGENT_STATE_UNKNOWN "UNKNOWN_CMD"
#define AGENT_STATE_DUPLICATE "DUPILICATE_ID" /* sic: as 0-core spells it */

/* The command an answer is for. */
struct agent_question {
    const char *id;      /* borrowed */
    const char *command; /* borrowed; "" = not known */
    uint64_t start_ms;   /* unix */
    uint64_t took_ms;
};

/* Success with DATA (its reference is taken; NULL = {}). Malloc'd; NULL without memory. */
char *agent_answer_success(const struct agent_question *question, json_t *data);
/* STATE (not SUCCESS) with the error as data, and its code. Malloc'd; NULL without memory. */
char *agent_answer_error(const struct agent_question *question, const char *state,
                         const struct sch_report *report);

#endif
