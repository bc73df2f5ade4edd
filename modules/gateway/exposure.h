/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exposure as the data plane serves it: what a visitor asks for, and where its bytes go. Made
 * from an assignment of the agent or a zbus call, then never changed: an update is a new object.
 * Whoever keeps one holds a reference. The sessions that serve it are not here.
 */
#ifndef MODULES_GATEWAY_EXPOSURE_H
#define MODULES_GATEWAY_EXPOSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "bus/base/host.h"

#define GW_ID_MAX 128     /* workload id with its NUL */
#define GW_SERVICE_MAX 33 /* service name with its NUL */
#define GW_BACKENDS_MAX 16
#define GW_KEY_LEN 32
#define GW_REASON_MAX 256

enum gw_kind {
    GW_KIND_NAME, /* a name under the gateway's domain */
    GW_KIND_FQDN, /* a name of the tenant's own, perhaps "*.x" */
    GW_KIND_TCP,  /* a port */
};

enum gw_http_mode {
    GW_HTTP_FORWARD,
    GW_HTTP_REDIRECT, /* 308 to https, but not /.well-known/acme-challenge/ */
    GW_HTTP_OFF,
};

/* The PROXY header that the service receives first. */
enum gw_proxy_protocol { GW_PROXY_NONE, GW_PROXY_V1, GW_PROXY_V2 };

struct gw_backend {
    bool tunnel;                  /* true: key and service; false: addr, dialled by the gateway */
    uint8_t key[GW_KEY_LEN];      /* X25519 public key of the connector */
    char service[GW_SERVICE_MAX]; /* "default" when the contract says none */
    struct addr addr;             /* literal address with port */
};

struct gw_exposure {
    unsigned refs; /* gw_exposure_ref and _unref only; one thread */
    enum gw_kind kind;
    char id[GW_ID_MAX];  /* "<twin>-<contract>-<name>", or the id of a zbus call */
    uint32_t twin;       /* 0 = none (a zbus id that starts with no number) */
    char host[HOST_CAP]; /* canonical, perhaps "*.x"; "" for GW_KIND_TCP */
    uint16_t port;       /* GW_KIND_TCP only; never 0 here */
    bool tls_passthrough;
    enum gw_http_mode http;
    enum gw_proxy_protocol proxy_protocol;
    bool newest_only;    /* instances "newest": only the latest session serves */
    bool balance_random; /* balance "random"; else least in flight */
    bool paused;         /* keeps its name and port, serves nobody */
    struct gw_backend backends[GW_BACKENDS_MAX];
    size_t backend_count; /* 1..GW_BACKENDS_MAX */
    uint32_t foreign;     /* bit i: the key of backend i belongs to another twin; owner.h sets it */
    struct cidr *allow;   /* owned; empty = everybody */
    size_t allow_count;
    struct cidr *deny; /* owned; beats allow */
    size_t deny_count;
    /* limits; 0 = the gateway's default */
    uint32_t connections;
    uint32_t new_per_second;
    uint64_t bytes_per_second;
    uint64_t idle_ms;
    char *urls; /* owned; public URLs with a space between, for the connector's log; may be NULL */
};

/* An all-zero exposure with one reference, or NULL. */
struct gw_exposure *gw_exposure_new(void);
struct gw_exposure *gw_exposure_ref(struct gw_exposure *self);
/* Another one with the same content and one reference, for another thread; NULL without memory. */
struct gw_exposure *gw_exposure_copy(const struct gw_exposure *self);
/* Drops one reference, the last one frees; NULL is fine. */
void gw_exposure_unref(struct gw_exposure *self);

/* The same way to the same service. */
bool gw_backend_equal(const struct gw_backend *a, const struct gw_backend *b);
/* Whether the visitor at PEER may come in by allow and deny. */
bool gw_exposure_allows(const struct gw_exposure *self, const struct addr *peer);

#endif
