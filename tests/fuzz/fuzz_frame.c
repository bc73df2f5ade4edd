/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any frames, as they are after decryption, to a session of either role with two links
 * and some streams. Input: one byte of choices, then plaintexts of records, each after a u16:
 * length 14 bits, 0x8000 = on the second link, 0x4000 = the other link is lost first. Whatever
 * comes, memory stays within the windows, sums are right, and no pull leaves anything behind.
 */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 4

/* Users by chance: what they do depends on how much was heard, so that a run can be repeated. */
static unsigned turn;

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    (void)arg;
    if (memchr(open->workload, '\0', sizeof(open->workload)) == NULL)
        abort();
    if (turn++ % 4 == 3)
        tun_stream_refuse(stream, TUN_CODE_REFUSED, "no");
    else
        tun_stream_accept(stream);
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    (void)user;
    (void)data;
    if (++turn % 16 == 7) {
        tun_stream_reset(stream, TUN_CODE_CANCELLED);
        return 0;
    }
    return turn % 3 == 0 ? len : len / 2;
}

static void on_readable(void *user, struct tun_stream *stream)
{
    size_t len;

    (void)user;
    while (tun_stream_peek(stream, &len) != NULL)
        tun_stream_consume(stream, len);
    if (turn++ % 2 == 0)
        return;
    tun_stream_finish(stream);
    tun_stream_close(stream);
}

static void on_writable(void *user, struct tun_stream *stream)
{
    (void)user;
    (void)tun_stream_write(stream, "hello", 5);
}

static struct tun_session *session;
static struct tun_link *links[2]; /* NULL = lost */
static bool is_cut[2];            /* to be lost after this record */

static void on_link_cut(void *arg, struct tun_link *link)
{
    (void)arg;
    is_cut[link == links[1]] = true;
}

static const struct tun_session_ops ops = {
    .on_link_cut = on_link_cut,
    .on_open = on_open,
    .on_data = on_data,
    .on_readable = on_readable,
    .on_writable = on_writable,
};

static void open_streams(void)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_stream *stream;

    for (int i = 0; i < STREAMS; i++)
        if (tun_stream_open(&stream, session, &open, session) == ERR_OK)
            (void)tun_stream_write(stream, "first", 5);
}

static void begin(uint8_t choices)
{
    struct tun_handshake_result result = {.role = choices & 1 ? TUN_GATEWAY : TUN_CONNECTOR,
                                          .suite = TUN_SUITE_CHACHA,
                                          .peer_max_record = choices & 2 ? 1024 : 65535};
    struct tun_session_config cfg = {.role = result.role,
                                     .ops = &ops,
                                     .session_window = TUN_SESSION_WINDOW_MIN,
                                     .max_streams = 100};

    turn = 0;
    if (tun_session_new(&session, &cfg, 1) != ERR_OK)
        abort();
    for (int i = 0; i < 2; i++) {
        is_cut[i] = false;
        if (tun_link_new(&links[i], session, &result, NULL, 1) != ERR_OK)
            abort();
        if (result.role == TUN_GATEWAY && (choices & 4) == 0)
            (void)tun_link_accept(links[i], &(struct tun_accept){0});
    }
    open_streams();
}

static void lose(int i, uint64_t now_ms)
{
    struct tun_link *link = links[i];

    links[i] = NULL;
    is_cut[i] = false;
    if (link != NULL)
        tun_link_lost(link, now_ms);
}

static void drain(struct buf *out, uint64_t now_ms)
{
    for (int i = 0; i < 2; i++) {
        if (links[i] == NULL)
            continue;
        do {
            buf_consume(out, out->len);
            if (tun_link_pull(links[i], out, now_ms) != ERR_OK)
                return;
        } while (out->len > 0);
        if (tun_link_pending(links[i]))
            abort(); /* a loop would spin */
    }
}

static void check_sums(void)
{
    const struct tun_stream *at = NULL;
    size_t kept = 0, queued = 0;

    while ((at = tun_stream_table_next(&session->streams, at)) != NULL) {
        if (at->tx.sent > at->tx.limit || at->out.taken != at->tx.sent - at->kept_from)
            abort();
        kept += at->out.taken;
        queued += at->out.len - at->out.taken;
    }
    if (tun_recv_window_waiting(&session->rx) > session->rx.size || kept != session->kept ||
        queued != session->queued)
        abort();
}

/* As tun_link_feed does with a record, once it is opened. */
static void feed(struct tun_link *link, const uint8_t *data, size_t len, uint64_t now_ms)
{
    tun_session_enter(session, now_ms);
    if (link->state != TUN_LINK_OVER) {
        tun_link_heard(link);
        (void)tun_session_frames(link, data, len);
        tun_session_notify(session);
    }
    tun_session_leave(session);
}

static void tick(uint64_t now_ms)
{
    (void)tun_session_tick(session, now_ms);
    for (int i = 0; i < 2; i++)
        if (links[i] != NULL && (is_cut[i] || tun_link_tick(links[i], now_ms) != ERR_OK))
            lose(i, now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out;
    uint64_t now_ms = 1;

    if (size < 1 || buf_init(&out, 128u << 10) != ERR_OK)
        return 0;
    begin(data[0]);
    for (size_t at = 1; at + 2 <= size; now_ms += 300) {
        size_t len = (size_t)(data[at] & 0x3f) << 8 | data[at + 1];
        int on = data[at] >> 7;

        if ((data[at] & 0x40) != 0)
            lose(!on, now_ms);
        at += 2;
        len = len < size - at ? len : size - at;
        if (links[on] != NULL)
            feed(links[on], data + at, len, now_ms);
        at += len;
        check_sums();
        drain(&out, now_ms);
        tick(now_ms);
        if (tun_session_ended(session) != ERR_OK)
            break;
    }
    tun_session_free(session);
    buf_deinit(&out);
    return 0;
}
