/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of one JSON object with known fields. The first thing wrong sticks (report and rc), later
 * reads yield the fallback, and closing refuses fields that nobody asked for: a typo never passes.
 */
#ifndef SCHEMAS_READER_H
#define SCHEMAS_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/report.h"

#define SCH_READER_FIELDS 24 /* known fields of one object */

struct sch_reader {
    const json_t *object; /* borrowed */
    struct sch_report *report;
    int rc;       /* sticky: 0 or ERR_INVALID */
    bool missing; /* what is wrong is only that a field is missing */
    const char *seen[SCH_READER_FIELDS];
    size_t seen_count;
};

/* An integer field. */
struct sch_int {
    const char *key;
    int64_t min;
    int64_t max;
    int64_t fallback; /* when absent and not required */
    bool required;
};

/* REPORT is not NULL. A JSON that is no object is an error at once (bad_type). */
struct sch_reader sch_reader_open(const json_t *json, struct sch_report *report);
/* Note an error about KEY ("" = the object). */
void sch_reader_fail(struct sch_reader *self, enum sch_code code, const char *key, const char *why);

/* All of these return borrowed values that live as long as the object. */
const json_t *sch_read_any(struct sch_reader *self, const char *key, bool required);
/* "" when absent; at most MAX bytes (0 = any). */
const char *sch_read_text(struct sch_reader *self, const char *key, bool required, size_t max);
int64_t sch_read_int(struct sch_reader *self, const struct sch_int *field);
bool sch_read_bool(struct sch_reader *self, const char *key, bool required, bool fallback);
/* Index of the text in NAMES (NULL-terminated), or FALLBACK when absent. */
int sch_read_enum(struct sch_reader *self, const char *key, const char *const *names, int fallback);
/* NULL when absent. */
const json_t *sch_read_array(struct sch_reader *self, const char *key, bool required, size_t max);
const json_t *sch_read_object(struct sch_reader *self, const char *key, bool required);
/* Exactly N bytes as lower-case hex; zeros when absent or wrong. */
void sch_read_hex(struct sch_reader *self, const char *key, uint8_t *out, size_t n);
/* Refuse unknown fields; returns rc. */
int sch_reader_close(struct sch_reader *self);

#endif
