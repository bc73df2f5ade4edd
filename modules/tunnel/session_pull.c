/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is sent: control frames, then WINDOWs, then the streams' bytes in deficit round robin,
 * gathered as pieces and sealed from where they lie into as few records as possible.
 */
#include <assert.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

#define PIECES_MAX 128
#define SCRATCH_LEN (PIECES_MAX * 24u) /* headers of DATA, whole WINDOWs and FINs */
#define QUANTUM (64 << 10)             /* bytes a stream may send per round: about a record */
#define SHORT_LEN (16 << 10)           /* who has no more than that to send need not wait a round */
#define SHORT_AHEAD 4u                 /* so many of them, then one whose turn it is */
#define FLOOR (16u << 10)              /* of credit, memory and room, however scarce they are */
#define SCRAP 512u                     /* no DATA is cut shorter to fill a record's end */
#define FIN_LEN 16u
#define SCARCE_WINDOW (64u << 10) /* a reader that keeps up may always have so much */
#define WINDOW_LEN 24u

_Static_assert(TUN_STREAM_PIECE + TUN_FRAME_HEADER_LEN + TUN_CIPHER_TAG_LEN +
                       TUN_RECORD_HEADER_LEN ==
                   TUN_RECORD_BYTES,
               "a piece fills a record");

/* One record in the making. */
struct parcel {
    struct tun_piece pieces[PIECES_MAX];
    size_t count;
    size_t len;                /* bytes in pieces */
    size_t cap;                /* most plaintext it may hold */
    struct tun_chunk *retired; /* emptied by it */
    bool asks;                 /* it wants an answer */
    struct out scratch;
    uint8_t scratch_bytes[SCRATCH_LEN];
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t parcel_room(const struct parcel *parcel)
{
    return parcel->cap - parcel->len;
}

static void add_piece(struct parcel *parcel, const uint8_t *data, size_t len)
{
    struct tun_piece *last = parcel->count > 0 ? &parcel->pieces[parcel->count - 1] : NULL;

    parcel->len += len;
    if (last != NULL && last->data + last->len == data) {
        last->len += len;
        return;
    }
    parcel->pieces[parcel->count++] = (struct tun_piece){data, len};
}

/* What was just encoded into the scratch, from AT on. */
static void add_scratch(struct parcel *parcel, const uint8_t *at)
{
    assert(!parcel->scratch.bad);
    add_piece(parcel, at, (size_t)(parcel->scratch.p - at));
}

static bool scratch_left(const struct parcel *parcel, size_t pieces)
{
    return parcel->count + pieces <= PIECES_MAX &&
           (size_t)(parcel->scratch.end - parcel->scratch.p) >= WINDOW_LEN + FIN_LEN;
}

/* PONG, WINDOW and CLOSE are answers themselves, or want none. */
static bool wants_answer(uint8_t type)
{
    return type != TUN_FRAME_PONG && type != TUN_FRAME_CLOSE && type != TUN_FRAME_REJECT;
}

static void gather_control(struct tun_link *self, struct parcel *parcel)
{
    size_t piece_len;
    const uint8_t *frame;

    while (parcel->count < PIECES_MAX &&
           (frame = tun_queue_peek(&self->control, &piece_len)) != NULL) {
        size_t len = TUN_FRAME_HEADER_LEN + ((size_t)frame[2] << 8 | frame[3]);

        assert(len <= piece_len); /* frames never span chunks */
        if (len > parcel_room(parcel))
            return;
        parcel->asks = parcel->asks || wants_answer(frame[0]);
        add_piece(parcel, frame, len);
        tun_queue_consume(&self->control, &self->session->out_pool, len, &parcel->retired);
    }
}

static void add_window(struct parcel *parcel, uint32_t stream, struct tun_window window,
                       uint8_t flags)
{
    uint8_t *at = parcel->scratch.p;

    tun_frame_put_window(&parcel->scratch, stream, &window, flags);
    add_scratch(parcel, at);
}

/* What the kernel knows, or the last PING said; 0 = unknown. */
static uint32_t trip_us(const struct tun_link *self)
{
    return self->path_us > 0 ? self->path_us : self->rtt_ms * 1000;
}

/*
 * While stopped readers hold much of the session's window, one that keeps up still gets what it
 * needs, however long a round trip takes: it pins nothing. The less is left, the smaller.
 */
static uint32_t scarce_window(const struct tun_session *self)
{
    uint64_t part = (self->rx.size - tun_recv_window_waiting(&self->rx)) / 32;

    if (part < SCARCE_WINDOW)
        part = SCARCE_WINDOW;
    return part < self->cfg.stream_window ? (uint32_t)part : self->cfg.stream_window;
}

static void put_window(struct tun_stream *stream, struct parcel *parcel)
{
    uint64_t limit = stream->rx.limit;

    add_window(parcel, stream->id, tun_recv_window_tell(&stream->rx),
               stream->fin_received ? TUN_FLAG_END : 0);
    stream->session->promised += stream->rx.limit - limit;
}

/* Below USUAL, or what scarcity makes of it, the window grows whenever the reader keeps up. */
static void grow_window(const struct tun_link *self, struct tun_stream *stream, uint32_t usual)
{
    const struct tun_session *session = self->session;
    bool pressure = tun_recv_window_waiting(&session->rx) > session->rx.size / 4;
    uint32_t scarce = pressure ? scarce_window(session) : 0;

    tun_recv_window_grow(&stream->rx, pressure && scarce < usual ? scarce : usual,
                         pressure ? scarce : session->cfg.stream_window_max, trip_us(self),
                         session->now_ms);
}

static void tell_window(struct tun_link *self, struct tun_stream *stream, struct parcel *parcel)
{
    if (!stream->fin_received)
        grow_window(self, stream, self->session->cfg.stream_window);
    put_window(stream, parcel);
    if (stream->fin_received) {
        stream->end_told = true;
        tun_stream_settle(stream);
    }
}

static void gather_windows(struct tun_link *self, struct parcel *parcel)
{
    struct tun_session *session = self->session;
    struct tun_stream *stream;

    if (session->telling && parcel_room(parcel) >= WINDOW_LEN && scratch_left(parcel, 1)) {
        session->telling = false;
        add_window(parcel, 0, tun_recv_window_tell(&session->rx), 0);
    }
    while ((stream = LIST_FIRST(&self->telling_list)) != NULL &&
           parcel_room(parcel) >= WINDOW_LEN && scratch_left(parcel, 1)) {
        LIST_REMOVE(stream, telling);
        stream->is_telling = false;
        tell_window(self, stream, parcel);
    }
}

/*
 * What STREAM may still send. Its own window, and a part of what the others leave of the session's:
 * those whose readers stop pin what they have, but a quarter of the session is never theirs.
 */
static uint64_t credit_of(const struct tun_stream *stream)
{
    const struct tun_send_window *all = &stream->session->tx;
    uint64_t own = stream->tx.sent - stream->tx.acked, others = all->sent - all->acked;
    uint64_t may = (all->limit - all->acked) / 4 * 3, room = tun_send_window_room(&stream->tx);

    others = others > own ? others - own : 0;
    may = others < may ? (may - others) / 2 : 0;
    if (may < FLOOR)
        may = FLOOR;
    may = own < may ? may - own : 0;
    return room < may ? room : may;
}

static uint64_t sendable(const struct tun_stream *stream)
{
    uint64_t credit = credit_of(stream), unsent = tun_stream_unsent(stream);

    return credit < unsent ? credit : unsent;
}

/* Answers and requests do not wait for a round of those that send much. */
static bool may_go_ahead(const struct tun_stream *stream)
{
    return stream->link->ahead < SHORT_AHEAD && tun_stream_unsent(stream) <= SHORT_LEN;
}

void tun_stream_make_ready(struct tun_stream *self)
{
    struct tun_link *link = self->link;

    if (self->is_ready || link->state != TUN_LINK_LIVE || sendable(self) == 0)
        return;
    self->is_ready = true;
    self->deficit = 0;
    if (may_go_ahead(self)) {
        self->deficit = SHORT_LEN;
        link->ahead++;
        TAILQ_INSERT_HEAD(&link->ready_list, self, ready);
    } else {
        TAILQ_INSERT_TAIL(&link->ready_list, self, ready);
    }
}

static void leave_ready(struct tun_stream *stream)
{
    stream->is_ready = false;
    TAILQ_REMOVE(&stream->link->ready_list, stream, ready);
}

/* Bytes of STREAM that this record takes now; 0 = it must wait for the next one. */
static size_t share_of(struct tun_link *self, const struct tun_stream *stream,
                       const struct parcel *parcel)
{
    size_t room = parcel_room(parcel);
    uint64_t credit = tun_send_window_room(&self->session->tx);
    size_t want = (size_t)sendable(stream), n;
    bool alone = TAILQ_NEXT(stream, ready) == NULL && TAILQ_FIRST(&self->ready_list) == stream;

    if (room <= TUN_FRAME_HEADER_LEN)
        return 0;
    if (!alone && want > (size_t)stream->deficit)
        want = (size_t)stream->deficit;
    if (want > credit)
        want = (size_t)credit;
    n = smaller(want, room - TUN_FRAME_HEADER_LEN);
    return n < want && n < SCRAP && parcel->len > 0 ? 0 : n;
}

/*
 * An answer, or the next request, says along with it what was taken before it: the other side keeps
 * less of many streams that have little to say, and what it keeps changes hands while it is still
 * in the processor's cache.
 */
static void tell_along(const struct tun_link *self, struct tun_stream *stream,
                       struct parcel *parcel)
{
    if (stream->rx.consumed != stream->rx.told && !stream->fin_received &&
        tun_stream_unsent(stream) <= SHORT_LEN && parcel_room(parcel) >= WINDOW_LEN + SHORT_LEN) {
        grow_window(self, stream, 0); /* who takes much between two words is never told otherwise */
        put_window(stream, parcel);
    }
}

/* N more bytes of STREAM are sealed; they stay until they are acknowledged. */
static void count_sealed(struct tun_link *self, struct tun_stream *stream, size_t n)
{
    struct tun_session *session = self->session;

    tun_queue_take(&stream->out, n);
    stream->tx.sent += n;
    session->tx.sent += n;
    self->tx_bytes += n;
    self->queued -= n;
    session->queued -= n;
    session->kept += n;
    stream->deficit -= (int32_t)smaller(n, (size_t)stream->deficit);
    if (stream->deficit < (int32_t)SCRAP) /* the next frame is worth more than that */
        stream->deficit = 0;
    if (stream->released)
        stream->progress_ms = session->now_ms;
}

static void send_data(struct tun_link *self, struct tun_stream *stream, struct parcel *parcel,
                      size_t n)
{
    struct tun_piece pieces[PIECES_MAX];
    size_t covered, count;
    uint8_t *at = parcel->scratch.p;

    count = tun_queue_pieces(&stream->out, n, pieces, PIECES_MAX - 2 - parcel->count, &covered);
    tun_frame_put_header(&parcel->scratch, &(struct tun_frame){.type = TUN_FRAME_DATA,
                                                               .len = (uint16_t)covered,
                                                               .stream = stream->id});
    add_scratch(parcel, at);
    for (size_t i = 0; i < count; i++)
        add_piece(parcel, pieces[i].data, pieces[i].len);
    count_sealed(self, stream, covered);
    tun_stream_wake(stream);
    parcel->asks = true;
}

/* Right behind the last byte, in the same record, when there is room. */
static void send_fin(struct tun_stream *stream, struct parcel *parcel)
{
    uint8_t *at = parcel->scratch.p;

    if (stream->fin_wanted && !stream->fin_sent && !stream->is_cut &&
        parcel_room(parcel) >= FIN_LEN && scratch_left(parcel, 1)) {
        tun_frame_put_fin(&parcel->scratch, stream->id, stream->tx.sent);
        add_scratch(parcel, at);
        stream->fin_sent = true;
    }
    if (stream->is_cut) /* not now: what is being sealed lies in its queue */
        tun_stream_judge(stream, TUN_VERDICT_RST);
    else
        tun_stream_settle(stream); /* or as a control frame, in the next record */
}

static void gather_data(struct tun_link *self, struct parcel *parcel)
{
    struct tun_stream *stream;
    size_t n;

    while ((stream = TAILQ_FIRST(&self->ready_list)) != NULL &&
           tun_send_window_room(&self->session->tx) > 0 && scratch_left(parcel, 5)) {
        if (sendable(stream) == 0) { /* others took it meanwhile; its next WINDOW brings it back */
            leave_ready(stream);
            continue;
        }
        if (stream->deficit == 0) {
            stream->deficit = QUANTUM;
            self->ahead = 0;
        }
        tell_along(self, stream, parcel);
        n = share_of(self, stream, parcel);
        if (n == 0)
            return; /* the record is full; this stream begins the next one */
        send_data(self, stream, parcel, n);
        if (sendable(stream) == 0) {
            leave_ready(stream);
            if (tun_stream_unsent(stream) == 0)
                send_fin(stream, parcel);
        } else if (stream->deficit == 0) {
            leave_ready(stream);
            stream->is_ready = true;
            TAILQ_INSERT_TAIL(&self->ready_list, stream, ready);
        }
    }
}

/* Something that gather_data would take; streams that others left no credit for are no reason. */
static bool has_data(const struct tun_link *self)
{
    const struct tun_stream *stream;

    if (tun_send_window_room(&self->session->tx) == 0)
        return false;
    TAILQ_FOREACH(stream, &self->ready_list, ready)
    if (sendable(stream) > 0)
        return true;
    return false;
}

bool tun_link_pending(const struct tun_link *self)
{
    const struct tun_session *session = self->session;

    if (self->control.len > 0)
        return true;
    if (session->state != TUN_SESSION_OPEN || self->state != TUN_LINK_LIVE)
        return false;
    return session->telling || !LIST_EMPTY(&self->telling_list) || has_data(self);
}

/* Streams whose last bytes are sealed now and that end with RST. */
static void reset_sealed(struct tun_session *self)
{
    struct tun_stream *stream;

    while ((stream = LIST_FIRST(&self->judged_list)) != NULL)
        tun_stream_abort(stream, stream->cut_code);
}

/* One record into AT, which has ROOM bytes. *WRITTEN is 0 when nothing was to be sent. */
static int seal_one(struct tun_link *self, uint8_t *at, size_t room, size_t *written)
{
    struct tun_session *session = self->session;
    struct parcel parcel;
    int rc = ERR_OK;

    parcel.count = 0;
    parcel.len = 0;
    parcel.retired = NULL;
    parcel.asks = false;
    room = smaller(room, TUN_RECORD_BYTES) - TUN_RECORD_HEADER_LEN;
    parcel.cap = smaller(room, self->peer_max_record) - TUN_CIPHER_TAG_LEN;
    parcel.scratch = out_init(parcel.scratch_bytes, sizeof(parcel.scratch_bytes));
    gather_control(self, &parcel);
    if (session->state == TUN_SESSION_OPEN && self->state == TUN_LINK_LIVE &&
        self->control.len == 0) {
        gather_windows(self, &parcel);
        gather_data(self, &parcel);
    }
    if (parcel.len > 0)
        rc = tun_record_seal(&self->sealer, parcel.pieces, parcel.count, parcel.len, at);
    tun_pool_release(&session->out_pool, &parcel.retired);
    reset_sealed(session);
    *written = parcel.len > 0 ? TUN_RECORD_HEADER_LEN + parcel.len + TUN_CIPHER_TAG_LEN : 0;
    if (rc == ERR_OK && parcel.len > 0)
        tun_link_said(self, parcel.asks);
    return rc;
}

/* Unsealed bytes that one stream may have: the less memory is left, the fewer; the last quarter is
 * for those that have next to nothing. */
static size_t queue_limit(const struct tun_session *self)
{
    size_t most = TUN_SESSION_QUEUE_MAX / 4 * 3, used = self->out_pool.used_bytes;
    size_t part = used < most ? (most - used) / 16 : 0;

    if (part < FLOOR)
        part = FLOOR;
    return smaller(part, TUN_STREAM_QUEUE_MAX);
}

size_t tun_stream_room(const struct tun_stream *self)
{
    uint64_t credit = tun_send_window_room(&self->tx);
    size_t cap = queue_limit(self->session), unsent = tun_stream_unsent(self);

    if (credit < cap)
        cap = (size_t)credit;
    if (unsent >= cap)
        return 0;
    if (self->session->out_pool.used_bytes >= TUN_SESSION_QUEUE_MAX) {
        self->session->memory_full = true;
        return 0;
    }
    return cap - unsent;
}

/* A writer is called when it is worth while, not for every byte that left. */
static bool worth_writing(const struct tun_stream *stream)
{
    return tun_stream_room(stream) > 0 && tun_stream_unsent(stream) <= TUN_STREAM_QUEUE_MAX / 2;
}

void tun_stream_wake(struct tun_stream *self)
{
    if (!self->is_starved || !worth_writing(self))
        return;
    LIST_REMOVE(self, starved);
    LIST_INSERT_HEAD(&self->session->notify_list, self, starved);
}

/* Those that waited for memory, not for credit of their own. */
static void wake_all(struct tun_session *self)
{
    struct tun_stream *stream, *next;

    if (!self->memory_full || self->out_pool.used_bytes >= TUN_SESSION_QUEUE_MAX)
        return;
    self->memory_full = false;
    for (stream = LIST_FIRST(&self->starved_list); stream != NULL; stream = next) {
        next = LIST_NEXT(stream, starved);
        tun_stream_wake(stream);
    }
}

void tun_session_notify(struct tun_session *self)
{
    struct tun_stream *stream;

    wake_all(self);
    while (self->state == TUN_SESSION_OPEN && (stream = LIST_FIRST(&self->notify_list)) != NULL) {
        LIST_REMOVE(stream, starved);
        stream->is_starved = false;
        if (tun_stream_room(stream) == 0) { /* others took it meanwhile */
            stream->is_starved = true;
            LIST_INSERT_HEAD(&self->starved_list, stream, starved);
            continue;
        }
        if (!stream->released && self->ops->on_writable != NULL)
            self->ops->on_writable(stream->user, stream);
    }
}

int tun_link_pull(struct tun_link *self, struct buf *out, uint64_t now_ms)
{
    struct tun_session *session = self->session;
    size_t room, least, written;
    uint8_t *at;
    int rc = ERR_OK;

    assert(session->depth == 0);
    tun_session_enter(session, now_ms);
    /* A nearly full buffer waits for a better moment, rather than for many small records. */
    least = smaller(self->peer_max_record, FLOOR) + TUN_RECORD_HEADER_LEN;
    while (rc == ERR_OK && tun_link_pending(self)) {
        at = buf_reserve(out, &room);
        if (at == NULL || room < least)
            break;
        rc = seal_one(self, at, room, &written);
        if (rc != ERR_OK || written == 0)
            break;
        buf_commit(out, written);
    }
    tun_session_notify(session);
    tun_session_leave(session);
    return rc == ERR_OK ? ERR_OK : ERR_NOMEM;
}
