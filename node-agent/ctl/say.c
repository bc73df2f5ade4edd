/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for people, and errors for machines. */
#include "node-agent/ctl/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node-agent/ctl/document.h"

#define LINE_MAX_LEN 2048

/* The last message, which ctl_print_said repeats: a process of this command says few. */
static char line[LINE_MAX_LEN];

void ctl_say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap); /* cut when too long */
    va_end(ap);
    for (char *at = line; *at != '\0'; at++) {
        if (((unsigned char)*at < 0x20 && *at != '\n') || *at == 0x7f)
            *at = '?';
    }
    fprintf(stderr, "netwall: %s\n", line);
}

/* The next step by error code. */
static const struct {
    enum sch_code code;
    const char *hint;
} hints[] = {
    {SCH_UNKNOWN_TWIN, "the farmer admits a twin with `netwall grant` and `netwall admit`"},
    {SCH_BAD_SIGNATURE,
     "sign it again with the right key; `netwall verify FILE --public-key HEX` checks"},
    {SCH_EXPIRED, "set a later `expiration` (or 0), raise `version` and sign again"},
    {SCH_WRONG_NODE, "put the node's name, or key:<its public key>, into `nodes`; `netwall node` "
                     "shows both"},
    {SCH_VERSION_CONFLICT, "raise `version` above the stored one (`netwall get`) and sign again"},
    {SCH_VERSION_GAP, "under the style of Zero-OS `version` must be exactly one higher"},
    {SCH_CONTRACT_DELETED, "a cancelled contract never comes back: use a new `contract_id`"},
    {SCH_NAME_CONFLICT, "another workload has this name on the node: choose another one"},
    {SCH_RESERVED_NAME, "the name is kept for another twin, or for the node: choose another one"},
    {SCH_QUOTA_EXCEEDED, "ask the farmer for a grant with higher limits, or remove workloads"},
    {SCH_DOMAIN_NOT_HERE, "set the TXT record _netwall.<name> to key=<your public key>"},
    {SCH_KEY_CONFLICT, "make a connector key of your own: `netwall keygen --type x25519`"},
    {SCH_PORT_UNAVAILABLE, "use port 0 to get any free one; `netwall node` shows the range"},
    {SCH_MODULE_UNAVAILABLE, "`netwall modules` shows the state of the node's modules"},
    {SCH_UNKNOWN, "`netwall list` shows what is there"},
};

const char *ctl_hint(const char *code)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (strcmp(sch_code_text(hints[i].code), code) == 0)
            return hints[i].hint;
    }
    return NULL;
}

/* Text member KEY of OBJECT, "" when it is none. */
static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

void ctl_say_error(const char *where, const json_t *error)
{
    const char *path = text_of(error, "path"), *hint = ctl_hint(text_of(error, "code"));

    ctl_say("%s: %s: %s%s%s", where, text_of(error, "code"), path, path[0] != '\0' ? " " : "",
            text_of(error, "message"));
    if (hint != NULL)
        ctl_say("%s", hint);
}

json_t *ctl_error(const char *code, const char *message, const char *path)
{
    return json_pack("{s:s, s:s, s:s}", "code", code, "message", message, "path", path);
}

enum ctl_exit ctl_refuse(const struct ctl *ctl, const char *file, const struct sch_report *report)
{
    json_t *error = sch_report_json(report);

    ctl_say_error(file, error);
    if (ctl->json)
        (void)ctl_print(error);
    json_decref(error);
    return report->code == SCH_STORAGE_ERROR ? CTL_FAILED : CTL_REFUSED;
}

void ctl_print_said(void)
{
    json_t *error = ctl_error(sch_code_text(SCH_MALFORMED), line, "");

    (void)ctl_print(error);
    json_decref(error);
}
