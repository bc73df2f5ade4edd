/* SPDX-License-Identifier: Apache-2.0 */
/* A tunnel session over its links; see session.h. */
#include "modules/link/session.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/link/farewell.h"
#include "modules/link/link.h"
#include "modules/link/session_impl.h"
#include "modules/net/sock.h"

/* The first link from LINK on that is not lost; NULL when there is none. */
static struct link *not_lost(struct link *link)
{
    while (link != NULL && link->tunnel == NULL)
        link = TAILQ_NEXT(link, entry);
    return link;
}

static struct link *first(const struct link_session *self)
{
    return not_lost(TAILQ_FIRST(&self->links));
}

static struct link *next(const struct link *link)
{
    return not_lost(TAILQ_NEXT(link, entry));
}

/* ---- the end ------------------------------------------------------------------------------- */

/* The streams end, their ops run inside. The links keep their sockets and what is sealed. */
static void end_tunnel(struct link_session *self, bool farewell)
{
    struct tun_session *tunnel = self->tunnel;
    uint64_t now_ms = clock_mono_ms();
    struct link *link;

    self->tunnel = NULL; /* whatever the ops do, the session is no longer theirs to use */
    for (link = first(self); farewell && link != NULL; link = next(link))
        link_seal_farewell(link, now_ms);
    tun_session_free(tunnel);
}

static void drop(struct link_session *self, int rc, bool farewell)
{
    struct link *link;

    ev_timer_stop(self->hub->loop, &self->deadline);
    link_hub_remove(self->hub, self);
    end_tunnel(self, farewell);
    while ((link = TAILQ_FIRST(&self->links)) != NULL) {
        TAILQ_REMOVE(&self->links, link, entry);
        link_free(link, rc, farewell);
    }
    free(self);
}

/* The one way a session ends by itself. SELF is gone before the callback runs. */
static void end(struct link_session *self, int rc)
{
    link_closed_fn *on_closed = self->on_closed;
    void *arg = self->arg;
    int error = errno;

    drop(self, rc, rc != ERR_EOF); /* who said CLOSE wants no answer */
    errno = error;
    on_closed(arg, rc);
}

void link_session_free(struct link_session *self)
{
    if (self != NULL)
        drop(self, ERR_CANCELLED, false);
}

/* ---- lost links ---------------------------------------------------------------------------- */

static struct link *first_lost(const struct link_session *self)
{
    struct link *link;

    TAILQ_FOREACH(link, &self->links, entry)
    {
        if (link->tunnel == NULL)
            return link;
    }
    return NULL;
}

/* Tell of each lost link; the last thing that is done with SELF. */
static void tell_lost(struct link_session *self)
{
    struct link *link;

    while ((link = first_lost(self)) != NULL) {
        struct link_lost lost = {.number = link->number,
                                 .accepted = link->accepted,
                                 .rc = link->rc,
                                 .live = link_session_live(self),
                                 .remote = link->remote};

        errno = link->error;
        TAILQ_REMOVE(&self->links, link, entry);
        free(link);
        if (self->on_lost != NULL)
            self->on_lost(self->arg, &lost);
    }
}

/* ---- deadlines ----------------------------------------------------------------------------- */

static uint64_t next_deadline(const struct link_session *self)
{
    uint64_t at = tun_session_deadline(self->tunnel);
    struct link *link;

    for (link = first(self); link != NULL; link = next(link)) {
        uint64_t of_link = tun_link_deadline(link->tunnel);

        at = of_link < at ? of_link : at;
    }
    return at;
}

/*
 * Aim the timer at the next deadline. It moves with every feed and mostly to later, so a timer that
 * fires too early is left alone and aims again when it does.
 */
static void aim(struct link_session *self)
{
    uint64_t at = next_deadline(self), now;

    if (ev_is_active(&self->deadline) && self->deadline_ms <= at)
        return;
    ev_timer_stop(self->hub->loop, &self->deadline);
    if (at == UINT64_MAX)
        return;
    now = clock_mono_ms();
    self->deadline_ms = at;
    ev_timer_set(&self->deadline, at > now ? (double)(at - now + 1) / 1000.0 : 0.0, 0.0);
    ev_timer_start(self->hub->loop, &self->deadline);
}

static bool has_pending(const struct link_session *self)
{
    struct link *link;

    for (link = first(self); link != NULL; link = next(link)) {
        if (tun_link_pending(link->tunnel))
            return true;
    }
    return false;
}

/* After anything that was done to the tunnel from the loop. */
static void settle(struct link_session *self)
{
    aim(self);
    if (self->ending || has_pending(self))
        link_session_touch(self);
    tell_lost(self);
}

/* After a long stall the answer may already be in the socket: read first, then judge. Returns what
 * ended the session, or 0. */
static int judge_links(struct link_session *self, uint64_t now_ms)
{
    struct link *link;

    for (link = first(self); link != NULL; link = next(link)) {
        int rc;

        if (tun_link_deadline(link->tunnel) > now_ms)
            continue;
        rc = link_take_in(link);
        if (rc == ERR_OK && !self->ending)
            rc = link_judge(link, now_ms);
        if (self->ending)
            return ERR_OK;
        if (tun_session_ended(self->tunnel) != ERR_OK)
            return tun_session_ended(self->tunnel);
        if (rc != ERR_OK)
            link_lose(link, rc, now_ms);
    }
    return ERR_OK;
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct link_session *self = w->data;
    uint64_t now_ms = clock_mono_ms();
    int rc = judge_links(self, now_ms);

    (void)loop;
    (void)revents;
    if (rc == ERR_OK && !self->ending)
        rc = tun_session_tick(self->tunnel, now_ms);
    if (rc != ERR_OK) {
        end(self, rc); /* self is gone */
        return;
    }
    settle(self);
}

/* ---- what the links tell ------------------------------------------------------------------- */

void link_session_moved(struct link_session *self, struct link *link, int rc)
{
    int ended = self->ending ? ERR_OK : tun_session_ended(self->tunnel);

    if (ended != ERR_OK) {
        end(self, ended); /* self is gone */
        return;
    }
    if (rc != ERR_OK && !self->ending)
        link_lose(link, rc, clock_mono_ms());
    settle(self);
}

/* Op of the core, connector only; the owner's follows. */
static void on_accept(void *arg, struct tun_link *tunnel, const struct tun_accept *accept)
{
    struct link *link = tun_link_user(tunnel);

    link->accepted = true;
    if (link->session->on_accept != NULL)
        link->session->on_accept(arg, tunnel, accept);
}

/* Op of the core: LINK seems alive here, but the other side gave it up. The core wants to be told
 * that it is lost, but not from inside an op. */
static void on_link_cut(void *arg, struct tun_link *tunnel)
{
    struct link *link = tun_link_user(tunnel);

    (void)arg;
    link_cut(link);
    link_hub_add(link->session->hub, link->session);
}

static void lose_cut(struct link_session *self, uint64_t now_ms)
{
    struct link *link;

    for (link = first(self); link != NULL; link = next(link)) {
        if (link->cut)
            link_lose(link, ERR_EOF, now_ms);
    }
}

/* Returns 0 or what ended the session, perhaps an op that ran inside. */
static int send_all(struct link_session *self)
{
    uint64_t now_ms = clock_mono_ms();
    struct link *link;

    lose_cut(self, now_ms);
    for (link = first(self); link != NULL; link = next(link)) {
        int rc = link_send(link, now_ms);
        int ended = tun_session_ended(self->tunnel);

        if (ended != ERR_OK || rc == ERR_NOMEM)
            return ended != ERR_OK ? ended : rc;
        if (rc != ERR_OK)
            link_lose(link, rc, now_ms);
        else
            link_rearm(link);
    }
    return ERR_OK;
}

void link_session_flush(struct link_session *self)
{
    int rc = self->ending ? ERR_CANCELLED : send_all(self);

    if (rc != ERR_OK) {
        end(self, rc); /* self is gone */
        return;
    }
    aim(self);
    tell_lost(self);
}

void link_session_touch(struct link_session *self)
{
    struct link *link;

    if (self->tunnel == NULL)
        return;
    if (!self->hub->walking || self->flushed != self->hub->pass || self->ending) {
        link_hub_add(self->hub, self);
        return;
    }
    /* Its flush of this turn is over: the next one comes when the kernel has room, that is at once
     * or when it matters. */
    for (link = first(self); link != NULL; link = next(link)) {
        if (tun_link_pending(link->tunnel))
            ev_io_start(self->hub->loop, &link->wr);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

int link_session_new(struct link_session **out, struct link_hub *hub,
                     const struct link_session_config *cfg)
{
    struct tun_session_config tunnel;
    struct link_session *self;
    int rc;

    if (cfg->on_closed == NULL || cfg->tunnel == NULL || cfg->tunnel->ops == NULL)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->ops = *cfg->tunnel->ops;
    self->on_accept = self->ops.on_accept;
    self->ops.on_accept = on_accept;
    self->ops.on_link_cut = on_link_cut;
    tunnel = *cfg->tunnel;
    tunnel.ops = &self->ops;
    rc = tun_session_new(&self->tunnel, &tunnel, clock_mono_ms());
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    self->hub = hub;
    self->on_closed = cfg->on_closed;
    self->on_lost = cfg->on_lost;
    self->arg = cfg->arg;
    TAILQ_INIT(&self->links);
    ev_init(&self->deadline, on_deadline);
    self->deadline.data = self;
    aim(self);
    *out = self;
    return ERR_OK;
}

static struct link *find(const struct link_session *self, uint8_t number)
{
    struct link *link;

    for (link = first(self); link != NULL; link = next(link)) {
        if (link->number == number)
            return link;
    }
    return NULL;
}

int link_session_join(struct link_session *self, const struct link_join *join,
                      const struct tun_accept *accept)
{
    struct link *link;
    int rc;

    if (join->fd < 0)
        return ERR_INVALID;
    if (link_session_tunnel(self) == NULL)
        return ERR_EOF;
    link = find(self, join->number);
    if (link != NULL) {
        link_lose(link, ERR_CANCELLED, clock_mono_ms());
        link_hub_add(self->hub, self); /* on_lost comes with the flush */
    }
    rc = link_new(&link, self, join);
    if (rc != ERR_OK)
        return rc;
    rc = accept != NULL ? tun_link_accept(link->tunnel, accept) : ERR_OK;
    if (rc != ERR_OK) {
        link_undo(link);
        return rc;
    }
    link->accepted = accept != NULL;
    TAILQ_INSERT_TAIL(&self->links, link, entry);
    aim(self);
    link_session_touch(self);
    return ERR_OK;
}

int link_session_refuse(struct link_hub *hub, const struct link_join *join,
                        const struct tun_notice *notice)
{
    static const struct tun_session_ops no_ops;
    struct tun_session_config cfg = {.role = TUN_GATEWAY, .ops = &no_ops};
    uint64_t now_ms = clock_mono_ms();
    struct tun_session *session;
    struct tun_link *link;
    struct buf out = {0};
    int rc = tun_session_new(&session, &cfg, now_ms);

    if (rc != ERR_OK)
        return rc;
    rc = tun_link_new(&link, session, join->result, NULL, now_ms);
    if (rc != ERR_OK)
        goto free_session;
    tun_link_reject(link, notice);
    rc = link_hub_lend(hub, &out);
    if (rc != ERR_OK)
        goto free_session;
    rc = tun_link_pull(link, &out, now_ms);
    if (rc == ERR_OK)
        link_farewell_start(hub, join->fd, &out);
    link_hub_return(hub, &out);

free_session:
    tun_session_free(session);
    return rc;
}

void link_session_close(struct link_session *self, enum tun_code code, const char *why)
{
    if (link_session_tunnel(self) == NULL)
        return;
    tun_session_close(self->tunnel, code, why);
    self->ending = true;
    link_hub_add(self->hub, self);
}

/* ---- looks --------------------------------------------------------------------------------- */

struct tun_session *link_session_tunnel(const struct link_session *self)
{
    return self->ending ? NULL : self->tunnel;
}

unsigned link_session_live(const struct link_session *self)
{
    struct link *link;
    unsigned n = 0;

    if (self->tunnel == NULL)
        return 0;
    for (link = first(self); link != NULL; link = next(link))
        n += tun_link_is_live(link->tunnel);
    return n;
}

bool link_session_has(const struct link_session *self, uint8_t number)
{
    return self->tunnel != NULL && find(self, number) != NULL;
}

static void look(const struct link *link, struct link_info *out)
{
    struct net_sock_path path;

    *out = (struct link_info){
        .number = link->number,
        .live = tun_link_is_live(link->tunnel),
        .streams = tun_link_streams(link->tunnel),
        .rtt_us = tun_link_rtt_ms(link->tunnel) * 1000,
        .since_ms = link->since_ms,
        .remote = link->remote,
    };
    if (net_sock_path(&path, link->rd.fd) && path.rtt_us > 0)
        out->rtt_us = path.rtt_us;
}

size_t link_session_look(const struct link_session *self, struct link_info *out, size_t max)
{
    struct link *link;
    size_t n = 0;

    if (self->tunnel == NULL)
        return 0;
    for (link = first(self); link != NULL; link = next(link)) {
        if (n < max)
            look(link, &out[n++]);
    }
    return n;
}

uint8_t link_session_number(const struct tun_link *link)
{
    return ((const struct link *)tun_link_user(link))->number;
}
