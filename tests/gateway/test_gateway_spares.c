/* SPDX-License-Identifier: Apache-2.0 */
/* Ways that their visitors left, over a stream and over a socket alike (_i & 1: direct), and which
 * requests leave one and get one. */
#include "modules/gateway/spares.h"

#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/gateway/hall.h"
#include "tests/gateway/lender.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

/* --- a spare way --- */

static struct lender l;
static struct gw_spares spares;

static void setup_lender(void)
{
    lender_init(&l);
    gw_spares_init(&spares, l.seat.loop, &l.seat.limits);
}

static void teardown_lender(void)
{
    gw_spares_deinit(&spares);
    lender_deinit(&l);
}

/* Its owner leaves it; where it leads. */
static struct gw_target leave(bool directly)
{
    struct gw_target target;

    lender_lend(&l, directly);
    ck_assert(gw_way_is_idle(l.way));
    target = *gw_way_target(l.way);
    gw_spares_put(&spares, l.way);
    l.way = NULL;
    return target;
}

/* Nobody has it any more: the service was told so. */
static void ck_gone(void)
{
    LOOP_UNTIL(l.seat.loop, spares.count == 0);
    ck_assert(TAILQ_EMPTY(&spares.by_age) && LIST_EMPTY(&l.site->spares));
    lender_ck_settled(&l);
}

START_TEST(test_spare_counts_as_nobody_and_is_taken_by_who_wants_to_go_there)
{
    struct gw_target target = leave(_i & 1), other = target;
    struct gw_way *way;

    ck_assert_uint_eq(spares.count, 1);
    ck_assert_uint_eq(l.site->active, 0);
    ck_assert_uint_eq(l.site->direct_active[0], 0);
    ck_assert(l.session == NULL || l.session->active == 0);
    other.backend++;
    ck_assert_ptr_null(gw_spares_take(l.site, &other));
    other = target;
    other.session++;
    ck_assert_ptr_null(gw_spares_take(l.site, &other));
    way = gw_spares_take(l.site, &target);
    ck_assert_ptr_nonnull(way);
    ck_assert_uint_eq(spares.count, 0);
    ck_assert_ptr_null(gw_spares_take(l.site, &target));
    gw_way_close(way);
    ck_gone();
    LOOP_UNTIL(l.seat.loop, (lender_hears(&l), l.heard.fin));
    ck_assert(!l.heard.reset);
}
END_TEST

/* _i / 2: what the service does */
START_TEST(test_spare_ends_with_whatever_its_service_says)
{
    void (*const acts[])(struct lender *) = {lender_end, lender_reset};

    (void)leave(_i & 1);
    if (_i / 2 < 2)
        acts[_i / 2](&l);
    else
        lender_text(&l, "unasked");
    ck_gone();
}
END_TEST

START_TEST(test_spare_ends_when_its_connector_leaves)
{
    const struct tun_notice bye = {.code = TUN_CODE_SHUTDOWN};
    struct gw_target target = leave(false);

    if (_i == 0) {
        tun_session_goaway(link_session_tunnel(l.connector.session), &bye);
        lender_touch(&l);
    } else {
        seat_leave(&l.connector);
    }
    ck_gone();
    ck_assert_ptr_null(gw_spares_take(l.site, &target));
}
END_TEST

START_TEST(test_spare_ends_when_nobody_wants_it)
{
    spares.wait_ms = 50;
    (void)leave(_i & 1);
    LOOP_UNTIL(l.seat.loop, (lender_hears(&l), l.heard.fin));
    ck_gone();
}
END_TEST

/* _i / 2: how */
START_TEST(test_spares_end_with_their_exposure_and_all)
{
    (void)leave(_i & 1);
    if (_i / 2 == 0)
        gw_spares_drop(l.site);
    else if (_i / 2 == 1)
        gw_spares_drop_all(&spares);
    else
        ck_assert(gw_spares_reset(&spares));
    ck_gone();
    ck_assert(!gw_spares_reset(&spares));
    if (_i / 2 == 2 && !l.direct)
        ck_assert_uint_eq(lender_streams(&l), 0); /* at once */
}
END_TEST

/* _i / 2: streams that a session may have, in quarters */
START_TEST(test_spares_leave_most_of_a_session_to_who_is_here)
{
    l.seat.limits.streams_per_session = (unsigned)_i / 2 * GW_SPARES_SHARE + 3;
    (void)leave(_i & 1);
    ck_assert_uint_eq(spares.count, (unsigned)_i / 2);
}
END_TEST

/* --- whose requests leave one, and get one --- */

#define HOST "Host: " HALL_HOST "\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct hall hall;

static void setup_hall(void)
{
    hall_setup(&hall);
    hall_join(&hall);
}

static void teardown_hall(void)
{
    hall_teardown(&hall);
}

/* A visitor with REQUEST, which the service hears on stream N and answers with ANSWER; its end. */
static int visit(unsigned n, const char *request, const char *answer)
{
    int fd = hall_come(&hall, GW_PORT_HTTP, request);

    if (hall.connector.opens <= n)
        hall_accept(&hall, n);
    hall_forget(&hall, n);
    hall_heard(&hall, n, "\r\n\r\n");
    hall_answer(&hall, n, answer);
    hall_get(&hall, fd, "ok");
    return fd;
}

static void leave_hall(int fd)
{
    close(fd);
    LOOP_UNTIL(hall.seat.loop, hall.front.count == 0);
}

START_TEST(test_next_visitor_gets_the_way_that_the_last_one_left)
{
    for (unsigned i = 0; i < 3; i++) {
        leave_hall(visit(0, GET, OK));
        ck_assert_uint_eq(hall.connector.opens, 1);
        ck_assert_uint_eq(hall.site->connections, i + 1);
        ck_assert_uint_eq(hall.site->active, 0);
        ck_assert_uint_eq(hall.front.http.spares.count, 1);
    }
    ck_assert_uint_eq(hall.site->tx_bytes / 3 * 3, hall.site->tx_bytes); /* as much each time */
}
END_TEST

START_TEST(test_visitor_who_stays_keeps_its_way)
{
    int fd = visit(0, GET, OK), other = visit(1, GET, OK);

    ck_assert_uint_eq(hall.connector.opens, 2);
    hall_forget(&hall, 0);
    hall_say(fd, GET);
    hall_heard(&hall, 0, "\r\n\r\n");
    close(fd);
    close(other);
}
END_TEST

static const struct {
    const char *request, *answer;
    bool leaves; /* a way that others may have */
    bool takes;  /* one that another visitor left */
} requests[] = {
    {GET, OK, true, true},
    {"GET / HTTP/1.0\r\n" HOST "\r\n", OK, true, true},
    {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", OK, true, true},
    {"GET / HTTP/1.1\r\n" HOST "Cookie: a=b\r\n\r\n", OK, true, true},
    {"GET / HTTP/1.1\r\n" HOST "Authorization: NTLM x\r\n\r\n", OK, false, false},
    {"GET / HTTP/1.1\r\n" HOST "Proxy-Authorization: x\r\n\r\n", OK, false, false},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", OK, false, false},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", OK, false, false},
    {"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", OK, false, false},
    {"GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: x\r\n\r\n", OK, false, false},
    {"GET / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n", OK, false, false},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", OK, false, false},
    {"OPTIONS / HTTP/1.1\r\n" HOST "\r\n", OK, false, false},
    {"PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", OK, false, false},
    {"HEAD / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 ok\r\nContent-Length: 2\r\n\r\n", false,
     false},
    {GET, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, true},
    {GET, "HTTP/1.1 204 ok\r\n\r\n", false, true},
    {GET, "HTTP/1.1 304 ok\r\nContent-Length: 2\r\n\r\n", false, true},
    {GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, true},
    {GET, OK "more", false, true},
};

START_TEST(test_way_is_left_to_others_by_requests_that_leave_nothing_on_it)
{
    leave_hall(visit(0, requests[_i].request, requests[_i].answer));
    ck_assert_uint_eq(hall.front.http.spares.count, requests[_i].leaves);
    close(visit(requests[_i].leaves ? 0 : 1, GET, OK));
}
END_TEST

START_TEST(test_way_of_another_visitor_is_taken_by_such_requests_only)
{
    leave_hall(visit(0, GET, OK));
    close(visit(requests[_i].takes ? 0 : 1, requests[_i].request, requests[_i].answer));
}
END_TEST

/* What a visitor left once on its way stays there. */
START_TEST(test_way_that_had_credentials_is_not_left_to_others)
{
    int fd = visit(0, "GET / HTTP/1.1\r\n" HOST "Authorization: NTLM x\r\n\r\n", OK);

    hall_forget(&hall, 0);
    hall_say(fd, GET);
    hall_heard(&hall, 0, "\r\n\r\n");
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "ok");
    leave_hall(fd);
    ck_assert_uint_eq(hall.front.http.spares.count, 0);
}
END_TEST

/* _i: the exposure tells services who comes; the gateway's owner does not want it; the gateway
 * ends. */
START_TEST(test_way_is_not_left_to_others_where_that_is_not_wanted)
{
    hall.site->exposure->proxy_protocol = _i == 0 ? GW_PROXY_V2 : GW_PROXY_NONE;
    hall.front.http.reuse = _i != 1;
    hall.front.http.last_answers = _i == 2;
    leave_hall(visit(0, GET, OK));
    ck_assert_uint_eq(hall.front.http.spares.count, 0);
    close(visit(1, GET, OK));
}
END_TEST

START_TEST(test_spare_that_dies_under_a_request_is_replaced)
{
    int fd;

    leave_hall(visit(0, GET, OK));
    leave_hall(visit(0, GET, OK));
    fd = hall_come(&hall, GW_PORT_HTTP, GET);
    hall_forget(&hall, 0);
    hall_heard(&hall, 0, "\r\n\r\n");
    if (_i == 0)
        hall_cut(&hall, 0);
    else
        hall_finish(&hall, 0);
    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 2);
    tun_stream_accept(hall.connector.streams[1]);
    hall_heard(&hall, 1, "\r\n\r\n");
    hall_answer(&hall, 1, OK);
    ck_assert_int_eq(hall_status(&hall, fd), 200);
    close(fd);
}
END_TEST

/* A service that takes few connections at once is not kept waiting by idle ones. */
START_TEST(test_visitor_who_may_not_have_a_spare_gets_its_place)
{
    leave_hall(visit(0, GET, OK));
    close(visit(1, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", OK));
    ck_assert_uint_eq(hall.front.http.spares.count, 0);
    LOOP_UNTIL(hall.seat.loop, tun_stream_eof(hall.connector.streams[0]));
}
END_TEST

/* N letters, all of them or none so far. */
static bool put(int fd, size_t n)
{
    char text[10000];

    memset(text, 'x', n);
    return send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

/* The service answers before it has all of a request, whose rest waits for the stream's window. */
START_TEST(test_way_that_lacks_the_rest_of_a_request_is_not_left_to_others)
{
    int fd, said = 0;

    hall.seat.limits.head_max_bytes = 400000;
    fd = hall_come(&hall, GW_PORT_HTTP, "GET / HTTP/1.1\r\n" HOST "X: ");
    while (said++ < 30)
        LOOP_UNTIL(hall.seat.loop, put(fd, 10000));
    hall_say(fd, "\r\n\r\n");
    hall_accept(&hall, 0);
    hall_answer(&hall, 0, OK);
    hall_get(&hall, fd, "ok");
    leave_hall(fd);
    ck_assert_uint_eq(hall.front.http.spares.count, 0);
}
END_TEST

/* Its second try does not go on another spare one: all of them may be as dead. */
START_TEST(test_spares_that_die_cost_one_try)
{
    int fd = visit(0, GET, OK), other = visit(1, GET, OK);

    close(fd);
    LOOP_UNTIL(hall.seat.loop, hall.front.http.spares.count == 1);
    leave_hall(other);
    ck_assert_uint_eq(hall.front.http.spares.count, 2);
    fd = hall_come(&hall, GW_PORT_HTTP, GET);
    LOOP_UNTIL(hall.seat.loop, hall.front.http.spares.count == 1);
    hall_forget(&hall, 1);
    hall_heard(&hall, 1, "\r\n\r\n"); /* the one that was left last */
    hall_cut(&hall, 1);
    LOOP_UNTIL(hall.seat.loop, hall.connector.opens == 3);
    close(fd);
}
END_TEST

/* _i: it is not served any more, or the gateway ends */
START_TEST(test_spares_do_not_outlive_what_they_are_for)
{
    leave_hall(visit(0, GET, OK));
    ck_assert_uint_eq(hall.front.http.spares.count, 1);
    if (_i == 0)
        gw_conn_end_all(hall.site, GW_REASON_PAUSED);
    else
        gw_conn_drain(&hall.front, false);
    ck_assert_uint_eq(hall.front.http.spares.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/spares");
    TCase *way = tcase_create("way"), *visitor = tcase_create("visitor");

    tcase_add_checked_fixture(way, setup_lender, teardown_lender);
    tcase_add_loop_test(way, test_spare_counts_as_nobody_and_is_taken_by_who_wants_to_go_there, 0,
                        2);
    tcase_add_loop_test(way, test_spare_ends_with_whatever_its_service_says, 0, 6);
    tcase_add_loop_test(way, test_spare_ends_when_its_connector_leaves, 0, 2);
    tcase_add_loop_test(way, test_spare_ends_when_nobody_wants_it, 0, 2);
    tcase_add_loop_test(way, test_spares_end_with_their_exposure_and_all, 0, 6);
    tcase_add_loop_test(way, test_spares_leave_most_of_a_session_to_who_is_here, 0, 4);
    suite_add_tcase(suite, way);
    tcase_add_checked_fixture(visitor, setup_hall, teardown_hall);
    tcase_add_test(visitor, test_next_visitor_gets_the_way_that_the_last_one_left);
    tcase_add_test(visitor, test_visitor_who_stays_keeps_its_way);
    tcase_add_loop_test(visitor, test_way_is_left_to_others_by_requests_that_leave_nothing_on_it, 0,
                        COUNT(requests));
    tcase_add_loop_test(visitor, test_way_of_another_visitor_is_taken_by_such_requests_only, 0,
                        COUNT(requests));
    tcase_add_test(visitor, test_way_that_had_credentials_is_not_left_to_others);
    tcase_add_loop_test(visitor, test_way_is_not_left_to_others_where_that_is_not_wanted, 0, 3);
    tcase_add_loop_test(visitor, test_spare_that_dies_under_a_request_is_replaced, 0, 2);
    tcase_add_test(visitor, test_spares_that_die_cost_one_try);
    tcase_add_test(visitor, test_visitor_who_may_not_have_a_spare_gets_its_place);
    tcase_add_test(visitor, test_way_that_lacks_the_rest_of_a_request_is_not_left_to_others);
    tcase_add_loop_test(visitor, test_spares_do_not_outlive_what_they_are_for, 0, 2);
    suite_add_tcase(suite, visitor);
    return run_suite(suite);
}
