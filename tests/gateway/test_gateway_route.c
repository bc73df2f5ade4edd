/* SPDX-License-Identifier: Apache-2.0 */
/* Names and ports to exposures, and what a site remembers of its backends. */
#include "modules/gateway/route.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static struct gw_exposure *make(const char *id, const char *host, uint16_t port)
{
    struct gw_exposure *e = gw_exposure_new();

    ck_assert_ptr_nonnull(e);
    strcpy(e->id, id);
    e->kind = host != NULL ? GW_KIND_FQDN : GW_KIND_TCP;
    if (host != NULL)
        strcpy(e->host, host);
    e->port = port;
    e->backend_count = 1;
    return e;
}

/* Put and drop our own reference and the old one. */
static int put(struct gw_routes *routes, struct gw_exposure *e)
{
    struct gw_exposure *old = NULL;
    struct gw_site *site = NULL;
    int rc = gw_routes_put(routes, e, &site, &old);

    if (rc == ERR_OK)
        ck_assert_ptr_eq(site->exposure, e);
    gw_exposure_unref(old);
    gw_exposure_unref(e);
    return rc;
}

static struct gw_routes *routes_new(void)
{
    struct gw_routes *routes;

    ck_assert_int_eq(gw_routes_new(&routes), ERR_OK);
    return routes;
}

static const char *found(const struct gw_site *site)
{
    return site != NULL ? site->id : "-";
}

START_TEST(test_exact_host_beats_the_wildcard)
{
    struct gw_routes *r = routes_new();

    ck_assert_int_eq(put(r, make("wild", "*.a.example", 0)), ERR_OK);
    ck_assert_int_eq(put(r, make("exact", "x.a.example", 0)), ERR_OK);
    ck_assert_str_eq(found(gw_routes_by_host(r, "x.a.example")), "exact");
    ck_assert_str_eq(found(gw_routes_by_host(r, "y.a.example")), "wild");
    gw_routes_free(r);
}
END_TEST

START_TEST(test_a_wildcard_is_exactly_one_label)
{
    struct gw_routes *r = routes_new();

    ck_assert_int_eq(put(r, make("wild", "*.a.example", 0)), ERR_OK);
    ck_assert_str_eq(found(gw_routes_by_host(r, "a.example")), "-");
    ck_assert_str_eq(found(gw_routes_by_host(r, "x.y.a.example")), "-");
    ck_assert_str_eq(found(gw_routes_by_host(r, "xa.example")), "-");
    ck_assert_str_eq(found(gw_routes_by_host(r, "*.a.example")), "-");
    ck_assert_str_eq(found(gw_routes_by_host(r, "example")), "-");
    gw_routes_free(r);
}
END_TEST

START_TEST(test_a_host_or_port_of_another_id_is_refused_whole)
{
    struct gw_routes *r = routes_new();

    ck_assert_int_eq(put(r, make("one", "a.example", 0)), ERR_OK);
    ck_assert_int_eq(put(r, make("two", "a.example", 0)), ERR_EXISTS);
    ck_assert_int_eq(put(r, make("tcp1", NULL, 20000)), ERR_OK);
    ck_assert_int_eq(put(r, make("tcp2", NULL, 20000)), ERR_EXISTS);
    ck_assert_str_eq(found(gw_routes_by_host(r, "a.example")), "one");
    ck_assert_str_eq(found(gw_routes_by_port(r, 20000)), "tcp1");
    ck_assert_ptr_null(gw_routes_by_id(r, "two"));
    ck_assert_uint_eq(gw_routes_count(r), 2);
    gw_routes_free(r);
}
END_TEST

START_TEST(test_replacing_moves_the_name_and_keeps_the_site)
{
    struct gw_routes *r = routes_new();
    struct gw_site *site;

    ck_assert_int_eq(put(r, make("one", "a.example", 0)), ERR_OK);
    site = gw_routes_by_id(r, "one");
    site->rx_bytes = 5;
    ck_assert_int_eq(put(r, make("one", "b.example", 0)), ERR_OK);
    ck_assert_ptr_eq(gw_routes_by_host(r, "b.example"), site);
    ck_assert_ptr_null(gw_routes_by_host(r, "a.example"));
    ck_assert_uint_eq(site->rx_bytes, 5);
    ck_assert_uint_eq(gw_routes_count(r), 1);
    gw_routes_free(r);
}
END_TEST

/* Two names change hands: nobody is removed, and each is found under its new one. */
START_TEST(test_unlisted_names_change_hands)
{
    struct gw_routes *r = routes_new();
    struct gw_site *one, *two;

    ck_assert_int_eq(put(r, make("one", "a.example", 0)), ERR_OK);
    ck_assert_int_eq(put(r, make("two", "b.example", 0)), ERR_OK);
    one = gw_routes_by_id(r, "one");
    two = gw_routes_by_id(r, "two");
    ck_assert_int_eq(put(r, make("one", "b.example", 0)), ERR_EXISTS);
    gw_routes_unlist(r, "one");
    gw_routes_unlist(r, "two");
    gw_routes_unlist(r, "nobody");
    ck_assert_ptr_null(gw_routes_by_host(r, "a.example"));
    ck_assert_ptr_nonnull(one->exposure);
    ck_assert_int_eq(put(r, make("one", "b.example", 0)), ERR_OK);
    ck_assert_int_eq(put(r, make("two", "a.example", 0)), ERR_OK);
    ck_assert_ptr_eq(gw_routes_by_host(r, "b.example"), one);
    ck_assert_ptr_eq(gw_routes_by_host(r, "a.example"), two);
    gw_routes_unlist(r, "one");
    ck_assert_int_eq(put(r, make("one", "b.example", 0)), ERR_OK); /* or it stays where it was */
    ck_assert_ptr_eq(gw_routes_by_host(r, "b.example"), one);
    ck_assert_uint_eq(gw_routes_count(r), 2);
    gw_routes_free(r);
}
END_TEST

START_TEST(test_a_removed_site_is_not_found_but_keeps_its_numbers)
{
    struct gw_routes *r = routes_new();
    struct gw_exposure *old;
    struct gw_site *site;

    ck_assert_int_eq(put(r, make("one", "a.example", 0)), ERR_OK);
    site = gw_routes_by_id(r, "one");
    old = gw_routes_remove(r, "one");
    ck_assert_ptr_nonnull(old);
    gw_exposure_unref(old);
    ck_assert_ptr_null(gw_routes_remove(r, "one"));
    ck_assert_ptr_null(gw_routes_by_host(r, "a.example"));
    ck_assert_ptr_eq(gw_routes_by_id(r, "one"), site);
    ck_assert_uint_eq(gw_routes_count(r), 0);
    ck_assert_int_eq(put(r, make("two", "a.example", 0)), ERR_OK);
    gw_routes_forget(r, site);
    ck_assert_ptr_null(gw_routes_by_id(r, "one"));
    gw_routes_free(r);
}
END_TEST

START_TEST(test_what_is_not_canonical_is_invalid)
{
    struct gw_routes *r = routes_new();

    ck_assert_int_eq(put(r, make("one", "A.example", 0)), ERR_INVALID);
    ck_assert_int_eq(put(r, make("one", "a.example.", 0)), ERR_INVALID);
    ck_assert_int_eq(put(r, make("one", "192.0.2.1", 0)), ERR_INVALID);
    ck_assert_int_eq(put(r, make("one", "a.*.example", 0)), ERR_INVALID);
    ck_assert_int_eq(put(r, make("", "a.example", 0)), ERR_INVALID);
    ck_assert_int_eq(put(r, make("one", NULL, 0)), ERR_INVALID);
    ck_assert_uint_eq(gw_routes_count(r), 0);
    gw_routes_free(r);
}
END_TEST

START_TEST(test_a_thousand_names_are_told_apart)
{
    struct gw_routes *r = routes_new();
    char name[64];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "n%d.example", i);
        ck_assert_int_eq(put(r, make(name, name, 0)), ERR_OK);
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "n%d.example", i);
        ck_assert_str_eq(found(gw_routes_by_host(r, name)), name);
    }
    gw_routes_free(r);
}
END_TEST

START_TEST(test_a_failing_backend_is_passed_over_for_longer_each_time)
{
    struct gw_site *site = gw_site_new("one");
    struct gw_target bad = {0, 7}, good = {0, 8};
    uint64_t now = 1000;

    gw_site_fault(site, &bad, now);
    ck_assert(gw_site_is_faulty(site, &bad, now + 999));
    ck_assert(!gw_site_is_faulty(site, &bad, now + 1000));
    ck_assert(!gw_site_is_faulty(site, &good, now));
    for (int i = 0; i < 10; i++)
        gw_site_fault(site, &bad, now);
    ck_assert(gw_site_is_faulty(site, &bad, now + 29999));
    ck_assert(!gw_site_is_faulty(site, &bad, now + 30000));
    gw_site_cure(site, &bad);
    ck_assert(!gw_site_is_faulty(site, &bad, now));
    gw_site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_route");
    TCase *tc = tcase_create("route");

    tcase_add_test(tc, test_exact_host_beats_the_wildcard);
    tcase_add_test(tc, test_a_wildcard_is_exactly_one_label);
    tcase_add_test(tc, test_a_host_or_port_of_another_id_is_refused_whole);
    tcase_add_test(tc, test_replacing_moves_the_name_and_keeps_the_site);
    tcase_add_test(tc, test_unlisted_names_change_hands);
    tcase_add_test(tc, test_a_removed_site_is_not_found_but_keeps_its_numbers);
    tcase_add_test(tc, test_what_is_not_canonical_is_invalid);
    tcase_add_test(tc, test_a_thousand_names_are_told_apart);
    tcase_add_test(tc, test_a_failing_backend_is_passed_over_for_longer_each_time);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
