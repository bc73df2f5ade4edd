/* SPDX-License-Identifier: Apache-2.0 */
/* What the ops of a duo saw, and a pattern sent by the gateway and checked by the connector. */
#ifndef TESTS_LINK_WATCH_H
#define TESTS_LINK_WATCH_H

#include <check.h>
#include <string.h>

#include "tests/link/duo.h"

#define WATCH_STREAMS 16

/* One visitor, as the gateway's and the connector's user of its stream. */
struct watch_stream {
    struct tun_stream *near, *far; /* gateway's, connector's; NULL once gone */
    size_t sent, received, wrong;
    bool eof;
    int resets;
    enum tun_code code; /* of the last reset */
};

static struct {
    struct duo duo;
    struct watch_stream streams[WATCH_STREAMS];
    unsigned opened, accepted, rejected, closed, resumed, moved;
    enum tun_code code; /* of the REJECT or CLOSE */
    bool close_on_data; /* the connector's session is closed inside on_data */
} w;

static inline uint8_t watch_pattern(size_t at)
{
    return (uint8_t)(at * 131 >> 5);
}

static inline void watch_on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    (void)arg;
    ck_assert_str_eq(open->workload, "7-1-x");
    ck_assert_uint_lt(w.opened, WATCH_STREAMS);
    w.streams[w.opened].far = stream;
    tun_stream_set_user(stream, &w.streams[w.opened++]);
    tun_stream_accept(stream);
}

static inline void watch_on_accept(void *arg, struct tun_link *link,
                                   const struct tun_accept *accept)
{
    (void)arg;
    (void)link;
    (void)accept;
    w.accepted++;
}

static inline void watch_on_reject(void *arg, struct tun_link *link,
                                   const struct tun_notice *notice)
{
    (void)arg;
    (void)link;
    w.rejected++;
    w.code = notice->code;
}

static inline void watch_on_close(void *arg, const struct tun_notice *notice)
{
    (void)arg;
    w.closed++;
    w.code = notice->code;
}

static inline void watch_on_resumed(void *arg, uint32_t moved)
{
    (void)arg;
    w.resumed++;
    w.moved += moved;
}

static inline size_t watch_on_data(void *user, struct tun_stream *stream, const uint8_t *data,
                                   size_t len)
{
    struct watch_stream *s = user;

    (void)stream;
    for (size_t i = 0; i < len; i++)
        s->wrong += data[i] != watch_pattern(s->received + i);
    s->received += len;
    if (w.close_on_data)
        link_session_close(w.duo.connector.session, TUN_CODE_SHUTDOWN, "");
    return len;
}

static inline void watch_on_readable(void *user, struct tun_stream *stream)
{
    struct watch_stream *s = user;

    s->eof = tun_stream_eof(stream);
}

static inline void watch_on_reset(void *user, enum tun_code code)
{
    struct watch_stream *s = user;

    s->resets++;
    s->code = code;
}

static const struct tun_session_ops watch_connector_ops = {.on_accept = watch_on_accept,
                                                           .on_reject = watch_on_reject,
                                                           .on_close = watch_on_close,
                                                           .on_open = watch_on_open,
                                                           .on_data = watch_on_data,
                                                           .on_readable = watch_on_readable,
                                                           .on_reset = watch_on_reset,
                                                           .on_resumed = watch_on_resumed};
static const struct tun_session_ops watch_gateway_ops = {.on_close = watch_on_close,
                                                         .on_reset = watch_on_reset};

/* Two sessions without links. */
static inline void watch_start(void)
{
    memset(&w, 0, sizeof(w));
    duo_start(&w.duo, &watch_connector_ops, &watch_gateway_ops, NULL);
}

/* The same, with LINKS live links. */
static inline void watch_start_live(unsigned links)
{
    watch_start();
    for (unsigned i = 0; i < links; i++)
        duo_add(&w.duo, (uint8_t)i);
    duo_wait_live(&w.duo, links);
}

/* A stream from the gateway; not waited for. Streams arrive in order only over one link. */
static inline struct watch_stream *watch_open(unsigned i)
{
    struct tun_open open = duo_open("web");

    ck_assert_int_eq(tun_stream_open(&w.streams[i].near, link_session_tunnel(w.duo.gateway.session),
                                     &open, &w.streams[i]),
                     ERR_OK);
    link_session_touch(w.duo.gateway.session);
    return &w.streams[i];
}

/* As much of the pattern, up to TOTAL, as the stream takes. */
static inline void watch_send(struct watch_stream *s, size_t total)
{
    while (s->sent < total) {
        size_t room = total - s->sent < 65536 ? total - s->sent : 65536;
        uint8_t *at = tun_stream_reserve(s->near, &room);

        if (at == NULL)
            break;
        for (size_t i = 0; i < room; i++)
            at[i] = watch_pattern(s->sent + i);
        tun_stream_commit(s->near, room);
        s->sent += room;
    }
    link_session_touch(w.duo.gateway.session);
}

static inline void watch_stop(void)
{
    duo_stop(&w.duo);
}

#endif
