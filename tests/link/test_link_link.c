/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of a session: batches, and a path that is silent or only slow. */
#include "modules/link/link.h"

#include <check.h>
#include <ev.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "modules/link/session_impl.h"
#include "tests/link/watch.h"
#include "tests/support/suite.h"

/* A hundred small writes of one turn leave as one write: the far side gets them in one piece. */
START_TEST(test_link_seals_once_per_turn)
{
    struct watch_stream *s;
    int waiting = 0;

    watch_start_live(1);
    s = watch_open(0);
    LOOP_UNTIL(w.duo.loop, w.opened == 1);
    for (int i = 0; i < 5; i++)
        ev_run(w.duo.loop, EVRUN_NOWAIT);
    for (size_t i = 1; i <= 100; i++)
        watch_send(s, i);
    ck_assert_int_eq(ioctl(w.duo.connector.fds[0], FIONREAD, &waiting), 0);
    ck_assert_int_eq(waiting, 0); /* nothing leaves before the turn ends */
    ev_run(w.duo.loop, EVRUN_NOWAIT);
    LOOP_UNTIL(w.duo.loop, s->received == 100);
    ck_assert_uint_eq(s->wrong, 0);
    watch_stop();
}
END_TEST

/* The kernel takes what the connector sends, the gateway does nothing any more. */
static void freeze_gateway(void)
{
    struct link *link;

    TAILQ_FOREACH(link, &w.duo.gateway.session->links, entry)
    {
        ev_io_stop(w.duo.loop, &link->rd);
        ev_io_stop(w.duo.loop, &link->wr);
    }
    ev_timer_stop(w.duo.loop, &w.duo.gateway.session->deadline);
}

/* Not all that was sealed is with the other kernel. */
static bool has_unacked(const struct link *link)
{
    int unsent = 0;

    ck_assert_int_eq(ioctl(link->rd.fd, SIOCOUTQ, &unsent), 0);
    return unsent > 0 || tun_link_pending(link->tunnel) || link->out.len > 0;
}

/* Run until the connector lost its link, at most MS; returns how long it took. */
static uint64_t run_until_lost(uint64_t ms)
{
    uint64_t begin = clock_mono_ms();

    while (w.duo.connector.losses == 0 && clock_mono_ms() - begin < ms)
        ev_run(w.duo.loop, EVRUN_ONCE);
    return clock_mono_ms() - begin;
}

/* Its PING goes out after TUN_PING_BUSY_MS; from there on it has TUN_DEAD_MS. */
START_TEST(test_link_a_silent_peer_is_found)
{
    uint64_t took;

    watch_start_live(1);
    (void)watch_open(0);
    LOOP_UNTIL(w.duo.loop, w.opened == 1);
    freeze_gateway();
    took = run_until_lost(15000);
    ck_assert_int_eq(w.duo.connector.losses, 1);
    ck_assert_int_eq(w.duo.connector.lost.rc, ERR_TIMEOUT);
    ck_assert_uint_le(took, TUN_PING_BUSY_MS + TUN_DEAD_MS + 1000);
    watch_stop();
}
END_TEST

/* While the other kernel acknowledges byte after byte the answer may still be on its way. The time
 * is made up, the acknowledgements are not. */
START_TEST(test_link_a_path_that_moves_is_not_dead)
{
    uint64_t now = clock_mono_ms();
    struct link *link;

    watch_start_live(1);
    (void)watch_open(0);
    LOOP_UNTIL(w.duo.loop, w.opened == 1);
    freeze_gateway();
    link = TAILQ_FIRST(&w.duo.connector.session->links);
    now += TUN_PING_MS;
    ck_assert_int_eq(link_judge(link, now), ERR_OK); /* sends the PING */
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(tun_stream_write(w.streams[0].far, "x", 1), 1);
        link_session_touch(w.duo.connector.session);
        LOOP_UNTIL(w.duo.loop, !has_unacked(link));
        now += TUN_DEAD_MS;
        ck_assert_int_eq(link_judge(link, now), ERR_OK);
    }
    now += TUN_DEAD_MS;
    ck_assert_int_eq(link_judge(link, now), ERR_TIMEOUT);
    watch_stop();
}
END_TEST

/* The process was stopped for longer than its patience: the answer is in the socket by then. */
START_TEST(test_link_is_read_before_it_is_judged)
{
    struct link *link;

    watch_start_live(1);
    (void)watch_open(0);
    LOOP_UNTIL(w.duo.loop, w.opened == 1);
    link = TAILQ_FIRST(&w.duo.connector.session->links);
    ev_io_stop(w.duo.loop, &link->rd); /* the gateway talks, nobody listens */
    for (uint64_t end = clock_mono_ms() + TUN_PING_BUSY_MS + TUN_DEAD_MS + 1000;
         clock_mono_ms() < end;)
        ev_run(w.duo.loop, EVRUN_ONCE);
    ck_assert_int_eq(w.duo.connector.losses, 0); /* each look at the deadline read first */
    watch_stop();
}
END_TEST

START_TEST(test_link_number_is_known_to_ops)
{
    struct link *link;

    watch_start();
    duo_add(&w.duo, 5);
    duo_wait_live(&w.duo, 1);
    link = TAILQ_FIRST(&w.duo.connector.session->links);
    ck_assert_uint_eq(link_session_number(link->tunnel), 5);
    watch_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link/link");
    TCase *tc = tcase_create("link");

    tcase_set_timeout(tc, 40);
    tcase_add_test(tc, test_link_seals_once_per_turn);
    tcase_add_test(tc, test_link_a_silent_peer_is_found);
    tcase_add_test(tc, test_link_a_path_that_moves_is_not_dead);
    tcase_add_test(tc, test_link_is_read_before_it_is_judged);
    tcase_add_test(tc, test_link_number_is_known_to_ops);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
