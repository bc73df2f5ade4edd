/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors while the links of their connector's session come and go. */
#include <check.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"
#define GET RIG_REQUEST("/", HOST)
#define ECHOED RIG_ECHOED("/", HOST)

static struct rig *rig;
static struct rig_connector *c;

static void patient(struct gw_config *config)
{
    config->limits.resume_window_ms = 3000;
    config->limits.tunnel_wait_ms = 3000;
    config->limits.open_timeout_ms = 3000;
}

static void hasty(struct gw_config *config)
{
    config->limits.resume_window_ms = 200;
}

static void very_patient(struct gw_config *config)
{
    config->limits.resume_window_ms = config->limits.open_timeout_ms = 60000;
}

/* One connector, key 0, with LINKS links. */
static void begin(void (*change)(struct gw_config *config), uint8_t links)
{
    rig = rig_new_with(change);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 0)), ERR_OK);
    c = rig_connect(rig, 0);
    for (uint8_t i = 1; i < links; i++)
        rig_add_link(c, 0, i);
}

/* A visitor that the echo answered once. */
static int visit(void)
{
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, GET);
    ck_assert(rig_expect(rig, fd, ECHOED));
    return fd;
}

static unsigned wanted_losses;

static bool has_lost(void *arg)
{
    (void)arg;
    return rig->link_losses >= wanted_losses && c->losses >= wanted_losses;
}

static bool gateway_has_lost(void *arg)
{
    (void)arg;
    return rig->link_losses > 0;
}

static void cut(uint8_t number)
{
    wanted_losses = rig->link_losses + 1;
    rig_cut(c, number);
    ck_assert(rig_until_true(rig, has_lost, NULL));
}

START_TEST(test_visitors_of_a_dead_link_go_on_with_another)
{
    int fd[4];

    begin(patient, 2);
    ck_assert_uint_eq(rig->link_ups, 1);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 1);
    for (int i = 0; i < 4; i++)
        fd[i] = visit();
    cut(0);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-blog"), 1); /* another link is there */
    for (int i = 0; i < 4; i++) {
        rig_send_text(fd[i], "still here?");
        ck_assert(rig_expect(rig, fd[i], "still here?"));
        close(fd[i]);
    }
    ck_assert_uint_eq(rig->resumes, 1);
    ck_assert_uint_eq(rig->downs, 0);
    rig_free(rig);
}
END_TEST

/* _i: links that die, all of them */
START_TEST(test_visitors_wait_while_there_is_no_link)
{
    int old, new;

    begin(patient, (uint8_t)_i);
    old = visit();
    for (int i = 0; i < _i; i++)
        cut((uint8_t)i);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-blog"), 0);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 1);
    rig_send_text(old, "from before");
    new = rig_visit(rig, "http");
    rig_send_text(new, GET);
    rig_run(rig, 100);
    ck_assert_uint_eq(c->opens, 1); /* no OPEN without a link */
    rig_add_link(c, 0, 7);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-blog"), 1);
    ck_assert(rig_expect(rig, old, "from before"));
    ck_assert(rig_expect(rig, new, ECHOED));
    ck_assert_uint_eq(rig->downs, 0);
    close(old);
    close(new);
    rig_free(rig);
}
END_TEST

START_TEST(test_visitors_are_cut_when_no_link_comes_back)
{
    char got[64];
    int fd;

    begin(hasty, 1);
    fd = visit();
    cut(0);
    ck_assert_int_eq(rig_read_all(rig, fd, got, sizeof(got)), RIG_RST);
    ck_assert_uint_eq(rig->downs, 1);
    ck_assert_str_eq(rig->last_error, "tunnel lost: connection lost");
    close(fd);
    rig_free(rig);
}
END_TEST

/* While a session has no link, another connector of the key takes the new visitors. */
START_TEST(test_visitors_fail_over_while_a_session_waits)
{
    struct rig_connector *other;
    int old, new;

    begin(patient, 1);
    other = rig_dial(rig, 1, 0);
    ck_assert(rig_until(rig, &other->accepted));
    old = visit();
    while (c->opens == 0) { /* the other one got it */
        close(old);
        old = visit();
    }
    cut(0);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-blog"), 1);
    other->opens = 0;
    new = visit();
    ck_assert_uint_eq(other->opens, 1);
    rig_add_link(c, 0, 0);
    rig_send_text(old, "on");
    ck_assert(rig_expect(rig, old, "on"));
    close(old);
    close(new);
    rig_free(rig);
}
END_TEST

/* Its OPEN went to a connector that has no link any more: another one serves it, long before the
 * answer would be overdue; without another one (_i = 1) it waits. */
START_TEST(test_a_visitor_that_is_being_opened_goes_elsewhere_when_the_links_are_lost)
{
    struct rig_connector *other = NULL;
    int fd;

    begin(very_patient, 1);
    c->service = RIG_IGNORE;
    fd = rig_visit(rig, "http");
    rig_send_text(fd, GET);
    while (c->opens == 0)
        rig_run(rig, 1);
    if (_i == 0) {
        other = rig_dial(rig, 1, 0);
        ck_assert(rig_until(rig, &other->accepted));
    }
    cut(0);
    if (_i == 0) {
        ck_assert(rig_expect(rig, fd, ECHOED));
        ck_assert_uint_eq(other->opens, 1);
    } else {
        rig_run(rig, 1200);
        rig_add_link(c, 0, 1);
        ck_assert_uint_eq(c->opens, 1);
        ck_assert_uint_eq(rig->downs, 0);
    }
    close(fd);
    rig_free(rig);
}
END_TEST

/* The connector dials again from elsewhere before the gateway knows that the old path is dead. */
START_TEST(test_a_link_of_the_same_number_takes_over)
{
    int fd;

    begin(patient, 1);
    fd = visit();
    rig_add_link(c, 0, 0);
    rig_send_text(fd, "again");
    ck_assert(rig_expect(rig, fd, "again"));
    ck_assert(rig_until_true(rig, gateway_has_lost, NULL)); /* told at the end of a turn */
    ck_assert_uint_eq(rig->link_losses, 1);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 1);
    close(fd);
    rig_free(rig);
}
END_TEST

/* A newer epoch never waits for the older one: its visitors are cut, new ones find the new one. */
START_TEST(test_a_newer_epoch_ends_a_session_that_waits)
{
    struct rig_connector *next;
    char got[64];
    int fd;

    begin(patient, 2);
    fd = visit();
    cut(0);
    cut(1);
    next = rig_dial(rig, 1, 0);
    memcpy(next->info.instance, c->info.instance, sizeof(next->info.instance));
    next->info.epoch = 2;
    ck_assert_int_eq(rig_read_all(rig, fd, got, sizeof(got)), RIG_RST);
    close(fd);
    ck_assert(rig_until(rig, &next->accepted));
    close(visit());
    ck_assert_uint_eq(next->opens, 1);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 1);
    rig_free(rig);
}
END_TEST

static struct gw_session_info seen;

static void see_session(void *arg, const struct gw_session_info *info)
{
    (void)arg;
    seen = *info;
}

START_TEST(test_links_are_listed)
{
    int fd;

    begin(patient, 2);
    fd = visit();
    gw_worker_each_session(rig->worker, see_session, NULL);
    ck_assert_uint_eq(seen.links, 2);
    ck_assert_uint_eq(seen.connections[1].number, 1);
    ck_assert_uint_gt(seen.rtt_us, 0);
    ck_assert_uint_eq(seen.streams, 1);
    ck_assert_uint_eq(seen.connections[0].streams + seen.connections[1].streams, 1);
    ck_assert_uint_eq(seen.lost.at_ms, 0);
    ck_assert_str_eq(seen.state, "up");
    cut(0);
    cut(1);
    gw_worker_each_session(rig->worker, see_session, NULL);
    ck_assert_uint_eq(seen.links, 0);
    ck_assert_uint_eq(seen.streams_waiting, 1);
    ck_assert_str_eq(seen.state, "waiting");
    ck_assert_str_eq(seen.lost.why, "connection lost");
    rig_add_link(c, 0, 2);
    rig_send_text(fd, "on");
    ck_assert(rig_expect(rig, fd, "on"));
    gw_worker_each_session(rig->worker, see_session, NULL);
    ck_assert_uint_eq(seen.resumes, 1);
    ck_assert_uint_eq(seen.streams_waiting, 0);
    close(fd);
    rig_free(rig);
}
END_TEST

/* 0 two links, 1 one of them lost, 2 all lost, 3 a visitor waits for a link, 4 just back. */
START_TEST(test_worker_can_be_freed_in_every_state_of_the_links)
{
    int fd, waiting = -1;

    begin(patient, 2);
    fd = visit();
    if (_i >= 1)
        cut(0);
    if (_i >= 2)
        cut(1);
    if (_i == 3) {
        waiting = rig_visit(rig, "http");
        rig_send_text(waiting, GET);
        rig_run(rig, 30);
    }
    if (_i == 4)
        rig_add_link(c, 0, 0);
    rig_free(rig);
    close(fd);
    if (waiting >= 0)
        close(waiting);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_links");
    TCase *tc = tcase_create("links");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_visitors_of_a_dead_link_go_on_with_another);
    tcase_add_loop_test(tc, test_visitors_wait_while_there_is_no_link, 1, 4);
    tcase_add_test(tc, test_visitors_are_cut_when_no_link_comes_back);
    tcase_add_test(tc, test_visitors_fail_over_while_a_session_waits);
    tcase_add_test(tc, test_a_link_of_the_same_number_takes_over);
    tcase_add_test(tc, test_a_newer_epoch_ends_a_session_that_waits);
    tcase_add_test(tc, test_links_are_listed);
    tcase_add_loop_test(
        tc, test_a_visitor_that_is_being_opened_goes_elsewhere_when_the_links_are_lost, 0, 2);
    tcase_add_loop_test(tc, test_worker_can_be_freed_in_every_state_of_the_links, 0, 5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
