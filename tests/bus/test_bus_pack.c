/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: its cap, its sticky error, the forms of times. */
#include "bus/pack.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/golden.h"
#include "tests/support/suite.h"

static void assert_packed(const struct bus_pack *pack, const char *hex)
{
    uint8_t want[1024];
    size_t want_len = golden_bytes(want, sizeof(want), hex), len;
    const uint8_t *have = bus_pack_data(pack, &len);

    ck_assert_int_eq(bus_pack_rc(pack), ERR_OK);
    ck_assert_uint_eq(len, want_len);
    ck_assert_mem_eq(have, want, len);
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

START_TEST(test_pack_times_in_their_three_forms)
{
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_time(pack, times[_i].sec, times[_i].nsec);
    assert_packed(pack, times[_i].hex);
    bus_pack_free(pack);
}
END_TEST

START_TEST(test_pack_stops_at_its_cap)
{
    struct bus_pack *pack = NULL;
    char *big = calloc(1, BUS_PACK_MAX);
    size_t len;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_bytes(pack, big, BUS_PACK_MAX - 5);
    ck_assert_int_eq(bus_pack_rc(pack), ERR_OK);
    bus_pack_nil(pack);
    ck_assert_int_eq(bus_pack_rc(pack), ERR_LIMIT);
    (void)bus_pack_data(pack, &len);
    ck_assert_uint_eq(len, BUS_PACK_MAX);
    bus_pack_free(pack);
    free(big);
}
END_TEST

START_TEST(test_pack_error_sticks)
{
    struct bus_pack *pack = NULL;
    char *big = calloc(1, BUS_PACK_MAX);
    size_t before, after;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_text(pack, "a");
    bus_pack_raw(pack, big, BUS_PACK_MAX);
    ck_assert_int_eq(bus_pack_rc(pack), ERR_LIMIT);
    (void)bus_pack_data(pack, &before);
    bus_pack_nil(pack); /* would fit, but is too late */
    (void)bus_pack_data(pack, &after);
    ck_assert_int_eq(bus_pack_rc(pack), ERR_LIMIT);
    ck_assert_uint_eq(after, before);
    bus_pack_free(pack);
    free(big);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/pack");
    TCase *tc = tcase_create("pack");

    tcase_add_loop_test(tc, test_pack_times_in_their_three_forms, 0, COUNT(times));
    tcase_add_test(tc, test_pack_stops_at_its_cap);
    tcase_add_test(tc, test_pack_error_sticks);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
