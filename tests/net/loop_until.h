/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a loop until a condition holds, at most some ten seconds; for tests on real sockets. They
 * are counted in turns of the loop: a time in which this process does not run is not one of them.
 */
#ifndef TESTS_NET_LOOP_UNTIL_H
#define TESTS_NET_LOOP_UNTIL_H

#include <check.h>
#include <ev.h>
#include <stdbool.h>

#define LOOP_UNTIL_TICK_S 0.02
#define LOOP_UNTIL_TICKS 500

static inline void loop_until_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    --*(int *)w->data;
}

/* CONDITION may have effects: it is not evaluated again once it was true. The timer only bounds how
 * long one turn may block. */
#define LOOP_UNTIL(loop, condition)                                                                \
    do {                                                                                           \
        ev_timer tick_;                                                                            \
        int left_ = LOOP_UNTIL_TICKS;                                                              \
        bool met_;                                                                                 \
        ev_timer_init(&tick_, loop_until_tick, LOOP_UNTIL_TICK_S, LOOP_UNTIL_TICK_S);              \
        tick_.data = &left_;                                                                       \
        ev_now_update(loop);                                                                       \
        ev_timer_start((loop), &tick_);                                                            \
        while (!(met_ = (condition)) && left_ > 0)                                                 \
            ev_run((loop), EVRUN_ONCE);                                                            \
        ev_timer_stop((loop), &tick_);                                                             \
        ck_assert_msg(met_, "in time: %s", #condition);                                            \
    } while (0)

#endif
