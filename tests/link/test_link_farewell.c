/* SPDX-License-Identifier: Apache-2.0 */
/* The last bytes of an ended link reach a peer that is slow, and do not wait for one that is not.
 */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/link/farewell.h"
#include "modules/net/sock.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

static struct fixture {
    struct ev_loop *loop;
    struct link_hub *hub;
    int fds[2]; /* ours (given away), the peer's */
} f;

static void setup(const char *text, size_t len)
{
    struct buf out = {0};

    f.loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(link_hub_new(&f.hub, f.loop), ERR_OK);
    tcp_pair(f.fds);
    ck_assert_int_eq(net_sock_nonblock(f.fds[0]), ERR_OK);
    ck_assert_int_eq(net_sock_nonblock(f.fds[1]), ERR_OK);
    ck_assert_int_eq(link_hub_lend(f.hub, &out), ERR_OK);
    ck_assert_int_eq(buf_append(&out, text, len), ERR_OK);
    link_farewell_start(f.hub, f.fds[0], &out);
    ck_assert_uint_eq(out.cap, 0);
}

static void teardown(void)
{
    link_hub_free(f.hub);
    ev_loop_destroy(f.loop);
}

START_TEST(test_farewell_arrives_although_unread_bytes_wait)
{
    char got[16] = {0};
    ssize_t n = -1;

    setup("bye", 3);
    ck_assert_int_eq(send(f.fds[1], "unread", 6, 0), 6); /* a plain close would reset now */
    LOOP_UNTIL(f.loop, (n = recv(f.fds[1], got, sizeof(got), 0)) > 0);
    ck_assert_str_eq(got, "bye");
    LOOP_UNTIL(f.loop, (n = recv(f.fds[1], got, sizeof(got), 0)) >= 0 || errno != EAGAIN);
    ck_assert_int_eq(n, 0);
    ck_assert(!TAILQ_EMPTY(&f.hub->farewells)); /* waits for the other side's end */
    close(f.fds[1]);
    LOOP_UNTIL(f.loop, TAILQ_EMPTY(&f.hub->farewells));
    teardown();
}
END_TEST

START_TEST(test_farewell_ends_when_the_peer_is_gone)
{
    setup("bye", 3);
    net_sock_reset(f.fds[1]);
    LOOP_UNTIL(f.loop, TAILQ_EMPTY(&f.hub->farewells));
    teardown();
}
END_TEST

START_TEST(test_farewell_does_not_wait_for_ever)
{
    uint64_t begin = clock_mono_ms();

    setup("bye", 3); /* the peer never ends */
    LOOP_UNTIL(f.loop, TAILQ_EMPTY(&f.hub->farewells));
    ck_assert_uint_ge(clock_mono_ms() - begin, LINK_FAREWELL_MS - 100);
    close(f.fds[1]);
    teardown();
}
END_TEST

START_TEST(test_farewell_is_cut_with_its_hub)
{
    setup("bye", 3);
    teardown();
    close(f.fds[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link/farewell");
    TCase *tc = tcase_create("farewell");

    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_farewell_arrives_although_unread_bytes_wait);
    tcase_add_test(tc, test_farewell_ends_when_the_peer_is_gone);
    tcase_add_test(tc, test_farewell_does_not_wait_for_ever);
    tcase_add_test(tc, test_farewell_is_cut_with_its_hub);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
