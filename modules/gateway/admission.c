/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of admission; see admission.h. */
#include "modules/gateway/admission.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/penalty.h"
#include "modules/gateway/pool.h"
#include "modules/gateway/unnamed.h"
#include "modules/gateway/yard.h"
#include "modules/net/sock.h"

#define LOOK_S                                                                                     \
    0.01 /* how often those that wait are looked at; besides whenever a place is free              \
          */
#define PLACES_MIN 16

struct gw_admission {
    struct gw_admission_config cfg;
    struct gw_penalties *penalties;
    struct gw_yard *yard;
    struct gw_pool *pool;
    struct gw_unnamed *unnamed;
    struct log_pace turned_away;
    ev_timer look; /* runs while a complete Hello waits */
};

enum verdict { BEGIN, WAIT, DROP };

/* --- turning away --- */

static void count(struct gw_admission *self, enum gw_reason reason)
{
    self->cfg.refused->count[reason]++;
}

/* Close for REASON; a reset, as it leaves nothing behind on this side. */
static void drop(struct gw_admission *self, enum gw_reason reason, const struct gw_arrival *who)
{
    uint32_t times = log_pace(&self->turned_away, clock_mono_ms());

    count(self, reason);
    net_sock_reset(who->fd);
    if (times > 0) {
        char from[ADDR_TEXT_MAX];

        addr_print(from, &who->remote);
        LOG_WARN("turned away before a handshake", KV_S("remote", from),
                 KV_S("why", gw_reason_name(reason)), KV_N("times", times));
    }
}

static void on_yard_end(void *arg, struct gw_source *source, enum gw_yard_end end, bool heard)
{
    static const enum gw_reason reasons[] = {
        [GW_YARD_CROWDED] = GW_REASON_TUNNEL_DROPPED,
        [GW_YARD_TIMEOUT] = GW_REASON_TUNNEL_TIMEOUT,
        [GW_YARD_LATE] = GW_REASON_TUNNEL_DROPPED,
        [GW_YARD_WRONG] = GW_REASON_TUNNEL_HANDSHAKE,
        [GW_YARD_GONE] = GW_REASON_NONE,
    };
    struct gw_admission *self = arg;
    bool own_fault = end == GW_YARD_WRONG || end == GW_YARD_TIMEOUT;

    if (reasons[end] != GW_REASON_NONE)
        count(self, reasons[end]);
    if (own_fault && heard) /* a connection without a byte is no failure */
        gw_source_failed(source, clock_mono_ms());
}

/* --- who may begin --- */

/* From the longest patience to the shortest as PRESSURE goes from 0 to FULL. */
static uint64_t patience_ms(size_t pressure, size_t full)
{
    uint64_t range = GW_ADMISSION_PATIENCE_MS - GW_ADMISSION_PATIENCE_MIN_MS;

    return GW_ADMISSION_PATIENCE_MS - range * (pressure < full ? pressure : full) / full;
}

/* A stranger's share is fixed. Who proved himself may be a whole site that comes back behind one
 * address: with 16 places and a round trip of 40 ms only 400 a second would. */
static size_t share(const struct gw_admission *self, const struct gw_source *source, uint64_t now)
{
    size_t own = self->cfg.limits->pending_per_source;
    size_t quarter = gw_pool_places(self->pool) / 4;

    return gw_source_trusted(source, now) && quarter > own ? quarter : own;
}

/* How long SOURCE's own handshakes may hold their places while others of it wait. Short patience
 * alone would shut a crowd out for ever whose round trip is longer: every other second it is the
 * longest, then one of them proves itself, and from then on it always is. */
static uint64_t own_patience_ms(const struct gw_source *source, uint64_t now)
{
    if (gw_source_trusted(source, now) || now / GW_ADMISSION_PATIENCE_MS % 2 == 0)
        return GW_ADMISSION_PATIENCE_MS;
    return patience_ms(gw_yard_ready(source), GW_ADMISSION_CROWD);
}

/* A place within its share for one more of SOURCE? */
static bool has_share(struct gw_admission *self, const struct gw_source *source)
{
    uint64_t now = clock_mono_ms();

    return source->pending < share(self, source, now) ||
           gw_pool_displace_own(self->pool, source, own_patience_ms(source, now));
}

/* A place in the pool for a source that proved itself: strangers yield half of it. */
static enum verdict judge_trusted(struct gw_admission *self)
{
    if (gw_pool_used(self->pool) < gw_pool_places(self->pool))
        return BEGIN;
    return gw_pool_evict_stranger(self->pool) ? BEGIN : WAIT;
}

/* For a stranger: from half full on somebody who stalls goes, or else the newcomer, by lot. */
static enum verdict judge_stranger(struct gw_admission *self)
{
    size_t places = gw_pool_places(self->pool), half = places / 2;
    size_t used = gw_pool_used(self->pool);

    if (used < half || gw_pool_displace_stranger(self->pool, patience_ms(used - half, half)))
        return BEGIN;
    return clock_random_u32() % (places - half) < used - half ? DROP : BEGIN;
}

/* Whether one more complete Hello of SOURCE may begin. BEGIN: there is a place for it now. */
static enum verdict judge(struct gw_admission *self, struct gw_source *source)
{
    uint64_t now = clock_mono_ms();

    if (gw_source_penalised(source, now))
        return DROP;
    if (!gw_source_may_start(source, now) || !has_share(self, source))
        return WAIT;
    if (gw_source_penalised(source, now)) /* what was displaced was one failure too many */
        return DROP;
    return gw_source_trusted(source, now) ? judge_trusted(self) : judge_stranger(self);
}

static void carry_out(struct gw_admission *self, struct gw_source *source, enum verdict verdict,
                      const struct gw_arrival *arrival)
{
    uint64_t now = clock_mono_ms();

    if (verdict == BEGIN) {
        gw_source_started(source, now);
        gw_pool_start(self->pool, source, arrival);
        return;
    }
    drop(self,
         gw_source_penalised(source, now) ? GW_REASON_TUNNEL_PENALTY : GW_REASON_TUNNEL_DROPPED,
         arrival);
}

static void look_again(struct gw_admission *self)
{
    if (!ev_is_active(&self->look))
        ev_timer_again(self->cfg.loop, &self->look);
}

/* Those of SOURCE that wait begin, as long as there is room for them. */
static void serve(void *arg, struct gw_source *source)
{
    struct gw_admission *self = arg;
    struct gw_arrival arrival;
    enum verdict verdict;

    while (gw_yard_ready(source) > 0) {
        verdict = judge(self, source);
        if (verdict == WAIT) {
            look_again(self);
            return;
        }
        if (gw_yard_take(self->yard, source, &arrival))
            carry_out(self, source, verdict, &arrival);
    }
}

static void on_look(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_admission *self = w->data;

    (void)revents;
    ev_timer_stop(loop, w);
    gw_yard_each_ready(self->yard, serve, self);
}

/* A complete, correct Hello. */
static void on_hello(struct gw_admission *self, struct gw_source *source,
                     const struct gw_arrival *arrival)
{
    enum verdict verdict = judge(self, source);

    if (verdict != WAIT) {
        carry_out(self, source, verdict, arrival);
        return;
    }
    gw_yard_add(self->yard, source, arrival, true);
    look_again(self);
}

void gw_admission_accept(struct gw_admission *self, const struct gw_arrival *came)
{
    struct gw_arrival arrival = *came;
    struct gw_source *source = gw_penalties_get(self->penalties, &arrival.remote);
    int rc;

    if (source == NULL || gw_source_penalised(source, clock_mono_ms())) {
        drop(self, source == NULL ? GW_REASON_TUNNEL_DROPPED : GW_REASON_TUNNEL_PENALTY, &arrival);
        return;
    }
    net_sock_nodelay(arrival.fd);
    rc = gw_yard_read(self->yard, &arrival);
    if (rc == ERR_OK) {
        on_hello(self, source, &arrival);
    } else if (rc == ERR_AGAIN) {
        gw_yard_add(self->yard, source, &arrival, false);
    } else {
        close(arrival.fd);
        on_yard_end(self, source, rc == ERR_EOF ? GW_YARD_GONE : GW_YARD_WRONG,
                    arrival.first_len > 0);
    }
}

/* --- what came of it --- */

static void on_proven(struct gw_admission *self, const struct gw_pool_end *end)
{
    const struct link_handshake_end *handshake = end->handshake;
    uint64_t now = clock_mono_ms();
    uint8_t key[TUN_KEY_LEN];
    int rc;

    memcpy(key, handshake->result->peer.bytes, sizeof(key));
    rc = self->cfg.on_proven(self->cfg.arg, handshake->result, handshake->fd, end->remote);
    if (rc == ERR_OK || rc == ERR_REFUSED)
        gw_source_succeeded(end->source, now);
    if (rc != ERR_NOENT)
        return;
    if (gw_unnamed_note(self->unnamed, key, end->remote, now))
        gw_source_failed(end->source, now); /* not hostile, but it did not wait */
    else
        gw_source_unnamed(end->source, now);
}

/* What a handshake that came to nothing says about its source. Whoever got an answer from us and
 * then went away or fell silent is counted as well: it has cost as much as any other. */
static void on_failure(struct gw_admission *self, const struct gw_pool_end *end)
{
    int rc = end->handshake->rc;
    bool wrong = rc == ERR_PROTO || rc == ERR_AUTH;

    if (wrong)
        count(self, GW_REASON_TUNNEL_HANDSHAKE);
    else if (rc == ERR_TIMEOUT)
        count(self, GW_REASON_TUNNEL_TIMEOUT);
    else if (rc == ERR_CANCELLED)
        count(self, GW_REASON_TUNNEL_DROPPED);
    if (wrong || (end->answered && (rc == ERR_TIMEOUT || rc == ERR_EOF)))
        gw_source_failed(end->source, clock_mono_ms());
}

static void on_pool_end(void *arg, const struct gw_pool_end *end)
{
    struct gw_admission *self = arg;

    if (end->handshake->rc == ERR_OK)
        on_proven(self, end);
    else
        on_failure(self, end);
    if (ev_is_active(&self->look)) /* there is a place: who waits need not wait for the timer */
        ev_feed_event(self->cfg.loop, &self->look, EV_TIMER);
}

void gw_admission_set_keys(struct gw_admission *self, struct gw_keyring *keys)
{
    gw_yard_set_keys(self->yard, keys);
    gw_pool_set_keys(self->pool, keys);
}

void gw_admission_session(struct gw_admission *self, const struct addr *remote, bool up)
{
    struct gw_source *source = gw_penalties_get(self->penalties, remote);

    if (source == NULL)
        return;
    if (up) {
        source->sessions++;
        gw_penalties_hold(self->penalties, source);
    } else if (source->sessions > 0) {
        source->sessions--;
        gw_penalties_release(self->penalties, source);
    }
    gw_source_succeeded(source, clock_mono_ms());
}

void gw_admission_key_named(struct gw_admission *self, const uint8_t key[TUN_KEY_LEN])
{
    struct gw_source *source;
    struct addr remote;

    if (!gw_unnamed_forget(self->unnamed, key, &remote))
        return;
    source = gw_penalties_get(self->penalties, &remote);
    if (source != NULL)
        gw_source_pardon(source);
}

/* --- life --- */

/* WANTED, or a quarter of the descriptors if that is less. */
static size_t share_of_files(size_t wanted)
{
    struct rlimit files;
    size_t quarter;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur / 4 >= wanted)
        return wanted;
    quarter = (size_t)files.rlim_cur / 4;
    return quarter > PLACES_MIN ? quarter : PLACES_MIN;
}

static int make_yard(struct gw_admission *self)
{
    struct gw_yard_config cfg = {
        .loop = self->cfg.loop,
        .places = share_of_files(GW_YARD_MAX),
        .timeout_ms = self->cfg.limits->handshake_timeout_ms,
        .keys = self->cfg.keys,
        .penalties = self->penalties,
        .on_ready = serve,
        .on_end = on_yard_end,
        .arg = self,
    };

    return gw_yard_new(&self->yard, &cfg);
}

static int make_pool(struct gw_admission *self)
{
    size_t wanted = self->cfg.limits->pending_handshakes;
    struct gw_pool_config cfg = {
        .loop = self->cfg.loop,
        .places = share_of_files(wanted),
        .timeout_ms = self->cfg.limits->handshake_timeout_ms,
        .keys = self->cfg.keys,
        .info = self->cfg.info,
        .penalties = self->penalties,
        .on_end = on_pool_end,
        .arg = self,
    };

    if (cfg.places < wanted)
        LOG_WARN("few descriptors (RLIMIT_NOFILE): not all of pending-handshakes can be had",
                 KV_N("handshakes", cfg.places));
    return gw_pool_new(&self->pool, &cfg);
}

int gw_admission_new(struct gw_admission **out, const struct gw_admission_config *cfg)
{
    struct gw_admission *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    ev_init(&self->look, on_look);
    self->look.repeat = LOOK_S;
    self->look.data = self;
    rc = gw_penalties_new(&self->penalties);
    if (rc == ERR_OK)
        rc = gw_unnamed_new(&self->unnamed);
    if (rc == ERR_OK)
        rc = make_yard(self);
    if (rc == ERR_OK)
        rc = make_pool(self);
    if (rc != ERR_OK) {
        gw_admission_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void gw_admission_free(struct gw_admission *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->look);
    gw_pool_free(self->pool);
    gw_yard_free(self->yard);
    gw_unnamed_free(self->unnamed);
    gw_penalties_free(self->penalties);
    free(self);
}

size_t gw_admission_pending(const struct gw_admission *self)
{
    return gw_pool_used(self->pool);
}

size_t gw_admission_waiting(const struct gw_admission *self)
{
    return gw_yard_count(self->yard);
}
