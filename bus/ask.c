/* SPDX-License-Identifier: Apache-2.0 */
/* The client side of commands: push, then wait for the result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/command.h"
#include "bus/sync.h"

#define BLOCK_MAX_MS 10000u /* one BRPOPLPUSH; then the clock is looked at again */
#define DIAL_MAX_MS 5000u
#define FLAG_MS 1u

/* What is left until ENDS, at most MAX and at least 1 (0 would mean for ever). */
static uint32_t left_ms(uint64_t ends_ms, uint32_t max)
{
    uint64_t now = clock_mono_ms();
    uint64_t left = ends_ms > now ? ends_ms - now : 1;

    return left < max ? (uint32_t)left : max;
}

/* BRPOPLPUSH KEY KEY: read one without taking it away. ERR_TIMEOUT when none came in BLOCK_MS. */
static int peek_list(struct bus_sync *bus, const char *key, uint32_t block_ms,
                     const struct bus_value **value)
{
    char seconds[24];
    int rc;

    snprintf(seconds, sizeof(seconds), "%u.%03u", block_ms / 1000, block_ms % 1000);
    const struct bus_arg args[] = {bus_text("BRPOPLPUSH"), bus_text(key), bus_text(key),
                                   bus_text(seconds)};
    rc = bus_sync_query(bus, args, 4, block_ms + BUS_DEADLINE_MS, value);
    if (rc == ERR_OK && (*value)->type != BUS_TEXT)
        return ERR_TIMEOUT;
    return rc;
}

static int push(struct bus_sync *bus, const struct bus_ask *ask, char why[BUS_WHY_MAX])
{
    char key[BUS_KEY_CAP];
    const struct bus_arg args[] = {
        bus_text("RPUSH"),
        bus_text(bus_key(key, ask->prefix,
                         ask->to_operator ? BUS_KEY_COMMANDS_OPERATOR : BUS_KEY_COMMANDS, NULL,
                         NULL)),
        BUS_BYTES(ask->payload, ask->len)};
    int rc = bus_sync_query(bus, args, 3, DIAL_MAX_MS, NULL);

    if (rc != ERR_OK)
        snprintf(why, BUS_WHY_MAX, "%s", bus_sync_why(bus));
    return rc;
}

/* Nobody answered in time: say whether anybody took it. */
static int explain_timeout(struct bus_sync *bus, const struct bus_ask *ask, char why[BUS_WHY_MAX])
{
    const struct bus_value *flag = NULL;
    char key[BUS_KEY_CAP];

    bus_key_result_flag(key, ask->prefix, ask->id);
    if (peek_list(bus, key, FLAG_MS, &flag) == ERR_OK)
        snprintf(why, BUS_WHY_MAX, "the command was taken but not answered in time");
    else
        snprintf(why, BUS_WHY_MAX,
                 "nobody took the command: is netwall-agent running on this bus?");
    return ERR_TIMEOUT;
}

static int keep(char **out, size_t *out_len, const struct bus_value *value)
{
    char *copy = malloc(value->len + 1);

    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, value->text, value->len + 1);
    *out = copy;
    *out_len = value->len;
    return ERR_OK;
}

/* A lost link is no lost result: wait on until the time is over. */
static int await(const struct bus_value **value, struct bus_sync *bus, const struct bus_ask *ask,
                 uint64_t ends_ms)
{
    char key[BUS_KEY_CAP];
    int rc;

    bus_key_result(key, ask->prefix, ask->id);
    do {
        rc = peek_list(bus, key, left_ms(ends_ms, BLOCK_MAX_MS), value);
    } while (rc != ERR_OK && rc != ERR_REFUSED && rc != ERR_LIMIT && rc != ERR_AUTH &&
             clock_mono_ms() < ends_ms);
    return rc;
}

int bus_ask(char **out, size_t *out_len, const struct bus_ask *ask, char why[BUS_WHY_MAX])
{
    uint64_t ends_ms = clock_mono_ms() + ask->timeout_ms;
    const struct bus_value *value = NULL;
    struct bus_sync *bus = NULL;
    int rc;

    if (!bus_id_check(ask->id, strlen(ask->id)) || !bus_prefix_check(ask->prefix)) {
        snprintf(why, BUS_WHY_MAX, "not a valid command id or prefix");
        return ERR_INVALID;
    }
    rc = bus_sync_open(&bus, ask->url, left_ms(ends_ms, DIAL_MAX_MS), why);
    if (rc != ERR_OK)
        return rc;
    rc = push(bus, ask, why);
    /* A link lost before the reply: it may have been pushed, so the result may come. */
    if (rc != ERR_OK && rc != ERR_EOF)
        goto close_bus;
    rc = await(&value, bus, ask, ends_ms);
    if (rc == ERR_OK)
        rc = keep(out, out_len, value);
    else if (rc == ERR_TIMEOUT)
        rc = explain_timeout(bus, ask, why);
    else
        snprintf(why, BUS_WHY_MAX, "%s", bus_sync_why(bus));

close_bus:
    bus_sync_close(bus);
    return rc;
}
