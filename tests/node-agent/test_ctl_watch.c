/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/node-agent/ctl_run.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

#define LIMIT 500 /* looks of 20 ms */

static void add_event(struct ctl_node_fake *node, const char *body)
{
    ctl_fake_redis(node, "XADD", "stream:events", "*", "body", body, NULL);
}

/* Add the event BODY again and again until the watcher PID ended: when it began to look is not
 * known. */
static struct ctl_out add_until_seen(struct ctl_node_fake *node, pid_t pid, const char *body)
{
    siginfo_t info;

    for (int i = 0; i < LIMIT; i++) {
        info.si_pid = 0;
        ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        if (info.si_pid != 0)
            return ctl_wait(ctl_fake_dir(node), pid);
        add_event(node, body);
        (void)poll(NULL, 0, 20);
    }
    (void)kill(pid, SIGKILL);
    ck_abort_msg("the watcher saw nothing");
}

START_TEST(test_watch_ends_after_the_event_it_waits_for)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;
    pid_t pid;

    add_event(node, "{\"event\":\"tunnel.up\",\"key\":\"old\"}"); /* before it looks: not shown */
    pid = ctl_start(ctl_fake_dir(node), "--bus", ctl_fake_url(node), "--json", "watch", "--once",
                    "tunnel.up", NULL);
    add_event(node, "{\"event\":\"tunnel.down\",\"key\":\"x\"}");
    run = add_until_seen(node, pid, "{\"event\":\"tunnel.up\",\"key\":\"new\"}");
    ck_assert_int_eq(run.code, 0);
    ck_assert_str_eq(run.out, "{\"event\":\"tunnel.up\",\"key\":\"new\"}\n");
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_watch_shows_events_to_people)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;
    pid_t pid = ctl_start(ctl_fake_dir(node), "--bus", ctl_fake_url(node), "watch", "--once",
                          "workload.state", NULL);

    run =
        add_until_seen(node, pid,
                       "{\"event\":\"workload.state\",\"id\":\"7-1-a\",\"message\":\"\\u001b[1m\","
                       "\"version\":3}");
    ck_assert_ptr_nonnull(strstr(run.out, "workload.state id=7-1-a message=?[1m version=3\n"));
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_watch_gives_up_when_told)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;

    add_event(node, "junk");
    ctl_fake_redis(node, "XADD", "stream:events", "*", "other", "field", NULL);
    run = ctl_run_code(4, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "watch", "--once", "x",
                       "--wait", "1", NULL);
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_watch_survives_the_loss_of_the_bus)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;
    pid_t pid = ctl_start(ctl_fake_dir(node), "--bus", ctl_fake_url(node), "--json", "watch",
                          "--once", "tunnel.up", NULL);

    for (int i = 0; i < 20; i++) { /* until it surely looks */
        add_event(node, "{\"event\":\"other\"}");
        (void)poll(NULL, 0, 20);
    }
    redis_server_restart(ctl_fake_server(node));
    run = add_until_seen(node, pid, "{\"event\":\"tunnel.up\"}");
    ck_assert_int_eq(run.code, 0);
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_watch_several_buses)
{
    struct ctl_node_fake *a = ctl_fake_new(), *b = ctl_fake_new();
    struct ctl_out run;
    pid_t pid = ctl_start(ctl_fake_dir(b), "--bus", ctl_fake_url(a), "--bus", ctl_fake_url(b),
                          "watch", "--once", "tunnel.up", NULL);

    run = add_until_seen(b, pid, "{\"event\":\"tunnel.up\"}");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_nonnull(strstr(run.out, ctl_fake_url(b)));
    ctl_out_free(&run);
    ctl_fake_free(a);
    ctl_fake_free(b);
}
END_TEST

START_TEST(test_watch_unreachable_is_5)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run =
        ctl_run_code(5, ctl_fake_dir(node), "--bus", "unix:///no/such", "watch", NULL);

    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/watch");
    TCase *tc = tcase_create("watch");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_watch_ends_after_the_event_it_waits_for);
    tcase_add_test(tc, test_watch_shows_events_to_people);
    tcase_add_test(tc, test_watch_gives_up_when_told);
    tcase_add_test(tc, test_watch_survives_the_loss_of_the_bus);
    tcase_add_test(tc, test_watch_several_buses);
    tcase_add_test(tc, test_watch_unreachable_is_5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
