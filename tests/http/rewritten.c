/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of rewritten heads; see rewritten.h. */
#include "tests/http/rewritten.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "modules/http/field.h"
#include "modules/http/protocol.h"

#define NAME_MAX_LEN 64 /* longer than any name that means something here */

/* Written anew, or never passed on. */
static const char *const hop_names[] = {
    "host",  "connection",        "keep-alive",     "proxy-connection", "te", "trailer", "upgrade",
    "proxy", "transfer-encoding", "http2-settings", "content-length",
};

/* About the visitor: lists, which grow, and others. */
static const char *const list_names[] = {"x-forwarded-for", "forwarded", "x-request-id"};
static const char *const single_names[] = {"x-forwarded-proto", "x-forwarded-host",
                                           "x-forwarded-port", "x-real-ip"};

/* What a rewritten request has, as it is read again. */
struct check {
    const struct http_head *in;
    const char *in_data;
    const struct http_forward *how;
    struct http_head out;
    const char *data;
};

/* The name in lower case, with '-' for '_'; cut off at NAME_MAX_LEN. */
static void plain_name(char out[NAME_MAX_LEN + 1], const char *data, struct http_span name)
{
    size_t n = name.len < NAME_MAX_LEN ? name.len : NAME_MAX_LEN;

    for (size_t i = 0; i < n; i++) {
        char c = data[name.at + i];

        out[i] = c;
        if (c == '_')
            out[i] = '-';
        else if (c >= 'A' && c <= 'Z')
            out[i] = (char)(c - 'A' + 'a');
    }
    out[n] = '\0';
}

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, list[i]) == 0)
            return true;
    }
    return false;
}

#define ONE_OF(name, list) is_one_of(name, list, sizeof(list) / sizeof((list)[0]))

static bool is_about_visitor(const char *name)
{
    return ONE_OF(name, list_names) || ONE_OF(name, single_names) ||
           strncmp(name, "x-forwarded", 11) == 0;
}

/* Whether LIST, which is the value of Connection, has NAME. */
static bool list_has(const char *list, size_t len, const char *name, size_t name_len)
{
    size_t at = 0;

    while (at < len) {
        size_t end = at, stop;

        while (end < len && list[end] != ',')
            end++;
        stop = end;
        while (at < stop && strchr(" \t", list[at]) != NULL)
            at++;
        while (at < stop && strchr(" \t", list[stop - 1]) != NULL)
            stop--;
        if (stop - at == name_len && strncasecmp(list + at, name, name_len) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

/* Whether Connection in the head of LEN bytes has NAME. */
static bool is_nominated(const char *data, size_t len, struct http_span name)
{
    struct http_fields fields;
    struct http_field field;

    http_fields_start(&fields, data, len);
    while (http_fields_next(&fields, data, &field)) {
        if (http_span_is_nocase(field.name, data, "connection") &&
            list_has(data + field.value.at, field.value.len, data + name.at, name.len))
            return true;
    }
    return false;
}

/* Whether this field of the request goes on as it is. */
static bool goes_on(const struct check *c, const struct http_field *field)
{
    char name[NAME_MAX_LEN + 1];

    plain_name(name, c->in_data, field->name);
    if (ONE_OF(name, hop_names) || is_nominated(c->in_data, c->in->len, field->name))
        return false;
    if (strcmp(name, "expect") == 0)
        return !http_span_is_nocase(field->value, c->in_data, "100-continue");
    if (strcmp(name, "max-forwards") == 0)
        return !c->in->has_max_forwards;
    if (!is_about_visitor(name))
        return true;
    if (!c->how->trusted || ONE_OF(name, list_names) ||
        memchr(c->in_data + field->name.at, '_', field->name.len) != NULL)
        return false;
    return field->value.len > 0 || !ONE_OF(name, single_names);
}

static bool same_bytes(const char *a, struct http_span as, const char *b, struct http_span bs)
{
    return as.len == bs.len && memcmp(a + as.at, b + bs.at, as.len) == 0;
}

/* Exactly the fields that go on stand behind Host, in their order; *REST is behind them. */
static const char *fields_fault(const struct check *c, struct http_fields *rest)
{
    struct http_fields in;
    struct http_field field, out;

    http_fields_start(&in, c->in_data, c->in->len);
    http_fields_start(rest, c->data, c->out.len);
    if (!http_fields_next(rest, c->data, &out) || !http_span_is(out.name, c->data, "Host"))
        return "Host is not first";
    while (http_fields_next(&in, c->in_data, &field)) {
        if (!goes_on(c, &field))
            continue;
        if (!http_fields_next(rest, c->data, &out) ||
            !same_bytes(c->in_data, field.name, c->data, out.name) ||
            !same_bytes(c->in_data, field.value, c->data, out.value))
            return "a field that goes on is missing";
    }
    return NULL;
}

/* How many fields in REST have NAME, which is in lower case; the last one's value in *VALUE. */
static unsigned count(const struct check *c, struct http_fields rest, const char *name,
                      struct http_span *value)
{
    struct http_field field;
    unsigned n = 0;

    while (http_fields_next(&rest, c->data, &field)) {
        if (http_span_is_nocase(field.name, c->data, name)) {
            *value = field.value;
            n++;
        }
    }
    return n;
}

static bool ends_with(struct http_span value, const char *data, const char *text)
{
    size_t n = strlen(text);

    return value.len >= n && memcmp(data + value.at + value.len - n, text, n) == 0;
}

/* What follows the fields that went on is ours, and nothing else. */
static const char *ours_fault(const struct check *c, struct http_fields rest)
{
    struct http_fields all;
    struct http_span value = {0};
    struct http_field field;
    char name[NAME_MAX_LEN + 1];

    http_fields_start(&all, c->data, c->out.len);
    while (http_fields_next(&rest, c->data, &field)) {
        plain_name(name, c->data, field.name);
        if (!is_about_visitor(name) && strcmp(name, "via") != 0 && strcmp(name, "expect") != 0 &&
            strcmp(name, "max-forwards") != 0 && strcmp(name, "connection") != 0 &&
            strcmp(name, "upgrade") != 0 && strcmp(name, "content-length") != 0 &&
            strcmp(name, "transfer-encoding") != 0)
            return "a field that nobody asked for";
    }
    for (size_t i = 0; i < sizeof(list_names) / sizeof(list_names[0]); i++) {
        if (count(c, all, list_names[i], &value) != 1)
            return "not one of each list";
    }
    for (size_t i = 0; i < sizeof(single_names) / sizeof(single_names[0]); i++) {
        unsigned n = count(c, all, single_names[i], &value);

        if (n == 0 || (n > 1 && !c->how->trusted))
            return "not one of each field about the visitor";
    }
    if (count(c, all, "x-forwarded-for", &value) != 1 ||
        !ends_with(value, c->data, c->how->visitor) ||
        (!c->how->trusted && !http_span_is(value, c->data, c->how->visitor)))
        return "X-Forwarded-For does not name the visitor";
    if (!c->how->trusted &&
        (count(c, all, "x-real-ip", &value) != 1 || !http_span_is(value, c->data, c->how->visitor)))
        return "X-Real-IP does not name the visitor";
    if (!c->how->trusted && (count(c, all, "x-request-id", &value) != 1 ||
                             !http_span_is(value, c->data, c->how->request_id)))
        return "the request id is not ours";
    if (count(c, all, "via", &value) == 0 || !ends_with(value, c->data, " netwall"))
        return "no Via of ours";
    return NULL;
}

/* The next reader understands the same. */
static const char *meaning_fault(const struct check *c)
{
    const struct http_framing *in = &c->in->framing, *out = &c->out.framing;
    bool upgrades = http_rewrite_upgrades(c->in, c->in_data);

    if (strcmp(c->in->authority.host, c->out.authority.host) != 0 ||
        c->in->authority.port != c->out.authority.port)
        return "another host";
    if (in->chunked != out->chunked || in->has_content_length != out->has_content_length ||
        in->content_length != out->content_length || out->minor != 1)
        return "another framing";
    if (!same_bytes(c->in_data, c->in->method, c->data, c->out.method))
        return "another method";
    if (c->in->expect_continue != c->out.expect_continue || out->nominates || out->keep_alive)
        return "another expectation";
    if (c->in->has_max_forwards != c->out.has_max_forwards ||
        c->out.max_forwards != (c->in->max_forwards > 0 ? c->in->max_forwards - 1 : 0))
        return "not one less of Max-Forwards";
    if (out->upgrade != upgrades || (c->out.upgrade.len > 0) != upgrades ||
        out->close != (!upgrades && !c->how->keep_alive))
        return "another connection";
    if (c->out.path.len == 0 ? c->in->path.len > 0 : c->data[c->out.target.at] != '/')
        return "not the origin form";
    return NULL;
}

static const char *output_fault(struct check *c, const char *out, size_t len)
{
    const struct http_head_limits limits = {
        .head_max = len, .target_max = len, .headers_max = c->in->limits.headers_max + 12};
    struct http_fields rest;
    const char *fault;

    c->data = out;
    http_head_init(&c->out, &limits);
    if (http_head_feed(&c->out, out, len) != HTTP_HEAD_OK || c->out.len != len)
        return "not sound";
    fault = meaning_fault(c);
    if (fault == NULL)
        fault = fields_fault(c, &rest);
    return fault != NULL ? fault : ours_fault(c, rest);
}

/* Blocks of exactly the sizes that are promised to be enough, and one byte less than needed. */
const char *rewritten_request_fault(const struct http_head *head, const char *data,
                                    const struct http_forward *how)
{
    size_t cap = head->len + HTTP_REWRITE_EXTRA, len;
    struct check c = {.in = head, .in_data = data, .how = how};
    char *out = malloc(cap), *less;
    const char *fault = "no room in what is always enough";

    if (out == NULL)
        abort();
    if (head->passes == HTTP_PASSES_MAX) { /* one more is not sound */
        free(out);
        return NULL;
    }
    len = http_rewrite_request(out, cap, head, data, how);
    if (head->authority.host[0] == '\0') {
        free(out);
        return len == 0 ? NULL : "rewritten without a host";
    }
    if (len > 0)
        fault = output_fault(&c, out, len);
    free(out);
    less = malloc(len > 1 ? len - 1 : 1);
    if (less == NULL)
        abort();
    if (fault == NULL && http_rewrite_request(less, len - 1, head, data, how) != 0)
        fault = "more was written than there is room";
    free(less);
    return fault;
}

/* --- answers --- */

struct reply_check {
    const struct http_response *in;
    const char *in_data;
    const struct http_reply *how;
    struct http_response out;
    const char *data;
};

static const char *reply_meaning_fault(const struct reply_check *c)
{
    const struct http_framing *in = &c->in->framing, *out = &c->out.framing;
    bool says = c->in->code >= 200 && c->in->code != 204;
    bool has_length = says && in->has_content_length && c->how->body != HTTP_BODY_CHUNKED &&
                      c->how->body != HTTP_BODY_CLOSE;
    bool upgrades =
        c->how->upgrade || (c->in->code == 426 && http_protocols_pass(c->in->upgrade, c->in_data));

    if (c->in->code != c->out.code ||
        !same_bytes(c->in_data, c->in->reason, c->data, c->out.reason))
        return "another status";
    if (out->chunked != (says && c->how->body == HTTP_BODY_CHUNKED) ||
        out->has_content_length != has_length ||
        (has_length && in->content_length != out->content_length))
        return "another framing";
    if (out->minor != 1 || out->nominates || out->upgrade != upgrades ||
        (c->out.upgrade.len > 0) != upgrades)
        return "another connection";
    if (out->close != (c->in->code >= 200 && c->how->close) ||
        out->keep_alive != (c->in->code >= 200 && !c->how->close && c->how->minor == 0))
        return "another persistence";
    return NULL;
}

/* Exactly the fields that go on come first, then only ours. */
static const char *reply_fields_fault(const struct reply_check *c)
{
    struct http_fields in, rest;
    struct http_field field, out;
    char name[NAME_MAX_LEN + 1];
    unsigned ours = 0;
    bool dated = c->in->code < 200 || c->how->date == NULL || c->in->has_date;

    http_fields_start(&in, c->in_data, c->in->len);
    http_fields_start(&rest, c->data, c->out.len);
    while (http_fields_next(&in, c->in_data, &field)) {
        plain_name(name, c->in_data, field.name);
        if (ONE_OF(name, hop_names) || is_nominated(c->in_data, c->in->len, field.name))
            continue;
        if (!http_fields_next(&rest, c->data, &out) ||
            !same_bytes(c->in_data, field.name, c->data, out.name) ||
            !same_bytes(c->in_data, field.value, c->data, out.value))
            return "a field that goes on is missing";
    }
    while (http_fields_next(&rest, c->data, &out))
        ours++;
    if (!http_span_is(out.name, c->data, "Via") || !ends_with(out.value, c->data, " netwall"))
        return "no Via of ours";
    if (ours != 1u + c->out.framing.chunked + c->out.framing.has_content_length +
                    (c->out.framing.close || c->out.framing.keep_alive || c->out.framing.upgrade) +
                    c->out.framing.upgrade + !dated)
        return "a field that nobody asked for";
    return NULL;
}

static const char *reply_output_fault(struct reply_check *c, const char *out, size_t len)
{
    const struct http_head_limits limits = {.head_max = len,
                                            .headers_max = c->in->limits.headers_max + 6};
    const char *fault;

    c->data = out;
    http_response_init(&c->out, &limits);
    if (http_response_feed(&c->out, out, len) != HTTP_HEAD_OK || c->out.len != len)
        return "not sound";
    fault = reply_meaning_fault(c);
    return fault != NULL ? fault : reply_fields_fault(c);
}

const char *rewritten_response_fault(const struct http_response *head, const char *data,
                                     const struct http_reply *how)
{
    size_t cap = head->len + HTTP_REWRITE_EXTRA, len;
    struct reply_check c = {.in = head, .in_data = data, .how = how};
    char *out = malloc(cap), *less;
    const char *fault = "no room in what is always enough";

    if (out == NULL)
        abort();
    len = http_rewrite_response(out, cap, head, data, how);
    if (len == 0 && how->upgrade && !http_protocols_pass(head->upgrade, data))
        fault = NULL;
    else if (len > 0)
        fault = reply_output_fault(&c, out, len);
    free(out);
    less = malloc(len > 1 ? len - 1 : 1);
    if (less == NULL)
        abort();
    if (fault == NULL && len > 0 && http_rewrite_response(less, len - 1, head, data, how) != 0)
        fault = "more was written than there is room";
    free(less);
    return fault;
}
