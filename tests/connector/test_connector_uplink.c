/* SPDX-License-Identifier: Apache-2.0 */
/* One uplink: its links, what is resumed and what is given up, refusals, delays it is told. */
#include <check.h>

#include "tests/connector/live_uplink.h"
#include "tests/connector/log_capture.h"
#include "tests/support/suite.h"

/* ---- links --------------------------------------------------------------------------------- */

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

START_TEST(test_uplink_opens_as_many_links_as_configured)
{
    prepare();
    f.b.config->links = (uint64_t)_i;
    start();
    wait_links((unsigned)_i);
    turns();
    ck_assert_uint_eq(f.gw.handshakes, (unsigned)_i);
    ck_assert_uint_eq(peer_gateway_live(&f.gw), 1);
    teardown();
}
END_TEST

START_TEST(test_uplink_opens_more_links_only_when_the_first_is_taken)
{
    prepare();
    f.gw.manner = PEER_NEVER_ACCEPTS;
    start();
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 1);
    turns();
    ck_assert_uint_eq(f.gw.connections, 1);
    teardown();
}
END_TEST

/* One after another is lost, again and again: the visitor never notices. */
START_TEST(test_uplink_replaces_lost_links)
{
    setup();
    visit();
    for (unsigned i = 0; i < 4; i++) {
        peer_cut(&f.gw.sessions[0], i % 2);
        LOOP_UNTIL(f.b.loop, f.gw.sessions[0].joins == 3 + i);
        wait_links(2);
        still_served();
    }
    ck_assert_int_eq(f.changes, 1); /* it was up all the time */
    ck_assert_uint_eq(peer_gateway_session(&f.gw)->info.epoch, 1);
    teardown();
}
END_TEST

START_TEST(test_uplink_resumes_when_every_link_is_lost)
{
    struct log_capture log;
    const char *text;

    setup();
    visit();
    log_capture_start(&log);
    peer_cut(&f.gw.sessions[0], 0);
    peer_cut(&f.gw.sessions[0], 1);
    LOOP_UNTIL(f.b.loop, !con_uplink_is_up(f.uplink));
    peer_say(&f.visitor, "meanwhile ", false);
    wait_links(2);
    bench_expect(&f.b, f.service, "meanwhile ");
    text = log_capture_stop(&log);
    ck_assert_ptr_nonnull(strstr(text, "visitors wait"));
    ck_assert_ptr_nonnull(strstr(text, "retry_ms="));
    ck_assert_ptr_nonnull(strstr(text, "resumed"));
    still_served();
    ck_assert_uint_eq(f.gw.sessions[0].info.epoch, 1);
    ck_assert_uint_eq(peer_gateway_live(&f.gw), 1);
    ck_assert_int_eq(f.changes, 3);
    teardown();
}
END_TEST

/* The path is gone for a while, but not for the whole window. */
START_TEST(test_uplink_tries_again_and_again_while_visitors_wait)
{
    setup();
    visit();
    f.gw.manner = PEER_HANGS_UP;
    peer_cut(&f.gw.sessions[0], 0);
    peer_cut(&f.gw.sessions[0], 1);
    LOOP_UNTIL(f.b.loop, f.gw.connections >= 2 + 6); /* both slots, three times */
    f.gw.manner = PEER_ACCEPTS;
    wait_up();
    still_served();
    ck_assert_uint_eq(f.gw.sessions[0].info.epoch, 1);
    teardown();
}
END_TEST

START_TEST(test_uplink_gives_the_session_up_after_the_window)
{
    char byte;

    prepare();
    f.b.config->resume_window_ms = 1000;
    start();
    wait_links(2);
    visit();
    f.gw.manner = PEER_HANGS_UP;
    peer_cut(&f.gw.sessions[0], 0);
    peer_cut(&f.gw.sessions[0], 1);
    LOOP_UNTIL(f.b.loop, con_uplink_streams(f.uplink) == 0);
    ck_assert_int_eq(recv(f.service, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    f.gw.manner = PEER_ACCEPTS;
    LOOP_UNTIL(f.b.loop, peer_gateway_session(&f.gw) != NULL &&
                             peer_gateway_session(&f.gw)->info.epoch >= 2); /* it tries at once */
    wait_links(2);
    teardown();
}
END_TEST

/* A second link too many: the first one serves alone, and the other tries again when told to. */
START_TEST(test_uplink_serves_on_when_a_second_link_is_refused)
{
    uint64_t begin;

    prepare();
    f.gw.manner = PEER_REJECTS_MORE;
    f.gw.notice = (struct tun_notice){.code = TUN_CODE_LIMIT, .retry_ms = 700};
    start();
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 2);
    begin = clock_mono_ms();
    visit();
    still_served();
    f.gw.manner = PEER_ACCEPTS;
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 3);
    ck_assert_uint_ge(clock_mono_ms() - begin, 650);
    wait_links(2);
    ck_assert_int_eq(f.changes, 1);
    ck_assert_uint_eq(peer_gateway_session(&f.gw)->info.epoch, 1);
    teardown();
}
END_TEST

/* ---- sessions that end --------------------------------------------------------------------- */

/* A killed gateway that comes back is another boot: the first connection says so at once, and no
 * handshake is made in vain. */
START_TEST(test_uplink_comes_back_with_a_higher_epoch)
{
    uint16_t port;

    setup();
    visit();
    port = peer_gateway_port(&f.gw);
    peer_gateway_stop(&f.gw); /* killed */
    LOOP_UNTIL(f.b.loop, !con_uplink_is_up(f.uplink));
    ck_assert_uint_eq(con_uplink_streams(f.uplink), 1); /* there is hope yet */
    peer_gateway_start(&f.gw, f.b.loop, 0x21, port);
    expect_epoch(2);
    ck_assert_uint_eq(f.gw.handshakes, 2);
    ck_assert_uint_eq(con_uplink_streams(f.uplink), 0);
    ck_assert_int_eq(f.changes, 3);
    teardown();
}
END_TEST

/* One link is lost and the redial finds another process, while the other link still serves. */
START_TEST(test_uplink_keeps_a_live_session_beside_that_of_another_process)
{
    struct peer_gateway heir;
    char flag[160];

    prepare();
    peer_gateway_start(&heir, f.b.loop, 0x21, 0);
    peer_gateway_flag(&heir, flag);
    *strchr(flag, '#') = '\0';
    ck_assert_int_eq(con_target_parse(&f.b.config->gateways[0].addresses[1], flag), ERR_OK);
    f.b.config->gateways[0].address_count = 2;
    start();
    wait_links(2);
    visit();
    net_listener_free(f.gw.listener);
    f.gw.listener = NULL;
    peer_cut(&f.gw.sessions[0], 0);
    LOOP_UNTIL(f.b.loop, peer_gateway_links(&heir) == 2);
    ck_assert_uint_eq(heir.sessions[0].info.epoch, 2);
    still_served();
    peer_say(&f.visitor, NULL, true);
    close(f.service);
    f.service = -1;
    LOOP_UNTIL(f.b.loop, f.gw.sessions[0].closed_in_order);
    ck_assert(con_uplink_is_up(f.uplink));
    con_uplink_free(f.uplink);
    f.uplink = NULL;
    peer_gateway_stop(&heir);
    teardown();
}
END_TEST

START_TEST(test_uplink_begins_anew_when_the_gateway_ends_the_session)
{
    setup();
    link_session_close(peer_gateway_session(&f.gw)->link, TUN_CODE_INTERNAL, "");
    expect_epoch(2);
    ck_assert_int_eq(f.changes, 3);
    teardown();
}
END_TEST

/* The gateway is the same process, but has forgotten the session: it makes another one of the next
 * link, which is not ours. */
START_TEST(test_uplink_begins_anew_when_the_gateway_forgot_the_session)
{
    setup();
    visit();
    link_session_free(f.gw.sessions[0].link);
    f.gw.sessions[0].link = NULL;
    expect_epoch(2);
    ck_assert_uint_eq(con_uplink_streams(f.uplink), 0);
    teardown();
}
END_TEST

START_TEST(test_uplink_raises_its_epoch_when_it_is_stale)
{
    prepare();
    f.gw.manner = PEER_REJECTS;
    f.gw.notice = (struct tun_notice){.code = TUN_CODE_STALE};
    start();
    LOOP_UNTIL(f.b.loop, f.gw.handshakes == 2);
    f.gw.manner = PEER_ACCEPTS;
    wait_links(2);
    ck_assert_uint_gt(peer_gateway_session(&f.gw)->info.epoch, 1);
    teardown();
}
END_TEST

/* ---- attempts ------------------------------------------------------------------------------ */

static const enum peer_manner refusing[] = {PEER_HANGS_UP, PEER_REJECTS};

START_TEST(test_uplink_keeps_trying_after_every_refusal)
{
    prepare();
    f.gw.manner = refusing[_i];
    f.gw.notice = (struct tun_notice){.code = TUN_CODE_BUSY, .retry_ms = 50};
    start();
    LOOP_UNTIL(f.b.loop, f.gw.connections >= 1);
    turns();
    ck_assert(!con_uplink_is_up(f.uplink));
    f.gw.manner = PEER_ACCEPTS;
    wait_links(2);
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

/* The old key is still in the config and first; the gateway has the new one. */
START_TEST(test_uplink_uses_whichever_key_answers)
{
    struct con_gateway *gateway;

    prepare();
    gateway = &f.b.config->gateways[0];
    gateway->keys[1] = gateway->keys[0];
    gateway->keys[0] = f.b.identity.public_key; /* some other key */
    gateway->key_count = 2;
    f.b.config->links = 1;
    start();
    wait_up();
    ck_assert_uint_eq(f.gw.connections, 2);
    teardown();
}
END_TEST

START_TEST(test_uplink_tries_every_address_in_order)
{
    struct con_gateway *gateway;
    char text[64];

    prepare();
    gateway = &f.b.config->gateways[0];
    gateway->addresses[2] = gateway->addresses[0];
    snprintf(text, sizeof(text), "127.0.0.1:%u", tcp_free_port());
    ck_assert_int_eq(con_target_parse(&gateway->addresses[0], text), ERR_OK);
    ck_assert_int_eq(con_target_parse(&gateway->addresses[1], "no-such.invalid:7443"), ERR_OK);
    gateway->address_count = 3;
    start();
    wait_up();
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/uplink");
    TCase *tc = tcase_create("uplink");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_uplink_says_who_it_is);
    tcase_add_loop_test(tc, test_uplink_opens_as_many_links_as_configured, 1, CON_LINKS_MAX + 1);
    tcase_add_test(tc, test_uplink_opens_more_links_only_when_the_first_is_taken);
    tcase_add_test(tc, test_uplink_replaces_lost_links);
    tcase_add_test(tc, test_uplink_resumes_when_every_link_is_lost);
    tcase_add_test(tc, test_uplink_tries_again_and_again_while_visitors_wait);
    tcase_add_test(tc, test_uplink_gives_the_session_up_after_the_window);
    tcase_add_test(tc, test_uplink_serves_on_when_a_second_link_is_refused);
    tcase_add_test(tc, test_uplink_comes_back_with_a_higher_epoch);
    tcase_add_test(tc, test_uplink_keeps_a_live_session_beside_that_of_another_process);
    tcase_add_test(tc, test_uplink_begins_anew_when_the_gateway_ends_the_session);
    tcase_add_test(tc, test_uplink_begins_anew_when_the_gateway_forgot_the_session);
    tcase_add_test(tc, test_uplink_raises_its_epoch_when_it_is_stale);
    tcase_add_loop_test(tc, test_uplink_keeps_trying_after_every_refusal, 0, COUNT(refusing));
    tcase_add_test(tc, test_uplink_waits_as_long_as_it_is_told);
    tcase_add_test(tc, test_uplink_uses_whichever_key_answers);
    tcase_add_test(tc, test_uplink_tries_every_address_in_order);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
