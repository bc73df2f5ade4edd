/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of lost links and their streams, by hand. */
#include "tests/tunnel/raw_resume.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static const uint8_t bytes[1000] = {[400] = 2};

void raw_resume_begin(struct raw_peer *peer, uint8_t lost, uint8_t flags)
{
    peer->resume_at = out_len(&peer->o);
    tun_frame_put_header(&peer->o, &(struct tun_frame){.type = TUN_FRAME_RESUME, .flags = flags});
    out_u8(&peer->o, lost);
}

void raw_resume_link(struct raw_peer *peer, uint32_t serial, uint64_t received, uint32_t last_open)
{
    tun_frame_put_resume_link(&peer->o, &(struct tun_resume_link){serial, received, last_open});
}

void raw_resume_stream(struct raw_peer *peer, uint32_t id, uint64_t received, unsigned flags)
{
    tun_frame_put_resume_stream(
        &peer->o, &(struct tun_resume_stream){id, received, (flags & 1) != 0, (flags & 2) != 0});
}

void raw_resume_end(struct raw_peer *peer)
{
    size_t len = out_len(&peer->o) - peer->resume_at - TUN_FRAME_HEADER_LEN;

    peer->bytes[peer->resume_at + 2] = (uint8_t)(len >> 8);
    peer->bytes[peer->resume_at + 3] = (uint8_t)len;
}

void raw_resume_put(struct raw_peer *peer, uint64_t received, unsigned flags)
{
    raw_resume_begin(peer, 1, 0);
    raw_resume_link(peer, 1, received, 1);
    raw_resume_stream(peer, 1, received, flags);
    raw_resume_end(peer);
}

static void read_frame(struct cur payload, struct raw_resume *out)
{
    for (unsigned lost = cur_u8(&payload); lost > 0; lost--)
        ck_assert_int_eq(tun_frame_get_resume_link(&payload, &out->links[out->lost++]), ERR_OK);
    while (cur_left(&payload) > 0)
        ck_assert_int_eq(tun_frame_get_resume_stream(&payload, &out->streams[out->count++]),
                         ERR_OK);
}

void raw_resume_read(struct raw_peer *peer, struct raw_resume *out)
{
    struct tun_frame frame;
    struct cur payload;

    memset(out, 0, sizeof(*out));
    do {
        ck_assert(raw_peer_next(peer, &frame, &payload));
        if (frame.type == TUN_FRAME_RESUME)
            read_frame(payload, out);
    } while (frame.type != TUN_FRAME_RESUME || (frame.flags & TUN_FLAG_MORE) != 0);
}

void raw_resume_join(struct raw_peer *peer)
{
    ck_assert_int_eq(raw_peer_join(peer), ERR_OK);
    raw_peer_accept(peer);
}

static void send_and_lose(struct raw_peer *peer, struct tun_stream *stream)
{
    ck_assert_uint_eq(tun_stream_write(stream, bytes, sizeof(bytes)), sizeof(bytes));
    tun_stream_finish(stream);
    (void)raw_peer_expect(peer, TUN_FRAME_FIN);
    raw_peer_lose(peer);
    raw_resume_join(peer);
}

struct tun_stream *raw_resume_gateway(struct raw_peer *peer)
{
    struct tun_stream *stream;

    raw_peer_init(peer, TUN_GATEWAY, true);
    stream = raw_peer_open(peer);
    send_and_lose(peer, stream);
    return stream;
}

struct tun_stream *raw_resume_connector(struct raw_peer *peer, struct raw_resume *out)
{
    raw_peer_init(peer, TUN_CONNECTOR, true);
    raw_peer_put_open(peer, 1);
    raw_peer_put_data(peer, 1, 10);
    ck_assert_int_eq(raw_peer_send(peer), ERR_OK);
    tun_stream_accept(peer->heard.stream);
    send_and_lose(peer, peer->heard.stream);
    raw_resume_read(peer, out);
    return peer->heard.stream;
}
