/* SPDX-License-Identifier: Apache-2.0 */
/* Running a loop for a while or until something holds. */
#include "tests/bus/loop.h"

void loop_late(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    ++*(int *)w->data;
}

void loop_run_ms(struct ev_loop *loop, int ms)
{
    ev_timer timer;
    int over = 0;

    ev_timer_init(&timer, loop_late, ms / 1000.0, 0.0);
    timer.data = &over;
    ev_now_update(loop);
    ev_timer_start(loop, &timer);
    while (!over)
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &timer);
}
