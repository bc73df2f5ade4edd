/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the session share: session.c (begin, end, messages of the owner),
 * session_feed.c (what arrives), session_pull.c (what is sent), session_time.c (deadlines),
 * stream.c (the user's side of a stream), stream_table.c (which streams there are). Private to
 * modules/tunnel.
 */
#ifndef MODULES_TUNNEL_SESSION_IMPL_H
#define MODULES_TUNNEL_SESSION_IMPL_H

#include <sys/queue.h>

#include "modules/tunnel/budget.h"
#include "modules/tunnel/queue.h"
#include "modules/tunnel/record.h"
#include "modules/tunnel/session.h"
#include "modules/tunnel/window.h"

#define TUN_WINDOW_FIRST (256u << 10)     /* a connector takes so much on any stream unasked */
#define TUN_STREAM_QUEUE_MAX (256u << 10) /* unsealed bytes of one stream */
#define TUN_SESSION_QUEUE_MAX (32u << 20) /* memory lent to queues before writers have to wait */
#define TUN_CONTROL_QUEUE_MAX (2u << 20)  /* control frames that wait to be sealed */
#define TUN_LINGER_MS                                                                              \
    60000u /* a closed stream may take so long over what is queued, without progress */
#define TUN_CHECK_MS 1000u /* between looks at stalled and released streams */
#define TUN_STALL_MS 5000u /* a reader that took nothing for so long is stalled */

enum tun_session_state {
    TUN_SESSION_WAIT,  /* the gateway has not accepted yet */
    TUN_SESSION_OPEN,  /* streams may come and go */
    TUN_SESSION_ENDED, /* `ended` says why; only the farewell is left */
};

struct tun_stream {
    struct tun_session *session;
    void *user;
    uint32_t id;
    /* Both directions and the owner, each on its own way to the end. */
    bool pending;    /* gateway: no OPEN_OK yet; connector: the user has not answered yet */
    bool fin_wanted; /* the user finished */
    bool fin_sent;
    bool fin_received;
    bool is_cut; /* released with reset_late: the rest ends with RST and `cut_code` */
    enum tun_code cut_code;
    bool released; /* the user closed it in order; the rest is sent, then it goes */
    bool gone;     /* out of the table; freed at the end of the turn */
    /* Membership of the lists below. */
    bool is_ready, is_telling, is_starved;
    int32_t deficit;      /* bytes it may send in this round */
    struct tun_queue out; /* written, not sealed */
    struct tun_queue in;  /* received, not consumed */
    struct tun_send_window tx;
    struct tun_recv_window rx;
    uint64_t progress_ms;           /* in: last consumed; released: last sealed */
    struct tun_stream *next_hash;   /* stream_table.c */
    TAILQ_ENTRY(tun_stream) ready;  /* bytes to send and credit for them */
    LIST_ENTRY(tun_stream) telling; /* WINDOW is due */
    LIST_ENTRY(tun_stream) starved; /* reserve gave nothing */
    LIST_ENTRY(tun_stream) reap;    /* gone */
};

TAILQ_HEAD(tun_stream_tailq, tun_stream);
LIST_HEAD(tun_stream_list, tun_stream);

struct tun_stream_table {
    struct tun_stream **buckets; /* 1 << bits; NULL before the first stream */
    unsigned bits;
    uint32_t count;
    struct tun_stream *last; /* found last */
};

struct tun_session {
    enum tun_role role;
    enum tun_session_state state;
    int ended;      /* what feed returns once state is ENDED */
    bool end_told;  /* the owner knows */
    unsigned depth; /* > 0: inside feed, pull, tick, free; streams are reaped at the end */
    const struct tun_session_ops *ops;
    void *arg;
    struct tun_session_config cfg; /* zero values replaced; link is NULL */
    uint32_t peer_max_record;
    uint32_t ping_ms;
    bool goaway_sent, goaway_received;

    struct tun_record sealer, opener;
    uint8_t *partial;   /* a record that came in pieces; NULL when there is none */
    size_t partial_len; /* bytes of it, header included */
    uint8_t partial_head[TUN_RECORD_HEADER_LEN];

    struct tun_pool out_pool, in_pool;
    struct tun_queue control; /* of out_pool; whole frames, each within one chunk */
    struct tun_send_window tx;
    struct tun_recv_window rx;
    bool telling;     /* WINDOW of the session is due */
    bool memory_full; /* somebody could not write for want of memory */
    size_t queued;    /* bytes in the streams' out queues */

    struct tun_stream_table streams;
    uint32_t last_id; /* opened last, by the gateway */
    struct tun_stream_tailq ready_list;
    struct tun_stream_list telling_list, starved_list, notify_list, reap_list;
    uint32_t released; /* streams that only send their rest */

    struct tun_budget budget;
    uint64_t now_ms; /* of the current or last call */
    uint64_t born_ms;
    uint64_t heard_ms;      /* last record that arrived */
    uint64_t unanswered_ms; /* first record sent since then that wants an answer; 0 = none */
    uint64_t ping_sent_ms;  /* 0 = no PING under way */
    uint64_t ping_value;
    uint32_t rtt_ms;
    uint64_t check_ms; /* next look, see tun_session_wants_check; 0 = none */
};

/* session.c: The session is over: RC for the caller; CODE other than NONE is told to the other
 * side. */
int tun_session_end(struct tun_session *self, int rc, enum tun_code code);
/* Enter and leave a call during which ops may run. */
void tun_session_enter(struct tun_session *self, uint64_t now_ms);
void tun_session_leave(struct tun_session *self);
/*
 * Place for one control frame; NULL when the queue is full or memory is out: the session is then
 * over. With tun_session_put the frame written there counts.
 */
bool tun_session_control(struct tun_session *self, struct out *o);
void tun_session_put(struct tun_session *self, const struct out *o);

/* session_pull.c: after credit or bytes came. */
void tun_stream_make_ready(struct tun_stream *self);
/* It waits to write, and room may have come: on_writable will tell. */
void tun_stream_wake(struct tun_stream *self);
/* Bytes that tun_stream_reserve may give now. */
size_t tun_stream_room(const struct tun_stream *self);

/* session_pull.c: call on_writable for streams that wait and have room again. */
void tun_session_notify(struct tun_session *self);
/* session_feed.c: the plaintext of one record. Returns 0 or what ended the session. */
int tun_session_frames(struct tun_session *self, const uint8_t *data, size_t len);
/* session_time.c: whether stalled or released streams, or idle memory, want a look soon. */
bool tun_session_wants_check(const struct tun_session *self);

/* session_time.c: a record arrived; a record that wants an answer was sealed. */
void tun_session_heard(struct tun_session *self);
void tun_session_asked(struct tun_session *self);

/* stream.c: N bytes of the stream were consumed (by the user, or dropped). */
void tun_stream_consumed(struct tun_stream *self, uint64_t n);
/* Forget what both sides of the stream hold; its unread bytes count as consumed. Then gone. */
void tun_stream_remove(struct tun_stream *self);
/* RST to the other side, then remove. */
void tun_stream_abort(struct tun_stream *self, enum tun_code code);
/* The same, and tell the user with on_reset unless it released the stream. */
void tun_stream_cut(struct tun_stream *self, enum tun_code code);
/* Queue FIN if the user finished and nothing waits before it; remove when both directions ended. */
void tun_stream_settle(struct tun_stream *self);

/* stream_table.c. A new stream with ID, in the table; NULL when memory is out. */
struct tun_stream *tun_stream_table_add(struct tun_session *session, uint32_t id);
struct tun_stream *tun_stream_table_find(struct tun_stream_table *self, uint32_t id);
/* Take it out of the table; the memory stays. */
void tun_stream_table_remove(struct tun_stream_table *self, struct tun_stream *stream);
/* The next stream after PREVIOUS (NULL = the first), in no order. Removing others is not allowed
 * while iterating, removing PREVIOUS after asking for the next one is. */
struct tun_stream *tun_stream_table_next(const struct tun_stream_table *self,
                                         const struct tun_stream *previous);
void tun_stream_table_deinit(struct tun_stream_table *self);

#endif
