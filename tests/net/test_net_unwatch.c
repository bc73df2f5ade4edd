/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor that goes away is in no epoll of ours any more, and the loop can have it again. */
#include "modules/net/unwatch.h"

#include <check.h>
#include <dirent.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

static struct ev_loop *loop;
static int fds[2], heard;

static void on_io(struct ev_loop *at, ev_io *w, int revents)
{
    char byte;

    (void)at;
    (void)revents;
    heard += read(w->fd, &byte, 1) == 1;
}

/* How many epolls of this process have FD. */
static unsigned epolls_with(int fd)
{
    DIR *folder = opendir("/proc/self/fdinfo");
    const struct dirent *entry;
    char path[300], line[256];
    unsigned count = 0;
    int has;

    ck_assert_ptr_nonnull(folder);
    while ((entry = readdir(folder)) != NULL) {
        FILE *info;

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", entry->d_name);
        info = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
        while (info != NULL && fgets(line, sizeof(line), info) != NULL)
            count += sscanf(line, "tfd: %d", &has) == 1 && has == fd;
        if (info != NULL)
            (void)fclose(info);
    }
    (void)closedir(folder);
    return count;
}

/* The loop listens to the socket for a while. */
static void listen_once(void)
{
    ev_io io;
    int before = heard;

    ev_io_init(&io, on_io, fds[0], EV_READ);
    ev_io_start(loop, &io);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    LOOP_UNTIL(loop, heard == before + 1);
    ev_io_stop(loop, &io);
    ck_assert_uint_eq(epolls_with(fds[0]), 1);
}

static void setup(void)
{
    loop = ev_loop_new(EVBACKEND_EPOLL);
    ck_assert_ptr_nonnull(loop);
    tcp_pair(fds);
    heard = 0;
}

static void teardown(void)
{
    close(fds[0]);
    close(fds[1]);
    ev_loop_destroy(loop);
}

START_TEST(test_unwatch_takes_it_out_and_the_loop_may_have_it_again)
{
    struct net_unwatch unwatch = {0};

    for (int i = 0; i < 3; i++) {
        listen_once();
        net_unwatch(&unwatch, fds[0]);
        ck_assert_uint_eq(epolls_with(fds[0]), 0);
        ck_assert_int_gt(unwatch.epoll, 0);
    }
}
END_TEST

START_TEST(test_unwatch_of_what_nobody_watches_does_nothing)
{
    struct net_unwatch unwatch = {0};

    net_unwatch(&unwatch, fds[0]);
    ck_assert_int_eq(unwatch.epoll, 0);
    unwatch.next_ms = 0;
    listen_once();
    net_unwatch(&unwatch, fds[0]);
    net_unwatch(&unwatch, fds[0]);
    ck_assert_uint_eq(epolls_with(fds[0]), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/unwatch");
    TCase *tc = tcase_create("unwatch");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_unwatch_takes_it_out_and_the_loop_may_have_it_again);
    tcase_add_test(tc, test_unwatch_of_what_nobody_watches_does_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
