/* SPDX-License-Identifier: Apache-2.0 */
/* JSON around base64 in both directions. */
#include "node-agent/rmb_message.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/canonical.h"
#include "schemas/name.h"

#define VERSION 1
#define SCHEMA "application/json"
#define ENVELOPE_DEPTH 4 /* it is flat; what strangers add may be a little deeper */
#define BASE64 sodium_base64_VARIANT_ORIGINAL
/* A contract with blanks between, its base64, and the fields around it. */
#define MESSAGE_MAX (SCH_COMMAND_MAX * 2)

/* --- reading --- */

/* A text that fits, without a NUL inside; absent or null is "". False when it is none. */
static bool take_text(char *out, size_t cap, const json_t *message, const char *key)
{
    const json_t *value = json_object_get(message, key);
    size_t len = json_string_length(value);

    out[0] = '\0';
    if (value == NULL || json_is_null(value))
        return true;
    if (!json_is_string(value) || len >= cap || strlen(json_string_value(value)) != len)
        return false;
    memcpy(out, json_string_value(value), len + 1);
    return true;
}

/* "twin" or "twin:connection"; the twin as rmb-peer prints it, 0 = not one. */
static uint32_t twin_of(const char *source)
{
    uint64_t twin = 0;

    if (source[0] == '0')
        return 0;
    for (; *source >= '0' && *source <= '9' && twin <= SCH_TWIN_MAX; source++)
        twin = twin * 10 + (uint64_t)(*source - '0');
    return (*source == '\0' || *source == ':') && twin <= SCH_TWIN_MAX ? (uint32_t)twin : 0;
}

static int take_number(uint64_t *out, const json_t *message, const char *key,
                       struct sch_report *report)
{
    const json_t *value = json_object_get(message, key);

    *out = 0;
    if (value == NULL)
        return ERR_OK;
    if (!json_is_integer(value))
        return sch_fail(report, SCH_BAD_TYPE, key, "must be an integer");
    if (json_integer_value(value) < 0)
        return sch_fail(report, SCH_OUT_OF_RANGE, key, "must not be negative");
    *out = (uint64_t)json_integer_value(value);
    return ERR_OK;
}

static int take_time(struct agent_rmb_message *out, const json_t *message,
                     struct sch_report *report)
{
    uint64_t now, exp;
    int rc = take_number(&now, message, "now", report);

    if (rc == ERR_OK)
        rc = take_number(&exp, message, "exp", report);
    if (rc == ERR_OK && exp != 0)
        out->deadline_s = now + exp; /* both below 2^53 */
    return rc;
}

/* The address and the rest; without an address nobody can be told what is wrong. */
static int take_address(struct agent_rmb_message *out, const json_t *message,
                        struct sch_report *report)
{
    const char *wrong = NULL;

    if (!take_text(out->reply_to, sizeof(out->reply_to), message, "ret") ||
        out->reply_to[0] == '\0')
        wrong = "ret";
    else if (!take_text(out->source, sizeof(out->source), message, "src") ||
             (out->twin = twin_of(out->source)) == 0)
        wrong = "src";
    else if (!take_text(out->ref, sizeof(out->ref), message, "ref"))
        wrong = "ref";
    if (wrong == NULL)
        return ERR_OK;
    out->reply_to[0] = out->source[0] = '\0';
    return sch_fail(report, SCH_MALFORMED, wrong, "is missing or not one");
}

static int take_head(struct agent_rmb_message *out, const json_t *message,
                     struct sch_report *report)
{
    uint64_t version;
    int rc = take_address(out, message, report);

    if (rc == ERR_OK)
        rc = take_number(&version, message, "ver", report);
    if (rc == ERR_OK && version != VERSION)
        rc = sch_fail(report, SCH_OUT_OF_RANGE, "ver", "must be %d", VERSION);
    if (rc == ERR_OK && !take_text(out->command, sizeof(out->command), message, "cmd"))
        rc = sch_fail(report, SCH_MALFORMED, "cmd", "is not one");
    return rc == ERR_OK ? take_time(out, message, report) : rc;
}

/* DATA (LEN bytes of JSON, as the caller wrote it): an object, or nothing. */
static int load_data(struct agent_rmb_message *out, const char *data, size_t len,
                     struct sch_report *report)
{
    if (len == 0 || (len == 4 && memcmp(data, "null", 4) == 0)) {
        out->data = json_object();
        return out->data != NULL ? ERR_OK : sch_fail_nomem(report);
    }
    return sch_json_load(&out->data, data, len, NULL, report);
}

static int take_data(struct agent_rmb_message *out, const json_t *message,
                     struct sch_report *report)
{
    const json_t *value = json_object_get(message, "dat");
    size_t text_len = json_string_length(value), len = 0;
    char *data;
    int rc;

    if (value != NULL && !json_is_null(value) && !json_is_string(value))
        return sch_fail(report, SCH_BAD_TYPE, "dat", "must be a string");
    data = malloc(text_len + 1); /* more than enough */
    if (data == NULL)
        return sch_fail_nomem(report);
    if (text_len > 0 && sodium_base642bin((unsigned char *)data, text_len, json_string_value(value),
                                          text_len, NULL, &len, NULL, BASE64) != 0)
        rc = sch_fail(report, SCH_MALFORMED, "dat", "is not base64");
    else
        rc = load_data(out, data, len, report);
    free(data);
    return rc;
}

int agent_rmb_message_read(struct agent_rmb_message *out, const char *text, size_t len,
                           struct sch_report *report)
{
    static const struct sch_json_limits limits = {.bytes = MESSAGE_MAX, .depth = ENVELOPE_DEPTH};
    json_t *message = NULL;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = sch_json_load(&message, text, len, &limits, report);
    if (rc != ERR_OK)
        return rc;
    rc = take_head(out, message, report);
    if (rc == ERR_OK)
        rc = take_data(out, message, report);
    json_decref(message);
    return rc;
}

void agent_rmb_message_deinit(struct agent_rmb_message *self)
{
    json_decref(self->data);
    self->data = NULL;
}

/* --- replies --- */

/* ERROR is taken. */
static char *print(const struct agent_rmb_message *self, const char *data, json_t *error,
                   uint64_t now_s)
{
    json_t *json =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:o}", "ver", VERSION, "ref", self->ref, "dat",
                  data, "dst", self->source, "shm", SCHEMA, "now", (json_int_t)now_s, "err", error);
    char *out = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return out;
}

char *agent_rmb_reply(const struct agent_rmb_message *self, const json_t *data, uint64_t now_s)
{
    char *text = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY), *base64 = NULL, *out = NULL;
    size_t len = text != NULL ? strlen(text) : 0;
    size_t cap = sodium_base64_encoded_len(len, BASE64);

    if (text != NULL)
        base64 = malloc(cap);
    if (base64 != NULL) {
        (void)sodium_bin2base64(base64, cap, (const unsigned char *)text, len, BASE64);
        out = print(self, base64, json_null(), now_s);
    }
    free(base64);
    free(text);
    return out;
}

char *agent_rmb_reply_error(const struct agent_rmb_message *self, const struct sch_report *report,
                            uint64_t now_s)
{
    char message[SCH_PATH_CAP + SCH_WHY_CAP + 64];

    (void)snprintf(message, sizeof(message), "%s: %s%s%s", sch_code_text(report->code),
                   report->path, report->path[0] != '\0' ? " " : "", report->why);
    return print(self, "",
                 json_pack("{s:i, s:s}", "code", sch_code_number(report->code), "message", message),
                 now_s);
}
