/* SPDX-License-Identifier: Apache-2.0 */
/* What time does to a link: PINGs, and the judgement that it is dead. */
#include <assert.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

void tun_link_heard(struct tun_link *self)
{
    self->heard_ms = self->session->now_ms;
    self->unanswered_ms = 0;
}

/* 0 stands for "none" in the fields below. */
static uint64_t now_of(const struct tun_link *self)
{
    return self->session->now_ms > 0 ? self->session->now_ms : 1;
}

void tun_link_said(struct tun_link *self, bool asks)
{
    if (self->streams > 0 && self->busy_ms == 0)
        self->busy_ms = now_of(self);
    self->said_ms = self->session->now_ms;
    if (asks && self->unanswered_ms == 0)
        self->unanswered_ms = now_of(self);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/*
 * When a PING is due if nothing arrives before. One end looks after an idle link: the connector.
 * The other end waits for that PING, so what it says itself does not put it off.
 */
static uint64_t ping_at(const struct tun_link *self)
{
    uint64_t at = UINT64_MAX;

    if (self->ping_sent_ms != 0 || self->state != TUN_LINK_LIVE)
        return UINT64_MAX;
    if (self->session->role == TUN_CONNECTOR)
        at = earlier(self->heard_ms, self->said_ms) + self->session->accepted.ping_ms;
    if (self->streams > 0)
        at = earlier(at, self->heard_ms + TUN_PING_BUSY_MS);
    if (self->unanswered_ms != 0)
        at = earlier(at, self->unanswered_ms + TUN_PING_BUSY_MS);
    return at;
}

/* When the link is dead if nothing arrives before. */
static uint64_t dead_at(const struct tun_link *self)
{
    uint64_t at = UINT64_MAX;

    if (self->state == TUN_LINK_WAIT) /* a gateway's owner has not answered yet */
        return self->session->role == TUN_CONNECTOR ? self->born_ms + TUN_ACCEPT_MS : UINT64_MAX;
    if (self->session->role == TUN_GATEWAY)
        at = self->heard_ms + self->session->accepted.ping_ms + TUN_DEAD_MS;
    /* Not before the PING had its time: this process may have slept when it was due, and what was
     * sent may not have wanted a word. */
    if (self->unanswered_ms != 0 && self->ping_sent_ms != 0)
        at = earlier(at, later(self->unanswered_ms + TUN_DEAD_MS,
                               self->ping_sent_ms + TUN_DEAD_MS - TUN_PING_BUSY_MS));
    /* A PING that could not even be sent, because the socket takes nothing, counts as well. */
    if (self->ping_sent_ms != 0)
        at = earlier(at, later(self->ping_sent_ms, self->heard_ms) + TUN_DEAD_MS);
    /* While there are streams, the silence before the PING counts too. */
    if (self->ping_sent_ms != 0 && self->streams > 0)
        at = earlier(at, later(self->ping_sent_ms + TUN_DEAD_MS - TUN_PING_BUSY_MS,
                               later(self->heard_ms, self->busy_ms) + TUN_DEAD_MS));
    return at;
}

uint64_t tun_link_deadline(const struct tun_link *self)
{
    if (self->session->state == TUN_SESSION_ENDED || self->state == TUN_LINK_OVER)
        return UINT64_MAX; /* the session's deadline, and on_link_cut, tell */
    return earlier(ping_at(self), dead_at(self));
}

static void send_ping(struct tun_link *self)
{
    struct out o;

    if (!tun_link_control(self, &o))
        return;
    tun_frame_put_ping(&o, TUN_FRAME_PING, ++self->ping_value);
    tun_link_put(self, &o);
    self->ping_sent_ms = now_of(self);
}

int tun_link_tick(struct tun_link *self, uint64_t now_ms)
{
    struct tun_session *session = self->session;
    int rc;

    assert(session->depth == 0);
    if (tun_link_is_told(self, &rc))
        return rc;
    tun_session_clock(session, now_ms);
    if (session->now_ms >= dead_at(self)) {
        tun_link_end(self, ERR_TIMEOUT);
        return ERR_TIMEOUT;
    }
    if (session->now_ms >= ping_at(self))
        send_ping(self);
    return tun_session_ended(session);
}

void tun_link_moved(struct tun_link *self, uint64_t at_ms)
{
    if (self->unanswered_ms != 0)
        self->unanswered_ms = later(self->unanswered_ms, at_ms);
    if (self->ping_sent_ms != 0)
        self->ping_sent_ms = later(self->ping_sent_ms, at_ms);
}
