/* SPDX-License-Identifier: Apache-2.0 */
/* Workers with a thread each; see crew.h. */
#include "modules/gateway/crew.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/gateway_impl.h"
#include "modules/gateway/tidings.h"
#include "modules/net/hand.h"

#define LETTERS_MAX 65536 /* visitors that may wait for one worker to look at them */

/* One of them; what is here is the chief's, but `worker` and what `config` says in its thread. */
struct member {
    struct net_hand *hand;
    struct gw_worker *worker;
    struct gw_config config; /* as the worker sees it */
};

struct gw_crew {
    struct gw_worker *chief;
    struct net_mail *mail; /* the chief's */
    struct gw_post post;
    struct member *members[GW_THREADS_MAX]; /* by index; the first place stays empty */
};

/* --- asking --- */

struct question {
    struct gw_worker *worker;
    gw_crew_fn *fn;
    void *arg;
};

static void answer(void *arg)
{
    const struct question *self = arg;

    self->fn(self->arg, self->worker);
}

void gw_crew_ask(struct gw_crew *self, unsigned index, gw_crew_fn *fn, void *arg)
{
    const struct member *member = self->members[index];
    struct question question = {member->worker, fn, arg};

    net_hand_call(member->hand, answer, &question);
}

void gw_crew_each(struct gw_crew *self, gw_crew_fn *fn, void *arg)
{
    for (unsigned i = 1; self != NULL && i < self->post.count; i++)
        gw_crew_ask(self, i, fn, arg);
}

static void reload(void *arg, struct gw_worker *worker)
{
    struct gw_crew *self = arg;

    self->members[worker->front.index]->config = *self->chief->config;
    gw_worker_reload(worker);
}

void gw_crew_reload(struct gw_crew *self)
{
    gw_crew_each(self, reload, self);
}

/* --- life --- */

/* How a worker comes to be in its own thread. */
struct birth {
    struct gw_crew *crew;
    struct member *member;
    const struct gw_keyring_config *keys;
    unsigned index;
    int rc, error;
};

static void bear(void *arg)
{
    struct birth *birth = arg;
    struct member *member = birth->member;
    struct gw_worker_config cfg = {.config = &member->config, .keys = *birth->keys};
    const struct gw_worker *chief = birth->crew->chief;
    struct gw_place place = {birth->index, &birth->crew->post, chief->sources, chief->routes};

    birth->rc = gw_worker_new_at(&member->worker, net_hand_loop(member->hand), &cfg, &place);
    birth->error = errno;
    if (birth->rc != ERR_OK)
        return;
    birth->rc = gw_tidings_begin(member->worker);
    net_mail_set_reader(net_hand_mail(member->hand), member->worker);
}

/* The thread of member INDEX; its mailbox is there before anybody can send. */
static int hire(struct gw_crew *self, unsigned index)
{
    struct member *member = calloc(1, sizeof(*member));
    char name[16];
    int rc;

    if (member == NULL)
        return ERR_NOMEM;
    self->members[index] = member;
    member->config = *self->chief->config;
    (void)snprintf(name, sizeof(name), "gateway/%u", index);
    rc = net_hand_new(&member->hand, name, LETTERS_MAX);
    if (rc == ERR_OK)
        self->post.to[index] = net_hand_mail(member->hand);
    return rc;
}

static int start(struct gw_crew *self, const struct gw_keyring_config *keys)
{
    int rc = net_mail_new(&self->mail, self->chief->loop, LETTERS_MAX);

    if (rc != ERR_OK)
        return rc;
    net_mail_set_reader(self->mail, self->chief);
    self->post.to[0] = self->mail;
    for (unsigned i = 1; rc == ERR_OK && i < self->post.count; i++)
        rc = hire(self, i);
    for (unsigned i = 1; rc == ERR_OK && i < self->post.count; i++) {
        struct birth birth = {self, self->members[i], keys, i, ERR_OK, 0};

        net_hand_call(self->members[i]->hand, bear, &birth);
        rc = birth.rc;
        errno = birth.error;
    }
    return rc;
}

int gw_crew_new(struct gw_crew **out, struct gw_worker *chief, const struct gw_keyring_config *keys)
{
    struct gw_crew *self = calloc(1, sizeof(*self));
    int rc, saved;

    if (self == NULL)
        return ERR_NOMEM;
    self->chief = chief;
    self->post.count = chief->config->threads;
    rc = start(self, keys);
    if (rc != ERR_OK) {
        saved = errno;
        gw_crew_free(self);
        errno = saved;
        return rc;
    }
    chief->post = &self->post;
    chief->front.crowd = &self->post.crowd;
    *out = self;
    return ERR_OK;
}

static void bury(void *arg)
{
    struct member *member = arg;

    net_mail_set_reader(net_hand_mail(member->hand), NULL);
    gw_worker_free(member->worker);
    member->worker = NULL;
}

/* A worker may write to any other, so all end before the first mailbox goes. */
void gw_crew_free(struct gw_crew *self)
{
    if (self == NULL)
        return;
    for (unsigned i = 1; i < self->post.count; i++) {
        if (self->members[i] != NULL && self->members[i]->hand != NULL)
            net_hand_call(self->members[i]->hand, bury, self->members[i]);
    }
    for (unsigned i = 1; i < self->post.count; i++) {
        if (self->members[i] != NULL && self->members[i]->hand != NULL)
            net_hand_stop(self->members[i]->hand);
    }
    for (unsigned i = 1; i < self->post.count; i++) {
        if (self->members[i] != NULL)
            net_hand_free(self->members[i]->hand);
        free(self->members[i]);
    }
    net_mail_free(self->mail);
    free(self);
}
