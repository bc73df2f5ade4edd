/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sessions in memory under a seed: random writes, segments, windows, record sizes, slow
 * readers, half closes, refusals and resets. Every byte that arrives is the right one, everything
 * that was not reset arrives whole, and memory stays within the windows.
 *
 * Replay one seed: NW_SEED=123 test_tunnel_storm, or as its argument. More of them: NW_SEEDS=10000.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"
#include "tests/support/suite.h"
#include "tests/tunnel/pair.h"

#define STREAMS 40
#define STEPS_MAX 200000
/* check writes to a file for every assertion that holds; here they are made millions of times. */
#define REQUIRE(claim)                                                                             \
    do {                                                                                           \
        if (!(claim))                                                                              \
            ck_abort_msg("seed %llu: %s", (unsigned long long)seed_now, #claim);                   \
    } while (0)

#define LINK_CAP (256u << 10)

static uint64_t seed_now; /* for messages */

/* One end of one stream, as its user sees it. */
struct end {
    struct side *side;
    struct tun_stream *stream; /* NULL before it begins and after it ended */
    uint32_t id;
    uint64_t to_send, sent; /* bytes of the pattern */
    uint64_t received;
    bool began, accepted, cut, done;
};

struct side {
    struct storm *storm;
    struct tun_session *session;
    enum tun_role role;
    struct end ends[STREAMS + 1]; /* by stream number */
    struct buf link;              /* sealed by this side, on its way */
    bool accepted;
};

struct storm {
    uint64_t random;
    uint64_t now_ms;
    uint32_t opened, to_open;
    bool gentle; /* no resets: everything must arrive */
    bool direct; /* on_data takes bytes */
    struct side g, c;
};

static uint64_t draw(struct storm *self)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random * UINT64_C(2685821657736338717) >> 11;
}

static uint64_t below(struct storm *self, uint64_t n)
{
    return n == 0 ? 0 : draw(self) % n;
}

/* Sizes of every magnitude up to MAX. */
static uint64_t any_size(struct storm *self, uint64_t max)
{
    uint64_t size = below(self, UINT64_C(1) << below(self, 24));

    return size > max ? max : size;
}

static uint8_t pattern(uint32_t id, enum tun_role from, uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16) * 3 + id * 13 +
                     (from == TUN_GATEWAY ? 101 : 0));
}

static enum tun_role other(enum tun_role role)
{
    return role == TUN_GATEWAY ? TUN_CONNECTOR : TUN_GATEWAY;
}

static void check_bytes(struct end *end, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        REQUIRE(data[i] == pattern(end->id, other(end->side->role), end->received + i));
    end->received += len;
}

static void close_if_done(struct end *end)
{
    if (end->stream == NULL || !tun_stream_finished(end->stream) || !tun_stream_eof(end->stream))
        return;
    tun_stream_close(end->stream);
    end->stream = NULL;
    end->done = true;
}

static void read_some(struct end *end, uint64_t budget)
{
    const uint8_t *data;
    size_t len;

    while (budget > 0 && (data = tun_stream_peek(end->stream, &len)) != NULL) {
        if (len > budget)
            len = (size_t)budget;
        check_bytes(end, data, len);
        tun_stream_consume(end->stream, len);
        budget -= len;
    }
    close_if_done(end);
}

static void write_some(struct end *end, uint64_t budget)
{
    while (budget > 0 && end->sent < end->to_send) {
        size_t room = budget < 65536 ? (size_t)budget : 65536;
        uint8_t *at = tun_stream_reserve(end->stream, &room);

        if (at == NULL)
            return;
        if (room > end->to_send - end->sent)
            room = (size_t)(end->to_send - end->sent);
        for (size_t i = 0; i < room; i++)
            at[i] = pattern(end->id, end->side->role, end->sent + i);
        tun_stream_commit(end->stream, room);
        end->sent += room;
        budget -= room;
    }
    if (end->sent == end->to_send)
        tun_stream_finish(end->stream);
    close_if_done(end);
}

static void cut(struct end *end)
{
    tun_stream_reset(end->stream, TUN_CODE_CANCELLED);
    end->stream = NULL;
    end->cut = true;
}

/* ---- ops ---- */

static void on_accept(void *arg, const struct tun_accept *accept)
{
    struct side *side = arg;

    (void)accept;
    side->accepted = true;
}

static void begin_end(struct side *side, uint32_t id, struct tun_stream *stream)
{
    struct end *end = &side->ends[id];

    *end = (struct end){.side = side, .stream = stream, .id = id, .began = true};
    end->to_send = any_size(side->storm, 600000);
}

static void answer(struct end *end)
{
    if (!end->side->storm->gentle && below(end->side->storm, 20) == 0) {
        tun_stream_refuse(end->stream, TUN_CODE_REFUSED, "no");
        end->stream = NULL;
        end->cut = true;
        return;
    }
    end->accepted = true;
    tun_stream_accept(end->stream);
}

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct side *side = arg;
    uint32_t id = tun_stream_id(stream);

    ck_assert_str_eq(open->service, "web");
    begin_end(side, id, stream);
    tun_stream_set_user(stream, &side->ends[id]);
    if (below(side->storm, 2) == 0)
        answer(&side->ends[id]);
}

static void on_open_ok(void *user, struct tun_stream *stream)
{
    struct end *end = user;

    REQUIRE(end->stream == stream);
    end->accepted = true;
}

static void ended(struct end *end)
{
    ck_assert_ptr_nonnull(end->stream);
    end->stream = NULL;
    end->cut = true;
}

static void on_open_err(void *user, const struct tun_notice *notice)
{
    ck_assert_int_eq(notice->code, TUN_CODE_REFUSED);
    ended(user);
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct end *end = user;
    size_t take = (size_t)below(end->side->storm, len + 1);

    REQUIRE(end->stream == stream);
    if (!end->side->storm->gentle && below(end->side->storm, 200) == 0) {
        cut(end);
        return 0;
    }
    check_bytes(end, data, take);
    return take;
}

static void on_readable(void *user, struct tun_stream *stream)
{
    struct end *end = user;

    REQUIRE(end->stream == stream);
    if (below(end->side->storm, 2) == 0)
        read_some(end, any_size(end->side->storm, 100000));
}

static void on_writable(void *user, struct tun_stream *stream)
{
    struct end *end = user;
    size_t room = 1;

    REQUIRE(end->stream == stream);
    if (tun_stream_reserve(stream, &room) != NULL)
        tun_stream_commit(stream, 0);
    else
        ck_assert(tun_stream_finished(stream));
    if (below(end->side->storm, 2) == 0)
        write_some(end, any_size(end->side->storm, 100000));
}

static void on_reset(void *user, enum tun_code code)
{
    ck_assert_int_ne(code, TUN_CODE_PROTOCOL);
    ended(user);
}

static const struct tun_session_ops ops_direct = {
    .on_accept = on_accept,
    .on_open = on_open,
    .on_open_ok = on_open_ok,
    .on_open_err = on_open_err,
    .on_data = on_data,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_reset = on_reset,
};

static const struct tun_session_ops ops_buffered = {
    .on_accept = on_accept,
    .on_open = on_open,
    .on_open_ok = on_open_ok,
    .on_open_err = on_open_err,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_reset = on_reset,
};

/* ---- the storm ---- */

static void side_init(struct side *side, struct storm *storm, struct tun_handshake_result *link)
{
    struct tun_session_config cfg = {
        .link = link,
        .ops = storm->direct ? &ops_direct : &ops_buffered,
        .arg = side,
        .stream_window = TUN_STREAM_WINDOW_MIN + (uint32_t)any_size(storm, 1 << 19),
        .session_window = TUN_SESSION_WINDOW_MIN + (uint32_t)any_size(storm, 1 << 21),
    };

    side->storm = storm;
    side->role = link->role;
    REQUIRE(buf_init(&side->link, LINK_CAP) == ERR_OK);
    REQUIRE(tun_session_new(&side->session, &cfg, storm->now_ms) == ERR_OK);
}

static void storm_init(struct storm *self, uint64_t seed)
{
    struct tun_handshake_result c, g;

    seed_now = seed;
    memset(self, 0, sizeof(*self));
    self->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    self->now_ms = 1000;
    self->to_open = 1 + (uint32_t)below(self, STREAMS);
    self->gentle = below(self, 2) == 0;
    self->direct = below(self, 2) == 0;
    pair_results(below(self, 2) == 0 ? TUN_SUITE_AES : TUN_SUITE_CHACHA, &c, &g);
    c.peer_max_record = TUN_RECORD_MIN + (uint32_t)below(self, TUN_RECORD_MAX - TUN_RECORD_MIN + 1);
    g.peer_max_record = TUN_RECORD_MIN + (uint32_t)below(self, TUN_RECORD_MAX - TUN_RECORD_MIN + 1);
    side_init(&self->c, self, &c);
    side_init(&self->g, self, &g);
    REQUIRE(tun_session_accept(self->g.session, &(struct tun_accept){0}) == ERR_OK);
}

static void storm_end(struct storm *self)
{
    tun_session_free(self->c.session);
    tun_session_free(self->g.session);
    buf_deinit(&self->c.link);
    buf_deinit(&self->g.link);
}

static void open_one(struct storm *self)
{
    struct tun_open open = {.workload = "7-1001-blog", .service = "web", .kind = TUN_KIND_TCP};
    uint32_t id = self->opened + 1;
    struct tun_stream *stream;

    REQUIRE(tun_stream_open(&stream, self->g.session, &open, &self->g.ends[id]) == ERR_OK);
    ck_assert_uint_eq(tun_stream_id(stream), id);
    self->opened = id;
    begin_end(&self->g, id, stream);
}

/* Bytes of FROM's link to the other side, a random part, copied so that ASan sees over-reads. */
static void carry(struct side *from, struct side *to)
{
    size_t len = (size_t)any_size(from->storm, from->link.len);
    uint8_t *copy;

    if (below(from->storm, 4) == 0)
        len = from->link.len;
    if (len == 0)
        return;
    copy = malloc(len);
    memcpy(copy, buf_peek(&from->link), len);
    buf_consume(&from->link, len);
    REQUIRE(tun_session_feed(to->session, copy, len, from->storm->now_ms) == ERR_OK);
    free(copy);
}

static void check_memory(const struct side *side)
{
    struct tun_session_stats stats;
    const struct tun_session *session = side->session;

    tun_session_stats(session, &stats);
    REQUIRE(stats.waiting <= session->rx.size);
    REQUIRE(session->in_pool.used_bytes <= 4 * stats.waiting + STREAMS * TUN_CHUNK_MAX);
    REQUIRE(session->out_pool.used_bytes <= TUN_SESSION_QUEUE_MAX + TUN_CHUNK_MAX);
}

static void move_link(struct storm *self, struct side *from, struct side *to)
{
    if (tun_session_pending(from->session))
        REQUIRE(tun_session_pull(from->session, &from->link, self->now_ms) == ERR_OK);
    carry(from, to);
    check_memory(from);
    REQUIRE(tun_session_tick(from->session, self->now_ms) == ERR_OK);
}

static void use_one(struct storm *self, struct side *side)
{
    struct end *end = &side->ends[1 + below(self, self->opened)];

    if (end->stream == NULL)
        return;
    if (side->role == TUN_CONNECTOR && !end->accepted) {
        answer(end);
        return;
    }
    switch (below(self, self->gentle ? 2 : 40)) {
    case 2:
        cut(end);
        break;
    case 0:
    case 3:
    case 4:
    case 5:
        read_some(end, any_size(self, 1 << 20));
        break;
    default:
        write_some(end, any_size(self, 1 << 20));
        break;
    }
}

static bool all_ended(const struct storm *self)
{
    for (uint32_t id = 1; id <= self->to_open; id++) {
        const struct end *g = &self->g.ends[id], *c = &self->c.ends[id];

        if (!g->began || g->stream != NULL || c->stream != NULL || (!c->began && !g->cut))
            return false;
    }
    return self->g.session->streams.count == 0 && self->c.session->streams.count == 0 &&
           self->g.link.len == 0 && self->c.link.len == 0 &&
           !tun_session_pending(self->g.session) && !tun_session_pending(self->c.session);
}

static void check_result(const struct storm *self)
{
    for (uint32_t id = 1; id <= self->to_open; id++) {
        const struct end *g = &self->g.ends[id], *c = &self->c.ends[id];

        if (g->cut || c->cut) {
            ck_assert(!self->gentle);
            continue;
        }
        ck_assert(g->done && c->done);
        ck_assert_uint_eq(g->received, c->to_send);
        ck_assert_uint_eq(c->received, g->to_send);
    }
    ck_assert_uint_eq(tun_recv_window_waiting(&self->g.session->rx), 0);
    ck_assert_uint_eq(tun_recv_window_waiting(&self->c.session->rx), 0);
    ck_assert_uint_eq(self->g.session->queued, 0);
    ck_assert_uint_eq(self->g.session->in_pool.used_bytes, 0);
    ck_assert_uint_eq(self->c.session->in_pool.used_bytes, 0);
    ck_assert_uint_eq(self->g.session->rx.received, self->c.session->tx.sent);
    ck_assert_uint_eq(self->c.session->rx.received, self->g.session->tx.sent);
}

static void run_seed(uint64_t seed)
{
    static struct storm storm; /* too big for a stack */
    int steps = 0;

    storm_init(&storm, seed);
    while (!all_ended(&storm)) {
        REQUIRE(++steps < STEPS_MAX);
        storm.now_ms += below(&storm, 4) == 0 ? below(&storm, 40) : 0;
        if (storm.opened < storm.to_open && below(&storm, 4) == 0)
            open_one(&storm);
        for (int i = 0; storm.opened > 0 && i < 4; i++) {
            use_one(&storm, &storm.g);
            use_one(&storm, &storm.c);
        }
        move_link(&storm, &storm.g, &storm.c);
        move_link(&storm, &storm.c, &storm.g);
    }
    check_result(&storm);
    storm_end(&storm);
}

static uint64_t only_seed;

START_TEST(test_storm_delivers_every_byte)
{
    const char *seeds = getenv("NW_SEEDS");
    uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 300;
    uint64_t from = only_seed != 0 ? only_seed : 1, to = only_seed != 0 ? only_seed : count;

    for (uint64_t seed = from; seed <= to; seed++) {
        if (getenv("NW_SEED_TRACE") != NULL)
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        run_seed(seed);
    }
}
END_TEST

/* Cut the link anywhere: each stream that was open hears of it once, and nothing leaks. */
START_TEST(test_storm_lost_link_ends_every_stream_once)
{
    static struct storm storm;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        storm_init(&storm, seed * 7919);
        for (uint64_t steps = below(&storm, 200); steps > 0; steps--) {
            if (storm.opened < storm.to_open)
                open_one(&storm);
            use_one(&storm, &storm.g);
            if (storm.c.ends[1].began)
                use_one(&storm, &storm.c);
            move_link(&storm, &storm.g, &storm.c);
            move_link(&storm, &storm.c, &storm.g);
        }
        storm_end(&storm);
        for (uint32_t id = 1; id <= STREAMS; id++) {
            ck_assert_ptr_null(storm.g.ends[id].stream);
            ck_assert_ptr_null(storm.c.ends[id].stream);
        }
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("tunnel/storm");
    TCase *tc = tcase_create("storm");
    const char *seed = argc > 1 ? argv[1] : getenv("NW_SEED");

    only_seed = seed != NULL ? strtoull(seed, NULL, 10) : 0;
    tcase_set_timeout(tc, 0); /* ctest has its own */
    tcase_add_test(tc, test_storm_delivers_every_byte);
    tcase_add_test(tc, test_storm_lost_link_ends_every_stream_once);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
