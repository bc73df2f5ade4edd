/* SPDX-License-Identifier: Apache-2.0 */
/* The wall, in child processes: what it forbids, what it leaves, and that the check sees holes. */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/connector/wall.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

/* What FN returns in a child of its own: the wall cannot be taken down again. */
static int in_child(int (*fn)(void))
{
    pid_t child = fork();
    int status = 0;

    if (child == 0)
        _exit(fn());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int eperm(long result)
{
    return result < 0 && errno == EPERM ? 0 : 1;
}

/* Sockets that were bound before: only listen is missing, and stays missing. */
static int bound_before_cannot_listen(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int inet = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
    char why[CON_WALL_WHY_CAP];

    if (bind(inet, (struct sockaddr *)&in, sizeof(in)) != 0 ||
        bind(local, (struct sockaddr *)&un, sizeof(un.sun_family)) != 0)
        return 2;
    if (con_wall_raise(why) != ERR_OK)
        return 3;
    if (eperm(listen(inet, 1)) || eperm(listen(local, 1)))
        return 4;
    return con_wall_check(why) == ERR_OK ? 0 : 5;
}

static int nothing_new_either(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    int tcp, udp;
    char why[CON_WALL_WHY_CAP];

    if (con_wall_raise(why) != ERR_OK)
        return 2;
    tcp = socket(AF_INET, SOCK_STREAM, 0);
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    if (eperm(listen(tcp, 1)) || eperm(bind(udp, (struct sockaddr *)&in, sizeof(in))))
        return 3;
    if (eperm(syscall(SYS_accept, tcp, NULL, NULL)) || eperm(accept4(tcp, NULL, NULL, 0)))
        return 4;
    if (eperm(syscall(SYS_io_uring_setup, 1, NULL)))
        return 5;
    return 0;
}

/* A listener that was there before takes nobody any more. */
static int old_listener_is_found_and_dead(void)
{
    struct sockaddr_in in;
    int listener = tcp_listen(&in), fd = socket(AF_INET, SOCK_STREAM, 0);
    char why[CON_WALL_WHY_CAP] = "";

    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0 || con_wall_raise(why) != ERR_OK)
        return 2;
    if (eperm(syscall(SYS_accept, listener, NULL, NULL)) || eperm(accept4(listener, NULL, NULL, 0)))
        return 3;
    if (con_wall_check(why) != ERR_REFUSED || strstr(why, "listening socket") == NULL)
        return 4;
    return con_wall_no_listener(why) == ERR_REFUSED ? 0 : 5;
}

static int unix_listener_is_found(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char why[CON_WALL_WHY_CAP];

    if (bind(fd, (struct sockaddr *)&un, sizeof(un.sun_family)) != 0 || listen(fd, 1) != 0)
        return 2;
    return con_wall_no_listener(why) == ERR_REFUSED ? 0 : 3;
}

static int without_the_wall_the_check_fails(void)
{
    char why[CON_WALL_WHY_CAP] = "";

    if (con_wall_no_listener(why) != ERR_OK)
        return 2;
    return con_wall_check(why) == ERR_REFUSED && strstr(why, "bind (inet)") != NULL ? 0 : 3;
}

/* The wall goes on into what this process starts. */
static int children_are_behind_it_too(void)
{
    char why[CON_WALL_WHY_CAP];
    int status, fd;

    if (con_wall_raise(why) != ERR_OK)
        return 2;
    if (fork() == 0) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        _exit(eperm(listen(fd, 1)));
    }
    return wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 3;
}

/* A service on the other side of the wall, in the parent. */
static struct sockaddr_in outside;

static int dialling_out_works(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    char why[CON_WALL_WHY_CAP];

    if (con_wall_raise(why) != ERR_OK)
        return 2;
    if (connect(fd, (struct sockaddr *)&outside, sizeof(outside)) != 0 || send(fd, "x", 1, 0) != 1)
        return 3;
    if (sendto(udp, "x", 1, 0, (struct sockaddr *)&outside, sizeof(outside)) != 1)
        return 4; /* DNS */
    return 0;
}

static int (*const claims[])(void) = {
    bound_before_cannot_listen,
    nothing_new_either,
    old_listener_is_found_and_dead,
    unix_listener_is_found,
    without_the_wall_the_check_fails,
    children_are_behind_it_too,
    dialling_out_works,
};

START_TEST(test_wall_claim_holds)
{
    int listener = -1, status;

    if (claims[_i] == dialling_out_works) /* the others must not inherit a listener */
        listener = tcp_listen(&outside);
    status = in_child(claims[_i]);
    ck_assert_msg(status == 0, "claim %d failed at %d", _i, status);
    if (listener >= 0)
        close(listener);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/wall");
    TCase *tc = tcase_create("wall");

    tcase_add_loop_test(tc, test_wall_claim_holds, 0, COUNT(claims));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
