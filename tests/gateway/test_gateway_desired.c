/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent wrote: only whole and newer states count, and only "gone" deletes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/desired.h"
#include "tests/gateway/made.h"
#include "tests/support/suite.h"

static struct gw_store *store;
static struct gw_desired_sum sum;
static char why[GW_DESIRED_WHY_MAX];
static char said[1024]; /* what the callbacks said, in order */

static void say(const char *what, const struct gw_entry *entry)
{
    size_t len = strlen(said);

    (void)snprintf(said + len, sizeof(said) - len, "%s(%s)", what, entry->id);
}

static void on_change(void *arg, struct gw_entry *entry, bool changed)
{
    (void)arg;
    say(entry->gone ? "gone" : changed ? "set" : "same", entry);
}

static void on_forget(void *arg, struct gw_entry *entry)
{
    (void)arg;
    say("forget", entry);
    gw_store_remove(store, entry);
}

static void on_orphan(void *arg, struct gw_entry *entry)
{
    (void)arg;
    say("orphan", entry);
}

static const struct gw_desired_ops ops = {on_change, on_forget, on_orphan, NULL};

static void setup(void)
{
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    memset(&sum, 0, sizeof(sum));
    said[0] = '\0';
}

static void teardown(void)
{
    gw_store_free(store);
}

/* One look over fields "id text"; applies when good. TEXTs are freed. */
static enum gw_verdict look(const struct made_desired *d, bool partial, size_t count, ...)
{
    struct gw_desired *look = NULL;
    enum gw_verdict verdict;
    va_list ap;

    said[0] = why[0] = '\0';
    ck_assert_int_eq(gw_desired_new(&look, store, partial ? &sum : NULL), ERR_OK);
    va_start(ap, count);
    for (size_t i = 0; i < count; i++) {
        const char *id = va_arg(ap, const char *);
        char *text = va_arg(ap, char *);

        if (text != NULL)
            (void)gw_desired_add(look, id, strlen(id), text, strlen(text), why);
        else
            gw_desired_absent(look, id);
        free(text);
    }
    va_end(ap);
    verdict = gw_desired_judge(look, &d->head, why);
    if (verdict == GW_DESIRED_GOOD)
        ck_assert_int_eq(gw_desired_apply(look, &d->head, &ops, &sum), ERR_OK);
    gw_desired_free(look);
    return verdict;
}

START_TEST(test_desired_new_entries_are_taken)
{
    struct made_desired d = {0};
    char *a = made_field(&d, "7-1-a", 1, made_name("a", "a"));
    char *b = made_field(&d, "7-1-b", 2, made_name("b", "b"));

    made_head(&d, 1, 2);
    ck_assert_int_eq(look(&d, false, 2, "7-1-a", a, "7-1-b", b), GW_DESIRED_GOOD);
    ck_assert_uint_eq(gw_store_count(store), 2);
    ck_assert_uint_eq(gw_store_mark(store).rev, 2);
    ck_assert_uint_eq(gw_store_find(store, GW_OWNER_AGENT, "7-1-b")->rev, 2);
    ck_assert(sum.known);
    ck_assert_uint_eq(sum.count, 2);
}
END_TEST

/* Start every later test from one served workload 7-1-a at epoch 1, rev 1. */
static void have_one(void)
{
    struct made_desired d = {0};
    char *a = made_field(&d, "7-1-a", 1, made_name("a", "a"));

    made_head(&d, 1, 1);
    ck_assert_int_eq(look(&d, false, 1, "7-1-a", a), GW_DESIRED_GOOD);
    ck_assert_str_eq(said, "set(7-1-a)");
}

START_TEST(test_desired_same_state_again_says_nothing)
{
    struct made_desired d = {0};
    char *a = made_field(&d, "7-1-a", 1, made_name("a", "a"));

    have_one();
    made_head(&d, 1, 1);
    ck_assert_int_eq(look(&d, false, 1, "7-1-a", a), GW_DESIRED_GOOD);
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(test_desired_new_epoch_is_reported_but_changes_nothing)
{
    struct made_desired d = {0};
    char *a = made_field(&d, "7-1-a", 1, made_name("a", "a"));

    have_one();
    made_head(&d, 2, 1);
    ck_assert_int_eq(look(&d, false, 1, "7-1-a", a), GW_DESIRED_GOOD);
    ck_assert_str_eq(said, "same(7-1-a)");
    ck_assert_uint_eq(gw_store_find(store, GW_OWNER_AGENT, "7-1-a")->epoch, 2);
}
END_TEST

START_TEST(test_desired_older_head_is_a_replay)
{
    struct made_desired d = {0};
    char *a = made_field(&d, "7-1-a", 2, made_name("a", "other"));

    have_one();
    made_head(&d, 0, 9);
    ck_assert_int_eq(look(&d, false, 1, "7-1-a", a), GW_DESIRED_STALE);
    ck_assert_ptr_nonnull(strstr(why, "older than epoch 1"));
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(test_desired_missing_field_is_wrong_and_deletes_nothing)
{
    struct made_desired d = {0};

    free(made_field(&d, "7-1-a", 1, made_name("a", "a")));
    have_one();
    made_head(&d, 1, 2);
    ck_assert_int_eq(look(&d, false, 0), GW_DESIRED_WRONG);
    ck_assert_uint_eq(gw_store_count(store), 1);
}
END_TEST

START_TEST(test_desired_whole_state_without_ours_keeps_it_as_orphan)
{
    struct made_desired d = {0};

    have_one();
    made_head(&d, 1, 2);
    ck_assert_int_eq(look(&d, false, 0), GW_DESIRED_GOOD);
    ck_assert_str_eq(said, "orphan(7-1-a)");
    ck_assert_ptr_nonnull(gw_store_find(store, GW_OWNER_AGENT, "7-1-a"));
}
END_TEST

START_TEST(test_desired_gone_then_forgotten)
{
    struct made_desired d = {0}, none = {0};
    char *gone = made_field(&d, "7-1-a", 2, NULL);

    have_one();
    made_head(&d, 1, 2);
    ck_assert_int_eq(look(&d, false, 1, "7-1-a", gone), GW_DESIRED_GOOD);
    ck_assert_str_eq(said, "gone(7-1-a)");
    made_head(&none, 1, 2);
    ck_assert_int_eq(look(&none, false, 0), GW_DESIRED_GOOD);
    ck_assert_str_eq(said, "forget(7-1-a)");
    ck_assert_uint_eq(gw_store_count(store), 0);
}
END_TEST

/* A name moves from one workload to another in one look: it must be free when it is taken. */
START_TEST(test_desired_deletes_come_before_sets)
{
    for (int round = 0; round < 8; round++) { /* whatever the order of the hash table */
        struct made_desired d = {0};
        char *b = made_field(&d, "7-1-b", 3, made_name("b", "a"));
        char *a = made_field(&d, "7-1-a", 2, NULL);

        teardown();
        setup();
        have_one();
        made_head(&d, 1, 3);
        ck_assert_int_eq(look(&d, false, 2, "7-1-b", b, "7-1-a", a), GW_DESIRED_GOOD);
        ck_assert_str_eq(said, "gone(7-1-a)set(7-1-b)");
    }
}
END_TEST

static unsigned newest;

/* The store holds them all when the first is told, so whoever must give way can be seen to. */
static void on_turn(void *arg, struct gw_entry *entry, bool changed)
{
    (void)changed;
    ck_assert_uint_gt(entry->rev, newest);
    newest = (unsigned)entry->rev;
    for (char c = 'a'; c < 'i'; c++) {
        char id[8] = "7-1-?";

        id[4] = c;
        ck_assert_ptr_nonnull(gw_store_find(arg, GW_OWNER_AGENT, id));
    }
}

/* In the order in which the agent decided, whatever the bus gives them in. */
START_TEST(test_desired_entries_come_by_rev)
{
    struct gw_desired_ops turns = {on_turn, on_forget, on_orphan, store};
    struct gw_desired *desired = NULL;
    struct made_desired d = {0};
    struct gw_desired_sum total;
    char reason[GW_DESIRED_WHY_MAX];

    ck_assert_int_eq(gw_desired_new(&desired, store, NULL), ERR_OK);
    for (unsigned i = 0; i < 8; i++) {
        char name[2] = {(char)('a' + i), '\0'}, id[8] = "7-1-?", *text;

        id[4] = name[0];
        text = made_field(&d, id, 1 + (i * 5 + 3) % 8, made_name(name, name));
        ck_assert_int_eq(gw_desired_add(desired, id, 5, text, strlen(text), reason), ERR_OK);
        free(text);
    }
    made_head(&d, 1, 9);
    newest = 0;
    ck_assert_int_eq(gw_desired_apply(desired, &d.head, &turns, &total), ERR_OK);
    ck_assert_uint_eq(newest, 8);
    gw_desired_free(desired);
}
END_TEST

START_TEST(test_desired_any_flipped_bit_changes_nothing)
{
    struct made_desired d = {0};
    char *a = made_field(&d, "7-1-a", 2, made_name("a", "b"));
    size_t len = strlen(a);

    have_one();
    made_head(&d, 1, 2);
    for (size_t i = 0; i < len * 8; i++) {
        char *copy = strdup(a);
        enum gw_verdict verdict;

        copy[i / 8] = (char)(copy[i / 8] ^ (1 << (i % 8)));
        verdict = look(&d, false, 1, "7-1-a", copy);
        ck_assert_msg(verdict != GW_DESIRED_GOOD, "bit %zu of byte %zu", i % 8, i / 8);
        ck_assert_str_eq(said, "");
        ck_assert_uint_eq(gw_store_mark(store).rev, 1);
    }
    ck_assert_int_eq(look(&d, false, 1, "7-1-a", a), GW_DESIRED_GOOD);
}
END_TEST

START_TEST(test_desired_older_rev_under_a_newer_head_is_refused)
{
    struct made_desired d = {0}, e = {0};
    char *a5 = made_field(&d, "7-1-a", 5, made_name("a", "a")), *a4;
    struct gw_desired *one = NULL;

    made_head(&d, 1, 5);
    ck_assert_int_eq(look(&d, false, 1, "7-1-a", a5), GW_DESIRED_GOOD);
    a4 = made_field(&e, "7-1-a", 4, made_name("a", "old"));
    made_head(&e, 1, 6);
    ck_assert_int_eq(gw_desired_new(&one, store, NULL), ERR_OK);
    ck_assert_int_eq(gw_desired_add(one, "7-1-a", 5, a4, strlen(a4), why), ERR_OK);
    ck_assert_int_eq(gw_desired_judge(one, &e.head, why), GW_DESIRED_GOOD);
    said[0] = '\0';
    ck_assert_int_eq(gw_desired_apply(one, &e.head, &ops, &sum), ERR_INVALID);
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(gw_store_mark(store).rev, 5);
    ck_assert(!sum.known);
    gw_desired_free(one);
    free(a4);
}
END_TEST

START_TEST(test_desired_repeated_field_counts_once)
{
    struct made_desired d = {0};
    char *a = made_field(&d, "7-1-a", 1, made_name("a", "a"));

    made_head(&d, 1, 1);
    ck_assert_int_eq(look(&d, false, 2, "7-1-a", strdup(a), "7-1-a", a), GW_DESIRED_GOOD);
}
END_TEST

/* A partial look adds to what a whole one counted. */
START_TEST(test_desired_partial_look)
{
    struct made_desired d = {0}, e = {0};
    char *b;

    have_one();
    free(made_field(&d, "7-1-a", 1, made_name("a", "a")));
    b = made_field(&d, "7-1-b", 2, made_name("b", "b"));
    made_head(&d, 1, 2);
    ck_assert_int_eq(look(&d, true, 1, "7-1-b", b), GW_DESIRED_GOOD);
    ck_assert_str_eq(said, "set(7-1-b)");

    b = made_field(&e, "7-1-b", 3, NULL);
    made_head(&e, 1, 3); /* without 7-1-a: it was not named, so it still counts */
    ck_assert_int_eq(look(&e, true, 1, "7-1-b", b), GW_DESIRED_WRONG);
    ck_assert_uint_eq(gw_store_count(store), 2);
}
END_TEST

START_TEST(test_desired_partial_look_forgets_what_went)
{
    struct made_desired d = {0}, none = {0};
    char *gone = made_field(&d, "7-1-a", 2, NULL);

    have_one();
    made_head(&d, 1, 2);
    ck_assert_int_eq(look(&d, true, 1, "7-1-a", gone), GW_DESIRED_GOOD);
    made_head(&none, 1, 2);
    ck_assert_int_eq(look(&none, true, 1, "7-1-a", NULL), GW_DESIRED_GOOD);
    ck_assert_str_eq(said, "forget(7-1-a)");
    ck_assert_uint_eq(sum.count, 0);
}
END_TEST

START_TEST(test_desired_odd_field_names_spoil_the_look)
{
    static const char *const names[] = {"", "7-1-\0x"};
    struct gw_desired *one = NULL;
    char longest[GW_ID_MAX + 1];

    memset(longest, 'x', sizeof(longest));
    ck_assert_int_eq(gw_desired_new(&one, store, NULL), ERR_OK);
    ck_assert_int_eq(gw_desired_add(one, names[0], 0, "{}", 2, why), ERR_INVALID);
    ck_assert_int_eq(gw_desired_add(one, names[1], 6, "{}", 2, why), ERR_INVALID);
    ck_assert_int_eq(gw_desired_add(one, longest, GW_ID_MAX, "{}", 2, why), ERR_INVALID);
    gw_desired_free(one);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/desired");
    TCase *tc = tcase_create("look");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_desired_new_entries_are_taken);
    tcase_add_test(tc, test_desired_same_state_again_says_nothing);
    tcase_add_test(tc, test_desired_new_epoch_is_reported_but_changes_nothing);
    tcase_add_test(tc, test_desired_older_head_is_a_replay);
    tcase_add_test(tc, test_desired_missing_field_is_wrong_and_deletes_nothing);
    tcase_add_test(tc, test_desired_whole_state_without_ours_keeps_it_as_orphan);
    tcase_add_test(tc, test_desired_gone_then_forgotten);
    tcase_add_test(tc, test_desired_deletes_come_before_sets);
    tcase_add_test(tc, test_desired_entries_come_by_rev);
    tcase_add_test(tc, test_desired_any_flipped_bit_changes_nothing);
    tcase_add_test(tc, test_desired_older_rev_under_a_newer_head_is_refused);
    tcase_add_test(tc, test_desired_repeated_field_counts_once);
    tcase_add_test(tc, test_desired_partial_look);
    tcase_add_test(tc, test_desired_partial_look_forgets_what_went);
    tcase_add_test(tc, test_desired_odd_field_names_spoil_the_look);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
