/* SPDX-License-Identifier: Apache-2.0 */
/* What the access log says of a request, and when. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/access.h"
#include "modules/gateway/conn_impl.h"
#include "modules/gateway/exchange_impl.h"
#include "modules/net/sock.h"
#include "tests/gateway/hall.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define GET "GET /a HTTP/1.1\r\nHost: " HALL_HOST "\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define KEY "connector=0101010101010101 " /* of hall.connector */

static struct hall hall;
static struct gw_http_config cfg;
static char *dir;

static void setup(void)
{
    hall_setup(&hall);
    hall_join(&hall);
    dir = temp_dir_new();
    memset(&cfg, 0, sizeof(cfg));
    (void)snprintf(cfg.access_log, sizeof(cfg.access_log), "%s/log", dir);
    ck_assert_int_eq(gw_access_apply(&hall.front.access, hall.seat.loop, &cfg), ERR_OK);
    hall.front.http.is_timed = true;
}

static void teardown(void)
{
    hall_teardown(&hall);
    gw_access_free(hall.front.access);
    temp_dir_free(dir);
}

/* What was logged so far. */
static const char *logged(void)
{
    static char text[65536];
    FILE *log = fopen(cfg.access_log, "r");
    size_t n = 0;

    gw_access_reopen(hall.front.access); /* it is written now */
    if (log != NULL) {
        n = fread(text, 1, sizeof(text) - 1, log);
        (void)fclose(log);
    }
    text[n] = '\0';
    return text;
}

/* KEY's value in LINE. */
static uint64_t number(const char *line, const char *key)
{
    const char *at = strstr(line, key);

    ck_assert_msg(at != NULL, "%s in %s", key, line);
    return strtoull(at + strlen(key), NULL, 10);
}

static unsigned lines(void)
{
    unsigned n = 0;

    for (const char *at = logged(); (at = strchr(at, '\n')) != NULL; at++)
        n++;
    return n;
}

START_TEST(test_log_of_a_request_without_a_name_has_nothing_of_the_one_before)
{
    char text[4096];
    int fd;

    (void)snprintf(text, sizeof(text),
                   "GET /first HTTP/1.1\r\nHost: " HALL_HOST "\r\nX: %03000d\r\n\r\n",
                   0); /* so long that its memory is not kept */
    fd = hall_come(&hall, GW_PORT_HTTP, text);
    hall_accept(&hall, 0);
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    hall_say(fd, "GET /second HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n");
    ck_assert_int_eq(hall_status(&hall, fd), 404);
    LOOP_UNTIL(hall.seat.loop, lines() == 2);
    ck_assert_ptr_nonnull(strstr(logged(), "/first"));
    ck_assert_ptr_nonnull(strstr(strchr(logged(), '\n'), "/second"));
    close(fd);
}
END_TEST

/* The service is reset within its answer, or the session is gone, or the visitor leaves. */
START_TEST(test_log_of_an_answer_that_was_cut_has_its_bytes_and_its_connector)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, GET);
    size_t got;

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
    got = strlen(hall_get(&hall, fd, "\r\n\r\nabc"));
    if (_i == 0)
        hall_cut(&hall, 0);
    else if (_i == 1)
        seat_leave(&hall.connector);
    else
        net_sock_reset(fd);
    LOOP_UNTIL(hall.seat.loop, lines() == 1);
    ck_assert_ptr_nonnull(strstr(logged(), KEY));
    ck_assert_ptr_nonnull(strstr(logged(), " status=200 "));
    ck_assert_uint_eq(number(logged(), " tx="), got);
    ck_assert_uint_eq(number(logged(), " rx="), strlen(GET));
    ck_assert_uint_eq(hall.site->tx_bytes, got);
    ck_assert_uint_eq(hall.site->rx_bytes, strlen(GET));
    if (_i != 2)
        close(fd);
}
END_TEST

START_TEST(test_log_of_a_request_whose_service_hung_up_names_its_connector)
{
    int fd = hall_come(&hall, GW_PORT_HTTP,
                       "POST /a HTTP/1.1\r\nHost: " HALL_HOST "\r\nContent-Length: 0\r\n\r\n");

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_cut(&hall, 0);
    ck_assert_int_eq(hall_status(&hall, fd), 502);
    LOOP_UNTIL(hall.seat.loop, lines() == 1);
    ck_assert_ptr_nonnull(strstr(logged(), KEY));
    ck_assert_ptr_nonnull(strstr(logged(), " refused=answer_cut\n"));
    close(fd);
}
END_TEST

START_TEST(test_log_of_a_request_that_no_service_had_names_none)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, GET);

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "\r\n\r\nok");
    hall_say(fd, "GET / HTTP/1.1\r\nHost: no.example\r\n\r\n");
    ck_assert_int_eq(hall_status(&hall, fd), 404);
    LOOP_UNTIL(hall.seat.loop, lines() == 2);
    ck_assert_ptr_nonnull(strstr(strchr(logged(), '\n'), " connector=- "));
    close(fd);
}
END_TEST

/* The service ends it, the visitor is reset, or all visitors are freed. */
START_TEST(test_log_of_a_101_comes_when_all_is_over_with_what_went_over_it)
{
    static const char ask[] =
        "GET /chat HTTP/1.1\r\nHost: " HALL_HOST "\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
    int fd = hall_come(&hall, GW_PORT_HTTP, ask);
    size_t got;

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nwelcome");
    got = strlen(hall_get(&hall, fd, "\r\n\r\nwelcome"));
    hall_say(fd, "hello");
    hall_heard(&hall, 0, "\r\n\r\nhello");
    for (int i = 0; i < 10; i++)
        ev_run(hall.seat.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(lines(), 0);
    if (_i == 0) {
        hall_finish(&hall, 0);
        LOOP_UNTIL(hall.seat.loop, hall_is_ended(fd));
    }
    if (_i == 2)
        gw_conn_free_all(&hall.front);
    net_sock_reset(fd);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
    LOOP_UNTIL(hall.seat.loop, lines() == 1);
    ck_assert_ptr_nonnull(strstr(logged(), " method=GET path=/chat status=101 "));
    ck_assert_ptr_nonnull(strstr(logged(), " host=" HALL_HOST " "));
    ck_assert_ptr_nonnull(strstr(logged(), " exposure=7-1-blog "));
    ck_assert_ptr_nonnull(strstr(logged(), KEY));
    ck_assert_ptr_null(strstr(logged(), "total_ms=-"));
    ck_assert_uint_eq(number(logged(), " rx="), strlen(ask) + strlen("hello"));
    ck_assert_uint_eq(number(logged(), " tx="), got);
    ck_assert_uint_eq(hall.site->rx_bytes, strlen(ask) + strlen("hello"));
    ck_assert_uint_eq(hall.site->tx_bytes, got);
}
END_TEST

START_TEST(test_log_that_ends_within_a_101_is_no_harm)
{
    int fd = hall_come(&hall, GW_PORT_HTTP,
                       "GET / HTTP/1.1\r\nHost: " HALL_HOST
                       "\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");

    hall_accept(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    ck_assert_int_eq(hall_status(&hall, fd), 101);
    LOOP_UNTIL(hall.seat.loop, LIST_FIRST(&hall.front.conns)->state == GW_CONN_RELAY);
    gw_access_free(hall.front.access);
    hall.front.access = NULL;
    net_sock_reset(fd);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_conn_log");
    TCase *tc = tcase_create("log");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_log_of_a_request_without_a_name_has_nothing_of_the_one_before);
    tcase_add_loop_test(tc, test_log_of_an_answer_that_was_cut_has_its_bytes_and_its_connector, 0,
                        3);
    tcase_add_test(tc, test_log_of_a_request_whose_service_hung_up_names_its_connector);
    tcase_add_test(tc, test_log_of_a_request_that_no_service_had_names_none);
    tcase_add_loop_test(tc, test_log_of_a_101_comes_when_all_is_over_with_what_went_over_it, 0, 3);
    tcase_add_test(tc, test_log_that_ends_within_a_101_is_no_harm);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
