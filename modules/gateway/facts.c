/* SPDX-License-Identifier: Apache-2.0 */
/* Building result data. jansson's *_new functions take NULL and fail, so errors show at the end. */
#include "modules/gateway/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_PORT 80
#define HTTPS_PORT 443
#define URL_CAP (HOST_CAP + 32)

json_t *gw_facts_tunnel(const struct gw_facts *self)
{
    json_t *tunnel = json_pack("{s:s, s:s}", "endpoint", self->config->tunnel_endpoint,
                               "public_key", self->public_key);

    if (tunnel != NULL && self->next_key != NULL && self->next_key[0] != '\0')
        (void)json_object_set_new(tunnel, "next_public_key", json_string(self->next_key));
    return tunnel;
}

json_t *gw_facts_addresses(const struct gw_facts *self)
{
    json_t *list = json_array();
    char text[ADDR_IP_MAX];

    for (size_t i = 0; i < self->config->public_addresses.count; i++) {
        addr_print_ip(text, &self->config->public_addresses.at[i]);
        (void)json_array_append_new(list, json_string(text));
    }
    return list;
}

static void add_url(json_t *urls, const char *scheme, const struct gw_exposure *x, uint16_t port,
                    uint16_t usual)
{
    char text[URL_CAP];

    if (port == usual)
        (void)snprintf(text, sizeof(text), "%s://%s", scheme, x->host);
    else
        (void)snprintf(text, sizeof(text), "%s://%s:%u", scheme, x->host, (unsigned)port);
    (void)json_array_append_new(urls, json_string(text));
}

static void warn(json_t *warnings, const char *text)
{
    (void)json_array_append_new(warnings, json_string(text));
}

static bool is_wild(const struct gw_exposure *x)
{
    return x->host[0] == '*';
}

/* urls says what works, warnings why the rest does not; what the contract turns off is no surprise.
 */
static void describe_http(const struct gw_facts *self, const struct gw_exposure *x, json_t *urls,
                          json_t *warnings)
{
    const struct gw_addrs *http = &self->config->http, *https = &self->config->https;

    if (x->http == GW_HTTP_FORWARD && http->count == 0)
        warn(warnings, "http is not served here: this gateway has no HTTP port");
    else if (x->http == GW_HTTP_REDIRECT && http->count > 0 &&
             (!x->tls_passthrough || https->count == 0))
        warn(warnings, "http only redirects to https, which is not served here");
    else if (x->http == GW_HTTP_FORWARD && !is_wild(x))
        add_url(urls, "http", x, addr_port(&http->at[0]), HTTP_PORT);

    if (!x->tls_passthrough)
        warn(warnings, "https is not served here: tls_passthrough is false");
    else if (https->count == 0)
        warn(warnings, "https is not served here: this gateway has no TLS port");
    else if (!is_wild(x))
        add_url(urls, "https", x, addr_port(&https->at[0]), HTTPS_PORT);
    if (is_wild(x))
        warn(warnings, "a wildcard has no URL of its own: put one label in place of *");
}

static void add_record(json_t *dns, const char *name, const char *type, const char *value)
{
    (void)json_array_append_new(
        dns, json_pack("{s:s, s:s, s:s}", "name", name, "type", type, "value", value));
}

/* The records that make the name lead here, and those that prove whose it is. */
static json_t *dns_records(const struct gw_facts *self, const struct gw_wanted *wanted)
{
    const struct gw_config *config = self->config;
    const char *host = wanted->exposure->host;
    char name[HOST_CAP + 16], value[80], ip[ADDR_IP_MAX];
    json_t *dns = json_array();

    for (size_t i = 0; i < config->public_addresses.count; i++) {
        addr_print_ip(ip, &config->public_addresses.at[i]);
        add_record(dns, host, strchr(ip, ':') != NULL ? "AAAA" : "A", ip);
    }
    if (wanted->exposure->kind != GW_KIND_FQDN || config->verify_fqdn != GW_VERIFY_OWNER ||
        wanted->twin_key[0] == '\0' || gw_wanted_covered(wanted))
        return dns;
    (void)snprintf(name, sizeof(name), "_netwall.%s", is_wild(wanted->exposure) ? host + 2 : host);
    (void)snprintf(value, sizeof(value), "key=%s", wanted->twin_key);
    add_record(dns, name, "TXT", value);
    return dns;
}

static json_t *name_data(const struct gw_facts *self, const struct gw_wanted *wanted, bool served)
{
    json_t *urls = json_array(), *warnings = json_array();

    if (served)
        describe_http(self, wanted->exposure, urls, warnings);
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "fqdn", wanted->exposure->host, "urls", urls,
                     "tunnel", gw_facts_tunnel(self), "warnings", warnings, "dns",
                     dns_records(self, wanted));
}

static void add_endpoint(json_t *list, const struct addr *ip, uint16_t port)
{
    char text[ADDR_TEXT_MAX];
    uint8_t bytes[16];
    struct addr at;

    addr_ip16(bytes, ip);
    addr_from_ip16(&at, bytes, port);
    addr_print(text, &at);
    (void)json_array_append_new(list, json_string(text));
}

static bool is_any(const struct addr *a)
{
    static const uint8_t v6[16], v4[16] = {[10] = 0xff, [11] = 0xff};
    uint8_t ip[16];

    addr_ip16(ip, a);
    return memcmp(ip, v6, sizeof(ip)) == 0 || memcmp(ip, v4, sizeof(ip)) == 0;
}

static json_t *tcp_data(const struct gw_facts *self, const struct gw_wanted *wanted, bool served)
{
    const struct gw_config *config = self->config;
    uint16_t port = wanted->exposure->port;
    json_t *addresses = json_array(), *warnings = json_array();

    for (size_t i = 0; served && i < config->public_addresses.count; i++)
        add_endpoint(addresses, &config->public_addresses.at[i], port);
    for (size_t i = 0; served && config->public_addresses.count == 0; i++) {
        if (i >= config->tcp_addresses.count)
            break;
        if (!is_any(&config->tcp_addresses.at[i]))
            add_endpoint(addresses, &config->tcp_addresses.at[i], port);
    }
    if (served && json_array_size(addresses) == 0)
        warn(warnings, "this gateway does not know its own address: public-address is not set");
    return json_pack("{s:i, s:o, s:o, s:o}", "port", (int)port, "addresses", addresses, "tunnel",
                     gw_facts_tunnel(self), "warnings", warnings);
}

json_t *gw_facts_data(const struct gw_facts *self, const struct gw_wanted *wanted, bool served)
{
    return wanted->exposure->kind == GW_KIND_TCP ? tcp_data(self, wanted, served)
                                                 : name_data(self, wanted, served);
}

char *gw_facts_urls(const struct gw_facts *self, const struct gw_wanted *wanted)
{
    bool tcp = wanted->exposure->kind == GW_KIND_TCP;
    json_t *data = gw_facts_data(self, wanted, true), *item;
    json_t *list = json_object_get(data, tcp ? "addresses" : "urls");
    char *text = NULL;
    size_t i, len;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        json_decref(data);
        return NULL;
    }
    json_array_foreach(list, i, item)
    {
        fprintf(out, "%s%s%s", i > 0 ? " " : "", tcp ? "tcp://" : "", json_string_value(item));
    }
    json_decref(data);
    if (fclose(out) == 0 && len > 0)
        return text;
    free(text);
    return NULL;
}
