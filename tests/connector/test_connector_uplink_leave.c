/* SPDX-License-Identifier: Apache-2.0 */
/* One uplink and sessions that are left: GOAWAY, keys in rotation, other addresses, and the end. */
#include <check.h>

#include "tests/connector/live_uplink.h"
#include "tests/support/suite.h"

/* ---- GOAWAY and keys ----------------------------------------------------------------------- */

/* GOAWAY: the new session is there before the old one ends, and the visitor stays on the old. */
START_TEST(test_uplink_goaway_moves_on_first)
{
    struct peer_session *old;

    setup();
    old = peer_gateway_session(&f.gw);
    visit();
    peer_goaway(old, TUN_CODE_UPGRADE, 10);
    expect_epoch(2);
    ck_assert_uint_eq(con_uplink_streams(f.uplink), 1);
    ck_assert(!old->goaway);
    peer_goaway(old, TUN_CODE_SHUTDOWN, 10);
    LOOP_UNTIL(f.b.loop, old->goaway);
    still_served();
    peer_say(&f.visitor, NULL, true);
    close(f.service);
    f.service = -1;
    LOOP_UNTIL(f.b.loop, old->closed_in_order);
    ck_assert(con_uplink_is_up(f.uplink));
    teardown();
}
END_TEST

/* The successor is there already: at most a second, whatever failed before. */
START_TEST(test_uplink_goaway_of_an_upgrade_is_followed_soon)
{
    uint64_t begin;

    setup();
    peer_goaway(peer_gateway_session(&f.gw), TUN_CODE_UPGRADE, 0);
    LOOP_UNTIL(f.b.loop, !con_uplink_is_up(f.uplink));
    begin = clock_mono_ms();
    expect_epoch(2);
    ck_assert_uint_lt(clock_mono_ms() - begin, 3000);
    teardown();
}
END_TEST

/* A link of the old session is lost meanwhile: its other link carries the visitor. */
START_TEST(test_uplink_session_that_is_left_survives_the_loss_of_a_link)
{
    struct peer_session *old;

    setup();
    old = peer_gateway_session(&f.gw);
    visit();
    peer_goaway(old, TUN_CODE_SHUTDOWN, 10);
    expect_epoch(2);
    peer_cut(old, 0);
    LOOP_UNTIL(f.b.loop, link_session_live(old->link) == 1);
    still_served();
    ck_assert_uint_eq(old->joins, 2);
    teardown();
}
END_TEST

/* The gateway's key is being changed: we learn the new one, our config gets it, and we come anew
 * with it; the visitor finishes on the old session. */
START_TEST(test_uplink_comes_anew_once_it_has_the_next_key)
{
    const struct tun_secret_key secret = {{0x99}};
    struct tun_identity next;
    struct con_gateway gateway;
    struct peer_session *old;

    tun_identity_init(&next, &secret);
    setup();
    f.gw.next = &next;
    old = peer_gateway_session(&f.gw);
    visit();
    peer_next_key(old, &next.public_key);
    turns();
    ck_assert_uint_eq(f.gw.handshakes, 2); /* the config lacks it: nothing to come with */

    gateway = f.b.config->gateways[0];
    gateway.keys[gateway.key_count++] = next.public_key;
    con_uplink_update(f.uplink, &gateway);
    expect_epoch(2);
    ck_assert(tun_key_equal(&peer_gateway_session(&f.gw)->own, &next.public_key));
    ck_assert_uint_eq(f.gw.connections, 4); /* and not by way of the old key */
    ck_assert(old->goaway);
    still_served();
    peer_next_key(peer_gateway_session(&f.gw), &f.gw.identity.public_key);
    turns();
    ck_assert(con_uplink_is_up(f.uplink));
    teardown();
}
END_TEST

/* An upgrade that fails: visitors come on the old session throughout, and we are back by ourselves.
 */
START_TEST(test_uplink_serves_on_the_old_session_when_the_successor_dies)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_session *old, *heir;

    setup();
    old = peer_gateway_session(&f.gw);
    peer_goaway(old, TUN_CODE_UPGRADE, 10);
    expect_epoch(2);
    heir = peer_gateway_session(&f.gw);
    ck_assert_ptr_ne(heir, old);
    link_session_free(heir->link);
    heir->link = NULL;
    LOOP_UNTIL(f.b.loop, !con_uplink_is_up(f.uplink));
    peer_visit(&f.gw, &f.visitor, &open); /* the old one is the only one */
    f.service = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, f.visitor.ok);
    expect_epoch(3);
    ck_assert(old->link != NULL && !old->closed_in_order);
    peer_goaway(old, TUN_CODE_REPLACED, 0);
    peer_say(&f.visitor, NULL, true);
    close(f.service);
    f.service = -1;
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
    turns();
    ck_assert(con_uplink_is_up(f.uplink));
    ck_assert_uint_eq(f.gw.handshakes, 2);

    gateway.keys[0] = f.b.identity.public_key; /* the key in use is withdrawn */
    con_uplink_update(f.uplink, &gateway);
    ck_assert(!con_uplink_is_up(f.uplink));
    LOOP_UNTIL(f.b.loop, peer_gateway_live(&f.gw) == 0);
    ck_assert(f.gw.sessions[0].closed_in_order);
    teardown();
}
END_TEST

/* The gateway moved: the config's new address is where the lost links come back. */
START_TEST(test_uplink_update_leads_lost_links_to_the_new_address)
{
    struct con_gateway gateway;

    prepare();
    gateway = f.b.config->gateways[0];
    start();
    wait_links(2);
    visit();
    f.gw.manner = PEER_HANGS_UP;
    peer_cut(&f.gw.sessions[0], 0);
    peer_cut(&f.gw.sessions[0], 1);
    LOOP_UNTIL(f.b.loop, f.gw.connections > 4);
    f.gw.manner = PEER_ACCEPTS;
    con_uplink_update(f.uplink, &gateway); /* no wait: both dial at once */
    wait_links(2);
    still_served();
    teardown();
}
END_TEST

/* ---- leaving ------------------------------------------------------------------------------- */

/* How far it is while the uplink is told to leave or freed. */
static const enum peer_manner manners[] = {PEER_ACCEPTS,    PEER_HANGS_UP,      PEER_KNOWS_NOT,
                                           PEER_STAYS_MUTE, PEER_NEVER_ACCEPTS, PEER_ACCEPTS,
                                           PEER_HANGS_UP,   PEER_HANGS_UP};
#define STATES 8 /* the last three: up, without links, without links but with a visitor */

static void reach_state(int state)
{
    prepare();
    f.gw.manner = state >= 5 ? PEER_ACCEPTS : manners[state];
    start();
    if (state > 0)
        LOOP_UNTIL(f.b.loop, f.gw.connections > 0);
    if (state >= 4)
        LOOP_UNTIL(f.b.loop, f.gw.handshakes > 0);
    if (state < 5)
        return;
    wait_links(2);
    if (state == 7)
        visit();
    if (state >= 6) {
        f.gw.manner = PEER_HANGS_UP;
        peer_cut(&f.gw.sessions[0], 0);
        peer_cut(&f.gw.sessions[0], 1);
        LOOP_UNTIL(f.b.loop, !con_uplink_is_up(f.uplink));
    }
}

/* _i: the state */
START_TEST(test_uplink_leave_in_each_state_reports_once)
{
    reach_state(_i);
    con_uplink_leave(f.uplink);
    con_uplink_leave(f.uplink);
    ck_assert_int_eq(f.left, 0);
    if (_i == 7) { /* the visitor is waited for */
        turns();
        ck_assert_int_eq(f.left, 0);
        close(f.service);
        f.service = -1;
        con_uplink_hurry(f.uplink);
    }
    LOOP_UNTIL(f.b.loop, f.left == 1);
    ck_assert(!con_uplink_is_up(f.uplink));
    teardown();
}
END_TEST

START_TEST(test_uplink_hurry_in_each_state_reports_once)
{
    reach_state(_i);
    con_uplink_hurry(f.uplink);
    con_uplink_hurry(f.uplink);
    LOOP_UNTIL(f.b.loop, f.left == 1);
    teardown();
}
END_TEST

START_TEST(test_uplink_free_in_each_state)
{
    reach_state(_i);
    con_uplink_free(f.uplink);
    f.uplink = NULL;
    turns();
    ck_assert_int_eq(f.left, 0);
    teardown();
}
END_TEST

/* The visitor of an uplink that is leaving survives the loss of every link, too. */
START_TEST(test_uplink_that_leaves_still_resumes)
{
    setup();
    visit();
    con_uplink_leave(f.uplink);
    LOOP_UNTIL(f.b.loop, f.gw.sessions[0].goaway);
    peer_cut(&f.gw.sessions[0], 0);
    peer_cut(&f.gw.sessions[0], 1);
    LOOP_UNTIL(f.b.loop, link_session_live(f.gw.sessions[0].link) == 0);
    LOOP_UNTIL(f.b.loop, link_session_live(f.gw.sessions[0].link) > 0);
    still_served();
    peer_say(&f.visitor, NULL, true);
    close(f.service);
    f.service = -1;
    LOOP_UNTIL(f.b.loop, f.left == 1);
    LOOP_UNTIL(f.b.loop, f.gw.sessions[0].closed_in_order);
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/uplink: leaving");
    TCase *tc = tcase_create("uplink");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_uplink_goaway_moves_on_first);
    tcase_add_test(tc, test_uplink_goaway_of_an_upgrade_is_followed_soon);
    tcase_add_test(tc, test_uplink_session_that_is_left_survives_the_loss_of_a_link);
    tcase_add_test(tc, test_uplink_comes_anew_once_it_has_the_next_key);
    tcase_add_test(tc, test_uplink_serves_on_the_old_session_when_the_successor_dies);
    tcase_add_test(tc, test_uplink_update_with_the_same_key_keeps_the_session);
    tcase_add_test(tc, test_uplink_update_leads_lost_links_to_the_new_address);
    tcase_add_loop_test(tc, test_uplink_leave_in_each_state_reports_once, 0, STATES);
    tcase_add_loop_test(tc, test_uplink_hurry_in_each_state_reports_once, 0, STATES);
    tcase_add_loop_test(tc, test_uplink_free_in_each_state, 0, STATES);
    tcase_add_test(tc, test_uplink_that_leaves_still_resumes);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
