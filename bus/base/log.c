/* SPDX-License-Identifier: Apache-2.0 */
/* Builds one line in memory and hands it to stderr in one write, so that lines never mix. */
#include "bus/base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/out.h"

#define LINE_MAX_LEN 8192
#define PACE_MS 1000
#define ELLIPSIS "\xe2\x80\xa6" /* U+2026 */
#define ELLIPSIS_LEN (sizeof(ELLIPSIS) - 1)
#define LINE_TAIL 32 /* kept free for the mark of dropped values and the end of the line */

/* The one mutable global of the libraries: what the operator asked for. */
static struct {
    enum log_level level;
    bool json;
} setup = {LOG_LEVEL_INFO, false};

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

void log_setup(enum log_level level, bool json)
{
    setup.level = level;
    setup.json = json;
}

int log_level_parse(enum log_level *out, const char *text)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return ERR_OK;
        }
    }
    return ERR_INVALID;
}

const char *log_level_text(enum log_level level)
{
    return level_names[level];
}

bool log_enabled(enum log_level level)
{
    return level <= setup.level;
}

/* A value that reads unambiguously without quotes. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"=\\", text[i]) != NULL)
            return false;
    }
    return len > 0;
}

/*
 * Only printable ASCII reaches the terminal or the collector: other bytes read \xHH in both forms
 * (in JSON the backslash is doubled, so a reader sees the same text). The one exception is the
 * ellipsis, with which our own messages shorten keys.
 */
static void put_escaped(struct out *o, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (len - i >= ELLIPSIS_LEN && memcmp(text + i, ELLIPSIS, ELLIPSIS_LEN) == 0) {
            out_bytes(o, ELLIPSIS, ELLIPSIS_LEN);
            i += ELLIPSIS_LEN - 1;
        } else if (c == '"' || c == '\\') {
            out_fmt(o, "\\%c", c);
        } else if (c < ' ' || c > '~') {
            out_fmt(o, setup.json ? "\\\\x%02x" : "\\x%02x", c);
        } else {
            out_u8(o, c);
        }
    }
}

static void put_value(struct out *o, const char *text)
{
    size_t len = strnlen(text, LOG_VALUE_MAX + 1);
    bool cut = len > LOG_VALUE_MAX;

    if (!setup.json && !cut && is_plain(text, len)) {
        out_bytes(o, text, len);
        return;
    }
    out_u8(o, '"');
    put_escaped(o, text, cut ? LOG_VALUE_MAX : len);
    out_text(o, cut ? "...\"" : "\"");
}

static void put_pair(struct out *o, const struct log_kv *kv)
{
    out_fmt(o, setup.json ? ",\"%s\":" : " %s=", kv->key);
    if (kv->text != NULL)
        put_value(o, kv->text);
    else
        out_fmt(o, "%lld", (long long)kv->number);
}

static void put_head(struct out *o, enum log_level level, const char *event)
{
    uint64_t now_ms = clock_unix_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    char when[32];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    out_fmt(o,
            setup.json ? "{\"time\":\"%s.%03uZ\",\"level\":\"%s\",\"event\":"
                       : "time=%s.%03uZ level=%s event=",
            when, (unsigned)(now_ms % 1000), level_names[level]);
    put_value(o, event);
}

void log_write(enum log_level level, const char *event, const struct log_kv *kv)
{
    char line[LINE_MAX_LEN];
    struct out o = out_init(line, sizeof(line) - LINE_TAIL);
    bool dropped = false;

    put_head(&o, level, event);
    for (; kv->key != NULL; kv++) {
        struct out before = o;

        put_pair(&o, kv);
        if (o.bad) { /* whole pairs or nothing: the line stays readable */
            o = before;
            dropped = true;
        }
    }
    o.end = (uint8_t *)line + sizeof(line);
    if (dropped)
        out_text(&o, setup.json ? ",\"dropped\":1" : " dropped=1");
    out_text(&o, setup.json ? "}\n" : "\n");
    (void)!write(STDERR_FILENO, line, out_len(&o)); /* nowhere left to complain */
}

uint32_t log_pace(struct log_pace *self, uint64_t now_ms)
{
    uint32_t lines_max = self->lines_max > 0 ? self->lines_max : 1;
    uint32_t window_ms = self->window_ms > 0 ? self->window_ms : PACE_MS;
    uint32_t times = ++self->kept;

    if (self->lines == 0 || now_ms - self->since_ms >= window_ms) {
        self->since_ms = now_ms;
        self->lines = 0;
    }
    if (self->lines == lines_max)
        return 0;
    self->lines++;
    self->kept = 0;
    return times;
}
