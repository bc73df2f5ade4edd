/* SPDX-License-Identifier: Apache-2.0 */
/* A visitor at the door: the ClientHello is read, the name is looked up, heads are read and
 * rewritten. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/route.h"
#include "modules/gateway/sni.h"
#include "modules/http/rewrite.h"
#include "tests/cost/cost.h"

#define EXPOSURES 1000
#define HELLO "tests/fuzz/seeds/fuzz_hello/openssl_tls13"

/* --- hello --- */

static uint8_t hello[16384];
static size_t hello_len;

static void hello_begin(void)
{
    const char *source = getenv("NW_SOURCE_DIR");
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/" HELLO, source != NULL ? source : ".");
    file = fopen(path, "rb");
    cost_must(file != NULL, path);
    hello_len = fread(hello, 1, sizeof(hello), file);
    (void)fclose(file);
}

static void hello_once(void)
{
    struct gw_sni sni;

    gw_sni_init(&sni, sizeof(hello));
    cost_must(gw_sni_feed(&sni, hello, hello_len) == GW_SNI_HOST, "hello");
}

/* --- route --- */

static struct gw_routes *routes;

static void put(int i)
{
    struct gw_exposure *exposure = gw_exposure_new(), *old;
    struct gw_site *site;

    cost_must(exposure != NULL, "memory");
    exposure->kind = GW_KIND_FQDN;
    exposure->backend_count = 1;
    (void)snprintf(exposure->id, sizeof(exposure->id), "7-%d-blog", i);
    (void)snprintf(exposure->host, sizeof(exposure->host),
                   i == 0 ? "*.gw.example" : "blog%d.gw.example", i);
    cost_must(gw_routes_put(routes, exposure, &site, &old) == ERR_OK, "an exposure");
    gw_exposure_unref(exposure);
}

static void route_begin(void)
{
    cost_must(gw_routes_new(&routes) == ERR_OK, "memory");
    for (int i = 0; i < EXPOSURES; i++)
        put(i);
}

static void route_once(void)
{
    cost_must(gw_routes_by_host(routes, "blog500.gw.example") != NULL, "its own name");
    cost_must(gw_routes_by_host(routes, "other.gw.example") != NULL, "a wildcard");
    cost_must(gw_routes_by_host(routes, "blog500.gw.invalid") == NULL, "a name of nobody");
}

static void route_end(void)
{
    gw_routes_free(routes);
}

/* --- request --- */

const char cost_request[] =
    "GET /2026/11/a-page?from=start HTTP/1.1\r\n"
    "Host: blog500.gw.example\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: http://blog500.gw.example/\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "\r\n";
const size_t cost_request_len = sizeof(cost_request) - 1;

const char cost_answer[] = "HTTP/1.1 200 OK\r\n"
                           "Server: nginx/1.22.1\r\n"
                           "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
                           "Content-Type: text/html; charset=utf-8\r\n"
                           "Content-Length: 16\r\n"
                           "Last-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
                           "Connection: keep-alive\r\n"
                           "ETag: \"6740f3a0-10\"\r\n"
                           "Accept-Ranges: bytes\r\n"
                           "\r\n"
                           "sixteen bytes..\n";
const size_t cost_answer_len = sizeof(cost_answer) - 1;

static const struct http_head_limits limits = {16384, 8192, 100};

size_t cost_forward_request(char *out, size_t cap)
{
    static const struct http_forward how = {.visitor = "192.0.2.1",
                                            .proto = "http",
                                            .port = 80,
                                            .request_id = "0123456789abcdef0123456789abcdef",
                                            .keep_alive = true};
    struct http_head head;
    size_t len;

    http_head_init(&head, &limits);
    cost_must(http_head_feed(&head, cost_request, cost_request_len) == HTTP_HEAD_OK, "a request");
    len = http_rewrite_request(out, cap, &head, cost_request, &how);
    cost_must(len > 0, "a request written");
    return len;
}

size_t cost_forward_answer(char *out, size_t cap)
{
    static const struct http_reply how = {.body = HTTP_BODY_LENGTH, .minor = 1};
    struct http_response head;
    size_t len;

    http_response_init(&head, &limits);
    cost_must(http_response_feed(&head, cost_answer, cost_answer_len) == HTTP_HEAD_OK, "an answer");
    len = http_rewrite_response(out, cap, &head, cost_answer, &how);
    cost_must(len > 0, "an answer written");
    return len;
}

static void nothing(void)
{
}

static void request_once(void)
{
    char out[4096];

    (void)cost_forward_request(out, sizeof(out));
}

static void answer_once(void)
{
    char out[4096];

    (void)cost_forward_answer(out, sizeof(out));
}

const struct cost_scenario cost_door[] = {{"hello", hello_begin, hello_once, NULL},
                                          {"route", route_begin, route_once, route_end},
                                          {"request-head", nothing, request_once, NULL},
                                          {"answer-head", nothing, answer_once, NULL},
                                          {0}};
