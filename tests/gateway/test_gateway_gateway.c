/* SPDX-License-Identifier: Apache-2.0 */
/* The worker as a whole: how it ends, and what a reload changes in it. */
#include "modules/gateway/gateway.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define HOST "blog.gw.example"

static int serve(struct rig *rig, const char *id, const char *host)
{
    return rig_serve(rig, rig_exposure(id, host, 0));
}

static void count_up(void *arg)
{
    (*(unsigned *)arg)++;
}

static bool is_drained(void *arg)
{
    return *(unsigned *)arg > 0;
}

START_TEST(test_worker_drain_without_visitors_ends_once_and_takes_no_port)
{
    struct rig *rig = rig_new();
    unsigned drained = 0;

    gw_worker_drain(rig->worker, count_up, &drained);
    ck_assert_uint_eq(drained, 0); /* never inside */
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-tcp", NULL, 0)), ERR_CANCELLED);
    ck_assert(rig_until_true(rig, is_drained, &drained));
    rig_run(rig, 100);
    ck_assert_uint_eq(drained, 1);
    rig_free(rig);
}
END_TEST

static void free_worker(void *arg)
{
    struct rig *rig = arg;

    gw_worker_free(rig->worker);
    rig->worker = NULL;
    rig->drained = true;
}

START_TEST(test_worker_may_be_freed_when_it_is_drained)
{
    struct rig *rig = rig_new();

    ck_assert_int_eq(serve(rig, "7-1-a", HOST), ERR_OK);
    (void)rig_connect(rig, 0);
    gw_worker_drain(rig->worker, free_worker, rig);
    ck_assert(rig_until(rig, &rig->drained));
    rig_free(rig);
}
END_TEST

START_TEST(test_worker_opens_its_access_log_at_reload_and_again_after_a_rename)
{
    struct rig *rig = rig_new();
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "log"),
         *moved = temp_dir_path(dir, "log.1");

    (void)snprintf(rig->config.edge.access_log, sizeof(rig->config.edge.access_log), "%s", path);
    gw_worker_reload(rig->worker);
    ck_assert_int_eq(rename(path, moved), 0);
    gw_worker_reopen_log(rig->worker);
    ck_assert_int_eq(access(path, W_OK), 0);
    rig->config.edge.access_log[0] = '\0';
    gw_worker_reload(rig->worker);
    gw_worker_reopen_log(rig->worker);
    rig_free(rig);
    free(moved);
    free(path);
    temp_dir_free(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_gateway");
    TCase *tc = tcase_create("worker");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_worker_drain_without_visitors_ends_once_and_takes_no_port);
    tcase_add_test(tc, test_worker_may_be_freed_when_it_is_drained);
    tcase_add_test(tc, test_worker_opens_its_access_log_at_reload_and_again_after_a_rename);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
