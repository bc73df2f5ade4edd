/* SPDX-License-Identifier: Apache-2.0 */
/* Connectors with a thread each, against gateways made from modules/link and a real TCP service. */
#include <check.h>
#include <dirent.h>

#include "modules/connector/crew.h"
#include "tests/connector/bench.h"
#include "tests/support/suite.h"

#define THREADS 3

static struct fixture {
    struct bench b;
    struct peer_gateway gw1, gw2;
    struct con_crew *crew;
    size_t up, count; /* as on_status told last */
    int drained;
} f;

static void on_status(void *arg, size_t up, size_t count)
{
    (void)arg;
    f.up = up;
    f.count = count;
}

static void on_drained(void *arg)
{
    (void)arg;
    f.drained++;
}

static void setup(unsigned threads)
{
    memset(&f, 0, sizeof(f));
    bench_start(&f.b);
    peer_gateway_start(&f.gw1, f.b.loop, 0x21, 0);
    peer_gateway_start(&f.gw2, f.b.loop, 0x22, 0);
    bench_gateway(&f.b, &f.gw1);
    bench_service(&f.b, "web=%s");
    f.b.config->threads = threads;
}

static void start(void)
{
    struct con_connector_config cfg = {
        .loop = f.b.loop, .config = f.b.config, .identity = &f.b.identity, .on_status = on_status};

    ck_assert_int_eq(con_crew_new(&f.crew, &cfg), ERR_OK);
}

static void teardown(void)
{
    con_crew_free(f.crew);
    peer_gateway_stop(&f.gw1);
    peer_gateway_stop(&f.gw2);
    bench_stop(&f.b);
}

/* Threads that the crew made; one that was waited for may be in sight for a moment longer. */
static unsigned threads_now(void)
{
    static const char name[] = "connector/";
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;

    ck_assert_ptr_nonnull(tasks);
    for (const struct dirent *d = readdir(tasks); d != NULL; d = readdir(tasks)) {
        char path[sizeof("/proc/self/task//comm") + sizeof(d->d_name)], comm[16] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", d->d_name);
        file = fopen(path, "r");
        if (file == NULL)
            continue; /* "." and "..", or gone */
        if (fgets(comm, sizeof(comm), file) != NULL)
            count += strncmp(comm, name, strlen(name)) == 0;
        fclose(file);
    }
    closedir(tasks);
    return count;
}

/* A visitor on each of the gateway's sessions, with bytes in both directions; the services'
 * connections stay open. */
static void visit_each(struct peer_visitor visitors[THREADS], int services[THREADS])
{
    struct tun_open open = bench_open("7-1-x", "web");

    for (size_t i = 0; i < THREADS; i++) {
        peer_visit_on(&f.gw1.sessions[i], &visitors[i], &open);
        services[i] = bench_serve(&f.b);
        peer_say(&visitors[i], "to one", false);
        bench_expect(&f.b, services[i], "to one");
        bench_say(services[i], "from one");
        LOOP_UNTIL(f.b.loop, strcmp(visitors[i].got, "from one") == 0);
    }
}

static void close_all(const int services[THREADS])
{
    for (size_t i = 0; i < THREADS; i++)
        close(services[i]);
}

START_TEST(test_crew_each_thread_is_an_instance_that_serves)
{
    struct peer_visitor visitors[THREADS];
    int services[THREADS];

    setup(THREADS);
    start();
    LOOP_UNTIL(f.b.loop, f.up == THREADS);
    ck_assert_uint_eq(f.count, THREADS);
    ck_assert_uint_eq(threads_now(), THREADS - 1);
    ck_assert_uint_eq(peer_gateway_live(&f.gw1), THREADS);
    for (size_t i = 1; i < THREADS; i++)
        for (size_t k = 0; k < i; k++)
            ck_assert_mem_ne(f.gw1.sessions[i].info.instance, f.gw1.sessions[k].info.instance,
                             TUN_INSTANCE_LEN);
    visit_each(visitors, services);
    ck_assert_uint_eq(con_crew_streams(f.crew), THREADS);
    close_all(services);
    LOOP_UNTIL(f.b.loop, visitors[0].eof && visitors[1].eof && visitors[2].eof);
    con_crew_free(f.crew);
    f.crew = NULL;
    LOOP_UNTIL(f.b.loop, threads_now() == 0);
    teardown();
}
END_TEST

START_TEST(test_crew_of_one_is_the_callers_thread)
{
    setup(1);
    start();
    LOOP_UNTIL(f.b.loop, f.up == 1);
    ck_assert_uint_eq(f.count, 1);
    ck_assert_uint_eq(threads_now(), 0);
    teardown();
}
END_TEST

START_TEST(test_crew_lost_gateway_is_told)
{
    setup(THREADS);
    start();
    LOOP_UNTIL(f.b.loop, f.up == THREADS);
    peer_gateway_stop(&f.gw1);
    LOOP_UNTIL(f.b.loop, f.up == 0);
    ck_assert_uint_eq(f.count, THREADS);
    peer_gateway_start(&f.gw1, f.b.loop, 0x21, 0); /* teardown stops it */
    teardown();
}
END_TEST

/* Each of them waits for its own visitor; the crew for the last one. */
START_TEST(test_crew_drain_waits_for_the_last_visitor)
{
    struct peer_visitor visitors[THREADS];
    int services[THREADS];

    setup(THREADS);
    start();
    LOOP_UNTIL(f.b.loop, f.up == THREADS);
    visit_each(visitors, services);
    con_crew_drain(f.crew, on_drained, NULL);
    con_crew_drain(f.crew, on_drained, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        LOOP_UNTIL(f.b.loop, f.gw1.sessions[i].goaway);
        ck_assert_int_eq(f.drained, 0);
        peer_say(&visitors[i], "bye", true);
        bench_expect(&f.b, services[i], "bye");
        close(services[i]);
        LOOP_UNTIL(f.b.loop, f.gw1.sessions[i].closed_in_order);
    }
    LOOP_UNTIL(f.b.loop, f.drained == 1);
    ck_assert_uint_eq(con_crew_streams(f.crew), 0);
    teardown();
    ck_assert_int_eq(f.drained, 1);
}
END_TEST

START_TEST(test_crew_hurry_cuts_in_every_thread)
{
    struct peer_visitor visitors[THREADS];
    int services[THREADS];

    setup(THREADS);
    start();
    LOOP_UNTIL(f.b.loop, f.up == THREADS);
    visit_each(visitors, services);
    con_crew_drain(f.crew, on_drained, NULL);
    con_crew_hurry(f.crew);
    LOOP_UNTIL(f.b.loop, f.drained == 1);
    for (size_t i = 0; i < THREADS; i++)
        LOOP_UNTIL(f.b.loop,
                   f.gw1.sessions[i].closed_in_order && visitors[i].reset != TUN_CODE_NONE);
    close_all(services);
    teardown();
}
END_TEST

START_TEST(test_crew_reload_is_for_every_thread)
{
    struct tun_open open = bench_open("7-1-x", "api");
    struct con_config *old;
    struct peer_visitor visitor;

    setup(THREADS);
    start();
    LOOP_UNTIL(f.b.loop, f.up == THREADS);
    old = f.b.config;
    f.b.config = con_config_new();
    bench_gateway(&f.b, &f.gw1);
    bench_gateway(&f.b, &f.gw2);
    bench_service(&f.b, "api=%s");
    f.b.config->threads = 1; /* that needs a restart */
    ck_assert_int_eq(con_crew_reload(f.crew, f.b.config), ERR_OK);
    free(old);
    LOOP_UNTIL(f.b.loop, f.up == 2 * THREADS && f.count == 2 * THREADS);
    ck_assert_uint_eq(threads_now(), THREADS - 1);
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_uint_eq(f.gw1.sessions[i].info.epoch, 1); /* no tunnel was touched */
        peer_visit_on(&f.gw1.sessions[i], &visitor, &open);
        close(bench_serve(&f.b));
        LOOP_UNTIL(f.b.loop, visitor.eof);
    }
    teardown();
}
END_TEST

/* _i: 0 at once, 1 while connecting, 2 up, 3 with visitors, 4 draining, 5 drained */
START_TEST(test_crew_free_in_each_state)
{
    struct peer_visitor visitors[THREADS];
    int services[THREADS] = {-1, -1, -1};

    setup(THREADS);
    start();
    if (_i == 1)
        LOOP_UNTIL(f.b.loop, f.gw1.connections > 0);
    if (_i >= 2)
        LOOP_UNTIL(f.b.loop, f.up == THREADS);
    if (_i >= 3)
        visit_each(visitors, services);
    if (_i >= 4)
        con_crew_drain(f.crew, on_drained, NULL);
    if (_i == 5) {
        con_crew_hurry(f.crew);
        LOOP_UNTIL(f.b.loop, f.drained == 1);
    }
    con_crew_free(f.crew);
    f.crew = NULL;
    LOOP_UNTIL(f.b.loop, threads_now() == 0);
    if (_i >= 3)
        close_all(services);
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/crew");
    TCase *tc = tcase_create("crew");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_crew_each_thread_is_an_instance_that_serves);
    tcase_add_test(tc, test_crew_of_one_is_the_callers_thread);
    tcase_add_test(tc, test_crew_lost_gateway_is_told);
    tcase_add_test(tc, test_crew_drain_waits_for_the_last_visitor);
    tcase_add_test(tc, test_crew_hurry_cuts_in_every_thread);
    tcase_add_test(tc, test_crew_reload_is_for_every_thread);
    tcase_add_loop_test(tc, test_crew_free_in_each_state, 0, 6);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
