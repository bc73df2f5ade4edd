/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/node-agent/ctl_run.h"
#include "tests/support/suite.h"

/* Command, key, a field with its value, and words of the table. */
static const struct {
    const char *command;
    const char *key;
    const char *field;
    const char *value;
    const char *says[4];
} views[] = {
    {"workloads",
     "netwall:workloads",
     "7-1-blog",
     "{\"type\":\"gateway-name-proxy\",\"version\":2,\"state\":\"ok\",\"online\":3,\"updated\":0,"
     "\"message\":\"hello\"}",
     {"7-1-blog", "gateway-name-proxy", "ok", "hello"}},
    {"tunnels",
     "netwall:tunnels",
     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
     "[{\"name\":\"web-\\u001b[1m\",\"remote\":\"192.0.2.9:5\",\"since\":0,\"rtt_us\":250,"
     "\"links\":2,\"streams\":4,\"rx_bytes\":2048,\"tx_bytes\":1,\"state\":\"up\","
     "\"lost\":{\"at\":5,\"why\":\"silent\"}}]",
     {"001122334455 ", "web-?[1m", "2.0 KiB", "silent"}},
    {"usage",
     "netwall:usage",
     "7-1-blog",
     "{\"rx_bytes\":1048576,\"tx_bytes\":5,\"connections\":9,\"active\":2}",
     {"7-1-blog", "1.0 MiB", "5 B", "9"}},
};

START_TEST(test_state_views)
{
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node), *url = ctl_fake_url(node);
    struct ctl_out run;
    json_t *got, *want;

    /* nothing there yet */
    run = ctl_run_code(0, dir, "--bus", url, "--json", views[_i].command, NULL);
    ck_assert_str_eq(run.out, "{}\n");
    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "--bus", url, views[_i].command, NULL);
    ck_assert_str_ne(run.out, "");
    ctl_out_free(&run);

    ctl_fake_redis(node, "HSET", views[_i].key, views[_i].field, views[_i].value, NULL);
    run = ctl_run_code(0, dir, "--bus", url, views[_i].command, NULL);
    for (int i = 0; i < 4; i++)
        ck_assert_msg(strstr(run.out, views[_i].says[i]) != NULL, "%s", run.out);
    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "--bus", url, "--json", views[_i].command, NULL);
    got = ctl_out_json(&run);
    want = json_pack("{s:o}", views[_i].field, json_loads(views[_i].value, 0, NULL));
    ck_assert(json_equal(got, want));
    json_decref(got);
    json_decref(want);
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_state_junk_on_the_bus_is_shown_not_believed)
{
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node), *url = ctl_fake_url(node);
    struct ctl_out run;

    ctl_fake_redis(node, "HSET", "netwall:workloads", "a", "not JSON", "b", "[1]", "c", "", NULL);
    run = ctl_run_code(0, dir, "--bus", url, "workloads", NULL);
    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "--bus", url, "--json", "workloads", NULL);
    json_decref(ctl_out_json(&run));
    ck_assert_ptr_nonnull(strstr(run.out, "\"a\":\"not JSON\""));
    ctl_out_free(&run);
    ctl_fake_redis(node, "SET", "netwall:usage", "of another type", NULL);
    run = ctl_run_code(3, dir, "--bus", url, "usage", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "WRONGTYPE"));
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/state");
    TCase *tc = tcase_create("state");

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_state_views, 0, COUNT(views));
    tcase_add_test(tc, test_state_junk_on_the_bus_is_shown_not_believed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
