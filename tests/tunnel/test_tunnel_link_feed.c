/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a link: records in pieces, damaged, of impossible lengths. */
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/tunnel/raw_peer.h"

static struct raw_peer p;

static void end_peer(void)
{
    raw_peer_deinit(&p);
    memset(&p, 0, sizeof(p));
}

static void seal_ping(uint8_t record[34])
{
    struct tun_piece piece = {p.bytes, 16};

    tun_frame_put_ping(&p.o, TUN_FRAME_PING, 5);
    ck_assert_int_eq(tun_record_seal(&p.at->seal, &piece, 1, 16, record), ERR_OK);
}

/* Every bit of the first record counts. */
START_TEST(test_link_first_record_damaged)
{
    for (size_t bit = 0; bit < 8 * 34; bit++) {
        uint8_t record[34];
        int rc;

        raw_peer_init(&p, TUN_GATEWAY, true);
        seal_ping(record);
        record[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rc = tun_link_feed(p.at->link, record, sizeof(record), p.now_ms);
        /* a greater length waits for more */
        ck_assert(rc == ERR_AUTH || (rc == ERR_OK && bit < 16));
        ck_assert(!tun_link_pending(p.at->link));
        ck_assert_int_eq(tun_session_ended(p.session), ERR_OK);
        end_peer();
    }
}
END_TEST

START_TEST(test_link_record_byte_by_byte)
{
    uint8_t record[34];

    raw_peer_init(&p, TUN_GATEWAY, true);
    seal_ping(record);
    for (size_t i = 0; i < sizeof(record); i++) {
        ck_assert(!tun_link_pending(p.at->link));
        ck_assert_int_eq(tun_link_feed(p.at->link, record + i, 1, p.now_ms), ERR_OK);
    }
    (void)raw_peer_expect(&p, TUN_FRAME_PONG);
    end_peer();
}
END_TEST

/* Anybody on the way could have written them: the session lives. */
START_TEST(test_link_record_lengths_16_and_over_max_end_the_link)
{
    uint8_t short_one[18] = {0, 16}, long_one[2] = {0x80, 0x01};

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(tun_link_feed(p.at->link, short_one, 1, p.now_ms), ERR_OK);
    ck_assert_int_eq(tun_link_feed(p.at->link, short_one + 1, 1, p.now_ms), ERR_AUTH);
    ck_assert_int_eq(tun_session_ended(p.session), ERR_OK);
    ck_assert(!tun_link_is_live(p.at->link));
    end_peer();
    raw_peer_init_with(&p, TUN_GATEWAY, (struct tun_session_config){.max_record = 32768});
    ck_assert_int_eq(tun_link_accept(p.at->link, &(struct tun_accept){0}), ERR_OK);
    ck_assert_int_eq(tun_link_feed(p.at->link, long_one, 2, p.now_ms), ERR_AUTH);
    ck_assert_int_eq(tun_session_ended(p.session), ERR_OK);
    end_peer();
}
END_TEST

/* What else is on the way to the session goes on. */
START_TEST(test_link_record_that_is_not_genuine_ends_only_its_link)
{
    uint8_t record[34];

    raw_peer_init(&p, TUN_GATEWAY, true);
    ck_assert_int_eq(raw_peer_join(&p), ERR_OK);
    raw_peer_accept(&p);
    seal_ping(record);
    record[20] ^= 1;
    ck_assert_int_eq(tun_link_feed(p.at->link, record, sizeof(record), p.now_ms), ERR_AUTH);
    ck_assert_int_eq(tun_link_feed(p.at->link, NULL, 0, p.now_ms), ERR_AUTH);
    ck_assert_int_eq(tun_link_tick(p.at->link, p.now_ms), ERR_AUTH);
    ck_assert(!tun_link_is_live(p.at->link));
    ck_assert_int_eq(tun_session_ended(p.session), ERR_OK);
    raw_peer_lose(&p);
    raw_peer_use(&p, 0);
    p.o = out_init(p.bytes, sizeof(p.bytes));
    tun_frame_put_ping(&p.o, TUN_FRAME_PING, 5);
    ck_assert_int_eq(raw_peer_send(&p), ERR_OK);
    (void)raw_peer_expect(&p, TUN_FRAME_PONG);
    end_peer();
}
END_TEST

static uint8_t wire[300000];

/* Records of DATA for stream 1, one after another, into WIRE. Returns their bytes. */
static size_t seal_data(const size_t *lens, size_t count)
{
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        struct tun_piece piece = {p.bytes, 0};

        p.o = out_init(p.bytes, sizeof(p.bytes));
        raw_peer_put_data(&p, 1, lens[i]);
        piece.len = out_len(&p.o);
        ck_assert_int_eq(tun_record_seal(&p.at->seal, &piece, 1, piece.len, wire + len), ERR_OK);
        len += TUN_RECORD_HEADER_LEN + piece.len + TUN_CIPHER_TAG_LEN;
    }
    p.o = out_init(p.bytes, sizeof(p.bytes));
    return len;
}

/* As a socket that has STEP bytes at a time would be read. Returns the first error or 0; *PLACED
 * tells how many bytes were read in place. */
static int read_wire(const uint8_t *data, size_t len, size_t step, size_t *placed)
{
    static uint8_t scratch[sizeof(wire)];
    int rc = ERR_OK;

    while (rc == ERR_OK && len > 0) {
        uint8_t *at = scratch;
        size_t want = tun_link_place(p.at->link, &at), n = len < step ? len : step;

        n = want > 0 && want < n ? want : n;
        memcpy(at, data, n);
        if (want > 0)
            rc = tun_link_placed(p.at->link, n, p.now_ms);
        else
            rc = tun_link_feed(p.at->link, scratch, n, p.now_ms);
        *placed += want > 0 ? n : 0;
        data += n;
        len -= n;
    }
    return rc;
}

static const size_t steps[] = {1, 3, 1000, 4096, 20000, 60027, 66000, sizeof(wire)};

START_TEST(test_link_big_records_are_read_in_place)
{
    static const size_t lens[] = {60000, 60000, 60000, 5000, 60, 3, 30000, 4200, 600};
    size_t placed = 0, sum = 0, len;

    raw_peer_init(&p, TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    p.heard.take = SIZE_MAX;
    len = seal_data(lens, COUNT(lens));
    for (size_t i = 0; i < COUNT(lens); i++)
        sum += lens[i];
    ck_assert_int_eq(read_wire(wire, len, steps[_i], &placed), ERR_OK);
    ck_assert_uint_eq(p.heard.data, sum);
    ck_assert(steps[_i] > 20000 || placed > 100000);
    end_peer();
}
END_TEST

/* Damage in the rest of a record, and in the header of the next one, ends the link. */
START_TEST(test_link_record_in_place_is_judged_like_any)
{
    static const size_t lens[] = {60000, 60000};
    static const size_t damaged[] = {50000, 60026, 60027, 110000};

    for (size_t i = 0; i < COUNT(damaged); i++) {
        size_t placed = 0, len;

        raw_peer_init(&p, TUN_GATEWAY, true);
        (void)raw_peer_open(&p);
        len = seal_data(lens, COUNT(lens));
        wire[damaged[i]] ^= damaged[i] == 60026 ? 0x80 : 8; /* a shorter one */
        ck_assert_int_eq(read_wire(wire, len, 20000, &placed), ERR_AUTH);
        ck_assert_int_eq(tun_session_ended(p.session), ERR_OK);
        end_peer();
    }
}
END_TEST

START_TEST(test_link_that_ends_amid_a_record_in_place_leaves_nothing)
{
    static const size_t lens[] = {60000, 60000};
    size_t placed = 0;

    raw_peer_init(&p, TUN_GATEWAY, true);
    (void)raw_peer_open(&p);
    (void)seal_data(lens, COUNT(lens));
    ck_assert_int_eq(read_wire(wire, 60000 + 26 + steps[_i] % 50000, 20000, &placed), ERR_OK);
    ck_assert_uint_gt(placed, 0);
    raw_peer_lose(&p);
    end_peer();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/link_feed");
    TCase *tc = tcase_create("link_feed");

    tcase_add_test(tc, test_link_first_record_damaged);
    tcase_add_test(tc, test_link_record_byte_by_byte);
    tcase_add_test(tc, test_link_record_lengths_16_and_over_max_end_the_link);
    tcase_add_test(tc, test_link_record_that_is_not_genuine_ends_only_its_link);
    tcase_add_loop_test(tc, test_link_big_records_are_read_in_place, 0, COUNT(steps));
    tcase_add_test(tc, test_link_record_in_place_is_judged_like_any);
    tcase_add_loop_test(tc, test_link_that_ends_amid_a_record_in_place_leaves_nothing, 0,
                        COUNT(steps));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
