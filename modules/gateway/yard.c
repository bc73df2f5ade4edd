/* SPDX-License-Identifier: Apache-2.0 */
/* Connections without a place in the pool; see yard.h. A lane is what one source has in it. */
#include "modules/gateway/yard.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/net/sock.h"

struct entry {
    struct gw_yard *yard;
    struct gw_yard_lane *lane;
    struct gw_arrival arrival;
    ev_io io; /* runs until the Hello is complete */
    bool ready;
    TAILQ_ENTRY(entry) of_age;
    TAILQ_ENTRY(entry) of_lane;
};
TAILQ_HEAD(entry_list, entry);

struct gw_yard_lane {
    struct gw_source *source;
    struct entry_list ready, silent; /* oldest first */
    size_t count, ready_count;
    LIST_ENTRY(gw_yard_lane) of_yard; /* in use, or free */
};
LIST_HEAD(lane_list, gw_yard_lane);

struct gw_yard {
    struct gw_yard_config cfg;
    struct entry *entries;
    struct gw_yard_lane *lanes;
    struct entry_list free, by_age; /* by_age: oldest first */
    struct lane_list free_lanes, used_lanes;
    size_t count;
    ev_timer limit; /* of the oldest */
};

/* --- places --- */

static struct gw_yard_lane *lane_of(struct gw_yard *self, struct gw_source *source)
{
    struct gw_yard_lane *lane = source->lane;

    if (lane != NULL)
        return lane;
    lane = LIST_FIRST(&self->free_lanes); /* as many as entries, and each has at least one */
    LIST_REMOVE(lane, of_yard);
    LIST_INSERT_HEAD(&self->used_lanes, lane, of_yard);
    lane->source = source;
    source->lane = lane;
    return lane;
}

/* Out of the yard; the descriptor is the caller's. */
static void leave(struct entry *entry)
{
    struct gw_yard *self = entry->yard;
    struct gw_yard_lane *lane = entry->lane;
    struct gw_source *source = lane->source;

    ev_io_stop(self->cfg.loop, &entry->io);
    TAILQ_REMOVE(entry->ready ? &lane->ready : &lane->silent, entry, of_lane);
    TAILQ_REMOVE(&self->by_age, entry, of_age);
    TAILQ_INSERT_HEAD(&self->free, entry, of_age);
    lane->ready_count -= entry->ready;
    self->count--;
    if (--lane->count == 0) {
        source->lane = NULL;
        LIST_REMOVE(lane, of_yard);
        LIST_INSERT_HEAD(&self->free_lanes, lane, of_yard);
    }
    gw_penalties_release(self->cfg.penalties, source);
}

/* Close and tell. ENTRY is free before the callback runs. */
static void end(struct entry *entry, enum gw_yard_end why)
{
    struct gw_yard *self = entry->yard;
    struct gw_source *source = entry->lane->source;
    bool heard = entry->arrival.first_len > 0;
    int fd = entry->arrival.fd;

    leave(entry);
    close(fd);
    self->cfg.on_end(self->cfg.arg, source, why, heard);
}

/* The yard is full: the source with the most in it loses the oldest of the kind that it has more
 * of. Who was just accepted has said nothing yet, and among many Hellos would always be the one to
 * go. */
static void make_room(struct gw_yard *self)
{
    struct gw_yard_lane *lane, *longest = LIST_FIRST(&self->used_lanes);
    bool silent;

    LIST_FOREACH(lane, &self->used_lanes, of_yard)
    {
        if (lane->count > longest->count)
            longest = lane;
    }
    silent = longest->count - longest->ready_count >= longest->ready_count;
    end(TAILQ_FIRST(silent ? &longest->silent : &longest->ready), GW_YARD_CROWDED);
}

/* --- time --- */

static void aim(struct gw_yard *self)
{
    const struct entry *oldest = TAILQ_FIRST(&self->by_age);
    uint64_t now = clock_mono_ms(), due;

    ev_timer_stop(self->cfg.loop, &self->limit);
    if (oldest == NULL)
        return;
    due = oldest->arrival.since_ms + self->cfg.timeout_ms;
    ev_now_update(self->cfg.loop);
    ev_timer_set(&self->limit, due > now ? (double)(due - now) / 1000.0 : 0.0, 0.0);
    ev_timer_start(self->cfg.loop, &self->limit);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_yard *self = w->data;
    uint64_t now = clock_mono_ms();
    struct entry *entry;

    (void)loop;
    (void)revents;
    while ((entry = TAILQ_FIRST(&self->by_age)) != NULL &&
           now - entry->arrival.since_ms >= self->cfg.timeout_ms)
        end(entry, entry->ready ? GW_YARD_LATE : GW_YARD_TIMEOUT);
    aim(self);
}

/* Nearly always at the end: only who came by the TLS port was accepted before others here. */
static void insert_by_age(struct gw_yard *self, struct entry *entry)
{
    struct entry *before = TAILQ_LAST(&self->by_age, entry_list);

    while (before != NULL && before->arrival.since_ms > entry->arrival.since_ms)
        before = TAILQ_PREV(before, entry_list, of_age);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&self->by_age, before, entry, of_age);
    else
        TAILQ_INSERT_HEAD(&self->by_age, entry, of_age);
    if (TAILQ_FIRST(&self->by_age) == entry)
        aim(self);
}

/* --- what they say --- */

static int check(const struct gw_yard *self, const struct gw_arrival *arrival)
{
    const struct gw_keyring *keys = self->cfg.keys;

    return tun_hello_check(&keys->own, keys->has_next ? &keys->next : NULL, arrival->first,
                           arrival->first_len);
}

int gw_yard_read(const struct gw_yard *self, struct gw_arrival *arrival)
{
    size_t room = sizeof(arrival->first) - arrival->first_len;
    int rc = check(self, arrival);
    ssize_t n;

    if (rc != ERR_AGAIN)
        return rc;
    n = recv(arrival->fd, arrival->first + arrival->first_len, room, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && !net_sock_again(errno)))
        return ERR_EOF;
    if (n < 0)
        return ERR_AGAIN;
    arrival->first_len += (size_t)n;
    return check(self, arrival);
}

static void become_ready(struct entry *entry)
{
    struct gw_yard *self = entry->yard;
    struct gw_yard_lane *lane = entry->lane;

    ev_io_stop(self->cfg.loop, &entry->io);
    TAILQ_REMOVE(&lane->silent, entry, of_lane);
    TAILQ_INSERT_TAIL(&lane->ready, entry, of_lane);
    entry->ready = true;
    lane->ready_count++;
    self->cfg.on_ready(self->cfg.arg, lane->source); /* entry may be gone */
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
    struct entry *entry = w->data;
    int rc = gw_yard_read(entry->yard, &entry->arrival);

    (void)loop;
    (void)revents;
    if (rc == ERR_OK)
        become_ready(entry);
    else if (rc == ERR_EOF)
        end(entry, GW_YARD_GONE);
    else if (rc != ERR_AGAIN)
        end(entry, GW_YARD_WRONG);
}

void gw_yard_add(struct gw_yard *self, struct gw_source *source, const struct gw_arrival *arrival,
                 bool ready)
{
    struct entry *entry;

    gw_penalties_hold(self->cfg.penalties, source); /* on_end may run before it is in */
    if (self->count == self->cfg.places)
        make_room(self);
    entry = TAILQ_FIRST(&self->free);
    TAILQ_REMOVE(&self->free, entry, of_age);
    entry->arrival = *arrival;
    entry->ready = ready;
    entry->lane = lane_of(self, source);
    entry->lane->count++;
    entry->lane->ready_count += ready;
    TAILQ_INSERT_TAIL(ready ? &entry->lane->ready : &entry->lane->silent, entry, of_lane);
    self->count++;
    insert_by_age(self, entry);
    ev_io_init(&entry->io, on_io, arrival->fd, EV_READ);
    entry->io.data = entry;
    if (!ready)
        ev_io_start(self->cfg.loop, &entry->io);
}

/* --- who may begin --- */

static bool is_gone(const struct gw_arrival *arrival)
{
    uint8_t byte;
    ssize_t n = recv(arrival->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);

    return n == 0 || (n < 0 && !net_sock_again(errno));
}

bool gw_yard_take(struct gw_yard *self, struct gw_source *source, struct gw_arrival *out)
{
    struct entry *entry;

    (void)self;
    while (source->lane != NULL && (entry = TAILQ_LAST(&source->lane->ready, entry_list)) != NULL) {
        if (is_gone(&entry->arrival)) {
            end(entry, GW_YARD_GONE);
            continue;
        }
        *out = entry->arrival;
        leave(entry);
        return true;
    }
    return false;
}

size_t gw_yard_ready(const struct gw_source *source)
{
    return source->lane != NULL ? source->lane->ready_count : 0;
}

void gw_yard_each_ready(struct gw_yard *self, void (*fn)(void *arg, struct gw_source *source),
                        void *arg)
{
    struct gw_yard_lane *lane, *next;

    for (lane = LIST_FIRST(&self->used_lanes); lane != NULL; lane = next) {
        next = LIST_NEXT(lane, of_yard); /* taking ends this lane at most */
        if (lane->ready_count > 0)
            fn(arg, lane->source);
    }
}

size_t gw_yard_count(const struct gw_yard *self)
{
    return self->count;
}

/* --- life --- */

int gw_yard_new(struct gw_yard **out, const struct gw_yard_config *cfg)
{
    struct gw_yard *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    gw_keyring_ref(self->cfg.keys);
    self->entries = calloc(cfg->places, sizeof(self->entries[0]));
    self->lanes = calloc(cfg->places, sizeof(self->lanes[0]));
    TAILQ_INIT(&self->free);
    TAILQ_INIT(&self->by_age);
    ev_init(&self->limit, on_limit);
    self->limit.data = self;
    if (self->entries == NULL || self->lanes == NULL) {
        gw_yard_free(self);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < cfg->places; i++) {
        self->entries[i].yard = self;
        TAILQ_INIT(&self->lanes[i].ready);
        TAILQ_INIT(&self->lanes[i].silent);
        TAILQ_INSERT_TAIL(&self->free, &self->entries[i], of_age);
        LIST_INSERT_HEAD(&self->free_lanes, &self->lanes[i], of_yard);
    }
    *out = self;
    return ERR_OK;
}

void gw_yard_set_keys(struct gw_yard *self, struct gw_keyring *keys)
{
    gw_keyring_unref(self->cfg.keys);
    self->cfg.keys = gw_keyring_ref(keys);
}

void gw_yard_free(struct gw_yard *self)
{
    struct entry *entry;

    if (self == NULL)
        return;
    while ((entry = TAILQ_FIRST(&self->by_age)) != NULL) {
        int fd = entry->arrival.fd;

        leave(entry);
        close(fd);
    }
    ev_timer_stop(self->cfg.loop, &self->limit);
    gw_keyring_unref(self->cfg.keys);
    free(self->lanes);
    free(self->entries);
    free(self);
}
