/* SPDX-License-Identifier: Apache-2.0 */
/* What control hears of a worker in another thread, and connectors on their way there. */
#include "modules/gateway/tidings.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/gateway_impl.h"
#include "modules/net/mail.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"
#define FILL 100000 /* more letters than a mailbox takes */

static bool is_online(void *arg)
{
    return gw_worker_online(((struct rig *)arg)->worker, "7-1-blog") == 1;
}

static bool is_offline(void *arg)
{
    return gw_worker_online(((struct rig *)arg)->worker, "7-1-blog") == 0;
}

static bool has_two_links(void *arg)
{
    return ((struct rig *)arg)->link_ups == 1;
}

static bool has_lost_one(void *arg)
{
    return ((struct rig *)arg)->link_losses == 1;
}

START_TEST(test_tidings_of_sessions_and_links_come_to_control)
{
    struct rig *rig = rig_new_pair();
    struct rig_connector *c = rig_connect(rig, 1);

    ck_assert(c->accepted);
    ck_assert(rig_until_true(rig, is_online, rig));
    ck_assert_uint_eq(rig->ups, 1);
    ck_assert_uint_eq(rig->online, 1);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 1);
    rig_add_link(c, 1, 1);
    ck_assert(rig_until_true(rig, has_two_links, rig));
    rig_cut(c, 0);
    ck_assert(rig_until_true(rig, has_lost_one, rig));
    rig_hang_up(c);
    ck_assert(rig_until_true(rig, is_offline, rig));
    while (rig->downs == 0) /* check's limit bounds it */
        rig_run(rig, 5);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_tidings_of_a_service_that_refuses_come_to_control)
{
    struct rig *rig = rig_new_pair();
    char answer[4096];
    int fd;

    ck_assert(rig_connect(rig, 1)->accepted);
    rig->connectors[1].service = RIG_REFUSE;
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/", HOST));
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "502"));
    while (rig->last_error[0] == '\0') /* check's limit bounds it */
        rig_run(rig, 5);
    ck_assert_ptr_nonnull(strstr(rig->last_error, "service is down"));
    close(fd);
    rig_free(rig);
}
END_TEST

static void drop_nothing(struct net_letter *letter)
{
    (void)letter;
}

static void open_nothing(struct net_letter *letter, void *reader)
{
    (void)letter;
    (void)reader;
}

/* The first worker does nothing for a while, and its mailbox is full: what matters comes later. */
START_TEST(test_tidings_without_a_place_come_once_there_is_one)
{
    struct rig *rig = rig_new_pair();
    struct net_mail *mail = rig->worker->post->to[0];
    struct net_letter *fill = calloc(FILL, sizeof(*fill));
    unsigned count = 0;

    ck_assert_ptr_nonnull(fill);
    ck_assert(rig_connect(rig, 1)->accepted);
    ck_assert(rig_until_true(rig, is_online, rig));
    while (!net_mail_is_full(mail)) {
        ck_assert_uint_lt(count, FILL);
        fill[count] = (struct net_letter){.open = open_nothing, .drop = drop_nothing};
        net_mail_push(mail, &fill[count++]);
    }
    rig_hang_up(&rig->connectors[1]);
    while (gw_worker_count_sessions(rig->worker) > 0) /* check's limit bounds it */
        usleep(1000);
    ck_assert(is_online(rig));
    ck_assert(rig_until_true(rig, is_offline, rig));
    ck_assert_uint_eq(rig->online, 0);
    rig_free(rig);
    free(fill);
}
END_TEST

START_TEST(test_tidings_know_a_connector_that_nobody_names)
{
    struct rig *rig = rig_new_pair();
    struct rig_connector *c = rig_dial(rig, 2, 2);

    ck_assert(rig_until(rig, &c->closed));
    ck_assert(!c->accepted);
    ck_assert_uint_eq(rig_refused(rig, "tunnel_unknown_key"), 1);
    rig_free(rig);
}
END_TEST

/* Letters that nobody read yet go with the worker. */
START_TEST(test_tidings_under_way_end_with_the_worker)
{
    struct rig *rig = rig_new_pair();

    (void)rig_dial(rig, 1, 1);
    rig_free(rig);
    rig = rig_new_pair();
    ck_assert(rig_connect(rig, 1)->accepted);
    close(rig_visit(rig, "http"));
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_tidings");
    TCase *tc = tcase_create("tidings");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_tidings_of_sessions_and_links_come_to_control);
    tcase_add_test(tc, test_tidings_of_a_service_that_refuses_come_to_control);
    tcase_add_test(tc, test_tidings_know_a_connector_that_nobody_names);
    tcase_add_test(tc, test_tidings_under_way_end_with_the_worker);
    tcase_add_test(tc, test_tidings_without_a_place_come_once_there_is_one);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
