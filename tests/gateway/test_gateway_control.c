/* SPDX-License-Identifier: Apache-2.0 */
/* The whole control plane with the real data plane: assignments in, reports out, restarts. */
#include "modules/gateway/control.h"

#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/snapshot.h"
#include "schemas/workload.h"
#include "tests/bus/world.h"
#include "tests/gateway/made.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define HASH "netwall:assign:gateway"
#define REPORTS "netwall:report:gateway"

static struct world w;
static char *dir;
static struct gw_config config;
static struct gw_identity identity;
static struct gw_control *control;
static struct made_desired d;
static uint16_t http_port, tcp_port;

static int start(bool with_bus)
{
    struct gw_control_config cfg = {
        .loop = w.loop,
        .config = &config,
        .identity = &identity,
        .bus = with_bus ? &w.url : NULL,
        .prefix = "",
        .module = "gateway",
        .has_agent = true,
        .zbus_workers = 1,
    };
    char why[GW_CONTROL_WHY_MAX] = "";
    int rc = gw_control_new(&control, &cfg, why);

    if (rc != ERR_OK)
        ck_assert_str_ne(why, "");
    return rc;
}

static void stop(void)
{
    gw_control_free(control);
    control = NULL;
}

static void setup(void)
{
    char conf[1024], why[GW_IDENTITY_WHY_MAX];

    world_open(&w, NULL);
    dir = temp_dir_new();
    memset(&d, 0, sizeof(d));
    http_port = tcp_free_port();
    tcp_port = tcp_free_port();
    (void)snprintf(conf, sizeof(conf),
                   "[gateway]\ndomain = gw1.localhost\npublic-address = 127.0.0.1\n"
                   "verify-fqdn = no\n[listen]\nhttp = 127.0.0.1:%u\nhttps =\n"
                   "tunnel = 127.0.0.1:%u\ntcp-address = 127.0.0.1\ntcp-ports = %u-%u\n",
                   (unsigned)http_port, (unsigned)tcp_free_port(), (unsigned)tcp_port,
                   (unsigned)tcp_port);
    made_config(&config, conf);
    ck_assert_int_eq(gw_config_place(&config, dir), ERR_OK);
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
}

static void teardown(void)
{
    stop();
    gw_identity_deinit(&identity);
    temp_dir_free(dir);
    world_close(&w);
}

static void put(const char *id, uint64_t rev, json_t *spec)
{
    char *text = made_field(&d, id, rev, spec);

    (void)world_do(&w, "HSET", HASH, id, text, NULL);
    free(text);
}

static void put_head(uint64_t epoch, uint64_t rev)
{
    char *text;

    made_head(&d, epoch, rev);
    text = sch_assign_head_print(&d.head);
    (void)world_do(&w, "SET", HASH ":head", text, NULL);
    free(text);
    (void)world_do(&w, "PUBLISH", HASH, "", NULL);
}

static bool said(const char *part)
{
    return strstr(world_do(&w, "XREVRANGE", REPORTS, "+", "-", "COUNT", "6", NULL), part) != NULL;
}

/* Whether somebody listens on PORT of loopback. */
static bool listens(uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0;

    close(fd);
    return ok;
}

START_TEST(test_control_assignment_becomes_a_report)
{
    put("7-1-a", 1, made_name("a", "blog"));
    put_head(1, 1);
    ck_assert_int_eq(start(true), ERR_OK);
    LOOP_POLL(w.loop, said("\"kind\":\"state\"") && said("\"state\":\"ok\""));
    ck_assert(said("blog.gw1.localhost"));
    ck_assert(said("\"kind\":\"info\""));
}
END_TEST

START_TEST(test_control_tcp_port_is_bound_and_survives_a_cold_start)
{
    put("7-1-t", 1, made_spec("t", SCH_TYPE_TCP_PROXY, made_data("\"port\":0")));
    put_head(1, 1);
    ck_assert_int_eq(start(true), ERR_OK);
    LOOP_POLL(w.loop, said("\"state\":\"ok\""));
    ck_assert(listens(tcp_port));
    stop();
    ck_assert(!listens(tcp_port));
    ck_assert_int_eq(start(false), ERR_OK); /* no bus at all */
    ck_assert(listens(tcp_port));
}
END_TEST

/* What was whole in a damaged file is on the disk again, though nothing changed since. */
START_TEST(test_control_damaged_state_file_serves_more_than_one_start)
{
    char *path = temp_dir_path(dir, GW_SNAPSHOT_FILE);
    FILE *f;

    put("7-1-t", 1, made_spec("t", SCH_TYPE_TCP_PROXY, made_data("\"port\":0")));
    put_head(1, 1);
    ck_assert_int_eq(start(true), ERR_OK);
    LOOP_POLL(w.loop, said("\"state\":\"ok\""));
    stop();
    f = fopen(path, "a");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs("damaged\ndamaged\n", f), 0);
    ck_assert_int_eq(fclose(f), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(start(false), ERR_OK); /* no bus at all */
        ck_assert(listens(tcp_port));
        stop();
        ck_assert_int_eq(access(path, F_OK), 0);
    }
    free(path);
}
END_TEST

START_TEST(test_control_gone_is_reported_and_forgotten)
{
    put("7-1-t", 1, made_spec("t", SCH_TYPE_TCP_PROXY, made_data("\"port\":0")));
    put_head(1, 1);
    ck_assert_int_eq(start(true), ERR_OK);
    LOOP_POLL(w.loop, said("\"state\":\"ok\""));
    memset(&d, 0, sizeof(d));
    put("7-1-t", 2, NULL);
    put_head(1, 2);
    LOOP_POLL(w.loop, said("\"state\":\"deleted\""));
    ck_assert(!listens(tcp_port));
    stop();
    ck_assert_int_eq(start(false), ERR_OK);
    ck_assert(!listens(tcp_port));
}
END_TEST

START_TEST(test_control_redis_outage_ends_nothing)
{
    put("7-1-t", 1, made_spec("t", SCH_TYPE_TCP_PROXY, made_data("\"port\":0")));
    put_head(1, 1);
    ck_assert_int_eq(start(true), ERR_OK);
    LOOP_POLL(w.loop, said("\"state\":\"ok\""));
    redis_server_kill(w.redis);
    loop_run_ms(w.loop, 300);
    ck_assert(listens(tcp_port));
    redis_server_restart(w.redis); /* empty */
    LOOP_POLL(w.loop, said("\"kind\":\"resync\""));
    ck_assert(listens(tcp_port));
}
END_TEST

START_TEST(test_control_newer_state_file_refuses_to_start)
{
    static const char newer[] = "2f836dc01c7390f037e53111aafba695 "
                                "{\"format\":\"netwall-gateway\",\"version\":3,\"count\":0}\n";
    char *path = temp_dir_path(dir, GW_SNAPSHOT_FILE);
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(newer, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(start(false), ERR_REFUSED);
    ck_assert_int_eq(access(path, F_OK), 0); /* left as it is */
    free(path);
}
END_TEST

START_TEST(test_control_busy_listener_is_a_clear_error)
{
    struct gw_control *first;

    ck_assert_int_eq(start(false), ERR_OK);
    first = control;
    control = NULL;
    ck_assert_int_ne(start(false), ERR_OK);
    control = first;
}
END_TEST

static bool drained;

static void on_done(void *arg)
{
    (void)arg;
    drained = true;
}

START_TEST(test_control_drain_ends_and_clears_the_bus)
{
    drained = false;
    ck_assert_int_eq(start(true), ERR_OK);
    LOOP_POLL(w.loop, said("info"));
    (void)world_do(&w, "HSET", "netwall:tunnels", "x", "[]", NULL);
    gw_control_drain(control, on_done, NULL);
    LOOP_UNTIL(w.loop, drained);
    ck_assert_str_eq(world_do(&w, "EXISTS", "netwall:tunnels", NULL), "0");
}
END_TEST

START_TEST(test_control_reload_changes_what_tenants_are_told)
{
    struct gw_config next = config;

    put("7-1-a", 1, made_name("a", "blog"));
    put_head(1, 1);
    ck_assert_int_eq(start(true), ERR_OK);
    LOOP_POLL(w.loop, said("\"state\":\"ok\""));
    (void)snprintf(next.tunnel_endpoint, sizeof(next.tunnel_endpoint), "moved.example.com:7443");
    gw_control_reload(control, &next);
    LOOP_POLL(w.loop, said("moved.example.com:7443"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/control");
    TCase *tc = tcase_create("control");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_control_assignment_becomes_a_report);
    tcase_add_test(tc, test_control_tcp_port_is_bound_and_survives_a_cold_start);
    tcase_add_test(tc, test_control_damaged_state_file_serves_more_than_one_start);
    tcase_add_test(tc, test_control_gone_is_reported_and_forgotten);
    tcase_add_test(tc, test_control_redis_outage_ends_nothing);
    tcase_add_test(tc, test_control_newer_state_file_refuses_to_start);
    tcase_add_test(tc, test_control_busy_listener_is_a_clear_error);
    tcase_add_test(tc, test_control_drain_ends_and_clears_the_bus);
    tcase_add_test(tc, test_control_reload_changes_what_tenants_are_told);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
