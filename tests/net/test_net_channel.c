/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and descriptors between two ends: order, limits, and every way to end. */
#include "modules/net/channel.h"

#include <check.h>
#include <ev.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

struct end {
    struct net_channel *channel;
    unsigned messages, fds, closes;
    uint32_t next; /* number the next message must carry */
    bool free_on_message;
};

static struct ev_loop *loop;
static struct end a, b;

static void on_message(void *arg, const uint8_t *data, size_t len, int fd)
{
    struct end *end = arg;
    uint32_t number = 0;

    if (len >= sizeof(number)) {
        memcpy(&number, data, sizeof(number));
        ck_assert_uint_eq(number, end->next++);
    }
    end->messages++;
    if (fd >= 0) {
        end->fds++;
        ck_assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        close(fd);
    }
    if (end->free_on_message) {
        net_channel_free(end->channel);
        end->channel = NULL;
    }
}

static void on_closed(void *arg)
{
    ((struct end *)arg)->closes++;
}

static void open_end(struct end *end, int fd)
{
    struct net_channel_config cfg = {
        .fd = fd, .on_message = on_message, .on_closed = on_closed, .arg = end};

    *end = (struct end){0};
    ck_assert_int_eq(net_channel_new(&end->channel, loop, &cfg), ERR_OK);
}

static void setup(void)
{
    int fds[2];

    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(net_channel_pair(fds), ERR_OK);
    open_end(&a, fds[0]);
    open_end(&b, fds[1]);
}

static void teardown(void)
{
    net_channel_free(a.channel);
    net_channel_free(b.channel);
    ev_loop_destroy(loop);
}

START_TEST(test_channel_keeps_order_and_borders_when_the_socket_is_full)
{
    static uint8_t data[NET_CHANNEL_MESSAGE_MAX];

    for (uint32_t i = 0; i < 500; i++) {
        memcpy(data, &i, sizeof(i));
        ck_assert_int_eq(net_channel_send(a.channel, data, 4 + i * 60, i % 3 == 0 ? 0 : -1),
                         ERR_OK);
    }
    LOOP_UNTIL(loop, b.messages == 500);
    ck_assert_uint_eq(b.fds, 167);
    ck_assert_uint_eq(net_channel_waiting(a.channel), 0);
}
END_TEST

START_TEST(test_channel_passes_the_very_same_open_file)
{
    struct stat sent;
    int fds[2];
    char byte = 0;

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(fstat(fds[1], &sent), 0);
    ck_assert_int_eq(net_channel_send(a.channel, "x", 1, fds[1]), ERR_OK);
    close(fds[1]); /* the copy on its way keeps it open */
    LOOP_UNTIL(loop, b.fds == 1);
    ck_assert_int_eq(read(fds[0], &byte, 1), 0); /* b closed the last one */
    close(fds[0]);
}
END_TEST

START_TEST(test_channel_refuses_what_is_too_long_or_empty_and_other_sockets)
{
    static uint8_t data[NET_CHANNEL_MESSAGE_MAX + 1];
    struct net_channel_config cfg = {.on_message = on_message, .on_closed = on_closed};
    struct net_channel *none = NULL;
    int fds[2];

    ck_assert_int_eq(net_channel_send(a.channel, data, sizeof(data), -1), ERR_LIMIT);
    ck_assert_int_eq(net_channel_send(a.channel, data, 0, -1), ERR_LIMIT);
    ck_assert_int_eq(net_channel_send(a.channel, data, 1, 100000), ERR_SYS);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cfg.fd = fds[0];
    ck_assert_int_eq(net_channel_new(&none, loop, &cfg), ERR_INVALID);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(test_channel_tells_the_end_of_the_other_side_once_and_after_its_last_words)
{
    uint32_t zero = 0;

    ck_assert_int_eq(net_channel_send(b.channel, &zero, sizeof(zero), -1), ERR_OK);
    net_channel_free(b.channel);
    b.channel = NULL;
    LOOP_UNTIL(loop, a.closes == 1);
    ck_assert_uint_eq(a.messages, 1);
    ck_assert_int_eq(net_channel_send(a.channel, "x", 1, -1), ERR_EOF);
    for (int i = 0; i < 5; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(a.closes, 1);
}
END_TEST

START_TEST(test_channel_may_be_freed_in_its_callback)
{
    b.free_on_message = true;
    ck_assert_int_eq(net_channel_send(a.channel, "x", 1, 0), ERR_OK);
    ck_assert_int_eq(net_channel_send(a.channel, "y", 1, 0), ERR_OK);
    LOOP_UNTIL(loop, b.messages == 1);
    LOOP_UNTIL(loop, a.closes == 1);
    ck_assert_uint_eq(b.messages, 1);
}
END_TEST

START_TEST(test_channel_await_takes_one_message_or_says_why_not)
{
    uint8_t data[NET_CHANNEL_MESSAGE_MAX];
    int fds[2], passed = -1;
    size_t len = 0;

    ck_assert_int_eq(net_channel_pair(fds), ERR_OK);
    ck_assert_int_eq(net_channel_await(fds[0], data, &len, &passed, 10), ERR_TIMEOUT);
    ck_assert_int_eq(send(fds[1], "hello", 5, 0), 5);
    ck_assert_int_eq(net_channel_await(fds[0], data, &len, &passed, 10), ERR_OK);
    ck_assert_uint_eq(len, 5);
    ck_assert_int_eq(passed, -1);
    close(fds[1]);
    ck_assert_int_eq(net_channel_await(fds[0], data, &len, &passed, 10), ERR_EOF);
    close(fds[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/channel");
    TCase *tc = tcase_create("channel");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_channel_keeps_order_and_borders_when_the_socket_is_full);
    tcase_add_test(tc, test_channel_passes_the_very_same_open_file);
    tcase_add_test(tc, test_channel_refuses_what_is_too_long_or_empty_and_other_sockets);
    tcase_add_test(tc, test_channel_tells_the_end_of_the_other_side_once_and_after_its_last_words);
    tcase_add_test(tc, test_channel_may_be_freed_in_its_callback);
    tcase_add_test(tc, test_channel_await_takes_one_message_or_says_why_not);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
