/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and values for people: columns as wide as they need, nothing that moves the cursor. */
#ifndef NODE_AGENT_CTL_TABLE_H
#define NODE_AGENT_CTL_TABLE_H

#include <jansson.h>
#include <stdint.h>

#define CTL_COLUMNS_MAX 16

struct ctl_table; /* opaque: table.c */

/* Column titles, ended by NULL. NULL without memory, which the rest takes quietly. */
struct ctl_table *ctl_table_new(const char *const *titles);
/* Add one cell; after the last column a new row begins. NULL is an empty cell. */
void ctl_table_add(struct ctl_table *self, const char *text);
void ctl_table_number(struct ctl_table *self, int64_t number);
/* 1536 -> "1.5 KiB". */
void ctl_table_bytes(struct ctl_table *self, int64_t bytes);
/* Unix time in seconds as local time; "-" for 0. */
void ctl_table_time(struct ctl_table *self, int64_t seconds);
/* Print it and free it; EMPTY is printed instead when there are no rows. */
void ctl_table_end(struct ctl_table *self, const char *empty);

/* Members of JSON by name; "" and 0 when they are not there or of another type. */
const char *ctl_text(const json_t *json, const char *key);
int64_t ctl_int(const json_t *json, const char *key);
/* TEXT on stdout without control characters. */
void ctl_put(const char *text);

#endif
