/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection as a state machine: wait, dial, greet, up. Everything that can end it goes
 * through fail() and drop(). (over 600 lines: one state machine with its four timers' meanings;
 * dialling, queue and parser are elsewhere already)
 */
#include "bus/link.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/backoff.h"
#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/dial.h"
#include "bus/pending.h"
#include "bus/reply.h"

/* Between attempts. With ATTEMPT_MS, a server that is back is in use within 2 s, whatever it did.
 */
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 800
#define ATTEMPT_MS 1200 /* connecting, and signing in: who is slower is not back yet */
#define SETTLED_MS 1000 /* up for so long: the next loss starts with short waits again */
#define READ_CHUNK (64u << 10)
#define READS_PER_EVENT 16 /* then others get their turn */
#define TEXT_ARGS_MAX 64

enum link_state {
    LINK_WAIT,  /* not connected; the timer starts the next attempt */
    LINK_DIAL,  /* connecting; the timer gives up */
    LINK_GREET, /* signing in; the timer gives up */
    LINK_UP,    /* commands flow; the timer is the earliest deadline, or the next PING */
    LINK_STATES
};

#define TO(s) (1u << (s))

static const uint8_t next_ok[LINK_STATES] = {
    [LINK_WAIT] = TO(LINK_DIAL),
    [LINK_DIAL] = TO(LINK_GREET) | TO(LINK_WAIT),
    [LINK_GREET] = TO(LINK_UP) | TO(LINK_WAIT),
    [LINK_UP] = TO(LINK_WAIT),
};

struct bus_link {
    struct bus_link_config cfg; /* url points to the field below */
    struct bus_url url;
    enum link_state state;
    ev_io readable;
    ev_io writable;
    ev_timer timer;
    ev_timer kick; /* zero delay: a drop asked for from outside */
    struct bus_dial *dial;
    int fd; /* -1 = none */
    struct bus_parser *parser;
    struct bus_queue queue;
    struct backoff backoff;
    uint64_t up_since_ms;
    uint64_t sent_ms;     /* last command queued */
    uint64_t timer_at_ms; /* when the timer fires in UP; UINT64_MAX = stopped */
    unsigned busy;        /* callbacks of ours on the stack: _free only marks */
    bool freed;
    bool said_down; /* a row of failed attempts is logged once */
    bool flapping;  /* it was lost soon after it came up: not told again before it has settled */
    int fail;       /* != 0: drop as soon as the stack allows, for this reason */
    char why[BUS_WHY_MAX];
};

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents);

static const char *link_name(const struct bus_link *self)
{
    return self->cfg.name != NULL ? self->cfg.name : "bus";
}

static void enter(struct bus_link *self, enum link_state to)
{
    assert(next_ok[self->state] & TO(to));
    self->state = to;
}

/* The timer fires in MS; a time that passed fires next turn. */
static void aim(struct bus_link *self, uint64_t ms)
{
    ev_timer_stop(self->cfg.loop, &self->timer);
    ev_now_update(self->cfg.loop);
    ev_timer_set(&self->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(self->cfg.loop, &self->timer);
}

/* The timer of state UP: at the earliest deadline, else when it is time for a PING. */
static void aim_at(struct bus_link *self, uint64_t at_ms)
{
    uint64_t now = clock_mono_ms();

    self->timer_at_ms = at_ms;
    if (at_ms == UINT64_MAX)
        ev_timer_stop(self->cfg.loop, &self->timer);
    else
        aim(self, at_ms > now ? at_ms - now : 0);
}

static void disconnect(struct bus_link *self)
{
    ev_io_stop(self->cfg.loop, &self->readable);
    ev_io_stop(self->cfg.loop, &self->writable);
    ev_timer_stop(self->cfg.loop, &self->timer);
    ev_timer_stop(self->cfg.loop, &self->kick);
    bus_dial_cancel(self->dial);
    self->dial = NULL;
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
}

static void destroy(struct bus_link *self)
{
    bus_parser_free(self->parser);
    bus_queue_clear(&self->queue);
    free(self);
}

/* Leave a stretch that ran callbacks. True when the link is gone. */
static bool leave(struct bus_link *self)
{
    self->busy--;
    if (!self->freed)
        return false;
    if (self->busy == 0)
        destroy(self);
    return true;
}

/* Note why the connection must go; the first reason stays. Acted upon in settle(). */
static void fail(struct bus_link *self, int rc, const char *why)
{
    if (self->fail != 0)
        return;
    self->fail = rc;
    snprintf(self->why, sizeof(self->why), "%s", why);
}

/* Everything that waited is told; what callbacks do (send, free) is safe as we are in WAIT. */
static void fail_all(struct bus_link *self, int rc)
{
    struct bus_pending *pending;

    while (!self->freed && (pending = bus_queue_take(&self->queue)) != NULL) {
        bus_reply_fn *on_reply = pending->on_reply;
        void *arg = pending->arg;
        /* Only the one that was too slow timed out; the rest lost their link. */
        bool late = rc == ERR_TIMEOUT && pending->deadline_ms > clock_mono_ms();

        bus_pending_free(pending);
        if (on_reply != NULL)
            on_reply(arg, late ? ERR_EOF : rc, NULL);
    }
}

static void log_down(struct bus_link *self, uint32_t wait_ms)
{
    char url[BUS_WHY_MAX];

    bus_url_print(url, &self->url);
    if (!self->said_down)
        LOG_WARN("bus link down", KV_S("link", link_name(self)), KV_S("url", url),
                 KV_S("err", self->why), KV_N("retry_ms", wait_ms));
    else
        LOG_DEBUG("bus link still down", KV_S("link", link_name(self)), KV_S("err", self->why),
                  KV_N("retry_ms", wait_ms));
    self->said_down = true;
}

/* Up, and not only just now. */
static bool is_settled(const struct bus_link *self)
{
    return self->state == LINK_UP && clock_mono_ms() - self->up_since_ms >= SETTLED_MS;
}

/* The one way a connection or an attempt ends. Last statement of whoever calls it. */
static void drop(struct bus_link *self)
{
    int rc = self->fail;
    uint32_t wait_ms;

    if (is_settled(self))
        backoff_reset(&self->backoff);
    self->flapping = self->state == LINK_UP ? !is_settled(self) : self->flapping;
    disconnect(self);
    bus_parser_free(self->parser);
    self->parser = NULL;
    self->fail = 0;
    enter(self, LINK_WAIT);
    wait_ms = backoff_next_ms(&self->backoff);
    log_down(self, wait_ms);
    aim(self, wait_ms);
    self->busy++;
    fail_all(self, rc);
    if (!self->freed && self->cfg.on_down != NULL)
        self->cfg.on_down(self->cfg.arg, rc, self->why);
    leave(self);
}

/* End of an event: drop if something asked for it, else keep writing and timing. */
static void settle(struct bus_link *self)
{
    if (self->fail != 0) {
        drop(self);
        return;
    }
    if (self->queue.unsent != NULL)
        ev_io_start(self->cfg.loop, &self->writable);
}

/* A reply nobody asked for: the server's farewell, or not a Redis server at all. */
static void unexpected(struct bus_link *self, const struct bus_value *value)
{
    if (value->type == BUS_ERROR)
        fail(self, ERR_EOF, value->text);
    else
        fail(self, ERR_PROTO, "the server sent a reply that nothing asked for");
}

static bool is_message(const struct bus_value *value)
{
    return value->type == BUS_ARRAY && value->count >= 3 &&
           bus_value_is(&value->items[0], "message");
}

static void dispatch(struct bus_link *self, const struct bus_value *value)
{
    struct bus_pending *pending;
    bus_reply_fn *on_reply;
    void *arg;

    if (self->cfg.on_message != NULL && is_message(value)) {
        if (self->state == LINK_UP)
            self->cfg.on_message(self->cfg.arg, value);
        return;
    }
    if (!bus_queue_expects(&self->queue)) {
        unexpected(self, value);
        return;
    }
    pending = bus_queue_take(&self->queue);
    on_reply = pending->on_reply;
    arg = pending->arg;
    bus_pending_free(pending);
    if (bus_error_class(value) == BUS_ERROR_REDISCOVER)
        fail(self, ERR_EOF, value->text);
    if (on_reply != NULL)
        on_reply(arg, value->type == BUS_ERROR ? ERR_REFUSED : ERR_OK, value);
}

static void parse_failed(struct bus_link *self, int rc)
{
    if (rc == ERR_PROTO)
        fail(self, rc, bus_parser_why(self->parser));
    else if (rc == ERR_LIMIT)
        fail(self, rc, "the reply passes our caps");
    else
        fail(self, rc, err_text(rc));
}

/* Hand out every whole reply. Returns false when the link is gone. */
static bool take_replies(struct bus_link *self)
{
    struct bus_value *value = NULL;

    self->busy++;
    while (!self->freed && self->fail == 0) {
        int rc = bus_parser_next(self->parser, &value);

        if (rc != ERR_OK) {
            if (rc != ERR_AGAIN)
                parse_failed(self, rc);
            break;
        }
        dispatch(self, value);
        bus_value_free(value);
    }
    return !leave(self);
}

/* Read what is there. Returns false when the link is gone. */
static bool receive(struct bus_link *self)
{
    uint8_t chunk[READ_CHUNK];

    for (int i = 0; i < READS_PER_EVENT && self->fail == 0; i++) {
        ssize_t n = read(self->fd, chunk, sizeof(chunk));
        int rc;

        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return true;
        if (n < 0) {
            fail(self, ERR_EOF, strerror(errno));
            return true;
        }
        if (n == 0) {
            fail(self, ERR_EOF, "the server closed the connection");
            return true;
        }
        rc = bus_parser_feed(self->parser, chunk, (size_t)n);
        if (rc != ERR_OK)
            parse_failed(self, rc);
        else if (!take_replies(self))
            return false;
        if ((size_t)n < sizeof(chunk))
            return true;
    }
    return true;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct bus_link *self = w->data;

    (void)loop;
    (void)revents;
    if (receive(self))
        settle(self);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct bus_link *self = w->data;
    int rc = bus_queue_write(&self->queue, self->fd);

    (void)revents;
    if (rc == ERR_SYS)
        fail(self, ERR_EOF, strerror(errno));
    else if (rc == ERR_OK)
        ev_io_stop(loop, w);
    settle(self);
}

static void on_kick(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    settle(w->data);
}

/* Queue a command in any state that has a connection. */
static int queue_command(struct bus_link *self, const struct bus_query *query)
{
    uint32_t wait_ms = query->deadline_ms > 0 ? query->deadline_ms : self->cfg.deadline_ms;
    uint64_t deadline = clock_mono_ms() + wait_ms;
    int rc = bus_queue_add(&self->queue, query, deadline);

    self->sent_ms = clock_mono_ms(); /* also after a failure, or pings would spin */
    if (rc != ERR_OK)
        return rc;
    ev_io_start(self->cfg.loop, &self->writable);
    if (self->state == LINK_UP && deadline < self->timer_at_ms)
        aim_at(self, deadline);
    return ERR_OK;
}

static int queue_text(struct bus_link *self, bus_reply_fn *on_reply, const struct bus_arg *args,
                      size_t count)
{
    return queue_command(
        self, &(struct bus_query){.args = args, .count = count, .on_reply = on_reply, .arg = self});
}

/* --- signing in: AUTH, SELECT, then PING, whose answer says that the server serves --- */

static void on_signed_in(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_link *self = arg;

    if (rc == ERR_REFUSED)
        fail(self, bus_error_class(reply) == BUS_ERROR_STOP ? ERR_AUTH : ERR_EOF, reply->text);
}

static uint64_t next_ping_ms(const struct bus_link *self)
{
    return self->cfg.ping_ms > 0 ? self->sent_ms + self->cfg.ping_ms : UINT64_MAX;
}

/* Where the timer points while UP: FIRST is the earliest deadline, UINT64_MAX = nothing waits. */
static uint64_t next_look_ms(const struct bus_link *self, uint64_t first)
{
    uint64_t next = first != UINT64_MAX ? first : next_ping_ms(self);
    uint64_t settled = self->up_since_ms + SETTLED_MS;

    return self->flapping && settled < next ? settled : next;
}

/* A server that takes us and throws us out again and again is told once, not at each turn. */
static void say_up(struct bus_link *self)
{
    if (self->flapping && !is_settled(self))
        return;
    self->flapping = false;
    self->said_down = false;
    LOG_INFO("bus link up", KV_S("link", link_name(self)));
}

static void on_greeted(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_link *self = arg;

    /* A user without the right to PING is signed in all the same. */
    if (rc == ERR_REFUSED && strncmp(reply->text, "NOPERM", 6) != 0)
        on_signed_in(arg, rc, reply);
    if (self->state != LINK_GREET || self->fail != 0 || (rc != ERR_OK && rc != ERR_REFUSED))
        return;
    enter(self, LINK_UP);
    self->up_since_ms = clock_mono_ms();
    aim_at(self, next_look_ms(self, UINT64_MAX));
    say_up(self);
    if (self->cfg.on_up != NULL)
        self->cfg.on_up(self->cfg.arg);
}

static int send_greeting(struct bus_link *self)
{
    const struct bus_arg ping[] = {bus_text("PING")};
    struct bus_arg auth[3] = {bus_text("AUTH")};
    char number[16];
    size_t n = 1;
    int rc = ERR_OK;

    if (self->url.user[0] != '\0')
        auth[n++] = bus_text(self->url.user);
    auth[n++] = bus_text(self->url.password);
    if (self->url.password[0] != '\0')
        rc = queue_text(self, on_signed_in, auth, n);
    snprintf(number, sizeof(number), "%u", self->url.db);
    if (rc == ERR_OK && self->url.db != 0)
        rc = queue_text(self, on_signed_in,
                        (const struct bus_arg[]){bus_text("SELECT"), bus_text(number)}, 2);
    return rc == ERR_OK ? queue_text(self, on_greeted, ping, 1) : rc;
}

static uint32_t attempt_ms(const struct bus_link *self)
{
    return self->cfg.deadline_ms < ATTEMPT_MS ? self->cfg.deadline_ms : ATTEMPT_MS;
}

static void on_dialled(void *arg, int rc, int fd)
{
    struct bus_link *self = arg;

    self->dial = NULL;
    if (rc != ERR_OK) {
        fail(self, ERR_EOF, rc == ERR_SYS ? strerror(errno) : "no address for this host name");
        drop(self);
        return;
    }
    self->fd = fd;
    enter(self, LINK_GREET);
    aim(self, attempt_ms(self));
    ev_io_set(&self->readable, fd, EV_READ);
    ev_io_set(&self->writable, fd, EV_WRITE);
    rc = bus_parser_new(&self->parser);
    if (rc == ERR_OK)
        rc = send_greeting(self);
    if (rc != ERR_OK)
        fail(self, rc, err_text(rc));
    ev_io_start(self->cfg.loop, &self->readable);
    settle(self);
}

static void attempt(struct bus_link *self)
{
    int rc;

    enter(self, LINK_DIAL);
    rc = bus_dial_start(&self->dial, self->cfg.loop, &self->url, on_dialled, self);
    if (rc != ERR_OK) {
        fail(self, rc, err_text(rc));
        drop(self);
        return;
    }
    /* A look-up takes as long as the resolver needs; several addresses may have to be tried. */
    aim(self, bus_dial_is_literal(&self->url) ? attempt_ms(self) : self->cfg.deadline_ms);
}

/* The timer fired in UP: some deadline may have passed, or the line was idle for long. */
static void check_deadlines(struct bus_link *self)
{
    const struct bus_arg ping[] = {bus_text("PING")};
    uint64_t first;

    /* After a stop of our own process the answer may be here already: look before judging. */
    if (!receive(self))
        return;
    first = bus_queue_deadline(&self->queue);
    if (self->fail == 0 && first <= clock_mono_ms())
        fail(self, ERR_TIMEOUT, "the server did not answer in time");
    if (self->fail == 0 && first == UINT64_MAX && next_ping_ms(self) <= clock_mono_ms()) {
        (void)queue_text(self, NULL, ping, 1); /* no memory: the next turn tries again */
        first = bus_queue_deadline(&self->queue);
    }
    if (self->fail == 0 && self->flapping)
        say_up(self);
    if (self->fail == 0)
        aim_at(self, next_look_ms(self, first));
    settle(self);
}

/* The timer fired in GREET; as above, what is here already counts. */
static void check_greeting(struct bus_link *self)
{
    if (!receive(self))
        return;
    if (self->state == LINK_GREET)
        fail(self, ERR_TIMEOUT, "the server accepted the connection but does not answer");
    settle(self);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct bus_link *self = w->data;

    (void)loop;
    (void)revents;
    switch (self->state) {
    case LINK_WAIT:
        attempt(self);
        return;
    case LINK_UP:
        check_deadlines(self);
        return;
    case LINK_GREET:
        check_greeting(self);
        return;
    default:
        fail(self, ERR_TIMEOUT, "connecting took too long");
        drop(self);
    }
}

int bus_link_new(struct bus_link **out, const struct bus_link_config *cfg)
{
    struct bus_link *self;

    if (cfg->loop == NULL || cfg->url == NULL)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->url = *cfg->url;
    self->cfg.url = &self->url;
    if (self->cfg.deadline_ms == 0)
        self->cfg.deadline_ms = BUS_DEADLINE_MS;
    self->fd = -1;
    self->backoff = backoff_init(RETRY_MIN_MS, RETRY_MAX_MS);
    bus_queue_init(&self->queue);
    ev_init(&self->readable, on_readable);
    ev_init(&self->writable, on_writable);
    ev_init(&self->timer, on_timer);
    ev_timer_init(&self->kick, on_kick, 0.0, 0.0);
    self->readable.data = self->writable.data = self->timer.data = self->kick.data = self;
    aim(self, 0);
    *out = self;
    return ERR_OK;
}

void bus_link_free(struct bus_link *self)
{
    if (self == NULL || self->freed)
        return;
    disconnect(self);
    self->freed = true;
    if (self->busy == 0)
        destroy(self);
}

bool bus_link_is_up(const struct bus_link *self)
{
    return self->state == LINK_UP && self->fail == 0 && !self->freed;
}

const char *bus_link_why(const struct bus_link *self)
{
    return self->why;
}

size_t bus_link_in_flight(const struct bus_link *self)
{
    return self->queue.count;
}

struct bus_arg bus_text(const char *text)
{
    return (struct bus_arg){.data = text, .len = strlen(text)};
}

int bus_link_send(struct bus_link *self, const struct bus_query *query)
{
    return bus_link_is_up(self) ? queue_command(self, query) : ERR_AGAIN;
}

int bus_link_text(struct bus_link *self, bus_reply_fn *on_reply, void *arg, ...)
{
    struct bus_arg args[TEXT_ARGS_MAX];
    const char *text;
    size_t n = 0;
    va_list ap;

    va_start(ap, arg);
    while ((text = va_arg(ap, const char *)) != NULL && n < TEXT_ARGS_MAX)
        args[n++] = bus_text(text);
    va_end(ap);
    if (text != NULL)
        return ERR_LIMIT;
    return bus_link_send(
        self, &(struct bus_query){.args = args, .count = n, .on_reply = on_reply, .arg = arg});
}

void bus_link_forget(struct bus_link *self, const void *arg)
{
    bus_queue_forget(&self->queue, arg);
}

void bus_link_redial(struct bus_link *self)
{
    if (self->state != LINK_GREET && self->state != LINK_UP)
        return; /* it is dialling, or about to */
    fail(self, ERR_EOF, "dropped by our own side");
    ev_timer_start(self->cfg.loop, &self->kick);
}
