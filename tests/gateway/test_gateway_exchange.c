/* SPDX-License-Identifier: Apache-2.0 */
/* One request after the other: what lasts between them, what ends them, and how long all may take.
 */
#include "modules/gateway/exchange.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "tests/gateway/hall.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define HOST "Host: " HALL_HOST "\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct hall hall;

static void setup(void)
{
    hall_setup(&hall);
    hall.seat.limits.first_bytes_timeout_ms = 200;
    hall.seat.limits.idle_timeout_ms = 300;
    hall_join(&hall);
}

static void teardown(void)
{
    hall_teardown(&hall);
}

/* A visitor whose first request was answered. */
static int answered(void)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, GET);

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    return fd;
}

START_TEST(test_exchange_first_head_has_its_time_however_it_dribbles)
{
    uint64_t since = clock_mono_ms();
    int fd = hall_come(&hall, GW_PORT_HTTP, "GET / HTTP/1.1\r\nX: ");
    const char *got;
    unsigned said = 0;

    while (clock_mono_ms() - since < 150) {
        if (said++ < 4000) /* less than a head may have, however fast the machine is */
            hall_say(fd, "x");
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    }
    got = hall_get(&hall, fd, "\r\n\r\n");
    ck_assert_int_eq(strncmp(got, "HTTP/1.1 408 ", 13), 0);
    ck_assert_uint_ge(clock_mono_ms() - since, 190);
    close(fd);
}
END_TEST

START_TEST(test_exchange_later_head_has_as_much)
{
    int fd = answered();

    hall_say(fd, "GET /");
    ck_assert_int_eq(hall_status(&hall, fd), 408);
    close(fd);
}
END_TEST

START_TEST(test_exchange_who_never_speaks_is_told_nothing)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, "");

    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    ck_assert_uint_eq(hall.seat.refused.count[GW_REASON_FIRST_BYTES_TIMEOUT], 1);
    close(fd);
}
END_TEST

START_TEST(test_exchange_between_requests_ends_in_order_when_it_is_idle)
{
    int fd = answered();

    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    close(fd);
}
END_TEST

START_TEST(test_exchange_silent_service_is_a_504)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, GET);

    hall_accept(&hall, 0);
    ck_assert_int_eq(hall_status(&hall, fd), 504);
    close(fd);
}
END_TEST

START_TEST(test_exchange_visitor_that_stops_in_its_body_is_told_so)
{
    int fd =
        hall_come(&hall, GW_PORT_HTTP, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab");

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\nab");
    ck_assert_int_eq(hall_status(&hall, fd), 408);
    close(fd);
}
END_TEST

START_TEST(test_exchange_service_that_does_not_ask_for_the_body_is_a_504)
{
    int fd =
        hall_come(&hall, GW_PORT_HTTP,
                  "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    if (_i == 1) { /* once it does, the time is the visitor's */
        hall_answer(&hall, 0, "HTTP/1.1 100 Continue\r\n\r\n");
        ck_assert_int_eq(hall_status(&hall, fd), 100);
    }
    if (_i == 2)
        hall_say(fd, "ab");
    if (_i == 3) { /* only a 100 asks for it */
        hall_answer(&hall, 0, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        ck_assert_int_eq(hall_status(&hall, fd), 103);
    }
    ck_assert_int_eq(hall_status(&hall, fd), _i == 1 || _i == 2 ? 408 : 504);
    close(fd);
}
END_TEST

START_TEST(test_exchange_stream_serves_the_next_request_too)
{
    int fd = answered();

    hall_forget(&hall, 0);
    hall_say(fd, GET);
    hall_heard(&hall, 0, "GET / ");
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    ck_assert_uint_eq(hall.connector.opens, 1);
    ck_assert_uint_eq(hall.site->connections, 1);
    close(fd);
}
END_TEST

START_TEST(test_exchange_stream_that_its_service_ended_is_not_used_again)
{
    int fd = answered();

    hall_finish(&hall, 0);
    LOOP_UNTIL(hall.seat.loop, hall.site->active == 0);
    hall_say(fd, GET);
    hall_accept(&hall, 1);
    hall_answer(&hall, 1, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    close(fd);
}
END_TEST

START_TEST(test_exchange_outlives_its_connector)
{
    int fd;

    hall.seat.limits.idle_timeout_ms = 20000;
    fd = answered();
    seat_leave(&hall.connector);
    LOOP_UNTIL(hall.seat.loop, hall.site->active == 0);
    memset(&hall.connector, 0, sizeof(hall.connector));
    hall_join(&hall);
    hall_say(fd, GET);
    hall_accept(&hall, 0);
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    close(fd);
}
END_TEST

START_TEST(test_exchange_of_the_last_answers_says_so)
{
    int fd = answered();

    hall.front.http.last_answers = true;
    hall_say(fd, GET);
    hall_heard(&hall, 0, "\r\n\r\nGET / ");
    hall_answer(&hall, 0, OK);
    ck_assert_ptr_nonnull(strstr(hall_get(&hall, fd, "\r\n\r\nok"), "Connection: close\r\n"));
    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    close(fd);
}
END_TEST

START_TEST(test_exchange_within_an_answer_ends_behind_it_when_all_shall_go)
{
    int fd = answered();
    const char *got;

    hall_say(fd, GET);
    hall_heard(&hall, 0, "\r\n\r\nGET / ");
    hall_answer(&hall, 0, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    hall_get(&hall, fd, "\r\n\r\nab");
    hall.seat.limits.idle_timeout_ms = 20000;
    gw_conn_drain(&hall.front, true);
    if (_i == 1) { /* whose answer says so */
        hall_say(fd, GET);
        for (int i = 0; i < 20; i++)
            ev_run(hall.seat.loop, EVRUN_NOWAIT);
    }
    hall_forget(&hall, 0);
    hall_answer(&hall, 0, "cd");
    hall_get(&hall, fd, "cd");
    if (_i == 1) {
        hall_heard(&hall, 0, "GET / ");
        hall_answer(&hall, 0, OK);
        got = hall_get(&hall, fd, "\r\n\r\nok");
        ck_assert_ptr_nonnull(strstr(got, "Connection: close\r\n"));
    }
    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    close(fd);
}
END_TEST

START_TEST(test_exchange_bytes_are_counted_as_the_visitor_sent_and_got_them)
{
    size_t got;
    int fd = hall_come(&hall, GW_PORT_HTTP, GET);

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, OK);
    got = strlen(hall_get(&hall, fd, "\r\n\r\nok"));
    ck_assert_uint_eq(hall.site->rx_bytes, strlen(GET));
    ck_assert_uint_eq(hall.site->tx_bytes, got);
    close(fd);
}
END_TEST

START_TEST(test_exchange_between_requests_has_no_time_of_the_exposure)
{
    uint64_t since = clock_mono_ms();
    int fd;

    hall.site->exposure->idle_ms = 3600000;
    fd = hall_come(&hall, GW_PORT_HTTP, GET);
    hall_accept(&hall, 0);
    LOOP_UNTIL(hall.seat.loop, clock_mono_ms() - since > 250); /* longer than a head may take */
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    close(fd);
}
END_TEST

START_TEST(test_exchange_keeps_no_stream_of_a_connector_that_leaves)
{
    struct tun_notice notice = {.code = TUN_CODE_SHUTDOWN};
    int fd = hall_come(&hall, GW_PORT_HTTP, GET);

    hall.seat.limits.idle_timeout_ms = 20000;
    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 1);
    tun_session_goaway(link_session_tunnel(hall.connector.session), &notice);
    link_session_touch(hall.connector.session);
    for (int i = 0; i < 20; i++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT); /* it is heard before the stream serves */
    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    LOOP_UNTIL(hall.seat.loop, hall.site->active == 0);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_exchange");
    TCase *tc = tcase_create("exchange");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_exchange_first_head_has_its_time_however_it_dribbles);
    tcase_add_test(tc, test_exchange_later_head_has_as_much);
    tcase_add_test(tc, test_exchange_who_never_speaks_is_told_nothing);
    tcase_add_test(tc, test_exchange_between_requests_ends_in_order_when_it_is_idle);
    tcase_add_test(tc, test_exchange_silent_service_is_a_504);
    tcase_add_test(tc, test_exchange_visitor_that_stops_in_its_body_is_told_so);
    tcase_add_loop_test(tc, test_exchange_service_that_does_not_ask_for_the_body_is_a_504, 0, 4);
    tcase_add_test(tc, test_exchange_stream_serves_the_next_request_too);
    tcase_add_test(tc, test_exchange_stream_that_its_service_ended_is_not_used_again);
    tcase_add_test(tc, test_exchange_outlives_its_connector);
    tcase_add_test(tc, test_exchange_of_the_last_answers_says_so);
    tcase_add_loop_test(tc, test_exchange_within_an_answer_ends_behind_it_when_all_shall_go, 0, 2);
    tcase_add_test(tc, test_exchange_bytes_are_counted_as_the_visitor_sent_and_got_them);
    tcase_add_test(tc, test_exchange_between_requests_has_no_time_of_the_exposure);
    tcase_add_test(tc, test_exchange_keeps_no_stream_of_a_connector_that_leaves);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
