/* SPDX-License-Identifier: Apache-2.0 */
/* Why a gateway is not reached: the words, and which of several failures is told. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/connector/failure.h"
#include "tests/support/suite.h"

static const struct tun_public_key own = {{0xab, 0x12, 0xcd}};

static bool says(const struct con_failure *f, const char *text)
{
    return strstr(f->why, text) != NULL;
}

START_TEST(test_failure_before_message_two_blames_the_public_key)
{
    struct con_failure f = {0};

    con_failure_hello(&f, "gw:1", ERR_EOF);
    ck_assert(says(&f, "the public key is probably not this gateway's"));
    ck_assert_str_eq(f.address, "gw:1");
    f = (struct con_failure){0};
    con_failure_hello(&f, "gw:1", ERR_TIMEOUT);
    ck_assert(says(&f, "timed out"));
    f = (struct con_failure){0};
    con_failure_hello(&f, "gw:1", ERR_AUTH);
    ck_assert(says(&f, "not authentic"));
}
END_TEST

START_TEST(test_failure_after_message_three_names_our_key)
{
    struct con_failure f = {0};
    struct con_session_lost lost = {.rc = ERR_EOF};

    con_failure_link(&f, "gw:1", &lost, &own);
    ck_assert(says(&f, "the gateway does not accept our key ab12"));
    ck_assert(says(&f, "no live contract names it"));
    ck_assert(f.unknown_key);
    f = (struct con_failure){0};
    lost.rc = ERR_TIMEOUT;
    con_failure_link(&f, "gw:1", &lost, &own);
    ck_assert(!f.unknown_key);
}
END_TEST

/* The gateway knows our key: it took another link of the session. */
START_TEST(test_failure_of_a_further_link_does_not_blame_the_key)
{
    struct con_failure f = {0};
    struct con_session_lost lost = {.rc = ERR_EOF, .known = true};

    con_failure_link(&f, "gw:1", &lost, &own);
    ck_assert(says(&f, "before the gateway took the link"));
    ck_assert(!f.unknown_key);
}
END_TEST

START_TEST(test_failure_tells_what_the_gateway_said)
{
    struct con_failure f = {0};
    struct tun_notice notice = {.code = TUN_CODE_BUSY, .retry_ms = 900, .why = "16 sessions"};
    struct con_session_lost lost = {.rc = ERR_REFUSED, .notice = &notice};
    struct con_session_end end = {.rc = ERR_EOF, .accepted = true, .notice = &notice};

    con_failure_link(&f, "gw:1", &lost, &own);
    ck_assert(says(&f, "refuses us"));
    ck_assert(says(&f, "16 sessions"));
    ck_assert_uint_eq(f.told_ms, 900);
    ck_assert(!f.unknown_key);
    con_failure_session(&f, "gw:1", &end);
    ck_assert(says(&f, "ended the tunnel"));
}
END_TEST

START_TEST(test_failure_lost_link_says_how)
{
    struct con_failure f = {0};
    struct con_session_lost lost = {.rc = ERR_TIMEOUT, .accepted = true, .known = true};

    con_failure_link(&f, "gw:1", &lost, &own);
    ck_assert(says(&f, "silent"));
    ck_assert_int_eq(f.stage, CON_FAILURE_LOST);
    lost.rc = ERR_SYS;
    errno = ECONNRESET;
    con_failure_link(&f, "gw:1", &lost, &own);
    ck_assert(says(&f, "reset"));
}
END_TEST

START_TEST(test_failure_an_end_without_a_word_means_an_unknown_key_a_reset_does_not)
{
    struct con_failure f = {0}, g = {0};
    struct con_session_lost lost = {.rc = ERR_EOF};

    con_failure_link(&f, "gw:1", &lost, &own);
    ck_assert(says(&f, "no live contract names it"));
    ck_assert(f.unknown_key);
    lost.rc = ERR_SYS;
    errno = ECONNRESET;
    con_failure_link(&g, "gw:1", &lost, &own);
    ck_assert(says(&g, "closed before"));
    ck_assert(!g.unknown_key);
}
END_TEST

static const struct {
    struct con_session_end end;
    const char *says;
} ends[] = {
    {{.rc = ERR_TIMEOUT, .accepted = true}, "no link came back within the resume window"},
    {{.rc = ERR_NOENT, .accepted = true}, "no longer knows this session"},
    {{.rc = ERR_PROTO, .accepted = true}, "the tunnel was lost"},
    {{.rc = ERR_TIMEOUT}, "no answer after the handshake"},
};

START_TEST(test_failure_lost_tunnel_says_how)
{
    struct con_failure f = {0};

    con_failure_session(&f, "gw:1", &ends[_i].end);
    ck_assert_msg(says(&f, ends[_i].says), "%s", f.why);
}
END_TEST

/* Of several addresses the attempt that came furthest tells most. */
START_TEST(test_failure_keeps_the_furthest)
{
    struct con_failure f = {0};

    con_failure_lookup(&f, "a:1", ERR_NOENT);
    ck_assert(says(&f, "no such host"));
    con_failure_hello(&f, "b:1", ERR_EOF);
    errno = ECONNREFUSED;
    con_failure_dial(&f, "c:1", ERR_SYS);
    ck_assert_str_eq(f.address, "b:1");
    ck_assert(says(&f, "public key"));
    con_failure_hello(&f, "d:1", ERR_EOF); /* as far: the later one */
    ck_assert_str_eq(f.address, "d:1");
}
END_TEST

START_TEST(test_failure_dial_says_the_error)
{
    struct con_failure f = {0};

    errno = ECONNREFUSED;
    con_failure_dial(&f, "c:1", ERR_SYS);
    ck_assert(says(&f, "refused"));
}
END_TEST

START_TEST(test_failure_long_texts_are_cut)
{
    struct con_failure f = {0};
    struct tun_notice notice = {.code = TUN_CODE_BUSY};
    struct con_session_lost lost = {.rc = ERR_REFUSED, .notice = &notice};
    char address[400];

    memset(notice.why, 'w', sizeof(notice.why) - 1);
    memset(address, 'a', sizeof(address));
    address[sizeof(address) - 1] = '\0';
    con_failure_link(&f, address, &lost, &own);
    ck_assert_uint_lt(strlen(f.why), sizeof(f.why));
    ck_assert_uint_lt(strlen(f.address), sizeof(f.address));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/failure");
    TCase *tc = tcase_create("failure");

    tcase_add_test(tc, test_failure_before_message_two_blames_the_public_key);
    tcase_add_test(tc, test_failure_after_message_three_names_our_key);
    tcase_add_test(tc, test_failure_tells_what_the_gateway_said);
    tcase_add_test(tc, test_failure_of_a_further_link_does_not_blame_the_key);
    tcase_add_test(tc, test_failure_lost_link_says_how);
    tcase_add_test(tc, test_failure_an_end_without_a_word_means_an_unknown_key_a_reset_does_not);
    tcase_add_loop_test(tc, test_failure_lost_tunnel_says_how, 0, COUNT(ends));
    tcase_add_test(tc, test_failure_keeps_the_furthest);
    tcase_add_test(tc, test_failure_dial_says_the_error);
    tcase_add_test(tc, test_failure_long_texts_are_cut);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
