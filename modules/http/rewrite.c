/* SPDX-License-Identifier: Apache-2.0 */
/* Heads as they go on; see rewrite.h. No printf: this runs for every request. */
#include "modules/http/rewrite.h"

#include <string.h>

#include "bus/base/out.h"
#include "modules/http/chars.h"
#include "modules/http/hop.h"
#include "modules/http/protocol.h"

/* One request on its way. */
struct request {
    struct out o;
    const struct http_head *head;
    const char *data;
    const struct http_forward *how;
    unsigned given;        /* a bit for each role that a trusted peer's field has filled */
    struct http_text host; /* Host as it is written */
    struct http_hop fields;
};

static void put_span(struct out *o, const char *data, struct http_span span)
{
    out_bytes(o, data + span.at, span.len);
}

static void put_number(struct out *o, uint64_t v)
{
    char digits[20]; /* of 2^64 */
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    out_bytes(o, digits + n, sizeof(digits) - n);
}

/* The field as it came, without blanks at the edges of its value but the usual one. */
static void put_field(struct out *o, const char *data, const struct http_field *field)
{
    size_t colon = field->name.at + field->name.len, end = field->value.at + field->value.len;
    size_t gap = field->value.at - colon - 1;

    if (gap > 1 || (gap == 1 && data[colon + 1] != ' ')) {
        put_span(o, data, field->name);
        out_text(o, ": ");
        put_span(o, data, field->value);
        out_text(o, "\r\n");
    } else if (data[end] == '\r') {
        out_bytes(o, data + field->name.at, end + 2 - field->name.at);
    } else {
        out_bytes(o, data + field->name.at, end - field->name.at);
        out_text(o, "\r\n");
    }
}

static void put_content_length(struct out *o, const char *data, const struct http_framing *framing)
{
    out_text(o, "Content-Length: ");
    put_span(o, data, framing->length);
    out_text(o, "\r\n");
}

static void put_via(struct out *o, const struct http_framing *framing)
{
    char minor = (char)('0' + framing->minor);

    out_text(o, "Via: 1.");
    out_bytes(o, &minor, 1);
    out_text(o, " netwall\r\n");
}

/* RFC 9112 section 3.2.1; an absolute target without a path is "*" for OPTIONS (3.2.4). */
static void put_target(struct request *r)
{
    struct http_span path = r->head->path;

    if (path.len == 0 && http_span_is(r->head->method, r->data, "OPTIONS"))
        out_text(&r->o, "*");
    else if (path.len == 0 || r->data[path.at] != '/')
        out_text(&r->o, "/");
    put_span(&r->o, r->data, path);
}

/* Request line and Host. */
static void put_start(struct request *r)
{
    const struct http_authority *authority = &r->head->authority;
    size_t start;

    put_span(&r->o, r->data, r->head->method);
    out_text(&r->o, " ");
    put_target(r);
    out_text(&r->o, " HTTP/1.1\r\nHost: ");
    start = out_len(&r->o);
    out_text(&r->o, authority->host);
    if (authority->port != 0) {
        out_text(&r->o, ":");
        put_number(&r->o, authority->port);
    }
    r->host = (struct http_text){(const char *)r->o.start + start, out_len(&r->o) - start};
    out_text(&r->o, "\r\n");
}

/* Whether a field about the visitor, which came from a peer that is trusted, stays as given. */
static bool stays_as_given(struct request *r, const struct http_field *field, enum http_role role)
{
    if (memchr(r->data + field->name.at, '_', field->name.len) != NULL)
        return false; /* no proxy writes that */
    switch (role) {
    case HTTP_ROLE_FORWARDED_PROTO:
    case HTTP_ROLE_FORWARDED_HOST:
    case HTTP_ROLE_FORWARDED_PORT:
    case HTTP_ROLE_REAL_IP:
        if (field->value.len == 0)
            return false;
        r->given |= 1u << role;
        return true;
    case HTTP_ROLE_X_FORWARDED:
        return true;
    default:
        return false; /* written anew */
    }
}

static bool stays(struct request *r, const struct http_field *field, enum http_role role)
{
    if (http_role_goes_on(role))
        return true;
    if (role == HTTP_ROLE_EXPECT)
        return !http_span_is_nocase(field->value, r->data, "100-continue");
    if (role == HTTP_ROLE_MAX_FORWARDS)
        return !r->head->has_max_forwards;
    return r->how->trusted && stays_as_given(r, field, role);
}

/* Whether the lines that go on may be copied as they stand: SECTION knows all the others. */
static bool is_usual(const struct http_section *section, const struct http_framing *framing)
{
    return !section->unusual && !framing->nominates;
}

/* The lines of a usual head but those marked, or of these only the ones that are no HOP. */
static void put_runs(struct out *o, const struct http_section *section, const char *data,
                     size_t end, bool only_hop)
{
    size_t at = section->first;

    for (unsigned i = 0; i < section->marked; i++) {
        const struct http_mark *mark = &section->marks[i];

        if (only_hop && !http_role_ends_here(mark->role))
            continue;
        if (mark->at > at)
            out_bytes(o, data + at, mark->at - at);
        at = mark->end;
    }
    if (end > at)
        out_bytes(o, data + at, end - at);
}

/* Whether there is a field that goes on or not, as its value or the method is. */
static bool has_both_ways(const struct http_section *section)
{
    for (unsigned i = 0; i < section->marked; i++) {
        if (section->marks[i].role == HTTP_ROLE_EXPECT ||
            section->marks[i].role == HTTP_ROLE_MAX_FORWARDS)
            return true;
    }
    return false;
}

static void put_fields(struct request *r)
{
    const struct http_section *section = &r->head->section;
    struct http_field field;
    enum http_role role;

    if (!r->how->trusted && is_usual(section, &r->head->framing) && !has_both_ways(section)) {
        put_runs(&r->o, section, r->data, r->head->len - 2, false);
        return;
    }
    http_hop_start(&r->fields, &r->head->framing, r->data, r->head->len);
    while (http_hop_next(&r->fields, r->data, &field, &role)) {
        if (stays(r, &field, role))
            put_field(&r->o, r->data, &field);
    }
}

/* What a trusted peer has in its lists of ROLE, in one line and with a comma behind it. */
static void put_earlier(struct request *r, enum http_role wanted)
{
    struct http_field field;
    enum http_role role;

    if (!r->how->trusted)
        return;
    http_hop_restart(&r->fields);
    while (http_hop_next(&r->fields, r->data, &field, &role)) {
        if (role != wanted || field.value.len == 0 ||
            memchr(r->data + field.name.at, '_', field.name.len) != NULL)
            continue;
        put_span(&r->o, r->data, field.value);
        out_text(&r->o, ", ");
    }
}

/* The beginning of a Forwarded element (RFC 7239 section 4); what is no token is quoted. */
static void put_forwarded(struct out *o, const struct http_forward *how)
{
    out_text(o, how->is_v6 ? "for=\"[" : "for=");
    out_text(o, how->visitor);
    out_text(o, how->is_v6 ? "]\";proto=" : ";proto=");
    out_text(o, how->proto);
    out_text(o, ";host=");
}

static void put_line(struct out *o, const char *start, const char *text)
{
    out_text(o, start);
    out_text(o, text);
    out_text(o, "\r\n");
}

static void put_port(struct out *o, const struct http_forward *how)
{
    out_text(o, "X-Forwarded-Port: ");
    put_number(o, how->port);
    out_text(o, "\r\n");
}

static void put_stranger(struct out *o, const struct http_forward *how)
{
    put_line(o, "X-Forwarded-For: ", how->visitor);
    put_line(o, "X-Real-IP: ", how->visitor);
    put_line(o, "X-Forwarded-Proto: ", how->proto);
    put_port(o, how);
    out_text(o, "Forwarded: ");
    put_forwarded(o, how);
}

size_t http_rewrite_stranger(char out[HTTP_STRANGER_MAX], const struct http_forward *how)
{
    struct out o = out_init(out, HTTP_STRANGER_MAX);

    put_stranger(&o, how);
    return o.bad ? 0 : out_len(&o);
}

static bool is_missing(const struct request *r, enum http_role role)
{
    return (r->given & 1u << role) == 0;
}

/* The same, of a peer that is trusted: behind what it says itself. */
static void put_friend(struct request *r)
{
    out_text(&r->o, "X-Forwarded-For: ");
    put_earlier(r, HTTP_ROLE_FORWARDED_FOR);
    put_line(&r->o, "", r->how->visitor);
    if (is_missing(r, HTTP_ROLE_REAL_IP))
        put_line(&r->o, "X-Real-IP: ", r->how->visitor);
    if (is_missing(r, HTTP_ROLE_FORWARDED_PROTO))
        put_line(&r->o, "X-Forwarded-Proto: ", r->how->proto);
    if (is_missing(r, HTTP_ROLE_FORWARDED_PORT))
        put_port(&r->o, r->how);
    out_text(&r->o, "Forwarded: ");
    put_earlier(r, HTTP_ROLE_FORWARDED);
    put_forwarded(&r->o, r->how);
}

/* What the service is told about the visitor. */
static void put_visitor(struct request *r)
{
    const char *quote = r->head->authority.port != 0 ? "\"" : "";

    if (r->how->trusted)
        put_friend(r);
    else if (r->how->stranger.len > 0)
        out_bytes(&r->o, r->how->stranger.text, r->how->stranger.len);
    else
        put_stranger(&r->o, r->how);
    out_text(&r->o, quote);
    out_bytes(&r->o, r->host.text, r->host.len);
    out_text(&r->o, quote);
    if (is_missing(r, HTTP_ROLE_FORWARDED_HOST)) {
        out_text(&r->o, "\r\nX-Forwarded-Host: ");
        out_bytes(&r->o, r->host.text, r->host.len);
    }
    out_text(&r->o, "\r\n");
}

static void put_id(struct request *r)
{
    struct http_text id = http_rewrite_request_id(r->head, r->data, r->how);

    out_text(&r->o, "X-Request-Id: ");
    out_bytes(&r->o, id.text, id.len);
    out_text(&r->o, "\r\n");
}

/* One less (RFC 9110 section 7.6.2); who asks with 0 asks nobody behind this hop. */
static void put_max_forwards(struct out *o, uint32_t n)
{
    out_text(o, "Max-Forwards: ");
    put_number(o, n > 0 ? n - 1 : 0);
    out_text(o, "\r\n");
}

/* What this hop says to the next one. */
static void put_hop(struct request *r)
{
    const struct http_framing *framing = &r->head->framing;

    if (framing->chunked)
        out_text(&r->o, "Transfer-Encoding: chunked\r\n");
    else if (framing->has_content_length)
        put_content_length(&r->o, r->data, framing);
    if (r->head->expect_continue)
        out_text(&r->o, "Expect: 100-continue\r\n");
    if (r->head->has_max_forwards)
        put_max_forwards(&r->o, r->head->max_forwards);
    if (http_rewrite_upgrades(r->head, r->data)) {
        out_text(&r->o, "Connection: upgrade\r\nUpgrade: ");
        (void)http_protocols_print(&r->o, r->head->upgrade, r->data); /* there are some */
        out_text(&r->o, "\r\n");
    } else if (!r->how->keep_alive) {
        out_text(&r->o, "Connection: close\r\n");
    }
}

size_t http_rewrite_request(char *out, size_t cap, const struct http_head *head, const char *data,
                            const struct http_forward *how)
{
    struct request r; /* not cleared: the names in `fields` are many, and counted */

    if (head->authority.host[0] == '\0')
        return 0;
    r.o = out_init(out, cap);
    r.head = head;
    r.data = data;
    r.how = how;
    r.given = 0;
    put_start(&r);
    put_fields(&r);
    put_visitor(&r);
    put_hop(&r);
    put_via(&r.o, &head->framing);
    put_id(&r);
    out_text(&r.o, "\r\n");
    return r.o.bad ? 0 : out_len(&r.o);
}

bool http_rewrite_upgrades(const struct http_head *head, const char *data)
{
    const struct http_framing *framing = &head->framing;

    return framing->upgrade && framing->minor > 0 && !framing->chunked &&
           framing->content_length == 0 && http_protocols_pass(head->upgrade, data);
}

/* Only what means nothing in a log, a page or a shell. */
static bool is_request_id(const char *data, struct http_span value)
{
    static const char ok[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~+/=:@-";

    if (value.len == 0 || value.len > HTTP_REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (memchr(ok, data[value.at + i], sizeof(ok) - 1) == NULL)
            return false;
    }
    return true;
}

struct http_text http_rewrite_request_id(const struct http_head *head, const char *data,
                                         const struct http_forward *how)
{
    struct http_text ours = {how->request_id, strlen(how->request_id)}, theirs = {0};
    struct http_field field;
    enum http_role role;
    struct http_hop fields;

    if (!how->trusted)
        return ours;
    http_hop_start(&fields, &head->framing, data, head->len);
    while (http_hop_next(&fields, data, &field, &role)) {
        if (role != HTTP_ROLE_REQUEST_ID ||
            memchr(data + field.name.at, '_', field.name.len) != NULL)
            continue;
        if (theirs.text != NULL || !is_request_id(data, field.value))
            return ours; /* two are as good as none */
        theirs = (struct http_text){data + field.value.at, field.value.len};
    }
    return theirs.text != NULL ? theirs : ours;
}

/* RFC 9112 section 4; the blank before the reason stands even without one. */
static void put_status(struct out *o, const struct http_response *head, const char *data)
{
    out_text(o, "HTTP/1.1 ");
    put_number(o, head->code); /* has three digits */
    out_text(o, " ");
    put_span(o, data, head->reason);
    out_text(o, "\r\n");
}

/* RFC 9112 section 6; an interim answer and 204 say nothing (RFC 9110 section 8.6). */
static void put_reply_framing(struct out *o, const struct http_response *head, const char *data,
                              enum http_body_kind body)
{
    bool keeps = body == HTTP_BODY_LENGTH || body == HTTP_BODY_NONE;

    if (head->code < 200 || head->code == 204)
        return;
    if (body == HTTP_BODY_CHUNKED)
        out_text(o, "Transfer-Encoding: chunked\r\n");
    else if (keeps && head->framing.has_content_length)
        put_content_length(o, data, &head->framing);
}

/* Of a 101, and of a 426, which is nothing without it (RFC 9110 section 15.5.22): a field of this
 * hop, which Connection has to name. */
static bool put_reply_upgrade(struct out *o, const struct http_response *head, const char *data,
                              const struct http_reply *how)
{
    if (!how->upgrade && (head->code != 426 || !http_protocols_pass(head->upgrade, data)))
        return false;
    out_text(o, "Connection: upgrade");
    if (head->code >= 200 && how->close)
        out_text(o, ", close");
    else if (head->code >= 200 && how->minor == 0)
        out_text(o, ", keep-alive");
    out_text(o, "\r\nUpgrade: ");
    o->bad = !http_protocols_print(o, head->upgrade, data) || o->bad;
    out_text(o, "\r\n");
    return true;
}

static void put_reply_connection(struct out *o, const struct http_response *head, const char *data,
                                 const struct http_reply *how)
{
    if (put_reply_upgrade(o, head, data, how) || head->code < 200)
        return;
    if (how->close)
        out_text(o, "Connection: close\r\n");
    else if (how->minor == 0)
        out_text(o, "Connection: keep-alive\r\n");
}

size_t http_rewrite_response(char *out, size_t cap, const struct http_response *head,
                             const char *data, const struct http_reply *how)
{
    struct out o = out_init(out, cap);
    struct http_hop fields; /* not cleared, as in http_rewrite_request */
    struct http_field field;
    enum http_role role;

    put_status(&o, head, data);
    if (is_usual(&head->section, &head->framing)) {
        put_runs(&o, &head->section, data, head->len - 2, true);
    } else {
        http_hop_start(&fields, &head->framing, data, head->len);
        while (http_hop_next(&fields, data, &field, &role))
            put_field(&o, data, &field);
    }
    if (head->code >= 200 && !head->has_date && how->date != NULL && how->date[0] != '\0')
        put_line(&o, "Date: ", how->date);
    put_reply_framing(&o, head, data, how->body);
    put_reply_connection(&o, head, data, how);
    put_via(&o, &head->framing);
    out_text(&o, "\r\n");
    return o.bad ? 0 : out_len(&o);
}
