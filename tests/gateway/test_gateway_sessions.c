/* SPDX-License-Identifier: Apache-2.0 */
/* Connectors: who may come in, who takes over from whom, and when a session ends. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"
#define GET RIG_REQUEST("/", HOST)
#define ECHOED RIG_ECHOED("/", HOST)

static struct rig *serving(void (*change)(struct gw_config *))
{
    struct rig *rig = rig_new_with(change);

    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 0)), ERR_OK);
    return rig;
}

static void visit_once(struct rig *rig)
{
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, GET);
    ck_assert(rig_expect(rig, fd, ECHOED));
    close(fd);
}

START_TEST(test_a_named_key_is_accepted_and_told_what_it_serves)
{
    struct rig *rig = rig_new();
    struct gw_exposure *e = rig_exposure("7-1-blog", HOST, 0);
    struct rig_connector *c;

    e->urls = strdup("http://" HOST "/ https://" HOST "/");
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    c = rig_connect(rig, 0);
    ck_assert(c->accepted);
    rig_run(rig, 150);
    ck_assert_str_eq(c->exposures, "7-1-blog web http://" HOST "/;7-1-blog web https://" HOST "/;");
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 1);
    ck_assert_uint_eq(rig->online, 1);
    ck_assert_uint_eq(rig->ups, 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_an_unknown_key_is_told_nothing)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *c = rig_connect(rig, 3);

    ck_assert(c->closed);
    ck_assert(!c->accepted && !c->rejected);
    ck_assert_uint_eq(rig_refused(rig, "tunnel_unknown_key"), 1);
    ck_assert_uint_eq(rig->ups, 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_starting_the_connector_before_the_contract_is_fine)
{
    struct rig *rig = rig_new();

    for (int i = 0; i < 10; i++)
        ck_assert(rig_connect(rig, 0)->closed);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 0)), ERR_OK);
    ck_assert(rig_connect(rig, 0)->accepted);
    visit_once(rig);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_key_no_longer_named_loses_its_session)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *c = rig_connect(rig, 0);
    uint64_t start = rig_ran_ms(rig);

    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    ck_assert(rig_until(rig, &c->closed));
    ck_assert_uint_lt(rig_ran_ms(rig) - start, 1000);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 0);
    ck_assert_uint_eq(rig->downs, 1);
    ck_assert(rig_connect(rig, 0)->closed);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_key_named_by_two_stays_until_both_are_gone)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *c = rig_connect(rig, 0);

    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-2-shop", "shop.gw.example", 0)), ERR_OK);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    rig_run(rig, 50);
    ck_assert(!c->closed);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-2-shop"), ERR_OK);
    ck_assert(rig_until(rig, &c->closed));
    rig_free(rig);
}
END_TEST

START_TEST(test_a_higher_epoch_takes_over_and_a_lower_one_is_stale)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *old = rig_connect(rig, 0), *new, *stale;

    new = rig_dial(rig, 1, 0);
    memcpy(new->info.instance, old->info.instance, sizeof(new->info.instance));
    new->info.epoch = 2;
    ck_assert(rig_until(rig, &new->accepted));
    ck_assert(rig_until(rig, &old->closed));
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 1);
    visit_once(rig);
    ck_assert_uint_eq(new->opens, 1);
    stale = rig_dial(rig, 2, 0);
    memcpy(stale->info.instance, old->info.instance, sizeof(stale->info.instance));
    stale->info.epoch = 1;
    ck_assert(rig_until(rig, &stale->rejected));
    ck_assert_int_eq(stale->reject_code, TUN_CODE_STALE);
    ck_assert(!new->closed);
    ck_assert_uint_eq(rig_refused(rig, "tunnel_stale"), 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_the_same_epoch_and_link_replaces_without_already_in_use)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *old = rig_connect(rig, 0), *new = rig_dial(rig, 1, 0);

    memcpy(new->info.instance, old->info.instance, sizeof(new->info.instance));
    ck_assert(rig_until(rig, &new->accepted));
    ck_assert(rig_until(rig, &old->closed));
    ck_assert_uint_eq(rig->online, 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_two_instances_of_a_key_share_the_load)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *a = rig_connect(rig, 0), *b = rig_dial(rig, 1, 0);
    int fd[10];

    ck_assert(rig_until(rig, &b->accepted));
    ck_assert_uint_eq(rig->online, 2);
    for (int i = 0; i < 10; i++) {
        fd[i] = rig_visit(rig, "http");
        rig_send_text(fd[i], GET);
        ck_assert(rig_expect(rig, fd[i], ECHOED));
    }
    ck_assert_uint_eq(a->opens, 5); /* least in flight */
    ck_assert_uint_eq(b->opens, 5);
    for (int i = 0; i < 10; i++)
        close(fd[i]);
    rig_free(rig);
}
END_TEST

START_TEST(test_newest_gives_all_visitors_to_the_latest)
{
    struct rig *rig = rig_new();
    struct gw_exposure *e = rig_exposure("7-1-db", HOST, 0);
    struct rig_connector *a, *b;

    e->newest_only = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    a = rig_connect(rig, 0);
    visit_once(rig);
    b = rig_dial(rig, 1, 0);
    ck_assert(rig_until(rig, &b->accepted));
    for (int i = 0; i < 5; i++)
        visit_once(rig);
    ck_assert_uint_eq(a->opens, 1);
    ck_assert_uint_eq(b->opens, 5);
    rig_hang_up(b);
    rig_run(rig, 50);
    visit_once(rig);
    ck_assert_uint_eq(a->opens, 2);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_connector_serves_only_the_twin_it_names)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *c = rig_dial(rig, 0, 0);
    int fd;

    c->info.twin = 8;
    ck_assert(rig_until(rig, &c->accepted));
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-blog"), 0);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, GET);
    ck_assert(rig_expect(rig, fd, "HTTP/1.1 503 "));
    ck_assert_uint_eq(c->opens, 0);
    close(fd);
    rig_free(rig);
}
END_TEST

/* Two tenants name one key; when the contract of one ends, so does its session and nothing else. */
START_TEST(test_a_session_ends_with_the_last_contract_of_its_twin)
{
    struct rig *rig = serving(NULL);
    struct gw_exposure *other = rig_exposure("8-1-shop", "shop.gw.example", 0);
    struct rig_connector *seven = rig_dial(rig, 0, 0), *eight = rig_dial(rig, 1, 0);

    other->twin = 8;
    ck_assert_int_eq(rig_serve(rig, other), ERR_OK);
    seven->info.twin = 7;
    eight->info.twin = 8;
    ck_assert(rig_until(rig, &seven->accepted) && rig_until(rig, &eight->accepted));
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    ck_assert(rig_until(rig, &seven->closed));
    ck_assert_int_eq(seven->close_code, TUN_CODE_REVOKED);
    rig_run(rig, 50);
    ck_assert(!eight->closed);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "8-1-shop"), 1);
    rig_free(rig);
}
END_TEST

/* It says no twin: its key is the first twin's that names it, until that one lets go. */
START_TEST(test_a_connector_without_a_twin_serves_the_first_that_names_its_key)
{
    struct rig *rig = serving(NULL);
    struct gw_exposure *other = rig_exposure("8-1-shop", "shop.gw.example", 0);

    other->twin = 8;
    ck_assert(rig_connect(rig, 0)->accepted);
    ck_assert_int_eq(rig_serve(rig, other), ERR_OK);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "7-1-blog"), 1);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "8-1-shop"), 0);
    ck_assert_ptr_nonnull(strstr(rig->last_error, "key_conflict"));
    rig->connectors[1].info.twin = 8;
    (void)rig_dial(rig, 1, 0);
    rig->connectors[1].info.twin = 8;
    ck_assert(rig_until(rig, &rig->connectors[1].accepted));
    ck_assert_uint_eq(gw_worker_online(rig->worker, "8-1-shop"), 1);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    ck_assert_uint_eq(gw_worker_online(rig->worker, "8-1-shop"), 2);
    rig_free(rig);
}
END_TEST

static void two_sessions(struct gw_config *config)
{
    config->limits.sessions_per_key = 2;
}

START_TEST(test_sessions_per_key_refuses_the_newest)
{
    struct rig *rig = serving(two_sessions);
    struct rig_connector *c[3];

    for (unsigned i = 0; i < 3; i++) {
        c[i] = rig_dial(rig, i, 0);
        ck_assert(rig_until(rig, i < 2 ? &c[i]->accepted : &c[i]->rejected));
    }
    ck_assert_int_eq(c[2]->reject_code, TUN_CODE_BUSY);
    ck_assert(!c[0]->closed && !c[1]->closed);
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), 2);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_draining_connector_gets_no_new_visitors)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *a = rig_connect(rig, 0), *b = rig_dial(rig, 1, 0);
    struct tun_notice notice = {.code = TUN_CODE_SHUTDOWN};

    ck_assert(rig_until(rig, &b->accepted));
    tun_session_goaway(link_session_tunnel(a->session), &notice);
    link_session_touch(a->session);
    rig_run(rig, 50);
    ck_assert_uint_eq(rig->online, 1);
    for (int i = 0; i < 4; i++)
        visit_once(rig);
    ck_assert_uint_eq(b->opens, 4);
    rig_free(rig);
}
END_TEST

static size_t seen;

static void see_session(void *arg, const struct gw_session_info *info)
{
    uint8_t key[GW_KEY_LEN];

    (void)arg;
    rig_key(key, 0);
    ck_assert_mem_eq(info->key, key, GW_KEY_LEN);
    ck_assert_str_eq(info->name, "test");
    ck_assert_str_eq(info->state, "up");
    ck_assert_uint_eq(info->links, 1);
    seen++;
}

START_TEST(test_sessions_are_listed)
{
    struct rig *rig = serving(NULL);

    seen = 0;
    (void)rig_connect(rig, 0);
    gw_worker_each_session(rig->worker, see_session, NULL);
    ck_assert_uint_eq(seen, 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_tunnel_on_the_tls_port_is_a_tunnel)
{
    struct rig *rig = serving(NULL);
    struct rig_connector *c = &rig->connectors[0];
    struct addr https;

    /* The rig dials where "tunnel" is: let that be the TLS port. */
    ck_assert_int_eq(gw_worker_bound(rig->worker, "https", 0, &https), ERR_OK);
    memset(c, 0, sizeof(*c));
    c->rig = rig;
    c->port = addr_port(&https);
    c->info.epoch = 1;
    rig_dial_as(c, 0);
    ck_assert(rig_until(rig, &c->accepted));
    visit_once(rig);
    rig_free(rig);
}
END_TEST

static void few_slots(struct gw_config *config)
{
    config->limits.pending_per_source = 4;
    config->limits.pending_handshakes = 64;
    config->limits.handshake_timeout_ms = 60000;
}

START_TEST(test_silent_connections_do_not_keep_a_connector_out)
{
    struct rig *rig = serving(few_slots);
    int fd[200];

    for (int i = 0; i < 200; i++)
        fd[i] = rig_visit(rig, "tunnel");
    ck_assert(rig_connect(rig, 0)->accepted);
    visit_once(rig);
    for (int i = 0; i < 200; i++)
        close(fd[i]);
    rig_free(rig);
}
END_TEST

static void short_handshake(struct gw_config *config)
{
    config->limits.handshake_timeout_ms = 150;
}

START_TEST(test_a_handshake_has_one_absolute_limit)
{
    struct rig *rig = serving(short_handshake);
    uint8_t hello[] = {0xc5, 0x5a, 0x57, 0x47, 1, 1, 0, 0};
    char answer[64];
    int fd = rig_visit(rig, "tunnel");

    for (size_t i = 0; i < sizeof(hello); i++) {
        (void)send(fd, &hello[i], 1, MSG_NOSIGNAL);
        rig_run(rig, 30);
    }
    ck_assert_int_ne(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_OPEN);
    ck_assert_str_eq(answer, "");
    ck_assert_uint_eq(rig_refused(rig, "tunnel_timeout"), 1);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_garbage_is_closed_silently_and_harms_no_one)
{
    struct rig *rig = serving(NULL);
    char answer[64];

    (void)rig_connect(rig, 0);
    for (int i = 0; i < 50; i++) {
        uint8_t hello[72] = {0xc5, 0x5a, 0x57, 0x47, 1, 1, 0, 0};
        int fd = rig_visit(rig, "tunnel");

        rig_send(fd, hello, sizeof(hello));
        ck_assert_int_ne(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_OPEN);
        ck_assert_str_eq(answer, "");
        close(fd);
    }
    ck_assert_uint_eq(rig_refused(rig, "tunnel_handshake"), 50);
    visit_once(rig);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_hostile_source_is_shut_out_for_a_while)
{
    struct rig *rig = serving(NULL);
    char answer[64];

    for (int i = 0; i < 40; i++) {
        uint8_t hello[72] = {0xc5, 0x5a, 0x57, 0x47, 1, 1, 0, 0};
        int fd = rig_visit(rig, "tunnel");

        (void)send(fd, hello, sizeof(hello), MSG_NOSIGNAL);
        (void)rig_read_all(rig, fd, answer, sizeof(answer));
        close(fd);
    }
    ck_assert_uint_gt(rig_refused(rig, "tunnel_penalty"), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_many_connectors_at_once_all_get_in)
{
    struct rig *rig = serving(few_slots);
    struct rig_connector *c[RIG_CONNECTORS];

    for (unsigned i = 0; i < RIG_CONNECTORS; i++)
        c[i] = rig_dial(rig, i, 0);
    for (unsigned i = 0; i < RIG_CONNECTORS; i++)
        ck_assert(rig_until(rig, &c[i]->accepted));
    ck_assert_uint_eq(gw_worker_count_sessions(rig->worker), RIG_CONNECTORS);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_sessions");
    TCase *tc = tcase_create("sessions");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_a_named_key_is_accepted_and_told_what_it_serves);
    tcase_add_test(tc, test_an_unknown_key_is_told_nothing);
    tcase_add_test(tc, test_starting_the_connector_before_the_contract_is_fine);
    tcase_add_test(tc, test_a_key_no_longer_named_loses_its_session);
    tcase_add_test(tc, test_a_key_named_by_two_stays_until_both_are_gone);
    tcase_add_test(tc, test_a_higher_epoch_takes_over_and_a_lower_one_is_stale);
    tcase_add_test(tc, test_the_same_epoch_and_link_replaces_without_already_in_use);
    tcase_add_test(tc, test_two_instances_of_a_key_share_the_load);
    tcase_add_test(tc, test_newest_gives_all_visitors_to_the_latest);
    tcase_add_test(tc, test_a_connector_serves_only_the_twin_it_names);
    tcase_add_test(tc, test_a_connector_without_a_twin_serves_the_first_that_names_its_key);
    tcase_add_test(tc, test_a_session_ends_with_the_last_contract_of_its_twin);
    tcase_add_test(tc, test_sessions_per_key_refuses_the_newest);
    tcase_add_test(tc, test_a_draining_connector_gets_no_new_visitors);
    tcase_add_test(tc, test_sessions_are_listed);
    tcase_add_test(tc, test_a_tunnel_on_the_tls_port_is_a_tunnel);
    tcase_add_test(tc, test_silent_connections_do_not_keep_a_connector_out);
    tcase_add_test(tc, test_a_handshake_has_one_absolute_limit);
    tcase_add_test(tc, test_garbage_is_closed_silently_and_harms_no_one);
    tcase_add_test(tc, test_a_hostile_source_is_shut_out_for_a_while);
    tcase_add_test(tc, test_many_connectors_at_once_all_get_in);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
