/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log of the daemons: one event a line on stderr, as `key=value` text or as JSON. Libraries
 * that are pure (tunnel, http, schemas) do not log. Values from outside are escaped and cut here,
 * so callers pass them as they are. Never pass key material or payload.
 */
#ifndef BUS_BASE_LOG_H
#define BUS_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* One value of a line. Made with the KV_ macros; a NULL key ends the list. */
struct log_kv {
    const char *key;
    const char *text; /* borrowed; NULL = use number */
    int64_t number;
};

#define KV_S(k, v) ((struct log_kv){.key = (k), .text = (v) != NULL ? (v) : "-"})
#define KV_N(k, v) ((struct log_kv){.key = (k), .number = (int64_t)(v)})

/* Longest value written; the rest of a longer one is replaced by "...". */
#define LOG_VALUE_MAX 512

/* Which levels are written and in which form; before the first call: info, text. */
void log_setup(enum log_level level, bool json);

/* "error", "warn", "info", "debug" -> level; returns 0 or ERR_INVALID. */
int log_level_parse(enum log_level *out, const char *text);
const char *log_level_text(enum log_level level); /* the other way; static */

/* Whether LEVEL is written, for callers whose arguments are expensive to make. */
bool log_enabled(enum log_level level);

/* For lines that strangers or visitors can cause. All zero: at most one a second. */
struct log_pace {
    uint32_t lines_max; /* in a window; 0 = 1 */
    uint32_t window_ms; /* 0 = 1000 */
    uint64_t since_ms;  /* when the present window began */
    uint32_t lines;     /* written in it */
    uint32_t kept;      /* events since the last line that got none */
};

/* One more event at NOW_MS (monotonic). Returns how many events a line written now stands for, or
 * 0: write none. */
uint32_t log_pace(struct log_pace *self, uint64_t now_ms);

/* Write one line. EVENT is a fixed English phrase; KV ends with a NULL key. */
void log_write(enum log_level level, const char *event, const struct log_kv *kv);

#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write(level, event, (const struct log_kv[]){__VA_ARGS__ __VA_OPT__(, ){0}});       \
    } while (0)
#define LOG_ERROR(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
#define LOG_WARN(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_INFO(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DEBUG(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
