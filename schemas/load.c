/* SPDX-License-Identifier: Apache-2.0 */
/* The strict reader of canonical.h: what gets past it has exactly one canonical form. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/canonical.h"

/* Where the walk is, as the text of a path. */
struct walk {
    struct sch_report *report;
    unsigned depth_max;
    char path[SCH_PATH_CAP];
};

static struct sch_json_limits effective(const struct sch_json_limits *limits)
{
    struct sch_json_limits out = {SCH_DOCUMENT_MAX, SCH_DEPTH_MAX};

    if (limits != NULL && limits->bytes != 0)
        out.bytes = limits->bytes;
    if (limits != NULL && limits->depth != 0)
        out.depth = limits->depth;
    return out;
}

/* jansson recurses, so depth is counted on the bytes before it sees them. */
static bool is_too_deep(const char *text, size_t len, unsigned depth_max)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > depth_max)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static int fail_depth(struct sch_report *report, const char *path, unsigned depth_max)
{
    return sch_fail(report, SCH_MALFORMED, path,
                    "more than %u arrays and objects inside each other", depth_max);
}

static int fail_syntax(struct sch_report *report, const json_error_t *error)
{
    enum sch_code code = SCH_MALFORMED;

    if (json_error_code(error) == json_error_out_of_memory)
        return sch_fail_nomem(report);
    if (json_error_code(error) == json_error_duplicate_key)
        code = SCH_DUPLICATE_KEY;
    if (json_error_code(error) == json_error_numeric_overflow)
        code = SCH_OUT_OF_RANGE;
    return sch_fail(report, code, "", "line %d, column %d: %s", error->line, error->column,
                    error->text);
}

static int check_value(struct walk *walk, const json_t *json, unsigned depth);

/* Check VALUE one level down; the path is put back unless something was wrong. */
static int check_inner(struct walk *walk, const char *step, const json_t *value, unsigned depth)
{
    size_t len = strlen(walk->path);
    int rc;

    (void)snprintf(walk->path + len, sizeof(walk->path) - len, "%s%s",
                   len > 0 && step[0] != '[' ? "." : "", step); /* cut when too long */
    rc = check_value(walk, value, depth + 1);
    walk->path[len] = '\0';
    return rc;
}

static int check_object(struct walk *walk, const json_t *object, unsigned depth)
{
    const char *key;
    json_t *value;
    int rc;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        for (const char *at = key; *at != '\0'; at++) {
            if ((unsigned char)*at >= 0x80)
                return sch_fail(walk->report, SCH_MALFORMED, walk->path,
                                "has a key that is not ASCII: \"%s\"", key);
        }
        rc = check_inner(walk, key, value, depth);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static int check_array(struct walk *walk, const json_t *array, unsigned depth)
{
    char step[24];

    for (size_t i = 0; i < json_array_size(array); i++) {
        int rc;

        (void)snprintf(step, sizeof(step), "[%zu]", i);
        rc = check_inner(walk, step, json_array_get(array, i), depth);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

/* DEPTH counts the arrays and objects around JSON. */
static int check_value(struct walk *walk, const json_t *json, unsigned depth)
{
    json_int_t v = json_integer_value(json); /* 0 when it is no integer */

    if (json_is_real(json))
        return sch_fail(walk->report, SCH_MALFORMED, walk->path,
                        "must be an integer, written without '.' and exponent");
    if (v > SCH_INT_MAX || v < -SCH_INT_MAX)
        return sch_fail(walk->report, SCH_OUT_OF_RANGE, walk->path,
                        "is larger than 2^53-1: not every reader would see the same number");
    if (json_is_string(json) && strlen(json_string_value(json)) != json_string_length(json))
        return sch_fail(walk->report, SCH_MALFORMED, walk->path, "holds U+0000");
    if (!json_is_object(json) && !json_is_array(json))
        return ERR_OK;
    if (depth >= walk->depth_max)
        return fail_depth(walk->report, walk->path, walk->depth_max);
    return json_is_object(json) ? check_object(walk, json, depth) : check_array(walk, json, depth);
}

int sch_json_load(json_t **out, const char *text, size_t len, const struct sch_json_limits *limits,
                  struct sch_report *report)
{
    struct sch_json_limits max = effective(limits);
    struct walk walk = {.report = report, .depth_max = max.depth};
    json_error_t error;
    json_t *json;
    int rc;

    if (len > max.bytes)
        return sch_fail(report, SCH_TOO_LARGE, "", "is %zu bytes long, at most %zu are taken", len,
                        max.bytes);
    if (is_too_deep(text, len, max.depth))
        return fail_depth(report, "", max.depth);
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        return fail_syntax(report, &error);
    rc = json_is_object(json) ? check_value(&walk, json, 0)
                              : sch_fail(report, SCH_BAD_TYPE, "", "must be an object");
    if (rc != ERR_OK) {
        json_decref(json);
        return rc;
    }
    *out = json;
    return ERR_OK;
}

int sch_json_check(const json_t *json, const struct sch_json_limits *limits,
                   struct sch_report *report)
{
    struct sch_json_limits max = effective(limits);
    struct walk walk = {.report = report, .depth_max = max.depth};
    size_t len;
    char *text;
    int rc = check_value(&walk, json, 0);

    if (rc != ERR_OK)
        return rc;
    text = sch_canonical(json, &len);
    free(text);
    if (text == NULL)
        return sch_fail_nomem(report);
    if (len > max.bytes)
        return sch_fail(report, SCH_TOO_LARGE, "", "is %zu bytes long, at most %zu are taken", len,
                        max.bytes);
    return ERR_OK;
}
