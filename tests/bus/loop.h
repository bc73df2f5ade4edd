/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run a loop until something became true, for at most some 10 s. They are counted in turns of the
 * loop: a time in which this process does not run is not one of them.
 */
#ifndef TESTS_BUS_LOOP_H
#define TESTS_BUS_LOOP_H

#include <ev.h>

/* Turns LOOP until COND holds; fails the test when that takes too long. */
#define LOOP_UNTIL(loop, cond)                                                                     \
    do {                                                                                           \
        ev_timer limit_;                                                                           \
        int ticks_ = 0;                                                                            \
        ev_timer_init(&limit_, loop_late, 0.1, 0.1);                                               \
        limit_.data = &ticks_;                                                                     \
        ev_now_update(loop);                                                                       \
        ev_timer_start(loop, &limit_);                                                             \
        while (!(cond) && ticks_ < 100)                                                            \
            ev_run(loop, EVRUN_ONCE);                                                              \
        ev_timer_stop(loop, &limit_);                                                              \
        ck_assert_msg(ticks_ < 100, "waited too long for: %s", #cond);                             \
    } while (0)

/* The same for conditions that ask the server: looked at every few milliseconds. */
#define LOOP_POLL(loop, cond)                                                                      \
    do {                                                                                           \
        int turns_ = 0;                                                                            \
        while (!(cond)) {                                                                          \
            ck_assert_msg(turns_++ < 2000, "waited too long for: %s", #cond);                      \
            loop_run_ms(loop, 5);                                                                  \
        }                                                                                          \
    } while (0)

/* Counts in the int that W's data points to. */
void loop_late(struct ev_loop *loop, ev_timer *w, int revents);
/* Run for MS, to see that something does not happen. */
void loop_run_ms(struct ev_loop *loop, int ms);

#endif
