/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a message of rmb-peer, any bytes; one that is read gets replies that are JSON. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "node-agent/rmb_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes TEXT over. */
static void check_reply(const struct agent_rmb_message *message, char *text)
{
    json_t *json = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

    assert(json != NULL);
    assert(strcmp(json_string_value(json_object_get(json, "ref")), message->ref) == 0);
    assert(strcmp(json_string_value(json_object_get(json, "dst")), message->source) == 0);
    json_decref(json);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_rmb_message message;
    struct sch_report report = {0};
    int rc = agent_rmb_message_read(&message, (const char *)data, size, &report);

    if (rc == ERR_OK) {
        assert(message.twin != 0 && message.reply_to[0] != '\0' && json_is_object(message.data));
        check_reply(&message, agent_rmb_reply(&message, message.data, 1));
        agent_rmb_message_deinit(&message);
    } else {
        assert(message.data == NULL && report.code != SCH_OK);
        assert((message.reply_to[0] == '\0') == (message.source[0] == '\0'));
        check_reply(&message, agent_rmb_reply_error(&message, &report, 1));
    }
    return 0;
}
