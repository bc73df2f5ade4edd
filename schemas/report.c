/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes and reports. */
#include "schemas/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"

static const struct {
    const char *text;
    int number;
} codes[SCH_CODES] = {
    [SCH_OK] = {"ok", 0},
    [SCH_MALFORMED] = {"malformed", 400},
    [SCH_TOO_LARGE] = {"too_large", 413},
    [SCH_DUPLICATE_KEY] = {"duplicate_key", 400},
    [SCH_BAD_TYPE] = {"bad_type", 400},
    [SCH_OUT_OF_RANGE] = {"out_of_range", 400},
    [SCH_UNSUPPORTED_TYPE] = {"unsupported_type", 400},
    [SCH_UNKNOWN_TWIN] = {"unknown_twin", 401},
    [SCH_BAD_SIGNATURE] = {"bad_signature", 401},
    [SCH_EXPIRED] = {"expired", 403},
    [SCH_WRONG_NODE] = {"wrong_node", 403},
    [SCH_VERSION_CONFLICT] = {"version_conflict", 409},
    [SCH_VERSION_GAP] = {"version_gap", 409},
    [SCH_CONTRACT_DELETED] = {"contract_deleted", 409},
    [SCH_NAME_CONFLICT] = {"name_conflict", 409},
    [SCH_RESERVED_NAME] = {"reserved_name", 403},
    [SCH_BAD_NAME] = {"bad_name", 400},
    [SCH_DOMAIN_NOT_HERE] = {"domain_not_here", 403},
    [SCH_QUOTA_EXCEEDED] = {"quota_exceeded", 429},
    [SCH_BAD_BACKEND] = {"bad_backend", 400},
    [SCH_KEY_CONFLICT] = {"key_conflict", 409},
    [SCH_PORT_UNAVAILABLE] = {"port_unavailable", 409},
    [SCH_MODULE_UNAVAILABLE] = {"module_unavailable", 503},
    [SCH_STORAGE_ERROR] = {"storage_error", 503},
    [SCH_UNKNOWN] = {"unknown", 404},
    [SCH_NOT_ALLOWED] = {"not_allowed", 403},
};

const char *sch_code_text(enum sch_code code)
{
    return (unsigned)code < SCH_CODES ? codes[code].text : "unknown";
}

enum sch_code sch_code_parse(const char *text)
{
    for (unsigned i = 0; i < SCH_CODES; i++) {
        if (strcmp(codes[i].text, text) == 0)
            return (enum sch_code)i;
    }
    return SCH_OK;
}

int sch_code_number(enum sch_code code)
{
    return (unsigned)code < SCH_CODES ? codes[code].number : 0;
}

/* Texts may end in the middle of a UTF-8 sequence after a cut, and may hold what strangers wrote.
 */
static void make_plain(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            *at = '?';
    }
}

int sch_fail(struct sch_report *report, enum sch_code code, const char *path, const char *why, ...)
{
    va_list ap;

    if (report == NULL)
        return ERR_INVALID;
    report->code = code;
    (void)snprintf(report->path, sizeof(report->path), "%s", path); /* cut when too long */
    va_start(ap, why);
    (void)vsnprintf(report->why, sizeof(report->why), why, ap);
    va_end(ap);
    make_plain(report->path);
    make_plain(report->why);
    return ERR_INVALID;
}

int sch_report_under(struct sch_report *report, const char *prefix, ...)
{
    char inner[SCH_PATH_CAP];
    va_list ap;
    int n;

    if (report == NULL)
        return ERR_INVALID;
    memcpy(inner, report->path, sizeof(inner));
    va_start(ap, prefix);
    n = vsnprintf(report->path, sizeof(report->path), prefix, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(report->path))
        return ERR_INVALID;
    (void)snprintf(report->path + n, sizeof(report->path) - (size_t)n, "%s%s",
                   inner[0] == '\0' || inner[0] == '[' ? "" : ".", inner);
    return ERR_INVALID;
}

int sch_fail_nomem(struct sch_report *report)
{
    (void)sch_fail(report, SCH_STORAGE_ERROR, "", "out of memory");
    return ERR_NOMEM;
}

json_t *sch_report_json(const struct sch_report *report)
{
    return json_pack("{s:s, s:s, s:s}", "code", sch_code_text(report->code), "message", report->why,
                     "path", report->path);
}
