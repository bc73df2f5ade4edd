/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that wait for the bus. Each stays until the server confirmed its RPUSH, or its EXEC. One
 * whose link was lost under the EXEC may have arrived: the next attempt takes it out again first.
 */
#include "bus/outbox.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/clock.h"
#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/log.h"

#define TTL_TEXT "300"
#define RETRY_S 1.0           /* after a server said that it can't now */
#define FLIGHT_MAX (8u << 20) /* bytes of transactions on their way */
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
    bool sent;         /* its RPUSH or EXEC is in flight */
    bool doubt;        /* an EXEC of it may have run */
    const char *taken; /* NULL = a plain push; borrowed, as is item */
    const void *item;
    size_t item_len;
    void (*on_over)(void *arg, bool arrived);
    void *arg;
    size_t len;
    char value[];
};

struct bus_outbox {
    struct ev_loop *loop;
    struct bus_link *link;
    TAILQ_HEAD(, letter) letters;
    size_t count;
    size_t bytes;
    size_t flight; /* bytes of transactions in flight */
    bool held_up;  /* a letter waits for room in flight */
    bool told;     /* that the bus takes no answers now */
    ev_timer retry;
    ev_timer idle; /* zero delay: on_idle is due */
    void (*on_idle)(void *arg);
    void *arg;
};

static void unlink_letter(struct letter *letter)
{
    struct bus_outbox *self = letter->box;

    TAILQ_REMOVE(&self->letters, letter, entry);
    self->count--;
    self->bytes -= letter->len;
    if (self->on_idle != NULL && bus_outbox_is_idle(self))
        ev_timer_start(self->loop, &self->idle);
}

/* It arrived, or nobody waits for it any more. */
static void discard(struct letter *letter, bool arrived)
{
    void (*on_over)(void *arg, bool arrived) = letter->on_over;
    void *arg = letter->arg;

    unlink_letter(letter);
    free(letter);
    if (on_over != NULL)
        on_over(arg, arrived);
}

static void retry_later(struct bus_outbox *self)
{
    if (ev_is_active(&self->retry))
        return;
    ev_timer_set(&self->retry, RETRY_S, 0.0); /* one that fired keeps nothing of its time */
    ev_timer_start(self->loop, &self->retry);
}

static void on_pushed(void *arg, int rc, const struct bus_value *reply)
{
    struct letter *letter = arg;
    struct bus_outbox *self = letter->box;

    if (bus_error_is_passing(rc, reply)) {
        letter->sent = false;
        retry_later(self);
        return;
    }
    if (rc == ERR_REFUSED)
        LOG_WARN("answer refused by the bus", KV_S("key", letter->key), KV_S("err", reply->text));
    discard(letter, true);
}

static int expire(struct bus_outbox *self, const char *key)
{
    return bus_link_text(self->link, NULL, NULL, "EXPIRE", key, TTL_TEXT, NULL);
}

static int expire_all(struct letter *letter)
{
    int rc = letter->expires ? expire(letter->box, letter->key) : ERR_OK;

    return rc == ERR_OK && letter->also[0] != '\0' ? expire(letter->box, letter->also) : rc;
}

static int push(struct letter *letter, bus_reply_fn *on_reply)
{
    const struct bus_arg args[] = {bus_text(letter->head ? "LPUSH" : "RPUSH"),
                                   bus_text(letter->key), BUS_BYTES(letter->value, letter->len)};
    const struct bus_query query = {
        .args = args, .count = 3, .on_reply = on_reply, .arg = on_reply != NULL ? letter : NULL};

    return bus_link_send(letter->box->link, &query);
}

/* --- with the removal of an item --- */

static void flush(struct bus_outbox *self);

static void on_exec(void *arg, int rc, const struct bus_value *reply)
{
    struct letter *letter = arg;
    struct bus_outbox *self = letter->box;

    self->flight -= letter->len + letter->item_len;
    letter->sent = false;
    if (rc != ERR_OK) {
        letter->doubt = letter->doubt || rc != ERR_REFUSED;
        if (rc == ERR_REFUSED && !self->told)
            LOG_WARN("the bus takes no answers now", KV_S("key", letter->key),
                     KV_S("err", reply->text));
        self->told = self->told || rc == ERR_REFUSED;
        retry_later(self);
        return;
    }
    crash_at(CRASH_ANSWERED);
    self->told = false;
    letter->sent = true; /* flush leaves it alone */
    if (self->held_up)
        flush(self);
    discard(letter, true);
}

static int remove_from(struct letter *letter, const char *key, const void *data, size_t len)
{
    const struct bus_arg args[] = {bus_text("LREM"), bus_text(key), bus_text("1"),
                                   BUS_BYTES(data, len)};

    return bus_link_send(letter->box->link, &(struct bus_query){.args = args, .count = 4});
}

/* From MULTI on everything must go out: half of it would leave the connection inside a MULTI. */
static void send_transaction(struct letter *letter)
{
    struct bus_outbox *self = letter->box;
    size_t size = letter->len + letter->item_len;
    int rc = ERR_OK;

    if (self->flight > 0 && self->flight + size > FLIGHT_MAX)
        self->held_up = true;
    if (self->held_up || bus_link_text(self->link, NULL, NULL, "MULTI", NULL) != ERR_OK)
        return; /* on_exec, on_up or the timer come back to it */
    if (letter->doubt)
        rc = remove_from(letter, letter->key, letter->value, letter->len);
    if (rc == ERR_OK)
        rc = push(letter, NULL);
    if (rc == ERR_OK)
        rc = expire_all(letter);
    if (rc == ERR_OK)
        rc = remove_from(letter, letter->taken, letter->item, letter->item_len);
    if (rc == ERR_OK)
        rc = bus_link_text(self->link, on_exec, letter, "EXEC", NULL);
    if (rc != ERR_OK) {
        bus_link_redial(self->link);
        return;
    }
    letter->sent = true;
    self->flight += size;
}

/* --- all of them --- */

static void send_letter(struct letter *letter)
{
    if (letter->taken != NULL) {
        send_transaction(letter);
        return;
    }
    letter->sent = push(letter, on_pushed) == ERR_OK;
    if (letter->sent)
        (void)expire_all(letter); /* a list that outlives its time is only untidy */
}

/* Send what was not, forget what nobody waits for any more. */
static void flush(struct bus_outbox *self)
{
    struct letter *letter = TAILQ_FIRST(&self->letters);
    uint64_t now = clock_mono_ms();

    self->held_up = false;
    while (letter != NULL) {
        struct letter *next = TAILQ_NEXT(letter, entry);

        if (!letter->sent && now - letter->given_ms > BUS_RESULT_TTL_S * 1000u)
            discard(letter, false);
        else if (!letter->sent)
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
    struct letter *letter;

    if (self == NULL)
        return;
    self->on_idle = NULL;
    bus_link_free(self->link); /* first: its callbacks hold letters */
    while ((letter = TAILQ_FIRST(&self->letters)) != NULL) {
        TAILQ_REMOVE(&self->letters, letter, entry);
        free(letter);
    }
    ev_timer_stop(self->loop, &self->idle);
    ev_timer_stop(self->loop, &self->retry);
    free(self);
}

int bus_outbox_send(struct bus_outbox *self, const struct bus_letter *what)
{
    struct letter *letter;

    if (self->count >= BUS_OUTBOX_MAX || what->len > BUS_OUTBOX_BYTES_MAX - self->bytes)
        return ERR_LIMIT;
    letter = calloc(1, sizeof(*letter) + what->len);
    if (letter == NULL)
        return ERR_NOMEM;
    letter->box = self;
    letter->given_ms = clock_mono_ms();
    letter->len = what->len;
    letter->head = what->head;
    letter->expires = !what->stays;
    letter->taken = what->taken;
    letter->item = what->item;
    letter->item_len = what->item_len;
    letter->on_over = what->on_over;
    letter->arg = what->arg;
    snprintf(letter->key, sizeof(letter->key), "%s", what->key);
    snprintf(letter->also, sizeof(letter->also), "%s", what->also != NULL ? what->also : "");
    if (what->len > 0)
        memcpy(letter->value, what->value, what->len);
    TAILQ_INSERT_TAIL(&self->letters, letter, entry);
    self->count++;
    self->bytes += what->len;
    send_letter(letter);
    return ERR_OK;
}

int bus_outbox_push(struct bus_outbox *self, const char *key, const void *value, size_t len,
                    const char *also)
{
    return bus_outbox_send(
        self, &(struct bus_letter){.key = key, .value = value, .len = len, .also = also});
}

int bus_outbox_push_head(struct bus_outbox *self, const char *key, struct bus_arg value,
                         bool expires)
{
    return bus_outbox_send(
        self,
        &(struct bus_letter){
            .key = key, .value = value.data, .len = value.len, .head = true, .stays = !expires});
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
