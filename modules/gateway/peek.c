/* SPDX-License-Identifier: Apache-2.0 */
/* First bytes of a visitor; see peek.h. */
#include "modules/gateway/peek.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bus/base/err.h"
#include "modules/tunnel/handshake.h"

#define FIRST_CAP 4096 /* most hellos fit */

void gw_peek_init(struct gw_peek *self, const struct gw_limits *limits)
{
    *self = (struct gw_peek){0};
    gw_sni_init(&self->sni, limits->hello_max_bytes);
    self->cap_max = 2 * limits->hello_max_bytes + FIRST_CAP; /* record headers count here */
}

void gw_peek_deinit(struct gw_peek *self)
{
    free(self->data);
    self->data = NULL;
    self->len = self->cap = 0;
}

/* Make room for at least one more byte. Returns 0, ERR_LIMIT or ERR_NOMEM. */
static int grow(struct gw_peek *self)
{
    size_t cap = self->cap == 0 ? FIRST_CAP : self->cap * 2;
    uint8_t *data;

    if (self->len < self->cap)
        return ERR_OK;
    if (self->cap >= self->cap_max)
        return ERR_LIMIT;
    if (cap > self->cap_max)
        cap = self->cap_max;
    data = realloc(self->data, cap);
    if (data == NULL)
        return ERR_NOMEM;
    self->data = data;
    self->cap = cap;
    return ERR_OK;
}

static enum gw_verdict refuse(struct gw_peek *self, enum gw_reason reason, const char *why)
{
    self->reason = reason;
    self->why = why;
    return GW_VERDICT_REFUSE;
}

static enum gw_verdict judge_hello(struct gw_peek *self)
{
    if (self->allow_tunnel && self->data[0] == TUN_MAGIC_FIRST)
        return GW_VERDICT_TUNNEL;
    switch (gw_sni_feed(&self->sni, self->data, self->len)) {
    case GW_SNI_MORE:
        return GW_VERDICT_MORE;
    case GW_SNI_HOST:
        self->host = self->sni.host;
        return GW_VERDICT_HOST;
    case GW_SNI_NO_HOST:
        return refuse(self, GW_REASON_NO_NAME, "no server name");
    case GW_SNI_NOT_TLS:
        return refuse(self, GW_REASON_NOT_TLS, "not TLS");
    case GW_SNI_BAD:
    default:
        self->alert = (uint8_t)self->sni.alert;
        return refuse(self, GW_REASON_MALFORMED, self->sni.why);
    }
}

enum gw_verdict gw_peek_read(struct gw_peek *self, int fd)
{
    int rc = grow(self);
    ssize_t n;

    if (rc != ERR_OK)
        return refuse(self, rc == ERR_LIMIT ? GW_REASON_MALFORMED : GW_REASON_NO_MEMORY,
                      "first bytes too long");
    n = recv(fd, self->data + self->len, self->cap - self->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return GW_VERDICT_MORE;
    if (n <= 0)
        return GW_VERDICT_GONE;
    self->len += (size_t)n;
    return judge_hello(self);
}
