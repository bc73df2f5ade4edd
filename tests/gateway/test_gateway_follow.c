/* SPDX-License-Identifier: Apache-2.0 */
/* Following a state file that somebody else writes: only what differs is touched. */
#include "modules/gateway/follow.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "modules/gateway/snapshot.h"
#include "schemas/workload.h"
#include "tests/gateway/made.h"
#include "tests/gateway/plane.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define CONFIG                                                                                     \
    "[gateway]\ndomain = gw1.example.com\nverify-fqdn = no\npublic-address = 192.0.2.1\n"          \
    "[listen]\ntcp-ports = 20000-20003\n"

static struct ev_loop *loop;
static struct gw_config config;
static struct gw_store *ours, *theirs; /* theirs is what the other process writes */
static struct gw_provisioner *provisioner;
static struct plane plane;
static char *dir;

static void on_state(void *arg, struct gw_entry *entry, const struct sch_result *result)
{
    (void)arg;
    (void)entry;
    (void)result;
}

static void setup(void)
{
    struct gw_provisioner_config cfg = {
        .config = &config,
        .facts = {.config = &config, .public_key = MADE_KEY},
        .plane = plane_ops(&plane),
        .on_state = on_state,
    };

    cfg.loop = loop = ev_loop_new(EVFLAG_AUTO);
    dir = temp_dir_new();
    memset(&plane, 0, sizeof(plane));
    made_config(&config, CONFIG);
    ck_assert_int_eq(gw_store_new(&ours), ERR_OK);
    ck_assert_int_eq(gw_store_new(&theirs), ERR_OK);
    cfg.store = ours;
    ck_assert_int_eq(gw_provisioner_new(&provisioner, &cfg), ERR_OK);
}

static void teardown(void)
{
    gw_provisioner_free(provisioner);
    gw_store_free(ours);
    gw_store_free(theirs);
    plane_clear(&plane);
    ev_loop_destroy(loop);
    temp_dir_free(dir);
}

static void follow(void)
{
    char boot[GW_BOOT_MAX], *text, *path = temp_dir_path(dir, GW_SNAPSHOT_FILE);
    size_t len;

    gw_snapshot_boot(boot);
    ck_assert_int_eq(gw_snapshot_encode(theirs, boot, &text, &len), ERR_OK);
    ck_assert_int_eq(file_write(path, text, len), ERR_OK);
    ck_assert_int_eq(gw_follow(ours, provisioner, dir), ERR_OK);
    free(text);
    free(path);
}

static json_t *tcp(const char *name)
{
    return made_spec(name, SCH_TYPE_TCP_PROXY, made_data("\"port\":0"));
}

START_TEST(test_follow_takes_changes_leaves_the_same_and_drops_the_rest)
{
    struct gw_entry *kept;

    made_entry(theirs, "same", made_name("same", "same"));
    made_entry(theirs, "changed", made_name("changed", "before"));
    made_entry(theirs, "gone", made_name("gone", "gone"));
    follow();
    ck_assert_uint_eq(plane_count(&plane), 3);
    kept = gw_store_find(ours, GW_OWNER_AGENT, "7-1-same");

    made_entry(theirs, "changed", made_name("changed", "gone")); /* a name that becomes free */
    gw_store_remove(theirs, gw_store_find(theirs, GW_OWNER_AGENT, "7-1-gone"));
    made_entry(theirs, "new", made_name("new", "new"));
    gw_store_set_mark(theirs, (struct gw_mark){3, 9});
    plane.sets = 0;
    follow();
    ck_assert_uint_eq(plane.sets, 2);
    ck_assert_uint_eq(plane_count(&plane), 3);
    ck_assert_str_eq(plane_get(&plane, "7-1-changed")->host, "gone.gw1.example.com");
    ck_assert_ptr_nonnull(plane_get(&plane, "7-1-new"));
    ck_assert_ptr_eq(gw_store_find(ours, GW_OWNER_AGENT, "7-1-same"), kept);
    ck_assert_uint_eq(gw_store_mark(ours).rev, 9);
    plane.sets = 0;
    follow(); /* nothing new */
    ck_assert_uint_eq(plane.sets, 0);
}
END_TEST

/* The port that the other process gave out counts, whatever we would have given. */
START_TEST(test_follow_ports_are_those_of_the_file)
{
    made_entry(theirs, "a", tcp("a"))->port = 20002;
    follow();
    ck_assert_uint_eq(plane_get(&plane, "7-1-a")->port, 20002);
    gw_store_find(theirs, GW_OWNER_AGENT, "7-1-a")->port = 20003;
    follow();
    ck_assert_uint_eq(plane_get(&plane, "7-1-a")->port, 20003);
    ck_assert_uint_eq(gw_store_find(ours, GW_OWNER_AGENT, "7-1-a")->port, 20003);
    ck_assert_uint_eq(gw_provision_free_ports(provisioner), 3);
}
END_TEST

START_TEST(test_follow_an_entry_that_is_gone_leaves_service)
{
    struct gw_entry *entry = made_entry(theirs, "a", made_name("a", "blog"));

    follow();
    entry->gone = true;
    ck_assert_int_eq(gw_entry_set_spec(entry, "", 0), ERR_OK);
    follow();
    ck_assert_uint_eq(plane_count(&plane), 0);
    ck_assert(gw_store_find(ours, GW_OWNER_AGENT, "7-1-a")->gone);
}
END_TEST

/* A file that is not there, or not whole, says nothing about what is missing in it. */
START_TEST(test_follow_a_damaged_or_missing_file_ends_nothing)
{
    char *path = temp_dir_path(dir, GW_SNAPSHOT_FILE);

    made_entry(theirs, "a", made_name("a", "blog"));
    gw_store_set_mark(theirs, (struct gw_mark){3, 9});
    follow();
    ck_assert_int_eq(file_write(path, "damaged\n", 8), ERR_OK);
    ck_assert_int_eq(gw_follow(ours, provisioner, dir), ERR_OK); /* sets it aside */
    ck_assert_uint_eq(plane_count(&plane), 1);
    ck_assert_int_eq(gw_follow(ours, provisioner, dir), ERR_OK);
    ck_assert_uint_eq(plane_count(&plane), 1);
    ck_assert_uint_eq(gw_store_mark(ours).rev, 9);
    free(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/follow");
    TCase *tc = tcase_create("follow");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_follow_takes_changes_leaves_the_same_and_drops_the_rest);
    tcase_add_test(tc, test_follow_ports_are_those_of_the_file);
    tcase_add_test(tc, test_follow_an_entry_that_is_gone_leaves_service);
    tcase_add_test(tc, test_follow_a_damaged_or_missing_file_ends_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
