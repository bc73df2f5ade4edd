/* SPDX-License-Identifier: Apache-2.0 */
/* Reading gateway.conf: one function per section, one table for the limits. */
#include "modules/gateway/config.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define KIB 1024ull
#define MIB (1024 * KIB)
#define PATH_DEFAULT "/var/lib/netwall/gateway"
#define DNS_PORT 53
#define ACCESS_RATE 10000
#define ACCESS_RATE_MAX 1000000

enum unit { MS, BYTES, COUNT };

/* One row per key of [limits]; MIN..MAX is what makes sense, not what is wise. */
static const struct limit_key {
    const char *key;
    size_t at; /* offset in struct gw_limits */
    enum unit unit;
    uint64_t min, max, value;
} limit_keys[] = {
#define LIMIT(k, field, u, lo, hi, def)                                                            \
    {                                                                                              \
        k, offsetof(struct gw_limits, field), u, lo, hi, def                                       \
    }
    LIMIT("first-bytes-timeout", first_bytes_timeout_ms, MS, 100, HOUR, 10 * SECOND),
    LIMIT("idle-timeout", idle_timeout_ms, MS, SECOND, 168 * HOUR, 300 * SECOND),
    LIMIT("tcp-idle-timeout", tcp_idle_timeout_ms, MS, SECOND, 720 * HOUR, 24 * HOUR),
    LIMIT("open-timeout", open_timeout_ms, MS, 100, HOUR, 10 * SECOND),
    LIMIT("tunnel-wait", tunnel_wait_ms, MS, 0, HOUR, 3 * SECOND),
    LIMIT("drain-timeout", drain_timeout_ms, MS, 0, 24 * HOUR, 30 * SECOND),
    LIMIT("upgrade-drain-timeout", upgrade_drain_timeout_ms, MS, 0, 24 * HOUR, 5 * MINUTE),
    LIMIT("upgrade-ready-timeout", upgrade_ready_timeout_ms, MS, SECOND, HOUR, 60 * SECOND),
    LIMIT("resume-window", resume_window_ms, MS, 0, HOUR, 10 * SECOND),
    LIMIT("handshake-timeout", handshake_timeout_ms, MS, 100, MINUTE, 5 * SECOND),
    LIMIT("hello-max", hello_max_bytes, BYTES, KIB, 64 * KIB, 16 * KIB),
    LIMIT("head-max", head_max_bytes, BYTES, KIB, 256 * KIB, 16 * KIB),
    LIMIT("target-max", target_max_bytes, BYTES, 64, 256 * KIB, 8 * KIB),
    LIMIT("headers-max", headers_max, COUNT, 1, 1000, 100),
    LIMIT("stream-window", stream_window_bytes, BYTES, 16 * KIB, 64 * MIB, 256 * KIB),
    LIMIT("stream-window-max", stream_window_max_bytes, BYTES, 16 * KIB, 64 * MIB, 4 * MIB),
    LIMIT("session-window", session_window_bytes, BYTES, 64 * KIB, 1024 * MIB, 16 * MIB),
    LIMIT("streams-per-session", streams_per_session, COUNT, 1, 1000000, 10000),
    LIMIT("sessions-per-key", sessions_per_key, COUNT, 1, 10000, 16),
    LIMIT("pending-handshakes", pending_handshakes, COUNT, 1, 65536, 1024),
    LIMIT("pending-per-source", pending_per_source, COUNT, 1, 65536, 16),
    LIMIT("visitors-per-source", visitors_per_source, COUNT, 1, 1000000, 1000),
    LIMIT("exposures", exposures, COUNT, 1, 1000000, 100000),
#undef LIMIT
};

#define LIMIT_KEYS (sizeof(limit_keys) / sizeof(limit_keys[0]))

static uint64_t *limit_at(struct gw_limits *limits, const struct limit_key *row)
{
    return (uint64_t *)(void *)((char *)limits + row->at);
}

static void add_any(struct gw_addrs *list, uint16_t port)
{
    (void)addr_from_ip(&list->at[0], "0.0.0.0", port); /* literals: cannot fail */
    (void)addr_from_ip(&list->at[1], "::", port);
    list->count = 2;
}

/* That we may run on, as far as there is use for them. */
static unsigned cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : n > GW_THREADS_MAX ? GW_THREADS_MAX : (unsigned)n;
}

void gw_config_default(struct gw_config *out)
{
    memset(out, 0, sizeof(*out));
    add_any(&out->http, 80);
    add_any(&out->https, 443);
    add_any(&out->tunnel, 7443);
    add_any(&out->tcp_addresses, 0);
    out->tunnel_on_https = true;
    out->tcp_from = 20000;
    out->tcp_to = 20999;
    out->threads = cores();
    out->edge.access_log_rate = ACCESS_RATE;
    out->edge.reuse = true;
    (void)snprintf(out->key_path, sizeof(out->key_path), "gateway.key");
    (void)snprintf(out->state_dir, sizeof(out->state_dir), PATH_DEFAULT);
    for (size_t i = 0; i < LIMIT_KEYS; i++)
        *limit_at(&out->limits, &limit_keys[i]) = limit_keys[i].value;
}

/* Copy the text of KEY to OUT; a longer one is an error. */
static void take_text(struct ini *ini, int section, const char *key, char *out, size_t cap)
{
    const char *text = NULL;

    ini_get_text(ini, section, key, &text);
    if (text == NULL)
        return;
    if (strlen(text) >= cap)
        ini_fail(ini, section, key, "is longer than %zu bytes", cap - 1);
    else
        (void)snprintf(out, cap, "%s", text);
}

/* How an item of an address list is written. */
enum port_rule {
    PORT_GIVEN, /* ip:port */
    PORT_NONE,  /* ip */
    PORT_DNS,   /* ip or ip:port */
};

/* An address alone, a v6 one with or without brackets. */
static int parse_ip(struct addr *out, const char *item, uint16_t port)
{
    char bare[ADDR_IP_MAX];
    size_t len = strlen(item);

    if (len < 2 || item[0] != '[' || item[len - 1] != ']')
        return addr_from_ip(out, item, port);
    if (len - 2 >= sizeof(bare) || strchr(item, ':') == NULL)
        return ERR_INVALID;
    memcpy(bare, item + 1, len - 2);
    bare[len - 2] = '\0';
    return addr_from_ip(out, bare, port);
}

static int parse_item(struct addr *out, const char *item, enum port_rule rule)
{
    if (rule == PORT_NONE)
        return parse_ip(out, item, 0);
    if (rule == PORT_DNS && parse_ip(out, item, DNS_PORT) == ERR_OK)
        return ERR_OK;
    if (addr_parse(out, item) != ERR_OK || !addr_is_ip(out))
        return ERR_INVALID;
    return ERR_OK;
}

/* The key replaces the whole default list; empty means none. */
static void take_addrs(struct ini *ini, int section, const char *key, enum port_rule rule,
                       struct gw_addrs *out)
{
    static const char *const form[] = {"an address with port, as 192.0.2.1:80 or [2001:db8::1]:80",
                                       "an IP address without port", "an IP address"};
    const char *const *items = NULL;
    size_t count = 0;

    if (!ini_get_list(ini, section, key, &items, &count))
        return;
    if (count > GW_LISTEN_MAX) {
        ini_fail(ini, section, key, "has more than %d addresses", GW_LISTEN_MAX);
        return;
    }
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (parse_item(&out->at[i], items[i], rule) != ERR_OK) {
            ini_fail(ini, section, key, "\"%s\" is not %s", items[i], form[rule]);
            return;
        }
        out->count = i + 1;
    }
}

/* WHAT else than a range may stand there, for the message; "" = nothing. */
static void take_ranges(struct ini *ini, int section, const char *key, const char *what,
                        struct gw_ranges *out)
{
    const char *const *items = NULL;
    size_t count = 0;

    if (!ini_get_list(ini, section, key, &items, &count))
        return;
    out->count = 0;
    if (count > GW_CIDR_MAX) {
        ini_fail(ini, section, key, "has more than %d ranges", GW_CIDR_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (cidr_parse(&out->at[i], items[i]) != ERR_OK) {
            ini_fail(ini, section, key, "\"%s\" is not %san address range as 10.1.0.0/16", items[i],
                     what);
            return;
        }
        out->count = i + 1;
    }
}

static void take_direct(struct ini *ini, int section, struct gw_direct *out)
{
    const char *const *items = NULL;
    size_t count = 0;

    if (!ini_get_list(ini, section, "direct-backends", &items, &count))
        return;
    *out = (struct gw_direct){.mode = GW_DIRECT_NONE};
    if (count == 0 || (count == 1 && strcmp(items[0], "none") == 0))
        return;
    if (count == 1 && strcmp(items[0], "public") == 0)
        out->mode = GW_DIRECT_PUBLIC;
    else {
        out->mode = GW_DIRECT_RANGES;
        take_ranges(ini, section, "direct-backends", "none, public or ", &out->ranges);
    }
}

/* One of the three words, by index. */
static void take_word(struct ini *ini, int section, const char *key, const char *const words[3],
                      int *out)
{
    const char *text = NULL;

    ini_get_text(ini, section, key, &text);
    if (text == NULL)
        return;
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return;
        }
    }
    ini_fail(ini, section, key, "\"%s\" is not one of %s, %s, %s", text, words[0], words[1],
             words[2]);
}

static void take_bus(struct ini *ini, struct gw_config *out)
{
    static const char *const modes[] = {"auto", "yes", "no"};
    int bus = ini_find(ini, "bus"), zbus = ini_find(ini, "zbus"), mode = (int)out->zbus;

    ini_known_section(ini, bus);
    ini_known_section(ini, zbus);
    take_text(ini, bus, "url", out->bus_url, sizeof(out->bus_url));
    take_text(ini, bus, "prefix", out->bus_prefix, sizeof(out->bus_prefix));
    take_word(ini, zbus, "serve", modes, &mode);
    out->zbus = (enum gw_zbus_mode)mode;
}

static void take_gateway(struct ini *ini, struct gw_config *out)
{
    static const char *const modes[] = {"owner", "address", "no"};
    int section = ini_find(ini, "gateway"), mode = (int)out->verify_fqdn;
    const char *domain = NULL;
    uint64_t threads = out->threads;

    ini_known_section(ini, section);
    take_text(ini, section, "state-dir", out->state_dir, sizeof(out->state_dir));
    if (out->state_dir[0] == '\0')
        ini_fail(ini, section, "state-dir", "is empty");
    ini_get_text(ini, section, "domain", &domain);
    if (domain != NULL && domain[0] != '\0' &&
        host_canon(out->domain, domain, strlen(domain)) != ERR_OK)
        ini_fail(ini, section, "domain", "\"%s\" is not a host name", domain);
    take_addrs(ini, section, "public-address", PORT_NONE, &out->public_addresses);
    take_word(ini, section, "verify-fqdn", modes, &mode);
    out->verify_fqdn = (enum gw_verify_mode)mode;
    take_addrs(ini, section, "resolver", PORT_DNS, &out->resolvers);
    take_direct(ini, section, &out->direct);
    ini_get_u64(ini, section, "threads", 1, GW_THREADS_MAX, &threads);
    out->threads = (unsigned)threads;
}

/* "from-to" or one port; empty = no TCP exposures. */
static void take_port_range(struct ini *ini, int section, struct gw_config *out)
{
    const char *text = NULL;
    unsigned from = 0, to = 0;
    int used = 0;

    ini_get_text(ini, section, "tcp-ports", &text);
    if (text == NULL)
        return;
    out->tcp_from = out->tcp_to = 0;
    if (text[0] == '\0')
        return;
    if (strspn(text, "0123456789- ") != strlen(text) ||
        sscanf(text, "%5u - %5u%n", &from, &to, &used) != 2 || text[used] != '\0' || from < 1 ||
        to > 65535 || from > to) {
        ini_fail(ini, section, "tcp-ports", "\"%s\" is not a range of ports as 20000-20999", text);
        return;
    }
    out->tcp_from = (uint16_t)from;
    out->tcp_to = (uint16_t)to;
}

static void take_endpoint(struct ini *ini, int section, struct gw_config *out)
{
    const char *text = NULL;
    char host[HOST_CAP + 2];
    uint16_t port;

    ini_get_text(ini, section, "tunnel-endpoint", &text);
    if (text == NULL || text[0] == '\0')
        return;
    if (strlen(text) >= sizeof(out->tunnel_endpoint) ||
        addr_split(host, sizeof(host), &port, text) != ERR_OK) {
        ini_fail(ini, section, "tunnel-endpoint", "\"%s\" is not host:port", text);
        return;
    }
    (void)snprintf(out->tunnel_endpoint, sizeof(out->tunnel_endpoint), "%s", text);
}

/* What connectors can be told when the farmer says nothing: <domain>:<port>, else our first public
 * address, else the address we listen on. */
static void default_endpoint(struct gw_config *self)
{
    const struct gw_addrs *from = self->tunnel.count > 0 ? &self->tunnel : &self->https;
    struct addr a;
    char text[ADDR_TEXT_MAX];

    if (self->tunnel_endpoint[0] != '\0')
        return;
    if (from->count == 0 || (from == &self->https && !self->tunnel_on_https))
        return;
    if (self->domain[0] != '\0') {
        (void)snprintf(self->tunnel_endpoint, sizeof(self->tunnel_endpoint), "%s:%u", self->domain,
                       (unsigned)addr_port(&from->at[0]));
        return;
    }
    a = from->at[0];
    if (self->public_addresses.count > 0) {
        uint8_t ip[16];

        addr_ip16(ip, &self->public_addresses.at[0]);
        addr_from_ip16(&a, ip, addr_port(&from->at[0]));
    }
    addr_print(text, &a);
    (void)snprintf(self->tunnel_endpoint, sizeof(self->tunnel_endpoint), "%s", text);
}

static void take_listen(struct ini *ini, struct gw_config *out)
{
    int section = ini_find(ini, "listen");

    ini_known_section(ini, section);
    take_addrs(ini, section, "http", PORT_GIVEN, &out->http);
    take_addrs(ini, section, "https", PORT_GIVEN, &out->https);
    take_addrs(ini, section, "tunnel", PORT_GIVEN, &out->tunnel);
    take_endpoint(ini, section, out);
    ini_get_bool(ini, section, "tunnel-on-https", &out->tunnel_on_https);
    take_addrs(ini, section, "tcp-address", PORT_NONE, &out->tcp_addresses);
    take_port_range(ini, section, out);
    take_ranges(ini, section, "http-proxy-from", "", &out->http_proxy_from);
    take_ranges(ini, section, "https-proxy-from", "", &out->https_proxy_from);
    take_ranges(ini, section, "tcp-proxy-from", "", &out->tcp_proxy_from);
}

static void take_tunnel(struct ini *ini, struct gw_config *out)
{
    int section = ini_find(ini, "tunnel");

    ini_known_section(ini, section);
    take_text(ini, section, "key", out->key_path, sizeof(out->key_path));
    if (out->key_path[0] == '\0')
        ini_fail(ini, section, "key", "is empty");
    take_text(ini, section, "next-key", out->next_key_path, sizeof(out->next_key_path));
}

static void take_http(struct ini *ini, struct gw_http_config *out)
{
    int section = ini_find(ini, "http");
    const char *format = NULL;

    ini_known_section(ini, section);
    take_ranges(ini, section, "trusted-proxies", "", &out->trusted_proxies);
    ini_get_bool(ini, section, "reuse", &out->reuse);
    take_text(ini, section, "access-log", out->access_log, sizeof(out->access_log));
    ini_get_text(ini, section, "access-log-format", &format);
    if (format != NULL) {
        out->access_log_json = strcmp(format, "json") == 0;
        if (!out->access_log_json && strcmp(format, "text") != 0)
            ini_fail(ini, section, "access-log-format", "\"%s\" is neither text nor json", format);
    }
    ini_get_u64(ini, section, "access-log-rate", 0, ACCESS_RATE_MAX, &out->access_log_rate);
    take_text(ini, section, "error-template", out->error_template, sizeof(out->error_template));
}

static void take_limit(struct ini *ini, int section, const struct limit_key *row,
                       struct gw_limits *out)
{
    uint64_t *value = limit_at(out, row);

    switch (row->unit) {
    case MS:
        ini_get_ms(ini, section, row->key, value);
        break;
    case BYTES:
        ini_get_size(ini, section, row->key, value);
        break;
    case COUNT:
        ini_get_u64(ini, section, row->key, row->min, row->max, value);
        break;
    }
    if (*value < row->min || *value > row->max)
        ini_fail(ini, section, row->key, "must be %llu to %llu%s", (unsigned long long)row->min,
                 (unsigned long long)row->max,
                 row->unit == MS      ? " ms"
                 : row->unit == BYTES ? " bytes"
                                      : "");
}

static void take_limits(struct ini *ini, struct gw_limits *out)
{
    int section = ini_find(ini, "limits");

    ini_known_section(ini, section);
    for (size_t i = 0; i < LIMIT_KEYS; i++)
        take_limit(ini, section, &limit_keys[i], out);
    if (out->stream_window_max_bytes < out->stream_window_bytes)
        ini_fail(ini, section, "stream-window-max", "is smaller than stream-window");
    if (out->session_window_bytes < out->stream_window_bytes)
        ini_fail(ini, section, "session-window", "is smaller than stream-window");
    if (out->target_max_bytes > out->head_max_bytes)
        ini_fail(ini, section, "target-max", "is larger than head-max");
}

/* Checks that need more than one section. */
static void check_whole(struct ini *ini, const struct gw_config *self)
{
    int section = ini_find(ini, "gateway");

    if (self->verify_fqdn == GW_VERIFY_ADDRESS && self->public_addresses.count == 0)
        ini_fail(ini, section, "verify-fqdn", "= address needs public-address");
}

static int take_all(struct ini *ini, struct gw_config *out, char why[INI_WHY_MAX])
{
    gw_config_default(out);
    take_bus(ini, out);
    take_gateway(ini, out);
    take_listen(ini, out);
    take_tunnel(ini, out);
    take_http(ini, &out->edge);
    take_limits(ini, &out->limits);
    check_whole(ini, out);
    default_endpoint(out);
    return ini_finish(ini, why);
}

int gw_config_parse(struct gw_config *out, const char *file, const char *text, size_t len,
                    char why[INI_WHY_MAX])
{
    struct ini *ini = NULL;
    int rc = ini_parse(&ini, file, text, len, why);

    if (rc != ERR_OK)
        return rc;
    rc = take_all(ini, out, why);
    ini_free(ini);
    return rc;
}

/* PATH under DIR unless it is absolute or empty. */
static int place(char path[GW_PATH_MAX], const char *dir)
{
    char whole[GW_PATH_MAX];
    int len;

    if (path[0] == '/' || path[0] == '\0')
        return ERR_OK;
    len = snprintf(whole, sizeof(whole), "%s/%s", dir, path);
    if (len < 0 || (size_t)len >= sizeof(whole))
        return ERR_LIMIT;
    memcpy(path, whole, (size_t)len + 1);
    return ERR_OK;
}

int gw_config_place(struct gw_config *self, const char *dir)
{
    size_t len = strlen(dir);

    if (len == 0 || len >= sizeof(self->state_dir))
        return ERR_LIMIT;
    if (dir != self->state_dir)
        memcpy(self->state_dir, dir, len + 1);
    if (place(self->key_path, self->state_dir) != ERR_OK ||
        place(self->next_key_path, self->state_dir) != ERR_OK ||
        place(self->edge.access_log, self->state_dir) != ERR_OK ||
        place(self->edge.error_template, self->state_dir) != ERR_OK)
        return ERR_LIMIT;
    return ERR_OK;
}

int gw_config_load(struct gw_config *out, const char *path, const char *state_dir,
                   char why[INI_WHY_MAX])
{
    struct ini *ini = NULL;
    int rc = ini_load(&ini, path, why);

    if (rc != ERR_OK)
        return rc;
    rc = take_all(ini, out, why);
    ini_free(ini);
    if (rc != ERR_OK)
        return rc;
    if (gw_config_place(out, state_dir != NULL ? state_dir : out->state_dir) == ERR_OK)
        return ERR_OK;
    (void)snprintf(why, INI_WHY_MAX, "%s: the path of the state folder and a file is too long",
                   path);
    return ERR_INVALID;
}

bool gw_config_is_public(const struct gw_config *self, const struct addr *a)
{
    uint8_t ip[16], own[16];

    addr_ip16(ip, a);
    for (size_t i = 0; i < self->public_addresses.count; i++) {
        addr_ip16(own, &self->public_addresses.at[i]);
        if (memcmp(ip, own, sizeof(ip)) == 0)
            return true;
    }
    return false;
}

bool gw_ranges_contain(const struct gw_ranges *ranges, const struct addr *a)
{
    for (size_t i = 0; i < ranges->count; i++) {
        if (cidr_contains(&ranges->at[i], a))
            return true;
    }
    return false;
}

bool gw_config_direct_ok(const struct gw_config *self, const struct addr *a)
{
    if (!addr_is_ip(a) || gw_config_is_public(self, a))
        return false;
    if (self->direct.mode == GW_DIRECT_PUBLIC)
        return addr_is_public(a);
    return gw_ranges_contain(&self->direct.ranges, a);
}
