/* SPDX-License-Identifier: Apache-2.0 */
/* Which worker serves what: changes reach it, and what an update joins comes together. */
#include "modules/gateway/sharing.h"

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

static int visit(struct rig *rig, const char *request, const char *want)
{
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, request);
    ck_assert(rig_expect(rig, fd, want));
    return fd;
}

static bool is_offline(void *arg)
{
    return gw_worker_online(((struct rig *)arg)->worker, "7-1-blog") == 0;
}

static bool is_online(void *arg)
{
    return !is_offline(arg);
}

START_TEST(test_sharing_removes_an_exposure_where_it_is_served)
{
    struct rig *rig = rig_new_pair();
    struct gw_usage usage;
    char answer[4096];
    int fd;

    ck_assert(rig_connect(rig, 1)->accepted);
    fd = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    ck_assert(gw_worker_usage(rig->worker, "7-1-blog", &usage));
    ck_assert_uint_eq(usage.active, 1);
    ck_assert_uint_eq(usage.connections, 1);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    ck_assert(rig_until(rig, &rig->connectors[1].closed)); /* nobody names it any more */
    ck_assert(gw_worker_usage(rig->worker, "7-1-blog", &usage));
    ck_assert_uint_eq(usage.connections, 1);
    ck_assert_uint_gt(usage.rx_bytes, 0);
    gw_worker_forget_usage(rig->worker, "7-1-blog");
    ck_assert(!gw_worker_usage(rig->worker, "7-1-blog", &usage));
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_sharing_brings_an_update_where_it_is_served)
{
    struct rig *rig = rig_new_pair();
    struct gw_exposure *e = rig_exposure("7-1-blog", HOST, 1);
    char answer[4096];
    int fd;

    ck_assert(rig_connect(rig, 1)->accepted);
    fd = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    e->paused = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    close(fd);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/", HOST));
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "503"));
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_sharing_unlists_a_host_everywhere)
{
    struct rig *rig = rig_new_pair();
    char answer[4096];
    int fd;

    ck_assert(rig_connect(rig, 1)->accepted);
    gw_worker_unlist_exposure(rig->worker, "7-1-blog");
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/", HOST));
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "404"));
    close(fd);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 1)), ERR_OK);
    close(visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST)));
    rig_free(rig);
}
END_TEST

/* An exposure that has both keys: one worker serves all of it from then on. */
static struct gw_exposure *with_both(void)
{
    struct gw_exposure *e = rig_exposure("7-1-first", FIRST, 0), *other = rig_exposure("x", "x", 1);

    e->backends[e->backend_count++] = other->backends[0];
    gw_exposure_unref(other);
    return e;
}

START_TEST(test_sharing_moves_what_an_update_joins_and_cuts_nobody)
{
    struct rig *rig = rig_new_pair();
    struct rig_connector *c = rig_connect(rig, 1), *again;
    int old, fd;

    ck_assert(c->accepted);
    old = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    ck_assert_int_eq(rig_serve(rig, with_both()), ERR_OK);
    ck_assert(rig_until(rig, &c->goaway)); /* asked to come to the other worker */
    again = rig_dial(rig, 2, 1);
    memset(again->info.instance, 2, sizeof(again->info.instance)); /* the same process ... */
    again->info.epoch = 2;                                         /* ... once more */
    ck_assert(rig_until(rig, &again->accepted));
    ck_assert(rig_until_true(rig, is_online, rig));
    fd = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    ck_assert_uint_eq(again->opens, 1);
    close(fd);
    fd = visit(rig, RIG_REQUEST("/", FIRST), RIG_ECHOED("/", FIRST)); /* connector 0 never came */
    ck_assert_uint_eq(again->opens, 2);
    rig_send_text(old, "still here");
    ck_assert(rig_expect(rig, old, "still here"));
    close(fd);
    close(old);
    rig_free(rig);
}
END_TEST

static bool has_one_session(void *arg)
{
    return gw_worker_count_sessions(((struct rig *)arg)->worker) == 1;
}

START_TEST(test_sharing_ends_where_everybody_has_left)
{
    struct rig *rig = rig_new_pair();
    struct rig_connector *c = rig_connect(rig, 1), *again;
    struct gw_usage usage;
    int fd;

    ck_assert(c->accepted);
    fd = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    close(fd);
    ck_assert_int_eq(rig_serve(rig, with_both()), ERR_OK);
    ck_assert(rig_until(rig, &c->goaway));
    again = rig_dial(rig, 2, 1);
    again->info.epoch = 2;
    ck_assert(rig_until(rig, &again->accepted));
    rig_hang_up(c);
    ck_assert(rig_until_true(rig, has_one_session, rig));
    rig_run(rig, 1200); /* the look that finds it empty */
    fd = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    ck_assert(gw_worker_usage(rig->worker, "7-1-blog", &usage));
    ck_assert_uint_eq(usage.connections, 2); /* of both */
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-first"), ERR_OK);
    ck_assert(rig_until(rig, &again->closed));
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_sharing_revokes_also_where_it_is_being_left)
{
    struct rig *rig = rig_new_pair();
    struct rig_connector *c = rig_connect(rig, 1);
    char answer[4096];
    int old;

    ck_assert(c->accepted);
    old = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    ck_assert_int_eq(rig_serve(rig, with_both()), ERR_OK);
    ck_assert(rig_until(rig, &c->goaway));
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    ck_assert_int_eq(rig_read_all(rig, old, answer, sizeof(answer)), RIG_RST);
    close(old);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_sharing");
    TCase *tc = tcase_create("sharing");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_sharing_removes_an_exposure_where_it_is_served);
    tcase_add_test(tc, test_sharing_brings_an_update_where_it_is_served);
    tcase_add_test(tc, test_sharing_unlists_a_host_everywhere);
    tcase_add_test(tc, test_sharing_moves_what_an_update_joins_and_cuts_nobody);
    tcase_add_test(tc, test_sharing_ends_where_everybody_has_left);
    tcase_add_test(tc, test_sharing_revokes_also_where_it_is_being_left);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
