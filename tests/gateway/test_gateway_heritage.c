/* SPDX-License-Identifier: Apache-2.0 */
/* Inherited sockets: who asks for the address gets the socket, and nothing stays open. */
#include "modules/gateway/heritage.h"

#include <check.h>
#include <fcntl.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static struct gw_heritage *self;

static void setup(void)
{
    ck_assert_int_eq(gw_heritage_new(&self), ERR_OK);
}

static void teardown(void)
{
    gw_heritage_free(self);
}

static struct addr at(const char *ip, uint16_t port)
{
    struct addr addr;

    ck_assert_int_eq(addr_from_ip(&addr, ip, port), ERR_OK);
    return addr;
}

static int add(enum gw_door_kind kind, struct addr addr)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(gw_heritage_add(self, kind, &addr, fd), ERR_OK);
    return fd;
}

static int take(enum gw_door_kind kind, struct addr addr)
{
    return gw_heritage_take(self, kind, &addr);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(test_heritage_gives_each_socket_once_and_by_its_address)
{
    int http = add(GW_DOOR_HTTP, at("127.0.0.1", 80));
    int six = add(GW_DOOR_HTTP, at("::1", 80));

    ck_assert_int_eq(take(GW_DOOR_HTTP, at("127.0.0.1", 81)), -1);
    ck_assert_int_eq(take(GW_DOOR_HTTP, at("127.0.0.2", 80)), -1);
    ck_assert_int_eq(take(GW_DOOR_HTTP, at("::1", 80)), six);
    ck_assert_int_eq(take(GW_DOOR_HTTP, at("::1", 80)), -1);
    ck_assert_int_eq(take(GW_DOOR_HTTP, at("127.0.0.1", 80)), http);
    ck_assert_int_eq(gw_heritage_take(NULL, GW_DOOR_HTTP, &(struct addr){0}), -1);
    close(http);
    close(six);
}
END_TEST

START_TEST(test_heritage_any_port_is_given_in_order_and_never_for_another_purpose)
{
    int first = add(GW_DOOR_HTTP, at("127.0.0.1", 0)),
        second = add(GW_DOOR_HTTP, at("127.0.0.1", 0));

    ck_assert_int_eq(take(GW_DOOR_HTTPS, at("127.0.0.1", 0)), -1);
    ck_assert_int_eq(take(GW_DOOR_HTTP, at("127.0.0.1", 0)), first);
    ck_assert_int_eq(take(GW_DOOR_HTTP, at("127.0.0.1", 0)), second);
    close(first);
    close(second);
}
END_TEST

START_TEST(test_heritage_an_address_may_change_its_purpose)
{
    int fd = add(GW_DOOR_HTTP, at("127.0.0.1", 8080));

    ck_assert_int_eq(take(GW_DOOR_TUNNEL, at("127.0.0.1", 8080)), fd);
    close(fd);
}
END_TEST

START_TEST(test_heritage_closes_what_nobody_asked_for)
{
    int fds[40];

    for (uint16_t i = 0; i < 40; i++)
        fds[i] = add(GW_DOOR_TCP, at("127.0.0.1", (uint16_t)(20000 + i)));
    ck_assert_uint_eq(gw_heritage_count(self), 40);
    gw_heritage_clear(self);
    ck_assert_uint_eq(gw_heritage_count(self), 0);
    for (int i = 0; i < 40; i++)
        ck_assert(!is_open(fds[i]));
    (void)add(GW_DOOR_TCP, at("127.0.0.1", 1)); /* more may come; teardown closes it */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/heritage");
    TCase *tc = tcase_create("heritage");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_heritage_gives_each_socket_once_and_by_its_address);
    tcase_add_test(tc, test_heritage_any_port_is_given_in_order_and_never_for_another_purpose);
    tcase_add_test(tc, test_heritage_an_address_may_change_its_purpose);
    tcase_add_test(tc, test_heritage_closes_what_nobody_asked_for);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
