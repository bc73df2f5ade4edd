/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold, at any moment and at the end; and the bytes that users send. */
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"
#include "tests/tunnel/storm.h"

#define PATTERN_LEN 131071 /* prime: no chunk, record or window is a multiple */

static uint8_t pattern[2 * PATTERN_LEN];

/* Where the bytes of visitor NUMBER that ROLE sends stand in the pattern. */
static size_t pattern_at(unsigned number, enum tun_role role, uint64_t offset)
{
    return (size_t)((offset + number * 7919u + (role == TUN_GATEWAY ? 60000u : 0)) % PATTERN_LEN);
}

static void make_pattern(void)
{
    uint64_t random = 88172645463325252u;

    for (size_t i = 0; i < PATTERN_LEN; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        pattern[i] = pattern[i + PATTERN_LEN] = (uint8_t)(random >> 24);
    }
}

/* Never more than PATTERN_LEN at once. */
void storm_pattern_fill(uint8_t *out, const struct visit *from, uint64_t offset, size_t len)
{
    if (pattern[1] == 0 && pattern[2] == 0)
        make_pattern();
    REQUIRE(len <= PATTERN_LEN);
    memcpy(out, pattern + pattern_at(from->number, from->side->role, offset), len);
}

bool storm_pattern_fits(const uint8_t *data, const struct visit *to, size_t len)
{
    enum tun_role from = to->side->role == TUN_GATEWAY ? TUN_CONNECTOR : TUN_GATEWAY;

    return len <= PATTERN_LEN &&
           memcmp(data, pattern + pattern_at(to->number, from, to->received), len) == 0;
}

/* Every stream keeps what is not acknowledged, no more, within its credit; the sums are right. */
static void check_streams(const struct tun_session *session, const struct tun_session_stats *stats)
{
    const struct tun_stream *at = NULL;
    size_t queued = 0, kept = 0, waiting = 0;

    while ((at = tun_stream_table_next(&session->streams, at)) != NULL) {
        REQUIRE(at->out.taken == at->tx.sent - at->kept_from);
        REQUIRE(at->tx.sent <= at->tx.limit);
        REQUIRE(at->in.len == tun_recv_window_waiting(&at->rx));
        kept += at->out.taken;
        queued += at->out.len - at->out.taken;
        waiting += at->in.len;
    }
    REQUIRE(kept == stats->kept && queued == stats->queued && waiting == stats->waiting);
}

void storm_check_memory(const struct side *side)
{
    const struct tun_session *session = side->session;
    struct tun_session_stats stats;

    tun_session_stats(session, &stats);
    REQUIRE(stats.waiting <= session->rx.size);
    REQUIRE(session->in_pool.used_bytes <= 4 * stats.waiting + STORM_VISITORS * TUN_CHUNK_MAX);
    REQUIRE(session->out_pool.used_bytes <=
            4 * (stats.kept + stats.queued) + (STORM_VISITORS + STORM_WIRES) * TUN_CHUNK_MAX);
    check_streams(session, &stats);
    REQUIRE(stats.waiting_streams <= stats.streams);
    REQUIRE(stats.links <= side->taken);
}

bool storm_check_crowded(const struct storm *self)
{
    for (int i = 0; i < 2; i++)
        if (self->sides[i].session != NULL && self->sides[i].session->lost_count > TUN_LOST_MAX / 2)
            return true;
    return false;
}

static bool session_is_quiet(const struct side *side)
{
    struct tun_session_stats stats;

    if (side->frozen_ms != 0)
        return false;
    tun_session_stats(side->session, &stats);
    return stats.streams == 0 && stats.links == side->storm->plan.links;
}

bool storm_check_ended(const struct storm *self)
{
    const struct side *c = &self->sides[TUN_CONNECTOR], *g = &self->sides[TUN_GATEWAY];

    if ((g->opened < self->plan.visitors || g->again > 0) && tun_session_usable(g->session))
        return false;
    for (unsigned i = 1; i <= g->opened; i++)
        if (g->visits[i].stream != NULL || c->visits[i].stream != NULL ||
            (!c->visits[i].began && !g->visits[i].cut))
            return false;
    return session_is_quiet(g) && session_is_quiet(c) && storm_wires_quiet(self);
}

static void check_visit(const struct visit *g, const struct visit *c)
{
    REQUIRE(g->stream == NULL && c->stream == NULL);
    if (g->cut || c->cut || !c->began)
        return;
    REQUIRE(g->done && c->done);
    REQUIRE(g->received == c->to_send);
    REQUIRE(c->received == g->to_send);
}

static void check_visits(struct storm *self)
{
    const struct side *c = &self->sides[TUN_CONNECTOR], *g = &self->sides[TUN_GATEWAY];

    for (unsigned i = 1; i <= g->opened; i++) {
        check_visit(&g->visits[i], &c->visits[i]);
        self->sums.bytes += g->visits[i].received + c->visits[i].received;
        self->sums.resets += g->visits[i].cut || c->visits[i].cut;
    }
}

/* Nothing is left of any stream, neither memory nor credit. */
static void check_left_overs(const struct side *side, const struct side *other)
{
    const struct tun_session *session = side->session;
    struct tun_session_stats stats;

    tun_session_stats(session, &stats);
    REQUIRE(stats.waiting == 0);
    REQUIRE(stats.queued == 0);
    REQUIRE(stats.kept == 0);
    REQUIRE(stats.waiting_streams == 0);
    REQUIRE(session->in_pool.used_bytes == 0);
    REQUIRE(session->rx.received == other->session->tx.sent);
    REQUIRE(session->rx.consumed == session->rx.received);
    REQUIRE(session->rx.limit == other->session->tx.limit);
    REQUIRE(session->rx.limit - session->rx.received >= session->rx.size / 4 * 3 - 1);
}

/*
 * What concerns the session as a whole is told once, whatever became of the link that told it. But
 * a list of exposures may be lost or torn: it is for people.
 */
static void check_words(const struct side *side, const struct side *other)
{
    REQUIRE(side->goaways == (other->goaway_said ? 1 : 0));
    if (side->role == TUN_CONNECTOR && other->lists > 0 && side->storm->sums.cuts == 0)
        REQUIRE(side->list_whole && side->told == other->told);
}

void storm_check_result(struct storm *self)
{
    const struct side *c = &self->sides[TUN_CONNECTOR], *g = &self->sides[TUN_GATEWAY];

    check_visits(self);
    if (c->session == NULL || g->session == NULL) {
        REQUIRE(!self->plan.gentle && c->session == NULL && g->session == NULL);
        self->sums.overs++;
        return;
    }
    check_left_overs(c, g);
    check_left_overs(g, c);
    check_words(c, g);
    check_words(g, c);
}
