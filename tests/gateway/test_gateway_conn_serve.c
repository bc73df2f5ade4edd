/* SPDX-License-Identifier: Apache-2.0 */
/* Which service each request gets, and what happens when it fails. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/conn.h"
#include "tests/gateway/hall.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct hall hall;
static struct gw_site *other; /* "8-1-shop", shop.example, the same connector */

static void setup(void)
{
    struct gw_site *made;
    struct gw_exposure *old;

    hall_setup(&hall);
    made = seat_site("8-1-shop", 1);
    made->exposure->kind = GW_KIND_FQDN;
    strcpy(made->exposure->host, "shop.example");
    ck_assert_int_eq(gw_routes_put(hall.routes, made->exposure, &other, &old), ERR_OK);
    gw_site_free(made);
    seat_bind(&hall.seat, other);
    hall_join(&hall);
}

static void teardown(void)
{
    gw_conn_free_all(&hall.front);
    ck_assert_uint_eq(other->conn_count, 0);
    ck_assert_uint_eq(other->active, 0);
    seat_leave(&hall.connector);
    gw_registry_unbind(hall.seat.registry, other, other->exposure);
    hall_teardown(&hall);
}

static const char *request(const char *method, const char *host)
{
    static char text[256];

    (void)snprintf(text, sizeof(text), "%s /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n",
                   method, host, host);
    return text;
}

START_TEST(test_each_request_goes_where_its_own_host_says)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request("GET", HALL_HOST));

    hall_accept(&hall, 0);
    hall_say(fd, request("GET", "shop.example")); /* too early: it waits */
    ck_assert_ptr_null(strstr(hall_heard(&hall, 0, "GET /blog.example "), "shop"));
    hall_answer(&hall, 0, OK);
    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 2);
    tun_stream_accept(hall.connector.streams[1]);
    link_session_touch(hall.connector.session);
    ck_assert_ptr_null(strstr(hall_heard(&hall, 1, "GET /shop.example "), "blog"));
    ck_assert_uint_eq(hall.site->conn_count, 0);
    ck_assert_uint_eq(other->conn_count, 1);
    hall_answer(&hall, 1, OK);
    hall_get(&hall, fd, "\r\n\r\nokHTTP/1.1 200");
    close(fd);
}
END_TEST

START_TEST(test_request_for_a_name_that_is_not_served_ends_the_connection)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request("GET", HALL_HOST));

    hall_accept(&hall, 0);
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    hall_say(fd, request("GET", "no.example"));
    ck_assert_int_eq(hall_status(&hall, fd), 404);
    ck_assert_uint_eq(hall.site->active, 0);
    close(fd);
}
END_TEST

static const struct {
    const char *line;
    const char *location; /* behind the host */
} moved[] = {
    {"GET http://blog.example HTTP/1.1", "/"}, /* no path: the line is not one */
    {"GET http://blog.example?a HTTP/1.1", "/?a"},
    {"GET http://blog.example/b HTTP/1.1", "/b"},
    {"OPTIONS * HTTP/1.1", "/"},
    {"GET //evil.example/ HTTP/1.1", "//evil.example/"},
    {"GET /.well-known/acme-challenge/../x HTTP/1.1", "/.well-known/acme-challenge/../x"},
    {"GET /.well-known/acme-challenge/%2e%2e/x HTTP/1.1", "/.well-known/acme-challenge/%2e%2e/x"},
};

START_TEST(test_redirect_leads_to_the_same_place_whatever_the_form)
{
    char text[256];
    int fd;

    hall.site->exposure->http = GW_HTTP_REDIRECT;
    (void)snprintf(text, sizeof(text), "%s\r\nHost: blog.example\r\n\r\n", moved[_i].line);
    fd = hall_come(&hall, GW_PORT_HTTP, text);
    (void)snprintf(text, sizeof(text), "\r\nLocation: https://blog.example%s\r\n",
                   moved[_i].location);
    ck_assert_ptr_nonnull(strstr(hall_get(&hall, fd, "\r\n\r\n"), text));
    close(fd);
}
END_TEST

START_TEST(test_redirect_answers_308_but_not_for_proofs)
{
    int fd;

    hall.site->exposure->http = GW_HTTP_REDIRECT;
    fd = hall_come(&hall, GW_PORT_HTTP, "GET /a?b HTTP/1.1\r\nHost: blog.example:80\r\n\r\n");
    ck_assert_ptr_nonnull(
        strstr(hall_get(&hall, fd, "\r\n\r\n"), "Location: https://blog.example/a?b\r\n"));
    close(fd);
    fd =
        hall_come(&hall, GW_PORT_HTTP,
                  "GET /.well-known/acme-challenge/x.txt?y HTTP/1.1\r\nHost: blog.example\r\n\r\n");
    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "GET /.well-known/acme-challenge/x.txt?y ");
    close(fd);
}
END_TEST

START_TEST(test_idempotent_request_whose_kept_stream_died_is_sent_once_more)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request("GET", HALL_HOST));

    hall_accept(&hall, 0);
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    hall_forget(&hall, 0);
    hall_say(fd, request("PUT", HALL_HOST));
    hall_heard(&hall, 0, "PUT /");
    hall_cut(&hall, 0);
    LOOP_UNTIL(hall.seat.loop, hall.site->active == 0);
    hall_accept(&hall, 1);
    hall_heard(&hall, 1, "PUT /");
    hall_cut(&hall, 1); /* and not a second time */
    ck_assert_int_eq(hall_status(&hall, fd), 502);
    close(fd);
}
END_TEST

START_TEST(test_other_requests_are_not_sent_twice)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request("POST", HALL_HOST));

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "POST /");
    hall_cut(&hall, 0);
    ck_assert_int_eq(hall_status(&hall, fd), 502);
    ck_assert_uint_eq(hall.connector.opens, 1);
    close(fd);
}
END_TEST

START_TEST(test_request_whose_connector_vanished_goes_to_the_next_one)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request("GET", HALL_HOST));

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "GET /");
    seat_leave(&hall.connector);
    LOOP_UNTIL(hall.seat.loop, hall.site->active == 0);
    memset(&hall.connector, 0, sizeof(hall.connector));
    hall_join(&hall);
    gw_conn_wake(hall.site);
    hall_accept(&hall, 0);
    hall_forget(&hall, 0);
    hall_heard(&hall, 0, "GET /");
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    close(fd);
}
END_TEST

START_TEST(test_request_that_a_vanished_connector_may_have_passed_on_is_not_sent_again)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request(_i == 0 ? "POST" : "GET", HALL_HOST));

    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 1); /* not accepted */
    seat_leave(&hall.connector);
    memset(&hall.connector, 0, sizeof(hall.connector));
    if (_i == 0) {
        ck_assert_int_eq(hall_status(&hall, fd), 502);
    } else {
        LOOP_UNTIL(hall.seat.loop, hall.errors == 1);
        ck_assert_uint_eq(hall.site->conn_count, 1); /* it waits for another one */
    }
    close(fd);
}
END_TEST

START_TEST(test_request_that_was_refused_goes_to_the_next_backend_whatever_it_is)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request("POST", HALL_HOST));

    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 1);
    tun_stream_refuse(hall.connector.streams[0], TUN_CODE_SHUTDOWN, "it leaves");
    link_session_touch(hall.connector.session);
    LOOP_UNTIL(hall.seat.loop, hall.errors == 1);
    ck_assert_uint_eq(hall.site->conn_count, 1); /* nobody was asked: it waits */
    close(fd);
}
END_TEST

START_TEST(test_request_that_had_a_byte_of_its_answer_is_not_sent_again)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request("GET", HALL_HOST));

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "GET /");
    hall_answer(&hall, 0, "H");
    for (int i = 0; i < 10; i++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    hall_cut(&hall, 0);
    ck_assert_int_eq(hall_status(&hall, fd), 502);
    close(fd);
}
END_TEST

START_TEST(test_connections_limit_is_for_both_names_apart)
{
    int fds[2];

    hall.site->exposure->connections = 1;
    fds[0] = hall_come(&hall, GW_PORT_HTTP, request("GET", HALL_HOST));
    hall_accept(&hall, 0);
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fds[0], "\r\n\r\nok");
    hall_say(fds[0], request("GET", HALL_HOST)); /* it is in already */
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fds[0], "\r\n\r\nok");
    fds[1] = hall_come(&hall, GW_PORT_HTTP, request("GET", HALL_HOST));
    ck_assert_int_eq(hall_status(&hall, fds[1]), 429);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_conn_serve");
    TCase *tc = tcase_create("serve");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_each_request_goes_where_its_own_host_says);
    tcase_add_test(tc, test_request_for_a_name_that_is_not_served_ends_the_connection);
    tcase_add_loop_test(tc, test_redirect_leads_to_the_same_place_whatever_the_form, 0,
                        sizeof(moved) / sizeof(moved[0]));
    tcase_add_test(tc, test_redirect_answers_308_but_not_for_proofs);
    tcase_add_test(tc, test_idempotent_request_whose_kept_stream_died_is_sent_once_more);
    tcase_add_test(tc, test_other_requests_are_not_sent_twice);
    tcase_add_test(tc, test_request_whose_connector_vanished_goes_to_the_next_one);
    tcase_add_loop_test(
        tc, test_request_that_a_vanished_connector_may_have_passed_on_is_not_sent_again, 0, 2);
    tcase_add_test(tc, test_request_that_was_refused_goes_to_the_next_backend_whatever_it_is);
    tcase_add_test(tc, test_request_that_had_a_byte_of_its_answer_is_not_sent_again);
    tcase_add_test(tc, test_connections_limit_is_for_both_names_apart);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
