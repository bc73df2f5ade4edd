/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: the 8-byte header and the payload of every type, encoded and decoded (PROTOCOL.md section
 * 4). Strict bounds on every field; knows nothing of streams, windows or order.
 */
#ifndef MODULES_TUNNEL_FRAME_H
#define MODULES_TUNNEL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/cur.h"
#include "bus/base/out.h"
#include "modules/tunnel/key.h"

#define TUN_FRAME_HEADER_LEN 8
#define TUN_FRAME_CONTROL_MAX 1000 /* payload of any frame but DATA: fits the smallest record */
#define TUN_OPEN_WORKLOAD_MAX 255
#define TUN_OPEN_SERVICE_MAX 32
#define TUN_OPEN_NAME_MAX 253
#define TUN_WHY_MAX 255 /* text beside a code */
#define TUN_URL_MAX 400
#define TUN_SESSION_ID_LEN 16
#define TUN_FLAG_MORE 0x01 /* EXPOSURES, RESUME: the list goes on in the next frame */
#define TUN_FLAG_END 0x01  /* WINDOW: FIN and all before it arrived */
#define TUN_RESUME_LINKS_MAX 16

enum tun_frame_type {
    TUN_FRAME_ACCEPT = 0x01,
    TUN_FRAME_REJECT = 0x02,
    TUN_FRAME_EXPOSURES = 0x03,
    TUN_FRAME_OPEN = 0x10,
    TUN_FRAME_OPEN_OK = 0x11,
    TUN_FRAME_OPEN_ERR = 0x12,
    TUN_FRAME_DATA = 0x20,
    TUN_FRAME_FIN = 0x21,
    TUN_FRAME_RST = 0x22,
    TUN_FRAME_WINDOW = 0x23,
    TUN_FRAME_PING = 0x30,
    TUN_FRAME_PONG = 0x31,
    TUN_FRAME_GOAWAY = 0x32,
    TUN_FRAME_CLOSE = 0x33,
    TUN_FRAME_RESUME = 0x34,
    TUN_FRAME_LOST = 0x35,
    TUN_FRAME_SKIPPABLE = 0x80, /* from here on unknown types are skipped */
    TUN_FRAME_NEXT_KEY = 0x90,
};

/* Why something ends or is refused; the same numbers in every frame that carries one. */
enum tun_code {
    TUN_CODE_NONE = 0,
    TUN_CODE_PROTOCOL = 1,     /* the other side broke the protocol */
    TUN_CODE_FLOW_CONTROL = 2, /* more data than its window */
    TUN_CODE_FLOOD = 3,        /* too many frames that do nothing */
    TUN_CODE_LIMIT = 4,        /* a configured maximum is reached */
    TUN_CODE_INTERNAL = 5,     /* out of memory and the like */
    TUN_CODE_SHUTDOWN = 6,     /* this process ends */
    TUN_CODE_TIMEOUT = 7,
    TUN_CODE_REFUSED = 8,      /* OPEN_ERR: the service refused the connection */
    TUN_CODE_UNREACHABLE = 9,  /* OPEN_ERR: the service cannot be reached or resolved */
    TUN_CODE_NO_SERVICE = 10,  /* OPEN_ERR: no service of this name here */
    TUN_CODE_NOT_ALLOWED = 11, /* OPEN_ERR: this twin or gateway may not */
    TUN_CODE_CANCELLED = 12,   /* RST: the other side gave up */
    TUN_CODE_PRESSURE = 13,    /* RST: stalled while the session ran out of memory */
    TUN_CODE_STALE = 14,       /* REJECT: a newer epoch of this instance is here */
    TUN_CODE_REPLACED = 15,    /* a newer session took over */
    TUN_CODE_REVOKED = 16,     /* contract, key or twin no longer valid */
    TUN_CODE_UPGRADE = 17,     /* GOAWAY: a new process takes over at the same address */
    TUN_CODE_BUSY = 18,        /* REJECT: too many sessions */
    TUN_CODE_LOST = 19,        /* never on the wire: the session ended */
};

/* What a visitor's connection is, so the connector knows who speaks first and what to peek at. */
enum tun_kind {
    TUN_KIND_HTTP = 1,
    TUN_KIND_TLS = 2,
    TUN_KIND_TCP = 3, /* nobody peeks; the service may speak first */
};

/* The PROXY header that the service receives first, made by the connector. */
enum tun_proxy { TUN_PROXY_NONE = 0, TUN_PROXY_V1 = 1, TUN_PROXY_V2 = 2 };

struct tun_frame {
    uint8_t type;
    uint8_t flags;
    uint16_t len;
    uint32_t stream; /* 0 = the session */
};

/* IPv4 is v4-mapped, as addr_ip16 gives it; all zero = unknown. */
struct tun_endpoint {
    uint8_t ip[16];
    uint16_t port;
};

/* OPEN: a visitor came. Texts are printable ASCII. */
struct tun_open {
    char workload[TUN_OPEN_WORKLOAD_MAX + 1]; /* id, "7-1001-blog" */
    char service[TUN_OPEN_SERVICE_MAX + 1];   /* "web" */
    char name[TUN_OPEN_NAME_MAX + 1];         /* public host name; "" for tcp */
    enum tun_kind kind;
    enum tun_proxy proxy;
    struct tun_endpoint visitor;
    struct tun_endpoint local; /* where the visitor connected to */
    uint32_t window;           /* first credit for the connector; set by the session */
};

struct tun_accept {
    uint8_t session[TUN_SESSION_ID_LEN]; /* secret to the two ends */
    uint32_t link;                       /* serial number of this link in the session; never 0 */
    uint32_t ping_ms;                    /* the connector pings an idle link so often; 0 = 15 s */
    uint32_t session_window;             /* the connector's credit over all streams; 0 = default */
    uint32_t max_streams;                /* 0 = default */
    bool has_next_key;
    struct tun_public_key next_key; /* the gateway's next static key, during a rotation */
};

/* REJECT and GOAWAY (retry_ms), OPEN_ERR and CLOSE (retry_ms unused). */
struct tun_notice {
    enum tun_code code;
    uint32_t retry_ms; /* come back after this; 0 = as you like */
    char why[TUN_WHY_MAX + 1];
};

/* One line of EXPOSURES. */
struct tun_exposure {
    char workload[TUN_OPEN_WORKLOAD_MAX + 1];
    char service[TUN_OPEN_SERVICE_MAX + 1];
    char url[TUN_URL_MAX + 1]; /* "https://blog.gw.example" or "tcp://192.0.2.1:20000" */
};

struct tun_rst {
    enum tun_code code;
    uint64_t offset; /* bytes sent on the stream before it */
};

/* Credit and acknowledgement in one. */
struct tun_window {
    uint64_t consumed; /* everything before this offset was taken */
    uint64_t limit;    /* send up to here */
};

/* RESUME: a lost link. */
struct tun_resume_link {
    uint32_t serial;
    uint64_t received;  /* bytes of DATA that arrived on it */
    uint32_t last_open; /* highest stream number opened on it; 0 from a gateway */
};

/* RESUME: a stream of a lost link. */
struct tun_resume_stream {
    uint32_t id;
    uint64_t received;
    bool fin_received;
    bool open_ok; /* connector: OPEN_OK was sent */
};

/* Name of a code for logs: "no_service". Unknown numbers are "unknown". */
const char *tun_code_name(enum tun_code code);

/* Copy WHY (NULL = none) into NOTICE: cut to fit, what is not printable becomes '?'. */
void tun_frame_set_why(struct tun_notice *notice, const char *why);

/* Encoders append the header and the payload; what does not fit or is out of range sets o->bad. */
void tun_frame_put_header(struct out *o, const struct tun_frame *frame);
void tun_frame_put_accept(struct out *o, const struct tun_accept *accept);
void tun_frame_put_open(struct out *o, uint32_t stream, const struct tun_open *open);
void tun_frame_put_empty(struct out *o, enum tun_frame_type type, uint32_t stream); /* OPEN_OK */
void tun_frame_put_notice(struct out *o, enum tun_frame_type type, uint32_t stream,
                          const struct tun_notice *notice);
void tun_frame_put_fin(struct out *o, uint32_t stream, uint64_t offset);
void tun_frame_put_rst(struct out *o, uint32_t stream, const struct tun_rst *rst);
void tun_frame_put_window(struct out *o, uint32_t stream, const struct tun_window *window,
                          uint8_t flags);
void tun_frame_put_next_key(struct out *o, const struct tun_public_key *key);
void tun_frame_put_ping(struct out *o, enum tun_frame_type type, uint64_t opaque);
/* One entry of an EXPOSURES payload (without a header). */
void tun_frame_put_exposure(struct out *o, const struct tun_exposure *exposure);
void tun_frame_put_lost(struct out *o, uint32_t serial);
/* Entries of a RESUME payload (without a header and without the count before them). */
void tun_frame_put_resume_link(struct out *o, const struct tun_resume_link *link);
void tun_frame_put_resume_stream(struct out *o, const struct tun_resume_stream *stream);

/*
 * Next header. Returns 0; ERR_PROTO when it or its payload is cut short, or when length, flags or
 * stream number do not fit its type; unknown types below 0x80 are ERR_PROTO too.
 */
int tun_frame_get_header(struct cur *c, struct tun_frame *out);
/* Decoders take the whole payload and return 0 or ERR_PROTO; OUT is only valid after 0. */
int tun_frame_get_accept(struct cur payload, struct tun_accept *out);
int tun_frame_get_open(struct cur payload, struct tun_open *out);
int tun_frame_get_notice(struct cur payload, struct tun_notice *out);
int tun_frame_get_fin(struct cur payload, uint64_t *offset);
int tun_frame_get_rst(struct cur payload, struct tun_rst *out);
int tun_frame_get_window(struct cur payload, struct tun_window *out);
int tun_frame_get_next_key(struct cur payload, struct tun_public_key *out);
int tun_frame_get_ping(struct cur payload, uint64_t *opaque);
/* The next entry of an EXPOSURES payload; call until cur_left() is 0. */
int tun_frame_get_exposure(struct cur *payload, struct tun_exposure *out);
int tun_frame_get_lost(struct cur payload, uint32_t *serial);
/* The next entry of a RESUME payload. */
int tun_frame_get_resume_link(struct cur *payload, struct tun_resume_link *out);
int tun_frame_get_resume_stream(struct cur *payload, struct tun_resume_stream *out);

#endif
