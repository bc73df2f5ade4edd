/* SPDX-License-Identifier: Apache-2.0 */
/* Result of a workload: its state as everybody sees it (INTERFACE section 5). */
#ifndef SCHEMAS_RESULT_H
#define SCHEMAS_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "schemas/report.h"

#define SCH_MESSAGE_CAP 512

enum sch_state {
    SCH_STATE_INIT,    /* accepted, not yet in place; retried when retry_at is set */
    SCH_STATE_OK,      /* in place */
    SCH_STATE_ERROR,   /* can't be put in place; retried when retry_at is set */
    SCH_STATE_PAUSED,  /* locked, or the grant is over: keeps its name, serves nobody */
    SCH_STATE_DELETED, /* gone for good */
    SCH_STATES
};

struct sch_result {
    uint64_t created; /* unix seconds */
    enum sch_state state;
    char message[SCH_MESSAGE_CAP];
    json_t *data;        /* owned; NULL = {} */
    enum sch_code error; /* SCH_OK = none */
    uint64_t retry_at;   /* unix seconds; 0 = none */
};

const char *sch_state_text(enum sch_state state);
/* Returns 0 or ERR_INVALID. */
int sch_state_parse(enum sch_state *out, const char *text);
/* ok, paused and deleted: waiting for more is pointless. init and error are not. */
bool sch_state_is_final(enum sch_state state);

/* {"created","state","message","data","error"?,"retry_at"?}: a new reference, NULL without memory.
 */
json_t *sch_result_json(const struct sch_result *self);
/* The inverse; unknown fields are fine (a newer module may say more). Returns 0, or ERR_INVALID and
 * OUT holds nothing. */
int sch_result_parse(struct sch_result *out, const json_t *json, struct sch_report *report);
void sch_result_deinit(struct sch_result *self);

#endif
