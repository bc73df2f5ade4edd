/* SPDX-License-Identifier: Apache-2.0 */
/* Result of a workload. */
#include "schemas/result.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"

static const char *const states[SCH_STATES] = {
    [SCH_STATE_INIT] = "init",     [SCH_STATE_OK] = "ok",           [SCH_STATE_ERROR] = "error",
    [SCH_STATE_PAUSED] = "paused", [SCH_STATE_DELETED] = "deleted",
};

const char *sch_state_text(enum sch_state state)
{
    return states[state];
}

int sch_state_parse(enum sch_state *out, const char *text)
{
    for (unsigned i = 0; i < SCH_STATES; i++) {
        if (strcmp(states[i], text) != 0)
            continue;
        *out = (enum sch_state)i;
        return ERR_OK;
    }
    return ERR_INVALID;
}

bool sch_state_is_final(enum sch_state state)
{
    return state != SCH_STATE_INIT && state != SCH_STATE_ERROR;
}

/* Messages may be cut in the middle of a UTF-8 sequence, which no JSON string takes. */
static json_t *message_json(const char *message)
{
    json_t *json = json_string(message);
    char plain[SCH_MESSAGE_CAP];

    if (json != NULL)
        return json;
    (void)snprintf(plain, sizeof(plain), "%s", message);
    for (char *at = plain; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    return json_string(plain);
}

json_t *sch_result_json(const struct sch_result *self)
{
    json_t *data = self->data != NULL ? json_incref(self->data) : json_object();
    json_t *out =
        json_pack("{s:I, s:s, s:o, s:o}", "created", (json_int_t)self->created, "state",
                  states[self->state], "message", message_json(self->message), "data", data);
    int bad = out == NULL;

    if (!bad && self->error != SCH_OK)
        bad |= json_object_set_new(out, "error", json_string(sch_code_text(self->error)));
    if (!bad && self->retry_at != 0)
        bad |= json_object_set_new(out, "retry_at", json_integer((json_int_t)self->retry_at));
    if (!bad)
        return out;
    json_decref(out);
    return NULL;
}

int sch_result_parse(struct sch_result *out, const json_t *json, struct sch_report *report)
{
    const char *state = json_string_value(json_object_get(json, "state"));
    const char *message = json_string_value(json_object_get(json, "message"));
    const char *error = json_string_value(json_object_get(json, "error"));
    json_t *data = json_object_get(json, "data");

    memset(out, 0, sizeof(*out));
    if (state == NULL || sch_state_parse(&out->state, state) != ERR_OK)
        return sch_fail(report, SCH_MALFORMED, "state", "is not a state");
    out->created = (uint64_t)json_integer_value(json_object_get(json, "created"));
    out->retry_at = (uint64_t)json_integer_value(json_object_get(json, "retry_at"));
    out->error = error != NULL ? sch_code_parse(error) : SCH_OK;
    (void)snprintf(out->message, sizeof(out->message), "%s", message != NULL ? message : "");
    out->data = json_incref(data);
    return ERR_OK;
}

void sch_result_deinit(struct sch_result *self)
{
    json_decref(self->data);
    self->data = NULL;
}
