/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at what is there, then takes what belongs to the header; see preface.h. */
#include "modules/gateway/preface.h"

#include <errno.h>
#include <sys/socket.h>

#include "modules/net/sock.h"

/* The next COUNT bytes, which a look has shown to be there. What belongs to the header must not
 * stay on the socket, or it would be readable for ever. */
static enum gw_preface_verdict take(struct gw_preface *self, int fd, size_t count)
{
    if (recv(fd, self->data + self->len, count, 0) != (ssize_t)count)
        return GW_PREFACE_GONE;
    self->len += count;
    return GW_PREFACE_DONE;
}

enum gw_preface_verdict gw_preface_read(struct gw_preface *self, int fd)
{
    ssize_t n = recv(fd, self->data + self->len, sizeof(self->data) - self->len, MSG_PEEK);

    if (n < 0 && net_sock_again(errno))
        return GW_PREFACE_MORE;
    if (n <= 0)
        return GW_PREFACE_GONE;
    switch (net_proxy_read(&self->head, self->data, self->len + (size_t)n)) {
    case NET_PROXY_MORE:
        return take(self, fd, (size_t)n) == GW_PREFACE_DONE ? GW_PREFACE_MORE : GW_PREFACE_GONE;
    case NET_PROXY_OK:
        return take(self, fd, self->head.len - self->len);
    case NET_PROXY_BAD:
    default:
        return GW_PREFACE_BAD;
    }
}
