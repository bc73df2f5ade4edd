/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The original hands these texts to Go's net and net/url and shows their errors to the tenant;
 * people and scripts know them, so the same input gets the same words here.
 */
#include "modules/gateway/zos_backend.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bus/base/addr.h"
#include "bus/base/err.h"

#define TUNNEL "tunnel:"
#define PART_MAX 256 /* longest host or port looked at, with its NUL */

int gw_zos_fail(char why[GW_ZOS_WHY_MAX], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, GW_ZOS_WHY_MAX, fmt, ap);
    va_end(ap);
    return ERR_INVALID;
}

/* LEN bytes of TEXT as a text of their own; cut when they are longer than any that is taken. */
static void cut(char out[PART_MAX], const char *text, size_t len)
{
    if (len >= PART_MAX)
        len = PART_MAX - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

static bool is_loopback(const struct addr *a)
{
    static const uint8_t v6[16] = {[15] = 1}, mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t ip[16];

    addr_ip16(ip, a);
    return memcmp(ip, v6, sizeof(ip)) == 0 ||
           (memcmp(ip, mapped, sizeof(mapped)) == 0 && ip[12] == 127);
}

/* Zero-OS takes port 0, which nobody can dial; sch_backend_parse says so. */
static int print(char out[GW_ZOS_BACKEND_MAX], const char *head, const char *ip, uint16_t port)
{
    char text[ADDR_TEXT_MAX];
    struct addr a;

    (void)addr_from_ip(&a, ip, port); /* it was an IP before */
    addr_print(text, &a);
    (void)snprintf(out, GW_ZOS_BACKEND_MAX, "%s%s", head, text);
    return ERR_OK;
}

static int read_port(uint16_t *out, const char *text, char why[GW_ZOS_WHY_MAX])
{
    unsigned long long port = 0;

    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 18)
        return gw_zos_fail(why, "invalid port in backend: %.64s", text);
    port = strtoull(text, NULL, 10);
    if (port > UINT16_MAX)
        return gw_zos_fail(why, "port '%s' must be <= 65535", text);
    *out = (uint16_t)port;
    return ERR_OK;
}

/* ---- passthrough: ip:port ---- */

/* Why TEXT is no "host:port" or "[host]:port", NULL when it is one. Its halves into HOST, PORT. */
static const char *split(char host[PART_MAX], char port[PART_MAX], const char *text)
{
    const char *colon = strrchr(text, ':'), *close = strchr(text, ']'), *rest = text;

    if (colon == NULL)
        return "missing port in address";
    if (text[0] == '[') {
        if (close == NULL)
            return "missing ']' in address";
        if (close[1] != ':')
            return "missing port in address";
        if (close + 1 != colon)
            return "too many colons in address";
        cut(host, text + 1, (size_t)(close - text - 1));
        rest = close + 1;
    } else {
        cut(host, text, (size_t)(colon - text));
        if (strchr(host, ':') != NULL)
            return "too many colons in address";
    }
    if (strchr(text[0] == '[' ? text + 1 : text, '[') != NULL)
        return "unexpected '[' in address";
    if (strchr(rest, ']') != NULL)
        return "unexpected ']' in address";
    cut(port, colon + 1, strlen(colon + 1));
    return NULL;
}

static int read_ip_port(char out[GW_ZOS_BACKEND_MAX], const char *text, char why[GW_ZOS_WHY_MAX])
{
    char host[PART_MAX], port[PART_MAX];
    const char *wrong = split(host, port, text);
    struct addr a;
    uint16_t number = 0;

    if (wrong != NULL)
        return text[0] == '\0'
                   ? gw_zos_fail(why, "failed to parse backend  with error: %s", wrong)
                   : gw_zos_fail(why,
                                 "failed to parse backend %.100s with error: address %.100s: %s",
                                 text, text, wrong);
    if (addr_from_ip(&a, host, 0) != ERR_OK)
        return gw_zos_fail(why, "invalid ip");
    if (read_port(&number, port, why) != ERR_OK)
        return ERR_INVALID;
    return print(out, "", host, number);
}

/* ---- otherwise: a URL ---- */

/* Length of the scheme in front of a colon; 0 = there is none. */
static size_t scheme_len(const char *text)
{
    size_t len = 0;

    if (isalpha((unsigned char)text[0]) == 0)
        return 0;
    while (isalnum((unsigned char)text[len]) != 0 || strchr("+-.", text[len]) != NULL) {
        if (text[len] == '\0')
            return 0;
        len++;
    }
    return text[len] == ':' ? len : 0;
}

/* What Go's parser says of a text that is no URL at all, NULL when it is one. */
static const char *not_a_url(const char *text)
{
    const char *colon = strchr(text, ':');

    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return "net/url: invalid control character in URL";
    }
    if (text[0] == ':')
        return "missing protocol scheme";
    if (scheme_len(text) == 0 && text[0] != '/' && colon != NULL &&
        strcspn(text, "/?#") > (size_t)(colon - text))
        return "first path segment in URL cannot contain colon";
    return NULL;
}

/* The host of an authority into HOST and what is behind it (":port" or nothing) into PORT. Returns
 * false when that is no port. */
static bool split_authority(char host[PART_MAX], char port[PART_MAX], const char *authority)
{
    const char *at = strrchr(authority, '@'), *end, *colon;

    if (at != NULL)
        authority = at + 1; /* user and password: not looked at */
    end = authority[0] == '[' ? strrchr(authority, ']') : NULL;
    colon = strrchr(authority, ':');
    if (end != NULL)
        colon = end[1] != '\0' ? end + 1 : NULL;
    cut(port, colon != NULL ? colon : "", colon != NULL ? strlen(colon) : 0);
    if (port[0] != '\0' && (port[0] != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
        return false;
    if (end != NULL)
        cut(host, authority + 1, (size_t)(end - authority - 1));
    else
        cut(host, authority, strcspn(authority, ":"));
    return true;
}

static int read_url(char out[GW_ZOS_BACKEND_MAX], const char *text, char why[GW_ZOS_WHY_MAX])
{
    const char *wrong = not_a_url(text);
    char authority[PART_MAX] = "", host[PART_MAX], port[PART_MAX];
    uint16_t number = 80;
    struct addr a;

    if (wrong != NULL)
        return gw_zos_fail(why, "failed to parse backend with error: parse \"%.200s\": %s", text,
                           wrong);
    if (scheme_len(text) != 4 || strncasecmp(text, "http", 4) != 0)
        return gw_zos_fail(why, "scheme expected to be http");
    if (strncmp(text + 5, "//", 2) == 0)
        cut(authority, text + 7, strcspn(text + 7, "/?#"));
    if (!split_authority(host, port, authority))
        return gw_zos_fail(
            why,
            "failed to parse backend with error: parse \"%.150s\": invalid port \"%.80s\" "
            "after host",
            text, port);
    if (addr_from_ip(&a, host, 0) != ERR_OK || is_loopback(&a))
        return gw_zos_fail(why, "invalid ip address in backend: %.200s", host);
    if (strlen(port) > 1 && read_port(&number, port + 1, why) != ERR_OK)
        return ERR_INVALID;
    return print(out, "http://", host, number);
}

int gw_zos_backend_read(char out[GW_ZOS_BACKEND_MAX], const char *text, bool passthrough,
                        char why[GW_ZOS_WHY_MAX])
{
    char inner[GW_ZOS_WHY_MAX];

    if (strncmp(text, TUNNEL, strlen(TUNNEL)) == 0) {
        if (strlen(text) >= GW_ZOS_BACKEND_MAX)
            return gw_zos_fail(why, "failed to parse backend: it is too long");
        memcpy(out, text, strlen(text) + 1);
        return ERR_OK;
    }
    if (!passthrough)
        return read_url(out, text, why);
    if (read_ip_port(out, text, inner) == ERR_OK)
        return ERR_OK;
    return gw_zos_fail(why, "failed to parse backend %.100s with error: %.380s", text, inner);
}
