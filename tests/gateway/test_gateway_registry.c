/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets in, whom it replaces, what is counted, and how each one ends. */
#include "modules/gateway/registry.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/gateway/seat.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

static struct seat seat;
static struct gw_site *site;
static const uint8_t key[GW_KEY_LEN] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static void setup(void)
{
    seat_init(&seat);
    site = seat_site("7-1-blog", 1);
    seat_bind(&seat, site);
}

static void teardown(void)
{
    seat_unbind(&seat, site);
    seat_deinit(&seat);
}

START_TEST(test_registry_knows_which_keys_are_named)
{
    struct gw_site *other = seat_site("7-2-shop", 1);

    ck_assert(gw_registry_is_named(seat.registry, key));
    seat_bind(&seat, other);
    gw_registry_unbind(seat.registry, site, site->exposure);
    ck_assert(gw_registry_is_named(seat.registry, key));
    seat_unbind(&seat, other);
    ck_assert(!gw_registry_is_named(seat.registry, key));
    seat_bind(&seat, site);
}
END_TEST

START_TEST(test_registry_a_key_that_nobody_names_is_closed_without_a_word)
{
    const struct tun_connector_info info = {.name = "x", .version = "y"};
    struct seat_connector c;

    seat_offer(&seat, &c, 2, &info);
    ck_assert_int_eq(c.rc, ERR_NOENT);
    LOOP_UNTIL(seat.loop, c.vanished);
    ck_assert(!c.accepted && !c.rejected && !c.closed);
    ck_assert_uint_eq(seat.refused.count[GW_REASON_TUNNEL_UNKNOWN_KEY], 1);
    ck_assert_uint_eq(seat.ups, 0);
    seat_leave(&c);
}
END_TEST

START_TEST(test_registry_counts_each_session_once_though_two_backends_name_its_key)
{
    struct gw_site *twice = seat_site("7-2-shop", 1);
    struct seat_connector c;

    twice->exposure->backends[1] = twice->exposure->backends[0];
    strcpy(twice->exposure->backends[1].service, "other");
    twice->exposure->backend_count = 2;
    seat_bind(&seat, twice);
    seat_join(&seat, &c, 1, 1);
    ck_assert_uint_eq(site->online, 1);
    ck_assert_uint_eq(twice->online, 1);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 1);
    seat_leave(&c);
    LOOP_UNTIL(seat.loop, seat.downs == 1);
    ck_assert_uint_eq(twice->online, 0);
    ck_assert_str_eq(seat.why, "connection lost");
    seat_unbind(&seat, twice);
}
END_TEST

START_TEST(test_registry_a_site_bound_later_counts_who_is_here)
{
    struct gw_site *later = seat_site("7-2-shop", 1);
    struct seat_connector c;
    unsigned told;

    seat_join(&seat, &c, 1, 1);
    told = seat.site_told;
    seat_bind(&seat, later);
    ck_assert_uint_eq(later->online, 1);
    ck_assert_uint_eq(seat.site_told, told + 1);
    gw_registry_refresh(seat.registry, later); /* nothing changed: nothing to tell */
    ck_assert_uint_eq(seat.site_told, told + 1);
    seat_unbind(&seat, later);
    seat_leave(&c);
}
END_TEST

START_TEST(test_registry_takes_sessions_per_key_and_turns_the_next_one_away)
{
    struct tun_connector_info info = {.epoch = 1, .name = "x", .version = "y"};
    struct seat_connector c[3], fourth;

    seat.limits.sessions_per_key = 3;
    for (uint8_t i = 0; i < 3; i++)
        seat_join(&seat, &c[i], 1, i + 1);
    memset(info.instance, 9, sizeof(info.instance));
    seat_offer(&seat, &fourth, 1, &info);
    ck_assert_int_eq(fourth.rc, ERR_REFUSED);
    LOOP_UNTIL(seat.loop, fourth.vanished && c[2].accepted);
    ck_assert(fourth.rejected);
    ck_assert_int_eq(fourth.code, TUN_CODE_BUSY);
    ck_assert_uint_eq(seat.refused.count[GW_REASON_TUNNEL_TOO_MANY], 1);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 3);
    ck_assert_uint_eq(seat.downs, 0);
    for (int i = 0; i < 3; i++)
        seat_leave(&c[i]);
    seat_leave(&fourth);
}
END_TEST

/* Another connector of the instance that is here with epoch 5. */
static const struct {
    uint64_t epoch;
    bool welcome;
    enum tun_code code; /* told to the new one, or to the old one when it is welcome */
} seconds[] = {
    {0, false, TUN_CODE_STALE},
    {4, false, TUN_CODE_STALE},
    {6, true, TUN_CODE_REPLACED},
    {UINT64_MAX, true, TUN_CODE_REPLACED},
};

START_TEST(test_registry_the_newer_epoch_of_an_instance_wins)
{
    struct tun_connector_info info = {.epoch = 5, .link = 1, .name = "x", .version = "y"};
    struct seat_connector old, new;

    seat.limits.sessions_per_key = 1; /* a replacement needs no place of its own */
    memset(info.instance, 3, sizeof(info.instance));
    seat_offer(&seat, &old, 1, &info);
    info.epoch = seconds[_i].epoch;
    seat_offer(&seat, &new, 1, &info);
    ck_assert_int_eq(new.rc, seconds[_i].welcome ? ERR_OK : ERR_REFUSED);
    ck_assert_uint_eq(site->online, 1);
    if (seconds[_i].welcome)
        LOOP_UNTIL(seat.loop, old.closed && new.accepted);
    else
        LOOP_UNTIL(seat.loop, new.rejected &&old.accepted);
    ck_assert_int_eq(seconds[_i].welcome ? old.code : new.code, seconds[_i].code);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 1);
    seat_leave(&old);
    seat_leave(&new);
}
END_TEST

static const struct tun_connector_info *link_info(uint8_t number)
{
    static struct tun_connector_info info = {.epoch = 1, .name = "web-1", .version = "test"};

    memset(info.instance, 1, sizeof(info.instance)); /* as seat_join(.., 1) */
    info.link = number;
    return &info;
}

START_TEST(test_registry_links_of_the_same_epoch_are_one_session)
{
    struct gw_session_info info;
    struct seat_connector c;

    seat.limits.sessions_per_key = 1; /* counts sessions */
    seat_join(&seat, &c, 1, 1);
    seat_link(&seat, &c, 1, link_info(1));
    ck_assert_int_eq(c.rc, ERR_OK);
    LOOP_UNTIL(seat.loop, link_session_live(c.session) == 2);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 1);
    ck_assert_uint_eq(seat.ups, 1);
    ck_assert_uint_eq(seat.link_ups, 1);
    gw_session_info(gw_registry_first(seat.registry, key), &info);
    ck_assert_uint_eq(info.links, 2);
    ck_assert_uint_eq(info.connections[0].number, 0);
    ck_assert_uint_eq(info.connections[1].number, 1);
    seat_leave(&c);
}
END_TEST

START_TEST(test_registry_the_same_link_number_replaces_that_link)
{
    struct seat_connector c;

    seat_join(&seat, &c, 1, 1);
    LOOP_UNTIL(seat.loop, c.accepted);
    c.accepted = false;
    seat_link(&seat, &c, 1, link_info(0));
    LOOP_UNTIL(seat.loop, c.accepted && seat.link_losses == 1 && c.losses == 1);
    ck_assert_str_eq(seat.link_why, "replaced by a newer connection");
    ck_assert_uint_eq(seat.downs, 0);
    ck_assert_uint_eq(site->online, 1);
    seat_leave(&c);
}
END_TEST

START_TEST(test_registry_a_session_has_only_so_many_links)
{
    struct seat_connector c, one_more;

    seat_join(&seat, &c, 1, 1);
    for (uint8_t i = 1; i < TUN_LINKS_MAX; i++)
        seat_link(&seat, &c, 1, link_info(i));
    LOOP_UNTIL(seat.loop, link_session_live(c.session) == TUN_LINKS_MAX);
    seat_offer(&seat, &one_more, 1, link_info(TUN_LINKS_MAX));
    ck_assert_int_eq(one_more.rc, ERR_REFUSED);
    LOOP_UNTIL(seat.loop, one_more.rejected);
    ck_assert_int_eq(one_more.code, TUN_CODE_BUSY);
    ck_assert_uint_eq(seat.refused.count[GW_REASON_TUNNEL_TOO_MANY], 1);
    ck_assert_uint_eq(link_session_live(c.session), TUN_LINKS_MAX);
    seat_leave(&one_more);
    seat_leave(&c);
}
END_TEST

START_TEST(test_registry_a_session_without_a_link_is_offline_until_one_comes)
{
    struct gw_session_info info;
    struct seat_connector c;

    seat_join(&seat, &c, 1, 1);
    seat_link(&seat, &c, 1, link_info(1));
    LOOP_UNTIL(seat.loop, link_session_live(c.session) == 2 && c.lists == 1);
    seat_cut(&c, 0);
    LOOP_UNTIL(seat.loop, seat.link_losses == 1 && c.losses == 1);
    ck_assert_uint_eq(site->online, 1);
    seat_cut(&c, 1);
    LOOP_UNTIL(seat.loop, seat.link_losses == 2 && c.losses == 2);
    ck_assert_uint_eq(site->online, 0);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 1);
    gw_session_info(gw_registry_first(seat.registry, key), &info);
    ck_assert_str_eq(info.state, "waiting");
    ck_assert_str_eq(info.lost.why, "connection lost");
    seat_link(&seat, &c, 1, link_info(2));
    ck_assert_uint_eq(site->online, 1);
    LOOP_UNTIL(seat.loop, c.lists == 2); /* what changed meanwhile is told */
    ck_assert_uint_eq(seat.downs, 0);
    seat_leave(&c);
}
END_TEST

START_TEST(test_registry_a_session_ends_when_no_link_comes_back)
{
    struct gw_session_info info;
    struct seat_connector c, next;

    seat_join(&seat, &c, 1, 1);
    LOOP_UNTIL(seat.loop, c.accepted);
    seat_cut(&c, 0);
    LOOP_UNTIL(seat.loop, seat.downs == 1);
    ck_assert_str_eq(seat.why, "connection lost"); /* how its last link went */
    ck_assert_uint_eq(gw_registry_count(seat.registry), 0);
    seat_join(&seat, &next, 1, 2);
    gw_session_info(gw_registry_first(seat.registry, key), &info);
    ck_assert_str_eq(info.lost.why, "connection lost"); /* kept with the key */
    ck_assert_uint_gt(info.lost.at_ms, 0);
    seat_leave(&c);
    seat_leave(&next);
}
END_TEST

START_TEST(test_registry_connectors_without_an_instance_replace_nobody)
{
    const struct tun_connector_info info = {.epoch = 1, .name = "x", .version = "y"};
    struct seat_connector a, b;

    seat_offer(&seat, &a, 1, &info);
    seat_offer(&seat, &b, 1, &info);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 2);
    ck_assert_uint_eq(seat.downs, 0);
    seat_leave(&a);
    seat_leave(&b);
}
END_TEST

START_TEST(test_registry_serials_rise_and_the_first_is_the_oldest)
{
    struct seat_connector a, b;
    struct gw_session *s;

    seat_join(&seat, &a, 1, 1);
    seat_join(&seat, &b, 1, 2);
    s = gw_registry_first(seat.registry, key);
    ck_assert_uint_gt(s->serial, 0);
    ck_assert_uint_gt(TAILQ_NEXT(s, of_key)->serial, s->serial);
    seat_leave(&a);
    seat_leave(&b);
}
END_TEST

START_TEST(test_registry_sessions_of_a_key_end_when_its_last_site_goes)
{
    struct seat_connector c;

    seat_join(&seat, &c, 1, 1);
    LOOP_UNTIL(seat.loop, c.accepted);
    gw_registry_unbind(seat.registry, site, site->exposure);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 0);
    ck_assert_uint_eq(seat.downs, 1);
    LOOP_UNTIL(seat.loop, c.closed && c.vanished);
    ck_assert_int_eq(c.code, TUN_CODE_REVOKED);
    seat_bind(&seat, site);
}
END_TEST

START_TEST(test_registry_goaway_reaches_everyone_and_ends_no_one)
{
    struct seat_connector a, b;

    seat_join(&seat, &a, 1, 1);
    seat_join(&seat, &b, 1, 2);
    gw_registry_goaway(seat.registry, TUN_CODE_SHUTDOWN, "restart");
    LOOP_UNTIL(seat.loop, a.goaway && b.goaway);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 2);
    seat_leave(&a);
    seat_leave(&b);
}
END_TEST

/* While they move, the sessions here serve on, and whoever comes is asked to move as well. */
START_TEST(test_registry_move_asks_everyone_and_stops_no_one)
{
    struct seat_connector a, late, stays;

    seat_join(&seat, &a, 1, 1);
    gw_registry_move(seat.registry, 0);
    LOOP_UNTIL(seat.loop, a.goaway);
    ck_assert_int_eq(a.code, TUN_CODE_UPGRADE);
    ck_assert_uint_eq(site->online, 1);
    seat_join(&seat, &late, 1, 2);
    LOOP_UNTIL(seat.loop, late.goaway);
    ck_assert_uint_eq(site->online, 2);
    gw_registry_stay(seat.registry);
    seat_join(&seat, &stays, 1, 3);
    LOOP_UNTIL(seat.loop, stays.accepted);
    ck_assert(!stays.goaway);
    seat_leave(&a);
    seat_leave(&late);
    seat_leave(&stays);
}
END_TEST

/* The successor failed: the connector is back, and what is open on its old session goes on. */
START_TEST(test_registry_a_session_that_was_to_move_outlives_the_newer_one)
{
    struct tun_connector_info info = {.epoch = 1, .link = 1, .name = "x", .version = "y"};
    struct seat_connector old, back, again;

    memset(info.instance, 3, sizeof(info.instance));
    seat_offer(&seat, &old, 1, &info);
    gw_registry_move(seat.registry, 0);
    LOOP_UNTIL(seat.loop, old.goaway);
    gw_registry_stay(seat.registry);
    old.goaway = false;
    info.epoch = 3; /* 2 was the successor's */
    seat_offer(&seat, &back, 1, &info);
    LOOP_UNTIL(seat.loop, old.goaway && back.accepted);
    ck_assert_int_eq(old.code, TUN_CODE_REPLACED);
    ck_assert(!old.closed);
    ck_assert_uint_eq(site->online, 1);
    info.epoch = 4; /* lost and back again: that one gave its session up */
    seat_offer(&seat, &again, 1, &info);
    LOOP_UNTIL(seat.loop, back.closed && again.accepted);
    ck_assert(!old.closed);
    info.epoch = 2;
    seat_leave(&back);
    seat_offer(&seat, &back, 1, &info); /* measured against the newest */
    ck_assert_int_eq(back.rc, ERR_REFUSED);
    seat_leave(&old);
    seat_leave(&back);
    seat_leave(&again);
}
END_TEST

static void count_one(void *arg, const struct gw_session_info *info)
{
    ck_assert_str_eq(info->name, "web-1");
    (*(unsigned *)arg)++;
}

START_TEST(test_registry_lists_only_those_that_serve)
{
    const struct tun_connector_info info = {.epoch = 1, .name = "web-1", .version = "y"};
    struct seat_connector a, b;
    unsigned n = 0;

    seat.limits.sessions_per_key = 1;
    seat_join(&seat, &a, 1, 1);
    seat_offer(&seat, &b, 1, &info); /* turned away, still there until it has heard so */
    gw_registry_each(seat.registry, count_one, &n);
    ck_assert_uint_eq(n, 1);
    seat_leave(&a);
    seat_leave(&b);
}
END_TEST

/* Offered; accepted; turned away; a link replaced; ended; peer gone; told of exposures; two links;
 * one of them lost; both lost. */
START_TEST(test_registry_can_be_freed_in_every_state)
{
    struct tun_connector_info info = {.epoch = 1, .name = "x", .version = "y"};
    struct gw_site *own = seat_site("7-1-own", 1);
    struct seat_connector a, b = {0};
    struct seat s;

    seat_init(&s);
    s.limits.sessions_per_key = 1;
    seat_bind(&s, own);
    memset(info.instance, 1, sizeof(info.instance));
    seat_offer(&s, &a, 1, &info);
    if (_i >= 1)
        LOOP_UNTIL(s.loop, a.accepted);
    if (_i == 2)
        info.instance[0] = 2;
    if (_i == 2 || _i == 3)
        seat_offer(&s, &b, 1, &info);
    if (_i == 4)
        gw_registry_unbind(s.registry, own, own->exposure);
    if (_i == 5)
        seat_leave(&a);
    if (_i == 6)
        LOOP_UNTIL(s.loop, a.lists > 0);
    info.link = 1;
    if (_i >= 7)
        seat_link(&s, &a, 1, &info);
    for (unsigned i = 0; i + 8 <= (unsigned)_i; i++) {
        seat_cut(&a, (uint8_t)i);
        LOOP_UNTIL(s.loop, s.link_losses == i + 1);
    }
    gw_registry_free(s.registry);
    s.registry = NULL;
    seat_leave(&a);
    seat_leave(&b);
    gw_site_free(own);
    seat_deinit(&s);
}
END_TEST

/* The connector left it by GOAWAY before it came again: what is open there finishes. */
START_TEST(test_registry_a_session_that_said_goodbye_outlives_the_newer_one)
{
    struct tun_connector_info info = {.epoch = 1, .link = 1, .name = "x", .version = "y"};
    struct seat_connector old, newer;

    memset(info.instance, 3, sizeof(info.instance));
    seat_offer(&seat, &old, 1, &info);
    LOOP_UNTIL(seat.loop, old.accepted);
    tun_session_goaway(link_session_tunnel(old.session),
                       &(struct tun_notice){.code = TUN_CODE_SHUTDOWN});
    link_session_touch(old.session);
    LOOP_UNTIL(seat.loop, site->online == 0);
    info.epoch = 2;
    seat_offer(&seat, &newer, 1, &info);
    LOOP_UNTIL(seat.loop, newer.accepted);
    for (int i = 0; i < 50; i++)
        ev_run(seat.loop, EVRUN_NOWAIT);
    ck_assert(!old.closed && !old.vanished);
    ck_assert_uint_eq(site->online, 1);
    seat_leave(&old);
    seat_leave(&newer);
}
END_TEST

/* GOAWAY, then a higher epoch, again and again: each old session would hold its memory. */
START_TEST(test_registry_a_connector_that_hoards_sessions_loses_the_oldest)
{
    struct tun_connector_info info = {.link = 1, .name = "x", .version = "y"};
    struct seat_connector c[12];

    seat.limits.sessions_per_key = 2; /* and 10 that are being left */
    memset(info.instance, 3, sizeof(info.instance));
    for (unsigned i = 0; i < 12; i++) {
        info.epoch = i + 1;
        seat_offer(&seat, &c[i], 1, &info);
        LOOP_UNTIL(seat.loop, c[i].accepted && site->online == 1);
        tun_session_goaway(link_session_tunnel(c[i].session),
                           &(struct tun_notice){.code = TUN_CODE_SHUTDOWN});
        link_session_touch(c[i].session);
        LOOP_UNTIL(seat.loop, site->online == 0);
        ck_assert(!c[0].closed || i == 11);
    }
    LOOP_UNTIL(seat.loop, c[0].closed);
    ck_assert(!c[1].closed && !c[1].vanished);
    ck_assert_uint_eq(gw_registry_count(seat.registry), 11);
    for (unsigned i = 0; i < 12; i++)
        seat_leave(&c[i]);
}
END_TEST

START_TEST(test_registry_tells_live_connectors_which_key_to_have)
{
    const struct tun_secret_key present = {{1}}, next = {{2}};
    struct tun_public_key want;
    struct seat_connector c;
    struct gw_keyring *ring;

    seat_join(&seat, &c, 1, 1);
    ck_assert_int_eq(
        gw_keyring_new(&ring, &(struct gw_keyring_config){.key = &present, .next = &next}), ERR_OK);
    gw_registry_set_keys(seat.registry, ring);
    gw_keyring_unref(ring);
    LOOP_UNTIL(seat.loop, c.next_keys == 1);
    tun_key_public(&want, &next);
    ck_assert(tun_key_equal(&c.next_key, &want));
    seat_leave(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_registry");
    TCase *tc = tcase_create("registry");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_registry_knows_which_keys_are_named);
    tcase_add_test(tc, test_registry_a_key_that_nobody_names_is_closed_without_a_word);
    tcase_add_test(tc, test_registry_counts_each_session_once_though_two_backends_name_its_key);
    tcase_add_test(tc, test_registry_a_site_bound_later_counts_who_is_here);
    tcase_add_test(tc, test_registry_takes_sessions_per_key_and_turns_the_next_one_away);
    tcase_add_loop_test(tc, test_registry_the_newer_epoch_of_an_instance_wins, 0, COUNT(seconds));
    tcase_add_test(tc, test_registry_links_of_the_same_epoch_are_one_session);
    tcase_add_test(tc, test_registry_the_same_link_number_replaces_that_link);
    tcase_add_test(tc, test_registry_a_session_has_only_so_many_links);
    tcase_add_test(tc, test_registry_a_session_without_a_link_is_offline_until_one_comes);
    tcase_add_test(tc, test_registry_a_session_ends_when_no_link_comes_back);
    tcase_add_test(tc, test_registry_connectors_without_an_instance_replace_nobody);
    tcase_add_test(tc, test_registry_serials_rise_and_the_first_is_the_oldest);
    tcase_add_test(tc, test_registry_sessions_of_a_key_end_when_its_last_site_goes);
    tcase_add_test(tc, test_registry_goaway_reaches_everyone_and_ends_no_one);
    tcase_add_test(tc, test_registry_move_asks_everyone_and_stops_no_one);
    tcase_add_test(tc, test_registry_a_session_that_was_to_move_outlives_the_newer_one);
    tcase_add_test(tc, test_registry_a_session_that_said_goodbye_outlives_the_newer_one);
    tcase_add_test(tc, test_registry_a_connector_that_hoards_sessions_loses_the_oldest);
    tcase_add_test(tc, test_registry_tells_live_connectors_which_key_to_have);
    tcase_add_test(tc, test_registry_lists_only_those_that_serve);
    tcase_add_loop_test(tc, test_registry_can_be_freed_in_every_state, 0, 10);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
