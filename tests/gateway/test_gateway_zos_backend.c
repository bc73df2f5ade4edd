/* SPDX-License-Identifier: Apache-2.0 */
/* Backends as Zero-OS's gateway takes and refuses them: the same input, the same words. */
#include "modules/gateway/zos_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static const struct {
    bool passthrough;
    const char *text;
    const char *want;
} good[] = {
    {false, "http://10.1.2.3:80", "http://10.1.2.3:80"},
    {false, "http://10.1.2.3", "http://10.1.2.3:80"},
    {false, "http://10.1.2.3:", "http://10.1.2.3:80"},
    {false, "HTTP://10.1.2.3:8080/path?x#y", "http://10.1.2.3:8080"},
    {false, "http://user:word@10.1.2.3:81", "http://10.1.2.3:81"},
    {false, "http://[2001:db8::1]:81/", "http://[2001:db8::1]:81"},
    {false, "http://[2001:db8::1]", "http://[2001:db8::1]:80"},
    {true, "10.1.2.3:443", "10.1.2.3:443"},
    {true, "[2001:db8::1]:443", "[2001:db8::1]:443"},
    {true, "127.0.0.1:443", "127.0.0.1:443"}, /* the original looks at loopback in URLs only */
    {true, "tunnel:ab/web", "tunnel:ab/web"},
    {false, "tunnel:ab", "tunnel:ab"},
};

START_TEST(test_zos_backend_takes)
{
    char out[GW_ZOS_BACKEND_MAX], why[GW_ZOS_WHY_MAX] = "";
    int rc = gw_zos_backend_read(out, good[_i].text, good[_i].passthrough, why);

    ck_assert_msg(rc == ERR_OK, "%s: %s", good[_i].text, why);
    ck_assert_str_eq(out, good[_i].want);
}
END_TEST

#define URL "failed to parse backend with error: parse "
static const struct {
    bool passthrough;
    const char *text;
    const char *why;
} bad[] = {
    {false, "", "scheme expected to be http"},
    {false, "10.1.2.3", "scheme expected to be http"},
    {false, "https://10.1.2.3", "scheme expected to be http"},
    {false, "web:80", "scheme expected to be http"},
    {false, "10.1.2.3:80", URL "\"10.1.2.3:80\": first path segment in URL cannot contain colon"},
    {false, ":80", URL "\":80\": missing protocol scheme"},
    {false, "http://10.1.2.3:x", URL "\"http://10.1.2.3:x\": invalid port \":x\" after host"},
    {false, "http://[::2]x", URL "\"http://[::2]x\": invalid port \"x\" after host"},
    {false, "http://web:80", "invalid ip address in backend: web"},
    {false, "http://127.0.0.1:80", "invalid ip address in backend: 127.0.0.1"},
    {false, "http://[::1]", "invalid ip address in backend: ::1"},
    {false, "http://[::ffff:127.0.0.9]", "invalid ip address in backend: ::ffff:127.0.0.9"},
    {false, "http:10.1.2.3", "invalid ip address in backend: "},
    {false, "http://10.1.2.3:65536", "port '65536' must be <= 65535"},
    {true, "10.1.2.3", "address 10.1.2.3: missing port in address"},
    {true, "http://10.1.2.3:80", "address http://10.1.2.3:80: too many colons in address"},
    {true, "2001:db8::1:443", "address 2001:db8::1:443: too many colons in address"},
    {true, "[2001:db8::1]", "address [2001:db8::1]: missing port in address"},
    {true, "[2001:db8::1:443", "address [2001:db8::1:443: missing ']' in address"},
    {true, "[::2]:1:2", "address [::2]:1:2: too many colons in address"},
    {true, "[::[2]:1", "address [::[2]:1: unexpected '[' in address"},
    {true, "10.1.2.3]:1", "address 10.1.2.3]:1: unexpected ']' in address"},
    {true, "web:443", "invalid ip"},
    {true, "10.1.2.3:https", "invalid port in backend: https"},
    {true, "10.1.2.3:", "invalid port in backend: "},
    {true, "10.1.2.3:65536", "port '65536' must be <= 65535"},
    {true, "10.1.2.3:99999999999999999999", "invalid port in backend: 99999999999999999999"},
};

/* How often the text stands in front, as the original wraps its errors. */
static void expect(char out[GW_ZOS_WHY_MAX], const char *text, const char *why)
{
    bool twice = strncmp(why, "address ", 8) == 0;

    (void)snprintf(out, GW_ZOS_WHY_MAX, "failed to parse backend %s with error: %s%s%s%s", text,
                   twice ? "failed to parse backend " : "", twice ? text : "",
                   twice ? " with error: " : "", why);
}

START_TEST(test_zos_backend_refuses_in_the_words_of_the_original)
{
    char out[GW_ZOS_BACKEND_MAX], why[GW_ZOS_WHY_MAX] = "", want[GW_ZOS_WHY_MAX];

    if (bad[_i].passthrough)
        expect(want, bad[_i].text, bad[_i].why);
    else
        (void)snprintf(want, sizeof(want), "%s", bad[_i].why);
    ck_assert_int_eq(gw_zos_backend_read(out, bad[_i].text, bad[_i].passthrough, why), ERR_INVALID);
    ck_assert_str_eq(why, want);
}
END_TEST

START_TEST(test_zos_backend_control_characters_are_no_url)
{
    char out[GW_ZOS_BACKEND_MAX], why[GW_ZOS_WHY_MAX] = "";

    ck_assert_int_eq(gw_zos_backend_read(out, "http://10.1.2.3\n", false, why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, ": net/url: invalid control character in URL"));
}
END_TEST

/* Every prefix of a text, and texts that are much too long, end somewhere. */
START_TEST(test_zos_backend_any_text_ends_in_an_answer)
{
    static const char *const texts[] = {"http://user:w@[2001:db8::1]:8080/x?y#z",
                                        "[2001:db8::1]:443", "tunnel:0123/web"};
    char out[GW_ZOS_BACKEND_MAX], why[GW_ZOS_WHY_MAX], big[4096];

    for (size_t i = 0; i < strlen(texts[_i]); i++) {
        char *prefix = exact_copy(texts[_i], i + 1);

        prefix[i] = '\0';
        (void)gw_zos_backend_read(out, prefix, false, why);
        (void)gw_zos_backend_read(out, prefix, true, why);
        free(prefix);
        memset(big, texts[_i][i], sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        memcpy(big, texts[_i], i);
        (void)gw_zos_backend_read(out, big, false, why);
        (void)gw_zos_backend_read(out, big, true, why);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/zos_backend");
    TCase *tc = tcase_create("texts");

    tcase_add_loop_test(tc, test_zos_backend_takes, 0, COUNT(good));
    tcase_add_loop_test(tc, test_zos_backend_refuses_in_the_words_of_the_original, 0, COUNT(bad));
    tcase_add_test(tc, test_zos_backend_control_characters_are_no_url);
    tcase_add_loop_test(tc, test_zos_backend_any_text_ends_in_an_answer, 0, 3);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
