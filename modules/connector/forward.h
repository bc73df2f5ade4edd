/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One visitor on the connector's side: from OPEN through the dial of the local service to the last
 * byte. It decides whether the stream may reach a service; a failure here ends this stream and
 * nothing else.
 */
#ifndef MODULES_CONNECTOR_FORWARD_H
#define MODULES_CONNECTOR_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "modules/tunnel/stream.h"

#define CON_LOOKUP_MS 3000u /* of a service's name */
#define CON_DIAL_MS 5000u   /* of a service, all its addresses */

struct con_context;
struct con_forward; /* opaque: forward.c */
struct link_session;

struct con_forward_config {
    struct con_context *context;  /* borrowed */
    const char *gateway;          /* name of the gateway; copied nowhere, read during _start */
    struct link_session *session; /* of the stream */
    void (*on_end)(void *arg);    /* the forward is gone; never inside _start */
    void *arg;
};

/*
 * Answer the OPEN of STREAM. Returns 0: a forward took the stream over, as its user, and ON_END
 * follows. Otherwise the stream was refused with a code, and its handle is gone: ERR_NOENT no such
 * service, ERR_REFUSED not allowed, ERR_NOMEM.
 */
int con_forward_start(struct tun_stream *stream, const struct tun_open *open,
                      const struct con_forward_config *cfg);
/* Whether WORKLOAD ("7-1001-blog") is of TWIN; everything is of twin 0. */
bool con_forward_is_of_twin(const char *workload, uint64_t twin);

/* For the session's ops; USER is the stream's. Last statements: ON_END may run inside. */
size_t con_forward_on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len);
void con_forward_on_readable(void *user, struct tun_stream *stream);
void con_forward_on_writable(void *user, struct tun_stream *stream);
void con_forward_on_reset(void *user, enum tun_code code);

#endif
