/* SPDX-License-Identifier: Apache-2.0 */
/* Several workers as one: they begin, are asked, end together, in every state. */
#include "modules/gateway/crew.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"
#define FIRST "first.gw.example"

static void most_threads(struct gw_config *config)
{
    config->threads = GW_THREADS_MAX;
}

START_TEST(test_crew_begins_and_ends_without_anything_to_do)
{
    struct rig *rig = rig_new_with(most_threads);

    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 0);
    rig_free(rig);
    gw_crew_free(NULL);
}
END_TEST

static int visit(struct rig *rig, const char *request, const char *want)
{
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, request);
    ck_assert(rig_expect(rig, fd, want));
    return fd;
}

static void count_sessions(void *arg, const struct gw_session_info *info)
{
    (void)info;
    (*(unsigned *)arg)++;
}

static bool has_sessions(void *arg)
{
    return gw_worker_count_sessions(((struct rig *)arg)->worker) == 2;
}

/* A connector and a visitor on each of two workers. */
static struct rig *busy(int visitors[2])
{
    struct rig *rig = rig_new_pair();

    ck_assert(rig_connect(rig, 0)->accepted);
    ck_assert(rig_connect(rig, 1)->accepted);
    ck_assert(rig_until_true(rig, has_sessions, rig));
    visitors[0] = visit(rig, RIG_REQUEST("/", FIRST), RIG_ECHOED("/", FIRST));
    visitors[1] = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    return rig;
}

START_TEST(test_crew_numbers_are_those_of_all)
{
    int visitors[2];
    struct rig *rig = busy(visitors);
    unsigned sessions = 0;
    uint8_t key[GW_KEY_LEN];

    ck_assert_uint_eq(gw_worker_count_visitors(rig->worker), 2);
    ck_assert_uint_eq(gw_worker_count_exposures(rig->worker), 2);
    gw_worker_each_session(rig->worker, count_sessions, &sessions);
    ck_assert_uint_eq(sessions, 2);
    rig_key(key, 1);
    gw_worker_sessions_of(rig->worker, key, count_sessions, &sessions);
    ck_assert_uint_eq(sessions, 3);
    close(visitors[0]);
    close(visitors[1]);
    rig_free(rig);
}
END_TEST

START_TEST(test_crew_may_be_freed_while_it_serves)
{
    int visitors[2];
    struct rig *rig = busy(visitors);
    char answer[64];

    gw_worker_free(rig->worker);
    rig->worker = NULL;
    ck_assert_int_eq(rig_read_all(rig, visitors[1], answer, sizeof(answer)), RIG_RST);
    rig_free(rig);
    close(visitors[0]);
    close(visitors[1]);
}
END_TEST

static void end(void *arg)
{
    struct rig *rig = arg;

    ck_assert(!rig->drained);
    rig->drained = true;
    gw_worker_free(rig->worker);
    rig->worker = NULL;
}

START_TEST(test_crew_drains_until_the_last_visitor_of_all_is_gone)
{
    int visitors[2];
    struct rig *rig = busy(visitors);

    gw_worker_drain(rig->worker, end, rig);
    close(visitors[0]);
    rig_run(rig, 100);
    rig_send_text(visitors[1], "still here");
    ck_assert(rig_expect(rig, visitors[1], "still here"));
    ck_assert(!rig->drained);
    close(visitors[1]);
    ck_assert(rig_until(rig, &rig->drained));
    ck_assert_int_eq(rig->connectors[1].close_code, TUN_CODE_SHUTDOWN);
    rig_free(rig);
}
END_TEST

START_TEST(test_crew_retires_and_a_drain_that_follows_shortens_it)
{
    int visitors[2];
    struct rig *rig = busy(visitors);

    rig->config.limits.drain_timeout_ms = 50;
    gw_worker_reload(rig->worker); /* the others have a copy */
    gw_worker_retire(rig->worker, end, rig);
    close(visitors[0]);
    rig_run(rig, 100);
    ck_assert(!rig->drained);
    gw_worker_drain(rig->worker, end, rig);
    ck_assert(rig_until(rig, &rig->drained));
    close(visitors[1]);
    rig_free(rig);
}
END_TEST

/* It is with the first worker until it has said what it wants. */
START_TEST(test_crew_ends_behind_visitors_that_are_not_there_yet)
{
    struct rig *rig = rig_new_pair();
    int fd, late;

    ck_assert(rig_connect(rig, 0)->accepted);
    ck_assert(rig_connect(rig, 1)->accepted);
    ck_assert(rig_until_true(rig, has_sessions, rig));
    fd = rig_visit(rig, "http");
    late = rig_visit(rig, "http");
    rig_send_text(fd, "GET / HTTP/1.1\r\nHost: ");
    rig_send_text(late, "GET / HTTP/1.1\r\nHost: ");
    while (gw_worker_count_visitors(rig->worker) < 2) /* check's limit bounds it */
        rig_run(rig, 5);
    gw_worker_retire(rig->worker, end, rig);
    rig_run(rig, 200); /* longer than the others wait when nobody is anywhere */
    rig_send_text(fd, HOST "\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    ck_assert(rig_expect(rig, fd, RIG_ECHOED("/", HOST)));
    rig_send_text(late, FIRST "\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    ck_assert(rig_expect(rig, late, RIG_ECHOED("/", FIRST)));
    ck_assert(!rig->drained);
    close(fd);
    close(late);
    ck_assert(rig_until(rig, &rig->drained));
    rig_free(rig);
}
END_TEST

START_TEST(test_crew_hears_of_other_keys)
{
    int visitors[2];
    struct rig *rig = busy(visitors);
    struct tun_secret_key next = {.bytes = {77}};
    struct gw_keyring_config keys = {.key = &rig->secret, .next = &next};

    ck_assert_int_eq(gw_worker_set_keys(rig->worker, &keys), ERR_OK);
    gw_worker_reopen_log(rig->worker);
    rig_send_text(visitors[1], "more");
    ck_assert(rig_expect(rig, visitors[1], "more"));
    close(visitors[0]);
    close(visitors[1]);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_crew");
    TCase *tc = tcase_create("crew");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_crew_begins_and_ends_without_anything_to_do);
    tcase_add_test(tc, test_crew_numbers_are_those_of_all);
    tcase_add_test(tc, test_crew_may_be_freed_while_it_serves);
    tcase_add_test(tc, test_crew_drains_until_the_last_visitor_of_all_is_gone);
    tcase_add_test(tc, test_crew_retires_and_a_drain_that_follows_shortens_it);
    tcase_add_test(tc, test_crew_ends_behind_visitors_that_are_not_there_yet);
    tcase_add_test(tc, test_crew_hears_of_other_keys);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
