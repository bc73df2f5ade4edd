/* SPDX-License-Identifier: Apache-2.0 */
/* The server's URL: every form, what is refused, limits, damage. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/name.h"
#include "tests/support/suite.h"

static const struct {
    const char *text;
    struct bus_url want;
    const char *printed;
} urls[] = {
    {"unix:///run/redis.sock",
     {.is_unix = true, .path = "/run/redis.sock"},
     "unix:///run/redis.sock"},
    {"unix://agent:pw@/run/s",
     {.is_unix = true, .path = "/run/s", .user = "agent", .password = "pw"},
     "unix:///run/s"},
    {"tcp://10.0.0.1:6380", {.host = "10.0.0.1", .port = 6380}, "tcp://10.0.0.1:6380"},
    {"tcp://secret@h:1", {.host = "h", .port = 1, .password = "secret"}, "tcp://h:1"},
    {"redis://u:p%40%2f@h/3",
     {.host = "h", .port = 6379, .user = "u", .password = "p@/", .db = 3},
     "tcp://h:6379/3"},
    {"redis://:p@h:7/", {.host = "h", .port = 7, .password = "p"}, "tcp://h:7"},
    {"tcp://u:a@b@h:7", {.host = "h", .port = 7, .user = "u", .password = "a@b"}, "tcp://h:7"},
    {"tcp://[2001:db8::1]:5/2",
     {.host = "2001:db8::1", .port = 5, .db = 2},
     "tcp://[2001:db8::1]:5/2"},
    {"tcp://[::1]", {.host = "::1", .port = 6379}, "tcp://[::1]:6379"},
    {"tcp://localhost", {.host = "localhost", .port = 6379}, "tcp://localhost:6379"},
};

START_TEST(test_url_forms)
{
    struct bus_url url;
    char why[BUS_WHY_MAX];

    ck_assert_msg(bus_url_parse(&url, urls[_i].text, why) == ERR_OK, "%s: %s", urls[_i].text, why);
    ck_assert(url.is_unix == urls[_i].want.is_unix);
    ck_assert_str_eq(url.path, urls[_i].want.path);
    ck_assert_str_eq(url.host, urls[_i].want.host);
    ck_assert_uint_eq(url.port, urls[_i].want.port);
    ck_assert_str_eq(url.user, urls[_i].want.user);
    ck_assert_str_eq(url.password, urls[_i].want.password);
    ck_assert_uint_eq(url.db, urls[_i].want.db);
    bus_url_print(why, &url);
    ck_assert_str_eq(why, urls[_i].printed);
}
END_TEST

static const char *const bad_urls[] = {
    "",
    "redis",
    "http://h:1",
    "unix://",
    "unix://relative",
    "unix:///",
    ("unix:///0123456789012345678901234567890123456789/123456789012345678901234567890123456789/1234"
     "5678901234567890123456789"),
    "tcp://",
    "tcp://:6379",
    "tcp://h:0",
    "tcp://h:65536",
    "tcp://h:01",
    "tcp://h:1x",
    "tcp://h:",
    "tcp://h/x",
    "tcp://h/-1",
    "tcp://h/1/2",
    "tcp://h/99999999999",
    "tcp://[::1",
    "tcp://[name]:1",
    "tcp://::1:6379",
    "tcp://a b:1",
    "tcp://u:%zz@h",
    "tcp://u:%4",
    "tcp://u:%00@h",
    "tcp://h?x=1",
};

START_TEST(test_url_bad_ones_say_why)
{
    struct bus_url url = {.port = 7};
    char why[BUS_WHY_MAX] = "";

    ck_assert_msg(bus_url_parse(&url, bad_urls[_i], why) == ERR_INVALID, "%s", bad_urls[_i]);
    ck_assert(strncmp(why, "bus URL: ", 9) == 0);
    ck_assert_uint_eq(url.port, 7); /* untouched */
}
END_TEST

/* Every prefix and every changed byte: never a crash, never an over-read (the copy ends the block).
 */
START_TEST(test_url_damage)
{
    static const char good[] = "redis://user:pa%40ss@[2001:db8::1]:6379/12";
    struct bus_url url;
    char why[BUS_WHY_MAX], copy[sizeof(good)];

    for (size_t n = 0; n < sizeof(good); n++) {
        memcpy(copy, good, sizeof(good));
        copy[n] = '\0';
        (void)bus_url_parse(&url, copy, why);
        for (int value = 1; value < 256; value++) {
            memcpy(copy, good, sizeof(good));
            if (n + 1 < sizeof(good))
                copy[n] = (char)value;
            (void)bus_url_parse(&url, copy, why);
        }
    }
}
END_TEST

START_TEST(test_url_parts_at_their_limits)
{
    char text[1024], part[300], why[BUS_WHY_MAX];
    struct bus_url url;

    memset(part, 'p', sizeof(part));
    snprintf(text, sizeof(text), "tcp://%.63s:%.255s@%.255s:65535/2147483647", part, part, part);
    ck_assert_int_eq(bus_url_parse(&url, text, why), ERR_OK);
    ck_assert_uint_eq(strlen(url.user), 63);
    ck_assert_uint_eq(strlen(url.password), 255);
    ck_assert_uint_eq(strlen(url.host), 255);
    ck_assert_uint_eq(url.db, 2147483647);
    snprintf(text, sizeof(text), "tcp://%.64s:x@h", part);
    ck_assert_int_eq(bus_url_parse(&url, text, why), ERR_INVALID);
    snprintf(text, sizeof(text), "tcp://%.256s@h", part);
    ck_assert_int_eq(bus_url_parse(&url, text, why), ERR_INVALID);
    ck_assert_ptr_null(strstr(why, "ppp")); /* never the password */
    snprintf(text, sizeof(text), "tcp://%.256s", part);
    ck_assert_int_eq(bus_url_parse(&url, text, why), ERR_INVALID);
    ck_assert_int_eq(bus_url_parse(&url, "tcp://h/2147483648", why), ERR_INVALID);
    snprintf(text, sizeof(text), "unix:///%.106s", part);
    ck_assert_int_eq(bus_url_parse(&url, text, why), ERR_OK);
    snprintf(text, sizeof(text), "unix:///%.107s", part);
    ck_assert_int_eq(bus_url_parse(&url, text, why), ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/url");
    TCase *tc = tcase_create("url");

    tcase_add_loop_test(tc, test_url_forms, 0, COUNT(urls));
    tcase_add_loop_test(tc, test_url_bad_ones_say_why, 0, COUNT(bad_urls));
    tcase_add_test(tc, test_url_damage);
    tcase_add_test(tc, test_url_parts_at_their_limits);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
