/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway takes other keys while it runs; nobody who is connected notices. */
#include "modules/gateway/rekey.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/keyfile.h"
#include "modules/gateway/gateway.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct rig *rig;
static struct gw_config config;
static struct gw_key_texts texts;
static char *dir;
static struct tun_public_key next_public;

static void write_key(const char *name, const struct tun_secret_key *secret)
{
    char *path = temp_dir_path(dir, name);

    ck_assert_int_eq(keyfile_write(path, KEYFILE_X25519, secret->bytes), ERR_OK);
    free(path);
}

static void move(const char *from, const char *to)
{
    char *old = temp_dir_path(dir, from), *new = temp_dir_path(dir, to);

    ck_assert_int_eq(rename(old, new), 0);
    free(old);
    free(new);
}

static void use_next(const char *name)
{
    (void)snprintf(config.next_key_path, sizeof(config.next_key_path), "%s%s%s",
                   name[0] != '\0' ? dir : "", name[0] != '\0' ? "/" : "", name);
}

static void setup(void)
{
    char why[GW_IDENTITY_WHY_MAX];
    struct gw_identity identity;
    struct tun_secret_key next;

    dir = temp_dir_new();
    rig = rig_new();
    gw_config_default(&config);
    ck_assert_int_eq(gw_config_place(&config, dir), ERR_OK);
    write_key("gateway.key", &rig->secret);
    memset(next.bytes, 0x77, sizeof(next.bytes));
    tun_key_public(&next_public, &next);
    write_key("next.key", &next);
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
    gw_rekey_texts(&texts, &identity);
    gw_identity_deinit(&identity);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-a", "a.example", 1)), ERR_OK);
}

static void teardown(void)
{
    rig_free(rig);
    temp_dir_free(dir);
}

static bool gets_in(const struct tun_public_key *pinned, unsigned place)
{
    struct rig_connector *c;

    rig->public_key = *pinned;
    rig->connectors[place].info.instance[0] = (uint8_t)(place + 1);
    c = rig_dial(rig, place, 1);
    for (int i = 0; i < 500 && !c->accepted && !c->failed; i++)
        rig_run(rig, 10);
    return c->accepted;
}

START_TEST(test_rekey_without_a_change_does_nothing)
{
    ck_assert(!gw_rekey(rig->worker, &texts, &config));
    ck_assert_str_eq(texts.next, "");
}
END_TEST

START_TEST(test_rekey_takes_a_next_key_and_keeps_sessions)
{
    struct rig_connector *first = rig_connect(rig, 1);

    ck_assert(first->accepted && !gets_in(&next_public, 2));
    use_next("next.key");
    ck_assert(gw_rekey(rig->worker, &texts, &config));
    ck_assert(!first->closed);
    ck_assert_str_ne(texts.next, "");
    ck_assert(gets_in(&next_public, 3));
}
END_TEST

/* The two files change places, or their names in the config do: it is the same. */
START_TEST(test_rekey_swaps_and_drops_without_ending_a_session)
{
    struct tun_public_key old = rig->public_key;
    struct rig_connector *first = rig_connect(rig, 1);
    char before[TUN_KEY_TEXT_LEN + 1];

    memcpy(before, texts.own, sizeof(before));
    use_next("next.key");
    ck_assert(gw_rekey(rig->worker, &texts, &config));
    move("gateway.key", "old.key");
    move("next.key", "gateway.key");
    use_next("old.key");
    ck_assert(gw_rekey(rig->worker, &texts, &config));
    ck_assert_str_eq(texts.next, before);
    ck_assert(gets_in(&old, 2) && gets_in(&next_public, 3));
    use_next("");
    ck_assert(gw_rekey(rig->worker, &texts, &config)); /* warns: two sessions have the old key */
    ck_assert(!first->closed && !rig->connectors[2].closed);
    ck_assert(!gets_in(&old, 4) && gets_in(&next_public, 5));
}
END_TEST

START_TEST(test_rekey_that_cannot_read_a_key_changes_nothing)
{
    struct tun_public_key old = rig->public_key;

    use_next("nowhere.key");
    ck_assert(!gw_rekey(rig->worker, &texts, &config));
    use_next("gateway.key"); /* the same key twice is a mistake */
    ck_assert(!gw_rekey(rig->worker, &texts, &config));
    ck_assert_str_eq(texts.next, "");
    ck_assert(gets_in(&old, 2));
}
END_TEST

/* A handshake that began with a key ends with it. */
START_TEST(test_rekey_lets_a_handshake_under_way_finish)
{
    struct rig_connector *c = rig_dial(rig, 1, 1);
    char path[] = "next.key";

    for (int i = 0; i < 100 && !link_handshake_heard(&c->handshake); i++)
        ev_run(rig->loop, EVRUN_ONCE); /* message 2 is on its way or here */
    move("gateway.key", "old.key");
    move(path, "gateway.key");
    ck_assert(gw_rekey(rig->worker, &texts, &config));
    for (int i = 0; i < 500 && !c->accepted && !c->failed; i++)
        rig_run(rig, 10);
    ck_assert(c->accepted);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/rekey");
    TCase *tc = tcase_create("sighup");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_rekey_without_a_change_does_nothing);
    tcase_add_test(tc, test_rekey_takes_a_next_key_and_keeps_sessions);
    tcase_add_test(tc, test_rekey_swaps_and_drops_without_ending_a_session);
    tcase_add_test(tc, test_rekey_that_cannot_read_a_key_changes_nothing);
    tcase_add_test(tc, test_rekey_lets_a_handshake_under_way_finish);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
