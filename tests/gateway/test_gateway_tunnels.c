/* SPDX-License-Identifier: Apache-2.0 */
/* netwall:tunnels says what lives, and nothing else. */
#include "modules/gateway/tunnels.h"

#include <ev.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/link.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

#define HASH "p:netwall:tunnels"
#define KEY_A "0a00000000000000000000000000000000000000000000000000000000000000"

static struct world w;
static struct gw_tunnels *tunnels;
static struct gw_session_info sessions[500];
static size_t session_count;

static void each_session(void *arg, gw_session_fn *fn, void *fn_arg)
{
    (void)arg;
    for (size_t i = 0; i < session_count; i++)
        fn(fn_arg, &sessions[i]);
}

static void sessions_of(void *arg, const uint8_t key[GW_KEY_LEN], gw_session_fn *fn, void *fn_arg)
{
    (void)arg;
    for (size_t i = 0; i < session_count; i++)
        if (memcmp(sessions[i].key, key, GW_KEY_LEN) == 0)
            fn(fn_arg, &sessions[i]);
}

static void add_session(uint8_t key, const char *name)
{
    struct gw_session_info *s = &sessions[session_count++];

    memset(s, 0, sizeof(*s));
    s->key[0] = key;
    s->name = name;
    s->software = "test";
    s->state = "up";
    ck_assert_int_eq(addr_parse(&s->remote, "192.0.2.1:5"), ERR_OK);
}

static void setup(void)
{
    world_open(&w, NULL);
    struct gw_tunnels_config cfg = {.loop = w.loop,
                                    .link = w.link,
                                    .prefix = "p:",
                                    .every_ms = 60000,
                                    .each_session = each_session,
                                    .sessions_of = sessions_of};
    ck_assert_int_eq(gw_tunnels_new(&tunnels, &cfg), ERR_OK);
    session_count = 0;
}

static void teardown(void)
{
    gw_tunnels_free(tunnels);
    world_close(&w);
}

static bool field_is(const char *part)
{
    return strstr(world_do(&w, "HGET", HASH, KEY_A, NULL), part) != NULL;
}

START_TEST(test_tunnels_follow_sessions)
{
    uint8_t a[GW_KEY_LEN] = {0x0a};

    ck_assert_str_eq(world_do(&w, "HLEN", HASH, NULL), "0");
    add_session(0x0a, "one");
    gw_tunnels_changed(tunnels, a);
    LOOP_POLL(w.loop, field_is("\"name\":\"one\""));
    add_session(0x0a, "two");
    gw_tunnels_changed(tunnels, a);
    LOOP_POLL(w.loop, field_is("two"));
    ck_assert(field_is("one"));
    session_count = 0;
    gw_tunnels_changed(tunnels, a);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "EXISTS", HASH, NULL), "0") == 0);
}
END_TEST

START_TEST(test_tunnels_change_touches_only_that_key)
{
    uint8_t a[GW_KEY_LEN] = {0x0a};

    (void)world_do(&w, "PING", NULL);
    add_session(0x0a, "one");
    add_session(0x0b, "other");
    gw_tunnels_changed(tunnels, a);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "HLEN", HASH, NULL), "1") == 0);
    gw_tunnels_up(tunnels);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "HLEN", HASH, NULL), "2") == 0);
}
END_TEST

START_TEST(test_tunnels_up_forgets_another_life)
{
    (void)world_do(&w, "HSET", HASH, "dead", "[]", NULL);
    add_session(0x0a, "one");
    gw_tunnels_up(tunnels);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "HKEYS", HASH, NULL), KEY_A) == 0);
    gw_tunnels_clear(tunnels);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "EXISTS", HASH, NULL), "0") == 0);
}
END_TEST

/* Each key's turn comes, though few are written at once. */
START_TEST(test_tunnels_of_many_keys_are_all_written_and_all_go)
{
    (void)world_do(&w, "PING", NULL);
    for (size_t i = 0; i < 500; i++) {
        add_session((uint8_t)(i >> 1), "one of many");
        sessions[i].key[1] = (uint8_t)(i & 1);
    }
    gw_tunnels_up(tunnels);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "HLEN", HASH, NULL), "500") == 0);
    session_count = 1;
    for (size_t i = 0; i < 500; i++)
        gw_tunnels_changed(tunnels, sessions[i].key);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "HLEN", HASH, NULL), "1") == 0);
}
END_TEST

/* The numbers of a session that neither comes nor goes. */
START_TEST(test_tunnels_are_written_anew_every_few_seconds)
{
    struct gw_tunnels_config cfg = {.loop = w.loop,
                                    .link = w.link,
                                    .prefix = "p:",
                                    .every_ms = 50,
                                    .each_session = each_session,
                                    .sessions_of = sessions_of};
    gw_tunnels_free(tunnels);
    ck_assert_int_eq(gw_tunnels_new(&tunnels, &cfg), ERR_OK);
    (void)world_do(&w, "PING", NULL);
    add_session(0x0a, "before");
    gw_tunnels_up(tunnels);
    LOOP_POLL(w.loop, field_is("before"));
    sessions[0].name = "after";
    LOOP_POLL(w.loop, field_is("after"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/tunnels");
    TCase *tc = tcase_create("redis");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_tunnels_follow_sessions);
    tcase_add_test(tc, test_tunnels_change_touches_only_that_key);
    tcase_add_test(tc, test_tunnels_up_forgets_another_life);
    tcase_add_test(tc, test_tunnels_of_many_keys_are_all_written_and_all_go);
    tcase_add_test(tc, test_tunnels_are_written_anew_every_few_seconds);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
