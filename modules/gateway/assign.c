/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three looks. A check: GET head and HLEN; nothing more to do when they are what they were, or what
 * the store adds up to. A partial one: HMGET of what wakes named, GET head behind it. A whole one:
 * GET head, HSCAN page by page, GET head. Nothing of this is atomic: what wakes name meanwhile is
 * read again, with the head behind it, until it adds up or nobody says that anything moved.
 */
#include "modules/gateway/assign.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/backoff.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/event.h"
#include "bus/link.h"
#include "bus/name.h"
#include "modules/gateway/named.h"

#define EVERY_MS 30000
#define POLL_S 0.7      /* a wake may be lost: the head alone is cheap to look at */
#define EVERY_JITTER 20 /* percent */
#define GATHER_S 0.01   /* wakes of one burst share a look */
#define PAGE "64"       /* fields per HSCAN: at 66 KB each within the cap of a reply */
#define PAGE_FIELDS 64  /* the same for HMGET */
#define TRIES_MAX 5     /* whole looks in a row at a head that keeps moving */
#define ROUNDS_MAX 20   /* of reading again within one look */
#define ROUND_S 0.005   /* more after each, up to 20 times: until the next round */
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 1000 /* one GET: the bus may be well again soon */

struct gw_assign {
    struct gw_assign_config cfg; /* text pointers in it are not used */
    struct ev_loop *loop;
    struct bus_subscriber *subscriber;
    char key[BUS_KEY_CAP];
    char head_key[BUS_KEY_CAP];
    ev_timer soon;  /* the next look, asked for */
    ev_timer every; /* the next whole look */
    ev_timer poll;  /* the next look at the head */
    struct sch_assign_head polled;
    bool poll_acted; /* a look was asked for because of it */
    struct backoff backoff;
    /* what the next look shall cover */
    bool want_all;
    bool want_check;
    struct gw_named *named;
    /* the look under way */
    bool looking;
    bool whole; /* of all fields */
    unsigned tries;
    unsigned rounds; /* of reading again what was named meanwhile */
    ev_timer round;  /* until the next one */
    struct gw_desired *desired;
    struct sch_assign_head head;
    char (*ids)[GW_ID_MAX]; /* owned; asked for by HMGET */
    size_t id_count;
    size_t id_done;    /* those that were answered */
    bool head_is_last; /* check: nothing moved; HLEN decides */
    char why[GW_DESIRED_WHY_MAX];
    /* after a good one */
    struct gw_desired_sum sum;
    struct sch_assign_head last;
    bool has_last;
};

static void start_look(struct gw_assign *self);
static void read_named(struct gw_assign *self);

/* ---- when ---- */

static void look_in(struct gw_assign *self, double seconds)
{
    if (self->looking || ev_is_active(&self->soon))
        return; /* a look under way checks for more at its end */
    ev_timer_set(&self->soon, seconds, 0.0);
    ev_timer_start(self->loop, &self->soon);
}

static void want_everything(struct gw_assign *self, double seconds)
{
    self->want_all = true;
    look_in(self, seconds);
}

static void want_check(struct gw_assign *self)
{
    self->want_check = true;
    look_in(self, 0.0);
}

static void on_soon(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_assign *self = w->data;

    (void)loop;
    (void)revents;
    if (!self->looking && bus_link_is_up(self->cfg.link))
        start_look(self);
}

static void aim_every(struct gw_assign *self)
{
    ev_timer_stop(self->loop, &self->every);
    ev_timer_set(&self->every, (double)backoff_jitter_ms(self->cfg.every_ms, EVERY_JITTER) / 1000.0,
                 0.0);
    ev_timer_start(self->loop, &self->every);
}

static void on_every(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_assign *self = w->data;

    (void)loop;
    (void)revents;
    aim_every(self);
    want_check(self);
}

/* Wakes may have been missed before. */
static void on_subscribed(void *arg)
{
    want_check(arg);
}

/* A wake names workload ids; anything else means "look at everything". */
static void on_wake(void *arg, const char *channel, const void *data, size_t len)
{
    struct gw_assign *self = arg;

    (void)channel;
    if (gw_named_add(self->named, data, len))
        look_in(self, GATHER_S);
    else
        want_everything(self, GATHER_S);
}

/* ---- the end of a look ---- */

static void end_look(struct gw_assign *self)
{
    bus_link_forget(self->cfg.link, self); /* of what was asked for together */
    gw_desired_free(self->desired);
    self->desired = NULL;
    ev_timer_stop(self->loop, &self->round);
    self->looking = false;
    if (self->want_all || self->want_check || gw_named_count(self->named) > 0)
        look_in(self, GATHER_S);
}

/* The bus failed us: not a word about the state. */
static void broken(struct gw_assign *self, int rc)
{
    end_look(self);
    self->want_all = true;
    if (rc == ERR_EOF || rc == ERR_AGAIN || rc == ERR_TIMEOUT)
        return; /* gw_assign_up comes */

    if (self->backoff.tries == 0) /* once in a row */
        LOG_WARN("cannot read the assignments; trying again", KV_S("key", self->key),
                 KV_S("err", err_text(rc)));
    ev_timer_stop(self->loop, &self->soon);
    look_in(self, (double)backoff_next_ms(&self->backoff) / 1000.0);
}

static void keep_all(struct gw_assign *self, const char *why)
{
    LOG_WARN("desired state is not whole; everything stays as it is", KV_S("key", self->key),
             KV_S("why", why));
    self->sum.known = false;
    self->tries = 0;
    end_look(self);
    self->cfg.on_resync(self->cfg.arg, why);
}

/* Again from the start, with everything: the head moved, or a partial look did not fit. */
static void look_again(struct gw_assign *self)
{
    gw_desired_free(self->desired);
    self->desired = NULL;
    self->want_all = true;
    start_look(self);
}

/* What the head says is what we have. */
static void end_good_look(struct gw_assign *self)
{
    self->last = self->head;
    self->has_last = true;
    self->want_check = false;
    self->tries = 0;
    backoff_reset(&self->backoff);
    end_look(self);
    if (self->cfg.on_look != NULL)
        self->cfg.on_look(self->cfg.arg);
}

static void take_over(struct gw_assign *self)
{
    int rc = gw_desired_apply(self->desired, &self->head, &self->cfg.ops, &self->sum);

    if (rc != ERR_OK)
        keep_all(self, rc == ERR_INVALID ? "an entry went back to an older rev" : err_text(rc));
    else
        end_good_look(self);
}

static bool same_head(const struct sch_assign_head *a, const struct sch_assign_head *b)
{
    return a->epoch == b->epoch && a->rev == b->rev && a->count == b->count &&
           strcmp(a->digest, b->digest) == 0;
}

/* ---- reading ---- */

static int read_head(struct sch_assign_head *out, const struct bus_value *reply,
                     char why[GW_DESIRED_WHY_MAX])
{
    struct sch_report report = {0};
    int rc;

    if (reply->type != BUS_TEXT) {
        (void)snprintf(why, GW_DESIRED_WHY_MAX, "there is no head");
        return ERR_NOENT;
    }
    rc = sch_assign_head_parse(out, reply->text, reply->len, &report);
    if (rc != ERR_OK)
        (void)snprintf(why, GW_DESIRED_WHY_MAX, "head: %.128s %.320s", report.path, report.why);
    return rc;
}

/* It does not add up. Is something still on its way to us? */
static void try_on(struct gw_assign *self, bool moved, const char *why)
{
    bool named = gw_named_count(self->named) > 0;

    if (self->want_all && ++self->tries < TRIES_MAX) {
        look_again(self);
    } else if ((named || (moved && self->rounds == 0)) && ++self->rounds < ROUNDS_MAX) {
        ev_timer_set(&self->round, ROUND_S * self->rounds, 0.0);
        ev_timer_start(self->loop, &self->round);
    } else if ((moved || named || !self->whole) && ++self->tries < TRIES_MAX) {
        look_again(self);
    } else {
        keep_all(self, why);
    }
}

/* The named ones become those to ask for. */
static int take_named(struct gw_assign *self)
{
    free(self->ids);
    self->ids = NULL;
    self->id_count = self->id_done = 0;
    return gw_named_take(self->named, &self->ids, &self->id_count);
}

/* Read again what was named since; perhaps nothing was, then the head alone decides. */
static void on_round(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_assign *self = w->data;

    (void)loop;
    (void)revents;
    if (take_named(self) == ERR_OK)
        read_named(self);
    else
        broken(self, ERR_NOMEM);
}

/* The head behind the fields: decides. */
static void on_tail(void *arg, int rc, const struct bus_value *reply)
{
    struct gw_assign *self = arg;
    struct sch_assign_head tail;
    enum gw_verdict verdict;
    char why[GW_DESIRED_WHY_MAX];
    bool moved;

    if (rc != ERR_OK) {
        broken(self, rc);
        return;
    }
    if (read_head(&tail, reply, why) != ERR_OK) {
        keep_all(self, why);
        return;
    }
    moved = !same_head(&self->head, &tail);
    self->head = tail;
    (void)snprintf(why, sizeof(why), "%s", self->why);
    verdict = gw_desired_judge(self->desired, &tail, why);
    if (verdict == GW_DESIRED_GOOD)
        take_over(self);
    else if (verdict == GW_DESIRED_STALE)
        keep_all(self, why);
    else
        try_on(self, moved, why);
}

static void read_tail(struct gw_assign *self)
{
    int rc = bus_link_text(self->cfg.link, on_tail, self, "GET", self->head_key, NULL);

    if (rc != ERR_OK)
        broken(self, rc);
}

/* NAME and VALUE into the look; a wrong one is remembered and judged at the end. */
static int add(struct gw_assign *self, const char *name, size_t name_len,
               const struct bus_value *value)
{
    int rc;

    if (value->type != BUS_TEXT)
        return ERR_PROTO;
    rc = gw_desired_add(self->desired, name, name_len, value->text, value->len, self->why);
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

static void on_page(void *arg, int rc, const struct bus_value *reply);

static void read_page(struct gw_assign *self, const char *cursor)
{
    int rc = bus_link_text(self->cfg.link, on_page, self, "HSCAN", self->key, cursor, "COUNT", PAGE,
                           NULL);

    if (rc != ERR_OK)
        broken(self, rc);
}

/* [cursor, [name, value, ...]] */
static bool is_page(const struct bus_value *reply)
{
    return reply->type == BUS_ARRAY && reply->count == 2 && reply->items[0].type == BUS_TEXT &&
           reply->items[1].type == BUS_ARRAY && reply->items[1].count % 2 == 0;
}

static void on_page(void *arg, int rc, const struct bus_value *reply)
{
    struct gw_assign *self = arg;
    const struct bus_value *pairs;

    if (rc == ERR_OK && !is_page(reply))
        rc = ERR_PROTO;
    pairs = rc == ERR_OK ? &reply->items[1] : NULL;
    for (size_t i = 0; rc == ERR_OK && i < pairs->count; i += 2) {
        if (pairs->items[i].type != BUS_TEXT)
            rc = ERR_PROTO;
        else
            rc = add(self, pairs->items[i].text, pairs->items[i].len, &pairs->items[i + 1]);
    }
    if (rc != ERR_OK)
        broken(self, rc);
    else if (strcmp(reply->items[0].text, "0") == 0)
        read_tail(self);
    else
        read_page(self, reply->items[0].text);
}

/* The next ids in the order they were asked for, and what they hold. */
static int take_values(struct gw_assign *self, const struct bus_value *values)
{
    int rc = ERR_OK;

    for (size_t i = 0; rc == ERR_OK && i < values->count; i++) {
        const char *id = self->ids[self->id_done++];

        if (values->items[i].type == BUS_NIL)
            gw_desired_absent(self->desired, id);
        else
            rc = add(self, id, strlen(id), &values->items[i]);
    }
    return rc;
}

static void on_named(void *arg, int rc, const struct bus_value *reply)
{
    struct gw_assign *self = arg;

    if (self->desired == NULL)
        return; /* a part before failed */
    if (rc == ERR_OK && (reply->type != BUS_ARRAY || reply->count > self->id_count - self->id_done))
        rc = ERR_PROTO;
    if (rc == ERR_OK)
        rc = take_values(self, reply);
    if (rc != ERR_OK)
        broken(self, rc);
}

/* All in one burst, so that hardly anything can come between it and the head. */
static void read_named(struct gw_assign *self)
{
    struct bus_arg args[PAGE_FIELDS + 2] = {bus_text("HMGET"), bus_text(self->key)};
    struct bus_query query = {.args = args, .on_reply = on_named, .arg = self};
    int rc = ERR_OK;

    for (size_t at = 0; rc == ERR_OK && at < self->id_count;) {
        for (query.count = 2; query.count < PAGE_FIELDS + 2 && at < self->id_count; at++)
            args[query.count++] = bus_text(self->ids[at]);
        rc = bus_link_send(self->cfg.link, &query);
    }
    if (rc == ERR_OK)
        read_tail(self);
    else
        broken(self, rc);
}

/* The head is there and not older: read the fields. */
static void read_fields(struct gw_assign *self)
{
    int rc = gw_desired_new(&self->desired, self->cfg.store, self->whole ? NULL : &self->sum);

    self->why[0] = '\0';
    self->rounds = 0;
    if (rc == ERR_OK && !self->whole)
        rc = take_named(self);
    if (rc != ERR_OK)
        broken(self, rc);
    else if (self->whole)
        read_page(self, "0");
    else
        read_named(self);
}

static void read_all(struct gw_assign *self)
{
    self->whole = true;
    read_fields(self);
}

/* The head in front of a check or a whole look. */
static void on_head(void *arg, int rc, const struct bus_value *reply)
{
    struct gw_assign *self = arg;
    char why[GW_DESIRED_WHY_MAX];

    self->head_is_last = false;
    if (rc != ERR_OK) {
        broken(self, rc);
        return;
    }
    rc = read_head(&self->head, reply, why);
    if (rc == ERR_NOENT && !self->cfg.has_agent && gw_store_mark(self->cfg.store).epoch == 0)
        end_look(self); /* no agent ever spoke to us */
    else if (rc != ERR_OK || gw_desired_is_stale(self->cfg.store, &self->head, why))
        keep_all(self, why);
    else if (self->whole)
        read_all(self);
    else
        self->head_is_last =
            self->has_last && self->sum.known && same_head(&self->head, &self->last);
}

/* Behind the head of a check. A server that does not tell is no reason to read it all. */
static void on_length(void *arg, int rc, const struct bus_value *reply)
{
    struct gw_assign *self = arg;
    bool told = rc == ERR_OK && reply->type == BUS_INTEGER;

    if (rc != ERR_OK && rc != ERR_REFUSED)
        broken(self, rc);
    else if (told && reply->number != (int64_t)self->head.count)
        read_all(self);
    else if (self->head_is_last)
        end_look(self);
    else if (gw_desired_fits(self->cfg.store, &self->head, &self->cfg.ops, &self->sum))
        end_good_look(self);
    else
        read_all(self);
}

/* Begins a check or a whole look. */
static void ask_head(struct gw_assign *self)
{
    int rc = bus_link_text(self->cfg.link, on_head, self, "GET", self->head_key, NULL);

    if (rc == ERR_OK && !self->whole)
        rc = bus_link_text(self->cfg.link, on_length, self, "HLEN", self->key, NULL);
    if (rc != ERR_OK)
        broken(self, rc);
}

static void start_look(struct gw_assign *self)
{
    self->looking = true;
    self->whole = self->want_all;
    self->want_all = false;
    if (!self->whole && gw_named_count(self->named) > 0 && self->sum.known) {
        read_fields(self); /* a good one is as good as a check */
        return;
    }
    self->want_check = self->want_check && self->whole;
    if (self->whole)
        gw_named_clear(self->named);
    ask_head(self);
}

/* ---- wakes that were lost ---- */

/* A head that stands there for two polls and was not looked at: nobody woke us, or nobody could. */
static void on_polled(void *arg, int rc, const struct bus_value *reply)
{
    struct gw_assign *self = arg;
    struct sch_assign_head head;
    char why[GW_DESIRED_WHY_MAX];

    if (rc != ERR_OK || read_head(&head, reply, why) != ERR_OK || !self->has_last ||
        same_head(&head, &self->last))
        return;
    if (!same_head(&head, &self->polled)) {
        self->polled = head;
        self->poll_acted = false;
    } else if (!self->poll_acted) {
        self->poll_acted = true; /* once for each: what came of it was said */
        want_everything(self, 0.0);
    }
}

static void on_poll(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_assign *self = w->data;

    (void)loop;
    (void)revents;
    if (!self->looking && !ev_is_active(&self->soon)) /* down: gw_assign_up comes */
        (void)bus_link_text(self->cfg.link, on_polled, self, "GET", self->head_key, NULL);
}

/* ---- life ---- */

int gw_assign_new(struct gw_assign **out, const struct gw_assign_config *cfg)
{
    struct gw_assign *self = calloc(1, sizeof(*self));
    const char *channels[1];
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->loop = cfg->loop;
    self->cfg.every_ms = cfg->every_ms > 0 ? cfg->every_ms : EVERY_MS;
    self->backoff = backoff_init(RETRY_MIN_MS, RETRY_MAX_MS);
    (void)bus_key_assign(self->key, cfg->prefix, cfg->module);
    (void)bus_key_assign_head(self->head_key, cfg->prefix, cfg->module);
    ev_timer_init(&self->soon, on_soon, 0.0, 0.0);
    ev_timer_init(&self->every, on_every, 0.0, 0.0);
    ev_timer_init(&self->poll, on_poll, POLL_S, POLL_S);
    ev_timer_init(&self->round, on_round, 0.0, 0.0);
    self->soon.data = self->every.data = self->poll.data = self->round.data = self;
    channels[0] = self->key;
    struct bus_subscriber_config sub = {
        .loop = cfg->loop,
        .url = cfg->url,
        .channels = channels,
        .count = 1,
        .on_ready = on_subscribed,
        .on_message = on_wake,
        .arg = self,
    };
    rc = gw_named_new(&self->named);
    if (rc == ERR_OK)
        rc = bus_subscriber_new(&self->subscriber, &sub);
    if (rc != ERR_OK) {
        gw_named_free(self->named);
        free(self);
        return rc;
    }
    aim_every(self);
    ev_timer_start(self->loop, &self->poll);
    *out = self;
    return ERR_OK;
}

void gw_assign_free(struct gw_assign *self)
{
    if (self == NULL)
        return;
    bus_link_forget(self->cfg.link, self);
    bus_subscriber_free(self->subscriber);
    ev_timer_stop(self->loop, &self->soon);
    ev_timer_stop(self->loop, &self->every);
    ev_timer_stop(self->loop, &self->poll);
    ev_timer_stop(self->loop, &self->round);
    gw_desired_free(self->desired);
    gw_named_free(self->named);
    free(self->ids);
    free(self);
}

void gw_assign_up(struct gw_assign *self)
{
    self->tries = 0;
    ev_timer_stop(self->loop, &self->soon);
    want_check(self);
}
