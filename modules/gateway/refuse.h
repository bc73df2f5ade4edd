/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a visitor or a connector is turned away, and what it sees then (INTERFACE section 8): one
 * table, one counter per reason. It writes to no socket.
 */
#ifndef MODULES_GATEWAY_REFUSE_H
#define MODULES_GATEWAY_REFUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_template;

/* Which port a visitor came to. */
enum gw_port_kind { GW_PORT_HTTP, GW_PORT_TLS, GW_PORT_TCP, GW_PORT_KINDS };

enum gw_reason {
    GW_REASON_NONE,
    /* visitors */
    GW_REASON_UNKNOWN_NAME,
    GW_REASON_NO_NAME,         /* no SNI, or an authority that is no host name */
    GW_REASON_NOT_PASSTHROUGH, /* TLS port: the name is served on the HTTP port only */
    GW_REASON_HTTP_OFF,
    GW_REASON_PAUSED,
    GW_REASON_NO_CONNECTOR,
    GW_REASON_BACKEND_REFUSED,
    GW_REASON_OPEN_TIMEOUT,
    GW_REASON_BAD_ANSWER,     /* the service's answer is not HTTP as we understand it */
    GW_REASON_ANSWER_TIMEOUT, /* the service took the request and kept silent */
    GW_REASON_ANSWER_CUT,     /* the way to the service was cut before the answer began */
    GW_REASON_NOT_TLS,
    GW_REASON_EARLY_EOF,
    GW_REASON_BAD_PROXY_HEADER, /* from a balancer: none, or a wrong one */
    GW_REASON_MALFORMED,
    GW_REASON_LOOP, /* it came through too many gateways like this one */
    GW_REASON_FIRST_BYTES_TIMEOUT,
    GW_REASON_NOT_ALLOWED,
    GW_REASON_CONNECTION_LIMIT,
    GW_REASON_RATE_LIMIT,
    GW_REASON_SOURCE_LIMIT,
    GW_REASON_NO_MEMORY,
    /* connectors */
    GW_REASON_TUNNEL_DROPPED, /* early drop, or no slot */
    GW_REASON_TUNNEL_PENALTY,
    GW_REASON_TUNNEL_HANDSHAKE, /* something wrong was sent */
    GW_REASON_TUNNEL_TIMEOUT,
    GW_REASON_TUNNEL_UNKNOWN_KEY,
    GW_REASON_TUNNEL_STALE,
    GW_REASON_TUNNEL_TOO_MANY,
    GW_REASONS,
};

/* How often each reason turned somebody away. */
struct gw_refused {
    uint64_t count[GW_REASONS];
};

/* Name in node.info and logs: "unknown_name". */
const char *gw_reason_name(enum gw_reason reason);
/* TLS alert description for REASON; 0 = close without one. */
uint8_t gw_reason_alert(enum gw_reason reason);
/* HTTP status for REASON; 0 = close without an answer. */
int gw_reason_status(enum gw_reason reason);

/* What an HTTP visitor is told. */
struct gw_refusal {
    enum gw_reason reason;
    int status;                           /* 0 = the reason's own */
    bool head_only;                       /* the request is HEAD */
    const struct http_template *template; /* the operator's page; borrowed, NULL = built-in */
    const char *request_id;               /* of ours, for that page; borrowed, NULL = none */
    const void *rest; /* of an interim answer: it comes before the page; borrowed, NULL = none */
    size_t rest_len;
};

/* Bytes that are enough for the page for REFUSAL, without `rest`. */
size_t gw_refuse_page_max(const struct gw_refusal *refusal);
/* The page for REFUSAL into OUT, without `rest`; returns its length, 0 = close without. */
size_t gw_refuse_page(char *out, size_t cap, const struct gw_refusal *refusal);

#define GW_ALERT_RECORD_LEN 7
/* A fatal alert as a TLS record. */
void gw_refuse_alert(uint8_t out[GW_ALERT_RECORD_LEN], uint8_t description);

#endif
