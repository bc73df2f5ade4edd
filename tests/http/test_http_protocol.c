/* SPDX-License-Identifier: Apache-2.0 */
/* Which protocols of an Upgrade field go through. */
#include "modules/http/protocol.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const struct {
    const char *list;
    const char *passed;
} lists[] = {
    {"websocket", "websocket"},
    {"WebSocket", "WebSocket"},
    {" a/1 ,\tb ", "a/1, b"},
    {"IRC/6.9, RTA/x11", "IRC/6.9, RTA/x11"},
    {"h2c", ""},
    {"H2C", ""},
    {"h2", ""},
    {"h2c, websocket", "websocket"},
    {"websocket, h2c", "websocket"},
    {"a,h2c,b", "a, b"},
    {"h2c/1", ""},
    {"HTTP/2.0", ""},
    {"http/1.1, HTTP", ""},
    {"h2cc", "h2cc"},
    {"", ""},
    {",, ,", ""},
    {"a b", ""},
    {"a/", ""},
    {"/a", ""},
    {"a/b/c", ""},
    {"a;b", ""},
    {"\"a\"", ""},
    {"a, b c, d", "a, d"},
    {"1,2,3,4,5,6,7,8,9,0", "1, 2, 3, 4, 5, 6, 7, 8"},
};

START_TEST(test_protocols_but_http_itself_go_through)
{
    size_t len = strlen(lists[_i].list);
    char *data = exact_copy(lists[_i].list, len), text[64];
    struct out o = out_init(text, sizeof(text));
    struct http_span list = {0, len};
    bool some = lists[_i].passed[0] != '\0';

    ck_assert(http_protocols_pass(list, data) == some);
    ck_assert(http_protocols_print(&o, list, data) == some);
    ck_assert_uint_eq(out_len(&o), strlen(lists[_i].passed));
    ck_assert_mem_eq(text, lists[_i].passed, out_len(&o));
    free(data);
}
END_TEST

static const struct {
    const char *list, *asked;
    bool is;
} answers[] = {
    {"websocket", "websocket", true},
    {"WebSocket", "websocket", true},
    {" b ", "a, b", true},
    {"b,, a", "a, b", true},
    {"a/2", "a/1, a/2", true},
    {"", "a", false},
    {", ,", "a", false},
    {"b", "a", false},
    {"a, b", "a", false},
    {"a", "a/1", false},
    {"a/1", "a", false},
    {"aa", "a", false},
    {"a", "aa", false},
    {"h2c", "a", false},
    {"a", "", false},
};

START_TEST(test_a_protocol_that_was_not_asked_for_is_found)
{
    size_t len = strlen(answers[_i].list), asked_len = strlen(answers[_i].asked);
    char *list = exact_copy(answers[_i].list, len),
         *asked = exact_copy(answers[_i].asked, asked_len);

    ck_assert(http_protocols_asked((struct http_span){0, len}, list,
                                   (struct http_span){0, asked_len}, asked) == answers[_i].is);
    free(list);
    free(asked);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_protocol");
    TCase *tc = tcase_create("protocol");

    tcase_add_loop_test(tc, test_protocols_but_http_itself_go_through, 0, COUNT(lists));
    tcase_add_loop_test(tc, test_a_protocol_that_was_not_asked_for_is_found, 0, COUNT(answers));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
