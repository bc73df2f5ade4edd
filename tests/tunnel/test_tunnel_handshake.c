/* SPDX-License-Identifier: Apache-2.0 */
/* Hello, message 2 and message 3: known answers, any segmentation, every flipped bit and cut. */
#include <sodium.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "modules/tunnel/handshake.h"
#include "tests/support/suite.h"
#include "tests/tunnel/pair.h"

static const enum tun_suite suites[] = {TUN_SUITE_CHACHA, TUN_SUITE_AES};

/* The known answers: a connector and a gateway with fixed ephemerals and payloads. */
struct known {
    struct pair pair;
    struct tun_secret_key connector_e, gateway_e;
    uint8_t zeros[64];
};

static void known_init(struct known *self, enum tun_suite suite)
{
    uint8_t offer[32];

    memset(self, 0, sizeof(*self));
    pair_init(&self->pair, suite);
    memset(self->connector_e.bytes, 0x33, TUN_KEY_LEN);
    memset(self->gateway_e.bytes, 0x44, TUN_KEY_LEN);
    for (size_t i = 0; i < sizeof(offer); i++)
        offer[i] = (uint8_t)i;
    memcpy(self->pair.offer.boot_id, offer, 16);
    self->pair.offer.time_ms = 0x1011121314151617;
    self->pair.offer.max_record = 0x18191a1b;
    self->pair.offer.max_streams = 0x1c1d1e1f;

    struct tun_handshake_config c = {.role = TUN_CONNECTOR,
                                     .own = &self->pair.connector,
                                     .peer = &self->pair.gateway.public_key,
                                     .suite = suite,
                                     .connector = &self->pair.info,
                                     .test_ephemeral = &self->connector_e,
                                     .test_payload = self->zeros};
    struct tun_handshake_config g = {.role = TUN_GATEWAY,
                                     .own = &self->pair.gateway,
                                     .gateway = &self->pair.offer,
                                     .test_ephemeral = &self->gateway_e};
    ck_assert_int_eq(tun_handshake_init(&self->pair.c, &c), ERR_OK);
    ck_assert_int_eq(tun_handshake_init(&self->pair.g, &g), ERR_OK);
}

static void assert_hex(const uint8_t *data, size_t len, const char *want)
{
    char text[1024];

    ck_assert_uint_eq(strlen(want), 2 * len);
    hex_encode(text, data, len);
    ck_assert_str_eq(text, want);
}

static void assert_out(const struct tun_handshake *self, size_t skip, size_t len, const char *want)
{
    size_t out_len;
    const uint8_t *out = tun_handshake_out(self, &out_len);

    ck_assert_uint_ge(out_len, skip + len);
    assert_hex(out + skip, len, want);
}

static void assert_keys(struct known *self, const char *i2r, const char *r2i)
{
    struct tun_handshake_result c, g;

    tun_handshake_finish(&self->pair.c, &c);
    tun_handshake_finish(&self->pair.g, &g);
    assert_hex(c.send_key, 32, i2r);
    assert_hex(c.recv_key, 32, r2i);
    ck_assert_mem_eq(g.send_key, c.recv_key, 32);
    ck_assert_mem_eq(g.recv_key, c.send_key, 32);
    ck_assert_uint_eq(c.peer_max_record, TUN_RECORD_MAX);
    ck_assert_uint_eq(c.gateway.max_streams, 0x1c1d1e1f);
}

START_TEST(test_handshake_known_answer_chacha)
{
    struct known k;

    known_init(&k, TUN_SUITE_CHACHA);
    assert_hex(k.pair.gateway.mac1_key, 32,
               "9d91dbe850e656453f3b1f96a2a283540e5c7753f9d0782213cf7efe22133a3a");
    assert_out(&k.pair.c, 0, 8, "c55a574701010000");
    assert_out(&k.pair.c, 8, 48,
               "7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14"
               "24c7e16596a38984dc77b43cf9dbd61f");
    ck_assert_int_eq(pair_move(&k.pair.c, &k.pair.g, SIZE_MAX), ERR_OK);
    assert_out(&k.pair.g, 0, 4, "02010000");
    assert_out(&k.pair.g, 4, 80,
               "ff2ee45601ec1b67310c7790404585ae697331eee1c1f8cf2419731c1fff3e6b"
               "4ef7fb73686d79f9776361f0b4f5f1698efe8f4435ea2568a24b2550d915d903"
               "7b720b2524da9ec52f4d81f2ae953a95");
    ck_assert_int_eq(pair_move(&k.pair.g, &k.pair.c, SIZE_MAX), ERR_OK);
    assert_out(&k.pair.c, 0, 2, "0080");
    assert_out(&k.pair.c, 2, 128,
               "f2bc9de7c67591f94abcc6d67f4857a40f55f0a9a6ef52deedb6e056c0d2ce5a"
               "9cf824f4ea43b332f5c290a4ca31b2c625fe93d6673a1f2dbb98c890023c67bb"
               "43d77abad79e9d157e892aa2b40b3a98a4aa2aefdb3979a53415df518e5193f6"
               "81fbd13334f00029a09054babd1ab49c69bf7e4a04e635b02d9c15d889bcce93");
    ck_assert_int_eq(pair_move(&k.pair.c, &k.pair.g, SIZE_MAX), ERR_OK);
    assert_keys(&k, "d3392b4e3ad0cc0a327112f22610c33116b4a3983f7c637c2a0a421d9e198354",
                "8633ea442c7661062544347f2ecbe49af1819513b9d9aa990d903f54359b10d9");
}
END_TEST

START_TEST(test_handshake_known_answer_aes)
{
    struct known k;

    known_init(&k, TUN_SUITE_AES);
    assert_out(&k.pair.c, 0, 8, "c55a574701030000");
    assert_out(&k.pair.c, 40, 16, "f7792806d14c8586c89b0765be3a8ab8");
    assert_out(&k.pair.c, 56, 16, "0422abab77426b701694785c2b2be2ac");
    ck_assert_int_eq(pair_run(&k.pair, SIZE_MAX), ERR_OK);
    assert_keys(&k, "5c8ff472dfb7492adb2a36aeb95770b17c43f1aeeb37871e3a8e4933060fa6d5",
                "6733962d1c6756c8439f877758aa5ab96d1923599e641b39cf437ad3b8f15cb7");
}
END_TEST

/* _i + 1 bytes at a time; everything said arrives. */
START_TEST(test_handshake_takes_any_segmentation)
{
    struct tun_handshake_result c, g;
    struct pair p;

    pair_init(&p, suites[_i % 2]);
    ck_assert_int_eq(pair_run(&p, (size_t)_i + 1), ERR_OK);
    ck_assert_int_eq(tun_handshake_state(&p.c), TUN_HANDSHAKE_DONE);
    ck_assert_int_eq(tun_handshake_state(&p.g), TUN_HANDSHAKE_DONE);
    tun_handshake_finish(&p.c, &c);
    tun_handshake_finish(&p.g, &g);
    ck_assert(tun_key_equal(&c.peer, &p.gateway.public_key));
    ck_assert(tun_key_equal(&g.peer, &p.connector.public_key));
    ck_assert_mem_eq(c.send_key, g.recv_key, 32);
    ck_assert_mem_eq(c.recv_key, g.send_key, 32);
    ck_assert_mem_eq(g.connector.instance, p.info.instance, TUN_INSTANCE_LEN);
    ck_assert_uint_eq(g.connector.epoch, 7);
    ck_assert_uint_eq(g.connector.twin, 9);
    ck_assert_uint_eq(g.connector.capabilities, 5);
    ck_assert_uint_eq(g.connector.link, 1);
    ck_assert_str_eq(g.connector.name, "web-1");
    ck_assert_str_eq(g.connector.version, "0.1.0");
    ck_assert_uint_eq(g.peer_max_record, 32768);
    ck_assert_mem_eq(c.gateway.boot_id, p.offer.boot_id, 16);
    ck_assert_uint_eq(c.gateway.time_ms, 1234567);
    ck_assert_uint_eq(c.gateway.max_streams, 100);
    tun_handshake_result_wipe(&c);
    tun_handshake_result_wipe(&g);
}
END_TEST

START_TEST(test_handshake_leaves_the_records_that_follow)
{
    uint8_t bytes[TUN_MSG3_MAX + 100] = {0};
    struct pair p;
    size_t len, used;

    pair_init(&p, TUN_SUITE_CHACHA);
    ck_assert_int_eq(pair_move(&p.c, &p.g, SIZE_MAX), ERR_OK);
    ck_assert_int_eq(pair_move(&p.g, &p.c, SIZE_MAX), ERR_OK);
    const uint8_t *out = tun_handshake_out(&p.c, &len);
    memcpy(bytes, out, len);
    ck_assert_int_eq(tun_handshake_feed(&p.g, bytes, len + 100, &used), ERR_OK);
    ck_assert_uint_eq(used, len);
    ck_assert_uint_eq(tun_handshake_wants(&p.g), 0);
    ck_assert_int_eq(tun_handshake_state(&p.g), TUN_HANDSHAKE_WORK);
    ck_assert_uint_eq(tun_handshake_cost(&p.g), 1);
    ck_assert_int_eq(tun_handshake_work(&p.g), ERR_OK);
    ck_assert_int_eq(tun_handshake_state(&p.g), TUN_HANDSHAKE_DONE);
}
END_TEST

START_TEST(test_handshake_takes_the_next_static_key)
{
    struct tun_handshake_result g;
    struct pair p;

    pair_init(&p, TUN_SUITE_AES);
    struct tun_handshake_config c = {.role = TUN_CONNECTOR,
                                     .own = &p.connector,
                                     .peer = &p.next.public_key,
                                     .connector = &p.info};
    ck_assert_int_eq(tun_handshake_init(&p.c, &c), ERR_OK);
    ck_assert_int_eq(pair_run(&p, SIZE_MAX), ERR_OK);
    tun_handshake_finish(&p.g, &g);
    ck_assert(tun_key_equal(&g.own, &p.next.public_key));
}
END_TEST

static void raise_epoch(void *arg, const struct tun_gateway_info *offer)
{
    struct pair *p = arg;

    ck_assert_mem_eq(offer->boot_id, p->offer.boot_id, sizeof(offer->boot_id));
    p->info.epoch++;
}

/* Which boot of the gateway answers is known only then. */
START_TEST(test_handshake_epoch_may_follow_the_gateways_offer)
{
    struct tun_handshake_result g;
    struct pair p;

    pair_init(&p, TUN_SUITE_CHACHA);
    struct tun_handshake_config c = {.role = TUN_CONNECTOR,
                                     .own = &p.connector,
                                     .peer = &p.gateway.public_key,
                                     .connector = &p.info,
                                     .on_offer = raise_epoch,
                                     .arg = &p};
    ck_assert_int_eq(tun_handshake_init(&p.c, &c), ERR_OK);
    ck_assert_uint_eq(p.info.epoch, 7);
    ck_assert_int_eq(pair_run(&p, SIZE_MAX), ERR_OK);
    tun_handshake_finish(&p.g, &g);
    ck_assert_uint_eq(g.connector.epoch, 8);
}
END_TEST

static bool is_wiped(const struct tun_handshake *self)
{
    return sodium_is_zero((const uint8_t *)&self->noise, sizeof(self->noise)) &&
           sodium_is_zero(self->big, sizeof(self->big));
}

/* Feed FROM's message to TO with one bit flipped: TO must fail and keep nothing. */
static void flip_each_bit(struct pair *p, struct tun_handshake *from, struct tun_handshake *to)
{
    size_t len, used;
    const uint8_t *out = tun_handshake_out(from, &len);

    for (size_t bit = 0; bit < 8 * len; bit++) {
        uint8_t copy[TUN_MSG3_MAX];
        struct tun_handshake target = *to;
        int rc;

        memcpy(copy, out, len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rc = tun_handshake_feed(&target, copy, len, &used);
        if (rc == ERR_OK && tun_handshake_state(&target) == TUN_HANDSHAKE_READ)
            continue; /* a greater length: it waits for bytes that never come */
        if (rc == ERR_OK)
            rc = tun_handshake_work(&target);
        ck_assert_msg(rc == ERR_AUTH || rc == ERR_PROTO, "bit %zu of %zu: %d", bit, 8 * len, rc);
        ck_assert_int_eq(tun_handshake_state(&target), TUN_HANDSHAKE_FAILED);
        ck_assert(is_wiped(&target));
        ck_assert_uint_eq(tun_handshake_wants(&target), 0);
        tun_handshake_out(&target, &used);
        ck_assert_uint_eq(used, 0);
    }
    (void)p;
}

START_TEST(test_handshake_refuses_every_flipped_bit)
{
    struct pair p;

    pair_init(&p, suites[_i]);
    flip_each_bit(&p, &p.c, &p.g);
    ck_assert_int_eq(pair_move(&p.c, &p.g, SIZE_MAX), ERR_OK);
    flip_each_bit(&p, &p.g, &p.c);
    ck_assert_int_eq(pair_move(&p.g, &p.c, SIZE_MAX), ERR_OK);
    flip_each_bit(&p, &p.c, &p.g);
    ck_assert_int_eq(pair_move(&p.c, &p.g, SIZE_MAX), ERR_OK);
}
END_TEST

/* Every prefix of every message leaves the receiver waiting, with nothing to say. */
START_TEST(test_handshake_prefix_waits_in_silence)
{
    struct tun_handshake *from, *to;
    struct pair p;
    size_t len, used, silent;

    pair_init(&p, TUN_SUITE_CHACHA);
    for (int message = 0; message < 3; message++) {
        from = message == 1 ? &p.g : &p.c;
        to = message == 1 ? &p.c : &p.g;
        const uint8_t *out = tun_handshake_out(from, &len);
        for (size_t cut = 0; cut < len; cut++) {
            struct tun_handshake target = *to;

            ck_assert_int_eq(tun_handshake_feed(&target, out, cut, &used), ERR_OK);
            ck_assert_uint_eq(used, cut);
            ck_assert_int_eq(tun_handshake_work(&target), ERR_OK);
            ck_assert_int_eq(tun_handshake_state(&target), TUN_HANDSHAKE_READ);
            ck_assert_uint_gt(tun_handshake_wants(&target), 0);
            ck_assert_uint_le(tun_handshake_wants(&target), len - cut);
            tun_handshake_out(&target, &silent);
            ck_assert_uint_eq(silent, 0);
        }
        ck_assert_int_eq(pair_move(from, to, SIZE_MAX), ERR_OK);
    }
}
END_TEST

static const struct {
    const char *name;
    const char *hello; /* first bytes, hex */
} strangers[] = {
    {"TLS", "16"},
    {"HTTP", "47"},
    {"second magic byte", "c55b"},
    {"version 2", "c55a574702"},
    {"suite 0", "c55a57470100"},
    {"reserved suite 2", "c55a57470102"},
    {"reserved suite 4", "c55a57470104"},
    {"flags", "c55a5747010101"},
    {"flags", "c55a574701010001"},
};

START_TEST(test_handshake_stranger_is_known_by_his_first_bytes)
{
    uint8_t bytes[8];
    size_t len = strlen(strangers[_i].hello) / 2, used;
    struct pair p;

    pair_init(&p, TUN_SUITE_CHACHA);
    ck_assert_int_eq(hex_decode(bytes, len, strangers[_i].hello, 2 * len), ERR_OK);
    ck_assert_int_eq(tun_handshake_feed(&p.g, bytes, len - 1, &used), ERR_OK);
    ck_assert_msg(tun_handshake_feed(&p.g, bytes + len - 1, 1, &used) == ERR_PROTO, "%s",
                  strangers[_i].name);
    ck_assert_int_eq(tun_handshake_state(&p.g), TUN_HANDSHAKE_FAILED);
    ck_assert_int_eq(tun_hello_check(p.g.cfg.own, NULL, bytes, len), ERR_PROTO);
}
END_TEST

/* What can be said of a Hello before a handshake is begun: every prefix, every damaged byte. */
START_TEST(test_handshake_a_hello_is_judged_without_state)
{
    uint8_t hello[TUN_HELLO_LEN + 1] = {0};
    struct pair p;
    size_t len;

    pair_init(&p, TUN_SUITE_CHACHA);
    const struct tun_identity gateway = *p.g.cfg.own, connector = *p.c.cfg.own;
    memcpy(hello, tun_handshake_out(&p.c, &len), TUN_HELLO_LEN);
    for (len = 0; len < TUN_HELLO_LEN; len++)
        ck_assert_int_eq(tun_hello_check(&gateway, NULL, hello, len), ERR_AGAIN);
    ck_assert_int_eq(tun_hello_check(&gateway, NULL, hello, TUN_HELLO_LEN), ERR_OK);
    ck_assert_int_eq(tun_hello_check(&connector, &gateway, hello, TUN_HELLO_LEN), ERR_OK);
    ck_assert_int_eq(tun_hello_check(&connector, NULL, hello, TUN_HELLO_LEN), ERR_AUTH);
    ck_assert_int_eq(tun_hello_check(&gateway, NULL, hello, TUN_HELLO_LEN + 1), ERR_PROTO);
    for (len = 0; len < TUN_HELLO_LEN; len++) {
        hello[len] ^= 0x40;
        ck_assert_int_ne(tun_hello_check(&gateway, NULL, hello, TUN_HELLO_LEN), ERR_OK);
        hello[len] ^= 0x40;
    }
}
END_TEST

/* Lengths of message 3: 128..1088 in steps of 64. */
START_TEST(test_handshake_refuses_bad_length_of_message3)
{
    static const uint16_t bad[] = {0, 1, 64, 127, 129, 191, 1087, 1089, 1152, 65535};
    struct pair p;
    size_t used;

    pair_init(&p, TUN_SUITE_CHACHA);
    ck_assert_int_eq(pair_move(&p.c, &p.g, SIZE_MAX), ERR_OK);
    for (int i = 0; i < COUNT(bad); i++) {
        struct tun_handshake target = p.g;
        uint8_t header[2] = {(uint8_t)(bad[i] >> 8), (uint8_t)bad[i]};

        ck_assert_int_eq(tun_handshake_feed(&target, header, 2, &used), ERR_PROTO);
    }
    for (unsigned len = 128; len <= 1088; len += 64) {
        struct tun_handshake target = p.g;
        uint8_t header[2] = {(uint8_t)(len >> 8), (uint8_t)len};

        ck_assert_int_eq(tun_handshake_feed(&target, header, 2, &used), ERR_OK);
        ck_assert_uint_eq(tun_handshake_wants(&target), len);
    }
}
END_TEST

/* A recorded Hello gets an answer, but whoever replays it cannot go on. */
START_TEST(test_handshake_replayed_messages_do_not_finish)
{
    uint8_t hello[TUN_HELLO_LEN], msg3[TUN_MSG3_MAX];
    size_t len, used;
    struct pair p, again;

    pair_init(&p, TUN_SUITE_AES);
    memcpy(hello, tun_handshake_out(&p.c, &len), sizeof(hello));
    ck_assert_int_eq(pair_move(&p.c, &p.g, SIZE_MAX), ERR_OK);
    ck_assert_int_eq(pair_move(&p.g, &p.c, SIZE_MAX), ERR_OK);
    memcpy(msg3, tun_handshake_out(&p.c, &len), TUN_MSG3_MAX);
    (void)tun_handshake_out(&p.c, &len);

    pair_init(&again, TUN_SUITE_AES);
    ck_assert_int_eq(tun_handshake_feed(&again.g, hello, sizeof(hello), &used), ERR_OK);
    ck_assert_int_eq(tun_handshake_work(&again.g), ERR_OK);
    ck_assert_int_eq(tun_handshake_feed(&again.g, msg3, len, &used), ERR_OK);
    ck_assert_int_eq(tun_handshake_work(&again.g), ERR_AUTH);
    tun_handshake_wipe(&p.c);
    tun_handshake_wipe(&p.g);
}
END_TEST

START_TEST(test_handshake_wrong_gateway_key_is_silence)
{
    struct tun_secret_key other = {{0x77}};
    struct tun_identity stranger;
    struct pair p;

    pair_init(&p, TUN_SUITE_CHACHA);
    tun_identity_init(&stranger, &other);
    struct tun_handshake_config c = {.role = TUN_CONNECTOR,
                                     .own = &p.connector,
                                     .peer = &stranger.public_key,
                                     .connector = &p.info};
    ck_assert_int_eq(tun_handshake_init(&p.c, &c), ERR_OK);
    ck_assert_int_eq(pair_move(&p.c, &p.g, 7), ERR_AUTH);
    ck_assert_int_eq(tun_handshake_state(&p.g), TUN_HANDSHAKE_FAILED);
}
END_TEST

START_TEST(test_handshake_refuses_unusable_config)
{
    static const struct tun_public_key small_order;
    struct pair p;

    pair_init(&p, TUN_SUITE_CHACHA);
    struct tun_handshake_config c = {
        .role = TUN_CONNECTOR, .own = &p.connector, .peer = &small_order, .connector = &p.info};
    ck_assert_int_eq(tun_handshake_init(&p.c, &c), ERR_AUTH);
    c.peer = &p.gateway.public_key;
    c.suite = (enum tun_suite)2;
    ck_assert_int_eq(tun_handshake_init(&p.c, &c), ERR_INVALID);
    c.suite = TUN_SUITE_CHACHA;
    p.info.max_record = TUN_RECORD_MIN - 1;
    ck_assert_int_eq(tun_handshake_init(&p.c, &c), ERR_INVALID);
    p.info.max_record = TUN_RECORD_MIN;
    memset(p.info.name, 'x', sizeof(p.info.name));
    ck_assert_int_eq(tun_handshake_init(&p.c, &c), ERR_INVALID);
    c.own = NULL;
    ck_assert_int_eq(tun_handshake_init(&p.c, &c), ERR_INVALID);
    ck_assert_int_eq(tun_handshake_state(&p.c), TUN_HANDSHAKE_FAILED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/handshake");
    TCase *tc = tcase_create("handshake");

    tcase_add_test(tc, test_handshake_known_answer_chacha);
    tcase_add_test(tc, test_handshake_known_answer_aes);
    tcase_add_loop_test(tc, test_handshake_takes_any_segmentation, 0, 80);
    tcase_add_test(tc, test_handshake_leaves_the_records_that_follow);
    tcase_add_test(tc, test_handshake_takes_the_next_static_key);
    tcase_add_test(tc, test_handshake_epoch_may_follow_the_gateways_offer);
    tcase_add_loop_test(tc, test_handshake_refuses_every_flipped_bit, 0, 2);
    tcase_add_test(tc, test_handshake_prefix_waits_in_silence);
    tcase_add_loop_test(tc, test_handshake_stranger_is_known_by_his_first_bytes, 0,
                        COUNT(strangers));
    tcase_add_test(tc, test_handshake_a_hello_is_judged_without_state);
    tcase_add_test(tc, test_handshake_refuses_bad_length_of_message3);
    tcase_add_test(tc, test_handshake_replayed_messages_do_not_finish);
    tcase_add_test(tc, test_handshake_wrong_gateway_key_is_silence);
    tcase_add_test(tc, test_handshake_refuses_unusable_config);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
