/* SPDX-License-Identifier: Apache-2.0 */
/* The server's URL as text. Part of bus/name.h; a file of its own because it is a parser. */
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/name.h"

#define DEFAULT_PORT 6379

/* Note WHY and fail, so that callers can return refuse(...). */
static int refuse(char why[BUS_WHY_MAX], const char *text)
{
    snprintf(why, BUS_WHY_MAX, "bus URL: %s", text);
    return ERR_INVALID;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decode LEN bytes into CAP bytes with a NUL. */
static int unescape(char *out, size_t cap, const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return ERR_INVALID;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || n + 1 >= cap)
            return ERR_INVALID;
        out[n++] = c;
    }
    out[n] = '\0';
    return ERR_OK;
}

/* "user:password" or "password" (LEN bytes). */
static int parse_login(struct bus_url *out, const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);
    size_t user = colon != NULL ? (size_t)(colon - text) : 0;
    size_t skip = colon != NULL ? user + 1 : 0;

    if (unescape(out->user, sizeof(out->user), text, user) != ERR_OK)
        return ERR_INVALID;
    return unescape(out->password, sizeof(out->password), text + skip, len - skip);
}

/* Decimal without sign or leading zeros, 0..MAX. */
static int parse_number(uint32_t *out, const char *text, size_t len, uint32_t max)
{
    uint64_t n = 0;

    if (len == 0 || len > 10 || (len > 1 && text[0] == '0'))
        return ERR_INVALID;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return ERR_INVALID;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    if (n > max)
        return ERR_INVALID;
    *out = (uint32_t)n;
    return ERR_OK;
}

static bool is_host(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("/@:?#%[]", text[i]) != NULL)
            return false;
    }
    return len > 0;
}

/* "host", "host:port", "[v6]", "[v6]:port" (LEN bytes). */
static int parse_host(struct bus_url *out, const char *text, size_t len)
{
    const char *end = text + len, *host = text, *host_end, *rest;
    uint32_t port = DEFAULT_PORT;
    struct addr probe;

    if (len > 0 && text[0] == '[') {
        host = text + 1;
        host_end = memchr(text, ']', len);
        rest = host_end != NULL ? host_end + 1 : NULL;
    } else {
        host_end = memchr(text, ':', len);
        host_end = host_end != NULL ? host_end : end;
        rest = host_end;
    }
    if (rest == NULL || (size_t)(host_end - host) >= sizeof(out->host))
        return ERR_INVALID;
    memcpy(out->host, host, (size_t)(host_end - host));
    out->host[host_end - host] = '\0';
    if (host != text ? addr_from_ip(&probe, out->host, 1) != ERR_OK
                     : !is_host(host, (size_t)(host_end - host)))
        return ERR_INVALID;
    if (rest != end && (*rest != ':' || parse_number(&port, rest + 1, (size_t)(end - rest) - 1,
                                                     UINT16_MAX) != ERR_OK))
        return ERR_INVALID;
    out->port = (uint16_t)port;
    return port == 0 ? ERR_INVALID : ERR_OK;
}

static int parse_tcp(struct bus_url *out, const char *text, char why[BUS_WHY_MAX])
{
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);

    if (parse_host(out, text, len) != ERR_OK)
        return refuse(why, "expected host, host:port or [v6]:port");
    if (slash != NULL && slash[1] != '\0' &&
        parse_number(&out->db, slash + 1, strlen(slash + 1), INT32_MAX) != ERR_OK)
        return refuse(why, "what follows the host must be a database number");
    return ERR_OK;
}

static int parse_unix(struct bus_url *out, const char *text, char why[BUS_WHY_MAX])
{
    size_t len = strlen(text);

    if (text[0] != '/' || len < 2)
        return refuse(why, "unix:// needs an absolute path, as in unix:///run/netwall/bus.sock");
    if (len >= sizeof(out->path))
        return refuse(why, "a unix socket path holds at most 107 bytes");
    memcpy(out->path, text, len + 1);
    out->is_unix = true;
    return ERR_OK;
}

int bus_url_parse(struct bus_url *out, const char *text, char why[BUS_WHY_MAX])
{
    struct bus_url url = {0};
    const char *rest = strstr(text, "://"), *slash, *at = NULL;
    size_t scheme = rest != NULL ? (size_t)(rest - text) : 0;
    bool is_unix = scheme == 4 && memcmp(text, "unix", 4) == 0;
    int rc;

    if (!is_unix && !(scheme == 3 && memcmp(text, "tcp", 3) == 0) &&
        !(scheme == 5 && memcmp(text, "redis", 5) == 0))
        return refuse(why, "unknown scheme; use unix:///path or tcp://host:port");
    rest += 3;
    slash = strchr(rest, '/');
    for (const char *p = rest; *p != '\0' && p != slash; p++) {
        if (*p == '@')
            at = p; /* the last one: a password may hold '@' */
    }
    if (at != NULL) {
        if (parse_login(&url, rest, (size_t)(at - rest)) != ERR_OK)
            return refuse(why, "user or password is too long or badly escaped");
        rest = at + 1;
    }
    rc = is_unix ? parse_unix(&url, rest, why) : parse_tcp(&url, rest, why);
    if (rc == ERR_OK)
        *out = url;
    return rc;
}

void bus_url_print(char out[BUS_WHY_MAX], const struct bus_url *url)
{
    bool is_v6 = strchr(url->host, ':') != NULL;
    int n;

    if (url->is_unix) {
        snprintf(out, BUS_WHY_MAX, "unix://%s", url->path);
        return;
    }
    n = snprintf(out, BUS_WHY_MAX, "tcp://%s%.200s%s:%u", is_v6 ? "[" : "", url->host,
                 is_v6 ? "]" : "", url->port);
    if (url->db != 0 && n > 0 && n < BUS_WHY_MAX)
        snprintf(out + n, (size_t)(BUS_WHY_MAX - n), "/%u", url->db);
}
