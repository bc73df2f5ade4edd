/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole data plane in one process for tests: a worker on ports of its own, connectors with real
 * handshakes and sessions, visitors on real sockets, all on one loop.
 */
#ifndef TESTS_GATEWAY_RIG_H
#define TESTS_GATEWAY_RIG_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/gateway.h"
#include "modules/link/handshake.h"
#include "modules/link/session.h"

#define RIG_CONNECTORS 8
#define RIG_STREAMS 32

/* A request for HOST whose answer switches protocols, so that what follows is opaque; and the part
 * of it that comes back as it was sent. */
#define RIG_REQUEST(path, host)                                                                    \
    "GET " path " HTTP/1.1\r\nHost: " host "\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
#define RIG_ECHOED(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\n"

/* What a connector does with a visitor. */
enum rig_service {
    RIG_ECHO,   /* sends back what comes, FIN for FIN; to an HTTP visitor first 101 */
    RIG_GREET,  /* speaks first: sends "hello\n", then as RIG_ECHO */
    RIG_REFUSE, /* OPEN_ERR */
    RIG_IGNORE, /* never answers */
    RIG_ANSWER, /* HTTP: 200 and "by N." to each request, N: its place in `connectors` */
};

struct rig;

/* One connector process. */
struct rig_connector {
    struct rig *rig;
    struct link_handshake handshake;
    struct tun_identity identity;
    struct tun_secret_key secret;
    struct tun_connector_info info;
    struct link_session *session;
    int fds[TUN_LINKS_MAX];            /* by link number */
    unsigned accepts, losses, resumes; /* of its links */
    uint16_t port;                     /* where it dials; 0 = the tunnel port */
    enum rig_service service;
    bool accepted, rejected, closed, failed, goaway;
    enum tun_code reject_code;
    enum tun_code close_code;  /* of the gateway's CLOSE; TUN_CODE_NONE = there was none */
    unsigned opens;            /* visitors so far */
    struct tun_open last_open; /* what the last one was */
    char exposures[2048];      /* "workload service url;" of the last list */
    char listing[2048];
};

struct rig {
    struct ev_loop *loop;
    struct gw_config config;
    struct gw_worker *worker;
    struct tun_secret_key secret;
    struct tun_public_key public_key;
    struct link_hub *hub;
    struct rig_connector connectors[RIG_CONNECTORS];
    ev_timer tick;
    unsigned ticks;
    /* events */
    unsigned ups, downs;
    unsigned link_ups, link_losses, resumes;
    unsigned online; /* of the last on_online */
    char last_error[256];
    bool drained;
};

/* A worker with HTTP, TLS and tunnel ports on 127.0.0.1, short time limits, no exposures. */
struct rig *rig_new(void);
/* The same, after CHANGE had a look at the config. */
struct rig *rig_new_with(void (*change)(struct gw_config *config));
/* The same with two workers: the first has the exposures of connector 0, the second, in a thread
 * of its own, those of connector 1. "7-1-blog" (blog.gw.example) is the second's, "7-1-first"
 * (first.gw.example) the first's; TLS passes through both. */
struct rig *rig_new_pair(void);
void rig_free(struct rig *self);

/* The public key of connector number N. */
void rig_key(uint8_t out[GW_KEY_LEN], unsigned n);
/* An exposure of HOST (GW_KIND_FQDN) or, when HOST is NULL, of a TCP port, served by connector
 * number N, service "web". The caller changes it, gives it to rig_serve. */
struct gw_exposure *rig_exposure(const char *id, const char *host, unsigned n);
/* Give it to the worker and drop our reference. Returns what gw_worker_set_exposure said. */
int rig_serve(struct rig *self, struct gw_exposure *exposure);

/* Connector number N dials, with this key, an instance id made of INSTANCE, and EPOCH; waits for
 * the verdict. */
struct rig_connector *rig_connect(struct rig *self, unsigned n);
/* Begin without waiting; place is the slot in `connectors`. */
struct rig_connector *rig_dial(struct rig *self, unsigned place, unsigned n);
/* The same for a connector whose info was set up by the caller. */
void rig_dial_as(struct rig_connector *connector, unsigned n);
/* Its next link, NUMBER; waits until it is accepted. */
void rig_add_link(struct rig_connector *connector, unsigned n, uint8_t number);
/* The network takes link NUMBER away. */
void rig_cut(struct rig_connector *connector, uint8_t number);
void rig_hang_up(struct rig_connector *connector);

/* Run the loop until *FLAG or 10 s of turns have passed; returns *FLAG. */
bool rig_until(struct rig *self, const bool *flag);
/* Run the loop until CLAIM(arg) or 10 s have passed. */
bool rig_until_true(struct rig *self, bool (*claim)(void *arg), void *arg);
/* For how long it ran so far, in turns of its loop: while this process does not run, or only
 * seldom, that is less than the clock says. For upper bounds. */
uint64_t rig_ran_ms(const struct rig *self);
/* Run for MS. */
void rig_run(struct rig *self, unsigned ms);

/* A visitor's socket, connected to "http", "https" or "tunnel", or to a port. */
int rig_visit(struct rig *self, const char *what);
int rig_visit_port(struct rig *self, uint16_t port);
void rig_send(int fd, const void *data, size_t len);
void rig_send_text(int fd, const char *text);
/* Read until WANT came (the bytes before it are dropped), the end or 10 s; returns whether it did.
 */
bool rig_expect(struct rig *self, int fd, const char *want);
enum rig_end { RIG_OPEN, RIG_FIN, RIG_RST };
/* Read everything up to the end into OUT (NUL-terminated); 10 s at most. */
enum rig_end rig_read_all(struct rig *self, int fd, char *out, size_t cap);
/* The ClientHello of openssl for "blog.gw.example"; returns its length. */
size_t rig_hello(uint8_t *out, size_t cap);

/* How often REASON was counted. */
uint64_t rig_refused(struct rig *self, const char *reason);

#endif
