/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that runs a loop; see hand.h. */
#include "modules/net/hand.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bus/base/err.h"

struct net_hand {
    struct ev_loop *loop;
    struct net_mail *mail;
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock; /* of calls' `done` */
    pthread_cond_t is_done;
};

/* One call, on the caller's stack. */
struct call {
    struct net_letter letter;
    struct net_hand *hand;
    void (*fn)(void *arg);
    void *arg;
    bool done;
};

static void *run(void *arg)
{
    struct net_hand *self = arg;

    ev_run(self->loop, 0);
    return NULL;
}

/* Signals are for the main thread: a new thread starts with the mask of its maker. */
static int start(struct net_hand *self, const char *name)
{
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&self->thread, NULL, run, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        errno = rc;
        return ERR_SYS;
    }
    (void)pthread_setname_np(self->thread, name);
    self->runs = true;
    return ERR_OK;
}

int net_hand_new(struct net_hand **out, const char *name, size_t cap)
{
    struct net_hand *self = calloc(1, sizeof(*self));
    int rc = ERR_NOMEM, saved;

    if (self == NULL)
        return ERR_NOMEM;
    (void)pthread_mutex_init(&self->lock, NULL); /* neither fails on Linux */
    (void)pthread_cond_init(&self->is_done, NULL);
    self->loop = ev_loop_new(EVFLAG_AUTO);
    if (self->loop != NULL)
        rc = net_mail_new(&self->mail, self->loop, cap);
    if (rc == ERR_OK)
        rc = start(self, name);
    if (rc != ERR_OK) {
        saved = errno;
        net_hand_free(self);
        errno = saved;
        return rc;
    }
    *out = self;
    return ERR_OK;
}

static void on_stop(void *arg)
{
    struct net_hand *self = arg;

    ev_break(self->loop, EVBREAK_ALL);
}

void net_hand_stop(struct net_hand *self)
{
    if (!self->runs)
        return;
    net_hand_call(self, on_stop, self);
    (void)pthread_join(self->thread, NULL);
    self->runs = false;
}

void net_hand_free(struct net_hand *self)
{
    if (self == NULL)
        return;
    net_hand_stop(self);
    net_mail_free(self->mail);
    if (self->loop != NULL)
        ev_loop_destroy(self->loop);
    (void)pthread_cond_destroy(&self->is_done);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
}

struct ev_loop *net_hand_loop(struct net_hand *self)
{
    return self->loop;
}

struct net_mail *net_hand_mail(struct net_hand *self)
{
    return self->mail;
}

static void open_call(struct net_letter *letter, void *reader)
{
    struct call *call = (struct call *)letter;
    struct net_hand *hand = call->hand;

    (void)reader;
    call->fn(call->arg);
    (void)pthread_mutex_lock(&hand->lock);
    call->done = true; /* the caller may be gone after this */
    (void)pthread_cond_signal(&hand->is_done);
    (void)pthread_mutex_unlock(&hand->lock);
}

/* Without a reader calls are made all the same: they are how a reader comes and goes. */
static void drop_call(struct net_letter *letter)
{
    open_call(letter, NULL);
}

void net_hand_call(struct net_hand *self, void (*fn)(void *arg), void *arg)
{
    struct call call = {
        .letter = {.open = open_call, .drop = drop_call}, .hand = self, .fn = fn, .arg = arg};

    net_mail_push(self->mail, &call.letter);
    (void)pthread_mutex_lock(&self->lock);
    while (!call.done)
        (void)pthread_cond_wait(&self->is_done, &self->lock);
    (void)pthread_mutex_unlock(&self->lock);
}
