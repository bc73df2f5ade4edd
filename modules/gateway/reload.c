/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing two configs, which are plain values: every field was zeroed before it was filled. */
#include "modules/gateway/reload.h"

#include <string.h>

#include "bus/base/log.h"

static void refuse(bool differs, const char *key)
{
    if (differs)
        LOG_WARN("this setting changes only with a restart", KV_S("key", key));
}

static bool addrs_differ(const struct gw_addrs *a, const struct gw_addrs *b)
{
    char ta[ADDR_TEXT_MAX], tb[ADDR_TEXT_MAX];

    if (a->count != b->count)
        return true;
    for (size_t i = 0; i < a->count; i++) {
        addr_print(ta, &a->at[i]);
        addr_print(tb, &b->at[i]);
        if (strcmp(ta, tb) != 0)
            return true;
    }
    return false;
}

static bool direct_differs(const struct gw_direct *a, const struct gw_direct *b)
{
    const struct gw_ranges *x = &a->ranges, *y = &b->ranges;

    return a->mode != b->mode || x->count != y->count ||
           memcmp(x->at, y->at, x->count * sizeof(x->at[0])) != 0;
}

static void refuse_fixed(const struct gw_config *running, const struct gw_config *next)
{
    refuse(strcmp(running->bus_url, next->bus_url) != 0, "[bus] url");
    refuse(strcmp(running->bus_prefix, next->bus_prefix) != 0, "[bus] prefix");
    refuse(running->zbus != next->zbus, "[zbus] serve");
    refuse(strcmp(running->state_dir, next->state_dir) != 0, "[gateway] state-dir");
    refuse(running->threads != next->threads, "[gateway] threads");
    refuse(strcmp(running->domain, next->domain) != 0, "[gateway] domain");
    refuse(addrs_differ(&running->resolvers, &next->resolvers), "[gateway] resolver");
    refuse(addrs_differ(&running->http, &next->http), "[listen] http");
    refuse(addrs_differ(&running->https, &next->https), "[listen] https");
    refuse(addrs_differ(&running->tunnel, &next->tunnel), "[listen] tunnel");
    refuse(addrs_differ(&running->tcp_addresses, &next->tcp_addresses), "[listen] tcp-address");
    refuse(running->tunnel_on_https != next->tunnel_on_https, "[listen] tunnel-on-https");
    refuse(running->tcp_from != next->tcp_from || running->tcp_to != next->tcp_to,
           "[listen] tcp-ports");
}

/* Times and counts are looked up when they are needed; sizes of buffers are not. */
static void take_limits(struct gw_limits *running, const struct gw_limits *next)
{
    struct gw_limits taken = *next;

    refuse(running->hello_max_bytes != next->hello_max_bytes, "[limits] hello-max");
    refuse(running->head_max_bytes != next->head_max_bytes, "[limits] head-max");
    refuse(running->stream_window_bytes != next->stream_window_bytes, "[limits] stream-window");
    refuse(running->stream_window_max_bytes != next->stream_window_max_bytes,
           "[limits] stream-window-max");
    refuse(running->session_window_bytes != next->session_window_bytes, "[limits] session-window");
    refuse(running->pending_handshakes != next->pending_handshakes, "[limits] pending-handshakes");
    taken.hello_max_bytes = running->hello_max_bytes;
    taken.head_max_bytes = running->head_max_bytes;
    taken.stream_window_bytes = running->stream_window_bytes;
    taken.stream_window_max_bytes = running->stream_window_max_bytes;
    taken.session_window_bytes = running->session_window_bytes;
    taken.pending_handshakes = running->pending_handshakes;
    *running = taken;
}

bool gw_reload_take(struct gw_config *running, const struct gw_config *next)
{
    bool look = running->verify_fqdn != next->verify_fqdn ||
                direct_differs(&running->direct, &next->direct) ||
                addrs_differ(&running->public_addresses, &next->public_addresses) ||
                strcmp(running->tunnel_endpoint, next->tunnel_endpoint) != 0;

    refuse_fixed(running, next);
    running->verify_fqdn = next->verify_fqdn;
    running->direct = next->direct;
    running->public_addresses = next->public_addresses;
    memcpy(running->tunnel_endpoint, next->tunnel_endpoint, sizeof(running->tunnel_endpoint));
    memcpy(running->key_path, next->key_path, sizeof(running->key_path));
    memcpy(running->next_key_path, next->next_key_path, sizeof(running->next_key_path));
    running->http_proxy_from = next->http_proxy_from;
    running->https_proxy_from = next->https_proxy_from;
    running->tcp_proxy_from = next->tcp_proxy_from;
    running->edge = next->edge;
    take_limits(&running->limits, &next->limits);
    return look;
}
