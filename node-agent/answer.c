/* SPDX-License-Identifier: Apache-2.0 */
/* Results as text; nothing is sent here. */
#include "node-agent/answer.h"

#include <stdlib.h>

#define LEVEL_JSON 20 /* 0-core: the data is JSON */

/* What differs between answers; TEXT and CRITICAL are borrowed. */
struct body {
    const char *state;
    int code;
    const char *text;
    const char *critical;
};

static char *render(const struct agent_question *question, const struct body *body)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:I, s:I}", "id", question->id, "command",
                  question->command, "state", body->state, "code", body->code, "level", LEVEL_JSON,
                  "data", body->text, "critical", body->critical, "starttime",
                  (json_int_t)question->start_ms, "time", (json_int_t)question->took_ms);
    char *out = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return out;
}

char *agent_answer_success(const struct agent_question *question, json_t *data)
{
    char *text = data == NULL ? NULL : json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
    struct body body = {
        .state = AGENT_STATE_SUCCESS, .text = text != NULL ? text : "{}", .critical = ""};
    char *out = render(question, &body);

    free(text);
    json_decref(data);
    return out;
}

char *agent_answer_error(const struct agent_question *question, const char *state,
                         const struct sch_report *report)
{
    json_t *error = sch_report_json(report);
    char *text = error == NULL ? NULL : json_dumps(error, JSON_COMPACT);
    struct body body = {.state = state,
                        .code = sch_code_number(report->code),
                        .text = text != NULL ? text : "{}",
                        .critical = report->why};
    char *out = render(question, &body);

    free(text);
    json_decref(error);
    return out;
}
