/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a loop until a condition holds, at most ten seconds; for tests on real sockets. */
#ifndef TESTS_NET_LOOP_UNTIL_H
#define TESTS_NET_LOOP_UNTIL_H

#include <check.h>
#include <ev.h>
#include <stdbool.h>

static inline void loop_until_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

/* CONDITION may have effects: it is not evaluated again once it was true. The timer only bounds how
 * long one turn may block. */
#define LOOP_UNTIL(loop, condition)                                                                \
    do {                                                                                           \
        ev_timer tick_;                                                                            \
        ev_tstamp end_ = ev_time() + 10.0;                                                         \
        bool met_;                                                                                 \
        ev_timer_init(&tick_, loop_until_tick, 0.02, 0.02);                                        \
        ev_now_update(loop);                                                                       \
        ev_timer_start((loop), &tick_);                                                            \
        while (!(met_ = (condition)) && ev_time() < end_)                                          \
            ev_run((loop), EVRUN_ONCE);                                                            \
        ev_timer_stop((loop), &tick_);                                                             \
        ck_assert_msg(met_, "in time: %s", #condition);                                            \
    } while (0)

#endif
