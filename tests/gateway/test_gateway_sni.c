/* SPDX-License-Identifier: Apache-2.0 */
/* The ClientHello reader: real hellos, every way to cut them, and every malformed one it must not
 * take. */
#include "modules/gateway/sni.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/out.h"
#include "tests/support/suite.h"

#define HELLO_MAX 16384
#define CAP 65536

/* What a made hello consists of; each part may be wrong on its own. */
struct hello {
    const char *names[2]; /* server_name entries of one extension */
    size_t name_len;      /* of names[0]; 0 = strlen */
    int name_type;
    int extensions; /* how often server_name stands there; 0 = once */
    const char *alpn;
    size_t alpn_len;
    int session_len;
    int suites_len;
    int no_compression;
    int no_extensions;
    int names_len_off, name_len_off, extension_len_off, extensions_len_off, body_len_off;
    int padding; /* bytes of an extension nobody knows */
    int version; /* 0 = 0x0303 */
    int type;    /* 0 = client_hello */
};

static void put_names(struct out *o, const struct hello *h)
{
    size_t first = h->name_len > 0 ? h->name_len : strlen(h->names[0]);
    size_t second = h->names[1] != NULL ? strlen(h->names[1]) : 0;
    size_t list = 3 + first + (h->names[1] != NULL ? 3 + second : 0);

    out_u16(o, 0);
    out_u16(o, (uint16_t)((int)list + 2 + h->extension_len_off));
    out_u16(o, (uint16_t)((int)list + h->names_len_off));
    out_u8(o, (uint8_t)h->name_type);
    out_u16(o, (uint16_t)((int)first + h->name_len_off));
    out_bytes(o, h->names[0], first);
    if (h->names[1] != NULL) {
        out_u8(o, 0);
        out_u16(o, (uint16_t)second);
        out_text(o, h->names[1]);
    }
}

static void put_extensions(struct out *o, const struct hello *h)
{
    if (h->padding > 0) {
        out_u16(o, 0x3a3a); /* GREASE */
        out_u16(o, (uint16_t)h->padding);
        out_zero(o, (size_t)h->padding);
    }
    for (int i = 0; h->names[0] != NULL && i < (h->extensions > 0 ? h->extensions : 1); i++)
        put_names(o, h);
    if (h->alpn != NULL) {
        out_u16(o, 16);
        out_u16(o, (uint16_t)(h->alpn_len + 2));
        out_u16(o, (uint16_t)h->alpn_len);
        out_bytes(o, h->alpn, h->alpn_len);
    }
}

/* The handshake message; returns its length. */
static size_t make_body(uint8_t *mem, const struct hello *h)
{
    uint8_t *extensions = malloc(CAP), *inner = malloc(CAP);
    struct out e = out_init(extensions, CAP), b = out_init(inner, CAP), o = out_init(mem, CAP);
    int suites = h->suites_len != 0 ? h->suites_len : 4;

    put_extensions(&e, h);
    out_u16(&b, h->version != 0 ? (uint16_t)h->version : 0x0303);
    out_zero(&b, 32);
    out_u8(&b, (uint8_t)h->session_len);
    out_zero(&b, (size_t)h->session_len);
    out_u16(&b, (uint16_t)(suites > 0 ? suites : 0));
    out_zero(&b, (size_t)(suites > 0 ? suites : 0));
    out_u8(&b, h->no_compression ? 0 : 1);
    out_zero(&b, h->no_compression ? 0 : 1);
    if (!h->no_extensions) {
        out_u16(&b, (uint16_t)((int)out_len(&e) + h->extensions_len_off));
        out_bytes(&b, extensions, out_len(&e));
    }
    out_u8(&o, h->type != 0 ? (uint8_t)h->type : 1);
    out_u24(&o, (uint32_t)((int)out_len(&b) + h->body_len_off));
    out_bytes(&o, inner, out_len(&b));
    free(extensions);
    free(inner);
    ck_assert(!o.bad && !b.bad && !e.bad);
    return out_len(&o);
}

/* BODY in records of at most RECORD bytes; returns the length of the whole. */
static size_t wrap(uint8_t *mem, const uint8_t *body, size_t len, size_t record)
{
    struct out o = out_init(mem, 8 * (size_t)CAP);

    for (size_t at = 0; at < len; at += record) {
        size_t n = len - at < record ? len - at : record;

        out_u8(&o, 22);
        out_u16(&o, 0x0301);
        out_u16(&o, (uint16_t)n);
        out_bytes(&o, body + at, n);
    }
    ck_assert(!o.bad);
    return out_len(&o);
}

static struct gw_sni feed(const uint8_t *data, size_t len)
{
    struct gw_sni sni;

    gw_sni_init(&sni, HELLO_MAX);
    (void)gw_sni_feed(&sni, data, len);
    return sni;
}

/* Each time in memory of exactly that many bytes, so that sanitizers see a read too far. */
static struct gw_sni feed_bytewise(const uint8_t *data, size_t len)
{
    struct gw_sni sni;

    gw_sni_init(&sni, HELLO_MAX);
    for (size_t n = 1; n <= len; n++) {
        uint8_t *copy = malloc(n);

        memcpy(copy, data, n);
        (void)gw_sni_feed(&sni, copy, n);
        free(copy);
    }
    return sni;
}

static struct gw_sni feed_hello(const struct hello *h)
{
    uint8_t *body = malloc(CAP), *wire = malloc(8 * (size_t)CAP);
    size_t len = wrap(wire, body, make_body(body, h), 16384);
    struct gw_sni sni = feed(wire, len);

    free(body);
    free(wire);
    return sni;
}

static size_t read_seed(uint8_t *mem, size_t cap, const char *name)
{
    char path[1024];
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/fuzz_hello/%s",
                   getenv("NW_SOURCE_DIR") != NULL ? getenv("NW_SOURCE_DIR") : ".", name);
    f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    n = fread(mem, 1, cap, f);
    fclose(f);
    return n;
}

static const struct {
    const char *seed;
    enum gw_sni_status status;
    const char *host;
} real[] = {
    {"openssl_tls13", GW_SNI_HOST, "blog.gw.example"},
    {"openssl_tls12", GW_SNI_HOST, "blog.gw.example"}, /* sent as Blog.GW.example */
    {"openssl_no_name", GW_SNI_NO_HOST, ""},
    {"curl", GW_SNI_HOST, "a.b.example"},
    {"curl_ip", GW_SNI_NO_HOST, ""},
    {"curl_tls12_dot", GW_SNI_HOST, "x.example"},
    {"many_records", GW_SNI_HOST, "blog.gw.example"},
    {"tunnel", GW_SNI_NOT_TLS, ""},
};

START_TEST(test_hellos_of_real_clients_are_understood)
{
    uint8_t data[8192];
    size_t len = read_seed(data, sizeof(data), real[_i].seed);
    struct gw_sni sni = feed(data, len), slow = feed_bytewise(data, len);

    ck_assert_int_eq(sni.status, real[_i].status);
    ck_assert_str_eq(sni.host, real[_i].host);
    ck_assert_int_eq(slow.status, real[_i].status);
    ck_assert_str_eq(slow.host, real[_i].host);
}
END_TEST

START_TEST(test_every_prefix_of_a_hello_wants_more)
{
    uint8_t data[8192];
    size_t len = read_seed(data, sizeof(data), "openssl_tls13");

    for (size_t n = 0; n < len; n++) {
        uint8_t *copy = malloc(n + 1);

        memcpy(copy, data, n);
        ck_assert_int_eq(feed(copy, n).status, GW_SNI_MORE);
        free(copy);
    }
}
END_TEST

START_TEST(test_single_byte_damage_is_never_a_crash)
{
    uint8_t data[8192], copy[8192];
    size_t len = read_seed(data, sizeof(data), "curl");

    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, data, len);
            copy[i] ^= (uint8_t)(1 << bit);
            (void)feed(copy, len);
        }
    }
}
END_TEST

START_TEST(test_records_of_any_size_give_the_same)
{
    struct hello h = {.names = {"a.example"}, .alpn = "\2h2\x8http/1.1", .alpn_len = 12};
    uint8_t *body = malloc(CAP), *wire = malloc(8 * (size_t)CAP);
    size_t len = make_body(body, &h);

    for (size_t record = 1; record <= len; record++) {
        struct gw_sni sni = feed(wire, wrap(wire, body, len, record));

        ck_assert_int_eq(sni.status, GW_SNI_HOST);
        ck_assert_str_eq(sni.host, "a.example");
    }
    free(body);
    free(wire);
}
END_TEST

static const struct hello good[] = {
    {.names = {"a.example"}},
    {.names = {"A.Example."}},
    {.names = {"a.example"}, .session_len = 32},
    {.names = {"a.example"}, .padding = 12000}, /* a large post-quantum share */
    {.names = {"a.example"}, .alpn = "\2h2", .alpn_len = 3},
    {.names = {"a.example"}, .version = 0x0301},
};

START_TEST(test_unusual_but_sound_hellos_are_taken)
{
    struct gw_sni sni = feed_hello(&good[_i]);

    ck_assert_msg(sni.status == GW_SNI_HOST, "%s", sni.why);
    ck_assert_str_eq(sni.host, "a.example");
}
END_TEST

START_TEST(test_a_hello_without_extensions_names_no_host)
{
    struct hello h = {.no_extensions = 1};

    ck_assert_int_eq(feed_hello(&h).status, GW_SNI_NO_HOST);
}
END_TEST

static const struct {
    struct hello hello;
    enum gw_alert alert;
} bad[] = {
    {{.names = {"a.example"}, .extensions = 2}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a.example", "b.example"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a.example", "a.example"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a.example"}, .name_type = 1}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a\0b.example"}, .name_len = 11}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a.example\0"}, .name_len = 10}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {""}}, GW_ALERT_DECODE_ERROR},
    {{.names = {"."}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a..example"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {".a.example"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a.example.."}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"*.example"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a b.example"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"\xc3\xa9.example"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"192.0.2.1"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"[::1]"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"2001:db8::1"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a.example:443"}}, GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example"}},
     GW_ALERT_ILLEGAL_PARAMETER},
    {{.names = {"a.example"}, .names_len_off = 1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .names_len_off = -1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .name_len_off = 1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .extension_len_off = 1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .extension_len_off = -1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .extensions_len_off = 1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .extensions_len_off = -1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .body_len_off = -1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .session_len = 33}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .suites_len = -1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .suites_len = 3}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .no_compression = 1}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .alpn = "", .alpn_len = 0}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .alpn = "\2h2\0", .alpn_len = 4}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .alpn = "\3h2", .alpn_len = 3}, GW_ALERT_DECODE_ERROR},
    {{.names = {"a.example"}, .version = 0x0200}, GW_ALERT_PROTOCOL_VERSION},
    {{.names = {"a.example"}, .type = 2}, GW_ALERT_UNEXPECTED_MESSAGE},
    {{.names = {"a.example"}, .padding = 16384}, GW_ALERT_DECODE_ERROR},
};

START_TEST(test_malformed_hellos_get_the_alert_of_the_rfc)
{
    struct gw_sni sni = feed_hello(&bad[_i].hello);

    ck_assert_int_eq(sni.status, GW_SNI_BAD);
    ck_assert_msg(sni.alert == bad[_i].alert, "%d (%s)", (int)sni.alert, sni.why);
}
END_TEST

START_TEST(test_too_long_a_hello_is_known_from_its_first_bytes)
{
    const uint8_t data[] = {22, 3, 1, 0x40, 0, 1, 0, 0x40, 1};
    struct gw_sni sni = feed(data, sizeof(data));

    ck_assert_int_eq(sni.status, GW_SNI_BAD);
    ck_assert_int_eq(sni.alert, GW_ALERT_DECODE_ERROR);
}
END_TEST

static const struct {
    uint8_t data[16];
    size_t len;
    enum gw_sni_status status;
    enum gw_alert alert;
} records[] = {
    {{'G'}, 1, GW_SNI_NOT_TLS, 0},
    {{22, 2}, 2, GW_SNI_NOT_TLS, 0},
    {{23, 3}, 2, GW_SNI_NOT_TLS, 0},
    {{0x80, 0x2e, 1}, 3, GW_SNI_NOT_TLS, 0}, /* SSL 2 */
    {{22, 3, 1, 0, 0}, 5, GW_SNI_BAD, GW_ALERT_DECODE_ERROR},
    {{22, 3, 1, 0x40, 1}, 5, GW_SNI_BAD, GW_ALERT_RECORD_OVERFLOW},
    {{22, 3, 1, 0, 1, 1, 21}, 7, GW_SNI_BAD, GW_ALERT_UNEXPECTED_MESSAGE},
    {{22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 0}, 11, GW_SNI_BAD, GW_ALERT_DECODE_ERROR},
    {{22, 3, 1, 0, 1, 1, 22, 2}, 8, GW_SNI_BAD, GW_ALERT_PROTOCOL_VERSION},
};

START_TEST(test_records_that_are_no_handshake_end_it)
{
    struct gw_sni sni = feed(records[_i].data, records[_i].len);

    ck_assert_int_eq(sni.status, records[_i].status);
    if (sni.status == GW_SNI_BAD)
        ck_assert_int_eq(sni.alert, records[_i].alert);
}
END_TEST

START_TEST(test_bytes_after_the_hello_change_nothing)
{
    uint8_t data[8192];
    size_t len = read_seed(data, sizeof(data), "curl");
    struct gw_sni sni;

    memset(data + len, 0xff, 100);
    sni = feed(data, len + 100);
    ck_assert_int_eq(sni.status, GW_SNI_HOST);
    ck_assert_str_eq(sni.host, "a.b.example");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_sni");
    TCase *tc = tcase_create("sni");

    tcase_add_loop_test(tc, test_hellos_of_real_clients_are_understood, 0, COUNT(real));
    tcase_add_test(tc, test_every_prefix_of_a_hello_wants_more);
    tcase_add_test(tc, test_single_byte_damage_is_never_a_crash);
    tcase_add_test(tc, test_records_of_any_size_give_the_same);
    tcase_add_loop_test(tc, test_unusual_but_sound_hellos_are_taken, 0, COUNT(good));
    tcase_add_test(tc, test_a_hello_without_extensions_names_no_host);
    tcase_add_loop_test(tc, test_malformed_hellos_get_the_alert_of_the_rfc, 0, COUNT(bad));
    tcase_add_test(tc, test_too_long_a_hello_is_known_from_its_first_bytes);
    tcase_add_loop_test(tc, test_records_that_are_no_handshake_end_it, 0, COUNT(records));
    tcase_add_test(tc, test_bytes_after_the_hello_change_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
