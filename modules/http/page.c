/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed answers of the gateway; see page.h. */
#include "modules/http/page.h"

#include <string.h>

#include "bus/base/out.h"
#include "modules/http/date.h"
#include "modules/http/template.h"

struct text {
    int status;
    const char *reason;
    const char *words; /* for people */
};

static const struct text texts[] = {
    {200, "OK", "This is the gateway in front of the service, where the request was to end."},
    {308, "Permanent Redirect", "This page is served over https."},
    {400, "Bad Request", "The request could not be understood."},
    {403, "Forbidden", "This service is not open to your address."},
    {404, "Not Found", "Nothing is served here under this name."},
    {405, "Method Not Allowed", "This method is not allowed here."},
    {408, "Request Timeout", "The request did not arrive in time."},
    {414, "URI Too Long", "The address of the page is too long."},
    {429, "Too Many Requests", "Too many connections at once. Please try again soon."},
    {431, "Request Header Fields Too Large", "The request's header is too large."},
    {501, "Not Implemented", "The request asks for something that is not supported."},
    {502, "Bad Gateway", "The service behind this name refused the connection."},
    {503, "Service Unavailable", "The service behind this name is not available right now."},
    {504, "Gateway Timeout", "The service behind this name did not answer in time."},
    {505, "HTTP Version Not Supported", "This HTTP version is not supported."},
};

static const struct text *text_of(int status)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].status == status)
            return &texts[i];
    }
    return NULL;
}

static void print_date(struct out *o, int64_t unix_s)
{
    char date[HTTP_DATE_LEN + 1];

    http_date_print(date, unix_s);
    if (date[0] != '\0')
        out_fmt(o, "Date: %s\r\n", date);
}

static void print_location(struct out *o, const struct http_page *page)
{
    out_fmt(o, "Location: https://%s", page->host);
    if (page->port != 0 && page->port != 443)
        out_fmt(o, ":%u", page->port);
    if (page->path_len == 0 || page->path[0] != '/')
        out_text(o, "/");
    out_bytes(o, page->path, page->path_len);
    out_text(o, "\r\n");
}

static void print_fields(struct out *o, const struct http_page *page, size_t body_len)
{
    if (page->status == 308)
        print_location(o, page);
    if (page->status == 405 || page->status == 200)
        out_text(o, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
    if (page->retry_after_s > 0)
        out_fmt(o, "Retry-After: %u\r\n", page->retry_after_s);
    out_text(o, "Proxy-Status: netwall");
    if (page->proxy_error != NULL)
        out_fmt(o, "; error=%s", page->proxy_error);
    out_fmt(o,
            "\r\nCache-Control: no-store\r\nContent-Type: text/html; charset=utf-8\r\n"
            "Content-Length: %zu\r\nConnection: close\r\n\r\n",
            body_len);
}

/* The operator's page for PAGE, NULL = the built-in one. */
static const struct http_template *template_of(const struct http_page *page)
{
    return page->status >= 400 ? page->template : NULL;
}

static struct http_template_values values_of(const struct http_page *page, const struct text *text)
{
    return (struct http_template_values){
        .status = page->status,
        .reason = text->reason,
        .message = page->words != NULL ? page->words : text->words,
        .request_id = page->request_id,
    };
}

size_t http_page_max(const struct http_page *page)
{
    const struct http_template *template = template_of(page);
    const struct text *text = text_of(page->status);
    struct http_template_values values;

    if (text == NULL || template == NULL)
        return HTTP_PAGE_MAX + page->path_len;
    values = values_of(page, text);
    return HTTP_PAGE_MAX + http_template_len(template, &values);
}

static void print_body(struct out *o, const struct http_template_values *values)
{
    out_fmt(o,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<title>%d %s</title></head>\n<body><h1>%d %s</h1><p>%s</p></body></html>\n",
            values->status, values->reason, values->status, values->reason, values->message);
}

static void print_template(struct out *o, const struct http_template *template,
                           const struct http_template_values *values)
{
    size_t len = http_template_len(template, values);

    if (o->bad || (size_t)(o->end - o->p) < len)
        o->bad = true;
    else
        o->p += http_template_print((char *)o->p, template, values);
}

size_t http_page_print(char *out, size_t cap, const struct http_page *page)
{
    const struct http_template *template = template_of(page);
    const struct text *text = text_of(page->status);
    struct out o = out_init(out, cap);
    char body_mem[512];
    struct out body = out_init(body_mem, sizeof(body_mem));
    struct http_template_values values;

    if (text == NULL)
        return 0;
    values = values_of(page, text);
    print_body(&body, &values);
    out_fmt(&o, "HTTP/1.1 %d %s\r\n", text->status, text->reason);
    print_date(&o, page->now_unix_s);
    print_fields(&o, page,
                 template != NULL ? http_template_len(template, &values) : out_len(&body));
    if (!page->head_only && template != NULL)
        print_template(&o, template, &values);
    else if (!page->head_only)
        out_bytes(&o, body_mem, out_len(&body));
    return o.bad || body.bad ? 0 : out_len(&o);
}
