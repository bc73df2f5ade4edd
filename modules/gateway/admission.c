/* SPDX-License-Identifier: Apache-2.0 */
/* Pending handshakes; see admission.h. */
#include "modules/gateway/admission.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/penalty.h"
#include "modules/link/handshake.h"
#include "modules/net/sock.h"

#define SILENT_MS 2u          /* who said nothing for so long may be pushed out by others */
#define WAITING_TURN_S 0.005  /* how often the waiting ones are looked at */
#define UNKNOWN_KEYS_MAX 1024 /* remembered tries of keys that nobody names */
#define UNKNOWN_KEY_WAIT_MS 5000u

/* A place in the pool. */
struct slot {
    struct gw_admission *owner;
    struct link_handshake handshake;
    struct gw_source *source;
    struct gw_keyring *keys; /* that the handshake began with */
    struct addr remote;
    int fd; /* only to look at */
    uint64_t since_ms;
    bool wants_work;            /* on `work` */
    TAILQ_ENTRY(slot) of_state; /* free or used */
    TAILQ_ENTRY(slot) of_work;
};
TAILQ_HEAD(slot_list, slot);

/* Accepted, but the source has its share: as if it were still in the kernel's backlog. */
struct waiting {
    int fd;
    struct addr remote;
    size_t first_len;
    uint8_t first[TUN_HELLO_LEN];
};

/* A correct handshake by a key that no contract names. */
struct unknown_key {
    uint8_t key[TUN_KEY_LEN];
    uint64_t at_ms;
    struct addr remote;
};

struct gw_admission {
    struct gw_admission_config cfg;
    struct gw_penalties *penalties;
    struct slot *slots;
    struct slot_list free_slots, used_slots, work; /* used and work: oldest first */
    size_t used, total;
    unsigned budget; /* operations left in this turn */
    struct waiting *waiting;
    size_t waiting_count;
    bool paused;
    struct unknown_key *unknown;
    ev_prepare turn;
    ev_idle more; /* keeps the loop from sleeping while work is left */
    ev_timer look;
};

static void slot_release(struct slot *slot)
{
    struct gw_admission *self = slot->owner;

    if (slot->wants_work)
        TAILQ_REMOVE(&self->work, slot, of_work);
    slot->wants_work = false;
    slot->source->pending--;
    slot->source = NULL;
    gw_keyring_unref(slot->keys);
    slot->keys = NULL;
    TAILQ_REMOVE(&self->used_slots, slot, of_state);
    TAILQ_INSERT_HEAD(&self->free_slots, slot, of_state);
    self->used--;
}

static struct unknown_key *unknown_slot(struct gw_admission *self, const uint8_t *key)
{
    return &self->unknown[(key[0] | key[1] << 8) % UNKNOWN_KEYS_MAX];
}

/* A sound handshake, but no contract names the key: it may come back, though not at once. */
static void note_unknown(struct gw_admission *self, const uint8_t *key, const struct addr *remote)
{
    struct unknown_key *entry = unknown_slot(self, key);
    struct gw_source *source = gw_penalties_get(self->penalties, remote);
    uint64_t now = clock_mono_ms();
    bool again = memcmp(entry->key, key, TUN_KEY_LEN) == 0 && entry->at_ms != 0 &&
                 now - entry->at_ms < UNKNOWN_KEY_WAIT_MS;

    if (again && source != NULL)
        gw_source_failed(source, now);
    memcpy(entry->key, key, TUN_KEY_LEN);
    entry->at_ms = now;
    entry->remote = *remote;
}

static void note_failure(struct gw_admission *self, struct gw_source *source,
                         const struct link_handshake_end *end)
{
    bool timed_out = end->rc == ERR_TIMEOUT, wrong = end->rc == ERR_PROTO || end->rc == ERR_AUTH;

    if (timed_out)
        self->cfg.refused->count[GW_REASON_TUNNEL_TIMEOUT]++;
    if (wrong)
        self->cfg.refused->count[GW_REASON_TUNNEL_HANDSHAKE]++;
    if (wrong || (timed_out && end->heard))
        gw_source_failed(source, clock_mono_ms());
}

static void on_done(void *arg, const struct link_handshake_end *end)
{
    struct slot *slot = arg;
    struct gw_admission *self = slot->owner;
    struct gw_source *source = slot->source;
    struct addr remote = slot->remote;
    uint8_t key[TUN_KEY_LEN];

    if (end->rc != ERR_OK) {
        note_failure(self, source, end);
        slot_release(slot);
        return;
    }
    slot_release(slot);
    memcpy(key, end->result->peer.bytes, sizeof(key));
    if (self->cfg.on_proven(self->cfg.arg, end->result, end->fd, &remote) == ERR_NOENT)
        note_unknown(self, key, &remote);
}

static bool may_work(void *arg, unsigned operations)
{
    struct slot *slot = arg;
    struct gw_admission *self = slot->owner;

    if (self->budget >= operations) {
        self->budget -= operations;
        return true;
    }
    if (!slot->wants_work) {
        slot->wants_work = true;
        TAILQ_INSERT_TAIL(&self->work, slot, of_work);
    }
    ev_idle_start(self->cfg.loop, &self->more);
    return false;
}

/* Begin in a free slot. FD is taken. */
static void start(struct gw_admission *self, struct gw_source *source, const struct waiting *w)
{
    struct slot *slot = TAILQ_FIRST(&self->free_slots);
    struct tun_gateway_info info = self->cfg.info;
    struct gw_keyring *keys = self->cfg.keys;
    struct tun_handshake_config tunnel = {.role = TUN_GATEWAY,
                                          .own = &keys->own,
                                          .next = keys->has_next ? &keys->next : NULL,
                                          .gateway = &self->cfg.info};
    struct link_handshake_config cfg = {
        .fd = w->fd,
        .tunnel = &tunnel,
        .first = w->first_len > 0 ? w->first : NULL,
        .first_len = w->first_len,
        .timeout_ms = self->cfg.limits->handshake_timeout_ms,
        .may_work = may_work,
        .on_done = on_done,
        .arg = slot,
    };

    info.time_ms = clock_unix_ms();
    self->cfg.info = info; /* borrowed until message 2 is made: near enough for a clock hint */
    slot->source = source;
    slot->remote = w->remote;
    slot->fd = w->fd;
    slot->since_ms = clock_mono_ms();
    if (link_handshake_start(&slot->handshake, self->cfg.loop, &cfg) != ERR_OK) {
        close(w->fd);
        return;
    }
    slot->keys = gw_keyring_ref(keys);
    source->pending++;
    TAILQ_REMOVE(&self->free_slots, slot, of_state);
    TAILQ_INSERT_TAIL(&self->used_slots, slot, of_state);
    self->used++;
}

/* Whether nothing was said on the slot's connection: nothing is lost when it goes. */
static bool is_silent(const struct slot *slot, uint64_t now_ms)
{
    int waiting = 0;

    if (now_ms - slot->since_ms < SILENT_MS || link_handshake_heard(&slot->handshake))
        return false;
    return ioctl(slot->fd, FIONREAD, &waiting) == 0 && waiting == 0;
}

/* Push the oldest silent connection of SOURCE out. */
static bool push_out(struct gw_admission *self, const struct gw_source *source)
{
    uint64_t now = clock_mono_ms();
    struct slot *slot;

    TAILQ_FOREACH(slot, &self->used_slots, of_state)
    {
        if (slot->source != source || !is_silent(slot, now))
            continue;
        link_handshake_cancel(&slot->handshake);
        slot_release(slot);
        self->cfg.refused->count[GW_REASON_TUNNEL_DROPPED]++;
        return true;
    }
    return false;
}

/* Random early drop from half full; sources that proved themselves keep the other half. */
static bool early_drop(const struct gw_admission *self, const struct gw_source *source)
{
    size_t half = self->total / 2;
    uint32_t r;

    if (self->used < half || gw_source_trusted(source, clock_mono_ms()))
        return false;
    clock_random(&r, sizeof(r));
    return r % (self->total - half) < self->used - half;
}

/* Start W when its source and the pool have room; false when it must wait. */
static bool try_start(struct gw_admission *self, struct gw_source *source, const struct waiting *w)
{
    if (source->pending >= self->cfg.limits->pending_per_source && !push_out(self, source))
        return false;
    if (TAILQ_EMPTY(&self->free_slots) && !push_out(self, source))
        return false;
    start(self, source, w);
    return true;
}

static void set_paused(struct gw_admission *self, bool paused)
{
    if (self->paused == paused)
        return;
    self->paused = paused;
    self->cfg.on_pause(self->cfg.arg, paused);
}

static void drop(struct gw_admission *self, enum gw_reason reason, int fd)
{
    self->cfg.refused->count[reason]++;
    close(fd);
}

static void queue(struct gw_admission *self, const struct waiting *w)
{
    if (self->waiting_count == GW_ADMISSION_WAITING_MAX) {
        drop(self, GW_REASON_TUNNEL_DROPPED, w->fd);
        return;
    }
    self->waiting[self->waiting_count++] = *w;
    if (self->waiting_count == GW_ADMISSION_WAITING_MAX)
        set_paused(self, true);
    if (!ev_is_active(&self->look))
        ev_timer_again(self->cfg.loop, &self->look);
}

void gw_admission_accept(struct gw_admission *self, int fd, const struct addr *remote,
                         const void *first, size_t first_len)
{
    struct gw_source *source = gw_penalties_get(self->penalties, remote);
    struct waiting w = {.fd = fd, .remote = *remote, .first_len = first_len};

    net_sock_nodelay(fd);
    if (source == NULL || first_len > sizeof(w.first) || early_drop(self, source)) {
        drop(self, GW_REASON_TUNNEL_DROPPED, fd);
        return;
    }
    if (gw_source_penalised(source, clock_mono_ms())) {
        drop(self, GW_REASON_TUNNEL_PENALTY, fd);
        return;
    }
    if (first_len > 0)
        memcpy(w.first, first, first_len);
    if (!try_start(self, source, &w))
        queue(self, &w);
}

/* Those that wait, oldest first: who has room now may begin. */
static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_admission *self = w->data;
    size_t kept = 0;

    (void)revents;
    for (size_t i = 0; i < self->waiting_count; i++) {
        struct waiting *entry = &self->waiting[i];
        struct gw_source *source = gw_penalties_get(self->penalties, &entry->remote);

        if (source == NULL || gw_source_penalised(source, clock_mono_ms()))
            drop(self, GW_REASON_TUNNEL_PENALTY, entry->fd);
        else if (!try_start(self, source, entry))
            self->waiting[kept++] = *entry;
    }
    self->waiting_count = kept;
    if (kept == 0)
        ev_timer_stop(loop, w);
    if (kept < GW_ADMISSION_WAITING_MAX / 2)
        set_paused(self, false);
}

/* Once per loop turn, when everything else was done: the put-off public-key work. */
static void on_turn(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct gw_admission *self = w->data;
    struct slot *slot;

    (void)revents;
    self->budget = GW_ADMISSION_OPS_PER_TURN;
    while (self->budget > 0 && (slot = TAILQ_FIRST(&self->work)) != NULL) {
        unsigned before = self->budget;

        TAILQ_REMOVE(&self->work, slot, of_work);
        slot->wants_work = false;
        link_handshake_go(&slot->handshake);
        if (self->budget == before) /* it asked for more than is left: next turn */
            break;
    }
    if (TAILQ_EMPTY(&self->work))
        ev_idle_stop(loop, &self->more);
}

static void on_more(struct ev_loop *loop, ev_idle *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

static int allocate(struct gw_admission *self)
{
    self->slots = calloc(self->total, sizeof(self->slots[0]));
    self->waiting = calloc(GW_ADMISSION_WAITING_MAX, sizeof(self->waiting[0]));
    self->unknown = calloc(UNKNOWN_KEYS_MAX, sizeof(self->unknown[0]));
    if (self->slots == NULL || self->waiting == NULL || self->unknown == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < self->total; i++) {
        self->slots[i].owner = self;
        TAILQ_INSERT_TAIL(&self->free_slots, &self->slots[i], of_state);
    }
    return gw_penalties_new(&self->penalties);
}

int gw_admission_new(struct gw_admission **out, const struct gw_admission_config *cfg)
{
    struct gw_admission *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    gw_keyring_ref(self->cfg.keys);
    self->total = cfg->limits->pending_handshakes;
    self->budget = GW_ADMISSION_OPS_PER_TURN;
    TAILQ_INIT(&self->free_slots);
    TAILQ_INIT(&self->used_slots);
    TAILQ_INIT(&self->work);
    ev_prepare_init(&self->turn, on_turn);
    ev_idle_init(&self->more, on_more);
    ev_init(&self->look, on_look);
    self->look.repeat = WAITING_TURN_S;
    self->turn.data = self->more.data = self->look.data = self;
    if (allocate(self) != ERR_OK) {
        gw_admission_free(self);
        return ERR_NOMEM;
    }
    ev_prepare_start(cfg->loop, &self->turn);
    *out = self;
    return ERR_OK;
}

void gw_admission_free(struct gw_admission *self)
{
    struct slot *slot;

    if (self == NULL)
        return;
    ev_prepare_stop(self->cfg.loop, &self->turn);
    ev_idle_stop(self->cfg.loop, &self->more);
    ev_timer_stop(self->cfg.loop, &self->look);
    while ((slot = TAILQ_FIRST(&self->used_slots)) != NULL) {
        link_handshake_cancel(&slot->handshake);
        slot_release(slot);
    }
    for (size_t i = 0; i < self->waiting_count; i++)
        close(self->waiting[i].fd);
    gw_penalties_free(self->penalties);
    gw_keyring_unref(self->cfg.keys);
    free(self->unknown);
    free(self->waiting);
    free(self->slots);
    free(self);
}

void gw_admission_set_keys(struct gw_admission *self, struct gw_keyring *keys)
{
    gw_keyring_unref(self->cfg.keys);
    self->cfg.keys = gw_keyring_ref(keys);
}

void gw_admission_session(struct gw_admission *self, const struct addr *remote, bool up)
{
    struct gw_source *source = gw_penalties_get(self->penalties, remote);

    if (source == NULL)
        return;
    if (up)
        source->sessions++;
    else if (source->sessions > 0)
        source->sessions--;
    gw_source_succeeded(source, clock_mono_ms());
}

void gw_admission_key_named(struct gw_admission *self, const uint8_t key[TUN_KEY_LEN])
{
    struct unknown_key *entry = unknown_slot(self, key);
    struct gw_source *source;

    if (entry->at_ms == 0 || memcmp(entry->key, key, TUN_KEY_LEN) != 0)
        return;
    entry->at_ms = 0;
    source = gw_penalties_get(self->penalties, &entry->remote);
    if (source != NULL) { /* not a success: only what its tries have cost is given back */
        source->failures = 0;
        source->until_ms = 0;
    }
}

size_t gw_admission_pending(const struct gw_admission *self)
{
    return self->used;
}
