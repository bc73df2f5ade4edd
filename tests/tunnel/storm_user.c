/* SPDX-License-Identifier: Apache-2.0 */
/* The visitors and their services: both ends of every stream, and the ops of both sessions. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/tunnel/storm.h"

static void received(struct visit *visit, const uint8_t *data, size_t len)
{
    REQUIRE(storm_pattern_fits(data, visit, len));
    visit->received += len;
    visit->side->storm->moved += len;
}

static void close_if_done(struct visit *visit)
{
    if (visit->stream == NULL || !tun_stream_finished(visit->stream) ||
        !tun_stream_eof(visit->stream))
        return;
    TRACE(visit->side->storm, "%c%u done", storm_letter(visit->side), visit->number);
    tun_stream_close(visit->stream);
    visit->stream = NULL;
    visit->done = true;
    visit->side->storm->moved++;
}

static void read_some(struct visit *visit, uint64_t budget)
{
    const uint8_t *data;
    size_t len;

    while (budget > 0 && (data = tun_stream_peek(visit->stream, &len)) != NULL) {
        if (len > budget)
            len = (size_t)budget;
        received(visit, data, len);
        tun_stream_consume(visit->stream, len);
        budget -= len;
    }
    close_if_done(visit);
}

/* The next bytes of VISIT into a place that has ROOM. Returns how many. */
static size_t fill(struct visit *visit, uint8_t *at, size_t room)
{
    uint64_t left = visit->to_send - visit->sent;
    size_t n = left < room ? (size_t)left : room;

    storm_pattern_fill(at, visit, visit->sent, n);
    visit->sent += n;
    visit->side->storm->moved += n;
    return n;
}

static void write_some(struct visit *visit, uint64_t budget)
{
    while (budget > 0 && visit->sent < visit->to_send) {
        size_t room = budget < 65536 ? (size_t)budget : 65536;
        uint8_t *at = tun_stream_reserve(visit->stream, &room), *more = NULL;
        size_t n;

        if (at == NULL)
            return;
        if (budget > room + TUN_STREAM_PIECE)
            more = tun_stream_reserve_more(visit->stream, room);
        n = fill(visit, at, room);
        tun_stream_commit(visit->stream, n);
        budget -= n;
        if (more != NULL) {
            n = n == room ? fill(visit, more, TUN_STREAM_PIECE) : 0;
            tun_stream_commit_more(visit->stream, n);
            budget -= n;
        }
    }
    if (visit->sent == visit->to_send && !tun_stream_finished(visit->stream)) {
        tun_stream_finish(visit->stream);
        visit->side->storm->moved++;
    }
    close_if_done(visit);
}

static void gone(struct visit *visit, const char *how)
{
    TRACE(visit->side->storm, "%c%u %s", storm_letter(visit->side), visit->number, how);
    REQUIRE(visit->stream != NULL);
    visit->stream = NULL;
    visit->cut = true;
    visit->side->storm->moved++;
}

/* A user loses patience, in one of four ways. */
static void leave(struct visit *visit)
{
    struct tun_stream *stream = visit->stream;

    gone(visit, "leaves");
    switch (storm_below(visit->side->storm, 4)) {
    case 0:
        tun_stream_reset(stream, TUN_CODE_CANCELLED);
        break;
    case 1:
        tun_stream_reset_late(stream, TUN_CODE_CANCELLED);
        break;
    case 2:
        tun_stream_leave(stream);
        break;
    default:
        tun_stream_close(stream);
        break;
    }
}

static void begin(struct visit *visit, struct side *side, unsigned number)
{
    REQUIRE(!visit->began);
    *visit = (struct visit){.side = side, .number = number, .began = true};
    visit->to_send = storm_size(side->storm, side->storm->plan.size);
    side->storm->moved++;
}

static void answer(struct visit *visit)
{
    struct tun_stream *stream = visit->stream;

    if (!visit->side->storm->plan.gentle && storm_chance(visit->side->storm, 20)) {
        gone(visit, "refuses");
        tun_stream_refuse(stream, TUN_CODE_REFUSED, "no");
        return;
    }
    TRACE(visit->side->storm, "%c%u accepts", storm_letter(visit->side), visit->number);
    visit->accepted = true;
    visit->side->storm->moved++;
    tun_stream_accept(stream);
}

/* ---- ops ---- */

static void on_accept(void *arg, struct tun_link *link, const struct tun_accept *accept)
{
    struct side *side = arg;
    struct wire *wire = tun_link_user(link);
    struct plug *plug = &wire->plugs[side->role];

    REQUIRE(side->role == TUN_CONNECTOR && plug->link == link && !plug->accepted);
    REQUIRE(accept->session[0] == 7);
    TRACE(side->storm, "c accepted on %u", wire->number);
    plug->accepted = true;
    storm_side_count(side, 1);
}

static void on_reject(void *arg, struct tun_link *link, const struct tun_notice *notice)
{
    struct side *side = arg;
    struct wire *wire = tun_link_user(link);

    REQUIRE(wire->rejected && notice->code == TUN_CODE_BUSY);
    side->storm->sums.rejects++;
}

/* The owner lets go of it as soon as it is out of the op. */
static void on_link_cut(void *arg, struct tun_link *link)
{
    struct side *side = arg;
    struct wire *wire = tun_link_user(link);
    struct plug *plug = &wire->plugs[side->role];

    TRACE(side->storm, "%c told that %u is cut", storm_letter(side), wire->number);
    REQUIRE(plug->link == link && wire->plugs[!side->role].link == NULL);
    plug->notice_ms = side->storm->now_ms;
}

static void on_resumed(void *arg, uint32_t moved)
{
    struct side *side = arg;

    TRACE(side->storm, "%c resumed %u", storm_letter(side), (unsigned)moved);
    side->storm->sums.resumes++;
    side->storm->sums.moved += moved;
}

static void on_exposure(void *arg, const struct tun_exposure *exposure)
{
    struct side *side = arg;
    unsigned count, index;

    side->list_whole = exposure == NULL;
    if (exposure == NULL) {
        REQUIRE(side->heard == 0 || side->heard == side->told || side->storm->sums.cuts > 0);
        side->told = side->heard;
        side->heard = 0;
        side->lists++;
        return;
    }
    REQUIRE(sscanf(exposure->url, "%u %u ", &count, &index) == 2);
    REQUIRE((index == side->heard && (index == 0 || count == side->told)) ||
            side->storm->sums.cuts > 0);
    side->told = count;
    side->heard++;
}

static void on_goaway(void *arg, const struct tun_notice *notice)
{
    struct side *side = arg;

    REQUIRE(notice->code == TUN_CODE_SHUTDOWN);
    side->goaways++;
}

static void on_close(void *arg, const struct tun_notice *notice)
{
    struct side *side = arg;

    REQUIRE(notice->code == TUN_CODE_SHUTDOWN);
    side->closes++;
}

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct side *side = arg;
    unsigned number = open->visitor.port;
    struct visit *visit = &side->visits[number];

    REQUIRE(number >= 1 && number <= STORM_VISITORS + 1);
    begin(visit, side, number);
    if (number > side->storm->plan.visitors) /* the probe: as much either way */
        visit->to_send = storm_other(side)->visits[number].to_send;
    visit->stream = stream;
    TRACE(side->storm, "c%u comes, stream %u", number, (unsigned)tun_stream_id(stream));
    tun_stream_set_user(stream, visit);
    if (storm_chance(side->storm, 2))
        answer(visit);
}

static void on_open_ok(void *user, struct tun_stream *stream)
{
    struct visit *visit = user;

    REQUIRE(visit->stream == stream && !visit->accepted);
    visit->accepted = true;
}

static void on_open_err(void *user, const struct tun_notice *notice)
{
    struct visit *visit = user;
    const struct side *connector = storm_other(visit->side);

    REQUIRE(!visit->accepted);
    if (notice->code == TUN_CODE_LOST) {
        REQUIRE(!connector->visits[visit->number].began);
        gone(visit, "was never seen");
        visit->again = true;
        visit->side->again++;
        visit->side->storm->sums.again++;
        return;
    }
    REQUIRE(notice->code == TUN_CODE_SHUTDOWN
                ? connector->goaway_said
                : notice->code == TUN_CODE_REFUSED && !visit->side->storm->plan.gentle);
    gone(visit, "open_err");
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct visit *visit = user;
    struct storm *storm = visit->side->storm;
    size_t take = storm_chance(storm, 4) ? (size_t)storm_below(storm, len + 1) : len;

    REQUIRE(visit->stream == stream && visit->accepted);
    if (!storm->plan.gentle && storm_chance(storm, 200)) {
        leave(visit);
        return 0;
    }
    received(visit, data, take);
    return take;
}

static void on_readable(void *user, struct tun_stream *stream)
{
    struct visit *visit = user;
    struct storm *storm = visit->side->storm;

    REQUIRE(visit->stream == stream);
    if (storm_chance(storm, 2))
        read_some(visit, storm_size(storm, 100000));
}

static void on_writable(void *user, struct tun_stream *stream)
{
    struct visit *visit = user;
    struct storm *storm = visit->side->storm;
    size_t room = 1;

    REQUIRE(visit->stream == stream);
    if (tun_stream_reserve(stream, &room) != NULL)
        tun_stream_commit(stream, 0);
    else
        REQUIRE(tun_stream_finished(stream));
    if (!storm->plan.gentle && storm_chance(storm, 100))
        leave(visit);
    else if (storm_chance(storm, 2))
        write_some(visit, storm_size(storm, 100000));
}

/* A connector that is leaving refused it, and the refusal got lost. */
static bool was_turned_away(const struct visit *visit, enum tun_code code)
{
    const struct side *other = storm_other(visit->side);

    return code == TUN_CODE_LOST && !visit->accepted && !other->visits[visit->number].began &&
           other->goaway_said;
}

static void on_reset(void *user, enum tun_code code)
{
    struct visit *visit = user;

    gone(visit, tun_code_name(code));
    if (was_turned_away(visit, code))
        return;
    REQUIRE(!visit->side->storm->plan.gentle || visit->side->leaving);
    REQUIRE(code == TUN_CODE_CANCELLED || code == TUN_CODE_LOST || code == TUN_CODE_TIMEOUT ||
            code == TUN_CODE_PRESSURE);
}

#define COMMON_OPS                                                                                 \
    .on_accept = on_accept, .on_reject = on_reject, .on_resumed = on_resumed,                      \
    .on_link_cut = on_link_cut, .on_exposure = on_exposure, .on_goaway = on_goaway,                \
    .on_close = on_close, .on_open = on_open, .on_open_ok = on_open_ok,                            \
    .on_open_err = on_open_err, .on_readable = on_readable, .on_writable = on_writable,            \
    .on_reset = on_reset

const struct tun_session_ops storm_ops_direct = {COMMON_OPS, .on_data = on_data};
const struct tun_session_ops storm_ops_buffered = {COMMON_OPS};

/* ---- steps ---- */

static void open_stream(struct visit *visit)
{
    struct tun_open open = {.workload = "7-1001-blog", .service = "web", .kind = TUN_KIND_TCP};
    struct side *side = visit->side;

    open.visitor.port = (uint16_t)visit->number;
    REQUIRE(tun_stream_open(&visit->stream, side->session, &open, visit) == ERR_OK);
    TRACE(side->storm, "g%u comes, stream %u, sends %llu", visit->number,
          (unsigned)tun_stream_id(visit->stream), (unsigned long long)visit->to_send);
}

void storm_visit(struct storm *self, uint64_t size)
{
    struct side *side = &self->sides[TUN_GATEWAY];
    struct visit *visit = &side->visits[side->opened + 1];

    begin(visit, side, ++side->opened);
    if (size > 0)
        visit->to_send = size;
    open_stream(visit);
}

void storm_visit_again(struct storm *self)
{
    struct side *side = &self->sides[TUN_GATEWAY];

    for (unsigned i = 1; side->again > 0 && i <= side->opened; i++) {
        struct visit *visit = &side->visits[i];

        if (!visit->again)
            continue;
        visit->again = visit->cut = false;
        visit->sent = 0;
        side->again--;
        open_stream(visit);
    }
}

static void use(struct visit *visit)
{
    struct storm *storm = visit->side->storm;

    if (visit->side->role == TUN_CONNECTOR && !visit->accepted) {
        answer(visit);
        return;
    }
    if (!storm->plan.gentle && storm_chance(storm, 60))
        leave(visit);
    else if (storm_chance(storm, 2))
        read_some(visit, storm_size(storm, 1 << 20));
    else
        write_some(visit, storm_size(storm, 1 << 20));
}

void storm_users_step(struct side *self)
{
    unsigned count = storm_other(self)->opened + self->opened; /* one of them is 0 */

    if (self->session == NULL || self->frozen_ms != 0)
        return;
    for (int i = 0; i < 4; i++) {
        struct visit *visit = &self->visits[1 + storm_below(self->storm, count)];

        if (visit->stream != NULL)
            use(visit);
    }
}

static bool may_use(struct visit *visit)
{
    if (visit->stream != NULL && visit->side->role == TUN_CONNECTOR && !visit->accepted)
        answer(visit);
    return visit->stream != NULL;
}

void storm_users_hurry(struct side *self)
{
    if (self->session == NULL || self->frozen_ms != 0)
        return;
    for (unsigned i = 1; i <= STORM_VISITORS + 1; i++) {
        if (may_use(&self->visits[i]))
            read_some(&self->visits[i], UINT64_MAX);
        if (self->visits[i].stream != NULL)
            write_some(&self->visits[i], UINT64_MAX);
    }
}

void storm_users_nibble(struct side *self)
{
    if (self->session == NULL || self->frozen_ms != 0 || !self->storm->plan.gentle)
        return;
    for (unsigned i = 1; i <= STORM_VISITORS + 1; i++)
        if (may_use(&self->visits[i]))
            read_some(&self->visits[i], 100);
}
