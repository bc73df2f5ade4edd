/* SPDX-License-Identifier: Apache-2.0 */
/* One session and its owner: configuration, clock, what it says as a whole, and its end. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/tunnel/storm.h"

void storm_side_init(struct side *self, struct storm *storm, enum tun_role role)
{
    struct tun_session_config cfg = {
        .role = role,
        .ops = storm->plan.direct ? &storm_ops_direct : &storm_ops_buffered,
        .arg = self,
        .stream_window = TUN_STREAM_WINDOW_MIN + (uint32_t)storm_size(storm, 1 << 19),
        .session_window = TUN_SESSION_WINDOW_MIN + (uint32_t)storm_size(storm, 1 << 21),
        .resume_ms = storm->plan.resume_ms,
    };

    memset(self, 0, sizeof(*self));
    self->storm = storm;
    self->role = role;
    self->session_window = cfg.session_window;
    self->alone_ms = storm->now_ms;
    REQUIRE(tun_session_new(&self->session, &cfg, storm->now_ms) == ERR_OK);
}

struct side *storm_other(struct side *self)
{
    return &self->storm->sides[self->role == TUN_GATEWAY ? TUN_CONNECTOR : TUN_GATEWAY];
}

char storm_letter(const struct side *self)
{
    return self->role == TUN_GATEWAY ? 'g' : 'c';
}

void storm_side_count(struct side *self, int change)
{
    self->taken = (unsigned)((int)self->taken + change);
    if (self->taken == 0)
        self->alone_ms = self->storm->now_ms;
}

/* Only what somebody did, or a window that passed, ends a session; never a rule. */
static void check_reason(const struct side *side, int rc)
{
    const struct storm *storm = side->storm;

    TRACE(storm, "%c over: %s", storm_letter(side), err_text(rc));
    REQUIRE(!storm->plan.gentle);
    REQUIRE(rc == ERR_TIMEOUT || rc == ERR_EOF || rc == ERR_CANCELLED);
    if (rc == ERR_TIMEOUT)
        REQUIRE(side->taken == 0 && storm->now_ms >= side->alone_ms + storm->plan.resume_ms);
    if (rc == ERR_EOF)
        REQUIRE(side->closes == 1);
    if (rc == ERR_CANCELLED)
        REQUIRE(side->close_said);
}

bool storm_side_is_over(struct side *self, int rc)
{
    int ended = tun_session_ended(self->session);

    if (ended == ERR_OK)
        return false;
    REQUIRE(rc == ended);
    check_reason(self, ended);
    return true;
}

void storm_side_over(struct side *self)
{
    self->leaving = true;
    storm_wires_flush(self);
    storm_wires_cut_all(self);
    tun_session_free(self->session);
    self->session = NULL;
    for (unsigned i = 1; i <= STORM_VISITORS + 1; i++)
        REQUIRE(self->visits[i].stream == NULL); /* each heard of it */
}

static void say_goaway(struct side *self)
{
    struct tun_notice notice = {.code = TUN_CODE_SHUTDOWN, .why = "storm"};

    if (self->goaway_said || !tun_session_usable(self->session))
        return;
    TRACE(self->storm, "%c goaway", storm_letter(self));
    self->goaway_said = true;
    tun_session_goaway(self->session, &notice);
}

/* A list tells its number and its length in every entry. */
static void say_exposures(struct side *self)
{
    static struct tun_exposure list[STORM_EXPOSURES];
    unsigned count = (unsigned)storm_below(self->storm, STORM_EXPOSURES + 1);

    memset(list, 0, sizeof(list));
    for (unsigned i = 0; i < count; i++) {
        strcpy(list[i].workload, "7-1001-blog");
        strcpy(list[i].service, "web");
        snprintf(list[i].url, sizeof(list[i].url), "%u %u %0200d", count, i, 0);
    }
    if (tun_session_exposures(self->session, list, count) != ERR_OK)
        return;
    TRACE(self->storm, "g exposures %u", count);
    self->lists++;
    self->told = count;
}

static void say_close(struct side *self)
{
    TRACE(self->storm, "%c close", storm_letter(self));
    self->close_said = true;
    tun_session_close(self->session, TUN_CODE_SHUTDOWN, "storm");
    check_reason(self, tun_session_ended(self->session));
    storm_side_over(self);
}

/* SIGSTOP, or a machine that does other things: for less than what makes a link dead. */
static void freeze(struct side *self)
{
    struct storm *storm = self->storm;

    self->frozen_ms = storm->now_ms + 1 +
                      storm_below(storm, 1000) * (TUN_DEAD_MS - TUN_PING_BUSY_MS - 500) / 1000;
    storm->freeze_ms = self->frozen_ms + 6000;
    TRACE(storm, "%c frozen until %llu", storm_letter(self), (unsigned long long)self->frozen_ms);
}

static void say_something(struct side *self)
{
    struct storm *storm = self->storm;

    if (storm->plan.leaves && storm_chance(storm, 200))
        say_goaway(self);
    if (storm->plan.exposes && self->role == TUN_GATEWAY && storm_chance(storm, 100))
        say_exposures(self);
    if (!storm->plan.gentle && storm_chance(storm, 2000))
        say_close(self);
    else if (storm->now_ms >= storm->freeze_ms && storm_chance(storm, 300))
        freeze(self);
}

/* A tick at its deadline must move the deadline, or a loop would spin. */
static void tick(struct side *self)
{
    uint64_t now_ms = self->storm->now_ms;
    int rc;

    if (tun_session_deadline(self->session) <= now_ms) {
        rc = tun_session_tick(self->session, now_ms);
        if (storm_side_is_over(self, rc)) {
            storm_side_over(self);
            return;
        }
        REQUIRE(rc == ERR_OK);
        REQUIRE(tun_session_deadline(self->session) > now_ms);
    }
    REQUIRE(self->taken > 0 || now_ms < self->alone_ms + self->storm->plan.resume_ms);
}

static void watch_trouble(struct side *self)
{
    struct tun_session_stats stats;

    tun_session_stats(self->session, &stats);
    if (stats.waiting_streams == 0)
        self->trouble_ms = 0;
    else if (self->trouble_ms == 0)
        self->trouble_ms = self->storm->now_ms;
}

void storm_side_step(struct side *self)
{
    struct storm *storm = self->storm;

    if (self->session == NULL)
        return;
    if (self->frozen_ms != 0) {
        if (storm->now_ms < self->frozen_ms && storm->calm_ms == 0)
            return;
        self->frozen_ms = 0;
        self->thawed = 3; /* it reads before it judges: in the next step */
        return;
    }
    self->thawed -= self->thawed > 0;
    tick(self);
    if (self->session != NULL && storm->calm_ms == 0)
        say_something(self);
    if (self->session == NULL)
        return;
    watch_trouble(self);
    storm_check_memory(self);
}

uint64_t storm_side_next(const struct side *self)
{
    if (self->session == NULL)
        return STORM_NEVER;
    if (self->frozen_ms != 0)
        return self->frozen_ms;
    return tun_session_deadline(self->session);
}
