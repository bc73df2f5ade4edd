/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of lost links go on (PROTOCOL.md section 9). The connector names the links that it lost
 * and what it has of their streams; the gateway answers likewise; from then on those streams are
 * pinned to the link on which this was said, and everything that did not arrive is sent again.
 * Either side may be asked or answered again, when that link is lost as well.
 */

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

/* RESUME frames in the making: as many as it takes. */
struct list {
    struct tun_link *link; /* where they go */
    struct out body;
    uint8_t bytes[TUN_FRAME_CONTROL_MAX];
};

#define LIST_ENTRY_MAX 16u /* bytes */

static void flush(struct list *list, uint8_t flags)
{
    struct tun_frame header = {
        .type = TUN_FRAME_RESUME, .flags = flags, .len = (uint16_t)out_len(&list->body)};
    struct out o;

    if (!tun_link_control(list->link, &o))
        return; /* the session is over */
    tun_frame_put_header(&o, &header);
    out_bytes(&o, list->bytes, header.len);
    tun_link_put(list->link, &o);
}

static void begin_frame(struct list *list, uint8_t lost)
{
    list->body = out_init(list->bytes, sizeof(list->bytes));
    out_u8(&list->body, lost);
}

static void add_stream(struct list *list, const struct tun_stream *stream)
{
    if (out_len(&list->body) + LIST_ENTRY_MAX > sizeof(list->bytes)) {
        flush(list, TUN_FLAG_MORE);
        begin_frame(list, 0);
    }
    tun_frame_put_resume_stream(&list->body,
                                &(struct tun_resume_stream){.id = stream->id,
                                                            .received = stream->rx.received,
                                                            .fin_received = stream->fin_received,
                                                            .open_ok = !stream->pending});
}

static void add_lost(struct list *list, const struct tun_link *link)
{
    bool connector = link->session->role == TUN_CONNECTOR;

    tun_frame_put_resume_link(
        &list->body, &(struct tun_resume_link){.serial = link->serial,
                                               .received = link->rx_bytes,
                                               .last_open = connector ? link->last_open : 0});
}

/* Both directions are complete and acknowledged; only the user may not have read all of it. */
static bool is_done(const struct tun_stream *stream)
{
    return stream->fin_received && stream->fin_acked;
}

/* ---- streams that move ---------------------------------------------------------------------- */

/* What the other side says it has is possible. */
static bool is_plausible(const struct tun_stream *stream)
{
    const struct tun_resume_stream *theirs = &stream->theirs;

    return theirs->received >= stream->kept_from && theirs->received <= stream->tx.sent &&
           (!theirs->fin_received || (stream->fin_sent && theirs->received == stream->tx.sent));
}

/* Everything that did not arrive is to be sent again. */
static void rewind_to(struct tun_stream *stream, const struct tun_resume_stream *theirs)
{
    struct tun_session *session = stream->session;
    size_t again;

    tun_stream_acked(stream, theirs->received);
    again = stream->out.taken;
    tun_queue_rewind(&stream->out);
    session->kept -= again;
    session->queued += again;
    stream->link->queued += again;
    stream->tx.sent = theirs->received;
    stream->fin_acked = theirs->fin_received;
    stream->fin_sent = theirs->fin_received;
}

static void move(struct tun_stream *stream, struct tun_link *to)
{
    tun_link_pin(to, stream);
    rewind_to(stream, &stream->theirs);
    stream->seen = stream->moved = true;
    stream->end_told = false;
    if (to->session->role == TUN_CONNECTOR && !stream->pending && !stream->listed_ok)
        tun_stream_put_open_ok(stream);
    if (to->session->role == TUN_GATEWAY && stream->pending && stream->theirs.open_ok) {
        stream->pending = false;
        tun_stream_judge(stream, TUN_VERDICT_OPENED);
    }
    tun_stream_tell(stream);
    tun_stream_make_ready(stream);
    tun_stream_settle(stream);
    if (!stream->gone)
        tun_stream_wake(stream);
}

/* The other side does not have it (any more). */
static void judge_unlisted(struct tun_stream *stream, struct tun_link *to)
{
    bool unseen = stream->session->role == TUN_GATEWAY && !stream->seen &&
                  stream->id > stream->link->peer_last_open;

    if (is_done(stream) || (stream->fin_received && stream->fin_sent)) {
        stream->fin_acked = stream->end_told = true;
        tun_stream_acked(stream, stream->tx.sent);
        tun_link_pin(to, stream);
        tun_stream_judge(stream, TUN_VERDICT_DONE);
        return;
    }
    tun_stream_judge(stream, unseen ? TUN_VERDICT_UNSEEN : TUN_VERDICT_CUT);
}

static void tell_unseen(struct tun_stream *stream)
{
    const struct tun_session_ops *ops = stream->session->ops;
    struct tun_notice notice = {.code = TUN_CODE_LOST};
    bool tell = !stream->released;
    void *user = stream->user;

    tun_frame_set_why(&notice, "the link was lost before the connector heard of it");
    tun_stream_remove(stream);
    if (tell && ops->on_open_err != NULL)
        ops->on_open_err(user, &notice);
}

static void tell_opened(struct tun_stream *stream)
{
    const struct tun_session_ops *ops = stream->session->ops;

    if (!stream->released && ops->on_open_ok != NULL)
        ops->on_open_ok(stream->user, stream);
}

/* Users hear what became of their streams, one by one; they may close any of them meanwhile. */
static void execute(struct tun_session *self)
{
    struct tun_stream *stream;

    while ((stream = LIST_FIRST(&self->judged_list)) != NULL) {
        enum tun_verdict verdict = stream->verdict;

        LIST_REMOVE(stream, judged);
        stream->verdict = TUN_VERDICT_NONE;
        if (verdict == TUN_VERDICT_UNSEEN)
            tell_unseen(stream);
        else if (verdict == TUN_VERDICT_OPENED)
            tell_opened(stream);
        else if (verdict == TUN_VERDICT_DONE)
            tun_stream_settle(stream);
        else
            tun_stream_cut(stream, TUN_CODE_LOST);
    }
}

static bool still_waiting(const struct tun_session *self)
{
    const struct tun_link *link;

    TAILQ_FOREACH(link, &self->links, entry)
    {
        if (link->state == TUN_LINK_LOST && link->streams > 0)
            return true;
    }
    return false;
}

/* ---- links ----------------------------------------------------------------------------------- */

/* Bytes that left here and never arrived do not count against the session's credit: they are sent
 * again, or never. */
static int settle_link(struct tun_session *self, struct tun_link *link,
                       const struct tun_resume_link *theirs)
{
    if (link->settled)
        return ERR_OK;
    if (theirs->received > link->tx_bytes)
        return tun_session_broken(self);
    self->tx.sent -= link->tx_bytes - theirs->received;
    link->peer_last_open = theirs->last_open;
    link->settled = true;
    return ERR_OK;
}

/* ---- the connector asks ---------------------------------------------------------------------- */

static void ask_for_streams(struct tun_session *self, struct list *list)
{
    struct tun_stream *stream;

    for (stream = tun_stream_table_next(&self->streams, NULL); stream != NULL;
         stream = tun_stream_table_next(&self->streams, stream)) {
        if (!stream->link->asked || is_done(stream))
            continue;
        stream->listed_ok = !stream->pending;
        add_stream(list, stream);
    }
}

void tun_resume_start(struct tun_session *self)
{
    struct tun_link *to = tun_link_best(self), *link;
    struct list list = {.link = to};

    if (!self->resume_due || self->resuming != NULL || to == NULL)
        return;
    self->resume_due = false;
    self->resuming = to;
    begin_frame(&list, (uint8_t)self->lost_count);
    TAILQ_FOREACH(link, &self->links, entry)
    {
        link->asked = link->state == TUN_LINK_LOST;
        if (link->asked)
            add_lost(&list, link);
    }
    ask_for_streams(self, &list);
    flush(&list, 0);
}

/* ---- lists that arrive ----------------------------------------------------------------------- */

/* A link that the other side lost and we did not: its owner is to let go of it. */
static void cut_link(struct tun_session *self, struct tun_link *link)
{
    if (link->state != TUN_LINK_LIVE)
        return;
    tun_link_end(link, ERR_EOF);
    if (self->ops->on_link_cut != NULL)
        self->ops->on_link_cut(self->arg, link);
}

static int take_lost(struct tun_session *self, const struct tun_link *on, struct cur *c)
{
    struct tun_resume_link theirs;
    struct tun_link *link;

    if (tun_frame_get_resume_link(c, &theirs) != ERR_OK)
        return tun_session_broken(self);
    link = tun_link_find(self, theirs.serial);
    if (link == on || (self->role == TUN_GATEWAY && theirs.serial > self->last_serial))
        return tun_session_broken(self);
    if (link == NULL) /* settled before, and the answer got lost; or lost before we heard of it */
        return ERR_OK;
    if (self->role == TUN_CONNECTOR && !link->asked)
        return tun_session_broken(self);
    link->named = true;
    cut_link(self, link);
    return settle_link(self, link, &theirs);
}

static void begin_list(struct tun_session *self)
{
    struct tun_stream *stream;
    struct tun_link *link;

    TAILQ_FOREACH(link, &self->links, entry)
    {
        link->named = false;
    }
    for (stream = tun_stream_table_next(&self->streams, NULL); stream != NULL;
         stream = tun_stream_table_next(&self->streams, stream))
        stream->listed = false;
}

static int take_links(struct tun_link *on, struct cur *c, unsigned lost)
{
    struct tun_session *self = on->session;
    int rc = ERR_OK;

    begin_list(self);
    while (rc == ERR_OK && lost-- > 0)
        rc = take_lost(self, on, c);
    return rc;
}

static void put_rst(struct tun_link *on, const struct tun_resume_stream *theirs)
{
    struct out o;

    if (!tun_link_control(on, &o))
        return;
    tun_frame_put_rst(&o, theirs->id, &(struct tun_rst){TUN_CODE_CANCELLED, theirs->received});
    tun_link_put(on, &o);
}

static int take_stream(struct tun_link *on, struct cur *c)
{
    struct tun_session *self = on->session;
    struct tun_resume_stream theirs;
    struct tun_stream *stream;

    if (tun_frame_get_resume_stream(c, &theirs) != ERR_OK || theirs.id > self->last_id)
        return tun_session_broken(self);
    stream = tun_stream_table_find(&self->streams, theirs.id);
    if (stream == NULL) {
        if (self->role == TUN_CONNECTOR) /* given up while we asked */
            put_rst(on, &theirs);
        return ERR_OK;
    }
    stream->theirs = theirs;
    if (!stream->link->named || stream->listed || !is_plausible(stream))
        return tun_session_broken(self);
    stream->listed = true;
    return ERR_OK;
}

/* ---- a whole list is here -------------------------------------------------------------------- */

/* Answer: the links that were named, and the streams that go on. They go on right behind it. */
static void answer(struct tun_link *on)
{
    struct tun_session *self = on->session;
    struct list list = {.link = on};
    struct tun_stream *stream;
    struct tun_link *link;
    uint8_t named = 0;

    TAILQ_FOREACH(link, &self->links, entry)
    {
        named = (uint8_t)(named + link->named);
    }
    begin_frame(&list, named);
    TAILQ_FOREACH(link, &self->links, entry)
    {
        if (link->named)
            add_lost(&list, link);
    }
    for (stream = tun_stream_table_next(&self->streams, NULL); stream != NULL;
         stream = tun_stream_table_next(&self->streams, stream)) {
        if (stream->listed)
            add_stream(&list, stream);
    }
    flush(&list, 0);
}

/* Every stream of the named links: on it goes, or it ends. Returns how many moved. */
static uint32_t sort_streams(struct tun_link *on)
{
    struct tun_session *self = on->session;
    struct tun_stream *stream, *next;
    uint32_t moved = 0;

    for (stream = tun_stream_table_next(&self->streams, NULL); stream != NULL; stream = next) {
        next = tun_stream_table_next(&self->streams, stream);
        if (!stream->link->named)
            continue;
        if (stream->listed) {
            moved++;
            move(stream, on);
        } else {
            judge_unlisted(stream, on);
        }
    }
    return moved;
}

/*
 * The connector heard the answer and forgets the links. The gateway remembers them until it is
 * asked about others: its answer may yet get lost.
 */
static void forget_links(struct tun_session *self)
{
    struct tun_link *link, *next;
    bool connector = self->role == TUN_CONNECTOR;

    for (link = TAILQ_FIRST(&self->links); link != NULL; link = next) {
        next = TAILQ_NEXT(link, entry);
        if (link->state == TUN_LINK_LOST && link->settled && link->streams == 0 &&
            link->named == connector)
            tun_link_forget(link);
    }
}

static void tell_resumed(struct tun_session *self, uint32_t moved)
{
    self->orphan_ms = still_waiting(self) ? self->orphan_ms : 0;
    self->resumes += moved > 0;
    if (self->state == TUN_SESSION_OPEN && moved > 0 && self->ops->on_resumed != NULL)
        self->ops->on_resumed(self->arg, moved);
}

/* The answer must name every link that was asked about. */
static bool is_answered(const struct tun_session *self)
{
    const struct tun_link *link;

    TAILQ_FOREACH(link, &self->links, entry)
    {
        if (link->asked && !link->named)
            return false;
    }
    return true;
}

static int complete(struct tun_link *on)
{
    struct tun_session *self = on->session;
    uint32_t moved;

    self->resuming = NULL;
    if (self->role == TUN_CONNECTOR && !is_answered(self))
        return tun_session_broken(self);
    if (self->role == TUN_GATEWAY)
        answer(on);
    moved = sort_streams(on);
    execute(self);
    forget_links(self);
    tell_resumed(self, moved);
    tun_resume_start(self); /* another link may have been lost meanwhile */
    return tun_session_ended(self);
}

/* Every stream is looked at, however few are named: a millisecond for 10 000. */
static int charge_list(struct tun_session *self)
{
    uint64_t cost = (uint64_t)TUN_COST_RESUMED * self->streams.count;

    if (cost > TUN_COST_RESUME_MAX)
        cost = TUN_COST_RESUME_MAX;
    return tun_session_charge(self, TUN_COST_IDLE + (uint32_t)cost);
}

/* The first frame of a list names links; those that continue it, none. */
static int begin_or_continue(struct tun_link *on, unsigned lost)
{
    struct tun_session *self = on->session;
    bool first = self->role == TUN_GATEWAY ? self->resuming != on : !on->answering;

    if (lost > TUN_RESUME_LINKS_MAX || (!first && lost > 0))
        return tun_session_broken(self);
    if (self->role == TUN_CONNECTOR && self->resuming != on)
        return tun_session_broken(self); /* nobody asked */
    if (first && charge_list(self) != ERR_OK)
        return self->ended;
    self->resuming = on;
    on->answering = true;
    return first;
}

int tun_resume_take(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    unsigned lost = cur_u8(&payload);
    int rc = begin_or_continue(link, lost);

    if (rc < 0)
        return rc;
    if (rc > 0)
        rc = take_links(link, &payload, lost);
    if (rc == ERR_OK)
        rc = tun_session_charge(link->session, TUN_COST_UNKNOWN);
    while (rc == ERR_OK && cur_left(&payload) > 0)
        rc = take_stream(link, &payload);
    if (rc != ERR_OK || (frame->flags & TUN_FLAG_MORE) != 0)
        return rc;
    link->answering = false;
    return complete(link);
}

/* ---- the gateway noticed first --------------------------------------------------------------- */

/* The connector may not know, or never have heard of the link: then it would not ask. */
void tun_resume_tell_lost(struct tun_session *self, struct tun_link *on)
{
    const struct tun_link *link;
    struct out o;

    if (self->role != TUN_GATEWAY || on == NULL)
        return;
    TAILQ_FOREACH(link, &self->links, entry)
    {
        if (link->state != TUN_LINK_LOST || link->settled || !tun_link_control(on, &o))
            continue;
        tun_frame_put_lost(&o, link->serial);
        tun_link_put(on, &o);
    }
}

int tun_resume_hear_lost(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_link *named;
    uint32_t serial;

    (void)frame;
    if (self->role != TUN_CONNECTOR || tun_frame_get_lost(payload, &serial) != ERR_OK ||
        serial == link->serial)
        return tun_session_broken(self);
    if (tun_session_charge(self, TUN_COST_UNKNOWN) != ERR_OK)
        return self->ended;
    named = tun_link_find(self, serial);
    if (named != NULL) { /* its owner lets go of it, then we ask; or we did already */
        cut_link(self, named);
        return tun_session_ended(self);
    }
    if (tun_link_is_past(self, serial))
        return ERR_OK;
    tun_link_ghost(self, serial);
    self->resume_due = true;
    tun_resume_start(self);
    return tun_session_ended(self);
}

void tun_resume_give_up(struct tun_session *self)
{
    struct tun_stream *stream;

    for (stream = tun_stream_table_next(&self->streams, NULL); stream != NULL;
         stream = tun_stream_table_next(&self->streams, stream)) {
        if (stream->link->state == TUN_LINK_LOST)
            tun_stream_judge(stream, TUN_VERDICT_CUT);
    }
    execute(self);
    self->orphan_ms = 0;
}
