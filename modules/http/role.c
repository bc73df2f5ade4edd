/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roles by name; see role.h. Names are found by their length first: most fields of a browser have
 * one that no rule has, or differ in their first letter.
 */
#include "modules/http/role.h"

#include <stdint.h>
#include <string.h>

#define X_FORWARDED "x-forwarded"
#define X_FORWARDED_LEN (sizeof(X_FORWARDED) - 1)

struct rule {
    const char *name; /* NULL ends the list */
    enum http_role role;
};

/* By length. Proxy is no field at all, but a variable of CGI services (CVE-2016-5385). */
static const struct rule rules[][4] = {
    [2] = {{"te", HTTP_ROLE_HOP}},
    [3] = {{"via", HTTP_ROLE_VIA}},
    [4] = {{"host", HTTP_ROLE_HOST}, {"date", HTTP_ROLE_DATE}},
    [5] = {{"proxy", HTTP_ROLE_HOP}},
    [6] = {{"expect", HTTP_ROLE_EXPECT}},
    [7] = {{"upgrade", HTTP_ROLE_UPGRADE}, {"trailer", HTTP_ROLE_HOP}},
    [9] = {{"forwarded", HTTP_ROLE_FORWARDED}, {"x-real-ip", HTTP_ROLE_REAL_IP}},
    [10] = {{"connection", HTTP_ROLE_CONNECTION}, {"keep-alive", HTTP_ROLE_HOP}},
    [12] = {{"x-request-id", HTTP_ROLE_REQUEST_ID}, {"max-forwards", HTTP_ROLE_MAX_FORWARDS}},
    [13] = {{"authorization", HTTP_ROLE_CREDENTIALS}},
    [14] = {{"content-length", HTTP_ROLE_CONTENT_LENGTH}, {"http2-settings", HTTP_ROLE_HOP}},
    [15] = {{X_FORWARDED "-for", HTTP_ROLE_FORWARDED_FOR}},
    [16] = {{"proxy-connection", HTTP_ROLE_HOP},
            {X_FORWARDED "-host", HTTP_ROLE_FORWARDED_HOST},
            {X_FORWARDED "-port", HTTP_ROLE_FORWARDED_PORT}},
    [17] = {{"transfer-encoding", HTTP_ROLE_TRANSFER_ENCODING},
            {X_FORWARDED "-proto", HTTP_ROLE_FORWARDED_PROTO}},
    [19] = {{"proxy-authorization", HTTP_ROLE_CREDENTIALS}},
};

#define LENGTHS (sizeof(rules) / sizeof(rules[0]))

/* Eight bytes of a token in lower case: no other byte of one becomes a letter, a digit or '-' by
 * this bit. */
static uint64_t lower(const char *name)
{
    uint64_t word;

    memcpy(&word, name, sizeof(word));
    return word | 0x2020202020202020;
}

/* Whether LEN bytes of a token are TEXT, which is in lower case; most are as a whole. */
__attribute__((noinline)) static bool same(const char *name, const char *text, size_t len)
{
    size_t tail = len - sizeof(uint64_t);

    if (len >= sizeof(uint64_t) && len <= 2 * sizeof(uint64_t) && lower(name) == lower(text) &&
        lower(name + tail) == lower(text + tail))
        return true;
    for (size_t i = 0; i < len; i++) {
        if ((name[i] | 0x20) != text[i] && !(name[i] == '_' && text[i] == '-'))
            return false;
    }
    return true;
}

/* Readers take its meaning, which no other spelling of its '-' has. */
static bool is_read_by_name(enum http_role role)
{
    return role == HTTP_ROLE_CONTENT_LENGTH || role == HTTP_ROLE_TRANSFER_ENCODING;
}

static enum http_role unless_odd(enum http_role role, const char *name, size_t len)
{
    return memchr(name, '_', len) == NULL ? role : HTTP_ROLE_HOP;
}

enum http_role http_role_of(const char *name, size_t len)
{
    char first = (char)(name[0] | 0x20);

    if (len < LENGTHS) {
        for (const struct rule *r = rules[len]; r->name != NULL; r++) {
            if (first == r->name[0] && same(name, r->name, len))
                return is_read_by_name(r->role) ? unless_odd(r->role, name, len) : r->role;
        }
    }
    if (first == 'x' && len >= X_FORWARDED_LEN && same(name, X_FORWARDED, X_FORWARDED_LEN))
        return HTTP_ROLE_X_FORWARDED;
    return HTTP_ROLE_PLAIN;
}
