/* SPDX-License-Identifier: Apache-2.0 */
/* A parsed Redis reply as a tree of plain values, and what its errors ask us to do. */
#ifndef BUS_VALUE_H
#define BUS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bus_type { BUS_NIL, BUS_INTEGER, BUS_TEXT, BUS_STATUS, BUS_ERROR, BUS_ARRAY };

struct bus_value {
    enum bus_type type;
    int64_t number;          /* INTEGER */
    const char *text;        /* TEXT, STATUS, ERROR: LEN bytes and a NUL; NULL otherwise */
    size_t len;              /* bytes of text */
    struct bus_value *items; /* ARRAY: COUNT values in a row; NULL when empty */
    size_t count;
};

/* What an error reply asks of the caller (TRAPS: errors are states, not data). */
enum bus_error_class {
    BUS_ERROR_NONE,       /* no error, or one that means "already so" (BUSYGROUP) */
    BUS_ERROR_RETRY,      /* the server can't now: LOADING MISCONF OOM MASTERDOWN CLUSTERDOWN ... */
    BUS_ERROR_REDISCOVER, /* wrong server: READONLY UNBLOCKED; the link redials by itself */
    BUS_ERROR_RECREATE,   /* the consumer group is gone: NOGROUP */
    BUS_ERROR_STOP,       /* asking again is useless: NOAUTH NOPERM WRONGTYPE MOVED, any other */
};

/* Class of a reply; NONE for one that is no error, and for NULL. */
enum bus_error_class bus_error_class(const struct bus_value *reply);
const char *bus_error_class_name(enum bus_error_class c);
/* Of what a bus_reply_fn is given: it failed and may work later, as the link was lost or the server
 * can't now; so what was sent is kept. */
bool bus_error_is_passing(int rc, const struct bus_value *reply);

/* TEXT or STATUS with exactly these bytes. */
bool bus_value_is(const struct bus_value *value, const char *text);
/* The value behind the TEXT key NAME in a flat list of pairs (HGETALL, stream fields), or NULL. */
const struct bus_value *bus_value_field(const struct bus_value *pairs, const char *name);

#endif
