/* SPDX-License-Identifier: Apache-2.0 */
/* Connectors with a thread each; see crew.h. */
#include "modules/connector/crew.h"

#include <errno.h>
#include <ev.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/net/hand.h"

#define LETTERS_MAX 1 /* nobody posts: a hand's calls are not counted */

/* One connector; `connector` is its own thread's, the atomics go from there to the first one. */
struct member {
    struct con_crew *crew;
    struct net_hand *hand; /* NULL: the caller's thread */
    struct con_connector *connector;
    atomic_size_t up, count;
    atomic_bool drained;
};

struct con_crew {
    struct ev_loop *loop;
    const struct tun_identity *identity;
    ev_async news; /* the atomics of a member have changed */
    void (*on_status)(void *arg, size_t up, size_t count);
    void *status_arg;
    void (*on_done)(void *arg); /* NULL: not draining, or told */
    void *done_arg;
    size_t count;
    struct member members[CON_THREADS_MAX];
};

/* --- asking --- */

struct question {
    struct member *member;
    void (*fn)(struct member *member, void *arg);
    void *arg;
};

static void answer(void *arg)
{
    const struct question *self = arg;

    self->fn(self->member, self->arg);
}

/* FN for MEMBER in its thread; the caller waits. */
static void ask(struct member *member, void (*fn)(struct member *member, void *arg), void *arg)
{
    struct question question = {member, fn, arg};

    if (member->hand != NULL)
        net_hand_call(member->hand, answer, &question);
    else
        fn(member, arg);
}

static void ask_all(struct con_crew *self, void (*fn)(struct member *member, void *arg), void *arg)
{
    for (size_t i = 0; i < self->count; i++)
        ask(&self->members[i], fn, arg);
}

/* --- news of a member, from its thread --- */

static void on_member_status(void *arg, size_t up, size_t count)
{
    struct member *member = arg;

    atomic_store(&member->up, up);
    atomic_store(&member->count, count);
    ev_async_send(member->crew->loop, &member->crew->news);
}

static void on_member_drained(void *arg)
{
    struct member *member = arg;

    atomic_store(&member->drained, true);
    ev_async_send(member->crew->loop, &member->crew->news);
}

static void on_news(struct ev_loop *loop, ev_async *w, int revents)
{
    struct con_crew *self = w->data;
    void (*on_done)(void *arg) = self->on_done;
    size_t up = 0, count = 0, drained = 0;

    (void)loop;
    (void)revents;
    for (size_t i = 0; i < self->count; i++) {
        up += atomic_load(&self->members[i].up);
        count += atomic_load(&self->members[i].count);
        drained += atomic_load(&self->members[i].drained);
    }
    if (self->on_status != NULL)
        self->on_status(self->status_arg, up, count);
    if (on_done == NULL || drained < self->count)
        return;
    self->on_done = NULL;
    on_done(self->done_arg); /* self may be gone */
}

/* --- configs --- */

static void drop_configs(struct con_config *configs[CON_THREADS_MAX])
{
    for (size_t i = 0; i < CON_THREADS_MAX; i++)
        free(configs[i]);
}

/* COUNT copies of CONFIG, or none. */
static int copy_configs(struct con_config *out[CON_THREADS_MAX], const struct con_config *config,
                        size_t count)
{
    memset(out, 0, CON_THREADS_MAX * sizeof(*out));
    for (size_t i = 0; i < count; i++) {
        out[i] = malloc(sizeof(*config));
        if (out[i] == NULL) {
            drop_configs(out);
            return ERR_NOMEM;
        }
        memcpy(out[i], config, sizeof(*config));
    }
    return ERR_OK;
}

/* --- life --- */

/* How a connector comes to be in its thread. */
struct birth {
    struct con_config *config; /* the connector's when rc is 0 */
    int rc;
};

static void bear(struct member *member, void *arg)
{
    struct con_crew *crew = member->crew;
    struct birth *birth = arg;
    struct con_connector_config cfg = {.loop = member->hand != NULL ? net_hand_loop(member->hand)
                                                                    : crew->loop,
                                       .config = birth->config,
                                       .identity = crew->identity,
                                       .on_status = on_member_status,
                                       .arg = member};

    atomic_store(&member->count, birth->config->gateway_count);
    birth->rc = con_connector_new(&member->connector, &cfg);
}

/* The next member; *CONFIG becomes its own, and NULL. */
static int hire(struct con_crew *self, struct con_config **config)
{
    struct member *member = &self->members[self->count];
    struct birth birth = {.config = *config};
    char name[16];
    int rc;

    member->crew = self;
    if (self->count > 0) {
        (void)snprintf(name, sizeof(name), "connector/%hhu", (unsigned char)self->count);
        rc = net_hand_new(&member->hand, name, LETTERS_MAX);
        if (rc != ERR_OK)
            return rc;
    }
    self->count++;
    ask(member, bear, &birth);
    if (birth.rc == ERR_OK)
        *config = NULL;
    return birth.rc;
}

static int start(struct con_crew *self, const struct con_config *config)
{
    struct con_config *configs[CON_THREADS_MAX];
    int rc = copy_configs(configs, config, config->threads), saved;

    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; i < config->threads && rc == ERR_OK; i++)
        rc = hire(self, &configs[i]);
    saved = errno;
    drop_configs(configs);
    errno = saved;
    return rc;
}

int con_crew_new(struct con_crew **out, const struct con_connector_config *cfg)
{
    struct con_crew *self = calloc(1, sizeof(*self));
    int rc, saved;

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = cfg->loop;
    self->identity = cfg->identity;
    self->on_status = cfg->on_status;
    self->status_arg = cfg->arg;
    ev_async_init(&self->news, on_news);
    self->news.data = self;
    ev_async_start(self->loop, &self->news);
    rc = start(self, cfg->config);
    if (rc != ERR_OK) {
        saved = errno;
        con_crew_free(self);
        errno = saved;
        return rc;
    }
    *out = self;
    return ERR_OK;
}

static void bury(struct member *member, void *arg)
{
    (void)arg;
    con_connector_free(member->connector);
    member->connector = NULL;
}

void con_crew_free(struct con_crew *self)
{
    if (self == NULL)
        return;
    ask_all(self, bury, NULL);
    for (size_t i = 0; i < self->count; i++)
        net_hand_free(self->members[i].hand);
    ev_async_stop(self->loop, &self->news); /* nobody sends any more */
    free(self);
}

/* --- what each of them does --- */

static void reload(struct member *member, void *arg)
{
    struct con_config **configs = arg;
    size_t i = (size_t)(member - member->crew->members);

    atomic_store(&member->count, configs[i]->gateway_count);
    con_connector_reload(member->connector, configs[i]);
}

int con_crew_reload(struct con_crew *self, const struct con_config *config)
{
    struct con_config *configs[CON_THREADS_MAX];
    int rc = copy_configs(configs, config, self->count);

    if (rc != ERR_OK)
        return rc;
    if (config->threads != self->count)
        LOG_WARN("a change of this needs a restart", KV_S("key", "threads"));
    ask_all(self, reload, configs);
    return ERR_OK;
}

static void drain(struct member *member, void *arg)
{
    (void)arg;
    con_connector_drain(member->connector, on_member_drained, member);
}

void con_crew_drain(struct con_crew *self, void (*on_done)(void *arg), void *arg)
{
    if (self->on_done != NULL)
        return;
    self->on_done = on_done;
    self->done_arg = arg;
    ask_all(self, drain, NULL);
}

static void hurry(struct member *member, void *arg)
{
    (void)arg;
    con_connector_hurry(member->connector);
}

void con_crew_hurry(struct con_crew *self)
{
    ask_all(self, hurry, NULL);
}

uint64_t con_crew_drain_timeout_ms(const struct con_crew *self)
{
    return con_connector_drain_timeout_ms(self->members[0].connector);
}

static void count_streams(struct member *member, void *arg)
{
    unsigned *streams = arg;

    *streams += con_connector_streams(member->connector);
}

unsigned con_crew_streams(struct con_crew *self)
{
    unsigned streams = 0;

    ask_all(self, count_streams, &streams);
    return streams;
}
