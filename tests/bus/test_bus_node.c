/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's getters: the forms of times, other types, empty text. */
#include "bus/node.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/golden.h"
#include "tests/support/suite.h"

static struct bus_tree *tree_of(uint8_t *bytes, size_t cap, const char *hex)
{
    struct bus_tree *tree = NULL;
    size_t len = golden_bytes(bytes, cap, hex);

    ck_assert_int_eq(bus_tree_new(&tree, bytes, len, NULL), ERR_OK);
    return tree;
}

static const struct {
    const char *hex;
    int64_t sec;
    uint32_t nsec;
} times[] = {
    {"d6ff6553f100", 1700000000, 0},
    {"d6ff00000000", 0, 0},
    {"d6ffffffffff", UINT32_MAX, 0},
    {"d7ff0000000100000000", (int64_t)UINT32_MAX + 1, 0},
    {"d7ffee6b27ffffffffff", ((int64_t)1 << 34) - 1, 999999999},
    {"c70cff 00000000 0000000400000000", (int64_t)1 << 34, 0},
    {"c70cff 00000001 ffffffffffffffff", -1, 1},
    {"c70cff 00000000 fffffff1886e0900", -62135596800, 0}, /* Go's zero time */
};

START_TEST(test_node_times_in_their_three_forms)
{
    uint8_t bytes[32];
    struct bus_tree *tree = tree_of(bytes, sizeof(bytes), times[_i].hex);
    int64_t sec = 0;
    uint32_t nsec = 0;

    ck_assert(bus_node_time(bus_tree_root(tree), &sec, &nsec));
    ck_assert_int_eq(sec, times[_i].sec);
    ck_assert_uint_eq(nsec, times[_i].nsec);
    bus_tree_free(tree);
}
END_TEST

START_TEST(test_node_getters_refuse_other_types)
{
    uint8_t bytes[16];
    struct bus_tree *tree = tree_of(bytes, sizeof(bytes), "81 a178 92 ff c3");
    const struct bus_node *root = bus_tree_root(tree), *list = bus_node_get(root, "x");
    const uint8_t *data;
    const char *text;
    uint64_t u = 7;
    int64_t i = 7;
    bool flag = false;
    size_t len;
    double real;
    char copy[4];

    ck_assert(!bus_node_uint(bus_node_at(list, 0), &u) && u == 7);
    ck_assert(bus_node_int(bus_node_at(list, 0), &i) && i == -1);
    ck_assert(bus_node_real(bus_node_at(list, 0), &real) && real == -1.0);
    ck_assert(bus_node_bool(bus_node_at(list, 1), &flag) && flag);
    ck_assert(!bus_node_text(list, &text, &len) && !bus_node_bytes(list, &data, &len));
    ck_assert(!bus_node_bool(list, &flag) && !bus_node_int(NULL, &i) &&
              !bus_node_real(root, &real));
    ck_assert(bus_node_is_nil(NULL) && !bus_node_is_nil(root) && bus_node_is_array(list));
    ck_assert(!bus_node_copy(list, copy, sizeof(copy)) && bus_node_count(NULL) == 0);
    ck_assert_ptr_null(bus_node_key(list, 0, &len));
    ck_assert_ptr_null(bus_node_key(root, 1, &len));
    bus_tree_free(tree);
}
END_TEST

/* As Go's decoder: a nil is a zero. */
START_TEST(test_node_nil_is_the_zero_value)
{
    uint8_t bytes[4];
    struct bus_tree *tree = tree_of(bytes, sizeof(bytes), "c0");
    const struct bus_node *nil = bus_tree_root(tree);
    const uint8_t *data;
    uint64_t u = 7;
    int64_t i = 7;
    uint32_t nsec;
    bool flag = true;
    size_t len;
    double real = 7.0;
    char copy[4] = "x";

    ck_assert(bus_node_uint(nil, &u) && u == 0);
    ck_assert(bus_node_int(nil, &i) && i == 0);
    ck_assert(bus_node_real(nil, &real) && real == 0.0);
    ck_assert(bus_node_bool(nil, &flag) && !flag);
    ck_assert(bus_node_copy(nil, copy, sizeof(copy)) && copy[0] == '\0');
    ck_assert(!bus_node_bytes(nil, &data, &len) && !bus_node_time(nil, &i, &nsec));
    bus_tree_free(tree);
}
END_TEST

START_TEST(test_node_empty_text_points_somewhere)
{
    uint8_t bytes[16];
    struct bus_tree *tree = tree_of(bytes, sizeof(bytes), "81 a0 92 a0 c400");
    const struct bus_node *root = bus_tree_root(tree), *list = bus_node_get(root, "");
    const uint8_t *data = NULL;
    const char *text = NULL;
    size_t len = 7;

    ck_assert_ptr_nonnull(bus_node_key(root, 0, &len));
    ck_assert_uint_eq(len, 0);
    ck_assert(bus_node_text(bus_node_at(list, 0), &text, &len) && text != NULL && len == 0);
    ck_assert(bus_node_bytes(bus_node_at(list, 1), &data, &len) && data != NULL && len == 0);
    bus_tree_free(tree);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/node");
    TCase *tc = tcase_create("node");

    tcase_add_loop_test(tc, test_node_times_in_their_three_forms, 0, COUNT(times));
    tcase_add_test(tc, test_node_getters_refuse_other_types);
    tcase_add_test(tc, test_node_nil_is_the_zero_value);
    tcase_add_test(tc, test_node_empty_text_points_somewhere);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
