/* SPDX-License-Identifier: Apache-2.0 */
/* What carries a visitor: a record sealed and opened, a request and bulk through two sessions in
 * memory. */
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/handshake.h"
#include "modules/tunnel/link.h"
#include "modules/tunnel/record.h"
#include "tests/cost/cost.h"

#define NOW_MS 1000
#define RECORD 16384
#define BULK 262144

/* --- record --- */

static struct tun_record sealer, opener;
static uint8_t plain[RECORD], sealed[RECORD + 18];

static void record_begin(void)
{
    static const uint8_t key[TUN_CIPHER_KEY_LEN] = {1, 2, 3};

    cost_must(tun_record_init(&sealer, TUN_SUITE_AES, true, key) == ERR_OK, "a key to seal");
    cost_must(tun_record_init(&opener, TUN_SUITE_AES, false, key) == ERR_OK, "a key to open");
}

static void record_once(void)
{
    static const struct tun_piece piece = {plain, sizeof(plain)};

    cost_must(tun_record_seal(&sealer, &piece, 1, sizeof(plain), sealed) == ERR_OK, "sealing");
    cost_must(tun_record_open(&opener, sealed + TUN_RECORD_HEADER_LEN,
                              RECORD + TUN_CIPHER_TAG_LEN) == ERR_OK,
              "opening");
}

static void record_end(void)
{
    tun_record_deinit(&sealer);
    tun_record_deinit(&opener);
}

/* --- two sessions --- */

struct end {
    struct tun_session *session;
    struct tun_link *link;
    struct tun_stream *stream;
    size_t received;
};

static struct end gateway, connector;
static struct buf way;

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

static void join(struct end *end, const struct tun_handshake_result *result)
{
    struct tun_session_config cfg = {.role = result->role, .ops = &ops, .arg = end};

    memset(end, 0, sizeof(*end));
    cost_must(tun_session_new(&end->session, &cfg, NOW_MS) == ERR_OK, "a session");
    cost_must(tun_link_new(&end->link, end->session, result, NULL, NOW_MS) == ERR_OK, "a link");
}

static void carry(struct end *from, struct end *to)
{
    cost_must(tun_link_pull(from->link, &way, NOW_MS) == ERR_OK, "pull");
    cost_must(tun_link_feed(to->link, buf_peek(&way), way.len, NOW_MS) == ERR_OK, "feed");
    buf_consume(&way, way.len);
}

static void say(struct tun_handshake *from, struct tun_handshake *to)
{
    size_t len, used;
    const uint8_t *out = tun_handshake_out(from, &len);

    cost_must(tun_handshake_feed(to, out, len, &used) == ERR_OK, "a handshake message");
    cost_must(tun_handshake_work(to) == ERR_OK, "a handshake");
    tun_handshake_sent(from, len);
}

static void shake_hands(struct tun_handshake_result *c, struct tun_handshake_result *g)
{
    static struct tun_secret_key connector_key = {{1}}, gateway_key = {{2}};
    static const struct tun_connector_info info = {.name = "cost"};
    static const struct tun_gateway_info offer = {.max_streams = 10};
    struct tun_identity ours, theirs;
    struct tun_handshake dials, listens;

    tun_identity_init(&ours, &connector_key);
    tun_identity_init(&theirs, &gateway_key);
    struct tun_handshake_config to = {.role = TUN_CONNECTOR,
                                      .own = &ours,
                                      .peer = &theirs.public_key,
                                      .suite = TUN_SUITE_AES,
                                      .connector = &info};
    struct tun_handshake_config from = {.role = TUN_GATEWAY, .own = &theirs, .gateway = &offer};
    cost_must(tun_handshake_init(&dials, &to) == ERR_OK, "a connector");
    cost_must(tun_handshake_init(&listens, &from) == ERR_OK, "a gateway");
    say(&dials, &listens);
    say(&listens, &dials);
    say(&dials, &listens);
    tun_handshake_finish(&dials, c);
    tun_handshake_finish(&listens, g);
}

static void sessions_begin(void)
{
    struct tun_handshake_result c, g;

    shake_hands(&c, &g);
    cost_must(buf_init(&way, 2 * BULK) == ERR_OK, "memory");
    join(&gateway, &g);
    join(&connector, &c);
    cost_must(tun_link_accept(gateway.link, &(struct tun_accept){0}) == ERR_OK, "accept");
    carry(&gateway, &connector);
}

static void sessions_end(void)
{
    tun_session_free(gateway.session);
    tun_session_free(connector.session);
    buf_deinit(&way);
}

static void open_stream(void)
{
    struct tun_open open = {.workload = "7-500-blog", .service = "web", .kind = TUN_KIND_HTTP};

    gateway.received = connector.received = 0;
    cost_must(tun_stream_open(&gateway.stream, gateway.session, &open, &gateway) == ERR_OK,
              "a stream");
}

static void close_streams(void)
{
    tun_stream_close(gateway.stream);
    tun_stream_close(connector.stream);
}

/* --- visit: one request by HTTP and its answer, without keep-alive --- */

static void visit_once(void)
{
    char head[4096];
    size_t len = cost_forward_request(head, sizeof(head));

    open_stream();
    cost_must(tun_stream_write(gateway.stream, head, len) == len, "the request");
    tun_stream_finish(gateway.stream);
    carry(&gateway, &connector);
    cost_must(connector.received == len, "the request there");
    cost_must(tun_stream_write(connector.stream, cost_answer, cost_answer_len) == cost_answer_len,
              "the answer");
    tun_stream_finish(connector.stream);
    carry(&connector, &gateway);
    cost_must(gateway.received == cost_answer_len, "the answer there");
    (void)cost_forward_answer(head, sizeof(head));
    close_streams();
}

/* --- bulk: 256 KiB from the service, on one stream --- */

static void bulk_begin(void)
{
    sessions_begin();
    open_stream();
    carry(&gateway, &connector);
    carry(&connector, &gateway);
}

static void bulk_once(void)
{
    size_t want = gateway.received + BULK;

    for (int turn = 0; gateway.received < want; turn++) {
        for (size_t left = want - gateway.received, room = left; left > 0; left -= room) {
            uint8_t *at;

            room = left < 65536 ? left : 65536;
            at = tun_stream_reserve(connector.stream, &room);
            if (at == NULL)
                break;
            tun_stream_commit(connector.stream, room);
        }
        carry(&connector, &gateway);
        carry(&gateway, &connector);
        cost_must(turn < 100, "bulk moves");
    }
}

static void bulk_end(void)
{
    tun_stream_reset(gateway.stream, TUN_CODE_CANCELLED);
    sessions_end();
}

const struct cost_scenario cost_tunnel[] = {{"record", record_begin, record_once, record_end},
                                            {"visit", sessions_begin, visit_once, sessions_end},
                                            {"bulk", bulk_begin, bulk_once, bulk_end},
                                            {0}};
