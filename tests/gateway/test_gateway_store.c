/* SPDX-License-Identifier: Apache-2.0 */
/* Entries by owner and id. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/store.h"
#include "tests/support/suite.h"

static struct gw_store *store;

static void setup(void)
{
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
}

static void teardown(void)
{
    gw_store_free(store);
}

START_TEST(test_store_owners_do_not_mix)
{
    struct gw_entry *a = NULL, *z = NULL, *again = NULL;

    ck_assert_int_eq(gw_store_obtain(store, &a, GW_OWNER_AGENT, "7-1-x"), ERR_OK);
    ck_assert_ptr_null(gw_store_find(store, GW_OWNER_ZBUS, "7-1-x"));
    ck_assert_int_eq(gw_store_obtain(store, &z, GW_OWNER_ZBUS, "7-1-x"), ERR_OK);
    ck_assert_ptr_ne(a, z);
    ck_assert_int_eq(gw_store_obtain(store, &again, GW_OWNER_AGENT, "7-1-x"), ERR_OK);
    ck_assert_ptr_eq(a, again);
    gw_store_remove(store, z);
    ck_assert_ptr_eq(gw_store_find(store, GW_OWNER_AGENT, "7-1-x"), a);
    ck_assert_uint_eq(gw_store_count(store), 1);
}
END_TEST

START_TEST(test_store_ids_have_a_limit)
{
    struct gw_entry *entry = NULL;
    char id[GW_ID_MAX + 1];

    memset(id, 'x', sizeof(id));
    id[GW_ID_MAX] = '\0';
    ck_assert_int_eq(gw_store_obtain(store, &entry, GW_OWNER_AGENT, id), ERR_INVALID);
    ck_assert_ptr_null(gw_store_find(store, GW_OWNER_AGENT, id));
    id[GW_ID_MAX - 1] = '\0';
    ck_assert_int_eq(gw_store_obtain(store, &entry, GW_OWNER_AGENT, id), ERR_OK);
    ck_assert_int_eq(gw_store_obtain(store, &entry, GW_OWNER_AGENT, ""), ERR_INVALID);
}
END_TEST

START_TEST(test_store_spec_has_a_limit)
{
    struct gw_entry *entry = NULL;
    char *large = malloc(GW_SPEC_MAX + 1);

    memset(large, 'x', GW_SPEC_MAX + 1);
    ck_assert_int_eq(gw_store_obtain(store, &entry, GW_OWNER_AGENT, "a"), ERR_OK);
    ck_assert_int_eq(gw_entry_set_spec(entry, large, GW_SPEC_MAX + 1), ERR_LIMIT);
    ck_assert_str_eq(entry->spec, "");
    ck_assert_int_eq(gw_entry_set_spec(entry, large, GW_SPEC_MAX), ERR_OK);
    ck_assert_uint_eq(entry->spec_len, GW_SPEC_MAX);
    free(large);
}
END_TEST

START_TEST(test_store_marks_order_by_epoch_then_rev)
{
    struct gw_mark mark = {2, 5};

    ck_assert(gw_mark_before(&mark, 2, 6) && gw_mark_before(&mark, 3, 0));
    ck_assert(!gw_mark_before(&mark, 2, 5) && !gw_mark_before(&mark, 1, 99));
}
END_TEST

/* What the next save has to write: each once, and what is gone. */
START_TEST(test_store_remembers_what_was_touched)
{
    struct gw_entry *a = NULL, *b = NULL;
    enum gw_owner owner = GW_OWNER_AGENT;
    size_t at = 0;

    ck_assert_int_eq(gw_store_obtain(store, &a, GW_OWNER_AGENT, "a"), ERR_OK);
    ck_assert_int_eq(gw_store_obtain(store, &b, GW_OWNER_ZBUS, "b"), ERR_OK);
    ck_assert_uint_eq(gw_store_touched_count(store), 0);
    gw_store_touch(store, b);
    gw_store_touch(store, a);
    gw_store_touch(store, b);
    ck_assert_uint_eq(gw_store_touched_count(store), 2);
    ck_assert_ptr_eq(gw_store_next_touched(store, NULL), b);
    ck_assert_ptr_eq(gw_store_next_touched(store, b), a);
    gw_store_remove(store, b);
    ck_assert_ptr_eq(gw_store_next_touched(store, NULL), a);
    ck_assert_str_eq(gw_store_next_removed(store, &at, &owner), "b");
    ck_assert_int_eq(owner, GW_OWNER_ZBUS);
    ck_assert_ptr_null(gw_store_next_removed(store, &at, &owner));
    gw_store_forget_touched(store);
    ck_assert_uint_eq(gw_store_touched_count(store), 0);
    gw_store_touch(store, a); /* and again */
    ck_assert_uint_eq(gw_store_touched_count(store), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/store");
    TCase *tc = tcase_create("store");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_store_owners_do_not_mix);
    tcase_add_test(tc, test_store_ids_have_a_limit);
    tcase_add_test(tc, test_store_spec_has_a_limit);
    tcase_add_test(tc, test_store_marks_order_by_epoch_then_rev);
    tcase_add_test(tc, test_store_remembers_what_was_touched);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
