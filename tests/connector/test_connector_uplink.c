/* SPDX-License-Identifier: Apache-2.0 */
/* One uplink: reconnect, refusals, delays it is told, keys in rotation, GOAWAY and leaving. */
#include <check.h>

#include "bus/base/clock.h"
#include "modules/connector/uplink.h"
#include "tests/connector/bench.h"
#include "tests/support/suite.h"

static struct fixture {
    struct bench b;
    struct peer_gateway gw;
    struct con_uplink *uplink;
    int changes, left;
} f;

static void on_change(void *arg)
{
    (void)arg;
    f.changes++;
}

static void on_left(void *arg)
{
    (void)arg;
    f.left++;
}

static void prepare(void)
{
    memset(&f, 0, sizeof(f));
    bench_start(&f.b);
    peer_gateway_start(&f.gw, f.b.loop, 0x21, 0);
    bench_gateway(&f.b, &f.gw);
    bench_service(&f.b, "web=%s");
}

static void start(void)
{
    struct con_uplink_config cfg = {.context = &f.b.context,
                                    .gateway = &f.b.config->gateways[0],
                                    .on_change = on_change,
                                    .on_left = on_left};

    ck_assert_int_eq(con_uplink_new(&f.uplink, &cfg), ERR_OK);
}

static void teardown(void)
{
    con_uplink_free(f.uplink);
    peer_gateway_stop(&f.gw);
    bench_stop(&f.b);
}

static void wait_up(void)
{
    LOOP_UNTIL(f.b.loop, con_uplink_is_up(f.uplink));
}

/* After this the uplink is up and the gateway has one session. */
static void setup(void)
{
    prepare();
    start();
    wait_up();
}

START_TEST(test_uplink_says_who_it_is)
{
    const struct tun_connector_info *info;

    prepare();
    f.b.config->twin = 7;
    strcpy(f.b.config->name, "web-1");
    start();
    wait_up();
    info = &peer_gateway_session(&f.gw)->info;
    ck_assert_str_eq(info->name, "web-1");
    ck_assert_uint_eq(info->twin, 7);
    ck_assert_uint_eq(info->epoch, 1);
    ck_assert_mem_eq(info->instance, f.b.context.instance, TUN_INSTANCE_LEN);
    ck_assert_int_eq(f.changes, 1);
    teardown();
}
END_TEST

START_TEST(test_uplink_comes_back_with_a_higher_epoch)
{
    uint16_t port;

    setup();
    port = peer_gateway_port(&f.gw);
    peer_gateway_stop(&f.gw); /* killed */
    LOOP_UNTIL(f.b.loop, !con_uplink_is_up(f.uplink));
    peer_gateway_start(&f.gw, f.b.loop, 0x21, port);
    wait_up();
    ck_assert_uint_eq(peer_gateway_session(&f.gw)->info.epoch, 2);
    ck_assert_int_eq(f.changes, 3);
    teardown();
}
END_TEST

static const enum peer_manner refusing[] = {PEER_HANGS_UP, PEER_REJECTS};

START_TEST(test_uplink_keeps_trying_after_every_refusal)
{
    prepare();
    f.gw.manner = refusing[_i];
    f.gw.notice = (struct tun_notice){.code = TUN_CODE_BUSY, .retry_ms = 50};
    start();
    LOOP_UNTIL(f.b.loop, f.gw.connections >= 1);
    for (int i = 0; i < 20; i++)
        ev_run(f.b.loop, EVRUN_NOWAIT);
    ck_assert(!con_uplink_is_up(f.uplink));
    f.gw.manner = PEER_ACCEPTS;
    wait_up();
    teardown();
}
END_TEST

START_TEST(test_uplink_waits_as_long_as_it_is_told)
{
    uint64_t begin;

    prepare();
    f.gw.manner = PEER_REJECTS;
    f.gw.notice = (struct tun_notice){.code = TUN_CODE_BUSY, .retry_ms = 700};
    start();
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 1);
    begin = clock_mono_ms();
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 2);
    ck_assert_uint_ge(clock_mono_ms() - begin, 650);
    teardown();
}
END_TEST

START_TEST(test_uplink_waits_by_the_rules)
{
    struct con_retry retry = {0};

    ck_assert_uint_eq(con_uplink_wait_ms(&retry, 123), 123);
    retry.told_ms = 5;
    ck_assert_uint_eq(con_uplink_wait_ms(&retry, 123), 5);
    retry.told_ms = UINT32_MAX;
    ck_assert_uint_eq(con_uplink_wait_ms(&retry, 123), CON_RETRY_TOLD_MAX_MS);
    retry = (struct con_retry){.unknown_key = true, .rounds = 1};
    ck_assert_uint_ge(con_uplink_wait_ms(&retry, 123), 5000);
    ck_assert_uint_lt(con_uplink_wait_ms(&retry, 30000), 6000);
    retry.rounds = 13;
    ck_assert_uint_ge(con_uplink_wait_ms(&retry, 123), CON_RETRY_MAX_MS);
}
END_TEST

/* The old key is still in the config and first; the gateway has the new one. */
START_TEST(test_uplink_uses_whichever_key_answers)
{
    struct con_gateway *gateway;

    prepare();
    gateway = &f.b.config->gateways[0];
    gateway->keys[1] = gateway->keys[0];
    gateway->keys[0] = f.b.identity.public_key; /* some other key */
    gateway->key_count = 2;
    start();
    wait_up();
    ck_assert_uint_eq(f.gw.connections, 2);
    teardown();
}
END_TEST

START_TEST(test_uplink_tries_every_address_in_order)
{
    struct con_gateway *gateway;
    struct sockaddr_in in;
    char text[64];

    prepare();
    gateway = &f.b.config->gateways[0];
    gateway->addresses[2] = gateway->addresses[0];
    close(tcp_listen(&in));
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(in.sin_port));
    ck_assert_int_eq(con_target_parse(&gateway->addresses[0], text), ERR_OK);
    ck_assert_int_eq(con_target_parse(&gateway->addresses[1], "no-such.invalid:7443"), ERR_OK);
    gateway->address_count = 3;
    start();
    wait_up();
    teardown();
}
END_TEST

static void say_goaway(struct peer_session *session, enum tun_code code)
{
    tun_session_goaway(link_session(session->link),
                       &(struct tun_notice){.code = code, .retry_ms = 10});
    link_touch(session->link);
}

/* GOAWAY: the new session is there before the old one ends, and the visitor stays on the old. */
START_TEST(test_uplink_goaway_moves_on_first)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;
    struct peer_session *old;
    int service;

    setup();
    old = peer_gateway_session(&f.gw);
    peer_visit(&f.gw, &visitor, &open);
    service = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor.ok);
    say_goaway(old, TUN_CODE_UPGRADE);
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 2);
    wait_up();
    ck_assert_uint_eq(peer_gateway_session(&f.gw)->info.epoch, 2);
    ck_assert_uint_eq(con_uplink_streams(f.uplink), 1);
    ck_assert(!old->goaway);
    say_goaway(old, TUN_CODE_SHUTDOWN);
    LOOP_UNTIL(f.b.loop, old->goaway);
    bench_say(service, "still here");
    LOOP_UNTIL(f.b.loop, visitor.got_len == 10);
    tun_stream_finish(visitor.stream);
    link_touch(old->link);
    close(service);
    LOOP_UNTIL(f.b.loop, old->closed_in_order);
    ck_assert(con_uplink_is_up(f.uplink));
    teardown();
}
END_TEST

static void say_next_key(struct peer_session *session, const struct tun_public_key *key)
{
    ck_assert_int_eq(tun_session_next_key(link_session(session->link), key), ERR_OK);
    link_touch(session->link);
}

/* The gateway's key is being changed: we learn the new one, our config gets it, and we come anew
 * with it; the visitor finishes on the old session. */
START_TEST(test_uplink_comes_anew_once_it_has_the_next_key)
{
    struct tun_open open = bench_open("7-1-x", "web");
    const struct tun_secret_key secret = {{0x99}};
    struct tun_identity next;
    struct con_gateway gateway;
    struct peer_visitor visitor;
    struct peer_session *old;
    int service;

    tun_identity_init(&next, &secret);
    setup();
    f.gw.next = &next;
    old = peer_gateway_session(&f.gw);
    peer_visit(&f.gw, &visitor, &open);
    service = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor.ok);
    say_next_key(old, &next.public_key);
    for (int i = 0; i < 50; i++)
        ev_run(f.b.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(f.gw.handshakes, 1); /* the config lacks it: nothing to come with */

    gateway = f.b.config->gateways[0];
    gateway.keys[gateway.key_count++] = next.public_key;
    con_uplink_update(f.uplink, &gateway);
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 2);
    wait_up();
    ck_assert(tun_key_equal(&peer_gateway_session(&f.gw)->own, &next.public_key));
    ck_assert_uint_eq(f.gw.connections, 2); /* and not by way of the old key */
    ck_assert(old->goaway);
    bench_say(service, "still here");
    LOOP_UNTIL(f.b.loop, visitor.got_len == 10);
    say_next_key(peer_gateway_session(&f.gw), &f.gw.identity.public_key);
    for (int i = 0; i < 50; i++)
        ev_run(f.b.loop, EVRUN_NOWAIT);
    ck_assert(con_uplink_is_up(f.uplink));
    close(service);
    teardown();
}
END_TEST

/* An upgrade that fails: visitors come on the old session throughout, and we are back by ourselves.
 */
START_TEST(test_uplink_serves_on_the_old_session_when_the_successor_dies)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_session *old, *heir;
    struct peer_visitor visitor;
    int service;

    setup();
    old = peer_gateway_session(&f.gw);
    say_goaway(old, TUN_CODE_UPGRADE);
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 2);
    wait_up();
    heir = peer_gateway_session(&f.gw);
    ck_assert_ptr_ne(heir, old);
    link_free(heir->link);
    heir->link = NULL;
    LOOP_UNTIL(f.b.loop, !con_uplink_is_up(f.uplink));
    peer_visit(&f.gw, &visitor, &open); /* the old one is the only one */
    service = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor.ok);
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 3);
    wait_up();
    ck_assert_uint_eq(peer_gateway_session(&f.gw)->info.epoch, 3);
    ck_assert(old->link != NULL && !old->closed_in_order);
    say_goaway(old, TUN_CODE_REPLACED);
    peer_say(&f.gw, &visitor, NULL, true);
    close(service);
    LOOP_UNTIL(f.b.loop, old->closed_in_order);
    ck_assert(con_uplink_is_up(f.uplink));
    teardown();
}
END_TEST

START_TEST(test_uplink_update_with_the_same_key_keeps_the_session)
{
    struct con_gateway gateway;

    setup();
    gateway = f.b.config->gateways[0];
    ck_assert_int_eq(con_target_parse(&gateway.addresses[1], "127.0.0.1:1"), ERR_OK);
    gateway.address_count = 2;
    con_uplink_update(f.uplink, &gateway);
    for (int i = 0; i < 20; i++)
        ev_run(f.b.loop, EVRUN_NOWAIT);
    ck_assert(con_uplink_is_up(f.uplink));
    ck_assert_uint_eq(f.gw.handshakes, 1);

    gateway.keys[0] = f.b.identity.public_key; /* the key in use is withdrawn */
    con_uplink_update(f.uplink, &gateway);
    ck_assert(!con_uplink_is_up(f.uplink));
    LOOP_UNTIL(f.b.loop, peer_gateway_live(&f.gw) == 0);
    ck_assert(f.gw.sessions[0].closed_in_order);
    teardown();
}
END_TEST

/* _i: the manner of the gateway while the uplink is told to leave; 4 = up */
START_TEST(test_uplink_leave_in_each_state_reports_once)
{
    static const enum peer_manner manners[] = {PEER_ACCEPTS, PEER_HANGS_UP, PEER_KNOWS_NOT,
                                               PEER_STAYS_MUTE, PEER_ACCEPTS};

    prepare();
    f.gw.manner = manners[_i];
    start();
    if (_i > 0)
        LOOP_UNTIL(f.b.loop, f.gw.connections > 0);
    if (_i == 4)
        wait_up();
    con_uplink_leave(f.uplink);
    con_uplink_leave(f.uplink);
    ck_assert_int_eq(f.left, 0);
    LOOP_UNTIL(f.b.loop, f.left == 1);
    ck_assert(!con_uplink_is_up(f.uplink));
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/uplink");
    TCase *tc = tcase_create("uplink");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_uplink_says_who_it_is);
    tcase_add_test(tc, test_uplink_comes_back_with_a_higher_epoch);
    tcase_add_loop_test(tc, test_uplink_keeps_trying_after_every_refusal, 0, COUNT(refusing));
    tcase_add_test(tc, test_uplink_waits_as_long_as_it_is_told);
    tcase_add_test(tc, test_uplink_waits_by_the_rules);
    tcase_add_test(tc, test_uplink_uses_whichever_key_answers);
    tcase_add_test(tc, test_uplink_tries_every_address_in_order);
    tcase_add_test(tc, test_uplink_goaway_moves_on_first);
    tcase_add_test(tc, test_uplink_comes_anew_once_it_has_the_next_key);
    tcase_add_test(tc, test_uplink_serves_on_the_old_session_when_the_successor_dies);
    tcase_add_test(tc, test_uplink_update_with_the_same_key_keeps_the_session);
    tcase_add_loop_test(tc, test_uplink_leave_in_each_state_reports_once, 0, 5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
