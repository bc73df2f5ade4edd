/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zbus 1.0 messages: Request and Response as bytes (ZOS section 1.3). No queues and no sockets:
 * those are bus/call and bus/serve.
 */
#ifndef BUS_WIRE_H
#define BUS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/node.h"
#include "bus/pack.h"

#define BUS_WIRE_INPUTS_MAX 64
#define BUS_WIRE_NAME_MAX 128 /* bytes of an object name, version, method, id or reply list */

/* One argument: a msgpack value of its own; borrowed. */
struct bus_wire_input {
    const uint8_t *data;
    size_t len;
};

struct bus_wire_request {
    char id[BUS_WIRE_NAME_MAX + 1];
    char reply_to[BUS_WIRE_NAME_MAX + 1];
    char object[BUS_WIRE_NAME_MAX + 1];
    char version[BUS_WIRE_NAME_MAX + 1]; /* may be "" */
    char method[BUS_WIRE_NAME_MAX + 1];  /* may be "" (status) */
    uint64_t deadline_ms; /* our optional key "Deadline", unix ms: do not run later; 0 = none */
    size_t input_count;
    struct bus_wire_input inputs[BUS_WIRE_INPUTS_MAX]; /* point into the decoded bytes */
};

struct bus_wire_response {
    char id[BUS_WIRE_NAME_MAX + 1];
    const uint8_t *data; /* the result's msgpack; NULL = none. Borrowed */
    size_t data_len;
    bool failed;       /* the method returned an error */
    const char *error; /* its text when FAILED, error_len bytes without a NUL; borrowed */
    size_t error_len;
    const char *protocol; /* protocol error text, NULL = none; borrowed, no NUL */
    size_t protocol_len;
};

/*
 * Decode LEN bytes. OUT borrows from DATA. Keys may come in any order; unknown keys are skipped,
 * missing ones are empty. Returns 0, ERR_PROTO, ERR_LIMIT or ERR_NOMEM.
 */
int bus_wire_request_decode(struct bus_wire_request *out, const void *data, size_t len);
int bus_wire_response_decode(struct bus_wire_response *out, const void *data, size_t len);

/* Append the message to PACK in the order the Go encoder uses; errors stick in PACK. */
void bus_wire_request_encode(struct bus_pack *pack, const struct bus_wire_request *request);
void bus_wire_response_encode(struct bus_pack *pack, const struct bus_wire_response *response);

#endif
