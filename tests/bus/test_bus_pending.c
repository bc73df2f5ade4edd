/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of commands: order, partial writes, when a reply is expected, forgetting. */
#include "bus/pending.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static struct bus_queue queue;
static int fds[2];

static void set_up(void)
{
    bus_queue_init(&queue);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void tear_down(void)
{
    bus_queue_clear(&queue);
    close(fds[0]);
    close(fds[1]);
}

static void on_reply(void *arg, int rc, const struct bus_value *reply)
{
    (void)arg;
    (void)rc;
    (void)reply;
}

static int add(const void *data, size_t len, uint64_t deadline_ms, void *arg)
{
    const struct bus_arg args[] = {bus_text("ECHO"), BUS_BYTES(data, len)};

    return bus_queue_add(
        &queue, &(struct bus_query){.args = args, .count = 2, .on_reply = on_reply, .arg = arg},
        deadline_ms);
}

START_TEST(test_queue_writes_in_order)
{
    static const char want[] = "*2\r\n$4\r\nECHO\r\n$1\r\na\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n";
    char got[128];

    ck_assert_int_eq(add("a", 1, 1, NULL), ERR_OK);
    ck_assert_int_eq(add(NULL, 0, 2, NULL), ERR_OK);
    ck_assert(!bus_queue_expects(&queue));
    ck_assert_int_eq(bus_queue_write(&queue, fds[0]), ERR_OK);
    ck_assert(bus_queue_expects(&queue));
    ck_assert_uint_eq(queue.bytes, 0);
    ck_assert_int_eq(read(fds[1], got, sizeof(got)), (int)sizeof(want) - 1);
    ck_assert_mem_eq(got, want, sizeof(want) - 1);
}
END_TEST

START_TEST(test_queue_goes_on_after_a_full_socket)
{
    size_t len = 1 << 20, got = 0;
    char *big = calloc(1, len);
    int rc;

    ck_assert_int_eq(add("first", 5, 1, NULL), ERR_OK);
    ck_assert_int_eq(add(big, len, 1, NULL), ERR_OK);
    ck_assert_int_eq(add("last", 4, 1, NULL), ERR_OK);
    while ((rc = bus_queue_write(&queue, fds[0])) == ERR_AGAIN) {
        ck_assert(bus_queue_expects(&queue)); /* the first is out, the second is not */
        got += (size_t)read(fds[1], big, len);
    }
    ck_assert_int_eq(rc, ERR_OK);
    for (ssize_t n; (n = read(fds[1], big, len)) > 0;)
        got += (size_t)n;
    ck_assert_uint_eq(got, 14 + 11 + 14 + 12 + len + 14 + 10); /* heads and bodies */
    free(big);
}
END_TEST

START_TEST(test_queue_expects_nothing_before_it_is_sent)
{
    struct bus_pending *pending;

    ck_assert_int_eq(add("a", 1, 1, NULL), ERR_OK);
    pending = bus_queue_take(&queue); /* the link was lost */
    ck_assert_ptr_nonnull(pending);
    bus_pending_free(pending);
    ck_assert_uint_eq(queue.bytes, 0);
    ck_assert_uint_eq(queue.count, 0);
    ck_assert(!bus_queue_expects(&queue));
    ck_assert_ptr_null(bus_queue_take(&queue));
}
END_TEST

START_TEST(test_queue_broken_pipe_is_an_error_and_no_signal)
{
    ck_assert_int_eq(add("a", 1, 1, NULL), ERR_OK);
    shutdown(fds[1], SHUT_RDWR);
    ck_assert_int_eq(bus_queue_write(&queue, fds[0]), ERR_SYS);
}
END_TEST

START_TEST(test_queue_deadline_and_forget)
{
    struct bus_pending *pending;
    int mine;

    ck_assert_uint_eq(bus_queue_deadline(&queue), UINT64_MAX);
    ck_assert_int_eq(add("a", 1, 30, &mine), ERR_OK);
    ck_assert_int_eq(add("b", 1, 20, NULL), ERR_OK);
    ck_assert_uint_eq(bus_queue_deadline(&queue), 20);
    bus_queue_forget(&queue, &mine);
    pending = bus_queue_take(&queue);
    ck_assert(pending->on_reply == NULL);
    bus_pending_free(pending);
    pending = bus_queue_take(&queue);
    ck_assert(pending->on_reply == on_reply);
    bus_pending_free(pending);
}
END_TEST

START_TEST(test_queue_refuses_nonsense)
{
    const struct bus_arg args[] = {bus_text("PING")};

    ck_assert_int_eq(bus_queue_add(&queue, &(struct bus_query){.args = args}, 1), ERR_INVALID);
    ck_assert_int_eq(bus_queue_add(&queue, &(struct bus_query){.count = 1}, 1), ERR_INVALID);
    ck_assert_int_eq(add("", BUS_OUT_MAX + (size_t)1, 1, NULL), ERR_LIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/pending");
    TCase *tc = tcase_create("queue");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_queue_writes_in_order);
    tcase_add_test(tc, test_queue_goes_on_after_a_full_socket);
    tcase_add_test(tc, test_queue_expects_nothing_before_it_is_sent);
    tcase_add_test(tc, test_queue_broken_pipe_is_an_error_and_no_signal);
    tcase_add_test(tc, test_queue_deadline_and_forget);
    tcase_add_test(tc, test_queue_refuses_nonsense);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
