/* SPDX-License-Identifier: Apache-2.0 */
/* Each value has a cap of its own, so that no place in the line has to be checked for room. */
#include "modules/gateway/access_line.h"

#include <string.h>
#include <time.h>

#define VISITOR_MAX 64
#define KEY_BYTES 8   /* of the connector's key that are shown */
#define ESCAPE_MAX 6  /* \u00NN */
#define MARKS_MAX 5   /* quotes and "..." */
#define NAMES_MAX 200 /* keys, blanks, braces */
#define NUMBERS_MAX (8 * 24 + 32)
#define REASON_MAX 64

_Static_assert(VISITOR_MAX + 2 * GW_ACCESS_NAME_MAX + GW_ACCESS_METHOD_MAX + GW_ACCESS_TARGET_MAX +
                       GW_ACCESS_REQUEST_MAX + 6 * MARKS_MAX + 2 * KEY_BYTES + NAMES_MAX +
                       NUMBERS_MAX + REASON_MAX <=
                   GW_ACCESS_LINE_MAX,
               "a line has room for its longest values");

/* Where the next byte goes. */
struct pen {
    char *p;
    bool json;
};

/* Which bytes may stand for themselves; blank and equals sign only between quotes. */
enum { ESCAPED, IN_QUOTES, BARE };
static const uint8_t ranks[256] = {
    [' '] = IN_QUOTES, ['!'] = BARE,         ['#' ... '<'] = BARE,
    ['='] = IN_QUOTES, ['>' ... '['] = BARE, [']' ... '~'] = BARE,
};

/* How many bytes at the start of TEXT are of LEAST or better. */
static size_t run_of(const char *text, size_t len, unsigned least)
{
    size_t n = 0;

    while (n < len && ranks[(unsigned char)text[n]] >= least)
        n++;
    return n;
}

static void put(struct pen *pen, const char *text, size_t len)
{
    memcpy(pen->p, text, len);
    pen->p += len;
}

#define PUT(pen, literal) put(pen, literal, sizeof(literal) - 1)

static void put_number(struct pen *pen, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put(pen, digits + at, sizeof(digits) - at);
}

/* Exactly COUNT digits. */
static void put_digits(struct pen *pen, unsigned n, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        pen->p[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
    pen->p += count;
}

static void put_hex(struct pen *pen, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    *pen->p++ = digits[byte >> 4];
    *pen->p++ = digits[byte & 15];
}

static void put_escape(struct pen *pen, unsigned char c)
{
    if (c == '"' || c == '\\') {
        *pen->p++ = '\\';
        *pen->p++ = (char)c;
        return;
    }
    if (pen->json)
        PUT(pen, "\\u00");
    else
        PUT(pen, "\\x");
    put_hex(pen, c);
}

/* Between quotes, at most MAX bytes of them; what is left out is told by three dots. */
static void put_quoted(struct pen *pen, const char *text, size_t len, size_t max)
{
    const char *end = text + len;
    char *full;

    *pen->p++ = '"';
    full = pen->p + max;
    while (text < end) {
        size_t room = (size_t)(full - pen->p), left = (size_t)(end - text);
        size_t run = run_of(text, left < room ? left : room, IN_QUOTES);

        if (run == 0 && room < ESCAPE_MAX) {
            PUT(pen, "...");
            break;
        }
        if (run == 0) {
            put_escape(pen, (unsigned char)*text++);
            continue;
        }
        put(pen, text, run);
        text += run;
    }
    *pen->p++ = '"';
}

static void put_none(struct pen *pen)
{
    if (pen->json)
        PUT(pen, "null");
    else
        PUT(pen, "-");
}

static void put_value(struct pen *pen, const char *text, size_t len, size_t max)
{
    bool is_none = len == 1 && text[0] == '-'; /* quoted when it was really sent */

    if (text == NULL)
        put_none(pen);
    else if (!pen->json && len > 0 && len <= max && !is_none && run_of(text, len, BARE) == len)
        put(pen, text, len);
    else
        put_quoted(pen, text, len, max);
}

/* Starts the pair; LITERAL names it. */
#define KEY(pen, literal)                                                                          \
    do {                                                                                           \
        if ((pen)->json)                                                                           \
            PUT(pen, ",\"" literal "\":");                                                         \
        else                                                                                       \
            PUT(pen, " " literal "=");                                                             \
    } while (0)

static void put_name(struct pen *pen, const char *text, size_t max)
{
    bool has = text != NULL && text[0] != '\0';

    put_value(pen, has ? text : NULL, has ? strlen(text) : 0, max);
}

/* Milliseconds with three decimals. */
static void put_ms(struct pen *pen, uint64_t us)
{
    if (us == GW_ACCESS_NEVER) {
        put_none(pen);
        return;
    }
    put_number(pen, us / 1000);
    *pen->p++ = '.';
    put_digits(pen, (unsigned)(us % 1000), 3);
}

/* The calendar is asked once a second. */
static void print_second(struct gw_access_clock *clock, uint64_t second)
{
    time_t at = (time_t)second;
    struct pen pen = {.p = clock->text};
    struct tm tm = {0};

    (void)gmtime_r(&at, &tm); /* fails only for years that do not fit in an int */
    put_digits(&pen, (unsigned)tm.tm_year + 1900, 4);
    *pen.p++ = '-';
    put_digits(&pen, (unsigned)tm.tm_mon + 1, 2);
    *pen.p++ = '-';
    put_digits(&pen, (unsigned)tm.tm_mday, 2);
    *pen.p++ = 'T';
    put_digits(&pen, (unsigned)tm.tm_hour, 2);
    *pen.p++ = ':';
    put_digits(&pen, (unsigned)tm.tm_min, 2);
    *pen.p++ = ':';
    put_digits(&pen, (unsigned)tm.tm_sec, 2);
    *pen.p = '\0';
    clock->second = second;
}

static void put_time(struct pen *pen, struct gw_access_clock *clock, uint64_t now_ms)
{
    if (clock->text[0] == '\0' || clock->second != now_ms / 1000)
        print_second(clock, now_ms / 1000);
    if (pen->json)
        PUT(pen, "{\"time\":\"");
    else
        PUT(pen, "time=");
    put(pen, clock->text, sizeof(clock->text) - 1);
    *pen->p++ = '.';
    put_digits(pen, (unsigned)(now_ms % 1000), 3);
    if (pen->json)
        PUT(pen, "Z\"");
    else
        PUT(pen, "Z");
}

static void put_request(struct pen *pen, const struct gw_access_record *r)
{
    KEY(pen, "visitor");
    put_name(pen, r->visitor, VISITOR_MAX);
    KEY(pen, "exposure");
    put_name(pen, r->exposure, GW_ACCESS_NAME_MAX);
    KEY(pen, "host");
    put_name(pen, r->host, GW_ACCESS_NAME_MAX);
    KEY(pen, "method");
    put_value(pen, r->method.at, r->method.len, GW_ACCESS_METHOD_MAX);
    KEY(pen, "path");
    put_value(pen, r->target.at, r->target.len, GW_ACCESS_TARGET_MAX);
}

static void put_answer(struct pen *pen, const struct gw_access_record *r)
{
    KEY(pen, "status");
    if (r->status > 0)
        put_number(pen, (uint64_t)r->status);
    else
        put_none(pen);
    KEY(pen, "rx");
    put_number(pen, r->rx_bytes);
    KEY(pen, "tx");
    put_number(pen, r->tx_bytes);
    KEY(pen, "first_ms");
    put_ms(pen, r->first_byte_us);
    KEY(pen, "total_ms");
    put_ms(pen, r->total_us);
}

static void put_way(struct pen *pen, const struct gw_access_record *r)
{
    KEY(pen, "connector");
    if (r->connector != NULL) {
        if (pen->json)
            *pen->p++ = '"';
        for (size_t i = 0; i < KEY_BYTES; i++)
            put_hex(pen, r->connector[i]);
        if (pen->json)
            *pen->p++ = '"';
    } else {
        put_name(pen, r->direct ? "direct" : NULL, VISITOR_MAX);
    }
    KEY(pen, "wait_ms");
    put_ms(pen, r->wait_us);
    KEY(pen, "service_ms");
    put_ms(pen, r->service_us);
    KEY(pen, "id");
    put_value(pen, r->request.at, r->request.len, GW_ACCESS_REQUEST_MAX);
    KEY(pen, "refused");
    put_name(pen, r->refused != GW_REASON_NONE ? gw_reason_name(r->refused) : NULL, REASON_MAX);
}

size_t gw_access_line_print(char out[GW_ACCESS_LINE_MAX], const struct gw_access_record *record,
                            bool json, struct gw_access_clock *clock, uint64_t now_ms,
                            uint64_t dropped)
{
    struct pen pen = {.p = out, .json = json};

    put_time(&pen, clock, now_ms);
    put_request(&pen, record);
    put_answer(&pen, record);
    put_way(&pen, record);
    if (dropped > 0) {
        KEY(&pen, "dropped");
        put_number(&pen, dropped);
    }
    if (json)
        *pen.p++ = '}';
    *pen.p++ = '\n';
    return (size_t)(pen.p - out);
}
