/* SPDX-License-Identifier: Apache-2.0 */
/* The msgpack scanner: forms, damage, limits at the limit and one beyond. */
#include "bus/scan.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/pack.h"
#include "tests/bus/golden.h"
#include "tests/support/suite.h"

static const struct {
    const char *name;
    const char *hex;
    int rc;
} cases[] = {
    {"small integers", "9300ff7f", ERR_OK},
    {"every fixed size",
     "9e c0c2c3 ca00000000 cb0000000000000000 cc00 cd0000 ce00000000"
     "cf0000000000000000 d000 d10000 d200000000 d30000000000000000 c0",
     ERR_OK},
    {"fixext",
     "95 d40000 d5000000 d60000000000 d7000000000000000000"
     "d80000000000000000000000000000000000",
     ERR_OK},
    {"str bin ext with lengths", "97 a161 d90161 da000161 c40161 c5000161 c7010161 c800010161",
     ERR_OK},
    {"32 bit lengths", "94 db0000000161 c60000000161 c9000000010161 dd00000000", ERR_OK},
    {"16 and 32 bit containers", "93 dc0000 de0000 df00000000", ERR_OK},
    {"empty", "", ERR_PROTO},
    {"rest behind", "c0c0", ERR_PROTO},
    {"short bin", "c403 0102", ERR_PROTO},
    {"short ext", "c703ff 0102", ERR_PROTO},
    {"array of 2^32-1", "ddffffffff", ERR_PROTO},
    {"map of 2^32-1", "dfffffffff", ERR_PROTO},
    {"map with half an entry", "81a161", ERR_PROTO},
    {"bin key", "81c4016101", ERR_PROTO},
    {"nil key", "81c001", ERR_PROTO},
    {"container key", "819001", ERR_PROTO},
    {"same key twice", "82a16101a16102", ERR_PROTO},
    {"same key twice, deep", "9181a17882a16101a16102", ERR_PROTO},
    {"same key in two maps", "9282a16101a1620282a16101a16202", ERR_OK},
    {"empty key twice", "82a001a002", ERR_PROTO},
};

START_TEST(test_scan_cases)
{
    uint8_t bytes[256];
    size_t len = golden_bytes(bytes, sizeof(bytes), cases[_i].hex);
    uint8_t *exact = malloc(len + 1);

    memcpy(exact + 1, bytes, len);
    ck_assert_msg(bus_scan(exact + 1, len, &bus_scan_default) == cases[_i].rc, "%s",
                  cases[_i].name);
    free(exact);
}
END_TEST

/* Limits at the limit and one beyond. */
START_TEST(test_scan_depth)
{
    struct bus_scan_limits limits = {.len = 100, .depth = 5, .elements = 100};
    uint8_t bytes[8];

    memset(bytes, 0x91, sizeof(bytes));
    bytes[5] = 0xc0;
    ck_assert_int_eq(bus_scan(bytes, 6, &limits), ERR_OK);
    bytes[5] = 0x91;
    bytes[6] = 0xc0;
    ck_assert_int_eq(bus_scan(bytes, 7, &limits), ERR_LIMIT);
}
END_TEST

START_TEST(test_scan_depth_never_passes_its_maximum)
{
    struct bus_scan_limits limits = {.len = 100, .depth = 1000, .elements = 100};
    uint8_t bytes[100];

    memset(bytes, 0x91, sizeof(bytes));
    ck_assert_int_eq(bus_scan(bytes, sizeof(bytes), &limits), ERR_LIMIT);
}
END_TEST

START_TEST(test_scan_elements_and_length)
{
    struct bus_scan_limits limits = {.len = 4, .depth = 5, .elements = 4};
    static const uint8_t three[] = {0x93, 1, 2, 3}, four[] = {0x94, 1, 2, 3, 4};

    ck_assert_int_eq(bus_scan(three, sizeof(three), &limits), ERR_OK);
    ck_assert_int_eq(bus_scan(four, sizeof(four), &limits), ERR_LIMIT);
    limits.len = 5;
    ck_assert_int_eq(bus_scan(four, sizeof(four), &limits), ERR_LIMIT);
    limits.elements = 5;
    ck_assert_int_eq(bus_scan(four, sizeof(four), &limits), ERR_OK);
}
END_TEST

/* Maps of more than 16 keys use the hash table; the last key repeats one of the others or not. */
START_TEST(test_scan_duplicates_in_maps_of_any_size)
{
    static const size_t sizes[] = {2, 15, 16, 17, 18, 40, 5000};
    size_t count = sizes[_i], len;
    struct bus_pack *pack = NULL;
    char key[32];

    for (size_t same = 0; same < count; same += count / 2) {
        ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
        bus_pack_map(pack, count);
        for (size_t i = 0; i < count; i++) {
            snprintf(key, sizeof(key), "key%zu", i + 1 == count ? same : i);
            bus_pack_text(pack, key);
            bus_pack_nil(pack);
        }
        const uint8_t *data = bus_pack_data(pack, &len);
        ck_assert_int_eq(bus_scan(data, len, &bus_scan_default),
                         same + 1 == count ? ERR_OK : ERR_PROTO);
        bus_pack_free(pack);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/scan");
    TCase *tc = tcase_create("scan");

    tcase_add_loop_test(tc, test_scan_cases, 0, COUNT(cases));
    tcase_add_test(tc, test_scan_depth);
    tcase_add_test(tc, test_scan_depth_never_passes_its_maximum);
    tcase_add_test(tc, test_scan_elements_and_length);
    tcase_add_loop_test(tc, test_scan_duplicates_in_maps_of_any_size, 0, 7);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
