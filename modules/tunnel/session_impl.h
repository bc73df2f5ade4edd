/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the session share: session.c (begin, end, messages of the owner), link.c (life
 * of a link), link_feed.c (records that arrive), session_feed.c (their frames), session_pull.c
 * (what is sent), link_time.c and session_time.c (deadlines), resume.c (streams of lost links go
 * on), stream.c (the user's side of a stream), stream_table.c (which streams there are). Private to
 * modules/tunnel.
 */
#ifndef MODULES_TUNNEL_SESSION_IMPL_H
#define MODULES_TUNNEL_SESSION_IMPL_H

#include <sys/queue.h>

#include "modules/tunnel/budget.h"
#include "modules/tunnel/link.h"
#include "modules/tunnel/queue.h"
#include "modules/tunnel/record.h"
#include "modules/tunnel/session.h"
#include "modules/tunnel/window.h"

#define TUN_WINDOW_FIRST (256u << 10)     /* a connector takes so much on any stream unasked */
#define TUN_STREAM_QUEUE_MAX (256u << 10) /* unsealed bytes of one stream */
#define TUN_SESSION_QUEUE_MAX (32u << 20) /* memory lent to queues before writers have to wait */
#define TUN_CONTROL_QUEUE_MAX (2u << 20)  /* control frames of a link that wait to be sealed */
#define TUN_LINGER_MS                                                                              \
    60000u /* a closed stream may take so long over what is left of it, without progress */
#define TUN_CHECK_MS 1000u                /* between looks at stalled and released streams */
#define TUN_STALL_MS 5000u                /* a reader that took nothing for so long is stalled */
#define TUN_ACK_MS 500u                   /* what was consumed is told at the latest after this */
#define TUN_LOST_MAX TUN_RESUME_LINKS_MAX /* lost links that are remembered */
#define TUN_PAST_LINKS 32u                /* settled ones, by their number */

enum tun_session_state {
    TUN_SESSION_WAIT,  /* the gateway has not accepted yet */
    TUN_SESSION_OPEN,  /* streams may come and go */
    TUN_SESSION_ENDED, /* `ended` says why; only the farewell is left */
};

enum tun_link_state {
    TUN_LINK_WAIT, /* not accepted yet */
    TUN_LINK_LIVE,
    TUN_LINK_OVER, /* rejected, not genuine or silent: the owner has yet to let go of it */
    TUN_LINK_LOST, /* only a memory: what went over it, and the streams that wait */
};

struct tun_link {
    struct tun_session *session;
    void *user;
    enum tun_link_state state;
    int over;        /* OVER: what feed and tick return */
    uint32_t serial; /* in the session, from ACCEPT on */
    uint32_t peer_max_record;

    struct tun_record sealer, opener;
    uint8_t *partial;   /* a record that came in pieces; NULL when there is none */
    size_t partial_len; /* bytes of it, header included */
    size_t partial_cap; /* bytes it has place for: one more header follows it */
    uint8_t partial_head[TUN_RECORD_HEADER_LEN];

    struct tun_queue control; /* of out_pool; whole frames, each within one chunk */
    LIST_HEAD(, tun_stream) telling_list;
    TAILQ_HEAD(, tun_stream) ready_list;
    uint32_t ahead;     /* went to its front since one had its turn */
    uint32_t streams;   /* pinned to it */
    size_t queued;      /* bytes of theirs that wait to be sealed */
    uint64_t tx_bytes;  /* of DATA, sealed here */
    uint64_t rx_bytes;  /* of DATA, arrived here */
    uint32_t last_open; /* highest stream opened here */

    /* RESUME. */
    bool asked;              /* connector: named in what was asked */
    bool named;              /* in the list being read */
    bool answering;          /* a list is being read on it */
    bool settled;            /* what got lost on it is accounted for */
    uint32_t peer_last_open; /* gateway: what the connector said of it */

    uint64_t born_ms;
    uint64_t heard_ms;      /* last bytes that arrived */
    uint64_t said_ms;       /* last record that was sealed */
    uint64_t busy_ms;       /* first record since it has streams; 0 = it has none */
    uint64_t unanswered_ms; /* first record sent since then that wants an answer; 0 = none */
    uint64_t ping_sent_ms;  /* 0 = no PING under way */
    uint64_t ping_value;
    uint32_t rtt_ms;  /* of the last PING */
    uint32_t path_us; /* what the owner says of the path; 0 = nothing */
    TAILQ_ENTRY(tun_link) entry;
};

TAILQ_HEAD(tun_link_list, tun_link);

/* What becomes of a stream later in this turn: users are told one by one, and what is being sealed
 * must stay. */
enum tun_verdict {
    TUN_VERDICT_NONE,
    TUN_VERDICT_RST,    /* the rest of it is sealed, and it ends with RST */
    TUN_VERDICT_CUT,    /* the other side does not have it any more */
    TUN_VERDICT_UNSEEN, /* gateway: its OPEN never arrived */
    TUN_VERDICT_OPENED, /* gateway: moved, and OPEN_OK got lost */
    TUN_VERDICT_DONE,   /* complete: what was missing was only an acknowledgement */
};

struct tun_stream {
    struct tun_session *session;
    struct tun_link *link; /* pinned to it; may be LOST */
    void *user;
    uint32_t id;
    /* Both directions and the owner, each on its own way to the end. */
    bool pending;    /* gateway: no OPEN_OK yet; connector: the user has not answered yet */
    bool fin_wanted; /* the user finished */
    bool fin_sent;
    bool fin_acked; /* the other side has everything, FIN included */
    bool fin_received;
    bool end_told; /* and the other side was told so */
    bool is_cut;   /* released with reset_late: the rest ends with RST and `cut_code` */
    enum tun_code cut_code;
    bool is_left;  /* released with leave: nobody takes what still comes */
    bool released; /* the user closed it in order; the rest is sent, then it goes */
    bool gone;     /* out of the table; freed at the end of the turn */
    /* RESUME. */
    bool seen;      /* gateway: the connector has it or had it */
    bool listed;    /* the other side named it, and this: */
    bool listed_ok; /* connector: our list said OPEN_OK */
    bool moved;     /* just now: one WINDOW may say nothing new */
    struct tun_resume_stream theirs;
    enum tun_verdict verdict;
    /* Membership of the lists below. */
    bool is_ready, is_telling, is_starved, is_owing;
    int32_t deficit;      /* bytes it may send in this round */
    struct tun_queue out; /* written; the taken part is sealed and not acknowledged */
    struct tun_queue in;  /* received, not consumed */
    uint64_t kept_from;   /* offset of the first byte in `out` */
    struct tun_send_window tx;
    struct tun_recv_window rx;
    uint64_t progress_ms;           /* in: last consumed; released: last sealed or acknowledged */
    struct tun_stream *next_hash;   /* stream_table.c */
    TAILQ_ENTRY(tun_stream) ready;  /* of the link: bytes to send and credit for them */
    LIST_ENTRY(tun_stream) telling; /* of the link: WINDOW is due */
    LIST_ENTRY(tun_stream) owing;   /* consumed, but not enough for a WINDOW at once */
    LIST_ENTRY(tun_stream) starved; /* reserve gave nothing */
    LIST_ENTRY(tun_stream) judged;  /* has a verdict */
    LIST_ENTRY(tun_stream) reap;    /* gone */
};

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
    int ended;      /* what ended it, once state is ENDED */
    bool end_told;  /* the owner knows */
    unsigned depth; /* > 0: inside feed, pull, tick, free; streams are reaped at the end */
    const struct tun_session_ops *ops;
    void *arg;
    struct tun_session_config cfg; /* zero values replaced */
    struct tun_accept accepted;    /* as said, or heard, on the first link */
    bool goaway_sent, goaway_received;
    struct tun_notice goaway; /* what was sent, to say it again */

    struct tun_link_list links; /* with those that are lost */
    uint32_t live, lost_count;
    uint32_t last_serial;
    uint32_t past[TUN_PAST_LINKS]; /* connector: serials of links that are settled, a ring */
    unsigned past_at;
    uint64_t down_ms; /* without a live link since then; meaningless when there is one */

    struct tun_pool out_pool, in_pool;
    struct tun_send_window tx;
    struct tun_recv_window rx;
    uint64_t promised; /* bytes that streams may still send us, or that wait */
    bool telling;      /* WINDOW of the session is due */
    bool memory_full;  /* somebody could not write for want of memory */
    size_t queued;     /* bytes in the streams' out queues that are not sealed */
    size_t kept;       /* and those that are */

    struct tun_stream_table streams;
    uint32_t last_id; /* highest number so far */
    struct tun_stream_list owing_list, starved_list, notify_list, judged_list, reap_list;
    uint32_t released; /* streams that only send their rest */
    bool was_busy;     /* the last stream went, and on_idle did not run since then */

    /* RESUME. */
    struct tun_link *resuming; /* connector: asked on this link; gateway: reading a list on it */
    bool resume_due;           /* connector: ask when possible */
    uint64_t orphan_ms;        /* streams without a live link since then; 0 = none */
    uint32_t resumes;

    struct tun_budget budget;
    uint64_t now_ms;   /* of the current or last call */
    uint64_t check_ms; /* next look, see tun_session_wants_check; 0 = none */
    uint64_t owing_ms; /* when the session and the streams of owing_list tell; 0 = nobody owes */
};

/* session.c: The session is over: RC for the caller; CODE other than NONE is told to the other
 * side. */
int tun_session_end(struct tun_session *self, int rc, enum tun_code code);
/* Enter and leave a call during which ops may run. */
void tun_session_enter(struct tun_session *self, uint64_t now_ms);
/* It is NOW_MS now; time never goes back. */
void tun_session_clock(struct tun_session *self, uint64_t now_ms);
/* Whether the session or this link ended before; then *RC is why, and the caller is told. */
bool tun_link_is_told(struct tun_link *self, int *rc);
void tun_session_leave(struct tun_session *self);
/* Say GOAWAY, once more on a new link. */
void tun_session_put_goaway(struct tun_session *self, struct tun_link *link);

/*
 * link.c: Place for one control frame; NULL when the link is not there any more, its queue is full
 * or memory is out: in the last two cases the session is then over. With tun_link_put the frame
 * written there counts.
 */
bool tun_link_control(struct tun_link *self, struct out *o);
void tun_link_put(struct tun_link *self, const struct out *o);
/* The link is of no use any more for RC; its owner hears of it from feed or tick. */
void tun_link_end(struct tun_link *self, int rc);
/* A live link: the one with the least to send. NULL = none. */
struct tun_link *tun_link_best(const struct tun_session *session);
/* Streams are pinned: STREAM goes to LINK, or from the one it has. */
void tun_link_pin(struct tun_link *self, struct tun_stream *stream);
/* Connector: it was accepted. Returns 0, or what ended the link or the session. */
int tun_link_welcome(struct tun_link *self, uint32_t serial);
/* In the owner's hands or lost; NULL when there is none. */
struct tun_link *tun_link_find(struct tun_session *session, uint32_t serial);
/* Connector: a link that the gateway accepted and lost, and that was never heard of here. Nothing
 * arrived on it, and nothing will: its ACCEPT comes too late. */
void tun_link_ghost(struct tun_session *session, uint32_t serial);
/* Connector: the link with this number was, and is settled. */
bool tun_link_is_past(const struct tun_session *session, uint32_t serial);
/* Forget a lost link that is settled and has no streams. */
void tun_link_forget(struct tun_link *self);

/* session_pull.c: after credit or bytes came. */
void tun_stream_make_ready(struct tun_stream *self);
/* It waits to write, and room may have come: on_writable will tell. */
void tun_stream_wake(struct tun_stream *self);
/* Bytes that tun_stream_reserve may give now. */
size_t tun_stream_room(const struct tun_stream *self);
/* Call on_writable for streams that wait and have room again. */
void tun_session_notify(struct tun_session *self);

/* session_feed.c: the plaintext of one record. Returns 0 or what ended the session or the link. */
int tun_session_frames(struct tun_link *link, const uint8_t *data, size_t len);
/* The other side broke a rule; takes COST points. Both return what ended the session (or 0). */
int tun_session_broken(struct tun_session *self);
int tun_session_charge(struct tun_session *self, uint32_t cost);

/* session_time.c: whether stalled or released streams, or idle memory, want a look soon. */
bool tun_session_wants_check(const struct tun_session *self);

/* link_time.c: bytes arrived; a record was sealed, which ASKS for an answer or not. */
void tun_link_heard(struct tun_link *self);
void tun_link_said(struct tun_link *self, bool asks);

/* resume.c: connector, ask on LINK for the streams of lost links if there is reason to. */
void tun_resume_start(struct tun_session *self);
/* A RESUME frame. Returns 0 or what ended the session. */
int tun_resume_take(struct tun_link *link, const struct tun_frame *frame, struct cur payload);
/* Gateway: tell the connector on ON (NULL: nobody) which links are lost here. */
void tun_resume_tell_lost(struct tun_session *self, struct tun_link *on);
/* A LOST frame. Returns 0 or what ended the session. */
int tun_resume_hear_lost(struct tun_link *link, const struct tun_frame *frame, struct cur payload);
/* Cut every stream without a live link: it took too long. */
void tun_resume_give_up(struct tun_session *self);

/* stream.c: what becomes of it is due; see the enum. */
void tun_stream_judge(struct tun_stream *self, enum tun_verdict verdict);
/* Bytes of `out` that are not sealed. */
size_t tun_stream_unsent(const struct tun_stream *self);
/* N bytes of the stream were consumed (by the user, or dropped). */
void tun_stream_consumed(struct tun_stream *self, uint64_t n);
/* N bytes that count for the session's credit were consumed. */
void tun_session_consumed(struct tun_session *self, uint64_t n);
/* WINDOW is to be sent as soon as the link can. */
void tun_stream_tell(struct tun_stream *self);
/* The other side has everything before OFFSET. */
void tun_stream_acked(struct tun_stream *self, uint64_t offset);
/* Out of the lists of its link. */
void tun_stream_leave_link(struct tun_stream *self);
/* Forget what both sides of the stream hold; its unread bytes count as consumed. Then gone. */
void tun_stream_remove(struct tun_stream *self);
/* RST to the other side, then remove. */
void tun_stream_abort(struct tun_stream *self, enum tun_code code);
/* The same, and tell the user with on_reset unless it released the stream. */
void tun_stream_cut(struct tun_stream *self, enum tun_code code);
/* Queue FIN if the user finished and nothing waits before it; remove when both directions ended. */
void tun_stream_settle(struct tun_stream *self);
/* OPEN_OK. */
void tun_stream_put_open_ok(struct tun_stream *self);

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
