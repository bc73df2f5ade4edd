/* SPDX-License-Identifier: Apache-2.0 */
/* How a lent way is kept, handed on and ended, over a stream and over a socket alike (_i & 1:
 * direct). */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/sock.h"
#include "tests/gateway/lender.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

static struct lender l;

static void setup(void)
{
    lender_init(&l);
}

static void teardown(void)
{
    lender_deinit(&l);
}

/* _i & 2: inside pull */
START_TEST(test_lent_way_is_idle_when_the_last_byte_is_being_taken)
{
    lender_lend(&l, _i & 1);
    l.owner.take = _i & 2 ? 0 : LENDER_MANY;
    lender_text(&l, "answer");
    LOOP_UNTIL(l.seat.loop, l.owner.calls == 1);
    l.owner.take = LENDER_MANY;
    ck_assert(gw_way_pull(l.way));
    ck_assert_uint_eq(l.owner.got, 6);
    ck_assert(l.owner.idle);
    ck_assert(gw_way_is_idle(l.way));
}
END_TEST

START_TEST(test_lent_way_that_both_sides_ended_is_no_reset)
{
    lender_lend(&l, _i & 1);
    ck_assert(gw_way_is_idle(l.way));
    lender_end(&l);
    LOOP_UNTIL(l.seat.loop, l.owner.eofs == 1);
    ck_assert(!gw_way_is_idle(l.way));
    ck_assert_uint_eq(gw_way_write(l.way, "more", 4), 4);
    gw_way_finish(l.way);
    ck_assert_uint_eq(gw_way_write(l.way, "x", 1), 0);
    gw_way_free(l.way);
    l.way = NULL;
    lender_ck_settled(&l);
    LOOP_UNTIL(l.seat.loop, lender_hears(&l) && (l.heard.fin || l.heard.reset));
    ck_assert(!l.heard.reset);
    ck_assert_int_eq(memcmp(l.heard.data + l.heard.got - 4, "more", 4), 0);
}
END_TEST

/* _i & 2: close instead of free; _i / 4: 0 data, 1 data inside pull, 2 eof, 3 eof inside pull, 4
 * writable */
START_TEST(test_lent_way_can_be_freed_in_every_op)
{
    enum lender_act how = _i & 2 ? LENDER_CLOSE : LENDER_FREE;
    int where = _i / 4;

    lender_lend(&l, _i & 1);
    if (where == 0 || where == 1)
        l.owner.take = where == 1 ? 0 : 3;
    if (where == 0)
        l.owner.on_data = how;
    if (where == 3)
        l.owner.take = 0;
    if (where < 4 && where != 2)
        lender_text(&l, "hello");
    if (where == 1 || where == 3)
        LOOP_UNTIL(l.seat.loop, l.owner.calls == 1);
    l.owner.take = 3;
    if (where == 1) {
        l.owner.on_data = how;
        ck_assert(!gw_way_pull(l.way));
    }
    if (where == 2 || where == 3) {
        l.owner.on_eof = how;
        l.owner.take = LENDER_MANY;
        lender_end(&l);
    }
    if (where == 3) {
        for (int i = 0; i < 20; i++)
            ev_run(l.seat.loop, EVRUN_NOWAIT);
        ck_assert_int_eq(gw_way_pull(l.way), l.direct); /* a socket's end comes from the loop */
    }
    if (where == 4) {
        l.owner.on_writable = how;
        while (gw_way_write(l.way, l.pattern, 100000) == 100000)
            ;
        LOOP_UNTIL(l.seat.loop, (lender_hears(&l), l.owner.writables == 1));
    }
    LOOP_UNTIL(l.seat.loop, l.way == NULL);
    lender_ck_settled(&l);
    ck_assert_uint_eq(l.owner.cuts + l.done + l.failed, 0);
    LOOP_UNTIL(l.seat.loop, (lender_hears(&l), l.heard.fin || l.heard.reset));
    /* a socket with unread bytes is reset by the kernel whatever we say */
    if (how == LENDER_CLOSE && where != 4)
        ck_assert(l.heard.fin && !l.heard.reset);
    else if (how == LENDER_FREE)
        ck_assert(l.heard.reset);
}
END_TEST

START_TEST(test_lent_way_that_is_closed_ends_in_order)
{
    lender_lend(&l, _i & 1);
    ck_assert_uint_eq(gw_way_write(l.way, "bye", 3), 3);
    gw_way_close(l.way);
    l.way = NULL;
    lender_ck_settled(&l);
    LOOP_UNTIL(l.seat.loop, lender_hears(&l) && l.heard.fin);
    ck_assert_int_eq(memcmp(l.heard.data + l.heard.got - 3, "bye", 3), 0);
    lender_end(&l);
    if (!l.direct)
        LOOP_UNTIL(l.seat.loop, lender_streams(&l) == 0);
    (void)lender_hears(&l);
    ck_assert(!l.heard.reset);
}
END_TEST

/* A service behind a connector that keeps connections open: it sees one end, in order, as from a
 * client that has no more to ask; a way that is freed is a reset. _i: 0 = closed, 1 = freed */
START_TEST(test_lent_way_that_was_kept_is_no_reset_for_the_service)
{
    int fds[2];

    tcp_pair(fds);
    ck_assert_int_eq(net_sock_nonblock(fds[1]), ERR_OK);
    lender_start(&l);
    LOOP_UNTIL(l.seat.loop, l.connector.opens == 1);
    seat_carry(&l.seat, &l.connector, fds[1]);
    l.direct = true;
    l.service = fds[0];
    LOOP_UNTIL(l.seat.loop, l.opened == 1 && lender_hears(&l));
    lender_text(&l, "HTTP/1.1 204 No Content\r\n\r\n");
    LOOP_UNTIL(l.seat.loop, l.owner.got > 0);
    ck_assert(gw_way_is_idle(l.way));
    if (_i == 0)
        gw_way_close(l.way);
    else
        gw_way_free(l.way);
    l.way = NULL;
    LOOP_UNTIL(l.seat.loop, lender_hears(&l) && (l.heard.fin || l.heard.reset));
    ck_assert_int_eq(l.heard.reset, _i == 1);
    ck_assert_int_eq(l.connector.reset, _i == 1);
    close(l.service); /* as every service does then */
    l.service = -1;
    LOOP_UNTIL(l.seat.loop, lender_streams(&l) == 0 && l.connector.pipe == NULL);
    ck_assert_int_eq(l.connector.reset, _i == 1);
    l.direct = false;
    lender_ck_settled(&l);
}
END_TEST

/* _i & 2: what waits was not offered yet when the owner switches (inside pull) */
START_TEST(test_lent_way_that_switches_carries_what_waits)
{
    static const char tail[] = "frame 1 frame 2";
    char got[64] = {0};
    size_t n = 0, before;
    uint64_t rx, tx;

    lender_lend(&l, _i & 1);
    before = l.heard.got;
    l.owner.after = "from the visitor";
    l.owner.take = _i & 2 ? 0 : 5;
    l.owner.on_data = _i & 2 ? LENDER_STAY : LENDER_SWITCH;
    lender_text(&l, "HEAD:frame 1");
    LOOP_UNTIL(l.seat.loop, l.owner.calls == 1);
    if (_i & 2) {
        l.owner.take = 5;
        l.owner.on_data = LENDER_SWITCH;
        ck_assert(gw_way_pull(l.way));
    }
    ck_assert(!gw_way_is_idle(l.way));
    ck_assert(gw_way_pull(l.way));
    lender_text(&l, " frame 2");
    LOOP_UNTIL(l.seat.loop, (n += (size_t)(recv(l.visitor[0], got + n, sizeof(got) - n, 0) + 1) -
                                  (errno == EAGAIN && got[n] == 0 ? 0 : 1),
                             strlen(got) == strlen(tail)));
    ck_assert_str_eq(got, tail);
    ck_assert_int_eq(memcmp(l.owner.data, "HEAD:", 5), 0);
    ck_assert_uint_eq(l.owner.got, 5);
    ck_assert_int_eq(send(l.visitor[0], "!", 1, 0), 1);
    LOOP_UNTIL(l.seat.loop, (lender_hears(&l), l.heard.got - before == 17));
    ck_assert_int_eq(memcmp(l.heard.data + before, "from the visitor!", 17), 0);
    gw_way_bytes(l.way, &rx, &tx);
    ck_assert_uint_eq(rx, 17);
    ck_assert_uint_eq(tx, strlen(tail));
    ck_assert_uint_eq(l.site->connections, 1);
    lender_end(&l);
    shutdown(l.visitor[0], SHUT_WR);
    LOOP_UNTIL(l.seat.loop, l.done == 1);
    ck_assert_uint_eq(l.site->rx_bytes, 17);
    lender_ck_settled(&l);
}
END_TEST

/* _i & 2: freed, else the service is gone, before the first turn of the loop */
START_TEST(test_lent_way_that_switches_may_end_at_once)
{
    char byte;

    lender_lend(&l, _i & 1);
    lender_act(&l, LENDER_SWITCH);
    if (_i & 2) {
        gw_way_free(l.way);
        l.way = NULL;
    } else {
        lender_reset(&l);
        LOOP_UNTIL(l.seat.loop, l.done == 1);
    }
    lender_ck_settled(&l);
    ck_assert_int_le(recv(l.visitor[0], &byte, 1, 0), 0);
    ck_assert_uint_eq(l.owner.cuts, 0);
}
END_TEST

/* The connector can leave: nothing that is only kept holds it. */
START_TEST(test_lent_way_hears_that_its_connector_leaves)
{
    struct tun_session *tunnel = link_session_tunnel(l.connector.session);
    struct tun_notice notice = {.code = TUN_CODE_SHUTDOWN};

    lender_lend(&l, false);
    l.owner.on_goaway = _i == 0 ? LENDER_STAY : _i == 1 ? LENDER_FREE : LENDER_CLOSE;
    ck_assert(gw_way_is_idle(l.way));
    tun_session_goaway(tunnel, &notice);
    lender_touch(&l);
    LOOP_UNTIL(l.seat.loop, l.owner.goaways == 1);
    if (_i == 0) {
        ck_assert(!gw_way_is_idle(l.way));
        gw_way_close(l.way);
        l.way = NULL;
    }
    if (_i != 1) {
        LOOP_UNTIL(l.seat.loop, lender_hears(&l) && l.heard.fin);
        tun_stream_finish(l.connector.streams[0]);
        tun_stream_close(l.connector.streams[0]);
        lender_touch(&l);
    }
    LOOP_UNTIL(l.seat.loop, tun_session_is_idle(tunnel));
    lender_ck_settled(&l);
    ck_assert_uint_eq(l.owner.goaways, 1);
}
END_TEST

/* It was asked to move (an upgrade) and is back with a newer session: the older one shall end. */
START_TEST(test_lent_way_hears_that_its_connector_came_anew)
{
    struct tun_connector_info info = {.epoch = 2, .name = "web-1", .version = "test"};
    struct seat_connector back;

    memset(info.instance, 1, sizeof(info.instance));
    lender_lend(&l, false);
    gw_registry_move(l.seat.registry, 0);
    LOOP_UNTIL(l.seat.loop, l.connector.goaway);
    ck_assert_uint_eq(l.owner.goaways, 0); /* who is here is served here */
    ck_assert(gw_way_is_idle(l.way));
    seat_offer(&l.seat, &back, 1, &info);
    LOOP_UNTIL(l.seat.loop, back.accepted);
    ck_assert_uint_eq(l.owner.goaways, 1);
    ck_assert(!gw_way_is_idle(l.way));
    ck_assert_ptr_null(LIST_FIRST(&l.session->ways));
    seat_leave(&back);
}
END_TEST

START_TEST(test_lent_way_is_readmitted_where_its_backend_stands)
{
    struct gw_exposure *e = l.site->exposure;

    lender_lend(&l, _i & 1);
    e->backends[1] = e->backends[0];
    e->backends[0].service[0] = 'x';
    e->backends[0].addr.len = 0;
    e->backend_count = 2;
    memset(l.site->direct_active, 0, sizeof(l.site->direct_active)); /* as the worker does */
    ck_assert(gw_way_readmit(l.way));
    ck_assert_uint_eq(gw_way_target(l.way)->backend, 1);
    ck_assert(gw_way_is_idle(l.way));
    e->backend_count = 1;
    ck_assert(!gw_way_readmit(l.way));
    ck_assert(!gw_way_is_idle(l.way));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_way_kept");
    TCase *tc = tcase_create("ends");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_lent_way_is_idle_when_the_last_byte_is_being_taken, 0, 4);
    tcase_add_loop_test(tc, test_lent_way_that_both_sides_ended_is_no_reset, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_can_be_freed_in_every_op, 0, 20);
    tcase_add_loop_test(tc, test_lent_way_that_is_closed_ends_in_order, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_that_was_kept_is_no_reset_for_the_service, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_that_switches_carries_what_waits, 0, 4);
    tcase_add_loop_test(tc, test_lent_way_that_switches_may_end_at_once, 0, 4);
    tcase_add_loop_test(tc, test_lent_way_hears_that_its_connector_leaves, 0, 3);
    tcase_add_test(tc, test_lent_way_hears_that_its_connector_came_anew);
    tcase_add_loop_test(tc, test_lent_way_is_readmitted_where_its_backend_stands, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
