/* SPDX-License-Identifier: Apache-2.0 */
/* A list under a mutex, and an ev_async that says that something is in it; see mail.h. */
#include "modules/net/mail.h"

#include <ev.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "bus/base/err.h"

STAILQ_HEAD(letters, net_letter);

struct net_mail {
    struct ev_loop *loop;
    ev_async ring;
    void *reader;
    bool *gone; /* set on free, while letters are being opened */
    struct letters open;
    size_t cap;
    pthread_mutex_t lock; /* of the following */
    struct letters closed;
    size_t count;
};

/* Everything that is there now; what comes meanwhile rings again. */
static void collect(struct net_mail *self)
{
    (void)pthread_mutex_lock(&self->lock);
    STAILQ_CONCAT(&self->open, &self->closed);
    self->count = 0;
    (void)pthread_mutex_unlock(&self->lock);
}

static void on_ring(struct ev_loop *loop, ev_async *w, int revents)
{
    struct net_mail *self = w->data;
    struct net_letter *letter;
    bool gone = false;

    (void)loop;
    (void)revents;
    collect(self);
    self->gone = &gone;
    while (!gone && (letter = STAILQ_FIRST(&self->open)) != NULL) {
        STAILQ_REMOVE_HEAD(&self->open, next);
        if (self->reader != NULL)
            letter->open(letter, self->reader);
        else
            letter->drop(letter);
    }
    if (!gone)
        self->gone = NULL;
}

int net_mail_new(struct net_mail **out, struct ev_loop *loop, size_t cap)
{
    struct net_mail *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self);
        return ERR_NOMEM;
    }
    self->loop = loop;
    self->cap = cap;
    STAILQ_INIT(&self->open);
    STAILQ_INIT(&self->closed);
    ev_async_init(&self->ring, on_ring);
    self->ring.data = self;
    ev_async_start(loop, &self->ring);
    *out = self;
    return ERR_OK;
}

void net_mail_free(struct net_mail *self)
{
    struct net_letter *letter;

    if (self == NULL)
        return;
    if (self->gone != NULL)
        *self->gone = true;
    ev_async_stop(self->loop, &self->ring);
    collect(self);
    while ((letter = STAILQ_FIRST(&self->open)) != NULL) {
        STAILQ_REMOVE_HEAD(&self->open, next);
        letter->drop(letter);
    }
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
}

void net_mail_set_reader(struct net_mail *self, void *reader)
{
    self->reader = reader;
}

bool net_mail_is_full(struct net_mail *self)
{
    bool full;

    (void)pthread_mutex_lock(&self->lock);
    full = self->count >= self->cap;
    (void)pthread_mutex_unlock(&self->lock);
    return full;
}

/* Put it in unless LIMIT wait already. */
static int put(struct net_mail *self, struct net_letter *letter, size_t limit)
{
    bool full, first;

    (void)pthread_mutex_lock(&self->lock);
    full = self->count >= limit;
    first = self->count == 0;
    if (!full) {
        STAILQ_INSERT_TAIL(&self->closed, letter, next);
        self->count++;
        if (first) /* inside the lock: the mailbox may be freed as soon as it is read */
            ev_async_send(self->loop, &self->ring);
    }
    (void)pthread_mutex_unlock(&self->lock);
    return full ? ERR_LIMIT : ERR_OK;
}

int net_mail_post(struct net_mail *self, struct net_letter *letter)
{
    return put(self, letter, self->cap);
}

void net_mail_push(struct net_mail *self, struct net_letter *letter)
{
    (void)put(self, letter, SIZE_MAX);
}
