/* SPDX-License-Identifier: Apache-2.0 */
/* Letters between threads: order, the cap, and what becomes of those that nobody opens. */
#include "modules/net/mail.h"

#include <check.h>
#include <ev.h>
#include <pthread.h>
#include <stdlib.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

#define SENDERS 4
#define EACH 2000

struct note {
    struct net_letter letter;
    unsigned sender, number;
    unsigned *dropped;
};

struct reader {
    struct ev_loop *loop;
    struct net_mail *mail;
    unsigned next[SENDERS]; /* the number that must come next */
    unsigned count, last;   /* ends when so many are here */
};

struct sender {
    pthread_t thread;
    struct net_mail *mail;
    unsigned index;
};

static void open_note(struct net_letter *letter, void *arg)
{
    struct note *note = (struct note *)letter;
    struct reader *reader = arg;

    ck_assert_uint_eq(note->number, reader->next[note->sender]);
    reader->next[note->sender]++;
    if (++reader->count == reader->last)
        ev_break(reader->loop, EVBREAK_ALL);
    free(note);
}

static void drop_note(struct net_letter *letter)
{
    struct note *note = (struct note *)letter;

    if (note->dropped != NULL)
        (*note->dropped)++;
    free(note);
}

static struct note *note_new(unsigned sender, unsigned number, unsigned *dropped)
{
    struct note *note = calloc(1, sizeof(*note));

    ck_assert_ptr_nonnull(note);
    *note = (struct note){{.open = open_note, .drop = drop_note}, sender, number, dropped};
    return note;
}

static struct reader reader_new(size_t cap)
{
    struct reader reader = {.loop = ev_loop_new(EVFLAG_AUTO)};

    ck_assert_int_eq(net_mail_new(&reader.mail, reader.loop, cap), ERR_OK);
    return reader;
}

static void reader_end(struct reader *reader)
{
    net_mail_free(reader->mail);
    ev_loop_destroy(reader->loop);
}

static void *send_all(void *arg)
{
    struct sender *self = arg;

    for (unsigned i = 0; i < EACH; i++)
        net_mail_push(self->mail, &note_new(self->index, i, NULL)->letter);
    return NULL;
}

START_TEST(test_mail_brings_every_letter_of_every_thread_in_its_order)
{
    struct reader reader = reader_new(1);
    struct sender senders[SENDERS];

    reader.last = SENDERS * EACH;
    net_mail_set_reader(reader.mail, &reader);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i].mail = reader.mail;
        senders[i].index = i;
        ck_assert_int_eq(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    ev_run(reader.loop, 0);
    ck_assert_uint_eq(reader.count, SENDERS * EACH);
    for (unsigned i = 0; i < SENDERS; i++)
        ck_assert_int_eq(pthread_join(senders[i].thread, NULL), 0);
    reader_end(&reader);
}
END_TEST

START_TEST(test_mail_takes_up_to_its_cap_and_one_more_once_they_were_read)
{
    struct reader reader = reader_new(2);
    unsigned dropped = 0;
    struct note *third = note_new(0, 2, &dropped);

    net_mail_set_reader(reader.mail, &reader);
    ck_assert_int_eq(net_mail_post(reader.mail, &note_new(0, 0, &dropped)->letter), ERR_OK);
    ck_assert_int_eq(net_mail_post(reader.mail, &note_new(0, 1, &dropped)->letter), ERR_OK);
    ck_assert(net_mail_is_full(reader.mail));
    ck_assert_int_eq(net_mail_post(reader.mail, &third->letter), ERR_LIMIT);
    reader.last = 2;
    ev_run(reader.loop, 0);
    ck_assert_uint_eq(reader.count, 2);
    ck_assert(!net_mail_is_full(reader.mail));
    ck_assert_int_eq(net_mail_post(reader.mail, &third->letter), ERR_OK);
    reader.last = 3;
    ev_run(reader.loop, 0);
    ck_assert_uint_eq(reader.count, 3);
    ck_assert_uint_eq(dropped, 0);
    reader_end(&reader);
}
END_TEST

START_TEST(test_mail_that_nobody_opens_is_dropped)
{
    struct reader reader = reader_new(8);
    unsigned dropped = 0;

    net_mail_push(reader.mail, &note_new(0, 0, &dropped)->letter); /* there is no reader */
    for (int i = 0; i < 100 && dropped == 0; i++)
        ev_run(reader.loop, EVRUN_ONCE);
    ck_assert_uint_eq(dropped, 1);
    net_mail_push(reader.mail, &note_new(0, 0, &dropped)->letter); /* it is freed first */
    reader_end(&reader);
    ck_assert_uint_eq(dropped, 2);
    net_mail_free(NULL);
}
END_TEST

static void open_last(struct net_letter *letter, void *arg)
{
    struct reader *reader = arg;

    free(letter);
    net_mail_free(reader->mail);
    reader->mail = NULL;
    ev_break(reader->loop, EVBREAK_ALL);
}

START_TEST(test_mail_may_be_freed_by_a_letter)
{
    struct reader reader = reader_new(8);
    unsigned dropped = 0;
    struct note *last = note_new(0, 0, &dropped);

    net_mail_set_reader(reader.mail, &reader);
    last->letter.open = open_last;
    net_mail_push(reader.mail, &last->letter);
    net_mail_push(reader.mail, &note_new(0, 1, &dropped)->letter);
    ev_run(reader.loop, 0);
    ck_assert_ptr_null(reader.mail);
    ck_assert_uint_eq(dropped, 1);
    reader_end(&reader);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/mail");
    TCase *tc = tcase_create("mail");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_mail_brings_every_letter_of_every_thread_in_its_order);
    tcase_add_test(tc, test_mail_takes_up_to_its_cap_and_one_more_once_they_were_read);
    tcase_add_test(tc, test_mail_that_nobody_opens_is_dropped);
    tcase_add_test(tc, test_mail_may_be_freed_by_a_letter);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
