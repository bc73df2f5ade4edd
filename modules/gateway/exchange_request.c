/* SPDX-License-Identifier: Apache-2.0 */
/* The visitor's side of an exchange: its socket, and the request, until it is with the way; see
 * exchange.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "bus/base/err.h"
#include "bus/base/warm.h"
#include "modules/gateway/config.h"
#include "modules/gateway/exchange_impl.h"
#include "modules/gateway/way.h"
#include "modules/net/sock.h"

#define READS_PER_TURN 4           /* then others have their turn */
#define STRAIGHT_BYTES (64u << 10) /* of a long body, read straight into the stream */

/* ---- the request --------------------------------------------------------------------------- */

/* After a step: go on, wait for something, or SELF is gone. */
enum turn { TURN_ON, TURN_WAIT, TURN_GONE };

static size_t view_left(const struct gw_exchange *self)
{
    return self->view.len - self->view.at;
}

static enum turn reject(struct gw_exchange *self, enum gw_reason reason, int status,
                        const char *why)
{
    gw_exchange_reject(self,
                       &(struct gw_rejection){.reason = reason, .status = status, .why = why});
    return TURN_GONE;
}

/* The next number in hexadecimal. */
static void count_up(char *digits, size_t n)
{
    while (n-- > 0) {
        if (digits[n] != 'f') {
            digits[n] = digits[n] == '9' ? 'a' : (char)(digits[n] + 1);
            return;
        }
        digits[n] = '0';
    }
}

/* Unlike any other, before and after a restart, on this gateway and on others; or as a proxy of
 * ours called it. */
static void name_request(struct gw_exchange *self, const char *head)
{
    struct http_text id;

    memcpy(self->id, self->common->next_id, sizeof(self->common->next_id));
    count_up(self->common->next_id, GW_REQUEST_ID_LEN);
    if (!self->forward.trusted || head == NULL)
        return;
    id = http_rewrite_request_id(&self->head, head, &self->forward);
    memmove(self->id, id.text, id.len);
    self->id[id.len] = '\0';
}

void gw_exchange_begin(struct gw_exchange *self, const char *head)
{
    self->times = (struct gw_exchange_times){.begun_us = gw_exchange_now(self)};
    self->rx_uncounted = head != NULL ? self->head.len : self->head.at;
    name_request(self, head);
}

static enum turn take_head(struct gw_exchange *self)
{
    const char *head = (const char *)self->view.data + self->view.at;

    self->view.at += self->head.len;
    self->ask = GW_ASK_HELD;
    self->head_due = 0.0;
    gw_exchange_begin(self, head);
    self->head_data = head;
    if (!self->head.is_named)
        return reject(self, GW_REASON_NO_NAME, 0, "no host name");
    if (!gw_exchange_tell(self, self->ops->on_request))
        return TURN_GONE;
    self->head_data = NULL;
    return self->ask == GW_ASK_HELD ? TURN_WAIT : TURN_ON;
}

static enum turn read_head(struct gw_exchange *self)
{
    const struct gw_limits *limits = self->common->limits;

    switch (http_head_feed(&self->head, (const char *)self->view.data + self->view.at,
                           view_left(self))) {
    case HTTP_HEAD_OK:
        return take_head(self);
    case HTTP_HEAD_BAD:
        return reject(self, self->head.refusal == 502 ? GW_REASON_LOOP : GW_REASON_MALFORMED,
                      self->head.refusal, self->head.why);
    case HTTP_HEAD_MORE:
    default:
        if (self->head_due == 0.0 && view_left(self) > 0) {
            self->head_due =
                ev_now(self->common->loop) + (double)limits->first_bytes_timeout_ms / 1000.0;
            gw_exchange_aim(self);
        }
        return TURN_WAIT;
    }
}

/* Whether more of the body may be put into `up`: as long as it can be sent again as a whole, and
 * then a piece at a time. While a way is being found its finder borrows `up`: it must not move. */
static bool has_place(struct gw_exchange *self)
{
    if (self->way == NULL)
        return false;
    if (self->replayable && self->up.len < GW_EXCHANGE_REPLAY_MAX)
        return true;
    if (gw_bytes_left(&self->up) > 0)
        return false;
    self->replayable = false;
    self->up.at = self->up.len = self->line_len;
    return true;
}

static int add_chunk(struct gw_exchange *self, const uint8_t *data, size_t len)
{
    char size[HTTP_CHUNK_HEAD_MAX];
    int rc;

    if (len == 0)
        return ERR_OK;
    rc = gw_bytes_add(&self->up, size, http_chunk_head(size, len));
    if (rc == ERR_OK)
        rc = gw_bytes_add(&self->up, data, len);
    if (rc == ERR_OK)
        rc = gw_bytes_add(&self->up, HTTP_CHUNK_END, strlen(HTTP_CHUNK_END));
    return rc;
}

/* One run of payload, or what is between two. Returns 0, ERR_PROTO (body.why) or ERR_NOMEM. */
static int read_chunked(struct gw_exchange *self)
{
    const uint8_t *data = self->view.data + self->view.at;
    struct http_piece piece;
    size_t used = http_body_feed(&self->body, (const char *)data, view_left(self), &piece);
    int rc;

    if (used == 0)
        return ERR_PROTO;
    self->view.at += used;
    self->rx_uncounted += used;
    rc = add_chunk(self, data + piece.at, piece.len);
    if (rc == ERR_OK && self->body.done)
        rc = gw_bytes_add(&self->up, HTTP_CHUNK_LAST, strlen(HTTP_CHUNK_LAST));
    return rc;
}

static int read_length(struct gw_exchange *self)
{
    size_t n = view_left(self);
    int rc;

    if (n > self->body.left)
        n = (size_t)self->body.left;
    rc = gw_bytes_add(&self->up, self->view.data + self->view.at, n);
    if (rc != ERR_OK)
        return rc;
    http_body_skip(&self->body, n);
    self->view.at += n;
    self->rx_uncounted += n;
    return ERR_OK;
}

/* Some of the body, from the view into `up`. */
static int read_piece(struct gw_exchange *self)
{
    int rc = self->body.kind == HTTP_BODY_CHUNKED ? read_chunked(self) : read_length(self);

    if (rc == ERR_OK && self->body.done)
        self->ask = GW_ASK_DONE;
    return rc;
}

/* What is there goes on in one piece, not chunk by chunk. */
static enum turn read_body(struct gw_exchange *self)
{
    size_t most;
    int rc;

    if (view_left(self) == 0 || !has_place(self))
        return TURN_WAIT;
    most = self->replayable ? GW_EXCHANGE_REPLAY_MAX : self->line_len + GW_READ_BYTES;
    do
        rc = read_piece(self);
    while (rc == ERR_OK && self->ask == GW_ASK_BODY && view_left(self) > 0 && self->up.len < most);
    if (rc == ERR_PROTO)
        return reject(self, GW_REASON_MALFORMED, 400, self->body.why);
    if (rc != ERR_OK)
        return reject(self, GW_REASON_NO_MEMORY, 0, NULL);
    gw_exchange_flush_up(self);
    return TURN_ON;
}

/* Look at the view as far as it goes. */
static enum turn digest(struct gw_exchange *self)
{
    enum turn turn = TURN_ON;

    while (turn == TURN_ON) {
        if (self->ask == GW_ASK_HEAD)
            turn = read_head(self);
        else if (self->ask == GW_ASK_BODY)
            turn = read_body(self);
        else
            turn = TURN_WAIT;
    }
    return turn;
}

/* What was read and not looked at waits in `in`. False: SELF is gone. */
static bool keep_rest(struct gw_exchange *self)
{
    bool from_scratch = self->view.data == self->common->scratch->in;
    int rc = ERR_OK;

    if (from_scratch)
        rc = gw_bytes_add(&self->in, self->view.data + self->view.at, view_left(self));
    else
        gw_bytes_drop(&self->in, self->view.at);
    self->view.data = NULL;
    self->view.at = self->view.len = 0;
    if (rc == ERR_OK)
        return true;
    gw_exchange_fail(self, GW_REASON_NO_MEMORY, NULL);
    return false;
}

/* Look at what waits. False: SELF is gone. */
static bool look(struct gw_exchange *self, const uint8_t *data, size_t len)
{
    self->view.data = data;
    self->view.at = 0;
    self->view.len = len;
    return digest(self) != TURN_GONE && keep_rest(self);
}

/* ---- the visitor's socket ------------------------------------------------------------------ */

/* Bytes of the visitor are wanted, also while it waits for its answer: it may end, or send its next
 * request. */
static bool wants_bytes(const struct gw_exchange *self)
{
    if (self->eof || self->blocked || ev_is_active(&self->paced) ||
        self->answer == GW_ANSWER_SWITCH)
        return false;
    return self->ask == GW_ASK_HEAD || self->in.len < GW_READ_BYTES;
}

void gw_exchange_rearm(struct gw_exchange *self)
{
    if (wants_bytes(self)) {
        ev_io_start(self->common->loop, &self->rd);
        return;
    }
    ev_io_stop(self->common->loop, &self->rd);
    net_hangup_start(self->common->hangup, &self->hangup, self->rd.fd);
}

/* The service shall hear that the visitor sends no more, once it has all; of an upgrade the
 * carrying tells it, if there is one. */
static void pass_end(struct gw_exchange *self)
{
    if (self->eof && self->ask == GW_ASK_DONE && self->in.len == 0 && self->way != NULL &&
        gw_bytes_left(&self->up) == 0 && !self->way_last && !self->upgrade) {
        self->way_last = true;
        gw_way_finish(self->way);
    }
}

/* The visitor ended its side; what waits in `in` came before that, and the rest of a body may be
 * there. False: SELF is gone. */
static bool take_end(struct gw_exchange *self)
{
    bool is_between = self->ask == GW_ASK_HEAD && self->in.len == 0;

    self->eof = true;
    if (self->ask == GW_ASK_BODY && self->in.len > 0)
        return true;
    if (is_between && self->times.begun_us != 0) {
        self->ops->on_end(self->arg, false);
        return false;
    }
    if (self->ask == GW_ASK_HEAD || self->ask == GW_ASK_BODY) {
        gw_exchange_fail(self, GW_REASON_EARLY_EOF, "the visitor left within its request");
        return false;
    }
    pass_end(self);
    return true;
}

/* After a read of N bytes (errno): false when SELF is gone. *AGAIN: there may be more. */
static bool take_read(struct gw_exchange *self, ssize_t n, bool *again)
{
    *again = n > 0;
    if (n > 0) {
        gw_exchange_moved(self, (size_t)n);
        return true;
    }
    if (n < 0 && net_sock_again(errno))
        return true;
    if (n < 0) {
        self->ops->on_end(self->arg, true);
        return false;
    }
    return take_end(self);
}

/* The long way: through the parser. False: SELF is gone. */
static bool read_some(struct gw_exchange *self, size_t most, bool *again)
{
    bool is_new = self->in.len == 0;
    uint8_t *at = self->common->scratch->in;
    ssize_t n;

    if (!is_new && gw_bytes_reserve(&self->in, most) != ERR_OK) {
        gw_exchange_fail(self, GW_REASON_NO_MEMORY, NULL);
        return false;
    }
    if (!is_new)
        at = self->in.data + self->in.len;
    n = recv(self->rd.fd, at, most, 0);
    if (!take_read(self, n, again))
        return false;
    if (n <= 0)
        return true;
    *again = (size_t)n == most;
    if (self->way != NULL)
        gw_way_warm(self->way);
    if (!is_new)
        self->in.len += (size_t)n;
    return look(self, is_new ? at : self->in.data, is_new ? (size_t)n : self->in.len);
}

/* Whether the body's bytes need no looking at and nothing is in front of them. */
static bool is_straight(const struct gw_exchange *self)
{
    if (self->ask != GW_ASK_BODY || self->body.kind != HTTP_BODY_LENGTH || self->in.len > 0)
        return false;
    if (self->way == NULL || gw_way_connector(self->way) == NULL || gw_bytes_left(&self->up) > 0)
        return false;
    return !self->replayable || self->up.len >= GW_EXCHANGE_REPLAY_MAX / 2;
}

/* The short way: straight into the stream. False: SELF is gone. *AGAIN: there may be more. */
static bool read_straight(struct gw_exchange *self, uint8_t *at, size_t room, bool *again)
{
    ssize_t n = recv(self->rd.fd, at, room, 0);
    int error = errno;

    gw_way_commit(self->way, n > 0 ? (size_t)n : 0);
    errno = error;
    if (!take_read(self, n, again))
        return false;
    if (n <= 0)
        return true;
    *again = (size_t)n == room;
    self->replayable = false;
    http_body_skip(&self->body, (uint64_t)n);
    gw_way_count(self->way, (uint64_t)n, 0);
    self->times.rx_bytes += (uint64_t)n;
    if (self->body.done)
        self->ask = GW_ASK_DONE;
    return true;
}

/* One read. False: SELF is gone. */
static bool read_once(struct gw_exchange *self, bool *again)
{
    size_t room = gw_exchange_draw(self, STRAIGHT_BYTES);
    uint8_t *at;

    *again = false;
    if (room == 0)
        return true;
    if (!is_straight(self))
        return read_some(self, room < GW_READ_BYTES ? room : GW_READ_BYTES, again);
    if (room > self->body.left)
        room = (size_t)self->body.left;
    at = gw_way_reserve(self->way, &room);
    if (at != NULL)
        return read_straight(self, at, room, again);
    self->blocked = true;
    return true;
}

/* At a request that came before its time. False: SELF is gone. */
static bool look_again(struct gw_exchange *self)
{
    if (self->head_due == 0.0 && self->in.len > 0 && !look(self, self->in.data, self->in.len))
        return false;
    return !self->eof || take_end(self);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct gw_exchange *self = w->data;
    bool again = true;

    (void)loop;
    (void)revents;
    gw_exchange_warm(self);
    warm(self->head.again, self->head.before.len);
    warm(self->up.data, self->kept_len);
    if (self->ask == GW_ASK_HEAD && (self->in.len > 0 || self->eof) && !look_again(self))
        return;
    for (int i = 0; i < READS_PER_TURN && again && wants_bytes(self); i++) {
        if (!read_once(self, &again))
            return; /* self is gone */
    }
    gw_exchange_rearm(self);
}

/* The socket was reset. If it is read, the read finds that out. */
static void on_hangup(void *arg)
{
    struct gw_exchange *self = arg;

    if (ev_is_active(&self->rd) || ev_is_active(&self->paced)) {
        net_hangup_stop(self->common->hangup, &self->hangup, self->rd.fd);
        return; /* told again if the reading stops */
    }
    self->ops->on_end(self->arg, true);
}

static void on_fd_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    gw_exchange_drain(w->data); /* it may be gone */
}

static void on_paced(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_exchange *self = w->data;

    (void)revents;
    gw_exchange_rearm(self);
    ev_feed_event(loop, &self->rd, EV_READ);
    ev_feed_event(loop, &self->wr, EV_WRITE);
}

void gw_exchange_watch(struct gw_exchange *self, int fd)
{
    ev_io_init(&self->rd, on_readable, fd, EV_READ);
    ev_io_init(&self->wr, on_fd_writable, fd, EV_WRITE);
    ev_init(&self->paced, on_paced);
    self->rd.data = self->wr.data = self->paced.data = self;
    self->hangup = (struct net_hangup_watch){.on_reset = on_hangup, .arg = self};
}

/* ---- towards the service ------------------------------------------------------------------- */

void gw_exchange_flush_up(struct gw_exchange *self)
{
    size_t n;

    if (self->way == NULL)
        return;
    n = gw_way_write(self->way, self->up.data + self->up.at, gw_bytes_left(&self->up));
    self->up.at += n;
    if (n > 0)
        self->moved_at = ev_now(self->common->loop);
    gw_way_count(self->way, self->rx_uncounted, 0);
    self->times.rx_bytes += self->rx_uncounted;
    self->rx_uncounted = 0;
    pass_end(self);
}

void gw_exchange_resume(struct gw_exchange *self)
{
    self->blocked = false;
    gw_exchange_flush_up(self);
    if (self->ask == GW_ASK_BODY && self->in.len > 0 &&
        (!look(self, self->in.data, self->in.len) || (self->eof && !take_end(self))))
        return;
    gw_exchange_rearm(self);
}

/* What is there of the body goes with the head, not a round trip later. */
static int pack(struct gw_exchange *self)
{
    int rc = ERR_OK;

    while (rc == ERR_OK && self->ask == GW_ASK_BODY && view_left(self) > 0 &&
           self->up.len < GW_EXCHANGE_REPLAY_MAX)
        rc = read_piece(self);
    return rc;
}

/* The head as it goes to a service, in `up`. */
static int write_head(struct gw_exchange *self)
{
    struct http_forward *forward = &self->forward;

    if (self->head.is_again && self->kept_len > 0 && !forward->trusted) {
        self->up.at = 0;
        self->up.len = self->kept_len;
        memcpy(self->up.data + self->kept_len - strlen("\r\n\r\n") - GW_REQUEST_ID_LEN, self->id,
               GW_REQUEST_ID_LEN);
        return ERR_OK;
    }
    if (!forward->trusted && forward->stranger.len == 0)
        forward->stranger =
            (struct http_text){self->stranger, http_rewrite_stranger(self->stranger, forward)};
    /* A stream that serves nobody else the service may close: a port that waits for stragglers is
     * missed less there than at a connector, which has them for all visitors. */
    forward->keep_alive = !self->personal || http_framing_persists(&self->head.framing);
    self->up.at = self->up.len = 0;
    if (gw_bytes_reserve(&self->up, self->head.len + HTTP_REWRITE_EXTRA) != ERR_OK)
        return ERR_NOMEM;
    self->up.len = http_rewrite_request((char *)self->up.data, self->up.cap, &self->head,
                                        self->head_data, forward);
    return self->up.len > 0 ? ERR_OK : ERR_LIMIT;
}

int gw_exchange_prepare(struct gw_exchange *self, const struct gw_request_terms *terms)
{
    const struct http_framing *framing = &self->head.framing;
    struct http_head_limits limits = self->head.limits;
    int rc;

    self->personal = !self->head.is_stateless || !terms->shares || !self->common->reuse;
    rc = write_head(self);
    if (rc != ERR_OK)
        return rc;
    self->line_len = self->up.len;
    self->replayable = self->head.is_idempotent;
    self->retried = false;
    self->upgrade = http_rewrite_upgrades(&self->head, self->head_data);
    self->last = !http_framing_persists(framing);
    self->begun = false;
    self->interims = 0;
    self->wanted = false;
    self->pace = terms->pace;
    self->idle_s = (double)terms->idle_ms / 1000.0;
    http_body_init(&self->body,
                   framing->chunked              ? HTTP_BODY_CHUNKED
                   : framing->content_length > 0 ? HTTP_BODY_LENGTH
                                                 : HTTP_BODY_NONE,
                   framing->content_length, &limits);
    self->ask = self->body.done ? GW_ASK_DONE : GW_ASK_BODY;
    gw_exchange_aim(self);
    return pack(self);
}
