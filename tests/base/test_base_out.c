/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/out.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

#define ALL_LEN 34

/* One call of every kind. */
static void write_all(struct out *o)
{
    out_u8(o, 0x01);
    out_u16(o, 0x0203);
    out_u24(o, 0xff040506);
    out_u32(o, 0x0708090a);
    out_u64(o, 0x0b0c0d0e0f101112u);
    out_bytes(o, "ab", 2);
    out_zero(o, 3);
    out_text(o, "hello");
    out_fmt(o, "%d-%s", 42, "xyz");
}

static const uint8_t all[ALL_LEN + 1] =
    "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12"
    "ab\0\0\0hello42-xyz";

START_TEST(test_out_writes_big_endian_and_text)
{
    uint8_t mem[ALL_LEN + 1];
    struct out o = out_init(mem, sizeof(mem));

    write_all(&o);
    ck_assert(!o.bad);
    ck_assert_uint_eq(out_len(&o), ALL_LEN);
    ck_assert_mem_eq(mem, all, ALL_LEN);
}
END_TEST

/* _i bytes of room are too few; nothing is written outside them. */
START_TEST(test_out_short_memory_turns_bad_and_is_never_left)
{
    uint8_t *mem = exact_copy(all, (size_t)_i);
    struct out o = out_init(mem, (size_t)_i);

    write_all(&o);
    ck_assert(o.bad);
    ck_assert_uint_le(out_len(&o), (size_t)_i);
    ck_assert_mem_eq(mem, all, out_len(&o));
    free(mem);
}
END_TEST

START_TEST(test_out_bad_is_sticky)
{
    uint8_t mem[2];
    struct out o = out_init(mem, sizeof(mem));

    out_u32(&o, 1);
    out_u8(&o, 1);
    out_fmt(&o, "x");
    ck_assert(o.bad);
    ck_assert_uint_eq(out_len(&o), 0);
}
END_TEST

START_TEST(test_out_fmt_needs_one_byte_for_its_nul)
{
    uint8_t mem[3];
    struct out o = out_init(mem, sizeof(mem));

    out_fmt(&o, "%s", "ab");
    ck_assert(!o.bad);
    ck_assert_uint_eq(out_len(&o), 2);
    o = out_init(mem, sizeof(mem));
    out_fmt(&o, "%s", "abc");
    ck_assert(o.bad);
}
END_TEST

START_TEST(test_out_no_memory_has_no_room)
{
    struct out o = out_init(NULL, 0);

    out_bytes(&o, NULL, 0);
    ck_assert(!o.bad);
    out_u8(&o, 1);
    ck_assert(o.bad);
    ck_assert_uint_eq(out_len(&o), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/out");
    TCase *tc = tcase_create("out");

    tcase_add_test(tc, test_out_writes_big_endian_and_text);
    tcase_add_loop_test(tc, test_out_short_memory_turns_bad_and_is_never_left, 0, ALL_LEN + 1);
    tcase_add_test(tc, test_out_bad_is_sticky);
    tcase_add_test(tc, test_out_fmt_needs_one_byte_for_its_nul);
    tcase_add_test(tc, test_out_no_memory_has_no_room);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
