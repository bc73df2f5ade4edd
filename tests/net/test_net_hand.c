/* SPDX-License-Identifier: Apache-2.0 */
/* A thread with a loop: calls run there and are waited for, letters come in order, it ends. */
#include "modules/net/hand.h"

#include <check.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

#define LETTERS 1000

struct look {
    pthread_t thread;
    bool blocked; /* a signal of the process is not for it */
    unsigned calls;
};

static void look(void *arg)
{
    struct look *self = arg;
    sigset_t mask;

    self->thread = pthread_self();
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    self->blocked = sigismember(&mask, SIGTERM) == 1;
    self->calls++;
}

static struct net_hand *hand_new(void)
{
    struct net_hand *hand;

    ck_assert_int_eq(net_hand_new(&hand, "hand", 4), ERR_OK);
    return hand;
}

START_TEST(test_hand_runs_calls_in_its_own_thread_without_signals)
{
    struct net_hand *hand = hand_new();
    struct look seen = {.calls = 0};
    sigset_t mask;

    for (unsigned i = 0; i < 100; i++)
        net_hand_call(hand, look, &seen);
    ck_assert_uint_eq(seen.calls, 100);
    ck_assert(!pthread_equal(seen.thread, pthread_self()));
    ck_assert(seen.blocked);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert_int_eq(sigismember(&mask, SIGTERM), 0); /* here they are as before */
    net_hand_free(hand);
    net_hand_free(NULL);
}
END_TEST

struct tally {
    unsigned opened, dropped;
    bool answered;
};

struct note {
    struct net_letter letter;
    struct tally *tally;
};

static void open_note(struct net_letter *letter, void *reader)
{
    struct note *note = (struct note *)letter;

    ck_assert_ptr_eq(reader, note->tally);
    note->tally->opened++;
    free(note);
}

static void drop_note(struct net_letter *letter)
{
    ((struct note *)letter)->tally->dropped++;
    free(letter);
}

static void send(struct net_hand *hand, struct tally *tally)
{
    struct note *note = malloc(sizeof(*note));

    ck_assert_ptr_nonnull(note);
    *note = (struct note){{.open = open_note, .drop = drop_note}, tally};
    net_mail_push(net_hand_mail(hand), &note->letter);
}

struct introduction {
    struct net_hand *hand;
    void *reader;
};

static void introduce(void *arg)
{
    struct introduction *self = arg;

    net_mail_set_reader(net_hand_mail(self->hand), self->reader);
}

static void ask(void *arg)
{
    struct tally *tally = arg;

    ck_assert_uint_eq(tally->opened, LETTERS);
    tally->answered = true;
}

START_TEST(test_hand_reads_letters_before_the_call_that_came_after_them)
{
    struct net_hand *hand = hand_new();
    struct tally tally = {0};

    net_hand_call(hand, introduce, &(struct introduction){hand, &tally});
    for (unsigned i = 0; i < LETTERS; i++)
        send(hand, &tally);
    net_hand_call(hand, ask, &tally);
    ck_assert(tally.answered);
    net_hand_free(hand);
}
END_TEST

START_TEST(test_hand_that_has_stopped_drops_what_comes)
{
    struct net_hand *hand = hand_new();
    struct tally tally = {0};

    net_hand_call(hand, introduce, &(struct introduction){hand, &tally});
    net_hand_stop(hand);
    send(hand, &tally);
    net_hand_stop(hand); /* twice is fine */
    net_hand_free(hand);
    ck_assert_uint_eq(tally.opened, 0);
    ck_assert_uint_eq(tally.dropped, 1);
}
END_TEST

struct alarm {
    ev_timer timer;
    pthread_t thread;
    bool rang;
};

static void on_alarm(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct alarm *self = w->data;

    (void)loop;
    (void)revents;
    self->thread = pthread_self();
    __atomic_store_n(&self->rang, true, __ATOMIC_RELEASE);
}

struct setting {
    struct net_hand *hand;
    struct alarm alarm;
};

static void set_alarm(void *arg)
{
    struct setting *self = arg;

    ev_timer_init(&self->alarm.timer, on_alarm, 0.001, 0.0);
    self->alarm.timer.data = &self->alarm;
    ev_timer_start(net_hand_loop(self->hand), &self->alarm.timer);
}

static void nothing(void *arg)
{
    (void)arg;
}

START_TEST(test_hand_has_timers_of_its_own)
{
    struct setting setting = {.hand = hand_new()};

    net_hand_call(setting.hand, set_alarm, &setting);
    while (!__atomic_load_n(&setting.alarm.rang, __ATOMIC_ACQUIRE)) /* check's limit bounds it */
        net_hand_call(setting.hand, nothing, NULL);
    ck_assert(!pthread_equal(setting.alarm.thread, pthread_self()));
    net_hand_free(setting.hand);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/hand");
    TCase *tc = tcase_create("hand");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_hand_runs_calls_in_its_own_thread_without_signals);
    tcase_add_test(tc, test_hand_reads_letters_before_the_call_that_came_after_them);
    tcase_add_test(tc, test_hand_that_has_stopped_drops_what_comes);
    tcase_add_test(tc, test_hand_has_timers_of_its_own);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
