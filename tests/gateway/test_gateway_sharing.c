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
#include "tests/support/alloc.h"
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

/* The connector keeps its old session until the gateway ends it: as soon as nobody is on it, and in
 * order, not as one that is not wanted any more. */
START_TEST(test_sharing_ends_where_everybody_has_left)
{
    struct rig *rig = rig_new_pair();
    struct rig_connector *c = rig_connect(rig, 1), *again;
    struct gw_usage usage;
    int fd;

    ck_assert(c->accepted);
    fd = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    ck_assert_int_eq(rig_serve(rig, with_both()), ERR_OK);
    ck_assert(rig_until(rig, &c->goaway));
    again = rig_dial(rig, 2, 1);
    again->info.epoch = 2;
    ck_assert(rig_until(rig, &again->accepted));
    rig_run(rig, 1200); /* a look or two */
    ck_assert(!c->closed);
    close(fd);
    ck_assert(rig_until(rig, &c->closed));
    ck_assert_int_eq(c->close_code, TUN_CODE_SHUTDOWN);
    ck_assert(!again->closed);
    fd = visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST));
    ck_assert(gw_worker_usage(rig->worker, "7-1-blog", &usage));
    ck_assert_uint_eq(usage.connections, 2); /* of both */
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-first"), ERR_OK);
    ck_assert(rig_until(rig, &again->closed));
    ck_assert_int_eq(again->close_code, TUN_CODE_REVOKED);
    close(fd);
    rig_free(rig);
}
END_TEST

/* Its key goes where the other one of the same update is. */
START_TEST(test_sharing_asks_connectors_of_the_update_itself_to_move)
{
    struct rig *rig = rig_new_pair();
    struct gw_exposure *e = rig_exposure("7-1-first", FIRST, 1);
    struct rig_connector *c = rig_connect(rig, 0), *again;

    ck_assert(c->accepted);
    e->backends[e->backend_count++] = e->backends[0];
    rig_key(e->backends[1].key, 0);
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert(rig_until(rig, &c->goaway));
    again = rig_dial(rig, 2, 0);
    again->info.epoch = 2;
    ck_assert(rig_until(rig, &again->accepted));
    close(visit(rig, RIG_REQUEST("/", FIRST), RIG_ECHOED("/", FIRST)));
    ck_assert_uint_eq(again->opens, 1);
    rig_free(rig);
}
END_TEST

static bool is_told_online(void *arg)
{
    return ((struct rig *)arg)->online == 1;
}

static bool is_told_offline(void *arg)
{
    return !is_told_online(arg);
}

/* 7-1-blog, with key N. */
static void serve_blog(struct rig *rig, unsigned n)
{
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, n)), ERR_OK);
}

START_TEST(test_sharing_tells_how_many_serve_an_exposure_that_moved)
{
    struct rig *rig = rig_new_pair();

    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-stays", "stays.example", 1)), ERR_OK);
    ck_assert(rig_connect(rig, 1)->accepted);
    ck_assert(rig_until_true(rig, is_told_online, rig));
    serve_blog(rig, 0); /* whose connector is not here */
    ck_assert(rig_until_true(rig, is_told_offline, rig));
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-blog"), 0);
    serve_blog(rig, 1); /* back, before everybody has left; the connector is still there */
    ck_assert(rig_until_true(rig, is_told_online, rig));
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-blog"), 1);
    serve_blog(rig, 0);
    ck_assert(rig_until_true(rig, is_told_offline, rig));
    ck_assert(rig_connect(rig, 0)->accepted);
    ck_assert(rig_until_true(rig, is_told_online, rig));
    rig_free(rig);
}
END_TEST

/* An update that brings it to the first worker, with a key that is new there; the N-th allocation
 * fails. Returns whether it did, and *RC. */
static bool move_blog(struct rig *rig, int n, int *rc)
{
    struct gw_exposure *e = rig_exposure("7-1-blog", HOST, 0);
    bool failed;

    e->backends[e->backend_count++] = e->backends[0];
    rig_key(e->backends[1].key, 5);
    alloc_fail_at(n);
    *rc = gw_worker_set_exposure(rig->worker, e);
    failed = alloc_fail_off();
    gw_exposure_unref(e);
    return failed;
}

START_TEST(test_sharing_without_memory_leaves_everything_as_it_was)
{
    struct rig *rig = rig_new_pair();
    bool failed = true;
    int rc;

    for (int n = 0; failed; n++) {
        ck_assert(rig_connect(rig, 1)->accepted);
        ck_assert(rig_until_true(rig, is_online, rig));
        failed = move_blog(rig, n, &rc);
        ck_assert(rc == ERR_OK || failed);
        if (rc != ERR_OK)
            close(visit(rig, RIG_REQUEST("/", HOST), RIG_ECHOED("/", HOST)));
        ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
        rig_hang_up(&rig->connectors[1]);
        serve_blog(rig, 1);
    }
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
    tcase_add_test(tc, test_sharing_asks_connectors_of_the_update_itself_to_move);
    tcase_add_test(tc, test_sharing_tells_how_many_serve_an_exposure_that_moved);
    tcase_add_test(tc, test_sharing_without_memory_leaves_everything_as_it_was);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
