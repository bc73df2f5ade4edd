/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.conf (INTERFACE section 7) as one plain struct: read once, checked with errors that name
 * the line, then const. Reads no key file, opens no socket, looks up no name.
 */
#ifndef MODULES_GATEWAY_CONFIG_H
#define MODULES_GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "bus/base/host.h"
#include "bus/base/ini.h"

#define GW_LISTEN_MAX 16 /* addresses of one list */
#define GW_CIDR_MAX 64   /* address ranges of one list */
#define GW_PATH_MAX 1024 /* a path with its NUL */
#define GW_URL_MAX 512   /* bus URL with its NUL */
#define GW_PREFIX_MAX 64 /* bus prefix with its NUL */
#define GW_THREADS_MAX 8
#define GW_ENDPOINT_MAX (HOST_CAP + 8) /* "host:port" with its NUL */

struct gw_addrs {
    struct addr at[GW_LISTEN_MAX];
    size_t count; /* 0 = off */
};

struct gw_ranges {
    struct cidr at[GW_CIDR_MAX];
    size_t count;
};

/* [gateway] verify-fqdn: how a tenant proves that a host name is its own. */
enum gw_verify_mode {
    GW_VERIFY_OWNER,   /* domains entry of the grant, or TXT _netwall.<fqdn> */
    GW_VERIFY_ADDRESS, /* A or AAAA equals one of our public addresses */
    GW_VERIFY_NO,
};

/* [gateway] direct-backends: what the gateway may dial by itself. */
enum gw_direct_mode {
    GW_DIRECT_NONE,
    GW_DIRECT_PUBLIC, /* addresses that the whole internet reaches, but never our own */
    GW_DIRECT_RANGES, /* what `ranges` covers */
};

struct gw_direct {
    enum gw_direct_mode mode;
    struct gw_ranges ranges;
};

/* [zbus] serve: whether gateway.manager listens. */
enum gw_zbus_mode {
    GW_ZBUS_AUTO, /* only without an agent */
    GW_ZBUS_YES,
    GW_ZBUS_NO,
};

/* [http]; both paths absolute or relative to state-dir, which is put in front. */
struct gw_http_config {
    struct gw_ranges trusted_proxies; /* peers whose forwarded fields are believed */
    bool reuse;                       /* ways to services go from visitor to visitor */
    char access_log[GW_PATH_MAX];     /* "" = none is written */
    bool access_log_json;
    uint64_t access_log_rate;         /* lines in a second at most; 0 = no cap */
    char error_template[GW_PATH_MAX]; /* "" = the built-in page */
};

/* [limits]; all times in ms, all sizes in bytes. */
struct gw_limits {
    uint64_t first_bytes_timeout_ms; /* accept -> complete hello or head */
    uint64_t idle_timeout_ms;        /* HTTP and TLS, no byte either way */
    uint64_t tcp_idle_timeout_ms;
    uint64_t open_timeout_ms; /* OPEN -> OPEN_OK, or a direct dial */
    uint64_t tunnel_wait_ms;  /* how long a visitor waits for a connector to come */
    uint64_t drain_timeout_ms;
    uint64_t upgrade_drain_timeout_ms;
    uint64_t upgrade_ready_timeout_ms; /* SIGUSR2 -> the new process takes over */
    uint64_t resume_window_ms;
    uint64_t handshake_timeout_ms; /* accept of a tunnel -> msg3 */
    uint64_t hello_max_bytes;
    uint64_t head_max_bytes;
    uint64_t target_max_bytes;
    uint64_t headers_max; /* header fields in a request head */
    uint64_t stream_window_bytes;
    uint64_t stream_window_max_bytes;
    uint64_t session_window_bytes;
    uint64_t streams_per_session;
    uint64_t sessions_per_key;
    uint64_t pending_handshakes;
    uint64_t pending_per_source;
    uint64_t visitors_per_source;
    uint64_t exposures;
};

struct gw_config {
    /* [bus]; both empty under an agent, which gives them in the environment */
    char bus_url[GW_URL_MAX];
    char bus_prefix[GW_PREFIX_MAX];
    enum gw_zbus_mode zbus;
    /* [gateway] */
    char state_dir[GW_PATH_MAX];
    char domain[HOST_CAP];            /* canonical; "" = name exposures are refused */
    struct gw_addrs public_addresses; /* port 0 */
    enum gw_verify_mode verify_fqdn;
    struct gw_addrs resolvers; /* none = the system's; port 53 when not given */
    struct gw_direct direct;
    unsigned threads; /* that carry bytes: 1..GW_THREADS_MAX */
    /* [listen] */
    struct gw_addrs http;
    struct gw_addrs https;
    struct gw_addrs tunnel;
    char tunnel_endpoint[GW_ENDPOINT_MAX]; /* "host:port"; "" only when there is none to tell */
    bool tunnel_on_https;
    struct gw_addrs tcp_addresses; /* where TCP exposures listen; port 0 */
    uint16_t tcp_from;             /* first port of the range; 0 = no TCP exposures */
    uint16_t tcp_to;               /* last port of the range */
    /* Sources whose connections to that kind of listener begin with a PROXY header; none: nobody's
     * header is believed. */
    struct gw_ranges http_proxy_from;
    struct gw_ranges https_proxy_from;
    struct gw_ranges tcp_proxy_from;
    /* [tunnel]; both absolute or relative to the working directory (state-dir is put in front) */
    char key_path[GW_PATH_MAX];
    char next_key_path[GW_PATH_MAX]; /* "" = no rotation */
    struct gw_http_config edge;      /* [http] */
    struct gw_limits limits;
};

/* What holds without a file. */
void gw_config_default(struct gw_config *out);

/*
 * Read PATH over the defaults. STATE_DIR (may be NULL) replaces [gateway] state-dir. Returns 0,
 * ERR_SYS (can't be read) or ERR_INVALID, with WHY = "file:line: what is wrong"; OUT is then
 * unspecified.
 */
int gw_config_load(struct gw_config *out, const char *path, const char *state_dir,
                   char why[INI_WHY_MAX]);

/* The same for LEN bytes of text; FILE is the name used in messages. */
int gw_config_parse(struct gw_config *out, const char *file, const char *text, size_t len,
                    char why[INI_WHY_MAX]);

/* Put DIR in place of the state folder, and in front of relative paths. Returns 0 or ERR_LIMIT. */
int gw_config_place(struct gw_config *self, const char *dir);

/* Whether the gateway itself may dial A: the policy covers it and it is none of our own public
 * addresses (a loop). */
bool gw_config_direct_ok(const struct gw_config *self, const struct addr *a);

/* Whether any of RANGES covers A. */
bool gw_ranges_contain(const struct gw_ranges *ranges, const struct addr *a);

/* Whether IP (port ignored) is one of our public addresses. */
bool gw_config_is_public(const struct gw_config *self, const struct addr *a);

#endif
