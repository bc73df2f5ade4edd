/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that wait for the bus. Each stays until the server confirmed its RPUSH. */
#include "bus/outbox.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"

#define TTL_TEXT "300"
#define RETRY_S 1.0 /* after a server said that it can't now */
_Static_assert(BUS_RESULT_TTL_S == 300, "TTL_TEXT says the same");

/* One answer; lives until the server confirmed it. */
struct letter {
    TAILQ_ENTRY(letter) entry;
    struct bus_outbox *box;
    char key[BUS_KEY_CAP];
    char also[BUS_KEY_CAP]; /* "" = none */
    bool head;              /* LPUSH */
    bool expires;
    uint64_t given_ms;
    bool sent; /* its RPUSH is in flight */
    size_t len;
    char value[];
};

struct bus_outbox {
    struct ev_loop *loop;
    struct bus_link *link;
    TAILQ_HEAD(, letter) letters;
    size_t count;
    size_t bytes;
    ev_timer retry;
    ev_timer idle; /* zero delay: on_idle is due */
    void (*on_idle)(void *arg);
    void *arg;
};

static void discard(struct letter *letter)
{
    struct bus_outbox *self = letter->box;

    TAILQ_REMOVE(&self->letters, letter, entry);
    self->count--;
    self->bytes -= letter->len;
    free(letter);
    if (self->on_idle != NULL && bus_outbox_is_idle(self))
        ev_timer_start(self->loop, &self->idle);
}

/* Lost on the way, or a server that can't now: the letter stays and leaves once more later. */
static bool is_passing(int rc, const struct bus_value *reply)
{
    enum bus_error_class class = bus_error_class(reply);

    if (rc != ERR_REFUSED)
        return rc != ERR_OK;
    return class == BUS_ERROR_RETRY || class == BUS_ERROR_REDISCOVER;
}

static void on_pushed(void *arg, int rc, const struct bus_value *reply)
{
    struct letter *letter = arg;
    struct bus_outbox *self = letter->box;

    if (is_passing(rc, reply)) {
        letter->sent = false;
        ev_timer_start(self->loop, &self->retry);
        return;
    }
    if (rc == ERR_REFUSED)
        LOG_WARN("answer refused by the bus", KV_S("key", letter->key), KV_S("err", reply->text));
    discard(letter);
}

static void expire(struct bus_outbox *self, const char *key)
{
    /* A reply list that outlives its time is only untidy. */
    (void)bus_link_text(self->link, NULL, NULL, "EXPIRE", key, TTL_TEXT, NULL);
}

static void send_letter(struct letter *letter)
{
    struct bus_outbox *self = letter->box;
    const struct bus_arg args[] = {bus_text(letter->head ? "LPUSH" : "RPUSH"),
                                   bus_text(letter->key), BUS_BYTES(letter->value, letter->len)};
    const struct bus_query query = {.args = args, .count = 3, .on_reply = on_pushed, .arg = letter};

    if (letter->sent || bus_link_send(self->link, &query) != ERR_OK)
        return;
    letter->sent = true;
    if (letter->expires)
        expire(self, letter->key);
    if (letter->also[0] != '\0')
        expire(self, letter->also);
}

/* Send what was not, forget what nobody waits for any more. */
static void flush(struct bus_outbox *self)
{
    struct letter *letter = TAILQ_FIRST(&self->letters);
    uint64_t now = clock_mono_ms();

    while (letter != NULL) {
        struct letter *next = TAILQ_NEXT(letter, entry);

        if (now - letter->given_ms > BUS_RESULT_TTL_S * 1000u && !letter->sent)
            discard(letter);
        else
            send_letter(letter);
        letter = next;
    }
}

static void on_up(void *arg)
{
    flush(arg);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    ev_timer_set(w, RETRY_S, 0.0); /* one that fired would fire again at once */
    flush(w->data);
}

static void on_down(void *arg, int rc, const char *why)
{
    struct bus_outbox *self = arg;

    (void)rc;
    (void)why;
    if (self->on_idle != NULL)
        ev_timer_start(self->loop, &self->idle);
}

static void on_idle_due(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct bus_outbox *self = w->data;
    void (*on_idle)(void *arg) = self->on_idle;

    (void)loop;
    (void)revents;
    if (on_idle == NULL || !bus_outbox_is_idle(self))
        return;
    self->on_idle = NULL;
    on_idle(self->arg);
}

int bus_outbox_new(struct bus_outbox **out, struct ev_loop *loop, const struct bus_url *url,
                   const char *name)
{
    struct bus_outbox *self = calloc(1, sizeof(*self));
    struct bus_link_config cfg = {
        .loop = loop, .url = url, .name = name, .on_up = on_up, .on_down = on_down, .arg = self};
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    TAILQ_INIT(&self->letters);
    ev_timer_init(&self->idle, on_idle_due, 0.0, 0.0);
    ev_timer_init(&self->retry, on_retry, RETRY_S, 0.0);
    self->idle.data = self->retry.data = self;
    rc = bus_link_new(&self->link, &cfg);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void bus_outbox_free(struct bus_outbox *self)
{
    if (self == NULL)
        return;
    self->on_idle = NULL;
    bus_link_free(self->link); /* first: its callbacks hold letters */
    while (!TAILQ_EMPTY(&self->letters))
        discard(TAILQ_FIRST(&self->letters));
    ev_timer_stop(self->loop, &self->idle);
    ev_timer_stop(self->loop, &self->retry);
    free(self);
}

/* A letter with its value, not yet on its way; NULL when there is no room, with the reason in RC.
 */
static struct letter *letter_new(struct bus_outbox *self, const char *key, struct bus_arg value,
                                 int *rc)
{
    struct letter *letter;

    *rc = ERR_LIMIT;
    if (self->count >= BUS_OUTBOX_MAX || value.len > BUS_OUTBOX_BYTES_MAX - self->bytes)
        return NULL;
    *rc = ERR_NOMEM;
    letter = calloc(1, sizeof(*letter) + value.len);
    if (letter == NULL)
        return NULL;
    *rc = ERR_OK;
    letter->box = self;
    letter->given_ms = clock_mono_ms();
    letter->len = value.len;
    letter->expires = true;
    snprintf(letter->key, sizeof(letter->key), "%s", key);
    if (value.len > 0)
        memcpy(letter->value, value.data, value.len);
    TAILQ_INSERT_TAIL(&self->letters, letter, entry);
    self->count++;
    self->bytes += value.len;
    return letter;
}

int bus_outbox_push(struct bus_outbox *self, const char *key, const void *value, size_t len,
                    const char *also)
{
    int rc;
    struct letter *letter = letter_new(self, key, BUS_BYTES(value, len), &rc);

    if (letter == NULL)
        return rc;
    snprintf(letter->also, sizeof(letter->also), "%s", also != NULL ? also : "");
    send_letter(letter);
    return ERR_OK;
}

int bus_outbox_push_head(struct bus_outbox *self, const char *key, struct bus_arg value,
                         bool expires)
{
    int rc;
    struct letter *letter = letter_new(self, key, value, &rc);

    if (letter == NULL)
        return rc;
    letter->head = true;
    letter->expires = expires;
    send_letter(letter);
    return ERR_OK;
}

bool bus_outbox_is_idle(const struct bus_outbox *self)
{
    return self->count == 0 || !bus_link_is_up(self->link);
}

void bus_outbox_on_idle(struct bus_outbox *self, void (*on_idle)(void *arg), void *arg)
{
    self->on_idle = on_idle;
    self->arg = arg;
    if (bus_outbox_is_idle(self))
        ev_timer_start(self->loop, &self->idle);
}

struct bus_link *bus_outbox_link(struct bus_outbox *self)
{
    return self->link;
}
