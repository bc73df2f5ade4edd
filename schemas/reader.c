/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of one JSON object with known fields. */
#include "schemas/reader.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"

struct sch_reader sch_reader_open(const json_t *json, struct sch_report *report)
{
    struct sch_reader self = {.object = json, .report = report};

    if (!json_is_object(json))
        self.rc = sch_fail(report, SCH_BAD_TYPE, "", "must be an object");
    return self;
}

void sch_reader_fail(struct sch_reader *self, enum sch_code code, const char *key, const char *why)
{
    if (self->rc == ERR_OK)
        self->rc = sch_fail(self->report, code, key, "%s", why);
}

const json_t *sch_read_any(struct sch_reader *self, const char *key, bool required)
{
    const json_t *value = json_object_get(self->object, key);

    assert(self->seen_count < SCH_READER_FIELDS);
    self->seen[self->seen_count++] = key;
    if (value == NULL && required && self->rc == ERR_OK) {
        sch_reader_fail(self, SCH_MALFORMED, key, "is missing");
        self->missing = true;
    }
    return value;
}

/* The value when it is there and IS_RIGHT (of WANT); else NULL, and an error when it is wrong. */
static const json_t *typed(struct sch_reader *self, const char *key, bool required, json_type want)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "must be an object",   [JSON_ARRAY] = "must be an array",
        [JSON_STRING] = "must be a string",    [JSON_INTEGER] = "must be an integer",
        [JSON_TRUE] = "must be true or false",
    };
    const json_t *value = sch_read_any(self, key, required);

    if (value == NULL || json_typeof(value) == want)
        return value;
    if (want == JSON_TRUE && json_is_false(value))
        return value;
    sch_reader_fail(self, SCH_BAD_TYPE, key, names[want]);
    return NULL;
}

const char *sch_read_text(struct sch_reader *self, const char *key, bool required, size_t max)
{
    const json_t *value = typed(self, key, required, JSON_STRING);

    if (value == NULL)
        return "";
    if (max != 0 && json_string_length(value) > max) {
        if (self->rc == ERR_OK)
            self->rc =
                sch_fail(self->report, SCH_OUT_OF_RANGE, key, "is longer than %zu bytes", max);
        return "";
    }
    return json_string_value(value);
}

int64_t sch_read_int(struct sch_reader *self, const struct sch_int *field)
{
    const json_t *value = typed(self, field->key, field->required, JSON_INTEGER);
    int64_t v;

    if (value == NULL)
        return field->fallback;
    v = json_integer_value(value);
    if (v >= field->min && v <= field->max)
        return v;
    if (self->rc == ERR_OK)
        self->rc = sch_fail(self->report, SCH_OUT_OF_RANGE, field->key,
                            "must be %" PRId64 " to %" PRId64, field->min, field->max);
    return field->fallback;
}

bool sch_read_bool(struct sch_reader *self, const char *key, bool required, bool fallback)
{
    const json_t *value = typed(self, key, required, JSON_TRUE);

    return value == NULL ? fallback : json_is_true(value);
}

int sch_read_enum(struct sch_reader *self, const char *key, const char *const *names, int fallback)
{
    const json_t *value = typed(self, key, false, JSON_STRING);
    char why[128] = "must be one of";

    if (value == NULL)
        return fallback;
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], json_string_value(value)) == 0)
            return i;
        (void)strncat(why, i == 0 ? " \"" : ", \"", sizeof(why) - strlen(why) - 1);
        (void)strncat(why, names[i], sizeof(why) - strlen(why) - 1);
        (void)strncat(why, "\"", sizeof(why) - strlen(why) - 1);
    }
    sch_reader_fail(self, SCH_OUT_OF_RANGE, key, why);
    return fallback;
}

const json_t *sch_read_array(struct sch_reader *self, const char *key, bool required, size_t max)
{
    const json_t *value = typed(self, key, required, JSON_ARRAY);

    if (value == NULL || json_array_size(value) <= max)
        return value;
    if (self->rc == ERR_OK)
        self->rc = sch_fail(self->report, SCH_OUT_OF_RANGE, key,
                            "has %zu entries, at most %zu are taken", json_array_size(value), max);
    return NULL;
}

const json_t *sch_read_object(struct sch_reader *self, const char *key, bool required)
{
    return typed(self, key, required, JSON_OBJECT);
}

void sch_read_hex(struct sch_reader *self, const char *key, uint8_t *out, size_t n)
{
    const json_t *value = typed(self, key, true, JSON_STRING);

    memset(out, 0, n);
    if (value == NULL ||
        hex_decode(out, n, json_string_value(value), json_string_length(value)) == ERR_OK)
        return;
    if (self->rc == ERR_OK)
        self->rc = sch_fail(self->report, SCH_OUT_OF_RANGE, key,
                            "must be exactly %zu lower-case hex digits", 2 * n);
}

static bool is_known(const struct sch_reader *self, const char *key)
{
    for (size_t i = 0; i < self->seen_count; i++) {
        if (strcmp(self->seen[i], key) == 0)
            return true;
    }
    return false;
}

int sch_reader_close(struct sch_reader *self)
{
    const char *key;
    json_t *value;

    /* A misspelled field is both unknown and missing; the spelling is what helps. */
    if (self->rc != ERR_OK && !self->missing)
        return self->rc;
    json_object_foreach((json_t *)(uintptr_t)self->object, key, value)
    {
        if (is_known(self, key))
            continue;
        self->missing = false;
        self->rc = sch_fail(self->report, SCH_MALFORMED, key, "is not a field that exists here");
        break;
    }
    return self->rc;
}
