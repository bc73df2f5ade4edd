/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any frames, as they are after decryption, to a session of either role with some
 * streams open. Input: one byte of choices, then plaintexts of records, each after its u16 length.
 * Whatever comes, memory stays within the windows and every stream ends once.
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

static const struct tun_session_ops ops = {
    .on_open = on_open,
    .on_data = on_data,
    .on_readable = on_readable,
    .on_writable = on_writable,
};

static struct tun_session *begin(uint8_t choices)
{
    struct tun_handshake_result link = {.role = choices & 1 ? TUN_GATEWAY : TUN_CONNECTOR,
                                        .suite = TUN_SUITE_CHACHA,
                                        .peer_max_record = choices & 2 ? 1024 : 65535};
    struct tun_session_config cfg = {
        .link = &link, .ops = &ops, .session_window = TUN_SESSION_WINDOW_MIN, .max_streams = 100};
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_session *session;
    struct tun_stream *stream;

    if (tun_session_new(&session, &cfg, 1) != ERR_OK)
        abort();
    if (link.role == TUN_GATEWAY && (choices & 4) == 0) {
        (void)tun_session_accept(session, &(struct tun_accept){0});
        for (int i = 0; i < STREAMS; i++)
            if (tun_stream_open(&stream, session, &open, session) == ERR_OK)
                (void)tun_stream_write(stream, "first", 5);
    }
    return session;
}

static void drain(struct tun_session *session, struct buf *out, uint64_t now_ms)
{
    do {
        buf_consume(out, out->len);
        if (tun_session_pull(session, out, now_ms) != ERR_OK)
            return;
    } while (out->len > 0);
    if (tun_session_pending(session))
        abort(); /* a loop would spin */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tun_session *session;
    struct buf out;
    uint64_t now_ms = 1;
    int rc = ERR_OK;

    if (size < 1 || buf_init(&out, 128u << 10) != ERR_OK)
        return 0;
    turn = 0;
    session = begin(data[0]);
    for (size_t at = 1; at + 2 <= size && rc == ERR_OK; now_ms += 300) {
        size_t len = (size_t)data[at] << 8 | data[at + 1];

        at += 2;
        len = len < size - at ? len : size - at;
        tun_session_enter(session, now_ms);
        tun_session_heard(session);
        rc = tun_session_frames(session, data + at, len);
        tun_session_notify(session);
        tun_session_leave(session);
        at += len;
        if (tun_recv_window_waiting(&session->rx) > session->rx.size)
            abort();
        drain(session, &out, now_ms);
        if (rc == ERR_OK)
            rc = tun_session_tick(session, now_ms);
    }
    tun_session_free(session);
    buf_deinit(&out);
    return 0;
}
