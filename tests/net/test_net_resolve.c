/* SPDX-License-Identifier: Apache-2.0 */
/* Name resolution against a real DNS server on loopback. */
#include <check.h>
#include <ev.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/resolve.h"
#include "tests/net/dns_server.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

struct fixture {
    struct ev_loop *loop;
    struct dns_server dns;
    struct net_resolver *resolver;
};

static struct {
    int calls;
    int rc;
    size_t count;
    char text[NET_RESOLVE_ADDRS_MAX][ADDR_TEXT_MAX];
} got;

static void on_addrs(void *arg, int rc, const struct addr *addrs, size_t count)
{
    (void)arg;
    got.calls++;
    got.rc = rc;
    got.count = count;
    for (size_t i = 0; i < count; i++)
        addr_print(got.text[i], &addrs[i]);
}

static void on_texts(void *arg, int rc, const char *const *texts, size_t count)
{
    (void)arg;
    got.calls++;
    got.rc = rc;
    got.count = count;
    for (size_t i = 0; i < count; i++)
        snprintf(got.text[i], sizeof(got.text[i]), "%s", texts[i]);
}

static void setup(struct fixture *f)
{
    struct net_resolver_config cfg = {.servers = f->dns.servers, .timeout_ms = 600};

    memset(&got, 0, sizeof(got));
    f->loop = ev_loop_new(EVFLAG_AUTO);
    dns_server_start(&f->dns, f->loop);
    ck_assert_int_eq(net_resolver_new(&f->resolver, f->loop, &cfg), ERR_OK);
}

static void teardown(struct fixture *f)
{
    net_resolver_free(f->resolver);
    dns_server_stop(&f->dns);
    ev_loop_destroy(f->loop);
}

static struct net_resolve *ask(struct fixture *f, const char *name)
{
    struct net_resolve_question q = {.name = name, .port = 443, .on_addrs = on_addrs};
    struct net_resolve *handle = NULL;

    ck_assert_int_eq(net_resolve_start(&handle, f->resolver, &q), ERR_OK);
    ck_assert_int_eq(got.calls, 0); /* never inside start */
    return handle;
}

static struct net_resolve *ask_texts(struct fixture *f, const char *name)
{
    struct net_resolve_question q = {.name = name, .on_texts = on_texts};
    struct net_resolve *handle = NULL;

    ck_assert_int_eq(net_resolve_start(&handle, f->resolver, &q), ERR_OK);
    return handle;
}

static bool has(const char *text)
{
    for (size_t i = 0; i < got.count; i++)
        if (strcmp(got.text[i], text) == 0)
            return true;
    return false;
}

START_TEST(test_resolve_gives_all_addresses_with_the_port)
{
    struct fixture f;

    setup(&f);
    ask(&f, "two.test");
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_int_eq(got.rc, ERR_OK);
    ck_assert_uint_eq(got.count, 3);
    ck_assert(has("192.0.2.1:443") && has("192.0.2.2:443") && has("[2001:db8::1]:443"));
    teardown(&f);
}
END_TEST

START_TEST(test_resolve_asks_again_every_time)
{
    struct fixture f;
    int first;

    setup(&f);
    ask(&f, "two.test");
    LOOP_UNTIL(f.loop, got.calls == 1);
    first = f.dns.questions;
    got.calls = 0;
    ask(&f, "two.test");
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_int_gt(f.dns.questions, first);
    teardown(&f);
}
END_TEST

static const struct {
    const char *name;
    const char *want;
} literals[] = {{"192.0.2.9", "192.0.2.9:443"}, {"2001:db8::9", "[2001:db8::9]:443"}};

START_TEST(test_resolve_literal_is_itself)
{
    struct fixture f;

    setup(&f);
    ask(&f, literals[_i].name);
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_int_eq(got.rc, ERR_OK);
    ck_assert_uint_eq(got.count, 1);
    ck_assert_str_eq(got.text[0], literals[_i].want);
    ck_assert_int_eq(f.dns.questions, 0);
    teardown(&f);
}
END_TEST

START_TEST(test_resolve_unknown_name_is_noent)
{
    struct fixture f;

    setup(&f);
    ask(&f, "nobody.test");
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_int_eq(got.rc, ERR_NOENT);
    ck_assert_uint_eq(got.count, 0);
    teardown(&f);
}
END_TEST

START_TEST(test_resolve_failing_server_is_not_noent)
{
    struct fixture f;

    setup(&f);
    ask(&f, "broken.test");
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_int_ne(got.rc, ERR_OK);
    ck_assert_int_ne(got.rc, ERR_NOENT);
    teardown(&f);
}
END_TEST

START_TEST(test_resolve_silent_server_times_out)
{
    struct fixture f;

    setup(&f);
    ask(&f, "silent.test");
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_int_eq(got.rc, ERR_TIMEOUT);
    teardown(&f); /* the question may still be with c-ares */
}
END_TEST

START_TEST(test_resolve_texts_join_their_parts)
{
    struct fixture f;

    setup(&f);
    ask_texts(&f, "txt.test");
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_int_eq(got.rc, ERR_OK);
    ck_assert_uint_eq(got.count, 2);
    ck_assert(has("hello") && has("key=abc"));
    teardown(&f);
}
END_TEST

START_TEST(test_resolve_no_texts_is_noent)
{
    struct fixture f;

    setup(&f);
    ask_texts(&f, "two.test"); /* the name is there, TXT is not */
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_int_eq(got.rc, ERR_NOENT);
    teardown(&f);
}
END_TEST

/* _i: 0 before the question went out, 1 on its way, 2 answered but not yet told */
START_TEST(test_resolve_cancel_in_each_state)
{
    struct fixture f;
    struct net_resolve *handle;

    setup(&f);
    handle = ask(&f, _i == 2 ? "192.0.2.9" : "two.test");
    if (_i == 1)
        LOOP_UNTIL(f.loop, f.dns.questions > 0);
    ck_assert_int_eq(got.calls, 0);
    net_resolve_cancel(handle);
    ask(&f, "two.test"); /* the channel goes on */
    LOOP_UNTIL(f.loop, got.calls == 1);
    ck_assert_uint_eq(got.count, 3);
    teardown(&f);
}
END_TEST

/* _i: 0 with an open question, 1 with an untold answer, 2 with a cancelled question */
START_TEST(test_resolve_resolver_freed_with_open_questions)
{
    struct fixture f;
    struct net_resolve *handle;

    setup(&f);
    handle = ask(&f, _i == 1 ? "192.0.2.9" : "silent.test");
    if (_i == 2)
        net_resolve_cancel(handle);
    teardown(&f);
    ck_assert_int_eq(got.calls, 0);
}
END_TEST

static void write_conf(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void ask_addrs(struct net_resolver *resolver, const char *name)
{
    struct net_resolve_question q = {.name = name, .on_addrs = on_addrs};
    struct net_resolve *handle;

    memset(&got, 0, sizeof(got));
    ck_assert_int_eq(net_resolve_start(&handle, resolver, &q), ERR_OK);
}

/* The machine starts before its network: there is no server yet, then there is one, then another.
 */
START_TEST(test_resolve_follows_the_systems_servers)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    char *dir = temp_dir_new(), path[256], conf[96], address[32];
    struct net_resolver_config cfg = {.resolv_conf = path, .timeout_ms = 600};
    struct net_resolver *resolver;
    struct dns_server dns;

    snprintf(path, sizeof(path), "%s/resolv.conf", dir);
    snprintf(address, sizeof(address), "127.77.%u.%u", (unsigned)getpid() >> 8 & 255,
             (unsigned)getpid() & 255);
    snprintf(conf, sizeof(conf), "nameserver %s\n", address);
    ck_assert_int_eq(net_resolver_new(&resolver, loop, &cfg), ERR_OK);
    if (dns_server_start_at(&dns, loop, address, 53)) { /* else only root may */
        write_conf(path, "nameserver 127.255.1.1\n");
        ask_addrs(resolver, "two.test");
        write_conf(path, conf);
        ask_addrs(resolver, "two.test"); /* the first one is cancelled */
        LOOP_UNTIL(loop, got.calls == 2);
        ck_assert_int_eq(got.rc, ERR_OK);
        ck_assert_uint_eq(got.count, 3);
        dns_server_stop(&dns);
    }
    net_resolver_free(resolver);
    temp_dir_free(dir);
    ev_loop_destroy(loop);
}
END_TEST

/* A search list would make "nobody.test" point to whatever "*.test.corp" points to. */
START_TEST(test_resolve_absolute_names_are_not_searched_for)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    char *dir = temp_dir_new(), path[256], conf[96], address[32];
    struct net_resolver_config cfg = {.resolv_conf = path, .timeout_ms = 600, .absolute = _i};
    struct net_resolver *resolver;
    struct dns_server dns;

    snprintf(path, sizeof(path), "%s/resolv.conf", dir);
    snprintf(address, sizeof(address), "127.78.%u.%u", (unsigned)getpid() >> 8 & 255,
             (unsigned)getpid() & 255);
    snprintf(conf, sizeof(conf), "search test\nnameserver %s\noptions ndots:0\n", address);
    write_conf(path, conf);
    ck_assert_int_eq(net_resolver_new(&resolver, loop, &cfg), ERR_OK);
    if (dns_server_start_at(&dns, loop, address, 53)) {
        ask_addrs(resolver, "two"); /* two.test is there */
        LOOP_UNTIL(loop, got.calls == 1);
        ck_assert_int_eq(got.rc, _i ? ERR_NOENT : ERR_OK);
        dns_server_stop(&dns);
    }
    net_resolver_free(resolver);
    temp_dir_free(dir);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_resolve_bad_input_is_refused)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_resolver *resolver = NULL;
    struct net_resolver_config cfg = {.servers = "not an address"};
    struct net_resolve_question q = {.name = "a.test"};
    struct net_resolve *handle = NULL;
    char name[300];

    ck_assert_int_eq(net_resolver_new(&resolver, loop, &cfg), ERR_INVALID);
    cfg.servers = "";
    ck_assert_int_eq(net_resolver_new(&resolver, loop, &cfg), ERR_OK);
    ck_assert_int_eq(net_resolve_start(&handle, resolver, &q), ERR_INVALID);
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    q = (struct net_resolve_question){.name = name, .on_addrs = on_addrs};
    ck_assert_int_eq(net_resolve_start(&handle, resolver, &q), ERR_INVALID);
    ck_assert_ptr_null(handle);
    net_resolver_free(resolver);
    net_resolver_free(NULL);
    net_resolve_cancel(NULL);
    ev_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/resolve");
    TCase *tc = tcase_create("resolve");

    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_resolve_gives_all_addresses_with_the_port);
    tcase_add_test(tc, test_resolve_asks_again_every_time);
    tcase_add_loop_test(tc, test_resolve_literal_is_itself, 0, COUNT(literals));
    tcase_add_test(tc, test_resolve_unknown_name_is_noent);
    tcase_add_test(tc, test_resolve_failing_server_is_not_noent);
    tcase_add_test(tc, test_resolve_silent_server_times_out);
    tcase_add_test(tc, test_resolve_texts_join_their_parts);
    tcase_add_test(tc, test_resolve_no_texts_is_noent);
    tcase_add_loop_test(tc, test_resolve_cancel_in_each_state, 0, 3);
    tcase_add_loop_test(tc, test_resolve_resolver_freed_with_open_questions, 0, 3);
    tcase_add_test(tc, test_resolve_follows_the_systems_servers);
    tcase_add_loop_test(tc, test_resolve_absolute_names_are_not_searched_for, 0, 2);
    tcase_add_test(tc, test_resolve_bad_input_is_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
