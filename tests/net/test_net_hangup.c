/* SPDX-License-Identifier: Apache-2.0 */
/* Resets of sockets that nobody polls are told; ends in order are not. */
#include <check.h>
#include <ev.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/hangup.h"
#include "modules/net/sock.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

struct socket {
    struct net_hangup_watch watch;
    int fd, peer;
    int told;
    struct socket *other; /* stopped when this one is told; may be NULL */
};

static struct ev_loop *loop;
static struct net_hangup *hangup;

static void forget(struct socket *s)
{
    net_hangup_stop(hangup, &s->watch, s->fd);
    close(s->fd);
    s->fd = -1;
}

static void on_reset(void *arg)
{
    struct socket *s = arg;

    s->told++;
    forget(s);
    if (s->other != NULL)
        forget(s->other);
}

static void begin(struct socket *sockets, int count)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(net_hangup_new(&hangup, loop), ERR_OK);
    for (int i = 0; i < count; i++) {
        int fds[2];

        tcp_pair(fds);
        sockets[i] = (struct socket){.fd = fds[0], .peer = fds[1]};
        sockets[i].watch.on_reset = on_reset;
        sockets[i].watch.arg = &sockets[i];
        net_hangup_start(hangup, &sockets[i].watch, sockets[i].fd);
        net_hangup_start(hangup, &sockets[i].watch, sockets[i].fd); /* twice is fine */
        ck_assert(sockets[i].watch.active);
    }
}

static void end(void)
{
    net_hangup_free(hangup);
    ev_loop_destroy(loop);
}

static void turn(void)
{
    int left = 1;
    ev_timer tick;

    ev_timer_init(&tick, loop_until_tick, LOOP_UNTIL_TICK_S, 0.0);
    tick.data = &left;
    ev_now_update(loop);
    ev_timer_start(loop, &tick);
    while (ev_is_active(&tick))
        ev_run(loop, EVRUN_ONCE);
}

/* Turns until the epoll has the watch. */
static void grow_up(const struct socket *s)
{
    LOOP_UNTIL(loop, !s->watch.is_young);
    ck_assert(s->watch.active);
}

/* _i % 4: 0 untouched, 1 with unread bytes, 2 after the other end's FIN, 3 after our FIN;
 * _i / 4: 0 the watch waits still, 1 the epoll has it */
START_TEST(test_hangup_tells_a_reset_in_every_state)
{
    struct socket s;

    begin(&s, 1);
    if (_i % 4 == 1)
        ck_assert_int_eq(send(s.peer, "x", 1, 0), 1);
    if (_i % 4 == 3)
        shutdown(s.fd, SHUT_WR);
    if (_i % 4 == 2)
        shutdown(s.peer, SHUT_WR);
    if (_i / 4 == 1)
        grow_up(&s);
    ck_assert_int_eq(s.told, 0);
    net_sock_reset(s.peer);
    LOOP_UNTIL(loop, s.told == 1);
    end();
}
END_TEST

START_TEST(test_hangup_puts_off_what_most_sockets_do_not_need)
{
    struct socket s[3];

    begin(s, 3);
    ck_assert(s[0].watch.is_young && s[1].watch.is_young && s[2].watch.is_young);
    for (int i = 1; i >= 0; i--) { /* in the middle, then the last in the list */
        forget(&s[i]);
        ck_assert(!s[i].watch.active && !s[i].watch.is_young);
        net_sock_reset(s[i].peer);
    }
    grow_up(&s[2]);
    net_hangup_stop(hangup, &s[2].watch, s[2].fd);
    net_hangup_start(hangup, &s[2].watch, s[2].fd); /* and young again */
    ck_assert(s[2].watch.is_young);
    net_sock_reset(s[2].peer);
    LOOP_UNTIL(loop, s[2].told == 1);
    ck_assert_int_eq(s[0].told + s[1].told, 0);
    end();
}
END_TEST

START_TEST(test_hangup_no_watch_keeps_a_loop_going)
{
    struct socket s;

    begin(&s, 1);
    ev_run(loop, 0); /* returns */
    ck_assert(s.watch.active);
    forget(&s);
    close(s.peer);
    end();
}
END_TEST

START_TEST(test_hangup_is_silent_for_ends_in_order)
{
    struct socket s;
    char byte;

    begin(&s, 1);
    ck_assert_int_eq(send(s.peer, "x", 1, 0), 1);
    shutdown(s.fd, SHUT_WR);
    shutdown(s.peer, SHUT_WR);
    grow_up(&s);
    turn();
    ck_assert_int_eq(s.told, 0);
    ck_assert_int_eq(recv(s.fd, &byte, 1, 0), 1);
    forget(&s);
    close(s.peer);
    end();
}
END_TEST

START_TEST(test_hangup_a_callback_may_stop_another_watch)
{
    struct socket s[2];

    begin(s, 2);
    s[0].other = &s[1];
    s[1].other = &s[0];
    grow_up(&s[0]);
    net_sock_reset(s[0].peer);
    net_sock_reset(s[1].peer);
    LOOP_UNTIL(loop, s[0].told + s[1].told == 1);
    turn();
    ck_assert_int_eq(s[0].told + s[1].told, 1);
    end();
}
END_TEST

START_TEST(test_hangup_without_one_does_nothing)
{
    struct net_hangup_watch watch = {.on_reset = on_reset};

    net_hangup_start(NULL, &watch, 0);
    ck_assert(!watch.active);
    net_hangup_stop(NULL, &watch, 0);
    net_hangup_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/hangup");
    TCase *tc = tcase_create("hangup");

    tcase_set_timeout(tc, 20);
    tcase_add_loop_test(tc, test_hangup_tells_a_reset_in_every_state, 0, 8);
    tcase_add_test(tc, test_hangup_puts_off_what_most_sockets_do_not_need);
    tcase_add_test(tc, test_hangup_no_watch_keeps_a_loop_going);
    tcase_add_test(tc, test_hangup_is_silent_for_ends_in_order);
    tcase_add_test(tc, test_hangup_a_callback_may_stop_another_watch);
    tcase_add_test(tc, test_hangup_without_one_does_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
