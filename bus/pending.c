/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as RESP bytes in one queue: written from the front, answered from the front. */
#include "bus/pending.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bus/base/err.h"

#define WRITE_BATCH 64 /* commands per write */

void bus_queue_init(struct bus_queue *self)
{
    *self = (struct bus_queue){0};
    TAILQ_INIT(&self->list);
}

/* RESP bytes of QUERY. hiredis wants the pointers and lengths apart. */
static int format(struct bus_pending *pending, const struct bus_query *query)
{
    const char **argv = calloc(query->count, sizeof(*argv));
    size_t *lens = calloc(query->count, sizeof(*lens));
    int len = -1;

    if (argv != NULL && lens != NULL) {
        for (size_t i = 0; i < query->count; i++) {
            argv[i] = query->args[i].data != NULL ? query->args[i].data : "";
            lens[i] = query->args[i].len;
        }
        len = redisFormatCommandArgv(&pending->wire, (int)query->count, argv, lens);
    }
    free(argv);
    free(lens);
    if (len < 0)
        return ERR_NOMEM;
    pending->len = (size_t)len;
    return ERR_OK;
}

static int check(const struct bus_queue *self, const struct bus_query *query)
{
    size_t bytes = 0;

    if (query->count == 0 || query->count > INT_MAX || query->args == NULL)
        return ERR_INVALID;
    for (size_t i = 0; i < query->count; i++) {
        if (query->args[i].len > BUS_OUT_MAX - bytes)
            return ERR_LIMIT;
        bytes += query->args[i].len;
    }
    if (self->count >= BUS_IN_FLIGHT_MAX || self->bytes + bytes > BUS_OUT_MAX)
        return ERR_LIMIT;
    return ERR_OK;
}

int bus_queue_add(struct bus_queue *self, const struct bus_query *query, uint64_t deadline_ms)
{
    struct bus_pending *pending;
    int rc = check(self, query);

    if (rc != ERR_OK)
        return rc;
    pending = calloc(1, sizeof(*pending));
    if (pending == NULL)
        return ERR_NOMEM;
    rc = format(pending, query);
    if (rc != ERR_OK) {
        free(pending);
        return rc;
    }
    pending->deadline_ms = deadline_ms;
    pending->on_reply = query->on_reply;
    pending->arg = query->arg;
    TAILQ_INSERT_TAIL(&self->list, pending, entry);
    if (self->unsent == NULL)
        self->unsent = pending;
    self->count++;
    self->bytes += pending->len;
    return ERR_OK;
}

struct bus_pending *bus_queue_take(struct bus_queue *self)
{
    struct bus_pending *pending = TAILQ_FIRST(&self->list);

    if (pending == NULL)
        return NULL;
    self->bytes -= pending->wire != NULL ? pending->len - pending->sent : 0;
    if (self->unsent == pending)
        self->unsent = TAILQ_NEXT(pending, entry);
    TAILQ_REMOVE(&self->list, pending, entry);
    self->count--;
    return pending;
}

void bus_pending_free(struct bus_pending *pending)
{
    if (pending->wire != NULL)
        redisFreeCommand(pending->wire);
    free(pending);
}

bool bus_queue_expects(const struct bus_queue *self)
{
    return !TAILQ_EMPTY(&self->list) && TAILQ_FIRST(&self->list) != self->unsent;
}

/* N bytes left: the commands they complete give their memory back. */
static void advance(struct bus_queue *self, size_t n)
{
    self->bytes -= n;
    while (self->unsent != NULL) {
        struct bus_pending *pending = self->unsent;
        size_t rest = pending->len - pending->sent;

        if (n < rest) {
            pending->sent += n;
            return;
        }
        n -= rest;
        redisFreeCommand(pending->wire);
        pending->wire = NULL;
        self->unsent = TAILQ_NEXT(pending, entry);
    }
}

int bus_queue_write(struct bus_queue *self, int fd)
{
    while (self->unsent != NULL) {
        struct iovec iov[WRITE_BATCH];
        size_t count = 0;
        ssize_t n;

        for (struct bus_pending *p = self->unsent; p != NULL && count < WRITE_BATCH;
             p = TAILQ_NEXT(p, entry))
            iov[count++] =
                (struct iovec){.iov_base = p->wire + p->sent, .iov_len = p->len - p->sent};
        n = sendmsg(fd, &(struct msghdr){.msg_iov = iov, .msg_iovlen = count}, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_AGAIN : ERR_SYS;
        advance(self, (size_t)n);
    }
    return ERR_OK;
}

void bus_queue_forget(struct bus_queue *self, const void *arg)
{
    struct bus_pending *pending;

    TAILQ_FOREACH(pending, &self->list, entry)
    {
        if (pending->arg == arg)
            pending->on_reply = NULL;
    }
}

uint64_t bus_queue_deadline(const struct bus_queue *self)
{
    const struct bus_pending *pending;
    uint64_t first = UINT64_MAX;

    TAILQ_FOREACH(pending, &self->list, entry)
    {
        if (pending->deadline_ms < first)
            first = pending->deadline_ms;
    }
    return first;
}

void bus_queue_clear(struct bus_queue *self)
{
    struct bus_pending *pending;

    while ((pending = bus_queue_take(self)) != NULL)
        bus_pending_free(pending);
}
