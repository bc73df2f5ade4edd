/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of every frame: there and back, every prefix, every byte damaged, every bound. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "modules/tunnel/frame.h"
#include "tests/support/suite.h"

static uint8_t bytes[2048];
static struct out o;

static void setup(void)
{
    memset(bytes, 0, sizeof(bytes));
    o = out_init(bytes, sizeof(bytes));
}

static void put_accept(void)
{
    tun_frame_put_accept(&o, &(struct tun_accept){.session = {1},
                                                  .link = 1,
                                                  .ping_ms = 15000,
                                                  .session_window = 3,
                                                  .max_streams = 4,
                                                  .has_next_key = true,
                                                  .next_key = {{5}}});
}

static int get_accept(struct cur payload)
{
    struct tun_accept accept;

    return tun_frame_get_accept(payload, &accept);
}

static void put_open(void)
{
    tun_frame_put_open(&o, 7,
                       &(struct tun_open){.workload = "7-1001-blog",
                                          .service = "web",
                                          .name = "blog.gw.example",
                                          .kind = TUN_KIND_TLS,
                                          .window = 5});
}

static int get_open(struct cur payload)
{
    struct tun_open open;

    return tun_frame_get_open(payload, &open);
}

static void put_notice(void)
{
    tun_frame_put_notice(&o, TUN_FRAME_CLOSE, 0,
                         &(struct tun_notice){.code = TUN_CODE_LIMIT, .why = "full"});
}

static int get_notice(struct cur payload)
{
    struct tun_notice notice;

    return tun_frame_get_notice(payload, &notice);
}

static void put_fin(void)
{
    tun_frame_put_fin(&o, 7, 99);
}

static int get_fin(struct cur payload)
{
    uint64_t offset;

    return tun_frame_get_fin(payload, &offset);
}

static void put_rst(void)
{
    tun_frame_put_rst(&o, 7, &(struct tun_rst){TUN_CODE_CANCELLED, 99});
}

static int get_rst(struct cur payload)
{
    struct tun_rst rst;

    return tun_frame_get_rst(payload, &rst);
}

static void put_window(void)
{
    tun_frame_put_window(&o, 7, &(struct tun_window){5, 6}, TUN_FLAG_END);
}

static int get_window(struct cur payload)
{
    struct tun_window window;

    return tun_frame_get_window(payload, &window);
}

static void put_ping(void)
{
    tun_frame_put_ping(&o, TUN_FRAME_PING, 5);
}

static int get_ping(struct cur payload)
{
    uint64_t value;

    return tun_frame_get_ping(payload, &value);
}

static void put_lost(void)
{
    tun_frame_put_lost(&o, 3);
}

static int get_lost(struct cur payload)
{
    uint32_t serial;

    return tun_frame_get_lost(payload, &serial);
}

static void put_next_key(void)
{
    tun_frame_put_next_key(&o, &(struct tun_public_key){{5}});
}

static int get_next_key(struct cur payload)
{
    struct tun_public_key key;

    return tun_frame_get_next_key(payload, &key);
}

static const struct {
    const char *name;
    uint8_t type;
    void (*put)(void);
    int (*get)(struct cur payload);

} frames[] = {
    {"ACCEPT", 0x01, put_accept, get_accept}, {"OPEN", 0x10, put_open, get_open},
    {"CLOSE", 0x33, put_notice, get_notice},  {"FIN", 0x21, put_fin, get_fin},
    {"RST", 0x22, put_rst, get_rst},          {"WINDOW", 0x23, put_window, get_window},
    {"PING", 0x30, put_ping, get_ping},       {"NEXT_KEY", 0x90, put_next_key, get_next_key},
    {"LOST", 0x35, put_lost, get_lost},
};

/* One lost link and one stream of it. */
static void put_resume(void)
{
    tun_frame_put_header(&o, &(struct tun_frame){.type = TUN_FRAME_RESUME, .len = 30});
    out_u8(&o, 1);
    tun_frame_put_resume_link(&o, &(struct tun_resume_link){1, 99, 7});
    tun_frame_put_resume_stream(&o, &(struct tun_resume_stream){7, 99, false, true});
}

/* The bytes that PROTOCOL.md section 12.4 shows. */
static void assert_bytes(const char *want)
{
    char text[2 * sizeof(bytes) + 1];

    ck_assert(!o.bad);
    hex_encode(text, bytes, out_len(&o));
    ck_assert_str_eq(text, want);
    setup();
}

START_TEST(test_frame_known_bytes)
{
    struct tun_open open = {.workload = "7-1001-blog",
                            .service = "web",
                            .name = "b.example",
                            .kind = TUN_KIND_TLS,
                            .proxy = TUN_PROXY_V2,
                            .window = 262144,
                            .visitor = {{[10] = 0xff, 0xff, 192, 0, 2, 9}, 40000},
                            .local = {{[10] = 0xff, 0xff, 192, 0, 2, 1}, 443}};

    setup();
    tun_frame_put_accept(&o, &(struct tun_accept){.session = {1},
                                                  .link = 1,
                                                  .ping_ms = 15000,
                                                  .session_window = 16u << 20,
                                                  .max_streams = 10000});
    assert_bytes("0100002100000000"
                 "010000000000000000000000000000000000000100003a98010000000000271000");
    tun_frame_put_open(&o, 7, &open);
    assert_bytes("1000004400000007"
                 "02020004000000000000000000000000ffffc00002099c40"
                 "00000000000000000000ffffc000020101bb"
                 "0b372d313030312d626c6f670377656209622e6578616d706c65");
    tun_frame_put_notice(&o, TUN_FRAME_CLOSE, 0,
                         &(struct tun_notice){.code = TUN_CODE_REVOKED, .why = "bye"});
    assert_bytes("3300000a0000000000100000000003627965");
    put_fin();
    assert_bytes("21000008000000070000000000000063");
    put_rst();
    assert_bytes("2200000a00000007000c0000000000000063");
    put_window();
    assert_bytes("230100100000000700000000000000050000000000000006");
    put_lost();
    assert_bytes("350000040000000000000003");
    put_resume();
    assert_bytes("3400001e00000000"
                 "010000000100000000000000630000000700000007000000000000006302");
    put_ping();
    assert_bytes("30000008000000000000000000000005");
    tun_frame_put_empty(&o, TUN_FRAME_OPEN_OK, 7);
    assert_bytes("1100000000000007");
}
END_TEST

/* A cursor over a copy that ends where its block ends, so that ASan sees over-reads. */
static uint8_t *block;

static struct cur exact(const uint8_t *data, size_t len)
{
    free(block);
    block = malloc(len + 1);
    memcpy(block + 1, data, len);
    return cur_init(block + 1, len);
}

START_TEST(test_frame_there_and_back_and_no_prefix)
{
    struct tun_frame frame;

    setup();
    frames[_i].put();
    ck_assert(!o.bad);
    for (size_t len = 0; len < out_len(&o); len++) {
        struct cur c = exact(bytes, len);

        ck_assert_int_eq(tun_frame_get_header(&c, &frame), ERR_PROTO);
    }
    struct cur c = exact(bytes, out_len(&o));
    ck_assert_int_eq(tun_frame_get_header(&c, &frame), ERR_OK);
    ck_assert_uint_eq(frame.type, frames[_i].type);
    ck_assert_uint_eq(frame.len, cur_left(&c));
    ck_assert_int_eq(frames[_i].get(c), ERR_OK);
    for (size_t len = 0; len < frame.len; len++)
        ck_assert_int_eq(frames[_i].get(exact(bytes + 8, len)), ERR_PROTO);
    ck_assert_int_eq(frames[_i].get(exact(bytes + 8, frame.len + 1u)), ERR_PROTO);
}
END_TEST

/* Any single byte may change to any value: never a crash, never a read past the end. */
START_TEST(test_frame_survives_every_damaged_byte)
{
    setup();
    frames[_i].put();
    size_t len = out_len(&o);
    for (size_t at = 0; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t copy[2048];
            struct tun_frame frame;

            memcpy(copy, bytes, len);
            copy[at] = (uint8_t)value;
            struct cur c = exact(copy, len);
            if (tun_frame_get_header(&c, &frame) == ERR_OK)
                (void)frames[_i].get(cur_sub(&c, frame.len));
        }
    }
    free(block);
    block = NULL;
}
END_TEST

/* Every type at length min-1, min, max, max+1, with and without a stream. */
static const struct {
    uint8_t type, flags;
    uint16_t min, max;
    bool session, stream;
} rules[] = {
    {0x01, 0, 33, 65, true, false},    {0x02, 0, 7, 262, true, false},
    {0x03, 1, 0, 1000, true, false},   {0x10, 0, 47, 1000, false, true},
    {0x11, 0, 0, 0, false, true},      {0x12, 0, 7, 262, false, true},
    {0x20, 0, 0, 65535, false, true},  {0x21, 0, 8, 8, false, true},
    {0x22, 0, 10, 10, false, true},    {0x23, 1, 16, 16, true, true},
    {0x30, 0, 8, 8, true, false},      {0x31, 0, 8, 8, true, false},
    {0x32, 0, 7, 262, true, false},    {0x33, 0, 7, 262, true, false},
    {0x34, 1, 1, 1000, true, false},   {0x35, 0, 4, 4, true, false},
    {0x80, 255, 0, 65535, true, true}, {0xff, 255, 0, 65535, true, true},
};

static int header(uint8_t type, uint8_t flags, uint32_t len, uint32_t stream)
{
    static uint8_t big[70000];
    struct out out = out_init(big, sizeof(big));
    struct tun_frame frame = {type, flags, (uint16_t)len, stream}, got;

    if (len > UINT16_MAX)
        return ERR_PROTO;
    tun_frame_put_header(&out, &frame);
    struct cur c = cur_init(big, 8 + len);
    return tun_frame_get_header(&c, &got);
}

START_TEST(test_frame_header_rules)
{
    uint8_t type = rules[_i].type;
    uint32_t id = rules[_i].stream ? 1 : 0;

    ck_assert_int_eq(header(type, 0, rules[_i].min, id), ERR_OK);
    ck_assert_int_eq(header(type, 0, rules[_i].max, id), ERR_OK);
    ck_assert_int_eq(header(type, 0, rules[_i].max + 1u, id), ERR_PROTO);
    if (rules[_i].min > 0)
        ck_assert_int_eq(header(type, 0, rules[_i].min - 1u, id), ERR_PROTO);
    ck_assert_int_eq(header(type, 0, rules[_i].min, 0), rules[_i].session ? ERR_OK : ERR_PROTO);
    ck_assert_int_eq(header(type, 0, rules[_i].min, 9), rules[_i].stream ? ERR_OK : ERR_PROTO);
    for (unsigned bit = 0; bit < 8; bit++)
        ck_assert_int_eq(header(type, (uint8_t)(1u << bit), rules[_i].min, id),
                         (rules[_i].flags >> bit & 1) != 0 ? ERR_OK : ERR_PROTO);
}
END_TEST

START_TEST(test_frame_unknown_types_below_0x80_are_fatal)
{
    for (unsigned type = 0; type < 0x80; type++) {
        bool known = false;

        for (int i = 0; i < COUNT(rules); i++)
            known = known || rules[i].type == type;
        for (uint16_t len = 0; !known && len < 70; len++) {
            ck_assert_int_eq(header((uint8_t)type, 0, len, 0), ERR_PROTO);
            ck_assert_int_eq(header((uint8_t)type, 0, len, 1), ERR_PROTO);
        }
    }
}
END_TEST

START_TEST(test_frame_open_longest_fits)
{
    struct tun_open open = {.kind = TUN_KIND_HTTP}, got;
    struct tun_frame frame;

    setup();
    memset(open.workload, 'w', TUN_OPEN_WORKLOAD_MAX);
    memset(open.service, 's', TUN_OPEN_SERVICE_MAX);
    memset(open.name, 'n', TUN_OPEN_NAME_MAX);
    tun_frame_put_open(&o, 1, &open);
    ck_assert(!o.bad);
    struct cur c = cur_init(bytes, out_len(&o));
    ck_assert_int_eq(tun_frame_get_header(&c, &frame), ERR_OK);
    ck_assert_int_eq(tun_frame_get_open(c, &got), ERR_OK);
    ck_assert_str_eq(got.workload, open.workload);
    ck_assert_str_eq(got.name, open.name);
}
END_TEST

static const struct tun_open bad_opens[] = {
    {.workload = "", .service = "web", .kind = TUN_KIND_TCP},
    {.workload = "7-1-a", .service = "", .kind = TUN_KIND_TCP},
    {.workload = "7-1-a", .service = "web", .kind = 0},
    {.workload = "7-1-a", .service = "web", .kind = 4},
    {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP, .proxy = 3},
    {.workload = "7-1-a\n", .service = "web", .kind = TUN_KIND_TCP},
    {.workload = "7-1-a", .service = "w\x7f", .kind = TUN_KIND_TCP},
    {.workload = "7-1-a", .service = "web", .name = "\xc3\xa9", .kind = TUN_KIND_TCP},
};

START_TEST(test_frame_open_that_cannot_be_said)
{
    setup();
    tun_frame_put_open(&o, 1, &bad_opens[_i]);
    ck_assert(o.bad);
}
END_TEST

START_TEST(test_frame_accept_bounds)
{
    static const uint32_t ping[] = {0, 999, 1000, 600000, 600001};
    static const int want[] = {ERR_PROTO, ERR_PROTO, ERR_OK, ERR_OK, ERR_PROTO};
    struct tun_accept accept = {.link = 1, .session_window = 1};

    for (int i = 0; i < COUNT(ping); i++) {
        setup();
        accept.ping_ms = ping[i];
        tun_frame_put_accept(&o, &accept);
        ck_assert_int_eq(get_accept(cur_init(bytes + 8, out_len(&o) - 8)), want[i]);
    }
    setup();
    accept.ping_ms = 1000;
    tun_frame_put_accept(&o, &accept);
    bytes[8 + 32] = 2; /* neither with nor without a next key */
    ck_assert_int_eq(get_accept(cur_init(bytes + 8, 33)), ERR_PROTO);
    bytes[8 + 32] = 0;
    ck_assert_int_eq(get_accept(cur_init(bytes + 8, 33)), ERR_OK);
    bytes[8 + 19] = 0; /* no link has the serial 0 */
    ck_assert_int_eq(get_accept(cur_init(bytes + 8, 33)), ERR_PROTO);
}
END_TEST

START_TEST(test_frame_resume_entries_there_and_back_and_no_prefix)
{
    struct tun_resume_stream stream;
    struct tun_resume_link link;

    setup();
    put_resume();
    struct cur c = exact(bytes + 9, 29);
    ck_assert_int_eq(tun_frame_get_resume_link(&c, &link), ERR_OK);
    ck_assert_uint_eq(link.serial, 1);
    ck_assert_uint_eq(link.received, 99);
    ck_assert_uint_eq(link.last_open, 7);
    ck_assert_int_eq(tun_frame_get_resume_stream(&c, &stream), ERR_OK);
    ck_assert_uint_eq(stream.id, 7);
    ck_assert_uint_eq(stream.received, 99);
    ck_assert(stream.open_ok && !stream.fin_received);
    for (size_t len = 0; len < 16; len++) {
        c = exact(bytes + 9, len);
        ck_assert_int_eq(tun_frame_get_resume_link(&c, &link), ERR_PROTO);
    }
    for (size_t len = 0; len < 13; len++) {
        c = exact(bytes + 25, len);
        ck_assert_int_eq(tun_frame_get_resume_stream(&c, &stream), ERR_PROTO);
    }
    free(block);
    block = NULL;
}
END_TEST

static const struct {
    const char *name;
    size_t at; /* byte to overwrite ... */
    uint8_t value;
    bool stream; /* ... of the stream's entry, or of the link's */
} bad_entries[] = {
    {"link 0", 3, 0, false},
    {"stream 0", 3, 0, true},
    {"unknown flag", 12, 4, true},
};

START_TEST(test_frame_resume_entries_that_cannot_be)
{
    struct tun_resume_stream stream;
    struct tun_resume_link link;

    setup();
    put_resume();
    bytes[(bad_entries[_i].stream ? 25 : 9) + bad_entries[_i].at] = bad_entries[_i].value;
    struct cur c = cur_init(bytes + 9, 29);
    int first = tun_frame_get_resume_link(&c, &link);
    int second = tun_frame_get_resume_stream(&c, &stream);
    ck_assert_msg(first == (bad_entries[_i].stream ? ERR_OK : ERR_PROTO), "%s",
                  bad_entries[_i].name);
    ck_assert_msg(second == (bad_entries[_i].stream ? ERR_PROTO : ERR_OK), "%s",
                  bad_entries[_i].name);
}
END_TEST

START_TEST(test_frame_code_names)
{
    ck_assert_str_eq(tun_code_name(TUN_CODE_NO_SERVICE), "no_service");
    ck_assert_str_eq(tun_code_name((enum tun_code)9999), "unknown");
    for (int code = 0; code <= TUN_CODE_LOST; code++)
        ck_assert_str_ne(tun_code_name((enum tun_code)code), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/frame");
    TCase *tc = tcase_create("frame");

    tcase_add_test(tc, test_frame_known_bytes);
    tcase_add_loop_test(tc, test_frame_there_and_back_and_no_prefix, 0, COUNT(frames));
    tcase_add_loop_test(tc, test_frame_survives_every_damaged_byte, 0, COUNT(frames));
    tcase_add_loop_test(tc, test_frame_header_rules, 0, COUNT(rules));
    tcase_add_test(tc, test_frame_unknown_types_below_0x80_are_fatal);
    tcase_add_test(tc, test_frame_open_longest_fits);
    tcase_add_loop_test(tc, test_frame_open_that_cannot_be_said, 0, COUNT(bad_opens));
    tcase_add_test(tc, test_frame_accept_bounds);
    tcase_add_test(tc, test_frame_resume_entries_there_and_back_and_no_prefix);
    tcase_add_loop_test(tc, test_frame_resume_entries_that_cannot_be, 0, COUNT(bad_entries));
    tcase_add_test(tc, test_frame_code_names);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
