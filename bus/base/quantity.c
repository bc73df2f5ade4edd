/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with units. Every step is checked for overflow: the text may come from anywhere. */
#include "bus/base/quantity.h"

#include <stddef.h>
#include <string.h>

#include "bus/base/err.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {0},
};

static const struct unit sizes[] = {
    {"", 1}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}, {0},
};

/* Digits at the start of TEXT; *REST is what follows them. */
static int parse_digits(uint64_t *out, const char **rest, const char *text)
{
    uint64_t v = 0;
    int rc = ERR_OK;

    if (*text < '0' || *text > '9')
        return ERR_INVALID;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
            rc = ERR_LIMIT; /* read on: letters among the digits are the worse fault */
    }
    *out = v;
    *rest = text;
    return rc;
}

int quantity_parse_u64(uint64_t *out, const char *text)
{
    const char *rest = "";
    uint64_t v = 0;
    int rc = parse_digits(&v, &rest, text);

    if (rc == ERR_INVALID || *rest != '\0')
        return ERR_INVALID;
    if (rc == ERR_OK)
        *out = v;
    return rc;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, name) == 0)
            return units;
    }
    return NULL;
}

static int parse_with_unit(uint64_t *out, const char *text, const struct unit *units, uint64_t max)
{
    const struct unit *unit;
    const char *rest = "";
    uint64_t v = 0;
    int rc = parse_digits(&v, &rest, text);

    if (rc == ERR_INVALID)
        return ERR_INVALID;
    if (rc == ERR_OK && v == 0 && *rest == '\0') { /* a bare 0 is the same in every unit */
        *out = 0;
        return ERR_OK;
    }
    unit = find_unit(units, rest);
    if (unit == NULL)
        return ERR_INVALID;
    if (rc != ERR_OK || __builtin_mul_overflow(v, unit->factor, &v) || v > max)
        return ERR_LIMIT;
    *out = v;
    return ERR_OK;
}

int quantity_parse_ms(uint64_t *out, const char *text)
{
    return parse_with_unit(out, text, durations, QUANTITY_MS_MAX);
}

int quantity_parse_size(uint64_t *out, const char *text)
{
    return parse_with_unit(out, text, sizes, QUANTITY_SIZE_MAX);
}
