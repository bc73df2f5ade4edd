/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded redis-server: where its socket goes, its life, its lock. */
#include "node-agent/bus_server.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/sync.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct ev_loop *loop;
static struct agent_bus_server *server;
static struct agent_bus_server_config cfg;
static char why[AGENT_BUS_WHY_MAX];
static char *dir, *sock;

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    loop = ev_loop_new(EVFLAG_AUTO);
    dir = temp_dir_new();
    sock = temp_dir_path(dir, "s");
    server = NULL;
    cfg = (struct agent_bus_server_config){
        .loop = loop, .state_dir = dir, .socket = sock, .lock_wait_ms = 50};
}

static void on_stopped(void *arg)
{
    ev_break(loop, EVBREAK_ALL);
    *(bool *)arg = true;
}

static void stop(void)
{
    bool stopped = false;

    agent_bus_server_stop(server, on_stopped, &stopped);
    ev_run(loop, 0);
    ck_assert(stopped);
    agent_bus_server_free(server);
    server = NULL;
}

static void teardown(void)
{
    if (server != NULL)
        stop();
    ev_loop_destroy(loop);
    free(sock);
    temp_dir_free(dir);
}

static struct bus_sync *connect_to(void)
{
    struct bus_sync *bus = NULL;
    struct bus_url url = {.is_unix = true};
    char reason[BUS_WHY_MAX];

    snprintf(url.path, sizeof(url.path), "%s", sock);
    while (bus_sync_open(&bus, &url, 1000, reason) != ERR_OK)
        ev_run(loop, EVRUN_NOWAIT); /* it may be about to listen; check's time limit ends this */
    return bus;
}

static void has_config(struct bus_sync *bus, const char *key, const char *want)
{
    const struct bus_value *reply;

    ck_assert_int_eq(bus_sync_text(bus, &reply, "CONFIG", "GET", key, NULL), ERR_OK);
    ck_assert_uint_eq(reply->count, 2);
    ck_assert_str_eq(reply->items[1].text, want);
}

START_TEST(test_server_is_private_and_durable)
{
    struct bus_sync *bus;
    struct stat st;

    ck_assert_msg(agent_bus_server_new(&server, &cfg, why) == ERR_OK, "%s", why);
    bus = connect_to();
    has_config(bus, "port", "0");
    has_config(bus, "appendonly", "yes");
    has_config(bus, "maxmemory-policy", "noeviction");
    has_config(bus, "proto-max-bulk-len", "1048576");
    ck_assert_int_eq(stat(sock, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0660);
    bus_sync_close(bus);
}
END_TEST

START_TEST(test_killed_server_comes_back_with_its_data)
{
    struct bus_sync *bus;
    const struct bus_value *reply;
    pid_t pid;

    ck_assert_int_eq(agent_bus_server_new(&server, &cfg, why), ERR_OK);
    pid = agent_bus_server_pid(server);
    bus = connect_to();
    ck_assert_int_eq(bus_sync_text(bus, NULL, "SET", "k", "v", NULL), ERR_OK);
    bus_sync_close(bus);
    kill(pid, SIGTERM);
    while (agent_bus_server_pid(server) == pid || agent_bus_server_pid(server) == 0)
        ev_run(loop, EVRUN_ONCE);
    bus = connect_to();
    ck_assert_int_eq(bus_sync_text(bus, &reply, "GET", "k", NULL), ERR_OK);
    ck_assert(bus_value_is(reply, "v"));
    bus_sync_close(bus);
}
END_TEST

START_TEST(test_folder_and_socket_in_use_are_refused)
{
    struct agent_bus_server *second = NULL;
    struct agent_bus_server_config other = cfg;
    char *elsewhere = temp_dir_new();

    ck_assert_int_eq(agent_bus_server_new(&server, &cfg, why), ERR_OK);
    ck_assert_int_eq(agent_bus_server_new(&second, &cfg, why), ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(why, "bus.lock"));
    other.state_dir = elsewhere;
    ck_assert_int_eq(agent_bus_server_new(&second, &other, why), ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(why, "another server"));
    temp_dir_free(elsewhere);
}
END_TEST

START_TEST(test_long_socket_path_is_a_clear_error)
{
    char path[200], out[AGENT_BUS_SOCKET_MAX + 1];

    snprintf(path, sizeof(path), "%s/%0*d", dir, (int)(AGENT_BUS_SOCKET_MAX - strlen(dir) - 1), 0);
    cfg.socket = path;
    ck_assert_int_eq(agent_bus_server_place(out, &cfg, why), ERR_OK);
    strcat(path, "0");
    ck_assert_int_eq(agent_bus_server_place(out, &cfg, why), ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(why, "107"));
}
END_TEST

START_TEST(test_missing_program_is_started_once_it_is_there)
{
    char program[200];

    snprintf(program, sizeof(program), "%s/the-server", dir);
    cfg.program = program;
    ck_assert_int_eq(agent_bus_server_new(&server, &cfg, why), ERR_OK);
    ck_assert_int_eq(agent_bus_server_pid(server), 0);
    ck_assert_int_eq(symlink("/usr/bin/redis-server", program), 0);
    while (agent_bus_server_pid(server) == 0)
        ev_run(loop, EVRUN_ONCE);
    bus_sync_close(connect_to());
}
END_TEST

/* Neither waits for a server that is dead already, which would take a second each time, nor gives
 * up. A busy machine may take as long, but hardly five times. */
START_TEST(test_program_that_dies_at_once_does_not_hold_the_start_up)
{
    uint64_t start, least_ms = UINT64_MAX;

    cfg.program = "/bin/false";
    for (int i = 0; i < 5 && least_ms >= 900; i++) {
        agent_bus_server_free(server);
        server = NULL;
        start = clock_mono_ms();
        ck_assert_int_eq(agent_bus_server_new(&server, &cfg, why), ERR_OK);
        if (clock_mono_ms() - start < least_ms)
            least_ms = clock_mono_ms() - start;
    }
    ck_assert_uint_lt(least_ms, 900);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/bus_server");
    TCase *tc = tcase_create("server");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_server_is_private_and_durable);
    tcase_add_test(tc, test_killed_server_comes_back_with_its_data);
    tcase_add_test(tc, test_folder_and_socket_in_use_are_refused);
    tcase_add_test(tc, test_long_socket_path_is_a_clear_error);
    tcase_add_test(tc, test_missing_program_is_started_once_it_is_there);
    tcase_add_test(tc, test_program_that_dies_at_once_does_not_hold_the_start_up);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
