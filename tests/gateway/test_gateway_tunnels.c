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
static struct gw_session_info sessions[4];
static size_t session_count;

static void each_session(void *arg, gw_session_fn *fn, void *fn_arg)
{
    (void)arg;
    for (size_t i = 0; i < session_count; i++)
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
                                    .each_session = each_session};
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

int main(void)
{
    Suite *suite = suite_create("gateway/tunnels");
    TCase *tc = tcase_create("redis");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_tunnels_follow_sessions);
    tcase_add_test(tc, test_tunnels_change_touches_only_that_key);
    tcase_add_test(tc, test_tunnels_up_forgets_another_life);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
