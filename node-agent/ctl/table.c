/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and values for people. */
#include "node-agent/ctl/table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ctl_table {
    size_t columns;
    size_t widths[CTL_COLUMNS_MAX];
    char **cells; /* row by row; the titles are the first row */
    size_t count;
    size_t cap;
};

/* Characters, not bytes: continuation bytes of UTF-8 take no place of their own. */
static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Names come from strangers: no escape sequences reach the terminal. */
static char *plain_copy(const char *text)
{
    char *copy = strdup(text);

    for (char *at = copy; at != NULL && *at != '\0'; at++) {
        /* 0xc2 0x80..0x9f are the C1 controls */
        if ((unsigned char)*at < 0x20 || *at == 0x7f ||
            ((unsigned char)*at == 0xc2 && (unsigned char)at[1] < 0xa0)) {
            if ((unsigned char)*at == 0xc2 && at[1] != '\0')
                *at++ = '?';
            *at = '?';
        }
    }
    return copy;
}

struct ctl_table *ctl_table_new(const char *const *titles)
{
    struct ctl_table *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    while (titles[self->columns] != NULL && self->columns < CTL_COLUMNS_MAX)
        self->columns++;
    for (size_t i = 0; i < self->columns; i++)
        ctl_table_add(self, titles[i]);
    return self;
}

static bool grow(struct ctl_table *self)
{
    size_t cap = self->cap == 0 ? 64 : 2 * self->cap;
    char **cells;

    if (self->count < self->cap)
        return true;
    cells = realloc(self->cells, cap * sizeof(*cells));
    if (cells == NULL)
        return false;
    self->cells = cells;
    self->cap = cap;
    return true;
}

void ctl_table_add(struct ctl_table *self, const char *text)
{
    char *copy;
    size_t width, column;

    if (self == NULL || !grow(self))
        return;
    copy = plain_copy(text != NULL ? text : "");
    if (copy == NULL)
        return;
    column = self->count % self->columns;
    width = width_of(copy);
    if (width > self->widths[column])
        self->widths[column] = width;
    self->cells[self->count++] = copy;
}

void ctl_table_number(struct ctl_table *self, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    ctl_table_add(self, text);
}

void ctl_table_bytes(struct ctl_table *self, int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;
    char text[32];

    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    ctl_table_add(self, text);
}

void ctl_table_time(struct ctl_table *self, int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[32];

    if (seconds == 0 || localtime_r(&t, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        (void)snprintf(text, sizeof(text), "-");
    ctl_table_add(self, text);
}

static void print_cell(const struct ctl_table *self, size_t i)
{
    size_t column = i % self->columns;
    bool last = column + 1 == self->columns;
    size_t pad = self->widths[column] - width_of(self->cells[i]);

    printf("%s%*s%s", self->cells[i], last ? 0 : (int)(pad + 2), "", last ? "\n" : "");
}

void ctl_table_end(struct ctl_table *self, const char *empty)
{
    size_t whole;

    if (self == NULL)
        return;
    whole = self->count - self->count % self->columns;
    if (whole <= self->columns)
        printf("%s\n", empty);
    else
        for (size_t i = 0; i < whole; i++)
            print_cell(self, i);
    for (size_t i = 0; i < self->count; i++)
        free(self->cells[i]);
    free(self->cells);
    free(self);
}

const char *ctl_text(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text != NULL ? text : "";
}

int64_t ctl_int(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

void ctl_put(const char *text)
{
    char *copy = plain_copy(text);

    if (copy != NULL)
        (void)fputs(copy, stdout);
    free(copy);
}
