/* SPDX-License-Identifier: Apache-2.0 */
/* The list a connector hears: its own exposures, one line per URL, and no more than it may be. */
#include "modules/gateway/tell.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gateway/seat.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define LINES_MAX 256

static struct seat seat;
static struct gw_site *site;
static struct seat_connector connector;
static struct gw_session *session;

static void setup(void)
{
    seat_init(&seat);
    site = seat_site("7-1-blog", 1);
    seat_bind(&seat, site);
    seat_join(&seat, &connector, 1, 1);
    LOOP_UNTIL(seat.loop, connector.lists == 1); /* the registry's own */
    session = gw_registry_first(seat.registry, site->exposure->backends[0].key);
}

static void teardown(void)
{
    seat_leave(&connector);
    seat_unbind(&seat, site);
    seat_deinit(&seat);
}

/* Tell it of SITES; returns how many lines came. */
static unsigned told(struct gw_site *const *sites, size_t count)
{
    connector.lists = 0;
    gw_tell(session, sites, count);
    LOOP_UNTIL(seat.loop, connector.lists == 1);
    return connector.lines;
}

static void set_urls(struct gw_site *s, const char *urls)
{
    free(s->exposure->urls);
    s->exposure->urls = strdup(urls);
}

START_TEST(test_tell_an_exposure_without_urls_has_one_line)
{
    ck_assert_uint_eq(told(&site, 1), 1);
    ck_assert_str_eq(connector.last, "");
}
END_TEST

START_TEST(test_tell_one_line_per_url)
{
    set_urls(site, "https://a.example http://a.example");
    ck_assert_uint_eq(told(&site, 1), 2);
    ck_assert_str_eq(connector.last, "http://a.example");
}
END_TEST

START_TEST(test_tell_an_empty_list_is_a_list)
{
    ck_assert_uint_eq(told(NULL, 0), 0);
}
END_TEST

START_TEST(test_tell_a_site_named_twice_is_told_once)
{
    struct gw_site *twice[] = {site, site, site};

    ck_assert_uint_eq(told(twice, 3), 1);
}
END_TEST

START_TEST(test_tell_nothing_of_removed_sites_other_keys_and_other_twins)
{
    struct gw_site *removed = gw_site_new("7-2-gone"), *foreign = seat_site("7-3-shop", 2);
    struct gw_site *sites[] = {removed, foreign};

    ck_assert_uint_eq(told(sites, 2), 0);
    session->twin = 8;
    ck_assert_uint_eq(told(&site, 1), 0);
    session->twin = 7;
    ck_assert_uint_eq(told(&site, 1), 1);
    gw_site_free(removed);
    gw_site_free(foreign);
}
END_TEST

START_TEST(test_tell_a_url_that_is_too_long_is_left_out)
{
    char urls[TUN_URL_MAX + 32];
    size_t len = TUN_URL_MAX - 1 + (size_t)_i;

    memset(urls, 'u', len);
    strcpy(urls + len, " tcp://last");
    set_urls(site, urls);
    ck_assert_uint_eq(told(&site, 1), len <= TUN_URL_MAX ? 2 : 1);
    ck_assert_str_eq(connector.last, "tcp://last");
}
END_TEST

START_TEST(test_tell_at_most_256_lines)
{
    struct gw_site *sites[LINES_MAX + 1] = {NULL};
    size_t count = LINES_MAX - 1 + (size_t)_i;

    for (size_t i = 0; i < count; i++)
        sites[i] = seat_site("7-2-shop", 1);
    ck_assert_uint_eq(told(sites, count), count < LINES_MAX ? count : LINES_MAX);
    for (size_t i = 0; i < count; i++)
        gw_site_free(sites[i]);
}
END_TEST

START_TEST(test_tell_a_repeated_site_is_told_once_wherever_it_stands)
{
    struct gw_site *sites[LINES_MAX + 3], *removed = gw_site_new("7-2-gone");

    for (size_t i = 0; i < LINES_MAX + 1; i++)
        sites[i] = removed; /* takes no line */
    sites[LINES_MAX + 1] = sites[LINES_MAX + 2] = site;
    ck_assert_uint_eq(told(sites, LINES_MAX + 3), 1);
    gw_site_free(removed);
}
END_TEST

START_TEST(test_tell_a_session_whose_link_was_closed_is_told_nothing)
{
    link_session_close(session->links, TUN_CODE_REVOKED, "gone");
    connector.lists = 0;
    gw_tell(session, &site, 1);
    LOOP_UNTIL(seat.loop, connector.closed && seat.downs == 1);
    ck_assert_uint_eq(connector.lists, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_tell");
    TCase *tc = tcase_create("tell");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_tell_an_exposure_without_urls_has_one_line);
    tcase_add_test(tc, test_tell_one_line_per_url);
    tcase_add_test(tc, test_tell_an_empty_list_is_a_list);
    tcase_add_test(tc, test_tell_a_site_named_twice_is_told_once);
    tcase_add_test(tc, test_tell_nothing_of_removed_sites_other_keys_and_other_twins);
    tcase_add_loop_test(tc, test_tell_a_url_that_is_too_long_is_left_out, 0, 3);
    tcase_add_loop_test(tc, test_tell_at_most_256_lines, 0, 3);
    tcase_add_test(tc, test_tell_a_repeated_site_is_told_once_wherever_it_stands);
    tcase_add_test(tc, test_tell_a_session_whose_link_was_closed_is_told_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
