/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which fields end here; see hop.h. Names are found by their length first: most fields of a browser
 * have one that no rule has, or differ in their first letter.
 */
#include "modules/http/hop.h"

#include <string.h>
#include <strings.h>

#define X_FORWARDED "x-forwarded"
#define X_FORWARDED_LEN (sizeof(X_FORWARDED) - 1)

struct rule {
    const char *name; /* NULL ends the list */
    enum http_role role;
};

/* By length. Proxy is no field at all, but a variable of CGI services (CVE-2016-5385). */
static const struct rule rules[][4] = {
    [2] = {{"te", HTTP_ROLE_HOP}},
    [4] = {{"host", HTTP_ROLE_HOP}},
    [5] = {{"proxy", HTTP_ROLE_HOP}},
    [6] = {{"expect", HTTP_ROLE_EXPECT}},
    [7] = {{"upgrade", HTTP_ROLE_HOP}, {"trailer", HTTP_ROLE_HOP}},
    [9] = {{"forwarded", HTTP_ROLE_FORWARDED}, {"x-real-ip", HTTP_ROLE_REAL_IP}},
    [10] = {{"connection", HTTP_ROLE_HOP}, {"keep-alive", HTTP_ROLE_HOP}},
    [12] = {{"x-request-id", HTTP_ROLE_REQUEST_ID}},
    [14] = {{"content-length", HTTP_ROLE_HOP}, {"http2-settings", HTTP_ROLE_HOP}},
    [15] = {{X_FORWARDED "-for", HTTP_ROLE_FOR}},
    [16] = {{"proxy-connection", HTTP_ROLE_HOP},
            {X_FORWARDED "-host", HTTP_ROLE_HOST},
            {X_FORWARDED "-port", HTTP_ROLE_PORT}},
    [17] = {{"transfer-encoding", HTTP_ROLE_HOP}, {X_FORWARDED "-proto", HTTP_ROLE_PROTO}},
};

#define LENGTHS (sizeof(rules) / sizeof(rules[0]))

/* Whether LEN bytes of a token are TEXT, which is in lower case: no other byte of a token becomes a
 * letter or a digit by the bit that makes lower case. */
static bool same(const char *name, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((name[i] | 0x20) != text[i] && !(name[i] == '_' && text[i] == '-'))
            return false;
    }
    return true;
}

enum http_role http_role_of(const char *name, size_t len)
{
    if (len < LENGTHS) {
        for (const struct rule *r = rules[len]; r->name != NULL; r++) {
            if (same(name, r->name, len))
                return r->role;
        }
    }
    if (len >= X_FORWARDED_LEN && same(name, X_FORWARDED, X_FORWARDED_LEN))
        return HTTP_ROLE_X_FORWARDED;
    return HTTP_ROLE_PLAIN;
}

static void add_name(struct http_hop *self, const char *data, struct http_span name)
{
    name = http_span_trim(name, data);
    if (name.len > 0 && self->named < HTTP_CONNECTION_OPTIONS_MAX)
        self->names[self->named++] = name;
}

/* The elements of one Connection field. */
static void add_names(struct http_hop *self, const char *data, struct http_span value)
{
    size_t end = value.at + value.len;

    while (value.at < end) {
        const char *comma = memchr(data + value.at, ',', end - value.at);
        size_t stop = comma != NULL ? (size_t)(comma - data) : end;

        add_name(self, data, (struct http_span){value.at, stop - value.at});
        value.at = stop + 1;
    }
}

static void find_names(struct http_hop *self, const char *data)
{
    struct http_field field;

    while (http_fields_next(&self->fields, data, &field)) {
        if (http_span_is_nocase(field.name, data, "connection"))
            add_names(self, data, field.value);
    }
    http_hop_restart(self);
}

void http_hop_start(struct http_hop *self, const struct http_framing *framing, const char *data,
                    size_t head_len)
{
    http_fields_start(&self->start, data, head_len);
    self->named = 0;
    http_hop_restart(self);
    if (framing->nominates)
        find_names(self, data);
}

void http_hop_restart(struct http_hop *self)
{
    self->fields = self->start;
}

static bool is_named(const struct http_hop *self, const char *data, struct http_span name)
{
    for (unsigned i = 0; i < self->named; i++) {
        if (name.len == self->names[i].len &&
            strncasecmp(data + name.at, data + self->names[i].at, name.len) == 0)
            return true;
    }
    return false;
}

bool http_hop_next(struct http_hop *self, const char *data, struct http_field *out,
                   enum http_role *role)
{
    while (http_fields_next(&self->fields, data, out)) {
        *role = http_role_of(data + out->name.at, out->name.len);
        if (*role != HTTP_ROLE_HOP && !is_named(self, data, out->name))
            return true;
    }
    return false;
}
