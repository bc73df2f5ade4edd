/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/map.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/alloc.h"
#include "tests/support/suite.h"

static struct map *map;
static int values[1000];

static void setup(void)
{
    ck_assert_int_eq(map_new(&map), ERR_OK);
}

static void teardown(void)
{
    map_free(map);
    map_free(NULL);
}

/* The first rows of vectors_sip64 of the reference implementation. */
START_TEST(test_map_siphash_known_answers)
{
    static const uint64_t want[] = {0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
                                    0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
                                    0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462};
    uint8_t key[16], data[16];

    for (uint8_t i = 0; i < 16; i++)
        key[i] = data[i] = i;
    for (size_t len = 0; len < (size_t)COUNT(want); len++)
        ck_assert_uint_eq(map_siphash(key, data, len), want[len]);
    ck_assert_uint_eq(map_siphash(key, data, 15), 0xa129ca6149be45e5);
}
END_TEST

START_TEST(test_map_put_get_remove)
{
    void *old = &old;

    ck_assert_ptr_null(map_get_text(map, "a"));
    ck_assert_int_eq(map_put_text(map, "a", &values[0], &old), ERR_OK);
    ck_assert_ptr_null(old);
    ck_assert_int_eq(map_put_text(map, "a", &values[1], &old), ERR_OK);
    ck_assert_ptr_eq(old, &values[0]);
    ck_assert_int_eq(map_put_text(map, "b", &values[2], NULL), ERR_OK);
    ck_assert_uint_eq(map_count(map), 2);
    ck_assert_ptr_eq(map_get_text(map, "a"), &values[1]);
    ck_assert_ptr_eq(map_remove_text(map, "a"), &values[1]);
    ck_assert_ptr_null(map_remove_text(map, "a"));
    ck_assert_ptr_null(map_get_text(map, "a"));
    ck_assert_ptr_eq(map_get_text(map, "b"), &values[2]);
    ck_assert_uint_eq(map_count(map), 1);
}
END_TEST

START_TEST(test_map_keys_are_bytes_of_any_length)
{
    uint8_t key[64] = {0};

    for (size_t len = 0; len <= sizeof(key); len++)
        ck_assert_int_eq(map_put(map, key, len, &values[len], NULL), ERR_OK);
    key[63] = 1; /* the map has copies */
    ck_assert_ptr_null(map_get(map, key, 64));
    key[63] = 0;
    for (size_t len = 0; len <= sizeof(key); len++)
        ck_assert_ptr_eq(map_get(map, key, len), &values[len]);
    ck_assert_ptr_eq(map_get(map, NULL, 0), &values[0]);
}
END_TEST

static void put_numbers(int from, int to)
{
    char key[16];

    for (int i = from; i < to; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        ck_assert_int_eq(map_put_text(map, key, &values[i], NULL), ERR_OK);
    }
}

START_TEST(test_map_a_thousand_keys_are_all_found)
{
    char key[16];

    put_numbers(0, COUNT(values));
    ck_assert_uint_eq(map_count(map), COUNT(values));
    for (int i = 0; i < COUNT(values); i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        ck_assert_ptr_eq(map_get_text(map, key), &values[i]);
    }
}
END_TEST

START_TEST(test_map_churn_neither_grows_nor_loses)
{
    char key[16];

    put_numbers(0, 10);
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof(key), "x-%d", i);
        ck_assert_int_eq(map_put_text(map, key, &values[999], NULL), ERR_OK);
        ck_assert_ptr_eq(map_remove_text(map, key), &values[999]);
    }
    ck_assert_uint_eq(map_count(map), 10);
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        ck_assert_ptr_eq(map_get_text(map, key), &values[i]);
    }
}
END_TEST

START_TEST(test_map_next_visits_each_once)
{
    bool seen[100] = {false};
    const void *key;
    size_t at = 0, len, n = 0;
    int *value;

    put_numbers(0, 100);
    while ((value = map_next(map, &at, &key, &len)) != NULL) {
        char text[16];

        snprintf(text, sizeof(text), "key-%d", (int)(value - values));
        ck_assert_uint_eq(len, strlen(text));
        ck_assert_mem_eq(key, text, len);
        ck_assert(!seen[value - values]);
        seen[value - values] = true;
        n++;
    }
    ck_assert_uint_eq(n, 100);
    ck_assert_ptr_null(map_next(map, &at, NULL, NULL));
}
END_TEST

START_TEST(test_map_current_entry_may_go_while_iterating)
{
    const void *key;
    size_t at = 0, len;
    int *value, left = 0;

    put_numbers(0, 100);
    while ((value = map_next(map, &at, &key, &len)) != NULL) {
        if ((value - values) % 2 == 0)
            ck_assert_ptr_eq(map_remove(map, key, len), value);
    }
    ck_assert_uint_eq(map_count(map), 50);
    for (at = 0; (value = map_next(map, &at, NULL, NULL)) != NULL; left++)
        ck_assert_int_eq((value - values) % 2, 1);
    ck_assert_int_eq(left, 50);
}
END_TEST

START_TEST(test_map_two_maps_use_different_seeds)
{
    struct map *other = NULL;
    const void *key;
    size_t at = 0, other_at = 0, len;
    bool same = true;

    ck_assert_int_eq(map_new(&other), ERR_OK);
    put_numbers(0, 100);
    while (map_next(map, &at, &key, &len) != NULL)
        ck_assert_int_eq(map_put(other, key, len, &values[0], NULL), ERR_OK);
    for (at = 0; same && map_next(map, &at, &key, &len) != NULL;) {
        const void *other_key = NULL;
        size_t other_len = 0;

        map_next(other, &other_at, &other_key, &other_len);
        same = len == other_len && memcmp(key, other_key, len) == 0;
    }
    ck_assert(!same); /* one in 100! by chance */
    map_free(other);
}
END_TEST

/* Thirty keys, past the first rebuild: each is there if and only if it was taken. */
static bool fill(struct map *m)
{
    bool good = true;

    for (int i = 0; i < 30; i++) {
        size_t before = map_count(m);
        int rc = map_put(m, &i, sizeof(i), &values[i], NULL);

        good = good && (rc == ERR_OK || rc == ERR_NOMEM);
        good = good && map_count(m) == before + (rc == ERR_OK);
        good = good && map_get(m, &i, sizeof(i)) == (rc == ERR_OK ? &values[i] : NULL);
    }
    return good;
}

START_TEST(test_map_out_of_memory_changes_nothing)
{
    EACH_FAILED_ALLOCATION(n)
    {
        struct map *m = NULL;
        int rc = map_new(&m);
        bool good = rc == ERR_OK ? fill(m) : rc == ERR_NOMEM && m == NULL;

        (void)alloc_fail_off();
        ck_assert(good);
        map_free(m);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/map");
    TCase *tc = tcase_create("map");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_map_siphash_known_answers);
    tcase_add_test(tc, test_map_put_get_remove);
    tcase_add_test(tc, test_map_keys_are_bytes_of_any_length);
    tcase_add_test(tc, test_map_a_thousand_keys_are_all_found);
    tcase_add_test(tc, test_map_churn_neither_grows_nor_loses);
    tcase_add_test(tc, test_map_next_visits_each_once);
    tcase_add_test(tc, test_map_current_entry_may_go_while_iterating);
    tcase_add_test(tc, test_map_two_maps_use_different_seeds);
    tcase_add_test(tc, test_map_out_of_memory_changes_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
