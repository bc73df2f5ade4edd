/* SPDX-License-Identifier: Apache-2.0 */
/* A way whose owner moves the bytes, over a stream and over a socket alike (_i & 1: direct). */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/sock.h"
#include "tests/gateway/lender.h"
#include "tests/net/loop_until.h"
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

START_TEST(test_lent_way_is_counted_and_its_owner_counts_the_bytes)
{
    uint64_t rx, tx;

    lender_lend(&l, _i & 1);
    ck_assert_uint_eq(l.sent, l.direct ? 0 : strlen(LENDER_FIRST));
    ck_assert_uint_eq(l.site->active, 1);
    ck_assert_uint_eq(l.site->connections, 1);
    ck_assert_uint_eq(l.direct ? l.site->direct_active[0] : l.session->active, 1);
    gw_way_count(l.way, 5, 7);
    gw_way_bytes(l.way, &rx, &tx);
    ck_assert(rx == 0 && tx == 0);
    ck_assert_uint_eq(gw_way_target(l.way)->backend, 0);
    ck_assert_int_eq(gw_way_connector(l.way) == NULL, l.direct);
    gw_way_free(l.way);
    l.way = NULL;
    ck_assert_uint_eq(l.site->rx_bytes, 5);
    ck_assert_uint_eq(l.site->tx_bytes, 7);
    lender_ck_settled(&l);
    LOOP_UNTIL(l.seat.loop, lender_hears(&l) && l.heard.reset);
}
END_TEST

START_TEST(test_lent_way_sends_the_proxy_header_first)
{
    l.site->exposure->proxy_protocol = GW_PROXY_V1;
    lender_lend(&l, true);
    ck_assert_int_eq(strncmp((char *)l.heard.data, "PROXY TCP4 192.0.2.7 ", 21), 0);
    ck_assert_ptr_nonnull(strstr((char *)l.heard.data, "\r\n" LENDER_FIRST));
}
END_TEST

START_TEST(test_lent_way_keeps_what_was_not_taken_until_it_is_pulled)
{
    lender_lend(&l, _i & 1);
    l.owner.take = 4;
    lender_text(&l, "0123456789");
    LOOP_UNTIL(l.seat.loop, l.owner.calls == 1);
    lender_text(&l, "abc");
    lender_end(&l);
    for (int i = 0; i < 20; i++)
        ev_run(l.seat.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(l.owner.calls, 1);
    ck_assert(!gw_way_is_idle(l.way));
    l.owner.take = 1;
    ck_assert(gw_way_pull(l.way));
    ck_assert_uint_eq(l.owner.got, 5);
    l.owner.take = LENDER_MANY;
    ck_assert(gw_way_pull(l.way));
    LOOP_UNTIL(l.seat.loop, l.owner.eofs == 1);
    ck_assert_uint_eq(l.owner.at_eof, 13);
    ck_assert_int_eq(memcmp(l.owner.data, "0123456789abc", 13), 0);
    ck_assert(gw_way_pull(l.way));
    ck_assert_uint_eq(l.owner.eofs, 1);
}
END_TEST

/* More than any window or socket buffer holds, from a service that is faster than the owner. */
START_TEST(test_lent_way_carries_a_stream_of_bytes_down_piece_by_piece)
{
    size_t said = 0;

    lender_lend(&l, _i & 1);
    l.owner.take = 7001;
    while (l.owner.got < LENDER_MANY) {
        said += lender_say(&l, l.pattern + said, LENDER_MANY - said);
        ev_run(l.seat.loop, EVRUN_NOWAIT);
        ck_assert(gw_way_pull(l.way));
    }
    ck_assert_uint_eq(said, LENDER_MANY);
    ck_assert_int_eq(memcmp(l.owner.data, l.pattern, LENDER_MANY), 0);
    ck_assert(gw_way_is_idle(l.way));
}
END_TEST

/* Into a service that does not read: it stops, says when it goes on, and nothing is lost. */
START_TEST(test_lent_way_tells_when_it_takes_more)
{
    size_t wrote = 0, n, before;

    lender_lend(&l, _i & 1);
    before = l.heard.got;
    for (int still = 0; still < 50; still = n == 0 ? still + 1 : 0) {
        n = gw_way_write(l.way, l.pattern + wrote % 100000, 100000 - wrote % 100000);
        wrote += n;
        l.owner.writables = 0;
        ev_run(l.seat.loop, EVRUN_NOWAIT);
    }
    ck_assert(!l.direct || !gw_way_is_idle(l.way));
    LOOP_UNTIL(l.seat.loop, (lender_hears(&l), l.owner.writables == 1));
    ck_assert_uint_eq(gw_way_write(l.way, "!", 1), 1);
    LOOP_UNTIL(l.seat.loop, (lender_hears(&l), l.heard.got - before == wrote + 1));
    for (size_t i = 0; i < wrote && i < LENDER_MANY - before; i++)
        ck_assert_uint_eq(l.heard.data[before + i], l.pattern[i % 100000]);
}
END_TEST

START_TEST(test_lent_way_gives_place_in_a_stream)
{
    size_t room = 5, before;
    uint8_t *at;

    lender_lend(&l, _i & 1);
    before = l.heard.got;
    at = gw_way_reserve(l.way, &room);
    if (l.direct) {
        ck_assert(at == NULL && room == 0);
        return;
    }
    ck_assert_uint_eq(room, 5);
    memcpy(at, "hello", 5);
    gw_way_commit(l.way, 4);
    LOOP_UNTIL(l.seat.loop, lender_hears(&l) && l.heard.got == before + 4);
    ck_assert_int_eq(memcmp(l.heard.data + before, "hell", 4), 0);
}
END_TEST

START_TEST(test_lent_way_that_the_service_resets_is_cut)
{
    lender_lend(&l, _i & 1);
    l.owner.take = _i & 2 ? 0 : LENDER_MANY; /* while bytes wait, too */
    lender_text(&l, "HTTP/1.1 200");
    LOOP_UNTIL(l.seat.loop, l.owner.calls == 1);
    lender_reset(&l);
    if (l.direct && (_i & 2)) { /* what it said before is not lost */
        ck_assert_uint_eq(l.owner.cuts, 0);
        l.owner.take = LENDER_MANY;
        ck_assert(gw_way_pull(l.way));
        ck_assert_uint_eq(l.owner.got, 12);
    }
    LOOP_UNTIL(l.seat.loop, l.owner.cuts == 1);
    ck_assert_int_eq(l.owner.reason, GW_REASON_BACKEND_REFUSED);
    lender_ck_settled(&l);
}
END_TEST

/* It answers before it has read everything, and closes: the answer is had all the same. */
START_TEST(test_lent_way_hears_the_last_words_of_a_service_that_is_gone)
{
    lender_lend(&l, true);
    ck_assert_uint_eq(gw_way_write(l.way, "unread", 6), 6);
    lender_text(&l, "HTTP/1.1 413 no\r\n");
    net_sock_set_abortive(l.service, false);
    close(l.service); /* unread bytes: the kernel sends a reset */
    l.service = -1;
    ck_assert_uint_eq(gw_way_write(l.way, "more", 4), 4);
    LOOP_UNTIL(l.seat.loop, l.owner.cuts == 1);
    ck_assert_uint_eq(l.owner.got, 17);
    lender_ck_settled(&l);
}
END_TEST

START_TEST(test_lent_way_is_cut_with_its_session)
{
    lender_lend(&l, false);
    seat_leave(&l.connector);
    LOOP_UNTIL(l.seat.loop, l.owner.cuts == 1);
    ck_assert_int_eq(l.owner.reason, GW_REASON_NO_CONNECTOR);
    lender_ck_settled(&l);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_way_lent");
    TCase *tc = tcase_create("bytes");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_lent_way_is_counted_and_its_owner_counts_the_bytes, 0, 2);
    tcase_add_test(tc, test_lent_way_sends_the_proxy_header_first);
    tcase_add_loop_test(tc, test_lent_way_keeps_what_was_not_taken_until_it_is_pulled, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_carries_a_stream_of_bytes_down_piece_by_piece, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_tells_when_it_takes_more, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_gives_place_in_a_stream, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_that_the_service_resets_is_cut, 0, 4);
    tcase_add_test(tc, test_lent_way_hears_the_last_words_of_a_service_that_is_gone);
    tcase_add_test(tc, test_lent_way_is_cut_with_its_session);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
