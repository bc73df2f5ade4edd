/* SPDX-License-Identifier: Apache-2.0 */
/* The service's side of an exchange: the answer, from the way to the visitor; see exchange.h. */
#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bus/base/err.h"
#include "modules/gateway/exchange_impl.h"
#include "modules/gateway/way.h"
#include "modules/http/protocol.h"
#include "modules/net/sock.h"

#define CHUNKS_MAX 8    /* of one send */
#define FLAT_MAX 8192   /* bytes of an answer that are worth a copy */
#define INTERIMS_MAX 16 /* 1xx before one answer */

/* What goes to the visitor in one system call: a head, then payload as it came or as chunks. */
struct gather {
    struct iovec iov[3 + 3 * CHUNKS_MAX];
    int count;
    size_t len;
    char sizes[CHUNKS_MAX][HTTP_CHUNK_HEAD_MAX];
    unsigned chunks;
};

/* Only what is looked at: all of it is much to clear for each answer. */
static void gather_init(struct gather *g)
{
    g->count = 0;
    g->len = 0;
    g->chunks = 0;
}

static void put(struct gather *g, const void *data, size_t len)
{
    if (len == 0)
        return;
    g->iov[g->count++] = (struct iovec){(void *)(uintptr_t)data, len};
    g->len += len;
}

/* A run of payload, as a chunk or plain. */
static void put_piece(struct gather *g, const uint8_t *data, size_t len, bool as_chunk)
{
    char *size = g->sizes[g->chunks];

    if (len == 0)
        return;
    g->chunks++;
    if (as_chunk)
        put(g, size, http_chunk_head(size, len));
    put(g, data, len);
    if (as_chunk)
        put(g, HTTP_CHUNK_END, strlen(HTTP_CHUNK_END));
}

/* The answer is no answer: SELF is gone. */
static void fail_bad(struct gw_exchange *self, const char *why)
{
    gw_exchange_fail(self, GW_REASON_BAD_ANSWER, why);
}

static void fail_memory(struct gw_exchange *self)
{
    gw_exchange_fail(self, GW_REASON_NO_MEMORY, NULL);
}

void gw_exchange_expect(struct gw_exchange *self)
{
    self->answer = GW_ANSWER_HEAD; /* the reader starts with its first byte */
}

/* ---- to the visitor's socket --------------------------------------------------------------- */

/* One system call. What is short goes behind the head it follows: copying a page costs less than
 * the kernel's way to more than one piece. */
static ssize_t send_gather(struct gw_exchange *self, const struct gather *g)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)g->iov,
                         .msg_iovlen = (size_t)g->count};
    char *head = self->common->scratch->head;
    size_t at = g->iov[0].iov_len;

    if (g->count > 1 && (g->iov[0].iov_base != head || g->len > FLAT_MAX))
        return sendmsg(self->rd.fd, &msg, MSG_NOSIGNAL);
    for (int i = 1; i < g->count; i++) {
        memcpy(head + at, g->iov[i].iov_base, g->iov[i].iov_len);
        at += g->iov[i].iov_len;
    }
    return send(self->rd.fd, g->iov[0].iov_base, g->len, MSG_NOSIGNAL);
}

/* Send what G holds; *SENT of it was taken. SELF may be gone. */
static void send_all(struct gw_exchange *self, const struct gather *g, size_t *sent)
{
    ssize_t n = g->len > 0 ? send_gather(self, g) : 0;

    *sent = n > 0 ? (size_t)n : 0;
    if (n < 0 && !net_sock_again(errno)) {
        self->ops->on_end(self->arg, true);
        return;
    }
    gw_exchange_moved(self, *sent);
    self->times.tx_bytes += *sent;
    if (self->way != NULL)
        gw_way_count(self->way, 0, *sent);
    else
        self->ops->on_sent(self->arg, *sent);
    if (*sent < g->len)
        ev_io_start(self->common->loop, &self->wr);
}

/* The rest of G after its first SENT bytes waits. SELF may be gone. */
static void keep(struct gw_exchange *self, const struct gather *g, size_t sent)
{
    for (int i = 0; i < g->count; i++) {
        size_t n = g->iov[i].iov_len, skip = sent < n ? sent : n;

        sent -= skip;
        if (gw_bytes_add(&self->down, (uint8_t *)g->iov[i].iov_base + skip, n - skip) != ERR_OK) {
            fail_memory(self);
            return;
        }
    }
}

/* Send what G holds; what is not taken waits. SELF may be gone. */
static void send_or_keep(struct gw_exchange *self, const struct gather *g)
{
    const bool *gone = self->gone;
    size_t sent;

    send_all(self, g, &sent);
    if (!*gone)
        keep(self, g, sent);
}

/* ---- the answer's body --------------------------------------------------------------------- */

/* Payload that goes on as it came: what the socket does not take stays with the way, which is how
 * a slow reader slows the service down. Returns how many bytes of DATA were taken. */
static size_t take_plain(struct gw_exchange *self, struct gather *g, const uint8_t *data,
                         size_t len)
{
    const bool *gone = self->gone;
    size_t head = g->len, sent;

    if (self->source.kind == HTTP_BODY_NONE)
        len = 0;
    else if (self->source.kind == HTTP_BODY_LENGTH && len > self->source.left)
        len = (size_t)self->source.left;
    if (len > 0)
        len = gw_exchange_draw(self, len);
    put(g, data, len);
    send_all(self, g, &sent);
    if (*gone)
        return 0;
    if (sent < head) {
        g->count -= len > 0;
        keep(self, g, sent);
        return 0;
    }
    if (self->source.kind == HTTP_BODY_LENGTH)
        http_body_skip(&self->source, sent - head);
    return sent - head;
}

/* Chunks are read, and written anew, or only read for a visitor of HTTP/1.0. Returns how many bytes
 * of DATA were looked at. */
static size_t gather_coded(struct gw_exchange *self, struct gather *g, const uint8_t *data,
                           size_t len)
{
    size_t used = 0;

    while (used < len && g->chunks < CHUNKS_MAX && !self->source.done) {
        struct http_piece piece = {0, len - used};
        size_t n = len - used;

        if (self->source.kind == HTTP_BODY_CHUNKED)
            n = http_body_feed(&self->source, (const char *)data + used, len - used, &piece);
        if (n == 0)
            break;
        put_piece(g, data + used + piece.at, piece.len, self->out == HTTP_BODY_CHUNKED);
        used += n;
    }
    if (self->source.done && self->out == HTTP_BODY_CHUNKED)
        put(g, HTTP_CHUNK_LAST, strlen(HTTP_CHUNK_LAST));
    return used;
}

static size_t take_coded(struct gw_exchange *self, struct gather *g, const uint8_t *data,
                         size_t len)
{
    const bool *gone = self->gone;
    size_t used;

    if (len > GW_ANSWER_CODED_BYTES)
        len = GW_ANSWER_CODED_BYTES;
    if (len > 0)
        len = gw_exchange_draw(self, len);
    used = gather_coded(self, g, data, len);
    send_or_keep(self, g);
    if (!*gone && self->source.why != NULL)
        fail_bad(self, self->source.why);
    return used;
}

/* Of DATA what can go on, behind what G holds. Returns how many bytes were taken. */
static size_t take_body(struct gw_exchange *self, struct gather *g, const uint8_t *data, size_t len)
{
    const bool *gone = self->gone;
    bool is_coded = self->out == HTTP_BODY_CHUNKED || self->source.kind == HTTP_BODY_CHUNKED;
    size_t used = is_coded ? take_coded(self, g, data, len) : take_plain(self, g, data, len);

    if (!*gone && self->source.done)
        self->answer = GW_ANSWER_DONE;
    return used;
}

/* ---- the answer's head --------------------------------------------------------------------- */

/* Where the last answer of this exposure is kept, or of another one that has the same place. */
static struct http_known *known_of(const struct gw_exchange *self)
{
    uintptr_t place = (uintptr_t)self->pace / alignof(max_align_t) * 2654435761u;

    return &self->common->scratch->known[place / 65536 % GW_KNOWN_ANSWERS];
}

/* The head that is here as a whole; until the next one. */
static const struct http_response *response_of(const struct gw_exchange *self)
{
    return self->is_known ? &known_of(self)->head : &self->response;
}

/* The head as it goes on, in the scratch; 0 = SELF is gone. */
static size_t rewrite(struct gw_exchange *self, const char *head, const struct http_reply *reply)
{
    struct http_known *known = known_of(self);
    const struct http_response *response = response_of(self);
    char *out = self->common->scratch->head;
    size_t n = self->is_known ? http_known_write(known, out, reply) : 0;

    if (n > 0)
        return n;
    n = http_rewrite_response(out, sizeof(self->common->scratch->head), response, head, reply);
    if (n == 0)
        fail_bad(self, "the head of the answer is too long");
    else
        http_known_keep(known, response, head, reply, (struct http_text){out, n});
    return n;
}

/* An answer before the answer: 100, 103. HTTP/1.0 has none. */
static void pass_interim(struct gw_exchange *self, const char *head)
{
    struct http_reply reply = {.body = HTTP_BODY_NONE, .minor = self->head.framing.minor};
    const bool *gone = self->gone;
    struct gather g;
    size_t n;

    if (++self->interims > INTERIMS_MAX) {
        fail_bad(self, "too many interim answers");
        return;
    }
    if (response_of(self)->code == 100)
        self->wanted = true;
    if (self->head.framing.minor > 0) {
        n = rewrite(self, head, &reply);
        if (*gone)
            return;
        gather_init(&g);
        put(&g, self->common->scratch->head, n);
        send_or_keep(self, &g);
    }
    if (!*gone)
        gw_exchange_expect(self);
}

/* Whether the protocols of a 101 are among those of our request, whose head still is in `up`. */
static bool is_asked(const struct gw_exchange *self, const char *head)
{
    static const char line[] = "\r\nConnection: upgrade\r\nUpgrade: "; /* no visitor's */
    const char *data = (const char *)self->up.data;
    const char *at = memmem(data, self->line_len, line, sizeof(line) - 1);
    struct http_span asked;

    if (!self->upgrade || at == NULL)
        return false;
    asked.at = (size_t)(at - data) + sizeof(line) - 1;
    at = memchr(data + asked.at, '\r', self->line_len - asked.at);
    asked.len = (size_t)(at - data) - asked.at;
    return http_protocols_asked(response_of(self)->upgrade, head, asked, data);
}

/* 101: what follows is opaque; once the head is out, and from the loop. */
static void pass_switch(struct gw_exchange *self, const char *head)
{
    struct http_reply reply = {.body = HTTP_BODY_NONE, .minor = 1, .upgrade = true};
    const bool *gone = self->gone;
    struct gather g;
    size_t n;

    if (!is_asked(self, head)) {
        fail_bad(self, "it switched to a protocol that it was not asked for");
        return;
    }
    n = rewrite(self, head, &reply);
    if (*gone)
        return;
    self->begun = true;
    self->times.status = response_of(self)->code;
    self->answer = GW_ANSWER_SWITCH;
    gather_init(&g);
    put(&g, self->common->scratch->head, n);
    send_or_keep(self, &g);
    if (!*gone)
        ev_feed_event(self->common->loop, &self->wr, EV_WRITE);
}

/* Now, for an answer that does not say when it was made; printed once a second. */
static const char *date_of(struct gw_exchange_common *common)
{
    uint64_t now_s = (uint64_t)ev_now(common->loop);

    if (common->date_s != now_s)
        http_date_print(common->date, (int64_t)now_s);
    common->date_s = now_s;
    return common->date;
}

/* How the answer goes on, and what follows from that for both connections. */
static struct http_reply choose(struct gw_exchange *self)
{
    const struct http_response *response = response_of(self);
    unsigned minor = self->head.framing.minor;
    enum http_body_kind kind = http_response_body(response, self->head.is_head);

    if (self->common->last_answers || self->ask != GW_ASK_DONE)
        self->last = true;
    self->out = kind;
    if (minor == 0 && kind == HTTP_BODY_CHUNKED)
        self->out = HTTP_BODY_CLOSE;
    else if (minor > 0 && kind == HTTP_BODY_CLOSE && !self->last)
        self->out = HTTP_BODY_CHUNKED; /* the visitor's connection goes on */
    if (self->out == HTTP_BODY_CLOSE)
        self->last = true;
    http_body_init(&self->source, kind, response->framing.content_length, &response->limits);
    if (kind == HTTP_BODY_CLOSE || !http_framing_persists(&response->framing))
        self->way_last = true;
    if (kind == HTTP_BODY_NONE) /* a service that sends one all the same sends it to the next */
        self->way_private = true;
    return (struct http_reply){.body = self->out,
                               .minor = minor,
                               .close = self->last,
                               .date = response->has_date ? NULL : date_of(self->common)};
}

/* HEAD, complete, is that of the answer; DATA follows it. Returns how much of that was taken. */
static size_t begin(struct gw_exchange *self, const char *head, const uint8_t *data, size_t len)
{
    struct http_reply reply = choose(self);
    const bool *gone = self->gone;
    struct gather g;
    size_t n = rewrite(self, head, &reply);

    if (*gone)
        return 0;
    self->begun = true;
    self->times.status = response_of(self)->code;
    self->answer = GW_ANSWER_BODY;
    gw_bytes_clear(&self->part);
    gather_init(&g);
    put(&g, self->common->scratch->head, n);
    return take_body(self, &g, data, len);
}

/* The head is complete: HEAD, with DATA behind it. Returns how many bytes of DATA were taken. */
static size_t take_complete(struct gw_exchange *self, const char *head, const uint8_t *data,
                            size_t len)
{
    unsigned code = response_of(self)->code;
    const bool *gone = self->gone;

    if (code >= 200)
        return begin(self, head, data, len);
    if (code == 101)
        pass_switch(self, head);
    else
        pass_interim(self, head);
    if (!*gone)
        gw_bytes_clear(&self->part);
    return 0;
}

/* The first bytes of a head: whether it came before, as a whole. If not, the reader starts. */
static bool recognize(struct gw_exchange *self, const uint8_t *data, size_t len)
{
    static const struct http_head_limits limits = {.head_max = GW_ANSWER_HEAD_MAX,
                                                   .headers_max = GW_ANSWER_FIELDS_MAX};
    const struct http_known *known = known_of(self);

    self->is_known = http_known_begins(known, (const char *)data, len);
    if (!self->is_known)
        http_response_init(&self->response, &limits);
    return self->is_known;
}

static size_t take_head(struct gw_exchange *self, const uint8_t *data, size_t len)
{
    size_t before = self->part.len, used;
    bool is_whole = before == 0;

    if (self->times.first_us == 0)
        self->times.first_us = gw_exchange_now(self);
    if (is_whole && recognize(self, data, len)) {
        used = response_of(self)->len;
        return used + take_complete(self, (const char *)data, data + used, len - used);
    }
    if (!is_whole && gw_bytes_add(&self->part, data, len) != ERR_OK) {
        fail_memory(self);
        return 0;
    }
    switch (http_response_feed(&self->response, (const char *)(is_whole ? data : self->part.data),
                               before + len)) {
    case HTTP_HEAD_OK:
        used = self->response.len - before;
        return used + take_complete(self, (const char *)(is_whole ? data : self->part.data),
                                    data + used, len - used);
    case HTTP_HEAD_BAD:
        fail_bad(self, self->response.why);
        return 0;
    case HTTP_HEAD_MORE:
    default:
        if (is_whole && gw_bytes_add(&self->part, data, len) != ERR_OK)
            fail_memory(self);
        return len;
    }
}

/* ---- what the way tells -------------------------------------------------------------------- */

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
    struct gw_exchange *self = arg;
    bool gone = false, *outer = self->gone;
    size_t used = 0, n = 1;

    gw_exchange_warm(self);
    if (self->answer == GW_ANSWER_NONE || self->answer == GW_ANSWER_DONE) {
        self->way_last = true; /* nobody asked: not for the next request */
        return len;
    }
    self->gone = &gone;
    while (!gone && n > 0 && used < len && gw_bytes_left(&self->down) == 0 &&
           (self->answer == GW_ANSWER_HEAD || self->answer == GW_ANSWER_BODY)) {
        struct gather none;

        gather_init(&none);
        n = self->answer == GW_ANSWER_HEAD ? take_head(self, data + used, len - used)
                                           : take_body(self, &none, data + used, len - used);
        used += n;
    }
    if (!gw_exchange_lives(self, gone, outer))
        return used;
    if (self->answer == GW_ANSWER_DONE && used < len)
        self->way_last = true;
    if (self->answer == GW_ANSWER_DONE && gw_bytes_left(&self->down) == 0)
        gw_exchange_finish(self); /* self may be gone */
    return used;
}

static void on_writable(void *arg)
{
    gw_exchange_resume(arg);
}

/* The service left before it said a word, or within its head. SELF may be gone. */
static void died(struct gw_exchange *self, enum gw_reason reason)
{
    bool reused = self->reused;

    if (self->times.first_us != 0 || !self->replayable || self->retried) {
        gw_exchange_fail(self, GW_REASON_ANSWER_CUT, "the service left before it answered");
        return;
    }
    gw_exchange_drop_way(self);
    self->answer = GW_ANSWER_NONE;
    self->retried = true;
    self->up.at = 0;
    self->ops->on_retry(self->arg, reason, reused);
}

/* The end of an answer that says its length by ending. */
static void complete(struct gw_exchange *self)
{
    bool gone = false, *outer = self->gone;
    struct gather g;

    gather_init(&g);
    self->source.done = true;
    self->answer = GW_ANSWER_DONE;
    if (self->out == HTTP_BODY_CHUNKED)
        put(&g, HTTP_CHUNK_LAST, strlen(HTTP_CHUNK_LAST));
    if (gw_bytes_left(&self->down) > 0) {
        keep(self, &g, 0); /* behind what waits */
        return;
    }
    self->gone = &gone;
    send_or_keep(self, &g);
    if (gw_exchange_lives(self, gone, outer) && gw_bytes_left(&self->down) == 0)
        gw_exchange_finish(self);
}

static void on_eof(void *arg)
{
    struct gw_exchange *self = arg;

    self->way_last = true;
    if (self->answer == GW_ANSWER_NONE)
        gw_exchange_drop_way(self);
    else if (self->answer == GW_ANSWER_HEAD)
        died(self, GW_REASON_BACKEND_REFUSED);
    else if (self->answer == GW_ANSWER_BODY && self->source.kind == HTTP_BODY_CLOSE)
        complete(self);
    else if (self->answer == GW_ANSWER_BODY)
        self->ops->on_end(self->arg, true);
}

static void on_cut(void *arg, enum gw_reason reason)
{
    struct gw_exchange *self = arg;

    (void)gw_exchange_take_way(self); /* it is gone */
    if (self->answer == GW_ANSWER_HEAD)
        died(self, reason);
    else if (self->answer == GW_ANSWER_BODY || self->answer == GW_ANSWER_SWITCH)
        self->ops->on_end(self->arg, true);
}

/* The connector leaves: it shall not wait for a way that waits for nothing. */
static void on_goaway(void *arg)
{
    struct gw_exchange *self = arg;

    self->way_last = true;
    if (self->answer == GW_ANSWER_NONE)
        gw_exchange_drop_way(self);
}

const struct gw_way_ops gw_exchange_way_ops = {.on_data = on_data,
                                               .on_writable = on_writable,
                                               .on_eof = on_eof,
                                               .on_cut = on_cut,
                                               .on_goaway = on_goaway};

/* The visitor's socket takes bytes: those that wait here, then those that wait in the way. */
void gw_exchange_drain(struct gw_exchange *self)
{
    struct gather g;
    bool gone = false;
    size_t sent;

    gather_init(&g);
    if (gw_bytes_left(&self->down) > 0)
        put(&g, self->down.data + self->down.at, gw_bytes_left(&self->down));
    self->gone = &gone; /* from the loop: nobody else wants to know */
    send_all(self, &g, &sent);
    if (gone)
        return;
    self->gone = NULL;
    self->down.at += sent;
    if (gw_bytes_left(&self->down) > 0)
        return;
    gw_bytes_clear(&self->down);
    ev_io_stop(self->common->loop, &self->wr);
    if (self->answer == GW_ANSWER_SWITCH)
        self->ops->on_switch(self->arg, self->in.data, self->in.len);
    else if (self->answer == GW_ANSWER_DONE)
        gw_exchange_finish(self);
    else if (self->way != NULL)
        (void)gw_way_pull(self->way); /* self may be gone */
}
