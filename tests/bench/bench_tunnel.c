/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast two sessions in one thread move bytes through memory: sealing, opening, frames, credit
 * and all copies, without sockets. Not part of ctest.
 *
 * bench_tunnel [seconds per case]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/tunnel/link.h"
#include "modules/tunnel/session.h"

struct end {
    struct tun_session *session;
    struct tun_link *link;
    struct tun_stream *stream;
    uint64_t received;
};

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct end *end = arg;

    (void)open;
    end->stream = stream;
    tun_stream_set_user(stream, end);
    tun_stream_accept(stream);
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct end *end = user;

    (void)stream;
    (void)data;
    end->received += len;
    return len;
}

static const struct tun_session_ops ops = {.on_open = on_open, .on_data = on_data};

static void must(int rc)
{
    if (rc == ERR_OK)
        return;
    fprintf(stderr, "bench_tunnel: %s\n", err_text(rc));
    exit(EXIT_FAILURE);
}

static void pass(struct tun_handshake *from, struct tun_handshake *to)
{
    size_t len, used;
    const uint8_t *out = tun_handshake_out(from, &len);

    must(tun_handshake_feed(to, out, len, &used));
    must(tun_handshake_work(to));
    tun_handshake_sent(from, len);
}

static void shake(enum tun_suite suite, struct tun_handshake_result *c,
                  struct tun_handshake_result *g)
{
    static struct tun_secret_key connector_key = {{1}}, gateway_key = {{2}};
    struct tun_identity connector, gateway;
    struct tun_connector_info info = {.name = "bench"};
    struct tun_gateway_info offer = {.max_streams = 10};
    struct tun_handshake ch, gh;

    tun_identity_init(&connector, &connector_key);
    tun_identity_init(&gateway, &gateway_key);
    must(tun_handshake_init(&ch, &(struct tun_handshake_config){.role = TUN_CONNECTOR,
                                                                .own = &connector,
                                                                .peer = &gateway.public_key,
                                                                .suite = suite,
                                                                .connector = &info}));
    must(tun_handshake_init(&gh, &(struct tun_handshake_config){
                                     .role = TUN_GATEWAY, .own = &gateway, .gateway = &offer}));
    pass(&ch, &gh);
    pass(&gh, &ch);
    pass(&ch, &gh);
    tun_handshake_finish(&ch, c);
    tun_handshake_finish(&gh, g);
}

static void move(struct end *from, struct end *to, struct buf *way)
{
    uint64_t now = clock_mono_ms();

    must(tun_link_pull(from->link, way, now));
    must(tun_link_feed(to->link, buf_peek(way), way->len, now));
    buf_consume(way, way->len);
}

static void join(struct end *end, const struct tun_handshake_result *result)
{
    struct tun_session_config cfg = {.role = result->role, .ops = &ops, .arg = end};

    must(tun_session_new(&end->session, &cfg, clock_mono_ms()));
    must(tun_link_new(&end->link, end->session, result, NULL, clock_mono_ms()));
}

static void begin(struct end *g, struct end *c, enum tun_suite suite, struct buf *way)
{
    struct tun_handshake_result gr, cr;
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};

    shake(suite, &cr, &gr);
    join(g, &gr);
    join(c, &cr);
    must(tun_link_accept(g->link, &(struct tun_accept){0}));
    must(tun_stream_open(&g->stream, g->session, &open, g));
    move(g, c, way);
    move(c, g, way);
}

/* One stream downwards, CHUNK bytes per write as a socket would give them. */
static void bench_bulk(enum tun_suite suite, size_t chunk, double seconds)
{
    struct end g = {0}, c = {0};
    struct buf way;
    uint64_t start, elapsed;

    must(buf_init(&way, 256u << 10));
    begin(&g, &c, suite, &way);
    start = clock_mono_us();
    do {
        for (size_t room = chunk; room > 0; room = chunk) {
            uint8_t *at = tun_stream_reserve(c.stream, &room);

            if (at == NULL)
                break;
            memset(at, 'x', room); /* stands for the kernel's copy */
            tun_stream_commit(c.stream, room);
        }
        move(&c, &g, &way);
        move(&g, &c, &way);
        elapsed = clock_mono_us() - start;
    } while ((double)elapsed < seconds * 1e6);
    printf("%-18s writes of %6zu: %6.2f GB/s\n", tun_cipher_suite_name(suite), chunk,
           (double)g.received / (double)elapsed / 1000.0);
    tun_session_free(g.session);
    tun_session_free(c.session);
    buf_deinit(&way);
}

/* Open, request, answer, both FINs, close: what a visitor without keep-alive costs. */
static void visit(struct end *g, struct end *c, struct buf *way)
{
    static const char request[200] = "GET", answer[1000] = "HTTP";
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};

    must(tun_stream_open(&g->stream, g->session, &open, g));
    (void)tun_stream_write(g->stream, request, sizeof(request));
    tun_stream_finish(g->stream);
    move(g, c, way);
    (void)tun_stream_write(c->stream, answer, sizeof(answer));
    tun_stream_finish(c->stream);
    move(c, g, way);
    tun_stream_close(g->stream);
    tun_stream_close(c->stream);
}

static void bench_visits(enum tun_suite suite, double seconds)
{
    struct end g = {0}, c = {0};
    struct buf way;
    uint64_t start, elapsed, visits = 0;

    must(buf_init(&way, 256u << 10));
    begin(&g, &c, suite, &way);
    start = clock_mono_us();
    do {
        visit(&g, &c, &way);
        visits++;
        elapsed = clock_mono_us() - start;
    } while ((double)elapsed < seconds * 1e6);
    printf("%-18s open, request, answer, close: %6.0f thousand a second\n",
           tun_cipher_suite_name(suite), (double)visits / (double)elapsed * 1000.0);
    tun_session_free(g.session);
    tun_session_free(c.session);
    buf_deinit(&way);
}

static void bench_handshakes(enum tun_suite suite, double seconds)
{
    struct tun_handshake_result c, g;
    uint64_t start = clock_mono_us(), elapsed, count = 0;

    do {
        shake(suite, &c, &g);
        count++;
        elapsed = clock_mono_us() - start;
    } while ((double)elapsed < seconds * 1e6);
    printf("%-18s handshakes, both sides: %6.0f us\n", tun_cipher_suite_name(suite),
           (double)elapsed / (double)count);
}

int main(int argc, char **argv)
{
    static const enum tun_suite suites[] = {TUN_SUITE_AES, TUN_SUITE_CHACHA};
    static const size_t chunks[] = {65536, 16384, 1024};
    double seconds = argc > 1 ? atof(argv[1]) : 1.0;

    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        for (size_t j = 0; j < sizeof(chunks) / sizeof(chunks[0]); j++)
            bench_bulk(suites[i], chunks[j], seconds);
        bench_visits(suites[i], seconds);
        bench_handshakes(suites[i], seconds);
    }
    return 0;
}
